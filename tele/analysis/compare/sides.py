"""What two names mean: conditions, runs or experiments; what can be read in several ways is refused with all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from tele.analysis.aggregations import Reader
from tele.analysis.compare.load import Source
from tele.analysis.scope import Census, Requests, census, group_columns, requests
from tele.errors import BadInput, UnknownTarget

__all__ = ["Pair", "conditions", "resolve"]


_TAIL = 8
"""Letters of a run id that may stand for it, where nothing bears them as its name."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The sides to compare, in order, the baseline first, and where their rows are."""

    of: str
    """`conditions`, `runs`, `experiments`, or the column that tells the sides apart."""
    experiment: str | None
    on: str
    names: tuple[str, ...]
    sources: tuple[Source, ...]
    seen: tuple[Census, ...]


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: str
    experiment: str
    name: str

    def __str__(self) -> str:
        if self.kind == "experiment":
            return f"experiment {self.name!r}"
        return f"{self.kind} {self.name!r} of {self.experiment!r}"


def conditions(
    reader: Reader, seen: Census, asked: Requests, by: Sequence[str], baseline: str | None, *, named: bool = True
) -> Pair | None:
    """Return the sides of one experiment: the values of `by` (default `condition`), the baseline first.

    Without a baseline it is `baseline` or `control` where there is such a one; else None where one has to be `named`,
    and the first where not. Raises BadInput where `baseline` is no value of the column.
    """
    if len(by) > 1:
        raise BadInput(f"Sides are told apart by one column; --by names {len(by)}: {', '.join(by)}.")
    column = group_columns(reader, seen.scope, by)[0] if by else '"condition"'
    found = reader.rows(
        f"""SELECT DISTINCT {column}::VARCHAR FROM events
        WHERE {seen.scope.where} AND kind <> 'event' AND {column} IS NOT NULL ORDER BY 1""",
        seen.scope.params,
    )
    values = [value for (value,) in found]
    if baseline is not None and baseline not in values:
        near = ", ".join(get_close_matches(baseline, values, cutoff=0.5) or values[:10]) or "none"
        what = by[0] if by else "condition"
        raise BadInput(f"{seen.scope.experiment!r} has no {what} {baseline!r}. There is: {near}.")
    first = baseline or next((value for value in ("baseline", "control") if value in values), None)
    if first is None:
        if named and values:
            return None
        if not values:  # no conditions: the experiment is one side
            name = seen.scope.experiment
            return Pair("experiments", name, asked.on, (name,), (Source(seen.scope, asked, '"experiment"'),), (seen,))
        first = values[0]
    names = (first, *(value for value in values if value != first))
    source = Source(seen.scope, asked, f"{column}::VARCHAR")
    return Pair(by[0] if by else "conditions", seen.scope.experiment, asked.on, names, (source,), (seen,))


def resolve(reader: Reader, a: str, b: str, *, experiment: str | None, on: str | None) -> Pair:
    """Return what `a` and `b` are: two conditions of one experiment, two runs, or two experiments.

    A run may be named by its last letters, eight or more. Raises UnknownTarget where a name means nothing, and BadInput
    with the candidates where the two can be read in more than one way.
    """
    if a == b:
        raise BadInput(f"Both sides are {a!r}; name two different ones.")
    within = census(reader, experiment).scope.experiment if experiment is not None else None
    left, right = _meanings(reader, a, within), _meanings(reader, b, within)
    for name, found in ((a, left), (b, right)):
        if not found:
            raise _unknown(reader, name, within)
    pairs = [(one, two) for one in left for two in right if _comparable(one, two)]
    if len(pairs) == 1:
        return _pair(reader, *pairs[0], on)
    if pairs:
        candidates = "; ".join(f"{one} and {two}" for one, two in pairs)
        raise BadInput(f"{a!r} and {b!r} can mean: {candidates}. Say which with --experiment, or by run id.")
    raise BadInput(
        f"{a!r} and {b!r} are not of one kind: {a!r} is {_either(left)}, {b!r} is {_either(right)}. Compare two "
        "conditions of one experiment, two runs, or two experiments."
    )


def _either(found: Sequence[_Meaning]) -> str:
    return " or ".join(map(str, found))


def _comparable(one: _Meaning, two: _Meaning) -> bool:
    return one.kind == two.kind and one != two and (one.kind != "condition" or one.experiment == two.experiment)


def _meanings(reader: Reader, name: str, within: str | None) -> list[_Meaning]:
    inside, params = ("", [name]) if within is None else (" AND experiment = $2", [name, within])
    found = [
        _Meaning("condition", experiment, name)
        for (experiment,) in reader.rows(
            f"SELECT DISTINCT experiment FROM events WHERE condition = $1 AND kind <> 'event'{inside} ORDER BY 1",
            params,
        )
    ]
    found += _runs(reader, f"run_id = $1{inside}", params)
    if within is None:
        rows = reader.rows("SELECT 1 FROM events WHERE experiment = $1 OR experiment_id = $1 LIMIT 1", [name])
        found += [_Meaning("experiment", name, name)] if rows else []
    if not found and len(name) >= _TAIL:
        return _runs(reader, f"ends_with(run_id, $1){inside}", params)
    return found


def _runs(reader: Reader, which: str, params: Sequence[object]) -> list[_Meaning]:
    rows = reader.rows(f"SELECT DISTINCT experiment, run_id FROM events WHERE {which} ORDER BY 1, 2", params)
    return [_Meaning("run", experiment, run) for experiment, run in rows]


def _unknown(reader: Reader, name: str, within: str | None) -> Exception:
    if within is None:
        rows = reader.rows("SELECT DISTINCT unnest([experiment, condition, run_id]) FROM events")
    else:
        rows = reader.rows("SELECT DISTINCT unnest([condition, run_id]) FROM events WHERE experiment = $1", [within])
    known = sorted({text for (text,) in rows if text is not None})
    return UnknownTarget(name, get_close_matches(name, known, cutoff=0.5))


def _pair(reader: Reader, one: _Meaning, two: _Meaning, on: str | None) -> Pair:
    names = (one.name, two.name)
    if one.kind == "experiment":
        seen = tuple(census(reader, each.name) for each in (one, two))
        names = (seen[0].scope.experiment, seen[1].scope.experiment)
    else:
        experiments = dict.fromkeys(each.experiment for each in (one, two))
        seen = tuple(census(reader, name) for name in experiments)
    column = {"condition": "condition", "run": "run_id", "experiment": "experiment"}[one.kind]
    if one.kind == "run":  # a run that is named is read, also where it is archived or superseded
        seen = tuple(replace(each, scope=replace(each.scope, left_out=())) for each in seen)
    asked = [requests(reader, each, on) for each in seen]
    if len({each.on for each in asked}) > 1:
        said = ", ".join(
            f"{each.on} in {census_.scope.experiment!r}" for each, census_ in zip(asked, seen, strict=True)
        )
        raise BadInput(f"Requests are {said}: say with --on which spans to compare.")
    sources = tuple(
        Source(each.scope, request, f'"{column}"', names) for each, request in zip(seen, asked, strict=True)
    )
    experiment = seen[0].scope.experiment if len(seen) == 1 else None
    return Pair(f"{one.kind}s", experiment, asked[0].on, names, sources, seen)
