"""The page in a browser, opened from a file."""

from __future__ import annotations

import pytest

from tele.analysis.units import duration

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def reader(memory):
    return memory.Memory(memory.experiment(items=20))


def test_it_opens_from_a_file_without_a_complaint_and_shows_rows_where_they_are(opened, reader):
    shown = opened(reader)

    box = shown.page.locator(".list").bounding_box()
    seen = [shown.row_at(box["x"] + 200, box["y"] + 34 * row + 17) for row in range(5)]
    assert seen == ["0", "1", "2", "3", "4"]
    assert shown.page.title() == "prompt-ab · tele"
    assert (shown.said, shown.violations) == ([], [])


def test_the_list_says_what_the_records_say(opened, memory):
    shown = opened(
        memory.Memory(
            [
                memory.span("fast", "01", trace="a1" * 16, start=0, ms=12),
                memory.span("slow", "02", trace="a2" * 16, start=5, ms=1500, condition="c1", item_id="i1"),
                memory.span(
                    "call", "03", trace="a2" * 16, parent_id="02", start=6, ms=2, status="error", operation="chat"
                ),
                memory.span("open", "04", trace="a3" * 16, start=9, ms=None),
            ]
        )
    )

    marks = shown.page.eval_on_selector_all(".spacer .mark", "all => all.map(each => each.getAttribute('aria-label'))")
    assert shown.rows() == ["fast", "slow", "open"]
    assert shown.texts(".spacer .duration b") == ["12.0 ms", "1.50 s", "-"]
    assert shown.texts(".spacer .spans") == ["1", "2", "1"]
    assert marks == [None, "1 error further down", "still open"]


def test_durations_read_as_they_do_in_the_terminal(opened, memory):
    lengths = [0.001, 0.05, 0.099, 0.42, 12, 999.6, 59_960, 125_000, 3_780_000, 273_600_000]
    shown = opened(
        memory.Memory(
            [memory.span("step", f"{at:02x}", trace=f"{at:032x}", start=at, ms=ms) for at, ms in enumerate(lengths, 1)]
        )
    )

    assert sorted(shown.texts(".spacer .duration b")) == sorted(map(duration, lengths))
    assert "50.0 µs" in shown.texts(".spacer .duration b")


def test_headings_sort_the_list_both_ways(opened, memory):
    lengths = {"a": 5, "b": 50, "c": 1}
    reader = memory.Memory(
        [memory.span(name, name, trace=name * 32, ms=ms, start=at) for at, (name, ms) in enumerate(lengths.items())]
    )
    shown = opened(reader)

    orders = []
    for _ in range(2):
        shown.page.get_by_role("button", name="Sort by duration").click()
        orders.append(shown.rows())

    assert orders == [["b", "a", "c"], ["c", "a", "b"]]


def test_the_filter_finds_words_of_any_span_and_says_how_many(opened, reader):
    shown = opened(reader)
    count = reader.rows("SELECT count(DISTINCT trace_id) FROM spans WHERE error_type = 'RateLimitError'")[0][0]

    shown.page.keyboard.press("/")
    shown.page.keyboard.type("ratelimit")

    assert shown.texts(".shown") == [f"{count} of 120"]
    shown.page.keyboard.press("Escape")
    assert shown.texts(".shown") == [""]


def test_errors_only_keeps_the_traces_with_an_error_anywhere(opened, reader):
    shown = opened(reader)
    count = reader.rows("SELECT count(DISTINCT trace_id) FROM spans WHERE success = false")[0][0]

    shown.page.get_by_role("button", name="errors only").click()

    assert shown.texts(".shown") == [f"{count} of 120"]


