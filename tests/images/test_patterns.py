"""File names from patterns, on every system that the files may be unpacked on."""

from __future__ import annotations

from typing import Any

import pytest

from imageproc.images.patterns import (
    Pattern,
    PatternError,
    plain_stem,
    safe_stem,
    same_file_key,
)

IMAGE: dict[str, Any] = {
    **{"serial": "P001", "name": "Red Shoe", "position": 1, "column": "Image Src"},
    **{"sha256": "0123456789abcdef" * 4, "row": 7},
}


@pytest.mark.parametrize(
    ("pattern", "image", "name"),
    [
        ("{serial}_{position}", {}, "P001_1.jpg"),
        ("amazon", {}, "P001.MAIN.jpg"),
        ("amazon", {"position": 2}, "P001.PT01.jpg"),
        ("amazon", {"position": 12}, "P001.PT11.jpg"),
        ("business-central", {}, "P001.jpg"),
        ("oracle-commerce", {"position": 2}, "P001.2.jpg"),
        ("{name} {column}-{position:02}", {}, "Red Shoe Image Src-01.jpg"),
        ("{row}-{digest}", {}, "7-0123456789abcdef.jpg"),
        ("{serial}_{position}", {"serial": ""}, "row7_1.jpg"),
        ("{serial}_{position}", {"serial": "../../etc/passwd"}, "_.._.._etc_passwd_1.jpg"),
        ("{serial}", {"serial": "{name}"}, "{name}.jpg"),
        ("{{{serial}}}", {}, "{P001}.jpg"),
        ("{name}_{position}", {"name": "ü" * 99}, f"{'ü' * 91}_1.jpg"),
        ("{name}{serial}-{digest}", {"name": "n" * 99}, f"{'n' * 91}P001-0123456789abcdef.jpg"),
    ],
)
def test_names(pattern: str, image: dict[str, Any], name: str) -> None:
    assert Pattern(pattern).name("jpg", **IMAGE | image) == name


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ('a<b>c:d"e/f\\g|h?i*j', "a_b_c_d_e_f_g_h_i_j"),
        ("tab\tand\nline\x00\x7f", "tab and line"),
        ("\u202egpj.exe\u200b", "gpj.exe"),
        ("lone \udc80", "lone _"),
        ("dots. . .", "dots"),
        ("  blanks  ", "blanks"),
        (".hidden", "_.hidden"),
        ("", "_"),
        ("...", "_"),
        ("con", "_con"),
        ("CON.MAIN", "_CON.MAIN"),
        ("Lpt1 .x", "_Lpt1 .x"),
        ("com²", "_com²"),
        ("CONTACT", "CONTACT"),
        ("COM10", "COM10"),
        ("e\u0301", "é"),
        ("x" * 300, "x" * 200),
        ("日" * 100, "日" * 66),
    ],
)
def test_names_are_safe(text: str, stem: str) -> None:
    assert safe_stem(text) == stem


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("Red Shoe, (large)", "Red-Shoe-large"),
        ("P001.MAIN", "P001.MAIN"),
        ("100% #1 & more?", "100-1-more_"),
        ("Стул 1; стол", "Стул-1-стол"),
        ("कुर्सी", "कुर्सी"),
        ("(con)", "_con"),
        ("--", "_"),
        ("日" * 100, "日" * 66),
    ],
)
def test_names_in_links(text: str, stem: str) -> None:
    assert plain_stem(text) == stem


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A.jpg", "a.jpg", True),
        ("É", "e\u0301", True),
        ("STRASSE", "straße", True),
        ("a", "b", False),
        ("1", "01", False),
    ],
)
def test_names_that_are_one_file(one: str, other: str, same: bool) -> None:
    assert (same_file_key(one) == same_file_key(other)) is same


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("{sku}", "There is no field {sku}"),
        ("{serial.__class__}", "There is no field"),
        ("{serial[0]}", "There is no field"),
        ("{}", "There is no field {}"),
        ("{serial!r}", "can have a width"),
        ("{serial:>99999999}", "can have a width"),
        ("{position:0999}", "can have a width"),
        ("{position:{row}}", "can have a width"),
        ("{serial", "brace"),
        ("serial}", "brace"),
        ("image", "names no field"),
        ("{serial}" * 13, "100 characters"),
    ],
)
def test_patterns_that_are_refused(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        Pattern(pattern)
