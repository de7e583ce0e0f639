/* A reload takes the new file but for what a running process cannot change: there the values in force stay, so that the
 * configuration always says what is so. config/table.c marks those options; a test holds this table to the marks. */
#include "serve.h"

typedef struct fixed_option {
    size_t offset;
    size_t bytes; /* 0: a text, which lives in its configuration's arena */
} fixed_option;

#define TEXT(member)                    \
    {                                   \
        offsetof(rm_config, member), 0U \
    }
#define PLAIN(member)                                                       \
    {                                                                       \
        offsetof(rm_config, member), sizeof(((const rm_config *)0)->member) \
    }

static const fixed_option fixed_options[] = {
    TEXT(listen),
    TEXT(admin),
    TEXT(data),
    PLAIN(loops),
    PLAIN(cache.exact.bytes_max),
    PLAIN(cache.exact.compress),
    PLAIN(cache.semantic.audit),
    PLAIN(cache.semantic.guards_off),
    TEXT(cache.semantic.model),
    TEXT(embed.precision),
    PLAIN(embed.workers),
    TEXT(log.access),
};

static bool keep(const fixed_option *option, const rm_config *now, rm_config *next)
{
    const char *from = (const char *)now + option->offset;
    char *to = (char *)next + option->offset;
    if (option->bytes) {
        memcpy(to, from, option->bytes);
        return true;
    }
    const char *text = rm_arena_dup(&next->arena, rm_slice_cstr(*(const char *const *)(const void *)from)).ptr;
    if (text)
        *(const char **)(void *)to = text;
    return text != NULL;
}

rm_status rm_app_keep_fixed(const rm_config *now, rm_config *next, rm_buf *ret_paths)
{
    rm_status status = rm_config_restart_needed(now, next, ret_paths);
    for (size_t i = 0; i < RM_COUNT(fixed_options) && status == RM_OK; i++)
        status = keep(&fixed_options[i], now, next) ? RM_OK : RM_ENOMEM;
    return status;
}
