"""`tele price` and `tele reprice`: what they print, and one sentence for what cannot be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import tele
from tele.testing import temporary_store


def run(*arguments, **environment):
    command = [sys.executable, "-m", "tele", *map(str, arguments)]
    kept = {key: value for key, value in os.environ.items() if key != "TELE_PRICES"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**kept, **environment})


@pytest.fixture
def store(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path), tele.experiment("e"):
        for model, stated in (("gpt-4o", None), ("mine", None), ("gpt-4o", 7.0)):
            with tele.span("chat", model=model, operation="chat", input_tokens=1_000_000, cost_usd=stated):
                pass
    return path


def test_a_model_has_its_row_its_source_and_its_cost():
    counts = ("--input", 1000, "--output", 500, "--cached", 200)
    done = run("price", "openai/gpt-4o-2024-08-06", "--at", "2026-11-01", *counts, "--format", "json")
    facts = json.loads(done.stdout)
    # https://openai.com/api/pricing: 2.50 in, 1.25 cached, 10 out
    assert facts["cost_usd"] == pytest.approx((800 * 2.5 + 200 * 1.25 + 500 * 10) / 1e6)
    [used] = [row for row in facts["rows"] if row["used"]]
    assert (used["table"], used["row"], used["name"]) == ("genai-prices", "openai/gpt-4o", "without openai/")
    assert used["price_ref"].endswith(" openai/gpt-4o 2026-11-01")
    assert "batch" in facts["tiers"]


def test_a_person_reads_why_and_how_much():
    done = run("price", "gemini-2.5-pro", "--tier", "batch", "--input", 300_000)
    assert done.returncode == 0
    assert done.stdout.startswith("Used: genai-prices ")
    assert "200,000" in done.stdout
    assert "Cost: $0.375\n" in done.stdout  # above 200,000 tokens 1.25 for each million, for all of them


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("price", "gpt-5o"), "Nearest: gpt-5"),
        (("price", "deepseek-r1", "--provider", "ollama"), "Without --provider it is deepseek/deepseek-reasoner"),
        (("price", "gpt-4o", "--tier", "scale"), "It has: standard, batch"),
        (("price", "gpt-4o", "--at", "yesterday"), "--at is a date such as 2026-07-01"),
        (("price", "gpt-4o", "--input", 5, "--cached", 6), "--cached and --cache-write are parts of --input"),
        (("price", "gpt-4o", "--format", "xml"), "--format is table or json"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(arguments, said):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_reprice_tries_then_appends_and_then_has_nothing_to_do(store):
    unknown = run("reprice", "e", "--dry-run", "--store", store)
    assert "No price: mine: 1 call, no table knows it.\n" in unknown.stdout
    own = store / "prices.toml"
    own.write_text('[[price]]\nmodel = "mine"\ninput = 3\n')
    tried = run("reprice", "e", "--dry-run", "--store", store)
    assert "1 call of 3 would change; 1 came with their cost." in tried.stdout
    assert "No price" not in tried.stdout
    done = json.loads(run("reprice", "e", "--store", store, "--format", "json").stdout)
    assert (done["changed"], done["amendments"], done["old_usd"], done["new_usd"]) == (1, 2, 9.5, 12.5)
    again = json.loads(run("reprice", "e", "--store", store, "--format", "json").stdout)
    assert (again["changed"], again["amendments"], again["unpriced"]) == (0, 0, [])
    costs = run("sql", "SELECT model, cost_usd FROM spans ORDER BY 1, 2", "--format", "json", "--store", store)
    assert [row["cost_usd"] for row in json.loads(costs.stdout)] == [2.5, 7.0, 3.0]
    assert run("check", "--deep", "--store", store).returncode == 0


def test_a_mistake_in_the_own_table_is_said_with_its_line_and_changes_nothing(store, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[price]]\nmodel = "mine"\ninput = "3"\n')
    done = run("reprice", "e", "--store", store, TELE_PRICES=str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "mine.toml, line 3: input is a number of US dollars, not '3'." in done.stderr
