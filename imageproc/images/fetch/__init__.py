"""The only HTTP client of the product: images and webhooks.

``get`` and ``post`` return an Answer or a Fault and raise nothing. Every URL is checked
(``target``, ``addresses``), connections go to checked addresses only (``dial``), and one deadline
bounds it all.
"""

from imageproc.images.fetch.addresses import Policy
from imageproc.images.fetch.client import Answer, Limits, get, post
from imageproc.images.fetch.target import check

__all__ = ["Answer", "Limits", "Policy", "check", "get", "post"]
