"""remora embed with the real model."""
import json
import math
import os
import subprocess

import pytest

from programs import BIN, ROOT

MODEL = "all-minilm-l6-v2"
BGE = "bge-small-en-v1.5"
# ONNX Runtime's fp32 vector of "hello world", its first entries.
HELLO = [-0.0344772, 0.0310232, 0.006735, 0.026109, -0.039362, -0.1603025, 0.066924, -0.0064415]
BOUNDS = {"fp32": 1e-5, "bf16": 0.01, "int8": 0.02}
# The bars of each format: mean and worst cosine.
BARS = [("fp32", 0.999999, 0.999999), ("bf16", 0.9999, 0.9999), ("int8", 0.998, 0.995)]
GOLDEN = ROOT / "tests" / "golden" / "embed"


def run(text, *arguments, ok=True):
    done = subprocess.run([BIN / "remora", "embed", *arguments], input=text, capture_output=True, timeout=60,
                          env={**os.environ, "REMORA_MODELS": str(ROOT / "build" / "models")}, check=False)
    if ok:
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]
    return done


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


@pytest.mark.parametrize("precision", BOUNDS)
def test_vectors(precision):
    vectors = run(b"hello world\nhello, world!\nThe stock market fell.\n", "--precision", precision)
    assert [len(one) for one in vectors] == [384] * 3
    for vector in vectors:
        assert math.isclose(cosine(vector, vector), 1, abs_tol=1e-5)
    assert all(abs(x - y) <= BOUNDS[precision] for x, y in zip(vectors[0], HELLO))
    assert cosine(vectors[0], vectors[1]) > 0.8 > 0.3 > cosine(vectors[0], vectors[2])


def test_tokens():
    ids = run(b"hello world\n\nlast, no newline", "--tokens")
    assert ids == [[101, 7592, 2088, 102], [101, 102], [101, 2197, 1010, 2053, 2047, 4179, 102]]


def test_cut(tmp_path):
    text = " ".join(["one"] * 300 + ["two"] * 300).encode()
    [head] = run(text, "--tokens")
    assert len(head) == 256 and set(head[1:-1]) == {2028}
    config = tmp_path / "remora.yaml"
    config.write_text("embed: {overflow: head_tail}\n")
    [both] = run(text, "--tokens", "-c", config)
    assert both == [101] + [2028] * 127 + [2048] * 127 + [102]
    [vector] = run(text)
    assert math.isclose(cosine(vector, vector), 1, abs_tol=1e-5)


