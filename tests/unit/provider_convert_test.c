/* One form of an answer out of the other: samples, edges, and random bodies that must come back whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "provider_samples.h"
#include "remora/provider.h"

#define ROUNDS 2000

static void canonical(rm_slice text, rm_buf *out)
{
    rm_arena arena;
    const rm_json *root;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_buf_init(out, 64 * RM_MIB);
    if (rm_json_parse(&arena, text, &root) != RM_OK)
        fail_msg("not JSON: %.*s", (int)text.len, text.ptr);
    assert_int_equal(rm_json_canonical(root, NULL, NULL, out), RM_OK);
    rm_arena_deinit(&arena);
}

static void assert_same_json(rm_slice a, rm_slice b)
{
    rm_buf ca, cb;
    canonical(a, &ca);
    canonical(b, &cb);
    if (!rm_slice_eq(rm_buf_slice(&ca), rm_buf_slice(&cb)))
        fail_msg("%.*s\n   is not\n%.*s", (int)ca.len, ca.ptr, (int)cb.len, cb.ptr);
    rm_buf_deinit(&ca);
    rm_buf_deinit(&cb);
}

/* body -> events -> body is the same; again -> events is byte for byte the same. */
static void check_round_trip(rm_op op, rm_slice body)
{
    rm_buf events, back, again;
    rm_buf_init(&events, 64 * RM_MIB);
    rm_buf_init(&back, 64 * RM_MIB);
    rm_buf_init(&again, 64 * RM_MIB);
    if (rm_provider_body_to_events(op, body, true, &events) != RM_OK)
        fail_msg("no events: %.*s", (int)body.len, body.ptr);
    if (rm_provider_events_to_body(op, rm_buf_slice(&events), &back) != RM_OK)
        fail_msg("no body: %.*s", (int)events.len, events.ptr);
    assert_same_json(rm_buf_slice(&back), body);
    assert_int_equal(rm_provider_body_to_events(op, rm_buf_slice(&back), true, &again), RM_OK);
    rm_buf_clear(&back);
    assert_int_equal(rm_provider_events_to_body(op, rm_buf_slice(&again), &back), RM_OK);
    assert_same_json(rm_buf_slice(&back), body);
    rm_buf_deinit(&events);
    rm_buf_deinit(&back);
    rm_buf_deinit(&again);
}

static const struct {
    rm_op op;
    const char *name;
} samples[] = {
    {RM_OP_CHAT, "chat"},           {RM_OP_CHAT, "chat_tools"},   {RM_OP_COMPLETIONS, "completions"},
    {RM_OP_RESPONSES, "responses"}, {RM_OP_MESSAGES, "messages"},
};

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(samples); i++) {
        rm_buf body, events, out;
        sample_read(samples[i].name, "json", &body);
        sample_read(samples[i].name, "sse", &events);
        rm_buf_init(&out, RM_MIB);
        assert_int_equal(rm_provider_events_to_body(samples[i].op, rm_buf_slice(&events), &out), RM_OK);
        assert_same_json(rm_buf_slice(&out), rm_buf_slice(&body));
        check_round_trip(samples[i].op, rm_buf_slice(&body));
        rm_buf_deinit(&body);
        rm_buf_deinit(&events);
        rm_buf_deinit(&out);
    }
}

/* A stream that stops anywhere, other than at its end, is no body. */
static void test_cut_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(samples); i++) {
        rm_buf events, out;
        sample_read(samples[i].name, "sse", &events);
        rm_buf_init(&out, RM_MIB);
        for (size_t len = 0; len < events.len; len += 7) {
            assert_int_equal(rm_provider_events_to_body(samples[i].op, rm_slice_make(events.ptr, len), &out),
                             RM_EPARSE);
            assert_int_equal(out.len, 0);
        }
        rm_buf_deinit(&events);
        rm_buf_deinit(&out);
    }
}

/* ---- edges ------------------------------------------------------------------------------------------------------- */

static void check_body(rm_op op, const char *events, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    rm_status status = rm_provider_events_to_body(op, rm_slice_cstr(events), &out);
    if (status != (expected ? RM_OK : RM_EPARSE))
        fail_msg("%s: %s", rm_status_name(status), events);
    if (expected)
        assert_same_json(rm_buf_slice(&out), rm_slice_cstr(expected));
    else
        assert_int_equal(out.len, 0);
    rm_buf_deinit(&out);
}

