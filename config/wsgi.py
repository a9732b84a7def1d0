"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from imageproc.checks import refuse_unsafe  # noqa: E402 -- needs the applications loaded

refuse_unsafe()
