/* Sets and lists of ids. */
#include "index_internal.h"

#define SLOTS_MIN 64U

/* Ids are often consecutive; Fibonacci hashing spreads them. */
static size_t home_of(const rm_index__ids *ids, uint64_t id)
{
    return (size_t)((id * 0x9E3779B97F4A7C15ULL) >> 20) & ids->mask;
}

/* The slot that holds the id, or the free one where it belongs. */
static size_t slot_of(const rm_index__ids *ids, uint64_t id)
{
    size_t at = home_of(ids, id);
    while (ids->slots[at] != RM_INDEX__NO_ID && ids->slots[at] != id)
        at = (at + 1) & ids->mask;
    return at;
}

void rm_index__ids_deinit(rm_index__ids *ids)
{
    rm_free(ids->slots);
    *ids = (rm_index__ids){0};
}

static rm_status resize(rm_index__ids *ids, size_t slots)
{
    rm_index__ids wide = {.slots = rm_alloc(slots * sizeof(*wide.slots)), .count = ids->count, .mask = slots - 1};
    if (!wide.slots)
        return RM_ENOMEM;
    memset(wide.slots, 0xff, slots * sizeof(*wide.slots));
    for (size_t i = 0; ids->slots && i <= ids->mask; i++)
        if (ids->slots[i] != RM_INDEX__NO_ID)
            wide.slots[slot_of(&wide, ids->slots[i])] = ids->slots[i];
    rm_free(ids->slots);
    *ids = wide;
    return RM_OK;
}

rm_status rm_index__ids_reserve(rm_index__ids *ids, size_t more)
{
    size_t slots = ids->slots ? ids->mask + 1 : 0, wide = slots ? slots : SLOTS_MIN;
    while (ids->count + more > wide / 4 * 3)
        wide *= 2;
    return wide == slots ? RM_OK : resize(ids, wide);
}

rm_status rm_index__ids_add(rm_index__ids *ids, uint64_t id)
{
    rm_status status = rm_index__ids_reserve(ids, 1);
    if (status)
        return status;
    size_t at = slot_of(ids, id);
    ids->count += ids->slots[at] != id;
    ids->slots[at] = id;
    return RM_OK;
}

bool rm_index__ids_has(const rm_index__ids *ids, uint64_t id)
{
    return id != RM_INDEX__NO_ID && ids->slots && ids->slots[slot_of(ids, id)] == id;
}

/* Later ids of the same run move up, so that no mark of deletion is needed (Knuth, volume 3, 6.4, algorithm R). */
bool rm_index__ids_remove(rm_index__ids *ids, uint64_t id)
{
    if (!rm_index__ids_has(ids, id))
        return false;
    size_t hole = slot_of(ids, id);
    for (size_t at = (hole + 1) & ids->mask; ids->slots[at] != RM_INDEX__NO_ID; at = (at + 1) & ids->mask) {
        size_t home = home_of(ids, ids->slots[at]);
        if (((at - home) & ids->mask) >= ((at - hole) & ids->mask)) {
            ids->slots[hole] = ids->slots[at];
            hole = at;
        }
    }
    ids->slots[hole] = RM_INDEX__NO_ID;
    ids->count--;
    return true;
}

void rm_index__ids_copy(const rm_index__ids *ids, uint64_t *ret_ids)
{
    for (size_t i = 0; ids->slots && i <= ids->mask; i++)
        if (ids->slots[i] != RM_INDEX__NO_ID)
            *ret_ids++ = ids->slots[i];
}

rm_status rm_index__log_reserve(rm_index__log *log, size_t more)
{
    size_t capacity = log->capacity ? log->capacity : SLOTS_MIN;
    while (capacity < log->count + more)
        capacity *= 2;
    if (capacity == log->capacity)
        return RM_OK;
    uint64_t *ids = rm_realloc(log->ids, capacity * sizeof(*ids));
    if (!ids)
        return RM_ENOMEM;
    log->ids = ids;
    log->capacity = capacity;
    return RM_OK;
}

rm_status rm_index__log_add(rm_index__log *log, uint64_t id)
{
    rm_status status = rm_index__log_reserve(log, 1);
    if (status == RM_OK)
        log->ids[log->count++] = id;
    return status;
}

void rm_index__log_deinit(rm_index__log *log)
{
    rm_free(log->ids);
    *log = (rm_index__log){0};
}
