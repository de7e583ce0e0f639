/* Annexes and notes: put, found, gone with their records, bounds, ids, scans, reopening, and an older cache. */
#include "store_annexes.h"

enum { BYTES = 300 };

static void flush(fixture *fix)
{
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
}

static uint64_t last_annex(fixture *fix)
{
    uint64_t id = 12345;
    assert_int_equal(rm_store_last_annex(fix->store, &id), RM_OK);
    return id;
}

static void reopen(fixture *fix)
{
    fixture_close(fix);
    fixture_open(fix);
}

/* A record, its annex and the note of that; committed. */
static void put_all(fixture *fix, uint64_t number, uint64_t id)
{
    assert_int_equal(fixture_put(fix, number, 100), RM_OK);
    assert_int_equal(annexes_put(fix, number, id, BYTES), RM_OK);
    assert_int_equal(annexes_note(fix, (rm_key128){id, 0}, "of it"), RM_OK);
    flush(fix);
    assert_int_equal(annexes_find(fix, number, id, BYTES), 1);
    annexes_check(fix);
}

/* ---- annexes ----------------------------------------------------------------------------------------------------- */

static void queued_committed_reopened(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 1990, 2000, 2010, 4096, 20000, RM_STORE_ANNEX_BYTES_MAX};
    fixture *fix = *state;
    assert_int_equal(last_annex(fix), 0);
    for (size_t i = 0; i < RM_COUNT(sizes); i++) {
        assert_int_equal(annexes_find(fix, i, i + 1, sizes[i]), 0);
        assert_int_equal(fixture_put(fix, i, 100), RM_OK);
        assert_int_equal(annexes_put(fix, i, i + 1, sizes[i]), RM_OK);
        assert_int_equal(annexes_find(fix, i, i + 1, sizes[i]), 1);
    }
    for (int round = 0; round < 2; round++) {
        flush(fix);
        for (size_t i = 0; i < RM_COUNT(sizes); i++)
            assert_int_equal(annexes_find(fix, i, i + 1, sizes[i]), 1);
        annexes_check(fix);
        reopen(fix);
    }
    assert_int_equal(last_annex(fix), RM_COUNT(sizes));
}

static void bounds(void **state)
{
    fixture *fix = *state;
    static char bytes[RM_STORE_ANNEX_BYTES_MAX + 1];
    rm_key128 key = fixture_key(1), record;
    rm_slice got, large = rm_slice_make(bytes, sizeof(bytes));
    assert_int_equal(fixture_put(fix, 1, 100), RM_OK);
    assert_int_equal(annexes_put(fix, 1, 0, BYTES), RM_EINVAL);
    assert_int_equal(annexes_put(fix, 1, UINT64_MAX, BYTES), RM_EINVAL);
    assert_int_equal(rm_store_put_annex(fix->store, key, 1, large), RM_ETOOBIG);
    flush(fix);
    assert_int_equal(rm_store_get_annex(fix->reader, 0, &record, &got), RM_ENOTFOUND);
    assert_int_equal(rm_store_get_annex(fix->reader, 1, &record, &got), RM_ENOTFOUND);
    assert_int_equal(rm_store_get_annex(fix->reader, UINT64_MAX, &record, &got), RM_ENOTFOUND);
    assert_int_equal(annexes_put(fix, 1, UINT64_MAX - 1, BYTES), RM_OK);
    flush(fix);
    assert_int_equal(annexes_find(fix, 1, UINT64_MAX - 1, BYTES), 1);
    reopen(fix);
    assert_int_equal(last_annex(fix), UINT64_MAX - 1);
    assert_int_equal(annexes_find(fix, 1, UINT64_MAX - 1, BYTES), 1);
}

