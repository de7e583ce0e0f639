/* Lookups: one read transaction a reader, renewed for each, and the record as it lies in the map. */
#include "store_internal.h"

rm_status rm_store_reader_create(rm_store *store, rm_store_reader **ret_reader)
{
    rm_store_reader *reader = rm_calloc(1, sizeof(*reader));
    if (!reader)
        return RM_ENOMEM;
    rm_status status = RM_OK;
    reader->store = store;
    if (atomic_fetch_add(&store->readers, 1) >= RM_STORE_READERS_MAX)
        status = RM_EBUSY;
    else if (store->cache.env)
        status = rm_store__status_of(mdb_txn_begin(store->cache.env, NULL, MDB_RDONLY, &reader->txn));
    if (status) {
        atomic_fetch_sub(&store->readers, 1);
        rm_free(reader);
        return status;
    }
    if (reader->txn)
        mdb_txn_reset(reader->txn); /* keeps its slot, pins nothing */
    *ret_reader = reader;
    return RM_OK;
}

void rm_store_reader_destroy(rm_store_reader *reader)
{
    if (!reader)
        return;
    if (reader->txn)
        mdb_txn_abort(reader->txn);
    rm_store__packer_deinit(&reader->packer);
    atomic_fetch_sub(&reader->store->readers, 1);
    rm_free(reader);
}

rm_status rm_store__read_guarded(rm_store__read_fn read, void *user)
{
    jmp_buf jump;
    if (setjmp(jump)) {
        rm_store__reading = false;
        rm_store__guard = NULL;
        return RM_EPARSE;
    }
    rm_store__guard = &jump;
    rm_store__reading = true;
    rm_status status = read(user);
    rm_store__reading = false;
    rm_store__guard = NULL;
    return status;
}

/* What is looked for, and what is found of it. */
typedef struct lookup {
    rm_store_reader *reader;
    rm_key128 key; /* of the record; {.lo = id} of an annex */
    rm_record record;
    rm_store__leaf annex;
} lookup;

static rm_status find(rm_store_reader *reader, MDB_dbi dbi, MDB_val key, rm_slice *ret_value)
{
    MDB_val value;
    int rc = mdb_txn_renew(reader->txn);
    if (!rc) {
        reader->held = true;
        rc = mdb_get(reader->txn, dbi, &key, &value);
    }
    if (!rc)
        *ret_value = rm_slice_make(value.mv_data, value.mv_size);
    rm_status status = rm_store__status_of(rc);
    return status == RM_ECORRUPT ? RM_EPARSE : status;
}

/* RM_ECORRUPT: the record alone is damaged; RM_EPARSE: the tree around it is. */
static rm_status read_record(void *user)
{
    lookup *look = user;
    rm_slice value = {NULL, 0};
    rm_status status =
        find(look->reader, look->reader->store->records, (MDB_val){sizeof(look->key), &look->key}, &value);
    return status ? status : rm_store__record_read(value, look->key, &look->reader->packer, &look->record);
}

static rm_status read_annex(void *user)
{
    lookup *look = user;
    uint64_t id = look->key.lo;
    rm_slice value = {NULL, 0};
    rm_status status = find(look->reader, look->reader->store->annexes, (MDB_val){sizeof(id), &id}, &value);
    return status ? status : rm_store__unseal(RM_STORE__SEALED_ANNEX, (rm_key128){.hi = id}, value, &look->annex);
}

static bool gone(const rm_store *store, const rm_record *record)
{
    if (!record->expires_ms)
        return false;
    uint64_t last = record->stale_until_ms > record->expires_ms ? record->stale_until_ms : record->expires_ms;
    return last < store->clock->wall_ms(store->clock);
}

static rm_status fail_read(rm_store_reader *reader, rm_store__kind drop, rm_key128 key, rm_status status)
{
    rm_store *store = reader->store;
    rm_store_release(reader);
    if (status == RM_ENOTFOUND)
        return status;
    if (status == RM_ECORRUPT) {
        rm_store__drop_corrupt(store, drop, key);
        return status;
    }
    rm_store__count(&store->counts.read_errors, 1);
    if (status == RM_EPARSE)
        rm_store__fail(store, "read", RM_ECORRUPT);
    return RM_EIO;
}

static rm_status read_pending(rm_store_reader *reader, rm_record *ret_record)
{
    rm_record record;
    rm_store__record_unsealed(reader->held_op->data, &record);
    if (gone(reader->store, &record)) {
        rm_store_release(reader);
        return RM_ENOTFOUND;
    }
    rm_store__policy_use(&reader->store->policy, record.key);
    *ret_record = record;
    return RM_OK;
}

/* Whether one may look at all. */
static rm_status begin_read(rm_store_reader *reader)
{
    RM_CHECK(!reader->held && !reader->held_op);
    if (atomic_load_explicit(&reader->store->failed, memory_order_relaxed))
        return RM_EIO;
    if (!rm_fault(RM_FAULT_STORE_READ))
        return RM_OK;
    rm_store__count(&reader->store->counts.read_errors, 1);
    return RM_EIO;
}

rm_status rm_store_get(rm_store_reader *reader, rm_key128 key, rm_record *ret_record)
{
    rm_store *store = reader->store;
    lookup look = {.reader = reader, .key = key};
    rm_status status = begin_read(reader);
    if (status)
        return status;
    reader->held_op = rm_store__pending_get(&store->pending_records, key);
    if (reader->held_op)
        return read_pending(reader, ret_record);
    if (!reader->txn)
        return RM_ENOTFOUND;
    status = rm_store__read_guarded(read_record, &look);
    if (!status && gone(store, &look.record))
        status = RM_ENOTFOUND;
    if (status)
        return fail_read(reader, RM_STORE__DELETE_CORRUPT, key, status);
    rm_store__policy_use(&store->policy, key);
    *ret_record = look.record;
    return RM_OK;
}

rm_status rm_store_get_annex(rm_store_reader *reader, uint64_t id, rm_key128 *ret_record, rm_slice *ret_bytes)
{
    rm_store *store = reader->store;
    lookup look = {.reader = reader, .key = {.lo = id}};
    rm_status status = begin_read(reader);
    if (status)
        return status;
    reader->held_op = rm_store__pending_get(&store->pending_annexes, look.key);
    if (reader->held_op) {
        status = rm_store__unseal(RM_STORE__SEALED_ANNEX, (rm_key128){.hi = id},
                                  rm_slice_make(reader->held_op->data, reader->held_op->bytes), &look.annex);
        RM_CHECK(!status); /* written by this process */
    } else if (!reader->txn || !store->has_annexes) {
        return RM_ENOTFOUND;
    } else {
        status = rm_store__read_guarded(read_annex, &look);
    }
    if (status)
        return fail_read(reader, RM_STORE__ANNEX_CORRUPT, look.key, status);
    *ret_record = look.annex.record;
    *ret_bytes = look.annex.bytes;
    return RM_OK;
}

void rm_store_release(rm_store_reader *reader)
{
    if (reader->held_op)
        rm_store__op_unref(reader->held_op);
    reader->held_op = NULL;
    if (!reader->held)
        return;
    reader->held = false;
    mdb_txn_reset(reader->txn);
    rm_store__packer_trim(&reader->packer);
}
