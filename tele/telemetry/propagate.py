"""Across threads and processes: W3C trace context and baggage.

`propagate()` gives what a child needs; a child process finds it in its environment, a thread or a pool's worker enters
`attach(carrier)`. Baggage carries the run's identity and pairing columns and nothing else of what it may hold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tele.store.names import experiment_id
from tele.telemetry.ambient import ambient
from tele.telemetry.process import process
from tele.telemetry.scope import OUTSIDE, Node, Scope, here, place

__all__ = ["attach", "from_environment", "node_of", "propagate"]

_KEYS = ("experiment", "run_id", "condition", "replicate", "item_id", "seed", "cluster", "conversation_id")
_PREFIX = "tele."
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_BAGGAGE = 8192


def propagate() -> dict[str, str]:
    """`TRACEPARENT` and `BAGGAGE` of where the running code is, for a child's environment or `attach`.

    Pass it as `env={**os.environ, **tele.propagate()}`; this function never edits `os.environ`.
    """
    from urllib.parse import quote

    node = place()
    trace = node.trace_id or ambient.ids.trace(ambient.now())
    carrier = {}
    if node.span_id:
        carrier["TRACEPARENT"] = f"00-{trace}-{node.span_id}-{'01' if node.sampled else '00'}"
    columns = node.scope.columns
    members = [
        f"{_PREFIX}{key}={quote(str(columns[key]), safe='', errors='surrogatepass')}" for key in _KEYS if key in columns
    ]
    if node.scope.sampling_rate < 1:
        members.append(f"{_PREFIX}sampling_rate={node.scope.sampling_rate:.20f}")
    carrier["BAGGAGE"] = ",".join(members)
    return carrier


@contextmanager
def attach(carrier: Mapping[str, str]) -> Iterator[None]:
    """Be, within this block, where `propagate()` was called that gave `carrier`."""
    token = here.set(node_of(carrier))
    try:
        yield
    finally:
        here.reset(token)


def from_environment(environ: Mapping[str, str] = os.environ) -> None:
    """Begin where the parent process was, when it said so."""
    node = node_of({key: environ[key] for key in ("TRACEPARENT", "BAGGAGE") if key in environ})
    if node is not OUTSIDE:
        here.set(node)


def node_of(carrier: Mapping[str, str]) -> Node:
    """Give the place that a carrier speaks of; OUTSIDE where it says nothing of use."""
    baggage, traceparent = (str(carrier.get(key) or "") for key in ("BAGGAGE", "TRACEPARENT"))
    columns = _baggage(baggage)
    rate = columns.pop("sampling_rate", process.settings.sampling_rate)
    match = _TRACEPARENT.fullmatch(traceparent)
    valid = match and match[1] != "ff" and set(match[2]) != {"0"} and set(match[3]) != {"0"}
    valid = valid and not (match and match[1] == "00" and match[5])  # only a later version may say more
    if not columns and not valid:
        return OUTSIDE
    name = columns.setdefault("experiment", OUTSIDE.scope.columns["experiment"])
    which = {"experiment": name, "experiment_id": experiment_id(name)}  # a run's id follows: `Closing` looks there
    scope = Scope(which | ({"run_id": columns["run_id"]} if "run_id" in columns else {}) | columns, rate)
    process.closing.join(scope.encoded)
    if not (match and valid):
        return Node(scope)
    return Node(scope, match[2], match[3], sampled=bool(int(match[4], 16) & 1))


def _baggage(text: str) -> dict[str, Any]:
    """Our members of a baggage header; it may be anybody's, so only known keys of sound values are taken."""
    found: dict[str, Any] = {}
    if len(text) > _MAX_BAGGAGE:  # a member that is cut would name something else
        text = text[:_MAX_BAGGAGE].rpartition(",")[0]
    for member in text.split(","):
        key, _, value = member.partition(";")[0].strip().partition("=")
        name = key.strip().removeprefix(_PREFIX)
        if not key.strip().startswith(_PREFIX):
            continue
        decoded = _unquoted(value.strip())
        if name in ("replicate", "seed"):
            if re.fullmatch(r"-?\d{1,18}", decoded):
                found[name] = int(decoded)
        elif name == "sampling_rate":
            if re.fullmatch(r"0?\.\d+", decoded) and float(decoded) > 0:
                found[name] = float(decoded)
        elif name in _KEYS:
            found[name] = decoded
    return found


def _unquoted(value: str) -> str:
    from urllib.parse import unquote

    try:
        return unquote(value, errors="surrogatepass")
    except UnicodeDecodeError:
        return unquote(value, errors="replace")


from_environment()
