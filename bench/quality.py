"""SSIMULACRA2 of renditions against the resized original (https://github.com/cloudinary/ssimulacra2)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import mean

from PIL import Image, ImageOps


def ssimulacra2(sources: Path, renditions: Path) -> float:
    """The mean over all renditions; 100 is identical, 50 medium quality.

    The reference is the upright original, fitted by Pillow's Lanczos filter, which neither
    contestant uses.
    """
    from ssimulacra2 import compute_ssimulacra2_with_alpha as score

    scores = []
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(renditions.iterdir()):
            reference = Path(folder) / f"{path.stem}.png"
            _fitted(sources / path.name, Image.open(path).size).save(reference)
            scores.append(float(score(str(reference), str(path))))
    return mean(scores)


def _fitted(path: Path, size: tuple[int, int]) -> Image.Image:
    upright = ImageOps.exif_transpose(Image.open(path))
    return upright.convert("RGB").resize(size, Image.Resampling.LANCZOS)
