"""A processed image: whole, in part, unchanged, cached, gone."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches

from imageproc.images import store
from imageproc.models import ProductImage
from imageproc.requests import operations
from tests.api.conftest import Checked, accepted, finish
from tests.support.servers.redis import Redis

pytestmark = pytest.mark.django_db(transaction=True)
BODY = bytes(range(250)) * 2


@pytest.fixture
def image(api: Checked) -> ProductImage:
    caches["images"].clear()
    return finish(accepted(api)).images.order_by("id")[0]


def url_of(image: ProductImage) -> str:
    return f"/api/images/{image.id}/{image.output_key.rpartition('/')[2]}"


def test_whole(api: Checked, image: ProductImage) -> None:
    answer = api.get(url_of(image))
    assert answer.getvalue() == BODY
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Content-Length"] == "500"
    assert answer["ETag"] == f'"{image.output_sha256}"'
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    unnamed = api.get(f"/api/images/{image.id}")
    assert (unnamed.getvalue(), unnamed["Cache-Control"]) == (BODY, "public, max-age=3600")


def test_unchanged(api: Checked, image: ProductImage) -> None:
    etag = f'"{image.output_sha256}"'
    answer = api.get(url_of(image), headers={"If-None-Match": f'"other", {etag}'})
    assert (answer.status_code, answer["ETag"]) == (304, etag)


def test_head_reads_nothing(api: Checked, image: ProductImage) -> None:
    store.delete_many([image.output_key])
    answer = api.head(url_of(image))
    assert (answer.status_code, answer["Content-Length"]) == (200, "500")
    assert api.get(url_of(image)).status_code == 404


def test_an_older_name_leads_to_what_is_there_now(api: Checked, image: ProductImage) -> None:
    answer = api.get(f"/api/images/{image.id}/older-name.jpg")
    assert (answer.getvalue(), answer["Cache-Control"]) == (BODY, "public, max-age=3600")


def test_a_removed_image_is_gone_at_once(api: Checked, image: ProductImage) -> None:
    assert api.get(url_of(image)).status_code == 200
    operations.remove(image.request_id)
    assert api.get(url_of(image)).status_code == 404


def test_the_original_is_for_its_owner(api: Checked, image: ProductImage, settings: Any) -> None:
    key = f"{image.request_id}/one-original-abcd.png"
    store.put(key, b"original", "image/png")
    ProductImage.objects.filter(id=image.id).update(original_key=key)
    answer = api.get(f"/api/images/{image.id}/original")
    assert (answer.getvalue(), answer["Content-Type"]) == (b"original", "image/png")
    settings.API_ANONYMOUS = False
    assert api.get(f"/api/images/{image.id}/original").status_code == 401


def with_redis(settings: Any, url: str) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "images": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
        },
    }


def test_redis_answers_the_second_time_until_the_time_is_over(
    api: Checked, image: ProductImage, settings: Any, redis_server: Redis
) -> None:
    with_redis(settings, redis_server.url)
    settings.IMAGE_CACHE_SECONDS = 60
    assert api.get(url_of(image))["Cache-Status"] == "imageproc; fwd=miss"
    store.delete_many([image.output_key])
    again = api.get(url_of(image))
    assert (again.getvalue(), again["Cache-Status"]) == (BODY, "imageproc; hit")
    assert 0 < caches["images"]._cache.get_client().ttl(":1:" + image.output_key) <= 60  # type: ignore[attr-defined]
    caches["images"].clear()
    assert api.get(url_of(image)).status_code == 404


def test_a_dead_redis_is_no_error(
    api: Checked, image: ProductImage, settings: Any, redis_server: Redis
) -> None:
    with_redis(settings, redis_server.url)
    api.get(url_of(image))
    redis_server.kill()
    assert api.get(url_of(image)).getvalue() == BODY


def test_large_images_are_not_cached(
    api: Checked, image: ProductImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imageproc.requests.report.image_cache.CACHED_UP_TO", 499)
    for _ in range(2):
        assert api.get(url_of(image))["Cache-Status"] == "imageproc; fwd=miss"
