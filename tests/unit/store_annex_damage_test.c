/* Damage to annexes, links and notes: what is damaged is left out, what may be wrong ends the cache. */
#include "store_annexes.h"
#include "store_damage.h"

#include <sys/stat.h>

enum { RECORDS = 300, BYTES = 700 };

static void flush(fixture *fix)
{
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
}

/* Number i has annex i + 1, with a note, and there are as many notes by name. */
static void fill(fixture *fix)
{
    for (uint64_t i = 0; i < RECORDS; i++) {
        char text[64];
        snprintf(text, sizeof(text), "what is noted of number %llu", (unsigned long long)i);
        assert_int_equal(fixture_put(fix, i, 200), RM_OK);
        assert_int_equal(annexes_put(fix, i, i + 1, BYTES), RM_OK);
        assert_int_equal(annexes_note(fix, (rm_key128){i + 1, 0}, text), RM_OK);
        assert_int_equal(annexes_note(fix, (rm_key128){i + 1, 1}, text), RM_OK);
    }
    flush(fix);
}

/* One bit of the last byte, wherever these bytes lie in the file; older copies too. */
static void flip(fixture *fix, rm_slice needle)
{
    struct stat file;
    int fd = damage_open_data(fix), flips = 0;
    assert_int_equal(fstat(fd, &file), 0);
    char *all = malloc((size_t)file.st_size);
    assert_non_null(all);
    assert_int_equal(pread(fd, all, (size_t)file.st_size, 0), file.st_size);
    rm_slice rest = rm_slice_make(all, (size_t)file.st_size);
    for (const char *at; (at = rm_slice_find(rest, needle)) != NULL; flips++) {
        const char *last = at + needle.len - 1;
        char byte = (char)(*last ^ 4);
        assert_int_equal(pwrite(fd, &byte, 1, last - all), 1);
        rest = rm_slice_make(last, (size_t)(rest.ptr + rest.len - last));
    }
    assert_true(flips > 0);
    close(fd);
    free(all);
}

static void flip_annex(fixture *fix, uint64_t id)
{
    char bytes[BYTES];
    annexes_fill(id, bytes, sizeof(bytes));
    flip(fix, rm_slice_make(bytes, sizeof(bytes)));
}

static size_t scan(fixture *fix)
{
    uint64_t last;
    annexes_seen seen = {.count = 0};
    assert_int_equal(rm_store_scan_annexes(fix->store, 0, SIZE_MAX, annexes_see, &seen, &last), RM_OK);
    return seen.count;
}

/* ---- one value --------------------------------------------------------------------------------------------------- */

static void each_bit_of_a_value(void **state)
{
    (void)state;
    for (int kind = RM_STORE__SEALED_ANNEX; kind <= RM_STORE__SEALED_NOTE; kind++) {
        char bytes[40], image[200];
        annexes_fill(3, bytes, sizeof(bytes));
        rm_store__leaf leaf = {.name = {3, 0}, .record = {8, 9}, .bytes = {bytes, sizeof(bytes)}}, got;
        size_t len = rm_store__sealed_bytes(kind, sizeof(bytes)), least = rm_store__sealed_bytes(kind, 0);
        assert_true(len <= sizeof(image));
        rm_store__seal_write(kind, &leaf, image);
        rm_slice value = rm_slice_make(image, len);
        assert_int_equal(rm_store__unseal(kind, leaf.name, value, &got), RM_OK);
        assert_true(rm_slice_eq(got.bytes, leaf.bytes));
        for (size_t bit = 0; bit < 8 * len; bit++) {
            image[bit / 8] = (char)(image[bit / 8] ^ (1 << bit % 8));
            assert_int_equal(rm_store__unseal(kind, leaf.name, value, &got), RM_ECORRUPT);
            image[bit / 8] = (char)(image[bit / 8] ^ (1 << bit % 8));
        }
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(rm_store__unseal(kind, leaf.name, rm_slice_make(image, cut), &got),
                             cut < least ? RM_EPARSE : RM_ECORRUPT);
        assert_int_equal(rm_store__unseal(kind, (rm_key128){4, 0}, value, &got), RM_EPARSE);
        int other = RM_STORE__SEALED_ANNEX + RM_STORE__SEALED_NOTE - kind;
        assert_int_equal(rm_store__unseal(other, leaf.name, value, &got), RM_EPARSE);
    }
}

static void too_long_a_value(void **state)
{
    (void)state;
    static char bytes[RM_STORE_ANNEX_BYTES_MAX + 1], image[sizeof(bytes) + 100];
    rm_store__leaf got, leaf = {.name = {3, 0}, .bytes = {bytes, sizeof(bytes)}};
    for (size_t less = 0; less < 2; less++) {
        leaf.bytes.len = sizeof(bytes) - less;
        rm_store__seal_write(RM_STORE__SEALED_NOTE, &leaf, image);
        rm_slice value = rm_slice_make(image, rm_store__sealed_bytes(RM_STORE__SEALED_NOTE, leaf.bytes.len));
        assert_int_equal(rm_store__unseal(RM_STORE__SEALED_NOTE, leaf.name, value, &got), less ? RM_OK : RM_EPARSE);
    }
}

