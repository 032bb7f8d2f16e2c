"""Static files: ``collectstatic`` into a bucket that any visitor may read, plain and with hashed names."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from urllib.parse import quote

import pytest
import urllib3
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import CommandError, call_command
from django.template import Context, Template
from minio.commonconfig import CopySource
from minio.credentials import StaticProvider

from django_minio_router.storage.static import MinioManifestStaticStorage
from tests.support.provisioning import refusing
from tests.support.proxy import Exchange, Proxy, forward

PLAIN = "django_minio_router.models.MinioBackendStatic"
HASHED = "django_minio_router.static.MinioManifestStaticStorage"

SOURCES = {
    "app.css": '@import "parts/base.css"; body { background: url("images/sky.png") }',
    "parts/base.css": "body { margin: 0 }",
    "images/sky.png": "not really an image",
    "a name with ü + & #.txt": "text",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder in which the project keeps its static files."""
    for name, content in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


@pytest.fixture
def assets(project, source, new_name) -> Iterator[str]:
    """The name of the static bucket, which is not there yet; its storage is the plain one."""
    project.TENANT_MODEL = None
    project.INSTALLED_APPS = ["django_minio_router", "django.contrib.staticfiles"]
    project.STATICFILES_DIRS = [source]
    project.MINIO_STATIC_FILES_BUCKET = name = new_name("assets")
    project.STORAGES = {**project.STORAGES, "staticfiles": {"BACKEND": PLAIN}}
    finders.get_finder.cache_clear()
    yield name
    finders.get_finder.cache_clear()


@pytest.fixture
def hashed(project, assets) -> str:
    """The same with hashed names."""
    project.STORAGES = {**project.STORAGES, "staticfiles": {"BACKEND": HASHED}}
    return assets


@pytest.fixture
def proxy(project) -> Iterator[Proxy]:
    with Proxy(project.MINIO_ENDPOINT) as proxy:
        project.MINIO_ENDPOINT = proxy.endpoint
        yield proxy


def collect(**options: object) -> str:
    out = StringIO()
    call_command("collectstatic", interactive=False, stdout=out, **options)
    return out.getvalue()


def change(source: Path, name: str, content: str) -> None:
    """Change a source file, so that it is newer than what was collected."""
    path = source / name
    path.write_text(content)
    os.utime(path, (time.time() + 60, time.time() + 60))


def visit(url: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, retries=False)


def counts(proxy: Proxy) -> dict[str, int]:
    return {method: proxy.methods.count(method) for method in dict.fromkeys(sorted(proxy.methods))}


