"""A question reads only the row groups that can hold its answer: counted by DuckDB, held against pyarrow's statistics.

Row groups are small here, so that a few thousand rows make tens of them; what prunes does not depend on their size.
"""

from __future__ import annotations

import hashlib
import json
import os
import random

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tele.store import reader, segments
from tele.store.compact import compact
from tele.store.journal import Journal
from tele.store.layout import prepare
from tele.store.names import experiment_id
from tele.store.reader import open_store
from tele.store.seal import seal

EXPERIMENTS = ("own ids", "foreign ids")
SEALS = 6
ROWS = 6000
"""Of one experiment in one seal."""
TRACE_ROWS = 20
ROW_GROUP = 2048
BEGIN = 1_760_000_000_000_000_000
STEP = 1_000_000


def own_trace(number):
    """A time-prefixed id, as tele makes them: 12 digits of milliseconds, then what is random."""
    milliseconds = (BEGIN + number * TRACE_ROWS * STEP) // 1_000_000
    return f"{milliseconds:012x}" + hashlib.sha256(b"own%d" % number).hexdigest()[:20]


def foreign_trace(number):
    """An id without any order, as other tracers make them."""
    return hashlib.sha256(b"foreign%d" % number).hexdigest()[:32]


TRACES = {"own ids": own_trace, "foreign ids": foreign_trace}


def append(journal, experiment, number):
    facts = {
        "event_id": hashlib.sha256(f"{experiment}{number}".encode()).hexdigest()[:32],
        "kind": "span",
        "name": "call",
        "start_ns": BEGIN + number * STEP,
        "end_ns": BEGIN + number * STEP + 1000,
        "trace_id": TRACES[experiment](number // TRACE_ROWS),
        "span_id": f"{number:016x}",
        "status": "ok",
        "experiment": experiment,
        "experiment_id": experiment_id(experiment),
    }
    journal.append(json.dumps(facts).encode()[:-1])


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "ROW_GROUP", ROW_GROUP)
        made = prepare(tmp_path_factory.mktemp("pruning") / ".tele")
        journal = Journal(made, "buffered")
        for number in range(SEALS):
            for experiment in EXPERIMENTS:
                for row in range(number * ROWS, (number + 1) * ROWS):
                    append(journal, experiment, row)
            journal.flush()
            seal(made)
        journal.close()
    return made


@pytest.fixture(scope="module")
def groups(layout):
    """Every row group of the store by pyarrow: its file, its number and its statistics."""
    found = []
    for path in sorted(layout.segments.rglob("*.parquet")):
        metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            columns = [group.column(at) for at in range(group.num_columns)]
            found.append((path, number, {c.path_in_schema: c.statistics for c in columns}))
    return found


@pytest.fixture
def seed():
    return int(os.environ.get("TELE_SEED") or random.randrange(2**32))


def scanned(layout, query):
    """Row groups that DuckDB read, and how many there are, through a reader of the store."""
    with open_store(layout.root) as store:
        [(_, plan)] = store.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
    facts = json.loads(plan)["query"]
    return facts["total_row_groups_scanned"], facts["total_row_groups_to_scan"]


def admitting(groups, column, low, high):
    """Row groups whose least and greatest value leave room for a value from `low` to `high`."""
    return [(path, number) for path, number, said in groups if said[column].min <= high and said[column].max >= low]


def not_excluded_by_bloom(column, value, candidates):
    asked = "SELECT file_name, row_group_id FROM parquet_bloom_probe(?, ?, ?) WHERE NOT bloom_filter_excludes"
    found = {row for path, _ in candidates for row in duckdb.execute(asked, [str(path), column, value]).fetchall()}
    return [(path, number) for path, number in candidates if (str(path), number) in found]


def holding(groups, column, value):
    """Row groups that do hold the value: read and looked through."""
    return [
        (path, number)
        for path, number, _ in groups
        if value in pq.ParquetFile(path).read_row_group(number, [column])[column].to_pylist()
    ]


