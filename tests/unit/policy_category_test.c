/* Which category a request falls into: one row a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "remora/policy.h"

static const char text[] = "cache:\n"
                           "  exact: {ttl: 1h}\n"
                           "  semantic: {mode: shadow, max_error: 0.01, ttl: 30m}\n"
                           "  namespaces:\n"
                           "    - {name: faq, semantic: serve, max_error: 0.2, ttl: 1d, semantic_ttl: 6h}\n"
                           "    - {name: both, match: {path: /v1/messages, model: m}, max_error: 0}\n"
                           "    - {name: path, match: {path: /v1/messages}, semantic: off}\n"
                           "    - {name: model, match: {model: m}, ttl: 1s}\n"
                           "    - {name: late, match: {model: m}, semantic: serve}\n";

static rm_config *config;

static int load(void **state)
{
    rm_config_errors errors;

    (void)state;
    rm_config_errors_init(&errors);
    rm_status status = rm_config_parse("f.yaml", rm_slice_cstr(text), &config, &errors);
    rm_config_errors_deinit(&errors);
    return status;
}

static int unload(void **state)
{
    (void)state;
    rm_config_unref(config);
    return 0;
}

static void test_each_request_has_its_category(void **state)
{
    static const struct {
        const char *named, *path, *model, *category;
    } cases[] = {
        {"", "/v1/chat/completions", "x", ""},
        {"", "/v1/chat/completions", "", ""},
        {"", "", "", ""},
        {"faq", "/v1/chat/completions", "x", "faq"},
        {"faq", "/v1/messages", "m", "faq"}, /* a name of its own wins over any match */
        {"other", "/v1/messages", "m", "other"},
        {"FAQ", "/v1/chat/completions", "x", "FAQ"}, /* another namespace */
        {"fa", "/v1/chat/completions", "x", "fa"},
        {"faqs", "/v1/chat/completions", "x", "faqs"},
        {"path", "/v1/chat/completions", "x", "path"}, /* a row that matches others can be named too */
        {"", "/v1/messages", "m", "both"},
        {"", "/v1/messages", "x", "path"},
        {"", "/v1/messages", "", "path"},
        {"", "/v1/chat/completions", "m", "model"}, /* not the later one */
        {"", "/v1/message", "x", ""},
        {"", "/v1/messages/", "x", ""},
        {"", "/v1/chat/completions", "mm", ""},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_category category = rm_policy_category(config, rm_slice_cstr(cases[i].named), rm_slice_cstr(cases[i].path),
                                                  rm_slice_cstr(cases[i].model));
        if (!rm_slice_eq(category.name_space, rm_slice_cstr(cases[i].category)))
            print_error("case %zu\n", i);
        assert_true(rm_slice_eq(category.name_space, rm_slice_cstr(cases[i].category)));
    }
}

static void test_what_holds_there(void **state)
{
    static const struct {
        const char *named;
        rm_mode semantic;
        double max_error;
        uint64_t ttl_s, semantic_ttl_s;
    } cases[] = {
        {"", RM_MODE_SHADOW, 0.01, 3600, 1800},       {"unknown", RM_MODE_SHADOW, 0.01, 3600, 1800},
        {"faq", RM_MODE_SERVE, 0.2, 86400, 6 * 3600}, {"both", RM_MODE_SHADOW, 0, 3600, 1800},
        {"path", RM_MODE_OFF, 0.01, 3600, 1800},      {"model", RM_MODE_SHADOW, 0.01, 1, 1800},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_category category =
            rm_policy_category(config, rm_slice_cstr(cases[i].named), RM_SLICE("/v1/completions"), RM_SLICE("x"));
        assert_int_equal(category.semantic, cases[i].semantic);
        assert_float_equal(category.max_error, cases[i].max_error, 0);
        assert_int_equal(category.ttl_ms, cases[i].ttl_s * 1000);
        assert_int_equal(category.semantic_ttl_ms, cases[i].semantic_ttl_s * 1000);
    }
}

/* Bytes that are no text, and slices that end at no NUL. */
static void test_names_are_compared_whole(void **state)
{
    (void)state;
    rm_category category = rm_policy_category(config, RM_SLICE("faq\0x"), RM_SLICE_NONE, RM_SLICE_NONE);
    assert_int_equal(category.semantic, RM_MODE_SHADOW);
    category = rm_policy_category(config, rm_slice_make("faqs", 3), RM_SLICE_NONE, RM_SLICE_NONE);
    assert_int_equal(category.semantic, RM_MODE_SERVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_request_has_its_category),
        cmocka_unit_test(test_what_holds_there),
        cmocka_unit_test(test_names_are_compared_whole),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
