"""Write the generated pages of the reference: `python docs/generate.py [FOLDER]`."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def columns() -> str:
    """The columns of `events`."""
    from tele.store.schema import columns_markdown

    head = """# Columns of `events`

One row for each span, point event or metric. A keyword of `tele.span`, `tele.event` or `tele.metric` fills the column
of its name where the last column here says so; any other keyword becomes an attribute.

"""
    return head + columns_markdown()


def views() -> str:
    """The SQL of the views."""
    from tele.store.views import view_sql

    parts = ["# Views\n\nWhat `tele sql --views` prints is what runs.\n"]
    parts += [f"## {name}\n\n```sql\n{text.strip()};\n```\n" for name, text in view_sql().items()]
    return "\n".join(parts)


def commands() -> str:
    """The help of every command."""
    from typer.testing import CliRunner

    from tele.cli.app import app

    os.environ["COLUMNS"] = "100"
    runner = CliRunner()
    parts = ["# Commands\n\nExit codes: 0 done, 1 the answer is no, 2 cannot be done as asked.\n"]
    names = sorted((c.name or c.callback.__name__).replace("_", "-") for c in app.registered_commands if c.callback)
    for name in names:
        shown = runner.invoke(app, [name, "--help"], prog_name="tele").output
        parts.append(f"## tele {name}\n\n```text\n{re.sub(' +$', '', shown, flags=re.MULTILINE).strip()}\n```\n")
    return "\n".join(parts)


def journal_line() -> str:
    """The JSON schema of a journal line."""
    from tele.store.schema import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


def events() -> str:
    """The registry of event families."""
    from tele.telemetry.families import table

    head = """# Events

Events of known names, what they carry, and the other names by which they go; lists such as `[:req_llm, :request,
:stop]`, slashes and colons are read as dots. `tele.event` records the name on the left, and keeps what was written.

"""
    return head + table() + "\n"


def aggregations() -> str:
    """The named aggregations, with their SQL."""
    from tele.analysis.aggregations import AGGREGATIONS
    from tele.analysis.aggregations.catalogue import table

    head = """# Named aggregations

Each figure of `tele analyze` comes from one of these questions to the log. What stands in braces is filled in:
`{requests}` is a relation with its condition, `{keys}` the columns to group by, `{by}` their names. `tele analyze
EXPERIMENT --detail all --sql` prints them as they run. Columns that end in `_ns` are nanoseconds since the epoch, in
`_ms` milliseconds, in `_usd` US dollars.

"""
    parts = [f"## {each.name}\n\n```sql\n{each.sql.strip()}\n```\n" for each in AGGREGATIONS.values()]
    return head + table() + "\n\n" + "\n".join(parts)


PAGES = {
    "aggregations.md": aggregations,
    "events.md": events,
    "columns.md": columns,
    "views.md": views,
    "commands.md": commands,
    "journal-line.schema.json": journal_line,
}


def main() -> None:
    """Write the pages to the folder given, else to docs/reference."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "reference"
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page())


if __name__ == "__main__":
    main()
