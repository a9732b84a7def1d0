"""From the laptop to production: export, an empty machine of the other kind, import, go on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.origin import Origin
from tests.support.servers.postgres import Postgres
from tests.support.servers.seaweed import Seaweed
from tests.support.servers.service import Service
from tests.support.sheet import sheet_of

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def machines(
    origin_server: Origin, postgres: Postgres, seaweed: Seaweed
) -> Iterator[tuple[Service, Service]]:
    """A laptop, and a production of which only database and bucket are there."""
    ground = {"DATABASE_URL": postgres.migrated_database(), **seaweed.new_bucket().environ}
    laptop = Service(origin_server.port, env={"DRAIN_SECONDS": "1"})
    pair = laptop, Service(origin_server.port, env=ground)
    yield pair
    for service in pair:
        service.close()


def test_production_goes_on_where_the_laptop_was(
    machines: tuple[Service, Service], origin: Origin, tmp_path: Path
) -> None:
    """The export is taken while one image waits for its host; production fetches it."""
    laptop, production = machines
    laptop.start()
    for number in range(4):
        origin.serve(f"/{number}.jpg", pictures.jpeg(number), content_type="image/jpeg")
    origin.serve("/late.jpg", pictures.jpeg(9), content_type="image/jpeg", delay_ms=60_000)
    done = sheet_of([[str(n), f"Shoe {n}", f"{origin.url}/{n}.jpg"] for n in range(4)])
    before = laptop.finish(laptop.upload(done)["requestId"])
    waiting = laptop.upload(sheet_of([["9", "Late", f"{origin.url}/late.jpg"]]))["requestId"]

    laptop.manage("export", "--to", str(tmp_path / "archive"))
    laptop.stop()
    production.manage("import", str(tmp_path / "archive"))
    origin.serve("/late.jpg", pictures.jpeg(9), content_type="image/jpeg")
    production.start()

    after = production.status(before["requestId"], limit="500")
    images = [image for product in after["products"] for image in product["images"]]
    old = [image for product in before["products"] for image in product["images"]]
    assert [image["sha256"] for image in images] == [image["sha256"] for image in old]
    for image in images:
        path = image["outputUrl"].partition("/api/")[2]
        data = production.get(f"{production.address}/api/{path}").content
        assert hashlib.sha256(data).hexdigest() == image["sha256"]
    told = production.finish(waiting)
    assert (told["status"], told["completedImages"]) == ("COMPLETED", 1)
