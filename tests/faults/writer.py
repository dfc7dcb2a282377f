"""A program that records and says so on stdout only after each call has returned; the tests kill it."""

from __future__ import annotations

import os
import sys
import threading
import time

import tele


def main() -> None:
    """`writer.py STORE ACTION [N]`: record until killed, or N spans and then leave in some way."""
    store, action, count = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 10**9
    tele.configure(store=store, seal="manual", durability=os.environ.get("DURABILITY", "process"))
    with tele.experiment("faults", condition="a"):
        for number in range(count):
            with tele.span("work", n=number, text="x" * (number % 700)):
                pass
            os.write(1, b"%d\n" % number)
        leave(action)


def leave(action: str) -> None:
    """End the process in the way that `action` names."""
    if action == "raise":
        raise RuntimeError("boom")
    if action == "sys.exit":
        sys.exit(3)
    if action == "os._exit":
        os._exit(4)
    if action == "thread":
        thread = threading.Thread(target=lambda: [tele.event("from a thread") for _ in range(5)])
        thread.start()
        thread.join()
    if action == "hang":
        with tele.span("in flight", item_id="i1"):
            time.sleep(0.4)  # longer than a span may be open unwritten
            os.write(1, b"ready\n")
            time.sleep(60)


if __name__ == "__main__":
    main()
