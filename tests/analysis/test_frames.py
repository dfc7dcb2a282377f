from __future__ import annotations

import pytest

from tele.analysis import analyze
from tele.analysis.frames import rows
from tele.errors import BadInput


def chat(**fields):
    return {"name": "chat m", "operation": "chat", "model": "m"} | fields


def test_a_frame_has_a_row_for_each_group_and_a_column_for_each_figure(log):
    pl = pytest.importorskip("polars")
    log.add([chat(condition="a", duration_ms=1.0), chat(condition="b", duration_ms=3.0, cost_usd=0.5)])

    found = analyze(log, "trial").frame()

    assert isinstance(found, pl.LazyFrame)
    told = found.select("key.condition", "latency.p50", "cost.total", "reliability.success_rate").collect().rows()
    assert told == [("a", 1.0, None, 1.0), ("b", 3.0, 0.5, 1.0)]


def test_a_name_that_begins_another_with_a_dot_is_a_column_too(log):
    names = {"app": "x", "app.tier": "gold"}
    failed = [chat(success=False, error_type=kind, attributes=names) for kind in ("Refused", "Refused.again")]
    log.add([chat(duration_ms=1.0, attributes=names), *failed])

    [row] = rows(analyze(log, "trial", by=list(names)).to_dict(), None)

    assert {name: row[name] for name in row if "app" in name or "Refused" in name} == {
        "key.app": "x",
        "key.app.tier": "gold",
        "reliability.errors.Refused": 1,
        "reliability.errors.Refused.again": 1,
    }


def test_a_section_is_a_frame_of_its_own(log):
    pytest.importorskip("polars")
    log.add(chat(condition=c, start_ns=n, end_ns=n + 5, duration_ms=5e-6) for n, c in enumerate("abab"))

    found = analyze(log, "trial", detail=["load"])

    assert found.frame("load").collect()["key.condition"].to_list() == ["a", "b"]
    with pytest.raises(BadInput, match="groups, load"):
        found.frame("cost")


def scored(condition, values, shift=0):
    return [
        {"kind": "metric", "name": "score", "condition": condition, "item_id": f"i{at + shift}", "value": value}
        | {"status": "unset", "success": None, "run_id": f"run {condition}"}
        for at, value in enumerate(values)
    ]


def test_comparisons_are_one_frame_whoever_is_asked_and_however_many_sides_n_has(log):
    pl = pytest.importorskip("polars")
    log.add(
        scored("a", [0.1, 0.4, 0.2, 0.9])
        + scored("b", [0.2, 0.7, 0.1, 0.8])
        + scored("c", [0.3, 0.1], 50)
        + [chat(condition=c, item_id="i1", duration_ms=1.0 + n, run_id=f"run {c}") for n, c in enumerate("abc")]
    )

    found = analyze(log, "trial", baseline="a")

    frame = found.significance.frame()
    assert isinstance(frame, pl.LazyFrame)
    told = frame.collect()
    assert told.equals(found.frame("comparisons").collect())
    score = told.filter(pl.col("metric") == "score").select("treatment", "n_baseline", "n_treatment").rows()
    assert score == [("b", 4, 4), ("c", 4, 2)]
    assert "effect" not in told.columns
    [low] = told.filter((pl.col("metric") == "score") & (pl.col("treatment") == "b"))["difference_low"].to_list()
    assert low == found.comparisons[-2].difference_interval[0]


def test_a_notebook_shows_what_was_compared_and_checked(log):
    log.add(scored("a", [0.1, 0.4, 0.2, 0.9]) + scored("b", [0.2, 0.7, 0.1, 0.8]))

    shown = analyze(log, "trial", baseline="a", fail_if=["score > 0.1"])._repr_html_()

    assert "<th>verdict</th>" in shown
    assert "FAILED: a: &#x27;score &gt; 0.1&#x27; holds" in shown


def test_a_notebook_shows_names_as_text(log):
    log.add([chat(condition="<script>x</script>", duration_ms=1.0)])

    shown = analyze(log, "trial")._repr_html_()

    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "1.00 ms" in shown
