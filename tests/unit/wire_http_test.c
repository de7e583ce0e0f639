/* The request parser: the table of malformed and odd requests whole and byte by byte, heads, limits, lost memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden_http.h"
#include "remora/wire.h"

/* What came out of a run of bytes. */
typedef struct outcome {
    rm_http_error error;
    unsigned begun, heads, ended;
    size_t body_len;
    char body[256];
    char head[512]; /* the last one, as text */
    size_t headers;
    rm_arena arena;
    size_t arena_max;
} outcome;

static rm_arena *on_begin(void *user)
{
    outcome *out = user;

    out->begun++;
    rm_arena_deinit(&out->arena);
    rm_arena_init(&out->arena, NULL, out->arena_max);
    return &out->arena;
}

static void on_head(void *user, const rm_http_head *head)
{
    outcome *out = user;

    out->heads++;
    out->body_len = 0;
    out->headers = head->header_count;
    snprintf(out->head, sizeof(out->head), "%s|%.*s|%.*s|%.*s|%d|%s%s%s%s", rm_method_name(head->method),
             (int)(head->path.len < 64 ? head->path.len : 64), head->path.ptr,
             (int)(head->query.len < 64 ? head->query.len : 64), head->query.len ? head->query.ptr : "",
             (int)head->host.len, head->host.len ? head->host.ptr : "", (int)head->content_length,
             head->chunked ? "chunked " : "", head->keep_alive ? "keep " : "", head->expect_continue ? "expect " : "",
             head->http_1_0 ? "1.0" : "1.1");
    for (size_t i = 0; i < head->header_count; i++)
        assert_true(head->headers[i].name.len > 0);
}

static void on_body(void *user, rm_slice bytes)
{
    outcome *out = user;

    for (size_t i = 0; i < bytes.len; i++) {
        if (out->body_len < sizeof(out->body))
            out->body[out->body_len] = bytes.ptr[i];
        out->body_len++;
    }
}

static void on_end(void *user)
{
    ((outcome *)user)->ended++;
}

static const rm_http_events events = {on_begin, on_head, on_body, on_end};

/* Feeds everything in pieces of `step`, request after request. */
static outcome run(const char *bytes, size_t len, size_t step, size_t arena_max)
{
    outcome out = {.arena_max = arena_max};
    rm_http_parser *parser = rm_http_parser_create(&events, &out);
    size_t at = 0;

    assert_non_null(parser);
    while (at < len && out.error == RM_HTTP_OK) {
        /* A block of its own lets the sanitizer see a read past the piece, or a slice into it that is kept. */
        size_t n = len - at < step ? len - at : step, used = 0;
        unsigned ended = out.ended;
        char *piece = malloc(n);

        assert_non_null(piece);
        memcpy(piece, bytes + at, n);
        out.error = rm_http_parser_feed(parser, rm_slice_make(piece, n), &used);
        free(piece);
        assert_true(used <= n);
        assert_true(used == n || out.error != RM_HTTP_OK || out.ended > ended);
        at += used;
        if (out.error == RM_HTTP_OK && out.ended > ended) {
            assert_false(rm_http_parser_mid_message(parser));
            rm_http_parser_next(parser);
        }
    }
    if (out.error != RM_HTTP_OK) { /* and it stays so */
        size_t used = 1;

        assert_int_equal(rm_http_parser_feed(parser, RM_SLICE("GET / HTTP/1.1\r\n"), &used), out.error);
        assert_int_equal(used, 0);
    }
    rm_http_parser_destroy(parser);
    rm_arena_deinit(&out.arena);
    memset(&out.arena, 0, sizeof(out.arena));
    return out;
}

static outcome run_text(const char *text, size_t step)
{
    return run(text, strlen(text), step, RM_MIB);
}

static void check_case(const golden_http *item, void *user)
{
    static const size_t steps[] = {SIZE_MAX, 1, 2, 3, 7, 4096};
    unsigned *wrong = user;

    for (size_t i = 0; i < RM_COUNT(steps); i++) {
        outcome out = run(item->input, item->len, steps[i], RM_MIB);
        int status = out.error != RM_HTTP_OK ? rm_http_error_status(out.error) : out.begun == out.ended ? 200 : 0;

        if (status == 200 && out.ended == 0)
            status = 0;
        if (status != item->expect || out.ended != item->requests) {
            print_message("%s (step %zu): %d, not %d; %u requests, not %u: %s\n", item->name, steps[i], status,
                          item->expect, out.ended, item->requests, rm_http_error_text(out.error));
            (*wrong)++;
            return;
        }
    }
}

static void test_golden(void **state)
{
    unsigned wrong = 0, count = golden_each(check_case, &wrong);

    (void)state;
    assert_true(count >= 150);
    assert_int_equal(wrong, 0);
}

