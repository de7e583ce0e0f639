#!/usr/bin/env python3
"""embed_vectors.py [--model NAME] [--check [--natural FILE[:KEY]] [--random N] [--sts FILE]] [OPTION]...

Without --check: makes tests/golden/embed/NAME.jsonl anew, the vectors that the reference gives to the texts beside it.
With --check: the encoder against the reference, for each precision; a line a set of texts, exit 0: every bar is met; 1: not.

The reference is ONNX Runtime on the published ONNX file and Hugging Face's tokenizers, a text at a time, pooled as the model
wants it, scaled to length 1. Its versions are pinned in requirements.txt, which go into build/golden/venv; the ONNX comes by
models/fetch with the manifest in tests/golden/embed. Neither is needed to check the committed vectors alone.

--model NAME          all-minilm-l6-v2 (default) or bge-small-en-v1.5, of which every tenth text is kept
--onnx FILE           the ONNX file, if it lies on this disk; its SHA-256 must be the manifest's
--folder FOLDER       the model's folder (default: build/models/NAME)
--check               compare; the committed vectors always, and:
--natural FILE[:KEY]  the first texts of FILE, one a line; with KEY each line is a JSON object that has it
--count N             ... how many (2000)
--random N            N texts of random Unicode, all scripts, emoji and bytes that are not UTF-8
--sts FILE            the STS-B test set, CSV or TSV with two sentences and a score at the end of a row: Spearman's correlation
--remora PROGRAM      (default: build/bin/remora)
--precision P,...     which of fp32, bf16, int8 (default: all)
--seed N              of the random texts (1)
"""
import argparse
import csv
import hashlib
import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "embed"
PRECISIONS = ("fp32", "bf16", "int8")
# A cosine does not mind the scale: whole numbers of 1e-5, which move a cosine by less than 2e-9.
SCALE = 100000
# name: every how many-th text, bars of Spearman's correlation
MODELS = {"all-minilm-l6-v2": (1, {"fp32": 0.820, "int8": 0.818}), "bge-small-en-v1.5": (10, {})}
# Mean and worst cosine. Only what nobody asks about may be further off, and only in int8: random Unicode, and texts without a
# letter or digit ("", "?"), whose few tokens all have a norm's outliers.
NATURAL = {"fp32": (0.999999, 0.999999), "bf16": (0.9999, 0.9999), "int8": (0.998, 0.995)}
BARS = {"golden": NATURAL, "wordless": {**NATURAL, "int8": (0.985, 0.985)}, "natural": NATURAL,
        "random": {**NATURAL, "int8": (0.998, 0.985)}}


# ---- the reference -----------------------------------------------------------------------------------------------------------
def enter_venv():
    """This script again, in a Python that has what is pinned."""
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("tokenizers"):
        return
    folder, wanted = ROOT / "build" / "golden" / "venv", ROOT / "tests" / "golden" / "requirements.txt"
    stamp = folder / ("." + hashlib.sha256(wanted.read_bytes()).hexdigest()[:16])
    python = folder / "bin" / "python"
    if not stamp.exists():
        print(f"installing {wanted.relative_to(ROOT)} into {folder.relative_to(ROOT)}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", wanted], check=True)
        stamp.touch()
    elif pathlib.Path(sys.prefix) == folder:
        sys.exit(f"{folder} is broken; remove it")
    os.execv(python, [python, *sys.argv])


def manifest_of(name):
    facts = {}
    for line in (GOLDEN / f"{name}-onnx.manifest").read_text(encoding="utf-8").splitlines():
        key, _, rest = line.partition(" ")
        facts[key] = rest.split()
    return facts