#define CHUNK(choice) "data: {\"id\":\"a\",\"choices\":[" choice "]}\n\n"
#define END           "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
#define BODY(choice) \
    "{\"id\":\"a\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"," choice "}]}"

static void test_chat_edges(void **state)
{
    (void)state;
    /* no role, no content: a body has both */
    check_body(RM_OP_CHAT, CHUNK("{\"index\":0,\"delta\":{\"x\":1}}") END,
               BODY("\"message\":{\"role\":\"assistant\",\"content\":null,\"x\":1}"));
    /* null does not end a string; strings unknown here are joined, other values replaced */
    check_body(
        RM_OP_CHAT,
        CHUNK("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"thoughts\":\"a\",\"k\":1}}")
            CHUNK("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"b\",\"thoughts\":\"c\",\"k\":1.50}}")
                CHUNK("{\"index\":0,\"delta\":{\"content\":null,\"role\":null}}") END,
        BODY("\"message\":{\"role\":\"assistant\",\"content\":\"b\",\"thoughts\":\"ac\",\"k\":1.5}"));
    /* tool calls without indexes, names repeated or in pieces */
    check_body(RM_OP_CHAT,
               CHUNK("{\"index\":0,\"delta\":{\"content\":\"\",\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":"
                     "\"get\",\"arguments\":\"{\"}}]}}")
                   CHUNK("{\"index\":0,\"delta\":{\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"get\","
                         "\"arguments\":\"}\"}}]}}")
                       CHUNK("{\"index\":0,\"delta\":{\"tool_calls\":[{\"id\":\"2\",\"function\":{\"name\":\"ge\"}},{"
                             "\"function\":{\"name\":\"t\"}}]}}") END,
               BODY("\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"1\",\"function\":"
                    "{\"name\":\"get\",\"arguments\":\"{}\"}},{\"id\":\"2\",\"function\":{\"name\":\"get\"}}]}"));
    /* the old function_call, and calls that come out of order */
    check_body(RM_OP_CHAT,
               CHUNK("{\"index\":0,\"delta\":{\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"a\"},"
                     "\"tool_calls\":[{\"index\":1,\"id\":\"y\"},{\"index\":0,\"id\":\"x\"}]}}")
                   CHUNK("{\"index\":0,\"delta\":{\"function_call\":{\"arguments\":\"b\"}}}") END,
               BODY("\"message\":{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\","
                    "\"arguments\":\"ab\"},"
                    "\"tool_calls\":[{\"id\":\"x\"},{\"id\":\"y\"}]}"));
    /* reasoning_details are merged by index, which they keep; annotations are appended */
    check_body(RM_OP_CHAT,
               CHUNK("{\"index\":0,\"delta\":{\"content\":\"\",\"annotations\":[{\"n\":1}],\"reasoning_details\":[{"
                     "\"index\":0,\"type\":\"t\",\"text\":\"a\"}]}}")
                   CHUNK("{\"index\":0,\"delta\":{\"annotations\":[{\"n\":2}],\"reasoning_details\":[{\"index\":0,"
                         "\"type\":\"t\",\"text\":\"b\"}]}}") END,
               BODY("\"message\":{\"role\":\"assistant\",\"content\":\"\",\"annotations\":[{\"n\":1},{\"n\":2}],"
                    "\"reasoning_details\":[{\"index\":0,\"type\":\"t\",\"text\":\"ab\"}]}"));
    /* usage: the last one that is given; comments and padding are nothing */
    check_body(
        RM_OP_CHAT,
        ": hello\n\ndata: "
        "{\"id\":\"a\",\"usage\":{\"prompt_tokens\":1},\"obfuscation\":\"x\",\"choices\":[{\"delta\":{\"content\":\"\"}"
        ",\"finish_reason\":\"stop\"}]}\r\n\r\n"
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2}}\n\ndata: {\"choices\":[],\"usage\":null}\n\ndata: "
        "[DONE]\n\ndata: ignored\n\n",
        "{\"id\":\"a\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":"
        "{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":{\"prompt_tokens\":2}}");
}

