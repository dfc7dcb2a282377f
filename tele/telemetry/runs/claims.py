"""Run ids that a user gives: safe text, and one run for each id of an experiment.

An id is claimed by a file that only one process can make. Whether a run of that id exists could be read from the log as
well; a process that records never reads it, and two that begin at once would both find nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

__all__ = ["claim", "sound"]

_SOUND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")


def sound(run_id: object) -> str | None:
    """`run_id` where it can be one: up to 128 letters, digits and `._:+-`, a letter or digit first; else None."""
    return run_id if isinstance(run_id, str) and _SOUND.fullmatch(run_id) else None


def claim(root: Path, experiment_id: str, run_id: str) -> bool:
    """Claim `run_id` in the store at `root`; False where another run has it. Raises OSError."""
    folder = root / "claims"
    folder.mkdir(mode=0o700, exist_ok=True)
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:32]
    try:
        os.close(os.open(folder / f"{experiment_id}-{digest}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
