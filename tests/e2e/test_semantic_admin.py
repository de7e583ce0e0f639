"""What people see of the semantic cache: metrics, /api/semantic, receipts, feedback, report. With the real model."""
import json
import re

import httpx
import pytest

from asking import cache_of, chat_body, content_of
from programs import MISS_USD, ROOT, eventually
from test_semantic import PARIS, PASSWORD, PATIENT, SERVE, SHADOW, ask, is_semantic, provider, warm  # noqa: F401

EVERYTHING_AUDITED = {"semantic": {"mode": "serve", "max_error": 0.05, "audit": 1}}


@pytest.fixture
def start(start):
    """With the models that the set-up fetched, and what the store kept loaded: before that all is a miss."""
    def starter(**changes):
        remora = start(env={"REMORA_MODELS": str(ROOT / "build" / "models")}, **changes)
        eventually(lambda: (s := semantic_of(remora)) and (s["ready"] or s["mode"] == "off"), 20, "never loaded")
        return remora
    return starter


@pytest.fixture
def serving(start, provider):  # noqa: F811
    return start(cache=SERVE, embed=PATIENT)


def semantic_of(remora):
    answer = httpx.get(remora.admin + "/api/semantic", timeout=20)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    return answer.json()


def space_of(remora, name="default"):
    return next((n for n in semantic_of(remora)["namespaces"] if n["namespace"] == name), None)


def receipt_of(remora, answer):
    got = httpx.get(remora.admin + "/api/semantic/receipt", params={"id": answer.headers["x-remora-id"]}, timeout=20)
    assert got.status_code == 200, got.text
    return got.json()


def feedback(remora, answer, verdict, **more):
    identity = answer if isinstance(answer, str) else answer.headers["x-remora-id"]
    return httpx.post(remora.admin + "/api/feedback", json={"id": identity, "verdict": verdict, **more}, timeout=20)


def metric(remora, name, namespace="default"):
    return remora.metrics().get(f'{name}{{namespace="{namespace}"}}')


def only_if_cached(remora, text):
    return ask(remora, text, headers={"x-remora-cache": "only-if-cached"})


# ---- /api/semantic ----------------------------------------------------------------------------------------------------


def test_state_before_the_first_request(serving):
    state = semantic_of(serving)
    assert state["ready"] and state["mode"] == "serve" and state["max_error"] == 0.05 and state["model"] == "all-minilm-l6-v2"
    assert state["entries"] == 0 and state["namespaces"] == []
    assert metric(serving, "remora_semantic_served_total") == 0 and metric(serving, "remora_semantic_wrong_total") == 0


def test_state_of_what_was_served(serving):
    warm(serving, PASSWORD[:3])
    state, space = semantic_of(serving), space_of(serving)
    assert state["entries"] == 1 and state["partitions"] == 1 and state["bytes"] > 0
    assert space["requests"] == 3 and space["served"] == 2 and space["hit_share"] == pytest.approx(2 / 3)
    assert space["saved_usd"] == pytest.approx(2 * MISS_USD)
    assert 0 < space["expected_wrong"] < 1 and space["feedback"] == {"right": 0, "wrong": 0}
    assert len(space["guards"]) > 10
    assert all(count == 0 for count in space["guards"].values())
    # No audit yet: nothing is known but that no more than all hits are wrong.
    assert space["error"] == {"share_of": "requests", "estimate": None, "upper95": pytest.approx(2 / 3)}
    assert space["shadow"]["hits"] == 0 and space["shadow"]["error"] == 0 and space["shadow"]["error_upper95"] == 0


def test_audits_bound_the_error(start, provider):  # noqa: F811
    remora = start(cache=EVERYTHING_AUDITED, embed=PATIENT)
    for text in PASSWORD[:4]:
        assert cache_of(ask(remora, text)) == "MISS"
    space = eventually(lambda: (s := space_of(remora)) and s["audited"] >= 3 and s)
    assert space["served"] == 0 and space["audited_wrong"] == 0 and space["labels_right"] == space["labels"] > 0
    assert space["error"]["estimate"] == 0 and space["error"]["upper95"] == 0
    assert metric(remora, "remora_semantic_audited_total") == space["audited"]


