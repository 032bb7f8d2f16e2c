"""A serializer field for Django REST framework that converts a receipt to a file for the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import FileField, ImageField
from rest_framework import serializers

from .forms import DirectFileField as FormField
from .forms import DirectImageField as ImageFormField
from .tokens import model_field


class DirectFileField(serializers.FileField):  # type: ignore[misc]
    """Accept the receipt of a direct upload, or an ordinary upload.

    ``field`` is the model field or its label; a model serializer sets it. ``max_size`` is in bytes and
    ``accept`` lists extensions and types as in HTML. The serializer needs the request in its context, which
    generic views provide.
    """

    def __init__(
        self,
        *,
        field: FileField | str | None = None,
        max_size: int | None = None,
        accept: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_field = model_field(field) if isinstance(field, str) else field
        self.limits: dict[str, Any] = {"max_size": max_size, "max_length": kwargs.get("max_length")}
        if accept:
            self.limits["accept"] = list(accept)

    def ticket(self) -> str | None:
        """Return a ticket for a client that is about to upload; None if the user may not."""
        return self._form_field().ticket()

    def to_internal_value(self, data: Any) -> Any:
        try:
            return self._form_field().clean(data)
        except ValidationError as error:
            code = getattr(error, "code", None)
            raise serializers.ValidationError(error.messages, code=code) from error

    def _form_field(self) -> FormField:
        field = self.model_field or self._field_of_serializer()
        made = (ImageFormField if isinstance(field, ImageField) else FormField)(field=field, **self.limits)
        made.bind(self.context["request"])
        return made

    def _field_of_serializer(self) -> FileField | None:
        model = getattr(getattr(self.parent, "Meta", None), "model", None)
        return None if model is None else model._meta.get_field(self.source)
