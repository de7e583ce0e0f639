"""What the bars share: starts Remora, nginx and the mock, each on its core; runs the load; prints and keeps the result.

REMORA_BIN     folder of the programs (build/bin)
GATEWAY_CPU    core of what is measured (the last one)
LOAD_CPU       core of the load generator and the mock (0)
"""
import argparse
import atexit
import http.client
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("REMORA_BIN", ROOT / "build" / "bin"))
CORES = os.cpu_count() or 1
GATEWAY_CPU = os.environ.get("GATEWAY_CPU", str(CORES - 1))
LOAD_CPU = os.environ.get("LOAD_CPU", "0")
MOCK_CPU = os.environ.get("MOCK_CPU", "1" if CORES > 2 else LOAD_CPU)
MODEL = "gpt-4.1-mini"


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    """Processes and a folder that are gone when the script ends, however it ends."""

    def __init__(self, name, description, arguments=()):
        parser = argparse.ArgumentParser(description=description)
        for flag, default, text in arguments:
            parser.add_argument(flag, default=default, type=type(default), help=f"{text} ({default})")
        self.name, self.options = name, parser.parse_args()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"remora-{name}-"))
        self.children, self.loads, self.bars, self.facts = [], [], [], {}
        atexit.register(self.clean)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit(130))
        for program in (BIN / "remora", BIN / "remora-bench"):
            if not program.exists():
                sys.exit(f"{program} is missing: ./deploy/up --build-only builds it, or set REMORA_BIN")

    def clean(self):
        for child in reversed(self.children):
            self.stop(child)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- processes ----

    def start(self, name, cpu, command):
        command = ["taskset", "-c", cpu, *map(str, command)]
        with open(self.folder / f"{name}.log", "ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.children.append(child)
        return child

    def stop(self, child):
        if child not in self.children:
            return
        self.children.remove(child)
        if child.poll() is None:
            child.terminate()
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def wait_ready(self, child, name, port, path, seconds=60):
        """Seconds until `path` answers 200."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            if child.poll() is not None:
                break
            try:
                if get(port, path)[0] == 200:
                    return time.monotonic() - begun
            except OSError:
                pass
            time.sleep(0.002)
        log = (self.folder / f"{name}.log").read_text(errors="replace")
        sys.exit(f"{name} did not start:\n{log[-3000:]}")

    def mock(self, *arguments, name="mock"):
        port = free_port()
        child = self.start(name, MOCK_CPU, [BIN / "remora-bench", "mock", "--listen", f"127.0.0.1:{port}", *arguments])
        self.wait_ready(child, name, port, "/stats")
        return port

    def remora(self, upstream_port, name="remora", loops=1, cpu=GATEWAY_CPU, cache=None, embed=None, more=None):
        """(child, port, seconds to readiness). The access log and the metrics are on, as always. `more` replaces whole keys."""
        port, admin = free_port(), free_port()
        config = {
            "listen": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}", "data": str(self.folder / f"{name}-data"),
            "loops": loops,
            "upstreams": [{"name": "mock", "dialect": "openai", "base_url": f"http://127.0.0.1:{upstream_port}/v1"}],
            "models": [{"name": MODEL, "upstream": "mock", "price": {"input": 0.4, "cached_input": 0.1, "output": 1.6}}],
            "cache": cache or {"semantic": {"mode": "off"}}, "embed": embed or {},
            "log": {"access": str(self.folder / f"{name}-access.log")},
            **(more or {}),
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(config, indent=1))  # JSON is YAML
        child = self.start(name, cpu, [BIN / "remora", "serve", "-c", path])
        return child, port, self.wait_ready(child, name, admin, "/readyz")

    def nginx(self, server, http_lines="", name="nginx"):
        """One worker on the gateway's core; (pid of the worker, port)."""
        port, here = free_port(), self.folder / name
        here.mkdir()
        temporary = "".join(f"{kind}_temp_path {here}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (here / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {here}/pid; error_log {here}/error.log warn;\n"
            "worker_rlimit_nofile 20000;\nevents { worker_connections 8192; }\n"
            "http { access_log off; keepalive_requests 100000000; keepalive_timeout 120s; tcp_nodelay on;\n"
            f"client_body_buffer_size 64k; client_max_body_size 4m; {temporary}{http_lines}\n"
            f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {server} }} }} }}\n")
        child = self.start(name, GATEWAY_CPU, ["nginx", "-e", here / "error.log", "-c", here / "nginx.conf"])
        while not (workers := children_of(child.pid)) or not listening(port):
            if child.poll() is not None:
                sys.exit("nginx did not start:\n" + (self.folder / f"{name}.log").read_text())
            time.sleep(0.01)
        return workers[0], port

    # ---- load ----

    def load(self, port, *arguments, path="/v1", must_pass=True):
        command = [str(BIN / "remora-bench"), "load", "--url", f"http://127.0.0.1:{port}{path}", "--cpu", LOAD_CPU, "--json",
                   "--model", MODEL, *map(str, arguments)]
        say("  " + " ".join(command[1:]))
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=False)
        if not done.stdout or (must_pass and done.returncode != 0):
            sys.exit(f"the load failed with {done.returncode}: {done.stdout.decode()[:3000]}")
        self.loads.append(json.loads(done.stdout))
        return self.loads[-1]

    # ---- result ----

    def fact(self, name, value):
        self.facts[name] = value
        print(f"      {name}: {value}", flush=True)

    def bar(self, text, value, bound, at_most=True, unit=""):
        passed = value <= bound if at_most else value >= bound
        self.bars.append({"bar": text, "value": value, "bound": bound, "at_most": at_most, "unit": unit, "passed": passed})
        print(f"{'PASS' if passed else 'FAIL'}  {text}: {value:.4g}{unit} ({'at most' if at_most else 'at least'} {bound:g}{unit})",
              flush=True)

    def finish(self):
        passed = all(bar["passed"] for bar in self.bars)
        origin = self.loads[0] if self.loads else {}
        result = {"name": self.name, "passed": passed, "bars": self.bars, "facts": self.facts, "command": sys.argv,
                  "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "revision": origin.get("revision"),
                  "machine": {**origin.get("machine", {}), "system": platform.platform(),
                              "load_average": os.getloadavg()},
                  "pinned": {"gateway": GATEWAY_CPU, "load": LOAD_CPU, "mock": MOCK_CPU}, "loads": self.loads}
        folder = ROOT / "bench" / "results"
        folder.mkdir(exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(f"{'passed' if passed else 'FAILED'}; written to bench/results/{self.name}.json")
        sys.exit(0 if passed else 1)


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def post(port, path, body=b"", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.getheaders(), content


def stats(port):
    return json.loads(get(port, "/stats")[1])


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children_of(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def memory_mib(pid):
    """{"VmRSS", "RssAnon", "RssFile"} in MiB."""
    out = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "RssAnon", "RssFile", "VmHWM"):
            out[name] = int(value.split()[0]) / 1024
    return out


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def differences(load, metric):
    """A less B in each round."""
    a, b = (target["rounds"] for target in load["targets"])
    return [x[metric] - y[metric] for x, y in zip(a, b)]


def outcomes(load, target=0):
    """Cache outcomes over all rounds."""
    out = {}
    for one in load["targets"][target]["rounds"]:
        for name, count in one["cache"].items():
            out[name] = out.get(name, 0) + count
    return out
