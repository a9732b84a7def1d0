"""All settings, read from the environment only (https://12factor.net/config).

With nothing set this is a laptop: SQLite and files under ``var/``, open on loopback without
sign-in. Setting ``SECRET_KEY`` makes it production: DEBUG and API_ANONYMOUS are off unless asked
for, and ``imageproc.checks`` refuses what is unsafe.
"""

import logging
import os
import secrets
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from botocore.config import Config as BotoConfig
from django.templatetags.static import static
from environs import Env

from config.cores import cores
from config.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
# In a checkout all lies beside manage.py. Installed from a wheel, pages and styles lie in this
# package (setup.py), and settings and data in the folder where the command was called.
CHECKOUT = (BASE_DIR / "manage.py").exists()
PAGES_DIR = BASE_DIR if CHECKOUT else BASE_DIR / "config"
HOME_DIR = BASE_DIR if CHECKOUT else Path.cwd()
# How a process of ours runs another command.
MANAGE = [sys.executable, *([str(BASE_DIR / "manage.py")] if CHECKOUT else ["-m", "config"])]
env = Env()
env.read_env(env.str("ENV_FILE", str(HOME_DIR / ".env")), recurse=False)

DATA_DIR = Path(env.str("DATA_DIR", str(HOME_DIR / "var"))).resolve()
if not CHECKOUT:
    # Processes that it starts may run in another folder.
    os.environ["DATA_DIR"] = str(DATA_DIR)
# Databases, CSVs and pictures are nobody's business but the owner's.
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)


def _laptop_secret() -> str:
    """A random key kept beside the laptop's data, readable by its owner only."""
    path = DATA_DIR / "secret-key"
    if not path.exists():
        # Written whole, then named: processes that start together must read the same key.
        draft = path.with_name(f"secret-key.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text()


# --- The site ---------------------------------------------------------------------------------
PRODUCTION = bool(env.str("SECRET_KEY", ""))
SECRET_KEY = env.str("SECRET_KEY", "") or _laptop_secret()
# Earlier keys: what was signed or encrypted under them can still be read.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
DEBUG = env.bool("DEBUG", not PRODUCTION)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
# The address that output URLs and webhooks name; "" takes it from the upload's own request.
PUBLIC_URL = env.str("PUBLIC_URL", "").rstrip("/")
# Calls of this very machine without a key act as the user "local". Only for a laptop: see
# imageproc/checks.py.
API_ANONYMOUS = env.bool("API_ANONYMOUS", DEBUG)
# Proxies before the service. Each must append to X-Forwarded-For the address that it saw, and the
# last one must set X-Forwarded-Proto itself.
NUM_PROXIES = env.int("NUM_PROXIES", 0)
# Whether clients speak TLS to the last proxy: cookies, HSTS and redirects go by it.
HTTPS = env.bool("HTTPS", PRODUCTION)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if NUM_PROXIES else None
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# Asked for from inside, by load balancers and Prometheus, over plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", 31_536_000 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The document types of an upload are checked by content; its size by imageproc.intake. A form's
# other fields, and every body that is no upload (config/middleware.py), are shorter than this:
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 2
# Uploads wait on the data's disk: /tmp is often held in memory.
FILE_UPLOAD_TEMP_DIR = str(DATA_DIR / "uploads")
Path(FILE_UPLOAD_TEMP_DIR).mkdir(mode=0o700, exist_ok=True)

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
    "axes",
]

MIDDLEWARE = [
    "config.middleware.RefuseMalformed",
    "config.middleware.RequestLog",
    "imageproc.metrics.middleware.RequestTimer",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "config.middleware.Outages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Before anything reads a body, as the next one does.
    "config.middleware.BodyLimit",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.middleware.ContentSecurityPolicy",
    "django_htmx.middleware.HtmxMiddleware",
    "imageproc.web.pages.PlainErrors",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PAGES_DIR / "templates"],
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

