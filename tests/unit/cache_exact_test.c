/* Exact keys, lookups, rendering and what may be kept. */
#include "store_fixture.h"

#include "remora/cache.h"

#define CHAT_BODY                                                                                              \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"gpt-4.1-mini\"," \
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Four.\"},\"finish_reason\":"  \
    "\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}"

typedef struct asked {
    rm_arena arena;
    rm_request_info info;
    rm_exact_key key;
    rm_status status;
} asked;

/* The key of a body; the caller ends it. */
static void ask(asked *ask, rm_op op, const char *body, const char *upstream, rm_key128 scope, const char *name_space)
{
    rm_tenant tenant = {.scope = scope};
    rm_arena_init(&ask->arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    ask->status = rm_provider_read_request(op, rm_slice_cstr(body), &ask->arena, &ask->info);
    if (!ask->status)
        ask->status = rm_exact_key_make(&ask->info, rm_slice_cstr(upstream), &tenant, rm_slice_cstr(name_space),
                                        RM_SLICE_NONE, &ask->arena, &ask->key);
}

static void ask_plain(asked *one, const char *body)
{
    ask(one, RM_OP_CHAT, body, "openai", (rm_key128){1, 2}, "");
    assert_int_equal(one->status, RM_OK);
}

static bool same(const char *a, const char *b)
{
    asked first, second;
    ask_plain(&first, a);
    ask_plain(&second, b);
    bool equal = rm_slice_eq(first.key.canonical, second.key.canonical);
    assert_int_equal(equal, rm_key128_eq(first.key.key, second.key.key));
    rm_arena_deinit(&first.arena);
    rm_arena_deinit(&second.arena);
    return equal;
}

/* ---- key --------------------------------------------------------------------------------------------------------- */

static void spelling_is_neutral(void **state)
{
    (void)state;
    static const char *const base =
        "{\"model\":\"m\",\"temperature\":0.5,\"messages\":[{\"role\":\"user\",\"content\":\"2+2?\"}]}";
    assert_true(same(base,
                     " { \"messages\" : [{\"content\":\"2\\u002b2?\", \"role\":\"user\"}],\n\"temperature\":5e-1, "
                     "\"model\":\"m\"}"));
    assert_true(same(base,
                     "{\"model\":\"m\",\"stream\":true,\"user\":\"u1\",\"temperature\":0.50,\"messages\":[{\"role\":"
                     "\"user\",\"content\":\"2+2?\"}]}"));
    static const char *const others[] = {
        "{\"model\":\"n\",\"temperature\":0.5,\"messages\":[{\"role\":\"user\",\"content\":\"2+2?\"}]}",
        "{\"model\":\"m\",\"temperature\":0.6,\"messages\":[{\"role\":\"user\",\"content\":\"2+2?\"}]}",
        "{\"model\":\"m\",\"temperature\":0.5,\"messages\":[{\"role\":\"user\",\"content\":\"2+2? \"}]}",
        "{\"model\":\"m\",\"temperature\":0.5,\"messages\":[{\"role\":\"system\",\"content\":\"2+2?\"}]}",
        "{\"model\":\"m\",\"temperature\":0.5,\"seed\":1,\"messages\":[{\"role\":\"user\",\"content\":\"2+2?\"}]}",
        "{\"model\":\"m\",\"temperature\":\"0.5\",\"messages\":[{\"role\":\"user\",\"content\":\"2+2?\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"2+2?\"}]}",
        "{\"model\":\"m\",\"temperature\":0.5,\"messages\":[{\"role\":\"user\",\"content\":\"2+2?\",\"stream\":true}]}",
    };
    for (size_t i = 0; i < RM_COUNT(others); i++)
        assert_false(same(base, others[i]));
}

static void every_part_counts(void **state)
{
    (void)state;
    static const struct {
        rm_op op;
        const char *upstream, *name_space;
        rm_key128 scope;
    } parts[] = {
        {RM_OP_CHAT, "ab", "c", {1, 2}}, {RM_OP_CHAT, "a", "bc", {1, 2}},        {RM_OP_CHAT, "abc", "", {1, 2}},
        {RM_OP_CHAT, "", "abc", {1, 2}}, {RM_OP_CHAT, "ab", "c", {2, 1}},        {RM_OP_CHAT, "ab", "c", {1, 3}},
        {RM_OP_CHAT, "ab", "c", {0, 2}}, {RM_OP_COMPLETIONS, "ab", "c", {1, 2}}, {RM_OP_MESSAGES, "ab", "c", {1, 2}},
        {RM_OP_CHAT, "ab", "C", {1, 2}},
    };
    enum { PARTS = RM_COUNT(parts) };
    asked all[PARTS];
    for (size_t i = 0; i < PARTS; i++) {
        ask(&all[i], parts[i].op, "{\"model\":\"m\"}", parts[i].upstream, parts[i].scope, parts[i].name_space);
        assert_int_equal(all[i].status, RM_OK);
        for (size_t j = 0; j < i; j++)
            assert_false(rm_slice_eq(all[i].key.canonical, all[j].key.canonical) ||
                         rm_key128_eq(all[i].key.key, all[j].key.key));
    }
    for (size_t i = 0; i < PARTS; i++)
        rm_arena_deinit(&all[i].arena);
}

static void what_has_no_key(void **state)
{
    (void)state;
    asked one;
    ask(&one, RM_OP_CHAT, "{\"model\":\"m\",\"x\":{\"a\":1,\"a\":1}}", "openai", (rm_key128){1, 2}, "");
    assert_int_equal(one.status, RM_EPARSE);
    rm_arena_deinit(&one.arena);
    char deep[2 * RM_JSON_DEPTH_MAX + 64] = "{\"x\":";
    size_t at = strlen(deep);
    memset(deep + at, '[', RM_JSON_DEPTH_MAX);
    memset(deep + at + RM_JSON_DEPTH_MAX, ']', RM_JSON_DEPTH_MAX);
    strcpy(deep + at + 2 * RM_JSON_DEPTH_MAX, "}");
    ask(&one, RM_OP_CHAT, deep, "openai", (rm_key128){1, 2}, "");
    assert_int_equal(one.status, RM_ETOOBIG);
    rm_arena_deinit(&one.arena);
}

/* ---- lookup ------------------------------------------------------------------------------------------------------ */

static rm_controls no_controls(void)
{
    return (rm_controls){.ttl_ms = -1, .max_age_ms = -1, .stale_if_error_ms = -1};
}

static void keep(fixture *fix, const rm_exact_key *key, rm_slice canonical, uint64_t expires_ms)
{
    rm_record put = {.key = key->key,
                     .canonical = canonical,
                     .content = RM_SLICE(CHAT_BODY),
                     .form = RM_RECORD_BODY,
                     .op = RM_OP_CHAT,
                     .created_ms = FIXTURE_NOW_MS,
                     .expires_ms = expires_ms,
                     .stale_until_ms = expires_ms ? FIXTURE_NOW_MS + 1000000 : 0};
    assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
}

static rm_status look(fixture *fix, const rm_config *config, const asked *one, rm_controls controls, uint64_t after_ms,
                      rm_freshness *ret_freshness)
{
    rm_record record;
    rm_status status =
        rm_exact_lookup(fix->reader, config, &one->key, &controls, FIXTURE_NOW_MS + after_ms, &record, ret_freshness);
    if (!status) {
        assert_true(rm_slice_eq(record.content, RM_SLICE(CHAT_BODY)));
        rm_store_release(fix->reader);
    }
    return status;
}

static void only_the_same_request_hits(void **state)
{
    fixture *fix = *state;
    static rm_config config;
    rm_freshness freshness;
    asked one, other;
    ask_plain(&one, "{\"model\":\"m\"}");
    ask_plain(&other, "{\"model\":\"n\"}");
    assert_int_equal(look(fix, &config, &one, no_controls(), 0, &freshness), RM_ENOTFOUND);
    keep(fix, &one.key, one.key.canonical, 0);
    assert_int_equal(look(fix, &config, &one, no_controls(), 0, &freshness), RM_OK);
    assert_int_equal(look(fix, &config, &other, no_controls(), 0, &freshness), RM_ENOTFOUND);
    keep(fix, &one.key, other.key.canonical, 0); /* as if the hashes were the same */
    assert_int_equal(look(fix, &config, &one, no_controls(), 0, &freshness), RM_ENOTFOUND);
    rm_arena_deinit(&one.arena);
    rm_arena_deinit(&other.arena);
}

static void freshness_by_age(void **state)
{
    fixture *fix = *state;
    static rm_config config;
    asked one;
    static const struct {
        uint64_t after_ms;
        int64_t max_age_ms, if_error_ms;
        uint64_t revalidate_ms, error_ms;
        rm_status status;
        rm_freshness freshness;
    } cases[] = {
        {0, -1, -1, 0, 0, RM_OK, RM_FRESH},           {999, -1, -1, 0, 0, RM_OK, RM_FRESH},
        {1000, -1, -1, 0, 0, RM_ENOTFOUND, RM_FRESH}, {1000, -1, -1, 1, 0, RM_OK, RM_STALE_REVALIDATE},
        {1001, -1, -1, 1, 0, RM_ENOTFOUND, RM_FRESH}, {1001, -1, -1, 1, 2, RM_OK, RM_STALE_ERROR},
        {1002, -1, -1, 1, 2, RM_ENOTFOUND, RM_FRESH}, {1002, -1, 3, 1, 2, RM_OK, RM_STALE_ERROR},
        {1001, -1, 0, 1, 2, RM_ENOTFOUND, RM_FRESH},  {500, 500, -1, 0, 0, RM_OK, RM_FRESH},
        {500, 499, -1, 0, 0, RM_ENOTFOUND, RM_FRESH}, {0, 0, -1, 0, 0, RM_OK, RM_FRESH},
        {1, 0, -1, 0, 0, RM_ENOTFOUND, RM_FRESH},
    };
    ask_plain(&one, "{\"model\":\"m\"}");
    keep(fix, &one.key, one.key.canonical, FIXTURE_NOW_MS + 1000);
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_freshness freshness = RM_FRESH;
        rm_controls controls = no_controls();
        controls.max_age_ms = cases[i].max_age_ms;
        controls.stale_if_error_ms = cases[i].if_error_ms;
        config.cache.exact.stale_while_revalidate_ms = cases[i].revalidate_ms;
        config.cache.exact.stale_if_error_ms = cases[i].error_ms;
        assert_int_equal(look(fix, &config, &one, controls, cases[i].after_ms, &freshness), cases[i].status);
        assert_int_equal(freshness, cases[i].freshness);
    }
    rm_arena_deinit(&one.arena);
}

