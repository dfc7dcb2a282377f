"""DSPy: callbacks that record modules, model calls, adapters, tools, evaluations, optimizers and interpreters.

A span is entered where DSPy begins the thing and left where it ends it, so the user's own spans and metrics nest as
they should, and DSPy's threads work where they were called for. In a thread that knows only DSPy's id of the call
above, the parent is found by that. Tokens come from the entry of the model's history that holds this very answer,
claimed by its uuid: `history[-1]` is another thread's as soon as there are two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tele.telemetry.calls.parsers import Parse, checked, record_parsed
from tele.telemetry.instrument.handle import Instrumentation, guarded, load
from tele.telemetry.instrument.spans import Bounded, ModelCall
from tele.telemetry.instrument.told import tell
from tele.telemetry.points import metric
from tele.telemetry.pricing import CLIENT_CACHE
from tele.telemetry.redaction.ruleset import forbid
from tele.telemetry.scope import OUTSIDE, here
from tele.telemetry.span import Span

__all__ = ["install"]

_PARAMETERS = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "n", "seed", "rollout_id")
_MOST_SCORES = 10_000
_WITHOUT_CONTENT = frozenset({"adapter_format", "adapter_parse", "evaluate", "compile"})
"""An adapter's prompt and answer stand on the model's span, and would be kept three times; data sets are too large."""
_SETTINGS = frozenset({"lm", "config", "callbacks", "api_key"})
"""Arguments of a module that are not what it was asked, and may hold a key."""
_ENTRIES_LOOKED_AT = 200
"""Of a model's history, from its end: what finished after this call did, in other threads."""


def install(*, content: bool = True, parse: Parse | None = None) -> Instrumentation:
    """Add a callback to DSPy that stays whatever callbacks the program configures. `content=False` leaves out what
    was said: messages, inputs, outputs and code. `parse` is as for `tele.llm_call`, and reads the first answer.
    """  # noqa: D205
    dspy = load("dspy")
    module = load("dspy.utils.callback", "dspy")
    callback = type("TeleCallback", (_Callback, module.BaseCallback), {})()
    callback.recorder = Recorder(dspy, module.ACTIVE_CALL_ID.get, content, checked(parse))
    handle = Instrumentation("dspy", _keep_in(type(dspy.settings), callback))
    handle.also(_carry_into_threads(load("dspy.utils.parallelizer", "dspy").ParallelExecutor))
    return handle


class _Callback:
    """The methods that DSPy calls; their names and parameters are its own."""

    recorder: Recorder

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return object.__getattribute__(self, name)
        what, _, when = name.removeprefix("on_").rpartition("_")
        recorder = self.recorder
        return recorder.start_of(what) if when == "start" else recorder.end


@dataclass(slots=True)
class _Running:
    span: Span
    instance: Any
    kind: str
    asked: Any
    outside: Any
    """Where the thread was, where the span's parent had to be found by DSPy's id; None where it was here anyway."""


