"""What people see of sources that were used again: links, counts, changed rows, the manifest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imageproc.images import reuse, store
from imageproc.images.claim import claim
from imageproc.images.outcome import Done
from imageproc.images.record import record
from imageproc.models import ProcessingRequest
from imageproc.requests import completion, operations, removal
from tests.api.conftest import Checked, accepted, upload
from tests.support import build

pytestmark = pytest.mark.django_db(transaction=True)


def processed(request: ProcessingRequest) -> ProcessingRequest:
    """Every source that is known is unchanged."""
    outcomes: list[Any] = []
    for job in claim():
        if job.source.known:
            outcomes.append(reuse.unasked(job))
        else:
            outcomes.append(build.done(job))
            store.put(outcomes[-1].output_key, b"x" * 500, "image/jpeg")
            assert isinstance(outcomes[-1], Done)
    record(outcomes)
    completion.complete(request.id)
    request.refresh_from_db()
    return request


def links(api: Checked, request: ProcessingRequest) -> list[str]:
    products = api.get(f"/api/status/{request.id}").json()["products"]
    return [url for product in products for url in product["outputImageUrls"]]


def test_the_second_night(api: Checked) -> None:
    first, second = processed(accepted(api)), processed(accepted(api))
    urls = links(api, second)
    assert urls == links(api, first)
    body = api.get(f"/api/status/{second.id}").json()
    counts = [body[name] for name in ("newImages", "changedImages", "unchangedImages")]
    assert counts == [0, 0, len(urls)]
    assert {i["change"] for p in body["products"] for i in p["images"]} == {"unchanged"}
    output = f"/api/requests/{second.id}/output.csv"
    plain, with_change, changed = (
        api.get(output + query).getvalue().decode("utf-8-sig").splitlines()
        for query in ("", "?changeColumn=true", "?changedOnly=true")
    )
    assert with_change[0] == f"{plain[0]},Change"
    assert with_change[1:] == [f"{line},unchanged" for line in plain[1:]]
    assert changed == plain[:1]
    of_first = api.get(f"/api/requests/{first.id}/output.csv?changedOnly=true").getvalue()
    assert len(of_first.splitlines()) == len(plain)


def test_the_manifest(api: Checked) -> None:
    first, second = processed(accepted(api)), processed(accepted(api))
    manifests = []
    for request in (first, second):
        answer = api.get(f"/api/requests/{request.id}/manifest.json")
        manifests.append(json.loads(answer.getvalue()))
    assert [found["requestId"] for found in manifests] == [str(first.id), str(second.id)]
    made, reused = (found["images"] for found in manifests)
    assert {image["reused"] for image in made} == {False}
    assert {image["reused"] for image in reused} == {True}
    facts = ("inputUrl", "sourceSha256", "sha256", "size", "width", "outputUrl", "madeAt")
    assert [[i[name] for name in facts] for i in made] == [
        [i[name] for name in facts] for i in reused
    ]
    assert (made[0]["sourceSha256"], made[0]["size"]) == ("cd" * 32, 500)


def test_a_link_works_as_long_as_a_request_names_its_picture(api: Checked) -> None:
    first, second = processed(accepted(api)), processed(accepted(api))
    url = links(api, second)[0].removeprefix("http://testserver")
    for request, status in ((first, 200), (second, 404)):
        operations.remove(request.id)
        removal.erase(request.id)
        assert api.get(url).status_code == status


@pytest.mark.parametrize(
    ("sent", "kept"),
    [({}, (7, False)), ({"maxAge": "0"}, (0, False)), ({"maxAge": "60"}, (60, False)),
     ({"refresh": "true"}, (7, True))],
)  # fmt: skip
def test_the_options(api: Checked, settings: Any, sent: dict[str, Any], kept: Any) -> None:
    settings.SOURCE_MAX_AGE = 7
    request = ProcessingRequest.objects.get(id=upload(api, **sent).json()["requestId"])
    assert (request.max_age, request.refresh) == kept
