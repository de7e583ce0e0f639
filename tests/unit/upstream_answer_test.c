/* What is sent and what comes back: methods, header lines, bodies, framings, codings, broken answers. */
#include "upstream_harness.h"

#define STEPS(...) (const fake_step[]){__VA_ARGS__}, sizeof((const fake_step[]){__VA_ARGS__}) / sizeof(fake_step)

static void expect_failure(const fake_step *step, rm_status status, bool head_sent)
{
    bench b;
    asked a = {0};
    fake_upstream *server = fake_start(step, 1, NULL);
    rm_upstream_request request = post_of(server, "{}");

    bench_open(&b, NULL);
    ask(&b, &a, &request);
    if (a.result.status != status)
        fail_msg("%s: %s", rm_status_name(a.result.status), a.result.text);
    assert_int_equal(a.result.head_sent, head_sent);
    assert_true(a.result.text[0] != '\0');
    assert_int_equal(rm_upstream_client_stats(b.client).failures, 1);
    bench_close(&b);
    fake_stop(server);
}

/* ---- requests ------------------------------------------------------------------------------------------------------ */

static const rm_header some_headers[] = {
    {{"X-First", 7}, {"1", 1}},
    {{"authorization", 13}, {"Bearer k", 8}},
    {{"X-Empty", 7}, {"", 0}},
    {{"X-Twice", 7}, {"a", 1}},
    {{"X-Twice", 7}, {"b", 1}},
    {{"Content-Length", 14}, {"999", 3}},
    {{"Transfer-Encoding", 17}, {"chunked", 7}},
    {{"x-last", 6}, {"a:b;c", 5}},
};

static void test_header_lines(void **state)
{
    bench b;
    asked a = {0};
    char want[512];
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{\"a\":1}");

    (void)state;
    request.url = url_of(server, "/v1/../x/./y?q=%20&z");
    request.headers = some_headers;
    request.header_count = RM_COUNT(some_headers);
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.data, "ok");
    assert_int_equal(a.content_length, 2);
    assert_int_equal(a.result.tries, 1);
    snprintf(want, sizeof(want),
             "POST /v1/../x/./y?q=%%20&z HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-First: 1\r\nauthorization: Bearer k\r\n"
             "X-Empty:\r\nX-Twice: a\r\nX-Twice: b\r\nx-last: a:b;c\r\nContent-Length: 7\r\n\r\n",
             server->port);
    assert_string_equal(server->last_head, want);
    assert_string_equal(server->last_body, "{\"a\":1}");
    bench_close(&b);
    fake_stop(server);
}

static const struct {
    const char *method, *body, *framing;
} methods[] = {
    {"GET", NULL, ""},
    {"POST", "x", "Content-Length: 1\r\n"},
    {"DELETE", NULL, ""},
    {"DELETE", "x", "Content-Length: 1\r\n"},
    {"OPTIONS", NULL, ""},
    {"POST", NULL, "Content-Length: 0\r\n"},
    {"POST", "", "Content-Length: 0\r\n"},
    {"PUT", "xy", "Content-Length: 2\r\n"},
    {"PATCH", "xy", "Content-Length: 2\r\n"},
    {"GET", "q", "Content-Length: 1\r\n"},
    {"GET", NULL, ""},
};

/* One after another on one connection and one curl handle, so that nothing of one request stays for the next. */
static void test_methods(void **state)
{
    bench b;
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);

    (void)state;
    bench_open(&b, NULL);
    for (size_t i = 0; i < RM_COUNT(methods); i++) {
        asked a = {0};
        char want[256];
        rm_upstream_request request = post_of(server, methods[i].body);
        request.method = methods[i].method;
        request.has_body = methods[i].body != NULL;
        ask(&b, &a, &request);
        assert_int_equal(a.result.status, RM_OK);
        snprintf(want, sizeof(want), "%s /v1/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", methods[i].method,
                 server->port, methods[i].framing);
        assert_string_equal(server->last_head, want);
        assert_string_equal(server->last_body, methods[i].body ? methods[i].body : "");
    }
    assert_int_equal(server->accepted, 1);
    assert_int_equal(rm_upstream_client_stats(b.client).connections, 1);
    bench_close(&b);
    fake_stop(server);
}