static void test_heads(void **state)
{
    static const struct {
        const char *text, *head;
    } cases[] = {
        {"GET /a/b?c=d HTTP/1.1\r\nHost: h:1\r\n\r\n", "GET|/a/b|c=d|h:1|-1|keep 1.1"},
        {"GET /a? HTTP/1.1\r\nHost:\r\n\r\n", "GET|/a|||-1|keep 1.1"},
        {"GET http://x.y:8/z?q HTTP/1.1\r\nHost: other\r\n\r\n", "GET|/z|q|x.y:8|-1|keep 1.1"},
        {"GET http://x.y HTTP/1.1\r\nHost: other\r\n\r\n", "GET|/||x.y|-1|keep 1.1"},
        {"GET http://x.y?q=1 HTTP/1.1\r\nHost: other\r\n\r\n", "GET|/|q=1|x.y|-1|keep 1.1"},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS|*||h|-1|keep 1.1"},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "POST|/||h|0|keep 1.1"},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n0\r\n\r\n",
         "POST|/||h|-1|chunked keep expect 1.1"},
        {"GET / HTTP/1.0\r\n\r\n", "GET|/|||-1|1.0"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET|/|||-1|keep 1.0"},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n", "GET|/||h|-1|1.1"},
        {"PATCH / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "PATCH|/||h|-1|keep 1.1"},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        outcome whole = run_text(cases[i].text, SIZE_MAX), bytes = run_text(cases[i].text, 1);

        assert_string_equal(whole.head, cases[i].head);
        assert_string_equal(bytes.head, whole.head);
        assert_int_equal(whole.ended, 1);
    }
}

static void keep_head(void *user, const rm_http_head *head)
{
    *(const rm_http_head **)user = head;
}

static rm_arena head_arena;

static rm_arena *keep_begin(void *user)
{
    (void)user;
    return &head_arena;
}

static void ignore_body(void *user, rm_slice bytes)
{
    (void)user;
    (void)bytes;
}

static void ignore_end(void *user)
{
    (void)user;
}

static void test_header_lines(void **state)
{
    static const rm_http_events keep = {keep_begin, keep_head, ignore_body, ignore_end};
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\nX-Two:  a b \t\r\nx-two: c\r\nEmpty:\r\nLast: z\r\n\r\n";

    (void)state;
    for (size_t step = 1; step < sizeof(text); step++) {
        const rm_http_head *head = NULL;
        rm_http_parser *parser = rm_http_parser_create(&keep, &head);

        rm_arena_init(&head_arena, NULL, RM_MIB);
        for (size_t at = 0, used; at < sizeof(text) - 1; at += used) {
            size_t n = sizeof(text) - 1 - at < step ? sizeof(text) - 1 - at : step;

            assert_int_equal(rm_http_parser_feed(parser, rm_slice_make(text + at, n), &used), RM_HTTP_OK);
            assert_int_equal(rm_http_parser_mid_head(parser), at + used < sizeof(text) - 1);
        }
        rm_http_parser_destroy(parser);
        assert_int_equal(head->header_count, 5);
        assert_true(rm_slice_eq(head->headers[1].name, RM_SLICE("X-Two")));
        assert_true(rm_slice_eq(rm_http_header(head, "X-TWO"), RM_SLICE("a b")));
        assert_true(rm_slice_eq(head->headers[2].value, RM_SLICE("c")));
        assert_int_equal(rm_http_header(head, "empty").len, 0);
        assert_non_null(rm_http_header(head, "empty").ptr);
        assert_true(rm_slice_eq(rm_http_header(head, "last"), RM_SLICE("z")));
        assert_null(rm_http_header(head, "missing").ptr);
        rm_arena_deinit(&head_arena);
    }
}

static void test_body_pieces(void **state)
{
    static const char text[] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: x\r\n\r\n";

    (void)state;
    for (size_t step = 1; step < sizeof(text); step++) {
        outcome out = run_text(text, step);

        assert_int_equal(out.error, RM_HTTP_OK);
        assert_int_equal(out.body_len, 19);
        assert_memory_equal(out.body, "abc0123456789abcdef", 19);
        assert_int_equal(out.headers, 2); /* the trailer is not among them */
    }
}

/* A message of which one part is repeated or filled until it is at its limit. */
static rm_http_error limited(const char *before, const char *part, size_t count, const char *after, size_t step)
{
    rm_buf text;

    rm_buf_init(&text, RM_MIB);
    rm_buf_append_cstr(&text, before);
    for (size_t i = 0; i < count; i++)
        rm_buf_append_cstr(&text, part);
    assert_int_equal(rm_buf_append_cstr(&text, after), RM_OK);
    outcome out = run(text.ptr, text.len, step, RM_MIB);
    rm_buf_deinit(&text);
    return out.error;
}

