"""File fields that route by the row: a tenant's logo goes to that tenant, whichever tenant is active."""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import Any, TypeAlias, cast

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.files.storage import Storage
from django.db.models import FileField, ImageField, Model
from django.db.models.fields.files import FieldFile, ImageFieldFile
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from ..exceptions import ConfigurationError, TenantRequired
from ..tenancy import get_tenancy
from .router import MinioRouter

Owner: TypeAlias = str | Callable[[Model], Any]


READ = "_minio_router_read"  # attribute of a row: the values of its columns when it was read


class OwnedFile(FieldFile):
    """A field file whose storage acts for the tenant that owns the row.

    A stored file belongs to the owner that the row had when it was read, until the row is saved with another.
    """

    stored_for: Any = None  # the result of ``whose()``, if this object stored the file
    row_as_read: Mapping[str, Any] | None = None
    _given: Storage | None = None
    field: BucketFileField
    _committed: bool  # Django's; typeshed lacks it

    def __init__(self, instance: Model, field: BucketFileField, name: str | None) -> None:
        super().__init__(instance, field, name)
        self.stored_for, self.row_as_read = vars(instance).get(_note_of(field)), vars(instance).get(READ)

    @property
    def storage(self) -> Storage:
        if self._given is not None:
            return self._given
        field: BucketFileField = self.field
        # django-cleanup removes the row from the file before it deletes.
        row = self.instance if isinstance(self.instance, Model) else self._made_for
        if not self._committed:
            return field.storage_of(row)
        if self.stored_for is not None:
            return field.router.on_behalf_of(self.stored_for)
        return field.storage_of(field.as_read(row, self.row_as_read))

    @storage.setter
    def storage(self, storage: Storage) -> None:
        """Keep another storage. Django sets the field's, which knows no row: ours is found at each call."""
        self._made_for = self.instance
        if storage is not self.field.storage:
            self._given = storage

    @storage.deleter
    def storage(self) -> None:
        self._given = None

    def save(self, name: str, content: Any, save: bool = True) -> None:
        """Store the content for the owner that the row has now."""
        before, stored = (self.stored_for, self._committed), self.name
        try:
            self._committed = False
            self._note(self.field.whose(self.instance))
            super().save(name, content, save=save)
        except BaseException:
            if self.name == stored:  # else only saving the row failed
                whose, self._committed = before
                self._note(whose)
            raise

    def follow_owner(self) -> None:
        """Copy a stored file to the owner that the row is about to be saved with; the old owner keeps it."""
        field: BucketFileField = self.field
        if self.stored_for is None and field.as_read(self.instance, self.row_as_read) is self.instance:
            return
        old, new = self.storage, field.storage_of(self.instance)
        if cast("MinioRouter", old).backend is cast("MinioRouter", new).backend:
            self._note(field.whose(self.instance))
            return
        with old.open(str(self.name)) as content:
            self.save(posixpath.basename(str(self.name)), content, save=False)

    def _note(self, whose: Any) -> None:
        """Note for whom the file was stored, here and on the row for later file objects."""
        self.stored_for = vars(self.instance)[_note_of(self.field)] = whose

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "stored_for": self.stored_for, "row_as_read": self.row_as_read}


def _note_of(field: FileField) -> str:
    return f"_minio_router_owner_{field.attname}"


class _OwnedImageFile(OwnedFile, ImageFieldFile):
    pass


class BucketFileField(FileField):
    """A ``FileField`` that stores for the tenant that ``owner`` returns for the row.

    ``owner`` is a dotted attribute path, a callable of the row, or ``"self"``.
    """

    attr_class = OwnedFile

    def __init__(self, *args: Any, owner: Owner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        path = path.replace("django_minio_router.storage.fields", "django_minio_router.fields")
        return name, path, args, {**kwargs, "owner": self.owner}

    def clean(self, value: Any, model_instance: Model | None) -> Any:
        """Show a form error if the owner of a new file is missing: saving would raise."""
        if value and not getattr(value, "_committed", True) and model_instance is not None:
            try:
                self.owner_of(model_instance)
            except TenantRequired as error:
                raise ValidationError(_("Choose whose file this is."), code="owner") from error
        return super().clean(value, model_instance)

    def pre_save(self, model_instance: Model, add: bool) -> Any:
        """Copy the file of a row whose owner has changed to the new owner."""
        file: OwnedFile = getattr(model_instance, self.attname)
        if file and file._committed:
            with suppress(TenantRequired):  # without an owner, the file stays where it is
                file.follow_owner()
        return super().pre_save(model_instance, add)

    @property
    def router(self) -> MinioRouter:
        """The field's storage. ``ConfigurationError`` if it does not route."""
        if not isinstance(self.storage, MinioRouter):
            raise ConfigurationError(
                f"{self} routes by its owner, but its storage does not route. Use a MinioRouter."
            )
        return self.storage

    def storage_of(self, instance: Model) -> Storage:
        """Return the field's storage for the owner of the row. ``TenantRequired`` if the row has no owner."""
        return self.router.on_behalf_of(self.owner_of(instance))

    def whose(self, instance: Model) -> Any:
        """Return the owner's key, or the owner if it is not a tenant, to remember whose file it is.

        None for a row that is its own owner, since it may be renamed.
        """
        if self.owner == "self":
            return None
        owner = self.owner_of(instance)
        key = get_tenancy().key_if_any(owner)
        return owner if key is None else key

    def as_read(self, instance: Model, read: Mapping[str, Any] | None) -> Model:
        """Return the row with the owner that it had when it was read: the row itself, unless that changed.

        ``read`` holds the values read with the file, which may be newer than the row, and fewer.
        """
        known, changed = vars(instance), {}
        for name in self._owner_columns:
            before = next((row for row in (read, known.get(READ)) if row and name in row), known)
            if known.get(name) != before.get(name):
                changed[name] = before[name]
        if not changed:
            return instance
        was = copy.copy(instance)
        for name, value in changed.items():
            setattr(was, name, value)
        return was

    @cached_property
    def _owner_columns(self) -> frozenset[str]:
        """The columns of the row that determine its owner; with a callable, any may."""
        if self.owner == "self":
            return frozenset()
        columns = {
            f.name: f.attname for f in self.model._meta.concrete_fields if not isinstance(f, FileField)
        }
        first = self.owner.partition(".")[0] if isinstance(self.owner, str) else ""
        return frozenset([columns[first]] if first in columns else columns.values())

    def owner_of(self, instance: Model) -> Any:
        """Return the tenant that the row belongs to. ``TenantRequired`` if there is none."""
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
            f"{self} stores for the owner {self.owner!r}, but {instance._meta.label} "
            f"{instance.pk or '(not saved)'} has none. Set it before you use the file."
        )


class BucketImageField(BucketFileField, ImageField):
    """An ``ImageField`` that stores for the tenant that ``owner`` returns for the row."""

    attr_class = _OwnedImageFile
