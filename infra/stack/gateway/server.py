"""The TCP side of the gateway: one thread per client, one engine session per client, bounded in all directions."""

from __future__ import annotations

import contextlib
import hmac
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.stack.gateway import protocol
from infra.stack.gateway.engine import Engine, EngineError, Session
from infra.stack.gateway.native import Block, pass_block, read_block, skip_info
from infra.stack.gateway.protocol import FromClient, Query
from infra.stack.gateway.watch import Watch, readable, send
from infra.stack.gateway.wire import DisconnectedError, ProtocolError, Wire, pack_frame, read_frame

log = logging.getLogger(__name__)

MAX_CLIENTS = 128
GREETING_SECONDS = 10
IDLE_SECONDS = 3600
# Within a query. A client that reads no more keeps its query open, and DROP ... SYNC waits for that.
PATIENCE_SECONDS = 120.0
_RETRY_SECONDS = 0.1
_READ_BYTES = 256 * 1024
_AUTHENTICATION_FAILED, _TOO_MANY, _TOO_OLD, _CANCELLED = 516, 202, 197, 394


@dataclass(frozen=True, slots=True)
class Access:
    """Who may connect; without a password, everybody who reaches the loopback address."""

    user: str = "default"
    password: str = ""

    def allows(self, user: str, password: str) -> bool:
        """Compare in constant time."""
        same_user = hmac.compare_digest(user.encode(), self.user.encode())
        return hmac.compare_digest(password.encode(), self.password.encode()) and same_user


class Client:
    """One connected client."""

    def __init__(self, sock: socket.socket, engine: Engine, access: Access, watch: Watch, patience: float) -> None:
        self.sock = sock
        self._watch, self._patience = watch, patience
        self._engine = engine
        self._access = access
        self._read = memoryview(bytearray(_READ_BYTES))
        self._wire = Wire(self._receive)

    def _receive(self) -> memoryview:
        """Return what has come, until the next call; nothing where the client left."""
        return self._read[: self.sock.recv_into(self._read)]

    def serve(self) -> None:
        """Greet, then answer until the client leaves or sends nonsense."""
        session = self._greet()
        if session is None:
            return
        with contextlib.closing(session):
            while True:
                self._wire.compact()
                self.sock.settimeout(IDLE_SECONDS)
                packet = self._wire.varint()
                self.sock.settimeout(self._patience)
                self._answer(session, packet)

    def _greet(self) -> Session | None:
        """Check who connects and open a session."""
        self.sock.settimeout(GREETING_SECONDS)
        hello = protocol.read_hello(self._wire)
        if hello.revision < protocol.OLDEST_CLIENT:
            self._refuse(_TOO_OLD, f"Client revision {hello.revision} is too old. (CLIENT_TOO_OLD)")
            return None
        if not self._access.allows(hello.user, hello.password):
            message = "Authentication failed: user name or password is wrong. (AUTHENTICATION_FAILED)"
            self._refuse(_AUTHENTICATION_FAILED, message)
            return None
        session = self._engine.session()
        try:
            if hello.database:
                session.use(hello.database)
        except EngineError as error:
            session.close()
            self._refuse(error.code, str(error))
            return None
        send(self.sock, protocol.hello("ClickHouse", self._engine.version, self._engine.timezone))
        return session

    def _refuse(self, code: int, message: str) -> None:
        """Say why the connection ends."""
        send(self.sock, protocol.exception(code, message))

    def _answer(self, session: Session, packet: int) -> None:
        """Answer one packet."""
        match packet:
            case FromClient.PING:
                send(self.sock, protocol.PONG)
            case FromClient.QUERY:
                self._run(session, protocol.read_query(self._wire))
            case FromClient.CANCEL:
                pass
            case _:
                raise ProtocolError(f"unexpected packet {packet}")

    def _run(self, session: Session, query: Query) -> None:
        """Run one query; an error of the engine is an answer, not the end of the connection."""
        exchange = Exchange(self.sock, self._wire, query.compressed)
        tables: list[str] = []
        try:
            self._receive_external(session, exchange, tables)
            session.apply(query.settings)
            target = session.insert_target(query.sql)
            if target is None:
                self._select(session, exchange, query.sql)
            else:
                columns = session.insert_columns(target)
                exchange.send_block(protocol.header_block(columns))
                with session.insert(target, columns) as insert:
                    exchange.pass_on(insert.append)
        except EngineError as error:
            send(self.sock, protocol.exception(error.code, str(error)))
        else:
            send(self.sock, protocol.END_OF_STREAM)
        finally:
            for name in tables:
                with contextlib.suppress(EngineError):
                    session.drop_external(name)

    @staticmethod
    def _receive_external(session: Session, exchange: Exchange, tables: list[str]) -> None:
        """Keep the tables that came along with the query, up to the empty block that ends them."""

        def keep(block: Block) -> None:
            if block.name not in tables:
                tables.append(block.name)
            session.fill_external(block.name, block.columns, block.data)

        exchange.receive(keep)

    def _select(self, session: Session, exchange: Exchange, sql: str) -> None:
        """Send a result block by block, and stop between two blocks if the client wants no more."""
        watched = self._watch.over(self.sock, session.mark) if session.reads(sql) else contextlib.nullcontext()
        with watched, contextlib.closing(session.select(sql)) as blocks:
            try:
                for block in blocks:
                    exchange.send_block(block)
                    if exchange.cancelled():
                        break
            except EngineError as error:
                if error.code != _CANCELLED or not exchange.cancelled():
                    raise


