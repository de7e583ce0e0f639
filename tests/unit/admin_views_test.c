/* Points in time, purges, and JSON of the store's things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "admin_internal.h"

#define NOW 1800000000000ULL /* 2027-01-15T08:00:00Z */

static void test_since(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"24h", NOW - 86400000},
        {"7d", NOW - 7 * 86400000ULL},
        {" 90s ", NOW - 90000},
        {"999999d", 0},
        {"0", 0},
        {"1700000000", 1700000000000},
        {"1700000000123", 1700000000123},
        {"2026-11-01", 1793491200000},
        {"2026-11-01T00:00:00Z", 1793491200000},
        {"2026-11-01t01:30:00.25+01:30", 1793491200000},
        {"2026-10-31T22:00:00-02:00", 1793491200000},
        {"2024-02-29", 1709164800000},
        {"1970-01-01", 0},
    };
    static const char *const bad[] = {"",
                                      "soon",
                                      "24",
                                      "2026-13-01",
                                      "2026-02-30",
                                      "2026-11-1",
                                      "2026-11-01T",
                                      "2026-11-01T25:00:00Z",
                                      "2026-11-01T00:00:00+2",
                                      "-1h",
                                      "2026-11-01x",
                                      "1970-01-01T00:00:00+01:00"};
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < RM_COUNT(good); i++) {
        assert_int_equal(rm_admin_parse_since(rm_slice_cstr(good[i].text), NOW, &ms), RM_OK);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < RM_COUNT(bad); i++) {
        rm_status status = rm_admin_parse_since(rm_slice_cstr(bad[i]), NOW, &ms);
        if (strcmp(bad[i], "24") == 0)
            assert_int_equal(status, RM_OK); /* a Unix time, if an early one */
        else
            assert_int_equal(status, RM_EPARSE);
    }
}

static rm_status read_purge(rm_arena *arena, const char *body, rm_scope scope, rm_admin_purge *purge, const char **why)
{
    *why = NULL;
    return rm_admin_read_purge(rm_slice_cstr(body), scope, NOW, arena, purge, why);
}

#define KEY "00112233445566778899aabbccddeeff"

static void test_purges_that_are_understood(void **state)
{
    rm_admin_purge purge;
    const char *why;
    rm_arena arena;

    (void)state;
    rm_arena_init(&arena, NULL, RM_MIB);
    assert_int_equal(read_purge(&arena, "{\"all\":true}", RM_SCOPE_KEY, &purge, &why), RM_OK);
    assert_true(!purge.filter.key && !purge.filter.tenant && !purge.filter.model.ptr && !purge.filter.name_space.ptr);
    assert_int_equal(read_purge(&arena,
                                "{\"key\":\"" KEY "\",\"tenant\":\"" KEY "\",\"model\":\"m\",\"namespace\":\"n\","
                                "\"older_than\":\"1d\",\"all\":false}",
                                RM_SCOPE_KEY, &purge, &why),
                     RM_OK);
    assert_int_equal(purge.filter.key->hi, 0x0011223344556677ULL);
    assert_int_equal(purge.filter.tenant->lo, 0x8899aabbccddeeffULL);
    assert_true(rm_slice_eq(purge.filter.model, RM_SLICE("m")) && rm_slice_eq(purge.filter.name_space, RM_SLICE("n")));
    assert_int_equal(purge.filter.created_before_ms, NOW - 86400000);
    assert_int_equal(read_purge(&arena, "{\"namespace\":\"\"}", RM_SCOPE_SHARED, &purge, &why), RM_OK);
    assert_true(purge.filter.name_space.ptr && purge.filter.name_space.len == 0); /* the default namespace, not any */
    rm_arena_deinit(&arena);
}

