/* The writer thread. One turn:
 *
 *     take      what has gathered, up to a commit's bounds, and not past a purge
 *     write     one transaction; where the map is full: evict, once more, then one by one
 *     ledger    its own environment, synced
 *     purge     one bounded piece, so that writes go on between
 *     evict     what was left over; sweep, once a second
 *     finish    free, count what was lost, wake who waits */
#include "store_internal.h"

#include <time.h>
#include <unistd.h>

#define ROOM_ROUNDS  2  /* pages freed by one transaction may be used again by the one after the next */
#define ROOM_TURNS   32 /* transactions that it may take to evict: */
#define ROOM_SHARE   32 /* of bytes_max, when the map is full */
#define SLOW_FAULT_S 2
#define NS_A_SECOND  1000000000ULL

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_A_SECOND + (uint64_t)now.tv_nsec;
}

/* ---- take -------------------------------------------------------------------------------------------------------- */

static bool takeable(const rm_store *store)
{
    return store->first && !(store->first->kind == RM_STORE__PURGE && store->purge.wait);
}

/* Moves what one turn does to store->batch. A purge ends the batch: what came before it is committed first. */
static void cut_batch(rm_store *store)
{
    size_t ops = 0, bytes = 0;
    rm_store__op **end = &store->batch;
    const uint64_t ops_max = rm_store__ops_max(store);
    while (takeable(store)) {
        rm_store__op *op = store->first;
        if (ops && (ops + op->writes > ops_max || bytes + op->bytes > store->batch_bytes_max))
            break;
        store->first = op->next;
        store->queue_ops--;
        store->queue_bytes -= op->bytes;
        ops += op->writes;
        bytes += op->bytes;
        *end = op;
        end = &op->next;
        if (op->kind == RM_STORE__PURGE)
            break;
    }
    *end = NULL;
    if (!store->first) {
        store->last = &store->first;
        store->urgent = false;
    }
}

static void wait_until(rm_store *store, uint64_t due_ns)
{
    struct timespec due = {(time_t)(due_ns / NS_A_SECOND), (long)(due_ns % NS_A_SECOND)};
    pthread_cond_timedwait(&store->wake, &store->lock, &due);
}

/* Waits until there is something to do; false: the end. */
static bool take(rm_store *store)
{
    bool going = true;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        uint64_t now = now_ns(), gathered = store->commit_due_ns;
        if (store->purge.wait || store->evict_more || now >= store->swept_ns + RM_STORE__SWEEP_NS)
            break;
        if (store->first &&
            (store->stop || store->urgent || now >= gathered || store->queue_ops >= store->batch_ops_max))
            break;
        if (!store->first && store->stop) {
            going = false;
            break;
        }
        wait_until(store, store->first ? gathered : store->swept_ns + RM_STORE__SWEEP_NS);
    }
    cut_batch(store);
    pthread_mutex_unlock(&store->lock);
    return going;
}

/* ---- write ------------------------------------------------------------------------------------------------------- */

static rm_status save_state(rm_store *store, MDB_txn *txn)
{
    MDB_val key = {sizeof("state") - 1, (void *)(uintptr_t) "state"};
    MDB_val value = {sizeof(store->state), &store->state};
    return rm_store__status_of(mdb_put(txn, store->meta, &key, &value, 0));
}

static rm_status commit(MDB_txn *txn)
{
    if (rm_fault(RM_FAULT_STORE_SLOW))
        sleep(SLOW_FAULT_S);
    rm_status status = rm_fault(RM_FAULT_STORE_FULL) ? RM_EFULL : rm_fault(RM_FAULT_STORE_COMMIT) ? RM_EIO : RM_OK;
    if (status) {
        mdb_txn_abort(txn);
        return status;
    }
    return rm_store__status_of(mdb_txn_commit(txn));
}

static void count_tally(rm_store *store)
{
    const rm_store__tally *tally = &store->tally;
    rm_store__count(&store->counts.commits, 1);
    rm_store__count(&store->counts.puts, tally->puts);
    rm_store__count(&store->counts.evicted, tally->evicted);
    rm_store__count(&store->counts.expired, tally->expired);
    rm_store__count(&store->counts.compressed_in_bytes, tally->packed_in);
    rm_store__count(&store->counts.compressed_out_bytes, tally->packed_out);
    atomic_store_explicit(&store->counts.entries, tally->entries, memory_order_relaxed);
    atomic_store_explicit(&store->counts.bytes, tally->bytes, memory_order_relaxed);
}

