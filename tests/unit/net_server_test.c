/* The server over real sockets: what is answered, in which order, and what becomes of the connection. */
#include "net_fixture.h"

#include "golden_http.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static void expect(net_client *client, int status, const char *body)
{
    net_answer answer = net_client_answer(client);

    assert_int_equal(answer.status, status);
    assert_true(answer.whole);
    if (body)
        assert_string_equal(answer.body, body);
    free(answer.body);
}

static void ask(net_client *client, const char *request, int status, const char *body)
{
    assert_true(net_client_send(client, request));
    expect(client, status, body);
}

static void test_keep_alive(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        ask(&client, GET("/hello"), 200, "hello");
    ask(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde", 200, "abcde");
    ask(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
        200, "abcde");
    ask(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 200, "");
    for (unsigned i = 0; i < 53; i++)
        assert_int_equal(fixture_why(fix, i), RM_OK);
    assert_int_equal(fix->bodies, 53);
    net_client_close(&client);
    fixture_wait_connections(fix, 0);
    fixture_stop(fix);
}

static void test_head_of_answer(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);
    net_answer answer;
    char value[128];

    (void)state;
    net_client_send(&client, GET("/hello"));
    answer = net_client_answer(&client);
    assert_true(net_answer_header(&answer, "Date", value, sizeof(value)));
    assert_int_equal(strlen(value), 29);
    assert_string_equal(value + 25, " GMT");
    assert_true(net_answer_header(&answer, "Content-Length", value, sizeof(value)));
    assert_string_equal(value, "5");
    assert_true(net_answer_header(&answer, "Content-Type", value, sizeof(value)));
    assert_false(net_answer_header(&answer, "Connection", value, sizeof(value)));
    assert_false(net_answer_header(&answer, "Access-Control-Allow-Origin", value, sizeof(value)));
    free(answer.body);
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_chunked_and_blobs(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        ask(&client, GET("/chunks"), 200, "onetwoblob");
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_cork(void **state)
{
    enum { LARGE = 2 * RM_WRITE_GATHER_BYTES_MAX };
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);
    net_answer answer;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        net_client_send(&client, GET("/corked"));
        answer = net_client_answer(&client);
        assert_true(answer.whole);
        assert_int_equal(answer.body_len, 3 + 3 + LARGE + 5);
        assert_memory_equal(answer.body, "onetwo", 6);
        assert_memory_equal(answer.body + 6 + LARGE, "three", 5);
        free(answer.body);
    }
    net_client_close(&client);
    fixture_stop(fix);
}

