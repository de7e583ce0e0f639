/* Requests: llhttp in strict mode, fed piece by piece.
 *
 * The head is kept as one run of text in the arena. While it comes, every token is a span of offsets into that text:
 *
 *     text (kept from earlier feeds) | chunk (this feed)
 *     0 ............... text_len       text_len ...
 *
 * A head that came in one feed, as nearly all do, is copied once, when it is complete. Invariants: no byte past
 * RM_HEADER_BYTES_MAX reaches llhttp while the head is unfinished; a failed parser stays failed. */
#include "wire_internal.h"

#define TEXT_BYTES_MIN 1024
#define LINES_MIN      16

_Static_assert(RM_HEADER_BYTES_MAX <= UINT16_MAX, "spans are 16 bits wide");
_Static_assert(sizeof(rm_http_parser) <= 1536, "one a connection: keep it small");

static int refuse(rm_http_parser *parser, rm_http_error error)
{
    parser->error = error;
    return -1;
}

/* Lengthens `span` by a piece that llhttp reports; the pieces of one token follow one another. */
static void span_extend(const rm_http_parser *parser, rm_http_span *span, const char *at, size_t len)
{
    if (span->len == 0)
        span->at = (uint16_t)(parser->text_len + (size_t)(at - parser->chunk));
    span->len = (uint16_t)(span->len + len);
}

static int on_message_begin(llhttp_t *llhttp)
{
    rm_http_parser *parser = llhttp->data;

    parser->phase = RM_HTTP_HEAD;
    parser->arena = parser->events->on_begin(parser->user);
    return parser->arena ? 0 : refuse(parser, RM_HTTP_NO_MEMORY);
}

static int on_method_complete(llhttp_t *llhttp)
{
    rm_http_parser *parser = llhttp->data;

    if (llhttp->method == HTTP_PRI)
        return 0; /* llhttp reads the whole HTTP/2 preface, then stops by itself */
    return rm_http__method(llhttp->method, &parser->method) ? 0 : refuse(parser, RM_HTTP_METHOD_UNKNOWN);
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    rm_http_parser *parser = llhttp->data;

    span_extend(parser, &parser->target, at, len);
    return 0;
}

static int on_url_complete(llhttp_t *llhttp)
{
    rm_http_parser *parser = llhttp->data;

    parser->target_complete = true;
    /* A line without a version is HTTP/0.9 to llhttp. */
    return llhttp->http_minor == 9 ? refuse(parser, RM_HTTP_VERSION_UNSUPPORTED) : 0;
}

static int on_version(llhttp_t *llhttp, const char *at, size_t len)
{
    rm_http_parser *parser = llhttp->data;

    span_extend(parser, &parser->version, at, len);
    return 0;
}

static int on_version_complete(llhttp_t *llhttp)
{
    rm_http_parser *parser = llhttp->data;

    parser->version_complete = true;
    if (llhttp->method == HTTP_PRI || (llhttp->http_major == 1 && llhttp->http_minor <= 1))
        return 0;
    return refuse(parser, RM_HTTP_VERSION_UNSUPPORTED);
}

static int lines_grow(rm_http_parser *parser)
{
    uint16_t cap = parser->line_cap ? (uint16_t)(parser->line_cap * 2) : LINES_MIN;
    rm_http_line *lines = rm_arena_alloc(parser->arena, cap * sizeof(*lines));

    if (!lines)
        return refuse(parser, RM_HTTP_NO_MEMORY);
    if (parser->line_count)
        memcpy(lines, parser->lines, parser->line_count * sizeof(*lines));
    parser->lines = lines;
    parser->line_cap = cap;
    return 0;
}

/* Trailers are dropped, but bounded like a head. */
static int trailer_count_bytes(rm_http_parser *parser, size_t len)
{
    parser->trailer_bytes += len;
    return parser->trailer_bytes > RM_HEADER_BYTES_MAX ? refuse(parser, RM_HTTP_HEADERS_TOO_LARGE) : 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    rm_http_parser *parser = llhttp->data;
    rm_http_line *line;

    if (parser->phase != RM_HTTP_HEAD)
        return trailer_count_bytes(parser, len);
    if (parser->line_count == 0 || parser->value_seen) {
        if (parser->line_count == parser->line_cap && lines_grow(parser) != 0)
            return -1;
        parser->lines[parser->line_count++] = (rm_http_line){0};
        parser->value_seen = false;
    }
    line = &parser->lines[parser->line_count - 1];
    span_extend(parser, &line->name, at, len);
    return 0;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    rm_http_parser *parser = llhttp->data;

    if (parser->phase == RM_HTTP_HEAD) {
        parser->value_seen = true;
        /* Not before the name is whole: where the bytes were cut must not decide which error is told. */
        return parser->line_count > RM_HEADER_COUNT_MAX ? refuse(parser, RM_HTTP_HEADERS_TOO_LARGE) : 0;
    }
    return ++parser->trailer_count > RM_HEADER_COUNT_MAX ? refuse(parser, RM_HTTP_HEADERS_TOO_LARGE) : 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    rm_http_parser *parser = llhttp->data;

    if (parser->phase != RM_HTTP_HEAD)
        return trailer_count_bytes(parser, len);
    span_extend(parser, &parser->lines[parser->line_count - 1].value, at, len);
    return 0;
}

