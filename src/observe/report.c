/* What was saved: ledger rows summed up in three ways, for people and for programs. */
#include <stdio.h>
#include <stdlib.h>

#include "observe_internal.h"

#define GROUPS_MAX RM_LEDGER_ROWS_MAX /* names of one kind; the rest become "other" */

typedef struct group {
    char *name;
    uint64_t requests, errors, input_tokens, cached_input_tokens, output_tokens, unpriced;
    double cost_usd, saved_usd;
} group;

typedef struct grouping {
    group *groups;
    size_t count, cap;
    rm_map index; /* hash of the name -> position + 1 */
} grouping;

typedef enum kind { BY_REASON = 0, BY_MODEL, BY_TENANT, KINDS } kind;

struct rm_report {
    grouping by[KINDS];
    group all;
    uint64_t hour_first, hour_last;
    bool any, failed; /* failed: memory ran out, sums are not whole */
};

static const struct {
    const char *list, *member, *title;
} kinds[KINDS] = {
    [BY_REASON] = {"by_reason", "reason", "REASON"},
    [BY_MODEL] = {"by_model", "model", "MODEL"},
    [BY_TENANT] = {"by_tenant", "tenant", "TENANT"},
};

/* ---- gathering --------------------------------------------------------------------------------------------------- */

rm_report *rm_report_create(void)
{
    return rm_calloc(1, sizeof(rm_report));
}

void rm_report_destroy(rm_report *report)
{
    if (!report)
        return;
    for (int k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < report->by[k].count; i++)
            rm_free(report->by[k].groups[i].name);
        rm_free(report->by[k].groups);
        rm_map_deinit(&report->by[k].index);
    }
    rm_free(report);
}

static bool grow(grouping *by)
{
    if (by->count < by->cap)
        return true;
    size_t cap = by->cap ? by->cap * 2 : 16;
    group *groups = rm_realloc(by->groups, cap * sizeof(*groups));
    if (!groups)
        return false;
    by->groups = groups;
    by->cap = cap;
    return true;
}

static group *find_or_add(grouping *by, rm_slice name)
{
    rm_key128 key = rm_hash128(name);
    size_t place = (size_t)(uintptr_t)rm_map_get(&by->index, key);
    if (place)
        return &by->groups[place - 1];
    if (by->count >= GROUPS_MAX - 1 && !rm_slice_eq(name, RM_SLICE("other")))
        return find_or_add(by, RM_SLICE("other"));
    char *copy = rm_slice_dup(name);
    if (!copy || !grow(by) || rm_map_put(&by->index, key, (void *)(uintptr_t)(by->count + 1)) != RM_OK) {
        rm_free(copy);
        return NULL;
    }
    group *made = &by->groups[by->count++];
    *made = (group){.name = copy};
    return made;
}

static void add_row(group *to, const rm_ledger_row *row)
{
    to->requests += row->requests;
    to->errors += row->errors;
    to->input_tokens += row->input_tokens;
    to->cached_input_tokens += row->cached_input_tokens;
    to->output_tokens += row->output_tokens;
    to->unpriced += row->unpriced;
    to->cost_usd += row->cost_usd;
    to->saved_usd += row->saved_usd;
}

/* Rows come from a file: a name need not end in a NUL. */
#define NAME_OF(field) rm_slice_make((field), strnlen((field), sizeof(field)))

void rm_report_add(rm_report *report, const rm_ledger_row *row)
{
    const rm_slice names[KINDS] = {NAME_OF(row->reason), NAME_OF(row->model), NAME_OF(row->tenant)};
    for (int k = 0; k < KINDS; k++) {
        group *to = find_or_add(&report->by[k], names[k]);
        if (to)
            add_row(to, row);
        else
            report->failed = true;
    }
    add_row(&report->all, row);
    if (!report->any || row->hour < report->hour_first)
        report->hour_first = row->hour;
    if (!report->any || row->hour > report->hour_last)
        report->hour_last = row->hour;
    report->any = true;
}

