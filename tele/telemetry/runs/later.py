"""What is said of a run after it is over, by another process."""

from __future__ import annotations

from tele.store.names import experiment_id
from tele.telemetry.points import record_point
from tele.telemetry.scope import Node, Scope

__all__ = ["archive"]


def archive(experiment: str, run_id: str, reason: str = "") -> str:
    """Leave a run of `experiment` out of later analyses; return the event's id. The run has to be there."""
    columns = {"experiment": experiment, "experiment_id": experiment_id(experiment), "run_id": run_id}
    facts = {"reason": reason} if reason else {}
    return record_point("event", "tele.experiment.archived", {}, {}, facts, node=Node(Scope(columns)))
