/* Long answers and long requests: pauses, streamed bodies, deadlines, cancel in each state, closing, no memory. */
#include "upstream_harness.h"

#define STEPS(...)  (const fake_step[]){__VA_ARGS__}, sizeof((const fake_step[]){__VA_ARGS__}) / sizeof(fake_step)
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

enum { BIG_BYTES = 10 * 1024 * 1024 };

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 2654435761u >> 11);
}

static unsigned long pattern_sum(size_t bytes)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = sum * 31 + pattern(i);
    return sum;
}

static void fill(char *ptr, size_t at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ptr[i] = (char)pattern(at + i);
}

/* A timer that does something to a call and goes. */
typedef struct later {
    uv_timer_t timer;
    asked *asked;
    void (*act)(asked *asked);
} later;

static void on_later(uv_timer_t *timer)
{
    later *l = timer->data;

    if (l->asked->dones == 0) {
        l->asked->in_api = true;
        l->act(l->asked);
        l->asked->in_api = false;
    }
}

static void on_later_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static later *later_make(bench *b, asked *a, void (*act)(asked *))
{
    later *l = calloc(1, sizeof(*l));

    uv_timer_init(b->uv, &l->timer);
    l->timer.data = l;
    l->asked = a;
    l->act = act;
    return l;
}

static void later_free(later *l)
{
    uv_close((uv_handle_t *)&l->timer, on_later_closed);
}

/* ---- pauses ---------------------------------------------------------------------------------------------------------- */

static void serve_big(fake_conn *conn, void *user)
{
    char part[10000], line[32];

    (void)user;
    fake_send_text(conn, STREAM_HEAD);
    for (size_t at = 0; at < BIG_BYTES;) {
        size_t bytes = 1 + pattern(at) * 37 % (sizeof(part) - 1);
        if (bytes > BIG_BYTES - at)
            bytes = BIG_BYTES - at;
        snprintf(line, sizeof(line), "%zx\r\n", bytes);
        fill(part, at, bytes);
        fake_send_text(conn, line);
        fake_send(conn, part, bytes);
        fake_send_text(conn, "\r\n");
        at += bytes;
    }
    fake_send_text(conn, "0\r\n\r\n");
}

static void resume_now(asked *a)
{
    rm_upstream_resume(a->call);
}

typedef struct pausing {
    later *resume;
    unsigned pauses;
    bool paused;
} pausing;

static void pause_often(asked *a, rm_slice bytes)
{
    pausing *p = a->user;

    (void)bytes;
    assert_false(p->paused && a->data_bytes > 0 && p->resume->timer.data == NULL);
    if (a->data_bytes / 200000 > p->pauses) {
        p->pauses++;
        rm_upstream_pause(a->call);
        if (p->pauses % 3 == 0) { /* at once, even twice */
            rm_upstream_resume(a->call);
            rm_upstream_pause(a->call);
            rm_upstream_resume(a->call);
        } else {
            uv_timer_start(&p->resume->timer, on_later, p->pauses % 2, 0);
        }
    }
}