def test_keys_open_a_trace_and_walk_its_spans_and_come_back(opened, reader):
    shown = opened(reader)

    for key in ("j", "j", "Enter"):
        shown.page.keyboard.press(key)
    shown.wait("document.querySelector('.detail h3')")
    shown.page.keyboard.press("ArrowDown")
    shown.page.keyboard.press("j")
    shown.wait("location.hash.includes('span=') && document.querySelector('.detail h3').textContent.startsWith('chat')")

    trace, span = reader.rows("SELECT trace_id, span_id FROM spans WHERE parent_id IS NULL ORDER BY start_ns")[2]
    chat = reader.rows(
        "SELECT span_id, name FROM spans WHERE trace_id = ? AND parent_id = ? ORDER BY start_ns LIMIT 1 OFFSET 1",
        [trace, span],
    )[0]
    shown.wait(f"location.hash === '#trace={trace}&span={chat[0]}'")
    assert shown.texts(".detail h3") == [chat[1]]
    shown.page.keyboard.press("Escape")
    shown.wait("document.querySelector('.traces')")
    assert (shown.said, shown.violations) == ([], [])


def test_who_comes_back_from_a_trace_stands_where_they_left(opened, reader):
    shown = opened(reader)

    shown.page.keyboard.press("/")
    shown.page.keyboard.type("few-shot")
    for key in ("Enter", *"jjjjjjjjjjjjjjjjjjjjjjjjj", "Enter"):
        shown.page.keyboard.press(key)
    shown.wait("document.querySelector('.detail h3')")
    shown.page.keyboard.press("Escape")
    shown.wait("document.querySelector('.traces .row.active')")

    assert shown.page.locator(".row.active").get_attribute("data-index") == "25"
    assert (shown.page.get_by_role("searchbox").input_value(), shown.texts(".shown")) == ("few-shot", ["60 of 120"])


def test_who_leaves_a_trace_at_once_is_not_led_back_by_the_span_that_they_looked_at(opened, reader):
    shown = opened(reader)
    shown.page.keyboard.press("Enter")
    shown.wait("location.hash.includes('span=') && document.querySelector('.detail h3')")

    press = "key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
    shown.page.evaluate(f"['j', 'Escape'].forEach({press})")  # before what `j` began is told to the address

    shown.wait("document.querySelector('.traces .row.active')")
    assert shown.page.evaluate("location.hash") == "#tab=traces"


def test_a_click_opens_a_trace_and_a_span_with_its_messages_and_raw_is_a_key_away(opened, reader):
    shown = opened(reader)

    shown.page.locator(".spacer .row").nth(1).click()
    shown.page.locator(".waterfall .spacer .row", has_text="chat gpt-4o").click()
    shown.wait("document.querySelectorAll('.detail .message').length === 3")

    assert shown.texts(".detail .message header bdi") == ["system", "user", "assistant"]
    assert shown.texts(".detail .message .prose")[1].startswith("A baker sells 6 trays")
    shown.page.keyboard.press("r")
    assert shown.page.locator(".detail .message").count() == 0
    assert '"role": "system"' in shown.texts(".detail .raw")[0]


def test_a_span_that_failed_says_so_among_its_columns(opened, memory):
    shown = opened(memory.Memory([memory.span("call", "01", status="error", success=False)]), "a" * 32)

    shown.wait("document.querySelector('.detail .pairs')")

    rows = "all => Object.fromEntries(all.map(row => [row.children[0].textContent, row.children[1].textContent]))"
    facts = shown.page.eval_on_selector_all(".detail .pairs div", rows)
    assert (facts["status"], facts["success"]) == ("error", "false")


def test_bars_stand_on_the_time_axis_where_the_spans_were(opened, memory):
    shown = opened(
        memory.Memory(
            [
                memory.span("root", "01", start=0, ms=100),
                memory.span("late half", "02", parent_id="01", start=50, ms=50),
                memory.span("open", "03", parent_id="01", start=75, ms=None),
            ]
        ),
        "a" * 32,
    )

    script = "all => all.map(bar => [bar.style.left, bar.style.width, bar.className.includes('open')])"
    assert shown.page.eval_on_selector_all(".bar", script) == [
        ["0%", "100%", False],
        ["50%", "50%", False],
        ["75%", "25%", True],
    ]


