from django.contrib import admin
from django.urls import include, path

from . import views
from .models import Document, Letter, Photo

urlpatterns = [
    path("", views.index, name="index"),
    path("admin/", admin.site.urls),
    path("try/<slug:schema_name>", views.attempt, name="try"),
    path("uploads/", include("django_minio_router.direct.urls")),
    path("photos/<uuid:pk>", views.Download.as_view(model=Photo), name="download-photo"),
    path("photos/<uuid:pk>/delete", views.delete, {"model": Photo}, name="delete-photo"),
    path("documents/<uuid:pk>", views.Download.as_view(model=Document), name="download-document"),
    path("documents/<uuid:pk>/delete", views.delete, {"model": Document}, name="delete-document"),
    path("letters/", views.letters, name="letters"),
    path("letters/<uuid:pk>", views.Download.as_view(model=Letter, mode="stream"), name="download-letter"),
]
