"""SIGKILL at random moments under write load: every start is clean, and no wrong or torn answer is ever served."""
import concurrent.futures
import hashlib
import os
import random
import threading
import time

import httpx

from asking import cache_of, chat_body
from programs import Remora

KILLS = int(os.environ.get("REMORA_KILLS", "50"))
QUESTIONS = 400


def expected(question):
    """The one right answer to a question: a long text that only it has."""
    seed = hashlib.sha256(question.encode()).hexdigest()
    return (seed + " ") * (20 + int(seed[:2], 16))


def script(request, answer):
    body = request.json
    question = body["messages"][-1]["content"]
    answer.whole({"id": "c", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [
        {"index": 0, "message": {"role": "assistant", "content": expected(question)}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})


def load(remora, stop, seed, tally):
    chance = random.Random(seed)
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer k"}, timeout=20) as http:
        while not stop.is_set():
            question = f"question {chance.randrange(QUESTIONS)}"
            try:
                answer = http.post("/chat/completions", json=chat_body(question))
            except httpx.HTTPError:
                if stop.is_set():
                    return
                time.sleep(0.01)
                continue
            said = answer.json()["choices"][0]["message"]["content"]
            assert said == expected(question), f"wrong answer to {question}, {cache_of(answer)}"
            tally[cache_of(answer)] = tally.get(cache_of(answer), 0) + 1


def test_killed_many_times(tmp_path, upstream):
    upstream.script = script
    chance, tally = random.Random(7), {}
    for turn in range(KILLS):
        remora = Remora(tmp_path, upstream.url)
        assert "set aside" not in remora.text().rpartition("ready")[0] or turn == 0, remora.text()[-2000:]
        stop = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            callers = [pool.submit(load, remora, stop, turn * 10 + n, tally) for n in range(3)]
            time.sleep(chance.uniform(0.05, 0.6))
            stop.set()
            remora.kill()
            for caller in callers:
                caller.result()
    last = Remora(tmp_path, upstream.url)
    with httpx.Client(base_url=last.base, headers={"authorization": "Bearer k"}, timeout=20) as http:
        hits = 0
        for number in range(QUESTIONS):
            answer = http.post("/chat/completions", json=chat_body(f"question {number}"))
            assert answer.json()["choices"][0]["message"]["content"] == expected(f"question {number}")
            hits += cache_of(answer) == "HIT"
    last.stop()
    assert hits > 0, "nothing of what was written before the kills can be read"
    print(f"{KILLS} kills, {tally}, {hits} of {QUESTIONS} still cached")
