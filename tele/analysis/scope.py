"""What an analysis is about: the experiment, its runs, the requests and the groups, all checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from tele.analysis.aggregations import CENSUS, COUNTED, Reader, ask
from tele.analysis.figures import Runs, Summary, TimeRange
from tele.errors import BadInput, UnknownExperiment
from tele.store.columns import BY_NAME
from tele.store.views import AGGREGATES, CALL, INFERENCE, WRAPPED

__all__ = ["Census", "Reader", "Requests", "Scope", "census", "group_columns", "requests"]

_ARCHIVED, _SUPERSEDED = "tele.experiment.archived", "tele.experiment.superseded"
_PRUNED, _REPLACED = "tele.experiment.pruned", "tele.experiment.replaced"
_PLAIN_TYPES = frozenset({"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"})


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows of one experiment, less the runs that are archived or superseded."""

    experiment: str
    left_out: tuple[str, ...] = ()
    only: str = ""
    """SQL that holds for the rows that are asked for, of columns of `events`; empty where all are."""

    @property
    def where(self) -> str:
        """SQL condition; its parameters are `params`."""
        return f"{self.whole} AND {self.only}" if self.only else self.whole

    @property
    def whole(self) -> str:
        """The same with nothing left out for being not asked for: what runs say of themselves is always read."""
        return (
            "experiment = $1 AND NOT coalesce(list_contains($2, run_id), FALSE)" if self.left_out else "experiment = $1"
        )

    @property
    def told(self) -> str:
        """The same as `where` for views that show an event's identity and not its columns."""
        picked = f"event_id IN (SELECT event_id FROM events WHERE {self.where})"
        return f"{self.whole} AND {picked}" if self.only else self.whole

    @property
    def params(self) -> list[object]:
        """Values for `where`."""
        return [self.experiment, list(self.left_out)] if self.left_out else [self.experiment]


@dataclass(frozen=True, slots=True)
class Census:
    """What one pass over the experiment's rows counted."""

    scope: Scope
    summary: Summary
    runs: Runs
    span_names: Mapping[str, int]
    event_names: frozenset[str]
    operations: frozenset[str]
    """Inference operations among the spans."""
    other_models: bool
    """Whether spans of another operation name a model, so that they may be calls too."""
    tokens: str | None
    """The column, or SQL, that is known wherever a span counts tokens; None where fewer than two do."""

    @property
    def names(self) -> frozenset[str]:
        """Names of the spans and events."""
        return self.event_names | frozenset(self.span_names)


@dataclass(frozen=True, slots=True)
class Requests:
    """The spans that count as requests: SQL of a FROM clause with its condition, and the parameters of that."""

    on: str
    source: str
    params: tuple[object, ...]
    unpriced: str = "cost_usd IS NULL AND coalesce(input_tokens, output_tokens) IS NOT NULL"
    """SQL: a request that has a price which is not known; a span that counts no tokens has none to know."""


def census(reader: Reader, experiment: str, narrow: Callable[[Scope], str] | None = None) -> Census:
    """Return what experiment `experiment` (its name, or its id) holds; one pass. Raises UnknownExperiment.

    `narrow` gives SQL for the rows that are asked for (`Scope.only`); where it gives some, there is a second pass.
    """
    flat = bool(getattr(reader, "flat_calls", False))  # what a store knows; records in memory do not
    rows = _rows(reader, "experiment = $1", [experiment], flat=flat)
    if not rows:
        return census(reader, _known_name(reader, experiment), narrow)
    archived = {row[0] for row in rows if row[1] == "event" and row[2] in (_ARCHIVED, _PRUNED)} - {None}
    superseded = {row[0] for row in rows if row[1:3] == ("event", _SUPERSEDED)} - {None} - archived
    if any(row[1:3] == ("event", _REPLACED) for row in rows):
        superseded |= _replaced(reader, experiment) - archived
    kept = [row for row in rows if row[0] not in archived and row[0] not in superseded]
    events = frozenset(row[2] for row in kept if row[1] != "metric")
    scope = Scope(experiment, tuple(sorted(archived | superseded)))
    if narrow and (only := narrow(scope)):
        scope = replace(scope, only=only)
        kept = _rows(reader, scope.where, scope.params, flat=flat)
    spans = [row for row in kept if row[1] == "span"]
    return Census(
        scope,
        _summary(kept),
        Runs(len({row[0] for row in kept} - {None}), len(archived), len(superseded)),
        span_names=_count((row[2], row[3]) for row in spans),
        event_names=events,
        operations=frozenset(row[7] for row in spans if row[7] in INFERENCE),
        other_models=any(row[8] and row[7] not in INFERENCE and row[7] not in AGGREGATES for row in spans),
        tokens=None if flat else _token_column(rows),
    )


def _rows(reader: Reader, where: str, params: Sequence[object], *, flat: bool) -> list[tuple[Any, ...]]:
    """Count the rows; what tells whether calls may wrap others is not read where it is known that none does."""
    return ask(reader, CENSUS, params, where=where, counted="" if flat else COUNTED)


def _replaced(reader: Reader, experiment: str) -> set[str]:
    """Return the trials that later ones stand in the place of."""
    told = "SELECT run_id FROM runs WHERE experiment = $1 AND status = 'superseded'"
    return {run for (run,) in reader.rows(told, [experiment])}


