"""How chains come into a command, from a text, a file or the store, and how they go out of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tele.store.reader import Store
    from tele.trace.chain import Chain
    from tele.trace.search import Hit

__all__ = [
    "check_format",
    "filter_of",
    "found_row",
    "known_chain",
    "named_chain",
    "print_table",
    "record",
    "text_of",
    "time_of",
    "with_version",
    "write_chain",
]

# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def text_of(source: str) -> str:
    """Return the text of a file, or of stdin for `-`; where it is no UTF-8, that is said on stderr."""
    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    text = data.decode("utf-8", "replace")
    if "\ufffd" in text and "\ufffd".encode() not in data:
        print(f"tele: {source}: not all of it is UTF-8; other bytes are read as \ufffd.", file=sys.stderr)
    return text.removeprefix("\ufeff")


def with_version(name: str) -> tuple[str, int | None]:
    """Return a chain's name and the version behind an `@`; None where there is none."""
    before, at, version = name.rpartition("@")
    return (before, int(version)) if at and version.isascii() and version.isdigit() else (name, None)


def named_chain(name: str, store: Path | None) -> Chain:
    """Return a chain of the store, else of a file: what is both an id and a file is the id."""
    from tele.cli.reading import reading
    from tele.errors import BadInput, NoStore, UnknownChain
    from tele.trace import parse_chain
    from tele.trace.storage import load

    there = name == "-" or Path(name).is_file()
    chain_id, version = with_version(name)
    try:
        with reading(store) as reader:
            return load(reader, known_chain(reader, chain_id), version=version)
    except NoStore:
        if not there:
            raise BadInput(f"{name!r} is no file, and there is no store here that could have such a chain.") from None
    except UnknownChain:
        if not there:
            raise
    return parse_chain(text_of(name), Path(name).stem)


def known_chain(reader: Store, name: str) -> str:
    """Return the chain that a name is the id of, or the unique beginning; raises UnknownChain or BadInput."""
    import difflib

    from tele.errors import BadInput, UnknownChain

    asked = "SELECT DISTINCT chain_id FROM chains WHERE starts_with(chain_id, ?) ORDER BY 1"
    found = [str(row[0]) for row in reader.rows(asked, [name])] if name else []
    if name in found or len(found) == 1:
        return name if name in found else found[0]
    if not found:
        rows = reader.rows("SELECT DISTINCT chain_id FROM chains WHERE chain_id IS NOT NULL")
        raise UnknownChain(name, difflib.get_close_matches(name, [str(row[0]) for row in rows], 3))
    raise BadInput(f"{name!r} begins several chains: {', '.join(found[:5])}. Give more of it.")


def time_of(option: str, value: str | None) -> Any:
    """Return the time that an option says, UTC where it names no zone; raises BadInput."""
    import datetime as dt

    from tele.errors import BadInput

    if value is None:
        return None
    try:
        found = dt.datetime.fromisoformat(value)
    except ValueError:
        raise BadInput(f"{option} is a time such as 2025-06-15T12:00:00+00:00, not {value!r}.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def filter_of(text: str) -> Any:
    """Return the filter that `--where` holds as JSON; raises BadInput."""
    import orjson

    from tele.errors import BadInput

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f'--where is a filter as JSON, such as {{"stage": "plan"}}: {error}.') from None


def record(chain: Chain, store: Path | None) -> None:
    """Record a chain in the store."""
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


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_format(format_: str, diagram: str | None) -> None:
    """Raise BadInput for a format that is none, and for a diagram where none is drawn."""
    from tele.cli.output import choice
    from tele.errors import BadInput
    from tele.exporters import CHAIN_FORMATS

    choice("--format", format_, ("text", *CHAIN_FORMATS))
    if diagram is not None:
        choice("--diagram", diagram, ("flowchart", "sequence", "timeline", "graph"))
        if format_ != "mermaid":
            raise BadInput(f"--diagram is for --format mermaid, not for {format_}.")


def write_chain(chain: Chain, format_: str, diagram: str | None, output: Path | None) -> None:
    """Write a chain to stdout, or to a file; a terminal gets no control characters."""
    from tele.cli.output import safe, write_line
    from tele.exporters import export_chain

    options = {} if diagram is None else {"kind": diagram}
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


def found_row(hit: Hit) -> dict[str, Any]:
    """Return a row of the table of what a search found."""
    said = hit.event
    return {
        "chain": hit.chain_id,
        "at": hit.position,
        "type": said.type,
        "confidence": said.confidence,
        "decision": said.decision,
        "reasoning": said.reasoning,
    }


def print_table(rows: list[dict[str, Any]], empty: str) -> None:
    """Print aligned columns; a text longer than 60 characters is cut."""
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
