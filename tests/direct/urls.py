"""A site with the view of direct upload."""

from django.urls import include, path

urlpatterns = [path("uploads/", include("django_minio_router.direct.urls"))]
