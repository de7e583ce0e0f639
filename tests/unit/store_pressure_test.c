/* Too much of everything: the byte bound and eviction, the queue's bounds, injected faults, failing allocations. */
#include "store_fixture.h"
#include "store_internal.h"

/* Puts in rounds that wait, so that the queue never refuses. */
static void put_range(fixture *fix, uint64_t from, uint64_t to, size_t bytes)
{
    for (uint64_t i = from; i < to; i++) {
        assert_int_equal(fixture_put(fix, i, bytes), RM_OK);
        if (i % 512 == 511)
            assert_int_equal(rm_store_flush(fix->store), RM_OK);
    }
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
}

static int found_in(fixture *fix, uint64_t from, uint64_t to, size_t bytes)
{
    int count = 0;
    for (uint64_t i = from; i < to; i++)
        count += fixture_find(fix, i, bytes);
    return count;
}

/* ---- eviction ---------------------------------------------------------------------------------------------------- */

static void file_stays_under_its_bound(void **state)
{
    static const size_t sizes[] = {1500, 6000, 40000};
    fixture *fix = *state;
    fixture_reopen_with(fix, 12 * RM_MIB);
    for (size_t i = 0; i < RM_COUNT(sizes); i++) {
        uint64_t count = 16 * RM_MIB / sizes[i];
        put_range(fix, 0, count, sizes[i]);
        rm_store_stats stats = fixture_stats(fix);
        assert_int_equal(stats.bytes_max, 12 * RM_MIB);
        assert_true(stats.file_bytes <= stats.bytes_max);
        assert_true(stats.bytes <= fix->store->bytes_goal);
        assert_true(stats.bytes > fix->store->bytes_goal / 2);
        assert_true(stats.evicted > 0);
        assert_true(stats.dropped_map_full <= stats.puts / 50); /* no run of pages in a row, now and then */
        assert_true(found_in(fix, count - 20, count, sizes[i]) > 10);
    }
}

/* What is used stays, although much more than fits passes by once. */
static void used_entries_survive_a_scan(void **state)
{
    enum { HOT = 200, COLD = 8000 };
    fixture *fix = *state;
    fixture_reopen_with(fix, 6 * RM_MIB);
    put_range(fix, 0, HOT, 1000);
    for (uint64_t i = HOT; i < COLD; i += 500) {
        for (int uses = 0; uses < 2; uses++)
            found_in(fix, 0, HOT, 1000);
        put_range(fix, i, i + 500, 1000);
    }
    assert_true(found_in(fix, 0, HOT, 1000) > HOT * 9 / 10);
    assert_true(fixture_stats(fix).evicted > COLD / 4);
}

static void a_smaller_bound_evicts(void **state)
{
    fixture *fix = *state;
    put_range(fix, 0, 5000, 1000);
    assert_int_equal(fixture_stats(fix).evicted, 0);
    fixture_reopen_with(fix, 4 * RM_MIB);
    put_range(fix, 20000, 20200, 1000);
    while (fixture_stats(fix).bytes > fix->store->bytes_goal)
        usleep(1000);
    assert_int_equal(found_in(fix, 20000, 20200, 1000), 200);
}

static void one_too_large_for_the_map(void **state)
{
    fixture *fix = *state;
    fixture_reopen_with(fix, 4 * RM_MIB);
    put_range(fix, 0, 100, 1000);
    assert_int_equal(fixture_put(fix, 1000, 12 * RM_MIB), RM_OK);
    put_range(fix, 200, 300, 1000);
    rm_store_stats stats = fixture_stats(fix);
    assert_int_equal(stats.dropped_map_full, 1);
    assert_false(stats.failed);
    assert_int_equal(fixture_find(fix, 1000, 12 * RM_MIB), 0);
    assert_int_equal(found_in(fix, 200, 300, 1000), 100);
}

static void readers_bound(void **state)
{
    fixture *fix = *state;
    static rm_store_reader *readers[RM_STORE_READERS_MAX];
    for (size_t i = 0; i + 1 < RM_STORE_READERS_MAX; i++) /* the fixture has one */
        assert_int_equal(rm_store_reader_create(fix->store, &readers[i]), RM_OK);
    rm_store_reader *more = NULL;
    assert_int_equal(rm_store_reader_create(fix->store, &more), RM_EBUSY);
    assert_null(more);
    rm_store_reader_destroy(readers[7]);
    assert_int_equal(rm_store_reader_create(fix->store, &readers[7]), RM_OK);
    for (size_t i = 0; i + 1 < RM_STORE_READERS_MAX; i++)
        rm_store_reader_destroy(readers[i]);
}

/* ---- the queue's bounds ------------------------------------------------------------------------------------------ */

/* Holds LMDB's write lock; returns when the writer has taken a first operation and waits for it. */
static MDB_txn *hold_writer(fixture *fix)
{
    MDB_txn *txn;
    bool taken = false;
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(mdb_txn_begin(fix->store->cache.env, NULL, 0, &txn), 0);
    assert_int_equal(rm_store_delete(fix->store, (rm_key128){1, 1}), RM_OK);
    while (!taken) {
        usleep(100);
        pthread_mutex_lock(&fix->store->lock);
        taken = fix->store->queue_ops == 0;
        pthread_mutex_unlock(&fix->store->lock);
    }
    return txn;
}

