"""What happens when a project starts: nothing on the network, unless the start-up check is asked for."""

from __future__ import annotations

import textwrap

import pytest

from tests.support.sites import PER_TENANT, SERVER, QuickSite, Site

NO_NETWORK = """
    import sys

    def refuse(event, arguments):
        if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
            raise RuntimeError(f"The network was used: {event}")

    sys.addaudithook(refuse)
"""

EVERYTHING = """
    DATABASES["default"]["PORT"] = 9
    INSTALLED_APPS = [*INSTALLED_APPS, "tests.apps.docs", "django.contrib.auth", "django.contrib.staticfiles"]
    MINIO_ENDPOINT = "127.0.0.1:9"
    STORAGES["staticfiles"] = {"BACKEND": "django_minio_router.static.MinioManifestStaticStorage"}
    STORAGES["media"] = {"BACKEND": "django_minio_router.MinioBackend"}
"""

CONSTRUCTORS = """
    from django.contrib.staticfiles.storage import staticfiles_storage
    from django.core.files.storage import default_storage, storages
    from django_minio_router import MinioBackend, MinioBackendStatic, MinioRouter
    from tests.apps.docs.models import Contract, Invoice

    made = [storages[alias] for alias in ("default", "media", "staticfiles")]
    made += [MinioBackend("papers"), MinioBackendStatic(), MinioRouter(), staticfiles_storage.prefix]
    print(default_storage.strategy, Contract().file.storage, made[0].config, MinioBackend().bucket)
"""


class TestNothingIsAskedOnTheNetwork:
    @pytest.fixture
    def site(self, tmp_path) -> Site:
        site = Site(tmp_path, PER_TENANT, EVERYTHING)
        site.at_start(NO_NETWORK)
        return site

    def test_this_test_would_see_it(self, site):
        run = site.python("from django_minio_router import MinioBackend; MinioBackend().exists('a')")

        assert "The network was used" in run.stderr

    def test_by_imports_and_constructors(self, site):
        run = site.python(CONSTRUCTORS)

        assert run.returncode == 0, run.stderr
        assert "PerTenant" in run.stdout

    @pytest.mark.parametrize("options", [[], ["--deploy"]])
    def test_by_system_checks(self, site, options):
        run = site.manage("check", *options)

        assert run.returncode == 0, run.stderr
        assert ("minio_router.W001" in run.stderr) is bool(options), "the checks did run"

    def test_by_links(self, site):
        run = site.python("from django_minio_router import MinioBackend; print(MinioBackend().url('a'))")

        assert run.stdout.startswith("http://127.0.0.1:9/auto-generated-bucket-media-files/a?")


@pytest.mark.parametrize(
    ("entry", "config"),
    [
        ("django_minio_router", "DjangoMinioRouterConfig"),
        ("django_minio_router.apps.DjangoMinioRouterConfig", "DjangoMinioRouterConfig"),
        ("django_minio_router.apps.DjangoMinioBackendConfig", "DjangoMinioBackendConfig"),
    ],
)
def test_the_app_is_installed_under_each_of_its_names(tmp_path, entry, config):
    site = QuickSite(tmp_path, SERVER, f"INSTALLED_APPS = [{entry!r}]\nMINIO_RETRIES = -1")

    shown = site.python(
        "from django.apps import apps; print(type(apps.get_app_config('django_minio_router')).__name__)"
    )
    assert shown.stdout.strip() == config

    assert "minio_router.E001" in site.manage("check").stderr
    assert "initialize_buckets" in site.manage("help").stdout


def test_settings_may_import_strategies(tmp_path):
    strategies = """
        from django_minio_router import MinioRouter
        from django_minio_router.strategies import FixedBucket, PerTenant
        MINIO_PRIVATE_BUCKETS = ["papers"]
        MINIO_POLICY_HOOKS = [(FixedBucket("papers"), lambda bucket: {"Version": "2012-10-17"})]
        STORAGES["default"]["OPTIONS"] = {"strategy": PerTenant()}
    """
    run = QuickSite(tmp_path, PER_TENANT, strategies).manage("check")

    assert run.returncode == 0, run.stderr


