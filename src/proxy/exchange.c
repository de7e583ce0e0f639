/* One caller's request from its head to its settlement.
 *
 *   on_request: identify ─┬─ known path: read the body ── on_body_end: decode, decide, recall, inquire, dispatch
 *                         └─ any other: dispatch at once, the body flows up as it comes
 *   relay.c brings the answer; on_close: leave the flight, settle.
 *
 * Promise 1 rules here: whatever fails inside (decode, key, lookup, merge, record) is counted by its stage, and the
 * request goes on to the upstream. */
#include <stdio.h>

#include "proxy_internal.h"

/* Which states may follow which. */
static const uint8_t transitions[RM_EXCHANGE_STATE_COUNT] = {
    [RM_EXCHANGE_READING] =
        1 << RM_EXCHANGE_RECALLING | 1 << RM_EXCHANGE_UPLOADING | 1 << RM_EXCHANGE_WAITING | 1 << RM_EXCHANGE_DONE,
    [RM_EXCHANGE_RECALLING] = 1 << RM_EXCHANGE_WAITING | 1 << RM_EXCHANGE_DONE,
    [RM_EXCHANGE_UPLOADING] = 1 << RM_EXCHANGE_WAITING | 1 << RM_EXCHANGE_RELAYING | 1 << RM_EXCHANGE_DONE,
    [RM_EXCHANGE_WAITING] = 1 << RM_EXCHANGE_RELAYING | 1 << RM_EXCHANGE_DONE,
    [RM_EXCHANGE_RELAYING] = 1 << RM_EXCHANGE_DONE,
    [RM_EXCHANGE_DONE] = 0,
};

void rm_exchange__move(rm_exchange *exchange, rm_exchange_state to)
{
    RM_CHECK(transitions[exchange->state] & 1u << to);
    exchange->state = to;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

#define SPARE_EXCHANGES_MAX 64u

static void on_silence(rm_timer *timer);

void rm_exchange__reserve(rm_worker *worker, unsigned count)
{
    while (worker->spare_count < count) {
        rm_exchange *exchange = rm_alloc(sizeof *exchange);
        if (!exchange)
            return;
        exchange->next_spare = worker->spare;
        worker->spare = exchange;
        worker->spare_count++;
    }
}

static void count_in(rm_proxy *proxy)
{
    uint64_t now = atomic_fetch_add_explicit(&proxy->in_flight, 1, memory_order_relaxed) + 1;
    if (now > atomic_load_explicit(&proxy->in_flight_peak, memory_order_relaxed))
        atomic_store_explicit(&proxy->in_flight_peak, now, memory_order_relaxed);
}

static rm_exchange *exchange_create(rm_worker *worker, rm_req *req)
{
    rm_exchange *exchange = worker->spare;
    if (exchange) {
        worker->spare = exchange->next_spare;
        worker->spare_count--;
    } else {
        exchange = rm_alloc(sizeof *exchange);
    }
    if (!exchange)
        return NULL;
    memset(exchange, 0, sizeof *exchange);
    exchange->worker = worker;
    exchange->generation = rm_proxy__generation_ref(worker->generation);
    exchange->req = req;
    exchange->subscriber.exec = worker->exec;
    exchange->subscriber.on_ready = rm_exchange__on_ready;
    exchange->silence.fire = on_silence;
    exchange->usage = RM_USAGE_UNKNOWN;
    exchange->cost_usd = exchange->saved_usd = -1;
    exchange->reason = RM_REASON_NONE;
    rm_key128_format((rm_key128){rm_rng_next(&worker->rng), rm_rng_next(&worker->rng)}, exchange->id);
    worker->exchanges++;
    count_in(worker->proxy);
    return exchange;
}

void rm_exchange__free(rm_exchange *exchange)
{
    rm_worker *worker = exchange->worker;
    rm_generation *generation = exchange->generation;
    rm_blob_unref(exchange->body);
    rm_blob_unref(exchange->head);
    rm_blob_unref(exchange->log_prompt);
    rm_buf_deinit(&exchange->log_answer);
    rm_buf_deinit(&exchange->body_chunked);
    rm_buf_deinit(&exchange->collected);
    if (exchange->stale)
        rm_blob_unref(exchange->stale->content);
    rm_free(exchange->stale);
    if (worker->spare_count < SPARE_EXCHANGES_MAX) {
        exchange->next_spare = worker->spare;
        worker->spare = exchange;
        worker->spare_count++;
    } else {
        rm_free(exchange);
    }
    worker->exchanges--;
    atomic_fetch_sub_explicit(&worker->proxy->in_flight, 1, memory_order_relaxed);
    rm_proxy__generation_unref(generation);
    rm_proxy__worker_check_idle(worker);
}

/* ---- identify ---------------------------------------------------------------------------------------------------- */

static bool stands_twice(const rm_http_head *head, rm_slice name)
{
    unsigned count = 0;
    for (size_t i = 0; i < head->header_count; i++)
        count += rm_slice_eq_nocase(head->headers[i].name, name);
    return count > 1;
}

/* The bytes that decide who is asking, where they fit and stand once each; 0: not to be remembered. */
static size_t credential_of(const rm_http_head *head, char *text, size_t room)
{
    static const char *const names[] = {"authorization", "x-api-key", "api-key"};
    size_t used = 0;
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        rm_slice value = rm_http_header(head, names[i]);
        if (used + value.len + sizeof(uint16_t) > room || stands_twice(head, rm_slice_cstr(names[i])))
            return 0;
        /* Lengths keep ("ab","c") and ("a","bc") apart; 0xffff is "absent". */
        uint16_t len = value.ptr ? (uint16_t)value.len : UINT16_MAX;
        memcpy(text + used, &len, sizeof len);
        used += sizeof len;
        used = (size_t)(rm_slice_put(text + used, value) - text);
    }
    return used;
}

