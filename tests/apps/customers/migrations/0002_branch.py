from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("customers", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Branch",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("customers.client",),
        ),
    ]
