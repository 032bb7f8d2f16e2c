"""What a command says beside its errors, unless ``--verbosity 0`` asks for silence, and what it asks."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class DialogueCommand(BaseCommand):
    verbosity = 1

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.verbosity = options["verbosity"]
        return super().execute(*args, **options)

    def say(self, text: str) -> None:
        if self.verbosity > 0:
            self.stdout.write(text)

    def may_delete(self, what: str) -> bool:
        """Ask the person who runs the command; where nobody can answer, it may not."""
        try:
            return input(f"Delete {what} for good? Type 'yes': ") == "yes"
        except EOFError:
            return False
