"""Drawn product pictures: the demo's, the sample CSV's and the tests' own images.

The same seed gives the same pixels. They carry the texture and grain that make the sizes of
compressed files realistic, and come in every format and with every oddity that a supplier's camera
or design program produces.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from random import Random

from PIL import Image, ImageCms, ImageDraw, ImageFilter

Size = tuple[int, int]

# How to store a picture so that a viewer honouring the EXIF orientation shows it upright.
STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_ORIENTATION, _CAMERA_MAKER, _DESCRIPTION = 0x0112, 0x010F, 0x010E

# Columns of the RGB -> XYZ matrices, adapted to D50, as in the profiles of that name.
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3 = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)


def draw(seed: int = 1, size: Size = (1600, 1200)) -> Image.Image:
    """A product on a soft backdrop, RGB. The upper left corner is marked, so a turn can be seen."""
    random = Random(seed)
    picture = _backdrop(random, size)
    box = _place(random, size)
    _cast_shadow(picture, box)
    _draw_product(random, picture, box)
    mark = min(size) // 10 or 1
    ImageDraw.Draw(picture).rectangle((0, 0, mark, mark), fill=(200, 30, 30))
    return _grain(random, picture)


def cut_out(seed: int = 1, size: Size = (1600, 1200)) -> Image.Image:
    """The product alone, RGBA, with a soft edge and nothing behind it."""
    random = Random(seed)
    _backdrop(random, (8, 8))
    box = _place(random, size)
    picture = Image.new("RGB", size, "black")
    _draw_product(random, picture, box)
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius=_radius(box), fill=255)
    picture.putalpha(mask.filter(ImageFilter.GaussianBlur(max(size) / 400)))
    return picture


def _backdrop(random: Random, size: Size) -> Image.Image:
    light = tuple(random.randint(235, 255) for _ in range(3))
    dark = tuple(random.randint(190, 225) for _ in range(3))
    ramp = Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", size, dark), Image.new("RGB", size, light), ramp)


def _place(random: Random, size: Size) -> tuple[int, int, int, int]:
    width = int(size[0] * random.uniform(0.3, 0.55))
    height = int(size[1] * random.uniform(0.5, 0.75))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _radius(box: tuple[int, int, int, int]) -> float:
    return min(box[2] - box[0], box[3] - box[1]) / 8


def _cast_shadow(picture: Image.Image, box: tuple[int, int, int, int]) -> None:
    shadow = Image.new("L", picture.size, 0)
    drop = (box[3] - box[1]) // 20
    moved = (box[0] + drop, box[1] + drop, box[2] + drop, box[3] + drop)
    ImageDraw.Draw(shadow).rounded_rectangle(moved, radius=_radius(box), fill=110)
    # Blurred small: the same softness for a hundredth of the work.
    small = shadow.resize((max(1, picture.width // 10), max(1, picture.height // 10)))
    shadow = small.filter(ImageFilter.GaussianBlur(3)).resize(picture.size)
    picture.paste((60, 60, 70), mask=shadow)


def _draw_product(random: Random, picture: Image.Image, box: tuple[int, int, int, int]) -> None:
    """A package: shaded body, woven texture, a label with stripes and lines of small print."""
    pen = ImageDraw.Draw(picture)
    body = tuple(random.randint(20, 200) for _ in range(3))
    pen.rounded_rectangle(box, radius=_radius(box), fill=body)
    left, top, right, bottom = box
    step = max(3, (right - left) // 60)
    lighter = tuple(min(255, channel + 25) for channel in body)
    for x in range(left + step, right - step, step):
        pen.line((x, top + step * 3, x + step, bottom - step * 3), fill=lighter)
    label = (left + step * 4, top + (bottom - top) // 4, right - step * 4, bottom - step * 8)
    if label[2] <= label[0] or label[3] <= label[1]:
        return
    pen.rectangle(label, fill=(250, 248, 240))
    for y in range(label[1] + step, label[3] - step, step * 2):
        end = label[0] + int((label[2] - label[0]) * random.uniform(0.3, 0.9))
        ink = tuple(random.randint(10, 120) for _ in range(3))
        pen.line((label[0] + step, y, end, y), fill=ink, width=max(1, step // 3))


def _grain(random: Random, picture: Image.Image) -> Image.Image:
    """A camera's noise, softened as a camera's own processing does."""
    noise = Image.frombytes("L", picture.size, random.randbytes(picture.width * picture.height))
    soft = noise.filter(ImageFilter.BoxBlur(1)).convert("RGB")
    return Image.blend(picture, soft, 0.06)


def encoded(picture: Image.Image, file_format: str, **options: object) -> bytes:
    """``picture`` as a file of Pillow's ``file_format`` (HEIF: as HEIC)."""
    if file_format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    target = io.BytesIO()
    picture.save(target, file_format, **options)
    return target.getvalue()


