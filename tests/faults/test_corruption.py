"""Any file of a store, damaged in any way: the answer is the same, or the damage is told and the file is named.

The short form takes some of the cases by chance; `TELE_FAULT_ROUNDS` of 200 and more takes them all, with one more
random flip of each file for every fifty rounds.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tele.errors import TeleError
from tele.store.check import check
from tele.store.layout import open_layout
from tele.store.manifest import load
from tele.store.repair import repair

from .corrupt import Answer, Built, Case, build, cases, harm, held_by, see

ROUNDS = int(os.environ.get("TELE_FAULT_ROUNDS", "20"))
SEED = int(os.environ.get("TELE_SEED", random.SystemRandom().randrange(2**32)))
LONG = ROUNDS >= 200


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield build(tmp_path_factory.mktemp("sound") / ".tele", patch)


@pytest.fixture
def store(built, tmp_path, monkeypatch):
    """Makes a fresh copy of the sound store, and nothing of it verified yet."""

    def fresh() -> Path:
        path = tmp_path / ".tele"
        shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        return Path(shutil.copytree(built.path, path))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fresh


def entries(path: Path) -> list[Path]:
    return sorted((path / "manifest").glob("[0-9]*.json"))


def chosen(built: Built, chance: random.Random) -> list[Case]:
    """All cases, or where time is short one of a file's kind and way, as many as there is time for."""
    every = list(cases(built, chance, flips=max(ROUNDS // 50, 1)))
    chance.shuffle(every)
    if LONG:
        return every
    first = {(case.kind, case.way.rstrip("0123456789")): case for case in every}
    return list(first.values())[: 3 * ROUNDS // 2]


def verdict(path: Path, case: Case, built: Built, sound: Answer) -> str:
    """`identical`, `detected`, `limit`, or what is wrong."""
    names = [Path(name).name for name in case.changed]
    try:
        report = check(path, deep=True)
        found = [str(one) for one in report.findings]
        noted = " ".join(map(str, report.notes))
    except TeleError as error:
        found, noted = [str(error)], ""
    if found:
        named = any(name in sentence for sentence in found for name in names)
        return "detected" if named else f"UNNAMED in {found}"
    try:
        answer = see(path)
    except TeleError as error:
        return f"SILENT: the check finds nothing and reading says {error}"
    if (answer.rows, answer.blobs, answer.damage) == (sound.rows, sound.blobs, ()):
        return "identical"
    if cut(case, built) and names[0] in noted:
        return "limit"
    return f"SILENT: {len(sound.rows.keys() - answer.rows.keys())} rows are gone, reading says {answer.damage}"


def cut(case: Case, built: Built) -> bool:
    """Whether a journal was cut behind what is sealed: so would a process have left it that was killed earlier."""
    content = case.changed[case.file]
    if case.kind != "journal.jsonl" or content is None or len(case.changed) > 1:
        return False
    sealed = load(open_layout(built.path)).journals.get(Path(case.file).stem)
    whole = (built.path / case.file).read_bytes()
    return whole.startswith(content) and len(content) >= (sealed.offset if sealed else 1)


def mended(path: Path, case: Case, sound: Answer, built: Built) -> str:
    """What is wrong after a repair; empty where all that was readable still is, and no damage is left."""
    bodies: set[str] = set()
    try:
        before = see(path)
        readable = before.rows.keys()
        bodies = {name for name, body in before.blobs.items() if isinstance(body, bytes)}
    except TeleError:
        readable = sound.rows.keys() - set().union(*(held_by(built.path, name) for name in case.changed))
    repair(path)
    after = see(path)
    if spoiled := [name for name in bodies if after.blobs.get(name) != sound.blobs[name]]:
        return f"the repair lost the bodies {spoiled}"
    if lost := readable - after.rows.keys():
        return f"the repair lost {sorted(lost)}"
    if changed := [event for event in sound.rows.keys() & after.rows.keys() if sound.rows[event] != after.rows[event]]:
        return f"the repair changed {changed}"
    if invented := [row for event, row in after.rows.items() if event not in sound.rows and "tele.repaired" not in row]:
        return f"the repair invented {invented}"
    left = check(path, deep=True).findings
    return f"after the repair: {'; '.join(map(str, left))}" if left else ""


def test_damage_to_any_file_changes_no_answer_unseen_and_can_be_repaired(built, store):
    chance = random.Random(SEED)
    sound = see(built.path)
    assert (len(sound.rows), len(sound.blobs), sound.damage) == (24, 3, ())
    counts: Counter[str] = Counter()
    wrong = []
    for number, case in enumerate(chosen(built, chance)):
        path = store()
        harm(path, case)
        found = verdict(path, case, built, sound)
        counts[found.partition(":")[0].partition(" ")[0]] += 1
        if found.startswith(("SILENT", "UNNAMED")):
            wrong.append(f"{case}: {found}")
        elif found == "detected" and (LONG or number % 5 == 0):
            counts["repaired"] += 1
            if fault := mended(path, case, sound, built):
                wrong.append(f"{case}: {fault}")
    print(f"corruption: {dict(counts)}, TELE_SEED={SEED}")  # noqa: T201  # the figures of the long form
    assert not wrong, "\n".join([f"TELE_SEED={SEED}, {dict(counts)}", *wrong])
    assert counts["detected"] > counts["identical"] / 4 > 0


@pytest.mark.parametrize("back", [1, 2, 3])
def test_a_manifest_that_was_rolled_back_is_found_by_the_hash_kept_elsewhere(store, back):
    path = store()
    head = check(path).head
    for entry in entries(path)[-back:]:
        entry.unlink()
    plain = check(path)
    assert check(path, expect=plain.head).findings == plain.findings
    [found] = set(check(path, expect=head).findings) - set(plain.findings)
    assert head in found.what


def test_segments_that_no_entry_names_tell_of_a_manifest_that_was_rolled_back(store):
    path = store()
    state = load(open_layout(path))
    for entry in entries(path)[-3:]:
        entry.unlink()
    nameless = state.segments.keys() - load(open_layout(path)).segments.keys()
    report = check(path)
    told = {one.file for one in (*report.findings, *report.notes) if "no manifest entry names it" in one.what}
    assert nameless
    assert told == nameless
