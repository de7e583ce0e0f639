/* From the flight to the caller.
 *
 *             flight carries          caller wants       how
 *             events                  events             as they come
 *             a body                  a body             as it comes, or whole with its cost
 *             events (200)            a body             collected, turned at the end
 *             a body (200)            events             collected, turned at the end
 *
 * A caller takes nothing more from the flight while RM_WRITE_HIGH_BYTES are queued for it. */
#include <stdio.h>

#include "proxy_internal.h"

void rm_exchange__on_ready(rm_subscriber *subscriber)
{
    rm_exchange__relay(RM_CONTAINER_OF(subscriber, rm_exchange, subscriber));
}

static const rm_answer_head *head_of(const rm_exchange *exchange)
{
    return exchange->head ? rm_answer_head_of(exchange->head) : NULL;
}

/* Who pays: the one who began the flight, for as long as it is there; else the first to ask. For all others the whole cost
 * was saved. */
void rm_exchange__settle_cost(rm_exchange *exchange)
{
    rm_answer_head *head = exchange->head ? rm_answer_head_of(exchange->head) : NULL;
    if (!head || exchange->claimed)
        return;
    exchange->claimed = true;
    exchange->usage = head->usage;
    memcpy(exchange->service_tier, head->service_tier, sizeof exchange->service_tier);
    bool claimed = atomic_exchange_explicit(&head->cost_claimed, true, memory_order_relaxed);
    bool pays = exchange->bears || !claimed;
    exchange->cost_usd = pays ? head->cost_usd : 0;
    exchange->saved_usd = pays ? 0 : head->cost_usd;
}

/* ---- heads ------------------------------------------------------------------------------------------------------- */

static bool has_name(const rm_header *header, rm_slice name)
{
    return rm_slice_eq_nocase(header->name, name);
}

/* Cookies, limits and names of an account are for whose request it was; a merged caller gets what a hit would get, and
 * what its bytes cannot be read without. */
static bool is_for(const rm_exchange *exchange, const rm_header *header)
{
    return !exchange->merged || has_name(header, RM_SLICE("content-type")) ||
           has_name(header, RM_SLICE("content-encoding"));
}

/* `type` replaces the answer's own media type if it is set. */
static void send_head(rm_exchange *exchange, rm_slice type, bool with_cost, rm_slice body, int64_t body_bytes)
{
    const rm_answer_head *head = head_of(exchange);
    rm_reply_head reply;
    rm_reply__init(&reply);
    if (type.len)
        rm_reply__add(&reply, RM_SLICE("Content-Type"), type);
    for (size_t i = 0; i < head->header_count; i++)
        if (is_for(exchange, &head->headers[i]) &&
            (!type.len || !has_name(&head->headers[i], RM_SLICE("content-type"))))
            rm_reply__add(&reply, head->headers[i].name, head->headers[i].value);
    if (exchange->merged && exchange->stream && head->status == 200)
        rm_reply__add(&reply, RM_SLICE("Cache-Control"), RM_SLICE("no-cache"));
    rm_reply__add_remora(&reply, exchange, with_cost);
    rm_reply__send(exchange, &reply, head->status, body, body_bytes);
    /* From here on the request is not made again. */
    rm_blob_unref(exchange->body);
    exchange->body = NULL;
}

