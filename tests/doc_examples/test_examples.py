"""The examples in README.md and docs/ run as they are written."""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import urllib3
from django.http import HttpRequest
from django.test.utils import isolate_apps
from minio import Minio

from django_minio_router.exceptions import ServerError, TenantRequired
from django_minio_router.provisioning.apply import apply_plan
from django_minio_router.provisioning.plan import make_plan
from django_minio_router.settings.declared import DEFAULTS
from django_minio_router.testing import StrategyContract
from tests.support.pages import BLOCK, blocks, section
from tests.support.quick_python import quick_python

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"# ([\w/]+\.py)(, at the end)?\n")


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `python` be this one in a shell."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)


@pytest.fixture
def quick(python: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be a fork of one that has Django imported."""
    monkeypatch.setenv("PATH", str(quick_python().bin), prepend=os.pathsep)


def follow(section_text: str, folder: Path, **environment: str) -> str:
    """Do what a quick start says, in its order: write the files it shows, type its commands.

    Return what the last command printed.
    """
    printed = ""
    for language, code in BLOCK.findall(section_text):
        title = FILE.match(code)
        if language == "console":
            printed = run(folder, code, **environment)
        elif title:
            with (folder / title[1]).open("a" if title[2] else "w") as file:
                file.write(code)
    return printed


def run(folder: Path, commands: str, **environment: str) -> str:
    """Run the commands in a shell, and return what the last one printed."""
    *first, last = commands.splitlines()
    script = "\n".join(["set -e", *(f"{command} >&2" for command in first), last])
    env = {**os.environ, **environment}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database, as `dev.py servers` prints it."""
    name = f"quick_start_{secrets.token_hex(6)}"
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def check(folder: Path, **environment: str) -> None:
    """The system checks find nothing in the project."""
    assert "no issues" in run(folder, "python manage.py check --fail-level WARNING", **environment)


def links(printed: str) -> dict[str, str]:
    """Return the link to each bucket among the lines."""
    return {urlsplit(link)[2].split("/")[1]: link for link in re.findall(r"https?://\S+", printed)}


def read(link: str) -> bytes:
    return urllib3.request("GET", link, retries=False).data


def test_the_file_of_the_readme_keeps_two_users_apart_and_raises_for_nobody(tmp_path: Path) -> None:
    (code,) = blocks(section("README.md", "Try it"), "python")
    assert blocks(section("docs/start.md", "Start"), "python")[0] == code
    (tmp_path / "try_it.py").write_text(code)
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "try_it.py"], cwd=tmp_path, env=env, capture_output=True, text=True
    )

    assert done.stdout.splitlines() == [
        "/minio-memory/memory/files-ann/report.txt",
        "b'ann'",
        "/minio-memory/memory/files-bob/report.txt",
        "b'bob'",
    ]
    assert "TenantRequired: No tenant is active" in done.stderr


@pytest.mark.usefixtures("quick")
def test_the_quick_start_for_one_bucket_runs_as_it_is_written(tmp_path: Path, bare: Minio) -> None:
    """Its last commands in processes of their own."""
    printed = follow(section("docs/start.md", "One bucket"), tmp_path)

    stored = re.search(r"^\d{4}-\d\d-\d\d/hello\S*\.txt", printed, re.MULTILINE)
    assert bare.stat_object(bucket_name="documents", object_name=stored[0]).size == 5
    assert read(links(printed)["documents"]) == b"hello"
    assert json.loads(bare.get_bucket_policy(bucket_name="logos"))

    own = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    status, link = follow(section("docs/downloads.md", "Try it"), tmp_path, **own).splitlines()[-2:]
    assert (status, read(link)) == ("404", b"hello"), "the page on downloads goes on from there"
    check(tmp_path, **own)


@pytest.mark.usefixtures("quick")
def test_the_quick_start_for_tenants_runs_as_it_is_written(tmp_path: Path, database: str) -> None:
    text = section("docs/start.md", "A bucket per tenant")

    usage = follow(text, tmp_path, DATABASE_URL=database)
    found = links(run(tmp_path, "python manage.py shell < store.py", DATABASE_URL=database))
    link = found["acme-north"]
    wrong = link.replace("north", "south"), link.partition("?")[0]

    assert [urllib3.request("GET", other).status for other in wrong] == [403, 403], "as the page says"
    assert re.findall(r"^(\w+) +(acme-\w+) ", usage, re.MULTILINE) == [
        ("north", "acme-north"),
        ("south", "acme-south"),
    ]

    assert {bucket: read(link) for bucket, link in found.items()} == {
        "acme-north": b"north",
        "acme-south": b"south",
    }
    check(tmp_path, DATABASE_URL=database)


