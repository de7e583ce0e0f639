#!/usr/bin/env python3
"""tokenizer_parity.py --folder MODEL (--build DIR | --remora PROGRAM) [--count N] [--seed S] [--all] [--speed]

Token ids of ours against the reference, Hugging Face's `tokenizers` (pip install tokenizers). Exit 0: all equal; 1: not; 2: usage.

--build     a configured and built folder without sanitizers: its libraries are linked into a shared object of their own
--remora    the program instead: `remora embed --tokens`, a text a line, an array of ids a line (no other checks then)
--all       also every code point alone and in a word, through vocabularies that have each of them, and every combination of the
            normaliser's switches; with --build only
--speed     time both on one thread, in turn, the best of seven; exit 1 also where ours is not ten times as fast; with --build only

With the tokenizers that requirements.txt pins: build/golden/venv/bin/python, once embed_vectors.py has made it.
"""
import argparse
import ctypes
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402  (reads the environment)

ROOT = pathlib.Path(__file__).resolve().parents[2]
IDS_MAX = 1 << 20
HEAD, HEAD_TAIL = 0, 1
BATCH = 2000


# ---- ours --------------------------------------------------------------------------------------------------------------------
class Slice(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Buffer(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_void_p), ("len", ctypes.c_size_t), ("cap", ctypes.c_size_t), ("max", ctypes.c_size_t),
                ("status", ctypes.c_int)]


# Many texts a call, so that timing counts no call from Python.
DRIVER = """
#include "remora/embed.h"
size_t tokenize_batch(const rm_tokenizer *t, const char *bytes, const size_t *ends, size_t texts, int overflow, uint32_t *ids,
                      size_t ids_max, size_t room, size_t *ret_counts);
size_t tokenize_batch(const rm_tokenizer *t, const char *bytes, const size_t *ends, size_t texts, int overflow, uint32_t *ids,
                      size_t ids_max, size_t room, size_t *ret_counts)
{
    size_t begin = 0, used = 0;
    for (size_t i = 0; i < texts; begin = ends[i++]) {
        size_t left = room - used < ids_max ? room - used : ids_max;
        ret_counts[i] = rm_tokenize(t, rm_slice_make(bytes + begin, ends[i] - begin), (rm_overflow)overflow, ids + used, left);
        used += ret_counts[i];
    }
    return used;
}
"""


def shared_object(build, folder):
    packages = ["yyjson", "libutf8proc", "libxxhash", "libcrypto"]
    environment = dict(os.environ, PKG_CONFIG_PATH=f"{ROOT}/build/deps/lib/pkgconfig")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], check=True, capture_output=True, text=True,
                           env=environment).stdout.split()
    source, target = folder / "driver.c", folder / "driver.so"
    source.write_text(DRIVER, encoding="utf-8")
    subprocess.run(["cc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-fPIC", "-shared", f"-I{ROOT}/include", "-o", target, source,
                    *(pathlib.Path(build) / f"libremora_{name}.a" for name in ("embed", "json", "base")), *flags, "-lm",
                    "-lpthread"], check=True)
    return target


class Library:
    def __init__(self, path):
        self.calls = ctypes.CDLL(str(path))
        self.calls.tokenize_batch.restype = ctypes.c_size_t
        self.ids = (ctypes.c_uint32 * (4 * IDS_MAX))()

    def open(self, folder):
        handle, why = ctypes.c_void_p(), Buffer(None, 0, 0, 4096, 0)
        status = self.calls.rm_tokenizer_open(str(folder).encode(), ctypes.byref(handle), ctypes.byref(why))
        if status != 0:
            sys.exit(f"rm_tokenizer_open: {status}: {ctypes.string_at(why.ptr, why.len).decode()}")
        return handle

    def close(self, handle):
        self.calls.rm_tokenizer_close(handle)

    def pack(self, texts):
        ends = (ctypes.c_size_t * len(texts))(*itertools.accumulate(map(len, texts)))
        return b"".join(texts), ends, (ctypes.c_size_t * len(texts))()

    def run(self, handle, packed, overflow=HEAD, ids_max=IDS_MAX):
        bytes_, ends, counts = packed
        return self.calls.tokenize_batch(handle, bytes_, ends, ctypes.c_size_t(len(ends)), overflow, self.ids,
                                         ctypes.c_size_t(ids_max), ctypes.c_size_t(len(self.ids)), counts)

    def encode(self, handle, texts, overflow=HEAD, ids_max=IDS_MAX):
        packed = self.pack(texts)
        used = self.run(handle, packed, overflow, ids_max)
        flat, at, result = self.ids[:used], 0, []
        for count in packed[2]:
            result.append(flat[at:at + count])
            at += count
        return result


