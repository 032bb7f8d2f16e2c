from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from .models import Domain


def sites(request: HttpRequest) -> dict[str, Any]:
    """Return the tenants, each with the address of its site, and the address of the list of them."""
    port = request.get_port()
    domains = Domain.objects.filter(is_primary=True).select_related("tenant").order_by("tenant__name")
    return {
        "tenant": getattr(request, "tenant", None),
        "sites": [(domain.tenant, f"http://{domain.domain}:{port}/") for domain in domains],
        "list_of_sites": f"http://localhost:{port}/",
    }
