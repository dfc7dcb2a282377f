"""Filters of events as data: the same mapping asks a chain in memory and, as SQL, all chains of a store.

`{"type": "hypothesis_formed", "confidence": {"gte": 0.5, "lt": 0.9}}` asks for both; a list asks for one of its
values. `{"and": [...]}`, `{"or": [...]}` and `{"not": {...}}` hold filters. The operators are `eq`, `ne`, `gt`, `gte`,
`lt`, `lte`, `in`, `exists`, `contains` (a text in it, whatever its case; of a list, one of its entries) and `matches`
(a regular expression in RE2's syntax, found anywhere in it). What an event does not state fulfils none of them but
`exists: False`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import isnan
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import orjson

from tele.errors import BadInput
from tele.telemetry.plain import plain

__all__ = ["COLUMNS", "Filter", "Sql", "matching", "parse_filter"]

COLUMNS = {
    **dict.fromkeys(
        ("id", "type", "decision", "reasoning", "code_section", "spec_reference", "parent", "stage"), "text"
    ),
    **dict.fromkeys(("alternatives", "depends_on"), "list"),
    **dict.fromkeys(("confidence", "position"), "number"),
    **dict.fromkeys(
        ("chain_id", "chain_name", "experiment", "run_id", "condition", "item_id", "of_experiment"), "text"
    ),
    **dict.fromkeys(("trace_id", "span_id"), "text"),
    "replicate": "number",
    "time": "time",
}
"""Fields that may be asked for, and what sort of thing each is; those of the last lines a store alone knows."""
_IN_MEMORY = {"of_experiment": "experiment", "time": "created_at"}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {"eq": eq, "ne": ne, "gt": gt, "gte": ge, "lt": lt, "lte": le}
_SIGN = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_OPERATORS = (*_COMPARE, "in", "contains", "matches", "exists")


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition over the view `reasoning`, and the values that its `?` stand for."""

    text: str
    params: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read: a leaf asks one thing of one field, a branch joins others."""

    how: str
    """An operator, or `and`, `or`, `not`."""
    field: str = ""
    value: Any = None
    parts: tuple[Filter, ...] = ()

    def test(self, get: Callable[[str], Any]) -> bool:
        """Whether an event fulfils it; `get` gives the value of a field, or None."""
        if self.how == "and":
            return all(part.test(get) for part in self.parts)
        if self.how == "or":
            return any(part.test(get) for part in self.parts)
        if self.how == "not":
            return not self.parts[0].test(get)
        return _test(self, get(self.field))

    def sql(self) -> Sql:
        """Return it as SQL that is TRUE or FALSE for every row, never NULL."""
        if self.how in ("and", "or"):
            parts = [part.sql() for part in self.parts]
            nothing = "TRUE" if self.how == "and" else "FALSE"
            joined = f" {self.how.upper()} ".join(f"({part.text})" for part in parts) or nothing
            return Sql(joined, tuple(value for part in parts for value in part.params))
        if self.how == "not":
            inner = self.parts[0].sql()
            return Sql(f"NOT ({inner.text})", inner.params)
        return _sql(self)


def parse_filter(given: Mapping[str, Any] | None) -> Filter:
    """Return the filter that a mapping stands for; None and an empty one ask nothing. Raises BadInput."""
    if given is None:
        return Filter("and")
    if not isinstance(given, Mapping):
        raise BadInput(f"A filter is a mapping such as {{'confidence': {{'gte': 0.5}}}}, not {given!r}.")
    return Filter("and", parts=tuple(_part(key, value) for key, value in given.items()))


def matching(given: Mapping[str, Any] | Filter | None) -> Callable[[Any], bool]:
    """Return a function that says whether an event fulfils the filter; raises BadInput.

    Fields that a store alone knows (`run_id`, `condition`, ...) an event by itself does not state.
    """
    found = given if isinstance(given, Filter) else parse_filter(given)
    return lambda event: found.test(partial(_value, event))


def _value(event: Any, field: str) -> Any:
    if field == "experiment":  # the log's own word for where the event was recorded
        return None
    if field.startswith("metadata."):
        found = event.metadata.get(field.removeprefix("metadata."))
        return found if found is None or isinstance(found, str) else orjson.dumps(plain(found)).decode()
    return getattr(event, _IN_MEMORY.get(field, field), None)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _part(key: str, value: Any) -> Filter:
    if key in ("and", "or"):
        if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
            raise BadInput(f"{key!r} holds a list of filters, not {value!r}.")
        return Filter(key, parts=tuple(parse_filter(each) for each in value))
    if key == "not":
        return Filter("not", parts=(parse_filter(value),))
    if key not in COLUMNS and not key.startswith("metadata."):
        raise BadInput(f"There is no field {key!r} to filter by; there are {', '.join(COLUMNS)} and metadata.KEY.")
    if isinstance(value, Mapping):
        return Filter("and", parts=tuple(_leaf(key, how, wanted) for how, wanted in value.items()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return _leaf(key, "in", value)
    return _leaf(key, "eq", value)


def _leaf(field: str, how: str, value: Any) -> Filter:
    if how not in _OPERATORS:
        raise BadInput(f"{how!r} is no operator of a filter; there are {', '.join(_OPERATORS)}.")
    kind = COLUMNS.get(field, "text")
    if how == "exists":
        if not isinstance(value, bool):
            raise BadInput(f"exists is True or False, not {value!r}.")
        return Filter(how, field, value)
    if how == "in":
        if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
            raise BadInput(f"'in' takes a list of values, not {value!r}.")
        return Filter(how, field, tuple(_fit(field, kind, each) for each in value))
    if how == "matches":
        return Filter(how, field, _expression(value))
    if how == "contains" or kind == "list":
        if not isinstance(value, str):
            raise BadInput(f"{field!r} is searched for a text, not for {value!r}.")
        return Filter("contains" if how == "eq" else how, field, value)
    return Filter(how, field, _fit(field, kind, value))


def _fit(field: str, kind: str, value: Any) -> Any:
    # NaN: in Python nothing is below it, in a database everything
    if kind == "number" and (isinstance(value, bool) or not isinstance(value, (int, float)) or isnan(value)):
        raise BadInput(f"{field!r} is compared with a number, not with {value!r}.")
    if kind == "time":
        return _time(field, value)
    if kind in ("text", "list") and not isinstance(value, str):
        raise BadInput(f"{field!r} is compared with a text, not with {value!r}.")
    return value


def _time(field: str, value: Any) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, dt.datetime):
        raise BadInput(f"{field!r} is compared with a time such as 2025-06-15T12:00:00+00:00, not with {value!r}.")
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def _expression(value: Any) -> str:
    import re2

    try:
        options = re2.Options()
        options.log_errors = False  # else its C++ writes to stderr
        re2.compile(value, options)
    except (re2.error, TypeError) as error:
        why = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise BadInput(f"{value!r} is no regular expression in RE2's syntax: {why}.") from None
    return str(value)


# ── asking an event ──────────────────────────────────────────────────────────────────────────────────────────────────


def _test(leaf: Filter, value: Any) -> bool:
    listed = isinstance(value, (list, tuple))
    if leaf.how == "exists":
        return (value is not None and not (listed and not value)) is leaf.value
    if value is None:
        return False
    if listed:
        return _test_list(leaf, value)
    if leaf.how == "in":
        return value in leaf.value
    if leaf.how == "contains":
        return leaf.value.lower() in str(value).lower()
    if leaf.how == "matches":
        import re2

        return re2.search(leaf.value, str(value)) is not None
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    return isinstance(value, (str, int, float, dt.datetime)) and bool(_COMPARE[leaf.how](value, leaf.value))


def _test_list(leaf: Filter, value: Iterable[Any]) -> bool:
    one = Filter("eq" if leaf.how == "contains" else leaf.how, leaf.field, leaf.value)
    if leaf.how == "ne":
        return bool(value) and all(_test(one, entry) for entry in value)
    return any(_test(one, entry) for entry in value)


# ── as SQL ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sql(leaf: Filter) -> Sql:
    column, listed = _column(leaf.field), COLUMNS.get(leaf.field) == "list"
    if leaf.how == "exists":
        there = f"coalesce(len({column}), 0) > 0" if listed else f"{column} IS NOT NULL"
        return Sql(there if leaf.value else f"NOT ({there})", _own(leaf.field))
    if listed:
        one = _scalar(Filter("eq" if leaf.how == "contains" else leaf.how, leaf.field, leaf.value), "entry")
        found = f"len(list_filter({column}, lambda entry: coalesce({one.text}, FALSE)))"
        test = f"{found} > 0" if leaf.how != "ne" else f"len({column}) > 0 AND {found} = len({column})"
        return Sql(f"coalesce({test}, FALSE)", one.params)
    one = _scalar(leaf, column)
    return Sql(f"coalesce({one.text}, FALSE)", (*_own(leaf.field), *one.params))


def _scalar(leaf: Filter, column: str) -> Sql:
    if leaf.how == "in":
        marks = ", ".join("?" * len(leaf.value))
        return Sql(f"{column} IN ({marks})" if leaf.value else "FALSE", leaf.value)
    if leaf.how == "contains":
        return Sql(f"contains(lower({column}), lower(?))", (leaf.value,))
    if leaf.how == "matches":
        return Sql(f"regexp_matches({column}, ?)", (leaf.value,))
    return Sql(f"{column} {_SIGN[leaf.how]} ?", (leaf.value,))


def _column(field: str) -> str:
    return "metadata->>?" if field.startswith("metadata.") else field


def _own(field: str) -> tuple[object, ...]:
    """The key that the `?` of its column stands for, where it has one."""
    if not field.startswith("metadata."):
        return ()
    key = field.removeprefix("metadata.").replace("\\", "\\\\").replace('"', '\\"')
    return (f'$."{key}"',)
