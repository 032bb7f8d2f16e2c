import django.core.files.storage
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import django_minio_router.fields
import tests.apps.orgs.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Note",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("file", models.FileField(storage=django.core.files.storage.InMemoryStorage(), upload_to="")),
            ],
        ),
        migrations.CreateModel(
            name="Organization",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("slug", models.SlugField(unique=True)),
                ("name", models.CharField(blank=True, max_length=50)),
                (
                    "charter",
                    django_minio_router.fields.BucketFileField(
                        blank=True,
                        owner="self",
                        storage=django.core.files.storage.InMemoryStorage(),
                        upload_to="",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(blank=True, max_length=50)),
                (
                    "file",
                    django_minio_router.fields.BucketFileField(
                        owner="organization",
                        storage=django.core.files.storage.InMemoryStorage(),
                        upload_to="",
                    ),
                ),
                (
                    "scan",
                    django_minio_router.fields.BucketFileField(
                        blank=True,
                        owner=tests.apps.orgs.models.organization_of,
                        storage=django.core.files.storage.InMemoryStorage(),
                        upload_to="",
                    ),
                ),
                (
                    "receipt",
                    django_minio_router.fields.BucketFileField(
                        blank=True,
                        owner="uploaded_by",
                        storage=django.core.files.storage.InMemoryStorage(),
                        upload_to="",
                    ),
                ),
                (
                    "uploaded_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, to="orgs.organization"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Partner",
            fields=[],
            options={
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("orgs.organization",),
        ),
        migrations.CreateModel(
            name="Page",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "image",
                    django_minio_router.fields.BucketImageField(
                        owner="document.organization",
                        storage=django.core.files.storage.InMemoryStorage(),
                        upload_to="",
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="orgs.document"),
                ),
            ],
        ),
    ]
