"""The admin of the public site: the tenants, which the demo makes."""

from __future__ import annotations

from django.contrib import admin

from .models import Client

site = admin.AdminSite()  # a tenant's site has the usual one


@admin.register(Client, site=site)
class ClientAdmin(admin.ModelAdmin):
    list_display = ["name", "schema_name"]
    fields = ["name", "hue"]

    def has_add_permission(self, request):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