rm_status rm_store__transact(rm_store *store, rm_store__step_fn step, void *user)
{
    MDB_txn *txn;
    rm_store__state before = store->state;
    if (atomic_load(&store->failed))
        return RM_EIO;
    store->tally = (rm_store__tally){0};
    rm_status status = rm_store__status_of(mdb_txn_begin(store->cache.env, NULL, 0, &txn));
    if (!status) {
        status = step(store, txn, user);
        if (!status && memcmp(&before, &store->state, sizeof(before)) != 0)
            status = save_state(store, txn);
        if (status) {
            mdb_txn_abort(txn);
        } else {
            rm_store__measure(store, txn, &store->tally.entries, &store->tally.bytes);
            status = commit(txn);
        }
    }
    if (status) {
        store->state = before;
        if (status == RM_ECORRUPT)
            rm_store__fail(store, "write", status);
        return status;
    }
    count_tally(store);
    return RM_OK;
}

static rm_status apply(rm_store *store, MDB_txn *txn, rm_store__op *op)
{
    switch (op->kind) {
    case RM_STORE__PUT:
        return rm_store__apply_put(store, txn, op);
    case RM_STORE__DELETE:
    case RM_STORE__DELETE_CORRUPT:
        return rm_store__apply_delete(store, txn, op);
    case RM_STORE__ANNEX:
        return rm_store__apply_annex(store, txn, op);
    case RM_STORE__ANNEX_CORRUPT:
        return rm_store__apply_corrupt_annex(store, txn, op);
    case RM_STORE__NOTES:
        return rm_store__apply_notes(store, txn, op);
    case RM_STORE__LEDGER:
    case RM_STORE__PURGE:
    case RM_STORE__FLUSH:
    case RM_STORE__SWEEP:
        break; /* not of this transaction */
    }
    return RM_OK;
}

static bool of_cache(const rm_store__op *op)
{
    return op->kind < RM_STORE__LEDGER;
}

static rm_status step_evict(rm_store *store, MDB_txn *txn, void *user)
{
    (void)user;
    return rm_store__evict_to(store, txn, store->bytes_goal, &store->evict_more);
}

static rm_status step_batch(rm_store *store, MDB_txn *txn, void *user)
{
    rm_status status = RM_OK;
    for (rm_store__op *op = store->batch; op && !status; op = op->next)
        status = apply(store, txn, op);
    return status ? status : step_evict(store, txn, user);
}

static rm_status step_one(rm_store *store, MDB_txn *txn, void *op)
{
    return apply(store, txn, op);
}

typedef struct room_needed {
    uint64_t bytes, goal;
    bool begun, more;
} room_needed;

static rm_status step_room(rm_store *store, MDB_txn *txn, void *user)
{
    room_needed *room = user;
    uint64_t used = rm_store__used_bytes(store, txn);
    if (!room->begun)
        room->goal = used > room->bytes ? used - room->bytes : 0;
    room->begun = true;
    return rm_store__evict_to(store, txn, room->goal, &room->more);
}

/* A commit of as few pages as can be: what the one before it freed may be used by the next. */
static rm_status step_age(rm_store *store, MDB_txn *txn, void *user)
{
    (void)user;
    return save_state(store, txn);
}

static void make_room(rm_store *store, uint64_t batch_bytes)
{
    uint64_t share = store->bytes_max / ROOM_SHARE;
    if (rm_store__transact(store, step_age, NULL))
        return;
    bool fits = batch_bytes < store->bytes_goal; /* else it is not worth what it would drive out */
    for (int round = 0; round < ROOM_ROUNDS; round++) {
        room_needed room = {.bytes = fits && batch_bytes > share ? batch_bytes : share, .more = true};
        for (int turn = 0; turn < ROOM_TURNS && room.more; turn++)
            if (rm_store__transact(store, step_room, &room))
                return;
    }
}

static void write_batch(rm_store *store)
{
    uint64_t bytes = 0;
    bool any = false;
    for (const rm_store__op *op = store->batch; op; op = op->next) {
        any |= of_cache(op);
        bytes += of_cache(op) ? op->bytes : 0;
    }
    if (!any)
        return;
    rm_status status = rm_store__transact(store, step_batch, NULL);
    if (status == RM_EFULL) {
        make_room(store, bytes);
        status = rm_store__transact(store, step_batch, NULL);
    }
    for (rm_store__op *op = store->batch; op; op = op->next)
        if (of_cache(op))
            op->status = status == RM_EFULL ? rm_store__transact(store, step_one, op) : status;
}

/* ---- the other work of a turn ------------------------------------------------------------------------------------ */

static void start_purge(rm_store *store, rm_store__wait *wait)
{
    store->purge.wait = wait;
    store->purge.births_below = store->state.next_sequence;
    store->purge.started = false;
}

