"""Inspect's `.eval` files: a zip archive with the log's head and one JSON member for each sample.

An evaluation that was killed has no `header.json`; then `_journal/start.json` says what it was. Summaries and
reductions repeat what the samples hold and are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tele.telemetry.ingest.archive import Archive
from tele.telemetry.ingest.documents import documents_of
from tele.telemetry.ingest.inspect_log import NAME, log_rows, sample_rows
from tele.telemetry.ingest.opening import unpacking_errors
from tele.telemetry.ingest.record import Place, Problem, Record, guarded

__all__ = ["NAME", "read", "sniff"]

_HEADERS = ("header.json", "_journal/start.json")
_SAMPLE = re.compile(r"samples/[^/]+\.json")
_MAX_HEADER = 16 << 20


def sniff(head: bytes) -> bool:
    """Say whether a file begins as a zip archive; no other format of ours is one."""
    return head[:4] == b"PK\x03\x04"


def read(path: Path, place: Place) -> Iterator[Record | Problem]:
    """Give the records of a log; damaged members become Problems and the others are read."""
    archive = Archive(path)
    if archive.cut:
        yield place.problem("the archive is cut off or damaged: what is whole of it is read")
    name = next((name for name in _HEADERS if name in archive.members), None)
    if name is None:
        if not archive.cut:
            yield place.problem("is a zip archive, but no log of Inspect: it has no header.json")
            return
        header: Mapping[str, Any] = {"eval": {}}
    else:
        header = _header(archive, name)
    if not isinstance(header.get("eval"), Mapping):
        yield place.at(str(name)).problem("is no header of an evaluation")
        return
    if header["eval"]:
        yield from guarded(header, place.at(str(name)), log_rows)
    for member in archive.members:
        if _SAMPLE.fullmatch(member):
            yield from _sample(archive, member, place.at(_shown(member)), header["eval"])


def _header(archive: Archive, name: str) -> Mapping[str, Any]:
    try:
        with archive.open(name) as stream:
            found = json.loads(stream.read(_MAX_HEADER))
    except (*unpacking_errors, ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _sample(archive: Archive, name: str, place: Place, evaluation: Mapping[str, Any]) -> Iterator[Record | Problem]:
    try:
        for document in documents_of(partial(archive.open, name), place):
            if isinstance(document, Problem):
                yield document
            else:
                yield from guarded(document.value, place, lambda item, at: sample_rows(item, at, evaluation))
    except unpacking_errors as error:
        yield place.problem(f"cannot be read: {error or type(error).__name__}")


def _shown(name: str) -> str:
    """Give a member's name for a message: it may hold anything."""
    return name if name.isprintable() else ascii(name)
