"""--select: any file DuckDB reads, through one SELECT, and nothing else."""

from __future__ import annotations

import gzip
import json

import duckdb
import pytest

from tele.errors import BadInput, BadQuery
from tele.telemetry.ingest import Place, Problem
from tele.telemetry.ingest.select import rows


def select(path, sql):
    return list(rows(path, sql, Place("f")))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("name,ms,err\na,1.5,\nb,,timeout\nc,,\n")
    return path


def test_success_and_status_follow_the_error_and_the_duration(table):
    records = select(table, "SELECT name, ms AS duration_ms, err AS error_type FROM source")

    assert records == [
        {"kind": "span", "name": "a", "duration_ms": 1.5, "success": True, "status": "unset"},
        {"kind": "span", "name": "b", "error_type": "timeout", "success": False, "status": "error"},
        {"kind": "span", "name": "c", "status": "unset"},
    ]


def test_a_success_that_is_given_stands_null_included(table):
    records = select(table, "SELECT name, 1 AS duration_ms, nullif(name <> 'a', true) AS success FROM source")

    assert [(r.get("success"), r["status"]) for r in records] == [(False, "error"), (None, "unset"), (None, "unset")]


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet", "json.gz", "csv.gz", "odd[1]*?.json"])
def test_any_file_that_duckdb_reads_is_a_source_whatever_its_name(tmp_path, suffix):
    path = tmp_path / f"file.{suffix}.bin"
    items = [{"n": 1, "m": "x"}, {"n": 2, "m": "y"}]
    text = {
        "csv": "n,m\n1,x\n2,y\n",
        "jsonl": "\n".join(map(json.dumps, items)),
    }.get(suffix.removesuffix(".gz"), json.dumps(items))
    if suffix == "parquet":
        duckdb.sql("SELECT * FROM (VALUES (1, 'x'), (2, 'y')) t(n, m)").write_parquet(str(path))
    else:
        path.write_bytes(gzip.compress(text.encode(), mtime=0) if suffix.endswith(".gz") else text.encode())

    records = select(path, "SELECT n AS input_tokens, m AS model FROM source;")

    assert [(r["input_tokens"], r["model"]) for r in records] == [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    ("time", "ns"),
    [
        ("TIMESTAMP '1970-01-01 00:00:01'", 10**9),
        ("TIMESTAMPTZ '1970-01-01 02:00:02.5+02'", 2_500_000_000),
        ("TIMESTAMP_NS '1970-01-01 00:00:00.000000007'", 7),
        ("'1970-01-01T00:00:01Z'", 10**9),
        ("DATE '1970-01-02'", 86_400 * 10**9),
    ],
)
def test_times_become_nanoseconds(table, time, ns):
    (record,) = select(table, f"SELECT {time} AS time, {time} AS end_time FROM source LIMIT 1")

    assert (record["start_ns"], record["end_ns"], record["success"]) == (ns, ns, True)


def test_the_end_follows_from_start_and_duration(table):
    (record,) = select(table, "SELECT 5 AS start_ns, 2.5 AS duration_ms FROM source LIMIT 1")

    assert (record["start_ns"], record["end_ns"], record["duration_ms"]) == (5, 2_500_005, 2.5)


def test_structures_become_json(table):
    sql = """SELECT {'a': 1, 'b': [true]} AS attributes, MAP {'h': 'x'} AS resource, '[{"trace_id": "1"}]' AS links,
        'plain' AS input, '{"k": 1}' AS output, ['t'] AS tags FROM source LIMIT 1"""

    (record,) = select(table, sql)

    assert record == {
        "kind": "span",
        "name": "span",
        "status": "unset",
        "attributes": {"a": 1, "b": [True]},
        "resource": {"h": "x"},
        "links": [{"trace_id": "1"}],
        "input": "plain",
        "output": {"k": 1},
        "tags": ["t"],
    }


def test_ids_take_their_form_and_foreign_ones_are_kept_beside(table):
    sql = """SELECT '0AF7651916CD43DD8448EB211C80319C' AS trace_id, 'B7AD6B71' AS span_id, 'req-1' AS parent_id
        FROM source LIMIT 1"""

    (record,) = select(table, sql)

    assert (record["trace_id"], record["span_id"]) == ("0af7651916cd43dd8448eb211c80319c", "00000000b7ad6b71")
    assert len(record["parent_id"]) == 16
    assert record["attributes"] == {"source.parent_id": "req-1"}


def test_a_value_that_does_not_fit_its_column_names_its_row_and_the_rest_is_read(table):
    found = select(table, "SELECT CASE name WHEN 'b' THEN 'many' ELSE '7' END AS input_tokens FROM source")

    assert [i.get("input_tokens") if isinstance(i, dict) else i for i in found] == [
        7,
        Problem("f", "row 2", "the value of input_tokens does not fit the column's type"),
        7,
    ]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("'x' AS attributes", "attributes is not JSON"),
        ("'[1]' AS attributes", "attributes is not a JSON object"),
        ("'{\"a\"' AS resource", "resource is not JSON"),
        ("'{}' AS links", "links is not a JSON array"),
        ("'spam' AS kind", "kind 'spam' is none of span, event, metric"),
    ],
)
def test_what_a_column_cannot_hold_is_a_problem(table, column, message):
    found = select(table, f"SELECT {column} FROM source LIMIT 1")

    assert found == [Problem("f", "row 1", message)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 AS input_token FROM source", "column 'input_token'.*Nearest: input_tokens"),
        ("SELECT 'e' AS experiment FROM source", "Name the experiment with --experiment"),
        ("SELECT 1 AS seq FROM source", "column 'seq'"),
        ("SELECT now() AS time, 1 AS start_ns FROM source", "both time and start_ns"),
        ("SELECT 1 AS seed; SELECT 2 AS seed", "one SELECT"),
        ("DROP VIEW source", "one SELECT"),
        ("", "one SELECT"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_in_a_sentence(table, sql, message):
    with pytest.raises(BadInput, match=message):
        select(table, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nope FROM source",
        "SELEC 1",
        "SELECT name FROM read_text('/etc/passwd')",
        "SELECT name FROM read_csv('{other}')",
        "SELECT name FROM '{other}'",
        "SELECT getenv('HOME') AS name FROM source",
    ],
)
def test_sql_that_does_not_run_or_reads_more_than_the_file_is_refused(table, tmp_path, sql):
    other = tmp_path / "other.csv"
    other.write_text("name\nsecret\n")

    with pytest.raises(BadQuery):
        select(table, sql.format(other=other))


def test_nothing_is_written(table, tmp_path):
    with pytest.raises(BadInput):
        select(table, f"COPY source TO '{tmp_path}/out.csv'")

    assert not (tmp_path / "out.csv").exists()


def test_an_empty_file_is_a_problem(tmp_path):
    path = tmp_path / "empty"
    path.touch()

    assert select(path, "SELECT 1 AS seed FROM source") == [Problem("f", "", "the file is empty")]


def test_an_error_while_rows_are_read_is_the_querys(table):
    with pytest.raises(BadQuery, match=r"(?i)could not convert"):
        select(table, "SELECT CAST(name AS INTEGER) AS seed FROM source")
