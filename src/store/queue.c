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
        op->writes = 1;
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

/* It can be found from now on. */
static rm_status post_pending(rm_store *store, rm_store__pending *pending, rm_store__op *op)
{
    rm_store__pending_add(pending, op);
    rm_status status = rm_store__post(store, op);
    if (status) {
        rm_store__pending_remove(pending, op->key, op);
        rm_store__op_unref(op);
    }
    return status;
}

static rm_status check_writable(const rm_store *store)
{
    if (store->read_only)
        return RM_EREFUSED;
    return atomic_load_explicit(&store->failed, memory_order_relaxed) ? RM_EIO : RM_OK;
}

rm_status rm_store_put(rm_store *store, const rm_record *record)
{
    size_t bytes;
    rm_status status = check_writable(store);
    if (!status)
        status = rm_store__record_bytes(record, &bytes);
    if (status)
        return status;
    rm_store__op *op = op_create(RM_STORE__PUT, bytes);
    if (!op)
        return RM_ENOMEM;
    op->key = record->key;
    rm_store__record_write(record, op->data);
    return post_pending(store, &store->pending_records, op);
}

rm_status rm_store_delete(rm_store *store, rm_key128 key)
{
    if (store->read_only)
        return RM_EREFUSED;
    rm_store__op *op = op_create(RM_STORE__DELETE, 0);
    if (!op)
        return RM_ENOMEM;
    op->key = key;
    rm_store__pending_remove(&store->pending_records, key, NULL);
    return post_or_free(store, op);
}

rm_status rm_store_put_annex(rm_store *store, rm_key128 record, uint64_t id, rm_slice bytes)
{
    rm_store__leaf leaf = {.name = {.hi = id}, .record = record, .bytes = bytes};
    rm_status status = check_writable(store);
    if (status)
        return status;
    if (!id || id == UINT64_MAX)
        return RM_EINVAL;
    if (bytes.len > RM_STORE_ANNEX_BYTES_MAX)
        return RM_ETOOBIG;
    rm_store__op *op = op_create(RM_STORE__ANNEX, rm_store__sealed_bytes(RM_STORE__SEALED_ANNEX, bytes.len));
    if (!op)
        return RM_ENOMEM;
    op->key = (rm_key128){.lo = id};
    rm_store__seal_write(RM_STORE__SEALED_ANNEX, &leaf, op->data);
    return post_pending(store, &store->pending_annexes, op);
}

/* What the operation's data takes. */
static rm_status measure_notes(const rm_store_note *notes, size_t count, size_t *ret_bytes)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (notes[i].bytes.len > RM_STORE_ANNEX_BYTES_MAX)
            return RM_ETOOBIG;
        bytes += sizeof(uint64_t) + rm_store__sealed_bytes(RM_STORE__SEALED_NOTE, notes[i].bytes.len);
        if (bytes > RM_STORE_BATCH_BYTES_MAX)
            return RM_ETOOBIG;
    }
    *ret_bytes = bytes;
    return RM_OK;
}

rm_status rm_store_put_notes(rm_store *store, const rm_store_note *notes, size_t count)
{
    size_t all;
    rm_status status = check_writable(store);
    if (!status)
        status = measure_notes(notes, count, &all);
    if (status || !count)
        return status;
    rm_store__op *op = op_create(RM_STORE__NOTES, all);
    if (!op)
        return RM_ENOMEM;
    op->writes = (uint32_t)count;
    char *at = op->data;
    for (size_t i = 0; i < count; i++) {
        rm_store__leaf leaf = {.name = notes[i].name, .bytes = notes[i].bytes};
        uint64_t bytes = rm_store__sealed_bytes(RM_STORE__SEALED_NOTE, leaf.bytes.len);
        memcpy(at, &bytes, sizeof(bytes));
        rm_store__seal_write(RM_STORE__SEALED_NOTE, &leaf, at + sizeof(bytes));
        at += sizeof(bytes) + bytes;
    }
    return post_or_free(store, op);
}

void rm_store__drop_corrupt(rm_store *store, rm_store__kind kind, rm_key128 key)
{
    rm_store__count(&store->counts.corrupt, 1);
    rm_log_limited(RM_LOG_WARN, "store", "%s: a damaged %s was found and is deleted", store->folder,
                   kind == RM_STORE__DELETE_CORRUPT ? "record" : "annex");
    if (store->read_only)
        return;
    rm_store__op *op = op_create(kind, 0);
    if (!op)
        return;
    op->key = key;
    post_or_free(store, op); /* refused: the next who finds it tries again */
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
