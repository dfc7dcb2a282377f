"""What a decorator costs for each call, beside the same span made by `with tele.span`.

Every side calls a function that does nothing but give back a value made before. All record into a store of the same
durability (`buffered`, so that the disk is not what is measured), and the flush counts. `llm_call` reads a chat
completion of OpenAI's shape with tool call, cache and reasoning counts, keeps input and output, and prices the call.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Settings, cpu, race, row

__all__ = ["rows"]

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "total_tokens": 1200,
        "prompt_tokens_details": {"cached_tokens": 800},
        "completion_tokens_details": {"reasoning_tokens": 150},
    },
}
CHUNKS = 20
_BARE = "with tele.span"
_SIDES = {
    "@tele.span": "span, sync",
    "@tele.span async": "span, coroutine",
    "@tele.span generator": "span, generator of one step",
    "@tele.timer": "timer",
    "@tele.metric": "metric",
    "@tele.llm_call text": "llm_call, text, nothing kept",
    "@tele.llm_call answer": "llm_call, a chat completion read, kept and priced",
    "@tele.llm_call stream": f"llm_call, a stream of {CHUNKS} chunks",
}


def rows(settings: Settings) -> list[Row]:
    """Measure every decorator against the bare span."""
    calls = settings.spans // 2
    took = race({name: _side(make, calls) for name, make in _makers().items()}, settings.rounds)
    holds = {"@tele.span": 1.5}
    return [
        row(f"decorator{number}", title, took, name, _BARE, holds.get(name), per=calls)
        for number, (name, title) in enumerate(_SIDES.items())
    ]


def _side(make: Callable[[], Callable[[int], None]], calls: int) -> Callable[[], float]:
    import tele

    def side() -> float:
        with tempfile.TemporaryDirectory() as folder:
            tele.configure(store=Path(folder) / ".tele", durability="buffered", seal="manual")
            work = make()
            work(2)  # opens the journal, reads the price

            def timed() -> None:
                work(calls)
                tele.flush()

            took = cpu(timed)
            if lost := tele.dropped():
                raise RuntimeError(f"records were lost: {lost}")
            tele.configure(seal="manual")  # closes the journal before its folder goes
        return took

    return side


def _makers() -> dict[str, Callable[[], Callable[[int], None]]]:
    import tele

    chunks = [{"choices": [{"index": 0, "delta": {"content": "word "}}], "model": "m"} for _ in range(CHUNKS)]
    span = tele.span("step", model="gpt-4o")
    steps = span(_steps)
    silent = tele.llm_call("gpt-4o", capture_input="off", capture_output="off")
    streamed = tele.llm_call("gpt-4o")(lambda _prompt: iter(chunks))
    return {
        _BARE: lambda: _bare,
        "@tele.span": _calling(span(lambda _prompt: 1)),
        "@tele.span async": _awaiting(span(_one)),
        "@tele.span generator": _calling(lambda _prompt: list(steps())),
        "@tele.timer": _calling(tele.timer("step")(lambda _prompt: 1)),
        "@tele.metric": _calling(tele.metric("step")(lambda _prompt: 1)),
        "@tele.llm_call text": _calling(silent(lambda _prompt: "Sunny.")),
        "@tele.llm_call answer": _calling(tele.llm_call("gpt-4o")(lambda _prompt: ANSWER)),
        "@tele.llm_call stream": _calling(lambda prompt: list(streamed(prompt))),
    }


def _bare(calls: int) -> None:
    import tele

    span = tele.span
    for _ in range(calls):
        with span("step", model="gpt-4o"):
            _given()


def _calling(function: Callable[..., Any]) -> Callable[[], Callable[[int], None]]:
    def work(calls: int) -> None:
        for _ in range(calls):
            function("Weather in Paris?")

    return lambda: work


def _awaiting(function: Callable[..., Any]) -> Callable[[], Callable[[int], None]]:
    async def loop(calls: int) -> None:
        for _ in range(calls):
            await function()

    return lambda: lambda calls: asyncio.run(loop(calls))


def _given() -> int:
    return 1


async def _one() -> int:
    return 1


def _steps() -> Any:
    yield 1
