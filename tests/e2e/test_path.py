"""What goes through goes through unchanged; the HTTP around it is strict."""
import gzip
import json
import os
import socket
import threading
import time

import httpx
import pytest

from asking import MODEL, ask, cache_of, chat_body, content_of, events_of
from programs import eventually

OURS = ("host", "connection", "content-length", "transfer-encoding", "expect", "te", "keep-alive", "upgrade", "proxy-connection",
        "accept-encoding")


def raw(remora, data, seconds=20, close=False):
    """Sends bytes on a connection of its own and returns all that comes until the peer closes or a second of silence."""
    with socket.create_connection(("127.0.0.1", remora.port), timeout=seconds) as sock:
        sock.sendall(data)
        if close:
            sock.shutdown(socket.SHUT_WR)
        out = b""
        try:
            while piece := sock.recv(65536):
                out += piece
                sock.settimeout(1.0)
        except TimeoutError:
            pass
        return out


def test_body_and_headers_reach_the_upstream_as_they_were(client, upstream):
    body = ('{"model" : "gpt-4.1-mini",\n "messages":[{"role":"user","content":"naïve \\u65e5本 \\ud83d\\ude00"}],'
            ' "temperature": 1.0e0, "big": 12345678901234567890123 }').encode()
    client.post("/chat/completions", content=body, headers={
        "content-type": "application/json; charset=utf-8", "X-Odd-Case": "Kept", "openai-organization": "org-1",
        "x-remora-cache": "no-store", "x-remora-route": "off", "user-agent": "me/1"})
    got = upstream.last
    assert got.body == body and got.target == "/v1/chat/completions"
    assert got.header("content-type") == "application/json; charset=utf-8"
    assert got.header("x-odd-case") == "Kept" and got.header("openai-organization") == "org-1"
    assert got.header("authorization") == "Bearer sk-test-one" and got.header("user-agent") == "me/1"
    assert not [n for n, _ in got.headers if n.lower().startswith("x-remora")]


def test_answer_headers_come_back(client, upstream):
    upstream.script = lambda request, answer: answer.whole(
        {"object": "list", "data": []}, 200, [("x-request-id", "req-7"), ("openai-processing-ms", "12"), ("set-cookie", "a=1"),
                                             ("set-cookie", "b=2")])
    answer = client.get("/models")
    assert answer.headers["x-request-id"] == "req-7" and answer.headers["openai-processing-ms"] == "12"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("method,path,body", [
    ("GET", "/v1/files?limit=2&after=%2Fx", None), ("DELETE", "/v1/files/file-1", None), ("POST", "/v1/audio/speech", b"\0\1\2"),
    ("PUT", "/v2/anything/at/all", b"x" * 100_000), ("PATCH", "/other?q=a+b", b"{}"), ("GET", "/", None)])
def test_unknown_paths_pass_unchanged(remora, upstream, method, path, body):
    answer = httpx.request(method, remora.url + path, content=body, headers={"authorization": "Bearer k"})
    assert answer.status_code == 200 and answer.json()["path"] == path
    assert upstream.last.method == method and upstream.last.body == (body or b"")


def test_an_upload_of_any_size_is_streamed(remora, upstream):
    piece = os.urandom(1 << 20)

    def pieces():
        for _ in range(48):
            yield piece
    answer = httpx.post(remora.url + "/v1/files", content=pieces(), timeout=120)
    assert answer.status_code == 200 and upstream.last.body == piece * 48


def test_a_binary_answer_passes(client, upstream):
    blob = os.urandom(3_000_000)
    upstream.script = lambda request, answer: answer.whole(blob, content_type="audio/mpeg")
    answer = client.post("/audio/speech", json={"model": "tts-1", "input": "hi"})
    assert answer.content == blob and answer.headers["content-type"] == "audio/mpeg"


def test_compressed_answers_pass_unread(client, upstream):
    packed = gzip.compress(json.dumps({"object": "list", "data": []}).encode())
    upstream.script = lambda request, answer: answer.whole(packed, headers=[("content-encoding", "gzip")])
    assert client.get("/models").json() == {"object": "list", "data": []}


def test_include_usage_is_asked_for_and_hidden(client, upstream):
    answer = ask(client, chat_body(stream=True))
    assert upstream.last.json["stream_options"] == {"include_usage": True}
    assert all(e.get("usage") is None and e["choices"] for e in events_of(answer))
    assert b'"usage"' not in answer.content
    asked = ask(client, chat_body("asked", stream=True, stream_options={"include_usage": True}))
    assert events_of(asked)[-1]["choices"] == []


def test_events_arrive_as_they_are_sent(client, upstream):
    gate = threading.Event()

    def script(request, answer):
        answer.begin_stream()
        answer.event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "first"}, "finish_reason": None}]})
        assert gate.wait(20), "the first event did not reach the caller before the second was sent"
        answer.event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [
            {"index": 0, "delta": {}, "finish_reason": "stop"}]})
        answer.event("[DONE]")
        answer.end_stream()
    upstream.script = script
    with client.stream("POST", "/chat/completions", json=chat_body(stream=True)) as answer:
        lines = answer.iter_lines()
        assert "first" in next(line for line in lines if line)
        gate.set()
        assert [line for line in lines if line][-1] == "data: [DONE]"


