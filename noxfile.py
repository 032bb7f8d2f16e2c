"""The suite on every supported Django and Python, and on the lowest versions that we declare; also the built
packages, the lock file, known vulnerabilities and licences.

Each session of the suite runs on the same real servers as `dev.py test`. Further arguments go to pytest:
`nox -s tests -- -x`. The interpreters must be on PATH.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lowest"]
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_venv = "yes"

# The resolver adds the newest django-tenants that allows the Django and the Python of the pair.
MATRIX = [
    nox.param("3.10", "4.2", id="django-4.2"),
    nox.param("3.11", "5.2", id="django-5.2"),
    nox.param("3.12", "6.0", id="django-6.0"),
    nox.param("3.13", "6.1", id="django-6.1"),
    nox.param("3.14", "6.1", id="python-3.14"),
]
ENVIRONMENT = "-e.[dev,tenants]"
LOCK = "requirements.lock"
FIRST_FILE = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django_minio_router"], MINIO_ENDPOINT="memory:")
django.setup()
from django.core.files.base import ContentFile
from django_minio_router import MinioRouter
from django_minio_router.strategies import FixedBucket
storage = MinioRouter(strategy=FixedBucket("reports"))
print(storage.url(storage.save("a.txt", ContentFile(b"hello"))))
"""


@nox.session
@nox.parametrize("python,django", MATRIX)
def tests(session: nox.Session, django: str) -> None:
    session.install(ENVIRONMENT, f"Django~={django}.0")
    pytest(session)


@nox.session(python="3.10")
def lowest(session: nox.Session) -> None:
    session.install(ENVIRONMENT, *floors("minio", "urllib3", "cachetools"))
    pytest(session)


@nox.session
def packages(session: nox.Session) -> None:
    """What docs say of other packages, with those packages, also the one that needs a Django of its own."""
    also = ("django-pgschemas>=1.1", "pymysql>=1.1", "sorl-thumbnail>=13.0", "django-compressor>=4.6")
    session.install(ENVIRONMENT, "Django~=5.2.0", *also)
    recipes = ("tests/doc_examples/test_recipes.py", "tests/isolation/test_other_schemas.py")
    session.run("python", "-m", "pytest", *recipes, "tests/storage/test_libraries.py", *session.posargs)


@nox.session
def suites(session: nox.Session) -> None:
    """Suites of other packages on our storages, about an hour: what docs/integrations.md says of them.

    Arguments are packages, storages and a server: ``nox -s suites -- sorl-thumbnail --server minio``.
    """
    packages = ("django-imagekit", "easy-thumbnails", "sorl-thumbnail", "wagtail")
    of_their_tests = (
        "beautifulsoup4",
        "django-ninja",
        "factory-boy",
        "Jinja2",
        "openpyxl",
        "pip",
        "testfixtures",
    )
    session.install(ENVIRONMENT, "Django~=5.2.0", *packages, *of_their_tests)
    session.run("python", "-m", "tools.suites", *session.posargs)


@nox.session
def locked(session: nox.Session) -> None:
    """The suite on exactly what requirements.lock names, each package known by its hash."""
    session.install("--require-hashes", f"--requirement={LOCK}")
    session.install("--no-deps", "-e.")
    pytest(session)


@nox.session
def lock(session: nox.Session) -> None:
    """Renew requirements.lock: the newest versions that pyproject.toml allows, for every Python of ours."""
    session.install("uv")
    extras = [f"--extra={extra}" for extra in ("dev", "docs", "load", "tenants")]
    where = ["--universal", "--python-version=3.10"]
    # Whoever installs has an index of his own, so none is named.
    what = ["--upgrade", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"]
    session.run(
        *("uv", "pip", "compile", "pyproject.toml", "--quiet", *extras, *where, *what),
        *("--custom-compile-command=nox -s lock", f"--output-file={LOCK}"),
        silent=True,
    )


@nox.session
def build(session: nox.Session) -> None:
    """Build both packages in .nox/build/tmp/dist, check them, and use the wheel away from its source."""
    session.install("build", "twine")
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", dist, silent=True)
    session.run("twine", "check", "--strict", *dist.iterdir())
    (wheel,) = dist.glob("*.whl")
    session.install("--force-reinstall", "--no-deps", wheel)
    session.install(wheel)
    session.chdir(dist)  # away from the package's source
    session.run("python", "-c", FIRST_FILE)


@nox.session
def pyright(session: nox.Session) -> None:
    """A second opinion on the types, as editors show it; mypy is in the gate. It needs Node.js."""
    session.install(ENVIRONMENT, "pyright")
    session.run("pyright", *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities in what our users install with us."""
    session.install(".[tenants,tasks]", "pip-audit")
    installed = Path(session.create_tmp()) / "installed.txt"
    freeze = ("python", "-m", "pip", "freeze", "--exclude=django-minio-router")
    installed.write_text(str(session.run(*freeze, silent=True)))
    # Strict, since a package that the index cannot tell about would otherwise count as sound.
    session.run("pip-audit", "--strict", "--disable-pip", "--no-deps", "--requirement", installed)


@nox.session
def licences(session: nox.Session) -> None:
    """The licences of what our users install with us."""
    session.install(".[tenants,tasks]", "pip-licenses")
    session.run("pip-licenses", "--from=mixed", "--order=license")


def floors(*names: str) -> list[str]:
    """Return the lowest versions that pyproject.toml allows for these, as exact requirements."""
    declared = nox.project.load_toml("pyproject.toml")["project"]["dependencies"]
    floor_of = dict(re.findall(r"^(\w+)>=([\d.]+)", "\n".join(declared), flags=re.MULTILINE))
    return [f"{name}=={floor_of[name]}" for name in names]


def pytest(session: nox.Session) -> None:
    two_processes = ("-n2", "--dist=loadfile", "--no-loadscope-reorder")
    session.run("python", "-m", "pytest", *(session.posargs or two_processes))