static void test_head_method(void **state)
{
    bench b;
    asked a = {0}, a2 = {0};
    fake_upstream *server =
        fake_start(STEPS({"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Encoding: gzip\r\n\r\n", 0, NULL},
                         {OK_REPLY, 0, NULL}),
                   NULL);
    rm_upstream_request request = post_of(server, "ignored");

    (void)state;
    request.method = "HEAD";
    request.decode = true;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(a.content_length, 5000);
    assert_false(a.decoded);
    assert_int_equal(a.data_bytes, 0);
    assert_int_equal(strncmp(server->last_head, "HEAD /v1/x ", 11), 0);
    request.method = "POST";
    ask(&b, &a2, &request);
    assert_string_equal(server->last_body, "ignored");
    assert_string_equal(a2.data, "ok");
    assert_int_equal(server->accepted, 1);
    bench_close(&b);
    fake_stop(server);
}

/* No "Expect: 100-continue" and no cut at curl's buffer sizes. */
static void test_large_body(void **state)
{
    enum { BYTES = 3 * 1024 * 1024 };
    bench b;
    asked a = {0};
    unsigned long sum = 0;
    char *body = malloc(BYTES);
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "");

    (void)state;
    for (size_t i = 0; i < BYTES; i++) {
        body[i] = (char)(i * 2654435761u >> 13);
        sum = sum * 31 + (unsigned char)body[i];
    }
    request.body = rm_slice_make(body, BYTES);
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(server->last_body_bytes, BYTES);
    assert_int_equal(server->last_body_sum, sum);
    assert_null(fake_header(server->last_head, "expect"));
    bench_close(&b);
    fake_stop(server);
    free(body);
}

