"""The error tree.

TeleError                   anything tele refuses; the command line prints it as one sentence and exits 2
├── NoStore                 there is no store where one was looked for
├── ForeignStore            the folder is there, and it is not a tele store
├── NewerFormat             written by a newer tele than this one
├── DamagedFile             a checksum, size or hash does not match
├── StoreNotWritable        the store can be read, not written
├── StoreBusy               another process holds the store's lease
├── UnknownExperiment       no experiment of that name
├── UnknownTarget           no run, trace, span or event of that id
│   └── UnknownChain        no chain of that id
├── BadQuery                the SQL does not run, or would write
├── NotSent                 an OTLP endpoint did not take what was sent
├── WrongState              a run is not in the state that is asked of it
└── BadInput                a file, an option or a value that cannot be used
    └── Malformed           a text that was to be exactly as asked for is not; lists every problem
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "BadInput",
    "BadQuery",
    "DamagedFile",
    "ForeignStore",
    "Malformed",
    "NewerFormat",
    "NoStore",
    "NotSent",
    "StoreBusy",
    "StoreNotWritable",
    "TeleError",
    "UnknownChain",
    "UnknownExperiment",
    "UnknownTarget",
    "WrongState",
]


def _nearest(near: Sequence[str]) -> str:
    return f" Nearest: {', '.join(near)}." if near else ""


class TeleError(Exception):
    """Base of everything that tele refuses; its text says what, where and what to do."""


class NoStore(TeleError):
    """There is no store at `path`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        super().__init__(
            f"No store at {self.path}. Run an experiment or `tele demo` there, or name one with --store or TELE_STORE."
        )


class ForeignStore(TeleError):
    """The folder at `path` exists and is not a tele store."""

    def __init__(self, path: Path | str, why: str) -> None:
        self.path = Path(path)
        super().__init__(f"{self.path} is not a tele store: {why}. Name another folder with --store or TELE_STORE.")


class NewerFormat(TeleError):
    """`path` was written in format `found`; this tele reads up to `known`."""

    def __init__(self, path: Path | str, found: int, known: int) -> None:
        self.path, self.found, self.known = Path(path), found, known
        super().__init__(
            f"{self.path} has format {found}; this tele reads formats up to {known}. Upgrade tele to read this store."
        )


class DamagedFile(TeleError):
    """A file of the store is not what was written."""

    def __init__(self, path: Path | str, why: str) -> None:
        self.path, self.why = Path(path), why
        super().__init__(
            f"{self.path} is damaged: {why}. Restore it from a copy, or run `tele check` and `tele repair`."
        )


class StoreNotWritable(TeleError):
    """The store at `path` cannot be written."""

    def __init__(self, path: Path | str, why: str) -> None:
        self.path = Path(path)
        super().__init__(f"Cannot write to the store {self.path}: {why}. Choose another with --store or TELE_STORE.")


class StoreBusy(TeleError):
    """Another process holds the lease of the store."""

    def __init__(self, path: Path | str, holder: str) -> None:
        self.path, self.holder = Path(path), holder
        super().__init__(f"The store {self.path} is held by {holder}. Try again when that is done.")


class UnknownExperiment(TeleError):
    """No experiment `name` in this store; `near` holds the nearest names."""

    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        self.name, self.near = name, tuple(near)
        super().__init__(f"No experiment {name!r} in this store.{_nearest(near)} List them with `tele experiments`.")


class UnknownTarget(TeleError):
    """No experiment, run, trace, chain, span or event goes by `target`."""

    def __init__(self, target: str, near: Sequence[str] = ()) -> None:
        self.target, self.near = target, tuple(near)
        super().__init__(
            f"Nothing in this store is called {target!r}.{_nearest(near)} List with `tele experiments` and `tele runs`."
        )


class UnknownChain(UnknownTarget):
    """No chain goes by `target`."""

    def __init__(self, target: str, near: Sequence[str] = ()) -> None:
        self.target, self.near = target, tuple(near)
        said = f"No chain {target!r} in this store.{_nearest(near)} List them with `tele chain list`."
        TeleError.__init__(self, said)


class BadQuery(TeleError):
    """The query does not run; the message is DuckDB's own."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class NotSent(TeleError):
    """The OTLP endpoint at `url` did not take a request; `why` says what it answers, or that it does not."""

    def __init__(self, url: str, why: str) -> None:
        self.url, self.why = url, why
        super().__init__(f"Nothing more was sent to {url}: {why}.")


class WrongState(TeleError):
    """A run cannot do what was asked: `code` is `already_running`, `already_paused`, `not_running` or `not_paused`."""

    def __init__(self, code: str, experiment: str, what: str) -> None:
        self.code, self.experiment = code, experiment
        is_ = code.replace("_", " ")
        super().__init__(f"Cannot {what} the run of {experiment!r}: it is {is_}. `tele runs` shows the state of each.")


class BadInput(TeleError):
    """A file, an option or a value that cannot be used; `what` says so in one sentence."""

    def __init__(self, what: str) -> None:
        super().__init__(what)


class Malformed(BadInput):
    """A text that was to be exactly as asked for is not; `problems` holds line, column and text of each."""

    def __init__(self, problems: Sequence[tuple[int, int, str]]) -> None:
        self.problems = tuple(problems)
        many = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        listed = "".join(f"\n  line {line}, column {column}: {said}" for line, column, said in self.problems)
        super().__init__(f"The text is not as asked for, {many}; without `strict` it is read all the same:{listed}")
