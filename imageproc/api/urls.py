"""The addresses of the JSON API."""

from django.urls import path, re_path

from imageproc.api.views import documents, files, images, requests, uploads, webhooks

REQUEST = "requests/<uuid:request_id>"

urlpatterns = [
    path("upload", uploads.UploadView.as_view(), name="upload"),
    path("upload/errors.csv", uploads.ErrorsView.as_view(), name="upload-errors"),
    path("status/<uuid:request_id>", requests.StatusView.as_view(), name="status"),
    path("requests", requests.ListView.as_view(), name="requests"),
    path(REQUEST, requests.RequestView.as_view(), name="request"),
    path(f"{REQUEST}/retry", requests.RetryView.as_view(), name="retry"),
    path(f"{REQUEST}/cancel", requests.CancelView.as_view(), name="cancel"),
    path(f"{REQUEST}/continue", requests.ContinueView.as_view(), name="continue"),
    path(f"{REQUEST}/output.csv", files.OutputCsvView.as_view(), name="output-csv"),
    path(f"{REQUEST}/output.xlsx", files.OutputXlsxView.as_view(), name="output-xlsx"),
    path(f"{REQUEST}/manifest.json", files.ManifestView.as_view(), name="manifest"),
    path(f"{REQUEST}/images.zip", files.ImagesZipView.as_view(), name="images-zip"),
    path(f"{REQUEST}/input.csv", files.InputCsvView.as_view(), name="input-csv"),
    path(f"{REQUEST}/failed.csv", files.FailedCsvView.as_view(), name="failed-csv"),
    path(f"{REQUEST}/errors.csv", files.ErrorsCsvView.as_view(), name="errors-csv"),
    path("images/<uuid:image_id>", images.ImageView.as_view(), name="image"),
    path("images/<uuid:image_id>/original", images.OriginalView.as_view(), name="original"),
    path("images/<uuid:image_id>/<str:name>", images.ImageView.as_view(), name="named-image"),
    path("webhooks/secret", webhooks.SecretView.as_view(), name="webhook-secret"),
    path(
        "webhooks/secret/rotate", webhooks.RotateSecretView.as_view(), name="rotate-webhook-secret"
    ),
    path(
        "webhooks/deliveries/<uuid:delivery_id>/redeliver",
        webhooks.RedeliverView.as_view(),
        name="redeliver",
    ),
    path("schema", documents.SchemaView.as_view(), name="schema"),
    path("docs", documents.DocsView.as_view(), name="docs"),
    re_path("", documents.UnknownView.as_view()),
]
