"""The admin: every page opens, lists cost the same at any size, actions ask, do and are logged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from imageproc.faults import HOST_BUSY, NOT_FOUND
from imageproc.images import claim, record
from imageproc.images.outcome import Failed, Outcome
from imageproc.models import (
    ApiKey,
    ClusterHeartbeat,
    MinuteTally,
    ProcessingRequest,
    ProductImage,
    Switch,
    WebhookAttempt,
    WebhookDelivery,
)
from tests.support import build

pytestmark = pytest.mark.django_db
OURS = ("processingrequest", "product", "productimage", "webhookdelivery", "apikey", "switch")


def person(name: str, *permissions: str, staff: bool = True) -> Client:
    user = User.objects.create_user(name, is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def operator() -> Client:
    views = [f"view_{model}" for model in (*OURS, "clusterheartbeat")]
    return person("oscar", "operate", "add_apikey", *views)


@pytest.fixture
def viewer() -> Client:
    return person("vera", *[f"view_{model}" for model in OURS])


@pytest.fixture
def failed() -> ProcessingRequest:
    """Three images: one done, one gone, one that found its host busy too often."""
    request = build.request(3)
    jobs = claim.claim(50)
    ProductImage.objects.filter(id=jobs[2].image_id).update(fetch_failures=99)
    outcomes: list[Outcome] = [
        build.done(jobs[0]),
        Failed(jobs[1], NOT_FOUND),
        Failed(jobs[2], HOST_BUSY),
    ]
    record.record(outcomes)
    return request


def delivery(of: ProcessingRequest, **fields: Any) -> WebhookDelivery:
    fields = {"event": "request.completed", "url": "https://shop.example/hook?key=1"} | fields
    made = WebhookDelivery.objects.create(request=of, body="{}", **fields)
    WebhookAttempt.objects.create(delivery=made, number=1, status_code=500, answer="no")
    return made


def changelist(model: str) -> str:
    return reverse(f"admin:imageproc_{model}_changelist")


def act(client: Client, model: str, name: str, *pks: Any, **answers: str) -> Any:
    data = {"action": name, "_selected_action": [str(pk) for pk in pks], **answers}
    return client.post(changelist(model), data)


def press(client: Client, model: str, pk: Any, name: str, **answers: str) -> Any:
    return client.post(reverse(f"admin:imageproc_{model}_{name}", args=[pk]), answers)


class TestPages:
    def test_every_list_and_page_opens(self, operator: Client, failed: ProcessingRequest) -> None:
        delivery(failed)
        ApiKey.objects.issue(owner_id=failed.owner_id, name="shop")
        for model in (*OURS, "clusterheartbeat"):
            assert operator.get(changelist(model)).status_code == 200, model
        for row in (
            failed,
            *ProductImage.objects.all(),
            failed.products.get(row_number=1),
            WebhookDelivery.objects.get(),
            ApiKey.objects.get(),
            Switch.objects.get(name="intake"),
        ):
            page = reverse(f"admin:imageproc_{row._meta.model_name}_change", args=[row.pk])
            assert operator.get(page).status_code == 200, page

    def test_the_queue_tables_and_accounts_open(self) -> None:
        root = Client()
        root.force_login(User.objects.create_superuser("root"))
        for model, model_admin in admin.site._registry.items():
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
            assert root.get(reverse(name)).status_code == 200, name
            assert model_admin
        queue = {model._meta.model_name for model in admin.site._registry}
        assert {"ormq", "failure"} <= queue

    def test_an_image_shows_before_after_and_its_attempts(
        self, operator: Client, failed: ProcessingRequest
    ) -> None:
        done, gone, _ = ProductImage.objects.order_by("id")
        page = operator.get(reverse("admin:imageproc_productimage_change", args=[done.pk]))
        assert f'href="{done.input_url}" rel="noreferrer"' in page.content.decode()
        assert f'src="{done.input_url}"' not in page.content.decode()
        assert f"/api/images/{done.picture_id}/" in page.content.decode()
        page = operator.get(reverse("admin:imageproc_productimage_change", args=[gone.pk]))
        assert "<td class='px-3'>not_found</td>" in page.content.decode()

    def test_the_dashboard_tells_how_it_is(
        self, operator: Client, failed: ProcessingRequest
    ) -> None:
        build.request(4, priority="high")
        ClusterHeartbeat.objects.beat(name="images", host="a", pid=1, workers=7)
        delivery(failed, status="FAILED", finished_at=timezone.now())
        page = operator.get(reverse("admin:index"))
        figures = {f["title"]: (f["value"], f["note"]) for f in page.context["figures"]}
        assert figures["Images waiting"] == ("4", "4 high, 0 normal, 0 low")
        assert figures["Errors"] == ("66.7%", "2 in the last hour")
        assert figures["Workers alive"] == ("7", "plus 0 for control tasks")
        assert figures["Failed webhooks"][0] == "1"
        assert figures["Stored"][0] == "500\xa0bytes"
        host, images, _ = page.context["hosts"]["rows"][0]
        assert (host, ">2</a>" in images) == ("shop.example", True)
        rows = page.context["reasons"]["rows"]
        assert [(">1</a>" in row[1], row[2]) for row in rows] == [(True, "33.3%")] * 2
        assert [s["verb"] for s in page.context["switches"]] == ["Pause", "Pause"]
        assert '"data": [0.0' in page.context["images_chart"]

    def test_strangers_see_nothing(self, failed: ProcessingRequest) -> None:
        for client in (Client(), person("sam", staff=False)):
            for page in (reverse("admin:index"), changelist("productimage")):
                assert client.get(page).status_code == 302


class TestSize:
    """What a list costs must not grow with the table."""

    @pytest.fixture
    def queries(self) -> Iterator[CaptureQueriesContext]:
        with CaptureQueriesContext(connection) as captured:
            yield captured

    @pytest.mark.parametrize("model", ["processingrequest", "product", "productimage"])
    def test_the_same_queries_for_two_rows_and_for_two_hundred(
        self, operator: Client, model: str
    ) -> None:
        counts = []
        for _ in range(2):
            build.request(60)
            build.request(60)
            with CaptureQueriesContext(connection) as captured:
                assert operator.get(changelist(model)).status_code == 200
            counts.append(len(captured))
        assert counts[0] == counts[1] <= 12

    @pytest.mark.parametrize("model", ["product", "productimage"])
    def test_nothing_is_counted_to_the_end(
        self, operator: Client, model: str, queries: CaptureQueriesContext
    ) -> None:
        request = build.request(60)
        ProductImage.objects.update(status="FAILED", error_code="not_found")
        paths = ["", f"?request__id__exact={request.pk}", f"?q={request.pk}", "?all="]
        if model == "productimage":
            paths.append("?state=FAILED")
        for path in paths:
            assert operator.get(changelist(model) + path).status_code == 200
        table = f'FROM "imageproc_{model}"'
        counting = [q["sql"] for q in queries if "COUNT(" in q["sql"] and table in q["sql"]]
        assert counting
        assert all("LIMIT 10000" in sql for sql in counting)
        listing = [q["sql"] for q in queries if table in q["sql"] and "COUNT(" not in q["sql"]]
        assert [sql for sql in listing if "LIMIT" not in sql and '."id" =' not in sql] == []

    def test_no_click_sorts_the_table(self, operator: Client) -> None:
        build.request(2)
        page = operator.get(changelist("productimage"))
        assert 'href="?o=' not in page.content.decode()

    @pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the planner of PostgreSQL")
    @pytest.mark.parametrize("path", ["", "?state=FAILED", "?state=PROCESSING"])
    def test_the_planner_reads_an_index(
        self, operator: Client, queries: CaptureQueriesContext, path: str
    ) -> None:
        build.request(30)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        operator.get(changelist("productimage") + path)
        sql = [
            q["sql"]
            for q in queries.captured_queries
            if 'FROM "imageproc_productimage"' in q["sql"] and q["sql"].startswith("SELECT")
        ]
        for statement in sql:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + statement)
                plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on imageproc_productimage" not in plan


class TestActions:
    def test_it_asks_before_it_acts(self, operator: Client, failed: ProcessingRequest) -> None:
        page = press(operator, "processingrequest", failed.pk, "retry_failed")
        assert page.status_code == 200
        assert "The failed images are processed again" in page.content.decode()
        assert "The host says that there is no such image. (1)" in page.content.decode()
        assert sorted(build.statuses(failed)) == ["COMPLETED", "FAILED", "FAILED"]
        assert not LogEntry.objects.exists()

    def test_retry_of_one_request(self, operator: Client, failed: ProcessingRequest) -> None:
        answer = press(operator, "processingrequest", failed.pk, "retry_failed", confirmed="yes")
        assert answer.status_code == 302
        assert sorted(build.statuses(failed)) == ["COMPLETED", "PENDING", "PENDING"]
        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.user.username) == (str(failed.pk), "oscar")
        assert entry.change_message == "Retry failed images: 2"

    def test_retry_by_reason(self, operator: Client, failed: ProcessingRequest) -> None:
        answers = {"confirmed": "yes", "code": "host_busy"}
        press(operator, "processingrequest", failed.pk, "retry_failed", **answers)
        assert build.statuses(failed) == ["COMPLETED", "FAILED", "PENDING"]
        assert LogEntry.objects.get().change_message == "Retry failed images: 1 (code host_busy)"

    def test_retry_of_many_requests(self, operator: Client, failed: ProcessingRequest) -> None:
        other = build.request(1)
        (job,) = claim.claim(50)
        record.record([Failed(job, NOT_FOUND)])
        asked = act(operator, "processingrequest", "retry_failed_chosen", failed.pk, other.pk)
        assert asked.status_code == 200
        assert f'value="{other.pk}"' in asked.content.decode()
        pks = (failed.pk, other.pk)
        act(operator, "processingrequest", "retry_failed_chosen", *pks, confirmed="yes")
        assert build.statuses(other) == ["PENDING"]
        assert LogEntry.objects.count() == 2

    def test_retry_of_images_that_a_filter_leaves(
        self, operator: Client, failed: ProcessingRequest
    ) -> None:
        path = changelist("productimage") + f"?request__id__exact={failed.pk}&state=FAILED"
        first = str(ProductImage.objects.filter(status="FAILED").first().pk)  # type: ignore[union-attr]
        data = {"action": "retry_failed_chosen", "_selected_action": first, "select_across": "1"}
        assert 'name="select_across" value="1"' in operator.post(path, data).content.decode()
        operator.post(path, {**data, "confirmed": "yes"})
        assert sorted(build.statuses(failed)) == ["COMPLETED", "PENDING", "PENDING"]

    def test_one_image_again(self, operator: Client, failed: ProcessingRequest) -> None:
        done = ProductImage.objects.get(status="COMPLETED")
        press(operator, "productimage", done.pk, "rerun", confirmed="yes")
        done.refresh_from_db()
        assert done.status == "PENDING"

    def test_priority_cancel_and_remove(self, operator: Client) -> None:
        request = build.request(1)
        answers = {"confirmed": "yes", "priority": "high"}
        press(operator, "processingrequest", request.pk, "set_priority", **answers)
        request.refresh_from_db()
        assert request.priority == "high"
        press(
            operator, "processingrequest", request.pk, "set_priority", confirmed="yes", priority="x"
        )
        press(operator, "processingrequest", request.pk, "cancel", confirmed="yes")
        request.refresh_from_db()
        assert (request.status, request.priority) == ("CANCELLED", "high")
        press(operator, "processingrequest", request.pk, "remove", confirmed="yes")
        request.refresh_from_db()
        assert request.removed_at is not None
        assert LogEntry.objects.count() == 3

    def test_a_webhook_again(self, operator: Client, failed: ProcessingRequest) -> None:
        lost = delivery(failed, status="FAILED", finished_at=timezone.now(), attempts=9)
        press(operator, "webhookdelivery", lost.pk, "redeliver", confirmed="yes")
        lost.refresh_from_db()
        assert (lost.status, lost.attempts) == ("PENDING", 0)

    def test_pause_and_resume(self, operator: Client) -> None:
        press(operator, "switch", "workers", "pause", confirmed="yes")
        assert Switch.objects.is_paused("workers")
        assert not Switch.objects.is_paused("intake")
        press(operator, "switch", "workers", "resume", confirmed="yes")
        assert not Switch.objects.is_paused("workers")
        said = LogEntry.objects.order_by("id").values_list("change_message", flat=True)
        assert list(said) == ["Pause: 1", "Resume: 1"]

    def test_a_key_is_shown_once_and_revoked(self, operator: Client) -> None:
        owner = build.owner()
        data = {"owner": owner.username, "name": "shop", "scopes": ["read"]}
        page = operator.post(reverse("admin:imageproc_apikey_add"), data, follow=True)
        (told,) = [str(m) for m in page.context["messages"] if "copy it now" in str(m)]
        secret = told.split()[3]
        key = ApiKey.objects.find(secret)
        assert key is not None
        assert (key.name, key.scopes, key.owner) == ("shop", ["read"], owner)
        assert secret not in operator.get(changelist("apikey")).content.decode()
        press(operator, "apikey", key.pk, "revoke", confirmed="yes")
        assert ApiKey.objects.find(secret) is None

    def test_what_the_state_forbids_is_told_and_not_logged(self, operator: Client) -> None:
        request = build.request(1)
        press(operator, "processingrequest", request.pk, "retry_failed", confirmed="yes")
        page = operator.get(changelist("processingrequest"))
        assert "1 skipped" in page.content.decode()
        assert not LogEntry.objects.exists()

    @pytest.mark.parametrize("name", ["retry_failed", "set_priority", "cancel", "remove"])
    def test_a_viewer_may_not_act(self, viewer: Client, name: str) -> None:
        request = build.request(1)
        assert viewer.get(changelist("processingrequest")).status_code == 200
        answer = press(viewer, "processingrequest", request.pk, name, confirmed="yes")
        assert answer.status_code == 403
        act(viewer, "processingrequest", f"{name}_chosen", request.pk, confirmed="yes")
        request.refresh_from_db()
        assert (request.status, request.removed_at) == ("PROCESSING", None)

    def test_nothing_is_edited_by_hand(self, operator: Client, failed: ProcessingRequest) -> None:
        page = reverse("admin:imageproc_processingrequest_change", args=[failed.pk])
        assert operator.post(page, {"file_name": "x"}).status_code == 403
        assert operator.get(page.replace("change", "delete")).status_code == 403

    def test_a_page_that_is_not_there(self, operator: Client) -> None:
        answer = press(operator, "processingrequest", uuid4(), "cancel", confirmed="yes")
        assert answer.status_code == 302


def test_search_by_id_name_and_user(operator: Client) -> None:
    first = build.request(1, file_name="shoes.csv")
    build.request(1, file_name="hats.csv", owner=build.owner("hanna"))

    def found(term: str) -> list[str]:
        page = operator.get(changelist("processingrequest"), {"q": term})
        return sorted(row.file_name for row in page.context["cl"].result_list)

    assert found(str(first.pk)) == ["shoes.csv"]
    assert found("hat") == ["hats.csv"]
    assert found("hanna") == ["hats.csv"]
    assert found("nothing") == []


def test_the_series_has_every_step() -> None:
    from imageproc.requests.report import fleet

    now = timezone.now()
    for minutes, code, images in ((1, "", 5), (1, "not_found", 2), (60 * 23, "", 7)):
        at = (now - timedelta(minutes=minutes)).replace(second=0, microsecond=0)
        MinuteTally.objects.create(minute=at, code=code, images=images, bytes_in=10, bytes_out=1)
    points = fleet.series()
    assert len(points) == 96
    assert [sum(p.completed for p in points), sum(p.failed for p in points)] == [12, 2]
    assert {(b.at - a.at) for a, b in pairwise(points)} == {timedelta(minutes=15)}
    assert fleet.rate(hours=1) == fleet.Rate(5, 2, 7 / 3600)
