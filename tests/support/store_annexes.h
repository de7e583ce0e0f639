/* What the store's tests of annexes share: annexes by number, and whether the databases agree with each other. */
#ifndef REMORA_TESTS_STORE_ANNEXES_H
#define REMORA_TESTS_STORE_ANNEXES_H

#include "store_fixture.h"
#include "store_internal.h"

static inline uint64_t annexes_count(fixture *fix, MDB_dbi dbi)
{
    MDB_txn *txn;
    MDB_stat tree;
    assert_int_equal(mdb_txn_begin(fix->store->cache.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_stat(txn, dbi, &tree), 0);
    mdb_txn_abort(txn);
    return tree.ms_entries;
}

static inline bool annexes_have(MDB_txn *txn, MDB_dbi dbi, MDB_val key, MDB_val *ret_value)
{
    int rc = mdb_get(txn, dbi, &key, ret_value);
    assert_true(rc == 0 || rc == MDB_NOTFOUND);
    return rc == 0;
}

/* Each annex has its record and its link, each link and each note of an annex its annex. */
static inline void annexes_check(fixture *fix)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value, found;
    rm_store *store = fix->store;
    assert_int_equal(mdb_txn_begin(store->cache.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_cursor_open(txn, store->annexes, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        rm_store__leaf leaf;
        uint64_t id;
        memcpy(&id, key.mv_data, sizeof(id));
        rm_slice bytes = rm_slice_make(value.mv_data, value.mv_size);
        assert_int_equal(rm_store__unseal(RM_STORE__SEALED_ANNEX, (rm_key128){.hi = id}, bytes, &leaf), RM_OK);
        MDB_val record = {sizeof(leaf.record), &leaf.record};
        assert_true(annexes_have(txn, store->records, record, &found));
        assert_true(annexes_have(txn, store->links, record, &found));
        assert_memory_equal(found.mv_data, &id, sizeof(id));
    }
    mdb_cursor_close(cursor);
    assert_int_equal(mdb_cursor_open(txn, store->annex_notes, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
        assert_true(annexes_have(txn, store->annexes, key, &found));
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    assert_int_equal(annexes_count(fix, store->annexes), annexes_count(fix, store->links));
}

/* Noise that only this id has. */
static inline void annexes_fill(uint64_t id, char *bytes, size_t len)
{
    rm_rng rng;
    rm_rng_seed(&rng, id);
    for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
        uint64_t noise = rm_rng_next(&rng);
        memcpy(bytes + i, &noise, len - i < sizeof(noise) ? len - i : sizeof(noise));
    }
}

static inline rm_status annexes_put(fixture *fix, uint64_t number, uint64_t id, size_t len)
{
    static _Thread_local char bytes[RM_STORE_ANNEX_BYTES_MAX];
    annexes_fill(id, bytes, len);
    return rm_store_put_annex(fix->store, fixture_key(number), id, rm_slice_make(bytes, len));
}

/* 1: found and right; 0: not found; anything else fails the test. */
static inline int annexes_find(fixture *fix, uint64_t number, uint64_t id, size_t len)
{
    static _Thread_local char bytes[RM_STORE_ANNEX_BYTES_MAX];
    rm_key128 record;
    rm_slice got;
    rm_status status = rm_store_get_annex(fix->reader, id, &record, &got);
    if (status) {
        assert_int_equal(status, RM_ENOTFOUND);
        return 0;
    }
    annexes_fill(id, bytes, len);
    assert_true(rm_key128_eq(record, fixture_key(number)));
    assert_true(rm_slice_eq(got, rm_slice_make(bytes, len)));
    rm_store_release(fix->reader);
    return 1;
}

static inline rm_status annexes_note(fixture *fix, rm_key128 name, const char *text)
{
    rm_store_note note = {.name = name, .bytes = rm_slice_cstr(text)};
    return rm_store_put_notes(fix->store, &note, 1);
}

typedef struct annexes_seen {
    size_t count, stop_at; /* 0: never */
    rm_store_note wanted;
    bool found; /* wanted: by name, and its bytes are the same */
    uint64_t last_id;
} annexes_seen;

static inline bool annexes_see_note(const rm_store_note *note, void *user)
{
    annexes_seen *seen = user;
    if (rm_key128_eq(note->name, seen->wanted.name))
        seen->found = rm_slice_eq(note->bytes, seen->wanted.bytes);
    return ++seen->count != seen->stop_at;
}

static inline size_t annexes_notes(fixture *fix)
{
    annexes_seen seen = {.count = 0};
    assert_int_equal(rm_store_scan_notes(fix->store, annexes_see_note, &seen), RM_OK);
    return seen.count;
}

static inline bool annexes_has_note(fixture *fix, rm_key128 name, rm_slice bytes)
{
    annexes_seen seen = {.wanted = {name, bytes}};
    assert_int_equal(rm_store_scan_notes(fix->store, annexes_see_note, &seen), RM_OK);
    return seen.found;
}

static inline bool annexes_see(uint64_t id, rm_key128 record, rm_slice bytes, void *user)
{
    annexes_seen *seen = user;
    assert_true(id > seen->last_id);
    assert_true(record.hi || record.lo);
    assert_true(bytes.len <= RM_STORE_ANNEX_BYTES_MAX);
    seen->last_id = id;
    return ++seen->count != seen->stop_at;
}

#endif
