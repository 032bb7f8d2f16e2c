"""A bucket for each model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from django.core.checks import CheckMessage
from django.utils.deconstruct import deconstructible

from ..exceptions import ModelRequired
from ..messages import invalid_bucket, unmapped_model
from ..naming import bucket_name_problem, bucket_template
from .base import BucketStrategy

if TYPE_CHECKING:
    from django.db.models import Model


@deconstructible(path="django_minio_router.strategies.PerModel")
class PerModel(BucketStrategy):
    """The bucket of a model: from ``buckets`` by label, else from ``template``, else ``default``.

    ``buckets`` maps labels such as ``"docs.Invoice"`` to names. ``template`` may hold ``{app_label}`` and
    ``{model_name}``. The model is the one that the field belongs to: each child of an abstract model has
    its own, a proxy shares its concrete model's, and an inherited field of a multi-table child belongs to
    the parent. ``ModelRequired`` where none of the three gives a bucket.
    """

    def __init__(
        self,
        buckets: Mapping[str, str] | None = None,
        *,
        template: str | None = None,
        default: str | None = None,
        public_read: bool = False,
    ) -> None:
        self.buckets = {label.lower(): bucket for label, bucket in (buckets or {}).items()}
        self.template = template
        self.default = default
        self.public_read = public_read
        if template is not None:
            bucket_template(template)

    def bucket_for(self, model: type[Model] | None) -> str:
        bucket = self._bucket_of(model) if model is not None else self.default
        if bucket is not None:
            return bucket
        if model is None:
            raise ModelRequired(
                f"{self!r} needs a model, and this storage is not bound to a field. Use the storage of a "
                "model's field, bind(field), or give PerModel(default=...) a bucket."
            )
        raise ModelRequired(
            f"{self!r} has no bucket for {model._meta.label}. Add it to the mapping, or give PerModel a "
            "template or a default."
        )

    def _bucket_of(self, model: type[Model]) -> str | None:
        mapped = self.buckets.get(model._meta.label_lower)
        if mapped is not None or self.template is None:
            return mapped or self.default
        return bucket_template(self.template).render(
            {"app_label": model._meta.app_label, "model_name": model._meta.model_name}
        )

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
        found = {*self.buckets.values(), *filter(None, map(self._bucket_of, models))}
        return found | {self.default} if self.default is not None else found

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        for bucket in self.buckets_for(models):
            if bucket_name_problem(bucket):
                yield invalid_bucket(bucket, self)
        for model in models:
            if self._bucket_of(model) is None:
                yield unmapped_model(model, self)
