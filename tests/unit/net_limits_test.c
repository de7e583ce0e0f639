/* Deadlines, caps, water marks and the ends of a server. No test asserts how long something took, only that it came. */
#include "net_fixture.h"
#include "net_internal.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static void expect(net_client *client, int status, const char *body)
{
    net_answer answer = net_client_answer(client);

    assert_int_equal(answer.status, status);
    if (body)
        assert_string_equal(answer.body, body);
    free(answer.body);
}

/* ---- deadlines --------------------------------------------------------------------------------------------------- */

static void test_header_deadline(void **state)
{
    rm_server_options options = fixture_options();
    fixture *fix;
    net_client silent, slow;

    (void)state;
    options.header_timeout_ms = 100;
    fix = fixture_start(options);
    silent = net_client_open(fix->port); /* never says a word: closed without one */
    assert_true(net_client_at_end(&silent));
    assert_int_equal(silent.len, 0);
    net_client_close(&silent);
    slow = net_client_open(fix->port); /* a byte now and then does not move the deadline */
    for (const char *at = "GET /hello HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"; *at;
         at++) {
        if (!net_client_send_bytes(&slow, at, 1))
            break;
        usleep(10000);
    }
    expect(&slow, 408, NULL);
    assert_true(net_client_at_end(&slow));
    net_client_close(&slow);
    assert_int_equal(fix->requests, 0);
    fixture_stop(fix);
}

