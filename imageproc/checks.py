"""Refuses to start with settings that are unsafe or cannot work.

Django runs these checks before every management command (`up`, `worker` …); config/wsgi.py runs
them for web servers that were started in another way. Each error says what to change.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register, run_checks
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from imageproc.images.fetch.addresses import METADATA

TAG = "imageproc"
# RFC 2104, 3 asks for a key no shorter than the hash's output; Django's own check asks for 50.
SECRET_LENGTH, SECRET_VARIETY = 50, 5
MIN_LEASE_SECONDS = 2

Rule = Callable[[], Iterator[CheckMessage]]


def refuse_unsafe() -> None:
    """Raises ImproperlyConfigured with every error of this module."""
    errors = [str(found) for found in run_checks(tags=[TAG]) if found.is_serious()]
    if errors:
        raise ImproperlyConfigured("Unsafe settings.\n" + "\n".join(errors))


@register(TAG)
def check_settings(app_configs: Sequence[Any] | None, **options: Any) -> list[CheckMessage]:
    return [message for rule in RULES for message in rule()]


def _anonymous_access() -> Iterator[CheckMessage]:
    if settings.API_ANONYMOUS and not settings.DEBUG:
        yield Error(
            "API_ANONYMOUS lets callers in without a key.",
            hint="It is for a laptop: unset it, and make keys with `manage.py apikey create`.",
            id="imageproc.E001",
        )


def _debug() -> Iterator[CheckMessage]:
    if settings.PRODUCTION and settings.DEBUG:
        yield Error(
            "DEBUG shows settings and source code to anyone who causes an error.",
            hint="Unset DEBUG; or unset SECRET_KEY, if this is a laptop.",
            id="imageproc.E002",
        )


def _secret_key() -> Iterator[CheckMessage]:
    key = settings.SECRET_KEY
    if len(key) < SECRET_LENGTH or len(set(key)) < SECRET_VARIETY:
        yield Error(
            f"SECRET_KEY is shorter than {SECRET_LENGTH} characters or not random.",
            hint="python3 -c 'import secrets; print(secrets.token_urlsafe(50))'",
            id="imageproc.E003",
        )


def _hosts() -> Iterator[CheckMessage]:
    if not settings.DEBUG and {"*", ""} & set(settings.ALLOWED_HOSTS):
        yield Error(
            "ALLOWED_HOSTS accepts any host: others could make links and redirects lead elsewhere.",
            hint="Name the hosts under which the service is reached.",
            id="imageproc.E004",
        )


def _https() -> Iterator[CheckMessage]:
    if not settings.PRODUCTION:
        return
    if settings.HTTPS and not settings.NUM_PROXIES:
        yield Error(
            "HTTPS is on, but no proxy that ends TLS is declared: every call would be redirected "
            "without end.",
            hint="Set NUM_PROXIES to the number of proxies before the service; or HTTPS=false "
            "if clients really use plain HTTP.",
            id="imageproc.E005",
        )
    if not settings.HTTPS or settings.PUBLIC_URL.startswith("http:"):
        yield CheckWarning(
            "Clients use plain HTTP: others on the network can read keys, passwords and files.",
            hint="Put a proxy with TLS before the service and set NUM_PROXIES, HTTPS=true and "
            "PUBLIC_URL=https://….",
            id="imageproc.W001",
        )


def _storage() -> Iterator[CheckMessage]:
    parts = ("S3_ENDPOINT_URL", "S3_CUSTOM_DOMAIN")
    options = settings.STORAGES["default"].get("OPTIONS", {})
    named = [name for name in parts if getattr(settings, name, None)]
    if named and not settings.S3_BUCKET:
        yield Error(
            f"{named[0]} is set but S3_BUCKET is not: everything would be stored in files here.",
            hint="Set S3_BUCKET.",
            id="imageproc.E006",
        )
    if bool(options.get("access_key")) != bool(options.get("secret_key")):
        yield Error(
            "Only one of S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY is set.",
            hint="Set both; or none, where the machine has a role of its own.",
            id="imageproc.E007",
        )


def _times() -> Iterator[CheckMessage]:
    lease, deadline = settings.LEASE_SECONDS, settings.FETCH_DEADLINE
    if lease < MIN_LEASE_SECONDS and not settings.DEBUG:
        yield Error(
            f"LEASE_SECONDS={lease}: a busy worker would lose its images to others.",
            hint=f"Use at least {MIN_LEASE_SECONDS}; 10 is the tested value.",
            id="imageproc.E008",
        )
    timeout = settings.Q_CLUSTER["timeout"]
    if not 0 < deadline < timeout / 2:
        yield Error(
            f"FETCH_DEADLINE={deadline:g} must be above 0 and below {timeout / 2:g} seconds, half "
            "of a pump's timeout.",
            id="imageproc.E010",
        )


def _outbound() -> Iterator[CheckMessage]:
    for text in settings.OUTBOUND_ALLOW_CIDRS:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            yield Error(f"OUTBOUND_ALLOW_CIDRS: {error}.", id="imageproc.E011")
            continue
        if any(network.version == ip.version and ip in network for ip in METADATA):
            yield from _metadata(text, network.num_addresses == 1)
    for port in settings.OUTBOUND_ALLOW_PORTS:
        if not 0 < port < 65536:
            yield Error(f"OUTBOUND_ALLOW_PORTS: {port} is not a port.", id="imageproc.E012")


def _metadata(text: str, alone: bool) -> Iterator[CheckMessage]:
    """Judge a network that contains a cloud's metadata address. A wide network does not open that
    address (imageproc.images.fetch); naming it alone does, and then any upload can read the
    machine's credentials."""
    if alone and not settings.DEBUG:
        yield Error(
            f"OUTBOUND_ALLOW_CIDRS opens {text}, the address where clouds give out credentials.",
            hint="Remove it.",
            id="imageproc.E013",
        )
    elif not alone:
        yield CheckWarning(
            f"OUTBOUND_ALLOW_CIDRS: {text} holds a cloud's metadata address, which stays closed.",
            id="imageproc.W002",
        )


