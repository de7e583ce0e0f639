/* Answers of HTTP/1: the same whole and byte by byte, pauses at every place, ends, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "remora/wire.h"

typedef struct heard {
    rm_http_answer *answer;
    rm_buf lines, data;
    int status;
    unsigned heads;
    bool pause_always, stop_at_head, stop_at_data, in_pause;
} heard;

static bool on_head(void *user, int status)
{
    heard *h = user;

    assert_int_equal(h->heads++, 0);
    h->status = status;
    if (h->pause_always) {
        rm_http_answer_pause(h->answer);
        h->in_pause = true;
    }
    return !h->stop_at_head;
}

static bool on_data(void *user, rm_slice bytes)
{
    heard *h = user;

    assert_int_equal(h->heads, 1);
    assert_true(bytes.len > 0);
    assert_false(h->in_pause);
    assert_int_equal(rm_buf_append_slice(&h->data, bytes), RM_OK);
    if (h->pause_always) {
        rm_http_answer_pause(h->answer);
        h->in_pause = true;
    }
    return !h->stop_at_data;
}

static const rm_http_answer_events events = {on_head, on_data};

static void begin(heard *h, bool no_body, size_t lines_max)
{
    *h = (heard){.answer = rm_http_answer_create(&events)};
    assert_non_null(h->answer);
    rm_buf_init(&h->lines, lines_max);
    rm_buf_init(&h->data, 1 << 20);
    rm_http_answer_begin(h->answer, no_body, &h->lines, h);
}

static void end(heard *h)
{
    rm_http_answer_destroy(h->answer);
    rm_buf_deinit(&h->lines);
    rm_buf_deinit(&h->data);
}

/* Feeds `text` in pieces of `step`; *ret_left is what was not taken. */
static rm_status feed(heard *h, rm_slice text, size_t step, size_t *ret_left)
{
    rm_status status = RM_OK;
    size_t at = 0, stalls = 0;

    while (status == RM_OK && !rm_http_answer_complete(h->answer) && (at < text.len || h->in_pause)) {
        size_t len = text.len - at < step ? text.len - at : step, used;
        h->in_pause = false;
        status = rm_http_answer_feed(h->answer, rm_slice_make(text.ptr + at, len), &used);
        assert_true(used <= len);
        stalls = used == 0 ? stalls + 1 : 0;
        assert_true(stalls < 3);
        at += used;
    }
    *ret_left = text.len - at;
    return status;
}

#define HEAD "HTTP/1.1 200 OK\r\n"
static const struct {
    const char *text;
    bool no_body;
    rm_status status;
    int code;
    const char *lines, *data;
    bool needs_end, keep_alive;
    size_t left;
} answers[] = {
    {HEAD "Content-Length: 2\r\n\r\nok", false, RM_OK, 200, "Content-Length: 2\n", "ok", false, true, 0},
    {HEAD "Content-Length: 2\r\n\r\nokHTTP", false, RM_OK, 200, "Content-Length: 2\n", "ok", false, true, 4},
    {HEAD "Content-Length: 0\r\n\r\n", false, RM_OK, 200, "Content-Length: 0\n", "", false, true, 0},
    {HEAD "Content-Length: 9\r\n\r\n", true, RM_OK, 200, "Content-Length: 9\n", "", false, true, 0},
    {"HTTP/1.1 204 No\r\nA: b\r\n\r\n", false, RM_OK, 204, "A: b\n", "", false, true, 0},
    {"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", false, RM_OK, 304, "Content-Length: 5\n", "", false, true, 0},
    {"HTTP/1.1 103 Early\r\nL: x\r\n\r\nHTTP/1.1 100 Go\r\n\r\n" HEAD "Content-Length: 1\r\n\r\nx", false, RM_OK, 200,
     "Content-Length: 1\n", "x", false, true, 0},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2 \r\nde\r\n0\r\nT: 1\r\n\r\n", false, RM_OK, 200,
     "Transfer-Encoding: chunked\n", "abcde", false, true, 0},
    {"HTTP/1.1 200 OK\nA: b\nContent-Length: 1\n\nx", false, RM_OK, 200, "A: b\nContent-Length: 1\n", "x", false, true,
     0},
    {HEAD "A: one\r\n two\r\nContent-Length: 1\r\n\r\nx", false, RM_OK, 200, "A: one two\nContent-Length: 1\n", "x",
     false, true, 0},
    {HEAD "Connection: close\r\nContent-Length: 1\r\n\r\nx", false, RM_OK, 200,
     "Connection: close\nContent-Length: 1\n", "x", false, false, 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, RM_OK, 200, "Content-Length: 1\n", "x", false, false, 0},
    {HEAD "A:\r\n\r\nuntil the end", false, RM_OK, 200, "A: \n", "until the end", true, false, 0},
    {"HTTP/1.0 200 OK\r\n\r\n", false, RM_OK, 200, "", "", true, false, 0},
    {"HTTP/1.1 000 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", false, RM_EPROTO, 0, NULL, "", false,
     false, 0},
    {"SSH-2.0-x\r\n", false, RM_EPROTO, 0, "", "", false, false, 0},
    {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false, RM_EPROTO, 0, NULL, "", false, false,
     0},
    {HEAD "A: b\rc\r\n\r\n", false, RM_EPROTO, 0, NULL, "", false, false, 0},
    {HEAD "Content-Length: x\r\n\r\n", false, RM_EPROTO, 0, NULL, "", false, false, 0},
    {HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n", false, RM_EPROTO, 200, NULL, "", false, false, 0},
    {HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", false, RM_EPROTO, 0, NULL, "", false, false, 0},
};

static void check_answer(size_t i, size_t step, bool pauses)
{
    heard h;
    size_t left;
    rm_slice text = rm_slice_cstr(answers[i].text);

    begin(&h, answers[i].no_body, 4096);
    h.pause_always = pauses;
    rm_status status = feed(&h, text, step, &left);
    if (status == RM_OK && answers[i].needs_end) {
        assert_false(rm_http_answer_complete(h.answer));
        status = rm_http_answer_end(h.answer);
    }
    if (status != answers[i].status)
        fail_msg("%zu in steps of %zu: %d", i, step, (int)status);
    assert_int_equal(h.status, answers[i].code);
    rm_buf_append_char(&h.lines, '\0');
    rm_buf_append_char(&h.data, '\0');
    if (answers[i].lines)
        assert_string_equal(h.lines.ptr, answers[i].lines);
    assert_string_equal(h.data.ptr, answers[i].data);
    if (status == RM_OK) {
        assert_true(rm_http_answer_complete(h.answer));
        assert_int_equal(rm_http_answer_end(h.answer), RM_OK);
        assert_int_equal(rm_http_answer_keep_alive(h.answer), answers[i].keep_alive);
        assert_int_equal(left, answers[i].left);
    }
    end(&h);
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(answers); i++) {
        for (size_t step = 1; step <= strlen(answers[i].text); step++) {
            check_answer(i, step, false);
            check_answer(i, step, true);
        }
    }
}

