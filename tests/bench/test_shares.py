"""The benchmark's parts get the processor as the compose file's containers do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.shares import Groups, shares

PARENT = "import subprocess, sys; sys.stdin.readline(); subprocess.run(['sleep', '60'])"


def test_image_workers_weigh_what_their_nice_value_says() -> None:
    """kernel/sched/core.c, sched_prio_to_weight: nice 0 weighs 1024, nice 10 weighs 110."""
    told = shares()
    assert told["worker"] == 128
    assert {told[name] for name in ("web", "control", "postgres", "s3")} == {1024}


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"cpu/cpu.shares": "1024"}, 1),
        ({"cgroup.subtree_control": "cpuset cpu io memory pids\n"}, 2),
        ({"cgroup.subtree_control": "cpuset memory pids\n"}, None),
        ({}, None),
    ],
)
def test_both_versions_are_found(
    tmp_path: Path, files: dict[str, str], version: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    groups = Groups.of(tmp_path)
    assert (groups and groups.version) == version


@pytest.mark.parametrize(
    ("version", "file", "value"), [(1, "cpu.shares", "128"), (2, "cpu.weight", "12")]
)
def test_a_share_is_told_in_the_versions_own_unit(
    tmp_path: Path, version: int, file: str, value: str
) -> None:
    Groups(tmp_path, version).weigh(tmp_path, 128)
    assert (tmp_path / file).read_text() == value


def test_processes_are_held_with_their_children_and_let_go() -> None:
    """On the kernel's own groups, where they may be made; elsewhere that is an OSError."""
    groups = Groups.of()
    if groups is None or not _may_be_made(groups):
        with pytest.raises(OSError, match="/sys/bench-"), Groups(Path("/sys"), 1).holding([], 128):
            pass
        return
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE) as parent:
        with groups.holding([parent.pid, 2**22], 128) as group:  # nobody has the second
            assert parent.stdin
            parent.stdin.write(b"\n")
            parent.stdin.flush()
            while len(held := (group / "cgroup.procs").read_text().split()) < 2:
                assert parent.poll() is None
            assert str(parent.pid) in held
        assert not group.exists()
        assert set(held) <= set((groups.root / "cgroup.procs").read_text().split())
        for pid in held:
            subprocess.run(["kill", pid], check=True)


def _may_be_made(groups: Groups) -> bool:
    try:
        (groups.root / "probe").mkdir()
    except OSError:
        return False
    (groups.root / "probe").rmdir()
    return True
