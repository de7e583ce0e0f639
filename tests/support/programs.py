"""Starts the programs under test and holds them to a clean end."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import httpx
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("REMORA_BIN", ROOT / "build" / "bin"))
SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:|RM_CHECK|RM_ASSERT")
START_SECONDS = 60  # a sanitized program on a busy machine


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A child whose output goes to a file, ready once `ready_url` answers 200."""

    def __init__(self, name, command, folder, env=None, ready_url=None, start_seconds=START_SECONDS):
        self.name, self.log = name, pathlib.Path(folder) / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=folder, env={**os.environ, **(env or {})})
        if ready_url:
            self.wait_ready(ready_url, start_seconds)

    def wait_ready(self, url, seconds):
        end = time.monotonic() + seconds
        while True:
            assert self.child.poll() is None, f"{self.name} ended with {self.child.returncode}:\n{self.text()[-4000:]}"
            try:
                if httpx.get(url, timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < end, f"{self.name} was not ready in {seconds}s:\n{self.text()[-4000:]}"
            time.sleep(0.05)

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=60):
        return self.child.wait(seconds)

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def stop(self, clean=True, seconds=60):
        """SIGTERM and the end; with `clean` anything but exit 0 without a sanitizer's finding fails the test."""
        if self.child.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            status = self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.send_signal(signal.SIGABRT)
            self.kill()
            raise AssertionError(f"{self.name} did not stop in {seconds}s:\n{self.text()[-4000:]}") from None
        if clean:
            assert not SANITIZER.search(self.text()), f"{self.name}:\n{self.text()[-8000:]}"
            assert status == 0, f"{self.name} ended with {status}:\n{self.text()[-4000:]}"


PRICES = {"input": 2.0, "cached_input": 0.5, "output": 8.0}  # 1000 + 500 tokens: 0.002 + 0.004
MISS_USD = 0.006


def base_config(folder, upstream_url, **changes):
    config = {
        "listen": f"127.0.0.1:{free_port()}",
        "admin": f"127.0.0.1:{free_port()}",
        "data": str(pathlib.Path(folder) / "data"),
        "loops": 2,
        "upstreams": [{"name": "up", "dialect": "openai", "base_url": upstream_url + "/v1"}],
        "models": [{"name": n, "upstream": "up", "price": PRICES}
                   for n in ("gpt-4.1-mini", "gpt-4o-mini", "claude-sonnet-4-5", "text-embedding-3-small")],
        "cache": {"semantic": {"mode": "off"}},
        "log": {"access": str(pathlib.Path(folder) / "access.log")},
    }
    return merged(config, changes)


def merged(base, changes):
    out = dict(base)
    for key, value in changes.items():
        out[key] = merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return out


class Remora(Program):
    def __init__(self, folder, upstream_url, env=None, name="remora", **changes):
        self.folder = pathlib.Path(folder)
        self.config = base_config(folder, upstream_url, **changes)
        self.file = self.folder / f"{name}.yaml"
        self.write_config()
        self.url, self.admin = f"http://{self.config['listen']}", f"http://{self.config['admin']}"
        self.base = self.url + "/v1"
        self.port = int(self.config["listen"].rpartition(":")[2])
        super().__init__(name, [BIN / "remora", "serve", "-c", self.file], folder, env, self.admin + "/readyz")

    def write_config(self, **changes):
        self.config = merged(self.config, changes)
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False), encoding="utf-8")

    def run(self, *arguments, check=True):
        """A subcommand with this configuration: `remora cache stats`."""
        done = subprocess.run([BIN / "remora", *arguments, "-c", self.file], capture_output=True, text=True, timeout=120,
                              check=False)
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def metrics(self):
        """{"name{labels}": value} of /metrics."""
        out = {}
        for line in httpx.get(self.admin + "/metrics", timeout=20).text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                out[name] = float(value)
        return out

    def metric(self, name):
        """Sum over all labels."""
        return sum(v for k, v in self.metrics().items() if k.split("{")[0] == name)

    def access(self):
        path = self.folder / "access.log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def eventually(probe, seconds=15, what="it did not come to pass"):
    """The first true value of probe(); for what another thread of the program does a moment later."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < end, what
        time.sleep(0.03)
