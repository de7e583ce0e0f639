/* One thread's sums of money by hour, tenant, model and reason until the flusher takes them.
 *
 * The rows are one array, found through a table of indexes by hash. The flusher copies them out under the lock, which
 * the loop takes once a request. When nearly full, new combinations of the hour go to tenant and model "other". */
#include "observe_internal.h"

#define CAP_MIN 32
/* So many rows are kept for "other": every reason of a few hours. */
#define OTHER_ROWS 64

typedef struct row_key {
    uint64_t hour, hash;
    rm_slice tenant, model;
    const char *reason;
} row_key;

/* Names as they will stand in the row. */
static row_key make_key(uint64_t hour, rm_slice tenant, rm_slice model, const char *reason)
{
    row_key key = {.hour = hour, .tenant = tenant, .model = model, .reason = reason};
    key.hash = rm_hash64(tenant) * 0x9e3779b97f4a7c15ULL + rm_hash64(model);
    key.hash = (key.hash ^ hour) * 0xbf58476d1ce4e5b9ULL + (unsigned char)reason[0] + ((uint64_t)reason[1] << 8);
    key.hash ^= key.hash >> 32;
    return key;
}

static bool row_is(const rm_ledger_row *row, const row_key *key)
{
    return row->hour == key->hour && strcmp(row->reason, key->reason) == 0 &&
           rm_slice_eq(rm_slice_cstr(row->model), key->model) && rm_slice_eq(rm_slice_cstr(row->tenant), key->tenant);
}

static size_t slot_of(const rm_observe__ledger *ledger, const row_key *key)
{
    size_t mask = ledger->cap * 2 - 1, slot = key->hash & mask;
    while (ledger->slots[slot] && !row_is(&ledger->rows[ledger->slots[slot] - 1], key))
        slot = (slot + 1) & mask;
    return slot;
}

static row_key key_of_row(const rm_ledger_row *row)
{
    return make_key(row->hour, rm_slice_cstr(row->tenant), rm_slice_cstr(row->model), row->reason);
}

static bool grow(rm_observe__ledger *ledger)
{
    size_t cap = ledger->cap ? ledger->cap * 2 : CAP_MIN;
    uint16_t *slots = rm_calloc(cap * 2, sizeof(*slots));
    if (!slots)
        return false;
    rm_ledger_row *rows = rm_realloc(ledger->rows, cap * sizeof(*rows));
    if (!rows) {
        rm_free(slots);
        return false;
    }
    rm_free(ledger->slots);
    ledger->rows = rows;
    ledger->slots = slots;
    ledger->cap = cap;
    for (size_t i = 0; i < ledger->count; i++) {
        row_key key = key_of_row(&rows[i]);
        slots[slot_of(ledger, &key)] = (uint16_t)(i + 1);
    }
    return true;
}

_Static_assert(RM_LEDGER_ROWS_MAX < UINT16_MAX, "slots hold an index + 1");
_Static_assert((RM_LEDGER_ROWS_MAX & (RM_LEDGER_ROWS_MAX - 1)) == 0, "the table doubles up to it");

static rm_ledger_row *find_or_add(rm_observe__ledger *ledger, const row_key *key, size_t count_max)
{
    if (ledger->cap) {
        size_t slot = slot_of(ledger, key);
        if (ledger->slots[slot])
            return &ledger->rows[ledger->slots[slot] - 1];
    }
    if (ledger->count >= count_max || (ledger->count == ledger->cap && !grow(ledger)))
        return NULL;
    rm_ledger_row *row = &ledger->rows[ledger->count++];
    ledger->slots[slot_of(ledger, key)] = (uint16_t)ledger->count;
    *row = (rm_ledger_row){.hour = key->hour};
    memcpy(row->tenant, key->tenant.ptr, key->tenant.len);
    memcpy(row->model, key->model.ptr, key->model.len);
    memcpy(row->reason, key->reason, strlen(key->reason));
    return row;
}

static uint64_t positive(int64_t tokens)
{
    return tokens > 0 ? (uint64_t)tokens : 0;
}

static void add_to_row(rm_ledger_row *row, const rm_receipt *receipt)
{
    row->requests++;
    row->errors += receipt->status >= 400 || receipt->failed;
    row->input_tokens += positive(receipt->usage.input_tokens);
    row->cached_input_tokens += positive(receipt->usage.cached_input_tokens);
    row->output_tokens += positive(receipt->usage.output_tokens);
    if (rm_observe__is_unpriced(receipt)) {
        row->unpriced++;
        return;
    }
    row->cost_usd += receipt->cost_usd > 0 ? receipt->cost_usd : 0;
    row->saved_usd += receipt->saved_usd > 0 ? receipt->saved_usd : 0;
}

bool rm_observe__ledger_settle(rm_observe__ledger *ledger, const rm_receipt *receipt, uint64_t wall_ms)
{
    char tenant[sizeof(((rm_ledger_row *)0)->tenant)], model[sizeof(((rm_ledger_row *)0)->model)];
    if (rm_fault(RM_FAULT_LEDGER))
        return false;
    rm_slice named = receipt->model.len ? receipt->model : receipt->requested_model;
    rm_observe__copy_name(tenant, sizeof(tenant), receipt->tenant, "anonymous");
    rm_observe__copy_name(model, sizeof(model), named, "unknown");
    const char *reason = rm_observe__outcome_label(receipt->outcome);
    uint64_t hour = wall_ms / 3600000;
    row_key key = make_key(hour, rm_slice_cstr(tenant), rm_slice_cstr(model), reason);

    pthread_mutex_lock(&ledger->lock);
    rm_ledger_row *row = find_or_add(ledger, &key, RM_LEDGER_ROWS_MAX - OTHER_ROWS);
    if (!row) {
        key = make_key(hour, RM_SLICE("other"), RM_SLICE("other"), reason);
        row = find_or_add(ledger, &key, RM_LEDGER_ROWS_MAX);
    }
    if (row)
        add_to_row(row, receipt);
    pthread_mutex_unlock(&ledger->lock);
    return row != NULL;
}

size_t rm_observe__ledger_count(rm_observe__ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    size_t count = ledger->count;
    pthread_mutex_unlock(&ledger->lock);
    return count;
}

size_t rm_observe__ledger_take(rm_observe__ledger *ledger, rm_ledger_row *rows, size_t room)
{
    rm_ledger_row *taken = NULL;
    uint16_t *slots = NULL;
    size_t count = 0;
    pthread_mutex_lock(&ledger->lock);
    if (ledger->count && ledger->count <= room) {
        taken = ledger->rows;
        slots = ledger->slots;
        count = ledger->count;
        ledger->rows = NULL;
        ledger->slots = NULL;
        ledger->count = ledger->cap = 0;
    }
    pthread_mutex_unlock(&ledger->lock);
    if (count)
        memcpy(rows, taken, count * sizeof(*rows));
    rm_free(taken);
    rm_free(slots);
    return count;
}
