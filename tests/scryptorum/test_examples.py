"""The programs of Scryptorum's document, as written there but for the name that they import from."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest

import tele
from tele.errors import BadInput, UnknownTarget
from tele.scryptorum import (
    BaseRunnable,
    Experiment,
    RunType,
    batch_processor,
    experiment,
    get_current_run,
    llm_call,
    metric,
    run_context,
    set_current_run,
    set_default_run_type,
    time_operation,
    timer,
)

QUICK_START = '''
from tele.scryptorum import experiment, metric, timer, llm_call

@experiment(name="sentiment_analysis")
def main():
    """Analyze sentiment of customer reviews."""

    # Load and process data
    reviews = load_reviews()
    results = []

    for review in reviews:
        sentiment = analyze_sentiment(review)
        results.append(sentiment)

    # Calculate metrics
    accuracy = calculate_accuracy(results)
    return accuracy

@timer("data_loading")
def load_reviews():
    """Load customer reviews."""
    # Your data loading logic
    return ["Great product!", "Terrible service", "Love it!"]

@llm_call(model="gpt-4")
def analyze_sentiment(review: str) -> str:
    """Analyze sentiment using LLM."""
    # Your LLM call logic here
    prompt = f"Analyze sentiment of: {review}"
    # return llm_client.complete(prompt)
    return "positive"  # Placeholder

@metric(name="accuracy", metric_type="accuracy")
def calculate_accuracy(results):
    """Calculate sentiment accuracy."""
    # Your evaluation logic
    return 0.85
'''

CLASS = '''
from tele.scryptorum.execution.runner import BaseRunnable

class SentimentAnalysisRunnable(BaseRunnable):

    def prepare(self):
        """Setup resources and log experiment configuration."""
        self.model_config = self.config.get("model", {})
        self.run.log_event("model_configured", self.model_config)

    def run(self):
        """Execute the main experiment."""
        reviews = self.load_data()

        for review in reviews:
            sentiment = self.analyze_sentiment(review)
            self.run.log_llm_call(
                model="gpt-4",
                input_data=review,
                output_data=sentiment
            )

    def score(self):
        """Evaluate results and log metrics."""
        accuracy = self.calculate_accuracy()
        self.run.log_metric("accuracy", accuracy, "accuracy")

    def cleanup(self):
        """Clean up resources."""
        pass
'''

MANUAL = """
from tele.scryptorum import Experiment, RunType

# Create experiment manually
experiment = Experiment(".", "manual_experiment")
run = experiment.create_run(RunType.MILESTONE)

try:
    # Manual logging
    run.log_metric("custom_metric", 0.92, "f1_score")
    run.log_llm_call("gpt-3.5", "test prompt", "test response", 150.0)

    # Time operations manually
    with run.TimerContext(run, "data_processing"):
        process_data()

finally:
    run.finish()
