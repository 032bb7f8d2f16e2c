"""A bucket for each model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from django.apps import apps
from django.core.checks import CheckMessage
from django.db.models import Model
from django.utils.deconstruct import deconstructible

from ..bucket_template import bucket_template
from ..exceptions import ConfigurationError, ModelRequired
from ..messages import invalid_bucket, unknown_model, unmapped_model, unrouted_label
from .base import BucketStrategy

_FIELDS = {"app_label", "model_name"}


@deconstructible(path="django_minio_router.strategies.PerModel")
class PerModel(BucketStrategy):
    """The bucket of a model: from ``buckets`` by label, else from ``template``, else ``default``.

    ``buckets`` maps labels such as ``"docs.Invoice"`` to names. ``template`` may contain ``{app_label}`` and
    ``{model_name}``. The model is the one that defines the field: each child of an abstract model has its
    own bucket, a proxy uses its concrete model's, and an inherited field of a multi-table child belongs to
    the parent. Raise ``ModelRequired`` if none of the three gives a bucket.
    """

    def __init__(
        self,
        buckets: Mapping[str, str] | None = None,
        *,
        template: str | None = None,
        default: str | None = None,
        public_read: bool = False,
    ) -> None:
        _refuse_no_mapping(buckets)
        _refuse_no_names([*(buckets or {}).values(), template, default])
        self.buckets = {_label(label): bucket for label, bucket in (buckets or {}).items()}
        self.template = template
        self.default = default
        self.public_read = public_read
        if template is not None:
            _check_fields(template)

    def bucket_for(self, model: type[Model] | None) -> str:
        bucket = self.default if model is None else self._bucket_of(model)
        if bucket is not None:
            return bucket
        if model is None:
            raise ModelRequired(
                f"{self!r} needs a model, but this storage is not bound to a field. Use the storage of a "
                "model's field, bind(field), or give PerModel a default."
            )
        raise ModelRequired(
            f"{self!r} has no bucket for {model._meta.label}. Add it to the mapping, or give PerModel a "
            "template or a default."
        )

    def _bucket_of(self, model: type[Model]) -> str | None:
        meta = model._meta
        label = meta.label_lower
        if label in self.buckets:
            return self.buckets[label]
        if self.template is None:
            return self.default
        return bucket_template(self.template).render(
            {"app_label": meta.app_label, "model_name": meta.model_name}
        )

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
        found = {*self.buckets.values(), *filter(None, map(self._bucket_of, models))}
        return found | {self.default} if self.default is not None else found

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        for bucket in self.buckets_for(models):
            yield from invalid_bucket(bucket, self)
        for model in models:
            if self._bucket_of(model) is None:
                yield unmapped_model(model, self)
        routed = {model._meta.label_lower for model in models}
        for label in sorted(self.buckets.keys() - routed):
            yield unrouted_label(label, self) if _exists(label) else unknown_model(label, self)


def _refuse_no_mapping(buckets: object) -> None:
    if buckets is not None and not isinstance(buckets, Mapping):
        raise ConfigurationError(
            f"PerModel maps labels to buckets, but {buckets!r} is not a mapping. Write "
            "{'app_label.ModelName': 'bucket'}, or template=... for a pattern."
        )


def _refuse_no_names(names: Iterable[object]) -> None:
    for name in names:
        if name is not None and not isinstance(name, str):
            raise ConfigurationError(f"PerModel got {name!r} for a bucket. Use a bucket name, a string.")


def _label(label: str) -> str:
    """Return the label in the form of ``label_lower``. ``ConfigurationError`` if it is malformed."""
    parts = label.split(".") if isinstance(label, str) else []
    if len(parts) != 2 or not all(part.isidentifier() for part in parts):
        raise ConfigurationError(
            f"PerModel maps {label!r}, which is not a model label. Write 'app_label.ModelName'."
        )
    app_label, model_name = parts
    return f"{app_label}.{model_name.lower()}"


def _check_fields(template: str) -> None:
    unknown = set(bucket_template(template).fields) - _FIELDS
    if unknown:
        raise ConfigurationError(
            f"The bucket template {template!r} of PerModel uses {sorted(unknown)}. Use {{app_label}} and "
            "{model_name} only."
        )


def _exists(label: str) -> bool:
    try:
        apps.get_model(label)
    except LookupError:
        return False
    return True
