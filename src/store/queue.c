/* The bounded queue in front of the writer, and the calls that fill it. */
#include "store_internal.h"

static void append(rm_store *store, rm_store__op *op)
{
    op->next = NULL;
    *store->last = op;
    store->last = &op->next;
    store->queue_ops++;
    store->queue_bytes += op->bytes;
}

static bool queue_full(const rm_store *store, const rm_store__op *op)
{
    return rm_fault(RM_FAULT_STORE_QUEUE_FULL) || store->queue_ops >= RM_STORE_QUEUE_OPS_MAX ||
           store->queue_bytes + op->bytes > RM_STORE_QUEUE_BYTES_MAX;
}

rm_status rm_store__post(rm_store *store, rm_store__op *op)
{
    bool waits = op->wait != NULL; /* somebody blocks for it: never refused, and there are few of them */
    pthread_mutex_lock(&store->lock);
    if (!waits && queue_full(store, op)) {
        pthread_mutex_unlock(&store->lock);
        rm_store__count(&store->counts.dropped_queue_full, 1);
        return RM_EBUSY;
    }
    append(store, op);
    store->urgent |= waits;
    /* In between the writer is busy, or gathers until its time has come. */
    bool wake = waits || store->queue_ops == 1 || store->queue_ops == store->batch_ops_max;
    pthread_mutex_unlock(&store->lock);
    if (wake)
        pthread_cond_signal(&store->wake);
    return RM_OK;
}

static rm_store__op *op_create(rm_store__kind kind, size_t bytes)
{
    rm_store__op *op = bytes <= SIZE_MAX - sizeof(*op) ? rm_alloc(sizeof(*op) + bytes) : NULL;
    if (op) {
        memset(op, 0, sizeof(*op));
        op->kind = kind;
        op->bytes = bytes;
    }
    return op;
}

static rm_status post_or_free(rm_store *store, rm_store__op *op)
{
    rm_status status = rm_store__post(store, op);
    if (status)
        rm_store__op_unref(op);
    return status;
}

rm_status rm_store__post_and_wait(rm_store *store, rm_store__kind kind, rm_store__wait *wait)
{
    if (store->read_only)
        return RM_EREFUSED;
    rm_store__op *op = op_create(kind, 0);
    if (!op)
        return RM_ENOMEM;
    op->wait = wait;
    rm_status status = post_or_free(store, op);
    if (status)
        return status;
    pthread_mutex_lock(&store->lock);
    while (!wait->done)
        pthread_cond_wait(&store->done, &store->lock);
    pthread_mutex_unlock(&store->lock);
    return wait->status;
}

rm_status rm_store_put(rm_store *store, const rm_record *record)
{
    size_t bytes;
    if (store->read_only)
        return RM_EREFUSED;
    if (atomic_load_explicit(&store->failed, memory_order_relaxed))
        return RM_EIO;
    rm_status status = rm_store__record_bytes(record, &bytes);
    if (status)
        return status;
    rm_store__op *op = op_create(RM_STORE__PUT, bytes);
    if (!op)
        return RM_ENOMEM;
    op->key = record->key;
    rm_store__record_write(record, op->data);
    rm_store__pending_add(store, op);
    status = rm_store__post(store, op);
    if (status) {
        rm_store__pending_remove(store, op->key, op);
        rm_store__op_unref(op);
    }
    return status;
}

rm_status rm_store_delete(rm_store *store, rm_key128 key)
{
    if (store->read_only)
        return RM_EREFUSED;
    rm_store__op *op = op_create(RM_STORE__DELETE, 0);
    if (!op)
        return RM_ENOMEM;
    op->key = key;
    rm_store__pending_remove(store, key, NULL);
    return post_or_free(store, op);
}

rm_status rm_store_ledger_add(rm_store *store, const rm_ledger_row *rows, size_t count)
{
    if (store->read_only)
        return RM_EREFUSED;
    if (!count)
        return RM_OK;
    rm_store__op *op =
        count <= RM_STORE_QUEUE_BYTES_MAX / sizeof(*rows) ? op_create(RM_STORE__LEDGER, count * sizeof(*rows)) : NULL;
    if (!op)
        return RM_ENOMEM;
    memcpy(op->data, rows, op->bytes);
    return post_or_free(store, op);
}

rm_status rm_store_flush(rm_store *store)
{
    rm_store__wait wait = {.done = false};
    return rm_store__post_and_wait(store, RM_STORE__FLUSH, &wait);
}

rm_status rm_store__sweep_now(rm_store *store)
{
    rm_store__wait wait = {.done = false};
    return rm_store__post_and_wait(store, RM_STORE__SWEEP, &wait);
}

rm_status rm_store_purge(rm_store *store, const rm_store_filter *filter, uint64_t *ret_count)
{
    rm_store__wait wait = {.filter = *filter};
    rm_status status = rm_store__post_and_wait(store, RM_STORE__PURGE, &wait);
    if (!status)
        *ret_count = wait.count;
    return status;
}
