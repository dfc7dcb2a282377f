"""No room: a full disk, no inode, no descriptor, a limit, a read-only folder. The program goes on, losses are exact."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

PROGRAM = Path(__file__).with_name("spacious.py")
NO_ROOM = "No space left on device"


class Outcome(NamedTuple):
    """What a program that ran out of room produced, stored and lost."""

    produced: int
    stored: list[int]
    lost: dict[str, int]
    told: Counter[str]
    files: int


@functools.cache
def namespace() -> tuple[str, ...]:
    """The command that gives a program mounts of its own; skips the test where that is not allowed."""
    for command in (("unshare", "-m"), ("unshare", "-Urm")):
        if shutil.which("unshare"):
            trial = [*command, "sh", "-c", "mount -t tmpfs none /mnt"]
            if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
                return command
    return ()


def ran(tmp_path: Path, action: str, mode: str, options: str = "") -> Outcome:
    """Run `spacious.py`, with a small file system of its own where `options` say which."""
    if options and not namespace():
        pytest.skip("no file system can be mounted here: unshare(1) is missing or not allowed")
    (tmp_path / "disk").mkdir()
    command = [*(namespace() if options else ()), sys.executable, str(PROGRAM), action, str(tmp_path / "disk/.tele")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    arguments = [*command, mode, *([options] if options else [])]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    facts = json.loads(done.stdout)
    told: Counter[str] = Counter()
    for why in facts["told"]:
        told.update(why)
    return Outcome(facts["produced"], facts["stored"], facts["lost"], told, facts["files"])


def assert_exact(found: Outcome) -> None:
    """What was produced is stored or counted, once; what is counted is told in the store."""
    assert len(found.stored) == len(set(found.stored)), "an event stands twice"
    assert found.produced == len(found.stored) + sum(found.lost.values())
    assert found.told == found.lost


@pytest.mark.parametrize("mode", ["process", "fsync", "buffered"])
def test_a_full_disk_costs_what_it_could_not_hold_and_when_there_is_room_again_the_rest_is_there(tmp_path, mode):
    found = ran(tmp_path, "disk", mode, "size=2m")
    assert_exact(found)
    assert set(range(50)) <= set(found.stored), "what was recorded before"
    assert set(range(100, 150)) <= set(found.stored), "what was recorded when there was room again"
    assert set(range(3150, 3200)) <= set(found.stored), "and again"
    assert set(found.lost) == {NO_ROOM}
    assert sum(found.lost.values()) > 50
    assert found.files < 10, "a full disk is not littered with files"


def test_a_disk_without_inodes_costs_what_could_not_be_begun(tmp_path):
    found = ran(tmp_path, "inodes", "process", "size=4m,nr_inodes=60")
    assert_exact(found)
    assert (found.stored, found.lost) == ([*range(5), *range(10, 15)], {NO_ROOM: 5})


@pytest.mark.parametrize("mode", ["process", "buffered"])
def test_a_limit_on_the_size_of_a_file_begins_new_files_and_loses_only_what_fits_in_none(tmp_path, mode):
    found = ran(tmp_path, "file_size", mode)
    assert_exact(found)
    assert found.stored == [*range(55), *range(105, 110)]
    assert found.lost == {"File too large": 50}


def test_a_process_without_a_descriptor_left_loses_what_it_cannot_begin_and_goes_on_when_it_has_one(tmp_path):
    found = ran(tmp_path, "descriptors", "process")
    assert_exact(found)
    assert (found.stored, found.lost) == ([*range(5), *range(10, 15)], {"Too many open files": 5})


def test_a_folder_that_becomes_read_only_loses_what_is_recorded_meanwhile(tmp_path):
    found = ran(tmp_path, "read_only", "process", "size=4m")
    assert_exact(found)
    assert found.stored == list(range(5, 10))
    assert sum(found.lost.values()) == 5, found.lost
