"""What browsers are told, and how long passwords may be guessed."""

from __future__ import annotations

import pytest
from django.conf import settings as project
from django.test import Client
from pytest_django import Settings

from tests.support import build

pytestmark = pytest.mark.django_db


def policy(path: str) -> dict[str, str]:
    header = Client().get(path)["Content-Security-Policy"]
    parts = (directive.strip().partition(" ") for directive in header.split(";"))
    return {name: sources for name, _, sources in parts}


@pytest.mark.parametrize("path", ["/", "/sign-in/", "/api/nothing", "/healthz", "/nothing"])
def test_nothing_but_our_own_runs_in_a_page(path: str) -> None:
    found = policy(path)
    assert found["default-src"] == "'self'"
    assert (found["object-src"], found["base-uri"]) == ("'none'", "'none'")
    assert (found["frame-ancestors"], found["form-action"]) == ("'none'", "'self'")
    assert "unsafe" not in str(found)


@pytest.mark.parametrize("path", ["/admin/login/", "/api/docs"])
def test_pages_that_others_wrote_run_no_inline_script_either(path: str) -> None:
    found = policy(path)
    assert "unsafe-inline" not in found.get("script-src", found["default-src"])
    assert found["frame-ancestors"] == "'none'"


def test_the_usual_headers() -> None:
    answer = Client().get("/sign-in/")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"


def test_plain_http_is_sent_to_https_but_for_probes(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 31_536_000
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert Client().get("/sign-in/")["Location"].startswith("https://")
    assert Client().get("/healthz").status_code == 200
    secure = Client(headers={"X-Forwarded-Proto": "https"}).get("/sign-in/")
    assert secure.status_code == 200
    assert secure["Strict-Transport-Security"].startswith("max-age=31536000")


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_guessing_a_password_ends(path: str, settings: Settings) -> None:
    settings.NUM_PROXIES = 1
    user = build.owner("root")
    user.is_staff = user.is_superuser = True
    user.set_password("right-horse")
    user.save()

    def sign_in(password: str, forged: int, real: str = "198.51.100.7") -> int:
        chain = {"X-Forwarded-For": f"9.9.9.{forged}, {real}"}
        form = {"username": "root", "password": password}
        return Client(headers=chain).post(path, form).status_code

    assert project.AXES_FAILURE_LIMIT == 10
    wrong = [sign_in(f"wrong-{n}", n) for n in range(11)]
    assert wrong == [200] * 9 + [429] * 2
    assert sign_in("right-horse", 99) == 429
    assert sign_in("right-horse", 99, real="198.51.100.8") == 302
