"""Two tenants, their files in two buckets, and who can read them; then the site, until Ctrl-C.

`python3 dev.py demo` starts the servers that this needs. To use servers of yours without it, name
them in MINIO_ENDPOINT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY and DATABASE_URL.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import django
import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler, StaticFilesHandler
from django.core.asgi import get_asgi_application
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

T = TypeVar("T")

HOST = "127.0.0.1"
PORT = 8000
SERVERS = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "DATABASE_URL")


def main() -> int | str:
    """Return the exit code, or a message about a failed step."""
    options = parse()
    missing = [name for name in SERVERS if not os.environ.get(name)]
    if missing:
        return f"{', '.join(missing)}: not set. 'python3 dev.py demo' starts servers and sets them."
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # to be read through a pipe
    os.environ["DJANGO_SETTINGS_MODULE"] = "examples.multi_tenant.settings"
    django.setup()
    serve = asgi_site if options.asgi else site
    with serve(options.port) as port:
        try:
            return tell(port) or (0 if options.once else wait(port))
        except KeyboardInterrupt:
            return 130


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="stop after the account")
    parser.add_argument(
        "--port", type=int, metavar="N", help=f"of the site (default: {PORT}, or a free one if that is taken)"
    )
    parser.add_argument("--asgi", action="store_true", help="serve the site with uvicorn")
    return parser.parse_args()


def tell(port: int) -> str:
    """Print the account. Return a message about failed checks, or None."""
    from . import story  # imports the models, which need the settings
    from .account import Account

    account = Account()
    try:
        story.tell(account, port)
    except story.FAILURES as error:
        return f"\nThe demo failed at {account.about!r}: {type(error).__name__}: {error}"
    if account.failed:
        total = account.held + len(account.failed)
        return "\n  ".join([f"\n{len(account.failed)} of {total} checks did not hold:", *account.failed])
    print(f"\nAll {account.held} checks held.")
    return ""


def wait(port: int) -> int:
    """Keep the site running until Ctrl-C."""
    from .samples import LOGIN, SAMPLES

    addresses = {"localhost": "all tenants"} | {f"{s.schema_name}.localhost": s.name for s in SAMPLES}
    try:
        print("\nThe site:")
        for host, name in addresses.items():
            print(f"  {f'http://{host}:{port}/':<36} {name}")
        print(f"  {'/admin/ on each of them':<36} user {LOGIN}, password {LOGIN}")
        print("Ctrl-C stops it.")
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Do not print requests; Django logs errors."""


@contextmanager
def site(port: int | None) -> Iterator[int]:
    """Serve the project on loopback in threads. Yield the port."""
    server = listen(port, lambda address: ThreadedWSGIServer(address, QuietHandler))
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def asgi_site(port: int | None) -> Iterator[int]:
    """Serve the project on loopback with uvicorn in a thread. Yield the port."""
    listening = listen(port, socket.create_server)
    application = ASGIStaticFilesHandler(get_asgi_application())
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def listen(port: int | None, at: Callable[[tuple[str, int]], T]) -> T:
    """Return what listens on the port; without one on the usual port, or on a free one."""
    try:
        return at((HOST, PORT if port is None else port))
    except (OSError, OverflowError) as error:
        if port is not None:
            cause = str(error).rstrip(".")
            sys.exit(f"The site cannot be served on port {port}: {cause}. Give --port another one.")
    print(f"Port {PORT} is taken; the site gets a free one.")
    return at((HOST, 0))


if __name__ == "__main__":
    sys.exit(main())
