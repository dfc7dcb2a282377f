"""Anything a user has becomes strict JSON, and never an exception."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import subprocess
import sys
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tele
from tele.telemetry.plain import MAX_DEPTH, MAX_ITEMS, MAX_REPR, plain

from .zoo import NAMES, LongRepr, Point, Raises, deep, generator, zoo


def refuse(text):
    raise AssertionError(f"{text} is not JSON")


def strict(value):
    """The value through RFC 8259 and UTF-8, as any other program would read it."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    return json.loads(text, parse_constant=refuse)


class TestScalars:
    @pytest.mark.parametrize("value", [None, True, False, 0, -1, 2**63 - 1, -(2**63), 1.5, -0.0, "", "héllo", "a\0b"])
    def test_what_json_holds_stays_as_it_is(self, value):
        found = plain(value)
        assert (found, type(found)) == (value, type(value))
        assert not isinstance(value, float) or math.copysign(1, found) == math.copysign(1, value)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (float("nan"), {"$float": "nan"}),
            (float("inf"), {"$float": "inf"}),
            (float("-inf"), {"$float": "-inf"}),
            (2**63, {"$int": "9223372036854775808"}),
            (-(2**63) - 1, {"$int": "-9223372036854775809"}),
            (decimal.Decimal("1.10"), {"$decimal": "1.10"}),
            (b"\xff\x00", {"$bytes": base64.b64encode(b"\xff\x00").decode()}),
            (bytearray(b"a"), {"$bytes": "YQ=="}),
            (dt.timedelta(milliseconds=1500), {"$seconds": 1.5}),
            ("a\ud800b", {"$text": "a\\ud800b"}),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (pathlib.PurePosixPath("/a/b"), "/a/b"),
            (dt.datetime(2025, 1, 2, 3, 4, 5), "2025-01-02T03:04:05"),  # noqa: DTZ001  # a user may have one
            (dt.datetime(2025, 1, 2, tzinfo=dt.UTC), "2025-01-02T00:00:00+00:00"),
            (dt.date(2025, 1, 2), "2025-01-02"),
            (ValueError("no"), {"$repr": "ValueError('no')"}),
        ],
    )
    def test_what_json_lacks_is_marked_or_written_the_standard_way(self, value, expected):
        assert plain(value) == expected

    def test_an_int_beyond_the_digits_that_python_prints_can_be_read_back(self):
        number = 7**6000
        assert int(plain(number)["$int"], 0) == number

    def test_subclasses_of_plain_types_lose_only_their_class(self):
        class Name(str):
            __slots__ = ()

            def __str__(self):
                raise ValueError

        class Count(int):
            def __int__(self):
                raise ValueError

        found = plain([Name("n"), Count(3)])
        assert [type(item) for item in found] == [str, int]
        assert found == ["n", 3]

    def test_an_enum_is_its_value(self):
        class Colour(enum.Enum):
            RED = "r"
            MANY = (1, 2)

        class Level(enum.IntEnum):
            LOW = 3

        assert plain([Colour.RED, Colour.MANY, Level.LOW]) == ["r", [1, 2], 3]


