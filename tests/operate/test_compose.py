"""docker-compose.yml: valid, safe, and its very commands carry a whole CSV.

There need not be a Docker engine: the services of the project's own image are started natively,
with the commands and the environment of the file, beside real PostgreSQL, Redis and SeaweedFS.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import yaml

from imageproc.web import sample
from tests.support.origin import Origin
from tests.support.servers.postgres import Postgres
from tests.support.servers.process import HOST, free_ports, leash
from tests.support.servers.redis import Redis
from tests.support.servers.s3 import ACCESS_KEY, SECRET_KEY
from tests.support.servers.seaweed import Seaweed

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Path(__file__).parent / "vendor" / "compose-spec.json"
OWN = ("prepare", "web", "worker", "control")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def interpolate(text: Any, env: Mapping[str, str]) -> str:
    """As the compose specification does: ${NAME}, ${NAME:-default}, ${NAME:?error}."""

    def replace(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        assert env.get(name) or kind != "?", f"{name} is not set"
        return env.get(name) or (rest if kind == "-" else "")

    return VARIABLE.sub(replace, str(text))


def seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)s", text)
    assert match
    return int(match[1])


def test_it_is_valid() -> None:
    jsonschema.validate(compose(), json.loads(SCHEMA.read_text()))


def test_what_it_needs_is_in_the_example() -> None:
    needed = {m[0] for m in VARIABLE.findall((ROOT / "docker-compose.yml").read_text())}
    lines = (ROOT / "deploy" / "compose.env.example").read_text().splitlines()
    offered = {line.partition("=")[0] for line in lines if "=" in line and line[0] != "#"}
    assert needed - offered == {"PORT"}


def test_no_secret_has_a_value() -> None:
    env = dict.fromkeys(("SECRET_KEY", "POSTGRES_PASSWORD", "S3_SECRET_ACCESS_KEY"), "x" * 50)
    environment = compose()["services"]["web"]["environment"]
    for name in ("SECRET_KEY", "METRICS_TOKEN", "S3_SECRET_ACCESS_KEY"):
        with pytest.raises(AssertionError):
            interpolate(environment[name], {**env, name: ""})


@pytest.mark.parametrize("name", OWN)
def test_own_services_are_confined(name: str) -> None:
    service = compose()["services"][name]
    assert isinstance(service["command"], list), "exec form: signals must reach the process"
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "USER imageproc" in (ROOT / "Dockerfile").read_text()


def test_a_stop_leaves_time_for_the_drain(settings: Any) -> None:
    for name in ("worker", "control"):
        grace = seconds(compose()["services"][name]["stop_grace_period"])
        assert grace >= settings.DRAIN_SECONDS + 10


def test_every_service_that_lasts_is_watched() -> None:
    for name, service in compose()["services"].items():
        if name != "prepare" and "profiles" not in service:
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] == "unless-stopped", name


def test_the_image_holds_what_the_commands_need() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    allowed = re.findall("^!(.+)$", (ROOT / ".dockerignore").read_text(), re.M)
    for path in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.M):
        for one in path.split():
            assert (ROOT / one).exists(), one
            assert one.partition("/")[0] in allowed, one


class Stack:
    """The project's own services as processes; ``hosts`` are the file's names → real addresses."""

    def __init__(self, folder: Path, hosts: Mapping[str, str], extra: Mapping[str, str]) -> None:
        self.file, self.folder, self.hosts, self.extra = compose(), folder, hosts, extra
        self.env = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "POSTGRES_PASSWORD": "any",
            "S3_ACCESS_KEY_ID": ACCESS_KEY,
            "S3_SECRET_ACCESS_KEY": SECRET_KEY,
            "METRICS_TOKEN": "scrape-me",
        }

    def native(self, text: Any) -> str:
        value = interpolate(text, self.env)
        for name, address in self.hosts.items():
            value = value.replace(name, address)
        return value

    def start(self, name: str) -> subprocess.Popen[bytes]:
        service = self.file["services"][name]
        command = [self.native(part) for part in service["command"]]
        binaries = Path(sys.executable).parent
        # A name without a value is passed on from compose's own environment, which has none here.
        stated = {k: v for k, v in service["environment"].items() if v is not None}
        environment = {k: self.native(v) for k, v in stated.items()}
        return subprocess.Popen(
            [*leash(), str(binaries / command[0]), *command[1:]],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "ENV_FILE": os.devnull,
                "DATA_DIR": str(self.folder / name),
                **environment,
                "METRICS_DIR": str(self.folder / f"{name}-metrics"),  # a tmpfs in the container
                **self.extra,
            },
            stdout=(self.folder / f"{name}.log").open("wb"),
            stderr=subprocess.STDOUT,
        )

    @contextmanager
    def running(self, *names: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
        processes = {name: self.start(name) for name in names}
        try:
            yield processes
        finally:
            for process in processes.values():
                process.kill()
                process.wait()


@pytest.fixture
def stack(tmp_path: Path, postgres: Postgres, seaweed: Seaweed, redis_server: Redis) -> Stack:
    database = postgres.new_database().rpartition("/")[2]
    web, metrics, control_metrics = free_ports(3)
    hosts = {
        "imageproc:any@postgres:5432/imageproc": f"postgres@{HOST}:{postgres.port}/{database}",
        "redis:6379": f"{HOST}:{redis_server.port}",
        "http://s3:8333": seaweed.endpoint,
        "0.0.0.0:8000": f"{HOST}:{web}",
        "9100": str(metrics),
    }
    stack = Stack(tmp_path, hosts, {"WORKERS": "2", "S3_BUCKET": f"c{secrets.token_hex(6)}"})
    stack.web = f"http://{HOST}:{web}"  # type: ignore[attr-defined]
    stack.metrics = f"http://{HOST}:{metrics}/metrics"  # type: ignore[attr-defined]
    stack.control_port = str(control_metrics)  # type: ignore[attr-defined]
    return stack


def api_key(stack: Stack) -> str:
    """Made by the command that an operator would use."""
    code = (
        "from django.contrib.auth.models import User; from imageproc.models import ApiKey;"
        "u = User.objects.create_user('shop');"
        "print(ApiKey.objects.issue(owner_id=u.pk, name='shop')[1])"
    )
    stack.file["services"]["shell"] = {
        "command": ["python", "manage.py", "shell", "-v0", "-c", code],
        "environment": stack.file["services"]["web"]["environment"],
    }
    process = stack.start("shell")
    assert process.wait(60) == 0
    return (stack.folder / "shell.log").read_text().split()[-1]


def wait_ready(stack: Any, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    told: Any = None
    while time.monotonic() < deadline:
        try:
            answer = requests.get(f"{stack.web}/readyz", timeout=5)
            told = answer.text
            if answer.status_code == 200:
                return dict(answer.json())
        except requests.RequestException as error:
            told = error
        time.sleep(0.3)
    logs = {p.name: p.read_text()[-1500:] for p in stack.folder.glob("*.log")}
    raise AssertionError(f"not ready: {told}\n{logs}")


def test_its_commands_carry_a_whole_csv(stack: Any, tmp_path: Path) -> None:
    with ExitStack() as open_:
        origin = Origin(sample.FOLDER)
        origin.start()
        open_.callback(origin.stop)
        stack.extra |= {
            "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
            "OUTBOUND_ALLOW_PORTS": str(origin.port),
        }
        assert stack.start("prepare").wait(90) == 0, (tmp_path / "prepare.log").read_text()
        assert stack.start("prepare").wait(90) == 0, "it may run again"
        (tmp_path / "web" / "staticfiles").mkdir(parents=True)  # made by the image's build
        worker = open_.enter_context(stack.running("worker"))
        stack.hosts = {**stack.hosts, "9100": stack.control_port}
        rest = open_.enter_context(stack.running("control", "web"))
        parts = wait_ready(stack)["parts"]
        assert parts == {"database": "ok", "storage": "ok", "workers": "ok"}

        headers = {"Authorization": f"Bearer {api_key(stack)}"}
        files = {"file": ("products.csv", sample.sheet(origin.url), "text/csv")}
        answer = requests.post(f"{stack.web}/api/upload", files=files, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        request_id = answer.json()["requestId"]
        status = f"{stack.web}/api/status/{request_id}"
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            told = requests.get(status, headers=headers, timeout=30).json()
            if told["status"] == "COMPLETED":
                break
            time.sleep(0.3)
        assert (told["status"], told["failedImages"]) == ("COMPLETED", 2), told

        output = requests.get(
            f"{stack.web}/api/requests/{request_id}/output.csv", headers=headers, timeout=30
        )
        rows = list(csv.DictReader(io.StringIO(output.text)))
        assert [row["Status"] for row in rows] == ["COMPLETED"] * 12 + ["FAILED"] * 2
        picture = rows[0]["Output Image Urls"].replace("http://localhost:8000", stack.web)
        answer = requests.get(picture, timeout=30)
        assert answer.content[:2] == b"\xff\xd8"

        assert requests.get(f"{stack.web}/metrics", timeout=10).status_code == 401
        token = {"Authorization": "Bearer scrape-me"}
        assert (
            "imageproc_queue_images"
            in requests.get(f"{stack.web}/metrics", headers=token, timeout=10).text
        )
        done = 'imageproc_images_total{outcome="completed"} 12.0'
        assert done in requests.get(stack.metrics, timeout=10).text

        for name, process in {**worker, **rest}.items():
            process.terminate()
            assert process.wait(40) == 0, (tmp_path / f"{name}.log").read_text()
        lines = (tmp_path / "web.log").read_text().splitlines()
        assert [line for line in lines if not line.startswith("{")] == []


def test_static_files_come_with_the_image() -> None:
    """A volume would keep those of the first version that ran."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    [root] = set(re.findall(r"STATIC_ROOT=(\S+)", dockerfile))
    for name in OWN:
        service = compose()["services"][name]
        mounts = [m.split(":")[-2 if m.startswith("/data") else -1] for m in service["tmpfs"]]
        mounts += [volume.split(":")[1] for volume in service.get("volumes", [])]
        assert not any(root.startswith(mount) for mount in mounts)
        assert "/data" in mounts, f"{name} cannot write its metrics and spools"


def test_grafana_has_never_its_own_first_password() -> None:
    grafana = compose()["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
    assert grafana == "${GRAFANA_PASSWORD:-${METRICS_TOKEN}}"