def test_answers_each_line():
    """The answer comes before the next line is written."""
    with subprocess.Popen([BIN / "remora", "embed"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={**os.environ, "REMORA_MODELS": str(ROOT / "build" / "models")}) as child:
        for text in (b"one\n", b"\n", b"two\n"):
            child.stdin.write(text)
            child.stdin.flush()
            assert len(json.loads(child.stdout.readline())) == 384
        child.stdin.close()
        assert child.stdout.read() == b"" and child.wait(30) == 0


def test_mistakes(tmp_path):
    missing = run(b"", "--model", "no-such-model", ok=False)
    assert missing.returncode == 1 and b"models/fetch no-such-model" in missing.stderr
    (tmp_path / "config.json").write_text("{")
    damaged = run(b"", "--model", str(tmp_path), ok=False)
    assert damaged.returncode == 1 and b"config.json" in damaged.stderr
    for arguments in (["--precision", "fp64"], ["--nothing"], ["surplus"]):
        assert run(b"", *arguments, ok=False).returncode == 2
    assert b"usage" in run(b"", "--help", ok=False).stdout


def test_eval(tmp_path):
    """Cosines against vectors that another precision made."""
    texts, golden = tmp_path / "texts.txt", tmp_path / "golden.jsonl"
    lines = ["hello world", "", "What is the capital of France?", "Ελλάδα 漢字"]
    texts.write_text("".join(line + "\n" for line in lines))
    golden.write_text("".join(json.dumps(one) + "\n" for one in run(texts.read_bytes(), "--precision", "fp32")))

    def evaluate(*arguments):
        return subprocess.run([BIN / "remora", "eval", "embed", "--texts", texts, "--golden", golden, *arguments], check=False,
                              capture_output=True, timeout=60, env={**os.environ, "REMORA_MODELS": str(ROOT / "build" / "models")})

    for precision, least in (("fp32", 0.999999), ("bf16", 0.9999), ("int8", 0.995)):
        done = json.loads(evaluate("--precision", precision).stdout)
        assert done["texts"] == 4 and done["precision"] == precision
        assert least <= done["cosine"]["min"] <= done["cosine"]["mean"] <= 1.000001
    golden.write_text("[1, 2]\n")
    short = evaluate()
    assert short.returncode == 1 and b"line 1" in short.stderr
    assert run(b"", ok=True) == []
    assert subprocess.run([BIN / "remora", "eval", "nothing"], capture_output=True, check=False).returncode == 2


def has_word(text):
    return any(character.isalnum() for character in text.decode())


def golden_cosines(folder, model, precision, words=True, every=1):
    """Against the vectors of the reference, as tests/golden/embed_vectors.py made them; of `every` so many-th text, those with
    a letter or digit, or those without. None: there are none."""
    # With sanitizers all of them take minutes; tests/run has all without (embed-release).
    program = (BIN / "remora").read_bytes()
    skip = 10 if b"__tsan_init" in program or b"__asan_init" in program else 1
    texts = (GOLDEN / "texts.txt").read_bytes().split(b"\n")[:-1][::every]
    golden = (GOLDEN / f"{model}.jsonl").read_bytes().split(b"\n")[:-1]
    chosen = [pair for pair in list(zip(texts, golden, strict=True))[::skip] if has_word(pair[0]) == words]
    if not chosen:
        return None
    for name, lines in zip(("texts", "golden"), zip(*chosen)):
        (folder / name).write_bytes(b"".join(line + b"\n" for line in lines))
    done = subprocess.run([BIN / "remora", "eval", "embed", "--model", model, "--precision", precision, "--texts", folder / "texts",
                           "--golden", folder / "golden"], capture_output=True, timeout=280, check=False,
                          env={**os.environ, "REMORA_MODELS": str(ROOT / "build" / "models")})
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["texts"] == len(chosen) and said["precision"] == precision
    return said["cosine"]


@pytest.mark.parametrize("precision,mean,worst", BARS)
def test_golden(tmp_path, precision, mean, worst):
    found = golden_cosines(tmp_path, MODEL, precision)
    assert mean <= found["mean"] <= 1.000001
    assert worst <= found["min"], f"line {found['min_line']}"
    wordless = golden_cosines(tmp_path, MODEL, precision, words=False)
    assert not wordless or wordless["min"] >= min(worst, 0.985 if precision == "int8" else 1)


@pytest.mark.skipif(not (ROOT / "build" / "models" / BGE).is_dir(), reason=f"models/fetch {BGE} was not asked for")
@pytest.mark.parametrize("precision,mean,worst", BARS)
def test_golden_cls(tmp_path, precision, mean, worst):
    """A second model, of CLS pooling and twice as many layers: every tenth text."""
    found = golden_cosines(tmp_path, BGE, precision, every=10)
    assert mean <= found["mean"] and worst <= found["min"]


def test_bench():
    done = subprocess.run([BIN / "remora-bench", "embed", "--precision", "int8", "--tokens", "8", "--texts", "3", "--json"],
                          capture_output=True, timeout=60, env={**os.environ, "REMORA_MODELS": str(ROOT / "build" / "models")}, check=True)
    figures = json.loads(done.stdout)
    assert figures["precision"] == "int8" and figures["tokens"] == 8 and figures["cpu_us"] > 0