def test_namespaces_are_told_apart(serving):
    named = {"headers": {"x-remora-cache-namespace": 'a "b"\\c'}}
    warm(serving, PASSWORD[:2])
    warm(serving, PASSWORD[:3], **named)
    assert [n["namespace"] for n in semantic_of(serving)["namespaces"]] == ['a "b"\\c', "default"]
    assert metric(serving, "remora_semantic_served_total") == 1
    assert metric(serving, "remora_semantic_served_total", 'a \\"b\\"\\\\c') == 2


def test_a_namespace_called_default_does_not_break_metrics(serving):
    warm(serving, PASSWORD[:2])
    warm(serving, PASSWORD[:2], headers={"x-remora-cache-namespace": "default"})
    lines = [line for line in httpx.get(serving.admin + "/metrics").text.splitlines()
             if line.startswith("remora_semantic_served_total")]
    assert lines == ['remora_semantic_served_total{namespace="default"} 2']


def test_off(start, provider):  # noqa: F811
    remora = start(embed=PATIENT)
    answer = ask(remora, PASSWORD[0])
    state = semantic_of(remora)
    assert state["mode"] == "off" and not state["ready"] and state["namespaces"] == []
    assert feedback(remora, answer, "wrong").status_code == 503
    assert httpx.get(remora.admin + "/api/semantic/receipt?id=1").status_code == 503
    assert "remora_semantic" not in httpx.get(remora.admin + "/metrics").text
    assert "semantic" not in json.loads(remora.run("report", "--json").stdout)


# ---- metrics ----------------------------------------------------------------------------------------------------------


def test_metrics(serving):
    warm(serving, PASSWORD[:3])
    ask(serving, "How do I not reset my password?")
    text = httpx.get(serving.admin + "/metrics").text
    sample = re.compile(r'^remora_semantic_[a-z0-9_]+(\{namespace="default"(,[a-z]+="\w+")?\})? [-+0-9.e]+$')
    semantic = [line for line in text.splitlines() if line.startswith("remora_semantic_")]
    assert all(sample.match(line) for line in semantic), semantic
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(families) == len(set(families))
    assert {line.split("{")[0].split()[0] for line in semantic} <= set(families)
    values = {name: metric(serving, f"remora_semantic_{name}") for name in (
        "requests_total", "served_total", "wrong_total", "audited_total", "vetoed_total", "quarantined_total",
        "unconfirmed_total", "over_budget_total", "shadow_hits_total", "shadow_wrong_total", "saved_usd_total",
        "shadow_saved_usd_total", "error_upper95", "shadow_error_upper95")}
    assert values["requests_total"] == 4 and values["served_total"] == 2
    assert values["saved_usd_total"] == pytest.approx(2 * MISS_USD)
    assert 0 < values["error_upper95"] <= 1
    assert all(values[name] == 0 for name in ("wrong_total", "audited_total", "shadow_hits_total", "shadow_saved_usd_total"))
    metrics = serving.metrics()
    assert metrics["remora_semantic_entries"] >= 1 and metrics["remora_semantic_partitions"] == 1
    assert metrics["remora_semantic_index_bytes"] > 0
    guards = {k: v for k, v in metrics.items() if k.startswith("remora_semantic_guard_vetoes_total")}
    assert (sum(guards.values()) >= values["vetoed_total"]) and all(guards.values())
    assert space_of(serving)["vetoed"] == values["vetoed_total"]


