"""The semantic cache beside LiteLLM's, GPTCache and a plain threshold: the same questions in the same order, one at a time, each from
empty, with the same encoder. A hit is an answer for which the provider was not asked; it is wrong where it is another class's.

--data is a folder with stream_NAME.jsonl ({"q","cls"}) files. The provider answers with the class, at once, so a miss's latency is what
the gateway adds to it, its search and its embedding."""
import json
import os
import pathlib
import sys
import time

import semantic_gateways as gateways
from common import Bench, say
from embed import machine

FIXED = (0.80, 0.90, 0.95)
# LiteLLM's documented example; GPTCache's default, which is of 4 less the squared distance: a cosine of 0.6.
LITELLM_THRESHOLD, GPTCACHE_THRESHOLD = 0.8, 0.8
NOTES = """\
Dollars: each answer of the provider is {in_} tokens in and {out} out, ${usd:.4f}. "Wrong $" is the part of what was saved that paid for
wrong answers. The encoder is all-minilm-l6-v2, int8, in Remora, for all; peers get its vectors over HTTP as they are. Remora makes its
own and takes a mean fitted beforehand from them, so a threshold here is not on the scale of `remora eval`, whose best one is found among
those centred vectors. Remora's audits (2 % of hits) are misses here. LiteLLM: one worker, no callbacks; instead of a Qdrant server an
exact search in memory behind the endpoints that it calls (its best case); the next question waits until its answer is stored. GPTCache:
its server, threshold 0.8 of 4 less the squared distance, a cosine of 0.6. Plain threshold: exact, in the caller's process, no gateway's
time; the best one is chosen for each stream with hindsight over these rows, which nobody can do beforehand."""
COLUMNS = (("system", -34), ("stream", -11), ("requests", 8), ("hits", 6), ("share", 7), ("wrong", 6), ("error", 7), ("hit p50", 8),
           ("p99 ms", 7), ("miss p50", 9), ("p99 ms", 7), ("paid $", 8), ("saved $", 8), ("wrong $", 8))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else None


def rows_of(path, most):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(row["q"], row["cls"]) for row in rows][:most or None]


def replay(gateway, provider, rows):
    """What came of each row: hits and misses in ms, wrong hits, calls of the provider."""
    out = {"requests": len(rows), "hits_ms": [], "misses_ms": [], "wrong": 0, "calls": -provider.calls}
    for question, wanted in rows:
        before, begun = provider.calls, time.perf_counter()
        answer = gateway.ask(question)
        took_ms = (time.perf_counter() - begun) * 1000
        hit = provider.calls == before
        out["hits_ms" if hit else "misses_ms"].append(took_ms)
        if not hit:
            if answer != wanted:
                sys.exit(f"the provider's answer came back as {answer!r}, not {wanted!r}")
            gateway.settle()
        out["wrong"] += answer != wanted
    out["calls"] += provider.calls
    return out


def together(outs):
    total = {}
    for out in outs:
        for field, value in out.items():
            total[field] = total[field] + value if field in total else value
    return total


def measures(out):
    hits = len(out["hits_ms"])
    return {"requests": out["requests"], "hits": hits, "hit_share": hits / out["requests"], "wrong": out["wrong"],
            "error": out["wrong"] / out["requests"],
            **{f"{kind}_{name}_ms": percentile(out[f"{field}_ms"], share) for kind, field in (("hit", "hits"), ("miss", "misses"))
               for name, share in (("p50", 0.5), ("p99", 0.99))},
            "paid_usd": out["calls"] * gateways.CALL_USD, "saved_usd": hits * gateways.CALL_USD,
            "wrong_usd": out["wrong"] * gateways.CALL_USD}


def print_row(cells):
    print(" ".join(f"{cell:<{-width}}" if width < 0 else f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS)), flush=True)


def print_table(table):
    print_row([name for name, _ in COLUMNS])
    for system, streams in table.items():
        for stream, m in streams.items():
            times = ["-" if m[f"{name}_ms"] is None else f"{m[f'{name}_ms']:.2f}" for name in ("hit_p50", "hit_p99", "miss_p50", "miss_p99")]
            print_row([system, stream, m["requests"], m["hits"], f"{m['hit_share']:.1%}", m["wrong"], f"{m['error']:.2%}", *times,
                       *(f"{m[name]:.4f}" for name in ("paid_usd", "saved_usd", "wrong_usd"))])
    print(NOTES.format(in_=gateways.TOKENS_IN, out=gateways.TOKENS_OUT, usd=gateways.CALL_USD))