static void test_refused_requests(void **state)
{
    static const char *const urls[] = {"",
                                       "ftp://x/",
                                       "http://",
                                       "http:///x",
                                       "https://",
                                       "http://a/b c",
                                       "x",
                                       "http://a/\n",
                                       "file:///etc/passwd",
                                       "http://a:99999999/",
                                       "http://[::1/"};
    static const char *const verbs[] = {"", "GET /", "A\r\nB", "ABCDEFGHIJKLMNOPQ", "get"};
    static const rm_header bad[] = {
        {{"A", 1}, {"x\r\ny", 4}}, {{"A\n", 2}, {"x", 1}}, {{"", 0}, {"x", 1}}, {{"A", 1}, {"\0", 1}}};
    bench b;
    asked a = {0};

    (void)state;
    bench_open(&b, NULL);
    for (size_t i = 0; i < RM_COUNT(urls); i++) {
        rm_upstream_request request = {.method = "GET", .url = urls[i]};
        assert_int_equal(ask_start(&b, &a, &request), RM_EINVAL);
    }
    for (size_t i = 0; i < RM_COUNT(verbs); i++) {
        rm_upstream_request request = {.method = verbs[i], .url = "http://127.0.0.1:1/"};
        assert_int_equal(ask_start(&b, &a, &request), RM_EINVAL);
    }
    for (size_t i = 0; i < RM_COUNT(bad); i++) {
        rm_upstream_request request = {
            .method = "GET", .url = "http://127.0.0.1:1/", .headers = &bad[i], .header_count = 1};
        assert_int_equal(ask_start(&b, &a, &request), RM_EINVAL);
    }
    assert_int_equal(rm_upstream_client_active(b.client), 0);
    bench_close(&b);
    assert_int_equal(a.dones, 0);
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *reply;
    unsigned flags;
    int status;
    int64_t content_length;
    const char *head, *data;
} answers[] = {
    {OK_REPLY, 0, 200, 2, "Content-Length: 2\n", "ok"},
    {"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", 0, 204, -1, "X: y\n", ""},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", 0, 404, 4, "Content-Length: 4\n", "nope"},
    {"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 0, 500, 0, "Content-Length: 0\n", ""},
    {"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", 0, 302, 0, "Location: /y\nContent-Length: 0\n",
     ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: t\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n",
     0, 200, -1, "Transfer-Encoding: chunked\nTrailer: t\n", "abcde"},
    {"HTTP/1.1 100 Continue\r\nI: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_REPLY, 0, 200, 2,
     "Content-Length: 2\n", "ok"},
    {"HTTP/1.1 200 OK\r\nX-A:   spaced \t \r\nx-b:\r\nX-A: two\r\nContent-Length: 2\r\n\r\nok", 0, 200, 2,
     "X-A: spaced\nx-b: \nX-A: two\nContent-Length: 2\n", "ok"},
    {"HTTP/1.1 200 OK\r\nX-Fold: one\r\n two\r\nContent-Length: 2\r\n\r\nok", 0, 200, 2,
     "X-Fold: one two\nContent-Length: 2\n", "ok"},
    {"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 2\r\n\r\nno", 0, 401, 2,
     "WWW-Authenticate: Basic realm=x\nContent-Length: 2\n", "no"},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", FAKE_CLOSE, 200, -1, "Connection: close\n",
     "until the end"},
    {"HTTP/1.0 200 OK\r\n\r\nold", FAKE_CLOSE, 200, -1, "", "old"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", FAKE_CLOSE, 200, 2, "Content-Length: 2\n", "ok"},
};

static void test_answers(void **state)
{
    bench b;

    (void)state;
    bench_open(&b, NULL);
    for (size_t i = 0; i < RM_COUNT(answers); i++) {
        asked a = {0};
        fake_step step = {answers[i].reply, answers[i].flags, NULL};
        fake_upstream *server = fake_start(&step, 1, NULL);
        rm_upstream_request request = post_of(server, "{}");
        ask(&b, &a, &request);
        if (a.result.status != RM_OK)
            fail_msg("%zu: %s", i, a.result.text);
        assert_int_equal(a.status, answers[i].status);
        assert_int_equal(a.content_length, answers[i].content_length);
        assert_string_equal(a.head, answers[i].head);
        assert_string_equal(a.data, answers[i].data);
        fake_stop(server);
    }
    bench_close(&b);
}

static const struct {
    fake_step step;
    rm_status status;
    bool head_sent;
} broken[] = {
    {{NULL, FAKE_CLOSE, NULL}, RM_ERESET, false},
    {{NULL, FAKE_RESET, NULL}, RM_ERESET, false},
    {{"HTTP/1.1 200 OK\r\nContent-Le", FAKE_CLOSE, NULL}, RM_ERESET, false},
    {{"HTTP/1.1 100 Continue\r\n\r\n", FAKE_CLOSE, NULL}, RM_ERESET, false},
    {{"SSH-2.0-OpenSSH\r\n", FAKE_CLOSE, NULL}, RM_EPROTO, false},
    {{"\x16\x03\x01\x02\r\n\r\n", FAKE_CLOSE, NULL}, RM_EPROTO, false},
    {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", FAKE_CLOSE, NULL}, RM_ERESET, true},
    {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", FAKE_RESET, NULL}, RM_ERESET, true},
    {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", FAKE_CLOSE, NULL}, RM_ERESET, true},
    {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", FAKE_RESET, NULL}, RM_ERESET, true},
    {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-\r\nhello\r\n", FAKE_CLOSE, NULL}, RM_EPROTO, true},
};

static void test_broken_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(broken); i++) {
        bool inside = broken[i].status == RM_EPROTO && broken[i].head_sent; /* curl calls it a broken connection */
        expect_failure(&broken[i].step, inside && harness_curl_only ? RM_ERESET : broken[i].status,
                       broken[i].head_sent);
    }
}

static void serve_big_head(fake_conn *conn, void *user)
{
    char line[128];

    fake_send_text(conn, "HTTP/1.1 200 OK\r\n");
    for (size_t sent = 0; sent < *(size_t *)user;) {
        int len = snprintf(line, sizeof(line), "X-Filler: %0100d\r\n", 7);
        fake_send(conn, line, (size_t)len);
        sent += (size_t)len - 1;
    }
    fake_send_text(conn, "Content-Length: 2\r\n\r\nok");
}

/* RM_UPSTREAM_HEADER_BYTES_MAX cannot be reached below RM_HEADER_COUNT_MAX lines of 111 bytes: lines first. */
static void test_head_limits(void **state)
{
    static const struct {
        size_t bytes;
        rm_status status;
    } cases[] = {{111 * (RM_HEADER_COUNT_MAX - 1), RM_OK},
                 {111 * RM_HEADER_COUNT_MAX, RM_EPROTO},
                 {RM_UPSTREAM_HEADER_BYTES_MAX, RM_EPROTO}};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        bench b;
        asked a = {0};
        size_t bytes = cases[i].bytes;
        fake_upstream *server = fake_start(STEPS({NULL, FAKE_CLOSE, serve_big_head}), &bytes);
        rm_upstream_request request = post_of(server, "{}");
        bench_open(&b, NULL);
        ask(&b, &a, &request);
        assert_int_equal(a.result.status, cases[i].status);
        bench_close(&b);
        fake_stop(server);
    }
}

static void test_refused_connection(void **state)
{
    bench b;
    asked a = {0};
    int port = 0, fd = fake_listen(&port);
    char url[64];

    (void)state;
    close(fd);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    rm_upstream_request request = {.method = "GET", .url = url};
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_ECONNECT);
    assert_int_equal(a.result.tries, 1);
    assert_int_equal(a.result.first_byte_ms, 0);
    bench_close(&b);
}

/* Addresses that refuse before one that answers: the descriptor of the first is closed behind our back and reused. */
static void test_second_address(void **state)
{
    bench b;
    asked a = {0};
    char url[64];
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    snprintf(url, sizeof(url), "http://localhost:%d/", server->port); /* ::1 first, where there is one */
    request.url = url;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(rm_upstream_client_stats(b.client).connections, 1);
    bench_close(&b);
    fake_stop(server);
}

static void test_unknown_name(void **state)
{
    bench b;
    asked a = {0};
    rm_upstream_request request = {.method = "GET", .url = "http://nowhere.invalid/"};

    (void)state;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_ECONNECT);
    bench_close(&b);
}

/* ---- content codings ------------------------------------------------------------------------------------------------- */

#define PLAIN "plain plain plain plain plain plain plain"
static const unsigned char gzipped[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
                                        0x2b, 0xc8, 0x49, 0xcc, 0xcc, 0x53, 0x28, 0x20, 0x4c, 0x02,
                                        0x00, 0xa1, 0x32, 0xd1, 0x0a, 0x29, 0x00, 0x00, 0x00};

/* `user` stands in the Content-Encoding header before the bytes above. */
static void serve_coded(fake_conn *conn, void *user)
{
    char head[256];

    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nX: y\r\nContent-Length: %zu\r\n\r\n",
             (const char *)user, sizeof(gzipped));
    fake_send_text(conn, head);
    fake_send(conn, gzipped, sizeof(gzipped));
}

