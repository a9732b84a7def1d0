"""Opens the stored upload, after checking that it still is the file that was uploaded."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

from imageproc.faults import INPUT_CHANGED, INPUT_LOST, Fault
from imageproc.images import store
from imageproc.models import ProcessingRequest

# A longer file is read twice: once to check it, once to use it.
IN_MEMORY = 8 * 1024 * 1024
BLOCK = 1 << 20


class InputLostError(FileNotFoundError):
    """The file is gone or was changed, which no retry can help. ``fault`` says which."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


def open_checked(request: ProcessingRequest) -> BinaryIO:
    """The file, positioned at its start, if its size and SHA-256 are those of the upload.

    All of it is checked before the first row is used, because rows of another file must become
    neither images nor output. Raises InputLostError, or store.StoreError while the storage is down.
    """
    try:
        stream, size, sha256 = _measure(request.input_csv)
    except FileNotFoundError as error:
        raise InputLostError(INPUT_LOST) from error
    expected = (request.input_size, request.input_sha256)
    if request.input_size is not None and (size, sha256) != expected:
        stream.close()
        raise InputLostError(INPUT_CHANGED.because(f"{size} bytes, SHA-256 {sha256}"))
    return stream


def _measure(key: str) -> tuple[BinaryIO, int, str]:
    """The object, positioned at its start, its size in bytes and its SHA-256 in hex."""
    with store.open_read(key) as stream:
        head = stream.read(IN_MEMORY)
        size, digest = len(head), hashlib.sha256(head)
        while block := stream.read(BLOCK):
            size += len(block)
            digest.update(block)
    whole = io.BytesIO(head) if size == len(head) else store.open_read(key)
    return whole, size, digest.hexdigest()