/* Cut off anywhere inside, it is not an answer. */
static void test_cut(void **state)
{
    static const char *const texts[] = {HEAD "Content-Length: 2\r\n\r\nok",
                                        HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                                        "HTTP/1.1 100 Go\r\n\r\n" HEAD "Content-Length: 1\r\n\r\nx"};
    (void)state;
    for (size_t i = 0; i < RM_COUNT(texts); i++) {
        for (size_t len = 0; len < strlen(texts[i]); len++) {
            heard h;
            size_t left;
            begin(&h, false, 4096);
            assert_int_equal(feed(&h, rm_slice_make(texts[i], len), 100, &left), RM_OK);
            assert_int_equal(rm_http_answer_end(h.answer), RM_ERESET);
            end(&h);
        }
    }
}

static void test_stops(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 2; at++) {
        heard h;
        size_t used;
        begin(&h, false, 4096);
        h.stop_at_head = at == 0;
        h.stop_at_data = at == 1;
        assert_int_equal(rm_http_answer_feed(h.answer, RM_SLICE(HEAD "Content-Length: 2\r\n\r\nok"), &used),
                         RM_ECANCELLED);
        assert_int_equal(h.data.len, at == 0 ? 0 : 2);
        end(&h);
    }
}

/* The lines' buffer bounds them: "A: 1234\n" is 8 bytes. */
static void test_lines_bound(void **state)
{
    (void)state;
    for (size_t max = 7; max <= 8; max++) {
        heard h;
        size_t used;
        begin(&h, true, max);
        assert_int_equal(rm_http_answer_feed(h.answer, RM_SLICE(HEAD "A: 1234\r\n\r\n"), &used),
                         max == 8 ? RM_OK : RM_ETOOBIG);
        end(&h);
    }
}

/* One after another with one parser, as on a connection. */
static void test_reuse(void **state)
{
    heard h;
    size_t used;

    (void)state;
    begin(&h, false, 4096);
    for (unsigned i = 0; i < 3; i++) {
        h.heads = 0;
        rm_buf_clear(&h.lines);
        rm_buf_clear(&h.data);
        rm_http_answer_begin(h.answer, i == 1, &h.lines, &h);
        rm_slice text =
            i == 1 ? RM_SLICE(HEAD "Content-Length: 2\r\n\r\n") : RM_SLICE(HEAD "Content-Length: 2\r\n\r\nok");
        assert_int_equal(rm_http_answer_feed(h.answer, text, &used), RM_OK);
        assert_int_equal(used, text.len);
        assert_true(rm_http_answer_complete(h.answer));
        assert_int_equal(h.data.len, i == 1 ? 0 : 2);
    }
    end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),     cmocka_unit_test(test_cut),   cmocka_unit_test(test_stops),
        cmocka_unit_test(test_lines_bound), cmocka_unit_test(test_reuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
