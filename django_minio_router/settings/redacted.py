"""Values that nobody may read off a debug page, which shows every variable of every function."""

from __future__ import annotations

from typing import Any


class Hidden(dict[str, Any]):
    """Settings or headers, with keys or signatures among them; shown by their names only."""

    def __repr__(self) -> str:
        return f"<{', '.join(self) or 'nothing'}>"
