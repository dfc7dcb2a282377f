"""`python -m benchmarks [--quick] [--only NAME]`: measure, print, write to benchmarks/results.

It is a measurement and not a test: a budget that is missed is said in the table, and the exit code stays 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import large, memory, question, sealing, spans, startup
from benchmarks.measure import QUICK, Row, Settings
from benchmarks.report import machine, print_table, write_results

TOPICS: dict[str, Callable[[Settings], list[Row]]] = {
    "spans": spans.rows,
    "sealing": sealing.rows,
    "question": question.rows,
    "large": large.rows,
    "startup": startup.rows,
    "memory": memory.rows,
}
RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, three rounds: shows that everything runs; no result is kept"
    )
    parser.add_argument(
        "--only", choices=TOPICS, action="append", help="measure this topic alone; may stand again; no result is kept"
    )
    given = parser.parse_args()
    settings = QUICK if given.quick else Settings()
    facts = machine()
    rows: list[Row] = []
    for name in given.only or TOPICS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += TOPICS[name](settings)
    print_table(rows)
    if not given.quick and not given.only:
        print(f"\nWrote {write_results(RESULTS, rows, settings, facts)} and latest.md beside it.")


if __name__ == "__main__":
    main()
