"""The only HTTP client of the product: images and webhooks.

``get`` and ``post`` return an Answer or a Fault and raise nothing. Every URL is judged (``target``,
``addresses``), every dial goes to a judged address (``dial``), one deadline bounds the whole.
"""

from imageproc.images.fetch.addresses import Policy
from imageproc.images.fetch.client import Answer, Limits, get, post
from imageproc.images.fetch.target import check

__all__ = ["Answer", "Limits", "Policy", "check", "get", "post"]
