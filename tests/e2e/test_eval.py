"""remora eval semantic and pairs with the real model, over small streams made here."""
import json
import os
import random
import subprocess

import pytest

from programs import BIN, ROOT

PLACES = ["Lisbon", "Oslo", "Quito", "Nairobi", "Hanoi", "Perth", "Cairo", "Lima", "Dublin", "Havana", "Prague", "Tunis"]
WAYS = ["What is the weather like in {} today?", "How is the weather in {} today?", "Tell me the weather in {} for today",
        "What's today's weather in {}?", "Weather in {} today?", "How's the weather in {} today"]
ENV = {**os.environ, "REMORA_MODELS": str(ROOT / "build" / "models")}


def run(*arguments, ok=True):
    done = subprocess.run([BIN / "remora", "eval", *map(str, arguments)], capture_output=True, timeout=90, env=ENV, check=False)
    if ok:
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return done


@pytest.fixture(name="stream", scope="module")
def make_stream(tmp_path_factory):
    """The file, its rows, and a file of vectors: with sanitizers a vector takes its time, so they are made once."""
    folder = tmp_path_factory.mktemp("stream")
    draw = random.Random(3)
    rows = [{"q": way.format(place), "cls": f"weather {place}"} for place in PLACES for way in WAYS] * 2
    draw.shuffle(rows)
    rows += [{"q": "\udcff".encode("utf-8", "surrogatepass").decode("latin-1") + " odd \u200b text", "cls": "odd"}]
    path = folder / "stream.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path, len(rows), folder / "vectors"


def test_stream(stream):
    path, count, vectors = stream
    done = run("semantic", "--stream", path, "--max-error", "0.05", "--seed", "1", "--vectors", vectors)
    assert vectors.stat().st_size == count * 384 * 4
    assert done["requests"] == count and "by_kind" not in done
    assert done["hits"] > 0 and 0 <= done["wrong"] <= done["hits"] and done["hits"] + done["audits"] <= count
    assert done["hit_share"] == pytest.approx(done["hits"] / count, abs=1e-4)
    assert done["error"] == pytest.approx(done["wrong"] / count, abs=1e-4)
    assert done["error"] <= 0.05 and done["error"] < done["error_upper95"] <= 1
    assert set(done["best_static"]) == {"threshold", "hit_share", "error"}
    assert 0 < done["us"]["p50"] <= done["us"]["p99"]


def test_the_same_twice(stream):
    path, _, vectors = stream
    first, second = (run("semantic", "--stream", path, "--max-error", "0.02", "--vectors", vectors) for _ in range(2))
    assert {**first, "us": 0} == {**second, "us": 0}
    nothing = run("semantic", "--stream", path, "--max-error", "0", "--vectors", vectors)
    assert nothing["hits"] == 0 and nothing["audits"] == 0 and nothing["error"] == 0


def test_several_runs_share_vectors(stream, tmp_path):
    path, _, vectors = stream
    features = tmp_path / "features.jsonl"
    done = run("semantic", "--stream", path, "--max-error", "0.01,0.05", "--seed", "0-1,7", "--vectors", vectors)
    assert [(r["max_error"], r["seed"]) for r in done["runs"]] == [(e, s) for e in (0.01, 0.05) for s in (0, 1, 7)]
    again = run("semantic", "--stream", path, "--max-error", "0.05", "--seed", "7", "--vectors", vectors, "--features", features)
    assert again["hits"] == done["runs"][-1]["hits"] and again["wrong"] == done["runs"][-1]["wrong"]
    rows = [json.loads(line) for line in features.read_text(encoding="utf-8").splitlines()]
    assert sum(row["verdict"] == "hit" for row in rows) == again["hits"]
    assert len({len(row["x"]) for row in rows}) == 1


def test_by_kind(tmp_path):
    """Rows with a kind are counted by it too; the others only in all."""
    path = tmp_path / "kinds.jsonl"
    rows = [{"q": WAYS[0].format(place), "cls": place, "kind": "\"base\""} for place in PLACES[:6]]
    rows += [{"q": WAYS[0].format(place) + " ", "cls": place, "kind": "near repeat"} for place in PLACES[:6]]
    rows += [{"q": WAYS[0].format(place), "cls": "other"} for place in PLACES[:3]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = run("semantic", "--stream", path, "--max-error", "0.5")
    assert list(done["by_kind"]) == ["\"base\"", "near repeat"]
    assert [kind["requests"] for kind in done["by_kind"].values()] == [6, 6]
    near = done["by_kind"]["near repeat"]
    assert near["served_right"] > 0 and near["served_wrong"] == 0
    assert sum(kind["served_right"] + kind["served_wrong"] for kind in done["by_kind"].values()) <= done["hits"]
    path.write_text("".join(json.dumps({**row, "kind": f"kind {i}"}) + "\n" for i, row in enumerate(rows * 20)), encoding="utf-8")
    assert f"{path}:257: ".encode() in run("semantic", "--stream", path, ok=False).stderr
    path.write_text(json.dumps({"q": "a", "cls": "b"}) + "\n" + json.dumps({"q": "a", "cls": "b", "kind": 7}) + "\n", encoding="utf-8")
    assert f"{path}:2: ".encode() in run("semantic", "--stream", path, ok=False).stderr


def test_pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = []
    for place, other in zip(PLACES, PLACES[1:] + PLACES[:1]):
        rows.append({"a": WAYS[0].format(place), "b": WAYS[1].format(place), "label": 1, "src": "same \"place\""})
        rows.append({"a": WAYS[0].format(place), "b": WAYS[0].format(other), "label": 0, "src": "other"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = run("pairs", "--pairs", path, "--max-error", "0.01")["by_src"]
    assert list(done) == ["same \"place\"", "other"]
    same, other = done.values()
    assert same["served_right"] + same["refused_right"] == len(PLACES) and same["served_wrong"] + same["refused_wrong"] == 0
    assert other["served_wrong"] + other["refused_wrong"] == len(PLACES) and other["served_wrong"] == 0


@pytest.mark.parametrize("text, line", [("", 1), ("{\"q\": \"a\"}\n", 1), ("{\"q\": \"a\", \"cls\": \"b\"}\nnot JSON\n", 2)])
def test_bad_rows(tmp_path, text, line):
    path = tmp_path / "stream.jsonl"
    path.write_text(text, encoding="utf-8")
    done = run("semantic", "--stream", path, ok=False)
    assert done.returncode == 1 and f"{path}:{line}: ".encode() in done.stderr and not done.stdout


def test_bad_usage(tmp_path):
    absent = tmp_path / "absent"
    assert run("semantic", ok=False).returncode == 2
    assert run("pairs", ok=False).returncode == 2
    assert run("semantic", "--stream", absent, ok=False).returncode == 1
    for bad in ("2", "-1", "x", "0.1,", ""):
        assert run("semantic", "--stream", absent, "--max-error", bad, ok=False).returncode == 2
    for bad in ("x", "3-1", "0-99", ""):
        assert run("semantic", "--stream", absent, "--seed", bad, ok=False).returncode == 2
    assert run("pairs", "--pairs", absent, "--max-error", "0.1,0.2", ok=False).returncode == 2
    assert b"--stream" in run("semantic", "--help", ok=False).stdout
