/* Server-sent events: however a stream is cut, the same events come out, and their raw bytes are the stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/wire.h"

/* Everything that came out, as one text: "[type|data|raw bytes]" an event. */
typedef struct record {
    rm_buf text, raw;
    unsigned events, oversize, with_data;
    const rm_sse_parser *parser;
} record;

static void on_event(void *user, const rm_sse_event *event)
{
    record *rec = user;

    rec->events++;
    rec->oversize += rec->parser->oversize;
    rec->with_data += event->has_data;
    rm_buf_append_slice(&rec->raw, event->raw);
    if (rec->parser->oversize)
        return;
    rm_buf_append_char(&rec->text, '[');
    rm_buf_append_slice(&rec->text, event->type);
    rm_buf_append_char(&rec->text, '|');
    if (event->has_data)
        rm_buf_append_slice(&rec->text, event->data);
    else
        rm_buf_append_cstr(&rec->text, "-");
    rm_buf_append_char(&rec->text, '|');
    rm_buf_append_u64(&rec->text, event->raw.len);
    rm_buf_append_char(&rec->text, ']');
}

static record parse(rm_slice bytes, size_t step, bool finish)
{
    record rec = {0};
    rm_sse_parser parser;

    rm_sse_parser_init(&parser);
    rec.parser = &parser;
    rm_buf_init(&rec.text, 64 * RM_MIB);
    rm_buf_init(&rec.raw, 64 * RM_MIB);
    for (size_t at = 0, n; at < bytes.len; at += n) {
        char *piece;

        n = bytes.len - at < step ? bytes.len - at : step;
        piece = malloc(n); /* of its own, so that the sanitizer sees what is kept of it */
        assert_non_null(piece);
        memcpy(piece, bytes.ptr + at, n);
        assert_int_equal(rm_sse_parser_feed(&parser, rm_slice_make(piece, n), on_event, &rec), RM_OK);
        free(piece);
    }
    if (finish)
        assert_int_equal(rm_sse_parser_finish(&parser, on_event, &rec), RM_OK);
    rm_buf_append_slice(&rec.raw, rm_sse_parser_rest(&parser));
    assert_int_equal(rec.raw.len, bytes.len);
    assert_memory_equal(rec.raw.ptr, bytes.ptr, bytes.len);
    rm_sse_parser_deinit(&parser);
    rm_buf_append_char(&rec.text, '\0');
    return rec;
}

static void record_free(record *rec)
{
    rm_buf_deinit(&rec->text);
    rm_buf_deinit(&rec->raw);
}

