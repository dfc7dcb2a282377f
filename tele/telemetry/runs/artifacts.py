"""Artifacts: what a run made or was made with, kept once by content in blobs/.

Text passes the same gate as records do: secrets are replaced before it is hashed or written. Bytes that are no text are
kept as they are, and `searched` says so.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tele.errors import BadInput
from tele.store import blobs
from tele.telemetry.plain import plain
from tele.telemetry.points import record_point
from tele.telemetry.process import process
from tele.telemetry.redact import redact
from tele.telemetry.scope import Node

__all__ = ["ARTIFACT", "LARGEST", "Body", "body_of", "files_in", "record"]

ARTIFACT = "tele.experiment.artifact"
LARGEST = 1024**3
"""Bytes of a file above which it is refused, and counted as lost."""
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Body:
    """The content of an artifact, without its secrets."""

    content: bytes
    media_type: str
    searched: bool
    """Whether it is text, and was searched for secrets."""
    redacted: bool


def body_of(what: object) -> Body:
    """Read `what`: a `Path` is a file, bytes and text stand for themselves, anything else becomes JSON.

    Raises OSError, or BadInput where a file is too large.
    """
    if isinstance(what, str):
        return _text(what, "text/plain")
    if isinstance(what, (bytes, bytearray, memoryview)):
        return _bytes(bytes(what), None)
    if isinstance(what, os.PathLike):
        path = Path(what)
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path.name} has more than {LARGEST:,} bytes: it is not kept")
        return _bytes(path.read_bytes(), mimetypes.guess_type(path.name)[0])
    whole = orjson.loads(_json(what))
    clean = redact(whole)
    return Body(orjson.dumps(clean, option=orjson.OPT_INDENT_2), "application/json", True, clean != whole)


def _json(what: object) -> bytes:
    """JSON text of `what`; only what is too much for a record is converted by the letter of JSON."""
    text = orjson.dumps(plain(what))
    if b'"$more"' not in text and b'"$deep"' not in text:
        return text
    try:
        return orjson.dumps(what, default=plain, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        return text


def _bytes(content: bytes, media_type: str | None) -> Body:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return Body(content, media_type or "application/octet-stream", False, False)
    return _text(text, media_type or "text/plain")


def _text(text: str, media_type: str) -> Body:
    clean = redact(text)
    return Body(clean.encode("utf-8", "surrogatepass"), media_type, True, clean != text)


def files_in(folder: Path) -> Iterator[Path]:
    """Files below `folder` in the order of their names; raises BadInput where they are very many."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if len(found) > _MOST_FILES:
        raise BadInput(f"{folder} holds {len(found):,} files, more than {_MOST_FILES:,}: name the ones to keep")
    yield from found


def record(node: Node, name: str, body: Body, *, role: str, keep: bool) -> str | None:
    """Record one artifact of the run whose place is `node`; return `blob:SHA256` where its content is kept.

    The body is in place before the line that refers to it. Raises OSError, or TeleError where the store cannot be
    written.
    """
    facts: dict[str, Any] = {
        "name": name,
        "role": role,
        "media_type": body.media_type,
        "length": len(body.content),
        "sha256": hashlib.sha256(body.content).hexdigest(),
    }
    if keep:
        kept = blobs.put(process.layout.blobs, body.content, durable=process.settings.durability == "fsync")
        facts["body"] = {"$blob": kept, "length": len(body.content)}
    facts |= ({"redacted": True} if body.redacted else {}) | ({} if body.searched else {"searched": False})
    record_point("event", ARTIFACT, {}, {}, facts, node=node)
    return f"blob:{facts['sha256']}" if keep else None
