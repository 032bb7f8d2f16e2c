"""Direct upload in the admin, for models and inlines."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import FileField, ImageField

from ..storage.backend import MinioBackend
from ..storage.router import MinioRouter
from .forms import DirectFileField, DirectFileInput, DirectImageField, bind_fields

if TYPE_CHECKING:
    from django.http import HttpRequest


class DirectUploadMixin:
    """A mixin for a ``ModelAdmin`` or an inline: file fields that use our storages upload directly."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, FileField) and isinstance(db_field.storage, MinioBackend | MinioRouter):
            kind = DirectImageField if isinstance(db_field, ImageField) else DirectFileField
            return db_field.formfield(**{"form_class": kind, "widget": DirectFileInput, **kwargs})
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return _bound(super().get_form(request, obj, **kwargs), request)  # type: ignore[misc]

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)  # type: ignore[misc]
        _bound(formset.form, request)
        return formset

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        formset = super().get_changelist_formset(request, **kwargs)  # type: ignore[misc]
        _bound(formset.form, request)
        return formset


def _bound(form: Any, request: HttpRequest) -> Any:
    """Bind the request to copies of the fields: those of the class are shared by all requests."""
    fields: dict[str, forms.Field] = form.base_fields
    for name, field in fields.items():
        if isinstance(field, DirectFileField):
            fields[name] = copy.deepcopy(field)
    bind_fields(fields, request, form._meta.model)
    return form
