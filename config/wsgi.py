"""What gunicorn serves."""

import os
from collections.abc import Iterable
from email.message import Message
from typing import Any
from wsgiref.types import StartResponse

from django.core.wsgi import get_wsgi_application
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from imageproc.checks import refuse_unsafe  # noqa: E402 -- needs the applications loaded
from imageproc.requests.operations import prepare_folder  # noqa: E402

refuse_unsafe()
prepare_folder()
connections.close_all()  # the threads that answer have connections of their own


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Django, for which queries and forms are always UTF-8 (https://url.spec.whatwg.org/).

    Django reads the query in the charset of the Content-Type, before any middleware is called, and
    raises where that charset is not one of text. CSV files are unaffected: the sheet finds out
    their encoding by itself.
    """
    content_type = Message()
    content_type["Content-Type"] = environ.get("CONTENT_TYPE", "")
    charset = content_type.get_param("charset")
    if charset is None:
        return django_application(environ, start_response)
    try:
        "a".encode(str(charset))
    except (LookupError, ValueError):
        start_response("415 Unsupported Media Type", [("Content-Type", "text/plain")])
        return [b"The Content-Type names a charset that is not known.\n"]
    content_type.del_param("charset")
    environ["CONTENT_TYPE"] = content_type["Content-Type"]
    return django_application(environ, start_response)
