/* Purging: one pass over the records in key order, some a transaction. Records born after the purge began are spared.
 */
#include "store_internal.h"

static bool label_matches(rm_slice wanted, rm_slice label)
{
    return !wanted.ptr || rm_slice_eq(wanted, label);
}

static bool matches(const rm_store_filter *filter, rm_slice value, const rm_store__head *head)
{
    rm_slice name_space, model;
    rm_store__record_labels(value, head, &name_space, &model);
    return (!filter->key || rm_key128_eq(*filter->key, head->key)) &&
           (!filter->tenant || rm_key128_eq(*filter->tenant, head->tenant)) &&
           (!filter->created_before_ms || head->created_ms < filter->created_before_ms) &&
           label_matches(filter->model, model) && label_matches(filter->name_space, name_space);
}

typedef struct purge_piece {
    size_t count;
    bool done;
    rm_key128 last; /* looked at */
    rm_key128 keys[RM_STORE__PURGE_ENTRIES];
} purge_piece;

/* What this piece deletes. */
static rm_status look(rm_store *store, MDB_txn *txn, purge_piece *piece)
{
    const rm_store_filter *filter = &store->purge.wait->filter;
    rm_key128 from = filter->key ? *filter->key : store->purge.last;
    MDB_val key = {sizeof(from), &from}, value;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, store->records, &cursor);
    if (rc)
        return rm_store__status_of(rc);
    rc = mdb_cursor_get(cursor, &key, &value, store->purge.started || filter->key ? MDB_SET_RANGE : MDB_FIRST);
    uint64_t ops = rm_store__ops_max(store), most = ops < RM_COUNT(piece->keys) ? ops : RM_COUNT(piece->keys);
    for (int looks = 0; !rc && looks < RM_STORE__PURGE_ENTRIES && piece->count < most; looks++) {
        rm_store__head head;
        rm_slice bytes = rm_slice_make(value.mv_data, value.mv_size);
        if (key.mv_size != sizeof(piece->last) || !rm_store__record_peek(bytes, &head)) {
            rc = MDB_CORRUPTED;
            break;
        }
        memcpy(&piece->last, key.mv_data, sizeof(piece->last));
        if (head.birth < store->purge.births_below && matches(filter, bytes, &head))
            piece->keys[piece->count++] = piece->last;
        rc = filter->key ? MDB_NOTFOUND : mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    piece->done = rc == MDB_NOTFOUND;
    return piece->done ? RM_OK : rm_store__status_of(rc);
}

static rm_status step_piece(rm_store *store, MDB_txn *txn, void *user)
{
    purge_piece *piece = user;
    rm_status status = look(store, txn, piece);
    for (size_t i = 0; i < piece->count && !status; i++)
        status = rm_store__delete_record(store, txn, piece->keys[i]);
    return status;
}

/* Without a condition every page goes at once; what was queued before is committed, what comes later is not there yet.
 */
static rm_status step_all(rm_store *store, MDB_txn *txn, void *user)
{
    const MDB_dbi dbs[] = {
        store->records,    store->queues[RM_STORE__SMALL], store->queues[RM_STORE__MAIN], store->annexes, store->links,
        store->annex_notes};
    MDB_stat tree;
    uint64_t *count = user;
    int rc = mdb_stat(txn, store->records, &tree);
    for (size_t i = 0; i < RM_COUNT(dbs) && !rc; i++)
        rc = mdb_drop(txn, dbs[i], 0);
    if (!rc)
        *count = tree.ms_entries;
    memset(store->state.queue_bytes, 0, sizeof(store->state.queue_bytes));
    return rm_store__status_of(rc);
}

rm_status rm_store__purge_some(rm_store *store, bool *ret_done)
{
    rm_store__wait *wait = store->purge.wait;
    const rm_store_filter *filter = &wait->filter;
    if (!filter->key && !filter->tenant && !filter->model.ptr && !filter->name_space.ptr &&
        !filter->created_before_ms) {
        *ret_done = true;
        return rm_store__transact(store, step_all, &wait->count);
    }
    purge_piece *piece = rm_calloc(1, sizeof(*piece));
    if (!piece)
        return RM_ENOMEM;
    rm_status status = rm_store__transact(store, step_piece, piece);
    if (!status) {
        wait->count += piece->count;
        store->purge.last = piece->last;
        store->purge.started = true;
        *ret_done = piece->done;
    }
    rm_free(piece);
    return status;
}
