/* What an answer says: every dialect in both forms, and all that says nothing that can be compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "provider_samples.h"
#include "remora/provider.h"

#define BEFORE "before|"

typedef struct expected {
    rm_op op;
    rm_status status;
    const char *text; /* of RM_OK */
    const char *content;
} expected;

static void check(const expected *e, bool events, rm_slice content)
{
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    rm_buf_append_cstr(&out, BEFORE);
    rm_status status = rm_provider_answer_text(e->op, events, content, &out);
    rm_slice said = rm_slice_make(out.ptr + strlen(BEFORE), out.len - strlen(BEFORE));
    if (status != e->status || !rm_slice_eq(said, rm_slice_cstr(e->text)))
        fail_msg("%s, '%.*s' instead of %s, '%s': %.*s", rm_status_name(status), (int)said.len, said.ptr,
                 rm_status_name(e->status), e->text ? e->text : "", (int)content.len, content.ptr);
    assert_memory_equal(out.ptr, BEFORE, strlen(BEFORE));
    rm_buf_deinit(&out);
}

/* As it is, and as the stream that says the same where there is one. */
static void check_all(const expected *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rm_slice body = rm_slice_cstr(cases[i].content);
        rm_buf events;
        rm_buf_init(&events, RM_MIB);
        check(&cases[i], false, body);
        if (rm_provider_body_to_events(cases[i].op, body, true, &events) == RM_OK)
            check(&cases[i], true, rm_buf_slice(&events));
        rm_buf_deinit(&events);
    }
}

/* ---- chat and completions ---------------------------------------------------------------------------------------- */

#define CHOICE(message)  "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":" message "}]}"
#define CONTENT(content) CHOICE("{\"role\":\"assistant\",\"content\":" content "}")
#define CALLS(calls)     CHOICE("{\"content\":null,\"tool_calls\":[" calls "]}")

static void test_chat_text(void **state)
{
    (void)state;
    static const expected cases[] = {
        {RM_OP_CHAT, RM_OK, "Bern", CONTENT("\"Bern\"")},
        {RM_OP_CHAT, RM_OK, "a\n\"b\" \xc3\xa9", CONTENT("\"a\\n\\\"b\\\" \\u00e9\"")},
        {RM_OP_CHAT, RM_OK, " ", CONTENT("\" \"")},
        {RM_OP_CHAT, RM_OK, "No.", CHOICE("{\"content\":null,\"refusal\":\"No.\"}")},
        {RM_OP_CHAT, RM_OK, "No.", CHOICE("{\"content\":\"\",\"refusal\":\"No.\"}")},
        {RM_OP_CHAT, RM_OK, "Yes", CHOICE("{\"content\":\"Yes\",\"refusal\":\"No.\"}")},
        {RM_OP_CHAT, RM_OK, "Yes", CHOICE("{\"content\":\"Yes\",\"reasoning_content\":\"Hm.\",\"audio\":null}")},
        {RM_OP_CHAT, RM_OK, "Yes", CHOICE("{\"content\":\"Yes\",\"tool_calls\":[],\"images\":[]}")},
        {RM_OP_CHAT, RM_OK, "ab",
         CONTENT("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"thinking\",\"thinking\":[]},"
                 "{\"type\":\"reasoning\"},{\"type\":\"refusal\",\"refusal\":\"b\"}]")},
        /* several choices: the first, wherever it stands */
        {RM_OP_CHAT, RM_OK, "one",
         "{\"choices\":[{\"index\":1,\"message\":{\"content\":\"two\"}},{\"index\":0,\"message\":{\"content\":"
         "\"one\"}}]}"},
        {RM_OP_CHAT, RM_OK, "one", "{\"choices\":[{\"message\":{\"content\":\"one\"}},{\"message\":{}}]}"},
        {RM_OP_CHAT, RM_OK, "cut", "{\"choices\":[{\"finish_reason\":\"length\",\"message\":{\"content\":\"cut\"}}]}"},
        {RM_OP_COMPLETIONS, RM_OK, "Once upon",
         "{\"choices\":[{\"index\":0,\"text\":\"Once upon\",\"logprobs\":null,\"finish_reason\":\"stop\"}]}"},
        {RM_OP_COMPLETIONS, RM_OK, "b", "{\"choices\":[{\"index\":1,\"text\":\"a\"},{\"index\":0,\"text\":\"b\"}]}"},
    };
    check_all(cases, RM_COUNT(cases));
}

