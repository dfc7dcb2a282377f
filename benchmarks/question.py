"""The standard question on the common workload: percentiles per name, tokens and cost per model, error rate.

Ours opens the store and asks SQL; plain Python reads the same spans from JSON lines. Before any time counts, both
answers are held against the answer sheet that the generator computes from the workload itself.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Settings, race, wall
from benchmarks.stores import EXPERIMENT, recorded
from benchmarks.workload import QUANTILES, Answers, answers, percentile

__all__ = ["rows"]

_PERCENTILES = f"""
    SELECT name, quantile_cont(duration_ms, {list(QUANTILES)}), count(*), count(*) FILTER (success IS FALSE)
    FROM spans WHERE experiment = ? GROUP BY name"""
_COLUMNS = (
    *("name", "duration_ms", "success", "model", "input_tokens", "output_tokens", "cost_usd"),
    *("input", "output", "attributes"),
)
_MODELS = """
    SELECT model, sum(input_tokens + output_tokens)::BIGINT, sum(cost_usd)
    FROM llm_calls WHERE experiment = ? GROUP BY model"""


def rows(settings: Settings) -> list[Row]:
    """Measure the question with the store opened anew each time."""
    sheet = answers(settings.common)
    with recorded(settings.common) as store, tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "spans.jsonl"
        _write_lines(store, lines)
        for what, found in (("tele", _ask(store)), ("plain Python", _by_hand(lines))):
            _check(what, found, sheet)
        sides = {
            "tele, open included": lambda: wall(lambda: _ask(store)),
            "plain Python over JSONL": lambda: wall(lambda: _by_hand(lines)),
        }
        took = race(sides, settings.rounds)
    ours, plain = took.spread("tele, open included"), took.spread("plain Python over JSONL")
    against = f"plain Python over JSONL {plain.median:.3f} s; published: MLflow 1.0, Phoenix 4.6, Inspect 24 s"
    note = "wall; answers equal the generator's; libraries loaded and segments verified before"
    return [
        Row(
            "question",
            f"the standard question, {settings.common:,} spans",
            f"{ours.median:.3f} s",
            against,
            ours,
            0.15,
            "s",
            note,
        ),
    ]


def _ask(store: Path) -> Answers:
    from tele.store.reader import open_store

    with open_store(store) as reader:
        names = reader.rows(_PERCENTILES, [EXPERIMENT])
        models = reader.rows(_MODELS, [EXPERIMENT])
    count = sum(row[2] for row in names)
    return Answers(
        count,
        {row[0]: tuple(row[1]) for row in names},
        {row[0]: row[1] for row in models},
        {row[0]: row[2] for row in models},
        sum(row[3] for row in names) / count,
    )


def _write_lines(store: Path, path: Path) -> None:
    """Write the spans as a program without a store would: one JSON object a line, with its texts."""
    from tele.store.reader import open_store

    with open_store(store) as reader, path.open("w") as file:
        query = f"SELECT {', '.join(_COLUMNS)} FROM spans"
        file.writelines(json.dumps(dict(zip(_COLUMNS, row, strict=True))) + "\n" for row in reader.rows(query))


def _by_hand(path: Path) -> Answers:
    took: dict[str, list[float]] = defaultdict(list)
    tokens: Counter[str] = Counter()
    cost: Counter[str] = Counter()
    count = failed = 0
    with path.open() as file:
        for line in file:
            span: dict[str, Any] = json.loads(line)
            took[span["name"]].append(span["duration_ms"])
            count += 1
            failed += span["success"] is False
            if model := span["model"]:
                tokens[model] += span["input_tokens"] + span["output_tokens"]
                cost[model] += span["cost_usd"]
    ordered = {name: sorted(values) for name, values in took.items()}
    percentiles = {name: tuple(percentile(values, q) for q in QUANTILES) for name, values in ordered.items()}
    return Answers(count, percentiles, dict(tokens), dict(cost), failed / count)


def _check(what: str, found: Answers, sheet: Answers) -> None:
    """Raise ValueError where an answer is not the sheet's; floats may differ by the order of their sums."""
    exact = (found.spans, found.tokens, found.error_rate) == (sheet.spans, sheet.tokens, sheet.error_rate)
    same_names = found.percentiles.keys() == sheet.percentiles.keys() and found.cost.keys() == sheet.cost.keys()
    if not exact or not same_names:
        raise ValueError(f"{what} gives another answer than the workload: {found} instead of {sheet}")
    pairs = [
        (a, b)
        for name in sheet.percentiles
        for a, b in zip(found.percentiles[name], sheet.percentiles[name], strict=True)
    ]
    pairs += [(found.cost[name], sheet.cost[name]) for name in sheet.cost]
    if wrong := [pair for pair in pairs if not math.isclose(*pair, rel_tol=1e-9)]:
        raise ValueError(f"{what} gives other figures than the workload: {wrong[:3]}")
