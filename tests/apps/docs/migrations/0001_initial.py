import django.db.models.deletion
from django.db import migrations, models

import django_minio_router.dates
import django_minio_router.models
import django_minio_router.strategies
import tests.apps.docs.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Contract",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerTenant()
                        ),
                        upload_to="",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Fax",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerModel(
                                {"docs.Invoice": "test-docs-invoices"},
                                template="test-{app_label}-{model_name}",
                            )
                        ),
                        upload_to="",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerModel(
                                {"docs.Invoice": "test-docs-invoices"},
                                template="test-{app_label}-{model_name}",
                            )
                        ),
                        upload_to="",
                    ),
                ),
                (
                    "scan",
                    models.FileField(
                        blank=True,
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerModel(
                                {"docs.Invoice": "test-docs-invoices"},
                                template="test-{app_label}-{model_name}",
                            )
                        ),
                        upload_to="",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Letter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerModel(
                                {"docs.Invoice": "test-docs-invoices"},
                                template="test-{app_label}-{model_name}",
                            )
                        ),
                        upload_to="",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Logo",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        storage=django_minio_router.models.MinioBackend("test-docs-logos", public=True),
                        upload_to="",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Note",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("file", models.FileField(upload_to=django_minio_router.dates.iso_date_prefix)),
            ],
        ),
        migrations.CreateModel(
            name="Photo",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "image",
                    models.ImageField(
                        height_field="height",
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerTenant()
                        ),
                        upload_to="",
                        width_field="width",
                    ),
                ),
                ("width", models.PositiveIntegerField(default=0, editable=False)),
                ("height", models.PositiveIntegerField(default=0, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerModel(
                                {"docs.Invoice": "test-docs-invoices"},
                                template="test-{app_label}-{model_name}",
                            )
                        ),
                        upload_to="",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Report",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("file", models.FileField(storage=tests.apps.docs.models.chosen_storage, upload_to="")),
            ],
        ),
        migrations.CreateModel(
            name="PaidInvoice",
            fields=[
                (
                    "invoice_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="docs.invoice",
                    ),
                ),
                (
                    "proof",
                    models.FileField(
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerModel(
                                {"docs.Invoice": "test-docs-invoices"},
                                template="test-{app_label}-{model_name}",
                            )
                        ),
                        upload_to="",
                    ),
                ),
            ],
            bases=("docs.invoice",),
        ),
        migrations.CreateModel(
            name="InvoiceProxy",
            fields=[],
            options={
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("docs.invoice",),
        ),
    ]
