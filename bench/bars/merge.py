"""Bar 5: a thousand callers of one streaming request: asked upstream once, equal content, small lag.

The lag is by the kernel's receive stamps: when the bytes reached a caller's socket, not when the load generator, which is a
thousand callers on one core, came round to reading them. The lag by reading is printed beside it."""
from common import Bench, median, outcomes, post, stats


def main():
    bench = Bench("bar_merge", __doc__, [("--callers", 1000, "callers"), ("--rounds", 5, "rounds, each a new question"),
                                         ("--loops", 1, "of Remora")])
    mock = bench.mock("--ttft", "1s", "--tps", "25", "--tokens", "60", "--jitter", "0")
    _, port, _ = bench.remora(mock, loops=bench.options.loops)
    asked, wrong, lags, stamped, answered = [], 0, [], [], 0
    for number in range(bench.options.rounds):
        post(mock, "/stats/reset")
        load = bench.load(port, "--streams", bench.options.callers, "--count", bench.options.callers, "--same", "--check", "equal",
                          "--warmup", "0s", "--api-key", "sk-bench", "--extra", f'"seed":{number}')
        one = load["targets"][0]["rounds"][0]
        asked.append(stats(mock)["by_path"]["chat"])
        wrong += one["failed"]
        answered += one["ok"]
        lags.append(one["lag_p99_us"] / 1000)
        stamped.append(one["lag_stamped_share"])
        bench.fact(f"question {number + 1}",
                   {"upstream asked": asked[-1], "answered": one["ok"], "lag p50, p99, max us": [one["lag_p50_us"], one["lag_p99_us"], one["lag_max_us"]],
                    "by reading, p50, p99": [one["lag_read_p50_us"], one["lag_read_p99_us"]],
                    "share of events read together with one before": one["lag_shared_share"],
                    "outcomes": outcomes(load)})
    bench.bar("upstream asked, the most for one question", max(asked), 1)
    bench.bar("callers with another content or none", wrong, 0)
    bench.bar("callers answered", answered, bench.options.callers * bench.options.rounds, False)
    bench.bar("events with the kernel's stamp, the least share", min(stamped), 1, False)
    bench.bar("lag behind the first caller, p99", median(lags), 5, unit=" ms")
    bench.finish()


if __name__ == "__main__":
    main()