def _budgets() -> Iterator[CheckMessage]:
    limits = ("MAX_UPLOAD_BYTES", "MAX_IMAGES_PER_REQUEST", "MAX_IMAGE_BYTES", "MAX_IMAGE_PIXELS")
    for name in limits:
        if getattr(settings, name) < 1:
            yield Error(f"{name} must be above 0.", id="imageproc.E014")
    if settings.NUM_PROXIES < 0:
        yield Error("NUM_PROXIES must not be negative.", id="imageproc.E015")


def _cache() -> Iterator[CheckMessage]:
    if settings.PRODUCTION and not settings.REDIS_URL:
        yield CheckWarning(
            "Without REDIS_URL every web process counts calls by itself: the limits of keys and "
            "addresses are WEB_WORKERS times as high.",
            hint="Set REDIS_URL.",
            id="imageproc.W003",
        )


def _mail() -> Iterator[CheckMessage]:
    if settings.EMAIL_USE_TLS and settings.EMAIL_USE_SSL:
        yield Error(
            "EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other.",
            hint="Set the first for port 587, the second for port 465.",
            id="imageproc.E016",
        )
    if settings.EMAIL_HOST and settings.DEFAULT_FROM_EMAIL.rstrip(">").endswith("@localhost"):
        yield CheckWarning(
            f"E-mails come from {settings.DEFAULT_FROM_EMAIL}, which mail servers refuse.",
            hint="Set DEFAULT_FROM_EMAIL to an address of your own.",
            id="imageproc.W004",
        )


RULES: tuple[Rule, ...] = (
    *(_anonymous_access, _debug, _secret_key, _hosts, _https),
    *(_storage, _times, _outbound, _budgets, _cache, _mail),
)