static void wake_waiter(rm_store *store, rm_store__wait *wait, rm_status status)
{
    pthread_mutex_lock(&store->lock);
    wait->status = status;
    wait->done = true;
    pthread_cond_broadcast(&store->done);
    pthread_mutex_unlock(&store->lock);
}

static void go_on_purging(rm_store *store)
{
    bool done = false;
    rm_status status = rm_store__purge_some(store, &done);
    if (!status && !done)
        return;
    rm_store__wait *wait = store->purge.wait;
    store->purge.wait = NULL;
    wake_waiter(store, wait, status ? RM_EIO : RM_OK);
}

static void sweep(rm_store *store, bool asked)
{
    uint64_t now = now_ns();
    if (!asked && now < store->swept_ns + RM_STORE__SWEEP_NS)
        return;
    store->swept_ns = now;
    if (store->cache.env && rm_store__sweep_some(store))
        rm_store__count(&store->counts.commit_errors, 1);
}

static void forget_pending(rm_store *store)
{
    for (rm_store__op *op = store->batch; op; op = op->next)
        if (op->kind == RM_STORE__PUT)
            rm_store__pending_remove(&store->pending_records, op->key, op);
        else if (op->kind == RM_STORE__ANNEX)
            rm_store__pending_remove(&store->pending_annexes, op->key, op);
}

/* A commit costs its syncs and the pages near the root, however much it holds: the busier, the rarer. What is queued is
 * readable at once (pending.c), so that only a crash can tell. */
static uint64_t gather_ns(const rm_store *store)
{
    uint64_t ops = 0;
    for (const rm_store__op *op = store->batch; op; op = op->next)
        ops++;
    uint64_t ns = RM_STORE__GATHER_NS + ops * RM_STORE__GATHER_OP_NS;
    return ns < RM_STORE__GATHER_NS_MAX ? ns : RM_STORE__GATHER_NS_MAX;
}

static void turn(rm_store *store)
{
    bool sweep_asked = false;
    bool wrote = store->batch != NULL;
    write_batch(store);
    forget_pending(store); /* before a purge is told done */
    for (rm_store__op *op = store->batch; op; op = op->next) {
        if (op->kind == RM_STORE__LEDGER)
            op->status = rm_store__ledger_apply(store, op);
        else if (op->kind == RM_STORE__PURGE)
            start_purge(store, op->wait);
        else if (op->kind == RM_STORE__SWEEP)
            sweep_asked = true;
    }
    if (store->purge.wait)
        go_on_purging(store);
    if (!wrote && store->evict_more && rm_store__transact(store, step_evict, NULL))
        store->evict_more = false; /* the next write tries again */
    sweep(store, sweep_asked);
    if (wrote)
        store->commit_due_ns = now_ns() + gather_ns(store);
}

/* A turn in which LMDB finds damage by assertion ends here; its transaction is left behind, nothing is begun again. */
static void guarded_turn(rm_store *store)
{
    jmp_buf jump;
    if (setjmp(jump)) {
        rm_store__guard = NULL;
        rm_store__fail(store, "write", RM_ECORRUPT);
        store->evict_more = false;
        for (rm_store__op *op = store->batch; op; op = op->next)
            if (op->kind == RM_STORE__PURGE)
                store->purge.wait = op->wait; /* whether or not the turn came to it; the next one ends it */
            else if (of_cache(op))
                op->status = RM_EIO;
        return;
    }
    rm_store__guard = &jump;
    turn(store);
    rm_store__guard = NULL;
}

/* ---- finish ------------------------------------------------------------------------------------------------------ */

static void finish(rm_store *store)
{
    forget_pending(store); /* where the turn was cut short */
    for (rm_store__op *op = store->batch, *next; op; op = next) {
        next = op->next;
        if (op->status == RM_EFULL && of_cache(op))
            rm_store__count(&store->counts.dropped_map_full, 1);
        else if (op->status)
            rm_store__count(&store->counts.commit_errors, 1);
        if (op->status)
            rm_log_limited(RM_LOG_WARN, "store", "a write was dropped: %s", rm_status_text(op->status));
        if (op->kind == RM_STORE__FLUSH || op->kind == RM_STORE__SWEEP)
            wake_waiter(store, op->wait, atomic_load(&store->failed) ? RM_EIO : RM_OK);
        rm_store__op_unref(op);
    }
    store->batch = NULL;
}

void *rm_store__writer_main(void *user)
{
    rm_store *store = user;
    rm_thread_background();
    while (take(store)) {
        guarded_turn(store);
        finish(store);
    }
    return NULL;
}
