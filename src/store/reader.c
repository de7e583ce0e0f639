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

/* RM_ECORRUPT: the record alone is damaged; RM_EPARSE: the tree around it is. */
static rm_status read_record(rm_store_reader *reader, rm_key128 key, rm_record *ret_record)
{
    MDB_val name = {sizeof(key), &key}, value;
    int rc = mdb_txn_renew(reader->txn);
    if (!rc) {
        reader->held = true;
        rc = mdb_get(reader->txn, reader->store->records, &name, &value);
    }
    if (!rc)
        return rm_store__record_read(rm_slice_make(value.mv_data, value.mv_size), key, &reader->packer, ret_record);
    rm_status status = rm_store__status_of(rc);
    return status == RM_ECORRUPT ? RM_EPARSE : status;
}

static rm_status read_guarded(rm_store_reader *reader, rm_key128 key, rm_record *ret_record)
{
    jmp_buf jump;
    if (setjmp(jump)) {
        rm_store__reading = false;
        rm_store__guard = NULL;
        return RM_EPARSE;
    }
    rm_store__guard = &jump;
    rm_store__reading = true;
    rm_status status = read_record(reader, key, ret_record);
    rm_store__reading = false;
    rm_store__guard = NULL;
    return status;
}

/* The record alone is damaged: it shall go, everything else goes on. */
static void drop_corrupt(rm_store *store, rm_key128 key)
{
    rm_store__count(&store->counts.corrupt, 1);
    rm_log_limited(RM_LOG_WARN, "store", "%s: a damaged record was found and is deleted", store->folder);
    if (store->read_only)
        return;
    rm_store__op *op = rm_calloc(1, sizeof(*op));
    if (!op)
        return;
    op->kind = RM_STORE__DELETE_CORRUPT;
    op->key = key;
    if (rm_store__post(store, op))
        rm_free(op);
}

static bool gone(const rm_store *store, const rm_record *record)
{
    if (!record->expires_ms)
        return false;
    uint64_t last = record->stale_until_ms > record->expires_ms ? record->stale_until_ms : record->expires_ms;
    return last < store->clock->wall_ms(store->clock);
}

static rm_status fail_read(rm_store_reader *reader, rm_key128 key, rm_status status)
{
    rm_store *store = reader->store;
    rm_store_release(reader);
    if (status == RM_ENOTFOUND)
        return status;
    if (status == RM_ECORRUPT) {
        drop_corrupt(store, key);
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

rm_status rm_store_get(rm_store_reader *reader, rm_key128 key, rm_record *ret_record)
{
    rm_store *store = reader->store;
    rm_record record = {0};
    RM_CHECK(!reader->held && !reader->held_op);
    if (atomic_load_explicit(&store->failed, memory_order_relaxed))
        return RM_EIO;
    if (rm_fault(RM_FAULT_STORE_READ))
        return fail_read(reader, key, RM_EIO);
    reader->held_op = rm_store__pending_get(store, key);
    if (reader->held_op)
        return read_pending(reader, ret_record);
    if (!reader->txn)
        return RM_ENOTFOUND;
    rm_status status = read_guarded(reader, key, &record);
    if (!status && gone(store, &record))
        status = RM_ENOTFOUND;
    if (status)
        return fail_read(reader, key, status);
    rm_store__policy_use(&store->policy, key);
    *ret_record = record;
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
