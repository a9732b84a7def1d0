"""The threads of a pump: how many images are in hand at once, and how far each has come.

Fetching waits for the network, compressing fills a core: a crew fetches ahead just enough that
its one compressor never waits, whatever the hosts' latency and the images' size.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from imageproc.images.job import Job
from imageproc.images.outcome import Outcome
from imageproc.images.watch import watch

# A fetch that lasts longer waits for a slow host: it no longer counts against the window, so that
# slow hosts do not hold the others.
STALL_SECONDS = 1.0
# Threads at the most, stalled ones included: 64 kB of stack each in practice.
MAX_THREADS = 192
MIN_WINDOW = 4
FIRST_WINDOW = 12
MAX_WINDOW = 96
# Fetched images that wait for the compressor: above ENOUGH_READY the window narrows, at MOST_READY
# no fetch begins. The two differ, or fetches would come in bursts, and a compressor that meets
# small pictures would wait for the next burst. More would only cost memory.
ENOUGH_READY = 4
MOST_READY = 8
# Images that end within this time are handed over together.
GATHER_SECONDS = 0.02


class Step(Enum):
    FETCH = "fetch"
    WAIT = "wait"
    COMPRESS = "compress"
    STORE = "store"


class Dropped(Exception):  # noqa: N818
    """The pump has taken the image back: its thread stops without an outcome."""


@dataclass(slots=True)
class InHand:
    """A job and where it stands. Written by its own thread, read by the main one."""

    job: Job
    step: Step = Step.FETCH
    asked_at: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.monotonic)
    cpu: float = 0.0
    # Set when the pump has given the job back: the thread stops at its next step.
    dropped: bool = False

    def enter(self, step: Step) -> None:
        """Begin a step; raises Dropped."""
        self.go_on()
        # The step last: a reader in between must not count the old time for the new step.
        self.since = time.monotonic()
        if step is Step.COMPRESS:
            self.cpu = time.process_time()  # a system call that asks every thread
        self.step = step

    def go_on(self) -> None:
        """Raises Dropped once the pump has taken the image back."""
        if self.dropped:
            raise Dropped

    def milliseconds(self) -> int:
        """Since the step began."""
        return round((time.monotonic() - self.since) * 1000)

    def lasts(self, step: Step, seconds: float) -> bool:
        """Whether it has been in this step for longer than ``seconds``."""
        return self.step is step and time.monotonic() - self.since > seconds

    def burns(self, seconds: float) -> bool:
        """Whether this process has used ``seconds`` of CPU since the image is in the codec: unlike
        the clock, that stands still while the process is paused or waits for a busy machine."""
        return self.step is Step.COMPRESS and time.process_time() - self.cpu > seconds


class Crew:
    """Runs ``work(in_hand)`` on daemon threads: a hung one never keeps the process alive."""

    def __init__(self, work: Callable[[InHand], list[Outcome]]) -> None:
        self._work = work
        self._todo: queue.SimpleQueue[InHand | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[UUID, list[Outcome]]] = queue.SimpleQueue()
        self._threads = 0
        self._window = FIRST_WINDOW
        self.in_hand: dict[UUID, InHand] = {}

    def start(self, job: Job) -> None:
        self.in_hand[job.image_id] = in_hand = InHand(job)
        self._todo.put(in_hand)
        if self._threads < min(len(self.in_hand), MAX_THREADS):
            threading.Thread(target=self._run, daemon=True).start()
            self._threads += 1

    def finished(self, wait: float) -> list[Outcome]:
        """Outcomes of the images that have ended, the first within ``wait`` seconds. Waits a moment
        for more, so that small images do not each cost the pump a turn. Adjusts the window."""
        ended: list[tuple[UUID, list[Outcome]]] = []
        with suppress(queue.Empty):
            ended.append(self._done.get(timeout=wait))
            if wait:
                time.sleep(GATHER_SECONDS)
            while True:
                ended.append(self._done.get_nowait())
        for image_id, _ in ended:
            self.in_hand.pop(image_id, None)
        self._adjust(len(ended))
        return [outcome for _, outcomes in ended for outcome in outcomes]

    def room(self) -> int:
        """How many more jobs to start now."""
        active = sum(not x.lasts(Step.FETCH, STALL_SECONDS) for x in self.in_hand.values())
        if self._ready() >= MOST_READY:
            return 0
        return max(0, min(self._window - active, MAX_THREADS - len(self.in_hand)))

    def in_codec(self) -> InHand | None:
        """What is being compressed: at most one image a process."""
        return next((x for x in self.in_hand.values() if x.step is Step.COMPRESS), None)

    def busy_hosts(self) -> set[str]:
        """Hosts with as many images in hand as they may have connections."""
        counts = Counter(x.job.host for x in self.in_hand.values())
        most = watch.most_connections()
        return {host for host, count in counts.items() if count >= most}

    def connections(self) -> Counter[str]:
        """Images that are being fetched, by host."""
        return Counter(x.job.host for x in self.in_hand.values() if x.step is Step.FETCH)

    def drop(self) -> list[Job]:
        """Give up all that is in hand; the threads end by themselves."""
        for in_hand in self.in_hand.values():
            in_hand.dropped = True
        jobs = [in_hand.job for in_hand in self.in_hand.values()]
        self.in_hand.clear()
        return jobs

    def dismiss(self) -> None:
        for _ in range(self._threads):
            self._todo.put(None)

    def _ready(self) -> int:
        return sum(x.step is Step.WAIT for x in self.in_hand.values())

    def _adjust(self, ended: int) -> None:
        """Fetch further ahead while the compressor finds nothing ready, less when it piles up: by
        one for each image that ended."""
        ready = self._ready()
        if ready == 0:
            self._window = min(MAX_WINDOW, self._window + ended)
        elif ready > ENOUGH_READY:
            self._window = max(MIN_WINDOW, self._window - ended)

    def _run(self) -> None:
        while (in_hand := self._todo.get()) is not None:
            self._done.put((in_hand.job.image_id, self._work(in_hand)))
