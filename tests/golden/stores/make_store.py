"""Write the store that each format's golden copy was made from: `python make_store.py FOLDER`.

It is run once for each format, by the release that brought the format; what it wrote then is kept and never made again.
The store has every kind of file: two segments, a live tail, a span carried open, a body in blobs/, a correction.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import tele
from tele.store.layout import prepare
from tele.store.seal import seal

BODY = "a long prompt " * 4_000


def main() -> None:
    """Record, seal, record again; the second half stays in the journal."""
    path = Path(sys.argv[1])
    tele.configure(store=path, seal="manual")
    with tele.experiment("golden", condition="a", hypothesis="formats last"):
        for number in range(3):
            with tele.span("chat gpt-4o", item_id=f"i{number}", model="gpt-4o", provider="openai") as span:
                span.set(operation="chat", cost_usd=0.25 * (number + 1), tags=["x", "ü"])
                span.set(input_tokens=100 + number, output_tokens=10)
        with tele.span("big", item_id="big") as span:
            span.set(input=[{"role": "user", "content": BODY}])
        tele.metric("score", 0.5, step=7, item_id="i0")
    with tele.experiment("other"):
        tele.event("note", text="line\nbreak and \N{SNOWMAN}")
    seal(prepare(path))
    tele.score(_span_id(path), "cost_usd", 9.0, reason="golden")
    seal(prepare(path))
    with tele.experiment("golden", condition="b"), tele.span("in flight", item_id="i9"):
        time.sleep(0.3)  # its start is written after 100 ms
        tele.flush()
        seal(prepare(path))  # and is carried
        with tele.span("in the journal", item_id="i1", attributes={"k.dotted": [1, None, "2"]}):
            pass
        tele.flush()
        (path / ".gitignore").unlink()
        (path / "lease").unlink(missing_ok=True)
        os._exit(0)  # as if killed


def _span_id(path: Path) -> str:
    with tele.open(path) as store:
        return str(store.rows("SELECT span_id FROM events WHERE name = 'chat gpt-4o' AND item_id = 'i2'")[0][0])


if __name__ == "__main__":
    main()
