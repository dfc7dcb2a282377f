"""Reading a store: one consistent snapshot, in an in-memory DuckDB that can read it and nothing else.

The snapshot is one version of the manifest and, behind its sealed offsets, what the journals held when they were
opened. Whatever is sealed, compacted or written afterwards does not show; nothing that was there is missed or seen
twice.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tele.errors import BadInput, BadQuery
from tele.store import blobs
from tele.store.amend import AMENDED, amended_view
from tele.store.columns import COLUMNS, NAMES
from tele.store.decode import fill, lift, shown
from tele.store.journals import CHUNK_BYTES, Tail, headers, liveness, read_tails
from tele.store.layout import Layout, network_filesystem, open_layout
from tele.store.line import Lines
from tele.store.manifest import Sealed, Segment, State, load
from tele.store.names import experiment_id
from tele.store.nesting import flat, moved
from tele.store.readers import Attendance
from tele.store.schema import empty_select, quoted
from tele.store.segments import verify
from tele.store.views import FLAT_CALLS, view_sql

if TYPE_CHECKING:
    import duckdb

__all__ = ["MEMORY_LIMIT", "Store", "open_store", "refusal"]

MEMORY_LIMIT = "800MB"
"""DuckDB's share; with Python a reader stays below 1 GiB, and spills what is larger."""
_OPENING_LIMIT = "480MB"
"""Its share while the journals are read: then Python and Arrow hold lines as well."""
_FOOTERS_KEPT = 1000
"""Segments up to which the footers are read once and not for every query: one may take 70 kB of memory."""

_LISTING = frozenset({"show", "describe", "information_schema", "duckdb_views", "pragma"})
"""Words of queries that ask which views there are."""


