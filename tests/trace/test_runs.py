from __future__ import annotations

import pytest

import tele
from tele.errors import BadInput
from tele.trace import Chain, ReasoningEvent
from tele.trace.runs import diff_runs


def chain(*events):
    return Chain(
        "-".join(decision for decision, _ in events) or "nothing",
        "n",
        tuple(ReasoningEvent("mine", d, "r", str(n), confidence=sure) for n, (d, sure) in enumerate(events)),
    )


@pytest.fixture
def told(tele_store):
    def tell(condition, *said):
        with tele.experiment("e", condition=condition) as run:
            for item, replicate, one in said:
                with tele.span("chat m", item_id=item, replicate=replicate):
                    tele.record_chain(one)
        tele.flush()
        return run.run_id

    return tell


def test_the_chains_of_one_item_are_held_against_each_other_and_others_are_told_of(told, tele_store):
    first = told(
        "a",
        ("x", 0, chain(("go", 0.5), ("stop", 0.5))),
        ("x", 1, chain(("go", 0.5))),
        ("y", 0, chain(("go", 0.5))),
        ("z", 0, chain()),
        (None, 0, chain(("go", 0.1))),
    )
    second = told(
        "b", ("x", 1, chain(("go", 0.5))), ("x", 0, chain(("go", 0.9))), ("z", 0, chain(("go", 0.2))), ("w", 0, chain())
    )
    with tele_store.open() as reader:
        found = diff_runs(reader, first, second, match="content")
        same_by_condition = diff_runs(reader, "a", "b", match="content")

    assert [(each.item_id, each.before.replicate, each.difference.summary) for each in found.items] == [
        ("x", 0, "0 added, 1 removed, 1 modified"),
        ("x", 1, "0 added, 0 removed, 0 modified"),
        ("z", 0, "1 added, 0 removed, 0 modified"),
    ]
    assert [each.item_id for each in found.changed] == ["z", "x"]
    assert found.mean_confidence_delta == pytest.approx((0.4 + 0.0) / 2)
    assert found.mean_similarity == pytest.approx(sum(e.difference.similarity for e in found.items) / 3)
    assert sorted(str(each.item_id) for each in found.only_before) == ["None", "y"]
    assert [each.item_id for each in found.only_after] == ["w"]
    assert same_by_condition.items == found.items


def test_where_no_replicate_is_shared_the_first_of_an_item_answers_to_the_first(told, tele_store):
    first = told("a", ("x", 0, chain(("go", 0.5))), ("x", 1, chain(("stop", 0.5))))
    second = told("a", ("x", 5, chain(("go", 0.5))), ("x", 6, chain(("stop", 0.5))))
    with tele_store.open() as reader:
        found = diff_runs(reader, first, second)
    assert (len(found.items), found.same) == (2, True)


def test_a_name_that_fits_nothing_or_several_is_refused(told, tele_store):
    run = told("a", ("x", 0, chain(("go", 0.5))))
    with tele.experiment("other", condition="a"), tele.span("chat m", item_id="x"):
        tele.record_chain(chain(("go", 0.5)))
    tele.flush()
    with tele_store.open() as reader:
        for wrong, why in (
            ({"after": "nope"}, "called 'nope'"),
            ({"after": "a"}, "e, other"),
            ({"after": run, "item": "q"}, "item 'q'"),
        ):
            with pytest.raises(BadInput, match=why):
                diff_runs(reader, run, **wrong)
        assert diff_runs(reader, run, "a", experiment="other").same