class Program:
    def __init__(self, path, folder):
        self.child = subprocess.Popen([path, "embed", "--tokens", "--model", str(folder)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)

    def encode(self, texts):
        result = []
        for text in texts:
            self.child.stdin.write(text + b"\n")
            self.child.stdin.flush()
            result.append(json.loads(self.child.stdout.readline()))
        return result


# ---- the reference -----------------------------------------------------------------------------------------------------------
def reference(folder):
    found = tokenizers.Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    found.no_truncation()
    found.no_padding()
    return found


def expected(tokenizer, texts):
    # Both make one U+FFFD of each maximal part that is not UTF-8, as Rust's from_utf8_lossy does.
    return [e.ids for e in tokenizer.encode_batch([t.decode("utf-8", "replace") for t in texts])]


# ---- texts -------------------------------------------------------------------------------------------------------------------
# Ranges with what people write, one script or kind a row.
SCRIPTS = [(0x41, 0x5a), (0x61, 0x7a), (0x20, 0x7e), (0xa0, 0xff), (0x100, 0x24f), (0x250, 0x2af), (0x2b0, 0x36f), (0x370, 0x3ff),
           (0x400, 0x52f), (0x530, 0x58f), (0x590, 0x5ff), (0x600, 0x6ff), (0x700, 0x8ff), (0x900, 0x97f), (0x980, 0xdff),
           (0xe00, 0xeff), (0xf00, 0xfff), (0x1000, 0x109f), (0x10a0, 0x10ff), (0x1100, 0x11ff), (0x1200, 0x139f), (0x13a0, 0x17ff),
           (0x1800, 0x1cff), (0x1d00, 0x1dff), (0x1e00, 0x1fff), (0x2000, 0x206f), (0x2070, 0x2bff), (0x2c00, 0x2fff),
           (0x3000, 0x30ff), (0x3100, 0x33ff), (0x3400, 0x4dbf), (0x4e00, 0x9fff), (0xa000, 0xabff), (0xac00, 0xd7a3),
           (0xe000, 0xf8ff), (0xf900, 0xfaff), (0xfb00, 0xfeff), (0xff00, 0xffff), (0x10000, 0x107ff), (0x10800, 0x10fff),
           (0x11000, 0x11fff), (0x12000, 0x16fff), (0x17000, 0x1bfff), (0x1d000, 0x1d7ff), (0x1e000, 0x1efff), (0x1f000, 0x1faff),
           (0x20000, 0x2fa1f), (0x30000, 0x323af), (0xe0000, 0xe01ef), (0xf0000, 0x10ffff)]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[mask]", "[MASK", "MASK]", "[[MASK]]", "[CLS][SEP]", "[unused1]", "##ing"]
EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "1️⃣", "🧑🏿‍🚀"]
# Bytes that are not UTF-8, and some that nearly are.
BROKEN = [b"\xff", b"\xc0\xaf", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xf4\x90\x80\x80", b"\x80", b"\xf8\x88\x80\x80\x80",
          b"\xe0\x80\x80", b"\xc3", b"\xf0\x80\x80\x80"]
SPACES = [" ", " ", " ", "  ", "\t", "\r", "\u00a0", "\u2003", "\u3000", "\u2028", "\x0b", "\x85", "\u200b"]


class Maker:
    def __init__(self, seed, words):
        self.random = random.Random(seed)
        self.words = words

    def character(self, low=0, high=0x10ffff):
        while True:
            code = self.random.randint(low, high)
            if not 0xd800 <= code < 0xe000 and code != 0xa:
                return chr(code)

    def script(self):
        return self.random.choice(SCRIPTS)

    def word(self):
        kind = self.random.random()
        if kind < 0.5:
            word = self.random.choice(self.words)
            return self.random.choice([word, word, word.capitalize(), word.upper(), word + self.random.choice(self.words)])
        low, high = self.script()
        if kind < 0.85:
            return "".join(self.character(low, high) for _ in range(self.random.randint(1, 12)))
        if kind < 0.9:  # about the longest word
            return self.character(low, high) * self.random.choice([33, 34, 49, 50, 51, 98, 99, 100, 101, 102, 250])
        if kind < 0.95:  # marks upon marks
            marks = [self.character(*self.random.choice([(0x300, 0x36f), (0x8d4, 0x8e1), (0x1e000, 0x1e02a), (0x302a, 0x302f),
                                                         (0x1d165, 0x1d172), (0x16ff0, 0x16ff1)])) for _ in range(8)]
            return self.character(low, high) + "".join(marks[:self.random.randint(1, 8)]) + self.random.choice(self.words)
        return self.random.choice(SPECIALS + EMOJI)

    def text(self):
        kind = self.random.random()
        if kind < 0.05:
            return "".join(self.character() for _ in range(self.random.randint(0, 60))).encode()
        if kind < 0.1:
            return bytes(b for b in self.random.randbytes(self.random.randint(0, 200)) if b != 0xa)
        parts = []
        for _ in range(self.random.randint(0, 40)):
            parts.append(self.word().encode())
            join = self.random.random()
            if join < 0.8:
                parts.append(self.random.choice(SPACES).encode())
            elif join < 0.9:
                parts.append(self.random.choice("-.,;:!?'\"()[]{}<>/\\@#$%^&*_+=|~`").encode())
            elif join < 0.93:
                parts.append(self.random.choice(BROKEN))
            elif join < 0.95:
                parts.append(self.random.choice(SPECIALS + EMOJI).encode())
        return b"".join(parts)