static void begin_stream(rm_exchange *exchange, rm_slice first)
{
    /* A merged caller's answer is paid for by another; the one who pays learns the cost in the last chunk. */
    if (exchange->merged)
        exchange->cost_usd = 0;
    send_head(exchange, RM_SLICE_NONE, exchange->merged, first, RM_BODY_CHUNKED);
    exchange->cost_usd = -1;
    uint64_t silence_ms = exchange->generation->config->timeouts.silence_comment_ms;
    if (head_of(exchange)->sse && silence_ms)
        rm_timer_start(exchange->worker->exec, &exchange->silence, silence_ms);
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

/* The caller sees a broken answer. */
static void break_off(rm_exchange *exchange)
{
    exchange->failed = true;
    rm_exchange__move(exchange, RM_EXCHANGE_DONE);
    rm_req_abort(exchange->req);
}

/* Nothing more of what the flight carries may go on to this caller. */
static void cut(rm_exchange *exchange)
{
    if (exchange->state == RM_EXCHANGE_RELAYING)
        break_off(exchange);
    else
        rm_exchange__fail(exchange, 502, "upstream_error",
                          "The answer is another caller's, and what it repeats of that request cannot be taken out.");
}

/* What a merged answer repeats of the leader's request becomes this caller's. False: it cannot be read, and the leader
 * may be another tenant. */
static bool set_echo(rm_exchange *exchange, bool events, rm_slice *bytes, rm_buf *own)
{
    rm_status status = rm_provider_set_echo(exchange->echo, events, *bytes, own);
    if (status == RM_OK)
        *bytes = rm_buf_slice(own);
    else if (status != RM_ENOTFOUND)
        rm_observer_fault(exchange->worker->observer, RM_STAGE_REPLAY);
    return status == RM_OK || status == RM_ENOTFOUND || exchange->generation->config->cache.scope == RM_SCOPE_KEY;
}

static void put(rm_exchange *exchange, rm_slice bytes, rm_blob *blob)
{
    if (exchange->state != RM_EXCHANGE_RELAYING) {
        if (head_of(exchange)->sse) {
            begin_stream(exchange, bytes);
        } else {
            int64_t length = head_of(exchange)->content_length;
            send_head(exchange, RM_SLICE_NONE, false, bytes, length >= 0 ? length : RM_BODY_CHUNKED);
        }
        return;
    }
    rm_reply__note(exchange, bytes);
    (void)(blob ? rm_req_write_blob(exchange->req, blob) : rm_req_write(exchange->req, bytes));
}

static void pass(rm_exchange *exchange, rm_slice bytes, rm_blob *blob)
{
    const rm_answer_head *head = head_of(exchange);
    if (!exchange->echo || head->status != 200 || bytes.len == 0) {
        put(exchange, bytes, blob);
        return;
    }
    rm_buf own;
    rm_slice from = bytes;
    rm_buf_init(&own, RM_EXCHANGE_ARENA_BYTES_MAX);
    /* A piece of a body says nothing of where its members stand. */
    bool may =
        head->sse ? set_echo(exchange, true, &bytes, &own) : exchange->generation->config->cache.scope == RM_SCOPE_KEY;
    if (may)
        put(exchange, bytes, bytes.ptr == from.ptr ? blob : NULL);
    else
        cut(exchange);
    rm_buf_deinit(&own);
}

/* A body that is whole, with its cost. `type` as for send_head. */
static void send_whole(rm_exchange *exchange, rm_slice type, bool events, rm_slice body)
{
    rm_buf own;
    rm_buf_init(&own, RM_EXCHANGE_ARENA_BYTES_MAX);
    if (!exchange->echo || head_of(exchange)->status != 200 || set_echo(exchange, events, &body, &own))
        send_head(exchange, type, true, body, (int64_t)body.len);
    else
        cut(exchange);
    rm_buf_deinit(&own);
}

static void pass_usage(rm_exchange *exchange, rm_blob *chunk)
{
    rm_exchange__settle_cost(exchange);
    if (chunk->flags & RM_CHUNK_USAGE_ONLY && !exchange->include_usage)
        return;
    rm_buf *render = &exchange->worker->render;
    rm_buf_clear(render);
    if (exchange->cost_usd >= 0 &&
        rm_proxy__set_cost(exchange->op, rm_blob_slice(chunk), exchange->cost_usd, render) == RM_OK)
        pass(exchange, rm_buf_slice(render), NULL);
    else
        pass(exchange, rm_blob_slice(chunk), chunk);
}

static void take_chunk(rm_exchange *exchange, rm_blob *chunk)
{
    if (exchange->collecting)
        (void)rm_buf_append_slice(&exchange->collected, rm_blob_slice(chunk));
    else if (chunk->flags & RM_CHUNK_USAGE)
        pass_usage(exchange, chunk);
    else
        pass(exchange, rm_blob_slice(chunk), chunk);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void fail_upstream(rm_exchange *exchange, rm_status status)
{
    const rm_answer_head *head = head_of(exchange);
    if (exchange->state == RM_EXCHANGE_RELAYING) {
        /* As the caller would have seen it from the upstream. */
        break_off(exchange);
        return;
    }
    if (rm_exchange__serve_stale(exchange) || (status == RM_ENOMEM && rm_exchange__again(exchange)))
        return;
    char message[256];
    rm_slice reason = head && head->status == 0 && head->text.len ? head->text : rm_slice_cstr(rm_status_text(status));
    (void)snprintf(message, sizeof message, "The upstream %.*s gave no answer: %.*s.", (int)exchange->upstream.len,
                   exchange->upstream.ptr ? exchange->upstream.ptr : "", (int)reason.len, reason.ptr);
    int http = rm_status_http(status);
    rm_exchange__fail(exchange, http < 500 ? 502 : http, "upstream_error", message);
}

/* The whole answer is collected in the form that the caller did not ask for. */
static void turn_and_send(rm_exchange *exchange)
{
    rm_slice from = rm_buf_slice(&exchange->collected);
    rm_buf *render = &exchange->worker->render;
    rm_buf_clear(render);
    rm_status status = exchange->collected.status;
    if (status == RM_OK)
        status = exchange->stream ? rm_provider_body_to_events(exchange->op, from, exchange->include_usage, render)
                                  : rm_provider_events_to_body(exchange->op, from, render);
    if (status != RM_OK) {
        rm_observer_fault(exchange->worker->observer, RM_STAGE_REPLAY);
        rm_exchange__fail(exchange, 502, "upstream_error",
                          "The upstream's answer cannot be given in the form asked for.");
        return;
    }
    rm_slice type = exchange->stream ? RM_SLICE("text/event-stream; charset=utf-8") : RM_SLICE("application/json");
    send_whole(exchange, type, exchange->stream, rm_buf_slice(render));
}

/* Once the flight has ended, or its answer is whole: everything in the head can be read. */
static void take_facts(rm_exchange *exchange)
{
    const rm_answer_head *head = head_of(exchange);
    rm_exchange__settle_cost(exchange);
    if (!head)
        return;
    exchange->upstream_ns = head->upstream_ns;
    exchange->tries = head->tries;
    exchange->failed |= head->stream_error;
}

static void end(rm_exchange *exchange, rm_status status)
{
    const rm_answer_head *head = head_of(exchange);
    take_facts(exchange);
    if (status != RM_OK || !head || head->status == 0) {
        fail_upstream(exchange, status == RM_OK ? RM_EINTERNAL : status);
    } else if (exchange->collecting) {
        turn_and_send(exchange);
    } else if (exchange->state == RM_EXCHANGE_RELAYING) {
        rm_exchange__move(exchange, RM_EXCHANGE_DONE);
        rm_req_end(exchange->req);
    } else if (exchange->state != RM_EXCHANGE_DONE) {
        send_head(exchange, RM_SLICE_NONE, true, RM_SLICE_NONE, 0);
    }
    rm_timer_stop(exchange->worker->exec, &exchange->silence);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* RFC 5861, 4: an answer that says that the upstream failed is as good as none. */
static bool is_failure(int status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

static bool take_head(rm_exchange *exchange)
{
    if (exchange->head)
        return true;
    rm_blob *head = rm_flight_head(&exchange->subscriber);
    if (!head)
        return false;
    exchange->head = rm_blob_ref(head);
    const rm_answer_head *answer = head_of(exchange);
    if (answer->status)
        exchange->model = answer->text;
    exchange->collecting = answer->status == 200 && exchange->known && answer->sse != exchange->stream &&
                           (answer->sse || exchange->merged);
    if (exchange->collecting)
        rm_buf_init(&exchange->collected, RM_RESPONSE_BUFFER_BYTES_MAX);
    return true;
}

/* The head alone goes out where the body may be long in coming. */
static void send_waiting_head(rm_exchange *exchange)
{
    const rm_answer_head *head = head_of(exchange);
    if (exchange->state == RM_EXCHANGE_RELAYING || exchange->state == RM_EXCHANGE_DONE || exchange->collecting ||
        head->whole || head->status == 0)
        return;
    pass(exchange, RM_SLICE_NONE, NULL);
}

static bool take_next(rm_exchange *exchange)
{
    rm_blob *chunk = NULL;
    rm_status status = RM_OK;
    switch (rm_flight_next(&exchange->subscriber, &chunk, &status)) {
    case RM_FLIGHT_WAIT:
        if (exchange->head)
            send_waiting_head(exchange);
        return false;
    case RM_FLIGHT_CHUNK:
        if (head_of(exchange)->whole) {
            take_facts(exchange);
            if (!exchange->collecting)
                send_whole(exchange, RM_SLICE_NONE, false, rm_blob_slice(chunk));
            else
                take_chunk(exchange, chunk);
        } else {
            take_chunk(exchange, chunk);
        }
        rm_blob_unref(chunk);
        return true;
    case RM_FLIGHT_CUT:
        rm_observer_count(exchange->worker->observer, RM_COUNTER_SLOW_FOLLOWERS, 1);
        break_off(exchange);
        return false;
    case RM_FLIGHT_END:
        end(exchange, status);
        return false;
    }
    return false;
}

void rm_exchange__relay(rm_exchange *exchange)
{
    if (exchange->closed || !exchange->subscriber.flight || exchange->relaying_now)
        return;
    exchange->relaying_now = true;
    rm_req_cork(exchange->req);
    while (exchange->state != RM_EXCHANGE_DONE && !exchange->closed) {
        if (take_head(exchange) && is_failure(head_of(exchange)->status) && rm_exchange__serve_stale(exchange))
            break;
        if (rm_req_replied(exchange->req) && rm_req_queued_bytes(exchange->req) > RM_WRITE_HIGH_BYTES)
            break;
        if (!take_next(exchange))
            break;
    }
    if (!exchange->closed)
        rm_req_uncork(exchange->req);
    exchange->relaying_now = false;
}
