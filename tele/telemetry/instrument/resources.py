"""Methods of a client library that ask a model, wrapped so that each call is a span.

OpenAI's and Anthropic's libraries are made by one generator and have one shape: classes of resources, each sync and
async, whose methods return an answer, a stream, or one of these still in its envelope.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tele.telemetry.calls import streams
from tele.telemetry.calls.parsers import Parse, record_parsed
from tele.telemetry.calls.results import Answer, read
from tele.telemetry.instrument.handle import Instrumentation, guarded
from tele.telemetry.instrument.registry import watched
from tele.telemetry.instrument.spans import ModelCall
from tele.telemetry.instrument.told import tell
from tele.telemetry.process import process
from tele.telemetry.redaction.ruleset import forbid
from tele.telemetry.scope import here
from tele.telemetry.wrap import wrap

__all__ = ["Caller", "Resource", "wrap_resources"]

_PARAMETERS = (
    *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "seed"),
    *("presence_penalty", "frequency_penalty", "reasoning_effort", "dimensions", "encoding_format", "stream"),
)
"""Arguments of a call that are recorded, as `gen_ai.request.<name>`."""
_DEEPEST = 200
"""Frames looked at for a caller that tells of the call itself."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A class whose methods ask a model; its async twin is `Async` and its name."""

    module: str
    name: str
    operation: str
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """What differs between the libraries."""

    library: str
    provider: Callable[[Any], str]
    """Of the client that asks."""
    secrets: Callable[[Any], tuple[object, ...]]
    """Keys that the client asks with."""
    asked: Callable[[Mapping[str, Any]], Any]
    """What the arguments of a call say to the model."""
    content: bool
    parse: Parse | None = None
    """What is read out of an answer's text."""
    active: Callable[[], bool] = lambda: True
    """Whether calls are to be recorded still: a client may hold a method that was wrapped."""


def wrap_resources(caller: Caller, resources: Sequence[Resource]) -> Instrumentation:
    """Wrap every method that is there; what a version of the library does not have is passed over."""
    handle = Instrumentation(caller.library, lambda: None)
    caller = replace(caller, active=lambda: handle.active)
    for resource in resources:
        try:
            module = importlib.import_module(resource.module)
        except ImportError:
            continue
        for prefix, await_it in (("", False), ("Async", True)):
            owner = getattr(module, prefix + resource.name, None)
            for method in resource.methods:
                if owner is not None and callable(vars(owner).get(method)):
                    handle.also(_wrap_method(caller, resource.operation, owner, method, await_it=await_it))
    return handle


def _wrap_method(caller: Caller, operation: str, owner: Any, method: str, *, await_it: bool) -> Callable[[], None]:
    original = vars(owner)[method]
    if method == "stream":
        made = _manager(original, lambda function: _watched(caller, operation, function), await_it=await_it)
    elif await_it:  # the library's own decorators hide that it is one
        made = _watched(caller, operation, _awaiting(original))
    else:
        made = _watched(caller, operation, original)
    setattr(owner, method, made)

    def undo() -> None:
        if vars(owner).get(method) is made:
            setattr(owner, method, original)

    return undo