class TestCollecting:
    def test_the_first_run_creates_a_public_bucket_with_all_files(self, assets, bare, contents):
        assert "4 static files copied." in collect()

        assert contents(assets) == {name: content.encode() for name, content in SOURCES.items()}
        for name, content in SOURCES.items():
            answer = visit(staticfiles_storage.url(name))
            assert (answer.status, answer.data) == (200, content.encode())
        assert visit(staticfiles_storage.url("app.css")).headers["Content-Type"].startswith("text/css")

    def test_visitors_may_not_write(self, assets):
        collect()

        assert (
            urllib3.request("PUT", staticfiles_storage.url("app.css"), body=b"x", retries=False).status == 403
        )

    def test_the_second_run_stores_nothing(self, assets, proxy):
        collect()
        proxy.forget()

        assert "0 static files copied, 4 unmodified." in collect()
        assert counts(proxy) == {"GET": 1, "HEAD": 1}, "the first file, and a list of all"

    def test_a_fresh_checkout_stores_nothing(self, assets, source, proxy):
        collect()
        for path in source.rglob("*.*"):
            os.utime(path, (time.time() + 60, time.time() + 60))
        proxy.forget()

        assert "0 static files copied, 4 unmodified." in collect()
        assert counts(proxy) == {"GET": 1, "HEAD": 1}

    def test_thousands_that_are_the_same_take_a_list_of_each_thousand(self, project, assets, source, caplog):
        project.MINIO_ENDPOINT = "memory:"
        for number in range(1500):
            (source / f"{number}.txt").write_text(str(number))
        collect()
        for path in source.rglob("*.*"):
            os.utime(path, (time.time() + 60, time.time() + 60))
        with caplog.at_level("DEBUG", "django_minio_router.requests"):
            assert "0 static files copied, 1504 unmodified." in collect()
            (source / "7.txt").write_text("other")
            assert "1 static file copied, 1503 unmodified." in collect()

        sent = [record.getMessage().split()[0] for record in caplog.records]
        assert sent == ["HEAD", "GET", "HEAD", "GET", "PUT"], "in memory a list is one page, however long"

    def test_an_older_version_is_stored_although_it_is_older(self, assets, source, contents):
        collect()
        (source / "app.css").write_text("body { margin: 0px; padding: 0 }")
        os.utime(source / "app.css", (1, 1))

        assert "1 static file copied, 3 unmodified." in collect()
        assert contents(assets)["app.css"] == b"body { margin: 0px; padding: 0 }"

    def test_visitors_find_a_file_while_it_is_replaced(self, assets, source, proxy):
        collect()
        for name in ("app.css", "parts/base.css"):
            change(source, name, "body { margin: 9px }")
        proxy.forget()
        collect()

        assert counts(proxy) == {"GET": 1, "HEAD": 1, "PUT": 2}

    def test_a_question_that_comes_alone_is_asked(self, assets, bare):
        collect()
        assert staticfiles_storage.exists("app.css")
        bare.remove_object(bucket_name=assets, object_name="app.css")
        staticfiles_storage.post_process({})  # as at the end of collectstatic

        assert not staticfiles_storage.exists("app.css")

    def test_a_key_that_may_not_list_asks_for_each(self, assets, proxy):
        collect()
        proxy.forget()
        proxy.when(refusing(403, "AccessDenied"), method="GET", times=None)

        assert "0 static files copied, 4 unmodified." in collect()
        assert counts(proxy) == {"GET": 1, "HEAD": 4}

    def test_a_changed_file_is_replaced_under_its_name(self, assets, source, contents):
        collect()
        change(source, "app.css", "body { margin: 1px }")

        assert "1 static file copied, 3 unmodified." in collect()
        assert contents(assets).keys() == SOURCES.keys()
        assert contents(assets)["app.css"] == b"body { margin: 1px }"

    def test_two_at_once_leave_no_file_under_another_name(self, assets, source, contents):
        collect()
        staticfiles_storage.save("app.css", (source / "app.css").open("rb"))

        assert contents(assets).keys() == SOURCES.keys()

    def test_clear_removes_what_is_no_longer_there_in_all_folders(self, assets, source, contents):
        collect()
        (source / "parts" / "base.css").unlink()
        (source / "images" / "sky.png").unlink()

        output = collect(clear=True, verbosity=2)

        assert f"Deleting '{Path('parts', 'base.css')}'" in output
        assert contents(assets).keys() == SOURCES.keys() - {"parts/base.css", "images/sky.png"}

    def test_clear_on_a_server_without_the_bucket(self, assets, contents):
        collect(clear=True)

        assert contents(assets).keys() == SOURCES.keys()

    def test_clear_removes_what_was_just_found_unchanged(self, assets, contents):
        collect()
        collect()

        assert "unmodified" not in collect(clear=True)
        assert contents(assets).keys() == SOURCES.keys()

    def test_a_file_that_was_found_unchanged_can_be_deleted(self, assets, contents):
        collect()
        assert staticfiles_storage.exists("parts/base.css")
        staticfiles_storage.get_modified_time("parts/base.css")

        staticfiles_storage.delete("parts/base.css")

        assert "parts/base.css" not in contents(assets)

    def test_clear_twice_in_one_process(self, assets, contents):
        collect(clear=True)
        collect(clear=True)

        assert contents(assets).keys() == SOURCES.keys()

    def test_a_dry_run_creates_nothing(self, assets, bare):
        assert "4 static files copied" in collect(dry_run=True)

        assert not bare.bucket_exists(bucket_name=assets)

    def test_a_file_that_somebody_removed_is_collected_again(self, assets, bare, contents):
        collect()
        bare.remove_object(bucket_name=assets, object_name="app.css")

        collect()

        assert contents(assets).keys() == SOURCES.keys()

    def test_a_bucket_that_is_declared_private_stays_private(self, project, assets):
        project.MINIO_PRIVATE_BUCKETS = [assets]
        collect()

        url = staticfiles_storage.url("app.css")
        assert visit(url).status == 200
        assert visit(url.partition("?")[0]).status == 403

    def test_a_bucket_that_is_there_keeps_its_policy(self, assets, bare, proxy):
        bare.make_bucket(bucket_name=assets)
        collect()

        assert visit(staticfiles_storage.url("app.css")).status == 403
        assert not [request for request in proxy.requests if request.query.startswith("policy")]
        call_command("initialize_buckets", stdout=StringIO())
        assert visit(staticfiles_storage.url("app.css")).status == 200

    def test_a_bucket_that_was_created_is_told(self, assets, caplog):
        collect()
        collect(clear=True)

        assert [record.getMessage() for record in caplog.records if "bucket" in record.getMessage()] == [
            f"Created the bucket {assets!r} for static files, public."
        ]

    def test_a_server_that_is_gone_is_an_error_and_not_an_empty_bucket(self, project, assets):
        project.MINIO_ENDPOINT, project.MINIO_RETRIES = "127.0.0.1:9", 0

        with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
            collect()