static void queue_bounds(void **state)
{
    fixture *fix = *state;
    static char bytes[RM_STORE_RECORD_BYTES_MAX / 2];
    rm_record big = {.key = {1, 1}, .form = RM_RECORD_BODY, .content = {bytes, sizeof(bytes) - sizeof(rm_store__head)}};
    MDB_txn *txn = hold_writer(fix);
    for (size_t i = 0; i < RM_STORE_QUEUE_OPS_MAX; i++)
        assert_int_equal(rm_store_delete(fix->store, (rm_key128){i, 2}), RM_OK);
    assert_int_equal(rm_store_delete(fix->store, (rm_key128){1, 3}), RM_EBUSY);
    assert_int_equal(fixture_stats(fix).dropped_queue_full, 1);
    mdb_txn_abort(txn);
    txn = hold_writer(fix);
    for (size_t i = 0; i < RM_STORE_QUEUE_BYTES_MAX / sizeof(bytes); i++)
        assert_int_equal(rm_store_put(fix->store, &big), RM_OK);
    big.content.len = 0;
    assert_int_equal(rm_store_put(fix->store, &big), RM_EBUSY);
    assert_int_equal(fixture_stats(fix).dropped_queue_full, 2);
    mdb_txn_abort(txn);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(rm_store_put(fix->store, &big), RM_OK);
}

#ifdef REMORA_FAULTS
/* ---- injected faults --------------------------------------------------------------------------------------------- */

static void clear_faults(void)
{
    for (int point = 0; point < RM_FAULT_COUNT; point++)
        rm_fault_set((rm_fault_point)point, 0, false);
}

static void each_fault(void **state)
{
    fixture *fix = *state;
    rm_record got;
    put_range(fix, 0, 10, 100);

    rm_fault_set(RM_FAULT_STORE_READ, 1, false);
    assert_int_equal(rm_store_get(fix->reader, fixture_key(1), &got), RM_EIO);
    assert_int_equal(fixture_stats(fix).read_errors, 1);
    clear_faults();
    assert_int_equal(fixture_find(fix, 1, 100), 1);

    rm_fault_set(RM_FAULT_STORE_QUEUE_FULL, 1, false);
    assert_int_equal(fixture_put(fix, 50, 100), RM_EBUSY);
    clear_faults();

    rm_fault_set(RM_FAULT_STORE_COMMIT, 1, false);
    assert_int_equal(fixture_put(fix, 51, 100), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(fixture_find(fix, 51, 100), 0);
    assert_int_equal(fixture_stats(fix).commit_errors, 1);
    clear_faults();

    rm_fault_set(RM_FAULT_STORE_FULL, 1, false);
    assert_int_equal(fixture_put(fix, 52, 100), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(fixture_find(fix, 52, 100), 0);
    assert_int_equal(fixture_stats(fix).dropped_map_full, 1);
    clear_faults();

    rm_fault_set(RM_FAULT_STORE_FULL, 1, true); /* met once: evicted for, and stored after all */
    assert_int_equal(fixture_put(fix, 53, 100), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(fixture_find(fix, 53, 100), 1);
    clear_faults();

    put_range(fix, 0, 10, 100);
    assert_int_equal(found_in(fix, 0, 10, 100), 10);
    assert_false(fixture_stats(fix).failed);
}

/* ---- failing allocations ----------------------------------------------------------------------------------------- */

/* One life of a store; each call may fail for want of memory, none may do worse. True if all went well. */
static bool one_life(const rm_store_options *options)
{
    static char text[20000];
    memset(text, 'x', sizeof(text));
    rm_store *store;
    rm_store_reader *reader = NULL;
    rm_record got,
        put = {.key = {4, 4}, .form = RM_RECORD_BODY, .canonical = RM_SLICE("q"), .content = {text, sizeof(text)}};
    rm_ledger_row row = {.hour = 3, .requests = 1};
    rm_key128 tenant = {8, 8};
    rm_store_filter filter = {.tenant = &tenant};
    uint64_t count;
    uint8_t secret[32];
    bool fine = rm_store_secret(options->folder, secret) == RM_OK;
    if (rm_store_open(options, &store))
        return false;
    fine &= rm_store_reader_create(store, &reader) == RM_OK;
    fine &= rm_store_put(store, &put) == RM_OK;
    fine &= rm_store_ledger_add(store, &row, 1) == RM_OK;
    fine &= rm_store_flush(store) == RM_OK;
    if (reader) {
        rm_status status = rm_store_get(reader, put.key, &got);
        if (!status) {
            assert_true(rm_slice_eq(got.content, put.content));
            rm_store_release(reader);
        }
        fine &= status == RM_OK;
    }
    fine &= rm_store__sweep_now(store) == RM_OK;
    fine &= rm_store_purge(store, &filter, &count) == RM_OK;
    fine &= rm_store_delete(store, put.key) == RM_OK;
    rm_store_reader_destroy(reader);
    rm_store_close(store);
    return fine;
}

static void each_allocation_fails(void **state)
{
    fixture *fix = *state;
    rm_store_options options = fix->options;
    options.compress = true;
    fixture_close(fix);
    int failed = 0;
    rm_log_set_level(RM_LOG_ERROR);
    for (uint64_t nth = 1; nth <= 60; nth++) {
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        failed += !one_life(&options);
        clear_faults();
    }
    assert_true(failed > 5);
    assert_true(one_life(&options));
    fixture_open(fix);
    assert_int_equal(fixture_count_files(fix, "cache.damaged"), 0);
}

#endif

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(file_stays_under_its_bound),
        TEST(used_entries_survive_a_scan),
        TEST(a_smaller_bound_evicts),
        TEST(one_too_large_for_the_map),
        TEST(readers_bound),
        TEST(queue_bounds),
#ifdef REMORA_FAULTS
        TEST(each_fault),
        TEST(each_allocation_fails),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
