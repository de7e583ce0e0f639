"""Bars of the semantic cache: error and hits on streams of questions, beside the best fixed similarity that hindsight finds; what
is served of pairs. --data is a folder with stream_NAME.jsonl ({"q","cls"}) and pairs.jsonl ({"a","b","label","src"}) files."""
import json
import os
import pathlib
import statistics
import subprocess
import sys

from common import BIN, ROOT, Bench, say

ERRORS = (0.01, 0.02, 0.05)
# Share of hits at these errors.
HITS = {"qqp": (0.24, 0.31, 0.38), "banking77": (0.55, 0.64, 0.74), "clinc150": (0.40, 0.47, 0.58), "mixed": (0.15, 0.20, 0.28)}
# Pairs at 1 %: share of the unlike ones that is served, by the beginning of their source.
FALSE_HITS = {"traps": 0.06, "paws_qqp": 0.10, "checklist": 0.33}
RECALL = (("traps:near_repeat", "traps:paraphrase"), 0.38)


def evaluate(kind, path, options, errors, seeds):
    """The object that `remora eval` prints."""
    command = [BIN / "remora", "eval", kind, f"--{'stream' if kind == 'semantic' else 'pairs'}", path, "--max-error", errors, "--seed",
               seeds, "--precision", options.precision]
    if options.model:
        command += ["--model", options.model]
    env = {**os.environ, "REMORA_MODELS": os.environ.get("REMORA_MODELS", str(ROOT / "build" / "models"))}
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, env=env, check=False)
    if done.returncode != 0:
        sys.exit(f"the evaluation of {path} failed")
    return json.loads(done.stdout)


def judge_stream(bench, name, runs):
    for place, error in enumerate(ERRORS):
        own = [run for run in runs if run["max_error"] == error]
        hits = statistics.mean(run["hit_share"] for run in own)
        wrong = statistics.mean(run["error"] for run in own)
        fixed = own[0]["best_static"]
        bench.fact(f"{name} at {error:.0%}: hits, error, audits; best fixed similarity, its hits, its error",
                   [round(hits, 4), round(wrong, 5), statistics.mean(run["audits"] for run in own), fixed["threshold"],
                    fixed["hit_share"], fixed["error"]])
        bench.bar(f"{name} at {error:.0%}: error, mean of {len(own)} seeds", wrong, error)
        if name in HITS:
            bench.bar(f"{name} at {error:.0%}: share of hits", hits, HITS[name][place], at_most=False)
        bench.bar(f"{name} at {error:.0%}: share of hits over the best fixed similarity's", hits / max(fixed["hit_share"], 1e-9), 1,
                  at_most=False)


def judge_pairs(bench, by_source):
    def total(prefixes, field):
        return sum(counts[field] for source, counts in by_source.items() if source.startswith(prefixes))

    for prefix, bound in FALSE_HITS.items():
        unlike = total(prefix, "served_wrong") + total(prefix, "refused_wrong")
        bench.bar(f"pairs at 1%, {prefix}: false hits", total(prefix, "served_wrong") / max(unlike, 1), bound)
    prefixes, bound = RECALL
    alike = total(prefixes, "served_right") + total(prefixes, "refused_right")
    bench.bar("pairs at 1%: recall of paraphrases and near repeats", total(prefixes, "served_right") / max(alike, 1), bound, at_most=False)
    bench.fact("pairs: served right, served wrong, refused right, refused wrong",
               {source: list(counts.values()) for source, counts in by_source.items()})


def main():
    bench = Bench("bar_semantic", __doc__, [("--data", "", "folder of the data files; needed"), ("--seeds", "0-4", "of the audits"),
                                            ("--model", "", "the configuration's where empty"),
                                            ("--precision", "int8", "auto, fp32, bf16 or int8")])
    options = bench.options
    if not options.data:
        sys.exit("--data FOLDER is needed")
    data = pathlib.Path(options.data)
    revision = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True, check=False)
    loads = {"revision": revision.stdout.strip(), "streams": {}}
    bench.loads.append(loads)
    for path in sorted(data.glob("stream_*.jsonl")):
        name = path.stem.removeprefix("stream_")
        say(f"stream {name}")
        loads["streams"][name] = evaluate("semantic", path, options, ",".join(map(str, ERRORS)), options.seeds)["runs"]
        judge_stream(bench, name, loads["streams"][name])
    if (data / "pairs.jsonl").exists():
        say("pairs")
        loads["pairs"] = evaluate("pairs", data / "pairs.jsonl", options, "0.01", "0")["by_src"]
        judge_pairs(bench, loads["pairs"])
    bench.finish()


if __name__ == "__main__":
    main()