static rm_status identify(rm_exchange *exchange, const rm_http_head *head)
{
    rm_worker *worker = exchange->worker;
    const rm_config *config = exchange->generation->config;
    char credential[RM_PROXY_CREDENTIAL_MEMO_BYTES];
    size_t len = config->trust_gateway_headers ? 0 : credential_of(head, credential, sizeof credential);
    if (len == 0)
        return rm_policy_identify(config, worker->proxy->secret, head, &exchange->tenant);
    uint64_t hash = rm_hash64((rm_slice){credential, len});
    rm_tenant_memo *memo = &worker->memo[hash % RM_PROXY_TENANT_MEMO_SLOTS];
    if (memo->generation == exchange->generation && memo->hash == hash && memo->len == len &&
        memcmp(memo->credential, credential, len) == 0) {
        exchange->tenant = memo->tenant;
        return RM_OK;
    }
    rm_status status = rm_policy_identify(config, worker->proxy->secret, head, &exchange->tenant);
    if (status != RM_OK)
        return status;
    memo->generation = exchange->generation;
    memo->hash = hash;
    memo->len = (uint16_t)len;
    memcpy(memo->credential, credential, len);
    memo->tenant = exchange->tenant;
    return RM_OK;
}

/* ---- begin ------------------------------------------------------------------------------------------------------- */

/* A request that Remora does not read: its body flows up while the answer flows down. */
static void begin_upload(rm_exchange *exchange)
{
    exchange->reason = RM_REASON_PATH;
    exchange->outcome = RM_OUTCOME_BYPASS;
    rm_exchange__move(exchange, RM_EXCHANGE_UPLOADING);
    rm_exchange__dispatch(exchange, NULL,
                          rm_policy_upstream(exchange->generation->config, RM_SLICE_NONE, exchange->dialect), NULL);
}

