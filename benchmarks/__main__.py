"""`python -m benchmarks [--quick] [--only NAME] [--events N]`: measure, print, write to benchmarks/results.

It is a measurement and not a test: a budget that is missed is said in the table, and the exit code stays 0. A topic
that fails is told and leaves the others be; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    bridge,
    collector,
    comparing,
    decorators,
    large,
    memory,
    neighbours,
    normaliser,
    onedocument,
    parsing,
    question,
    reasoning,
    scale,
    sealing,
    shapes,
    smallfiles,
    spans,
    startup,
    statistics,
)
from benchmarks.measure import QUICK, Row, Settings, Table
from benchmarks.report import machine, print_rows, print_table, write_results

TOPICS: dict[str, Callable[[Settings], list[Row] | list[Row | Table]]] = {
    "spans": spans.rows,
    "decorators": decorators.rows,
    "bridge": bridge.rows,
    "sealing": sealing.rows,
    "question": question.rows,
    "reasoning": reasoning.rows,
    "large": large.rows,
    "smallfiles": smallfiles.rows,
    "neighbours": neighbours.rows,
    "scale": scale.rows,
    "shapes": shapes.rows,
    "startup": startup.rows,
    "memory": memory.rows,
    "onedocument": onedocument.rows,
    "normaliser": normaliser.rows,
    "collector": collector.rows,
    "comparing": comparing.rows,
    "parsing": parsing.rows,
    "statistics": statistics.rows,
}
RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Parse the command line and measure."""
    given = _arguments()
    settings = QUICK if given.quick else Settings()
    if given.events:
        settings = dataclasses.replace(settings, large=given.events, scale=given.events)
    facts = machine()
    rows: list[Row] = []
    tables: list[Table] = []
    failed = []
    for name in given.only or TOPICS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            found = TOPICS[name](settings)
        except Exception:  # noqa: BLE001  # what the other topics measured in an hour is kept
            traceback.print_exc()
            failed.append(name)
            continue
        rows += (item for item in found if isinstance(item, Row))
        tables += (item for item in found if isinstance(item, Table))
    if rows:
        print_rows(rows)
    for table in tables:
        print_table(table)
    if not given.quick:
        name = "".join(f"-{topic}" for topic in given.only or ()) + (f"-{given.events}" if given.events else "")
        print(f"\nWrote {write_results(RESULTS, name, rows, tables, settings, facts)} and latest{name}.md beside it.")
    if failed:
        print(f"Failed: {', '.join(failed)}; see above.", file=sys.stderr)
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, three rounds: shows that everything runs; no result is kept"
    )
    parser.add_argument(
        "--only", choices=TOPICS, action="append", help="measure this topic alone; may stand again; kept under its name"
    )
    parser.add_argument(
        "--events", type=int, metavar="N", help="events of the large, growing and other stores; may be small or huge"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
