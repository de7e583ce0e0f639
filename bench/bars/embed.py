"""The encoder: CPU time a text against ONNX Runtime on the same core, in turn; time to the first vector; resident memory.

The bars of speed are for a CPU with AVX-512, VNNI and AVX-512 BF16. Elsewhere they are measured the same, and each row says by which
kernels. --onnx is the published file (SHA-256 as in tests/golden/embed); without it models/fetch gets it."""
import hashlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import time
import venv

from common import BIN, GATEWAY_CPU, ROOT, Bench, median, memory_mib, say

MODEL, QUALITY = "all-minilm-l6-v2", "bge-small-en-v1.5"
MANIFEST = ROOT / "tests" / "golden" / "embed" / f"{MODEL}-onnx.manifest"
TEXTS = {8: 300, 16: 300, 64: 100, 256: 25}
# precision: by tokens, at most so much of ONNX Runtime's fp32; the kernels that the bars are for
BARS = {"fp32": ({16: 0.50, 64: 0.72, 256: 0.85}, "avx512"), "bf16": ({16: 0.26, 64: 0.42, 256: 0.55}, "avx512"),
        "int8": ({16: 0.15, 64: 0.24, 256: 0.33}, "vnni")}
MEMORY = {"int8": 60, "fp32": 120}


def peer_python():
    """A Python that has what is pinned."""
    folder, wanted = ROOT / "build" / "bench" / "venv", ROOT / "bench" / "requirements.txt"
    stamp = folder / ("." + hashlib.sha256(wanted.read_bytes()).hexdigest()[:16])
    python = folder / "bin" / "python"
    if not stamp.exists():
        say(f"installing {wanted.relative_to(ROOT)} into {folder.relative_to(ROOT)}")
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", wanted], check=True)
        stamp.touch()
    return python


def onnx_file(given):
    if not given:
        folder = ROOT / "build" / "bench" / f"{MODEL}-onnx"
        subprocess.run([ROOT / "models" / "fetch", MANIFEST, "--to", folder], check=True, stdout=sys.stderr)
        return folder / "model.onnx"
    wanted = next(line.split()[1] for line in MANIFEST.read_text().splitlines() if line.startswith("file "))
    found = hashlib.sha256(pathlib.Path(given).read_bytes()).hexdigest()
    if found != wanted:
        sys.exit(f"{given} has SHA-256 {found}, not {wanted}")
    return given


class Peer:
    def __init__(self, bench):
        command = ["taskset", "-c", GATEWAY_CPU, str(peer_python()), "-B", str(ROOT / "bench" / "bars" / "embed_peer.py"),
                   str(onnx_file(bench.options.onnx)), str(bench.folder)]
        with open(bench.folder / "peer.log", "wb") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        bench.children.append(self.child)
        bench.fact("peer", self.answer(bench))

    def answer(self, bench):
        line = self.child.stdout.readline()
        if not line:
            sys.exit("the peer ended:\n" + (bench.folder / "peer.log").read_text()[-3000:])
        return json.loads(line)

    def measure(self, bench, precision, tokens, texts):
        self.child.stdin.write(json.dumps({"precision": precision, "tokens": tokens, "texts": texts}).encode() + b"\n")
        self.child.stdin.flush()
        return self.answer(bench)


def ours(model, precision, tokens, texts):
    command = ["taskset", "-c", GATEWAY_CPU, BIN / "remora-bench", "embed", "--json", "--model", model, "--precision",
               precision, "--tokens", tokens, "--texts", texts]
    return json.loads(subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout)


