"""Chunks of a streamed answer, gathered into the answer that they make."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from tele.telemetry.calls import usage
from tele.telemetry.calls.peek import count, either, get, items, text
from tele.telemetry.calls.results import Answer, read, tool_call

__all__ = ["Gathered"]

_ANTHROPIC = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"}
    | {"message_stop", "ping"}
)
_ANTHROPIC_USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens_details",
)
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class Gathered:
    """What the chunks said so far."""

    def __init__(self) -> None:
        self._facts = Answer()
        self._texts: dict[int, list[str]] = {}
        self._tools: dict[tuple[int, int], dict[str, Any]] = {}
        self._reasons: dict[int, str] = {}
        self._counts: dict[str, Any] = {}
        self._whole: Answer | None = None
        self.chunks = 0
        self._known = False
        """Whether a library's chunks were seen: what else comes among them are its helpers' repetitions."""

    def take(self, chunk: object) -> bool:
        """Take one chunk; return whether it holds output: text, reasoning or a tool call. Never raises."""
        self.chunks += 1
        try:
            return self._take(chunk)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # the user's own objects may raise anything
            return False

    def answer(self) -> Answer:
        """The answer so far."""
        if self._whole is not None:
            return self._whole
        texts = tuple("".join(self._texts[index]) for index in sorted(self._texts))
        calls = tuple(self._call(self._tools[key]) for key in sorted(self._tools))
        return replace(
            self._facts,
            text=texts[0] if texts else None,
            texts=texts if len(texts) > 1 else (),
            tool_calls=self._facts.tool_calls + calls,
            finish_reasons=tuple(self._reasons[index] for index in sorted(self._reasons)),
        )

    def _take(self, chunk: object) -> bool:
        if isinstance(chunk, str):
            return self._said(0, str.__str__(chunk))
        kind = text(get(chunk, "type"))
        if kind == "chunk" and get(chunk, "chunk") is not None:  # of OpenAI's helper over its own stream
            chunk, kind = get(chunk, "chunk"), None
        if kind in _ANTHROPIC:
            self._known = True
            return self._anthropic(str(kind), chunk)
        if kind is not None and kind.startswith("response."):
            self._known = True
            return self._response(kind, chunk)
        if (choices := items(get(chunk, "choices"))) is not None:
            self._known = True
            return self._chat(chunk, choices)
        return not (self._known and kind is not None) and self._other(chunk)

    def _said(self, index: int, words: object) -> bool:
        if not isinstance(words, str) or not words:
            return False
        self._texts.setdefault(index, []).append(str.__str__(words))
        return True

    def _learn(self, part: Answer) -> None:
        """Take over what `part` says, but its words, which are joined and not replaced."""
        said = {item.name: getattr(part, item.name) for item in fields(part) if item.name not in _JOINED}
        self._facts = replace(self._facts, **{key: value for key, value in said.items() if value not in (None, {})})

    # ── OpenAI and its dialect ───────────────────────────────────────────────────────────────────────────────────

    def _chat(self, chunk: object, choices: list[Any]) -> bool:
        if self.chunks == 1 or not choices or get(chunk, "usage") is not None:  # each repeats who it is of
            self._learn(read(chunk))
        output = False
        for choice in choices:
            index, delta = count(get(choice, "index")) or 0, get(choice, "delta")
            output |= self._said(index, either(get(delta, "content"), get(choice, "text"), get(delta, "refusal")))
            output |= bool(text(get(delta, "reasoning_content")) or text(get(delta, "reasoning")))
            for call in items(get(delta, "tool_calls")) or []:
                output = True
                key = (index, count(get(call, "index")) or 0)
                self._tool(key, get(call, "id"), get(call, "function", "name"), get(call, "function", "arguments"))
            if reason := text(get(choice, "finish_reason")):
                self._reasons[index] = reason
        return output

    def _tool(self, key: tuple[int, int], identity: object, name: object, more: object) -> None:
        tool = self._tools.setdefault(key, {"id": None, "name": None, "parts": []})
        tool["id"] = tool["id"] or text(identity)
        tool["name"] = tool["name"] or text(name)
        if more:
            tool["parts"].append(more)

    def _call(self, tool: dict[str, Any]) -> dict[str, Any]:
        parts = tool["parts"]
        whole = "".join(parts) if all(isinstance(part, str) for part in parts) else parts[-1]
        return tool_call(tool["id"], {"name": tool["name"], "arguments": whole or None})

    def _response(self, kind: str, event: object) -> bool:
        if kind in _ENDS:
            self._whole = read(get(event, "response"))
            return False
        if kind == "response.created":
            self._learn(read(get(event, "response")))
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            return self._said(0, get(event, "delta"))
        return kind.endswith(".delta")

    # ── Anthropic ────────────────────────────────────────────────────────────────────────────────────────────────

    def _anthropic(self, kind: str, event: object) -> bool:
        block = count(get(event, "index")) or 0
        match kind:
            case "message_start":
                self._learn(read(get(event, "message")))
                self._count(get(event, "message", "usage"))
            case "message_delta":
                self._count(get(event, "usage"))
                if reason := text(get(event, "delta", "stop_reason")):
                    self._reasons[0] = reason
            case "content_block_start":
                return self._block(block, get(event, "content_block"))
            case "content_block_delta":
                return self._block_delta(block, get(event, "delta"))
            case "message_stop" if get(event, "message") is not None:  # of Anthropic's helper: the message as a whole
                self._whole = read(get(event, "message"))
        return False

    def _count(self, counted: object) -> None:
        """Anthropic's counts are cumulative: the latest stands, and the start's where the end says nothing."""
        said = {key: get(counted, key) for key in _ANTHROPIC_USAGE}
        self._counts |= {key: value for key, value in said.items() if value is not None}
        self._facts = replace(self._facts, **usage.tokens(self._counts))

    def _block(self, index: int, block: object) -> bool:
        if get(block, "type") in ("tool_use", "server_tool_use", "mcp_tool_use"):
            self._tool((0, index), get(block, "id"), get(block, "name"), get(block, "input"))
            return True
        return get(block, "type") == "text" and self._said(0, get(block, "text"))

    def _block_delta(self, index: int, delta: object) -> bool:
        if (words := get(delta, "text")) is not None:
            return self._said(0, words)
        if (more := get(delta, "partial_json")) is not None:
            self._tool((0, index), None, None, more)
            return bool(more)
        return bool(text(get(delta, "thinking")))

    # ── Ollama, Google, and anything with a text ─────────────────────────────────────────────────────────────────

    def _other(self, chunk: object) -> bool:
        part = read(chunk)
        self._learn(part)
        self._facts = replace(self._facts, tool_calls=self._facts.tool_calls + part.tool_calls)
        if part.finish_reasons:
            self._reasons[0] = part.finish_reasons[-1]
        words = [get(chunk, key) for key in ("text", "content", "delta")] if part.text is None else [part.text]
        said = self._said(0, next((one for one in words if isinstance(one, str) and one), None))
        return said or bool(part.tool_calls) or bool(text(get(chunk, "message", "thinking")))


_JOINED = frozenset({"text", "texts", "tool_calls", "finish_reasons"})
