"""One span for each call of a storage, with what may go wrong in it and what may not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from django_minio_router import MinioBackend, MinioRouter, TenantRequired
from django_minio_router.exceptions import ServerError
from django_minio_router.storage.signals import object_saved
from django_minio_router.strategies import PerTenant
from django_minio_router.tenancy import get_tenancy
from tests.apps.customers.models import Client
from tests.support.sites import SERVER, QuickSite

NORTH = Client(schema_name="north")
exporter = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(made)


@pytest.fixture(autouse=True)
def in_memory(settings, minio_memory: None) -> None:
    settings.MINIO_TESTING = "memory"
    settings.MINIO_PRIVATE_BUCKETS = ["papers"]
    exporter.clear()


@pytest.fixture
def papers() -> MinioBackend:
    return MinioBackend("papers")


@pytest.fixture
def router() -> MinioRouter:
    return MinioRouter(strategy=PerTenant("media-{schema_name}"))


def span() -> ReadableSpan:
    (only,) = exporter.get_finished_spans()
    exporter.clear()
    return only


def told(found: ReadableSpan) -> dict[str, object]:
    return {name.removeprefix("storage."): value for name, value in (found.attributes or {}).items()}


def put(storage: MinioBackend | MinioRouter) -> str:
    return storage.save("a.txt", ContentFile(b"content"))


def test_each_call_has_one_with_tenant_bucket_and_operation(router: MinioRouter) -> None:
    calls = {
        "save": lambda: put(router),
        "exists": lambda: router.exists("a.txt"),
        "open": lambda: router.open("a.txt"),
        "size": lambda: router.size("a.txt"),
        "get_modified_time": lambda: router.get_modified_time("a.txt"),
        "listdir": lambda: router.listdir(""),
        "delete": lambda: router.delete("a.txt"),
    }
    with get_tenancy().bucket_context(NORTH):
        for operation, call in calls.items():
            call()
            found = span()
            assert found.name == f"storage {operation}"
            assert told(found) == {"operation": operation, "tenant": "north", "bucket": "media-north"}
            assert found.status.is_ok
        assert "media-north" in router.url("a.txt")
        assert exporter.get_finished_spans() == (), "a link sends no request"


def test_it_names_the_tenant_that_a_router_acts_for(router: MinioRouter) -> None:
    with get_tenancy().bucket_context(Client(schema_name="south")):
        router.on_behalf_of(NORTH).exists("a.txt")
    assert told(span()) == {"operation": "exists", "tenant": "north", "bucket": "media-north"}


def test_a_backend_has_one_too_and_no_tenant(papers: MinioBackend) -> None:
    put(papers)
    assert told(span()) == {"operation": "save", "bucket": "papers"}


def test_a_missing_file_and_a_taken_name_are_no_errors(papers: MinioBackend) -> None:
    assert not papers.exists("a.txt")
    assert span().status.is_unset

    assert put(papers) != put(papers)
    assert [found.status.is_unset for found in exporter.get_finished_spans()] == [True, True]
    exporter.clear()

    with pytest.raises(FileNotFoundError):
        papers.open("missing.txt")
    found = span()
    assert found.status.is_unset
    assert not found.events


def test_errors_are_marked_and_kept(router: MinioRouter, settings) -> None:
    with pytest.raises(TenantRequired):
        router.exists("a.txt")
    found = span()
    assert (found.status.status_code, found.status.description) == (trace.StatusCode.ERROR, "TenantRequired")
    assert [event.name for event in found.events] == ["exception"]
    assert told(found) == {"operation": "exists"}, "neither bucket nor tenant"

    settings.MINIO_TESTING, settings.MINIO_ENDPOINT, settings.MINIO_RETRIES = "real", "127.0.0.1:9", 0
    with pytest.raises(ServerError):
        MinioBackend("papers").size("a.txt")
    assert span().status.status_code is trace.StatusCode.ERROR


@pytest.fixture
def inner() -> Iterator[None]:
    def make(**kwargs: object) -> None:
        with trace.get_tracer("project").start_as_current_span("inner"):
            pass

    object_saved.connect(make)
    yield
    object_saved.disconnect(make)


def test_it_is_the_parent_of_what_happens_within(papers: MinioBackend, inner: None) -> None:
    put(papers)
    within, call = exporter.get_finished_spans()
    assert (within.name, call.name) == ("inner", "storage save")
    assert within.parent is not None
    assert within.parent.span_id == call.get_span_context().span_id


def test_a_trace_that_is_not_recorded_stays_whole(papers: MinioBackend) -> None:
    seen = []

    def look(**kwargs: object) -> None:
        seen.append(trace.get_current_span().get_span_context())

    dropped = trace.SpanContext(trace_id=1, span_id=1, is_remote=True, trace_flags=trace.TraceFlags(0))
    object_saved.connect(look)
    try:
        with trace.use_span(trace.NonRecordingSpan(dropped)):
            put(papers)
    finally:
        object_saved.disconnect(look)
    assert [(context.trace_id, context.trace_flags.sampled) for context in seen] == [(1, False)]
    assert exporter.get_finished_spans() == ()


def test_without_the_package_calls_run_as_they_are(tmp_path) -> None:
    site = QuickSite(tmp_path, SERVER, "MINIO_ENDPOINT = 'memory:'")
    site.at_start("import sys; sys.modules['opentelemetry'] = None")
    run = site.python(
        """
        from django_minio_router import MinioBackend
        print(hasattr(MinioBackend.exists, "__wrapped__"), MinioBackend(public=False).exists("a.txt"))
        """
    )
    assert run.stdout.split() == ["False", "False"], run.stderr