/* Each limit at its number and one over it. */
static void test_limits(void **state)
{
#define CHUNKED "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    static const struct {
        const char *before, *part, *after;
        size_t count;
        rm_http_error over;
    } cases[] = {
        /* 28 and 4 bytes are not the value's */
        {"GET / HTTP/1.1\r\nHost: h\r\nX: ", "v", "\r\n\r\n", RM_HEADER_BYTES_MAX - 32, RM_HTTP_HEADERS_TOO_LARGE},
        {"GET /", "a", " HTTP/1.1\r\nHost: h\r\n\r\n", RM_HEADER_BYTES_MAX - 27, RM_HTTP_HEADERS_TOO_LARGE},
        {"GET / HTTP/1.1\r\nHost: h\r\n", "X: v\r\n", "\r\n", RM_HEADER_COUNT_MAX - 1, RM_HTTP_HEADERS_TOO_LARGE},
        {CHUNKED "3;", "e", "\r\nabc\r\n0\r\n\r\n", RM_CHUNK_EXTENSION_BYTES_MAX, RM_HTTP_BAD_SYNTAX},
        {CHUNKED, "1;e\r\na\r\n", "0\r\n\r\n", RM_CHUNK_EXTENSION_BYTES_MAX, RM_HTTP_BAD_SYNTAX},
        {CHUNKED "0\r\n", "T: v\r\n", "\r\n", RM_HEADER_COUNT_MAX, RM_HTTP_HEADERS_TOO_LARGE},
    };
    static const size_t steps[] = {SIZE_MAX, 1, 1000};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++)
        for (size_t s = 0; s < RM_COUNT(steps); s++) {
            assert_int_equal(limited(cases[i].before, cases[i].part, cases[i].count, cases[i].after, steps[s]),
                             RM_HTTP_OK);
            assert_int_equal(limited(cases[i].before, cases[i].part, cases[i].count + 1, cases[i].after, steps[s]),
                             cases[i].over);
        }
}

/* An arena too small for the head, at every size: refused, never overrun. */
static void test_small_arena(void **state)
{
    static const char text[] = "GET http://a?b HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\n\r\n";
    unsigned failed = 0;

    (void)state;
    for (size_t max = 0; max < 2048; max += 16) {
        outcome whole = run(text, sizeof(text) - 1, SIZE_MAX, max), bytes = run(text, sizeof(text) - 1, 5, max);

        assert_true(whole.error == RM_HTTP_OK || whole.error == RM_HTTP_NO_MEMORY);
        assert_true(bytes.error == RM_HTTP_OK || bytes.error == RM_HTTP_NO_MEMORY);
        failed += whole.error == RM_HTTP_NO_MEMORY;
    }
    assert_true(failed > 0);
    assert_int_equal(rm_http_error_status(RM_HTTP_NO_MEMORY), 503);
}

static rm_arena *no_arena(void *user)
{
    (void)user;
    return NULL;
}

static void test_no_arena(void **state)
{
    static const rm_http_events none = {no_arena, keep_head, ignore_body, ignore_end};
    rm_http_parser *parser = rm_http_parser_create(&none, NULL);
    size_t used;

    (void)state;
    assert_int_equal(rm_http_parser_feed(parser, RM_SLICE("GET"), &used), RM_HTTP_NO_MEMORY);
    rm_http_parser_destroy(parser);
}

#ifdef REMORA_FAULTS
static void test_lost_memory(void **state)
{
    static const char text[] = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";

    (void)state;
    rm_fault_set(RM_FAULT_ALLOC, 1, true);
    assert_null(rm_http_parser_create(&events, NULL));
    for (uint64_t nth = 2; nth < 8; nth++) {
        outcome out;

        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        out = run(text, sizeof(text) - 1, 9, RM_MIB);
        assert_true(out.error == RM_HTTP_OK || out.error == RM_HTTP_NO_MEMORY);
    }
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
}
#endif

static void test_hop_by_hop(void **state)
{
    static const char *const always[] = {
        "Connection", "keep-alive",         "Proxy-Connection",   "TE", "Trailer", "transfer-ENCODING",
        "upgrade",    "proxy-authenticate", "Proxy-Authorization"};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(always); i++)
        assert_true(rm_http_is_hop_by_hop(rm_slice_cstr(always[i]), RM_SLICE_NONE));
    assert_false(rm_http_is_hop_by_hop(RM_SLICE("Content-Type"), RM_SLICE_NONE));
    assert_false(rm_http_is_hop_by_hop(RM_SLICE("X"), RM_SLICE("XY, YX")));
    assert_true(rm_http_is_hop_by_hop(RM_SLICE("X-Y"), RM_SLICE("close,\tx-y ")));
}

static void test_texts(void **state)
{
    (void)state;
    for (int error = RM_HTTP_OK; error <= RM_HTTP_NO_MEMORY; error++) {
        assert_non_null(rm_http_error_text((rm_http_error)error));
        assert_true(rm_http_error_status((rm_http_error)error) >= 200);
    }
    assert_string_equal(rm_method_name(RM_METHOD_DELETE), "DELETE");
    assert_string_equal(rm_method_name(RM_METHOD_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_heads),  cmocka_unit_test(test_header_lines),
        cmocka_unit_test(test_body_pieces), cmocka_unit_test(test_limits), cmocka_unit_test(test_small_arena),
        cmocka_unit_test(test_no_arena),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_lost_memory),
#endif
        cmocka_unit_test(test_hop_by_hop),  cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
