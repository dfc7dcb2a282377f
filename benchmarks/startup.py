"""What `import tele` and `tele --help` cost above an interpreter that does nothing."""

from __future__ import annotations

from functools import partial

from benchmarks.measure import Ratio, Row, Settings, child, race

__all__ = ["rows"]

_SIDES = {"bare": ["-c", "pass"], "import": ["-c", "import tele"], "help": ["-m", "tele", "--help"]}
_ASKED = (("import", "import tele", 100.0), ("help", "tele --help", 150.0))


def rows(settings: Settings) -> list[Row]:
    """Measure fresh processes; what is held is the difference in CPU, milliseconds; the clock's stands in the note."""
    clock: dict[str, list[float]] = {name: [] for name in _SIDES}

    def start(name: str) -> float:
        took = child(_SIDES[name])
        clock[name].append(took.wall)
        return took.cpu

    took = race({name: partial(start, name) for name in _SIDES}, max(settings.rounds, 7))
    found = []
    for name, what, hold in _ASKED:
        more = Ratio(*(value * 1e3 for value in took.difference(name, "bare")))
        texts = [f"{took.spread(side).median * 1e3:.0f} ms" for side in (name, "bare")]
        wall = sorted(a - b for a, b in zip(clock[name], clock["bare"], strict=True))[len(clock[name]) // 2]
        found.append(
            Row(
                name,
                what,
                texts[0],
                f"bare interpreter {texts[1]}",
                more,
                hold,
                "ms more",
                f"by the clock {wall * 1e3:.0f} ms more",
            )
        )
    return found
