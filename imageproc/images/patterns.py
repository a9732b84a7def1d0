"""Names of images, made from a pattern such as ``{serial}_{position}``: of files in a ZIP, and of
objects where the upload asked for a pattern.

A name can be written on Windows, macOS and Linux alike. The rules of Windows:
https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from string import Formatter

# Patterns with names of their own: of places that find a picture's product by its file name. The
# rules, in the order of the presets:
# https://sellercentral.amazon.com.au/gp/help/external/help.html?itemID=JV4FNMT7563SF5F
# https://github.com/MicrosoftDocs/dynamics365smb-docs, inventory-how-import-item-pictures.md: the
# item's number, one picture for each item.
# https://docs.oracle.com/en/cloud/saas/cx-commerce/uoccs/upload-media-files.html
PRESETS = {
    "amazon": "{serial}.{variant}",
    "business-central": "{serial}",
    "oracle-commerce": "{serial}.{position}",
}
DEFAULT = "{serial}_{position}"
FIELDS = ("serial", "name", "position", "column", "digest", "row", "variant")
MAX_PATTERN = 100
# UTF-8, without the extension. File systems take 255 bytes for a name; Windows takes 260
# characters for a whole path.
MAX_NAME_BYTES = 200
DIGEST_DIGITS = 16
# Stands for the digest in a name until that is known (object replacement character).
_NO_DIGEST = "\ufffc"

_NUMBERS = ("position", "row")
# Fields whose values are texts of any length, and what others take of a name at the most.
_TEXTS = ("serial", "name", "column")
_OTHER_BYTES = 16
_FORBIDDEN = '<>:"/\\|?*'
# Characters: enough for a catalogue in any script.
_REMEMBERED = 10_000
# Reserved on Windows in upper and lower case, with any extension, too.
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\.|$)", re.I)
_HYPHENS = re.compile("-{2,}")


class PatternError(ValueError):
    """The pattern cannot be used. The message says why."""


class Pattern:
    """A pattern, or the name of one of PRESETS. Raises PatternError."""

    def __init__(self, text: str) -> None:
        self.text = PRESETS.get(text, text)
        if len(self.text) > MAX_PATTERN:
            raise PatternError(f"A pattern has {MAX_PATTERN} characters at the most.")
        try:
            parts = list(Formatter().parse(self.text))
        except ValueError as error:
            raise PatternError("A brace of the pattern has no counterpart.") from error
        fields = [field for _, field, _, _ in parts if field is not None]
        for _, field, width, conversion in parts:
            if field is not None:
                _check_field(field, width or "", conversion)
        if not fields:
            raise PatternError(f"The pattern names no field; the fields are {_listed()}.")
        self.fields = set(fields)
        # What is left for each text, so that no position or digest at the end is cut off.
        texts = sum(field in _TEXTS for field in fields)
        own = sum(len(literal.encode()) for literal, *_ in parts)
        room = MAX_NAME_BYTES - own - _OTHER_BYTES * (len(fields) - texts)
        self._most = max(1, room // max(1, texts))

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
        """The name of a file. ``row``, its place among the rows of data, stands for a serial number
        that is empty."""
        stem = safe_stem(self._filled(serial, name, position, column, row, _digest(sha256)))
        return f"{stem}.{extension}"

    def stem(self, *, serial: str, name: str, position: int, column: str, row: int) -> str:
        """The name of an object without its extension, before its digest is known
        (``with_digest``)."""
        return plain_stem(self._filled(serial, name, position, column, row, _NO_DIGEST))

    def _filled(
        self, serial: str, name: str, position: int, column: str, row: int, digest: str
    ) -> str:
        return self.text.format(
            serial=_value(serial, self._most) or f"row{row}",
            name=_value(name, self._most),
            position=position,
            column=_value(column, self._most),
            digest=digest,
            row=row,
            variant="MAIN" if position == 1 else f"PT{position - 1:02}",
        )


def safe_stem(text: str) -> str:
    """The same text as a file name without extension that every system takes; never empty."""
    return _guarded(_value(text, MAX_NAME_BYTES))


def plain_stem(text: str) -> str:
    """The same with letters and digits of any script, dots, hyphens and underscores only: the name
    stands in links, and links stand in cells that separate them by commas or blanks."""
    text = _value(text, MAX_NAME_BYTES).translate(_plain)
    return _guarded(_HYPHENS.sub("-", text).strip("-"))


def with_digest(stem: str, sha256: str) -> str:
    """A name from ``Pattern.stem`` that is complete."""
    return stem.replace(_NO_DIGEST, _digest(sha256))


def same_file_key(name: str) -> str:
    """Equal for two names that Windows or macOS take for one: they ignore upper and lower case, and
    macOS how an accent is written."""
    if name.isascii():
        return name.lower()
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


def _digest(sha256: str) -> str:
    return sha256[:DIGEST_DIGITS]


def _guarded(text: str) -> str:
    stem = _cut(text.rstrip(". "), MAX_NAME_BYTES).rstrip(". ")
    if not stem or stem.startswith(".") or _RESERVED.match(stem):
        stem = f"_{stem}"
    return stem


def _value(text: str, limit: int) -> str:
    """No character that a system refuses or hides: invisible ones are left out, others are "_"."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    return _cut(text.translate(_safe), limit).strip()


def _cut(text: str, limit: int) -> str:
    if 4 * len(text) <= limit:
        return text
    return text.encode()[:limit].decode(errors="ignore")


class _Table(dict[int, str]):
    """For str.translate: what a function makes of each character, remembered for those that came
    first."""

    def __init__(self, change: Callable[[str], str]) -> None:
        super().__init__()
        self._change = change

    def __missing__(self, code: int) -> str:
        changed = self._change(chr(code))
        if len(self) < _REMEMBERED:
            self[code] = changed
        return changed


def _safe_character(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cf"):
        return ""
    return "_" if character in _FORBIDDEN or category in ("Cs", "Cn", "Co") else character


def _plain_character(character: str) -> str:
    """Letters, digits, and the marks that many scripts write vowels with."""
    if character in f"._{_NO_DIGEST}" or character.isalnum():
        return character
    return character if unicodedata.category(character)[0] == "M" else "-"


_safe, _plain = _Table(_safe_character), _Table(_plain_character)
