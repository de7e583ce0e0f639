"""INTERFACE sentence by sentence, as somebody meets it who knows nothing else of Remora."""
import json
import socket
import subprocess
import threading
import time

import httpx
import pytest

from asking import ask, cache_of, chat_body, content_of, events_of, until_hit
from programs import BIN, ROOT, MISS_USD, eventually, free_port

MESSAGES = [{"role": "user", "content": "What is a remora?"}]


def warm(http, body=None, **headers):
    """The answer is in the cache when this returns."""
    ask(http, body, **headers)
    until_hit(lambda **more: ask(http, body, **{**headers, **more}))


def check(folder, text, *flags, env=None):
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return subprocess.run([BIN / "remora", "check", "-c", path, *flags], capture_output=True, text=True, timeout=60, cwd=folder,
                          env=env, check=False)


# ---- configuration
@pytest.mark.parametrize("line,path", [
    ("listen: 127.0.0.1", "listen"), ("admin: nowhere:1", "admin"), ("loops: -1", "loops"), ("bogus: 1", "bogus"),
    ("upstreams: []", "upstreams"), ("upstreams: [{name: a}]", "upstreams[0].base_url"),
    ("upstreams: [{name: a, base_url: ftp://x}]", "upstreams[0].base_url"),
    ("upstreams: [{name: a, base_url: http://x, dialect: azure}]", "upstreams[0].dialect"),
    ("upstreams: [{name: a, base_url: http://x, batch: maybe}]", "upstreams[0].batch"),
    ("upstreams: [{name: a, base_url: http://x, api_key: '${REMORA_TEST_NOT_SET}'}]", "upstreams[0].api_key"),
    ("models: [{name: m, upstream: zzz}]", "models[0].upstream"), ("models: [{upstream: openai}]", "models[0].name"),
    ("models: [{name: m, price: {input: -1}}]", "models[0].price.input"),
    ("models: [{name: m, context: 1.5}]", "models[0].context"),
    ("models: [{name: m, capabilities: [fly]}]", "models[0].capabilities"), ("prices: ./none.json", "prices"),
    ("cache: {scope: all}", "cache.scope"), ("cache: {anonymous: 'yes'}", "cache.anonymous"),
    ("cache: {exact: {ttl: forever}}", "cache.exact.ttl"), ("cache: {exact: {bytes_max: 2XB}}", "cache.exact.bytes_max"),
    ("cache: {exact: {sampled: sometimes}}", "cache.exact.sampled"), ("cache: {exact: {mode: maybe}}", "cache.exact.mode"),
    ("cache: {semantic: {max_error: 2}}", "cache.semantic.max_error"), ("embed: {precision: fp64}", "embed.precision"),
    ("embed: {deadline: soon}", "embed.deadline"), ("merge: {in_flight: sometimes}", "merge.in_flight"),
    ("merge: {bytes_max: 0}", "merge.bytes_max"), ("trust_gateway_headers: perhaps", "trust_gateway_headers"),
    ("timeouts: {header: 0}", "timeouts.header"), ("timeouts: {conect: 3s}", "timeouts.conect"),
    ("retries: {budget: 1.5}", "retries.budget"), ("batch: {deferred: {requests_max: 0}}", "batch.deferred.requests_max"),
    ("route: {mode: sideways}", "route.mode")])
def test_each_mistake_names_file_line_path_and_mend(tmp_path, line, path):
    done = check(tmp_path, "# a comment\n" + line + "\n", "--offline")
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert any(s.startswith(f"{tmp_path}/c.yaml:2: {path}: ") and len(s) > len(path) + 20 for s in said), done.stderr


