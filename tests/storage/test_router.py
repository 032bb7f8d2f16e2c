"""The router: the same as a backend for one bucket, strict about its strategy, and never swallowed."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.forms import ClearableFileInput
from django.template import Context, Template
from django.test import override_settings
from minio import Minio, S3Error

from django_minio_router import (
    ConfigurationError,
    InvalidBucketName,
    MinioBackend,
    MinioRouter,
    MinioServerStatus,
    RoutingError,
    TenantRequired,
)
from django_minio_router.buckets.ensure import ensure_bucket
from django_minio_router.inventory.sources import used_source
from django_minio_router.inventory.uses import StorageUse
from django_minio_router.strategies import BucketStrategy, FixedBucket, Location, PerModel, PerTenant
from tests.apps.docs.models import Contract, Invoice, Photo

from .answers import Answers

PATH = "django_minio_router.strategies"

CALLS: dict[str, Callable[[Any], Any]] = {
    "save": lambda storage: storage.save("a.txt", ContentFile(b"a")),
    "open": lambda storage: storage.open("a.txt").read(),
    "delete": lambda storage: storage.delete("a.txt"),
    "exists": lambda storage: storage.exists("a.txt"),
    "size": lambda storage: storage.size("a.txt"),
    "listdir": lambda storage: storage.listdir(""),
    "url": lambda storage: storage.url("a.txt"),
    "get_modified_time": lambda storage: storage.get_modified_time("a.txt"),
    "get_available_name": lambda storage: storage.get_available_name("a.txt"),
    "stat": lambda storage: getattr(storage, "backend", storage).stat("a.txt"),
    "check_bucket_existence": lambda storage: getattr(storage, "backend", storage).check_bucket_existence(),
    "client": lambda storage: getattr(storage, "backend", storage).client,
}


def ensure(router: MinioRouter) -> None:
    """Make the router's bucket as `initialize_buckets` does."""
    source = used_source(StorageUse("a test", router))
    for planned in source.buckets():
        ensure_bucket(planned)


class Recorder:
    """Runs the same operations on a storage and keeps what came of each."""

    def __init__(self, storage: Storage, bucket: str) -> None:
        self.storage = storage
        self.bucket = bucket
        self.seen: list[Any] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                result = getattr(self.storage, operation)(*args, **kwargs)
            except Exception as error:
                self.note(operation, args, type(error).__name__, str(error))
                return None
            self.note(operation, args, type(result).__name__, result)
            return result

        return run

    def note(self, *what: Any) -> None:
        text = repr(what).replace(self.bucket, "BUCKET")
        text = re.sub(r"_[A-Za-z0-9]{7}(?=\.)", "_RANDOM", text)
        text = re.sub(r"(X-Amz-(Date|Credential|Signature)=)[^&']*", r"\1…", text)
        text = re.sub(r"0x[0-9a-f]+|datetime\(.*?\)|\d{4}-\d\d-\d\dT[\d:.]+Z", "…", text)
        self.seen.append(text)


def everything(storage: Any, bucket: str) -> list[Any]:
    run = Recorder(storage, bucket)
    run.save("a.txt", ContentFile(b"first"))
    run.save("a.txt", ContentFile(b"second"))
    run.save("folder/ü +&#?%.html", ContentFile("text"))
    run.save(None, SimpleUploadedFile("named.png", b"png", content_type="image/x-mine"))
    run.save("tiny.txt", ContentFile(b""), max_length=8)
    run.save("tiny.txt", ContentFile(b""), max_length=8)
    for name in ("a.txt", "folder/ü +&#?%.html", "tiny.txt", "missing.txt"):
        run.exists(name)
        run.size(name)
        run.url(name)
        run.url(name, expires=timedelta(hours=1), filename="b.txt", disposition="attachment")
        run.get_modified_time(name)
        run.get_available_name(name, max_length=20)
        opened = run.open(name)
        if opened is not None:
            run.note(opened.name, opened.size, opened.content_type, opened.read(), list(opened.chunks()))
    for path in ("", ".", "/", "folder", "folder/", "missing"):
        run.listdir(path)
    for bad in ("../a", "/a", "a//b", "a\\b", "a\0", "", ".", "x" * 1025):
        run.save(bad, ContentFile(b""))
        for operation in ("open", "exists", "size", "url", "delete", "listdir", "get_modified_time"):
            getattr(run, operation)(bad)
    run.open("a.txt", "wb")
    run.path("a.txt")
    run.get_accessed_time("a.txt")
    run.get_created_time("a.txt")
    run.get_valid_name("a b?.txt")
    run.generate_filename("folder/a b?.txt")
    run.get_alternative_name("a", ".txt")
    run.delete("a.txt")
    run.delete("a.txt")
    run.exists("a.txt")
    run.is_minio_available()
    return run.seen


