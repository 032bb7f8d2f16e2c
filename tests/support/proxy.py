"""A loopback proxy between a client and the S3 server that counts traffic and injects faults.

    with Proxy("127.0.0.1:9000") as proxy:
        proxy.when(drop_answer, method="PUT")           # once
        proxy.when(without("If-None-Match"), times=None)  # always
        ...                                             # a client that talks to proxy.endpoint
        assert [request.method for request in proxy.requests] == ["PUT", "HEAD"]

An action is a function of the ``Exchange``, so a test may bring its own.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

BLOCK = 64 * 1024
NO_BODY = {204, 304}


class Gone(Exception):
    """One of the two sides ended its connection."""


@dataclass
class Request:
    """One request and, once known, its outcome."""

    method: str
    target: str
    headers: dict[str, str]
    connection: int
    received: int = 0
    """Bytes of its body."""
    sent: int = 0
    """Bytes of the response body sent to the client."""
    status: int = 0

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass
class Message:
    """The head of a request or a response, and the stream of its body."""

    start: str
    headers: list[tuple[str, str]]
    stream: BufferedReader
    has_body: bool = True

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def set(self, name: str, value: str | None) -> None:
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))

    @property
    def status(self) -> int:
        return int(self.start.split(" ", 2)[1])

    def head(self) -> bytes:
        lines = [self.start, *(f"{key}: {value}" for key, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def body(self) -> Iterator[bytes]:
        """Yield the raw body, including chunk framing."""
        if not self.has_body:
            return
        if "chunked" in self.get("Transfer-Encoding").lower():
            yield from self._chunks()
            return
        left = int(self.get("Content-Length") or 0)
        while left:
            block = self.stream.read1(min(left, BLOCK))
            if not block:
                raise Gone
            left -= len(block)
            yield block

    def _chunks(self) -> Iterator[bytes]:
        size = -1
        while size:
            line = self.stream.readline()
            if not line:
                raise Gone
            size = int(line.split(b";")[0], 16)
            yield line + self.stream.read(size + 2)


@dataclass
class Exchange:
    """One request: actions can read it, change it, forward it, or answer instead of the server."""

    proxy: Proxy
    request: Request
    message: Message
    client: socket.socket
    server: Callable[[], tuple[socket.socket, BufferedReader]]

    def forward(self) -> Message:
        """Send the request to the server, and return the response with its body unread."""
        server, stream = self.server()
        with suppress(OSError):  # it may answer before it read all
            server.sendall(self.message.head())
            for block in self.received():
                server.sendall(block)
        answer = read_message(stream)
        while answer is not None and answer.status == 100:  # to a client that asked before it sent its body
            answer = read_message(stream)
        if answer is None:
            raise Gone
        answer.has_body = self.request.method != "HEAD" and answer.status not in NO_BODY
        return answer

    def received(self) -> Iterator[bytes]:
        """Yield the request's body as it arrives; nothing if it was read already."""
        for block in self.message.body():
            self.request.received += len(block)
            self.proxy.received += len(block)
            yield block
        self.message.has_body = False

    def relay(self, answer: Message, *, pause: Callable[[], Any] | None = None) -> None:
        """Send the response to the client."""
        self.request.status = answer.status
        self.send(answer.head(), count=False)
        for block in answer.body():
            self.send(block)
            if pause is not None:
                pause()

    def send(self, data: bytes, *, count: bool = True) -> None:
        if count:
            self.request.sent += len(data)
            self.proxy.sent += len(data)
        self.client.sendall(data)

    def reset(self) -> None:
        """Reset the client's connection (RST), as in a crash."""
        linger = struct.pack("ii", 1, 0)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        raise Gone


Action = Callable[[Exchange], None]


def forward(exchange: Exchange) -> None:
    exchange.relay(exchange.forward())


def reset(exchange: Exchange) -> None:
    """End the connection before the server sees anything."""
    exchange.reset()


def drop_answer(exchange: Exchange) -> None:
    """Let the server handle the request, and close the connection instead of forwarding the response."""
    for _ in exchange.forward().body():
        pass
    exchange.reset()


def stall(exchange: Exchange) -> None:
    """Take the request, and never answer."""
    for _ in exchange.received():
        pass
    exchange.proxy.closing.wait()


def reset_in_request(after: int) -> Action:
    """Close the connection after this many bytes of the request body."""

    def action(exchange: Exchange) -> None:
        for _ in exchange.received():
            if exchange.request.received >= after:
                exchange.reset()

    return action


