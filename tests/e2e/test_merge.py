"""Identical requests under way share one answer."""
import concurrent.futures
import threading
import time

import httpx
import pytest

from asking import ask, cache_of, chat_body, content_of
from programs import MISS_USD


def together(remora, count, body=None, **headers):
    headers = {"authorization": "Bearer k", **{k.replace("_", "-"): v for k, v in headers.items()}}
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(httpx.post, remora.base + "/chat/completions", json=body or chat_body(), headers=headers,
                             timeout=60) for _ in range(count)]
        return [c.result() for c in calls]


@pytest.mark.parametrize("stream", [False, True])
def test_simultaneous_requests_are_asked_once(remora, upstream, stream):
    upstream.delay = 1.5
    answers = together(remora, 12, chat_body(stream=stream))
    assert upstream.count == 1
    assert all(a.status_code == 200 for a in answers)
    assert len({content_of(a) for a in answers}) == 1
    kinds = sorted(cache_of(a) for a in answers)
    assert kinds.count("MISS") == 1 and kinds.count("MERGED") == 11, kinds
    if not stream:
        merged = next(a for a in answers if cache_of(a) == "MERGED")
        assert float(merged.headers["x-remora-cost-usd"]) == 0
        assert float(merged.headers["x-remora-saved-usd"]) == pytest.approx(MISS_USD)
    assert remora.metric("remora_merged_total") == 11


def test_the_one_who_began_pays(remora, upstream):
    """Whoever of the others is quicker to ask on its own loop."""
    upstream.delay = 0.1
    for n in range(25):
        answers = together(remora, 8, chat_body(f"who pays {n}?"))
        costs = {float(a.headers["x-remora-cost-usd"]) for a in answers if cache_of(a) == "MERGED"}
        assert costs <= {0.0}, n
        paid = [float(a.headers["x-remora-cost-usd"]) for a in answers if cache_of(a) == "MISS"]
        assert paid == [pytest.approx(MISS_USD)], n