static void test_purges_that_are_refused(void **state)
{
    static const struct {
        const char *body;
        rm_scope scope;
        const char *why;
    } cases[] = {
        {"", RM_SCOPE_KEY, "the body must be a JSON object"},
        {"[]", RM_SCOPE_KEY, "the body must be a JSON object"},
        {"{}", RM_SCOPE_KEY, "name at least one condition"},
        {"{\"all\":false}", RM_SCOPE_KEY, "name at least one condition"},
        {"{\"all\":1}", RM_SCOPE_KEY, "\"all\" must be"},
        {"{\"all\":true,\"model\":\"m\"}", RM_SCOPE_KEY, "\"all\" goes with no other"},
        {"{\"key\":\"12\"}", RM_SCOPE_KEY, "\"key\" must be"},
        {"{\"key\":12}", RM_SCOPE_KEY, "conditions must be strings"},
        {"{\"tenant\":\"anonymous\"}", RM_SCOPE_KEY, "\"tenant\" must be"},
        {"{\"tenant\":\"" KEY "\"}", RM_SCOPE_SHARED, "cache.scope is shared"},
        {"{\"tenant\":\"" KEY "\"}", RM_SCOPE_TEAM, "cache.scope is team"},
        {"{\"model\":\"\"}", RM_SCOPE_KEY, "\"model\" must not be empty"},
        {"{\"older_than\":\"long\"}", RM_SCOPE_KEY, "\"older_than\" must be"},
        {"{\"older_than\":\"99999d\"}", RM_SCOPE_KEY, "\"older_than\" reaches back"},
        {"{\"modell\":\"m\"}", RM_SCOPE_KEY, "unknown condition"},
    };
    rm_arena arena;

    (void)state;
    rm_arena_init(&arena, NULL, RM_MIB);
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_admin_purge purge;
        const char *why;
        assert_int_not_equal(read_purge(&arena, cases[i].body, cases[i].scope, &purge, &why), RM_OK);
        assert_non_null(why);
        if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
            print_error("%s: %s\n", cases[i].body, why);
        assert_memory_equal(why, cases[i].why, strlen(cases[i].why));
    }
    rm_arena_deinit(&arena);
}

static void test_entry(void **state)
{
    rm_record record = {.key = {1, 2},
                        .tenant = {3, 4},
                        .model = RM_SLICE("m"),
                        .id = RM_SLICE("i"),
                        .canonical = RM_SLICE("c\0\"\n"),
                        .content = RM_SLICE("{\"a\":1}"),
                        .content_type = RM_SLICE("application/json"),
                        .form = RM_RECORD_BODY,
                        .op = RM_OP_CHAT,
                        .created_ms = NOW,
                        .expires_ms = NOW + 1500,
                        .usage = {10, 0, 0, -1, 0},
                        .cost_usd = 0.25};
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_admin_entry_json(&record, NOW + 1499, &out), RM_OK);
    rm_buf_append_char(&out, 0);
    assert_string_equal(
        out.ptr,
        "{\"key\":\"00000000000000010000000000000002\",\"tenant\":\"00000000000000030000000000000004\","
        "\"namespace\":\"\",\"model\":\"m\",\"id\":\"i\",\"op\":\"chat\",\"form\":\"body\","
        "\"created\":1800000000.000,\"expires\":1800000001.500,\"stale_until\":null,\"fresh\":true,"
        "\"usage\":{\"input_tokens\":10,\"output_tokens\":null},\"cost_usd\":0.25,"
        "\"content_type\":\"application/json\",\"request\":\"c\\u0000\\\"\\n\",\"content\":\"{\\\"a\\\":1}\"}");
    rm_buf_clear(&out);
    record.cost_usd = -1;
    assert_int_equal(rm_admin_entry_json(&record, NOW + 1500, &out), RM_OK);
    assert_non_null(rm_slice_find(rm_buf_slice(&out), RM_SLICE("\"fresh\":false")));
    assert_non_null(rm_slice_find(rm_buf_slice(&out), RM_SLICE("\"cost_usd\":null")));
    rm_buf_deinit(&out);
}

