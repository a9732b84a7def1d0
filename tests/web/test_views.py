"""The pages without a browser: whose they are, what they cost, what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from imageproc.intake import columns
from imageproc.models import (
    ApiKey,
    ColumnMapping,
    FailureTally,
    ImageStatus,
    ProcessingRequest,
    ProductImage,
    RequestStatus,
    Switch,
    WebhookSecret,
)
from imageproc.requests import operations
from imageproc.sheet import Choice
from tests.support import build

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/requests/?q=a"}
CSV = "S. No.,Product Name,Input Image Urls\nP1,Shoe,{}\n"


@pytest.fixture(autouse=True)
def _with_accounts(settings: Settings) -> None:
    settings.API_ANONYMOUS = False


@pytest.fixture
def olga(client: Client) -> Client:
    client.force_login(build.owner("olga"))
    return client


def done(images: int = 3, **fields: Any) -> ProcessingRequest:
    """A request of olga's whose images are all done."""
    made = build.request(images, status=RequestStatus.PROCESSING, **fields)
    made.images.update(
        status=ImageStatus.COMPLETED,
        output_key="a/b.jpg",
        output_sha256="ab",
        output_size=10,
        input_size=100,
        width=8,
        height=6,
        content_type="image/jpeg",
    )
    made.completed_images = images
    made.save()
    return made


def failed(code: str, host: str, images: int, of: ProcessingRequest) -> None:
    """``images`` of the request's pending images fail, as the recorder would write it."""
    ids = of.images.filter(status=ImageStatus.PENDING).values_list("id", flat=True)[:images]
    ProductImage.objects.filter(id__in=list(ids)).update(
        status=ImageStatus.FAILED, error_code=code, host=host
    )
    FailureTally.objects.add(of.id, code, host, images)
    of.failed_images += images
    of.save()


def names(html: str) -> list[str]:
    """The pictures of a gallery, by serial number, in their order."""
    return [part.split(" ·")[0] for part in html.split('<span class="quiet">')[1:] if " · " in part]


# --- Whose ----------------------------------------------------------------------------------------
PLAIN = ["home", "requests", "keys"]
OF_ONE = ["request", "progress", "outcome", "gallery", "cancel", "delete"]


@pytest.mark.parametrize("name", PLAIN)
def test_a_stranger_is_sent_to_the_sign_in(client: Client, name: str) -> None:
    path = reverse(f"web:{name}")
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/sign-in/?next={path}")


@pytest.mark.parametrize("name", OF_ONE)
def test_a_request_is_its_owners_alone(olga: Client, name: str) -> None:
    mine, foreign = done(), done(owner=build.owner("boris"))
    assert olga.get(reverse(f"web:{name}", args=[mine.id])).status_code == 200
    assert olga.get(reverse(f"web:{name}", args=[foreign.id])).status_code == 404
    assert olga.get(reverse(f"web:{name}", args=[uuid4()])).status_code == 404


@pytest.mark.parametrize("name", ["cancel", "delete", "retry"])
def test_nothing_happens_to_anothers_request(olga: Client, name: str) -> None:
    foreign = build.request(2, owner=build.owner("boris"))
    failed("not_found", "shop.example", 1, foreign)
    assert olga.post(reverse(f"web:{name}", args=[foreign.id])).status_code == 404
    foreign.refresh_from_db()
    assert (foreign.status, foreign.failed_images) == (RequestStatus.PROCESSING, 1)
    assert ProcessingRequest.objects.kept().filter(id=foreign.id).exists()


def test_pictures_and_failures_of_another_are_not_there(olga: Client) -> None:
    foreign = done(1, owner=build.owner("boris"))
    image = foreign.images.get()
    assert olga.get(f"/requests/{foreign.id}/pictures/{image.id}/").status_code == 404
    assert olga.get(f"/requests/{foreign.id}/failures/not_found/").status_code == 404
    mine = done(1)  # nor under a request of one's own
    assert olga.get(f"/requests/{mine.id}/pictures/{image.id}/").status_code == 404


