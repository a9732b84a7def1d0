"""A typed client that is generated from the schema runs the main job."""

from __future__ import annotations

import csv
import importlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import pictures
from tests.support.origin import Origin
from tests.support.servers.service import FINAL, Service
from tests.support.sheet import sheet_of


@pytest.fixture
def generated(files_service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the client."""
    schema = tmp_path / "schema.yaml"
    schema.write_bytes(files_service.get(f"{files_service.address}/api/schema").content)
    target: list[str | Path] = ["--output-path", tmp_path / "catalogue_client", "--meta", "none"]
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", schema, *target]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: importlib.import_module(f"catalogue_client.{name}")


def test_from_the_file_to_the_file_with_links(
    generated: Any, files_service: Service, origin: Origin
) -> None:
    origin.serve("/1.jpg", pictures.jpeg(1, (240, 200)), content_type="image/jpeg")
    file = sheet_of([["A", "Shoe", f"{origin.url}/1.jpg"], ["B", "Boot", f"{origin.url}/2.jpg"]])
    client = generated("client").Client(base_url=files_service.address)
    body = generated("models").UploadFormRequest(
        file=generated("types").File(
            payload=file.encode(), file_name="p.csv", mime_type="text/csv"
        ),
        max_width=100,
    )
    accepted = generated("api.upload.upload").sync(client=client, body=body)
    assert (accepted.status, accepted.total_images) == ("PENDING", 2)

    status = generated("api.status.status")
    while (found := status.sync(accepted.request_id, client=client)).status not in FINAL:
        time.sleep(0.2)
    assert (found.status, found.processed_images, found.failed_images) == ("COMPLETED", 2, 1)
    [shoe, boot] = [product.images[0] for product in found.products]
    assert (shoe.width, boot.error.code) == (100, "not_found")

    output = generated("api.requests.output_csv").sync_detailed(accepted.request_id, client=client)
    [_, first, second] = csv.reader(output.content.decode().splitlines())
    assert (first[3], second[3]) == (shoe.output_url, "")
