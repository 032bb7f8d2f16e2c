#!/usr/bin/env python3
"""Run the demo, the tests, the benchmark, the load, the documentation or servers alone.

Needs Python 3.10 or newer and a package index. The environment is .venv beside this file, with one more
for locust and one for the documentation under .cache. They are made at first use, with uv when uv is on
PATH, else with venv and pip, and again when pyproject.toml changes.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 10)
NEWEST_KNOWN_PYTHON = (3, 14)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENT = "-e.[dev,tenants]"  # an extra, since pip before 25.1 knows no dependency groups
LOCUST = ROOT / ".cache" / "locust"  # apart, as it patches the standard library and brings much along
SITE = ROOT / ".cache" / "docs"  # apart, as only the documentation needs it
PAGES_OF_THE_ROOT = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
# Each takes a file at a time. There is one more than a small machine has cores, as much of a test is waiting.
PROCESSES = ["-n3", "--dist=loadfile", "--no-loadscope-reorder"]
FIRST_WITH_MONITORING = (3, 12)  # before, coverage's tracing loses threads, and their test hangs
COVERAGE = ["-p", "pytest_cov", "--cov", "--cov-report=term", "--cov-fail-under=95"]
CHOSEN = {
    "all": [],
    "quick": ["-m", "not full_scale"],
    "server": ["-m", "not any_server and not full_scale"],
}


def main() -> None:
    command = parse(sys.argv[1:])
    ensure_environment(VENV, REQUIREMENT)
    if command[:2] == ["tools.servers", "tools.load"]:
        ensure_environment(LOCUST, "-e.[load]")
    if command[0] == "zensical":
        ensure_environment(SITE, "-e.[docs]")
        add_pages_of_the_root()
    os.chdir(ROOT)
    # The suite starts hundreds of processes: each would compile what it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # One process from here on, so that Ctrl-C and SIGTERM reach what must stop the servers.
    start = how_to_start(command[0])
    os.execv(start[0], [*start, *command[1:]])


def add_pages_of_the_root() -> None:
    """Copy the pages beside README into a folder of the site that git ignores, and let their links follow."""
    folder = ROOT / "docs" / "project"
    folder.mkdir(exist_ok=True)
    for name in PAGES_OF_THE_ROOT:
        text = (ROOT / name).read_text().replace("](docs/", "](../")
        text = re.sub(r"\]\([A-Z]+\.md", lambda link: link[0].lower(), text)
        (folder / name.lower()).write_text(text)


def how_to_start(tool: str) -> list[str]:
    """Return the start of a command: a script of the environment if there is a dash in it, as in
    lint-imports, else a module."""
    if tool == "zensical":
        return [str(SITE / "bin" / tool)]
    return [str(VENV / "bin" / tool)] if "-" in tool else [str(PYTHON), "-m", tool]


def parse(arguments: list[str]) -> list[str]:
    """Return the module to run in the environment, with its arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_demo(commands)
    add_servers(commands)
    add_test(commands)
    add_bench(commands)
    add_load(commands)
    add_docs(commands)
    add_run(commands)
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "test":
        parser.error("unrecognized arguments: " + " ".join(rest))
    return options.module(options, rest)


def add_demo(commands) -> None:
    text = (
        "Start PostgreSQL and an S3 server, create two tenants, store files for both, print which"
        " bucket each file went to and who can read it, and serve the site until Ctrl-C."
        " The data stays in .cache/demo for the next start. MINIO_ENDPOINT, MINIO_ACCESS_KEY,"
        " MINIO_SECRET_KEY and DATABASE_URL name servers of yours to use instead."
    )
    demo = commands.add_parser("demo", help="two tenants, two buckets, one site", description=text)
    demo.add_argument(
        "--example",
        choices=["multi_tenant", "organizations"],
        default="multi_tenant",
        help="organizations: tenants that are rows, on SQLite (default: multi_tenant)",
    )
    demo.add_argument("--once", action="store_true", help="stop after the account")
    demo.add_argument("--port", type=int, metavar="N", help="serve the site on this port")
    demo.add_argument("--asgi", action="store_true", help="serve it with uvicorn, as an async site")
    demo.set_defaults(module=demo_module)


