"""Search across the chains of a store: words, regular expressions, filters, aggregates. All of it is one SQL query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tele.errors import BadInput
from tele.store.reasoning import ARCHIVED, reasoning_sql
from tele.trace.chain import ReasoningEvent
from tele.trace.filters import COLUMNS, Filter, Sql, parse_filter

__all__ = [
    "EVENT_COLUMNS",
    "FIELDS",
    "TEXTS",
    "Asked",
    "Hit",
    "Reader",
    "aggregate_chains",
    "condition",
    "event_of",
    "most_rows",
    "search",
]

FIELDS = ("decision", "reasoning")
"""Where words are looked for when nobody says."""
TEXTS = ("decision", "reasoning", "alternatives", "code_section", "spec_reference", "chain_name")
_WORD = re.compile(r'"([^"]+)"|(\S+)')
_FUNCTIONS = {"mean": "avg", "median": "median", "min": "min", "max": "max", "sum": "sum", "count": "count"}
_EVENT = ("type", "decision", "reasoning", "id", "alternatives", "confidence", "code_section", "spec_reference")
_MORE = ("parent", "depends_on", "stage", "of_experiment")
EVENT_COLUMNS = (*_EVENT, *_MORE)
"""Columns of `reasoning` that `event_of` reads, in their order."""
_WHERE = ("chain_id", "chain_name", "position", "experiment", "run_id", "condition", "item_id", "trace_id", "span_id")


class Reader(Protocol):
    """What a search needs of an open store."""

    def rows(self, query: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """One event that was found, and where it stands."""

    event: ReasoningEvent
    chain_id: str | None
    chain_name: str | None
    position: int | None
    experiment: str | None
    run_id: str | None
    condition: str | None
    item_id: str | None
    trace_id: str | None
    span_id: str | None


def search(
    reader: Reader,
    text: str | None = None,
    *,
    regex: str | None = None,
    fields: Sequence[str] = FIELDS,
    where: Mapping[str, Any] | None = None,
    archived: bool = False,
    limit: int | None = None,
    **equal: Any,
) -> list[Hit]:
    """Return the events of all chains that say what is asked, in the order of the log.

    Every word of `text` must stand in one of `fields`, whatever its case; words in double quotes stay together.
    `regex` is in RE2's syntax and matches anywhere in one of `fields`. `where` is a filter (see `tele.trace.filters`);
    `min_confidence`, `max_confidence`, `since`, `until` and any field of a filter (`type="..."`, `stage="..."`,
    `experiment="..."`; a list for one of several) may stand as keywords. Archived chains are looked at where asked.
    Raises BadInput.
    """
    asked = condition(text, regex=regex, fields=fields, where=where, archived=archived, **equal)
    columns = ", ".join((*_EVENT, *_MORE, *_WHERE))
    most = most_rows(limit)
    rows = reader.rows(
        f"""SELECT {columns} FROM ({reasoning_sql(asked.raw.text)})
            WHERE {asked.text} ORDER BY start_ns, chain_id, position{most}""",
        (*asked.raw.params, *asked.params),
    )
    return [_hit(row) for row in rows]


def most_rows(limit: int | None) -> str:
    """Return SQL that takes at most so many rows; raises BadInput for a number below 0."""
    if limit is not None and limit < 0:
        raise BadInput(f"limit is at least 0, not {limit}.")
    return "" if limit is None else f" LIMIT {int(limit)}"


def aggregate_chains(
    reader: Reader,
    by: str,
    of: str = "confidence",
    how: str = "mean",
    *,
    where: Mapping[str, Any] | None = None,
    **equal: Any,
) -> dict[str, float]:
    """Return one number for each value of `by` over the events of all chains; else as `tele.trace.query.aggregate`.

    `by` and `of` are fields of a filter; keywords are as for `search`. Raises BadInput.
    """
    if how not in _FUNCTIONS:
        raise BadInput(f"An aggregate is {', '.join(_FUNCTIONS)}, not {how!r}.")
    for name, kinds in ((by, ("text", "number")), (of, ("number",) if how != "count" else tuple(COLUMNS.values()))):
        if COLUMNS.get(name) not in kinds:
            raise BadInput(f"{name!r} is no field to {'group by' if name == by else f'take the {how} of'}.")
    asked = condition(where=where, **equal)
    rows = reader.rows(
        f"""SELECT {by}::VARCHAR, {_FUNCTIONS[how]}({of}) FROM ({reasoning_sql(asked.raw.text)})
            WHERE {asked.text} AND {by} IS NOT NULL AND {of} IS NOT NULL GROUP BY 1 ORDER BY 1""",
        (*asked.raw.params, *asked.params),
    )
    return dict(rows)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the rows of the view `reasoning`, and what their JSON must hold for that to be so."""

    text: str
    params: tuple[object, ...]
    raw: Sql
    """Over the columns of `events`: reading fields out of JSON costs more than looking for a word in all of it."""


