"""Values that break encoders: what a test plants wherever a user may put a value."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import types
import uuid


class Raises:
    """Every look at it fails."""

    def __repr__(self):
        raise ValueError("repr")

    __str__ = __len__ = __iter__ = __bool__ = __float__ = __int__ = __index__ = __repr__
    __hash__ = None

    def __eq__(self, other):
        raise ValueError("eq")

    def __getattr__(self, name):
        raise ValueError("getattr")


class NeverEqual:
    """Converts to a number and cannot be compared with it."""

    def __float__(self):
        return 3.0

    def __int__(self):
        return 3

    def __eq__(self, other):
        raise ValueError("eq")

    __hash__ = None


class LiesAboutClass:
    @property
    def __class__(self):
        return str


class RaisesAboutClass:
    @property
    def __class__(self):
        raise ValueError("class")


class LongRepr:
    def __repr__(self):
        return "x" * 10_000_000


class EndlessLength(list):
    def __len__(self):
        return 10**18


class RaisingDict(dict):
    def items(self):
        raise ValueError("items")


class RaisingDate(dt.datetime):
    def isoformat(self, *_, **__):
        return object()


class UnutterableType:
    def __repr__(self):
        raise ValueError("repr")


UnutterableType.__module__ = "\ud800"


class RaisingKey(str):
    __slots__ = ()

    def __eq__(self, other):
        raise ValueError("eq")

    def __hash__(self):
        return hash("a")


@dataclasses.dataclass
class Point:
    x: object
    y: object = None


class Colour(enum.Enum):
    RED = ("r", 1)


def generator():
    yield 1


def cyclic():
    listed: list = [1]
    listed.append(listed)
    mapped: dict = {"a": 1}
    mapped["self"] = mapped
    point = Point(1)
    point.y = point
    return {"list": listed, "dict": mapped, "dataclass": point}


def deep(depth=100_000):
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def zoo():
    """Fresh values by name; building one never fails, reading one may."""
    return {
        "surrogate": "a\ud800b",
        "nul": "a\0b",
        "nan": float("nan"),
        "inf": float("-inf"),
        "minus_zero": -0.0,
        "int64": 2**63 - 1,
        "uint64": 2**64 - 1,
        "beyond_64": -(2**64),
        "beyond_4300_digits": 10**5000,
        "complex": 1 + 2j,
        "decimal": decimal.Decimal("NaN"),
        "bytes": b"\xff\x00",
        "memory": memoryview(b"ab"),
        "path": pathlib.Path("/a/\udcff"),
        "uuid": uuid.UUID(int=1),
        "enum": Colour.RED,
        "naive": dt.datetime(2025, 1, 2, 3, 4, 5),  # noqa: DTZ001  # a user may have one without a zone
        "aware": dt.datetime(2025, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
        "delta": dt.timedelta(seconds=1.5),
        "bad_date": RaisingDate(2025, 1, 1),
        "dataclass": Point({1}, Raises()),
        "exception": ValueError(Raises()),
        "set": {1, "a", (2, 3)},
        "frozen": frozenset({Colour.RED}),
        "range": range(10**15),
        "tuple": (1, ({"a": (2,)},)),
        "function": zoo,
        "module": types,
        "type": Raises,
        "generator": generator(),
        "cyclic": cyclic(),
        "deep": deep(),
        "keys": {1: "int", "1": "str", None: "none", False: "bool", (1, 2): "tuple", 2.5: "float"},
        "surrogate_key": {"\ud800": 1},
        "raising_key": {"a": 1, "b": {RaisingKey("a"): 2}},
        "long_key": {"k" * 100_000: 1},
        "raises": Raises(),
        "never_equal": NeverEqual(),
        "lies": LiesAboutClass(),
        "raises_class": RaisesAboutClass(),
        "long_repr": LongRepr(),
        "endless": EndlessLength([1, 2]),
        "raising_dict": RaisingDict(a=1),
        "unutterable": UnutterableType(),
        "object": object(),
    }


NAMES = sorted(zoo())
