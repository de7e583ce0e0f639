/* Answers: whole bodies, and single events as they pass; cleaning, costs, replay, fresh ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/provider.h"

static rm_arena arena;
static rm_answer answer;
static rm_event_info info;

static int set_up(void **state)
{
    (void)state;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_answer_init(&answer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rm_arena_deinit(&arena);
    return 0;
}

static void assert_slice(rm_slice slice, const char *text)
{
    if (slice.len != strlen(text) || memcmp(slice.ptr, text, slice.len) != 0)
        fail_msg("%.*s\n   is not\n%s", (int)slice.len, slice.ptr, text);
}

struct first {
    void (*look)(const rm_sse_event *event, void *user);
    void *user;
    int count;
};

static void on_event(void *user, const rm_sse_event *event)
{
    struct first *first = user;
    first->count++;
    first->look(event, first->user);
}

/* The one event of `raw`, as the wire cuts it. */
static void with_event(const char *raw, void (*look)(const rm_sse_event *event, void *user), void *user)
{
    rm_sse_parser parser;
    struct first first = {look, user, 0};
    rm_sse_parser_init(&parser);
    assert_int_equal(rm_sse_parser_feed(&parser, rm_slice_cstr(raw), on_event, &first), RM_OK);
    rm_sse_parser_deinit(&parser);
    assert_int_equal(first.count, 1);
}

static void look_read(const rm_sse_event *event, void *user)
{
    rm_provider_read_event(*(const rm_op *)user, event, &arena, &answer, &info);
}

static void read_raw(rm_op op, const char *raw)
{
    with_event(raw, look_read, &op);
}

static void test_chat_stream(void **state)
{
    (void)state;
    read_raw(RM_OP_CHAT,
             "data: {\"id\":\"c-1\",\"model\":\"gpt-4o\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,"
             "\"delta\":{\"content\":\"a \\\"finish_reason\\\":\\\"length\\\"\"},\"finish_reason\":null}],"
             "\"usage\":null,\"obfuscation\":\"xyz\"}\n\n");
    assert_slice(answer.id, "c-1");
    assert_slice(answer.model, "gpt-4o");
    assert_slice(answer.service_tier, "default");
    assert_true(info.usage_null && info.padded && !info.usage_only && !info.has_usage && !info.terminal && !info.error);
    assert_int_equal(answer.finish, RM_FINISH_NONE);

    read_raw(RM_OP_CHAT, "data: {\"id\":\"c-2\",\"model\":\"other\",\"choices\":[{\"index\":0,\"delta\":{},"
                         "\"finish_reason\" : \"tool_calls\"}]}\n\n");
    assert_slice(answer.id, "c-1");
    assert_int_equal(answer.finish, RM_FINISH_STOP);
    assert_false(info.usage_null || info.padded || info.has_usage);

    read_raw(RM_OP_CHAT, "data: {\"choices\" : [ ] ,\"usage\" : {\"prompt_tokens\":10,\"completion_tokens\":3,"
                         "\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":"
                         "{\"reasoning_tokens\":2},\"cost\":0.25}}\n\n");
    assert_true(info.usage_only && info.has_usage && !info.usage_null);
    assert_int_equal(answer.usage.input_tokens, 10);
    assert_int_equal(answer.usage.output_tokens, 3);
    assert_int_equal(answer.usage.cached_input_tokens, 4);
    assert_int_equal(answer.usage.reasoning_tokens, 2);
    assert_true(answer.usage_cost_usd == 0.25);
    assert_false(answer.terminal);

    read_raw(RM_OP_CHAT, "data: [DONE]\n\n");
    assert_true(info.terminal && answer.terminal && !answer.error);
}

