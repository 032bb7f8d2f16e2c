"""The examples in README.md and docs/ run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.core.files.base import ContentFile
from django.test.utils import isolate_apps
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router.defaults import DEFAULTS
from django_minio_router.initializer import apply_plan
from django_minio_router.planning import make_plan
from django_minio_router.testing import StrategyContract
from tests.customers.models import Client

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MANAGE = """\
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
SETTINGS = """\
SECRET_KEY = "only for tests"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["files"]
STATIC_URL = "static/"
"""
STORE = """\
from django.core.files.base import ContentFile
from files.models import Document
document = Document(file=ContentFile(b"hello", name="hello.txt"))
document.save()
print(document.file.name, document.file.url)
"""


def section(page: str, title: str) -> str:
    """Return the text below a heading, up to the next one of its level or above."""
    text = (ROOT / page).read_text()
    # Comments in code look like headings, so these are looked for with the code blanked out.
    prose = BLOCK.sub(lambda block: " " * len(block[0]), text)
    start = re.search(rf"^(#+) {re.escape(title)}$", prose, re.MULTILINE)
    assert start, f"{page} has no section {title!r}"
    end = re.compile(rf"^#{{1,{len(start[1])}}} ", re.MULTILINE).search(prose, start.end())
    return text[start.end() : end.start() if end else None]


def blocks(text: str, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall(text) if kind == language]


def python_block(text: str, title: str) -> str:
    return next(code for code in blocks(text, "python") if code.startswith(f"# {title}"))


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_quick_start_for_one_bucket_stores_a_file(tmp_path: Path, bare: Minio) -> None:
    text = section("README.md", "One bucket")
    settings = python_block(text, "settings.py")
    settings = settings.replace("127.0.0.1:9000", os.environ["MINIO_ENDPOINT"])
    settings = settings.replace("your access key", os.environ["MINIO_ACCESS_KEY"])
    settings = settings.replace("your secret key", os.environ["MINIO_SECRET_KEY"])
    (tmp_path / "files").mkdir()
    (tmp_path / "files/__init__.py").touch()
    (tmp_path / "files/models.py").write_text(python_block(text, "models.py"))
    (tmp_path / "settings.py").write_text(SETTINGS + settings)
    (tmp_path / "manage.py").write_text(MANAGE)

    for command in blocks(text, "console")[0].splitlines():
        arguments = command.split()[1:]
        run(tmp_path, *arguments, *(["files"] if arguments[-1] == "makemigrations" else []))
    stored, link = run(tmp_path, "manage.py", "shell", "-v0", "-c", STORE).split()

    assert re.fullmatch(r"\d{4}-\d\d-\d\d/hello.*\.txt", stored)
    assert bare.stat_object(bucket_name="documents", object_name=stored).size == 5
    assert "X-Amz-Signature=" in link


def model_namespace(code: str) -> dict[str, object]:
    namespace: dict[str, object] = {"__name__": "tests.docs.models"}
    exec(compile(code, "README.md", "exec"), namespace)
    return namespace


@isolate_apps("tests.docs")
def test_the_quick_start_for_tenants_stores_in_the_tenants_bucket(bare: Minio) -> None:
    models = model_namespace(python_block(section("README.md", "A bucket per tenant"), "models.py"))
    storage = models["Contract"]._meta.get_field("file").storage
    if not bare.bucket_exists(bucket_name="acme-north"):
        bare.make_bucket(bucket_name="acme-north")

    with tenant_context(Client(schema_name="north")):
        name = storage.save("contract.pdf", ContentFile(b"north"))

    assert bare.stat_object(bucket_name="acme-north", object_name=name).size == 5


@isolate_apps("tests.docs")
def test_the_quick_start_for_models_routes_each_to_its_bucket(bare: Minio) -> None:
    models = model_namespace(python_block(section("README.md", "A bucket per model"), "models.py"))

    buckets = [models[name]._meta.get_field("file").storage.backend.bucket for name in ("Invoice", "Photo")]

    assert buckets == ["invoices", "media-docs-photo"]


@isolate_apps("tests.customers")
@pytest.mark.parametrize(
    "page",
    [
        "docs/strategies.md",
        "docs/tenants.md",
        "docs/provisioning.md",
        "docs/usage.md",
        "docs/files.md",
        "docs/adopting.md",
    ],
)
def test_the_python_examples_of_a_page_run(
    page: str, settings, bare: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MINIO_PRIVATE_BUCKETS = ["documents"]
    apply_plan(make_plan())
    for stored in bare.list_objects(bucket_name="documents", prefix="report"):
        bare.remove_object(bucket_name="documents", object_name=stored.object_name)
    module = ModuleType("tests.customers.examples")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys.modules["tests.customers"], "examples", module, raising=False)

    for code in blocks((ROOT / page).read_text(), "python"):
        exec(compile(code, page, "exec"), vars(module))

    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, StrategyContract) and value is not StrategyContract:
            for test in filter(lambda name: name.startswith("test_"), dir(value)):
                getattr(value(), test)()


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"`(MINIO_[A-Z_]+)`", (ROOT / "docs/settings.md").read_text()))

    assert documented == set(DEFAULTS)


def test_every_check_is_documented() -> None:
    ids = set(re.findall(r"minio_router\.[EW]\d+", (ROOT / "django_minio_router/messages.py").read_text()))
    documented = set(re.findall(r"minio_router\.[EW]\d+", (ROOT / "docs/checks.md").read_text()))

    assert documented == ids


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("strategies/*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
