"""Bar: a whole semantic hit over HTTP, one request at a time, among 100,000 entries of one partition."""
import http.client
import json
import pathlib
import random
import signal
import sys
import time

from common import MODEL, Bench, get, median, outcomes, say

# Each is asked in the first wording, and measured in the others. 13 to 18 tokens with those that frame a text, 16 in the middle.
WORDINGS = ["How can I {} without calling support?", "how can i {} without calling support", "How could I {} without calling support?",
            "How can I {} without calling the support?"]
ACTIONS = ["reset my account password", "change the email on my account", "download last month's invoice", "cancel my monthly subscription",
           "add another user to my plan", "export all of my contacts", "turn off the weekly newsletter", "update my credit card details",
           "restore a deleted document", "move my data to another region", "rotate my API keys", "enable two factor login",
           "transfer the workspace to a colleague", "print a shipping label", "track a delayed parcel", "return a damaged keyboard",
           "upgrade the router firmware", "block an unknown caller", "share a private calendar", "merge two customer records"]
WORDS = [
    "amber anchor apple arrow autumn badge bamboo banner basket beacon berry bison blanket blossom bottle branch bridge bronze bucket butter "
    "cabin cactus candle canyon carpet castle cedar cherry circle clover cobalt comet copper coral cotton cradle crater crystal dagger daisy",
    "delta desert dragon eagle ember engine falcon feather fender ferry fiddle flame forest fossil galaxy garden garnet geyser ginger glacier "
    "granite grove hammer harbor hazel helmet heron hollow honey island ivory jacket jasmine jungle kernel kettle ladder lagoon lantern lemon"]
VERBS = "paint lift carry polish measure borrow repair collect weigh stack label rotate".split()


def filler(rng):
    first, second = (rng.choice(words.split()) for words in WORDS)
    third, fourth = (rng.choice(words.split()) for words in WORDS)
    return f"Why did they {rng.choice(VERBS)} the {first} {second} near the {third} {fourth} {rng.choice('first last twice again'.split())}?"


class Caller:
    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, text, **headers):
        body = json.dumps({"model": MODEL, "temperature": 0, "messages": [{"role": "user", "content": text}]})
        self.http.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json", "Authorization": "Bearer sk-bench", **headers})
        answer = self.http.getresponse()
        answer.read()
        return answer.getheader("x-remora-cache"), answer.getheader("x-remora-cache-kind")


def metric(admin, name):
    for line in get(admin, "/metrics")[1].decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return 0


def fill(port, admin, texts, piece=500):
    """No faster than they are embedded: what the lane has no room for becomes no entry. At an error of 0, for else a hundred thousand
    like questions would spend the budget that the measured ones need."""
    caller, told = Caller(port), time.monotonic()
    for begin in range(0, len(texts), piece):
        for text in texts[begin:begin + piece]:
            caller.ask(text, **{"x-remora-max-error": "0"})
        while metric(admin, "remora_embed_waiting") > piece / 2:
            time.sleep(0.02)
        if time.monotonic() - told > 20:
            told = time.monotonic()
            say(f"{begin + piece} of {len(texts)} are asked")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def settle(pid):
    """Until the slow work is done: a second of nearly nothing."""
    while True:
        before = cpu_s(pid)
        time.sleep(2)
        if cpu_s(pid) - before < 0.1:
            return


def main():
    bench = Bench("bar_semantic_hit", __doc__, [("--entries", 100000, "in the partition"), ("--rounds", 5, "of the load"),
                                                ("--duration", "5s", "of a round")])
    mock = bench.mock("--ttft", "0", "--tps", "0", "--tokens", 32)
    semantic = {"mode": "shadow", "max_error": 0.5, "audit": 0}
    remora, port, _ = bench.remora(mock, cache={"semantic": semantic}, embed={"precision": "int8", "deadline": "10s"})
    path = bench.folder / "remora.yaml"
    config = json.loads(path.read_text())
    admin = int(config["admin"].rpartition(":")[2])
    rng, texts = random.Random(1), set()
    while len(texts) < bench.options.entries:
        texts.add(filler(rng))
    begun = time.monotonic()
    fill(port, admin, [WORDINGS[0].format(action) for action in ACTIONS] + sorted(texts))
    settle(remora.pid)
    bench.fact("entries", metric(admin, "remora_semantic_entries"))
    bench.fact("entries a second while filling", round(bench.options.entries / (time.monotonic() - begun)))
    config["cache"]["semantic"] = {**semantic, "mode": "serve"}
    path.write_text(json.dumps(config))
    remora.send_signal(signal.SIGHUP)
    time.sleep(1)
    caller = Caller(port)
    asked = [wording.format(action) for wording in WORDINGS[1:] for action in ACTIONS]
    served = [text for text in asked if all(caller.ask(text) == ("HIT", "semantic") for _ in range(3))]
    say(f"{len(served)} of {len(asked)} are hits")
    bench.fact("wordings that are hits", f"{len(served)} of {len(asked)}")
    if not served:
        sys.exit("nothing was served")
    prompts = bench.folder / "prompts.txt"
    prompts.write_text("\n".join(served) + "\n")
    load = bench.load(port, "--connections", 1, "--prompts", prompts, "--zipf", 0, "--rounds", bench.options.rounds, "--duration",
                      bench.options.duration, "--warmup", "1s", "--api-key", "sk-bench", "--pid", remora.pid)
    seen = outcomes(load)
    bench.fact("outcomes", seen)
    share = seen.get("hit_semantic", 0) / max(sum(seen.values()), 1)
    rounds = load["targets"][0]["rounds"]
    bench.fact("CPU us a request", round(median([one["target_cpu_us"] for one in rounds]), 1))
    bench.bar("share of semantic hits", share, 0.99, at_most=False)
    bench.bar("semantic hit over HTTP, p50", median([one["p50_us"] for one in rounds]) / 1000, 2, unit=" ms")
    bench.bar("semantic hit over HTTP, p99", median([one["p99_us"] for one in rounds]) / 1000, 6, unit=" ms")
    bench.finish()


if __name__ == "__main__":
    main()
