"""The result of a write, the rules for keys, and the faults that stand for storage errors."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from imageproc.faults import INTERNAL, STORAGE_FAILED, Fault

# The limit of S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES = 1024
# Names that start with this are writes in progress (store/files.py), never objects.
PARTIAL = ".partial-"
_SEGMENT = re.compile(r"[^/\\\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Stored:
    """A whole, durable object. ``size`` in bytes; ``sha256`` in hex, of the bytes that were
    passed."""

    key: str
    size: int
    sha256: str


class StoreError(Exception):
    """The storage could not be read or changed. ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail or fault.message)
        self.fault = fault


class BadKeyError(ValueError):
    """A key that could escape its folder, or that a storage cannot hold."""


class MismatchError(Exception):
    """The storage holds something other than what was sent."""


# All errors of a storage that are not bugs of ours.
STORE_ERRORS = (BotoCoreError, ClientError, OSError, BadKeyError, MismatchError, StoreError)


def checked_key(key: str) -> str:
    """``key`` itself; BadKeyError unless it is a relative path of plain segments."""
    segments = key.split("/")
    legal = len(key.encode(errors="replace")) <= MAX_KEY_BYTES and all(
        _SEGMENT.fullmatch(part) and part not in (".", "..") and not part.startswith(PARTIAL)
        for part in segments
    )
    if not legal:
        raise BadKeyError(f"not a storage key: {key[:100]!r}")
    return key


def as_fault(error: Exception) -> Fault:
    """The fault of one of STORE_ERRORS.

    Its detail is a code, never the library's message, which may name addresses.
    """
    if isinstance(error, StoreError):
        return error.fault
    if isinstance(error, BadKeyError):
        return INTERNAL.because("bad storage key")
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {}).get("Code", "?")
        return STORAGE_FAILED.because(f"{error.operation_name}: {answer}")
    if isinstance(error, MismatchError):
        return STORAGE_FAILED.because(f"mismatch: {error}")
    if isinstance(error, OSError) and error.errno is not None:
        return STORAGE_FAILED.because(errno.errorcode.get(error.errno, str(error.errno)))
    return STORAGE_FAILED.because(type(error).__name__)


@contextmanager
def raising_store_errors() -> Iterator[None]:
    """Turn what a storage raises into StoreError; FileNotFoundError stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except STORE_ERRORS as error:
        raise StoreError(as_fault(error)) from error
