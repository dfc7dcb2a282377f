"""How a view reads what stands in the attributes of an event."""

from __future__ import annotations

__all__ = ["IDENTITY", "either", "field", "named"]

IDENTITY = (
    "event_id, time, start_ns, trace_id, span_id, experiment, experiment_id, run_id, condition, replicate, item_id"
)
"""SQL: columns that every view of events has."""


def field(name: str, type_: str = "VARCHAR", column: str | None = None) -> str:
    """Return SQL that reads attribute `name` as `type_`; a value that is no such thing reads NULL."""
    text = f"""attributes->>'$."{name}"'"""
    if type_ == "JSON":
        value = f"""attributes->'$."{name}"'"""
    elif type_.endswith("[]"):
        value = f"""TRY_CAST(attributes->'$."{name}"' AS {type_})"""
    else:
        value = text if type_ == "VARCHAR" else f"TRY_CAST({text} AS {type_})"
    return f"{value} AS {column or name}"


def either(name: str, type_: str, *others: str) -> str:
    """Return SQL that reads the first of several attributes that is there, under the name of the first."""
    found = [field(each, type_).rsplit(" AS ", 1)[0] for each in (name, *others)]
    return f"coalesce({', '.join(found)}) AS {name}"


def named(fields: list[str], where: str) -> str:
    """Return a SELECT over `events` of the identity columns and `fields`, each made by `field` or `either`."""
    listed = ",\n    ".join(fields)
    return f"SELECT {IDENTITY},\n    {listed}\nFROM events\nWHERE {where}"
