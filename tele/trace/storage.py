"""Chains in the log: saved as versions, loaded, listed, archived. Nothing is overwritten and nothing is deleted."""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from tele.errors import BadInput, UnknownChain
from tele.telemetry.points import record_point
from tele.trace.chain import CHAIN_NAME, EVENT_NAME, SAID, SAVED_NAME, Chain, ParseWarning, ReasoningEvent, content_hash
from tele.trace.record import record_chain, written
from tele.trace.search import most_rows

__all__ = ["Store", "Stored", "archive", "list_chains", "load", "restore", "save", "versions"]

ARCHIVED, RESTORED = "causal_trace.chain.archived", "causal_trace.chain.restored"
_ROW = (
    *("chain_id", "name", "version", "n_events", "mean_confidence", "hash", "parent_hash", "n_warnings", "time"),
    *("experiment", "run_id", "condition", "item_id", "trace_id", "span_id", "archived"),
)
_WARNING = ("code", "message", "line", "column")


class Store(Protocol):
    """What is needed of an open store."""

    @property
    def path(self) -> Path:
        """Its folder."""
        ...

    def rows(self, query: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...

    def blob(self, reference: str) -> bytes:
        """Return the bytes behind a `blob:SHA256` reference."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A chain as a list shows it, and where it stands."""

    chain_id: str
    name: str | None
    version: int | None
    n_events: int
    mean_confidence: float | None
    hash: str | None
    parent_hash: str | None
    n_warnings: int | None
    time: dt.datetime | None
    experiment: str | None
    run_id: str | None
    condition: str | None
    item_id: str | None
    trace_id: str | None
    span_id: str | None
    archived: bool


def save(chain: Chain, *, parent: Chain | None = None, **fields: Any) -> Chain:
    """Record the chain where the running code is, and return it as it was recorded.

    With `parent`, the version that it was made from, it is the next version of that chain and bears the parent's hash.
    Where nothing changed it is not written again, and the parent is returned. Keywords are as for `tele.event`.
    """
    if parent is None:
        return record_chain(chain, **fields)
    before = written(parent)[0]["hash"]
    if (written(chain)[0]["hash"], chain.name, chain.description, dict(chain.metadata)) == (
        *(before, parent.name, parent.description),
        dict(parent.metadata),
    ):
        return parent
    return record_chain(
        dataclasses.replace(chain, id=parent.id, version=parent.version + 1, parent_hash=before), **fields
    )


def load(store: Store, chain_id: str, *, version: int | None = None, hash: str | None = None) -> Chain:  # noqa: A002  # it is one
    """Return a chain: its latest version, else the one asked for; `hash` (or its beginning) names one exactly.

    What the log has under one id and version more than once is taken from its latest recording. Whether it is what
    was recorded, `versions` tells. Raises UnknownChain, or BadInput where it has no such version.
    """
    known = _recordings(store, chain_id)
    if not known:
        raise UnknownChain(chain_id, _nearest(store, chain_id))
    told = [each for each in known if version in (None, each[0]) and (hash is None or str(each[1]).startswith(hash))]
    if not told:
        there = dict.fromkeys(f"{number} ({str(digest or 'no hash')[:8]})" for number, digest, *_ in known)
        raise BadInput(f"The chain {chain_id} has no such version; it has {', '.join(there)}.")
    number, digest, place, about = max(told, key=lambda each: (each[0], each[2]))
    events = _events(store, chain_id, number, digest, place[2])
    return _chain(chain_id, number, about, events)


def versions(store: Store, chain_id: str) -> list[tuple[int, str | None, str | None, bool | None]]:
    """Return version, hash, hash of the parent, and whether it is what was recorded, of each recording, oldest first.

    None stands where a recording bears no hash: it was made by something else than tele. Raises UnknownChain.
    """
    found = []
    for number, digest, place, about in sorted(_recordings(store, chain_id), key=lambda each: each[2][:2]):
        said = _events(store, chain_id, number, digest, place[2])
        same = None if digest is None else content_hash(map(_said, said)) == digest
        found.append((number, digest, about.get("parent_hash"), same))
    if not found:
        raise UnknownChain(chain_id, _nearest(store, chain_id))
    return found


def list_chains(
    store: Store,
    *,
    name_contains: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    min_events: int | None = None,
    max_events: int | None = None,
    archived: bool | None = False,
    limit: int | None = None,
    **equal: str | None,
) -> list[Stored]:
    """Return the chains of a store, the latest first; each keyword that is given leaves some out.

    `since` and `until` are included, and say when the chain was recorded. `archived` None takes both sorts. `equal` are
    `experiment`, `run_id`, `condition`, `item_id`, `trace_id`, `span_id` or `chain_id`. Raises BadInput.
    """
    where: list[tuple[str, object]] = []
    bounds = {"time >= ?": since, "time <= ?": until, "n_events >= ?": min_events, "n_events <= ?": max_events}
    where += [(text, value) for text, value in bounds.items() if value is not None]
    if name_contains is not None:
        where.append(("contains(lower(name), lower(?))", name_contains))
    if archived is not None:
        where.append(("archived = ?", archived))
    for key, value in equal.items():
        if key not in _ROW[9:15] and key != "chain_id":
            raise BadInput(f"Chains are not listed by {key!r}; by {', '.join(('chain_id', *_ROW[9:15]))}.")
        if value is not None:
            where.append((f"{key} = ?", value))
    asked = " AND ".join(text for text, _ in where) or "TRUE"
    rows = store.rows(
        f"SELECT {', '.join(_ROW)} FROM chains WHERE {asked} ORDER BY start_ns DESC, chain_id{most_rows(limit)}",
        [value for _, value in where],
    )
    return [Stored(*row) for row in rows]


def archive(
    chains: Iterable[str | Stored] = (),
    *,
    store: Store | None = None,
    older_than_days: float | None = None,
    now: dt.datetime | None = None,
) -> list[str]:
    """Leave chains out of lists and searches from now on, and return their ids; the log keeps them, figures count them.

    With `store` and `older_than_days`, those too that were recorded before that many days, counted back from `now`.
    """
    ids = [each.chain_id if isinstance(each, Stored) else each for each in chains]
    if older_than_days is not None:
        if store is None:
            raise BadInput("Name the store whose chains are looked through: archive(store=..., older_than_days=...).")
        before = (now or dt.datetime.now(dt.UTC)) - dt.timedelta(days=older_than_days)
        ids += [each.chain_id for each in list_chains(store, until=before)]
    ids = list(dict.fromkeys(ids))
    for chain_id in ids:
        record_point("event", ARCHIVED, {}, {}, {"chain_id": chain_id})
    return ids


def restore(chain_id: str) -> None:
    """Take back that a chain was archived."""
    record_point("event", RESTORED, {}, {}, {"chain_id": chain_id})


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_Place = tuple[int, int, str | None]
"""When it was recorded, its number there, and the span that it was recorded in."""


def _recordings(store: Store, chain_id: str) -> list[tuple[int, str | None, _Place, Mapping[str, Any]]]:
    """Version, hash, place and facts of each recording; events that bear no hash are one of their own."""
    rows = store.rows(
        f"""SELECT attributes, start_ns, seq, span_id FROM events
            WHERE kind = 'event' AND name IN ('{CHAIN_NAME}', '{SAVED_NAME}') AND attributes->>'$."chain_id"' = ?""",
        [chain_id],
    )
    found: list[tuple[int, str | None, _Place, Mapping[str, Any]]] = []
    for attributes, at, seq, span_id in rows:
        about = _resolved(store, orjson.loads(attributes))
        found.append((int(about.get("version") or 1), about.get("hash"), (at or 0, seq or 0, span_id), about))
    bare = store.rows(
        f"""SELECT coalesce(TRY_CAST(attributes->>'$."version"' AS BIGINT), 1), max(start_ns), max(seq), span_id,
                any_value(attributes->>'$."name"')
            FROM events WHERE kind = 'event' AND name = '{EVENT_NAME}' AND attributes->>'$."chain_id"' = ?
                AND attributes->>'$."chain_hash"' IS NULL GROUP BY 1, span_id""",
        [chain_id],
    )
    return found + [
        (number, None, (at or 0, seq or 0, span_id), {"name": name}) for number, at, seq, span_id, name in bare
    ]


def _events(
    store: Store, chain_id: str, version: int, digest: str | None, span_id: str | None
) -> list[Mapping[str, Any]]:
    rows = store.rows(
        f"""SELECT attributes FROM events
            WHERE kind = 'event' AND name = '{EVENT_NAME}' AND attributes->>'$."chain_id"' = $chain
                AND coalesce(TRY_CAST(attributes->>'$."version"' AS BIGINT), 1) = $version
                AND attributes->>'$."chain_hash"' IS NOT DISTINCT FROM $digest
                AND span_id IS NOT DISTINCT FROM $span
            QUALIFY row_number() OVER (
                PARTITION BY attributes->>'$."position"' ORDER BY start_ns DESC, seq DESC) = 1
                OR attributes->>'$."position"' IS NULL
            ORDER BY TRY_CAST(attributes->>'$."position"' AS BIGINT), start_ns, seq""",
        {"chain": chain_id, "version": version, "digest": digest, "span": span_id},  # type: ignore[arg-type]
    )
    return [_resolved(store, orjson.loads(row[0])) for row in rows]


def _resolved(store: Store, value: Any) -> Any:
    """The value with the long texts in it that are kept as blobs, and texts that JSON could not hold as they are."""
    if isinstance(value, list):
        return [_resolved(store, each) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$blob"), str) and "length" in value:
        return store.blob(f"blob:{value['$blob']}").decode("utf-8", "replace")
    return {key: _resolved(store, each) for key, each in value.items()}


def _said(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if key in SAID}


def _chain(chain_id: str, version: int, about: Mapping[str, Any], events: list[Mapping[str, Any]]) -> Chain:
    return Chain(
        id=chain_id,
        name=_text(about.get("name")) or chain_id,
        events=tuple(_event(said, n) for n, said in enumerate(events)),
        version=version,
        metadata=about.get("metadata") or {},
        warnings=tuple(ParseWarning(*each) for each in about.get("warnings") or () if len(each) == len(_WARNING)),
        created_at=_time(about.get("created_at")),
        description=about.get("description"),
        parent_hash=about.get("parent_hash"),
    )


def _event(said: Mapping[str, Any], number: int) -> ReasoningEvent:
    sure = said.get("confidence")
    return ReasoningEvent(
        type=_text(said.get("type")) or "unknown",
        decision=_text(said.get("decision")) or "",
        reasoning=_text(said.get("reasoning")) or "",
        id=_text(said.get("id")) or str(number + 1),
        alternatives=_texts(said.get("alternatives")),
        confidence=float(sure) if isinstance(sure, (int, float)) and not isinstance(sure, bool) else None,
        code_section=_text(said.get("code_section")),
        spec_reference=_text(said.get("spec_reference")),
        parent=_text(said.get("parent")),
        depends_on=_texts(said.get("depends_on")),
        stage=_text(said.get("stage")),
        experiment=_text(said.get("of_experiment")),
        created_at=_time(said.get("created_at")),
        metadata=said.get("metadata") if isinstance(said.get("metadata"), dict) else {},  # type: ignore[arg-type]
    )


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for each in value if (text := _text(each)) is not None) if isinstance(value, list) else ()


def _time(value: Any) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _nearest(store: Store, chain_id: str) -> list[str]:
    known = [str(row[0]) for row in store.rows("SELECT DISTINCT chain_id FROM chains WHERE chain_id IS NOT NULL")]
    return difflib.get_close_matches(chain_id, known, n=3)
