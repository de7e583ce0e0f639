#!/usr/bin/env python3
"""run.py [--build DIR] [--only NAME,…] [--list]: what the compiler does not check.

Each check is a function that yields one line a finding; the table at the end names them. DIR is a configured build folder (for
compile_commands.json; default build/dev). Findings of clang-tidy are remembered under build/lint by the hash of everything that a
verdict depends on, so a second run takes seconds.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE_LINES_MAX = 1200
FUNCTION_LINES_MAX = 100
LLVM = 14
build_dir = ROOT / "build" / "dev"


def run(*command, **options):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)


class Skip(Exception):
    """This check cannot be made here; says why."""


def need_llvm(program):
    """Formatting and warnings change from one LLVM to the next; the reference is Debian 12's."""
    version = re.search(r"version (\d+)", run(program, "--version").stdout)
    if not version or int(version.group(1)) != LLVM:
        raise Skip(f"{program} is {version.group(1) if version else 'missing'}, the reference is {LLVM}")


def tracked():
    """Every file of the project, also new ones that git does not ignore."""
    listed = run("git", "ls-files", "-co", "--exclude-standard")
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:  # an unpacked archive
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file()]
        names = [n for n in names if not n.startswith(("build/", ".git/", "data/"))]
    return sorted(ROOT / n for n in set(names) if (ROOT / n).is_file())


def sources(*suffixes):
    return [p for p in tracked() if p.suffix in suffixes]


def place(path):
    return path.relative_to(ROOT)


def text_of(path):
    return path.read_text(encoding="utf-8", errors="replace")


def without_comments(code):
    """The same lines with comments and string contents blanked, so that words in prose are not taken for calls."""
    def blank(match):
        found = match.group(0)
        if found.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, code, flags=re.S)


# ---- layers ------------------------------------------------------------------------------------------------------------------
class Layers:
    def __init__(self):
        self.level, self.beside, self.contract, self.home = {}, {}, {}, {}
        depth = 0
        for line in text_of(ROOT / "tests/lint/layers.txt").splitlines():
            words = line.split("#")[0].split()
            if not words:
                continue
            kind, first, rest = words[0], words[1], words[2:]
            if kind == "layer":
                self.level.update({name: depth for name in words[1:]})
                depth += 1
            elif kind == "beside":
                self.beside[first] = set(rest)
            elif kind == "contract":
                self.contract[first] = rest[0]
            elif kind == "home":
                self.home[first] = set(rest)

    def may(self, module, other):
        return (other == module or self.level[other] < self.level[module] or other in self.beside.get(module, ()))

    def owner(self, header):
        return self.contract.get(header, header.removesuffix(".h"))


