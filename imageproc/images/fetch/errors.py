"""Turns the exceptions of an exchange into Faults."""

from __future__ import annotations

import ssl
from dataclasses import replace
from http.client import HTTPException, IncompleteRead

from urllib3.exceptions import DecodeError, HTTPError

from imageproc.faults import (
    CONNECT_FAILED,
    FETCH_INTERRUPTED,
    FETCH_TIMEOUT,
    HOST_ERROR,
    TLS_FAILED,
    TLS_TOO_OLD,
    Fault,
)

# OpenSSL's names for "we have nothing in common that is still safe" (openssl/sslerr.h).
_TOO_OLD = frozenset(
    {
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "NO_PROTOCOLS_AVAILABLE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        "UNSUPPORTED_PROTOCOL",
        "VERSION_TOO_LOW",
        "WRONG_CIPHER_RETURNED",
        "WRONG_SIGNATURE_TYPE",
        "WRONG_SSL_VERSION",
    }
)
# X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY and …_VERIFY_LEAF_SIGNATURE
_ISSUER_UNKNOWN = frozenset({20, 21})
_INCOMPLETE = replace(
    TLS_FAILED,
    message="The host's security certificate is of an unknown issuer, or the host leaves out the "
    "issuer's own (intermediate) certificate.",
    remedy="Ask the host's owner to install the complete certificate chain.",
)


class FetchError(Exception):
    """Ends an exchange with a Fault; passes through urllib3 and http.client unchanged."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code, fault.detail)
        self.fault = fault


# What http.client, urllib3 and its decoders can raise while they read a response.
ERRORS = (FetchError, HTTPError, HTTPException, OSError, ValueError, EOFError)


def fault_of(error: Exception) -> Fault:
    """The Fault of anything that an exchange raised.

    By the kind of the error: its text may hold the URL with its query.
    """
    if isinstance(error, DecodeError):
        return HOST_ERROR.because("the body is not in the encoding that its header names")
    cause = _cause(error)
    if isinstance(cause, FetchError):
        return cause.fault
    if isinstance(cause, ssl.SSLError):
        return _tls_fault(cause)
    kind = type(cause).__name__
    if isinstance(cause, TimeoutError):
        return FETCH_TIMEOUT.because(kind)
    if isinstance(cause, OSError | IncompleteRead):
        return FETCH_INTERRUPTED.because(kind)
    return HOST_ERROR.because(f"not a valid HTTP answer: {kind}")


def _cause(error: BaseException) -> BaseException:
    """The error that urllib3 wrapped."""
    inner = next((arg for arg in error.args if isinstance(arg, BaseException)), error.__cause__)
    return _cause(inner) if inner is not None and isinstance(error, HTTPError) else error


def _tls_fault(error: ssl.SSLError) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        unknown = error.verify_code in _ISSUER_UNKNOWN
        return (_INCOMPLETE if unknown else TLS_FAILED).because(error.verify_message)
    if error.reason in _TOO_OLD:
        return TLS_TOO_OLD.because(error.reason)
    return CONNECT_FAILED.because(f"TLS: {error.reason or type(error).__name__}")