static const struct {
    const char *name, *stream, *events;
} cases[] = {
    {"one event", "data: a\n\n", "[|a|9]"},
    {"no blank after the colon", "data:a\n\n", "[|a|8]"},
    {"only one blank is dropped", "data:  a\n\n", "[| a|10]"},
    {"CRLF", "data: a\r\n\r\n", "[|a|11]"},
    {"CR", "data: a\r\rdata: b\r\rx", "[|a|9][|b|9]"},
    {"mixed line ends", "data: a\r\n\ndata: b\r\n\r\n", "[|a|10][|b|11]"},
    {"CR then CRLF", "data: a\r\r\ndata: b\n\n", "[|a|10][|b|9]"},
    {"two lines", "data: a\ndata: b\n\n", "[|a\nb|17]"},
    {"three lines, one empty", "data: a\ndata\ndata:b\n\n", "[|a\n\nb|21]"},
    {"empty data", "data:\n\n", "[||7]"},
    {"data without a colon", "data\n\n", "[||6]"},
    {"type", "event: t\ndata: a\n\n", "[t|a|18]"},
    {"last type wins", "event: t\nevent: u\ndata: a\n\n", "[u|a|27]"},
    {"type taken back", "event: t\nevent\ndata: a\n\n", "[|a|24]"},
    {"type alone", "event: ping\n\n", "[ping|-|13]"},
    {"comment", ": keep-alive\n\n", "[|-|14]"},
    {"comment before data", ": c\ndata: a\n\n", "[|a|13]"},
    {"blank lines alone", "\n\r\n\rdata: a\n\n", "[|-|1][|-|2][|-|1][|a|9]"},
    {"id and retry", "id: 1\nretry: 5\ndata: a\n\n", "[|a|24]"},
    {"unknown and longer names", "datax: b\nxdata: c\nDATA: d\ndata: a\n\n", "[|a|35]"},
    {"byte order mark",
     "\xef\xbb\xbf"
     "data: a\n\n",
     "[|a|12]"},
    {"byte order mark later",
     "data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "[|a|9][|-|12]"},
    {"byte order mark and a blank line", "\xef\xbb\xbf\n", "[|-|4]"},
    {"half a byte order mark",
     "\xef\xbb"
     "data: a\n\n",
     "[|-|11]"},
    {"no end", "data: a\n\ndata: b\n", "[|a|9]"},
    {"nothing", "", ""},
    {"colon only", ":\n\n", "[|-|3]"},
    {"json with colons", "data: {\"a\": \"b: c\"}\n\n", "[|{\"a\": \"b: c\"}|21]"},
    {"done", "data: [DONE]\n\n", "[|[DONE]|14]"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_slice stream = rm_slice_cstr(cases[i].stream);

        for (size_t step = 1; step <= stream.len + 1; step++) {
            record rec = parse(stream, step, false);

            if (strcmp(rec.text.ptr, cases[i].events) != 0)
                print_message("%s (step %zu)\n", cases[i].name, step);
            assert_string_equal(rec.text.ptr, cases[i].events);
            record_free(&rec);
        }
    }
}

/* A stream of CR may end with an event whose LF never comes. */
static void test_finish(void **state)
{
    record rec = parse(RM_SLICE("data: a\r\r"), 3, true);

    (void)state;
    assert_string_equal(rec.text.ptr, "[|a|9]");
    record_free(&rec);
    rec = parse(RM_SLICE("data: a\r\n\r"), SIZE_MAX, true);
    assert_string_equal(rec.text.ptr, "[|a|10]");
    record_free(&rec);
    rec = parse(RM_SLICE("data: a\r"), SIZE_MAX, true);
    assert_string_equal(rec.text.ptr, "");
    record_free(&rec);
}

/* Random streams of the characters that matter, random cuts. */
static void test_random_splits(void **state)
{
    static const char *const words[] = {"data",         ":", " ",  "\n",  "\r", "\r\n", "event",
                                        "\xef\xbb\xbf", "a", "id", "\n\n"};
    char stream[256];
    rm_rng rng;

    (void)state;
    rm_rng_seed(&rng, 7);
    for (unsigned round = 0; round < 3000; round++) {
        size_t len = 0, want = rm_rng_next(&rng) % 120;
        record whole, cut;

        while (len < want) {
            const char *word = words[rm_rng_next(&rng) % RM_COUNT(words)];

            memcpy(stream + len, word, strlen(word));
            len += strlen(word);
        }
        whole = parse(rm_slice_make(stream, len), SIZE_MAX, false);
        cut = parse(rm_slice_make(stream, len), 1 + rm_rng_next(&rng) % 9, false);
        assert_string_equal(cut.text.ptr, whole.text.ptr);
        record_free(&whole);
        record_free(&cut);
    }
}

/* "data: aaa…" with an event of exactly `bytes`, then a small one. */
static rm_slice long_stream(size_t bytes)
{
    static const char tail[] = "\n\ndata: b\n\n";
    size_t len = bytes - 2 + sizeof(tail) - 1;
    char *stream = malloc(len);

    assert_non_null(stream);
    memset(stream, 'a', len);
    memcpy(stream, "data: ", 6);
    memcpy(stream + bytes - 2, tail, sizeof(tail) - 1);
    return rm_slice_make(stream, len);
}

static void test_oversize(void **state)
{
    static const size_t steps[] = {4096, 65536, 100000, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(steps); i++) {
        rm_slice fits = long_stream(RM_SSE_EVENT_BYTES_MAX), over = long_stream(RM_SSE_EVENT_BYTES_MAX + 1);
        record rec = parse(fits, steps[i], false);

        assert_int_equal(rec.events, 2);
        assert_int_equal(rec.oversize, 0);
        record_free(&rec);
        rec = parse(over, steps[i], false);
        assert_true(rec.oversize >= 1);
        assert_int_equal(rec.with_data, 1);
        assert_string_equal(rec.text.ptr, "[|b|9]"); /* what follows is read again */
        record_free(&rec);
        free((void *)(uintptr_t)fits.ptr);
        free((void *)(uintptr_t)over.ptr);
    }
}

/* A line that ends in the middle of a too long event, and line ends where the pieces are cut. */
static void test_oversize_lines(void **state)
{
    size_t len = RM_SSE_EVENT_BYTES_MAX * 2;
    char *stream = malloc(len);
    record whole, cut;

    (void)state;
    assert_non_null(stream);
    for (size_t i = 0; i < len; i++)
        stream[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
    memcpy(stream + len - 15, "\r\n\r\ndata: b\r\n\r\n", 15);
    whole = parse(rm_slice_make(stream, len), SIZE_MAX, false);
    cut = parse(rm_slice_make(stream, len), 8191, false);
    assert_string_equal(whole.text.ptr, "[|b|11]");
    assert_string_equal(cut.text.ptr, whole.text.ptr);
    record_free(&whole);
    record_free(&cut);
    free(stream);
}

#ifdef REMORA_FAULTS
static void test_lost_memory(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (uint64_t nth = 1; nth < 12; nth++) {
        record rec = {0};
        rm_sse_parser parser;
        rm_status status = RM_OK;
        static const char stream[] = "data: a\ndata: b\n\nevent: c\ndata: d\n\n";

        rm_sse_parser_init(&parser);
        rec.parser = &parser;
        rm_buf_init(&rec.text, RM_MIB);
        rm_buf_init(&rec.raw, RM_MIB);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        for (size_t at = 0; at < sizeof(stream) - 1 && status == RM_OK; at++)
            status = rm_sse_parser_feed(&parser, rm_slice_make(stream + at, 1), on_event, &rec);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || status == RM_ENOMEM);
        failed += status == RM_ENOMEM;
        rm_sse_parser_deinit(&parser);
        record_free(&rec);
    }
    assert_true(failed > 0);
}
#endif

static void test_cache_control(void **state)
{
    static const struct {
        const char *text;
        rm_cache_control control;
    } lines[] = {
        {"", {false, false, false, -1, -1, -1, -1, -1}},
        {"no-cache", {true, false, false, -1, -1, -1, -1, -1}},
        {"NO-STORE , Only-If-Cached", {false, true, true, -1, -1, -1, -1, -1}},
        {"max-age=60", {false, false, false, 60, -1, -1, -1, -1}},
        {"max-age=\"60\"", {false, false, false, 60, -1, -1, -1, -1}},
        {"max-age = 60", {false, false, false, 60, -1, -1, -1, -1}},
        {"max-age=x", {false, false, false, 0, -1, -1, -1, -1}},
        {"max-age=-1", {false, false, false, 0, -1, -1, -1, -1}},
        {"max-age=", {false, false, false, 0, -1, -1, -1, -1}},
        {"max-age", {false, false, false, 0, -1, -1, -1, -1}},
        {"max-age=99999999999999999999", {false, false, false, INT64_C(2147483648), -1, -1, -1, -1}},
        {"max-age=5, max-age=6", {false, false, false, 5, -1, -1, -1, -1}},
        {"s-maxage=7,,", {false, false, false, -1, 7, -1, -1, -1}},
        {"s-maxage=x", {false, false, false, -1, -1, -1, -1, -1}},
        {"max-stale", {false, false, false, -1, -1, INT64_C(2147483648), -1, -1}},
        {"max-stale=3", {false, false, false, -1, -1, 3, -1, -1}},
        {"stale-if-error=1, stale-while-revalidate=2", {false, false, false, -1, -1, -1, 1, 2}},
        {"private=\"a, no-store\", no-cache=\"x,y\"", {true, false, false, -1, -1, -1, -1, -1}},
        {"x=\"\\\"no-store", {false, false, false, -1, -1, -1, -1, -1}},
        {"foo, bar=1, no-transform", {false, false, false, -1, -1, -1, -1, -1}},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(lines); i++) {
        rm_cache_control got = rm_cache_control_parse(rm_slice_cstr(lines[i].text));
        const rm_cache_control *want = &lines[i].control;

        assert_int_equal(got.no_cache, want->no_cache);
        assert_int_equal(got.no_store, want->no_store);
        assert_int_equal(got.only_if_cached, want->only_if_cached);
        assert_int_equal(got.max_age_s, want->max_age_s);
        assert_int_equal(got.s_maxage_s, want->s_maxage_s);
        assert_int_equal(got.max_stale_s, want->max_stale_s);
        assert_int_equal(got.stale_if_error_s, want->stale_if_error_s);
        assert_int_equal(got.stale_while_revalidate_s, want->stale_while_revalidate_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),          cmocka_unit_test(test_finish),
        cmocka_unit_test(test_random_splits),  cmocka_unit_test(test_oversize),
        cmocka_unit_test(test_oversize_lines),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_lost_memory),
#endif
        cmocka_unit_test(test_cache_control),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
