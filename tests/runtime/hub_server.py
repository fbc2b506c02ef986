"""A Hub on the loopback address: repositories, commits, downloads that break off, and uploads.

It speaks what ``hf_hub_download``, ``model_info``, ``create_repo``, ``create_branch`` and ``create_commit`` of
``huggingface_hub`` 0.36 and 2.4 ask for; large files go through the batch API of Git LFS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"
COMMANDS = Path(__file__).with_name("hub_client.py")


@dataclass(kw_only=True)
class Repository:
    """Files by commit, and the commit of each branch."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        digest = hashlib.sha1(f"{len(self.commits)} {branch}".encode())
        for name, content in sorted(files.items()):
            digest.update(name.encode() + b"\0" + content)
        self.commits[digest.hexdigest()] = dict(files)
        self.branches[branch] = digest.hexdigest()
        return digest.hexdigest()

    def resolve(self, revision: str) -> str | None:
        commit = self.branches.get(revision, revision)
        return commit if commit in self.commits else None


class Hub(ThreadingHTTPServer):
    """The server. ``truncated`` cuts the download of a file, by its path, after so many bytes, once.

    ``refuses_commits`` is as if the token were one for reading only.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.truncated: dict[str, int] = {}
        self.refuses_commits = False
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, folder: Path, **options: Any) -> str:
        """Make a repository of a folder; returns its commit."""
        repository = self.repositories.setdefault(name, Repository(**options))
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        return repository.commit(files)

    def downloads(self, name: str) -> list[str]:
        """Paths of the files of a repository that were sent, in order."""
        start = f"GET /{name}/resolve/"
        return [each.removeprefix(start).partition("/")[2] for each in self.requests if each.startswith(start)]


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        parts = path.strip("/").split("/")
        if parts[0] == "large":
            self.server.large[parts[1]] = body
            return self._send(200, {})
        if self.command in ("POST", "PUT") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, {"error": "log in"}, {"X-Error-Message": "log in"})
        if path == "/api/validate-yaml":  # of the card
            return self._send(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2]).removesuffix(".git")
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not self.headers.get("Authorization")):
            return self._send(404, {"error": "no repository"}, {"X-Error-Code": "RepoNotFound"})
        rest = parts[4:] if parts[0] == "api" else parts[2:]
        return self._in_repository(repository, rest, body)

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        url = {"url": f"{self.server.address}/{name}"}
        if name in self.server.repositories:
            return self._send(409, url | {"error": "exists"})
        self.server.repositories[name] = Repository(private=_is_private(wanted))
        self.server.repositories[name].commit({".gitattributes": b"*.onnx filter=lfs\n"})
        return self._send(200, url)

    def _in_repository(self, repository: Repository, rest: list[str], body: bytes) -> None:
        action, *more = rest or ["revision", "main"]
        if action == "info":  # of Git LFS: info/lfs/objects/batch
            return self._batch(json.loads(body))
        if action == "branch":
            start = json.loads(body or b"{}").get("startingPoint") or "main"
            repository.branches.setdefault("/".join(more), repository.branches[start])
            return self._send(200, {})
        commit = repository.resolve(more[0])
        if commit is None:
            return self._send(404, {"error": "no revision"}, {"X-Error-Code": "RevisionNotFound"})
        if action == "resolve":
            return self._file(repository, commit, "/".join(more[1:]))
        if action == "preupload":
            files = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith((".onnx", ".npz")) else "regular",
                    "shouldIgnore": False,
                }
                for each in json.loads(body)["files"]
            ]
            return self._send(200, {"files": files})
        if action == "commit":
            refused = {"error": "a token that may write is needed"}
            return self._send(403, refused) if self.server.refuses_commits else self._commit(repository, more[0], body)
        siblings = [{"rfilename": name} for name in sorted(repository.commits[commit])]
        return self._send(200, {"id": "x/y", "sha": commit, "private": repository.private, "siblings": siblings})

    def _file(self, repository: Repository, commit: str, path: str) -> None:
        head = {"X-Repo-Commit": commit}
        content = repository.commits[commit].get(path)
        if content is None:
            return self._send(404, {"error": "no file"}, head | {"X-Error-Code": "EntryNotFound"})
        head |= {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if begin else 200)
        for key, value in (head | {"Content-Length": str(len(content) - begin)}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            cut = self.server.truncated.pop(path, None)
            self.wfile.write(content[begin:cut])
            self.close_connection = cut is not None
        return None

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = []
        for each in wanted["objects"]:
            upload = {"upload": {"href": f"{self.server.address}/large/{each['oid']}"}}
            objects.append({**each, **({} if each["oid"] in self.server.large else {"actions": upload})})
        self._send(200, {"transfer": "basic", "objects": objects})

    def _commit(self, repository: Repository, branch: str, body: bytes) -> None:
        files = dict(repository.commits[repository.branches[branch]])
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header" and value.get("parentCommit", repository.branches[branch]) not in (
                repository.branches[branch],
            ):
                return self._send(412, {"error": "the branch has moved"})
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        commit = repository.commit(files, branch)
        return self._send(200, {"commitUrl": f"{self.server.address}/x/y/commit/{commit}", "commitOid": commit})

    def _send(self, status: int, document: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        for key, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(content))} | dict(headers or {})
        ).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(BrokenPipeError):
                self.wfile.write(content)


def _is_private(wanted: Mapping[str, Any]) -> bool:
    """What the client asks for: version 0.36 sends ``private``, version 2.4 ``visibility``."""
    return bool(wanted.get("private")) or wanted.get("visibility") == "private"


class HubClient:
    """An interpreter whose environment points at the server: one command line after the other, none in this process."""

    def __init__(self, hub: Hub, cache: Path, **environment: str) -> None:
        variables = {
            **os.environ,
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(cache),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",  # large files by Git LFS: Xet's storage is no part of this server
            "HF_HUB_DOWNLOAD_TIMEOUT": "2",
            "HF_HUB_ETAG_TIMEOUT": "2",
            "HF_TOKEN": TOKEN,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            **environment,
        }
        self._process = subprocess.Popen(
            [sys.executable, str(COMMANDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate()
