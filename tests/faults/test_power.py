"""Power loss: in every state that the disk may come back in, what was acknowledged as durable is there, once."""

from __future__ import annotations

import random
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from tele.errors import TeleError
from tele.store.blobs import get
from tele.store.check import check
from tele.store.journals import headers, read_tail
from tele.store.layout import Layout, open_layout
from tele.store.manifest import load
from tele.store.reader import open_store
from tele.store.repair import repair
from tele.store.seal import seal
from tele.store.segments import verify

from .durable import BODIES, body
from .power import Disk, Image, fingerprint, instants, write_image
from .promises import ROUNDS, chance
from .syscalls import Operation, trace

IMAGES = {"fsync": max(ROUNDS * 2, 400), "process": max(ROUNDS * 3, 110)}
"""How many distinct images of each program."""
PROGRAM = Path(__file__).with_name("durable.py")


@cache
def operations(mode: str, folder: Path) -> list[Operation]:
    """What a program did that recorded, sealed, compacted, pruned, swept and recorded on."""
    (folder / "disk").mkdir(parents=True)
    command = [sys.executable, str(PROGRAM), str(folder / "disk" / ".tele"), mode]
    return trace(command, folder / "disk", folder / "trace")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("power")


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def images(disks: list[Disk], dice: random.Random, wanted: int) -> Iterator[tuple[Disk, Image]]:
    """Distinct images, each with the instant at which the power went; those at which much may be lost come often."""
    weights = [disk.pending + 1 for disk in disks]
    extremes = [(disk, keep) for disk in disks for keep in (0.0, 1.0)]
    dice.shuffle(extremes)
    seen: set[bytes] = set()
    for tries in range(wanted * 20):
        if tries % 3 and extremes:
            disk, keep = extremes.pop()
        else:
            disk, keep = dice.choices(disks, weights)[0], dice.choice((0.1, 0.5, 0.9))
        image = disk.after_power_loss(dice, keep)
        mark = fingerprint(image)
        if mark not in seen:
            seen.add(mark)
            yield disk, image
        if len(seen) >= wanted:
            return


@cache
def work_of_segment(content: bytes) -> tuple[tuple[int, str | None], ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.read_table(pa.BufferReader(content), columns=["name", "input", "attributes"]).to_pylist()
    return tuple((orjson.loads(r["attributes"])["n"], r["input"]) for r in rows if r["name"] == "work")


def work(layout: Layout) -> list[tuple[int, str | None]]:
    """Number and body of each span that is there, by the modules that a reader is made of: 10 times as fast."""
    state = load(layout)
    verify(layout, state.segments.values())
    found = [pair for path in state.segments for pair in work_of_segment((layout.root / path).read_bytes())]
    for header in headers(layout):
        for line in read_tail(header, state.journals.get(header.writer)).scan.lines:
            if b'"work"' in line:
                fields = orjson.loads(line)
                found.append((fields["attributes"]["n"], fields.get("blobs", {}).get("input")))
    return found


def assert_survived(store: Path, said: bytes) -> None:
    """What was acknowledged is there with its body, and stands once."""
    words = said.decode().split()
    pruned = {int(word[1:]) for word in words if word[0] == "x"}
    acknowledged = {int(word) for word in words if word.isdigit()} - {int(word[1:]) for word in words if word[0] == "-"}
    if not acknowledged and not (store / "store.json").exists():
        return  # the power went before there was a store
    layout = open_layout(store)
    found = work(layout)
    assert len({n for n, _ in found}) == len(found), f"stands twice: {sorted(n for n, _ in found)}"
    assert acknowledged <= {n for n, _ in found}, f"lost: {acknowledged - {n for n, _ in found}}"
    assert pruned.isdisjoint({n for n, _ in found}), "pruned, and there again"
    for number, reference in found:
        if number in acknowledged & BODIES:
            assert orjson.loads(get(layout.blobs, reference or "")) == body(number)


def assert_works(store: Path, disk: Disk) -> None:
    """A reader sees what the quick look saw, `check` names only what was not synced, sealing and repair do no harm."""
    if not (store / "store.json").exists():
        return
    expected = sorted(n for n, _ in work(open_layout(store)))
    shown = "SELECT (attributes->>'$.n')::INT FROM events WHERE name = 'work' ORDER BY 1"
    with open_store(store) as reader:
        assert [n for (n,) in reader.rows(shown)] == expected
    assert [found for found in check(store).findings if found.file not in disk.unsure(".tele/")] == []
    seal(open_layout(store))
    with open_store(store) as reader:
        assert [n for (n,) in reader.rows(shown)] == expected
    repair(store)
    assert_survived(store, disk.said)


@pytest.mark.parametrize("mode", IMAGES)
def test_what_was_acknowledged_survives_every_power_cut_and_stands_once(tmp_path, folder, mode):
    dice = chance()
    disks = [d for journaled in (False, True) for d in instants(operations(mode, folder / mode), journaled=journaled)]
    count = 0
    for disk, image in images(disks, dice, IMAGES[mode]):
        count += 1
        place = tmp_path / str(count)  # kept where the test fails
        place.mkdir()
        write_image(image, place)
        assert_survived(place / ".tele", disk.said)
        if count % 25 == 0:
            assert_works(place / ".tele", disk)
        shutil.rmtree(place)
    assert count == IMAGES[mode], "the program has not so many images"


SYNCS = {
    "the store's name": "",
    "the store's folder": r"\.tele",
    "store.json": r"\.tele/\.store\.json\..*",
    "the journal": r"\.tele/journal/w[0-9a-f]+\.jsonl",
    "the folder of journals": r"\.tele/journal",
    "a body": r"\.tele/blobs/../\..*",
    "the folder of a body": r"\.tele/blobs/..",
    "the folder of bodies": r"\.tele/blobs",
    "a segment": r"\.tele/segments/e[0-9a-f]+/.*parquet",
    "the folder of a segment": r"\.tele/segments/e[0-9a-f]+",
    "the folder of segments": r"\.tele/segments",
    "an entry": r"\.tele/manifest/\..*",
    "the folder of entries": r"\.tele/manifest",
}


def wrongs(steps: list[Operation], folder: Path) -> list[Exception]:
    """What goes wrong where the power goes just after each acknowledgement and takes all that is not synced."""
    disks = instants(steps, journaled=False)
    said = [disk for before, disk in pairwise(disks) if before.said != disk.said]
    wrong = []
    for number, disk in enumerate([*said, disks[-1]] * 3):
        place = folder / str(number)
        place.mkdir(parents=True)
        write_image(disk.after_power_loss(random.Random(number), 0.5 if number > len(said) else 0.0), place)
        try:
            assert_survived(place / ".tele", disk.said)
        except (AssertionError, TeleError) as error:
            wrong.append(error)
    return wrong


@pytest.mark.parametrize("what", SYNCS)
def test_without_any_one_of_the_syncs_something_would_be_lost(tmp_path, folder, what):
    pattern = re.compile(SYNCS[what])
    wrong = []
    for mode in IMAGES:
        done = operations(mode, folder / mode)
        fewer = [step for step in done if not (step.kind == "sync" and pattern.fullmatch(step.path))]
        if len(fewer) < len(done):
            wrong += wrongs(fewer, tmp_path / mode)
    assert wrong, f"{what} need not be synced, or this test does not notice"


def test_with_all_of_the_syncs_nothing_is_lost(tmp_path, folder):
    assert [wrong for mode in IMAGES for wrong in wrongs(operations(mode, folder / mode), tmp_path / mode)] == []
