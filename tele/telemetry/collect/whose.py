"""Which experiment a foreign record belongs to, and what its resource says of its columns.

`tele.experiment` decides, on the record or on its resource; else what the collector was told, else the service's name.
"""

from __future__ import annotations

from typing import Any

from tele.telemetry.ingest.carried import CARRIED, EXPERIMENT, PREFIX, lifted
from tele.telemetry.ingest.record import Record
from tele.telemetry.redact import redact

__all__ = ["Whose"]

DEFAULT = "default"
LONGEST = 500
"""Characters of a name; what is longer is no name."""
_MOST_NAMES = 1000
_SERVICE = "service.name"
_UNNAMED = "unknown_service"
"""How an SDK calls a service that has no name; its executable may follow behind a colon."""
_KEYS = frozenset(PREFIX + name for name in CARRIED)


class Whose:
    """Tells the experiments of records."""

    def __init__(self, experiment: str | None) -> None:
        """Take the name for records that do not say one."""
        self._otherwise = experiment
        self._names: dict[str, str] = {}

    def of(self, record: Record) -> str:
        """Give the experiment; fill the columns that the resource speaks of as `tele.*` and the record does not."""
        resource: dict[str, Any] = record.get("resource") or {}
        if not _KEYS.isdisjoint(resource):
            for name, value in lifted({"attributes": resource}).items():
                if name != "attributes":
                    record.setdefault(name, value)
        if "run_id" in record:  # a name as well, since it came from outside
            record["run_id"] = self._name(record["run_id"]) or None
        for named in ((record.get("attributes") or {}).get(EXPERIMENT), resource.get(EXPERIMENT), self._otherwise):
            if name := self._name(named):
                return name
        service = self._name(resource.get(_SERVICE))
        return service if service and service.partition(":")[0] != _UNNAMED else DEFAULT

    def _name(self, said: object) -> str:
        """Give a name without secrets, or nothing where it is none."""
        if not isinstance(said, str) or len(said) > LONGEST:
            return ""
        known = self._names.get(said)
        if known is None:
            if len(self._names) >= _MOST_NAMES:  # names made of data would fill the memory
                self._names.clear()
            known = self._names[said] = redact(said)
        return known
