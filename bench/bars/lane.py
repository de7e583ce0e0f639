"""Bar 4 of the encoder: two workers against one in turn; then ten times too many texts, each with a deadline."""
import json
import subprocess
import sys

from common import BIN, ROOT, Bench


def main():
    bench = Bench("bar_lane", __doc__, [("--rounds", 7, "of each, in turn"), ("--duration", "2s", "of a round"),
                                        ("--tokens", 16, "in a text"), ("--precision", "auto", "auto, fp32, bf16 or int8"),
                                        ("--deadline", "15ms", "of a text under overload")])
    options = bench.options
    command = [BIN / "remora-bench", "lane", "--rounds", options.rounds, "--duration", options.duration, "--tokens",
               options.tokens, "--precision", options.precision, "--deadline", options.deadline]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("the measurement failed")
    lane = json.loads(done.stdout)
    revision = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True, check=False)
    lane["revision"] = revision.stdout.strip()
    bench.loads.append(lane)
    over = lane["overload"]
    bench.fact("kernels", f"{lane['kernels']} {lane['precision']}")
    bench.fact("texts a second: one worker, two", [[r["one"], r["all"]] for r in lane["rounds"]])
    bench.fact("overload: submitted, refused at once, late, served",
               [over["submitted"], over["refused"], over["late"], over["served"]])
    bench.fact("overload: wait p50, p99, longest (ms)", [over["wait_p50_ms"], over["wait_p99_ms"], over["wait_max_ms"]])
    bench.bar("two workers over one, texts a second", lane["scaling"], 1.8, at_most=False)
    bench.bar("overload of ten times: callbacks lost", over["lost"], 0)
    # A text whose deadline has all but passed may be taken still: then it waits for the turn that holds it, no more.
    bench.bar("overload of ten times: wait p99 over the deadline", over["wait_p99_ms"] / over["deadline_ms"], 2)
    bench.finish()


if __name__ == "__main__":
    main()
