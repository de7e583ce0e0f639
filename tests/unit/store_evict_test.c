/* The eviction policy alone, against what the paper says of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evict.h"

static rm_key128 key_of(uint64_t number)
{
    return rm_hash128(rm_slice_make((const char *)&number, sizeof(number)));
}

static void use(rm_store__policy *policy, rm_key128 key, int times)
{
    for (int i = 0; i < times; i++)
        rm_store__policy_use(policy, key);
}

static void small_keeps_what_was_used_twice(void **state)
{
    (void)state;
    rm_store__policy policy;
    assert_int_equal(rm_store__policy_init(&policy, 1 << 16), RM_OK);
    for (int uses = 0; uses <= 5; uses++) {
        rm_key128 key = key_of((uint64_t)uses);
        assert_int_equal(rm_store__policy_admit(&policy, key, 100), RM_STORE__SMALL);
        use(&policy, key, uses);
        assert_int_equal(rm_store__policy_judge(&policy, RM_STORE__SMALL, key),
                         uses >= 2 ? RM_STORE__KEEP_IN_MAIN : RM_STORE__EVICT);
        if (uses >= 2) /* its uses were spent on the move */
            assert_int_equal(rm_store__policy_judge(&policy, RM_STORE__MAIN, key), RM_STORE__EVICT);
    }
    rm_store__policy_deinit(&policy);
}

static void main_gives_one_more_round_a_use(void **state)
{
    (void)state;
    rm_store__policy policy;
    assert_int_equal(rm_store__policy_init(&policy, 1 << 16), RM_OK);
    for (int uses = 0; uses <= 10; uses++) {
        rm_key128 key = key_of((uint64_t)uses);
        int rounds = 0;
        use(&policy, key, uses);
        while (rm_store__policy_judge(&policy, RM_STORE__MAIN, key) == RM_STORE__KEEP_IN_MAIN)
            rounds++;
        assert_int_equal(rounds, uses < RM_STORE__USES_MAX ? uses : RM_STORE__USES_MAX);
    }
    rm_store__policy_deinit(&policy);
}

static void ghost_remembers_for_its_window(void **state)
{
    (void)state;
    enum { WINDOW = 100 };
    rm_store__policy policy;
    assert_int_equal(rm_store__policy_init(&policy, 1 << 16), RM_OK);
    for (uint64_t age = 0; age < 2 * WINDOW; age += 13) {
        rm_key128 key = key_of(1000000 + age);
        assert_int_equal(rm_store__policy_judge(&policy, RM_STORE__SMALL, key), RM_STORE__EVICT);
        for (uint64_t i = 0; i < age; i++)
            assert_int_equal(rm_store__policy_judge(&policy, RM_STORE__SMALL, key_of(age * 1000 + i)), RM_STORE__EVICT);
        assert_int_equal(rm_store__policy_admit(&policy, key, WINDOW), age < WINDOW ? RM_STORE__MAIN : RM_STORE__SMALL);
        assert_int_equal(rm_store__policy_admit(&policy, key, WINDOW), RM_STORE__SMALL); /* once only */
    }
    rm_store__policy_deinit(&policy);
}

static void small_is_a_tenth(void **state)
{
    (void)state;
    assert_int_equal(rm_store__policy_choose(0, 0), RM_STORE__SMALL);
    assert_int_equal(rm_store__policy_choose(1, 0), RM_STORE__SMALL);
    assert_int_equal(rm_store__policy_choose(0, 1), RM_STORE__MAIN);
    assert_int_equal(rm_store__policy_choose(100, 900), RM_STORE__MAIN);
    assert_int_equal(rm_store__policy_choose(101, 900), RM_STORE__SMALL);
}

static void sizes_have_ends(void **state)
{
    (void)state;
    static const uint64_t entries[] = {0, 1, 1 << 12, (1 << 12) + 1, UINT64_MAX};
    for (size_t i = 0; i < RM_COUNT(entries); i++) {
        rm_store__policy policy;
        assert_int_equal(rm_store__policy_init(&policy, entries[i]), RM_OK);
        for (uint64_t key = 0; key < 10000; key++) {
            rm_store__policy_use(&policy, key_of(key));
            rm_store__policy_judge(&policy, RM_STORE__SMALL, key_of(key + 5));
            rm_store__policy_admit(&policy, key_of(key), 50);
        }
        rm_store__policy_deinit(&policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_keeps_what_was_used_twice),
        cmocka_unit_test(main_gives_one_more_round_a_use),
        cmocka_unit_test(ghost_remembers_for_its_window),
        cmocka_unit_test(small_is_a_tenth),
        cmocka_unit_test(sizes_have_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
