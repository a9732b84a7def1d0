"""File names of images, made from a pattern such as ``{serial}_{position}``.

A name can be written on Windows, macOS and Linux alike. The rules of Windows:
https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re
import unicodedata
from string import Formatter

# A pattern that has a name of its own. Amazon: the product's id, a dot and the variant code, see
# "Product image requirements" in Seller Central.
PRESETS = {"amazon": "{serial}.{variant}"}
DEFAULT = "{serial}_{position}"
FIELDS = ("serial", "name", "position", "column", "digest", "row", "variant")
MAX_PATTERN = 100
# UTF-8, without the extension. File systems take 255 bytes for a name; Windows takes 260
# characters for a whole path.
MAX_VALUE_BYTES, MAX_NAME_BYTES = 100, 200
DIGEST_DIGITS = 16

_NUMBERS = ("position", "row")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Reserved on Windows in upper and lower case, with any extension, too.
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\.|$)", re.I)


class PatternError(ValueError):
    """The pattern cannot be used. The message says why."""


class Pattern:
    """A pattern, or the name of one of PRESETS. Raises PatternError."""

    def __init__(self, text: str) -> None:
        self._text = PRESETS.get(text, text)
        if len(self._text) > MAX_PATTERN:
            raise PatternError(f"A pattern has {MAX_PATTERN} characters at the most.")
        try:
            parts = list(Formatter().parse(self._text))
        except ValueError as error:
            raise PatternError("A brace of the pattern has no counterpart.") from error
        self.fields = {field for _, field, _, _ in parts if field is not None}
        for _, field, width, conversion in parts:
            if field is not None:
                _check_field(field, width or "", conversion)
        if not self.fields:
            raise PatternError(f"The pattern names no field; the fields are {_listed()}.")

    def name(
        self,
        extension: str,
        *,
        serial: str,
        name: str,
        position: int,
        column: str,
        sha256: str,
        row: int,
    ) -> str:
        """The name of one image. ``row``, its place among the rows of data, stands for a serial
        number that is empty."""
        stem = self._text.format(
            serial=_value(serial) or f"row{row}",
            name=_value(name),
            position=position,
            column=_value(column),
            digest=sha256[:DIGEST_DIGITS],
            row=row,
            variant="MAIN" if position == 1 else f"PT{position - 1:02}",
        )
        return f"{safe_stem(stem)}.{extension}"


def safe_stem(text: str) -> str:
    """The same text as a file name without extension that every system takes; never empty."""
    stem = _cut(_value(text, MAX_NAME_BYTES).rstrip(". "), MAX_NAME_BYTES).rstrip(". ")
    if not stem or stem.startswith(".") or _RESERVED.match(stem):
        stem = f"_{stem}"
    return stem


def same_file_key(name: str) -> str:
    """Equal for two names that Windows or macOS take for one: they ignore upper and lower case, and
    macOS how an accent is written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _check_field(field: str, width: str, conversion: str | None) -> None:
    if field not in FIELDS:
        raise PatternError(f"There is no field {{{field}}}; the fields are {_listed()}.")
    if conversion or (width and not (field in _NUMBERS and re.fullmatch("0[1-9]", width))):
        raise PatternError(
            "Only {position} and {row} can have a width, from 1 to 9 digits: {position:02}."
        )


def _listed() -> str:
    return ", ".join(f"{{{field}}}" for field in FIELDS)


def _value(text: str, limit: int = MAX_VALUE_BYTES) -> str:
    """No character that a system refuses or hides: invisible ones are left out, others are "_"."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    shown = (c for c in text if unicodedata.category(c) not in ("Cc", "Cf"))
    safe = "".join("_" if unicodedata.category(c) in ("Cs", "Cn", "Co") else c for c in shown)
    return _cut(_FORBIDDEN.sub("_", safe), limit).strip()


def _cut(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")
