/* Annexes and notes under too little room, injected faults, failing allocations, and many threads. */
#include "store_annexes.h"

enum { BYTES = 1000 };

static void flush(fixture *fix)
{
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
}

/* ---- eviction ---------------------------------------------------------------------------------------------------- */

/* Each record with an annex and a note; in rounds that wait, so that the queue never refuses. */
static void put_range(fixture *fix, uint64_t from, uint64_t to, size_t bytes)
{
    for (uint64_t i = from; i < to; i++) {
        assert_int_equal(fixture_put(fix, i, 500), RM_OK);
        assert_int_equal(annexes_put(fix, i, i + 1, bytes), RM_OK);
        assert_int_equal(annexes_note(fix, (rm_key128){i + 1, 0}, "of its annex, and some more text of no meaning"),
                         RM_OK);
        if (i % 256 == 255)
            flush(fix);
    }
    flush(fix);
}

static void file_stays_under_its_bound(void **state)
{
    static const size_t sizes[] = {BYTES, 3000, 20000};
    fixture *fix = *state;
    uint64_t from = 0;
    fixture_reopen_with(fix, 8 * RM_MIB);
    for (size_t i = 0; i < RM_COUNT(sizes); i++) {
        uint64_t count = 16 * RM_MIB / (500 + sizes[i]), kept = 0;
        put_range(fix, from, from + count, sizes[i]);
        rm_store_stats stats = fixture_stats(fix);
        assert_true(stats.file_bytes <= stats.bytes_max);
        assert_true(stats.bytes <= fix->store->bytes_goal);
        assert_true(stats.bytes > fix->store->bytes_goal / 2);
        assert_true(stats.evicted > 0);
        assert_true(stats.dropped_map_full <= stats.puts / 50);
        assert_false(stats.failed);
        annexes_check(fix);
        assert_true(annexes_count(fix, fix->store->annexes) <= stats.entries);
        for (uint64_t number = from + count - 20; number < from + count; number++)
            kept += (uint64_t)annexes_find(fix, number, number + 1, sizes[i]);
        assert_true(kept > 10);
        from += count;
    }
}

/* Where there never was an annex, as many writes share a commit as before. */
static void batches_with_annexes_are_shorter(void **state)
{
    fixture *fix = *state;
    assert_int_equal(rm_store__ops_max(fix->store), fix->store->batch_ops_max);
    put_range(fix, 0, 1, BYTES);
    fixture_close(fix); /* the writer's number, read when it is gone */
    fixture_open(fix);
    assert_int_equal(rm_store__ops_max(fix->store), fix->store->annexed_ops_max);
    assert_true(fix->store->annexed_ops_max < fix->store->batch_ops_max);
}

/* More in one commit than there is room for: dropped and counted, and all else goes on. */
static void notes_too_many_for_the_map(void **state)
{
    enum { COUNT = 250 };
    fixture *fix = *state;
    static char bytes[RM_STORE_ANNEX_BYTES_MAX];
    static rm_store_note notes[COUNT];
    fixture_reopen_with(fix, 4 * RM_MIB);
    put_range(fix, 0, 200, BYTES);
    for (uint64_t i = 0; i < COUNT; i++)
        notes[i] = (rm_store_note){{i, 1}, rm_slice_make(bytes, sizeof(bytes))};
    assert_int_equal(rm_store_put_notes(fix->store, notes, COUNT), RM_OK);
    flush(fix);
    assert_int_equal(fixture_stats(fix).dropped_map_full, 1);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_false(annexes_has_note(fix, notes[i].name, notes[i].bytes)); /* all or nothing */
    put_range(fix, 1000, 1100, BYTES);
    assert_int_equal(annexes_find(fix, 1099, 1100, BYTES), 1);
    annexes_check(fix);
    assert_false(fixture_stats(fix).failed);
}

/* Many small notes spread over more pages than a batch's bytes tell. */
static void notes_all_over(void **state)
{
    enum { COUNT = 4000 };
    fixture *fix = *state;
    static rm_store_note notes[COUNT];
    static char text[100];
    fixture_reopen_with(fix, 8 * RM_MIB);
    memset(text, 'n', sizeof(text));
    put_range(fix, 0, 4000, BYTES);
    for (uint64_t i = 0; i < COUNT; i++)
        notes[i] = (rm_store_note){fixture_key(i), rm_slice_make(text, sizeof(text))};
    for (int round = 0; round < 3; round++) {
        text[0] = (char)('0' + round);
        assert_int_equal(rm_store_put_notes(fix->store, notes, COUNT), RM_OK);
        flush(fix);
        assert_true(annexes_has_note(fix, notes[7].name, notes[7].bytes));
        assert_true(annexes_has_note(fix, notes[COUNT - 1].name, notes[COUNT - 1].bytes));
    }
    assert_int_equal(fixture_stats(fix).dropped_map_full, 0);
    annexes_check(fix);
}

