"""A large document is read as a small one is, with its long lists left in the file."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tele.telemetry.ingest import Problem, window
from tele.telemetry.ingest.documents import documents
from tele.telemetry.ingest.window import LazyList

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
SPANS = st.lists(st.dictionaries(TEXT, VALUE, max_size=3), max_size=5)
SCOPES = st.lists(st.fixed_dictionaries({"scopeSpans": st.lists(st.fixed_dictionaries({"spans": SPANS}), max_size=3)}))
DOCUMENTS = st.one_of(
    st.fixed_dictionaries({"resourceSpans": SCOPES, "after": VALUE}),
    st.fixed_dictionaries({"traceEvents": SPANS, "baseTimeNanoseconds": st.integers()}),
    st.fixed_dictionaries({"data": st.lists(st.fixed_dictionaries({"spans": SPANS, "processes": VALUE}), max_size=3)}),
    SPANS,
)


@pytest.fixture(params=["plain", "gzip"])
def file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("window") / "file.json"

    def write(text):
        data = text.encode()
        path.write_bytes(data if request.param == "plain" else gzip.compress(data, mtime=0))
        return path

    return write


@pytest.fixture(scope="module")
def small():
    """Everything is large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "STEP", 7)
        patch.setattr(window, "BIG_DOCUMENT", 16)
        patch.setattr(window, "BIG_ITEM", 16)
        yield


def whole(value):
    """The value with its lazy lists read."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


@pytest.mark.usefixtures("small")
@settings(deadline=None, max_examples=60)
@given(value=DOCUMENTS)
def test_what_json_writes_is_read_whatever_the_windows_cut(file_of, value):
    path = file_of("\n" + json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    (found,) = documents(path)

    assert whole(found.value) == value
    assert whole(found.value) == value, "it can be walked again"


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    path = tmp_path_factory.mktemp("window") / "file.json"

    def write(text):
        path.write_bytes(text.encode())
        return path

    return write


@pytest.mark.usefixtures("small")
@settings(deadline=None, max_examples=60)
@given(value=DOCUMENTS, data=st.data())
def test_of_a_document_that_is_cut_off_the_whole_items_are_kept_and_the_rest_is_a_problem(file_of, value, data):
    text = json.dumps(value, indent=1)
    cut = text[: data.draw(st.integers(1, len(text) - 1))]

    found = list(documents(file_of(cut)))

    assert sum(isinstance(item, Problem) for item in found) <= 1
    for item in found:
        if not isinstance(item, Problem):
            assert begins(whole(item.value), value)


def begins(part, value):
    """Whether a list or object holds the first items of another, the last perhaps not whole."""
    if isinstance(part, dict):
        return all(key in value and begins(item, value[key]) for key, item in part.items())
    if isinstance(part, list):
        return len(part) <= len(value) and all(begins(mine, theirs) for mine, theirs in zip(part, value, strict=False))
    return part == value


@pytest.mark.usefixtures("small")
def test_a_large_document_is_lazy_and_knows_its_first_items_and_its_length(file):
    value = {"traceEvents": [{"ph": "X", "ts": n} for n in range(30)], "last": 1}

    (found,) = documents(file(json.dumps(value, indent=1)))

    events = found.value["traceEvents"]
    assert type(events) is LazyList
    assert (events[:2], len(events), found.value["last"]) == (value["traceEvents"][:2], 30, 1)
    assert list(enumerate(events)) == list(enumerate(value["traceEvents"]))


@pytest.mark.usefixtures("small")
def test_what_is_malformed_is_named_with_line_and_column_and_what_is_before_it_is_kept(file):
    path = file('{"traceEvents": [\n {"ph": "X", "ts": 1},\n {"ph": "X", "ts": 2},\n {"ph": nope}]}\n')

    document, problem = documents(path)

    assert [event["ts"] for event in document.value["traceEvents"]] == [1, 2]
    assert (problem.position, problem.message) == ("line 4 column 9", "is not JSON: Expecting value")


@pytest.mark.usefixtures("small")
def test_large_documents_may_follow_one_another(file):
    values = [{"spans": [{"n": n}] * n, "z": "é" * n} for n in range(12)]

    found = list(documents(file("\n".join(json.dumps(v, indent=1, ensure_ascii=False) for v in values))))

    assert [whole(item.value) for item in found] == values


def test_a_value_that_is_too_large_to_hold_is_named(file_of, monkeypatch):
    monkeypatch.setattr(window, "MAX_ITEM_BYTES", 1 << 20)
    monkeypatch.setattr(window, "BIG_DOCUMENT", 1 << 20)
    monkeypatch.setattr(window, "BIG_ITEM", 1 << 20)
    monkeypatch.setattr(window, "STEP", 1 << 18)
    text = json.dumps([{"a": 1}, {"a": "x" * (3 << 20)}], indent=1)

    document, problem = documents(file_of(text))

    assert list(document.value) == [{"a": 1}]
    assert "holds one value above 1 MiB" in problem.message


GENERATE = """
import json, resource, sys
from pathlib import Path
from tele.telemetry.ingest.sources import Source
path = Path(sys.argv[1])
text = json.dumps({"ph": "X", "name": "aten::mm", "pid": 1, "tid": 2, "ts": 1.5, "dur": 2, "args": {"a": "x" * 900}})
with path.open("w") as out:
    out.write('{"schemaVersion": 1, "traceEvents": [\\n')
    for number in range(49_999):
        out.write(text + ",\\n")
    out.write(text + "\\n]}")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(isinstance(item, dict) and item["kind"] == "span" for item in Source().items(path))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(path.stat().st_size >> 20, rows, (after - before) >> 10)
"""


def test_one_document_of_fifty_megabytes_takes_no_such_memory(tmp_path):
    command = [sys.executable, "-c", GENERATE, str(tmp_path / "trace.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    size, rows, grown = map(int, done.stdout.split())
    assert (size, rows) == (47, 50_000)
    assert grown < 150  # MiB, what is held of it and of the nesting; the parsed document alone would take 300
