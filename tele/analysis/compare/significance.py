"""What an analysis says beyond its figures: comparisons between its groups, and the guardrails of its experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from tele.analysis.aggregations import Reader
from tele.analysis.compare.compare import Options, compared
from tele.analysis.compare.declared import DECLARED, declarations
from tele.analysis.compare.guards import Condition, check, condition
from tele.analysis.compare.load import Source, recorded
from tele.analysis.compare.sides import conditions
from tele.analysis.comparisons import Check, Comparisons
from tele.analysis.figures import Analysis
from tele.analysis.scope import Census, Requests
from tele.errors import BadInput

__all__ = ["judged"]


def judged(
    reader: Reader,
    seen: Census,
    asked: Requests,
    found: Analysis,
    *,
    by: Sequence[str],
    columns: Sequence[str],
    baseline: str | None,
    options: Options | None,
    said: Sequence[str],
) -> Analysis:
    """Return an analysis with its comparisons and checks: guardrails, conditions in `said`. Raises BadInput.

    The sides are the values of `by`, by default the conditions; without a baseline or options, only what hypotheses
    ask is compared.
    """
    groups = [asdict(group) for group in found.groups]
    checks = _guardrails(reader, seen, columns, groups)
    for text in said:
        checks += _checked(reader, seen, columns, groups, condition(text), "fail-if", None)
    return replace(found, significance=_significance(reader, seen, asked, by, baseline, options), checks=tuple(checks))


def _significance(
    reader: Reader, seen: Census, asked: Requests, by: Sequence[str], baseline: str | None, options: Options | None
) -> Comparisons | None:
    """Return the comparisons with `baseline`, and those that hypotheses ask for; None where there is none."""
    declares = DECLARED in seen.event_names
    if baseline is None and options is None and not declares:
        return None
    wanted = baseline is not None or options is not None
    pair = conditions(reader, seen, asked, by if wanted else (), baseline, named=wanted)
    if pair is None:
        if wanted:
            raise BadInput("Which condition is the baseline? Say it with --baseline NAME.")
        return None
    if wanted and len(pair.names) == 1 and not declares:
        raise BadInput(f"{seen.scope.experiment!r} has nothing to compare {pair.names[0]!r} with.")
    return compared(reader, pair, options or Options(), only_declared=not wanted)


def _guardrails(
    reader: Reader, seen: Census, columns: Sequence[str], groups: Sequence[Mapping[str, Any]]
) -> list[Check]:
    """Hold each declared guardrail against each group; one that nobody can read is not well."""
    if DECLARED not in seen.event_names:
        return []
    found: list[Check] = []
    for said, early in declarations(reader, seen.scope).guardrails:
        try:
            found += _checked(reader, seen, columns, groups, condition(said), "guardrail", registered=early)
        except BadInput as refused:
            found.append(Check("guardrail", said, "all", None, None, ok=False, words=str(refused), registered=early))
    return found


def _checked(
    reader: Reader,
    seen: Census,
    columns: Sequence[str],
    groups: Sequence[Mapping[str, Any]],
    asked: Condition,
    kind: str,
    registered: bool | None,
) -> list[Check]:
    scope = seen.scope

    def means(name: str) -> dict[tuple[Any, ...], float]:
        """Mean of a recorded metric in each group, as its rows stand."""
        keys = "".join(f"{column} AS k{i}, " for i, column in enumerate(columns))
        by = ", ".join(f"k{i}" for i in range(len(columns)))
        rows = reader.rows(
            f"""SELECT {keys}favg(value) FROM events
            WHERE {scope.where} AND kind = 'metric' AND value IS NOT NULL AND name = ${len(scope.params) + 1}
            {f"GROUP BY {by}" if by else ""}""",
            [*scope.params, name],
        )
        return {tuple(row[:-1]): row[-1] for row in rows if row[-1] is not None}

    names = recorded(reader, Source(scope, Requests("", "", ()), "condition"))
    return check(asked, kind, groups, names, means, registered=registered)