static void test_chat_oddities(void **state)
{
    (void)state;
    /* usage in the last chunk with a choice; several choices, the worst end stays */
    read_raw(RM_OP_CHAT, "data:{\"choices\":[{\"finish_reason\":\"stop\"},{\"finish_reason\":\"length\"}],"
                         "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\r\n\r\n");
    assert_true(info.has_usage && !info.usage_only);
    assert_int_equal(answer.finish, RM_FINISH_LENGTH);
    read_raw(RM_OP_CHAT, "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n");
    assert_int_equal(answer.finish, RM_FINISH_LENGTH);
    read_raw(RM_OP_CHAT, "data: {\"choices\":[{\"finish_reason\":\"content_filter\"}]}\n\n");
    assert_int_equal(answer.finish, RM_FINISH_FILTER);
    /* running usage before the end is not final */
    rm_answer_init(&answer);
    read_raw(RM_OP_CHAT, "data: {\"choices\":[{\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":1}}\n\n");
    assert_false(info.has_usage);
    /* Azure's first chunk */
    read_raw(RM_OP_CHAT, "data: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n");
    assert_false(info.usage_only || info.has_usage);
    assert_int_equal(answer.model.len, 0);
    /* keys spelt with escapes, data over several lines */
    read_raw(RM_OP_CHAT,
             "data: {\"\\u006dodel\":\"a\\/b\",\ndata: \"choices\":[],\"u\\u0073age\":{\"prompt_tokens\":6}}\n\n");
    assert_true(info.usage_only);
    assert_slice(answer.model, "a/b");
    assert_int_equal(answer.usage.input_tokens, 6);
    /* nothing to read */
    read_raw(RM_OP_CHAT, ": keep-alive\n\n");
    read_raw(RM_OP_CHAT, "data: {\"usage\":{\"prompt_tokens\":9\n\n");
    read_raw(RM_OP_CHAT, "data: nonsense\n\n");
    read_raw(RM_OP_CHAT, "data\n\n");
    assert_int_equal(answer.usage.input_tokens, 6);
    assert_false(answer.error || answer.terminal);
}

static void test_errors_in_streams(void **state)
{
    (void)state;
    static const struct {
        rm_op op;
        const char *raw;
        bool error;
    } rows[] = {
        {RM_OP_CHAT, "data: {\"error\":{\"message\":\"x\",\"code\":500}}\n\n", true},
        {RM_OP_CHAT, "data: {\"error\":null,\"choices\":[]}\n\n", false},
        {RM_OP_CHAT, "data: {\"error\":\"overloaded\"}\n\n", true},
        {RM_OP_CHAT, "event: error\ndata: {\"message\":\"x\"}\n\n", true},
        {RM_OP_CHAT, "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"error\\\":{}\"}}]}\n\n", false},
        {RM_OP_MESSAGES, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
         true},
        {RM_OP_MESSAGES, "data: {\"type\":\"error\",\"error\":{}}\n\n", true},
        {RM_OP_RESPONSES, "event: error\ndata: {\"type\":\"error\"}\n\n", true},
        {RM_OP_RESPONSES,
         "event: response.failed\ndata: {\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"x\"}}}\n\n", true},
        {RM_OP_RESPONSES, "event: response.output_text.delta\ndata: {\"delta\":\"error\"}\n\n", false},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        rm_answer_init(&answer);
        read_raw(rows[i].op, rows[i].raw);
        if (info.error != rows[i].error || answer.error != rows[i].error)
            fail_msg("row %zu", i);
    }
}

