"""What the normaliser costs for each span, beside writing the same attributes as JSON, which every span pays anyway.

Four emitters' spans, as they come from OTLP: the current GenAI conventions, Traceloop's flattened messages,
OpenInference's, and a span that has nothing to do with models, as most spans have not.
"""

from __future__ import annotations

import random
from typing import Any

import orjson

from benchmarks.measure import Row, Settings, cpu, race, row
from benchmarks.workload import text
from tele.telemetry.normalise import normalise

__all__ = ["rows"]

_SAID = text(random.Random(5), 600)
_MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": _SAID}]}]
_SHAPES: dict[str, dict[str, Any]] = {
    "genai": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.response.model": "claude-sonnet-4-5-20250929",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 812,
        "gen_ai.usage.output_tokens": 96,
        "gen_ai.usage.cache_read.input_tokens": 512,
        "gen_ai.conversation.id": "c-1",
        "gen_ai.input.messages": orjson.dumps(_MESSAGES).decode(),
        "gen_ai.output.messages": orjson.dumps(_MESSAGES).decode(),
        "server.address": "api.anthropic.com",
    },
    "traceloop": {
        "gen_ai.system": "openai",
        "llm.request.type": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.prompt_tokens": 812,
        "gen_ai.usage.completion_tokens": 96,
        "llm.usage.total_tokens": 908,
        **{f"gen_ai.prompt.{n}.{key}": said for n in range(4) for key, said in (("role", "user"), ("content", _SAID))},
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": _SAID,
    },
    "openinference": {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "llm.provider": "openai",
        "llm.invocation_parameters": '{"temperature": 0.7, "seed": 3}',
        "llm.token_count.prompt": 812,
        "llm.token_count.completion": 96,
        "input.value": _SAID,
        "output.value": _SAID,
        **{f"llm.input_messages.{n}.message.{key}": _SAID for n in range(4) for key in ("role", "content")},
    },
    "other": {
        "http.request.method": "GET",
        "url.full": "https://example.org/items?page=2",
        "http.response.status_code": 200,
        "server.address": "example.org",
        "server.port": 443,
        "network.protocol.version": "1.1",
        "user_agent.original": "python-httpx/0.28",
        "app.tenant": "t4",
        "app.items": 17,
        "app.score": 0.8125,
    },
}


def rows(settings: Settings) -> list[Row]:
    """Measure each shape; there is no budget, the figure is there to be watched."""
    found = []
    for name, attributes in _SHAPES.items():
        pool = [dict(attributes) for _ in range(settings.spans // 4)]
        took = race(
            {
                "normalise": lambda pool=pool: cpu(lambda: [normalise(one) for one in pool]),
                "orjson.dumps": lambda pool=pool: cpu(lambda: [orjson.dumps(one) for one in pool]),
            },
            settings.rounds,
        )
        what = f"normaliser, {name} ({len(attributes)} attributes, {len(orjson.dumps(attributes)):,} bytes)"
        found.append(row(f"normaliser-{name}", what, took, "normalise", "orjson.dumps", None, per=len(pool)))
    return found
