"""Cells of URLs: splitting, judging, joining."""

from __future__ import annotations

import pytest

from imageproc.sheet import UrlProblem, check_url, host_of, join_urls
from imageproc.sheet.cell import separator_of, split_cell, without_entities
from imageproc.sheet.links import UrlReader
from tests.sheet.sheets import cell_errors

A, B, C = "https://a.example/1.jpg", "http://b.example/2,3.jpg", "https://c.example/x?y=1;z=2"


@pytest.mark.parametrize(
    ("between", "mark"),
    [
        (",", ","),
        (", ", ","),
        (" , \n", ","),
        (";", ";"),
        ("|", "|"),
        (" | ", "|"),
        (" ", " "),
        ("\t", " "),
        ("\n", "\n"),
        ("\r\n", "\n"),
        ("\r", "\n"),
        (",,", ","),
    ],
)
def test_separators_and_commas_inside_urls(between: str, mark: str) -> None:
    cell = between.join((A, B, C, A))
    assert split_cell(cell) == [A, B, C, A]
    assert split_cell(f"{between} {cell}{between}") == [A, B, C, A]
    assert separator_of(cell) == mark
    assert split_cell(join_urls(cell, (A, B, C, A))) == [A, B, C, A]


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (f"{A}, foo, {B}", [(f"{A}, foo", "url_space")]),
        (f"{A} {B} see-note", [(f"{B} see-note", "url_space")]),
        ("https://a.example/my photo.jpg", [("https://a.example/my photo.jpg", "url_space")]),
        (f"{A},ftp://b.example/x,{C}", [("ftp://b.example/x", "url_scheme")]),
        (f"{A},javascript://x\n{B}", [("javascript://x", "url_scheme")]),
        ("data:image/png;base64,AAAA", [("data:image/png;base64,AAAA", "url_scheme")]),
        ("www.example.com/a.jpg", [("www.example.com/a.jpg", "url_scheme")]),
        ("//localhost", [("//localhost", "url_scheme")]),
        ("http:/a.example/a.jpg", [("http:/a.example/a.jpg", "url_scheme")]),
        (",;|", [("", "url_missing")]),
    ],
)
def test_junk_between_urls(cell: str, found: list[tuple[str, str]]) -> None:
    assert cell_errors(cell) == found


def test_splitting_is_linear_on_hostile_cells() -> None:
    for cell in ("," * 100_000 + "x", "x" + " ," * 50_000 + "x", ("a" * 21 + ",") * 5000):
        assert len(split_cell(cell)) == 1


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://a.example/", "url_scheme"),
        ("https://user@a.example/", "url_userinfo"),
        ("https://user:pw@a.example/", "url_userinfo"),
        ("https://a.example@10.0.0.1/", "url_userinfo"),
        ("https://a.example/a\x00b", "url_control"),
        ("https://a.example/a\x7fb", "url_control"),
        ("https://a.example/a\u200bb", "url_control"),
        ("https://a.example/a\nb", "url_space"),
        ("https://a.example/a\u00a0b", "url_space"),
        ("https://a.example\\@b.example/", "url_backslash"),
        ("https://", "url_host"),
        ("https:///a.jpg", "url_host"),
        ("https://?x", "url_host"),
        ("https://a..example/", "url_host"),
        ("https://.a.example/", "url_host"),
        ("https://-a.example/", "url_host"),
        ("https://a-.example/", "url_host"),
        ("https://a%2eexample/", "url_host"),
        ("https://a$b.example/", "url_host"),
        (f"https://{'a' * 64}.example/", "url_host"),
        (f"https://{'a.' * 126}example/", "url_host"),
        ("https://[::1/", "url_port"),
        ("https://[::g]/", "url_host"),
        ("https://[fe80::1%25eth0]/", "url_host"),
        ("https://[127.0.0.1]/", "url_host"),
        ("http://0x7f.1/", "url_host_numeric"),
        ("http://2130706433/", "url_host_numeric"),
        ("http://0177.0.0.1/", "url_host_numeric"),
        ("http://127.1/", "url_host_numeric"),
        ("http://1.2.3.256/", "url_host_numeric"),
        ("http://1.2.3.4.5/", "url_host_numeric"),
        ("http://a.0x1/", "url_host_numeric"),
        ("http://0x/", "url_host_numeric"),
        ("http://0X7F000001/", "url_host_numeric"),
        ("http://\uff11\uff12\uff17.1/", "url_host_numeric"),
        ("https://a.example:0/", "url_port"),
        ("https://a.example:65536/", "url_port"),
        ("https://a.example:999999/", "url_port"),
        ("https://a.example:8o/", "url_port"),
        ("https://a.example:-1/", "url_port"),
        ("https://a.example:\u0661/", "url_port"),
        ("https://a.example../", "url_host"),
        ("https://./", "url_host"),
        ("http://127.1./", "url_host_numeric"),
        ("https://a.example/a\u00adb", "url_control"),
        ("https://a.example/\ud800", "url_control"),
        (f"https://a.example/{'x' * 7983}", "url_too_long"),
        (f"https://a.example/{'é' * 1400}", "url_too_long"),
    ],
)
def test_urls_that_are_refused(url: str, code: str) -> None:
    found = check_url(url)
    assert isinstance(found, UrlProblem)
    assert found.code == code
    assert found.message.isascii()


