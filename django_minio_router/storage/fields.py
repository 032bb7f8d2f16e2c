"""File fields that route by the row: the logo of a tenant goes to that tenant, whoever is active."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.files.storage import Storage
from django.db.models import FileField, ImageField, Model
from django.db.models.fields.files import FieldFile, ImageFieldFile
from django.utils.translation import gettext as _

from ..exceptions import ConfigurationError, TenantRequired
from .router import MinioRouter

Owner: TypeAlias = str | Callable[[Model], Any]


class _OwnedFile(FieldFile):
    """A field's file whose storage acts for the tenant that owns the row."""

    @property
    def storage(self) -> Storage:
        field: OwnedField = self.field
        # django-cleanup takes the row away before it deletes, so that the row stays as it is.
        return field.storage_of(self.instance if isinstance(self.instance, Model) else self._made_for)

    @storage.setter
    def storage(self, storage: Storage) -> None:
        """Django sets the field's storage, which knows no row; ours is found anew at each call."""
        self._made_for = self.instance


class _OwnedImageFile(_OwnedFile, ImageFieldFile):
    pass


class OwnedField(FileField):
    """``owner`` names the tenant of a row: a dotted attribute path, a callable of the row, or ``"self"``."""

    attr_class = _OwnedFile

    def __init__(self, *args: Any, owner: Owner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        path = path.replace("django_minio_router.storage.fields", "django_minio_router.fields")
        return name, path, args, {**kwargs, "owner": self.owner}

    def clean(self, value: Any, model_instance: Model | None) -> Any:
        """Let a form show that the owner of a new file is missing, for which saving would raise."""
        if value and not getattr(value, "_committed", True) and model_instance is not None:
            try:
                self.owner_of(model_instance)
            except TenantRequired as error:
                raise ValidationError(_("Choose whose file this is."), code="owner") from error
        return super().clean(value, model_instance)

    def storage_of(self, instance: Model) -> Storage:
        """Return the field's storage, acting for the owner of the row. ``TenantRequired`` without one."""
        if not isinstance(self.storage, MinioRouter):
            raise ConfigurationError(f"{self} routes by its owner, so its storage must be a MinioRouter.")
        return self.storage.on_behalf_of(self.owner_of(instance))

    def owner_of(self, instance: Model) -> Any:
        """Return the tenant that the row belongs to. ``TenantRequired`` without one."""
        if self.owner == "self":
            return instance
        try:
            owner = self.owner(instance) if callable(self.owner) else attrgetter(self.owner)(instance)
        except (ObjectDoesNotExist, AttributeError) as error:
            raise TenantRequired(self._missing(instance)) from error
        if owner is None:
            raise TenantRequired(self._missing(instance))
        return owner

    def _missing(self, instance: Model) -> str:
        return (
            f"{self} stores with the owner {self.owner!r}, and {instance._meta.label} "
            f"{instance.pk or '(not saved)'} has none. Set it before the file is used."
        )


class BucketFileField(OwnedField):
    """A ``FileField`` that stores for the tenant that ``owner`` finds from the row."""


class BucketImageField(OwnedField, ImageField):
    """An ``ImageField`` that stores for the tenant that ``owner`` finds from the row."""

    attr_class = _OwnedImageFile