static const struct {
    const char *accept, *coding;
    bool decode, decoded;
} codings[] = {
    {"gzip, deflate", "gzip", true, true},
    {"gzip, deflate, br, zstd", "GZIP", true, true},
    {"gzip;q=1.0, identity;q=0.5", "x-gzip", true, true},
    {NULL, "gzip", true, true},
    {NULL, "identity, gzip", true, true},
    {"gzip", "gzip", false, false},
    {"gzip, dcb", "gzip", true, false},    /* the answer may come in one that curl cannot undo */
    {"*", "gzip", true, false},            /* likewise */
    {"gzip", "x-unheard-of", true, false}, /* it does, though not asked for */
    {"gzip", "gzip, x-unheard-of", true, false},
    {"gzip", "identity", true, false},
    {"gzip", "gzip", true, true}, /* and what was switched off is on again */
};

static void test_codings(void **state)
{
    bench b;
    rm_upstream_client_options options = harness_options();

    (void)state;
    options.curl_only = true;
    bench_open(&b, &options);
    for (size_t i = 0; i < RM_COUNT(codings); i++) {
        asked a = {0};
        char coding[64], want[64];
        rm_header accept = {RM_SLICE("Accept-Encoding"), rm_slice_cstr(codings[i].accept)};
        snprintf(coding, sizeof(coding), "%s", codings[i].coding);
        fake_upstream *server = fake_start(STEPS({NULL, 0, serve_coded}), coding);
        rm_upstream_request request = post_of(server, "{}");
        request.headers = &accept;
        request.header_count = codings[i].accept ? 1 : 0;
        request.decode = codings[i].decode;
        ask(&b, &a, &request);
        if (a.result.status != RM_OK)
            fail_msg("%zu: %s", i, a.result.text);
        const char *sent = fake_header(server->last_head, "accept-encoding");
        assert_int_equal(sent != NULL, codings[i].accept != NULL);
        if (sent)
            assert_int_equal(strncmp(sent, codings[i].accept, strlen(codings[i].accept)), 0);
        assert_int_equal(a.decoded, codings[i].decoded);
        if (codings[i].decoded) {
            assert_string_equal(a.data, PLAIN);
            assert_string_equal(a.head, "X: y\n");
            assert_int_equal(a.content_length, -1);
        } else {
            assert_int_equal(a.data_bytes, sizeof(gzipped));
            assert_memory_equal(a.data, gzipped, sizeof(gzipped));
            snprintf(want, sizeof(want), "Content-Encoding: %s\nX: y\nContent-Length: 29\n", codings[i].coding);
            assert_string_equal(a.head, want);
        }
        fake_stop(server);
    }
    bench_close(&b);
}

