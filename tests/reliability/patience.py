"""Operations that must end: with a result, or with an error that names the server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django_minio_router.exceptions import ServerError

TIME_LIMIT = 2.0  # seconds, for a connection and for an answer
PATIENCE = 60.0  # seconds; far more than all tries together may take, far less than a drip would


@dataclass
class Outcome:
    """What an operation returned or raised."""

    result: Any = None
    error: BaseException | None = None
    hit: int = 0
    """How many requests the fault met."""


def within_patience(run: Callable[[], Any]) -> Outcome:
    """Run it in a thread of its own. Fail when it does not come back."""
    outcome = Outcome()

    def work() -> None:
        try:
            outcome.result = run()
        except BaseException as error:
            outcome.error = error

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the time limit did not hold"
    return outcome


def is_clear(error: BaseException | None, endpoint: str) -> bool:
    """Tell whether it is an error that a project can catch, and that says which server it is about."""
    return isinstance(error, ServerError) and endpoint in str(error)