static int by_saving(const void *a, const void *b)
{
    const group *x = *(const group *const *)a, *y = *(const group *const *)b;
    if (x->saved_usd != y->saved_usd)
        return x->saved_usd > y->saved_usd ? -1 : 1;
    if (x->requests != y->requests)
        return x->requests > y->requests ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The largest saving first; the caller frees. */
static const group **sorted(const grouping *by)
{
    const group **order = rm_calloc(by->count, sizeof(*order));
    for (size_t i = 0; order && i < by->count; i++)
        order[i] = &by->groups[i];
    if (order)
        qsort(order, by->count, sizeof(*order), by_saving);
    return order;
}

/* The latter end of the last hour, so that the two enclose all rows. */
static void format_hour(uint64_t hour, char text[20])
{
    /* A year beyond 9999 has no place in the text. */
    uint64_t hour_max = 253402300799ULL / 3600;
    rm_observe__format_second((hour < hour_max ? hour : hour_max) * 3600, text);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void put_sums(rm_buf *out, const group *g)
{
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"requests", g->requests},           {"errors", g->errors},
                  {"input_tokens", g->input_tokens},   {"cached_input_tokens", g->cached_input_tokens},
                  {"output_tokens", g->output_tokens}, {"unpriced", g->unpriced}};
    for (size_t i = 0; i < RM_COUNT(counts); i++) {
        rm_buf_append_char(out, '"');
        rm_buf_append_cstr(out, counts[i].name);
        rm_buf_append_slice(out, RM_SLICE("\":"));
        rm_buf_append_u64(out, counts[i].value);
        rm_buf_append_char(out, ',');
    }
    rm_buf_append_slice(out, RM_SLICE("\"cost_usd\":"));
    rm_buf_append_usd(out, g->cost_usd);
    rm_buf_append_slice(out, RM_SLICE(",\"saved_usd\":"));
    rm_buf_append_usd(out, g->saved_usd);
}

static rm_status put_list(rm_buf *out, const grouping *by, kind k)
{
    const group **order = sorted(by);
    if (!order)
        return RM_ENOMEM;
    rm_buf_append_slice(out, RM_SLICE(",\""));
    rm_buf_append_cstr(out, kinds[k].list);
    rm_buf_append_slice(out, RM_SLICE("\":["));
    for (size_t i = 0; i < by->count; i++) {
        rm_buf_append_slice(out, i ? RM_SLICE(",{\"") : RM_SLICE("{\""));
        rm_buf_append_cstr(out, kinds[k].member);
        rm_buf_append_slice(out, RM_SLICE("\":\""));
        rm_buf_append_json_escaped(out, rm_slice_cstr(order[i]->name));
        rm_buf_append_slice(out, RM_SLICE("\","));
        put_sums(out, order[i]);
        rm_buf_append_char(out, '}');
    }
    rm_free(order);
    return rm_buf_append_char(out, ']');
}

rm_status rm_report_json(const rm_report *report, rm_buf *out)
{
    char since[20], until[20];
    if (report->failed)
        return RM_ENOMEM;
    format_hour(report->hour_first, since);
    format_hour(report->hour_last + 1, until);
    if (report->any)
        rm_buf_appendf(out, "{\"since\":\"%sZ\",\"until\":\"%sZ\",", since, until);
    else
        rm_buf_append_slice(out, RM_SLICE("{\"since\":null,\"until\":null,"));
    put_sums(out, &report->all);
    rm_status status = RM_OK;
    for (int k = 0; k < KINDS && status == RM_OK; k++)
        status = put_list(out, &report->by[k], (kind)k);
    return status == RM_OK ? rm_buf_append_char(out, '}') : status;
}

/* ---- table ------------------------------------------------------------------------------------------------------- */

#define CELL_BYTES 48
#define COLUMNS    8

/* 1234567 as "1,234,567". */
static void format_count(uint64_t value, char *text)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    for (int i = 0; i < len; i++) {
        *text++ = digits[i];
        if ((len - i) % 3 == 1 && i + 1 < len)
            *text++ = ',';
    }
    *text = '\0';
}

