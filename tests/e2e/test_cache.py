"""The exact cache as a caller sees it."""
import httpx
import pytest

from asking import MODEL, ask, cache_of, chat_body, content_of, events_of, until_hit
from programs import MISS_USD, eventually


def test_a_repeat_is_a_hit_that_says_so(client, upstream):
    first = ask(client)
    assert cache_of(first) == "MISS" and "x-remora-cache-kind" not in first.headers
    assert first.headers["x-remora-model"] == MODEL
    assert float(first.headers["x-remora-cost-usd"]) == pytest.approx(MISS_USD)
    again = until_hit(lambda **h: ask(client, **h))
    assert again.headers["x-remora-cache-kind"] == "exact"
    assert int(again.headers["age"]) >= 0
    assert float(again.headers["x-remora-cost-usd"]) == 0
    assert float(again.headers["x-remora-saved-usd"]) == pytest.approx(MISS_USD)
    assert float(again.headers["x-litellm-response-cost"]) == 0
    assert again.json() == first.json()
    assert again.headers["x-remora-id"] != first.headers["x-remora-id"]
    assert "reason=" in again.headers["x-remora-route"] and "reason=" in first.headers["x-remora-route"]


def test_neutral_parts_and_spelling_do_not_matter(client, upstream):
    ask(client, chat_body(temperature=0.5))
    until_hit(lambda **h: ask(client, chat_body(temperature=0.5), **h))
    asked = upstream.count
    spellings = [
        b'{"temperature":0.5,"messages":[{"content":"What is a remora?","role":"user"}],"model":"gpt-4.1-mini"}',
        b'{ "model" : "gpt-4.1-mini", "messages":[ {"role":"user","content":"What is a r\\u0065mora?"} ],"temperature":5e-1}',
        b'{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"What is a remora?"}],"temperature":0.50,"user":"u1"}',
        b'{"model":"gpt-4.1-mini","metadata":{"a":"b"},"messages":[{"role":"user","content":"What is a remora?"}],"temperature":0.5}',
    ]
    for spelling in spellings:
        answer = client.post("/chat/completions", content=spelling, headers={"content-type": "application/json"})
        assert cache_of(answer) == "HIT", spelling
    assert upstream.count == asked


@pytest.mark.parametrize("change", [
    {"model": "gpt-4o-mini"}, {"temperature": 0.1}, {"max_tokens": 50}, {"seed": 1}, {"stop": ["x"]}, {"top_p": 0.5},
    {"messages": [{"role": "user", "content": "what is a remora?"}]},
    {"messages": [{"role": "user", "content": "What is a remora? "}]},
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a remora?"}]},
    {"response_format": {"type": "json_object"}}, {"logprobs": True}, {"reasoning_effort": "low"},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
    {"a_field_of_tomorrow": True},
], ids=lambda change: next(iter(change)))
def test_what_changes_the_question_is_a_miss(client, change):
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    assert cache_of(ask(client, {**chat_body(), **change})) == "MISS"


def test_a_doubled_key_is_never_cached(client, upstream):
    body = b'{"model":"gpt-4.1-mini","temperature":0,"temperature":1,"messages":[{"role":"user","content":"x"}]}'
    for _ in range(3):
        answer = client.post("/chat/completions", content=body, headers={"content-type": "application/json"})
        assert cache_of(answer) == "BYPASS"
    assert upstream.count == 3


def test_one_entry_serves_both_forms(client, upstream):
    plain = ask(client, chat_body("forms"))
    streamed = until_hit(lambda **h: ask(client, chat_body("forms", stream=True), **h))
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert content_of(streamed) == content_of(plain)
    assert streamed.text.rstrip().endswith("data: [DONE]")
    assert all(e.get("usage") is None for e in events_of(streamed))
    with_usage = ask(client, chat_body("forms", stream=True, stream_options={"include_usage": True}))
    assert cache_of(with_usage) == "HIT"
    last = events_of(with_usage)[-1]
    assert last["choices"] == [] and last["usage"]["total_tokens"] == 1500
    assert upstream.count == 1


def test_a_stream_is_stored_and_read_as_json(client, upstream):
    streamed = ask(client, chat_body("other way", stream=True))
    assert cache_of(streamed) == "MISS"
    plain = until_hit(lambda **h: ask(client, chat_body("other way"), **h))
    body = plain.json()
    assert body["object"] == "chat.completion" and body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 1500
    assert content_of(plain) == content_of(streamed)
    again = ask(client, chat_body("other way", stream=True))
    assert cache_of(again) == "HIT" and content_of(again) == content_of(streamed)


@pytest.mark.parametrize("path,body", [
    ("/completions", {"model": MODEL, "prompt": "say"}),
    ("/embeddings", {"model": "text-embedding-3-small", "input": ["a", "b"]}),
    ("/responses", {"model": MODEL, "input": "say", "store": False}),
    ("/messages", {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "say"}]}),
])
def test_each_dialect_is_cached(client, upstream, path, body):
    first = ask(client, body, path)
    assert cache_of(first) == "MISS"
    again = until_hit(lambda **h: ask(client, body, path, **h))
    assert again.json() == first.json() and again.headers["x-remora-cache-kind"] == "exact"
    assert upstream.count == 1


