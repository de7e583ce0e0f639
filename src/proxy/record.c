/* What becomes of a finished answer: a record in the cache, if it may be kept. */
#include "proxy_internal.h"

static bool keep(rm_fetch *fetch, rm_record_form form, rm_slice content)
{
    rm_worker *worker = fetch->worker;
    const rm_config *config = fetch->generation->config;
    uint64_t now_ms = rm_proxy__wall_ms();
    uint64_t stale_ms = config->cache.exact.stale_while_revalidate_ms;
    if (config->cache.exact.stale_if_error_ms > stale_ms)
        stale_ms = config->cache.exact.stale_if_error_ms;
    rm_record record = {
        .key = fetch->key,
        .tenant = fetch->tenant,
        .name_space = fetch->name_space,
        .model = fetch->answer.model.len ? fetch->answer.model : fetch->requested_model,
        .id = {fetch->id, sizeof fetch->id - 1},
        .canonical = rm_blob_slice(fetch->canonical),
        .content = content,
        .content_type = fetch->content_type,
        .form = form,
        .op = fetch->op,
        .created_ms = now_ms,
        .expires_ms = now_ms + fetch->ttl_ms,
        .stale_until_ms = now_ms + fetch->ttl_ms + stale_ms,
        .usage = fetch->answer.usage,
        .cost_usd = rm_fetch__cost(fetch),
    };
    rm_status status = rm_store_put(worker->proxy->store, &record);
    if (status != RM_OK)
        rm_observer_fault(worker->observer, RM_STAGE_STORE);
    return status == RM_OK;
}

/* A whole answer that could be kept: it is, where it may be, and teaches the semantic cache. */
static void take(rm_fetch *fetch, rm_record_form form, rm_slice content)
{
    bool kept = fetch->store && fetch->worker->proxy->store && keep(fetch, form, content);
    if (fetch->inquiry)
        rm_inquiry__answered(fetch->inquiry, fetch->op, form == RM_RECORD_EVENTS, content, rm_fetch__cost(fetch), kept);
}

static bool is_wanted(const rm_fetch *fetch, bool stream)
{
    return ((fetch->store && fetch->worker->proxy->store) || fetch->inquiry) &&
           rm_exact_storable(fetch->generation->config, fetch->status, &fetch->answer, stream);
}

void rm_fetch__record_body(rm_fetch *fetch, rm_slice body)
{
    if (is_wanted(fetch, false))
        take(fetch, RM_RECORD_BODY, body);
}

typedef struct gathering {
    rm_op op;
    rm_buf text;
} gathering;

/* A record is only ever served as a hit, which costs nothing: so its usage says. */
static bool gather(void *user, uint32_t flags, rm_slice bytes)
{
    gathering *to = user;
    size_t before = to->text.len;
    if (flags & RM_CHUNK_USAGE) {
        if (rm_proxy__set_cost(to->op, bytes, 0, &to->text) == RM_OK)
            return true;
        to->text.len = before;
        to->text.status = RM_OK;
    }
    return rm_buf_append_slice(&to->text, bytes) == RM_OK;
}

/* One entry serves both forms, so a stream that does not make a whole answer is none to keep. */
static bool is_whole(rm_fetch *fetch, rm_slice events)
{
    rm_buf *render = &fetch->worker->render;
    rm_buf_clear(render);
    return rm_provider_events_to_body(fetch->op, events, render) == RM_OK;
}

void rm_fetch__record_events(rm_fetch *fetch)
{
    if (!is_wanted(fetch, true))
        return;
    fetch->stored = true;
    gathering all = {.op = fetch->op};
    rm_buf_init(&all.text, RM_STORE_RECORD_BYTES_MAX);
    bool whole = rm_flight_play(fetch->flight, gather, &all);
    if (whole && is_whole(fetch, rm_buf_slice(&all.text)))
        take(fetch, RM_RECORD_EVENTS, rm_buf_slice(&all.text));
    else if (all.text.status != RM_OK)
        rm_observer_fault(fetch->worker->observer, RM_STAGE_RECORD);
    rm_buf_deinit(&all.text);
}
