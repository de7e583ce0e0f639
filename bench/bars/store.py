"""Bar 6: hits in a store of a million entries against a store of a thousand; start-up with the million."""
from common import Bench, median, outcomes

CACHE = {"semantic": {"mode": "off"}, "exact": {"mode": "serve", "ttl": "7d", "bytes_max": "16GiB"}}


def fill(bench, port, entries):
    """Asks every question once; the writer may drop under pressure, so a second round asks what was dropped again."""
    for _ in range(5):
        load = bench.load(port, "--keys", entries, "--sequential", "--count", entries, "--connections", 32, "--warmup", "0s",
                          "--api-key", "sk-bench")
        hits = outcomes(load).get("hit_exact", 0)
        bench.fact(f"{entries} asked, of these already there", hits)
        if hits >= entries * 0.999:
            return
    bench.fact("entries missing", entries - hits)


def main():
    bench = Bench("bar_store", __doc__, [("--entries", 1000000, "entries of the large store"), ("--rounds", 7, "rounds"),
                                         ("--duration", "2s", "of a round's half")])
    mock = bench.mock("--ttft", "0", "--tps", "0", "--tokens", "8")
    stores = {}
    for name, entries in (("small", 1000), ("large", bench.options.entries)):
        child, port, _ = bench.remora(mock, name=name, cache=CACHE)
        fill(bench, port, entries)
        bench.stop(child)
        child, port, ready = bench.remora(mock, name=name, cache=CACHE)
        bench.fact(f"{name} store: seconds from start to ready", round(ready, 3))
        stores[name] = (port, entries, ready)
    p99 = {"small": [], "large": []}
    for number in range(bench.options.rounds):
        for name in (("small", "large") if number % 2 == 0 else ("large", "small")):
            port, entries, _ = stores[name]
            load = bench.load(port, "--keys", entries, "--zipf", 0, "--connections", 8, "--duration", bench.options.duration,
                              "--warmup", "500ms", "--seed", number + 1, "--check", "mock", "--api-key", "sk-bench")
            seen = outcomes(load)
            assert seen.get("hit_exact", 0) >= 0.99 * sum(seen.values()), seen
            p99[name].append(load["targets"][0]["rounds"][0]["p99_us"])
    bench.fact("hit p99 us: small, large", [round(median(p99["small"]), 1), round(median(p99["large"]), 1)])
    bench.bar(f"hit p99 at {bench.options.entries} entries over that at 1000",
              median([large / small for large, small in zip(p99["large"], p99["small"])]), 1.5)
    bench.bar("start-up with the large store", stores["large"][2], 1, unit=" s")
    bench.finish()


if __name__ == "__main__":
    main()
