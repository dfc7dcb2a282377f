"""A price table of one's own: TOML, over all others.

version = "contract 7"            # optional; else the file's hash names it in price_ref

[[price]]
model = "gpt-4o"                  # also found under openai/gpt-4o and gpt-4o-2024-08-06
provider = "azure"                # optional; without it, any
from = 2026-07-01                 # optional; the latest row that has begun counts
tier = "batch"                    # optional; without it, the standard tier
input = 2.5                       # US dollars per million tokens
output = 10
cache_read = 1.25                 # what is not stated costs what its whole does
cache_write = 2.5
cache_write_1h = 4
reasoning = 10
request = 0.001                   # US dollars for each call

[[price.above]]
tokens = 200_000                  # prompts with more than this pay these rates, for all their tokens
input = 5
output = 15
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from tele.errors import BadInput
from tele.telemetry.prices.names import Asked, provider_named
from tele.telemetry.prices.rates import ALL, PARTS, Price, Rates, steps_of

__all__ = ["Own", "read_own"]

_MOST_TOLD = 10
_LONGEST = 4_000_000
_TEXTS = ("model", "provider", "tier")
_RATES = (*PARTS, "request")
_KEYS = frozenset({*_TEXTS, *_RATES, "from", "above"})
_STANDARD = frozenset({"standard", "default"})


class _Row(NamedTuple):
    label: str
    provider: str | None
    tier: str | None
    begins: datetime | None
    levels: dict[int, Rates]


class Own:
    """A table that was read and found sound."""

    def __init__(self, name: str, version: str, rows: dict[str, list[_Row]]) -> None:
        """Take the rows by model; `name` is the file's."""
        self.name = name
        self.version = version
        self._rows = rows

    def find(self, asked: Asked, when: datetime, tier: str | None) -> Price | None:
        """Price at `when`: of the rows that name the provider before those that name none, the latest begun."""
        provider = asked.provider.name if asked.provider else None
        fitting = [
            row
            for row in self._rows.get(asked.name, ())
            if row.tier == tier
            and (row.provider is None or row.provider == provider)
            and (row.begins is None or row.begins <= when)
        ]
        if not fitting:
            return None
        row = max(fitting, key=lambda row: (row.provider is not None, row.begins or datetime.min.replace(tzinfo=UTC)))
        holds = f"since {row.begins:%Y-%m-%d}" if row.begins else ""
        table = f"own {self.name}"
        steps = steps_of(
            row.levels, table=table, version=self.version, row=row.label, tier=tier, holds=holds, when=when
        )
        return Price(table, self.version, row.label, tier, holds, asked.rule, steps)

    def names(self) -> Iterator[str]:
        """Every model that has a row."""
        return iter(self._rows)


def read_own(path: Path) -> Own:
    """Read the table at `path`; raises BadInput with one sentence for each mistake, naming its line."""
    import tomllib

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"The price table {path} cannot be read: {error.strerror}.") from None
    if len(raw) > _LONGEST:
        raise BadInput(f"The price table {path} has {len(raw):,} bytes; at most {_LONGEST:,} are read.")
    try:
        text = raw.decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise BadInput(f"The price table {path} is not UTF-8 (byte {error.start:,}).") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"The price table {path} is not TOML: {_first_lower(str(error))}.") from None
    except RecursionError:
        raise BadInput(f"The price table {path} is nested too deep.") from None
    checked = _Checked(path, text)
    rows = checked.rows(document)
    if checked.mistakes:
        more = len(checked.mistakes) - _MOST_TOLD
        told = checked.mistakes[:_MOST_TOLD] + ([f"{path} has {more:,} more mistakes."] if more > 0 else [])
        raise BadInput("\n".join(told))
    version = document.get("version")
    return Own(path.name, str(version) if version else hashlib.sha256(raw).hexdigest()[:8], rows)


