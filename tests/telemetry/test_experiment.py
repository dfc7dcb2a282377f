"""A run is its lifecycle events, and every record within bears its identity."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
import unicodedata

import pytest

import tele
from tele.telemetry.scope import OUTSIDE, here


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    assert here.get() is OUTSIDE


def life(store):
    """Lifecycle events without the environment, in order."""
    query = """SELECT replace(name, 'tele.experiment.', '') FROM events_raw
        WHERE name LIKE 'tele.experiment.%' AND name NOT LIKE '%environment' ORDER BY start_ns, seq"""
    return [name for (name,) in store.rows(query)]


class TestLife:
    def test_a_run_is_started_and_stopped_and_all_within_bear_its_id(self, tele_store):
        with tele.experiment("e", condition="c", replicate=2, seed=3, cluster="k") as run:
            assert tele_store.rows("SELECT status FROM runs") == [("running",)]
            with tele.span("s"):
                tele.event("p")
            tele.metric("m", 1)
        assert life(tele_store) == ["started", "stopped"]
        assert tele_store.rows("SELECT run_id, experiment, condition, status, n_spans, n_open FROM runs") == [
            (run.run_id, "e", "c", "stopped", 1, 0)
        ]
        assert tele_store.rows(
            "SELECT DISTINCT experiment, run_id, condition, replicate, seed, cluster FROM events"
        ) == [("e", run.run_id, "c", 2, 3, "k")]

    def test_what_the_plan_says_is_in_the_runs(self, tele_store):
        with tele.experiment("e", hypothesis="h", description="d", tags=("a", "b"), sample_size=40, lr=0.1):
            pass
        assert tele_store.rows("SELECT hypothesis, sample_size, tags FROM runs") == [("h", 40, ["a", "b"])]
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.started'")
        found = json.loads(text)
        assert (found["description"], found["lr"]) == ("d", 0.1)

    def test_paused_resumed_stopped_and_archived(self, tele_store):
        with tele.experiment("e") as run:
            run.pause()
            assert tele_store.rows("SELECT status FROM runs") == [("paused",)]
            run.resume()
            assert tele_store.rows("SELECT status FROM runs") == [("running",)]
            run.stop()
            run.stop()
        assert life(tele_store) == ["started", "paused", "resumed", "stopped"]
        run.archive()
        assert tele_store.rows("SELECT status FROM runs") == [("archived",)]

    def test_a_failing_body_is_a_failed_run_and_the_exception_passes(self, tele_store):
        error = ZeroDivisionError("by zero")
        with pytest.raises(ZeroDivisionError) as caught, tele.experiment("e"):
            raise error
        assert caught.value is error
        assert tele_store.rows("SELECT status FROM runs") == [("failed",)]
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.failed'")
        told = json.loads(text)
        assert (told["error_type"], told["error_message"]) == ("ZeroDivisionError", "by zero")
        assert told["exception.stacktrace"].endswith("ZeroDivisionError: by zero\n")

    @pytest.mark.parametrize(
        ("error", "status"), [(SystemExit(0), "stopped"), (SystemExit(2), "failed"), (KeyboardInterrupt(), "failed")]
    )
    def test_how_it_was_left_is_its_status(self, tele_store, error, status):
        with pytest.raises(type(error)), tele.experiment("e"):
            raise error
        assert tele_store.rows("SELECT status FROM runs") == [(status,)]

    def test_the_environment_is_there_once_and_without_the_host(self, tele_store):
        with tele.experiment("e"):
            pass
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.environment'")
        found = json.loads(text)["environment"]
        assert found["python"] == ".".join(map(str, sys.version_info[:3]))
        assert "host" not in found

    def test_an_attribute_called_environment_is_kept(self, tele_store):
        with tele.experiment("e", environment="production", sampling_rate=0.5, parent_run_id="mine"):
            pass
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.started'")
        assert "production" in text
        assert tele_store.rows("SELECT sampling_rate FROM runs") == [(None,)]


class TestNesting:
    def test_the_inner_run_says_which_it_is_part_of(self, tele_store):
        with tele.experiment("outer", condition="o", seed=1) as outer:
            with tele.experiment("inner") as inner:
                tele.event("in inner")
            tele.event("in outer")
        assert tele_store.rows(
            "SELECT name, run_id, condition, seed FROM events WHERE name LIKE 'in %' ORDER BY name"
        ) == [
            ("in inner", inner.run_id, None, None),
            ("in outer", outer.run_id, "o", 1),
        ]
        assert tele_store.rows("""SELECT attributes->>'$.parent_run_id' FROM events
            WHERE name = 'tele.experiment.started' ORDER BY start_ns""") == [(None,), (outer.run_id,)]

    def test_one_object_used_twice_is_two_whole_runs(self, tele_store):
        run = tele.experiment("e")
        with run:
            run.stop()
        with run:
            pass
        assert tele_store.rows("SELECT status FROM runs") == [("stopped",), ("stopped",)]

    def test_one_object_within_itself_leaves_nothing_behind(self, tele_store):
        token = here.set(OUTSIDE)
        run = tele.experiment("e")
        try:
            with run, run:
                pass
            left = here.get()
        finally:
            here.reset(token)
        assert left is OUTSIDE
        assert tele_store.rows("SELECT status FROM runs") == [("stopped",), ("stopped",)]


class TestDecorator:
    def test_each_call_is_a_run(self, tele_store):
        @tele.experiment("e", "c", hypothesis="h", seed=1, tags=["t"], lr=0.1)
        def train(x):
            tele.event("in")
            return x

        assert [train(1), train(2)] == [1, 2]
        assert (
            tele_store.rows("SELECT condition, hypothesis, tags, status FROM runs")
            == [("c", "h", ["t"], "stopped")] * 2
        )
        assert tele_store.rows("SELECT count(DISTINCT run_id), min(seed) FROM events WHERE name = 'in'") == [(2, 1)]

    def test_coroutines(self, tele_store):
        @tele.experiment("e")
        async def train():
            await asyncio.sleep(0)
            raise ValueError("x")

        with pytest.raises(ValueError):
            asyncio.run(train())
        assert tele_store.rows("SELECT status FROM runs") == [("failed",)]


NAMES = [
    "../../etc",
    "",
    "x" * 300,
    "😀 und ä",
    "two\nlines",
    "a'b\"c\\d",
    "\ud800",
    "\0",
    "%s {}",
    "tele.x",
    "CON",
    ".",
]


class TestNames:
    @pytest.mark.parametrize("name", NAMES)
    def test_any_name_is_data_and_never_a_path(self, tele_store, name):
        with tele.experiment(name), tele.span("s"):
            pass
        tele_store.seal()
        text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
        expected = "e" + hashlib.sha256(text).hexdigest()[:20]
        assert tele_store.rows("SELECT DISTINCT experiment_id FROM events") == [(expected,)]
        if name != "\ud800":
            assert tele_store.rows("SELECT experiment, status FROM runs") == [(name, "stopped")]
        folders = {path.name for path in (tele_store.path / "segments").iterdir()}
        assert folders == {expected}
        assert sorted(path.name for path in tele_store.path.parent.iterdir()) == [tele_store.path.name]

    def test_both_unicode_forms_of_a_name_are_one_experiment(self, tele_store):
        for form in ("NFC", "NFD"):
            with tele.experiment(unicodedata.normalize(form, "é")):
                pass
        assert tele_store.rows("SELECT count(DISTINCT experiment_id), count(DISTINCT run_id) FROM events") == [(1, 2)]
        assert tele_store.rows("SELECT count(*) FROM experiments") == [(1,)]

    def test_two_processes_meet_under_one_name(self, tele_store):
        script = "import sys, tele; tele.configure(store=sys.argv[1], seal='manual')\nwith tele.experiment('é'): pass"
        for _ in range(2):
            subprocess.run([sys.executable, "-c", script, str(tele_store.path)], check=True, timeout=60)
        assert tele_store.rows("""SELECT count(DISTINCT experiment_id), count(DISTINCT run_id), count(DISTINCT writer)
            FROM events""") == [(1, 2, 2)]


class TestBadArguments:
    @pytest.mark.parametrize("tags", ["demo", None, 5, [], ("a",)])
    def test_tags_of_any_sort_raise_nothing(self, tele_store, tags):
        with tele.experiment("e", tags=tags):
            pass
        [(found,)] = tele_store.rows("SELECT tags FROM runs")
        assert found == {"demo": ["demo"], ("a",): ["a"]}.get(tags if isinstance(tags, str | tuple) else None)

    def test_a_replicate_that_is_no_number_is_kept(self, tele_store):
        with tele.experiment("e", replicate="first", seed=1.5):
            pass
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.started'")
        assert {key: value for key, value in json.loads(text).items() if key.startswith("user.")} == {
            "user.replicate": "first",
            "user.seed": 1.5,
        }

    def test_a_broken_price_table_raises_nothing(self, tele_store, monkeypatch):
        from genai_prices import data_snapshot

        def broken():
            raise RuntimeError("broken table")

        monkeypatch.setattr(data_snapshot, "get_snapshot", broken)
        with tele.experiment("e"):
            pass
        assert tele_store.rows("SELECT status FROM runs") == [("stopped",)]


class TestSampling:
    def test_whole_traces_are_kept_near_the_rate_and_it_is_told(self, tele_store):
        tele.configure(sampling_rate=0.3)
        count = 2_000
        with tele.experiment("e"):
            for _ in range(count):
                with tele.span("root"), tele.span("child"):
                    tele.event("e")
            tele.metric("outside any trace", 1)
        rows = tele_store.rows("SELECT name, count(*) FROM events WHERE name NOT LIKE 'tele.%' GROUP BY 1 ORDER BY 1")
        kept = dict(rows)["root"]
        assert rows == [("child", kept), ("e", kept), ("outside any trace", 1), ("root", kept)]
        # Six standard deviations of a binomial: missed once in 500 million runs.
        assert abs(kept - 0.3 * count) < 6 * (count * 0.3 * 0.7) ** 0.5
        assert tele_store.rows("""SELECT count(*) FROM (SELECT trace_id FROM events WHERE trace_id IS NOT NULL
            GROUP BY 1 HAVING count(*) <> 3)""") == [(0,)]
        assert life(tele_store) == ["started", "sampled", "stopped"]
        assert tele_store.rows("SELECT sampling_rate FROM runs") == [(0.3,)]
        assert tele.analyze("e", store=tele_store.path).sampling_rate == 0.3

    def test_all_is_kept_by_default(self, tele_store):
        with tele.experiment("e"):
            for _ in range(100):
                with tele.span("root"):
                    pass
        assert tele_store.rows("SELECT count(*) FROM spans") == [(100,)]
        assert tele.analyze("e", store=tele_store.path).sampling_rate == 1.0

    def test_it_holds_outside_any_experiment_too(self, tele_store):
        tele.configure(sampling_rate=1e-12)
        with tele.span("root"):
            pass
        tele.event("mark")
        assert tele_store.rows("SELECT name FROM events") == [("mark",)]


def test_a_run_tells_its_environment_and_not_its_host(tele_store):
    with tele.experiment("e"):
        pass
    [(text,)] = tele_store.rows("SELECT environment FROM runs")
    facts = json.loads(text)
    assert facts["packages"]["duckdb"] == importlib.metadata.version("duckdb")
    assert facts["python"] == platform.python_version()
    assert "host" not in facts
