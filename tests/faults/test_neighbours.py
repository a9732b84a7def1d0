"""The database, the storage, the origin: what the service cannot do without, misbehaving."""

from __future__ import annotations

import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest
import requests

from tests.faults.checker import Promise
from tests.faults.ground import Ground
from tests.faults.ledger import Ledger
from tests.support.sheet import sheet_of

pytestmark = pytest.mark.timeout(3000)
LONG = pytest.mark.faults


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=LONG)], ids=["short", "long"])
def test_postgres_stops_and_starts(ground: Ground, ledger: Ledger, times: int) -> None:
    recovery = []
    for number in range(times):
        request_id = ground.upload(ground.good(160))
        ground.until(lambda r=request_id: ground.done(r) > 0)  # type: ignore[misc]
        before = ground.done(request_id)
        assert before < 160, "nothing is left to disturb"
        ground.postgres.stop()
        time.sleep(1 + number % 4 * 3)  # longer than a lease, too
        ground.postgres.start()
        recovery.append(
            ground.until(lambda r=request_id, b=before: ground.done(r) > b or b == 160)  # type: ignore[misc]
        )
    ledger.close(ground.finish(), recovery, times=times)


MODES = ("busy", "slow", "reset", "forbidden", "down")


@pytest.mark.parametrize(
    ("modes", "images", "seconds"),
    [(MODES, 80, 1), *(pytest.param((mode,), 400, 60, marks=LONG) for mode in MODES)],
    ids=["all in turn", *MODES],
)
def test_the_storage_misbehaves(
    ground: Ground, ledger: Ledger, modes: tuple[str, ...], images: int, seconds: int
) -> None:
    """In each way while a request of its own is at work; all of them end well afterwards."""
    assert ground.proxy
    hit = {}
    for mode in modes:
        ground.upload(ground.good(images))
        ground.proxy.passed = 0
        ground.until(lambda: ground.proxy and ground.proxy.passed > 5)
        ground.proxy.hit, ground.proxy.mode = 0, mode
        time.sleep(seconds)
        ground.proxy.mode = "pass"
        hit[mode] = ground.proxy.hit
    ledger.close(ground.finish(), seconds=seconds, requests_hit=hit)
    assert all(hit.values()), hit


@pytest.mark.parametrize("seconds", [8, pytest.param(200, marks=LONG)], ids=["short", "long"])
def test_an_outage_of_the_storage_costs_no_attempt_and_no_second_request(
    ground: Ground, ledger: Ledger, seconds: int
) -> None:
    """What was compressed when the storage went away is stored when it is back. A pump's time may
    end in between: then its images are fetched once more, all in all less than twice each."""
    assert ground.proxy
    ground.origin.waits["late"] = 2000  # after the upload, the storage is away
    urls = ground.good(200, wait="late")
    request_id = ground.upload(urls)
    ground.proxy.hit, ground.proxy.mode = 0, "down"
    ground.until(lambda: ground.proxy and ground.proxy.hit > 5)
    time.sleep(seconds)
    assert ground.done(request_id) == 0
    ground.proxy.mode = "pass"
    back = time.monotonic()
    ground.until(lambda: ground.done(request_id) == 200)
    took = round(time.monotonic() - back, 1)
    asked = sum(ground.origin.hits[urlsplit(url).path] for url in urls)
    sql = "SELECT max(attempts), max(store_failures), max(fetch_failures)"
    [counts] = ground.query(f"{sql} FROM imageproc_productimage WHERE request_id=%s", request_id)
    ledger.close(ground.finish(), seconds=seconds, requests=asked, all_stored_after_s=took)
    assert counts == (1, 0, 0)
    assert asked <= (200 if seconds < 30 else 399)


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=LONG)], ids=["short", "long"])
def test_one_key_makes_one_request(ground: Ground, ledger: Ledger, times: int) -> None:
    """50 uploads at once with one Idempotency-Key."""
    made = []
    for number in range(times):
        urls = ground.good(1)
        sheet = sheet_of([["1", "Shoe", next(iter(urls))]])
        answers: list[requests.Response] = []

        def send(key: str = f"key-{number}-{len(ground.promises)}", sheet: str = sheet) -> None:
            answers.append(  # noqa: B023
                requests.post(
                    f"{ground.service.address}/api/upload",
                    files={"file": ("a.csv", sheet, "text/csv")},
                    data={"webhookUrl": f"{ground.receiver.url}/hook"},
                    headers={"Idempotency-Key": key},
                    timeout=120,
                )
            )

        threads = [threading.Thread(target=send) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids = Counter(a.json().get("requestId") for a in answers if a.status_code in (200, 202))
        assert len(answers) == 50
        assert len(ids) == 1, (ids, Counter(a.status_code for a in answers))
        made.append(len(ids))
        ground.promises.append(Promise(next(iter(ids)), urls))
    ledger.close(ground.finish(), requests_created=max(made), times=times)
