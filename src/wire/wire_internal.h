/* Shared by the files of wire: the request parser and the reading of a finished head. */
#ifndef REMORA_WIRE_INTERNAL_H
#define REMORA_WIRE_INTERNAL_H

#include <llhttp.h>

#include "remora/wire.h"

/* A run of the head's text; 32 KiB fit 16 bits. */
typedef struct rm_http_span {
    uint16_t at, len;
} rm_http_span;

typedef struct rm_http_line {
    rm_http_span name, value;
} rm_http_line;

typedef enum rm_http_phase {
    RM_HTTP_LEAD = 0, /* empty lines before a request */
    RM_HTTP_HEAD,
    RM_HTTP_BODY, /* and trailers */
    RM_HTTP_DONE,
    RM_HTTP_FAILED
} rm_http_phase;

struct rm_http_parser {
    llhttp_t llhttp;
    const rm_http_events *events;
    void *user;
    rm_arena *arena;
    const char *chunk; /* bytes of the running feed that follow text */
    char *text;        /* head bytes kept from earlier feeds */
    size_t text_len, text_cap;
    rm_http_line *lines;
    uint16_t line_count, line_cap;
    rm_http_span target, version;
    rm_method method;
    rm_http_phase phase;
    rm_http_error error;
    uint8_t lead_bytes;
    bool value_seen, target_complete, version_complete;
    size_t head_bytes, extension_bytes, trailer_bytes;
    unsigned trailer_count;
};

/* Reads the complete text into a head that lies in the arena; what HTTP forbids and llhttp allows ends here. */
rm_http_error rm_http__head_build(rm_http_parser *parser, rm_slice text, rm_http_head **ret_head);

/* llhttp's method -> ours; false: not one that is served. */
bool rm_http__method(unsigned llhttp_method, rm_method *ret_method);

/* RFC 9110 token characters. */
bool rm_http__is_token_char(unsigned char c);

#endif
