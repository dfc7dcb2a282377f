from __future__ import annotations

import io
import re

from rich.cells import cell_len
from rich.console import Console

from tele.analysis import analyze, render
from tele.analysis.units import NOTHING


def shown(analysis, width=80):
    out = io.StringIO()
    render(analysis, Console(file=out, width=width, force_terminal=False))
    return out.getvalue()


def cells(text, title):
    """What the small table under `title` says in its first row, by column."""
    head, row, *_ = text.split(f"\n{title}\n", 1)[1].splitlines()
    split = [re.split(r"\s{2,}", line.strip()) for line in (head, row)]
    return dict(zip(*split, strict=False))


def chat(**fields):
    return {"name": "chat m", "operation": "chat", "model": "m"} | fields


def test_the_table_says_latency_cost_and_what_was_left_out_within_80_columns(log):
    log.add(
        [
            *(chat(condition="baseline", duration_ms=812.0, cost_usd=0.0123, input_tokens=1000) for _ in range(3)),
            chat(condition="baseline", success=False, status="error", error_type="RateLimitError"),
            chat(condition="few-shot", duration_ms=1_416.0, input_tokens=2000, output_tokens=10),
        ]
    )

    text = shown(analyze(log, "trial"))

    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines if "75.0 %" in line] == [
        ["baseline", "4", "75.0", "%", *["812", "ms"] * 4],
    ]
    assert [line.split() for line in lines if "$" in line] == [
        ["baseline", "$0.0369", "$12.30", "3,000", NOTHING],
    ]
    assert [line.split() for line in lines if "2,000" in line] == [
        ["few-shot", NOTHING, NOTHING, "2,000", "10", "1", "unpriced"],
    ]
    assert "baseline: 1 failed: not in the latencies" in lines
    assert "baseline: errors RateLimitError 1" in lines


def test_names_are_data_and_never_markup(log):
    log.add([chat(condition="[red]x[/red]", duration_ms=1.0)])

    assert "[red]x[/red]" in shown(analyze(log, "trial"))


def test_sampling_is_said(log):
    log.add(
        [
            chat(run_id="a", duration_ms=1.0),
            {
                "kind": "event",
                "name": "tele.experiment.sampled",
                "run_id": "a",
                "attributes": {"sampling_rate": 0.25},
            },
        ]
    )

    assert "Sampled: 25.0 % of the traces were kept" in shown(analyze(log, "trial"))


def test_an_experiment_without_spans_says_so(log):
    log.add([{"kind": "metric", "name": "loss", "value": 1.0}])

    assert "No requests" in shown(analyze(log, "trial"))


def test_groups_are_drawn_on_one_scale(log):
    log.add(chat(condition=c, duration_ms=float(ms)) for c, ms in (("slow", 1000), ("slow", 1000), ("quick", 100)))

    lines = [line for line in shown(analyze(log, "trial")).splitlines() if "┼" in line or "┤" in line]

    _, quick, slow = lines
    assert 0 < quick.index("┼") - len(" quick ") < 10 < slow.index("┼") <= 79


def test_sections_are_shown_where_they_were_asked_for(log):
    log.add(
        chat(duration_ms=100.0 + n, ttft_ms=10.0, start_ns=n * 10**9, end_ns=n * 10**9 + 10**8, output_tokens=5)
        for n in range(20)
    )

    text = shown(analyze(log, "trial", detail=["all"], budget_usd=1.0))

    assert cells(text, "time to first token").items() >= {"p50": "10.0 ms", "p95": "10.0 ms", "p99": "10.0 ms"}.items()
    assert cells(text, "reliability") == {"budget of 99.9 % burns": "0 ×"}
    assert "\nensembles\n" not in text
    nothing = "The log holds nothing for: cost, load, traces, ensembles, hedging, reasoning."
    assert " ".join(text.split()).endswith(nothing)
    assert max(map(len, text.splitlines())) <= 80


def test_names_of_wide_letters_leave_the_chart_in_line_and_long_times_the_names(log):
    log.add([chat(condition=name, duration_ms=725_000.0) for name in ("基準の条件", "baseline")])

    lines = shown(analyze(log, "trial")).splitlines()

    assert max(map(cell_len, lines)) <= 80
    assert len({cell_len(line) for line in lines if line.endswith("┼")}) == 1
    assert [line.split()[0] for line in lines if "100.0 %" in line] == ["baseline", "基準の条件"]


def test_figures_are_folded_and_never_cut_where_the_terminal_is_narrow(log):
    log.add([chat(condition="few-shot", duration_ms=725_000.0)])

    assert "…" not in shown(analyze(log, "trial"), width=40)
