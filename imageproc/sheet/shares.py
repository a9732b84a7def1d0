"""Share links, which lead to a page, made the address of the file itself.

Sources: developers.google.com/drive/api/guides/manage-downloads (``webContentLink``);
help.dropbox.com/share/force-download (``dl=1``); learn.microsoft.com/onedrive/developer/rest-api,
"Accessing shared items" (the ``u!`` token) and "Embed files" (``download`` for ``embed``);
learn.microsoft.com/sharepoint, ``download=1`` of a sharing link. What is no share link, or is a
file's own address already, is left alone.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from imageproc.sheet.hosts import UrlProblem
from imageproc.sheet.urls import Url

FOLDER = UrlProblem(
    "url_folder",
    "This link leads to a folder, not to a picture. Share the picture itself, or link to it.",
)

_DRIVE_FILE = re.compile(r"/(?:a/[^/]+/)?file/(?:u/\d+/)?d/([\w-]{10,})(?:/|\Z)")
_DRIVE_ID = re.compile(r"/(?:a/[^/]+/)?(?:u/\d+/)?(?:open|uc)\Z")
_DRIVE_FOLDER = re.compile(r"/(?:a/[^/]+/)?drive/(?:u/\d+/)?(?:mobile/)?folders/|/folderview\Z")
_DROPBOX_FILE = re.compile(r"/(?:s|scl/fi)/[^/]+/[^/]+\Z|/sh/[^/]+/[^/]+/.*[^/]\.\w+\Z")
_DROPBOX_FOLDER = re.compile(r"/(?:scl/fo|sh)/")
_SHORT_FILE = re.compile(r"/[a-eg-z]/(?:s!|c/[0-9a-f]+/)[^/]+\Z|/[\w-]+\Z")
_SHORT_FOLDER = re.compile(r"/f/")
_SHAREPOINT_FILE = re.compile(r"/:[a-eg-z]:/")
_SHAREPOINT_FOLDER = re.compile(r"/:f:/")
_GUEST_FILE = re.compile(r"/_layouts/15/(?:guestaccess|doc)\.aspx\Z", re.IGNORECASE)

Found = str | UrlProblem | None


def may_be_share(host: str) -> bool:
    """Whether links of this host are looked at more closely."""
    return host in _HOSTS or host.endswith(".sharepoint.com")


def direct(url: Url) -> Found:
    """The file's own address; a problem where the link leads to a folder; None for other links."""
    host = url.authority.host
    path, _, query = url.target.partition("?")
    rule = _HOSTS.get(host, _sharepoint if host.endswith(".sharepoint.com") else None)
    return rule(url, path, query) if rule else None


def _drive(_: Url, path: str, query: str) -> Found:
    """``confirm`` is the answer to the page "too large to scan for viruses"."""
    if _DRIVE_FOLDER.match(path):
        return FOLDER
    fields = dict(parse_qsl(query))
    file = _DRIVE_FILE.match(path)
    name = file[1] if file else fields.get("id", "") if _DRIVE_ID.match(path) else ""
    if not name:
        return None
    wanted = {"id": name, "export": "download", "confirm": "t"}
    if "resourcekey" in fields:
        wanted["resourcekey"] = fields["resourcekey"]
    return f"https://drive.usercontent.google.com/download?{urlencode(wanted)}"


def _dropbox(url: Url, path: str, query: str) -> Found:
    if _DROPBOX_FILE.match(path):
        fields = query.split("&") if query else []
        if "dl=1" in fields or "raw=1" in fields:
            return None
        kept = [field for field in fields if field.partition("=")[0] not in ("dl", "raw")]
        return f"https://{url.authority.text}{path}?{'&'.join([*kept, 'dl=1'])}"
    return FOLDER if _DROPBOX_FOLDER.match(path) else None


def _short(url: Url, path: str, _: str) -> Found:
    """1drv.ms"""
    if _SHORT_FOLDER.match(path):
        return FOLDER
    return _by_token(url) if _SHORT_FILE.match(path) else None


def _by_token(url: Url) -> str:
    address = f"https://{url.authority.text}{url.target}"
    token = urlsafe_b64encode(address.encode()).decode().rstrip("=")
    return f"https://api.onedrive.com/v1.0/shares/u!{token}/root/content"


def _onedrive(url: Url, path: str, query: str) -> Found:
    if path in ("/embed", "/redir"):
        return f"https://{url.authority.text}/download?{query}" if query else None
    fields = dict(parse_qsl(query))
    if path in ("/", "/view.aspx", "/edit.aspx", "/photos") and "authkey" in fields:
        name = fields.get("resid") or fields.get("id")
        if name:
            wanted = {"resid": name, "authkey": fields["authkey"]}
            return f"https://{url.authority.text}/download?{urlencode(wanted)}"
    return None


def _sharepoint(url: Url, path: str, query: str) -> Found:
    if _SHAREPOINT_FOLDER.match(path):
        return FOLDER
    fields = query.split("&") if query else []
    if "download=1" in fields or not (_SHAREPOINT_FILE.match(path) or _GUEST_FILE.search(path)):
        return None
    return f"https://{url.authority.text}{path}?{'&'.join([*fields, 'download=1'])}"


_HOSTS: dict[str, Callable[[Url, str, str], Found]] = {
    "drive.google.com": _drive,
    "docs.google.com": _drive,
    "www.dropbox.com": _dropbox,
    "dropbox.com": _dropbox,
    "1drv.ms": _short,
    "onedrive.live.com": _onedrive,
}
