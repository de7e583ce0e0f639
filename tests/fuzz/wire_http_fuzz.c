/* Requests: the same bytes whole and in pieces give the same events, and nothing is read out of bounds. The first byte
 * chooses how the rest is cut. */
#include <stdio.h>
#include <stdlib.h>

#include "remora/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct record {
    rm_buf text;
    rm_arena arena;
    unsigned begun, ended;
} record;

static rm_arena *on_begin(void *user)
{
    record *rec = user;

    rm_arena_deinit(&rec->arena);
    rm_arena_init(&rec->arena, NULL, RM_MIB);
    rec->begun++;
    return &rec->arena;
}

static void on_head(void *user, const rm_http_head *head)
{
    record *rec = user;

    rm_buf_appendf(&rec->text, "\nHEAD %s %d %d%d%d%d ", rm_method_name(head->method), (int)head->content_length,
                   head->chunked, head->keep_alive, head->expect_continue, head->http_1_0);
    rm_buf_append_slice(&rec->text, head->target);
    rm_buf_append_slice(&rec->text, head->host);
    RM_CHECK(head->target.len > 0 && (head->target.ptr[0] == '/' || head->target.ptr[0] == '*'));
    RM_CHECK(!(head->chunked && head->content_length >= 0));
    for (size_t i = 0; i < head->header_count; i++) {
        rm_buf_append_slice(&rec->text, head->headers[i].name);
        rm_buf_append_char(&rec->text, '=');
        rm_buf_append_slice(&rec->text, head->headers[i].value);
    }
    rm_buf_append_cstr(&rec->text, "\nBODY ");
}

static void on_body(void *user, rm_slice bytes)
{
    rm_buf_append_slice(&((record *)user)->text, bytes);
}

static void on_end(void *user)
{
    record *rec = user;

    rec->ended++;
    rm_buf_append_cstr(&rec->text, "\nEND");
}

static const rm_http_events events = {on_begin, on_head, on_body, on_end};

static void run(record *rec, rm_slice bytes, size_t step)
{
    rm_http_parser *parser = rm_http_parser_create(&events, rec);
    rm_http_error error = RM_HTTP_OK;

    rm_buf_init(&rec->text, 64 * RM_MIB);
    RM_CHECK(parser);
    for (size_t at = 0; at < bytes.len && error == RM_HTTP_OK;) {
        size_t n = bytes.len - at < step ? bytes.len - at : step, used = 0;
        unsigned ended = rec->ended;
        char *piece = malloc(n);

        memcpy(piece, bytes.ptr + at, n);
        error = rm_http_parser_feed(parser, rm_slice_make(piece, n), &used);
        free(piece);
        RM_CHECK(used <= n);
        at += used;
        if (error == RM_HTTP_OK && rec->ended > ended)
            rm_http_parser_next(parser);
        else
            RM_CHECK(error != RM_HTTP_OK || used == n);
    }
    rm_buf_appendf(&rec->text, "\nERROR %d MID %d%d", error, rm_http_parser_mid_message(parser),
                   rm_http_parser_mid_head(parser));
    rm_http_parser_destroy(parser);
    rm_arena_deinit(&rec->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    record whole = {0}, cut = {0};
    rm_slice bytes;

    if (size < 1)
        return 0;
    bytes = rm_slice_make((const char *)data + 1, size - 1);
    run(&whole, bytes, SIZE_MAX);
    run(&cut, bytes, 1U + data[0] % 64);
    RM_CHECK(rm_slice_eq(rm_buf_slice(&whole.text), rm_buf_slice(&cut.text)));
    rm_buf_deinit(&whole.text);
    rm_buf_deinit(&cut.text);
    return 0;
}
