"""`python -m benchmarks.page`: write docs/reference/benchmarks.md from the newest results in benchmarks/results.

The figures stand in the JSON files of the runs; the words stand here. A topic that was run by itself is shown from its
own newest file, at the largest size that was measured.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.measure import Ratio, Row, Table
from benchmarks.report import markdown_table, rows_markdown, where

__all__ = ["page"]

_HERE = Path(__file__).resolve().parent
_PAGE = _HERE.parent / "docs" / "reference" / "benchmarks.md"
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)((?:-[a-z]+)*)(?:-(\d+))?\.json")

_INTRODUCTION = """\
# Benchmarks

These are ratios where a ratio can be had: both sides run in turns within one process on one machine, and what is kept
is the median of the ratios of at least seven rounds. Costs are CPU seconds of all threads unless a line says that they
are by the clock. A budget that is missed says NO; nothing is left out of the table because it is slow.

`make bench` measures everything at sizes that take some minutes, and writes `benchmarks/results/<date>.json` and
`latest.md`. `python -m benchmarks --only TOPIC --events N` measures one topic at another size, and keeps its result
under both names. This page is made of those files by `python -m benchmarks.page`; its words stand in
`benchmarks/page.py`.
"""

_BUDGETS = """\
## Budgets

`hold` is what the design asks for. A line without it is shown for comparison only.
"""

_CURVE = """\
## How costs grow

One store grows by doubling, and at each size every step runs in a process of its own. If a step cost the same for every
event whatever the size of the store, its column would stay level; that is what should be seen for appending,
ingesting and sealing, since none of them reads what is sealed already, except that `tele ingest` reads the ids of its
experiment once, so that a file that is read again adds nothing. `analyze`, `percentiles` and `open` stand as totals:
the first two read two or three columns of every event and are expected to double with the store; opening reads the
manifest and what is not sealed yet. One trace should stay level: its row groups are found by the least and greatest
trace id, or by the bloom filter where ids are not in order of time.

How to read one line: the first column is the number of events in the store when the questions are asked. `append` is
the cost of handing a ready line to the journal; `ingest` is the whole way from a row of a Parquet table to a sealed
segment; `seal` is from the journal to the segment; `compact` is the cost of a row that compaction writes again, and the
column beside it says how many those were.
"""

_SHAPES = """\
## Stores of other shapes

The same number of events in other arrangements. Very many experiments are the dear one: each experiment has files of
its own, so that ten thousand small experiments are ten thousand small files.
"""

_NEIGHBOURS = """\
## Neighbours

What it costs to append the same events with what one would use otherwise. These do different things: tele writes each
event with a number and a checksum, so that a damaged line is noticed; SQLite and DuckDB keep tables that can be queried
at once; Delta writes one Parquet file for each append. Ours is written to be sealed later, which costs what the `seal`
column above says.
"""

_SECTIONS: tuple[tuple[str, frozenset[str]], ...] = (
    (_CURVE, frozenset({"scale", "scale-memory"})),
    (_SHAPES, frozenset({"shapes"})),
    (_NEIGHBOURS, frozenset({"neighbours"})),
)


def page(results: Path) -> str:
    """The page as Markdown; what was never measured has no section."""
    runs = _runs(results)
    rows: dict[str, tuple[Row, str]] = {}
    tables: dict[str, tuple[Table, str]] = {}
    for run in runs:
        measured = f"Measured {run['time'][:10]}: {where(run['machine'])}."
        rows |= {row["name"]: (_row(row), measured) for row in run["rows"]}
        tables |= {table["name"]: (_table(table), measured) for table in run.get("tables", [])}
    parts = [_INTRODUCTION, _BUDGETS]
    for measured in dict.fromkeys(said for _, said in rows.values()):
        parts += [measured + "\n", rows_markdown([row for row, said in rows.values() if said == measured]) + "\n"]
    for words, names in _SECTIONS:
        found = [tables[name] for name in tables if name in names]
        if found:
            parts += [words, found[0][1] + "\n", *(markdown_table(table) + "\n" for table, _ in found)]
    return "\n".join(parts)


def _runs(results: Path) -> list[dict[str, Any]]:
    """Runs of all files, so that a later one takes the place of what an earlier one says: by size, then by date."""
    named = [(match, path) for path in results.glob("*.json") if (match := _NAME.fullmatch(path.name))]
    named.sort(key=lambda item: (int(item[0][3] or 0), item[0][1], item[0][2]))
    return [json.loads(path.read_text()) for _, path in named]


def _row(facts: dict[str, Any]) -> Row:
    value = Ratio(**facts["value"]) if facts["value"] else None
    known = {field.name for field in fields(Row)}
    return Row(**{key: said for key, said in facts.items() if key in known} | {"value": value})


def _table(facts: dict[str, Any]) -> Table:
    lines = tuple(tuple(line) for line in facts["lines"])
    return Table(**facts | {"columns": tuple(facts["columns"]), "lines": lines})


if __name__ == "__main__":
    _PAGE.write_text(page(_HERE / "results"))
    print(f"Wrote {_PAGE}.")
