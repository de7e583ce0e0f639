/* One upstream call and the flight that carries its answer.
 *
 *   curl --on_head, on_data--> PIECES: as they come
 *                              BODY:   gathered, read, priced, recorded, then pushed whole
 *                              EVENTS: cut, read, cleaned
 *
 * curl calls on_data once for each HTTP chunk, so what a loop turn brings is gathered and pushed as one chunk at the
 * turn's end: one write a caller, however many events came.
 *
 * A fetch is its flight's publisher. It lives from rm_fetch__start to on_done, whether or not the exchange that began
 * it is still there. */
#include "proxy_internal.h"

#define PIECE_BYTES (64 * RM_KIB) /* gathered at most, of bytes that are not looked at */

static const rm_upstream_events upstream_events;

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Nothing but a body gathers for longer than a turn, so the buffers go round. */
static void gather_begin(rm_fetch *fetch)
{
    rm_worker *worker = fetch->worker;
    if (fetch->gathered.ptr || worker->gather_spare_count == 0)
        return;
    rm_buf *spare = &worker->gather_spares[--worker->gather_spare_count];
    fetch->gathered.ptr = spare->ptr;
    fetch->gathered.cap = spare->cap;
}

static void gather_end(rm_fetch *fetch)
{
    rm_worker *worker = fetch->worker;
    rm_buf *gathered = &fetch->gathered;
    if (rm_link_linked(&fetch->gathering_link)) {
        rm_list_remove(&fetch->gathering_link);
        worker->gathering_count--;
    }
    if (!gathered->ptr)
        return;
    rm_buf empty = {.ptr = gathered->ptr, .cap = gathered->cap};
    if (empty.cap <= RM_PROXY_GATHER_BYTES_MAX && worker->gather_spare_count < RM_PROXY_GATHER_MAX)
        worker->gather_spares[worker->gather_spare_count++] = empty;
    else
        rm_buf_deinit(&empty);
    *gathered = (rm_buf){.max = gathered->max, .status = gathered->status};
}

void rm_fetch__lender_gone(rm_fetch *fetch, rm_req *req)
{
    rm_req_take_arena(req, &fetch->own);
    fetch->arena = &fetch->own;
    fetch->lender = NULL;
}

static void finish(rm_fetch *fetch)
{
    rm_worker *worker = fetch->worker;
    rm_generation *generation = fetch->generation;
    rm_timer_stop(worker->exec, &fetch->head_timer);
    if (fetch->uploader)
        fetch->uploader->fetch = NULL;
    if (fetch->lender && fetch->lender->borrower == fetch)
        fetch->lender->borrower = NULL;
    if (fetch->flight)
        rm_flight_release(fetch->flight);
    if (!fetch->head_set)
        rm_blob_unref(fetch->head);
    rm_blob_unref(fetch->body);
    rm_sse_parser_deinit(&fetch->sse);
    rm_blob_unref(fetch->canonical);
    rm_inquiry__unref(fetch->inquiry);
    gather_end(fetch);
    rm_list_remove(&fetch->link);
    rm_arena_deinit(&fetch->own);
    rm_free(fetch);
    worker->fetches--;
    atomic_store_explicit(&worker->calls_seen, worker->fetches, memory_order_relaxed);
    rm_proxy__generation_unref(generation);
    rm_proxy__worker_check_idle(worker);
}

static rm_answer_head *head_of(rm_fetch *fetch)
{
    return fetch->head ? rm_answer_head_of(fetch->head) : NULL;
}

/* ---- money ------------------------------------------------------------------------------------------------------- */

static bool catalogue_price(const rm_config *config, rm_slice name, rm_price *ret_price)
{
    const rm_config_model *model = name.len ? rm_config_find_model(config, name) : NULL;
    if (!model || !model->priced)
        return false;
    double cached = model->price_cached_input >= 0 ? model->price_cached_input : model->price_input;
    *ret_price = (rm_price){
        .input = model->price_input / 1e6,
        .cached_input = cached / 1e6,
        .cache_write = model->price_input / 1e6,
        .output = model->price_output / 1e6,
        .batch_input = -1,
        .batch_output = -1,
        .context_tokens = model->context_tokens,
    };
    return true;
}

