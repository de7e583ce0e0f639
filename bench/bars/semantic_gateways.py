"""For semantic_peers.py: the scripted provider, the stand-in for Qdrant, and what is compared, each started empty.

A gateway has ask(text), which gives the text of the answer, settle(), which waits until what was stored can be found, and close()."""
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import platform
import subprocess
import sys
import threading
import time
import venv

from common import GATEWAY_CPU, MODEL, ROOT, free_port, say

ENCODER, DIMENSIONS = "local/all-minilm-l6-v2", 384
KEY = "Bearer sk-bench"
# Tokens of an answer, and USD for it at the price that common.py gives the model.
TOKENS_IN, TOKENS_OUT = 1000, 500
CALL_USD = (TOKENS_IN * 0.4 + TOKENS_OUT * 1.6) / 1e6


def environment(name):
    """The folder of a Python environment that has what is pinned for this peer, and nothing else."""
    folder, wanted = ROOT / "build" / "bench" / f"venv-{name}", ROOT / "bench" / f"requirements-{name}.txt"
    stamp = folder / ("." + hashlib.sha256(wanted.read_bytes() + platform.python_version().encode()).hexdigest()[:16])
    if not stamp.exists():
        say(f"installing {wanted.relative_to(ROOT)} into {folder.relative_to(ROOT)}")
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "-r", wanted], check=True)
        stamp.touch()
    return folder


def borrow(folder):
    """This Python gets the packages of that environment too."""
    sys.path.extend(map(str, folder.glob("lib/python3*/site-packages")))


class Nearest:
    """The nearest by cosine, exactly, of all vectors that were added."""

    def __init__(self):
        import numpy  # of the borrowed environment
        self.numpy, self.what = numpy, []
        self.rows = numpy.zeros((1024, DIMENSIONS), dtype="float32")

    def unit(self, vector):
        row = self.numpy.asarray(vector, dtype="float32")
        return row / self.numpy.linalg.norm(row)

    def add(self, vector, what):
        if len(self.what) == len(self.rows):
            self.rows = self.numpy.concatenate([self.rows, self.numpy.zeros_like(self.rows)])
        self.rows[len(self.what)] = self.unit(vector)
        self.what.append(what)

    def find(self, vector):
        """(similarity, what was added with it); (-1, None) where nothing was."""
        if not self.what:
            return -1.0, None
        similarities = self.rows[:len(self.what)] @ self.unit(vector)
        at = int(similarities.argmax())
        return float(similarities[at]), self.what[at]


class Served:
    """HTTP on loopback by threads of this process: answer(method, path, body) gives (status, what to send as JSON)."""

    def __init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

            def do(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                status, content = outer.answer(self.command, self.path, body)
                content = json.dumps(content).encode()
                self.wfile.write(b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(content))
                                 + content)

            do_GET = do_POST = do_PUT = do

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method, path, body):
        raise NotImplementedError


class Provider(Served):
    """Answers a question with its class."""

    def __init__(self):
        self.classes, self.calls = {}, 0
        super().__init__()

    def answer(self, method, path, body):
        if not path.endswith("/chat/completions"):
            return 404, {"error": {"message": f"no {path} here"}}
        self.calls += 1
        text = self.classes[body["messages"][-1]["content"]]
        return 200, {"id": f"chatcmpl-{self.calls}", "object": "chat.completion", "created": int(time.time()), "model": body["model"],
                     "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                     "usage": {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}}


class Qdrant(Served):
    """As much of Qdrant as LiteLLM asks for; exact, in memory, at once: at least as good as the real one for it."""

    def __init__(self):
        self.by_key, self.stored = {}, 0
        super().__init__()

    def answer(self, method, path, body):
        result = True
        path = path.partition("?")[0]
        if path.endswith("/exists"):
            result = {"exists": False}
        elif path.endswith("/points/search"):
            key = body["filter"]["must"][0]["match"]["value"]
            similarity, payload = self.by_key[key].find(body["vector"]) if key in self.by_key else (0, None)
            result = [{"id": 1, "version": 1, "score": similarity, "payload": payload}] if payload else []
        elif path.endswith("/points"):
            for point in body["points"]:
                self.by_key.setdefault(point["payload"]["litellm_cache_key"], Nearest()).add(point["vector"], point["payload"])
                self.stored += 1
        return 200, {"result": result, "status": "ok", "time": 0}


class Http:
    """One connection, kept."""

    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def post(self, path, content):
        self.http.request("POST", path, json.dumps(content).encode(), {"Content-Type": "application/json", "Authorization": KEY})
        answer = self.http.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"status {answer.status} of {path}: {body[:2000].decode(errors='replace')}")
        return json.loads(body)

    def chat(self, text):
        answer = self.post("/v1/chat/completions", {"model": MODEL, "messages": [{"role": "user", "content": text}]})
        return answer["choices"][0]["message"]["content"]

    def vector(self, text):
        return self.post("/v1/embeddings", {"model": ENCODER, "input": text})["data"][0]["embedding"]


class Gateway:
    """A process that is asked over HTTP."""
    pause_s = 0.005  # nothing of what is compared takes longer to file an answer away

    def __init__(self, bench, child, port):
        self.bench, self.child, self.http = bench, child, Http(port)

    def ask(self, text):
        return self.http.chat(text)

    def settle(self):
        time.sleep(self.pause_s)

    def close(self):
        self.http.http.close()
        self.bench.stop(self.child)


