"""Any file that DuckDB reads, mapped by one SELECT over `source` whose columns are columns of `events`.

The SQL runs in an in-memory DuckDB of its own in which only that file can be read, nothing written and no setting
changed. Values are cast in SQL to the column's type; a value that does not fit makes its row a Problem.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tele.errors import BadInput, BadQuery
from tele.store.columns import BY_NAME
from tele.telemetry.families import WRITTEN, resolve
from tele.telemetry.ingest.detect import Content, content
from tele.telemetry.ingest.record import Place, Problem, Record, RecordError

if TYPE_CHECKING:
    import duckdb

__all__ = ["NAME", "rows"]

NAME = "select"

BATCH = 1000
_REFUSED = frozenset({"experiment", "experiment_id", "writer", "seq"})
"""Columns that the store fills; one ingest goes into one experiment, so that reading a file again finds its rows."""
_TIMES = {"time": "start_ns", "end_time": "end_ns"}
_COLUMNS = tuple(name for name in BY_NAME if name not in _REFUSED)
_JSON = frozenset(name for name in _COLUMNS if BY_NAME[name].json)
_IDS = {"trace_id": 32, "span_id": 16, "parent_id": 16}
_OPENING = frozenset("{[")
_NOTHING: tuple[object, ...] = ([], {})
_KINDS = ("span", "event", "metric")
_HEX = re.compile("[0-9a-f]+")
_LOCK = (
    "SET temp_directory = ''",  # must come before external access is off
    "SET threads = 1",  # each thread holds row groups of its own, and who takes the rows is slower than one
    "SET allowed_directories = []",
    "SET enable_external_access = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET python_scan_all_frames = false",
    "SET TimeZone = 'UTC'",
    "SET lock_configuration = true",
)


def rows(path: Path, sql: str, place: Place) -> Iterator[Record | Problem]:
    """Give one record for each row that `sql` selects from the file at `path`, which it knows as `source`.

    `kind` defaults to `span`, `time` and `end_time` become `start_ns` and `end_ns`. Raises BadQuery where the SQL does
    not run and BadInput where a column is not one of `events`.
    """
    import duckdb

    found = content(path)
    if found.kind == "empty":
        yield place.problem("the file is empty")
        return
    with _plainly_named(path) as named, contextlib.closing(duckdb.connect(":memory:")) as database:
        _open_only(database, named, found)
        try:
            columns = _described(database, sql)
            database.execute(_mapped(columns, sql))
            yield from _records(database, columns, place)
        except duckdb.Error as error:
            raise BadQuery(str(error).replace(str(named), path.name)) from error


def _open_only(database: duckdb.DuckDBPyConnection, path: Path, found: Content) -> None:
    import duckdb

    text = str(path).replace("'", "''")
    packed = ", compression = 'gzip'" if found.packed else ""
    scan = {"parquet": f"read_parquet('{text}')", "json": f"read_json_auto('{text}'{packed})"}.get(
        found.kind, f"read_csv_auto('{text}'{packed})"
    )
    try:
        database.execute(f"SET allowed_paths = ['{text}']")
        for setting in _LOCK:
            database.execute(setting)
        database.execute(f"CREATE VIEW source AS FROM {scan}")
    except duckdb.Error as error:
        raise BadInput(f"{path} cannot be read as {_called(found)}: {error}") from error


def _called(found: Content) -> str:
    return {"parquet": "Parquet", "json": "JSON"}.get(found.kind, "CSV")


@contextlib.contextmanager
def _plainly_named(path: Path) -> Iterator[Path]:
    """Give a path that DuckDB does not take for a pattern."""
    whole = path.resolve()
    if not set("*?[") & set(str(whole)):
        yield whole
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder).resolve() / "source"
        link.symlink_to(whole)
        yield link


def _described(database: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Give name and type of each selected column; raises BadInput for one that `events` does not have."""
    import duckdb

    statements = database.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise BadInput("--select takes one SELECT statement over `source`.")
    described = database.execute(f"DESCRIBE ({_bare(sql)}\n)").fetchall()
    columns: dict[str, str] = {}
    for name, kind, *_ in described:
        if name not in _COLUMNS:
            raise BadInput(f"--select gives a column {name!r}, and `events` has none that it may fill.{_hint(name)}")
        if name in columns:
            raise BadInput(f"--select gives the column {name!r} twice.")
        columns[name] = str(kind)
    for name, number in _TIMES.items():
        if name in columns and number in columns:
            raise BadInput(f"--select gives both {name} and {number}: give one of them.")
    return columns


def _hint(name: str) -> str:
    if name == "experiment":
        return " Name the experiment with --experiment."
    near = difflib.get_close_matches(name, _COLUMNS, 3)
    return f" Nearest: {', '.join(near)}." if near else ""


def _bare(sql: str) -> str:
    """Leave out the semicolon at the end, which a subquery cannot have."""
    return sql.strip().rstrip(";")


