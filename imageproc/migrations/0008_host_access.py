import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("imageproc", "0007_host_pace"),
    )

    operations = (
        migrations.CreateModel(
            name="HostAccess",
            fields=(
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("host", models.CharField(max_length=255)),
                ("sealed", models.TextField()),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        help_text="Only for this user's images. Empty: for everybody's.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ),
            options={
                "verbose_name_plural": "host access",
                "ordering": ("host", "id"),
                "constraints": [
                    models.UniqueConstraint(fields=("host", "owner"), name="host_access_of_owner"),
                    models.UniqueConstraint(
                        condition=models.Q(("owner", None)),
                        fields=("host",),
                        name="host_access_of_all",
                    ),
                ],
            },
        ),
    )
