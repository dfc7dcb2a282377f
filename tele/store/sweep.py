"""What the holder of the lease tidies up: files that nobody needs any more.

What was acknowledged is never removed: a journal goes when it is sealed whole, a segment when others hold its rows or
it was pruned, each after a grace period for readers that began before.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

from tele.store.files import fsync_folder
from tele.store.journals import TORN, dead, forget, headers, leftovers, missing, size_of
from tele.store.layout import Layout
from tele.store.manifest import Entry, State, publish
from tele.store.readers import oldest

__all__ = ["GRACE_SECONDS", "expired", "free_name", "set_aside", "sweep"]

GRACE_SECONDS = 600
"""A file that is not needed any more stays this long for readers that began before."""
_LEFTOVER_SECONDS = 24 * 3600
_TWO = re.compile("[0-9a-f]{2}")
# What ours are called: of an entry, a reader, a body
_TEMPORARY = re.compile(
    r"\.\d{12}\.json\.[0-9a-f]{12}|\.store\.copy\.[0-9a-f]{12}|\.\d{12}-\d+-[0-9a-f]{12}|\.[0-9a-f]{16}"
)


def sweep(layout: Layout, state: State, *, grace_seconds: float | None = None) -> State:
    """Remove what is not needed any more and its grace period over; the lease is held. Returns the new state."""
    grace = GRACE_SECONDS if grace_seconds is None else grace_seconds
    _leftovers(layout)
    # Whoever is opening the store reads journals that were sealed after it had read the manifest.
    forgotten = _forget(layout, state, grace) if oldest(layout) > 0 else []
    deleted = _delete(layout, state, grace) if expired(state, grace) else []
    if not forgotten and not deleted:
        return state
    return publish(layout, state, Entry("sweep", time.time_ns(), forgotten=forgotten, deleted=deleted))


def expired(state: State, grace_seconds: float | None = None) -> bool:
    """Whether there are removed segments whose grace period is over."""
    grace = GRACE_SECONDS if grace_seconds is None else grace_seconds
    return any(_past(at, grace) for _, at in state.retired.values())


def set_aside(layout: Layout, path: Path) -> Path:
    """Move a file of the store to quarantine/ under a name that says where it stood; returns the new path."""
    return path.rename(free_name(layout, path))


def free_name(layout: Layout, path: Path) -> Path:
    """Where in quarantine/ a file of the store can go, by a name that says where it stood."""
    name = "-".join(path.relative_to(layout.root).parts)
    target, number = layout.quarantine / name, 1
    while target.exists():
        number += 1
        target = layout.quarantine / f"{name}.{number}"
    layout.quarantine.mkdir(mode=0o700, exist_ok=True)
    return target


def _past(at_ns: int, grace: float) -> bool:
    return time.time_ns() - at_ns > grace * 1_000_000_000


def _delete(layout: Layout, state: State, grace: float) -> list[str]:
    """Remove the files of segments that were taken out before the oldest reader began."""
    reading = oldest(layout)
    gone = []
    for path, (n, at) in state.retired.items():
        if n <= reading and _past(at, grace):
            if path.startswith("blobs/"):
                _delete_body(layout.root / path, at)
            else:
                (layout.root / path).unlink(missing_ok=True)
            gone.append(path)
    for folder in {(layout.root / path).parent for path in gone}:
        if folder.is_dir():
            fsync_folder(folder)  # else one may come back that no entry names
    return gone


def _delete_body(path: Path, at_ns: int) -> None:
    """Remove a body, if no writer has come to refer to it again: a writer touches it before it writes its line."""
    aside = path.with_name(f".{path.name}.gone")
    if aside.exists() and not path.exists():  # of one who was killed in between
        aside.rename(path)
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
        if aside.stat().st_mtime_ns < at_ns or path.exists():  # it exists where it was written anew in between
            aside.unlink()
        else:
            aside.rename(path)


def _forget(layout: Layout, state: State, grace: float) -> list[str]:
    """Remove journals of dead writers that are sealed whole."""
    there = {header.writer: header for header in headers(layout)}
    gone = [writer for writer in state.journals if writer not in there]
    gone = sorted(set(gone) - set(missing(layout)))  # what is missing stays, for `tele check` to name
    whole = []
    for writer in sorted(state.journals.keys() & there.keys()):
        sealed, path = state.journals[writer], there[writer].path
        old = _past(max(path.stat().st_mtime_ns, sealed.at_ns), grace)
        damaged = any(why != TORN for *_, why in sealed.damage)
        if not damaged and size_of(path) == sealed.offset and old and dead(layout, there[writer]):
            whole.append(writer)
    forget(*(there[writer].path for writer in whole))
    return gone + whole


def _leftovers(layout: Layout) -> None:
    """Remove temporary files of processes that died long ago: nothing in them was ever acknowledged."""
    forget(*leftovers(layout, _LEFTOVER_SECONDS))
    bodies = [f for f in layout.blobs.iterdir() if _TWO.fullmatch(f.name)] if layout.blobs.is_dir() else []
    for folder in (layout.manifest, layout.readers, *bodies):
        if folder.is_symlink() or not folder.is_dir():
            continue
        for found in os.scandir(folder):
            with contextlib.suppress(FileNotFoundError):
                if _TEMPORARY.fullmatch(found.name) and time.time() - found.stat().st_mtime > _LEFTOVER_SECONDS:
                    os.unlink(found.path)  # noqa: PTH108  # scandir gives text
