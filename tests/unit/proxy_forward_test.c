/* What the upstream is sent: target and headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proxy_internal.h"

static rm_config_upstream upstream = {
    .name = "up",
    .base_url = "https://host/base/v9",
    .origin = "https://host",
};

static void test_url(void **state)
{
    (void)state;
    static const struct {
        const char *target, *url;
    } cases[] = {
        {"/v1/chat/completions", "https://host/base/v9/chat/completions"},
        {"/v1/files?limit=2&after=%2Fx", "https://host/base/v9/files?limit=2&after=%2Fx"},
        {"/v1", "https://host/base/v9"},
        {"/v1?x", "https://host/base/v9?x"},
        {"/v1/", "https://host/base/v9/"},
        {"/v10/chat", "https://host/v10/chat"},
        {"/v1beta/models", "https://host/v1beta/models"},
        {"/health/../x", "https://host/health/../x"},
        {"/", "https://host/"},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_arena arena;
        const char *url = NULL;
        rm_arena_init(&arena, NULL, RM_MIB);
        assert_int_equal(rm_fetch__url(&upstream, rm_slice_cstr(cases[i].target), &arena, &url), RM_OK);
        assert_string_equal(url, cases[i].url);
        rm_arena_deinit(&arena);
    }
}

#define HEADER(name, value)         \
    {                               \
        {name, sizeof name - 1},    \
        {                           \
            value, sizeof value - 1 \
        }                           \
    }

static const rm_header given[] = {
    HEADER("Host", "127.0.0.1:8700"),
    HEADER("Authorization", "Bearer caller"),
    HEADER("Connection", "keep-alive, X-Hop"),
    HEADER("Keep-Alive", "timeout=5"),
    HEADER("X-Hop", "1"),
    HEADER("Content-Length", "2"),
    HEADER("Transfer-Encoding", "chunked"),
    HEADER("x-Remora-Cache", "bypass"),
    HEADER("X-Remora-Deadline", "10m"),
    HEADER("Expect", "100-continue"),
    HEADER("X-Custom", "kept"),
    HEADER("api-key", "k"),
    HEADER("x-api-key", "k2"),
    HEADER("OpenAI-Organization", "org"),
    HEADER("TE", "trailers"),
};

static void check(const char *api_key, rm_dialect dialect, const char *const *wanted, size_t count)
{
    rm_arena arena;
    rm_http_head head = {.headers = given, .header_count = RM_COUNT(given)};
    const rm_header *headers = NULL;
    size_t got = 0;
    rm_arena_init(&arena, NULL, RM_MIB);
    upstream.api_key = api_key;
    upstream.dialect = dialect;
    assert_int_equal(rm_fetch__headers(&upstream, &head, &arena, &headers, &got), RM_OK);
    assert_int_equal(got, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(rm_slice_eq(headers[i].name, rm_slice_cstr(wanted[2 * i])));
        assert_true(rm_slice_eq(headers[i].value, rm_slice_cstr(wanted[2 * i + 1])));
    }
    rm_arena_deinit(&arena);
}

static void test_callers_own_key_goes_through(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "Authorization",       "Bearer caller", "X-Custom", "kept", "api-key", "k", "x-api-key", "k2",
        "OpenAI-Organization", "org",
    };
    check(NULL, RM_DIALECT_OPENAI, wanted, 5);
}

static void test_configured_key_replaces_it(void **state)
{
    (void)state;
    static const char *const openai[] = {"X-Custom", "kept",          "OpenAI-Organization",
                                         "org",      "Authorization", "Bearer secret"};
    static const char *const anthropic[] = {"X-Custom", "kept", "OpenAI-Organization", "org", "x-api-key", "secret"};
    check("secret", RM_DIALECT_OPENAI, openai, 3);
    check("secret", RM_DIALECT_ANTHROPIC, anthropic, 3);
}

static void test_answer_head_drops_what_belongs_to_the_hop(void **state)
{
    (void)state;
    static const rm_header from[] = {
        HEADER("Content-Type", "application/json"), HEADER("Content-Length", "7"), HEADER("Date", "x"),
        HEADER("Connection", "close, x-hop"),       HEADER("X-Hop", "1"),          HEADER("x-remora-cache", "HIT"),
        HEADER("x-litellm-response-cost", "0.1"),   HEADER("x-request-id", "r1"),  HEADER("Content-Encoding", "gzip"),
    };
    for (int decoded = 0; decoded < 2; decoded++) {
        rm_upstream_head head = {.status = 201,
                                 .headers = from,
                                 .header_count = RM_COUNT(from),
                                 .content_length = 7,
                                 .decoded = decoded != 0};
        rm_blob *blob = rm_fetch__make_head(&head);
        assert_non_null(blob);
        const rm_answer_head *answer = rm_answer_head_of(blob);
        assert_int_equal(answer->status, 201);
        assert_int_equal(answer->header_count, decoded ? 2 : 3);
        assert_true(rm_slice_eq(answer->headers[0].value, RM_SLICE("application/json")));
        assert_true(rm_slice_eq(answer->headers[1].name, RM_SLICE("x-request-id")));
        assert_true(answer->cost_usd < 0);
        rm_blob_unref(blob);
    }
}

/* The head's text is known last; a long one moves all that stands before it. */
static void test_answer_head_takes_its_text(void **state)
{
    (void)state;
    static const rm_header from[] = {HEADER("Content-Type", "text/event-stream"), HEADER("x-request-id", "r1")};
    static const size_t lengths[] = {0, 1, 64, 65, 127, 4000};
    char text[4000];
    memset(text, 'm', sizeof text);
    for (size_t i = 0; i < 2 * RM_COUNT(lengths); i++) {
        size_t count = i % 2 ? RM_COUNT(from) : 0;
        rm_slice wanted = {text, lengths[i / 2]};
        rm_upstream_head head = {.status = 200, .headers = from, .header_count = count, .content_length = -1};
        rm_blob *blob = rm_fetch__make_head(&head);
        assert_non_null(blob);
        rm_answer_head_of(blob)->sse = true;
        rm_fetch__set_head_text(&blob, wanted);
        const rm_answer_head *answer = rm_answer_head_of(blob);
        assert_true(answer->sse && answer->header_count == count);
        for (size_t j = 0; j < count; j++) {
            assert_true(rm_slice_eq(answer->headers[j].name, from[j].name));
            assert_true(rm_slice_eq(answer->headers[j].value, from[j].value));
        }
        assert_true(rm_slice_eq(answer->text, wanted));
        rm_blob_unref(blob);
    }
}

