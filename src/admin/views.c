/* The store's things as JSON, and what people write to choose among them. */
#include <stdio.h>
#include <time.h>

#include "admin_internal.h"

/* ---- points in time ---------------------------------------------------------------------------------------------- */

/* Exactly `count` digits at *text. */
static bool take_digits(rm_slice *text, size_t count, unsigned min, unsigned max, unsigned *ret_value)
{
    uint64_t value;

    if (text->len < count || rm_parse_u64(rm_slice_make(text->ptr, count), &value) != RM_OK || value < min ||
        value > max)
        return false;
    *ret_value = (unsigned)value;
    *text = rm_slice_make(text->ptr + count, text->len - count);
    return true;
}

static bool take_char(rm_slice *text, const char *any)
{
    if (text->len == 0 || !text->ptr[0] || !strchr(any, text->ptr[0]))
        return false;
    *text = rm_slice_make(text->ptr + 1, text->len - 1);
    return true;
}

/* "Z", "+02:00", "-05:30" or nothing; what must be added to get UTC. */
static bool take_zone(rm_slice *text, int64_t *ret_seconds)
{
    unsigned hours, minutes;

    *ret_seconds = 0;
    if (text->len == 0 || take_char(text, "Zz"))
        return true;
    int64_t sign = text->ptr[0] == '-' ? 1 : -1;
    if (!take_char(text, "+-") || !take_digits(text, 2, 0, 23, &hours) || !take_char(text, ":") ||
        !take_digits(text, 2, 0, 59, &minutes))
        return false;
    *ret_seconds = sign * (int64_t)(hours * 3600 + minutes * 60);
    return true;
}

/* RFC 3339, or its date alone (midnight UTC). */
static rm_status parse_date(rm_slice text, uint64_t *ret_ms)
{
    unsigned year, month, day, hour = 0, minute = 0, second = 0;
    int64_t zone = 0;

    if (!take_digits(&text, 4, 1970, 9999, &year) || !take_char(&text, "-") || !take_digits(&text, 2, 1, 12, &month) ||
        !take_char(&text, "-") || !take_digits(&text, 2, 1, 31, &day))
        return RM_EPARSE;
    if (text.len > 0) {
        if (!take_char(&text, "Tt ") || !take_digits(&text, 2, 0, 23, &hour) || !take_char(&text, ":") ||
            !take_digits(&text, 2, 0, 59, &minute) || !take_char(&text, ":") || !take_digits(&text, 2, 0, 60, &second))
            return RM_EPARSE;
        while (take_char(&text, ".0123456789"))
            ;
        if (!take_zone(&text, &zone) || text.len > 0)
            return RM_EPARSE;
    }
    struct tm date = {.tm_year = (int)year - 1900,
                      .tm_mon = (int)month - 1,
                      .tm_mday = (int)day,
                      .tm_hour = (int)hour,
                      .tm_min = (int)minute,
                      .tm_sec = (int)second};
    int64_t seconds = (int64_t)timegm(&date) + zone;
    if (date.tm_mon != (int)month - 1 || seconds < 0) /* the 31st of a shorter month */
        return RM_EPARSE;
    *ret_ms = (uint64_t)seconds * 1000;
    return RM_OK;
}

rm_status rm_admin_parse_since(rm_slice text, uint64_t now_ms, uint64_t *ret_since_ms)
{
    uint64_t value;

    text = rm_slice_trim(text);
    if (rm_parse_u64(text, &value) == RM_OK) { /* seconds; from 12 digits on, milliseconds */
        *ret_since_ms = text.len >= 12 ? value : value * 1000;
        return RM_OK;
    }
    rm_status status = rm_parse_duration_ms(text, false, &value);
    if (status == RM_OK)
        *ret_since_ms = value > now_ms ? 0 : now_ms - value;
    else if (status == RM_ETOOBIG)
        *ret_since_ms = 0;
    else
        return parse_date(text, ret_since_ms);
    return RM_OK;
}

/* ---- purge ------------------------------------------------------------------------------------------------------- */

typedef struct purge_reading {
    rm_admin_purge *purge;
    rm_arena *arena;
    uint64_t now_ms;
    rm_scope scope;
    bool all;
    const char *why;
} purge_reading;

static const char *read_key(purge_reading *r, rm_slice text)
{
    if (rm_key128_parse(text, &r->purge->key) != RM_OK)
        return "\"key\" must be 32 hexadecimal digits";
    r->purge->filter.key = &r->purge->key;
    return NULL;
}

