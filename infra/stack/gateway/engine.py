"""The embedded ClickHouse engine: one per process and data directory, one session per connected client."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from infra.stack.gateway.protocol import Setting, header_block
from infra.stack.gateway.results import Columns, add_zones, needs_zones, with_header

# Of clickhouse-local's habits, those that a server does not share; and bounds that keep one query from taking all. To
# map the spool would be to touch its pages anew for every insert.
DEFAULTS = {
    "implicit_select": "0",
    "max_execution_time": "300",
    "max_memory_usage": "4000000000",
    "storage_file_read_method": "'pread'",
}

_CODE = re.compile(r"Code:\s*(\d+)\.\s*(?:DB::Exception:\s*)?(.*)", re.S)
_COMMENT = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|#[! ][^\n]*(?:\n|$)|/\*.*?\*/)+", re.S)
_NAME = r"(?:`(?:[^`\\]|\\.)+`|\"(?:[^\"\\]|\\.)+\"|\w+)"
_INSERT = re.compile(
    rf"INSERT\s+INTO\s+(?:TABLE\s+)?(?P<table>FUNCTION\s+.+?\)|{_NAME}(?:\s*\.\s*{_NAME})?)\s*"
    r"(?P<columns>\([^()]*(?:\([^()]*\)[^()]*)*\))?\s*"
    r"(?P<settings>SETTINGS\s+.+?)?\s*(?:VALUES|FORMAT\s+\w+)\s*;?\s*$",
    re.S | re.I,
)
_FORMAT = re.compile(r"\sFORMAT\s+\w+\s*;?\s*$", re.I)
_UNKNOWN_SETTING, _BAD_ARGUMENTS, _NOT_ENOUGH_SPACE, _SYNTAX_ERROR, _UNKNOWN = 115, 36, 243, 62, 1001
# The types of these are found outside the engine, where they change unseen.
_OUTSIDE = re.compile(r"(?:\bFROM|\bJOIN|,)\s+(?:file|url|s3|remote|executable|merge|cluster)\w*\s*\(", re.I)
_REMEMBERED_SHAPES, _REMEMBERED_CHARACTERS = 256, 20_000
_KEPT_BYTES = 64 * 1024 * 1024  # of a spool between two inserts
_SPOOLS = 4  # of a session, each for the inserts into one table
_ROWS = ("SELECT", "WITH", "(", "FROM")
_TABLES = ("SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK")


class EngineError(Exception):
    """The engine refused a query; the code is ClickHouse's own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def of(cls, error: Exception) -> EngineError:
        """Find ClickHouse's code in what the engine raised."""
        found = _CODE.search(str(error))
        return cls(int(found.group(1)), found.group(2)) if found else cls(_UNKNOWN, str(error))


def strip_comments(sql: str) -> str:
    """Drop the comments and blanks before a query's first word."""
    found = _COMMENT.match(sql)
    return sql[found.end() :] if found else sql


def _literal(value: str) -> str:
    """Quote a value for SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str) -> str:
    """Quote a name for SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


