/* Server-sent events: the same bytes whole and in pieces give the same events, and all raw bytes, one after another
 * with the rest, are the input. The first byte chooses how the rest is cut. The buffers are kept from one input to the
 * next, so that the time goes into the parser. */
#include <stdlib.h>

#include "remora/wire.h"

#define TEXT_BYTES_MAX (64 * RM_MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct record {
    rm_buf text;   /* all events, written down */
    rm_slice left; /* of the input: what no event has given back */
} record;

static void give_back(record *rec, rm_slice raw)
{
    RM_CHECK(rm_slice_has_prefix(rec->left, raw));
    rec->left = rm_slice_make(rec->left.ptr + raw.len, rec->left.len - raw.len);
}

static void on_event(void *user, const rm_sse_event *event)
{
    record *rec = user;
    size_t sizes[4] = {event->raw.len, event->has_data, event->type.len, event->data.len};

    RM_CHECK(event->raw.len > 0);
    give_back(rec, event->raw);
    rm_buf_append(&rec->text, sizes, sizeof(sizes));
    rm_buf_append_slice(&rec->text, event->type);
    rm_buf_append_slice(&rec->text, event->data);
}

/* A piece is a copy of exactly its length, so that a read past its end, or after its feed, is seen. */
static void feed(rm_sse_parser *parser, rm_slice bytes, record *rec)
{
    char *piece = malloc(bytes.len);

    RM_CHECK(piece);
    memcpy(piece, bytes.ptr, bytes.len);
    RM_CHECK(rm_sse_parser_feed(parser, rm_slice_make(piece, bytes.len), on_event, rec) == RM_OK);
    free(piece);
}

static void run(record *rec, rm_slice bytes, size_t step)
{
    rm_sse_parser parser;

    rm_sse_parser_init(&parser);
    rm_buf_clear(&rec->text);
    rec->left = bytes;
    for (size_t at = 0, n; at < bytes.len; at += n) {
        n = bytes.len - at < step ? bytes.len - at : step;
        feed(&parser, rm_slice_make(bytes.ptr + at, n), rec);
    }
    RM_CHECK(rm_sse_parser_finish(&parser, on_event, rec) == RM_OK);
    give_back(rec, rm_sse_parser_rest(&parser));
    RM_CHECK(rec->left.len == 0);
    rm_sse_parser_deinit(&parser);
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
    run(&cut, bytes, 1U + data[0] % 32);
    RM_CHECK(rm_slice_eq(rm_buf_slice(&whole.text), rm_buf_slice(&cut.text)));
    return 0;
}
