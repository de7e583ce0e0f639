"""models/fetch and models/onnx_to_safetensors.py, on small models that the tests make. No network: pip is pointed at a folder."""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import time
import zipfile

import pytest

from programs import eventually

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
FILES = {"model.safetensors": b"weights" * 999, "vocab.txt": b"[PAD]\n[UNK]\n", "1_Pooling/config.json": b"{}\n"}


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Shop:
    """A folder of packages, and the manifest that names them."""

    def __init__(self, folder):
        self.folder, self.lines, self.to = folder, [], folder / "out" / "tiny"
        self.packages = folder / "packages"
        self.packages.mkdir()
        self.lines = ["# a tiny model", "name tiny", "licence none", "dimensions 2", ""]

    def files(self, files):
        self.lines += [f"file {digest(data)} {len(data)} {name}" for name, data in files.items()]

    def wheel(self, name, files, keep=True):
        """Makes a wheel with `files` under data/ and its source lines; `keep` False: named, but not to be had."""
        path = self.packages / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as out:
            for member, data in files.items():
                out.writestr(f"data/{member}", data)
            out.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            out.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            out.writestr(f"{name}-1.0.dist-info/RECORD", "")
        data = path.read_bytes()
        self.lines += [f"source pypi {name} 1.0 {digest(data)} {len(data)} {path.name}"]
        self.lines += [f"member data/{member} {member}" for member in files]
        if not keep:
            path.unlink()
        return path

    def fetch(self, *arguments, status=0, env=None):
        manifest = self.folder / "tiny.manifest"
        manifest.write_text("\n".join(self.lines) + "\n")
        environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.packages), "NO_COLOR": "1"} | (env or {})
        done = subprocess.run([MODELS / "fetch", manifest, "--to", self.to, *arguments], env=environment,
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        left = [p.name for p in self.to.parent.glob(".*")] if self.to.parent.exists() else []
        assert not left, "the folder that it worked in is still there"
        if status:  # the last line says why, and nothing of a shell's or Python's own
            assert done.stderr.splitlines()[-1].startswith(("fetch: ", "  --list")) and "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def check(self, files=None):
        found = {str(p.relative_to(self.to)): p.read_bytes() for p in self.to.rglob("*") if p.is_file()}
        assert found == (files or FILES)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


# ---- from a package ------------------------------------------------------------------------------------------------------------
def test_from_package_and_again(shop):
    shop.files(FILES)
    package = shop.wheel("first", FILES)
    assert "3 files verified" in shop.fetch("--from", package)
    shop.check()
    before = shop.to.stat()
    assert "3 files as the manifest says" in shop.fetch("--from", package)
    assert "3 files as the manifest says" in shop.fetch()
    assert shop.to.stat().st_ino == before.st_ino and shop.to.stat().st_mtime_ns == before.st_mtime_ns


def test_from_folder_with_a_package(shop):
    shop.files(FILES)
    shop.wheel("first", FILES, keep=False)
    shop.wheel("second", FILES)
    shop.fetch("--from", shop.packages)
    shop.check()


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "longer"])
def test_damaged_package(shop, damage):
    shop.files(FILES)
    package = shop.wheel("first", FILES)
    data = bytearray(package.read_bytes())
    if damage == "flip":
        data[100] ^= 1
    package.write_bytes({"cut": data[:-1], "flip": data, "empty": b"", "longer": data + b"x"}[damage])
    said = shop.fetch("--from", package, status=1)
    assert "is none of tiny's packages (first-1.0-py3-none-any.whl), or it is damaged" in said
    assert not shop.to.exists()


@pytest.mark.parametrize("wrong,reason", [
    (FILES | {"vocab.txt": b"[PAD]\n[UNK]x"}, "vocab.txt has SHA-256"),
    (FILES | {"vocab.txt": b"[PAD]"}, "vocab.txt has 5 bytes, not 12"),
    ({k: v for k, v in FILES.items() if k != "vocab.txt"}, "vocab.txt is missing"),
])
def test_package_with_other_files(shop, wrong, reason):
    shop.files(FILES)
    package = shop.wheel("first", wrong)
    assert reason in shop.fetch("--from", package, status=1)
    assert not shop.to.exists()


def test_package_without_a_member(shop):
    shop.files(FILES)
    package = shop.wheel("first", FILES)
    shop.lines.append("member data/none more.txt")
    assert "has no data/none" in shop.fetch("--from", package, status=1)


def test_package_that_is_no_archive(shop):
    shop.files(FILES)
    package = shop.wheel("first", FILES)
    shop.lines = [line for line in shop.lines if not line.startswith(("source", "member"))]
    package.write_bytes(b"not a zip")
    shop.lines.append(f"source pypi first 1.0 {digest(b'not a zip')} 9 {package.name}")
    assert "first-1.0-py3-none-any.whl cannot be unpacked: " in (said := shop.fetch("--from", package, status=1)) and "not a zip file" in said
    assert not shop.to.exists()


