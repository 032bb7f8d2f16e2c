"""What keys may do, and what servers refuse: each error names the right, the key or the header."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from django_minio_router.s3.errors import required_permission
from tests.support.proxy import Exchange, Proxy, answering, forward

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"


@pytest.fixture
def proxy(settings: Any) -> Iterator[Proxy]:
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        yield proxy


def error(code: str, message: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@pytest.mark.parametrize(
    ("method", "path", "query", "action"),
    [
        ("PUT", "/b/a.txt", "", "PutObject"),
        ("POST", "/b/a.txt", "uploads=", "PutObject"),
        ("HEAD", "/b/a.txt", "", "GetObject"),
        ("DELETE", "/b/a.txt", "", "DeleteObject"),
        ("DELETE", "/b/a.txt", "versionId=1", "DeleteObjectVersion"),
        ("DELETE", "/b/a.txt", "uploadId=1", "AbortMultipartUpload"),
        ("GET", "/b/a.txt", "uploadId=1", "ListMultipartUploadParts"),
        ("GET", "/b", "list-type=2&prefix=a", "ListBucket"),
        ("GET", "/b", "versions=", "ListBucketVersions"),
        ("POST", "/b", "delete=", "DeleteObject"),
        ("PUT", "/b", "", "CreateBucket"),
        ("DELETE", "/b", "", "DeleteBucket"),
        ("PUT", "/b", "policy=", "PutBucketPolicy"),
        ("DELETE", "/b", "policy=", "DeleteBucketPolicy"),
        ("GET", "/b", "tagging=", "GetBucketTagging"),
        ("DELETE", "/b", "lifecycle=", "PutLifecycleConfiguration"),
        ("GET", "/", "", "ListAllMyBuckets"),
    ],
)
def test_each_request_needs_a_right(method: str, path: str, query: str, action: str) -> None:
    assert required_permission(method, path, query).action == f"s3:{action}"


@pytest.mark.parametrize("how", ["our requests", "the SDK's"])
def test_what_is_denied_is_named_with_the_statement_to_add(bucket: str, proxy: Proxy, how: str) -> None:
    storage = MinioBackend(bucket, public=False, MINIO_CONDITIONAL_WRITES=True)
    proxy.when(
        answering(403, error("AccessDenied", "Access Denied."), Content_Type="application/xml"), times=None
    )
    action, resource = ("PutObject", f"{bucket}/*") if how == "our requests" else ("ListBucket", bucket)

    with pytest.raises(ServerError, match=f"lacks the permission s3:{action}") as refused:
        storage.save("a.txt", ContentFile(b"1")) if how == "our requests" else storage.listdir("")

    statement = json.loads(re.findall(r"{.*}", str(refused.value))[0])
    assert statement == {
        "Effect": "Allow",
        "Action": f"s3:{action}",
        "Resource": f"arn:aws:s3:::{resource}",
    }


def test_an_unknown_key_is_named_and_no_secret(bucket: str, bare: Minio) -> None:
    storage = MinioBackend(
        bucket, public=False, MINIO_ACCESS_KEY="UNKNOWNKEY", MINIO_SECRET_KEY="a-secret-of-nobody"
    )

    with pytest.raises(
        ServerError, match="does not know the key 'UNKNOWNKEY' of MINIO_ACCESS_KEY"
    ) as refused:
        storage.save("a.txt", ContentFile(b"1"))
    assert "a-secret-of-nobody" not in str(refused.value)


def available(*arguments: str) -> str:
    out = StringIO()
    call_command("is_minio_available", *arguments, stdout=out, stderr=out)
    return out.getvalue()


class TestRightsInABucket:
    def test_that_are_there(self, project: Any, bucket: str, contents: Callable[[str], Any]) -> None:
        assert f"may store, read, list and delete in {bucket!r}" in available("--bucket", bucket)
        assert contents(bucket) == {}

    def test_that_are_missing_exit_with_1(self, project: Any, bucket: str, proxy: Proxy) -> None:
        proxy.when(answering(403, error("AccessDenied")), method="DELETE", times=None)
        out = StringIO()

        with pytest.raises(CommandError, match="1 rights are missing"):
            call_command("is_minio_available", "--bucket", bucket, stdout=out, stderr=out)
        assert "s3:DeleteObject" in out.getvalue()


class TestServersWithoutChecksums:
    @pytest.fixture
    def storage(self, bucket: str, proxy: Proxy) -> MinioBackend:
        """On a server that refuses each request with a header that it does not know."""

        def refuse(exchange: Exchange) -> None:
            sent = exchange.request.headers
            if any(name.startswith("x-amz-checksum-") for name in sent):
                answering(400, error("InvalidArgument", "Unsupported header x-amz-checksum-crc32"))(exchange)
            else:
                forward(exchange)

        proxy.when(refuse, times=None)
        return MinioBackend(
            bucket,
            public=False,
            MINIO_CONDITIONAL_WRITES=True,
            MINIO_MULTIPART_PART_SIZE=5 * 1024 * 1024,
        )

    def test_are_asked_once(
        self, storage: MinioBackend, bucket: str, proxy: Proxy, contents: Any, caplog: Any
    ) -> None:
        storage.save("a.txt", ContentFile(b"first"))
        assert proxy.methods == ["PUT", "PUT"]
        storage.save("b.txt", ContentFile(b"second"))
        assert proxy.methods == ["PUT", "PUT", "PUT"]
        assert contents(bucket) == {"a.txt": b"first", "b.txt": b"second"}
        assert caplog.text.count("refuses checksums") == 1

    def test_take_large_files(self, storage: MinioBackend, bucket: str, contents: Any) -> None:
        content = secrets.token_bytes(6 * 1024 * 1024)
        storage.save("large.bin", ContentFile(content))
        assert contents(bucket) == {"large.bin": content}


def test_a_checksum_that_differs_is_not_left_out(bucket: str, proxy: Proxy, contents: Any) -> None:
    storage = MinioBackend(bucket, public=False, MINIO_CONDITIONAL_WRITES=True)
    proxy.when(answering(400, error("BadDigest", "The checksum did not match")), method="PUT", times=None)

    with pytest.raises(ServerError, match="BadDigest"):
        storage.save("a.txt", ContentFile(b"1"))
    assert contents(bucket) == {}


def test_a_server_that_calls_encryption_a_wrong_request_lacks_it(
    project: Any, bucket: str, proxy: Proxy
) -> None:
    project.MINIO_BUCKET_HOOKS = ["django_minio_router.hooks.encryption"]
    project.MINIO_PRIVATE_BUCKETS = [bucket]
    proxy.when(
        answering(400, error("InvalidRequest"), Content_Type="application/xml"),
        where=lambda request: "encryption" in request.target,
        times=None,
    )
    out = StringIO()

    call_command("initialize_buckets", stdout=out, stderr=out)
    assert "does not implement what the bucket hook encryption needs" in out.getvalue()


class TestPoliciesOfTheDocs:
    """What docs/providers.md says that keys need, on a server whose policies can be set from here."""

    @pytest.fixture
    def as_user(self, on_minio: bool, bare: Minio, bucket: str) -> Iterator[Callable[[str], dict[str, str]]]:
        if not on_minio:
            pytest.skip("users are made through MinIO's own API")
        root = bare._provider.retrieve()
        keys = StaticProvider(root.access_key, root.secret_key)
        admin = MinioAdmin(endpoint=bare._base_url.host, credentials=keys, secure=False)
        made = []

        def make(policy: str) -> dict[str, str]:
            key, secret = f"user{secrets.token_hex(6)}", secrets.token_hex(12)
            text = re.findall(rf"### {policy}\n.*?```json\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
            admin.user_add(key, secret)
            admin.policy_add(key, policy=json.loads(text.replace("BUCKET", bucket)))
            admin.attach_policy([key], user=key)
            made.append(key)
            return {"MINIO_ACCESS_KEY": key, "MINIO_SECRET_KEY": secret}

        yield make
        for key in made:
            admin.user_remove(key)
            admin.policy_remove(key)

    def test_for_reading(self, as_user: Any, bucket: str, contents: Any) -> None:
        MinioBackend(bucket, public=False).save("a.txt", ContentFile(b"1"))
        reader = MinioBackend(bucket, public=False, **as_user("Reading"))

        assert reader.open("a.txt").read() == b"1"
        assert not reader.exists("missing.txt")
        assert reader.listdir("") == ([], ["a.txt"])
        with pytest.raises(ServerError, match="lacks the permission s3:PutObject"):
            reader.save("b.txt", ContentFile(b"2"))
        with pytest.raises(ServerError, match="lacks the permission s3:DeleteObject"):
            reader.delete("a.txt")
        assert contents(bucket) == {"a.txt": b"1"}

    def test_for_saving(self, as_user: Any, bucket: str, contents: Any, project: Any) -> None:
        keys = as_user("Saving")
        writer = MinioBackend(bucket, public=False, MINIO_MULTIPART_PART_SIZE=5 * 1024 * 1024, **keys)
        large = b"x" * (6 * 1024 * 1024)
        writer.save("a.txt", ContentFile(b"1"))
        assert writer.save("a.txt", ContentFile(b"2")) != "a.txt"
        assert writer.open(writer.save("large.bin", ContentFile(large))).read() == large
        writer.delete("large.bin")
        for name, value in keys.items():
            setattr(project, name, value)
        assert "may store, read, list and delete" in available("--bucket", bucket)

    def test_for_collectstatic(self, as_user: Any, bucket: str, project: Any, tmp_path: Path) -> None:
        (tmp_path / "app.css").write_text("body { }")
        for name, value in as_user("Saving").items():
            setattr(project, name, value)
        static = {"BACKEND": "django_minio_router.static.MinioManifestStaticStorage"}
        project.STORAGES = {**project.STORAGES, "staticfiles": static}
        project.STATICFILES_DIRS = [tmp_path]
        project.INSTALLED_APPS = ["django_minio_router", "django.contrib.staticfiles"]
        project.TENANT_MODEL = None
        project.MINIO_STATIC_FILES_BUCKET = bucket
        out = StringIO()
        call_command("collectstatic", interactive=False, stdout=out)
        assert "1 static file copied, 1 post-processed" in out.getvalue()

    def test_for_initialize_buckets(self, as_user: Any, bucket: str, project: Any, bare: Minio) -> None:
        for name, value in as_user("Creating buckets").items():
            setattr(project, name, value)
        project.MINIO_PUBLIC_BUCKETS = [bucket, f"{bucket}-new"]
        project.MINIO_PRIVATE_BUCKETS = [f"{bucket}-private"]
        out = StringIO()

        try:
            call_command("initialize_buckets", "--adopt", stdout=out, stderr=out)
        except CommandError:
            pytest.fail(out.getvalue())
        assert bare.bucket_exists(bucket_name=f"{bucket}-private")
        assert "s3:GetObject" in bare.get_bucket_policy(bucket_name=f"{bucket}-new")
        with pytest.raises(ServerError, match="lacks the permission s3:PutObject"):
            MinioBackend(bucket, public=True).save("a.txt", ContentFile(b"1"))
