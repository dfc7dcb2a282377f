"""LiteLLM: a callback that records each call as a span where it was made.

LiteLLM hands its callbacks everything, the API key included, so what is taken stands in lists here and nothing else is
looked at. It calls them by keyword, so the parameters bear its names; success is told on a worker thread after the call
returned, so a span begins where the request is made and ends wherever its outcome is told.
"""

from __future__ import annotations

import atexit
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tele.telemetry.calls.parsers import Parse, checked, record_parsed
from tele.telemetry.calls.results import read
from tele.telemetry.instrument.handle import Instrumentation, guarded, load
from tele.telemetry.instrument.spans import Bounded, ModelCall, begin, end, kind_of, without
from tele.telemetry.instrument.told import tell
from tele.telemetry.normalise import normalise
from tele.telemetry.pricing import CLIENT_CACHE
from tele.telemetry.process import flush
from tele.telemetry.redaction.ruleset import forbid
from tele.telemetry.scope import Node, here

__all__ = ["install"]

_NUMBERS = (
    *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "n", "seed", "stream"),
    *("presence_penalty", "frequency_penalty", "reasoning_effort"),
)
"""Parameters of a request that are recorded, as `gen_ai.request.<name>`."""
_FACTS = {
    "litellm_call_id": "litellm.call_id",
    "call_type": "litellm.call_type",
    "model_group": "litellm.model_group",
    "saved_cache_cost": "litellm.saved_cache_cost",
    "request_tags": "litellm.request_tags",
}
"""Fields of the payload that are recorded as they are. Headers, metadata, parameters and the proxy's users are not."""
_COSTS = ("input_cost", "output_cost", "cache_read_cost", "cache_creation_cost", "reasoning_cost", "tool_usage_cost")
_LISTS = (
    *("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback"),
    *("_async_success_callback", "_async_failure_callback"),
)
_TOLD_ABOVE = object()
"""In place of a span: the call is recorded by the library above LiteLLM."""
_told = Bounded()
"""Outcomes that stand in the log, of whichever recorder: one that was removed may still tell of a call."""


def install(*, content: bool = True, parse: Parse | None = None) -> Instrumentation:
    """Add a callback to LiteLLM. `content=False` leaves out messages and answers; `parse` as for `tele.llm_call`."""
    litellm = load("litellm")
    logger = load("litellm.integrations.custom_logger", "litellm").CustomLogger
    recorder = Recorder(content, _price_table(litellm), checked(parse))
    callback = type("TeleCallback", (_Callback, logger), {})()
    callback.recorder = recorder
    callback.number = id(callback)  # LiteLLM tells callbacks of one class apart by such; the one before may be at work
    litellm.logging_callback_manager.add_litellm_callback(callback)
    atexit.register(recorder.leave)  # LiteLLM tells what it still holds when the process ends: after our last flush
    handle = Instrumentation("litellm", lambda: recorder.stop(lambda: _take_out(litellm, callback)))
    handle.also(_watch_beginnings(recorder))
    return handle


def _take_out(litellm: Any, callback: Any) -> None:
    """Take the callback out of every list that LiteLLM copied it to; its own way forgets the one for inputs.

    The lists are replaced: another thread may be walking them, and would miss the callback behind this one.
    """
    for name in _LISTS:
        kept = getattr(litellm, name, None)
        if isinstance(kept, list) and callback in kept:
            setattr(litellm, name, [each for each in kept if each is not callback])


class _Callback:
    """The methods that LiteLLM calls; their names and parameters are its own."""

    recorder: Recorder
    number: int

    @guarded
    def log_pre_api_call(self, model: Any, messages: Any, kwargs: dict[str, Any]) -> None:
        del messages
        self.recorder.began(str(model), kwargs)

    @guarded
    def log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        del response_obj, start_time, end_time
        self.recorder.ended(kwargs, failed=False)

    @guarded
    def log_failure_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        del response_obj, start_time, end_time
        self.recorder.ended(kwargs, failed=True)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self.log_failure_event(kwargs, response_obj, start_time, end_time)


