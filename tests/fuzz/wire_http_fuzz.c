/* Requests: the same bytes whole and in pieces give the same events, and nothing is read out of bounds. The first byte
 * chooses how the rest is cut. The buffers are kept from one input to the next, so that the time goes into the parser. */
#include <stdlib.h>

#include "remora/wire.h"

#define TEXT_BYTES_MAX (64 * RM_MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct record {
    rm_buf text; /* all events, written down */
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
    char flags[] = {(char)('0' + head->chunked), (char)('0' + head->keep_alive), (char)('0' + head->expect_continue),
                    (char)('0' + head->http_1_0), ' '};

    rm_buf_append_cstr(&rec->text, "\nHEAD ");
    rm_buf_append_cstr(&rec->text, rm_method_name(head->method));
    rm_buf_append_char(&rec->text, ' ');
    rm_buf_append_i64(&rec->text, head->content_length);
    rm_buf_append(&rec->text, flags, sizeof(flags));
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

/* A piece is a copy of exactly its length, so that a read past its end, or after its feed, is seen. */
static rm_http_error feed(rm_http_parser *parser, rm_slice bytes, size_t *ret_used)
{
    char *piece = malloc(bytes.len);

    RM_CHECK(piece);
    memcpy(piece, bytes.ptr, bytes.len);
    rm_http_error error = rm_http_parser_feed(parser, rm_slice_make(piece, bytes.len), ret_used);
    free(piece);
    return error;
}

static void write_end(record *rec, const rm_http_parser *parser, rm_http_error error)
{
    char flags[] = {(char)('0' + rm_http_parser_mid_message(parser)), (char)('0' + rm_http_parser_mid_head(parser))};

    rm_buf_append_cstr(&rec->text, "\nERROR ");
    rm_buf_append_i64(&rec->text, error);
    rm_buf_append_cstr(&rec->text, " MID ");
    rm_buf_append(&rec->text, flags, sizeof(flags));
}

static void run(record *rec, rm_slice bytes, size_t step)
{
    rm_http_parser *parser = rm_http_parser_create(&events, rec);
    rm_http_error error = RM_HTTP_OK;

    RM_CHECK(parser);
    rm_buf_clear(&rec->text);
    for (size_t at = 0; at < bytes.len && error == RM_HTTP_OK;) {
        size_t n = bytes.len - at < step ? bytes.len - at : step, used = 0;
        unsigned ended = rec->ended;

        error = feed(parser, rm_slice_make(bytes.ptr + at, n), &used);
        RM_CHECK(used <= n);
        at += used;
        if (error == RM_HTTP_OK && rec->ended > ended)
            rm_http_parser_next(parser);
        else
            RM_CHECK(error != RM_HTTP_OK || used == n);
    }
    write_end(rec, parser, error);
    rm_http_parser_destroy(parser);
    rm_arena_deinit(&rec->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static record whole, cut;
    rm_slice bytes;

    if (size < 1)
        return 0;
    if (whole.text.max == 0) {
        rm_buf_init(&whole.text, TEXT_BYTES_MAX);
        rm_buf_init(&cut.text, TEXT_BYTES_MAX);
    }
    bytes = rm_slice_make((const char *)data + 1, size - 1);
    run(&whole, bytes, SIZE_MAX);
    run(&cut, bytes, 1U + data[0] % 64);
    RM_CHECK(rm_slice_eq(rm_buf_slice(&whole.text), rm_buf_slice(&cut.text)));
    return 0;
}