static double share(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

static void fill_cells(const group *g, char cells[COLUMNS][CELL_BYTES])
{
    const uint64_t counts[] = {g->requests, g->errors, g->input_tokens, g->output_tokens, g->unpriced};
    for (size_t i = 0; i < RM_COUNT(counts); i++)
        format_count(counts[i], cells[i]);
    snprintf(cells[5], CELL_BYTES, "$%.6f", g->cost_usd);
    snprintf(cells[6], CELL_BYTES, "$%.6f", g->saved_usd);
    snprintf(cells[7], CELL_BYTES, "%.1f %%", share(g->saved_usd, g->saved_usd + g->cost_usd));
}

static const char *const headings[COLUMNS] = {"requests", "errors", "tokens in", "tokens out",
                                              "unpriced", "paid",   "saved",     "saved %"};

/* Characters, not bytes, so that columns stay straight. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void put_spaces(rm_buf *out, size_t count)
{
    while (count--)
        rm_buf_append_char(out, ' ');
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void put_row(rm_buf *out, const char *name, char cells[COLUMNS][CELL_BYTES], const size_t *widths)
{
    rm_buf_append_slice(out, RM_SLICE("  "));
    /* A terminal must not obey what a caller named its model. */
    for (const char *at = name; *at; at++)
        rm_buf_append_char(out, (unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at);
    put_spaces(out, widths[COLUMNS] - width_of(name));
    for (int c = 0; c < COLUMNS; c++) {
        put_spaces(out, 2 + widths[c] - strlen(cells[c]));
        rm_buf_append_cstr(out, cells[c]);
    }
    rm_buf_append_char(out, '\n');
}

static rm_status put_section(rm_buf *out, const grouping *by, kind k)
{
    char cells[COLUMNS][CELL_BYTES];
    size_t widths[COLUMNS + 1] = {0}; /* the last is the name's */
    const group **order = sorted(by);
    if (!order)
        return RM_ENOMEM;
    widths[COLUMNS] = strlen(kinds[k].title);
    for (int c = 0; c < COLUMNS; c++)
        widths[c] = strlen(headings[c]);
    for (size_t i = 0; i < by->count; i++) {
        fill_cells(order[i], cells);
        widths[COLUMNS] = max_size(widths[COLUMNS], width_of(order[i]->name));
        for (int c = 0; c < COLUMNS; c++)
            widths[c] = max_size(widths[c], strlen(cells[c]));
    }
    for (int c = 0; c < COLUMNS; c++)
        snprintf(cells[c], CELL_BYTES, "%s", headings[c]);
    rm_buf_append_char(out, '\n');
    put_row(out, kinds[k].title, cells, widths);
    for (size_t i = 0; i < by->count; i++) {
        fill_cells(order[i], cells);
        put_row(out, order[i]->name, cells, widths);
    }
    rm_free(order);
    return out->status;
}

static uint64_t requests_of(const rm_report *report, const char *reason)
{
    const grouping *by = &report->by[BY_REASON];
    size_t place = (size_t)(uintptr_t)rm_map_get(&by->index, rm_hash128(rm_slice_cstr(reason)));
    return place ? by->groups[place - 1].requests : 0;
}

static void put_summary(rm_buf *out, const rm_report *report)
{
    const group *all = &report->all;
    char requests[CELL_BYTES], hits[CELL_BYTES], merged[CELL_BYTES], since[20], until[20];
    uint64_t hit_count = requests_of(report, "hit") + requests_of(report, "stale");
    uint64_t merged_count = requests_of(report, "merged");
    format_hour(report->hour_first, since);
    format_hour(report->hour_last + 1, until);
    format_count(all->requests, requests);
    format_count(hit_count, hits);
    format_count(merged_count, merged);
    rm_buf_appendf(out, "Savings from %.10s %.5s to %.10s %.5s UTC\n\n", since, since + 11, until, until + 11);
    rm_buf_appendf(out, "  requests  %s\n", requests);
    rm_buf_appendf(out, "  hits      %s (%.1f %%)\n", hits, share((double)hit_count, (double)all->requests));
    rm_buf_appendf(out, "  merged    %s (%.1f %%)\n", merged, share((double)merged_count, (double)all->requests));
    rm_buf_appendf(out, "  paid      $%.6f\n", all->cost_usd);
    rm_buf_appendf(out, "  saved     $%.6f (%.1f %% of what it would have cost)\n", all->saved_usd,
                   share(all->saved_usd, all->saved_usd + all->cost_usd));
    if (all->unpriced)
        rm_buf_appendf(out, "  unpriced  %llu requests of models without a price, in neither sum\n",
                       (unsigned long long)all->unpriced);
}

rm_status rm_report_table(const rm_report *report, rm_buf *out)
{
    if (report->failed)
        return RM_ENOMEM;
    if (!report->any)
        return rm_buf_append_slice(out, RM_SLICE("No requests in this time.\n"));
    put_summary(out, report);
    rm_status status = out->status;
    static const kind order[KINDS] = {BY_MODEL, BY_TENANT, BY_REASON};
    for (int i = 0; i < KINDS && status == RM_OK; i++)
        status = put_section(out, &report->by[order[i]], order[i]);
    return status;
}
