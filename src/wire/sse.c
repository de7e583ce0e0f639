/* Server-sent events (WHATWG HTML 9.2.6), cut so that the raw bytes of all events, one after another, are the stream.
 *
 *     event: first line ... blank line        scanned: looked at so far; line_at: where the unfinished line begins
 *     |------------- pending or input ------|
 *
 * Every byte is looked at once: line ends are found with memchr, a finished line is read at once, and only the
 * unfinished rest of an event is kept between feeds. A CR ends a line only when the byte after it is known, so that a
 * stream gives the same events however it is cut. */
#include "remora/wire.h"

#define FEED_BYTES_MAX RM_READ_BYTES /* joined to what is pending at a time */

void rm_sse_parser_init(rm_sse_parser *parser)
{
    memset(parser, 0, sizeof(*parser));
    rm_buf_init(&parser->pending, RM_SSE_EVENT_BYTES_MAX + FEED_BYTES_MAX);
    rm_buf_init(&parser->data, RM_SSE_EVENT_BYTES_MAX + FEED_BYTES_MAX);
    parser->at_start = true;
}

void rm_sse_parser_deinit(rm_sse_parser *parser)
{
    rm_buf_deinit(&parser->pending);
    rm_buf_deinit(&parser->data);
}

/* State between events; the stream's own (at_start) stays. */
static void event_reset(rm_sse_parser *parser)
{
    rm_buf_clear(&parser->data);
    parser->scanned = parser->line_at = 0;
    parser->data_at = parser->data_len = parser->type_at = parser->type_len = 0;
    parser->data_lines = 0;
    parser->oversize = parser->line_cut = false;
}

/* Data of more than one line is joined in parser->data; one line needs no copy. */
static rm_status data_add(rm_sse_parser *parser, const char *event, rm_slice value)
{
    if (parser->data_lines++ == 0) {
        parser->data_at = value.len ? (size_t)(value.ptr - event) : 0;
        parser->data_len = value.len;
        return RM_OK;
    }
    if (parser->data_lines == 2)
        rm_buf_append(&parser->data, event + parser->data_at, parser->data_len);
    rm_buf_append_char(&parser->data, '\n');
    return rm_buf_append_slice(&parser->data, value);
}

static rm_status line_read(rm_sse_parser *parser, const char *event, rm_slice line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    rm_slice name = colon ? rm_slice_make(line.ptr, (size_t)(colon - line.ptr)) : line;
    rm_slice value = RM_SLICE_NONE;

    if (colon) {
        value = rm_slice_make(colon + 1, line.len - name.len - 1);
        if (value.len && value.ptr[0] == ' ')
            value = rm_slice_make(value.ptr + 1, value.len - 1);
    }
    if (rm_slice_eq(name, RM_SLICE("data")))
        return data_add(parser, event, value);
    if (rm_slice_eq(name, RM_SLICE("event"))) {
        parser->type_at = value.len ? (size_t)(value.ptr - event) : 0;
        parser->type_len = value.len;
    }
    return RM_OK;
}

static void event_emit(rm_sse_parser *parser, rm_slice raw, rm_sse_event_fn on_event, void *user)
{
    rm_sse_event event = {.raw = raw};

    if (raw.len > RM_SSE_EVENT_BYTES_MAX)
        parser->oversize = true;
    if (!parser->oversize) {
        event.has_data = parser->data_lines > 0;
        event.type = rm_slice_make(raw.ptr + parser->type_at, parser->type_len);
        if (parser->data_lines > 1)
            event.data = rm_buf_slice(&parser->data);
        else
            event.data = rm_slice_make(raw.ptr + parser->data_at, parser->data_len);
    }
    on_event(user, &event);
}

/* The search for line ends in one run of bytes; each of the two memchrs passes a byte at most once. */
typedef struct finder {
    const char *end, *next_cr, *next_lf; /* at or after the last question; `end`: no more of it */
} finder;

static const char *find_line_end(finder *find, const char *from)
{
    if (find->next_lf < from) {
        find->next_lf = memchr(from, '\n', (size_t)(find->end - from));
        if (!find->next_lf)
            find->next_lf = find->end;
    }
    if (find->next_cr < from) {
        /* A CR matters only before the next LF. */
        const char *until = find->next_lf;

        find->next_cr = memchr(from, '\r', (size_t)(until - from));
        if (!find->next_cr)
            find->next_cr = until;
    }
    return find->next_cr < find->next_lf ? find->next_cr : find->next_lf;
}