static void a_flipped_annex(void **state)
{
    fixture *fix = *state;
    rm_key128 record;
    rm_slice bytes;
    fill(fix);
    flip_annex(fix, 34);
    assert_int_equal(rm_store_get_annex(fix->reader, 34, &record, &bytes), RM_ECORRUPT);
    flush(fix);
    assert_int_equal(rm_store_get_annex(fix->reader, 34, &record, &bytes), RM_ENOTFOUND);
    assert_int_equal(fixture_stats(fix).corrupt, 1);
    assert_int_equal(annexes_notes(fix), 2 * RECORDS - 1);
    assert_int_equal(fixture_find(fix, 33, 200), 1);
    assert_int_equal(annexes_put(fix, 33, 1000, BYTES), RM_OK);
    flush(fix);
    assert_int_equal(annexes_find(fix, 33, 1000, BYTES), 1);
    annexes_check(fix);

    flip_annex(fix, 50); /* found by a scan */
    assert_int_equal(scan(fix), RECORDS - 1);
    flush(fix);
    assert_int_equal(fixture_stats(fix).corrupt, 2);
    assert_int_equal(annexes_find(fix, 49, 50, BYTES), 0);
    assert_int_equal(scan(fix), RECORDS - 1);
    assert_int_equal(fixture_stats(fix).corrupt, 2);

    flip_annex(fix, 60); /* found by nobody before its record goes */
    assert_int_equal(rm_store_delete(fix->store, fixture_key(59)), RM_OK);
    assert_int_equal(rm_store_delete(fix->store, fixture_key(49)), RM_OK); /* takes its link along */
    flush(fix);
    annexes_check(fix);
    assert_false(fixture_stats(fix).failed);
}

/* What was found damaged and replaced meanwhile stays. */
static void replaced_before_it_is_deleted(void **state)
{
    fixture *fix = *state;
    fill(fix);
    rm_store__drop_corrupt(fix->store, RM_STORE__ANNEX_CORRUPT, (rm_key128){.lo = 5});
    rm_store__drop_corrupt(fix->store, RM_STORE__ANNEX_CORRUPT, (rm_key128){.lo = 5000});
    flush(fix);
    assert_int_equal(annexes_find(fix, 4, 5, BYTES), 1);
    annexes_check(fix);
}

static void a_flipped_note(void **state)
{
    fixture *fix = *state;
    fill(fix);
    flip(fix, RM_SLICE("what is noted of number 77")); /* two, and their annex is whole */
    assert_int_equal(annexes_notes(fix), 2 * RECORDS - 2);
    assert_int_equal(fixture_stats(fix).corrupt, 2);
    assert_int_equal(annexes_find(fix, 77, 78, BYTES), 1);
    assert_int_equal(annexes_note(fix, (rm_key128){78, 0}, "anew"), RM_OK);
    assert_int_equal(annexes_note(fix, (rm_key128){78, 1}, ""), RM_OK);
    flush(fix);
    assert_int_equal(annexes_notes(fix), 2 * RECORDS - 1);
    assert_true(annexes_has_note(fix, (rm_key128){78, 0}, RM_SLICE("anew")));
    assert_false(fixture_stats(fix).failed);
}

/* ---- the tree around it ------------------------------------------------------------------------------------------ */

