"""The registry of event families: what the events of known names mean, and by which other names they go.

Libraries that belong together spell one event in two ways: what emits `[:crucible_ensemble, :predict, :stop]` is
listened for as `[:ensemble, :prediction, :stop]`, and so nothing arrives. Here each event has one name, and every
spelling known leads to it: the lists with colons, slashes, dots, and the names by which the emitters call themselves.
`tele.event` takes any of them and keeps the one that was written as an attribute. A name that is not in the registry
stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["FAMILIES", "WRITTEN", "EventType", "Family", "event_types", "known", "resolve", "table"]


WRITTEN = "tele.written_name"
"""Attribute of an event that was written under another name: that name."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event."""

    name: str
    category: str
    description: str
    measurements: tuple[str, ...]
    """Numbers that it carries, with their unit where they have one."""
    metadata: tuple[str, ...]
    """What else it says."""
    aliases: tuple[str, ...] = ()
    """Other names by which it is emitted, dotted."""


@dataclass(frozen=True, slots=True)
class Family:
    """Events that share a beginning."""

    prefix: str
    category: str
    events: tuple[str, ...]
    """One line each: what follows the prefix; description; measurements; metadata; aliases behind the emitters."""
    emitters: tuple[str, ...] = ()
    """Other beginnings under which the same events are emitted."""

    def types(self) -> Iterator[EventType]:
        """Return the events of the family."""
        for line in self.events:
            tail, description, measurements, metadata, *other = (part.strip() for part in line.split(";"))
            name = f"{self.prefix}.{tail}" if tail else self.prefix
            tails = (tail, *_words(other[0])) if other else (tail,)
            aliases = [f"{emitter}.{each}" for emitter in (self.prefix, *self.emitters) for each in tails if each]
            yield EventType(
                name,
                self.category,
                description,
                _words(measurements),
                _words(metadata),
                tuple(alias for alias in aliases if alias != name),
            )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


_CALL = "model, provider, tokens, cost, response, error"
_TRAIN = "epoch, batch, learning_rate"
_MODEL = "model_name, model_version"