class Engine:
    """The engine of one data directory."""

    def __init__(self, path: Path, config: Path | None = None) -> None:
        # Heavy, and it must be loaded in the gateway's process only.
        self._factory: Any = importlib.import_module("chdb.session").Session
        self._address = f"{path}?config-file={config}" if config else str(path)
        self._keeper = self._factory(self._address)
        self._marks = (f"client-{number}" for number in itertools.count(1))
        self._spool = path / "gateway-spool"
        shutil.rmtree(self._spool, ignore_errors=True)  # what a killed gateway had not yet acknowledged
        self._spool.mkdir(mode=0o700)
        version, self.timezone = str(self._keeper.query("SELECT version(), timezone()", "TSV")).split()
        major, minor, patch = (int(part) for part in version.split(".")[:3])
        self.version = (major, minor, patch)
        self.schema = object()  # another one whenever a statement may have changed tables, types or settings

    def session(self) -> Session:
        """Open a session with its own database, settings and temporary tables."""
        return Session(self, self._factory(self._address), self._spool, next(self._marks))

    def end(self, mark: str) -> None:
        """Kill what the session of that mark runs; for one thread only. The session gets QUERY_WAS_CANCELLED."""
        try:
            self._keeper.query(f"KILL QUERY WHERE Settings['log_comment'] = {_literal(mark)} ASYNC")
        except Exception as error:
            raise EngineError.of(error) from None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make every session forget what it knows of the schema, before and after a statement that may change it."""
        self.schema = object()
        try:
            yield
        finally:
            self.schema = object()

    def close(self) -> None:
        """Let go of the data directory once every session is closed."""
        self._keeper.close()


class Spool:
    """A file of one session in which the blocks of an insert wait, written over by the next into the same table.

    Pages that are there already take a fifth of the time of new ones, and inserts into one table are about as long.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.NamedTemporaryFile(dir=folder, suffix=".native", buffering=0)  # noqa: SIM115 -- see close
        self.name = self._file.name
        self.size = 0

    def begin(self) -> None:
        """Forget what it held, but not its pages."""
        self.size = 0
        self._file.seek(0)

    def append(self, block: bytes | memoryview) -> None:
        """Write all of it; OSError where the disk is full."""
        with memoryview(block) as rest:
            written = 0
            while written < len(rest):
                written += self._file.write(rest[written:])
        self.size += written

    def end(self) -> None:
        """Cut off what an insert before has left behind this one."""
        self._file.truncate(self.size)

    def rest(self) -> None:
        """Give back what a large insert took beyond ``_KEPT_BYTES``."""
        if self.size > _KEPT_BYTES:
            self._file.truncate(_KEPT_BYTES)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


class Insert:
    """An insert that takes native blocks; leaving it commits, an exception gives it up whole.

    The blocks wait in a file, which bounds memory, and are then selected from it. The engine's own streaming insert
    would be quicker, but it reports success for rows that a table refuses (a constraint, a limit on partitions).
    """

    def __init__(self, session: Session, into: str, columns: tuple[tuple[str, str], ...], spool: Spool) -> None:
        self._session, self._into, self._columns, self._spool = session, into, columns, spool

    def __enter__(self) -> Insert:
        self._spool.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._spool.size:
                self._commit()
        finally:
            self._spool.rest()

    def append(self, block: bytes | memoryview) -> None:
        """Keep a block or a part of one; a full disk is an error of the server."""
        try:
            self._spool.append(block)
        except OSError as error:
            raise EngineError(_NOT_ENOUGH_SPACE, f"The gateway cannot keep the block: {error.strerror}.") from None

    def _commit(self) -> None:
        """Return once the rows are in parts on disk."""
        self._spool.end()
        structure = ", ".join(f"{_identifier(name)} {kind}" for name, kind in self._columns)
        source = f"file({_literal(self._spool.name)}, 'Native', {_literal(structure)})"
        self._session.run(" ".join((self._into, "SELECT * FROM", source)))