"""

BATCH = '''
from tele.scryptorum.core.decorators import batch_processor

@batch_processor(batch_size=10, parallel=False)
def process_items(item):
    """Process items in batches with automatic logging."""
    return analyze_item(item)

# Usage
items = load_large_dataset()
results = process_items(items)  # Automatically batched and logged
'''


def ran(program, **names):
    """Run one of the programs with what it leaves to its reader."""
    exec(compile(program, "example.py", "exec"), names)
    return names


class TestAsWritten:
    def test_the_quick_start(self, tele_store):
        assert ran(QUICK_START)["main"]() == 0.85
        assert tele_store.rows("SELECT experiment, run_type, status, n_spans FROM runs") == [
            ("sentiment_analysis", "trial", "stopped", 4)
        ]
        assert tele_store.rows("SELECT name, model, operation, input, output FROM llm_calls ORDER BY start_ns") == [
            ("chat gpt-4", "gpt-4", "chat", json.dumps(text), '"positive"')
            for text in ("Great product!", "Terrible service", "Love it!")
        ]
        assert tele_store.rows("SELECT name, value, attributes->>'$.type' FROM metrics") == [
            ("accuracy", 0.85, "accuracy")
        ]
        assert tele_store.rows("SELECT success, duration_ms >= 0 FROM spans WHERE name = 'data_loading'") == [
            (True, True)
        ]

    def test_the_class_pattern_whose_method_run_is_shadowed_by_the_run(self, tele_store):
        made = ran(CLASS)["SentimentAnalysisRunnable"]
        made.load_data = lambda self: ["a", "b"]
        made.analyze_sentiment = lambda self, review: f"{review}: positive"
        made.calculate_accuracy = lambda self: 0.5

        made.launch("sentiment_analysis", {"model": {"name": "gpt-4"}})

        assert tele_store.rows("SELECT attributes->>'$.name' FROM events WHERE name = 'model_configured'") == [
            ("gpt-4",)
        ]
        assert tele_store.rows("SELECT input, output, duration_ms FROM llm_calls ORDER BY input") == [
            ('"a"', '"a: positive"', None),
            ('"b"', '"b: positive"', None),
        ]
        assert tele_store.rows("SELECT name, value FROM metrics") == [("accuracy", 0.5)]
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.started'")
        assert json.loads(text)["config"] == {"model": {"name": "gpt-4"}}

    def test_the_manual_pattern_and_its_timer_context(self, tele_store):
        seen = []
        run = ran(MANUAL, process_data=lambda: seen.append(get_current_run()))["run"]

        assert seen == [run]
        assert run.run_id.startswith("ms-")
        assert tele_store.rows("SELECT run_id, run_type, status FROM runs") == [(run.run_id, "milestone", "stopped")]
        assert tele_store.rows("SELECT name, duration_ms FROM llm_calls") == [("chat gpt-3.5", 150.0)]
        assert tele_store.rows("SELECT value, attributes->>'$.type' FROM metrics") == [(0.92, "f1_score")]
        assert tele_store.rows("SELECT count(*) FROM spans WHERE name = 'data_processing'") == [(1,)]

    def test_the_batches(self, tele_store):
        with tele.experiment("e"):
            names = ran(BATCH, analyze_item=lambda item: item * 2, load_large_dataset=lambda: range(25))
        assert names["results"] == [item * 2 for item in range(25)]
        assert tele_store.rows("""SELECT (attributes->>'$.items')::INT FROM events WHERE name = 'batch_completed'
            ORDER BY start_ns""") == [(10,), (10,), (5,)]
        assert tele_store.rows("""SELECT name FROM events WHERE name LIKE 'batch_processing%' ORDER BY start_ns""") == [
            ("batch_processing_started",),
            ("batch_processing_finished",),
        ]

    def test_a_program_that_imports_scryptorum_itself(self, tmp_path):
        program = MANUAL.replace("tele.scryptorum", "scryptorum") + CLASS.replace("tele.scryptorum", "scryptorum")
        head = "import tele.scryptorum\ntele.scryptorum.stand_in()\nprocess_data = lambda: None\n"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", head + program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_module_that_is_run_directly_is_a_trial(self, tmp_path):
        (tmp_path / "analysis.py").write_text(
            QUICK_START
            + textwrap.dedent("""
            if __name__ == "__main__":
                main()
            """)
        )
        for environment, kind in (({}, "trial"), ({"TELE_RUN_TYPE": "milestone"}, "milestone")):
            store = tmp_path / kind
            env = {**os.environ, "TELE_STORE": str(store), **environment}
            subprocess.run([sys.executable, "-m", "analysis"], cwd=tmp_path, env=env, check=True)
            with tele.open(store) as reader:
                assert reader.rows("SELECT run_type, status FROM runs") == [(kind, "stopped")]


class TestRules:
    def test_an_experiment_within_a_run_is_a_plain_call(self, tele_store):
        inner = experiment("inner")(lambda: get_current_run().name)
        assert experiment("outer")(inner)(project_root="/anywhere") == "outer"
        assert tele_store.rows("SELECT experiment FROM runs") == [("outer",)]

    def test_a_failing_experiment_says_so_and_the_exception_passes(self, tele_store):
        @experiment("e")
        def broken():
            raise KeyError("x")

        with pytest.raises(KeyError):
            broken()
        assert tele_store.rows("SELECT status FROM runs") == [("failed",)]
        assert tele_store.rows("SELECT attributes->>'$.error_type' FROM events WHERE name = 'experiment_error'") == [
            ("KeyError",)
        ]

    @pytest.mark.parametrize(
        ("returned", "recorded"),
        [
            (3, [(3.0, None)]),
            (0.5, [(0.5, None)]),
            ({"value": 2, "n": 7}, [(2.0, "7")]),
            ((1, {"n": 7}), [(1.0, "7")]),
            ("text", []),
            (None, []),
            ({"other": 1}, []),
            ((1, 2), []),
            ({"value": 1, "name": "x", "metric_type": "y"}, [(1.0, None)]),
        ],
    )
    def test_a_metric_takes_numbers_mappings_and_pairs(self, tele_store, returned, recorded):
        @metric()
        def judged():
            return returned

        with tele.experiment("e"):
            assert judged() == returned
        assert tele_store.rows("SELECT value, attributes->>'$.n' FROM metrics WHERE name = 'judged'") == recorded

    @pytest.mark.parametrize(
        ("args", "kwargs", "recorded"),
        [
            (("p",), {}, '"p"'),
            (("p", 2), {}, '["p",2]'),
            ((), {"prompt": "p", "n": 1}, '"p"'),
            ((), {"input": "p"}, '"p"'),
            ((), {"messages": ["m"]}, '{"messages":["m"]}'),
        ],
    )
    def test_the_input_of_a_call_is_what_the_document_says(self, tele_store, args, kwargs, recorded):
        @llm_call()
        def ask(*args, **kwargs):
            return "answer"

        with tele.experiment("e"):
            ask(*args, **kwargs)
        assert tele_store.rows("SELECT model, input, output FROM llm_calls") == [("unknown", recorded, '"answer"')]

    def test_input_and_output_can_stay_out(self, tele_store):
        @llm_call("m", log_input=False, log_output=False)
        def ask(prompt):
            return prompt

        with tele.experiment("e"):
            ask("p")
        assert tele_store.rows("SELECT input, output FROM llm_calls") == [(None, None)]

    def test_a_failing_call_is_recorded_and_raised(self, tele_store):
        @llm_call("m")
        async def ask(prompt):
            raise TimeoutError("late")

        with tele.experiment("e"), pytest.raises(TimeoutError):
            asyncio.run(ask("p"))
        assert tele_store.rows("SELECT success, error_type, error_message, input, output FROM llm_calls") == [
            (False, "TimeoutError", "late", '"p"', None)
        ]

    def test_a_timer_records_also_where_the_function_raises(self, tele_store):
        @timer("t")
        def broken():
            raise ValueError

        with tele.experiment("e"):
            with pytest.raises(ValueError):
                broken()
            with time_operation("block"):
                pass
        assert tele_store.rows("SELECT name, success FROM spans ORDER BY start_ns") == [("t", False), ("block", True)]

    def test_outside_a_run_nothing_is_recorded(self, tele_store):
        with time_operation("x"):
            timer("t")(metric("m")(llm_call("c")(lambda prompt: 1)))("p")
        assert batch_processor(2)(lambda item: item)([1]) == [1]
        tele.event("the only one")
        assert tele_store.rows("SELECT name FROM events") == [("the only one",)]

    def test_items_in_parallel_are_in_the_run_and_in_order(self, tele_store):
        meet = threading.Barrier(4, timeout=10)

        @batch_processor(batch_size=4, parallel=True)
        def work(item):
            meet.wait()  # all four at once, or this fails
            get_current_run().log_metric("item", item)
            return item

        with tele.experiment("e") as run:
            assert work(iter(range(8))) == list(range(8))
        assert tele_store.rows("SELECT count(*), min(run_id) FROM metrics WHERE name = 'item'") == [(8, run.run_id)]

    def test_contexts_nest_and_restore(self, tele_store):
        first, second = (Experiment(".", name).create_run() for name in ("a", "b"))
        with run_context(first):
            with run_context(second):
                assert get_current_run() is second
            assert get_current_run() is first
        assert get_current_run() is None
        set_current_run(first)
        assert get_current_run() is first
        set_current_run(None)
        assert get_current_run() is None
        first.finish()
        second.finish()

    def test_the_default_run_type_is_what_was_set(self, tele_store):
        for named in ("milestone", RunType.TRIAL):
            set_default_run_type(named)
            run = Experiment(".", "e").create_run()
            run.finish()
            assert run.run_type == named
        with pytest.raises(BadInput):
            set_default_run_type("rehearsal")


class TestRuns:
    def test_a_new_trial_stands_for_the_old_one_which_stays_in_the_log(self, tele_store):
        known = Experiment(".", "e")
        assert known.list_runs() == []
        ids = []
        for value in (1, 2):
            run = known.create_run(RunType.TRIAL)
            run.log_metric("m", value)
            run.finish()
            ids.append(run.run_id)

        assert [(run.run_id, run.status) for run in known.list_runs()] == [(ids[1], "stopped"), (ids[0], "superseded")]
        assert tele_store.rows("SELECT value FROM metrics ORDER BY value") == [(1.0,), (2.0,)]

    def test_loading_a_finished_run_changes_nothing(self, tele_store):
        known = Experiment(".", "e")
        run = known.create_run(RunType.MILESTONE, "v1.0")
        run.log_metric("m", 1)
        run.finish()
        before = tele_store.rows("SELECT count(*) FROM events_raw")

        found = known.load_run("v1.0")

        assert (found.run_id, found.run_type, found.status) == ("v1.0", "milestone", "stopped")
        assert tele_store.rows("SELECT count(*) FROM events_raw") == before
        with pytest.raises(UnknownTarget, match=r"v1\.0"):
            known.load_run("v1.1")

    def test_an_id_that_is_taken_is_not_written_twice(self, tele_store, caplog):
        known = Experiment(".", "e")
        first = known.create_run(RunType.MILESTONE, "v1.0")
        first.finish()
        second = known.create_run(RunType.MILESTONE, "v1.0")
        second.log_metric("m", 1)
        second.finish()

        assert first.run_id == "v1.0"
        assert second.run_id.startswith("v1.0-")
        assert "has a run v1.0 already" in caplog.text
        assert tele_store.rows("SELECT run_id FROM metrics") == [(second.run_id,)]


def test_base_runnable_is_the_class_pattern():
    assert BaseRunnable.launch.__self__ is BaseRunnable
