"""Where a store lies on disk and what its `store.json` says.

.tele/  .gitignore  store.json  journal/  segments/  manifest/  blobs/  quarantine/  lease
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tele.errors import ForeignStore, NewerFormat, NoStore, StoreNotWritable

__all__ = ["FOLDER", "FORMAT", "Layout", "find", "fsync_folder", "network_filesystem", "open_layout", "prepare"]

FORMAT = 1
"""Version of the files and folders of a store."""

FOLDER = ".tele"
_PARTS = ("journal", "segments", "manifest", "blobs", "quarantine")
_OURS = frozenset({*_PARTS, "store.json", "lease", "ingest"})
_ID, _KEY = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{64}")
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "lustre"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one store, and the facts that its `store.json` holds."""

    root: Path
    id: str
    hash_key: bytes
    """Key of the hashes of what was cut or redacted; one for each store."""

    @property
    def journals(self) -> Path:
        """Folder of the live journals."""
        return self.root / "journal"

    @property
    def segments(self) -> Path:
        """Folder of the sealed Parquet files, one folder below it for each experiment."""
        return self.root / "segments"

    @property
    def manifest(self) -> Path:
        """Folder of the numbered manifest entries."""
        return self.root / "manifest"

    @property
    def blobs(self) -> Path:
        """Folder of the bodies above 32 KiB, by content."""
        return self.root / "blobs"


def find(path: Path | str | None = None) -> Path:
    """Say which folder is meant: `path`, else `$TELE_STORE`, else `.tele` here or in the nearest parent."""
    if path is not None:
        return Path(path)
    if named := os.environ.get("TELE_STORE"):
        return Path(named)
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the working folder was deleted under us
        return Path(FOLDER)
    for folder in (here, *here.parents):
        if (folder / FOLDER / "store.json").is_file():
            return folder / FOLDER
    return here / FOLDER


def open_layout(path: Path | str | None = None) -> Layout:
    """Open the store at `path` for reading.

    Raises NoStore, ForeignStore or NewerFormat.
    """
    root = _absolute(find(path))
    marker = root / "store.json"
    try:
        facts = json.loads(marker.read_bytes())
    except FileNotFoundError:
        # A store that another process is just making has some of its parts; its store.json may come while we look.
        if root.is_dir() and any(name not in _OURS and not name.startswith(".") for name in os.listdir(root)):
            raise ForeignStore(root, "it holds no store.json") from None
        raise NoStore(root) from None
    except (NotADirectoryError, IsADirectoryError):
        raise ForeignStore(root, "it is a file") from None
    except PermissionError as error:
        raise ForeignStore(root, f"it cannot be read ({error.strerror})") from None
    except ValueError:
        raise ForeignStore(root, "its store.json is not JSON") from None
    if not isinstance(facts, dict) or not {"format", "id", "hash_key"} <= facts.keys():
        raise ForeignStore(root, "its store.json lacks format, id or hash_key")
    if not _sound(facts):
        raise ForeignStore(root, "its store.json is not one of tele's")
    if facts["format"] > FORMAT:
        raise NewerFormat(root, facts["format"], FORMAT)
    return Layout(root, str(facts["id"]), bytes.fromhex(facts["hash_key"]))


def prepare(path: Path | str | None = None) -> Layout:
    """Open the store at `path` for writing; make it where there is none (folders 0700, files 0600).

    Raises ForeignStore, NewerFormat or StoreNotWritable.
    """
    root = _absolute(find(path))
    try:
        return _writable(open_layout(root))
    except NoStore:
        pass
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in _PARTS:
            (root / part).mkdir(mode=0o700, exist_ok=True)
        _publish(root / ".gitignore", b"*\n")
        facts = {"format": FORMAT, "id": secrets.token_hex(16), "hash_key": secrets.token_hex(32)}
        _publish(root / "store.json", json.dumps(facts).encode() + b"\n")
        fsync_folder(root)
    except OSError as error:
        raise StoreNotWritable(root, error.strerror or str(error)) from None
    return _writable(open_layout(root))


def _absolute(path: Path) -> Path:
    """`path` from the root: a program that changes its folder goes on in the same store."""
    try:
        return path.absolute()
    except FileNotFoundError:  # the working folder was deleted under us
        return path


def _sound(facts: dict[str, Any]) -> bool:
    """Whether the facts are what `prepare` writes: the id stands in paths and in SQL."""
    format_, id_, key = facts["format"], str(facts["id"]), str(facts["hash_key"])
    return isinstance(format_, int) and bool(_ID.fullmatch(id_) and _KEY.fullmatch(key))


def _writable(layout: Layout) -> Layout:
    for part in _PARTS:
        folder = layout.root / part
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreNotWritable(layout.root, error.strerror or str(error)) from None
    if not os.access(layout.journals, os.W_OK | os.X_OK):
        raise StoreNotWritable(layout.root, "the folder journal/ is read-only")
    return layout


def _publish(path: Path, content: bytes) -> None:
    """Write a file that two processes may make at once: the first one wins, none is seen half written."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink()


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` survive power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def network_filesystem(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Name the network file system that `path` lies on, or None on a local disk or where that is unknown."""
    try:
        table = [line.split(" ") for line in mounts.read_text().splitlines()]
        real = path.resolve()
    except OSError:
        return None
    best, kind = -1, ""
    for _, point, filesystem, *_ in table:
        folder = Path(point.replace("\\040", " "))
        if (real == folder or folder in real.parents) and len(folder.parts) >= best:
            best, kind = len(folder.parts), filesystem
    return kind if kind in _NETWORK else None
