"""Where a process, thread or worker begins when its parent said where it was."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
import threading

import pytest

import tele
from tele.store.names import experiment_id
from tele.telemetry.propagate import from_environment
from tele.telemetry.scope import OUTSIDE, here

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    assert here.get() is OUTSIDE


def test_a_thread_that_attaches_is_where_the_carrier_was_made(tele_store):
    name, condition = "prompt ab, ü=1;2", "a,b=c 😀%20"
    columns = {"replicate": 2, "item_id": "i,1", "seed": -3, "cluster": "k k", "conversation_id": "v;x"}

    def work(carrier):
        with tele.attach(carrier), tele.span("child"):
            pass
        with tele.span("after"):
            pass

    before = dict(os.environ)
    with tele.experiment(name, condition) as run, tele.span("parent", **columns) as parent:
        thread = threading.Thread(target=work, args=(tele.propagate(),))
        thread.start()
        thread.join()
    assert dict(os.environ) == before
    wanted = ", ".join(["trace_id", "parent_id", "experiment", "experiment_id", "run_id", "condition", *columns])
    assert tele_store.rows(f"SELECT {wanted} FROM events WHERE name = 'child'") == [
        (parent.trace_id, parent.span_id, name, experiment_id(name), run.run_id, condition, *columns.values())
    ]
    assert tele_store.rows("SELECT parent_id, experiment FROM events WHERE name = 'after'") == [(None, "default")]


def test_the_carrier_is_w3c():
    with tele.span("s") as span:
        carrier = tele.propagate()
    assert carrier["TRACEPARENT"] == f"00-{span.trace_id}-{span.span_id}-01"
    assert carrier["BAGGAGE"].isascii()
    assert set(carrier) == {"TRACEPARENT", "BAGGAGE"}


def test_a_child_process_begins_where_its_environment_says(tele_store):
    script = """
import os, sys, tele
before = dict(os.environ)
tele.configure(store=sys.argv[1], seal="manual")
with tele.span("child"):
    pass
assert dict(os.environ) == before
"""
    with tele.experiment("é, b", "c"), tele.span("parent", item_id="i") as parent:
        environ = {**os.environ, **tele.propagate()}
        subprocess.run([sys.executable, "-c", script, str(tele_store.path)], env=environ, check=True, timeout=60)
    assert tele_store.rows(
        "SELECT trace_id, parent_id, experiment, condition, item_id FROM events WHERE name = 'child'"
    ) == [(parent.trace_id, parent.span_id, "é, b", "c", "i")]
    assert tele_store.rows("SELECT count(DISTINCT run_id) FROM events") == [(1,)]


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01-more",
        "x" * 1_000_000,
    ],
)
def test_a_malformed_parent_is_ignored(tele_store, traceparent):
    with tele.attach({"TRACEPARENT": traceparent}), tele.span("s"):
        pass
    assert tele_store.rows("SELECT parent_id, trace_id = ? FROM events".replace("?", f"'{TRACE}'")) == [(None, False)]


def test_a_later_version_of_the_header_is_read_as_the_one_we_know(tele_store):
    with tele.attach({"TRACEPARENT": f"01-{TRACE}-{SPAN}-01-more"}), tele.span("s"):
        pass
    assert tele_store.rows("SELECT trace_id, parent_id FROM events") == [(TRACE, SPAN)]


def test_an_unsampled_parent_has_no_recorded_children(tele_store):
    with tele.attach({"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"}), tele.span("s"):
        tele.event("in")
    tele.event("mark")
    assert tele_store.rows("SELECT name FROM events") == [("mark",)]


@pytest.mark.parametrize(
    "baggage",
    [
        "",
        ",,,;;;===",
        "user=me,other.experiment=x",
        "tele.unknown=1,tele.event_id=x,tele.success=true,tele.name=x",
        "tele.replicate=abc,tele.seed=1e5,tele.seed=" + "9" * 100,
        "tele.sampling_rate=-1,tele.sampling_rate=2,tele.sampling_rate=nan,tele.sampling_rate=0",
        "experiment=x",
        "tele.=x",
    ],
)
def test_hostile_baggage_is_ignored(tele_store, baggage):
    with tele.attach({"BAGGAGE": baggage}), tele.span("s"):
        pass
    assert tele_store.rows("SELECT experiment, run_id, condition, replicate, seed, attributes FROM events") == [
        ("default", None, None, None, None, None)
    ]


def test_baggage_of_others_beside_ours_and_properties_are_passed_over(tele_store):
    with tele.attach({"BAGGAGE": "a=b , tele.experiment=e%2C%20x;prop=1 ,tele.seed=4"}), tele.span("s"):
        pass
    assert tele_store.rows("SELECT experiment, seed FROM events") == [("e, x", 4)]


@pytest.mark.parametrize(
    "baggage", ["tele.condition=%FF%FE", "tele.condition=%00", "tele.condition=" + "%41" * 100_000]
)
def test_odd_values_are_text(tele_store, baggage):
    with tele.attach({"BAGGAGE": baggage}), tele.span("s"):
        pass
    assert tele_store.rows("SELECT count(*) FROM events") == [(1,)]
    assert tele.dropped() == {}


def test_a_name_too_long_for_baggage_is_not_taken_for_another(tele_store):
    name = "😀" * 1_000
    with tele.experiment(name):
        carrier = tele.propagate()
    with tele.attach(carrier):
        tele.event("in the worker")
    [(found,)] = tele_store.rows("SELECT experiment FROM events WHERE name = 'in the worker'")
    assert found in (name, "default")


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "", "\0", "x" * 300])
def test_any_experiment_can_be_propagated(tele_store, name):
    with tele.experiment(name, condition=name):
        carrier = tele.propagate()
    with tele.attach(carrier):
        tele.event("in the worker")
    found = tele_store.rows("SELECT count(DISTINCT run_id) FROM events")
    assert found == [(1,)]


@pytest.mark.parametrize("carrier", [{}, {"BAGGAGE": None}, {"TRACEPARENT": None}, {"TRACEPARENT": 5, "BAGGAGE": b"x"}])
def test_a_carrier_of_nothing_raises_nothing(tele_store, carrier):
    with tele.attach(carrier), tele.span("s"):
        pass
    assert tele_store.rows("SELECT parent_id FROM events") == [(None,)]


def test_the_context_is_restored_after_an_error(tele_store):
    with pytest.raises(ValueError), tele.attach({"BAGGAGE": "tele.experiment=x"}):
        raise ValueError


@pytest.mark.parametrize("rate", [0.5, 0.001, 1e-5, 0.30000000000000004])
def test_the_sampling_rate_reaches_the_child(tele_store, rate):
    tele.configure(sampling_rate=rate)
    with tele.experiment("e"):
        carrier = tele.propagate()
    tele.configure(sampling_rate=1.0)
    with tele.attach(carrier):
        assert here.get().scope.sampling_rate == rate


def test_an_empty_environment_changes_nothing():
    def check():
        from_environment({"PATH": "/bin"})
        return here.get()

    assert contextvars.copy_context().run(check) is OUTSIDE
