/* Cache-Control (RFC 9111 5.2, RFC 5861). */
#include "remora/wire.h"

/* RFC 9111 1.2.2: what does not fit is this. */
#define SECONDS_MAX INT64_C(2147483648)

typedef struct directive {
    rm_slice name;
    size_t flag_at, seconds_at; /* offset of the field in rm_cache_control; NONE: has none */
    int64_t bare;               /* value without "=": RFC 9111 5.2.1.2 lets max-stale stand alone */
    int64_t unreadable;
} directive;

#define NONE SIZE_MAX
#define FLAG(name, field)                                                         \
    {                                                                             \
        {name, sizeof(name) - 1}, offsetof(rm_cache_control, field), NONE, -1, -1 \
    }
#define SECONDS(name, field, bare, unreadable)                                              \
    {                                                                                       \
        {name, sizeof(name) - 1}, NONE, offsetof(rm_cache_control, field), bare, unreadable \
    }

static const directive directives[] = {
    FLAG("no-cache", no_cache),
    FLAG("no-store", no_store),
    FLAG("only-if-cached", only_if_cached),
    SECONDS("max-age", max_age_s, 0, 0),
    SECONDS("s-maxage", s_maxage_s, -1, -1),
    SECONDS("max-stale", max_stale_s, SECONDS_MAX, -1),
    SECONDS("stale-if-error", stale_if_error_s, -1, -1),
    SECONDS("stale-while-revalidate", stale_while_revalidate_s, -1, -1),
};

/* Cuts the text before the next comma that is not inside quotes off `*rest`. */
static bool next_part(rm_slice *rest, rm_slice *ret_part)
{
    bool quoted = false;
    size_t i;

    if (rest->len == 0)
        return false;
    for (i = 0; i < rest->len; i++) {
        char c = rest->ptr[i];

        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted && i + 1 < rest->len)
            i++;
        else if (c == ',' && !quoted)
            break;
    }
    *ret_part = rm_slice_make(rest->ptr, i);
    i += i < rest->len;
    *rest = rm_slice_make(rest->ptr + i, rest->len - i);
    return true;
}

static int64_t read_seconds(rm_slice text, int64_t unreadable)
{
    uint64_t seconds;

    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = rm_slice_make(text.ptr + 1, text.len - 2);
    if (text.len == 0)
        return unreadable;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return unreadable;
    }
    if (rm_parse_u64(text, &seconds) != RM_OK || seconds > (uint64_t)SECONDS_MAX)
        return SECONDS_MAX;
    return (int64_t)seconds;
}

static void apply(rm_cache_control *control, rm_slice name, bool has_value, rm_slice value)
{
    for (size_t i = 0; i < RM_COUNT(directives); i++) {
        const directive *known = &directives[i];

        if (!rm_slice_eq_nocase(name, known->name))
            continue;
        if (known->flag_at != NONE) {
            *(bool *)(void *)((char *)control + known->flag_at) = true;
        } else {
            int64_t *seconds = (int64_t *)(void *)((char *)control + known->seconds_at);

            if (*seconds < 0) /* the first of several counts (RFC 9111 4.2.1) */
                *seconds = has_value ? read_seconds(value, known->unreadable) : known->bare;
        }
        return;
    }
}

rm_cache_control rm_cache_control_parse(rm_slice value)
{
    rm_cache_control control = {false, false, false, -1, -1, -1, -1, -1};
    rm_slice part;

    while (next_part(&value, &part)) {
        const char *equals;
        rm_slice name;

        part = rm_slice_trim(part);
        if (part.len == 0)
            continue;
        equals = memchr(part.ptr, '=', part.len);
        name = equals ? rm_slice_trim(rm_slice_make(part.ptr, (size_t)(equals - part.ptr))) : part;
        if (equals)
            apply(&control, name, true,
                  rm_slice_trim(rm_slice_make(equals + 1, part.len - (size_t)(equals + 1 - part.ptr))));
        else
            apply(&control, name, false, RM_SLICE_NONE);
    }
    return control;
}
