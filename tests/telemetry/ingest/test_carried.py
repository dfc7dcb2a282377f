"""Attributes of ours that OTLP carries become columns again, and what does not fit stays an attribute."""

from __future__ import annotations

import pytest

from tele.telemetry.ingest import Place, otlp


def read(**attributes):
    pairs = [{"key": key.replace("__", "."), "value": value} for key, value in attributes.items()]
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "startTimeUnixNano": 1, "endTimeUnixNano": 2, "attributes": pairs}
    (record,) = otlp.read({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}, Place("f"))
    return record


def test_what_baggage_says_fills_the_columns_also_where_numbers_came_as_text():
    record = read(
        tele__run_id={"stringValue": "r1"},
        tele__condition={"stringValue": "c"},
        tele__replicate={"stringValue": "-3"},
        tele__seed={"intValue": "7"},
        tele__tags={"arrayValue": {"values": [{"stringValue": "t"}]}},
    )
    assert [record[name] for name in ("run_id", "condition", "replicate", "seed", "tags")] == ["r1", "c", -3, 7, ["t"]]
    assert record["attributes"]["tele.condition"] == "c"


@pytest.mark.parametrize("value", [{"doubleValue": 1.5}, {"stringValue": "9" * 30}, {"boolValue": True}, {}])
def test_what_does_not_fit_its_column_stays_an_attribute(value):
    record = read(tele__replicate=value)
    assert "replicate" not in record
    assert "tele.replicate" in record["attributes"]


def test_the_experiment_is_for_whoever_brings_the_record_in():
    assert "experiment" not in read(tele__experiment={"stringValue": "e"})


def test_success_that_does_not_follow_from_the_status_is_carried():
    assert read()["success"] is True
    assert read(tele__success={"boolValue": False})["success"] is False
    assert "success" not in read(tele__success={"stringValue": "unknown"})
