/* What the writer does to records and their queues inside a transaction: put, delete, evict, sweep. */
#include "store_internal.h"

#define MS_A_SECOND 1000ULL

static MDB_val val_of(const void *ptr, size_t len)
{
    return (MDB_val){len, (void *)(uintptr_t)ptr}; /* LMDB does not write through what it is given */
}

static rm_slice slice_of(MDB_val value)
{
    return rm_slice_make(value.mv_data, value.mv_size);
}

/* What a record takes in the file: a part of a leaf page, or pages of its own from about 2 KiB on. */
static uint32_t charge_of(const rm_store *store, size_t bytes)
{
    enum { PAGE_HEAD = 16, NODE_HEAD = 8, KEY = sizeof(rm_key128), SLOT = 2, PAGE_NUMBER = 8 };
    size_t page = store->cache.page_bytes, node = NODE_HEAD + KEY + bytes;
    if (node + SLOT <= (page - PAGE_HEAD) / 2)
        return (uint32_t)(node + SLOT);
    return (uint32_t)((PAGE_HEAD + bytes + page - 1) / page * page + NODE_HEAD + KEY + PAGE_NUMBER + SLOT);
}

static bool ended(uint32_t kept_until_s, uint64_t now_ms)
{
    return kept_until_s && kept_until_s * MS_A_SECOND < now_ms;
}

static uint32_t kept_until(const rm_store__head *head)
{
    uint64_t last_ms = head->stale_until_ms > head->expires_ms ? head->stale_until_ms : head->expires_ms;
    uint64_t last_s = last_ms / MS_A_SECOND + 1;
    return !head->expires_ms ? 0 : last_s > UINT32_MAX ? UINT32_MAX : (uint32_t)last_s;
}

static rm_status enqueue(rm_store *store, MDB_txn *txn, rm_store__queue queue, const rm_store__entry *entry,
                         uint64_t sequence)
{
    MDB_val key = val_of(&sequence, sizeof(sequence)), value = val_of(entry, sizeof(*entry));
    int rc = mdb_put(txn, store->queues[queue], &key, &value, MDB_APPEND);
    if (!rc)
        store->state.queue_bytes[queue] += entry->charge;
    return rm_store__status_of(rc);
}

static void discharge(rm_store *store, rm_store__queue queue, uint32_t charge)
{
    uint64_t *bytes = &store->state.queue_bytes[queue];
    *bytes -= *bytes < charge ? *bytes : charge;
}

static uint64_t count_of(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_stat tree;
    return mdb_stat(txn, dbi, &tree) ? 0 : tree.ms_entries;
}

/* ---- put and delete ---------------------------------------------------------------------------------------------- */

rm_status rm_store__apply_put(rm_store *store, MDB_txn *txn, rm_store__op *op)
{
    rm_store__head head;
    rm_slice image = rm_slice_make(op->data, op->bytes), packed;
    bool peeked = rm_store__record_peek(image, &head);
    RM_CHECK(peeked); /* written by this process */
    char *sealed = op->data;
    uint64_t birth = store->state.next_sequence++;
    if (store->compress && !rm_store__record_pack(&store->packer, image, &packed)) {
        store->tally.packed_in += image.len;
        store->tally.packed_out += packed.len;
        sealed = store->packer.scratch;
        image = packed;
    }
    rm_store__record_seal(sealed, image.len, birth);
    rm_store__entry entry = {
        .key = op->key, .birth = birth, .kept_until_s = kept_until(&head), .charge = charge_of(store, image.len)};
    MDB_val key = val_of(&op->key, sizeof(op->key)), value;
    int rc = mdb_get(txn, store->records, &key, &value);
    if (rc && rc != MDB_NOTFOUND)
        return rm_store__status_of(rc);
    rm_store__queue queue = RM_STORE__SMALL; /* an answer that replaces another keeps the uses it had */
    if (!rc && !rm_store__record_peek(slice_of(value), &head))
        return RM_ECORRUPT;
    if (rc == MDB_NOTFOUND)
        queue = rm_store__policy_admit(&store->policy, op->key, count_of(txn, store->queues[RM_STORE__MAIN]) + 1);
    rm_status status = rc ? RM_OK : rm_store__delete_annex_of(store, txn, op->key); /* that one's answer is gone */
    if (status)
        return status;
    value = val_of(image.ptr, image.len);
    rc = mdb_put(txn, store->records, &key, &value, 0);
    if (rc)
        return rm_store__status_of(rc);
    store->tally.puts++;
    return enqueue(store, txn, queue, &entry, birth);
}

