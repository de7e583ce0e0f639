"""The table of malformed inputs: what each must come to. Read by test_malformed.py.

HTTP     (name, bytes, outcome): a number is the status of a refusal: an error is answered, the connection closed, the upstream
         not asked. "ok" is well-formed after all and is answered 200. "late" is a fault in a body that may already be on its
         way: the caller is refused or cut off, and the upstream never sees a whole request. "cut" is a message that its
         sender ends in the middle: likewise.
JSON     (name, body, outcome): "400", or "through": the upstream gets these very bytes and its answer comes back.
STREAM   (name, bytes of the upstream's event stream, outcome): the caller gets these very bytes (the model has no price, so no
         usage.cost is added); "unstored" never becomes a
         hit, "stored" does.
"""

END = b"Host: x\r\nAuthorization: Bearer k\r\n\r\n"
HEAD = b"GET /v1/models HTTP/1.1\r\n"


def line(request_line):
    return request_line + b"\r\n" + END


def header(text, first=HEAD):
    return first + text + b"\r\n" + END


def post(headers, body=b""):
    return b"POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\n" + headers + END + body


GOOD = b'{"model":"gpt-4.1-mini","messages":[]}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def chunks(body, more=b""):
    return post(CHUNKED + more, body)


ONE = b"%x\r\n%s\r\n" % (len(GOOD), GOOD)

