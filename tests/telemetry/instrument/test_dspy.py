"""DSPy's programs are trees of spans, each model call with its own tokens, in whatever thread it ran."""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from importlib.util import find_spec

import pytest

import tele
from tele.telemetry.instrument import instrument

if find_spec("dspy") is None:
    pytest.skip("dspy is not installed", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    dspy = pytest.importorskip("dspy")
    from dspy.lm15 import Message, Response, TextPart, Usage
    from dspy.utils import DummyLM
pytestmark = pytest.mark.filterwarnings("ignore::Warning:(litellm|pydantic|dspy)")

KEY = "canary-key-0123456789"


class Engine:
    """A model that answers a question `q<n>` with n, having read n tokens and written twice as many."""

    def complete(self, request):
        number = int(request.messages[-1].text.split("q")[-1].split()[0])
        time.sleep(0.03 / (number + 1))  # the first is the last to finish
        if number == 13:
            raise RuntimeError("no luck")
        said = TextPart(f"[[ ## answer ## ]]\n{number}\n\n[[ ## completed ## ]]")
        used = Usage(input_tokens=number, output_tokens=2 * number, total_tokens=3 * number, cache_read_tokens=number)
        return Response(
            id=f"r{number}", model="gpt-4o", message=Message.assistant([said]), finish_reason="stop", usage=used
        )

    def close(self):
        pass


class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict("question -> answer")

    def forward(self, question):
        with tele.span("mine"):
            return self.answer(question=question)


def examples(count):
    return [dspy.Example(question=f"q{n}", answer=str(n % 2), id=f"i{n}").with_inputs("question") for n in range(count)]


def match(example, prediction, trace=None):
    del trace
    return example.answer == prediction.answer


@pytest.fixture
def watched(tele_store):
    with instrument("dspy"):
        yield tele_store


@pytest.fixture
def counting():
    model = dspy.LM("openai/gpt-4o", engine=Engine(), cache=False, temperature=0.5, api_key=None)
    with dspy.context(lm=model):
        yield model


def paths(store):
    """Each span with the names of all above it, which is what nests."""
    query = """WITH RECURSIVE up AS (
        SELECT span_id, parent_id, name AS path FROM spans
        UNION ALL SELECT up.span_id, p.parent_id, p.name || ' > ' || up.path FROM up JOIN spans p
            ON p.span_id = up.parent_id)
        SELECT path FROM up WHERE parent_id IS NULL ORDER BY path"""
    return [path for (path,) in store.rows(query)]


class TestTree:
    def test_modules_adapters_and_models_nest_with_the_programs_own_spans(self, watched):
        with tele.experiment("e"), tele.span("outer"), dspy.context(lm=DummyLM([{"answer": "blue"}])):
            assert Program()(question="q1").answer == "blue"
        below = "outer > Program > mine > Predict"
        assert paths(watched) == sorted(
            ["outer", "outer > Program", "outer > Program > mine", below]
            + [f"{below} > {name}" for name in ("ChatAdapter.format", "ChatAdapter.parse", "chat dummy")]
        )
        assert watched.rows("SELECT DISTINCT experiment FROM spans") == [("e",)]
        [(asked, said)] = watched.rows("SELECT input, output FROM spans WHERE name = 'Program'")
        assert (json.loads(asked), json.loads(said)) == ({"question": "q1"}, {"answer": "blue"})

    def test_an_evaluation_in_threads_keeps_each_call_below_its_program_and_counts_scores(self, watched, counting):
        with tele.experiment("e"):
            result = dspy.Evaluate(devset=examples(8), metric=match, num_threads=4, display_progress=False)(Program())
        assert result.score == 25.0  # 0 and 1 of eight
        found = paths(watched)
        assert found.count("evaluate match > Program > mine > Predict > chat openai/gpt-4o") == 8
        assert {path.split(" > ")[0] for path in found} == {"evaluate match"}
        assert watched.rows("SELECT DISTINCT experiment FROM spans") == [("e",)]
        scores = watched.rows("SELECT item_id, value FROM metrics WHERE name = 'match' ORDER BY item_id")
        assert scores == [(f"i{n}", float(n < 2)) for n in range(8)]
        assert watched.rows("SELECT value, unit FROM metrics WHERE name = 'match.score'") == [(25.0, "%")]

    def test_an_optimizer_is_a_span_around_what_it_tries(self, watched):
        with dspy.context(lm=DummyLM([{"answer": "0"}] * 20)):
            dspy.BootstrapFewShot(metric=match, max_bootstrapped_demos=1).compile(Program(), trainset=examples(2))
        [(text,)] = watched.rows("SELECT attributes FROM spans WHERE name = 'BootstrapFewShot.compile'")
        facts = json.loads(text)
        assert (facts["dspy.trainset"], facts["dspy.optimizer.max_bootstrapped_demos"]) == (2, 1)
        assert "BootstrapFewShot.compile > Program > mine > Predict > chat dummy" in paths(watched)

    def test_a_tool_is_recorded_with_what_it_was_given(self, watched):
        def add(a: int, b: int) -> int:
            return a + b

        assert dspy.Tool(add)(a=1, b=2) == 3
        query = "SELECT name, operation, input, output FROM spans"
        assert watched.rows(query) == [("execute_tool add", "execute_tool", '{"a":1,"b":2}', "3")]

    def test_async_programs_nest_too(self, watched, counting):
        del counting

        async def main():
            predict = dspy.Predict("question -> answer")
            with tele.span("outer"), dspy.context(lm=DummyLM([{"answer": "x"}] * 4)):
                await asyncio.gather(*(predict.acall(question=f"q{n}") for n in range(4)))

        asyncio.run(main())
        assert paths(watched).count("outer > Predict > chat dummy") == 4


class TestUsage:
    def test_each_call_has_its_own_tokens_though_the_history_is_shared(self, watched, counting):
        numbers = list(range(1, 9))
        run = dspy.Parallel(num_threads=4, disable_progress_bar=True)
        with tele.experiment("e"), tele.span("outer"):
            run([(Program(), dspy.Example(question=f"q{n}").with_inputs("question")) for n in numbers])
        assert paths(watched).count("outer > Program") == 8  # the threads are DSPy's own
        assert watched.rows("SELECT DISTINCT experiment FROM spans") == [("e",)]
        assert [entry["usage"]["prompt_tokens"] for entry in counting.history] != numbers  # they did overtake
        found = watched.rows("""SELECT m.input->>'$.question', s.input_tokens, s.output_tokens, s.cache_read_tokens,
                s.model, s.provider FROM spans s JOIN spans m ON m.span_id = s.parent_id
            WHERE s.operation = 'chat' ORDER BY s.input_tokens""")
        assert found == [(f"q{n}", n, 2 * n, n, "gpt-4o", "openai") for n in numbers]

    def test_a_program_without_history_still_runs_and_says_that_usage_is_not_known(self, watched, counting):
        del counting
        with dspy.context(disable_history=True):
            Program()(question="q3")
        [(tokens, text)] = watched.rows("SELECT input_tokens, attributes FROM spans WHERE operation = 'chat'")
        assert tokens is None
        assert json.loads(text)["dspy.usage"] == "not in the history"

    def test_an_answer_from_dspys_cache_costs_nothing_and_is_marked(self, watched):
        model = dspy.LM("openai/gpt-4o", engine=Engine(), cache=True)
        with dspy.context(lm=model):
            dspy.cache.enable_disk_cache = False
            dspy.cache.reset_memory_cache()
            for _ in range(2):
                Program()(question="q4")
        query = """SELECT cost_usd > 0, price_ref = 'client-cache', attributes->>'$.cache_hit' FROM spans
            WHERE operation = 'chat' ORDER BY start_ns"""
        assert watched.rows(query) == [(True, False, None), (False, True, "true")]

    def test_with_litellm_below_and_watched_too_the_call_is_told_once(self, watched):
        pytest.importorskip("litellm")
        with instrument("litellm"), tele.experiment("e"):
            model = dspy.LM("openai/gpt-4o", engine="litellm", cache=False, mock_response="[[ ## answer ## ]]\nhi")
            with dspy.context(lm=model):
                assert dspy.Predict("question -> answer")(question="q1").answer == "hi"
            time.sleep(0.3)  # LiteLLM tells on another thread
            rows = watched.rows("SELECT name, input_tokens, output_tokens FROM spans WHERE operation IS NOT NULL")
        assert rows == [("chat openai/gpt-4o", 10, 20)]


class TestFailures:
    def test_what_fails_is_marked_all_the_way_up_and_goes_on_unchanged(self, watched, counting):
        del counting
        with pytest.raises(Exception, match="no luck"):
            Program()(question="q13")
        found = watched.rows("SELECT name, success FROM spans WHERE name NOT LIKE '%format' ORDER BY name")
        assert found == [("Predict", False), ("Program", False), ("chat openai/gpt-4o", False), ("mine", False)]

    def test_no_key_of_a_model_reaches_the_store(self, watched):
        pytest.importorskip("litellm")
        said = {"mock_response": "[[ ## answer ## ]]\nhi", "api_key": KEY, "cache": False}
        model = dspy.LM("openai/gpt-4o", engine="litellm", **said)
        with dspy.context(lm=model):
            dspy.Predict("question -> answer")(question="q1", config={"api_key": KEY, "temperature": 0.5})
            dspy.Predict("question -> answer")(question="q1", lm=model)
        assert watched.rows("SELECT count(*) FROM spans WHERE operation = 'chat'") == [(2,)]
        assert KEY.encode() not in b"".join(p.read_bytes() for p in watched.path.rglob("*") if p.is_file())

    def test_an_adapter_that_fails_leaves_the_program_alone(self, watched, monkeypatch, caplog):
        monkeypatch.setattr("tele.telemetry.instrument.dspy._name", lambda _: 1 / 0)
        with dspy.context(lm=DummyLM([{"answer": "x"}])):
            assert Program()(question="q1").answer == "x"
        assert "ZeroDivisionError" in caplog.text
        assert paths(watched) == ["mine", "mine > chat dummy"]


class TestHandle:
    def test_a_program_that_sets_callbacks_of_its_own_keeps_both(self, watched):
        from dspy.utils.callback import BaseCallback

        class Theirs(BaseCallback):
            seen = 0

            def on_lm_start(self, call_id, instance, inputs):
                del call_id, instance, inputs
                self.seen += 1

        theirs = Theirs()
        with dspy.context(lm=DummyLM([{"answer": "x"}]), callbacks=[theirs]):
            Program()(question="q1")
        assert theirs.seen == 1
        assert paths(watched).count("Program > mine > Predict > chat dummy") == 1

    def test_removing_puts_it_back(self, tele_store):
        before = type(dspy.settings).get
        handle = instrument("dspy")
        assert instrument("dspy") is handle
        handle.remove()
        assert type(dspy.settings).get is before
        with dspy.context(lm=DummyLM([{"answer": "x"}])):
            Program()(question="q1")
        assert paths(tele_store) == ["mine"]

    def test_content_is_left_out_where_it_is_not_wanted(self, tele_store):
        with instrument("dspy", content=False), dspy.context(lm=DummyLM([{"answer": "x"}])):
            dspy.Predict("question -> answer")(question="q1")
        assert tele_store.rows("SELECT count(*) FROM spans WHERE input IS NOT NULL OR output IS NOT NULL") == [(0,)]


def test_the_chain_in_an_answer_stands_under_the_models_span(tele_store):
    event = '<event type="pattern_applied" id="1"><decision>{}</decision><reasoning>r</reasoning></event>'
    with instrument("dspy", parse="causal"), dspy.context(lm=DummyLM([{"answer": event.format("use a queue")}])):
        dspy.Predict("question -> answer")(question="how?")
    joined = "SELECT s.operation, r.decision FROM reasoning r JOIN spans s USING (trace_id, span_id)"
    assert tele_store.rows(joined) == [("chat", "use a queue")]
