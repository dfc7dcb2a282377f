"""Which metrics can be compared, what they are read from, and which direction is better."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tele.analysis.comparisons import Better
from tele.errors import BadInput

__all__ = ["OF_REQUESTS", "Metric", "directed", "metric", "pairs"]

_TOKENS = "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, and where a value of it stands."""

    name: str
    better: Better | None
    sql: str | None
    """SQL of the value of a request; None where it is a metric that the user recorded."""
    unit: str | None = None
    quantile: float | None = None
    """Which quantile of the requests' values is compared; None for their mean."""
    of: str | None = None
    """The recorded metric that this is of, where it has another name."""
    k: int = 0
    """Attempts of pass@k and pass^k; 0 where it is neither."""
    every: bool = False
    """Whether all k attempts have to succeed: pass^k."""

    @property
    def recorded(self) -> str:
        """Name under which values are recorded."""
        return self.of or self.name


OF_REQUESTS = {
    "latency": Metric("latency", "lower", "CASE WHEN success IS NOT FALSE THEN duration_ms END", "ms"),
    "ttft": Metric("ttft", "lower", "CASE WHEN success IS NOT FALSE THEN ttft_ms END", "ms"),
    "cost": Metric("cost", "lower", "cost_usd", "USD"),
    "tokens": Metric(
        "tokens",
        "lower",
        f"CASE WHEN coalesce(input_tokens, output_tokens) IS NOT NULL THEN ({_TOKENS})::DOUBLE END",
        "tokens",
    ),
    "success": Metric("success", "higher", "success::INT::DOUBLE"),
}
"""Metrics that every request has: what it took, cost and counted, and whether it succeeded."""

_PASS = re.compile(r"(.+)\.pass([@^])([1-9]\d*)")
_QUANTILE = re.compile(r"(latency|ttft)\.p(\d{1,2}(?:\.\d+)?)")


def metric(name: str, recorded: Sequence[str], better: Mapping[str, Better]) -> Metric:
    """Return the metric `name`: `latency`, `cost`, `tokens`, `success`, `ttft`, `latency.p99`, or a recorded one.

    `correct.pass@3` is the chance that one of 3 attempts at an item succeeds, `correct.pass^3` that all do.

    `better` declares directions by name, over what is usual. Raises BadInput, with the nearest names.
    """
    if match := _QUANTILE.fullmatch(name):
        whole = OF_REQUESTS[match[1]]
        return Metric(name, better.get(name, whole.better), whole.sql, whole.unit, float(match[2]) / 100)
    if (match := _PASS.fullmatch(name)) and name not in recorded:
        whole = metric(match[1], recorded, better)
        return Metric(name, better.get(name, "higher"), whole.sql, None, None, match[1], int(match[3]), match[2] == "^")
    if name in OF_REQUESTS:  # what the user recorded under that name is what they mean
        known = OF_REQUESTS[name]
        sql, unit = (None, None) if name in recorded else (known.sql, known.unit)
        return Metric(name, better.get(name, known.better), sql, unit)
    if name in recorded:
        return Metric(name, better.get(name), None)
    near = get_close_matches(name, [*recorded, *OF_REQUESTS], cutoff=0.5)
    hint = f" Nearest: {', '.join(near)}." if near else ""
    raise BadInput(f"No metric is named {name!r}; there are {', '.join([*OF_REQUESTS, *recorded])}.{hint}")


def directed(given: Mapping[str, str]) -> dict[str, Better]:
    """Return directions as they were declared; BadInput where one is neither `higher` nor `lower`."""
    found: dict[str, Better] = {}
    for name, direction in given.items():
        if direction not in ("higher", "lower"):
            raise BadInput(f"For {name!r} better is higher or lower, not {direction!r}.")
        found[name] = "higher" if direction == "higher" else "lower"
    return found


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """Return what `--better` and `--margin` say, `NAME=VALUE` each; BadInput where there is no `=`."""
    found = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        if not equals or not name:
            raise BadInput(f"{option} takes NAME=VALUE, not {text!r}.")
        found[name.strip()] = value.strip()
    return found
