"""What processes tell each other of run ids by files in `claims/`: one run for each id, and which run is closed.

An id that a user gives is claimed by a file that only one process can make. Whether a run of that id exists could be
read from the log as well; a process that records never reads it, and two that begin at once would both find nothing.
A milestone that is finished leaves a file of its own, so that no other process goes on in it.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

__all__ = ["claim", "close", "closed", "sound"]

_SOUND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")


def sound(run_id: object) -> str | None:
    """`run_id` where it can be one: up to 128 letters, digits and `._:+-`, a letter or digit first; else None."""
    return run_id if isinstance(run_id, str) and _SOUND.fullmatch(run_id) else None


def claim(root: Path, experiment_id: str, run_id: str) -> bool:
    """Claim `run_id` in the store at `root`; False where another run has it. Raises OSError."""
    return not closed(root, experiment_id, run_id) and _made(_file(root, experiment_id, run_id))


def close(root: Path, experiment_id: str, run_id: str) -> None:
    """Say that the run takes no more records. Raises OSError."""
    _made(_file(root, experiment_id, run_id, ".closed"))


def closed(root: Path, experiment_id: str, run_id: str) -> bool:
    """Whether somebody said so."""
    return os.path.exists(_file(root, experiment_id, run_id, ".closed"))  # noqa: PTH110  # it never raises


def _file(root: Path, experiment_id: str, run_id: str, suffix: str = "") -> Path:
    digest = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return root / "claims" / f"{experiment_id}-{digest}{suffix}"


def _made(file: Path) -> bool:
    """Make an empty file; False where it is there."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