static const rm_price *listed_price(const rm_fetch *fetch, rm_slice name)
{
    const rm_prices *own = fetch->generation->settings->prices;
    const rm_price *price = name.len && own ? rm_prices_find(own, name) : NULL;
    return price || !name.len ? price : rm_prices_find(rm_prices_built_in(), name);
}

/* What the upstream says it cost, else by the catalogue's price, else by the cost map's; negative: unknown. */
double rm_fetch__cost(const rm_fetch *fetch)
{
    if (fetch->status >= 400)
        return 0;
    if (fetch->stated_cost_usd >= 0)
        return fetch->stated_cost_usd;
    if (fetch->answer.usage_cost_usd >= 0)
        return fetch->answer.usage_cost_usd;
    const rm_config *config = fetch->generation->config;
    rm_price price;
    if (catalogue_price(config, fetch->requested_model, &price) || catalogue_price(config, fetch->answer.model, &price))
        return rm_price_cost(&price, &fetch->answer.usage, fetch->answer.service_tier);
    const rm_price *listed = listed_price(fetch, fetch->answer.model);
    if (!listed)
        listed = listed_price(fetch, fetch->requested_model);
    return listed ? rm_price_cost(listed, &fetch->answer.usage, fetch->answer.service_tier) : -1;
}

/* What is known now goes where the subscribers will look once they have seen the end or the usage chunk, on any loop:
 * after the latter it stands. */
static void note_facts(rm_fetch *fetch)
{
    rm_answer_head *head = head_of(fetch);
    if (!head || fetch->facts_final)
        return;
    head->usage = fetch->answer.usage;
    head->cost_usd = rm_fetch__cost(fetch);
    rm_proxy__keep_text(head->service_tier, sizeof head->service_tier, fetch->answer.service_tier);
    if (fetch->led && fetch->lender && !fetch->lender->claimed) {
        /* A follower on another loop may be quicker to ask. */
        atomic_store_explicit(&head->cost_claimed, true, memory_order_relaxed);
        fetch->lender->bears = true;
    }
}

void rm_fetch__cancel(rm_fetch *fetch)
{
    if (fetch->call)
        rm_upstream_cancel(fetch->call);
    if (fetch->local)
        rm_local__cancel(fetch->local);
}

/* Remora itself cannot go on with this answer: its end says so, and not that somebody cancelled it. */
static void lose(rm_fetch *fetch)
{
    fetch->lost = true;
    rm_fetch__cancel(fetch);
}

/* ---- to the flight ----------------------------------------------------------------------------------------------- */

static void publish_head(rm_fetch *fetch)
{
    if (fetch->head_set || !fetch->head)
        return;
    rm_timer_stop(fetch->worker->exec, &fetch->head_timer);
    rm_fetch__set_head_text(&fetch->head, fetch->answer.model);
    fetch->head_set = true;
    rm_flight_set_head(fetch->flight, fetch->head);
}

/* No chunk goes before the head. Without one of them the rest would be a wrong answer: it ends there instead. */
static void push(rm_fetch *fetch, rm_slice bytes, uint32_t flags)
{
    publish_head(fetch);
    rm_blob *chunk = fetch->lost ? NULL : rm_blob_create_copy(bytes);
    if (!chunk) {
        lose(fetch);
        return;
    }
    chunk->flags = flags;
    if (!rm_flight_push(fetch->flight, chunk) && fetch->call)
        rm_upstream_pause(fetch->call);
}

static void push_gathered(rm_fetch *fetch)
{
    if (fetch->gathered.len)
        push(fetch, rm_buf_slice(&fetch->gathered), 0);
    rm_buf_clear(&fetch->gathered);
}

