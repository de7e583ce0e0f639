/* See evict.h. */
#include "evict.h"

#define USES_SLOTS_MIN (1ULL << 12)
#define USES_SLOTS_MAX (1ULL << 24)
#define USES_PER_GHOST 4ULL /* the ghost has one slot for so many counters */

static uint64_t power_of_two(uint64_t least, uint64_t min, uint64_t max)
{
    uint64_t size = min;
    while (size < least && size < max)
        size *= 2;
    return size;
}

rm_status rm_store__policy_init(rm_store__policy *policy, uint64_t entries)
{
    uint64_t slots = power_of_two(entries, USES_SLOTS_MIN, USES_SLOTS_MAX);
    uint64_t buckets = slots / USES_PER_GHOST / RM_STORE__GHOST_WAYS;
    memset(policy, 0, sizeof(*policy));
    policy->uses = rm_calloc(slots, sizeof(*policy->uses));
    policy->ghost = rm_calloc(buckets * RM_STORE__GHOST_WAYS, sizeof(*policy->ghost));
    policy->uses_mask = slots - 1;
    policy->ghost_mask = buckets - 1;
    if (policy->uses && policy->ghost)
        return RM_OK;
    rm_store__policy_deinit(policy);
    return RM_ENOMEM;
}

void rm_store__policy_deinit(rm_store__policy *policy)
{
    rm_free((void *)(uintptr_t)policy->uses);
    rm_free(policy->ghost);
    memset(policy, 0, sizeof(*policy));
}

static rm_store__ghost_slot *ghost_bucket(rm_store__policy *policy, rm_key128 key)
{
    return &policy->ghost[(rm_store__policy_spread(key) & policy->ghost_mask) * RM_STORE__GHOST_WAYS];
}

/* From bits that do not choose the bucket. */
static uint32_t ghost_tag(rm_key128 key)
{
    uint32_t tag = (uint32_t)(rm_store__policy_spread(key) >> 32) ^ (uint32_t)key.hi;
    return tag ? tag : 1;
}

static void ghost_remember(rm_store__policy *policy, rm_key128 key)
{
    rm_store__ghost_slot *bucket = ghost_bucket(policy, key), *place = bucket;
    uint32_t tag = ghost_tag(key), now = ++policy->ghost_time;
    for (int i = 0; i < RM_STORE__GHOST_WAYS; i++) {
        if (bucket[i].tag == tag || !bucket[i].tag) {
            place = &bucket[i];
            break;
        }
        if (now - bucket[i].time > now - place->time)
            place = &bucket[i];
    }
    *place = (rm_store__ghost_slot){tag, now};
}

/* Takes the key out of the ghost; true if it was there and not too long ago. */
static bool ghost_take(rm_store__policy *policy, rm_key128 key, uint64_t window)
{
    rm_store__ghost_slot *bucket = ghost_bucket(policy, key);
    uint32_t tag = ghost_tag(key);
    for (int i = 0; i < RM_STORE__GHOST_WAYS; i++)
        if (bucket[i].tag == tag) {
            bool recent = policy->ghost_time - bucket[i].time < window;
            bucket[i] = (rm_store__ghost_slot){0, 0};
            return recent;
        }
    return false;
}

rm_store__queue rm_store__policy_admit(rm_store__policy *policy, rm_key128 key, uint64_t window)
{
    atomic_store_explicit(&policy->uses[rm_store__policy_spread(key) & policy->uses_mask], 0, memory_order_relaxed);
    return ghost_take(policy, key, window) ? RM_STORE__MAIN : RM_STORE__SMALL;
}

rm_store__queue rm_store__policy_choose(uint64_t small_bytes, uint64_t main_bytes)
{
    if (!main_bytes || small_bytes > (small_bytes + main_bytes) / RM_STORE__SMALL_SHARE)
        return RM_STORE__SMALL;
    return RM_STORE__MAIN;
}

rm_store__verdict rm_store__policy_judge(rm_store__policy *policy, rm_store__queue queue, rm_key128 key)
{
    _Atomic uint8_t *uses = &policy->uses[rm_store__policy_spread(key) & policy->uses_mask];
    uint8_t now = atomic_load_explicit(uses, memory_order_relaxed);
    if (queue == RM_STORE__SMALL) {
        if (now < RM_STORE__USES_TO_MAIN) {
            ghost_remember(policy, key);
            return RM_STORE__EVICT;
        }
        atomic_store_explicit(uses, 0, memory_order_relaxed);
        return RM_STORE__KEEP_IN_MAIN;
    }
    if (now == 0)
        return RM_STORE__EVICT;
    atomic_store_explicit(uses, (uint8_t)(now - 1), memory_order_relaxed);
    return RM_STORE__KEEP_IN_MAIN;
}