def _awaiting(original: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await original(*args, **kwargs)

    return call


# ── one call ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Nothing:
    """In place of a span where the call is told of elsewhere, or its span could not be made."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _watched(caller: Caller, operation: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def make(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            told_above = isinstance(here.get(), ModelCall) or (watched("litellm") and _within("litellm"))
            passed_over = told_above or not caller.active()
            return _Nothing() if passed_over else _span(caller, operation, args[0], kwargs)
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error, 0)
            return _Nothing()

    def returned(entered: Any, result: Any) -> Any:
        if isinstance(entered, ModelCall):
            return _ended(caller, entered, result)
        return result

    return wrap(function, make, returned=returned)


def _within(library: str) -> bool:
    """Whether `library` made this call; its callbacks tell of it, with the price that it found."""
    frame, prefix = sys._getframe(1), f"{library}."  # noqa: SLF001  # the only way to see who calls
    for _ in range(_DEEPEST):
        if frame.f_globals.get("__name__", "").startswith(prefix):
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _span(caller: Caller, operation: str, resource: Any, kwargs: Mapping[str, Any]) -> ModelCall:
    client = getattr(resource, "_client", None)
    model = kwargs.get("model")
    name = f"{operation} {model}" if isinstance(model, str) else operation
    span = ModelCall(name, operation=operation, provider=caller.provider(client))
    span.secrets = caller.secrets(client)
    forbid(*span.secrets)
    if isinstance(model, str):
        span.set(request_model=model)
    for key in _PARAMETERS:
        if isinstance(value := kwargs.get(key), (bool, int, float, str)):
            span.set_attribute(f"gen_ai.request.{key}", value)
    if host := getattr(getattr(client, "base_url", None), "host", None):
        span.set_attribute("server.address", str(host))
    if caller.content and (asked := caller.asked(kwargs)) is not None:
        span.set(input=asked)
    return span


def _ended(caller: Caller, span: ModelCall, result: Any) -> Any:
    """End the span with what the answer says; a stream's stays open until it is read."""
    answer = guarded(_unpacked)(result)
    if answer is not None and streams.is_stream(answer):
        watching = streams.watch(answer, span, lambda seen: _streamed(caller, span, seen))
        return watching if answer is result else result
    if answer is not None:
        guarded(lambda: _fill(caller, span, read(answer)))()
    span.__exit__(None, None, None)
    return result


def _unpacked(result: Any) -> Any:
    """The answer in an envelope (`with_raw_response`), which keeps what it parsed; None where its body is unread."""
    if not hasattr(result, "http_response"):
        return result
    return result.parse() if type(result).__name__ == "LegacyAPIResponse" else None


def _streamed(caller: Caller, span: ModelCall, seen: streams.Watch) -> None:
    for key, value in seen.attributes.items():
        span.set_attribute(key, value)
    if seen.ttft_ms is not None:
        span.set(ttft_ms=seen.ttft_ms)
    _fill(caller, span, seen.answer)


def _fill(caller: Caller, span: ModelCall, answer: Answer) -> None:
    span.set(**({"model": answer.model} if answer.model else {}))
    span.usage(
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cache_read_tokens=answer.cache_read_tokens,
        cache_write_tokens=answer.cache_write_tokens,
        reasoning_tokens=answer.reasoning_tokens,
    )
    if answer.response_id:
        span.set_attribute("gen_ai.response.id", answer.response_id)
        tell(answer.response_id)
    if answer.finish_reasons:
        span.set_attribute("gen_ai.response.finish_reasons", list(answer.finish_reasons))
    if answer.service_tier:
        span.set_attribute(f"{caller.library}.response.service_tier", answer.service_tier)
        span.set_attribute("gen_ai.response.service_tier", answer.service_tier)
    if answer.error_type:
        span.fail(answer.error_type, answer.error_message or "")
    if caller.content and (said := _messages(answer)):
        span.set(output=said)
    record_parsed(caller.parse, span, answer.text)


def _messages(answer: Answer) -> list[dict[str, Any]]:
    """The answer as messages, one for each choice; tool calls stand in the first."""
    texts: Sequence[str | None] = answer.texts or ((answer.text,) if answer.text or answer.tool_calls else ())
    messages: list[dict[str, Any]] = [{"role": "assistant", "content": said} for said in texts]
    if answer.tool_calls and messages:
        messages[0]["tool_calls"] = list(answer.tool_calls)
    return messages


# ── `with client.messages.stream(...) as stream` ─────────────────────────────────────────────────────────────────────


def _manager(original: Callable[..., Any], watching: Callable[..., Any], *, await_it: bool) -> Callable[..., Any]:
    """Wrap a method that returns a context manager which asks when it is entered."""

    @functools.wraps(original)
    def stream(self: Any, *args: Any, **kwargs: Any) -> Any:
        manager = original(self, *args, **kwargs)
        guarded(_watch_request)(manager, self, kwargs, watching, await_it)
        return manager

    return stream


def _watch_request(manager: Any, resource: Any, kwargs: dict[str, Any], watching: Any, await_it: bool) -> None:
    name = next((name for name in vars(manager) if name.endswith("__api_request")), None)
    if name is None:
        return
    request = getattr(manager, name)
    if await_it:

        async def awaited(_resource: Any, **_: Any) -> Any:
            return await request

        call = watching(awaited)
        setattr(manager, name, _Later(lambda: call(resource, **kwargs | {"stream": True})))
    else:
        call = watching(lambda _resource, **_: request())
        setattr(manager, name, lambda: call(resource, **kwargs | {"stream": True}))


class _Later:
    """Something to await that begins only then: a coroutine that nobody awaits would be warned of."""

    def __init__(self, begin: Callable[[], Awaitable[Any]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._begin().__await__()
