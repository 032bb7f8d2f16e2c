"""What people do with the project, in one process: ``python journey.py '[["manage", "migrate"], ...]'``.

A step is a management command, or something done in the admin to the row with a title: ``["upload", TITLE]``,
``replace``, ``clear`` and ``look``. Prints what each gave: what a command wrote, or what the admin shows then
and what a visitor gets who follows the links.
"""

import io
import json
import re
import sys
import urllib.error
import urllib.request

import django
from django.core.management import call_command
from PIL import Image

FIELDS = ("public", "private", "lazy", "image", "plain")


def main(steps: list[list[str]]) -> None:
    django.setup()
    done = [command(*rest) if step == "manage" else in_admin(step, *rest) for step, *rest in steps]
    print(json.dumps(done))


def command(*arguments: str) -> str:
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out, no_color=True)
    except SystemExit as end:
        out.write(f"exit {end.code}")
    return out.getvalue()


def in_admin(step: str, title: str) -> dict:
    from attachments.models import Attachment
    from django.contrib.auth.models import User
    from django.test import Client

    browser = Client()
    user, _ = User.objects.get_or_create(username="kim", is_staff=True, is_superuser=True)
    browser.force_login(user)
    row = Attachment.objects.filter(title=title).first()
    if step != "look":
        page = f"/admin/attachments/attachment/{f'{row.pk}/change' if row else 'add'}/"
        answer = browser.post(page, {"title": title, **form(step)})
        errors = re.findall(r"errorlist.*?</ul>", answer.content.decode(), re.DOTALL)
        assert answer.status_code == 302, errors
    row = Attachment.objects.get(title=title)
    shown = browser.get(f"/admin/attachments/attachment/{row.pk}/change/").content.decode()
    files = {field: seen(getattr(row, field), shown) for field in FIELDS}
    return {**files, "size": [row.width, row.height]}


def form(step: str) -> dict:
    return {f"{field}-clear": "on" for field in FIELDS} if step == "clear" else uploads(step)


def uploads(step: str) -> dict:
    from django.core.files.uploadedfile import SimpleUploadedFile

    picture = io.BytesIO()
    Image.new("RGB", (30, 20) if step == "upload" else (8, 4)).save(picture, "PNG")
    texts = {field: SimpleUploadedFile(f"{field}.txt", f"{field} {step}".encode()) for field in FIELDS}
    return {**texts, "image": SimpleUploadedFile("image.png", picture.getvalue(), content_type="image/png")}


def seen(file, page: str) -> dict | None:
    if not file:
        return None
    with file.open() as opened:
        read = opened.read()
    url = file.url
    status, kind, body = fetch(url)
    return {
        "name": file.name,
        "size": file.size,
        "signed": "X-Amz-Signature" in url,
        "link": [status, kind, body == read],
        "plain link": fetch(url.partition("?")[0])[0],
        "content": "picture" if read.startswith(b"\x89PNG") else read.decode(),
        "on the page": url.partition("?")[0] in page,
    }


def fetch(url: str) -> tuple[int, str, bytes]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, "", b""


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
