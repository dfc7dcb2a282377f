"""Drafts to events: ids, values and validation, with a note on everything that is missing or doubtful."""

from __future__ import annotations

import datetime as dt
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable
from typing import Any

from tele.trace.chain import MORE_TYPES, TYPES, ParseWarning, ReasoningEvent
from tele.trace.parsing.reading import FIELDS, Draft, Note
from tele.trace.parsing.tags import plain
from tele.trace.values import ITEM, bare, confidence, items, json_text, says_nothing

__all__ = ["Settling", "located"]

_OPTIONAL = frozenset({"parent", "parent_id", "code_section", "spec_reference", "stage", "stage_id"})
_APART = frozenset({"alternatives", "metadata"})
_SPOKEN = frozenset({"type", *FIELDS})
_ELEMENT = re.compile(r"<([A-Za-z_][\w.-]*+)\s*+>([^<]*+)</\1\s*>")
_LINE = re.compile(r"\s*+([^\s:=][^:=\n]*+)[:=]([^\n]*+)")


class Settling:
    """Makes events of drafts, in the order of the text; ids are unique in the whole of it."""

    def __init__(self, chain_id: str, types: Collection[str] = ()) -> None:
        self._prefix = chain_id[:8]
        self._types = frozenset((*TYPES, *MORE_TYPES, *types))
        self._taken: set[str] = set()
        self._count = 0

    def events(self, drafts: Iterable[Draft], notes: list[Note]) -> list[ReasoningEvent]:
        """Return the events of `drafts`, whose outer drafts are among them, and add to `notes` what is wrong."""
        drafts = list(drafts)
        for draft in drafts:
            if "json" in draft.attributes:
                draft.attributes = _of_json(draft.attributes)
        ids = {id(draft): self._id(draft, notes) for draft in drafts}
        return [self._event(draft, ids, notes) for draft in drafts]

    def _id(self, draft: Draft, notes: list[Note]) -> str:
        self._count += 1
        said = _said(draft, "id")
        if said is not None and said not in self._taken:
            found = said
        else:
            if said is not None:
                notes.append(Note(draft.start, "repeated_id", f"{said!r} is the id of an earlier event"))
            found = f"{self._prefix}.{self._count}"
            while found in self._taken:
                found += "'"
        self._taken.add(found)
        return found

    def _event(self, draft: Draft, ids: dict[int, str], notes: list[Note]) -> ReasoningEvent:
        said = _all_said(draft)
        get = said.get
        type_ = draft.attributes.get("type", "")
        if type_ not in self._types:
            type_ = self._type(type_, draft, notes)
        sure = confidence(get("confidence"))
        if sure.doubt:
            notes.append(Note(draft.start, "confidence", sure.doubt))
        if "decision" not in said:
            notes.append(Note(draft.start, "no_decision", "the event has no <decision>"))
        if "reasoning" not in said:
            notes.append(Note(draft.start, "no_reasoning", "the event has no <reasoning>"))
        # An event that was never closed holds nothing: what follows it stands beside it.
        outer = draft.outer if draft.outer is not None and draft.outer.closed else None
        for name in [name for name in said if name in _OPTIONAL]:
            if _nothing((said[name],), name, draft, notes):
                del said[name]
        return ReasoningEvent(
            type=type_,
            decision=get("decision", ""),
            reasoning=get("reasoning", ""),
            id=ids[id(draft)],
            alternatives=_alternatives(draft, notes),
            confidence=sure.value,
            code_section=get("code_section"),
            spec_reference=get("spec_reference"),
            parent=get("parent") or get("parent_id") or (ids[id(outer)] if outer else None),
            depends_on=_ids(draft, notes) if "depends_on" in said else (),
            stage=get("stage") or get("stage_id"),
            experiment=get("experiment"),
            created_at=_instant(get("created_at") or get("timestamp"), draft, notes),
            metadata=_metadata(draft),
        )

    def _type(self, raw: str, draft: Draft, notes: list[Note]) -> str:
        if not raw:
            notes.append(Note(draft.start, "no_type", "the event has no type"))
            return "unknown"
        meant = self._meant(raw)
        if meant is None:
            notes.append(Note(draft.start, "unknown_type", f"{raw!r} is none of the known types; kept as it is"))
            return raw
        notes.append(Note(draft.start, "respelled_type", f"{raw!r} is read as {meant}"))
        return meant

    def _meant(self, raw: str) -> str | None:
        """Return the known type that is written in another way: other case, spaces or hyphens, its first word alone."""
        name = re.sub(r"[\s_-]+", "_", raw.lower())
        near = [known for known in self._types if known == name or known.startswith(f"{name}_")]
        return name if name in near else near[0] if len(near) == 1 else None


def _said(draft: Draft, name: str) -> str | None:
    """Return what a sub-tag, else an attribute, says; None where neither does or what it says is empty."""
    raw = draft.fields.get(name)
    if raw is not None and (text := _text(draft, name, raw)):
        return text
    return draft.attributes.get(name) or None


