"""`tele chain`: chains of causal reasoning, from a text or from the store."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tele.cli.app import StoreOption, app

if TYPE_CHECKING:
    from tele.store.reader import Store
    from tele.trace.chain import Chain
    from tele.trace.search import Hit

__all__: list[str] = []

chain_app = typer.Typer(
    name="chain",
    help="Chains of causal reasoning: parse, show, list, search, diff, prompt.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(chain_app, name="chain")

FormatOption = Annotated[str, typer.Option("--format", help="text, json, markdown, csv, xml or mermaid.")]
KindOption = Annotated[str, typer.Option("--diagram", help="Of mermaid: flowchart, sequence, timeline or graph.")]
OutputOption = Annotated[Path | None, typer.Option("-o", "--output", help="File to write to.")]
TableOption = Annotated[str, typer.Option("--format", help="table or json.")]


@chain_app.command()
def parse(
    source: Annotated[str, typer.Argument(help="A file with what a model wrote; - for stdin.", metavar="FILE")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the chain; else the file's.")] = None,
    format_: FormatOption = "text",
    diagram: KindOption = "flowchart",
    output: OutputOption = None,
    save: Annotated[bool, typer.Option("--save", help="Record the chain in the store.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where anything had to be mended.")] = False,
    store: StoreOption = None,
) -> None:
    """Read the reasoning out of what a model wrote; what had to be mended is said on stderr.

    Example: tele chain parse answer.txt --format mermaid
    """
    from tele.cli.output import safe
    from tele.trace import parse_chain

    _check(format_)
    chain = parse_chain(_text_of(source), name or (Path(source).stem if source != "-" else "chain"))
    for warning in chain.warnings:
        where = f"{source}:{warning.line}:{warning.column}"
        print(f"tele: {safe(where)}: {safe(warning.message)}", file=sys.stderr)
    _write(chain, format_, diagram, output)
    if save:
        _record(chain, store)
    if strict and (chain.warnings or not chain.events):
        raise typer.Exit(1)


@chain_app.command()
def show(
    chain_id: Annotated[str, typer.Argument(help="Id of a chain, or its unique beginning.", metavar="CHAIN")],
    version: Annotated[int | None, typer.Option("--version", help="An earlier version; else the latest.")] = None,
    history: Annotated[bool, typer.Option("--history", help="List its versions and their hashes instead.")] = False,
    format_: FormatOption = "text",
    diagram: KindOption = "flowchart",
    output: OutputOption = None,
    store: StoreOption = None,
) -> None:
    """Show one chain of the store.

    Exit code 1 says, of --history, that a recording is not what was recorded: its events do not give its hash.

    Example: tele chain show 3045b621 --format markdown
    """
    from tele.cli.output import write_line
    from tele.cli.reading import reading
    from tele.trace.storage import load, versions

    with reading(store) as reader:
        found = _known(reader, chain_id)
        if not history:
            _write(load(reader, found, version=version), format_, diagram, output)
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
    from tele.trace.storage import list_chains

    choice("--format", format_, ("table", "json"))
    with reading(store) as reader:
        if experiment is not None:
            known_experiment(reader, experiment)
        found = list_chains(
            reader,
            name_contains=name,
            since=_time("--since", since),
            until=_time("--until", until),
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
    _table([{name: getattr(each, name) for name in columns} for each in found], "No chains.")


@chain_app.command()
def search(
    text: Annotated[str | None, typer.Argument(help="Words that all must stand there; quotes keep together.")] = None,
    regex: Annotated[str | None, typer.Option("--regex", help="A regular expression, in RE2's syntax.")] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only this type; may stand again.")] = None,
    stage: Annotated[str | None, typer.Option("--stage")] = None,
    below: Annotated[float | None, typer.Option("--below", help="Confidence below this, 0 to 1.")] = None,
    least: Annotated[float | None, typer.Option("--at-least", help="Confidence of at least this.")] = None,
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
    from tele.trace.search import FIELDS, TEXTS
    from tele.trace.search import search as run_search

    choice("--format", format_, ("table", "json"))
    parts = [{"confidence": {"lt": below}}] if below is not None else []
    parts += [{"alternatives": {"exists": True}}] if decisions else []
    parts += [_json(where)] if where is not None else []
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
        _table([_found(hit) for hit in hits], "Nothing found.")
    if not hits:
        raise typer.Exit(1)


@chain_app.command()
def diff(
    before: Annotated[str, typer.Argument(help="Id of a chain, or a file with what a model wrote.")],
    after: Annotated[str, typer.Argument(help="The other one.")],
    match: Annotated[str, typer.Option("--match", help="auto, id, position or content.")] = "auto",
    format_: Annotated[str, typer.Option("--format", help="text, json or html.")] = "text",
    store: StoreOption = None,
) -> None:
    """Say what differs between two chains. An id may bear a version: `3045b621@1`. Exit code 1 where they differ.

    Example: tele chain diff 3045b621@1 3045b621@2
    """
    from tele.cli.output import choice, safe, write_facts, write_line
    from tele.trace.difference import diff as run_diff

    choice("--format", format_, ("text", "json", "html"))
    found = run_diff(_named(before, store), _named(after, store), match=match)  # type: ignore[arg-type]  # it checks
    if format_ == "json":
        more = {"summary": found.summary, "confidence_deltas": found.confidence_deltas}
        write_facts(dataclasses.asdict(found) | more)
    elif format_ == "html":
        sys.stdout.write(found.to_html())
    else:
        write_line("\n".join(map(safe, found.to_text().splitlines())))
    if found.added or found.removed or found.modified:
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
    from tele.trace import TYPES, parse_chain
    from tele.trace.prompt import causal_prompt, repair_prompt

    task = sys.stdin.read() if spec == "-" else spec
    if repair is not None:
        text = _text_of(str(repair))
        sys.stdout.write(f"{task.strip()}\n\n{repair_prompt(text, parse_chain(text))}")
    else:
        sys.stdout.write(causal_prompt(task, types=tuple(type_ or TYPES), examples=examples, code=code))


# ── in and out ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _text_of(source: str) -> str:
    if source == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    return Path(source).read_bytes().decode("utf-8", "replace")


def _named(name: str, store: Path | None) -> Chain:
    """A chain of the store, else of a file: what is both an id and a file is the id."""
    from tele.cli.reading import reading
    from tele.errors import NoStore, UnknownTarget
    from tele.trace import parse_chain
    from tele.trace.storage import load

    chain_id, _, version = name.rpartition("@") if name.rpartition("@")[2].isdecimal() else (name, "", "")
    try:
        with reading(store) as reader:
            return load(reader, _known(reader, chain_id), version=int(version) if version else None)
    except (NoStore, UnknownTarget):
        if name == "-" or Path(name).is_file():
            return parse_chain(_text_of(name), Path(name).stem)
        raise


def _known(reader: Store, name: str) -> str:
    """The chain that a name is the id of, or the unique beginning; raises UnknownTarget or BadInput."""
    import difflib

    from tele.errors import BadInput, UnknownTarget

    found = [
        row[0] for row in reader.rows("SELECT DISTINCT chain_id FROM chains WHERE starts_with(chain_id, ?)", [name])
    ]
    if name in found or len(found) == 1:
        return name if name in found else str(found[0])
    if not found:
        rows = reader.rows("SELECT DISTINCT chain_id FROM chains WHERE chain_id IS NOT NULL")
        raise UnknownTarget(name, difflib.get_close_matches(name, [row[0] for row in rows], 3))
    raise BadInput(f"{name!r} begins several chains: {', '.join(sorted(found)[:5])}. Give more of it.")


def _check(format_: str) -> None:
    from tele.cli.output import choice
    from tele.exporters import CHAIN_FORMATS

    choice("--format", format_, ("text", *CHAIN_FORMATS))


def _write(chain: Chain, format_: str, diagram: str, output: Path | None) -> None:
    from tele.cli.output import safe, write_line
    from tele.exporters import export_chain

    _check(format_)
    options: dict[str, Any] = {"kind": diagram} if format_ == "mermaid" else {}
    text = _as_text(chain) if format_ == "text" else export_chain(chain, format_, **options)
    if output is not None:
        output.write_text(text, encoding="utf-8", newline="")
        print(f"Wrote {output}.")
    elif format_ == "text" or sys.stdout.isatty():
        write_line("\n".join(map(safe, text.rstrip("\n").split("\n"))))
    else:
        sys.stdout.write(text)


def _as_text(chain: Chain) -> str:
    from tele.cli.output import count

    sure = "" if chain.mean_confidence is None else f", mean confidence {chain.mean_confidence:.2f}"
    named = {name for event in chain.events for name in (event.parent, *event.depends_on)}
    lines = [f"{chain.name}  {chain.id}  version {chain.version}", f"{count(chain.events, 'event')}{sure}"]
    for number, event in enumerate(chain.events, 1):
        stated = "" if event.confidence is None else f"  {event.confidence:.2f}"
        lines += ["", f"{number}. {event.type}{stated}", f"   {event.decision}"]
        lines += [f"   not: {each}" for each in event.alternatives]
        lines += [f"   {line}" for line in event.reasoning.splitlines()]
        more = {"code": event.code_section, "spec": event.spec_reference, "part of": event.parent, "stage": event.stage}
        more |= {"depends on": ", ".join(event.depends_on), "id": event.id if event.id in named else None}
        more |= {"experiment": event.experiment, "at": event.created_at.isoformat() if event.created_at else None}
        more |= {name: str(said) for name, said in event.metadata.items()}
        lines += [f"   {name}: {' '.join(said.split())}" for name, said in more.items() if said]
    return "\n".join(lines) + "\n"


def _found(hit: Hit) -> dict[str, Any]:
    said = hit.event
    return {
        "chain": hit.chain_id,
        "at": hit.position,
        "type": said.type,
        "confidence": said.confidence,
        "decision": said.decision,
        "reasoning": said.reasoning,
    }


def _record(chain: Chain, store: Path | None) -> None:
    import tele
    from tele.errors import TeleError
    from tele.store.layout import prepare

    if store is not None:
        prepare(store)
        tele.configure(store=store)
    tele.configure(seal="manual", durability="fsync")
    tele.record_chain(chain)
    if lost := tele.dropped():
        raise TeleError(f"The chain was not recorded: {'; '.join(lost)}.")
    print(f"tele: recorded chain {chain.id}.", file=sys.stderr)


def _table(rows: list[dict[str, Any]], empty: str) -> None:
    """Aligned columns; a text longer than 60 characters is cut."""
    from tele.cli.output import cell, write_line

    if not rows:
        write_line(empty)
        return
    lines = [list(rows[0]), *([_cut(cell(value)) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["─" * width for width in widths])
    for line in lines:
        write_line("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _cut(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _time(option: str, value: str | None) -> Any:
    import datetime as dt

    from tele.errors import BadInput

    if value is None:
        return None
    try:
        found = dt.datetime.fromisoformat(value)
    except ValueError:
        raise BadInput(f"{option} is a time such as 2025-06-15T12:00:00+00:00, not {value!r}.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def _json(text: str) -> Any:
    import orjson

    from tele.errors import BadInput

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f'--where is a filter as JSON, such as {{"stage": "plan"}}: {error}.') from None