static void test_damaged_coding(void **state)
{
    bench b;
    asked a = {0};
    fake_upstream *server = fake_start(
        STEPS({"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!", 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");
    rm_upstream_client_options options = harness_options();

    (void)state;
    options.curl_only = true;
    request.decode = true;
    bench_open(&b, &options);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_EPROTO);
    assert_true(a.result.head_sent);
    bench_close(&b);
    fake_stop(server);
}

/* Direct: who wants it decoded asks for none; one that comes all the same is passed on. */
static void test_direct_coding(void **state)
{
    bench b;
    char coding[] = "gzip";
    rm_header accept = {RM_SLICE("Accept-Encoding"), RM_SLICE("gzip")};
    rm_upstream_client_options options = harness_options();

    (void)state;
    options.curl_only = false;
    bench_open(&b, &options);
    for (unsigned decode = 0; decode < 2; decode++) {
        asked a = {0};
        fake_upstream *server = fake_start(STEPS({NULL, 0, serve_coded}), coding);
        rm_upstream_request request = post_of(server, "{}");
        request.headers = &accept;
        request.header_count = 1;
        request.decode = decode;
        ask(&b, &a, &request);
        assert_int_equal(a.result.status, RM_OK);
        assert_int_equal(strncmp(fake_header(server->last_head, "accept-encoding"), decode ? "identity" : "gzip", 4),
                         0);
        assert_false(a.decoded);
        assert_int_equal(a.data_bytes, sizeof(gzipped));
        assert_string_equal(a.head, "Content-Encoding: gzip\nX: y\nContent-Length: 29\n");
        fake_stop(server);
    }
    bench_close(&b);
}

/* ---- a reader that waits -------------------------------------------------------------------------------------------- */

static int listen_small(int *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), bytes = 4096;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* Reads one request's head, in small pieces and late, and answers it; the head's length. */
static size_t read_late(bench *b, const asked *a, int listener, int *fd)
{
    size_t bytes = 0;
    char piece[2048], tail[4] = {0};

    for (unsigned i = 0; i < 200; i++) {
        uv_run(b->uv, UV_RUN_NOWAIT);
        usleep(1000);
    }
    while (*fd < 0 && (*fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) < 0)
        uv_run(b->uv, UV_RUN_NOWAIT);
    while (memcmp(tail, "\r\n\r\n", 4) != 0) {
        assert_int_equal(a->dones, 0);
        uv_run(b->uv, UV_RUN_NOWAIT);
        ssize_t got = recv(*fd, piece, sizeof(piece), 0);
        for (ssize_t i = 0; i < got; i++) {
            memmove(tail, tail + 1, 3);
            tail[3] = piece[i];
        }
        bytes += got > 0 ? (size_t)got : 0;
    }
    assert_int_equal(send(*fd, OK_REPLY, sizeof(OK_REPLY) - 1, MSG_NOSIGNAL), sizeof(OK_REPLY) - 1);
    return bytes;
}

/* The client's sockets to that port take little at once from here on. */
static void shrink_sockets(int port)
{
    int bytes = 1;

    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t len = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && ntohs(peer.sin_port) == port)
            assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
    }
}

