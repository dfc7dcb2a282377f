"""The common workload: traces of an agent, the same ones for the same seed, and the answers that any store must give.

A trace has 20 spans: a chain, three agent steps, and in the steps six calls of a model, six small operations and four
tools (two in the first step). A model call carries a prompt of 1000 and a completion of 600 characters; 3 % of all
spans fail. One trace begins 100 ms after the one before. Only the standard library is used.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["QUANTILES", "Answers", "Model", "Op", "answers", "percentile", "text", "traces"]

QUANTILES = (0.5, 0.9, 0.95, 0.99)
START_NS = 1_760_000_000_000_000_000
TRACE_SPANS = 20
GAP_NS = 100_000_000
PAUSE_NS = 1_000
FAILS = 0.03


class Model(NamedTuple):
    """A model and what the price tables say it costs, US dollars for a million tokens."""

    name: str
    provider: str
    input: float
    output: float

    def cost(self, read: int, written: int) -> float:
        """US dollars of one call."""
        return (read * self.input + written * self.output) / 1e6


MODELS = (
    Model("gpt-4o-mini", "openai", 0.15, 0.6),
    Model("gpt-4o", "openai", 2.5, 10.0),
    Model("claude-3-5-sonnet-20241022", "anthropic", 3.0, 15.0),
)
TOOLS = ("search", "calculator", "read_file", "sql")
SMALL = ("retrieve", "rerank", "parse", "guardrail", "embed", "format")
STEPS = (
    ("model", "small", "tool", "tool", "model", "small"),
    ("model", "small", "tool", "model", "small"),
    ("model", "small", "tool", "model", "small"),
)


def _vocabulary() -> list[str]:
    draw = random.Random(5)
    return ["".join(draw.choices("etaoinshrdlucmfwypvbgk", k=draw.randint(2, 10))) for _ in range(4000)]


_WORDS = _vocabulary()


@dataclass(slots=True)
class Op:
    """One operation of a trace: `children` run one after the other within it."""

    name: str
    start: int
    """Nanoseconds since the epoch."""
    attributes: dict[str, Any]
    fails: bool
    end: int = 0
    model: Model | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    prompt: str = ""
    completion: str = ""
    children: list[Op] = field(default_factory=list)

    def walk(self) -> Iterator[Op]:
        """This one and all below it, in the order in which they begin."""
        yield self
        for below in self.children:
            yield from below.walk()


def text(draw: random.Random, length: int) -> str:
    """Words that mean nothing, `length` characters of them."""
    return " ".join(draw.choices(_WORDS, k=length // 4))[:length]


def traces(spans: int, seed: int = 42) -> Iterator[Op]:
    """Roots of `spans` // 20 traces."""
    draw = random.Random(seed)
    for number in range(spans // TRACE_SPANS):
        yield _trace(draw, number)


def _trace(draw: random.Random, number: int) -> Op:
    start = START_NS + number * GAP_NS
    facts = {"gen_ai.conversation.id": f"conv-{number}", "app.tenant": f"t{number % 7}"}
    root = Op("chain.run", start, facts, draw.random() < FAILS)
    at = start + PAUSE_NS
    for position, kinds in enumerate(STEPS):
        step = Op("agent.step", at, {"gen_ai.agent.name": "researcher", "app.step": position}, draw.random() < FAILS)
        at += PAUSE_NS
        for kind in kinds:
            below = _LEAVES[kind](draw, at)
            step.children.append(below)
            at = below.end + PAUSE_NS
        step.end = at
        root.children.append(step)
    root.end = at
    return root


def _model_call(draw: random.Random, at: int) -> Op:
    model = draw.choice(MODELS)
    call = Op("chat " + model.name, at, {"gen_ai.request.temperature": 0.7}, draw.random() < FAILS, model=model)
    call.end = at + int(draw.lognormvariate(20.3, 0.6))
    call.input_tokens, call.output_tokens = draw.randint(180, 400), draw.randint(80, 220)
    call.prompt, call.completion = text(draw, 1000), text(draw, 600)
    return call


def _tool(draw: random.Random, at: int) -> Op:
    name = draw.choice(TOOLS)
    facts = {
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": f"call_{draw.getrandbits(48):x}",
        "app.result": text(draw, 80),
    }
    return Op("execute_tool " + name, at, facts, draw.random() < FAILS, at + int(draw.lognormvariate(18.0, 0.8)))


def _small(draw: random.Random, at: int) -> Op:
    name = draw.choice(SMALL)
    facts = {"app.component": name, "app.items": draw.randint(1, 40)}
    return Op(name, at, facts, draw.random() < FAILS, at + int(draw.lognormvariate(15.5, 0.7)))


_LEAVES = {"model": _model_call, "tool": _tool, "small": _small}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the standard question is to find."""

    spans: int
    percentiles: dict[str, tuple[float, ...]]
    """Milliseconds at `QUANTILES`, by name, failed spans included."""
    tokens: dict[str, int]
    """By model."""
    cost: dict[str, float]
    """US dollars by model."""
    error_rate: float


def answers(spans: int, seed: int = 42) -> Answers:
    """Compute the answers from the workload itself."""
    took: dict[str, list[float]] = defaultdict(list)
    tokens: Counter[str] = Counter()
    cost: dict[str, list[float]] = defaultdict(list)
    failed = count = 0
    for root in traces(spans, seed):
        for op in root.walk():
            took[op.name].append((op.end - op.start) / 1e6)
            count += 1
            failed += op.fails
            if op.model:
                tokens[op.model.name] += op.input_tokens + op.output_tokens
                cost[op.model.name].append(op.model.cost(op.input_tokens, op.output_tokens))
    ordered = {name: sorted(values) for name, values in took.items()}
    return Answers(
        count,
        {name: tuple(percentile(values, q) for q in QUANTILES) for name, values in ordered.items()},
        dict(tokens),
        {name: sum(values) for name, values in cost.items()},
        failed / count,
    )


def percentile(ordered: list[float], share: float) -> float:
    """Value at `share` (0 to 1) of sorted values, interpolated linearly between neighbours."""
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
