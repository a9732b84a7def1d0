"""The uploaded file as it lies on the storage, read only if it is the one that was uploaded."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

from imageproc.faults import INPUT_CHANGED, INPUT_LOST, Fault
from imageproc.images import store
from imageproc.models import ProcessingRequest

# A file of up to so many bytes is read once, a longer one twice: to judge it, then to use it.
IN_MEMORY = 8 * 1024 * 1024
BLOCK = 1 << 20


class InputLostError(FileNotFoundError):
    """The file is gone, or another one lies in its place: no retry can help. ``fault``: which."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


def open_checked(request: ProcessingRequest) -> BinaryIO:
    """The file at its start, once its size and SHA-256 were found to be those of the upload.

    Raises InputLostError, or store.StoreError while the storage is away. Before the first row is
    used, because rows of another file must not become images, or lines of an output.
    """
    try:
        stream, size, sha256 = _judged(request.input_csv)
    except FileNotFoundError as error:
        raise InputLostError(INPUT_LOST) from error
    expected = (request.input_size, request.input_sha256)
    if request.input_size is not None and (size, sha256) != expected:
        stream.close()
        raise InputLostError(INPUT_CHANGED.because(f"{size} bytes, SHA-256 {sha256}"))
    return stream


def _judged(key: str) -> tuple[BinaryIO, int, str]:
    """The object at its start, with its bytes and its SHA-256 in hex."""
    with store.open_read(key) as stream:
        head = stream.read(IN_MEMORY)
        size, digest = len(head), hashlib.sha256(head)
        while block := stream.read(BLOCK):
            size += len(block)
            digest.update(block)
    whole = io.BytesIO(head) if size == len(head) else store.open_read(key)
    return whole, size, digest.hexdigest()