def encoder_of(bench, provider):
    """Port of a Remora that makes vectors only. It keeps none, so each costs a peer what it costs Remora."""
    more = {"models": [{"name": ENCODER}], "batch": {"embeddings_window": "0"}}
    cache = {"exact": {"mode": "off"}, "semantic": {"mode": "off"}}
    return bench.remora(provider.port, name="encoder", cache=cache, embed={"precision": "int8", "deadline": "10s"}, more=more)[1]


def remora(bench, provider, _, stream, max_error):
    semantic = {"mode": "serve", "max_error": max_error}
    child, port, _ = bench.remora(provider.port, name=f"remora-{stream}-{max_error}", cache={"semantic": semantic},
                                  embed={"precision": "int8", "deadline": "10s"})
    return Gateway(bench, child, port)


class LiteLLM(Gateway):
    def __init__(self, bench, child, port, qdrant):
        super().__init__(bench, child, port)
        self.qdrant, self.misses, self.late = qdrant, 0, 0

    def settle(self):
        """It answers before it stores."""
        self.misses += 1
        until = time.monotonic() + 2
        while self.qdrant.stored + self.late < self.misses:
            if time.monotonic() > until:
                self.late += 1
            time.sleep(0.001)

    def close(self):
        super().close()
        self.qdrant.server.shutdown()
        if self.late:
            say(f"  LiteLLM did not store {self.late} of {self.misses} answers")


def litellm(bench, provider, encoder, stream, threshold):
    folder, port, qdrant = environment("litellm"), free_port(), Qdrant()
    config = {
        "model_list": [
            {"model_name": MODEL, "litellm_params": {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{provider.port}/v1",
                                                     "api_key": "sk-bench"}},
            {"model_name": "encoder", "litellm_params": {"model": f"openai/{ENCODER}", "api_base": f"http://127.0.0.1:{encoder}/v1",
                                                         "api_key": "sk-bench"}}],
        "litellm_settings": {
            "telemetry": False, "cache": True,
            "cache_params": {"type": "qdrant-semantic", "qdrant_semantic_cache_embedding_model": "encoder",
                             "qdrant_collection_name": stream, "qdrant_quantization_config": "binary",
                             "qdrant_semantic_cache_vector_size": DIMENSIONS, "similarity_threshold": threshold,
                             "supported_call_types": ["acompletion", "completion"]}}}
    name = f"litellm-{stream}"
    path = bench.folder / f"{name}.yaml"
    path.write_text(json.dumps(config))
    os.environ.update({"QDRANT_API_BASE": f"http://127.0.0.1:{qdrant.port}", "QDRANT_API_KEY": "none", "LITELLM_LOG": "ERROR",
                       "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                       "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"})
    child = bench.start(name, GATEWAY_CPU, [folder / "bin" / "litellm", "--config", path, "--host", "127.0.0.1", "--port", port,
                                            "--num_workers", 1, "--telemetry", "False"])
    bench.wait_ready(child, name, port, "/health/liveliness", 180)
    return LiteLLM(bench, child, port, qdrant)


def gptcache(bench, provider, encoder, stream, _):
    folder, port, name = environment("gptcache"), free_port(), f"gptcache-{stream}"
    script = pathlib.Path(__file__).with_name("semantic_gptcache.py")
    child = bench.start(name, GATEWAY_CPU, [folder / "bin" / "python", "-B", script, port, bench.folder / f"{name}-data",
                                            f"http://127.0.0.1:{provider.port}/v1", f"http://127.0.0.1:{encoder}/v1"])
    bench.wait_ready(child, name, port, "/", 180)
    return Gateway(bench, child, port)


class Threshold:
    """The nearest of what was cached, at or above a similarity: in this process, so without a gateway's own time."""

    def __init__(self, bench, provider, encoder, stream, threshold):
        self.provider, self.encoder = Http(provider.port), Http(encoder)
        self.threshold, self.nearest = threshold, Nearest()

    def ask(self, text):
        vector = self.encoder.vector(text)
        similarity, answer = self.nearest.find(vector)
        if similarity < self.threshold:
            answer = self.provider.chat(text)
            self.nearest.add(vector, answer)
        return answer

    def settle(self):
        pass

    def close(self):
        self.provider.http.close()
        self.encoder.http.close()


def best_threshold(encoder, rows, max_errors):
    """By error: of 0.50, 0.51, … 0.99 the one that has the most hits on these rows at no more error; None where none has."""
    http_, nearest = Http(encoder), {at / 100: Nearest() for at in range(50, 100)}
    hits, wrong = dict.fromkeys(nearest, 0), dict.fromkeys(nearest, 0)
    for question, wanted in rows:
        vector = http_.vector(question)
        for threshold, cached in nearest.items():
            similarity, answer = cached.find(vector)
            if similarity >= threshold:
                hits[threshold] += 1
                wrong[threshold] += answer != wanted
            else:
                cached.add(vector, wanted)
    http_.http.close()
    allowed = {error: [t for t in nearest if wrong[t] <= error * len(rows)] for error in max_errors}
    return {error: max(thresholds, key=lambda t: hits[t], default=None) for error, thresholds in allowed.items()}
