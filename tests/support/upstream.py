"""A provider made of a thread and a script: it records every byte it is sent and answers as the test says.

Where remora-bench mock is a fast and plausible provider, this one is exact: a test sees the raw head and body of each request,
chooses each write of the answer, and learns when its peer went away. Every answer differs from the one before, so an answer
that comes twice came from a cache.
"""
import json
import select
import socket
import threading
import time


class Request:
    def __init__(self, method, target, head, headers, body):
        self.method, self.target, self.head, self.body = method, target, head, body
        self.headers = headers  # list of (name, value) as sent
        self.left = threading.Event()  # the peer closed before the answer was whole
        self.answered = threading.Event()

    def header(self, name, default=None):
        return next((v for n, v in self.headers if n.lower() == name.lower()), default)

    @property
    def json(self):
        return json.loads(self.body)


class Gone(Exception):
    """The peer closed the connection."""


class Answer:
    """Handed to a script: writes to the peer, noticing its departure."""

    def __init__(self, sock, request):
        self.sock, self.request = sock, request

    def write(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Gone from error

    def abort(self):
        """Closes the connection in the middle of the answer."""
        self.sock.shutdown(socket.SHUT_RDWR)
        raise Gone

    def sleep(self, seconds):
        """Waits; raises Gone as soon as the peer closes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            readable, _, _ = select.select([self.sock], [], [], min(left, 0.5))
            if readable and self.sock.recv(1, socket.MSG_PEEK) == b"":
                raise Gone

    def head(self, status=200, headers=(), reason="OK"):
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{n}: {v}" for n, v in headers)]
        self.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def whole(self, body, status=200, headers=(), content_type="application/json"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.head(status, [("content-type", content_type), ("content-length", len(body)), *headers], "Status")
        self.write(body if self.request.method != "HEAD" else b"")

    def begin_stream(self, headers=()):
        self.head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked"), *headers])

    def chunk(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        self.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def event(self, data):
        self.chunk("data: " + (data if isinstance(data, str) else json.dumps(data)) + "\n\n")

    def end_stream(self):
        self.write(b"0\r\n\r\n")


USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}


class Upstream:
    """`script(request, answer)` may be replaced at any time; None means the default provider."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests, self.lock, self.script = [], threading.Lock(), None
        self.connections = set()
        self.delay = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    # ---- what tests look at
    @property
    def count(self):
        with self.lock:
            return len(self.requests)

    @property
    def last(self):
        with self.lock:
            return self.requests[-1]

    def wait_count(self, count, timeout=20):
        end = time.monotonic() + timeout
        while self.count < count:
            assert time.monotonic() < end, f"the upstream was asked {self.count} times, not {count}"
            time.sleep(0.01)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which close() does not
        self.listener.close()
        for sock in list(self.connections):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # ---- connections
    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        reader = sock.makefile("rb")
        try:
            while (request := self._read(reader, sock)) is not None:
                with self.lock:
                    self.requests.append(request)
                try:
                    (self.script or self.default)(request, Answer(sock, request))
                except Gone:
                    request.left.set()
                    return
                request.answered.set()
        except OSError:
            pass
        finally:
            self.connections.discard(sock)
            reader.close()
            sock.close()

    @staticmethod
    def _read(reader, sock):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return None
            head += line
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        known = {n.lower(): v for n, v in headers}
        if known.get("expect", "").lower() == "100-continue":
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if known.get("transfer-encoding", "").lower() == "chunked":
            body = bytearray()
            while size := int(reader.readline().split(b";")[0], 16):
                body += reader.read(size)
                reader.readline()
            body = bytes(body)
            while reader.readline() not in (b"\r\n", b""):
                pass
        else:
            body = reader.read(int(known.get("content-length", 0)))
        return Request(method, target, head, headers, body)

    # ---- the default provider
    def default(self, request, answer):
        if self.delay:
            answer.sleep(self.delay)
        number = self.count
        path = request.target.split("?")[0]
        maker = {"/v1/chat/completions": chat, "/v1/completions": completion, "/v1/embeddings": embedding,
                 "/v1/responses": response, "/v1/messages": message}.get(path)
        if path == "/v1/models":
            answer.whole({"object": "list", "data": [{"id": "gpt-4.1-mini", "object": "model", "owned_by": "test"}]})
        elif maker is None or request.method != "POST":
            answer.whole({"path": request.target, "number": number})
        else:
            try:
                body = json.loads(request.body.decode(), parse_constant=refuse)
            except ValueError:
                answer.whole({"error": {"message": "not JSON", "type": "invalid_request_error", "code": 400}}, 400)
                return
            maker(body if isinstance(body, dict) else {}, number, answer)


def refuse(constant):
    raise ValueError(constant)  # NaN and Infinity, which Python's parser would take


def words(number):
    return [f"answer {number}", ": ", "naïve ", "日本", "語 ", "end"]


def chat(body, number, answer):
    head = {"id": f"chatcmpl-{number}", "created": 1700000000 + number, "model": body.get("model", "none")}
    if not body.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(words(number)), "refusal": None},
                  "finish_reason": "stop", "logprobs": None}
        answer.whole({**head, "object": "chat.completion", "choices": [choice], "usage": USAGE})
        return
    asked = (body.get("stream_options") or {}).get("include_usage")
    null = {"usage": None} if asked else {}
    chunk = {**head, "object": "chat.completion.chunk"}
    deltas = [{"role": "assistant", "content": ""}] + [{"content": w} for w in words(number)]
    answer.begin_stream()
    for delta in deltas:
        answer.event({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **null})
    answer.event({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **null})
    if asked:
        answer.event({**chunk, "choices": [], "usage": USAGE})
    answer.event("[DONE]")
    answer.end_stream()


