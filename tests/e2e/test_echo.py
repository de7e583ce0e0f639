"""What a Responses answer repeats of its request is the present caller's, whoever asked first."""
import concurrent.futures
import json

import httpx
import pytest

from asking import MODEL, cache_of, events_of, until_hit
from programs import eventually

ABSENT = {"metadata": {}, "user": None, "safety_identifier": None, "prompt_cache_key": None}


def echo_of(name):
    return {"metadata": {"tenant": name, "note": f"is {name}'s"}, "user": f"user-{name}", "safety_identifier": f"safe-{name}",
            "prompt_cache_key": f"prefix-{name}"}


def repeating(request, answer):
    """As the API does it: absent members are repeated as null or {}."""
    body = request.json
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}]}
    base = {"id": "resp_1", "object": "response", "created_at": 1700000000, "status": "in_progress", "model": body["model"],
            "output": [], **{k: body.get(k) or v for k, v in ABSENT.items()}}
    whole = {**base, "status": "completed", "output": [item], "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}}
    answer.sleep(0.7 if request.header("x-slow") else 0)
    if not body.get("stream"):
        answer.whole(whole)
        return
    answer.begin_stream()
    for type_, more in (("response.created", {"response": base}), ("response.in_progress", {"response": base}),
                        ("response.output_text.delta", {"delta": "hello", "item_id": "msg_1"}),
                        ("response.output_item.done", {"output_index": 0, "item": item}), ("response.completed", {"response": whole})):
        answer.chunk(f"event: {type_}\ndata: {json.dumps({'type': type_, **more})}\n\n")
    answer.end_stream()


def ask_as(remora, name, members, stream, **headers):
    body = {"model": MODEL, "input": "say", "store": False, "stream": stream, **members}
    return httpx.post(remora.base + "/responses", json=body, timeout=60,
                      headers={"authorization": f"Bearer {name}", **{k.replace("_", "-"): v for k, v in headers.items()}})


def repeated(answer):
    """The members, as every part of the answer has them."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        found = [e["response"] for e in events_of(answer) if "response" in e]
        assert len(found) == 3
    else:
        found = [answer.json()]
    seen = [{k: f[k] for k in ABSENT} for f in found]
    assert seen == [seen[0]] * len(seen)
    return seen[0]


@pytest.mark.parametrize("stored", [False, True], ids=["body", "stream"])
@pytest.mark.parametrize("asked", [False, True], ids=["as-body", "as-stream"])
def test_a_hit_repeats_its_own_request(start, upstream, stored, asked):
    upstream.script = repeating
    remora = start(cache={"scope": "shared"})
    assert repeated(ask_as(remora, "a", echo_of("a"), stored)) == echo_of("a")
    hit = until_hit(lambda **h: ask_as(remora, "b", echo_of("b"), asked, **h))
    assert repeated(hit) == echo_of("b") and "user-a" not in hit.text and "is a's" not in hit.text
    assert repeated(ask_as(remora, "c", {}, asked)) == ABSENT
    assert repeated(ask_as(remora, "a", echo_of("a"), asked)) == echo_of("a")
    assert upstream.count == 1


@pytest.mark.parametrize("scope", ["shared", "key"])
@pytest.mark.parametrize("led", [False, True], ids=["body", "stream"])
@pytest.mark.parametrize("asked", [False, True], ids=["as-body", "as-stream"])
def test_a_follower_repeats_its_own_request(start, upstream, scope, led, asked):
    upstream.script = repeating
    remora = start(cache={"scope": scope})
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        leader = pool.submit(ask_as, remora, "a", echo_of("a"), led, x_slow="1")
        upstream.wait_count(1)
        key = "b" if scope == "shared" else "a"
        other = pool.submit(ask_as, remora, key, echo_of("b"), asked)
        none = pool.submit(ask_as, remora, key, {}, asked)
        assert repeated(leader.result()) == echo_of("a")
        for follower, wanted in ((other.result(), echo_of("b")), (none.result(), ABSENT)):
            assert cache_of(follower) == "MERGED" and repeated(follower) == wanted
            assert "user-a" not in follower.text
    assert upstream.count == 1


@pytest.mark.parametrize("scope", ["shared", "key"])
def test_what_cannot_be_read_stays_with_its_tenant(start, upstream, scope):
    """A stream that ends inside an event: the leader gets it as it came, another tenant's follower a broken answer."""
    def script(request, answer):
        answer.begin_stream()
        answer.sleep(0.7)
        answer.chunk('data: {"type":"response.created","response":{"metadata":{},"user":"user-a"}}\n\n')
        answer.chunk('data: {"type":"response.completed","response":{"user":"user-a"}}')
        answer.end_stream()
    upstream.script = script
    remora = start(cache={"scope": scope})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        leader = pool.submit(ask_as, remora, "a", {"user": "user-a"}, True)
        upstream.wait_count(1)
        follower = pool.submit(ask_as, remora, "b" if scope == "shared" else "a", {"user": "user-b"}, True)
        eventually(lambda: remora.metric("remora_flight_followers") == 1)
        assert leader.result().text.count("user-a") == 2
        if scope == "key":
            assert "user-b" in follower.result().text
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                follower.result()
