"""A strategy whose answer a test chooses, right or wrong."""

from __future__ import annotations

from typing import Any

from django_minio_router.strategies import BucketStrategy


class Answers(BucketStrategy):
    """Gives back what it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def bucket_for(self, model: Any) -> Any:
        return self.answer

    def buckets_for(self, models: Any) -> Any:
        return [self.answer]