class TestConsistencyCheckOnStart:
    @pytest.fixture
    def name(self, new_name) -> str:
        return new_name("at-start")

    def test_is_off_unless_asked_for(self, tmp_path, name, bare):
        QuickSite(tmp_path, SERVER, f"MINIO_PRIVATE_BUCKETS = [{name!r}]").python("")

        assert not bare.bucket_exists(bucket_name=name)

    def test_creates_the_buckets_in_silence(self, tmp_path, name, bare):
        settings = f"MINIO_PRIVATE_BUCKETS = [{name!r}]\nMINIO_CONSISTENCY_CHECK_ON_START = True"
        run = QuickSite(tmp_path, SERVER, settings).python("")

        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
        assert bare.bucket_exists(bucket_name=name)

    def test_is_asked_for_by_an_option_of_a_storage_as_well(self, tmp_path, name, bare):
        storages = f"""
            STORAGES = {{
                "default": {{
                    "BACKEND": "django_minio_router.models.MinioBackend",
                    "OPTIONS": {{
                        "MINIO_ENDPOINT": MINIO_ENDPOINT,
                        "MINIO_ACCESS_KEY": MINIO_ACCESS_KEY,
                        "MINIO_SECRET_KEY": MINIO_SECRET_KEY,
                        "MINIO_DEFAULT_BUCKET": {name!r},
                        "MINIO_CONSISTENCY_CHECK_ON_START": True,
                    }},
                }}
            }}
        """
        run = QuickSite(tmp_path, SERVER, storages).python("")

        assert run.returncode == 0, run.stderr
        assert bare.bucket_exists(bucket_name=name)

    def test_stops_the_start_where_the_server_is_gone(self, tmp_path, name):
        settings = f"""
            MINIO_PRIVATE_BUCKETS = [{name!r}]
            MINIO_CONSISTENCY_CHECK_ON_START = True
            MINIO_ENDPOINT = "127.0.0.1:9"
        """
        run = QuickSite(tmp_path, SERVER, settings).python("")

        assert run.returncode == 1
        assert "No answer from the S3 server at 127.0.0.1:9" in run.stderr


class TestWhatTakesLongToImport:
    """The SDK and urllib3 come with the first use of a server, not with the start of every process."""

    SHOW = """
        import sys

        def show(*values):
            print(*sorted({"minio", "urllib3"} & set(sys.modules)) or ["nothing"])

        show()
    """
    USE = """
        name = storage.save("a.txt", ContentFile(b"one"))
        assert storage.open(name).read() == b"one" and storage.exists(name) and storage.size(name) == 3
        assert storage.listdir("")[1] == ["a.txt"]
        storage.delete(name)
        assert not storage.exists(name)
        show()
    """
    IMPORTS = """
        import io
        from django.core.files.base import ContentFile
        from django.core.management import call_command
        from django_minio_router import MinioBackend
        from tests.apps.docs.models import Invoice
        Invoice().file
    """

    def test_comes_when_it_is_needed(self, tmp_path, new_name):
        name = new_name("late")
        asked = f"storage = MinioBackend({name!r}, public=False)\nstorage.url('a.txt', expires=60)\nshow()"
        shown = self.shown(
            tmp_path,
            self.IMPORTS,
            asked,
            "storage.check_bucket_existence()",
            self.USE,
            "show(storage.client)",
        )
        assert shown == ["nothing", "nothing", "urllib3", "minio urllib3"]

    def test_is_not_needed_for_files_in_memory(self, tmp_path):
        """Nor by commands, checks and what tests of a project import."""
        begun = """
            from django_minio_router.testing import FilesInMemory, StrategyContract, memory_files, urls
            call_command("check")
            call_command("initialize_buckets", stdout=io.StringIO())
            storage = MinioBackend("papers", public=True)
        """
        with_sdk = "storage.client.stat_object(bucket_name='papers', object_name='b')"
        ended = f"storage.save('b', ContentFile(b'12'))\nassert {with_sdk}.size == 2\nshow()"
        shown = self.shown(tmp_path, self.IMPORTS, begun, self.USE, ended, endpoint="memory:")

        assert shown == ["nothing", "nothing", "minio urllib3"]

    def test_is_there_when_it_is_asked_for(self, tmp_path):
        assert self.shown(tmp_path, "from django_minio_router import s3; show(s3.warm_up())") == [
            "nothing",
            "minio urllib3",
        ]

    def shown(self, tmp_path, *code: str, endpoint: str | None = None) -> list[str]:
        """Run the code after the start, and return what was imported at the start and where it says so."""
        settings = f"""
            INSTALLED_APPS = [*INSTALLED_APPS, "tests.apps.docs"]
            MINIO_ENDPOINT = {endpoint!r} or MINIO_ENDPOINT
        """
        site = Site(tmp_path, PER_TENANT, settings)
        run = site.python("\n".join(map(textwrap.dedent, (self.SHOW, *code))))
        assert run.returncode == 0, run.stderr
        return [line for line in run.stdout.splitlines() if not line.startswith("System check")]