def _token_column(rows: Sequence[Sequence[Any]]) -> str | None:
    """Of all rows of the experiment: a call that is not asked for may be the one that another wraps."""
    with_input, with_any = (sum(row[at] for row in rows if row[1] == "span") for at in (9, 10))
    if with_any <= 1:
        return None
    return "input_tokens" if with_input == with_any else "coalesce(input_tokens, output_tokens)"


def _known_name(reader: Reader, asked: str) -> str:
    known = reader.rows("SELECT DISTINCT experiment, experiment_id FROM events WHERE experiment IS NOT NULL")
    for name, id_ in known:
        if asked == id_ and asked != name:
            return str(name)
    raise UnknownExperiment(asked, get_close_matches(asked, sorted({name for name, _ in known}), cutoff=0.5))


def _summary(rows: list[tuple[Any, ...]]) -> Summary:
    starts = [row[5] for row in rows if row[5] is not None]
    ends = [row[6] for row in rows if row[6] is not None]
    start, end = min(starts, default=None), max(ends, default=None)
    return Summary(
        total_events=sum(row[3] for row in rows),
        time_range=TimeRange(_iso(start), _iso(end)),
        duration_seconds=None if start is None or end is None else (end - start) / 1e9,
        event_types=_count((row[2], row[3]) for row in rows),
        untimed=sum(row[3] - row[4] for row in rows),
    )


def _count(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the sums by name, most frequent first, equal ones by name."""
    sums: Counter[str] = Counter()
    for name, n in pairs:
        sums[name] += n
    return dict(sorted(sums.items(), key=lambda item: (-item[1], str(item[0]))))


def _iso(ns: int | None) -> str | None:
    if ns is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def requests(reader: Reader, seen: Census, on: str | None) -> Requests:
    """Return which spans count as requests: `on`, else the calls of a model where there are any, else the roots.

    Raises BadInput where `on` is neither `llm`, `root`, `all` nor the name of a span.
    """
    where, params = seen.scope.where, seen.scope.params
    if on is None:
        on = "llm" if _any_call(reader, seen) else "root"
    if on == "llm":
        # A call that failed before it counted a token costs nothing that is not known.
        unpriced = "cost_usd IS NULL AND (success IS NOT FALSE OR coalesce(input_tokens, output_tokens) IS NOT NULL)"
        return Requests(on, _calls(reader, seen), tuple(params), unpriced=unpriced)
    spans = f"events WHERE {where} AND kind = 'span'"
    if on == "root":
        return Requests(on, f"{spans} AND parent_id IS NULL", tuple(params))
    if on == "all":
        return Requests(on, spans, tuple(params))
    if on not in seen.span_names:
        near = get_close_matches(on, [*map(str, seen.span_names), "llm", "root", "all"], cutoff=0.5)
        raise BadInput(f"No span is named {on!r}; --on takes llm, root, all or a span's name.{_nearest(near)}")
    return Requests(on, f"{spans} AND name = ${len(params) + 1}", (*params, on))


def _any_call(reader: Reader, seen: Census) -> bool:
    if seen.operations or not seen.other_models:
        return bool(seen.operations)
    return bool(reader.rows(f"SELECT 1 FROM events WHERE {seen.scope.where} AND {CALL} LIMIT 1", seen.scope.params))


def _calls(reader: Reader, seen: Census) -> str:
    """Return the calls of a model as SQL: the view where wrappers may be among them, else the same for less."""
    where, everything = seen.scope.where, "experiment = $1"
    if seen.tokens and reader.rows(WRAPPED.format(which=everything, tokens=seen.tokens), [seen.scope.experiment]):
        return f"llm_calls WHERE {where}"
    if seen.other_models or not seen.operations:
        return f"events WHERE {where} AND {CALL}"
    operations = ", ".join(f"'{operation}'" for operation in sorted(seen.operations))
    return f"events WHERE {where} AND kind = 'span' AND operation IN ({operations})"


def group_columns(reader: Reader, scope: Scope, by: Sequence[str]) -> list[str]:
    """Return one SQL expression for each name in `by`: a column of `events`, else a key of `attributes`.

    Raises BadInput, with the nearest columns, where it is neither.
    """
    return [_column(name) if name in BY_NAME else _attribute(reader, scope, name) for name in by]


def _column(name: str) -> str:
    return f'"{name}"' if BY_NAME[name].type in _PLAIN_TYPES else f'CAST("{name}" AS VARCHAR)'


def _attribute(reader: Reader, scope: Scope, name: str) -> str:
    pointer = "/" + name.replace("~", "~0").replace("/", "~1").replace("'", "''")
    expression = f"json_extract_string(attributes, '{pointer}')"
    there = f"SELECT 1 FROM events WHERE {scope.whole} AND {expression} IS NOT NULL LIMIT 1"
    if not reader.rows(there, scope.params):
        near = get_close_matches(name, list(BY_NAME), cutoff=0.5)
        raise BadInput(f"{name!r} is neither a column nor an attribute of {scope.experiment!r}.{_nearest(near)}")
    return expression


def _nearest(near: Sequence[str]) -> str:
    return f" Nearest: {', '.join(near)}." if near else ""