/* ---- render ------------------------------------------------------------------------------------------------------ */

typedef struct rendered {
    rm_buf scratch;
    rm_slice content;
    rm_status status;
} rendered;

static rendered render(rm_record_form form, rm_slice content, bool stream, bool include_usage, bool fresh_ids)
{
    static rm_config config;
    rm_rng rng;
    rendered out = {.status = RM_OK};
    rm_record record = {.form = form, .op = RM_OP_CHAT, .content = content};
    rm_request_info info = {.op = RM_OP_CHAT, .stream = stream, .include_usage = include_usage};
    rm_rng_seed(&rng, 1);
    rm_buf_init(&out.scratch, RM_MIB);
    config.cache.exact.fresh_ids = fresh_ids;
    out.status = rm_exact_render(&record, &info, &config, FIXTURE_NOW_MS, &rng, &out.scratch, &out.content);
    return out;
}

static void every_form_from_every_form(void **state)
{
    (void)state;
    rm_slice body = RM_SLICE(CHAT_BODY);
    rendered same_body = render(RM_RECORD_BODY, body, false, false, false);
    assert_int_equal(same_body.status, RM_OK);
    assert_ptr_equal(same_body.content.ptr, body.ptr); /* no copy */
    rendered events = render(RM_RECORD_BODY, body, true, true, false);
    assert_int_equal(events.status, RM_OK);
    assert_non_null(rm_slice_find(events.content, RM_SLICE("data: [DONE]")));
    assert_non_null(rm_slice_find(events.content, RM_SLICE("\"total_tokens\":7")));
    rendered same_events = render(RM_RECORD_EVENTS, events.content, true, true, false);
    assert_int_equal(same_events.status, RM_OK);
    assert_ptr_equal(same_events.content.ptr, events.content.ptr);
    rendered no_usage = render(RM_RECORD_EVENTS, events.content, true, false, false);
    assert_int_equal(no_usage.status, RM_OK);
    assert_null(rm_slice_find(no_usage.content, RM_SLICE("total_tokens")));
    rendered back = render(RM_RECORD_EVENTS, events.content, false, false, false);
    assert_int_equal(back.status, RM_OK);
    assert_non_null(rm_slice_find(back.content, RM_SLICE("Four.")));
    assert_non_null(rm_slice_find(back.content, RM_SLICE("chatcmpl-1")));
    rendered fresh = render(RM_RECORD_EVENTS, events.content, false, false, true);
    assert_int_equal(fresh.status, RM_OK);
    assert_null(rm_slice_find(fresh.content, RM_SLICE("\"chatcmpl-1\"")));
    assert_null(rm_slice_find(fresh.content, RM_SLICE("1700000000")));
    assert_non_null(rm_slice_find(fresh.content, RM_SLICE("Four.")));
    rendered broken = render(RM_RECORD_EVENTS, RM_SLICE("no events at all"), false, false, false);
    assert_int_not_equal(broken.status, RM_OK);
    rm_buf_deinit(&same_body.scratch);
    rm_buf_deinit(&events.scratch);
    rm_buf_deinit(&same_events.scratch);
    rm_buf_deinit(&no_usage.scratch);
    rm_buf_deinit(&back.scratch);
    rm_buf_deinit(&fresh.scratch);
    rm_buf_deinit(&broken.scratch);
}

