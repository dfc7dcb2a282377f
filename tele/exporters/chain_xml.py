"""A chain as causal XML: the form that models write, well-formed, and read back as it was.

What XML 1.0 cannot hold (most control characters, lone surrogates) stands as JSON text in an element or attribute that
says so: `<decision json="true">`. A document type is refused, so that there are no entities to expand.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

import orjson

from tele.errors import BadInput
from tele.telemetry.plain import plain
from tele.trace.chain import Chain, ParseWarning, ReasoningEvent

__all__ = ["media_type", "read", "suffix", "write"]

suffix = ".xml"
media_type = "application/xml"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ATTRIBUTES = ("type", "id", "parent", "stage", "experiment", "created_at")
_TEXTS = ("decision", "reasoning", "confidence", "code_section", "spec_reference", "metadata")
_LISTS = {"alternatives": "alternative", "depends_on": "item"}
_DEEPEST = 8


def write(chain: Chain) -> str:
    """Return the chain as an XML document.

    `read` gives it back as it was. `parse_chain` gives its events, as it reads what a model wrote: texts without the
    space around them, lists without bullets, and without what says that there is nothing, such as `None`.
    """
    about = {
        "id": chain.id,
        "name": chain.name,
        "version": str(chain.version),
        "description": chain.description,
        "created_at": None if chain.created_at is None else chain.created_at.isoformat(),
        "parent_hash": chain.parent_hash,
        "metadata": orjson.dumps(plain(dict(chain.metadata))).decode() if chain.metadata else None,
    }
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<chain{_attributes(about)}>"]
    lines += [line for event in chain.events for line in _event(event)]
    for warning in chain.warnings:
        said = {"code": warning.code, "line": str(warning.line), "column": str(warning.column)}
        lines.append(f"<warning{_attributes(said)}{_element('warning', warning.message)[len('<warning') :]}")
    return "\n".join([*lines, "</chain>"]) + "\n"


def _event(event: ReasoningEvent) -> list[str]:
    about = {name: getattr(event, name) for name in _ATTRIBUTES}
    about["created_at"] = None if event.created_at is None else event.created_at.isoformat()
    lines = [f"<event{_attributes(about)}>"]
    for name in _TEXTS:
        said = getattr(event, name)
        if name == "metadata":
            said = orjson.dumps(plain(dict(said))).decode() if said else None
        elif name == "confidence":
            said = None if said is None else repr(said)
        if said is not None:
            lines.append(_element(name, said))
    for name, entry in _LISTS.items():
        if entries := getattr(event, name):
            lines.append(f"<{name}>{''.join(_element(entry, each) for each in entries)}</{name}>")
    return [*lines, "</event>"]


def _element(name: str, text: str) -> str:
    if _FORBIDDEN.search(text):
        return f'<{name} json="true">{_escaped(_as_json(text))}</{name}>'
    return f"<{name}>{_escaped(text)}</{name}>"


def _attributes(said: Mapping[str, str | None]) -> str:
    """Attributes; those that only JSON can hold are named in one of their own."""
    odd = [name for name, text in said.items() if text is not None and _FORBIDDEN.search(text)]
    found = [
        f' {name}="{_escaped(_as_json(text) if name in odd else text, quoted=True)}"'
        for name, text in said.items()
        if text is not None
    ]
    return "".join(found) + (f' json="{" ".join(odd)}"' if odd else "")


def _as_json(text: str) -> str:
    import json

    return json.dumps(text)  # orjson refuses lone surrogates


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    # `parse_chain` takes fences in a text for code, which may reach over the events that follow
    text = text.replace("```", "&#96;" * 3).replace("~~~", "&#126;" * 3)
    if quoted:
        text = text.replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return text


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Node:
    """An element: its name, attributes, text and children."""

    __slots__ = ("children", "name", "said", "text")

    def __init__(self, name: str, said: dict[str, str]) -> None:
        odd = said.pop("json", "").split()
        self.said = {key: _of_json(value) if key in odd else value for key, value in said.items()}
        self.name, self.text, self.children = name, ["json"] if odd == ["true"] else [""], list[_Node]()

    @property
    def value(self) -> str:
        """Its own text."""
        text = "".join(self.text[1:])
        return _of_json(text) if self.text[0] else text


def read(text: str) -> Chain:
    """Return the chain that `write` wrote; raises BadInput where the text is no such document.

    For what a model wrote there is `parse_chain`, which takes any text.
    """
    root = _tree(text)
    if root.name != "chain":
        raise BadInput(f"The root of a chain's XML is <chain>, not <{root.name}>.")
    try:
        return Chain(
            id=root.said["id"],
            name=root.said["name"],
            events=tuple(_read_event(node) for node in root.children if node.name == "event"),
            version=int(root.said.get("version", "1")),
            metadata=_object(root.said.get("metadata", "{}")),
            warnings=tuple(_read_warning(node) for node in root.children if node.name == "warning"),
            created_at=_time(root.said.get("created_at")),
            description=root.said.get("description"),
            parent_hash=root.said.get("parent_hash"),
        )
    except KeyError as error:
        raise BadInput(f"The XML of the chain lacks the attribute {error.args[0]!r}.") from None
    except ValueError as error:
        raise BadInput(f"The XML of the chain holds a value that cannot be read: {error}.") from None


def _read_event(node: _Node) -> ReasoningEvent:
    said = {child.name: child for child in node.children}
    texts: dict[str, Any] = {name: said[name].value for name in _TEXTS if name in said}
    about: dict[str, Any] = {name: node.said.get(name) for name in _ATTRIBUTES[2:]}
    about["created_at"] = _time(about["created_at"])
    texts["confidence"] = float(texts["confidence"]) if "confidence" in texts else None
    texts["metadata"] = _object(texts.get("metadata", "{}"))
    lists = {name: tuple(each.value for each in said[name].children) for name in _LISTS if name in said}
    return ReasoningEvent(
        **{"decision": "", "reasoning": ""} | texts | about | lists, type=node.said["type"], id=node.said["id"]
    )


def _read_warning(node: _Node) -> ParseWarning:
    return ParseWarning(node.said["code"], node.value, int(node.said["line"]), int(node.said["column"]))


def _tree(text: str) -> _Node:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = _Node("", {})
    path = [top]

    def start(name: str, said: dict[str, str]) -> None:
        if len(path) > _DEEPEST:
            raise BadInput("This is no XML of a chain: its elements are nested too deep.")
        node = _Node(name, said)
        path[-1].children.append(node)
        path.append(node)

    def say(data: str) -> None:
        path[-1].text.append(data)

    def refuse(*_: object) -> None:
        raise BadInput("The XML of a chain has no document type: <!DOCTYPE> is refused.")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = say
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        raise BadInput(f"This is no well-formed XML: {error}.") from None
    return top.children[0]


def _of_json(text: str) -> str:
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, str):
        raise BadInput(f"A text was expected where the XML of the chain holds {text[:40]!r}.")
    return found


def _object(text: str) -> dict[str, Any]:
    found = orjson.loads(text)
    if not isinstance(found, dict):
        raise BadInput(f"The metadata in the XML of a chain is a JSON object, not {text[:40]!r}.")
    return found


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)
