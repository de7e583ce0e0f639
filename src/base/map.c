/* Open addressing with linear probing over a power of two of slots.
 *
 * A slot is empty (value NULL), live, or a grave (value == &grave): removal leaves a grave so that probes go on past
 * it and so that a walk may remove what it stands on. `used` counts live ones and graves; at 3/4 the table is rebuilt,
 * larger if the live ones need it, which also buries the graves. */
#include "remora/base.h"

#define SLOTS_MIN 16

typedef struct rm_map_slot {
    rm_key128 key;
    void *value;
} rm_map_slot;

static char grave_mark;
#define GRAVE ((void *)&grave_mark)

/* Keys may be counters or hashes; one multiply spreads both. */
static inline size_t home_of(rm_key128 key, size_t mask)
{
    uint64_t h = (key.hi ^ (key.lo << 32 | key.lo >> 32)) * 0x9e3779b97f4a7c15ULL;
    return (size_t)(h ^ h >> 32) & mask;
}

void rm_map_init(rm_map *map)
{
    *map = (rm_map){0};
}

void rm_map_deinit(rm_map *map)
{
    rm_free(map->slots);
    *map = (rm_map){0};
}

static rm_map_slot *find(const rm_map *map, rm_key128 key)
{
    if (!map->slots)
        return NULL;
    for (size_t i = home_of(key, map->mask);; i = (i + 1) & map->mask) {
        rm_map_slot *slot = &map->slots[i];
        if (!slot->value)
            return NULL;
        if (slot->value != GRAVE && rm_key128_eq(slot->key, key))
            return slot;
    }
}

void *rm_map_get(const rm_map *map, rm_key128 key)
{
    rm_map_slot *slot = find(map, key);
    return slot ? slot->value : NULL;
}

static void insert_new(rm_map *map, rm_key128 key, void *value)
{
    size_t i = home_of(key, map->mask);
    while (map->slots[i].value && map->slots[i].value != GRAVE)
        i = (i + 1) & map->mask;
    if (!map->slots[i].value)
        map->used++;
    map->slots[i] = (rm_map_slot){key, value};
    map->count++;
}

static rm_status rebuild(rm_map *map)
{
    size_t slots = SLOTS_MIN;
    while (slots / 2 <= map->count)
        slots *= 2;
    rm_map fresh = {.slots = rm_calloc(slots, sizeof(rm_map_slot)), .mask = slots - 1};
    if (!fresh.slots)
        return RM_ENOMEM;
    for (size_t i = 0; map->slots && i <= map->mask; i++) {
        if (map->slots[i].value && map->slots[i].value != GRAVE)
            insert_new(&fresh, map->slots[i].key, map->slots[i].value);
    }
    rm_free(map->slots);
    *map = fresh;
    return RM_OK;
}

rm_status rm_map_put(rm_map *map, rm_key128 key, void *value)
{
    RM_CHECK(value);
    rm_map_slot *slot = find(map, key);
    if (slot) {
        slot->value = value;
        return RM_OK;
    }
    if (!map->slots || (map->used + 1) * 4 > (map->mask + 1) * 3) {
        rm_status status = rebuild(map);
        if (status != RM_OK)
            return status;
    }
    insert_new(map, key, value);
    return RM_OK;
}

void *rm_map_remove(rm_map *map, rm_key128 key)
{
    rm_map_slot *slot = find(map, key);
    if (!slot)
        return NULL;
    void *value = slot->value;
    size_t next = ((size_t)(slot - map->slots) + 1) & map->mask;
    if (map->slots[next].value) {
        slot->value = GRAVE;
    } else {
        slot->value = NULL; /* the end of every probe that passes here: no grave is needed */
        map->used--;
    }
    map->count--;
    return value;
}

bool rm_map_next(const rm_map *map, size_t *cursor, rm_key128 *ret_key, void **ret_value)
{
    for (; map->slots && *cursor <= map->mask; (*cursor)++) {
        const rm_map_slot *slot = &map->slots[*cursor];
        if (!slot->value || slot->value == GRAVE)
            continue;
        if (ret_key)
            *ret_key = slot->key;
        if (ret_value)
            *ret_value = slot->value;
        (*cursor)++;
        return true;
    }
    return false;
}
