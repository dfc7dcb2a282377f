"""`tele chain`: chains of causal reasoning, from a text or from the store."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from tele.cli.app import StoreOption, app

__all__: list[str] = []

chain_app = typer.Typer(
    name="chain",
    help="Chains of reasoning: parse, show, list, search, diff, prompt.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(chain_app, name="chain")

FormatOption = Annotated[str, typer.Option("--format", help="text, json, markdown, csv, xml or mermaid.")]
KindOption = Annotated[
    str | None, typer.Option("--diagram", help="Of mermaid: flowchart, the default, sequence, timeline or graph.")
]
OutputOption = Annotated[Path | None, typer.Option("-o", "--output", help="File to write to.")]
TableOption = Annotated[str, typer.Option("--format", help="table or json.")]


@chain_app.command()
def parse(
    source: Annotated[str, typer.Argument(help="A file with what a model wrote; - for stdin.", metavar="FILE")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the chain; else the file's.")] = None,
    format_: FormatOption = "text",
    diagram: KindOption = None,
    output: OutputOption = None,
    save: Annotated[bool, typer.Option("--save", help="Record the chain in the store.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where anything had to be mended.")] = False,
    store: StoreOption = None,
) -> None:
    """Read the reasoning out of what a model wrote; what had to be mended is said on stderr.

    Example: tele chain parse answer.txt --format mermaid
    """
    from tele.cli.output import safe
    from tele.cli.reasoning import check_format, record, text_of, write_chain
    from tele.trace import parse_chain

    check_format(format_, diagram)
    chain = parse_chain(text_of(source), name or (Path(source).stem if source != "-" else "chain"))
    for warning in chain.warnings:
        where = f"{source}:{warning.line}:{warning.column}"
        print(f"tele: {safe(where)}: {safe(warning.message)}", file=sys.stderr)
    if not chain.events:
        print(f"tele: {safe(source)}: no <event> stands in it; `tele chain prompt` asks for them.", file=sys.stderr)
    write_chain(chain, format_, diagram, output)
    if save:
        record(chain, store)
    if strict and (chain.warnings or not chain.events):
        raise typer.Exit(1)


@chain_app.command()
def show(
    chain_id: Annotated[str, typer.Argument(help="Id of a chain, or its unique beginning.", metavar="CHAIN")],
    version: Annotated[int | None, typer.Option("--version", help="An earlier version; else the latest.")] = None,
    history: Annotated[bool, typer.Option("--history", help="List its versions and their hashes instead.")] = False,
    format_: FormatOption = "text",
    diagram: KindOption = None,
    output: OutputOption = None,
    store: StoreOption = None,
) -> None:
    """Show one chain of the store.

    Exit code 1 says, of --history, that a recording is not what was recorded: its events do not give its hash.

    Example: tele chain show 3045b621 --format markdown
    """
    from tele.cli.output import write_line
    from tele.cli.reading import reading
    from tele.cli.reasoning import check_format, known_chain, with_version, write_chain
    from tele.trace.storage import load, versions

    check_format(format_, diagram)
    name, said = with_version(chain_id)
    with reading(store) as reader:
        found = known_chain(reader, name)
        if not history:
            write_chain(load(reader, found, version=said if version is None else version), format_, diagram, output)
            return
        recorded = versions(reader, found)
    for each, digest, parent, same in recorded:
        state = "no hash" if same is None else "as recorded" if same else "NOT AS RECORDED"
        write_line(f"version {each}  {digest or '-'}  {state}  {'from ' + parent if parent else 'first'}")
    if any(same is False for *_, same in recorded):
        raise typer.Exit(1)


@chain_app.command("list")
def list_(
    experiment: Annotated[str | None, typer.Argument(help="Only chains of this experiment.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Part of the name.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Recorded at or after this time, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Recorded at or before this time.")] = None,
    min_events: Annotated[int | None, typer.Option("--min-events", min=0)] = None,
    max_events: Annotated[int | None, typer.Option("--max-events", min=0)] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Only those that were archived.")] = False,
    limit: Annotated[int | None, typer.Option("-n", "--limit", min=1, help="At most so many.")] = None,
    format_: TableOption = "table",
    store: StoreOption = None,
) -> None:
    """List the chains of the store, the latest first.

    Example: tele chain list prompt-ab --min-events 3
    """
    from tele.cli.output import choice, write_facts
    from tele.cli.reading import known_experiment, reading
    from tele.cli.reasoning import print_table, time_of
    from tele.trace.storage import list_chains

    choice("--format", format_, ("table", "json"))
    with reading(store) as reader:
        if experiment is not None:
            known_experiment(reader, experiment)
        found = list_chains(
            reader,
            name_contains=name,
            since=time_of("--since", since),
            until=time_of("--until", until),
            min_events=min_events,
            max_events=max_events,
            archived=archived,
            limit=limit,
            experiment=experiment,
        )
    if format_ == "json":
        write_facts([dataclasses.asdict(each) for each in found])
        return
    columns = ("chain_id", "name", "version", "n_events", "mean_confidence", "n_warnings", "experiment", "condition")
    print_table([{name: getattr(each, name) for name in columns} for each in found], "No chains.")


@chain_app.command()
def search(
    text: Annotated[str | None, typer.Argument(help="Words that all must stand there; quotes keep together.")] = None,
    regex: Annotated[str | None, typer.Option("--regex", help="A regular expression, in RE2's syntax.")] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only this type; may stand again.")] = None,
    stage: Annotated[str | None, typer.Option("--stage")] = None,
    below: Annotated[float | None, typer.Option("--below", min=0, max=1, help="Confidence below this, 0 to 1.")] = None,
    least: Annotated[
        float | None, typer.Option("--at-least", min=0, max=1, help="Confidence of at least this.")
    ] = None,
    experiment: Annotated[str | None, typer.Option("--experiment")] = None,
    condition: Annotated[str | None, typer.Option("--condition")] = None,
    decisions: Annotated[bool, typer.Option("--decisions", help="Only events that name alternatives.")] = False,
    where: Annotated[str | None, typer.Option("--where", help="A filter as JSON, see the page on reasoning.")] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Also in alternatives, code and references.")
    ] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Also in archived chains.")] = False,
    limit: Annotated[int | None, typer.Option("-n", "--limit", min=1, help="At most so many.")] = None,
    format_: TableOption = "table",
    store: StoreOption = None,
) -> None:
    """Search the events of all chains. Exit code 1 where nothing is found.

    Example: tele chain search "cache invalidation" --below 0.7
    """
    from tele.cli.output import choice, write_facts
    from tele.cli.reading import reading
    from tele.cli.reasoning import filter_of, found_row, print_table
    from tele.trace.search import FIELDS, TEXTS
    from tele.trace.search import search as run_search

    choice("--format", format_, ("table", "json"))
    parts = [{"confidence": {"lt": below}}] if below is not None else []
    parts += [{"alternatives": {"exists": True}}] if decisions else []
    parts += [filter_of(where)] if where is not None else []
    with reading(store) as reader:
        hits = run_search(
            reader,
            text,
            regex=regex,
            fields=TEXTS if everywhere else FIELDS,
            where={"and": parts},
            archived=archived,
            limit=limit,
            type=type_ or None,
            stage=stage,
            experiment=experiment,
            condition=condition,
            min_confidence=least,
        )
    if format_ == "json":
        write_facts([dataclasses.asdict(hit) for hit in hits])
    else:
        print_table([found_row(hit) for hit in hits], "Nothing found.")
    if not hits:
        raise typer.Exit(1)


@chain_app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A chain's id, a file with what a model wrote, a run or a condition.")],
    after: Annotated[str, typer.Argument(help="The other one.")],
    match: Annotated[str, typer.Option("--match", help="auto, id, position or content.")] = "auto",
    item: Annotated[str | None, typer.Option("--item", help="Of two runs: this item alone, told whole.")] = None,
    experiment: Annotated[str | None, typer.Option("--experiment", help="Whose conditions are meant.")] = None,
    limit: Annotated[int | None, typer.Option("-n", "--limit", min=1, help="Of two runs: at most so many.")] = None,
    format_: Annotated[str, typer.Option("--format", help="text, json or html.")] = "text",
    store: StoreOption = None,
) -> None:
    """Say what differs between two chains, or, item by item, between those of two runs or conditions.

    An id may bear a version: `3045b621@1`. Exit code 1 where they differ.

    Example: tele chain diff baseline few-shot --item sum-01
    """
    from tele.cli.differing import print_difference, print_runs, runs_told
    from tele.cli.output import choice
    from tele.cli.reasoning import named_chain
    from tele.errors import BadInput
    from tele.trace.difference import diff as run_diff

    choice("--match", match, ("auto", "id", "position", "content"))
    choice("--format", format_, ("text", "json", "html"))
    if before == after == "-":
        raise BadInput("stdin can be read once: name a file or a chain for one of the two.")
    runs = runs_told(before, after, store, experiment=experiment, item=item, match=match)
    if runs is not None:
        print_runs(runs, format_, whole=item is not None, limit=limit)
        same = runs.same
    elif item is not None or experiment is not None or limit is not None:
        raise BadInput(
            f"--item, --experiment and --limit are for two runs or conditions; {before!r} and {after!r} are none."
        )
    else:
        found = run_diff(named_chain(before, store), named_chain(after, store), match=match)  # type: ignore[arg-type]
        print_difference(found, format_)
        same = found.same
    if not same:
        raise typer.Exit(1)


@chain_app.command()
def prompt(
    spec: Annotated[str, typer.Argument(help="The task, or - for stdin.")],
    type_: Annotated[list[str] | None, typer.Option("--type", help="A type to choose from; may stand again.")] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, max=2, help="How many examples to show.")] = 1,
    code: Annotated[bool, typer.Option("--code/--no-code", help="Ask for the answer itself in <code>.")] = True,
    repair: Annotated[Path | None, typer.Option("--repair", help="Ask to mend this answer instead.")] = None,
) -> None:
    """Print a prompt that has a model write its reasoning as events, or write badly written ones again.

    Example: tele chain prompt "Write a rate limiter" --examples 2
    """
    from tele.cli.reasoning import text_of
    from tele.trace import TYPES, parse_chain
    from tele.trace.prompt import causal_prompt, repair_prompt

    task = text_of(spec) if spec == "-" else spec
    if repair is not None:
        text = text_of(str(repair))
        sys.stdout.write(f"{task.strip()}\n\n{repair_prompt(text, parse_chain(text))}")
    else:
        sys.stdout.write(causal_prompt(task, types=tuple(type_ or TYPES), examples=examples, code=code))
