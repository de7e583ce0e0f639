/* Tries: what is tried again, when, how often, and what the caller gets to see of it. */
#include "upstream_harness.h"

#include "upstream_internal.h"

#define STEPS(...)           (const fake_step[]){__VA_ARGS__}, sizeof((const fake_step[]){__VA_ARGS__}) / sizeof(fake_step)
#define REPLY(status, extra) "HTTP/1.1 " status " X\r\nretry-after-ms: 1\r\n" extra "Content-Length: 3\r\n\r\nbad"

static asked run_one(const fake_step *steps, size_t count, unsigned retries_max, int want_requests,
                     const rm_upstream_client_options *options, rm_upstream_stats *ret_stats)
{
    bench b;
    asked a = {0};
    fake_upstream *server = fake_start(steps, count, NULL);
    rm_upstream_request request = post_of(server, "{}");

    request.retries_max = retries_max;
    request.name = RM_SLICE("fake");
    bench_open(&b, options);
    ask(&b, &a, &request);
    assert_int_equal(server->requests, want_requests);
    assert_int_equal(a.result.tries, want_requests);
    if (ret_stats)
        *ret_stats = rm_upstream_client_stats(b.client);
    bench_close(&b);
    fake_stop(server);
    return a;
}

static const struct {
    const char *reply;
    unsigned flags;
    bool again;
} firsts[] = {
    {REPLY("408", ""), 0, true},
    {REPLY("409", ""), 0, true},
    {REPLY("429", ""), 0, true},
    {REPLY("500", ""), 0, true},
    {REPLY("503", ""), FAKE_CLOSE, true},
    {REPLY("529", ""), 0, true},
    {REPLY("599", ""), 0, true},
    {REPLY("400", ""), 0, false},
    {REPLY("401", ""), 0, false},
    {REPLY("404", ""), 0, false},
    {REPLY("422", ""), 0, false},
    {REPLY("200", ""), 0, false},
    {REPLY("400", "x-should-retry: true\r\n"), 0, true},
    {REPLY("200", "x-should-retry: true\r\n"), 0, false},
    {REPLY("500", "X-Should-Retry: false\r\n"), 0, false},
    {"HTTP/1.1 429 X\r\nretry-after: 61\r\nContent-Length: 3\r\n\r\nbad", 0, false}, /* the caller's decision */
    {"HTTP/1.1 429 X\r\nretry-after-ms: 60001\r\nContent-Length: 3\r\n\r\nbad", 0, false},
    {"HTTP/1.1 429 X\r\nretry-after: 0\r\nContent-Length: 3\r\n\r\nbad", 0, true},
    {"HTTP/1.1 503 X\r\nretry-after: soon\r\nContent-Length: 3\r\n\r\nbad", 0, true},
    {"HTTP/1.1 503 X\r\nretry-after-ms: 1\r\nContent-Length: 30\r\n\r\ncut", FAKE_CLOSE, true},
    {"HTTP/1.1 503 X\r\nretry-after-ms: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n", 0, true},
    {NULL, FAKE_CLOSE, true},
    {NULL, FAKE_RESET, true},
    {"HTTP/1.1 200", FAKE_CLOSE, true},
};

static void test_first_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(firsts); i++) {
        rm_upstream_stats stats;
        fake_step steps[] = {{firsts[i].reply, firsts[i].flags, NULL}, {OK_REPLY, 0, NULL}};
        asked a = run_one(steps, 2, 2, firsts[i].again ? 2 : 1, NULL, &stats);
        assert_int_equal(a.result.status, RM_OK);
        assert_string_equal(a.data, firsts[i].again ? "ok" : "bad");
        assert_int_equal(stats.retries, firsts[i].again);
        assert_int_equal(stats.requests, 1);
        assert_int_equal(stats.failures, 0);
    }
}

/* The last try's answer is the caller's, whole. */
static void test_last_answer(void **state)
{
    (void)state;
    asked a = run_one(
        STEPS({REPLY("500", ""), 0, NULL}, {REPLY("502", ""), 0, NULL}, {REPLY("503", "X-Last: 1\r\n"), 0, NULL}), 2, 3,
        NULL, NULL);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(a.status, 503);
    assert_string_equal(a.head, "retry-after-ms: 1\nX-Last: 1\nContent-Length: 3\n");
    assert_string_equal(a.data, "bad");
}

static void test_last_failure(void **state)
{
    rm_upstream_stats stats;

    (void)state;
    asked a = run_one(STEPS({REPLY("500", "Connection: close\r\n"), FAKE_CLOSE, NULL}, {NULL, FAKE_RESET, NULL}), 1, 2,
                      NULL, &stats);
    assert_int_equal(a.result.status, RM_ERESET);
    assert_false(a.result.head_sent);
    assert_int_equal(stats.failures, 1);
}

/* Once the head is out there is no way back. */
static void test_not_after_head(void **state)
{
    (void)state;
    asked a = run_one(STEPS({"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", FAKE_CLOSE, NULL}), 3, 1, NULL, NULL);
    assert_int_equal(a.result.status, RM_ERESET);
    assert_true(a.result.head_sent);
}

