"""A small Hugging Face Hub on the loopback address, in memory, for the real client to talk to.

Enough of the protocol for one adapter: accounts by token, private repositories, one-commit uploads with LFS,
tags, downloads. It cannot prove Xet transfers, server-side checks of cards, quotas or gating.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from loopback import Loopback

from irae_lib.files import ROOT

TOKEN = "hf_" + "x" * 12


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: "LoopbackHub"
    mute = False

    def log_message(self, *_):
        pass

    def _answer(self, status: int, body=b"", **headers):
        if not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content_Type": "application/json"} | headers
        if self.mute:
            return self._hang_up()
        self.send_response(status)
        headers = {"Content_Length": len(body)} | headers
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _hang_up(self):
        self.close_connection = True
        self.connection.close()

    def _missing(self, code: str):
        self._answer(404, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    def _handle(self):
        hub, path = self.state, self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        hub.log.append(f"{self.command} {path}")
        if hub.cut[0] == self.command and hub.cut[1] and hub.cut[1] in path:
            return self._hang_up()
        when, number = hub.lost
        mine = number == len(hub.log) - 1
        if mine and when == "before":
            return self._hang_up()
        self.mute = mine
        if upload := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
            if hashlib.sha256(body).hexdigest() != upload[1]:
                return self._answer(400)
            hub.lfs[upload[1]] = body
            return self._answer(200)
        allowed = self.headers.get("Authorization") == f"Bearer {hub.token}"
        if path.startswith("/api/validate-yaml"):
            return self._answer(200, {"errors": [], "warnings": []})
        if not allowed:
            return self._answer(
                401, {"error": "Invalid credentials"}, X_Error_Message="Invalid credentials in Authorization header"
            )
        return self._route(path, body)

    do_GET = do_POST = do_PUT = do_HEAD = _handle

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _route(self, path: str, body: bytes):
        hub = self.state
        if path == "/api/whoami-v2":
            return self._answer(200, {"name": "tester", "type": "user", "auth": {"accessToken": {"role": "write"}}})
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo_id = f"{asked.get('organization') or 'tester'}/{asked['name']}"
            if asked.get("type") == "space":
                repo_id = f"spaces/{repo_id}"
            if repo_id in hub.repos:
                return self._answer(409, {"error": "exists", "url": f"{hub.url}/{repo_id}"})
            hub.add(repo_id, asked.get("visibility") == "private" or bool(asked.get("private")))
            return self._answer(200, {"url": f"{hub.url}/{repo_id}", "name": repo_id, "id": repo_id})
        found = re.match(r"(?:/api/models|/api)?/((?:spaces/)?[\w.-]+/[\w.-]+?)(?:\.git)?(?:/(.*))?$", path)
        repo = hub.repos.get(found[1]) if found else None
        if repo is None:
            return self._missing("RepoNotFound")
        return self._repo(found[1], repo, found[2] or "revision/main", body)

    def _repo(self, repo_id: str, repo: dict, rest: str, body: bytes):
        hub, (verb, _, detail) = self.state, rest.partition("/")
        if verb == "preupload":
            there = repo["commits"][-1]["files"]
            modes = [_preupload(f["path"], there.get(f["path"])) for f in json.loads(body)["files"]]
            return self._answer(200, {"files": modes})
        if rest == "info/lfs/objects/batch":
            wanted = [{"oid": o["oid"], "size": o["size"]} for o in json.loads(body)["objects"]]
            for item in wanted:
                if item["oid"] not in hub.lfs:
                    item["actions"] = {"upload": {"href": f"{hub.url}/lfs/{item['oid']}", "header": {}}}
            return self._answer(
                200, {"transfer": "basic", "objects": wanted}, Content_Type="application/vnd.git-lfs+json"
            )
        if verb == "commit":
            return self._commit(repo_id, repo, body)
        if verb in ("secrets", "variables"):
            asked = json.loads(body)
            repo.setdefault(verb, {})[asked["key"]] = asked["value"]
            return self._answer(200, [] if verb == "secrets" else {asked["key"]: {"value": asked["value"]}})
        if verb == "tag":
            repo["tags"][json.loads(body)["tag"]] = self._revision(repo, detail)["id"]
            return self._answer(200, {})
        if verb == "resolve":
            revision, _, name = detail.partition("/")
            return self._file(repo, revision, name)
        if verb in ("revision", "tree"):
            revision, _, folder = detail.partition("/")
            commit = self._revision(repo, revision)
            if commit is None:
                return self._missing("RevisionNotFound")
            if folder and not any(name.startswith(f"{folder}/") for name in commit["files"]):
                return self._missing("EntryNotFound")
            if verb == "tree":
                files = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in commit["files"].items()
                    if name.startswith(folder)
                ]
                return self._answer(200, files)
            return self._answer(
                200,
                {
                    "id": repo_id,
                    "modelId": repo_id,
                    "sha": commit["id"],
                    "private": repo["private"],
                    "tags": [],
                    "siblings": [{"rfilename": name} for name in commit["files"]],
                },
            )
        return self._answer(404, {"error": f"not known here: {rest}"})

    def _revision(self, repo: dict, name: str) -> dict | None:
        name = repo["tags"].get(name, name)
        return repo["commits"][-1] if name == "main" else next((c for c in repo["commits"] if c["id"] == name), None)

    def _commit(self, repo_id: str, repo: dict, body: bytes):
        files = dict(repo["commits"][-1]["files"])
        for line in map(json.loads, body.decode().splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            if line["key"] == "lfsFile":
                files[line["value"]["path"]] = self.state.lfs[line["value"]["oid"]]
            if line["key"] == "deletedFile":
                del files[line["value"]["path"]]
        oid = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        repo["commits"].append({"id": oid, "files": files})
        url = f"{self.state.url}/{repo_id}/commit/{oid}"
        return self._answer(200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def _file(self, repo: dict, revision: str, name: str):
        commit = self._revision(repo, revision)
        if commit is None or name not in commit["files"]:
            return self._missing("EntryNotFound" if commit else "RevisionNotFound")
        data = commit["files"][name]
        etag = hashlib.sha256(data).hexdigest()
        if name == self.state.corrupt:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return self._answer(200, data, ETag=f'"{etag}"', X_Repo_Commit=commit["id"], Accept_Ranges="none")


class LoopbackHub(Loopback):
    """`with LoopbackHub(token="t") as hub:` serves at `hub.url`; `hub.repos` shows what it holds.

    `corrupt` names a file whose body is changed on download; `cut` a method and path fragment after whose
    request the connection is closed without an answer. `lost` is the number of one request whose connection is closed:
    ("before", 3) the fourth is not read, ("after", 3) it is obeyed and only its answer is lost.
    """

    handler = _Handler

    def __init__(
        self,
        token: str = "test-token",
        corrupt: str = "",
        cut: tuple[str, str] = ("", ""),
        lost: tuple[str, int] = ("", -1),
    ):
        self.token, self.corrupt, self.cut, self.lost = token, corrupt, cut, lost
        self.repos: dict[str, dict] = {}
        self.lfs: dict[str, bytes] = {}
        self.log: list[str] = []

    def add(self, repo_id: str, private: bool) -> dict:
        first = {"id": hashlib.sha1(repo_id.encode()).hexdigest(), "files": {}}
        return self.repos.setdefault(repo_id, {"private": private, "commits": [first], "tags": {}})


def _preupload(path: str, there: bytes | None) -> dict:
    """How a file is to be sent, and the id of the one that is there: by it the client leaves out what is unchanged."""
    lfs = path.endswith(".safetensors")
    mode = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
    if there is None:
        return mode
    blob = hashlib.sha256(there) if lfs else hashlib.sha1(b"blob %d\0" % len(there) + there)
    return {**mode, "oid": blob.hexdigest()}


def hub_environment(server: LoopbackHub, tmp_path: Path) -> dict[str, str]:
    """An environment in which the real client takes the loopback server for the Hub."""
    return os.environ | {
        "HF_ENDPOINT": server.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_TOKEN": TOKEN,
    }


def talk(server: LoopbackHub, tmp_path: Path, code: str, *arguments: str, **environment: str) -> dict:
    """Run code in a process of its own that takes the loopback server for the Hub; its last line is JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=hub_environment(server, tmp_path) | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert TOKEN not in done.stdout
    return json.loads(done.stdout.splitlines()[-1])
