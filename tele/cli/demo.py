"""`tele demo`: a small experiment, run for real through the public face.

The models are simulated and seeded: they take time, err, are rate-limited, explain themselves in causal-reasoning
XML, and answer sums. Whether few-shot prompting helps them is decided by their own arithmetic and nothing else.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tele

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["run_demo"]

EXPERIMENT = "demo"
ITEMS, REPLICATES, AT_ONCE = 40, 3, 12
CONDITIONS = ("zero-shot", "few-shot")
MEMBERS = (("openai", "gpt-4o-mini"), ("anthropic", "claude-3-5-haiku-latest"), ("google", "gemini-2.0-flash"))
ATTEMPTS = 3


class RateLimitError(Exception):
    """The simulated provider asks to try again later."""


class AnswerRefusedError(Exception):
    """The simulated provider gives no answer at all."""


@dataclass(frozen=True)
class Item:
    """One question of the demo's little data set."""

    id: str
    question: str
    expected: str
    difficulty: float
    """0 to 1."""


@dataclass(frozen=True)
class Answer:
    """What a model returned."""

    text: str
    value: str
    confidence: float
    input_tokens: int
    output_tokens: int
    seconds_to_first: float


def items() -> list[Item]:
    """Sums of two products, from easy to hard; the same ones each time."""
    chance = random.Random(7)  # noqa: S311  # reproducible, not secret
    found = []
    for number in range(ITEMS):
        difficulty = number / (ITEMS - 1)
        most = 9 + int(60 * difficulty)
        a, b, c, d = (chance.randint(2, most) for _ in range(4))
        found.append(Item(f"sum-{number:02d}", f"What is {a} × {b} + {c} × {d}?", str(a * b + c * d), difficulty))
    return found


