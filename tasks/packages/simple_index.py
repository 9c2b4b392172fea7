"""The page of a package on a package index, as the simple repository API gives it: JSON, or HTML.

Threat model: the page is foreign. It is parsed into names and addresses, and no more; the caller bounds its size
and checks what it fetches by hash.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

MEDIA_TYPES = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class File(NamedTuple):
    """A file of a package; `sha256` is what the page says, None where it says nothing; `date` the day it came."""

    filename: str
    url: str
    sha256: str | None
    date: str = ""


def parse_page(data: bytes, content_type: str, address: str) -> list[File]:
    """The files that a page names; what is malformed is left out. Raises ValueError for what is no such page."""
    if content_type.split(";")[0].strip().endswith("json"):
        return _from_json(data, address)
    reader = _Links(address)
    reader.feed(data.decode("utf-8", "replace"))
    return reader.files


def find_file(files: list[File], package: str, version: str, sha256: str) -> File:
    """The source archive with that hash, or of that name where the page gives no hash. Raises ValueError."""
    for file in files:
        if file.sha256 == sha256:
            return file
    for file in files:
        if file.sha256 is None and is_archive(file, package, version):
            return file
    raise ValueError(f"the package index has no source archive of {package} {version} with SHA-256 {sha256}")


def _from_json(data: bytes, address: str) -> list[File]:
    try:
        page: Any = json.loads(data)
        entries = page["files"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{address} answers with no list of files") from error
    files = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
            continue
        hashes = entry.get("hashes")
        sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
        file = _file(address, entry["url"], sha256 if isinstance(sha256, str) else None)
        day = re.match(r"\d{4}-\d\d-\d\d", str(entry.get("upload-time")))
        files += [file._replace(date=day[0] if day else "")] if file else []
    return files


def is_archive(file: File, package: str, version: str) -> bool:
    """Whether a file is called like the source archive of a release."""
    stem, dash, end = file.filename.rpartition("-")
    return f"{_plain(stem)}{dash}{end}" == f"{_plain(package)}-{version}.tar.gz"


class _Links(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.files: list[File] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            url, fragment = _split(href)
            match = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment)
            file = _file(self.address, url, match[1] if match else None)
            self.files += [file] if file else []


def _split(href: str) -> tuple[str, str]:
    try:
        return tuple(urldefrag(href))  # type: ignore[return-value]
    except ValueError:
        return "", ""


def _file(address: str, url: str, sha256: str | None) -> File | None:
    try:
        whole = urljoin(address, url)
        name = unquote(urlsplit(whole).path.rsplit("/", 1)[-1])
    except ValueError:
        return None
    return File(name, whole, sha256) if url else None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
