"""Is the server there? The method, the command, and their time limit."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from django_minio_router import MinioBackend, MinioRouter, MinioServerStatus
from django_minio_router.s3 import status
from django_minio_router.strategies import PerTenant
from tests.apps.docs.models import Receipt
from tests.support.proxy import Proxy, answering

pytestmark = pytest.mark.usefixtures("project")

NOBODY = "127.0.0.1:9"


def command(**options: object) -> str:
    out = StringIO()
    call_command("is_minio_available", stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of something that takes connections and never answers."""
    monkeypatch.setattr(status, "TIME_LIMIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


class TestMethod:
    @pytest.mark.parametrize("storage", [MinioBackend(), MinioRouter(), MinioRouter(strategy=PerTenant())])
    def test_a_server_that_answers(self, project, storage):
        answer = storage.is_minio_available()

        assert isinstance(answer, MinioServerStatus)
        assert answer
        assert answer.is_available
        assert answer.status in {200, 403}
        assert project.MINIO_ENDPOINT in answer.details

    def test_needs_neither_a_bucket_nor_the_right_key(self, project):
        project.MINIO_SECRET_KEY = "not the key"

        assert MinioBackend("nowhere").is_minio_available()

    def test_a_server_that_is_not_there(self, project):
        project.MINIO_ENDPOINT = NOBODY
        answer = MinioBackend().is_minio_available()

        assert not answer
        assert answer.status is None
        assert NOBODY in answer.details

    def test_a_server_that_never_answers(self, project, silent):
        project.MINIO_ENDPOINT = silent

        assert not MinioBackend().is_minio_available()

    def test_a_gateway_whose_server_is_gone(self, project):
        with Proxy(project.MINIO_ENDPOINT) as proxy:
            proxy.when(answering(503))
            project.MINIO_ENDPOINT = proxy.endpoint
            answer = MinioBackend().is_minio_available()

        assert not answer
        assert answer.status == 503

    def test_is_asked_once_and_not_again_where_it_fails(self, project):
        with Proxy(project.MINIO_ENDPOINT) as proxy:
            proxy.when(answering(503), times=None)
            project.MINIO_ENDPOINT = proxy.endpoint
            MinioBackend().is_minio_available()

            assert proxy.methods == ["GET"]

    def test_settings_that_are_missing_are_the_reason(self, project):
        project.MINIO_ENDPOINT = ""
        answer = MinioBackend().is_minio_available()

        assert not answer
        assert "MINIO_ENDPOINT is not set" in answer.details


class TestCommand:
    def test_a_server_that_answers(self, project):
        assert "The S3 server is available." in command()
        assert project.MINIO_ENDPOINT in command()

    @pytest.mark.parametrize("options", [{"silenced": True}, {"verbosity": 0}])
    def test_in_silence(self, options):
        assert command(**options) == ""

    @pytest.mark.parametrize("options", [{}, {"silenced": True}])
    def test_a_server_that_is_not_there_is_an_error(self, project, options):
        project.MINIO_ENDPOINT = NOBODY

        with pytest.raises(CommandError, match=rf"NOT available.*{NOBODY}") as error:
            command(**options)
        assert error.value.returncode == 1

    @pytest.mark.parametrize("key", ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"])
    def test_a_server_that_refuses_the_keys_is_an_error(self, project, key):
        setattr(project, key, "not-the-key")

        with pytest.raises(CommandError, match=r"NOT available.*reachable, keys refused") as error:
            command()
        assert error.value.returncode == 1
        assert project.MINIO_ENDPOINT in str(error.value)
        assert "not-the-key" not in str(error.value)

    def test_each_pair_of_keys_is_tried(self, project, use):
        use(Receipt, MinioBackend("receipts", MINIO_SECRET_KEY="not the key"))

        with pytest.raises(CommandError, match="keys refused"):
            command()

    def test_every_server_in_use_is_asked(self, project, use):
        project.MINIO_SERVERS = {
            "eu": {"MINIO_ENDPOINT": NOBODY, "MINIO_ACCESS_KEY": "k", "MINIO_SECRET_KEY": "s"}
        }
        use(Receipt, MinioBackend("receipts", server="eu"))
        out = StringIO()

        with pytest.raises(CommandError, match=NOBODY):
            call_command("is_minio_available", stdout=out)
        assert project.MINIO_ENDPOINT in out.getvalue(), "the other one answers"

    def test_a_server_that_several_storages_use_is_asked_once(self, project, use):
        with Proxy(project.MINIO_ENDPOINT) as proxy:
            project.MINIO_ENDPOINT = proxy.endpoint
            use(Receipt, MinioBackend("receipts", MINIO_RETRIES=0))
            command()

            assert proxy.methods == ["GET"]

    def test_without_any_setting_it_says_what_is_missing(self, project):
        for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY", "PRIVATE_BUCKETS", "PUBLIC_BUCKETS"):
            delattr(project, f"MINIO_{name}")

        with pytest.raises(CommandError, match="MINIO_ENDPOINT is not set"):
            command()
