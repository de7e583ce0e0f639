/* Requests: operations by path, what is read of a body, neutral members, the body for the upstream, error bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/provider.h"

static rm_arena arena;

static int set_up(void **state)
{
    (void)state;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rm_arena_deinit(&arena);
    return 0;
}

static rm_request_info read_as(rm_op op, const char *body)
{
    rm_request_info info;
    assert_int_equal(rm_provider_read_request(op, rm_slice_cstr(body), &arena, &info), RM_OK);
    assert_int_equal(info.op, op);
    return info;
}

static void assert_slice(rm_slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.ptr, text, slice.len);
}

static void test_ops(void **state)
{
    (void)state;
    static const struct {
        rm_method method;
        const char *path;
        rm_op op;
        rm_dialect dialect;
    } rows[] = {
        {RM_METHOD_POST, "/v1/chat/completions", RM_OP_CHAT, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/v1/completions", RM_OP_COMPLETIONS, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/v1/embeddings", RM_OP_EMBEDDINGS, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/v1/responses", RM_OP_RESPONSES, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/v1/messages", RM_OP_MESSAGES, RM_DIALECT_ANTHROPIC},
        {RM_METHOD_GET, "/v1/models", RM_OP_MODELS, RM_DIALECT_OPENAI},
        {RM_METHOD_GET, "/v1/chat/completions", RM_OP_OTHER, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/v1/chat/completions/", RM_OP_OTHER, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/chat/completions", RM_OP_OTHER, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/v1/models", RM_OP_OTHER, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/v1/messages/count_tokens", RM_OP_OTHER, RM_DIALECT_ANTHROPIC},
        {RM_METHOD_GET, "/v1/messages", RM_OP_OTHER, RM_DIALECT_ANTHROPIC},
        {RM_METHOD_GET, "/v1/messagesque", RM_OP_OTHER, RM_DIALECT_OPENAI},
        {RM_METHOD_GET, "/v1/responses/resp_1", RM_OP_OTHER, RM_DIALECT_OPENAI},
        {RM_METHOD_DELETE, "/v1/responses", RM_OP_OTHER, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "", RM_OP_OTHER, RM_DIALECT_OPENAI},
        {RM_METHOD_POST, "/V1/messages", RM_OP_OTHER, RM_DIALECT_OPENAI},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        rm_slice path = rm_slice_cstr(rows[i].path);
        assert_int_equal(rm_provider_op(rows[i].method, path), rows[i].op);
        assert_int_equal(rm_provider_dialect(rows[i].op, path), rows[i].dialect);
    }
    assert_string_equal(rm_op_name(RM_OP_CHAT), "chat");
    assert_string_equal(rm_op_name(RM_OP_COUNT), "other");
    assert_string_equal(rm_op_gen_ai_name(RM_OP_COMPLETIONS), "text_completion");
}

static void test_fields(void **state)
{
    (void)state;
    rm_request_info info = read_as(
        RM_OP_CHAT, "{\"model\":\"gpt-4o\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true},"
                    "\"temperature\":0.0,\"n\":3,\"max_tokens\":5,\"tools\":[{\"type\":\"function\"}]}");
    assert_slice(info.model, "gpt-4o");
    assert_true(info.stream && info.include_usage && info.has_stream_options && info.usage_injectable);
    assert_true(info.temperature_given && !info.sampled && !info.seeded && info.has_tools);
    assert_int_equal(info.choices, 3);
    assert_int_equal(info.max_tokens, 5);
    assert_false(info.stateful || info.refers_media || info.health_probe || info.cache.present);

    info = read_as(RM_OP_CHAT, "{}");
    assert_true(info.sampled && !info.stream && !info.usage_injectable && !info.temperature_given);
    assert_int_equal(info.choices, 1);
    assert_int_equal(info.max_tokens, -1);
    assert_null(info.model.ptr);

    assert_false(read_as(RM_OP_CHAT, "{\"seed\":7}").sampled);
    assert_true(read_as(RM_OP_CHAT, "{\"seed\":null}").sampled);
    assert_true(read_as(RM_OP_CHAT, "{\"temperature\":null}").sampled);
    assert_true(read_as(RM_OP_CHAT, "{\"temperature\":1e-3}").sampled);
    assert_false(read_as(RM_OP_CHAT, "{\"temperature\":0e0}").sampled);
    assert_true(read_as(RM_OP_MESSAGES, "{}").sampled);
    assert_true(read_as(RM_OP_RESPONSES, "{}").sampled);
    assert_false(read_as(RM_OP_EMBEDDINGS, "{\"input\":\"x\"}").sampled);
    assert_false(read_as(RM_OP_MESSAGES, "{\"stream\":true}").usage_injectable);
    assert_false(read_as(RM_OP_CHAT, "{\"stream\":true,\"stream_options\":7}").usage_injectable);
    assert_true(read_as(RM_OP_CHAT, "{\"stream\":true,\"stream_options\":null}").usage_injectable);
    assert_int_equal(read_as(RM_OP_RESPONSES, "{\"max_output_tokens\":1e2}").max_tokens, 100);
}

static void test_not_a_request(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", "[]", "null", "7", "{", "{\"a\":}", "{} x", "\"model\"", "{\"a\":\"\\ud83d\"}"};
    for (size_t i = 0; i < RM_COUNT(bodies); i++) {
        rm_request_info info = {.max_tokens = 77};
        assert_int_equal(rm_provider_read_request(RM_OP_CHAT, rm_slice_cstr(bodies[i]), &arena, &info), RM_EPARSE);
        assert_int_equal(info.max_tokens, 77);
    }
}

static void test_stateful(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool stateful;
    } rows[] = {
        {"{}", true},
        {"{\"store\":null}", true},
        {"{\"store\":true}", true},
        {"{\"store\":false}", false},
        {"{\"store\":false,\"previous_response_id\":null,\"conversation\":null,\"background\":false}", false},
        {"{\"store\":false,\"previous_response_id\":\"resp_1\"}", true},
        {"{\"store\":false,\"conversation\":\"conv_1\"}", true},
        {"{\"store\":false,\"conversation\":{\"id\":\"conv_1\"}}", true},
        {"{\"store\":false,\"background\":true}", true},
        {"{\"store\":false,\"background\":1}", true},
        {"{\"store\":false,\"prompt\":{\"id\":\"pmpt_1\"}}", true},
        {"{\"store\":false,\"prompt\":{\"id\":\"pmpt_1\",\"version\":\"2\"}}", false},
        {"{\"store\":false,\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"}]}", true},
        {"{\"store\":false,\"input\":[{\"role\":\"user\",\"content\":\"item_reference\"}]}", false},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++)
        if (read_as(RM_OP_RESPONSES, rows[i].body).stateful != rows[i].stateful)
            fail_msg("row %zu", i);
    assert_false(read_as(RM_OP_CHAT, "{\"store\":true}").stateful);
}

static void test_media(void **state)
{
    (void)state;
    static const struct {
        rm_op op;
        const char *body;
        bool refers;
    } rows[] = {
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"file_id\"}]}", false},
        {RM_OP_CHAT,
         "{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
         "png;base64,AA\"}}]}]}",
         false},
        {RM_OP_CHAT,
         "{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"DATA:image/"
         "png;base64,AA\"}}]}]}",
         false},
        {RM_OP_CHAT,
         "{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.org/a.png\"}}]}]}",
         true},
        {RM_OP_CHAT,
         "{\"messages\":[{\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\",\"format\":\"wav\"}}]"
         "}]}",
         true},
        {RM_OP_CHAT, "{\"messages\":[{\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}]}]}", true},
        {RM_OP_CHAT,
         "{\"messages\":[{\"content\":[{\"type\":\"file\",\"file\":{\"filename\":\"a\",\"file_data\":\"data:x\"}}]}]}",
         false},
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"assistant\",\"audio\":{\"id\":\"audio_1\"}}]}", true},
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"assistant\",\"audio\":null}]}", false},
        {RM_OP_CHAT, "{\"messages\":[],\"modalities\":[\"text\",\"audio\"]}", true},
        {RM_OP_CHAT, "{\"messages\":[],\"modalities\":[\"text\"]}", false},
        {RM_OP_CHAT, "{\"messages\":[],\"audio\":{\"voice\":\"a\"}}", true},
        {RM_OP_CHAT,
         "{\"tools\":[{\"function\":{\"parameters\":{\"properties\":{\"file_id\":{\"type\":\"string\"}}}}}]}", false},
        {RM_OP_RESPONSES, "{\"input\":[{\"content\":[{\"type\":\"input_image\",\"image_url\":\"http://e.org/a\"}]}]}",
         true},
        {RM_OP_RESPONSES,
         "{\"input\":[{\"content\":[{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,AA\"}]}]}", false},
        {RM_OP_RESPONSES, "{\"input\":[{\"content\":[{\"type\":\"input_image\",\"file_id\":\"file-1\"}]}]}", true},
        {RM_OP_RESPONSES, "{\"input\":[{\"content\":[{\"type\":\"input_file\",\"file_url\":\"https://e.org/a\"}]}]}",
         true},
        {RM_OP_RESPONSES, "{\"tools\":[{\"type\":\"file_search\",\"vector_store_ids\":[\"vs_1\"]}]}", true},
        {RM_OP_RESPONSES, "{\"tools\":[{\"type\":\"code_interpreter\",\"container\":\"cntr_1\"}]}", true},
        {RM_OP_RESPONSES, "{\"tools\":[{\"type\":\"code_interpreter\",\"container\":{\"type\":\"auto\"}}]}", false},
        {RM_OP_MESSAGES,
         "{\"messages\":[{\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://"
         "e.org\"}}]}]}",
         true},
        {RM_OP_MESSAGES,
         "{\"messages\":[{\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"AA\"}}]}]}",
         false},
        {RM_OP_MESSAGES,
         "{\"messages\":[{\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}]}]}",
         true},
        {RM_OP_MESSAGES,
         "{\"messages\":[{\"content\":[{\"type\":\"tool_use\",\"name\":\"t\",\"input\":{\"file_id\":\"f\"}}]}]}",
         false},
        {RM_OP_MESSAGES, "{\"container\":\"c_1\"}", true},
        {RM_OP_MESSAGES, "{\"container\":null}", false},
        {RM_OP_EMBEDDINGS, "{\"input\":[\"file_id\"]}", false},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++)
        if (read_as(rows[i].op, rows[i].body).refers_media != rows[i].refers)
            fail_msg("row %zu", i);
}

static void test_deep_content(void **state)
{
    (void)state;
    char body[4096];
    size_t at = (size_t)snprintf(body, sizeof(body), "{\"messages\":");
    memset(body + at, '[', 1000);
    memset(body + at + 1000, ']', 1000);
    memcpy(body + at + 2000, "}", 2);
    assert_true(read_as(RM_OP_CHAT, body).refers_media);
}

static void test_probes(void **state)
{
    (void)state;
    static const struct {
        rm_op op;
        const char *body;
        bool probe;
    } rows[] = {
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hey how's it going?\"}],\"max_tokens\":16}",
         true},
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"What's 1 + 1?\"}],\"max_completion_tokens\":1}",
         true},
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hey, how's it going?\"}],\"max_tokens\":5}",
         true},
        {RM_OP_CHAT,
         "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What's 1 + "
         "1?\"}]}],\"max_tokens\":5}",
         true},
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"What's 1 + 1?\"}],\"max_tokens\":17}", false},
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"What's 1 + 1?\"}]}", false},
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"system\",\"content\":\"What's 1 + 1?\"}],\"max_tokens\":5}", false},
        {RM_OP_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"What's 1 + 2?\"}],\"max_tokens\":5}", false},
        {RM_OP_CHAT,
         "{\"messages\":[{\"role\":\"user\",\"content\":\"What's 1 + 1?\"},{\"role\":\"user\",\"content\":\"What's 1 + "
         "1?\"}],"
         "\"max_tokens\":5}",
         false},
        {RM_OP_MESSAGES, "{\"messages\":[{\"role\":\"user\",\"content\":\"What's 1 + 1?\"}],\"max_tokens\":16}", true},
        {RM_OP_RESPONSES, "{\"input\":\"What's 1 + 1?\",\"max_output_tokens\":16}", true},
        {RM_OP_RESPONSES, "{\"input\":[{\"role\":\"user\",\"content\":\"What's 1 + 1?\"}],\"max_output_tokens\":16}",
         true},
        {RM_OP_COMPLETIONS, "{\"prompt\":\"What's 1 + 1?\",\"max_tokens\":16}", true},
        {RM_OP_EMBEDDINGS, "{\"input\":\"What's 1 + 1?\"}", false},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++)
        if (read_as(rows[i].op, rows[i].body).health_probe != rows[i].probe)
            fail_msg("row %zu", i);
}

static void test_body_cache(void **state)
{
    (void)state;
    rm_body_cache cache =
        read_as(RM_OP_CHAT,
                "{\"cache\":{\"no-cache\":true,\"no-store\":true,\"ttl\":\"60\",\"s-maxage\":1e1,\"namespace\":\"a\"}}")
            .cache;
    assert_true(cache.present && cache.no_cache && cache.no_store);
    assert_int_equal(cache.ttl_s, 60);
    assert_int_equal(cache.s_maxage_s, 10);
    assert_slice(cache.name_space, "a");
    cache = read_as(RM_OP_CHAT, "{\"cache\":{\"s-max-age\":2.5,\"ttl\":-1}}").cache;
    assert_true(cache.present && !cache.no_cache && !cache.no_store);
    assert_int_equal(cache.ttl_s, 0); /* no time at all, not the default one */
    assert_int_equal(cache.s_maxage_s, 2);
    cache =
        read_as(RM_OP_CHAT, "{\"cache\":{\"no-cache\":\"True\",\"no-store\":1,\"ttl\":\"10m\",\"namespace\":5}}").cache;
    assert_true(cache.no_cache && cache.no_store && cache.bad_name_space);
    assert_int_equal(cache.ttl_s, 0);
    cache =
        read_as(RM_OP_CHAT, "{\"cache\":{\"no-cache\":\"no\",\"no-store\":0,\"ttl\":null,\"namespace\":null}}").cache;
    assert_false(cache.no_cache || cache.no_store || cache.bad_name_space);
    assert_int_equal(cache.ttl_s, -1);
    cache = read_as(RM_OP_CHAT, "{\"cache\":null}").cache;
    assert_true(cache.present && cache.ttl_s == -1 && cache.s_maxage_s == -1);
    cache = read_as(RM_OP_CHAT, "{\"cache\":true}").cache;
    assert_false(cache.present);
    assert_int_equal(cache.ttl_s, -1);
}