static void serve_endless_error(fake_conn *conn, void *user)
{
    char zeros[4096] = {0};

    (void)user;
    fake_send_text(conn, "HTTP/1.1 500 X\r\nretry-after-ms: 1\r\n\r\n");
    while (fake_send(conn, zeros, sizeof(zeros)))
        ;
}

/* RM_UPSTREAM_SWALLOW_BYTES_MAX: what is longer is cut off and tried again all the same. */
static void test_endless_error(void **state)
{
    (void)state;
    asked a = run_one(STEPS({NULL, FAKE_CLOSE, serve_endless_error}, {OK_REPLY, 0, NULL}), 1, 2, NULL, NULL);
    assert_int_equal(a.result.status, RM_OK);
    assert_string_equal(a.data, "ok");
}

/* A decoded answer that is tried again with an unknown coding first: the second is decoded as ever. */
static void test_connection_kept(void **state)
{
    bench b;
    asked a = {0};
    fake_upstream *server = fake_start(STEPS({REPLY("500", ""), 0, NULL}, {OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    request.retries_max = 1;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(server->accepted, 1);
    bench_close(&b);
    fake_stop(server);
}

/* ---- budget ------------------------------------------------------------------------------------------------------------ */

static void test_budget_numbers(void **state)
{
    rm_upstream__budget budget = {.share = 0.1, .always = 2};

    (void)state;
    assert_true(rm_upstream__budget_take(&budget, 5000));
    assert_true(rm_upstream__budget_take(&budget, 5000));
    assert_false(rm_upstream__budget_take(&budget, 5000));
    for (unsigned i = 0; i < 9; i++)
        rm_upstream__budget_request(&budget, 6000);
    assert_false(rm_upstream__budget_take(&budget, 6000));
    rm_upstream__budget_request(&budget, 7000);
    assert_true(rm_upstream__budget_take(&budget, 7000));
    assert_false(rm_upstream__budget_take(&budget, 14999)); /* all of it is still in the window */
    assert_true(rm_upstream__budget_take(&budget, 15000));  /* the first two retries have left it */
    assert_true(rm_upstream__budget_take(&budget, 15999));
    assert_false(rm_upstream__budget_take(&budget, 15999));
    assert_true(rm_upstream__budget_take(&budget, 1000000000)); /* after a long sleep */
    assert_true(rm_upstream__budget_take(&budget, 1000000000));
    assert_false(rm_upstream__budget_take(&budget, 1000000000));
}

static void test_budget_exhausted(void **state)
{
    rm_upstream_client_options options = harness_options();
    rm_upstream_stats stats;

    (void)state;
    options.retry_budget = 0;
    options.retry_budget_min = 1;
    asked a = run_one(STEPS({REPLY("500", ""), 0, NULL}), 5, 2, &options, &stats);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(a.status, 500);
    assert_string_equal(a.data, "bad");
    assert_int_equal(stats.budget_exhausted, 1);
    assert_int_equal(stats.retries, 1);
}

/* ---- backoff ----------------------------------------------------------------------------------------------------------- */

/* A wait that would end after the deadline is not begun: the answer at hand is better than none. */
static void test_wait_beyond_deadline(void **state)
{
    bench b;
    asked a = {0};
    fake_upstream *server =
        fake_start(STEPS({"HTTP/1.1 429 X\r\nretry-after: 20\r\nContent-Length: 3\r\n\r\nbad", 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    request.retries_max = 1;
    request.timeouts.total_ms = 20000;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(a.status, 429);
    assert_int_equal(a.result.tries, 1);
    bench_close(&b);
    fake_stop(server);
}

static void cancel_later(uv_timer_t *timer)
{
    asked *a = timer->data;

    a->in_api = true;
    rm_upstream_cancel(a->call);
    a->in_api = false;
    uv_close((uv_handle_t *)timer, NULL);
}

static void test_cancel_while_waiting(void **state)
{
    bench b;
    asked a = {0};
    uv_timer_t timer;
    fake_upstream *server =
        fake_start(STEPS({"HTTP/1.1 429 X\r\nretry-after: 50\r\nContent-Length: 3\r\n\r\nbad", 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    request.retries_max = 1;
    bench_open(&b, NULL);
    uv_timer_init(b.uv, &timer);
    timer.data = &a;
    assert_int_equal(ask_start(&b, &a, &request), RM_OK);
    while (rm_upstream_client_stats(b.client).retries == 0)
        uv_run(b.uv, UV_RUN_ONCE);
    uv_timer_start(&timer, cancel_later, 20, 0);
    bench_until(&b, &a.dones, 1);
    assert_int_equal(a.result.status, RM_ECANCELLED);
    assert_int_equal(a.heads, 0);
    bench_close(&b);
    fake_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_answers),        cmocka_unit_test(test_last_answer),
        cmocka_unit_test(test_last_failure),         cmocka_unit_test(test_not_after_head),
        cmocka_unit_test(test_endless_error),        cmocka_unit_test(test_connection_kept),
        cmocka_unit_test(test_budget_numbers),       cmocka_unit_test(test_budget_exhausted),
        cmocka_unit_test(test_wait_beyond_deadline), cmocka_unit_test(test_cancel_while_waiting),
    };
    return harness_run(tests);
}
