/* Damage of every kind: a damaged record is a miss, a damaged environment is set aside, and nothing is ever wrong. */
#include "store_damage.h"
#include "store_internal.h"

#include <sys/stat.h>
#include <sys/wait.h>

enum { RECORDS = 600, RECORD_BYTES = 900 };

static void fill(fixture *fix)
{
    for (uint64_t i = 0; i < RECORDS; i++)
        assert_int_equal(fixture_put(fix, i, RECORD_BYTES + i % 7 * 500), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
}

/* How many are found; each that is, is right (fixture_find checks). Damaged ones count as not found. */
static size_t found(fixture *fix)
{
    size_t count = 0;
    for (uint64_t i = 0; i < RECORDS; i++) {
        rm_record got;
        rm_status status = rm_store_get(fix->reader, fixture_key(i), &got);
        if (status)
            continue;
        rm_store_release(fix->reader);
        count += fixture_find(fix, i, RECORD_BYTES + i % 7 * 500);
    }
    return count;
}

static void quiet(void)
{
    rm_log_set_level(RM_LOG_ERROR);
}

/* ---- one record -------------------------------------------------------------------------------------------------- */

static void each_byte_of_a_record(void **state)
{
    (void)state;
    fixture_texts texts;
    rm_record got, put = fixture_record(1, 300, &texts);
    rm_store__packer packer = {0};
    size_t bytes;
    assert_int_equal(rm_store__record_bytes(&put, &bytes), RM_OK);
    char *image = malloc(bytes);
    assert_non_null(image);
    rm_store__record_write(&put, image);
    rm_store__record_seal(image, bytes, 42);
    rm_slice value = rm_slice_make(image, bytes);
    assert_int_equal(rm_store__record_read(value, put.key, &packer, &got), RM_OK);
    for (size_t at = 0; at < bytes; at++)
        for (int bit = 0; bit < 8; bit++) {
            image[at] = (char)(image[at] ^ (1 << bit));
            rm_status status = rm_store__record_read(value, put.key, &packer, &got);
            assert_true(status == RM_ECORRUPT || status == RM_EPARSE);
            image[at] = (char)(image[at] ^ (1 << bit));
        }
    for (size_t len = 0; len < bytes; len++)
        assert_int_equal(rm_store__record_read(rm_slice_make(image, len), put.key, &packer, &got), RM_EPARSE);
    assert_int_equal(rm_store__record_read(value, (rm_key128){1, 1}, &packer, &got), RM_EPARSE);
    rm_store__packer_deinit(&packer);
    free(image);
    free(texts.content);
}

/* The same in the file, while it is served from. */
static void flipped_in_the_file(void **state)
{
    fixture *fix = *state;
    fixture_texts texts;
    struct stat file;
    fill(fix);
    rm_record got, put = fixture_record(33, RECORD_BYTES, &texts);
    int fd = damage_open_data(fix);
    assert_int_equal(fstat(fd, &file), 0);
    char *all = malloc((size_t)file.st_size);
    assert_non_null(all);
    assert_int_equal(pread(fd, all, (size_t)file.st_size, 0), file.st_size);
    rm_slice rest = rm_slice_make(all, (size_t)file.st_size), needle = put.canonical;
    for (const char *at; (at = rm_slice_find(rest, needle)) != NULL;) { /* older copies too */
        char byte = 'C';
        assert_int_equal(pwrite(fd, &byte, 1, at - all), 1);
        rest = rm_slice_make(at + needle.len, (size_t)(rest.ptr + rest.len - at) - needle.len);
    }
    assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_ECORRUPT);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_ENOTFOUND);
    rm_store_stats stats = fixture_stats(fix);
    assert_int_equal(stats.corrupt, 1);
    assert_int_equal(stats.entries, RECORDS - 1);
    assert_false(stats.failed);
    assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_OK);
    rm_store_release(fix->reader);
    close(fd);
    free(all);
    free(texts.content);
}

/* ---- the whole environment --------------------------------------------------------------------------------------- */

