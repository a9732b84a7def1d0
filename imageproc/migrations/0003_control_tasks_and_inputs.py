from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """Additive: processes of the version before go on working on these tables."""

    dependencies = [("imageproc", "0002_request_lease")]

    operations = [
        # The column keeps its name.
        migrations.AlterField(
            model_name="processingrequest",
            name="ingest_attempts",
            field=models.PositiveSmallIntegerField(db_column="ingest_attempts", default=0),
        ),
        migrations.RenameField(
            model_name="processingrequest",
            old_name="ingest_attempts",
            new_name="task_attempts",
        ),
        migrations.AddField(
            model_name="processingrequest",
            name="input_size",
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="processingrequest",
            name="input_sha256",
            field=models.CharField(blank=True, db_default="", max_length=64),
        ),
        migrations.CreateModel(
            name="PendingUpload",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("abandoned_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
    ]