@pytest.mark.parametrize(
    ("url", "fetched", "host", "port"),
    [
        ("https://a.example", "https://a.example", "a.example", 443),
        ("HTTP://A.Example:080/X", "http://a.example:80/X", "a.example", 80),
        (
            "http://my_cdn.a--b.example/%zz%2f%2F~%7e",
            "http://my_cdn.a--b.example/%25zz%2f%2F~%7e",
            "my_cdn.a--b.example",
            80,
        ),
        ("http://127.0.0.1:9000/a", "http://127.0.0.1:9000/a", "127.0.0.1", 9000),
        ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1/", "127.0.0.1", 80),
        ("https://[0:0::1]:65535/a", "https://[::1]:65535/a", "[::1]", 65535),
        ("https://localhost/?a#b", "https://localhost/?a#b", "localhost", 443),
        (
            "https://BÜCHER.example/ü",
            "https://xn--bcher-kva.example/%C3%BC",
            "xn--bcher-kva.example",
            443,
        ),
        (
            "https://日本。example/画.jpg?q=é",
            "https://xn--wgv71a.example/%E7%94%BB.jpg?q=%C3%A9",
            "xn--wgv71a.example",
            443,
        ),
        (
            'https://a.example/a@b:c,d;e|f"<>^`{}',
            "https://a.example/a@b:c,d;e%7Cf%22%3C%3E%5E%60%7B%7D",
            "a.example",
            443,
        ),
        ("https://a.example./a", "https://a.example/a", "a.example", 443),
        ("http://127.0.0.1./", "http://127.0.0.1/", "127.0.0.1", 80),
        ("https://a.example:/a", "https://a.example/a", "a.example", 443),
        ("https://\u2764.example/", "https://xn--qei.example/", "xn--qei.example", 443),
        ("http://\uff45xample.com/", "http://example.com/", "example.com", 80),
        (
            "http://a.example/\u0645\u06cc\u200c\u062e",
            "http://a.example/%D9%85%DB%8C%E2%80%8C%D8%AE",
            "a.example",
            80,
        ),
        (f"https://a.example/{'x' * 7982}", f"https://a.example/{'x' * 7982}", "a.example", 443),
    ],
)
def test_urls_that_are_fetched(url: str, fetched: str, host: str, port: int) -> None:
    found = check_url(url)
    assert not isinstance(found, UrlProblem)
    assert found.text == fetched
    assert found.authority[:2] == (host, port)
    assert host_of(fetched) == host
    # the short way through a known host gives the same, but a cell holds no label behind a bar
    reader = UrlReader(None)
    cell = url.replace("|", "%7C").replace('"', "%22")
    assert [reader.read(cell) for _ in range(2)] == [((fetched,), [])] * 2


@pytest.mark.parametrize(
    ("cell", "urls", "joined"),
    [
        (A, ["x"], "x"),
        (A, [""], ""),
        (f"{A}, {B}", ["x", "y"], "x,y"),
        (f"{A},{B},{C}", ["x", "", "z"], "x,,z"),
        (f"{A};{B};{C}", ["", "", "z"], ";;z"),
        (f"{A} | {B}", ["", ""], "|"),
        (f"{A}\r\n{B}", ["x", "y"], "x\ny"),
        (f"{A} {B}", ["x", "y"], "x y"),
        # white space cannot show an empty slot
        (f"{A} {B}", ["", "y"], ",y"),
        (f"{A}\n{B}\n{C}", ["x", "", "z"], "x,,z"),
    ],
)
def test_outputs_are_joined_as_the_inputs_were(cell: str, urls: list[str], joined: str) -> None:
    assert join_urls(cell, urls) == joined


def test_memory_of_hosts_and_duplicates_is_bounded() -> None:
    asked: list[str] = []
    reader = UrlReader(asked.append, max_hosts=2, max_tracked=5)
    for _ in range(2):
        for name in "abcd":
            assert reader.read(f"http://{name}.example/1")[1] == []
    assert reader.hosts == {"a.example": 2, "b.example": 2}
    assert (reader.images, reader.images_elsewhere) == (8, 4)
    assert (reader.duplicate_urls, reader.duplicates_exact) == (1, False)
    assert asked == [f"http://{name}.example/1" for name in "abcdcd"]


def test_refused_links_beyond_the_bound_are_no_images() -> None:
    reader = UrlReader(lambda url: ("port_forbidden", "No.") if "bad" in url else None, max_hosts=1)
    for name in ("good", "bad1", "bad2", "other", "bad1"):
        reader.read(f"http://{name}.example/1")
    assert (reader.images, reader.images_elsewhere) == (2, 1)
    assert reader.hosts == {"good.example": 1}


@pytest.mark.parametrize(
    ("cell", "mark", "joined"),
    [
        ("a.jpg | b.jpg", "|", "x|y"),
        ("a.jpg;b.jpg", ";", "x;y"),
        ("a.jpg\r\nb.jpg", "\n", "x\ny"),
        ("a b.jpg", ",", "x,y"),
        (f"{A}；{B}", ",", "x,y"),
    ],
)
def test_outputs_of_paths_are_joined_as_the_paths_were(cell: str, mark: str, joined: str) -> None:
    """A blank belongs to a file's name; a full-width mark is written as a comma."""
    assert separator_of(cell, paths=True) == mark
    assert join_urls(cell, ["x", "y"], paths=True) == joined


def test_a_cell_of_links_is_separated_by_blanks_unless_it_holds_paths() -> None:
    assert (separator_of("a.jpg;b.jpg"), separator_of("a.jpg;b.jpg", paths=True)) == (",", ";")
    assert join_urls("a.jpg;b.jpg", ["x", "y"]) == "x,y"


def test_only_the_query_has_entities_read_and_all_of_it() -> None:
    link = "http://a.example/x&amp;y?b=1&amp;c=2?d&amp;e"
    assert without_entities(link) == "http://a.example/x&amp;y?b=1&c=2?d&e"
    assert without_entities("http://a.example/x&amp;y") == "http://a.example/x&amp;y"


def test_what_is_no_link_has_no_host() -> None:
    assert host_of("ftp://a.example/1") == ""