static void test_chat_refusals(void **state)
{
    (void)state;
    static const char *const streams[] = {
        "",
        "data: [DONE]\n\n",
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"}}"),                    /* no end */
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"}}") "data: [DONE]\n\n", /* no reason */
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"\\ud83d\"}}") END,          /* half a character */
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"\xf0\x9f\"}}") END,
        CHUNK("{\"index\":0,\"delta\":{\"audio\":{\"data\":\"AA\"}}}") END,
        CHUNK("{\"index\":0,\"delta\":[1]}") END,
        CHUNK("{\"index\":-1,\"delta\":{\"content\":\"a\"}}") END,
        CHUNK("{\"index\":1024,\"delta\":{\"content\":\"a\"}}") END,
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\",\"tool_calls\":[{\"index\":1024}]}}") END,
        CHUNK("7") END,
        "data: {\"error\":{\"message\":\"x\"}}\n\n" CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"}}") END,
        "event: error\ndata: {}\n\n" CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"}}") END,
        "data: <html>\n\n" CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"}}") END,
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"}}") "data: "
                                                             "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_"
                                                             "reason\":\"stop\"}]}\n\ndata: [DONE]",
    };
    for (size_t i = 0; i < RM_COUNT(streams); i++)
        check_body(RM_OP_CHAT, streams[i], NULL);
}

/* Hostile streams meet bounds: members of an object, depth. */
static void test_bounds(void **state)
{
    (void)state;
    for (int members = 255; members <= 257; members++) {
        rm_buf events, out;
        rm_buf_init(&events, RM_MIB);
        rm_buf_init(&out, RM_MIB);
        for (int i = 0; i < members; i++)
            rm_buf_appendf(&events, "data: {\"choices\":[{\"index\":0,\"delta\":{\"m%d\":1}}]}\n\n", i);
        rm_buf_append_cstr(&events, END);
        rm_status status = rm_provider_events_to_body(RM_OP_CHAT, rm_buf_slice(&events), &out);
        assert_int_equal(status, members <= 256 ? RM_OK : RM_EPARSE);
        rm_buf_deinit(&events);
        rm_buf_deinit(&out);
    }
    static const struct {
        int depth;
        const char *open, *close;
        rm_status status;
    } rows[] = {{126, "[", "]", RM_OK},
                {200, "[", "]", RM_EPARSE},
                {14, "{\"a\":", "}", RM_OK},
                {40, "{\"a\":", "}", RM_EPARSE}};
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        rm_buf events, out;
        rm_buf_init(&events, RM_MIB);
        rm_buf_init(&out, RM_MIB);
        rm_buf_append_cstr(&events, "data: {\"choices\":[{\"index\":0,\"delta\":{\"x\":");
        for (int d = 0; d < rows[i].depth; d++)
            rm_buf_append_cstr(&events, rows[i].open);
        rm_buf_append_cstr(&events, "1");
        for (int d = 0; d < rows[i].depth; d++)
            rm_buf_append_cstr(&events, rows[i].close);
        rm_buf_append_cstr(&events, "}}]}\n\n" END);
        rm_status status = rm_provider_events_to_body(RM_OP_CHAT, rm_buf_slice(&events), &out);
        if (status != rows[i].status)
            fail_msg("row %zu: %s", i, rm_status_name(status));
        rm_buf_deinit(&events);
        rm_buf_deinit(&out);
    }
}

#define START                      \
    "event: message_start\ndata: " \
    "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":1}}}\n\n"
#define STOP                                                                                                      \
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":" \
    "{\"output_tokens\":2,\"input_tokens\":null}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
#define BLOCK(block)       "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":" block "}\n\n"
#define DELTA(index, body) "data: {\"type\":\"content_block_delta\",\"index\":" index ",\"delta\":" body "}\n\n"
#define MESSAGE(content)                                                                                         \
    "{\"id\":\"m\",\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2},\"content\":" \
    "[" content "]}"