/* A head that the socket does not take at once, again and again on a kept connection. */
static void test_head_in_pieces(void **state)
{
    enum { MANY = 15 * 1024, LINES = 4 };
    static char filler[MANY];
    bench b;
    char url[64];
    int port, fd = -1, listener = listen_small(&port);
    rm_header headers[LINES];

    (void)state;
    memset(filler, 'x', sizeof(filler));
    for (unsigned i = 0; i < LINES; i++)
        headers[i] = (rm_header){RM_SLICE("X-Filler"), rm_slice_make(filler, sizeof(filler))};
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    rm_upstream_request request = {.method = "GET", .url = url, .headers = headers, .header_count = LINES};
    bench_open(&b, NULL);
    for (unsigned i = 0; i < 3; i++) {
        asked a = {0};
        assert_int_equal(ask_start(&b, &a, &request), RM_OK);
        assert_true(read_late(&b, &a, listener, &fd) > LINES * MANY);
        bench_until(&b, &a.dones, 1);
        assert_int_equal(a.result.status, RM_OK);
        shrink_sockets(port);
    }
    assert_int_equal(rm_upstream_client_stats(b.client).connections_opened, 1);
    bench_close(&b);
    close(fd);
    close(listener);
}

/* A head of exactly the limit goes out whole, in pieces as well; one byte more is refused. */
static void test_head_at_the_limit(void **state)
{
    static char filler[RM_UPSTREAM_REQUEST_HEAD_BYTES_MAX + 1];
    bench b;
    asked a = {0};
    char url[64];
    int port, fd = -1, listener = listen_small(&port);

    (void)state;
    memset(filler, 'x', sizeof(filler));
    size_t room = RM_UPSTREAM_REQUEST_HEAD_BYTES_MAX - (size_t)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    rm_header header = {RM_SLICE("X"), rm_slice_make(filler, room - sizeof("X: \r\n") + 1)};
    rm_upstream_request request = {.method = "GET", .url = url, .headers = &header, .header_count = 1};
    bench_open(&b, NULL);
    assert_int_equal(ask_start(&b, &a, &request), RM_OK);
    assert_true(read_late(&b, &a, listener, &fd) > header.value.len);
    bench_until(&b, &a.dones, 1);
    assert_int_equal(a.result.status, RM_OK);
    header.value.len++;
    assert_int_equal(ask_start(&b, &a, &request), RM_ETOOBIG);
    bench_close(&b);
    close(fd);
    close(listener);
}

/* ---- keep-alive ------------------------------------------------------------------------------------------------------ */

