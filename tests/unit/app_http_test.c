/* The small HTTP client against answers good and bad, and the commands on the folder of a stopped Remora. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app_internal.h"
#include "remora/admin.h"

/* ---- a server that answers one connection with canned bytes ------------------------------------------------------ */

typedef struct canned {
    const char *answer;
    char request[4096];
    int fd;
    pthread_t thread;
} canned;

static void *serve_one(void *user)
{
    canned *c = user;
    int fd = accept(c->fd, NULL, NULL);
    ssize_t got = recv(fd, c->request, sizeof(c->request) - 1, 0);

    c->request[got > 0 ? got : 0] = 0;
    assert_int_equal(send(fd, c->answer, strlen(c->answer), MSG_NOSIGNAL), strlen(c->answer));
    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, (char[64]){0}, 64, 0) > 0)
        ;
    (void)close(fd);
    return NULL;
}

/* Asks `path` of a server that answers so. */
static rm_status ask(canned *c, const char *host, rm_slice body, int *ret_http_status, rm_buf *out)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    char text[64];

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(c->fd, (const struct sockaddr *)(const void *)&address, sizeof(address)), 0);
    assert_int_equal(listen(c->fd, 1), 0);
    assert_int_equal(getsockname(c->fd, (struct sockaddr *)(void *)&address, &len), 0);
    assert_int_equal(pthread_create(&c->thread, NULL, serve_one, c), 0);
    (void)snprintf(text, sizeof(text), "%s:%u", host, (unsigned)ntohs(address.sin_port));
    rm_status status = rm_app_http(text, "/x?y=1", body, ret_http_status, out);
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    (void)close(c->fd);
    return status;
}

static void test_answers(void **state)
{
    static const struct {
        const char *answer;
        rm_status status;
        int http_status;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", RM_OK, 200, "body"},
        {"HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n", RM_OK, 404, ""},
        {"HTTP/1.0 200 OK\r\n\r\nto the end", RM_OK, 200, "to the end"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody", RM_EPROTO, 0, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nbody", RM_EPROTO, 0, NULL},
        {"HTTP/1.1 200 OK\r\n", RM_EPROTO, 0, NULL},
        {"HTTP/1.1 2x0 OK\r\n\r\n", RM_EPROTO, 0, NULL},
        {"220 mail.example ESMTP\r\n\r\n", RM_EPROTO, 0, NULL},
        {"", RM_EPROTO, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        canned c = {.answer = cases[i].answer};
        int http_status = 0;
        rm_buf out;
        rm_buf_init(&out, RM_MIB);
        assert_int_equal(ask(&c, "127.0.0.1", RM_SLICE_NONE, &http_status, &out), cases[i].status);
        assert_int_equal(http_status, cases[i].http_status);
        if (cases[i].body)
            assert_true(rm_slice_eq(rm_buf_slice(&out), rm_slice_cstr(cases[i].body)));
        assert_non_null(strstr(c.request, "GET /x?y=1 HTTP/1.0\r\nHost: localhost\r\n"));
        rm_buf_deinit(&out);
    }
}

/* An address that means every interface is asked on loopback. */
static void test_addresses(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "", "0.0.0.0"};
    rm_buf out;
    int http_status;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    for (size_t i = 0; i < RM_COUNT(hosts); i++) {
        canned c = {.answer = "HTTP/1.1 200 OK\r\n\r\n"};
        rm_buf_clear(&out);
        assert_int_equal(ask(&c, hosts[i], RM_SLICE("{}"), &http_status, &out), RM_OK);
        assert_non_null(strstr(c.request, "POST /x?y=1 HTTP/1.0\r\n"));
        assert_non_null(strstr(c.request, "Content-Length: 2\r\n"));
    }
    assert_int_equal(rm_app_http("unix:/no/such/socket", "/", RM_SLICE_NONE, &http_status, &out), RM_ECONNECT);
    assert_int_equal(rm_app_http("nonsense", "/", RM_SLICE_NONE, &http_status, &out), RM_EINVAL);
    rm_buf_deinit(&out);
}

