"""A named aggregation: one question to the log, as SQL text, that an engine answers and another can answer as well."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Aggregation", "Reader", "Recorder", "ask"]

_PARAMETER = re.compile(r"'(?:[^']|'')*'|\$(\d+)")


class Reader(Protocol):
    """What the analysis needs of a store that is open for reading."""

    def rows(self, query: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...


@dataclass(frozen=True, slots=True)
class Aggregation:
    """A question: what it asks, what its columns are, and its text.

    Names in braces stand for parts that the analysis fills in: `{requests}` is a relation with its condition (a FROM
    clause up to where AND may follow), `{keys}` the columns to group by, each with a comma behind it and named k0, k1,
    ..., `{by}` those names with a comma behind each. The columns of the answer are the keys, then `columns`. Times are
    nanoseconds since the epoch or, where a name ends in ms, milliseconds; costs are US dollars; a sum of doubles is
    compensated (Kahan or better); a count of a column counts what is not NULL.
    """

    name: str
    says: str
    columns: tuple[str, ...]
    sql: str


@dataclass(slots=True)
class Recorder:
    """Passes questions on to a reader and keeps the text of those that have a name: what is printed is what ran."""

    reader: Reader
    asked: list[tuple[Aggregation, str]] = field(default_factory=list)

    def rows(self, query: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        return self.reader.rows(query, params)

    @property
    def flat_calls(self) -> bool:
        """What the reader knows."""
        return bool(getattr(self.reader, "flat_calls", False))

    @property
    def path(self) -> Path | None:
        """Where the reader's store lies, if it lies anywhere."""
        found: Path | None = getattr(self.reader, "path", None)
        return found

    def text(self) -> str:
        """Return the questions in the order in which they were asked, each with what it says before it."""
        return "\n\n".join(f"-- {asked.name}: {asked.says}\n{sql};" for asked, sql in self.asked)


def ask(reader: Reader, asked: Aggregation, params: Sequence[object] = (), **parts: str) -> list[tuple[Any, ...]]:
    """Return the answer to `asked`; `parts` fill in what its text leaves open."""
    query = asked.sql.format(**parts).strip()
    if isinstance(reader, Recorder):
        reader.asked.append((asked, _PARAMETER.sub(lambda found: _filled(found, params), query)))
    return reader.rows(query, params)


def _filled(found: re.Match[str], params: Sequence[object]) -> str:
    """A parameter as the literal of its value; text in quotes stays as it is."""
    return found[0] if found[1] is None else _literal(params[int(found[1]) - 1])


def _literal(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if value is None or isinstance(value, bool | int | float):
        return "NULL" if value is None else str(value)
    return "'" + str(value).replace("'", "''") + "'"
