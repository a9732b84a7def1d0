"""The one Django application of the project."""

from django.apps import AppConfig


class ImageprocConfig(AppConfig):
    name = "imageproc"
    verbose_name = "Image processing"

    def ready(self) -> None:
        from imageproc import checks  # noqa: F401 -- registers the start-up checks
