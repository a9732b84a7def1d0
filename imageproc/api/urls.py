"""The addresses of the JSON API."""

from django.urls import path

from imageproc.api import views

urlpatterns = [
    path("upload", views.UploadView.as_view(), name="upload"),
    path("status/<uuid:request_id>", views.StatusView.as_view(), name="status"),
    path("requests/<uuid:request_id>/output.csv", views.OutputCsvView.as_view(), name="output-csv"),
    path("requests/<uuid:request_id>/input.csv", views.InputCsvView.as_view(), name="input-csv"),
    path("images/<uuid:image_id>", views.ImageView.as_view(), name="image"),
]
