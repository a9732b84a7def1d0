"""The Django admin for operators: fast lists, pages of details, actions that ask first.

Rows change only by ``imageproc.requests.operations``, as in the API; only ``access`` has a form.
Django's view permissions decide who may look, ``imageproc.operate`` who may act.
"""

from imageproc.admin import (
    access,
    accounts,
    hosts,
    images,
    keys,
    mails,
    queue,
    requests,
    switches,
    webhooks,
)

__all__ = [
    "access",
    "accounts",
    "hosts",
    "images",
    "keys",
    "mails",
    "queue",
    "requests",
    "switches",
    "webhooks",
]
