"""The semantic cache over HTTP, with the real model, LMDB and FAISS. The scripted provider answers by what is asked."""
import re
import signal

import httpx
import pytest

from asking import cache_of, chat_body, content_of, events_of
from programs import MISS_USD, ROOT, eventually

SERVE = {"semantic": {"mode": "serve", "max_error": 0.05, "audit": 0}}
SHADOW = {"semantic": {"mode": "shadow", "max_error": 0.05, "audit": 0}}
PATIENT = {"deadline": "10s"}  # a sanitized encoder on a busy machine

PASSWORD = ["How do I reset my password?", "how do I reset my password", "How can I reset my password?",
            "how do i reset my password please?", "How do I go about resetting my password?"]
PARIS = ["What is the capital of France?", "What's the capital of France?", "what is the capital city of France"]


def subject(request):
    """The class of a question, which is its answer: none of these words stands in two classes."""
    text = request.json["messages"][-1]["content"]
    text = text if isinstance(text, str) else " ".join(part.get("text", "") for part in text)
    for word in ("password", "France", "Spain", "invoice", "refund"):
        if word.lower() in text.lower():
            return word.lower()
    return "other " + re.sub(r"\W+", " ", text)


@pytest.fixture
def provider(upstream):
    def script(request, answer):
        said = subject(request)
        usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
        base = {"id": "c", "created": 1, "model": "gpt-4.1-mini"}
        if request.json.get("stream"):
            answer.begin_stream()
            chunk = {**base, "object": "chat.completion.chunk"}
            answer.event({**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": said}, "finish_reason": None}]})
            answer.event({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            answer.event({**chunk, "choices": [], "usage": usage})
            answer.event("[DONE]")
            answer.end_stream()
        else:
            answer.whole({**base, "object": "chat.completion", "usage": usage, "choices": [
                {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]})
    upstream.script = script
    return upstream


def ask(remora, text, key="k", **more):
    headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
    body = text if isinstance(text, dict) else chat_body(text, **more)
    return httpx.post(remora.base + "/chat/completions", json=body, headers=headers, timeout=60)


def kind(answer):
    return answer.headers.get("x-remora-cache-kind")


def is_semantic(answer):
    return cache_of(answer) == "HIT" and kind(answer) == "semantic"


def warm(remora, texts, **more):
    """Asks them in turn until the last is served semantically; the answers."""
    return [ask(remora, text, **more) for text in texts]


@pytest.fixture
def start(start):
    """With the models that the set-up fetched."""
    return lambda **changes: start(env={"REMORA_MODELS": str(ROOT / "build" / "models")}, **changes)


@pytest.fixture
def serving(start, provider):
    return start(cache=SERVE, embed=PATIENT)


def test_a_rephrased_question_is_served(serving, provider):
    first, second = warm(serving, PASSWORD[:2])
    assert cache_of(first) == "MISS" and first.json()["choices"][0]["message"]["content"] == "password"
    assert is_semantic(second), second.headers
    assert second.json()["choices"] == first.json()["choices"]
    assert 0.9 < float(second.headers["x-remora-similarity"]) <= 1
    assert float(second.headers["x-remora-cost-usd"]) == 0
    assert float(second.headers["x-remora-saved-usd"]) == pytest.approx(MISS_USD)
    assert float(second.headers["x-litellm-response-cost"]) == 0 and int(second.headers["age"]) >= 0
    assert provider.count == 1
    again = ask(serving, PASSWORD[0])
    assert cache_of(again) == "HIT" and kind(again) == "exact" and "x-remora-similarity" not in again.headers
    assert serving.metric("remora_faults_total") == 0


@pytest.mark.parametrize("first, second", [(False, True), (True, False), (True, True)])
def test_in_the_form_that_is_asked_for(serving, first, second):
    ask(serving, PASSWORD[0], stream=first)
    answer = ask(serving, PASSWORD[1], stream=second)
    assert is_semantic(answer) and content_of(answer) == "password"
    if second:
        assert answer.headers["content-type"].startswith("text/event-stream") and events_of(answer)


def test_another_question_is_not_served(serving, provider):
    for text in ("What is the capital of France?", "What is the capital of Spain?", "Where do I find my invoice?",
                 "How do I get a refund?", "How do I not get a refund?"):
        assert cache_of(ask(serving, text)) == "MISS"
    assert provider.count == 5


def conversation(*turns, system=None):
    messages = [{"role": "system", "content": system}] if system else []
    for index, turn in enumerate(turns):
        messages.append({"role": "assistant" if index % 2 else "user", "content": turn})
    return {"model": "gpt-4.1-mini", "messages": messages}


def test_everything_but_the_last_text_must_be_equal(serving, provider):
    bodies = [chat_body(PASSWORD[0]), {**chat_body(PASSWORD[1]), "temperature": 0.5}, {**chat_body(PASSWORD[1]), "model": "gpt-4o-mini"},
              conversation(PASSWORD[1], system="You are terse."), conversation("Hello", "Hi!", PASSWORD[1]),
              conversation("Good morning", "Hi!", PASSWORD[1]), {**chat_body(PASSWORD[1]), "max_tokens": 50},
              {**chat_body(PASSWORD[1]), "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}]
    for body in bodies:
        assert cache_of(ask(serving, body)) == "MISS", body
    assert provider.count == len(bodies)
    assert is_semantic(ask(serving, conversation("Hello", "Hi!", PASSWORD[0])))


def test_scopes_and_namespaces_are_apart(serving, provider):
    ask(serving, PASSWORD[0])
    assert cache_of(ask(serving, PASSWORD[1], key="another")) == "MISS"
    assert cache_of(ask(serving, PASSWORD[1], headers={"x-remora-cache-namespace": "n"})) == "MISS"
    assert is_semantic(ask(serving, PASSWORD[1])) and provider.count == 3


@pytest.mark.parametrize("headers, served", [
    ({"x-remora-max-error": "0"}, False), ({"x-remora-max-error": "0.5"}, True), ({"x-remora-cache": "no-cache"}, False),
    ({"x-remora-cache": "bypass"}, False), ({"x-remora-cache": "no-store"}, True), ({"cache-control": "max-age=60"}, True)])
def test_what_the_caller_asks_for(serving, headers, served):
    ask(serving, PASSWORD[0])
    assert is_semantic(ask(serving, PASSWORD[1], headers=headers)) == served


def test_only_if_cached(serving, provider):
    missing = ask(serving, PASSWORD[1], headers={"x-remora-cache": "only-if-cached"})
    assert missing.status_code == 504 and provider.count == 0
    ask(serving, PASSWORD[0])
    assert is_semantic(ask(serving, PASSWORD[1], headers={"x-remora-cache": "only-if-cached"}))


def test_shadow_serves_nothing_and_measures(start, provider):
    remora = start(cache=SHADOW, embed=PATIENT)
    for text in PASSWORD:
        assert cache_of(ask(remora, text)) == "MISS"
    assert provider.count == len(PASSWORD)
    eventually(lambda: remora.metric("remora_embed_texts_total") == len(PASSWORD), 20, "not all were embedded")


def test_no_store_no_entry(serving, provider):
    ask(serving, PASSWORD[0], headers={"x-remora-cache": "no-store"})
    assert cache_of(ask(serving, PASSWORD[1])) == "MISS"


def test_what_is_purged_is_not_served(serving, provider):
    ask(serving, PASSWORD[0])
    assert is_semantic(ask(serving, PASSWORD[1]))
    serving.run("cache", "purge", "--all")
    assert cache_of(ask(serving, PASSWORD[1])) == "MISS"


def test_entries_outlive_the_process(start, provider):
    remora = start(cache=SERVE, embed=PATIENT)
    ask(remora, PASSWORD[0])
    remora.stop()
    after = start(cache=SERVE, embed=PATIENT)
    assert after.config["data"] == remora.config["data"]
    served = []
    eventually(lambda: served.append(ask(after, PASSWORD[len(served) % 2 + 1])) or is_semantic(served[-1]), 20,
               "the entry was lost")
    assert provider.count <= len(served)


def test_entries_outlive_a_kill(start, provider):
    remora = start(cache=SERVE, embed=PATIENT)
    ask(remora, PASSWORD[0])
    remora.run("cache", "stats")
    eventually(lambda: remora.metric("remora_store_entries") >= 1, 20, "never stored")
    remora.signal(signal.SIGKILL)
    remora.wait()
    remora.stop = lambda **_: None
    after = start(cache=SERVE, embed=PATIENT)
    eventually(lambda: is_semantic(ask(after, PASSWORD[1], headers={"x-remora-cache": "only-if-cached"})), 20,
               "the entry was lost")


def test_without_its_model_everything_goes_on(start, provider, tmp_path):
    remora = start(cache={"semantic": {"mode": "serve", "model": "no-such-model"}}, embed=PATIENT)
    assert "no-such-model" in remora.text() and "the semantic cache is off" in remora.text()
    for text in PASSWORD[:2]:
        assert cache_of(ask(remora, text)) == "MISS"


def test_a_reload_turns_it_on_and_off(start, provider):
    remora = start(embed=PATIENT)
    assert [cache_of(a) for a in warm(remora, PASSWORD[:2])] == ["MISS", "MISS"]
    remora.write_config(cache=SERVE)
    remora.signal(signal.SIGHUP)
    eventually(lambda: remora.text().count("configuration reloaded") == 1, 60, "not reloaded")
    eventually(lambda: ask(remora, PARIS[0]) and is_semantic(ask(remora, PARIS[1], headers={"x-remora-cache": "only-if-cached"})),
               20, "not served")
    remora.write_config(cache={"semantic": {"mode": "off"}})
    remora.signal(signal.SIGHUP)
    eventually(lambda: remora.text().count("configuration reloaded") == 2, 60, "not reloaded")
    assert cache_of(ask(remora, PARIS[2])) == "MISS"


def test_a_slow_encoder_costs_no_answer(start, provider):
    """Past the deadline the request goes on, and its text becomes an entry all the same."""
    remora = start(cache=SERVE, embed={"deadline": "100us"})
    assert cache_of(ask(remora, PASSWORD[0])) == "MISS"
    eventually(lambda: remora.metric("remora_embed_texts_total") >= 1, 20, "never embedded")
    remora.write_config(embed=PATIENT)
    remora.signal(signal.SIGHUP)
    eventually(lambda: "configuration reloaded" in remora.text(), 60, "not reloaded")
    assert is_semantic(ask(remora, PASSWORD[1]))


def test_a_model_of_the_catalogue_is_shared(start, provider):
    remora = start(cache=SERVE, embed=PATIENT, models=[{"name": "local/all-minilm-l6-v2"}])
    made = httpx.post(remora.base + "/embeddings", json={"model": "local/all-minilm-l6-v2", "input": "abc"}, timeout=60)
    assert made.status_code == 200
    ask(remora, PASSWORD[0])
    assert is_semantic(ask(remora, PASSWORD[1]))
    assert remora.text().count("dimensions,") == 1


def test_the_log_says_why(serving):
    warm(serving, PASSWORD[:2])
    eventually(lambda: any('"reason":"semantic"' in line for line in serving.access()), 10, "not logged")
    [line] = [line for line in serving.access() if '"reason":"semantic"' in line]
    assert '"semantic":"hit"' in line and '"similarity":' in line and '"risk":' in line


def say(answer, text):
    answer.whole({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1-mini",
                  "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
                  "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]})


@pytest.mark.parametrize("second, label", [
    ("You can reset your password under Settings: open Security and choose Reset password.", (1, 1)),
    ("Our offices are closed on Sundays; the museum next door is open all week.", (1, 0)),
    ("You can write to the help desk, and somebody there will look up what kind of password your account has.", (0, 0))],
    ids=["equal", "different", "unknown"])
def test_answers_in_other_words_are_compared_by_their_vectors(start, upstream, second, label):
    """What no text comparison can tell: a label where the two are near or far, none between."""
    texts = ["To reset your password, open Settings, choose Security and select Reset password.", second]
    upstream.script = lambda request, answer: say(answer, texts[upstream.count - 1])
    remora = start(cache=SHADOW, embed=PATIENT)
    ask(remora, PASSWORD[0])
    eventually(lambda: remora.metric("remora_semantic_entries") == 1, 20, "no entry")
    ask(remora, PASSWORD[1])

    def labels():
        [space] = httpx.get(remora.admin + "/api/semantic", timeout=20).json()["namespaces"]
        return space["labels"], space["labels_right"]
    eventually(lambda: remora.metric("remora_embed_texts_total") == 4, 20, "the answers were not embedded")
    eventually(lambda: labels() == label, 5, "no such label")


def test_what_nobody_waits_for_has_a_bound(start, provider):
    """More than the lane can do, in shadow: each request is answered, and memory stays."""
    remora = start(cache=SHADOW, embed={"workers": 1})
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer k"}, timeout=60) as http:
        for n in range(1200):
            assert http.post("/chat/completions", json=chat_body(f"question {n} " + "about the weather " * 100)).status_code == 200
    assert 1 <= remora.metric("remora_embed_waiting") <= 1024
