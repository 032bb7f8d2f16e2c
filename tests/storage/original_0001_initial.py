from django.db import migrations, models

import django_minio_router.models


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
                (
                    "file",
                    models.FileField(
                        storage=django_minio_router.models.MinioBackend(
                            bucket_name="django-backend-dev-private"
                        ),
                        upload_to=django_minio_router.models.iso_date_prefix,
                    ),
                ),
                (
                    "image",
                    models.ImageField(
                        storage=django_minio_router.models.MinioBackend(
                            bucket_name="images", replace_existing=True
                        ),
                        upload_to=django_minio_router.models.iso_date_prefix,
                    ),
                ),
            ],
        ),
    ]