static void test_body_deadline(void **state)
{
    rm_server_options options = fixture_options();
    fixture *fix;
    net_client client;

    (void)state;
    options.body_timeout_ms = 100;
    fix = fixture_start(options);
    client = net_client_open(fix->port);
    net_client_send(&client, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    expect(&client, 408, NULL);
    assert_int_equal(fixture_why(fix, 0), RM_ETIMEOUT);
    assert_true(net_client_at_end(&client));
    net_client_close(&client);
    /* The answer has begun: nothing can be said any more, the connection ends. */
    client = net_client_open(fix->port);
    net_client_send(&client, "POST /stream HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    assert_int_equal(fixture_why(fix, 1), RM_ETIMEOUT);
    net_client_close(&client);
    fixture_stop(fix);
}

/* The whole body may take longer than the deadline: it is for each gap. */
static void test_body_gaps(void **state)
{
    rm_server_options options = fixture_options();
    fixture *fix;
    net_client client;

    (void)state;
    options.body_timeout_ms = 1000;
    fix = fixture_start(options);
    client = net_client_open(fix->port);
    net_client_send(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n");
    for (unsigned i = 0; i < 8; i++) {
        usleep(200000);
        assert_true(net_client_send(&client, "x"));
    }
    expect(&client, 200, "xxxxxxxx");
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_idle_deadline(void **state)
{
    rm_server_options options = fixture_options();
    fixture *fix;
    net_client client;

    (void)state;
    options.idle_timeout_ms = 100;
    fix = fixture_start(options);
    client = net_client_open(fix->port);
    net_client_send(&client, GET("/hello"));
    expect(&client, 200, "hello");
    assert_true(net_client_at_end(&client));
    net_client_close(&client);
    assert_int_equal(fixture_why(fix, 0), RM_OK);
    fixture_stop(fix);
}

static void test_write_deadline(void **state)
{
    rm_server_options options = fixture_options();
    fixture *fix;
    net_client client;

    (void)state;
    options.write_timeout_ms = 200;
    fix = fixture_start(options);
    client = net_client_open_sized(fix->port, 4096);
    net_client_send(&client, GET("/stream")); /* and nothing is read */
    assert_int_equal(fixture_why(fix, 0), RM_ETIMEOUT);
    net_client_close(&client);
    fixture_wait_connections(fix, 0);
    fixture_stop(fix);
}

/* ---- water marks ------------------------------------------------------------------------------------------------- */

/* 16 MiB to a slow reader: never more than the high mark and one write are queued. */
static void test_slow_reader(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open_sized(fix->port, 8192);
    net_answer answer;

    (void)state;
    net_client_send(&client, GET("/stream"));
    fixture_wait(fix, &fix->requests, 1);
    usleep(50000);
    answer = net_client_answer(&client);
    assert_true(answer.whole);
    assert_int_equal(answer.body_len, 16 * RM_MIB);
    free(answer.body);
    assert_int_equal(fixture_why(fix, 0), RM_OK);
    assert_true(fix->drains > 0);
    assert_true(fix->queued_max > RM_WRITE_HIGH_BYTES);
    assert_true(fix->queued_max <= RM_WRITE_HIGH_BYTES + 10100);
    net_client_close(&client);
    fixture_stop(fix);
}

static void write_small(fixture *fix)
{
    assert_non_null(fix->held);
    assert_int_equal(fixture_reply(fix->held->req, 200, RM_BODY_CHUNKED, ""), RM_OK);
    for (unsigned i = 0; i < 50000; i++)
        assert_int_equal(rm_req_write(fix->held->req, RM_SLICE("0123456789")), RM_OK);
    rm_req_end(fix->held->req);
}

/* A handler that does not listen to the marks: small writes are joined, and all of them arrive in order. */
static void test_many_small_writes(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open_sized(fix->port, 8192);
    net_answer answer;

    (void)state;
    net_client_send(&client, GET("/hold"));
    fixture_wait(fix, &fix->bodies, 1);
    fixture_call(fix, write_small);
    answer = net_client_answer(&client);
    assert_true(answer.whole);
    assert_int_equal(answer.body_len, 500000);
    for (size_t i = 0; i < answer.body_len; i++)
        assert_int_equal(answer.body[i], '0' + (int)(i % 10));
    free(answer.body);
    net_client_close(&client);
    fixture_stop(fix);
}

static void write_blobs(fixture *fix)
{
    rm_blob *blob = rm_blob_create(1 << 20);
    rm_reply reply = {200, NULL, 0, 5 << 20};

    assert_non_null(blob);
    memset(blob->data, 'b', blob->len);
    assert_non_null(fix->held);
    assert_int_equal(rm_req_reply(fix->held->req, &reply, RM_SLICE_NONE), RM_OK);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(rm_req_write_blob(fix->held->req, blob), RM_OK);
    assert_true(atomic_load(&blob->refs) > 1);
    rm_blob_unref(blob);
    rm_req_end(fix->held->req);
}

static void test_blobs_kept(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open_sized(fix->port, 8192);
    net_answer answer;

    (void)state;
    net_client_send(&client, GET("/hold"));
    fixture_wait(fix, &fix->bodies, 1);
    fixture_call(fix, write_blobs);
    answer = net_client_answer(&client);
    assert_true(answer.whole);
    assert_int_equal(answer.body_len, 5 << 20);
    for (size_t i = 0; i < answer.body_len; i += 997)
        assert_int_equal(answer.body[i], 'b');
    free(answer.body);
    net_client_send(&client, GET("/hold")); /* and one who leaves with much queued: the sanitizer counts the blobs */
    fixture_wait(fix, &fix->bodies, 2);
    fixture_call(fix, write_blobs);
    net_client_close(&client);
    assert_int_equal(fixture_why(fix, 1), RM_ECANCELLED);
    fixture_stop(fix);
}

/* ---- caps -------------------------------------------------------------------------------------------------------- */

static void test_connections_max(void **state)
{
    rm_server_options options = fixture_options();
    net_client clients[3], over;
    fixture *fix;

    (void)state;
    options.connections_max = 3;
    options.connections_per_address_max = 1; /* loopback is exempt */
    fix = fixture_start(options);
    for (unsigned i = 0; i < 3; i++) {
        clients[i] = net_client_open(fix->port);
        net_client_send(&clients[i], GET("/hello"));
        expect(&clients[i], 200, "hello");
    }
    over = net_client_open(fix->port);
    net_client_send(&over, GET("/hello"));
    expect(&over, 503, NULL);
    assert_true(net_client_at_end(&over));
    net_client_close(&over);
    net_client_close(&clients[0]);
    fixture_wait_connections(fix, 2);
    over = net_client_open(fix->port);
    net_client_send(&over, GET("/hello"));
    expect(&over, 200, "hello");
    net_client_close(&over);
    net_client_close(&clients[1]);
    net_client_close(&clients[2]);
    fixture_stop(fix);
}

/* Descriptors run out: the server lives on and serves when there are some again. */
static void test_descriptors_run_out(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    struct rlimit before, small;
    net_client clients[24];
    unsigned open = 0;
    net_client client;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    small = before;
    client = net_client_open(fix->port);
    small.rlim_cur = (rlim_t)client.fd + 20;
    net_client_close(&client);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    for (; open < RM_COUNT(clients); open++) {
        clients[open] = net_client_open(fix->port);
        if (clients[open].fd < 0)
            break;
    }
    assert_true(open < RM_COUNT(clients));
    usleep(50000);
    while (open > 0)
        net_client_close(&clients[--open]);
    setrlimit(RLIMIT_NOFILE, &before);
    client = net_client_open(fix->port);
    net_client_send(&client, GET("/hello"));
    expect(&client, 200, "hello");
    net_client_close(&client);
    fixture_stop(fix);
}

/* ---- what is read ahead, what is read and dropped ---------------------------------------------------------------- */

/* The only connection as its loop sees it. */
static struct {
    bool open, reading;
    rm_conn_state state;
    size_t ahead_bytes, linger_bytes;
} seen;

static void look(fixture *fix)
{
    rm_link *link = fix->listener->conns.next;

    memset(&seen, 0, sizeof(seen));
    if (link == &fix->listener->conns)
        return;
    rm_conn *conn = RM_CONTAINER_OF(link, rm_conn, link);
    seen.open = true;
    seen.reading = conn->reading;
    seen.state = conn->state;
    seen.ahead_bytes = conn->ahead.len;
    seen.linger_bytes = conn->linger_bytes;
}

static void wait_ahead(fixture *fix, size_t bytes)
{
    for (unsigned tries = 0; tries < NET_CLIENT_WAIT_MS && seen.ahead_bytes != bytes; tries++) {
        usleep(1000);
        fixture_call(fix, look);
    }
    assert_int_equal(seen.ahead_bytes, bytes);
}

static void answer_held(fixture *fix)
{
    assert_non_null(fix->held);
    assert_int_equal(fixture_reply(fix->held->req, 200, 4, "held"), RM_OK);
}

/* While an answer is made, RM_PIPELINE_BYTES_MAX of what follows are taken, the rest stays with the kernel. */
static void test_pipeline_bytes(void **state)
{
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n";
    static char next[sizeof(head) - 1 + 70000];
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);
    net_answer answer;

    (void)state;
    memset(next, 'p', sizeof(next));
    memcpy(next, head, sizeof(head) - 1);
    net_client_send(&client, GET("/hold"));
    fixture_wait(fix, &fix->bodies, 1);
    assert_true(net_client_send_bytes(&client, next, RM_PIPELINE_BYTES_MAX - 1));
    wait_ahead(fix, RM_PIPELINE_BYTES_MAX - 1);
    assert_true(seen.reading);
    assert_true(net_client_send_bytes(&client, next + RM_PIPELINE_BYTES_MAX - 1, 1));
    wait_ahead(fix, RM_PIPELINE_BYTES_MAX);
    assert_false(seen.reading);
    assert_true(
        net_client_send_bytes(&client, next + RM_PIPELINE_BYTES_MAX, sizeof(next) - (size_t)RM_PIPELINE_BYTES_MAX));
    usleep(20000);
    fixture_call(fix, look);
    assert_int_equal(seen.ahead_bytes, RM_PIPELINE_BYTES_MAX);
    fixture_call(fix, answer_held);
    expect(&client, 200, "held");
    answer = net_client_answer(&client);
    assert_int_equal(answer.body_len, 70000);
    assert_memory_equal(answer.body, next + sizeof(head) - 1, 70000);
    free(answer.body);
    net_client_close(&client);
    fixture_stop(fix);
}

/* Lingering ends by its deadline too, which this test is not about. */
static void linger_without_deadline(fixture *fix)
{
    look(fix);
    if (seen.open && seen.state == RM_CONN_LINGERING)
        RM_CONTAINER_OF(fix->listener->conns.next, rm_conn, link)->read_due_ms = 0;
}

/* On a machine so slow that the deadline is first, another try. */
static net_client linger(fixture *fix)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        net_client client = net_client_open(fix->port);

        net_client_send(&client, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        expect(&client, 200, "hello");
        assert_true(net_client_at_end(&client));
        fixture_call(fix, linger_without_deadline);
        if (seen.open && seen.state == RM_CONN_LINGERING)
            return client;
        net_client_close(&client);
        fixture_wait_connections(fix, 0);
    }
    fail_msg("no connection lingers");
    return (net_client){.fd = -1};
}

static void test_linger_bytes(void **state)
{
    static char bytes[RM_LINGER_BYTES_MAX];
    fixture *fix = fixture_start(fixture_options());
    net_client client = linger(fix);

    (void)state;
    assert_true(net_client_send_bytes(&client, bytes, sizeof(bytes)));
    for (unsigned tries = 0; tries < NET_CLIENT_WAIT_MS && seen.open && seen.linger_bytes < sizeof(bytes); tries++) {
        usleep(1000);
        fixture_call(fix, look);
    }
    assert_true(seen.open);
    assert_int_equal(seen.linger_bytes, RM_LINGER_BYTES_MAX);
    assert_int_equal(seen.state, RM_CONN_LINGERING);
    assert_true(net_client_send_bytes(&client, bytes, 1));
    fixture_wait_connections(fix, 0);
    net_client_close(&client);
    fixture_stop(fix);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void drain(fixture *fix)
{
    rm_listener_drain(fix->listener);
}

static void test_drain(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client idle = net_client_open(fix->port), busy = net_client_open(fix->port), half = net_client_open(fix->port);
    net_client late;
    net_answer answer;
    char value[64];

    (void)state;
    net_client_send(&idle, GET("/hello"));
    expect(&idle, 200, "hello");
    net_client_send(&half, "GET /hello HTTP/1.1\r\n");
    net_client_send(&busy, GET("/hold"));
    fixture_wait(fix, &fix->bodies, 2);
    usleep(20000); /* half's bytes are with the server */
    fixture_call(fix, drain);
    assert_true(net_client_at_end(&idle));
    late = net_client_open(fix->port);
    assert_int_equal(late.fd, -1);
    net_client_send(&half, "Host: h\r\n\r\n");
    answer = net_client_answer(&half);
    assert_int_equal(answer.status, 200);
    assert_true(net_answer_header(&answer, "Connection", value, sizeof(value)));
    assert_string_equal(value, "close");
    free(answer.body);
    fixture_call(fix, answer_held);
    answer = net_client_answer(&busy);
    assert_int_equal(answer.status, 200);
    assert_true(answer.whole);
    assert_true(net_answer_header(&answer, "Connection", value, sizeof(value)));
    free(answer.body);
    assert_true(net_client_at_end(&busy));
    net_client_close(&idle);
    net_client_close(&busy);
    net_client_close(&half);
    fixture_wait_connections(fix, 0);
    fixture_stop(fix);
}

static void on_listener_closed(void *user)
{
    fixture *fix = user;

    pthread_mutex_lock(&fix->lock);
    assert_false(fix->listener_closed);
    fix->listener_closed = true;
    fix->resumed = 77;
    fixture_changed_(fix);
}

static void close_listener(fixture *fix)
{
    rm_listener_close(fix->listener, on_listener_closed, fix);
    assert_false(fix->listener_closed);
}

static void test_close(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client busy = net_client_open(fix->port), stream = net_client_open_sized(fix->port, 4096);

    (void)state;
    net_client_send(&busy, GET("/hold"));
    net_client_send(&stream, GET("/stream"));
    fixture_wait(fix, &fix->bodies, 2);
    fixture_call(fix, close_listener);
    assert_int_equal(fixture_why(fix, 0), RM_ERESET);
    assert_int_equal(fixture_why(fix, 1), RM_ERESET);
    fixture_wait(fix, &fix->resumed, 77);
    assert_true(fix->listener_closed);
    assert_true(net_client_at_end(&busy));
    net_client_close(&busy);
    net_client_close(&stream);
    fixture_stop(fix);
}

/* The loop is destroyed with everything still open. */
static void test_destroy_open(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client busy = net_client_open(fix->port), idle = net_client_open(fix->port);

    (void)state;
    net_client_send(&idle, GET("/hello"));
    expect(&idle, 200, "hello");
    net_client_send(&busy, GET("/hold") GET("/hello"));
    fixture_wait(fix, &fix->requests, 2);
    fixture_stop(fix);
    net_client_close(&busy);
    net_client_close(&idle);
}

static void change_options(fixture *fix)
{
    fix->options.idle_timeout_ms = 50;
    rm_listener_set_options(fix->listener, &fix->options);
}

static void test_set_options(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    net_client_send(&client, GET("/hello"));
    expect(&client, 200, "hello");
    fixture_call(fix, change_options);
    net_client_send(&client, GET("/hello"));
    expect(&client, 200, "hello");
    assert_true(net_client_at_end(&client));
    net_client_close(&client);
    fixture_stop(fix);
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
    static const char *const bad[] = {
        "",        "8700",     "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
        "1.2.3:1", "host.x:1", "::1:8700",  "[::1:8700",  "[]:1",        "unix:"};
    rm_server_options options = fixture_options();
    rm_listener *listener, *second;
    rm_loop *loop;

    (void)state;
    options.ops = &fixture_ops_;
    assert_int_equal(rm_loop_create(0, &loop), RM_OK);
    for (size_t i = 0; i < RM_COUNT(bad); i++)
        assert_int_equal(rm_listener_open(loop, bad[i], &options, &listener), RM_EINVAL);
    assert_int_equal(rm_listener_open(loop, "localhost:0", &options, &listener), RM_OK);
    assert_true(rm_listener_port(listener) > 0);
    assert_int_equal(rm_listener_open(loop, ":0", &options, &second), RM_OK);
    assert_int_equal(rm_listener_open(loop, "192.0.2.1:0", &options, &second), RM_EIO); /* not ours */
    rm_loop_destroy(loop);
}

static void test_reuse_port(void **state)
{
    rm_server_options options = fixture_options();
    rm_listener *a, *b, *c;
    rm_loop *loop;
    char address[32];

    (void)state;
    options.ops = &fixture_ops_;
    options.reuse_port = true;
    assert_int_equal(rm_loop_create(0, &loop), RM_OK);
    assert_int_equal(rm_listener_open(loop, "127.0.0.1:0", &options, &a), RM_OK);
    snprintf(address, sizeof(address), "127.0.0.1:%d", rm_listener_port(a));
    assert_int_equal(rm_listener_open(loop, address, &options, &b), RM_OK);
    options.reuse_port = false;
    assert_int_equal(rm_listener_open(loop, address, &options, &c), RM_EIO);
    rm_loop_destroy(loop);
}

/* Who would share a port says so; who asks whether it is free is told of those too. */
static void test_probe(void **state)
{
    rm_server_options options = fixture_options();
    rm_listener *a, *b;
    rm_loop *loop;
    char address[32], folder[] = "/tmp/remora-net-XXXXXX", path[64];

    (void)state;
    options.ops = &fixture_ops_;
    options.reuse_port = true;
    assert_int_equal(rm_loop_create(0, &loop), RM_OK);
    assert_int_equal(rm_listener_open(loop, "127.0.0.1:0", &options, &a), RM_OK);
    snprintf(address, sizeof(address), "127.0.0.1:%d", rm_listener_port(a));
    assert_int_equal(rm_listener_probe(address), RM_EIO);
    snprintf(address, sizeof(address), ":%d", rm_listener_port(a));
    assert_int_equal(rm_listener_probe(address), RM_EIO);
    assert_int_equal(rm_listener_probe("127.0.0.1"), RM_EINVAL);
    assert_int_equal(rm_listener_probe("192.0.2.1:0"), RM_EIO); /* not ours */
    assert_int_equal(rm_listener_probe("127.0.0.1:0"), RM_OK);
    /* A Unix socket is never shared: opening it says what is to be said, and probing leaves it as it is. */
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "unix:%s/s", folder);
    assert_int_equal(rm_listener_probe(path), RM_OK);
    assert_int_not_equal(access(path + strlen("unix:"), F_OK), 0);
    assert_int_equal(rm_listener_open(loop, path, &options, &b), RM_OK);
    assert_int_equal(rm_listener_probe(path), RM_OK);
    assert_int_equal(access(path + strlen("unix:"), F_OK), 0);
    snprintf(address, sizeof(address), "127.0.0.1:%d", rm_listener_port(a));
    rm_loop_destroy(loop);
    assert_int_equal(rm_listener_probe(address), RM_OK);
    unlink(path + strlen("unix:"));
    rmdir(folder);
}

static void test_unix_socket(void **state)
{
    char folder[] = "/tmp/remora-net-XXXXXX", address[64];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    net_client client = {.fd = -1};
    struct stat info;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof(address), "unix:%s/s", folder);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", folder);
    /* A file left over from a crash is in nobody's way. */
    client.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(client.fd, (struct sockaddr *)&un, sizeof(un)), 0);
    close(client.fd);
    for (unsigned i = 0; i < 2; i++) {
        fixture *fix = fixture_start_at(address, fixture_options());

        client = (net_client){.fd = socket(AF_UNIX, SOCK_STREAM, 0)};
        assert_int_equal(connect(client.fd, (struct sockaddr *)&un, sizeof(un)), 0);
        net_client_send(&client, GET("/peer") GET("/stream"));
        expect(&client, 200, "unix");
        net_client_close(&client);
        fixture_stop(fix);
        assert_int_not_equal(stat(un.sun_path, &info), 0);
    }
    rmdir(folder);
}

