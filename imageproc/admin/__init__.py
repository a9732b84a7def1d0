"""The Django admin for operators: fast lists, pages of details, actions that ask first.

Nothing is edited by hand: rows change only by ``imageproc.requests.operations``, as in the API.
Django's view permissions decide who may look, ``imageproc.operate`` who may act.
"""

from imageproc.admin import accounts, hosts, images, keys, queue, requests, switches, webhooks

__all__ = ["accounts", "hosts", "images", "keys", "queue", "requests", "switches", "webhooks"]