def test_a_veto_is_counted_by_guard(serving):
    """A guard stops what would else be served."""
    ask(serving, "Can I get a refund?")
    vetoed = ask(serving, "Can I not get a refund?")
    assert cache_of(vetoed) == "MISS"
    receipt, space = receipt_of(serving, vetoed), space_of(serving)
    assert receipt["verdict"] == "veto" and "negation" in [guard["name"] for guard in receipt["guards"]]
    assert receipt["likely"] <= receipt["limit"] < receipt["risk"]
    assert space["vetoed"] == 1 and space["guards"]["negation"] == 1
    assert metric(serving, "remora_semantic_vetoed_total") == 1
    assert serving.metrics()['remora_semantic_guard_vetoes_total{namespace="default",guard="negation"}'] == 1


# ---- receipts ---------------------------------------------------------------------------------------------------------


def test_receipt_of_a_hit(serving):
    first, hit = warm(serving, PASSWORD[:2])
    assert is_semantic(hit)
    receipt = receipt_of(serving, hit)
    assert receipt["id"] == hit.headers["x-remora-id"] and receipt["namespace"] == "default"
    assert receipt["verdict"] == "hit" and receipt["why"] and not receipt["shadow"] and receipt["max_error"] == 0.05
    assert receipt["similarity"] == pytest.approx(float(hit.headers["x-remora-similarity"]), abs=1e-3)
    assert 0 <= receipt["likely"] <= receipt["risk"] <= receipt["limit"] <= 1
    assert receipt["neighbours"][0] == {"id": receipt["entry"], "similarity": pytest.approx(receipt["similarity"])}
    assert receipt["features"]["similarity"] == pytest.approx(receipt["similarity"])
    assert len(receipt["features"]) > 10 and all(isinstance(v, (int, float)) for v in receipt["features"].values())
    assert receipt["told"] == [] and receipt["time"] > 1.5e9 and "key" not in receipt
    entry = httpx.get(serving.admin + "/api/cache/entry", params={"key": receipt["entry_key"]}).json()
    assert PASSWORD[0] in entry["request"] and entry["id"] == first.headers["x-remora-id"]


def test_receipt_of_a_miss(serving):
    [first] = warm(serving, PASSWORD[:1])
    receipt = receipt_of(serving, first)
    assert receipt["verdict"] == "miss" and receipt["entry"] is None and receipt["neighbours"] == []
    assert receipt["features"] == {} and receipt["guards"] == [] and receipt["similarity"] is None
    assert httpx.get(serving.admin + "/api/cache/entry", params={"key": receipt["key"]}).status_code == 200


def test_receipt_names_guards(serving):
    warm(serving, ["Is 15 a prime number of great renown?"])
    receipt = receipt_of(serving, ask(serving, "Is 17 a prime number of great renown?"))
    assert receipt["verdict"] in ("miss", "veto") and receipt["guards"]
    assert all(guard["name"] and guard["text"] for guard in receipt["guards"])


@pytest.mark.parametrize("query, status", [("", 400), ("?id=", 400), ("?id=%zz", 400), ("?id=" + "a" * 300, 400),
                                           ("?id=00000000000000000000000000000000", 404), ("?id=x", 404)])
def test_receipts_that_are_not_there(serving, query, status):
    answer = httpx.get(serving.admin + "/api/semantic/receipt" + query)
    assert answer.status_code == status and answer.json()["error"]["message"]


def test_an_exact_hit_has_no_receipt(serving):
    ask(serving, PASSWORD[0])
    again = ask(serving, PASSWORD[0])
    assert again.headers["x-remora-cache-kind"] == "exact"
    assert feedback(serving, again, "wrong").status_code == 404


# ---- feedback ---------------------------------------------------------------------------------------------------------


