"""The causal chains and the ensembles of a target."""

from __future__ import annotations

from collections.abc import Iterable

from tele.viewer.target import Reader, Target

__all__ = ["LOW_CONFIDENCE", "chains", "ensembles"]

LOW_CONFIDENCE = 0.7
"""A reasoning event below this confidence is marked."""

_STEP = (
    *("chain_id", "position", "type", "decision", "alternatives", "reasoning", "confidence", "code_section"),
    *("spec_reference", "parent", "depends_on", "stage", "trace_id", "span_id", "condition", "item_id"),
)
_VOTE = ("ensemble_id", "member", "answer", "weight", "confidence", "trace_id", "span_id", "condition", "item_id")
_RESULT = ("ensemble_id", "strategy", "winner", "agreement", "entropy")


def chains(reader: Reader, target: Target) -> list[dict[str, object]]:
    """Return the chains of a target in the order of their first event: id, name, version, and their steps."""
    where, params = ("chain_id = ?", (target.name,)) if target.kind == "chain" else (target.where, target.params)
    steps = reader.rows(f"SELECT {', '.join(_STEP)} FROM reasoning WHERE {where} ORDER BY start_ns, position", params)
    about = {
        row[0]: row[1:] for row in reader.rows(f"SELECT chain_id, name, version FROM chains WHERE {where}", params)
    }
    found: dict[object, list[dict[str, object]]] = {}
    for step in _dicts(_STEP, steps):
        found.setdefault(step["chain_id"], []).append(step)
    return [_chain(chain_id, about.get(chain_id, (None, None)), steps) for chain_id, steps in found.items()]


def _chain(chain_id: object, about: tuple[object, ...], steps: list[dict[str, object]]) -> dict[str, object]:
    shared = {key: steps[0][key] for key in ("trace_id", "span_id", "condition", "item_id")}
    keep = [key for key in _STEP if key not in shared and key != "chain_id"]
    steps.sort(key=lambda step: (step["position"] is None, step["position"]))
    return {
        "id": chain_id,
        "name": about[0],
        "version": about[1],
        **shared,
        "steps": [{key: step[key] for key in keep if step[key] is not None} for step in steps],
    }


def ensembles(reader: Reader, target: Target) -> list[dict[str, object]]:
    """Return the ensembles of a target that have votes: where they stand, their result, and their votes in order."""
    where, params = target.where, target.params
    votes = reader.rows(f"SELECT {', '.join(_VOTE)} FROM votes WHERE {where} ORDER BY start_ns, event_id", params)
    results = {
        row["ensemble_id"]: row
        for row in _dicts(
            _RESULT, reader.rows(f"SELECT {', '.join(_RESULT)} FROM ensembles WHERE {where} ORDER BY start_ns", params)
        )
    }
    found: dict[object, dict[str, object]] = {}
    for vote in _dicts(_VOTE, votes):
        shared = {key: vote[key] for key in ("ensemble_id", "trace_id", "span_id", "condition", "item_id")}
        entry = found.setdefault(vote["ensemble_id"], shared | results.get(vote["ensemble_id"], {}) | {"votes": []})
        ballot = {key: vote[key] for key in ("member", "answer", "weight", "confidence") if vote[key] is not None}
        entry["votes"] = [*_votes(entry), ballot]
    return list(found.values())


def _votes(entry: dict[str, object]) -> list[object]:
    votes = entry["votes"]
    return votes if isinstance(votes, list) else []


def _dicts(keys: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[dict[str, object]]:
    return [dict(zip(keys, row, strict=True)) for row in rows]
