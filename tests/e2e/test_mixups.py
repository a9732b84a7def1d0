"""Never another's picture: hosts that mix up their answers, through workers and stored objects."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.mixups import FAILING, WAYS, MixupOrigin, number_in
from tests.support.servers.service import Service
from tests.support.sheet import sheet_of

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def mixups() -> Iterator[MixupOrigin]:
    origin = MixupOrigin()
    yield origin
    origin.stop()


@pytest.fixture
def service(mixups: MixupOrigin) -> Iterator[Service]:
    """On SQLite and files; each image is tried once, and a host that gives nothing is soon down."""
    env = {"MAX_ATTEMPTS": "1", "FETCH_DEADLINE": "5", "HOST_PATIENCE": "5"}
    with_origin = Service(mixups.port, env=env)
    with_origin.start()
    yield with_origin
    with_origin.stop()
    with_origin.close()


def judge(service: Service, mixups: MixupOrigin, each: int) -> None:
    """Upload ``each`` products of every way; read their numbers out of the stored pictures."""
    rows = [
        [f"{way}|{number}", "Shoe", mixups.url(way, number)]
        for number in range(1, each + 1)
        for way in WAYS
        if number <= 10 or "told" not in way
    ]
    finished = service.finish(service.upload(sheet_of(rows))["requestId"], 120 + 2 * each)
    [_, *output] = csv.reader(io.StringIO(service.get(finished["links"]["outputCsv"]).text))
    assert len(output) == len(rows)
    stored = {path.name: path for path in (service.folder / "data" / "files").glob("*/*")}
    wrong, completed = [], Counter[str]()
    for serial, _, _, url, status, _ in output:
        way, number = serial.split("|")
        if status == "COMPLETED":
            completed[way] += 1
            found = number_in(stored[url.rpartition("/")[2]].read_bytes())
            if found != int(number):
                wrong.append((serial, found))
    assert wrong == []
    assert completed == {way: each for way in WAYS if way not in FAILING}


def test_every_stored_picture_is_its_products_own(service: Service, mixups: MixupOrigin) -> None:
    judge(service, mixups, 24)


@pytest.mark.faults
@pytest.mark.timeout(1000)
def test_four_hundred_of_each(service: Service, mixups: MixupOrigin) -> None:
    judge(service, mixups, 400)
