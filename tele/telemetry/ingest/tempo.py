"""Grafana Tempo's answers and exports: OTLP with the ids in base64, the enums by name and `batches` at the top.

`{"batches": [...]}` (`/api/traces/ID`, and what Grafana saves) or `{"trace": {"resourceSpans": [...]}}`
(`/api/v2/traces/ID`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tele.telemetry.ingest import otlp
from tele.telemetry.ingest.record import Place, Problem, Record, shown

__all__ = ["NAME", "read", "sniff"]

NAME = "tempo"


def sniff(document: object) -> bool:
    """Say whether the document is a trace as Tempo gives it."""
    return isinstance(document, Mapping) and (
        isinstance(document.get("batches"), list)
        or (isinstance(document.get("trace"), Mapping) and "resourceSpans" in document["trace"])
    )


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the records of a trace; what is malformed becomes a Problem."""
    if not isinstance(document, Mapping):
        yield place.problem(f"expected a trace, found {shown(document)}")
    elif isinstance(document.get("trace"), Mapping):
        yield from otlp.read(document["trace"], place.at("trace"))
    else:
        yield from otlp.read({"resourceSpans": document.get("batches")}, place)
