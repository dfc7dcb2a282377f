"""Renders the page: one HTML file that carries its data, its script and its style, and asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from tele.analysis.units import duration, money, number
from tele.telemetry.redact import redact
from tele.viewer.encode import pack
from tele.viewer.figures import Figures, figures
from tele.viewer.model import Model, build
from tele.viewer.target import Reader
from tele.viewer.text import visible

__all__ = ["SCRIPTS", "page", "render", "view"]

_BLOCK = 4096
SCRIPTS = (
    *("dom", "words", "data", "list", "traces", "waterfall", "detail", "messages"),
    *("chains", "sieve", "ensembles", "page"),
)
"""Files of the page's script, in the order in which they are joined."""


def page(reader: Reader, target: str) -> str:
    """Return the page of the experiment, run, trace or chain called `target`, as one HTML text.

    Raises `UnknownTarget` with the nearest names, or `BadInput` where the beginning of a trace id fits several.
    """
    model = build(reader, target)
    return render(model, figures(reader, model.target), store=str(reader.path), made=datetime.now(UTC))


def view(reader: Reader, target: str, out: Path) -> Path:
    """Write the page of `target` to `out` in UTF-8 and return `out`; raises what `page` raises."""
    text = page(reader, target)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8", newline="\n")
    return out


def render(model: Model, shown: Figures | None, *, store: str, made: datetime) -> str:
    """Return the HTML of a model; equal arguments give equal pages."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_gate
    )
    environment.filters["visible"] = visible
    script, style = _script(), _asset("static/page.css")
    return environment.from_string(_asset("templates/page.html.j2")).render(
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
        model=model,
        figures=shown,
        facts=_facts(model),
        data=pack(model.data()),
        store=store,
        made=f"{made:%Y-%m-%d %H:%M:%S} UTC",
        version=_version(),
    )


def _facts(model: Model) -> list[tuple[str, str]]:
    """Return the sums over the page, as (name, value), those that say something."""
    totals, starts = model.totals, [start for start in model.traces.start_ms if start is not None]
    first = datetime.fromtimestamp(min(starts) / 1000, UTC) if starts else None
    several = len(model.traces.id) != 1
    facts = [
        ("traces", number(len(model.traces.id)) if several else ""),
        ("duration", "" if several else duration(_milliseconds(model.traces.duration_us[0]))),
        ("spans", number(totals.spans)),
        ("errors", number(totals.errors) if totals.errors else ""),
        ("still open", number(totals.open) if totals.open else ""),
        ("model calls", number(totals.calls) if totals.calls else ""),
        ("tokens", number(totals.input_tokens + totals.output_tokens) if totals.calls else ""),
        ("cost", money(totals.cost_usd) if totals.cost_usd is not None else ""),
        ("began", f"{first:%Y-%m-%d %H:%M} UTC" if first else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _gate(value: object) -> object:
    """Texts in the page itself, without secrets; what is longer is a packed block, which has been cleaned."""
    return redact(value) if type(value) is str and len(value) < _BLOCK else value


def _milliseconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000


def _asset(name: str) -> str:
    return resources.files("tele.viewer").joinpath(name).read_text("utf-8")


def _script() -> str:
    parts = "\n".join(_asset(f"static/{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tele")
    except PackageNotFoundError:
        return "from source"
