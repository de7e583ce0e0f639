/* What options of the semantic cache switch by word: markers in a text, and the guards' names, which the configuration's table
 * has once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "config_text.h"
#include "remora/semantic.h"

static void test_each_guard_has_its_word(void **state)
{
    char text[128];

    (void)state;
    for (unsigned guard = 0; rm_semantic_guard_name(guard); guard++) {
        (void)snprintf(text, sizeof(text), "cache: {semantic: {guards_off: [%s]}}", rm_semantic_guard_name(guard));
        rm_config *config = config_of(text);
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

/* ---- markers ----------------------------------------------------------------------------------------------------- */

#define TIME     RM_EXACT_ONLY_TIME
#define PERSONAL RM_EXACT_ONLY_PERSONAL
#define BOTH     (TIME | PERSONAL)

static void test_words_of_a_text(void **state)
{
    static const struct {
        const char *text;
        unsigned found;
    } cases[] = {
        {"", 0},
        {" ", 0},
        {"What is the capital of France?", 0},
        /* the moment */
        {"today", TIME},
        {"What is on TV today?", TIME},
        {"TODAY'S news", TIME},
        {"Today\xe2\x80\x99s news", TIME}, /* a curly apostrophe */
        {"who is president now?", TIME},
        {"Is it open right now", TIME},
        {"(now)", TIME},
        {"now\xe2\x80\x94or later", TIME}, /* a dash */
        {"the current\nprice", TIME},
        {"What is the latest version?", TIME},
        {"What's up at  the\tmoment?", TIME},
        {"at the moments", 0},
        {"events this week", TIME},
        {"events This, Week", TIME}, /* signs are gaps */
        {"events last year", TIME},
        {"the next decade", TIME},
        {"this weekday", 0},
        {"this is a week", 0},
        {"a week", 0},
        {"this", 0},
        {"What time is it?", TIME},
        {"What is a time zone?", 0},
        {"two days ago", TIME},
        {"the answer as of 2024", TIME},
        /* ... is in no longer word */
        {"know, snow and known", 0},
        {"currentness and todayish", 0},
        {"now2", 0},
        {"now_or_never", 0},
        {"n\xc3\xb3w", 0},
        {"now\xcc\x81", 0},        /* an accent of its own */
        {"\xd0\xb0now", 0},        /* a letter of another script */
        {"no\xe2\x80\x8bw", TIME}, /* what cannot be seen */
        {"no\xc2\xadw", TIME},
        {"no w", 0},
        /* the person */
        {"I", PERSONAL},
        {"How do I reset it?", PERSONAL},
        {"i'm late", PERSONAL},
        {"I\xe2\x80\x99ve got it", PERSONAL},
        {"tell ME", PERSONAL},
        {"MY order", PERSONAL},
        {"is it mine?", PERSONAL},
        {"can we go", PERSONAL},
        {"help us", PERSONAL},
        {"help Us", PERSONAL},
        {"HELP US", PERSONAL},
        {"the population of the US", 0},
        {"the US helps us", PERSONAL},
        {"USA, U.S.", 0},
        {"ours", PERSONAL},
        {"hours of flour", 0},
        {"army of mice in an inn", 0},
        /* both */
        {"my current plan", BOTH},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_slice text = rm_slice_cstr(cases[i].text);
        if (rm_semantic_marked(text, BOTH) != cases[i].found)
            print_error("%s\n", cases[i].text);
        assert_int_equal(rm_semantic_marked(text, BOTH), cases[i].found);
        assert_int_equal(rm_semantic_marked(text, TIME), cases[i].found & TIME);
        assert_int_equal(rm_semantic_marked(text, PERSONAL), cases[i].found & PERSONAL);
        assert_int_equal(rm_semantic_marked(text, 0), 0);
    }
}

/* No JSON holds such bytes, but a function of a text must stand any. */
static void test_what_is_no_text(void **state)
{
    (void)state;
    assert_int_equal(rm_semantic_marked(RM_SLICE_NONE, BOTH), 0);
    assert_int_equal(rm_semantic_marked(RM_SLICE("a\xff\xfe now \xe2\x80"), BOTH), TIME);
    assert_int_equal(rm_semantic_marked(RM_SLICE("now\0my"), BOTH), BOTH);
    assert_int_equal(rm_semantic_marked(RM_SLICE("\xf4\x90\x80\x80"), BOTH), 0);
}

static void test_the_longest_text(void **state)
{
    char *text = rm_alloc(RM_GUARD_TEXT_BYTES_MAX + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', RM_GUARD_TEXT_BYTES_MAX + 1);
    rm_slice longest = rm_slice_make(text, RM_GUARD_TEXT_BYTES_MAX);
    assert_int_equal(rm_semantic_marked(longest, BOTH), 0);
    memcpy(text + RM_GUARD_TEXT_BYTES_MAX - 4, " now", 4);
    assert_int_equal(rm_semantic_marked(longest, BOTH), TIME);
    longest.len++;
    assert_int_equal(rm_semantic_marked(longest, BOTH), BOTH);
    assert_int_equal(rm_semantic_marked(longest, PERSONAL), PERSONAL);
    rm_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_guard_has_its_word), cmocka_unit_test(test_no_other_word_is_a_guard),
        cmocka_unit_test(test_words_of_a_text),         cmocka_unit_test(test_what_is_no_text),
        cmocka_unit_test(test_the_longest_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