FAMILIES: tuple[Family, ...] = (
    Family(
        "req_llm",
        "llm",
        (
            "request.start; a request to a model begins; system_time ns; model, provider",
            f"request.stop; a request to a model is answered; duration ns; {_CALL}",
            f"request.exception; a request to a model fails; duration ns; {_CALL}, kind, reason, stacktrace",
        ),
    ),
    Family(
        "ensemble",
        "ensemble",
        (
            (
                "; an ensemble, as tele records it: a span; agreement, entropy bit, members, votes; "
                "ensemble_id, strategy, winner, failed, abstained, timed_out, tied"
            ),
            "vote; one member's vote, as tele records it; weight, confidence; ensemble_id, member, answer, given, late",
            "member; the call of one member, as tele records it: a span; ; ensemble_id, member, late",
            (
                "result; what the votes came to, of an ensemble without a span; agreement, entropy bit; "
                "ensemble_id, strategy, winner"
            ),
            "prediction.start; an ensemble is asked; system_time ns; models, strategy; predict.start",
            "prediction.stop; an ensemble has answered; duration us; answer, strategy, consensus; predict.stop",
            "prediction.exception; an ensemble fails; duration us; reason; predict.exception",
            "model.start; a member is asked; system_time ns; model",
            "model.stop; a member has answered; duration us; model, cost",
            "model.exception; a member fails; duration us; model, reason",
            "vote.completed; the votes are counted; consensus; strategy; vote.complete",
            "consensus.reached; enough members agree; consensus; strategy",
            "consensus.failed; too few members agree; consensus; strategy, reason",
        ),
        ("crucible_ensemble",),
    ),
    Family(
        "hedge",
        "hedging",
        (
            (
                "; a hedged request, as tele records it: a span; delay_ms, attempts, wasted_usd, wasted_tokens; "
                "hedge_id, strategy, fired, winner, samples"
            ),
            (
                "attempt; one request of a hedged one, as tele records it: a span; ; "
                "hedge_id, attempt, number, outcome, late"
            ),
        ),
    ),
    Family(
        "hedging",
        "hedging",
        (
            "request.start; a hedged request begins; system_time ns; request_id, strategy",
            "request.duplicated; a second request is sent; delay ms; request_id; hedge.fired",
            "request.won; the second request answers first; latency ms; request_id; hedge.won",
            (
                "request.stop; a hedged request is answered; duration ms, hedge_delay ms, cost; "
                "request_id, strategy, hedged, hedge_won"
            ),
            "request.exception; a hedged request fails; duration ms; request_id, reason",
            "request.cancelled; a request that lost is cancelled; ; request_id",
            "tier.start; a tier of a hedged request begins; ; tier; multi_level.tier.start",
            "tier.completed; a tier answers; duration ms, cost; tier; multi_level.tier.completed",
            "tier.timeout; a tier does not answer in time; duration ms; tier; multi_level.tier.timeout",
            "tier.cancelled; a tier is cancelled; ; tier; multi_level.tier.cancelled",
        ),
        ("crucible_hedging",),
    ),
    Family(
        "causal_trace",
        "trace",
        (
            (
                "event.created; one event of a chain of reasoning; confidence; chain_id, name, version, position, id, "
                "type, decision, alternatives, reasoning, code_section, spec_reference, parent, depends_on, stage"
            ),
            "chain.created; a chain of reasoning is made; n_events, n_warnings; chain_id, name, version, hash",
            (
                "chain.saved; a later version of a chain is saved; n_events, n_warnings; "
                "chain_id, name, version, hash, parent_hash"
            ),
            "chain.archived; a chain is left out of lists and searches; ; chain_id",
            "chain.restored; a chain is no longer left out; ; chain_id",
            "chain.loaded; a chain of reasoning is loaded; events; chain_id, name",
        ),
        ("crucible_trace",),
    ),
    Family(
        "altar.tool",
        "tools",
        (
            "start; a tool is called; system_time ns; tool_name, session_id",
            "stop; a tool has answered; duration ns, cost; tool_name, session_id, results_count",
            "exception; a tool fails; duration ns; tool_name, session_id, reason",
        ),
    ),
    Family(
        "harness",
        "harness",
        (
            "experiment.start; an experiment begins; system_time ns; experiment_id",
            "experiment.stop; an experiment has ended; duration ms; experiment_id",
            "task.complete; one condition has answered one item; duration ms; experiment_id, condition, repeat",
            "query.complete; one item is answered; duration ms; experiment_id, query_id",
            (
                "runner.start; the runner begins; max_concurrency, timeout ms; experiment_id, ordered; "
                "runner.async_stream.start"
            ),
            "runner.stop; the runner has ended; duration ms; experiment_id; runner.async_stream.stop",
        ),
        ("research_harness", "crucible_harness"),
    ),
    Family(
        "datasets",
        "datasets",
        (
            "load.start; a data set is being loaded; system_time ns; dataset, source",
            "load.stop; a data set is loaded; duration ns, item_count; dataset, source",
            "load.exception; a data set cannot be loaded; duration ns; dataset, source, kind, reason",
            "cache.hit; a data set is found in the cache; ; dataset",
            "cache.miss; a data set is not in the cache; ; dataset",
        ),
        ("crucible_datasets",),
    ),
    Family(
        "training",
        "training",
        (
            "start; a training job begins; system_time ns; model_name, config; training.start",
            "stop; a training job has ended; duration ns; final_loss; training.stop",
            "exception; a training job fails; duration ns; reason; training.exception",
            f"epoch.start; an epoch begins; system_time ns; {_TRAIN}",
            f"epoch.stop; an epoch has ended; duration ns, loss, accuracy; {_TRAIN}",
            f"batch.stop; a batch has ended; duration ns, loss, gradient_norm; {_TRAIN}",
            "checkpoint.saved; a checkpoint is saved; ; epoch, checkpoint_path",
        ),
        ("crucible_train",),
    ),
    Family(
        "deployment",
        "deployment",
        (
            f"inference.start; an inference begins; system_time ns; {_MODEL}",
            f"inference.stop; an inference has ended; duration ns, input_size, output_size, batch_size; {_MODEL}",
            f"inference.exception; an inference fails; duration ns; {_MODEL}, reason",
        ),
        ("crucible_deployment",),
    ),
    Family(
        "framework",
        "framework",
        (
            "pipeline.start; a pipeline begins; system_time ns; pipeline_id",
            "pipeline.stop; a pipeline has ended; duration ns; pipeline_id",
            "stage.start; a stage of a pipeline begins; system_time ns; stage_name, stage_index",
            "stage.stop; a stage of a pipeline has ended; duration ns; stage_name, stage_index",
        ),
        ("crucible_framework",),
    ),
)
"""All families. A unit stands behind a measurement that has one; durations of one field differ by a million."""

_TYPES = {each.name: each for family in FAMILIES for each in family.types()}
_NAMES = {alias: each.name for each in _TYPES.values() for alias in each.aliases} | {name: name for name in _TYPES}
_SPELLED = re.compile(r"[\[/:]")
_LIST = re.compile(r"^\[\s*:?[\w.]+(?:\s*,\s*:?[\w.]+)*\s*\]$")


def event_types(category: str | None = None) -> tuple[EventType, ...]:
    """Return every event of the registry, or those of one category, in its order."""
    return tuple(each for each in _TYPES.values() if category in (None, each.category))


def known(name: str) -> EventType | None:
    """Return what the registry says of an event, under whatever name it goes; None where it knows none of it."""
    return _TYPES.get(resolve(name))


def resolve(name: str) -> str:
    """Return the one name of an event; a name that the registry does not know comes back as it is."""
    found = _NAMES.get(name)
    if found is None and _SPELLED.search(name) is not None:
        return _NAMES.get(_dotted(name), name)
    return found or name


def _dotted(name: str) -> str:
    """`[:ensemble, :vote, :completed]`, `ensemble/vote/completed` and `ensemble:vote:completed` with dots."""
    if _LIST.match(name):
        return ".".join(part.strip().lstrip(":") for part in name[1:-1].split(","))
    return name.strip("/").replace("/", ".").replace(":", ".")


def table() -> str:
    """Return the registry as a Markdown table, as the reference page shows it."""
    rows = [
        f"| `{each.name}` | {each.category} | {each.description} | {_listed(each.measurements)} "
        f"| {_listed(each.metadata)} | {_listed(each.aliases, code=True)} |"
        for each in _TYPES.values()
    ]
    head = "| event | category | what happened | measurements | metadata | also written |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows])


def _listed(words: tuple[str, ...], *, code: bool = False) -> str:
    return ", ".join(f"`{word}`" for word in words) if code else ", ".join(words)
