"""Everything that can go wrong with an image or a request, as values.

A fault is a stable code, a sentence for the person who owns the catalogue, a remedy if there is
one, and the retry decision. Fetch, codec and storage *return* faults; whether to retry is decided
only by ``permanent``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class HostSign(Enum):
    """What a fault says about its host, beside the image."""

    SLOW_DOWN = "slow down"
    # Several in a row: the host is down.
    NO_ANSWER = "no answer"
    # Several in a row after many pictures: the host refuses us, not the image.
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an image or a request failed.

    ``code``: stable, snake_case, safe as a metric label. ``message``: one plain sentence.
    ``remedy``: what the reader can do, or "". ``permanent``: no retry can help.
    ``retry_after``: seconds that the host asked us to wait, or None. ``detail``: for operators
    and logs; never a secret or a URL's query. ``sign``: what it may say about the host.
    """

    code: str
    message: str
    remedy: str = ""
    permanent: bool = True
    retry_after: float | None = None
    detail: str = ""
    sign: HostSign | None = None

    def because(self, detail: str, *, retry_after: float | None = None) -> Fault:
        """The same fault with the details of this case."""
        return replace(self, detail=detail[:500], retry_after=retry_after)

    @property
    def sentence(self) -> str:
        """Message and remedy as one line of text."""
        return f"{self.message} {self.remedy}".strip()


def _permanent(code: str, message: str, remedy: str = "", sign: HostSign | None = None) -> Fault:
    return Fault(code, message, remedy, permanent=True, sign=sign)


def _transient(code: str, message: str, remedy: str = "", sign: HostSign | None = None) -> Fault:
    return Fault(code, message, remedy, permanent=False, sign=sign)


