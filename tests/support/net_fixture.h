/* A server on a thread of its own, whose handler does what the request's path says, and a record of what it saw. */
#ifndef REMORA_TEST_NET_FIXTURE_H
#define REMORA_TEST_NET_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "net_client.h"
#include "remora/net.h"

#define FIXTURE_CLOSES_MAX 4096

typedef struct fixture {
    rm_loop *loop;
    rm_listener *listener;
    rm_server_options options;
    pthread_t thread;
    int port;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    unsigned requests, bodies, drains, closes, resumed;
    size_t queued_max;
    rm_status why[FIXTURE_CLOSES_MAX];
    bool listener_closed;
    struct held *held; /* the last request that waits for fixture_call */
    /* loop thread */
    rm_arena taken; /* of the last request for /hello: it outlives the request */
    rm_slice taken_path;
} fixture;

/* The handler's state of one request. */
typedef struct held {
    fixture *fix;
    rm_req *req;
    rm_buf body;
    size_t left; /* of /stream */
    bool ended;
    char path[64];
} held;

static inline void fixture_changed_(fixture *fix)
{
    pthread_cond_broadcast(&fix->changed);
    pthread_mutex_unlock(&fix->lock);
}

static inline rm_status fixture_reply(rm_req *req, int status, int64_t body_bytes, const char *text)
{
    rm_header header = {RM_SLICE("Content-Type"), RM_SLICE("text/plain")};
    rm_reply reply = {status, &header, 1, body_bytes};

    return rm_req_reply(req, &reply, rm_slice_cstr(text));
}

static inline void fixture_stream_(held *item)
{
    static char bytes[10000];

    memset(bytes, 's', sizeof(bytes));
    while (item->left > 0 && rm_req_queued_bytes(item->req) <= RM_WRITE_HIGH_BYTES) {
        size_t n = item->left < sizeof(bytes) ? item->left : sizeof(bytes);

        if (rm_req_write(item->req, rm_slice_make(bytes, n)) != RM_OK)
            return;
        item->left -= n;
    }
    pthread_mutex_lock(&item->fix->lock);
    if (rm_req_queued_bytes(item->req) > item->fix->queued_max)
        item->fix->queued_max = rm_req_queued_bytes(item->req);
    fixture_changed_(item->fix);
    if (item->left == 0)
        rm_req_end(item->req);
}

static inline bool fixture_is_(const held *item, const char *path)
{
    return strcmp(item->path, path) == 0;
}

/* Paths that answer before the body was read. */
static inline void fixture_at_head_(held *item)
{
    rm_req *req = item->req;

    if (fixture_is_(item, "/hello")) {
        (void)fixture_reply(req, 200, 5, "hello"); /* a failure shows in on_close */
    } else if (fixture_is_(item, "/early")) {
        assert_int_equal(fixture_reply(req, 413, 8, "too much"), RM_OK);
    } else if (fixture_is_(item, "/stream")) {
        if (fixture_reply(req, 200, RM_BODY_CHUNKED, "") == RM_OK)
            fixture_stream_(item);
    } else if (fixture_is_(item, "/204")) {
        fixture_reply(req, 204, 0, "");
    } else if (fixture_is_(item, "/304")) {
        fixture_reply(req, 304, RM_BODY_CHUNKED, "");
        rm_req_end(req);
    } else if (fixture_is_(item, "/short")) {
        fixture_reply(req, 200, 10, "five5");
        rm_req_end(req);
    } else if (fixture_is_(item, "/long")) {
        assert_int_equal(fixture_reply(req, 200, 5, "0123456789"), RM_EINVAL);
        assert_int_equal(fixture_reply(req, 200, 5, "01234"), RM_OK);
        assert_int_equal(fixture_reply(req, 200, 5, "01234"), RM_EINVAL);
        assert_int_equal(rm_req_write(req, RM_SLICE("x")), RM_EINVAL);
    } else if (fixture_is_(item, "/abort")) {
        fixture_reply(req, 200, RM_BODY_CHUNKED, "part");
        rm_req_abort(req);
        assert_int_equal(rm_req_write(req, RM_SLICE("x")), RM_ERESET);
    } else if (fixture_is_(item, "/cut")) {
        rm_req_abort(req);
    } else if (fixture_is_(item, "/pause")) {
        rm_req_pause_body(req);
    } else if (fixture_is_(item, "/silent-end")) {
        rm_req_end(req);
    }
}

