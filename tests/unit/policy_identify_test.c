/* Who asks: which callers are one, which are never one, and what anonymous ones get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/policy.h"

static const uint8_t secret[32] = "0123456789abcdef0123456789abcde";
static const uint8_t other_secret[32] = "another install's secret ......";

/* "name: value" lines, NULL at the end. */
static rm_http_head head_of(rm_header *headers, const char *const *lines)
{
    rm_http_head head = {.headers = headers};

    for (; lines && *lines; lines++) {
        const char *colon = strchr(*lines, ':');
        headers[head.header_count++] =
            (rm_header){rm_slice_make(*lines, (size_t)(colon - *lines)), rm_slice_trim(rm_slice_cstr(colon + 1))};
    }
    return head;
}

static rm_tenant identify(const rm_config *config, const uint8_t *key, const char *const *lines)
{
    rm_header headers[RM_HEADER_COUNT_MAX];
    rm_http_head head = head_of(headers, lines);
    rm_tenant tenant;

    assert_int_equal(rm_policy_identify(config, key, &head, &tenant), RM_OK);
    return tenant;
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define KEY        "Authorization: Bearer sk-1"

static void test_a_credential_is_a_tenant(void **state)
{
    rm_config config = {0};
    rm_tenant a = identify(&config, secret, LINES("host: h", KEY));
    rm_tenant b = identify(&config, secret, LINES("AUTHORIZATION: Bearer sk-1", "x-other: 1"));
    rm_tenant c = identify(&config, secret, LINES("Authorization: Bearer sk-2"));
    rm_tenant d = identify(&config, other_secret, LINES(KEY));
    char text[33];

    (void)state;
    assert_true(a.cacheable && !a.anonymous && !a.refused);
    assert_true(rm_key128_eq(a.id, b.id) && rm_key128_eq(a.scope, a.id));
    assert_false(rm_key128_eq(a.id, c.id));
    assert_false(rm_key128_eq(a.id, d.id));
    rm_key128_format(a.id, text);
    assert_string_equal(a.id_text, text);
}

/* Where a credential stands is part of who it is, the order of lines is not. */
static void test_places_of_credentials(void **state)
{
    rm_config config = {0};
    rm_tenant all[] = {
        identify(&config, secret, LINES("authorization: k")),
        identify(&config, secret, LINES("x-api-key: k")),
        identify(&config, secret, LINES("api-key: k")),
        identify(&config, secret, LINES("x-api-key: k", "api-key: k")),
        identify(&config, secret, LINES("x-api-key: kk")),
        identify(&config, secret, LINES("x-api-key: k", "x-api-key: k")),
        identify(&config, secret, LINES("authorization: k", "x-api-key: j")),
        identify(&config, secret, LINES("authorization: j", "x-api-key: k")),
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(all); i++)
        for (size_t j = 0; j < i; j++)
            assert_false(rm_key128_eq(all[i].id, all[j].id));
    rm_tenant turned = identify(&config, secret, LINES("x-api-key: j", "authorization: k"));
    assert_true(rm_key128_eq(turned.id, all[6].id));
}

static void test_anonymous(void **state)
{
    const char *const *const nobody[] = {NULL, LINES("host: h"), LINES("authorization:"),
                                         LINES("authorization: Bearer"), LINES("x-api-key:")};
    rm_config config = {0};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(nobody); i++) {
        config.cache.anonymous = RM_ANONYMOUS_PRIVATE;
        rm_tenant tenant = identify(&config, secret, nobody[i]);
        assert_true(tenant.anonymous && !tenant.refused && !tenant.cacheable);
        assert_string_equal(tenant.id_text, "anonymous");
        config.cache.anonymous = RM_ANONYMOUS_SHARED;
        tenant = identify(&config, secret, nobody[i]);
        assert_true(tenant.anonymous && !tenant.refused && tenant.cacheable);
        config.cache.anonymous = RM_ANONYMOUS_REFUSE;
        tenant = identify(&config, secret, nobody[i]);
        assert_true(tenant.anonymous && tenant.refused && !tenant.cacheable);
    }
}

static void test_shared_scope_is_not_the_anonymous_one(void **state)
{
    rm_config config = {.cache = {.scope = RM_SCOPE_SHARED, .anonymous = RM_ANONYMOUS_SHARED}};
    rm_tenant a = identify(&config, secret, LINES("x-api-key: a")),
              b = identify(&config, secret, LINES("x-api-key: b"));
    rm_tenant nobody = identify(&config, secret, NULL);

    (void)state;
    assert_true(rm_key128_eq(a.scope, b.scope));
    assert_false(rm_key128_eq(a.id, b.id));
    assert_false(rm_key128_eq(a.scope, nobody.scope));
}