static void test_messages_edges(void **state)
{
    (void)state;
    check_body(RM_OP_MESSAGES, START STOP, MESSAGE(""));
    check_body(RM_OP_MESSAGES, START "event: ping\ndata: {\"type\":\"ping\"}\n\nevent: news\ndata: {}\n\n" STOP,
               MESSAGE(""));
    check_body(RM_OP_MESSAGES,
               START BLOCK("{\"type\":\"text\",\"text\":\"a\"}") DELTA("0", "{\"type\":\"text_delta\",\"text\":\"b\"}")
                   STOP,
               MESSAGE("{\"type\":\"text\",\"text\":\"ab\"}"));
    check_body(RM_OP_MESSAGES,
               START BLOCK("{\"type\":\"text\",\"text\":\"\",\"citations\":null}")
                   DELTA("0", "{\"type\":\"citations_delta\",\"citation\":{\"n\":1}}")
                       DELTA("0", "{\"type\":\"citations_delta\",\"citation\":{\"n\":2}}") STOP,
               MESSAGE("{\"type\":\"text\",\"text\":\"\",\"citations\":[{\"n\":1},{\"n\":2}]}"));
    check_body(RM_OP_MESSAGES,
               START BLOCK("{\"type\":\"tool_use\",\"input\":{}}")
                   DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":1.\"}")
                       DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"50}\"}") STOP,
               MESSAGE("{\"type\":\"tool_use\",\"input\":{\"a\":1.50}}"));
    static const char *const bad[] = {
        START,
        STOP,
        START START STOP,
        START "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n" STOP,
        START BLOCK("{\"type\":\"tool_use\",\"input\":{}}")
            DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}") STOP,
        START DELTA("0", "{\"type\":\"text_delta\",\"text\":\"b\"}") STOP,
        START BLOCK("{\"type\":\"text\",\"text\":\"a\"}") DELTA("1", "{\"type\":\"text_delta\",\"text\":\"b\"}") STOP,
        START BLOCK("{\"type\":\"text\",\"text\":\"a\"}") DELTA("0", "{\"type\":\"unknown_delta\",\"text\":\"b\"}")
            STOP,
        START BLOCK("{\"type\":\"text\",\"text\":\"a\"}") DELTA("0", "{\"type\":\"text_delta\"}") STOP,
        START BLOCK("{\"type\":\"text\"}") BLOCK("{\"type\":\"text\"}") STOP,
        START BLOCK("7") STOP,
    };
    for (size_t i = 0; i < RM_COUNT(bad); i++)
        check_body(RM_OP_MESSAGES, bad[i], NULL);
}

static void test_responses_edges(void **state)
{
    (void)state;
    check_body(RM_OP_RESPONSES, "event: response.completed\ndata: {\"response\":{\"id\":1.0}}\n\n", "{\"id\":1}");
    check_body(RM_OP_RESPONSES, "data: {\"type\":\"response.incomplete\",\"response\":{\"id\":1,\"output\":[]}}\n\n",
               "{\"id\":1,\"output\":[]}");
    check_body(RM_OP_RESPONSES,
               "event: response.output_item.done\ndata: {\"output_index\":1,\"item\":{\"n\":2}}\n\n"
               "event: response.output_item.done\ndata: {\"output_index\":0,\"item\":{\"n\":1}}\n\n"
               "event: response.completed\ndata: {\"response\":{\"output\":[],\"id\":1}}\n\n",
               "{\"output\":[{\"n\":1},{\"n\":2}],\"id\":1}");
    static const char *const bad[] = {
        "event: response.failed\ndata: {\"response\":{\"status\":\"failed\"}}\n\n",
        "event: error\ndata: {}\n\nevent: response.completed\ndata: {\"response\":{}}\n\n",
        "event: response.completed\ndata: {\"response\":7}\n\n",
        "event: response.completed\ndata: {\"response\":{\"error\":{}}}\n\n",
        "event: response.completed\ndata: {\n\n",
        "event: response.output_item.done\ndata: {\"item\":{}}\n\nevent: response.completed\ndata: "
        "{\"response\":{}}\n\n",
        "event: response.created\ndata: {\"response\":{}}\n\n",
    };
    for (size_t i = 0; i < RM_COUNT(bad); i++)
        check_body(RM_OP_RESPONSES, bad[i], NULL);
}

