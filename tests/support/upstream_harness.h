/* A loop with an upstream client, and calls that remember all that was told to them. */
#ifndef REMORA_TESTS_UPSTREAM_HARNESS_H
#define REMORA_TESTS_UPSTREAM_HARNESS_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "remora/upstream.h"

#include "fake_upstream.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

typedef struct bench {
    rm_loop *loop;
    uv_loop_t *uv;
    rm_upstream_client *client;
    bool closed;
} bench;

typedef struct asked {
    bench *bench;
    rm_upstream_call *call;
    unsigned heads, dones, drains;
    int status;
    int64_t content_length;
    bool decoded, in_api;
    char head[RM_UPSTREAM_HEADER_BYTES_MAX + 1]; /* "Name: value\n" lines */
    size_t data_bytes;
    unsigned long data_sum;
    char data[4097]; /* the first bytes, NUL-terminated */
    rm_upstream_result result;
    void (*on_head)(struct asked *asked);
    void (*on_data)(struct asked *asked, rm_slice bytes);
    void (*on_drain)(struct asked *asked);
    void (*on_done)(struct asked *asked);
    void *user;
} asked;

static inline void harness_on_head(void *user, const rm_upstream_head *head)
{
    asked *a = user;
    size_t len = 0;

    assert_false(a->in_api);
    assert_int_equal(a->dones, 0);
    assert_int_equal(a->heads++, 0);
    a->status = head->status;
    a->content_length = head->content_length;
    a->decoded = head->decoded;
    for (size_t i = 0; i < head->header_count; i++)
        len += (size_t)snprintf(a->head + len, sizeof(a->head) - len, "%.*s: %.*s\n", (int)head->headers[i].name.len,
                                head->headers[i].name.ptr, (int)head->headers[i].value.len, head->headers[i].value.ptr);
    if (a->on_head)
        a->on_head(a);
}

static inline void harness_on_data(void *user, rm_slice bytes)
{
    asked *a = user;

    assert_false(a->in_api);
    assert_int_equal(a->heads, 1);
    assert_int_equal(a->dones, 0);
    for (size_t i = 0; i < bytes.len; i++) {
        if (a->data_bytes < sizeof(a->data) - 1)
            a->data[a->data_bytes] = bytes.ptr[i];
        a->data_sum = a->data_sum * 31 + (unsigned char)bytes.ptr[i];
        a->data_bytes++;
    }
    if (a->on_data)
        a->on_data(a, bytes);
}

static inline void harness_on_drain(void *user)
{
    asked *a = user;

    assert_false(a->in_api);
    a->drains++;
    if (a->on_drain)
        a->on_drain(a);
}

static inline void harness_on_done(void *user, const rm_upstream_result *result)
{
    asked *a = user;

    assert_false(a->in_api);
    assert_int_equal(a->dones++, 0);
    a->result = *result;
    assert_int_equal(result->head_sent, a->heads == 1);
    if (a->on_done)
        a->on_done(a);
}

static const rm_upstream_events harness_events = {harness_on_head, harness_on_data, harness_on_drain, harness_on_done};

/* Each test runs both ways: over connections of ours, and all through curl. */
static bool harness_curl_only;

#define harness_run(tests)                                                      \
    (cmocka_run_group_tests_name("direct", (tests), harness_use_direct, NULL) + \
     cmocka_run_group_tests_name("curl", (tests), harness_use_curl, NULL))

static inline int harness_use_direct(void **state)
{
    (void)state;
    harness_curl_only = false;
    return 0;
}

static inline int harness_use_curl(void **state)
{
    (void)state;
    harness_curl_only = true;
    return 0;
}

static inline rm_upstream_client_options harness_options(void)
{
    return (rm_upstream_client_options){.curl_only = harness_curl_only,
                                        .tls_verify = true,
                                        .http2 = true,
                                        .retry_budget = 0.1,
                                        .retry_budget_min = 100,
                                        .rng_seed = 1};
}

static inline void bench_open(bench *b, const rm_upstream_client_options *options)
{
    rm_upstream_client_options defaults = harness_options();

    *b = (bench){0};
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(rm_loop_create(0, &b->loop), RM_OK);
    b->uv = rm_loop_uv(b->loop);
    assert_int_equal(rm_upstream_client_create(b->loop, options ? options : &defaults, &b->client), RM_OK);
}

static inline void bench_on_closed(void *user)
{
    ((bench *)user)->closed = true;
}

static inline void bench_close(bench *b)
{
    rm_upstream_client_close(b->client, bench_on_closed, b);
    assert_false(b->closed);
    while (!b->closed)
        uv_run(b->uv, UV_RUN_ONCE);
    rm_loop_destroy(b->loop);
}

/* Runs the loop until the flag or count is not 0. */
static inline void bench_until(bench *b, const unsigned *count, unsigned least)
{
    while (*(const volatile unsigned *)count < least)
        uv_run(b->uv, UV_RUN_ONCE);
    fake_publish();
}

static inline rm_status ask_start(bench *b, asked *a, const rm_upstream_request *request)
{
    fake_publish();
    a->bench = b;
    a->in_api = true;
    rm_status status = rm_upstream_start(b->client, request, &harness_events, a, &a->call);
    a->in_api = false;
    return status;
}

/* Starts the request and runs until it is done. */
static inline void ask(bench *b, asked *a, const rm_upstream_request *request)
{
    assert_int_equal(ask_start(b, a, request), RM_OK);
    bench_until(b, &a->dones, 1);
}

static inline const char *url_of(const fake_upstream *server, const char *path)
{
    static _Thread_local char urls[8][256];
    static _Thread_local unsigned next;
    char *url = urls[next++ % 8];

    snprintf(url, 256, "http://127.0.0.1:%d%s", server->port, path);
    return url;
}

static inline rm_upstream_request post_of(const fake_upstream *server, const char *body)
{
    return (rm_upstream_request){
        .method = "POST", .url = url_of(server, "/v1/x"), .body = rm_slice_cstr(body), .has_body = true};
}

#endif
