"""A package index on the loopback device, and archives to put into it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Pages = Mapping[str, tuple[str, bytes]]
Start = Callable[[Pages], tuple[str, list[str]]]


def source_archive(files: Mapping[str, str], top: str = "thing-1.0") -> bytes:
    """A source archive; the same files are always the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def wheel(files: Mapping[str, str], name: str = "helper", version: str = "1.0") -> bytes:
    """A pure-Python wheel."""
    about = f"{name}-{version}.dist-info"
    more = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": "",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in {**files, **more}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return out.getvalue()


def sha(data: bytes) -> str:
    """SHA-256, as an index gives it."""
    return hashlib.sha256(data).hexdigest()


def pages(packages: Mapping[str, Mapping[str, bytes]]) -> Pages:
    """An index's pages and files: package, file name, content."""
    served: dict[str, tuple[str, bytes]] = {}
    for package, files in packages.items():
        entries = [
            {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": sha(data)}}
            for name, data in files.items()
        ]
        page = json.dumps({"meta": {"api-version": "1.0"}, "name": package, "files": entries})
        served[f"/simple/{package}/"] = ("application/vnd.pypi.simple.v1+json", page.encode())
        served |= {f"/files/{name}": ("application/octet-stream", data) for name, data in files.items()}
    return served


@contextmanager
def package_index() -> Iterator[Start]:
    """Serves pages (content type, body) by path; gives the index's address and the paths that were asked for."""
    servers: list[ThreadingHTTPServer] = []

    def start(served: Pages) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                asked.append(self.path)
                kind, body = served.get(self.path, ("", b""))
                self.send_response(200 if kind else 404)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)

        servers.append(server := ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/simple/", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
