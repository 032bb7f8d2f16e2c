import uuid

from django.db import migrations, models

import django_minio_router.models
import django_minio_router.strategies


class Migration(migrations.Migration):
    dependencies = [("library", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Letter",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("title", models.CharField(max_length=100)),
                (
                    "filename",
                    models.CharField(
                        editable=False, max_length=255, verbose_name="the file's name where it came from"
                    ),
                ),
                ("size", models.PositiveBigIntegerField(editable=False, verbose_name="bytes")),
                ("added", models.DateTimeField(auto_now_add=True)),
                (
                    "file",
                    models.FileField(
                        storage=django_minio_router.models.MinioRouter(
                            strategy=django_minio_router.strategies.PerTenant("demo-{schema_name}")
                        ),
                        upload_to="letters/",
                    ),
                ),
            ],
            options={
                "ordering": ["-added"],
                "abstract": False,
            },
        ),
    ]