def _all_said(draft: Draft) -> dict[str, str]:
    """Return the text of every attribute and sub-tag that says something; of two of one name, the sub-tag's."""
    read: Callable[[str], str] = str.strip if draft.decoded else plain
    said = {name: text for name, text in draft.attributes.items() if text}
    for name, raw in draft.fields.items():
        if name not in _APART and (text := read(raw)):
            said[name] = json_text(text, ' json="true"') if name in draft.as_json else text
    return said


def _text(draft: Draft, name: str, raw: str) -> str:
    text = raw.strip() if draft.decoded else plain(raw)
    return json_text(text, ' json="true"') if name in draft.as_json else text


def _of_json(said: dict[str, str]) -> dict[str, str]:
    """Return attributes of which `json` names those that XML cannot hold, as our XML has them; others as they are."""
    odd = said["json"].split()
    read = {name: json_text(said.get(name, ""), ' json="true"') for name in odd}
    if not odd or any(read[name] == said.get(name, "") for name in odd):
        return said
    return {name: read.get(name, text) for name, text in said.items() if name != "json"}


def _nothing(found: tuple[str, ...], name: str, draft: Draft, notes: list[Note]) -> bool:
    """Whether all that is said is that there is nothing, `None` or a dash; what was said is noted."""
    if not found or not says_nothing(found[0]) or not all(map(says_nothing, found)):
        return False
    notes.append(Note(draft.start, "says_nothing", f"{'; '.join(found)!r} in {name} is read as nothing"))
    return True


def _alternatives(draft: Draft, notes: list[Note]) -> tuple[str, ...]:
    read: Callable[[str], str] = str.strip if draft.decoded else plain
    listed = draft.fields.get("alternatives")
    if listed is not None:
        found = items(listed, read, tags=not draft.decoded)
    elif (said := draft.attributes.get("alternatives")) is not None:
        found = items(said)
    else:
        found = ()
    if draft.items:
        found = (*found, *(text for item in draft.items if (text := bare(read(item)))))
    return () if _nothing(found, "alternatives", draft, notes) else found


def _instant(text: str | None, draft: Draft, notes: list[Note]) -> dt.datetime | None:
    """Return when the event says that it was thought: ISO 8601, UTC where no zone is given."""
    if text is None:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        notes.append(Note(draft.start, "created_at", f"{text[:40]!r} is no time in ISO 8601"))
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def _ids(draft: Draft, notes: list[Note]) -> tuple[str, ...]:
    """Return the ids in a list; where neither tags nor commas stand between them, a space does."""
    raw = draft.fields.get("depends_on")
    read: Callable[[str], str] = str.strip if raw is None or draft.decoded else plain
    text = raw if raw is not None else draft.attributes.get("depends_on", "")
    found = items(text, read, tags=read is plain)
    if _nothing(found, "depends_on", draft, notes):
        return ()
    tagged = read is plain and ITEM.search(text) is not None  # CDATA and the like are no tags of an item
    return tuple(found[0].split()) if len(found) == 1 and not tagged else found


# ── metadata ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _metadata(draft: Draft) -> dict[str, Any]:
    """Return what `<metadata>` says, else what the attribute does, and the attributes that are no field of an event."""
    raw = draft.fields.get("metadata")
    if raw is not None and "metadata" in draft.as_json:
        return _pairs(_text(draft, "metadata", raw), decoded=True)
    if raw is None and "metadata" not in draft.attributes and _SPOKEN.issuperset(draft.attributes):
        return {}
    found: dict[str, Any] = {key: value for key, value in draft.attributes.items() if key not in _SPOKEN}
    said = draft.attributes.get("metadata", "") if raw is None else raw
    return found | (_pairs(said, decoded=draft.decoded or raw is None) if said.strip() else {})


def _pairs(raw: str, *, decoded: bool) -> dict[str, Any]:
    """Return the pairs of a JSON object, of elements, or of lines `key: value`; other text is the value of `text`."""
    if not decoded and (elements := _ELEMENT.findall(raw)):
        return {key: plain(value) for key, value in elements}
    text = raw.strip() if decoded else plain(raw)
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
    lines = [line for line in re.split(r"[\n;]", text) if line.strip()]
    pairs = [_LINE.fullmatch(line) for line in lines]
    if all(pairs):
        return {pair[1].strip(): pair[2].strip() for pair in pairs if pair is not None}
    return {"text": text}


def located(notes: Iterable[Note], breaks: Callable[[], list[int]]) -> tuple[ParseWarning, ...]:
    """Return the notes in the order of the text, with line and column; `breaks` gives the places of line feeds."""
    ordered = sorted(notes, key=lambda note: note.at)  # stable: of one event, the type comes first
    if not ordered:
        return ()
    starts = [0, *(at + 1 for at in breaks())]
    found = []
    for at, code, message in ordered:
        line = bisect_right(starts, at)
        found.append(ParseWarning(code, message, line, at - starts[line - 1] + 1))
    return tuple(found)
