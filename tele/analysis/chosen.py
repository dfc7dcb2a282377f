"""What the runs' metrics config asks an analysis for: which sections it shows, and which metrics of the user's."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from tele.analysis.figures import Chosen, CustomMetric
from tele.analysis.scope import Census, Reader

__all__ = ["CONFIGURED", "chosen", "custom_metrics"]

CONFIGURED = "tele.experiment.configured"


def chosen(reader: Reader, seen: Census) -> Chosen | None:
    """Return what the latest run asks for that asks for anything; None where none does."""
    if CONFIGURED not in seen.event_names:
        return None
    said = reader.rows(
        f"""SELECT arg_max(attributes->'$."metrics_config"', (start_ns, seq)) FROM events
        WHERE {seen.scope.whole} AND kind = 'event' AND name = '{CONFIGURED}'""",
        seen.scope.params,
    )[0][0]
    config = orjson.loads(said) if said else {}
    custom = config.get("custom") or []
    sections = {name: bool(config.get(name, True)) for name in ("latency", "cost", "success_rate", "tokens")}
    return Chosen(**sections, custom=tuple(map(str, custom)))


def custom_metrics(
    reader: Reader, seen: Census, names: Sequence[str], columns: Sequence[str], metrics: Sequence[str]
) -> tuple[CustomMetric, ...]:
    """Return the figures of `metrics` in each group of `columns` (SQL, named `names`) that has any."""
    if not metrics:
        return ()
    scope, width = seen.scope, len(columns)
    keys = ", ".join(f"k{i}" for i in range(width))
    rows = reader.rows(
        f"""SELECT {"".join(f"{column} AS k{i}, " for i, column in enumerate(columns))}
            name AS metric, count(value), favg(value), stddev_samp(value), min(value), max(value)
        FROM events WHERE {scope.where} AND kind = 'metric' AND list_contains(${len(scope.params) + 1}, name)
        GROUP BY {keys}, metric HAVING count(value) > 0 ORDER BY {keys}, metric""",
        [*scope.params, list(metrics)],
    )
    return tuple(CustomMetric(dict(zip(names, row[:width], strict=True)), *row[width:]) for row in rows)