static void cut_file_is_set_aside(void **state)
{
    static const double parts[] = {0.00001, 0.01, 0.3, 0.9};
    fixture *fix = *state;
    quiet();
    for (size_t i = 0; i < RM_COUNT(parts); i++) {
        fill(fix);
        uint64_t bytes = fixture_stats(fix).file_bytes;
        int fd = damage_open_data(fix);
        fixture_close(fix);
        assert_int_equal(ftruncate(fd, (off_t)((double)bytes * parts[i])), 0);
        close(fd);
        fixture_open(fix);
        assert_int_equal(fixture_stats(fix).entries, 0);
        assert_int_equal(found(fix), 0);
        assert_int_equal(fixture_count_files(fix, "cache.damaged-"), 1); /* the newest only */
    }
    fill(fix);
    assert_int_equal(found(fix), RECORDS);
}

static void noise_is_set_aside(void **state)
{
    fixture *fix = *state;
    quiet();
    fill(fix);
    int fd = damage_open_data(fix);
    fixture_close(fix);
    char noise[8192];
    memset(noise, 0xa5, sizeof(noise));
    assert_int_equal(pwrite(fd, noise, sizeof(noise), 0), sizeof(noise));
    close(fd);
    fixture_open(fix);
    assert_int_equal(fixture_stats(fix).entries, 0);
    assert_int_equal(fixture_count_files(fix, "cache.damaged-"), 1);
}

static rm_status step_break_state(rm_store *store, MDB_txn *txn, void *user)
{
    MDB_val key = {5, (void *)(uintptr_t) "state"};
    rm_store__state state = store->state;
    MDB_val value = {sizeof(state), &state};
    int rc = 0;
    switch (*(int *)user) {
    case 0:
        rc = mdb_del(txn, store->meta, &key, NULL);
        break;
    case 1:
        state.format++;
        rc = mdb_put(txn, store->meta, &key, &value, 0);
        break;
    case 2:
        state.next_sequence = 1;
        rc = mdb_put(txn, store->meta, &key, &value, 0);
        break;
    case 3:
        value.mv_size--;
        rc = mdb_put(txn, store->meta, &key, &value, 0);
        break;
    }
    return rm_store__status_of(rc);
}

static void state_that_does_not_fit(void **state)
{
    fixture *fix = *state;
    quiet();
    for (int how = 0; how < 4; how++) {
        MDB_txn *txn;
        fill(fix);
        assert_int_equal(mdb_txn_begin(fix->store->cache.env, NULL, 0, &txn), 0);
        assert_int_equal(step_break_state(fix->store, txn, &how), RM_OK);
        assert_int_equal(mdb_txn_commit(txn), 0);
        fixture_close(fix);
        fixture_open(fix);
        assert_int_equal(fixture_stats(fix).entries, 0);
        assert_int_equal(fixture_count_files(fix, "cache.damaged-"), 1);
    }
}

/* Whatever lies in the tree: every answer is right or a miss, and looking never crashes. (Who writes as well gives the
 * cache up at the first value whose lengths do not add up.) */
static void pages_of_noise(void **state)
{
    damage_seen seen = damage_rounds(*state, 60, 99, fill, found);
    assert_true(seen.failures > 0 && seen.found > 0);
}

