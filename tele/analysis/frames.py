"""An analysis as data frames: one row for each group, or for each entry of a section. Needs the extra `frames`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tele.errors import BadInput

if TYPE_CHECKING:
    import polars as pl

__all__ = ["flat", "frame", "rows"]


def frame(analysis: Mapping[str, Any], section: str | None) -> pl.LazyFrame:
    """Return a polars LazyFrame of the groups of an analysis, as its JSON has them, or of `section`.

    Names of columns are the keys of the JSON with dots between: `key.condition`, `latency.p99`. Lists stay lists, but
    for what is one number here and two there: of comparisons `n_baseline`, `n_treatment`, `difference_low` and `_high`.
    Raises BadInput where polars is missing or there is no such section.
    """
    try:
        import polars as pl
    except ImportError:
        raise BadInput("A frame needs polars: pip install 'tele[frames]'.") from None
    found = rows(analysis, section)
    return pl.LazyFrame(found, infer_schema_length=None) if found else pl.LazyFrame()


def rows(analysis: Mapping[str, Any], section: str | None) -> list[dict[str, Any]]:
    """Return the groups, or the entries of `section`, each as one flat row; all rows have the same columns."""
    if section in (None, "groups"):
        found = analysis["groups"]
    elif section in analysis.get("detail", {}):
        found = analysis["detail"][section]
    elif section in ("comparisons", "custom") and section in analysis:
        found = analysis[section]
    else:
        there = ["groups", *analysis.get("detail", {}), *(n for n in ("comparisons", "custom") if n in analysis)]
        raise BadInput(f"This analysis has no section {section!r}; it has {', '.join(there)}. Ask for it with detail.")
    told = [_sided(one) if section == "comparisons" else one for one in found]
    lines = [flat(one) for one in told]
    columns = dict.fromkeys(name for line in lines for name in line)
    whole = {name for one in told for name in _mappings(one)}  # a mapping here, and None in another row
    return [{name: line.get(name) for name in columns if name not in whole} for line in lines]


def _sided(one: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison with one column for each side and each end."""
    n, df = one["n"], one["df"]
    low, high = one["difference_interval"] or (None, None)
    sides = {"n_baseline": n[0], "n_treatment": n[1]} if isinstance(n, list) else {"n_baseline": n, "n_treatment": n}
    kept = {name: value for name, value in one.items() if name not in ("n", "difference_interval")}
    ends = {"difference_low": low, "difference_high": high}
    return {**kept, **sides, **ends, "df": None if isinstance(df, list) else df}


def _mappings(value: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The names under which mappings stand; a dot may be part of a key: `app` stands beside `app.tier`."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield f"{before}{key}"
            yield from _mappings(item, f"{before}{key}.")


def flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dots between the keys; an empty one is no column."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found |= flat(item, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = item
    return found
