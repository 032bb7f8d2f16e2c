"""The output of the demo: headings, with a check on each line."""

from __future__ import annotations


class Account:
    """Print checks, and collect those that failed."""

    def __init__(self) -> None:
        self.held = 0
        self.failed: list[str] = []
        self.about = ""

    def heading(self, text: str) -> None:
        self.about = text
        print(f"\n{text}")

    def subject(self, text: str, *details: str) -> None:
        """Print the heading of the next checks."""
        self.about = text
        print("\n    ".join([f"\n  {text}", *details]))

    def check(self, who: str, got: object, wanted: object) -> None:
        """Print a result and compare it with the expected one."""
        if got == wanted:
            self.held += 1
            print(f"    ok  {who:<48} {got}")
        else:
            self.failed.append(f"{self.about}: {who}: {got}, and not {wanted}")
            print(f"    NO  {who:<48} {got}, and not {wanted}")
