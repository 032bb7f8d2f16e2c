import os
from pathlib import Path

# What the storage needs: the server, the default storage, and its bucket.
MINIO_ENDPOINT = os.environ["MINIO_ENDPOINT"]
MINIO_ACCESS_KEY = os.environ["MINIO_ACCESS_KEY"]
MINIO_SECRET_KEY = os.environ["MINIO_SECRET_KEY"]
MINIO_USE_HTTPS = os.environ.get("MINIO_USE_HTTPS") == "1"
MINIO_DEFAULT_BUCKET = "single-bucket-example"
MINIO_PRIVATE_BUCKETS = [MINIO_DEFAULT_BUCKET]
STORAGES = {"default": {"BACKEND": "django_minio_router.MinioRouter"}}
INSTALLED_APPS = ["django_minio_router", "uploads"]

# What any Django project needs.
DEBUG = True
SECRET_KEY = os.environ.get("SECRET_KEY", "only for this example, on this machine")
ROOT_URLCONF = "urls"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).with_name("db.sqlite3")}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True