HTTP = [
    # ---- request line
    ("no method", line(b" /v1/models HTTP/1.1"), 400),
    ("lower-case method", line(b"get /v1/models HTTP/1.1"), 501),
    ("unknown method", line(b"FROB /v1/models HTTP/1.1"), 501),
    ("method with a slash", line(b"G/T /v1/models HTTP/1.1"), 400),
    ("method with a colon", line(b"GET: /v1/models HTTP/1.1"), 400),
    ("method alone", line(b"GET"), 400),
    ("method and blank", line(b"GET "), 400),
    ("no target", line(b"GET  HTTP/1.1"), 400),
    ("no version", line(b"GET /v1/models"), 505),
    ("blank in target", line(b"GET /v1/mo dels HTTP/1.1"), 400),
    ("tab in target", line(b"GET /v1/mo\tdels HTTP/1.1"), 400),
    ("tab before version", line(b"GET /v1/models\tHTTP/1.1"), 400),
    ("NUL in target", line(b"GET /v1/mo\0dels HTTP/1.1"), 400),
    ("DEL in target", line(b"GET /v1/mo\x7fdels HTTP/1.1"), 400),
    ("control in target", line(b"GET /v1/mo\x01dels HTTP/1.1"), 400),
    ("target without a slash", line(b"GET v1/models HTTP/1.1"), 400),
    ("version 0.9", line(b"GET /v1/models HTTP/0.9"), 505),
    ("version 1.2", line(b"GET /v1/models HTTP/1.2"), 505),
    ("version 2.0", line(b"GET /v1/models HTTP/2.0"), 505),
    ("version 11", line(b"GET /v1/models HTTP/11"), 505),
    ("version 1.10", line(b"GET /v1/models HTTP/1.10"), 400),
    ("version 1", line(b"GET /v1/models HTTP/1"), 505),
    ("version 1.", line(b"GET /v1/models HTTP/1."), 505),
    ("version letters", line(b"GET /v1/models HTTP/a.b"), 505),
    ("lower-case version", line(b"GET /v1/models http/1.1"), 400),
    ("misspelt version", line(b"GET /v1/models HTP/1.1"), 400),
    ("behind version", line(b"GET /v1/models HTTP/1.1 x"), 400),
    ("bare LF after request line", b"GET /v1/models HTTP/1.1\n" + END, 400),
    ("bare CR after request line", b"GET /v1/models HTTP/1.1\r" + END, 400),
    ("CR CR LF after request line", b"GET /v1/models HTTP/1.1\r\r\n" + END, 400),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40, 400),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("random bytes", bytes(range(128, 256)), 400),
    ("zeros", b"\0" * 64, 400),
    ("SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 501),
    ("SMTP", b"EHLO example\r\n\r\n", 501),
    ("target of 40 KiB", line(b"GET /" + b"a" * 40960 + b" HTTP/1.1"), 414),
    ("query of 40 KiB", line(b"GET /v1/models?" + b"q=1&" * 10240 + b" HTTP/1.1"), 414),
    ("a leading blank line", b"\r\n" + HEAD + END, "ok"),
    ("a response", b"HTTP/1.1 200 OK\r\n\r\n", 501),
    # ---- header lines
    ("blank before colon", header(b"X-A : b"), 400),
    ("tab before colon", header(b"X-A\t: b"), 400),
    ("no colon", header(b"X-A"), 400),
    ("no name", header(b": b"), 400),
    ("blank in name", header(b"X A: b"), 400),
    ("NUL in name", header(b"X\0A: b"), 400),
    ("DEL in name", header(b"X\x7fA: b"), 400),
    ("UTF-8 in name", header("X-Ä: b".encode()), 400),
    *[(f"{chr(c)} in name", header(b"X" + bytes([c]) + b"A: b"), 400) for c in b'"(),/;<=>?@[\\]{}'],
    ("NUL in value", header(b"X-A: b\0c"), 400),
    ("bare CR in value", header(b"X-A: b\rc"), 400),
    ("bare LF in value", header(b"X-A: b\nX-B: c"), 400),
    *[(f"control {c} in value", header(b"X-A: b" + bytes([c]) + b"c"), 400) for c in (1, 7, 8, 11, 12, 27, 31, 127)],
    ("obs-fold with blank", header(b"X-A: b\r\n c"), 400),
    ("obs-fold with tab", header(b"X-A: b\r\n\tc"), 400),
    ("obs-fold of Host", header(b"Host:\r\n y"), 400),
    ("blank before first header", HEAD + b" X-A: b\r\n" + END, 400),
    ("bare LF at the end", HEAD + b"Host: x\r\n\n", 400),
    ("CR CR LF in headers", header(b"X-A: b\r"), 400),
    ("two Hosts", header(b"Host: y"), 400),
    ("two equal Hosts", header(b"Host: x"), 400),
    ("no Host", HEAD + b"X-A: b\r\n\r\n", 400),
    ("129 headers", header(b"\r\n".join(b"X-%d: v" % n for n in range(129))), 431),
    ("header of 33 KiB", header(b"X-A: " + b"a" * 33792), 431),
    ("many headers of 40 KiB", header(b"\r\n".join(b"X-%d: " % n + b"v" * 1024 for n in range(40))), 431),
    ("name of 33 KiB", header(b"X" * 33792 + b": a"), 431),
    ("Latin-1 in value", header(b"X-A: \xe9"), "ok"),
    ("empty value", header(b"X-A:"), "ok"),
    ("tab in value", header(b"X-A: b\tc"), "ok"),
    # ---- Content-Length
    *[(f"length {text!r}", post(b"Content-Length: " + text + b"\r\n", GOOD), 400) for text in (
        b"-1", b"+38", b"38 38", b"38,38", b"38, 38", b"0x26", b"38a", b"a", b"38.0", b"3 8", b"1e2", b"\xef\xbc\x93",
        b"99999999999999999999", b"18446744073709551616", b"18446744073709551654", b"38;", b"\"38\"", b"38\x0b", b"--38", b"3_8")],
    ("no length", post(b"Content-Length: \r\n", GOOD), 400),
    ("length twice, equal", post(b"Content-Length: 38\r\nContent-Length: 38\r\n", GOOD), 400),
    ("length twice, other", post(b"Content-Length: 38\r\nContent-Length: 5\r\n", GOOD), 400),
    ("length twice, other case", post(b"Content-Length: 38\r\ncontent-length: 38\r\n", GOOD), 400),
    ("length over the limit", post(b"Content-Length: 33554433\r\n"), 413),
    ("length far over the limit", post(b"Content-Length: 9223372036854775807\r\n"), 413),
    # ---- Transfer-Encoding
    ("length and chunked", post(b"Content-Length: 38\r\n" + CHUNKED, ONE + b"0\r\n\r\n"), 400),
    ("chunked and length", post(CHUNKED + b"Content-Length: 38\r\n", ONE + b"0\r\n\r\n"), 400),
    ("chunked and length 0", post(CHUNKED + b"Content-Length: 0\r\n", ONE + b"0\r\n\r\n"), 400),
    *[(f"coding {text!r}", post(b"Transfer-Encoding: " + text + b"\r\n", ONE + b"0\r\n\r\n"), 501) for text in (
        b"gzip", b"identity", b"chunked, gzip", b"chunked, identity", b"xchunked", b"chunkedx", b"chunked;q=1", b"chunke",
        b"\"chunked\"", b"chunked,chunked", b"chunked, chunked", b"'chunked'", b"c hunked", b"null", b"cow")],
    *[(f"coding {text!r}", post(b"Transfer-Encoding: " + text + b"\r\n", ONE + b"0\r\n\r\n"), 400) for text in (
        b"\x0bchunked", b"chunked\x0b", b"chunked\0")],
    ("empty coding", post(b"Transfer-Encoding: \r\n", ONE + b"0\r\n\r\n"), 501),
    ("coding twice", post(CHUNKED + CHUNKED, ONE + b"0\r\n\r\n"), 501),
    ("coding twice, other", post(CHUNKED + b"Transfer-Encoding: identity\r\n", ONE + b"0\r\n\r\n"), 501),
    ("coding and blank before colon", post(b"Transfer-Encoding : chunked\r\n", ONE + b"0\r\n\r\n"), 400),
    ("chunked in HTTP/1.0", b"POST /v1/chat/completions HTTP/1.0\r\n" + CHUNKED + END + ONE + b"0\r\n\r\n", 501),
    ("chunked in capitals", post(b"TRANSFER-ENCODING: CHUNKED\r\n", ONE + b"0\r\n\r\n"), "ok"),
    # ---- chunks
    *[(f"chunk size {text!r}", chunks(text + b"\r\n" + GOOD + b"\r\n0\r\n\r\n"), "late") for text in (
        b"", b"-26", b"+26", b"0x26", b"g", b"26g", b" 26", b"2 6", b"26h;", b"\t26", b"26.0", b"FFFFFFFFFFFFFFFFF",
        b"10000000000000026", b"26\0", b"26\x0b", b"\xef\xbc\x92")],
    ("chunk size then bare LF", chunks(b"26\n" + GOOD + b"\r\n0\r\n\r\n"), "late"),
    ("chunk size then bare CR", chunks(b"26\r" + GOOD + b"\r\n0\r\n\r\n"), "late"),
    ("no CRLF after chunk", chunks(b"26\r\n" + GOOD + b"0\r\n\r\n"), "late"),
    ("bare LF after chunk", chunks(b"26\r\n" + GOOD + b"\n0\r\n\r\n"), "late"),
    ("bare CR after chunk", chunks(b"26\r\n" + GOOD + b"\r0\r\n\r\n"), "late"),
    ("chunk longer than it says", chunks(b"25\r\n" + GOOD + b"\r\n0\r\n\r\n"), "late"),
    ("chunk shorter than it says", chunks(b"27\r\n" + GOOD + b"\r\n0\r\n\r\n"), "late"),
    ("bare LF in extension", chunks(b"26;a=\nb\r\n" + GOOD + b"\r\n0\r\n\r\n"), "late"),
    ("bare CR in extension", chunks(b"26;a=\rb\r\n" + GOOD + b"\r\n0\r\n\r\n"), "late"),
    ("NUL in extension", chunks(b"26;a=\0\r\n" + GOOD + b"\r\n0\r\n\r\n"), "late"),
    ("extensions of 5 KiB", chunks(b"26;" + b"a" * 5120 + b"\r\n" + GOOD + b"\r\n0\r\n\r\n"), "late"),
    ("extensions of 5 KiB over many", chunks(b"".join(b"1;" + b"a" * 512 + b"\r\n \r\n" for _ in range(10)) + ONE + b"0\r\n\r\n"), "late"),
    ("bare LF last chunk", chunks(ONE + b"0\n\r\n"), "late"),
    ("bare LF at the very end", chunks(ONE + b"0\r\n\n"), "late"),
    ("trailer without colon", chunks(ONE + b"0\r\nX-A\r\n\r\n"), "late"),
    ("trailer with NUL", chunks(ONE + b"0\r\nX-A: \0\r\n\r\n"), "late"),
    ("trailer with obs-fold", chunks(ONE + b"0\r\nX-A: a\r\n b\r\n\r\n"), "late"),
    ("chunk extension", chunks(b"26;name=\"value\"\r\n" + GOOD + b"\r\n0\r\n\r\n"), "ok"),
    ("trailer", chunks(ONE + b"0\r\nX-A: a\r\n\r\n"), "ok"),
    ("chunk size with zeros", chunks(b"0000026\r\n" + GOOD + b"\r\n0\r\n\r\n"), "ok"),
    ("a cut body", post(b"Content-Length: 38\r\n", GOOD[:10]), "cut"),
    ("a cut chunk", chunks(b"26\r\n" + GOOD[:10]), "cut"),
    ("no last chunk", chunks(ONE), "cut"),
    ("cut in the head", b"POST /v1/chat/completions HTTP/1.1\r\nHos", "cut"),
    ("nothing at all", b"", "cut"),
]

