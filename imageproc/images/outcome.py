"""How an attempt at an image ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from imageproc.faults import Fault
from imageproc.images.job import Job
from imageproc.models import Change


@dataclass(frozen=True, slots=True)
class Done:
    """The stored object is whole; these are its facts. Sizes in bytes and pixels, times in ms.

    ``asked_at``: when its host was asked, by the monotonic clock; ``asked``: False where what is
    known was used without asking. ``picture_id``: of the picture that was found unchanged, None for
    one that was made now. ``etag``, ``last_modified``: the source's validators, "" without one.
    """

    job: Job
    output_key: str
    output_size: int
    output_sha256: str
    content_type: str
    width: int
    height: int
    input_size: int
    source_sha256: str
    kept_original: bool = False
    original_key: str = ""
    fetch_ms: int = 0
    compress_ms: int = 0
    store_ms: int = 0
    change: str = Change.NEW.value
    picture_id: UUID | None = None
    etag: str = ""
    last_modified: str = ""
    asked: bool = True
    asked_at: float = field(default_factory=time.monotonic)
    code: ClassVar[str] = ""

    @property
    def steps(self) -> dict[str, int]:
        return {"fetch": self.fetch_ms, "compress": self.compress_ms, "store": self.store_ms}


@dataclass(frozen=True, slots=True)
class Failed:
    job: Job
    fault: Fault
    milliseconds: int = 0
    asked_at: float = field(default_factory=time.monotonic)
    steps: ClassVar[dict[str, int]] = {}
    asked: ClassVar[bool] = True

    @property
    def code(self) -> str:
        return self.fault.code


@dataclass(frozen=True, slots=True)
class Deferred(Failed):
    """The host is to blame: it uses up no attempt of the image. ``picked_out``: the host was giving
    others when it refused this one, or refused it as the probe. From the second time on that counts
    as an attempt, because it may be the image after all."""

    picked_out: bool = False


Outcome = Done | Failed
