/* Numbers by names that callers and operators choose: bounded, then "other". The thread that owns a table is the only
 * one that adds to it; a series is published by a release store of the count, after which its names never change. */
#include "observe_internal.h"

static uint64_t hash_model(const rm_receipt *receipt)
{
    return rm_hash64(receipt->requested_model) * 0x9e3779b97f4a7c15ULL + rm_hash64(receipt->upstream) +
           (uint64_t)receipt->op;
}

static rm_observe__model_series *publish_model(rm_observe__series *series, uint64_t hash, const rm_receipt *receipt,
                                               bool other)
{
    unsigned count = atomic_load_explicit(&series->model_count, memory_order_relaxed);
    rm_observe__model_series *made = rm_calloc(1, sizeof(*made));
    if (!made)
        return NULL;
    made->hash = hash;
    made->op = other ? RM_OP_OTHER : receipt->op;
    rm_observe__copy_name(made->upstream, sizeof(made->upstream), other ? RM_SLICE("other") : receipt->upstream,
                          "none");
    rm_observe__copy_name(made->model, sizeof(made->model), other ? RM_SLICE("other") : receipt->requested_model,
                          "unknown");
    atomic_store_explicit(&series->models[count], made, memory_order_relaxed);
    atomic_store_explicit(&series->model_count, count + 1, memory_order_release);
    return made;
}

/* The hash stands for the names: 64 bits over at most RM_METRIC_SERIES_MAX of them. */
static rm_observe__model_series *find_model(rm_observe__series *series, const rm_receipt *receipt)
{
    uint64_t hash = hash_model(receipt);
    for (;;) {
        size_t slot = hash & (RM_OBSERVE__SERIES_SLOTS - 1);
        for (; series->slots[slot]; slot = (slot + 1) & (RM_OBSERVE__SERIES_SLOTS - 1)) {
            rm_observe__model_series *at =
                atomic_load_explicit(&series->models[series->slots[slot] - 1], memory_order_relaxed);
            if (at->hash == hash)
                return at;
        }
        unsigned count = atomic_load_explicit(&series->model_count, memory_order_relaxed);
        /* The last one is kept for all that finds no place of its own; its hash is 0. */
        if (hash != 0 && count >= RM_METRIC_SERIES_MAX - 1) {
            hash = 0;
            continue;
        }
        rm_observe__model_series *made = publish_model(series, hash, receipt, hash == 0);
        if (made)
            series->slots[slot] = (uint16_t)(count + 1);
        return made;
    }
}

static rm_observe__upstream_series *find_upstream(rm_observe__series *series, rm_slice name)
{
    unsigned count = atomic_load_explicit(&series->upstream_count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++) {
        rm_observe__upstream_series *at = atomic_load_explicit(&series->upstreams[i], memory_order_relaxed);
        if (rm_slice_eq(name, rm_slice_cstr(at->upstream)))
            return at;
    }
    if (count > RM_UPSTREAMS_MAX)
        return NULL;
    rm_observe__upstream_series *made = rm_calloc(1, sizeof(*made));
    if (!made)
        return NULL;
    rm_observe__copy_name(made->upstream, sizeof(made->upstream), name, "none");
    atomic_store_explicit(&series->upstreams[count], made, memory_order_relaxed);
    atomic_store_explicit(&series->upstream_count, count + 1, memory_order_release);
    return made;
}

bool rm_observe__series_settle(rm_observe__series *series, const rm_receipt *receipt)
{
    bool asked = receipt->upstream_ns > 0 && receipt->upstream.len > 0 && receipt->outcome != RM_OUTCOME_MERGED;
    if (!asked)
        return true;
    rm_observe__upstream_series *upstream = find_upstream(series, receipt->upstream);
    if (upstream) {
        rm_observe__add(&upstream->answers[rm_observe__class_of(receipt->status)], 1);
        rm_observe__add(&upstream->tries, receipt->tries);
    }
    /* Names that the upstream refused are not worth a series: anybody can make them up. */
    if (!rm_observe__is_model_call(receipt) || receipt->status >= 400)
        return upstream != NULL;
    rm_observe__model_series *model = find_model(series, receipt);
    if (!model)
        return false;
    rm_observe__record(&model->duration, rm_observe__duration_bounds, receipt->upstream_ns);
    if (receipt->usage.input_tokens >= 0)
        rm_observe__record(&model->input_tokens, rm_observe__token_bounds, (uint64_t)receipt->usage.input_tokens);
    if (receipt->usage.output_tokens >= 0)
        rm_observe__record(&model->output_tokens, rm_observe__token_bounds, (uint64_t)receipt->usage.output_tokens);
    return upstream != NULL;
}

void rm_observe__series_deinit(rm_observe__series *series)
{
    unsigned models = atomic_load(&series->model_count), upstreams = atomic_load(&series->upstream_count);
    for (unsigned i = 0; i < models; i++)
        rm_free(atomic_load(&series->models[i]));
    for (unsigned i = 0; i < upstreams; i++)
        rm_free(atomic_load(&series->upstreams[i]));
}
