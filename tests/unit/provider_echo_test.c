/* What a Responses answer repeats of its request becomes the present caller's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "remora/provider.h"

static rm_status set(const char *request, bool events, const char *content, rm_buf *out)
{
    rm_arena arena;
    rm_request_info info;
    rm_echo echo;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    assert_int_equal(rm_provider_read_request(RM_OP_RESPONSES, rm_slice_cstr(request), &arena, &info), RM_OK);
    assert_int_equal(rm_provider_read_echo(&info, &arena, &echo), RM_OK);
    rm_buf_init(out, RM_MIB);
    rm_buf_append_cstr(out, "|");
    rm_status status = rm_provider_set_echo(&echo, events, rm_slice_cstr(content), out);
    rm_arena_deinit(&arena);
    return status;
}

static void check(const char *request, bool events, const char *content, const char *wanted)
{
    rm_buf out;
    rm_status status = set(request, events, content, &out);
    rm_buf_append_char(&out, '\0');
    assert_int_equal(status, wanted ? RM_OK : RM_ENOTFOUND);
    assert_string_equal(out.ptr + 1, wanted ? wanted : "");
    rm_buf_deinit(&out);
}

#define STORED                                                                                                      \
    "{\"id\":\"r\", \"user\": \"a\",\"output\":[{\"metadata\":1}],\"prompt_cache_key\":\"pa\",\"metadata\":{\"t\" " \
    ":1},"                                                                                                          \
    "\"safety_identifier\":\"sa\" }"

static void test_bodies(void **state)
{
    (void)state;
    check("{\"metadata\":{\"t\":2},\"user\":\"b\",\"safety_identifier\":\"sb\",\"prompt_cache_key\":\"pb\"}", false,
          STORED,
          "{\"id\":\"r\", \"user\": "
          "\"b\",\"output\":[{\"metadata\":1}],\"prompt_cache_key\":\"pb\",\"metadata\":{\"t\":2},"
          "\"safety_identifier\":\"sb\" }");
    check("{\"metadata\":null}", false, STORED,
          "{\"id\":\"r\", \"user\": null,\"output\":[{\"metadata\":1}],\"prompt_cache_key\":null,\"metadata\":{},"
          "\"safety_identifier\":null }");
    /* Keys spelt with escapes are the same keys. */
    check("{\"\\u0075ser\":\"b\"}", false, "{\"us\\u0065r\":\"a\"}", "{\"us\\u0065r\":\"b\"}");
}

static void test_what_stays(void **state)
{
    (void)state;
    check("{\"user\":\"a\",\"metadata\":{\"k\":\"v\"}}", false, "{\"user\":\"a\",\"metadata\":{\"k\":\"v\"}}", NULL);
    check("{}", false, "{\"user\":\"\",\"metadata\":null,\"safety_identifier\":null}", NULL);
    check("{}", false, "{\"metadata\":{ \n}}", NULL);
    check("{\"user\":\"b\"}", false, "{\"id\":\"r\"}", NULL);
    check("{\"user\":\"b\"}", true,
          "data: {\"type\":\"x\",\"delta\":\"user\",\"user\":\"a\"}\n\ndata: [DONE]\n\n: c\n\n", NULL);
    check("{\"user\":\"b\"}", true, "data: {\"response\":null}\n\n", NULL);
}

static void test_events(void **state)
{
    (void)state;
    check("{\"metadata\":{\"t\":\"b\"}}", true,
          "event: response.created\ndata: {\"response\":{\"user\":\"a\",\"metadata\":{\"t\":\"a\"}},\"n\":0}\n\n"
          "data: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\r\n\r\n"
          "event: response.completed\ndata: {\"n\":2,\ndata: \"response\":{\"metadata\":{\"t\":\"a\"}}}\n\n",
          "event: response.created\ndata: {\"response\":{\"user\":null,\"metadata\":{\"t\":\"b\"}},\"n\":0}\n\n"
          "data: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\r\n\r\n"
          "event: response.completed\ndata: {\"n\":2,\ndata: \"response\":{\"metadata\":{\"t\":\"b\"}}}\n\n");
}

static void test_what_cannot_be_read(void **state)
{
    static const struct {
        bool events;
        const char *content;
    } cases[] = {
        {true, "data: {\"response\":{\"user\":\"a\"}}"},
        {true, "data: {\"response\":{\"user\"}}\n\n"},
        {false, "<html>"},
        {false, "[]"},
        {false, ""},
        {false, "{\"user\":\"a\""},
    };
    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_buf out;
        assert_int_equal(set("{}", cases[i].events, cases[i].content, &out), RM_EPARSE);
        assert_int_equal(out.len, 1);
        rm_buf_deinit(&out);
    }
}

static void test_operations(void **state)
{
    (void)state;
    for (int op = 0; op < RM_OP_COUNT; op++)
        assert_int_equal(rm_provider_echoes((rm_op)op), op == RM_OP_RESPONSES);
}

#ifdef REMORA_FAULTS
static void test_memory(void **state)
{
    static const char content[] = "data: {\"response\":{\"user\":\"a\"}}\n\n";
    rm_arena arena;
    rm_request_info info;
    rm_echo echo;
    rm_buf out;
    rm_status status = RM_ENOMEM;
    (void)state;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
        rm_buf_init(&out, RM_MIB);
        assert_int_equal(rm_provider_read_request(RM_OP_RESPONSES, RM_SLICE("{\"user\":\"b\"}"), &arena, &info), RM_OK);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = rm_provider_read_echo(&info, &arena, &echo);
        if (status == RM_OK)
            status = rm_provider_set_echo(&echo, true, rm_slice_cstr(content), &out);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || (status == RM_ENOMEM && out.len == 0));
        rm_buf_deinit(&out);
        rm_arena_deinit(&arena);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),     cmocka_unit_test(test_what_stays),
        cmocka_unit_test(test_events),     cmocka_unit_test(test_what_cannot_be_read),
        cmocka_unit_test(test_operations),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