# ---- from the registry -----------------------------------------------------------------------------------------------------------
def test_from_registry(shop):
    shop.files(FILES)
    shop.wheel("first", FILES)
    assert "first 1.0" in shop.fetch()
    shop.check()


def test_second_source(shop):
    shop.files(FILES)
    shop.wheel("first", FILES, keep=False)
    shop.wheel("second", FILES)
    said = shop.fetch()
    assert "first 1.0 could not be downloaded" in said and "trying the next source" in said and "second 1.0" in said
    shop.check()


def test_second_source_where_the_first_is_another(shop):
    """pip refuses the first by its hash; of the third only the content is wrong."""
    shop.files(FILES)
    shop.wheel("first", FILES).write_bytes(shop.wheel("other", FILES | {"vocab.txt": b""}).read_bytes())
    shop.wheel("last", FILES)
    said = shop.fetch()
    assert "first 1.0 could not be downloaded" in said and "vocab.txt has 0 bytes" in said
    shop.check()


def test_no_source(shop):
    shop.files(FILES)
    shop.wheel("first", FILES, keep=False)
    said = shop.fetch(status=1)
    assert "no source gave tiny" in said and "--from FILE" in said
    assert not shop.to.exists()


def maven(shop, files, script):
    """A source at a Maven that is `script`: gives the environment that has it."""
    shop.files(files)
    jar = shop.wheel("first", files)
    data = jar.read_bytes()
    source = next(i for i, line in enumerate(shop.lines) if line.startswith("source"))
    shop.lines[source] = f"source maven org.example:tiny-model 1.0 {digest(data)} {len(data)} tiny-model-1.0.jar"
    tool = shop.folder / "bin" / "mvn"
    tool.parent.mkdir()
    tool.write_text("#!/bin/bash\n" + script.replace("JAR", str(jar)))
    tool.chmod(0o755)
    return {"PATH": f"{tool.parent}:{os.environ['PATH']}"}


def test_maven(shop):
    """With a Maven that only copies: what is asked of it, and that its jar is taken."""
    environment = maven(shop, FILES, """[[ "$*" == *-Dartifact=org.example:tiny-model:1.0:jar* ]] || exit 1
for arg in "$@"; do case $arg in -DoutputDirectory=*) cp JAR "${arg#*=}/tiny-model-1.0.jar" ;; esac; done
""")
    assert "tiny-model 1.0" in shop.fetch(env=environment)
    shop.check()


def hanging_fetch(shop):
    """A fetch in the middle of a download that never ends, and the process number of what downloads."""
    number = shop.folder / "pid"
    environment = maven(shop, FILES, f"echo $$ >{number}.new && mv {number}.new {number} && exec sleep 300\n")
    (shop.folder / "tiny.manifest").write_text("\n".join(shop.lines) + "\n")
    running = subprocess.Popen([MODELS / "fetch", shop.folder / "tiny.manifest", "--to", shop.to], env=os.environ | environment,
                               stdout=subprocess.DEVNULL)
    while not number.exists() and running.poll() is None:
        time.sleep(0.01)
    return running, int(number.read_text())


def test_interrupted(shop):
    """Ended in the middle of a download: the tool ends with it, and nothing is left."""
    running, child = hanging_fetch(shop)
    running.terminate()
    assert running.wait(timeout=60) == 143
    assert not list(shop.to.parent.iterdir())
    eventually(lambda: has_ended(child))