def test_silence_is_filled_with_comments(start, upstream):
    remora = start(timeouts={"silence_comment": "100ms"})

    def script(request, answer):
        answer.begin_stream()
        answer.sleep(1.0)
        answer.event("[DONE]")
        answer.end_stream()
    upstream.script = script
    answer = httpx.post(remora.base + "/chat/completions", json=chat_body(stream=True), timeout=30)
    assert answer.text.startswith(":") and "[DONE]" in answer.text


def test_a_caller_who_leaves_stops_the_upstream(client, upstream):
    def script(request, answer):
        answer.begin_stream()
        for number in range(1000):
            answer.event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [
                {"index": 0, "delta": {"content": str(number)}, "finish_reason": None}]})
            answer.sleep(0.05)
    upstream.script = script
    with client.stream("POST", "/chat/completions", json=chat_body(stream=True)) as answer:
        next(answer.iter_lines())
    assert upstream.last.left.wait(10), "the upstream was not told that the caller had left"


def test_a_caller_who_leaves_before_the_head_stops_the_upstream(remora, upstream):
    upstream.delay = 60
    with pytest.raises(httpx.TimeoutException):
        httpx.post(remora.base + "/chat/completions", json=chat_body(), timeout=httpx.Timeout(10, read=0.5))
    assert upstream.last.left.wait(10)


# ---- errors and retries --------------------------------------------------------------------------------------------------------
def test_retry_before_the_first_byte(client, upstream):
    def script(request, answer):
        if upstream.count < 3:
            answer.whole({"error": {"message": "busy"}}, 503, [("retry-after-ms", "10")])
        else:
            upstream.default(request, answer)
    upstream.script = script
    answer = ask(client)
    assert answer.status_code == 200 and upstream.count == 3


def test_the_last_error_is_passed_on(client, upstream):
    upstream.script = lambda request, answer: answer.whole(
        {"error": {"message": "slow down", "type": "rate_limit_error", "code": "x"}}, 429,
        [("retry-after-ms", "10"), ("x-ratelimit-remaining-requests", "0")])
    answer = ask(client)
    assert answer.status_code == 429 and answer.json()["error"]["message"] == "slow down"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0" and upstream.count == 3


def test_x_should_retry_false_is_obeyed(client, upstream):
    upstream.script = lambda request, answer: answer.whole({"error": {"message": "no"}}, 500, [("x-should-retry", "false")])
    assert ask(client).status_code == 500 and upstream.count == 1


def test_no_upstream_is_a_502_in_the_dialect(start):
    with socket.socket() as taken:  # bound, not listening: connecting is refused
        taken.bind(("127.0.0.1", 0))
        remora = start(f"http://127.0.0.1:{taken.getsockname()[1]}", retries={"per_request": 0})
        answer = httpx.post(remora.base + "/chat/completions", json=chat_body(), timeout=30)
        assert answer.status_code == 502 and answer.json()["error"]["message"]
        answer = httpx.post(remora.base + "/messages", json={"model": "claude-sonnet-4-5", "max_tokens": 5, "messages": [
            {"role": "user", "content": "x"}]}, timeout=30)
        assert answer.json()["type"] == "error" and answer.json()["error"]["type"]


def test_a_silent_upstream_is_a_504(start, upstream):
    remora = start(timeouts={"first_byte": "300ms"}, retries={"per_request": 0})
    upstream.delay = 30
    answer = httpx.post(remora.base + "/chat/completions", json=chat_body(), timeout=30)
    assert answer.status_code == 504 and "error" in answer.json()


# ---- HTTP ----------------------------------------------------------------------------------------------------------------------
HEAD = b"Host: x\r\nAuthorization: Bearer k\r\n"


def test_pipelined_requests_are_answered_in_order(remora, upstream):
    one = b"GET /a HTTP/1.1\r\n" + HEAD + b"\r\n"
    two = b"GET /b HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"
    out = raw(remora, one + one.replace(b"/a", b"/c") + two)
    assert out.count(b"HTTP/1.1 200") == 3
    assert out.index(b'"/a"') < out.index(b'"/c"') < out.index(b'"/b"')


def test_expect_100_continue(remora, upstream):
    body = json.dumps(chat_body()).encode()
    with socket.create_connection(("127.0.0.1", remora.port), timeout=20) as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n" + HEAD +
                     b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        assert b"200" in sock.recv(4096).split(b"\r\n")[0]


def test_chunked_body(remora, upstream):
    body = json.dumps(chat_body()).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:10], body[10:]))
    out = raw(remora, b"POST /v1/chat/completions HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")
    assert out.startswith(b"HTTP/1.1 200") and upstream.last.body == body


