/* Help, README table, JSON without secrets, and what a reload cannot change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config_internal.h"
#include "config_text.h"

static bool contains(const rm_buf *buf, const char *text)
{
    return rm_slice_find(rm_buf_slice(buf), rm_slice_cstr(text)) != NULL;
}

static void test_describe_names_every_option(void **state)
{
    rm_buf out;

    (void)state;
    for (int markdown = 0; markdown < 2; markdown++) {
        rm_buf_init(&out, RM_MIB);
        assert_int_equal(rm_config_describe(markdown, &out), RM_OK);
        for (size_t i = 0; i < rm_config__option_count; i++) {
            assert_true(contains(&out, rm_config__options[i].path));
            assert_true(contains(&out, rm_config__options[i].help));
        }
        rm_buf_deinit(&out);
    }
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_config_describe(true, &out), RM_OK);
    assert_true(contains(&out, "| `merge.in_flight` | on \\| deterministic \\| off | `on` |"));
    assert_true(contains(&out, "| `loops` | number, 0 to 256 | `0` |"));
    rm_buf_deinit(&out);
    rm_buf_init(&out, 100);
    assert_int_equal(rm_config_describe(true, &out), RM_ETOOBIG);
    rm_buf_deinit(&out);
}

static void test_json_hides_secrets(void **state)
{
    rm_config *config =
        config_of("upstreams:\n  - {name: a, base_url: http://h, api_key: hush, proxy: 'http://u:hush@p:1'}\n"
                  "  - {name: b, base_url: http://h, proxy: 'http://p:1'}\n"
                  "models: [{name: 'a\"b', price: {input: 0.4}, capabilities: [vision]}]\n"
                  "cache: {exact: {ttl: 90s, bytes_max: 3MiB}, semantic: {exact_only: [personal, time]},\n"
                  "        namespaces: [{name: faq, match: {model: m}, semantic_ttl: 6h}, {name: b, semantic: "
                  "off}]}\nembed: {deadline: 1500us}\n");
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_config_json(config, &out), RM_OK);
    assert_false(contains(&out, "hush"));
    assert_true(contains(&out, "\"api_key\":\"(set)\",\"ca_file\":null,\"proxy\":\"(set)\""));
    assert_true(contains(&out, "\"api_key\":null,\"ca_file\":null,\"proxy\":\"http://p:1\""));
    assert_true(contains(&out, "{\"name\":\"a\\\"b\",\"upstream\":\"a\",\"price\":{\"input\":0.4,\"cached_input\":null,"
                               "\"output\":0},\"context\":null,\"capabilities\":[\"vision\"]}"));
    assert_true(contains(&out, "\"ttl\":\"90s\",\"bytes_max\":\"3MiB\",\"sampled\":\"serve\",\"ids\":\"original\""));
    assert_true(contains(&out, "\"deadline\":\"1500us\""));
    assert_true(contains(&out, "\"stale_if_error\":\"0\""));
    assert_true(
        contains(&out, "\"guards_off\":[],\"exact_only\":[\"time\",\"personal\"],\"ttl\":\"0\",\"hit_delay\":\"0\""));
    assert_true(contains(&out, "\"namespaces\":[{\"name\":\"faq\",\"match\":{\"path\":null,\"model\":\"m\"},"
                               "\"semantic\":\"shadow\",\"max_error\":0.01,\"ttl\":\"90s\",\"semantic_ttl\":\"6h\"},"
                               "{\"name\":\"b\",\"match\":{\"path\":null,\"model\":null},\"semantic\":\"off\","));
    rm_buf_deinit(&out);
    rm_config_unref(config);
}

static void test_restart_needed(void **state)
{
    rm_config *before = config_of("loops: 2\n"), *same = config_of("loops: 2\ncors: on\ncache: {exact: {ttl: 1d}}\n");
    rm_config *after = config_of("loops: 3\ndata: /x\nlog: {access: off}\ncache: {exact: {bytes_max: 1GiB}}\n");
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_config_restart_needed(before, same, &out), RM_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(rm_config_restart_needed(before, after, &out), RM_OK);
    rm_buf_append_char(&out, 0);
    assert_string_equal(out.ptr, "data, loops, cache.exact.bytes_max, log.access");
    rm_buf_deinit(&out);
    rm_config_unref(before);
    rm_config_unref(same);
    rm_config_unref(after);
}

/* Each default lies in its own range and among its own words: else set_defaults would have refused it. */
static void test_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < rm_config__option_count; i++) {
        const rm_config_option *option = &rm_config__options[i];
        double min, max;
        assert_ptr_equal(rm_config__option_find(option->path), option);
        assert_true(option->help[0] != 0);
        assert_true(strlen(option->path) < RM_CONFIG_PATH_BYTES_MAX / 2);
        if (!option->min)
            continue;
        assert_int_equal(rm_config__number(option->kind, rm_slice_cstr(option->min), &min), RM_OK);
        assert_int_equal(rm_config__number(option->kind, rm_slice_cstr(option->max), &max), RM_OK);
        assert_true(min < max);
    }
}

static void test_references_are_counted(void **state)
{
    rm_config *config = config_of("");

    (void)state;
    assert_ptr_equal(rm_config_ref(config), config);
    rm_config_unref(config);
    assert_string_equal(config->data, "./data");
    rm_config_unref(config);
    rm_config_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe_names_every_option),
        cmocka_unit_test(test_json_hides_secrets),
        cmocka_unit_test(test_restart_needed),
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_references_are_counted),
    };

    (void)unsetenv("OPENAI_BASE_URL");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