static void test_pause_integrity(void **state)
{
    bench b;
    pausing p = {0};
    asked a = {.on_data = pause_often, .user = &p};
    fake_upstream *server = fake_start(STEPS({NULL, 0, serve_big}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    p.resume = later_make(&b, &a, resume_now);
    request.timeouts.stream_idle_ms = 60000;
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(a.data_bytes, BIG_BYTES);
    assert_int_equal(a.data_sum, pattern_sum(BIG_BYTES));
    assert_true(p.pauses > 40);
    later_free(p.resume);
    bench_close(&b);
    fake_stop(server);
}

static void pause_at_head(asked *a)
{
    rm_upstream_pause(a->call);
}

static void resume_after_silence(asked *a)
{
    assert_int_equal(a->heads, 1);
    assert_int_equal(a->data_bytes, 0);
    rm_upstream_resume(a->call);
}

/* Paused from the head on: nothing comes, and the idle deadline waits. */
static void test_pause_silence(void **state)
{
    bench b;
    asked a = {.on_head = pause_at_head};
    fake_upstream *server = fake_start(STEPS({STREAM_HEAD "3\r\nabc\r\n0\r\n\r\n", 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    later *l = later_make(&b, &a, resume_after_silence);
    request.timeouts.stream_idle_ms = 200;
    assert_int_equal(ask_start(&b, &a, &request), RM_OK);
    uv_timer_start(&l->timer, on_later, 600, 0);
    bench_until(&b, &a.dones, 1);
    assert_int_equal(a.result.status, RM_OK);
    assert_string_equal(a.data, "abc");
    later_free(l);
    bench_close(&b);
    fake_stop(server);
}

static void serve_with_a_gap(fake_conn *conn, void *user)
{
    (void)user;
    fake_send_text(conn, STREAM_HEAD "1\r\na\r\n");
    usleep(150 * 1000);
    fake_send_text(conn, "1\r\nb\r\n0\r\n\r\n");
}

static void pause_in_the_gap(asked *a)
{
    if (a->data_bytes == 1)
        rm_upstream_pause(a->call);
}

static void resume_after_gap(asked *a)
{
    assert_string_equal(a->data, "a");
    rm_upstream_resume(a->call);
}

/* Paused between two pieces, by nobody's event. */
static void test_pause_outside(void **state)
{
    bench b;
    asked a = {0};
    fake_upstream *server = fake_start(STEPS({NULL, 0, serve_with_a_gap}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    later *pause = later_make(&b, &a, pause_in_the_gap), *resume = later_make(&b, &a, resume_after_gap);
    assert_int_equal(ask_start(&b, &a, &request), RM_OK);
    uv_timer_start(&pause->timer, on_later, 70, 0);
    uv_timer_start(&resume->timer, on_later, 400, 0);
    bench_until(&b, &a.dones, 1);
    assert_int_equal(a.result.status, RM_OK);
    assert_string_equal(a.data, "ab");
    later_free(pause);
    later_free(resume);
    bench_close(&b);
    fake_stop(server);
}

/* ---- streamed request bodies ---------------------------------------------------------------------------------------- */

typedef struct feeding {
    size_t at, bytes;
} feeding;

/* As much as may wait, in odd pieces. */
static void feed_more(asked *a)
{
    feeding *f = a->user;
    char part[7001];

    while (f->at < f->bytes && rm_upstream_call_queued_bytes(a->call) < RM_STREAM_UPLOAD_HIGH_BYTES) {
        size_t bytes = f->bytes - f->at < sizeof(part) ? f->bytes - f->at : sizeof(part);
        fill(part, f->at, bytes);
        assert_int_equal(rm_upstream_call_feed(a->call, rm_slice_make(part, bytes)), RM_OK);
        f->at += bytes;
    }
    if (f->at == f->bytes)
        rm_upstream_call_feed_end(a->call);
}

static void test_upload(void **state)
{
    static const struct {
        size_t bytes;
        bool known, early;
        const char *method;
    } cases[] = {{BIG_BYTES, true, true, "PUT"}, {BIG_BYTES, false, true, "POST"}, {5, true, false, "POST"},
                 {5, false, false, "PATCH"},     {0, true, true, "POST"},          {0, false, false, "PUT"},
                 {300000, false, false, "PUT"}};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        bench b;
        feeding f = {0, cases[i].bytes};
        asked a = {.on_drain = feed_more, .user = &f};
        fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
        rm_upstream_request request = {.method = cases[i].method, .url = url_of(server, "/files"), .stream_body = true};
        request.stream_body_bytes = cases[i].known ? (int64_t)cases[i].bytes : -1;
        bench_open(&b, NULL);
        later *l = later_make(&b, &a, feed_more);
        assert_int_equal(ask_start(&b, &a, &request), RM_OK);
        if (cases[i].early)
            feed_more(&a);
        else
            uv_timer_start(&l->timer, on_later, 30, 0); /* curl waits for it, paused */
        bench_until(&b, &a.dones, 1);
        assert_int_equal(a.result.status, RM_OK);
        assert_int_equal(server->last_body_bytes, cases[i].bytes);
        assert_int_equal(server->last_body_sum, pattern_sum(cases[i].bytes));
        assert_int_equal(server->last_chunked, !cases[i].known);
        assert_int_equal(strncmp(server->last_head, cases[i].method, strlen(cases[i].method)), 0);
        assert_int_equal(fake_header(server->last_head, "content-length") != NULL, cases[i].known);
        assert_null(fake_header(server->last_head, "expect"));
        assert_int_equal(rm_upstream_client_stats(b.client).connections, 1); /* kept */
        later_free(l);
        bench_close(&b);
        fake_stop(server);
    }
}

static void test_feed_errors(void **state)
{
    bench b;
    asked a = {0}, a2 = {0}, a3 = {0};
    char *much = calloc(1, RM_UPSTREAM_UPLOAD_BYTES_MAX + 1);
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = {
        .method = "PUT", .url = url_of(server, "/"), .stream_body = true, .stream_body_bytes = 4};

    (void)state;
    bench_open(&b, NULL);
    assert_int_equal(ask_start(&b, &a, &request), RM_OK);
    assert_int_equal(rm_upstream_call_feed(a.call, RM_SLICE("12345")), RM_ETOOBIG);
    assert_int_equal(rm_upstream_call_feed(a.call, RM_SLICE("12")), RM_OK);
    assert_int_equal(rm_upstream_call_feed(a.call, RM_SLICE("345")), RM_ETOOBIG);
    assert_int_equal(rm_upstream_call_queued_bytes(a.call), 2);
    rm_upstream_call_feed_end(a.call);
    assert_int_equal(rm_upstream_call_feed(a.call, RM_SLICE("3")), RM_EINVAL);
    bench_until(&b, &a.dones, 1);
    assert_int_equal(a.result.status, RM_EINVAL); /* ended before its length */
    request.stream_body_bytes = -1;
    assert_int_equal(ask_start(&b, &a2, &request), RM_OK);
    assert_int_equal(rm_upstream_call_feed(a2.call, rm_slice_make(much, RM_UPSTREAM_UPLOAD_BYTES_MAX + 1)), RM_EBUSY);
    assert_int_equal(rm_upstream_call_feed(a2.call, rm_slice_make(much, RM_UPSTREAM_UPLOAD_BYTES_MAX)), RM_OK);
    assert_int_equal(rm_upstream_call_feed(a2.call, RM_SLICE("x")), RM_EBUSY);
    rm_upstream_call_feed_end(a2.call);
    bench_until(&b, &a2.dones, 1);
    assert_int_equal(a2.result.status, RM_OK);
    assert_int_equal(server->last_body_bytes, RM_UPSTREAM_UPLOAD_BYTES_MAX);
    request.stream_body = false;
    assert_int_equal(ask_start(&b, &a3, &request), RM_OK);
    assert_int_equal(rm_upstream_call_feed(a3.call, RM_SLICE("x")), RM_EINVAL);
    bench_until(&b, &a3.dones, 1);
    bench_close(&b);
    fake_stop(server);
    free(much);
}

/* The upstream answers before it has the whole body: the answer comes through. */
static void test_upload_answered_early(void **state)
{
    bench b;
    feeding f = {0, 600000};
    asked a = {.user = &f};
    fake_upstream *server = fake_start(
        STEPS({"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig", FAKE_NO_READ | FAKE_HANG, NULL}),
        NULL);
    rm_upstream_request request = {.method = "PUT",
                                   .url = url_of(server, "/"),
                                   .stream_body = true,
                                   .stream_body_bytes = 600000,
                                   .retries_max = 3};

    (void)state;
    bench_open(&b, NULL);
    assert_int_equal(ask_start(&b, &a, &request), RM_OK);
    assert_int_equal(rm_upstream_call_feed(a.call, RM_SLICE("some")), RM_OK);
    bench_until(&b, &a.dones, 1);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(a.status, 413);
    assert_string_equal(a.data, "big");
    bench_close(&b);
    fake_stop(server);
}

/* No second try once a byte of the body was taken. */
static void test_upload_not_retried(void **state)
{
    bench b;
    feeding f = {0, 5};
    asked a = {.user = &f};
    fake_upstream *server =
        fake_start(STEPS({"HTTP/1.1 500 X\r\nretry-after-ms: 1\r\nContent-Length: 3\r\n\r\nbad", 0, NULL}), NULL);
    rm_upstream_request request = {
        .method = "PUT", .url = url_of(server, "/"), .stream_body = true, .stream_body_bytes = -1, .retries_max = 3};

    (void)state;
    bench_open(&b, NULL);
    assert_int_equal(ask_start(&b, &a, &request), RM_OK);
    feed_more(&a);
    bench_until(&b, &a.dones, 1);
    assert_int_equal(a.result.tries, 1);
    assert_int_equal(a.status, 500);
    bench_close(&b);
    fake_stop(server);
}

/* ---- deadlines --------------------------------------------------------------------------------------------------------- */

static const struct {
    fake_step step;
    rm_upstream_timeouts timeouts;
    bool head_sent;
} lates[] = {
    {{NULL, FAKE_HANG, NULL}, {.first_byte_ms = 30}, false},
    {{"HTTP/1.1 200 OK\r\nX", FAKE_HANG, NULL}, {.first_byte_ms = 30}, false},
    {{"HTTP/1.1 100 Continue\r\n\r\n", FAKE_HANG, NULL}, {.first_byte_ms = 30, .stream_idle_ms = 1000000}, false},
    {{NULL, FAKE_HANG, NULL}, {.total_ms = 30}, false},
    {{STREAM_HEAD "1\r\nx\r\n", FAKE_HANG, NULL}, {.first_byte_ms = 1000000, .stream_idle_ms = 30}, true},
    {{STREAM_HEAD, FAKE_HANG, NULL}, {.stream_idle_ms = 30}, true},
    {{STREAM_HEAD "1\r\nx\r\n", FAKE_HANG, NULL}, {.stream_idle_ms = 1000000, .total_ms = 1000}, true},
};

static void test_deadlines(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(lates); i++) {
        bench b;
        asked a = {0};
        fake_upstream *server = fake_start(&lates[i].step, 1, NULL);
        rm_upstream_request request = post_of(server, "{}");
        request.timeouts = lates[i].timeouts;
        request.retries_max = 2; /* a deadline is never tried again */
        bench_open(&b, NULL);
        ask(&b, &a, &request);
        assert_int_equal(a.result.status, RM_ETIMEOUT);
        assert_int_equal(a.result.head_sent, lates[i].head_sent);
        assert_int_equal(a.result.tries, 1);
        assert_int_equal(rm_upstream_client_stats(b.client).timeouts, 1);
        assert_int_equal(rm_upstream_client_stats(b.client).connections, 0); /* the wire is cut */
        bench_close(&b);
        fake_stop(server);
    }
}

/* A full accept queue takes no further connection: connecting never ends. */
static void test_connect_deadline(void **state)
{
    bench b;
    asked a = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0), fillers[4];
    char url[64];

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    for (size_t i = 0; i < RM_COUNT(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
    }
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(address.sin_port));
    rm_upstream_request request = {.method = "GET", .url = url, .timeouts = {.connect_ms = 50}, .retries_max = 1};
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_ETIMEOUT);
    assert_int_equal(a.result.tries, 2);
    bench_close(&b);
    for (size_t i = 0; i < RM_COUNT(fillers); i++)
        close(fillers[i]);
    close(fd);
}

/* ---- cancel ------------------------------------------------------------------------------------------------------------ */

static void cancel_now(asked *a)
{
    rm_upstream_cancel(a->call);
    rm_upstream_cancel(a->call); /* twice is once */
    rm_upstream_resume(a->call);
}

static void cancel_at_data(asked *a, rm_slice bytes)
{
    (void)bytes;
    cancel_now(a);
}

static void expect_gone(bench *b, fake_upstream *server)
{
    while (server->gone == 0)
        uv_run(b->uv, UV_RUN_NOWAIT);
    assert_int_equal(rm_upstream_client_stats(b->client).connections, 0);
}

static void test_cancel_in_callbacks(void **state)
{
    (void)state;
    for (unsigned where = 0; where < 2; where++) {
        bench b;
        asked a = {.on_head = where == 0 ? cancel_now : NULL, .on_data = where == 1 ? cancel_at_data : NULL};
        fake_upstream *server = fake_start(STEPS({STREAM_HEAD "3\r\nabc\r\n3\r\ndef\r\n", FAKE_HANG, NULL}), NULL);
        rm_upstream_request request = post_of(server, "{}");
        bench_open(&b, NULL);
        ask(&b, &a, &request);
        assert_int_equal(a.result.status, RM_ECANCELLED);
        assert_int_equal(a.data_bytes, where == 0 ? 0 : 3);
        expect_gone(&b, server);
        assert_int_equal(rm_upstream_client_stats(b.client).cancelled, 1);
        assert_int_equal(rm_upstream_client_stats(b.client).failures, 0);
        bench_close(&b);
        fake_stop(server);
    }
}

/* While it waits to begin, connects, waits for the head, streams; each with a call that goes on beside it. */
static void test_cancel_outside(void **state)
{
    (void)state;
    for (unsigned where = 0; where < 4; where++) {
        bench b;
        asked a = {0}, other = {0};
        fake_upstream *server = fake_start(
            STEPS({where < 3 ? NULL : STREAM_HEAD "3\r\nabc\r\n", FAKE_HANG, NULL}, {OK_REPLY, 0, NULL}), NULL);
        rm_upstream_request request = post_of(server, "{}");
        bench_open(&b, NULL);
        assert_int_equal(ask_start(&b, &a, &request), RM_OK);
        for (unsigned turn = 0; where == 1 && turn < 1; turn++)
            uv_run(b.uv, UV_RUN_NOWAIT);
        while ((where == 2 && server->requests == 0) || (where == 3 && a.data_bytes == 0))
            uv_run(b.uv, UV_RUN_NOWAIT);
        a.in_api = true;
        cancel_now(&a);
        a.in_api = false;
        assert_int_equal(a.dones, 0);
        assert_int_equal(rm_upstream_client_stats(b.client).connections, 0);
        bench_until(&b, &a.dones, 1);
        assert_int_equal(a.result.status, RM_ECANCELLED);
        assert_int_equal(rm_upstream_client_active(b.client), 0);
        if (where >= 2) {
            ask(&b, &other, &request);
            assert_int_equal(other.result.status, RM_OK);
        }
        bench_close(&b);
        fake_stop(server);
    }
}

typedef struct pair {
    asked *other;
    bool did;
} pair;

static void cancel_other(asked *a, rm_slice bytes)
{
    pair *p = a->user;

    (void)bytes;
    if (p->did)
        return;
    p->did = true;
    cancel_now(p->other);
}

/* A call's data cancels another call, from inside curl. */
static void test_cancel_other_in_callback(void **state)
{
    bench b;
    asked held = {0};
    pair p = {.other = &held};
    asked a = {.on_data = cancel_other, .user = &p};
    fake_upstream *server = fake_start(STEPS({STREAM_HEAD "3\r\nabc\r\n", FAKE_HANG, NULL}, {OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    assert_int_equal(ask_start(&b, &held, &request), RM_OK);
    while (held.data_bytes == 0)
        uv_run(b.uv, UV_RUN_ONCE);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_OK);
    bench_until(&b, &held.dones, 1);
    assert_int_equal(held.result.status, RM_ECANCELLED);
    bench_close(&b);
    fake_stop(server);
}

/* ---- starting from callbacks, closing ------------------------------------------------------------------------------- */

typedef struct chain {
    asked more[3];
    rm_upstream_request request;
} chain;

static void start_at_head(asked *a)
{
    chain *c = a->user;
    assert_int_equal(ask_start(a->bench, &c->more[0], &c->request), RM_OK);
}

static void start_at_data(asked *a, rm_slice bytes)
{
    chain *c = a->user;
    (void)bytes;
    assert_int_equal(ask_start(a->bench, &c->more[1], &c->request), RM_OK);
}

static void start_at_done(asked *a)
{
    chain *c = a->user;
    assert_int_equal(ask_start(a->bench, &c->more[2], &c->request), RM_OK);
}

static void test_start_in_callbacks(void **state)
{
    bench b;
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    chain c = {.request = post_of(server, "{}")};
    asked a = {.on_head = start_at_head, .on_data = start_at_data, .on_done = start_at_done, .user = &c};

    (void)state;
    bench_open(&b, NULL);
    ask(&b, &a, &c.request);
    for (size_t i = 0; i < RM_COUNT(c.more); i++) {
        bench_until(&b, &c.more[i].dones, 1);
        assert_int_equal(c.more[i].result.status, RM_OK);
    }
    bench_close(&b);
    fake_stop(server);
}

/* Closing cancels what is left, whatever its state, and tells each. */
static void test_close_busy(void **state)
{
    enum { MANY = 20 };
    bench b;
    asked all[MANY] = {{0}};
    fake_upstream *server = fake_start(STEPS({STREAM_HEAD "3\r\nabc\r\n", FAKE_HANG, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");

    (void)state;
    bench_open(&b, NULL);
    for (unsigned i = 0; i < MANY / 2; i++)
        assert_int_equal(ask_start(&b, &all[i], &request), RM_OK);
    while (all[0].data_bytes == 0)
        uv_run(b.uv, UV_RUN_ONCE);
    for (unsigned i = MANY / 2; i < MANY; i++)
        assert_int_equal(ask_start(&b, &all[i], &request), RM_OK);
    bench_close(&b);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(all[i].dones, 1);
        assert_int_equal(all[i].result.status, RM_ECANCELLED);
    }
    fake_stop(server);
}

static void close_client(asked *a)
{
    rm_upstream_client_close(a->bench->client, bench_on_closed, a->bench);
    assert_int_equal(rm_upstream_start(a->bench->client, a->user, &harness_events, a, &a->call), RM_ECANCELLED);
}

static void test_close_in_done(void **state)
{
    bench b;
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = post_of(server, "{}");
    asked a = {.on_done = close_client, .user = &request};

    (void)state;
    bench_open(&b, NULL);
    ask(&b, &a, &request);
    while (!b.closed)
        uv_run(b.uv, UV_RUN_ONCE);
    rm_loop_destroy(b.loop);
    fake_stop(server);
}

/* ---- a loop that runs by itself ------------------------------------------------------------------------------------- */

static void stop_loop(void *user)
{
    rm_loop_stop(((bench *)user)->loop);
}

static void close_and_stop(asked *a)
{
    rm_upstream_client_close(a->bench->client, stop_loop, a->bench);
}

static void test_under_rm_loop(void **state)
{
    bench b;
    fake_upstream *server = fake_start(
        STEPS({"HTTP/1.1 500 X\r\nretry-after-ms: 1\r\nContent-Length: 0\r\n\r\n", 0, NULL}, {OK_REPLY, 0, NULL}),
        NULL);
    rm_upstream_request request = post_of(server, "{}");
    asked a = {.on_done = close_and_stop};

    (void)state;
    request.retries_max = 1;
    bench_open(&b, NULL);
    assert_int_equal(ask_start(&b, &a, &request), RM_OK);
    rm_loop_run(b.loop);
    assert_int_equal(a.dones, 1);
    assert_int_equal(a.result.status, RM_OK);
    rm_loop_destroy(b.loop);
    fake_stop(server);
}

/* ---- no memory --------------------------------------------------------------------------------------------------------- */

#ifdef REMORA_FAULTS
/* Each allocation in turn fails: the call ends, one way or the other, nothing leaks, and the next one is well. */
static void test_no_memory(void **state)
{
    unsigned bad = 0, good = 0;

    (void)state;
    for (uint64_t nth = 1; nth < 60; nth++) {
        bench b;
        asked a = {0};
        fake_upstream *server = fake_start(
            STEPS({"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 0, NULL}),
            NULL);
        rm_upstream_request request = post_of(server, "{}");
        rm_upstream_client_options options = harness_options();
        signal(SIGPIPE, SIG_IGN);
        b = (bench){0};
        assert_int_equal(rm_loop_create(0, &b.loop), RM_OK);
        b.uv = rm_loop_uv(b.loop);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        rm_status status = rm_upstream_client_create(b.loop, &options, &b.client);
        if (status == RM_OK) {
            if (ask_start(&b, &a, &request) == RM_OK) {
                bench_until(&b, &a.dones, 1);
                if (a.result.status == RM_OK) {
                    assert_string_equal(a.data, "ok");
                    good++;
                } else {
                    bad++;
                }
            }
            rm_fault_set(RM_FAULT_ALLOC, 0, false);
            asked again = {0};
            ask(&b, &again, &request);
            assert_int_equal(again.result.status, RM_OK);
            bench_close(&b);
        } else {
            rm_fault_set(RM_FAULT_ALLOC, 0, false);
            assert_int_equal(status, RM_ENOMEM);
            rm_loop_destroy(b.loop);
        }
        fake_stop(server);
    }
    assert_true(bad > 0);
    assert_true(good > 10);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause_integrity),    cmocka_unit_test(test_pause_silence),
        cmocka_unit_test(test_pause_outside),      cmocka_unit_test(test_upload),
        cmocka_unit_test(test_feed_errors),        cmocka_unit_test(test_upload_answered_early),
        cmocka_unit_test(test_upload_not_retried), cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_connect_deadline),   cmocka_unit_test(test_cancel_in_callbacks),
        cmocka_unit_test(test_cancel_outside),     cmocka_unit_test(test_cancel_other_in_callback),
        cmocka_unit_test(test_start_in_callbacks), cmocka_unit_test(test_close_busy),
        cmocka_unit_test(test_close_in_done),      cmocka_unit_test(test_under_rm_loop),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return harness_run(tests);
}