def condition(
    text: str | None = None,
    *,
    regex: str | None = None,
    fields: Sequence[str] = FIELDS,
    where: Mapping[str, Any] | None = None,
    archived: bool = False,
    **equal: Any,
) -> Asked:
    """Return what `search` asks as SQL; raises BadInput."""
    unknown = [name for name in fields if name not in TEXTS]
    if unknown or not fields:
        raise BadInput(f"Text is looked for in {', '.join(TEXTS)}, not in {', '.join(unknown) or 'nothing'}.")
    filters = [parse_filter(where), Filter("and", parts=tuple(_keywords(equal)))]
    parts = [each.sql() for each in filters]
    raw = [Sql("contains(attributes, ?)", (value,)) for each in filters for value in _stated(each) if _as_it_is(value)]
    words = _words(text)
    longest = max(filter(_as_it_is, words), key=len, default=None)  # the rarest, most likely
    raw += [] if longest is None else [Sql("regexp_matches(attributes, ?)", (_literal(longest),))]
    expressions = [_literal(word) for word in words] + ([_checked(regex)] if regex is not None else [])
    texts_alone = set(fields) <= _PATHS.keys()
    parts += [] if texts_alone else [_said(each, fields) for each in expressions]
    raw += [_said_in_json(each, fields) for each in expressions] if texts_alone else []
    if not archived:
        parts.append(Sql(f"coalesce(chain_id NOT IN (SELECT chain_id FROM ({ARCHIVED}) WHERE archived), TRUE)"))
    return Asked(*_joined(parts), Sql(*_joined(raw)))


_PATHS = {name: f'$."{name}"' for name in ("decision", "reasoning", "code_section", "spec_reference")}


def _joined(parts: Iterable[Sql]) -> tuple[str, tuple[object, ...]]:
    asked = [part for part in parts if part.text != "TRUE"]
    return " AND ".join(f"({part.text})" for part in asked) or "TRUE", tuple(v for p in asked for v in p.params)


def _words(text: str | None) -> list[str]:
    return [phrase or word for phrase, word in _WORD.findall(text or "")]


def _literal(word: str) -> str:
    """An expression that finds the word, whatever its case."""
    import re2

    return f"(?i){re2.escape(word)}"


def _checked(regex: str) -> str:
    parse_filter({"decision": {"matches": regex}})
    return regex


def _as_it_is(value: str) -> bool:
    """Whether a text stands in JSON letter by letter, whoever wrote that."""
    return value.isascii() and value.isprintable() and not set(value) & set('"\\/<>&')


def _stated(asked: Filter) -> Iterable[str]:
    """Texts that an event has to hold somewhere to fulfil a filter."""
    if asked.how == "and":
        return [value for part in asked.parts for value in _stated(part)]
    of_the_event = asked.field in (*_EVENT, "parent", "stage", "of_experiment", "chain_id")
    return [asked.value] if of_the_event and asked.how == "eq" and isinstance(asked.value, str) else []


def _said(expression: str, fields: Sequence[str]) -> Sql:
    """One of the fields says it; of a list, its entries as lines."""
    columns = [f"array_to_string({name}, chr(10))" if COLUMNS[name] == "list" else name for name in fields]
    return Sql(
        " OR ".join(f"coalesce(regexp_matches({column}, ?), FALSE)" for column in columns),
        (expression,) * len(columns),
    )


def _said_in_json(expression: str, fields: Sequence[str]) -> Sql:
    """The same of fields that are texts, which are read out of the JSON at one go."""
    paths = ", ".join(f"'{_PATHS[name]}'" for name in fields)
    return Sql(
        f"len(list_filter(json_extract_string(attributes, [{paths}]), lambda said: regexp_matches(said, ?))) > 0",
        (expression,),
    )


def _keywords(equal: Mapping[str, Any]) -> Iterable[Filter]:
    bounds = {
        "min_confidence": ("confidence", "gte"),
        "max_confidence": ("confidence", "lte"),
        "since": ("time", "gte"),
        "until": ("time", "lte"),
    }
    for name, value in equal.items():
        if value is not None:
            field, how = bounds.get(name, (name, ""))
            yield parse_filter({field: {how: value} if how else value})


def event_of(row: Sequence[Any]) -> ReasoningEvent:
    """Return the event that the values of EVENT_COLUMNS say."""
    said = dict(zip(EVENT_COLUMNS, row, strict=True))
    return ReasoningEvent(
        type=said["type"] or "",
        decision=said["decision"] or "",
        reasoning=said["reasoning"] or "",
        id=said["id"] or "",
        alternatives=tuple(said["alternatives"] or ()),
        confidence=said["confidence"],
        code_section=said["code_section"],
        spec_reference=said["spec_reference"],
        parent=said["parent"],
        depends_on=tuple(said["depends_on"] or ()),
        stage=said["stage"],
        experiment=said["of_experiment"],
    )


def _hit(row: Sequence[Any]) -> Hit:
    return Hit(event_of(row[: len(EVENT_COLUMNS)]), *row[len(EVENT_COLUMNS) :])