static void test_neutral(void **state)
{
    (void)state;
    static const struct {
        rm_op op;
        const char *member;
        bool neutral;
    } rows[] = {
        {RM_OP_CHAT, "{\"stream\":true}", true},
        {RM_OP_EMBEDDINGS, "{\"stream\":true}", false},
        {RM_OP_CHAT, "{\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false}}", true},
        {RM_OP_CHAT, "{\"stream_options\":null}", true},
        {RM_OP_CHAT, "{\"stream_options\":{\"include_usage\":true,\"x\":1}}", false},
        {RM_OP_CHAT, "{\"stream_options\":[]}", false},
        {RM_OP_MESSAGES, "{\"stream_options\":{}}", false},
        {RM_OP_CHAT, "{\"user\":\"u\"}", true},
        {RM_OP_EMBEDDINGS, "{\"user\":\"u\"}", true},
        {RM_OP_MESSAGES, "{\"user\":\"u\"}", false},
        {RM_OP_MESSAGES, "{\"metadata\":{\"user_id\":\"u\"}}", true},
        {RM_OP_CHAT, "{\"metadata\":{}}", true},
        {RM_OP_CHAT, "{\"safety_identifier\":\"u\"}", true},
        {RM_OP_CHAT, "{\"prompt_cache_key\":\"u\"}", true},
        {RM_OP_RESPONSES, "{\"prompt_cache_retention\":\"24h\"}", true},
        {RM_OP_CHAT, "{\"store\":true}", true},
        {RM_OP_RESPONSES, "{\"store\":false}", false},
        {RM_OP_CHAT, "{\"cache\":{}}", true},
        {RM_OP_CHAT, "{\"cache\":null}", true},
        {RM_OP_CHAT, "{\"cache\":true}", false},
        {RM_OP_CHAT, "{\"service_tier\":\"flex\"}", false},
        {RM_OP_CHAT, "{\"n\":1}", false},
        {RM_OP_CHAT, "{\"seed\":1}", false},
        {RM_OP_CHAT, "{\"temperature\":1}", false},
        {RM_OP_CHAT, "{\"parallel_tool_calls\":true}", false},
        {RM_OP_CHAT, "{\"logprobs\":true}", false},
        {RM_OP_CHAT, "{\"model\":\"m\"}", false},
        {RM_OP_CHAT, "{\"what_comes_next_year\":1}", false},
        {RM_OP_CHAT, "{\"Stream\":1}", false},
        {RM_OP_OTHER, "{\"stream\":1}", false},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        const rm_json *root;
        rm_op op = rows[i].op;
        assert_int_equal(rm_json_parse(&arena, rm_slice_cstr(rows[i].member), &root), RM_OK);
        rm_json_iter it = rm_json_iterate(root);
        assert_true(rm_json_iter_next(&it));
        if (rm_provider_neutral_member(it.key, it.value, &op) != rows[i].neutral)
            fail_msg("row %zu", i);
    }
}