def has_ended(number):
    """Gone, or only waiting for whoever reaps orphans here."""
    stat = pathlib.Path(f"/proc/{number}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_killed(shop):
    """Without a chance to tidy up: the next one does, and has no need to wait."""
    running, child = hanging_fetch(shop)
    running.kill()
    running.wait(timeout=60)
    os.kill(child, 9)
    assert list(shop.to.parent.iterdir())
    shop.fetch("--from", shop.packages / "first-1.0-py3-none-any.whl")
    shop.check()


def test_two_at_once(shop):
    shop.files(FILES)
    shop.wheel("first", FILES)
    manifest = shop.folder / "tiny.manifest"
    manifest.write_text("\n".join(shop.lines) + "\n")
    environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shop.packages)}
    both = [subprocess.Popen([MODELS / "fetch", manifest, "--to", shop.to], env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    said = [one.communicate(timeout=120)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sorted("verified" in text for text in said) == [False, True]
    shop.check()


# ---- from a folder, and into one ----------------------------------------------------------------------------------------------------
def test_from_model_folder(shop, tmp_path):
    """The small files whose text the manifest has need not be there; what else is there is left."""
    shop.files(FILES)
    shop.lines.append("text 1_Pooling/config.json {}")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(FILES["model.safetensors"])
    (folder / "vocab.txt").write_bytes(FILES["vocab.txt"])
    (folder / "README").write_text("mine")
    shop.fetch("--from", folder)
    shop.check()


def test_from_model_folder_cut(shop, tmp_path):
    shop.files(FILES)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(FILES["model.safetensors"][:-1])
    said = shop.fetch("--from", folder, status=1)
    assert "model.safetensors has 6992 bytes, not 6993; vocab.txt is missing" in said
    assert not shop.to.exists()


def test_damage_is_mended(shop):
    shop.files(FILES)
    package = shop.wheel("first", FILES)
    shop.fetch("--from", package)
    (shop.to / "model.safetensors").write_bytes(b"x" * len(FILES["model.safetensors"]))
    (shop.to / "vocab.txt").unlink()
    assert "verified" in shop.fetch()
    shop.check()


def test_small_files_are_mended_without_a_package(shop):
    licence = b"you may\n"
    (shop.folder / "licences").mkdir()
    (shop.folder / "licences" / "mine.txt").write_bytes(licence)
    everything = FILES | {"LICENSE": licence}
    shop.files(everything)
    shop.lines += ["beside licences/mine.txt LICENSE", "text 1_Pooling/config.json {}"]
    package = shop.wheel("first", {name: FILES[name] for name in ("model.safetensors", "vocab.txt")})
    shop.fetch("--from", package)
    shop.check(everything)
    package.unlink()
    (shop.to / "LICENSE").unlink()
    (shop.to / "1_Pooling" / "config.json").write_text("[]")
    assert "only small files were missing or damaged" in shop.fetch()
    shop.check(everything)
    (shop.to / "vocab.txt").unlink()
    assert "no source gave tiny" in shop.fetch(status=1)
    shop.check({name: data for name, data in everything.items() if name != "vocab.txt"})
    (shop.folder / "licences" / "mine.txt").unlink()
    assert "licences/mine.txt is not beside it" in shop.fetch(status=1)


def test_foreign_folder_is_left_alone(shop):
    shop.files(FILES)
    package = shop.wheel("first", FILES)
    shop.to.mkdir(parents=True)
    (shop.to / "thesis.txt").write_text("years of work")
    assert "holds thesis.txt, which is not of this model" in shop.fetch("--from", package, status=1)
    assert (shop.to / "thesis.txt").read_text() == "years of work"


def test_nothing_to_take(shop, tmp_path):
    shop.files(FILES)
    shop.wheel("first", FILES)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds neither model.safetensors nor a package" in shop.fetch("--from", empty, status=1)
    assert "no such file" in shop.fetch("--from", empty / "none", status=1)


# ---- manifests and arguments ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", [
    "nonsense 1", "file abc 3 model.safetensors", f"file {'0' * 64} x a", f"file {'0' * 64} 1 ../a", f"file {'0' * 64} 1 /a",
    f"file {'0' * 64} 1 a/../../b", f"file {'0' * 64} 1", "text ../a b", "member a b", "convert onnx a b",
    "beside a", "beside ../a b", "beside a /b", "source npm a 1 0 0 a", f"source pypi a 1 {'0' * 64} 1", f"source pypi a 1 {'0' * 64} 1 ../a",
    f"source pypi a 1 {'0' * 64} 1 a\nmember a", f"source pypi a 1 {'0' * 64} 1 a\nmember ../a b",
    f"source pypi a 1 {'0' * 64} 1 a\nconvert gguf a b",
])
def test_manifest_mistakes(shop, line):
    shop.lines.append(line)
    number = len("\n".join(shop.lines).split("\n"))
    assert f"tiny.manifest:{number}: cannot be understood" in shop.fetch(status=1)


def test_arguments(tmp_path):
    def run(*arguments):
        done = subprocess.run([MODELS / "fetch", *arguments], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    status, said = run("--list")
    assert status == 0 and "all-minilm-l6-v2" in said and "bge-small-en-v1.5" in said
    assert run("--help")[0] == 0
    assert run()[0] == run("--nonsense")[0] == run("one", "two")[0] == run("one", "--to")[0] == run("one", "--from", "")[0] == 2
    status, said = run("no-such-model")
    assert status == 1 and "all-minilm-l6-v2" in said
    for manifest in MODELS.glob("*.manifest"):  # each is read to its end before the folder is found empty
        status, said = run(manifest.stem, "--from", tmp_path, "--to", tmp_path / "to" / "model")
        assert status == 1 and "holds neither" in said
        lines = [line.split() for line in manifest.read_text().splitlines()]
        kept = {words[3]: words[1:3] for words in lines if words[:1] == ["file"]}
        [licence] = [MODELS / words[1] for words in lines if words[:1] == ["beside"] and words[2] == "LICENSE"]
        assert kept["LICENSE"] == [digest(licence.read_bytes()), str(licence.stat().st_size)] and "NOTICE" in kept
        assert sum(int(size) for _, size in kept.values()) == next(int(words[1]) for words in lines if words[:1] == ["size"])


# ---- ONNX ------------------------------------------------------------------------------------------------------------------------
def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name, shape, values):
    return field(5, b"".join(field(1, n) for n in shape) + field(2, 1) + field(8, name) +
                 field(9, struct.pack(f"<{len(values)}f", *values)))


DENSE = {"attention.self.query": (2, 2), "attention.self.key": (2, 2), "attention.self.value": (2, 2),
         "attention.output.dense": (2, 2), "intermediate.dense": (2, 3), "output.dense": (3, 2)}


def tiny_onnx(prefix=""):
    """One layer of two dimensions, as an export from PyTorch names it: (ONNX bytes, the weights that must come out)."""
    graph, weights = b"", {}

    def plain(name, shape):
        values = [float(len(weights) * 10 + i) for i in range(shape[0] * (shape[1] if len(shape) > 1 else 1))]
        weights[name] = (list(shape), values)
        return tensor(prefix + name, shape, values)

    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        graph += plain(f"embeddings.{name}.weight", (4, 2))
    norms = ["embeddings.LayerNorm", "encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.output.LayerNorm"]
    graph += b"".join(plain(f"{norm}.{kind}", (2,)) for norm in norms for kind in ("weight", "bias"))
    for number, (part, (rows, columns)) in enumerate(DENSE.items()):
        name = f"encoder.layer.0.{part}"
        graph += plain(f"{name}.bias", (columns,))
        matrix = [float(1000 * number + i) for i in range(rows * columns)]
        weights[f"{name}.weight"] = ([columns, rows], [matrix[r * columns + c] for c in range(columns) for r in range(rows)])
        graph += tensor(f"onnx::MatMul_{number}", (rows, columns), matrix)
        graph += field(1, field(1, f"in{number}") + field(1, f"onnx::MatMul_{number}") + field(2, f"m{number}") + field(4, "MatMul"))
        graph += field(1, field(1, f"{prefix}{name}.bias") + field(1, f"m{number}") + field(2, f"a{number}") + field(4, "Add"))
    graph += field(1, field(1, "a0") + field(1, "a1") + field(2, "scores") + field(4, "MatMul"))
    return field(1, 8) + field(7, graph), weights


def convert(source, target):
    return subprocess.run([sys.executable, MODELS / "onnx_to_safetensors.py", source, target], capture_output=True, text=True,
                          timeout=60, check=False)


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_onnx_weights(tmp_path, prefix):
    data, weights = tiny_onnx(prefix)
    (tmp_path / "m.onnx").write_bytes(data)
    for name in ("one", "two"):
        done = convert(tmp_path / "m.onnx", tmp_path / name)
        assert done.returncode == 0, done.stderr
    out = (tmp_path / "one").read_bytes()
    assert out == (tmp_path / "two").read_bytes()
    length = struct.unpack("<Q", out[:8])[0]
    header, body = json.loads(out[8:8 + length]), out[8 + length:]
    assert header.pop("__metadata__") == {"format": "pt"} and length % 8 == 0
    assert header.keys() == weights.keys()
    for name, (shape, values) in weights.items():
        begin, end = header[name]["data_offsets"]
        assert header[name]["shape"] == shape
        assert list(struct.unpack(f"<{len(values)}f", body[begin:end])) == values


def test_onnx_damaged(tmp_path):
    data, _ = tiny_onnx()
    source, target = tmp_path / "m.onnx", tmp_path / "out"
    wrong = [data[:len(data) * part // 12] for part in range(12)] + [b"\xff" * 64, data.replace(b"MatMul_0", b"MatMul_9", 1),
                                                                      data.replace(b"layer.0.output.LayerNorm", b"layer.1.output.LayerNorm")]
    for damaged in wrong:
        source.write_bytes(damaged)
        done = convert(source, target)
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
        assert not target.exists()


def test_onnx_in_a_package(shop, tmp_path):
    data, _ = tiny_onnx()
    (tmp_path / "m.onnx").write_bytes(data)
    assert convert(tmp_path / "m.onnx", tmp_path / "m.safetensors").returncode == 0
    expected = {"model.safetensors": (tmp_path / "m.safetensors").read_bytes(), "config.json": b'{"a": [1,  2]}\n'}
    shop.files(expected)
    shop.lines.append('text config.json {"a": [1,  2]}')
    package = shop.wheel("first", {"m.onnx": data})
    shop.lines[-1] = "convert onnx data/m.onnx model.safetensors"
    shop.fetch("--from", package)
    shop.check(expected)
