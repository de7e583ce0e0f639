"""Metrics, health, access log, report, and the command line."""
import json
import re
import subprocess

import httpx
import pytest

from asking import ask, chat_body, until_hit
from programs import BIN, MISS_USD, eventually


def test_health(remora):
    assert httpx.get(remora.admin + "/healthz").status_code == 200
    assert httpx.get(remora.admin + "/readyz").status_code == 200


def test_metrics_count_what_happened(remora, client):
    ask(client)
    until_hit(lambda **h: ask(client, **h))
    ask(client, x_remora_cache="bypass")
    eventually(lambda: remora.metric("remora_requests_total") >= 3)
    metrics = remora.metrics()
    assert any(k.startswith("remora_cache_hits_total{") and 'kind="exact"' in k and v >= 1 for k, v in metrics.items())
    assert remora.metric("remora_cache_bypasses_total") >= 1 and remora.metric("remora_cache_misses_total") >= 1
    assert remora.metric("remora_saved_usd_total") >= MISS_USD * 0.99
    assert remora.metric("remora_upstream_requests_total") >= 2


def test_metrics_are_well_formed(remora, client):
    ask(client)
    text = httpx.get(remora.admin + "/metrics").text
    sample = re.compile(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="(\\.|[^"\\])*",?)*\})? (NaN|[+-]?Inf|[-+0-9.e]+)$')
    known = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in known, f"{name} is declared twice"
            known.add(name)
        elif line and not line.startswith("#"):
            assert sample.match(line), line
    assert {"remora_requests_total", "remora_merged_total"} <= known


def test_the_access_log_tells_all_but_the_secrets(remora, client):
    ask(client, chat_body("a very private question"))
    lines = eventually(remora.access)
    entry = json.loads(lines[-1])
    assert entry["status"] == 200
    whole = "\n".join(lines)
    assert "private question" not in whole and "sk-test-one" not in whole and "answer 1" not in whole


def test_bodies_in_the_log_only_if_asked(start, upstream):
    remora = start(log={"bodies": True})
    httpx.post(remora.base + "/chat/completions", json=chat_body("log me"), headers={"authorization": "Bearer k"})
    assert "log me" in "\n".join(eventually(remora.access))


def test_report(remora, client):
    ask(client)
    until_hit(lambda **h: ask(client, **h))

    def report():
        found = json.loads(remora.run("report", "--json").stdout)
        return found if found["saved_usd"] >= MISS_USD * 0.99 else None
    found = eventually(report, 30, "the saving is not in the report")
    assert found["requests"] >= 2 and found["cost_usd"] == pytest.approx(MISS_USD)
    assert {r["reason"] for r in found["by_reason"]} >= {"hit", "miss"}
    table = remora.run("report").stdout
    assert "hit" in table and "gpt-4.1-mini" in table
    remora.stop()
    assert json.loads(remora.run("report", "--json").stdout)["saved_usd"] == pytest.approx(found["saved_usd"])


def test_lost_ledger_rows_are_counted(start, tmp_path):
    """Without a store there is no ledger: the caller is served, the loss is told."""
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    remora = start()
    assert ask(httpx.Client(base_url=remora.base, timeout=60)).status_code == 200
    eventually(lambda: remora.metric("remora_ledger_rows_dropped_total") == 1)
    assert remora.metrics()['remora_faults_total{stage="ledger"}'] == 1


def test_admin_refuses_strangers_names(remora):
    answer = httpx.get(remora.admin + "/api/report", headers={"host": "evil.example"})
    assert answer.status_code in (400, 403, 421)


@pytest.mark.parametrize("arguments,status", [
    (["--help"], 0), (["--version"], 0), (["serve", "--help"], 0), (["check", "--help"], 0), (["cache", "--help"], 0),
    (["report", "--help"], 0), ([], 2), (["nonsense"], 2), (["serve", "--nonsense"], 2), (["check", "--nonsense"], 2),
    (["report", "--nonsense"], 2), (["cache", "nonsense"], 2), (["serve", "-c", "/no/such/file.yaml"], 1)])
def test_exit_status(arguments, status, tmp_path):
    done = subprocess.run([BIN / "remora", *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert done.returncode == status, done.stderr
    assert done.stdout or done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["load", "--help"], ["mock", "--help"]])
def test_bench_help(arguments):
    done = subprocess.run([BIN / "remora-bench", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "usage" in done.stdout


def test_check_names_every_mistake_with_its_line(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("listen: nowhere\nadmin: 127.0.0.1:8701\nloops: -1\ncash:\n  scope: key\ncache:\n  scope: everyone\n"
                    "upstreams:\n  - name: a\n    dialect: klingon\n    base_url: ftp://x\n", encoding="utf-8")
    for command in ("check", "serve"):
        done = subprocess.run([BIN / "remora", command, "-c", path], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        said = done.stdout + done.stderr
        for line, where in ((1, "listen"), (3, "loops"), (4, "cash"), (7, "cache.scope"), (10, "dialect"), (11, "base_url")):
            assert re.search(rf"bad\.yaml:{line}: [\w.\[\]]*{re.escape(where)}[\w.\[\]]*: .+", said), (line, where, said)


def test_environment_in_configuration(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text("upstreams:\n  - name: a\n    base_url: ${SOME_BASE}\n", encoding="utf-8")
    done = subprocess.run([BIN / "remora", "check", "-c", path], capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 1 and "env.yaml:3:" in done.stdout + done.stderr and "SOME_BASE" in done.stdout + done.stderr