STEPS = (
    {},
    {"dry_run": True},
    {"ignore_patterns": ["*.png", "parts/*"]},
    {"use_default_ignore_patterns": False},
    {"post_process": False},
    {"clear": True, "dry_run": True},
    {"clear": True, "ignore_patterns": ["*.txt"]},
)


class TestOptions:
    @pytest.mark.parametrize(
        ("ours", "on_disk"),
        [(PLAIN, "StaticFilesStorage"), (HASHED, "ManifestStaticFilesStorage")],
        ids=["plain", "hashed"],
    )
    def test_each_leaves_what_it_leaves_on_disk(
        self, project, assets, source, contents, tmp_path_factory, ours, on_disk
    ):
        folder = project.STATIC_ROOT = tmp_path_factory.mktemp("collected")
        (source / ".hidden.txt").write_text("left out, as a rule")
        in_folder = {"BACKEND": f"django.contrib.staticfiles.storage.{on_disk}"}
        told: list[str] = []
        for number, options in enumerate(STEPS):
            change(source, "app.css", f"body {{ margin: {number}px; background: url('images/sky.png') }}")
            for backend in (in_folder, {"BACKEND": ours}):
                project.STORAGES = {**project.STORAGES, "staticfiles": backend}
                told.append(collect(**options).replace(f" to '{folder}'", ""))

            files = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file()
            }
            assert contents(assets) == files, options
            assert sorted(told[-1].splitlines()) == sorted(told[-2].splitlines()), options

    def test_links_to_the_sources_are_refused(self, assets, bare):
        with pytest.raises(CommandError, match="symlink"):
            collect(link=True)

        assert not bare.bucket_exists(bucket_name=assets)


class TestLinks:
    def test_in_a_template(self, assets):
        collect()
        template = Template("{% load static %}{% static 'a name with ü + & #.txt' %}")

        assert visit(template.render(Context())).data == b"text"

    def test_of_folders_from_which_a_script_goes_on(self, assets):
        collect()

        assert visit(staticfiles_storage.url("") + "app.css").status == 200
        assert visit(staticfiles_storage.url("images/") + "sky.png").status == 200

    def test_take_no_request(self, assets, proxy):
        staticfiles_storage.url("app.css")
        staticfiles_storage.url("")

        assert proxy.requests == []


class WithoutHashes(MinioManifestStaticStorage):
    """Some files keep their names, such as a service worker, which pages look for under its own."""

    def file_hash(self, name, content=None):
        return None if name == "app.css" else super().file_hash(name, content)


