"""Start, pause, resume, stop, archive; samples; types of run; many at once."""

from __future__ import annotations

import asyncio
import contextvars
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

import tele
from tele.analysis.table import render
from tele.errors import BadInput, TeleError, WrongState
from tele.telemetry.experiment import current_run
from tele.telemetry.runs.plan import measured
from tele.telemetry.scope import OUTSIDE, here


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    assert here.get() is OUTSIDE


def life(store, run_id):
    query = """SELECT replace(name, 'tele.experiment.', '') FROM events_raw WHERE run_id = $1
        AND name LIKE 'tele.experiment.%' AND name NOT LIKE '%environment' ORDER BY start_ns, seq"""
    with store.open() as reader:
        return [name for (name,) in reader.rows(query, [run_id])]


class TestByHand:
    def test_a_run_that_is_started_records_what_it_is_told_and_nothing_else(self, tele_store):
        run = tele.experiment("e", condition="c").start()
        tele.event("outside")
        run.log_event("inside", {"n": 1})
        run.log_metric("m", 0.5, "f1", step=3)
        run.stop()
        assert tele_store.rows("SELECT name, experiment, condition FROM events WHERE name = 'outside'") == [
            ("outside", "default", None)
        ]
        assert tele_store.rows(
            "SELECT name, run_id, condition, attributes->>'$.n' FROM events WHERE name = 'inside'"
        ) == [("inside", run.run_id, "c", "1")]
        assert tele_store.rows("SELECT value, step, attributes->>'$.type' FROM metrics") == [(0.5, 3, "f1")]
        assert life(tele_store, run.run_id) == ["started", "stopped"]

    def test_leaving_the_block_of_a_started_run_ends_it(self, tele_store):
        with tele.experiment("e").start() as run:
            tele.event("inside")
        run.finish()
        assert life(tele_store, run.run_id) == ["started", "stopped"]
        assert tele_store.rows("SELECT run_id FROM events WHERE name = 'inside'") == [(run.run_id,)]

    def test_stepping_in_does_not_end_it(self, tele_store):
        run = tele.experiment("e").start()
        for _ in range(2):
            with run.active():
                assert current_run() is run
        assert life(tele_store, run.run_id) == ["started"]
        run.finish()

    def test_what_is_logged_within_a_span_of_the_run_belongs_to_the_span(self, tele_store):
        with tele.experiment("e") as run, tele.span("s") as span:
            run.log_metric("m", 1)
            run.log_timing("t", 1.0)
        assert tele_store.rows("SELECT span_id FROM metrics") == [(span.span_id,)]
        assert tele_store.rows("SELECT parent_id, trace_id FROM spans WHERE name = 't'") == [
            (span.span_id, span.trace_id)
        ]

    def test_a_timing_is_a_span_that_ended_now(self, tele_store):
        with tele.experiment("e") as run:
            run.log_timing("load", 1250.5, item_id="i", rows=3)
        assert tele_store.rows("""SELECT name, duration_ms, item_id, (attributes->>'$.rows')::INT, success, status
            FROM spans""") == [("load", 1250.5, "i", 3, True, "ok")]
        assert tele_store.rows("""SELECT end_ns BETWEEN (SELECT start_ns FROM events WHERE name LIKE '%started')
            AND (SELECT start_ns FROM events WHERE name LIKE '%stopped') FROM spans""") == [(True,)]

    @pytest.mark.parametrize(
        ("given", "duration", "flags"),
        [
            (-5.0, -5.0, ["negative_duration"]),
            (float("nan"), None, ["absurd_duration"]),
            (float("inf"), None, ["absurd_duration"]),
            (1e18, None, ["absurd_duration"]),
            ("soon", None, ["absurd_duration"]),
        ],
    )
    def test_a_duration_that_cannot_be_is_flagged_and_kept(self, tele_store, given, duration, flags):
        with tele.experiment("e") as run:
            run.log_timing("t", given)
        [(found, text)] = tele_store.rows("SELECT duration_ms, attributes FROM spans")
        assert (found, json.loads(text)["tele.flags"]) == (duration, flags)

    def test_a_call_of_a_model_has_tokens_and_a_cost(self, tele_store):
        with tele.experiment("e") as run:
            run.log_llm_call("gpt-4o", "q", "a", 20.0, provider="openai", input_tokens=1000, output_tokens=100)
            run.log_llm_call("gpt-4o", "q", None, 20.0, error=TimeoutError("late"))
        rows = tele_store.rows("""SELECT operation, model, input, output, duration_ms, input_tokens, cost_usd > 0,
            success, error_type FROM llm_calls ORDER BY start_ns, success DESC""")
        assert rows == [
            ("chat", "gpt-4o", '"q"', '"a"', 20.0, 1000, True, True, None),
            ("chat", "gpt-4o", '"q"', None, 20.0, None, None, False, "TimeoutError"),
        ]

    def test_what_a_provider_answered_says_its_tokens(self, tele_store):
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "gpt-4o-2024-08-06",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "4"}}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        }
        with tele.experiment("e") as run:
            run.log_llm_call("gpt-4o", "2 + 2?", answer, 20.0)
            run.log_llm_call("gpt-4o", "2 + 2?", answer, 20.0, output_tokens=5)
        assert tele_store.rows("SELECT input_tokens, output_tokens FROM llm_calls ORDER BY output_tokens") == [
            (12, 3),
            (12, 5),
        ]

    def test_a_metric_that_is_no_number_stays_readable(self, tele_store):
        with tele.experiment("e") as run:
            run.log_metric("m", "high")
            run.log_metric("m", float("nan"))
            run.log_metric("m", True)
        rows = tele_store.rows("SELECT value, attributes->>'$.\"user.value\"' FROM metrics ORDER BY start_ns, seq")
        assert [value for value, _ in rows] == [None, None, 1.0]
        assert rows[0][1] == "high"

    def test_a_timer_records_also_where_the_block_raises(self, tele_store):
        run = tele.experiment("e").start()
        with pytest.raises(ValueError), run.timer("t"):
            raise ValueError
        run.finish()
        assert tele_store.rows("SELECT name, run_id, success FROM spans") == [("t", run.run_id, False)]

    def test_a_hostile_value_raises_nothing(self, tele_store):
        class Hostile:
            def __float__(self):
                raise RuntimeError

            def __repr__(self):
                raise RuntimeError

        with tele.experiment("e") as run:
            run.log_metric("m", Hostile())
            run.log_llm_call("m", Hostile(), Hostile(), Hostile())
            run.log_event("x", Hostile())
            run.artifact("a", Hostile(), keep=True)
        assert tele_store.rows("SELECT count(*) FROM events WHERE name IN ('m', 'chat m', 'x')") == [(3,)]

    def test_before_it_begins_nothing_is_lost_and_it_is_warned(self, tele_store, caplog):
        tele.experiment("e").log_metric("m", 1)
        assert tele_store.rows("SELECT experiment, value FROM metrics") == [("default", 1.0)]
        assert "before it had begun" in caplog.text


