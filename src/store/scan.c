/* Looking through all annexes or notes: a read transaction for each call, on the thread that calls. */
#include "store_internal.h"

/* One look through one database. */
typedef struct scan_walk {
    rm_store *store;
    rm_store__sealed kind;
    MDB_dbi dbi;
    size_t name_bytes; /* its keys: a whole name, or an id */
    uint64_t from;     /* ids; 0: all */
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_cursor_op move;
    rm_store__leaf leaf; /* what it stands at; of a damaged one only the name */
} scan_walk;

static rm_status of_tree(int rc)
{
    rm_status status = rm_store__status_of(rc);
    return status == RM_ECORRUPT ? RM_EPARSE : status;
}

static rm_status begin(void *user)
{
    scan_walk *walk = user;
    if (rm_fault(RM_FAULT_STORE_READ))
        return RM_EIO;
    int rc = walk->txn ? 0 : mdb_txn_begin(walk->store->cache.env, NULL, MDB_RDONLY, &walk->txn);
    rc = rc ? rc : mdb_cursor_open(walk->txn, walk->dbi, &walk->cursor);
    walk->move = walk->from ? MDB_SET_RANGE : MDB_FIRST;
    return of_tree(rc);
}

/* RM_ENOTFOUND: the end. RM_ECORRUPT: this one is damaged. RM_EPARSE: all of it is. */
static rm_status step(void *user)
{
    scan_walk *walk = user;
    MDB_val key = {sizeof(walk->from), &walk->from}, value;
    int rc = mdb_cursor_get(walk->cursor, &key, &value, walk->move);
    walk->move = MDB_NEXT;
    if (rc)
        return of_tree(rc);
    if (key.mv_size != walk->name_bytes)
        return RM_EPARSE;
    walk->leaf = (rm_store__leaf){.name = {0, 0}};
    memcpy(&walk->leaf.name, key.mv_data, key.mv_size);
    return rm_store__unseal(walk->kind, walk->leaf.name, rm_slice_make(value.mv_data, value.mv_size), &walk->leaf);
}

static void report_damaged(const scan_walk *walk)
{
    if (walk->kind == RM_STORE__SEALED_ANNEX)
        rm_store__drop_corrupt(walk->store, RM_STORE__ANNEX_CORRUPT, (rm_key128){.lo = walk->leaf.name.hi});
    else
        rm_store__count(&walk->store->counts.corrupt, 1); /* stays until it is written again */
}

/* The next that is whole, of `looks` at most. Nobody else's code runs under the guard. */
static rm_status next(scan_walk *walk, size_t *looks)
{
    while (*looks) {
        --*looks;
        rm_status status = rm_store__read_guarded(step, walk);
        if (status != RM_ECORRUPT)
            return status;
        report_damaged(walk);
    }
    return RM_ENOTFOUND;
}

static void close_cursor(scan_walk *walk)
{
    if (walk->cursor)
        mdb_cursor_close(walk->cursor);
    walk->cursor = NULL;
}

static rm_status finish(scan_walk *walk, rm_status status)
{
    close_cursor(walk);
    if (walk->txn)
        mdb_txn_abort(walk->txn);
    if (!status || status == RM_ENOTFOUND)
        return RM_OK;
    rm_store__count(&walk->store->counts.read_errors, 1);
    if (status == RM_EPARSE)
        rm_store__fail(walk->store, "scan", RM_ECORRUPT);
    return RM_EIO;
}

rm_status rm_store_last_annex(rm_store *store, uint64_t *ret_id)
{
    if (atomic_load_explicit(&store->failed, memory_order_relaxed))
        return RM_EIO;
    *ret_id = store->last_annex;
    return RM_OK;
}

rm_status rm_store_scan_annexes(rm_store *store, uint64_t after, size_t count_max,
                                bool (*each)(uint64_t id, rm_key128 record, rm_slice bytes, void *user), void *user,
                                uint64_t *ret_last)
{
    uint64_t last = after;
    scan_walk walk = {.store = store,
                      .kind = RM_STORE__SEALED_ANNEX,
                      .dbi = store->annexes,
                      .name_bytes = sizeof(uint64_t),
                      .from = after + 1};
    if (atomic_load_explicit(&store->failed, memory_order_relaxed))
        return RM_EIO;
    rm_status status = store->has_annexes && walk.from ? rm_store__read_guarded(begin, &walk) : RM_ENOTFOUND;
    for (bool going = true; !status && going;) {
        status = next(&walk, &count_max);
        last = walk.leaf.name.hi > last ? walk.leaf.name.hi : last;
        if (!status)
            going = each(walk.leaf.name.hi, walk.leaf.record, walk.leaf.bytes, user);
    }
    status = finish(&walk, status);
    if (!status)
        *ret_last = last;
    return status;
}

rm_status rm_store_scan_notes(rm_store *store, bool (*each)(const rm_store_note *note, void *user), void *user)
{
    const struct {
        MDB_dbi dbi;
        size_t name_bytes;
    } dbs[] = {{store->annex_notes, sizeof(uint64_t)}, {store->notes, sizeof(rm_key128)}};
    scan_walk walk = {.store = store, .kind = RM_STORE__SEALED_NOTE};
    rm_status status = RM_OK;
    bool going = store->has_annexes;
    if (atomic_load_explicit(&store->failed, memory_order_relaxed))
        return RM_EIO;
    for (size_t i = 0; i < RM_COUNT(dbs) && going && (!status || status == RM_ENOTFOUND); i++) {
        size_t looks = SIZE_MAX;
        walk.dbi = dbs[i].dbi;
        walk.name_bytes = dbs[i].name_bytes;
        status = rm_store__read_guarded(begin, &walk); /* of one transaction both */
        while (!status && going) {
            status = next(&walk, &looks);
            if (!status)
                going = each(&(rm_store_note){walk.leaf.name, walk.leaf.bytes}, user);
        }
        close_cursor(&walk);
    }
    return finish(&walk, status);
}
