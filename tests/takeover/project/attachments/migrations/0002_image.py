import django_minio_backend.models
from django.db import migrations, models

import attachments.models


class Migration(migrations.Migration):
    dependencies = [("attachments", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="attachment",
            name="lazy",
            field=models.FileField(
                blank=True, default="", storage=attachments.models.get_private_storage, upload_to="lazy"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="attachment",
            name="width",
            field=models.PositiveIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="attachment",
            name="height",
            field=models.PositiveIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="attachment",
            name="image",
            field=models.ImageField(
                blank=True,
                default="",
                height_field="height",
                storage=django_minio_backend.models.MinioBackend(
                    bucket_name="takeover-public", replace_existing=True
                ),
                upload_to="images",
                width_field="width",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="attachment",
            name="plain",
            field=models.FileField(blank=True, default="", upload_to="plain"),
            preserve_default=False,
        ),
    ]