static void test_hosts(void **state)
{
    static const char *const good[] = {"127.0.0.1",
                                       "127.0.0.1:8701",
                                       "[::1]",
                                       "[::1]:8701",
                                       "localhost",
                                       "LOCALHOST:1",
                                       "localhost.",
                                       "remora",
                                       "remora:8701",
                                       "a.localhost",
                                       "mac.local:8701",
                                       "remora.monitoring.svc",
                                       "remora.monitoring.svc.cluster.local",
                                       "x.internal"};
    static const char *const bad[] = {"",
                                      ":8701",
                                      "evil.example",
                                      "evil.example:8701",
                                      "127.0.0.1.evil.example",
                                      "localhost.evil.example",
                                      "[::1].evil",
                                      "[evil.example]",
                                      "a:b:c",
                                      ".local",
                                      "1.2.3.4x.com"};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(good); i++)
        assert_true(rm_admin__host_allowed(rm_slice_cstr(good[i])));
    for (size_t i = 0; i < RM_COUNT(bad); i++) {
        if (rm_admin__host_allowed(rm_slice_cstr(bad[i])))
            print_error("allowed: %s\n", bad[i]);
        assert_false(rm_admin__host_allowed(rm_slice_cstr(bad[i])));
    }
}

static void test_origins(void **state)
{
    static const struct {
        const char *name, *value;
        bool allowed;
    } cases[] = {
        {"x-nothing", "", true},
        {"Origin", "http://127.0.0.1:8701", true},
        {"Origin", "http://127.0.0.1:8702", false},
        {"Origin", "https://127.0.0.1:8701", false},
        {"Origin", "http://evil.example", false},
        {"Origin", "null", false},
        {"Origin", "", false},
        {"Sec-Fetch-Site", "same-origin", true},
        {"Sec-Fetch-Site", "none", true},
        {"Sec-Fetch-Site", "same-site", false},
        {"Sec-Fetch-Site", "cross-site", false},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_header header = {rm_slice_cstr(cases[i].name), rm_slice_cstr(cases[i].value)};
        rm_http_head head = {.host = RM_SLICE("127.0.0.1:8701"), .headers = &header, .header_count = 1};
        assert_int_equal(rm_admin__origin_allowed(&head), cases[i].allowed);
    }
}

static void test_queries(void **state)
{
    char text[RM_ADMIN_QUERY_BYTES_MAX], query[RM_ADMIN_QUERY_BYTES_MAX + 8] = "k=";

    (void)state;
    assert_int_equal(rm_admin__query(RM_SLICE("a=1&since=2026-11-01T00%3a00%3A00Z&since=2"), "since", text), RM_OK);
    assert_string_equal(text, "2026-11-01T00:00:00Z");
    assert_int_equal(rm_admin__query(RM_SLICE("since="), "since", text), RM_OK);
    assert_string_equal(text, "");
    assert_int_equal(rm_admin__query(RM_SLICE_NONE, "since", text), RM_ENOTFOUND);
    assert_int_equal(rm_admin__query(RM_SLICE("sincere=1&since"), "since", text), RM_ENOTFOUND);
    static const char *const bad[] = {"k=%", "k=%4", "k=%zz", "k=%00", "k=a%2"};
    for (size_t i = 0; i < RM_COUNT(bad); i++)
        assert_int_equal(rm_admin__query(rm_slice_cstr(bad[i]), "k", text), RM_EPARSE);
    memset(query + 2, 'v', RM_ADMIN_QUERY_BYTES_MAX - 1);
    assert_int_equal(rm_admin__query(rm_slice_cstr(query), "k", text), RM_OK);
    memset(query + 2, 'v', RM_ADMIN_QUERY_BYTES_MAX);
    assert_int_equal(rm_admin__query(rm_slice_cstr(query), "k", text), RM_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_purges_that_are_understood),
        cmocka_unit_test(test_purges_that_are_refused),
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_queries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
