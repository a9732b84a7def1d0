"""Processes a CSV or workbook from the command line, without a web server."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from imageproc import intake
from imageproc.api.auth import local_user
from imageproc.management.upload_options import add_upload_options, upload_options
from imageproc.models import ClusterHeartbeat, ProcessingRequest
from imageproc.requests import operations
from imageproc.requests.report.saved import output_path, save
from imageproc.sheet import LineError
from imageproc.workers import queue
from imageproc.workers.lifeline import die_with_parent

POLL_SECONDS = 0.3
# Exit codes.
ALL_DONE, NONE_DONE, REFUSED, SOME_FAILED, STOPPED = 0, 1, 2, 3, 130


class Command(BaseCommand):
    help = (
        "Process a CSV or workbook and write it with its results, and the images, into a folder. "
        "If it is stopped, run the same command again to continue. Exit codes: 0 all images done, "
        "1 none done, 2 file refused, 3 some images failed, 130 stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("csv", type=Path)
        parser.add_argument("--out", type=Path, default=Path("results"), metavar="FOLDER")
        add_upload_options(parser)

    def handle(self, *args: Any, csv: Path, out: Path, **options: Any) -> None:
        self.console = Console(stderr=True)
        if connection.vendor == "sqlite":
            call_command("migrate", interactive=False, verbosity=0)
        operations.prepare_folder()
        wanted = upload_options(options)
        if options["dry_run"]:
            self._rehearse(csv, wanted)
        request = _accept(csv, wanted)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            if not request.is_final:
                with _workers():
                    self._watch(request)
            self._save(request, out)
        except KeyboardInterrupt:
            self.console.print("Stopped. Run the same command again to continue.")
            sys.exit(STOPPED)
        sys.exit(self._report(request, out))

    def _rehearse(self, csv: Path, options: intake.Options) -> None:
        """Ends the command: 0 where the file would be accepted."""
        with _refusals(csv), csv.open("rb") as file:
            checked, same_names = intake.rehearse(_upload(csv, file, options))
        form, found = checked.format, checked.summary
        if form:
            names = [form.header[index] for index in form.images]
            self.console.print(f"images: {', '.join(names)} (by {form.found_by} {form.profile})")
            for role, index in (("serial", form.serial), ("name", form.name)):
                self.console.print(f"{role}: {'-' if index is None else form.header[index]}")
        for row in checked.preview:
            product = f"line {row.line}: {row.serial_number} {row.product_name}"
            self.console.print(product, markup=False)
            for url in row.urls:
                self.console.print(f"  {url}", markup=False)
        self.console.print(
            f"{found.rows:,} rows, {found.images:,} images, {found.imageless_rows:,} rows without "
            f"an image, {found.bad_rows:,} bad rows"
        )
        for line in [*intake.notes_on(checked), *map(_line, found.errors[: intake.SHOWN_ERRORS])]:
            self.console.print(line, markup=False)
        if same_names:
            self.console.print(same_names.message, markup=False)
        ok = intake.is_accepted(checked, options) and not same_names
        sys.exit(ALL_DONE if ok else REFUSED)

    def _watch(self, request: ProcessingRequest) -> None:
        with _bar(self.console) as progress:
            bar = progress.add_task("Processing", total=request.total_images)
            while True:
                request.refresh_from_db()
                progress.update(bar, completed=request.processed_images)
                if request.is_final:
                    return
                time.sleep(POLL_SECONDS)

    def _save(self, request: ProcessingRequest, out: Path) -> None:
        with _bar(self.console) as progress:
            bar = progress.add_task("Saving", total=request.completed_images)
            for images in save(request, out):
                progress.advance(bar, images)

    def _report(self, request: ProcessingRequest, out: Path) -> int:
        done, failed = request.completed_images, request.failed_images
        self.console.print(f"{done:,} done, {failed:,} failed: {output_path(request, out)}")
        if not done:
            return NONE_DONE
        return SOME_FAILED if done < request.total_images else ALL_DONE


def _upload(
    csv: Path, file: IO[bytes], options: intake.Options, key: str | None = None
) -> intake.Upload:
    return intake.Upload(
        owner_id=local_user().pk,
        file=file,
        file_name=csv.name,
        base_url=settings.PUBLIC_URL or "http://127.0.0.1:8000",
        options=options,
        idempotency_key=key,
    )


def _accept(csv: Path, options: intake.Options) -> ProcessingRequest:
    """The request of this file and these options: a new one, or the one of an earlier run."""
    with _refusals(csv), csv.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = hashlib.sha256(f"{digest} {options!r}".encode()).hexdigest()
        file.seek(0)
        return intake.accept(_upload(csv, file, options, f"process-{key}"))


@contextmanager
def _refusals(csv: Path) -> Iterator[None]:
    """What is wrong with the file, as the command's own error."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"{csv}: {error.strerror}", returncode=REFUSED) from error
    except intake.Refused as refused:
        lines = [
            f"row {e['row'] or e['line']}: {e['message']} ({e['value']})" for e in refused.errors
        ]
        raise CommandError("\n".join([refused.message, *lines]), returncode=REFUSED) from refused


def _line(error: LineError) -> str:
    return f"row {error.row or error.line}: {error.message} ({error.value})"


@contextmanager
def _workers() -> Iterator[None]:
    """Workers of this process's own, unless some are running on this database already. Their log
    is DATA_DIR/process.log: the terminal belongs to the progress bar."""
    if ClusterHeartbeat.objects.slots(queue.IMAGES) and ClusterHeartbeat.objects.slots(
        queue.CONTROL
    ):
        yield
        return
    with (settings.DATA_DIR / "process.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            [*settings.MANAGE, "worker", "--skip-checks"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
