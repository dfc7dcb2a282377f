"""All named aggregations, so that a second engine knows what it has to answer, and the page that lists them."""

from __future__ import annotations

from tele.analysis.aggregations.asking import Aggregation
from tele.analysis.aggregations.latency import HISTOGRAM, LOAD, LOG_RANK, SIZES, SURVIVAL, THROUGHPUT
from tele.analysis.aggregations.panels import CONFIDENCES, HEDGED, VOTES
from tele.analysis.aggregations.reliability import GAPS, RETRIES, TIMEOUTS
from tele.analysis.aggregations.requests import CENSUS, OUTCOMES, RANKED, REPRICED, SPENT, WINDOWS
from tele.analysis.aggregations.traces import SELF_TIME, SPANS

__all__ = ["AGGREGATIONS", "table"]

AGGREGATIONS: dict[str, Aggregation] = {
    each.name: each
    for each in (
        *(CENSUS, OUTCOMES, RANKED, WINDOWS),
        *(SIZES, HISTOGRAM, THROUGHPUT, SURVIVAL, LOG_RANK, LOAD),
        *(SPENT, REPRICED),
        *(TIMEOUTS, GAPS, RETRIES),
        *(SELF_TIME, SPANS),
        *(VOTES, HEDGED, CONFIDENCES),
    )
}


def table() -> str:
    """Return the aggregations as a Markdown table."""
    rows = [
        f"| `{each.name}` | {each.says} | {', '.join(f'`{name}`' for name in each.columns)} |"
        for each in AGGREGATIONS.values()
    ]
    return "\n".join(["| name | what it asks | columns, after the keys |", "|---|---|---|", *rows])
