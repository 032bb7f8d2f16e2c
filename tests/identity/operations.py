"""What a project does with a storage: a script that does not know what is right.

``python operations.py FILE [--stopped-clock]`` in the interpreter of the package under test. The JSON in FILE
says which package (``django_minio_backend`` or ``django_minio_router``), whether the settings are laid out as
in 3.x ("flat") or 4.x ("options"), and where the server is. What was seen is written to FILE, by the name of
the observation.
"""

from __future__ import annotations

import datetime
import http.client
import importlib
import io
import json
import mimetypes
import os
import re
import sys
import tempfile
import threading
import time
import types
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import django
import urllib3
from django.apps import apps
from django.conf import settings
from django.core.checks import run_checks
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.signals import setting_changed
from django.test import override_settings
from minio import Minio

NOBODY = "127.0.0.1:9"  # nothing listens on the discard port
RESERVED = "ü 日本+&?#%.txt"
RANDOM = re.compile(r"_[A-Za-z0-9]{7}(?=\.txt)")
BEYOND_DJANGO = {
    "the bucket and the server": "base_url base_url_external bucket client client_external is_bucket_public",
    "calls": "check_bucket_existence is_minio_available stat",
    "settings": "HTTP_CLIENT PRIVATE_BUCKETS PUBLIC_BUCKETS same_endpoints",
    "administration": "check_bucket_existences set_bucket_policy set_bucket_to_public validate_settings",
    "default buckets": "DEFAULT_MEDIA_FILES_BUCKET DEFAULT_PRIVATE_BUCKETS DEFAULT_STATIC_FILES_BUCKET"
    " MINIO_MEDIA_FILES_BUCKET MINIO_STATIC_FILES_BUCKET",
    "the cache of links": "cache_prefix url_cache_timeout url_caching_enabled",
}
EXPORTED = {
    "": "MinioBackend MinioBackendStatic get_iso_date iso_date_prefix",
    "models": "MinioBackend MinioBackendStatic get_iso_date iso_date_prefix",
    "apps": "DjangoMinioBackendConfig",
    "utils": "ConfigurationError MinioServerStatus PrivatePublicMixedError get_setting",
}