def held(bare: Minio, bucket: str) -> set[Any]:
    """Return what the server holds: names, contents, types and metadata."""
    found = set()
    for entry in bare.list_objects(bucket_name=bucket, recursive=True):
        name = entry.object_name
        facts = bare.stat_object(bucket_name=bucket, object_name=name)
        given = {key.lower(): value for key, value in facts.metadata.items()}
        mine = {key: given[key] for key in given.keys() & {"x-amz-meta-colour", "cache-control"}}
        content = bare.get_object(bucket_name=bucket, object_name=name).data
        plain = re.sub(r"_[A-Za-z0-9]{7}(?=\.)", "_RANDOM", name)
        found.add((plain, content, facts.content_type, tuple(sorted(mine.items()))))
    return found


class TestOneBucket:
    """``MinioRouter()`` is ``MinioBackend()``, and with ``FixedBucket("x")`` it is ``MinioBackend("x")``."""

    @pytest.fixture
    def two_buckets(self, bare: Minio, new_name: Callable[[str], str]) -> tuple[str, str]:
        names = (new_name("one"), new_name("two"))
        for name in names:
            bare.make_bucket(bucket_name=name)
        return names

    def compare(self, bare: Minio, backend: Any, router: Any, buckets: tuple[str, str]) -> None:
        expected, actual = everything(backend, buckets[0]), everything(router, buckets[1])
        assert len(expected) > 80
        assert actual == expected
        assert held(bare, buckets[1]) == held(bare, buckets[0]) != set()

    @pytest.mark.parametrize("public", [False, True])
    @pytest.mark.parametrize(
        "options",
        [{}, {"replace_existing": True, "metadata": {"Colour": "red", "Cache-Control": "no-store"}}],
    )
    def test_a_fixed_bucket(
        self, two_buckets: tuple[str, str], bare: Minio, public: bool, options: dict[str, Any]
    ) -> None:
        setting = "MINIO_PUBLIC_BUCKETS" if public else "MINIO_PRIVATE_BUCKETS"
        one, two = two_buckets
        with override_settings(**{setting: two_buckets}):
            router = MinioRouter(strategy=FixedBucket(two), **options)
            self.compare(bare, MinioBackend(one, **options), router, two_buckets)

    def test_no_strategy(self, two_buckets: tuple[str, str], bare: Minio) -> None:
        class Turned:
            """A storage that is used while its bucket is the default one."""

            def __init__(self, storage: Storage, bucket: str) -> None:
                self.storage, self.bucket = storage, bucket

            def __getattr__(self, operation: str) -> Any:
                def run(*args: Any, **kwargs: Any) -> Any:
                    with override_settings(
                        MINIO_MEDIA_FILES_BUCKET=self.bucket, MINIO_PRIVATE_BUCKETS=[self.bucket]
                    ):
                        return getattr(self.storage, operation)(*args, **kwargs)

                return run

        one, two = two_buckets
        self.compare(bare, Turned(MinioBackend(), one), Turned(MinioRouter(), two), two_buckets)

    def test_a_bucket_that_is_declared_nowhere(self, new_name: Callable[[str], str], bare: Minio) -> None:
        """The setting says for ``MinioBackend`` which buckets there are; for a router the strategy does."""
        name = new_name("nowhere")
        with pytest.raises(ConfigurationError, match="declared neither"):
            MinioBackend(name).url("a.txt")

        router = MinioRouter(strategy=FixedBucket(name))
        ensure(router)

        assert router.save("a.txt", ContentFile(b"a")) == "a.txt"
        assert "X-Amz-Signature" in router.url("a.txt")
        with pytest.raises(S3Error, match="NoSuchBucketPolicy"):
            bare.get_bucket_policy(bucket_name=name)

    @pytest.mark.parametrize("name", ["Reports", "a", "192.168.5.4", "report_s"])
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_a_wrong_name_is_the_same_error_in_every_call(
        self, call: Callable[[Any], Any], name: str
    ) -> None:
        router = MinioRouter(strategy=FixedBucket(name))
        for make in (lambda: MinioBackend(name, public=False), lambda: router, lambda: router.backend):
            with pytest.raises(InvalidBucketName, match=re.escape(repr(name))):
                call(make())

    def test_a_bucket_that_is_declared_later(self, new_name: Callable[[str], str]) -> None:
        name = new_name("later")
        router = MinioRouter(strategy=FixedBucket(name))
        assert "X-Amz-Signature" in router.url("a.txt")

        with override_settings(MINIO_PUBLIC_BUCKETS=[name]):
            assert "X-Amz-Signature" not in router.url("a.txt")

    def test_a_bucket_that_does_not_exist(self, new_name: Callable[[str], str]) -> None:
        name = new_name("missing")
        with override_settings(MINIO_PRIVATE_BUCKETS=[name]):
            seen = [
                everything(storage, name)
                for storage in (MinioBackend(name), MinioRouter(strategy=FixedBucket(name)))
            ]
        assert seen[0] == seen[1]
        assert any("BucketNotFound" in line for line in seen[0])

    def test_the_server_s_state_needs_no_tenant(self) -> None:
        status = MinioRouter(strategy=PerTenant()).is_minio_available()
        assert isinstance(status, MinioServerStatus)
        assert status

    def test_a_public_strategy_gives_plain_links(self) -> None:
        plain = MinioRouter(strategy=PerModel(default="media", public_read=True)).url("a b.txt")
        assert plain.endswith("/media/a%20b.txt")
        assert "X-Amz-Signature" in MinioRouter(strategy=PerModel(default="media")).url("a b.txt")

    @pytest.mark.parametrize(
        ("storage", "seconds"),
        [
            (MinioRouter(strategy=PerModel(default="media")), 3600 + 900),
            (MinioRouter(strategy=FixedBucket("media", public_read=False)), 3600 + 900),
            (MinioRouter(strategy=FixedBucket("media")), 7 * 24 * 3600),
            (MinioRouter(), 7 * 24 * 3600),
            (MinioBackend("media", public=False), 7 * 24 * 3600),
        ],
    )
    def test_a_link_lives_for_an_hour_in_the_private_buckets_of_strategies(
        self, storage: Storage, seconds: int
    ) -> None:
        assert f"X-Amz-Expires={seconds}&" in storage.url("a.txt")

    def test_a_project_says_how_long_all_links_live(self) -> None:
        with override_settings(MINIO_URL_EXPIRY_HOURS=timedelta(hours=8)):
            link = MinioRouter(strategy=PerModel(default="media")).url("a.txt")
        assert f"X-Amz-Expires={8 * 3600 + 900}&" in link