class Recorder:
    """Spans of what DSPy is doing, by its id of the call."""

    def __init__(self, dspy: Any, active: Callable[[], str | None], content: bool, parse: Parse | None) -> None:
        self._dspy = dspy
        self._active = active
        self._content = content
        self._parse = parse
        self._running = Bounded()
        self._entries = Bounded()
        self.end = guarded(self._end)

    def start_of(self, kind: str) -> Callable[..., None]:
        """Return what records that something of this kind begins."""

        @guarded
        def start(call_id: str, instance: Any, inputs: Mapping[str, Any]) -> None:
            self._start(kind, call_id, instance, inputs)

        return start

    def _start(self, kind: str, call_id: str, instance: Any, inputs: Mapping[str, Any]) -> None:
        span = _KINDS.get(kind, _module)(kind, instance, inputs)
        outside = None
        above = self._running.get(self._active())
        if here.get() is OUTSIDE and above is not None:  # a thread of DSPy's own
            outside = here.get()
            here.set(above.span)
        span.__enter__()
        self._running.put(call_id, _Running(span, instance, kind, _said(kind, inputs), outside))

    def _end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        run: _Running | None = self._running.pop(call_id)
        if run is None:
            return
        try:
            guarded(self._fill)(run, outputs)
        finally:
            run.span.__exit__(type(exception) if exception else None, exception, None)
            if run.outside is not None:
                here.set(run.outside)

    def _fill(self, run: _Running, outputs: Any) -> None:
        if self._content and run.kind not in _WITHOUT_CONTENT:
            said = {"input": run.asked, "output": _value(outputs)}
            run.span.set(**{name: value for name, value in said.items() if value is not None})
        if run.kind == "lm" and outputs is not None:
            self._usage(run, outputs)
            record_parsed(self._parse, run.span, _first_text(outputs))
        elif run.kind == "evaluate" and outputs is not None:
            _scores(run, outputs)

    def _usage(self, run: _Running, outputs: Any) -> None:
        entry = self._entry(run.instance, outputs)
        if entry is None:
            run.span.set_attribute("dspy.usage", "not in the history")
            return
        usage, answered = entry.get("usage") or {}, entry.get("response")
        given = _get(answered, "usage")
        cached = _get(answered, "cache_hit") is True or (not usage and bool(given))
        usage = usage or given or {}
        run.span.set_attribute("dspy.history.uuid", entry.get("uuid"))
        run.span.set(model=_bare(entry.get("response_model") or entry.get("model")))
        if isinstance(identity := _get(answered, "id"), str):
            run.span.set_attribute("gen_ai.response.id", identity)
            tell(identity)
        run.span.usage(
            input_tokens=_first(usage, "prompt_tokens", "input_tokens"),
            output_tokens=_first(usage, "completion_tokens", "output_tokens"),
            cache_read_tokens=_first(_get(usage, "prompt_tokens_details"), "cached_tokens"),
            cache_write_tokens=_first(_get(usage, "prompt_tokens_details"), "cache_creation_tokens"),
            reasoning_tokens=_first(_get(usage, "completion_tokens_details"), "reasoning_tokens"),
        )
        if cached:
            run.span.set(cost_usd=0.0, price_ref=CLIENT_CACHE, cache_hit=True)
        elif entry.get("cost"):  # 0 is also what an unknown price looks like
            run.span.set(cost_usd=entry["cost"], price_ref=f"dspy {self._dspy.__version__}")

    def _entry(self, model: Any, outputs: Any) -> Mapping[str, Any] | None:
        """Find the entry of the history that this call wrote: the one that holds this answer, taken once."""
        for entry in _recent(getattr(model, "history", None)) or _recent(self._dspy.clients.base_lm.GLOBAL_HISTORY):
            if entry.get("outputs") is outputs or entry.get("response") is outputs:  # an equal one is another call's
                token = object()
                if self._entries.add(entry.get("uuid"), token) is token:
                    return entry
        return None


# One function for each kind of thing that DSPy tells of


def _module(kind: str, instance: Any, inputs: Mapping[str, Any]) -> Span:
    del inputs
    span = Span(_name(instance)).set_attribute("dspy.kind", kind)
    signature = getattr(getattr(instance, "signature", None), "signature", None)
    return span.set_attribute("dspy.signature", signature) if isinstance(signature, str) else span


def _lm(kind: str, instance: Any, inputs: Mapping[str, Any]) -> Span:
    model = str(getattr(instance, "model", "") or _name(instance))
    provider, slash, bare = model.partition("/")
    span = ModelCall(f"chat {model}", operation="chat", request_model=bare if slash else model)
    if slash:
        span.set(provider=provider)
    span.secrets = ((getattr(instance, "kwargs", None) or {}).get("api_key"),)
    forbid(*span.secrets)
    asked = {**(getattr(instance, "kwargs", None) or {}), **(inputs.get("kwargs") or {})}
    for name in _PARAMETERS:
        if isinstance(asked.get(name), (int, float)):
            span.set_attribute(f"gen_ai.request.{name}", asked[name])
    return span.set_attribute("dspy.kind", kind)


def _adapter(kind: str, instance: Any, inputs: Mapping[str, Any]) -> Span:
    del inputs
    return Span(f"{_name(instance)}.{kind.rpartition('_')[2]}").set_attribute("dspy.kind", kind)


def _tool(kind: str, instance: Any, inputs: Mapping[str, Any]) -> Span:
    del inputs
    name = str(getattr(instance, "name", None) or _name(instance))
    span = Span(f"execute_tool {name}", operation="execute_tool")
    return span.set_attribute("gen_ai.tool.name", name).set_attribute("dspy.kind", kind)


def _evaluate(kind: str, instance: Any, inputs: Mapping[str, Any]) -> Span:
    facts = {name: _chosen(instance, inputs, name) for name in ("num_threads", "devset", "metric")}
    span = Span(f"evaluate {_function(facts['metric'])}").set_attribute("dspy.kind", kind)
    span.set_attribute("dspy.program", _name(inputs.get("program")))
    span.set_attribute("dspy.examples", _length(facts["devset"]))
    return span.set_attribute("dspy.num_threads", facts["num_threads"])


