"""A bucket for each tenant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from inspect import getattr_static
from typing import Any

from django.core.checks import CheckMessage
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.utils.deconstruct import deconstructible

from .. import messages
from ..bucket_template import BucketTemplate, bucket_template
from ..exceptions import ConfigurationError, InvalidBucketName, RoutingError, TenantRequired
from ..tenancy import get_tenancy
from .base import BucketStrategy


class NamedByTenant(BucketStrategy):
    """The base of ``PerTenant`` and ``PerTenantPrefix``: a name that only the active tenant has."""

    keeps_tenants_apart = True

    def __init__(
        self,
        template: str | None = None,
        *,
        field: str | None = None,
        function: Callable[[Any], str] | None = None,
        public: str | None = None,
        public_read: bool = False,
    ) -> None:
        _refuse_wrong(type(self).__name__, template, field, function)
        self.template = template
        self.field = field
        self.function = function
        self.public = public
        self.public_read = public_read
        self._is_key = template is None and field is None and function is None

    @property
    def tenant_template(self) -> BucketTemplate | None:
        template = get_tenancy().key_template if self._is_key else self.template
        return None if template is None else bucket_template(template)

    def _name(self) -> str:
        """Return the name that belongs to the active tenant, and to no other."""
        tenancy = get_tenancy()
        key = tenancy.active_key()
        if key is None:
            return self._public_name()
        template = tenancy.key_template if self._is_key else self.template
        name = None if template is None else _from_key(template, tenancy.key_names, key)
        if name is None:
            name = self._from_row(key)
        if name == self.public:
            raise RoutingError(
                f"{self!r} would give {name!r} both to the tenant {key!r} and to public. Give public a "
                "name that no tenant can have."
            )
        return name

    def _public_name(self) -> str:
        tenancy = get_tenancy()
        tenancy.require()
        if self.public is None:
            raise TenantRequired(
                f"{tenancy.no_tenant_message()}, so there is no bucket for this call. {tenancy.remedy}, or "
                f"give {type(self).__name__}(public=...) a name."
            )
        return self._text(self.public, str(tenancy.shared_key))

    def _from_row(self, key: str) -> str:
        tenant = get_tenancy().active_tenant()
        if self.function is not None:
            return self._text(self.function(tenant), key)
        if self.field is not None:
            return str(self._value(tenant, self.field))
        parsed = bucket_template(str(self.template))
        return parsed.render({field: self._value(tenant, field) for field in parsed.fields})

    def _text(self, name: str, key: str) -> str:
        """Return the name. ``InvalidBucketName`` if it is not a string, or is empty."""
        if not isinstance(name, str) or not name:
            raise InvalidBucketName(
                f"{self!r} gave the name {name!r} for the tenant {key!r}. Return a string that no "
                "other tenant has."
            )
        return name

    def _value(self, tenant: Any, field: str) -> object:
        """Return a field of the tenant row.

        Raise ``RoutingError`` if it is empty, as it may be for many tenants.
        """
        try:
            value = getattr(tenant, field)
        except AttributeError:
            raise ConfigurationError(
                f"{self!r} uses the field {field!r}, which {type(tenant).__name__} does not have."
            ) from None
        if callable(value) or isinstance(value, Model):  # their text may be the same for many tenants
            raise ConfigurationError(
                f"{self!r} uses {field!r} of the tenant, a {type(value).__name__}, which cannot be part of a "
                "name. Use a field with a value; for a relation, its key, such as 'owner_id'."
            )
        if value is None or value == "":
            raise RoutingError(
                f"{self!r} uses the field {field!r}, which is empty for the tenant "
                f"{get_tenancy().key(tenant)!r}. {_remedy(tenant)}"
            )
        return value

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        tenancy = get_tenancy()
        yield from tenancy.check(self)
        if tenancy.problem() is None:
            yield from self._check_fields()
        if self.public is not None:
            yield from messages.invalid_bucket(self.public, self)

    def _check_fields(self) -> Iterable[CheckMessage]:
        model = get_tenancy().model
        used = self._fields()
        wrong = [name for name in used if not _is_value(model, name)]
        for name in wrong:
            yield messages.unknown_tenant_field(name, model, self)
        if used and not wrong and all(_may_be_shared(model, name) for name in used):
            yield messages.shared_tenant_field(used, model, self)

    def _fields(self) -> Sequence[str]:
        """Return the tenant fields that the name is made of; none for a function."""
        if self.template is not None:
            return bucket_template(self.template).fields
        return () if self.field is None else (self.field,)


@deconstructible(path="django_minio_router.strategies.PerTenant")
class PerTenant(NamedByTenant):
    """The bucket of the active tenant; ``TenantRequired`` if none is active, or on the public schema.

    ``template`` may contain fields of the tenant, such as ``{schema_name}``; different values always give
    different, valid names. The default is the tenant's key. ``field`` takes the name from a field of the
    tenant row instead, ``function`` from a callable that takes the row. A stored name, or a template with
    ``{id}``, survives a rename. ``public`` names a bucket for calls without a tenant, such as on the public
    schema.
    """

    one_bucket_per_tenant = True

    def bucket_for(self, model: type[Model] | None) -> str:
        return self._name()

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
        return [self._name()]


def _refuse_wrong(strategy: str, template: str | None, field: object, function: object) -> None:
    """Raise ``ConfigurationError`` unless at most one of the three is given, and is valid."""
    if sum(source is not None for source in (template, field, function)) > 1:
        raise ConfigurationError(
            f"{strategy} got several of template, field and function. Give it one of them."
        )
    if template is not None:
        bucket_template(template)
    if field is not None and not (isinstance(field, str) and field.isidentifier()):
        raise ConfigurationError(
            f"The field {field!r} of {strategy} is not a field name. Name a field of the tenant model."
        )
    if function is not None and not callable(function):
        raise ConfigurationError(
            f"The function {function!r} of {strategy} is not callable. Use a function of the tenant row that "
            "returns a name."
        )


def _is_value(model: type[Model], name: str) -> bool:
    """Return whether rows have a value of that name, not a method, another row or a set of rows."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return hasattr(model, name) and not callable(getattr(model, name))
    return not field.is_relation or name == getattr(field, "attname", None)


def _remedy(tenant: Any) -> str:
    state = getattr(tenant, "_state", None)
    if state is None or not state.adding:
        return "Give it a value."
    return (
        "The row is not saved yet: save it before its file, or name the bucket by a value that exists "
        "before, such as the schema name."
    )


def _may_be_shared(model: type[Model], name: str) -> bool:
    """Return whether rows may have the same value. Nothing is known about a property."""
    for field in model._meta.fields:
        if name in {field.name, field.attname}:
            return not field.unique
    return not hasattr(getattr_static(model, name), "__get__")  # a value of the class


@lru_cache(maxsize=16_384)
def _from_key(template: str, key_names: frozenset[str], key: str) -> str | None:
    """Return the name from the template, or None if it needs other fields than the key."""
    parsed = bucket_template(template)
    if len(parsed.fields) != 1 or parsed.fields[0] not in key_names:
        return None
    return parsed.render({parsed.fields[0]: key})