def jpeg(seed: int = 1, size: Size = (1600, 1200), quality: int = 90) -> bytes:
    """An ordinary camera JPEG."""
    return encoded(draw(seed, size), "JPEG", quality=quality)


def turned(orientation: int, seed: int = 1, size: Size = (1600, 1200)) -> bytes:
    """A JPEG whose EXIF orientation (1-8) says how to hold it; shown upright it is ``draw``'s.
    Its EXIF also names a camera maker and a description, which must not leave the service."""
    picture = draw(seed, size)
    if orientation in STORED_AS:
        picture = picture.transpose(STORED_AS[orientation])
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    exif[_CAMERA_MAKER] = "Secret Camera"
    exif[_DESCRIPTION] = "Home of the photographer"
    return encoded(picture, "JPEG", quality=90, exif=exif)


def profiled(
    columns: tuple[tuple[float, float, float], ...], seed: int = 1, size: Size = (1600, 1200)
) -> bytes:
    """``draw`` as a JPEG in a wide RGB space (ADOBE_RGB, DISPLAY_P3) with its profile."""
    profile = rgb_profile("Wide RGB", columns)
    picture = ImageCms.profileToProfile(
        draw(seed, size), ImageCms.createProfile("sRGB"), io.BytesIO(profile)
    )
    assert picture is not None
    return encoded(picture, "JPEG", quality=95, icc_profile=profile, subsampling=0)


def rgb_profile(name: str, columns: tuple[tuple[float, float, float], ...]) -> bytes:
    """A display profile of three primaries (XYZ, D50) and gamma 2.2 (ICC.1:2001-04)."""
    text = name.encode("ascii") + b"\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    tags = {
        b"desc": description,
        b"cprt": b"text" + bytes(4) + b"Public domain\0",
        b"wtpt": _xyz((0.9642, 1.0, 0.8249)),
        **{b"rgb"[each : each + 1] + b"XYZ": _xyz(columns[each]) for each in range(3)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma),
    }
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for mark, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", mark, at + len(body), len(value))
        body += padded
    head = struct.pack(
        ">I4xI4s4s4s12x4s", at + len(body), 0x02200000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    head = head.ljust(68, b"\0") + struct.pack(
        ">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249))
    )
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def sixteen_bit_png(seed: int = 1, size: Size = (800, 600)) -> bytes:
    """A greyscale PNG with 16 bits a sample."""
    deep = draw(seed, size).convert("L").convert("I").point(lambda value: value * 257)
    return encoded(deep.convert("I;16"), "PNG")


def animated_gif(seed: int = 1, size: Size = (400, 300), frames: int = 3) -> bytes:
    """An animation whose first frame is ``draw(seed)``, the next ``draw(seed + 1)``, …"""
    pictures = [draw(seed + each, size) for each in range(frames)]
    return encoded(pictures[0], "GIF", save_all=True, append_images=pictures[1:], duration=100)


# One file of every kind that a catalogue holds, by name: (seed, size) -> bytes.
VARIANTS: dict[str, Callable[[int, Size], bytes]] = {
    "camera.jpg": jpeg,
    "progressive.jpg": lambda seed, size: encoded(draw(seed, size), "JPEG", progressive=True),
    "grey.jpg": lambda seed, size: encoded(draw(seed, size).convert("L"), "JPEG"),
    "print.cmyk.jpg": lambda seed, size: encoded(draw(seed, size).convert("CMYK"), "JPEG"),
    "telephone.jpg": lambda seed, size: turned(6, seed, size),
    "adobe-rgb.jpg": lambda seed, size: profiled(ADOBE_RGB, seed, size),
    "display-p3.jpg": lambda seed, size: profiled(DISPLAY_P3, seed, size),
    "plain.png": lambda seed, size: encoded(draw(seed, size), "PNG"),
    "cut-out.png": lambda seed, size: encoded(cut_out(seed, size), "PNG"),
    "palette.png": lambda seed, size: encoded(draw(seed, size).quantize(64), "PNG"),
    "deep.png": sixteen_bit_png,
    "animated.gif": animated_gif,
    "web.webp": lambda seed, size: encoded(draw(seed, size), "WEBP", quality=85),
    "cut-out.webp": lambda seed, size: encoded(cut_out(seed, size), "WEBP", lossless=True),
    "next.avif": lambda seed, size: encoded(draw(seed, size), "AVIF", quality=70, speed=10),
    "scan.tiff": lambda seed, size: encoded(draw(seed, size), "TIFF", compression="tiff_lzw"),
    "old.bmp": lambda seed, size: encoded(draw(seed, size), "BMP"),
    "iphone.heic": lambda seed, size: encoded(
        draw(seed, size), "HEIF", quality=60, enc_params={"preset": "ultrafast"}
    ),
}
