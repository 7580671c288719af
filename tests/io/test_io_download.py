"""Downloads from a server on this machine that misbehaves in every way we thought of."""

from __future__ import annotations

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kedja.ground.errors import DataError, StorageError, UsageError
from kedja.io import atomic, download

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Each path is one way to answer."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        getattr(self, "answer_" + self.path.strip("/"))()

    def send(self, body, length=None):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def answer_good(self):
        self.send(CONTENT, len(CONTENT))

    def answer_silent(self):
        self.send(CONTENT)

    def answer_moved(self):
        self.send_response(302)
        self.send_header("Location", "/good")
        self.end_headers()

    def answer_absent(self):
        self.send_error(404, "Not here")

    def answer_wrong(self):
        self.send(CONTENT[::-1], len(CONTENT))

    def answer_interrupted(self):
        self.send(CONTENT[: len(CONTENT) // 2], len(CONTENT))

    def answer_interrupted_silent(self):
        self.send(CONTENT[: len(CONTENT) // 2])

    def answer_large(self):
        self.send(b"", 10**12)

    def answer_endless(self):
        self.send(CONTENT * 2)

    def answer_stalled(self):
        self.send(CONTENT[:1000], len(CONTENT))
        self.wfile.flush()
        self.server.over.wait(10)

    def answer_garbage(self):
        self.wfile.write(b"this is not http\r\n\r\n")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        running.over = threading.Event()
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


def home(server, answer: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{answer}"


def fetch(server, path, *answers, **options):
    urls = [home(server, answer) for answer in answers]
    download.fetch(urls, path, sha256=SHA256, max_bytes=len(CONTENT), **options)


@pytest.mark.parametrize("answer", ["good", "silent", "moved"])
def test_good_answers(server, tmp_path, answer):
    seen = []
    fetch(server, tmp_path / "file", answer, progress=lambda *report: seen.append(report))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), None if answer == "silent" else len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("absent", "answered 404 Not here"),
        ("wrong", "wrong checksum"),
        ("interrupted", "broke off after 128000 of 256000 bytes"),
        ("interrupted_silent", "wrong checksum"),
        ("large", "it has 1000000000000 bytes, at most 256000"),
        ("endless", "larger than the 256000 bytes expected"),
        ("stalled", "broke off: no answer in time"),
        ("garbage", "this is not http"),
    ],
)
def test_bad_answers_keep_the_old_file(server, tmp_path, answer, reason):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(DataError, match=reason) as caught:
        fetch(server, path, answer, timeout=0.3, fix="do this")
    assert caught.value.where == str(path)
    assert caught.value.fix == "do this"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_the_next_home_is_asked(server, tmp_path):
    fetch(server, tmp_path / "file", "absent", "interrupted", "good", "wrong")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == ["/absent", "/interrupted", "/good"]


def test_every_home_is_named(server, tmp_path):
    with pytest.raises(DataError, match=r"/absent: .* 404 .*; .*/wrong: wrong checksum"):
        fetch(server, tmp_path / "file", "absent", "wrong")


def test_ctrl_c_leaves_nothing_and_the_next_call_succeeds(server, tmp_path):
    def stop(done, expected):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path / "file", "good", progress=stop)
    assert not list(tmp_path.iterdir())
    fetch(server, tmp_path / "file", "good")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_nobody_listens(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file"
        with pytest.raises(DataError, match="refused"):
            download.fetch([url], tmp_path / "file", sha256=SHA256, max_bytes=1)


def test_a_refused_write_is_not_a_network_error(server, tmp_path, monkeypatch):
    with pytest.raises(StorageError, match="folder does not exist"):
        fetch(server, tmp_path / "absent" / "file", "good", "good")
    monkeypatch.setattr(atomic.os, "write", lambda *args: (_ for _ in ()).throw(OSError(28, "")))
    with pytest.raises(StorageError, match="disk is full"):
        fetch(server, tmp_path / "file", "good", "good")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/file", "file"])
def test_only_http(tmp_path, url):
    with pytest.raises(UsageError, match="cannot download"):
        download.fetch([url], tmp_path / "file", sha256=SHA256, max_bytes=1)
