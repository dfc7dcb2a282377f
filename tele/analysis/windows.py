"""Windows: the last minutes, the last n, a range of time, and windows that slide over a run.

A row stands in a window by its start. Rows without a time stand in none, and are counted where they are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from tele.analysis.figures import Group
from tele.analysis.measure import measure
from tele.analysis.scope import Reader, Requests, Scope, census, group_columns, requests
from tele.errors import BadInput
from tele.store.columns import BY_NAME, NAMES

__all__ = ["Sliding", "Window", "between", "events_in", "figures_in", "last", "last_n", "sliding"]

Moment = datetime | int | str
"""A datetime with a zone, ISO 8601 text with one, or nanoseconds since the epoch."""
Length = timedelta | float
"""A timedelta, or seconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_OVERLAP = 10_000
"""Windows that one event may stand in: more, and `step` is a slip."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, both ends included, or the last `n` rows."""

    start_ns: int | None = None
    end_ns: int | None = None
    n: int | None = None

    def over(self, source: str, params: Sequence[object]) -> tuple[str, list[object]]:
        """Return SQL of a FROM clause with its condition, and its parameters, narrowed down to this window."""
        given = list(params)
        for value, sign in ((self.start_ns, ">="), (self.end_ns, "<=")):
            if value is not None:
                given.append(value)
                source += f" AND start_ns {sign} ${len(given)}"
        if self.n is None:
            return source, given
        newest = f"SELECT * FROM {source} AND start_ns IS NOT NULL ORDER BY start_ns DESC, event_id DESC LIMIT {self.n}"
        return f"({newest}) AS newest WHERE TRUE", given


@dataclass(frozen=True, slots=True)
class Slid:
    """The requests that started in one window, `window_start` included and `window_end` not."""

    window_start: str
    """ISO 8601, UTC."""
    window_end: str
    start_ns: int
    end_ns: int
    event_count: int
    mean_latency: float | None
    """Milliseconds, of those that did not fail and whose duration is known."""
    total_cost: float | None
    """US dollars; None where no cost is known."""
    success_count: int
    failure_count: int


@dataclass(frozen=True, slots=True)
class Sliding:
    """Windows in order, those without a request left out; `untimed` counts the requests that have no time."""

    on: str
    windows: tuple[Slid, ...]
    untimed: int


def last(*, seconds: float = 0, minutes: float = 0, hours: float = 0, now: Moment | None = None) -> Window:
    """Return the window of that length that ends at `now`, by default this moment. Raises BadInput."""
    length = _nanoseconds(seconds + minutes * 60 + hours * 3600, "A window's length", least=0)
    end = _now() if now is None else now
    return Window(_moment(end) - length, _end(end)) if length else Window(n=0)