#ifdef REMORA_FAULTS
static void each_allocation_fails(void **state)
{
    (void)state;
    int failed = 0;
    for (uint64_t nth = 1; nth <= 40; nth++) {
        asked one;
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        ask(&one, RM_OP_CHAT, "{\"model\":\"m\",\"messages\":[]}", "openai", (rm_key128){1, 2}, "");
        rendered out = render(RM_RECORD_BODY, RM_SLICE(CHAT_BODY), true, true, true);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(one.status == RM_OK || one.status == RM_ENOMEM);
        assert_true(out.status == RM_OK || out.status == RM_ENOMEM);
        failed += one.status || out.status;
        rm_buf_deinit(&out.scratch);
        rm_arena_deinit(&one.arena);
    }
    assert_true(failed > 3);
}
#endif

/* ---- what may be kept -------------------------------------------------------------------------------------------- */

static void only_whole_answers_are_kept(void **state)
{
    (void)state;
    static rm_config config;
    static const struct {
        int status;
        bool error, terminal, stream, truncated;
        rm_finish finish;
        bool kept;
    } cases[] = {
        {200, false, true, false, false, RM_FINISH_STOP, true},
        {200, false, true, true, false, RM_FINISH_STOP, true},
        {200, false, true, false, false, RM_FINISH_NONE, true},
        {200, false, true, true, false, RM_FINISH_NONE, false},
        {201, false, true, false, false, RM_FINISH_STOP, false},
        {500, false, true, false, false, RM_FINISH_STOP, false},
        {429, false, true, false, false, RM_FINISH_STOP, false},
        {200, true, true, false, false, RM_FINISH_STOP, false},
        {200, true, true, true, false, RM_FINISH_STOP, false},
        {200, false, false, true, false, RM_FINISH_STOP, false},
        {200, false, true, false, false, RM_FINISH_LENGTH, false},
        {200, false, true, true, true, RM_FINISH_LENGTH, true},
        {200, false, true, false, false, RM_FINISH_FILTER, false},
        {200, false, true, false, true, RM_FINISH_FILTER, true},
        {200, false, true, false, true, RM_FINISH_OTHER, false},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_answer answer;
        rm_answer_init(&answer);
        answer.error = cases[i].error;
        answer.terminal = cases[i].terminal;
        answer.finish = cases[i].finish;
        config.cache.exact.store_truncated = cases[i].truncated;
        assert_int_equal(rm_exact_storable(&config, cases[i].status, &answer, cases[i].stream), cases[i].kept);
    }
}

int main(void)
{
#define WITH_STORE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spelling_is_neutral),
        cmocka_unit_test(every_part_counts),
        cmocka_unit_test(what_has_no_key),
        WITH_STORE(only_the_same_request_hits),
        WITH_STORE(freshness_by_age),
        cmocka_unit_test(every_form_from_every_form),
#ifdef REMORA_FAULTS
        cmocka_unit_test(each_allocation_fails),
#endif
        cmocka_unit_test(only_whole_answers_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
