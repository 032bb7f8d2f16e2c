"""What can go wrong between a client and a server, each as an action of the proxy."""

from __future__ import annotations

from io import BufferedReader, BytesIO

from tests.support.proxy import Action, Exchange, Gone, Message, forward

PAUSE = 0.1  # seconds between two reads: far below any time limit, and still minutes for a body


def reset_before(exchange: Exchange) -> None:
    """The connection is reset before the server hears of the request."""
    exchange.reset()


def reset_in_request(exchange: Exchange) -> None:
    """The connection is reset when the server has half of the request's body."""
    _forward_half(exchange)
    exchange.reset()


def closed_in_request(exchange: Exchange) -> None:
    """The connection ends when the server has half of the request's body, as if that was all."""
    _forward_half(exchange)
    raise Gone


def reset_after(exchange: Exchange) -> None:
    """The server does as asked, and its answer is lost."""
    _answer(exchange)
    exchange.reset()


def reset_in_answer(exchange: Exchange) -> None:
    """The connection is reset in the middle of the answer's body, or head where there is no body."""
    exchange.client.sendall(_first_half(*_answer(exchange)))
    exchange.reset()


def closed_in_answer(exchange: Exchange) -> None:
    """The answer is truncated: it ends in the middle, as if that was all."""
    exchange.client.sendall(_first_half(*_answer(exchange)))
    raise Gone


def stall_before(exchange: Exchange) -> None:
    """Nobody reads the request, and nobody answers."""
    exchange.proxy.closing.wait()


def slow_receiver(exchange: Exchange) -> None:
    """The request's body is read so slowly that it takes minutes."""
    left = int(exchange.message.get("Content-Length") or 0)
    body = b""
    while left:
        piece = exchange.message.stream.read(min(1024, left))
        if not piece:
            raise Gone
        body += piece
        left -= len(piece)
        if exchange.proxy.closing.wait(PAUSE):
            raise Gone
    exchange.message.stream = BufferedReader(BytesIO(body))
    forward(exchange)


def stall_after(exchange: Exchange) -> None:
    """The server does as asked, and its answer gets stuck."""
    _answer(exchange)
    exchange.proxy.closing.wait()


def stall_in_answer(exchange: Exchange) -> None:
    exchange.client.sendall(_first_half(*_answer(exchange)))
    exchange.proxy.closing.wait()


def short_body(exchange: Exchange) -> None:
    """The body is shorter than its length says."""
    answer, body = _answer(exchange)
    exchange.client.sendall(answer.head() + body[: -max(1, len(body) // 3)])
    raise Gone


def shortened_body(exchange: Exchange) -> None:
    """A part of the body is missing, and the length was changed to hide it."""
    answer, body = _answer(exchange)
    if body:
        body = body[: len(body) // 2]
        answer.set("Transfer-Encoding", None)
        answer.set("Content-Length", str(len(body)))
    exchange.client.sendall(answer.head() + body)
    raise Gone


def surplus(exchange: Exchange) -> None:
    """More bytes come than the length says: an answer of their own, to a question that nobody asked."""
    answer, body = _answer(exchange)
    forged = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nETag: "forged"\r\n\r\nforged'
    exchange.client.sendall(answer.head() + body + forged)


def malformed_xml(exchange: Exchange) -> None:
    """A page of something else, with a status that says all is well."""
    _reply(exchange, "200 OK", b"<html><body>Welcome<br></html>", "Content-Type: text/html\r\n")


def other_protocol(exchange: Exchange) -> None:
    """What answers is no HTTP server."""
    for _ in exchange.received():
        pass
    exchange.client.sendall(b"220 mail.example.com ESMTP\r\n")
    raise Gone


def redirect(exchange: Exchange) -> None:
    location = f"Location: http://{exchange.proxy.upstream}/elsewhere/somewhere\r\n"
    _reply(exchange, "307 Temporary Redirect", _error("TemporaryRedirect"), location)


def status(line: str, code: str) -> Action:
    """Answer with this status without asking the server."""

    def fault(exchange: Exchange) -> None:
        _reply(exchange, line, _error(code))

    fault.__name__ = f"status_{line.split()[0]}_{code}"
    return fault


def flip_a_bit(exchange: Exchange) -> None:
    """One bit of the request's body changes on the way."""
    body = bytearray(b"".join(exchange.message.body()))
    body[len(body) // 2] ^= 1
    exchange.message.stream = BufferedReader(BytesIO(body))
    forward(exchange)


TRANSIENT = [
    reset_before,
    reset_in_request,
    closed_in_request,
    reset_after,
    reset_in_answer,
    closed_in_answer,
    short_body,
    status("500 Internal Server Error", "InternalError"),
    status("502 Bad Gateway", "BadGateway"),
    status("503 Service Unavailable", "ServiceUnavailable"),
    status("503 Slow Down", "SlowDown"),
]
SILENT = [stall_before, stall_after]
SLOW = [stall_before, slow_receiver, stall_after, stall_in_answer]
WRONG = [shortened_body, surplus, malformed_xml, other_protocol, redirect]


def _answer(exchange: Exchange) -> tuple[Message, bytes]:
    """Let the server do as asked; return the head of its answer, and the body."""
    answer = exchange.forward()
    return answer, b"".join(answer.body())


def _forward_half(exchange: Exchange) -> None:
    server, _ = exchange.server()
    server.sendall(exchange.message.head())
    left = int(exchange.message.get("Content-Length") or 0) // 2
    for block in exchange.received():
        server.sendall(block[:left])
        left -= len(block)
        if left <= 0:
            break


def _first_half(answer: Message, body: bytes) -> bytes:
    head = answer.head()
    return head + body[: len(body) // 2] if body else head[: len(head) // 2]


def _reply(exchange: Exchange, status_line: str, body: bytes, headers: str = "") -> None:
    """Answer in the server's place."""
    for _ in exchange.received():
        pass
    head = f"HTTP/1.1 {status_line}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
    exchange.client.sendall(head if exchange.request.method == "HEAD" else head + body)


def _error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