def demo_module(options, rest: list[str]) -> list[str]:
    data = ROOT / ".cache" / "demo"
    module = ["tools.servers", "--data", str(data), "examples.multi_tenant.demo"]
    if options.example == "organizations":
        database = ["--database", str(data / "organizations.sqlite3")]
        module = [*module[:-1], "--without-postgres", "examples.organizations.demo", *database]
    once = ["--once"] if options.once else []
    port = ["--port", str(options.port)] if options.port is not None else []
    asgi = ["--asgi"] if options.asgi else []
    return [*module, *once, *port, *asgi]


def add_servers(commands) -> None:
    text = (
        "Start PostgreSQL and an S3 server on free ports, print their addresses and keys for the"
        " shell of a project of yours, and leave them up until Ctrl-C."
        " The data stays in .cache/servers for the next start, ports and keys change."
    )
    servers = commands.add_parser("servers", help="the servers alone, to try a project on", description=text)
    data = ["--data", str(ROOT / ".cache" / "servers")]
    servers.set_defaults(module=lambda options, rest: ["tools.servers", *data, "tools.servers.wait"])


def add_test(commands) -> None:
    text = (
        "Run pytest against a real S3 server and a real PostgreSQL, started once for the run."
        " Further arguments go to pytest; without any, three processes share the whole suite."
        " MINIO_ENDPOINT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY and DATABASE_URL name servers of"
        " yours to use instead."
    )
    test = commands.add_parser(
        "test", help="the test suite", description=text, allow_abbrev=False,
        usage="dev.py test [-h] [--server NAME] [--all | --by-server] [PYTEST ARGUMENT]...",
    )  # fmt: skip
    test.add_argument(
        "--server",
        choices=["seaweedfs", "minio", "versitygw", "ceph", "moto"],
        default="seaweedfs",
        help="the S3 server (default: seaweedfs); minio and versitygw are $MINIO_BIN and $VERSITYGW_BIN,"
        " on PATH, or built once with Go; ceph wants root and: apt-get install radosgw ceph-mon"
        " ceph-osd; moto wants: pip install 'moto[s3,server]'",
    )
    which = test.add_mutually_exclusive_group()
    which.add_argument(
        "--all", dest="which", action="store_const", const="all", default="quick",
        help="also at full scale, and, from Python 3.12 on, the line coverage must reach 95 %%",
    )  # fmt: skip
    which.add_argument(
        "--by-server", dest="which", action="store_const", const="server", help="what differs by S3 server"
    )
    test.set_defaults(module=test_module)


def test_module(options, rest: list[str]) -> list[str]:
    whole = [*PROCESSES, *CHOSEN[options.which]]
    if options.which == "all" and numbers(usable_python()[1]) >= FIRST_WITH_MONITORING:
        whole += COVERAGE
    return ["pytest", "--server", options.server, *(rest or whole)]


def add_bench(commands) -> None:
    bench = commands.add_parser(
        "bench", help="the benchmark", description="Measure the package on a real S3 server."
    )
    which = bench.add_mutually_exclusive_group()
    for option, text in (("--short", "fewer rounds, rougher numbers"), ("--downloads", "streaming alone")):
        which.add_argument(option, dest="which", action="append_const", const=option, default=[], help=text)
    which.add_argument("--before", metavar="COMMIT", help="beside that commit of this package, in turn")
    bench.set_defaults(module=bench_module)


def bench_module(options, rest: list[str]) -> list[str]:
    beside = ["--before", options.before] if options.before else []
    return ["tools.servers", "tools.benchmarks", *options.which, *beside]


def add_load(commands) -> None:
    text = (
        "Let visitors of several tenants upload, look, download and delete at the site of the demo under"
        " gunicorn, and compare whatever they get. Fails on any other answer, on a file that is lost, and"
        " when the site's processes grow."
    )
    load = commands.add_parser("load", help="visitors at the demo's site", description=text)
    load.add_argument("--minutes", type=float, default=1, metavar="N", help="how long (default: 1)")
    load.set_defaults(module=load_module)


def load_module(options, rest: list[str]) -> list[str]:
    seconds = str(round(options.minutes * 60))
    return ["tools.servers", "tools.load", "--seconds", seconds, "--locust", str(LOCUST / "bin" / "python")]


def add_docs(commands) -> None:
    docs = commands.add_parser(
        "docs",
        help="the site of the documentation",
        description="Build the site of the documentation, and serve it until Ctrl-C.",
    )
    docs.add_argument(
        "--strict", action="store_true", help="only build it, in .cache/site, and fail on a warning"
    )
    docs.set_defaults(
        module=lambda options, rest: ["zensical", *(["build", "--strict"] if options.strict else ["serve"])]
    )