@pytest.mark.usefixtures("quick")
def test_the_quick_start_for_organizations_runs_as_it_is_written(tmp_path: Path) -> None:
    """Without PostgreSQL, and in 25 lines of Python."""
    text = section("docs/start.md", "A bucket per organization")
    lines = [line for code in blocks(text, "python") for line in code.splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith("#")]) <= 25

    usage = follow(text, tmp_path)
    found = links(run(tmp_path, "python manage.py shell < store.py"))

    assert re.findall(r"^(\w+) +(orgs-\w+) ", usage, re.MULTILINE) == [
        ("north", "orgs-north"),
        ("south", "orgs-south"),
    ]
    assert {bucket: read(link) for bucket, link in found.items()} == {
        "orgs-north": b"north",
        "orgs-south": b"south",
    }
    check(tmp_path)


@pytest.mark.usefixtures("quick")
def test_the_quick_start_for_models_runs_as_it_is_written(tmp_path: Path) -> None:
    found = links(follow(section("docs/start.md", "A bucket per model"), tmp_path))

    assert {bucket: read(link) for bucket, link in found.items()} == {
        "invoices": b"hello",
        "media-office-photo": b"hello",
    }
    check(tmp_path)


UPLOAD = """
import html, json, re, urllib3
from django.contrib.auth.models import User
from django.test import Client
browser = Client(SERVER_NAME="localhost")
browser.force_login(User.objects.create(username="ann"))
told = re.search(r'data-minio-router="([^"]*)"', browser.get("/").content.decode())[1]
told = json.loads(html.unescape(told))

def ask(step, **data):
    answer = browser.post(told["url"], {"step": step, **data}, content_type="application/json")
    return answer.json()

def receipt(ticket):
    link = ask("begin", ticket=ticket, name="a.mp4", type="video/mp4", size=5)
    urllib3.request("PUT", link["url"], body=b"video", headers=link["headers"])
    return ask("complete", upload=link["upload"])["receipt"]

browser.post("/", {"title": "A", "file": receipt(told["ticket"])})
from videos.models import Video
print(Video.objects.get().file.url)
"""
BY_REST = """
ticket = browser.get("/api/videos/").json()["ticket"]
data = {"title": "B", "file": receipt(ticket)}
print(browser.post("/api/videos/", data, content_type="application/json").json()["file"])
"""


@pytest.mark.usefixtures("quick")
def test_the_page_on_direct_upload_leads_to_a_working_form(tmp_path: Path, bare: Minio) -> None:
    """And from there to a working API."""
    follow(section("docs/direct-upload.md", "A working form in five minutes"), tmp_path)
    follow(section("docs/direct-upload.md", "Django REST framework"), tmp_path)
    (tmp_path / "upload.py").write_text(UPLOAD + BY_REST)

    printed = run(tmp_path, "python manage.py shell < upload.py")

    by_form, by_rest = re.findall(r"http://\S+", printed)
    assert read(by_form) == read(by_rest) == b"video"
    assert list(bare.list_objects(bucket_name="videos", prefix="incoming/", recursive=True)) == []
    check(tmp_path)


NO_SERVER = {"MINIO_ENDPOINT": "127.0.0.1:9"}  # nothing listens there


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("quick_start", "page", "command"),
    [
        ("One bucket", "With Django's test runner", "python manage.py test files"),
        ("One bucket", "With pytest", "python -m pytest -q --ds=mysite.settings test_documents.py"),
        ("A bucket per tenant", "With tenants", "python manage.py test contracts"),
        ("A bucket per organization", "With organizations", "python manage.py test orgs"),
        ("A bucket per model", "With models", "python manage.py test office"),
    ],
)
def test_the_tests_of_a_quick_start_run_without_a_server(
    tmp_path: Path, database: str, quick_start: str, page: str, command: str
) -> None:
    """They have ten lines."""
    (code,) = blocks(section("docs/testing.md", page), "python")
    assert len([line for line in code.splitlines() if line and not line.startswith("#")]) <= 10
    text = section("docs/start.md", quick_start)
    apps = re.findall(r"startapp (\w+)", text)
    environment = {**NO_SERVER, "DATABASE_URL": database, "PYTHONPATH": str(tmp_path)}
    follow(text[: text.index("# store.py") - len("```python\n")], tmp_path, **environment)
    run(tmp_path, f"python manage.py makemigrations {' '.join(apps)}", **environment)
    follow(section("docs/testing.md", page), tmp_path, **environment)

    run(tmp_path, command, **environment)