class TestTheStrategyOption:
    @pytest.mark.parametrize(
        "option",
        [
            PerTenant(),
            PerTenant,
            f"{PATH}.PerTenant",
            {"BACKEND": f"{PATH}.PerTenant"},
            {"BACKEND": f"{PATH}.PerTenant", "OPTIONS": {}},
            {"BACKEND": PerTenant, "OPTIONS": {"template": None}},
            f"{__name__}.A_STRATEGY",
        ],
    )
    def test_takes_each_form(self, option: Any) -> None:
        assert MinioRouter(strategy=option).strategy == PerTenant()
        assert MinioRouter(option).strategy == PerTenant()

    def test_takes_options(self) -> None:
        option = {
            "BACKEND": f"{PATH}.PerModel",
            "OPTIONS": {"buckets": {"docs.Invoice": "a-b"}, "default": "c-d"},
        }
        assert MinioRouter(strategy=option).strategy == PerModel({"docs.Invoice": "a-b"}, default="c-d")

    @pytest.mark.parametrize(
        ("option", "problem"),
        [
            ("nonsense", "cannot be imported"),
            ("", "cannot be imported"),
            ("no.such.module.Strategy", "cannot be imported"),
            (f"{PATH}.NoSuchStrategy", "cannot be imported"),
            ({"BACKEND": f"{PATH}.NoSuchStrategy"}, "cannot be imported"),
            ({}, "is not a BucketStrategy"),
            ({"OPTIONS": {}}, "is not a BucketStrategy"),
            ({"backend": f"{PATH}.PerTenant"}, "has 'backend' beside BACKEND and OPTIONS"),
            ({"BACKEND": f"{PATH}.PerTenant", "template": "x"}, "has 'template' beside BACKEND"),
            ("django.core.files.storage.Storage", "is not a BucketStrategy"),
            (MinioBackend, "is not a BucketStrategy"),
            (lambda model: "media", "is not a BucketStrategy"),
            (7, "is not a BucketStrategy"),
            (False, "is not a BucketStrategy"),
            (f"{PATH}.FixedBucket", "missing 1 required positional argument: 'name'"),
            (FixedBucket, "missing 1 required positional argument: 'name'"),
            ({"BACKEND": f"{PATH}.PerTenant", "OPTIONS": {"nonsense": 1}}, "unexpected keyword argument"),
            ({"BACKEND": f"{PATH}.PerTenant", "OPTIONS": ["a"]}, "cannot be created"),
            ({"BACKEND": f"{__name__}.A_STRATEGY", "OPTIONS": {"template": "x"}}, "is an instance"),
            (f"{PATH}.BucketStrategy", "abstract"),
        ],
    )
    def test_refuses_each_wrong_form(self, option: Any, problem: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            MinioRouter(strategy=option)
        assert repr(option) in str(caught.value)
        assert problem in str(caught.value)

    def test_a_mistake_inside_of_a_strategy_is_shown_as_it_is(self) -> None:
        option = {"BACKEND": f"{PATH}.PerTenant", "OPTIONS": {"template": "Bad-{schema_name}"}}
        with pytest.raises(ConfigurationError, match="bucket template 'Bad-"):
            MinioRouter(strategy=option)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"bucket_name": "media"}, "got the bucket_name"),
            ({"strategy": PerTenant(), "bucket_name": "media"}, "got the bucket_name"),
            ({"strategy": PerTenant(), "public": True}, "public_read"),
            ({"strategy": PerTenant(), "nonsense": 1}, "'nonsense' is not an option"),
            ({"nonsense": 1}, "'nonsense' is not an option"),
        ],
    )
    def test_options_that_a_router_does_not_have_are_refused_at_once(
        self, options: dict[str, Any], problem: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=problem):
            MinioRouter(**options)

    def test_in_settings(self, bucket: str) -> None:
        entry = {
            "BACKEND": "django_minio_router.MinioRouter",
            "OPTIONS": {
                "strategy": {
                    "BACKEND": f"{PATH}.FixedBucket",
                    "OPTIONS": {"name": bucket, "public_read": False},
                },
                "replace_existing": True,
            },
        }
        with override_settings(STORAGES={"default": entry}):
            router = storages["default"]
            assert router.save("a.txt", ContentFile(b"1")) == router.save("a.txt", ContentFile(b"2"))