/* A finished line; true in *ret_blank where it ends the event. */
static rm_status line_finish(rm_sse_parser *parser, const char *event, const char *line_end, bool *ret_blank)
{
    rm_slice line = rm_slice_make(event + parser->line_at, (size_t)(line_end - event) - parser->line_at);
    bool cut = parser->line_cut;

    parser->line_cut = false;
    if (parser->at_start) {
        parser->at_start = false;
        if (rm_slice_has_prefix(line, RM_SLICE("\xef\xbb\xbf")))
            line = rm_slice_make(line.ptr + 3, line.len - 3);
    }
    *ret_blank = line.len == 0 && !cut;
    if (line.len == 0 || cut || parser->oversize || line.len > RM_SSE_EVENT_BYTES_MAX)
        return RM_OK;
    return line_read(parser, event, line);
}

/* Gives every event that is complete in `bytes`; *ret_used tells where the unfinished one begins. */
static rm_status scan(rm_sse_parser *parser, rm_slice bytes, bool last, size_t *ret_used, rm_sse_event_fn on_event,
                      void *user)
{
    const char *event = bytes.ptr, *at = bytes.ptr + parser->scanned, *end = bytes.ptr + bytes.len;
    finder find = {end, NULL, NULL};
    rm_status status = RM_OK;
    bool blank;

    while (status == RM_OK && at < end) {
        const char *line_end = find_line_end(&find, at);
        const char *next = line_end + 1;

        if (line_end == end || (*line_end == '\r' && next == end && !last)) {
            at = line_end;
            break;
        }
        if (*line_end == '\r' && next < end && *next == '\n')
            next++;
        status = line_finish(parser, event, line_end, &blank);
        at = next;
        parser->line_at = (size_t)(at - event);
        if (blank && status == RM_OK) {
            event_emit(parser, rm_slice_make(event, (size_t)(at - event)), on_event, user);
            event_reset(parser);
            event = at;
        }
    }
    parser->scanned = (size_t)(at - event);
    *ret_used = (size_t)(event - bytes.ptr);
    return status;
}

/* An event that outgrew the bound leaves in pieces; a CR whose LF may follow stays for the next one. */
static size_t cut_oversize(rm_sse_parser *parser, rm_slice bytes, rm_sse_event_fn on_event, void *user)
{
    size_t len = parser->scanned;

    if ((!parser->oversize && bytes.len <= RM_SSE_EVENT_BYTES_MAX) || len == 0)
        return 0;
    parser->oversize = true;
    event_emit(parser, rm_slice_make(bytes.ptr, len), on_event, user);
    parser->line_cut = parser->line_cut || len > parser->line_at;
    parser->scanned = parser->line_at = 0;
    rm_buf_clear(&parser->data);
    return len;
}

static rm_status feed_piece(rm_sse_parser *parser, rm_slice bytes, bool last, rm_sse_event_fn on_event, void *user)
{
    bool direct = parser->pending.len == 0;
    size_t used = 0;
    rm_status status;

    if (!direct) {
        status = rm_buf_append_slice(&parser->pending, bytes);
        if (status != RM_OK)
            return status;
        bytes = rm_buf_slice(&parser->pending);
    }
    status = scan(parser, bytes, last, &used, on_event, user);
    if (status != RM_OK)
        return status;
    used += cut_oversize(parser, rm_slice_make(bytes.ptr + used, bytes.len - used), on_event, user);
    if (!direct) {
        rm_buf_consume(&parser->pending, used);
        return RM_OK;
    }
    return used == bytes.len ? RM_OK : rm_buf_append(&parser->pending, bytes.ptr + used, bytes.len - used);
}

rm_status rm_sse_parser_feed(rm_sse_parser *parser, rm_slice bytes, rm_sse_event_fn on_event, void *user)
{
    rm_status status = RM_OK;

    while (status == RM_OK && bytes.len) {
        size_t len = bytes.len < FEED_BYTES_MAX ? bytes.len : FEED_BYTES_MAX;

        status = feed_piece(parser, rm_slice_make(bytes.ptr, len), false, on_event, user);
        bytes = rm_slice_make(bytes.ptr + len, bytes.len - len);
    }
    return status;
}

rm_status rm_sse_parser_finish(rm_sse_parser *parser, rm_sse_event_fn on_event, void *user)
{
    rm_slice rest = rm_buf_slice(&parser->pending);
    size_t used = 0;
    rm_status status;

    if (rest.len == 0)
        return RM_OK;
    status = scan(parser, rest, true, &used, on_event, user);
    rm_buf_consume(&parser->pending, used);
    return status;
}

rm_slice rm_sse_parser_rest(const rm_sse_parser *parser)
{
    return rm_buf_slice(&parser->pending);
}