def _compile(kind: str, instance: Any, inputs: Mapping[str, Any]) -> Span:
    span = Span(f"{_name(instance)}.compile").set_attribute("dspy.kind", kind)
    for name in ("trainset", "valset"):
        if (length := _length(inputs.get(name))) is not None:
            span.set_attribute(f"dspy.{name}", length)
    span.set_attribute("dspy.program", _name(inputs.get("student")))
    for name, value in vars(instance).items():
        if not name.startswith("_") and isinstance(value, (bool, int, float)):
            span.set_attribute(f"dspy.optimizer.{name}", value)
    return span


def _interpreter(kind: str, instance: Any, inputs: Mapping[str, Any]) -> Span:
    del inputs
    return Span(f"{_name(instance)}.{kind.removeprefix('interpreter_')}").set_attribute("dspy.kind", kind)


_KINDS: dict[str, Callable[[str, Any, Mapping[str, Any]], Span]] = {
    "module": _module,
    "lm": _lm,
    "adapter_format": _adapter,
    "adapter_parse": _adapter,
    "tool": _tool,
    "evaluate": _evaluate,
    "compile": _compile,
    **dict.fromkeys(("interpreter_execute", "interpreter_tool_call"), _interpreter),
    **dict.fromkeys(("interpreter_startup", "interpreter_shutdown"), _interpreter),
}


def _scores(run: _Running, result: Any) -> None:
    """Record the score of an evaluation (0 to 100) and of each example, under its `id` or its number."""
    run.span.set_attribute("dspy.score", result.score)
    name = run.span.name.removeprefix("evaluate ")
    metric(f"{name}.score", result.score, unit="%")
    for number, (example, _, score) in enumerate(islice(result.results, _MOST_SCORES)):
        identity = next((example.get(key) for key in ("item_id", "id") if key in example), number)
        metric(name, score, item_id=str(identity))


# Reading DSPy's objects


def _first_text(outputs: Any) -> str | None:
    """The first answer of a model: a text, or a mapping or message that holds it under `text` or `content`."""
    first = outputs[0] if isinstance(outputs, (list, tuple)) and outputs else outputs
    found = first if isinstance(first, str) else _get(first, "text") or _get(first, "content")
    return found if isinstance(found, str) else None


def _said(kind: str, inputs: Mapping[str, Any]) -> Any:
    """What went in, as far as it is content: never a model's own settings, which may hold a key."""
    if kind == "lm":
        return inputs.get("messages") or inputs.get("prompt")
    if kind in _WITHOUT_CONTENT:
        return None
    given = inputs.get("kwargs")
    asked = given if isinstance(given, Mapping) and given else inputs
    return {name: _value(value) for name, value in asked.items() if name not in _SETTINGS}


def _value(value: Any) -> Any:
    to_dict = getattr(value, "toDict", None)
    return to_dict() if callable(to_dict) else value


def _name(instance: Any) -> str:
    return type(instance).__name__


def _function(value: Any) -> str:
    return str(getattr(value, "__name__", None) or (_name(value) if value is not None else "metric"))


def _chosen(instance: Any, inputs: Mapping[str, Any], name: str) -> Any:
    given = inputs.get(name)
    return getattr(instance, name, None) if given is None else given


def _length(value: Any) -> int | None:
    return len(value) if hasattr(value, "__len__") else None


def _recent(history: Any) -> list[Mapping[str, Any]]:
    return list(reversed(history[-_ENTRIES_LOOKED_AT:])) if history else []


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def _first(value: Any, *keys: str) -> int | None:
    found = (_get(value, key) for key in keys)
    return next((count for count in found if isinstance(count, int) and not isinstance(count, bool)), None)


def _bare(model: Any) -> str | None:
    return model.rpartition("/")[2] if isinstance(model, str) else None


def _keep_in(settings: Any, callback: Any) -> Callable[[], None]:
    """Have DSPy find `callback` among its callbacks, also after `dspy.configure(callbacks=...)` replaced them.

    Only the thread that configured first may configure again, so this looks in where they are looked up.
    """
    original = settings.get

    def get(self: Any, key: str, default: Any = None) -> Any:
        found = original(self, key, default)
        if key != "callbacks" or callback in (found or ()):
            return found
        return [*(found or ()), callback]

    settings.get = get

    def undo() -> None:
        if settings.get is get:
            settings.get = original

    return undo


def _carry_into_threads(executor: Any) -> Callable[[], None]:
    """Have the threads of `dspy.Evaluate` and `dspy.Parallel` be where the call was made."""
    original = executor.execute

    def execute(self: Any, function: Callable[[Any], Any], data: Any) -> Any:
        place = here.get()

        def placed(item: Any) -> Any:
            token = here.set(place)
            try:
                return function(item)
            finally:
                here.reset(token)

        return original(self, placed, data)

    executor.execute = execute

    def undo() -> None:
        if executor.execute is execute:
            executor.execute = original

    return undo
