"""Python processes that are forked from one which has Django imported, in a fifth of the time of a new one.

Each has arguments, an environment, a folder and streams of its own, and imports django_minio_router and the
project itself. What a test says of the start of an interpreter, or of imports, needs a real one.

Run as a script, this is that process: ``forked_python.py FOLDER``. The folder, for its socket, goes with it.
It needs nothing but the standard library, so that any interpreter with Django can run it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import types
from contextlib import suppress
from typing import Any, NoReturn

PRELOADED = [
    "concurrent.futures.thread",
    "doctest",
    "email.mime.multipart",
    "html.parser",
    "http.cookies",
    "sqlite3",
    "ssl",
    "unittest.mock",
    "uuid",
    "xml.etree.ElementTree",
    "zoneinfo",
    "minio",
    "cachetools",
    "psycopg",
    "PIL.Image",
    "urllib3",
    "django.contrib.auth.hashers",
    "django.contrib.messages",
    "django.contrib.staticfiles.finders",
    "django.contrib.staticfiles.handlers",
    "django.core.cache.backends.locmem",
    "django.core.files.storage",
    "django.core.handlers.wsgi",
    "django.core.mail",
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "django.core.management.commands.shell",
    "django.core.management.commands.test",
    "django.core.management.templates",
    "django.core.serializers.json",
    "django.core.servers.basehttp",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.autodetector",
    "django.db.migrations.executor",
    "django.forms",
    "django.shortcuts",
    "django.template.backends.django",
    "django.template.defaulttags",
    "django.template.loader_tags",
    "django.test.client",
    "django.test.runner",
    "django.test.utils",
    "django.urls",
    "django.utils.translation.trans_real",
    "django.views.generic",
]


Order = dict[str, Any]


def serve(folder: str) -> tuple[Order, list[int]]:
    """Return in each child alone: what it is to do, and its streams."""
    for name in PRELOADED:
        with suppress(Exception):  # an interpreter that has not all of them
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection in a child writes to all memory that it shares
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks what became of a child
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(folder, "socket"))
    listener.listen()
    print("ready", flush=True)
    while listener in select.select([listener, sys.stdin], [], [])[0]:  # until who started it is gone
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return take_order(connection)
        connection.close()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def take_order(connection: socket.socket) -> tuple[Order, list[int]]:
    """Fork once more: one waits, and tells how the other ended."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as sent:
        order = json.loads(sent.readline())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        connection.sendall(b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        with suppress(BrokenPipeError):  # who asked has given up
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    connection.close()
    return order, streams


def become(order: Order, streams: list[int], path: list[str]) -> None:
    """Take over what a new process would have from the one that starts it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path[:] = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *path]
    sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise


def carry_out(arguments: list[str]) -> None:
    """Do what ``python`` does with these arguments."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        sys.path.insert(0, "")
        exec(compile(arguments[1], "<string>", "exec"), vars(main))
    elif arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
        runpy.run_path(arguments[0], run_name="__main__")


def end(code: Any) -> NoReturn:
    """End as a program does, but for taking all modules apart, which takes longer than the rest."""
    if not isinstance(code, (int, type(None))):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit((code or 0) & 0xFF)


def ask(
    address: str, arguments: list[str], environment: dict[str, str], folder: str, streams: list[int],
    timeout: float | None = None,
) -> int:  # fmt: skip
    """Let a fork carry out the arguments; return its exit code, below zero for a signal."""
    order = {"arguments": arguments, "environment": environment, "folder": folder}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [b"x"], streams)
        connection.sendall(json.dumps(order).encode() + b"\n")
        connection.settimeout(timeout)
        with connection.makefile("rb") as answers:
            process = int(answers.readline())
            try:
                return int(answers.readline())
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise


if __name__ == "__main__":
    del sys.path[0]  # this folder
    usual = list(sys.path)
    order, streams = serve(sys.argv[1])
    become(order, streams, usual)
    try:
        carry_out(order["arguments"])
    except SystemExit as leaving:
        end(leaving.code)
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        end(1)
    end(0)