def onnx_file(options):
    """The published file, verified."""
    wanted = manifest_of(options.model)["file"][0]
    if options.onnx:
        with open(options.onnx, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else \
                hashlib.sha256(file.read()).hexdigest()
        if found != wanted:
            sys.exit(f"{options.onnx} has SHA-256 {found}, not {wanted}")
        return options.onnx
    folder = ROOT / "build" / "golden" / f"{options.model}-onnx"
    subprocess.run([ROOT / "models" / "fetch", GOLDEN / f"{options.model}-onnx.manifest", "--to", folder], check=True,
                   stdout=sys.stderr)
    return folder / "model.onnx"


class Reference:
    def __init__(self, options):
        import numpy
        import onnxruntime
        import tokenizers
        self.numpy, facts = numpy, manifest_of(options.model)
        self.tokenizer = tokenizers.Tokenizer.from_file(str(options.folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(int(facts["tokens"][0]))
        self.mean = facts["pooling"] == ["mean"]
        self.session = onnxruntime.InferenceSession(str(onnx_file(options)), providers=["CPUExecutionProvider"])
        print(f"onnxruntime {onnxruntime.__version__}, tokenizers {tokenizers.__version__}", flush=True)

    def vector(self, text):
        numpy = self.numpy
        # One U+FFFD for each maximal part that is not UTF-8, as the encoder has it.
        ids = numpy.array([self.tokenizer.encode(text.decode("utf-8", "replace")).ids], dtype=numpy.int64)
        states, = [one for one in self.session.run(None, {"input_ids": ids, "attention_mask": numpy.ones_like(ids),
                                                          "token_type_ids": numpy.zeros_like(ids)}) if one.ndim == 3]
        rows = states[0].astype(numpy.float64)
        pooled = rows.mean(axis=0) if self.mean else rows[0]
        return pooled / numpy.linalg.norm(pooled)


# ---- texts -------------------------------------------------------------------------------------------------------------------
def golden_texts(name):
    return (GOLDEN / "texts.txt").read_bytes().split(b"\n")[:-1][::MODELS[name][0]]


def natural_texts(where, count):
    path, _, key = where.partition(":")
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n") for line in file]
    texts = [json.loads(line)[key].replace("\n", " ") for line in lines if line] if key else lines
    texts = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if len(texts) < count:
        print(f"{path} has {len(texts)} different texts", file=sys.stderr)
    return [text.encode() for text in texts[:count]]


def random_texts(folder, count, seed):
    import tokenizer_parity
    words = [word for word in json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
             if not word.startswith(("[", "##"))]
    maker = tokenizer_parity.Maker(seed, words)
    return [maker.text().replace(b"\0", b"") for _ in range(count)]


# ---- comparing ---------------------------------------------------------------------------------------------------------------
def remora(options, *arguments, **more):
    done = subprocess.run([options.remora, *arguments, "--model", options.folder], stdout=subprocess.PIPE, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{options.remora} {arguments[0]} exited with {done.returncode}")
    return done.stdout


def compare(options, what, texts, golden):
    """Whether every precision keeps to the bars; `golden` has a line a text."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        texts_path, golden_path = pathlib.Path(folder) / "texts", pathlib.Path(folder) / "golden"
        texts_path.write_bytes(b"".join(text + b"\n" for text in texts))
        golden_path.write_text("".join(line + "\n" for line in golden), encoding="utf-8")
        for precision in options.precision:
            said = json.loads(remora(options, "eval", "embed", "--texts", texts_path, "--golden", golden_path, "--precision", precision))
            mean, worst = BARS[what][precision]
            cosine = said["cosine"]
            met = said["texts"] == len(texts) and cosine["mean"] >= mean and cosine["min"] >= worst
            print(f"{what:8} {precision} {said['kernels']:10} {len(texts):6} texts: cosine mean {cosine['mean']:.9f} (bar {mean}), "
                  f"worst {cosine['min']:.9f} (bar {worst}, line {cosine['min_line']}) {'ok' if met else 'NOT MET'}", flush=True)
            good = good and met
    return good


def ranks(values):
    """From 1 on; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result, at = [0.0] * len(values), 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for place in order[at:end]:
            result[place] = (at + 1 + end) / 2
        at = end
    return result


def spearman(one, other):
    a, b = ranks(one), ranks(other)
    middle = (len(a) + 1) / 2
    across = sum((x - middle) * (y - middle) for x, y in zip(a, b))
    return across / math.sqrt(sum((x - middle) ** 2 for x in a) * sum((y - middle) ** 2 for y in b))


def sts_rows(path):
    """(sentence, sentence, score); the original has tabs, and its score is before the sentences."""
    rows = []
    with open(path, encoding="utf-8", newline="") as file:
        tabs = "\t" in file.readline()
        file.seek(0)
        for row in csv.reader(file, **({"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {})):
            score, first = (4, 5) if tabs and len(row) >= 7 else (2, 0)
            try:
                rows.append((row[first], row[first + 1], float(row[score])))
            except (IndexError, ValueError):
                if rows:  # only a heading is no row
                    sys.exit(f"{path}: row {len(rows) + 1} has not two sentences and a score")
    if not rows:
        sys.exit(f"{path}: no rows of two sentences and a score")
    return rows


def compare_sts(options, path):
    rows, good = sts_rows(path), True
    sentences = "".join(" ".join(text.split()) + "\n" for row in rows for text in row[:2]).encode()
    for precision in options.precision:
        vectors = [json.loads(line) for line in remora(options, "embed", "--precision", precision, input=sentences).splitlines()]
        cosines = [sum(x * y for x, y in zip(vectors[i], vectors[i + 1])) for i in range(0, len(vectors), 2)]
        rho = spearman(cosines, [row[2] for row in rows])
        bar = MODELS[options.model][1].get(precision)
        met = bar is None or rho >= bar
        print(f"sts-b    {precision} {len(rows):17} pairs: Spearman {rho:.4f} ({f'bar {bar}' if bar else 'no bar'}) "
              f"{'ok' if met else 'NOT MET'}", flush=True)
        good = good and met
    return good


# ---- the whole ---------------------------------------------------------------------------------------------------------------
def write(options):
    reference, target = Reference(options), GOLDEN / f"{options.model}.jsonl"
    lines = [json.dumps([round(float(x) * SCALE) for x in reference.vector(text)], separators=(",", ":"))
             for text in golden_texts(options.model)]
    target.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    print(f"{target.relative_to(ROOT)}: {len(lines)} vectors")
    return True


def has_word(text):
    return any(character.isalnum() for character in text.decode())


def check(options):
    golden = (GOLDEN / f"{options.model}.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = list(zip(golden_texts(options.model), golden, strict=True))
    good = True
    for what in ("golden", "wordless"):
        chosen = [pair for pair in pairs if has_word(pair[0]) == (what == "golden")]
        good = (not chosen or compare(options, what, *zip(*chosen))) and good
    more = {}
    if options.natural:
        more["natural"] = natural_texts(options.natural, options.count)
    if options.random:
        more["random"] = random_texts(options.folder, options.random, options.seed)
    reference = Reference(options) if more else None
    for what, texts in more.items():
        golden = [json.dumps([float(f"{x:.9g}") for x in reference.vector(text)]) for text in texts]
        good = compare(options, what, texts, golden) and good
    if options.sts:
        good = compare_sts(options, options.sts) and good
    return good


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--model", choices=MODELS, default="all-minilm-l6-v2")
    parser.add_argument("--onnx")
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--natural")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--sts")
    parser.add_argument("--remora", type=pathlib.Path, default=ROOT / "build" / "bin" / "remora")
    parser.add_argument("--precision", default=",".join(PRECISIONS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.precision = options.precision.split(",")
    if not set(options.precision) <= set(PRECISIONS):
        parser.error("--precision: fp32, bf16, int8")
    options.folder = (options.folder or ROOT / "build" / "models" / options.model).absolute()
    if not options.check or options.natural or options.random:
        enter_venv()
    return 0 if (check if options.check else write)(options) else 1


if __name__ == "__main__":
    sys.exit(main())
