"""Embeddings by a model inside Remora: the real openai SDK, the real model once, a tiny one for everything else."""
import base64
import concurrent.futures
import json
import math
import signal
import struct
import subprocess

import httpx
import openai
import pytest

import tiny_model
from programs import BIN, ROOT, eventually

TINY = "local/tiny"
REAL = "local/all-minilm-l6-v2"


@pytest.fixture
def models(tmp_path):
    tiny_model.write(tmp_path / "models" / "tiny")
    return tmp_path / "models"


@pytest.fixture
def remora(start, models):
    return start(env={"REMORA_MODELS": str(models)}, models=[{"name": TINY}])


@pytest.fixture
def sdk(remora):
    return openai.OpenAI(base_url=remora.base, api_key="sk-local", max_retries=0, timeout=120)


def length(vector):
    return math.sqrt(sum(x * x for x in vector))


def close(a, b, within=1e-5):
    return len(a) == len(b) and all(abs(x - y) <= within for x, y in zip(a, b))


def post(remora, timeout=120, **body):
    return httpx.post(remora.base + "/embeddings", json={"model": TINY, **body}, timeout=timeout,
                      headers={"authorization": "Bearer sk-local"})


def test_one_text(sdk, upstream):
    answer = sdk.embeddings.create(model=TINY, input="abc")
    assert answer.object == "list" and answer.model == TINY and answer.data[0].object == "embedding"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 5
    [one] = answer.data
    assert one.index == 0 and len(one.embedding) == 32 and math.isclose(length(one.embedding), 1, abs_tol=1e-5)
    assert upstream.requests == []


def test_same_vectors_in_every_form(sdk, remora):
    texts = ["a", "abcde " * 40, "edcba", "Ünknown ✓"]
    answer = sdk.embeddings.create(model=TINY, input=texts)  # the SDK asks for base64
    assert [one.index for one in answer.data] == [0, 1, 2, 3]
    assert answer.usage.prompt_tokens == 3 + 96 + 7 + 4  # the long one is cut to the model's positions
    floats = post(remora, input=texts, encoding_format="float").json()["data"]
    raw = post(remora, input=texts, encoding_format="base64").json()["data"]
    for one, number, packed in zip(answer.data, floats, raw):
        assert close(one.embedding, number["embedding"])
        assert close(struct.unpack("<32f", base64.b64decode(packed["embedding"])), number["embedding"], 1e-7)
    command = subprocess.run([BIN / "remora", "embed", "--model", remora.folder / "models" / "tiny"], text=True,
                             input="\n".join(texts) + "\n", capture_output=True, timeout=60, check=True)
    for line, number in zip(command.stdout.splitlines(), floats):
        assert close(json.loads(line), number["embedding"], 1e-4)


def test_dimensions(sdk):
    whole = sdk.embeddings.create(model=TINY, input="abc").data[0].embedding
    part = sdk.embeddings.create(model=TINY, input="abc", dimensions=8).data[0].embedding
    factor = 1 / length(whole[:8])
    assert close(part, [x * factor for x in whole[:8]])
    assert close(sdk.embeddings.create(model=TINY, input="abc", dimensions=32).data[0].embedding, whole)


@pytest.mark.parametrize("body,says", [
    ({}, "`input` is missing"),
    ({"input": None}, "`input` is missing"),
    ({"input": []}, "must not be empty"),
    ({"input": ""}, "empty text"),
    ({"input": ["a", ""]}, "empty text"),
    ({"input": [1, 2, 3]}, "token ids"),
    ({"input": [[1, 2], [3]]}, "token ids"),
    ({"input": {"text": "a"}}, "must be a text"),
    ({"input": "a", "dimensions": 0}, "from 1 to 32"),
    ({"input": "a", "dimensions": 33}, "from 1 to 32"),
    ({"input": "a", "dimensions": 1.5}, "from 1 to 32"),
    ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
])
def test_refused(remora, upstream, body, says):
    answer = post(remora, **body)
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["type"] == "invalid_request_error" and says in error["message"]
    assert upstream.requests == []


def test_most_texts_of_one_request(remora):
    answer = post(remora, input=["ab"] * 2048, encoding_format="float")
    assert answer.status_code == 200, answer.text[:500]
    data = answer.json()["data"]
    assert [one["index"] for one in data] == list(range(2048))
    assert all(close(one["embedding"], data[0]["embedding"]) for one in data)
    assert answer.json()["usage"]["prompt_tokens"] == 4 * 2048
    assert answer.headers["x-remora-model"] == TINY
    refused = post(remora, input=["ab"] * 2049)
    assert refused.status_code == 400 and "2048" in refused.json()["error"]["message"]


def test_cached_and_free(sdk, remora):
    raw = sdk.embeddings.with_raw_response
    first = raw.create(model=TINY, input="abc")
    assert first.headers["x-remora-cache"] == "MISS" and first.headers["x-remora-cost-usd"] == "0"
    hit = eventually(lambda: (got := raw.create(model=TINY, input="abc")).headers["x-remora-cache"] == "HIT" and got)
    assert hit.parse() == first.parse()
    assert remora.metric("remora_embed_texts_total") == 1
    assert remora.metric("remora_embed_seconds_count") == 1
    assert remora.metric("remora_upstream_requests_total") == 0
    assert remora.metric("remora_unpriced_total") == 0


def test_priced_where_the_catalogue_says_so(start, models):
    remora = start(env={"REMORA_MODELS": str(models)}, models=[{"name": TINY, "price": {"input": 2}}])
    assert post(remora, input="abc").headers["x-remora-cost-usd"] == "0.00001"


