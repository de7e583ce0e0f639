/* Events out of a stored text, and edited events back into text. */
#include "provider_internal.h"

struct walk {
    rm_sse_parser parser;
    rm_provider__event_fn on_event;
    void *user;
    rm_status status;
};

static void pass_on(void *user, const rm_sse_event *event)
{
    struct walk *walk = user;
    if (walk->status == RM_OK && walk->parser.oversize)
        walk->status = RM_EPARSE;
    if (walk->status == RM_OK)
        walk->status = walk->on_event(walk->user, event);
}

rm_status rm_provider__each_event(rm_slice events, rm_provider__event_fn on_event, void *user)
{
    struct walk walk = {.on_event = on_event, .user = user, .status = RM_OK};
    rm_sse_parser_init(&walk.parser);
    rm_status status = rm_sse_parser_feed(&walk.parser, events, pass_on, &walk);
    if (status == RM_OK)
        status = walk.status;
    if (status == RM_OK && rm_sse_parser_rest(&walk.parser).len > 0)
        status = RM_EPARSE;
    rm_sse_parser_deinit(&walk.parser);
    return status;
}

/* The line's bytes before its data ("data: " as it stood, a BOM too); 0: not a data line. */
static size_t data_prefix(rm_slice line)
{
    size_t skip = line.len >= 3 && memcmp(line.ptr, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    rm_slice rest = rm_slice_make(line.ptr + skip, line.len - skip);
    if (!rm_slice_has_prefix(rest, RM_SLICE("data")) || (rest.len > 4 && rest.ptr[4] != ':'))
        return 0;
    if (rest.len == 4)
        return skip + 4;
    return skip + (rest.len > 5 && rest.ptr[5] == ' ' ? 6 : 5);
}

static void put_lines(rm_slice prefix, rm_slice data, rm_slice line_end, rm_buf *out)
{
    rm_slice rest = data, line;
    for (bool first = true; first || rest.ptr; first = false) {
        const char *cut = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
        line = cut ? rm_slice_make(rest.ptr, (size_t)(cut - rest.ptr)) : rest;
        rest = cut ? rm_slice_make(cut + 1, rest.len - line.len - 1) : RM_SLICE_NONE;
        if (first)
            rm_buf_append_slice(out, prefix);
        else
            rm_buf_append_cstr(out, "data: ");
        rm_buf_append_slice(out, line);
        rm_buf_append_slice(out, line_end);
    }
}

/* A lone CR before a lone LF would become one line's end where there were two. */
static void keep_apart(const char *next, rm_buf *out)
{
    if (*next == '\n' && out->len > 0 && out->ptr[out->len - 1] == '\r')
        rm_buf_append_char(out, '\n');
}

rm_status rm_provider__put_event(const rm_sse_event *event, rm_slice data, rm_buf *out)
{
    const char *p = event->raw.ptr, *end = p + event->raw.len;
    bool written = false;
    while (p < end) {
        const char *stop = p;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        size_t ends = stop == end ? 0 : *stop == '\r' && stop + 1 < end && stop[1] == '\n' ? 2 : 1;
        rm_slice line = rm_slice_make(p, (size_t)(stop - p));
        size_t prefix = data_prefix(line);
        if (prefix == 0) {
            keep_apart(p, out);
            rm_buf_append(out, p, line.len + ends);
        } else if (!written) {
            put_lines(rm_slice_make(p, prefix), data, rm_slice_make(stop, ends), out);
        }
        written = written || prefix > 0;
        p = stop + ends;
    }
    return out->status;
}

rm_slice rm_provider__event_type(const rm_sse_event *event)
{
    rm_provider__scan scan;
    rm_slice key, value;
    if (event->type.len > 0)
        return event->type;
    if (!event->has_data || !rm_provider__scan_begin(&scan, event->data))
        return RM_SLICE_NONE;
    while (rm_provider__scan_next(&scan, &key, &value) > 0)
        if (rm_slice_eq(key, RM_SLICE("type")) && value.len >= 2 && value.ptr[0] == '"')
            return rm_slice_make(value.ptr + 1, value.len - 2);
    return RM_SLICE_NONE;
}
