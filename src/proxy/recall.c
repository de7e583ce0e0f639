/* Answers from the cache: exact repeats, and stale ones where the configuration allows it. */
#include "proxy_internal.h"

static rm_slice media_type(const rm_exchange *exchange, const rm_record *record)
{
    if (exchange->stream)
        return RM_SLICE("text/event-stream; charset=utf-8");
    return record->form == RM_RECORD_BODY && record->content_type.len ? record->content_type
                                                                      : RM_SLICE("application/json");
}

/* Says and sends a kept answer. */
static void reply_kept(rm_exchange *exchange, rm_outcome outcome, rm_slice type, rm_slice content, uint64_t age_s)
{
    rm_reply_head reply;
    rm_reply__init(&reply);
    exchange->outcome = outcome;
    exchange->reason = outcome == RM_OUTCOME_STALE ? RM_REASON_STALE
                       : exchange->semantic        ? RM_REASON_SEMANTIC
                                                   : RM_REASON_HIT;
    exchange->cost_usd = 0;
    rm_reply__add(&reply, RM_SLICE("Content-Type"), type);
    if (exchange->stream)
        rm_reply__add(&reply, RM_SLICE("Cache-Control"), RM_SLICE("no-cache"));
    rm_reply__add_u64(&reply, RM_SLICE("Age"), age_s);
    rm_reply__add_remora(&reply, exchange, true);
    rm_reply__send(exchange, &reply, 200, content, (int64_t)content.len);
}

static void take_facts(rm_exchange *exchange, const rm_record *record)
{
    exchange->usage = record->usage;
    exchange->saved_usd = record->cost_usd;
    exchange->model = rm_arena_dup(rm_req_arena(exchange->req), record->model); /* the record is given back before */
}

static uint64_t age_s_of(const rm_record *record, uint64_t now_ms)
{
    return now_ms > record->created_ms ? (now_ms - record->created_ms) / 1000 : 0;
}

/* Into `*ret_content`; a failure is counted, and makes it a miss. */
static rm_status render(rm_exchange *exchange, const rm_request_info *info, const rm_record *record, uint64_t now_ms,
                        rm_slice *ret_content)
{
    rm_worker *worker = exchange->worker;
    rm_buf_clear(&worker->render);
    rm_status status =
        rm_exact_render(record, info, exchange->generation->config, now_ms, &worker->rng, &worker->render, ret_content);
    if (status != RM_OK)
        rm_observer_fault(worker->observer, RM_STAGE_REPLAY);
    return status;
}

/* The answer is past its time but may still serve if the upstream fails. */
static void keep_stale(rm_exchange *exchange, const rm_record *record, rm_slice content, uint64_t now_ms)
{
    rm_stale *stale = rm_calloc(1, sizeof *stale);
    rm_blob *copy = stale ? rm_blob_create_copy(content) : NULL;
    if (!copy) {
        rm_free(stale);
        return;
    }
    stale->content = copy;
    stale->age_s = age_s_of(record, now_ms);
    stale->saved_usd = record->cost_usd;
    stale->usage = record->usage;
    rm_proxy__keep_text(stale->model, sizeof stale->model, record->model);
    exchange->stale = stale;
}

bool rm_exchange__serve_stale(rm_exchange *exchange)
{
    rm_stale *stale = exchange->stale;
    if (!stale)
        return false;
    exchange->usage = stale->usage;
    exchange->saved_usd = stale->saved_usd;
    exchange->model = rm_slice_cstr(stale->model);
    rm_slice type = exchange->stream ? RM_SLICE("text/event-stream; charset=utf-8") : RM_SLICE("application/json");
    reply_kept(exchange, RM_OUTCOME_STALE, type, rm_blob_slice(stale->content), stale->age_s);
    return true;
}

/* Asks the upstream once more for everybody, while this caller gets the stale answer. */
static void revalidate(rm_exchange *exchange, const rm_request_info *info, const rm_exact_key *key)
{
    rm_fetch_plan plan = {
        .exchange = exchange,
        .upstream = rm_policy_upstream(exchange->generation->config, info->model, exchange->dialect),
        .info = info,
        .key = key,
        .merge = true,
        .store = exchange->decision.store,
    };
    rm_fetch *fetch;
    /* RM_EBUSY: somebody is asking already. */
    rm_status status = rm_fetch__start(exchange->worker, &plan, &fetch);
    if (status != RM_OK && status != RM_EBUSY)
        rm_observer_fault(exchange->worker->observer, RM_STAGE_MERGE);
}

static bool serve(rm_exchange *exchange, const rm_request_info *info, const rm_exact_key *key, const rm_record *record,
                  rm_freshness freshness, uint64_t now_ms)
{
    rm_slice content;
    if (render(exchange, info, record, now_ms, &content) != RM_OK)
        return false;
    if (freshness == RM_STALE_ERROR) {
        keep_stale(exchange, record, content, now_ms);
        return false;
    }
    take_facts(exchange, record);
    reply_kept(exchange, freshness == RM_FRESH ? RM_OUTCOME_HIT : RM_OUTCOME_STALE, media_type(exchange, record),
               content, age_s_of(record, now_ms));
    if (freshness == RM_STALE_REVALIDATE)
        revalidate(exchange, info, key);
    return true;
}

