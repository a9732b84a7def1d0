"""The judge: compares what the client was promised with what is there, from outside.

It knows the client's log, the tables, the stored objects and the receiver's log, and nothing of
the service's own code.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

from tests.support import numbered

FINAL = ("COMPLETED", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class Promise:
    """An upload that was acknowledged: its id and every URL in it, with the end it must come to."""

    request_id: str
    urls: Mapping[str, str]


@dataclass
class Verdict:
    """What is wrong; all zeros is a pass. ``notes`` says the first few of each."""

    lost: int = 0
    double: int = 0
    stuck: int = 0
    false_completed: int = 0
    wrong_picture: int = 0
    wrong_end: int = 0
    orphans: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, note: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.notes) < 20:
            self.notes.append(f"{kind}: {note}")

    @property
    def counts(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if name != "notes"}

    @property
    def clean(self) -> bool:
        return not any(self.counts.values())


def judge(
    promises: Iterable[Promise],
    database_url: str,
    objects: Mapping[str, bytes],
    webhooks: Sequence[tuple[str, dict[str, Any]]],
) -> Verdict:
    """``objects``: key → bytes of everything stored. ``webhooks``: (webhook-id, body) received."""
    verdict = Verdict()
    with psycopg.connect(database_url) as connection:
        known = {promise.request_id: promise for promise in promises}
        rows = connection.execute("SELECT id::text FROM imageproc_processingrequest").fetchall()
        for (extra,) in rows:
            if extra not in known:
                verdict.add("double", f"request {extra} was never acknowledged")
        for promise in known.values():
            _judge_request(verdict, promise, connection, objects)
    _judge_webhooks(verdict, known, webhooks)
    return verdict


def judge_shared(database_url: str, kept: Sequence[str], objects: Mapping[str, bytes]) -> Verdict:
    """Of requests that share objects, at rest: every image has its object and shows its picture;
    every object is named by an image or is a request's own file. ``kept``: the requests that were
    not removed; ``objects``: what they and the removed ones have made."""
    verdict = Verdict()
    with psycopg.connect(database_url) as connection:
        images = connection.execute(
            "SELECT input_url, status, attempts, output_key, output_size, output_sha256"
            " FROM imageproc_productimage WHERE request_id = ANY(%s::uuid[])",
            [list(kept)],
        ).fetchall()
        rows = connection.execute(
            "SELECT id::text, status, total_images, completed_images,"
            " new_images + changed_images + unchanged_images, input_csv, output_csv"
            " FROM imageproc_processingrequest WHERE id = ANY(%s::uuid[])",
            [list(kept)],
        ).fetchall()
    for request_id, status, total, completed, counted, *_ in rows:
        if status != "COMPLETED" or total != completed or counted != completed:
            verdict.add("wrong_end", f"{request_id} {status}: {total}, {completed}, {counted}")
    named = {key for row in rows for key in row[5:]}
    for image in images:  # one by one: many may name one object
        named |= _judge_objects(verdict, [image], objects)
    for key in objects.keys() - named:
        verdict.add("orphans", key)
    for _ in range(len(kept) - len(rows)):
        verdict.add("lost", "a request")
    return verdict


def _judge_request(
    verdict: Verdict,
    promise: Promise,
    connection: psycopg.Connection[Any],
    objects: Mapping[str, bytes],
) -> None:
    row = connection.execute(
        "SELECT status, total_images, completed_images, failed_images, bytes_in, bytes_out,"
        " output_csv, input_csv FROM imageproc_processingrequest WHERE id = %s",
        [promise.request_id],
    ).fetchone()
    if row is None:
        return verdict.add("lost", f"request {promise.request_id}")
    images = connection.execute(
        "SELECT input_url, status, attempts, output_key, output_size, output_sha256, input_size,"
        " error_code FROM imageproc_productimage WHERE request_id = %s",
        [promise.request_id],
    ).fetchall()
    _judge_rows(verdict, promise, images)
    _judge_counters(verdict, row, images)
    vouched = _judge_objects(verdict, images, objects)
    _judge_output(verdict, row, images, objects)
    mine = {key for key in objects if key.startswith(promise.request_id)}
    for orphan in mine - vouched - {row[6], row[7]}:
        verdict.add("orphans", orphan)
    return None


def _judge_rows(verdict: Verdict, promise: Promise, images: Sequence[Any]) -> None:
    found = Counter(image[0] for image in images)
    for url in promise.urls:
        if not found[url]:
            verdict.add("lost", url)
    for url, count in found.items():
        if count > 1 or url not in promise.urls:
            verdict.add("double", f"{count} rows of {url}")
    for url, status, attempts, *_, code in images:
        if status not in FINAL:
            verdict.add("stuck", f"{url} is {status}")
        elif status != promise.urls.get(url, status):
            verdict.add("wrong_end", f"{url}: {status} {code} after {attempts} attempts")


def _judge_counters(verdict: Verdict, row: Any, images: Sequence[Any]) -> None:
    if row[0] not in FINAL:
        return verdict.add("stuck", f"request is {row[0]}")
    done = [image for image in images if image[1] == "COMPLETED"]
    failed = sum(image[1] == "FAILED" for image in images)
    recount = (len(done), failed, sum(i[6] for i in done), sum(i[4] for i in done))
    if tuple(row[2:6]) != recount:
        verdict.add("double", f"counters {row[2:6]} are not the recount {recount}")
    return None


def _judge_objects(
    verdict: Verdict, images: Sequence[Any], objects: Mapping[str, bytes]
) -> set[str]:
    vouched = set()
    for url, status, _, key, size, sha256, *_ in images:
        if status != "COMPLETED":
            continue
        if key in vouched:
            verdict.add("double", f"{key} belongs to two images")
        vouched.add(key)
        data = objects.get(key)
        if data is None or (len(data), hashlib.sha256(data).hexdigest()) != (size, sha256):
            verdict.add("false_completed", f"{url}: {'none' if data is None else 'other'} at {key}")
        elif numbered.shown(data) != numbered.number_in(url):
            verdict.add("wrong_picture", f"{url} shows {numbered.shown(data)}")
    return vouched


def _judge_output(
    verdict: Verdict, row: Any, images: Sequence[Any], objects: Mapping[str, bytes]
) -> None:
    """The output CSV names a result for each completed image and for no other."""
    if row[0] != "COMPLETED":
        return
    done = sum(image[1] == "COMPLETED" for image in images)
    text = objects.get(row[6], b"").decode("utf-8-sig")
    results = text.count("/api/images/")
    if results != done:
        verdict.add("false_completed", f"{results} results in the output CSV, {done} completed")


def _judge_webhooks(
    verdict: Verdict,
    known: Mapping[str, Promise],
    webhooks: Sequence[tuple[str, dict[str, Any]]],
) -> None:
    """One event for each request; a repeated delivery carries the same id."""
    events = {(message, body["data"]["requestId"]) for message, body in webhooks}
    count = Counter(request_id for _, request_id in events)
    for request_id in known:
        if not count[request_id]:
            verdict.add("lost", f"no webhook for {request_id}")
        elif count[request_id] > 1:
            verdict.add("double", f"{count[request_id]} webhooks for {request_id}")
