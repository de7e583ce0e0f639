"""The index: flat search against a bare call of FAISS, in turn; recall, time and memory of one partition at a million entries.

Vectors and questions are made up (topics within fields, most of it in few directions; questions at 0.8 to 0.98 from an entry), the
same for each seed. A vector is read again from a mapped file, so that anonymous memory is the index's own."""
import json
import subprocess

from common import BIN, GATEWAY_CPU, ROOT, Bench, median

SIZES_FLAT = (1000, 5000, 20000)


def measure(bench, *arguments):
    command = ["taskset", "-c", GATEWAY_CPU, BIN / "remora-bench", "index", "--json", *arguments]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
    figures = json.loads(done.stdout)
    bench.loads.append(figures)
    return figures


def flat(bench):
    for entries in SIZES_FLAT:
        rounds = [measure(bench, "--flat", "--entries", entries, "--queries", 500, "--seed", 1 + number)
                  for number in range(bench.options.rounds)]
        bench.fact(f"flat, {entries} entries: p50 us of ours, of FAISS", [[r["p50_us"], r["faiss_p50_us"]] for r in rounds])
        bench.bar(f"flat search of {entries} over a bare FAISS call", median([r["p50_us"] / r["faiss_p50_us"] for r in rounds]), 1.3)


def large(bench, entries, judged):
    one = measure(bench, "--entries", entries, "--queries", bench.options.queries)
    bench.fact(f"{entries} entries", {name: one[name] for name in ("lists", "probes", "p50_us", "p99_us", "max_us", "cpu_p50_us",
                                                                  "cpu_p99_us", "recall", "near",
                                                                  "anonymous_mib", "fill_s", "add_us", "save_s", "load_s")})
    if judged:
        bench.bar(f"{entries} entries: search p99", one["p99_us"] / 1e3, 3, unit=" ms")
        bench.bar(f"{entries} entries: memory", one["anonymous_mib"], 700, unit=" MiB")
    bench.bar(f"{entries} entries: recall@1 for neighbours at 0.8 or nearer", one["recall"], 0.99, at_most=False)


def main():
    bench = Bench("bar_index", __doc__, [("--rounds", 3, "of each flat size"), ("--queries", 2000, "of the large ones"),
                                         ("--entries", 1000000, "of the largest")])
    revision = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True, check=False)
    flat(bench)
    large(bench, 100000, False)
    large(bench, bench.options.entries, True)
    bench.loads[0]["revision"] = revision.stdout.strip()
    bench.finish()


if __name__ == "__main__":
    main()
