"""CSV whose lines end in a line feed, and in which every text comes back as it was."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _csv import Writer

__all__ = ["csv_writer"]


class _Unix:
    """A file to which `csv` writes lines that end in CR LF; they come out with LF."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, line: str) -> int:
        """Write one line of CSV."""
        return self._out.write(line.removesuffix("\r\n") + "\n")


def csv_writer(out: TextIO) -> Writer:
    """Return a `csv.writer` to `out`; unlike Python's with a line feed, it quotes a text with a lone carriage return.

    Readers take that for the end of a line: without quotes the row would fall apart.
    """
    return csv.writer(_Unix(out), lineterminator="\r\n")
