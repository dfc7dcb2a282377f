"""A small store with every kind of file, ways to damage one of them, and what a user then reads."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tele.errors import TeleError
from tele.store import blobs, manifest
from tele.store.compact import compact
from tele.store.journal import Journal
from tele.store.layout import Layout, prepare
from tele.store.names import experiment_id
from tele.store.reader import Store, open_store
from tele.store.seal import seal

PAGE = 4096
EDGE = 64
BODY = b'"' + b"a long prompt " * 3000 + b'"'


@dataclass(frozen=True, slots=True)
class Answer:
    """What reading everything gives."""

    rows: dict[str, str]
    """By event id, the whole row as text."""
    blobs: dict[str, bytes | str]
    """By reference, the body, or the sentence that refuses it."""
    damage: tuple[str, ...] = ()


@dataclass(slots=True)
class Built:
    """The sound store, and what its files held while it grew."""

    path: Path
    older: dict[str, list[bytes]] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()

    def grown(self) -> None:
        """Remember what the files hold now, before the store grows on."""
        for name, content in contents(self.path).items():
            known = self.older.setdefault(name, [])
            if content not in known:
                known.append(content)

    def kind(self, name: str) -> str:
        """Which kind of file it is: files of one kind may be swapped."""
        if name in self.retired:
            return "retired segment"
        suffix = Path(name).suffix
        folder = name.partition("/")[0]
        return folder if folder != "journal" else f"journal{suffix}"


@dataclass(frozen=True, slots=True)
class Case:
    """One file damaged in one way."""

    kind: str
    file: str
    way: str
    changed: dict[str, bytes | None]
    """New content of each file that changes; None where it is deleted."""

    def __str__(self) -> str:
        return f"{self.way} {self.file}"


def contents(path: Path) -> dict[str, bytes]:
    """Every file below `path`, by its name from there."""
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


# ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────────


def build(path: Path, monkeypatch) -> Built:
    """Grow a store by seals and a compaction, with a checkpoint at every eighth entry, and keep what it was before."""
    monkeypatch.setattr(manifest, "CHECKPOINT_EVERY", 8)
    layout = prepare(path)
    built = Built(path)
    first = Journal(layout)
    number = 0
    for step in range(9):
        for experiment in ("alpha", "beta"):
            number += 1
            first.append(record(layout, number, experiment, body=BODY + b" " * step if step in (3, 5) else b""))
        seal(layout)
        built.grown()
        if step == 4:
            compact(layout)
            built.grown()
    _open_span(first, 900)
    seal(layout)
    second = Journal(layout)
    for tail in (first, second, second, first):
        number += 1
        tail.append(record(layout, number, "alpha", body=BODY if tail is second else b""))
        built.grown()
    first.close()
    third = Journal(layout)
    third.append(record(layout, number + 1, "beta"))
    second.close()
    third.close()
    built.grown()
    built.retired = frozenset(manifest.load(layout).retired)
    return built


def record(layout: Layout, number: int, experiment: str, *, body: bytes = b"") -> bytes:
    """One span, as a writer appends it; a body goes to a blob."""
    facts: dict[str, object] = {"event_id": f"{number:032x}", "kind": "span", "name": "work"}
    facts |= {"experiment": experiment, "experiment_id": experiment_id(experiment), "status": "ok"}
    facts |= {"trace_id": f"{number:032x}", "span_id": f"{number:016x}", "start_ns": number, "end_ns": number + 1000}
    facts |= {"attributes": {"text": "words " * number, "n": number}}
    if body:
        facts["blobs"] = {"input": blobs.put(layout.blobs, body)}
    return json.dumps(facts).encode()[:-1]


def _open_span(journal: Journal, number: int) -> None:
    facts = {"event_id": f"{number:032x}", "kind": "span", "name": "in flight", "start_ns": number, "status": "open"}
    journal.append(json.dumps(facts).encode()[:-1])


# ── reading it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def see(path: Path) -> Answer:
    """Read every event and every body that one refers to, as a user would; raises TeleError."""
    with open_store(path) as store:
        rows = store.rows("SELECT * FROM events")
        references = store.rows("SELECT DISTINCT input FROM events WHERE input LIKE 'blob:%'")
        found = {row[0]: repr(row) for row in rows}
        assert len(found) == len(rows), "an event stands twice"
        return Answer(found, {name: _body(store, name) for (name,) in references}, store.damage)


def _body(store: Store, reference: str) -> bytes | str:
    try:
        return store.blob(reference)
    except TeleError as error:
        return str(error)


def held_by(path: Path, name: str) -> set[str]:
    """Events that stand in the file `name` of a sound store."""
    import pyarrow.parquet as pq

    if name.endswith(".parquet"):
        return set(pq.read_table(path / name, columns=["event_id"])["event_id"].to_pylist())
    if name.endswith(".jsonl"):
        lines = [json.loads(line) for line in (path / name).read_bytes().splitlines()]
        return {line["event_id"] for line in lines if "event_id" in line}
    return set()


# ── damaging it ──────────────────────────────────────────────────────────────────────────────────────────────────────


def cases(built: Built, chance: random.Random, flips: int = 4) -> Iterator[Case]:
    """Every file damaged in every way, each of its pages zeroed; `flips` of its bits are flipped at random besides."""
    now = contents(built.path)
    for name, content in now.items():
        kind = built.kind(name)
        for way, change in WAYS.items():
            changed = change(content, chance)
            if changed != content:
                yield Case(kind, name, way, {name: changed})
        for page in range(-(-len(content) // PAGE)):
            yield Case(kind, name, f"zero page {page}", {name: _zeroed(content, page)})
        for _ in range(flips if content else 0):
            yield Case(kind, name, "flip anywhere", {name: _flipped(content, 0, len(content), chance)})
        for age, older in enumerate(built.older.get(name, [])):
            if older != content:
                yield Case(kind, name, f"older version {age}", {name: older})
        peers = [peer for peer in now if peer != name and built.kind(peer) == kind and now[peer] != content]
        if peers:
            peer = chance.choice(peers)
            yield Case(kind, name, "swap", {name: now[peer], peer: content})


def harm(path: Path, case: Case) -> None:
    """Do to the store at `path` what the case says."""
    for name, content in case.changed.items():
        file = path / name
        os.unlink(file)  # noqa: PTH108  # a new file, as an editor or a copy leaves it
        if content is not None:
            file.write_bytes(content)


def _flipped(content: bytes, first: int, behind: int, chance: random.Random) -> bytes:
    places = range(len(content))[max(first, 0) : behind]
    if not places:
        return content
    changed = bytearray(content)
    changed[chance.choice(places)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _zeroed(content: bytes, page: int) -> bytes:
    at = PAGE * page
    return content[:at] + bytes(len(content[at : at + PAGE])) + content[at + PAGE :]


def _cut_at_a_line(content: bytes, chance: random.Random) -> bytes:
    ends = [at + 1 for at, byte in enumerate(content[:-1]) if byte == ord("\n")]
    return content[: chance.choice(ends)] if ends and not content.startswith(b"PAR1") else content


def _last_line(content: bytes) -> bytes:
    return b"" if content.startswith(b"PAR1") else content[content[:-1].rfind(b"\n") + 1 :]


WAYS: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "flip first": lambda content, chance: _flipped(content, 0, EDGE, chance),
    "flip last": lambda content, chance: _flipped(content, len(content) - EDGE, len(content), chance),
    "flip middle": lambda content, chance: _flipped(content, EDGE, len(content) - EDGE, chance),
    "truncate to 0": lambda content, chance: b"",
    "truncate to half": lambda content, chance: content[: len(content) // 2],
    "truncate by 1": lambda content, chance: content[:-1],
    "truncate to a line": _cut_at_a_line,
    "extend by zeros": lambda content, chance: content + bytes(chance.randrange(1, PAGE)),
    "extend by garbage": lambda content, chance: content + chance.randbytes(chance.randrange(1, PAGE)),
    "extend by its last line": lambda content, chance: content + _last_line(content),
    "delete": lambda content, chance: None,
}
