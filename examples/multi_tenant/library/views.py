from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from django_minio_router import ObjectView

from ..customers.models import Client
from .attempts import attempts
from .forms import DocumentForm, PhotoForm
from .models import Document, Letter, Photo, StoredFile

FORMS = {"photo": PhotoForm, "document": DocumentForm}


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """Show the tenant's files and an upload form."""
    kind = request.POST.get("add")
    forms = {
        name: form(request.POST, request.FILES, request=request) if name == kind else form(request=request)
        for name, form in FORMS.items()
    }
    sent = forms.get(kind)
    if sent is not None and sent.is_valid():
        stored = sent.save()
        messages.success(request, f"Stored {stored.filename} in the bucket {stored.bucket}.")
        # Browsers keep the fragment that the form was sent to unless they are told another one.
        return redirect(reverse("index") + "#content")
    context = {
        "photo_form": forms["photo"],
        "document_form": forms["document"],
        "photos": Photo.objects.all(),
        "documents": Document.objects.all(),
        "letters": Letter.objects.count(),
        "bucket": Photo().bucket,
    }
    return render(request, "library/index.html", context, status=200 if sent is None else 422)


@require_GET
def attempt(request: HttpRequest, schema_name: str) -> HttpResponse:
    """Try to read another tenant's file, and show the result."""
    others = Client.objects.exclude(pk=request.tenant.pk)
    owner = get_object_or_404(others, schema_name=schema_name)
    found = attempts(owner, request.tenant, int(request.get_port()))
    return render(request, "library/attempts.html", {"owner": owner, "attempts": found})


@require_GET
def letters(request: HttpRequest) -> HttpResponse:
    """Show the letters, whether or not they have been moved."""
    return render(request, "library/letters.html", {"letters": Letter.objects.order_by("filename")})


class Download(ObjectView):
    """Let any visitor of the tenant's site download a file under its original name."""

    as_attachment = True

    def has_permission(self, request: HttpRequest, stored: StoredFile) -> bool:
        return True  # the sites have no login; a project checks the user here

    def get_filename(self, stored: StoredFile) -> str:
        return stored.filename


@require_POST
def delete(request: HttpRequest, model: type[StoredFile], pk: uuid.UUID) -> HttpResponse:
    stored = get_object_or_404(model, pk=pk)
    stored.delete()
    messages.success(request, f"Deleted {stored.filename} from the bucket {stored.bucket}.")
    return redirect("index")
