"""Whatever is done to a store, in whatever order, it answers as a plain dictionary does.

The machine appends, flushes, kills writers, seals, compacts, upgrades, corrects and asks; readers that were opened
before go on to see what they saw. `TELE_FAULT_ROUNDS` says how long it goes on, `TELE_SEED` how it begins.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tele.store import blobs, sweep
from tele.store.check import check
from tele.store.compact import compact
from tele.store.journal import Journal
from tele.store.journalfile import forget_parent
from tele.store.layout import open_layout, prepare
from tele.store.names import experiment_id
from tele.store.prune import prune
from tele.store.reader import open_store
from tele.store.seal import seal
from tele.store.upgrade import upgrade

ROUNDS = int(os.environ.get("TELE_FAULT_ROUNDS", "20"))
SEED = int(os.environ.get("TELE_SEED", random.SystemRandom().randrange(2**32)))

FIELDS = ("event_id", "kind", "name", "experiment", "item_id", "status", "start_ns", "end_ns", "input")
EXPERIMENTS = ["alpha", "beta \N{SNOWMAN}", "default"]
BUFFERED = 2
"""The journal in that mode; those before it have reached the file when a record's call returns."""
WAYS_OUT = ["closed", "killed", "killed in a write"]
CHANCE = st.randoms(use_true_random=True)
BODY = json.dumps("a long prompt " * 3000).encode()
KILLED = "being written when the process died"