def test_the_list_and_the_first_page_show_ones_own(olga: Client) -> None:
    done(file_name="mine.csv")
    done(file_name="foreign.csv", owner=build.owner("boris"))
    for path in ("/", "/requests/"):
        html = olga.get(path).content.decode()
        assert ("mine.csv" in html, "foreign.csv" in html) == (True, False)


def test_an_ended_session_moves_the_whole_page(client: Client) -> None:
    answer = client.get(f"/requests/{uuid4()}/progress/", headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/sign-in/?next=%2Frequests%2F%3Fq%3Da"


def test_on_a_laptop_everyone_is_the_user_local(client: Client, settings: Settings) -> None:
    settings.API_ANONYMOUS = True
    mine = done(owner=build.owner("local"))
    assert client.get(f"/requests/{mine.id}/").status_code == 200
    assert client.get(f"/requests/{done().id}/").status_code == 404


def test_forms_of_other_sites_are_refused(settings: Settings) -> None:
    settings.API_ANONYMOUS = True
    answer = Client(enforce_csrf_checks=True).post("/sample/")
    assert answer.status_code == 403
    assert "This page has expired" in answer.content.decode()


# --- What it costs --------------------------------------------------------------------------------
def test_a_page_costs_the_same_however_much_there_is(
    olga: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Session, user, request, limited hosts, pause, workers, pictures; reasons and failures where
    images failed. A list: session, user, teams, requests."""
    for images in (3, 80):
        made = done(images)
        failed_of = build.request(images)
        for place in range(images // 2):
            failed("not_found", f"{place}.example", 1, failed_of)
        with django_assert_num_queries(8):
            olga.get(f"/requests/{made.id}/")
        with django_assert_num_queries(10):
            olga.get(f"/requests/{failed_of.id}/")
        with django_assert_num_queries(4):
            olga.get("/requests/")


def test_the_gallery_turns_its_pages_and_searches(olga: Client) -> None:
    made = done(60)
    path = f"/requests/{made.id}/pictures/"
    serials = [f"P{number:03}" for number in range(1, 61)]
    first = olga.get(path).content.decode()
    assert names(first) == serials[:24]
    assert "60 images, page 1 of 3" in first
    assert "Previous" not in first
    assert names(olga.get(f"{path}?page=2").content.decode()) == serials[24:48]
    last = olga.get(f"{path}?page=3").content.decode()
    assert names(last) == serials[48:]
    assert ">Next<" not in last
    assert names(olga.get(f"/requests/{made.id}/?page=2").content.decode())[:1] == serials[24:25]
    assert names(olga.get(f"{path}?search=p05").content.decode()) == serials[49:59]
    assert "No pictures match." in olga.get(f"{path}?search=hat").content.decode()
    assert "No pictures match." in olga.get(f"{path}?state=FAILED").content.decode()
    paged = olga.get(f"{path}?search=shoe").content.decode()
    assert "?search=shoe&amp;page=2" in paged
    assert olga.get(f"{path}?page=nonsense").status_code == 404


def test_a_picture_knows_its_neighbours(olga: Client) -> None:
    made = done(3)
    ids = list(made.images.order_by("id").values_list("id", flat=True))
    html = olga.get(f"/requests/{made.id}/pictures/{ids[1]}/", headers=HTMX).content.decode()
    assert f'rel="prev" id="picture-previous" href="/requests/{made.id}/pictures/{ids[0]}/"' in html
    assert f'rel="next" id="picture-next" href="/requests/{made.id}/pictures/{ids[2]}/"' in html
    assert "data-zoom" in html


def test_the_list_turns_pages_and_searches(olga: Client) -> None:
    made = [done(1, file_name=f"spring-{number}.csv") for number in range(25)]
    build.request(1, file_name="autumn.csv")
    first = olga.get("/requests/?q=SPRING").content.decode()
    assert first.count("<tr>") == 21
    assert f"before={made[5].id}" in first
    rest = olga.get(f"/requests/?q=spring&before={made[5].id}").content.decode()
    assert [f"spring-{number}.csv" in rest for number in range(6)] == [True] * 5 + [False]
    part = olga.get("/requests/?state=PROCESSING&q=autumn", headers=HTMX).content.decode()
    assert "autumn.csv" in part
    assert "<html" not in part
    assert "No requests match" in olga.get("/requests/?q=winter").content.decode()
    assert "No requests match" in olga.get("/requests/?state=FAILED").content.decode()


# --- What it says and does ------------------------------------------------------------------------
def test_the_live_part_says_what_else_has_changed(olga: Client) -> None:
    running = build.request(4)
    path = f"/requests/{running.id}/progress/"
    same = olga.get(f"{path}?outcome=PROCESSING-0&done=0")
    assert "HX-Trigger-After-Swap" not in same.headers
    assert "hx-trigger" in same.content.decode()
    failed("not_found", "shop.example", 1, running)
    changed = olga.get(f"{path}?outcome=PROCESSING-0&done=0")
    assert changed.headers["HX-Trigger-After-Swap"] == '{"outcome-changed": {}}'
    ProcessingRequest.objects.cancel(running.id)
    final = olga.get(f"{path}?outcome=PROCESSING-1&done=0")
    assert "hx-trigger" not in final.content.decode()  # nothing is polled any more
    assert final.headers["HX-Trigger-After-Swap"] == '{"outcome-changed": {}}'


def test_failures_are_grouped_by_reason_and_host(olga: Client) -> None:
    running = build.request(20)
    for code, host, images in [
        *(("not_found", "a.example", 2), ("not_found", "b.example", 3)),
        ("too_large", "a.example", 1),
    ]:
        failed(code, host, images, running)
    html = olga.get(f"/requests/{running.id}/outcome/").content.decode()
    order = ["no such image", "b.example", "a.example", "larger than the limit", "a.example"]
    places, at = [], 0
    for text in order:
        at = html.index(text, at + 1)
        places.append(at)
    assert places == sorted(places)
    assert "Retry all 6" in html


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({}, 0),
        ({"code": "not_found"}, 1),
        ({"code": "not_found", "host": "a.example"}, 4),
    ],
)
def test_retry_takes_what_was_chosen(olga: Client, chosen: dict[str, str], left: int) -> None:
    running = build.request(6)
    failed("not_found", "a.example", 2, running)
    failed("not_found", "b.example", 3, running)
    failed("too_large", "a.example", 1, running)
    answer = olga.post(f"/requests/{running.id}/retry/", chosen, follow=True)
    assert running.images.filter(status=ImageStatus.FAILED).count() == left
    assert f"Retrying {6 - left} images." in answer.content.decode()


def test_cancel_and_delete_ask_and_then_do(olga: Client) -> None:
    running = build.request(2)
    assert "Cancel products.csv?" in olga.get(f"/requests/{running.id}/cancel/").content.decode()
    olga.post(f"/requests/{running.id}/cancel/")
    running.refresh_from_db()
    assert running.status == RequestStatus.CANCELLED
    assert "Delete products.csv?" in olga.get(f"/requests/{running.id}/delete/").content.decode()
    olga.post(f"/requests/{running.id}/delete/")
    assert not ProcessingRequest.objects.kept().filter(id=running.id).exists()


def test_a_dry_run_stores_nothing(olga: Client) -> None:
    file = SimpleUploadedFile("shoes.csv", CSV.format("https://shop.example/1.jpg").encode())
    html = olga.post("/inspect/", {"file": file}, headers=HTMX).content.decode()
    assert "shoes.csv looks good" in html
    assert "<html" not in html
    assert not ProcessingRequest.objects.exists()


def test_without_scripts_an_upload_works_all_the_same(olga: Client) -> None:
    wrong = SimpleUploadedFile("shoes.csv", CSV.format("nonsense").encode())
    refused = olga.post("/", {"file": wrong})
    assert refused.status_code == 400
    assert "1 error to fix" in refused.content.decode()
    assert olga.post("/", {}).status_code == 400
    right = SimpleUploadedFile("shoes.csv", CSV.format("https://shop.example/1.jpg").encode())
    answer = olga.post("/", {"file": right, "format": "webp", "priority": "high"})
    made = ProcessingRequest.objects.get()
    assert answer.headers["Location"] == f"/requests/{made.id}/"
    assert (made.recipe["format"], made.priority, made.file_name) == ("webp", "high", "shoes.csv")


def test_starting_twice_starts_once(olga: Client) -> None:
    for _ in range(2):
        file = SimpleUploadedFile("shoes.csv", CSV.format("https://shop.example/1.jpg").encode())
        olga.post("/", {"file": file, "idempotency_key": "one click"})
    assert ProcessingRequest.objects.count() == 1


def test_keys_are_made_shown_once_and_revoked(olga: Client) -> None:
    html = olga.post("/keys/", {"name": "CI", "scopes": ["read"]}).content.decode()
    key = ApiKey.objects.get()
    secret = html.split('id="secret">')[1].split("<")[0]
    assert ApiKey.objects.find(secret) == key
    assert (key.scopes, key.owner) == (["read"], build.owner())
    assert secret not in olga.get("/keys/").content.decode()
    assert key.prefix in olga.get("/keys/").content.decode()
    assert olga.post("/keys/", {"name": "", "scopes": ["all"]}).status_code == 400
    foreign, _ = ApiKey.objects.issue(owner_id=build.owner("boris").id, name="his")
    assert olga.post(f"/keys/{foreign.id}/revoke/").status_code == 404
    olga.post(f"/keys/{key.id}/revoke/")
    assert ApiKey.objects.find(secret) is None
    assert ApiKey.objects.usable().get() == foreign


def test_the_webhook_secret_is_shown_and_replaced(olga: Client) -> None:
    shown = olga.post("/keys/webhook-secret/").content.decode()
    current = WebhookSecret.objects.current(build.owner().id).secret
    assert current in shown
    replaced = olga.post("/keys/webhook-secret/", {"rotate": "yes"}).content.decode()
    assert current not in replaced
    assert WebhookSecret.objects.current(build.owner().id).secret in replaced


def test_the_sample_is_offered_where_the_workers_may_fetch_it(
    olga: Client, settings: Settings
) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert "try it with the sample" not in olga.get("/").content.decode()
    refused = olga.post("/sample/", follow=True).content.decode()
    assert refused.count("The sample cannot be tried here: the workers may not fetch") == 2
    settings.OUTBOUND_ALLOW_CIDRS, settings.OUTBOUND_ALLOW_PORTS = ["127.0.0.1/32"], [80, 8000]
    assert "try it with the sample" in olga.get("/").content.decode()
    olga.post("/sample/")
    made = ProcessingRequest.objects.get()
    assert (made.file_name, made.total_images, made.store_originals) == ("sample.csv", 14, True)
    operations.pause(Switch.INTAKE)
    paused = olga.post("/sample/", follow=True).content.decode()
    assert "<li>Uploads are paused by the operator. Try again later.</li>" in paused


def test_the_sample_names_its_pictures_as_production_serves_them(
    olga: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    links = re.findall("http.*", olga.get("/sample.csv").content.decode())
    assert len(links) == 14
    missing = [link for link in links if not (tmp_path / link.partition("/static/")[2]).exists()]
    assert missing == ["http://testserver/static/sample/gone.jpg"]


def test_a_result_is_compared_with_its_source_on_demand_only(olga: Client) -> None:
    made = done(1)
    image = made.images.get()
    path = f"/requests/{made.id}/pictures/{image.id}/"
    source = f'src="{image.input_url}" data-source referrerpolicy="no-referrer"'
    quiet = olga.get(path)
    assert source not in quiet.content.decode()
    assert "http:" not in quiet["Content-Security-Policy"]
    assert f'href="{path}?source=yes"' in quiet.content.decode()
    asked = olga.get(f"{path}?source=yes")
    assert source in asked.content.decode()
    assert "img-src 'self' https: http:" in asked["Content-Security-Policy"]
    dialog = olga.get(f"{path}?source=yes", headers={"HX-Request": "true"})
    assert source not in dialog.content.decode()
    made.images.update(original_key="x/original.jpg")
    assert "compare-source" not in olga.get(path).content.decode()


def test_the_size_of_originals_is_said_before(olga: Client) -> None:
    def inspected() -> str:
        file = SimpleUploadedFile("shoes.csv", CSV.format("http://8.8.8.8/1.jpg").encode())
        return olga.post("/inspect/", {"file": file}, headers=HTMX).content.decode()

    assert "Keeping them would take" not in inspected()
    request = build.request(owner=build.owner(), total_images=2)
    ProcessingRequest.objects.filter(id=request.id).update(completed_images=2, bytes_in=3_000_000)
    assert "Keeping them would take about 1.5\u00a0MB" in inspected()


# --- Errors ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("debug", [True, False])
def test_what_is_not_there_looks_like_the_rest(
    olga: Client, settings: Settings, debug: bool
) -> None:
    settings.DEBUG = debug
    answer = olga.get("/nowhere/")
    assert answer.status_code == 404
    assert "Page not found" in answer.content.decode()
    assert 'class="top"' in answer.content.decode()


def test_what_breaks_looks_like_the_rest(olga: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(operations, "cancel", broken)
    olga.raise_request_exception = False
    answer = olga.post(f"/requests/{build.request().id}/cancel/")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.content.decode()
    assert "secret detail" not in answer.content.decode()


def test_every_asset_is_found_under_its_hashed_name(
    olga: Client, settings: Settings, tmp_path: Any
) -> None:
    """As in production: a page that names a missing file would be a 500 there."""
    settings.STATIC_ROOT = tmp_path
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    made = done()
    picture = f"/requests/{made.id}/pictures/{made.images.first().id}/"  # type: ignore[union-attr]
    for path in ("/", "/requests/", f"/requests/{made.id}/", picture, "/keys/", "/sign-in/"):
        answer = olga.get(path, follow=True)
        assert answer.status_code == 200
    assert (tmp_path / "web").is_dir()


def test_the_policy_allows_nothing_inline(olga: Client) -> None:
    policy = olga.get("/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_saved_columns_are_listed_changed_and_deleted(olga: Client) -> None:
    header = ["Code", "Label", "Front", "Back"]
    columns.save(build.owner("olga").pk, header, Choice(("Front",), "Code", "Label"))
    columns.save(build.owner("petra").pk, ["Hers"], Choice(("Hers",)))
    mine, hers = ColumnMapping.objects.order_by("id")
    page = olga.get(reverse("web:mappings")).content.decode()
    assert "Front" in page
    assert "Hers" not in page
    address = reverse("web:mapping", args=[mine.id])
    assert '<option value="images" selected>' in olga.get(address).content.decode()
    assert olga.post(address, {"role-1": "name"}).status_code == 200  # no column of images
    assert olga.post(address, {"role-2": "images", "role-3": "images"}).status_code == 302
    mine.refresh_from_db()
    assert (mine.images, mine.serial, mine.name) == (["Front", "Back"], "", "")
    for one in (mine, hers):
        olga.post(reverse("web:delete-mapping", args=[one.id]))
    assert olga.get(reverse("web:mapping", args=[hers.id])).status_code == 404
    assert list(ColumnMapping.objects.all()) == [hers]
