"""What a run ran on: code version, Python, packages. The host's name stays out unless asked for."""

from __future__ import annotations

import functools
import os
import platform
import sys
from pathlib import Path
from typing import Any

__all__ = ["cheap_facts", "environment"]

_GIT_SECONDS = 5.0


def cheap_facts(*, host: bool) -> dict[str, Any]:
    """Facts that cost nothing: known before a run's first record is written."""
    facts: dict[str, Any] = {"python": sys.version.split()[0], "platform": sys.platform}
    return facts | ({"host": platform.node()} if host else {})


@functools.cache
def environment(*, host: bool) -> dict[str, Any]:
    """All facts: `python`, `platform`, `packages` (name to version), and `git` (commit, branch, dirty) where it is.

    Runs `git`: call it off the caller's thread. Remembered for the process.
    """
    facts = cheap_facts(host=host) | {"machine": platform.machine(), "cpus": os.cpu_count(), "packages": _packages()}
    if git := _git():
        facts["git"] = git
    return facts


def _packages() -> dict[str, str]:
    """Installed distributions by the names of their folders: importlib.metadata would parse each one's metadata."""
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            distribution, dash, version = name.removesuffix(".dist-info").rpartition("-")
            if dash and name.endswith(".dist-info"):
                found.setdefault(distribution.replace("_", "-").lower(), version)
    return dict(sorted(found.items()))


def _git() -> dict[str, Any]:
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        return {}
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return {}
    commit = _run("rev-parse", "HEAD")
    if commit is None:
        return {}
    changes = _run("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "branch": _run("rev-parse", "--abbrev-ref", "HEAD"), "dirty": bool(changes)}


def _run(*arguments: str) -> str | None:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments, no shell
            ("git", *arguments),  # noqa: S607  # the user's own git, wherever it is
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
