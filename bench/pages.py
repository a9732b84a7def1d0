"""Times the pages that people look at, with a million rows in the tables."""

from __future__ import annotations

import time
from statistics import quantiles

import requests

from bench.ground import OPERATOR, Ground

# By a program with a key, and by a person who is signed in.
CALLS = {
    "status": "/api/status/{id}",
    "list": "/api/requests",
}
VISITS = {
    "request_page": "/requests/{id}/",
    "dashboard": "/admin/",
    "admin_requests": "/admin/imageproc/processingrequest/",
    "admin_request": "/admin/imageproc/processingrequest/{id}/change/",
    "admin_images": "/admin/imageproc/productimage/",
}
EVERY = (*CALLS, *VISITS)


class Pages:
    """``ask`` by name; ``p95`` returns milliseconds by name, and starts anew."""

    def __init__(self, ground: Ground) -> None:
        self._base = ground.service.address
        self._sessions = {**dict.fromkeys(CALLS, _caller(ground))}
        self._sessions |= dict.fromkeys(VISITS, _operator(ground))
        self._took: dict[str, list[float]] = {}

    def ask(self, request_id: str, *names: str) -> None:
        for name in names:
            address = self._base + (CALLS | VISITS)[name].format(id=request_id)
            started = time.monotonic()
            answer = self._sessions[name].get(address, timeout=60, allow_redirects=False)
            self._took.setdefault(name, []).append((time.monotonic() - started) * 1000)
            assert answer.status_code == 200, f"{name}: {answer.status_code}"

    def p95(self, prefix: str = "") -> dict[str, float]:
        values = {
            f"{prefix}{name}_p95_ms": quantiles(ms, n=20)[-1] for name, ms in self._took.items()
        }
        self._took.clear()
        return values


def _caller(ground: Ground) -> requests.Session:
    session = requests.Session()
    session.headers.update(ground.service.headers)
    return session


def _operator(ground: Ground) -> requests.Session:
    """Signed in to the admin, as a person is."""
    session = requests.Session()
    sign_in = f"{ground.service.address}/admin/login/"
    session.get(sign_in, timeout=30).raise_for_status()
    form = {"username": OPERATOR, "password": ground.password, "next": "/admin/"}
    form["csrfmiddlewaretoken"] = session.cookies["csrftoken"]
    answer = session.post(sign_in, data=form, allow_redirects=False, timeout=30)
    assert answer.status_code == 302, "the operator could not sign in"
    return session
