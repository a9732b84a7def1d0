"""Builds the image, runs docker-compose.yml as it is, and does to it what happens in a year.

`OLD` is the revision to upgrade from (default: the last tag); without either, that part is left
out, which is said.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from typing import Any

from tests.containers.engine import (
    BASE,
    HERE,
    ROOT,
    build,
    build_old,
    compose,
    docker,
    has,
    say,
    side_images,
)

SECRETS = ("SECRET_KEY", "POSTGRES_PASSWORD", "S3_SECRET_ACCESS_KEY", "METRICS_TOKEN")
UP = ("up", "--detach", "--no-build", "--wait", "--wait-timeout", "240")
OTHER = "restored"  # a second database and bucket


def main() -> None:
    if not has(BASE):
        raise SystemExit(f"The engine has no {BASE}, and no registry answers.")
    words = [f"{name}={secrets.token_hex(32)}" for name in SECRETS]
    (ROOT / HERE / ".env").write_text("\n".join([*words, "S3_ACCESS_KEY_ID=imageproc", ""]))
    try:
        with side_images():
            run()
    finally:
        (ROOT / HERE / ".env").unlink()


def run() -> None:
    try:
        build("imageproc")
        key = start()
        upgrade(key)
        say(f"doctor: {manage('doctor').splitlines()[-1]}")
        kill_a_worker(key)
        monitoring()
        restore()
        stop()
    except BaseException:
        print(compose("ps", "--all"), compose("logs", "--tail", "20"), sep="\n")
        raise
    finally:
        compose("--profile", "monitoring", "down", "--volumes", "--timeout", "1")


def start() -> str:
    """An API key of the running service: of the old version where there is one."""
    docker("tag", "imageproc", "imageproc:new")
    if revision := old_revision():
        build_old("imageproc", revision)
    compose(*UP)
    say("all healthy")
    key = manage("apikey", "create", "containers").split()[-1]
    done = finish(key, upload(key, 20))
    picture = call(key, done["products"][0]["images"][0]["outputUrl"].partition(":8000")[2])
    assert picture["content_type"] == "image/jpeg", picture
    say(f"20 images; the first has {picture['size']} bytes")
    return key


def old_revision() -> str:
    if "OLD" in os.environ:
        return os.environ["OLD"]
    command = ["git", "describe", "--tags", "--abbrev=0", "HEAD^"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def upgrade(key: str) -> None:
    """Old to new with a request in hand: every image is done, none failed."""
    if not old_revision():
        say("no tag and no OLD: the upgrade is left out")
        return
    request = upload(key, 400)
    while not (seen := status(key, request))["completedImages"] >= 20:
        time.sleep(0.5)
    docker("tag", "imageproc:new", "imageproc")
    compose(*UP)
    say(f"upgraded from {old_revision()} with {seen['completedImages']} of 400 images done")
    finish(key, request)
    say("all 400 done")


def kill_a_worker(key: str) -> None:
    compose(*UP, "--scale", "worker=2")
    request = upload(key, 200)
    while status(key, request)["completedImages"] < 10:
        time.sleep(0.3)
    docker("kill", compose("ps", "--quiet", "worker").splitlines()[0])
    finish(key, request)
    compose(*UP, "--scale", "worker=2")
    say("one of two workers killed: all 200 done")


def monitoring() -> None:
    compose("--profile", "monitoring", *UP, "--no-deps", "prometheus")
    deadline = time.monotonic() + 90
    while True:
        script = "import urllib.request as u; print(u.urlopen('http://prometheus:9090/api/v1/targets').read().decode())"
        found = json.loads(compose("exec", "-T", "origin", "python", "-c", script))
        targets = [
            (target["labels"]["job"], target["health"])
            for target in found["data"]["activeTargets"]
            if "node" not in target["labels"]["job"]
        ]
        if targets and all(health == "up" for _, health in targets):
            say(f"Prometheus reads {', '.join(job for job, _ in targets)}")
            return
        assert time.monotonic() < deadline, targets
        time.sleep(2)


def restore() -> None:
    """A backup, imported into another database and bucket, where it is exported again."""
    compose("exec", "-T", "postgres", "createdb", "--username", "imageproc", OTHER)
    first = manage("export", "--to", "/data/backup")
    there = 'DATABASE_URL="${DATABASE_URL%/*}/' + OTHER + f'" S3_BUCKET={OTHER}'
    script = (
        f"export {there}; python manage.py import /data/backup"
        " && python manage.py export --to /data/again && cd /data &&"
        " diff -r backup/objects again/objects && diff -r backup/rows again/rows"
    )
    compose("exec", "-T", "web", "sh", "-ec", script)
    say(f"{first} Restored: the same rows and objects.")


def stop() -> None:
    compose("stop")
    codes = {
        found["Name"]: found["ExitCode"]
        for line in compose("ps", "--all", "--format", "json").splitlines()
        for found in [json.loads(line)]
        if found["Service"] != "origin"
    }
    assert set(codes.values()) == {0}, codes
    say(f"{len(codes)} containers stopped with 0")


def manage(*command: str) -> str:
    return compose("exec", "-T", "web", "python", "manage.py", *command)


def upload(key: str, images: int) -> str:
    rows = "".join(f"{n},Product {n},http://origin:8000/{n}.jpg\n" for n in range(images))
    csv = f"S. No.,Product Name,Input Image Urls\n{rows}"
    return str(call(key, "/api/upload", csv)["json"]["requestId"])


def status(key: str, request: str) -> dict[str, Any]:
    return dict(call(key, f"/api/status/{request}")["json"])


def finish(key: str, request: str, seconds: float = 240) -> dict[str, Any]:
    """The final status; every image must be done."""
    deadline = time.monotonic() + seconds
    while (seen := status(key, request))["status"] not in ("COMPLETED", "FAILED"):
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)
    assert (seen["status"], seen["completedImages"]) == ("COMPLETED", seen["totalImages"]), seen
    return seen


# One HTTP call from inside the network of the containers: it needs no port of this machine.
CALL = """
import json, sys, time, requests
key, path, csv = sys.argv[1], sys.argv[2], sys.stdin.read()
url, headers = "http://web:8000" + path, {"Authorization": "Bearer " + key}
body = {"files": {"csv": ("products.csv", csv)}} if csv else {}
for _ in range(60):  # the web server is being replaced
    try:
        answer = requests.request(
            "POST" if csv else "GET", url, headers=headers, timeout=30, **body
        )
        break
    except requests.ConnectionError:
        time.sleep(1)
answer.raise_for_status()
kind = answer.headers["content-type"]
data = answer.json() if "json" in kind else None
print(json.dumps({"json": data, "size": len(answer.content), "content_type": kind}))
"""


def call(key: str, path: str, csv: str = "") -> dict[str, Any]:
    words = ("exec", "-T", "origin", "python", "-c", CALL, key, path)
    return dict(json.loads(compose(*words, stdin=csv)))


if __name__ == "__main__":
    main()