def test_a_wrong_hit_is_served_no_more(serving, provider):  # noqa: F811
    _, hit = warm(serving, PASSWORD[:2])
    assert is_semantic(hit)
    answer = feedback(serving, hit, "wrong", note='it\nsaid "password" é')
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["id"] == hit.headers["x-remora-id"] and told["verdict"] == "wrong" and told["applied"] is True
    assert told["effect"] == "quarantine" and told["text"]
    assert 'was called wrong: "it\\nsaid \\"password\\" é"' in serving.text()
    for text in PASSWORD[1:3]:
        assert only_if_cached(serving, text).status_code == 504
    receipt = receipt_of(serving, only_if_cached(serving, PASSWORD[2]))
    assert receipt["verdict"] in ("quarantine", "miss")
    assert receipt_of(serving, hit)["told"] == ["wrong"]
    assert metric(serving, "remora_semantic_wrong_total") == 1
    assert serving.metrics()['remora_semantic_feedback_total{namespace="default",verdict="wrong"}'] == 1
    space = space_of(serving)
    assert space["feedback"] == {"right": 0, "wrong": 1} and space["expected_wrong"] >= 1
    assert space["error"]["estimate"] == pytest.approx(1 / space["requests"])
    assert cache_of(ask(serving, PASSWORD[0])) == "HIT"  # the question it was given to


def test_the_same_word_counts_once(serving):
    _, hit = warm(serving, PASSWORD[:2])
    assert feedback(serving, hit, "wrong").json()["applied"] is True
    spent = space_of(serving)["expected_wrong"]
    for _ in range(3):
        again = feedback(serving, hit, "wrong")
        assert again.status_code == 200 and again.json()["applied"] is False and again.json()["effect"] == "again"
    assert space_of(serving)["feedback"]["wrong"] == 1 and space_of(serving)["expected_wrong"] == spent
    assert feedback(serving, hit, "right").json()["effect"] == "learnt"
    assert feedback(serving, hit, "right").json()["applied"] is False
    assert space_of(serving)["feedback"] == {"right": 1, "wrong": 1}
    assert receipt_of(serving, hit)["told"] == ["right", "wrong"]
    assert only_if_cached(serving, PASSWORD[2]).status_code == 504  # a word does not undo the other


def test_a_right_hit_goes_on(serving):
    _, hit = warm(serving, PASSWORD[:2])
    told = feedback(serving, hit, "right").json()
    assert told["applied"] is True and told["effect"] == "learnt"
    assert is_semantic(ask(serving, PASSWORD[1]))
    assert metric(serving, "remora_semantic_wrong_total") == 0
    assert serving.metrics()['remora_semantic_feedback_total{namespace="default",verdict="right"}'] == 1


def test_quarantine_outlives_the_process(start, provider):  # noqa: F811
    remora = start(cache=SERVE, embed=PATIENT)
    _, hit = warm(remora, PASSWORD[:2])
    assert feedback(remora, hit, "wrong").status_code == 200
    remora.stop()
    after = start(cache=SERVE, embed=PATIENT)
    assert semantic_of(after)["entries"] == 1
    assert only_if_cached(after, PASSWORD[1]).status_code == 504
    assert space_of(after)["feedback"]["wrong"] == 1
    assert feedback(after, hit, "wrong").status_code == 404  # receipts do not


def test_a_wrong_fresh_answer_goes(serving, provider):  # noqa: F811
    [fresh] = warm(serving, PASSWORD[:1])
    assert is_semantic(ask(serving, PASSWORD[1]))
    told = feedback(serving, fresh, "wrong").json()
    assert told["applied"] is True and told["effect"] == "deleted"
    assert only_if_cached(serving, PASSWORD[0]).status_code == 504 and only_if_cached(serving, PASSWORD[1]).status_code == 504
    assert provider.count == 1 and metric(serving, "remora_semantic_wrong_total") == 0
    eventually(lambda: semantic_of(serving)["entries"] == 0, 20, "the entry stayed")
    again = ask(serving, PASSWORD[0])
    assert cache_of(again) == "MISS" and feedback(serving, fresh, "wrong").json()["effect"] == "again"
    assert cache_of(ask(serving, PASSWORD[0])) == "HIT"  # that was of the other answer