def machine():
    """(what the machine is, the revision) as remora-bench load says it."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    revision = os.environ.get("REMORA_REVISION") or git.stdout.decode().strip() or "unknown"
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release()}, revision


def compare(bench, peer, tokens, bge):
    """Rounds in turn, A B C D, D C B A, and so on; the record of them."""
    texts, rounds = TEXTS[tokens], []
    makers = {name: lambda name=name: ours(MODEL, name, tokens, texts) for name in BARS}
    for name in ("fp32", "int8"):
        makers[f"peer {name}"] = lambda name=name: peer.measure(bench, name, tokens, texts)
    if bge:
        makers["bge int8"] = lambda: ours(QUALITY, "int8", tokens, texts)
    for number in range(bench.options.rounds):
        order = list(makers) if number % 2 == 0 else list(reversed(makers))
        rounds.append({name: makers[name]() for name in order})
        say(f"  {tokens} tokens, round {number + 1}: " + ", ".join(f"{n} {rounds[-1][n]['cpu_us']:.0f}" for n in makers))
    what, revision = machine()
    bench.loads.append({"tool": "bar_embed", "tokens": tokens, "texts": texts, "rounds": rounds, "machine": what, "revision": revision})
    return rounds


def ratio(rounds, a, b):
    return median([one[a]["cpu_us"] / one[b]["cpu_us"] for one in rounds])


def speed(bench, peer):
    has_bge = (ROOT / "build" / "models" / QUALITY).exists()
    if not has_bge:
        bench.fact(QUALITY, f"not measured: models/fetch {QUALITY} gets it")
    for tokens in TEXTS:
        rounds = compare(bench, peer, tokens, has_bge and tokens == 16)
        bench.fact(f"{tokens} tokens, CPU us a text, medians",
                   {name: round(median([one[name]["cpu_us"] for one in rounds]), 1) for name in rounds[0]})
        for precision, (bounds, kernels) in BARS.items():
            by = rounds[0][precision]["kernels"]
            mark = f"by {by}" if by == kernels else f"by {by}; the bar is for {kernels}, which this CPU has not got"
            value = ratio(rounds, precision, "peer fp32")
            if tokens not in bounds:
                bench.fact(f"{precision}, {tokens} tokens, over ONNX Runtime's fp32 ({mark})", round(value, 4))
                continue
            bench.bar(f"{precision}, {tokens} tokens, CPU a text over ONNX Runtime's fp32 ({mark})", value, bounds[tokens])
            if precision == "int8" and tokens < 256:
                bench.bar(f"int8, {tokens} tokens, over ONNX Runtime's own int8 ({mark})", ratio(rounds, "int8", "peer int8"), 0.5)
        if has_bge and tokens == 16:
            by = rounds[0]["bge int8"]["kernels"]
            bench.bar(f"{QUALITY}, int8, 16 tokens, over ONNX Runtime's fp32 MiniLM (by {by})",
                      ratio(rounds, "bge int8", "peer fp32"), 0.32)


def first_vector(bench):
    """From the program's start, so more than from the model's opening."""
    for precision, most in MEMORY.items():
        seconds, seen = [], {}
        for _ in range(bench.options.rounds + 1):
            begun = time.monotonic()
            command = ["taskset", "-c", GATEWAY_CPU, str(BIN / "remora"), "embed", "--model", MODEL, "--precision", precision]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as child:
                child.stdin.write(b"What is a good name for a fish that rides along with a shark?\n")
                child.stdin.flush()
                if not child.stdout.readline():
                    sys.exit(f"remora embed --precision {precision} gave no vector")
                seconds.append(time.monotonic() - begun)
                seen = memory_mib(child.pid)
                child.stdin.close()
        bench.fact(f"{precision}, memory after a vector, MiB", {name: round(value, 1) for name, value in seen.items()})
        bench.bar(f"{precision}, start of the program to the first vector", median(seconds[1:]) * 1000, 300, unit=" ms")
        bench.bar(f"{precision}, resident memory", seen["VmRSS"], most, unit=" MiB")


def main():
    bench = Bench("bar_embed", __doc__.splitlines()[0], [("--rounds", 7, "rounds of each comparison"),
                                                         ("--onnx", "", "the published ONNX file")])
    os.environ.setdefault("REMORA_MODELS", str(ROOT / "build" / "models"))
    if bench.options.rounds < 5:
        sys.exit("--rounds: at least 5")
    first_vector(bench)
    speed(bench, Peer(bench))
    bench.finish()


if __name__ == "__main__":
    main()
