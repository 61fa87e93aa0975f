"""An HTTP proxy on loopback that stands before the mirror: its own files come first."""

from __future__ import annotations

import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

SECONDS = 300


@contextmanager
def proxy_before_the_mirror(www: Path, cache: Path, *, lost_to: str = "") -> Iterator[str]:
    """The address of a proxy that answers from ``www``, then ``cache``, then the Internet.

    Packages are kept in the cache, indexes are not: they change. The programs whose name begins
    with ``lost_to`` are told that the mirror is gone as soon as they want a package.
    """

    class Handler(_Handler):
        own, kept, lost = www, cache, lost_to

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    own: Path
    kept: Path
    lost: str
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()

    def do_GET(self) -> None:
        path = PurePosixPath(unquote(urlsplit(self.path).path)).relative_to("/")
        if ".." in path.parts:
            self.send_error(400)
            return
        if self.lost and path.suffix == ".deb" and self._caller().startswith(self.lost):
            self.send_error(502, "the mirror is gone")
            return
        file = self.own / path
        if not file.is_file():
            file = self.kept / path
            try:
                with self.lock:
                    self._have(file)
            except urllib.error.HTTPError as error:
                self.send_error(error.code)
                return
            except OSError as error:
                self.send_error(502, str(error))
                return
        self._send(file)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _caller(self) -> str:
        return self.headers.get("User-Agent", "")

    def _have(self, file: Path) -> None:
        if file.exists() and file.suffix in {".deb", ".udeb"}:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.path, timeout=SECONDS) as answer:
            part = file.with_name(f"{file.name}.part")
            with part.open("wb") as out:
                shutil.copyfileobj(answer, out)
            part.replace(file)

    def _send(self, file: Path) -> None:
        size = file.stat().st_size
        asked = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        start = int(asked) if asked.isdigit() and int(asked) < size else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(size - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Last-Modified", self.date_time_string(int(file.stat().st_mtime)))
        self.end_headers()
        if self.command == "GET":
            with file.open("rb") as content, suppress(ConnectionError):
                content.seek(start)
                shutil.copyfileobj(content, self.wfile)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""