def test_a_fresh_answer_that_is_right_or_not_kept(serving):
    [fresh] = warm(serving, PASSWORD[:1])
    told = feedback(serving, fresh, "right")
    assert told.status_code == 200 and told.json()["effect"] == "nothing" and told.json()["applied"] is False
    passing = ask(serving, PARIS[0], headers={"x-remora-cache": "no-store"})
    assert feedback(serving, passing, "wrong").json()["effect"] == "nothing"
    assert cache_of(ask(serving, PASSWORD[0])) == "HIT"


@pytest.mark.parametrize("body", [
    b"", b"nonsense", b"[]", b"{}", b'{"id":"x"}', b'{"verdict":"wrong"}', b'{"id":"","verdict":"wrong"}',
    b'{"id":1,"verdict":"wrong"}', b'{"id":"x","verdict":"bad"}', b'{"id":"x","verdict":true}', b'{"id":"x","verdict":"Wrong"}',
    b'{"id":"x","verdict":"wrong","note":1}', b'{"id":"x","verdict":"wrong","more":"1"}',
    b'{"id":"x","id":"y","verdict":"wrong"}', b'{"id":"x","verdict":"wrong","note":"' + b"n" * 4097 + b'"}'])
def test_feedback_that_is_refused(remora, body):
    answer = httpx.post(remora.admin + "/api/feedback", content=body)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_feedback_of_unknown_answers_and_long_notes(serving):
    _, hit = warm(serving, PASSWORD[:2])
    assert feedback(serving, "0" * 32, "wrong").status_code == 404
    assert feedback(serving, hit, "right", note="n" * 4096).status_code == 200
    [line] = [line for line in serving.text().splitlines() if "was called right" in line]
    assert len(line) < 500 and line.endswith('..."')


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
                                     {"host": "evil.example"}])
def test_pages_of_others_say_nothing(serving, headers):
    _, hit = warm(serving, PASSWORD[:2])
    body = {"id": hit.headers["x-remora-id"], "verdict": "wrong"}
    assert httpx.post(serving.admin + "/api/feedback", json=body, headers=headers).status_code == 403
    assert is_semantic(ask(serving, PASSWORD[1]))
    assert httpx.get(serving.admin + "/api/feedback").status_code == 405


# ---- shadow -----------------------------------------------------------------------------------------------------------


def ask_in_shadow(remora, texts):
    """One after the other is learnt from: decisions do not hold the caller up there."""
    answers = []
    for text in texts:
        answers.append(ask(remora, text))
        assert cache_of(answers[-1]) == "MISS"
        eventually(lambda: semantic_of(remora)["entries"] == len(answers), 20, "no entry was made")
    return answers


@pytest.fixture
def shadow(start, provider):  # noqa: F811
    remora = start(cache=SHADOW, embed=PATIENT)
    ask_in_shadow(remora, PASSWORD + PARIS)
    return remora


def test_shadow_says_what_serving_would_have_done(shadow):
    space = eventually(lambda: (s := space_of(shadow)) and s["shadow"]["hits"] >= 3 and s)
    seen = space["shadow"]
    assert semantic_of(shadow)["mode"] == "shadow" and space["served"] == 0 and space["saved_usd"] == 0
    assert seen["right"] == seen["hits"] and seen["wrong"] == 0 and seen["unknown"] == 0
    assert seen["hit_share"] == pytest.approx(seen["hits"] / space["requests"])
    assert seen["error"] == 0 and 0 < seen["error_upper95"] < seen["hit_share"]
    assert seen["saved_usd"] == pytest.approx(seen["hits"] * MISS_USD)
    assert metric(shadow, "remora_semantic_shadow_hits_total") == seen["hits"]
    assert metric(shadow, "remora_semantic_shadow_saved_usd_total") == pytest.approx(seen["saved_usd"])
    assert metric(shadow, "remora_semantic_shadow_error_upper95") == pytest.approx(seen["error_upper95"])
    assert metric(shadow, "remora_semantic_served_total") == 0