class TestStates:
    @pytest.mark.parametrize(
        ("before", "what", "code"),
        [
            ([], "pause", "not_running"),
            ([], "resume", "not_running"),
            ([], "stop", "not_running"),
            ([], "archive", "not_running"),
            (["start"], "start", "already_running"),
            (["start"], "resume", "not_paused"),
            (["start", "pause"], "pause", "already_paused"),
            (["start", "pause", "resume"], "resume", "not_paused"),
            (["start", "stop"], "pause", "not_running"),
            (["start", "pause", "stop"], "resume", "not_running"),
        ],
    )
    def test_what_a_run_cannot_do_is_one_sentence_and_records_nothing(self, tele_store, before, what, code):
        run = tele.experiment("e")
        for step in before:
            getattr(run, step)()
        with pytest.raises(WrongState, match=code.replace("_", " ")) as caught:
            getattr(run, what)()
        assert caught.value.code == code
        assert isinstance(caught.value, TeleError)
        if before:
            run.stop()
            past = {"start": "started", "pause": "paused", "resume": "resumed", "stop": "stopped"}
            told = [past[step] for step in before]
            assert life(tele_store, run.run_id) == told + ([] if "stop" in before else ["stopped"])

    def test_pauses_are_counted(self, tele_store):
        run = tele.experiment("e").start()
        for _ in range(2):
            run.pause()
            run.resume()
        run.stop()
        assert tele_store.rows("SELECT pause_count, status FROM runs") == [(2, "stopped")]

    def test_of_many_threads_one_pauses(self, tele_store):
        run = tele.experiment("e").start()
        meet = threading.Barrier(8, timeout=10)

        def pause(_):
            meet.wait()
            try:
                run.pause()
            except WrongState as error:
                return error.code
            return "paused"

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(pause, range(8))) == ["already_paused"] * 7 + ["paused"]
        run.stop()
        assert tele_store.rows("SELECT pause_count FROM runs") == [(1,)]

    def test_of_many_threads_one_stops_it(self, tele_store):
        run = tele.experiment("e").start()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: run.stop(), range(8)))
        assert life(tele_store, run.run_id) == ["started", "stopped"]

    def test_the_end_says_how_long_it_took(self, tele_store):
        with tele.experiment("e"):
            pass
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.stopped'")
        assert 0 <= json.loads(text)["duration_seconds"] < 60


