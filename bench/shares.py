"""Each part's share of the processor, as docker-compose.yml sets it.

A container engine puts each container in a control group of its own. Between two groups only their
shares count; *nice* is a rank among the processes of one. Without groups Linux gives each session a
share (autogroups, sched(7)), and each of PostgreSQL's backends is a session: nobody's deployment.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from bench.ground import ROOT, Ground

MOUNT = Path("/sys/fs/cgroup")
EQUAL = 1024  # the share of a container for which none is set
# A part in docker-compose.yml → a word of its command, among the children of `manage.py up`.
PROGRAMS = {"web": "gunicorn", "worker": "images", "control": "control"}


@dataclass(frozen=True)
class Groups:
    """Where control groups are made (https://docs.kernel.org/admin-guide/cgroup-v2.html), in
    version 1 or 2; ``root`` is the group that everything starts in."""

    root: Path
    version: int

    @classmethod
    def of(cls, mount: Path = MOUNT) -> Groups | None:
        """None where the processor is not shared by groups."""
        if (mount / "cpu" / "cpu.shares").exists():
            return cls(mount / "cpu", 1)
        controllers = mount / "cgroup.subtree_control"
        if controllers.exists() and "cpu" in controllers.read_text().split():
            return cls(mount, 2)
        return None

    @contextmanager
    def holding(self, pids: list[int], share: int) -> Iterator[Path]:
        """A group of these processes and of the children that they will have."""
        group = Path(tempfile.mkdtemp(prefix="bench-", dir=self.root))
        try:
            self.weigh(group, share)
            _move(pids, group)
            yield group
        finally:
            while held := (group / "cgroup.procs").read_text().split():  # one may be forked now
                _move(held, self.root)
            group.rmdir()

    def weigh(self, group: Path, share: int) -> None:
        """In version 2 an equal weighs 100."""
        if self.version == 1:
            (group / "cpu.shares").write_text(str(share))
        else:
            (group / "cpu.weight").write_text(str(max(1, share * 100 // EQUAL)))


@contextmanager
def in_force(ground: Ground) -> Iterator[bool]:
    """Apply the shares. Yields False if this machine allows no control groups."""
    groups, made, share_of = Groups.of(), False, shares()
    with ExitStack() as stack:
        if groups:
            with suppress(OSError):  # read-only, or not ours to change
                for part, pids in _parts(ground).items():
                    stack.enter_context(groups.holding(pids, share_of.get(part, EQUAL)))
                made = True
        yield made


def shares() -> dict[str, int]:
    """The share of each part of docker-compose.yml."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return {name: service.get("cpu_shares", EQUAL) for name, service in services.items()}


def _parts(ground: Ground) -> dict[str, list[int]]:
    """Part → its processes. The origins and this very process, the client, stand for the world."""
    own = psutil.Process(ground.service.pid).children()
    parts = {
        part: [pid for each in own if word in " ".join(each.cmdline()) for pid in _tree(each.pid)]
        for part, word in PROGRAMS.items()
    }
    world = [os.getpid(), *_tree(ground.near.pid), *_tree(ground.far.pid)]
    servers = {"postgres": _tree(ground.postgres.pid), "s3": _tree(ground.seaweed.pid)}
    return parts | servers | {"world": world}


def _tree(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _move(pids: Iterable[int | str], group: Path) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended
            (group / "cgroup.procs").write_text(str(pid))
