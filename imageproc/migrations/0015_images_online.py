from django.db import migrations, models
from django.db.models import Q

from imageproc.models.online import AddIndexOnline, ValidateCounters


class Migration(migrations.Migration):
    """What reads every image, beside writers. Databases on which earlier migrations did it already
    end with the same tables."""

    atomic = False
    dependencies = (("imageproc", "0014_names"),)

    operations = (
        ValidateCounters("productimage", ("fetch_failures", "store_failures", "refusals")),
        AddIndexOnline(
            "productimage",
            models.Index(
                name="image_by_picture", fields=("picture",), condition=Q(picture__isnull=False)
            ),
        ),
        AddIndexOnline(
            "productimage",
            models.Index(
                name="image_same_url",
                fields=("request", "same_url"),
                condition=Q(status="PENDING", same_url__isnull=False),
            ),
        ),
    )