static void test_bodies_without_events(void **state)
{
    (void)state;
    static const struct {
        rm_op op;
        const char *body;
        rm_status status;
    } rows[] = {
        {RM_OP_EMBEDDINGS, "{\"data\":[]}", RM_EINVAL},
        {RM_OP_MODELS, "{\"data\":[]}", RM_EINVAL},
        {RM_OP_OTHER, "{}", RM_EINVAL},
        {RM_OP_CHAT, "{", RM_EPARSE},
        {RM_OP_CHAT, "[]", RM_EPARSE},
        {RM_OP_CHAT, "{\"choices\":[]}", RM_EPARSE},
        {RM_OP_CHAT, "{\"choices\":[7]}", RM_EPARSE},
        {RM_OP_CHAT, "{\"error\":{},\"choices\":[{\"message\":{},\"finish_reason\":\"stop\"}]}", RM_EPARSE},
        {RM_OP_CHAT, "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":null}]}", RM_EPARSE},
        {RM_OP_CHAT, "{\"choices\":[{\"message\":{\"audio\":{\"id\":\"a\"}},\"finish_reason\":\"stop\"}]}", RM_EPARSE},
        {RM_OP_COMPLETIONS, "{\"choices\":[{\"text\":7,\"finish_reason\":\"stop\"}]}", RM_EPARSE},
        {RM_OP_RESPONSES, "{\"output\":[],\"status\":\"failed\"}", RM_EPARSE},
        {RM_OP_RESPONSES, "{\"output\":[7],\"status\":\"completed\"}", RM_EPARSE},
        {RM_OP_RESPONSES, "{\"status\":\"completed\"}", RM_EPARSE},
        {RM_OP_MESSAGES, "{\"content\":[]}", RM_EPARSE},
        {RM_OP_MESSAGES, "{\"content\":[7],\"stop_reason\":\"end_turn\"}", RM_EPARSE},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        rm_buf out;
        rm_buf_init(&out, RM_MIB);
        rm_buf_append_cstr(&out, "before");
        rm_status status = rm_provider_body_to_events(rows[i].op, rm_slice_cstr(rows[i].body), true, &out);
        if (status != rows[i].status || out.len != 6)
            fail_msg("row %zu: %s", i, rm_status_name(status));
        rm_buf_deinit(&out);
    }
}

static void test_usage_chunk_by_request(void **state)
{
    (void)state;
    rm_buf with, without, replayed;
    rm_slice body = RM_SLICE(
        "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}");
    rm_buf_init(&with, RM_MIB);
    rm_buf_init(&without, RM_MIB);
    rm_buf_init(&replayed, RM_MIB);
    assert_int_equal(rm_provider_body_to_events(RM_OP_CHAT, body, true, &with), RM_OK);
    assert_int_equal(rm_provider_body_to_events(RM_OP_CHAT, body, false, &without), RM_OK);
    assert_int_equal(rm_provider_replay_events(RM_OP_CHAT, rm_buf_slice(&with), false, &replayed), RM_OK);
    assert_true(with.len > without.len);
    assert_true(rm_slice_eq(rm_buf_slice(&replayed), rm_buf_slice(&without)));
    rm_buf_deinit(&with);
    rm_buf_deinit(&without);
    rm_buf_deinit(&replayed);
}

/* ---- random bodies ----------------------------------------------------------------------------------------------- */

static rm_rng rng;

static unsigned pick(unsigned below)
{
    return (unsigned)(rm_rng_next(&rng) % below);
}

static void put_text(rm_buf *out)
{
    static const char *const pieces[] = {"a",
                                         "Remora ",
                                         "\\n",
                                         "\\\"",
                                         "\\\\",
                                         "\xc3\xa9",
                                         "\\u00e9",
                                         "\\u0000",
                                         "{\\\"",
                                         "data: [DONE]",
                                         "\xf0\x9f\x90\x9f",
                                         "\\ud83d\\udc1f",
                                         "\\u2028",
                                         "\\/",
                                         "]}"};
    rm_buf_append_char(out, '"');
    for (unsigned i = pick(8); i > 0; i--)
        rm_buf_append_cstr(out, pieces[pick(RM_COUNT(pieces))]);
    rm_buf_append_char(out, '"');
}

static void put_any(rm_buf *out, unsigned depth)
{
    static const char *const scalars[] = {"null", "true", "0", "-1.50", "1e-7", "12345678901234567890123", "{}", "[]"};
    unsigned kind = pick(depth ? 5 : 3);
    if (kind == 0) {
        put_text(out);
    } else if (kind <= 2) {
        rm_buf_append_cstr(out, scalars[pick(RM_COUNT(scalars))]);
    } else {
        bool object = kind == 3;
        rm_buf_append_char(out, object ? '{' : '[');
        for (unsigned i = 0, count = pick(4); i < count; i++) {
            if (object)
                rm_buf_appendf(out, "%s\"k%u\":", i ? "," : "", i);
            else if (i)
                rm_buf_append_char(out, ',');
            put_any(out, depth - 1);
        }
        rm_buf_append_char(out, object ? '}' : ']');
    }
}

