"""Whether a store is what was written: every file looked at, each fault named with its place and what it costs.

A finding is something that is lost, or that nobody can rely on. A note is worth knowing and loses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from tele.errors import BadInput, DamagedFile, NewerFormat, TeleError
from tele.store.chain import Chain, walk
from tele.store.findings import (
    Finding,
    about_blobs,
    about_journals,
    about_manifest,
    about_orphans,
    about_segments,
    references,
)
from tele.store.identity import recovered
from tele.store.layout import FORMAT, SECOND, Layout, find, open_layout, second
from tele.store.reader import Store
from tele.store.readers import Attendance

__all__ = ["CheckReport", "Finding", "check"]

_HASH = 64


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found."""

    store: str
    format: int
    entry: int
    """Number of the newest manifest entry."""
    head: str
    """Its SHA-256."""
    deep: bool
    """Whether all bytes were read again."""
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def check(path: Path | str | None = None, *, deep: bool = False, expect: str | None = None) -> CheckReport:
    """Look at every file of the store at `path`; with `deep` at every byte.

    `expect` is a head hash that was kept elsewhere: the store has to have had it, so that one that was rolled back or
    exchanged is found. Raises NoStore, ForeignStore, NewerFormat, or BadInput for an `expect` that is no hash.
    """
    if expect is not None and (len(expect) != _HASH or set(expect) - set("0123456789abcdef")):
        raise BadInput(f"--expect takes the 64 hex digits that `tele store stats` prints as head, not {expect!r}.")
    layout, found = _opened(find(path).absolute())
    attendance = Attendance(layout)  # files that are taken out meanwhile stay until we are done
    try:
        chain = walk(layout)
        found += _look(layout, chain, deep=deep, expect=expect)
    finally:
        attendance.close()
    findings = tuple(one for one in found if one.lost)
    notes = tuple(one for one in found if not one.lost)
    return CheckReport(str(layout.root), layout.format, chain.state.n, chain.state.head, deep, findings, notes)


def _look(layout: Layout, chain: Chain, *, deep: bool, expect: str | None) -> list[Finding]:
    found, state = list(about_manifest(chain)), chain.state
    if expect is not None and expect not in chain.hashes:
        what = f"the chain has no entry with the hash {expect}: it was rolled back, exchanged or mended since"
        found.append(Finding("manifest", None, what, "whatever was sealed then and is not there now"))
    found += about_segments(layout, state, deep=deep)
    found += about_orphans(layout, state)
    found += about_journals(layout, state, deep=deep)
    if deep:
        found += about_blobs(layout)
    found += _from_rows(layout, deep=deep)
    return found


def _opened(root: Path) -> tuple[Layout, list[Finding]]:
    """The layout, worked out from other files where `store.json` is damaged or missing."""
    try:
        layout = open_layout(root)
    except NewerFormat:
        raise
    except TeleError as error:
        known = recovered(root) if root.is_dir() else None
        if known is None:
            raise
        what = error.why if isinstance(error, DamagedFile) else "it is missing, or not one of tele's"
        lost = "nothing: `tele repair` has a second copy" if any(known.hash_key) else "the key of the store's hashes"
        return known, [Finding("store.json", None, what, lost)]
    if layout.format < FORMAT:
        what = f"the store has format {layout.format}; `tele store upgrade` brings it to {FORMAT}"
        return layout, [Finding("store.json", None, what, "")]
    copy = second(root)
    if copy is None or (copy.id, copy.hash_key) != (layout.id, layout.hash_key):
        return layout, [Finding(SECOND, None, "it is missing or damaged", "the second copy, until `tele repair`")]
    return layout, []


def _dropped(store: Store) -> dict[str, Counter[str]]:
    """How many records each writer could not write, by reason."""
    found: dict[str, Counter[str]] = {}
    told = store.rows("""
        SELECT writer, attributes->>'$.why' FROM events_raw
        WHERE name = 'tele.dropped' AND kind = 'event' ORDER BY writer, seq""")
    for writer, why in told:
        reasons = orjson.loads(why) if why and why.startswith("{") else {}
        found.setdefault(writer, Counter()).update({reason: n for reason, n in reasons.items() if isinstance(n, int)})
    return {writer: lost for writer, lost in found.items() if lost}


def _from_rows(layout: Layout, *, deep: bool) -> Iterator[Finding]:
    """What only the rows tell: records that could not be written, bodies that are missing."""
    try:
        with Store(layout) as store:
            for writer, lost in _dropped(store).items():
                why = "; ".join(f"{reason.removesuffix('.')}: {n:,}" for reason, n in lost.items())
                what = f"{lost.total():,} records could not be written ({why})"
                yield Finding(f"journal/{writer}.jsonl", None, what, "")
            if deep:
                yield from references(store)
    except DamagedFile:
        return  # it stands among the findings
