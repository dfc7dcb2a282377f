"""A training loop's steps are metrics, its modules and profiles are spans, and nothing of it changes the training."""

from __future__ import annotations

import math
import warnings
from importlib.util import find_spec

import pytest

import tele
from tele.errors import BadInput
from tele.telemetry.instrument import instrument
from tele.telemetry.instrument.steps import DeviceClock, resident_bytes

if find_spec("torch") is None:
    pytest.skip("torch is not installed", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::Warning:torch")


@pytest.fixture
def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(inplace=True), torch.nn.Linear(8, 1))


@pytest.fixture
def optimizer(net):
    groups = [{"params": net[0].parameters(), "lr": 0.5}, {"params": net[2].parameters(), "lr": 0.25}]
    return torch.optim.SGD(groups)


def train(net, optimizer, steps, watch=None):
    """Losses and gradient norms of a few steps, found with plain torch."""
    torch.manual_seed(1)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = net(torch.randn(16, 4)).pow(2).mean()
        if watch is not None:
            assert watch.loss(loss) is loss
            watch.samples(16)
        loss.backward()
        squares = sum(float(p.grad.pow(2).sum()) for p in net.parameters())
        found.append((loss.item(), math.sqrt(squares)))
        optimizer.step()
    return found


def metrics(store, name):
    return store.rows(f"SELECT step, value FROM metrics WHERE name = '{name}' ORDER BY step")


class TestSteps:
    def test_every_nth_step_is_recorded_with_what_torch_itself_says(self, tele_store, net, optimizer):
        with tele.experiment("e"), instrument("torch", optimizer=optimizer, every=2) as watch:
            told = train(net, optimizer, 5, watch)
        expected = {step: told[step - 1] for step in (2, 4)}
        assert metrics(tele_store, "loss") == [(step, pytest.approx(loss)) for step, (loss, _) in expected.items()]
        norms = metrics(tele_store, "gradient_norm")
        assert norms == [(step, pytest.approx(norm, rel=1e-5)) for step, (_, norm) in expected.items()]
        rates = """SELECT step, value, (attributes->>'$.param_group')::INT FROM metrics
            WHERE name = 'learning_rate' ORDER BY step, 3"""
        assert tele_store.rows(rates) == [(2, 0.5, 0), (2, 0.25, 1), (4, 0.5, 0), (4, 0.25, 1)]
        assert tele_store.rows("SELECT DISTINCT experiment FROM metrics") == [("e",)]

    def test_a_step_takes_the_time_between_two_ends_and_samples_count_over_all_since_the_last_told(
        self, net, optimizer
    ):
        from tele.testing import temporary_store

        with temporary_store(frozen=True) as store, instrument("torch", optimizer=optimizer, every=2, batch_size=10):
            for seconds in (1, 2, 3, 4):
                store.clock.advance(seconds)
                train(net, optimizer, 1)
            assert metrics(store, "step_ms") == [(2, 2000.0), (4, 4000.0)]
            # steps 1 and 2 from the beginning of step 1's own update on; 3 and 4 from the end of 2
            assert metrics(store, "samples_per_second") == [(2, 20 / 2), (4, 20 / 7)]

    def test_memory_is_what_the_system_says(self, tele_store, net, optimizer):
        with instrument("torch", optimizer=optimizer):
            train(net, optimizer, 1)
        [(value, unit)] = tele_store.rows("SELECT value, unit FROM metrics WHERE name = 'memory_resident'")
        assert unit == "By"
        assert value == pytest.approx(resident_bytes(), rel=0.2)

    def test_training_is_the_same_to_the_bit(self, tele_store):
        def trained(watched):
            torch.manual_seed(0)
            net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
            optimizer = torch.optim.AdamW(net.parameters())
            handle = instrument("torch", model=net, optimizer=optimizer, modules=True) if watched else None
            train(net, optimizer, 5, handle)
            if handle:
                handle.remove()
            return [value.tolist() for value in net.state_dict().values()]

        assert trained(watched=True) == trained(watched=False)

    def test_sparse_gradients_have_a_norm(self, tele_store):
        table = torch.nn.Embedding(10, 3, sparse=True)
        with instrument("torch", optimizer=torch.optim.SparseAdam(list(table.parameters()))) as watch:
            table(torch.tensor([1, 1, 4])).sum().backward()
            watch._steps._optimizer.step()
        [(_, norm)] = metrics(tele_store, "gradient_norm")
        assert norm == pytest.approx(math.sqrt(3 * 2**2 + 3 * 1**2))  # row 1 twice, row 4 once

    def test_a_hook_that_fails_leaves_training_alone(self, tele_store, net, optimizer, monkeypatch, caplog):
        def broken(*_):
            raise RuntimeError("the clock is gone")

        with instrument("torch", model=net, optimizer=optimizer, modules=True):
            monkeypatch.setattr("tele.telemetry.instrument.steps.metric", broken)
            monkeypatch.setattr("tele.telemetry.instrument.modules.Span", broken)
            assert len(train(net, optimizer, 2)) == 2
        assert "the clock is gone" in caplog.text

    def test_removing_takes_every_hook_out(self, tele_store, net, optimizer):
        handle = instrument("torch", model=net, optimizer=optimizer, modules=True)
        assert instrument("torch", model=net, optimizer=optimizer, modules=True) is handle
        other = torch.optim.SGD(net.parameters(), lr=1.0)
        with instrument("torch", optimizer=other) as second:
            assert second is not handle
        handle.remove()
        hooks = [optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks]
        hooks += [hooks for module in net.modules() for hooks in (module._forward_hooks, module._forward_pre_hooks)]
        assert [dict(hook) for hook in hooks] == [{}] * len(hooks)
        tele.event("so that there is a store")
        train(net, optimizer, 1)
        assert tele_store.rows("SELECT count(*) FROM metrics") == [(0,)]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"every": 0}, "every is a whole number of steps from 1, not 0."),
            ({"every": True}, "every is a whole number of steps from 1, not True."),
            ({"optimizer": 5}, "optimizer is a torch.optim.Optimizer, not int."),
            ({"modules": True}, "modules=True needs model=, a torch.nn.Module."),
        ],
    )
    def test_bad_options_are_one_sentence(self, options, said):
        with pytest.raises(BadInput) as raised:
            instrument("torch", **options)
        assert str(raised.value) == said