static void test_queries_are_escaped(void **state)
{
    rm_buf out;

    (void)state;
    rm_buf_init(&out, 100);
    rm_app_append_query(&out, "2026-11-01T00:00:00+01:00 a~\xc3\xa9");
    rm_buf_append_char(&out, 0);
    assert_string_equal(out.ptr, "2026-11-01T00%3A00%3A00%2B01%3A00%20a~%C3%A9");
    rm_buf_deinit(&out);
}

/* ---- the folder of a stopped Remora ------------------------------------------------------------------------------ */

static char folder[] = "/tmp/remora-app-XXXXXX";
static char config_path[64];

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(config_path, sizeof(config_path), "%s/remora.yaml", folder);
    FILE *file = fopen(config_path, "w");
    (void)fprintf(file, "admin: unix:%s/no-socket\ndata: %s/data\ncache: {exact: {bytes_max: 64MiB}}\n", folder,
                  folder);
    (void)fclose(file);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static void fill_store(void)
{
    char data[64];
    rm_store *store;
    rm_ledger_row row = {
        .hour = 1, .tenant = "anonymous", .model = "m", .reason = "hit", .requests = 1, .saved_usd = 1};
    rm_record record = {.key = {1, 1},
                        .model = RM_SLICE("m"),
                        .canonical = RM_SLICE("c"),
                        .content = RM_SLICE("{}"),
                        .content_type = RM_SLICE("application/json"),
                        .form = RM_RECORD_BODY,
                        .op = RM_OP_CHAT,
                        .created_ms = 1,
                        .usage = RM_USAGE_UNKNOWN,
                        .cost_usd = 0.5};

    (void)snprintf(data, sizeof(data), "%s/data", folder);
    rm_store_options options = {.folder = data, .bytes_max = 64 * RM_MIB, .clock = rm_clock_system()};
    assert_int_equal(rm_store_open(&options, &store), RM_OK);
    assert_int_equal(rm_store_put(store, &record), RM_OK);
    assert_int_equal(rm_store_ledger_add(store, &row, 1), RM_OK);
    assert_int_equal(rm_store_flush(store), RM_OK);
    rm_store_close(store);
}

#define S(text) ((char[]){text})
#define KEY     "00000000000000010000000000000001"

static void test_commands_on_a_stopped_store(void **state)
{
    (void)state;
    fill_store();
    assert_int_equal(rm_app_cache(4, (char *[]){S("cache"), S("stats"), S("-c"), config_path, NULL}), RM_APP_DONE);
    assert_int_equal(rm_app_cache(5, (char *[]){S("cache"), S("get"), S("-c"), config_path, S(KEY), NULL}),
                     RM_APP_DONE);
    assert_int_equal(rm_app_cache(6, (char *[]){S("cache"), S("get"), S("--json"), S("-c"), config_path, S(KEY), NULL}),
                     RM_APP_DONE);
    assert_int_equal(rm_app_report(3, (char *[]){S("report"), S("-c"), config_path, NULL}), RM_APP_DONE);
    assert_int_equal(rm_app_report(4, (char *[]){S("report"), S("--json"), S("-c"), config_path, NULL}), RM_APP_DONE);
    assert_int_equal(
        rm_app_cache(6, (char *[]){S("cache"), S("purge"), S("-c"), config_path, S("--model"), S("m"), NULL}),
        RM_APP_DONE);
    assert_int_equal(rm_app_cache(5, (char *[]){S("cache"), S("get"), S("-c"), config_path, S(KEY), NULL}), RM_APP_BAD);
    assert_int_equal(rm_app_cache(4, (char *[]){S("cache"), S("purge"), S("-c"), config_path, NULL}), RM_APP_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_queries_are_escaped),
        cmocka_unit_test(test_commands_on_a_stopped_store),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
