"""Point events, metrics and later scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast, overload

from tele.store.amend import AMENDED
from tele.telemetry.ambient import ambient
from tele.telemetry.families import WRITTEN, resolve
from tele.telemetry.fields import fill, spoken_of
from tele.telemetry.process import process
from tele.telemetry.scope import INHERITED, Node, place
from tele.telemetry.span import Span, copied, inherited
from tele.telemetry.wrap import onto, tap

__all__ = ["event", "metric", "record_point", "score"]

F = TypeVar("F", bound=Callable[..., Any])
_MISSING: Any = object()


def event(name: str, attributes: Mapping[str, Any] | None = None, **fields: Any) -> str:
    """Record that something happened now; return its event id.

    Keywords are as for `tele.span`. The event belongs to the span, experiment and item around it. A name that the
    registry of families knows by another spelling becomes its one name there; what was written stays beside it.
    """
    one = name
    if type(name) is str and (one := resolve(name)) != name:
        fields = {**fields, WRITTEN: name}
    return record_point("event", one, {}, fields, attributes)


@overload
def metric(name: str, value: float, attributes: Mapping[str, Any] | None = None, **fields: Any) -> str: ...
@overload
def metric(name: F, /) -> F: ...
@overload
def metric(
    name: str | None = None, *, attributes: Mapping[str, Any] | None = None, **fields: Any
) -> Callable[[F], F]: ...
def metric(name: Any = None, value: Any = _MISSING, attributes: Mapping[str, Any] | None = None, **fields: Any) -> Any:
    """Record one number, in `unit` (UCUM) and at `step` where given; return its event id.

    A bool counts as 0 or 1. Without a value it is a decorator, also bare: it records what the function returns (a
    number, a mapping with `value`, or a pair of value and mapping), of a generator each value it yields with its
    number as `step`, of a class what each public method returns (`name.method`). All is given back unchanged. Without
    a name the function's own stands.
    """
    if value is not _MISSING:
        return _metric(name, value, attributes, fields)
    if callable(name):
        return metric()(name)

    def decorate(function: Any, called: str) -> Any:
        def record(result: Any, number: int | None) -> None:
            try:
                more = fields if number is None or "step" in fields else {**fields, "step": number}
                _returned(called, result, attributes, more)
            except Exception as error:  # noqa: BLE001  # the result is the caller's, whatever it hides from us
                process.lose(error)

        return tap(function, record)

    return lambda thing: onto(thing, name, decorate)


def _metric(name: str, value: Any, attributes: Mapping[str, Any] | None, fields: dict[str, Any]) -> str:
    try:
        number = float(value)
    except Exception:  # noqa: BLE001  # no number: it stays readable as an attribute
        return record_point("metric", name, {}, {**fields, "user.value": value}, attributes)
    if number - number != 0:  # NaN or infinite: no aggregate could bear it
        return record_point("metric", name, {}, {**fields, "user.value": number}, attributes)
    return record_point("metric", name, {"value": number}, fields, attributes)


def _returned(name: str, result: Any, attributes: Mapping[str, Any] | None, fields: dict[str, Any]) -> None:
    if isinstance(result, Mapping) and "value" in result:
        more = {key: value for key, value in result.items() if key != "value"}
        _metric(name, result["value"], {**(attributes or {}), **more}, fields)
    elif isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping):  # noqa: PLR2004
        _metric(name, result[0], {**(attributes or {}), **result[1]}, fields)
    else:
        _metric(name, result, attributes, fields)


def score(target: str | Span, name: str, value: object, *, reason: str = "") -> str:
    """Record a correction or a late score; `events` shows it from then on, `events_raw` what was written.

    `target` is a span, a span id or an event id. `name` is a column of `events`, else a key of its attributes.
    Returns the id of the amendment.
    """
    identity = target.event_id if isinstance(target, Span) else target
    facts = {"target": identity, "column": name, "value": value} | ({"reason": reason} if reason else {})
    return record_point("event", AMENDED, {}, {}, facts)


def record_point(
    kind: str,
    name: str,
    columns: dict[str, Any],
    fields: dict[str, Any],
    attributes: Mapping[str, Any] | None,
    *,
    node: Node | None = None,
) -> str:
    """Record one row without a duration at `node`, by default where the running code is; return its event id."""
    node = node or place()
    now = ambient.now()
    event_id = columns.get("event_id") or ambient.ids.event(now)
    record: dict[str, Any] = {"event_id": event_id, "kind": kind, "name": name, "start_ns": now}
    if not node.sampled and name != AMENDED:  # a correction may be of a trace that was kept
        return cast("str", record["event_id"])
    if node.trace_id:
        record["trace_id"] = node.trace_id
        record["span_id"] = node.span_id
    scope = node.scope
    if not INHERITED.isdisjoint(fields):
        scope = scope.with_columns(inherited(fields))
    record |= columns
    flat = False
    try:
        flat = fill(record, fields, None if attributes is None else copied(attributes))
        if attributes and (more := spoken_of(record)):
            scope = scope.with_columns(more | scope.columns)
    except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
        process.lose(error, 0)
    process.write(record, scope.encoded, flat=flat)
    return cast("str", record["event_id"])
