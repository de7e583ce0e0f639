"""Bar: the semantic cache serves nobody across tenants, nor where earlier turns differ, however often it is tried. Each try is a
question that its own tenant's cache would answer, asked by another tenant, or after another conversation."""
import http.client
import json
import random
import threading
import time

from common import MODEL, Bench, say

QUESTIONS = [("How do I reset my password?", "How can I reset my password?"), ("Where do I find my invoice?", "Where can I find my invoice?"),
             ("How do I cancel my subscription?", "How can I cancel my subscription?"),
             ("What is the capital of France?", "What's the capital of France?")]
TURNS = ["Hello", "Good morning", "I am on the free plan.", "I am on the paid plan.", "My name is Ann.", "My name is Bob.", "Be brief.",
         "Use formal language."]


class Caller:
    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, text, key, turns=()):
        messages = [{"role": "assistant" if i % 2 else "user", "content": turn} for i, turn in enumerate(turns)]
        body = json.dumps({"model": MODEL, "temperature": 0, "messages": [*messages, {"role": "user", "content": text}]})
        self.http.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json", "Authorization": "Bearer " + key})
        answer = self.http.getresponse()
        answer.read()
        return answer.getheader("x-remora-cache") == "HIT"


def run(port, tries, callers=4):
    """tries: lists of arguments of ask; how many were hits."""
    hits = [0] * callers

    def work(which):
        caller = Caller(port)
        for one in tries[which::callers]:
            hits[which] += caller.ask(*one)
    threads = [threading.Thread(target=work, args=(which,)) for which in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(hits)


def main():
    bench = Bench("bar_semantic_scopes", __doc__, [("--tries", 100000, "by other tenants"), ("--conversations", 10000, "tries after other turns")])
    mock = bench.mock("--ttft", "0", "--tps", "0", "--tokens", 32)
    _, port, _ = bench.remora(mock, cache={"semantic": {"mode": "serve", "max_error": 0.5, "audit": 0}}, embed={"deadline": "10s"}, loops=2)
    rng, owner = random.Random(1), "sk-owner"
    caller = Caller(port)
    for first, second in QUESTIONS:
        caller.ask(first, owner)
        assert caller.ask(second, owner), "the owner itself is not served"
    begun = time.monotonic()
    others = [(rng.choice(QUESTIONS)[1], f"sk-other-{n}") for n in range(bench.options.tries)]
    bench.bar(f"hits in {len(others)} tries by as many other tenants", run(port, others), 0)
    say(f"{time.monotonic() - begun:.0f} s")
    caller = Caller(port)  # the first one's connection was idle for too long
    for first, _ in QUESTIONS:
        caller.ask(first, owner, ("Hello", "Hi, how can I help?"))
    talks = [(rng.choice(QUESTIONS)[1], owner, (f"{rng.choice(TURNS)} {n}", rng.choice(["Hi, how can I help?", "Sure.", "Yes?"])))
             for n in range(bench.options.conversations)]
    bench.bar(f"hits in {len(talks)} tries after other turns", run(port, talks), 0)
    assert caller.ask(QUESTIONS[0][1], owner, ("Hello", "Hi, how can I help?")), "the conversation itself is not served"
    bench.fact("the owner and the conversation itself are served", True)
    bench.finish()


if __name__ == "__main__":
    main()
