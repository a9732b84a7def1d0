"""The settings of the test process: the project's own, in an environment of their own.

``TEST_DATABASE=postgres`` runs the tests on a PostgreSQL that starts here; otherwise SQLite. The
processes of ``pytest -n`` share the server that the first one starts, in databases of their own.
"""

import atexit
import os
import shutil
import sys
import tempfile

# Nothing of the developer's own set-up may leak in: neither .env nor the shell's settings.
for _name in ("SECRET_KEY", "DEBUG", "PUBLIC_URL", "REDIS_URL", "API_ANONYMOUS", "DATABASE_URL"):
    os.environ.pop(_name, None)
for _name in [name for name in os.environ if name.startswith(("S3_", "AWS_", "OUTBOUND_"))]:
    del os.environ[_name]
os.environ["ENV_FILE"] = os.devnull
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="imageproc-tests-")
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
# A hundred child processes import the project: compiling it each time is a fifth of their start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

TEST_DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
if TEST_DATABASE == "postgres":
    if "TEST_POSTGRES" not in os.environ:
        from tests.support.servers.postgres import Postgres

        _postgres = Postgres()
        _postgres.start()
        os.environ["TEST_POSTGRES"] = _postgres.url()
    os.environ["DATABASE_URL"] = os.environ["TEST_POSTGRES"]

# What a child process loads: the project's settings, in the environment made above.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

from config.settings import *  # noqa: E402, F403

if TEST_DATABASE == "postgres":
    # A test keeps one transaction open from its start to its end, also while it waits for a server.
    DATABASES["default"]["OPTIONS"]["options"] = "-c lock_timeout=2500ms"  # noqa: F405

# A good hash takes half a second by design; child processes have the project's own.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