class TestContainers:
    def test_mappings_sequences_and_sets_keep_what_they_hold(self):
        assert plain({"a": (1, [2]), "b": {3}}) == {"a": [1, [2]], "b": {"$set": [3]}}
        assert plain(range(3)) == [0, 1, 2]

    def test_keys_that_are_no_strings_are_named_after_what_they_are(self):
        assert plain({0: "zero", 7: "seven"}) == {"0": "zero", "7": "seven"}
        assert plain({1: "one"}) == {"1": "one"}
        assert plain({None: 0}) == {"null": 0}
        assert plain({True: 0}) == {"true": 0}
        assert plain({2.5: 0, (1, 2): 1}) == {"2.5": 0, "(1, 2)": 1}

    def test_keys_that_collide_both_stay(self):
        found = plain({1: "int", "1": "str"})
        assert sorted(found.values()) == ["int", "str"]
        crowded = {"1": "a", 1: "b", "1 (builtins.int)": "c"}
        assert sorted(plain(crowded).values()) == ["a", "b", "c"]

    def test_long_keys_that_begin_alike_both_stay(self):
        assert sorted(plain({"k" * 5000 + "a": 1, "k" * 5000 + "b": 2}).values()) == [1, 2]

    def test_a_dataclass_is_its_fields(self):
        @dataclasses.dataclass(frozen=True, slots=True)
        class Row:
            a: int
            b: tuple

        assert plain(Row(1, (2,))) == {"a": 1, "b": [2]}

    def test_a_pydantic_model_is_its_fields(self):
        pydantic = pytest.importorskip("pydantic")
        row = pydantic.create_model("Row", a=(int, ...), b=(list[float], ...))
        assert plain(row(a=1, b=[2.5])) == {"a": 1, "b": [2.5]}

    def test_a_generator_is_not_consumed(self):
        steps = generator()
        assert "$repr" in plain(steps)
        assert list(steps) == [1]

    def test_an_iterator_is_not_consumed(self):
        steps = iter([1, 2])
        plain({"a": [steps], "b": map(str, steps)})
        assert list(steps) == [1, 2]

    def test_cycles_are_cut_where_they_close(self):
        listed: list = [1]
        listed.append(listed)
        mapped: dict = {}
        mapped["self"] = mapped
        point = Point(0)
        point.y = [point]
        assert plain(listed) == [1, {"$cycle": 1}]
        assert plain(mapped) == {"self": {"$cycle": 1}}
        assert plain(point) == {"x": 0, "y": [{"$cycle": 2}]}

    def test_the_same_object_twice_is_no_cycle(self):
        shared = [1]
        assert plain([shared, shared]) == [[1], [1]]

    def test_depth_is_cut_and_said(self):
        found, depth = plain(deep()), 0
        while isinstance(found, list):
            found, depth = found[0], depth + 1
        assert (depth, found) == (MAX_DEPTH, {"$deep": "builtins.list"})

    def test_width_is_cut_and_counted(self):
        assert plain([0] * 1_000_000) == [0] * MAX_ITEMS + [{"$more": 1_000_000 - MAX_ITEMS}]
        found = plain({str(n): n for n in range(1_000_000)})
        assert found.pop("$more") == 1_000_000 - MAX_ITEMS
        assert found == {str(n): n for n in range(MAX_ITEMS)}

    def test_lists_that_share_their_items_end(self):
        script = """
            import resource
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
            import tele
            from tele.testing import temporary_store
            value = []
            for _ in range(60):
                value = [value, value]
            with temporary_store() as store:
                with tele.span("s", doubled=value):
                    pass
                print(store.rows("SELECT count(*) FROM events WHERE name = 's'"), tele.dropped())
        """
        lines = "\n".join(line[12:] for line in script.splitlines())
        try:
            done = subprocess.run(
                [sys.executable, "-c", lines], capture_output=True, text=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.fail("2^60 visits: the number of values in one record has no bound")
        assert done.stdout == "[(1,)] {}\n", done.stderr


class TestNumbersOfLibraries:
    def test_numpy_scalars_and_arrays(self):
        np = pytest.importorskip("numpy")
        values = [np.int64(3), np.float32(0.5), np.bool_(True), np.str_("s"), np.float64("nan")]
        assert plain(values) == [3, 0.5, True, "s", {"$float": "nan"}]
        assert plain(np.arange(4).reshape(2, 2)) == {
            "$array": {"shape": [2, 2], "dtype": "int64", "values": [[0, 1], [2, 3]]}
        }
        assert plain(np.zeros((200, 100))) == {"$array": {"shape": [200, 100], "dtype": "float64"}, "$more": 20_000}
        strict(plain([np.array(5), np.datetime64("2025-01-01"), np.array([object()]), np.array([1j]), np.float64]))

    def test_torch_scalars_and_tensors(self):
        torch = pytest.importorskip("torch")
        assert plain(torch.tensor(0.5)) == 0.5
        assert plain(torch.tensor([1, 2]))["$array"]["values"] == [1, 2]
        strict(plain(torch.ones(2, requires_grad=True)))

    def test_frames(self):
        pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
        values = [pd.DataFrame({"a": [17]}), pd.Series([1]), pd.NA, pd.NaT, pl.DataFrame({"a": [18]}), pl.col("a")]
        found = strict(plain(values))
        assert "17" in found[0]["$repr"]
        assert found[1] == {"$array": {"shape": [1], "dtype": "int64", "values": [1]}}
        assert "18" in found[4]["$repr"]


class TestEvil:
    @pytest.mark.parametrize("name", NAMES)
    def test_it_becomes_strict_json_and_the_same_each_time(self, name):
        value = zoo()[name]
        first = plain(value)
        assert strict(first) == first
        assert plain(value) == first

    def test_what_cannot_be_read_says_what_it_was(self):
        assert plain(Raises()) == {"$repr": f"<{Raises.__module__}.Raises that cannot be read>"}

    def test_one_bad_value_spoils_only_itself(self):
        found = plain({"good": 1, "bad": Raises(), "also": [2, Raises()]})
        assert (found["good"], found["also"][0]) == (1, 2)

    def test_a_huge_repr_is_cut(self):
        assert plain(LongRepr()) == {"$repr": "x" * MAX_REPR}

    def test_a_property_that_raises_stays_inside(self):
        @dataclasses.dataclass
        class Row:
            a: int

            def __getattribute__(self, name):
                if name == "a":
                    raise RuntimeError("gone")
                return object.__getattribute__(self, name)

        strict(plain(Row(1)))

    def test_panics_of_extension_modules_which_are_no_exceptions_stay_inside(self):
        class Panic(BaseException):
            pass

        class Broken:
            def __repr__(self):
                raise Panic

        assert "$repr" in plain(Broken())

    def test_control_c_is_the_users(self):
        class Slow:
            def __repr__(self):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            plain(Slow())


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(st.characters(exclude_categories=()))
        | st.binary()
        | st.decimals()
        | st.datetimes()
        | st.uuids()
        | st.complex_numbers(),
        lambda inner: (
            st.lists(inner)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text() | st.integers() | st.none() | st.booleans() | st.floats(), inner)
            | st.builds(Point, inner, inner)
            | st.frozensets(st.integers() | st.text())
        ),
        max_leaves=30,
    )
)
def test_any_nesting_becomes_strict_json_and_the_same_each_time(value):
    found = plain(value)
    assert strict(found) == found
    assert plain(value) == found
    assert plain(found) == found


