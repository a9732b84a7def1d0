"""The pictures that every contestant gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.support import pictures

# Twelve camera photographs, 1.3 to 22 megapixels, where they are at hand.
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "photos"
DRAWN = ((1280, 1024), (1600, 1200), (2160, 1440), (2592, 1944), (3264, 2448), (5760, 3840))
SMALL = 50


def photographs() -> dict[str, bytes]:
    """Name → file; drawn ones of like sizes where there are none."""
    found = {path.name: path.read_bytes() for path in sorted(PHOTOS.glob("*.jpg"))}
    return found or {
        f"drawn-{n}.jpg": pictures.jpeg(n, size, 92) for n, size in enumerate(DRAWN * 2, 1)
    }


def small_pictures() -> dict[str, bytes]:
    """200 × 200 JPEGs, some 8 kB each: here the codec costs little and all else shows."""
    return {f"small-{n}.jpg": pictures.jpeg(n, (200, 200), 80) for n in range(SMALL)}


def write_to(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)


def urls(base: str, names: list[str], count: int) -> Iterator[str]:
    """``count`` different URLs over the same pictures, in turn."""
    return (f"{base}/{names[n % len(names)]}?{n}" for n in range(count))


def sheet_of(addresses: Iterator[str], product: str = "Product") -> bytes:
    """A catalogue with one image a product."""
    lines = [f"{n},{product} {n},{url}" for n, url in enumerate(addresses, 1)]
    return "\n".join(["S. No.,Product Name,Input Image Urls", *lines, ""]).encode()