static void test_chat_calls(void **state)
{
    (void)state;
    static const expected cases[] = {
        {RM_OP_CHAT, RM_OK, "[{\"name\":\"f\",\"arguments\":{\"a\":1,\"b\":[2]}}]",
         CALLS("{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
               "\"{ \\\"b\\\" : [2.0], \\\"a\\\":1}\"}}")},
        {RM_OP_CHAT, RM_OK, "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":\"no json\"}]",
         CALLS("{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
               "{\"id\":\"2\",\"function\":{\"name\":\"g\",\"arguments\":\"no json\"}}")},
        /* a doubled key has no one meaning: as it was said */
        {RM_OP_CHAT, RM_OK, "[{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1,\\\"a\\\":2}\"}]",
         CALLS("{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1,\\\"a\\\":2}\"}}")},
        {RM_OP_CHAT, RM_OK, "[{\"name\":\"f\",\"arguments\":null}]", CALLS("{\"function\":{\"name\":\"f\"}}")},
        /* free text is text, also where it looks like JSON */
        {RM_OP_CHAT, RM_OK, "[{\"name\":\"sql\",\"arguments\":\"1.0\"}]",
         CALLS("{\"id\":\"1\",\"type\":\"custom\",\"custom\":{\"name\":\"sql\",\"input\":\"1.0\"}}")},
        {RM_OP_CHAT, RM_OK, "[{\"name\":\"f\",\"arguments\":[]}]",
         CHOICE("{\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"[]\"}}")},
        {RM_OP_CHAT, RM_OK, "Wait.\n[{\"name\":\"f\",\"arguments\":{}}]",
         CHOICE("{\"content\":\"Wait.\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}")},
    };
    check_all(cases, RM_COUNT(cases));
}

