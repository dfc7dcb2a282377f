"""Many spans of the common workload's shape, made quickly: as journal lines, as plain records or as a Parquet table.

The shape, the names and the sizes are those of `benchmarks.workload`. Bodies are slices of one long text and durations
come out of a drawn list, which is what makes it quick; ids are those of a recording: time first, then a counter.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks.workload import FAILS, GAP_NS, MODELS, PAUSE_NS, SMALL, START_NS, STEPS, TOOLS, TRACE_SPANS, text

__all__ = ["SELECT", "Filler", "lifecycle", "lines", "write_table"]

SELECT = "SELECT * FROM source"
"""What `tele ingest --select` says about a table of `write_table`."""

_POOL_CHUNKS = 256
_CHUNK = 64 * 1024
_DRAWN = 8192
_LOGNORMAL = {"model": (20.3, 0.6), "tool": (18.0, 0.8), "small": (15.5, 0.7)}


class Filler:
    """Makes traces by number; two of one seed make the same traces."""

    def __init__(self, seed: int = 7, conditions: int = 4) -> None:
        draw = self._draw = random.Random(seed)
        self._pool = " ".join(text(draw, _CHUNK) for _ in range(_POOL_CHUNKS))
        self._took = {k: [int(draw.lognormvariate(*v)) for _ in range(_DRAWN)] for k, v in _LOGNORMAL.items()}
        self._conditions = conditions

    def trace(self, number: int, spans: int = TRACE_SPANS) -> list[dict[str, Any]]:
        """Spans of trace `number`: 20, or as many as asked for, in more steps of the same sort."""
        self._draw.seed(number)
        start = START_NS + number * GAP_NS
        trace = f"{start // 1_000_000:012x}{self._draw.getrandbits(80):020x}"
        facts = {"gen_ai.conversation.id": f"conv-{number}", "app.tenant": f"t{number % 7}"}
        root = self._span("chain.run", trace, None, number, 0, start, facts)
        found, at, left = [root], start + PAUSE_NS, spans - 1
        for position in range(left):
            kinds = STEPS[position % len(STEPS)][: left - 1]
            about: dict[str, Any] = {"gen_ai.agent.name": "researcher", "app.step": position}
            step = self._span("agent.step", trace, root, number, len(found), at, about)
            found.append(step)
            for kind in kinds:
                leaf = self._leaf(kind, trace, step, number, len(found), at + PAUSE_NS)
                found.append(leaf)
                at = leaf["end_ns"]
            step["end_ns"] = at = at + PAUSE_NS
            left -= 1 + len(kinds)
            if left < 1:
                break
        root["end_ns"] = at + PAUSE_NS
        return found

    def _span(
        self,
        name: str,
        trace: str,
        above: dict[str, Any] | None,
        number: int,
        position: int,
        start: int,
        facts: dict[str, Any],
    ) -> dict[str, Any]:
        fails = self._draw.random() < FAILS
        own = number * 1_000_000 + position
        span: dict[str, Any] = {
            "event_id": f"{start // 1_000_000:012x}7{own:019x}",
            "kind": "span",
            "name": name,
            "start_ns": start,
            "end_ns": start,
            "trace_id": trace,
            "span_id": f"{own:016x}",
            "parent_id": above["span_id"] if above else None,
            "condition": f"c{number % self._conditions}",
            "item_id": f"item-{number % 1000}",
            "status": "error" if fails else "ok",
            "success": not fails,
            "attributes": facts,
        }
        if fails:
            span["error_type"], span["error_message"] = "TimeoutError", "no answer within 30 s"
        return span

    def _leaf(
        self, kind: str, trace: str, above: dict[str, Any], number: int, position: int, start: int
    ) -> dict[str, Any]:
        draw = self._draw
        if kind == "model":
            model = MODELS[draw.randrange(len(MODELS))]
            facts: dict[str, Any] = {"gen_ai.request.temperature": 0.7}
            span = self._span(f"chat {model.name}", trace, above, number, position, start, facts)
            read, written = draw.randrange(180, 401), draw.randrange(80, 221)
            span |= {"operation": "chat", "provider": model.provider, "model": model.name}
            span |= {"input_tokens": read, "output_tokens": written, "cost_usd": model.cost(read, written)}
            span["input"] = [{"role": "user", "content": self._text(1000)}]
            span["output"] = [{"role": "assistant", "content": self._text(600)}]
        elif kind == "tool":
            tool = TOOLS[draw.randrange(len(TOOLS))]
            facts = {"gen_ai.tool.name": tool, "app.result": self._text(80)}
            span = self._span(f"execute_tool {tool}", trace, above, number, position, start, facts)
            span["operation"] = "execute_tool"
        else:
            small = SMALL[draw.randrange(len(SMALL))]
            facts = {"app.component": small, "app.items": draw.randrange(1, 41)}
            span = self._span(small, trace, above, number, position, start, facts)
        span["end_ns"] = start + self._took[kind][draw.randrange(_DRAWN)]
        return span

    def _text(self, length: int) -> str:
        at = self._draw.randrange(len(self._pool) - length)
        return self._pool[at : at + length]


def lifecycle(experiment: dict[str, str], name: str, ns: int) -> dict[str, Any]:
    """The event that says that a run began or ended."""
    event_id = f"{ns // 1_000_000:012x}8{random.Random(str(experiment) + name).getrandbits(76):019x}"
    return experiment | {"event_id": event_id, "kind": "event", "name": name, "start_ns": ns}


def lines(records: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Bodies of journal lines: JSON objects without their last brace, NULLs left out."""
    for record in records:
        yield orjson.dumps({key: value for key, value in record.items() if value is not None})[:-1]


def write_table(path: Path, first: int, traces: int, *, seed: int = 7) -> int:
    """Write traces as a Parquet table that has the columns of `events`; return its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    filler = Filler(seed)
    names = sorted({key for number in range(first, first + 40) for span in filler.trace(number) for key in span})
    as_text = {"attributes", "input", "output"}
    types = {"start_ns": pa.int64(), "end_ns": pa.int64(), "input_tokens": pa.int64(), "output_tokens": pa.int64()}
    types |= {"success": pa.bool_(), "cost_usd": pa.float64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for begin in range(first, first + traces, 1000):
            spans = [s for number in range(begin, min(begin + 1000, first + traces)) for s in filler.trace(number)]
            columns = [
                [orjson.dumps(s[name]).decode() if name in as_text and name in s else s.get(name) for s in spans]
                for name in names
            ]
            writer.write_table(pa.table(columns, schema=schema))
            rows += len(spans)
    return rows
