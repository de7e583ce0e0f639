"""10,000 random pairs of requests. Where any part that has a meaning differs the second is never a hit; where only neutral
members, key order, white space or the spelling of numbers and strings differ it always is."""
import copy
import json
import random

import httpx
import pytest

from programs import BIN, Program, free_port

PAIRS = 10_000
CALLERS = ["sk-a", "sk-b", "sk-c"]
MODELS = ["gpt-4.1-mini", "gpt-4o-mini", "o4-mini"]
WORDS = "why does the cache of a river keep 1 or 2 old stones; naïve 日本 🦈 \"quoted\" \\ tab\t".split(" ")
NEUTRAL = {"user": ["u1", "u2"], "metadata": [{"a": "b"}, {"team": "x"}], "stream": [True, False], "safety_identifier": ["s1"],
           "prompt_cache_key": ["p1", "p2"]}


def text(rng):
    return " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))


def tool(rng):
    return {"type": "function", "function": {"name": rng.choice(["look", "ask"]), "parameters": {
        "type": "object", "properties": {rng.choice("xyz"): {"type": "number", "minimum": rng.choice([0, 1.5, -2])}}}}}


def request(rng, number):
    """Random, and like no other: its number stands in the question."""
    messages = [{"role": "system", "content": text(rng)}] if rng.random() < 0.5 else []
    for _ in range(rng.randint(0, 2)):
        messages += [{"role": "user", "content": text(rng)}, {"role": "assistant", "content": text(rng)}]
    body = {"model": rng.choice(MODELS), "messages": [*messages, {"role": "user", "content": f"{number}: {text(rng)}"}],
            "temperature": rng.choice([0, 0.5, 1]), "max_tokens": rng.choice([100, 200, 4096])}
    if rng.random() < 0.3:
        body["tools"] = [tool(rng) for _ in range(rng.randint(1, 2))]
    for name, values in (("top_p", [0.1, 1]), ("seed", [1, 2]), ("stop", [["a"], ["b", "c"]]), ("n", [1, 2]),
                         ("presence_penalty", [0.25, -1])):
        if rng.random() < 0.25:
            body[name] = rng.choice(values)
    return body


# ---- changes without a meaning


def number_text(rng, value):
    if isinstance(value, int):
        return rng.choice([str(value), f"{value}.0", f"{value}e0", f"{value}.00E+0", f"{value}.0e-0"])
    short = repr(value)
    return short if "e" in short else rng.choice([short, short + "0", short + "e0"])


def string_text(rng, value):
    out = ""
    for char in value:
        plain = json.dumps(char, ensure_ascii=False)[1:-1]
        out += rng.choice([plain, plain, json.dumps(char)[1:-1], f"\\u{ord(char):04X}" if ord(char) < 0x10000 else plain])
    return f'"{out}"'


def spelled(rng, value):
    """The same JSON value in other bytes."""
    space = lambda: rng.choice(["", "", " ", "\n", "\t "])
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return number_text(rng, value)
    if isinstance(value, str):
        return string_text(rng, value)
    if isinstance(value, list):
        return "[" + ",".join(space() + spelled(rng, v) + space() for v in value) + "]"
    members = list(value.items())
    rng.shuffle(members)
    return "{" + ",".join(f"{space()}{string_text(rng, k)}{space()}:{space()}{spelled(rng, v)}{space()}" for k, v in members) + "}"


def same_meaning(rng, body):
    body = copy.deepcopy(body)
    for name, values in NEUTRAL.items():
        if rng.random() < 0.5:
            body[name] = rng.choice(values)
    return body


# ---- changes with one


def change(rng, body):
    """One part that has a meaning, changed as little as can be; and whose the request is now (None: the same caller)."""
    body = copy.deepcopy(body)
    kind = rng.randrange(12)
    last = body["messages"][-1]
    if kind == 0:
        body["model"] = rng.choice([m for m in MODELS if m != body["model"]])
    elif kind == 1:
        last["content"] += rng.choice([" ", ".", "\u200b", "e\u0301"])
    elif kind == 2:
        body["temperature"] += rng.choice([0.1, 1e-17 if body["temperature"] == 0 else 0.01])
    elif kind == 3:
        body["max_tokens"] += 1
    elif kind == 4:
        body["tools"] = [*body.get("tools", []), tool(rng)]
    elif kind == 5:
        body["messages"].insert(0, {"role": "system", "content": "Be brief."})
    elif kind == 6:
        body["messages"].insert(len(body["messages"]) - 1, {"role": "assistant", "content": "Earlier."})
    elif kind == 7:
        last["role"] = "developer"
    elif kind == 8:
        body["response_format"] = {"type": "json_object"}
    elif kind == 9:
        body["unknown_parameter_of_tomorrow"] = rng.choice([True, None, 0, ""])
    elif kind == 10:
        last["content"] = [{"type": "text", "text": last["content"]}]
    else:
        return body, rng.choice([c for c in CALLERS if c != "sk-a"])
    return body, None


def ask(http, text, caller):
    answer = http.post("/chat/completions", content=text.encode(), headers={
        "content-type": "application/json", "authorization": f"Bearer {caller}"})
    assert answer.status_code == 200, answer.text
    return answer.headers["x-remora-cache"]


@pytest.fixture
def quick_mock(tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    program = Program("mock", [BIN / "remora-bench", "mock", "--listen", url[7:], "--ttft", "0", "--tps", "0"], tmp_path,
                      ready_url=url + "/stats")
    yield url
    program.stop()


@pytest.mark.timeout(900)
def test_ten_thousand_pairs(start, quick_mock):
    rng = random.Random(7)
    remora = start(quick_mock, models=[])
    wrong, missed, counts = [], [], {True: 0, False: 0}
    with httpx.Client(base_url=remora.base, timeout=60) as http:
        for number in range(PAIRS):
            same = rng.random() < 0.5
            body, caller = request(rng, number), None
            assert ask(http, json.dumps(body), "sk-a") == "MISS"
            other, caller = (same_meaning(rng, body), None) if same else change(rng, body)
            respelled = spelled(rng, other)
            hit = ask(http, respelled, caller or "sk-a") == "HIT"
            counts[same] += 1
            if same and not hit:
                missed.append((body, respelled))
            if not same and hit:
                wrong.append((body, respelled, caller))
    print(f"pairs of one meaning: {counts[True]}, missed {len(missed)}; of two: {counts[False]}, wrong hits {len(wrong)}")
    assert not wrong and not missed, (wrong[:2], missed[:2])
