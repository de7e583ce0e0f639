/* What people see of the semantic cache: counts by namespace, why a request was decided so, what they say of an answer.
 *
 * An error here is what max_error bounds: wrong hits as a share of the requests that were decided.
 *
 *     error = wrong ones among audited hits x hits / requests         its bound: the same with rm_semantic_upper95
 *
 * Audits are drawn by chance from what would be served, in shadow all of it is audited, so their wrong share is that of all
 * hits. Hits that people told wrong are known to be, whatever the draw says: the error is never said to be below them. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin_internal.h"

#define DEFAULT_NAMESPACE "default"
#define OTHER_NAMESPACES  "other"

static const char *const mode_names[] = {"off", "shadow", "serve"};

/* ---- gathering --------------------------------------------------------------------------------------------------- */

static void add_stats(rm_semantic_stats *to, const rm_semantic_stats *from)
{
    to->requests += from->requests;
    to->labels += from->labels;
    to->labels_right += from->labels_right;
#define X(name) to->name += from->name;
    RM_SEMANTIC_STATS(X)
#undef X
    for (size_t i = 0; i < RM_COUNT(to->guards); i++)
        to->guards[i] += from->guards[i];
    to->saved_usd += from->saved_usd;
    to->shadow_usd += from->shadow_usd;
    to->spent += from->spent;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rm_semantic_space *)a)->name, ((const rm_semantic_space *)b)->name);
}

size_t rm_admin__name_spaces(rm_semantic_space *spaces, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        char *name = spaces[i].name;
        if (!*name)
            memcpy(name, DEFAULT_NAMESPACE, sizeof(DEFAULT_NAMESPACE));
        for (; *name; name++)
            if ((unsigned char)*name < 0x20 || *name == 0x7f)
                *name = '?';
    }
    qsort(spaces, count, sizeof(*spaces), by_name);
    for (size_t i = 0; i < count; i++) {
        if (kept && by_name(&spaces[kept - 1], &spaces[i]) == 0)
            add_stats(&spaces[kept - 1].stats, &spaces[i].stats);
        else
            spaces[kept++] = spaces[i];
    }
    return kept;
}

rm_status rm_admin__semantic_open(const rm_admin_context *context, rm_admin_semantic *ret_semantic)
{
    rm_keeper *keeper = context->keeper ? context->keeper(context->user) : NULL;
    rm_admin_semantic found = {.known = keeper != NULL};

    if (keeper) {
        found.spaces = rm_calloc(RM_SEMANTIC_NAMESPACES_MAX, sizeof(*found.spaces));
        if (!found.spaces)
            return RM_ENOMEM;
        size_t count = rm_semantic_list_spaces(rm_keeper_semantic(keeper), found.spaces, RM_SEMANTIC_NAMESPACES_MAX);
        found.count = rm_admin__name_spaces(found.spaces, count);
        found.ready = rm_keeper_is_ready(keeper);
        found.index = rm_keeper_index_stats(keeper);
    }
    found.config = context->config(context->user);
    found.mode = found.config->cache.semantic.mode;
    found.max_error = found.config->cache.semantic.max_error;
    found.model = found.config->cache.semantic.model;
    *ret_semantic = found;
    return RM_OK;
}

