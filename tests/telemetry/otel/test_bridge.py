"""`tele.otel.install()`: what OpenTelemetry makes lands in the log, where it belongs, and nothing of it is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

import tele
from tele.errors import BadInput
from tele.telemetry.instrument.told import tell

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import baggage, context, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tele.telemetry.otel.pending import pending

SECRET = "sk-ant-" + "a1B2" * 10


@pytest.fixture
def provider():
    """A provider of its own, so that the global one of the process stays as it is."""
    made = TracerProvider(shutdown_on_exit=False)
    yield made
    made.shutdown()


@pytest.fixture
def tracer(provider, tele_store):
    tele.otel.install(provider, logs=False, metrics=False, interval=0.02)
    return provider.get_tracer("lib", "1.2")


def rows(store, query):
    tele.flush()
    return store.rows(query)


def test_a_span_lands_in_its_experiment_run_and_condition_with_its_own_ids(tracer, tele_store):
    with tele.experiment("e", condition="c") as run, tracer.start_as_current_span("work") as span:
        own = span.get_span_context()

    assert rows(
        tele_store, "SELECT trace_id, span_id, parent_id, experiment, run_id, condition, status FROM spans"
    ) == [(f"{own.trace_id:032x}", f"{own.span_id:016x}", None, "e", run.run_id, "c", "unset")]


def test_concurrent_experiments_keep_their_spans_apart(tracer, tele_store):
    def run(name):
        with tele.experiment(name), tracer.start_as_current_span(f"of {name}"):
            time.sleep(0.005)

    threads = [threading.Thread(target=run, args=(f"e{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = rows(tele_store, "SELECT experiment, name FROM spans ORDER BY 1")
    assert found == [(f"e{n}", f"of e{n}") for n in range(4)]


def test_spans_of_both_nest_in_one_another(tracer, tele_store):
    with (
        tele.experiment("e"),
        tracer.start_as_current_span("1"),
        tele.span("2", item_id="i"),
        tracer.start_as_current_span("3"),
        tracer.start_as_current_span("4"),
        tele.span("5"),
    ):
        tele.event("point")

    found = rows(
        tele_store,
        """SELECT s.name, p.name, s.item_id FROM spans s LEFT JOIN spans p
           ON p.span_id = s.parent_id AND p.trace_id = s.trace_id ORDER BY 1""",
    )
    assert found == [("1", None, None), ("2", "1", "i"), ("3", "2", "i"), ("4", "3", "i"), ("5", "4", "i")]
    assert rows(tele_store, "SELECT count(DISTINCT trace_id) FROM spans") == [(1,)]
    inside = rows(tele_store, "SELECT s.name FROM events e JOIN spans s USING (span_id) WHERE e.name = 'point'")
    assert inside == [("5",)]


def test_a_root_within_our_span_continues_its_trace_also_where_the_tracer_is_older_than_the_installing(
    provider, tele_store
):
    tracer = provider.get_tracer("made before")
    tele.otel.install(provider, logs=False, metrics=False)

    with tele.span("ours") as ours, tracer.start_as_current_span("theirs") as theirs:
        assert f"{theirs.get_span_context().trace_id:032x}" == ours.trace_id

    assert rows(tele_store, "SELECT parent_id FROM spans WHERE name = 'theirs'") == [(ours.span_id,)]


def test_a_run_within_a_foreign_span_has_roots_of_its_own(tracer, tele_store):
    with tracer.start_as_current_span("server"), tele.experiment("e"), tele.span("root"):
        pass

    assert rows(tele_store, "SELECT parent_id FROM spans WHERE name = 'root'") == [(None,)]


def test_a_span_in_another_thread_belongs_where_its_parent_does(tracer, tele_store):
    with tele.experiment("e", condition="c"), tracer.start_as_current_span("parent"):
        around = context.get_current()

        def work():
            with tracer.start_as_current_span("child", context=around):
                pass

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert rows(tele_store, "SELECT experiment, condition FROM spans WHERE name = 'child'") == [("e", "c")]


def test_a_server_span_belongs_where_the_callers_baggage_says(tracer, tele_store):
    remote = trace.SpanContext(1 << 100, 5, is_remote=True, trace_flags=trace.TraceFlags(1))
    around = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    around = baggage.set_baggage("tele.experiment", "über=1,2", around)
    around = baggage.set_baggage("tele.run_id", "r123", around)

    with tracer.start_as_current_span("serve", context=around):
        pass

    found = rows(tele_store, "SELECT experiment, run_id, trace_id, parent_id FROM spans")
    assert found == [("über=1,2", "r123", f"{1 << 100:032x}", f"{5:016x}")]


def test_what_a_model_call_says_becomes_columns_with_a_price_and_without_secrets(tracer, tele_store):
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "note": f"key {SECRET}",
        "api_key": "hunter2",
        "long": "x" * 40_000,
    }
    with tracer.start_as_current_span("chat gpt-4o", attributes=said) as span:
        span.add_event("said", {"text": SECRET})
        span.set_status(trace.StatusCode.ERROR, f"refused {SECRET}")

    found = rows(tele_store, "SELECT model, input_tokens, output_tokens, success, cost_usd FROM llm_calls")
    assert found == [("gpt-4o", 1000, 100, False, pytest.approx((1000 * 2.5 + 100 * 10) / 1e6))]  # OpenAI's price list
    written = b"".join(path.read_bytes() for path in tele_store.path.rglob("*") if path.is_file())
    assert SECRET.encode() not in written
    assert b"hunter2" not in written
    assert b"x" * 40_000 not in b"".join(path.read_bytes() for path in (tele_store.path / "journal").iterdir())


def test_a_call_that_an_adapter_has_recorded_is_no_second_call(tracer, tele_store):
    said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10}
    tell("resp-1")
    with tele.span("chat gpt-4o", model="gpt-4o", operation="chat") as span:
        span.usage(input_tokens=10, output_tokens=5)
    for response in ("resp-1", "resp-2"):
        with tracer.start_as_current_span("litellm_request", attributes=said | {"gen_ai.response.id": response}):
            pass
    tele.flush()
    assert rows(tele_store, "SELECT name, input_tokens FROM llm_calls ORDER BY name") == [
        ("chat gpt-4o", 10),
        ("litellm_request", 10),
    ]
    assert rows(tele_store, "SELECT count(*) FROM spans WHERE name = 'litellm_request'") == [(2,)]


def test_installing_again_adds_nothing(provider, tele_store):
    first = tele.otel.install(provider, logs=False, metrics=False)
    assert tele.otel.install(provider, logs=False, metrics=False) == first

    with provider.get_tracer("x").start_as_current_span("once"):
        pass

    assert rows(tele_store, "SELECT count(*) FROM spans") == [(1,)]


def test_what_is_no_provider_of_the_sdk_is_one_sentence():
    with pytest.raises(BadInput, match="needs a TracerProvider of opentelemetry-sdk"):
        tele.otel.install(trace.NoOpTracerProvider())
    with pytest.raises(BadInput, match="interval"):
        tele.otel.install(interval=-1)


def test_spans_that_were_not_sampled_stay_out(tele_store):
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    tele.otel.install(provider, logs=False, metrics=False)
    with provider.get_tracer("x").start_as_current_span("unsampled"):
        tele.event("kept")
    assert rows(tele_store, "SELECT name FROM events") == [("kept",)]


def test_teles_sampling_keeps_or_leaves_whole_traces(tracer, tele_store):
    tele.configure(sampling_rate=0.5)
    for _ in range(60):
        with tracer.start_as_current_span("root"), tracer.start_as_current_span("child"), tele.span("ours"):
            pass

    sizes = rows(tele_store, "SELECT count(*) FROM spans GROUP BY trace_id")
    assert set(sizes) == {(3,)}
    assert 5 < len(sizes) < 55


def test_an_exporter_beside_ours_sees_what_it_saw_before(provider, tele_store):
    beside = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(beside))
    tele.otel.install(provider, logs=False, metrics=False)

    with provider.get_tracer("x").start_as_current_span("work", attributes={"a": SECRET}):
        pass

    (seen,) = beside.get_finished_spans()
    assert (seen.name, seen.parent, dict(seen.attributes)) == ("work", None, {"a": SECRET})


def test_a_full_queue_loses_nothing(tracer, tele_store, monkeypatch):
    monkeypatch.setattr("tele.telemetry.otel.pending.LIMIT", 40)
    monkeypatch.setattr(pending, "soon", 20)
    for number in range(700):
        with tracer.start_as_current_span(f"s{number}"):
            pass
    assert rows(tele_store, "SELECT count(DISTINCT name) FROM spans") == [(700,)]


def test_the_analysis_right_behind_the_run_has_all_its_spans(tracer, tele_store):
    with tele.experiment("e"):
        for _ in range(300):
            with tracer.start_as_current_span("work"):
                pass
    assert tele_store.rows("SELECT count(*) FROM spans") == [(300,)]


def test_spans_that_end_before_the_store_changes_stay_in_the_first(tracer, tele_store, tmp_path):
    with tracer.start_as_current_span("work"):
        pass
    tele.configure(store=tmp_path / "other")
    tele.configure(store=tele_store.path)
    assert tele_store.rows("SELECT name FROM spans") == [("work",)]


def test_a_flush_writes_what_ended_and_says_that_it_did(provider, tele_store):
    installed = tele.otel.install(provider, logs=False, metrics=False, interval=1000)
    with provider.get_tracer("x").start_as_current_span("work"):
        pass
    assert installed.force_flush()
    assert provider.force_flush()
    assert tele_store.rows("SELECT name FROM spans") == [("work",)]


def test_a_flush_that_takes_too_long_says_so(provider, tele_store):
    installed = tele.otel.install(provider, logs=False, metrics=False)
    taken, done = threading.Event(), threading.Event()

    def hold():
        with pending._lock:
            taken.set()
            done.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(5)
    assert not installed.force_flush(timeout_millis=20)
    done.set()
    thread.join()


def test_a_span_after_the_shutdown_is_counted_not_silently_lost(provider, tele_store):
    tele.otel.install(provider, logs=False, metrics=False)
    tracer = provider.get_tracer("x")
    provider.shutdown()
    with tracer.start_as_current_span("late"):
        pass
    assert list(tele.dropped().values()) == [1]


def test_without_an_interval_a_span_is_in_the_journal_when_it_has_ended(provider, tele_store):
    tele.otel.install(provider, logs=False, metrics=False, interval=0)
    with provider.get_tracer("x").start_as_current_span("work"):
        pass
    (journal,) = (tele_store.path / "journal").glob("*.jsonl")
    assert b'"name":"work"' in journal.read_bytes()


def test_an_exporter_of_ours_fits_a_pipeline_that_is_built_elsewhere(provider, tele_store):
    with tele.experiment("e"):
        provider.add_span_processor(BatchSpanProcessor(tele.otel.exporter()))
        with provider.get_tracer("x").start_as_current_span("work", attributes={"a": 1}):
            pass
        provider.force_flush()
    assert tele_store.rows("SELECT name, experiment, attributes->>'$.a' FROM spans") == [("work", "e", "1")]


def test_log_records_and_events_land_within_the_span_around_them(provider, tele_store):
    logging_to = LoggerProvider(shutdown_on_exit=False)
    tele.otel.install(provider, logger_provider=logging_to, metrics=False)
    tracer, log = provider.get_tracer("x"), logging_to.get_logger("logs")

    with tele.experiment("e"):
        with tracer.start_as_current_span("theirs"):
            log.emit(event_name="my.event", body={"text": SECRET, "n": [1, None]}, attributes={"k": 1})
        with tele.span("ours"):
            log.emit(body="plain")

    found = rows(
        tele_store,
        """SELECT e.name, s.name, e.experiment, e.attributes->'$."otel.body"'
           FROM events e JOIN spans s USING (trace_id, span_id) WHERE e.kind = 'event' ORDER BY e.name""",
    )
    assert [row[:3] for row in found] == [("log", "ours", "e"), ("my.event", "theirs", "e")]
    assert json.loads(found[0][3]) == "plain"
    body = json.loads(found[1][3])
    assert body["n"] == [1, None]
    assert SECRET not in body["text"]


def test_metrics_become_a_row_for_each_data_point(provider, tele_store):
    meters = MeterProvider(shutdown_on_exit=False)
    installed = tele.otel.install(provider, meter_provider=meters, logs=False, metrics_interval=1000)
    meter = meters.get_meter("m")
    meter.create_counter("calls", unit="1").add(3, {"model": "a"})
    meter.create_histogram("latency", unit="s").record(0.25)
    installed.force_flush()

    found = rows(tele_store, "SELECT name, value, unit, attributes FROM metrics ORDER BY name")
    assert [(name, value, unit) for name, value, unit, _ in found] == [("calls", 3.0, "1"), ("latency", None, "s")]
    assert json.loads(found[0][3])["model"] == "a"
    assert json.loads(found[1][3])["otel.point"]["sum"] == 0.25


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────────

CHILD = """
import os, sys, time, tele
from opentelemetry.sdk.trace import TracerProvider
tele.configure(store=sys.argv[1], seal="manual")
provider = TracerProvider(shutdown_on_exit=False)
tele.otel.install(provider, logs=False, metrics=False)
tracer = provider.get_tracer("x")
"""


@contextmanager
def child(code, store):
    process = subprocess.Popen([sys.executable, "-c", CHILD + code, str(store)], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def names(path):
    with tele.open(path) as store:
        return sorted(store.rows("SELECT name, status FROM spans"))


def test_a_process_that_ends_leaves_no_span_behind(tmp_path):
    code = "for n in range(50):\n    with tracer.start_as_current_span(f's{n}'): pass\n"
    with child(code, tmp_path / "s") as process:
        assert process.wait(30) == 0
    assert len(names(tmp_path / "s")) == 50


def test_a_kill_loses_no_span_older_than_the_interval_and_shows_what_was_open(tmp_path):
    code = """
