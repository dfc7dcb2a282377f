"""Where a store lies on disk and what its `store.json` says.

.tele/  .gitignore  store.json  journal/  segments/  manifest/  blobs/  quarantine/  readers/  lease
"""

from __future__ import annotations

import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tele.errors import DamagedFile, ForeignStore, NewerFormat, NoStore, StoreNotWritable, TeleError
from tele.store.files import fsync_folder, publish_new, replace_file
from tele.store.line import finish, scan

__all__ = [
    "FOLDER",
    "FORMAT",
    "ID",
    "SECOND",
    "Layout",
    "find",
    "network_filesystem",
    "open_layout",
    "prepare",
    "refuse_unusable",
    "second",
    "write_identity",
]

FORMAT = 2
"""Version of the files and folders of a store."""

FOLDER = ".tele"
_PARTS = ("journal", "segments", "manifest", "blobs", "quarantine", "readers")
_OURS = frozenset({*_PARTS, "store.json", "lease", "ingest", "claims", "prices.toml"})
SECOND = "manifest/store.copy"
"""A second copy of `store.json`: without the key in it, hashes and the names of machines mean nothing any more."""
_UNCHECKED = 1
"""The last format whose store.json had no checksum."""
ID = re.compile("[0-9a-f]{32}")
"""What the id of a store looks like."""
_KEY = re.compile("[0-9a-f]{64}")
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "lustre"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one store, and the facts that its `store.json` holds."""

    root: Path
    id: str
    hash_key: bytes
    """Key of the hashes of what was cut or redacted; one for each store."""
    format: int = FORMAT
    """Version of its files and folders; an older one is read, and brought up to date by `tele store upgrade`."""

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

    @property
    def quarantine(self) -> Path:
        """Folder of the damaged and unclaimed files that were set aside."""
        return self.root / "quarantine"

    @property
    def readers(self) -> Path:
        """Folder of one locked file for each open reader."""
        return self.root / "readers"


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

    Raises NoStore, ForeignStore, NewerFormat or DamagedFile.
    """
    root = _absolute(find(path))
    refuse_unusable(root)
    try:
        return _read(root, root / "store.json")
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


def refuse_unusable(root: Path) -> None:
    """Raise ForeignStore where DuckDB could not open the files, or where a part of the store is a link.

    What lies behind a link is not ours to move or to remove; what nobody could read is not recorded either.
    """
    try:
        str(root).encode()
    except UnicodeEncodeError:
        raise ForeignStore(root, "its path is no UTF-8 text, and DuckDB opens no file there") from None
    for part in (*_PARTS, "lease", "ingest", "claims"):
        if (root / part).is_symlink():
            raise ForeignStore(root, f"its {part} is a symbolic link")


def second(root: Path) -> Layout | None:
    """Layout by the second copy of `store.json`; None where that is of no use."""
    try:
        return _read(root, root / SECOND)
    except (OSError, ValueError, TeleError):
        return None


def _read(root: Path, path: Path) -> Layout:
    """Layout as a `store.json` states it; raises OSError, ValueError (no JSON) or a TeleError."""
    content = path.read_bytes()
    facts = json.loads(content)
    if not isinstance(facts, dict) or not {"format", "id", "hash_key"} <= facts.keys():
        raise ForeignStore(root, "its store.json lacks format, id or hash_key")
    if not _sound(facts):
        raise ForeignStore(root, "its store.json is not one of tele's")
    if facts["format"] > FORMAT:
        raise NewerFormat(root, facts["format"], FORMAT)
    if facts["format"] > _UNCHECKED and (len(scan(content).lines) != 1 or content.count(b"\n") != 1):
        raise DamagedFile(path, "its checksum does not match")
    return Layout(root, str(facts["id"]), bytes.fromhex(facts["hash_key"]), facts["format"])


def write_identity(root: Path, id_: str, hash_key: str) -> None:
    """Write `store.json` and its second copy anew, in this release's format; raises OSError."""
    content = _marker(id_, hash_key)
    replace_file(root / SECOND, content)
    replace_file(root / "store.json", content)


def _marker(id_: str, hash_key: str) -> bytes:
    return finish(json.dumps({"format": FORMAT, "id": id_, "hash_key": hash_key}).encode()[:-1], 0)


def prepare(path: Path | str | None = None) -> Layout:
    """Open the store at `path` for writing; make it where there is none (folders 0700, files 0600).

    Raises ForeignStore, NewerFormat, StoreNotWritable, or DamagedFile where a store has lost its store.json.
    """
    root = _absolute(find(path))
    try:
        return _writable(open_layout(root))
    except NoStore:
        pass
    _not_a_store_that_lost_its_identity(root)
    try:
        _make_folder(root)
        for part in _PARTS:
            (root / part).mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):  # of two processes that make it at once, the first one wins
            publish_new(root / ".gitignore", b"*\n")
        with suppress(FileExistsError):
            publish_new(root / SECOND, _marker(secrets.token_hex(16), secrets.token_hex(32)))
        with suppress(FileExistsError):
            publish_new(root / "store.json", (root / SECOND).read_bytes())
    except OSError as error:
        raise StoreNotWritable(root, error.strerror or str(error)) from None
    return _writable(open_layout(root))


def _not_a_store_that_lost_its_identity(root: Path) -> None:
    """Raise DamagedFile where a store.json is missing beside what a store holds: a new one would disown all that."""
    held = (*root.glob("manifest/*.json"), *root.glob("journal/w*.jsonl"))
    if held and not (root / "store.json").exists():
        raise DamagedFile(root / "store.json", f"it is missing, and {held[0].relative_to(root)} is there")


def _make_folder(root: Path) -> None:
    """Make `root` and what it lies in; each new name survives power loss."""
    new = [folder for folder in (root, *root.parents) if not folder.is_dir()]
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in reversed(new):
        with suppress(PermissionError):  # a folder that may be entered and not read cannot be synced
            fsync_folder(folder.parent)


def _absolute(path: Path) -> Path:
    """`path` from the root: a program that changes its folder goes on in the same store."""
    try:
        return path.absolute()
    except FileNotFoundError:  # the working folder was deleted under us
        return path


def _sound(facts: dict[str, Any]) -> bool:
    """Whether the facts are what `prepare` writes: the id stands in paths and in SQL."""
    format_, id_, key = facts["format"], str(facts["id"]), str(facts["hash_key"])
    return (
        isinstance(format_, int)
        and not isinstance(format_, bool)
        and format_ > 0
        and bool(ID.fullmatch(id_) and _KEY.fullmatch(key))
    )


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
