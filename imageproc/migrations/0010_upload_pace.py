from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = (("imageproc", "0009_idle_time_and_retries"),)

    operations = (
        migrations.AddField(
            "processingrequest", "host_pace", models.FloatField(blank=True, null=True)
        ),
        migrations.AddField("host", "upload_pace", models.FloatField(blank=True, null=True)),
        migrations.RemoveConstraint("host", "host_pace_above_zero"),
        migrations.AddConstraint(
            "host",
            models.CheckConstraint(
                name="host_pace_above_zero",
                condition=(Q(pace=None) | Q(pace__gt=0))
                & (Q(fixed_pace=None) | Q(fixed_pace__gt=0))
                & (Q(upload_pace=None) | Q(upload_pace__gt=0)),
            ),
        ),
    )
