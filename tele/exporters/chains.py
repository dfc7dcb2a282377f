"""Which formats a chain can be written in and read from."""

from __future__ import annotations

import difflib
import importlib
import inspect
from pathlib import Path
from typing import Any, Protocol, cast

from tele.errors import BadInput
from tele.trace.chain import Chain

__all__ = ["CHAIN_FORMATS", "ChainFormat", "export_chain", "read_chain"]

CHAIN_FORMATS = ("csv", "json", "markdown", "mermaid", "xml")
"""Each is a module beside this one: `chain_json` and so on."""
READABLE = ("json", "xml")


class ChainFormat(Protocol):
    """What a module of a format has."""

    suffix: str
    media_type: str

    def write(self, chain: Chain, **options: Any) -> str:
        """Return the chain as text."""
        ...


def export_chain(chain: Chain, format: str, path: Path | str | None = None, **options: Any) -> str:  # noqa: A002  # it is one
    """Return the chain as text in `format`, and write it to `path` where that is given (UTF-8).

    `format` is csv, json, markdown, mermaid or xml; options are those of its module. Raises BadInput for a format or an
    option that is not there, and OSError.
    """
    module = _module(format)
    takes = list(inspect.signature(module.write).parameters)[1:]
    if unknown := sorted(options.keys() - set(takes)):
        raise BadInput(f"{format} takes {', '.join(takes) or 'no options'}, and not {', '.join(unknown)}.")
    text = module.write(chain, **options)
    if path is not None:
        Path(path).write_bytes(text.encode("utf-8", "replace"))
    return text


def read_chain(text: str, format: str) -> Chain:  # noqa: A002  # it is one
    """Return the chain that `export_chain` wrote as `json` or `xml`; raises BadInput where the text is none."""
    if format not in READABLE:
        raise BadInput(f"A chain is read back from {' or '.join(READABLE)}, not from {format!r}.")
    return cast("Chain", cast("Any", _module(format)).read(text))


def _module(name: str) -> ChainFormat:
    if name not in CHAIN_FORMATS:
        near = difflib.get_close_matches(str(name), CHAIN_FORMATS, 1)
        hint = f" Nearest: {near[0]}." if near else ""
        raise BadInput(f"A chain is written as {', '.join(CHAIN_FORMATS)}, not as {name!r}.{hint}")
    return cast("ChainFormat", importlib.import_module(f"tele.exporters.chain_{name}"))
