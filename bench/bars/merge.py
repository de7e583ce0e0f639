"""Bar 5: a thousand callers of one streaming request: asked upstream once, equal content, small lag.

The lag is by the kernel's receive stamps: when the bytes reached a caller's socket, not when the load generator, which is a
thousand callers on one core, came round to reading them. The lag by reading is printed beside it.

What the kernel alone takes is measured first: a bare loop of send() over as many connections, on the gateway's core, with the
receivers on the load's. On loopback each write does the receiver's half of TCP too, and for the first 16 segments of a connection
its acknowledgement at once, so that these take about twice as long as the others; they are what the p99 is made of.
"""
import os
import resource
import select
import socket
import time

from common import CORES, GATEWAY_CPU, LOAD_CPU, Bench, median, outcomes, post, stats

EVENTS, EVENT_SECONDS, EVENT_BYTES = 62, 0.04, 290


def cores_of(text):
    """{1, 3, 4} of "1,3-4"."""
    spans = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return {core for span in spans for core in range(span[0], span[-1] + 1)}


def write_events(peers):
    """How many us after the first peer's each other one's write was done."""
    lags = []
    for _ in range(EVENTS):
        time.sleep(EVENT_SECONDS)
        done = []
        for peer in peers:
            peer.send(b"x" * EVENT_BYTES)
            done.append(time.monotonic_ns())
        lags += [(one - done[0]) / 1000 for one in done[1:]]
    lags.sort()
    return [round(lags[len(lags) * share // 100]) for share in (50, 99)]


def read_all(port, callers):
    """In a child: reads until every connection ends."""
    os.sched_setaffinity(0, cores_of(LOAD_CPU))
    poll, open_ones = select.epoll(), {}
    for _ in range(callers):
        one = socket.create_connection(("127.0.0.1", port))
        open_ones[one.fileno()] = one
        poll.register(one, select.EPOLLIN)
    while open_ones:
        for fd, _ in poll.poll():
            if not open_ones[fd].recv(65536):
                poll.unregister(fd)
                open_ones.pop(fd).close()


def bare_floor(callers):
    """p50 and p99 lag in us of the plainest fan-out on one core."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        server.settimeout(60)
        child = os.fork()
        if child == 0:
            try:
                read_all(server.getsockname()[1], callers)
            finally:
                os._exit(0)
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores_of(GATEWAY_CPU))
        peers = [server.accept()[0] for _ in range(callers)]
        for peer in peers:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lags = write_events(peers)
        os.sched_setaffinity(0, cores)
        for peer in peers:
            peer.close()
        os.waitpid(child, 0)
    return lags


def main():
    bench = Bench("bar_merge", __doc__, [("--callers", 1000, "callers"), ("--rounds", 5, "rounds, each a new question"),
                                         ("--loops", 1, "of Remora, each with a core from the last down")])
    mock = bench.mock("--ttft", "1s", "--tps", "25", "--tokens", "60", "--jitter", "0")
    loops = bench.options.loops
    cpu = GATEWAY_CPU if loops == 1 else f"{max(0, CORES - loops)}-{CORES - 1}"
    bench.fact("bare send() loop on one core, lag p50, p99 us", bare_floor(bench.options.callers))
    _, port, _ = bench.remora(mock, loops=loops, cpu=cpu)
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