static void nothing_without_its_record(void **state)
{
    fixture *fix = *state;
    assert_int_equal(annexes_put(fix, 1, 7, BYTES), RM_OK);
    assert_int_equal(annexes_note(fix, (rm_key128){7, 0}, "of it"), RM_OK);
    flush(fix);
    assert_int_equal(annexes_find(fix, 1, 7, BYTES), 0);
    assert_int_equal(annexes_notes(fix), 0);
    assert_int_equal(fixture_put(fix, 1, 100), RM_OK);
    assert_int_equal(annexes_put(fix, 1, 6, BYTES), RM_OK); /* another thread's, overtaken */
    flush(fix);
    assert_int_equal(annexes_find(fix, 1, 6, BYTES), 1);
    reopen(fix);
    assert_int_equal(last_annex(fix), 7); /* used up all the same */
    annexes_check(fix);
}

static void in_place_of_another(void **state)
{
    fixture *fix = *state;
    put_all(fix, 1, 1);
    put_all(fix, 1, 2);
    assert_int_equal(annexes_find(fix, 1, 1, BYTES), 0);
    assert_int_equal(annexes_notes(fix), 1);
    assert_int_equal(annexes_put(fix, 1, 2, BYTES + 1), RM_OK); /* the same again */
    flush(fix);
    assert_int_equal(annexes_find(fix, 1, 2, BYTES + 1), 1);
    assert_int_equal(annexes_notes(fix), 0);
    assert_int_equal(fixture_put(fix, 2, 100), RM_OK);
    assert_int_equal(annexes_put(fix, 2, 2, BYTES), RM_OK); /* nobody may; it stays the first one's */
    flush(fix);
    assert_int_equal(annexes_find(fix, 1, 2, BYTES + 1), 1);
    annexes_check(fix);
}

static void purge(fixture *fix, rm_store_filter filter)
{
    uint64_t count;
    assert_int_equal(rm_store_purge(fix->store, &filter, &count), RM_OK);
    assert_int_equal(count, 1);
}

static void goes_with_its_record(void **state)
{
    enum { REPLACE, DELETE, PURGE_KEY, PURGE_TENANT, PURGE_ALL, EXPIRE, WAYS };
    fixture *fix = *state;
    rm_key128 key = fixture_key(1), tenant = {1, 2}, other = {5, 5};
    assert_int_equal(annexes_note(fix, other, "stays"), RM_OK);
    for (int way = 0; way < WAYS; way++) {
        uint64_t id = (uint64_t)way + 1;
        put_all(fix, 1, id);
        assert_int_equal(annexes_notes(fix), 2);
        if (way == REPLACE)
            assert_int_equal(fixture_put(fix, 1, 100), RM_OK);
        if (way == DELETE)
            assert_int_equal(rm_store_delete(fix->store, key), RM_OK);
        if (way == PURGE_KEY)
            purge(fix, (rm_store_filter){.key = &key});
        if (way == PURGE_TENANT)
            purge(fix, (rm_store_filter){.tenant = &tenant});
        if (way == PURGE_ALL)
            purge(fix, (rm_store_filter){.key = NULL});
        if (way == EXPIRE) {
            atomic_store(&fix->wall_ms, FIXTURE_NOW_MS + 62000);
            for (int sweeps = 0; sweeps < 4; sweeps++)
                assert_int_equal(rm_store__sweep_now(fix->store), RM_OK);
        }
        flush(fix);
        assert_int_equal(annexes_find(fix, 1, id, BYTES), 0);
        assert_int_equal(annexes_count(fix, fix->store->links), 0);
        assert_int_equal(annexes_notes(fix), 1);
        assert_true(annexes_has_note(fix, other, RM_SLICE("stays")));
        assert_int_equal(fixture_stats(fix).entries, way == REPLACE);
    }
    reopen(fix);
    assert_int_equal(last_annex(fix), WAYS);
}