static void put_maybe(rm_buf *out, const char *name, void (*put)(rm_buf *out))
{
    if (!pick(2))
        return;
    rm_buf_appendf(out, ",\"%s\":", name);
    put(out);
}

static void put_object(rm_buf *out)
{
    rm_buf_append_cstr(out, "{\"v\":");
    put_any(out, 2);
    rm_buf_append_char(out, '}');
}

static void put_objects(rm_buf *out)
{
    rm_buf_append_char(out, '[');
    for (unsigned i = 0, count = pick(4); i < count; i++) {
        if (i)
            rm_buf_append_char(out, ',');
        put_object(out);
    }
    rm_buf_append_char(out, ']');
}

static void put_text_or_null(rm_buf *out)
{
    if (pick(3))
        put_text(out);
    else
        rm_buf_append_cstr(out, "null");
}

static void put_logprobs(rm_buf *out)
{
    if (!pick(2)) {
        rm_buf_append_cstr(out, "null");
        return;
    }
    rm_buf_append_cstr(out, "{\"content\":");
    put_objects(out);
    rm_buf_append_cstr(out, pick(2) ? ",\"refusal\":null}" : ",\"refusal\":[]}");
}

static void put_tool_calls(rm_buf *out)
{
    rm_buf_append_char(out, '[');
    for (unsigned i = 0, count = pick(4); i < count; i++) {
        rm_buf_appendf(out, "%s{\"id\":\"call_%u\",\"type\":\"function\",\"function\":{\"name\":\"f%u\",\"arguments\":",
                       i ? "," : "", i, i);
        put_text(out);
        rm_buf_append_cstr(out, "}}");
    }
    rm_buf_append_char(out, ']');
}

static void put_usage(rm_buf *out)
{
    rm_buf_appendf(out, "{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"details\":", pick(100), pick(100));
    put_any(out, 2);
    rm_buf_append_char(out, '}');
}

static void put_chat(rm_buf *out)
{
    rm_buf_append_cstr(
        out, "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[");
    for (unsigned i = 0, count = 1 + pick(3); i < count; i++) {
        rm_buf_appendf(out, "%s{\"index\":%u,\"finish_reason\":\"%s\"", i ? "," : "", i,
                       pick(2) ? "stop" : "tool_calls");
        rm_buf_append_cstr(out, ",\"message\":{\"role\":\"assistant\",\"content\":");
        put_text_or_null(out);
        put_maybe(out, "refusal", put_text_or_null);
        put_maybe(out, "reasoning_content", put_text);
        put_maybe(out, "tool_calls", put_tool_calls);
        put_maybe(out, "annotations", put_objects);
        put_maybe(out, "extra", put_object);
        rm_buf_append_char(out, '}');
        put_maybe(out, "logprobs", put_logprobs);
        put_maybe(out, "content_filter_results", put_object);
        rm_buf_append_char(out, '}');
    }
    rm_buf_append_char(out, ']');
    put_maybe(out, "usage", put_usage);
    put_maybe(out, "service_tier", put_text);
    put_maybe(out, "system_fingerprint", put_text_or_null);
    put_maybe(out, "vendor", put_object);
    rm_buf_append_char(out, '}');
}

static void put_completion(rm_buf *out)
{
    rm_buf_append_cstr(out, "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"choices\":[");
    for (unsigned i = 0, count = 1 + pick(3); i < count; i++) {
        rm_buf_appendf(out, "%s{\"index\":%u,\"finish_reason\":\"length\",\"text\":", i ? "," : "", i);
        put_text(out);
        put_maybe(out, "logprobs", put_logprobs);
        rm_buf_append_char(out, '}');
    }
    rm_buf_append_char(out, ']');
    put_maybe(out, "usage", put_usage);
    rm_buf_append_char(out, '}');
}

