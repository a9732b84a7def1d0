"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from imageproc import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/", include("imageproc.api.urls")),
    path("", include("imageproc.api.legacy")),
    path("admin/", admin.site.urls),
    path("", include("imageproc.web.urls")),
]
handler500 = "imageproc.api.problems.server_error"
