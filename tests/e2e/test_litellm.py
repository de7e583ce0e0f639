"""A real LiteLLM proxy in front of Remora and behind it, with the files of deploy/litellm as they stand.

The provider is the scripted one, whose answers use 1000 + 500 tokens: at gpt-4.1-mini's price 0.0012 USD. LiteLLM's ledger is
its own response header, its standard logging payload and, for streams, usage.cost in the last chunk.
"""
import json
import sys

import httpx
import openai
import pytest

from asking import ask, chat_body, until_hit
from programs import BIN, ROOT, Program, eventually, free_port
from upstream import Upstream

CHAINS = ROOT / "deploy" / "litellm"
FULL_USD = 1000 * 0.40e-6 + 500 * 1.60e-6
KEY = "sk-test-master-key-0123456789"
LITELLM_START_SECONDS = 240

RECORDER = '''
import json, os
from litellm.integrations.custom_logger import CustomLogger

class Recorder(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        payload = kwargs.get("standard_logging_object") or {}
        with open(os.environ["SPEND_FILE"], "a") as out:
            out.write(json.dumps({"cost": payload.get("response_cost"), "type": payload.get("call_type"),
                                  "stream": payload.get("stream")}) + "\\n")

recorder = Recorder()
'''


class Chain:
    def __init__(self, folder, name, provider):
        self.provider = provider
        remora, admin, litellm = free_port(), free_port(), free_port()
        self.remora_url, self.admin, self.litellm_url = (f"http://127.0.0.1:{p}" for p in (remora, admin, litellm))
        in_front = name == "litellm-in-front"
        self.url = self.litellm_url if in_front else self.remora_url
        self.spend_file = folder / "spend.jsonl"
        env = {
            "REMORA_LISTEN": f"127.0.0.1:{remora}", "REMORA_ADMIN": f"127.0.0.1:{admin}", "REMORA_DATA": str(folder / "data"),
            "OPENAI_BASE_URL": provider.url + "/v1", "OPENAI_API_KEY": "sk-provider",
            "REMORA_BASE_URL": self.remora_url + "/v1", "REMORA_KEY": "sk-remora",
            "LITELLM_BASE_URL": self.litellm_url + "/v1", "LITELLM_MASTER_KEY": KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_LOG": "ERROR",
            "NO_PROXY": "127.0.0.1", "SPEND_FILE": str(self.spend_file), "ASAN_OPTIONS": "", "LD_PRELOAD": "",
        }
        # The file as it stands; the recorder is one more callback, in a folder that LiteLLM looks into.
        (folder / "spend_recorder.py").write_text(RECORDER, encoding="utf-8")
        config = (CHAINS / f"{name}.litellm.yaml").read_text(encoding="utf-8").replace(
            "  telemetry: false", "  telemetry: false\n  callbacks: spend_recorder.recorder")
        (folder / "litellm.yaml").write_text(config, encoding="utf-8")
        del env["ASAN_OPTIONS"], env["LD_PRELOAD"]
        self.programs = [
            Program("remora", [BIN / "remora", "serve", "-c", CHAINS / f"{name}.remora.yaml"], folder, env,
                    self.admin + "/readyz"),
            Program("litellm", [sys.executable.replace("python3", "litellm").rpartition("/")[0] + "/litellm", "--config",
                                folder / "litellm.yaml", "--host", "127.0.0.1", "--port", litellm, "--num_workers", "1"],
                    folder, env, self.litellm_url + "/health/liveliness", LITELLM_START_SECONDS)]
        self.http = httpx.Client(base_url=self.url + "/v1", headers={"authorization": f"Bearer {KEY}"}, timeout=120)
        self.sdk = openai.OpenAI(base_url=self.url + "/v1", api_key=KEY, timeout=120, max_retries=0)

    def spends(self):
        if not self.spend_file.exists():
            return []
        return [json.loads(line) for line in self.spend_file.read_text(encoding="utf-8").splitlines()]

    def spend_after(self, known):
        return eventually(lambda: self.spends()[known:], 30, "LiteLLM logged no spend")[0]["cost"]

    def stop(self):
        remora, litellm = self.programs
        litellm.stop(clean=False)
        remora.stop()


def chain_fixture(name):
    @pytest.fixture(scope="module")
    def fixture(tmp_path_factory):
        provider = Upstream()
        chain = Chain(tmp_path_factory.mktemp(name), name, provider)
        yield chain
        chain.stop()
        provider.close()
    return fixture


in_front = chain_fixture("litellm-in-front")
behind = chain_fixture("litellm-behind")


def through_litellm(answer, name):
    """A header of Remora's, as LiteLLM passes it on."""
    return answer.headers.get("llm_provider-" + name, answer.headers.get(name))


