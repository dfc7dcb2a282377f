"""`analyze`: one experiment, every figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tele.analysis.aggregations import Reader
from tele.analysis.chosen import chosen, custom_metrics
from tele.analysis.figures import Analysis, Ensembles, Group, Reasoning
from tele.analysis.measure import measure
from tele.analysis.scope import Census, Scope, census, group_columns, requests
from tele.errors import BadInput

if TYPE_CHECKING:
    from tele.analysis.compare import Options

__all__ = ["analyze"]

_SAMPLED = "tele.experiment.sampled"
_DECLARED = "tele.experiment.declared"
_ENSEMBLES = frozenset({"ensemble", "ensemble.result"})
_REASONED = frozenset({"causal_trace.event.created", "causal_trace.chain.created"})
"""An answer without a single event is a chain too: that nothing was said is to be seen."""


def analyze(
    reader: Reader,
    experiment: str,
    *,
    by: Sequence[str] = (),
    on: str | None = None,
    last: str | timedelta | None = None,
    where: str | None = None,
    detail: Sequence[str] = (),
    budget_usd: float | None = None,
    service_level: float = 0.999,
    outcome: str = "correct",
    prices: str | None = None,
    baseline: str | None = None,
    options: Options | None = None,
    fail_if: Sequence[str] = (),
) -> Analysis:
    """Return summary, latency, cost, reliability and tokens of an experiment, by group.

    `by` names columns of `events` or keys of `attributes`; without it the groups are the conditions, or one group with
    an empty key where there are none. `on` says what a request is: `llm` (a call of a model), `root` (a span without a
    parent), `all` (every span) or the name of spans; without it `llm` where there is any, else `root`. `last` keeps
    rows that began within so long before now (`24h`, or a timedelta), `where` those for which an expression of SQL
    over columns and attributes holds. Runs that are archived or superseded are left out and counted.

    `detail` asks for deeper sections, or `all` (see `tele.analysis.detail.SECTIONS`): for those, `budget_usd` is to be
    spent, `service_level` is the share of requests that is promised to succeed, `outcome` the metric that says what was
    right, and `prices` the path of another price table. Times are in milliseconds, costs in US dollars.
    With a `baseline`, or `options` of a comparison, every other group is compared with it; what the experiment declares
    as hypotheses and guardrails is judged without being asked. `fail_if` are conditions that must hold in no group.
    Raises UnknownExperiment, or BadInput where an option names nothing or is not sound.
    """
    from tele.analysis.detail import Asked, Wanted, chosen_sections, look

    sections = chosen_sections(detail)
    wanted = Wanted(budget_usd, _share(service_level), outcome, prices)
    seen = census(reader, experiment, _narrowing(reader, last, where))
    names = list(by) or ["condition"]
    columns = group_columns(reader, seen.scope, by) if by else ['"condition"']
    asked = requests(reader, seen, on)
    measured = measure(reader, asked, names, columns)
    groups = measured if by else _without_conditions(measured)
    config = chosen(reader, seen)
    found = Analysis(
        experiment=seen.scope.experiment,
        on=asked.on,
        summary=seen.summary,
        runs=seen.runs,
        groups=groups,
        sampling_rate=_sampling_rate(reader, seen),
        ensembles=_ensembles(reader, seen.scope) if _ENSEMBLES & seen.event_names else None,
        reasoning=_reasoning(reader, seen.scope) if _REASONED & seen.event_names else None,
        metrics_config=config,
        custom=custom_metrics(reader, seen, names, columns, config.custom) if config else None,
        detail=look(Asked(reader, seen, asked, names, columns, groups, wanted), sections) if sections else None,
    )
    if baseline is None and options is None and not fail_if and _DECLARED not in seen.event_names:
        return found
    from tele.analysis.compare import judged  # numpy and the tests, for those who ask

    return judged(reader, seen, asked, found, by=by, columns=columns, baseline=baseline, options=options, said=fail_if)


def _share(level: float) -> float:
    if not 0 < level < 1:
        raise BadInput(f"A service level is a share between 0 and 1, such as 0.999, not {level!r}.")
    return level


def _narrowing(reader: Reader, last: str | timedelta | None, where: str | None) -> Callable[[Scope], str] | None:
    """Return what narrows the experiment down, or None where nothing does."""
    if last is None and where is None:
        return None
    from tele.analysis.narrow import narrowed

    return lambda scope: narrowed(reader, scope, last=last, where=where)


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
        WHERE {seen.scope.whole} AND kind = 'event' AND name = '{_SAMPLED}'""",
        seen.scope.params,
    )[0][0]
    return 1.0 if rate is None else float(rate)


def _ensembles(reader: Reader, scope: Scope) -> Ensembles | None:
    row = reader.rows(f"SELECT count(*), avg(agreement) FROM ensembles WHERE {scope.told}", scope.params)[0]
    return Ensembles(*row) if row[0] else None


def _reasoning(reader: Reader, scope: Scope) -> Reasoning:
    count = reader.rows(f"SELECT count(*) FROM chains WHERE {scope.told}", scope.params)[0][0]
    row = reader.rows(f"SELECT count(*), avg(confidence) FROM reasoning WHERE {scope.told}", scope.params)[0]
    return Reasoning(count, *row)