/* An answer of HTTP/1.0 has no chunks: the end of the connection is its end. */
static void test_http_1_0(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);
    net_answer answer;
    char value[64];

    (void)state;
    net_client_send(&client, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    answer = net_client_answer(&client);
    assert_true(net_answer_header(&answer, "Connection", value, sizeof(value)));
    assert_string_equal(value, "keep-alive");
    free(answer.body);
    net_client_send(&client, "GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    answer = net_client_answer(&client);
    assert_int_equal(answer.status, 200);
    assert_false(net_answer_header(&answer, "Transfer-Encoding", value, sizeof(value)));
    assert_string_equal(answer.body, "onetwoblob");
    free(answer.body);
    assert_true(net_client_at_end(&client));
    net_client_close(&client);
    client = net_client_open(fix->port);
    ask(&client, "GET /hello HTTP/1.0\r\n\r\n", 200, "hello");
    assert_true(net_client_at_end(&client));
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_bodyless(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n", 200},
        {"HEAD /chunks HTTP/1.1\r\nHost: h\r\n\r\n", 200},
        {GET("/204"), 204},
        {GET("/304"), 304},
        {"HEAD /204 HTTP/1.1\r\nHost: h\r\n\r\n", 204},
    };
    char value[64];

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        net_answer answer;

        assert_true(net_client_send(&client, cases[i].request));
        answer = net_client_answer_to(&client, true);
        assert_int_equal(answer.status, cases[i].status);
        assert_int_equal(net_answer_header(&answer, "Content-Length", value, sizeof(value)), i == 0);
        free(answer.body);
    }
    ask(&client, GET("/hello"), 200, "hello"); /* nothing was left on the wire */
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_one_byte_at_a_time(void **state)
{
    static const char text[] = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        assert_true(net_client_send_bytes(&client, text + i, 1));
    expect(&client, 200, "abc");
    expect(&client, 200, "hello");
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_pipelining(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);
    char text[64 * 100];
    size_t len = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n%03u", i);
    assert_true(net_client_send_bytes(&client, text, len));
    for (unsigned i = 0; i < 100; i++) {
        char body[8];

        snprintf(body, sizeof(body), "%03u", i);
        expect(&client, 200, body);
    }
    net_client_close(&client);
    fixture_stop(fix);
}

static void answer_held(fixture *fix)
{
    assert_non_null(fix->held);
    assert_int_equal(fixture_reply(fix->held->req, 200, 4, "held"), RM_OK);
}

/* What comes while one request is answered waits, in order; the second is not begun before. */
static void test_pipelining_waits(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    net_client_send(&client, GET("/hold") GET("/hello") GET("/hold"));
    fixture_wait(fix, &fix->bodies, 1);
    assert_int_equal(fix->requests, 1);
    fixture_call(fix, answer_held);
    expect(&client, 200, "held");
    expect(&client, 200, "hello");
    fixture_wait(fix, &fix->bodies, 3);
    fixture_call(fix, answer_held);
    expect(&client, 200, "held");
    net_client_close(&client);
    fixture_stop(fix);
}

/* More than the bound is read ahead only when there is room again. */
static void test_pipelining_bound(void **state)
{
    enum { COUNT = 4000 };
    static const char hello[] = GET("/hello");
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    net_client_send(&client, GET("/hold"));
    for (unsigned i = 0; i < COUNT; i++)
        assert_true(net_client_send_bytes(&client, hello, sizeof(hello) - 1));
    fixture_wait(fix, &fix->bodies, 1);
    fixture_call(fix, answer_held);
    expect(&client, 200, "held");
    for (unsigned i = 0; i < COUNT; i++)
        expect(&client, 200, "hello");
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_continue(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    ask(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", 100, NULL);
    ask(&client, "abc", 200, "abc");
    /* The body is already there: no need to ask for it. */
    ask(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", 200, "abc");
    /* Answered at once: the body is not wanted. */
    ask(&client, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", 413,
        "too much");
    assert_true(net_client_at_end(&client));
    net_client_close(&client);
    fixture_stop(fix);
}

/* The answer is read whole although the body was not: no RST overtakes it. */
static void test_early_reply(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    static char body[100000];

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        net_client client = net_client_open(fix->port);
        net_answer answer;
        char value[64];

        net_client_send(&client, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n");
        (void)net_client_send_bytes(&client, body, sizeof(body));
        answer = net_client_answer(&client);
        assert_int_equal(answer.status, 413);
        assert_true(answer.whole);
        assert_true(net_answer_header(&answer, "Connection", value, sizeof(value)));
        assert_string_equal(value, "close");
        free(answer.body);
        assert_true(net_client_at_end(&client));
        net_client_close(&client);
        assert_int_equal(fixture_why(fix, i), RM_OK);
    }
    fixture_wait_connections(fix, 0);
    fixture_stop(fix);
}

/* A sender that never stops is cut once it has sent more than lingering takes. */
static void test_linger_bound(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);
    static char body[1 << 20];

    (void)state;
    net_client_send(&client, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n");
    while (net_client_send_bytes(&client, body, sizeof(body)))
        ;
    fixture_wait_connections(fix, 0);
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_aborts(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {GET("/abort"), 200},                /* chunked: no last chunk */
        {GET("/cork-cut"), 200},             /* likewise */
        {"GET /abort HTTP/1.0\r\n\r\n", -1}, /* no framing: a RST */
        {GET("/short"), 200},                /* less than announced */
        {GET("/cut"), 0},
        {GET("/silent-end"), 0},
    };

    (void)state;
    for (unsigned i = 0; i < RM_COUNT(cases); i++) {
        net_client client = net_client_open(fix->port);
        net_answer answer;

        net_client_send(&client, cases[i].request);
        answer = net_client_answer(&client);
        if (cases[i].status >= 0) {
            assert_int_equal(answer.status, cases[i].status);
            assert_false(answer.whole);
        }
        free(answer.body);
        net_client_close(&client);
        assert_int_equal(fixture_why(fix, i), RM_ERESET);
    }
    fixture_stop(fix);
}

static void test_announced_length(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    ask(&client, GET("/long"), 200, "01234");
    ask(&client, GET("/hello"), 200, "hello");
    net_client_close(&client);
    fixture_stop(fix);
}

/* The caller leaves: in the middle of a head (nobody hears of it), of a body, and while it waits. */
static void test_caller_leaves(void **state)
{
    static const char *const partial[] = {"GET /hold HTT",
                                          "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
                                          GET("/hold"), GET("/hold") GET("/hello")};
    fixture *fix = fixture_start(fixture_options());

    (void)state;
    for (unsigned i = 0; i < RM_COUNT(partial); i++) {
        net_client client = net_client_open(fix->port);

        net_client_send(&client, partial[i]);
        if (i > 0)
            fixture_wait(fix, &fix->requests, i);
        else
            fixture_wait_connections(fix, 1);
        if (i == 3)
            net_client_reset(&client);
        else if (i == 2)
            shutdown(client.fd, SHUT_WR);
        else
            net_client_close(&client);
        if (i > 0)
            assert_int_equal(fixture_why(fix, i - 1), RM_ECANCELLED);
        fixture_wait_connections(fix, 0);
        net_client_close(&client);
    }
    assert_int_equal(fix->requests, 3);
    fixture_stop(fix);
}

static void test_refused_request(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);
    net_answer answer;

    (void)state;
    net_client_send(&client, GET("/refuse"));
    answer = net_client_answer(&client);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "\"path\":\"/refuse\""));
    free(answer.body);
    assert_true(net_client_at_end(&client));
    net_client_close(&client);
    assert_int_equal(fix->requests, 0);
    fixture_stop(fix);
}

/* The body turns out not to be HTTP after the handler has taken the request. */
static void test_bad_body(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    ask(&client, "POST /hold HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n", 400, NULL);
    assert_true(net_client_at_end(&client));
    assert_int_equal(fixture_why(fix, 0), RM_EPROTO);
    net_client_close(&client);
    client = net_client_open(fix->port);
    net_client_send(&client, "POST /stream HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    fixture_wait(fix, &fix->requests, 2);
    net_client_send(&client, "x\r\n");
    assert_int_equal(fixture_why(fix, 1), RM_EPROTO);
    net_client_close(&client);
    fixture_stop(fix);
}

static void resume_held(fixture *fix)
{
    assert_non_null(fix->held);
    rm_req_resume_body(fix->held->req);
}

static size_t held_bytes;

static void count_held(fixture *fix)
{
    assert_non_null(fix->held);
    held_bytes = fix->held->body.len;
}

static void test_pause_body(void **state)
{
    enum { TOTAL = 4 << 20 };
    rm_server_options options = fixture_options();
    fixture *fix;
    net_client client;
    char *body = calloc(1, TOTAL);

    (void)state;
    options.body_timeout_ms = 1000; /* does not run while the handler is the one who waits */
    fix = fixture_start(options);
    client = net_client_open(fix->port);
    assert_non_null(body);
    net_client_send(&client, "POST /pause HTTP/1.1\r\nHost: h\r\nContent-Length: 4194304\r\n\r\n");
    fixture_wait(fix, &fix->requests, 1);
    assert_true(net_client_send_bytes(&client, body, 65536));
    usleep(1200000);
    fixture_call(fix, count_held);
    assert_true(held_bytes <= RM_READ_BYTES);
    fixture_call(fix, resume_held);
    assert_true(net_client_send_bytes(&client, body, TOTAL - 65536));
    fixture_wait(fix, &fix->bodies, 1);
    fixture_call(fix, count_held);
    assert_int_equal(held_bytes, TOTAL);
    fixture_call(fix, answer_held);
    expect(&client, 200, "held");
    net_client_close(&client);
    free(body);
    fixture_stop(fix);
}

static void test_memo_and_peer(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client a = net_client_open(fix->port), b = net_client_open(fix->port);
    net_answer answer;

    (void)state;
    ask(&a, GET("/memo"), 200, "0");
    ask(&a, GET("/memo"), 200, "1");
    ask(&b, GET("/memo"), 200, "0");
    net_client_send(&a, GET("/peer"));
    answer = net_client_answer(&a);
    assert_int_equal(strncmp(answer.body, "127.0.0.1:", 10), 0);
    free(answer.body);
    net_client_close(&a);
    net_client_close(&b);
    fixture_stop(fix);
}

static void test_cors(void **state)
{
    rm_server_options options = fixture_options();
    fixture *fix;
    net_client client;
    net_answer answer;
    char value[128];

    (void)state;
    options.cors = true;
    fix = fixture_start(options);
    client = net_client_open(fix->port);
    net_client_send(&client, "OPTIONS /hold HTTP/1.1\r\nHost: h\r\nOrigin: http://p\r\n"
                             "Access-Control-Request-Method: POST\r\n"
                             "Access-Control-Request-Headers: authorization, x-remora-cache\r\n\r\n");
    answer = net_client_answer(&client);
    assert_int_equal(answer.status, 204);
    assert_true(net_answer_header(&answer, "Access-Control-Allow-Origin", value, sizeof(value)));
    assert_string_equal(value, "*");
    assert_true(net_answer_header(&answer, "Access-Control-Allow-Methods", value, sizeof(value)));
    assert_true(net_answer_header(&answer, "Access-Control-Allow-Headers", value, sizeof(value)));
    assert_string_equal(value, "authorization, x-remora-cache");
    free(answer.body);
    net_client_send(&client, "GET /hello HTTP/1.1\r\nHost: h\r\nOrigin: http://p\r\n\r\n");
    answer = net_client_answer(&client);
    assert_true(net_answer_header(&answer, "Access-Control-Allow-Origin", value, sizeof(value)));
    assert_true(net_answer_header(&answer, "Access-Control-Expose-Headers", value, sizeof(value)));
    free(answer.body);
    net_client_send(&client, GET("/hello"));
    answer = net_client_answer(&client);
    assert_false(net_answer_header(&answer, "Access-Control-Allow-Origin", value, sizeof(value)));
    free(answer.body);
    /* Not a preflight: the handler's business. */
    ask(&client, "OPTIONS /hello HTTP/1.1\r\nHost: h\r\nOrigin: http://p\r\n\r\n", 200, "hello");
    assert_int_equal(fix->requests, 3);
    net_client_close(&client);
    fixture_stop(fix);
}

static void test_connection_close(void **state)
{
    fixture *fix = fixture_start(fixture_options());
    net_client client = net_client_open(fix->port);

    (void)state;
    ask(&client, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET("/hello"), 200, "hello");
    assert_true(net_client_at_end(&client));
    net_client_close(&client);
    fixture_wait_connections(fix, 0);
    assert_int_equal(fix->requests, 1);
    fixture_stop(fix);
}

/* The table of the parser's tests, over a socket. */
static void golden_case(const golden_http *item, void *user)
{
    fixture *fix = user;
    net_client client = net_client_open(fix->port);
    int status = 0;

    (void)net_client_send_bytes(&client, item->input, item->len);
    for (unsigned i = 0; i < item->requests + (item->expect >= 400); i++) {
        net_answer answer = net_client_answer_to(&client, strncmp(item->input, "HEAD", 4) == 0);

        if (answer.status == 100) {
            free(answer.body);
            answer = net_client_answer(&client);
        }
        status = answer.status;
        if (i < item->requests && status != 200)
            print_message("%s: answer %u is %d\n", item->name, i, status);
        assert_true(i >= item->requests || status == 200);
        free(answer.body);
    }
    if (status != item->expect && item->expect != 0)
        print_message("%s: %d, not %d\n", item->name, status, item->expect);
    assert_true(item->expect == 0 || status == item->expect);
    if (item->expect >= 400)
        assert_true(net_client_at_end(&client));
    net_client_close(&client);
}

static void *reply_echo(void *user, rm_req *req)
{
    (void)user;
    return req;
}

static void ignore_body(void *user, rm_slice bytes)
{
    (void)user;
    (void)bytes;
}

static void reply_at_end(void *user)
{
    fixture_reply(user, 200, 2, "ok");
}

static void ignore(void *user)
{
    (void)user;
}

static void ignore_close(void *user, rm_status why)
{
    (void)user;
    (void)why;
}

static void test_golden(void **state)
{
    static const rm_server_ops ops = {reply_echo, ignore_body, reply_at_end, ignore, ignore_close, NULL};
    fixture *fix = calloc(1, sizeof(*fix));
    rm_listener *listener;
    rm_server_options options = fixture_options();

    (void)state;
    assert_non_null(fix);
    options.ops = &ops;
    assert_int_equal(rm_loop_create(0, &fix->loop), RM_OK);
    assert_int_equal(rm_listener_open(fix->loop, "127.0.0.1:0", &options, &listener), RM_OK);
    fix->port = rm_listener_port(listener);
    assert_int_equal(pthread_create(&fix->thread, NULL, fixture_thread_, fix), 0);
    assert_true(golden_each(golden_case, fix) >= 150);
    rm_loop_stop(fix->loop);
    pthread_join(fix->thread, NULL);
    rm_loop_destroy(fix->loop);
    free(fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_head_of_answer),
        cmocka_unit_test(test_chunked_and_blobs),
        cmocka_unit_test(test_cork),
        cmocka_unit_test(test_http_1_0),
        cmocka_unit_test(test_bodyless),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_pipelining_waits),
        cmocka_unit_test(test_pipelining_bound),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_early_reply),
        cmocka_unit_test(test_linger_bound),
        cmocka_unit_test(test_aborts),
        cmocka_unit_test(test_announced_length),
        cmocka_unit_test(test_caller_leaves),
        cmocka_unit_test(test_refused_request),
        cmocka_unit_test(test_bad_body),
        cmocka_unit_test(test_pause_body),
        cmocka_unit_test(test_memo_and_peer),
        cmocka_unit_test(test_cors),
        cmocka_unit_test(test_connection_close),
        cmocka_unit_test(test_golden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
