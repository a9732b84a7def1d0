"""All settings, read from the environment only (https://12factor.net/config).

With nothing set this is a laptop: SQLite and files under ``var/``, open on loopback without
sign-in. Setting ``SECRET_KEY`` makes it production: DEBUG and API_ANONYMOUS are off unless asked
for, and ``imageproc.checks`` refuses what is unsafe.
"""

import logging
import os
import secrets
from pathlib import Path
from typing import Any

from botocore.config import Config as BotoConfig
from environs import Env

from config.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env()
env.read_env(env.str("ENV_FILE", str(BASE_DIR / ".env")), recurse=False)

DATA_DIR = Path(env.str("DATA_DIR", str(BASE_DIR / "var"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)


def _laptop_secret() -> str:
    """A random key kept beside the laptop's data, readable by its owner only."""
    path = DATA_DIR / "secret-key"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()


# --- The site ---------------------------------------------------------------------------------
PRODUCTION = bool(env.str("SECRET_KEY", ""))
SECRET_KEY = env.str("SECRET_KEY", "") or _laptop_secret()
DEBUG = env.bool("DEBUG", not PRODUCTION)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
# The address that output URLs and webhooks name; "" takes it from the upload's own request.
PUBLIC_URL = env.str("PUBLIC_URL", "").rstrip("/")
# Requests without a key act as the user "local". Only for a laptop: see imageproc/checks.py.
API_ANONYMOUS = env.bool("API_ANONYMOUS", DEBUG)

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The document types of an upload are checked by content; its size by imageproc.intake.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000

INSTALLED_APPS = [
    "imageproc",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.middleware.RequestLog",
    "imageproc.metrics.middleware.RequestTimer",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "imageproc.web.pages.PlainErrors",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"web": "imageproc.web.tags"},
        },
    }
]

# --- The browser pages (imageproc/web) --------------------------------------------------------
LOGIN_URL = "web:sign-in"
LOGIN_REDIRECT_URL = "web:home"
LOGOUT_REDIRECT_URL = "web:sign-in"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "staticfiles"

# --- Database and cache -----------------------------------------------------------------------
DATABASES: dict[str, Any] = {
    "default": env.dj_db_url("DATABASE_URL", f"sqlite:///{DATA_DIR / 'imageproc.sqlite3'}")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL: readers do not wait for the writer. BEGIN IMMEDIATE: a transaction that will write waits
    # for its turn at the start; a deferred one fails with "database is locked" half-way.
    # synchronous=FULL (SQLite's default) stays: an acknowledged upload survives a power cut.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA temp_store=MEMORY;",
    }
# Measured: 41 tasks/s through the queue with a connection a task, 500 with kept ones.
DATABASES["default"]["CONN_MAX_AGE"] = 600
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

REDIS_URL = env.str("REDIS_URL", "")
# A Redis that hangs must not hold up an answer for long: the cache is an accelerator.
_REDIS: dict[str, Any] = {
    "BACKEND": "django.core.cache.backends.redis.RedisCache",
    "LOCATION": REDIS_URL,
    "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
}
_MEMORY: dict[str, Any] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
CACHES: dict[str, Any] = {
    "default": _REDIS if REDIS_URL else _MEMORY,
    # Processed images of up to 1 MB; in memory at most 64 of them a web process.
    "images": _REDIS | {"KEY_PREFIX": "images"}
    if REDIS_URL
    else _MEMORY | {"LOCATION": "images", "OPTIONS": {"MAX_ENTRIES": 64}},
}
IMAGE_CACHE_SECONDS = env.int("IMAGE_CACHE_SECONDS", 3600)

