/* What a reload leaves as it was: each option that is marked so, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_text.h"
#include "serve.h"

/* Every marked option, and some others, unlike its default. */
static const char changed[] = "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\ndata: /x\nloops: 255\n"
                              "cache: {anonymous: shared, exact: {bytes_max: 1GiB, compress: off, ttl: 5s},\n"
                              "        semantic: {model: other, audit: 0.5, guards_off: [noise]}}\n"
                              "embed: {precision: int8, workers: 3, overflow: last_turn}\n"
                              "log: {access: off, level: debug}\ncors: on\n";

static size_t occurrences(const rm_buf *text, const char *word)
{
    size_t count = 0, len = strlen(word);

    for (size_t i = 0; i + len <= text->len; i++)
        count += memcmp(text->ptr + i, word, len) == 0;
    return count;
}

static void test_every_marked_option_stays(void **state)
{
    rm_config *now = config_of("{}"), *next = config_of(changed);
    rm_buf help, paths, after;

    (void)state;
    rm_buf_init(&help, RM_MIB);
    rm_buf_init(&paths, RM_MIB);
    rm_buf_init(&after, RM_MIB);
    assert_int_equal(rm_config_describe(false, &help), RM_OK);
    assert_int_equal(rm_app_keep_fixed(now, next, &paths), RM_OK);
    /* The test changes each of them ... */
    assert_int_equal(occurrences(&paths, ", ") + 1, occurrences(&help, "(a change needs a restart)"));
    /* ... and none of the changes is left. */
    assert_int_equal(rm_config_restart_needed(now, next, &after), RM_OK);
    assert_int_equal(after.len, 0);
    rm_config_unref(now); /* the texts are next's own */
    assert_string_equal(next->listen, "127.0.0.1:8700");
    assert_string_equal(next->log.access, "stdout");
    assert_int_equal(next->cache.exact.ttl_ms, 5000);
    assert_int_equal(next->cache.anonymous, RM_ANONYMOUS_SHARED);
    assert_int_equal(next->log.level, RM_LOG_DEBUG);
    assert_int_equal(next->embed.overflow, RM_LONG_TEXT_LAST_TURN);
    assert_true(next->cors);
    rm_config_unref(next);
    rm_buf_deinit(&help);
    rm_buf_deinit(&paths);
    rm_buf_deinit(&after);
}

static void test_nothing_changed(void **state)
{
    rm_config *now = config_of(changed), *next = config_of(changed);
    rm_buf paths;

    (void)state;
    rm_buf_init(&paths, RM_MIB);
    assert_int_equal(rm_app_keep_fixed(now, next, &paths), RM_OK);
    assert_int_equal(paths.len, 0);
    assert_string_equal(next->data, "/x");
    rm_config_unref(now);
    rm_config_unref(next);
    rm_buf_deinit(&paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_marked_option_stays),
        cmocka_unit_test(test_nothing_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