def test_a_wrong_shadow_hit_is_seen(start, upstream):
    said = []

    def script(request, answer):
        said.append(f"word{len(said)}")  # each answer is another one
        answer.whole({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1-mini",
                      "choices": [{"index": 0, "message": {"role": "assistant", "content": said[-1]}, "finish_reason": "stop"}],
                      "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}})
    upstream.script = script
    remora = start(cache=SHADOW, embed=PATIENT)
    first, second = ask_in_shadow(remora, PASSWORD[:2])
    assert content_of(first) != content_of(second)
    space = eventually(lambda: (s := space_of(remora)) and s["shadow"]["hits"] and s)
    assert space["shadow"]["wrong"] == 1 and space["shadow"]["error"] == pytest.approx(0.5)
    assert space["shadow"]["error_upper95"] == pytest.approx(0.5) and space["audited_wrong"] == 1
    assert metric(remora, "remora_semantic_shadow_wrong_total") == 1 and metric(remora, "remora_semantic_wrong_total") == 1
    receipt = receipt_of(remora, second)
    assert receipt["shadow"] and receipt["verdict"] == "audit" and "key" in receipt


# ---- report -----------------------------------------------------------------------------------------------------------


def test_report_of_what_was_served(serving):
    warm(serving, PASSWORD[:3])
    found = json.loads(serving.run("report", "--json").stdout)
    assert found["requests"] >= 0 and found["semantic"]["mode"] == "serve" and found["semantic"]["max_error"] == 0.05
    [row] = found["semantic"]["by_namespace"]
    assert row["namespace"] == "default" and row["mode"] == "serve" and row["requests"] == 3 and row["hits"] == 2
    assert row["hit_share"] == pytest.approx(2 / 3) and row["saved_usd"] == pytest.approx(2 * MISS_USD)
    assert row["error"]["share_of"] == "requests" and row["error"]["upper95"] > 0
    assert httpx.get(serving.admin + "/api/report").json()["semantic"] == found["semantic"]
    table = serving.run("report").stdout
    line = next(line for line in table.splitlines() if line.split()[:2] == ["default", "serve"])
    assert line.split() == ["default", "serve", "3", "2", "66.7", "?", "66.67", "$0.012000"]
    serving.stop()
    assert "semantic" not in json.loads(serving.run("report", "--json").stdout)
    assert "Semantic" not in serving.run("report").stdout


def test_report_in_shadow(shadow):
    eventually(lambda: space_of(shadow)["shadow"]["hits"] >= 3)
    [row] = json.loads(shadow.run("report", "--json").stdout)["semantic"]["by_namespace"]
    seen = space_of(shadow)["shadow"]
    assert row["mode"] == "shadow" and row["hits"] == seen["hits"] and row["saved_usd"] == pytest.approx(seen["saved_usd"])
    assert row["error"]["estimate"] == 0 and row["error"]["upper95"] == pytest.approx(seen["error_upper95"])
    table = shadow.run("report").stdout
    assert re.search(r"^  default +shadow +8 ", table, re.M) and "nothing of it was served" in table


def test_the_page_shows_it(serving):
    page = httpx.get(serving.admin + "/").text
    assert "/api/semantic" in page and "Semantic cache" in page


def test_a_stream_can_be_told_wrong_too(serving):
    ask(serving, PASSWORD[0], stream=True)
    hit = httpx.post(serving.base + "/chat/completions", json=chat_body(PASSWORD[1], stream=True),
                     headers={"authorization": "Bearer k"}, timeout=60)
    assert is_semantic(hit) and feedback(serving, hit, "wrong").json()["effect"] == "quarantine"
    assert only_if_cached(serving, PASSWORD[1]).status_code == 504
