"""A hub of our own on this machine: folders served by the hub's API, with what was asked of it."""

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BRANCHES = ("main", "refs/pr/3", COMMIT)
# What the hub answers for a repository that is not simply there: status, X-Error-Code.
REFUSALS = {
    "no-body/nothing": (401, "RepoNotFound"),
    "some-body/private": (404, "RepoNotFound"),
    "some-body/no-token": (401, None),
    "some-body/down": (503, None),
}
GATED = "some-body/gated"  # its listing is open, its files are not


class Hub:
    """repositories: id -> folder. asked: every file that was asked for, as 'id/file'."""

    def __init__(self, repositories):
        self.repositories, self.asked = dict(repositories), []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, request, body):
        path = unquote(urlsplit(request.path).path).strip("/")
        listing = path.startswith("api/models/")
        parts = path.removeprefix("api/models/").split("/")
        name, rest = "/".join(parts[:2]), "/".join(parts[2:])
        if name in REFUSALS:
            status, code = REFUSALS[name]
            return self.send(request, status, {"X-Error-Code": code} if code else {}, b"", body)
        if name not in self.repositories:
            return self.send(request, 404, {"X-Error-Code": "RepoNotFound"}, b"", body)
        kind, _, rest = rest.partition("/")
        revision = next((b for b in BRANCHES if rest == b or rest.startswith(f"{b}/")), None)
        if rest and revision is None:
            return self.send(request, 404, {"X-Error-Code": "RevisionNotFound"}, b"", body)
        if listing:
            return self.send(request, 200, {}, self.listing(name, kind), body)
        return self.file(request, name, rest[len(revision) + 1 :], body)

    def listing(self, name, kind):
        folder = self.repositories[name]
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        if kind == "tree":
            said = [{"type": "file", "path": p.relative_to(folder).as_posix(), "size": p.stat().st_size,
                     "oid": hashlib.sha1(p.read_bytes()).hexdigest()} for p in files]  # fmt: skip
        else:
            siblings = [{"rfilename": p.relative_to(folder).as_posix()} for p in files]
            said = {"id": name, "modelId": name, "sha": COMMIT, "private": False, "tags": [],
                    "downloads": 0, "siblings": siblings}  # fmt: skip
        return json.dumps(said).encode()

    def file(self, request, name, relative, body):
        path = self.repositories[name] / relative
        if name == GATED:
            return self.send(request, 403, {"X-Error-Code": "GatedRepo"}, b"", body)
        if not path.is_file():
            return self.send(request, 404, {"X-Error-Code": "EntryNotFound"}, b"", body)
        if body:
            self.asked.append(f"{name}/{relative}")
        content = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return self.send(request, 200, headers, content, body)

    @staticmethod
    def send(request, status, headers, content, body):
        request.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(key, value)
        request.end_headers()
        if body:
            with contextlib.suppress(BrokenPipeError):
                request.wfile.write(content)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def as_bin(folder):
    """Every network's safetensors in a folder rewritten as `.bin`, as older libraries saved them."""
    import torch
    from safetensors.torch import load_file

    for path in sorted(folder.rglob("*.safetensors")):
        stem = "pytorch_model" if path.stem == "model" else path.stem
        torch.save(load_file(path), path.with_name(f"{stem}.bin"))
        path.unlink()


def add_unread(folder, *names):
    """Files of a repository that nothing here reads."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not to be read")
