"""Trial or milestone: what sort of run it is, and who says so."""

from __future__ import annotations

import logging
import os
from enum import StrEnum

from tele.errors import BadInput
from tele.telemetry.redact import redact

__all__ = ["VARIABLE", "RunType", "checked", "default", "resolve"]

VARIABLE = "TELE_RUN_TYPE"
"""Environment variable that names the type of runs whose code names none."""

_log = logging.getLogger("tele")
_warned: set[str] = set()


class RunType(StrEnum):
    """What sort of run it is."""

    TRIAL = "trial"
    """Cheap: the log alone; a later trial may stand in its place, on request."""
    MILESTONE = "milestone"
    """Kept with its code, lock files and artifacts, and closed once it is finished."""


def checked(asked: object) -> RunType:
    """Read a run type, as a member or as text; raises BadInput."""
    try:
        return RunType(str(asked).strip().lower())
    except ValueError:
        raise BadInput(f"A run type is 'trial' or 'milestone', not {asked!r}.") from None


def default(configured: RunType | None) -> RunType:
    """Give the type of a run that names none: as configured, else as $TELE_RUN_TYPE says, else a trial."""
    if configured is not None:
        return configured
    said = os.environ.get(VARIABLE)
    return (resolve(said, VARIABLE) if said else None) or RunType.TRIAL


def resolve(asked: object, what: str = "run_type") -> RunType | None:
    """Read a run type; None, and one warning, where `asked` is none: a run goes on whatever it is called."""
    if asked is None:
        return None
    try:
        return checked(asked)
    except BadInput as error:
        if what not in _warned:
            _warned.add(what)
            _log.warning("tele takes no notice of %s: %s", what, redact(str(error)))
        return None
