/* L1: HTTP/1.1 requests and server-sent events; bytes in, events out; no sockets. One thread an object. */
#ifndef REMORA_WIRE_H
#define REMORA_WIRE_H

#include "remora/base.h"

/* ---- HTTP requests ----------------------------------------------------------------------------------------------- */

typedef enum rm_method {
    RM_METHOD_GET = 0,
    RM_METHOD_HEAD,
    RM_METHOD_POST,
    RM_METHOD_PUT,
    RM_METHOD_DELETE,
    RM_METHOD_OPTIONS,
    RM_METHOD_PATCH,
    RM_METHOD_COUNT
} rm_method;
const char *rm_method_name(rm_method method);

/* The head of one request. All slices lie in the arena that was given for it. */
typedef struct rm_http_head {
    rm_method method;
    rm_slice target;      /* as received: "/v1/x?y" (an absolute-form target is cut to this) */
    rm_slice path, query; /* parts of target; query without '?' */
    rm_slice host;
    const rm_header *headers; /* in order, names as received, values trimmed */
    size_t header_count;
    int64_t content_length; /* -1: none given */
    bool chunked;           /* body comes chunked */
    bool keep_alive;        /* the connection may serve another request afterwards */
    bool expect_continue;
    bool http_1_0;
} rm_http_head;

/* First header of that name (ASCII case-insensitive), {NULL,0} if none. */
rm_slice rm_http_header(const rm_http_head *head, const char *name);

/* What ended a parse; each has its HTTP status (rm_http_error_status): 400, 414, 417, 431, 501, 503, 505. */
typedef enum rm_http_error {
    RM_HTTP_OK = 0,
    RM_HTTP_BAD_SYNTAX,          /* llhttp strict: bare LF, obs-fold, bad token, bad chunk size … */
    RM_HTTP_BAD_LENGTH,          /* Content-Length twice (even equal), with Transfer-Encoding, or not digits */
    RM_HTTP_BAD_ENCODING,        /* Transfer-Encoding other than one "chunked" */
    RM_HTTP_BAD_HOST,            /* missing in 1.1, or twice */
    RM_HTTP_HEADERS_TOO_LARGE,   /* RM_HEADER_BYTES_MAX or RM_HEADER_COUNT_MAX, trailers too */
    RM_HTTP_URI_TOO_LONG,        /* RM_HEADER_BYTES_MAX passed before the request line ended */
    RM_HTTP_METHOD_UNKNOWN,      /* not in rm_method (CONNECT, TRACE, …) */
    RM_HTTP_VERSION_UNSUPPORTED, /* not HTTP/1.0 or 1.1 */
    RM_HTTP_EXPECTATION,         /* Expect other than 100-continue */
    RM_HTTP_UPGRADE,             /* HTTP/2 preface (an Upgrade header is left to the reader and changes nothing) */
    RM_HTTP_NO_MEMORY
} rm_http_error;
int rm_http_error_status(rm_http_error error);
const char *rm_http_error_text(rm_http_error error);

/* Events come from inside rm_http_parser_feed, in order head, body*, end; then the parser pauses itself by itself and
 * feed returns, so that the next (pipelined) request is only begun by the next feed after rm_http_parser_next. */
typedef struct rm_http_events {
    /* arena for the coming head: called when a request's first byte is seen. NULL ends with RM_HTTP_NO_MEMORY. */
    rm_arena *(*on_begin)(void *user);
    void (*on_head)(void *user, const rm_http_head *head);
    void (*on_body)(void *user, rm_slice bytes); /* bytes live during the call only; chunk framing removed */
    void (*on_end)(void *user);
} rm_http_events;

typedef struct rm_http_parser rm_http_parser;
rm_http_parser *rm_http_parser_create(const rm_http_events *events, void *user); /* events outlive it; NULL: memory */
void rm_http_parser_destroy(rm_http_parser *parser);                             /* not from inside an event */

/* Takes bytes; *ret_used says how many (fewer than given only at a message's end or an error). */
rm_http_error rm_http_parser_feed(rm_http_parser *parser, rm_slice bytes, size_t *ret_used) RM_WARN_UNUSED;
void rm_http_parser_next(rm_http_parser *parser);              /* the last request is answered: ready for another */
bool rm_http_parser_mid_message(const rm_http_parser *parser); /* some of a request was seen, its end was not */
bool rm_http_parser_mid_head(const rm_http_parser *parser);

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* What an upstream says on one HTTP/1 connection. Events come from inside rm_http_answer_feed or _end, in order head,
 * data*; interim (1xx) heads and trailers are left out. False from on_head or on_data stops the parser for good. */