static void test_messages_stream(void **state)
{
    (void)state;
    read_raw(RM_OP_MESSAGES,
             "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"c\","
             "\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":5,"
             "\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n");
    assert_slice(answer.id, "msg_1");
    assert_slice(answer.service_tier, "standard");
    assert_int_equal(answer.usage.input_tokens, 115);
    assert_int_equal(answer.usage.cached_input_tokens, 100);
    assert_int_equal(answer.usage.cache_write_tokens, 5);
    assert_false(info.has_usage);
    read_raw(RM_OP_MESSAGES, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0}\n\n");
    assert_false(info.has_usage || info.terminal);
    read_raw(RM_OP_MESSAGES, "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
                             "\"usage\":{\"output_tokens\":40,\"input_tokens\":12}}\n\n");
    assert_true(info.has_usage);
    assert_int_equal(answer.usage.input_tokens, 117);
    assert_int_equal(answer.usage.output_tokens, 40);
    assert_int_equal(answer.finish, RM_FINISH_STOP);
    read_raw(RM_OP_MESSAGES, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    assert_true(info.terminal && answer.terminal);
}

static void test_responses_stream(void **state)
{
    (void)state;
    read_raw(
        RM_OP_RESPONSES,
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\","
        "\"model\":\"m\",\"status\":\"in_progress\",\"service_tier\":\"auto\",\"usage\":null,\"error\":null}}\n\n");
    assert_slice(answer.id, "resp_1");
    assert_int_equal(answer.finish, RM_FINISH_NONE);
    read_raw(RM_OP_RESPONSES, "event: response.output_text.delta\ndata: {\"delta\":\"a\",\"obfuscation\":\"b\"}\n\n");
    assert_true(info.padded);
    read_raw(
        RM_OP_RESPONSES,
        "event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\","
        "\"service_tier\":\"flex\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"usage\":{\"input_"
        "tokens\":7,"
        "\"input_tokens_details\":{\"cached_tokens\":3},\"output_tokens\":8,\"output_tokens_details\":{\"reasoning_"
        "tokens\":1}}}}\n\n");
    assert_true(info.terminal && info.has_usage && !info.error && answer.terminal);
    assert_int_equal(answer.finish, RM_FINISH_LENGTH);
    assert_slice(answer.service_tier, "flex");
    assert_int_equal(answer.usage.input_tokens, 7);
    assert_int_equal(answer.usage.cached_input_tokens, 3);
    assert_int_equal(answer.usage.reasoning_tokens, 1);
}

static void test_finishes(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        rm_finish finish;
    } rows[] = {
        {"\"stop\"", RM_FINISH_STOP},
        {"\"tool_calls\"", RM_FINISH_STOP},
        {"\"function_call\"", RM_FINISH_STOP},
        {"\"end_turn\"", RM_FINISH_STOP},
        {"\"tool_use\"", RM_FINISH_STOP},
        {"\"stop_sequence\"", RM_FINISH_STOP},
        {"\"length\"", RM_FINISH_LENGTH},
        {"\"max_tokens\"", RM_FINISH_LENGTH},
        {"\"content_filter\"", RM_FINISH_FILTER},
        {"\"refusal\"", RM_FINISH_FILTER},
        {"\"pause_turn\"", RM_FINISH_OTHER},
        {"\"tired\"", RM_FINISH_OTHER},
        {"null", RM_FINISH_NONE},
        {"7", RM_FINISH_NONE},
        {"\"\"", RM_FINISH_NONE},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{\"choices\":[{\"finish_reason\":%s}]}", rows[i].reason);
        assert_int_equal(rm_provider_read_body(RM_OP_CHAT, rm_slice_cstr(body), &arena, &answer), RM_OK);
        if (answer.finish != rows[i].finish)
            fail_msg("row %zu", i);
        snprintf(body, sizeof(body), "{\"content\":[],\"stop_reason\":%s}", rows[i].reason);
        assert_int_equal(rm_provider_read_body(RM_OP_MESSAGES, rm_slice_cstr(body), &arena, &answer), RM_OK);
        if (answer.finish != rows[i].finish)
            fail_msg("row %zu", i);
    }
}

