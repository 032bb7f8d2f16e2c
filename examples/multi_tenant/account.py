"""What the demo prints. Each line below a heading is a check."""

from __future__ import annotations


class Account:
    """Print checks as they are made, and keep those that did not hold."""

    def __init__(self) -> None:
        self.held = 0
        self.failed: list[str] = []
        self.about = ""

    def heading(self, text: str) -> None:
        self.about = text
        print(f"\n{text}")

    def subject(self, text: str, *details: str) -> None:
        """Say what the next checks are about."""
        self.about = text
        print("\n    ".join([f"\n  {text}", *details]))

    def check(self, who: str, got: object, wanted: object) -> None:
        """Print who got what. It has to be what was wanted."""
        if got == wanted:
            self.held += 1
            print(f"    ok  {who:<48} {got}")
        else:
            self.failed.append(f"{self.about}: {who}: {got}, and not {wanted}")
            print(f"    NO  {who:<48} {got}, and not {wanted}")