/* Without a body there is no request to pass on: a second try, with what the heap can give up, is worth its time. */
static rm_blob *body_create(size_t bytes)
{
    rm_blob *body = rm_blob_create(bytes);
    if (body)
        return body;
    rm_alloc_trim();
    return rm_blob_create(bytes);
}

static rm_status body_append(rm_exchange *exchange, rm_slice bytes)
{
    rm_status status = rm_buf_append_slice(&exchange->body_chunked, bytes);
    if (status != RM_ENOMEM)
        return status;
    rm_alloc_trim();
    exchange->body_chunked.status = RM_OK;
    return rm_buf_append_slice(&exchange->body_chunked, bytes);
}

static void begin_reading(rm_exchange *exchange, const rm_http_head *head)
{
    if (head->content_length > (int64_t)RM_BODY_BYTES_MAX) {
        rm_exchange__fail(exchange, 413, NULL, "The request body is larger than 32 MiB.");
        return;
    }
    rm_buf_init(&exchange->body_chunked, RM_BODY_BYTES_MAX);
    if (head->content_length < 0)
        return;
    exchange->body = body_create((size_t)head->content_length);
    if (!exchange->body)
        rm_exchange__fail(exchange, 503, NULL, "Remora is out of memory.");
}

/* OPTIONS *: about this server, not about anything behind it. RFC 9110 9.3.7. */
static void reply_to_asterisk(rm_exchange *exchange)
{
    rm_reply_head reply;
    rm_reply__init(&reply);
    exchange->reason = RM_REASON_LOCAL;
    rm_reply__add(&reply, RM_SLICE("Allow"), RM_SLICE("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"));
    rm_reply__add_remora(&reply, exchange, false);
    rm_reply__send(exchange, &reply, 204, RM_SLICE_NONE, 0);
}

static void *on_request(void *server_user, rm_req *req)
{
    rm_worker *worker = server_user;
    rm_exchange *exchange = exchange_create(worker, req);
    if (!exchange)
        return NULL;
    const rm_http_head *head = rm_req_head(req);
    exchange->op = rm_provider_op(head->method, head->path);
    exchange->dialect = rm_provider_dialect(exchange->op, head->path);
    atomic_store_explicit(&worker->connections_seen, rm_listener_connections(worker->listener), memory_order_relaxed);
    rm_status status = identify(exchange, head);
    if (status != RM_OK) {
        /* Without an identity nothing may be shared; the request itself goes through. */
        rm_observer_fault(worker->observer, RM_STAGE_KEY);
        memset(&exchange->tenant, 0, sizeof exchange->tenant);
        memcpy(exchange->tenant.id_text, "unknown", 8);
    }
    if (rm_slice_eq(head->target, RM_SLICE("*"))) {
        reply_to_asterisk(exchange);
    } else if (exchange->tenant.refused) {
        exchange->reason = RM_REASON_ANONYMOUS;
        rm_exchange__fail(exchange, 401, NULL, "No API key was given, and this Remora serves no anonymous callers.");
    } else if (exchange->op == RM_OP_OTHER || exchange->op == RM_OP_MODELS) {
        begin_upload(exchange);
    } else {
        begin_reading(exchange, head);
    }
    return exchange;
}

static void on_body(void *user, rm_slice bytes)
{
    rm_exchange *exchange = user;
    exchange->request_bytes += bytes.len;
    if (exchange->op == RM_OP_OTHER || exchange->op == RM_OP_MODELS) {
        if (!exchange->fetch)
            return;
        if (rm_upstream_call_feed(exchange->fetch->call, bytes) != RM_OK)
            rm_req_abort(exchange->req);
        else if (rm_upstream_call_queued_bytes(exchange->fetch->call) > RM_STREAM_UPLOAD_HIGH_BYTES)
            rm_req_pause_body(exchange->req);
        return;
    }
    if (exchange->state != RM_EXCHANGE_READING)
        return;
    if (exchange->body) {
        RM_CHECK(bytes.len <= exchange->body->len - exchange->body_bytes);
        memcpy(exchange->body->data + exchange->body_bytes, bytes.ptr, bytes.len);
        exchange->body_bytes += bytes.len;
        return;
    }
    rm_status status = body_append(exchange, bytes);
    if (status == RM_ETOOBIG)
        rm_exchange__fail(exchange, 413, NULL, "The request body is larger than 32 MiB.");
    else if (status != RM_OK)
        rm_exchange__fail(exchange, 503, NULL, "Remora is out of memory.");
}