static void flush_first(rm_worker *worker)
{
    rm_fetch *fetch = RM_CONTAINER_OF(worker->gathering.next, rm_fetch, gathering_link);
    push_gathered(fetch);
    gather_end(fetch);
    rm_flight_wake(fetch->flight);
}

void rm_fetch__run_flush(rm_task *task)
{
    rm_worker *worker = RM_CONTAINER_OF(task, rm_worker, flush);
    worker->flush_posted = false;
    while (!rm_list_empty(&worker->gathering))
        flush_first(worker);
    rm_proxy__worker_check_idle(worker);
}

/* At the turn's end; sooner where many gather, as after a stall: what they hold together stays small, and the first of
 * them most likely has all that its turn brings. */
static void flush_later(rm_fetch *fetch)
{
    rm_worker *worker = fetch->worker;
    if (rm_link_linked(&fetch->gathering_link))
        return;
    rm_list_append(&worker->gathering, &fetch->gathering_link);
    if (worker->gathering_count++ == RM_PROXY_GATHER_MAX)
        flush_first(worker);
    if (worker->flush_posted)
        return;
    worker->flush_posted = true;
    rm_exec_post(worker->exec, &worker->flush);
}

static void on_abandoned(void *user)
{
    rm_fetch__cancel(user);
}

static void on_demand(void *user)
{
    rm_fetch *fetch = user;
    if (fetch->call)
        rm_upstream_resume(fetch->call);
}

/* ---- from the upstream ------------------------------------------------------------------------------------------- */

static rm_slice header_of(const rm_upstream_head *head, rm_slice name)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (rm_slice_eq_nocase(head->headers[i].name, name))
            return head->headers[i].value;
    return RM_SLICE_NONE;
}

static bool type_is(rm_slice type, rm_slice wanted)
{
    return type.len >= wanted.len && rm_slice_eq_nocase((rm_slice){type.ptr, wanted.len}, wanted);
}

static rm_fetch_mode mode_for(const rm_fetch *fetch, rm_slice type, const rm_upstream_head *head)
{
    if (fetch->op == RM_OP_OTHER || fetch->op == RM_OP_MODELS || header_of(head, RM_SLICE("content-encoding")).len)
        return RM_FETCH_PIECES;
    if (type_is(type, RM_SLICE("text/event-stream")))
        return RM_FETCH_EVENTS;
    return type_is(type, RM_SLICE("application/json")) ? RM_FETCH_BODY : RM_FETCH_PIECES;
}

static void on_head(void *user, const rm_upstream_head *head)
{
    rm_fetch *fetch = user;
    rm_slice type = header_of(head, RM_SLICE("content-type"));
    rm_slice stated = header_of(head, RM_SLICE("x-litellm-response-cost"));
    double cost;
    fetch->status = head->status;
    fetch->head = rm_fetch__make_head(head);
    if (!fetch->head) {
        lose(fetch);
        return;
    }
    if (stated.len && rm_parse_double(stated, &cost) == RM_OK && cost >= 0)
        fetch->stated_cost_usd = cost;
    fetch->content_type = rm_arena_dup(fetch->arena, type);
    fetch->mode = mode_for(fetch, type, head);
    if (fetch->status != 200)
        rm_flight_seal(fetch->flight);
    if (fetch->mode == RM_FETCH_EVENTS) {
        /* The head waits for the first event, which names the model; but not for ever. */
        head_of(fetch)->sse = true;
        rm_timer_start(fetch->worker->exec, &fetch->head_timer, fetch->generation->config->timeouts.silence_comment_ms);
    } else if (fetch->mode == RM_FETCH_PIECES) {
        publish_head(fetch);
        rm_flight_wake(fetch->flight);
    }
}

static void on_head_timer(rm_timer *timer)
{
    rm_fetch *fetch = RM_CONTAINER_OF(timer, rm_fetch, head_timer);
    publish_head(fetch);
    rm_flight_wake(fetch->flight);
}

