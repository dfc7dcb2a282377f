"""A hundred thousand spans: the page opens, scrolls and finds."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture(scope="module")
def large(memory):
    tree = [None, 0, 0, 1, 1, 2, 2, 3, 3, 4]
    records = []
    for number in range(10_000):
        trace = f"{number:032x}"
        for part, parent in enumerate(tree):
            above = None if parent is None else f"{number:08x}{parent:08x}"
            start, ms = number * 3.0 + part, 40.0 - part
            records.append(
                memory.span(f"step {part}", f"{number:08x}{part:08x}", trace=trace, parent_id=above, start=start, ms=ms)
            )
    return memory.Memory(records)


def test_a_hundred_thousand_spans_in_many_traces_open_and_scroll(opened, large):
    shown = opened(large)

    shown.page.keyboard.press("End")
    shown.wait("document.querySelector('.row.active')?.dataset.index === '9999'")

    box = shown.page.locator(".list").bounding_box()
    last = shown.row_at(box["x"] + 200, box["y"] + box["height"] - 5)
    assert last == "9999"
    assert shown.page.locator(".spacer .row").count() < 80
    shown.page.keyboard.press("Enter")
    shown.wait("document.querySelector('.detail h3')")
    assert shown.rows() == [f"step {part}" for part in (0, 1, 3, 7, 8, 4, 9, 2, 5, 6)]
    assert (shown.said, shown.violations) == ([], [])


def test_a_hundred_thousand_spans_in_one_trace_open_fold_and_find(opened, memory):
    flat = [memory.span(f"step {n}", f"{n:016x}", parent_id="root", start=n / 10, ms=1) for n in range(100_000)]
    shown = opened(memory.Memory([memory.span("root", "root", ms=20_000), *flat]), "a" * 32)

    shown.page.keyboard.press("/")
    shown.page.keyboard.type("step 77777")
    shown.wait("document.querySelectorAll('.spacer .row').length === 2")

    assert shown.rows() == ["root", "step 77777"]
    assert (shown.said, shown.violations) == ([], [])