class Script:
    """One run: the package, its settings, a bare client, and what was seen."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.package = given["package"]
        self.flat = given["layout"] == "flat"
        self.token = given["token"]
        self.endpoint = given["endpoint"]
        self.server = {
            "MINIO_ENDPOINT": given["endpoint"],
            "MINIO_ACCESS_KEY": given["access_key"],
            "MINIO_SECRET_KEY": given["secret_key"],
            "MINIO_USE_HTTPS": False,
        }
        self.bare = Minio(
            endpoint=given["endpoint"],
            access_key=given["access_key"],
            secret_key=given["secret_key"],
            secure=False,
            region="us-east-1",
        )
        self.seen: dict[str, str] = {}

    def bucket(self, label: str) -> str:
        return f"{self.token}-{label}"

    # Settings

    def configure(self) -> None:
        values = {
            **self.server,
            "MINIO_PRIVATE_BUCKETS": [self.bucket("private"), self.bucket("media")],
            "MINIO_PUBLIC_BUCKETS": [self.bucket("hooked"), self.bucket("public")],
            "MINIO_POLICY_HOOKS": [(self.bucket("hooked"), self.policy("hooked"))],
            "MINIO_CONSISTENCY_CHECK_ON_START": True,
            "MINIO_MEDIA_FILES_BUCKET" if self.flat else "MINIO_DEFAULT_BUCKET": self.bucket("media"),
        }
        static = {**self.server, "MINIO_STATIC_FILES_BUCKET": self.bucket("static")}
        self.values = values
        Path(static_source := tempfile.mkdtemp(), "site.css").write_text("body { }")
        module = types.ModuleType("identity_settings")
        vars(module).update(
            INSTALLED_APPS=["django.contrib.staticfiles", self.package],
            SECRET_KEY="only for tests",
            STATIC_URL="static/",
            STATICFILES_DIRS=[static_source],
            USE_TZ=True,
            TIME_ZONE="Europe/Budapest",
            **(self._flat(values, static) if self.flat else {"STORAGES": self._storages(values, static)}),
        )
        sys.modules[module.__name__] = module
        os.environ["DJANGO_SETTINGS_MODULE"] = module.__name__
        django.setup()

    def _flat(self, values: dict[str, Any], static: dict[str, Any]) -> dict[str, Any]:
        media_class, static_class = (
            f"{self.package}.models.MinioBackend",
            f"{self.package}.models.MinioBackendStatic",
        )
        bucket = static["MINIO_STATIC_FILES_BUCKET"]
        values["MINIO_PUBLIC_BUCKETS"].append(bucket)
        named = {**values, "MINIO_STATIC_FILES_BUCKET": bucket}
        if django.VERSION < (5, 1):
            return {**named, "DEFAULT_FILE_STORAGE": media_class, "STATICFILES_STORAGE": static_class}
        # The app of 3.5.3 does not start where Django no longer defines this setting.
        storages = {"default": {"BACKEND": media_class}, "staticfiles": {"BACKEND": static_class}}
        return {**named, "STATICFILES_STORAGE": static_class, "STORAGES": storages}

    def _storages(self, values: dict[str, Any], static: dict[str, Any]) -> dict[str, Any]:
        return {
            "default": {"BACKEND": f"{self.package}.models.MinioBackend", "OPTIONS": values},
            "staticfiles": {"BACKEND": f"{self.package}.models.MinioBackendStatic", "OPTIONS": static},
        }

    def declared(self, *, private: tuple[str, ...] = (), public: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return lists of buckets with the ones that 3.5.3 cannot do without."""
        also = ("static",) if self.flat else ()
        return {
            "MINIO_PRIVATE_BUCKETS": [self.bucket(label) for label in ("media", *private)],
            "MINIO_PUBLIC_BUCKETS": [self.bucket(label) for label in (*public, *also)],
        }

    def changed(self, **values: Any) -> AbstractContextManager[Any]:
        """Change ``MINIO_*`` values, wherever this layout has them."""
        if self.flat:
            return override_settings(**values)
        return in_place(settings.STORAGES["default"]["OPTIONS"], values)

    # Storages

    def name(self, dotted: str) -> Any:
        module, _, name = f"{self.package}.{dotted}".rpartition(".")
        return getattr(importlib.import_module(module), name)

    def storage(self, label: str = "private", **options: Any) -> Any:
        return self.name("MinioBackend")(bucket_name=self.bucket(label), **options)

    # The server

    def put(self, label: str, name: str, content: bytes = b"content") -> None:
        self.bare.put_object(
            bucket_name=self.bucket(label), object_name=name, data=io.BytesIO(content), length=len(content)
        )

    def content(self, label: str, name: str) -> bytes:
        response = self.bare.get_object(bucket_name=self.bucket(label), object_name=name)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def stored(self, label: str, name: str) -> Any:
        return self.bare.stat_object(bucket_name=self.bucket(label), object_name=name)

    def keys(self, label: str, prefix: str) -> list[str]:
        listed = self.bare.list_objects(bucket_name=self.bucket(label), prefix=prefix, recursive=True)
        return sorted(entry.object_name for entry in listed)

    def buckets(self) -> list[str]:
        return sorted(b.name for b in self.bare.list_buckets() if b.name.startswith(self.token))

    def policy(self, label: str) -> dict[str, Any]:
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": "s3:GetObject",
                    "Resource": f"arn:aws:s3:::{self.bucket(label)}/*",
                }
            ],
        }

    def permissions(self, label: str) -> list[str] | str:
        """Return what the bucket's policy lets everybody do."""
        try:
            policy = json.loads(self.bare.get_bucket_policy(bucket_name=self.bucket(label)))
        except Exception as error:
            return getattr(error, "code", repr(error))
        actions = []
        for statement in policy["Statement"]:
            found = statement["Action"]
            actions += found if isinstance(found, list) else [found]
        return sorted(actions)

    # What is seen

    def see(self, name: str, look: Callable[[], Any]) -> None:
        assert name not in self.seen, name
        self.seen[name] = self.shown(result(look))

    def see_each(self, name: str, looks: dict[str, Callable[[], Any]]) -> None:
        """See several things under one name; what is the same for all is said once."""
        assert name not in self.seen, name
        values = {label: self.shown(result(look)) for label, look in looks.items()}
        same = len(set(values.values())) == 1
        self.seen[name] = next(iter(values.values())) if same else self.shown(values)

    def shown(self, value: Any) -> str:
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, dict):
            value = ", ".join(f"{key}: {self.shown(value[key])}" for key in value) or "nothing"
        elif isinstance(value, list | tuple | set):
            value = ", ".join(map(self.shown, value)) or "nothing"
        text = str(value).replace(self.token, "RUN").replace(self.endpoint, "SERVER")
        return RANDOM.sub("_RANDOM", text.replace(self.package, "PACKAGE")) or "nothing"

    def printed(self, command: str, **options: Any) -> str:
        out = io.StringIO()
        call_command(command, stdout=out, **options)
        return out.getvalue()


