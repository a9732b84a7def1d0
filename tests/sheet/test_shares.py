"""Share links become the address of the file; everything else stays as it is, byte for byte."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from tests.sheet.sheets import cell_errors, good, opened, sheet_of

ID = "1a2B3c4D5e6F7g8H9i0JkLmNoPqRsTuVw"
DRIVE = f"https://drive.usercontent.google.com/download?id={ID}&export=download&confirm=t"
LIVE = "https://onedrive.live.com"
BOX = "https://www.dropbox.com"
TEAM = "https://contoso.sharepoint.com"
MINE = "https://contoso-my.sharepoint.com"
USER = "/personal/ann_contoso_com"

SHARES = [
    *(
        (f"https://drive.google.com/{path}", DRIVE)
        for path in (
            *(f"file/d/{ID}", f"file/d/{ID}/", f"file/d/{ID}/view", f"file/d/{ID}/edit"),
            *(f"file/d/{ID}/preview", f"file/d/{ID}/view?usp=sharing"),
            *(f"file/d/{ID}/view?usp=share_link", f"file/d/{ID}/view?usp=drive_link"),
            *(f"file/d/{ID}/view?pli=1", f"file/u/0/d/{ID}/view", f"file/u/1/d/{ID}/edit"),
            *(f"a/shop.example/file/d/{ID}/view", f"open?id={ID}", f"open?id={ID}&usp=sharing"),
            *(
                f"open?usp=drive_fs&id={ID}",
                f"u/0/open?id={ID}",
                f"uc?id={ID}",
                f"uc?export=view&id={ID}",
            ),
            *(f"uc?export=download&id={ID}", f"uc?id={ID}&export=download&confirm=t"),
            *(f"u/0/uc?id={ID}&export=download", f"a/shop.example/uc?id={ID}"),
            *(f"file/d/{ID}/view#top", f"a/shop.example/open?id={ID}"),
        )
    ),
    (f"http://drive.google.com/file/d/{ID}/view", DRIVE),
    (f"https://docs.google.com/uc?export=download&id={ID}", DRIVE),
    (f"https://docs.google.com/file/d/{ID}/edit", DRIVE),
    (
        f"https://drive.google.com/file/d/{ID}/view?resourcekey=0-Ab_c",
        f"{DRIVE}&resourcekey=0-Ab_c",
    ),
    (f"https://drive.google.com/open?id={ID}&resourcekey=0-x", f"{DRIVE}&resourcekey=0-x"),
    (f"{BOX}/s/abc123/shoe.jpg", f"{BOX}/s/abc123/shoe.jpg?dl=1"),
    (f"{BOX}/s/abc123/shoe.jpg?dl=0", f"{BOX}/s/abc123/shoe.jpg?dl=1"),
    (f"{BOX}/s/abc123/red%20shoe.jpg?dl=0", f"{BOX}/s/abc123/red%20shoe.jpg?dl=1"),
    ("https://dropbox.com/s/abc123/shoe.jpg?dl=0", "https://dropbox.com/s/abc123/shoe.jpg?dl=1"),
    ("http://www.dropbox.com/s/abc/shoe.jpg?dl=0", f"{BOX}/s/abc/shoe.jpg?dl=1"),
    (f"{BOX}/s/abc/shoe.jpg?raw=0", f"{BOX}/s/abc/shoe.jpg?dl=1"),
    (
        f"{BOX}/scl/fi/k1/shoe.jpg?rlkey=r2&st=s3&dl=0",
        f"{BOX}/scl/fi/k1/shoe.jpg?rlkey=r2&st=s3&dl=1",
    ),
    (f"{BOX}/scl/fi/k1/shoe.jpg?rlkey=r2", f"{BOX}/scl/fi/k1/shoe.jpg?rlkey=r2&dl=1"),
    (f"{BOX}/scl/fi/k1/shoe.jpg?dl=0&rlkey=r2", f"{BOX}/scl/fi/k1/shoe.jpg?rlkey=r2&dl=1"),
    (f"{BOX}/sh/k1/AAx/shoe.jpg?dl=0", f"{BOX}/sh/k1/AAx/shoe.jpg?dl=1"),
    (f"{BOX}/sh/k1/AAx/red/shoe.jpg?dl=0", f"{BOX}/sh/k1/AAx/red/shoe.jpg?dl=1"),
    (f"{LIVE}/embed?resid=A1%21107&authkey=%21Ab", f"{LIVE}/download?resid=A1%21107&authkey=%21Ab"),
    (f"{LIVE}/embed?cid=A1&resid=A1%217", f"{LIVE}/download?cid=A1&resid=A1%217"),
    (f"{LIVE}/redir?resid=A1!107&authkey=!Ab", f"{LIVE}/download?resid=A1!107&authkey=!Ab"),
    (f"{LIVE}/?cid=A1&id=A1%21107&authkey=%21Ab", f"{LIVE}/download?resid=A1%21107&authkey=%21Ab"),
    (f"{LIVE}/?authkey=%21Ab&id=A1%217&o=OneUp", f"{LIVE}/download?resid=A1%217&authkey=%21Ab"),
    (f"{LIVE}/view.aspx?resid=A1!7&authkey=!Ab", f"{LIVE}/download?resid=A1%217&authkey=%21Ab"),
    *(
        (f"{host}{path}", f"{host}{path}{'&' if '?' in path else '?'}download=1")
        for host, path in (
            *((TEAM, f"/:i:/s/Shop/Eabc?e={n}") for n in ("x1", "4%3ax1")),
            *(
                (TEAM, "/:i:/s/Shop/Eabc"),
                (TEAM, "/:i:/g/Eabc?e=x1"),
                (TEAM, "/:i:/r/sites/a/b.jpg?web=1"),
            ),
            *(
                (TEAM, "/:u:/s/Shop/Eabc?e=x1"),
                (TEAM, "/:b:/t/Team/Eabc"),
                (TEAM, "/:i:/p/ann/Eabc"),
            ),
            *(
                (MINE, f"/:i:/g{USER}/Eabc?e=x1"),
                (MINE, f"/:i:/p{USER}/Eabc"),
                (MINE, f"/:u:/g{USER}/E1"),
            ),
            *((TEAM, f"/:{kind}:/s/Shop/Eabc?e=x1") for kind in "wxptvo"),
            *((MINE, f"/:{kind}:/g{USER}/Eabc") for kind in "bvto"),
            *((TEAM, "/sites/a/_layouts/15/guestaccess.aspx?docid=1&authkey=2"),),
            *((MINE, f"{USER}/_layouts/15/guestaccess.aspx?share=Eabc"),),
            *((MINE, f"{USER}/_layouts/15/Doc.aspx?sourcedoc=%7B1%7D"),),
        )
    ),
    ("//cdn.example.com/a.jpg", "https://cdn.example.com/a.jpg"),
    ("//cdn.example.com:8443/a.jpg?b=//c", "https://cdn.example.com:8443/a.jpg?b=//c"),
    ("https://cdn.example.com/i?a=1&amp;b=2", "https://cdn.example.com/i?a=1&b=2"),
    ("//cdn.example.com/i?a=1&#38;b=2", "https://cdn.example.com/i?a=1&b=2"),
]
SHORT = [
    *("https://1drv.ms/i/s!AkT0AbC", "https://1drv.ms/u/s!AkT0AbC?e=Xy1", "https://1drv.ms/b/s!Ab"),
    *(
        "https://1drv.ms/i/c/a1b2c3d4/EQab?e=Xy1",
        "https://1drv.ms/u/c/a1b2c3d4/IQab",
        "https://1drv.ms/AbCd",
    ),
]
NO_SHARES = [
    *("https://cdn.example.com/file/d/1a2B3c4D5e6F/view", "https://lh3.googleusercontent.com/d/1a"),
    *(DRIVE, f"https://drive.google.com/thumbnail?id={ID}&sz=w1000", "https://drive.google.com/"),
    *(
        f"https://docs.google.com/document/d/{ID}/edit",
        f"https://docs.google.com/spreadsheets/d/{ID}",
    ),
    *(f"{BOX}/s/a/b.jpg?dl=1", f"{BOX}/s/a/b.jpg?raw=1", f"{BOX}/scl/fi/a/b.jpg?rlkey=c&raw=1"),
    *("https://dl.dropboxusercontent.com/s/a/b.jpg", "https://dl.dropbox.com/s/a/b.jpg?dl=0"),
    *(f"{BOX}/help?dl=0", f"{LIVE}/download?resid=A1%217&authkey=%21Ab", f"{LIVE}/?id=root"),
    *(f"{TEAM}/:i:/s/a/E1?download=1", f"{TEAM}/sites/a/_layouts/15/download.aspx?share=E1"),
    *(f"{TEAM}/sites/a/Shared%20Documents/b.jpg", f"{MINE}{USER}/Documents/b.jpg"),
    *(
        "https://api.onedrive.com/v1.0/shares/u!aHR0/root/content",
        "https://sharepoint.com.example/:i:/s/a",
    ),
    *(
        "https://notdropbox.com/s/a/b.jpg?dl=0",
        "https://drive.google.com.example/open?id=12345678901",
    ),
    *(
        "https://cdn.example.com/a.jpg?u=//b.example/c.jpg",
        "https://cdn.example.com//b.example/c.jpg",
    ),
    *("https://cdn.example.com/a&amp;b.jpg", "https://cdn.example.com/a.jpg?x=&copy;1"),
]
FOLDERS = [
    *(
        "https://drive.google.com/drive/folders/1a2B3c4D5e6F",
        "https://drive.google.com/drive/u/0/folders/1a",
    ),
    *("https://drive.google.com/folderview?id=1a2B3c4D5e6F", f"{BOX}/sh/k1/AAx?dl=0"),
    *(
        f"{BOX}/scl/fo/k1/h2?rlkey=r3&dl=0",
        "https://1drv.ms/f/s!AkT0AbC",
        f"{TEAM}/:f:/s/Shop/Eabc?e=x1",
    ),
]


def urls_of(cell: str) -> tuple[str, ...]:
    quoted = cell.replace('"', '""')
    (row,) = good(sheet_of(f'1,Pen,"{quoted}"\n'))
    return row.urls


def test_the_corpus_is_large_enough() -> None:
    assert len(SHARES) + len(SHORT) >= 80


@pytest.mark.parametrize(("link", "file"), SHARES)
def test_a_share_link_becomes_the_files_address(link: str, file: str) -> None:
    assert urls_of(link) == (file,)
    assert urls_of(file) == (file,)


@pytest.mark.parametrize("link", SHORT)
def test_a_short_link_becomes_a_token(link: str) -> None:
    (url,) = urls_of(link)
    before, token, after = url.partition("/u!")[0], url.partition("/u!")[2][:-13], url[-13:]
    assert (before, after) == ("https://api.onedrive.com/v1.0/shares", "/root/content")
    assert urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode() == link


@pytest.mark.parametrize("link", NO_SHARES)
def test_what_is_no_share_link_stays(link: str) -> None:
    assert urls_of(link) == (link,)
    assert urls_of(f"{link}, {link}") == (link, link)  # also once its host is known


@pytest.mark.parametrize("link", FOLDERS)
def test_a_folder_is_named(link: str) -> None:
    assert cell_errors(link) == [(link, "url_folder")]


def test_links_without_a_scheme_are_told_apart_and_shares_are_counted() -> None:
    assert urls_of("//a.example/1.jpg, //b.example/2.jpg;https://c.example/3.jpg") == (
        *("https://a.example/1.jpg", "https://b.example/2.jpg", "https://c.example/3.jpg"),
    )
    sheet = opened(sheet_of(f'1,Pen,"{SHARES[0][0]},{NO_SHARES[0]}"\n2,Ink,{SHORT[0]}\n'))
    assert (sheet.validate().shared, sheet.summary.hosts.total()) == (2, 3)
