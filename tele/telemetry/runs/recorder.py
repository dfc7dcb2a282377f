"""Recording by hand: what a run writes when it is told to, wherever the running code is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tele.errors import TeleError
from tele.telemetry.points import record_point
from tele.telemetry.process import process
from tele.telemetry.runs import artifacts
from tele.telemetry.runs.kinds import RunType
from tele.telemetry.runs.plan import text
from tele.telemetry.runs.spans import number, record_span
from tele.telemetry.scope import Node, here
from tele.telemetry.span import Span

__all__ = ["Recorder", "Timer"]


class Timer:
    """Time a block as a span of `run`, also where it raises."""

    def __init__(self, run: Recorder, operation: str, **fields: Any) -> None:
        """Take keywords as `tele.span` does."""
        self._run = run
        self._span = Span(operation, None, **fields)
        self._before: dict[int, Node] = {}
        """Where the code was before each span that is open, by the span's identity."""

    def __enter__(self) -> Self:
        before = here.get()
        if before.scope.run is not self._run:
            here.set(self._run.place())
        self._before[id(self._span.__enter__())] = before
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        before = self._before.pop(id(here.get()), None)
        self._span.__exit__(kind, error, trace)
        if before is not None:  # else it is left in another context, which never was in it
            here.set(before)


class Recorder(Node):
    """The part of a run that records by hand."""

    __slots__ = ()

    TimerContext = Timer
    """`with run.TimerContext(run, "load"):` is `with run.timer("load"):`."""

    @property
    def run_type(self) -> RunType:
        """Trial or milestone."""
        return RunType.TRIAL

    @property
    def closed(self) -> bool:
        """Whether it takes no more records."""
        return False

    def place(self) -> Node:
        """Where a record of this run belongs: in the span around the running code where that is one of the run's."""
        node = here.get()
        if self.scope.run is None:
            process.lose(TeleError("a run recorded before it had begun: that is of experiment 'default'"), 0)
        return node if node.scope.run is self else self

    def log_metric(self, name: str, value: object, metric_type: str = "custom", **metadata: Any) -> str:
        """Record one number and of what sort it is; return its event id. Keywords are as for `tele.metric`."""
        known = number(value)
        columns = {} if known is None else {"value": known}
        fields = metadata if known is not None else {**metadata, "user.value": value}
        return record_point("metric", name, columns, fields, {"type": metric_type}, node=self.place())

    def log_timing(self, operation: str, duration_ms: float, **metadata: Any) -> str:
        """Record that `operation` took `duration_ms` and ended now, as a span; return its event id."""
        return record_span(self.place(), operation, duration_ms, metadata)

    def log_llm_call(
        self,
        model: str,
        input_data: object = None,
        output_data: object = None,
        duration_ms: float | None = None,
        *,
        error: BaseException | str | None = None,
        **metadata: Any,
    ) -> str:
        """Record a call of a model that ended now, as a span of operation `chat`; return its event id.

        Tokens, the finish reason and the like are read from `output_data` where it is a provider's answer; keywords
        stand over them. A cost follows from the tokens and the price table.
        """
        return record_span(
            self.place(),
            f"chat {text(model)}",
            duration_ms,
            {"operation": "chat", "model": model, "input": input_data, "output": output_data} | metadata,
            answer=output_data,
            error=error,
        )

    def log_event(self, event_type: str, data: object = None, **more: Any) -> str:
        """Record that something happened, with a mapping of what is known of it; return its event id."""
        try:
            facts = {} if data is None else dict(data) if isinstance(data, Mapping) else {"data": data}
        except Exception:  # noqa: BLE001  # a mapping that does not give its members
            facts = {"data": data}
        return record_point("event", event_type, {}, {}, facts | more, node=self.place())

    def timer(self, operation: str, **fields: Any) -> Timer:
        """Time a block as a span of this run: `with run.timer("load"):`."""
        return Timer(self, operation, **fields)

    # ── artifacts ────────────────────────────────────────────────────────────────────────────────────────────────

    def artifact(self, name: str, what: object, *, keep: bool | None = None) -> str | None:
        """Record an artifact of the run: a `Path` (file or folder), bytes, text, or an object, which becomes JSON.

        Name, length and SHA-256 are recorded; a milestone keeps the content, a trial only with `keep=True`. Returns
        `blob:SHA256` where one content was kept, else None; what cannot be read is counted and warned of.
        """
        return self._artifact(name, what, "artifact", keep)

    def preserve_artifacts(self, artifacts: Mapping[str, object]) -> None:
        """Record each as `artifact` does."""
        for name, what in artifacts.items():
            self._artifact(text(name), what, "artifact", None)

    def snapshot_code(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Keep files and folders of code beside what a milestone keeps by itself; a trial keeps none and says so."""
        try:
            named = [Path(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error)
            return
        if self.run_type is RunType.TRIAL:
            self.log_event("code_snapshot_skipped", {"paths": [path.name for path in named]})
            return
        for path in named:
            self._artifact(path.name, path, "code", None)

    def _artifact(self, name: str, what: object, role: str, keep: bool | None) -> str | None:
        kept = self.run_type is RunType.MILESTONE if keep is None else keep
        try:
            if self.closed:
                process.lose(TeleError("a milestone is closed once it is finished, and an artifact came later"))
                return None
            if isinstance(what, os.PathLike) and Path(what).is_dir():
                root = Path(what)
                for path in artifacts.files_in(root):
                    inner = f"{name}/{path.relative_to(root).as_posix()}"
                    artifacts.record(self, inner, artifacts.body_of(path), role=role, keep=kept)
                return None
            return artifacts.record(self, name, artifacts.body_of(what), role=role, keep=kept)
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error)
            return None
