"""Every call that writes fails, once and for good: what could be written is there, and what is lost is counted."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tele.store.layout import prepare
from tele.store.reader import open_store

from .injected import Fault, Injector, faults
from .phases import PHASES
from .promises import ROUNDS, answer, chance, findings

EVENTS = 15
"""What the task `record` records: twelve events, and that the experiment was started, where, and stopped."""


@pytest.fixture(scope="module")
def injector(tmp_path_factory):
    if not sys.platform.startswith("linux") or not (shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("no C compiler, or a system without LD_PRELOAD: no call can be made to fail")
    with Injector(tmp_path_factory.mktemp("inject")) as running:
        yield running


def drawn(counts: dict[str, int], default: int) -> list[Fault]:
    """All faults in the long form, else some."""
    possible = list(faults(counts))
    return possible if ROUNDS >= 1000 else chance().sample(possible, min(default, len(possible)))


class Stored(NamedTuple):
    """What a reader finds of the records of one process."""

    rows: int
    distinct: int
    told: int
    damage: tuple[str, ...]


def stored(store: Path) -> Stored:
    with open_store(store) as reader:
        rows, distinct, told = reader.rows(
            """SELECT count(*) FILTER (name <> 'tele.dropped'),
                      count(DISTINCT coalesce(attributes->>'$.n', event_id)) FILTER (name <> 'tele.dropped'),
                      coalesce(sum((attributes->>'$.count')::INT) FILTER (name = 'tele.dropped'), 0)
               FROM events_raw"""
        )[0]
        return Stored(rows, distinct, int(told), reader.damage)


@pytest.mark.parametrize("mode", ["process", "fsync", "buffered"])
def test_a_program_records_on_whatever_call_fails_and_every_record_stands_once_or_is_counted(tmp_path, injector, mode):
    def run(fault):
        store = tmp_path / str(fault).replace(" ", "-") / ".tele"
        prepare(store)
        return injector.run(["record", mode], store, fault), store

    prepare(tmp_path / "counted" / ".tele")
    counts = injector.calls(["record", mode], tmp_path / "counted" / ".tele")
    for fault in drawn(counts, max(ROUNDS // 4, 3)):
        ended, store = run(fault)
        *warnings, last = ended.output.splitlines()
        assert ended.code == 0, f"{fault}: {ended.output}"
        lost = json.loads(last)
        assert len(warnings) == len(lost), f"{fault}: a warning for each reason, and nothing else: {warnings}"
        dropped, found = sum(lost.values()), stored(store)
        if fault.steady:
            assert found.told <= dropped, fault
        else:
            assert dropped == 0, f"{fault}: a failure that happens once costs nothing"
        assert found == Stored(EVENTS - dropped, EVENTS - dropped, found.told, ()), fault
        shutil.rmtree(store.parent)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.job)
def test_a_command_whose_call_fails_says_so_in_a_sentence_and_the_next_one_ends_its_work(tmp_path, injector, phase):
    made = tmp_path / "made" / ".tele"
    phase.prepare(made)
    before = answer(made, phase.keeps) if phase.readable else None

    def copy(name):
        return shutil.copytree(made, tmp_path / name / ".tele")

    done = copy("done")
    counts = injector.calls([*phase.command], done)
    after = answer(done, phase.keeps)
    assert before in (None, after)
    for fault in drawn(counts, max(ROUNDS // 10, 2)):
        store = copy(str(fault).replace(" ", "-"))
        ended = injector.run([*phase.command], store, fault)
        sentences = [line for line in ended.output.splitlines() if line.startswith("tele: ")]
        assert ended.code == 0 or (ended.code, len(sentences)) == (2, 1), f"{fault}: {ended.code} {ended.output}"
        assert "Traceback" not in ended.output, fault
        if phase.readable:
            assert answer(store, phase.keeps) == after, fault
        again = injector.run([*phase.command], store)
        assert again.code == 0, f"after {fault}: {again.output}"
        assert answer(store, phase.keeps) == after, fault
        assert [*findings(store)] == [], fault
        shutil.rmtree(store.parent)
