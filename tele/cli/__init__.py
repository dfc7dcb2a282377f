"""The `tele` command: parse, call, print."""

from tele.cli.app import main

__all__ = ["main"]
