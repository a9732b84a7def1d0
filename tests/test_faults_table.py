"""Every reason for failing, to the letter: what catalogues, programs and retries build on.

A new fault is added here, too; a changed code is a change for every client.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from imageproc.faults import CATALOGUE, INTERNAL, by_code

# code: (permanent, message, remedy)
TABLE: dict[str, tuple[bool, str, str]] = {
    "url_invalid": (
        True,
        "This is not a web address we can read.",
        "Use a full http:// or https:// link.",
    ),
    "address_forbidden": (
        True,
        "The link leads to a private or reserved network address.",
        "Use a link that is reachable from the public internet.",
    ),
    "port_forbidden": (
        True,
        "The link uses a network port that is not allowed.",
        "Use a port that this service allows.",
    ),
    "dns_failed": (
        False,
        "The host name could not be found.",
        "Check the spelling of the link's host.",
    ),
    "connect_failed": (
        False,
        "The host did not accept the connection.",
        "",
    ),
    "tls_failed": (
        True,
        "The host's security certificate is not valid.",
        "Ask the host's owner to renew it.",
    ),
    "tls_too_old": (
        True,
        "The host's encryption is too old to be safe.",
        "Ask the host's owner to offer TLS 1.2 or newer.",
    ),
    "fetch_timeout": (
        False,
        "The host took too long to send the image.",
        "",
    ),
    "fetch_interrupted": (
        False,
        "The connection broke before the image was whole.",
        "",
    ),
    "too_many_redirects": (
        True,
        "The link forwards too many times.",
        "Use the image's final address.",
    ),
    "not_found": (
        True,
        "The host says that there is no such image.",
        "Check the link in a browser.",
    ),
    "access_denied": (
        True,
        "The host refuses to show this image.",
        "Check that the link is public and needs no sign-in.",
    ),
    "http_refused": (
        True,
        "The host refused the request.",
        "",
    ),
    "not_ready": (
        False,
        "The host says that this image is not ready yet.",
        "",
    ),
    "host_busy": (
        False,
        "The host asked us to slow down.",
        "",
    ),
    "host_error": (
        False,
        "The host failed to answer the request.",
        "",
    ),
    "host_down": (
        True,
        "The host gave no image for a long time.",
        "Retry these images once the host works again.",
    ),
    "too_large": (
        True,
        "The file is larger than the limit.",
        "Upload a smaller version of the image.",
    ),
    "empty_body": (
        True,
        "The host sent an empty file.",
        "",
    ),
    "html_not_image": (
        True,
        "The host answered with an HTML page, not an image.",
        "Check that the link is public and points at the picture itself.",
    ),
    "not_an_image": (
        True,
        "The file is not an image.",
        "Check that the link points at the picture itself.",
    ),
    "format_unsupported": (
        True,
        "This kind of file is not supported.",
        "Save it as an ordinary JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF or HEIC.",
    ),
    "too_many_pixels": (
        True,
        "The image has more pixels than the limit.",
        "Use a smaller version of it.",
    ),
    "too_complex": (
        True,
        "The image is built in a way that costs too much to open.",
        "Save it again as an ordinary JPEG or PNG.",
    ),
    "image_truncated": (
        True,
        "The image file is cut off.",
        "Upload the whole file to the host again.",
    ),
    "image_corrupt": (
        True,
        "The image file is damaged.",
        "Export the image again and replace the file.",
    ),
    "too_much_memory": (
        True,
        "The image needs more memory to open than a worker may use.",
        "Use a smaller version of it.",
    ),
    "too_slow": (
        True,
        "The image took too long to process.",
        "Save it again as an ordinary JPEG or PNG.",
    ),
    "cannot_encode": (
        True,
        "The image cannot be written in this format within the limits of time, memory or bytes.",
        "Choose a smaller size or a lower quality, or JPEG where the format is another.",
    ),
    "storage_failed": (
        False,
        "The result could not be stored.",
        "",
    ),
    "worker_died": (
        True,
        "Processing this image stopped the worker three times.",
        "Save it again as an ordinary JPEG or PNG.",
    ),
    "ingest_died": (
        True,
        "Reading this file stopped the worker five times.",
        "Save it again as CSV, or upload it in smaller parts.",
    ),
    "input_lost": (
        True,
        "The uploaded file is no longer on the storage.",
        "Upload it again.",
    ),
    "input_changed": (
        True,
        "The stored file is not the one that was uploaded.",
        "Upload it again.",
    ),
    "input_unreadable": (
        True,
        "The stored file cannot be read again as it was when it was accepted.",
        "Save it again as CSV and upload it.",
    ),
    "completion_died": (
        True,
        "Writing the output file stopped the worker five times.",
        "The images that are done can still be downloaded; upload the rest in smaller parts.",
    ),
    "closing_died": (
        True,
        "Ending the open images of this request stopped the worker five times.",
        "",
    ),
    "removal_died": (
        True,
        "Removing this request stopped the worker five times.",
        "Some of its files may be left on the storage.",
    ),
    "delivery_died": (
        True,
        "Sending this message stopped the worker again and again.",
        "Send it again once the cause is fixed.",
    ),
    "internal": (
        False,
        "Something went wrong on our side.",
        "",
    ),
}
# What a fault says of its host; the others say nothing.
SIGNS = {
    "connect_failed": "no answer",
    "fetch_timeout": "no answer",
    "fetch_interrupted": "no answer",
    "access_denied": "denied",
    "host_busy": "slow down",
    "host_error": "no answer",
}


def test_what_a_fault_says_of_its_host() -> None:
    found = {code: fault.sign.value for code, fault in CATALOGUE.items() if fault.sign}
    assert found == SIGNS


@pytest.mark.parametrize(("code", "facts"), TABLE.items())
def test_a_fault(code: str, facts: tuple[bool, str, str]) -> None:
    fault = CATALOGUE[code]
    assert (fault.code, (fault.permanent, fault.message, fault.remedy)) == (code, facts)
    assert fault.sentence == f"{facts[1]} {facts[2]}".strip()
    assert (fault.detail, fault.retry_after) == ("", None)
    assert by_code(code) is fault


def test_the_table_is_whole() -> None:
    assert set(CATALOGUE) == set(TABLE)
    assert len({fault.message for fault in CATALOGUE.values()}) == len(TABLE)


def test_a_code_of_an_older_version_is_an_internal_error() -> None:
    assert by_code("no_such_code") is INTERNAL
    assert by_code("") is INTERNAL


@pytest.mark.parametrize("code", TABLE)
def test_what_was_seen_changes_nothing_else(code: str) -> None:
    fault = CATALOGUE[code]
    seen = fault.because("x" * 501, retry_after=7.0)
    assert seen == replace(fault, retry_after=7.0, detail="x" * 500)
    assert fault.because("y").retry_after is None
    assert len(code) <= 40
    assert code.replace("_", "").isalpha()
    assert code == code.lower()
