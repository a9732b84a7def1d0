"""The operators' room: lists that stay fast, pages that tell, actions that ask first.

Nothing is edited here: rows change by the operations that every door uses. Whoever may see is
decided by Django's view permissions; whoever may act, by ``imageproc.operate``.
"""

from imageproc.admin import accounts, images, keys, queue, requests, switches, webhooks

__all__ = ["accounts", "images", "keys", "queue", "requests", "switches", "webhooks"]