@pytest.mark.parametrize("more", [{}, {"store": True}, {"store": False, "previous_response_id": "resp_1"},
                                  {"store": False, "conversation": "conv_1"}, {"store": False, "background": True}],
                         ids=["store-left-out", "store", "previous", "conversation", "background"])
def test_stateful_responses_are_not_stored(client, upstream, more):
    body = {"model": MODEL, "input": "say", **more}
    for asked in range(1, 4):
        assert cache_of(ask(client, body, "/responses")) != "HIT"
        assert upstream.count == asked


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_cut_answers_are_not_stored(client, upstream, reason):
    def script(request, answer):
        answer.whole({"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "half"}, "finish_reason": reason}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
    upstream.script = script
    for asked in range(1, 4):
        assert cache_of(ask(client)) == "MISS"
        assert upstream.count == asked


def test_errors_are_not_stored(client, upstream):
    upstream.script = lambda request, answer: answer.whole({"error": {"message": "no", "type": "x", "code": 400}}, 400)
    for asked in range(1, 3):
        answer = ask(client)
        assert answer.status_code == 400 and answer.json()["error"]["message"] == "no"
        assert upstream.count == asked
    upstream.script = None
    assert cache_of(ask(client)) == "MISS"


def test_a_broken_stream_is_not_stored(client, upstream):
    def script(request, answer):
        answer.begin_stream()
        answer.event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
                      "choices": [{"index": 0, "delta": {"role": "assistant", "content": "half"}, "finish_reason": None}]})
        answer.abort()
    upstream.script = script
    for _ in range(2):
        try:
            ask(client, chat_body(stream=True))
        except httpx.HTTPError:
            pass
    upstream.script = None
    assert cache_of(ask(client, chat_body(stream=True))) == "MISS"


# ---- what a request may say --------------------------------------------------------------------------------------------------
def test_no_cache_asks_and_stores(client, upstream):
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    fresh = ask(client, x_remora_cache="no-cache")
    assert cache_of(fresh) == "MISS" and upstream.count == 2
    eventually(lambda: ask(client).json() == fresh.json(), what="the new answer was not stored")


def test_no_store_looks_and_keeps_nothing(client, upstream):
    assert cache_of(ask(client, x_remora_cache="no-store")) == "MISS"
    assert cache_of(ask(client, x_remora_cache="no-store")) == "MISS"
    assert upstream.count == 2
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    assert cache_of(ask(client, x_remora_cache="no-store")) == "HIT"


def test_only_if_cached(client, upstream):
    missing = ask(client, x_remora_cache="only-if-cached")
    assert missing.status_code == 504 and "error" in missing.json() and upstream.count == 0
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    assert cache_of(ask(client, x_remora_cache="only-if-cached")) == "HIT"


def test_bypass_does_neither(client, upstream):
    assert cache_of(ask(client, x_remora_cache="bypass")) == "BYPASS"
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    assert cache_of(ask(client, x_remora_cache="bypass")) == "BYPASS"
    assert upstream.count == 3


@pytest.mark.parametrize("said", ["header", "cache-control", "body"])
def test_no_cache_three_ways(client, upstream, said):
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    body = chat_body(cache={"no-cache": True}) if said == "body" else chat_body()
    headers = {"header": {"x-remora-cache": "no-cache"}, "cache-control": {"cache-control": "no-cache"}, "body": {}}[said]
    answer = ask(client, body, **headers)
    assert cache_of(answer) == "MISS" and upstream.count == 2
    assert "cache" not in upstream.last.json


def test_namespaces_do_not_meet(client, upstream):
    ask(client, x_remora_cache_namespace="a")
    until_hit(lambda **h: ask(client, x_remora_cache_namespace="a", **h))
    assert cache_of(ask(client)) == "MISS"
    assert cache_of(ask(client, x_remora_cache_namespace="b")) == "MISS"
    assert cache_of(ask(client, chat_body(cache={"namespace": "a"}))) == "HIT"


def test_ttl(client, upstream):
    ask(client, x_remora_cache_ttl="1")
    until_hit(lambda **h: ask(client, x_remora_cache_ttl="1", **h))
    eventually(lambda: cache_of(ask(client)) == "MISS", 20, "the entry did not expire")


@pytest.mark.parametrize("header,value", [("x-remora-cache", "perhaps"), ("x-remora-cache-ttl", "soon"),
                                          ("x-remora-cache-ttl", "-1"), ("x-remora-max-error", "2")])
def test_a_header_that_makes_no_sense_is_400(client, upstream, header, value):
    answer = client.post("/chat/completions", json=chat_body(), headers={header: value})
    assert answer.status_code == 400 and header in answer.json()["error"]["message"] and upstream.count == 0


# ---- who ---------------------------------------------------------------------------------------------------------------------
def test_keys_do_not_share(client, remora, upstream):
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    assert cache_of(ask(client, authorization="Bearer sk-test-two")) == "MISS"
    assert cache_of(ask(client, x_api_key="other")) == "MISS"
    assert upstream.last.header("authorization") == "Bearer sk-test-one" and upstream.last.header("x-api-key") == "other"


