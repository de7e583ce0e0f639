/* What callers ask of the cache, in each language and all at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/policy.h"

static rm_controls controls_of(const rm_header *headers, size_t count, const rm_body_cache *body)
{
    rm_http_head head = {.headers = headers, .header_count = count};
    rm_request_info info = {.cache = body ? *body : (rm_body_cache){0}};

    return rm_policy_controls(&head, body ? &info : NULL);
}

static rm_controls one(const char *name, const char *value)
{
    rm_header header = {rm_slice_cstr(name), rm_slice_cstr(value)};

    return controls_of(&header, 1, NULL);
}

static void test_nothing_asked(void **state)
{
    rm_controls c = controls_of(NULL, 0, NULL);

    (void)state;
    assert_false(c.no_cache || c.no_store || c.only_if_cached || c.bypass);
    assert_true(c.ttl_ms == -1 && c.max_age_ms == -1 && c.stale_if_error_ms == -1);
    assert_true(c.name_space.len == 0 && c.invalid.len == 0);
    c = one("x-remora-unheard-of", "\x01");
    assert_int_equal(c.invalid.len, 0);
}

static void test_words(void **state)
{
    static const struct {
        const char *value;
        bool no_cache, no_store, only_if_cached, bypass;
    } cases[] = {
        {"no-cache", true, false, false, false},
        {"No-Store", false, true, false, false},
        {"only-if-cached", false, false, true, false},
        {"bypass", false, false, false, true},
        {"no-cache, no-store", true, true, false, false},
        {"no-cache,no-store,bypass", true, true, false, true},
        {" no-cache\t,only-if-cached ", true, false, true, false},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_controls c = one("X-Remora-Cache", cases[i].value);
        assert_int_equal(c.no_cache, cases[i].no_cache);
        assert_int_equal(c.no_store, cases[i].no_store);
        assert_int_equal(c.only_if_cached, cases[i].only_if_cached);
        assert_int_equal(c.bypass, cases[i].bypass);
        assert_int_equal(c.invalid.len, 0);
    }
}

static void test_what_is_understood_and_what_not(void **state)
{
    static const struct {
        const char *name, *value;
        bool good;
    } cases[] = {
        {"x-remora-cache", "", false},
        {"x-remora-cache", "nocache", false},
        {"x-remora-cache", "no-cache,,no-store", false},
        {"x-remora-cache-ttl", "60", true},
        {"x-remora-cache-ttl", "10m", true},
        {"x-remora-cache-ttl", "7d", true},
        {"x-remora-cache-ttl", "0", true},
        {"x-remora-cache-ttl", "99999999d", true},
        {"x-remora-cache-ttl", "", false},
        {"x-remora-cache-ttl", "-1", false},
        {"x-remora-cache-ttl", "soon", false},
        {"x-remora-cache-namespace", "team a/b", true},
        {"x-remora-cache-namespace", "", false},
        {"x-remora-cache-namespace", "caf\xc3\xa9", false},
        {"x-remora-max-error", "0", true},
        {"x-remora-max-error", "0.05", true},
        {"x-remora-max-error", "1", true},
        {"x-remora-max-error", "1.01", false},
        {"x-remora-max-error", "-0.1", false},
        {"x-remora-max-error", "five", false},
        {"x-remora-min-quality", "0.9", true},
        {"x-remora-min-quality", "90%", false},
        {"x-remora-deadline", "30s", true},
        {"x-remora-deadline", "24h", true},
        {"x-remora-deadline", "90", true},
        {"x-remora-deadline", "0", false},
        {"x-remora-deadline", "0s", false},
        {"x-remora-deadline", "tomorrow", false},
        {"x-remora-deadline", "", false},
        {"x-remora-tier", "realtime", true},
        {"x-remora-tier", "Flex", true},
        {"x-remora-tier", "batch", true},
        {"x-remora-tier", "auto", true},
        {"x-remora-tier", "fast", false},
        {"x-remora-route", "auto", true},
        {"x-remora-route", "off", true},
        {"x-remora-route", "gpt-4.1-mini", true},
        {"x-remora-route", "", false},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_controls c = one(cases[i].name, cases[i].value);
        if ((c.invalid.len == 0) != cases[i].good)
            print_error("%s: %s\n", cases[i].name, cases[i].value);
        assert_int_equal(c.invalid.len == 0, cases[i].good);
        if (!cases[i].good)
            assert_true(rm_slice_eq(c.invalid, rm_slice_cstr(cases[i].name)));
    }
}

static void test_lengths(void **state)
{
    char text[RM_REMORA_HEADER_BYTES_MAX + 2];

    (void)state;
    memset(text, 'n', sizeof(text));
    text[RM_NAMESPACE_BYTES_MAX] = 0;
    assert_int_equal(one("x-remora-cache-namespace", text).name_space.len, RM_NAMESPACE_BYTES_MAX);
    text[RM_NAMESPACE_BYTES_MAX] = 'n';
    text[RM_NAMESPACE_BYTES_MAX + 1] = 0;
    assert_true(one("x-remora-cache-namespace", text).invalid.len > 0);
    text[RM_NAMESPACE_BYTES_MAX + 1] = 'n';
    text[RM_REMORA_HEADER_BYTES_MAX] = 0;
    assert_int_equal(one("x-remora-route", text).invalid.len, 0);
    text[RM_REMORA_HEADER_BYTES_MAX] = 'n';
    text[RM_REMORA_HEADER_BYTES_MAX + 1] = 0;
    assert_true(one("x-remora-route", text).invalid.len > 0);
}

static void test_cache_control(void **state)
{
    rm_controls c = one("Cache-Control", "no-cache, no-store, only-if-cached, max-age=30, stale-if-error=60");

    (void)state;
    assert_true(c.no_cache && c.no_store && c.only_if_cached && !c.bypass);
    assert_int_equal(c.max_age_ms, 30000);
    assert_int_equal(c.stale_if_error_ms, 60000);
    assert_int_equal(c.ttl_ms, -1);
    c = one("Cache-Control", "max-age=99999999999999");
    assert_true(c.max_age_ms > 0 && (uint64_t)c.max_age_ms <= RM_TTL_MS_MAX);
    c = one("cache-control", "private, whatever=1");
    assert_false(c.no_cache || c.no_store || c.only_if_cached);
    assert_int_equal(c.invalid.len, 0); /* an unknown directive is no mistake (RFC 9111) */
}