/* A record that a reader found damaged may have been replaced since: that one stays. */
static bool still_corrupt(rm_store *store, MDB_txn *txn, rm_key128 name)
{
    rm_record record;
    MDB_val key = val_of(&name, sizeof(name)), value;
    return !mdb_get(txn, store->records, &key, &value) &&
           rm_store__record_read(slice_of(value), name, &store->packer, &record) == RM_ECORRUPT;
}

rm_status rm_store__apply_delete(rm_store *store, MDB_txn *txn, const rm_store__op *op)
{
    if (op->kind == RM_STORE__DELETE_CORRUPT && !still_corrupt(store, txn, op->key))
        return RM_OK;
    return rm_store__delete_record(store, txn, op->key);
}

/* ---- evict ------------------------------------------------------------------------------------------------------- */

/* RM_ENOTFOUND: the entry's record is gone or another's. */
static rm_status check_alive(rm_store *store, MDB_txn *txn, const rm_store__entry *entry)
{
    rm_store__head head;
    MDB_val key = val_of(&entry->key, sizeof(entry->key)), value;
    int rc = mdb_get(txn, store->records, &key, &value);
    if (rc)
        return rm_store__status_of(rc);
    if (!rm_store__record_peek(slice_of(value), &head))
        return RM_ECORRUPT;
    return head.birth == entry->birth ? RM_OK : RM_ENOTFOUND;
}

static rm_status pop(rm_store *store, MDB_cursor *cursor, rm_store__queue queue, rm_store__entry *ret_entry)
{
    MDB_val key, value;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (rc)
        return rm_store__status_of(rc);
    if (value.mv_size != sizeof(*ret_entry))
        return RM_ECORRUPT;
    memcpy(ret_entry, value.mv_data, sizeof(*ret_entry));
    discharge(store, queue, ret_entry->charge);
    return rm_store__status_of(mdb_cursor_del(cursor, 0));
}

/* Takes one head off its queue and does with it what the policy says. RM_ENOTFOUND: both are empty. */
static rm_status evict_one(rm_store *store, MDB_txn *txn, MDB_cursor **cursors, uint64_t now_ms)
{
    rm_store__entry entry;
    rm_store__queue queue =
        rm_store__policy_choose(store->state.queue_bytes[RM_STORE__SMALL], store->state.queue_bytes[RM_STORE__MAIN]);
    rm_status status = pop(store, cursors[queue], queue, &entry);
    if (status == RM_ENOTFOUND) {
        store->state.queue_bytes[queue] = 0;
        queue = queue == RM_STORE__SMALL ? RM_STORE__MAIN : RM_STORE__SMALL;
        status = pop(store, cursors[queue], queue, &entry);
    }
    if (status)
        return status;
    status = check_alive(store, txn, &entry);
    if (status)
        return status == RM_ENOTFOUND ? RM_OK : status;
    if (ended(entry.kept_until_s, now_ms)) {
        store->tally.expired++;
        return rm_store__delete_record(store, txn, entry.key);
    }
    if (rm_store__policy_judge(&store->policy, queue, entry.key) == RM_STORE__KEEP_IN_MAIN)
        return enqueue(store, txn, RM_STORE__MAIN, &entry, store->state.next_sequence++);
    store->tally.evicted++;
    return rm_store__delete_record(store, txn, entry.key);
}

rm_status rm_store__evict_to(rm_store *store, MDB_txn *txn, uint64_t goal, bool *ret_more)
{
    MDB_cursor *cursors[RM_STORE__QUEUE_COUNT] = {NULL, NULL};
    uint64_t now_ms = store->clock->wall_ms(store->clock);
    rm_status status = RM_OK;
    *ret_more = false;
    if (rm_store__used_bytes(store, txn) <= goal)
        return RM_OK;
    for (int queue = 0; queue < RM_STORE__QUEUE_COUNT && !status; queue++)
        status = rm_store__status_of(mdb_cursor_open(txn, store->queues[queue], &cursors[queue]));
    for (uint64_t steps = 0; !status && rm_store__used_bytes(store, txn) > goal; steps++) {
        if (steps == rm_store__ops_max(store) * RM_STORE__EVICT_STEPS_PER_OP) {
            *ret_more = true;
            break;
        }
        status = evict_one(store, txn, cursors, now_ms);
    }
    for (int queue = 0; queue < RM_STORE__QUEUE_COUNT; queue++)
        if (cursors[queue])
            mdb_cursor_close(cursors[queue]);
    return status == RM_ENOTFOUND ? RM_OK : status;
}

