"""The one Django application of the project."""

from django.apps import AppConfig


class ImageprocConfig(AppConfig):
    name = "imageproc"
    verbose_name = "Image processing"

    def ready(self) -> None:
        from imageproc import checks, crashpoints  # noqa: F401 -- register start-up checks