class TestSamples:
    def test_a_loop_over_samples_ends_at_the_size_and_the_run_says_why(self, tele_store):
        done = []
        with tele.experiment("e", sample_size=3, stop_at_sample_size=True) as exp:
            for item in exp.samples(range(10)):
                with tele.span("s", item_id=item):
                    done.append(item)
            assert exp.full
        assert done == [0, 1, 2]
        assert tele_store.rows("SELECT status, sample_size, reason FROM runs") == [("stopped", 3, "sample_size")]
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.stopped'")
        assert json.loads(text)["samples"] == 3

    def test_samples_are_distinct_items_whatever_is_recorded_of_them(self, tele_store):
        with tele.experiment("e", sample_size=2) as exp:
            for _ in range(3):
                with tele.span("s", item_id="a"):
                    tele.metric("m", 1, item_id="a")
            assert not exp.full
            tele.metric("m", 1, item_id="b")
            assert exp.full

    def test_without_items_samples_are_root_spans(self, tele_store):
        with tele.experiment("e", sample_size=2) as exp:
            for expected in (False, True):
                with tele.span("root"), tele.span("child"):
                    pass
                assert exp.full is expected

    @pytest.mark.parametrize("items", [True, False])
    def test_what_would_be_beyond_the_size_is_not_recorded_and_counted(self, tele_store, items):
        with tele.experiment("e", sample_size=3, stop_at_sample_size=True):
            for number in range(5):
                with tele.span("root", **({"item_id": number} if items else {})), tele.span("child"):
                    tele.event("point")
            if items:
                with tele.span("root", item_id=0):  # more of a sample that is there
                    pass
        rows = dict(tele_store.rows("SELECT name, count(*) FROM events WHERE name NOT LIKE 'tele.%' GROUP BY 1"))
        assert rows == {"root": 4 if items else 3, "child": 3, "point": 3}
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.stopped'")
        assert (json.loads(text)["left_out"], json.loads(text)["reason"]) == (2, "sample_size")

    def test_without_being_asked_nothing_stops(self, tele_store):
        with tele.experiment("e", sample_size=1):
            for number in range(3):
                with tele.span("root", item_id=number):
                    pass
        assert tele_store.rows("SELECT count(*) FROM spans") == [(3,)]
        assert tele_store.rows("SELECT reason FROM runs") == [(None,)]

    @pytest.mark.parametrize("size", [0, -1, 2.5, "many"])
    def test_a_size_that_is_none_is_an_attribute_and_stops_nothing(self, tele_store, size):
        with tele.experiment("e", sample_size=size, stop_at_sample_size=True) as run:
            assert list(run.samples(range(5))) == list(range(5))
        [(said,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.started'")
        assert json.loads(said)["user.sample_size"] == size
        assert tele_store.rows("SELECT sample_size FROM runs") == [(None,)]

    def test_without_a_size_all_items_are_samples(self, tele_store):
        with tele.experiment("e") as exp:
            assert list(exp.samples(range(5))) == list(range(5))
            assert not exp.full

    def test_many_threads_record_as_many_samples_as_there_is_room_for(self, tele_store):
        with tele.experiment("e", sample_size=50, stop_at_sample_size=True) as exp:

            def work(number):
                with exp.active(), tele.span("root", item_id=number):
                    pass

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(work, range(200)))
        assert tele_store.rows("SELECT count(*) FROM spans") == [(50,)]


class TestTypes:
    def test_a_run_is_a_trial_unless_something_says_otherwise(self, tele_store, monkeypatch):
        def kind(**settings):
            with tele.experiment("e", snapshot=False, **settings) as run:
                return str(run.run_type)

        assert kind() == "trial"
        monkeypatch.setenv("TELE_RUN_TYPE", "milestone")
        assert kind() == "milestone"
        tele.configure(run_type="trial")
        assert kind() == "trial"
        assert kind(run_type="MILESTONE") == "milestone"
        assert tele_store.rows("SELECT run_type FROM runs ORDER BY started") == [
            ("trial",),
            ("milestone",),
            ("trial",),
            ("milestone",),
        ]

    def test_a_type_that_is_none_is_refused_where_it_is_set_and_warned_of_in_a_run(self, tele_store, caplog):
        with pytest.raises(BadInput, match="'trial' or 'milestone'"):
            tele.configure(run_type="rehearsal")
        with tele.experiment("e", run_type="rehearsal"):
            pass
        assert tele_store.rows("SELECT run_type FROM runs") == [("trial",)]
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.started'")
        assert json.loads(text)["user.run_type"] == "rehearsal"

    def test_a_trial_replaces_earlier_ones_of_its_condition_and_replicate_when_asked(self, tele_store):
        def trial(value, **settings):
            with tele.experiment("e", **settings) as run, tele.span("s"):
                tele.metric("m", value)
            return run.run_id

        replaced = [trial(1, condition="a"), trial(2, condition="a")]
        others = [trial(3, condition="b"), trial(4, condition="a", replicate=1)]
        others.append(trial(5, condition="a", run_type="milestone", snapshot=False))
        others.append(trial(6, condition="a", replace=True))
        others.append(trial(7, condition="a"))

        found = dict(tele_store.rows("SELECT run_id, status FROM runs"))
        assert {run for run, status in found.items() if status == "superseded"} == set(replaced)
        assert {run for run, status in found.items() if status == "stopped"} == set(others)
        assert tele_store.rows("SELECT value FROM metrics ORDER BY 1") == [(float(n),) for n in range(1, 8)]
        analysis = tele.analyze("e", store=tele_store.path)
        assert (analysis.runs.used, analysis.runs.superseded) == (5, 2)
        assert sum(group.reliability.total_requests for group in analysis.groups) == 5

    def test_reading_wipes_nothing(self, tele_store):
        with tele.experiment("e", replace=True):
            tele.event("x")
        before = tele_store.rows("SELECT count(*) FROM events_raw")
        for _ in range(2):
            tele_store.rows("SELECT * FROM runs")
        assert tele_store.rows("SELECT count(*) FROM events_raw") == before


class TestMetricsConfig:
    @pytest.mark.parametrize(
        ("given", "sections", "custom"),
        [
            ({"cost": False}, {"latency", "success_rate", "tokens"}, []),
            (["latency", "cost"], {"latency", "cost"}, []),
            ("latency", {"latency"}, []),
            (["latency", "f1"], {"latency"}, ["f1"]),
            ({"custom": ["f1"], "tokens": False}, {"latency", "cost", "success_rate"}, ["f1"]),
            ({"custom": "f1"}, {"latency", "cost", "success_rate", "tokens"}, ["f1"]),
            (5, set(), []),
        ],
    )
    def test_it_says_what_an_analysis_shows(self, given, sections, custom):
        found = measured(given)
        assert found.pop("custom") == custom
        assert {name for name, wanted in found.items() if wanted} == sections

    def test_it_is_in_the_log(self, tele_store):
        with tele.experiment("e", metrics_config={"cost": False, "custom": ["f1"]}):
            pass
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.started'")
        assert json.loads(text)["metrics_config"] == {
            "latency": True,
            "cost": False,
            "success_rate": True,
            "tokens": True,
            "custom": ["f1"],
        }

    def test_an_analysis_shows_what_it_names_and_has_the_figures_of_all(self, tele_store, capsys):
        for condition, values in (("a", (0.5, 1.0)), ("b", (0.25,))):
            with tele.experiment("e", condition, metrics_config=["latency", "f1"]) as run:
                for value in values:
                    with tele.span("s"):
                        run.log_metric("f1", value)
                        run.log_metric("other", 9)
        analysis = tele.analyze("e", store=tele_store.path)

        facts = analysis.to_dict()
        assert facts["metrics_config"]["cost"] is False
        assert [(one["key"], one["metric"], one["count"], one["mean"]) for one in facts["custom"]] == [
            ({"condition": "a"}, "f1", 2, 0.75),
            ({"condition": "b"}, "f1", 1, 0.25),
        ]
        assert set(facts["groups"][0]) == {"key", "latency", "cost", "reliability", "tokens"}
        render(analysis, Console(width=100, force_terminal=False))
        shown = capsys.readouterr().out
        assert "p95" in shown
        assert "success" not in shown
        assert "a: f1 0.75 on average of 2" in shown


def record(name, count):
    for number in range(count):
        with tele.span(name, item_id=number):
            tele.metric("m", number)


def mixed(store):
    """Rows whose span, metric and run do not all bear the name of one experiment."""
    return store.rows("""SELECT count(*) FILTER (kind = 'span' AND name <> experiment), count(DISTINCT run_id),
        count(*) FILTER (kind = 'metric'), count(DISTINCT (experiment, run_id)) FROM events""")


class TestManyAtOnce:
    def test_in_threads(self, tele_store):
        meet = threading.Barrier(16, timeout=20)

        def work(number):
            with tele.experiment(f"e{number}", condition=str(number)) as run:
                meet.wait()
                record(f"e{number}", 20)
                assert current_run() is run

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(work, range(16)))
        assert mixed(tele_store) == [(0, 16, 320, 16)]
        assert tele_store.rows("SELECT count(*) FROM events WHERE condition <> substr(experiment, 2)") == [(0,)]

    def test_in_tasks(self, tele_store):
        async def work(number):
            async with asyncio.timeout(20):
                with tele.experiment(f"e{number}") as run:
                    for _ in range(10):
                        await asyncio.sleep(0)
                        record(f"e{number}", 2)
                        await asyncio.to_thread(record, f"e{number}", 1)
                        assert current_run() is run

        async def main():
            await asyncio.gather(*(work(number) for number in range(20)))

        asyncio.run(main())
        assert mixed(tele_store) == [(0, 20, 600, 20)]

    def test_in_processes(self, tele_store):
        script = (
            "import sys, tele; tele.configure(store=sys.argv[1], seal='manual')\n"
            "with tele.experiment(sys.argv[2]):\n"
            "    for number in range(20):\n"
            "        with tele.span(sys.argv[2]): tele.metric('m', number)\n"
        )
        children = [
            subprocess.Popen([sys.executable, "-c", script, str(tele_store.path), f"e{number}"]) for number in range(4)
        ]
        assert [child.wait(60) for child in children] == [0] * 4
        assert mixed(tele_store) == [(0, 4, 80, 4)]

    def test_runs_by_hand_in_one_thread_are_interleaved_and_apart(self, tele_store):
        runs = [tele.experiment(f"e{number}").start() for number in range(5)]
        for step in range(10):
            for run in runs:
                run.log_metric("m", step)
                with run.timer(run.name):
                    pass
        for run in runs:
            run.finish()
        assert mixed(tele_store) == [(0, 5, 50, 5)]

    def test_a_context_that_was_copied_keeps_its_run(self, tele_store):
        with tele.experiment("e") as run:
            context = contextvars.copy_context()
        with tele.experiment("other"):
            assert context.run(current_run) is run

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_a_forked_child_does_not_end_the_run(self, tele_store):
        with tele.experiment("e") as run:
            child = multiprocessing.get_context("fork").Process(target=run.stop)
            child.start()
            child.join(20)
            assert tele_store.rows("SELECT status FROM runs") == [("running",)]
        assert life(tele_store, run.run_id) == ["started", "stopped"]


