/* One function an endpoint. They run on the admin loop's own thread and may wait for the store. */
#include "admin_internal.h"

/* ---- health ------------------------------------------------------------------------------------------------------ */

static int get_health(rm_admin_call *call)
{
    rm_buf_append_cstr(&call->out, "{\"status\":\"ok\",\"version\":\"" REMORA_VERSION "\"}");
    return 200;
}

static int get_ready(rm_admin_call *call)
{
    bool ready = call->admin->context.ready(call->admin->context.user);

    rm_buf_appendf(&call->out, "{\"status\":\"%s\"}", ready ? "ready" : "not_ready");
    return ready ? 200 : 503;
}

/* ---- metrics and reports ----------------------------------------------------------------------------------------- */

static int failed(rm_admin_call *call, rm_status status)
{
    return rm_admin__error(call, rm_status_http(status), rm_status_text(status));
}

static int no_store(rm_admin_call *call)
{
    return rm_admin__error(call, 503, "Remora serves without a store; its log says why");
}

static rm_status with_semantic(rm_admin_call *call, rm_status (*print)(rm_admin_semantic *semantic, rm_buf *out))
{
    rm_admin_semantic semantic;
    rm_status status = rm_admin__semantic_open(&call->admin->context, &semantic);

    if (status != RM_OK)
        return status;
    status = print(&semantic, &call->out);
    rm_admin__semantic_close(&semantic);
    return status;
}

static int get_metrics(rm_admin_call *call)
{
    const rm_admin_context *context = &call->admin->context;
    rm_gauges gauges = {.version = REMORA_VERSION};

    if (context->store)
        rm_store_get_stats(context->store, &gauges.store);
    context->gauges(context->user, &gauges);
    rm_status status = rm_observe_prometheus(context->observe, &gauges, &call->out);
    if (status == RM_OK)
        status = with_semantic(call, rm_admin__semantic_prometheus);
    if (status != RM_OK)
        return failed(call, status);
    call->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return 200;
}

/* What the loops counted since the last flush joins the ledger, so that a report is up to date. */
static rm_status flush_ledger(const rm_admin_context *context)
{
    rm_ledger_row *rows = NULL;
    size_t count = 0;
    rm_status status = rm_observe_take_ledger(context->observe, &rows, &count);

    if (status != RM_OK)
        return status;
    if (count > 0 && (status = rm_store_ledger_add(context->store, rows, count)) != RM_OK)
        rm_observe_lose_ledger(context->observe, count);
    rm_free(rows);
    if (status == RM_OK)
        status = rm_store_flush(context->store);
    return status;
}

static rm_status report_since(rm_admin_call *call, uint64_t since_ms, bool table)
{
    rm_admin_semantic semantic;
    rm_status status = rm_admin__semantic_open(&call->admin->context, &semantic);

    if (status != RM_OK)
        return status;
    status = (table ? rm_admin_report_table : rm_admin_report_json)(
        call->admin->context.store, semantic.known ? &semantic : NULL, since_ms, &call->out);
    rm_admin__semantic_close(&semantic);
    return status;
}

/* ?since=T, and &format=table for `remora report`. */
static int get_report(rm_admin_call *call)
{
    const rm_admin_context *context = &call->admin->context;
    char since[RM_ADMIN_QUERY_BYTES_MAX], format[RM_ADMIN_QUERY_BYTES_MAX];
    uint64_t since_ms = 0;

    rm_status status = rm_admin__query(rm_req_head(call->req)->query, "since", since);
    if (status == RM_OK)
        status = rm_admin_parse_since(rm_slice_cstr(since), context->clock->wall_ms(context->clock), &since_ms);
    if (status != RM_OK && status != RM_ENOTFOUND)
        return rm_admin__error(call, 400, "since must be such as 24h, 7d, 2026-11-01, RFC 3339 or a Unix time");
    if (!context->store)
        return no_store(call);
    status = flush_ledger(context);
    if (status != RM_OK) /* the report still tells what was stored before */
        rm_log_limited(RM_LOG_WARN, "admin", "ledger rows could not be stored: %s", rm_status_text(status));
    bool table = rm_admin__query(rm_req_head(call->req)->query, "format", format) == RM_OK && !strcmp(format, "table");
    status = report_since(call, since_ms, table);
    if (status != RM_OK)
        return failed(call, status);
    if (table)
        call->content_type = "text/plain; charset=utf-8";
    return 200;
}

