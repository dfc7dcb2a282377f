"""Repair: what is damaged goes to quarantine/, what can be proven is put back, what was done becomes events.

Nothing is deleted and nothing is guessed. A file is put back where its size and SHA-256 are those that the manifest
states. Rows of a lost segment are sealed again from what still holds them (see `saved`). A damaged Parquet file is
never read: DuckDB gives wrong values from flipped bits without a word.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tele.errors import TeleError
from tele.store.chain import Chain, walk
from tele.store.findings import Finding, about_blobs, about_journals, references
from tele.store.identity import recovered
from tele.store.journals import Header, forget, headers, liveness, missing
from tele.store.layout import FORMAT, Layout, find, open_layout, prepare, second, write_identity
from tele.store.lease import changing
from tele.store.manifest import Entry, Segment, State, numbers, publish
from tele.store.orphans import orphans, unclaimed
from tele.store.reader import Store
from tele.store.remarks import REPAIRED, Remark, printable, remark
from tele.store.saved import save
from tele.store.seal import steps
from tele.store.segments import faults
from tele.store.sweep import free_name, set_aside
from tele.store.workbench import workbench

if TYPE_CHECKING:
    import duckdb

__all__ = ["RepairReport", "repair"]


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair did, one sentence each; empty where there was nothing to do."""

    actions: tuple[str, ...]
    saved: int
    """Rows that are sealed again."""
    lost: int
    """Rows of lost segments that are nowhere else."""


@dataclass(slots=True)
class _Work:
    """What is being done to one store."""

    layout: Layout
    con: duckdb.DuckDBPyConnection
    done: list[Remark] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def say(self, file: str, what: str, **facts: object) -> None:
        """Note one action on one file."""
        texts = {key: printable(value) if isinstance(value, str) else value for key, value in facts.items()}
        self.done.append(Remark(REPAIRED, {"file": printable(file), "what": what, **texts}))
        self.said.append(f"{printable(file)}: {what}")

    def aside(self, path: Path, why: str) -> None:
        """Set a file aside and note it."""
        moved = set_aside(self.layout, path)
        self.say(str(path.relative_to(self.layout.root)), f"{why}; set aside", quarantine=moved.name)

    def remarks(self) -> list[Segment]:
        """Segments of the events so far."""
        done, self.done = self.done, []
        return remark(self.con, self.layout, done)


def repair(path: Path | str | None = None, *, wait: float = 0.0) -> RepairReport:
    """Mend the store at `path`. It may be interrupted at any instant and run again.

    Raises NoStore or ForeignStore where no file says which store it is, NewerFormat, StoreBusy or
    StoreNotWritable.
    """
    root = find(path).absolute()
    layout, renamed = _identified(root, wait)
    prepare(root)
    with changing(layout, wait=wait), workbench(layout) as con:
        if layout.format == FORMAT and second(root) is None:
            write_identity(root, layout.id, layout.hash_key.hex())
            renamed = renamed or "its second copy is written anew"
        work = _Work(layout, con)
        if renamed:
            work.say("store.json", renamed)
        chain = walk(layout)
        broken = _manifest(work, chain)
        _journal_names(work)
        gone = _missing_journals(work, chain.state)
        bad = _segments(work, chain.state)
        sound = replace(
            chain.state, segments={p: s for p, s in chain.state.segments.items() if p not in {b.path for b in bad}}
        )
        added, again = _save(work, sound, bad)
        saved, lost = sum(s.rows for s in added), sum(s.rows for s in bad) - again
        for finding in list(about_blobs(layout)):
            work.aside(layout.root / finding.file, finding.what)
        state = replace(chain.state, n=max(numbers(layout), default=0))
        if broken or work.done:
            entry = Entry(
                "repair",
                time.time_ns(),
                [*added, *work.remarks()],
                set_aside=[segment.path for segment in bad],
                forgotten=gone,
                lost=broken,
            )
            state = publish(layout, state, entry, whole=bool(broken))
        for _, after in steps(con, layout, state):
            state = after
        _acknowledge(work, state)
    return RepairReport(tuple(work.said), saved, max(lost, 0))


def _identified(root: Path, wait: float) -> tuple[Layout, str]:
    """The layout, and what was done to `store.json` to have one."""
    try:
        return open_layout(root), ""
    except TeleError:
        known = recovered(root) if root.is_dir() else None
        if known is None:
            raise
    with changing(known, wait=wait):
        if (root / "store.json").exists():
            set_aside(known, root / "store.json")
        if any(known.hash_key):
            key, what = known.hash_key.hex(), "written anew from its second copy"
        else:
            key, what = secrets.token_hex(32), "written anew with a new key: hashes made before match no new ones"
        write_identity(root, known.id, key)
    return open_layout(root), what


def _manifest(work: _Work, chain: Chain) -> list[int]:
    """Set unreadable entries aside; returns the numbers that the chain is without, which a new entry stands in for."""
    for fault in chain.faults:
        path = work.layout.manifest / f"{fault.n:012d}.json"
        if path.exists() and fault.n not in chain.hashes.values():
            work.aside(path, fault.why)
        else:
            work.say(f"manifest/{path.name}", f"{fault.why}; a new entry carries the state")
    return [fault.n for fault in chain.faults]