static void check_upstream(rm_op op, const char *body, bool inject, const char *expected)
{
    rm_slice out, in = rm_slice_cstr(body);
    rm_request_info info = read_as(op, body);
    assert_int_equal(rm_provider_upstream_body(&info, in, inject, &arena, &out), RM_OK);
    if (!expected) {
        assert_ptr_equal(out.ptr, in.ptr);
        assert_int_equal(out.len, in.len);
        return;
    }
    assert_slice(out, expected);
}

static void test_upstream_body(void **state)
{
    (void)state;
    check_upstream(RM_OP_CHAT, " {\"model\" : 1.0}", true, NULL);
    check_upstream(RM_OP_CHAT, "{\"cache\":true}", true, NULL);
    check_upstream(RM_OP_CHAT, "{\"stream\":true}", false, NULL);
    check_upstream(RM_OP_CHAT, "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}", true, NULL);
    check_upstream(RM_OP_CHAT, "{\"stream\":true,\"stream_options\":\"x\"}", true, NULL);
    check_upstream(RM_OP_MESSAGES, "{\"stream\":true}", true, NULL);
    check_upstream(RM_OP_CHAT, "{\"a\":1.0, \"cache\": {\"ttl\":1} ,\"b\":\"\\u00e9\"}", false,
                   "{\"a\":1.0,\"b\":\"\\u00e9\"}");
    check_upstream(RM_OP_EMBEDDINGS, "{\"cache\":{}}", true, "{}");
    check_upstream(RM_OP_EMBEDDINGS, "{\"cache\":null}", true, "{}");
    check_upstream(RM_OP_CHAT, "{\"stream\":true}", true,
                   "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    check_upstream(RM_OP_CHAT, "{\"stream\":true,\"stream_options\":null}", true,
                   "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    check_upstream(RM_OP_CHAT, "{\"stream_options\":{\"include_usage\":false},\"stream\":true}", true,
                   "{\"stream_options\":{\"include_usage\":true},\"stream\":true}");
    check_upstream(RM_OP_COMPLETIONS,
                   "{\"stream_options\":{\"include_obfuscation\":false},\"stream\":true,\"cache\":{}}", true,
                   "{\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":true},\"stream\":true}");
}

static void check_error(rm_dialect dialect, int status, const char *type, const char *message, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, 4096);
    assert_int_equal(rm_provider_error_body(dialect, status, type, message, &out), RM_OK);
    assert_slice(rm_buf_slice(&out), expected);
    rm_buf_deinit(&out);
}