# ---- comparisons -------------------------------------------------------------------------------------------------------------
class Score:
    def __init__(self):
        self.texts = self.wrong = 0

    def compare(self, what, texts, ours, theirs):
        self.texts += len(texts)
        for text, mine, right in zip(texts, ours, theirs):
            if list(mine) != list(right):
                self.wrong += 1
                if self.wrong <= 20:
                    print(f"{what}: {text!r}\n  ours      {list(mine)[:60]}\n  reference {list(right)[:60]}")


def batches(items, size=BATCH):
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch


def progress(what, score, begun):
    print(f"{what}: {score.texts} texts, {score.wrong} differ ({time.monotonic() - begun:.0f} s)", flush=True)


def compare_overflow(library, handle, texts, full, score):
    """Every cut is one of the whole text's ids: the head, or the head's and the tail's halves."""
    for size in (2, 3, 4, 5, 8, 16, 17, 128, 256):
        room = size - 2
        head = [ids[:-1][:room + 1] + ids[-1:] for ids in full]
        score.compare(f"head {size}", texts, library.encode(handle, texts, HEAD, size), head)
        both = [ids if len(ids) <= size else ids[:1 + room - room // 2] + ids[len(ids) - 1 - room // 2:] for ids in full]
        score.compare(f"head and tail {size}", texts, library.encode(handle, texts, HEAD_TAIL, size), both)


def compare_random(maker, count, encode, theirs, score, also=None):
    begun = time.monotonic()
    for number, texts in enumerate(batches(maker.text() for _ in range(count))):
        full = expected(theirs, texts)
        score.compare("text", texts, encode(texts), full)
        if also and number % 10 == 0:
            also(texts, full)
        if number % 20 == 19:
            progress("random texts", score, begun)
    progress("random texts", score, begun)


def switched(source, **switches):
    made = json.loads(json.dumps(source))
    made["normalizer"].update(switches)
    return made


def compare_folder(library, made, groups, score, what):
    """A tokenizer.json of its own, both ways, over groups of texts."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "tokenizer.json").write_text(json.dumps(made), encoding="utf-8")
        theirs, handle = reference(folder), library.open(folder)
        for texts in groups:
            score.compare(what, texts, library.encode(handle, texts), expected(theirs, texts))
        library.close(handle)


def every_character():
    return (chr(code) for code in range(0x110000) if not 0xd800 <= code < 0xe000)


def compare_characters(library, source, score):
    """Vocabularies with a part of all characters each, so that no two of those come out as the same [UNK]."""
    specials = [t["content"] for t in source["added_tokens"]]
    per_part, begun = 120000, time.monotonic()
    for switches in ({}, {"strip_accents": False}, {"lowercase": False, "strip_accents": True}, {"lowercase": False},
                     {"clean_text": False}, {"handle_chinese_chars": False}, {"clean_text": False, "strip_accents": False}):
        for part in batches(every_character(), per_part):
            vocabulary = {t: i for i, t in enumerate(dict.fromkeys(
                specials + ["a", "##a", "##b"] + part + ["##" + c for c in part]))}
            made = switched(source, **switches)
            made["model"]["vocab"] = vocabulary
            by_name = {name: vocabulary[name] for name in specials}
            for name, special in made["post_processor"]["special_tokens"].items():
                special["ids"] = [by_name[name]]
            lower = (c.lower() for c in part)  # so that those mapped into this part from elsewhere are seen too
            around = set(part) | set("".join(lower))
            texts = [f for c in sorted(around) for f in (c.encode(), f"a{c}b".encode(), f"a{c}\u08d4\u302e{c}b".encode())]
            compare_folder(library, made, batches(texts, 20000), score, f"characters {switches}")
        progress(f"every character {switches}", score, begun)


def compare_switches(maker, library, source, score):
    for values in itertools.product((False, True), (False, True), (None, False, True), (False, True)):
        names = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
        switches = dict(zip(names, values))
        compare_folder(library, switched(source, **switches), [[maker.text() for _ in range(BATCH)]], score, str(switches))


def compare_long(maker, library, handle, theirs, score):
    """Texts longer than a window of the tail's."""
    texts = [b" ".join(maker.text() for _ in range(200)) for _ in range(20)] + [b"a" * 5000 + b" b" * 3000, b"x y" * 3000,
                                                                                b"no-space-at-all" * 3000]
    full = expected(theirs, texts)
    score.compare("long", texts, library.encode(handle, texts), full)
    compare_overflow(library, handle, texts, full, score)


# ---- speed -------------------------------------------------------------------------------------------------------------------
SPEECH = {
    "English": "The quick brown fox jumps over the lazy dog, and then it asks: what's the difference between tokenization and "
               "segmentation? I couldn't say. ",
    "German": "Die Übertragungsgeschwindigkeit hängt von der Verfügbarkeit größerer Zwischenspeicher ab, schätzungsweise. ",
    "Russian": "Быстрая коричневая лиса перепрыгивает через ленивую собаку, а потом спрашивает, что будет дальше. ",
    "Chinese": "敏捷的棕色狐狸跳过了懒狗,然后它问:接下来会发生什么?我也不知道。",
    "Korean": "빠른 갈색 여우가 게으른 개를 뛰어넘고 나서 다음에 무슨 일이 일어날지 물었다. ",
    "emoji": "great job 👍🏽 see you soon 😀🎉 ",
}


SPEED_BAR = 10


def measure_speed(library, handle, theirs):
    """Whether ours is SPEED_BAR times as fast on each kind of text."""
    ratios, fast_ratios = [], []
    for name, sentence in SPEECH.items():
        for repeats in (1, 12):
            texts = [f"{i} {sentence * repeats}" for i in range(400 if repeats > 1 else 2000)]
            packed = library.pack([t.encode() for t in texts])
            best = {"ours": 1e9, "reference": 1e9, "fast": 1e9}
            for _ in range(7):
                begun = time.perf_counter()
                tokens = library.run(handle, packed)
                best["ours"] = min(best["ours"], time.perf_counter() - begun)
                begun = time.perf_counter()
                theirs.encode_batch(texts)
                best["reference"] = min(best["reference"], time.perf_counter() - begun)
                begun = time.perf_counter()
                theirs.encode_batch_fast(texts)  # without offsets
                best["fast"] = min(best["fast"], time.perf_counter() - begun)
            bytes_ = packed[1][len(texts) - 1]
            print(f"{name:8} {bytes_ / len(texts):5.0f} bytes a text: ours {best['ours'] / len(texts) * 1e6:7.2f} us a text, "
                  f"{bytes_ / best['ours'] / 1e6:6.1f} MB/s, {best['ours'] / tokens * 1e9:5.1f} ns a token; "
                  f"reference {best['reference'] / best['ours']:5.1f} x, without offsets {best['fast'] / best['ours']:5.1f} x",
                  flush=True)
            ratios.append(best["reference"] / best["ours"])
            fast_ratios.append(best["fast"] / best["ours"])
    met = min(ratios) >= SPEED_BAR
    print(f"speed: {min(ratios):.1f} to {max(ratios):.1f} times the reference's (bar {SPEED_BAR}) {'ok' if met else 'NOT MET'}; "
          f"without offsets {min(fast_ratios):.1f} to {max(fast_ratios):.1f}")
    return met


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--build")
    parser.add_argument("--remora")
    parser.add_argument("--count", type=int, default=200000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if bool(options.build) == bool(options.remora):
        parser.error("one of --build and --remora")
    theirs, score = reference(options.folder), Score()
    source = json.loads((pathlib.Path(options.folder) / "tokenizer.json").read_text(encoding="utf-8"))
    words = [w.removeprefix("##") for w in source["model"]["vocab"] if not w.startswith("[")]
    maker = Maker(options.seed, words)
    print(f"tokenizers {tokenizers.__version__}, seed {options.seed}")
    if options.remora:
        compare_random(maker, options.count, Program(options.remora, options.folder).encode, theirs, score)
        return score.wrong > 0
    with tempfile.TemporaryDirectory() as folder:
        library = Library(shared_object(options.build, pathlib.Path(folder)))
        handle = library.open(options.folder)
        if options.count:
            compare_random(maker, options.count, lambda texts: library.encode(handle, texts), theirs, score,
                           lambda texts, full: compare_overflow(library, handle, texts, full, score))
            compare_long(maker, library, handle, theirs, score)
        if options.all:
            compare_switches(maker, library, source, score)
            compare_characters(library, source, score)
        print(f"{score.texts} comparisons, {score.wrong} differ")
        met = not options.speed or measure_speed(library, handle, theirs)
        library.close(handle)
    return score.wrong > 0 or not met


if __name__ == "__main__":
    sys.exit(main())
