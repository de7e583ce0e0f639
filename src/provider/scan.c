/* A look at the top-level members of a JSON object's text at about a nanosecond a byte: most events of a stream carry
 * nothing that Remora needs, and a parse would cost more than passing them on. */
#include "provider_internal.h"

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* p stands behind the opening quote; gives what is behind the closing one, NULL if there is none. */
static const char *skip_string(const char *p, const char *end, bool *escaped)
{
    for (; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            *escaped = true;
            p++;
        }
    }
    return NULL;
}

static const char *skip_nested(const char *p, const char *end)
{
    bool escaped;
    size_t depth = 0;
    while (p && p < end) {
        switch (*p++) {
        case '"':
            p = skip_string(p, end, &escaped);
            break;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0)
                return p;
            break;
        }
    }
    return NULL;
}

static const char *skip_value(const char *p, const char *end)
{
    bool escaped;
    if (p == end)
        return NULL;
    if (*p == '"')
        return skip_string(p + 1, end, &escaped);
    if (*p == '{' || *p == '[')
        return skip_nested(p, end);
    const char *begin = p;
    while (p < end && *p != ',' && *p != '}' && *p != ' ' && *p != '\n' && *p != '\t' && *p != '\r')
        p++;
    return p > begin ? p : NULL;
}

bool rm_provider__scan_begin(rm_provider__scan *scan, rm_slice text)
{
    *scan = (rm_provider__scan){text.ptr, text.ptr + text.len, false};
    scan->next = skip_space(scan->next, scan->end);
    return scan->next < scan->end && *scan->next == '{';
}

/* `next` stands on the brace or comma before the member, or on the closing brace. */
int rm_provider__scan_next(rm_provider__scan *scan, rm_slice *ret_key, rm_slice *ret_value)
{
    const char *end = scan->end, *p = scan->next;
    if (p == end)
        return -1;
    bool first = *p == '{';
    if (*p == '}')
        return skip_space(p + 1, end) == end ? 0 : -1;
    if (!first && *p != ',')
        return -1;
    p = skip_space(p + 1, end);
    if (first && p < end && *p == '}')
        return skip_space(p + 1, end) == end ? 0 : -1;
    if (p == end || *p != '"')
        return -1;
    const char *key = p + 1;
    p = skip_string(key, end, &scan->escaped_key);
    if (!p)
        return -1;
    rm_slice name = rm_slice_make(key, (size_t)(p - 1 - key));
    p = skip_space(p, end);
    if (p == end || *p != ':')
        return -1;
    const char *value = skip_space(p + 1, end);
    p = skip_value(value, end);
    if (!p)
        return -1;
    *ret_key = name;
    *ret_value = rm_slice_make(value, (size_t)(p - value));
    scan->next = skip_space(p, end);
    return 1;
}

rm_slice rm_provider__scan_string(rm_slice value, rm_arena *arena)
{
    if (value.len < 2 || value.ptr[0] != '"')
        return RM_SLICE_NONE;
    rm_slice inside = rm_slice_make(value.ptr + 1, value.len - 2);
    if (!memchr(inside.ptr, '\\', inside.len))
        return rm_arena_dup(arena, inside);
    const rm_json *string;
    if (rm_json_parse(arena, value, &string) != RM_OK)
        return RM_SLICE_NONE;
    return rm_json_string(string);
}