def test_head_and_options(remora, upstream):
    answer = httpx.head(remora.url + "/v1/models")
    assert answer.status_code == 200 and answer.content == b"" and upstream.last.method == "HEAD"
    assert httpx.options(remora.url + "/v1/models").status_code < 500


def test_cors(start, upstream):
    remora = start(cors=True)
    asked = {"origin": "https://a.example", "access-control-request-method": "POST",
             "access-control-request-headers": "authorization,content-type,x-remora-cache"}
    preflight = httpx.options(remora.base + "/chat/completions", headers=asked)
    assert preflight.status_code in (200, 204) and upstream.count == 0
    assert preflight.headers["access-control-allow-origin"] in ("*", "https://a.example")
    assert "POST" in preflight.headers["access-control-allow-methods"]
    answer = httpx.post(remora.base + "/chat/completions", json=chat_body(), headers={"origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] in ("*", "https://a.example")


def test_a_body_over_the_limit_is_413_on_known_paths(remora, upstream):
    out = raw(remora, b"POST /v1/chat/completions HTTP/1.1\r\n" + HEAD + b"Content-Length: 33554433\r\n\r\n")
    assert out.startswith(b"HTTP/1.1 413") and upstream.count == 0


BODY_MAX, BUFFER_MAX = 32 << 20, 8 << 20  # RM_BODY_BYTES_MAX, RM_RESPONSE_BUFFER_BYTES_MAX


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("over", [0, 1])
def test_a_body_at_the_limit_passes(client, upstream, framing, over):
    body = json.dumps(chat_body()).encode()
    body += b" " * (BODY_MAX + over - len(body))
    answer = client.post("/chat/completions", content=body if framing == "length" else iter([body]))
    assert answer.status_code == (413 if over else 200)
    assert upstream.count == (0 if over else 1) and (over or len(upstream.last.body) == BODY_MAX)


@pytest.mark.parametrize("over", [0, 1])
def test_an_answer_up_to_the_buffer_states_its_cost_in_the_head(client, upstream, over):
    def script(request, answer):
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "end"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}}).encode()
        answer.whole(body + b" " * (BUFFER_MAX + over - len(body)))
    upstream.script = script
    answer = ask(client)
    assert len(answer.content) == BUFFER_MAX + over and content_of(answer) == "end"
    assert ("x-remora-cost-usd" in answer.headers) == (not over)


def test_slow_loris_is_cut_off(start, upstream):
    remora = start(timeouts={"header": "300ms", "body": "300ms"})
    begun = time.monotonic()
    out = raw(remora, b"POST /v1/chat/completions HTTP/1.1\r\nHost")
    assert out == b"" or out.startswith(b"HTTP/1.1 408")
    out = raw(remora, b"POST /v1/chat/completions HTTP/1.1\r\n" + HEAD + b"Content-Length: 100\r\n\r\n{")
    assert out == b"" or out.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begun < 40 and upstream.count == 0


def test_not_json_is_400(client, upstream):
    answer = client.post("/chat/completions", content=b"{not json", headers={"content-type": "application/json"})
    assert answer.status_code == 400 and "error" in answer.json() and cache_of(answer) != "HIT"


def test_models_pass(client, upstream):
    assert client.get("/models").json()["data"][0]["id"] == MODEL


def test_tool_calls_logprobs_and_choices_survive(client, upstream):
    chunks = [
        [{"index": 0, "delta": {"role": "assistant", "content": None, "tool_calls": [
            {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]}, "finish_reason": None}],
        [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}, "finish_reason": None}],
        [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}, "finish_reason": None}],
        [{"index": 0, "delta": {"tool_calls": [
            {"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}, "finish_reason": None}],
        [{"index": 1, "delta": {"role": "assistant", "content": "second", "reasoning_content": "hm"}, "finish_reason": None,
          "logprobs": {"content": [{"token": "second", "logprob": -0.5, "bytes": None, "top_logprobs": []}], "refusal": None}}],
        [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], [{"index": 1, "delta": {}, "finish_reason": "stop"}]]

    def script(request, answer):
        answer.begin_stream()
        for choices in chunks:
            answer.event({"id": "c", "object": "chat.completion.chunk", "created": 5, "model": MODEL, "choices": choices})
        answer.event({"id": "c", "object": "chat.completion.chunk", "created": 5, "model": MODEL, "choices": [],
                      "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
        answer.event("[DONE]")
        answer.end_stream()
    upstream.script = script
    body = chat_body("tools", n=2, tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
    ask(client, {**body, "stream": True})
    answer = eventually(lambda: (a := ask(client, body, x_remora_cache="only-if-cached")).status_code == 200 and a)
    first, second = answer.json()["choices"]
    assert [c["function"] for c in first["message"]["tool_calls"]] == [
        {"name": "f", "arguments": '{"a":1}'}, {"name": "g", "arguments": "{}"}]
    assert first["finish_reason"] == "tool_calls" and second["message"]["content"] == "second"
    assert second["message"]["reasoning_content"] == "hm" and second["logprobs"]["content"][0]["token"] == "second"
    assert content_of(answer) is None