static inline void *fixture_on_request_(void *user, rm_req *req)
{
    fixture *fix = user;
    const rm_http_head *head = rm_req_head(req);
    held *item;

    if (rm_slice_eq(head->path, RM_SLICE("/refuse")))
        return NULL;
    item = calloc(1, sizeof(*item));
    assert_non_null(item);
    item->fix = fix;
    item->req = req;
    item->left = 16 * RM_MIB;
    rm_buf_init(&item->body, RM_BODY_BYTES_MAX);
    snprintf(item->path, sizeof(item->path), "%.*s", (int)head->path.len, head->path.ptr);
    pthread_mutex_lock(&fix->lock);
    fix->requests++;
    if (fixture_is_(item, "/hold") || fixture_is_(item, "/pause") || fixture_is_(item, "/stream"))
        fix->held = item;
    fixture_changed_(fix);
    fixture_at_head_(item);
    return item;
}

static inline void fixture_on_body_(void *user, rm_slice bytes)
{
    held *item = user;

    assert_false(item->ended);
    rm_buf_append_slice(&item->body, bytes);
}

static inline void fixture_on_body_end_(void *user)
{
    held *item = user;
    fixture *fix = item->fix;

    assert_false(item->ended);
    item->ended = true;
    pthread_mutex_lock(&fix->lock);
    fix->bodies++;
    fixture_changed_(fix);
    if (fixture_is_(item, "/echo")) {
        rm_reply reply = {200, NULL, 0, (int64_t)item->body.len};

        (void)rm_req_reply(item->req, &reply, rm_buf_slice(&item->body));
    } else if (fixture_is_(item, "/chunks")) {
        rm_blob *blob = rm_blob_create_copy(RM_SLICE("blob"));

        fixture_reply(item->req, 200, RM_BODY_CHUNKED, "one");
        (void)rm_req_write(item->req, RM_SLICE("two"));
        (void)rm_req_write(item->req, RM_SLICE_NONE);
        (void)rm_req_write_blob(item->req, blob);
        rm_blob_unref(blob);
        rm_req_end(item->req);
        rm_req_end(item->req);
    } else if (fixture_is_(item,
                           "/corked")) { /* small pieces, then one that is too large to be gathered, small again */
        static const char large[2 * RM_WRITE_GATHER_BYTES_MAX] = {0};

        rm_req_cork(item->req);
        fixture_reply(item->req, 200, RM_BODY_CHUNKED, "one");
        (void)rm_req_write(item->req, RM_SLICE("two"));
        (void)rm_req_write(item->req, rm_slice_make(large, sizeof(large)));
        (void)rm_req_write(item->req, RM_SLICE("three"));
        rm_req_end(item->req);
        rm_req_uncork(item->req);
        rm_req_uncork(item->req);
    } else if (fixture_is_(item, "/cork-cut")) { /* what came before the cut is sent; the request's end uncorks */
        rm_req_cork(item->req);
        fixture_reply(item->req, 200, RM_BODY_CHUNKED, "one");
        rm_req_abort(item->req);
        rm_req_cork(item->req);
    } else if (fixture_is_(item, "/memo")) {
        unsigned *count = rm_req_connection_memo(item->req);
        char text[2] = {(char)('0' + (*count)++ % 10), '\0'};

        fixture_reply(item->req, 200, 1, text);
    } else if (fixture_is_(item, "/peer")) {
        rm_slice peer = rm_req_peer(item->req);
        rm_reply reply = {200, NULL, 0, (int64_t)peer.len};

        assert_true(rm_req_begin_ns(item->req) > 0);
        (void)rm_req_reply(item->req, &reply, peer);
    }
}

static inline void fixture_on_drain_(void *user)
{
    held *item = user;

    pthread_mutex_lock(&item->fix->lock);
    item->fix->drains++;
    fixture_changed_(item->fix);
    if (fixture_is_(item, "/stream"))
        fixture_stream_(item);
}

static inline void fixture_give_back_(fixture *fix)
{
    assert_true(!fix->taken_path.len || rm_slice_eq(fix->taken_path, RM_SLICE("/hello")));
    rm_arena_deinit(&fix->taken);
}

static inline void fixture_on_close_(void *user, rm_status why)
{
    held *item = user;
    fixture *fix = item->fix;

    if (fixture_is_(item, "/hello")) {
        fixture_give_back_(fix);
        rm_req_take_arena(item->req, &fix->taken);
        fix->taken_path = rm_req_head(item->req)->path;
    }
    pthread_mutex_lock(&fix->lock);
    fix->why[fix->closes++ % FIXTURE_CLOSES_MAX] = why;
    if (fix->held == item)
        fix->held = NULL;
    fixture_changed_(fix);
    rm_buf_deinit(&item->body);
    free(item);
}

