"""Values that break encoders, the whole way: recorded wherever a value can stand, sealed, checked and exported."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import fractions
import json
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

import tele
from tele.store.check import check
from tele.store.layout import open_layout
from tele.store.seal import seal
from tele.telemetry import limits
from tests.telemetry.zoo import zoo

ENDLESS = {"range", "endless"}
"""A user's endless list in a place where each item counts is the user's own endless loop."""
HUGE = {"long_repr", "many_keys"}
"""Their text is megabytes long, and a column that records inherit is repeated in each of them."""


class Sleeps:
    def __repr__(self):
        time.sleep(0.01)
        return "slept"


class Mutates(dict):
    """Grows while it is looked at."""

    def items(self):
        self[len(self)] = 1
        return super().items()


class Shrinks(list):
    """Loses an item with each look at its length."""

    def __len__(self):
        with contextlib.suppress(IndexError):
            self.pop()
        return super().__len__()


class MuteError(Exception):
    def __str__(self):
        raise ValueError("str")

    __repr__ = __str__


def animals():
    """The zoo of the encoder's tests, and what is only evil in a file, in SQL or in large."""
    return zoo() | {
        "separators": "a\u2028b\u2029c\x85d\x1ee",
        "bidirectional": "\u202eevil\u2066",
        "unprintable": "".join(map(chr, range(32))) + "\x7f\ufeff\uffff",
        "quotes": "'\"\\;--/*",
        "looks_like_json": '{"a": NaN, "a": 1e400}',
        "looks_like_a_blob": "blob:" + "0" * 64,
        "looks_like_a_line": '","seq":7,"crc":"00000000"}\n{"kind":"span"',
        "empty": "",
        "beyond_53": 2**53 + 1,
        "largest_float": 1.7976931348623157e308,
        "denormal": 5e-324,
        "fraction": fractions.Fraction(1, 3),
        "decimal_inf": decimal.Decimal("-Infinity"),
        "last_moment": dt.datetime.max,  # noqa: DTZ901  # a user may have it
        "nested_nan": {"a": [float("nan"), {"b": float("inf")}]},
        "numpy_nan": np.float32("nan"),
        "numpy_int": np.int64(7),
        "numpy_array": np.array([[1.5, float("nan")]]),
        "numpy_text": np.str_("n"),
        "many_items": list(range(10_001)),
        "many_keys": dict.fromkeys(range(10_001)),
        "long_text": "ü" * 40_000,
        "sleeps": Sleeps(),
        "mutates": Mutates(a=1),
        "shrinks": Shrinks([1, 2, 3]),
        "mute_error": MuteError(),
    }


def as_attribute(value, mark):
    with tele.span("s", planted=value, cluster=mark) as span:
        span.set_attribute("late", value)


def as_key(value, mark):
    with contextlib.suppress(Exception):  # what cannot be a key of a dictionary is the user's own error
        mapping = {value: 1}
        tele.event("e", {"in": mapping}, cluster=mark)
        tele.event("e", mapping, cluster=mark)
        return
    tele.event("e", cluster=mark)


def as_name(value, mark):
    tele.event(value, cluster=mark)
    tele.metric(value, 1.0, cluster=mark)
    with tele.span(value, cluster=mark):
        pass


def as_item_and_model(value, mark):
    with tele.span("s", item_id=value, model=value, conversation_id=value, cluster=mark):
        tele.event("inside", item_id=value, cluster=mark)


def as_tag(value, mark):
    tele.event("e", tags=[value, "x"], cluster=mark)


def as_tags(value, mark):
    tele.event("e", tags=value, cluster=mark)


def as_body(value, mark):
    with tele.span("s", input=value, cluster=mark) as span:
        span.set(output=[value])


def as_error(value, mark):
    error = value if issubclass(type(value), Exception) else ValueError(value)
    with pytest.raises(type(error)) as caught, tele.span("s", cluster=mark):
        raise error
    assert caught.value is error


def as_metric(value, mark):
    tele.metric("m", value, unit=value, step=value, cluster=mark)


def as_number(value, mark):
    with tele.span("s", seed=value, cost_usd=value, input_tokens=value, success=value, cluster=mark):
        pass


