"""A chain as JSON: everything that it says, and read back as it was; files of Crucible's traces are read too."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

import orjson

from tele.errors import BadInput
from tele.telemetry.plain import plain
from tele.trace.chain import Chain, ParseWarning, ReasoningEvent, facts

__all__ = ["media_type", "read", "suffix", "write"]

suffix = ".json"
media_type = "application/json"
_RENAMED = {"parent_id": "parent", "stage_id": "stage", "experiment_id": "experiment", "timestamp": "created_at"}
"""Names that Crucible's traces have for the same thing."""
_LISTS = ("alternatives", "depends_on")
_TEXTS = (
    *("type", "decision", "reasoning", "id", "code_section", "spec_reference"),
    *("parent", "stage", "experiment"),
)


def write(chain: Chain, *, indent: bool = True) -> str:
    """Return the chain as a JSON object; what is not stated is left out. A hash of the events stands with them."""
    said: dict[str, Any] = {
        "id": chain.id,
        "name": chain.name,
        "version": chain.version,
        "description": chain.description,
        "created_at": None if chain.created_at is None else chain.created_at.isoformat(),
        "parent_hash": chain.parent_hash,
        "hash": chain.hash,
        "metadata": dict(chain.metadata),
        "events": [
            {("experiment" if k == "of_experiment" else k): v for k, v in facts(e).items()} for e in chain.events
        ],
        "warnings": [dataclasses.asdict(warning) for warning in chain.warnings],
    }
    kept = {key: value for key, value in said.items() if value not in (None, {}) and (value or key == "events")}
    options = orjson.OPT_INDENT_2 if indent else 0
    return orjson.dumps({key: _plain(value) for key, value in kept.items()}, option=options).decode() + "\n"


def _plain(value: Any) -> Any:
    """Plain JSON; a list's entries one by one, for `plain` keeps the first ten thousand of one value."""
    return [plain(each) for each in value] if isinstance(value, list) else plain(value)


def read(text: str) -> Chain:
    """Return the chain that `write` wrote; raises BadInput where the text is no such JSON."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"This is no JSON of a chain: {error}.") from None
    if not isinstance(said, dict) or not isinstance(said.get("events"), list):
        raise BadInput("This is no chain: a JSON object with a list of events was expected.")
    version, warnings = said.get("version"), said.get("warnings") or []
    if not isinstance(warnings, list):
        raise BadInput(f"The warnings of a chain are a list, not {warnings!r}.")
    return Chain(
        id=str(said.get("id") or ""),
        name=str(said.get("name") or "chain"),
        events=tuple(_event(each, n) for n, each in enumerate(said["events"])),
        version=version if isinstance(version, int) else 1,
        metadata=_object(said.get("metadata"), "the chain"),
        warnings=tuple(map(_warning, warnings)),
        created_at=_time(said.get("created_at")),
        description=_text(said.get("description"), "the chain"),
        parent_hash=_text(said.get("parent_hash"), "the chain"),
    )


def _event(said: Any, number: int) -> ReasoningEvent:
    whose = f"Event {number} of the chain"
    if not isinstance(said, Mapping):
        raise BadInput(f"{whose} is no JSON object.")
    known = {_RENAMED.get(key, key): value for key, value in said.items() if value not in (None, [], {})}
    known["created_at"] = _time(known.get("created_at"))
    sure = known.get("confidence")
    if sure is not None and (isinstance(sure, bool) or not isinstance(sure, (int, float))):
        raise BadInput(f"{whose} has a confidence that is no number: {sure!r}.")
    for name in _LISTS:
        listed = known.get(name, [])
        if not isinstance(listed, list):
            raise BadInput(f"{whose} has {name} that are no list: {listed!r}.")
        known[name] = tuple(_text(each, whose) or "" for each in listed)
    known["metadata"] = _object(known.get("metadata"), whose)
    known |= {name: _text(known[name], whose) for name in _TEXTS if name in known}
    names = {field.name for field in dataclasses.fields(ReasoningEvent)}
    defaults = {"type": "unknown", "decision": "", "reasoning": "", "id": str(number + 1)}
    return ReasoningEvent(**{**defaults, **{key: value for key, value in known.items() if key in names}})


def _text(value: Any, whose: str) -> str | None:
    """A text; a number, as ids may be, is taken as one."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, list, dict)):
        raise BadInput(f"{whose[0].upper()}{whose[1:]} holds {value!r} where a text was expected.")
    return str(value)


def _object(value: Any, whose: str) -> dict[str, Any]:
    if value is None or isinstance(value, dict):
        return value or {}
    raise BadInput(f"{whose[0].upper()}{whose[1:]} has metadata that are no JSON object: {value!r}.")


def _warning(said: Any) -> ParseWarning:
    try:
        return ParseWarning(**said)
    except TypeError:
        raise BadInput(f"This is no warning of a parser: {said!r}.") from None


def _time(value: Any) -> dt.datetime | None:
    if value is None:
        return None
    try:
        return dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadInput(f"{value!r} is no time in the form of ISO 8601.") from None
