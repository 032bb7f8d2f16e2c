"""Values that a debug page must not show, though it shows every local variable."""

from __future__ import annotations

from typing import Any


class Hidden(dict[str, Any]):
    """Settings or headers that include keys or signatures; the repr shows names only."""

    def __repr__(self) -> str:
        return f"<{', '.join(self) or 'nothing'}>"