class TestInterrupted:
    def test_who_does_not_wait_for_the_end_has_it_in_the_log_all_the_same(self, tele_store):
        class Slow:
            def is_alive(self):
                return True

            def join(self, timeout):
                raise KeyboardInterrupt

        run = tele.experiment("e", run_type="milestone").start()
        run._background.join()
        run._background = Slow()
        with pytest.raises(KeyboardInterrupt):
            run.stop()
        assert tele_store.rows("SELECT status FROM runs") == [("stopped",)]
        run.log_metric("late", 1)
        assert tele_store.rows("SELECT * FROM metrics") == []

    def test_a_handler_that_records_while_samples_are_counted_is_not_waited_for(self, tele_store):
        """As a signal's handler would: within the look into the set, in the same thread."""
        from tele.telemetry import samples

        def record():
            with samples._lock, tele.span("handler", item_id="h"):
                done.set()

        done = threading.Event()
        with tele.experiment("e", sample_size=5) as run:
            thread = threading.Thread(target=contextvars.copy_context().run, args=(record,), daemon=True)
            thread.start()
            assert done.wait(10)
            thread.join(10)
            assert run.scope.samples.count == 1

    def test_a_timer_of_a_run_may_end_in_another_context_and_be_used_in_itself(self, tele_store):
        run = tele.experiment("e").start()

        def steps():
            with run.timer("load"):
                yield

        begun = steps()
        contextvars.copy_context().run(next, begun)
        begun.close()
        timer = run.timer("twice")
        with timer:
            with timer:
                pass
            assert tele.current_span().name == "twice"
        assert tele.current_span() is None
        run.stop()
        assert tele_store.rows("SELECT name, count(*) FROM spans GROUP BY 1 ORDER BY 1") == [("load", 1), ("twice", 2)]


