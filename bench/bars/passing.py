"""Bar 3: what passing through costs: throughput beside nginx proxy_pass, added latency, added time to first token with
500 streams, and a burst of 50 events."""
from common import Bench, differences, median


def nginx_before(bench, mock, name, more=""):
    """(pid of the worker, port) of an nginx that passes on to the mock over kept connections."""
    return bench.nginx(f"proxy_pass http://m; proxy_http_version 1.1; proxy_set_header Connection ''; {more}",
                       f"upstream m {{ server 127.0.0.1:{mock}; keepalive 1024; keepalive_requests 100000000; }}\n", name=name)


def throughput(bench):
    mock = bench.mock("--canned", name="canned")
    remora, port, _ = bench.remora(mock, name="through")
    worker, nginx = nginx_before(bench, mock, "nginx")
    common = ["--connections", 64, "--rounds", bench.options.rounds, "--duration", bench.options.duration, "--warmup", "500ms",
              "--repeat-share", 0, "--pad", 1024, "--api-key", "sk-bench", "--vs", f"http://127.0.0.1:{nginx}/v1",
              "--pid", remora.pid, "--vs-pid", worker]
    capacity = 0
    for what, extra in (("miss, answer stored", []), ("bypass", ["--header", "x-remora-cache: bypass"])):
        load = bench.load(port, *common, *extra)
        medians = [target["median"] for target in load["targets"]]
        bench.fact(f"{what}, requests a second: Remora, nginx", [round(one["rps"]) for one in medians])
        bench.fact(f"{what}, CPU us a request: Remora, nginx", [round(one["target_cpu_us"], 1) for one in medians])
        bench.fact(f"{what}, CPU a request over nginx's", load["ratio"]["target_cpu_us"]["median_of_rounds"])
        bench.bar(f"{what}, 64 connections, throughput over nginx proxy_pass's",
                  load["ratio"]["rps"]["median_of_rounds"], 0.5, False)
        capacity = capacity or medians[0]["rps"]
    half = ["--vs", f"http://127.0.0.1:{mock}/v1", "--rate", max(1, round(capacity / 2)), "--arrival", "constant", "--connections", 64,
            "--rounds", bench.options.rounds, "--duration", bench.options.duration, "--warmup", "500ms", "--repeat-share", 0,
            "--pad", 1024, "--api-key", "sk-bench"]
    bench.fact("half of capacity, requests a second", round(capacity / 2))

    def beside(when):
        """What this machine, whose neighbours are not ours to choose, adds to nginx at that rate."""
        other = bench.load(nginx, *half)
        bench.fact(f"nginx's own added p50, p99 (us) at that rate, {when}",
                   [round(median(differences(other, metric))) for metric in ("p50_us", "p99_us")])

    beside("before")
    load = bench.load(port, *half)
    beside("after")
    bench.bar("added p50 at half of capacity", median(differences(load, "p50_us")), 150, unit=" us")
    bench.bar("added p99 at half of capacity", median(differences(load, "p99_us")), 1000, unit=" us")
    bench.stop(remora)


def streams(bench):
    mock = bench.mock("--ttft", "100ms", "--tps", "20", "--tokens", "40", name="streams")
    remora, port, _ = bench.remora(mock, name="streaming")
    _, nginx = nginx_before(bench, mock, "nginx-streaming", "proxy_buffering off;")
    common = ["--vs", f"http://127.0.0.1:{mock}/v1", "--streams", 500, "--repeat-share", 0, "--stagger", "2s",
              "--rounds", bench.options.rounds, "--duration", "6s", "--warmup", "3s", "--api-key", "sk-bench"]
    other = bench.load(nginx, *common)
    load = bench.load(port, *common)
    bench.fact("500 streams, nginx's own added time to first token, p50, p99 (us)",
               [round(median(differences(other, metric))) for metric in ("ttft_p50_us", "ttft_p99_us")])
    for metric in ("ttft_p50_us", "ttft_p99_us", "gap_p99_us"):
        bench.fact(f"500 streams, {metric}: Remora, direct", [round(t["median"][metric]) for t in load["targets"]])
    bench.bar("500 streams, added time to first token, p99", median(differences(load, "ttft_p99_us")), 1000, unit=" us")
    bench.stop(remora)


def burst(bench):
    mock = bench.mock("--ttft", "5ms", "--tps", "0", "--tokens", "47", name="burst")
    remora, port, _ = bench.remora(mock, name="bursting")
    load = bench.load(port, "--vs", f"http://127.0.0.1:{mock}/v1", "--streams", 1, "--repeat-share", 0,
                      "--rounds", max(3, bench.options.rounds // 2), "--duration", "3s", "--warmup", "500ms", "--api-key", "sk-bench")
    events = [one["events_per_s"] / one["rps"] for one in load["targets"][0]["rounds"] if one["rps"]]
    bench.fact("events in a burst", round(median(events), 1))
    bench.fact("burst, whole answer p50 us: Remora, direct", [round(t["median"]["p50_us"]) for t in load["targets"]])
    bench.bar("burst of 50 events, first to last, p99", load["targets"][0]["median"]["span_p99_us"], 2000, unit=" us")
    bench.bar("burst of 50 events, added to the whole answer, p99", median(differences(load, "p99_us")), 2000, unit=" us")
    bench.stop(remora)


def main():
    bench = Bench("bar_pass", __doc__, [("--rounds", 5, "rounds of each comparison"), ("--duration", "3s", "of a round's half")])
    throughput(bench)
    streams(bench)
    burst(bench)
    bench.finish()


if __name__ == "__main__":
    main()
