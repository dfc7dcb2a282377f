"""kill -9 at any instant of anything that writes: nothing acknowledged is lost, nothing stands twice."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from tele.errors import NoStore

from .children import beside, finished, fork, lines, start
from .phases import PHASES
from .promises import ROUNDS, answer, assert_kept, chance, findings, look_for_prefixes

EACH = max(ROUNDS // (len(PHASES) + 3), 2)
"""Rounds of each phase; recording counts as three."""


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def numbers(said):
    return {int(line) for line in lines(said) if line.isdigit()}


def wait_for_a_number(said):
    until = time.monotonic() + 30
    while not numbers(said) and time.monotonic() < until:
        time.sleep(0.002)


@pytest.mark.parametrize("durability", ["process", "fsync", "buffered"])
def test_kill_9_at_any_instant_of_recording_loses_nothing_acknowledged(tmp_path, durability):
    dice = chance()
    for round_ in range(EACH):
        store = tmp_path / str(round_) / ".tele"
        store.parent.mkdir()

        def look(store=store):
            with contextlib.suppress(NoStore):
                look_for_prefixes(store)

        # Some die just before one of the first changes to a file, when the store and the journal are made.
        deaths = [dice.choice([0, 0, dice.randint(1, 30)]) for _ in range(2)]
        writers = [
            fork(f"append {durability}", store, store.with_name(f"writer{n}"), dies_at=death)
            for n, death in enumerate(deaths)
        ]
        with beside(look):
            if deaths[0] == 0 and dice.random() < 0.7:  # else kill what may have not begun to record
                wait_for_a_number(store.with_name("writer0"))
            children = [*writers, fork("seal", store, store.with_name("sealer"))] if round_ % 2 else writers
            for child in dice.sample(children, len(children)):
                time.sleep(dice.uniform(0, 0.1))
                child.kill()
                finished(child)
        acked = [numbers(store.with_name(f"writer{n}")) for n in range(2)]
        if not (store / "store.json").exists():
            continue  # killed before there was a store
        assert_kept(store, acked)
        assert finished(fork("seal", store, store.with_name("again"))) == 0, lines(store.with_name("again"))
        assert_kept(store, acked)
        assert findings(store) == []


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.job)
def test_kill_9_at_any_instant_of_what_changes_the_store_leaves_its_answers(tmp_path, phase):
    dice = chance()
    template, whole = tmp_path / "template", tmp_path / "whole"
    phase.prepare(template)
    before = answer(template, phase.keeps) if phase.readable else None
    shutil.copytree(template, whole)
    assert finished(fork(phase.job, whole, tmp_path / "said")) == 0, lines(tmp_path / "said")
    seconds, operations = map(float, lines(tmp_path / "said")[-1].split())
    expected = answer(whole, phase.keeps)
    assert before in (None, expected)
    for round_ in range(EACH):
        store = tmp_path / f"store{round_}"
        shutil.copytree(template, store)
        # One half dies just before a change to a file, the other at an instant of the clock.
        dies_at = 0 if round_ % 2 else dice.randint(1, int(operations))
        with beside(partial(answer, store)) if phase.readable else contextlib.nullcontext():
            child = fork(phase.job, store, tmp_path / f"said{round_}", dies_at=dies_at)
            if not dies_at:
                time.sleep(dice.uniform(0, seconds))
                child.kill()
            assert finished(child) in (0, -signal.SIGKILL), lines(tmp_path / f"said{round_}")
        if phase.readable:
            assert [answer(store, phase.keeps) for _ in range(2)] == [expected] * 2
            assert findings(store) == []
        assert finished(fork(phase.job, store, tmp_path / f"again{round_}")) == 0, lines(tmp_path / f"again{round_}")
        assert [answer(store, phase.keeps) for _ in range(2)] == [expected] * 2
        assert findings(store) == []
        shutil.rmtree(store)


def test_kill_9_of_the_real_programs_is_no_different(tmp_path):
    dice = chance()
    for round_ in range(max(ROUNDS // 20, 1)):
        store = tmp_path / str(round_)
        writer = start(store, "kill", DURABILITY=dice.choice(["process", "fsync"]))
        assert writer.stdout is not None
        first = writer.stdout.readline()
        sealer = subprocess.Popen([sys.executable, "-m", "tele", "seal", "--quiet", "--store", str(store)])
        time.sleep(dice.uniform(0.2, 0.7))  # the writer fills a pipe that nobody reads, and waits then
        for child in (sealer, writer):
            child.kill()
        output, _ = writer.communicate(timeout=30)
        sealer.wait(30)
        acked = {int(line) for line in (first + output).split(b"\n")[:-1] if line.isdigit()}
        assert_kept(store, [acked])
        command = dice.choice([phase.command for phase in PHASES if phase.job != "repair"])
        killed = subprocess.Popen([sys.executable, "-m", "tele", *command, "--store", str(store)])
        time.sleep(dice.uniform(0.3, 1.0))
        killed.kill()
        killed.wait(30)
        assert_kept(store, [acked])
        assert findings(store) == []
