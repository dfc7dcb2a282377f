"""Commands about runs that are over: archive."""

from __future__ import annotations

from typing import Annotated

import typer

from tele.cli.app import StoreOption, app
from tele.errors import BadInput, TeleError

__all__: list[str] = []


@app.command()
def archive(
    run: Annotated[str, typer.Argument(help="Id of the run, as `tele runs` prints it.")],
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="Its experiment, where two have a run of this id.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    store: StoreOption = None,
) -> None:
    """Leave a run out of later analyses.

    Its events stay, and the log says when and why.

    Example: tele archive r0197a3e5c1d2f00d1ab3 --reason "wrong prompt"
    """
    import tele
    from tele.store.layout import find, prepare
    from tele.store.runs import runs
    from tele.telemetry.runs.later import archive as record

    root = find(store)
    found = [one for one in runs(experiment, path=root) if one.run_id == run]
    if len(found) > 1:
        names = ", ".join(repr(one.experiment) for one in found)
        raise BadInput(f"The experiments {names} have each a run {run!r}: name one with --experiment.")
    facts = found[0] if found else tele.load_run(run, experiment=experiment, path=root)
    if facts.status == "archived":
        print(f"Run {run} is archived already.")
        return
    prepare(root)
    tele.configure(store=root, seal="manual", durability="fsync")
    record(facts.experiment, facts.run_id, reason)
    if lost := tele.dropped():
        raise TeleError(f"The run was not archived: {'; '.join(lost)}.")
    print(f"Archived run {run} of {facts.experiment!r}: later analyses leave it out.")