class Recorder:
    """Spans of the calls that are on their way, by LiteLLM's id of the call."""

    def __init__(self, content: bool, price_table: str, parse: Parse | None) -> None:
        self._content = content
        self._parse = parse
        self._price_table = price_table
        self._open = Bounded()
        self._places = Bounded()
        self._awaited = Bounded()
        self._leaving = False
        self._removed: Callable[[], None] | None = None

    def stop(self, remove: Callable[[], None]) -> None:
        """Record no call that begins from now on, and `remove` the callback when the others have been told.

        LiteLLM tells of a call on another thread, also after it has returned, and a stream ends when it was read.
        """
        self._removed = remove
        self._settle()

    def _settle(self) -> None:
        if self._removed is not None and not self._open and not self._awaited:
            self._removed()
            atexit.unregister(self.leave)

    def leave(self) -> None:
        """From now on every record is flushed at once: the process ends."""
        self._leaving = True

    def placed(self, call_id: object) -> None:
        """Remember that the call with this id is made where the running code is."""
        if isinstance(call_id, str) and self._removed is None:
            self._places.put(call_id, here.get())
            self._awaited.put(call_id, value=True)

    def began(self, model: str, kwargs: Mapping[str, Any]) -> None:
        """Open a span: the request is about to be made."""
        call_id = kwargs.get("litellm_call_id")
        forbid(*_secrets(kwargs))
        if self._unwatched(call_id):
            return
        if isinstance(here.get(), ModelCall):
            self._open.put(call_id, _TOLD_ABOVE)
            return
        attempt = self._open.get(call_id)
        if isinstance(attempt, ModelCall):  # LiteLLM tries again, under the same id and clock
            attempt.attempts += 1
            attempt.set_attribute("litellm.attempts", attempt.attempts)
        elif "standard_logging_object" not in kwargs:  # one is there where the call was told already
            self._open.put(call_id, begin(_span(kwargs, model)))

    def _unwatched(self, call_id: object) -> bool:
        """Whether the call with this id was made when the library was watched no longer."""
        return self._removed is not None and not (self._awaited.get(call_id) or self._open.get(call_id))

    def ended(self, kwargs: Mapping[str, Any], *, failed: bool) -> None:
        """Record the outcome of a call."""
        call_id = kwargs.get("litellm_call_id")
        if not self._unwatched(call_id):
            try:
                self._ended(call_id, kwargs, failed=failed)
            finally:
                self._awaited.pop(call_id)
                self._settle()

    def _ended(self, call_id: Any, kwargs: Mapping[str, Any], *, failed: bool) -> None:
        payload = _payload(kwargs)
        span = self._open.pop(call_id)
        place = (self._places.get if failed else self._places.pop)(call_id)  # what failed may be tried again
        told = (call_id, failed, None if failed else payload.get("id"))
        if span is None:
            if _told.get(told) or isinstance(place or here.get(), ModelCall):
                return
            span = _late(kwargs, place)
        if span is _TOLD_ABOVE:
            return
        _told.put(told, value=True)
        tell(call_id, payload.get("id"))
        if failed:
            span.fail("Error")  # and what it was, where that can be read
        guarded(self._fill)(span, payload, kwargs, failed)
        if not failed:
            guarded(self._read_out)(span, payload)
        start, stop = payload.get("startTime"), payload.get("endTime")
        if isinstance(start, float) and isinstance(stop, float):
            span.start_ns = int(start * 1e9)
            end(span, took_ns=int((stop - start) * 1e9))
        else:
            end(span)
        if self._leaving:
            flush()

    def _read_out(self, span: ModelCall, payload: Mapping[str, Any]) -> None:
        if self._parse is not None:
            record_parsed(self._parse, span, read(payload.get("response")).text)

    def _fill(self, span: ModelCall, payload: Mapping[str, Any], kwargs: Mapping[str, Any], failed: bool) -> None:
        columns = normalise(payload)
        answer, asked = columns.pop("output", None), columns.pop("input", None)
        if self._content:
            columns |= {"input": asked, "output": _answers(answer)}
        for key, value in _attributes(payload, answer).items():
            span.set_attribute(key, value)
        for key in ("error_type", "price_ref"):
            columns.pop(key, None)
        if failed:  # its zeros are no usage
            columns = {key: value for key, value in columns.items() if not key.endswith(("_tokens", "cost_usd"))}
            columns |= _error(payload, kwargs)
        elif payload.get("cache_hit") is True:
            columns |= {"cost_usd": 0.0, "price_ref": CLIENT_CACHE}
        elif columns.get("cost_usd") is not None:
            columns["price_ref"] = f"{self._price_table} {columns.get('provider')}/{columns.get('model')}"
        span.set(**{key: value for key, value in columns.items() if value is not None})