/* ---- decode, decide ---------------------------------------------------------------------------------------------- */

static rm_slice keep_name(rm_exchange *exchange, rm_slice name, size_t bytes_max)
{
    if (name.len > bytes_max)
        name.len = bytes_max;
    return rm_arena_dup(rm_req_arena(exchange->req), name);
}

/* NULL: it cannot be read, and the upstream shall say what is wrong with it. */
static const rm_request_info *decode(rm_exchange *exchange, rm_arena *scratch, rm_request_info *info)
{
    rm_status status = rm_fault(RM_FAULT_JSON)
                           ? RM_ENOMEM
                           : rm_provider_read_request(exchange->op, rm_blob_slice(exchange->body), scratch, info);
    if (status == RM_OK && info->model.len) {
        exchange->requested_model = keep_name(exchange, info->model, RM_MODEL_NAME_BYTES_MAX - 1);
        status = exchange->requested_model.ptr ? RM_OK : RM_ENOMEM;
    }
    if (status != RM_OK) {
        if (status != RM_EPARSE)
            rm_observer_fault(exchange->worker->observer, RM_STAGE_DECODE);
        return NULL;
    }
    exchange->known = true;
    exchange->stream = info->stream;
    exchange->include_usage = info->include_usage;
    return info;
}

/* A body that is no JSON at all is refused here; any other that cannot be read is the upstream's to judge. */
static bool refuse_no_json(rm_exchange *exchange, rm_arena *scratch)
{
    const rm_json *root;
    if (rm_http_header(rm_req_head(exchange->req), "content-encoding").len ||
        rm_json_parse(scratch, rm_blob_slice(exchange->body), &root) != RM_EPARSE)
        return false;
    exchange->reason = RM_REASON_NOT_JSON;
    rm_exchange__fail(exchange, 400, NULL, "The request body is not valid JSON.");
    return true;
}

static bool refuse_bad_header(rm_exchange *exchange, const rm_controls *controls)
{
    if (!controls->invalid.ptr)
        return false;
    char message[RM_REMORA_HEADER_BYTES_MAX];
    (void)snprintf(message, sizeof message, "The value of the header %.*s cannot be understood.",
                   (int)(controls->invalid.len < 64 ? controls->invalid.len : 64), controls->invalid.ptr);
    rm_exchange__fail(exchange, 400, NULL, message);
    return true;
}

void rm_exchange__ask_upstream(rm_exchange *exchange, const rm_request_info *info, const rm_controls *controls,
                               const rm_config_upstream *upstream, const rm_exact_key *key)
{
    if (controls->only_if_cached) {
        rm_exchange__fail(exchange, 504, "cache_miss",
                          "The answer is not in the cache, and only-if-cached was asked for.");
        return;
    }
    rm_exchange__move(exchange, RM_EXCHANGE_WAITING);
    rm_exchange__dispatch(exchange, info, upstream, key);
}

