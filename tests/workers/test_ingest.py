"""A file that kills whoever reads it, in real workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imageproc.faults import INGEST_DIED
from tests.workers.harness import Tree, run

Make = Callable[..., Tree]
ROW = "1,%s,http://shop.example/1.jpg"


def test_it_is_given_up_after_five_deaths(tree: Make, tmp_path: Path) -> None:
    workers = tree(
        "worker",
        DJANGO_SETTINGS_MODULE="tests.support.crash_settings",
        SECRET_KEY="",
        CRASH_AT="rows:before@poison=kill",
    ).start(14)
    file = tmp_path / "products.csv"
    file.write_text(f"S. No.,Product Name,Input Image Urls\n{ROW % 'poison'}\n")
    done = run("process", str(file), "--out", str(tmp_path / "out"), env=workers.env)
    assert done.returncode == 1, done.stderr
    sql = "SELECT status, error_message FROM imageproc_processingrequest"
    assert workers.query(sql) == [("FAILED", INGEST_DIED.sentence)]
    assert workers.query("SELECT count(*) FROM imageproc_productimage") == [(0,)]
    assert workers.log.read_text().count("died, q2 replaces it") == 5
