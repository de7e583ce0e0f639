"""Bar 2: an exact hit against nginx `return 200` with the same body and headers, same core, in turn."""
import json
import time

from common import MODEL, Bench, outcomes, post

PROMPT = "What is a good name for a fish that rides along with a shark?"
SKIPPED = {"date", "content-length", "content-type", "connection", "server", "transfer-encoding", "keep-alive"}


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def return_200(headers, body):
    """nginx's answer with what Remora sent; its variables begin with a dollar, which must not stand in the text."""
    lines = [f"default_type {quoted(dict(headers).get('content-type', 'application/json'))};"]
    lines += [f"add_header {name} {quoted(value)};" for name, value in headers if name not in SKIPPED]
    text = body.decode()
    assert "$" not in text and all("$" not in line for line in lines)
    return " ".join([*lines, f"return 200 {quoted(text)};"])


def hit_of(port, body):
    """Asks until the answer comes from the cache: (headers, body)."""
    for _ in range(100):
        _, headers, content = post(port, "/v1/chat/completions", body,
                                   {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"})
        headers = [(name.lower(), value) for name, value in headers]
        if dict(headers).get("x-remora-cache") == "HIT":
            return headers, content
        time.sleep(0.05)
    raise SystemExit(f"no hit: {headers} {content}")


def main():
    bench = Bench("bar_hit", __doc__, [("--rounds", 7, "rounds of each comparison"), ("--duration", "3s", "of a round's half"),
                                       ("--tokens", 75, "length of the answer: about 1 KB")])
    mock = bench.mock("--ttft", "0", "--tps", "0", "--tokens", bench.options.tokens)
    remora, port, _ = bench.remora(mock)
    folder = bench.folder / "body.json"
    body = {"model": MODEL, "messages": [{"role": "system", "content": "You are terse. " * 54},
                                         {"role": "user", "content": PROMPT}], "temperature": 0}
    folder.write_text(json.dumps(body))
    headers, content = hit_of(port, folder.read_bytes())
    bench.fact("request bytes", folder.stat().st_size)
    bench.fact("answer bytes", len(content))
    bench.fact("headers", headers)
    worker, nginx = bench.nginx(return_200(headers, content))
    for connections in (64, 1):
        load = bench.load(port, "--vs", f"http://127.0.0.1:{nginx}/v1", "--same", "--body", folder, "--api-key", "sk-bench",
                          "--connections", connections, "--rounds", bench.options.rounds, "--duration", bench.options.duration,
                          "--warmup", "500ms", "--pid", remora.pid, "--vs-pid", worker)
        seen = outcomes(load)
        assert set(seen) == {"hit_exact"}, seen
        ratio = load["ratio"]
        medians = [target["median"] for target in load["targets"]]
        for name, metric in (("requests a second", "rps"), ("p50 us", "p50_us"), ("p99 us", "p99_us"),
                             ("CPU us a request", "target_cpu_us")):
            bench.fact(f"{connections} connections, {name}: Remora, nginx", [round(one[metric], 2) for one in medians])
        bench.fact(f"{connections} connections, CPU a request over nginx's", ratio["target_cpu_us"]["median_of_rounds"])
        if connections == 64:
            bench.bar("exact hit, 64 connections, throughput over nginx's", ratio["rps"]["median_of_rounds"], 0.70, False)
        else:
            bench.bar("exact hit, 1 connection, p50 over nginx's", ratio["p50_us"]["median_of_rounds"], 1.35)
    bench.finish()


if __name__ == "__main__":
    main()