def test_chat_miss_is_billed_full_and_hit_nothing(in_front):
    asked, known = in_front.provider.count, len(in_front.spends())
    first = in_front.http.post("/chat/completions", json=chat_body("bill me"))
    assert first.status_code == 200, first.text
    assert through_litellm(first, "x-remora-cache") == "MISS"
    assert float(first.headers["x-litellm-response-cost"]) == pytest.approx(FULL_USD)
    assert in_front.spend_after(known) == pytest.approx(FULL_USD)

    def again():
        nonlocal known
        known = len(in_front.spends())
        answer = in_front.http.post("/chat/completions", json=chat_body("bill me"))
        return answer if through_litellm(answer, "x-remora-cache") == "HIT" else None
    hit = eventually(again)
    assert float(through_litellm(hit, "x-litellm-response-cost")) == 0
    assert in_front.spend_after(known) == 0
    assert hit.json()["choices"][0]["message"]["content"] == first.json()["choices"][0]["message"]["content"]
    assert in_front.provider.count == asked + 1


def test_responses_miss_full_hit_nothing(in_front):
    known = len(in_front.spends())
    body = {"model": "gpt-4.1-mini", "input": "bill me too", "store": False}
    first = in_front.http.post("/responses", json=body)
    assert first.status_code == 200, first.text
    assert float(first.headers["x-litellm-response-cost"]) == pytest.approx(FULL_USD)
    assert in_front.spend_after(known) == pytest.approx(FULL_USD)

    def again():
        nonlocal known
        known = len(in_front.spends())
        answer = in_front.http.post("/responses", json=body)
        return answer if through_litellm(answer, "x-remora-cache") == "HIT" else None
    hit = eventually(again)
    assert float(through_litellm(hit, "x-litellm-response-cost")) == 0
    assert in_front.spend_after(known) == 0


def streamed(sdk, text):
    return list(sdk.chat.completions.create(model="gpt-4.1-mini", messages=[{"role": "user", "content": text}], stream=True,
                                            stream_options={"include_usage": True}))


def test_streamed_miss_is_billed_by_usage_cost_and_hit_nothing(in_front):
    known, asked = len(in_front.spends()), in_front.provider.count
    chunks = streamed(in_front.sdk, "bill my stream")
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).endswith("end")
    assert in_front.spend_after(known) == pytest.approx(FULL_USD)

    def again():
        before = len(in_front.spends())
        streamed(in_front.sdk, "bill my stream")
        return in_front.provider.count == asked + 1 and (in_front.spend_after(before),)
    assert eventually(again) == (0,)


def test_streamed_responses(in_front):
    known = len(in_front.spends())
    with in_front.sdk.responses.stream(model="gpt-4.1-mini", input="bill my other stream", store=False) as stream:
        final = [e for e in stream][-1]
    assert final.type == "response.completed"
    assert in_front.spend_after(known) == pytest.approx(FULL_USD)


def test_remora_headers_pass_litellm(in_front):
    body = chat_body("headers through")
    answer = in_front.http.post("/chat/completions", json=body, headers={"x-remora-cache": "bypass"})
    assert through_litellm(answer, "x-remora-cache") == "BYPASS"


def test_users_of_litellm_are_kept_apart_from_the_provider_key(in_front):
    assert in_front.provider.last.header("authorization") == "Bearer sk-provider"


def test_litellm_health_is_passed_on(in_front):
    asked = in_front.provider.count
    for _ in range(2):
        answer = in_front.http.get(in_front.litellm_url + "/health", timeout=120)
        assert answer.status_code == 200 and answer.json()["unhealthy_count"] == 0, answer.text
    assert in_front.provider.count >= asked + 2


def test_behind_hits_never_reach_litellm(behind):
    asked = behind.provider.count
    first = behind.http.post("/chat/completions", json=chat_body("front"))
    assert first.status_code == 200, first.text
    assert first.headers["x-remora-cache"] == "MISS"
    hit = until_hit(lambda **h: ask(behind.http, chat_body("front"), **h))
    assert hit.json()["choices"] == first.json()["choices"] and behind.provider.count == asked + 1


def test_behind_the_cache_field_is_remoras(behind):
    behind.http.post("/chat/completions", json=chat_body("field"))
    until_hit(lambda **h: ask(behind.http, chat_body("field"), **h))
    asked = behind.provider.count
    answer = behind.http.post("/chat/completions", json=chat_body("field", cache={"no-cache": True}))
    assert answer.headers["x-remora-cache"] == "MISS" and behind.provider.count == asked + 1


def test_behind_a_stream(behind):
    chunks = streamed(behind.sdk, "stream behind")
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).endswith("end")


def test_behind_a_wrong_key_is_refused_by_litellm(behind):
    behind.http.post("/chat/completions", json=chat_body("secret"))
    answer = httpx.post(behind.url + "/v1/chat/completions", json=chat_body("secret"), timeout=60,
                        headers={"authorization": "Bearer sk-wrong"})
    assert answer.status_code in (400, 401, 403)