def last_n(n: int) -> Window:
    """Return the window of the newest `n` rows, by start. Raises BadInput."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise BadInput(f"last_n takes a whole number of 0 or more, not {n!r}.")
    return Window(n=n)


def between(start: Moment, end: Moment) -> Window:
    """Return the window from `start` to `end`, both included: the `time` of two rows takes in both rows.

    Raises BadInput.
    """
    return Window(_moment(start), _end(end))


def events_in(
    reader: Reader,
    experiment: str,
    window: Window,
    *,
    where: Mapping[str, object] | None = None,
    columns: Sequence[str] = NAMES,
) -> list[dict[str, Any]]:
    """Return the rows of an experiment in `window`, oldest first.

    `where` asks for equality, by column or attribute; None asks for what is missing, a list for any of its values, and
    a tag for rows that have it. Raises UnknownExperiment, or BadInput where a name is neither column nor attribute.
    """
    if unknown := [name for name in columns if name not in BY_NAME]:
        raise BadInput(f"{unknown[0]!r} is no column of events.")
    scope = census(reader, experiment).scope
    condition, params = _filtered(reader, scope, where or {}, scope.params)
    source, given = window.over(f"events WHERE {scope.where}{condition} AND start_ns IS NOT NULL", params)
    listed = ", ".join(f'"{name}"' for name in columns)
    rows = reader.rows(f"SELECT {listed} FROM {source} ORDER BY start_ns, event_id", given)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def figures_in(
    reader: Reader,
    experiment: str,
    window: Window,
    *,
    by: Sequence[str] = (),
    on: str | None = None,
    where: Mapping[str, object] | None = None,
) -> tuple[Group, ...]:
    """Return latency, cost, reliability and tokens of the requests in `window`, one group for each value of `by`.

    `by` and `on` are as for `analyze`, `where` as for `events_in`. Raises what they raise.
    """
    seen = census(reader, experiment)
    asked = _asked(reader, seen.scope, requests(reader, seen, on), where)
    source, params = window.over(asked.source, asked.params)
    narrowed = replace(asked, source=source, params=tuple(params))
    return measure(reader, narrowed, list(by), group_columns(reader, seen.scope, by))


def sliding(
    reader: Reader,
    experiment: str,
    size: Length,
    step: Length | None = None,
    *,
    on: str | None = None,
    where: Mapping[str, object] | None = None,
) -> Sliding:
    """Return the figures of windows [start, start + size) that begin at the first request and every `step` after it.

    `size` and `step` are timedeltas, or seconds; without `step` the windows stand side by side, and each request is in
    exactly one. A smaller step lets them overlap, a larger one leaves gaps. `on` is as for `analyze`, `where` as for
    `events_in`. Raises UnknownExperiment or BadInput.
    """
    wide = _nanoseconds(size, "The size of a window", least=1)
    apart = wide if step is None else _nanoseconds(step, "The step between windows", least=1)
    if wide > apart * MOST_OVERLAP:
        raise BadInput(f"A window is at most {MOST_OVERLAP} steps long; make the step larger or the window smaller.")
    seen = census(reader, experiment)
    asked = _asked(reader, seen.scope, requests(reader, seen, on), where)
    rows = reader.rows(_sliding_sql(asked.source, wide, apart), asked.params)
    windows = tuple(Slid(_iso(row[0]), _iso(row[0] + wide), row[0], row[0] + wide, *row[1:6]) for row in rows if row[0])
    return Sliding(asked.on, windows, sum(row[1] for row in rows if row[0] is None))


def _sliding_sql(source: str, wide: int, apart: int) -> str:
    """SQL for the figures of each window that is not empty, and of the requests without a time under NULL."""
    return f"""WITH request AS (SELECT start_ns, duration_ms, cost_usd, success FROM {source}),
    first AS (SELECT min(start_ns) AS began FROM request),
    placed AS (
        SELECT began, start_ns - began AS since, duration_ms, cost_usd, success
        FROM request, first WHERE start_ns IS NOT NULL),
    windowed AS (
        SELECT began + {apart} * unnest(generate_series(
            CASE WHEN since < {wide} THEN 0 ELSE (since - {wide}) // {apart} + 1 END, since // {apart})) AS start,
            duration_ms, cost_usd, success
        FROM placed
        UNION ALL SELECT NULL, duration_ms, cost_usd, success FROM request WHERE start_ns IS NULL)
    SELECT start, count(*), avg(duration_ms) FILTER (success IS NOT FALSE), sum(cost_usd),
        count(*) FILTER (success), count(*) FILTER (NOT success)
    FROM windowed GROUP BY start ORDER BY start"""


def _asked(reader: Reader, scope: Scope, asked: Requests, where: Mapping[str, object] | None) -> Requests:
    condition, params = _filtered(reader, scope, where or {}, list(asked.params))
    return replace(asked, source=asked.source + condition, params=tuple(params))


def _filtered(
    reader: Reader, scope: Scope, where: Mapping[str, object], params: list[object]
) -> tuple[str, list[object]]:
    """SQL that asks for `where`, beginning with AND, and the parameters with its own behind them."""
    parts, given = [], list(params)
    for name, value in where.items():
        column = "tags" if name == "tags" else group_columns(reader, scope, [name])[0]
        if value is None:
            parts.append(f" AND {column} IS NULL")
            continue
        given.append(_compared(name, value))
        if name == "tags":
            parts.append(f" AND list_contains(tags, ${len(given)})")
        elif isinstance(value, (list, tuple, set, frozenset)):
            parts.append(f" AND list_contains(${len(given)}, {column})")
        else:
            parts.append(f" AND {column} = ${len(given)}")
    return "".join(parts), given


def _compared(name: str, value: object) -> object:
    """`value` as the column holds it: attributes are read as JSON text."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_compared(name, each) for each in value]
    if name in BY_NAME:
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _now() -> int:
    from tele.telemetry.ambient import ambient  # what reads a store does without what records, but for this

    return ambient.now()


def _moment(value: Moment) -> int:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise BadInput(f"{value!r} is no time; give ISO 8601 with a zone, such as 2026-01-31T12:00:00Z.") from None
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise BadInput(f"{value!r} has no time zone; give one, such as 2026-01-31T12:00:00Z.")
    return (found - _EPOCH) // timedelta(microseconds=1) * 1000


def _end(value: Moment) -> int:
    """The last nanosecond of a moment: a datetime, and the column `time`, know no less than a microsecond."""
    return _moment(value) + (0 if isinstance(value, int) else 999)


def _nanoseconds(length: Length, what: str, *, least: int) -> int:
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if not isfinite(seconds) or (found := round(seconds * 1e9)) < least:
        raise BadInput(f"{what} is {'above' if least else 'at least'} 0 seconds, not {length!r}.")
    return found


def _iso(ns: int) -> str:
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