class TestHashedNames:
    def test_of_all_files_and_of_what_they_refer_to(self, hashed, contents):
        assert "4 static files copied, 4 post-processed." in collect()

        page = visit(staticfiles_storage.url("app.css"))
        assert page.status == 200
        for name in ("parts/base.css", "images/sky.png"):
            url = staticfiles_storage.url(name)
            assert url.rpartition("/")[2].encode() in page.data
            assert visit(url).data.decode() == SOURCES[name]
        assert len(contents(hashed)) == 2 * len(SOURCES) + 1, "each file under two names, and the manifest"

    def test_the_manifest_is_replaced_in_its_place(self, hashed, source, contents):
        collect()
        before = json.loads(contents(hashed)["staticfiles.json"])["paths"]
        change(source, "parts/base.css", "body { margin: 2px }")
        collect()
        after = json.loads(contents(hashed)["staticfiles.json"])["paths"]

        assert [name for name in contents(hashed) if name.startswith("staticfiles")] == ["staticfiles.json"]
        assert {name for name in after if after[name] != before[name]} == {"parts/base.css", "app.css"}
        assert contents(hashed)[after["parts/base.css"]] == b"body { margin: 2px }"

    def test_nothing_that_a_page_may_still_load_is_removed(self, hashed, source, proxy, contents):
        collect()
        old = json.loads(contents(hashed)["staticfiles.json"])["paths"].values()
        change(source, "parts/base.css", "body { margin: 2px }")
        proxy.forget()
        collect()

        assert "DELETE" not in proxy.methods, "what is copied anew is replaced"
        assert set(old) <= contents(hashed).keys()

    def test_a_second_run_stores_the_manifest_only(self, hashed, proxy):
        collect()
        proxy.forget()
        collect()

        stored_anew = [request.path for request in proxy.requests if request.method == "PUT"]
        assert stored_anew == [f"/{hashed}/staticfiles.json"]
        assert counts(proxy)["HEAD"] == 1, "all other names are known from a listing"

    def test_browsers_keep_hashed_files_for_good_and_no_others(self, project, hashed, bare):
        def kept() -> dict[str, str]:
            found = bare.list_objects(bucket_name=hashed, recursive=True)
            stats = [bare.stat_object(bucket_name=hashed, object_name=entry.object_name) for entry in found]
            return {s.object_name: s.metadata.get("Cache-Control", "") for s in stats}

        collect()
        hashes = set(staticfiles_storage.hashed_files.values())
        assert hashes == {name for name, says in kept().items() if says == "max-age=31536000, immutable"}

        collect(clear=True)
        options = {"metadata": {"Cache-Control": "max-age=60"}}
        project.STORAGES = {**project.STORAGES, "staticfiles": {"BACKEND": HASHED, "OPTIONS": options}}
        call_command("sync_object_headers", "--storage", "staticfiles", stdout=StringIO())
        assert set(kept().values()) == {"max-age=60"}, "the project says so"

    def test_hashed_files_of_before_are_marked_too(self, hashed, bare):
        collect()
        name = staticfiles_storage.hashed_files["app.css"]
        source = CopySource(bucket_name=hashed, object_name=name)
        bare.copy_object(hashed, name, source, metadata={"a": "b"}, metadata_directive="REPLACE")
        out = StringIO()

        call_command("sync_object_headers", "--storage", "staticfiles", stdout=out)
        assert "1 changed, 8 right already" in out.getvalue()
        found = bare.stat_object(bucket_name=hashed, object_name=name)
        assert found.metadata["Cache-Control"] == "max-age=31536000, immutable"

    def test_a_hashed_file_that_somebody_removed_is_stored_again(self, hashed, bare, contents):
        collect()
        paths = json.loads(contents(hashed)["staticfiles.json"])["paths"]
        for name in ("app.css", "images/sky.png"):
            bare.remove_object(bucket_name=hashed, object_name=paths[name])
        collect()

        assert set(paths.values()) <= contents(hashed).keys()

    def test_clear_removes_old_hashes_and_the_manifest_is_there_again(self, hashed, source, contents):
        collect()
        change(source, "parts/base.css", "body { margin: 2px }")
        collect(clear=True, verbosity=0)

        assert len(contents(hashed)) == 2 * len(SOURCES) + 1
        assert "staticfiles.json" in contents(hashed)

    def test_the_manifest_is_read_with_the_first_link_and_once(self, hashed, proxy):
        collect()
        proxy.forget()

        storage = MinioManifestStaticStorage()
        assert proxy.requests == []
        for _ in range(3):
            storage.url("app.css")
            storage.url("parts/base.css")
        assert proxy.methods == ["GET"]

    def test_a_file_that_is_not_in_the_manifest_is_an_error(self, hashed):
        collect()

        with pytest.raises(ValueError, match=r"Missing staticfiles manifest entry for 'missing\.css'"):
            MinioManifestStaticStorage().url("missing.css")

    def test_a_manifest_that_cannot_be_read_is_not_an_empty_one(self, project, hashed):
        collect()
        project.MINIO_ENDPOINT, project.MINIO_RETRIES = "127.0.0.1:9", 0

        with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
            MinioManifestStaticStorage().url("app.css")

    def test_a_manifest_that_is_replaced_while_it_is_read_is_read_again(self, hashed, proxy, bare, contents):
        collect()
        manifest = json.loads(contents(hashed)["staticfiles.json"])
        manifest["paths"] |= {f"{i:040}.css": f"{i:040}.0cc175b9c0f1.css" for i in range(3000)}

        def put(more: str) -> None:
            text = json.dumps({**manifest, "more": more}).encode()
            bare.put_object(
                bucket_name=hashed, object_name="staticfiles.json", data=BytesIO(text), length=len(text)
            )

        def replace(exchange: Exchange) -> None:
            put("of the next release")
            forward(exchange)

        put("of this release")
        proxy.when(replace, where=lambda request: "if-match" in request.headers)

        assert "/app." in MinioManifestStaticStorage().url("app.css")

    def test_a_file_that_keeps_its_name_gets_its_new_content(self, project, hashed, source, contents):
        project.STORAGES = {
            **project.STORAGES,
            "staticfiles": {"BACKEND": f"{__name__}.{WithoutHashes.__name__}"},
        }
        for place in ("left", "right"):
            change(source, "app.css", f'body {{ background: url("images/sky.png") {place} }}')
            collect()

            sky = json.loads(contents(hashed)["staticfiles.json"])["paths"]["images/sky.png"]
            assert contents(hashed)["app.css"].decode() == f'body {{ background: url("{sky}") {place} }}'

    def test_files_of_a_private_bucket_refer_to_each_other_by_their_names(self, project, hashed, contents):
        project.MINIO_PRIVATE_BUCKETS = [hashed]
        collect()

        paths = json.loads(contents(hashed)["staticfiles.json"])["paths"]
        page = contents(hashed)[paths["app.css"]].decode()
        assert f'url("{paths["images/sky.png"]}")' in page
        assert "X-Amz" not in page
        assert "X-Amz-Signature" in staticfiles_storage.url("app.css")

    def test_signed_links_hold_with_a_query_and_a_fragment(self, project, hashed, monkeypatch):
        project.MINIO_PRIVATE_BUCKETS = [hashed]
        collect()
        storage = MinioManifestStaticStorage()

        token = "a+b/c="
        keys = StaticProvider(project.MINIO_ACCESS_KEY, project.MINIO_SECRET_KEY, token)
        with_token = MinioManifestStaticStorage(MINIO_CREDENTIALS=keys)
        with_token.hashed_files = storage.hashed_files
        for name in ("images/sky.png", "images/sky.png?v=4.0.3", "images/sky.png?#iefix", "app.css#top"):
            url, _, fragment = storage.url(name).partition("#")
            assert visit(url).status == 200
            assert fragment == name.partition("#")[2]
        assert f"X-Amz-Security-Token={quote(token, safe='')}" in with_token.url("app.css")
