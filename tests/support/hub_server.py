"""A model hub on the loopback: enough of its protocol for a pinned revision to be listed and downloaded."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

REPO = "team/model"
REVISION = "0123456789abcdef0123456789abcdef01234567"


class HubServer(ThreadingHTTPServer):
    """Serves the files of one folder as `team/model` at one revision.

    `cuts` says how many more times a file breaks off in its middle (-1: always), `refusal` what every
    request is answered with, as the hub names it (`GatedRepo`), `gone` which listed files are not there.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.cuts: Counter[str] = Counter()
        self.refusal = ""
        self.gone: set[str] = set()
        self.sent: Counter[str] = Counter()  # how often the body of a file was asked for

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of `/api/models/...` and `/team/model/resolve/...`."""

    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """As GET, without a body."""
        self.answer(has_body=False)

    def do_GET(self) -> None:
        """One request."""
        self.answer(has_body=True)

    def answer(self, *, has_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.server.refusal:
            self.refuse(403 if self.server.refusal == "GatedRepo" else 404, self.server.refusal)
        elif REVISION not in path:
            self.refuse(404, "RevisionNotFound" if REPO in path else "RepoNotFound")
        elif path.startswith(f"/api/models/{REPO}/tree/"):
            self.send_json(self.listing())
        elif path.startswith(f"/api/models/{REPO}"):
            names = [{"rfilename": one["path"]} for one in self.listing()]
            self.send_json({"id": REPO, "sha": REVISION, "siblings": names})
        else:
            self.send_file(path.split(f"{REVISION}/", 1)[1], has_body=has_body)

    def listing(self) -> list[dict[str, Any]]:
        files = sorted(path for path in self.server.folder.rglob("*") if path.is_file())
        return [
            {
                "type": "file",
                "path": path.relative_to(self.server.folder).as_posix(),
                "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in files
        ]

    def send_json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_file(self, name: str, *, has_body: bool) -> None:
        file = self.server.folder / name
        if name in self.server.gone or not file.is_file():
            return self.refuse(404, "EntryNotFound")
        data = file.read_bytes()
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if not has_body:
            return None
        self.server.sent[name] += 1
        rest = data[start:]
        if self.server.cuts[name]:
            self.server.cuts[name] -= 1
            self.wfile.write(rest[: len(rest) // 2])
            self.close_connection = True
            return None
        self.wfile.write(rest)
        return None

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", f"the hub says {code}")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serve(folder: Path) -> Iterator[HubServer]:
    """The hub, for as long as the block runs."""
    server = HubServer(folder)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
