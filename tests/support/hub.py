"""A stand-in for the Hugging Face hub: the part of its HTTP API that uploading a model uses."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_token_of_a_test"
LARGE = (".safetensors", ".onnx")


@dataclass
class Hub:
    """What was uploaded.

    Attributes:
        address: the server's.
        private: of each repository, whether it is private.
        files: of each repository, the content of its files.
        commits: the messages of commits.
        refuse: HTTP statuses that the next commits are answered with.
    """

    address: str = ""
    private: dict[str, bool] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    refuse: list[int] = field(default_factory=list)


@contextmanager
def running() -> Iterator[Hub]:
    """Serve a hub in this process."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._known():
            return
        if self.path == "/api/whoami-v2":
            self._answer({"name": "someone", "type": "user", "orgs": []})
        else:
            self._answer({"error": "not found"}, 404)

    def do_PUT(self) -> None:
        content = self._body()
        name = self.path.rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == name
        self.hub.objects[name] = content
        self._answer({})

    def do_POST(self) -> None:
        body = self._body()
        if not self._known():
            return
        path = self.path.partition("?")[0]
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            modes = {True: "lfs", False: "regular"}
            self._answer({
                "files": [
                    {"path": f["path"], "uploadMode": modes[f["path"].endswith(LARGE)],
                     "shouldIgnore": False, "oid": None}
                    for f in files
                ]
            })  # fmt: skip
        elif path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        elif path.endswith("/commit/main"):
            self._commit(path.removeprefix("/api/models/").removesuffix("/commit/main"), body)
        else:
            self._answer({"error": f"unknown {path}"}, 404)

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
        if name in self.hub.files:
            self._answer({"error": "exists", "url": f"{self.hub.address}/{name}"}, 409)
            return
        self.hub.files[name] = {}
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.private[name] = bool(private)
        self._answer({"url": f"{self.hub.address}/{name}", "name": name, "id": name})

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = []
        for each in asked["objects"]:
            upload = {"href": f"{self.hub.address}/upload/{each['oid']}", "header": {}}
            known = each["oid"] in self.hub.objects
            objects.append({**each, **({} if known else {"actions": {"upload": upload}})})
        self._answer({"transfer": "basic", "objects": objects})

    def _commit(self, name: str, body: bytes) -> None:
        if self.hub.refuse:
            self._answer({"error": "You have no access to it"}, self.hub.refuse.pop())
            return
        for line in body.splitlines():
            part = json.loads(line)
            value = part["value"]
            if part["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif part["key"] == "file":
                self.hub.files[name][value["path"]] = base64.b64decode(value["content"])
            elif part["key"] == "lfsFile":
                self.hub.files[name][value["path"]] = self.hub.objects[value["oid"]]
        self._answer({
            "success": True, "commitOid": "0" * 40, "commitUrl": f"{self.hub.address}/{name}",
            "hookOutput": "",
        })  # fmt: skip

    def _known(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._answer({"error": "Invalid username or password."}, 401)
        return False

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
