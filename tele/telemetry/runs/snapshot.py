"""The code of a milestone: the commit, what differs from it, and loaded code that no commit holds.

Every file becomes an artifact of role `code` or `lock`. Files that are made to hold secrets, such as `.env`, stay out;
what is text passes the same gate as records do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tele.errors import TeleError
from tele.telemetry.points import record_point
from tele.telemetry.process import process
from tele.telemetry.runs.artifacts import body_of, record
from tele.telemetry.scope import Node

__all__ = ["FILE_BYTES", "SNAPSHOT", "TOTAL_BYTES", "Snapshot"]

SNAPSHOT = "tele.experiment.snapshot"
FILE_BYTES = 1024**2
"""A file of code above this is left out, and named."""
TOTAL_BYTES = 32 * 1024**2
"""What a snapshot may take in all."""
_MOST_FILES = 2_000
_MOST_NAMED = 100
_GIT_SECONDS = 20.0
_OURS = Path(__file__).resolve().parents[2]
_LOCKS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pylock.toml",
    "conda-lock.yml",
    "environment.yml",
    "pyproject.toml",
    "requirements*.txt",
)
_PRIVATE = re.compile(
    r"^(\.env.*|\.netrc|\.npmrc|\.pypirc|.*\.(pem|key|p12|pfx|keystore)|id_(rsa|dsa|ecdsa|ed25519).*"
    r"|(credentials?|secrets?)(\..*)?)$",
    re.IGNORECASE,
)
_NOT_IN_DIFF = [
    f":(exclude,icase,glob)**/{name}"
    for name in (
        *(".env*", ".netrc", ".npmrc", ".pypirc", "*.pem", "*.key", "*.p12", "*.pfx", "*.keystore"),
        *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
        *("credential", "credential.*", "credentials", "credentials.*", "secret", "secret.*", "secrets", "secrets.*"),
    )
]


@dataclass
class Snapshot:
    """What is kept of one run's code, and how much of it there is so far."""

    node: Node
    seen: set[Path] = field(default_factory=set)
    files: int = 0
    size: int = 0
    left_out: list[str] = field(default_factory=list)

    def take(self, event_id: str) -> None:
        """Keep the code as it is now and say so in one event; trouble is counted, never raised."""
        facts: dict[str, Any] = {"source": "files"}
        try:
            root = _root()
            self._locks(root)
            facts |= self._git(root)
            self._loaded(root)
        except Exception as error:  # noqa: BLE001  # a run without its snapshot is still a run
            process.lose(error)
        facts |= {"files": self.files, "bytes": self.size, "left_out": self.left_out[:_MOST_NAMED]}
        facts["n_left_out"] = len(self.left_out)
        record_point("event", SNAPSHOT, {"event_id": event_id}, {}, facts, node=self.node)

    def _git(self, root: Path | None) -> dict[str, Any]:
        """The commit, and as artifacts what differs from it."""
        if root is None:
            return {}
        commit = _git(root, "rev-parse", "HEAD") or b""
        changes = ("diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
        diff = _git(root, *changes, "--", ".", *_NOT_IN_DIFF)
        if diff is None:
            self.left_out.append("the difference from the commit, which is too large or cannot be read")
        elif diff:
            self._keep("working-tree.diff", diff, "code")
        for name in (_git(root, "ls-files", "--others", "--exclude-standard", "-z") or b"").split(b"\0"):
            if name:
                self._file(root / os.fsdecode(name), os.fsdecode(name), "code")
        return {"source": "git", "commit": commit.decode().strip(), "dirty": diff != b""}

    def _loaded(self, root: Path | None) -> None:
        """Code that is loaded and that neither the repository holds nor an installed package."""
        loaded = _own_code()
        inside = [str(path) for path in loaded if root is not None and path.is_relative_to(root)]
        ask = ("-c", "core.quotePath=false", "check-ignore", "--")
        ignored = _git(root, *ask, *inside) if root is not None and inside else None
        left = set(os.fsdecode(ignored or b"").splitlines())
        for path, name in loaded.items():
            if str(path) not in inside or str(path) in left:
                self._file(path, name, "code")

    def _locks(self, root: Path | None) -> None:
        """Lock files and requirements of the project: what else was installed is in the run's environment."""
        for folder in dict.fromkeys((Path.cwd(), root or Path.cwd())):
            for pattern in _LOCKS:
                for path in sorted(folder.glob(pattern)):
                    self._file(path, path.name, "lock", most=TOTAL_BYTES)

    def _file(self, path: Path, name: str, role: str, *, most: int = FILE_BYTES) -> None:
        path = path.absolute()
        if path in self.seen or path.is_symlink() or not path.is_file():
            return
        self.seen.add(path)
        if _PRIVATE.match(path.name) or path.stat().st_size > most:
            self.left_out.append(name)
        else:
            self._keep(name, path.read_bytes(), role)

    def _keep(self, name: str, content: bytes, role: str) -> None:
        body = body_of(content)
        full = self.files >= _MOST_FILES or self.size + len(body.content) > TOTAL_BYTES
        if full or not body.searched:  # what is no text is no code
            self.left_out.append(name)
            return
        try:
            record(self.node, name, body, role=role, keep=True)
        except (OSError, TeleError) as error:
            process.lose(error)
            return
        self.files += 1
        self.size += len(body.content)


def _root() -> Path | None:
    """Top of the git repository with a commit that the working folder is in; None where it is in none."""
    top, commit = _git(Path(), "rev-parse", "--show-toplevel"), _git(Path(), "rev-parse", "HEAD")
    return Path(os.fsdecode(top.removesuffix(b"\n"))) if top and commit else None


def _own_code() -> dict[Path, str]:
    """Files of loaded modules that are neither Python's own nor of an installed package, with their modules' names.

    tele's own are left out: the run's environment says its version.
    """
    library = (*(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")), _OURS)
    found: dict[Path, str] = {}
    for name, module in sorted(sys.modules.copy().items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith((".py", ".pyw")):
            continue
        path = Path(file).resolve()
        installed = "site-packages" in path.parts or "dist-packages" in path.parts
        if not installed and not any(path.is_relative_to(folder) for folder in library):
            found.setdefault(path, _file_name(name, path))
    return found


def _file_name(module: str, path: Path) -> str:
    """Where the file of `module` stands below the folder that it is imported from."""
    if module in ("__main__", "__mp_main__"):
        return path.name
    return f"{module.replace('.', '/')}{'/__init__' if path.stem == '__init__' else ''}{path.suffix}"


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git says; None where it fails, takes too long or says too much."""
    command = ("git", "-C", str(folder.absolute()), "--no-optional-locks", *arguments)
    try:
        with subprocess.Popen(  # noqa: S603  # fixed arguments, no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as asked:
            assert asked.stdout is not None  # noqa: S101  # it is a pipe, as asked
            watch = _timer(asked)
            said = asked.stdout.read(TOTAL_BYTES + 1)
            if len(said) > TOTAL_BYTES:
                asked.kill()
            watch.cancel()
    except (OSError, ValueError):
        return None
    return said if asked.returncode == 0 else None


def _timer(asked: subprocess.Popen[bytes]) -> Any:
    import threading

    timer = threading.Timer(_GIT_SECONDS, asked.kill)
    timer.daemon = True
    timer.start()
    return timer
