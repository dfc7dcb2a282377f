from __future__ import annotations

import pytest

from tele.analysis import analyze
from tele.errors import BadInput


def chat(**fields):
    return {"name": "chat m", "operation": "chat", "model": "m"} | fields


def test_a_frame_has_a_row_for_each_group_and_a_column_for_each_figure(log):
    pl = pytest.importorskip("polars")
    log.add([chat(condition="a", duration_ms=1.0), chat(condition="b", duration_ms=3.0, cost_usd=0.5)])

    found = analyze(log, "trial").frame()

    assert isinstance(found, pl.LazyFrame)
    rows = found.select("key.condition", "latency.p50", "cost.total", "reliability.success_rate").collect().rows()
    assert rows == [("a", 1.0, None, 1.0), ("b", 3.0, 0.5, 1.0)]


def test_a_section_is_a_frame_of_its_own(log):
    pytest.importorskip("polars")
    log.add(chat(condition=c, start_ns=n, end_ns=n + 5, duration_ms=5e-6) for n, c in enumerate("abab"))

    found = analyze(log, "trial", detail=["load"])

    assert found.frame("load").collect()["key.condition"].to_list() == ["a", "b"]
    with pytest.raises(BadInput, match="groups, load"):
        found.frame("cost")


def test_a_notebook_shows_names_as_text(log):
    log.add([chat(condition="<script>x</script>", duration_ms=1.0)])

    shown = analyze(log, "trial")._repr_html_()

    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "1.00 ms" in shown