def test_the_whole_example_is_good(tmp_path):
    text = """
listen: 127.0.0.1:8700
admin: 127.0.0.1:8701
data: ./data
loops: 0
upstreams:
  - {name: openai, dialect: openai, base_url: "https://api.openai.com/v1", batch: auto, api_key: "${REMORA_TEST_KEY}"}
models:
  - name: gpt-4.1-mini
    upstream: openai
    price: {input: 0.40, cached_input: 0.10, output: 1.60}
    context: 1047576
    capabilities: [tools, json_schema, vision, streaming, logprobs]
cache:
  scope: key
  anonymous: private
  exact:    {mode: serve, ttl: 7d, bytes_max: 2GiB, sampled: serve}
  semantic: {mode: shadow, max_error: 0.01, model: all-minilm-l6-v2}
embed:    {precision: auto, workers: 0, deadline: 15ms}
merge:    {in_flight: on, bytes_max: 8MiB}
trust_gateway_headers: off
timeouts: {header: 30s, body: 30s, idle: 75s, connect: 10s, first_byte: 300s, stream_idle: 120s, silence_comment: 15s, drain: 30s}
retries:  {per_request: 2, budget: 0.10, budget_min: 10}
batch:    {embeddings_window: 3ms, deferred: {mode: on, window: 10s, requests_max: 1000}}
route:    {mode: off}
"""
    done = check(tmp_path, text, "--offline", env={"REMORA_TEST_KEY": "sk-secret", "REMORA_MODELS": str(ROOT / "build" / "models")})
    assert done.returncode == 0, done.stderr
    assert "sk-secret" not in done.stdout + done.stderr


def test_a_cost_map_that_is_none_is_a_mistake(tmp_path):
    (tmp_path / "p.json").write_text("not JSON", encoding="utf-8")
    done = check(tmp_path, "loops: 1\nprices: p.json\n", "--offline")
    assert done.returncode == 1 and f"{tmp_path}/c.yaml:2: prices: " in done.stderr
    (tmp_path / "p.json").write_text('{"m": {"input_cost_per_token": 1e-6}}', encoding="utf-8")
    assert check(tmp_path, "loops: 1\nprices: p.json\n", "--offline").returncode == 0


def test_an_upstream_that_does_not_answer_is_named_by_its_line(tmp_path):
    text = f"upstreams:\n  - name: gone\n    base_url: http://127.0.0.1:{free_port()}/v1\n"
    done = check(tmp_path, text)
    assert done.returncode == 0 and f"{tmp_path}/c.yaml:3: upstreams[0].base_url: warning: " in done.stdout
    assert json.loads(check(tmp_path, text, "--json").stdout)["upstreams"][0]["reachable"] is False


