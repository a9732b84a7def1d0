"""The OpenAPI document, the page that shows it, and the 404 for unknown addresses."""

from __future__ import annotations

from typing import Any, NoReturn

from django.http import Http404, HttpRequest
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class _JsonProblems(APIView):
    """Sends errors as JSON, although the document itself is YAML or HTML."""

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        if response.exception:
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


class SchemaView(_JsonProblems, SpectacularAPIView):
    """The OpenAPI document, as YAML or JSON."""


class DocsView(_JsonProblems, SpectacularSwaggerSplitView):
    """Swagger UI from our own static files. Its script is a separate response, because the CSP
    allows none inline."""

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