def test_nobody_is_cached_nowhere(remora, upstream):
    with httpx.Client(base_url=remora.base) as nobody:
        for asked in range(1, 4):
            assert cache_of(ask(nobody)) == "BYPASS"
            assert upstream.count == asked


def test_nobody_shared_and_refused(start, upstream):
    shared = start(cache={"anonymous": "shared"})
    with httpx.Client(base_url=shared.base) as nobody:
        ask(nobody)
        until_hit(lambda **h: ask(nobody, **h))
    refusing = start(cache={"anonymous": "refuse"}, data=str(shared.folder / "data2"), listen=f"127.0.0.1:{_port()}",
                     admin=f"127.0.0.1:{_port()}")
    with httpx.Client(base_url=refusing.base) as nobody:
        answer = ask(nobody)
        assert answer.status_code == 401 and "error" in answer.json()


def _port():
    from programs import free_port
    return free_port()


def test_scope_shared(start, upstream):
    remora = start(cache={"scope": "shared"})
    with httpx.Client(base_url=remora.base) as http:
        ask(http, authorization="Bearer one")
        until_hit(lambda **h: ask(http, authorization="Bearer one", **h))
        assert cache_of(ask(http, authorization="Bearer two")) == "HIT"


def test_gateway_headers_refine_only_where_trusted(start, upstream):
    remora = start(trust_gateway_headers=True)
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer gateway"}) as http:
        ask(http, x_litellm_user_id="ada")
        until_hit(lambda **h: ask(http, x_litellm_user_id="ada", **h))
        assert cache_of(ask(http, x_litellm_user_id="bob")) == "MISS"


def test_sampled_answers_bypass_by_option(start, upstream):
    remora = start(cache={"exact": {"sampled": "bypass"}})
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer a"}) as http:
        for _ in range(2):
            assert cache_of(ask(http, chat_body(temperature=1))) == "BYPASS"
        ask(http, chat_body(temperature=0))
        until_hit(lambda **h: ask(http, chat_body(temperature=0), **h))


@pytest.mark.parametrize("probe", ["Hey how's it going?", "What's 1 + 1?"])
def test_health_probes_go_through(client, upstream, probe):
    for asked in range(1, 4):
        answer = ask(client, chat_body(probe, max_tokens=16))
        assert answer.status_code == 200 and cache_of(answer) == "BYPASS"
        assert upstream.count == asked
    ask(client, chat_body(probe, max_tokens=17))
    until_hit(lambda **h: ask(client, chat_body(probe, max_tokens=17), **h))


# ---- afterwards --------------------------------------------------------------------------------------------------------------
def test_it_survives_a_restart(start, upstream):
    first = start()
    with httpx.Client(base_url=first.base, headers={"authorization": "Bearer a"}) as http:
        said = ask(http).json()
        until_hit(lambda **h: ask(http, **h))
    first.stop()
    second = start()
    with httpx.Client(base_url=second.base, headers={"authorization": "Bearer a"}) as http:
        answer = ask(http)
        assert cache_of(answer) == "HIT" and answer.json() == said


def test_stale_while_revalidate(start, upstream):
    remora = start(cache={"exact": {"ttl": "1s", "stale_while_revalidate": "1h"}})
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer a"}) as http:
        first = ask(http).json()
        until_hit(lambda **h: ask(http, **h))
        stale = eventually(lambda: (a := ask(http)) and cache_of(a) == "STALE" and a, 20)
        assert stale.json() == first and int(stale.headers["age"]) >= 1
        eventually(lambda: ask(http).json() != first, 20, "it was not revalidated")


def test_stale_if_error(start, upstream):
    remora = start(cache={"exact": {"ttl": "1s", "stale_if_error": "1h"}}, retries={"per_request": 0})
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer a"}) as http:
        first = ask(http).json()
        until_hit(lambda **h: ask(http, **h))
        upstream.script = lambda request, answer: answer.whole({"error": {"message": "down"}}, 503)
        stale = eventually(lambda: (a := ask(http)) and cache_of(a) == "STALE" and a, 20)
        assert stale.status_code == 200 and stale.json() == first


@pytest.mark.parametrize("flags,goes", [
    (["--all"], True), (["--model", MODEL], True), (["--model", "gpt-4o-mini"], False), (["--namespace", "n"], True),
    (["--namespace", "m"], False), (["--older-than", "1h"], False)], ids=lambda f: "-".join(f) if isinstance(f, list) else "")
def test_purge(remora, client, flags, goes):
    ask(client, x_remora_cache_namespace="n")
    until_hit(lambda **h: ask(client, x_remora_cache_namespace="n", **h))
    remora.run("cache", "purge", *flags)
    answer = ask(client, x_remora_cache_namespace="n", x_remora_cache="only-if-cached")
    assert (answer.status_code == 504) == goes


def test_cache_stats(remora, client):
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    import json
    stats = json.loads(remora.run("cache", "stats", "--json").stdout)
    assert stats["entries"] >= 1