def check_layers():
    layers = Layers()
    for path in sources(".c", ".h"):
        parts = place(path).parts
        if parts[0] == "src":
            module = parts[1]
        elif parts[:2] == ("include", "remora"):
            module = layers.owner(parts[2])
        elif parts[0] == "bench":
            module = "bench"
        else:
            continue
        if module != "bench" and module not in layers.level:
            yield f"{place(path)}: module {module} stands in no layer of tests/lint/layers.txt"
            continue
        for number, line in enumerate(text_of(path).splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if found:
                wrong = include_fault(layers, module, found.group(1))
                if wrong:
                    yield f"{place(path)}:{number}: {wrong}"
    yield from check_cmake(layers)


def include_fault(layers, module, header):
    for prefix, homes in layers.home.items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return None if module in homes else f"<{header}> belongs in {', '.join(sorted(homes))}, not in {module}"
    if header.startswith("remora/"):
        other = layers.owner(header.removeprefix("remora/"))
        if module != "bench" and other not in layers.level:
            return f"{header} is no known contract"
        if module != "bench" and not layers.may(module, other):
            return f"{module} may not use {other} ({header})"
        return None
    if module != "bench" and header.endswith("_internal.h") and not header.startswith(module + "_"):
        return f"{header} is inside another module"
    return None


def check_cmake(layers):
    for name, modules in re.findall(r"^remora_module\((\w+)\s+(?:MODULES ([\w ]+?))?(?:\s+LIBS[^)]*)?\)",
                                    text_of(ROOT / "CMakeLists.txt"), re.M):
        for other in modules.split():
            if name not in layers.level or other not in layers.level or not layers.may(name, other):
                yield f"CMakeLists.txt: {name} links {other}, which tests/lint/layers.txt does not allow"


# ---- sizes -------------------------------------------------------------------------------------------------------------------
def check_sizes():
    code = [p for p in sources(".c", ".h", ".py", ".sh", "")
            if p.suffix or text_of(p).startswith("#!")]
    for path in code:
        lines = text_of(path).count("\n")
        if lines > FILE_LINES_MAX:
            yield f"{place(path)}: {lines} lines, at most {FILE_LINES_MAX}"
    listed = run("ctags", "--output-format=json", "--fields=+ne", "--kinds-C=f", "--languages=C,C++", "-f", "-",
                 *[str(place(p)) for p in sources(".c", ".h")])
    if listed.returncode != 0:
        yield f"ctags: {listed.stderr.strip()}"
    for line in listed.stdout.splitlines():
        tag = json.loads(line)
        lines = tag.get("end", tag["line"]) - tag["line"] + 1
        if tag.get("kind") == "function" and lines > FUNCTION_LINES_MAX:
            yield f"{tag['path']}:{tag['line']}: {tag['name']} has {lines} lines, at most {FUNCTION_LINES_MAX}"


# ---- formatting --------------------------------------------------------------------------------------------------------------
def check_format():
    need_llvm("clang-format")
    files = [str(place(p)) for p in sources(".c", ".h")]
    done = run("clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *files)
    for line in done.stderr.splitlines():
        if "error:" in line:
            yield line
    if done.returncode != 0 and "error:" not in done.stderr:
        yield f"clang-format: {done.stderr.strip()}"


# ---- clang-tidy --------------------------------------------------------------------------------------------------------------
def included(path, seen):
    """`path` and what it includes from the project, at any depth: what its verdict depends on."""
    if path in seen:
        return seen
    seen.add(path)
    for header in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text_of(path), re.M):
        for folder in (path.parent, ROOT / "include", ROOT / "bench", ROOT / "tests/support"):
            if (folder / header).is_file():
                included((folder / header).resolve(), seen)
                break
    return seen


def tidy_one(entry, salt):
    path = pathlib.Path(entry["file"])
    digest = hashlib.sha256(salt)
    digest.update(entry["command"].encode())
    for part in sorted(included(path, set())):
        digest.update(part.read_bytes())
    memory = ROOT / "build" / "lint" / "tidy" / digest.hexdigest()
    if memory.exists():
        return text_of(memory)
    done = run("clang-tidy", "--quiet", "-p", str(build_dir), "--extra-arg=-Wno-unknown-warning-option", str(path))
    verdict = "" if done.returncode == 0 else done.stdout + ("" if "error:" in done.stdout else done.stderr)
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(verdict, encoding="utf-8")
    return verdict


def check_tidy():
    need_llvm("clang-tidy")
    database = build_dir / "compile_commands.json"
    if not database.exists():
        yield f"{database}: missing; configure that build first"
        return
    wanted = [e for e in json.loads(text_of(database))
              if re.match(r"(src|bench|tests/support)/", os.path.relpath(e["file"], ROOT))]
    entries = list({e["file"]: e for e in wanted if os.path.exists(e["file"])}.values())
    salt = (ROOT / ".clang-tidy").read_bytes() + run("clang-tidy", "--version").stdout.encode()
    begun, done = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for verdict in pool.map(lambda e: tidy_one(e, salt), entries):
            done += 1
            if time.monotonic() - begun > 2 and done % 10 == 0:
                print(f"     clang-tidy: {done} of {len(entries)} files", flush=True)
            for line in verdict.splitlines():
                if " error: " in line or " warning: " in line:
                    yield line.replace(f"{ROOT}/", "")


# ---- headers, words ------------------------------------------------------------------------------------------------------------
def check_headers():
    for path in sources(".h"):
        if place(path).parts[:2] == ("include", "remora"):
            unit = f'#include "remora/{path.name}"\nextern int one_declaration;\n'
            done = run("cc", "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-fsyntax-only",
                       "-Iinclude", "-x", "c", "-", input=unit)
            if done.returncode != 0:
                first = [line for line in done.stderr.splitlines() if "error" in line][:1]
                yield f"{place(path)} does not compile alone: {first[0] if first else done.stderr[:200]}"


# Word: what to use.
BANNED = {
    "strcpy": "rm_buf", "strcat": "rm_buf", "strncpy": "rm_slice", "strncat": "rm_buf", "sprintf": "rm_buf or snprintf",
    "vsprintf": "vsnprintf", "strtok": "rm_slice_split", "gets": "nothing", "atoi": "rm_parse_u64", "atol": "rm_parse_u64",
    "atoll": "rm_parse_u64", "atof": "rm_parse_f64", "rand": "rm_rng", "srand": "rm_rng", "random": "rm_rng",
    "drand48": "rm_rng", "alloca": "rm_arena", "tmpnam": "mkstemp", "mktemp": "mkstemp", "system": "nothing",
    "popen": "nothing", "gmtime": "gmtime_r", "localtime": "localtime_r", "scanf": "rm_parse_*",
    "sscanf": "rm_parse_*", "gethostbyname": "getaddrinfo",
}


def check_banned():
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    heap = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup)\s*\(")
    for path in sources(".c", ".h"):
        top = place(path).parts[0]
        if top not in ("src", "include", "bench"):
            continue
        for number, line in enumerate(without_comments(text_of(path)).splitlines(), 1):
            for word in pattern.findall(line):
                yield f"{place(path)}:{number}: {word}() is banned; use {BANNED[word]}"
            if top == "src" and path.name != "alloc.c":
                for word in heap.findall(line):
                    yield f"{place(path)}:{number}: {word}() by-passes rm_alloc"


# Spelled in parts, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK", "st" "ub"]) + r")\b")
PLACES = re.compile("|".join([r"/wo" r"rk/", r"\.\./sha" r"red", r"/ro" r"ot/", r"/ho" r"me/\w", r"/tmp/br" r"ief"]))
HOSTS = re.compile("|".join([r"pypi\." r"org", r"files\.python" r"hosted", r"deb\.deb" r"ian\.org", r"npm" r"js\.",
                             r"crates\." r"io", r"archive\.ubu" r"ntu", r"proxy\.gol" r"ang"]))


def check_words():
    for path in tracked():
        if place(path).parts[:2] == ("tests", "fuzz") and "corpus" in place(path).parts or path.name == "LICENSE":
            continue
        for number, line in enumerate(text_of(path).splitlines(), 1):
            for pattern, why in ((UNFINISHED, "unfinished"), (PLACES, "a path of one machine"), (HOSTS, "a registry's host")):
                found = pattern.search(line)
                if found:
                    yield f"{place(path)}:{number}: {why}: {found.group(0)}"


# ---- documents -----------------------------------------------------------------------------------------------------------------
OPTIONS_BEGIN, OPTIONS_END = "<!-- options: begin -->", "<!-- options: end -->"


def described_options():
    """The table that the configuration module prints; None where the build has no libraries yet."""
    libraries = [build_dir / f"libremora_{name}.a" for name in ("config", "base")]
    if not all(library.exists() for library in libraries):
        return None
    sanitizers = re.search(r"^REMORA_SANITIZE:\w+=(.+)$", text_of(build_dir / "CMakeCache.txt"), re.M)
    program = ROOT / "build" / "lint" / "describe"
    program.parent.mkdir(parents=True, exist_ok=True)
    built = run("cc", "-std=gnu11", "-D_GNU_SOURCE", "-Iinclude", "-o", str(program), "tests/lint/describe.c",
                *map(str, libraries), "-lyaml", "-lxxhash", "-lcrypto", "-lpthread", "-lm",
                *([f"-fsanitize={sanitizers.group(1)}"] if sanitizers else []))
    done = run(str(program)) if built.returncode == 0 else built
    return done.stdout.strip() if done.returncode == 0 else None


def check_readme():
    described = described_options()
    if described is None:
        yield f"{place(build_dir)} has no libraries that print the options; build it first"
        return
    readme = text_of(ROOT / "README.md")
    written = readme.partition(OPTIONS_BEGIN)[2].partition(OPTIONS_END)[0].strip()
    if written != described:
        yield "README.md: the options table is not what the program says; run tests/lint/run.py --write-readme"


def write_readme():
    path = ROOT / "README.md"
    before, begin, rest = text_of(path).partition(OPTIONS_BEGIN)
    _, end, after = rest.partition(OPTIONS_END)
    described = described_options()
    if described is None or not begin or not end:
        sys.exit("run.py: that build folder is not built, or README.md has lost its marks")
    path.write_text(f"{before}{begin}\n{described}\n{end}{after}", encoding="utf-8")


def check_links():
    """Relative links and code-map folders in the documents lead somewhere."""
    for path in sources(".md"):
        for number, line in enumerate(text_of(path).splitlines(), 1):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                    yield f"{place(path)}:{number}: link leads nowhere: {target}"


def check_shell():
    scripts = [str(place(p)) for p in tracked() if re.match(r"#!.*\b(ba)?sh\b|# shellcheck shell", text_of(p)[:40])]
    done = run("shellcheck", "-x", "-f", "gcc", *scripts)
    yield from done.stdout.splitlines()
    if done.returncode != 0 and not done.stdout:
        yield f"shellcheck: {done.stderr.strip()}"


CHECKS = {
    "layers": (check_layers, "includes and links obey tests/lint/layers.txt"),
    "sizes": (check_sizes, f"files of at most {FILE_LINES_MAX} lines, functions of at most {FUNCTION_LINES_MAX}"),
    "format": (check_format, "clang-format has nothing to change"),
    "headers": (check_headers, "each public header compiles alone, C11 pedantic"),
    "banned": (check_banned, "no banned function, no heap past rm_alloc"),
    "words": (check_words, "nothing unfinished, no machine's path, no registry's host"),
    "readme": (check_readme, "README.md lists the options that the program has"),
    "links": (check_links, "links in documents lead somewhere"),
    "shell": (check_shell, "shellcheck"),
    "tidy": (check_tidy, "clang-tidy"),
}


def main():
    global build_dir
    parser = argparse.ArgumentParser(description="Checks that the compiler does not make.")
    parser.add_argument("--build", default="build/dev", help="a configured build folder")
    parser.add_argument("--only", default="", help="names of checks, comma-separated")
    parser.add_argument("--list", action="store_true", help="name the checks")
    parser.add_argument("--write-readme", action="store_true", help="bring README.md's table of options up to date")
    arguments = parser.parse_args()
    build_dir = (ROOT / arguments.build).resolve()
    if arguments.list:
        print(*(f"{name:8} {what}" for name, (_, what) in CHECKS.items()), sep="\n")
        return 0
    if arguments.write_readme:
        write_readme()
        return 0
    chosen = arguments.only.split(",") if arguments.only else list(CHECKS)
    failed = skipped = 0
    for name in chosen:
        check, what = CHECKS[name]
        begun = time.monotonic()
        try:
            findings = list(check())
        except Skip as why:
            skipped += 1
            print(f"skip {name}: {why}", flush=True)
            continue
        for finding in findings:
            print(f"     {finding}")
        failed += bool(findings)
        verdict = f"FAIL {len(findings)} of" if findings else "ok  "
        print(f"{verdict} {name}: {what} ({time.monotonic() - begun:.1f}s)", flush=True)
    print(f"{len(chosen) - failed - skipped} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