class _Checked:
    """One reading of a document, with what is wrong in it."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.mistakes: list[str] = []

    def rows(self, document: dict[str, Any]) -> dict[str, list[_Row]]:
        """Rows by model; mistakes are gathered on the way."""
        found: dict[str, list[_Row]] = {}
        for key in document.keys() - {"price", "version"}:
            self._wrong(0, key, f"{key!r} is no key of a price table; it has version and [[price]]")
        if not isinstance(document.get("version", ""), (str, int, float, date)):
            self._wrong(0, "version", "version is a text")
        prices = document.get("price", [])
        if not isinstance(prices, list) or not all(isinstance(price, dict) for price in prices):
            self._wrong(0, "price", "prices stand under [[price]], with two brackets")
            return found
        heads = self._heads("price")
        seen: dict[tuple[Any, ...], int] = {}
        for number, price in enumerate(prices):
            line = heads[number] if number < len(heads) else 0
            row = self._row(price, line)
            if row is None:
                continue
            model = price["model"].strip().lower()
            first = seen.setdefault((model, row.provider, row.tier, row.begins), line)
            if first != line:
                self._wrong(
                    line, "", f"this row says what the one in line {first} says: same model, provider, tier, from"
                )
            found.setdefault(model, []).append(row)
        return found

    def _row(self, price: dict[str, Any], line: int) -> _Row | None:
        before = len(self.mistakes)
        for key in price.keys() - _KEYS:
            self._wrong(line, key, f"{key!r} is no key of a price; it has {', '.join(sorted(_KEYS))}")
        for key in _TEXTS:
            value = price.get(key, "" if key == "model" else "x")
            if not isinstance(value, str) or not value.strip():
                self._wrong(line, key, f"{key} is a text that is not empty")
        begins = self._begins(price.get("from"), line)
        base = self._rates(price, line)
        if price.keys().isdisjoint(("input", "output", "request")):
            self._wrong(line, "", "a price states at least one of input, output and request")
        levels = {ALL: base} | self._above(price.get("above", []), base, line)
        if len(self.mistakes) > before:
            return None
        provider, tier = price.get("provider"), price.get("tier", "standard").strip().lower()
        named = provider_named(provider) if provider else None
        label = f"{provider}/{price['model']}" if provider else price["model"]
        return _Row(label, named and named.name, None if tier in _STANDARD else tier, begins, levels)

    def _begins(self, value: object, line: int) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            if value.time().replace(tzinfo=None) != time() or (value.utcoffset() or None) is not None:
                self._wrong(line, "from", "from is a date: prices begin at midnight UTC")
            return value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime.combine(value, time(), UTC)
        self._wrong(line, "from", f"from is a date such as 2026-07-01, without quotes, not {value!r}")
        return None

    def _rates(self, price: dict[str, Any], line: int) -> Rates:
        found = {key: self._dollars(price[key], key, line) for key in _RATES if key in price}
        return Rates(**{key: value for key, value in found.items() if value is not None})

    def _dollars(self, value: object, key: str, line: int) -> float | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._wrong(line, key, f"{key} is a number of US dollars, not {value!r}")
        elif not math.isfinite(value) or value < 0:
            self._wrong(line, key, f"{key} is 0 or more US dollars, not {value}")
        else:
            return float(value)
        return None

    def _above(self, steps: object, base: Rates, line: int) -> dict[int, Rates]:
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            self._wrong(line, "above", "steps stand under [[price.above]], with two brackets")
            return {}
        levels: dict[int, Rates] = {}
        heads = [head for head in self._heads("price.above") if head > line]
        for number, step in enumerate(steps):
            at = heads[number] if number < len(heads) else line
            for key in step.keys() - {*_RATES, "tokens"}:
                self._wrong(at, key, f"{key!r} is no key of a step; it has tokens and {', '.join(_RATES)}")
            tokens = step.get("tokens")
            if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1 or tokens in levels:
                self._wrong(
                    at, "tokens", f"tokens is a number of tokens that no other step of the row has, not {tokens!r}"
                )
                continue
            stated = {key: self._dollars(step[key], key, at) for key in _RATES if key in step}
            levels[tokens] = base._replace(**{key: value for key, value in stated.items() if value is not None})
        return levels

    def _heads(self, table: str) -> list[int]:
        """Lines, counted from 1, where a [[table]] begins."""
        head = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]\s*(#.*)?")
        return [number for number, line in enumerate(self.lines, 1) if head.fullmatch(line)]

    def _wrong(self, line: int, key: str, why: str) -> None:
        at = self._line_of(key, line) or line
        self.mistakes.append(f"{self.path}{f', line {at}' if at else ''}: {why}.")

    def _line_of(self, key: str, line: int) -> int:
        """Line that gives `key` a value, at or after `line` and within the same table; 0 where none is found."""
        if not key:
            return 0
        assigned = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[=\].]""")
        for number in range(max(line, 1), len(self.lines) + 1):
            text = self.lines[number - 1]
            if number > line > 0 and text.lstrip().startswith("["):
                return 0
            if assigned.match(text):
                return number
        return 0


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:]
