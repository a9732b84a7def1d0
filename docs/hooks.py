"""Adds to the site what is made from the code: the API's schema, and Swagger UI, which shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import drf_spectacular_sidecar
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
SWAGGER = Path(drf_spectacular_sidecar.__path__[0], "static/drf_spectacular_sidecar")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    files.append(File.generated(config, "openapi.json", content=schema()))
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        source = SWAGGER / "swagger-ui-dist" / name
        files.append(File.generated(config, f"swagger-ui/{name}", abs_src_path=str(source)))
    return files


def schema() -> bytes:
    """The OpenAPI document, from the defaults of the settings, whatever `.env` says."""
    return subprocess.run(
        [sys.executable, "manage.py", "spectacular", "--format", "openapi-json"],
        cwd=ROOT,
        env={**os.environ, "ENV_FILE": os.devnull},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