def test_the_store_has_tens_of_row_groups_to_leave_out(groups):
    assert len(groups) == len(EXPERIMENTS) * SEALS * -(-ROWS // ROW_GROUP) == 36


def test_one_trace_with_a_time_prefix_is_found_by_least_and_greatest_value(layout, groups, seed):
    trace = own_trace(random.Random(seed).randrange(SEALS * ROWS // TRACE_ROWS))
    of_own = [group for group in groups if group[2]["experiment_id"].min == experiment_id("own ids")]

    read, there = scanned(layout, f"SELECT * FROM events WHERE trace_id = '{trace}'")

    held = holding(groups, "trace_id", trace)
    assert there == len(groups)
    assert set(admitting(of_own, "trace_id", trace, trace)) == set(held), f"TELE_SEED={seed}"
    assert read == len(not_excluded_by_bloom("trace_id", trace, admitting(groups, "trace_id", trace, trace)))
    assert read <= len(held) + 3, f"TELE_SEED={seed}: besides them only false alarms of a bloom filter"


def test_one_foreign_trace_is_found_by_the_bloom_filter_where_least_and_greatest_say_nothing(layout, groups, seed):
    drawn = random.Random(seed)
    trace = ""
    while not "4" <= trace[:1] <= "b":  # one at the edge of all ids is outside of many groups' least and greatest
        trace = foreign_trace(drawn.randrange(SEALS * ROWS // TRACE_ROWS))

    read, there = scanned(layout, f"SELECT * FROM events WHERE trace_id = '{trace}'")

    candidates = admitting(groups, "trace_id", trace, trace)
    held = holding(groups, "trace_id", trace)
    assert there == len(groups)
    assert len(candidates) >= 12, f"TELE_SEED={seed}: of 18 with such ids nearly all"
    assert read == len(not_excluded_by_bloom("trace_id", trace, candidates)), f"TELE_SEED={seed}"
    assert len(held) <= read <= len(held) + 4, f"TELE_SEED={seed}"


def test_a_trace_that_is_not_there_costs_next_to_nothing(layout, groups, seed):
    trace = f"{random.Random(seed).getrandbits(128):032x}"

    read, _ = scanned(layout, f"SELECT * FROM events WHERE trace_id = '{trace}'")

    assert holding(groups, "trace_id", trace) == []
    assert read <= 4, f"TELE_SEED={seed}"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_one_experiment_reads_its_own_row_groups(layout, groups, experiment):
    key = experiment_id(experiment)

    by_id, _ = scanned(layout, f"SELECT sum(duration_ms) FROM spans WHERE experiment_id = '{key}'")
    by_name, _ = scanned(layout, f"SELECT sum(duration_ms) FROM spans WHERE experiment = '{experiment}'")

    assert by_id == len(admitting(groups, "experiment_id", key, key)) == len(groups) // 2
    assert by_name == len(admitting(groups, "experiment", experiment, experiment)) == len(groups) // 2


@pytest.mark.parametrize("rows", [1, 3000, 9000])
def test_a_window_of_time_reads_what_overlaps_it(layout, groups, seed, rows):
    first = random.Random(seed).randrange(SEALS * ROWS - rows)
    low, high = BEGIN + first * STEP, BEGIN + (first + rows - 1) * STEP

    read, _ = scanned(layout, f"SELECT sum(duration_ms) FROM spans WHERE start_ns BETWEEN {low} AND {high}")

    expected = admitting(groups, "start_ns", low, high)
    assert read == len(expected), f"TELE_SEED={seed}"
    assert len(expected) <= 2 * (rows // ROW_GROUP + 3), f"TELE_SEED={seed}: the rows stand in the order of time"


def test_compacted_files_prune_as_the_small_ones_did(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "ROW_GROUP", ROW_GROUP)
    copy = prepare(tmp_path / ".tele")
    journal = Journal(copy, "buffered")
    for number in range(3):
        for row in range(number * ROWS, (number + 1) * ROWS):
            append(journal, "own ids", row)
        journal.flush()
        seal(copy)
    compact(copy)
    journal.close()
    trace = own_trace(400)
    low, high = BEGIN + 400 * TRACE_ROWS * STEP, BEGIN + 401 * TRACE_ROWS * STEP

    with open_store(copy.root) as store:
        files = len(store.state.segments)
    by_trace, there = scanned(copy, f"SELECT * FROM events WHERE trace_id = '{trace}'")
    by_time, _ = scanned(copy, f"SELECT * FROM events WHERE start_ns >= {low} AND start_ns < {high}")

    assert files == 1
    least, most = 3 * ROWS // (2 * ROW_GROUP), -(-3 * ROWS // ROW_GROUP)
    assert least < there <= most, "a group ends with the vector that fills it"
    assert 1 <= by_trace <= 2
    assert 1 <= by_time <= 2


def test_footers_stay_in_memory_for_the_next_question_where_there_are_few_and_not_where_that_would_be_much(
    layout, monkeypatch
):
    def kept():
        with open_store(layout.root) as store:
            store.rows("SELECT * FROM events WHERE trace_id = 'none'")
            [(held,)] = store.rows("SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'OBJECT_CACHE'")
        return held

    footers = sum(pq.read_metadata(path).serialized_size for path in layout.segments.rglob("*.parquet"))
    assert kept() > footers
    monkeypatch.setattr(reader, "_FOOTERS_KEPT", len(EXPERIMENTS) * SEALS - 1)
    assert kept() < footers / 10


def test_every_row_group_has_the_statistics_and_the_filter_that_this_needs(groups):
    for path, number, said in groups:
        assert all(said[column].has_min_max for column in ("trace_id", "start_ns", "experiment_id")), (path, number)
    with_filter = duckdb.execute(
        """SELECT count(*) FROM parquet_metadata(?)
           WHERE path_in_schema = 'trace_id' AND bloom_filter_offset IS NOT NULL""",
        [sorted({str(path) for path, _, _ in groups})],
    ).fetchall()
    assert with_filter == [(len(groups),)]
    assert pa.types.is_string(pq.read_schema(groups[0][0]).field("trace_id").type)