static void answer(rm_exchange *exchange, rm_arena *scratch)
{
    const rm_config *config = exchange->generation->config;
    rm_request_info read;
    if (config->log.bodies) {
        exchange->log_prompt = rm_blob_ref(exchange->body);
        rm_buf_init(&exchange->log_answer, RM_LOG_BODY_BYTES_MAX);
    }
    const rm_request_info *info = decode(exchange, scratch, &read);
    rm_controls controls = rm_policy_controls(rm_req_head(exchange->req), info);
    if (refuse_bad_header(exchange, &controls) || (!info && refuse_no_json(exchange, scratch)))
        return;
    rm_slice model = info ? info->model : RM_SLICE_NONE;
    exchange->category = rm_policy_category(config, controls.name_space, rm_req_head(exchange->req)->path, model);
    controls.name_space = exchange->category.name_space;
    exchange->decision = rm_policy_decide(config, &exchange->category, &exchange->tenant, &controls, info);
    exchange->outcome = exchange->decision.outcome;
    exchange->reason = exchange->decision.reason;
    if (controls.name_space.len) {
        exchange->name_space = keep_name(exchange, controls.name_space, RM_NAMESPACE_BYTES_MAX);
        exchange->category.name_space = exchange->name_space;
        exchange->decision.store &= exchange->name_space.ptr != NULL; /* a record must name its own */
    }
    const rm_config_upstream *upstream = rm_policy_upstream(config, model, exchange->dialect);
    exchange->upstream = rm_slice_cstr(upstream->name);
    if (upstream == &rm_config_local && exchange->op != RM_OP_EMBEDDINGS) {
        rm_exchange__fail(exchange, 400, NULL, "This model makes embeddings only: POST /v1/embeddings.");
        return;
    }
    rm_exact_key key = {0};
    if (info && rm_exchange__recall(exchange, info, &controls, exchange->upstream, scratch, &key))
        return;
    rm_inquiry_plan plan = {.info = info, .controls = &controls, .upstream = upstream, .key = &key, .scratch = scratch};
    if (info && exchange->has_key && rm_inquiry__begin(exchange, &plan))
        return;
    rm_exchange__ask_upstream(exchange, info, &controls, upstream, exchange->has_key ? &key : NULL);
}

static void on_body_end(void *user)
{
    rm_exchange *exchange = user;
    if (exchange->state == RM_EXCHANGE_UPLOADING || exchange->fetch) {
        if (exchange->fetch)
            rm_upstream_call_feed_end(exchange->fetch->call);
        if (exchange->state == RM_EXCHANGE_UPLOADING)
            rm_exchange__move(exchange, RM_EXCHANGE_WAITING);
        return;
    }
    if (exchange->state != RM_EXCHANGE_READING)
        return;
    if (!exchange->body) {
        exchange->body = body_create(exchange->body_chunked.len);
        if (exchange->body && exchange->body->len)
            memcpy(exchange->body->data, exchange->body_chunked.ptr, exchange->body->len);
        rm_buf_deinit(&exchange->body_chunked);
        if (!exchange->body) {
            rm_exchange__fail(exchange, 503, NULL, "Remora is out of memory.");
            return;
        }
    }
    rm_arena scratch;
    rm_arena_init(&scratch, rm_loop_arenas(exchange->worker->loop), RM_EXCHANGE_ARENA_BYTES_MAX);
    answer(exchange, &scratch);
    rm_arena_deinit(&scratch);
}

static void on_gone(rm_subscriber *subscriber)
{
    rm_exchange__free(RM_CONTAINER_OF(subscriber, rm_exchange, subscriber));
}