/* Appends the first `len` bytes of the running chunk to the kept text. */
static bool text_keep(rm_http_parser *parser, size_t len)
{
    size_t need = parser->text_len + len;

    if (need > parser->text_cap) {
        size_t cap = parser->text_cap ? parser->text_cap * 2 : TEXT_BYTES_MIN;
        char *text;

        while (cap < need)
            cap *= 2;
        text = rm_arena_alloc(parser->arena, cap);
        if (!text)
            return false;
        if (parser->text_len)
            memcpy(text, parser->text, parser->text_len);
        parser->text = text;
        parser->text_cap = cap;
    }
    memcpy(parser->text + parser->text_len, parser->chunk, len);
    parser->text_len = need;
    return true;
}

/* Where the last token of the head ends. */
static size_t text_extent(const rm_http_parser *parser)
{
    size_t extent = (size_t)parser->version.at + parser->version.len;

    if (parser->line_count) {
        const rm_http_line *last = &parser->lines[parser->line_count - 1];
        const rm_http_span *span = last->value.len ? &last->value : &last->name;

        extent = (size_t)span->at + span->len;
    }
    return extent;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    rm_http_parser *parser = llhttp->data;
    size_t extent = text_extent(parser);
    rm_http_head *head = NULL;
    rm_http_error error;

    llhttp->upgrade = 0; /* an Upgrade header is not taken up, the request goes on as HTTP/1.1 */
    if (parser->text_len == 0) {
        parser->text_cap = extent;
        parser->text = rm_arena_alloc(parser->arena, extent);
        if (!parser->text)
            return refuse(parser, RM_HTTP_NO_MEMORY);
    }
    if (extent > parser->text_len && !text_keep(parser, extent - parser->text_len))
        return refuse(parser, RM_HTTP_NO_MEMORY);
    error = rm_http__head_build(parser, (rm_slice){parser->text, extent}, &head);
    if (error != RM_HTTP_OK)
        return refuse(parser, error);
    parser->phase = RM_HTTP_BODY;
    parser->events->on_head(parser->user, head);
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    rm_http_parser *parser = llhttp->data;

    parser->events->on_body(parser->user, (rm_slice){at, len});
    return 0;
}

static int on_chunk_extension(llhttp_t *llhttp, const char *at, size_t len)
{
    rm_http_parser *parser = llhttp->data;

    (void)at;
    parser->extension_bytes += len;
    return parser->extension_bytes > RM_CHUNK_EXTENSION_BYTES_MAX ? refuse(parser, RM_HTTP_BAD_SYNTAX) : 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    rm_http_parser *parser = llhttp->data;

    parser->phase = RM_HTTP_DONE;
    parser->events->on_end(parser->user);
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_method_complete = on_method_complete,
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_version = on_version,
    .on_version_complete = on_version_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_message_complete = on_message_complete,
};

/* llhttp's verdict in our words; the only place that knows its codes. `at` is the byte it stumbled over. */
static rm_http_error map_error(const rm_http_parser *parser, llhttp_errno_t code, const char *at, const char *end)
{
    switch (code) {
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
        return RM_HTTP_BAD_LENGTH;
    case HPE_INVALID_TRANSFER_ENCODING:
        return (parser->llhttp.flags & F_CONTENT_LENGTH) ? RM_HTTP_BAD_LENGTH : RM_HTTP_BAD_ENCODING;
    case HPE_INVALID_METHOD:
        return at && at < end && rm_http__is_token_char((unsigned char)*at) ? RM_HTTP_METHOD_UNKNOWN
                                                                            : RM_HTTP_BAD_SYNTAX;
    case HPE_INVALID_VERSION: /* also what follows the version on its line */
        return parser->version_complete ? RM_HTTP_BAD_SYNTAX : RM_HTTP_VERSION_UNSUPPORTED;
    case HPE_PAUSED_H2_UPGRADE:
    case HPE_PAUSED_UPGRADE:
        return RM_HTTP_UPGRADE;
    default:
        return RM_HTTP_BAD_SYNTAX;
    }
}