static void on_event(void *user, const rm_sse_event *event)
{
    rm_fetch *fetch = user;
    rm_event_info info = {0};
    rm_provider_read_event(fetch->op, event, fetch->arena, &fetch->answer, &info);
    if (info.error && !head_of(fetch)->stream_error) {
        head_of(fetch)->stream_error = true;
        rm_observer_count(fetch->worker->observer, RM_COUNTER_STREAM_ERRORS, 1);
    }
    rm_status status = RM_OK;
    if (info.has_usage) {
        push_gathered(fetch);
        note_facts(fetch);
        fetch->facts_final = fetch->answer.usage.output_tokens >= 0;
        status = rm_provider_clean_event(fetch->op, event, &info, &fetch->gathered);
        if (fetch->gathered.len)
            push(fetch, rm_buf_slice(&fetch->gathered), RM_CHUNK_USAGE | (info.usage_only ? RM_CHUNK_USAGE_ONLY : 0));
        rm_buf_clear(&fetch->gathered);
    } else {
        status = rm_provider_clean_event(fetch->op, event, &info, &fetch->gathered);
    }
    if (status != RM_OK)
        lose(fetch);
    if (info.terminal && !fetch->stored) {
        /* Kept before the caller can know that the answer is whole: its next request finds it. */
        push_gathered(fetch);
        note_facts(fetch);
        rm_fetch__record_events(fetch);
    }
}

static void on_events(rm_fetch *fetch, rm_slice bytes)
{
    if (rm_sse_parser_feed(&fetch->sse, bytes, on_event, fetch) != RM_OK)
        lose(fetch);
    flush_later(fetch);
}

static void on_piece(rm_fetch *fetch, rm_slice bytes)
{
    if (fetch->gathered.len + bytes.len > PIECE_BYTES)
        push_gathered(fetch);
    if (rm_buf_append_slice(&fetch->gathered, bytes) != RM_OK)
        lose(fetch);
    flush_later(fetch);
}

static void on_data(void *user, rm_slice bytes)
{
    rm_fetch *fetch = user;
    gather_begin(fetch);
    if (fetch->mode == RM_FETCH_EVENTS) {
        on_events(fetch, bytes);
        return;
    }
    if (fetch->mode == RM_FETCH_BODY) {
        if (rm_buf_append_slice(&fetch->gathered, bytes) == RM_OK)
            return;
        /* Too large to hold back for the sake of its cost. */
        fetch->mode = RM_FETCH_PIECES;
        fetch->gathered.status = RM_OK;
    }
    on_piece(fetch, bytes);
}

