import os
from pathlib import Path

# What this is about: tenants are rows of a model, and the middleware knows which one is active.
MINIO_TENANCY = {
    "BACKEND": "django_minio_router.tenancy.RowTenancy",
    "OPTIONS": {
        "model": "orgs.Organization",
        "key": "slug",
        "current": "examples.organizations.orgs.context.get_current_organization",
    },
}
MINIO_ENDPOINT = os.environ["MINIO_ENDPOINT"]
MINIO_ACCESS_KEY = os.environ["MINIO_ACCESS_KEY"]
MINIO_SECRET_KEY = os.environ["MINIO_SECRET_KEY"]
MINIO_USE_HTTPS = os.environ.get("MINIO_USE_HTTPS") == "1"
INSTALLED_APPS = [
    "django_minio_router",
    "examples.organizations.orgs",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "examples.organizations.orgs.context.OrganizationMiddleware",
]

# What any Django project needs.
DEBUG = True
ALLOWED_HOSTS = ["*"]
SECRET_KEY = os.environ.get("SECRET_KEY", "only for this example, on this machine")
ROOT_URLCONF = "examples.organizations.urls"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"
STATIC_URL = "static/"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SITE_DATABASE", Path(__file__).with_name("db.sqlite3")),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.contrib.auth.context_processors.auth"]},
    }
]
USE_TZ = True