rm_http_parser *rm_http_parser_create(const rm_http_events *events, void *user)
{
    rm_http_parser *parser = rm_calloc(1, sizeof(*parser));

    if (!parser)
        return NULL;
    parser->events = events;
    parser->user = user;
    rm_http_parser_next(parser);
    return parser;
}

void rm_http_parser_destroy(rm_http_parser *parser)
{
    rm_free(parser);
}

void rm_http_parser_next(rm_http_parser *parser)
{
    const rm_http_events *events = parser->events;
    void *user = parser->user;

    memset(parser, 0, sizeof(*parser));
    parser->events = events;
    parser->user = user;
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
}

/* RFC 9112 2.2 lets an empty line stand before a request; more than one, or half of one, is refused. */
static size_t skip_lead(rm_http_parser *parser, rm_slice bytes)
{
    static const char lead[2] = {'\r', '\n'};
    size_t at = 0;

    while (at < bytes.len && parser->lead_bytes < 2 && bytes.ptr[at] == lead[parser->lead_bytes]) {
        parser->lead_bytes++;
        at++;
    }
    if (at < bytes.len && (parser->lead_bytes == 1 || bytes.ptr[at] == '\r' || bytes.ptr[at] == '\n'))
        parser->error = RM_HTTP_BAD_SYNTAX;
    return at;
}

static rm_http_error fail(rm_http_parser *parser, rm_http_error error)
{
    parser->phase = RM_HTTP_FAILED;
    parser->error = error;
    return error;
}

/* One run of llhttp over `bytes`, all of which belong to the message as far as the head's limit reaches. */
static rm_http_error run(rm_http_parser *parser, rm_slice bytes, size_t *ret_used)
{
    bool in_head = parser->phase <= RM_HTTP_HEAD;
    llhttp_errno_t code;
    const char *stop;

    if (in_head && bytes.len > RM_HEADER_BYTES_MAX - parser->head_bytes)
        bytes.len = RM_HEADER_BYTES_MAX - parser->head_bytes;
    parser->chunk = bytes.ptr;
    code = llhttp_execute(&parser->llhttp, bytes.ptr, bytes.len);
    stop = code == HPE_OK ? bytes.ptr + bytes.len : llhttp_get_error_pos(&parser->llhttp);
    *ret_used = stop && stop >= bytes.ptr ? (size_t)(stop - bytes.ptr) : 0;
    if (parser->error != RM_HTTP_OK)
        return parser->error;
    if (code != HPE_OK && !(code == HPE_PAUSED && parser->phase == RM_HTTP_DONE))
        return map_error(parser, code, stop, bytes.ptr + bytes.len);
    if (parser->phase != RM_HTTP_HEAD)
        return RM_HTTP_OK;
    parser->head_bytes += bytes.len;
    if (parser->head_bytes == RM_HEADER_BYTES_MAX)
        return parser->target_complete ? RM_HTTP_HEADERS_TOO_LARGE : RM_HTTP_URI_TOO_LONG;
    return text_keep(parser, bytes.len) ? RM_HTTP_OK : RM_HTTP_NO_MEMORY;
}

rm_http_error rm_http_parser_feed(rm_http_parser *parser, rm_slice bytes, size_t *ret_used)
{
    rm_http_error error = parser->phase == RM_HTTP_FAILED ? parser->error : RM_HTTP_OK;
    size_t at = 0;

    if (parser->phase == RM_HTTP_LEAD) {
        at = skip_lead(parser, bytes);
        error = parser->error;
    }
    while (error == RM_HTTP_OK && at < bytes.len && parser->phase != RM_HTTP_DONE) {
        size_t used = 0;

        error = run(parser, (rm_slice){bytes.ptr + at, bytes.len - at}, &used);
        at += used;
    }
    *ret_used = at;
    return error == RM_HTTP_OK ? RM_HTTP_OK : fail(parser, error);
}

bool rm_http_parser_mid_message(const rm_http_parser *parser)
{
    return parser->phase == RM_HTTP_HEAD || parser->phase == RM_HTTP_BODY;
}

bool rm_http_parser_mid_head(const rm_http_parser *parser)
{
    return parser->phase == RM_HTTP_HEAD;
}