@isolate_apps("tests.apps.customers")
@pytest.mark.parametrize(
    "page",
    [
        "docs/strategies.md",
        "docs/tenants.md",
        "docs/provisioning.md",
        "docs/usage.md",
        "docs/files.md",
        "docs/downloads.md",
        "docs/adopting.md",
        "docs/integrations.md",
        "docs/observing.md",
    ],
)
def test_the_python_examples_of_a_page_run(
    page: str, settings, bare: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page == "docs/observing.md":
        pytest.importorskip("health_check")  # needs Python 3.11
    settings.MINIO_PRIVATE_BUCKETS = ["documents"]
    apply_plan(make_plan())
    for stored in bare.list_objects(bucket_name="documents", recursive=True):
        bare.remove_object(bucket_name="documents", object_name=stored.object_name)
    module = ModuleType("tests.apps.customers.examples")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys.modules["tests.apps.customers"], "examples", module, raising=False)

    for code in blocks((ROOT / page).read_text(), "python"):
        if FILE.match(code):  # of a quick start, which another test follows
            continue
        exec(compile(code, page, "exec"), vars(module))

    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, StrategyContract) and value is not StrategyContract:
            for test in filter(lambda name: name.startswith("test_"), dir(value)):
                getattr(value(), test)()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ServerError("No answer from the S3 server at s3.internal:9000"), 503),
        (TenantRequired("No tenant is active"), 404),
        (ValueError("something else"), None),
    ],
)
def test_the_middleware_tells_visitors_nothing_of_servers(
    error: Exception, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    namespace: dict[str, Any] = {"__name__": "middleware"}
    *_, code = blocks((ROOT / "docs/observing.md").read_text(), "python")
    exec(compile(code, "docs/observing.md", "exec"), namespace)

    answer = namespace["FilesOutOfReach"](lambda request: None).process_exception(HttpRequest(), error)

    if status is None:
        assert answer is None
    else:
        assert answer.status_code == status
        assert str(error) not in answer.content.decode()
        assert str(error) in caplog.text, "the cause is in the log"


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/settings.md").read_text()

    assert set(re.findall(r"`(MINIO_[A-Z_]+)`", page)) == set(DEFAULTS)
    anchored = re.findall(r'<a id="(\w+)"></a>`(MINIO_\w+)`', page)
    assert [(name.lower(), name) for _, name in anchored] == anchored, "each has an anchor of its name"
    assert sorted(name for _, name in anchored) == sorted(DEFAULTS)


# In the column of defaults: what another setting or the kind of bucket decides.
DEPENDS = {"MINIO_USE_HTTPS": None, "MINIO_PUBLIC_POLICY": "list", "MINIO_ACTIVE_CONTENT": "inline"}
DEPENDS |= {
    "MINIO_DEFAULT_BUCKET": "",
    "MINIO_EXTERNAL_ENDPOINT": "",
    "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS": None,
}
UNITS = {"required": "", "15 minutes": timedelta(minutes=15), "8 MiB": 8 * 1024 * 1024}


def test_every_default_is_the_one_of_the_code() -> None:
    for row in re.findall(r"^\| <a id=.*", (ROOT / "docs/settings.md").read_text(), re.MULTILINE):
        names, default = row.split(" | ")[:2]
        for name in re.findall(r"`(MINIO_\w+)`", names):
            if name in DEPENDS:
                assert DEFAULTS[name] == DEPENDS[name]
                continue
            told = UNITS[default] if default in UNITS else ast.literal_eval(default.strip("`"))
            assert (tuple(told) if told == [] else told) == DEFAULTS[name], name


def test_every_check_is_documented() -> None:
    ids = set(re.findall(r"minio_router\.[EW]\d+", (ROOT / "django_minio_router/messages.py").read_text()))
    documented = set(re.findall(r"minio_router\.[EW]\d+", (ROOT / "docs/checks.md").read_text()))

    assert documented == ids


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("strategies/*.md")]
    for page in pages:
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", text):
            found = page.parent / target if target else page
            assert found.exists(), f"{page.name} links to {target}"
            assert not anchor or target.startswith("images") or anchor in anchors(found), (
                f"{page.name}: #{anchor}"
            )


def anchors(page: Path) -> set[str]:
    """Return those of the headings, as GitHub and the site make them, and those that it names itself."""
    text = BLOCK.sub("", page.read_text())
    titles = [
        re.sub(r"[`*]|[^\w\s-]", "", title).strip() for title in re.findall(r"^#+ (.*)", text, re.MULTILINE)
    ]
    return {re.sub(r"\s+", "-", title.lower()) for title in titles} | set(re.findall(r'id="([\w-]+)"', text))
