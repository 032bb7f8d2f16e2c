from __future__ import annotations

from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse

DOCS = Path(__file__).parents[3] / "docs"


def page_of_docs(request: HttpRequest, page: str) -> HttpResponse:
    """Show a page of the documentation as it is written; `python3 dev.py docs` makes a site of them."""
    file = DOCS / f"{page}.md"
    if not file.is_file():
        raise Http404
    return HttpResponse(file.read_text(), content_type="text/plain; charset=utf-8")
