"""Owners, their keys, and clients that call with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client

from imageproc.models import ApiKey
from tests.support import build


@pytest.fixture(autouse=True)
def _no_calls_counted() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def with_key(name: str, *scopes: str) -> Client:
    """A client with a new key of the owner ``name``."""
    chosen = scopes or ("upload", "read", "operate")
    _, secret = ApiKey.objects.issue(owner_id=build.owner(name).pk, name="test", scopes=chosen)
    return Client(headers={"authorization": f"Bearer {secret}"})
