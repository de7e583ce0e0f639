/* What options of the semantic cache switch by word: the guards' names, which the configuration's table has twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "remora/semantic.h"

static rm_config *parse(const char *text)
{
    rm_config *config = NULL;
    rm_config_errors errors;

    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_parse("f.yaml", rm_slice_cstr(text), &config, &errors), RM_OK);
    rm_config_errors_deinit(&errors);
    return config;
}

static void test_each_guard_has_its_word(void **state)
{
    char text[128];

    (void)state;
    for (unsigned guard = 0; rm_semantic_guard_name(guard); guard++) {
        (void)snprintf(text, sizeof(text), "cache: {semantic: {guards_off: [%s]}}", rm_semantic_guard_name(guard));
        rm_config *config = parse(text);
        assert_int_equal(config->cache.semantic.guards_off, 1U << guard);
        rm_config_unref(config);
    }
}

/* The help lists the words of the table: these, in this order, and no other. */
static void test_no_other_word_is_a_guard(void **state)
{
    rm_buf help, words;

    (void)state;
    rm_buf_init(&help, RM_MIB);
    rm_buf_init(&words, RM_MIB);
    assert_int_equal(rm_config_describe(false, &help), RM_OK);
    rm_buf_append_cstr(&words, "cache.semantic.guards_off: []\n      list of ");
    for (unsigned guard = 0; rm_semantic_guard_name(guard); guard++)
        rm_buf_appendf(&words, "%s%s", guard ? " | " : "", rm_semantic_guard_name(guard));
    rm_buf_append_cstr(&words, "\n");
    assert_non_null(rm_slice_find(rm_buf_slice(&help), rm_buf_slice(&words)));
    rm_buf_deinit(&help);
    rm_buf_deinit(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_guard_has_its_word),
        cmocka_unit_test(test_no_other_word_is_a_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