def test_many_at_once(remora):
    texts = ["".join("abcde"[(i * k) % 5] for k in range(1 + i % 60)) for i in range(64)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda t: post(remora, input=[t, "abc"]), texts))
    alone = post(remora, input="abc", encoding_format="float").json()["data"][0]["embedding"]
    for answer in answers:
        assert answer.status_code == 200 and close(answer.json()["data"][1]["embedding"], alone, 1e-4)


def test_only_embeddings(remora, upstream):
    answer = httpx.post(remora.base + "/chat/completions", timeout=60,
                        json={"model": TINY, "messages": [{"role": "user", "content": "abc"}]})
    assert answer.status_code == 400 and "POST /v1/embeddings" in answer.json()["error"]["message"]
    assert upstream.requests == []


def test_unlisted_model_goes_to_the_upstream(remora, upstream):
    post(remora, model="local/other", input="abc")
    assert len(upstream.requests) == 1


def test_damaged_model(start, models):
    weights = models / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    remora = start(env={"REMORA_MODELS": str(models)}, models=[{"name": "gpt-4.1-mini"}, {"name": TINY}])
    answer = post(remora, input="abc")
    assert answer.status_code == 503 and "could not be opened" in answer.json()["error"]["message"]
    assert "model.safetensors" in remora.text() and "cannot serve" in remora.text()
    assert httpx.post(remora.base + "/chat/completions", timeout=60, json={
        "model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "abc"}]}).status_code == 200


def check(folder, text, models):
    path = folder / "check.yaml"
    path.write_text(text)
    return subprocess.run([BIN / "remora", "check", "-c", path, "--offline"], capture_output=True, text=True, timeout=60,
                          env={"REMORA_MODELS": str(models)}, check=False)


def test_check_opens_models(tmp_path, models):
    text = "loops: 1\nmodels:\n  - {name: gpt-4.1-mini}\n  - name: local/tiny\ncache: {semantic: {model: tiny}}\n"
    assert check(tmp_path, text, models).returncode == 0
    weights = models / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    done = check(tmp_path, text, models)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert "check.yaml:4: models[1].name: " in first and "model.safetensors" in first
    assert "check.yaml:5: cache.semantic.model: " in second
    done = check(tmp_path, text.replace("tiny", "none"), models)
    assert done.returncode == 1 and "models/fetch none" in done.stderr
    assert check(tmp_path, "loops: 1\n", models).returncode == 0  # nobody named the default
    done = check(tmp_path, "models:\n  - {name: local/tiny, upstream: openai}\n", models)
    assert done.returncode == 1 and "2: models[0].upstream: local/tiny runs inside Remora" in done.stderr


def test_reload_adds_and_removes(remora, models, upstream):
    tiny_model.write(models / "more", hidden=64, seed=8)
    remora.write_config(models=[{"name": TINY}, {"name": "local/more"}])
    remora.signal(signal.SIGHUP)
    eventually(lambda: len(post(remora, model="local/more", input="abc", encoding_format="float")
                           .json()["data"][0]["embedding"]) == 64)
    assert post(remora, input="abcd").status_code == 200 and "local/tiny" in remora.text()
    assert remora.text().count("model local/tiny: 32 dimensions") == 1  # it stayed open
    before = len(upstream.requests)
    remora.write_config(models=[{"name": TINY}])
    remora.signal(signal.SIGHUP)
    eventually(lambda: post(remora, model="local/more", input="ab") and len(upstream.requests) > before)


def test_caller_leaves(remora):
    with pytest.raises(httpx.TimeoutException):
        httpx.post(remora.base + "/embeddings", json={"model": TINY, "input": ["abcde " * 30] * 2048}, timeout=0.05)
    assert post(remora, input="abc").status_code == 200
    eventually(lambda: remora.metric("remora_embed_waiting") == 0)


LONG = ["abcde " * 30] * 2048


def test_too_slow(start, models):
    remora = start(env={"REMORA_MODELS": str(models)}, models=[{"name": TINY}], timeouts={"first_byte": "10ms"})
    answer = post(remora, input=LONG)
    assert answer.status_code == 504 and answer.json()["error"]["message"]
    eventually(lambda: remora.metric("remora_embed_waiting") == 0)


def test_full_lane(remora):
    def ask(number):
        try:
            return post(remora, input=LONG, user=str(number), dimensions=number + 1, timeout=10)
        except httpx.TimeoutException:
            return None
    with concurrent.futures.ThreadPoolExecutor(14) as pool:
        refused = [a for a in pool.map(ask, range(14)) if a is not None and a.status_code != 200]
    assert refused and all(a.status_code == 503 and a.headers["retry-after"] == "1" for a in refused)
    assert "too much to do" in refused[0].json()["error"]["message"]
    eventually(lambda: remora.metric("remora_embed_waiting") == 0)
    assert remora.metric("remora_embed_refused_total") >= len(refused)
    assert post(remora, input="abc").status_code == 200


def test_real_model(start):
    remora = start(env={"REMORA_MODELS": str(ROOT / "build" / "models")}, models=[{"name": REAL}])
    sdk = openai.OpenAI(base_url=remora.base, api_key="sk-local", max_retries=0, timeout=120)
    answer = sdk.embeddings.create(model=REAL, input=["How do I reset my password?", "I forgot my password, what now?",
                                                      "The stock market fell."])
    a, b, c = (one.embedding for one in answer.data)
    assert len(a) == 384 and answer.usage.prompt_tokens == 26
    assert sum(x * y for x, y in zip(a, b)) > 0.6 > 0.3 > sum(x * y for x, y in zip(a, c))
