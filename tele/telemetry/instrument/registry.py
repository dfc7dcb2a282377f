"""`tele.instrument(name)`: which libraries there are, and which are being watched."""

from __future__ import annotations

import difflib
import importlib
import inspect
import logging
import threading
from typing import Any

from tele.errors import BadInput
from tele.telemetry.instrument.handle import Instrumentation

__all__ = ["LIBRARIES", "instrument", "watched"]

LIBRARIES = ("anthropic", "dspy", "litellm", "openai", "torch")
"""Each is a module beside this one, and an extra of the package."""

_log = logging.getLogger("tele")
_active: dict[tuple[str, int, int], tuple[Instrumentation, dict[str, Any]]] = {}
_lock = threading.Lock()


def instrument(library: str, **options: Any) -> Instrumentation:
    """Record what `library` does from now on; return a handle whose `remove()` ends that.

    `library` is `anthropic`, `dspy`, `litellm`, `openai` or `torch`; it is imported here and not before. For the
    first four `content=False` leaves out what was said and keeps tokens, times and models, and `parse="causal"` records
    the chain of reasoning in each answer. For torch, `model`,
    `optimizer` and `every` say what to watch. Asked twice, it returns the handle of the first time.
    Raises BadInput for an unknown name or option, and where the library is not installed.
    """
    if library not in LIBRARIES:
        near = difflib.get_close_matches(str(library).lower(), LIBRARIES, n=2, cutoff=0.5) or LIBRARIES
        raise BadInput(f"tele.instrument does not know {library!r}. Nearest: {', '.join(near)}.")
    install = importlib.import_module(f"tele.telemetry.instrument.{library}").install
    _refuse_unknown(library, inspect.signature(install), options)
    key = (library, id(options.get("model")), id(options.get("optimizer")))  # alive while the handle holds them
    with _lock:
        for gone in [known for known, (handle, _) in _active.items() if not handle.active]:
            del _active[gone]
        if key in _active:
            handle, first = _active[key]
            if options != first:
                _log.warning("%s is watched already; its options stay as they were. Call remove() first.", library)
            return handle
        made: Instrumentation = install(**options)
        _active[key] = (made, options)
    return made


def watched(library: str) -> bool:
    """Whether `library` is being watched now."""
    return any(name == library and handle.active for (name, *_), (handle, _) in tuple(_active.items()))


def _refuse_unknown(library: str, signature: inspect.Signature, options: dict[str, Any]) -> None:
    unknown = sorted(options.keys() - signature.parameters.keys())
    if unknown:
        takes = ", ".join(signature.parameters)
        raise BadInput(f"tele.instrument({library!r}) takes {takes}, and not {', '.join(unknown)}.")