class TestModules:
    def test_forward_passes_nest_as_modules_do(self, tele_store, net, optimizer):
        with instrument("torch", model=net, optimizer=optimizer, every=2, modules=True), tele.span("outer"):
            train(net, optimizer, 2)
        query = """SELECT s.name, p.name, s.attributes->>'$."torch.module"', s.attributes->>'$."torch.input_shapes"'
            FROM spans s LEFT JOIN spans p ON s.parent_id = p.span_id WHERE s.name <> 'outer' ORDER BY s.start_ns"""
        assert tele_store.rows(query) == [
            ("forward Sequential", "outer", "", "[[16,4]]"),
            ("forward Linear", "forward Sequential", "0", "[[16,4]]"),
            ("forward ReLU", "forward Sequential", "1", "[[16,8]]"),
            ("forward Linear", "forward Sequential", "2", "[[16,8]]"),
        ]

    def test_a_pass_that_fails_is_marked_and_the_next_one_nests_right(self, tele_store, net):
        with instrument("torch", model=net, modules=True):
            with pytest.raises(RuntimeError, match="shapes"):
                net(torch.randn(2, 3))
            try:
                {}["handled while the next pass runs"]
            except KeyError:
                net(torch.randn(2, 4))
        query = "SELECT name, success, error_type, parent_id IS NULL FROM spans ORDER BY start_ns"
        assert tele_store.rows(query) == [
            ("forward Sequential", False, "RuntimeError", True),
            ("forward Linear", False, "RuntimeError", False),
            ("forward Sequential", True, None, True),
            ("forward Linear", True, None, False),
            ("forward ReLU", True, None, False),
            ("forward Linear", True, None, False),
        ]

    def test_a_compiled_graph_is_not_broken_and_records_nothing(self, tele_store, net):
        tele.event("so that there is a store")
        data = torch.randn(2, 4)
        plain = net(data)
        with instrument("torch", model=net, modules=True):
            compiled = torch.compile(net, backend="eager", fullgraph=True)  # raises where the graph breaks
            assert torch.equal(compiled(data), plain)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with instrument("torch", optimizer=optimizer):
            compiled(data).sum().backward()
            torch.compile(optimizer.step, backend="eager")()
        assert tele_store.rows("SELECT count(*) FROM spans") == [(0,)]