def completion(body, number, answer):
    head = {"id": f"cmpl-{number}", "object": "text_completion", "created": 1700000000, "model": body.get("model", "none")}
    text = "".join(words(number))
    if not body.get("stream"):
        answer.whole({**head, "choices": [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}],
                      "usage": USAGE})
        return
    answer.begin_stream()
    for word in words(number):
        answer.event({**head, "choices": [{"index": 0, "text": word, "finish_reason": None}]})
    answer.event({**head, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        answer.event({**head, "choices": [], "usage": USAGE})
    answer.event("[DONE]")
    answer.end_stream()


def embedding(body, number, answer):
    given = body.get("input", "")
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    data = [{"object": "embedding", "index": i, "embedding": [0.25, -0.5, float(number)]} for i in range(count)]
    answer.whole({"object": "list", "data": data, "model": body.get("model", "none"),
                  "usage": {"prompt_tokens": 8, "total_tokens": 8}})


RESPONSE_USAGE = {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 500,
                  "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1500}


def response(body, number, answer):
    text = "".join(words(number))
    item = {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}
    base = {"id": f"resp_{number}", "object": "response", "created_at": 1700000000 + number, "status": "in_progress",
            "model": body.get("model", "none"), "output": [], "error": None, "incomplete_details": None,
            "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto",
            "tools": [], "top_p": 1.0, "store": body.get("store", True), "usage": None}
    whole = {**base, "status": "completed", "output": [item], "usage": RESPONSE_USAGE}
    if not body.get("stream"):
        answer.whole(whole)
        return
    where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    events = [{"type": "response.created", "response": base}, {"type": "response.in_progress", "response": base},
              {"type": "response.output_item.added", "output_index": 0,
               "item": {**item, "status": "in_progress", "content": []}},
              {"type": "response.content_part.added", **where, "part": empty}]
    events += [{"type": "response.output_text.delta", **where, "delta": w, "logprobs": []} for w in words(number)]
    events += [{"type": "response.output_text.done", **where, "text": text, "logprobs": []},
               {"type": "response.content_part.done", **where, "part": item["content"][0]},
               {"type": "response.output_item.done", "output_index": 0, "item": item},
               {"type": "response.completed", "response": whole}]
    answer.begin_stream()
    for sequence, event in enumerate(events):
        answer.chunk(f"event: {event['type']}\ndata: " + json.dumps({**event, "sequence_number": sequence}) + "\n\n")
    answer.end_stream()


MESSAGE_USAGE = {"input_tokens": 1000, "output_tokens": 500, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def message(body, number, answer):
    base = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": body.get("model", "none"),
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**MESSAGE_USAGE, "output_tokens": 1}}
    if not body.get("stream"):
        answer.whole({**base, "content": [{"type": "text", "text": "".join(words(number))}], "stop_reason": "end_turn",
                      "usage": MESSAGE_USAGE})
        return
    events = [{"type": "message_start", "message": base},
              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
              {"type": "ping"}]
    events += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in words(number)]
    events += [{"type": "content_block_stop", "index": 0},
               {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 500}},
               {"type": "message_stop"}]
    answer.begin_stream()
    for event in events:
        answer.chunk(f"event: {event['type']}\ndata: " + json.dumps(event) + "\n\n")
    answer.end_stream()
