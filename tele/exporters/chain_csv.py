"""A chain as CSV: one line for each event, in the columns that Crucible's traces have, and those that it has not."""

from __future__ import annotations

import io

import orjson

from tele.exporters.csv_lines import csv_writer
from tele.telemetry.plain import plain
from tele.trace.chain import Chain

__all__ = ["COLUMNS", "media_type", "suffix", "write"]

suffix = ".csv"
media_type = "text/csv"
COLUMNS = (
    *("id", "timestamp", "type", "decision", "alternatives", "reasoning", "confidence", "code_section"),
    *("spec_reference", "parent", "depends_on", "stage", "experiment", "metadata"),
)
_RISKY = ("=", "+", "-", "@", "\t", "\r")


def write(chain: Chain, *, for_spreadsheets: bool = False) -> str:
    """Return a header and one line for each event; alternatives and dependencies are joined by `; `.

    With `for_spreadsheets` a text that Excel or its like would take for a formula begins with an apostrophe.
    """
    out = io.StringIO()
    rows = csv_writer(out)
    rows.writerow(COLUMNS)
    for event in chain.events:
        values = {
            "timestamp": "" if event.created_at is None else event.created_at.isoformat(),
            "alternatives": "; ".join(event.alternatives),
            "depends_on": "; ".join(event.depends_on),
            "metadata": orjson.dumps(plain(dict(event.metadata))).decode() if event.metadata else "",
        }
        row = [values[name] if name in values else getattr(event, name) for name in COLUMNS]
        rows.writerow([_harmless(value) for value in row] if for_spreadsheets else row)
    return out.getvalue()


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_RISKY) else value
