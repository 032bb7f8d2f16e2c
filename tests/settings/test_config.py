"""The settings: which of several places holds, what follows from them, and what they never show."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils.functional import SimpleLazyObject, lazystr
from minio.credentials import EnvAWSProvider, StaticProvider
from minio.credentials.providers import Provider

from django_minio_router import ConfigurationError, MinioBackend, MinioRouter, PrivatePublicMixedError
from django_minio_router.settings.config import Config
from django_minio_router.settings.declared import DEFAULTS, SETTINGS
from django_minio_router.strategies import FixedBucket

DAY = 24 * 60 * 60

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture
def flat(project):
    """Flat settings that name everything of one server."""
    project.MINIO_ENDPOINT = "flat.example.com"
    project.MINIO_ACCESS_KEY, project.MINIO_SECRET_KEY = "flat-key", "flat-secret"
    project.MINIO_USE_HTTPS = True
    project.MINIO_REGION = "eu-central-1"
    project.MINIO_EXTERNAL_ENDPOINT = "files.example.com"
    project.MINIO_EXTERNAL_ENDPOINT_USE_HTTPS = False
    project.MINIO_CONDITIONAL_WRITES = True
    project.MINIO_PRIVATE_BUCKETS, project.MINIO_PUBLIC_BUCKETS = ["papers"], ["logos"]
    project.MINIO_POLICY_HOOKS = [("papers", {})]
    project.MINIO_READ_TIMEOUT = 7
    return project


class TestWhichPlaceHolds:
    def test_without_any_setting_the_defaults(self, project):
        for name in SETTINGS:
            if hasattr(project, name):
                delattr(project, name)

        assert {name: Config().get(name) for name in SETTINGS} == DEFAULTS

    def test_the_defaults_of_the_original(self):
        assert DEFAULTS["MINIO_REGION"] == "us-east-1"
        assert DEFAULTS["MINIO_MEDIA_FILES_BUCKET"] == "auto-generated-bucket-media-files"
        assert DEFAULTS["MINIO_STATIC_FILES_BUCKET"] == "auto-generated-bucket-static-files"
        assert DEFAULTS["MINIO_CONSISTENCY_CHECK_ON_START"] is False

    def test_none_stands_for_the_default(self, flat):
        flat.MINIO_REGION = None

        assert Config().get("MINIO_REGION") == "us-east-1"
        assert Config({"MINIO_READ_TIMEOUT": None}).get("MINIO_READ_TIMEOUT") == 30.0

    def test_options_go_before_servers_and_servers_before_flat_settings(self, flat):
        flat.MINIO_SERVERS = {"eu": {"MINIO_READ_TIMEOUT": 8, "MINIO_RETRIES": 5}}

        config = Config({"MINIO_READ_TIMEOUT": 9}, server="eu")

        assert config.get("MINIO_READ_TIMEOUT") == 9
        assert config.get("MINIO_RETRIES") == 5
        assert config.get("MINIO_ENDPOINT") == "flat.example.com"
        assert Config().get("MINIO_READ_TIMEOUT") == 7

    def test_options_of_an_alias_go_before_flat_settings_and_after_the_storages_own(self, flat):
        flat.STORAGES = {
            **flat.STORAGES,
            "media": {
                "BACKEND": "django_minio_router.MinioBackend",
                "OPTIONS": {"MINIO_READ_TIMEOUT": 8, "MINIO_RETRIES": 5},
            },
        }

        storage = MinioBackend("papers", storage_name="media", MINIO_RETRIES=6)

        assert storage.config.get("MINIO_READ_TIMEOUT") == 8
        assert storage.config.get("MINIO_RETRIES") == 6

    @pytest.mark.parametrize(
        "name",
        [
            "MINIO_ACCESS_KEY",
            "MINIO_SECRET_KEY",
            "MINIO_CREDENTIALS",
            "MINIO_REGION",
            "MINIO_EXTERNAL_ENDPOINT",
            "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS",
            "MINIO_CONDITIONAL_WRITES",
            "MINIO_PRIVATE_BUCKETS",
            "MINIO_PUBLIC_BUCKETS",
            "MINIO_POLICY_HOOKS",
        ],
    )
    def test_what_belongs_to_one_server_is_not_for_another_endpoint(self, flat, name):
        flat.MINIO_CREDENTIALS = EnvAWSProvider()
        flat.MINIO_SERVERS = {"eu": {"MINIO_ENDPOINT": "eu.example.com"}}

        assert Config().get(name) != DEFAULTS[name]
        assert Config({"MINIO_ENDPOINT": "own.example.com"}).get(name) == DEFAULTS[name]
        assert Config(server="eu").get(name) == DEFAULTS[name]

    def test_the_keys_of_the_default_alias_are_not_for_another_endpoint(self, project):
        project.STORAGES = {
            **project.STORAGES,
            "default": {
                "BACKEND": "django_minio_router.MinioBackend",
                "OPTIONS": {"MINIO_ENDPOINT": "a.example.com", "MINIO_ACCESS_KEY": "key of a"},
            },
        }

        assert Config().get("MINIO_ACCESS_KEY") == "key of a"
        assert Config({"MINIO_ENDPOINT": "b.example.com"}).get("MINIO_ACCESS_KEY") == ""

    def test_what_is_a_habit_and_not_of_one_server_is_for_all(self, flat):
        own = Config({"MINIO_ENDPOINT": "own.example.com"})

        assert own.get("MINIO_READ_TIMEOUT") == 7
        assert own.get("MINIO_USE_HTTPS") is True, "no server is less safe than the others by silence"

    def test_a_server_and_an_endpoint_are_one_too_many(self, flat):
        flat.MINIO_SERVERS = {"eu": {"MINIO_ENDPOINT": "eu.example.com"}}

        with pytest.raises(ConfigurationError, match=r"'eu'.*MINIO_ENDPOINT of its own"):
            MinioBackend("papers", server="eu", MINIO_ENDPOINT="own.example.com").config  # noqa: B018

    def test_a_server_and_an_alias_that_are_not_there_are_named_with_those_that_are(self, flat):
        flat.MINIO_SERVERS = {"eu": {"MINIO_ENDPOINT": "eu.example.com"}}

        with pytest.raises(ConfigurationError, match=r"'mars'.*known: eu"):
            Config(server="mars")
        with pytest.raises(ConfigurationError, match="'mars' is not in STORAGES"):
            Config(storage_name="mars")

    @pytest.mark.parametrize("storage", [MinioBackend("papers"), MinioRouter(strategy=FixedBucket("papers"))])
    def test_a_storage_made_before_sees_settings_that_change(self, flat, storage):
        before = storage.url("a.txt")

        with override_settings(MINIO_EXTERNAL_ENDPOINT="other.example.com"):
            assert storage.url("a.txt").startswith("http://other.example.com/papers/a.txt?")
        with override_settings(MINIO_PUBLIC_BUCKETS=["papers"], MINIO_PRIVATE_BUCKETS=[]):
            assert storage.url("a.txt") == "http://files.example.com/papers/a.txt"

        assert storage.url("a.txt").partition("?")[0] == before.partition("?")[0]


class TestBuckets:
    def test_the_default_one(self, project):
        assert MinioBackend().bucket == "auto-generated-bucket-media-files"

        project.MINIO_MEDIA_FILES_BUCKET = "media"
        assert MinioBackend().bucket == "media"

        project.MINIO_DEFAULT_BUCKET = "default"
        assert MinioBackend().bucket == "default"

    def test_declared_ones(self, flat):
        assert Config().declared == (frozenset({"papers"}), frozenset({"logos"}))
        assert Config().is_public("logos")
        assert not Config().is_public("papers")

    def test_the_default_ones_need_no_declaration(self, flat):
        assert not Config().is_public("auto-generated-bucket-media-files")

    @pytest.mark.parametrize("name", ["MINIO_MEDIA_FILES_BUCKET", "MINIO_DEFAULT_BUCKET"])
    def test_one_of_another_name_does(self, flat, name):
        setattr(flat, name, "media")

        with pytest.raises(ConfigurationError, match="'media' is declared neither"):
            MinioBackend().is_bucket_public  # noqa: B018

    def test_one_that_options_or_a_server_do_not_declare_is_private(self, flat):
        flat.MINIO_SERVERS = {"eu": {"MINIO_ENDPOINT": "eu.example.com", "MINIO_PUBLIC_BUCKETS": ["logos"]}}

        assert not Config({"MINIO_ENDPOINT": "own.example.com"}).is_public("anything")
        assert not Config({"MINIO_PUBLIC_BUCKETS": ["logos"]}).is_public("anything")
        assert not Config(server="eu").is_public("anything")
        assert Config(server="eu").is_public("logos")

    def test_an_option_that_declares_nothing_changes_nothing(self, flat):
        with pytest.raises(ConfigurationError, match="'nowhere' is declared neither"):
            Config({"MINIO_READ_TIMEOUT": 1}).is_public("nowhere")

    def test_one_that_is_both_is_neither(self, flat):
        flat.MINIO_PUBLIC_BUCKETS = ["papers"]

        with pytest.raises(PrivatePublicMixedError, match="papers"):
            Config().is_public("logos")


class TestServers:
    def test_of_flat_settings(self, flat):
        internal, external = Config().internal, Config().external

        assert internal.base_url == "https://flat.example.com"
        assert (internal.access_key, internal.secret_key) == ("flat-key", "flat-secret")
        assert (internal.region, internal.read_timeout) == ("eu-central-1", 7)
        assert external.base_url == "http://files.example.com"

    @pytest.mark.parametrize(
        ("endpoint", "base_url", "host"),
        [
            ("S3.example.com:9000", "https://s3.example.com:9000", "s3.example.com:9000"),
            ("http://s3.example.com", "http://s3.example.com", "s3.example.com"),
            ("https://s3.example.com:443/", "https://s3.example.com:443", "s3.example.com"),
            ("http://x.example.com/storage/v1/S3", "http://x.example.com/storage/v1/S3", "x.example.com"),
            ("[::1]:9000", "https://[::1]:9000", "[::1]:9000"),
            ("http://[2001:DB8::1]", "http://[2001:db8::1]", "[2001:db8::1]"),
        ],
    )
    def test_of_an_endpoint_that_is_an_address_or_a_url(self, flat, endpoint, base_url, host):
        flat.MINIO_ENDPOINT = endpoint

        assert (Config().internal.base_url, Config().internal.host) == (base_url, host)

    def test_with_the_bucket_in_the_path_or_in_the_host(self, flat):
        flat.MINIO_ENDPOINT, flat.MINIO_EXTERNAL_ENDPOINT = "https://example.com/s3", None
        assert Config().internal.locate("/papers/a/b") == ("example.com", "/s3/papers/a/b")

        flat.MINIO_ADDRESSING = "virtual"
        server = Config().internal
        assert server.locate("/papers/a/b") == ("papers.example.com", "/s3/a/b")
        assert server.locate("/papers") == ("papers.example.com", "/s3/")
        assert server.locate("/") == ("example.com", "/s3/")
        assert server.locate("/my.papers/a") == ("example.com", "/s3/my.papers/a")
        assert server.url_of("papers") == "https://papers.example.com/s3"
        assert server.url_of("my.papers") == "https://example.com/s3/my.papers"

    @pytest.mark.parametrize(
        ("endpoint", "base_url"),
        [
            ("https://cdn.example.com", "https://cdn.example.com/storage/s3"),
            ("https://cdn.example.com/files", "https://cdn.example.com/files"),
        ],
    )
    def test_a_proxy_keeps_the_path_of_the_endpoint_or_has_its_own(self, flat, endpoint, base_url):
        flat.MINIO_ENDPOINT, flat.MINIO_EXTERNAL_ENDPOINT = "https://example.com/storage/s3", endpoint

        external = Config().external

        assert external.base_url == base_url
        assert external.locate("/papers/a") == ("cdn.example.com", "/storage/s3/papers/a")

    @pytest.mark.parametrize(
        ("endpoint", "https", "base_url"),
        [
            ("", None, "https://flat.example.com"),
            ("files.example.com", None, "https://files.example.com"),
            ("files.example.com", False, "http://files.example.com"),
            ("http://files.example.com", None, "http://files.example.com"),
            ("http://files.example.com", True, "http://files.example.com"),
            ("files.example.com:8443/s3/", True, "https://files.example.com:8443/s3"),
            ("https://files.example.com/a/b", False, "https://files.example.com/a/b"),
        ],
    )
    def test_as_browsers_see_it(self, flat, endpoint, https, base_url):
        flat.MINIO_EXTERNAL_ENDPOINT, flat.MINIO_EXTERNAL_ENDPOINT_USE_HTTPS = endpoint, https

        assert Config().external.base_url == base_url

    def test_without_an_endpoint(self, flat):
        flat.MINIO_ENDPOINT = ""

        with pytest.raises(ConfigurationError, match="MINIO_ENDPOINT is not set"):
            Config().internal  # noqa: B018

    def test_with_a_malformed_endpoint(self, flat):
        flat.MINIO_ENDPOINT, flat.MINIO_EXTERNAL_ENDPOINT = "ftp://a", "b:x"

        with pytest.raises(ConfigurationError, match="MINIO_ENDPOINT 'ftp://a' has a scheme"):
            Config().internal  # noqa: B018
        flat.MINIO_ENDPOINT = "a"
        with pytest.raises(ConfigurationError, match="MINIO_EXTERNAL_ENDPOINT 'b:x'"):
            Config().external  # noqa: B018
        flat.MINIO_ENDPOINT = "2001:db8::1"
        with pytest.raises(ConfigurationError, match=r"IPv6 address without brackets; write it as \[::1\]"):
            Config().internal  # noqa: B018

    @pytest.mark.parametrize("missing", ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"])
    def test_without_a_key(self, flat, missing):
        setattr(flat, missing, None)

        with pytest.raises(ConfigurationError, match=f"{missing} is not set"):
            Config().internal  # noqa: B018


def make_provider() -> Provider:
    return StaticProvider("key", "secret")


class TestCredentials:
    def test_a_provider_makes_the_keys_needless(self, flat):
        flat.MINIO_ACCESS_KEY = flat.MINIO_SECRET_KEY = ""
        flat.MINIO_CREDENTIALS = provider = EnvAWSProvider()

        assert Config().internal.credentials is provider

    @pytest.mark.parametrize("path", ["minio.credentials.EnvAWSProvider", f"{__name__}.make_provider"])
    def test_a_dotted_path_is_called_once_so_that_clients_are_shared(self, flat, path):
        flat.MINIO_CREDENTIALS = path

        assert Config().internal == Config().internal

    @pytest.mark.parametrize(
        "path", ["no.such.Provider", "minio.credentials.StaticProvider", "builtins.dict"]
    )
    def test_a_path_that_gives_none(self, flat, path):
        flat.MINIO_CREDENTIALS = path

        with pytest.raises(ConfigurationError, match=f"MINIO_CREDENTIALS names '{path}'"):
            Config().internal  # noqa: B018


class TestLinkLife:
    @pytest.mark.parametrize("asked", [1, 60, 3600, DAY, 6 * DAY, 7 * DAY - 60, 7 * DAY])
    @pytest.mark.parametrize("window", [0, 1, 900, DAY, 30 * DAY])
    def test_is_never_shorter_than_asked_nor_longer_than_seven_days(self, project, asked, window):
        project.MINIO_URL_EXPIRY_HOURS = timedelta(seconds=asked)
        project.MINIO_URL_WINDOW = timedelta(seconds=window)

        life, same_for = Config().url_expiry

        assert life <= 7 * DAY
        assert life - same_for >= asked, "a link that was signed at the start of its window"
        assert same_for <= max(window, 1)

    @pytest.mark.parametrize("window", [0, 900, 30 * DAY])
    def test_is_seven_days_unless_asked(self, project, window):
        project.MINIO_URL_WINDOW = timedelta(seconds=window)

        life, same_for = Config().url_expiry

        assert life == 7 * DAY
        assert same_for <= 2 * DAY, "so that no page gets a link that is about to end"

    @pytest.mark.parametrize("seconds", [0, -1, 7 * DAY + 1])
    def test_that_s3_does_not_allow(self, seconds):
        with pytest.raises(ConfigurationError, match=f"{seconds} seconds"):
            Config().expiry(seconds)


@pytest.mark.parametrize("lazy", [lazystr, lambda text: SimpleLazyObject(lambda: text)])
def test_a_lazy_string_is_what_it_gives(flat, lazy):
    flat.MINIO_ENDPOINT, flat.MINIO_REGION = lazy("lazy.example.com"), lazy("eu-south-1")
    flat.MINIO_PUBLIC_URL, flat.MINIO_SECRET_KEY = lazy("https://cdn.example.com"), lazy("lazy-secret")

    server = Config().internal

    assert (server.endpoint, server.region) == ("lazy.example.com", "eu-south-1")
    assert type(server.secret_key) is str
    assert Config().public_url("logos") == "https://cdn.example.com/"


class TestWrongValues:
    def test_are_refused_when_they_are_used(self, project):
        project.MINIO_PUBLIC_BUCKETS = "logos"

        with pytest.raises(ConfigurationError, match=r"MINIO_PUBLIC_BUCKETS is 'logos'\. It takes a list"):
            MinioBackend("papers").is_bucket_public  # noqa: B018

    def test_of_options_as_well(self):
        with pytest.raises(ConfigurationError, match="MINIO_POOL_SIZE is 'many'"):
            MinioBackend("papers", public=False, MINIO_POOL_SIZE="many").url("a.txt")

    @pytest.mark.parametrize(
        "name", ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_CREDENTIALS", "MINIO_SERVERS"]
    )
    def test_that_may_be_secret_are_not_shown(self, project, name):
        setattr(project, name, ["hush"])

        with pytest.raises(ConfigurationError, match=f"{name} is of type list") as refused:
            Config().get(name)
        assert "hush" not in str(refused.value)


def test_no_repr_shows_a_key(flat):
    flat.MINIO_ACCESS_KEY, flat.MINIO_SECRET_KEY = "hush-key", "hush-secret"
    own = MinioBackend("papers", MINIO_SECRET_KEY="hush-own")
    config = own.config

    shown = [config, config.internal, config.external, own, MinioRouter(), own._connection()]

    assert "hush" not in repr(shown)