void rm_admin__semantic_close(rm_admin_semantic *semantic)
{
    rm_free(semantic->spaces);
    rm_config_unref(semantic->config);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

rm_admin_error rm_admin__error_of(uint64_t requests, uint64_t hits, uint64_t audited, uint64_t wrong, uint64_t told)
{
    if (requests == 0 || hits == 0)
        return (rm_admin_error){0};
    double share = fmin((double)hits / (double)requests, 1);
    double least = fmin((double)told / (double)requests, share);
    rm_admin_error error = {.estimate = -1, .upper95 = fmax(share * rm_semantic_upper95(wrong, audited), least)};

    if (audited)
        error.estimate = fmax(share * (double)wrong / (double)audited, least);
    else if (told)
        error.estimate = least;
    return error;
}

/* What serve mode decided; the rest was shadow's. */
static uint64_t serve_requests(const rm_semantic_stats *s)
{
    return s->requests - s->shadow_requests;
}

static rm_admin_error served_error(const rm_semantic_stats *s)
{
    return rm_admin__error_of(serve_requests(s), s->served, s->audited, s->audited_wrong, s->feedback_wrong);
}

static rm_admin_error shadow_error(const rm_semantic_stats *s)
{
    return rm_admin__error_of(s->shadow_requests, s->shadow_hits, s->shadow_right + s->shadow_wrong, s->shadow_wrong,
                              0);
}

static double share_of(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void put_text(rm_buf *out, const char *name, const char *text)
{
    rm_buf_appendf(out, "\"%s\":\"", name);
    rm_buf_append_json_escaped(out, rm_slice_cstr(text));
    rm_buf_append_char(out, '"');
}

static void put_count(rm_buf *out, const char *name, uint64_t value)
{
    rm_buf_appendf(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void put_value(rm_buf *out, double value)
{
    if (isfinite(value))
        rm_buf_appendf(out, "%.9g", value);
    else
        rm_buf_append_cstr(out, "null");
}

static void put_double(rm_buf *out, const char *name, double value)
{
    rm_buf_appendf(out, ",\"%s\":", name);
    put_value(out, value);
}

static void put_usd(rm_buf *out, const char *name, double value)
{
    rm_buf_appendf(out, ",\"%s\":", name);
    rm_buf_append_usd(out, value);
}

/* One that is not known is null. */
static void put_estimate(rm_buf *out, const char *name, double estimate)
{
    put_double(out, name, estimate < 0 ? (double)NAN : estimate);
}

static void put_error(rm_buf *out, const rm_admin_error *error)
{
    rm_buf_append_cstr(out, ",\"error\":{\"share_of\":\"requests\"");
    put_estimate(out, "estimate", error->estimate);
    put_double(out, "upper95", error->upper95);
    rm_buf_append_char(out, '}');
}

static void put_guards(rm_buf *out, const rm_semantic_stats *stats)
{
    const char *sep = ",\"guards\":{", *name;

    for (unsigned i = 0; (name = rm_semantic_guard_name(i)); i++, sep = ",")
        rm_buf_appendf(out, "%s\"%s\":%llu", sep, name, (unsigned long long)stats->guards[i]);
    rm_buf_append_char(out, '}');
}

static void put_shadow(rm_buf *out, const rm_semantic_stats *s)
{
    rm_admin_error error = shadow_error(s);
    uint64_t judged = s->shadow_right + s->shadow_wrong;

    rm_buf_appendf(out, ",\"shadow\":{\"requests\":%llu", (unsigned long long)s->shadow_requests);
    put_count(out, "hits", s->shadow_hits);
    put_double(out, "hit_share", share_of(s->shadow_hits, s->shadow_requests));
    put_count(out, "right", s->shadow_right);
    put_count(out, "wrong", s->shadow_wrong);
    put_count(out, "unknown", s->shadow_hits > judged ? s->shadow_hits - judged : 0);
    put_estimate(out, "error", error.estimate);
    put_double(out, "error_upper95", error.upper95);
    put_usd(out, "saved_usd", s->shadow_usd);
    rm_buf_append_char(out, '}');
}

static void put_space(rm_buf *out, const rm_semantic_space *space)
{
    const rm_semantic_stats *s = &space->stats;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"requests", s->requests},           {"served", s->served},           {"audited", s->audited},
                  {"audited_wrong", s->audited_wrong}, {"vetoed", s->vetoed},           {"quarantined", s->quarantined},
                  {"unconfirmed", s->unconfirmed},     {"over_budget", s->over_budget}, {"labels", s->labels},
                  {"labels_right", s->labels_right}};
    rm_admin_error error = served_error(s);

    rm_buf_append_char(out, '{');
    put_text(out, "namespace", space->name);
    for (size_t i = 0; i < RM_COUNT(counts); i++)
        put_count(out, counts[i].name, counts[i].value);
    put_double(out, "hit_share", share_of(s->served, serve_requests(s)));
    put_error(out, &error);
    put_double(out, "expected_wrong", s->spent);
    put_usd(out, "saved_usd", s->saved_usd);
    rm_buf_appendf(out, ",\"feedback\":{\"right\":%llu,\"wrong\":%llu}", (unsigned long long)s->feedback_right,
                   (unsigned long long)s->feedback_wrong);
    put_guards(out, s);
    put_shadow(out, s);
    rm_buf_append_char(out, '}');
}

rm_status rm_admin__semantic_json(const rm_admin_semantic *semantic, rm_buf *out)
{
    rm_buf_append_char(out, '{');
    put_text(out, "mode", mode_names[semantic->mode]);
    put_double(out, "max_error", semantic->max_error);
    rm_buf_append_char(out, ',');
    put_text(out, "model", semantic->model);
    rm_buf_appendf(out, ",\"ready\":%s", semantic->ready ? "true" : "false");
    put_count(out, "entries", semantic->index.entries);
    put_count(out, "partitions", semantic->index.partitions);
    put_count(out, "bytes", semantic->index.bytes);
    rm_buf_append_cstr(out, ",\"namespaces\":[");
    for (size_t i = 0; i < semantic->count; i++) {
        if (i)
            rm_buf_append_char(out, ',');
        put_space(out, &semantic->spaces[i]);
    }
    return rm_buf_append_cstr(out, "]}");
}

/* ---- metrics ----------------------------------------------------------------------------------------------------- */

#define OF(member) offsetof(rm_semantic_stats, member)

/* The sum of two counts; of one, where the second is zero (which no count's offset is). */
static const struct {
    const char *name, *help;
    size_t first, second;
} counters[] = {
    {"remora_semantic_requests_total", "Requests that the semantic cache decided", OF(requests), 0},
    {"remora_semantic_served_total", "Requests answered by another question's answer", OF(served), 0},
    {"remora_semantic_wrong_total", "Hits that an audit or somebody found wrong", OF(audited_wrong),
     OF(feedback_wrong)},
    {"remora_semantic_audited_total", "Hits that were asked for all the same, and judged", OF(audited), 0},
    {"remora_semantic_vetoed_total", "Hits that a guard stopped", OF(vetoed), 0},
    {"remora_semantic_quarantined_total", "Hits not served: the answer was found wrong once", OF(quarantined), 0},
    {"remora_semantic_unconfirmed_total", "Hits not served: too few tenants had the answer", OF(unconfirmed), 0},
    {"remora_semantic_over_budget_total", "Hits not served: the accepted error is spent", OF(over_budget), 0},
    {"remora_semantic_shadow_hits_total", "Hits that shadow mode did not serve", OF(shadow_hits), 0},
    {"remora_semantic_shadow_wrong_total", "Those that fresh answers proved wrong", OF(shadow_wrong), 0},
};
#undef OF

static void put_family(rm_buf *out, const char *name, const char *type, const char *help)
{
    rm_buf_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The name up to its value. JSON's escapes of quotes and backslashes are Prometheus's too, and names hold no controls. */
static void put_sample(rm_buf *out, const char *name, const char *space, const char *label, const char *value)
{
    rm_buf_appendf(out, "%s{namespace=\"", name);
    rm_buf_append_json_escaped(out, rm_slice_cstr(space));
    if (label)
        rm_buf_appendf(out, "\",%s=\"%s", label, value);
    rm_buf_append_cstr(out, "\"} ");
}

static void put_line(rm_buf *out, uint64_t value)
{
    rm_buf_append_u64(out, value);
    rm_buf_append_char(out, '\n');
}

static uint64_t count_at(const rm_semantic_stats *stats, size_t offset)
{
    uint64_t value;

    memcpy(&value, (const char *)stats + offset, sizeof(value));
    return value;
}

static void put_counters(rm_buf *out, const rm_semantic_space *spaces, size_t count)
{
    for (size_t f = 0; f < RM_COUNT(counters); f++) {
        put_family(out, counters[f].name, "counter", counters[f].help);
        for (size_t i = 0; i < count; i++) {
            const rm_semantic_stats *s = &spaces[i].stats;
            put_sample(out, counters[f].name, spaces[i].name, NULL, NULL);
            put_line(out, count_at(s, counters[f].first) + (counters[f].second ? count_at(s, counters[f].second) : 0));
        }
    }
}

static void put_vetoes(rm_buf *out, const rm_semantic_space *spaces, size_t count)
{
    static const char name[] = "remora_semantic_guard_vetoes_total";
    const char *guard;

    put_family(out, name, "counter", "Hits that this guard stopped");
    for (size_t i = 0; i < count; i++) {
        for (unsigned g = 0; (guard = rm_semantic_guard_name(g)); g++) {
            if (!spaces[i].stats.guards[g])
                continue;
            put_sample(out, name, spaces[i].name, "guard", guard);
            put_line(out, spaces[i].stats.guards[g]);
        }
    }
}

static void put_feedback(rm_buf *out, const rm_semantic_space *spaces, size_t count)
{
    static const char name[] = "remora_semantic_feedback_total";

    put_family(out, name, "counter", "Hits that somebody called right or wrong");
    for (size_t i = 0; i < count; i++) {
        put_sample(out, name, spaces[i].name, "verdict", "right");
        put_line(out, spaces[i].stats.feedback_right);
        put_sample(out, name, spaces[i].name, "verdict", "wrong");
        put_line(out, spaces[i].stats.feedback_wrong);
    }
}

static void put_money(rm_buf *out, const rm_semantic_space *spaces, size_t count, bool shadow)
{
    const char *name = shadow ? "remora_semantic_shadow_saved_usd_total" : "remora_semantic_saved_usd_total";

    put_family(out, name, "counter", shadow ? "What hits would have saved in shadow mode" : "What hits saved");
    for (size_t i = 0; i < count; i++) {
        put_sample(out, name, spaces[i].name, NULL, NULL);
        rm_buf_append_usd(out, shadow ? spaces[i].stats.shadow_usd : spaces[i].stats.saved_usd);
        rm_buf_append_char(out, '\n');
    }
}

static void put_bounds(rm_buf *out, const rm_semantic_space *spaces, size_t count, bool shadow)
{
    const char *name = shadow ? "remora_semantic_shadow_error_upper95" : "remora_semantic_error_upper95";

    put_family(out, name, "gauge",
               shadow ? "95 % upper bound of wrong hits as a share of requests, had shadow mode served"
                      : "95 % upper bound of wrong hits as a share of requests");
    for (size_t i = 0; i < count; i++) {
        rm_admin_error error = shadow ? shadow_error(&spaces[i].stats) : served_error(&spaces[i].stats);
        put_sample(out, name, spaces[i].name, NULL, NULL);
        put_value(out, error.upper95);
        rm_buf_append_char(out, '\n');
    }
}

static void put_gauge(rm_buf *out, const char *name, const char *help, uint64_t value)
{
    put_family(out, name, "gauge", help);
    rm_buf_appendf(out, "%s ", name);
    put_line(out, value);
}

/* What exceeds the series of one family is summed up under one name. */
static size_t fold(rm_semantic_space *spaces, size_t count)
{
    size_t most = RM_METRIC_SERIES_MAX, other = most - 1;

    if (count <= most)
        return count;
    for (size_t i = 0; i < most - 1; i++)
        if (!strcmp(spaces[i].name, OTHER_NAMESPACES))
            other = i;
    for (size_t i = most - (other == most - 1 ? 0 : 1); i < count; i++)
        add_stats(&spaces[other].stats, &spaces[i].stats);
    if (other < most - 1)
        return most - 1;
    memcpy(spaces[other].name, OTHER_NAMESPACES, sizeof(OTHER_NAMESPACES));
    return most;
}

rm_status rm_admin__semantic_prometheus(rm_admin_semantic *semantic, rm_buf *out)
{
    static const rm_semantic_space none = {.name = DEFAULT_NAMESPACE}; /* so that rates begin at zero */

    if (!semantic->known)
        return RM_OK;
    size_t count = semantic->count = fold(semantic->spaces, semantic->count);
    const rm_semantic_space *spaces = count ? semantic->spaces : &none;
    count = count ? count : 1;
    put_counters(out, spaces, count);
    put_vetoes(out, spaces, count);
    put_feedback(out, spaces, count);
    put_money(out, spaces, count, false);
    put_money(out, spaces, count, true);
    put_bounds(out, spaces, count, false);
    put_bounds(out, spaces, count, true);
    put_gauge(out, "remora_semantic_entries", "Questions that can be found by meaning", semantic->index.entries);
    put_gauge(out, "remora_semantic_partitions", "Groups of requests alike but for the question",
              semantic->index.partitions);
    put_gauge(out, "remora_semantic_index_bytes", "Memory of their vectors", semantic->index.bytes);
    return out->status;
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

/* One line of a report; a namespace has one for what was served and one for what shadow mode saw. */
typedef struct report_row {
    const char *name, *mode;
    uint64_t requests, hits;
    rm_admin_error error;
    double saved_usd;
} report_row;

static size_t rows_of(const rm_semantic_space *space, rm_mode mode, report_row ret_rows[2])
{
    const rm_semantic_stats *s = &space->stats;
    size_t count = 0;

    if (s->served || mode == RM_MODE_SERVE)
        ret_rows[count++] = (report_row){space->name, mode_names[RM_MODE_SERVE], serve_requests(s),
                                         s->served,   served_error(s),           s->saved_usd};
    if (s->shadow_hits || mode == RM_MODE_SHADOW)
        ret_rows[count++] =
            (report_row){space->name,  mode_names[RM_MODE_SHADOW], s->shadow_requests, s->shadow_hits, shadow_error(s),
                         s->shadow_usd};
    return count;
}

static void put_row(rm_buf *out, const report_row *row)
{
    rm_buf_append_char(out, '{');
    put_text(out, "namespace", row->name);
    rm_buf_append_char(out, ',');
    put_text(out, "mode", row->mode);
    put_count(out, "requests", row->requests);
    put_count(out, "hits", row->hits);
    put_double(out, "hit_share", share_of(row->hits, row->requests));
    put_error(out, &row->error);
    put_usd(out, "saved_usd", row->saved_usd);
    rm_buf_append_char(out, '}');
}

rm_status rm_admin__semantic_report_json(const rm_admin_semantic *semantic, rm_buf *out)
{
    report_row rows[2];
    const char *sep = "";

    rm_buf_append_cstr(out, "{\"since\":\"each namespace's first request\",");
    put_text(out, "mode", mode_names[semantic->mode]);
    put_double(out, "max_error", semantic->max_error);
    rm_buf_append_cstr(out, ",\"by_namespace\":[");
    for (size_t i = 0; i < semantic->count; i++) {
        size_t count = rows_of(&semantic->spaces[i], semantic->mode, rows);
        for (size_t r = 0; r < count; r++, sep = ",") {
            rm_buf_append_cstr(out, sep);
            put_row(out, &rows[r]);
        }
    }
    return rm_buf_append_cstr(out, "]}");
}

#define CELL_BYTES 32
#define COLUMNS    7
static const char *const headings[COLUMNS] = {"mode", "requests", "hits", "hit %", "wrong %", "at most %", "saved"};

static void fill_cells(const report_row *row, char cells[COLUMNS][CELL_BYTES])
{
    (void)snprintf(cells[0], CELL_BYTES, "%s", row->mode);
    (void)snprintf(cells[1], CELL_BYTES, "%llu", (unsigned long long)row->requests);
    (void)snprintf(cells[2], CELL_BYTES, "%llu", (unsigned long long)row->hits);
    (void)snprintf(cells[3], CELL_BYTES, "%.1f", 100 * share_of(row->hits, row->requests));
    if (row->error.estimate < 0)
        (void)snprintf(cells[4], CELL_BYTES, "?");
    else
        (void)snprintf(cells[4], CELL_BYTES, "%.2f", 100 * row->error.estimate);
    (void)snprintf(cells[5], CELL_BYTES, "%.2f", 100 * row->error.upper95);
    (void)snprintf(cells[6], CELL_BYTES, "$%.6f", row->saved_usd);
}

/* Characters, not bytes, so that columns stay straight. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void put_cells(rm_buf *out, const char *name, size_t name_width, char cells[COLUMNS][CELL_BYTES])
{
    rm_buf_appendf(out, "  %s%*s", name, (int)(name_width - width_of(name)), "");
    for (int c = 0; c < COLUMNS; c++)
        rm_buf_appendf(out, "  %*s", c ? 11 : 6, cells[c]);
    rm_buf_append_char(out, '\n');
}

rm_status rm_admin__semantic_report_table(const rm_admin_semantic *semantic, rm_buf *out)
{
    static const char title[] = "NAMESPACE";
    char cells[COLUMNS][CELL_BYTES];
    size_t width = sizeof(title) - 1;
    report_row rows[2];

    for (size_t i = 0; i < semantic->count; i++)
        if (width_of(semantic->spaces[i].name) > width)
            width = width_of(semantic->spaces[i].name);
    rm_buf_appendf(
        out,
        "\nSemantic cache, since each namespace's first request: wrong hits are to stay below %g %% of requests\n\n",
        100 * semantic->max_error);
    for (int c = 0; c < COLUMNS; c++)
        (void)snprintf(cells[c], CELL_BYTES, "%s", headings[c]);
    put_cells(out, title, width, cells);
    for (size_t i = 0; i < semantic->count; i++) {
        size_t count = rows_of(&semantic->spaces[i], semantic->mode, rows);
        for (size_t r = 0; r < count; r++) {
            fill_cells(&rows[r], cells);
            put_cells(out, rows[r].name, width, cells);
        }
    }
    if (semantic->mode == RM_MODE_SHADOW)
        rm_buf_append_cstr(out,
                           "  shadow: what cache.semantic.mode: serve would have done; nothing of it was served\n");
    return out->status;
}

/* ---- receipts ---------------------------------------------------------------------------------------------------- */

static const char *const verdict_texts[RM_VERDICT_COUNT] = {
#define X(code, name, text) text,
    RM_SEMANTIC_VERDICTS(X)
#undef X
};

static void put_fired(rm_buf *out, uint32_t guards)
{
    const char *sep = "", *name;

    rm_buf_append_cstr(out, ",\"guards\":[");
    for (unsigned i = 0; (name = rm_semantic_guard_name(i)); i++) {
        if (!(guards >> i & 1))
            continue;
        rm_buf_appendf(out, "%s{\"name\":\"%s\",\"text\":\"", sep, name);
        rm_buf_append_json_escaped(out, rm_slice_cstr(rm_semantic_guard_text(i)));
        rm_buf_append_cstr(out, "\"}");
        sep = ",";
    }
    rm_buf_append_char(out, ']');
}

static void put_key(rm_buf *out, const char *name, rm_key128 key)
{
    char text[33];

    rm_key128_format(key, text);
    rm_buf_appendf(out, ",\"%s\":\"%s\"", name, text);
}

/* What speaks for and against the candidate. */
static void put_candidate(rm_buf *out, const rm_semantic_decision *d)
{
    const char *sep = ",\"features\":{", *name;

    put_double(out, "similarity", (double)d->similarity);
    put_double(out, "likely", d->likely);
    put_double(out, "risk", d->risk);
    put_fired(out, d->guards);
    put_count(out, "entry", d->entry);
    put_key(out, "entry_key", d->record);
    for (unsigned i = 0; (name = rm_semantic_feature_name(i)); i++, sep = ",") {
        rm_buf_appendf(out, "%s\"%s\":", sep, name);
        put_value(out, d->features[i]);
    }
    rm_buf_append_char(out, '}');
}

rm_status rm_admin__receipt_json(const rm_semantic_receipt *receipt, rm_buf *out)
{
    const rm_semantic_decision *d = &receipt->decision;

    rm_buf_append_char(out, '{');
    put_text(out, "id", receipt->id);
    rm_buf_append_char(out, ',');
    put_text(out, "namespace", receipt->name_space[0] ? receipt->name_space : DEFAULT_NAMESPACE);
    rm_buf_appendf(out, ",\"time\":%llu.%03u,\"shadow\":%s,", (unsigned long long)(receipt->decided_ms / 1000),
                   (unsigned)(receipt->decided_ms % 1000), receipt->shadow ? "true" : "false");
    put_text(out, "verdict", rm_verdict_name(d->verdict));
    rm_buf_append_char(out, ',');
    put_text(out, "why", verdict_texts[d->verdict]);
    put_double(out, "max_error", receipt->max_error);
    put_double(out, "limit", d->limit);
    if (d->candidate)
        put_candidate(out, d);
    else
        rm_buf_append_cstr(out, ",\"similarity\":null,\"likely\":null,\"risk\":null,\"guards\":[],\"entry\":null,"
                                "\"entry_key\":null,\"features\":{}");
    if (d->verdict != RM_VERDICT_HIT)
        put_key(out, "key", receipt->record);
    rm_buf_append_cstr(out, ",\"neighbours\":[");
    for (uint32_t i = 0; i < d->count; i++) {
        rm_buf_appendf(out, "%s{\"id\":%llu", i ? "," : "", (unsigned long long)d->neighbours[i].id);
        put_double(out, "similarity", (double)d->neighbours[i].similarity);
        rm_buf_append_char(out, '}');
    }
    rm_buf_append_cstr(out, "],\"told\":[");
    rm_buf_append_cstr(out, receipt->told & 2 ? "\"right\"" : "");
    rm_buf_append_cstr(out, receipt->told == 3 ? "," : "");
    rm_buf_append_cstr(out, receipt->told & 1 ? "\"wrong\"" : "");
    return rm_buf_append_cstr(out, "]}");
}

/* ---- feedback ---------------------------------------------------------------------------------------------------- */

static const char *read_id(rm_slice text, rm_admin_feedback *feedback)
{
    feedback->id = text;
    return text.len ? NULL : "\"id\" must be the x-remora-id of an answer";
}

static const char *read_verdict(rm_slice text, rm_admin_feedback *feedback)
{
    feedback->right = rm_slice_eq(text, RM_SLICE("right"));
    return feedback->right || rm_slice_eq(text, RM_SLICE("wrong")) ? NULL : "\"verdict\" must be right or wrong";
}

static const char *read_note(rm_slice text, rm_admin_feedback *feedback)
{
    feedback->note = text;
    return text.len <= RM_ADMIN_NOTE_BYTES_MAX ? NULL : "\"note\" must not be over 4 KiB";
}

static const struct {
    const char *name;
    const char *(*read)(rm_slice text, rm_admin_feedback *feedback);
} members[] = {{"id", read_id}, {"verdict", read_verdict}, {"note", read_note}};

/* NULL, or what is wrong. */
static const char *read_member(rm_slice name, const rm_json *value, rm_admin_feedback *feedback, unsigned *seen)
{
    for (unsigned i = 0; i < RM_COUNT(members); i++) {
        if (!rm_slice_eq(name, rm_slice_cstr(members[i].name)))
            continue;
        if (*seen & 1U << i)
            return "a member is given twice";
        *seen |= 1U << i;
        return rm_json_typeof(value) == RM_JSON_STRING ? members[i].read(rm_json_string(value), feedback)
                                                       : "members must be strings";
    }
    return "unknown member; known: id, verdict, note";
}

rm_status rm_admin__read_feedback(rm_slice body, rm_arena *arena, rm_admin_feedback *ret_feedback, const char **ret_why)
{
    rm_admin_feedback feedback = {0};
    const rm_json *root;
    const char *why = NULL;
    unsigned seen = 0;

    if (rm_json_parse(arena, body, &root) != RM_OK || rm_json_typeof(root) != RM_JSON_OBJECT) {
        *ret_why = "the body must be a JSON object such as {\"id\":\"...\",\"verdict\":\"wrong\"}";
        return RM_EPARSE;
    }
    for (rm_json_iter it = rm_json_iterate(root); !why && rm_json_iter_next(&it);)
        why = read_member(it.key, it.value, &feedback, &seen);
    if (!why && (seen & 3) != 3)
        why = seen & 1 ? "\"verdict\" is missing: right or wrong" : "\"id\" is missing: the x-remora-id of an answer";
    if (why) {
        *ret_why = why;
        return RM_EINVAL;
    }
    *ret_feedback = feedback;
    return RM_OK;
}

rm_status rm_admin__feedback_json(const rm_admin_feedback *feedback, rm_feedback_effect effect, rm_buf *out)
{
    static const struct {
        const char *name, *text;
    } effects[RM_FEEDBACK_EFFECT_COUNT] = {
#define X(code, name, text) {name, text},
        RM_FEEDBACK_EFFECTS(X)
#undef X
    };

    rm_buf_append_cstr(out, "{\"id\":\"");
    rm_buf_append_json_escaped(out, feedback->id);
    rm_buf_appendf(out, "\",\"verdict\":\"%s\",\"applied\":%s,", feedback->right ? "right" : "wrong",
                   effect == RM_FEEDBACK_AGAIN || effect == RM_FEEDBACK_NOTHING ? "false" : "true");
    put_text(out, "effect", effects[effect].name);
    rm_buf_append_char(out, ',');
    put_text(out, "text", effects[effect].text);
    return rm_buf_append_char(out, '}');
}