#ifdef REMORA_FAULTS
static void test_answer_head_without_memory_cuts_its_text(void **state)
{
    (void)state;
    rm_blob *blob = rm_fetch__make_head(&(rm_upstream_head){.status = 200});
    rm_slice text = rm_slice_cstr("0123456789012345678901234567890123456789012345678901234567890123456789");
    rm_fault_set(RM_FAULT_ALLOC, 1, false);
    rm_fetch__set_head_text(&blob, text);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    rm_slice got = rm_answer_head_of(blob)->text;
    assert_int_equal(got.len, 64);
    assert_memory_equal(got.ptr, text.ptr, got.len);
    rm_blob_unref(blob);
}
#endif

static void test_cost_in_an_event(void **state)
{
    (void)state;
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    rm_slice event = RM_SLICE("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n");
    assert_int_equal(rm_proxy__set_cost(RM_OP_CHAT, event, 0.25, &out), RM_OK);
    assert_non_null(rm_slice_find(rm_buf_slice(&out), RM_SLICE("\"cost\":0.25")));
    rm_buf_clear(&out);
    assert_int_not_equal(rm_proxy__set_cost(RM_OP_CHAT, RM_SLICE("data: half"), 0.25, &out), RM_OK);
    rm_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_callers_own_key_goes_through),
        cmocka_unit_test(test_configured_key_replaces_it),
        cmocka_unit_test(test_answer_head_drops_what_belongs_to_the_hop),
        cmocka_unit_test(test_answer_head_takes_its_text),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_answer_head_without_memory_cuts_its_text),
#endif
        cmocka_unit_test(test_cost_in_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