#ifdef REMORA_FAULTS
/* ---- injected faults --------------------------------------------------------------------------------------------- */

static void clear_faults(void)
{
    for (int point = 0; point < RM_FAULT_COUNT; point++)
        rm_fault_set((rm_fault_point)point, 0, false);
}

static void reads_fail(void **state)
{
    fixture *fix = *state;
    rm_key128 record;
    rm_slice bytes;
    annexes_seen seen = {.count = 0};
    uint64_t last = 77;
    put_range(fix, 0, 10, BYTES);
    rm_fault_set(RM_FAULT_STORE_READ, 1, false);
    assert_int_equal(rm_store_get_annex(fix->reader, 1, &record, &bytes), RM_EIO);
    assert_int_equal(rm_store_scan_annexes(fix->store, 0, 10, annexes_see, &seen, &last), RM_EIO);
    assert_int_equal(last, 77);
    assert_int_equal(rm_store_scan_notes(fix->store, annexes_see_note, &seen), RM_EIO);
    assert_int_equal(fixture_stats(fix).read_errors, 3);
    clear_faults();
    rm_fault_set(RM_FAULT_STORE_READ, 2, true); /* between the two databases of notes */
    assert_int_equal(rm_store_scan_notes(fix->store, annexes_see_note, &seen), RM_EIO);
    assert_int_equal(seen.count, 10);
    clear_faults();
    assert_int_equal(annexes_find(fix, 0, 1, BYTES), 1);
    assert_int_equal(annexes_notes(fix), 10);
}

static void writes_fail(void **state)
{
    fixture *fix = *state;
    rm_key128 name = {1, 1};
    put_range(fix, 0, 10, BYTES);

    rm_fault_set(RM_FAULT_STORE_QUEUE_FULL, 1, false);
    assert_int_equal(annexes_put(fix, 1, 50, BYTES), RM_EBUSY);
    assert_int_equal(annexes_note(fix, name, "x"), RM_EBUSY);
    clear_faults();
    assert_int_equal(annexes_find(fix, 1, 50, BYTES), 0);
    assert_int_equal(fixture_stats(fix).dropped_queue_full, 2);

    for (int full = 0; full < 2; full++) {
        rm_fault_set(full ? RM_FAULT_STORE_FULL : RM_FAULT_STORE_COMMIT, 1, false);
        assert_int_equal(annexes_put(fix, 1, 51, BYTES), RM_OK);
        assert_int_equal(annexes_note(fix, name, "x"), RM_OK);
        flush(fix);
        clear_faults();
        assert_int_equal(annexes_find(fix, 1, 51, BYTES), 0);
        assert_int_equal(annexes_find(fix, 1, 2, BYTES), 1); /* the one before */
        assert_int_equal(annexes_notes(fix), 10);
    }
    assert_int_equal(fixture_stats(fix).commit_errors, 2);
    assert_int_equal(fixture_stats(fix).dropped_map_full, 2);

    rm_fault_set(RM_FAULT_STORE_FULL, 1, true); /* met once: evicted for, and stored after all */
    assert_int_equal(fixture_put(fix, 60, 100), RM_OK);
    assert_int_equal(annexes_put(fix, 60, 61, BYTES), RM_OK);
    assert_int_equal(annexes_note(fix, name, "x"), RM_OK);
    flush(fix);
    clear_faults();
    assert_int_equal(annexes_find(fix, 60, 61, BYTES), 1);
    assert_true(annexes_has_note(fix, name, RM_SLICE("x")));
    annexes_check(fix);
    assert_false(fixture_stats(fix).failed);
}

/* ---- failing allocations ----------------------------------------------------------------------------------------- */

/* One life of a store; each call may fail for want of memory, none may do worse. True if all went well. */
static bool one_life(fixture *fix)
{
    rm_key128 tenant = {8, 8};
    rm_store_filter filter = {.tenant = &tenant};
    rm_store_note notes[] = {{{1, 0}, RM_SLICE("a")}, {{1, 1}, RM_SLICE("b")}};
    annexes_seen seen = {.count = 0};
    uint64_t count, last;
    if (rm_store_open(&fix->options, &fix->store))
        return false;
    bool fine = rm_store_reader_create(fix->store, &fix->reader) == RM_OK;
    fine &= fixture_put(fix, 1, 100) == RM_OK;
    fine &= annexes_put(fix, 1, 1, BYTES) == RM_OK;
    fine &= rm_store_put_notes(fix->store, notes, RM_COUNT(notes)) == RM_OK;
    if (fix->reader)
        annexes_find(fix, 1, 1, BYTES);
    fine &= rm_store_flush(fix->store) == RM_OK;
    if (fix->reader)
        fine &= annexes_find(fix, 1, 1, BYTES) == 1;
    fine &= rm_store_scan_annexes(fix->store, 0, 10, annexes_see, &seen, &last) == RM_OK;
    fine &= rm_store_scan_notes(fix->store, annexes_see_note, &seen) == RM_OK;
    fine &= rm_store_purge(fix->store, &filter, &count) == RM_OK;
    fine &= rm_store_delete(fix->store, fixture_key(1)) == RM_OK;
    fine &= rm_store_flush(fix->store) == RM_OK;
    annexes_check(fix);
    fixture_close(fix);
    return fine;
}

