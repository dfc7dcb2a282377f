"""The causal chains and the ensembles of a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tele.viewer.target import Reader, Target

__all__ = ["LOW_CONFIDENCE", "chains", "ensembles"]

LOW_CONFIDENCE = 0.7
"""A reasoning event below this confidence is marked."""

_PLACE = ("experiment", "run_id", "trace_id", "span_id", "condition", "replicate", "item_id")
_CHAIN = ("chain_id", "name", "version", "hash", "start_ns", *_PLACE)
_STEP = (
    *("position", "type", "decision", "alternatives", "reasoning", "confidence", "code_section"),
    *("spec_reference", "parent", "depends_on", "stage"),
)
_VOTE = ("ensemble_id", "member", "answer", "weight", "confidence", "trace_id", "span_id", "condition", "item_id")
_RESULT = ("ensemble_id", "strategy", "winner", "agreement", "entropy")


def chains(reader: Reader, target: Target) -> list[dict[str, object]]:
    """Return the chains of a target in the order of their first event: id, name, version, place, and their steps.

    They are as many as the view `chains` has: a text that was told in two places, or twice in one, is two chains.
    `key` is the id; `id~2` and so on where a chain of that id stands before.
    """
    where, params = ("chain_id = ?", (target.name,)) if target.kind == "chain" else (target.where, target.params)
    said = "chain_id, chain_name AS name, chain_version AS version, chain_hash AS hash"
    rows = reader.rows(
        f"SELECT {said}, {', '.join((*_CHAIN[4:], *_STEP))} FROM reasoning WHERE {where} ORDER BY start_ns, event_id",
        params,
    )
    silent = reader.rows(f"SELECT {', '.join(_CHAIN)} FROM chains WHERE n_events = 0 AND {where}", params)
    found = [*_told(_dicts((*_CHAIN, *_STEP), rows)), *({**row, "steps": []} for row in _dicts(_CHAIN, silent))]
    found.sort(key=lambda chain: (chain["start_ns"] is None, chain["start_ns"]))
    before: Counter[str] = Counter()
    for chain in found:
        chain["key"] = _key("" if chain["chain_id"] is None else str(chain["chain_id"]), before)
    kept = ("key", "name", "version", "trace_id", "span_id", "condition", "replicate", "item_id", "steps")
    return [{"id": chain["chain_id"], **{key: chain[key] for key in kept}} for chain in found]


def _told(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """Return the chains that rows of events make; where a position comes again, the chain was told again."""
    found: dict[object, dict[str, object]] = {}
    tellings: Counter[object] = Counter()
    for row in rows:
        place = tuple(row[key] for key in ("chain_id", "version", "hash", *_PLACE))
        tellings[place, row["position"]] += row["position"] is not None
        chain = found.setdefault((place, tellings[place, row["position"]] or 1), row | {"steps": []})
        _listed(chain["steps"]).append({key: row[key] for key in _STEP if row[key] is not None})
    for chain in found.values():
        _listed(chain["steps"]).sort(key=lambda step: (step.get("position") is None, step.get("position")))
    return list(found.values())


def _key(name: str, before: Counter[str]) -> str:
    """Return a name that no chain has had, and count it in `before`."""
    before[name] += 1
    return name if before[name] == 1 else _key(f"{name}~{before[name]}", before)


def ensembles(reader: Reader, target: Target) -> list[dict[str, object]]:
    """Return the ensembles of a target that have votes: where they stand, their result, and their votes in order."""
    where, params = target.where, target.params
    votes = reader.rows(f"SELECT {', '.join(_VOTE)} FROM votes WHERE {where} ORDER BY start_ns, event_id", params)
    results = {
        row["ensemble_id"]: row
        for row in _dicts(
            _RESULT, reader.rows(f"SELECT {', '.join(_RESULT)} FROM ensembles WHERE {where} ORDER BY start_ns", params)
        )
    }
    found: dict[object, dict[str, object]] = {}
    for vote in _dicts(_VOTE, votes):
        shared = {key: vote[key] for key in ("ensemble_id", "trace_id", "span_id", "condition", "item_id")}
        entry = found.setdefault(vote["ensemble_id"], shared | results.get(vote["ensemble_id"], {}) | {"votes": []})
        ballot = {key: vote[key] for key in ("member", "answer", "weight", "confidence") if vote[key] is not None}
        _listed(entry["votes"]).append(ballot)
    return list(found.values())


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(keys: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[dict[str, object]]:
    return [dict(zip(keys, row, strict=True)) for row in rows]
