"""The admin of a tenant's site, whose file fields upload directly."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from django_minio_router.direct.admin import DirectUploadMixin

from .models import Album, Document, Photo, StoredFile


@admin.register(Document, Photo)
class StoredFileAdmin(DirectUploadMixin, admin.ModelAdmin):
    list_display = ["title", "filename", "size", "added"]

    def get_readonly_fields(self, request: HttpRequest, obj: StoredFile | None = None) -> list[str]:
        return ["file"] if obj else []

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for stored in queryset:
            stored.delete()  # with its file, which deleting them at once would leave


class PhotoInline(DirectUploadMixin, admin.TabularInline):
    model = Photo
    fields = ["title", "file"]
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Album | None = None) -> bool:
        return False  # they are added and deleted


@admin.register(Album)
class AlbumAdmin(admin.ModelAdmin):
    inlines = [PhotoInline]
