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
    version = said.get("version")
    return Chain(
        id=str(said.get("id") or ""),
        name=str(said.get("name") or "chain"),
        events=tuple(_event(each, n) for n, each in enumerate(said["events"])),
        version=version if isinstance(version, int) else 1,
        metadata=said.get("metadata") or {},
        warnings=tuple(_warning(each) for each in said.get("warnings") or ()),
        created_at=_time(said.get("created_at")),
        description=said.get("description"),
        parent_hash=said.get("parent_hash"),
    )


def _event(said: Any, number: int) -> ReasoningEvent:
    if not isinstance(said, Mapping):
        raise BadInput(f"Event {number} of the chain is no JSON object.")
    known = {_RENAMED.get(key, key): value for key, value in said.items() if value not in (None, [], {})}
    known["created_at"] = _time(known.get("created_at"))
    sure = known.get("confidence")
    if sure is not None and (isinstance(sure, bool) or not isinstance(sure, (int, float))):
        raise BadInput(f"Event {number} of the chain has a confidence that is no number: {sure!r}.")
    for name in ("alternatives", "depends_on"):
        known[name] = tuple(map(str, known.get(name, ())))
    names = {field.name for field in dataclasses.fields(ReasoningEvent)}
    defaults = {"type": "unknown", "decision": "", "reasoning": "", "id": str(number + 1)}
    return ReasoningEvent(**{**defaults, **{key: value for key, value in known.items() if key in names}})


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
