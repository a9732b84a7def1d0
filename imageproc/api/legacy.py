"""The paths of the systems that this one replaced, so that their clients work unchanged."""

from django.urls import path

from imageproc.api.views.images import ImageView
from imageproc.api.views.requests import StatusView
from imageproc.api.views.uploads import UploadView

urlpatterns = [
    path("csv/upload", UploadView.as_view()),
    path("csv/status/<uuid:request_id>", StatusView.as_view()),
    path("csv/download/<uuid:image_id>", ImageView.as_view()),
    path("upload", UploadView.as_view()),
    path("status/<uuid:request_id>", StatusView.as_view()),
    path("image/<uuid:request_id>/<uuid:image_id>", ImageView.as_view()),
]