static inline rm_slice fixture_error_body_(void *user, rm_slice path, int status, const char *text, rm_buf *scratch,
                                           const char **ret_type)
{
    (void)user;
    *ret_type = "application/json";
    rm_buf_appendf(scratch, "{\"status\":%d,\"path\":\"%.*s\",\"text\":\"%s\"}", status, (int)path.len,
                   path.len ? path.ptr : "", text);
    return rm_buf_slice(scratch);
}

static const rm_server_ops fixture_ops_ = {fixture_on_request_, fixture_on_body_,  fixture_on_body_end_,
                                           fixture_on_drain_,   fixture_on_close_, fixture_error_body_};

static inline rm_server_options fixture_options(void)
{
    return (rm_server_options){.header_timeout_ms = 60000,
                               .body_timeout_ms = 60000,
                               .idle_timeout_ms = 60000,
                               .write_timeout_ms = 60000,
                               .connections_max = 1000,
                               .connections_per_address_max = 1000};
}

static inline void *fixture_thread_(void *user)
{
    rm_loop_run(((fixture *)user)->loop);
    return NULL;
}

static inline fixture *fixture_start_at(const char *address, rm_server_options options)
{
    fixture *fix = calloc(1, sizeof(*fix));

    assert_non_null(fix);
    pthread_mutex_init(&fix->lock, NULL);
    pthread_cond_init(&fix->changed, NULL);
    options.ops = &fixture_ops_;
    options.server_user = fix;
    fix->options = options;
    assert_int_equal(rm_loop_create(3, &fix->loop), RM_OK);
    assert_int_equal(rm_listener_open(fix->loop, address, &options, &fix->listener), RM_OK);
    fix->port = rm_listener_port(fix->listener);
    assert_int_equal(pthread_create(&fix->thread, NULL, fixture_thread_, fix), 0);
    return fix;
}

static inline fixture *fixture_start(rm_server_options options)
{
    return fixture_start_at("127.0.0.1:0", options);
}

static inline void fixture_stop(fixture *fix)
{
    rm_loop_stop(fix->loop);
    pthread_join(fix->thread, NULL);
    fixture_give_back_(fix);
    rm_loop_destroy(fix->loop);
    assert_int_equal(fix->closes, fix->requests); /* on_close exactly once a request */
    pthread_mutex_destroy(&fix->lock);
    pthread_cond_destroy(&fix->changed);
    free(fix);
}

/* Runs `call` on the loop's thread and waits for it. */
typedef struct fixture_call_state {
    rm_task task;
    fixture *fix;
    void (*call)(fixture *fix);
    bool done;
} fixture_call_state;

static inline void fixture_call_run_(rm_task *task)
{
    fixture_call_state *state = RM_CONTAINER_OF(task, fixture_call_state, task);
    fixture *fix = state->fix;

    state->call(fix);
    pthread_mutex_lock(&fix->lock);
    state->done = true;
    fixture_changed_(fix);
}

static inline bool fixture_wait_(fixture *fix)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += NET_CLIENT_WAIT_MS / 1000;
    return pthread_cond_timedwait(&fix->changed, &fix->lock, &until) == 0;
}

static inline void fixture_call(fixture *fix, void (*call)(fixture *fix))
{
    fixture_call_state state = {.task = {NULL, fixture_call_run_}, .fix = fix, .call = call};

    rm_exec_post(rm_loop_exec(fix->loop), &state.task);
    pthread_mutex_lock(&fix->lock);
    while (!state.done)
        assert_true(fixture_wait_(fix));
    pthread_mutex_unlock(&fix->lock);
}

/* Waits until `*count` (a counter of the fixture) reaches `at_least`. */
static inline void fixture_wait(fixture *fix, const unsigned *count, unsigned at_least)
{
    pthread_mutex_lock(&fix->lock);
    while (*count < at_least)
        assert_true(fixture_wait_(fix));
    pthread_mutex_unlock(&fix->lock);
}

/* Why the nth request (from 0) to be closed was. */
static inline rm_status fixture_why(fixture *fix, unsigned nth)
{
    fixture_wait(fix, &fix->closes, nth + 1);
    return fix->why[nth];
}

/* Waits until the server has that many connections. */
static inline void fixture_count_(fixture *fix)
{
    fix->resumed = rm_listener_connections(fix->listener);
}

static inline void fixture_wait_connections(fixture *fix, unsigned count)
{
    for (unsigned tries = 0; tries < NET_CLIENT_WAIT_MS; tries++) {
        fixture_call(fix, fixture_count_);
        if (fix->resumed == count)
            return;
        usleep(1000);
    }
    assert_int_equal(fix->resumed, count);
}

#endif