static const char *read_tenant(purge_reading *r, rm_slice text)
{
    if (r->scope == RM_SCOPE_SHARED)
        return "cache.scope is shared: entries belong to no tenant; purge by model, namespace or age";
    if (r->scope == RM_SCOPE_TEAM)
        return "cache.scope is team: entries belong to teams, not tenants; purge by model, namespace or age";
    if (rm_key128_parse(text, &r->purge->tenant) != RM_OK)
        return "\"tenant\" must be the 32 hexadecimal digits that reports and logs show";
    r->purge->filter.tenant = &r->purge->tenant;
    return NULL;
}

/* A copy that outlives the document; "" keeps a pointer, for it means the default namespace. */
static const char *keep(purge_reading *r, rm_slice text, rm_slice *ret_copy)
{
    *ret_copy = rm_arena_dup(r->arena, rm_slice_make(text.ptr ? text.ptr : "", text.len));
    return ret_copy->ptr ? NULL : "out of memory";
}

static const char *read_model(purge_reading *r, rm_slice text)
{
    return text.len == 0 ? "\"model\" must not be empty" : keep(r, text, &r->purge->filter.model);
}

static const char *read_namespace(purge_reading *r, rm_slice text)
{
    return keep(r, text, &r->purge->filter.name_space);
}

static const char *read_older_than(purge_reading *r, rm_slice text)
{
    uint64_t age_ms;

    if (rm_parse_duration_ms(text, true, &age_ms) != RM_OK)
        return "\"older_than\" must be a duration such as 60, 10m, 24h or 7d";
    if (age_ms >= r->now_ms)
        return "\"older_than\" reaches back before 1970";
    r->purge->filter.created_before_ms = r->now_ms - age_ms;
    return NULL;
}

static const struct {
    const char *name;
    const char *(*read)(purge_reading *reading, rm_slice text);
} conditions[] = {{"key", read_key},
                  {"tenant", read_tenant},
                  {"model", read_model},
                  {"namespace", read_namespace},
                  {"older_than", read_older_than}};

/* NULL, or what is wrong. */
static const char *read_condition(purge_reading *r, rm_slice name, const rm_json *value)
{
    if (rm_slice_eq(name, RM_SLICE("all"))) {
        if (rm_json_typeof(value) != RM_JSON_BOOL)
            return "\"all\" must be true or false";
        r->all = rm_json_bool(value, false);
        return NULL;
    }
    for (size_t i = 0; i < RM_COUNT(conditions); i++) {
        if (!rm_slice_eq(name, rm_slice_cstr(conditions[i].name)))
            continue;
        if (rm_json_typeof(value) != RM_JSON_STRING)
            return "conditions must be strings";
        return conditions[i].read(r, rm_json_string(value));
    }
    return "unknown condition; known: key, tenant, model, namespace, older_than, all";
}

static bool is_unconditional(const rm_store_filter *filter)
{
    return !filter->key && !filter->tenant && !filter->model.ptr && !filter->name_space.ptr &&
           filter->created_before_ms == 0;
}