class Exchange:
    """The blocks that go to and fro for one query, in frames if the client wants them compressed."""

    def __init__(self, sock: socket.socket, wire: Wire, compressed: bool) -> None:
        self._sock = sock
        self._wire = wire
        self._compressed = compressed
        self._blocks = Wire(lambda: read_frame(wire)) if compressed else wire

    def send_block(self, block: bytes) -> None:
        """Send one block of the result."""
        body = protocol.with_info(block)
        send(self._sock, protocol.data_head() + (pack_frame(body) if self._compressed else body))

    def receive(self, keep: Callable[[Block], None]) -> None:
        """Pass every block to ``keep`` up to the empty one. If ``keep`` fails, the rest is read and dropped first."""
        failure: EngineError | None = None
        while (block := read_block(self._blocks, self._next())).columns:
            if failure is None:
                try:
                    keep(block)
                except EngineError as error:
                    failure = error
        if failure:
            raise failure

    def pass_on(self, keep: Callable[[memoryview], None]) -> None:
        """Pass the bytes of every block to ``keep`` as they come. If it fails, the rest is read and dropped first."""
        failure: EngineError | None = None

        def piece(read: memoryview) -> None:
            nonlocal failure
            if failure is None:
                try:
                    keep(read)
                except EngineError as error:
                    failure = error

        self._next()
        while pass_block(self._blocks, piece):
            self._next()
        if failure:
            raise failure

    def _next(self) -> str:
        """Read what precedes a block, up to its columns, and return the name of its table."""
        self._wire.compact()
        if (packet := self._wire.varint()) != FromClient.DATA:
            raise ProtocolError(f"packet {packet} where a block of data is due")
        name = self._wire.text(protocol.MAX_NAME_BYTES)
        self._blocks.compact()
        skip_info(self._blocks)
        return name

    def cancelled(self) -> bool:
        """Tell whether the client asked, in mid-result, for no more."""
        if self._wire.pos == len(self._wire.buf) and not readable(self._sock):
            return False
        self._wire.compact()
        if (packet := self._wire.varint()) != FromClient.CANCEL:
            raise ProtocolError(f"packet {packet} in the middle of a result")
        return True


class Server:
    """Accepts clients until it is closed."""

    def __init__(
        self, engine: Engine, host: str, port: int, access: Access, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._engine = engine
        self._patience = patience
        self._access = access
        self._clients: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._listener = socket.create_server((host, port), backlog=128)
        self._watch = Watch(engine.end)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Accept clients; returns after :meth:`close`."""
        while not self._closing:
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if not self._closing:
                    # Out of descriptors, or a client that left again: the next one may find things better.
                    log.error("cannot accept a client: %s", error.strerror)
                    time.sleep(_RETRY_SECONDS)
                continue
            self._welcome(sock)

    def _welcome(self, sock: socket.socket) -> None:
        """Give a client its thread, or say that there are too many."""
        with self._lock:
            if len(self._clients) < MAX_CLIENTS and not self._closing:
                thread = threading.Thread(target=self._attend, args=(sock,), daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    log.error("cannot serve a client: %s", error)
                    sock.close()
                    return
                self._clients[thread] = sock
                return
        with sock, contextlib.suppress(OSError):
            message = f"More than {MAX_CLIENTS} connections. (TOO_MANY_SIMULTANEOUS_QUERIES)"
            sock.sendall(protocol.exception(_TOO_MANY, message))

    def _attend(self, sock: socket.socket) -> None:
        """Serve one client; whatever it sends, the others go on."""
        try:
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Client(sock, self._engine, self._access, self._watch, self._patience).serve()
        except TimeoutError:
            log.info("dropped a client that neither read nor wrote")
        except (DisconnectedError, OSError):
            pass
        except ProtocolError as error:
            log.warning("dropped a client: %s", error)
        except EngineError as error:
            log.warning("dropped a client: the engine says %s: %s", error.code, error)
        except Exception:
            log.exception("dropped a client because of a bug")
        finally:
            with self._lock:
                self._clients.pop(threading.current_thread(), None)

    def close(self, grace: float = 5.0) -> None:
        """Accept no more, hang up, and wait a bounded time for the threads to end."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            clients = dict(self._clients)
        for sock in clients.values():
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in clients:
            thread.join(grace / max(1, len(clients)))
        self._watch.close()