def test_left_and_right_fold_and_unfold_and_the_filter_keeps_what_is_above(opened, memory):
    shown = opened(
        memory.Memory(
            [
                memory.span("root", "01", start=0),
                memory.span("inner", "02", parent_id="01", start=1),
                memory.span("leaf", "03", parent_id="02", start=2),
                memory.span("other", "04", parent_id="01", start=3),
            ]
        ),
        "a" * 32,
    )
    seen = []

    shown.page.keyboard.press("ArrowDown")
    for key in ("ArrowLeft", "ArrowRight"):
        shown.page.keyboard.press(key)
        seen.append(shown.rows())
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("leaf")
    seen.append(shown.rows())

    assert seen == [["root", "inner", "other"], ["root", "inner", "leaf", "other"], ["root", "inner", "leaf"]]


def test_broken_trees_show_every_span_with_what_is_wrong(opened, memory):
    shown = opened(
        memory.Memory(
            [
                memory.span("orphan", "02", parent_id="99"),
                memory.span("loop a", "03", parent_id="04", start=1),
                memory.span("loop b", "04", parent_id="03", start=2),
                memory.span("backwards", "05", start=9, ms=-3),
                memory.span("timeless", "06", start_ns=None, end_ns=None),
            ]
        ),
        "a" * 32,
    )

    chips = shown.texts(".waterfall .spacer .chip")
    assert shown.rows() == ["orphan", "loop a", "loop b", "backwards", "timeless"]
    assert chips == ["parent missing", "in a loop", "ends before it starts", "no start"]


def test_the_address_names_the_span_and_opens_it_again(opened, reader):
    trace, span = reader.rows("SELECT trace_id, span_id FROM spans WHERE operation = 'execute_tool' ORDER BY start_ns")[
        5
    ]

    shown = opened(reader, hash_=f"#trace={trace}&span={span}")

    shown.wait("document.querySelector('.detail h3')")
    assert shown.texts(".detail h3") == ["execute_tool calculator"]


def test_an_address_that_names_nothing_here_says_so(opened, reader):
    shown = opened(reader, hash_="#trace=__proto__&span=constructor")

    assert shown.texts("main .notice") == ["What the address names is not on this page."]


def test_a_chain_is_a_timeline_with_its_weak_step_marked(opened, reader):
    shown = opened(reader, hash_="#tab=chains")

    shown.page.keyboard.press("Enter")
    shown.wait("document.querySelector('.timeline')")

    assert shown.texts(".step .type")[:2] == ["hypothesis formed", "constraint evaluated"]
    assert shown.texts(".step.weak h3") == ["Is replication needed?"]
    assert shown.texts(".step:first-child .considered .chip") == ["Redis (fast, durable)", "SQLite"]
    assert shown.page.locator("circle.point").count() == 6


def test_a_chain_that_was_told_twice_is_a_list_of_two_and_each_opens(opened, memory):
    def told(span, trace, replicate, decision):
        said = {"chain_id": "same", "name": "n", "position": 0, "type": "pattern_applied", "decision": decision}
        where = {"trace": trace * 32, "replicate": replicate}
        return [
            memory.span("chat m", span, **where),
            memory.event("causal_trace.event.created", span, at=replicate, attributes=said, **where),
        ]

    shown = opened(memory.Memory(told("01", "a", 1, "first") + told("02", "b", 2, "second")), "same")

    assert shown.texts(".spacer .row .chip") == ["replicate 1", "replicate 2"]
    shown.page.locator(".spacer .row").nth(1).click()
    shown.wait("document.querySelector('.timeline')")
    assert shown.texts(".step h3") == ["second"]
    assert shown.said == []