#ifdef REMORA_FAULTS
/* Each allocation fails in turn: a caller may lose its connection, the server serves the next one. */
static void test_lost_memory(void **state)
{
    fixture *fix = fixture_start(fixture_options());

    (void)state;
    for (uint64_t nth = 1; nth < 25; nth++) {
        net_client client = net_client_open(fix->port);
        net_answer answer;

        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        net_client_send(&client,
                        GET("/hello") "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" GET("/hello"));
        for (unsigned i = 0; i < 3; i++) {
            answer = net_client_answer(&client);
            assert_true(answer.status == 0 || answer.status == 200 || answer.status == 503);
            free(answer.body);
        }
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        net_client_close(&client);
        fixture_wait_connections(fix, 0);
    }
    fixture_stop(fix);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_deadline),
        cmocka_unit_test(test_body_deadline),
        cmocka_unit_test(test_body_gaps),
        cmocka_unit_test(test_idle_deadline),
        cmocka_unit_test(test_write_deadline),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_many_small_writes),
        cmocka_unit_test(test_blobs_kept),
        cmocka_unit_test(test_connections_max),
        cmocka_unit_test(test_descriptors_run_out),
        cmocka_unit_test(test_pipeline_bytes),
        cmocka_unit_test(test_linger_bytes),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_destroy_open),
        cmocka_unit_test(test_set_options),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_reuse_port),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_unix_socket),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_lost_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