/* ---- sweep ------------------------------------------------------------------------------------------------------- */

typedef struct sweep_found {
    size_t count;
    rm_store__queue queue;
    struct {
        uint64_t sequence;
        rm_store__entry entry;
        bool alive;
    } items[RM_STORE__SWEEP_ENTRIES];
} sweep_found;

/* Looks at some entries from where the last sweep stopped; reads only. */
static rm_status sweep_look(rm_store *store, MDB_txn *txn, sweep_found *found)
{
    MDB_cursor *cursor;
    uint64_t now_ms = store->clock->wall_ms(store->clock);
    uint64_t entries = count_of(txn, store->queues[RM_STORE__SMALL]) + count_of(txn, store->queues[RM_STORE__MAIN]);
    uint64_t records = count_of(txn, store->records), dead = entries > records ? entries - records : 0;
    size_t looks = dead > records / 4 ? RM_STORE__SWEEP_ENTRIES_MANY : RM_STORE__SWEEP_ENTRIES;
    int rc = mdb_cursor_open(txn, store->queues[store->sweep.queue], &cursor);
    if (rc)
        return rm_store__status_of(rc);
    uint64_t next = store->sweep.next;
    MDB_val key = val_of(&next, sizeof(next)), value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    rm_status status = RM_OK;
    uint64_t ops = rm_store__ops_max(store), most = ops < RM_COUNT(found->items) ? ops : RM_COUNT(found->items);
    for (; !rc && !status && looks && found->count < most; looks--) {
        rm_store__entry entry;
        if (key.mv_size != sizeof(next) || value.mv_size != sizeof(entry)) {
            status = RM_ECORRUPT;
            break;
        }
        memcpy(&next, key.mv_data, sizeof(next));
        memcpy(&entry, value.mv_data, sizeof(entry));
        bool over = ended(entry.kept_until_s, now_ms);
        rm_status alive = over || dead ? check_alive(store, txn, &entry) : RM_OK;
        if (alive && alive != RM_ENOTFOUND)
            status = alive;
        else if (over || alive) {
            found->items[found->count].sequence = next;
            found->items[found->count].alive = !alive;
            found->items[found->count++].entry = entry;
        }
        store->sweep.next = next + 1;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    found->queue = store->sweep.queue;
    if (rc == MDB_NOTFOUND) { /* its end: the other queue next time */
        store->sweep.queue = found->queue == RM_STORE__SMALL ? RM_STORE__MAIN : RM_STORE__SMALL;
        store->sweep.next = 0;
        rc = 0;
    }
    return status ? status : rm_store__status_of(rc);
}

static rm_status step_sweep(rm_store *store, MDB_txn *txn, void *user)
{
    const sweep_found *found = user;
    rm_status status = RM_OK;
    for (size_t i = 0; i < found->count && !status; i++) {
        MDB_val key = val_of(&found->items[i].sequence, sizeof(uint64_t));
        status = rm_store__status_of(mdb_del(txn, store->queues[found->queue], &key, NULL));
        discharge(store, found->queue, found->items[i].entry.charge);
        if (!status && found->items[i].alive) {
            status = rm_store__delete_record(store, txn, found->items[i].entry.key);
            store->tally.expired++;
        }
    }
    return status;
}

rm_status rm_store__sweep_some(rm_store *store)
{
    MDB_txn *txn;
    int dead_readers;
    if (atomic_load(&store->failed))
        return RM_OK;
    mdb_reader_check(store->cache.env, &dead_readers); /* a killed process that looked would pin its pages */
    sweep_found *found = rm_alloc(sizeof(*found));
    if (!found)
        return RM_ENOMEM;
    found->count = 0;
    rm_status status = rm_store__status_of(mdb_txn_begin(store->cache.env, NULL, MDB_RDONLY, &txn));
    if (!status) {
        status = sweep_look(store, txn, found);
        mdb_txn_abort(txn);
    }
    if (!status && found->count)
        status = rm_store__transact(store, step_sweep, found);
    if (status == RM_ECORRUPT)
        rm_store__fail(store, "sweep", status);
    rm_free(found);
    return status;
}
