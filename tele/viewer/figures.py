"""The figures of a page: one row per condition, each number beside a small mark on a scale that all rows share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tele.analysis.units import duration, money, number, share
from tele.viewer.target import Reader, Target
from tele.viewer.text import visible

__all__ = ["Figures", "Line", "figures", "from_groups"]


@dataclass(frozen=True, slots=True)
class Line:
    """One group's figures as text, and positions of its marks in percent of a shared scale (None: nothing to draw)."""

    label: str
    requests: str
    beside: str
    """What of the requests is failed, open or of unknown end."""
    p50: str
    p95: str
    p99: str
    at_p50: float | None
    at_p95: float | None
    at_p99: float | None
    success: str
    success_between: str
    at_success: float | None
    at_success_low: float | None
    at_success_high: float | None
    cost: str
    per_1k: str
    unpriced: str
    at_cost: float | None
    tokens_in: str
    tokens_out: str
    at_tokens_in: float | None
    at_tokens: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The table of figures."""

    by: str
    """What the groups are: `condition`; empty where all requests are one."""
    on: str
    """What a request is: `llm`, `root`, `all` or a span's name."""
    lines: tuple[Line, ...]
    latency_scale: str
    """Right end of the latency scale."""
    success_scale: str
    """Left end of the success scale."""
    sampled: str = ""
    """Share of the traces that were kept, where not all were."""


def figures(reader: Reader, target: Target) -> Figures | None:
    """Return the figures of an experiment or of one run; None for a trace or a chain, and where nothing counts."""
    from tele.analysis import analyze

    if target.experiment is None or target.kind not in ("experiment", "run"):
        return None
    if target.kind == "experiment":
        found = analyze(reader, target.experiment).to_dict()
        return from_groups(found["groups"], str(found["on"]), found.get("sampling_rate", 1.0))
    found = analyze(reader, target.experiment, by=["run_id", "condition"]).to_dict()
    groups = [
        group | {"key": {key: value for key, value in group["key"].items() if key != "run_id"}}
        for group in found["groups"]
        if group["key"].get("run_id") == target.name
    ]
    return from_groups(groups, str(found["on"]), found.get("sampling_rate", 1.0))


def from_groups(groups: Sequence[Mapping[str, Any]], on: str, sampling_rate: float = 1.0) -> Figures | None:
    """Return the figures of the groups of an analysis (`Analysis.to_dict()["groups"]`); None where there are none."""
    if not groups:
        return None
    slowest = max((_number(group["latency"]["p99"]) or 0.0 for group in groups), default=0.0)
    dearest = max(_number(group["cost"]["cost_per_1k_requests"]) or 0.0 for group in groups)
    longest = max(_per_request(group, "total") for group in groups)
    floor = _floor(groups)
    return Figures(
        by=" · ".join(groups[0]["key"]),
        on=on,
        lines=tuple(_line(group, slowest, dearest, longest, floor) for group in groups),
        latency_scale=duration(slowest),
        success_scale=f"{floor * 100:.0f} %",
        sampled=share(sampling_rate) if sampling_rate < 1 else "",
    )


def _line(group: Mapping[str, Any], slowest: float, dearest: float, longest: float, floor: float) -> Line:
    latency, cost, reliability = group["latency"], group["cost"], group["reliability"]
    tokens, requests = group["tokens"], int(reliability["total_requests"])
    low, high = reliability.get("success_rate_interval") or (None, None)
    return Line(
        label=" · ".join("(none)" if value is None else visible(value) for value in group["key"].values()) or "all",
        requests=number(requests),
        beside=", ".join(
            f"{number(reliability[key])} {key}" for key in ("failed", "open", "unknown") if reliability[key]
        ),
        p50=duration(latency["p50"]),
        p95=duration(latency["p95"]),
        p99=duration(latency["p99"]),
        at_p50=_at(latency["p50"], slowest),
        at_p95=_at(latency["p95"], slowest),
        at_p99=_at(latency["p99"], slowest),
        success=share(reliability["success_rate"]),
        success_between="" if low is None or high is None else f"{low * 100:.1f} to {high * 100:.1f} %",
        at_success=_above(reliability["success_rate"], floor),
        at_success_low=_above(low, floor),
        at_success_high=_above(high, floor),
        cost=money(cost["total"]),
        per_1k=money(cost["cost_per_1k_requests"]),
        unpriced=f"{number(cost['unpriced'])} unpriced" if cost["unpriced"] else "",
        at_cost=_at(cost["cost_per_1k_requests"], dearest),
        tokens_in=number(tokens["total_prompt"]),
        tokens_out=number(tokens["total_completion"]),
        at_tokens_in=_at(_per_request(group, "total_prompt"), longest),
        at_tokens=_at(_per_request(group, "total"), longest),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _at(value: object, whole: float) -> float | None:
    size = _number(value)
    return None if size is None or whole <= 0 else round(100 * size / whole, 2)


def _per_request(group: Mapping[str, Any], key: str) -> float:
    requests = group["reliability"]["total_requests"]
    return (_number(group["tokens"][key]) or 0.0) / requests if requests else 0.0


def _floor(groups: Sequence[Mapping[str, Any]]) -> float:
    """Return where the success scale begins: a step of 10 % below the lowest bound, so that small gaps can be seen."""
    bounds = [(group["reliability"].get("success_rate_interval") or (None,))[0] for group in groups]
    rates = [group["reliability"]["success_rate"] for group in groups]
    known = [value for value in (*bounds, *rates) if value is not None]
    return max(0.0, (int(min(known, default=0.0) * 10 + 1e-9)) / 10)


def _above(value: object, floor: float) -> float | None:
    rate = _number(value)
    return None if rate is None else round(100 * (rate - floor) / (1 - floor) if floor < 1 else 100.0, 2)
