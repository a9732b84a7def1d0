"""The main job, for real, on the embedded default: what `make demo` shows."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from imageproc import sample
from imageproc.workers.lifeline import die_with_parent

PATIENCE_SECONDS = 180


class Command(BaseCommand):
    help = "Process a sample catalogue from local pictures with the real service."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--images", type=int, default=24, help="pictures of the catalogue")

    def handle(self, *args: Any, images: int, **options: Any) -> None:
        console = Console()
        folder = settings.DATA_DIR / "demo"
        shutil.rmtree(folder, ignore_errors=True)
        with sample.serving(folder / "pictures", images) as catalogue:
            console.print(f"Drew {len(catalogue.items)} pictures; they are served on loopback.")
            with _service(folder, catalogue.port) as address:
                console.print(f"The service runs at {address}/ for as long as this takes.")
                request_id = _upload(address, catalogue.csv)
                told = _watch(console, address, request_id)
                output = requests.get(told["links"]["outputCsv"], timeout=30)
                _save_results(folder / "results", output.text)
        faults = _wrong(catalogue, output.text)
        _tell(console, folder, told, faults)
        if faults:
            sys.exit(1)


@contextmanager
def _service(folder: Path, origin_port: int) -> Iterator[str]:
    """`manage.py up` in a process tree of its own, with its data in ``folder``; its address."""
    port = _free_port()
    env = os.environ | {
        "DATA_DIR": str(folder),
        "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
        "OUTBOUND_ALLOW_PORTS": f"80,443,{origin_port}",
    }
    log = folder / "service.log"
    with log.open("w") as file:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, sys.argv[0], "up", f"127.0.0.1:{port}"],
            env=env,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _await(address, process, log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends and process.poll() is None:
        try:
            requests.get(f"{address}/api/schema", timeout=5)
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return
    raise CommandError(f"The service did not start; see {log}.")


def _upload(address: str, text: str) -> str:
    answer = requests.post(
        f"{address}/api/upload", files={"file": ("sample.csv", text, "text/csv")}, timeout=30
    )
    if answer.status_code != 202:
        raise CommandError(f"The upload was refused: {answer.text}")
    return str(answer.json()["requestId"])


def _watch(console: Console, address: str, request_id: str) -> dict[str, Any]:
    """The final status, with a live bar on the way."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    ends = time.monotonic() + PATIENCE_SECONDS
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("images", total=None)
        while time.monotonic() < ends:
            told = requests.get(f"{address}/api/status/{request_id}?limit=500", timeout=30).json()
            progress.update(bar, total=told["totalImages"], completed=told["processedImages"])
            if told["status"] not in ("PENDING", "PROCESSING"):
                return dict(told)
            time.sleep(0.2)
    raise CommandError(f"The request did not end within {PATIENCE_SECONDS} s.")


def _save_results(folder: Path, output: str) -> None:
    """The output CSV and every picture it links to."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "output.csv").write_text(output)
    for row in csv.DictReader(io.StringIO(output)):
        for place, url in enumerate(filter(None, row["Output Image Urls"].split(",")), 1):
            answer = requests.get(url.strip(), timeout=30)
            answer.raise_for_status()
            (folder / f"{row['S. No.']}-{place}.jpg").write_bytes(answer.content)


def _wrong(catalogue: sample.Catalogue, output: str) -> list[str]:
    """What did not end as the catalogue says it should, a line each."""
    rows = list(csv.DictReader(io.StringIO(output)))
    if len(rows) != len(catalogue.items):
        return [f"{len(rows)} rows came back for {len(catalogue.items)}"]
    pairs = zip(catalogue.items, rows, strict=True)
    return [
        f"{item.name}: {row['Status']} {row['Error']}"
        for item, row in pairs
        if (row["Status"], row["Error"]) != (item.status, item.error)
    ]


def _tell(console: Console, folder: Path, told: dict[str, Any], faults: list[str]) -> None:
    saved = 1 - told["bytesOut"] / told["bytesIn"] if told["bytesIn"] else 0.0
    console.print(
        f"{told['completedImages']} done, {told['failedImages']} refused as they should be: "
        f"{told['bytesIn']:,} bytes became {told['bytesOut']:,} ({saved:.0%} saved)."
    )
    for reason in told["errors"]:
        console.print(f"  {reason['images']} × {reason['message']} {reason['remedy']}")
    console.print(f"Output CSV and pictures: {folder / 'results'}", soft_wrap=True)
    for line in faults:
        console.print(f"[red]Not as expected:[/red] {line}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