static int get_config(rm_admin_call *call)
{
    const rm_admin_context *context = &call->admin->context;
    rm_config *config = context->config(context->user);
    rm_status status = rm_config_json(config, &call->out);

    rm_config_unref(config);
    return status == RM_OK ? 200 : failed(call, status);
}

/* ---- cache ------------------------------------------------------------------------------------------------------- */

static int get_stats(rm_admin_call *call)
{
    rm_store_stats stats;

    if (!call->admin->context.store)
        return no_store(call);
    rm_store_get_stats(call->admin->context.store, &stats);
    rm_status status = rm_admin_stats_json(&stats, &call->out);
    return status == RM_OK ? 200 : failed(call, status);
}

static int get_entry(rm_admin_call *call)
{
    const rm_clock *clock = call->admin->context.clock;
    char text[RM_ADMIN_QUERY_BYTES_MAX];
    rm_record record;
    rm_key128 key;

    if (rm_admin__query(rm_req_head(call->req)->query, "key", text) != RM_OK ||
        rm_key128_parse(rm_slice_cstr(text), &key) != RM_OK)
        return rm_admin__error(call, 400, "key must be 32 hexadecimal digits");
    if (!call->admin->reader)
        return no_store(call);
    rm_status status = rm_store_get(call->admin->reader, key, &record);
    if (status == RM_ENOTFOUND)
        return rm_admin__error(call, 404, "no entry has that key");
    if (status != RM_OK)
        return failed(call, status);
    status = rm_admin_entry_json(&record, clock->wall_ms(clock), &call->out);
    rm_store_release(call->admin->reader);
    return status == RM_OK ? 200 : failed(call, status);
}

static int post_purge(rm_admin_call *call)
{
    const rm_admin_context *context = &call->admin->context;
    rm_config *config = context->config(context->user);
    rm_scope scope = config->cache.scope;
    const char *why = NULL;
    rm_admin_purge purge;
    uint64_t count = 0;

    rm_config_unref(config);
    rm_status status = rm_admin_read_purge(rm_buf_slice(&call->body), scope, context->clock->wall_ms(context->clock),
                                           rm_req_arena(call->req), &purge, &why);
    if (status != RM_OK)
        return rm_admin__error(call, 400, why);
    if (!context->store)
        return no_store(call);
    status = rm_store_purge(context->store, &purge.filter, &count);
    if (status != RM_OK)
        return failed(call, status);
    rm_log(RM_LOG_INFO, "admin", "purged %llu entries", (unsigned long long)count);
    rm_buf_appendf(&call->out, "{\"purged\":%llu}", (unsigned long long)count);
    return 200;
}

/* ---- the semantic cache ------------------------------------------------------------------------------------------ */

static rm_keeper *keeper_of(const rm_admin_call *call)
{
    const rm_admin_context *context = &call->admin->context;

    return context->keeper ? context->keeper(context->user) : NULL;
}

static int no_keeper(rm_admin_call *call)
{
    return rm_admin__error(call, 503,
                           "the semantic cache is off: by cache.semantic.mode, or for a reason that the log says");
}

static int unknown_id(rm_admin_call *call)
{
    return rm_admin__error(call, 404,
                           "no decision of the semantic cache has that id: it decides where the exact cache has no "
                           "answer, and only its latest decisions are kept");
}

static rm_status print_semantic(rm_admin_semantic *semantic, rm_buf *out)
{
    return rm_admin__semantic_json(semantic, out);
}