A_STRATEGY = PerTenant()


class TestWrongAnswers:
    @pytest.mark.parametrize(
        "answer",
        ["", "ab", "Not_Valid", "a..b", "192.168.5.4", "x" * 64, "a/b", None, 7, b"abc", ["abc"], {"a": 1}],
    )
    def test_an_invalid_name_is_refused_with_strategy_and_value(self, answer: Any) -> None:
        with pytest.raises(InvalidBucketName) as caught:
            MinioRouter(strategy=Answers(answer)).save("a.txt", ContentFile(b"?"))
        assert f"Answers({answer!r}) gave the bucket name {answer!r}, which " in str(caught.value)

    def test_so_is_one_in_a_location(self) -> None:
        with pytest.raises(InvalidBucketName, match="Not_Valid"):
            MinioRouter(strategy=Answers(Location("Not_Valid"))).url("a.txt")

    @pytest.mark.parametrize("prefix", ["../", "a/../b", "/", "/a"])
    def test_a_folder_that_leads_elsewhere_is_refused(self, prefix: str) -> None:
        with pytest.raises(SuspiciousFileOperation):
            MinioRouter(strategy=Answers(Location("media", prefix=prefix))).url("a.txt")

    def test_a_strategy_that_is_no_module_s_is_named_all_the_same(self) -> None:
        class Local(Answers):
            pass

        with pytest.raises(InvalidBucketName, match=r"Local\('x'\)"):
            MinioRouter(strategy=Local("x")).url("a.txt")


