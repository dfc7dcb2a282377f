"""From files to the log: once each, whatever stands between."""

from __future__ import annotations

import gzip
import json

import pytest

from tele.errors import BadInput, BadQuery
from tele.store.names import experiment_id
from tele.telemetry.ingest import Problem, ingest, with_ids

CUT = "Unterminated string starting at (the file ends within a value: it is cut off)"


class Log:
    """A store in a dictionary."""

    def __init__(self):
        self.rows = {}
        self.progress = []

    def take(self, *paths, experiment="x", **options):
        return ingest(
            paths,
            append=lambda record: self.rows.__setitem__(record["event_id"], record),
            known=lambda ids: {i for i in ids if i in self.rows},
            experiment=experiment,
            on_progress=lambda file, records: self.progress.append((file, records)),
            **options,
        )


def zipkin(*ids):
    return json.dumps([{"traceId": "1", "id": i} for i in ids])


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def file(tmp_path):
    def write(name, data):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def test_the_same_file_twice_adds_nothing_and_says_so(log, file):
    path = file("a.json", zipkin("2", "3", "3"))

    first, second = log.take(path), log.take(path)

    assert (first.records_read, first.added, first.duplicates) == (3, 2, 1)  # a span that was delivered twice is one
    assert (second.records_read, second.added, second.duplicates) == (3, 0, 3)
    assert len(log.rows) == 2


def test_equal_rows_of_different_files_stay_distinct_and_a_copy_of_a_file_is_left_out(log, file):
    one, two, copy = file("a.csv", "name\nx\ny\n"), file("b.csv", "name\nx\nz\n"), file("c.csv", "name\nx\ny\n")

    report = log.take(one, two, copy, one, select="SELECT name FROM source")

    assert (report.added, report.files, report.repeated) == (4, 2, (str(copy), str(one)))


def test_a_span_in_two_files_is_one(log, file):
    one, two = file("a.json", zipkin("2", "3")), file("b.json", zipkin("2", "4"))

    report = log.take(one, two)

    assert (report.added, report.duplicates) == (3, 1)


def test_ids_are_those_of_the_experiment(log, file):
    path = file("a.json", zipkin("2"))

    log.take(path, experiment="Café")
    log.take(path, experiment="Cafe\u0301")

    (record,) = log.rows.values()
    bare = {key: value for key, value in record.items() if key not in {"event_id", "experiment"}}
    assert record["experiment"] == "Café"
    assert list(with_ids([bare], experiment_id("Café"))) == [{**bare, "event_id": record["event_id"]}]


def test_a_folder_is_walked_in_order_and_what_is_unknown_is_named(log, file, tmp_path):
    file("b/x.json", zipkin("2"))
    file("a.txt", "hello")
    file("c.json", '{"what": 1}')
    file(".hidden/x.json", zipkin("9"))
    file("empty.json", "")
    file("image.png", b"\x89PNG\r\n\0")
    file("torn.json", zipkin("2")[:-4])
    file("z.json.gz", gzip.compress(zipkin("5").encode()))

    report = log.take(tmp_path)

    assert report.unknown == (f"{tmp_path}/a.txt", f"{tmp_path}/c.json")
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in report.problems] == [
        "empty.json: the file is empty",
        "image.png, byte 0: is binary, not text",
        f"torn.json, line 1 column 25: is not JSON: {CUT}",
    ]
    assert (report.files, report.by_format) == (2, {"zipkin": 2})
    assert log.progress[-2:] == [(f"{tmp_path}/z.json.gz", 1), (f"{tmp_path}/b/x.json", 1)]


def test_a_malformed_record_is_counted_and_the_rest_is_added(log, file):
    path = file("a.json", json.dumps([{"traceId": "1", "id": "2"}, {"id": "3"}, {"traceId": "1", "id": "4"}]))

    report = log.take(path)

    assert (report.added, report.problem_count) == (2, 1)
    assert report.problems == (Problem(str(path), "spans[1]", "it has no traceId"),)


