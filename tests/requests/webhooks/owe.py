"""In a process of its own: end requests on the database of a worker tree; print the secret."""

import sys

import django

django.setup()

from imageproc.models import WebhookSecret  # noqa: E402
from imageproc.requests import operations  # noqa: E402
from tests.support import build  # noqa: E402

url, count = sys.argv[1], int(sys.argv[2])
secret = WebhookSecret.objects.current(build.owner().pk).secret
for _ in range(count):
    operations.cancel(build.request(1, webhook_url=url).id)
sys.stdout.write(secret)