static void tree_damage_ends_the_cache(void **state)
{
    fixture *fix = *state;
    rm_record got;
    rm_key128 key = {5, 5};
    char bytes[200] = {0};
    MDB_txn *txn;
    MDB_val name = {sizeof(key), &key}, value = {sizeof(bytes), bytes};
    for (int how = 0; how < 2; how++) {
        fill(fix);
        assert_int_equal(mdb_txn_begin(fix->store->cache.env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_put(txn, fix->store->records, &name, &value, 0), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
        if (how == 0) {
            assert_int_equal(rm_store_get(fix->reader, key, &got), RM_EIO);
        } else {
            rm_record put = {.key = key, .form = RM_RECORD_BODY};
            assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
            assert_int_equal(rm_store_flush(fix->store), RM_EIO);
        }
        assert_true(fixture_stats(fix).failed);
        fixture_close(fix);
        fixture_open(fix);
        assert_int_equal(fixture_stats(fix).entries, 0);
    }
}

/* ---- breaking at run time ---------------------------------------------------------------------------------------- */

static void failed_store_misses(void **state)
{
    fixture *fix = *state;
    rm_record got;
    rm_store_filter all = {.key = NULL};
    rm_ledger_row row = {.hour = 1, .requests = 1};
    uint64_t count = 7;
    fill(fix);
    rm_store__fail(fix->store, "test", RM_ECORRUPT);
    assert_true(fixture_stats(fix).failed);
    assert_int_equal(rm_store_get(fix->reader, fixture_key(1), &got), RM_EIO);
    assert_int_equal(fixture_put(fix, 1, 10), RM_EIO);
    assert_int_equal(rm_store_delete(fix->store, fixture_key(1)), RM_OK); /* dropped */
    assert_int_equal(rm_store_flush(fix->store), RM_EIO);
    assert_int_equal(rm_store_purge(fix->store, &all, &count), RM_EIO);
    assert_int_equal(count, 7);
    assert_int_equal(rm_store_ledger_add(fix->store, &row, 1), RM_OK); /* the journal goes on */
    assert_int_equal(rm_store__sweep_now(fix->store), RM_EIO);
    fixture_close(fix);
    fixture_open(fix);
    assert_false(fixture_stats(fix).failed);
    assert_int_equal(fixture_stats(fix).entries, 0);
    assert_int_equal(fixture_count_files(fix, "cache.damaged-"), 1);
    fill(fix);
    assert_int_equal(found(fix), RECORDS);
}

/* Pages that are no longer there: a lookup is a miss, a write ends the process and the next start sets the cache aside. */
static void memory_faults(void **state)
{
    fixture *fix = *state;
    int status;
    damage_free_signals();
    fixture_close(fix);
    for (int writes = 0; writes < 2; writes++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            rm_record got;
            fixture_open(fix);
            fill(fix);
            int fd = damage_open_data(fix);
            if (ftruncate(fd, 8192))
                _exit(2);
            if (writes)
                _exit(fixture_put(fix, 1, 10) || rm_store_flush(fix->store) ? 3 : 4);
            _exit(rm_store_get(fix->reader, fixture_key(1), &got) == RM_EIO && fixture_stats(fix).failed ? 0 : 5);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (writes)
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
        else
            assert_int_equal(status, 0);
        fixture_open(fix);
        assert_int_equal(fixture_stats(fix).entries, 0);
        assert_int_equal(fixture_count_files(fix, "cache.damaged-"), 1);
        fixture_close(fix);
    }
    fixture_open(fix);
}

static void journal_damage_is_kept(void **state)
{
    fixture *fix = *state;
    char path[128];
    fixture_close(fix);
    snprintf(path, sizeof(path), "%s/journal/data.mdb", fix->folder);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(truncate(path, 5000), 0);
        fixture_open(fix);
        fixture_close(fix);
        assert_int_equal(fixture_count_files(fix, "journal.damaged-"), i); /* never thrown away */
    }
    fixture_open(fix);
}

static void unusable_folder(void **state)
{
    fixture *fix = *state;
    rm_store *store = NULL;
    rm_store_options options = fix->options;
    options.folder = "/proc/no/such/folder";
    assert_int_equal(rm_store_open(&options, &store), RM_EIO);
    assert_null(store);
    uint8_t secret[32];
    assert_int_equal(rm_store_secret(options.folder, secret), RM_EIO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_byte_of_a_record),      TEST(flipped_in_the_file),     TEST(cut_file_is_set_aside),
        TEST(noise_is_set_aside),         TEST(state_that_does_not_fit), TEST(pages_of_noise),
        TEST(tree_damage_ends_the_cache), TEST(failed_store_misses),     TEST(memory_faults),
        TEST(journal_damage_is_kept),     TEST(unusable_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