def result(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except Exception as error:
        return f"raises {type(error).__name__}"


@contextmanager
def in_place(options: dict[str, Any], values: dict[str, Any]) -> Iterator[None]:
    """Change a part of ``STORAGES``; overriding it as a whole loses the ``OPTIONS`` under Django 4.2."""
    before = dict(options)
    options.update(values)
    announce_storages()
    try:
        yield
    finally:
        options.clear()
        options.update(before)
        announce_storages()


def announce_storages() -> None:
    setting_changed.send(sender=None, setting="STORAGES", value=settings.STORAGES, enter=True)


def fetch(url: str) -> tuple[int, bytes]:
    """Get what a browser would get."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 0, type(error).__name__.encode()
    finally:
        connection.close()


def query(url: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


# The operations, in the order in which they run


def start_and_commands(s: Script) -> None:
    labels = ("hooked", "media", "private", "public", "static")
    s.see("buckets after a start with MINIO_CONSISTENCY_CHECK_ON_START", s.buckets)
    s.see(
        "initialize_buckets: known buckets named in its output",
        lambda: names_in(s, s.printed("initialize_buckets")),
    )
    with s.changed(**s.declared(private=("fresh",)), MINIO_POLICY_HOOKS=[]):
        s.see("initialize_buckets: a new bucket is named", lambda: "fresh" in s.printed("initialize_buckets"))
    s.see("initialize_buckets --silenced: output", lambda: s.printed("initialize_buckets", silenced=True))
    for label in labels:
        s.see(
            f"initialize_buckets: everybody may, in the {label} bucket",
            lambda label=label: s.permissions(label),
        )
    late = [(s.bucket("late"), s.policy("late"))]
    with s.changed(**s.declared(private=("private", "late")), MINIO_POLICY_HOOKS=late):
        s.see("initialize_buckets: a hook for a bucket that is new and listed last", lambda: hooked_late(s))
    with s.changed(**s.declared(private=("public",)), MINIO_POLICY_HOOKS=[]):
        s.see("initialize_buckets: everybody may, in a bucket that was public", lambda: closed(s))
    s.printed("initialize_buckets", silenced=True)
    s.see(
        "is_minio_available: output names the server", lambda: s.endpoint in s.printed("is_minio_available")
    )
    s.see("is_minio_available --silenced: output", lambda: s.printed("is_minio_available", silenced=True))
    with s.changed(MINIO_ENDPOINT=NOBODY):
        s.see("is_minio_available, no server", lambda: s.printed("is_minio_available"))


def names_in(s: Script, output: str) -> list[str]:
    return [name for name in s.buckets() if name in output]


def hooked_late(s: Script) -> Any:
    try:
        s.printed("initialize_buckets", silenced=True)
    except Exception:
        return "fails"  # each server with another error
    return s.permissions("late")


def closed(s: Script) -> Any:
    s.printed("initialize_buckets", silenced=True)
    return s.permissions("public")


def collectstatic(s: Script) -> None:
    def run(**options: Any) -> str:
        output = s.printed("collectstatic", interactive=False, verbosity=1, **options)
        counts = re.findall(r"(\d+) (?:static files? )?(copied|unmodified)", output)
        return ", ".join(" ".join(count) for count in counts)

    s.see("collectstatic: output", run)
    s.see("collectstatic: stored", lambda: s.keys("static", ""))
    s.see("collectstatic: content type", lambda: s.stored("static", "site.css").content_type)
    s.see("collectstatic: everybody may, in the static bucket", lambda: s.permissions("static"))
    s.see("collectstatic, unchanged: output", run)
    s.see("collectstatic --clear: output", lambda: run(clear=True))
    s.see("collectstatic --clear: stored", lambda: s.keys("static", ""))

    def url() -> str:
        from django.contrib.staticfiles.storage import staticfiles_storage

        return staticfiles_storage.url("site.css")

    s.see("link to a static file", url)
    s.see("link to a static file: a visitor gets", lambda: fetch(url())[0])


def private_static_files(s: Script) -> None:
    """Declared private, which 3.x documents for the links alone."""
    if not s.flat:
        return
    with s.changed(
        MINIO_PRIVATE_BUCKETS=[s.bucket("media"), s.bucket("static")],
        MINIO_PUBLIC_BUCKETS=[s.bucket("public")],
    ):
        storage = s.name("MinioBackendStatic")()
        storage.save("private.css", ContentFile(b"body { }"))
        s.see(
            "a static bucket that is declared private: link is signed",
            lambda: "X-Amz-Signature" in storage.url("private.css"),
        )
        s.see(
            "a static bucket that is declared private: a visitor gets",
            lambda: fetch(storage.url("private.css"))[0],
        )
        s.printed("initialize_buckets", silenced=True)
        s.see(
            "a static bucket that is declared private: a visitor without the signature gets",
            lambda: fetch(storage.url("private.css").partition("?")[0])[0],
        )
    s.printed("initialize_buckets", silenced=True)


def names_and_classes(s: Script) -> None:
    for module, names in EXPORTED.items():
        paths = [f"{module}.{name}".strip(".") for name in names.split()]
        s.see_each(
            f"import from PACKAGE{module and '.'}{module}",
            {path: lambda path=path: bool(s.name(path)) for path in paths},
        )
    storage = s.storage()
    for kind, names in BEYOND_DJANGO.items():
        s.see(
            f"attributes of a storage: {kind}",
            lambda names=names: [n for n in names.split() if hasattr(storage, n)],
        )
    s.see("attribute bucket: value", lambda: storage.bucket)
    s.see("attribute bucket of the default storage: value", lambda: s.name("MinioBackend")().bucket)
    s.see("attribute base_url: value", lambda: storage.base_url)
    s.see("attribute base_url_external: value", lambda: storage.base_url_external)
    s.see("attribute client: value", lambda: type(storage.client).__name__)
    for label in ("private", "public"):
        s.see(
            f"is_bucket_public of the {label} bucket", lambda label=label: s.storage(label).is_bucket_public
        )
    s.see("in a migration", lambda: storage.deconstruct())
    s.see("in a migration, with replace_existing", lambda: s.storage(replace_existing=True).deconstruct())
    s.see("in a migration, without a bucket", lambda: s.name("MinioBackend")().deconstruct())
    s.see("in a migration, for static files", lambda: s.name("MinioBackendStatic")().deconstruct())
    s.see("an option that is none", lambda: s.storage(colour="red") is None)
    s.see("without a server for its default: bucket", default_bucket(s))


def default_bucket(s: Script) -> Callable[[], str]:
    """The names that hold where no setting gives one; 3.5.3 reads the settings at import."""
    names = [s.name("models.MinioBackend"), s.name("models.MinioBackendStatic")]
    constants = ("DEFAULT_MEDIA_FILES_BUCKET", "DEFAULT_STATIC_FILES_BUCKET")

    def look() -> str:
        if hasattr(names[0], constants[0]):
            return f"{getattr(names[0], constants[0])}, {getattr(names[1], constants[1])}"
        module = {"django_minio_router": "settings.declared"}.get(s.package, "conf")
        conf = importlib.import_module(f"{s.package}.{module}")
        return f"{conf.DEFAULTS['MINIO_MEDIA_FILES_BUCKET']}, {conf.DEFAULTS['MINIO_STATIC_FILES_BUCKET']}"

    return look


def saving(s: Script) -> None:
    storage = s.storage()

    def save(name: str, content: Any, **options: Any) -> str:
        return storage.save(name, content, **options)

    s.see("save: returned name", lambda: save("save/plain.txt", ContentFile(b"plain")))
    s.see("save: stored bytes", lambda: s.content("private", "save/plain.txt"))
    s.see("save: stored metadata", lambda: kept_headers(s, "save/plain.txt"))
    s.see("save text: returned name", lambda: save("save/text.txt", ContentFile("Grüße")))
    s.see("save text: stored bytes", lambda: s.content("private", "save/text.txt"))
    s.see("save an empty file: returned name", lambda: save("save/empty.txt", ContentFile(b"")))
    s.see("save an empty file: size on the server", lambda: s.stored("private", "save/empty.txt").size)
    s.see("save reserved characters: returned name", lambda: save(f"save/{RESERVED}", ContentFile(b"x")))
    s.see("save reserved characters: key", lambda: s.keys("private", "save/ü"))
    s.see("save a name with // and ./", lambda: save("save//a/./b.txt", ContentFile(b"x")))
    s.see("save a name with // and ./: key", lambda: s.keys("private", "save/a"))
    s.see("save a path object: returned name", lambda: save(Path("save/path.txt"), ContentFile(b"x")))
    s.see("save without a name", lambda: save(None, ContentFile(b"x", name="save/own.txt")))
    for name in ("../escape.txt", "/absolute.txt", "save/../up.txt", "", ".", "save/", "save\\back.txt"):
        s.see(f"save a name such as {name!r}", lambda name=name: save(name, ContentFile(b"x")))
    s.see("save a name with NUL", lambda: save("nul\0.txt", ContentFile(b"x")))
    s.see("save a name of 1,025 bytes", lambda: len(save("n" * 1025, ContentFile(b"x"))))
    s.see("save a taken name: returned name", lambda: save("save/plain.txt", ContentFile(b"second")))
    s.see("save a taken name: both are stored", lambda: contents(s, "save/plain"))
    s.see(
        "save a taken name, max_length 20: returned name",
        lambda: save("save/plain.txt", ContentFile(b"third"), max_length=20),
    )
    s.see(
        "save a taken name, max_length 5",
        lambda: save("save/plain.txt", ContentFile(b"fourth"), max_length=5),
    )
    s.see("save a file that was read already: stored bytes", lambda: saved_after_reading(s))
    s.see("save a file from a disk: stored bytes", lambda: saved_from_disk(s))
    s.see("get_available_name of a free name", lambda: storage.get_available_name("save/free.txt"))
    s.see("get_available_name of a taken name", lambda: storage.get_available_name("save/plain.txt"))
    s.see("get_valid_name", lambda: storage.get_valid_name("a b/ü?.txt"))
    s.see("generate_filename", lambda: storage.generate_filename("./folder//a b.txt"))


def kept_headers(s: Script, name: str) -> list[str]:
    ours = [
        key.lower() for key in s.stored("private", name).metadata if key.lower().startswith("x-amz-meta-")
    ]
    return sorted(ours)


def contents(s: Script, prefix: str) -> list[str]:
    return sorted(s.content("private", name).decode() for name in s.keys("private", prefix))


def saved_after_reading(s: Script) -> bytes:
    content = ContentFile(b"read already")
    content.read()
    return s.content("private", s.storage().save("save/read.txt", content))


def saved_from_disk(s: Script) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"from a disk")
        file.seek(0)
        return s.content("private", s.storage().save("save/disk.txt", File(file)))


def content_types(s: Script) -> None:
    storage = s.storage()
    mimetypes.add_type("application/x-identity", ".identity")  # which no server guesses by itself

    def stored_type(name: str, content: Any) -> str:
        return s.stored("private", storage.save(f"types/{name}", content)).content_type

    s.see("content type by extension", lambda: stored_type("a.pdf", ContentFile(b"x")))
    s.see(
        "content type of an unknown extension", lambda: stored_type("a.unknown-extension", ContentFile(b"x"))
    )
    s.see("content type without an extension", lambda: stored_type("plain", ContentFile(b"x")))
    s.see("content type of an archive", lambda: stored_type("a.tar.gz", ContentFile(b"x")))
    s.see(
        "content type that the browser declared",
        lambda: stored_type("declared.txt", SimpleUploadedFile("d.txt", b"x", content_type="text/csv")),
    )
    s.see(
        "content type that the browser left out",
        lambda: stored_type("undeclared.identity", SimpleUploadedFile("u", b"x", content_type=None)),
    )


class Progress(threading.Thread):
    """A progress as the SDK asks for it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.meta: dict[str, Any] = {}
        self.sent = 0

    def set_meta(self, object_name: str, total_length: int) -> None:
        self.meta = {"object_name": object_name, "total_length": total_length}

    def update(self, length: int) -> None:
        self.sent += length


def options_of_a_storage(s: Script) -> None:
    replacing = s.storage(replace_existing=True)
    s.see(
        "replace_existing: returned names",
        lambda: [replacing.save("replaced.txt", ContentFile(body)) for body in (b"old", b"new")],
    )
    s.see("replace_existing: stored bytes", lambda: s.content("private", "replaced.txt"))
    s.see("replace_existing: get_available_name", lambda: replacing.get_available_name("replaced.txt"))
    described = s.storage(metadata={"Author": "Kim", "Cache-Control": "max-age=60"})
    s.see("metadata: returned name", lambda: described.save("described.txt", ContentFile(b"x")))
    s.see("metadata: Author", lambda: s.stored("private", "described.txt").metadata.get("x-amz-meta-author"))
    s.see(
        "metadata: Cache-Control", lambda: s.stored("private", "described.txt").metadata.get("cache-control")
    )
    progress = Progress()
    s.see(
        "progress: returned name",
        lambda: s.storage(progress=progress).save("watched.txt", ContentFile(b"x" * 1000)),
    )
    s.see("progress: told", lambda: {**progress.meta, "sent": progress.sent})
    s.see("http_client: requests that went through it", lambda: requests_through(s, "option"))
    s.see("MINIO_HTTP_CLIENT: requests that went through it", lambda: requests_through(s, "setting"))
    with s.changed(**s.declared(private=("made",)), MINIO_BUCKET_CHECK_ON_SAVE=True):
        s.see(
            "MINIO_BUCKET_CHECK_ON_SAVE: a missing bucket",
            lambda: s.storage("made").save("first.txt", ContentFile(b"x")),
        )
        s.see("MINIO_BUCKET_CHECK_ON_SAVE: everybody may, in that bucket", lambda: s.permissions("made"))
    large = b"0123456789abcdef" * 393216  # 6 MiB
    with s.changed(
        MINIO_MULTIPART_UPLOAD=True, MINIO_MULTIPART_THRESHOLD=5 << 20, MINIO_MULTIPART_PART_SIZE=5 << 20
    ):
        s.see(
            "MINIO_MULTIPART_UPLOAD: returned name", lambda: s.storage().save("large.bin", ContentFile(large))
        )
        s.see("MINIO_MULTIPART_UPLOAD: stored whole", lambda: s.content("private", "large.bin") == large)
        s.see(
            "MINIO_MULTIPART_UPLOAD: parts", lambda: s.stored("private", "large.bin").etag.partition("-")[2]
        )


class CountingPool(urllib3.PoolManager):
    count = 0

    def connection_from_pool_key(self, *args: Any, **kwargs: Any) -> Any:
        type(self).count += 1
        return super().connection_from_pool_key(*args, **kwargs)


def requests_through(s: Script, kind: str) -> str:
    pool = CountingPool(timeout=urllib3.Timeout(5), retries=urllib3.Retry(0))
    CountingPool.count = 0
    if kind == "option":
        s.storage(http_client=pool).exists("anything")
    else:
        with s.changed(MINIO_HTTP_CLIENT=pool):
            s.storage().exists("anything")
    return "some" if CountingPool.count else "none"


def reading(s: Script) -> None:
    storage = s.storage()
    lines = b"one\ntwo\nthree\n"
    s.put("private", "read/lines.txt", lines)
    s.put("private", "read/empty.txt", b"")
    s.see("open: bytes", lambda: storage.open("read/lines.txt").read())
    s.see("open an empty file: bytes", lambda: storage.open("read/empty.txt").read())
    s.see("open: name", lambda: storage.open("read/lines.txt").name)
    s.see("open: size", lambda: storage.open("read/lines.txt").size)
    s.see("open: is a File", lambda: isinstance(storage.open("read/lines.txt"), File))
    s.see("open: lines", lambda: len(list(storage.open("read/lines.txt"))))
    s.see("open: chunks of 4", lambda: len(list(storage.open("read/lines.txt").chunks(4))))
    s.see("open: after seek(4)", lambda: after_seek(storage))
    s.see("open: opened again after close()", lambda: opened_again(storage))
    s.see_each(
        "open with another mode than 'rb'",
        {m: lambda m=m: len(storage.open("read/lines.txt", m).read()) for m in ("r", "w", "wb", "ab", "r+b")},
    )
    s.see("open a missing file", lambda: storage.open("read/missing.txt").read())
    s.see("exists", lambda: storage.exists("read/lines.txt"))
    s.see("exists, missing", lambda: storage.exists("read/missing.txt"))
    s.see("exists, a folder", lambda: storage.exists("read"))
    s.see("size", lambda: storage.size("read/lines.txt"))
    s.see("size, missing", lambda: storage.size("read/missing.txt"))
    s.see("stat: type", lambda: type(storage.stat("read/lines.txt")).__name__)
    s.see("stat: size and key", lambda: [(o := storage.stat("read/lines.txt")).size, o.object_name])
    s.see("stat, missing", lambda: storage.stat("read/missing.txt"))
    server_time = s.stored("private", "read/lines.txt").last_modified
    s.see(
        "get_modified_time under USE_TZ", lambda: storage.get_modified_time("read/lines.txt") == server_time
    )
    s.see("get_modified_time, missing", lambda: storage.get_modified_time("read/missing.txt"))
    with override_settings(USE_TZ=False):
        s.see(
            "get_modified_time without USE_TZ: off UTC by",
            lambda: storage.get_modified_time("read/lines.txt") - server_time.replace(tzinfo=None),
        )
    s.see(
        "stat: fields that are known",
        lambda: [
            name
            for name in (
                "bucket_name",
                "content_type",
                "etag",
                "last_modified",
                "metadata",
                "object_name",
                "size",
            )
            if getattr(storage.stat("read/lines.txt"), name, None) is not None
        ],
    )
    s.see_each(
        "a name with ..: open, delete",
        {
            "open": lambda: storage.open("../read/lines.txt").read(),
            "delete": lambda: storage.delete("../read/lines.txt"),
        },
    )
    s.see("a name with ..: exists", lambda: storage.exists("../read/lines.txt"))
    s.see("a name with ..: size", lambda: storage.size("../read/lines.txt"))
    s.put("public", "list/a.txt")
    s.see("listdir of the top folder", lambda: s.storage("public").listdir(""))
    s.put("private", "list/a.txt")
    s.put("private", "list/folder/b.txt")
    s.put("private", "list/folder/deeper/c.txt")
    s.see("listdir of a folder", lambda: storage.listdir("list"))
    s.see("listdir of a folder with /", lambda: storage.listdir("list/"))
    s.see("listdir of a missing folder", lambda: storage.listdir("nothing-here"))
    s.see("delete", lambda: storage.delete("list/a.txt"))
    s.see("delete: left", lambda: s.keys("private", "list/"))
    s.see("delete, missing", lambda: storage.delete("list/a.txt"))
    for method in ("path", "get_accessed_time", "get_created_time"):
        s.see(method, lambda method=method: getattr(storage, method)("read/lines.txt"))


def after_seek(storage: Any) -> bytes:
    file = storage.open("read/lines.txt")
    file.seek(4)
    return file.read(3)


def opened_again(storage: Any) -> bytes:
    file = storage.open("read/lines.txt")
    file.close()
    with file.open() as again:
        return again.read(3)


def links(s: Script) -> None:
    for label in ("private", "public"):
        s.put(label, "links/plain.txt", b"plain")
        s.put(label, f"links/{RESERVED}", b"reserved")
    private, public = s.storage(), s.storage("public")
    plain = private.url("links/plain.txt")
    s.see("private link: before the query", lambda: plain.partition("?")[0])
    s.see("private link: query names", lambda: sorted(query(plain)))
    s.see("private link: X-Amz-Expires", lambda: query(plain)["X-Amz-Expires"])
    s.see("private link: a visitor gets", lambda: fetch(plain))
    s.see(
        "private link, reserved characters: a visitor gets", lambda: fetch(private.url(f"links/{RESERVED}"))
    )
    s.see("private link without its query: a visitor gets", lambda: fetch(plain.partition("?")[0])[0])
    s.see("private link to a missing file: a visitor gets", lambda: fetch(private.url("links/missing"))[0])
    s.see("public link", lambda: public.url("links/plain.txt"))
    s.see("public link: a visitor gets", lambda: fetch(public.url("links/plain.txt")))
    s.see("public link, reserved characters", lambda: public.url(f"links/{RESERVED}"))
    s.see(
        "public link, reserved characters: a visitor gets", lambda: fetch(public.url(f"links/{RESERVED}"))[0]
    )
    s.see("private link: the same a second later", lambda: is_stable(private))
    with override_settings(MINIO_URL_CACHING_ENABLED=not s.flat):
        s.see(
            "MINIO_URL_CACHING_ENABLED: the same link a second later",
            lambda: s.flat or is_stable(s.storage()),
        )
    s.see("link with ..", lambda: urllib.parse.urlsplit(private.url("../escape")).path)
    with s.changed(MINIO_URL_EXPIRY_HOURS=datetime.timedelta(hours=1)):
        s.see(
            "MINIO_URL_EXPIRY_HOURS of 1 hour: X-Amz-Expires",
            lambda: query(s.storage().url("a"))["X-Amz-Expires"],
        )
    with s.changed(MINIO_EXTERNAL_ENDPOINT="files.example.com", MINIO_EXTERNAL_ENDPOINT_USE_HTTPS=True):
        s.see("external endpoint: private link", lambda: s.storage().url("a.txt").partition("?")[0])
        s.see("external endpoint: public link", lambda: s.storage("public").url("a.txt"))
        s.see("external endpoint: exists", lambda: s.storage().exists("links/plain.txt"))
        s.see("external endpoint: base_url_external", lambda: s.storage().base_url_external)
    with s.changed(MINIO_REGION="eu-central-1"):
        s.see(
            "MINIO_REGION: in the link",
            lambda: query(s.storage().url("a"))["X-Amz-Credential"].split("/")[2:],
        )
    with s.changed(MINIO_REGION=None):
        s.see(
            "MINIO_REGION of None: in the link",
            lambda: query(s.storage().url("a"))["X-Amz-Credential"].split("/")[2],
        )


def is_stable(storage: Any) -> bool:
    """Tell whether a link stays the same; asked twice, as a window may end between the two."""
    return any(link_of_next_second(storage) == storage.url("links/plain.txt") for _ in range(2))


def link_of_next_second(storage: Any) -> str:
    """Return a link from a second that ends before this returns."""
    link, second = storage.url("links/plain.txt"), int(time.time())
    while int(time.time()) == second:
        time.sleep(0.01)
    return link


def aliases(s: Script) -> None:
    """Several aliases of ``STORAGES``, as 4.x has them; 3.x has one set of settings."""
    if s.flat:
        return
    second = {
        **s.server,
        "MINIO_DEFAULT_BUCKET": s.bucket("second"),
        "MINIO_PUBLIC_BUCKETS": [s.bucket("second-public")],
        "MINIO_PRIVATE_BUCKETS": [],
        "MINIO_REGION": "eu-central-1",
    }
    entry = {"BACKEND": f"{s.package}.models.MinioBackend", "OPTIONS": second}
    only_server = {
        name: second[name] for name in ("MINIO_ENDPOINT", "MINIO_USE_HTTPS", "MINIO_DEFAULT_BUCKET")
    }
    backend = s.name("MinioBackend")
    with in_place(settings.STORAGES, {"second": entry}):
        from django.core.files.storage import storages

        s.see("an alias: its default bucket", lambda: storages["second"].bucket)
        s.see("storage_name: its default bucket", lambda: backend(storage_name="second").bucket)
        s.see(
            "storage_name: which bucket is public",
            lambda: [
                backend(bucket_name=s.bucket(label), storage_name="second").is_bucket_public
                for label in ("second", "second-public", "public")
            ],
        )
        s.see(
            "storage_name: region in the link",
            lambda: query(backend(storage_name="second").url("a"))["X-Amz-Credential"].split("/")[2],
        )
        s.see(
            "initialize_buckets: buckets of all aliases",
            lambda: [
                s.printed("initialize_buckets", silenced=True),
                *(name for name in s.buckets() if "second" in name),
            ],
        )
        s.see("storage_name: everybody may, in its public bucket", lambda: s.permissions("second-public"))
        s.see(
            "storage_name: saved",
            lambda: backend(storage_name="second").save("alias.txt", ContentFile(b"second")),
        )
        s.see("storage_name: stored bytes", lambda: s.content("second", "alias.txt"))
        s.see("an alias without OPTIONS: start", lambda: start_with(s, "bare", {"BACKEND": entry["BACKEND"]}))
        with in_place(static_options(), {"MINIO_EXTERNAL_ENDPOINT": "files.example.com"}):
            s.see("start with an external endpoint alone for static files", lambda: start(s))
        s.see(
            "an alias that names a server and no keys: link",
            lambda: started_link(s, {"BACKEND": entry["BACKEND"], "OPTIONS": only_server}),
        )
        s.see("storage_name that is none", lambda: bool(backend(storage_name="nothing").url("a")))
        s.see(
            "in a migration, with storage_name",
            lambda: backend("bucket", storage_name="second").deconstruct(),
        )


def static_options() -> dict[str, Any]:
    options: dict[str, Any] = settings.STORAGES["staticfiles"]["OPTIONS"]
    return options


def start_with(s: Script, alias: str, entry: dict[str, Any]) -> str:
    with in_place(settings.STORAGES, {alias: entry}):
        return start(s)


def started_link(s: Script, entry: dict[str, Any]) -> bool:
    from django.core.files.storage import storages

    with in_place(settings.STORAGES, {"elsewhere": entry}):
        return bool(storages["elsewhere"].url("a"))


def health(s: Script) -> None:
    status = s.storage().is_minio_available()
    s.see("is_minio_available(): class", lambda: type(status).__name__)
    s.see("is_minio_available(): as a bool", lambda: bool(status))
    s.see("is_minio_available(): is_available", lambda: status.is_available)
    s.see("is_minio_available(): status", lambda: status.status)
    s.see("is_minio_available(): repr", lambda: repr(status))
    s.see(
        "is_minio_available(): what else it has",
        lambda: [name for name in ("add_message", "data") if hasattr(status, name)],
    )
    s.see("is_minio_available(): details are text", lambda: isinstance(status.details, str))
    with s.changed(MINIO_ENDPOINT=NOBODY):
        absent = s.storage().is_minio_available()
        s.see("is_minio_available(), no server: as a bool", lambda: bool(absent))
        s.see("is_minio_available(), no server: repr", lambda: repr(absent))
        s.see("is_minio_available(), no server: details name it", lambda: NOBODY in absent.details)


def mistakes(s: Script) -> None:
    s.see("a bucket that is not declared: storage", lambda: bool(s.storage("undeclared")))
    s.see("a bucket that is not declared: link", lambda: bool(s.storage("undeclared").url("a")))
    both = [s.bucket("private")]
    with s.changed(MINIO_PRIVATE_BUCKETS=both, MINIO_PUBLIC_BUCKETS=both):
        s.see("a bucket both private and public: storage", lambda: bool(s.storage()))
        s.see("a bucket both private and public: link", lambda: bool(s.storage().url("a")))
    with s.changed(**s.declared(private=("absent",))):
        see_calls(s, "a bucket that does not exist", s.storage("absent"))
    with s.changed(MINIO_SECRET_KEY="wrong"):
        see_calls(s, "a wrong key", s.storage())
    quick = urllib3.PoolManager(timeout=urllib3.Timeout(2), retries=urllib3.Retry(0))
    with s.changed(MINIO_ENDPOINT=NOBODY, MINIO_HTTP_CLIENT=quick):
        see_calls(s, "no server", s.storage())
        s.see("no server: initialize_buckets", lambda: s.printed("initialize_buckets", silenced=True))
        s.see("no server: is_bucket_public", lambda: s.storage().is_bucket_public)
        s.see("no server: private link", lambda: bool(s.storage().url("a")))
    with s.changed(MINIO_ACCESS_KEY=""):
        s.see("no access key: storage", lambda: bool(s.storage()))
        s.see("no access key: link", lambda: bool(s.storage().url("a")))


def see_calls(s: Script, trouble: str, storage: Any) -> None:
    s.see_each(
        f"{trouble}: save, open, delete",
        {
            "save": lambda: storage.save("trouble.txt", ContentFile(b"x")),
            "open": lambda: storage.open("links/plain.txt").read(),
            "delete": lambda: storage.delete("links/plain.txt"),
        },
    )
    s.see(f"{trouble}: exists", lambda: storage.exists("links/plain.txt"))
    s.see(f"{trouble}: size", lambda: storage.size("links/plain.txt"))


def starting(s: Script) -> None:
    """What the original raises when Django starts is an error of ``manage.py check`` here."""
    both, private = [s.bucket("media"), s.bucket("private")], [s.bucket("private")]
    scenarios: dict[str, dict[str, Any]] = {
        "with all settings": {},
        "without MINIO_ENDPOINT": {"MINIO_ENDPOINT": ""},
        "without MINIO_ACCESS_KEY": {"MINIO_ACCESS_KEY": ""},
        "without MINIO_SECRET_KEY": {"MINIO_SECRET_KEY": ""},
        "without MINIO_USE_HTTPS": {"MINIO_USE_HTTPS": None},
        "with an external endpoint alone": {"MINIO_EXTERNAL_ENDPOINT": "files.example.com"},
        "with MINIO_EXTERNAL_ENDPOINT_USE_HTTPS alone": {"MINIO_EXTERNAL_ENDPOINT_USE_HTTPS": True},
        "with a bucket both private and public": {
            "MINIO_PRIVATE_BUCKETS": both,
            "MINIO_PUBLIC_BUCKETS": both,
        },
        "with an undeclared media bucket": {"MINIO_PRIVATE_BUCKETS": private},
        "with no declared bucket": {"MINIO_PRIVATE_BUCKETS": [], "MINIO_PUBLIC_BUCKETS": []},
    }
    for scenario, values in scenarios.items():
        with s.changed(MINIO_CONSISTENCY_CHECK_ON_START=False, **values):
            s.see(f"start {scenario}", lambda: start(s))


def start(s: Script) -> str:
    try:
        apps.get_app_config(s.package).ready()
    except Exception:
        return "refused"
    errors = [message for message in run_checks() if message.is_serious()]
    return "refused" if errors else "accepted"


def creation(s: Script) -> None:
    for label in ("made-private", "made-public"):
        kind = label.partition("-")[2]
        with s.changed(**s.declared(**{kind: (label,)})):
            s.storage(label).check_bucket_existence()
            s.see(
                f"check_bucket_existence: everybody may, in a {kind} bucket",
                lambda label=label: s.permissions(label),
            )


def orphans(s: Script) -> None:
    """Last, as objects are deleted. 3.x has no such command."""
    if s.flat:
        return
    s.see(
        "clean_orphaned_minio_files --dry-run: objects in a bucket that no field uses",
        lambda: "links/plain.txt" in s.printed("clean_orphaned_minio_files", dry_run=True),
    )
    s.printed("clean_orphaned_minio_files")
    s.see("clean_orphaned_minio_files: left of them", lambda: s.keys("private", "links/plain"))


OPERATIONS = (
    start_and_commands,
    collectstatic,
    private_static_files,
    names_and_classes,
    saving,
    content_types,
    options_of_a_storage,
    reading,
    links,
    aliases,
    health,
    mistakes,
    starting,
    creation,
    orphans,
)


class SeventhOfMarch(datetime.datetime):
    """The clock on a day whose month and day have one digit."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return cls(2026, 3, 7, 12, tzinfo=tz)

    @classmethod
    def utcnow(cls) -> datetime.datetime:
        return cls.now()


def dates(s: Script) -> None:
    """In a process of its own, since the clock is stopped before the package is imported."""
    s.see("get_iso_date on 7 March 2026", lambda: s.name("models.get_iso_date")())
    s.see("iso_date_prefix on 7 March 2026", lambda: s.name("models.iso_date_prefix")(None, "a.txt"))


def main(path: Path, *, stopped: bool) -> None:
    script = Script(json.loads(path.read_text()))
    if stopped:
        settings.configure()
        datetime.datetime = SeventhOfMarch
        dates(script)
    else:
        script.configure()
        for operation in OPERATIONS:
            operation(script)
    path.write_text(json.dumps(script.seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), stopped="--stopped-clock" in sys.argv)
