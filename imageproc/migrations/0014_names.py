from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("imageproc", "0013_teams"),)

    operations = (
        migrations.AddField(
            "processingrequest",
            "names",
            models.CharField(blank=True, db_default="", max_length=100),
        ),
        migrations.AddField(
            "productimage", "name", models.CharField(blank=True, db_default="", max_length=255)
        ),
    )