def _journal_names(work: _Work) -> None:
    """Give journals the names that their own first lines state; what is of no use here is set aside."""
    for left in work.layout.journals.glob(".w*.misnamed"):  # of a repair that was killed: it begins again
        target = left.with_name(f"{left.name[1:].removesuffix('.misnamed')}.jsonl")
        if target.exists():
            work.aside(left, "a repair was killed while it renamed it, and its name is taken")
        else:
            left.rename(target)
    wrong = [header for header in headers(work.layout) if header.foreign]
    mine = [header for header in wrong if header.named]
    for header in wrong:
        if not header.named:
            work.aside(header.path, header.fault)
    for header in mine:
        header.path.rename(_between(header))
    for header in mine:
        target = header.path.with_name(f"{header.named}.jsonl")
        if target.exists():
            _between(header).rename(header.path)
            work.aside(header.path, f"{header.fault}, which is there")
        else:
            _between(header).rename(target)
            work.say(f"journal/{header.path.name}", f"{header.fault}; renamed to {target.name}")


def _between(header: Header) -> Path:
    return header.path.with_name(f".{header.writer}.misnamed")


def _missing_journals(work: _Work, state: State) -> list[str]:
    """Note journals that are gone, so that nobody waits for them."""
    gone = missing(work.layout)
    for writer in gone:
        path = work.layout.journals / f"{writer}.jsonl"
        work.say(f"journal/{path.name}", "it is missing; what was sealed of it stays")
        forget(path)
    return [writer for writer in gone if writer in state.journals]


def _segments(work: _Work, state: State) -> list[Segment]:
    """Set damaged segments aside and put back what is found elsewhere; returns those that are lost."""
    layout = work.layout
    bad = list(faults(layout, list(state.segments.values()), again=True))
    for segment, why in bad:
        if (layout.root / segment.path).exists():
            work.aside(layout.root / segment.path, why)
    lost = []
    for segment, _ in bad:
        found = _elsewhere(layout, state, segment)
        if found is None:
            work.say(
                segment.path, "no intact copy of it is left", rows=segment.rows, experiment_id=segment.experiment_id
            )
            lost.append(segment)
        else:
            target = layout.root / segment.path
            target.parent.mkdir(mode=0o700, exist_ok=True)
            found.rename(target)
            work.say(segment.path, "put back, its SHA-256 is right", found=str(found.relative_to(layout.root)))
    return lost


def _elsewhere(layout: Layout, state: State, segment: Segment) -> Path | None:
    """A file that is, by size and SHA-256, the one that the manifest states."""
    for path in [*layout.quarantine.iterdir(), *orphans(layout, state)]:
        if path.is_file() and path.stat().st_size == segment.size:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == segment.sha256:
                    return path
    return None


def _save(work: _Work, sound: State, bad: list[Segment]) -> tuple[list[Segment], int]:
    """Seal again what can be saved; files that no entry names are set aside afterwards.

    Returns the new segments, and how many of their rows were in `bad`.
    """
    layout, con = work.layout, work.con
    nameless = list(orphans(layout, replace(sound, segments=sound.segments | {b.path: b for b in bad})))
    alone = [path for path in nameless if unclaimed(con, layout, sound, path)]
    retired = [layout.root / path for path in sound.retired if path.startswith("segments/")] if bad else []
    files = [*alone, *(path for path in retired if path.exists())]
    added, again = save(con, layout, sound, bad, files) if bad or alone else ([], 0)
    for segment in added:
        work.say(segment.path, f"{segment.rows:,} rows saved from journals and from files that no entry names")
    for path in nameless:
        if path not in {layout.root / segment.path for segment in added}:
            work.aside(path, "no manifest entry names it")
    return added, again


def _acknowledge(work: _Work, state: State) -> None:
    """Say what was wrong with journals and bodies, so that it is told for good.

    What could be read of a journal is sealed by now. One whose process is dead is set aside; of one that is still
    written a copy is kept.
    """
    layout = work.layout
    told, gone = {}, []
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in about_journals(layout, state, deep=False):
        if finding.lost:
            findings[finding.file].append(finding)
    alive = {writer for writer, _, how in liveness(layout) if how == "alive"}
    for header in list(headers(layout)):
        path = header.path
        found = findings.get(str(path.relative_to(layout.root)), [])
        for one in found:
            work.say(one.file, one.what, offset=one.offset, lost=one.lost)
        if found and header.writer not in alive:
            work.aside(path, "its good records are sealed")
            forget(path)
            gone.append(header.writer)
        elif found:
            shutil.copyfile(path, copy := free_name(layout, path))
            copy.chmod(0o600)
            if sealed := state.journals.get(header.writer):
                told[header.writer] = replace(sealed, damage=[], offset=min(sealed.offset, path.stat().st_size))
    for finding in _missing_bodies(layout):
        work.say(finding.file, finding.what)
    if work.done:
        known = [writer for writer in gone if writer in state.journals]
        publish(layout, state, Entry("repair", time.time_ns(), work.remarks(), journals=told, forgotten=known))


def _missing_bodies(layout: Layout) -> list[Finding]:
    with Store(layout) as store:
        return [finding for finding in references(store) if finding.lost]