static void put_response(rm_buf *out)
{
    static const char *const types[] = {"output_text", "refusal", "reasoning_text", "something_new"};
    rm_buf_append_cstr(out, "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"output\":[");
    for (unsigned i = 0, count = pick(4); i < count; i++) {
        static const char *const items[] = {"message", "function_call", "reasoning", "web_search_call",
                                            "custom_tool_call"};
        rm_buf_appendf(out, "%s{\"id\":\"i_%u\",\"type\":\"%s\",\"content\":[", i ? "," : "", i,
                       items[pick(RM_COUNT(items))]);
        for (unsigned j = 0, parts = pick(3); j < parts; j++) {
            rm_buf_appendf(out, "%s{\"type\":\"%s\"", j ? "," : "", types[pick(RM_COUNT(types))]);
            put_maybe(out, "text", put_text);
            put_maybe(out, "refusal", put_text);
            put_maybe(out, "annotations", put_objects);
            rm_buf_append_char(out, '}');
        }
        rm_buf_append_char(out, ']');
        put_maybe(out, "arguments", put_text);
        put_maybe(out, "input", put_text);
        put_maybe(out, "summary", put_objects);
        rm_buf_append_char(out, '}');
    }
    rm_buf_append_char(out, ']');
    put_maybe(out, "usage", put_usage);
    rm_buf_append_char(out, '}');
}

static void put_message(rm_buf *out)
{
    static const char *const types[] = {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "new"};
    rm_buf_append_cstr(out, "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
    for (unsigned i = 0, count = pick(5); i < count; i++) {
        rm_buf_appendf(out, "%s{\"type\":\"%s\"", i ? "," : "", types[pick(RM_COUNT(types))]);
        put_maybe(out, "text", put_text);
        put_maybe(out, "thinking", put_text);
        put_maybe(out, "signature", put_text);
        put_maybe(out, "citations", put_objects);
        put_maybe(out, "input", put_object);
        put_maybe(out, "data", put_text);
        rm_buf_append_char(out, '}');
    }
    rm_buf_appendf(out, "],\"stop_reason\":\"%s\",\"stop_sequence\":", pick(2) ? "end_turn" : "stop_sequence");
    put_text_or_null(out);
    rm_buf_appendf(out, ",\"usage\":{\"input_tokens\":%u,\"output_tokens\":%u,\"service_tier\":\"standard\"}", pick(99),
                   pick(99));
    put_maybe(out, "container", put_object);
    rm_buf_append_char(out, '}');
}

static void test_random_bodies(void **state)
{
    (void)state;
    static const struct {
        rm_op op;
        void (*put)(rm_buf *out);
    } kinds[] = {{RM_OP_CHAT, put_chat},
                 {RM_OP_COMPLETIONS, put_completion},
                 {RM_OP_RESPONSES, put_response},
                 {RM_OP_MESSAGES, put_message}};
    rm_rng_seed(&rng, 20260101);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < RM_COUNT(kinds); i++) {
            rm_buf body;
            rm_buf_init(&body, RM_MIB);
            kinds[i].put(&body);
            check_round_trip(kinds[i].op, rm_buf_slice(&body));
            rm_buf_deinit(&body);
        }
}

#ifdef REMORA_FAULTS
static void test_no_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(samples); i++) {
        rm_buf sse;
        bool done = false;
        sample_read(samples[i].name, "sse", &sse);
        for (uint64_t nth = 1; !done; nth++) {
            rm_buf body, events;
            assert_true(nth < 200);
            rm_buf_init(&body, RM_MIB);
            rm_buf_init(&events, RM_MIB);
            rm_fault_set(RM_FAULT_ALLOC, nth, true);
            rm_status status = rm_provider_events_to_body(samples[i].op, rm_buf_slice(&sse), &body);
            if (status == RM_OK)
                status = rm_provider_body_to_events(samples[i].op, rm_buf_slice(&body), true, &events);
            rm_fault_set(RM_FAULT_ALLOC, 0, false);
            assert_true(status == RM_OK || status == RM_ENOMEM);
            assert_int_equal(status == RM_OK, events.len > 0);
            done = status == RM_OK;
            rm_buf_deinit(&body);
            rm_buf_deinit(&events);
        }
        rm_buf_deinit(&sse);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_cut_streams),
        cmocka_unit_test(test_chat_edges),
        cmocka_unit_test(test_chat_refusals),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_messages_edges),
        cmocka_unit_test(test_responses_edges),
        cmocka_unit_test(test_bodies_without_events),
        cmocka_unit_test(test_usage_chunk_by_request),
        cmocka_unit_test(test_random_bodies),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