def remora_name(error):
    return f"Remora, max_error {error:.0%}"


def best_name(error):
    return f"best threshold by hindsight at {error:.0%}"


def systems(encoder, rows, errors):
    """(name, how it is started, its parameter)"""
    yield from ((remora_name(error), gateways.remora, error) for error in errors)
    yield f"LiteLLM, {LITELLM_THRESHOLD:.2f}", gateways.litellm, LITELLM_THRESHOLD
    yield f"GPTCache, {GPTCACHE_THRESHOLD:.2f}", gateways.gptcache, GPTCACHE_THRESHOLD
    yield from ((f"plain threshold, {threshold:.2f}", gateways.Threshold, threshold) for threshold in FIXED)
    for error, threshold in gateways.best_threshold(encoder, rows, errors).items():
        yield best_name(error), gateways.Threshold, 2.0 if threshold is None else threshold


def judge(bench, table, errors, streams):
    for error in errors:
        for stream in streams:
            own, best = table[remora_name(error)][stream], table[best_name(error)][stream]
            bench.bar(f"{stream} at {error:.0%}: Remora's wrong hits, share of requests", own["error"], error)
            bench.bar(f"{stream} at {error:.0%}: Remora's hits over the best fixed threshold's", own["hits"] / max(best["hits"], 1), 1,
                      at_most=False)
    for system, by_stream in table.items():
        for stream, m in by_stream.items():
            over = [f"{error:.0%}" for error in errors if m["error"] > error]
            if over and not system.startswith(("Remora", "best")):
                print(f"      {system}, {stream}: {m['error']:.2%} of the requests were answered wrongly, over {', '.join(over)}")


def main():
    bench = Bench("bar_semantic_peers", __doc__, [("--data", "", "folder of the data files; needed"), ("--rows", 1000, "of each stream; 0: all"),
                                                  ("--streams", "", "names, with commas; empty: all"),
                                                  ("--max-error", "0.01,0.02,0.05", "Remora's, with commas")])
    options = bench.options
    if not options.data:
        sys.exit("--data FOLDER is needed")
    paths = {path.stem.removeprefix("stream_"): path for path in sorted(pathlib.Path(options.data).glob("stream_*.jsonl"))}
    streams = options.streams.split(",") if options.streams else list(paths)
    if not streams or not set(streams) <= set(paths):
        sys.exit(f"--streams: the folder has {', '.join(paths) or 'none'}")
    errors = [float(error) for error in options.max_error.split(",")]
    os.environ.setdefault("REMORA_MODELS", str(gateways.ROOT / "build" / "models"))
    os.environ.update({"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "NO_PROXY": "*", "no_proxy": "*"})
    gateways.environment("gptcache")
    gateways.borrow(gateways.environment("litellm"))
    what, revision = machine()
    provider, outs = gateways.Provider(), {}
    encoder = gateways.encoder_of(bench, provider)
    for stream in streams:
        rows = rows_of(paths[stream], options.rows)
        provider.classes = dict(rows)
        for system, start, parameter in systems(encoder, rows, errors):
            begun = time.monotonic()
            gateway = start(bench, provider, encoder, stream, parameter)
            outs.setdefault(system, {})[stream] = replay(gateway, provider, rows)
            gateway.close()
            if start is gateways.Threshold:
                bench.facts[f"{stream}: {system}"] = parameter
            say(f"  {stream}: {system} ({parameter:g}), {time.monotonic() - begun:.0f} s")
    table = {system: {stream: measures(out) for stream, out in by.items()} for system, by in outs.items()}
    for system, by in outs.items():
        if len(streams) > 1:
            table[system]["all"] = measures(together(by.values()))
    print_table(table)
    bench.loads.append({"tool": "bar_semantic_peers", "revision": revision, "machine": what, "python": sys.version.split()[0], "table": table})
    judge(bench, table, errors, streams)
    bench.finish()


if __name__ == "__main__":
    main()