def cut_answer(after: int) -> Action:
    """Close the connection after this many bytes of the response body."""

    def action(exchange: Exchange) -> None:
        answer = exchange.forward()
        exchange.request.status = answer.status
        exchange.send(answer.head(), count=False)
        left = after
        for block in answer.body():
            exchange.send(block[:left])
            left -= len(block)
            if left <= 0:
                raise Gone

    return action


def without(*names: str) -> Action:
    """Remove headers from the request, as a proxy may that does not know them."""

    def action(exchange: Exchange) -> None:
        for name in names:
            exchange.message.set(name, None)
        forward(exchange)

    return action


def answering(status: int, body: bytes = b"", **headers: str) -> Action:
    """Answer instead of the server, which does not see the request."""

    def action(exchange: Exchange) -> None:
        for _ in exchange.received():
            pass
        exchange.request.status = status
        fields = {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
        head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
        exchange.send(f"HTTP/1.1 {status} Proxy\r\n{head}\r\n".encode(), count=False)
        exchange.send(b"" if exchange.request.method == "HEAD" else body)

    return action


@dataclass
class Rule:
    action: Action
    where: Callable[[Request], bool]
    left: float


@dataclass
class Proxy:
    """Serve until the end of the ``with`` block.

    ``prefix`` is a path that clients put first and the server does not see. With a ``certificate`` (a PEM
    file with its key) clients speak TLS.
    """

    upstream: str
    prefix: str = ""
    certificate: Path | None = None
    host: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    """Connections accepted so far."""
    open_connections: int = 0
    received: int = 0
    """Bytes of request bodies."""
    sent: int = 0
    """Bytes of answers' bodies."""
    closing: threading.Event = field(default_factory=threading.Event)
    _rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sockets: set[socket.socket] = field(default_factory=set)

    def __enter__(self) -> Proxy:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family, backlog=256)
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.endpoint = f"{host}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Refuse new connections and close existing ones, as if the server was stopped."""
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def when(
        self,
        action: Action,
        *,
        method: str | None = None,
        where: Callable[[Request], bool] = lambda request: True,
        times: int | None = 1,
    ) -> None:
        """Apply the action to the next ``times`` matching requests, or to all for None."""

        def matches(request: Request) -> bool:
            return method in (None, request.method) and where(request)

        with self._lock:
            self._rules.append(Rule(action, matches, float("inf") if times is None else times))

    def forget(self) -> None:
        """Reset the counters and remove all faults."""
        with self._lock:
            self.requests.clear()
            self._rules.clear()
            self.connections = self.received = self.sent = 0

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    def _action_for(self, request: Request) -> Action:
        with self._lock:
            self.requests.append(request)
            for rule in self._rules:
                if rule.left > 0 and rule.where(request):
                    rule.left -= 1
                    return rule.action
        return forward

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.open_connections += 1
                number = self.connections
                self._sockets.add(connection)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        upstream: list[tuple[socket.socket, BufferedReader]] = []
        client = connection
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.certificate is not None:
                client = self._with_tls(client)
            with client, client.makefile("rb") as stream:
                while self._exchange(client, stream, upstream, number):
                    pass
        except (OSError, Gone, ValueError):
            pass
        finally:
            for server, answers in upstream:
                answers.close()
                server.close()
            client.close()
            with self._lock:
                self.open_connections -= 1
                self._sockets.discard(connection)

    def _with_tls(self, connection: socket.socket) -> socket.socket:
        assert self.certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        secured = context.wrap_socket(connection, server_side=True)
        with self._lock:
            self._sockets.add(secured)
        return secured

    def _exchange(
        self,
        client: socket.socket,
        stream: BufferedReader,
        upstream: list[tuple[socket.socket, BufferedReader]],
        number: int,
    ) -> bool:
        """Serve one request, and return whether the connection stays open."""
        message = read_message(stream)
        if message is None:
            return False
        method, target, version = message.start.split(" ")
        headers = {key.lower(): value for key, value in message.headers}
        request = Request(method, target, headers, number)
        if self.prefix:
            target = target.removeprefix(self.prefix)
            message.start = f"{method} {target} {version}"

        def server() -> tuple[socket.socket, BufferedReader]:
            if not upstream:
                host, _, port = self.upstream.rpartition(":")
                connection = socket.create_connection((host, int(port)))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                upstream.append((connection, connection.makefile("rb")))
            return upstream[0]

        exchange = Exchange(self, request, message, client, server)
        self._action_for(request)(exchange)
        return headers.get("connection", "").lower() != "close"


def read_message(stream: BufferedReader) -> Message | None:
    """Read the head of a message; None if the connection was closed."""
    start = stream.readline().decode("latin-1").rstrip("\r\n")
    if not start:
        return None
    headers = []
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        key, _, value = line.partition(":")
        headers.append((key, value.strip()))
    return Message(start, headers, stream)
