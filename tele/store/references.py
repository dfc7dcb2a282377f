"""Which rows refer to which bodies in blobs/."""

from __future__ import annotations

__all__ = ["REFERENCES", "references_in"]

_NAMED = r'"\$blob":"([0-9a-f]{64})"'

# A whole input or output is `blob:` and the hash; within JSON a long value is {"$blob": hash, ...}. What only looks
# like a reference, in a text that quotes one, keeps a body that could go: the safe side.
_WHOLE = "SELECT substr(%s, 6) AS blob, experiment_id, run_id, start_ns FROM %s WHERE starts_with(%s, 'blob:')"
_WITHIN = f"""SELECT unnest(regexp_extract_all(%s, '{_NAMED}', 1)) AS blob, experiment_id, run_id, start_ns
    FROM %s WHERE contains(%s, '"$blob"')"""
_PLACES = [
    *((_WHOLE, column) for column in ("input", "output")),
    *((_WITHIN, column) for column in ("input", "output", "attributes", "resource", "links")),
]


def references_in(table: str) -> str:
    """Query of every reference in `table`: `blob` (SHA-256), `experiment_id`, `run_id`, `start_ns` of the row."""
    return "\n    UNION ALL ".join(query % (column, table, column) for query, column in _PLACES)


REFERENCES = references_in("events_raw")
"""Query of every reference in the store."""
