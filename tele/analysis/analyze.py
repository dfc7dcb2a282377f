"""`analyze`: one experiment, every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tele.analysis.chosen import chosen, custom_metrics
from tele.analysis.figures import Analysis, Ensembles, Group, Reasoning
from tele.analysis.measure import measure
from tele.analysis.scope import Census, Reader, Scope, census, group_columns, requests

__all__ = ["analyze"]

_SAMPLED, _REASONED = "tele.experiment.sampled", "causal_trace.event.created"
_ENSEMBLES = frozenset({"ensemble", "ensemble.result"})


def analyze(reader: Reader, experiment: str, *, by: Sequence[str] = (), on: str | None = None) -> Analysis:
    """Return summary, latency, cost, reliability and tokens of an experiment, by group.

    `by` names columns of `events` or keys of `attributes`; without it the groups are the conditions, or one group with
    an empty key where there are none. `on` says what a request is: `llm` (a call of a model), `root` (a span without a
    parent), `all` (every span) or the name of spans; without it `llm` where there is any, else `root`. Runs that are
    archived or superseded are left out and counted. Times are in milliseconds, costs in US dollars.
    Raises UnknownExperiment, or BadInput where `by` or `on` name nothing.
    """
    seen = census(reader, experiment)
    columns = group_columns(reader, seen.scope, by) if by else ['"condition"']
    asked = requests(reader, seen, on)
    groups = measure(reader, asked, list(by) or ["condition"], columns)
    config = chosen(reader, seen)
    return Analysis(
        experiment=seen.scope.experiment,
        on=asked.on,
        summary=seen.summary,
        runs=seen.runs,
        groups=groups if by else _without_conditions(groups),
        sampling_rate=_sampling_rate(reader, seen),
        ensembles=_ensembles(reader, seen.scope) if _ENSEMBLES & seen.event_names else None,
        reasoning=_reasoning(reader, seen.scope) if _REASONED in seen.event_names else None,
        metrics_config=config,
        custom=custom_metrics(reader, seen, list(by) or ["condition"], columns, config.custom) if config else None,
    )


def _without_conditions(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """Return the groups, a single one without a condition under the empty key."""
    if len(groups) == 1 and groups[0].key == {"condition": None}:
        return (replace(groups[0], key={}),)
    return groups


def _sampling_rate(reader: Reader, seen: Census) -> float:
    if _SAMPLED not in seen.event_names:
        return 1.0
    rate = reader.rows(
        f"""SELECT min(TRY_CAST(attributes->>'$."sampling_rate"' AS DOUBLE)) FROM events
        WHERE {seen.scope.where} AND kind = 'event' AND name = '{_SAMPLED}'""",
        seen.scope.params,
    )[0][0]
    return 1.0 if rate is None else float(rate)


def _ensembles(reader: Reader, scope: Scope) -> Ensembles | None:
    row = reader.rows(f"SELECT count(*), avg(agreement) FROM ensembles WHERE {scope.where}", scope.params)[0]
    return Ensembles(*row) if row[0] else None


def _reasoning(reader: Reader, scope: Scope) -> Reasoning:
    chains = reader.rows(f"SELECT count(*) FROM chains WHERE {scope.where}", scope.params)[0][0]
    row = reader.rows(f"SELECT count(*), avg(confidence) FROM reasoning WHERE {scope.where}", scope.params)[0]
    return Reasoning(chains, *row)