def _mapped(columns: dict[str, str], sql: str) -> str:
    """Write the SELECT that casts each column to its type and lists in its last column what did not fit."""
    casts = {name: _cast(name, kind) for name, kind in columns.items()}
    bad = ", ".join(
        f"CASE WHEN {_quoted(name)} IS NOT NULL AND {cast} IS NULL THEN '{name}' END" for name, cast in casts.items()
    )
    fields = ", ".join(f"{cast} AS {_quoted(name)}" for name, cast in casts.items())
    return f"SELECT {fields}, list_filter([{bad}], lambda x: x IS NOT NULL) FROM (\n{_bare(sql)}\n)"


def _cast(name: str, kind: str) -> str:
    column = _quoted(name)
    if name in _TIMES:
        zoned = kind if kind.startswith("TIMESTAMP") else "TIMESTAMPTZ"
        return f"epoch_ns(TRY_CAST({column} AS {zoned}))"
    if name in _JSON:
        return column if kind == "VARCHAR" else f"CAST(to_json({column}) AS VARCHAR)"
    return f"TRY_CAST({column} AS {BY_NAME[name].type})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the SELECT gives, told apart once for all rows."""

    names: tuple[str, ...]
    """As they stand in a record."""
    json: tuple[tuple[str, bool], ...]
    """Columns of JSON, and whether they came as text."""
    ids: tuple[tuple[str, int], ...]
    """Columns of hex digits, and how many."""
    tags: bool
    success: bool

    @classmethod
    def of(cls, columns: dict[str, str]) -> _Columns:
        """From names and types of the selected columns."""
        json = tuple((name, columns[name] == "VARCHAR") for name in columns if name in _JSON)
        ids = tuple((name, width) for name, width in _IDS.items() if name in columns)
        names = tuple(_TIMES.get(name, name) for name in columns)
        return cls(names, json, ids, "tags" in columns, "success" in columns)


def _records(database: duckdb.DuckDBPyConnection, columns: dict[str, str], place: Place) -> Iterator[Record | Problem]:
    given = _Columns.of(columns)
    number = 0
    while batch := database.fetchmany(BATCH):
        for row in batch:
            number += 1
            try:
                yield _record(given, row)
            except RecordError as error:
                yield place.at(f"row {number}").problem(str(error))


def _record(columns: _Columns, row: Sequence[Any]) -> Record:
    """Make a record of a row, whose last value lists the columns that did not fit."""
    if bad := row[-1]:
        raise RecordError(f"the value of {', '.join(bad)} does not fit the column's type")
    record: Record = {"kind": "span"}
    for name, value in zip(columns.names, row, strict=False):  # the row is longer by that list
        if value is not None:
            record[name] = value
    kind = record["kind"]
    if kind not in _KINDS:
        raise RecordError(f"kind {kind!r} is none of {', '.join(_KINDS)}")
    _take_structures(record, columns)
    _take_ids(record, columns.ids)
    if "name" not in record:
        record["name"] = record.get("operation", kind)
    if kind == "span":
        _complete(record, success_given=columns.success)
    elif kind == "event" and (called := resolve(record["name"])) != record["name"]:
        record["attributes"] = {**record.get("attributes", {}), WRITTEN: record["name"]}
        record["name"] = called
    return record


def _take_structures(record: Record, columns: _Columns) -> None:
    """Put the values of JSON columns in place of their text, and leave out what is empty."""
    for name, as_text in columns.json:
        if name in record and (value := _json(name, record[name], as_text=as_text)) not in _NOTHING:
            record[name] = value
        else:
            record.pop(name, None)
    if columns.tags and not record.get("tags"):
        record.pop("tags", None)


def _json(name: str, text: str, *, as_text: bool) -> Any:
    """Give the value of a JSON column: structures of SQL as they are, text as the object or array that it holds."""
    if as_text and text[:1] not in _OPENING and text.lstrip()[:1] not in _OPENING:
        if name in {"input", "output"}:
            return text
        raise RecordError(f"{name} is not JSON")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if as_text and name in {"input", "output"}:
            return text
        raise RecordError(f"{name} is not JSON") from error
    if name in {"attributes", "resource"} and not isinstance(value, dict):
        raise RecordError(f"{name} is not a JSON object")
    if name == "links" and not isinstance(value, list):
        raise RecordError("links is not a JSON array")
    return value


def _take_ids(record: Record, ids: Sequence[tuple[str, int]]) -> None:
    """Put ids in their form: hex is padded, a UUID loses its dashes, other text is hashed and kept as an attribute."""
    for name, width in ids:
        text = record.get(name)
        if text is None or (len(text) == width and _HEX.fullmatch(text)):
            continue
        bare = text.strip().lower().replace("-", "")
        if len(bare) <= width and _HEX.fullmatch(bare):
            record[name] = bare.zfill(width)
        else:
            record[name] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:width]
            record["attributes"] = {**record.get("attributes", {}), f"source.{name}": text}


def _complete(record: Record, *, success_given: bool) -> None:
    """Add what follows from the row: the end from start and duration, success and status from the error."""
    if "end_ns" not in record and "start_ns" in record and "duration_ms" in record:
        record["end_ns"] = record["start_ns"] + round(record["duration_ms"] * 1e6)
    if not success_given:
        if "error_type" in record or record.get("error_message"):
            record["success"] = False
        elif "duration_ms" in record or "end_ns" in record:
            record["success"] = True
    if "status" not in record:
        record["status"] = "error" if record.get("success") is False else "unset"