# --- Guessing of passwords (django-axes) ----------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# By address alone: by name, anyone could lock an operator out. Counted in the database, which all
# web processes share.
AXES_LOCKOUT_PARAMETERS = ["ip_address"]
AXES_CLIENT_IP_CALLABLE = "imageproc.callers.known_address_of"
AXES_FAILURE_LIMIT = env.int("SIGN_IN_FAILURES", 10)
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "429.html"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

STATIC_URL = "static/"
STATICFILES_DIRS = [PAGES_DIR / "static"]
# No page names the files that were copied without their digest.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
STATIC_ROOT = Path(env.str("STATIC_ROOT", str(DATA_DIR / "staticfiles")))

# --- Database and cache -----------------------------------------------------------------------
DATABASES: dict[str, Any] = {
    "default": env.dj_db_url("DATABASE_URL", f"sqlite:///{DATA_DIR / 'imageproc.sqlite3'}")
}
_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
if _SQLITE:
    # SQLite gives its other files the permissions of the first.
    _database = Path(DATABASES["default"]["NAME"])
    if _database.name != ":memory:" and not _database.exists():
        _database.touch(mode=0o600)
    # WAL: readers do not wait for the writer. BEGIN IMMEDIATE: a transaction that will write waits
    # for its turn at the start; a deferred one fails with "database is locked" half-way.
    # synchronous=FULL (SQLite's default) stays: an acknowledged upload survives a power cut.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA temp_store=MEMORY;",
    }
