/* Server-sent events: the same bytes whole and in pieces give the same events, and all raw bytes, one after another
 * with the rest, are the input. The first byte chooses how the rest is cut. */
#include <stdlib.h>

#include "remora/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct record {
    rm_buf text, raw;
} record;

static void on_event(void *user, const rm_sse_event *event)
{
    record *rec = user;

    rm_buf_append_slice(&rec->raw, event->raw);
    rm_buf_append_char(&rec->text, event->has_data ? 'D' : 'C');
    rm_buf_append_u64(&rec->text, event->raw.len);
    rm_buf_append_slice(&rec->text, event->type);
    rm_buf_append_char(&rec->text, '|');
    rm_buf_append_slice(&rec->text, event->data);
    RM_CHECK(event->raw.len > 0);
}

static void run(record *rec, rm_slice bytes, size_t step)
{
    rm_sse_parser parser;

    rm_sse_parser_init(&parser);
    rm_buf_init(&rec->text, 64 * RM_MIB);
    rm_buf_init(&rec->raw, 64 * RM_MIB);
    for (size_t at = 0, n; at < bytes.len; at += n) {
        char *piece;

        n = bytes.len - at < step ? bytes.len - at : step;
        piece = malloc(n);
        memcpy(piece, bytes.ptr + at, n);
        RM_CHECK(rm_sse_parser_feed(&parser, rm_slice_make(piece, n), on_event, rec) == RM_OK);
        free(piece);
    }
    RM_CHECK(rm_sse_parser_finish(&parser, on_event, rec) == RM_OK);
    rm_buf_append_slice(&rec->raw, rm_sse_parser_rest(&parser));
    RM_CHECK(rm_slice_eq(rm_buf_slice(&rec->raw), bytes));
    rm_sse_parser_deinit(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    record whole = {0}, cut = {0};
    rm_slice bytes;

    if (size < 1)
        return 0;
    bytes = rm_slice_make((const char *)data + 1, size - 1);
    run(&whole, bytes, SIZE_MAX);
    run(&cut, bytes, 1U + data[0] % 32);
    RM_CHECK(rm_slice_eq(rm_buf_slice(&whole.text), rm_buf_slice(&cut.text)));
    rm_buf_deinit(&whole.text);
    rm_buf_deinit(&whole.raw);
    rm_buf_deinit(&cut.text);
    rm_buf_deinit(&cut.raw);
    return 0;
}