static void test_chat_says_nothing(void **state)
{
    (void)state;
    static const expected cases[] = {
        {RM_OP_CHAT, RM_ENOTFOUND, NULL, CONTENT("null")},
        {RM_OP_CHAT, RM_ENOTFOUND, NULL, CONTENT("\"\"")},
        {RM_OP_CHAT, RM_ENOTFOUND, NULL, CONTENT("[]")},
        {RM_OP_CHAT, RM_ENOTFOUND, NULL, CHOICE("{}")},
        {RM_OP_CHAT, RM_ENOTFOUND, NULL, CHOICE("{\"content\":\"a\",\"audio\":{\"id\":\"x\"}}")},
        {RM_OP_CHAT, RM_ENOTFOUND, NULL, CHOICE("{\"content\":\"a\",\"images\":[{}]}")},
        {RM_OP_CHAT, RM_ENOTFOUND, NULL, CONTENT("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\"}]")},
        {RM_OP_CHAT, RM_ENOTFOUND, NULL, CONTENT("[{\"text\":\"a\"}]")},
        {RM_OP_COMPLETIONS, RM_ENOTFOUND, NULL, "{\"choices\":[{\"text\":\"\"}]}"},
        {RM_OP_COMPLETIONS, RM_ENOTFOUND, NULL, "{\"choices\":[{\"index\":0}]}"},
    };
    check_all(cases, RM_COUNT(cases));
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

#define MESSAGE(content) "{\"type\":\"message\",\"stop_reason\":\"end_turn\",\"content\":[" content "]}"
#define BLOCK(text)      "{\"type\":\"text\",\"text\":\"" text "\"}"

static void test_messages(void **state)
{
    (void)state;
    static const expected cases[] = {
        {RM_OP_MESSAGES, RM_OK, "Bern", MESSAGE(BLOCK("Bern"))},
        {RM_OP_MESSAGES, RM_OK, "Bern, yes",
         MESSAGE("{\"type\":\"thinking\",\"thinking\":\"Hm.\",\"signature\":\"s\"},{\"type\":\"redacted_thinking\","
                 "\"data\":\"x\"}," BLOCK("Bern") "," BLOCK(", yes"))},
        {RM_OP_MESSAGES, RM_OK, "Look\n[{\"name\":\"f\",\"arguments\":{\"a\":1,\"b\":2}}]",
         MESSAGE(
             BLOCK("Look") ",{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"b\":2,\"a\":1}}")},
        /* a text after a call stands before it */
        {RM_OP_MESSAGES, RM_OK, "Look\n[{\"name\":\"f\",\"arguments\":{}}]",
         MESSAGE("{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}," BLOCK("Look"))},
        {RM_OP_MESSAGES, RM_OK, "[{\"name\":\"f\",\"arguments\":{\"a\":1,\"a\":2}}]",
         "{\"content\":[{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{\"a\":1,\"a\":2}}]}"},
        {RM_OP_MESSAGES, RM_ENOTFOUND, NULL, MESSAGE("")},
        {RM_OP_MESSAGES, RM_ENOTFOUND, NULL, MESSAGE(BLOCK(""))},
        {RM_OP_MESSAGES, RM_ENOTFOUND, NULL, MESSAGE("{\"type\":\"thinking\",\"thinking\":\"Hm.\"}")},
        {RM_OP_MESSAGES, RM_ENOTFOUND, NULL,
         MESSAGE("{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}," BLOCK("a"))},
        {RM_OP_MESSAGES, RM_ENOTFOUND, NULL,
         MESSAGE("{\"type\":\"web_search_tool_result\",\"content\":[]}," BLOCK("a"))},
        {RM_OP_MESSAGES, RM_EPARSE, NULL, "{\"type\":\"message\",\"stop_reason\":null,\"content\":[" BLOCK("a") "]}"},
        {RM_OP_MESSAGES, RM_EPARSE, NULL, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}"},
        {RM_OP_MESSAGES, RM_EPARSE, NULL, "{\"type\":\"message\",\"content\":\"a\"}"},
        {RM_OP_MESSAGES, RM_EPARSE, NULL, MESSAGE("\"a\"")},
        {RM_OP_MESSAGES, RM_EPARSE, NULL, MESSAGE("{\"type\":\"text\",\"text\":1}")},
    };
    check_all(cases, RM_COUNT(cases));
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

#define RESPONSE(output) "{\"object\":\"response\",\"status\":\"completed\",\"error\":null,\"output\":[" output "]}"
#define ITEM(parts)      "{\"type\":\"message\",\"id\":\"msg_1\",\"status\":\"completed\",\"content\":[" parts "]}"
#define OUTPUT(text)     "{\"type\":\"output_text\",\"text\":\"" text "\",\"annotations\":[]}"

static void test_responses(void **state)
{
    (void)state;
    static const expected cases[] = {
        {RM_OP_RESPONSES, RM_OK, "Bern", RESPONSE(ITEM(OUTPUT("Bern")))},
        {RM_OP_RESPONSES, RM_OK, "abNo.",
         RESPONSE("{\"type\":\"reasoning\",\"summary\":[]}," ITEM(OUTPUT("a") "," OUTPUT("b")) "," ITEM(
             "{\"type\":\"refusal\",\"refusal\":\"No.\"}"))},
        {RM_OP_RESPONSES, RM_OK,
         "[{\"name\":\"f\",\"arguments\":{\"a\":1,\"b\":2}},{\"name\":\"g\",\"arguments\":\"1.0\"}]",
         RESPONSE("{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":"
                  "\"{\\\"b\\\":2,\\\"a\\\":1}\"},{\"type\":\"custom_tool_call\",\"name\":\"g\",\"input\":\"1.0\"}")},
        {RM_OP_RESPONSES, RM_OK, "cut",
         "{\"status\":\"incomplete\",\"incomplete_details\":{},\"output\":[" ITEM(OUTPUT("cut")) "]}"},
        {RM_OP_RESPONSES, RM_OK, "a", "{\"output\":[" ITEM(OUTPUT("a")) "]}"},
        {RM_OP_RESPONSES, RM_ENOTFOUND, NULL, RESPONSE("")},
        {RM_OP_RESPONSES, RM_ENOTFOUND, NULL, RESPONSE(ITEM(""))},
        {RM_OP_RESPONSES, RM_ENOTFOUND, NULL,
         RESPONSE("{\"type\":\"web_search_call\",\"id\":\"ws_1\"}," ITEM(OUTPUT("a")))},
        {RM_OP_RESPONSES, RM_ENOTFOUND, NULL, RESPONSE("{\"type\":\"image_generation_call\",\"result\":\"AAAA\"}")},
        {RM_OP_RESPONSES, RM_ENOTFOUND, NULL, RESPONSE(ITEM("{\"type\":\"output_audio\"}"))},
        {RM_OP_RESPONSES, RM_ENOTFOUND, NULL, RESPONSE(ITEM(ITEM(OUTPUT("nested"))))},
        {RM_OP_RESPONSES, RM_EPARSE, NULL, "{\"status\":\"in_progress\",\"output\":[" ITEM(OUTPUT("a")) "]}"},
        {RM_OP_RESPONSES, RM_EPARSE, NULL, "{\"status\":\"failed\",\"error\":{\"code\":\"x\"},\"output\":[]}"},
        {RM_OP_RESPONSES, RM_EPARSE, NULL, "{\"status\":\"completed\"}"},
        {RM_OP_RESPONSES, RM_EPARSE, NULL, RESPONSE("{\"type\":\"message\",\"content\":\"a\"}")},
        {RM_OP_RESPONSES, RM_EPARSE, NULL, RESPONSE("{\"type\":\"function_call\",\"arguments\":\"{}\"}")},
    };
    check_all(cases, RM_COUNT(cases));
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static void test_damaged(void **state)
{
    (void)state;
    static const expected cases[] = {
        {RM_OP_CHAT, RM_EPARSE, NULL, ""},
        {RM_OP_CHAT, RM_EPARSE, NULL, "{"},
        {RM_OP_CHAT, RM_EPARSE, NULL, "[]"},
        {RM_OP_CHAT, RM_EPARSE, NULL, "{}"},
        {RM_OP_CHAT, RM_EPARSE, NULL, "{\"error\":{\"message\":\"m\"}}"},
        {RM_OP_CHAT, RM_EPARSE, NULL, "{\"choices\":[]}"},
        {RM_OP_CHAT, RM_EPARSE, NULL, "{\"choices\":{\"index\":0}}"},
        {RM_OP_CHAT, RM_EPARSE, NULL, "{\"choices\":[\"a\"]}"},
        {RM_OP_CHAT, RM_EPARSE, NULL, "{\"choices\":[{\"finish_reason\":null,\"message\":{\"content\":\"a\"}}]}"},
        {RM_OP_CHAT, RM_EPARSE, NULL, CHOICE("\"a\"")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CONTENT("7")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CONTENT("{\"type\":\"text\"}")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CONTENT("[7]")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CONTENT("[{\"type\":\"text\",\"text\":[]}]")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CHOICE("{\"content\":null,\"refusal\":7}")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CHOICE("{\"content\":\"a\",\"tool_calls\":{}}")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CALLS("7")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CALLS("{\"function\":{\"arguments\":\"{}\"}}")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CALLS("{\"custom\":{\"input\":\"a\"}}")},
        {RM_OP_CHAT, RM_EPARSE, NULL, CHOICE("{\"content\":\"a\",\"function_call\":7}")},
        {RM_OP_COMPLETIONS, RM_EPARSE, NULL, "{\"choices\":[]}"},
        {RM_OP_COMPLETIONS, RM_EPARSE, NULL, "{\"choices\":[{\"text\":7}]}"},
        {RM_OP_COMPLETIONS, RM_EPARSE, NULL, "{\"choices\":[{\"finish_reason\":null,\"text\":\"a\"}]}"},
        /* they say nothing that is compared */
        {RM_OP_EMBEDDINGS, RM_EINVAL, NULL, "{\"data\":[]}"},
        {RM_OP_MODELS, RM_EINVAL, NULL, "{\"data\":[]}"},
        {RM_OP_OTHER, RM_EINVAL, NULL, CONTENT("\"a\"")},
        {RM_OP_COUNT, RM_EINVAL, NULL, CONTENT("\"a\"")},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        check(&cases[i], false, rm_slice_cstr(cases[i].content));
        check(&cases[i], true, rm_slice_cstr(cases[i].content));
    }
}

/* ---- samples: what the two forms of an answer say is the same ---------------------------------------------------- */

static const struct {
    rm_op op;
    const char *name, *text;
} samples[] = {
    {RM_OP_CHAT, "chat", "Bern lies on the Aare \xe2\x80\x9c\xf0\x9f\x8f\x9e\xe2\x80\x9d"},
    {RM_OP_CHAT, "chat_tools",
     "[{\"name\":\"tide_at\",\"arguments\":{\"place\":\"Brest\",\"when\":\"12:00\"}},{\"name\":\"wind_at\","
     "\"arguments\":{}}]"},
    {RM_OP_COMPLETIONS, "completions", "Once upon"},
    {RM_OP_MESSAGES, "messages",
     "High water at noon. \xf0\x9f\x8c\x8a\n[{\"name\":\"tide\",\"arguments\":{\"list\":[1,null,true],"
     "\"metres\":15e-1,\"place\":\"Brest\"}},{\"name\":\"now\",\"arguments\":{}}]"},
    {RM_OP_RESPONSES, "responses",
     "Remoras ride. \xf0\x9f\xa6\x88"
     "But no further.\n[{\"name\":\"ride\",\"arguments\":{\"on\":\"shark\"}}]"},
};

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(samples); i++) {
        expected e = {samples[i].op, RM_OK, samples[i].text, NULL};
        rm_buf body, events;
        sample_read(samples[i].name, "json", &body);
        sample_read(samples[i].name, "sse", &events);
        check(&e, false, rm_buf_slice(&body));
        check(&e, true, rm_buf_slice(&events));
        rm_buf_deinit(&body);
        rm_buf_deinit(&events);
    }
}

/* A body is no stream, and a stream that was cut says nothing. */
static void test_wrong_form(void **state)
{
    (void)state;
    expected e = {RM_OP_CHAT, RM_EPARSE, NULL, NULL};
    rm_buf body, events;
    sample_read("chat", "json", &body);
    sample_read("chat", "sse", &events);
    check(&e, true, rm_buf_slice(&body));
    check(&e, false, rm_buf_slice(&events));
    check(&e, true, rm_slice_make(events.ptr, events.len / 2));
    rm_buf_deinit(&body);
    rm_buf_deinit(&events);
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

static const char both[] =
    CHOICE("{\"content\":\"Wait.\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}");
static const char both_said[] = "Wait.\n[{\"name\":\"f\",\"arguments\":{}}]";

static void test_bound_of_buffer(void **state)
{
    (void)state;
    for (size_t max = 1; max <= strlen(both_said) + 1; max++) {
        rm_buf out;
        rm_buf_init(&out, max);
        rm_buf_append_char(&out, '|');
        rm_status status = rm_provider_answer_text(RM_OP_CHAT, false, RM_SLICE(both), &out);
        bool fits = max == strlen(both_said) + 1;
        assert_int_equal(status, fits ? RM_OK : RM_ETOOBIG);
        assert_int_equal(out.len, fits ? max : 1);
        assert_int_equal(out.ptr[0], '|');
        rm_buf_deinit(&out);
    }
}

/* Arguments too deep for a canonical form stay text; those that are JSON already are not of the dialect any more. */
static void test_depth(void **state)
{
    (void)state;
    rm_buf body, said;
    rm_buf_init(&body, RM_MIB);
    rm_buf_init(&said, RM_MIB);
    for (int deep = RM_JSON_DEPTH_MAX - 1; deep <= RM_JSON_DEPTH_MAX + 2; deep++) {
        rm_buf_clear(&body);
        rm_buf_append_cstr(&body, "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\","
                                  "\"arguments\":\"");
        for (int i = 0; i < deep; i++)
            rm_buf_append_char(&body, '[');
        for (int i = 0; i < deep; i++)
            rm_buf_append_char(&body, ']');
        rm_buf_append_cstr(&body, "\"}}]}}]}");
        rm_buf_clear(&said);
        assert_int_equal(rm_provider_answer_text(RM_OP_CHAT, false, rm_buf_slice(&body), &said), RM_OK);
        bool text = rm_slice_find(rm_buf_slice(&said), RM_SLICE("\"[[")) != NULL;
        assert_true(text == (deep > RM_JSON_DEPTH_MAX));
    }
    rm_buf_deinit(&body);
    rm_buf_deinit(&said);
}

#ifdef REMORA_FAULTS
static void test_no_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * RM_COUNT(samples); i++) {
        rm_buf content;
        bool events = i % 2, done = false;
        sample_read(samples[i / 2].name, events ? "sse" : "json", &content);
        for (uint64_t nth = 1; !done; nth++) {
            rm_buf out;
            assert_true(nth < 200);
            rm_buf_init(&out, RM_MIB);
            rm_fault_set(RM_FAULT_ALLOC, nth, true);
            rm_status status = rm_provider_answer_text(samples[i / 2].op, events, rm_buf_slice(&content), &out);
            rm_fault_set(RM_FAULT_ALLOC, 0, false);
            assert_true(status == RM_OK || status == RM_ENOMEM);
            assert_int_equal(out.len, status == RM_OK ? strlen(samples[i / 2].text) : 0);
            done = status == RM_OK;
            rm_buf_deinit(&out);
        }
        rm_buf_deinit(&content);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_text), cmocka_unit_test(test_chat_calls), cmocka_unit_test(test_chat_says_nothing),
        cmocka_unit_test(test_messages),  cmocka_unit_test(test_responses),  cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_samples),   cmocka_unit_test(test_wrong_form), cmocka_unit_test(test_bound_of_buffer),
        cmocka_unit_test(test_depth),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