static void test_error_bodies(void **state)
{
    (void)state;
    check_error(RM_DIALECT_OPENAI, 429, NULL, "slow \"down\"",
                "{\"error\":{\"message\":\"slow "
                "\\\"down\\\"\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"429\"}}");
    check_error(RM_DIALECT_OPENAI, 400, "my_type", NULL,
                "{\"error\":{\"message\":\"\",\"type\":\"my_type\",\"param\":null,\"code\":\"400\"}}");
    check_error(RM_DIALECT_OPENAI, 502, NULL, "x",
                "{\"error\":{\"message\":\"x\",\"type\":\"server_error\",\"param\":null,\"code\":\"502\"}}");
    check_error(RM_DIALECT_ANTHROPIC, 413, NULL, "x",
                "{\"type\":\"error\",\"error\":{\"type\":\"request_too_large\",\"message\":\"x\"}}");
    check_error(RM_DIALECT_ANTHROPIC, 502, "my_type", "x",
                "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}");
    check_error(RM_DIALECT_ANTHROPIC, 529, NULL, "x",
                "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}");
    check_error(RM_DIALECT_ANTHROPIC, 418, NULL, "x",
                "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"x\"}}");
    check_error(RM_DIALECT_ANTHROPIC, 502, NULL, "x",
                "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}");
}

#ifdef REMORA_FAULTS
static void test_no_memory(void **state)
{
    (void)state;
    rm_slice body =
        RM_SLICE("{\"stream\":true,\"cache\":{\"ttl\":1},\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}");
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        rm_arena own;
        rm_request_info info;
        rm_slice out = RM_SLICE_NONE;
        assert_true(nth < 100);
        rm_arena_init(&own, NULL, RM_MIB);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        rm_status status = rm_provider_read_request(RM_OP_CHAT, body, &own, &info);
        if (status == RM_OK)
            status = rm_provider_upstream_body(&info, body, true, &own, &out);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || status == RM_ENOMEM);
        assert_int_equal(status == RM_OK, out.ptr != NULL);
        done = status == RM_OK;
        rm_arena_deinit(&own);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_a_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stateful, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_media, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_probes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_neutral, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upstream_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_bodies, set_up, tear_down),
#ifdef REMORA_FAULTS
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