class TestOddThings:
    class Mute:
        def __str__(self):
            raise RuntimeError("I say nothing")

        __repr__ = __str__

    def test_what_cannot_say_its_name_fails_no_program_and_loses_no_record(self, tele_store):
        mute = self.Mute()
        with tele.experiment("e", metrics_config=["latency", mute]) as run:
            run.log_llm_call(mute, "q", "a", 1.0)
            run.log_llm_call("m", "q", None, 1.0, error=ValueError(mute))
            run.preserve_artifacts({mute: "text"})
        assert tele.dropped() == {}
        assert tele_store.rows("SELECT error_type, error_message FROM spans WHERE status = 'error'") == [
            ("ValueError", "(the exception's text cannot be read)")
        ]
        run.snapshot_code(5)
        assert sum(tele.dropped().values()) == 1

    def test_a_call_that_fails_has_the_same_error_by_hand_and_in_a_span(self, tele_store):
        late = subprocess.TimeoutExpired("git", 1)
        with tele.experiment("e") as run:
            run.log_llm_call("m", error=late)
            with pytest.raises(subprocess.TimeoutExpired), tele.span("s"):
                raise late
        assert tele_store.rows("SELECT error_type, count(*) FROM spans GROUP BY 1") == [
            ("subprocess.TimeoutExpired", 2)
        ]