/* Every header that LiteLLM sends of a user, by its long and its short names. */
static void test_gateway_headers_refine_where_they_are_trusted(void **state)
{
    static const char *const names[] = {"x-litellm-user_api_key_hash",
                                        "x-litellm-user_api_key_user_id",
                                        "x-litellm-user_api_key_end_user_id",
                                        "x-litellm-user_api_key_team_id",
                                        "x-litellm-user_api_key_org_id",
                                        "x-litellm-user_api_key_project_id",
                                        "x-litellm-user-id",
                                        "x-litellm-end-user-id",
                                        "X-LiteLLM-Customer-Id",
                                        "x-litellm-team-id",
                                        "x-litellm-org-id"};
    rm_config config = {0}, trusting = {.trust_gateway_headers = true};
    rm_tenant plain = identify(&config, secret, LINES(KEY));
    char one[128], two[128];

    (void)state;
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        (void)snprintf(one, sizeof(one), "%s: one", names[i]);
        (void)snprintf(two, sizeof(two), "%s: two", names[i]);
        rm_tenant ignored = identify(&config, secret, LINES(KEY, one));
        assert_true(rm_key128_eq(ignored.id, plain.id));
        rm_tenant a = identify(&trusting, secret, LINES(KEY, one)), b = identify(&trusting, secret, LINES(two, KEY));
        rm_tenant again = identify(&trusting, secret, LINES(one, KEY, "x-litellm-user_api_key_spend: 0.5"));
        assert_false(rm_key128_eq(a.id, plain.id));
        assert_false(rm_key128_eq(a.id, b.id));
        assert_true(rm_key128_eq(a.id, again.id));
        rm_tenant nobody = identify(&trusting, secret, LINES(one));
        assert_true(nobody.anonymous);
    }
}

#define LONG_TEAM  "x-litellm-user_api_key_team_id: "
#define SHORT_TEAM "x-litellm-team-id: "

static void test_team_scope(void **state)
{
    rm_config config = {.trust_gateway_headers = true, .cache = {.scope = RM_SCOPE_TEAM}};
    rm_config distrusting = {.cache = {.scope = RM_SCOPE_TEAM}};
    rm_tenant a = identify(&config, secret, LINES("x-api-key: a", SHORT_TEAM "t"));
    rm_tenant b = identify(&config, secret, LINES("x-api-key: b", SHORT_TEAM "t"));
    rm_tenant c = identify(&config, secret, LINES("x-api-key: a", SHORT_TEAM "u"));
    rm_tenant same = identify(&config, secret, LINES("x-api-key: a", LONG_TEAM "t", "x-litellm-user_api_key_hash: h"));
    rm_tenant alone = identify(&config, secret, LINES("x-api-key: a"));
    rm_tenant distrusted = identify(&distrusting, secret, LINES("x-api-key: a", SHORT_TEAM "t"));

    (void)state;
    assert_true(rm_key128_eq(a.scope, b.scope));
    assert_false(rm_key128_eq(a.id, b.id));
    assert_false(rm_key128_eq(a.scope, c.scope));
    assert_true(rm_key128_eq(a.scope, same.scope));
    assert_true(rm_key128_eq(alone.scope, alone.id));
    assert_true(rm_key128_eq(distrusted.scope, distrusted.id));
}

/* LiteLLM passes its callers' x-* headers on: once it speaks itself, only its own name for the team counts. */
static void test_team_cannot_be_claimed_past_the_gateway(void **state)
{
    rm_config config = {.trust_gateway_headers = true, .cache = {.scope = RM_SCOPE_TEAM}};
    rm_tenant victim = identify(&config, secret, LINES(KEY, LONG_TEAM "t", "x-litellm-user_api_key_hash: v"));
    rm_tenant thief = identify(&config, secret, LINES(KEY, SHORT_TEAM "t", "x-litellm-user_api_key_hash: h"));
    rm_tenant both =
        identify(&config, secret, LINES(KEY, LONG_TEAM "u", SHORT_TEAM "t", "x-litellm-user_api_key_hash: h"));
    rm_tenant twice = identify(&config, secret, LINES(KEY, LONG_TEAM "t", LONG_TEAM "u"));

    (void)state;
    assert_false(rm_key128_eq(thief.scope, victim.scope));
    assert_true(rm_key128_eq(thief.scope, thief.id));
    assert_false(rm_key128_eq(both.scope, victim.scope));
    assert_true(rm_key128_eq(twice.scope, twice.id));
}

/* As many and as long headers as a head may hold; one byte more than a head may hold is an error, not an overflow. */
static void test_largest_head(void **state)
{
    static char value[RM_HEADER_BYTES_MAX + 2048];
    rm_header headers[RM_HEADER_COUNT_MAX];
    rm_http_head head = {.headers = headers, .header_count = RM_HEADER_COUNT_MAX};
    rm_config config = {0};
    rm_tenant tenant;

    (void)state;
    memset(value, 'v', sizeof(value));
    for (size_t i = 0; i < RM_HEADER_COUNT_MAX; i++)
        headers[i] =
            (rm_header){RM_SLICE("x-api-key"), rm_slice_make(value, RM_HEADER_BYTES_MAX / RM_HEADER_COUNT_MAX)};
    assert_int_equal(rm_policy_identify(&config, secret, &head, &tenant), RM_OK);
    headers[0].value.len = sizeof(value);
    assert_int_equal(rm_policy_identify(&config, secret, &head, &tenant), RM_EINTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_credential_is_a_tenant),
        cmocka_unit_test(test_places_of_credentials),
        cmocka_unit_test(test_anonymous),
        cmocka_unit_test(test_shared_scope_is_not_the_anonymous_one),
        cmocka_unit_test(test_gateway_headers_refine_where_they_are_trusted),
        cmocka_unit_test(test_team_scope),
        cmocka_unit_test(test_team_cannot_be_claimed_past_the_gateway),
        cmocka_unit_test(test_largest_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