static void test_body(void **state)
{
    rm_body_cache body = {
        .present = true, .no_cache = true, .no_store = true, .ttl_s = 5, .s_maxage_s = 7, .name_space = RM_SLICE("n")};
    rm_controls c = controls_of(NULL, 0, &body);

    (void)state;
    assert_true(c.no_cache && c.no_store && !c.only_if_cached && !c.bypass);
    assert_int_equal(c.ttl_ms, 5000);
    assert_int_equal(c.max_age_ms, 7000);
    assert_true(rm_slice_eq(c.name_space, RM_SLICE("n")));
    body = (rm_body_cache){.present = true, .ttl_s = -1, .s_maxage_s = -1, .name_space = RM_SLICE("bad\nname")};
    c = controls_of(NULL, 0, &body);
    assert_true(c.bypass); /* entries that cannot be kept apart are not kept */
    body = (rm_body_cache){.present = true, .ttl_s = -1, .s_maxage_s = -1, .bad_name_space = true};
    c = controls_of(NULL, 0, &body);
    assert_true(c.bypass);
    body = (rm_body_cache){.ttl_s = 0, .no_cache = true};
    c = controls_of(NULL, 0, &body);
    assert_false(c.no_cache);
    assert_int_equal(c.ttl_ms, -1);
}

static void test_the_strictest_wins(void **state)
{
    const rm_header headers[] = {
        {RM_SLICE("x-remora-cache-ttl"), RM_SLICE("10m")},
        {RM_SLICE("cache-control"), RM_SLICE("max-age=30")},
        {RM_SLICE("X-Remora-Cache"), RM_SLICE("no-store")},
        {RM_SLICE("Cache-Control"), RM_SLICE("max-age=20, no-cache")},
        {RM_SLICE("x-remora-cache-ttl"), RM_SLICE("5m")},
        {RM_SLICE("x-remora-cache-namespace"), RM_SLICE("a")},
    };
    rm_body_cache body = {.present = true, .ttl_s = 400, .s_maxage_s = 25, .name_space = RM_SLICE("a")};
    rm_controls c = controls_of(headers, RM_COUNT(headers), &body);

    (void)state;
    assert_true(c.no_cache && c.no_store && !c.bypass);
    assert_int_equal(c.ttl_ms, 300000);
    assert_int_equal(c.max_age_ms, 20000);
    assert_true(rm_slice_eq(c.name_space, RM_SLICE("a")));
    body.name_space = RM_SLICE("b");
    assert_true(controls_of(headers, RM_COUNT(headers), &body).bypass);
}

/* The first that is not understood is told. */
static void test_first_invalid(void **state)
{
    const rm_header headers[] = {{RM_SLICE("x-remora-tier"), RM_SLICE("x")},
                                 {RM_SLICE("x-remora-cache"), RM_SLICE("x")}};

    (void)state;
    assert_true(rm_slice_eq(controls_of(headers, 2, NULL).invalid, RM_SLICE("x-remora-tier")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_asked),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_what_is_understood_and_what_not),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_cache_control),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_the_strictest_wins),
        cmocka_unit_test(test_first_invalid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