/* The upstream resets the kept connection as the next request comes: nobody hears of it. */
static void test_stale_connection(void **state)
{
    bench b;
    asked a = {0}, a2 = {0};
    fake_upstream *server = fake_start(STEPS({OK_REPLY, FAKE_CLOSE_IDLE, NULL}, {OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    ask(&b, &a2, &request);
    assert_int_equal(a2.result.status, RM_OK);
    assert_string_equal(a2.data, "ok");
    assert_int_equal(server->requests, 2);
    assert_int_equal(rm_upstream_client_stats(b.client).retries, 0);
    bench_close(&b);
    fake_stop(server);
}

/* ... nor where every kept connection is dead. */
static void test_stale_connections(void **state)
{
    bench b;
    asked first[3] = {{0}}, last = {0};
    fake_upstream *server = fake_start(STEPS({OK_REPLY, FAKE_CLOSE_IDLE, NULL}, {OK_REPLY, FAKE_CLOSE_IDLE, NULL},
                                             {OK_REPLY, FAKE_CLOSE_IDLE, NULL}, {OK_REPLY, 0, NULL}),
                                       NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    for (unsigned i = 0; i < RM_COUNT(first); i++)
        assert_int_equal(ask_start(&b, &first[i], &request), RM_OK);
    for (unsigned i = 0; i < RM_COUNT(first); i++)
        bench_until(&b, &first[i].dones, 1);
    ask(&b, &last, &request);
    assert_int_equal(last.result.status, RM_OK);
    assert_string_equal(last.data, "ok");
    assert_int_equal(rm_upstream_client_stats(b.client).retries, 0);
    bench_close(&b);
    fake_stop(server);
}

/* ... and with a body too large to be sent at once, so that sending it fails. */
static void test_stale_connection_large_body(void **state)
{
    enum { BYTES = 4 * 1024 * 1024 };
    bench b;
    asked a = {0}, a2 = {0};
    char *body = calloc(1, BYTES);
    fake_upstream *server = fake_start(STEPS({OK_REPLY, FAKE_CLOSE_IDLE, NULL}, {OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    request.body = rm_slice_make(body, BYTES);
    ask(&b, &a2, &request);
    assert_int_equal(a2.result.status, RM_OK);
    assert_int_equal(server->last_body_bytes, BYTES);
    bench_close(&b);
    fake_stop(server);
    free(body);
}

/* The upstream closes an idle connection: it is noticed, no busy loop, and the next request opens another. */
static void test_closed_idle_connection(void **state)
{
    bench b;
    asked a = {0}, a2 = {0};
    fake_upstream *server = fake_start(STEPS({OK_REPLY, FAKE_CLOSE, NULL}, {OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    for (unsigned i = 0; i < 50; i++) {
        usleep(1000);
        uv_run(b.uv, UV_RUN_NOWAIT);
    }
    ask(&b, &a2, &request);
    assert_int_equal(a2.result.status, RM_OK);
    assert_int_equal(server->accepted, 2);
    bench_close(&b);
    fake_stop(server);
}

/* 300 at once, then again: the second round opens no connection. */
static void test_many_connections(void **state)
{
    enum { MANY = 300 };
    bench b;
    asked *all = calloc(2 * MANY, sizeof(asked));
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MANY; i++)
            assert_int_equal(ask_start(&b, &all[round * MANY + i], &request), RM_OK);
        assert_int_equal(rm_upstream_client_active(b.client), MANY);
        for (unsigned i = 0; i < MANY; i++) {
            bench_until(&b, &all[round * MANY + i].dones, 1);
            assert_int_equal(all[round * MANY + i].result.status, RM_OK);
        }
        assert_int_equal(rm_upstream_client_stats(b.client).connections_opened, MANY);
    }
    assert_int_equal(server->accepted, MANY);
    bench_close(&b);
    fake_stop(server);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_lines),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_head_method),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_head_limits),
        cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_second_address),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_codings),
        cmocka_unit_test(test_damaged_coding),
        cmocka_unit_test(test_direct_coding),
        cmocka_unit_test(test_head_in_pieces),
        cmocka_unit_test(test_head_at_the_limit),
        cmocka_unit_test(test_stale_connection),
        cmocka_unit_test(test_stale_connections),
        cmocka_unit_test(test_stale_connection_large_body),
        cmocka_unit_test(test_closed_idle_connection),
        cmocka_unit_test(test_many_connections),
    };
    return harness_run(tests);
}
