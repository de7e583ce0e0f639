/* More than one process: the lock, who only looks, and a writer that is killed at any moment. */
#include "store_annexes.h"

#include <signal.h>
#include <sys/wait.h>

static int setup(void **state)
{
    fixture *fix = malloc(sizeof(*fix));
    assert_non_null(fix);
    fixture_init(fix);
    *state = fix;
    return 0;
}

static void second_writer_is_locked_out(void **state)
{
    fixture *fix = *state;
    rm_store *second = NULL;
    fixture_open(fix);
    assert_int_equal(rm_store_open(&fix->options, &second), RM_ELOCKED);
    assert_null(second);
    fixture_close(fix);
    fixture_open(fix);
}

static void looking_at_nothing(void **state)
{
    fixture *fix = *state;
    rm_store_stats stats;
    rm_record got;
    fix->options.read_only = true;
    fixture_open(fix);
    assert_int_equal(rm_store_get(fix->reader, fixture_key(1), &got), RM_ENOTFOUND);
    stats = fixture_stats(fix);
    assert_int_equal(stats.entries, 0);
    assert_false(stats.failed);
    assert_int_equal(rm_store_ledger_scan(fix->store, 0, NULL, NULL), RM_OK);
    assert_int_equal(fixture_count_files(fix, "cache"), 0); /* and makes nothing */
    assert_int_equal(fixture_count_files(fix, "lock"), 0);
}

/* One byte from the other process: it has got so far. */
static void await(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
}

static void tell(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

/* A writer that puts even numbers, says so, puts odd ones when asked, and leaves when asked. */
static _Noreturn void writing_child(fixture *fix, int in, int out)
{
    fixture_open(fix);
    for (uint64_t i = 0; i < 100; i += 2)
        assert_int_equal(fixture_put(fix, i, 700), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    tell(out);
    await(in);
    for (uint64_t i = 1; i < 100; i += 2)
        assert_int_equal(fixture_put(fix, i, 700), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    tell(out);
    await(in);
    fixture_close(fix);
    _exit(0);
}

static int found(fixture *fix)
{
    int count = 0;
    for (uint64_t i = 0; i < 100; i++)
        count += fixture_find(fix, i, 700);
    return count;
}

static void looking_beside_a_writer(void **state)
{
    fixture *fix = *state;
    int to[2], from[2], status;
    uint64_t count;
    rm_store *second = NULL;
    rm_store_filter all = {.key = NULL};
    assert_int_equal(pipe(to) | pipe(from), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        writing_child(fix, to[0], from[1]);
    await(from[0]);
    assert_int_equal(rm_store_open(&fix->options, &second), RM_ELOCKED);
    fix->options.read_only = true;
    fixture_open(fix);
    assert_int_equal(found(fix), 50);
    assert_int_equal(fixture_stats(fix).entries, 50);
    assert_int_equal(fixture_put(fix, 1, 10), RM_EREFUSED);
    assert_int_equal(rm_store_delete(fix->store, fixture_key(1)), RM_EREFUSED);
    assert_int_equal(rm_store_purge(fix->store, &all, &count), RM_EREFUSED);
    assert_int_equal(rm_store_flush(fix->store), RM_EREFUSED);
    rm_ledger_row row = {.hour = 1};
    assert_int_equal(rm_store_ledger_add(fix->store, &row, 1), RM_EREFUSED);
    tell(to[1]);
    await(from[0]);
    assert_int_equal(found(fix), 100);
    assert_int_equal(fixture_stats(fix).entries, 100);
    tell(to[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        close(to[i]);
        close(from[i]);
    }
}

/* ---- killed ------------------------------------------------------------------------------------------------------ */

enum { KILLS = 20, KEYS = 2000, ANNEX_BYTES = 300 };

static size_t bytes_of(uint64_t number)
{
    return 100 + number % 13 * 400;
}

/* Puts with annexes and notes, replaces, deletes and purges until it is killed. */
static _Noreturn void killed_child(fixture *fix, int round, int out)
{
    rm_rng rng;
    rm_key128 key;
    uint64_t count, id;
    rm_store_filter filter = {.key = &key};
    rm_rng_seed(&rng, (uint64_t)round);
    if (rm_store_open(&fix->options, &fix->store) || rm_store_last_annex(fix->store, &id))
        _exit(1);
    tell(out);
    for (uint64_t i = 0;; i++) {
        uint64_t number = rm_rng_next(&rng) % KEYS;
        rm_status status = fixture_put(fix, number, bytes_of(number));
        status = status ? status : annexes_put(fix, number, ++id, ANNEX_BYTES);
        status = status ? status : annexes_note(fix, (rm_key128){id, 0}, "of it");
        if (status == RM_EBUSY)
            usleep(1000);
        key = fixture_key(rm_rng_next(&rng) % KEYS);
        if (i % 50 == 0)
            status = rm_store_delete(fix->store, key);
        if (i % 500 == 0)
            status = rm_store_purge(fix->store, &filter, &count);
    }
}

static bool annex_is_right(uint64_t id, rm_key128 record, rm_slice bytes, void *user)
{
    char wanted[ANNEX_BYTES];
    (void)record;
    annexes_fill(id, wanted, sizeof(wanted));
    assert_true(rm_slice_eq(bytes, rm_slice_make(wanted, sizeof(wanted))));
    assert_true(id <= *(uint64_t *)user);
    return true;
}

/* Of one commit all or nothing: no annex without its record, no id that could be used again. */
static void check_annexes(fixture *fix, uint64_t *last_id)
{
    uint64_t id, looked;
    annexes_check(fix);
    assert_int_equal(rm_store_last_annex(fix->store, &id), RM_OK);
    assert_true(id >= *last_id);
    *last_id = id;
    assert_int_equal(rm_store_scan_annexes(fix->store, 0, SIZE_MAX, annex_is_right, &id, &looked), RM_OK);
}

static void killed_at_random(void **state)
{
    fixture *fix = *state;
    rm_rng rng;
    uint64_t last_id = 0;
    int most = 0;
    rm_rng_seed(&rng, 7);
    fix->options.bytes_max = 4 * RM_MIB; /* so that it evicts, too */
    fix->options.compress = true;
    for (int round = 0; round < KILLS; round++) {
        int ready[2], status, count = 0;
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child)
            killed_child(fix, round, ready[1]);
        await(ready[0]);
        usleep((useconds_t)(rm_rng_next(&rng) % 120000));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        close(ready[0]);
        close(ready[1]);
        fixture_open(fix);
        for (uint64_t i = 0; i < KEYS; i++)
            count += fixture_find(fix, i, bytes_of(i)); /* each byte compared */
        check_annexes(fix, &last_id);
        rm_store_stats stats = fixture_stats(fix);
        assert_int_equal(stats.corrupt, 0);
        assert_true(stats.entries <= (uint64_t)count); /* evicted since, at most */
        assert_int_equal(fixture_count_files(fix, "cache.damaged"), 0);
        most = count > most ? count : most;
        fixture_close(fix);
    }
    assert_true(most > 0 && last_id > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(second_writer_is_locked_out),
        TEST(looking_at_nothing),
        TEST(looking_beside_a_writer),
        TEST(killed_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
