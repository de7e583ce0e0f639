/* Words for enumerations. */
#include "observe_internal.h"

const char *rm_reason_name(rm_reason reason)
{
    static const char *const names[] = {
#define X(id, name) name,
        RM_REASON_MAP(X)
#undef X
    };
    return (unsigned)reason < RM_COUNT(names) ? names[reason] : "unknown";
}

const char *rm_outcome_name(rm_outcome outcome)
{
    static const char *const names[RM_OUTCOME_COUNT] = {"BYPASS", "MISS", "HIT", "STALE", "MERGED"};
    return (unsigned)outcome < RM_COUNT(names) ? names[outcome] : "UNKNOWN";
}

const char *rm_observe__outcome_label(rm_outcome outcome)
{
    static const char *const names[RM_OUTCOME_COUNT] = {"bypass", "miss", "hit", "stale", "merged"};
    return (unsigned)outcome < RM_COUNT(names) ? names[outcome] : "unknown";
}

const char *rm_observe__op_name(rm_op op)
{
    static const char *const names[RM_OP_COUNT] = {"other",     "chat",     "completions", "embeddings",
                                                   "responses", "messages", "models"};
    return (unsigned)op < RM_COUNT(names) ? names[op] : "other";
}

void rm_observe__copy_name(char *to, size_t room, rm_slice name, const char *otherwise)
{
    if (name.len == 0)
        name = rm_slice_cstr(otherwise);
    size_t len = name.len;
    if (len > room - 1) {
        len = room - 1;
        while (len > 0 && ((unsigned char)name.ptr[len] & 0xc0) == 0x80)
            len--;
    }
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)name.ptr[i] < 0x20 ? '?' : name.ptr[i];
    to[len] = '\0';
}