def test_strict_adds_nothing_at_all_when_there_is_a_problem(log, file):
    good = file("a.json", zipkin("2"))
    bad = file("b.json", '[{"traceId": "1", "id": "2"}, {"id": "3"}]')

    with pytest.raises(BadInput, match=r"b.json, spans\[1\]: it has no traceId"):
        log.take(good, bad, strict=True)

    assert log.rows == {}
    assert log.take(good, strict=True).added == 1


def test_strict_refuses_a_file_of_no_known_format(log, file):
    with pytest.raises(BadInput, match=r"no known format.*--select"):
        log.take(file("a.txt", "hello"), file("b.json", zipkin("2")), strict=True)

    assert log.rows == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "the file is empty"),
        (b"\0\1", "byte 0: is binary, not text"),
        ('{"resourceSpans": [', "it is cut off"),
        ("a,b\n", "no known format: name it with --format, or map its columns with --select"),
        ("[]", "no known format"),
        (gzip.compress(b"{}" * 999, mtime=0)[:-9], "cannot be read"),
    ],
)
def test_when_nothing_can_be_read_the_reason_is_the_error(log, file, data, message):
    with pytest.raises(BadInput, match=message):
        log.take(file("a", data))


def test_a_path_that_is_not_there_is_refused(log, tmp_path):
    with pytest.raises(BadInput, match="There is no file"):
        log.take(tmp_path / "none.json")


def test_a_folder_without_files_is_refused(log, tmp_path):
    with pytest.raises(BadInput, match="There is no file to read"):
        log.take(tmp_path)


def test_an_otlp_request_without_spans_is_read_and_holds_nothing(log, file):
    report = log.take(file("a.json", '{"resourceSpans": []}'))

    assert (report.files, report.records_read, report.by_format) == (1, 0, {"otlp": 0})


def test_lines_of_another_format_are_problems_wherever_they_stand(log, file):
    span = '{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "1", "spanId": "2"}]}]}]}'

    report = log.take(file("a.jsonl", f'{{"header": 1}}\n{span}\n{{"other": 2}}\n'))

    assert report.added == 1
    assert [(p.position, p.message) for p in report.problems] == [("line 1", "is not otlp"), ("line 3", "is not otlp")]


def test_a_format_that_is_named_is_not_guessed(log, file):
    path = file("a.json", zipkin("2"))

    report = log.take(path, format="otlp")

    assert (report.added, report.problems[0].message) == (0, "is not otlp")


def test_rows_by_select_get_ids_of_their_own_and_go_in_once(log, file):
    path = file("a.csv", "m\nx\nx\ny\n")

    first = log.take(path, select="SELECT m AS model FROM source")
    second = log.take(path, select="SELECT m AS model FROM source")

    assert (first.added, second.added, second.duplicates) == (3, 0, 3)
    assert len({(r["trace_id"], r["span_id"]) for r in log.rows.values()}) == 3


def test_select_over_a_folder_leaves_out_what_is_no_table(log, file, tmp_path):
    file("a.csv", "m\nx\n")
    file("b.bin", b"\0")

    report = log.take(tmp_path, select="SELECT m AS model FROM source")

    assert (report.added, report.problem_count) == (1, 1)


def test_bad_sql_is_refused_before_anything_is_added(log, file):
    with pytest.raises(BadQuery):
        log.take(file("a.csv", "m\nx\n"), select="SELECT nope FROM source")

    assert log.rows == {}


def test_many_records_go_in_by_batches_and_progress_is_told(log, file):
    path = file("a.json", zipkin(*(f"{n:x}" for n in range(1, 2502))))

    report = log.take(path)

    assert report.added == 2501
    assert log.progress == [(str(path), n) for n in (1000, 2000, 2501)]


def test_a_report_names_so_many_problems_and_counts_all(log, file):
    path = file("a.json", json.dumps([{"traceId": "1", "id": "2"}, *[0] * 1500]))

    report = log.take(path)

    assert (len(report.problems), report.problem_count) == (1000, 1500)