static void on_upload_drain(void *user)
{
    rm_fetch *fetch = user;
    if (fetch->uploader)
        rm_req_resume_body(fetch->uploader->req);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void finish_body(rm_fetch *fetch)
{
    rm_slice body = rm_buf_slice(&fetch->gathered);
    if (rm_provider_read_body(fetch->op, body, fetch->arena, &fetch->answer) != RM_OK)
        rm_answer_init(&fetch->answer);
    note_facts(fetch);
    rm_fetch__record_body(fetch, body);
    head_of(fetch)->whole = true;
    head_of(fetch)->content_length = (int64_t)body.len;
    publish_head(fetch);
    push_gathered(fetch);
}

static void finish_events(rm_fetch *fetch)
{
    rm_slice rest = rm_sse_parser_rest(&fetch->sse);
    push_gathered(fetch);
    publish_head(fetch);
    if (rest.len)
        push(fetch, rest, 0);
    note_facts(fetch);
}

/* No answer: an empty head carries the reason to whoever waits. */
static void fail_without_head(rm_fetch *fetch, const rm_upstream_result *result)
{
    if (fetch->head_set)
        return;
    rm_blob_unref(fetch->head);
    fetch->head = rm_fetch__make_head(&(rm_upstream_head){.content_length = -1});
    if (!fetch->head)
        return;
    rm_fetch__set_head_text(&fetch->head, rm_slice_cstr(result->text));
    fetch->head_set = true;
    rm_flight_set_head(fetch->flight, fetch->head);
}

static void count(rm_fetch *fetch, const rm_upstream_result *result)
{
    rm_observer *observer = fetch->worker->observer;
    rm_observer_count(observer, RM_COUNTER_UPSTREAM_REQUESTS, result->tries);
    if (result->tries > 1)
        rm_observer_count(observer, RM_COUNTER_UPSTREAM_RETRIES, result->tries - 1);
    if (result->status == RM_ECANCELLED)
        rm_observer_count(observer, RM_COUNTER_UPSTREAM_CANCELLED, 1);
    else if (result->status != RM_OK)
        rm_observer_count(observer, fetch->head_set ? RM_COUNTER_STREAM_CUT : RM_COUNTER_UPSTREAM_FAILURES, 1);
}

static void on_done(void *user, const rm_upstream_result *result)
{
    rm_fetch *fetch = user;
    fetch->call = NULL; /* over: what fails from here on has nothing left to cancel */
    fetch->local = NULL;
    count(fetch, result);
    if (result->status == RM_OK && fetch->mode == RM_FETCH_BODY)
        finish_body(fetch);
    else if (result->status == RM_OK && fetch->mode == RM_FETCH_EVENTS)
        finish_events(fetch);
    else if (fetch->mode != RM_FETCH_BODY)
        push_gathered(fetch);
    if (result->status != RM_OK)
        fail_without_head(fetch, result);
    rm_answer_head *head = head_of(fetch);
    if (head) {
        head->upstream_ns = result->total_ms * 1000000;
        head->tries = result->tries;
    }
    rm_flight_end(fetch->flight, fetch->lost ? RM_ENOMEM : result->status);
    rm_flight_wake(fetch->flight);
    finish(fetch);
}

static const rm_upstream_events upstream_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_upload_drain = on_upload_drain,
    .on_done = on_done,
};

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

static rm_status copy_plan(rm_fetch *fetch, const rm_fetch_plan *plan)
{
    rm_exchange *exchange = plan->exchange;
    fetch->op = exchange->op;
    fetch->uploader = plan->upload ? exchange : NULL;
    fetch->ttl_ms = exchange->decision.ttl_ms;
    fetch->tenant = exchange->tenant.scope;
    fetch->requested_model = exchange->requested_model;
    fetch->name_space = exchange->name_space;
    fetch->store = plan->key && plan->store;
    memcpy(fetch->id, exchange->id, sizeof fetch->id);
    fetch->stated_cost_usd = -1;
    rm_answer_init(&fetch->answer);
    rm_sse_parser_init(&fetch->sse);
    bool local = plan->upstream == &rm_config_local;
    rm_buf_init(&fetch->gathered, local ? RM_EMBED_ANSWER_BYTES_MAX : RM_RESPONSE_BUFFER_BYTES_MAX);
    fetch->inject_usage = plan->info && plan->info->stream && plan->info->usage_injectable;
    if (!plan->key)
        return RM_OK;
    fetch->key = plan->key->key;
    fetch->canonical = rm_blob_create_copy(plan->key->canonical);
    return fetch->canonical ? RM_OK : RM_ENOMEM;
}

static rm_status open_flight(rm_fetch *fetch, const rm_fetch_plan *plan)
{
    rm_flight_options options = {
        .key = plan->key && plan->merge ? &fetch->key : NULL,
        .canonical = fetch->canonical,
        .bytes_max = (size_t)fetch->generation->config->merge.bytes_max,
        .keep = fetch->store,
        .publisher = {.exec = fetch->worker->exec, .on_abandoned = on_abandoned, .on_demand = on_demand, .user = fetch},
    };
    return rm_flight_create(fetch->worker->proxy->flights, &options, &fetch->flight);
}

/* What our own CPU does costs what the catalogue says, else nothing. */
static rm_status start_local(rm_fetch *fetch, const rm_fetch_plan *plan)
{
    rm_price price;
    if (!catalogue_price(fetch->generation->config, fetch->requested_model, &price))
        fetch->stated_cost_usd = 0;
    return rm_local__start(fetch->worker, fetch->generation->settings, plan->info, &upstream_events, fetch,
                           &fetch->local);
}