typedef struct rm_http_answer_events {
    bool (*on_head)(void *user, int status);
    bool (*on_data)(void *user, rm_slice bytes); /* bytes live during the call only; framing removed */
} rm_http_answer_events;

typedef struct rm_http_answer rm_http_answer;
rm_http_answer *rm_http_answer_create(const rm_http_answer_events *events); /* events outlive it; NULL: memory */
void rm_http_answer_destroy(rm_http_answer *answer);                        /* not from inside an event */

/* A new answer. Its header lines are appended to `lines` as "Name: value\n", whose cap bounds them; `no_body`: it
 * answers a HEAD request. */
void rm_http_answer_begin(rm_http_answer *answer, bool no_body, rm_buf *lines, void *user);

/* Takes bytes; *ret_used says how many: fewer than given only at the answer's end, when paused, or at an error.
 * RM_EPROTO: not HTTP/1; RM_ETOOBIG, RM_ENOMEM: of `lines`; RM_ECANCELLED: an event said stop. */
rm_status rm_http_answer_feed(rm_http_answer *answer, rm_slice bytes, size_t *ret_used) RM_WARN_UNUSED;
/* The connection has ended: RM_OK where that completes the answer, else RM_ERESET. */
rm_status rm_http_answer_end(rm_http_answer *answer) RM_WARN_UNUSED;
/* From inside on_head or on_data: feed returns after that event; the next feed goes on. */
void rm_http_answer_pause(rm_http_answer *answer);
bool rm_http_answer_complete(const rm_http_answer *answer);
bool rm_http_answer_keep_alive(const rm_http_answer *answer); /* once complete: the connection may carry another */

/* Hop-by-hop by RFC 9110 7.6.1, or named in `connection` (the Connection header's value, may be empty). */
bool rm_http_is_hop_by_hop(rm_slice name, rm_slice connection);

/* ---- Cache-Control (RFC 9111) ------------------------------------------------------------------------------------ */

typedef struct rm_cache_control {
    bool no_cache, no_store, only_if_cached;
    int64_t max_age_s, s_maxage_s, max_stale_s, stale_if_error_s, stale_while_revalidate_s; /* -1: not given */
} rm_cache_control;
/* Unknown directives are skipped; an unreadable number counts as not given, "max-age=x" as 0. Never fails. */
rm_cache_control rm_cache_control_parse(rm_slice value);

/* ---- server-sent events ------------------------------------------------------------------------------------------ */

/* One event as it stood in the stream. */
typedef struct rm_sse_event {
    rm_slice raw;  /* every byte from the event's first line to its blank line */
    rm_slice type; /* of "event:"; empty: none */
    rm_slice data; /* "data:" lines joined with \n; empty with has_data false: a comment or keep-alive only */
    bool has_data;
} rm_sse_event;

/* Cuts a byte stream into events (WHATWG HTML 9.2: LF, CR LF and CR line ends, a BOM at the start, split anywhere).
 * An event longer than RM_SSE_EVENT_BYTES_MAX comes out in pieces with oversize set. */
typedef struct rm_sse_parser {
    rm_buf pending; /* bytes of the unfinished event */
    rm_buf data;    /* multi-line data so far */
    size_t scanned; /* bytes of the event that were looked at; the next line begins at line_at */
    size_t line_at, data_at, data_len, type_at, type_len; /* offsets from the event's first byte */
    unsigned data_lines;
    bool at_start; /* no byte of the stream was seen, so a BOM may come */
    bool oversize; /* during on_event: this is a piece of a too long event, its fields unread */
    bool line_cut; /* the current line's beginning went out with an earlier piece */
} rm_sse_parser;
void rm_sse_parser_init(rm_sse_parser *parser);
void rm_sse_parser_deinit(rm_sse_parser *parser);
/* Calls on_event for each event completed by these bytes, inside this call; its slices live during the call.
 * RM_ENOMEM. */
typedef void (*rm_sse_event_fn)(void *user, const rm_sse_event *event);
rm_status rm_sse_parser_feed(rm_sse_parser *parser, rm_slice bytes, rm_sse_event_fn on_event,
                             void *user) RM_WARN_UNUSED;
/* The stream ended: gives the last event where only a CR, which a LF might have followed, ended it. RM_ENOMEM. */
rm_status rm_sse_parser_finish(rm_sse_parser *parser, rm_sse_event_fn on_event, void *user) RM_WARN_UNUSED;
/* The stream ended: what is left without a blank line (empty: nothing). */
rm_slice rm_sse_parser_rest(const rm_sse_parser *parser);

#endif