def as_experiment(value, mark):
    name = value if type(value) is str else mark
    with tele.experiment(name, condition="c", planted=value):
        tele.event("inside", cluster=mark)


def as_condition(value, mark):
    with tele.experiment("zoo", condition=value, replicate=value):
        tele.event("inside", cluster=mark)


def as_correction(value, mark):
    with tele.span("s", cluster=mark) as span:
        pass
    with tele.span("around", cluster=mark):
        tele.score(span, "quality", value)


PLACES = [
    as_attribute,
    as_key,
    as_name,
    as_item_and_model,
    as_tag,
    as_tags,
    as_body,
    as_error,
    as_metric,
    as_number,
    as_experiment,
    as_condition,
    as_correction,
]
INHERITED = [as_item_and_model, as_condition]


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def strict(text):
    """The value of JSON text as RFC 8259 has it: no NaN, no lone surrogate."""
    value = json.loads(text, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def export(path, form, to):
    command = [sys.executable, "-m", "tele", "sql", "SELECT * FROM events_raw", "--format", form]
    done = subprocess.run([*command, "--store", str(path), "-o", str(to)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return to


def everything(store):
    """Every row as text, by event id."""
    with store.open() as reader:
        assert reader.damage == ()
        return {row[0]: repr(row) for row in reader.rows("SELECT * FROM events_raw")}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy warns where its NaN is made an integer
def test_every_value_in_every_place_is_recorded_sealed_and_exported(tele_store, tmp_path):
    marks = set()
    for place in PLACES:
        for name, value in animals().items():
            if (name in ENDLESS and place is as_tags) or (name in HUGE and place in INHERITED):
                continue
            mark = f"{place.__name__} {name}"
            place(value, mark)
            marks.add(mark)
    assert sum(tele.dropped().values()) == 0
    for journal in (tele_store.path / "journal").glob("*.jsonl"):
        for line in journal.read_bytes().split(b"\n")[:-1]:
            assert isinstance(strict(line.decode("utf-8")), dict)
    written = everything(tele_store)
    assert {
        mark for (mark,) in tele_store.rows("SELECT DISTINCT cluster FROM events WHERE cluster IS NOT NULL")
    } == marks

    seal(open_layout(tele_store.path))

    assert everything(tele_store) == written
    assert check(tele_store.path, deep=True).findings == ()
    exported = [strict(line) for line in rows_of_json(export(tele_store.path, "json", tmp_path / "all.json"))]
    assert {row["event_id"] for row in exported} == written.keys()
    for row in exported:
        for column in ("attributes", "resource", "links", "input", "output"):
            if row[column] is not None and not row[column].startswith("blob:"):
                strict(row[column])
    table = pq.read_table(export(tele_store.path, "parquet", tmp_path / "all.parquet"))
    table.validate(full=True)
    assert set(table["event_id"].to_pylist()) == written.keys()


def test_whatever_an_experiment_is_named_after_nothing_is_raised(tele_store):
    raised = {}
    for name, value in animals().items():
        try:
            with tele.experiment(value):
                tele.event("inside", cluster=name)
        except Exception as error:  # noqa: BLE001  # each of them is what this test is about
            raised[name] = type(error).__name__
    assert raised == {}
    assert tele_store.rows("SELECT count(DISTINCT cluster) FROM events") == [(len(animals()),)]


def rows_of_json(path):
    """Text of each row of an exported array, or of each line."""
    text = path.read_text(encoding="utf-8")
    return map(json.dumps, strict(text)) if text.lstrip().startswith("[") else text.splitlines()


def test_a_body_beyond_every_limit_is_cut_counted_and_read_back(tele_store, monkeypatch):
    monkeypatch.setattr(limits, "CUT_BYTES", 1024 * 1024)
    body = "ü" * (5 * 1024 * 1024)
    with tele.span("s", input=body, text=body):
        pass
    tele_store.seal()
    with tele_store.open() as store:
        assert store.damage == ()
        [(reference, attributes)] = store.rows("SELECT input, attributes FROM events")
        for kept in (strict(store.blob(reference)), strict(attributes)["text"]):
            assert kept["$cut"]["length"] == 2 * len(body)
            assert body.startswith(kept.get("text") or store.blob(kept["$blob"]).decode("utf-8"))
    assert tele.dropped() == {}
