"""`tele.llm_call`: a span around a call of a model that finds out by itself what the model said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CoroutineType, TracebackType
from typing import Any, NamedTuple, Self, TypeVar, overload

from tele.telemetry.calls.capture import Capture, call_arguments, captured, chosen, messages, named_argument
from tele.telemetry.calls.parsers import Parse, checked, record_parsed
from tele.telemetry.calls.results import Answer, read
from tele.telemetry.calls.streams import Watch, is_stream, watch
from tele.telemetry.handed import handed_over
from tele.telemetry.process import process
from tele.telemetry.span import Span
from tele.telemetry.wrap import Swap, onto, wrap

__all__ = ["Call", "llm_call"]

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})


class _How(NamedTuple):
    """What is kept; None is what the process keeps."""

    input: Capture | None
    output: Capture | None
    parse: Parse | None
    """What is read out of the answer's text."""


class Call(Span):
    """One call of a model. Make one with `tele.llm_call`."""

    __slots__ = ("_asked_for", "_how", "_operation", "_parse", "_streaming", "_watch")

    def __init__(
        self, name: str | None, attributes: Mapping[str, Any] | None, how: _How, fields: dict[str, Any]
    ) -> None:
        """Take a name, or None for one made of operation and model, and what a span takes."""
        self._asked_for = (name, attributes, how, fields)
        self._operation = fields.get("operation")
        super().__init__(name or "", attributes, **(fields | {"operation": self._operation or "chat"}))
        self._how = how
        self._parse = how.parse
        self._watch: Watch | None = None
        self._streaming = False
        self._rename(fields.get("request_model"))

    def __enter__(self) -> Self:
        if self.ended:  # used again: nothing of the last answer stays
            Call.__init__(self, *self._asked_for)
        return super().__enter__()

    def asked(self, value: object) -> None:
        """Keep `value` as the input of the call, as it is now, where inputs are kept."""
        if (kept := captured(value, self._how.input or process.settings.capture_input)) is not None:
            self.set(input=kept)

    def answered(self, result: R) -> R:
        """Read what the model said from `result`, an object or dict of any library, and give it back. Never raises."""
        answer = read(result)
        self._learn(answer, messages(answer, result))
        return result

    def stream(self, stream: R) -> R:
        """Watch a streamed answer: this call then lasts until its end. Give it back, by the rules of `watch`.

        The same holds where the call is a `with` block that ends before.
        """
        self._streaming = True
        return watch(stream, self, self._streamed)

    # ── as a decorator ───────────────────────────────────────────────────────────────────────────────────────────

    def __call__(self, function: F) -> F:
        """Wrap `function`: each call is a span; what it returns or yields is read. Of a class, each public method."""
        return onto(function, None, self._onto_call)

    def _onto_call(self, function: F, _name: str) -> F:
        asked_model = named_argument(function, "model")

        def make(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
            call = self._again()
            try:
                call.asked(call_arguments(function, args, kwargs))
                call.ask_for(asked_model(args, kwargs))
            except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
                process.lose(error, 0)
            return call

        return wrap(function, make, returned=Call._returned, yielded=Call._yielded)

    def _again(self) -> Call:
        return Call(*self._asked_for)

    def ask_for(self, model: object) -> None:
        """Say which model is asked, where that was not said before; what is no text says nothing."""
        if "request_model" not in self._fields and isinstance(model, str) and model:
            self.set(model=model, request_model=model)
            self._rename(model)

    def _returned(self, result: Any) -> Any:
        """End the call, or leave it open as long as the result is awaited or streamed."""
        try:
            if isinstance(result, CoroutineType):
                return _awaited(self, Swap(self, inside=self, outside=self.outside), result)
            if is_stream(result):
                return self.stream(result)
            if self.sampled:
                self._answered(result)
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error, 0)
        self.__exit__(None, None, None)
        return result

    def _answered(self, result: Any) -> None:
        """Read a result, or the first of the pair `(result, chain)`: that chain stands for what could be parsed."""
        if handed_over(result, self):
            self._parse = None
            result = result[0]
        self.answered(result)

    def _yielded(self, chunk: object) -> None:
        if self._watch is None:
            self._watch = Watch(self.mono_ns)
        self._watch.see(chunk)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the call; what a generator gave is read now, and a stream is read first."""
        if self._streaming and error is None:
            return
        watched, self._watch = self._watch, None
        if watched is not None:
            watched.complete = error is None
            self._streamed(watched)
        super().__exit__(kind, error, trace)

    # ── what is learnt ───────────────────────────────────────────────────────────────────────────────────────────

    def _streamed(self, watched: Watch) -> None:
        self._streaming = False
        answer = watched.answer
        for key, value in watched.attributes.items():
            self.set_attribute(key, value)
        if (ttft := watched.ttft_ms) is not None and "ttft_ms" not in self._fields:
            self.set(ttft_ms=ttft)
        self._learn(answer, messages(answer, None))

    def _learn(self, answer: Answer, output: object) -> None:
        """Fill what `answer` says; what was said by the user, before or within the call, stands."""
        try:
            self._fill(answer, output)
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error, 0)
        if self._parse is not None and answer.text is not None:
            parse, self._parse = self._parse, None  # one span has one chain
            record_parsed(parse, self, answer.text)

    def _fill(self, answer: Answer, output: object) -> None:
        said = self._fields
        found = {name: value for name in _TOKENS if (value := getattr(answer, name)) is not None and name not in said}
        if answer.model and said.get("model") in (None, said.get("request_model")):
            found["model"] = answer.model
        if answer.provider and "provider" not in said:
            found["provider"] = answer.provider
        if answer.operation and self._operation is None:
            found["operation"] = answer.operation
        if answer.error_type and "error_type" not in said:
            found |= {"success": False, "error_type": answer.error_type, "error_message": answer.error_message}
        how = self._how.output or process.settings.capture_output
        if "output" not in said and (kept := captured(output, how)) is not None:
            found["output"] = kept
        if found:
            self.set(**found)
        for key, value in _attributes(answer):
            self.set_attribute(key, value)
        self._rename(self._fields.get("request_model") or answer.model)

    def _rename(self, model: object) -> None:
        """Call it by operation and model, where the user gave no name."""
        if self._asked_for[0] is None:
            operation = self._fields["operation"]
            self.name = f"{operation} {model}" if model else str(operation)


def _attributes(answer: Answer) -> list[tuple[str, Any]]:
    tier = "openai.response.service_tier" if answer.provider == "openai" else "tele.response.service_tier"
    found = [
        ("gen_ai.response.id", answer.response_id),
        ("gen_ai.response.finish_reasons", list(answer.finish_reasons)),
        ("tele.tool_calls", [call["name"] for call in answer.tool_calls if "name" in call]),
        (tier, answer.service_tier),
        *answer.server_seconds.items(),
    ]
    return [(key, value) for key, value in found if value]


async def _awaited(call: Call, guard: Swap, coroutine: Any) -> Any:
    """Await what a plain function returned, within the call."""
    try:
        with guard:
            result = await coroutine
    except BaseException as error:
        guard.leave(error)
        raise
    with guard:
        return call._returned(result)  # noqa: SLF001  # ours


@overload
def llm_call(function: F, /) -> F: ...
@overload
def llm_call(
    model: str | None = None,
    /,
    *,
    name: str | None = None,
    capture_input: Capture | bool | None = None,
    capture_output: Capture | bool | None = None,
    log_input: bool | None = None,
    log_output: bool | None = None,
    parse: Parse | None = None,
    attributes: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Call: ...
def llm_call(
    model: Any = None,
    /,
    *,
    name: str | None = None,
    capture_input: Capture | bool | None = None,
    capture_output: Capture | bool | None = None,
    log_input: bool | None = None,
    log_output: bool | None = None,
    parse: Parse | None = None,
    attributes: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Any:
    """Record a call of a model: a decorator, bare or with arguments, or `with tele.llm_call("gpt-4o") as call:`.

    The span is named `chat {model}`, or by `name`. The model is the one given, else the argument `model` of the
    function, else what the answer says. Tokens, finish reasons, tool calls and text are read from the result by its
    shape (OpenAI, Anthropic, LiteLLM, Ollama, Google, plain text); of a stream also the time to the first token, and
    the span lasts until the stream is read, closed or dropped.

    `capture_input` and `capture_output` are `on`, `off` or `hashed` (bools and the spellings `log_input` and
    `log_output` also go), by default as `tele.configure` says. The input is the single positional argument, else the
    tuple of them, else the keyword `prompt`, `input` or `messages`, else all keywords. Other keywords are as for
    `tele.span`. With `model=` beside it the first argument is the operation (`chat`, `embeddings`, ...) or the name.
    As a context manager: `call.asked(messages)`, `call.answered(response)`. Raises BadInput.

    `parse="causal"` records the chain of reasoning in the answer's text under the span; a function of the text that
    returns a `tele.Chain` does so too. A function that returns `(result, chain)` has its chain recorded unasked.
    """
    if callable(model):
        return llm_call()(model)
    if "model" in fields:
        given, model = model, fields.pop("model")
        if given in _OPERATIONS:
            fields.setdefault("operation", given)
        else:
            name = name or given
    if model is not None:
        fields = {"model": model, "request_model": model} | fields
    how = _How(chosen(capture_input, log_input), chosen(capture_output, log_output), checked(parse))
    return Call(name, attributes, how, fields)
