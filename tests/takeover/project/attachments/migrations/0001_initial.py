import django_minio_backend.models
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Attachment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(max_length=100)),
                (
                    "public",
                    models.FileField(
                        blank=True,
                        storage=django_minio_backend.models.MinioBackend(bucket_name="takeover-public"),
                        upload_to=django_minio_backend.models.iso_date_prefix,
                    ),
                ),
                (
                    "private",
                    models.FileField(
                        blank=True,
                        storage=django_minio_backend.models.MinioBackend(bucket_name="takeover-private"),
                        upload_to=django_minio_backend.models.iso_date_prefix,
                    ),
                ),
            ],
        ),
    ]
