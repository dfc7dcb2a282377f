"""The columns of `events`, declared once.

DuckDB, Arrow and polars types, the JSON schema and the reference page derive from this table (`store.schema`); nothing
else in the project lists the columns. Only the standard library is imported: the hot path reads this module.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BY_NAME", "COLUMNS", "NAMES", "SCHEMA_VERSION", "USER_COLUMNS", "Column"]

SCHEMA_VERSION = 1
"""Version of the columns; written into every journal and segment."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `events`."""

    name: str
    type: str
    """DuckDB type."""
    meaning: str
    user: bool = False
    """Whether a keyword of `tele.span` and its like may fill it."""
    json: bool = False
    """Whether it holds JSON text; in a journal line it is a plain JSON value."""
    derived: bool = False
    """Whether a reader computes it; it never stands in a journal line."""
    since: int = 1
    """Schema version that brought it."""


def _c(name: str, type_: str, meaning: str, flags: str = "") -> Column:
    return Column(name, type_, meaning, user="u" in flags, json="j" in flags, derived="d" in flags)


COLUMNS: tuple[Column, ...] = (
    _c(
        "event_id",
        "VARCHAR",
        "unique and time-ordered: UUIDv7 as 32 hex digits; of ingested rows a hash of their content",
    ),
    _c("kind", "VARCHAR", "`span`, `event` or `metric`"),
    _c("name", "VARCHAR", "what happened: `chat gpt-4o`, `ensemble.vote`, `loss`; lifecycle events begin with `tele.`"),
    _c("time", "TIMESTAMPTZ", "start, microseconds, UTC; NULL where a source has none", "d"),
    _c("end_time", "TIMESTAMPTZ", "end, microseconds, UTC; NULL while a span is open", "d"),
    _c("start_ns", "BIGINT", "start, nanoseconds since the epoch"),
    _c("end_ns", "BIGINT", "end, nanoseconds since the epoch"),
    _c("duration_ms", "DOUBLE", "milliseconds by the monotonic clock; NULL while a span is open"),
    _c("trace_id", "VARCHAR", "32 hex digits, the first 12 the time of the trace's first span"),
    _c("span_id", "VARCHAR", "16 hex digits; of an event or metric, the span around it"),
    _c("parent_id", "VARCHAR", "span id of the parent; NULL at a root"),
    _c("conversation_id", "VARCHAR", "session or conversation", "u"),
    _c("experiment", "VARCHAR", "name of the experiment; `default` outside any"),
    _c("experiment_id", "VARCHAR", "`e` and 20 hex digits of the SHA-256 of the NFC name"),
    _c("run_id", "VARCHAR", "one for each `with tele.experiment`"),
    _c("condition", "VARCHAR", "what is compared: baseline, treatment", "u"),
    _c("replicate", "BIGINT", "number of the repetition", "u"),
    _c("item_id", "VARCHAR", "the dataset's item; comparisons pair on it", "u"),
    _c("seed", "BIGINT", "random seed of the call", "u"),
    _c("cluster", "VARCHAR", "items of one source share it (clustered standard errors)", "u"),
    _c("tags", "VARCHAR[]", "free labels", "u"),
    _c("status", "VARCHAR", "`ok`, `error`, `unset` or `open` (started, never ended)"),
    _c("success", "BOOLEAN", "FALSE on an error, TRUE when a span ended otherwise, NULL where unknown", "u"),
    _c("error_type", "VARCHAR", "exception class or the provider's code", "u"),
    _c("error_message", "VARCHAR", "text of the error", "u"),
    _c("operation", "VARCHAR", "`chat`, `embeddings`, `execute_tool`, `invoke_agent`, ... (GenAI conventions)", "u"),
    _c("provider", "VARCHAR", "`openai`, `anthropic`, ... (GenAI conventions)", "u"),
    _c("model", "VARCHAR", "model that answered, else the one asked for", "u"),
    _c("request_model", "VARCHAR", "model asked for", "u"),
    _c("input_tokens", "BIGINT", "tokens read, cached ones included", "u"),
    _c("output_tokens", "BIGINT", "tokens written, reasoning included", "u"),
    _c("cache_read_tokens", "BIGINT", "part of the input that came from the provider's cache", "u"),
    _c("cache_write_tokens", "BIGINT", "part of the input written to the provider's cache", "u"),
    _c("reasoning_tokens", "BIGINT", "part of the output that is reasoning", "u"),
    _c("cost_usd", "DOUBLE", "US dollars; NULL where no price is known, never 0 by default", "u"),
    _c("price_ref", "VARCHAR", "price row and its date, or `source` where the source stated the cost", "u"),
    _c("ttft_ms", "DOUBLE", "time to first token, milliseconds", "u"),
    _c("value", "DOUBLE", "value of a metric"),
    _c("unit", "VARCHAR", "unit of a metric (UCUM)", "u"),
    _c("step", "BIGINT", "training step or position of a metric", "u"),
    _c("input", "VARCHAR", "JSON text of the messages sent, or `blob:SHA256` above 32 KiB", "uj"),
    _c("output", "VARCHAR", "JSON text of the answer, or `blob:SHA256` above 32 KiB", "uj"),
    _c("attributes", "VARCHAR", "JSON object: every other key, as it came", "j"),
    _c("resource", "VARCHAR", "JSON object: OpenTelemetry resource", "j"),
    _c("links", "VARCHAR", "JSON array: OpenTelemetry links", "j"),
    _c("writer", "VARCHAR", "which journal holds or held the record", "d"),
    _c("seq", "BIGINT", "number of the record in that journal"),
)

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
NAMES: tuple[str, ...] = tuple(BY_NAME)
USER_COLUMNS: frozenset[str] = frozenset(column.name for column in COLUMNS if column.user)
