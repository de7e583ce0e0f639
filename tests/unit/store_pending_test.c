/* A record can be read from the moment rm_store_put returns, whatever the writer is at. */
#include "store_fixture.h"

enum { RECORDS = 500, BYTES = 1500 };

static void test_found_at_once(void **state)
{
    fixture *fix = *state;
    for (uint64_t number = 0; number < RECORDS; number++) {
        assert_int_equal(fixture_put(fix, number, BYTES), RM_OK);
        assert_int_equal(fixture_find(fix, number, BYTES), 1);
    }
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    for (uint64_t number = 0; number < RECORDS; number++)
        assert_int_equal(fixture_find(fix, number, BYTES), 1);
}

static void test_the_newest_of_a_key_counts(void **state)
{
    fixture *fix = *state;
    assert_int_equal(fixture_put(fix, 1, 100), RM_OK);
    assert_int_equal(fixture_put(fix, 1, 200), RM_OK);
    assert_int_equal(fixture_find(fix, 1, 200), 1);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(fixture_find(fix, 1, 200), 1);
}

static void test_an_expired_one_is_not_found(void **state)
{
    fixture *fix = *state;
    assert_int_equal(fixture_put(fix, 1, BYTES), RM_OK);
    atomic_fetch_add(&fix->wall_ms, 60001);
    assert_int_equal(fixture_find(fix, 1, BYTES), 0);
}

static void test_purged_or_deleted_it_does_not_come_back(void **state)
{
    fixture *fix = *state;
    rm_store_filter all = {0};
    uint64_t count = 0;
    for (uint64_t number = 0; number < RECORDS; number++)
        assert_int_equal(fixture_put(fix, number, BYTES), RM_OK);
    assert_int_equal(rm_store_purge(fix->store, &all, &count), RM_OK);
    for (uint64_t number = 0; number < RECORDS; number++)
        assert_int_equal(fixture_find(fix, number, BYTES), 0);
    assert_int_equal(fixture_put(fix, 1, BYTES), RM_OK);
    assert_int_equal(rm_store_delete(fix->store, fixture_key(1)), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(fixture_find(fix, 1, BYTES), 0);
}

static void test_a_record_in_hand_outlives_its_commit(void **state)
{
    fixture *fix = *state;
    fixture_texts texts;
    rm_record wanted = fixture_record(7, BYTES, &texts), got;
    assert_int_equal(rm_store_put(fix->store, &wanted), RM_OK);
    assert_int_equal(rm_store_get(fix->reader, wanted.key, &got), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_true(rm_slice_eq(got.content, wanted.content));
    assert_true(rm_slice_eq(got.canonical, wanted.canonical));
    rm_store_release(fix->reader);
    free(texts.content);
}

#ifdef REMORA_FAULTS
static void test_a_refused_write_leaves_nothing(void **state)
{
    fixture *fix = *state;
    rm_fault_set(RM_FAULT_STORE_QUEUE_FULL, 1, false);
    assert_int_equal(fixture_put(fix, 1, BYTES), RM_EBUSY);
    rm_fault_set(RM_FAULT_STORE_QUEUE_FULL, 0, false);
    assert_int_equal(fixture_find(fix, 1, BYTES), 0);
    rm_fault_set(RM_FAULT_STORE_COMMIT, 1, false);
    assert_int_equal(fixture_put(fix, 2, BYTES), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    rm_fault_set(RM_FAULT_STORE_COMMIT, 0, false);
    assert_int_equal(fixture_find(fix, 2, BYTES), 0);
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_found_at_once),
        TEST(test_the_newest_of_a_key_counts),
        TEST(test_an_expired_one_is_not_found),
        TEST(test_purged_or_deleted_it_does_not_come_back),
        TEST(test_a_record_in_hand_outlives_its_commit),
#ifdef REMORA_FAULTS
        TEST(test_a_refused_write_leaves_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