static void test_bodies(void **state)
{
    (void)state;
    static const struct {
        rm_op op;
        const char *body;
        rm_status status;
        bool error;
        int64_t input, output;
    } rows[] = {
        {RM_OP_CHAT, "{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", RM_OK, false, 1, 2},
        {RM_OP_CHAT, "{\"error\":{\"message\":\"x\"}}", RM_OK, true, -1, -1},
        {RM_OP_CHAT, "{\"error\":null}", RM_EPARSE, false, 0, 0},
        {RM_OP_CHAT, "{}", RM_EPARSE, false, 0, 0},
        {RM_OP_CHAT, "[]", RM_EPARSE, false, 0, 0},
        {RM_OP_CHAT, "<html>", RM_EPARSE, false, 0, 0},
        {RM_OP_CHAT, "{\"choices\":[],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":\"2\"}}", RM_OK, false, -1,
         -1},
        {RM_OP_CHAT, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9223372036854775807}}", RM_OK, false, -1, -1},
        {RM_OP_COMPLETIONS, "{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}", RM_OK, false, 1, -1},
        {RM_OP_EMBEDDINGS,
         "{\"data\":[{\"embedding\":[0.1,2]}],\"model\":\"e\",\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}",
         RM_OK, false, 8, 0},
        {RM_OP_EMBEDDINGS, "{\"data\":[{\"embedding\":[0.1,2]", RM_EPARSE, false, 0, 0},
        {RM_OP_EMBEDDINGS, "{\"error\":{\"message\":\"x\"}}", RM_OK, true, -1, -1},
        {RM_OP_MODELS, "{\"object\":\"list\",\"data\":[]}", RM_OK, false, -1, -1},
        {RM_OP_MODELS, "{\"object\":\"list\",\"data\":{}}", RM_EPARSE, false, 0, 0},
        {RM_OP_RESPONSES, "{\"output\":[],\"status\":\"completed\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
         RM_OK, false, 3, 4},
        {RM_OP_RESPONSES, "{\"output\":[],\"status\":\"failed\"}", RM_OK, true, -1, -1},
        {RM_OP_MESSAGES,
         "{\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"cache_read_input_tokens\":5}}", RM_OK,
         false, 8, 4},
        {RM_OP_MESSAGES, "{\"type\":\"error\",\"error\":{\"type\":\"api_error\"}}", RM_OK, true, -1, -1},
        {RM_OP_OTHER, "{}", RM_EPARSE, false, 0, 0},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        rm_status status = rm_provider_read_body(rows[i].op, rm_slice_cstr(rows[i].body), &arena, &answer);
        if (status != rows[i].status)
            fail_msg("row %zu: %s", i, rm_status_name(status));
        if (status != RM_OK)
            continue;
        if (answer.error != rows[i].error || answer.usage.input_tokens != rows[i].input ||
            answer.usage.output_tokens != rows[i].output)
            fail_msg("row %zu", i);
    }
}

static void test_bodies_still_open(void **state)
{
    static const struct {
        rm_op op;
        const char *body;
        bool whole;
    } rows[] = {
        {RM_OP_CHAT, "{\"choices\":[{\"finish_reason\":\"stop\"}]}", true},
        {RM_OP_CHAT, "{\"choices\":[{\"message\":{}}]}", true},
        {RM_OP_CHAT, "{\"choices\":[{\"finish_reason\":null}]}", false},
        {RM_OP_CHAT, "{\"choices\":[{\"finish_reason\":\"stop\"},{\"finish_reason\":null}]}", false},
        {RM_OP_CHAT, "{\"choices\":[]}", false},
        {RM_OP_COMPLETIONS, "{\"choices\":[{\"finish_reason\":null}]}", false},
        {RM_OP_RESPONSES, "{\"status\":\"completed\",\"output\":[]}", true},
        {RM_OP_RESPONSES, "{\"output\":[]}", true},
        {RM_OP_RESPONSES, "{\"status\":\"queued\",\"output\":[]}", false},
        {RM_OP_RESPONSES, "{\"status\":\"in_progress\",\"output\":[]}", false},
        {RM_OP_MESSAGES, "{\"stop_reason\":\"end_turn\",\"content\":[]}", true},
        {RM_OP_MESSAGES, "{\"stop_reason\":null,\"content\":[]}", false},
    };
    (void)state;
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        if (rm_provider_read_body(rows[i].op, rm_slice_cstr(rows[i].body), &arena, &answer) != RM_OK ||
            answer.terminal != rows[i].whole)
            fail_msg("row %zu", i);
    }
}

/* ---- edits ------------------------------------------------------------------------------------------------------- */

struct edit {
    rm_op op;
    double cost; /* negative: clean */
    rm_buf out;
};