# What is taken of a call


def _payload(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = kwargs.get("standard_logging_object")
    return payload if isinstance(payload, Mapping) else {"litellm_call_id": kwargs.get("litellm_call_id")}


def _span(kwargs: Mapping[str, Any], model: str) -> ModelCall:
    said = {"litellm_call_id": "", "call_type": kwargs.get("call_type")}
    operation = normalise(said).get("operation", "chat")
    provider = kwargs.get("custom_llm_provider")
    return ModelCall(f"{operation} {model}", operation=operation, request_model=model, provider=provider)


def _late(kwargs: Mapping[str, Any], place: Node | None) -> ModelCall:
    """A span of a call that was told only when it was over: an answer from the cache, an embedding."""
    token = here.set(place) if place is not None else None
    try:
        span = _span(kwargs, str(kwargs.get("model")))
        begin(span)
    finally:
        if token is not None:
            here.reset(token)
    return span


def _attributes(payload: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    found = {name: payload.get(key) or None for key, name in _FACTS.items()}
    parameters = payload.get("model_parameters")
    if isinstance(parameters, Mapping):
        found |= {f"gen_ai.request.{name}": _plain(parameters.get(name)) for name in _NUMBERS}
    costs = payload.get("cost_breakdown")
    if isinstance(costs, Mapping):
        found |= {f"litellm.cost.{name}": _plain(costs.get(name)) or None for name in _COSTS}
    if payload.get("status") == "success":
        found["gen_ai.response.id"] = _plain(payload.get("id"))
        reasons = [_plain(choice.get("finish_reason")) for choice in _choices(answer)]
        found["gen_ai.response.finish_reasons"] = [reason for reason in reasons if reason] or None
    if payload.get("cache_hit") is True:
        found["cache_hit"] = True
    return {key: value for key, value in found.items() if value is not None}


def _plain(value: object) -> Any:
    """A number, a word or a switch; anything else may hold what nobody looked at."""
    return value if isinstance(value, (bool, int, float, str)) else None


def _choices(answer: object) -> Iterable[Mapping[str, Any]]:
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    return [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []


def _answers(answer: object) -> Any:
    """The messages of a response; vectors are none."""
    if not isinstance(answer, Mapping):
        return answer if isinstance(answer, str) else None
    messages = [choice.get("message") or choice.get("text") for choice in _choices(answer)]
    return messages or answer.get("output")


def _error(payload: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    error = kwargs.get("exception")
    said = payload.get("error_information")
    said = said if isinstance(said, Mapping) else {}
    kind = kind_of(error) if isinstance(error, BaseException) else None
    message = without(_secrets(kwargs), str(said.get("error_message") or payload.get("error_str") or error or ""))
    code = (
        {"http.response.status_code": int(said["error_code"])} if str(said.get("error_code") or "").isdecimal() else {}
    )
    return code | {"error_type": kind or said.get("error_class") or "Error", "error_message": message}


def _secrets(kwargs: Mapping[str, Any]) -> list[Any]:
    """The keys that this call was made with: a server may repeat them in what it refuses with."""
    inner = kwargs.get("litellm_params")
    sources = (kwargs, inner if isinstance(inner, Mapping) else {})
    return [source.get(name) for source in sources for name in ("api_key", "azure_ad_token", "token")]


def _price_table(litellm: Any) -> str:
    """What LiteLLM's dollars rest on: its version, and a hash of the map, which it fetches anew at import."""
    from hashlib import sha256
    from importlib.metadata import version

    import orjson

    prices = orjson.dumps(litellm.model_cost, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return f"litellm {version('litellm')} map {sha256(prices).hexdigest()[:8]}"


def _watch_beginnings(recorder: Recorder) -> Callable[[], None]:
    """Have each call remember where it is made: an answer from the cache is told on a thread that knows nothing of it.

    LiteLLM has no callback for that moment, so its own record of a call is watched being made; without it such calls
    stand outside their experiment and nothing else changes.
    """
    logging = load("litellm.litellm_core_utils.litellm_logging", "litellm").Logging
    original = logging.__init__
    placed = guarded(recorder.placed)

    @functools.wraps(original)
    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        placed(getattr(self, "litellm_call_id", None))

    logging.__init__ = made

    def undo() -> None:
        if logging.__init__ is made:
            logging.__init__ = original

    return undo
