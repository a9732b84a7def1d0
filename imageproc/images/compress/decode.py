"""From a Source to a small, upright, 8-bit sRGB picture.

The order of work is the order of cost: shrink while loading, cut, resize, and only then turn,
convert colours, flatten and pad, on the few pixels that are left. libvips runs it row by row, so a
50-megapixel baseline JPEG never stands in memory whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imageproc.images.compress.colour import is_plain, to_srgb
from imageproc.images.compress.engine import vips
from imageproc.images.compress.framing import Part, shown_part
from imageproc.images.compress.identify import Source
from imageproc.images.compress.load import load, load_shrunk, orientation_of
from imageproc.images.recipe import Recipe

# EXIF orientations that exchange width and height (CIPA DC-008, tag 0x0112).
_SIDEWAYS = (5, 6, 7, 8)
# CPU that a megapixel of PQ or HLG takes (docs/adr/0002-codec.md).
_HDR_SECONDS = 0.12


@dataclass(frozen=True, slots=True)
class Picture:
    """``image``: a lazy vips image, upright, sRGB, 8 bits, 3 or 4 bands. ``width``, ``height``: of
    the source, upright. ``as_is``: its pixels are the source's own, with nothing applied.
    ``seconds``: what its colours will take, beyond what every picture takes."""

    image: Any
    width: int
    height: int
    as_is: bool
    seconds: float


def decode(source: Source, recipe: Recipe) -> Picture:
    """The picture of ``source`` as ``recipe`` has it. Raises RefusedError, or libvips' own
    error when the pixels are asked for."""
    loaded = None if source.bare else load(source)
    turn = 1 if loaded is None else orientation_of(loaded)
    sideways = turn in _SIDEWAYS
    upright = (source.height, source.width) if sideways else (source.width, source.height)
    part, looked_at = shown_part(source, recipe, upright)
    target = recipe.size_of(part.width, part.height)
    pixels = loaded
    if source.kind == "jpeg":
        pixels = load_shrunk(source, loaded, _shrink((part.width, part.height), target))
    plain = is_plain(pixels, source.numbers)
    if (part.width, part.height) != upright:
        pixels = _cut(pixels, part.as_stored(turn, upright), source)
    image = resized(pixels, target[::-1] if sideways else target)
    if turn > 1:
        # Turning reads in another order than the decoder writes.
        image = image.copy_memory().autorot()
    if not plain:
        image = to_srgb(image, source.numbers)
    finished = _finish(image, recipe, reduced=2 * target[0] <= part.width)
    seconds = 0.0
    if source.numbers is not None and source.numbers.is_hdr:
        seconds = _HDR_SECONDS * (target[0] * target[1] + looked_at) / 1_000_000
    untouched = finished is image and (image.width, image.height) == upright == target
    return Picture(finished, *upright, plain and turn <= 1 and untouched, seconds)


def _cut(image: Any, part: Part, source: Source) -> Any:
    """``part``, in pixels of the file, of an image that the decoder may have shrunk."""
    shrink = max(1, round(source.width / image.width))
    small = part.scaled(1 / shrink, 1 / shrink, (image.width, image.height))
    return image.crop(small.left, small.top, small.width, small.height)


def _finish(image: Any, recipe: Recipe, *, reduced: bool) -> Any:
    """Background, sharpening and what is around the picture. ``reduced``: to half its size or
    less."""
    if image.hasalpha() and (recipe.format == "jpeg" or recipe.fit == "pad"):
        image = image.flatten(background=recipe.background_rgb)
    if recipe.sharpen and reduced:
        image = _sharpened(image)
    width, height = recipe.box
    if recipe.fit == "pad" and (image.width, image.height) != (width, height):
        left, top = round((width - image.width) / 2), round((height - image.height) / 2)
        image = image.embed(
            left, top, width, height, extend="background", background=recipe.background_rgb
        )
    return image


def _sharpened(image: Any) -> Any:
    """A light unsharp mask over the eight neighbours; alpha stays as it is."""
    kernel = [[-1.0, -1.0, -1.0], [-1.0, 32.0, -1.0], [-1.0, -1.0, -1.0]]
    mask = vips().Image.new_from_array(kernel, 24.0)
    colours = image[0:3] if image.hasalpha() else image
    sharp = colours.conv(mask, precision="integer")
    return sharp.bandjoin(image[3]).copy(interpretation="srgb") if image.hasalpha() else sharp


def _shrink(size: tuple[int, int], target: tuple[int, int]) -> int:
    """How much the JPEG decoder may shrink by itself (its inverse DCT at 1/2, 1/4, 1/8 costs less
    the smaller it gets), leaving the rest, a factor of 1 to 2, to a Lanczos kernel."""
    factor = min(size[0] / target[0], size[1] / target[1])
    return next((shrink for shrink in (8, 4, 2) if factor >= shrink), 1)


def resized(image: Any, target: tuple[int, int]) -> Any:
    """Lanczos3; with transparency, on premultiplied colours so that no hidden colour bleeds in."""
    if (image.width, image.height) == target:
        return image
    if not image.hasalpha():
        return _scaled(image, target)
    return _scaled(image.premultiply(), target).unpremultiply().cast(image.format)


def _scaled(image: Any, target: tuple[int, int]) -> Any:
    across, down = target[0] / image.width, target[1] / image.height
    if across < 1 or down < 1:
        image = image.resize(min(1, across), vscale=min(1, down), kernel="lanczos3")
    if (image.width, image.height) == target:
        return image
    # Bicubic. libvips' own resize() moves what it enlarges by half a pixel up and left.
    return image.affine(
        [max(1, across), 0, 0, max(1, down)],
        interpolate=vips().Interpolate.new("bicubic"),
        oarea=[0, 0, *target],
        **dict.fromkeys(("idx", "idy"), 0.5),
        **dict.fromkeys(("odx", "ody"), -0.5),
        extend="copy",
    )
