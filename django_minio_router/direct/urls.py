"""URLs of the upload view: ``path("uploads/", include("django_minio_router.direct.urls"))``."""

from __future__ import annotations

from django.urls import path

from .views import DirectUploadView

app_name = "minio_router_direct"
urlpatterns = [path("", DirectUploadView.as_view(), name="upload")]