class Session:
    """One client's session; used by one thread."""

    def __init__(self, engine: Engine, session: Any, spool: Path, mark: str) -> None:
        self._engine, self._session, self._folder = engine, session, spool
        self._spools: dict[str, Spool] = {}  # by what is inserted into, the one used last at the end
        self._shapes: dict[tuple[object, ...], Columns] = {}
        self._targets: dict[tuple[str, str | None], Columns] = {}  # columns of inserts, known as long as the shapes
        self._shapes_of = engine.schema
        self._applied: dict[str, str] = {}
        self.mark = mark
        self._defaults = {**DEFAULTS, "log_comment": _literal(mark)}
        for name, value in self._defaults.items():
            self.run(f"SET {name} = {value}")

    def close(self) -> None:
        """Drop the session and its temporary tables."""
        for spool in self._spools.values():
            spool.close()
        self._session.close()

    def run(self, sql: str) -> bytes:
        """Run a query to its end and return all of its rows in native form."""
        try:
            return bytes(self._session.query(sql, "Native").bytes())
        except Exception as error:
            raise EngineError.of(error) from None

    def use(self, database: str) -> None:
        """Choose the database."""
        self.run(f"USE {_identifier(database)}")

    def apply(self, settings: Sequence[Setting]) -> None:
        """Make exactly these settings hold for the next query."""
        wanted = {setting.name: setting for setting in settings}
        for name in [name for name in self._applied if name not in wanted]:
            self.run(f"SET {name} = {self._defaults.get(name, 'DEFAULT')}")
            del self._applied[name]
        for name, setting in wanted.items():
            if self._applied.get(name) != setting.value:
                self._set(setting)

    def _set(self, setting: Setting) -> None:
        """Set one setting; one that the engine does not know counts only if the client says so."""
        if not re.fullmatch(r"\w+", setting.name):
            raise EngineError(_UNKNOWN_SETTING, f"Unknown setting {setting.name[:100]!r}. (UNKNOWN_SETTING)")
        try:
            self.run(f"SET {setting.name} = {_literal(setting.value)}")
        except EngineError as error:
            if error.code != _UNKNOWN_SETTING or setting.important:
                raise
            return
        self._applied[setting.name] = setting.value

    def insert_target(self, sql: str) -> re.Match[str] | None:
        """Tell whether the query is an insert whose rows the client sends as blocks."""
        return _INSERT.match(strip_comments(sql))

    def insert_columns(self, target: re.Match[str]) -> tuple[tuple[str, str], ...]:
        """Return names and types of the columns that an insert takes, in its order; asked once while no schema changes.

        To ask takes 10 ms for a table of 130 columns, which a block of a thousand rows need not pay each time.
        """
        self._forget_old_shapes()
        key = target["table"], target["columns"]
        found = self._targets.get(key)
        if found is None:
            found = self._target_columns(*key)
            if not key[0].upper().startswith("FUNCTION"):
                if len(self._targets) >= _REMEMBERED_SHAPES:
                    self._targets.clear()
                self._targets[key] = found
        return found

    def _target_columns(self, table: str, listed: str | None) -> Columns:
        source = f"TABLE {table}" if not listed else " ".join(("(SELECT", listed[1:-1], "FROM", table, ")"))
        try:
            return self._described(source, skip=() if listed else ("MATERIALIZED", "ALIAS", "EPHEMERAL"))
        except EngineError:
            if not listed:
                raise
        kinds = dict(self._described(f"TABLE {table}", skip=("MATERIALIZED", "ALIAS")))
        names = [name.strip().strip('`"') for name in listed[1:-1].split(",")]
        missing = [name for name in names if name not in kinds]
        if missing:
            raise EngineError(16, f"No such column {missing[0]} in table {table}. (NO_SUCH_COLUMN_IN_TABLE)")
        return tuple((name, kinds[name]) for name in names)

    def _described(self, source: str, skip: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """Return the columns that DESCRIBE tells, but for kinds that an insert does not take."""
        try:
            rows = str(self._session.query(f"DESCRIBE {source}", "JSONCompactStringsEachRow"))
        except Exception as error:
            raise EngineError.of(error) from None
        found = [json.loads(line)[:3] for line in rows.splitlines()]
        return tuple((name, kind) for name, kind, default in found if default not in skip)

    def insert(self, target: re.Match[str], columns: tuple[tuple[str, str], ...]) -> Insert:
        """Begin an insert of native blocks."""
        parts = ("INSERT INTO", target["table"], target["columns"], target["settings"])
        return Insert(self, " ".join(part for part in parts if part), columns, self._spool_of(target["table"]))

    def _spool_of(self, table: str) -> Spool:
        """Return the file that inserts into this table use, or the one that was not used for the longest time."""
        spool = self._spools.pop(table, None)
        if spool is None and len(self._spools) >= _SPOOLS:
            spool = self._spools.pop(next(iter(self._spools)))
        self._spools[table] = spool or Spool(self._folder)
        return self._spools[table]

    def fill_external(self, name: str, columns: tuple[tuple[str, str], ...], block: bytes) -> None:
        """Keep a table that the client sent along with its query."""
        definition = ", ".join(f"{_identifier(column)} {kind}" for column, kind in columns)
        self._shapes.clear()
        self.run(f"CREATE TEMPORARY TABLE IF NOT EXISTS {_identifier(name)} ({definition}) ENGINE = Memory")
        into = _identifier(name)
        with Insert(self, f"INSERT INTO {into}", columns, self._spool_of(into)) as insert:
            insert.append(block)

    def drop_external(self, name: str) -> None:
        """Forget a table that came with a query."""
        self.run(f"DROP TEMPORARY TABLE IF EXISTS {_identifier(name)}")

    @staticmethod
    def reads(sql: str) -> bool:
        """Tell whether the query only reads, so that nothing is left half done if it is ended."""
        return strip_comments(sql)[:8].upper().startswith(_ROWS)

    def select(self, sql: str) -> Generator[bytes, None, None]:
        """Run any query; if it returns rows, yield a block of names and types alone, then its blocks as they come."""
        first = strip_comments(sql)[:8].upper()
        if first.startswith(_ROWS):
            yield from self._stream(_FORMAT.sub("", sql))
        elif first.startswith(_TABLES):
            yield from with_header(self.run(_FORMAT.sub("", sql)))
        else:
            with self._engine.changing():
                result = self.run(sql)
            yield from with_header(result)

    def _stream(self, sql: str) -> Iterator[bytes]:
        """Yield the blocks of a query that returns rows, holding one at a time."""
        try:
            columns = self._shape(sql)
        except EngineError as error:
            if error.code != _SYNTAX_ERROR:
                raise
            # Not one query that can stand in brackets: the engine shall say so in the client's own words.
            yield from with_header(self.run(sql))
            return
        yield header_block(columns)
        zones = needs_zones(columns)
        for block in self._blocks(sql):
            yield add_zones(block, columns) if zones else block

    def _blocks(self, sql: str) -> Iterator[bytes]:
        """Yield the blocks as the engine writes them, and stop the query if nobody wants more."""
        try:
            stream = self._session.send_query(sql, "Native")
        except Exception as error:
            failure = EngineError.of(error)
            if failure.code != _BAD_ARGUMENTS or "Streaming" not in str(failure):
                raise failure from None
            yield self.run(sql)
            return
        with closing(stream):
            while (chunk := self._fetch(stream)) is not None:
                yield chunk  # the engine hands out one block at a time

    @staticmethod
    def _fetch(stream: Any) -> bytes | None:
        """Return the next piece of a result."""
        try:
            chunk = stream.fetch()
        except Exception as error:
            raise EngineError.of(error) from None
        return None if chunk is None else bytes(chunk.bytes())

    def _forget_old_shapes(self) -> None:
        """Forget what was known of a schema that may be another one now."""
        schema = self._engine.schema
        if schema is not self._shapes_of:
            self._shapes_of = schema
            self._shapes.clear()
            self._targets.clear()

    def _shape(self, sql: str) -> Columns:
        """Return names and types of a query's result, asked of the engine once while no schema changes."""
        self._forget_old_shapes()
        key = (sql, *sorted(self._applied.items()))
        if found := self._shapes.get(key):
            return found
        columns = self._described(f"({sql.rstrip().rstrip(';')}\n)", skip=())
        if len(sql) <= _REMEMBERED_CHARACTERS and not _OUTSIDE.search(sql):
            if len(self._shapes) >= _REMEMBERED_SHAPES:
                self._shapes.clear()
            self._shapes[key] = columns
        return columns
