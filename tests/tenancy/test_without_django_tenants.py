"""django-tenants is an extra: without it ``PerTenant`` says so, and all the rest works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.quick_python import quick_python

ROOT = Path(__file__).parents[2]
PROJECT = """
import os, sys, types

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "django_tenants":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())

config = sys.modules["config"] = types.ModuleType("config")
config.SECRET_KEY = "only for tests"
config.INSTALLED_APPS = ["django_minio_router"]
config.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
config.MINIO_ENDPOINT = os.environ["MINIO_ENDPOINT"]
config.MINIO_ACCESS_KEY = os.environ["MINIO_ACCESS_KEY"]
config.MINIO_SECRET_KEY = os.environ["MINIO_SECRET_KEY"]
config.MINIO_USE_HTTPS = os.environ["MINIO_USE_HTTPS"] == "1"
config.STORAGES = {
    "default": {"BACKEND": "django_minio_router.MinioRouter", "OPTIONS": {"strategy": STRATEGY}},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
os.environ["DJANGO_SETTINGS_MODULE"] = "config"

import django
django.setup()

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
"""


def run(strategy: str, body: str) -> str:
    code = PROJECT.replace("STRATEGY", strategy) + body
    done = quick_python().run("-c", code, folder=ROOT, environment=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_per_tenant_says_what_to_install_in_one_sentence() -> None:
    said = run(
        "'django_minio_router.strategies.PerTenant'",
        """
try:
    default_storage.save("a.txt", ContentFile(b"?"))
except Exception as error:
    print(type(error).__name__, error)
""",
    )
    assert said == (
        "ConfigurationError There are no tenants: MINIO_TENANCY is not set, and django-tenants is not "
        "installed. Name your tenant model in MINIO_TENANCY, or pip install "
        "'django-minio-router[tenants]'.\n"
    )


def test_check_reports_it() -> None:
    said = run(
        "'django_minio_router.strategies.PerTenant'",
        """
from django.core.checks import run_checks
for message in run_checks():
    print(message.id, message.hint)
""",
    )
    assert said == (
        "minio_router.E009 Name your tenant model in MINIO_TENANCY, or pip install "
        "'django-minio-router[tenants]'.\n"
    )


def test_the_rest_works(bucket: str) -> None:
    said = run(
        f"{{'BACKEND': 'django_minio_router.strategies.PerModel', 'OPTIONS': {{'default': {bucket!r}}}}}",
        """
import django_minio_router.models, django_minio_router.strategies, django_minio_router.testing
from django_minio_router.strategies import PerTenant
call_command("check")
call_command("initialize_buckets", verbosity=0)
name = default_storage.save("a.txt", ContentFile(b"hello"))
print(name, default_storage.open(name).read(), default_storage.listdir(""), PerTenant())
""",
    )
    assert said.splitlines()[-1] == "a.txt b'hello' ([], ['a.txt']) PerTenant()"


def test_the_contract_runs_without_it() -> None:
    said = run(
        "'django_minio_router.strategies.PerTenant'",
        """
from django_minio_router.strategies import FixedBucket
from django_minio_router.testing import StrategyContract

class Contract(StrategyContract):
    def make_strategy(self):
        return FixedBucket("media")

for name in dir(Contract):
    if name.startswith("test_"):
        getattr(Contract(), name)()
print("kept")
""",
    )
    assert said == "kept\n"


def test_settings_may_import_strategies() -> None:
    """With django-tenants, which reads the settings as it is imported: it must not be imported by then."""
    code = (
        "import sys, django_minio_router, django_minio_router.strategies;"
        "sys.exit('django_tenants' in sys.modules)"
    )
    bare = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, env=bare)
