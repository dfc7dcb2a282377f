"""`parse="causal"`: the chain in an answer stands under the span that the library's adapter made."""

from __future__ import annotations

import json

import pytest

from tele.errors import BadInput
from tele.telemetry.instrument import instrument

EVENT = '<event type="pattern_applied" id="1"><decision>use a queue</decision><reasoning>r</reasoning></event>'
JOINED = "SELECT s.name, r.decision FROM reasoning r JOIN spans s USING (trace_id, span_id) ORDER BY s.start_ns"


def test_openai_answers_and_streams(tele_store):
    openai, httpx = pytest.importorskip("openai"), pytest.importorskip("httpx")

    def answer(request):
        facts = {"id": "c", "created": 1, "model": "m"}
        if json.loads(request.content).get("stream"):
            parts = [
                facts | {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": part}}]}
                for part in (EVENT[:20], EVENT[20:])
            ]
            text = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
            return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})
        message = {"role": "assistant", "content": EVENT}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return httpx.Response(200, json=facts | {"object": "chat.completion", "choices": [choice]})

    with (
        instrument("openai", parse="causal", content=False),
        httpx.Client(transport=httpx.MockTransport(answer)) as inner,
    ):
        client = openai.OpenAI(api_key="k" * 20, http_client=inner, max_retries=0)
        said = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        client.chat.completions.create(**said)
        list(client.chat.completions.create(**said, stream=True))
    assert tele_store.rows(JOINED) == [("chat m", "use a queue")] * 2


def test_an_unknown_parser_is_refused_and_nothing_is_watched():
    pytest.importorskip("openai")
    with pytest.raises(BadInput, match="parse is 'causal'"):
        instrument("openai", parse="xml")