static void look_edit(const rm_sse_event *event, void *user)
{
    struct edit *edit = user;
    rm_provider_read_event(edit->op, event, &arena, &answer, &info);
    rm_status status = edit->cost < 0 ? rm_provider_clean_event(edit->op, event, &info, &edit->out)
                                      : rm_provider_set_event_cost(edit->op, event, edit->cost, &edit->out);
    assert_int_equal(status, RM_OK);
}

static void check_edit(rm_op op, double cost, const char *raw, const char *expected)
{
    struct edit edit = {op, cost, {0}};
    rm_buf_init(&edit.out, RM_MIB);
    with_event(raw, look_edit, &edit);
    assert_slice(rm_buf_slice(&edit.out), expected);
    rm_buf_deinit(&edit.out);
}

static void test_clean(void **state)
{
    (void)state;
    check_edit(RM_OP_CHAT, -1, "data: {\"a\":1.0}\n\n", "data: {\"a\":1.0}\n\n");
    check_edit(RM_OP_CHAT, -1, "data: {\"a\":1.0,\"usage\":null}\n\n", "data: {\"a\":1.0}\n\n");
    check_edit(RM_OP_CHAT, -1, "id: 7\r\ndata:{\"usage\":null,\"b\":2,\"obfuscation\":\"x\"}\r\nretry: 5\r\n\r\n",
               "id: 7\r\ndata:{\"b\":2}\r\nretry: 5\r\n\r\n");
    check_edit(RM_OP_CHAT, -1, "data: {\"usage\":null,\ndata: \"b\":[\ndata: 2]}\nid: 1\n\n",
               "data: {\ndata: \"b\":[\ndata: 2]}\nid: 1\n\n");
    check_edit(RM_OP_CHAT, -1,
               "\xef\xbb\xbf"
               "data: {\"usage\":null}\n\n",
               "\xef\xbb\xbf"
               "data: {}\n\n");
    /* Line ends of three kinds in one event, which still ends. */
    check_edit(RM_OP_CHAT, -1, "data: {\"usage\":null}\rdata:\n\n", "data: {}\rdata: \r\n\n");
    check_edit(RM_OP_RESPONSES, -1,
               "event: response.output_text.delta\ndata: {\"delta\":\"a\",\"obfuscation\":\"zz\"}\n\n",
               "event: response.output_text.delta\ndata: {\"delta\":\"a\"}\n\n");
    check_edit(RM_OP_RESPONSES, -1, "data: {\"delta\":\"an \\\"obfuscation\\\"\"}\n\n",
               "data: {\"delta\":\"an \\\"obfuscation\\\"\"}\n\n");
    check_edit(RM_OP_CHAT, -1, "data: [DONE]\n\n", "data: [DONE]\n\n");
}

static void test_cost(void **state)
{
    (void)state;
    check_edit(RM_OP_CHAT, 0.00045, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n",
               "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"cost\":0.00045}}\n\n");
    check_edit(RM_OP_CHAT, 0, "data: {\"usage\":{\"cost\":7, \"x\":1}}\n\n",
               "data: {\"usage\":{\"cost\":0, \"x\":1}}\n\n");
    check_edit(RM_OP_MESSAGES, 1, "event: message_delta\ndata: {\"usage\":{}}\n\n",
               "event: message_delta\ndata: {\"usage\":{\"cost\":1}}\n\n");
    check_edit(RM_OP_RESPONSES, 1.5, "event: response.completed\ndata: {\"response\":{\"usage\":{\"a\":1}}}\n\n",
               "event: response.completed\ndata: {\"response\":{\"usage\":{\"a\":1,\"cost\":1.5}}}\n\n");
    check_edit(RM_OP_CHAT, 1, "data: [DONE]\n\n", "data: [DONE]\n\n");
}

