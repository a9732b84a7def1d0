"""Runs programs side by side in the foreground, and starts one again when it ends."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from imageproc.workers.lifeline import die_with_parent, set_process_name

logger = logging.getLogger(__name__)
HEALTHY_SECONDS = 5  # a program that ran for so long had started well
GIVE_UP = 6  # failed starts in a row
POLL_SECONDS = 0.1


@dataclass
class Program:
    """One child: ``name`` for people, ``command``, variables added to the environment.

    It gets a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone,
    which then asks each of them to stop.
    """

    name: str
    command: Sequence[str]
    env: dict[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = 0.0
    start_at: float = 0.0

    def start(self) -> None:
        parent = os.getpid()
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 -- commands of this project, no shell
            self.command,
            env=os.environ | self.env,
            pass_fds=self.pass_fds,
            process_group=0,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: die_with_parent(parent),
        )

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def backoff(self) -> float:
        """Seconds to the next start: at once after a good life, then 1, 2, 4, 8, 16."""
        lived = time.monotonic() - self.started_at
        self.failures = 1 if lived > HEALTHY_SECONDS else self.failures + 1
        return 0.0 if lived > HEALTHY_SECONDS else 2.0 ** (self.failures - 1)


class Supervisor:
    """Keeps ``programs`` running until SIGTERM or SIGINT; then each has ``grace`` seconds to end.

    A program that fails GIVE_UP starts in a row ends all with its exit code. Killed with SIGKILL,
    the supervisor takes the whole tree with it (lifeline). ``on_stop`` is called before the
    programs are asked to stop.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        grace: float,
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        self.programs = programs
        self.grace = grace
        self.on_stop = on_stop
        self.stopping = False
        self.exit_code = 0

    def run(self) -> int:
        set_process_name("supervisor")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        while not self.stopping:
            for program in self.programs:
                self._tend(program)
            time.sleep(POLL_SECONDS)
        self._stop()
        return self.exit_code

    def _ask_to_stop(self, *_: object) -> None:
        self.stopping = True

    def _tend(self, program: Program) -> None:
        if program.running() or self.stopping:
            return
        if program.process is not None:
            self._failed(program, program.process.returncode)
        if program.process is None and time.monotonic() >= program.start_at:
            program.start()

    def _failed(self, program: Program, code: int) -> None:
        delay = program.backoff()
        program.process, program.start_at = None, time.monotonic() + delay
        if program.failures < GIVE_UP:
            logger.error("%s ended (%s), starting it again in %g s", program.name, code, delay)
            return
        logger.error("%s ended (%s) %s times in a row, giving up", program.name, code, GIVE_UP)
        self.stopping = True
        self.exit_code = 128 - code if code < 0 else code or 1

    def _stop(self) -> None:
        self.on_stop()
        running = [program.process for program in self.programs if program.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self.grace
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.error("Process %s did not end in %g s, killed", process.pid, self.grace)  # noqa: TRY400
                process.kill()
                process.wait()
