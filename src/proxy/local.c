/* Embeddings by a model inside Remora, in the place of an upstream: a fetch starts a local call as it starts an upstream's
 * and gets the same events, so that cache, merging, money and log know no difference.
 *
 *   start ─┬─ refused (bad request, no model, full lane): its answer is an error, given in a later turn
 *          └─ lane ─► work (worker's thread: the body is written) ─► done (loop) ─► on_head, on_data, on_done */
#include "proxy_internal.h"

struct rm_local_call {
    rm_lane_op op;
    rm_worker *worker;
    rm_local_model *model;
    const rm_upstream_events *events;
    void *user;
    rm_embeddings embeddings;
    int status; /* of the answer */
    rm_buf body;
    rm_task refuse;
    rm_timer limit;
    bool cancelled, timed_out;
    uint64_t begin_ns;
    void *memory; /* texts, vectors and counts of tokens */
};

/* ---- models ------------------------------------------------------------------------------------------------------ */

rm_local_model *rm_local_model_ref(rm_local_model *local)
{
    atomic_fetch_add_explicit(&local->refs, 1, memory_order_relaxed);
    return local;
}

void rm_local_model_unref(rm_local_model *local)
{
    if (!local || atomic_fetch_sub_explicit(&local->refs, 1, memory_order_acq_rel) != 1)
        return;
    rm_lane_destroy(local->lane);
    rm_model_close(local->model);
    rm_free(local);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void finish(rm_local_call *call, rm_status status)
{
    uint64_t now_ns = rm_proxy__now_ns();
    rm_upstream_result result = {.status = status, .total_ms = (now_ns - call->begin_ns) / 1000000};
    rm_proxy__keep_text(result.text, sizeof result.text,
                        call->timed_out ? RM_SLICE("the model was busy for too long")
                                        : rm_slice_cstr(rm_status_text(status)));
    const rm_upstream_events *events = call->events;
    void *user = call->user;
    rm_timer_stop(call->worker->exec, &call->limit);
    rm_local_model_unref(call->model);
    rm_buf_deinit(&call->body);
    rm_free(call->memory);
    rm_free(call);
    events->on_done(user, &result);
}

static void give(rm_local_call *call)
{
    static const rm_header headers[] = {{RM_SLICE("Content-Type"), RM_SLICE("application/json")},
                                        {RM_SLICE("Retry-After"), RM_SLICE("1")}};
    rm_upstream_head head = {.status = call->status,
                             .headers = headers,
                             .header_count = call->status == 503 ? 2 : 1,
                             .content_length = (int64_t)call->body.len};
    call->events->on_head(call->user, &head);
    if (!call->cancelled)
        call->events->on_data(call->user, rm_buf_slice(&call->body));
    finish(call, call->cancelled ? RM_ECANCELLED : RM_OK);
}

static void run_refuse(rm_task *task)
{
    rm_local_call *call = RM_CONTAINER_OF(task, rm_local_call, refuse);
    if (call->cancelled)
        finish(call, RM_ECANCELLED);
    else
        give(call);
}

static void refuse(rm_local_call *call, int status, const char *type, const char *why)
{
    call->status = status;
    call->refuse.run = run_refuse;
    (void)rm_provider_error_body(RM_DIALECT_OPENAI, status, type, why, &call->body);
    rm_exec_post(call->worker->exec, &call->refuse);
}

/* ---- through the lane -------------------------------------------------------------------------------------------- */

/* A worker's thread. */
static void write_body(rm_lane_op *op)
{
    rm_local_call *call = RM_CONTAINER_OF(op, rm_local_call, op);
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < op->count; i++)
        tokens += op->tokens[i];
    call->status = 200;
    (void)rm_provider_write_embeddings(&call->embeddings, rm_slice_cstr(call->model->name), op->vectors, tokens,
                                       &call->body);
}

static void on_lane_done(rm_lane_op *op, rm_status status)
{
    rm_local_call *call = RM_CONTAINER_OF(op, rm_local_call, op);
    if (status == RM_OK)
        status = call->cancelled ? RM_ECANCELLED : call->body.status;
    if (call->timed_out)
        status = RM_ETIMEOUT;
    if (status != RM_OK) {
        finish(call, status);
        return;
    }
    rm_observer_embedded(call->worker->observer, op->finished_ns - op->submitted_ns);
    give(call);
}

