"""The import name `scryptorum` itself, for programs that must not change at all."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from tele.errors import BadInput

__all__ = ["stand_in"]

_MODULES = ("", ".core", ".core.decorators", ".core.runs", ".execution", ".execution.runner")


def stand_in() -> None:
    """Let `import scryptorum` find these names in this process, from now on.

    Raises BadInput where Scryptorum itself is installed: which of the two is meant is then not ours to say.
    """
    ours = sys.modules.get("scryptorum") is sys.modules.get("tele.scryptorum")
    if not ours and ("scryptorum" in sys.modules or importlib.util.find_spec("scryptorum") is not None):
        raise BadInput("Scryptorum is installed: import from `tele.scryptorum`, or uninstall it.")
    for name in _MODULES:
        sys.modules[f"scryptorum{name}"] = importlib.import_module(f"tele.scryptorum{name}")
