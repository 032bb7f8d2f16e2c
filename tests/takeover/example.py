"""What people do with the example project of the original: ``python example.py '["fill", "look"]'``.

``fill`` adds a row of each model in the admin, ``look`` shows what a visitor gets of each row, and ``delete``
runs the admin's own action on all rows. Anything else is a management command. Prints what each gave, in the
last line.
"""

import io
import json
import sys
import urllib.request

import django
from django.core.management import call_command
from PIL import Image

FILES = {
    "image": "image",
    "genericattachment": "file",
    "publicattachment": "file",
    "privateattachment": "file",
}


def main(steps: list[str]) -> None:
    django.setup()
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["*"]
    done = {"fill": fill, "look": look, "delete": delete}
    print(json.dumps([done[step]() if step in done else command(*step.split()) for step in steps]))


def command(*arguments: str) -> str:
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out, no_color=True)
    except SystemExit as end:
        out.write(f"exit {end.code}")
    return out.getvalue()


def admin():
    from django.contrib.auth.models import User
    from django.test import Client

    browser = Client()
    user, _ = User.objects.get_or_create(username="kim", is_staff=True, is_superuser=True)
    browser.force_login(user)
    return browser


def models():
    from django.apps import apps

    found = apps.get_app_config("DjangoExampleApplication").get_models()
    return sorted(found, key=lambda model: model.__name__)


def fill() -> None:
    from django.contrib.contenttypes.models import ContentType
    from django.core.files.uploadedfile import SimpleUploadedFile

    kind = ContentType.objects.first().pk
    for model in models():
        name = model._meta.model_name
        upload = SimpleUploadedFile(f"{name}.png", picture(), content_type="image/png")
        form = {FILES[name]: upload, "content_type": kind, "object_id": 1}
        answer = post(model, "add/", form)
        assert answer.status_code == 302, answer.content.decode()


def picture() -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (30, 20)).save(drawn, "PNG")
    return drawn.getvalue()


def post(model, page: str, form: dict):
    return admin().post(f"{pages(model)}{page}", form)


def pages(model) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def look() -> list:
    return [seen(row) for model in models() for row in model.objects.order_by("pk")]


def seen(row) -> dict:
    file = getattr(row, FILES[row._meta.model_name])
    page = f"{pages(row)}{row.pk}/change/"
    with urllib.request.urlopen(file.url) as answer:
        body, kind = answer.read(), answer.headers["Content-Type"]
    return {
        "row": [row._meta.model_name, str(row.pk), file.name, file.size],
        "a visitor gets": [kind, body == file.open().read() == picture()],
        "signed": "X-Amz-Signature" in file.url,
        "on its page": file.url.partition("?")[0] in admin().get(page).content.decode(),
    }


def delete() -> list[int]:
    for model in models():
        keys = [str(key) for key in model.objects.values_list("pk", flat=True)]
        answer = post(model, "", {"action": "delete_everywhere", "_selected_action": keys})
        assert answer.status_code == 302, answer.content.decode()
    return [model.objects.count() for model in models()]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
