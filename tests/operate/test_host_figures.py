"""What operators see of hosts with a limit: their list, their pages, the metrics."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from imageproc import metrics
from imageproc.faults import CONNECT_FAILED, HOST_BUSY
from imageproc.images import hosts
from imageproc.images.claim import claim
from imageproc.images.outcome import Deferred
from imageproc.images.watch import watch
from imageproc.models import Host
from imageproc.requests import report
from imageproc.requests.report import gauges
from tests.support import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def limited() -> Host:
    """A host that is closed for a minute, 3 images wait for it; and others without a limit."""
    of = build.request(images=3)
    build.image(of, 4, host="other.example")
    build.request(images=2, status="CANCELLED", completed_at=Now())
    until = Now() + timedelta(minutes=1)
    return Host.objects.create(name="shop.example", pace=2.5, probing=True, closed_until=until)


def test_the_admin_tells_what_waits_for_a_host(limited: Host) -> None:
    User.objects.create_superuser("root", password="x")
    client = Client()
    client.force_login(User.objects.get(username="root"))
    listed = client.get(reverse("admin:imageproc_host_changelist"))
    [row] = listed.context["cl"].result_list
    assert (row.name, row.waiting) == ("shop.example", 3)
    page = client.get(reverse("admin:imageproc_host_change", args=["shop.example"]))
    assert page.context["original"].waiting == 3
    assert "2.5" in page.content.decode()


def test_images_that_wait_are_a_gauge(limited: Host) -> None:
    def value(name: str, **labels: str) -> float:
        families = {family.name: family for family in gauges.ServiceState().collect()}
        samples = families[name].samples
        return next(sample.value for sample in samples if sample.labels == labels)

    assert value("imageproc_host_waiting_images") == 3
    assert value("imageproc_hosts", state="busy") == 1
    assert value("imageproc_hosts", state="paced") == 1
    Host.objects.all().delete()
    assert value("imageproc_host_waiting_images") == 0


def test_of_many_images_the_number_that_waits_is_an_estimate(
    limited: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imageproc.requests.report.hosts.SAMPLE", 2)
    assert report.waiting_images()["shop.example"] in (2, 3, 4)


def test_each_pause_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[tuple[str, float]] = []
    monkeypatch.setattr(metrics, "paused", lambda *pause: paused.append(pause))
    build.request(images=3)
    first, echo, _ = claim()
    fault = HOST_BUSY.because("HTTP 429", retry_after=9.0)
    hosts.heed([Deferred(first, fault), Deferred(echo, fault)])
    assert paused == [("busy", 9.0)]
    Host.objects.all().delete()
    watch.refresh()
    hosts.heed([Deferred(first, CONNECT_FAILED)])
    assert [reason for reason, _ in paused] == ["busy", "down"]
