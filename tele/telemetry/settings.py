"""How a process records: facts that `tele.configure` exchanges as a whole."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from tele.errors import BadInput
from tele.store.journal import Durability
from tele.store.journal import durability as checked_durability
from tele.telemetry.runs.kinds import RunType
from tele.telemetry.runs.kinds import checked as checked_run_type

__all__ = ["Capture", "Sealing", "Settings"]

Capture = Literal["on", "off", "hashed"]
Sealing = Literal["auto", "manual"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process records; the fields are what `tele.configure` calls them."""

    store: Path | None = None
    """None is `$TELE_STORE`, else the nearest `.tele`."""
    durability: Durability = "process"
    sampling_rate: float = 1.0
    seal: Sealing = "auto"
    record_host: bool = False
    prices: Path | None = None
    run_type: RunType | None = None
    """None is `$TELE_RUN_TYPE`, else a trial."""
    capture_input: Capture = "on"
    capture_output: Capture = "on"

    def but(self, **given: Any) -> Self:
        """Give the same settings but for what is not None, checked. Raises BadInput."""
        return replace(self, **{name: _CHECKS[name](name, value) for name, value in given.items() if value is not None})


def _folder(_name: str, value: str | os.PathLike[str]) -> Path:
    return Path(value).absolute()  # the working folder may change


def _rate(name: str, value: object) -> float:
    if not (isinstance(value, (int, float)) and 0 < value <= 1):
        raise BadInput(f"{name} is above 0 and at most 1, not {value!r}.")
    return value


def _sealing(name: str, value: object) -> object:
    if value not in get_args(Sealing):
        raise BadInput(f"{name} is 'auto' or 'manual', not {value!r}.")
    return value


def _capture(name: str, value: object) -> object:
    if value not in get_args(Capture):
        raise BadInput(f"{name} is 'on', 'off' or 'hashed', not {value!r}.")
    return value


def _prices(_name: str, value: str | os.PathLike[str]) -> Path:
    from tele.telemetry.prices.own import read_own

    read_own(Path(value))
    return Path(value).absolute()


_CHECKS: dict[str, Any] = {
    "store": _folder,
    "durability": lambda _, value: checked_durability(value),
    "sampling_rate": _rate,
    "seal": _sealing,
    "record_host": lambda _, value: bool(value),
    "prices": _prices,
    "run_type": lambda _, value: checked_run_type(value),
    "capture_input": _capture,
    "capture_output": _capture,
}
