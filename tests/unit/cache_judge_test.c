/* Judging answers: equal, different, or no label. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "remora/semantic.h"

#define E RM_JUDGED_EQUAL
#define D RM_JUDGED_DIFFERENT
#define U RM_JUDGED_UNKNOWN

static const struct {
    const char *a, *b;
    rm_judgement judged;
} cases[] = {
    /* normal form */
    {"Paris is the capital.", "  paris  is the\ncapital", E},
    {"Paris.", "paris", E},
    {"YES!", "yes", E},
    {"Caf\u00e9 au lait is good", "cafe\u0301 au lait is good", E},
    {"", "", E},
    {"Stra\u00dfe des Lichts", "strasse des lichts", E},
    /* one word: a label, a code, an id */
    {"yes", "no", D},
    {"positive", "The sentiment is positive", D},
    {"aB3x", "Ab3x", D},
    {"order_17", "order_18", D},
    {"", "something", D},
    /* JSON by value */
    {"{\"a\": 1, \"b\": [2, 3]}", "{\"b\":[2,3],\"a\":1.0}", E},
    {"{\"a\": 1, \"b\": 2}", "{\"a\": 1, \"b\": 3}", D},
    {"[1, 2]", "[2, 1]", D},
    {"{\"a\": 1} trailing", "{\"a\": 1} other words", U},
    /* numbers */
    {"It costs 1,000 dollars a year", "The yearly price is 1000 dollars", U},
    {"It costs 1,000 dollars a year", "It costs 2,000 dollars a year", D},
    {"It is 3.5 metres long", "It is 3.6 metres long", D},
    {"It weighs 7 kg", "It weighs some kilograms", D},
    /* what only a reader could tell */
    {"Water boils when it is hot enough", "When it gets hot, water starts to boil", U},
    {"\xff\xfe is no text", "\xff\xfe is no text", E},
    {"\xff\xfe is no text", "\xff\xfd is no text", U},
};

static void judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_semantic_answer a, b;
        assert_int_equal(rm_semantic_read_answer(rm_slice_cstr(cases[i].a), &a), RM_OK);
        assert_int_equal(rm_semantic_read_answer(rm_slice_cstr(cases[i].b), &b), RM_OK);
        if (rm_semantic_judge(&a, &b) != cases[i].judged || rm_semantic_judge(&b, &a) != cases[i].judged)
            fail_msg("\"%s\" and \"%s\"", cases[i].a, cases[i].b);
        assert_int_equal(rm_semantic_judge(&a, &a), RM_JUDGED_EQUAL);
    }
}

#ifdef REMORA_FAULTS
static void no_memory(void **state)
{
    (void)state;
    rm_semantic_answer answer;
    rm_fault_set(RM_FAULT_ALLOC, 1, false);
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("[1, 2, 3]"), &answer), RM_ENOMEM);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("[1, 2, 3]"), &answer), RM_OK);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judged),
#ifdef REMORA_FAULTS
        cmocka_unit_test(no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