/* What is queued when a purge is asked for is not found when it is through. */
static void purge_takes_what_is_queued(void **state)
{
    enum { COUNT = 100 };
    fixture *fix = *state;
    rm_key128 tenant = {1, 2};
    for (uint64_t round = 0; round < 20; round++) {
        uint64_t count, first = round * COUNT + 1;
        rm_store_filter filter = {.tenant = round % 2 ? &tenant : NULL};
        for (uint64_t i = 0; i < COUNT; i++) {
            assert_int_equal(fixture_put(fix, i, 100), RM_OK);
            assert_int_equal(annexes_put(fix, i, first + i, BYTES), RM_OK);
        }
        assert_int_equal(rm_store_purge(fix->store, &filter, &count), RM_OK);
        assert_int_equal(count, COUNT);
        for (uint64_t i = 0; i < COUNT; i++)
            assert_int_equal(annexes_find(fix, i, first + i, BYTES), 0);
        assert_int_equal(annexes_count(fix, fix->store->annexes), 0);
    }
}

static void in_hand_outlives_its_commit(void **state)
{
    fixture *fix = *state;
    rm_key128 record;
    rm_slice got;
    char bytes[BYTES];
    annexes_fill(3, bytes, BYTES);
    assert_int_equal(fixture_put(fix, 1, 100), RM_OK);
    assert_int_equal(annexes_put(fix, 1, 3, BYTES), RM_OK);
    for (int round = 0; round < 2; round++) { /* queued, then committed */
        assert_int_equal(rm_store_get_annex(fix->reader, 3, &record, &got), RM_OK);
        if (round)
            assert_int_equal(rm_store_delete(fix->store, fixture_key(1)), RM_OK);
        flush(fix);
        assert_true(rm_slice_eq(got, rm_slice_make(bytes, BYTES)));
        rm_store_release(fix->reader);
    }
    assert_int_equal(rm_store_get_annex(fix->reader, 3, &record, &got), RM_ENOTFOUND);
}

/* ---- scans ------------------------------------------------------------------------------------------------------- */

static size_t scan(fixture *fix, uint64_t after, size_t count_max, size_t stop_at, uint64_t *ret_last)
{
    annexes_seen seen = {.stop_at = stop_at, .last_id = after};
    *ret_last = 0;
    assert_int_equal(rm_store_scan_annexes(fix->store, after, count_max, annexes_see, &seen, ret_last), RM_OK);
    assert_true(!seen.count || *ret_last == seen.last_id);
    return seen.count;
}

static void scan_by_id(void **state)
{
    enum { COUNT = 500 };
    fixture *fix = *state;
    uint64_t last, seen = 0;
    assert_int_equal(scan(fix, 0, 10, 0, &last), 0);
    assert_int_equal(last, 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(fixture_put(fix, i, 100), RM_OK);
        assert_int_equal(annexes_put(fix, i, 1000 - 2 * i, BYTES), RM_OK); /* not in order */
    }
    flush(fix);
    assert_int_equal(scan(fix, 0, SIZE_MAX, 0, &last), COUNT);
    assert_int_equal(last, 1000);
    for (uint64_t after = 0, found; (found = scan(fix, after, 7, 0, &last)) > 0; after = last)
        seen += found;
    assert_int_equal(seen, COUNT);
    assert_int_equal(last, 1000);
    assert_int_equal(scan(fix, 500, SIZE_MAX, 0, &last), 250);
    assert_int_equal(scan(fix, 501, 1, 0, &last), 1);
    assert_int_equal(last, 502);
    assert_int_equal(scan(fix, 0, SIZE_MAX, 3, &last), 3);
    assert_int_equal(last, 6);
    assert_int_equal(scan(fix, 0, 0, 0, &last), 0);
    assert_int_equal(last, 0);
    assert_int_equal(scan(fix, 1000, 10, 0, &last), 0);
    assert_int_equal(last, 1000);
    assert_int_equal(scan(fix, UINT64_MAX - 1, 10, 0, &last), 0);
    assert_int_equal(scan(fix, UINT64_MAX, 10, 0, &last), 0);
    assert_true(last == UINT64_MAX);
}

/* ---- notes ------------------------------------------------------------------------------------------------------- */