class TestProfiles:
    def test_a_finished_profile_is_spans_with_kinetos_own_times(self, tele_store, net):
        told = []

        def ready(profiler):
            told.extend(profiler.profiler.kineto_results.events())
            watch.on_trace_ready(profiler)

        watch = instrument("torch")
        profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], on_trace_ready=ready)
        with tele.experiment("e"), tele.span("outer"), profile, torch.profiler.record_function("mine"):
            net(torch.randn(2, 4))
        watch.remove()
        query = """SELECT name, start_ns, end_ns - start_ns FROM spans WHERE name NOT IN ('outer', 'torch.profile')
            ORDER BY start_ns, 3 DESC"""
        theirs = [(event.name(), event.start_ns(), event.duration_ns()) for event in told]
        assert tele_store.rows(query) == sorted(theirs, key=lambda row: (row[1], -row[2]))
        parents = """SELECT DISTINCT p.name FROM spans s JOIN spans p ON s.parent_id = p.span_id WHERE s.name = '{}'"""
        assert tele_store.rows(parents.format("torch.profile")) == [("outer",)]
        assert tele_store.rows(parents.format("mine")) == [("torch.profile",)]
        assert tele_store.rows(parents.format("aten::linear")) == [("mine",)]
        assert tele_store.rows(parents.format("aten::addmm")) == [("aten::linear",)]
        inside = """SELECT count(*) FROM spans s JOIN spans p ON s.parent_id = p.span_id
            WHERE p.name NOT IN ('outer') AND (s.start_ns < p.start_ns OR s.end_ns > p.end_ns)"""
        assert tele_store.rows(inside) == [(0,)]

    def test_of_a_large_profile_the_longest_events_are_kept_and_the_rest_is_counted(self, tele_store, net, monkeypatch):
        monkeypatch.setattr("tele.telemetry.instrument.kineto.MOST_EVENTS", 5)
        watch = instrument("torch")
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, on_trace_ready=watch.on_trace_ready):
            net(torch.randn(2, 4))
        watch.remove()
        query = """SELECT (attributes->>'$."torch.events"')::INT - (attributes->>'$."torch.events_left_out"')::INT
            FROM spans WHERE name = 'torch.profile'"""
        assert tele_store.rows(query) == [(5,)]
        assert tele_store.rows("SELECT count(*) FROM spans") == [(6,)]


class _Mark:
    """A CUDA event as torch documents it, on a device that this machine has not: it passes when told to."""

    passed = 0

    def __init__(self, *, enable_timing):
        assert enable_timing

    def record(self):
        _Mark.passed += 1
        self.at = _Mark.passed

    def query(self):
        return self.at <= self.device

    device = 0

    def synchronize(self):
        _Mark.device = self.at

    def elapsed_time(self, end):
        return float(end.at - self.at)


def test_times_of_a_device_are_told_when_it_has_passed_both_marks_and_waited_for_only_at_the_end(monkeypatch):
    monkeypatch.setattr(_Mark, "device", 0)
    clock, told = DeviceClock(_Mark, available=True), []
    marks = [clock.mark() for _ in range(4)]
    clock.between(marks[0], marks[1], lambda ms: told.append(("first", ms)))
    clock.between(marks[1], marks[3], lambda ms: told.append(("second", ms)))
    clock.poll()
    assert told == []
    monkeypatch.setattr(_Mark, "device", marks[1].at)
    clock.poll()
    assert told == [("first", 1.0)]
    clock.drain()
    assert told == [("first", 1.0), ("second", 2.0)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_device_steps_are_timed_by_its_events(tele_store, net):
    net.cuda()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with instrument("torch", model=net, optimizer=optimizer, modules=True):
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(16, 4, device="cuda")).pow(2).mean().backward()
            optimizer.step()
    query = "SELECT name, count(*), min(value) > 0, min(attributes->>'$.clock') FROM metrics GROUP BY 1 ORDER BY 1"
    found = {name: (count, positive, clock) for name, count, positive, clock in tele_store.rows(query)}
    assert found["step_ms"] == (2, True, "cuda")
    assert found["module_ms"] == (12, True, "cuda")
    assert found["memory_device"][:2] == (3, True)
