"""JSON documents of a file, in whatever way they follow each other."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.telemetry.ingest import Problem
from tele.telemetry.ingest.documents import documents

DOCS = [{"a": 1}, {"b": [1, {"c": "{"}]}, {"d": "\n{"}]


def read(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [d if isinstance(d, Problem) else d.value for d in documents(path)]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, DOCS)),
        "\r\n\r\n".join(map(json.dumps, DOCS)) + "\r\n",
        "\n".join(json.dumps(d, indent=2) for d in DOCS),
        "".join(json.dumps(d, indent=2) for d in DOCS),
        "\ufeff" + "\n".join(map(json.dumps, DOCS)),
    ],
    ids=["lines", "blank lines", "pretty", "run together", "byte order mark"],
)
def test_objects_may_stand_in_lines_or_one_after_another(tmp_path, text):
    assert read(tmp_path, text) == DOCS
    assert read(tmp_path, gzip.compress(text.encode(), mtime=0)) == DOCS


@given(st.lists(st.recursive(st.none() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)), min_size=1))
def test_what_json_writes_is_read(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("d")
    objects = [{"v": value} for value in values]

    assert read(folder, "\n".join(map(json.dumps, objects))) == objects
    assert read(folder, json.dumps(objects, indent=1)) == [objects]


def test_a_bad_line_is_named_and_the_rest_is_read(tmp_path):
    found = read(tmp_path, '{"a": 1}\n{"a": \n{"a": 3}\n\xff\n'.encode("latin-1"))

    file = str(tmp_path / "file")
    assert found == [
        {"a": 1},
        Problem(file, "line 2", "is not JSON: Expecting value at column 1"),
        {"a": 3},
        Problem(file, "line 4", "is not UTF-8 text at byte 0 of the line"),
    ]


def test_a_bad_first_line_does_not_hide_the_others(tmp_path):
    found = read(tmp_path, '{"a": [1,\n{"a": 2}\n{"a": 3}\n')

    assert [type(item) for item in found] == [Problem, dict, dict]
    assert found[1:] == [{"a": 2}, {"a": 3}]


def test_a_document_that_is_cut_off_is_named_with_line_and_column(tmp_path):
    text = json.dumps({"spans": [{"name": "a long name"}]}, indent=2)

    found = read(tmp_path, text[: text.index("long")])

    (problem,) = found
    assert (problem.position, problem.message) == (
        "line 4 column 15",
        "is not JSON: Unterminated string starting at (the file ends within a value: it is cut off)",
    )


def test_gzip_that_is_cut_off_is_a_problem(tmp_path):
    packed = gzip.compress(json.dumps({"a": list(range(1000))}).encode())

    (problem,) = read(tmp_path, packed[:-20])

    assert problem.message.startswith("cannot be read: Compressed file ended")


def test_json_nested_without_end_is_a_problem(tmp_path):
    for text in ("[" * 100_000, '{"a": 1}\n' + "[" * 100_000, '{"a": ' + "9" * 10_000 + "}"):
        assert isinstance(read(tmp_path, text)[-1], Problem)


def test_malformed_restarts_come_to_an_end(tmp_path):
    found = read(tmp_path, "{\n" * 20_000)

    assert len(found) == 1000