static void notes_by_name(void **state)
{
    fixture *fix = *state;
    annexes_seen seen = {.stop_at = 2};
    rm_store_note notes[] = {{{1, 1}, RM_SLICE("one")}, {{2, 1}, RM_SLICE("two")},  {{0, 9}, RM_SLICE("nine")},
                             {{1, 0}, RM_SLICE("own")}, {{3, 0}, RM_SLICE("none")}, {{2, 1}, RM_SLICE("two again")}};
    put_all(fix, 1, 1);
    assert_int_equal(rm_store_put_notes(fix->store, notes, 0), RM_OK);
    assert_int_equal(rm_store_put_notes(fix->store, notes, RM_COUNT(notes)), RM_OK);
    flush(fix);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(annexes_notes(fix), 4); /* {3, 0} has no annex */
        assert_true(annexes_has_note(fix, notes[0].name, notes[0].bytes));
        assert_true(annexes_has_note(fix, notes[1].name, notes[5].bytes));
        assert_true(annexes_has_note(fix, notes[2].name, notes[2].bytes));
        assert_true(annexes_has_note(fix, notes[3].name, notes[3].bytes));
        reopen(fix);
    }
    assert_int_equal(rm_store_scan_notes(fix->store, annexes_see_note, &seen), RM_OK);
    assert_int_equal(seen.count, 2);
    for (size_t i = 0; i < RM_COUNT(notes); i++)
        notes[i].bytes = rm_slice_make(NULL, 0);
    assert_int_equal(rm_store_put_notes(fix->store, notes, RM_COUNT(notes)), RM_OK);
    flush(fix);
    assert_int_equal(annexes_notes(fix), 0);
    assert_int_equal(annexes_find(fix, 1, 1, BYTES), 1);
}

static void notes_bounds(void **state)
{
    enum { ALL = RM_STORE_BATCH_BYTES_MAX / RM_STORE_ANNEX_BYTES_MAX };
    fixture *fix = *state;
    static char bytes[RM_STORE_ANNEX_BYTES_MAX + 1];
    static rm_store_note notes[ALL];
    notes[0] = (rm_store_note){{1, 1}, rm_slice_make(bytes, sizeof(bytes))};
    assert_int_equal(rm_store_put_notes(fix->store, notes, 1), RM_ETOOBIG);
    for (uint64_t i = 0; i < ALL; i++)
        notes[i] = (rm_store_note){{i, 1}, rm_slice_make(bytes, RM_STORE_ANNEX_BYTES_MAX)};
    assert_int_equal(rm_store_put_notes(fix->store, notes, 1), RM_OK);
    notes[ALL - 1].bytes.len -= (size_t)ALL * RM_STORE_NOTE_OVERHEAD_BYTES;
    notes[ALL - 1].bytes.len++;
    assert_int_equal(rm_store_put_notes(fix->store, notes, ALL), RM_ETOOBIG);
    notes[ALL - 1].bytes.len--;
    assert_int_equal(rm_store_put_notes(fix->store, notes, ALL), RM_OK);
    flush(fix);
    assert_int_equal(annexes_notes(fix), ALL);
    assert_int_equal(fixture_stats(fix).dropped_map_full, 0);
}

/* ---- an older cache ---------------------------------------------------------------------------------------------- */