static int get_semantic(rm_admin_call *call)
{
    rm_status status = with_semantic(call, print_semantic);

    return status == RM_OK ? 200 : failed(call, status);
}

static int get_receipt(rm_admin_call *call)
{
    char id[RM_ADMIN_QUERY_BYTES_MAX];
    rm_semantic_receipt receipt;
    rm_keeper *keeper = keeper_of(call);

    if (rm_admin__query(rm_req_head(call->req)->query, "id", id) != RM_OK || !*id)
        return rm_admin__error(call, 400, "id must be the x-remora-id of an answer");
    if (!keeper)
        return no_keeper(call);
    if (rm_keeper_get_receipt(keeper, rm_slice_cstr(id), &receipt) != RM_OK)
        return unknown_id(call);
    rm_status status = rm_admin__receipt_json(&receipt, &call->out);
    return status == RM_OK ? 200 : failed(call, status);
}

/* The id is a receipt's here, so of our own making. */
static void log_feedback(const rm_admin_feedback *feedback)
{
    char memory[6 * RM_ADMIN_LOG_BYTES_MAX]; /* the longest escape of a byte */
    rm_buf note = rm_buf_over(memory, sizeof(memory));
    size_t len = feedback->note.len < RM_ADMIN_LOG_BYTES_MAX ? feedback->note.len : RM_ADMIN_LOG_BYTES_MAX;

    rm_buf_append_json_escaped(&note, rm_slice_make(feedback->note.ptr, len));
    rm_log(RM_LOG_INFO, "admin", "answer %.*s was called %s: \"%.*s%s\"", (int)feedback->id.len, feedback->id.ptr,
           feedback->right ? "right" : "wrong", (int)note.len, memory, len < feedback->note.len ? "..." : "");
}

static int post_feedback(rm_admin_call *call)
{
    rm_admin_feedback feedback;
    rm_feedback_effect effect;
    const char *why = NULL;
    rm_keeper *keeper = keeper_of(call);
    rm_status status = rm_admin__read_feedback(rm_buf_slice(&call->body), rm_req_arena(call->req), &feedback, &why);

    if (status != RM_OK)
        return rm_admin__error(call, 400, why);
    if (!keeper)
        return no_keeper(call);
    status = rm_keeper_feedback(keeper, feedback.id, feedback.right, &effect);
    if (status == RM_ENOTFOUND)
        return unknown_id(call);
    if (status != RM_OK)
        return failed(call, status);
    log_feedback(&feedback);
    status = rm_admin__feedback_json(&feedback, effect, &call->out);
    return status == RM_OK ? 200 : failed(call, status);
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

static int get_page(rm_admin_call *call)
{
    rm_buf_append(&call->out, rm_admin__index_html, rm_admin__index_html_bytes);
    call->content_type = "text/html; charset=utf-8";
    return 200;
}

const rm_admin_route rm_admin__routes[] = {
    {"/", RM_METHOD_GET, false, get_page},
    {"/healthz", RM_METHOD_GET, true, get_health},
    {"/readyz", RM_METHOD_GET, true, get_ready},
    {"/metrics", RM_METHOD_GET, false, get_metrics},
    {"/api/report", RM_METHOD_GET, false, get_report},
    {"/api/config", RM_METHOD_GET, false, get_config},
    {"/api/cache/stats", RM_METHOD_GET, false, get_stats},
    {"/api/cache/entry", RM_METHOD_GET, false, get_entry},
    {"/api/cache/purge", RM_METHOD_POST, false, post_purge},
    {"/api/semantic", RM_METHOD_GET, false, get_semantic},
    {"/api/semantic/receipt", RM_METHOD_GET, false, get_receipt},
    {"/api/feedback", RM_METHOD_POST, false, post_feedback},
};
const size_t rm_admin__route_count = RM_COUNT(rm_admin__routes);