static void each_allocation_fails(void **state)
{
    fixture *fix = *state;
    int failed = 0;
    fixture_close(fix);
    for (uint64_t nth = 1; nth <= 60; nth++) {
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        failed += !one_life(fix);
        clear_faults();
    }
    assert_true(failed > 5);
    assert_true(one_life(fix));
    fixture_open(fix);
    assert_int_equal(fixture_count_files(fix, "cache.damaged"), 0);
}
#endif

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { KEYS = 100, ROUNDS = 1500, THREADS = 3 };

typedef struct worker {
    fixture *fix;
    pthread_t thread;
    _Atomic uint64_t *next_id;
    uint64_t seed;
    size_t found, wrong;
    _Atomic bool *stop;
} worker;

static void *write_some(void *user)
{
    worker *self = user;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t number = (i * 7 + self->seed) % KEYS, id = atomic_fetch_add(self->next_id, 1) + 1;
        rm_status status = fixture_put(self->fix, number, 200);
        status = status ? status : annexes_put(self->fix, number, id, BYTES);
        status = status ? status : annexes_note(self->fix, (rm_key128){id, 0}, "of it");
        status = status ? status : annexes_note(self->fix, (rm_key128){number, 1}, "by name");
        if (i % 31 == 0)
            status = status ? status : rm_store_delete(self->fix->store, fixture_key(number));
        self->wrong += status != RM_OK && status != RM_EBUSY;
    }
    return NULL;
}

static void *read_some(void *user)
{
    worker *self = user;
    rm_store_reader *reader;
    rm_rng rng;
    char bytes[BYTES];
    rm_rng_seed(&rng, self->seed);
    if (rm_store_reader_create(self->fix->store, &reader))
        return NULL;
    while (!atomic_load(self->stop)) {
        rm_key128 record;
        rm_slice got;
        uint64_t last = atomic_load(self->next_id), id = last - rm_rng_next(&rng) % KEYS;
        if (id > last || rm_store_get_annex(reader, id, &record, &got))
            continue;
        annexes_fill(id, bytes, sizeof(bytes));
        self->found++;
        self->wrong += !rm_slice_eq(got, rm_slice_make(bytes, sizeof(bytes)));
        rm_store_release(reader);
    }
    rm_store_reader_destroy(reader);
    return NULL;
}

static void *scan_some(void *user)
{
    worker *self = user;
    while (!atomic_load(self->stop)) {
        annexes_seen seen = {.count = 0};
        uint64_t last;
        self->wrong += rm_store_scan_annexes(self->fix->store, 0, 50, annexes_see, &seen, &last) != RM_OK;
        self->wrong += rm_store_scan_notes(self->fix->store, annexes_see_note, &seen) != RM_OK;
        self->found += seen.count;
    }
    return NULL;
}

static void many_threads(void **state)
{
    static void *(*const jobs[])(void *) = {write_some, read_some, scan_some};
    enum { WORKERS = THREADS * RM_COUNT(jobs) };
    fixture *fix = *state;
    _Atomic uint64_t next_id = 0;
    _Atomic bool stop = false;
    worker workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.fix = fix, .next_id = &next_id, .seed = i, .stop = &stop};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, jobs[i / THREADS], &workers[i]), 0);
    }
    for (int i = 0; i < 10; i++) {
        uint64_t count;
        rm_key128 key = fixture_key((uint64_t)i), tenant = {1, 2};
        rm_store_filter filter = i % 3 ? (rm_store_filter){.key = &key} : (rm_store_filter){.tenant = &tenant};
        assert_int_equal(rm_store_purge(fix->store, &filter, &count), RM_OK);
    }
    size_t found = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        if (i == THREADS)
            atomic_store(&stop, true); /* all is written */
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
        found += workers[i].found;
    }
    flush(fix);
    annexes_check(fix);
    assert_true(found > 0);
    assert_int_equal(fixture_stats(fix).corrupt, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(file_stays_under_its_bound),
        TEST(batches_with_annexes_are_shorter),
        TEST(notes_too_many_for_the_map),
        TEST(notes_all_over),
#ifdef REMORA_FAULTS
        TEST(reads_fail),
        TEST(writes_fail),
        TEST(each_allocation_fails),
#endif
        TEST(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