class Machine(RuleBasedStateMachine):
    """A store, the dictionary that it should be, and readers that were opened at some time."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.layout = prepare(Path(self.folder.name) / ".tele")
        self.journals = [Journal(self.layout), Journal(self.layout, "fsync"), Journal(self.layout, "buffered")]
        self.model: dict[str, dict] = {}
        self.unsure: dict[str, dict] = {}
        self.amended: dict[str, dict] = {}
        self.readers: list[tuple] = []
        self.now = 1_700_000_000_000_000_000

    def teardown(self):
        for store, _ in self.readers:
            store.close()
        for journal in self.journals:
            journal.close()
        self.folder.cleanup()

    @initialize()
    def begin(self):
        """Two small segments, so that there is something to compact, and a reader of them."""
        for _ in range(2):
            self.span(0, "alpha")
            seal(self.layout)
        self.open_reader()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def record(self, kind, name, experiment, **more):
        """A new row of the model, not written yet."""
        self.now += 1000
        row = {"event_id": f"{self.now // 1000:032x}", "kind": kind, "name": name, "experiment": experiment}
        return row | {"item_id": None, "status": None, "start_ns": self.now, "end_ns": None, "input": None} | more

    def write(self, journal, row, **more):
        facts = row | {"experiment_id": experiment_id(row["experiment"]), "input": None} | more
        if row["input"]:
            facts["blobs"] = {"input": row["input"].removeprefix("blob:")}
        line = {key: value for key, value in facts.items() if value is not None}
        self.journals[journal].append(json.dumps(line).encode()[:-1])

    def work(self, chance):
        """Append some records, by either writer."""
        for _ in range(chance.randrange(8)):
            step = chance.choice(["span", "large", "point", "start", "start", "end", "end", "amend"])
            if step in ("end", "amend"):
                getattr(self, step)(chance.randrange(BUFFERED), chance)
            else:
                getattr(self, step)(chance.randrange(BUFFERED), chance.choice(EXPERIMENTS))

    def span(self, journal, experiment, body=None):
        row = self.record("span", "ü\n work", experiment, item_id="i1", status="ok", input=body)
        row["end_ns"] = self.now + 500
        self.write(journal, row)
        self.model[row["event_id"]] = row

    def large(self, journal, experiment):
        self.span(journal, experiment, f"blob:{blobs.put(self.layout.blobs, BODY)}")

    def point(self, journal, experiment):
        row = self.record("event", "point", experiment)
        self.write(journal, row)
        self.model[row["event_id"]] = row

    def start(self, journal, experiment):
        row = self.record("span", "long", experiment, status="open")
        self.write(journal, row)
        self.model[row["event_id"]] = row

    def end(self, journal, chance):
        """End one of the open spans, perhaps in another file than the one that has its start."""
        if running := [row for row in self.model.values() if row["status"] == "open"]:
            row = chance.choice(running)
            self.now += 1000
            row |= {"status": "ok", "end_ns": self.now}
            self.write(journal, row)

    def amend(self, journal, chance):
        target, column = chance.choice(sorted(self.model)), chance.choice(["item_id", "score"])
        row = self.record("event", "tele.amended", "default")
        value = f"corrected {self.now}"
        self.write(journal, row, attributes={"target": target, "column": column, "value": value})
        self.model[row["event_id"]] = row
        self.amended.setdefault(target, {})[column] = value

    @rule(flushed=st.booleans())
    def buffer(self, flushed):
        """Append in mode `buffered`: until it is flushed a record may be in the store, and need not."""
        row = self.record("event", "buffered", "alpha")
        self.write(BUFFERED, row)
        self.unsure[row["event_id"]] = row
        if flushed:
            self.journals[BUFFERED].flush()
            self.all_is_sure()

    def all_is_sure(self):
        self.model |= self.unsure
        self.unsure = {}

    # ── dying and tidying ────────────────────────────────────────────────────────────────────────────────────────

    @rule(
        chance=CHANCE, journal=st.integers(0, BUFFERED), way=st.sampled_from(["closed", "killed", "killed in a write"])
    )
    def leave(self, chance, journal, way):
        """End the file in some way: a killed process leaves it unlocked and without a closing line."""
        self.work(chance)
        leaving = self.journals[journal]
        path = self.layout.journals / f"{leaving.writer}.jsonl"
        size = path.stat().st_size if leaving.writer and path.exists() else None
        marker = path.with_suffix(".born")
        born = marker.read_bytes() if marker.exists() else None
        leaving.close()
        if way == "closed" or size is None:
            if journal == BUFFERED:
                self.all_is_sure()
            return
        os.truncate(path, size)
        if born is not None:  # a process that is killed does not say how many records it closed with
            marker.write_bytes(born)
        forget_parent()  # and its next file, which would say so too, is another process's
        if way == "killed in a write":
            with path.open("ab") as file:
                file.write(b'{"event_id":"0')
        if journal == BUFFERED:
            self.query()
            self.unsure = {}

    @rule(chance=CHANCE)
    def sealing(self, chance):
        self.work(chance)
        seal(self.layout)
        self.open_readers_see_what_they_saw()
        self.query()

    @rule(chance=CHANCE)
    def compacting(self, chance):
        self.work(chance)
        compact(self.layout)
        self.open_readers_see_what_they_saw()
        self.query()

    @rule(chance=CHANCE, what=st.sampled_from(["check", "upgrade", "prune"]))
    def tidying(self, chance, what):
        self.work(chance)
        if what == "upgrade":
            upgrade(self.layout.root)
            assert open_layout(self.layout.root) == self.layout
        elif what == "prune":
            assert prune(self.layout, older_than_ns=1).units == ()
        else:
            found = check(self.layout.root, deep=True).findings
            assert [one for one in found if KILLED not in one.what] == []

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, store):
        """Every row, by event id, the body in place of its blob."""
        assert [sentence for sentence in store.damage if KILLED not in sentence] == []
        rows = store.rows(f"SELECT {', '.join(FIELDS)}, attributes->>'$.score' FROM events")
        found = {row[0]: dict(zip((*FIELDS, "score"), row, strict=True)) for row in rows}
        assert len(found) == len(rows), "an event stands twice"
        for row in found.values():
            assert row["input"] is None or store.blob(row["input"]) == BODY
        return found

    def expected(self):
        return {event: row | {"score": None} | self.amended.get(event, {}) for event, row in self.model.items()}

    @rule()
    def query(self):
        with open_store(self.layout.root) as store:
            found = self.answer(store)
            self.model |= {event: row for event, row in self.unsure.items() if event in found}
            self.unsure = {event: row for event, row in self.unsure.items() if event not in found}
            assert found == self.expected()
            counted = store.rows("SELECT experiment, count(*) FROM events GROUP BY 1")
            kinds = [row["experiment"] for row in found.values()]
            assert dict(counted) == {name: kinds.count(name) for name in kinds}
            for event in sorted(found)[:2]:
                assert store.rows("SELECT event_id FROM events WHERE event_id = ?", [event]) == [(event,)]

    @precondition(lambda self: len(self.readers) < 2)
    @rule()
    def open_reader(self):
        store = open_store(self.layout.root)
        self.readers.append((store, self.answer(store)))

    def open_readers_see_what_they_saw(self):
        for store, seen in self.readers:
            assert self.answer(store) == seen

    @precondition(lambda self: self.readers)
    @rule()
    def close_reader(self):
        self.open_readers_see_what_they_saw()
        store, _ = self.readers.pop(0)
        store.close()


def test_a_store_answers_as_a_dictionary_does(monkeypatch):
    monkeypatch.setattr(sweep, "GRACE_SECONDS", -1)  # what no open reader needs goes at once
    machine = seed(SEED)(Machine)
    limits = settings(
        max_examples=max(ROUNDS // 2, 1),
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    try:
        run_state_machine_as_test(machine, settings=limits)
    except BaseException as error:
        error.add_note(f"TELE_SEED={SEED}")
        raise