static void on_limit(rm_timer *timer)
{
    rm_local_call *call = RM_CONTAINER_OF(timer, rm_local_call, limit);
    call->timed_out = true;
    rm_lane_cancel(call->model->lane, &call->op);
}

/* The request's texts lie in memory that goes before the lane is done with them. One block holds all that the op needs,
 * in order of alignment. */
static rm_status make_op(rm_local_call *call)
{
    const rm_embeddings *asked = &call->embeddings;
    size_t count = asked->count, vectors = count * asked->hidden * sizeof(float), bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += asked->texts[i].len;
    char *at = rm_alloc(count * sizeof(rm_slice) + vectors + count * sizeof(uint32_t) + bytes);
    if (!at)
        return RM_ENOMEM;
    call->memory = at;
    rm_slice *texts = (rm_slice *)(void *)at;
    at += count * sizeof(*texts);
    call->op.vectors = (float *)(void *)at;
    at += vectors;
    call->op.tokens = (uint32_t *)(void *)at;
    at += count * sizeof(uint32_t);
    for (size_t i = 0; i < count; i++) {
        texts[i] = (rm_slice){at, asked->texts[i].len};
        at = rm_slice_put(at, asked->texts[i]);
    }
    call->op.texts = texts;
    call->op.count = asked->count;
    call->op.exec = call->worker->exec;
    call->op.work = write_body;
    call->op.done = on_lane_done;
    return RM_OK;
}

static rm_status submit(rm_local_call *call, const rm_config *config)
{
    uint64_t limit_ms = config->timeouts.first_byte_ms;
    rm_status status = make_op(call);
    if (status != RM_OK)
        return status;
    call->op.overflow = config->embed.overflow == RM_LONG_TEXT_HEAD_TAIL ? RM_OVERFLOW_HEAD_TAIL : RM_OVERFLOW_HEAD;
    if (rm_lane_submit(call->model->lane, &call->op) != RM_OK) {
        refuse(call, 503, "overloaded_error", "The local model has too much to do; try again.");
    } else if (limit_ms) {
        call->limit.fire = on_limit;
        rm_timer_start(call->worker->exec, &call->limit, limit_ms);
    }
    return RM_OK;
}

rm_status rm_local__start(rm_worker *worker, const rm_settings *settings, const rm_request_info *info,
                          const rm_upstream_events *events, void *user, rm_local_call **ret_call)
{
    rm_local_model *model = rm_settings_local(settings, info->model);
    if (!model)
        return RM_EINTERNAL;
    rm_local_call *call = rm_calloc(1, sizeof *call);
    if (!call)
        return RM_ENOMEM;
    call->worker = worker;
    call->model = rm_local_model_ref(model);
    call->events = events;
    call->user = user;
    call->begin_ns = rm_proxy__now_ns();
    rm_buf_init(&call->body, RM_EMBED_ANSWER_BYTES_MAX);
    rm_arena scratch;
    rm_arena_init(&scratch, rm_loop_arenas(worker->loop), RM_EXCHANGE_ARENA_BYTES_MAX);
    const char *why = NULL;
    rm_status status = RM_OK;
    if (!model->lane) {
        refuse(call, 503, NULL, model->why);
    } else {
        uint32_t hidden = rm_model_shape_of(model->model)->hidden;
        status = rm_provider_read_embeddings(info, hidden, &scratch, &call->embeddings, &why);
        if (status == RM_OK)
            status = submit(call, settings->config);
        else if (status == RM_EINVAL)
            refuse(call, 400, NULL, why);
    }
    rm_arena_deinit(&scratch);
    if (status != RM_OK && status != RM_EINVAL) {
        rm_local_model_unref(model);
        rm_buf_deinit(&call->body);
        rm_free(call->memory);
        rm_free(call);
        return status;
    }
    *ret_call = call;
    return RM_OK;
}

void rm_local__cancel(rm_local_call *call)
{
    call->cancelled = true;
    if (!call->refuse.run)
        rm_lane_cancel(call->model->lane, &call->op);
}
