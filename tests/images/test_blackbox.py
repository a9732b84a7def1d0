"""What a dead worker had in hand is free at once, and only the image that killed it is suspect."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from imageproc.images import blackbox
from imageproc.images.blackbox import NOBODY, BlackBox
from imageproc.images.claim import claim, claim_suspect
from imageproc.images.sweep import UNEXPLAINED, return_expired, return_wrecked
from tests.images.test_sweep import kill_the_worker
from tests.support import build

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "blackbox"


def _fly(leases: list[UUID], image_id: UUID) -> None:
    box = BlackBox()
    for lease_id in leases:
        box.lease(lease_id)
    with box.in_codec(image_id):
        os.kill(os.getpid(), signal.SIGKILL)


def crash(leases: list[UUID], image_id: UUID) -> None:
    """A process that is killed with the image in its codec."""
    process = multiprocessing.get_context("fork").Process(target=_fly, args=(leases, image_id))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_a_dead_process_leaves_a_wreck_that_is_found_once() -> None:
    lease, image = uuid4(), uuid4()
    crash([lease], image)
    assert list(blackbox.wrecks()) == [blackbox.Record(frozenset({lease}), image)]
    assert list(blackbox.wrecks()) == []


def test_a_living_box_is_no_wreck_but_its_leases_are_known(folder: Path) -> None:
    box, lease = BlackBox(), uuid4()
    box.lease(lease)
    assert list(blackbox.wrecks()) == []
    assert blackbox.held() == {lease}
    box.close(nothing_left=True)
    assert list(folder.iterdir()) == []


def test_a_box_left_with_something_in_hand_is_a_wreck() -> None:
    box, lease = BlackBox(), uuid4()
    box.lease(lease)
    box.close(nothing_left=False)
    assert list(blackbox.wrecks()) == [blackbox.Record(frozenset({lease}), None)]


def test_a_disk_that_takes_no_file_costs_only_the_box(folder: Path) -> None:
    folder.write_text("in the way")
    box = BlackBox()
    box.lease(uuid4())
    with box.in_codec(uuid4()):
        pass
    box.close(nothing_left=True)
    assert list(blackbox.wrecks()) == []


def test_only_the_image_in_the_codec_is_suspect() -> None:
    of = build.request(images=3)
    jobs = claim()
    crash([jobs[0].lease_id], jobs[1].image_id)
    assert return_wrecked() == 3
    rows = of.images.order_by("id").values_list("status", "attempts", "lost_count")
    assert list(rows) == [(build.PENDING, 1, 0), (build.PENDING, 1, 1), (build.PENDING, 1, 0)]


def test_an_image_in_hand_at_every_death_is_suspect_in_the_end() -> None:
    of = build.request(images=1)
    for _ in range(UNEXPLAINED):
        assert of.images.get().lost_count == 0
        [job] = claim()
        crash([job.lease_id], uuid4())
        assert return_wrecked() == 1
    row = of.images.get()
    assert (row.attempts, row.lost_count) == (12, 1)


def test_a_suspect_is_not_blamed_for_a_death_in_another_step() -> None:
    """Once in the codec by chance; then alone, fetching, when its worker is killed again."""
    of = build.request(images=1)
    [job] = claim()
    crash([job.lease_id], job.image_id)
    assert return_wrecked() == 1
    for _ in range(3):
        [job] = claim_suspect()
        crash([job.lease_id], NOBODY)
        assert return_wrecked() == 1
    row = of.images.get()
    assert (row.status, row.attempts, row.lost_count) == ("PENDING", 4, 1)


def test_a_paused_worker_s_images_are_no_suspects() -> None:
    of = build.request(images=1)
    [job] = claim()
    box = BlackBox()
    box.lease(job.lease_id)
    kill_the_worker()
    assert return_expired() == 1
    assert of.images.get().lost_count == 0
    box.close(nothing_left=True)
