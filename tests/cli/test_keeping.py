"""`tele check`, `repair`, `compact` and `tele store`: what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tele
from tele.cli.keeping import age, size
from tele.errors import BadInput
from tele.store.layout import open_layout, prepare
from tele.store.manifest import load
from tele.store.seal import seal
from tele.testing import temporary_store


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tele", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("keeping") / ".tele"
    with temporary_store(path):
        for condition in "ab":
            with tele.experiment("x", condition=condition), tele.span("work"):
                pass
            tele.flush()
            seal(prepare(path))
    return path


@pytest.fixture
def store(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / ".tele"))


def damage(store: Path) -> str:
    path = next(iter(load(open_layout(store)).segments))
    content = bytearray((store / path).read_bytes())
    content[200] ^= 1
    (store / path).write_bytes(content)
    return path


def test_check_of_a_sound_store_exits_0_and_says_how_far_it_looked(store):
    done = run("check", "--store", store)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Nothing is lost in {store} (sealed files that were verified before")
    assert "(every byte was read)" in run("check", "--deep", "--store", store).stdout


def test_check_of_a_damaged_store_exits_1_and_names_file_and_loss(store):
    path = damage(store)
    done = run("check", "--store", store)
    assert done.returncode == 1
    assert f"{path}: its SHA-256 is not the one in the manifest. Lost: 4 rows" in done.stdout
    found = json.loads(run("check", "--format", "json", "--store", store).stdout)
    assert (found["ok"], found["findings"][0]["file"]) == (False, path)
    assert set(found) == {"ok", "store", "format", "entry", "head", "deep", "findings", "notes"}


def test_a_damaged_store_is_refused_with_what_to_do_and_repaired(store):
    damage(store)
    refused = run("runs", "--store", store)
    assert refused.returncode == 2
    assert "run `tele check` and `tele repair`" in refused.stderr
    done = run("repair", "--store", store)
    assert done.returncode == 0
    assert "saved 4 rows, lost 0" in done.stdout
    assert run("check", "--deep", "--store", store).returncode == 0
    assert run("repair", "--store", store).stdout == "There was nothing to repair.\n"


def test_compact_says_what_it_folded(store):
    assert "Folded 2 segments into 1: 8 rows" in run("compact", "--store", store).stdout
    assert run("compact", "--store", store).stdout == "There was nothing to fold.\n"


def test_the_head_that_stats_prints_is_what_check_expects(store):
    head = json.loads(run("store", "stats", "--format", "json", "--store", store).stdout)["head"]
    assert head in run("store", "stats", "--store", store).stdout
    assert run("compact", "--store", store).returncode == 0
    assert run("check", "--expect", head, "--store", store).returncode == 0
    assert run("check", "--expect", "0" * 64, "--store", store).returncode == 1
    refused = run("check", "--expect", "latest", "--store", store)
    assert (refused.returncode, "64 hex digits" in refused.stderr) == (2, True)


def test_prune_says_what_would_go_before_it_goes(store):
    dry = run("store", "prune", "--older-than", "0s", "--dry-run", "--store", store).stdout
    assert "Would prune 2 runs, 8 rows" in dry
    assert "Pruned 2 runs, 8 rows" in run("store", "prune", "--older-than", "0s", "--store", store).stdout
    assert run("runs", "--store", store).stdout.count("pruned") == 2
    assert "There is nothing to prune" in run("store", "prune", "--max-size", "1GB", "--store", store).stdout


def test_prune_without_a_limit_is_refused(store):
    done = run("store", "prune", "--store", store)
    assert (done.returncode, "--older-than 90d" in done.stderr) == (2, True)


def test_upgrade_of_a_store_that_is_up_to_date_says_so(store):
    assert run("store", "upgrade", "--store", store).stdout == "The store is up to date (format 2).\n"


def test_ages_and_sizes_are_read_as_people_write_them():
    assert [age(text).total_seconds() for text in ("90d", "36h", "1.5m", "2w")] == [7776000, 129600, 90, 1209600]
    assert [size(text) for text in ("500", "20GB", "4GiB", "1.5 MB", "10kb")] == [
        500,
        20 * 10**9,
        4 * 2**30,
        1_500_000,
        10_000,
    ]
    for wrong, read in (("yesterday", age), ("-3d", age), ("3", age), ("big", size), ("3XB", size), ("-1GB", size)):
        with pytest.raises(BadInput):
            read(wrong)
