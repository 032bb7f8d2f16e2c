"""A process with one package that measures on request: a line of JSON in, a line out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Concatenate, ParamSpec, TypeVar

from .environments import ROOT
from .workbench import Workbench

P = ParamSpec("P")
R = TypeVar("R")

# The folder comes last, after the package that the environment has, which may be an earlier commit.
_START = f"import sys; sys.path.append({str(ROOT)!r}); from {__name__} import main; main()"


class Worker:
    """A handle on a worker process, which ends with the ``with`` block."""

    def __init__(self, python: str, name: str, environment: Mapping[str, str] = os.environ) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, "-I", "-c", _START, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()

    def measure(
        self, function: Callable[Concatenate[Workbench, P], R], *arguments: P.args, **_: P.kwargs
    ) -> R:
        """Call a function of this package there, with its workbench, and return what it returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = [function.__module__, function.__name__, *arguments]
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"error": "The worker ended."}')
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {order}\n{answer['error']}")
        result: R = answer["result"]
        return result


def main() -> None:
    output, sys.stdout = sys.stdout, sys.stderr  # what a package prints is not an answer
    bench = Workbench(sys.argv[1])
    for line in sys.stdin:
        module, function, *arguments = json.loads(line)
        try:
            answer = {"result": getattr(import_module(module), function)(bench, *arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=output, flush=True)
