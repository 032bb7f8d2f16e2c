"""What gunicorn serves: each request stores a file and reads others."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from .program import fill, save_and_read


def work(request: HttpRequest, number: int) -> HttpResponse:
    save_and_read(number)
    return HttpResponse(f"{number} is well")


urlpatterns = [path("<int:number>", work)]
application = get_wsgi_application()
fill()