class TestRoutingErrorsAreSeen:
    """Django catches many exceptions around files; a file without a bucket must not look like no file."""

    @pytest.fixture(autouse=True)
    def no_tenant(self) -> Iterator[None]:
        connection.set_schema_to_public()
        yield
        connection.set_schema_to_public()

    def test_they_are_no_exception_that_others_catch(self) -> None:
        caught_by_others = (OSError, ValueError, AttributeError, TypeError, LookupError, RuntimeError)
        for kind in (RoutingError, *RoutingError.__subclasses__()):
            assert not issubclass(kind, caught_by_others)
            assert not getattr(kind, "silent_variable_failure", False)

    @pytest.mark.parametrize(
        "call",
        [
            lambda file: file.url,
            lambda file: file.size,
            lambda file: file.file,
            lambda file: file.open(),
            lambda file: file.read(),
            lambda file: list(file.chunks()),
            lambda file: hasattr(file, "url"),
            lambda file: getattr(file, "size", 0),
            lambda file: file.delete(save=False),
            lambda file: file.save("b.txt", ContentFile(b"b"), save=False),
            lambda file: ClearableFileInput().render("file", file),
        ],
    )
    def test_by_field_files_and_forms(self, call: Callable[[Any], Any]) -> None:
        with pytest.raises(TenantRequired):
            call(Contract(file="a.txt").file)

    @pytest.mark.parametrize(
        "source",
        [
            "{{ contract.file.url }}",
            "{{ contract.file.url|default:'none' }}",
            "{% if contract.file.url %}yes{% endif %}",
            "{% with link=contract.file.url %}{{ link }}{% endwith %}",
            "{% firstof contract.file.url 'none' %}",
        ],
    )
    def test_by_templates(self, source: str) -> None:
        with pytest.raises(TenantRequired):
            Template(source).render(Context({"contract": Contract(file="a.txt")}))

    @pytest.mark.django_db
    def test_by_saving_a_row(self) -> None:
        with pytest.raises(TenantRequired):
            Contract(file=ContentFile(b"a", name="a.txt")).save()

    def test_by_an_image_that_measures_itself(self) -> None:
        with pytest.raises(TenantRequired):
            Photo(image="a.png")


class TestInside:
    def test_a_call_sends_no_query(self, django_assert_num_queries: Any, db: None) -> None:
        router = MinioRouter(strategy=PerModel(default="media"))
        with django_assert_num_queries(0):
            router.url("a.txt")
            router.bind(Invoice._meta.get_field("file")).url("a.txt")

    def test_the_backend_of_a_bucket_is_made_once(self) -> None:
        router = MinioRouter(strategy=PerModel(template="test-{app_label}-{model_name}"))
        one, two = (router.bind(Invoice._meta.get_field("file")) for _ in range(2))
        assert one.backend is two.backend is one.backend

    def test_threads_on_many_buckets_get_the_backend_of_their_own(self) -> None:
        router = MinioRouter(strategy=ByThread())
        together = threading.Barrier(16)

        def work(number: int) -> None:
            together.wait(timeout=60)
            for turn in range(2000):
                ByThread.now.bucket = f"bucket-{(turn * 7 + number) % 300}"
                assert router.backend.bucket == ByThread.now.bucket

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(work, range(16)))
        for number in range(300):
            ByThread.now.bucket = f"bucket-{number}"
            assert router.backend is router.backend

    def test_more_buckets_than_are_kept(self) -> None:
        router = MinioRouter(strategy=ByThread())
        for number in (*range(5000), 0, 4999):
            ByThread.now.bucket = f"bucket-{number}"
            assert router.backend.bucket == f"bucket-{number}"

    def test_settings_are_read_late(self) -> None:
        router = MinioRouter(strategy=PerModel(default="media"))
        assert "127.0.0.1" in router.url("a.txt")
        with override_settings(MINIO_EXTERNAL_ENDPOINT="files.example.com"):
            assert "files.example.com/media/a.txt" in router.url("a.txt")
        assert "files.example.com" not in router.url("a.txt")

    def test_a_copy_routes_as_the_original(self) -> None:
        router = MinioRouter(strategy=PerModel(default="media"))
        assert copy.copy(router).url("a.txt") == router.url("a.txt")

    def test_a_repr_shows_no_secret(self) -> None:
        router = MinioRouter(strategy=PerModel(default="media"), MINIO_SECRET_KEY="not to be seen")
        assert "not to be seen" not in repr(router) + str(router) + repr(router.strategy)


class ByThread(BucketStrategy):
    """The bucket that the thread has set."""

    now = threading.local()

    def bucket_for(self, model: Any) -> str:
        return str(self.now.bucket)

    def buckets_for(self, models: Any) -> list[str]:
        return []
