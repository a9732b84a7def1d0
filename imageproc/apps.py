"""The one Django application of the project."""

from django.apps import AppConfig


class ImageprocConfig(AppConfig):
    name = "imageproc"
    verbose_name = "Image processing"

    def ready(self) -> None:
        from imageproc import crashpoints  # noqa: F401 -- registers its start-up check