# --- Storage ----------------------------------------------------------------------------------
S3_BUCKET = env.str("S3_BUCKET", "")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", "") or None
S3_CUSTOM_DOMAIN = env.str("S3_CUSTOM_DOMAIN", "")
_S3_STORAGE: dict[str, Any] = {
    "BACKEND": "storages.backends.s3.S3Storage",
    "OPTIONS": {
        "bucket_name": S3_BUCKET,
        "endpoint_url": S3_ENDPOINT_URL,
        "region_name": env.str("S3_REGION", "us-east-1"),
        "access_key": env.str("S3_ACCESS_KEY_ID", "") or None,
        "secret_key": env.str("S3_SECRET_ACCESS_KEY", "") or None,
        "custom_domain": S3_CUSTOM_DOMAIN or None,
        "file_overwrite": True,
        "client_config": BotoConfig(
            signature_version="s3v4",
            s3={"addressing_style": "path" if S3_ENDPOINT_URL else "auto"},
            connect_timeout=5,
            read_timeout=20,
            # One quick second try; the row's own backoff does the rest.
            retries={"max_attempts": 2, "mode": "standard"},
            max_pool_connections=64,
            tcp_keepalive=True,
            # imageproc.pipeline.store sends a Content-MD5; old servers refuse a CRC beside it.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    },
}
_FILE_STORAGE: dict[str, Any] = {
    "BACKEND": "imageproc.pipeline.store.AtomicFileStorage",
    "OPTIONS": {"location": str(DATA_DIR / "files")},
}
STORAGES: dict[str, Any] = {
    "default": _S3_STORAGE if S3_BUCKET else _FILE_STORAGE,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- What a browser may load (https://www.w3.org/TR/CSP3/) --------------------------------------
_IMAGE_SOURCES = ["'self'", *([f"https://{S3_CUSTOM_DOMAIN}"] if S3_CUSTOM_DOMAIN else [])]
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    # The admin's own scripts need a policy of their own.
    "EXCLUDE_URL_PREFIXES": ["/admin/"],
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": _IMAGE_SOURCES,
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}

# --- What may be dialled (imageproc/pipeline/outbound.py) ----------------------------------------
OUTBOUND_ALLOW_CIDRS: list[str] = env.list("OUTBOUND_ALLOW_CIDRS", [])
OUTBOUND_ALLOW_PORTS = env.list("OUTBOUND_ALLOW_PORTS", ["80", "443"], subcast=int)

# --- Budgets ------------------------------------------------------------------------------------
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", 500_000_000)
MAX_IMAGES_PER_REQUEST = env.int("MAX_IMAGES_PER_REQUEST", 2_000_000)
MAX_IMAGE_BYTES = env.int("MAX_IMAGE_BYTES", 50_000_000)
MAX_IMAGE_PIXELS = env.int("MAX_IMAGE_PIXELS", 50_000_000)
# Seconds for one whole exchange with an image host, name look-up and redirects included.
FETCH_DEADLINE = env.float("FETCH_DEADLINE", 30.0)

# --- Workers (imageproc/cluster, imageproc/pipeline) ----------------------------------------------
WORKERS = env.int("WORKERS", len(os.sched_getaffinity(0)))
# A lost worker's images come back after the lease; living workers renew it in time.
LEASE_SECONDS = env.int("LEASE_SECONDS", 30)
MAX_ATTEMPTS = env.int("MAX_ATTEMPTS", 5)
# A stop gives the tasks in hand this long; a container's own grace period must be 10 s longer.
DRAIN_SECONDS = env.int("DRAIN_SECONDS", 25)
# A cluster that takes no due task for this long, though a worker waits, is started again.
WATCHDOG_SECONDS = env.int("WATCHDOG_SECONDS", 60)
# What the control cluster calls every TICK_SECONDS, on every host.
CLUSTER_TICK = "imageproc.tasks.sweep"
TICK_SECONDS = env.float("TICK_SECONDS", 5.0)
# Every choice here is measured: docs/adr/0001-django-q2.md.
Q_CLUSTER: dict[str, Any] = {
    "name": "imageproc",
    "orm": "default",
    "workers": 1,
    "timeout": 300,
    "retry": 360,
    "ack_failures": True,
    "max_attempts": 3,
    "save_limit": -1,
    "catch_up": False,
    "poll": 0.3,
    "scheduler": False,
    "label": "Queue",
    "ALT_CLUSTERS": {
        "images": {"workers": WORKERS, "queue_limit": WORKERS, "timeout": 120, "retry": 180},
        "control": {"workers": 2, "queue_limit": 2, "timeout": 900, "retry": 960},
    },
}

# --- Webhooks (imageproc/webhooks.py) -------------------------------------------------------------
# Seconds before the second, third … attempt: what Standard Webhooks recommends.
WEBHOOK_SCHEDULE: list[float] = env.list(
    "WEBHOOK_SCHEDULE",
    [5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0],
    subcast=float,
)

# --- API ------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "imageproc.api.auth.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
        "imageproc.api.auth.LocalAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["imageproc.api.auth.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "imageproc.api.problems.exception_handler",
}
# Other sites whose pages may call the API from a browser: "https://shop.example,https://…".
CORS_ALLOWED_ORIGINS: list[str] = env.list("CORS_ALLOWED_ORIGINS", [])
CORS_URLS_REGEX = r"^/(api|csv|upload|status|image)(/|$)"
CORS_ALLOW_HEADERS = ["authorization", "content-type", "idempotency-key", "if-none-match"]
CORS_EXPOSE_HEADERS = ["content-disposition", "etag", "location", "retry-after"]
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "imageproc",
    "DESCRIPTION": "A CSV of products and image URLs in; the same CSV with output URLs back.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "AUTHENTICATION_WHITELIST": ["imageproc.api.auth.KeyAuthentication"],
    "SCHEMA_PATH_PREFIX": "/api/",
    "PREPROCESSING_HOOKS": ["imageproc.api.openapi.for_new_clients"],
    "POSTPROCESSING_HOOKS": ["imageproc.api.openapi.append_shapes"],
    # The page's own assets, from the package drf-spectacular-sidecar: no CDN.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
# --- Metrics and logs (imageproc/metrics, config/logs.py) -----------------------------------------
# What Prometheus must send as its bearer token to read /metrics; "" closes it but on a laptop.
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
# Where `manage.py worker` answers scrapes, for hosts without a web server; 0: nowhere.
METRICS_PORT = env.int("METRICS_PORT", 0)
# Read by prometheus_client when it is first imported; one folder for all processes of a host.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(DATA_DIR / "metrics")
(DATA_DIR / "metrics").mkdir(exist_ok=True)
# "json" for machines (default in production), "console" for people.
LOG_FORMAT = env.str("LOG_FORMAT", "json" if PRODUCTION else "console")
LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()
LOGGING = logging_config(json=LOG_FORMAT == "json", level=LOG_LEVEL)
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
# Neither who nor from where: the first costs a query a request, the second is personal data.
DJANGO_STRUCTLOG_USER_ID_FIELD = ""
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False

