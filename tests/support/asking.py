"""Small questions that the tests ask again and again."""
import json

from programs import eventually

MODEL = "gpt-4.1-mini"


def chat_body(text="What is a remora?", **more):
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def ask(http, body=None, path="/chat/completions", **headers):
    return http.post(path, json=body if body is not None else chat_body(), headers={k.replace("_", "-"): v for k, v in headers.items()})


def cache_of(answer):
    return answer.headers.get("x-remora-cache")


def content_of(answer):
    """The text that an answer says, in whichever form it came."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        return "".join(c["delta"].get("content") or "" for e in events_of(answer) for c in e["choices"])
    return answer.json()["choices"][0]["message"]["content"]


def events_of(answer):
    """The JSON events of a stream, without [DONE]."""
    data = [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]
    return [json.loads(d) for d in data if d != "[DONE]"]


def until_hit(call, seconds=15):
    """call() once it will be a hit: the writer thread commits a moment after the first answer has left. call takes headers as
    keywords, so that waiting asks the cache alone and the upstream is not asked again."""
    eventually(lambda: call(x_remora_cache="only-if-cached").status_code == 200, seconds, "the answer was never stored")
    answer = call()
    assert cache_of(answer) == "HIT", f"stored, yet answered as {cache_of(answer)}"
    return answer
