/* What the writer does to annexes and notes inside a transaction.
 *
 * Of each annex three things are true when a transaction ends: its record is there, links has its id under the record's
 * key, and the note {id, 0}, if there is one, is among annex_notes. So whatever deletes a record calls
 * rm_store__delete_annex_of, and such a note is not kept without its annex. Only an annex that was found damaged may leave a
 * link behind, which goes with its record. */
#include "store_internal.h"

static MDB_val val_of(const void *ptr, size_t len)
{
    return (MDB_val){len, (void *)(uintptr_t)ptr}; /* LMDB does not write through what it is given */
}

static rm_slice slice_of(MDB_val value)
{
    return rm_slice_make(value.mv_data, value.mv_size);
}

static rm_status delete_if_there(MDB_txn *txn, MDB_dbi dbi, MDB_val key)
{
    int rc = mdb_del(txn, dbi, &key, NULL);
    return rc == MDB_NOTFOUND ? RM_OK : rm_store__status_of(rc);
}

static rm_status delete_annex(rm_store *store, MDB_txn *txn, uint64_t id)
{
    MDB_val key = val_of(&id, sizeof(id));
    rm_status status = delete_if_there(txn, store->annexes, key);
    return status ? status : delete_if_there(txn, store->annex_notes, key);
}

/* RM_ENOTFOUND: the record has none. */
static rm_status id_of(rm_store *store, MDB_txn *txn, rm_key128 record, uint64_t *ret_id)
{
    MDB_val key = val_of(&record, sizeof(record)), value;
    int rc = mdb_get(txn, store->links, &key, &value);
    if (rc)
        return rm_store__status_of(rc);
    if (value.mv_size != sizeof(*ret_id))
        return RM_ECORRUPT;
    memcpy(ret_id, value.mv_data, sizeof(*ret_id));
    return RM_OK;
}

/* As rm_store__unseal; RM_ENOTFOUND. */
static rm_status read_annex(rm_store *store, MDB_txn *txn, uint64_t id, rm_store__leaf *ret_leaf)
{
    MDB_val key = val_of(&id, sizeof(id)), value;
    int rc = mdb_get(txn, store->annexes, &key, &value);
    return rc ? rm_store__status_of(rc)
              : rm_store__unseal(RM_STORE__SEALED_ANNEX, (rm_key128){.hi = id}, slice_of(value), ret_leaf);
}

rm_status rm_store__delete_annex_of(rm_store *store, MDB_txn *txn, rm_key128 record)
{
    uint64_t id = 0;
    rm_store__leaf leaf = {0};
    if (!store->state.last_annex)
        return RM_OK; /* there never was one */
    rm_status status = id_of(store, txn, record, &id);
    if (status)
        return status == RM_ENOTFOUND ? RM_OK : status;
    status = read_annex(store, txn, id, &leaf);
    if (status == RM_EPARSE || (!status && !rm_key128_eq(leaf.record, record)))
        return RM_ECORRUPT; /* one of the two points astray */
    if (status && status != RM_ENOTFOUND && status != RM_ECORRUPT)
        return status;
    status = delete_if_there(txn, store->links, val_of(&record, sizeof(record)));
    return status ? status : delete_annex(store, txn, id);
}

rm_status rm_store__delete_record(rm_store *store, MDB_txn *txn, rm_key128 record)
{
    rm_status status = delete_if_there(txn, store->records, val_of(&record, sizeof(record)));
    return status ? status : rm_store__delete_annex_of(store, txn, record);
}

rm_status rm_store__apply_annex(rm_store *store, MDB_txn *txn, const rm_store__op *op)
{
    rm_store__leaf leaf = {0};
    uint64_t id = op->key.lo;
    rm_status status =
        rm_store__unseal(RM_STORE__SEALED_ANNEX, (rm_key128){.hi = id}, rm_slice_make(op->data, op->bytes), &leaf);
    RM_CHECK(!status); /* written by this process */
    if (id > store->state.last_annex)
        store->state.last_annex = id; /* used up, whatever becomes of it */
    MDB_val record = val_of(&leaf.record, sizeof(leaf.record)), value;
    int rc = mdb_get(txn, store->records, &record, &value);
    if (rc)
        return rc == MDB_NOTFOUND ? RM_OK : rm_store__status_of(rc);
    status = rm_store__delete_annex_of(store, txn, leaf.record);
    if (status)
        return status;
    MDB_val key = val_of(&id, sizeof(id));
    value = val_of(op->data, op->bytes);
    rc = mdb_put(txn, store->annexes, &key, &value, MDB_NOOVERWRITE);
    if (rc)
        return rc == MDB_KEYEXIST ? RM_OK : rm_store__status_of(rc); /* another record's: an id is used once */
    return rm_store__status_of(mdb_put(txn, store->links, &record, &key, 0));
}

/* What lies there may be another by now, or its record be gone. The record's key in it may be what is damaged. */
rm_status rm_store__apply_corrupt_annex(rm_store *store, MDB_txn *txn, const rm_store__op *op)
{
    rm_store__leaf leaf = {0};
    rm_status status = read_annex(store, txn, op->key.lo, &leaf);
    if (status == RM_ECORRUPT)
        return delete_annex(store, txn, op->key.lo);
    return status == RM_ENOTFOUND ? RM_OK : status == RM_EPARSE ? RM_ECORRUPT : status;
}

static rm_status apply_note(rm_store *store, MDB_txn *txn, rm_key128 name, MDB_val value)
{
    bool of_annex = !name.lo, keep = value.mv_size > rm_store__sealed_bytes(RM_STORE__SEALED_NOTE, 0);
    MDB_dbi dbi = of_annex ? store->annex_notes : store->notes;
    MDB_val key = of_annex ? val_of(&name.hi, sizeof(name.hi)) : val_of(&name, sizeof(name)), annex;
    if (of_annex && keep) {
        int rc = mdb_get(txn, store->annexes, &key, &annex);
        if (rc && rc != MDB_NOTFOUND)
            return rm_store__status_of(rc);
        keep = !rc;
    }
    return keep ? rm_store__status_of(mdb_put(txn, dbi, &key, &value, 0)) : delete_if_there(txn, dbi, key);
}

rm_status rm_store__apply_notes(rm_store *store, MDB_txn *txn, const rm_store__op *op)
{
    rm_status status = RM_OK;
    for (const char *at = op->data, *end = at + op->bytes; at < end && !status;) {
        uint64_t bytes;
        rm_store__seal seal;
        memcpy(&bytes, at, sizeof(bytes));
        at += sizeof(bytes);
        memcpy(&seal, at, sizeof(seal));
        status = apply_note(store, txn, seal.name, val_of(at, bytes));
        at += bytes;
    }
    return status;
}