/* The flight was lost inside Remora before the caller got a byte: once more, with nothing that can be left out. */
bool rm_exchange__again(rm_exchange *exchange)
{
    /* A merged caller's place in another's flight may still have a task under way. */
    if (exchange->retried || exchange->merged || !exchange->body || exchange->state != RM_EXCHANGE_WAITING)
        return false;
    exchange->retried = true;
    (void)rm_flight_leave(&exchange->subscriber, on_gone);
    rm_blob_unref(exchange->head);
    exchange->head = NULL;
    exchange->claimed = exchange->bears = exchange->collecting = false;
    exchange->cost_usd = exchange->saved_usd = -1;
    rm_arena scratch;
    rm_arena_init(&scratch, rm_loop_arenas(exchange->worker->loop), RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_request_info read;
    const rm_request_info *info = decode(exchange, &scratch, &read);
    const rm_config_upstream *upstream =
        rm_policy_upstream(exchange->generation->config, info ? info->model : RM_SLICE_NONE, exchange->dialect);
    rm_exchange__dispatch(exchange, info, upstream, NULL);
    rm_arena_deinit(&scratch);
    return true;
}

/* ---- the rest of its life ---------------------------------------------------------------------------------------- */

static void on_drain(void *user)
{
    rm_exchange__relay(user);
}

/* The leader left between the answer and its own look at it: it pays nevertheless. */
static void bear_cost(rm_exchange *exchange)
{
    rm_subscriber *subscriber = &exchange->subscriber;
    rm_blob *head = exchange->head || !subscriber->flight ? NULL : rm_flight_head(subscriber);
    if (head)
        exchange->head = rm_blob_ref(head);
    rm_exchange__settle_cost(exchange);
}

static void on_close(void *user, rm_status why)
{
    rm_exchange *exchange = user;
    rm_worker *worker = exchange->worker;
    rm_timer_stop(worker->exec, &exchange->silence);
    exchange->closed = true;
    if (why == RM_ECANCELLED)
        rm_observer_count(worker->observer, RM_COUNTER_CALLER_LEFT, 1);
    if (why != RM_OK) {
        exchange->failed = true;
        if (!rm_req_replied(exchange->req))
            exchange->status = 499;
    }
    if (exchange->fetch) {
        exchange->fetch->uploader = NULL;
        exchange->fetch = NULL;
    }
    if (exchange->bears && !exchange->claimed)
        bear_cost(exchange);
    rm_inquiry__leave(exchange);
    rm_exchange__settle(exchange);
    rm_inquiry__unref(exchange->inquiry);
    exchange->inquiry = NULL;
    if (exchange->borrower)
        rm_fetch__lender_gone(exchange->borrower, exchange->req);
    exchange->borrower = NULL;
    exchange->req = NULL;
    if (rm_flight_leave(&exchange->subscriber, on_gone))
        rm_exchange__free(exchange);
}

/* In a long silence a comment keeps proxies and callers between from giving up (WHATWG HTML 9.2: lines that begin with
 * a colon are ignored). */
static void on_silence(rm_timer *timer)
{
    rm_exchange *exchange = RM_CONTAINER_OF(timer, rm_exchange, silence);
    rm_exec *exec = exchange->worker->exec;
    uint64_t limit_ms = exchange->generation->config->timeouts.silence_comment_ms;
    uint64_t quiet_ms = exec->now_ms(exec) - exchange->last_write_ms;
    if (exchange->state != RM_EXCHANGE_RELAYING)
        return;
    if (quiet_ms >= limit_ms) {
        if (rm_req_queued_bytes(exchange->req) == 0)
            (void)rm_req_write(exchange->req, RM_SLICE(": keep-alive\n\n"));
        exchange->last_write_ms = exec->now_ms(exec);
        quiet_ms = 0;
    }
    rm_timer_start(exec, timer, limit_ms - quiet_ms);
}

static rm_slice error_body(void *server_user, rm_slice path, int http_status, const char *text, rm_buf *scratch,
                           const char **ret_type)
{
    rm_worker *worker = server_user;
    rm_observer_count(worker->observer, RM_COUNTER_BAD_REQUESTS, 1);
    rm_dialect dialect = rm_provider_dialect(RM_OP_OTHER, path);
    if (rm_provider_error_body(dialect, http_status, NULL, text, scratch) != RM_OK)
        return RM_SLICE_NONE;
    *ret_type = "application/json";
    return rm_buf_slice(scratch);
}

const rm_server_ops rm_proxy__server_ops = {
    .on_request = on_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_drain = on_drain,
    .on_close = on_close,
    .error_body = error_body,
};