def test_steps_are_looked_at_by_type_and_by_how_sure_they_are(opened, memory):
    def told(chain, at, type_, sure):
        said = {"chain_id": chain, "name": chain, "position": at, "type": type_, "decision": f"{type_} {sure}"}
        return memory.event("causal_trace.event.created", "01", at=at, attributes=said | {"confidence": sure})

    steps = [("hypothesis_formed", 0.9), ("alternative_rejected", 0.5), ("hypothesis_formed", 0.2)]
    events = [told("long", at, type_, sure) for at, (type_, sure) in enumerate(steps)]
    shown = opened(memory.Memory([memory.span("chat m", "01"), *events, told("short", 0, "own\u202e_type", 0.4)]))
    page = shown.page
    page.get_by_role("tab", name="Reasoning").click()

    page.get_by_label("Least confidence").fill("0.5")
    assert (shown.rows(), shown.texts(".shown")) == (["long"], ["1 of 2"])
    page.locator(".spacer .row").first.click()
    shown.wait("document.querySelector('.timeline')")

    script = "all => all.filter(each => each.checkVisibility()).map(each => each.textContent)"
    assert page.eval_on_selector_all(".step h3", script) == ["hypothesis_formed 0.9", "alternative_rejected 0.5"]
    page.get_by_label("Type of step").select_option("hypothesis_formed")
    assert page.eval_on_selector_all(".step h3", script) == ["hypothesis_formed 0.9"]
    assert shown.texts(".shown") == ["1 of 3 steps"]
    assert shown.texts(".statistics")[0] == (
        "2 hypothesis formed1 alternative rejected confidence 0.53 on average: 1 high, 1 medium, 1 low"
    )

    # the list that one comes back to is of what was chosen last
    page.get_by_label("Least confidence").fill("0")
    page.get_by_label("Type of step").select_option(label="own‹U+202E› type")
    page.keyboard.press("Escape")
    shown.wait("document.querySelector('.spacer .row')")
    assert (shown.rows(), shown.texts(".shown")) == (["short"], ["1 of 2"])
    page.get_by_label("Type of step").select_option("")
    assert shown.rows() == ["long", "short"]
    assert (shown.said, shown.violations) == ([], [])


def test_ensembles_show_who_voted_for_what_and_open_their_trace(opened, reader):
    shown = opened(reader, hash_="#tab=ensembles")

    votes = reader.rows(
        "SELECT count(*) FROM votes WHERE ensemble_id = (SELECT arg_min(ensemble_id, start_ns) FROM votes)"
    )
    assert shown.page.locator(".spacer .row").first.locator(".vote").count() == votes[0][0]
    shown.page.keyboard.press("Enter")
    shown.wait("document.querySelector('.waterfall')")
    assert shown.page.locator(".waterfall .row.active .what").text_content() == "answer item"


def test_an_empty_experiment_says_what_to_do(opened, memory):
    shown = opened(memory.Memory([memory.event("tele.experiment.started", None, trace=None, run_id="r1")]))

    assert shown.texts(".empty p")[0] == "There are no spans here yet."
    assert "tele ingest" in shown.texts(".empty p")[1]
    assert shown.said == []


def test_without_javascript_the_figures_and_a_sentence_stand(opened, reader):
    shown = opened(reader, java_script_enabled=False)

    assert shown.page.locator(".figures tbody th").all_text_contents() == ["baseline", "few-shot"]
    assert shown.page.locator("noscript").is_visible()


def test_it_follows_the_system_into_the_dark_and_stays_readable(opened, reader):
    light, dark = (opened(reader, color_scheme=scheme) for scheme in ("light", "dark"))

    script = "() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    ratios = [_contrast(*each.page.evaluate(script)) for each in (light, dark)]
    assert light.page.evaluate(script) != dark.page.evaluate(script)
    assert min(ratios) > 7


def _contrast(*colours):
    """WCAG 2.2, contrast ratio of two colours."""
    levels = []
    for colour in colours:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        levels.append(0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
    return max(levels) / min(levels)


def test_a_narrow_window_has_no_sideways_scroll(opened, reader):
    shown = opened(reader, viewport={"width": 900, "height": 800})

    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 900
    shown.page.keyboard.press("Enter")
    shown.wait("document.querySelector('.detail h3')")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 900
