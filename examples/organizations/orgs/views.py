from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.views.generic import CreateView

from .context import get_current_organization
from .models import Document


class Documents(LoginRequiredMixin, CreateView):
    """The documents of the active organization, and a form for one more."""

    model = Document
    fields = ["file"]
    success_url = "/"

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "instance": Document(organization=get_current_organization())}

    def get_context_data(self, **values: Any) -> dict[str, Any]:
        organization = get_current_organization()
        documents = Document.objects.filter(organization=organization).select_related("organization")
        return super().get_context_data(organization=organization, documents=documents, **values)