def add_run(commands) -> None:
    run = commands.add_parser(
        "run",
        help="a tool of the environment",
        description="Run a module or a script of the environment: run ruff check, run lint-imports.",
    )
    run.add_argument("tool", metavar="TOOL")
    run.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER)
    run.set_defaults(module=lambda options, rest: [options.tool, *options.arguments])


def ensure_environment(folder: Path, requirement: str) -> None:
    """Make the environment, or bring it up to date, unless its stamp says that it already is."""
    python, version = usable_python()
    base = f"{python} {version} {ROOT}"  # the editable install points to this very folder
    stamp = base + "\n" + hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    made_from = folder / "made-from.txt"
    if read(made_from) == stamp:
        return
    if not os.access(str(ROOT), os.W_OK):
        sys.exit(f"{ROOT} is not writable, so {folder.name} cannot be made there. Clone it elsewhere.")
    with only_one_process():
        if read(made_from) != stamp:
            install(folder, requirement, python, version, anew=not read(made_from).startswith(base + "\n"))
            made_from.write_text(stamp)


def install(folder: Path, requirement: str, python: str, version: str, *, anew: bool) -> None:
    uv = shutil.which("uv")
    make, fill = with_uv(folder, uv, python) if uv else with_pip(folder, python)
    tool = "uv" if uv else "venv and pip"
    name = folder.relative_to(ROOT)
    print(f"Making {name} with {tool} for Python {version}; later runs reuse it.", flush=True)
    if anew:
        shutil.rmtree(str(folder), ignore_errors=True)
        run(make)
    run([*fill, "--quiet", requirement])


def with_uv(folder: Path, uv: str, python: str) -> tuple[list[str], list[str]]:
    """Return the command that makes the environment, and the one that installs into it."""
    if not os.access(os.path.expanduser("~"), os.W_OK):  # where uv would keep its cache
        os.environ.setdefault("UV_CACHE_DIR", str(ROOT / ".cache" / "uv"))
    make = [uv, "venv", "--quiet", "--python", python, str(folder)]
    return make, [uv, "pip", "install", "--compile-bytecode", "--python", str(folder / "bin" / "python")]


def with_pip(folder: Path, python: str) -> tuple[list[str], list[str]]:
    """Return the same two commands. Debian has venv without ensurepip; there pip comes from
    outside."""
    make = [python, "-m", "venv", str(folder)]
    inside = str(folder / "bin" / "python")
    if importable(python, "ensurepip"):
        pip = [inside, "-m", "pip"]
    elif importable(python, "pip"):
        make.insert(3, "--without-pip")
        pip = [python, "-m", "pip", "--python", inside]
    else:
        sys.exit(
            f"{python} can make no environment: it has neither ensurepip nor pip, and uv is not on"
            " PATH. On Debian or Ubuntu: apt install python3-venv. Elsewhere: install uv."
        )
    return make, [*pip, "install", "--disable-pip-version-check"]


def usable_python() -> tuple[str, str]:
    """Return the path and version of this Python, or of a newer one on PATH if this is too old."""
    names = [f"python3.{minor}" for minor in range(NEWEST_KNOWN_PYTHON[1], OLDEST_PYTHON[1] - 1, -1)]
    for found in [sys.executable, *map(shutil.which, names)]:
        # Inside an active environment this finds the interpreter that the environment came from.
        python = os.path.realpath(found) if found else ""
        version = version_of(python) if python else ""
        if version and numbers(version) >= OLDEST_PYTHON:
            return python, version
    sys.exit(
        f"Python 3.10 or newer is needed; this is {sys.version.split()[0]}, and PATH has no newer"
        " one. Install it, or run this file with it: /path/to/python3.12 dev.py ..."
    )


def version_of(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


def importable(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def run(command: list[str]) -> None:
    code = subprocess.run(command, cwd=str(ROOT)).returncode
    if code != 0:
        sys.exit(f"'{' '.join(command)}' failed with exit code {code}; its output is above.")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextlib.contextmanager
def only_one_process():
    """Let a second dev.py wait while the first one makes the environment."""
    import fcntl

    with open(str(ROOT / ".venv.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
