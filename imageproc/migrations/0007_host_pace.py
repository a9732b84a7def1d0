from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("imageproc", "0006_hosts"),)

    operations = (
        migrations.RenameField("host", "raised_at", "opened_at"),
        migrations.AddField("host", "found_pace", models.FloatField(blank=True, null=True)),
        migrations.AddField("host", "pause", models.FloatField(default=1.0)),
        migrations.AddField("host", "slots_given", models.PositiveIntegerField(default=0)),
    )
