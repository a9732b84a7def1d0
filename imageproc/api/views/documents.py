"""The OpenAPI document, the page that shows it, and the answer to every other address."""

from __future__ import annotations

from typing import Any, NoReturn

from django.http import Http404, HttpRequest
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.views import APIView


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files, its script in a response of its own (CSP)."""

    authentication_classes = ()
    permission_classes = ()
    url_name = "schema"
    title = "imageproc API"


@extend_schema(exclude=True)
class UnknownView(APIView):
    """A 404 as problem+json, whatever the method."""

    authentication_classes = ()
    permission_classes = ()

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        raise Http404

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        raise Http404
