/* A queued record can be read at once: whoever was just answered and asks again finds it, whether or not the writer has
 * come to it. An operation is in this table from the call of rm_store_put to its commit; a reader that takes a record
 * from it holds the operation. Bounded by the queue, whose operations these are. Annexes have such a table of their own. */
#include "store_internal.h"

static rm_store__pending_shard *shard_of(rm_store__pending *pending, rm_key128 key)
{
    return &pending->shards[key.lo % RM_STORE__PENDING_SHARDS];
}

void rm_store__pending_init(rm_store__pending *pending)
{
    for (unsigned i = 0; i < RM_STORE__PENDING_SHARDS; i++) {
        pthread_mutex_init(&pending->shards[i].lock, NULL);
        rm_map_init(&pending->shards[i].map);
    }
}

void rm_store__pending_deinit(rm_store__pending *pending)
{
    for (unsigned i = 0; i < RM_STORE__PENDING_SHARDS; i++) {
        pthread_mutex_destroy(&pending->shards[i].lock);
        rm_map_deinit(&pending->shards[i].map);
    }
}

void rm_store__op_unref(rm_store__op *op)
{
    if (atomic_fetch_sub_explicit(&op->more_refs, 1, memory_order_acq_rel) == 0)
        rm_free(op);
}

void rm_store__pending_add(rm_store__pending *pending, rm_store__op *op)
{
    rm_store__pending_shard *shard = shard_of(pending, op->key);
    pthread_mutex_lock(&shard->lock);
    bool replaces = rm_map_get(&shard->map, op->key) != NULL;
    /* Without memory the record is found after its commit. */
    if (rm_map_put(&shard->map, op->key, op) == RM_OK && !replaces)
        atomic_fetch_add_explicit(&pending->count, 1, memory_order_release);
    pthread_mutex_unlock(&shard->lock);
}

void rm_store__pending_remove(rm_store__pending *pending, rm_key128 key, const rm_store__op *only)
{
    rm_store__pending_shard *shard = shard_of(pending, key);
    pthread_mutex_lock(&shard->lock);
    rm_store__op *there = rm_map_get(&shard->map, key);
    if (there && (!only || there == only)) {
        rm_map_remove(&shard->map, key);
        atomic_fetch_sub_explicit(&pending->count, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&shard->lock);
}

rm_store__op *rm_store__pending_get(rm_store__pending *pending, rm_key128 key)
{
    if (atomic_load_explicit(&pending->count, memory_order_acquire) == 0)
        return NULL;
    rm_store__pending_shard *shard = shard_of(pending, key);
    pthread_mutex_lock(&shard->lock);
    rm_store__op *op = rm_map_get(&shard->map, key);
    if (op)
        atomic_fetch_add_explicit(&op->more_refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&shard->lock);
    return op;
}