rm_status rm_admin_read_purge(rm_slice body, rm_scope scope, uint64_t now_ms, rm_arena *arena,
                              rm_admin_purge *ret_purge, const char **ret_why)
{
    purge_reading r = {.purge = ret_purge, .arena = arena, .now_ms = now_ms, .scope = scope};
    const rm_json *root;
    const char *why = NULL;

    *ret_purge = (rm_admin_purge){0};
    if (rm_json_parse(arena, body, &root) != RM_OK || rm_json_typeof(root) != RM_JSON_OBJECT) {
        *ret_why = "the body must be a JSON object such as {\"older_than\":\"7d\"}";
        return RM_EPARSE;
    }
    for (rm_json_iter it = rm_json_iterate(root); !why && rm_json_iter_next(&it);)
        why = read_condition(&r, it.key, it.value);
    if (!why && is_unconditional(&ret_purge->filter) != r.all)
        why = r.all ? "\"all\" goes with no other condition" : "name at least one condition, or \"all\": true";
    if (!why)
        return RM_OK;
    *ret_why = why;
    return RM_EINVAL;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

rm_status rm_admin_stats_json(const rm_store_stats *stats, rm_buf *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {{"entries", stats->entries},
                  {"bytes", stats->bytes},
                  {"bytes_max", stats->bytes_max},
                  {"file_bytes", stats->file_bytes},
                  {"puts", stats->puts},
                  {"evicted", stats->evicted},
                  {"expired", stats->expired},
                  {"dropped_queue_full", stats->dropped_queue_full},
                  {"dropped_map_full", stats->dropped_map_full},
                  {"commits", stats->commits},
                  {"commit_errors", stats->commit_errors},
                  {"read_errors", stats->read_errors},
                  {"corrupt", stats->corrupt},
                  {"compressed_in_bytes", stats->compressed_in_bytes},
                  {"compressed_out_bytes", stats->compressed_out_bytes}};

    rm_buf_append_char(out, '{');
    for (size_t i = 0; i < RM_COUNT(fields); i++)
        rm_buf_appendf(out, "\"%s\":%llu,", fields[i].name, (unsigned long long)fields[i].value);
    return rm_buf_appendf(out, "\"failed\":%s}", stats->failed ? "true" : "false");
}

static void append_text(rm_buf *out, const char *name, rm_slice text)
{
    rm_buf_appendf(out, ",\"%s\":\"", name);
    rm_buf_append_json_escaped(out, text);
    rm_buf_append_char(out, '"');
}

static void append_tokens(rm_buf *out, const char *name, int64_t tokens)
{
    if (tokens < 0)
        rm_buf_appendf(out, "\"%s\":null", name);
    else
        rm_buf_appendf(out, "\"%s\":%lld", name, (long long)tokens);
}

/* Unix seconds and their fraction, as OpenAI's `created` but finer. */
static void append_time(rm_buf *out, const char *name, uint64_t ms)
{
    if (ms == 0)
        rm_buf_appendf(out, ",\"%s\":null", name);
    else
        rm_buf_appendf(out, ",\"%s\":%llu.%03llu", name, (unsigned long long)(ms / 1000),
                       (unsigned long long)(ms % 1000));
}

rm_status rm_admin_entry_json(const rm_record *record, uint64_t now_ms, rm_buf *out)
{
    char key[33], tenant[33];
    bool fresh = record->expires_ms == 0 || now_ms < record->expires_ms;

    rm_key128_format(record->key, key);
    rm_key128_format(record->tenant, tenant);
    rm_buf_appendf(out, "{\"key\":\"%s\",\"tenant\":\"%s\"", key, tenant);
    append_text(out, "namespace", record->name_space);
    append_text(out, "model", record->model);
    append_text(out, "id", record->id);
    rm_buf_appendf(out, ",\"op\":\"%s\",\"form\":\"%s\"", rm_op_name(record->op),
                   record->form == RM_RECORD_EVENTS ? "events" : "body");
    append_time(out, "created", record->created_ms);
    append_time(out, "expires", record->expires_ms);
    append_time(out, "stale_until", record->stale_until_ms);
    rm_buf_appendf(out, ",\"fresh\":%s,\"usage\":{", fresh ? "true" : "false");
    append_tokens(out, "input_tokens", record->usage.input_tokens);
    rm_buf_append_char(out, ',');
    append_tokens(out, "output_tokens", record->usage.output_tokens);
    rm_buf_append_cstr(out, "},\"cost_usd\":");
    if (record->cost_usd < 0)
        rm_buf_append_cstr(out, "null");
    else
        rm_buf_append_usd(out, record->cost_usd);
    append_text(out, "content_type", record->content_type);
    append_text(out, "request", record->canonical);
    append_text(out, "content", record->content);
    return rm_buf_append_char(out, '}');
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

static void add_row(void *report, const rm_ledger_row *row)
{
    rm_report_add(report, row);
}

static rm_status report_of(rm_store *store, uint64_t since_ms, rm_status (*print)(const rm_report *, rm_buf *),
                           rm_buf *out)
{
    rm_report *report = rm_report_create();
    rm_status status;

    if (!report)
        return RM_ENOMEM;
    status = rm_store_ledger_scan(store, since_ms / 3600000, add_row, report);
    if (status == RM_OK)
        status = print(report, out);
    rm_report_destroy(report);
    return status;
}

rm_status rm_admin_report_json(rm_store *store, const rm_admin_semantic *semantic, uint64_t since_ms, rm_buf *out)
{
    rm_status status = report_of(store, since_ms, rm_report_json, out);

    if (status != RM_OK || !semantic)
        return status;
    out->len--; /* the closing brace */
    rm_buf_append_cstr(out, ",\"semantic\":");
    status = rm_admin__semantic_report_json(semantic, out);
    return status == RM_OK ? rm_buf_append_char(out, '}') : status;
}

rm_status rm_admin_report_table(rm_store *store, const rm_admin_semantic *semantic, uint64_t since_ms, rm_buf *out)
{
    rm_status status = report_of(store, since_ms, rm_report_table, out);

    return status == RM_OK && semantic ? rm_admin__semantic_report_table(semantic, out) : status;
}
