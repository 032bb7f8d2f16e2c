"""The tenants of the test project, without schemas unless a test asks for them."""

from __future__ import annotations

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Client(TenantMixin):
    name = models.CharField(max_length=100)

    auto_create_schema = False

    def __str__(self) -> str:
        return self.name


class Branch(Client):
    """A tenant by another name, as an admin of its own may need one."""

    class Meta:
        proxy = True


class Domain(DomainMixin):
    pass