else:
    # A server that is gone without a word is noticed within half a minute.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
    } | DATABASES["default"].get("OPTIONS", {})
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
    "queue": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
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
            # imageproc.images.store sends a Content-MD5; old servers refuse a CRC beside it.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    },
}
_FILE_STORAGE: dict[str, Any] = {
    "BACKEND": "imageproc.images.store.AtomicFileStorage",
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
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": _IMAGE_SOURCES,
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}
# The look of the admin (django-unfold) is built on Alpine.js, which compiles the expressions of its
# attributes, and on styles within the page. No script within the page runs there either.
ADMIN_CONTENT_SECURITY_POLICY: dict[str, Any] = {
    **CONTENT_SECURITY_POLICY["DIRECTIVES"],
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": [*_IMAGE_SOURCES, "data:"],
}
# Swagger UI draws with styles of its own and pictures of its own.
DOCS_CONTENT_SECURITY_POLICY: dict[str, Any] = {
    **CONTENT_SECURITY_POLICY["DIRECTIVES"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": [*_IMAGE_SOURCES, "data:"],
}

# --- What may be dialled (imageproc/images/fetch) -------------------------------------------
OUTBOUND_ALLOW_CIDRS: list[str] = env.list("OUTBOUND_ALLOW_CIDRS", [])
OUTBOUND_ALLOW_PORTS = env.list("OUTBOUND_ALLOW_PORTS", [80, 443], subcast=int)

# --- Budgets ------------------------------------------------------------------------------------
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", 500_000_000)
MAX_IMAGES_PER_REQUEST = env.int("MAX_IMAGES_PER_REQUEST", 2_000_000)
MAX_IMAGE_BYTES = env.int("MAX_IMAGE_BYTES", 50_000_000)
MAX_IMAGE_PIXELS = env.int("MAX_IMAGE_PIXELS", 50_000_000)
# What one owner may have in hand at a time; further uploads have to wait. 0: no limit.
MAX_OPEN_REQUESTS = env.int("MAX_OPEN_REQUESTS", 100)
MAX_PENDING_IMAGES = env.int("MAX_PENDING_IMAGES", 5_000_000)
# Calls in a minute, counted in the cache. 0: no limit. A shop's visitors see images through a CDN,
# or all through a proxy's address: images are not counted.
CALLS_PER_MINUTE_KEY = env.int("CALLS_PER_MINUTE_KEY", 600)
CALLS_PER_MINUTE_ADDRESS = env.int("CALLS_PER_MINUTE_ADDRESS", 1200)
UPLOADS_PER_MINUTE_KEY = env.int("UPLOADS_PER_MINUTE_KEY", 60)
WRONG_KEYS_PER_MINUTE = env.int("WRONG_KEYS_PER_MINUTE", 30)
# Seconds for one whole exchange with an image host, name look-up and redirects included.
FETCH_DEADLINE = env.float("FETCH_DEADLINE", 30.0)

# --- Workers (imageproc/workers, imageproc/images) ----------------------------------------------
# One a core, of a container's quota where it has one.
WORKERS = env.int("WORKERS", cores())
# What the image workers yield of the processor to the web server and the database beside them
# (nice(2), 0 to 19); they still get all that these leave. Between containers it counts for nothing:
# there cpu_shares do (docs/scaling.md).
WORKERS_NICE = env.int("WORKERS_NICE", 10)
# A lost worker's images come back after the lease; living workers renew it four times in it.
LEASE_SECONDS = env.int("LEASE_SECONDS", 10)
if not _SQLITE:
    # A host that is cut off inside a transaction gives its locks back with its leases; otherwise
    # the whole fleet would wait for it until the kernel of the database's host misses it: hours.
    # Nor does a process wait for another session's row for longer than its own leases allow.
    DATABASES["default"]["OPTIONS"].setdefault(
        "options",
        f"-c idle_in_transaction_session_timeout={LEASE_SECONDS}s"
        f" -c lock_timeout={LEASE_SECONDS * 250}ms",
    )
# Connections to one image host at a time, of all workers together.
MAX_PER_HOST = env.int("MAX_PER_HOST", 64)
# A host that gives no image for this many seconds is down: its waiting images fail.
HOST_PATIENCE = env.float("HOST_PATIENCE", 900.0)
# A URL that an owner asked for within this many seconds is not asked for again, unless the upload
# says otherwise.
SOURCE_MAX_AGE = env.int("SOURCE_MAX_AGE", 0)
MAX_ATTEMPTS = env.int("MAX_ATTEMPTS", 5)
# Attempts at an image whose result the storage refuses although it can be reached. An outage of the
# storage uses up none.
MAX_STORE_ATTEMPTS = env.int("MAX_STORE_ATTEMPTS", 15)
# CPU that the codec may use for one image.
MAX_CODEC_CPU_SECONDS = env.float("MAX_CODEC_CPU_SECONDS", 30.0)
# Bytes of memory that a worker process may use. At half of it, no further download begins.
MAX_WORKER_BYTES = env.int("MAX_WORKER_BYTES", 1_200_000_000)
# A stop gives the tasks in hand this long; a container's own grace period must be 10 s longer.
DRAIN_SECONDS = env.int("DRAIN_SECONDS", 25)
# A cluster that does not take a waiting task for this long, though a worker is free, is started
# again.
WATCHDOG_SECONDS = env.int("WATCHDOG_SECONDS", 15)
# Seconds between two sweeps, which return lost work to the queue; every host sweeps.
TICK_SECONDS = env.float("TICK_SECONDS", 5.0)
CLUSTER_TICK = "imageproc.tasks.sweep"
# Every choice here is measured: docs/adr/0001-django-q2.md.
Q_CLUSTER: dict[str, Any] = {
    "name": "imageproc",
    "orm": "default",
    "broker_class": "imageproc.workers.queue.Broker",
    "workers": 1,
    "poll": 0.5,
    # Tasks that wait in memory, beyond those in the workers' hands.
    "queue_limit": 1,
    "timeout": 300,
    # Not used: a task leaves the queue when it is taken. q2 warns unless it is above each timeout.
    "retry": 1000,
    # A worker that ends on purpose looks like one that died idle, which costs a restart.
    "recycle": 0,
    "save_limit": -1,
    "scheduler": False,
    # q2's status reports. Kept apart from Redis, whose outage must not hold up a cluster.
    "cache": "queue",
    "label": "Queue",
    "ALT_CLUSTERS": {
        "images": {"workers": WORKERS},
        "control": {"workers": 2, "timeout": 900},
    },
}

# --- Metrics and logs (imageproc/metrics, config/logs.py) -----------------------------------------
# What Prometheus must send as its bearer token to read /metrics; "" closes it, except on a laptop.
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
# Where `manage.py worker` answers scrapes, for hosts without a web server; 0: nowhere.
METRICS_PORT = env.int("METRICS_PORT", 0)
# The files in which the processes of a host count. Put them in memory, such as on a tmpfs: while
# the disk is full, a process that counts is killed.
METRICS_DIR = Path(env.str("METRICS_DIR", str(DATA_DIR / "metrics")))
METRICS_DIR.mkdir(parents=True, exist_ok=True)
# Read by prometheus_client when it is first imported.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)
# "json" for machines (default in production), "console" for people.
LOG_FORMAT = env.str("LOG_FORMAT", "json" if PRODUCTION else "console")
LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()
LOGGING = logging_config(json=LOG_FORMAT == "json", level=LOG_LEVEL)
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
# Neither who nor from where: the first costs a query a request, the second is personal data.
DJANGO_STRUCTLOG_USER_ID_FIELD = ""
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False

# --- Webhooks: imageproc/requests/webhooks.py has the values for what is not set ------------------
# Seconds for one attempt, from the name look-up to the answer.
WEBHOOK_TIMEOUT: float | None = env.float("WEBHOOK_TIMEOUT", None)
# Seconds before the second, third … attempt.
WEBHOOK_SCHEDULE: list[float] = env.list("WEBHOOK_SCHEDULE", [], subcast=float)

# --- E-mail at the end of a request (imageproc/requests/mail.py); Django's own settings -----------
EMAIL_HOST = env.str("EMAIL_HOST", "")
EMAIL_PORT = env.int("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = env.bool("EMAIL_USE_SSL", False)
# Seconds for each step of the talk with the mail server.
EMAIL_TIMEOUT = env.float("EMAIL_TIMEOUT", 10.0)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "imageproc@localhost")
# A laptop prints e-mails in the log of its workers. Elsewhere there are none without a mail server.
EMAIL_ENABLED = bool(EMAIL_HOST) or not PRODUCTION
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
# Beside the address of their own account, owners may name addresses of these domains.
EMAIL_ALLOW_DOMAINS: list[str] = env.list("EMAIL_ALLOW_DOMAINS", [])

# --- Admin (imageproc/admin) --------------------------------------------------------------------
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "imageproc",
    "SITE_HEADER": "imageproc",
    "SITE_SYMBOL": "photo_library",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("web/favicon.svg")}
    ],
    "DASHBOARD_CALLBACK": "imageproc.admin.dashboard.dashboard",
    # The green of the pages (static/web/base.css).
    "COLORS": {
        "primary": {
            "50": "#effaf6",
            "100": "#d8f2e9",
            "200": "#b4e5d6",
            "300": "#86dcc6",
            "400": "#63cdb2",
            "500": "#2bab8c",
            "600": "#0c6b58",
            "700": "#085143",
            "800": "#0a4338",
            "900": "#0a382f",
            "950": "#07251e",
        }
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": False},
}

# --- API ------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "imageproc.api.auth.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
        "imageproc.api.auth.LocalAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["imageproc.api.auth.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["imageproc.api.throttles.CallThrottle"],
    "NUM_PROXIES": NUM_PROXIES,
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
    # What is sent and what is answered are different schemas: a file is binary only when sent.
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "AUTHENTICATION_WHITELIST": ["imageproc.api.auth.KeyAuthentication"],
    "SCHEMA_PATH_PREFIX": "/api/",
    "PREPROCESSING_HOOKS": ["imageproc.api.openapi.for_new_clients"],
    "POSTPROCESSING_HOOKS": [
        "imageproc.api.openapi.append_shapes",
        "imageproc.api.openapi.add_summaries",
        "imageproc.api.openapi.leave_options_empty",
    ],
    # The page's own assets, from the package drf-spectacular-sidecar: no CDN.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
