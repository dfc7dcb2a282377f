"""Metrics of a training become a chain of its events."""

from __future__ import annotations

import datetime as dt
import math

import pytest

import tele
from tele.errors import BadInput
from tele.trace.chain import MORE_TYPES
from tele.trace.relations import relations
from tele.trace.training import from_training_metrics, trace_training
from tele.trace.validate import problems

ROWS = [
    {"step": 1, "epoch": 1, "loss": 2.5, "grad_norm": 1.0, "timestamp": "2025-06-15T12:00:00Z"},
    {"step": 2, "epoch": 1, "loss": 2.0, "accuracy": 0.5, "checkpoint": "a.pt"},
    {"step": 3, "epoch": 2, "loss": 2.25, "mean_reward": 3, "note": "words", "early_stopped": "no better"},
]


def test_rows_become_events_of_the_training_types_in_the_order_of_what_happened():
    chain = from_training_metrics(ROWS, "sft", config={"lr": 0.001})
    assert [(event.type, event.decision) for event in chain.events] == [
        ("training_started", "Train sft"),
        ("epoch_started", "Epoch 1"),
        ("loss_computed", "loss 2.5 at step 1"),
        ("gradient_computed", "grad_norm 1 at step 1"),
        ("loss_computed", "loss 2 at step 2"),
        ("metric_recorded", "accuracy 0.5 at step 2"),
        ("checkpoint_saved", "Save a.pt"),
        ("epoch_completed", "Epoch 1 done"),
        ("epoch_started", "Epoch 2"),
        ("loss_computed", "loss 2.25 at step 3"),
        ("reward_received", "mean_reward 3 at step 3"),
        ("early_stopped", "Stop at step 3"),
        ("epoch_completed", "Epoch 2 done"),
        ("training_completed", "sft done"),
    ]
    assert {event.type for event in chain.events} <= set(MORE_TYPES)
    assert problems(chain) == ()
    losses = [event for event in chain.events if event.type == "loss_computed"]
    assert [event.metadata for event in losses] == [
        {"step": 1, "epoch": 1, "loss": 2.5},
        {"step": 2, "epoch": 1, "loss": 2.0},
        {"step": 3, "epoch": 2, "loss": 2.25},
    ]
    assert [event.reasoning for event in losses][1:] == ["loss -0.5 since step 1.", "loss +0.25 since step 2."]
    assert losses[0].created_at == dt.datetime(2025, 6, 15, 12, tzinfo=dt.UTC)
    assert chain.events[-1].metadata["status"] == "ok"
    assert chain.metadata == {"config": {"lr": 0.001}}


def test_what_happened_in_an_epoch_is_part_of_it():
    chain = from_training_metrics(ROWS)
    within = [event.decision for event in relations(chain).children("2")]
    assert within[0] == "loss 2.5 at step 1"
    assert within[-1] == "Epoch 1 done"
    assert relations(chain).roots == (chain.events[0],)


def test_the_same_rows_are_the_same_chain_and_no_rows_are_one_too():
    assert from_training_metrics(ROWS) == from_training_metrics(iter(ROWS))
    assert [event.type for event in from_training_metrics([]).events] == ["training_started", "training_completed"]
    odd = {"step": 1, "epoch": "\ud800", "loss": 1, 3: 2**70, "array": [1, 2], "checkpoint": b"x"}
    assert from_training_metrics([odd], "\ud800", config={1: {"a": object()}}).id
    assert from_training_metrics([{"step": 1, "loss": math.nan}]).events[1].decision == "loss nan at step 1"


@pytest.mark.parametrize("row", [{"loss": 1}, {"step": True}, {"step": math.nan}, {"step": "1"}, [1]])
def test_a_row_without_a_step_is_refused_with_its_number(row):
    with pytest.raises(BadInput, match="Row 1 of the metrics"):
        from_training_metrics([{"step": 0}, row])


def test_a_training_records_metrics_as_they_come_and_its_chain_at_the_end(tele_store):
    with tele.experiment("e", condition="c"), trace_training("sft", {"lr": 0.1}) as training:
        training.log(ROWS[0])
        training.log(step=2, loss=2.0)
        training.log(loss=1.0)
    assert tele_store.rows("SELECT name, value, step FROM metrics ORDER BY start_ns, name") == [
        ("loss", 2.5, 1),
        ("grad_norm", 1.0, 1),
        ("loss", 2.0, 2),
    ]
    rows = tele_store.rows(
        "SELECT r.type, r.condition, s.name FROM reasoning r JOIN spans s USING (trace_id, span_id) ORDER BY r.position"
    )
    assert [row[0] for row in rows][-2:] == ["epoch_completed", "training_completed"]
    assert {row[1:] for row in rows} == {("c", "training")}
    assert any("Row 2" in lost for lost in tele.dropped())


def test_a_training_that_failed_says_so_and_its_epoch_is_not_done(tele_store):
    @trace_training("sft")
    def train():
        tele.current_span().log(step=1, epoch=1, loss=9)
        raise MemoryError

    with pytest.raises(MemoryError):
        train()
    assert tele_store.rows("SELECT type, decision FROM reasoning ORDER BY position")[-2:] == [
        ("loss_computed", "loss 9 at step 1"),
        ("training_completed", "sft failed: MemoryError"),
    ]
    assert tele_store.rows("SELECT status FROM spans WHERE name = 'training'") == [("error",)]