class Store:
    """A store, open for reading: one snapshot of it, taken when it was opened.

    Closes with `close()` or as a context manager. SQL is read-only and reaches nothing outside the store.
    """

    def __init__(self, layout: Layout, *, experiment: str | None = None, memory_limit: str = MEMORY_LIMIT) -> None:
        """Take the snapshot; one that is asked about `experiment` (its name, or its id) alone opens no other segments.

        Where the store has sealed no such experiment, it is the snapshot of everything. `memory_limit` is DuckDB's
        share, such as `4GB`.
        """
        import duckdb

        self.layout = layout
        self.damage: tuple[str, ...] = ()
        """What could not be read, one sentence each."""
        self.positions: dict[str, Sealed] = {}
        """How far each journal was read."""
        self._scratch = Path(tempfile.mkdtemp(prefix="tele-"))
        self._attendance = Attendance(layout)
        try:
            self.state = load(layout)
            self._segments = _concerned(self.state, experiment)
            self._con = duckdb.connect(config={"memory_limit": _OPENING_LIMIT})
            self._con.execute("SET TimeZone = 'UTC'")
            self._con.execute(f"SET temp_directory = {quoted(self._scratch / 'spill')}")
            self._read_tails()
            self._limit(memory_limit)
            self._attendance.at(self.state.n)  # until here no journal may go, however long ago it was sealed
            verify(layout, self._segments)
            self._snapshot()
            self._lock()
        except BaseException:
            self._attendance.close()
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self.layout.root

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Run one SELECT over the views and return DuckDB's relation.

        It has `.pl()`, `.df()`, `.to_arrow_table()`, `.to_arrow_reader()` and `.fetchall()`, and closes with the store.
        Raises BadQuery with DuckDB's message where it does not run or would write.
        """
        import duckdb

        self._define(query)
        try:
            statements = self._con.extract_statements(query)
            # A PIVOT is MULTI: DuckDB first finds the values that become columns.
            kinds = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI)
            if len(statements) != 1 or statements[0].type not in kinds:
                raise BadQuery("The store is read-only: give one SELECT statement.")
            return self._con.sql(query)
        except duckdb.Error as error:
            raise refusal(error) from None

    def rows(self, query: str, params: Sequence[object] | dict[str, object] = ()) -> list[tuple[Any, ...]]:
        """All rows of one query; `?` or `$name` in it stand for `params`. Raises BadQuery."""
        import duckdb

        self._define(query)
        try:
            return self._con.execute(query, params or None).fetchall()
        except duckdb.Error as error:
            raise refusal(error) from None

    def blob(self, reference: str) -> bytes:
        """Body behind a `blob:SHA256` reference; raises UnknownTarget or DamagedFile."""
        return blobs.get(self.layout.blobs, reference)

    @property
    def network(self) -> str | None:
        """Name of the network file system that the store lies on; None on a local disk, where locks can be trusted."""
        return network_filesystem(self.layout.root)

    @cached_property
    def flat_calls(self) -> bool:
        """Whether it is known that no call of a model wraps another, so that `llm_calls` leaves no call out."""
        corrected = (
            [name for (name,) in self._con.execute("SELECT name FROM pragma_table_info('amendments')").fetchall()]
            if self._amended
            else ()
        )
        return not moved(corrected) and flat(self._con, self._segments, tail=bool(self._tail_rows))

    def close(self) -> None:
        """Let go of the snapshot and its temporary files."""
        self._con.close()
        self._attendance.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _define(self, query: str) -> None:
        """Make the views that `query` names: each costs DuckDB a look at every segment, a query names one or two."""
        asked = set(re.findall(r"\w+", query.lower()))
        words = asked | self._undefined.keys() if asked & _LISTING else asked
        for name in [name for name in self._undefined if name in words]:
            statement = self._undefined.pop(name, None)
            if statement is not None:
                if name == "llm_calls" and self.flat_calls:
                    statement = FLAT_CALLS
                elif name in asked and name == "wrappers":  # joins of the log with itself: once is enough
                    statement = statement.replace(" VIEW ", " TABLE ", 1)
                self._define(statement)
                self._con.execute(statement)

    # ── the snapshot ─────────────────────────────────────────────────────────────────────────────────────────────

    def _snapshot(self) -> None:
        con = self._con
        con.execute("CREATE TABLE liveness (writer VARCHAR, process VARCHAR, state VARCHAR)")
        if alive := liveness(self.layout):
            con.executemany("INSERT INTO liveness VALUES (?, ?, ?)", alive)
        con.execute(f"CREATE VIEW events_raw AS {self._raw()}")
        [(found,)] = con.execute(f"SELECT count(*) FROM tail WHERE name = '{AMENDED}'").fetchall()
        # A segment of format 1 does not say how many corrections it holds: there the entries' count has to do.
        counts = (self.state.amendments if s.amendments is None else s.amendments for s in self._segments)
        self._amended = bool(found or any(counts))
        con.execute(f"CREATE VIEW events AS {amended_view(con) if self._amended else 'FROM events_raw'}")
        self._undefined = view_sql()

    def _raw(self) -> str:
        names = ", ".join(f'"{name}"' for name in NAMES)
        parts = [f"SELECT {names} FROM tail"]
        by_version: dict[int, list[Segment]] = {}
        for segment in self._segments:
            by_version.setdefault(segment.schema, []).append(segment)
        for version, segments in sorted(by_version.items()):
            files = ", ".join(quoted(self.layout.root / segment.path) for segment in segments)
            parts.append(f"SELECT {_selected(version)} FROM read_parquet([{files}], hive_partitioning=false)")
        if len(parts) > 1 and not self._tail_rows:
            del parts[0]
        return " UNION ALL ".join(parts)

    def _read_tails(self) -> None:
        """Decode what the journals hold behind the sealed offsets, once, and fold starts and ends into table `tail`.

        The table is DuckDB's: above its memory limit it spills into the private temporary folder.
        """
        self._tail_rows = 0
        odd: list[tuple[str, bytes]] = []
        for version, batch in self._batches():
            if any(lines for _, lines in batch):
                self._tail_rows = 1
                odd += fill(self._con, "read", batch, version=version)
        self.damage += tuple(f"{writer}.jsonl: a line is no record ({shown(line)})" for writer, line in odd)
        if not self._tail_rows:
            self._con.execute(f"CREATE TABLE tail AS {empty_select()}")
            return
        # The record of a span that has ended repeats the whole span; its start stays only where no end is there.
        ends = "SELECT event_id FROM read WHERE kind = 'span' AND status <> 'open'"
        starts = "SELECT max_by(r, seq) AS r FROM read r WHERE status = 'open' GROUP BY event_id"
        self._con.execute(f"""
            CREATE TABLE tail AS
            SELECT * FROM read WHERE status IS DISTINCT FROM 'open'
            UNION ALL SELECT unnest(r) FROM ({starts}) WHERE r.event_id NOT IN ({ends})""")
        self._con.execute("DROP TABLE read")
        [(self._tail_rows,)] = self._con.execute("SELECT count(*) FROM tail").fetchall()

    def _batches(self) -> Iterator[tuple[int, list[tuple[str, Lines]]]]:
        """Lines of about 16 MB at a time, by schema version."""
        carried: dict[int, list[tuple[str, Lines]]] = {}
        for writer, line, version in self.state.opened.values():
            carried.setdefault(version, []).append((writer, Lines.of([line.encode()])))
        yield from carried.items()
        damage = [f"{w}: {why} (offset {at})" for w, j in self.state.journals.items() for at, _, why in j.damage]
        pending: dict[int, list[tuple[str, Lines]]] = {}
        size = 0
        for tail in self._tails():
            where = tail.header.path.name
            damage += [f"{where}: {d.why} (offset {d.offset})" for d in tail.scan.damage]
            pending.setdefault(tail.header.version, []).append((tail.header.writer, tail.scan.lines))
            size += tail.scan.lines.size
            if size > CHUNK_BYTES:
                yield from pending.items()
                pending, size = {}, 0
        yield from pending.items()
        self.damage = tuple(damage)

    def _tails(self) -> Iterator[Tail]:
        for header in headers(self.layout):
            for tail in read_tails(header, self.state.journals.get(header.writer)):
                yield tail
                self.positions[header.writer] = Sealed(header.process, tail.scan.end, tail.scan.next)

    def _limit(self, memory: str) -> None:
        import duckdb

        try:
            self._con.execute(f"SET memory_limit = {quoted(memory)}")
        except duckdb.Error:
            raise BadInput(f"{memory!r} is no amount of memory; give one such as 4GB or 512MB.") from None

    def _lock(self) -> None:
        """Let the connection read the segments and its own scratch, and nothing else (DuckDB's order matters)."""
        for setting in (
            f"parquet_metadata_cache = {str(len(self._segments) <= _FOOTERS_KEPT).lower()}",
            f"allowed_directories = [{quoted(self.layout.segments)}]",
            "enable_external_access = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "allow_community_extensions = false",
            "allow_persistent_secrets = false",
            "lock_configuration = true",
        ):
            self._con.execute(f"SET {setting}")


def open_store(
    path: Path | str | None = None, *, experiment: str | None = None, memory_limit: str = MEMORY_LIMIT
) -> Store:
    """Open the store at `path` (else `$TELE_STORE`, else the nearest `.tele`) for reading; see `Store`.

    Raises NoStore, ForeignStore, NewerFormat, DamagedFile or BadInput.
    """
    return Store(open_layout(path), experiment=experiment, memory_limit=memory_limit)


def refusal(error: duckdb.Error) -> BadQuery:
    """Say why a query did not run, in DuckDB's words: where memory is short, those name settings that are locked."""
    import duckdb

    if isinstance(error, duckdb.OutOfMemoryException):
        return BadQuery(
            "The query needs more memory than the reader may take. Ask for fewer rows or columns, or give it more: "
            '`tele sql --memory 4GB`, `tele.open(memory_limit="4GB")`.'
        )
    return BadQuery(str(error))


def _concerned(state: State, experiment: str | None) -> list[Segment]:
    """Segments that hold rows of `experiment`, or corrections, which may concern it."""
    named = {experiment, experiment_id(experiment)} if experiment is not None else set()
    if not any(segment.experiment_id in named for segment in state.segments.values()):
        return list(state.segments.values())
    return [s for s in state.segments.values() if s.experiment_id in named or s.amendments != 0]


def _selected(version: int) -> str:
    return ", ".join(f'{lift(c, "attributes")} AS "{c.name}"' if c.since > version else f'"{c.name}"' for c in COLUMNS)
