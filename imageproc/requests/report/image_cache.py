"""Reads processed images, small ones through the shared cache.

The service works without the cache: if it is down or has no entry, the storage is read.
"""

from __future__ import annotations

import io
import logging
from typing import BinaryIO, cast

from django.conf import settings
from django.core.cache import caches

from imageproc.images import store
from imageproc.models import ProductImage

log = logging.getLogger(__name__)
# Larger images would evict too many small ones.
CACHED_UP_TO = 1_000_000


def open_image(image: ProductImage) -> tuple[BinaryIO, bool]:
    """A stream over the whole image, and whether it came from the cache.

    Raises store.StoreError or FileNotFoundError.
    """
    if (image.output_size or 0) > CACHED_UP_TO:
        return store.open_read(image.output_key), False
    data = _recall(image.output_key)
    if data is not None:
        return io.BytesIO(data), True
    with store.open_read(image.output_key) as stream:
        data = stream.read()
    _keep(image.output_key, data)
    return io.BytesIO(data), False


def _recall(key: str) -> bytes | None:
    try:
        return cast("bytes | None", caches["images"].get(key))
    except Exception:
        log.warning("the cache is unavailable", exc_info=True)
        return None


def _keep(key: str, data: bytes) -> None:
    """Cache under the storage key, which changes with the content, so no entry is ever stale."""
    try:
        caches["images"].set(key, data, settings.IMAGE_CACHE_SECONDS)
    except Exception:
        log.warning("the cache is unavailable", exc_info=True)