/* As one that was written before there were annexes: without their databases, and a shorter state. */
static void make_older(fixture *fix)
{
    MDB_txn *txn;
    rm_store *store = fix->store;
    MDB_dbi dbs[] = {store->annexes, store->links, store->annex_notes, store->notes};
    MDB_val value, key = {5, (void *)(uintptr_t) "state"};
    assert_int_equal(rm_store_flush(store), RM_OK);
    assert_int_equal(mdb_txn_begin(store->cache.env, NULL, 0, &txn), 0);
    for (size_t i = 0; i < RM_COUNT(dbs); i++)
        assert_int_equal(mdb_drop(txn, dbs[i], 1), 0);
    assert_int_equal(mdb_get(txn, store->meta, &key, &value), 0);
    rm_store__state state;
    assert_int_equal(value.mv_size, sizeof(state));
    memcpy(&state, value.mv_data, sizeof(state));
    value = (MDB_val){offsetof(rm_store__state, last_annex), &state};
    assert_int_equal(mdb_put(txn, store->meta, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    rm_store_reader_destroy(fix->reader);
    fix->reader = NULL;
    rm_store_close(store);
    fix->store = NULL;
}

static void an_older_cache(void **state)
{
    enum { COUNT = 200 };
    fixture *fix = *state;
    uint64_t last;
    for (uint64_t i = 0; i < COUNT; i++)
        assert_int_equal(fixture_put(fix, i, 1000), RM_OK);
    make_older(fix);
    fix->options.read_only = true;
    fixture_open(fix);
    assert_int_equal(fixture_stats(fix).entries, COUNT);
    assert_true(fixture_stats(fix).bytes > COUNT * 1000);
    assert_int_equal(annexes_find(fix, 1, 1, BYTES), 0);
    assert_int_equal(annexes_notes(fix), 0);
    assert_int_equal(scan(fix, 0, 10, 0, &last), 0);
    assert_int_equal(last_annex(fix), 0);
    fixture_close(fix);
    fix->options.read_only = false;
    fixture_open(fix);
    assert_int_equal(fixture_stats(fix).entries, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(fixture_find(fix, i, 1000), 1);
        assert_int_equal(annexes_put(fix, i, i + 1, BYTES), RM_OK);
    }
    reopen(fix);
    assert_int_equal(last_annex(fix), COUNT);
    annexes_check(fix);
    assert_int_equal(fixture_count_files(fix, "cache.damaged"), 0);
}

/* Full to a bound that is lowered, so that there is no page left for more databases. */
static void an_older_cache_that_is_full(void **state)
{
    fixture *fix = *state;
    for (uint64_t i = 0; i < 8000; i++) {
        assert_int_equal(fixture_put(fix, i, 1000), RM_OK);
        if (i % 1000 == 0)
            flush(fix);
    }
    make_older(fix);
    fix->options.bytes_max = 4 * RM_MIB;
    fixture_open(fix);
    assert_int_equal(fixture_count_files(fix, "cache.damaged"), 0);
    while (fixture_stats(fix).bytes > fix->store->bytes_goal)
        usleep(1000);
    put_all(fix, 100000, 1);
}

/* ---- who only looks ---------------------------------------------------------------------------------------------- */

static void read_only(void **state)
{
    fixture *fix = *state;
    uint64_t last;
    put_all(fix, 1, 5);
    assert_int_equal(annexes_note(fix, (rm_key128){2, 2}, "two"), RM_OK);
    fixture_close(fix);
    fix->options.read_only = true;
    fixture_open(fix);
    assert_int_equal(last_annex(fix), 5);
    assert_int_equal(annexes_find(fix, 1, 5, BYTES), 1);
    assert_int_equal(annexes_notes(fix), 2);
    assert_int_equal(scan(fix, 0, 10, 0, &last), 1);
    assert_int_equal(annexes_put(fix, 1, 6, BYTES), RM_EREFUSED);
    assert_int_equal(annexes_note(fix, (rm_key128){3, 3}, "three"), RM_EREFUSED);
}

static void read_only_nothing_there(void **state)
{
    fixture *fix = *state;
    char path[128];
    uint64_t last;
    fixture_close(fix);
    snprintf(path, sizeof(path), "%s/empty", fix->folder);
    fix->options.folder = path;
    fix->options.read_only = true;
    fixture_open(fix);
    assert_int_equal(last_annex(fix), 0);
    assert_int_equal(annexes_find(fix, 1, 5, BYTES), 0);
    assert_int_equal(annexes_notes(fix), 0);
    assert_int_equal(scan(fix, 3, 10, 0, &last), 0);
    assert_int_equal(last, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(queued_committed_reopened),
        TEST(bounds),
        TEST(nothing_without_its_record),
        TEST(in_place_of_another),
        TEST(goes_with_its_record),
        TEST(purge_takes_what_is_queued),
        TEST(in_hand_outlives_its_commit),
        TEST(scan_by_id),
        TEST(notes_by_name),
        TEST(notes_bounds),
        TEST(an_older_cache),
        TEST(an_older_cache_that_is_full),
        TEST(read_only),
        TEST(read_only_nothing_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
