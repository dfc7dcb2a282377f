"""What differs between two chains, or between the chains of two runs, as text, JSON and HTML."""

from __future__ import annotations

import dataclasses
import sys
from html import escape
from pathlib import Path
from typing import Any

from tele.cli.output import count, safe, write_facts, write_line
from tele.errors import BadInput, NoStore
from tele.trace.difference import Difference
from tele.trace.runs import ItemDifference, RunsDifference, Told, diff_runs, is_side

__all__ = ["print_difference", "print_runs", "runs_told"]


def runs_told(
    before: str, after: str, store: Path | None, *, experiment: str | None, item: str | None, match: str
) -> RunsDifference | None:
    """Return what differs between two runs or conditions; None where the names are none of both."""
    from tele.cli.reading import reading

    try:
        with reading(store) as reader:
            sides = [is_side(reader, name) for name in (before, after)]
            if not all(sides):
                _refuse_one((before, after), sides)
                return None
            return diff_runs(reader, before, after, experiment=experiment, item=item, match=match)  # type: ignore[arg-type]  # it checks
    except NoStore:
        return None


def _refuse_one(names: tuple[str, str], sides: list[bool]) -> None:
    """Raise BadInput where one name is a run's or a condition's, and of nothing else, and the other is not."""
    if any(sides):
        side, other = sorted(names, key=lambda name: not sides[names.index(name)])
        if not Path(side).is_file():
            raise BadInput(f"{side!r} is a run or a condition, and {other!r} is none here: name two of one sort.")


def print_difference(found: Difference, format_: str) -> None:
    """Print what differs between two chains."""
    if format_ == "json":
        write_facts(_facts(found))
    elif format_ == "html":
        sys.stdout.write(found.to_html())
    else:
        _print_text(found.to_text())


def print_runs(found: RunsDifference, format_: str, *, whole: bool, limit: int | None) -> None:
    """Print what differs between two runs: a line for each pair that does, or, `whole`, all of each."""
    changed = found.changed[:limit]
    if format_ == "json":
        write_facts(_runs_facts(found, changed))
    elif format_ == "html":
        head = f"<h2>{escape(found.before)} → {escape(found.after)}</h2>\n"
        sys.stdout.write(head + "".join(f"<h3>{escape(_place(c))}</h3>\n{c.difference.to_html()}" for c in changed))
    else:
        _print_text("\n".join(_runs_lines(found, changed, whole=whole)))


def _print_text(text: str) -> None:
    write_line("\n".join(map(safe, text.splitlines())))


def _facts(found: Difference) -> dict[str, Any]:
    return dataclasses.asdict(found) | {"summary": found.summary, "confidence_deltas": found.confidence_deltas}


def _runs_lines(found: RunsDifference, changed: tuple[ItemDifference, ...], *, whole: bool) -> list[str]:
    pairs = count(found.items, "chain")
    lines = [f"{found.before} → {found.after}: {pairs} of the same items, {len(found.changed):,} changed"]
    alone = ((found.before, found.only_before), (found.after, found.only_after))
    lines += [f"only in {name}: {len(told)}" for name, told in alone if told]
    if found.mean_similarity is not None:
        surer = _signed(", mean confidence ", found.mean_confidence_delta)
        lines.append(f"mean similarity {found.mean_similarity:.3f}{surer}")
    for each in changed:
        one = each.difference
        if whole:
            lines += ["", _place(each), one.to_text()]
        else:
            sure = _signed("; confidence ", one.mean_confidence_delta)
            lines.append(f"  {_place(each)}: {one.summary}; similarity {one.similarity:.3f}{sure}")
    if len(changed) < len(found.changed):
        lines.append(f"  and {len(found.changed) - len(changed)} more")
    return lines


def _runs_facts(found: RunsDifference, changed: tuple[ItemDifference, ...]) -> dict[str, Any]:
    return {
        "before": found.before,
        "after": found.after,
        "pairs": len(found.items),
        "changed": len(found.changed),
        "mean_similarity": found.mean_similarity,
        "mean_confidence_delta": found.mean_confidence_delta,
        "items": [
            {
                "item_id": each.item_id,
                "chains": [_told(each.before), _told(each.after)],
                "mean_confidence_delta": each.difference.mean_confidence_delta,
                **_facts(each.difference),
            }
            for each in changed
        ],
        "only_before": [_told(each) for each in found.only_before],
        "only_after": [_told(each) for each in found.only_after],
    }


def _told(each: Told) -> dict[str, Any]:
    return {
        "chain_id": each.chain.id,
        "item_id": each.item_id,
        "replicate": each.replicate,
        "span_id": each.span_id,
    }


def _place(each: ItemDifference) -> str:
    before, after = each.before.replicate, each.after.replicate
    if before is None and after is None:
        return each.item_id
    return f"{each.item_id}, replicate {before}" + ("" if before == after else f" and {after}")


def _signed(what: str, delta: float | None) -> str:
    return "" if delta is None else f"{what}{delta:+.3f}"
