"""Messages and tokens that stand in span events."""

from __future__ import annotations

from tele.telemetry.ingest.span_events import said_by_events
from tele.telemetry.normalise import normalise


def test_the_second_generation_has_one_event_for_each_message():
    events = [
        ("gen_ai.system.message", {"gen_ai.system": "openai", "content": "be brief"}),
        ("gen_ai.user.message", {"content": "hello"}),
        ("gen_ai.assistant.message", {"tool_calls": '[{"id": "t"}]'}),
        ("gen_ai.tool.message", {"id": "t", "content": "4"}),
        ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": '{"content": "hi"}'}),
    ]

    columns = normalise(said_by_events(events, failed=False))

    assert columns["input"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "tool_calls": [{"id": "t"}]},
        {"role": "tool", "id": "t", "content": "4"},
    ]
    assert columns["output"] == [{"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}]


def test_content_events_and_operation_details_speak_as_their_span():
    events = [
        ("gen_ai.content.prompt", {"gen_ai.prompt": '[{"role": "user"}]'}),
        ("gen_ai.content.completion", {"gen_ai.completion": '[{"role": "assistant"}]'}),
        ("gen_ai.client.inference.operation.details", {"gen_ai.usage.input_tokens": 5}),
    ]

    columns = normalise(said_by_events(events, failed=False))

    assert columns == {"input": [{"role": "user"}], "output": [{"role": "assistant"}], "input_tokens": 5}


def test_an_exception_speaks_of_a_failed_span_alone():
    events = [("exception", {"exception.type": "ValueError"}), ("metadata", {"k": 1})]

    assert said_by_events(events, failed=True) == {"exception.type": "ValueError", "metadata.k": 1}
    assert said_by_events(events, failed=False) == {"metadata.k": 1}