/* Puts bytes straight into a database; NULL: an annex that is whole, but number 9's. */
static void put_raw(fixture *fix, MDB_dbi dbi, const void *name, size_t name_len, const char *bytes, size_t len)
{
    MDB_txn *txn;
    char image[BYTES], text[8] = "text";
    rm_store__leaf leaf = {.name = {9, 0}, .record = fixture_key(8), .bytes = {text, sizeof(text)}};
    if (!bytes) {
        rm_store__seal_write(RM_STORE__SEALED_ANNEX, &leaf, image);
        bytes = image;
        len = rm_store__sealed_bytes(RM_STORE__SEALED_ANNEX, sizeof(text));
    }
    MDB_val key = {name_len, (void *)(uintptr_t)name}, value = {len, (void *)(uintptr_t)bytes};
    assert_int_equal(mdb_txn_begin(fix->store->cache.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static void tree_damage_ends_the_cache(void **state)
{
    enum { SHORT_ANNEX, OTHERS_ANNEX, SHORT_ANNEX_DELETED, LINK_ASTRAY, SHORT_LINK, SHORT_NOTE, SCANNED, WAYS };
    fixture *fix = *state;
    rm_key128 record, key = fixture_key(4);
    rm_slice bytes;
    rm_log_set_level(RM_LOG_ERROR);
    for (int way = 0; way < WAYS; way++) {
        uint64_t id = 5, other = 6, last = 77;
        annexes_seen seen = {.count = 0};
        fill(fix);
        rm_store *store = fix->store;
        if (way == SHORT_ANNEX || way == SHORT_ANNEX_DELETED || way == SCANNED)
            put_raw(fix, store->annexes, &id, sizeof(id), "too short", 9);
        if (way == OTHERS_ANNEX)
            put_raw(fix, store->annexes, &id, sizeof(id), NULL, 0);
        if (way == LINK_ASTRAY)
            put_raw(fix, store->links, &key, sizeof(key), (const char *)&other, sizeof(other));
        if (way == SHORT_LINK)
            put_raw(fix, store->links, &key, sizeof(key), (const char *)&other, 7);
        if (way == SHORT_NOTE)
            put_raw(fix, store->annex_notes, &id, sizeof(id), "too short", 9);
        if (way == SHORT_ANNEX || way == OTHERS_ANNEX) {
            assert_int_equal(rm_store_get_annex(fix->reader, id, &record, &bytes), RM_EIO);
        } else if (way == SHORT_NOTE) {
            assert_int_equal(rm_store_scan_notes(store, annexes_see_note, &seen), RM_EIO);
        } else if (way == SCANNED) {
            assert_int_equal(rm_store_scan_annexes(store, 0, 100, annexes_see, &seen, &last), RM_EIO);
            assert_int_equal(last, 77);
        } else {
            assert_int_equal(rm_store_delete(store, key), RM_OK);
            assert_int_equal(rm_store_flush(store), RM_EIO);
        }
        assert_true(fixture_stats(fix).failed);
        fixture_close(fix);
        fixture_open(fix);
        assert_int_equal(fixture_stats(fix).entries, 0);
        assert_int_equal(fixture_count_files(fix, "cache.damaged-"), 1);
    }
}

static void an_id_beyond_the_last(void **state)
{
    fixture *fix = *state;
    uint64_t id = RECORDS + 1;
    fill(fix);
    put_raw(fix, fix->store->annexes, &id, sizeof(id), NULL, 0);
    fixture_close(fix);
    fixture_open(fix);
    assert_int_equal(fixture_stats(fix).entries, 0);
    assert_int_equal(rm_store_last_annex(fix->store, &id), RM_OK);
    assert_int_equal(id, 0);
}

static bool check_annex(uint64_t id, rm_key128 record, rm_slice bytes, void *user)
{
    char wanted[BYTES];
    annexes_fill(id, wanted, sizeof(wanted));
    assert_true(rm_key128_eq(record, fixture_key(id - 1)));
    assert_true(rm_slice_eq(bytes, rm_slice_make(wanted, sizeof(wanted))));
    ++*(size_t *)user;
    return true;
}

static bool check_note(const rm_store_note *note, void *user)
{
    char text[64];
    snprintf(text, sizeof(text), "what is noted of number %llu", (unsigned long long)note->name.hi - 1);
    assert_true(note->name.lo <= 1 && rm_slice_eq(note->bytes, rm_slice_cstr(text)));
    ++*(size_t *)user;
    return true;
}

static size_t look_at_all(fixture *fix)
{
    size_t right = 0;
    uint64_t last;
    for (uint64_t id = 1; id <= RECORDS; id++) {
        rm_key128 record;
        rm_slice bytes;
        if (rm_store_get_annex(fix->reader, id, &record, &bytes))
            continue;
        check_annex(id, record, bytes, &right);
        rm_store_release(fix->reader);
    }
    rm_status status = rm_store_scan_annexes(fix->store, 0, SIZE_MAX, check_annex, &right, &last);
    assert_true(status == RM_OK || status == RM_EIO);
    status = rm_store_scan_notes(fix->store, check_note, &right);
    assert_true(status == RM_OK || status == RM_EIO);
    return right;
}

/* Whatever lies in the tree: what is found is right, and looking never crashes. */
static void pages_of_noise(void **state)
{
    enum { ALL = 4 * RECORDS };
    damage_seen seen = damage_rounds(*state, 40, 5, fill, look_at_all);
    assert_true(seen.failures > 0 && seen.found > 0 && seen.found < 40 * ALL);
}

/* ---- at run time ------------------------------------------------------------------------------------------------- */

static void failed_store_refuses(void **state)
{
    fixture *fix = *state;
    rm_key128 record;
    rm_slice bytes;
    annexes_seen seen = {.count = 0};
    uint64_t id = 77;
    fill(fix);
    rm_store__fail(fix->store, "test", RM_ECORRUPT);
    assert_int_equal(annexes_put(fix, 1, 1000, 10), RM_EIO);
    assert_int_equal(annexes_note(fix, (rm_key128){1, 1}, "x"), RM_EIO);
    assert_int_equal(rm_store_get_annex(fix->reader, 2, &record, &bytes), RM_EIO);
    assert_int_equal(rm_store_last_annex(fix->store, &id), RM_EIO);
    assert_int_equal(rm_store_scan_annexes(fix->store, 0, 10, annexes_see, &seen, &id), RM_EIO);
    assert_int_equal(rm_store_scan_notes(fix->store, annexes_see_note, &seen), RM_EIO);
    assert_int_equal(seen.count, 0);
    assert_int_equal(id, 77);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bit_of_a_value),
        cmocka_unit_test(too_long_a_value),
        TEST(a_flipped_annex),
        TEST(replaced_before_it_is_deleted),
        TEST(a_flipped_note),
        TEST(tree_damage_ends_the_cache),
        TEST(an_id_beyond_the_last),
        TEST(pages_of_noise),
        TEST(failed_store_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