static void test_replay(void **state)
{
    (void)state;
    static const char stream[] = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
                                 ": ping\n\n"
                                 "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"
                                 "data: [DONE]\n\n";
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    assert_true(rm_provider_replay_is_plain(RM_OP_CHAT, true));
    assert_false(rm_provider_replay_is_plain(RM_OP_CHAT, false));
    assert_false(rm_provider_replay_is_plain(RM_OP_COMPLETIONS, false));
    assert_true(rm_provider_replay_is_plain(RM_OP_MESSAGES, false));
    assert_true(rm_provider_replay_is_plain(RM_OP_RESPONSES, false));
    assert_int_equal(rm_provider_replay_events(RM_OP_CHAT, RM_SLICE(stream), true, &out), RM_OK);
    assert_slice(rm_buf_slice(&out), stream);
    rm_buf_clear(&out);
    assert_int_equal(rm_provider_replay_events(RM_OP_CHAT, RM_SLICE(stream), false, &out), RM_OK);
    assert_slice(rm_buf_slice(&out),
                 "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n: ping\n\ndata: [DONE]\n\n");
    rm_buf_clear(&out);
    assert_int_equal(rm_provider_replay_events(RM_OP_CHAT, RM_SLICE("data: {"), false, &out), RM_EPARSE);
    assert_int_equal(out.len, 0);
    rm_buf_deinit(&out);
}

static void refreshed(rm_op op, bool events, const char *content, rm_buf *out)
{
    rm_rng rng;
    rm_rng_seed(&rng, 42);
    rm_buf_init(out, RM_MIB);
    assert_int_equal(rm_provider_refresh_ids(op, events, rm_slice_cstr(content), 1234567890, &rng, out), RM_OK);
    assert_int_equal(rm_buf_append(out, "", 1), RM_OK);
}

static void test_fresh_ids(void **state)
{
    (void)state;
    rm_buf out;
    refreshed(RM_OP_CHAT, false, "{\"id\":\"chatcmpl-abcDEF123\",\"created\":1,\"choices\":[{\"id\":\"call_1\"}]}",
              &out);
    assert_memory_equal(out.ptr, "{\"id\":\"chatcmpl-", 16);
    assert_memory_not_equal(out.ptr + 16, "abcDEF123", 9);
    assert_string_equal(out.ptr + 25, "\",\"created\":1234567890,\"choices\":[{\"id\":\"call_1\"}]}");
    rm_buf_deinit(&out);

    refreshed(RM_OP_CHAT, true,
              "data: {\"created\":1,\"id\":\"c-aaaaaaaa\"}\n\ndata: {\"id\":\"c-aaaaaaaa\",\"created\":1}\n\ndata: "
              "[DONE]\n\n",
              &out);
    const char *first = strstr(out.ptr, "\"id\":"), *second = strstr(first + 1, "\"id\":");
    assert_memory_equal(first, second, 17);
    assert_memory_not_equal(first, "\"id\":\"c-aaaaaaaa\"", 17);
    assert_non_null(strstr(out.ptr, "data: {\"created\":1234567890,\"id\""));
    assert_non_null(strstr(out.ptr, "data: [DONE]\n\n"));
    rm_buf_deinit(&out);

    refreshed(RM_OP_RESPONSES, true,
              "event: response.created\ndata: {\"response\":{\"id\":\"resp_0f0f\",\"created_at\":5}}\n\n"
              "event: response.output_text.delta\ndata: {\"item_id\":\"msg_1\"}\n\n",
              &out);
    assert_null(strstr(out.ptr, "resp_0f0f"));
    assert_non_null(strstr(out.ptr, "\"id\":\"resp_"));
    assert_non_null(strstr(out.ptr, "\"created_at\":1234567890"));
    assert_non_null(strstr(out.ptr, "\"item_id\":\"msg_1\""));
    rm_buf_deinit(&out);

    refreshed(RM_OP_MESSAGES, false, "{\"id\":7,\"content\":[]}", &out);
    assert_string_equal(out.ptr, "{\"id\":7,\"content\":[]}");
    rm_buf_deinit(&out);
    refreshed(RM_OP_EMBEDDINGS, false, "{\"id\":\"abc\"}", &out);
    assert_string_equal(out.ptr, "{\"id\":\"abc\"}");
    rm_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chat_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chat_oddities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_in_streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_messages_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_responses_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_finishes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bodies_still_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fresh_ids, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
