"""What a run is told before it begins, sorted into columns, attributes and rules."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tele.telemetry.fields import fit
from tele.telemetry.plain import plain
from tele.telemetry.redact import redact
from tele.telemetry.runs.claims import sound
from tele.telemetry.runs.kinds import RunType, resolve
from tele.telemetry.span import inherited

__all__ = ["DECLARED", "SECTIONS", "Plan", "declared", "measured", "text"]

_OURS = frozenset({"environment", "sampling_rate", "parent_run_id", "replace"})
"""Attributes of a run that tele sets itself."""
SECTIONS = ("latency", "cost", "success_rate", "tokens")
"""Sections of an analysis that a metrics config may leave out."""
DECLARED = ("hypotheses", "guardrails")
"""What may be declared before a run: the event `tele.experiment.declared` says it."""

_log = logging.getLogger("tele")
_warned: set[str] = set()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is told; each call of a decorated function has a run of the same plan."""

    name: str
    columns: dict[str, Any]
    tags: list[str]
    attributes: dict[str, Any]
    run_type: RunType | None
    run_id: str | None
    replace: bool
    snapshot: bool
    sample_size: int | None
    stops: bool

    @classmethod
    def of(
        cls,
        name: object,
        columns: Mapping[str, Any],
        facts: Mapping[str, Any],
        more: Mapping[str, Any],
        *,
        tags: Iterable[str] | str,
        run_type: object,
        run_id: object,
        replace: bool,
        snapshot: bool,
        stops: bool,
    ) -> Plan:
        """Sort what was given; what does not fit its place becomes the attribute `user.<name>`. Never raises."""
        given = {key: value for key, value in columns.items() if value is not None}
        fitted = inherited(given)
        misfits = {f"user.{key}": value for key, value in given.items() if key not in fitted}
        kind, id_ = resolve(run_type), sound(run_id)
        if run_type is not None and kind is None:
            misfits["user.run_type"] = run_type
        if run_id is not None and id_ is None:
            misfits["user.run_id"] = run_id
            _warn(run_id)
        size = _whole(asked := facts.get("sample_size"))
        if asked is not None and size is None:
            misfits["user.sample_size"] = asked
        told = {f"user.{key}" if key in _OURS else key: value for key, value in more.items()} | misfits
        return cls(
            text(name),
            fitted,
            fit("tags", tags) or [],
            {key: value for key, value in ({**facts, **told, "sample_size": size}).items() if value is not None},
            kind,
            id_,
            bool(replace),
            bool(snapshot),
            size,
            bool(stops),
        )


def measured(config: object) -> dict[str, Any] | None:
    """Read a metrics config: a mapping of sections to whether they are wanted, or the names of those that are.

    A name that is no section is a metric of the user's: it joins `custom`.
    """
    if config is None:
        return None
    if isinstance(config, Mapping):
        wanted = {text(key): value for key, value in config.items()}
    else:
        named = _names(config)
        wanted = {name: name in named for name in SECTIONS} | {name: True for name in named if name != "custom"}
    listed = _names(wanted.pop("custom", None))
    listed += [name for name, on in wanted.items() if name not in SECTIONS and on]
    return {name: bool(wanted.get(name, True)) for name in SECTIONS} | {"custom": list(dict.fromkeys(listed))}


def declared(said: object) -> list[Any] | None:
    """Read what is declared before a run: one thing, or several; None where nothing is."""
    if said is None:
        return None
    if isinstance(said, (str, Mapping)) or not isinstance(said, Iterable):
        return [said]
    return list(said) or None


def _whole(size: object) -> int | None:
    """`size` as a count of at least one; None where it is none."""
    count: int | None = fit("step", size)  # the column holds whole numbers
    return count if count is not None and count > 0 else None


def _names(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text(name) for name in value] if isinstance(value, Iterable) else []


def text(name: object) -> str:
    """`name` as text, whatever it is."""
    try:
        return str(name)
    except Exception:  # noqa: BLE001  # a name that cannot say itself is still no reason to fail the program
        return orjson.dumps(plain(name)).decode()


def _warn(run_id: object) -> None:
    if "run_id" not in _warned:
        _warned.add("run_id")
        _log.warning(
            "tele gives the run an id of its own: '%s' is none. A run id has up to 128 letters, digits and ._:+-, "
            "a letter or digit first.",
            redact(text(run_id)),
        )