/* Whether curl may undo the encoding: only where Remora reads the answer. */
static rm_status start_call(rm_fetch *fetch, const rm_fetch_plan *plan)
{
    const rm_config *config = fetch->generation->config;
    const rm_http_head *head = rm_req_head(plan->exchange->req);
    rm_slice body = rm_blob_slice(plan->exchange->body);
    rm_upstream_request request = {
        .method = rm_method_name(head->method),
        .stream_body = plan->upload && (head->chunked || head->content_length > 0),
        .stream_body_bytes = head->content_length,
        .has_body = body.ptr != NULL,
        .body = body,
        .decode = fetch->op != RM_OP_OTHER && fetch->op != RM_OP_MODELS,
        .retries_max = config->retries.per_request,
        .timeouts = {.connect_ms = config->timeouts.connect_ms,
                     .first_byte_ms = config->timeouts.first_byte_ms,
                     .stream_idle_ms = config->timeouts.stream_idle_ms,
                     .total_ms = config->timeouts.total_ms},
        .name = rm_slice_cstr(plan->upstream->name),
    };
    if (request.stream_body)
        request.has_body = true;
    rm_status status = RM_OK;
    if (plan->info)
        status = rm_provider_upstream_body(plan->info, body, fetch->inject_usage, fetch->arena, &request.body);
    if (status != RM_OK) {
        /* The caller's own body serves as well; only the usage chunk may be missing. */
        rm_observer_fault(fetch->worker->observer, RM_STAGE_DECODE);
        request.body = body;
    }
    if (body.ptr && request.body.ptr == body.ptr)
        fetch->body = rm_blob_ref(plan->exchange->body);
    status = rm_fetch__url(plan->upstream, head->target, fetch->arena, &request.url);
    if (status == RM_OK)
        status = rm_fetch__headers(plan->upstream, head, fetch->arena, &request.headers, &request.header_count);
    if (status != RM_OK)
        return status;
    size_t index = (size_t)(plan->upstream - config->upstreams);
    return rm_upstream_start(fetch->generation->clients[index], &request, &upstream_events, fetch, &fetch->call);
}

static void discard(rm_fetch *fetch)
{
    if (fetch->flight)
        rm_flight_end(fetch->flight, RM_ECANCELLED);
    fetch->uploader = NULL;
    finish(fetch);
}

rm_status rm_fetch__start(rm_worker *worker, const rm_fetch_plan *plan, rm_fetch **ret_fetch)
{
    rm_fetch *fetch = rm_calloc(1, sizeof *fetch);
    if (!fetch)
        return RM_ENOMEM;
    fetch->worker = worker;
    fetch->generation = rm_proxy__generation_ref(plan->exchange->generation);
    fetch->arena = rm_req_arena(plan->exchange->req);
    fetch->lender = plan->exchange;
    plan->exchange->borrower = fetch;
    fetch->head_timer.fire = on_head_timer;
    rm_list_append(&worker->fetch_list, &fetch->link);
    worker->fetches++;
    atomic_store_explicit(&worker->calls_seen, worker->fetches, memory_order_relaxed);
    rm_status status = copy_plan(fetch, plan);
    if (status == RM_OK)
        status = open_flight(fetch, plan);
    if (!fetch->store) { /* the flight has its own reference */
        rm_blob_unref(fetch->canonical);
        fetch->canonical = NULL;
    }
    if (status == RM_OK)
        status = plan->upstream == &rm_config_local ? start_local(fetch, plan) : start_call(fetch, plan);
    if (status != RM_OK) {
        discard(fetch);
        return status;
    }
    fetch->led = plan->subscribe;
    if (fetch->led) {
        fetch->inquiry = rm_inquiry__ref(plan->exchange->inquiry);
        rm_flight_join_first(fetch->flight, &plan->exchange->subscriber);
    }
    *ret_fetch = fetch;
    return RM_OK;
}
