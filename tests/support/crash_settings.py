"""The project's settings, for a child process that crashes where CRASH_AT says (crash.py)."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS += ["tests.support.crash.CrashPoints"]
