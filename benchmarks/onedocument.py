"""How much memory one JSON document of hundreds of megabytes takes on its way into a store.

A profiler's trace and an OTLP document with all its spans in one group, each written without a line break: nothing of
them comes in lines, so only reading their long lists from the file keeps the memory small.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.measure import Ratio, Row, Settings, child

__all__ = ["rows"]

_MIB = 1 << 20
_BUDGET_MIB = 500
_BYTES_OF_AN_EVENT = 400


def rows(settings: Settings) -> list[Row]:
    """Measure the peak resident set of `tele ingest`, once for each."""
    count = settings.large
    found = []
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        for name, write in (("chrome", _write_chrome), ("otlp", _write_otlp)):
            path, store = Path(folder) / f"{name}.json", Path(folder) / f".tele-{name}"
            write(path, count)
            took = child(["-m", "tele", "ingest", str(path), "--experiment", name, "--store", str(store)])
            size, peak = path.stat().st_size / _MIB, took.peak / _MIB
            path.unlink()
            what = f"tele ingest, one {name} document of {size:,.0f} MiB ({count:,} spans)"
            note = f"largest process, peak resident set; {took.cpu:.1f} s of CPU"
            value = Ratio(peak, peak, peak)
            found.append(Row(f"onedocument-{name}", what, f"{peak:.0f} MiB", "", value, _BUDGET_MIB, "MiB", note))
    return found


def _filler(event: dict[str, object]) -> str:
    return "x" * max(0, _BYTES_OF_AN_EVENT - len(json.dumps(event)))


def _write_chrome(path: Path, count: int) -> None:
    with path.open("w") as out:
        out.write('{"schemaVersion": 1, "baseTimeNanoseconds": 1700000000000000000, "traceEvents": [')
        for number in range(count):
            event: dict[str, object] = {
                "ph": "X",
                "cat": "cpu_op",
                "name": f"aten::op{number % 50}",
                "pid": 1,
                "tid": 2,
            }
            event |= {"ts": number * 2.5, "dur": 2.25, "args": {"Call stack": "", "Ev Idx": number}}
            event["args"] = {"Ev Idx": number, "Call stack": _filler(event)}
            out.write((", " if number else "") + json.dumps(event))
        out.write("]}")


def _write_otlp(path: Path, count: int) -> None:
    with path.open("w") as out:
        out.write('{"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "s"}, "spans": [')
        for number in range(count):
            start = 1_700_000_000_000_000_000 + number * 1000
            span: dict[str, object] = {
                "traceId": f"{number // 50 + 1:032x}",
                "spanId": f"{number + 1:016x}",
                "name": "op",
            }
            span |= {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 900)}
            span["attributes"] = [{"key": "app.text", "value": {"stringValue": _filler(span)}}]
            out.write((", " if number else "") + json.dumps(span))
        out.write("]}]}]}")
