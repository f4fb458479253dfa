"""A peer beside ours: a stand-in that has the HTTP calls of Nakama that the bench makes."""

import base64
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bench.comparing.peer import PeerError, make_peer_theme
from local_stack.servers.binding import bind_command
from local_stack.servers.ports import free_port

ROOT = Path(__file__).parents[3]
BASIC = f"Basic {base64.b64encode(b'defaultkey:').decode()}"


class StandIn(http.server.ThreadingHTTPServer):
    """Keeps scores, and answers as the HTTP gateway of Nakama does: JSON, the long one in chunks."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scores: dict[str, int] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # The body would wait for the receipt of the head, for 40 ms.
    server: StandIn

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = urlsplit(self.path)
        if path.path == "/v2/account/authenticate/custom":
            assert parse_qs(path.query) == {"create": ["true"], "username": [body["id"]]}
            assert self.headers["Authorization"] == BASIC
            self._answer({"created": True, "token": body["id"], "refresh_token": ""})
            return
        assert path.path == "/v2/leaderboard/bench"
        assert body["operator"] == "INCREMENT"
        user = self._user()
        with self.server.lock:
            score = self.server.scores[user] = self.server.scores.get(user, 0) + int(body["score"])
        self._answer({"owner_id": user, "score": str(score)})

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        assert (path.path, path.query) == ("/v2/leaderboard/bench", "limit=10")
        self._user()
        with self.server.lock:
            top = sorted(self.server.scores.items(), key=lambda one: -one[1])[:10]
        records = [
            {"owner_id": user, "score": str(score), "rank": str(n)} for n, (user, score) in enumerate(top, 1)
        ]
        content = json.dumps({"records": records}).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (content[:100], content[100:]):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass

    def _user(self) -> str:
        scheme, _, token = self.headers["Authorization"].partition(" ")
        assert scheme == "Bearer"
        return token

    def _answer(self, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def peer() -> Iterator[StandIn]:
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = bind_command([sys.executable, "-m", "bench", *arguments])
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_a_peer_is_measured_beside_ours(peer: StandIn, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ("--rows", "peer", "--rounds", "1", "--seconds", "0.2", "--json", str(report))
    ended = bench(*options, PEER="nakama", PEER_URL=peer.url)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = {row["name"]: row for row in json.loads(report.read_text())["rows"]}
    assert rows.keys() == {"peer-award", "own-award", "peer-top", "own-top"}
    assert all(row["figure"]["median"] > 0 for row in rows.values())
    assert rows["own-award"]["limit"]["measure"] == "peer-award"
    assert len(peer.scores) == 1_000
    assert sum(peer.scores.values()) > 1_000


@pytest.mark.parametrize(
    ("name", "url", "said"),
    [
        ("other", "http://127.0.0.1:1", "PEER='other' is not known"),
        ("nakama", "", "PEER_URL must be http://host:port"),
        ("nakama", "https://127.0.0.1:7350", "PEER_URL must be http://host:port"),
        ("nakama", "http://127.0.0.1", "PEER_URL must be http://host:port"),
    ],
)
def test_a_peer_that_is_named_wrongly_is_an_error(name: str, url: str, said: str) -> None:
    with pytest.raises(PeerError, match=re.escape(said)):
        make_peer_theme(name, url, "bench", "defaultkey")


def test_a_peer_that_is_not_there_is_said_so_before_anything_is_started() -> None:
    ended = bench("--rows", "peer", PEER="nakama", PEER_URL=f"http://127.0.0.1:{free_port()}")
    assert ended.returncode == 2
    assert "No peer is reachable at" in ended.stderr


def test_without_a_peer_there_is_no_such_row() -> None:
    ended = bench("--rows", "peer", "--list", PEER="")
    assert ended.returncode == 2
    assert "No row or theme is called peer" in ended.stderr
