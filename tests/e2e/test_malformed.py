"""Every row of malformed.py, and that Remora is well afterwards. One Remora takes a whole table."""
import re
import socket

import httpx
import pytest

from asking import chat_body
from malformed import HTTP, JSON, STREAM
from programs import Remora
from upstream import Upstream


@pytest.fixture(scope="module")
def provider():
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def remora(tmp_path_factory, provider):
    program = Remora(tmp_path_factory.mktemp("malformed"), provider.url, timeouts={"header": "2s", "body": "2s", "idle": "3s"},
                     retries={"per_request": 0})
    yield program
    answer = httpx.post(program.base + "/chat/completions", json=chat_body("well afterwards"), timeout=20)
    assert answer.status_code == 200
    program.stop()


def converse(port, data, outcome):
    """What comes back until the peer closes, and whether it did. Well-formed requests are read to the end of the head."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as sock:
        out = b""
        try:
            sock.sendall(data)
            if outcome == "cut":
                sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                out += piece
                if outcome == "ok" and b"\r\n\r\n" in out:
                    return out, False
        except (BrokenPipeError, ConnectionResetError):
            pass
        except TimeoutError:
            return out, False
        return out, True


@pytest.mark.parametrize("data,outcome", [pytest.param(d, o, id=n) for n, d, o in HTTP])
def test_http(remora, provider, data, outcome):
    asked = provider.count
    out, closed = converse(remora.port, data, outcome)
    if outcome == "ok":
        assert out.startswith(b"HTTP/1.1 200"), out[:200]
        return
    assert closed, f"the connection was left open after {out[:200]}"
    assert provider.count == asked, "a malformed request reached the upstream"
    assert len(re.findall(rb"HTTP/1\.1 \d", out)) <= 1, out[:400]
    if outcome in ("late", "cut"):
        assert out == b"" or out.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408", b"HTTP/1.1 413")), out[:200]
    else:
        assert out.startswith(b"HTTP/1.1 %d" % outcome), out[:200]


@pytest.mark.parametrize("body,outcome", [pytest.param(b, o, id=n) for n, b, o in JSON])
def test_json(remora, provider, body, outcome):
    asked = provider.count
    # A namespace for each row: a row that differs from another in neutral parts only would be a hit.
    answer = httpx.post(remora.base + "/chat/completions", content=body, timeout=20, headers={
        "content-type": "application/json", "authorization": "Bearer k",
        "x-remora-cache-namespace": str([b for _, b, _ in JSON].index(body))})
    if provider.count > asked:
        assert provider.last.body == body
    if outcome == "400":
        assert answer.status_code == 400 and "error" in answer.json()
    else:
        assert provider.count == asked + 1 and answer.status_code == 200, answer.text


@pytest.mark.parametrize("events,outcome", [pytest.param(e, o, id=n) for n, e, o in STREAM])
def test_stream(remora, provider, request, events, outcome):
    def script(_, answer):
        answer.begin_stream()
        for begin in range(0, len(events), 1021):  # cut anywhere, also inside a character
            answer.chunk(events[begin:begin + 1021])
        answer.end_stream()
    provider.script = script
    body = {**chat_body(request.node.name, stream=True, stream_options={"include_usage": True}), "model": "unpriced"}
    headers = {"authorization": "Bearer k"}
    try:
        for turn in range(2):
            answer = httpx.post(remora.base + "/chat/completions", json=body, headers=headers, timeout=20)
            assert answer.status_code == 200
            if answer.headers["x-remora-cache"] == "HIT":
                assert outcome == "stored" and turn == 1
            else:
                assert answer.content == events, (answer.content[:300], events[:300])
        found = httpx.post(remora.base + "/chat/completions", json=body, timeout=20,
                           headers={**headers, "x-remora-cache": "only-if-cached"})
        for _ in range(50 if outcome == "stored" else 0):
            if found.status_code == 200:
                break
            found = httpx.post(remora.base + "/chat/completions", json=body, timeout=20,
                               headers={**headers, "x-remora-cache": "only-if-cached"})
        assert found.status_code == (200 if outcome == "stored" else 504)
    finally:
        provider.script = None


def test_the_table_is_long_enough():
    assert len(HTTP) + len(JSON) + len(STREAM) >= 200