# The address, judged before connecting.
URL_INVALID = _permanent(
    "url_invalid", "This is not a web address we can read.", "Use a full http:// or https:// link."
)
ADDRESS_FORBIDDEN = _permanent(
    "address_forbidden",
    "The link leads to a private or reserved network address.",
    "Use a link that is reachable from the public internet.",
)
PORT_FORBIDDEN = _permanent(
    "port_forbidden",
    "The link uses a network port that is not allowed.",
    "Use a port that this service allows.",
)
# The network.
DNS_FAILED = _transient(
    "dns_failed", "The host name could not be found.", "Check the spelling of the link's host."
)
CONNECT_FAILED = _transient(
    "connect_failed", "The host did not accept the connection.", sign=HostSign.NO_ANSWER
)
TLS_FAILED = _permanent(
    "tls_failed",
    "The host's security certificate is not valid.",
    "Ask the host's owner to renew it.",
)
TLS_TOO_OLD = _permanent(
    "tls_too_old",
    "The host's encryption is too old to be safe.",
    "Ask the host's owner to offer TLS 1.2 or newer.",
)
FETCH_TIMEOUT = _transient(
    "fetch_timeout", "The host took too long to send the image.", sign=HostSign.NO_ANSWER
)
FETCH_INTERRUPTED = _transient(
    "fetch_interrupted",
    "The connection broke before the image was whole.",
    sign=HostSign.NO_ANSWER,
)
TOO_MANY_REDIRECTS = _permanent(
    "too_many_redirects", "The link forwards too many times.", "Use the image's final address."
)
# The host's answer.
NOT_FOUND = _permanent(
    "not_found", "The host says that there is no such image.", "Check the link in a browser."
)
ACCESS_DENIED = _permanent(
    "access_denied",
    "The host refuses to show this image.",
    "Check that the link is public and needs no sign-in.",
    sign=HostSign.DENIED,
)
HTTP_REFUSED = _permanent("http_refused", "The host refused the request.")
NOT_READY = _transient("not_ready", "The host says that this image is not ready yet.")
HOST_BUSY = _transient("host_busy", "The host asked us to slow down.", sign=HostSign.SLOW_DOWN)
HOST_ERROR = _transient(
    "host_error", "The host failed to answer the request.", sign=HostSign.NO_ANSWER
)
HOST_DOWN = _permanent(
    "host_down",
    "The host gave no image for a long time.",
    "Retry these images once the host works again.",
)
TOO_LARGE = _permanent(
    "too_large", "The file is larger than the limit.", "Upload a smaller version of the image."
)
EMPTY_BODY = _permanent("empty_body", "The host sent an empty file.")
HTML_NOT_IMAGE = _permanent(
    "html_not_image",
    "The host answered with an HTML page, not an image.",
    "Check that the link is public and points at the picture itself.",
)
# The file.
NOT_AN_IMAGE = _permanent(
    "not_an_image", "The file is not an image.", "Check that the link points at the picture itself."
)
FORMAT_UNSUPPORTED = _permanent(
    "format_unsupported",
    "This kind of file is not supported.",
    "Save it as an ordinary JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF or HEIC.",
)
TOO_MANY_PIXELS = _permanent(
    "too_many_pixels", "The image has more pixels than the limit.", "Use a smaller version of it."
)
TOO_COMPLEX = _permanent(
    "too_complex",
    "The image is built in a way that costs too much to open.",
    "Save it again as an ordinary JPEG or PNG.",
)
IMAGE_TRUNCATED = _permanent(
    "image_truncated", "The image file is cut off.", "Upload the whole file to the host again."
)
IMAGE_CORRUPT = _permanent(
    "image_corrupt", "The image file is damaged.", "Export the image again and replace the file."
)
TOO_MUCH_MEMORY = _permanent(
    "too_much_memory",
    "The image needs more memory to open than a worker may use.",
    "Use a smaller version of it.",
)
TOO_SLOW = _permanent(
    "too_slow",
    "The image took too long to process.",
    "Save it again as an ordinary JPEG or PNG.",
)
CANNOT_ENCODE = _permanent(
    "cannot_encode",
    "The image cannot be written in this format within the limits of time, memory or bytes.",
    "Choose a smaller size or a lower quality, or JPEG where the format is another.",
)
# Our side.
STORAGE_FAILED = _transient("storage_failed", "The result could not be stored.")
WORKER_DIED = _permanent(
    "worker_died",
    "Processing this image stopped the worker three times.",
    "Save it again as an ordinary JPEG or PNG.",
)
INGEST_DIED = _permanent(
    "ingest_died",
    "Reading this file stopped the worker five times.",
    "Save it again as CSV, or upload it in smaller parts.",
)
# A request as a whole.
INPUT_LOST = _permanent(
    "input_lost", "The uploaded file is no longer on the storage.", "Upload it again."
)
INPUT_CHANGED = _permanent(
    "input_changed", "The stored file is not the one that was uploaded.", "Upload it again."
)
INPUT_UNREADABLE = _permanent(
    "input_unreadable",
    "The stored file cannot be read again as it was when it was accepted.",
    "Save it again as CSV and upload it.",
)
COMPLETION_DIED = _permanent(
    "completion_died",
    "Writing the output file stopped the worker five times.",
    "The images that are done can still be downloaded; upload the rest in smaller parts.",
)
CLOSING_DIED = _permanent(
    "closing_died", "Ending the open images of this request stopped the worker five times."
)
REMOVAL_DIED = _permanent(
    "removal_died",
    "Removing this request stopped the worker five times.",
    "Some of its files may be left on the storage.",
)
DELIVERY_DIED = _permanent(
    "delivery_died",
    "Sending this message stopped the worker again and again.",
    "Send it again once the cause is fixed.",
)
INTERNAL = _transient("internal", "Something went wrong on our side.")

CATALOGUE: dict[str, Fault] = {
    value.code: value for value in list(globals().values()) if isinstance(value, Fault)
}


def by_code(code: str) -> Fault:
    """The fault with this stored ``code``; INTERNAL for a code that no longer exists."""
    return CATALOGUE.get(code, INTERNAL)