class TestEverywhere:
    """The zoo in every place where a user may put a value: no exception leaves tele, and the row is in the store.

    One store holds the whole zoo: opening one for each value would take minutes.
    """

    def check(self, tele_store, query, names=NAMES):
        assert sorted(name for (name,) in tele_store.rows(query)) == sorted(names)
        assert tele.dropped() == {}

    def test_as_a_span_attribute(self, tele_store):
        values = zoo()
        for name in NAMES:
            with tele.span(name, planted=values[name]) as span:
                span.set_attribute("also", values[name])
        self.check(tele_store, "SELECT name FROM spans")

    def test_as_input_and_output(self, tele_store):
        values = zoo()
        for name in NAMES:
            with tele.span(name, input=values[name], output=[values[name]]):
                pass
        self.check(tele_store, "SELECT name FROM spans")

    def test_as_a_metric_value(self, tele_store):
        values = zoo()
        for name in NAMES:
            tele.metric(name, values[name])
        self.check(tele_store, "SELECT name FROM metrics")

    def test_as_an_experiment_attribute(self, tele_store):
        values = zoo()
        for name in NAMES:
            with tele.experiment(name, planted=values[name]):
                pass
        self.check(tele_store, "SELECT experiment FROM events WHERE name = 'tele.experiment.started'")

    def test_as_a_score(self, tele_store):
        values = zoo()
        for name in NAMES:
            with tele.span(name) as span:
                pass
            tele.score(span, "quality", values[name], reason=name)
        self.check(tele_store, "SELECT attributes->>'$.reason' FROM events WHERE name = 'tele.amended'")
        self.check(tele_store, "SELECT name FROM spans")

    def test_as_a_name(self, tele_store):
        values = zoo()
        for name in NAMES:
            tele.event(values[name], mark=name)
            with tele.span(values[name], mark=name):
                pass
        for kind in ("event", "span"):
            self.check(tele_store, f"SELECT attributes->>'$.mark' FROM events WHERE kind = '{kind}'")

    @pytest.mark.parametrize("column", ["seed", "condition", "cost_usd", "model", "tags", "success", "input_tokens"])
    def test_as_a_column(self, tele_store, column):
        values = zoo()
        # an endless list of tags is a plain endless loop of the user's
        names = [name for name in NAMES if column != "tags" or name not in ("range", "endless")]
        for name in names:
            with tele.span(name, **{column: values[name]}):
                tele.event(f"inside {name}")
            tele.event(f"outside {name}", **{column: values[name]})
        rows = [f"{where}{name}" for name in names for where in ("", "inside ", "outside ")]
        self.check(tele_store, "SELECT name FROM events", rows)

    def test_as_an_argument_of_an_experiment(self, tele_store):
        values = zoo()
        for name in NAMES:
            with tele.experiment(name, condition=values[name], seed=values[name], hypothesis=values[name]):
                pass
        self.check(tele_store, "SELECT experiment FROM events WHERE name = 'tele.experiment.stopped'")
