"""What an operator and a newcomer see first: the doctor, the links, the admin's lists."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from imageproc.faults import PORT_FORBIDDEN
from imageproc.images.fetch import Policy, check
from imageproc.models import ClusterHeartbeat, FailureTally, ImageStatus, ProcessingRequest, Switch
from imageproc.requests import operations
from imageproc.sheet.urls import LOCAL_FILE, check_url
from imageproc.web import sample
from tests.support import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="a long one"))
    return client


def doctor() -> tuple[int, str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=out)
    return int(ended.value.code or 0), out.getvalue()


def test_the_doctor_names_what_is_bad_and_what_to_do(settings: Settings) -> None:
    settings.API_ANONYMOUS = False
    code, text = doctor()
    assert code == 1
    assert "BAD      workers      none alive for images" in text
    assert "Start manage.py worker" in text
    for name in ("images", "control"):
        ClusterHeartbeat.objects.create(name=name, host="a", pid=1, workers=2)
    operations.pause(Switch.INTAKE)
    code, text = doctor()
    assert (code, text.count("BAD")) == (0, 0), text
    assert "warning  workers      uploads are paused" in text
    for name in ("database", "clock", "storage", "queue", "Redis", "disk", "permissions"):
        assert f" {name} " in text


def test_a_sick_part_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("bucket gone")

    monkeypatch.setattr("imageproc.health.check_storage", broken)
    code, text = doctor()
    assert code == 1
    assert "BAD      storage      bucket gone" in text
    assert " permissions " in text


def test_the_sample_of_the_first_curl_is_the_sample() -> None:
    text = Path("sample.csv").read_bytes()
    assert text == sample.sheet("http://127.0.0.1:8000/static/sample")


def test_what_one_looks_for_is_linked(root: Client) -> None:
    html = root.get("/").content.decode()
    for path in ("/api/docs", "/admin/", "/password/"):
        assert f'href="{path}"' in html
    root.logout()
    assert "createsuperuser" in root.get("/sign-in/").content.decode()


def test_a_password_is_changed(root: Client) -> None:
    new = {"new_password1": "another long one", "new_password2": "another long one"}
    assert root.post("/password/", {"old_password": "wrong", **new}).status_code == 200
    answer = root.post("/password/", {"old_password": "a long one", **new}, follow=True)
    assert "Your password is changed." in answer.content.decode()
    assert User.objects.get(username="root").check_password("another long one")


@pytest.mark.parametrize(
    "path", ["C:\\Pictures\\a.jpg", "\\\\server\\a.jpg", "file:///a.jpg", "/Users/me/My a.jpg"]
)
def test_a_file_of_ones_own_is_told_from_a_link(path: str) -> None:
    assert check_url(path) == LOCAL_FILE
    assert LOCAL_FILE.message.startswith("This is a file on your computer")


@pytest.mark.parametrize(
    ("ports", "remedy"),
    [
        ([443, 8443, 80], "Use port 80, 443 or 8443."),
        ([8443], "Use port 8443."),
        ([], PORT_FORBIDDEN.remedy),
    ],
)
def test_the_remedy_names_the_allowed_ports(
    settings: Settings, ports: list[int], remedy: str
) -> None:
    settings.OUTBOUND_ALLOW_PORTS = ports
    fault = check("https://shop.example:99/a.jpg", Policy.from_settings())
    assert fault is not None
    assert (fault.code, fault.remedy) == (PORT_FORBIDDEN.code, remedy)


def some_failures() -> ProcessingRequest:
    made = build.request(3, file_name="spring.csv", owner=build.owner("olga"))
    images = list(made.images.order_by("id"))
    for image, host in zip(images[:2], ("a.example", "b.example"), strict=True):
        made.images.filter(id=image.id).update(
            status=ImageStatus.FAILED, error_code="not_found", host=host
        )
        FailureTally.objects.add(made.id, "not_found", host, 1)
    ProcessingRequest.objects.filter(id=made.id).update(failed_images=2, completed_images=1)
    return made


def listed(client: Client, query: str) -> int:
    html = client.get(f"/admin/imageproc/productimage/?{query}")
    assert html.status_code == 200
    return int(html.context["cl"].result_count)


def test_images_are_found_by_what_people_know(root: Client) -> None:
    made = some_failures()
    build.request(1, file_name="autumn.csv")
    assert listed(root, "error_code=not_found") == 2
    assert listed(root, "host=a.example") == 1
    assert listed(root, "error_code=too_large") == 0
    for query, images in {"q=P002": 1, "q=red+shoe": 4, "q=2.jpg": 1, "q=SPRING": 3}.items():
        assert listed(root, query) == images
    assert listed(root, f"q=shoe&request__id__exact={made.id}") == 3


def test_every_number_of_the_dashboard_leads_to_its_list(root: Client) -> None:
    some_failures()
    page: Any = root.get("/admin/").context
    assert all(figure["href"] for figure in page["figures"])
    assert "error_code" not in str(page["reasons"])  # nothing failed in the last hour
    assert "productimage/?host=a.example" in str(page["hosts"])


def test_a_confirmation_names_files_and_counts(root: Client) -> None:
    made = some_failures()
    data = {"action": "cancel_chosen", "_selected_action": [str(made.id)]}
    html = root.post("/admin/imageproc/processingrequest/", data).content.decode()
    assert "spring.csv of olga: 1 of 3 images done, 2 failed" in html


def test_a_key_is_issued_to_a_user_by_name(root: Client) -> None:
    build.owner("olga")
    path = "/admin/imageproc/apikey/add/"
    assert "operate: retry" in root.get(path).content.decode()
    data = {"owner": "nobody", "name": "Shop", "scopes": ["read"]}
    assert "There is no user of this name." in root.post(path, data).content.decode()
    root.post(path, {**data, "owner": "olga"})
    assert build.owner("olga").api_keys.get().name == "Shop"


def test_explanations_stand_where_they_are_needed(root: Client) -> None:
    for model, words in {
        "switch": "Nothing is lost by a pause",
        "clusterheartbeat": "30 seconds",
    }.items():
        assert words in root.get(f"/admin/imageproc/{model}/").content.decode()
    assert "django_q" not in root.get("/admin/").content.decode()
    assert root.get("/admin/django_q/failure/").status_code == 200
