from django.urls import path
from django.views.generic import TemplateView

from . import views
from .admin import site

urlpatterns = [
    path("", TemplateView.as_view(template_name="customers/index.html")),
    path("docs/<slug:page>", views.page_of_docs, name="docs"),
    path("admin/", site.urls),
]