@pytest.mark.parametrize("command", ["serve", "check", "report"])
def test_usage_is_exit_2(command):
    for arguments in ([command, "-c"], [command, "--no-such-option"], [command, "one", "word", "more"]):
        done = subprocess.run([BIN / "remora", *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and done.stderr and not done.stdout


# ---- controls
@pytest.mark.parametrize("header,value,before,after", [
    ("x_remora_cache", "no-cache", "MISS", "HIT"), ("x_remora_cache", "NO-STORE", "HIT", "HIT"),
    ("x_remora_cache", "only-if-cached", "HIT", "HIT"), ("x_remora_cache", "bypass", "BYPASS", "HIT"),
    ("x_remora_cache", "no-cache, no-store", "MISS", "HIT"), ("x_remora_cache", "bypass, no-store", "BYPASS", "HIT"),
    ("cache_control", "no-cache", "MISS", "HIT"), ("cache_control", "no-store", "HIT", "HIT"),
    ("cache_control", "max-age=0", "MISS", "HIT"), ("cache_control", "max-age=1000", "HIT", "HIT"),
    ("cache_control", "max-stale=10", "HIT", "HIT"), ("cache_control", "private", "HIT", "HIT")])
def test_controls_on_a_cached_answer(client, header, value, before, after):
    warm(client)
    assert cache_of(ask(client, **{header: value})) == before
    assert cache_of(ask(client)) == after


@pytest.mark.parametrize("asked,outcome", [
    ({}, "HIT"), (None, "HIT"), ({"no-cache": True}, "MISS"), ({"no-cache": "true"}, "MISS"), ({"no-cache": False}, "HIT"),
    ({"no-store": True}, "HIT"), ({"ttl": 60}, "HIT"), ({"s-maxage": 0}, "MISS"), ({"s-max-age": "0"}, "MISS"),
    ({"s-maxage": 1000}, "HIT"), ({"namespace": "n"}, "MISS"), ({"namespace": None}, "HIT"), ({"namespace": 5}, "BYPASS")])
def test_the_body_field_of_litellm(client, upstream, asked, outcome):
    warm(client)
    asked_before = upstream.count
    assert cache_of(ask(client, chat_body(cache=asked))) == outcome
    if outcome == "HIT":
        assert upstream.count == asked_before
    else:
        assert upstream.last.json == chat_body()


@pytest.mark.parametrize("body", [
    b'{ "model" : "gpt-4.1-mini" , "cache" : {"no-cache":true} , "messages":[] }', b'{"cache":{},"model":"gpt-4.1-mini","messages":[]}',
    b'{"model":"gpt-4.1-mini","messages":[],"c\\u0061che":{"ttl":5}}'])
def test_nothing_but_the_field_leaves_the_body(client, upstream, body):
    client.post("/chat/completions", content=body, headers={"content-type": "application/json"})
    assert "cache" not in upstream.last.json and upstream.last.json == {k: v for k, v in json.loads(body).items() if k != "cache"}


@pytest.mark.parametrize("header", ["x-remora-cache-ttl", "body"])
def test_a_time_to_live_ends(client, header):
    body, headers = (chat_body(cache={"ttl": 1}), {}) if header == "body" else (chat_body(), {"x_remora_cache_ttl": "1"})
    ask(client, body, **headers)
    eventually(lambda: cache_of(ask(client, x_remora_cache="only-if-cached")) == "MISS", 20)
    assert ask(client, x_remora_cache="only-if-cached").status_code == 504


@pytest.mark.parametrize("more", [{"x_remora_cache_ttl": "0"}, {"x_remora_cache": "no-store"}])
def test_what_shall_not_be_kept_is_not(client, upstream, more):
    assert cache_of(ask(client, **more)) == "MISS"
    warm(client, chat_body("a later one"))
    asked = upstream.count
    assert cache_of(ask(client)) == "MISS" and upstream.count == asked + 1


def test_namespaces_of_header_and_body_are_one(client):
    warm(client, chat_body(cache={"namespace": "n"}))
    assert cache_of(ask(client, x_remora_cache_namespace="n")) == "HIT"
    assert cache_of(ask(client, x_remora_cache_namespace="o")) == "MISS"


@pytest.mark.parametrize("path,error", [("/chat/completions", ["message", "type", "param", "code"]), ("/messages", ["type", "message"])])
def test_errors_of_remora_in_each_dialect(client, path, error):
    answer = client.post(path, json={"model": "gpt-4.1-mini", "max_tokens": 9, "messages": MESSAGES}, headers={"x-remora-cache": "only-if-cached"})
    assert answer.status_code == 504 and list(answer.json()["error"]) == error
    if path == "/messages":
        assert answer.json()["type"] == "error" and answer.json()["error"]["type"] == "timeout_error"
    else:
        assert isinstance(answer.json()["error"]["code"], str)


# ---- tenants
CREDENTIALS = [{"authorization": "Bearer A"}, {"x-api-key": "A"}, {"api-key": "A"}, {"authorization": "Bearer A", "x-api-key": "A"},
               {"authorization": "Bearer A", "api-key": "A"}, {"x-api-key": "A", "api-key": "A"}, {"authorization": "Bearer B"}]


def test_each_combination_of_credentials_is_a_tenant(remora):
    with httpx.Client(base_url=remora.base, timeout=60) as http:
        for headers in CREDENTIALS:
            assert http.post("/chat/completions", json=chat_body(), headers=headers).headers["x-remora-cache"] == "MISS", headers
        for nobody in ({}, {"authorization": "Bearer"}, {"x-api-key": ""}):
            assert http.post("/chat/completions", json=chat_body(), headers=nobody).headers["x-remora-cache"] == "BYPASS", nobody


def test_a_team_shares_only_where_the_gateway_is_trusted(start, upstream):
    for trust, outcome in ((True, "HIT"), (False, "MISS")):
        remora = start(cache={"scope": "team"}, trust_gateway_headers=trust, data=f"{upstream.port}-{trust}")
        with httpx.Client(base_url=remora.base, timeout=60) as http:
            team = {"x_litellm_team_id": "t"}
            warm(http, authorization="Bearer a", **team)
            assert cache_of(ask(http, authorization="Bearer b", **team)) == outcome
            assert cache_of(ask(http, authorization="Bearer c", x_litellm_team_id="u")) == "MISS"


# ---- what is forwarded
@pytest.mark.parametrize("base,target,seen", [
    ("/v1", "/v1/models", "/v1/models"), ("/api/v3", "/v1/models?a=b%20c", "/api/v3/models?a=b%20c"), ("/api/v3/", "/v1/models", "/api/v3/models"),
    ("/api/v3", "/v1x/models", "/v1x/models"), ("/api/v3", "/other", "/other"), ("", "/v1/models", "/models")])
def test_the_base_url_s_path_stands_for_v1(start, upstream, base, target, seen):
    remora = start(upstreams=[{"name": "up", "base_url": upstream.url + base}])
    httpx.get(remora.url + target, headers={"authorization": "Bearer me"})
    assert upstream.last.target == seen


@pytest.mark.parametrize("dialect,name,value", [("openai", "authorization", "Bearer SECRET"), ("anthropic", "x-api-key", "SECRET")])
def test_an_api_key_takes_the_place_of_the_callers(start, upstream, dialect, name, value):
    remora = start(upstreams=[{"name": "up", "dialect": dialect, "base_url": upstream.url + "/v1", "api_key": "SECRET"}], models=[])
    httpx.post(remora.base + "/messages", json={"model": "m"}, headers={"authorization": "Bearer me", "x-api-key": "me", "api-key": "me"})
    sent = [(n.lower(), v) for n, v in upstream.last.headers if n.lower() in ("authorization", "x-api-key", "api-key")]
    assert sent == [(name, value)]


def test_hop_by_hop_and_own_headers_stay(remora, upstream):
    httpx.get(remora.url + "/x", headers={"connection": "x-hop", "x-hop": "1", "te": "trailers", "x-remora-cache": "bypass",
                                          "x-remora-anything": "1", "x-keep": "2", "cookie": "a=b"})
    names = {n.lower() for n, _ in upstream.last.headers}
    assert {"x-keep", "cookie"} <= names and not {"x-hop", "te", "x-remora-cache", "x-remora-anything", "connection"} & names


# ---- money
def test_what_each_outcome_costs(client):
    miss, hit = ask(client), until_hit(lambda **h: ask(client, **h))
    assert (miss.headers["x-remora-cost-usd"], miss.headers["x-litellm-response-cost"], miss.headers["x-remora-saved-usd"]) == ("0.006", "0.006", "0")
    assert (hit.headers["x-remora-cost-usd"], hit.headers["x-litellm-response-cost"], hit.headers["x-remora-saved-usd"]) == ("0", "0", "0.006")
    assert hit.headers["x-remora-cache-kind"] == "exact" and hit.headers["x-remora-model"] == "gpt-4.1-mini" and int(hit.headers["age"]) >= 0
    assert miss.headers["x-remora-route"].startswith("reason=") and miss.headers["x-remora-id"] != hit.headers["x-remora-id"]


def test_a_streamed_miss_says_its_cost_in_the_last_chunk(client):
    answer = ask(client, chat_body(stream=True, stream_options={"include_usage": True}))
    assert "x-litellm-response-cost" not in answer.headers
    assert events_of(answer)[-1]["usage"]["cost"] == pytest.approx(MISS_USD)


@pytest.mark.parametrize("path,body", [
    ("/messages", {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": MESSAGES, "stream": True}),
    ("/responses", {"model": "gpt-4.1-mini", "store": False, "input": "x", "stream": True})])
def test_a_streamed_miss_of_the_other_dialects_too(client, path, body):
    assert f'"cost":{MISS_USD}' in client.post(path, json=body).text


@pytest.mark.parametrize("tier,usd", [("flex", 0.003125), ("priority", 0.0125), ("default", 0.00625), ("scale", 0.00625), (None, 0.00625)])
def test_the_tier_that_the_answer_names_is_what_it_costs(client, upstream, tier, usd):
    """1000 + 500 tokens at the built-in prices of gpt-5; the body asks for flex in every case."""
    said = {"id": "c", "created": 1, "model": "gpt-5-2025-08-07", "service_tier": tier}
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}

    def script(request, answer):
        end = {"index": 0, "finish_reason": "stop"}
        if not request.json.get("stream"):
            answer.whole({**said, "object": "chat.completion", "usage": usage,
                          "choices": [{**end, "message": {"role": "assistant", "content": "x"}}]})
            return
        answer.begin_stream()
        answer.event({**said, "object": "chat.completion.chunk", "choices": [{**end, "delta": {"role": "assistant", "content": "x"}}]})
        answer.event({**said, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        answer.event("[DONE]")
        answer.end_stream()

    upstream.script = script
    body = {**chat_body(f"tier {tier}"), "model": "gpt-5", "service_tier": "flex"}
    miss, hit = ask(client, body), until_hit(lambda **h: ask(client, body, **h))
    assert float(miss.headers["x-remora-cost-usd"]) == float(miss.headers["x-litellm-response-cost"]) == pytest.approx(usd)
    assert (float(hit.headers["x-remora-cost-usd"]), float(hit.headers["x-remora-saved-usd"])) == (0, pytest.approx(usd))
    streamed = {**body, **chat_body(f"tier {tier}, streamed", stream=True, stream_options={"include_usage": True}), "model": "gpt-5"}
    assert events_of(ask(client, streamed))[-1]["usage"]["cost"] == pytest.approx(usd)


def test_merged_in_both_forms(remora, upstream):
    upstream.delay = 0.7
    bodies = [chat_body(), chat_body(stream=True), chat_body(stream=True, stream_options={"include_usage": True})]
    answers = []

    def one(body):
        answers.append(httpx.post(remora.base + "/chat/completions", json=body, headers={"authorization": "Bearer m"}, timeout=60))

    threads = [threading.Thread(target=one, args=(body,)) for body in bodies * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert upstream.count == 1 and sorted(cache_of(a) for a in answers) == ["MERGED"] * 5 + ["MISS"]
    assert all(a.headers["x-litellm-response-cost"] == "0" for a in answers if cache_of(a) == "MERGED")
    assert len({content_of(a) for a in answers}) == 1


# ---- what is kept
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}


@pytest.mark.parametrize("answer,kept", [
    ({"choices": [CHOICE]}, True), ({"choices": [{**CHOICE, "finish_reason": "tool_calls"}]}, True), ({"choices": []}, False),
    ({"choices": [{**CHOICE, "finish_reason": None}]}, False), ({"choices": [CHOICE, {**CHOICE, "finish_reason": "length"}]}, False),
    ({"choices": [CHOICE], "error": {"message": "no"}}, False), ({"object": "list"}, False)])
def test_only_whole_answers_are_kept(client, upstream, answer, kept):
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4.1-mini", **answer}
    upstream.script = lambda request, reply: reply.whole(whole)
    ask(client)
    upstream.script = None
    warm(client, chat_body("a later one"))
    assert (cache_of(ask(client)) == "HIT") is kept


# ---- from outside
@pytest.mark.parametrize("since", ["24h", "7d", "10m", "2020-01-01", "2020-01-01T00:00:00Z", "1577836800", "0"])
def test_report_since_in_each_form(remora, client, since):
    ask(client)
    eventually(lambda: json.loads(remora.run("report", "--json", "--since", since).stdout)["requests"] == 1)


def test_cache_commands_answer_the_same_running_and_stopped(remora, client):
    warm(client)
    key = ask(client).headers["x-remora-cache-key"]

    def asked():
        entry = json.loads(remora.run("cache", "get", "--json", key).stdout)
        eventually(lambda: json.loads(remora.run("cache", "stats", "--json").stdout)["entries"] == 1)
        assert remora.run("cache", "get", "0" * 32, check=False).returncode == 1
        assert remora.run("cache", "get", "zz", check=False).returncode == 2
        assert remora.run("cache", "purge", check=False).returncode == 2
        assert json.loads(remora.run("cache", "purge", "--older-than", "1h", "--json").stdout) == {"purged": 0}
        return entry

    running = asked()
    remora.stop()
    assert asked() == running
    assert json.loads(remora.run("cache", "purge", "--key", key, "--json").stdout) == {"purged": 1}
    assert json.loads(remora.run("cache", "stats", "--json").stdout)["entries"] == 0


def test_the_log_holds_no_prompt_and_no_key(remora, client):
    ask(client, chat_body("a very private prompt"))
    eventually(lambda: len(remora.access()) == 1)
    assert "private" not in remora.access()[0] and "sk-test-one" not in remora.access()[0]


@pytest.mark.parametrize("data", ["file", "file/below"])
def test_a_data_folder_that_cannot_be_used_costs_the_cache_only(start, tmp_path, data):
    (tmp_path / "file").write_text("", encoding="utf-8")
    remora = start(data=str(tmp_path / data))
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer k"}, timeout=60) as http:
        assert [ask(http).status_code for _ in range(2)] == [200, 200]
    assert httpx.get(remora.admin + "/readyz").status_code == 200


def test_hits_outlive_a_kill(start):
    remora = start()
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer k"}, timeout=60) as http:
        warm(http)
    eventually(lambda: json.loads(remora.run("cache", "stats", "--json").stdout)["commits"] >= 1)  # before it, a hit comes from the queue
    remora.kill()
    again = start(data=remora.config["data"])
    remora.stop = lambda: None  # it was killed on purpose
    with httpx.Client(base_url=again.base, headers={"authorization": "Bearer k"}, timeout=60) as http:
        assert cache_of(ask(http)) == "HIT"


def test_one_folder_serves_one_process(remora, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(f"listen: 127.0.0.1:{free_port()}\nadmin: 127.0.0.1:{free_port()}\ndata: {remora.config['data']}\n", encoding="utf-8")
    done = subprocess.run([BIN / "remora", "serve", "-c", other], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "another Remora" in done.stderr


@pytest.mark.parametrize("status,headers,tries", [
    (408, [], 2), (409, [], 2), (429, [("retry-after-ms", "20")], 2), (500, [], 2), (503, [], 2), (529, [], 2),
    (400, [], 1), (401, [], 1), (404, [], 1),
    (500, [("x-should-retry", "false")], 1), (400, [("x-should-retry", "true")], 2), (429, [("retry-after", "3600")], 1)])
def test_which_answers_are_tried_again(client, upstream, status, headers, tries):
    def script(request, answer):
        if upstream.count == 1:
            answer.whole({"error": {"message": "no", "type": "x"}}, status, headers)
        else:
            upstream.default(request, answer)

    upstream.script = script
    began = time.monotonic()
    assert ask(client).status_code == (200 if tries == 2 else status)
    assert upstream.count == tries and time.monotonic() - began < 30


# ---- found by the audit


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key"])
def test_a_credential_of_two_lines_is_another_tenant(remora, name):
    body = chat_body(f"two lines of {name}")
    url = remora.base + "/chat/completions"
    assert httpx.post(url, json=body, headers=[(name, "Bearer A")]).headers["x-remora-cache"] == "MISS"
    assert httpx.post(url, json=body, headers=[(name, "Bearer A"), (name, "Bearer B")]).headers["x-remora-cache"] == "MISS"
    assert httpx.post(url, json=body, headers=[(name, "Bearer A")]).headers["x-remora-cache"] == "HIT"


@pytest.mark.parametrize("path", ["/chat/completions", "/messages", "/embeddings"])
def test_no_json_is_400_from_remora(remora, upstream, path):
    answer = httpx.post(remora.base + path, content=b"nope", headers={"authorization": "Bearer k"})
    assert answer.status_code == 400 and answer.json()["error"]["message"]
    assert upstream.count == 0


def test_options_asterisk(remora):
    with socket.create_connection(("127.0.0.1", remora.port)) as sock:
        sock.sendall(b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert sock.makefile("rb").readline().startswith(b"HTTP/1.1 204")


def test_the_data_folder_is_made_with_its_parents(start, tmp_path):
    remora = start(data=str(tmp_path / "a" / "b" / "c"))
    url, headers = remora.base + "/chat/completions", {"authorization": "Bearer k"}
    assert [httpx.post(url, json=chat_body("deep"), headers=headers).headers["x-remora-cache"] for _ in range(2)] == ["MISS", "HIT"]
