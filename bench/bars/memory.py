"""Bar 4: resident memory idle, with 2,000 concurrent streams, and over a soak of mixed traffic with callers who leave."""
import threading
import time

from common import Bench, median, memory_mib, outcomes, stats


class Watch(threading.Thread):
    """Memory of a process, sampled."""

    def __init__(self, pid, every=0.5):
        super().__init__(daemon=True)
        self.pid, self.every, self.samples, self.over = pid, every, [], threading.Event()
        self.start()

    def run(self):
        begun = time.monotonic()
        while not self.over.wait(self.every):
            self.samples.append((time.monotonic() - begun, memory_mib(self.pid)))

    def end(self):
        self.over.set()
        self.join()
        return self.samples


def slope(points):
    """Least squares: units of y a minute."""
    xs, ys = [x / 60 for x, _ in points], [y for _, y in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    below = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys)) / below if below else 0


def idle_and_streams(bench):
    mock = bench.mock("--ttft", "500ms", "--tps", "4", "--tokens", "60", name="slow")
    remora, port, _ = bench.remora(mock, name="streaming")
    time.sleep(2)
    bench.fact("idle", {name: round(value, 1) for name, value in memory_mib(remora.pid).items()})
    bench.bar("resident memory, idle", memory_mib(remora.pid)["VmRSS"], 24, unit=" MiB")
    watch = Watch(remora.pid, 0.1)
    bench.load(port, "--streams", 2000, "--repeat-share", 0, "--pad", 1024, "--stagger", "5s", "--duration", "15s", "--warmup", "0s",
               "--grace", "20s", "--api-key", "sk-bench")
    samples = watch.end()
    bench.fact("streams at once, as the upstream saw", stats(mock)["active_max"])
    bench.bar("concurrent streams reached", stats(mock)["active_max"], 2000, False)
    peak = max((one for _, one in samples), key=lambda one: one["VmRSS"])
    bench.fact("2,000 streams, peak", {name: round(value, 1) for name, value in peak.items()})
    bench.bar("resident memory, 2,000 streams, peak", peak["VmRSS"], 96, unit=" MiB")
    bench.stop(remora)


def soak(bench):
    mock = bench.mock("--ttft", "20ms", "--tps", "400", "--tokens", "40", "--error-rate", "0.005:429,0.005:500,0.002:reset",
                      name="mixed")
    remora, port, _ = bench.remora(mock, name="soaking")
    watch = Watch(remora.pid, 1)
    seconds = bench.options.soak
    load = bench.load(port, "--rate", bench.options.rate, "--connections", 400, "--duration", f"{seconds}s", "--warmup", "5s",
                      "--repeat-share", 0.7, "--paraphrase-share", 0.3, "--stream-share", 0.5, "--cancel-share", 0.2,
                      "--cancel-after", "100ms", "--pad", 1024, "--api-key", "sk-bench", "--failed-max", 0.05)
    points = [(at, one["RssAnon"]) for at, one in watch.end() if 5 + seconds * 0.2 < at < 5 + seconds]
    early = [y for x, y in points if x < 5 + seconds * 0.4]
    late = [y for x, y in points if x > 5 + seconds * 0.8]
    noise = max(1.0, 3 * median([abs(y - median(late)) for y in late]))
    bench.fact("requests", load["targets"][0]["rounds"][0]["requests"])
    bench.fact("outcomes", outcomes(load))
    bench.fact("upstream: cancelled", stats(mock)["cancelled"])
    bench.fact("anonymous memory by the minute, MiB",
               [round(median([y for x, y in points if int(x // 60) == minute]), 2)
                for minute in sorted({int(x // 60) for x, _ in points})])
    bench.fact("slope of anonymous memory, MiB a minute", round(slope(points), 4))
    bench.fact("anonymous memory, MiB: early, late", [round(median(early), 2), round(median(late), 2)])
    bench.fact("at the end", {name: round(value, 1) for name, value in memory_mib(remora.pid).items()})
    bench.bar(f"soak of {seconds} s, growth of anonymous memory (noise {noise:.2f} MiB)", median(late) - median(early), noise,
              unit=" MiB")
    bench.stop(remora)


def main():
    bench = Bench("bar_memory", __doc__, [("--soak", 600, "seconds of the soak"), ("--rate", 300, "requests a second of the soak")])
    idle_and_streams(bench)
    soak(bench)
    bench.finish()


if __name__ == "__main__":
    main()