async def ask(model: str, item: Item, condition: str, chance: random.Random) -> Answer:
    """Answer as a model would: after a while, mostly right, with its reasons."""
    few_shot = condition == "few-shot"
    seconds = chance.lognormvariate(-4.4 + 0.35 * few_shot + 0.4 * item.difficulty, 0.45)
    await asyncio.sleep(seconds * 0.3)
    fate = chance.random()
    if fate < 0.04:  # noqa: PLR2004  # one call in 25
        raise RateLimitError(f"429 Too Many Requests for {model}: try again in 20 ms")
    if fate < 0.05:  # noqa: PLR2004  # one call in 100
        raise AnswerRefusedError(f"{model} gave no answer")
    await asyncio.sleep(seconds * 0.7)
    skill = {"gpt-4o-mini": 0.9, "claude-3-5-haiku-latest": 0.92, "gemini-2.0-flash": 0.86}[model]
    right = chance.random() < skill - (0.45 if few_shot else 0.62) * item.difficulty
    value = item.expected if right else str(int(item.expected) + chance.choice((-100, -10, -1, 1, 10)))
    confidence = round(
        min(0.99, max(0.2, (0.93 if right else 0.78) - 0.3 * item.difficulty + chance.gauss(0, 0.05))), 2
    )
    text = reasoning(item, value, confidence)
    prompt = 46 + 180 * few_shot + len(item.question) // 4
    return Answer(text, value, confidence, prompt, len(text) // 4, seconds * 0.3)


def reasoning(item: Item, value: str, confidence: float) -> str:
    """The simulated model's output: causal-reasoning events and an answer."""
    first, _, second = item.question.removeprefix("What is ").rstrip("?").partition(" + ")
    return f"""<event type="hypothesis_formed">
<decision>Multiply first: {first} and {second}</decision>
<alternatives>left to right, factor out a common term</alternatives>
<reasoning>Products bind tighter than the sum.</reasoning>
<confidence>{min(0.99, confidence + 0.05):.2f}</confidence>
</event>
<event type="alternative_rejected">
<decision>Do not factor</decision>
<alternatives>factor out a common term</alternatives>
<reasoning>The factors of {first} and {second} share no term that would save work.</reasoning>
<confidence>{confidence:.2f}</confidence>
</event>
<event type="confidence_updated">
<decision>Answer {value}</decision>
<reasoning>Adding the two products gives {value}.</reasoning>
<confidence>{confidence:.2f}</confidence>
</event>
<answer>{value}</answer>"""


async def call(provider: str, model: str, item: Item, condition: str, replicate: int) -> Answer | None:
    """One member's answer: a span for each attempt, a retry where the provider asks for one."""
    chance = random.Random(f"{model} {item.id} {condition} {replicate}")  # noqa: S311  # reproducible, not secret
    messages = [{"role": "user", "parts": [{"type": "text", "content": item.question}]}]
    for attempt in range(1, ATTEMPTS + 1):
        fields: dict[str, Any] = {"provider": provider, "model": model, "operation": "chat", "attempt": attempt}
        try:
            with tele.span(f"chat {model}", input=messages, **fields) as span:
                answer = await ask(model, item, condition, chance)
                span.usage(input_tokens=answer.input_tokens, output_tokens=answer.output_tokens)
                parts = [{"type": "text", "content": answer.text}]
                span.set(ttft_ms=answer.seconds_to_first * 1000, output=[{"role": "assistant", "parts": parts}])
                if model == MEMBERS[0][1]:
                    tele.record_chain(tele.parse_chain(answer.text, name=f"{item.id} {condition}"))
        except RateLimitError:
            await asyncio.sleep(0.01 * attempt)
        except AnswerRefusedError:
            return None
        else:
            return answer
    return None


PANEL = tele.ensemble(
    {model: partial(call, provider, model) for provider, model in MEMBERS},
    strategy="majority",
    ties="none",
    answer=lambda found: found.value,
    confidence=lambda found: found.confidence,
)


async def solve(item: Item, condition: str, replicate: int, room: asyncio.Semaphore) -> None:
    """One item: three members answer at once, the majority decides."""
    async with room:
        with tele.span("solve", item_id=item.id, replicate=replicate, operation="invoke_workflow") as span:
            outcome = await PANEL(item, condition, replicate)
            span.set(output=outcome.winner)
            if outcome.winner is None:
                span.fail("NoQuorum", "no two members agreed")
            tele.metric("correct", outcome.winner == item.expected)


async def run_condition(condition: str) -> None:
    """All items and replicates of one condition, twelve at a time."""
    room = asyncio.Semaphore(AT_ONCE)
    plan: dict[str, Any] = {
        "hypothesis": "worked examples in the prompt make sums more often right",
        "better": {"correct": "higher"},
        "hypotheses": ["correct: few-shot > zero-shot"],
        "guardrails": ["p99_ms < 2000", "success_rate > 0.9"],
        "sample_size": ITEMS,
        "tags": ["demo", "arithmetic"],
    }
    with tele.experiment(EXPERIMENT, condition=condition, **plan):
        await asyncio.gather(*(solve(item, condition, r, room) for r in range(REPLICATES) for item in items()))


def run_demo(store: Path | None, page: Path, console: Console) -> None:
    """Run it, print the analysis, write the page and say where things are."""
    from tele.analysis import analyze, render
    from tele.cli.comparing import render_judged
    from tele.cli.showing import write_page
    from tele.store.layout import find, prepare
    from tele.store.reader import Store
    from tele.store.seal import seal

    layout = prepare(store)
    tele.configure(store=layout.root, seal="manual")
    console.print(
        f"Running {len(CONDITIONS)} conditions × {ITEMS} items × {REPLICATES} replicates × {len(MEMBERS)} models …"
    )
    for condition in CONDITIONS:
        asyncio.run(run_condition(condition))
    seal(layout, wait=30.0)
    with Store(layout) as reader:
        result = analyze(reader, EXPERIMENT)
        render(result, console)
        render_judged(result, console)
        path = write_page(reader, EXPERIMENT, page)
    option = "" if find() == layout.root else f" --store {layout.root}"
    console.print()
    console.print(f"The page:   {path.resolve()}", soft_wrap=True)
    console.print(f"The store:  {layout.root.resolve()}", soft_wrap=True)
    for word, command in (
        ("Compare:", f"tele compare {' '.join(CONDITIONS)} --experiment {EXPERIMENT}"),
        ("Ask it:", 'tele sql "select model, sum(cost_usd) from llm_calls group by model"'),
    ):
        console.print(f"{word:<11} {command}{option}", soft_wrap=True)