def test_a_late_joiner_gets_the_whole_stream(remora, client, upstream):
    gate, begun = threading.Event(), threading.Event()

    def script(request, answer):
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1-mini"}
        answer.begin_stream()
        for word in ("one ", "two "):
            answer.event({**chunk, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        begun.set()
        gate.wait(30)
        answer.event({**chunk, "choices": [{"index": 0, "delta": {"content": "three"}, "finish_reason": None}]})
        answer.event({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        answer.event("[DONE]")
        answer.end_stream()
    upstream.script = script
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, client, chat_body(stream=True))
        assert begun.wait(20)
        with httpx.stream("POST", remora.base + "/chat/completions", json=chat_body(stream=True),
                          headers={"authorization": "Bearer sk-test-one"}, timeout=30) as late:
            assert cache_of(late) == "MERGED"
            lines = late.iter_lines()
            assert "one " in next(line for line in lines if line)
            gate.set()
            rest = [line for line in lines if line]
        assert rest[-1] == "data: [DONE]" and content_of(first.result()) == "one two three"
    assert upstream.count == 1


def test_the_upstream_goes_on_while_one_caller_stays(remora, upstream):
    upstream.delay = 2.0

    def leaver():
        try:
            httpx.post(remora.base + "/chat/completions", json=chat_body(), headers={"authorization": "Bearer k"},
                       timeout=httpx.Timeout(10, read=0.7))
        except httpx.TimeoutException:
            return "left"
        return "stayed"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        leaving = pool.submit(leaver)
        upstream.wait_count(1)
        staying = pool.submit(together, remora, 1)
        assert leaving.result() == "left"
        assert staying.result()[0].status_code == 200
    assert upstream.count == 1 and not upstream.last.left.is_set()


def test_the_last_to_leave_stops_the_upstream(remora, upstream):
    upstream.delay = 60

    def leaver():
        with pytest.raises(httpx.TimeoutException):
            httpx.post(remora.base + "/chat/completions", json=chat_body(), headers={"authorization": "Bearer k"},
                       timeout=httpx.Timeout(10, read=1.0))
    threads = [threading.Thread(target=leaver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert upstream.count == 1 and upstream.last.left.wait(10)


def test_one_retry_is_made_for_all(remora, upstream):
    def script(request, answer):
        if upstream.count == 1:
            time.sleep(1.0)
            answer.abort()
        else:
            upstream.default(request, answer)
    upstream.script = script
    answers = together(remora, 8)
    assert [a.status_code for a in answers] == [200] * 8 and upstream.count == 2


@pytest.mark.parametrize("headers", [{"x_remora_cache": "no-cache"}, {"x_remora_cache": "bypass"}], ids=["no-cache", "bypass"])
def test_those_who_want_their_own_get_it(remora, upstream, headers):
    upstream.delay = 0.5
    together(remora, 4, **headers)
    assert upstream.count == 4


def test_off_by_configuration(start, upstream):
    remora = start(merge={"in_flight": False})
    upstream.delay = 0.5
    together(remora, 4)
    assert upstream.count == 4


def test_several_choices_are_not_merged(remora, upstream):
    upstream.delay = 0.5
    together(remora, 3, chat_body(n=2))
    assert upstream.count == 3


def test_different_keys_are_not_merged(remora, upstream):
    upstream.delay = 1.0
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(httpx.post, remora.base + "/chat/completions", json=chat_body(), timeout=30,
                             headers={"authorization": f"Bearer k{n}"}) for n in range(3)]
        assert all(cache_of(c.result()) == "MISS" for c in calls)
    assert upstream.count == 3


def test_a_slow_follower_slows_nobody(remora, upstream):
    """One of two callers of a 4 MiB stream reads nothing; the other gets all of it."""
    import socket
    import json
    piece = "x" * 4096

    def script(request, answer):
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1-mini"}
        answer.begin_stream()
        answer.sleep(1.0)
        for _ in range(1024):
            answer.event({**chunk, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
        answer.event({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        answer.event("[DONE]")
        answer.end_stream()
    upstream.script = script
    body = json.dumps(chat_body(stream=True)).encode()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", remora.port))
        slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Type: "
                     b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        upstream.wait_count(1)
        answer = together(remora, 1, chat_body(stream=True))[0]
        assert content_of(answer) == piece * 1024
    assert upstream.count == 1


OWN = {"content-type", "content-length", "content-encoding", "transfer-encoding", "cache-control", "date", "connection",
       "x-litellm-response-cost"}
ACCOUNT = [("set-cookie", "__cf_bm=secret"), ("set-cookie", "_cfuvid=secret"), ("openai-organization", "org-secret"),
           ("openai-project", "proj-secret"), ("x-request-id", "req-secret"), ("x-ratelimit-remaining-tokens", "149"),
           ("anthropic-organization-id", "org-secret"), ("x-litellm-key-spend", "1.5"), ("x-odd", "kept")]


def answer_with_account(form):
    def script(request, answer):
        answer.sleep(0.7)
        if form == "error":
            answer.whole({"error": {"message": "slow down"}}, 429, ACCOUNT)
        elif form == "encoded":
            answer.whole(b"no JSON", 200, [("content-encoding", "x-odd"), *ACCOUNT])
        elif form == "stream":
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1-mini"}
            answer.begin_stream(ACCOUNT)
            answer.event({**chunk, "choices": [{"index": 0, "delta": {"content": "one"}, "finish_reason": "stop"}]})
            answer.event("[DONE]")
            answer.end_stream()
        else:
            answer.whole({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1-mini", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "one"}, "finish_reason": "stop"}]}, 200, ACCOUNT)
    return script


@pytest.mark.parametrize("scope", ["shared", "key"])
@pytest.mark.parametrize("form, asked", [("body", "body"), ("stream", "stream"), ("body", "stream"), ("stream", "body"),
                                         ("error", "body"), ("encoded", "body")])
def test_the_account_of_the_leader_is_the_leaders(start, upstream, scope, form, asked):
    """Cookies, limits and names of an account go to whose request it was; a follower gets what a hit would get."""
    upstream.script = answer_with_account(form)
    remora = start(cache={"scope": scope}, retries={"per_request": 0})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        def submit(key, stream):
            return pool.submit(httpx.post, remora.base + "/chat/completions", json=chat_body(stream=stream), timeout=30,
                               headers={"authorization": f"Bearer {key}"})
        leader = submit("a", form == "stream")
        upstream.wait_count(1)
        follower = submit("b" if scope == "shared" else "a", asked == "stream")
        leader, follower = leader.result(), follower.result()
    assert upstream.count == 1 and cache_of(leader) == "MISS" and cache_of(follower) == "MERGED"
    assert leader.headers.get_list("set-cookie") == ["__cf_bm=secret", "_cfuvid=secret"]
    assert all(leader.headers.get(name) for name, _ in ACCOUNT)
    assert [n for n in follower.headers if n not in OWN and not n.startswith("x-remora-")] == []
    assert "secret" not in str(follower.headers) and follower.status_code == leader.status_code
    assert follower.headers.get("content-encoding") == leader.headers.get("content-encoding")
    if asked == form:
        assert follower.headers["content-type"] == leader.headers["content-type"] and follower.text == leader.text
