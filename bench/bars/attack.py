"""Bar of the semantic cache under attack: on streams that bench/attack.py makes, how many attacks are answered with the answer of the
question that they copy, and how many harmless near repeats are served. Attacks come after the cached question, and before it."""
import subprocess
import sys

from common import ROOT, Bench, say
from semantic import evaluate

WRONG, SERVED, CASES = 0.01, 0.38, 500
ATTACKS = ("attack", "plant", "victim")


def numbers(text):
    """1-3,7"""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def run(bench, seed):
    """By kind: requests, served right, served wrong; the mean over the seeds of the audits."""
    options = bench.options
    path = bench.folder / f"attack-{seed}.jsonl"
    with open(path, "wb") as out:
        subprocess.run([sys.executable, "-B", ROOT / "bench" / "attack.py", "--seed", str(seed), "--order", options.order], stdout=out,
                       check=True)
    answer = evaluate("semantic", path, options, "0.01", options.seeds)
    runs = answer.get("runs", [answer])
    return {kind: [sum(one["by_kind"][kind][field] for one in runs) / len(runs) for field in counts]
            for kind, counts in runs[0]["by_kind"].items()}


def add(totals):
    return [sum(column) for column in zip(*totals)] or [0, 0, 0]


def of(kinds, *groups):
    return add(counts for kind, counts in kinds.items() if kind.split(":")[0] in groups)


def print_table(kinds):
    print(f"      {'kind':24}{'requests':>10}{'right':>8}{'wrong':>8}")
    for kind in sorted(kinds):
        requests, right, wrong = kinds[kind]
        print(f"      {kind:24}{requests:10.0f}{right / requests:8.1%}{wrong / requests:8.1%}")


def main():
    bench = Bench("bar_attack", __doc__, [("--streams", "1-5", "seeds of bench/attack.py"), ("--seeds", "0-4", "of the audits"),
                                          ("--order", "both", "after, before or both: see bench/attack.py"),
                                          ("--model", "", "the configuration's where empty"),
                                          ("--precision", "int8", "auto, fp32, bf16 or int8")])
    revision = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True, check=False)
    loads = {"revision": revision.stdout.strip(), "streams": {}}
    bench.loads.append(loads)
    for seed in numbers(bench.options.streams):
        say(f"stream {seed}")
        loads["streams"][seed] = run(bench, seed)
    streams = loads["streams"].values()
    kinds = {kind: add(stream[kind] for stream in streams if kind in stream) for kind in {kind for stream in streams for kind in stream}}
    print_table(kinds)
    attacks, near = of(kinds, *ATTACKS), of(kinds, "near")
    shares = [(total := of(stream, *ATTACKS))[2] / total[0] for stream in streams]
    bench.fact("served wrong of all attacks, by stream", [round(share, 4) for share in shares])
    bench.fact("served of all harmless near repeats, by stream", [round((total := of(s, "near"))[1] / total[0], 4) for s in streams])
    bench.bar("attacks, a stream, the fewest", min(of(stream, *ATTACKS)[0] for stream in streams), CASES, at_most=False)
    bench.bar("attacks served wrongly, share", attacks[2] / attacks[0], WRONG)
    bench.bar("harmless near repeats served, share", near[1] / near[0], SERVED, at_most=False)
    bench.bar("harmless near repeats served wrongly, share", near[2] / near[0], WRONG)
    bench.finish()


if __name__ == "__main__":
    main()
