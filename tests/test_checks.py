"""The system checks: each mistake is reported by its id with a remedy, and what is right by none."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.checks import CheckMessage, run_checks
from django.db import connections
from django.db.utils import load_backend
from minio.credentials import EnvAWSProvider

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.strategies import FixedBucket, PerModel, PerTenant, PerTenantPrefix
from django_minio_router.tenancy import get_tenancy
from tests.apps.docs.models import Contract, Invoice, Receipt
from tests.apps.in_public.models import Notice
from tests.support.pages import blocks, section

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture(autouse=True)
def thumbnails_of_each_tenant(project):
    """The project of the tests has easy_thumbnails, whose tables tenants must not share."""
    project.TENANT_APPS = [*project.TENANT_APPS, "easy_thumbnails"]


def reported(*, deploy: bool = False) -> list[CheckMessage]:
    return [
        message
        for message in run_checks(include_deployment_checks=deploy)
        if str(message.id).startswith("minio_router.")
    ]


def ids(*, deploy: bool = False) -> list[str]:
    return [str(message.id).removeprefix("minio_router.") for message in reported(deploy=deploy)]


def only(expected: str, *, deploy: bool = False) -> CheckMessage:
    """Return the one message there is; it must be the expected one, and say what to do."""
    (message,) = reported(deploy=deploy)
    assert message.id == f"minio_router.{expected}"
    assert message.hint
    return message


def test_what_is_right_is_not_reported(project, use):
    project.MINIO_EXTERNAL_ENDPOINT = "https://files.example.com/s3"
    project.MINIO_PRIVATE_BUCKETS = ["papers", PerModel({"docs.Invoice": "invoices"})]
    project.MINIO_PUBLIC_BUCKETS = {"logos"}
    project.MINIO_URL_EXPIRY_HOURS = timedelta(days=7)
    project.MINIO_SERVERS = {
        "eu": {"MINIO_ENDPOINT": "eu.example.com:9000", "MINIO_CREDENTIALS": EnvAWSProvider()}
    }
    use(Contract, MinioRouter(strategy=PerTenant()))
    use(Receipt, MinioBackend("papers"))
    use(Invoice, MinioRouter(strategy=PerModel({"docs.Invoice": "invoices"})))

    assert ids() == []


def test_a_project_that_uses_none_of_our_storages_is_left_alone(project):
    for setting in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY", "PRIVATE_BUCKETS", "PUBLIC_BUCKETS"):
        delattr(project, f"MINIO_{setting}")

    assert ids() == []


WRONG_VALUES = {
    "MINIO_ENDPOINT": 9000,
    "MINIO_USE_HTTPS": "false",
    "MINIO_EXTERNAL_ENDPOINT": ["files.example.com"],
    "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS": 1,
    "MINIO_REGION": b"us-east-1",
    "MINIO_ACCESS_KEY": 12345,
    "MINIO_SECRET_KEY": b"hush",
    "MINIO_CREDENTIALS": {"key": "hush"},
    "MINIO_HTTP_CLIENT": "urllib3.PoolManager",
    "MINIO_POOL_SIZE": 0,
    "MINIO_CONNECT_TIMEOUT": -1,
    "MINIO_READ_TIMEOUT": "30",
    "MINIO_RETRIES": -1,
    "MINIO_CONDITIONAL_WRITES": "auto",
    "MINIO_PRIVATE_BUCKETS": "papers",
    "MINIO_PUBLIC_BUCKETS": {"logos": True},
    "MINIO_DEFAULT_BUCKET": ["papers"],
    "MINIO_MEDIA_FILES_BUCKET": 7,
    "MINIO_STATIC_FILES_BUCKET": FixedBucket("static"),
    "MINIO_BUCKET_CHECK_ON_SAVE": "yes",
    "MINIO_POLICY_HOOKS": {"papers": {}},
    "MINIO_PUBLIC_POLICY": "write",
    "MINIO_URL_EXPIRY_HOURS": 24,
    "MINIO_URL_WINDOW": 900,
    "MINIO_MULTIPART_PART_SIZE": 1024,
    "MINIO_MULTIPART_THRESHOLD": -1,
    "MINIO_SERVERS": ["eu.example.com"],
    "MINIO_QUOTA": 10_000,
    "MINIO_ADDRESSING": "subdomain",
    "MINIO_PUBLIC_URL": "cdn.example.com",
    "MINIO_URL_SIGNER": 7,
    "MINIO_BUCKET_POLICIES": "none",
}


@pytest.mark.parametrize(("setting", "value"), WRONG_VALUES.items(), ids=WRONG_VALUES)
def test_e001_a_value_of_a_wrong_type_or_range(project, setting, value):
    setattr(project, setting, value)

    message = only("E001")

    assert message.msg.startswith(f"{setting} is ")
    assert "It takes " in message.msg
    assert "hush" not in message.msg


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("MINIO_URL_WINDOW", timedelta(-1)),
        ("MINIO_PUBLIC_URL", "https://cdn.example.com/{name}"),
        ("MINIO_PUBLIC_URL", "https://cdn.example.com/?x=1"),
        ("MINIO_URL_EXPIRY_HOURS", timedelta(-1)),
        ("MINIO_RETRIES", True),
        ("MINIO_POOL_SIZE", 1.5),
        ("MINIO_POOL_SIZE", 10**9),
        ("MINIO_POLICY_HOOKS", [("papers",)]),
        ("MINIO_POLICY_HOOKS", [("papers", "public")]),
        ("MINIO_POLICY_HOOKS", "papers"),
        ("MINIO_SERVERS", {"eu": "eu.example.com"}),
        ("MINIO_SERVERS", {7: {"MINIO_ENDPOINT": "eu.example.com"}}),
        ("MINIO_READ_TIMEOUT", float("inf")),
        ("MINIO_REGION", "eu central"),
        ("MINIO_SECRET_KEY", "hush\n"),
        ("MINIO_ACCESS_KEY", "schlüssel"),
    ],
)
def test_e001_a_value_that_is_almost_right(project, setting, value):
    setattr(project, setting, value)

    assert only("E001").msg.startswith(f"{setting} is ")


def test_e001_a_wrong_external_endpoint_of_a_bucket_in_use(project, use):
    project.MINIO_EXTERNAL_ENDPOINT, project.MINIO_PRIVATE_BUCKETS = 9000, ["papers"]
    use(Receipt, MinioBackend("papers"))

    assert only("E001").msg.startswith("MINIO_EXTERNAL_ENDPOINT is 9000")


WRONG_OPTIONS = {
    "bucket_name": ["papers"],
    "storage_name": {"default": True},
    "server": ["eu"],
    "prefix": 7,
    "public": "False",
    "replace_existing": "False",
    "metadata": ["author"],
    "sse": b"hush",
    "progress": {"update": True},
    "http_client": "urllib3.PoolManager",
    "MINIO_ENDPONT": "127.0.0.1:9000",
    "replace": True,
}


@pytest.mark.parametrize(("option", "value"), WRONG_OPTIONS.items(), ids=WRONG_OPTIONS)
@pytest.mark.parametrize("storage", ["MinioBackend", "MinioBackendStatic", "MinioRouter"])
def test_e001_an_option_of_a_storage_that_is_wrong(project, storage, option, value):
    if (storage, option) == ("MinioBackendStatic", "replace_existing"):
        pytest.skip("static files are always replaced, whatever the option says")
    media = {"BACKEND": f"django_minio_router.{storage}", "OPTIONS": {option: value}}
    project.STORAGES = {**project.STORAGES, "media": media}

    message = only("E001")

    assert option.removeprefix("http_").upper() in message.msg.upper()
    assert "hush" not in message.msg


@pytest.mark.parametrize("prefix", ["../papers", "/", "a//b", "a\\b", "a\0b", ".", "a/../b", "x" * 1025])
def test_e001_a_prefix_that_is_no_folder(project, prefix):
    options = {"bucket_name": "papers", "prefix": prefix}
    project.MINIO_PRIVATE_BUCKETS = ["papers"]
    media = {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": options}
    project.STORAGES = {**project.STORAGES, "media": media}

    message = only("E001").msg
    assert "'prefix'" in message
    assert message.startswith("STORAGES['media']: ")


@pytest.mark.parametrize("entry", [None, "path", {"BACKEND": "x.Y", "OPTIONS": None}, {"OPTIONS": {7: 8}}])
def test_e001_an_alias_that_is_no_dictionary(project, entry):
    project.STORAGES = {**project.STORAGES, "media": entry}

    assert "STORAGES['media']" in only("E001").msg


@pytest.mark.parametrize("alias", ["default", "media"])
@pytest.mark.parametrize("backend", [MinioBackend, MinioBackend("papers")], ids=["class", "instance"])
def test_e001_a_backend_that_is_no_path(project, alias, backend):
    project.STORAGES = {**project.STORAGES, alias: {"BACKEND": backend}}

    message = only("E001").msg
    assert f"STORAGES['{alias}'] is MinioBackend, not a string" in message
    assert "'django_minio_router.MinioBackend'" in message


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("PerTenant", {"public_read": "False"}),
        ("PerTenant", {"field": b"id"}),
        ("PerTenant", {"field": ""}),
        ("PerTenant", {"template": 7}),
        ("PerTenant", {"function": "customers.bucket"}),
        ("PerTenant", {"template": "{schema_name}", "field": "bucket"}),
        ("PerModel", {"buckets": {"docs.Invoice": ["invoices"]}}),
        ("PerModel", {"buckets": {"Invoice": "invoices"}}),
        ("PerModel", {"default": []}),
        ("PerTenantPrefix", {}),
        ("FixedBucket", {"name": "papers", "public_read": 1}),
    ],
)
def test_e001_a_strategy_that_cannot_be_made(project, strategy, options):
    said = {"BACKEND": f"django_minio_router.strategies.{strategy}", "OPTIONS": options}
    media = {"BACKEND": "django_minio_router.MinioRouter", "OPTIONS": {"strategy": said}}
    project.STORAGES = {**project.STORAGES, "media": media}

    assert only("E001")


@pytest.mark.parametrize(
    "path",
    ["no.such.Provider", "", "minio.credentials", "minio.credentials.WebIdentityProvider", "os.getcwd"],
)
def test_e001_credentials_that_give_no_provider(project, path):
    project.MINIO_CREDENTIALS = path

    assert f"MINIO_CREDENTIALS names {path!r}" in only("E001").msg


def broken_provider():
    raise KeyError("VAULT_ADDRESS")


class CountingProvider(EnvAWSProvider):
    asked = 0

    def retrieve(self):
        type(self).asked += 1
        return super().retrieve()


def test_e001_credentials_of_a_function_that_fails(project):
    project.MINIO_CREDENTIALS = f"{__name__}.broken_provider"

    assert "VAULT_ADDRESS" in only("E001").msg


def test_a_provider_is_made_and_not_asked_for_keys(project):
    project.MINIO_CREDENTIALS = f"{__name__}.CountingProvider"

    assert ids() == []
    assert CountingProvider.asked == 0


def test_e001_a_wrong_value_hides_no_other(project):
    project.MINIO_RETRIES, project.MINIO_POOL_SIZE = "two", "many"

    assert ids() == ["E001", "E001"]


def test_e001_a_wrong_value_of_a_named_server_and_of_an_alias(project):
    project.MINIO_SERVERS = {"eu": {"MINIO_ENDPOINT": "eu.example.com", "MINIO_RETRIES": "two"}}
    assert "MINIO_RETRIES" in only("E001").msg

    project.MINIO_SERVERS = {}
    project.STORAGES = {
        **project.STORAGES,
        "media": {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": {"MINIO_RETRIES": "two"}},
    }
    assert "MINIO_RETRIES" in only("E001").msg


def test_e001_a_setting_of_a_named_server_that_does_not_exist(project):
    project.MINIO_SERVERS = {"eu": {"MINIO_ENDPONT": "eu.example.com"}}

    assert "'MINIO_ENDPONT'" in only("E001").msg


def test_e001_a_server_that_is_not_there(use):
    use(Receipt, MinioBackend("papers", server="mars"))

    assert "'mars'" in only("E001").msg


@pytest.mark.parametrize(
    "listed",
    [
        None,
        {"BACKEND": "no.such.Strategy"},
        {"BACKEND": "django_minio_router.strategies.PerTenant", "OPTIONS": {"tmplate": "x"}},
        MinioBackend("papers"),
    ],
)
def test_e001_a_listed_strategy_that_is_none(project, listed):
    project.MINIO_PRIVATE_BUCKETS = [listed]

    assert only("E001")


def test_e001_a_storage_that_cannot_be_imported(project):
    project.STORAGES = {**project.STORAGES, "media": {"BACKEND": "no.such.Storage"}}

    assert "no.such.Storage" in only("E001").msg


@pytest.mark.parametrize(
    "hook", [("papers", {"Version": "2012-10-17"}), (7, {}), ("papers", {"Statement": ["x"]})]
)
def test_e001_a_policy_hook_that_is_none(project, hook):
    project.MINIO_POLICY_HOOKS = [hook]

    assert only("E001")


@pytest.mark.parametrize("path", ["no.such.module.sign", "tests.support.storages.__doc__"])
def test_e001_a_signer_that_is_none(project, path):
    project.MINIO_URL_SIGNER = path

    assert f"MINIO_URL_SIGNER names {path!r}" in only("E001").msg


@pytest.mark.parametrize("endpoint", ["", None])
def test_e002_no_endpoint(project, endpoint):
    project.MINIO_ENDPOINT = endpoint

    assert "MINIO_ENDPOINT" in only("E002").msg


@pytest.mark.parametrize(
    "endpoint",
    [
        "ftp://minio.example.com",
        "http://",
        "minio.example.com/a folder",
        "minio.example.com//files",
        "minio.example.com/files?x=1",
        "::1",
        "2001:db8::1:9000",
        "minio.example.com:0",
        "minio.example.com:65536",
        "minio.example.com:http",
        "minio.example.com:",
        "minio example.com",
        "-minio.example.com",
        "minio..example.com",
        "[...]:9000",
        "[::1:2:]",
        ":9000",
    ],
)
def test_e003_an_endpoint_that_is_no_host_and_port(project, endpoint):
    project.MINIO_ENDPOINT = endpoint

    assert repr(endpoint) in only("E003").msg


@pytest.mark.parametrize(
    "endpoint",
    [
        "minio",
        "minio.example.com",
        "10.0.0.1:9000",
        "[::1]:9",
        "my_minio:80",
        "https://s3.example.com",
        "http://[::1]:9000/",
        "https://example.com:8443/storage/v1/s3",
    ],
)
def test_e003_not_for_an_address(project, endpoint):
    project.MINIO_ENDPOINT = endpoint

    assert ids() == []


@pytest.mark.parametrize(
    "endpoint", ["ftp://example.com", "example.com:99999", "example.com?x=1", "https://"]
)
def test_e003_an_external_endpoint(project, endpoint):
    project.MINIO_EXTERNAL_ENDPOINT = endpoint
    project.MINIO_EXTERNAL_ENDPOINT_USE_HTTPS = True

    assert "MINIO_EXTERNAL_ENDPOINT" in only("E003").msg


def test_e003_shows_no_password(project):
    project.MINIO_ENDPOINT = "https://minio:hush@minio.example.com"

    assert "hush" not in str(only("E003"))


@pytest.mark.parametrize("missing", ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"])
def test_e004_a_missing_key(project, missing):
    setattr(project, missing, "")

    assert missing in only("E004").msg


def test_e004_not_with_a_provider(project):
    project.MINIO_ACCESS_KEY = project.MINIO_SECRET_KEY = ""
    project.MINIO_CREDENTIALS = "minio.credentials.EnvAWSProvider"

    assert ids() == []


def test_e005_a_bucket_in_both_lists(project):
    project.MINIO_PRIVATE_BUCKETS, project.MINIO_PUBLIC_BUCKETS = ["papers", "mixed"], ["mixed"]

    assert "'mixed'" in only("E005").msg


def test_e005_a_listed_bucket_and_a_storage_that_says_otherwise(project, use):
    project.MINIO_PRIVATE_BUCKETS = ["papers"]
    use(Receipt, MinioBackend("papers", public=True))

    assert "docs.Receipt.file" in only("E005").msg


def test_e005_a_strategy_in_the_wrong_list(project):
    project.MINIO_PUBLIC_BUCKETS = [PerModel({"docs.Invoice": "invoices"}, public_read=False)]

    assert "public_read" in only("E005").msg


@pytest.mark.parametrize("name", ["No", "under_score", "a..b", "192.168.0.1", "x" * 64, "-dash"])
def test_e006_an_invalid_bucket_name_in_a_list(project, name):
    project.MINIO_PRIVATE_BUCKETS = [name]

    assert repr(name) in only("E006").msg


def test_e006_an_invalid_bucket_name_of_a_storage_and_of_a_strategy(use):
    use(Receipt, MinioBackend("Receipts"))
    use(Invoice, MinioRouter(strategy=FixedBucket("Invoices", public_read=False)))

    assert ids() == ["E006", "E006"]


@pytest.mark.parametrize("bucket", [["customers"], {"name": "customers"}, 7])
def test_e006_a_bucket_of_folders_that_is_no_name(use, bucket):
    use(Contract, MinioRouter(strategy=PerTenantPrefix(bucket)))

    assert repr(bucket) in only("E006").msg


@pytest.mark.parametrize("expiry", [timedelta(days=7, seconds=1), timedelta(0)])
def test_e007_links_that_would_live_too_long_or_not_at_all(project, expiry):
    project.MINIO_URL_EXPIRY_HOURS = expiry

    assert str(expiry) in only("E007").msg


@pytest.mark.parametrize("expiry", [timedelta(days=7), timedelta(seconds=1), None])
def test_e007_not_up_to_seven_days(project, expiry):
    project.MINIO_URL_EXPIRY_HOURS = expiry

    assert ids() == []


def test_e008_an_external_endpoint_by_halves(project):
    project.MINIO_EXTERNAL_ENDPOINT = "files.example.com"
    assert "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS" in only("E008").msg

    project.MINIO_EXTERNAL_ENDPOINT_USE_HTTPS = True
    assert ids() == []

    project.MINIO_EXTERNAL_ENDPOINT = ""
    assert only("E008").msg.endswith("MINIO_EXTERNAL_ENDPOINT is not set.")


@pytest.fixture
def fresh_tenancy():
    """Let the tenancy be found anew within the test, and after it."""
    get_tenancy.cache_clear()
    yield
    get_tenancy.cache_clear()


def test_e009_per_tenant_without_django_tenants(use, monkeypatch, fresh_tenancy):
    use(Contract, MinioRouter(strategy=PerTenant()))
    monkeypatch.setitem(sys.modules, "django_tenants", None)

    assert "pip install 'django-minio-router[tenants]'" in str(only("E009").hint)


@pytest.fixture
def database_without_tenants(monkeypatch, fresh_tenancy):
    plain = SimpleNamespace(settings_dict={"ENGINE": "django.db.backends.sqlite3"})
    monkeypatch.setattr("django_minio_router.tenancy.schemas.connections", {"default": plain})


def test_e010_per_tenant_on_a_database_that_knows_none(use, database_without_tenants):
    use(Contract, MinioRouter(strategy=PerTenant()))

    assert "django.db.backends.sqlite3" in only("E010").msg


def test_e010_also_where_the_strategy_is_only_listed(project, database_without_tenants):
    project.MINIO_PRIVATE_BUCKETS = [PerTenant()]

    assert only("E010")


def test_e011_a_model_that_per_model_does_not_map(use):
    use(Invoice, MinioRouter(strategy=PerModel({"docs.Invoice": "invoices"})))
    assert ids() == []

    use(Receipt, MinioRouter(strategy=PerModel({"docs.Invoice": "invoices"})))
    message = only("E011")
    assert message.obj is Receipt
    assert "docs.Receipt" in message.msg


def test_e012_a_bucket_that_no_list_declares(project, use):
    use(Receipt, MinioBackend("nowhere"))
    assert "docs.Receipt.file" in only("E012").msg

    project.MINIO_PRIVATE_BUCKETS = ["nowhere"]
    assert ids() == []


def test_e013_a_label_that_no_model_has(use):
    use(Invoice, MinioRouter(strategy=PerModel({"docs.Invoice": "invoices", "docs.Invoize": "others"})))

    assert "docs.invoize" in only("E013").msg


def test_e014_a_field_that_tenants_do_not_have(use):
    use(Contract, MinioRouter(strategy=PerTenant("{shema_name}")))

    assert "'shema_name'" in only("E014").msg


@pytest.mark.parametrize(
    ("template", "other"),
    [
        ("{schema_name}", "{schema_name}-x"),
        ("{schema_name}", "acme-{schema_name}"),
        ("{schema_name}", "{id}"),
        ("acme-{schema_name}", "acme-{schema_name}-x"),
        ("{schema_name}.cd", "b.c{schema_name}"),
        ("a-{schema_name}.{id}", "{schema_name}.{id}"),
    ],
)
def test_e015_templates_that_could_give_one_bucket_to_two_tenants(use, template, other):
    use(Contract, MinioRouter(strategy=PerTenant(template)))
    use(Receipt, MinioRouter(strategy=PerTenant(other)))

    assert repr(template) in only("E015").msg
    assert repr(other) in only("E015").msg


def test_e015_also_for_folders_of_one_bucket_and_where_one_is_only_listed(project, use):
    use(Contract, MinioRouter(strategy=PerTenantPrefix("customers", "{schema_name}")))
    use(Receipt, MinioRouter(strategy=PerTenantPrefix("customers", "x-{schema_name}")))
    assert only("E015")

    use(Receipt, MinioRouter(strategy=PerTenantPrefix("others", "x-{schema_name}")))
    assert ids() == []

    project.MINIO_PRIVATE_BUCKETS = [PerTenant("a-{schema_name}"), PerTenant("{schema_name}")]
    assert only("E015")


@pytest.mark.parametrize(
    ("template", "other"),
    [
        ("media-{schema_name}", "scans-{schema_name}"),
        ("{schema_name}-media", "{schema_name}-scans"),
        ("media{schema_name}", "media-{schema_name}"),
        ("{schema_name}", "media.{schema_name}"),
        ("media-{schema_name}", "scans-{id}"),
    ],
)
def test_e015_not_for_templates_that_stay_apart(use, template, other):
    use(Contract, MinioRouter(strategy=PerTenant(template)))
    use(Receipt, MinioRouter(strategy=PerTenant(other)))

    assert ids() == []


def test_e015_of_one_server_under_two_names(project, use):
    project.MINIO_SERVERS = {
        "same": {
            "MINIO_ENDPOINT": "files.internal:9000",
            "MINIO_ACCESS_KEY": project.MINIO_ACCESS_KEY,
            "MINIO_SECRET_KEY": project.MINIO_SECRET_KEY,
        }
    }
    use(Contract, MinioRouter(strategy=PerTenant()))
    use(Receipt, MinioRouter(strategy=PerTenant("a-{schema_name}"), server="same"))

    assert only("E015")


def test_e015_of_templates_whose_names_are_cut_where_they_differ(use):
    start = "a" * 34
    use(Contract, MinioRouter(strategy=PerTenant(f"{start}x-{{schema_name}}")))
    use(Receipt, MinioRouter(strategy=PerTenant(f"{start}y-{{id}}")))

    assert only("E015")


def test_e017_rows_of_public_whose_files_have_no_bucket_there(use):
    use(Notice, MinioRouter(strategy=PerTenant()))
    message = only("E017")
    assert "in_public.Notice.file" in message.msg
    assert "no bucket for public" in message.msg

    use(Notice, MinioRouter(strategy=PerTenant(public="notices")))
    assert ids() == []


def test_e017_rows_of_another_database_whose_files_go_to_the_active_tenant(use, project):
    project.DATABASE_ROUTERS = [f"{__name__}.Archive"]
    connections["archive"] = load_backend("django.db.backends.sqlite3").DatabaseWrapper({}, "archive")
    try:
        use(Contract, MinioRouter(strategy=PerTenant()))
        assert "whichever tenant is active" in only("E017").msg
    finally:
        del connections["archive"]


class Archive:
    """Keeps contracts in a database that knows no tenants."""

    def db_for_write(self, model, **hints):
        return "archive" if model is Contract else None


def test_w007_visitors_files_in_buckets_that_anybody_may_read(project, use):
    project.MINIO_USE_HTTPS = True
    use(Contract, MinioRouter(strategy=PerTenant(public_read=True)))
    assert "public_read=True" in only("W007", deploy=True).msg
    assert ids() == []

    use(Contract, MinioRouter(strategy=PerTenant()))
    assert ids(deploy=True) == []


def test_e015_not_on_different_servers(project, use):
    project.MINIO_SERVERS = {
        "eu": {"MINIO_ENDPOINT": "eu.example.com", "MINIO_ACCESS_KEY": "x", "MINIO_SECRET_KEY": "y"}
    }
    use(Contract, MinioRouter(strategy=PerTenant()))
    use(Receipt, MinioRouter(strategy=PerTenant("a-{schema_name}"), server="eu"))

    assert ids() == []


@pytest.mark.parametrize("options", [{}, {"strategy": None}])
def test_e016_a_router_without_a_strategy_in_a_project_with_tenants(project, options):
    project.STORAGES = {
        **project.STORAGES,
        "media": {"BACKEND": "django_minio_router.MinioRouter", "OPTIONS": options},
    }

    message = only("E016")

    assert "STORAGES['media']" in message.msg
    assert "auto-generated-bucket-media-files" in message.msg


def test_e016_also_of_a_field_and_once_where_it_uses_an_alias(project, use):
    use(Contract, MinioRouter())
    assert "docs.Contract.file" in only("E016").msg

    use(Contract, MinioRouter(strategy=FixedBucket("papers")))
    assert ids() == []

    project.STORAGES = {**project.STORAGES, "default": {"BACKEND": "django_minio_router.MinioRouter"}}
    assert ids() == ["E016"]


def test_e016_not_of_what_belongs_to_no_tenant(use, monkeypatch):
    use(Notice, MinioRouter())

    assert ids() == []


def test_e016_not_in_a_project_without_tenants(use, database_without_tenants):
    use(Contract, MinioRouter())

    assert ids() == []


def test_e016_not_of_the_place_that_files_come_from(use):
    use(Contract, MinioRouter(strategy=PerTenant(), fallback=MinioRouter()))

    assert ids() == []


UNKNOWN_KEYS = {
    "strategy": {
        "OPTIONS": {
            "strategy": {"BACKEND": "django_minio_router.strategies.PerTenant", "template": "a-{schema_name}"}
        }
    },
    "storage": {"strategy": "django_minio_router.strategies.PerTenant"},
}


@pytest.mark.parametrize("entry", UNKNOWN_KEYS.values(), ids=UNKNOWN_KEYS)
def test_e001_a_key_beside_the_options(project, entry):
    media = {"BACKEND": "django_minio_router.MinioRouter", **entry}
    project.STORAGES = {**project.STORAGES, "media": media}

    message = only("E001")

    assert "beside BACKEND and OPTIONS" in message.msg
    assert "STORAGES['media']" in message.msg


def test_a_key_beside_the_options_of_another_package_is_that_package_s(project):
    other = {"BACKEND": "django.core.files.storage.InMemoryStorage", "note": "for tests"}
    project.STORAGES = {**project.STORAGES, "media": other}

    assert ids() == []


def test_w001_plain_http_for_requests(project):
    project.MINIO_USE_HTTPS = None
    message = only("W001", deploy=True)
    assert "MINIO_USE_HTTPS" in message.msg
    assert project.MINIO_ENDPOINT in message.msg

    project.MINIO_USE_HTTPS = True
    assert ids(deploy=True) == []


def test_w010_files_that_nothing_keeps(project):
    project.MINIO_ENDPOINT = "memory:"
    assert "lost when the process ends" in only("W010", deploy=True).msg


def test_w001_plain_http_for_links(project):
    project.MINIO_USE_HTTPS = True
    project.MINIO_EXTERNAL_ENDPOINT = "http://files.example.com"
    assert "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS" in only("W001", deploy=True).msg

    project.MINIO_EXTERNAL_ENDPOINT = "https://files.example.com"
    assert ids(deploy=True) == []


@pytest.mark.parametrize("where", ["the settings", "a named server", "an alias"])
@pytest.mark.parametrize("setting", ["MINIO_ENDPOINT", "MINIO_EXTERNAL_ENDPOINT"])
def test_w009_an_endpoint_that_ends_in_a_bucket(project, setting, where):
    address = "https://s3.example.com/v1/papers/"
    values = {"MINIO_ENDPOINT": "https://s3.example.com", setting: address}
    values |= {"MINIO_ACCESS_KEY": "k", "MINIO_SECRET_KEY": "s", "MINIO_PRIVATE_BUCKETS": ["papers"]}
    if where == "the settings":
        for name, value in values.items():
            setattr(project, name, value)
    elif where == "a named server":
        project.MINIO_SERVERS = {"eu": values}
    else:
        storage = {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": values}
        project.STORAGES = {**project.STORAGES, "papers": storage}

    message = only("W009")

    assert message.msg.startswith(f"{setting} has the path '/v1/papers', which ends in the bucket 'papers'")
    assert f"Remove 'papers' from {setting}" in message.hint


def test_w009_not_for_the_path_of_a_proxy(project):
    project.MINIO_PRIVATE_BUCKETS = ["papers"]
    project.MINIO_ENDPOINT = "https://papers.example.com/v1/s3"
    project.MINIO_EXTERNAL_ENDPOINT = "https://example.com/papers/s3"

    assert ids() == []


@pytest.mark.parametrize("name", ["Client", "customers.Nobody", "nowhere.Client", 7, None])
def test_e001_a_tenant_model_that_is_none(project, use, name):
    use(Contract, MinioRouter(strategy=PerTenant("media-{id}")))
    project.TENANT_MODEL = name

    assert only("E001").msg.startswith("TENANT_MODEL is ")


def test_w001_only_before_a_deployment(project):
    project.MINIO_USE_HTTPS = False

    assert ids() == []


def test_w002_a_mapped_model_that_has_no_field_of_its_own(use):
    use(Invoice, MinioRouter(strategy=PerModel({"docs.Invoice": "invoices", "docs.Letter": "letters"})))

    assert "docs.letter" in only("W002").msg


def test_w003_a_field_that_tenants_may_share(use):
    use(Contract, MinioRouter(strategy=PerTenant(field="name")))

    assert "name" in only("W003").msg


def test_w004_a_hook_that_opens_a_private_bucket(project):
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "x"}],
    }
    project.MINIO_POLICY_HOOKS = [("papers", policy)]
    assert "'papers'" in only("W004").msg

    project.MINIO_PUBLIC_BUCKETS = ["papers"]
    assert ids() == []


@pytest.mark.parametrize(
    ("strategy", "private"),
    [
        (PerTenant("t-{schema_name}"), True),
        (PerTenant("t-{schema_name}", public_read=True), False),
        (FixedBucket("papers", public_read=False), True),
        (FixedBucket("papers"), True),
        (FixedBucket("papers", public_read=True), False),
    ],
)
def test_w004_a_hook_that_opens_the_private_buckets_of_a_strategy(project, strategy, private):
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "x"}
    someone = {**everybody, "Principal": {"AWS": "arn:aws:iam::1:user/a"}}

    project.MINIO_POLICY_HOOKS = [(strategy, {"Statement": [someone, everybody]})]
    assert ids() == (["W004"] if private else [])

    project.MINIO_POLICY_HOOKS = [(strategy, {"Statement": [someone]})]
    assert ids() == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("MINIO_ENDPONT", "MINIO_ENDPOINT"),
        ("MINIO_PRIVATE_BUCKET", "MINIO_PRIVATE_BUCKETS"),
        ("MINIO_EXPIRY_HOURS", "MINIO_URL_EXPIRY_HOURS"),
        ("MINIO_USE_HTTP", "MINIO_USE_HTTPS"),
    ],
)
def test_w005_a_name_that_looks_like_a_setting(project, written, meant):
    setattr(project, written, "x")

    message = only("W005")

    assert written in message.msg
    assert meant in str(message.hint)


@pytest.mark.parametrize("name", ["MINIO_ROOT_USER", "MINIO_STORAGE_ENDPOINT", "MINIO_STORAGE_ACCESS_KEY"])
def test_w005_not_for_a_setting_of_something_else(project, name):
    setattr(project, name, "x")

    assert ids() == []


@pytest.fixture
def library(monkeypatch):
    """Return a function that makes the project believe that an app is installed."""
    is_installed = apps.is_installed
    names = set()
    monkeypatch.setattr(apps, "is_installed", lambda name: name in names or is_installed(name))
    return names.add


@pytest.mark.parametrize("name", ["sorl.thumbnail", "imagekit", "wagtail.images"])
def test_w006_thumbnails_in_a_cache_that_tenants_share(project, use, library, name):
    library(name)
    assert ids() == [], "there are no tenants' files"

    use(Contract, MinioRouter(strategy=PerTenant()))
    message = only("W006")
    assert repr(name) in message.msg
    assert "CACHES['default']" in str(message.hint)
    assert "'KEY_FUNCTION': 'django_tenants.cache.make_key'" in str(message.hint)

    memory = "django.core.cache.backends.locmem.LocMemCache"
    project.CACHES = {"default": {"BACKEND": memory, "KEY_FUNCTION": "django_tenants.cache.make_key"}}
    assert ids() == []


def test_w006_is_about_the_cache_that_the_library_uses(project, use, library):
    use(Contract, MinioRouter(strategy=PerTenant()))
    library("wagtail.images")
    project.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert ids() == [], "it keeps nothing"

    project.CACHES["renditions"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    assert "CACHES['renditions']" in str(only("W006").hint)


def test_w006_thumbnails_in_tables_that_tenants_share(project, use):
    project.TENANT_APPS = [app for app in project.TENANT_APPS if app != "easy_thumbnails"]
    use(Contract, MinioRouter(strategy=PerTenant()))

    message = only("W006")

    assert "'easy_thumbnails'" in message.msg
    assert "TENANT_APPS" in str(message.hint)


def test_w006_does_not_send_tenants_that_are_rows_to_django_tenants(project, use, library):
    library("imagekit")
    options = {"model": "orgs.Organization", "key": "slug"}
    project.MINIO_TENANCY = {"BACKEND": "django_minio_router.tenancy.RowTenancy", "OPTIONS": options}
    use(Contract, MinioRouter(strategy=PerTenant()))

    hint = str(only("W006").hint)

    assert "upload_to" in hint
    assert "django_tenants" not in hint


def test_the_storages_of_thumbnails_pass_the_checks(project):
    _, example, *_ = [
        code
        for code in blocks(section("docs/integrations.md", "Thumbnails"), "python")
        if not code.startswith("def ")
    ]
    values = {}
    exec(example, values)
    project.STORAGES = values["STORAGES"]

    assert "E015" not in ids()


def test_one_mistake_is_reported_once_whatever_depends_on_it(project, use):
    opening = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "x"}]}
    project.MINIO_POLICY_HOOKS = [("mixed", opening)]
    project.MINIO_PRIVATE_BUCKETS, project.MINIO_PUBLIC_BUCKETS = ["mixed"], ["mixed"]
    use(Receipt, MinioBackend("mixed"))
    assert ids() == ["E005"]

    project.MINIO_POLICY_HOOKS, project.MINIO_PUBLIC_BUCKETS = [], []
    project.MINIO_USE_HTTPS = True
    assert ids(deploy=True) == []

    project.MINIO_ENDPOINT = ""
    assert ids(deploy=True) == ["E002"]

    project.STORAGES = {**project.STORAGES, "media": {"BACKEND": "no.such.Storage"}}
    assert ids(deploy=True) == ["E001"]


def test_no_key_is_ever_shown(project, use):
    project.MINIO_ACCESS_KEY, project.MINIO_SECRET_KEY = "hush-access", "hush-secret"
    project.MINIO_ENDPOINT = "http://x/y?z"
    project.MINIO_RETRIES = -1
    project.MINIO_SERVERS = {"eu": {"MINIO_SECRET_KEY": "hush-eu", "MINIO_POOL_SIZE": "x"}, "us": None}
    use(Receipt, MinioBackend("Receipts", MINIO_SECRET_KEY="hush-own"))

    assert reported(deploy=True)
    assert "hush" not in "".join(map(str, reported(deploy=True)))


def test_no_query_is_sent(use, project, django_assert_num_queries, db):
    use(Contract, MinioRouter(strategy=PerTenant("{schema_name}-{id}", public="of-all")))
    project.MINIO_PRIVATE_BUCKETS = [PerTenant(field="name")]

    with django_assert_num_queries(0, connection=connections["default"]):
        reported(deploy=True)


def test_the_page_about_checks_has_each_id_once_and_no_other():
    in_code = re.findall(r"minio_router\.[EW]\d{3}", (ROOT / "django_minio_router/messages.py").read_text())
    in_page = re.findall(r"minio_router\.[EW]\d{3}", (ROOT / "docs/checks.md").read_text())

    assert sorted(in_page) == sorted(in_code)