rm_status rm_exchange__variant(const rm_http_head *head, rm_arena *arena, rm_slice *ret_variant)
{
    static const char *const names[] = {"anthropic-version", "anthropic-beta", "openai-beta", "openai-organization",
                                        "openai-project"};
    rm_slice parts[RM_COUNT(names) + 1] = {head->query};
    size_t bytes = head->query.len;
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        parts[i + 1] = rm_http_header(head, names[i]);
        bytes += parts[i + 1].len;
    }
    if (bytes == 0) {
        *ret_variant = RM_SLICE_NONE;
        return RM_OK;
    }
    char *text = rm_arena_alloc(arena, bytes + RM_COUNT(parts)), *at = text;
    if (!text)
        return RM_ENOMEM;
    for (size_t i = 0; i < RM_COUNT(parts); i++) {
        at = rm_slice_put(at, parts[i]);
        *at++ = '\n'; /* stands in no query or header */
    }
    *ret_variant = (rm_slice){text, (size_t)(at - text)};
    return RM_OK;
}

/* Whether its age lets it answer another request than its own. */
static rm_status check_age(const rm_exchange *exchange, const rm_controls *controls, const rm_record *record,
                           uint64_t now_ms)
{
    const rm_config *config = exchange->generation->config;
    uint64_t ttl_ms = exchange->category.semantic_ttl_ms;
    rm_freshness freshness;
    if (record->expires_ms && now_ms >= record->expires_ms)
        return RM_ENOTFOUND;
    if (ttl_ms && now_ms > record->created_ms && now_ms - record->created_ms > ttl_ms)
        return RM_ETIMEOUT;
    return rm_exact_is_fresh(config, controls, record, now_ms, &freshness) ? RM_OK : RM_EREFUSED;
}

/* A record is only asked for by a key that the semantic cache has kept: what it was asked with is not this request. */
rm_status rm_exchange__serve_kept(rm_exchange *exchange, const rm_request_info *info, const rm_controls *controls,
                                  rm_key128 key, double *ret_saved_usd)
{
    rm_worker *worker = exchange->worker;
    uint64_t now_ms = rm_proxy__wall_ms();
    rm_record record;
    rm_slice content;
    rm_status status = worker->reader ? rm_store_get(worker->reader, key, &record) : RM_ENOTFOUND;
    if (status != RM_OK)
        return status;
    status = check_age(exchange, controls, &record, now_ms);
    if (status == RM_OK)
        status = render(exchange, info, &record, now_ms, &content);
    if (status == RM_OK) {
        exchange->semantic = true;
        *ret_saved_usd = record.cost_usd;
        take_facts(exchange, &record);
        reply_kept(exchange, RM_OUTCOME_HIT, media_type(exchange, &record), content, age_s_of(&record, now_ms));
    }
    rm_store_release(worker->reader);
    return status;
}

static void refuse_key(rm_exchange *exchange, rm_status status)
{
    exchange->outcome = RM_OUTCOME_BYPASS;
    exchange->reason = status == RM_EPARSE    ? RM_REASON_DUPLICATE_KEY
                       : status == RM_ETOOBIG ? RM_REASON_TOO_DEEP
                                              : RM_REASON_FAULT;
    if (exchange->reason == RM_REASON_FAULT)
        rm_observer_fault(exchange->worker->observer, RM_STAGE_KEY);
}

bool rm_exchange__recall(rm_exchange *exchange, const rm_request_info *info, const rm_controls *controls,
                         rm_slice upstream, rm_arena *scratch, rm_exact_key *ret_key)
{
    rm_worker *worker = exchange->worker;
    const rm_decision *decision = &exchange->decision;
    if (!decision->lookup && !decision->store && !decision->merge)
        return false;
    rm_slice variant;
    rm_status status = rm_exchange__variant(rm_req_head(exchange->req), scratch, &variant);
    if (status == RM_OK)
        status = rm_exact_key_make(info, upstream, &exchange->tenant, controls->name_space, variant, scratch, ret_key);
    if (status != RM_OK) {
        refuse_key(exchange, status);
        return false;
    }
    exchange->key = ret_key->key;
    exchange->has_key = true;
    if (!decision->lookup || !worker->reader)
        return false;
    uint64_t now_ms = rm_proxy__wall_ms();
    rm_record record;
    rm_freshness freshness;
    status =
        rm_exact_lookup(worker->reader, exchange->generation->config, ret_key, controls, now_ms, &record, &freshness);
    if (status != RM_OK) {
        if (status != RM_ENOTFOUND)
            rm_observer_fault(worker->observer, RM_STAGE_LOOKUP);
        return false;
    }
    bool served = serve(exchange, info, ret_key, &record, freshness, now_ms);
    rm_store_release(worker->reader);
    return served;
}