open_span = tracer.start_span("in flight", attributes={"a": 1})
with tracer.start_as_current_span("ended"): pass
time.sleep(0.6)
print("now", flush=True)
time.sleep(60)
"""
    with child(code, tmp_path / "s") as process:
        assert process.stdout.readline() == "now\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert names(tmp_path / "s") == [("ended", "unset"), ("in flight", "open")]


def test_an_open_span_that_ends_later_is_one_span(tmp_path):
    code = "with tracer.start_as_current_span('long'): time.sleep(0.4)\n"
    with child(code, tmp_path / "s") as process:
        assert process.wait(30) == 0
    assert names(tmp_path / "s") == [("long", "unset")]


def test_a_forked_child_writes_its_own_spans_and_none_of_its_parents(tmp_path):
    code = """
with tracer.start_as_current_span("parent's"):
    with tracer.start_as_current_span("before"): pass
    pid = os.fork()
    with tracer.start_as_current_span("child's" if pid == 0 else "after"): pass
    if pid: os.waitpid(pid, 0)
"""
    with child(code, tmp_path / "s") as process:
        assert process.wait(30) == 0
    assert [name for name, _ in names(tmp_path / "s")] == ["after", "before", "child's", "parent's"]


def test_what_cannot_be_written_is_counted_and_keeps_no_other_from_the_log(tracer, tele_store):
    class Broken:
        def write(self):
            raise RuntimeError("broken")

    pending.add(Broken())
    with tracer.start_as_current_span("work"):
        pass
    assert rows(tele_store, "SELECT name FROM spans") == [("work",)]
    assert tele.dropped() == {"RuntimeError: broken": 1}


def test_a_caller_whose_baggage_is_no_text_stops_nothing(tracer, tele_store):
    with tracer.start_as_current_span("work", context=baggage.set_baggage("tele.experiment", "\ud800")):
        pass
    assert rows(tele_store, "SELECT name, experiment FROM spans") == [("work", "?")]


def test_a_handler_that_flushes_while_the_writer_waits_for_us_goes_on(tracer, tele_store, monkeypatch):
    """A signal may come while a record is appended, and the thread that writes may wait for that very record."""
    monkeypatch.setattr("tele.telemetry.otel.pending.PATIENCE", 0.05)
    tele.event("first")
    journal = tele.telemetry.process.process.journal
    with journal._lock:
        with tracer.start_as_current_span("work"):
            pass
        end = time.monotonic() + 5
        while pending.queue and time.monotonic() < end:  # until the writer has taken it
            time.sleep(0.005)
        tele.flush()
    assert rows(tele_store, "SELECT name FROM spans") == [("work",)]
