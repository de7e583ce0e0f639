"""remora-bench by itself: the mock's dialects and faults, the load generator's counting."""
import base64
import gzip
import hashlib
import http.client
import json
import pathlib
import socket
import struct
import subprocess
import types

import pytest

from programs import BIN, Program, free_port

CHAT = "/v1/chat/completions"
SCHEMA = {"type": "object", "$defs": {"x": {"type": "object", "properties": {"a": {"type": "boolean"}}}},
          "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["c", "f"]},
                         "list": {"type": "array", "items": {"$ref": "#/$defs/x"}}}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A mock without delays, and its listener of broken answers."""
    port, raw = free_port(), free_port()
    program = Program("quick", [BIN / "remora-bench", "mock", "--listen", f"127.0.0.1:{port}", "--raw-listen", f"127.0.0.1:{raw}",
                                "--ttft", "0", "--tps", "0"],
                      tmp_path_factory.mktemp("quick"), ready_url=f"http://127.0.0.1:{port}/stats")
    yield types.SimpleNamespace(port=port, raw=raw, url=f"http://127.0.0.1:{port}/v1", pid=program.child.pid)
    program.stop()


def ask(quick, method, path, body=None, headers=(), timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", quick.port, timeout=timeout)
    try:
        connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, dict(headers))
        answer = connection.getresponse()
        return types.SimpleNamespace(status=answer.status, header=answer.getheader, body=answer.read())
    finally:
        connection.close()


def chat(quick, headers=(), timeout=30, **members):
    body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hello"}], **members}
    return ask(quick, "POST", CHAT, body, headers, timeout)


def events(answer):
    return [json.loads(line[6:]) for line in answer.body.decode().split("\n") if line.startswith("data: {")]


def text_of(answer):
    return json.loads(answer.body)["choices"][0]["message"]["content"]


def test_a_stream_says_what_the_body_says(quick):
    whole = text_of(chat(quick))
    streamed = chat(quick, stream=True)
    assert "".join(e["choices"][0]["delta"].get("content") or "" for e in events(streamed)) == whole
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert whole != text_of(chat(quick, messages=[{"role": "user", "content": "bye"}]))


def test_usage_chunk_only_where_asked(quick):
    assert all("usage" not in e for e in events(chat(quick, stream=True)))
    asked = events(chat(quick, stream=True, stream_options={"include_usage": True}))
    assert asked[-1]["choices"] == [] and asked[-1]["usage"]["total_tokens"] > 0
    assert all(e["usage"] is None for e in asked[:-1])


def test_choices_logprobs_length(quick):
    choices = json.loads(chat(quick, n=3, logprobs=True, top_logprobs=2, max_tokens=5).body)["choices"]
    assert len(choices) == 3 and {c["finish_reason"] for c in choices} == {"length"}
    assert [len(t["top_logprobs"]) for t in choices[2]["logprobs"]["content"]] == [2] * 5


def test_tool_call_in_both_forms(quick):
    called = json.loads(chat(quick, tools=TOOLS, tool_choice="required").body)["choices"][0]
    arguments = called["message"]["tool_calls"][0]["function"]["arguments"]
    assert called["finish_reason"] == "tool_calls"
    assert json.loads(arguments)["list"] == [{"a": True}] and json.loads(arguments)["unit"] == "c"
    streamed = chat(quick, tools=TOOLS, tool_choice="required", stream=True)
    calls = [c for e in events(streamed) for c in e["choices"][0]["delta"].get("tool_calls", [])]
    assert "".join(c["function"]["arguments"] for c in calls) == arguments
    assert json.loads(chat(quick, tools=TOOLS).body)["choices"][0]["finish_reason"] == "stop"


def test_structured_output(quick):
    answer = chat(quick, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}})
    assert set(json.loads(text_of(answer))) == set(SCHEMA["properties"])


def test_plan_from_header_metadata_and_model(quick):
    refused = chat(quick, {"x-mock-status": "429", "x-mock-retry-after": "2", "x-mock-retry-after-ms": "1500",
                           "x-mock-should-retry": "false", "x-mock-headers": "1"})
    assert refused.status == 429 and refused.header("retry-after") == "2" and refused.header("retry-after-ms") == "1500"
    assert refused.header("x-should-retry") == "false" and refused.header("x-ratelimit-reset-requests") == "6m0s"
    assert [chat(quick, metadata={"mock": "status=503,times=2,key=k1"}).status for _ in range(3)] == [503, 503, 200]
    assert chat(quick, model="gpt-4.1-mini@status=409").status == 409


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["reset-head", "reset"])
def test_reset(quick, fault, stream):
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        chat(quick, {"x-mock-fault": fault}, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_stall(quick, stream):
    with pytest.raises(TimeoutError):
        chat(quick, {"x-mock-fault": "stall"}, timeout=0.5, stream=stream)


def test_faults_inside_a_stream(quick):
    assert b'data: {"error"' in chat(quick, {"x-mock-fault": "error"}, stream=True).body
    malformed = chat(quick, {"x-mock-fault": "malformed"}, stream=True).body
    assert b"broken" in malformed and malformed.endswith(b"[DONE]\n\n")
    assert b"[DONE]" not in chat(quick, {"x-mock-fault": "truncate"}, stream=True).body


def test_forms_of_the_body(quick):
    whole = text_of(chat(quick))
    assert gzip.decompress(chat(quick, {"x-mock-gzip": "1"}, stream=True).body).endswith(b"[DONE]\n\n")
    assert json.loads(gzip.decompress(chat(quick, {"x-mock-gzip": "1"}).body))["choices"][0]["message"]["content"] == whole
    assert chat(quick, {"x-mock-split": "7", "x-mock-split-gap": "0"}, stream=True).body.endswith(b"[DONE]\n\n")
    assert chat(quick, {"x-mock-chunked": "1"}).header("transfer-encoding") == "chunked"
    assert len(chat(quick, {"x-mock-body-bytes": "3000000"}).body) > 3000000


def test_echo_and_last(quick):
    echo = json.loads(chat(quick, {"x-mock-echo": "1", "X-Thing": "a b"}).body)
    assert ["X-Thing", "a b"] in echo["headers"] and b"hello" in base64.b64decode(echo["body_base64"])
    assert json.loads(ask(quick, "GET", "/stats/last").body)["body_base64"] == echo["body_base64"]


def test_embeddings(quick):
    def vectors(**members):
        body = {"model": "text-embedding-3-small", "dimensions": 8, **members}
        return [d["embedding"] for d in json.loads(ask(quick, "POST", "/v1/embeddings", body).body)["data"]]
    first, second, third = vectors(input=["a", "b", "a"])
    assert first == third != second and sum(x * x for x in first) == pytest.approx(1, abs=1e-5)
    packed = struct.unpack("<8f", base64.b64decode(vectors(input="a", encoding_format="base64")[0]))
    assert list(packed) == pytest.approx(first, abs=1e-7)
    assert len(vectors(input=[[1, 2], [3]])) == 2


def test_unknown_paths(quick):
    sent = b"z" * 3000001
    got = json.loads(ask(quick, "PUT", "/files/x?y=1", sent).body)
    assert got["length"] == len(sent) and got["sha256"] == hashlib.sha256(sent).hexdigest()
    taken = ask(quick, "GET", "/files?bytes=1000003").body
    assert taken == bytes(n % 251 for n in range(1000003))
    assert json.loads(ask(quick, "DELETE", "/x").body)["length"] == 0


@pytest.mark.parametrize("kind,outcome", [("plain", "end"), ("close-delimited", "end"), ("trailers", "end"), ("drip", "end"),
                                          ("empty", "end"), ("short", "end"), ("reset", "reset"), ("reset-stream", "reset")])
def test_raw(quick, kind, outcome):
    seen = "end"
    with socket.create_connection(("127.0.0.1", quick.raw), timeout=60) as peer:
        peer.sendall(b"POST /raw/%s/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" % kind.encode())
        try:
            while peer.recv(65536):
                pass
        except ConnectionResetError:
            seen = "reset"
    assert seen == outcome


def load(quick, *arguments):
    done = subprocess.run([BIN / "remora-bench", "load", "--url", quick.url, "--json", "--warmup", "0s", *arguments],
                          capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("op", ["chat", "completions", "responses", "messages"])
def test_load_checks_each_answer(quick, op):
    status, report = load(quick, "--op", op, "--count", "400", "--connections", "20", "--stream-share", "0.5", "--repeat-share", "0.5",
                          "--paraphrase-share", "0.5", "--check", "mock")
    counted = report["targets"][0]["rounds"][0]
    assert status == 0 and counted["ok"] == counted["requests"] == 400 and counted["failed"] == 0


def test_load_open_loop_two_targets_and_cancels(quick):
    status, report = load(quick, "--vs", quick.url, "--rate", "300", "--duration", "1s", "--rounds", "2", "--cancel-share", "0.3",
                          "--cancel-after", "1ms", "--failed-max", "0")
    rounds = [one for target in report["targets"] for one in target["rounds"]]
    assert status == 0 and len(rounds) == 4 and report["ratio"]["rps"]["of_medians"] > 0
    assert all(one["ok"] + one["cancelled"] == one["requests"] for one in rounds)


def test_load_counts_what_went_wrong(quick):
    status, report = load(quick, "--count", "100", "--connections", "4", "--header", "x-mock-status: 500")
    assert status == 1 and report["targets"][0]["rounds"][0]["errors"] == {"status": 100}
    status, report = load(quick, "--count", "100", "--connections", "4", "--streams", "4", "--header", "x-mock-fault: truncate")
    assert status == 1 and report["targets"][0]["rounds"][0]["errors"] == {"stream": 100}
    status, report = load(quick, "--count", "40", "--connections", "4", "--check", "equal")
    assert status == 1 and report["targets"][0]["rounds"][0]["errors"]["wrong"] > 0


def test_load_dates_events_by_the_kernels_stamps(quick):
    status, report = load(quick, "--streams", "8", "--count", "8", "--same", "--header", "x-mock-ttft: 300ms", "--header",
                          "x-mock-tps: 100", "--header", "x-mock-tokens: 20", "--check", "equal")
    seen = report["targets"][0]["rounds"][0]
    assert status == 0 and seen["ok"] == 8 and seen["lag_stamped_share"] == 1
    assert 0 < seen["lag_p50_us"] <= seen["lag_p99_us"] <= seen["lag_max_us"] and seen["lag_read_p99_us"] > 0
    status, report = load(quick, "--count", "8", "--connections", "8", "--same")
    assert status == 0 and report["targets"][0]["median"]["lag_stamped_share"] == 0  # no streams, nothing to date


def cpu_us(pid):
    """What the scheduler counted for every thread of the process."""
    return sum(int(path.read_text().split()[0]) for path in pathlib.Path(f"/proc/{pid}/task").glob("[0-9]*/schedstat")) / 1000


@pytest.mark.skipif(not pathlib.Path("/proc/self/schedstat").exists(), reason="the kernel counts no time by the nanosecond")
def test_load_counts_the_time_of_each_thread_once(quick):
    """The whole process cannot have used less in all than was counted for the window inside it."""
    before = cpu_us(quick.pid)
    status, report = load(quick, "--connections", "8", "--duration", "1s", "--pid", str(quick.pid))
    used, counted = cpu_us(quick.pid) - before, report["targets"][0]["rounds"][0]
    assert status == 0 and 0 < counted["target_cpu_us"] * counted["ok"] < 1.5 * used


def test_selftest():
    subprocess.run([BIN / "remora-bench", "selftest"], check=True, timeout=120)