M = b'"model":"gpt-4.1-mini","messages":[{"role":"user","content":"x"}]'

JSON = [(f"text {body[-24:]!r}", body, "400") for body in (
    b" ", b"{", b"}", b"[", b"]", b"{]", b"{}}", b"{}{}", b'"', b"'", b"nul", b"NaN", b"Infinity", b"tru", b"undefined", b"-", b"01",
    b"{" + M, b"{" + M + b",}", b"{" + M + b',"a"}', b"{" + M + b',"a":}', b"{" + M + b',"a":1,,"b":2}', b"{" + M + b',a:1}',
    b"{" + M + b",'a':1}", b"{" + M + b'"a":1}', b"{" + M + b',"a":01}', b"{" + M + b',"a":+1}', b"{" + M + b',"a":.5}',
    b"{" + M + b',"a":1.}', b"{" + M + b',"a":0x10}', b"{" + M + b',"a":NaN}', b"{" + M + b',"a":-Infinity}',
    b"{" + M + b',"a":1e}', b"{" + M + b',"a":--1}', b"{" + M + b',"a":"\\x"}', b"{" + M + b',"a":"\\u12"}',
    b"{" + M + b',"a":"\\u12G4"}', b"{" + M + b',"a":"\n"}', b"{" + M + b',"a":"\0"}', b"{" + M + b',"a":"b',
    b"{" + M + b'/* no */}', b"{" + M + b"} trailing", b"{" + M + b"}\0", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{", b"<xml/>", b"model=a")]
JSON += [(name, b"{" + M + b"," + more + b"}", "through") for name, more in (
    ("a doubled key", b'"temperature":0,"temperature":1'), ("a doubled key inside", b'"metadata":{"a":1,"a":2}'),
    ("depth 200", b'"x":' + b"[" * 200 + b"]" * 200), ("a huge exponent", b'"x":1e99999999999999999999'),
    ("a tiny exponent", b'"x":1e-99999999999999999999'), ("minus zero", b'"temperature":-0.0'),
    ("a long number", b'"x":' + b"9" * 4000), ("stream a number", b'"stream":1'), ("stream null", b'"stream":null'),
    ("n a string", b'"n":"2"'), ("n negative", b'"n":-1'), ("temperature a string", b'"temperature":"hot"'),
    ("stream_options a number", b'"stream_options":5'), ("stream_options null", b'"stream_options":null'),
    ("metadata a number", b'"metadata":7'), ("max_tokens a fraction", b'"max_tokens":1.5'),
    ("tools an object", b'"tools":{}'), ("an empty key", b'"":1'), ("an escaped key", b'"mod\\u0065l2":1'),
    ("a key with NUL", b'"a\\u0000b":1'))]
JSON += [(name, body, "through") for name, body in (
    ("model a number", b'{"model":5,"messages":[]}'), ("model missing", b'{"messages":[]}'), ("model null", b'{"model":null}'),
    ("messages a string", b'{"model":"m","messages":"hi"}'), ("messages null", b'{"model":"m","messages":null}'),
    ("an empty object", b"{}"), ("a model of 10 KiB", b'{"model":"' + b"m" * 10240 + b'","messages":[]}'))]


def chunk(choices, more=b""):
    return (b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"unpriced","choices":' + choices + more + b"}\n\n")


A = chunk(b'[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}]')
B = chunk(b'[{"index":0,"delta":{"content":"b"},"finish_reason":null}]')
STOP = chunk(b'[{"index":0,"delta":{},"finish_reason":"stop"}]')
USAGE = chunk(b"[]", b',"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}')
DONE = b"data: [DONE]\n\n"
WHOLE = A + B + STOP + USAGE + DONE

STREAM = [
    ("whole", WHOLE, "stored"),
    ("CRLF lines", WHOLE.replace(b"\n", b"\r\n"), "stored"),
    ("no blank after colon", WHOLE.replace(b"data: ", b"data:"), "stored"),
    ("comments between", b": hello\n\n" + WHOLE.replace(b"\n\ndata", b"\n\n: ping\n\ndata"), "stored"),
    ("id and retry fields", b"retry: 100\n\n" + WHOLE.replace(b"data: {", b"id: 1\ndata: {"), "stored"),
    ("nothing", b"", "unstored"),
    ("only blank lines", b"\n\n\n\n", "unstored"),
    ("only comments", b": a\n\n: b\n\n", "unstored"),
    ("only DONE", DONE, "unstored"),
    ("no DONE", A + B + STOP + USAGE, "unstored"),
    ("no finish", A + B + USAGE + DONE, "unstored"),
    ("ends in an event", A + B[:40], "unstored"),
    ("ends without blank line", A + B + STOP + USAGE + b"data: [DON", "unstored"),
    ("error event", A + b'data: {"error":{"message":"overloaded","type":"server_error","code":503}}\n\n' + DONE, "unstored"),
    ("error first", b'data: {"error":{"message":"overloaded","type":"server_error","code":503}}\n\n', "unstored"),
    ("error as event name", A + b'event: error\ndata: {"message":"x"}\n\n', "unstored"),
    ("not JSON", A + b"data: {oops\n\n" + STOP + DONE, "unstored"),
    ("not JSON at all", b"data: hello\n\ndata: world\n\n" + DONE, "unstored"),
    ("HTML", b"<html><body>502</body></html>", "unstored"),
    ("JSON without SSE", b'{"id":"c","choices":[]}', "unstored"),
    ("choices missing", A + b'data: {"id":"c"}\n\n', "unstored"),
    ("choices null", A + chunk(b"null"), "unstored"),
    ("choices a string", A + chunk(b'"x"'), "unstored"),
    ("delta a number", A + chunk(b'[{"index":0,"delta":5}]'), "unstored"),
    ("index a string", A + chunk(b'[{"index":"a","delta":{"content":"b"}}]'), "unstored"),
    ("index negative", A + chunk(b'[{"index":-1,"delta":{"content":"b"}}]'), "unstored"),
    ("index huge", A + chunk(b'[{"index":4000000000,"delta":{"content":"b"}}]'), "unstored"),
    ("finish length", A + STOP.replace(b'"stop"', b'"length"') + DONE, "unstored"),
    ("finish content_filter", A + STOP.replace(b'"stop"', b'"content_filter"') + DONE, "unstored"),
    ("finish unknown type", A + STOP.replace(b'"stop"', b"7"), "unstored"),
    ("usage a string", A + b'data: {"choices":[],"usage":"x"}\n\n', "unstored"),
    ("NUL bytes", A + b"data: \0\0\0\n\n", "unstored"),
    ("invalid UTF-8", A + b"data: \xff\xfe\n\n", "unstored"),
    ("lone surrogate, cut", A + chunk(b'[{"index":0,"delta":{"content":"\\ud83d"},"finish_reason":null}]'), "unstored"),
    ("a colon alone", b":\n\n" + A, "unstored"),
    ("field without colon", b"data\n\n" + A, "unstored"),
    ("unknown fields", b"x: y\nz\n\n" + A, "unstored"),
    ("a line of 1 MiB", A + b"data: " + b"x" * 1048576 + b"\n\n", "unstored"),
    ("10,000 empty events", b"data:\n\n" * 10000, "unstored"),
    ("two answers' ids", A + B.replace(b'"c"', b'"d"'), "unstored"),
    ("tool call without index", A + chunk(b'[{"index":0,"delta":{"tool_calls":[{"function":{"arguments":"{"}}]}}]'), "unstored"),
    ("tool calls a string", A + chunk(b'[{"index":0,"delta":{"tool_calls":"x"}}]'), "unstored"),
    ("deep event", A + b"data: " + b"[" * 5000 + b"]" * 5000 + b"\n\n", "unstored"),
    ("a BOM, cut", b"\xef\xbb\xbf" + A, "unstored"),
]
