/* The admin server over a socket, with a real store behind it: routes, methods, who is refused, purge and entry. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin_internal.h"

typedef struct fixture {
    char folder[64];
    rm_loop *loop;
    rm_admin *admin;
    rm_store *store;
    rm_observe *observe;
    rm_config *config;
    pthread_t thread;
    rm_task close;
    _Atomic bool ready;
    int port;
} fixture;

static fixture f;

static void fill_gauges(void *user, rm_gauges *gauges)
{
    assert_ptr_equal(user, &f);
    gauges->connections = 7;
}

static bool is_ready(void *user)
{
    (void)user;
    return atomic_load(&f.ready);
}

static rm_config *config_now(void *user)
{
    (void)user;
    return rm_config_ref(f.config);
}

static void *run_loop(void *user)
{
    (void)user;
    rm_loop_run(f.loop);
    return NULL;
}

static void on_closed(void *user)
{
    (void)user;
    rm_loop_stop(f.loop);
}

static void close_admin(rm_task *task)
{
    (void)task;
    rm_admin_close(f.admin, on_closed, NULL);
}

static int set_up(void **state)
{
    rm_config_errors errors;

    (void)state;
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/remora-admin-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    rm_store_options options = {.folder = f.folder, .bytes_max = 64 * RM_MIB, .clock = rm_clock_system()};
    assert_int_equal(rm_store_open(&options, &f.store), RM_OK);
    assert_int_equal(rm_observe_create("off", 1, &f.observe), RM_OK);
    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_parse("f", RM_SLICE("upstreams: [{name: a, base_url: http://h, api_key: hush}]\n"),
                                     &f.config, &errors),
                     RM_OK);
    rm_config_errors_deinit(&errors);
    assert_int_equal(rm_loop_create(0, &f.loop), RM_OK);
    rm_admin_context context = {.observe = f.observe,
                                .store = f.store,
                                .clock = rm_clock_system(),
                                .gauges = fill_gauges,
                                .ready = is_ready,
                                .config = config_now,
                                .user = &f};
    assert_int_equal(rm_admin_create(f.loop, "127.0.0.1:0", &context, &f.admin), RM_OK);
    f.port = rm_admin_port(f.admin);
    assert_int_equal(pthread_create(&f.thread, NULL, run_loop, NULL), 0);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    f.close.run = close_admin;
    rm_exec_post(rm_loop_exec(f.loop), &f.close);
    assert_int_equal(pthread_join(f.thread, NULL), 0);
    rm_loop_destroy(f.loop);
    rm_store_close(f.store);
    rm_observe_destroy(f.observe);
    rm_config_unref(f.config);
    (void)snprintf(command, sizeof(command), "rm -rf %s", f.folder);
    return system(command);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* Sends a request's text and reads to the end; answers the status, the whole answer in `out` (NUL-terminated). */
static int ask_raw(rm_slice request, rm_buf *out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f.port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    char bytes[4096];
    ssize_t got;

    rm_buf_clear(out);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)), 0);
    while (request.len > 0 && (got = send(fd, request.ptr, request.len, MSG_NOSIGNAL)) > 0)
        request = rm_slice_make(request.ptr + got, request.len - (size_t)got);
    while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        rm_buf_append(out, bytes, (size_t)got);
    (void)close(fd);
    rm_buf_append_char(out, 0);
    assert_int_equal(sscanf(out->ptr, "HTTP/1.1 %d", &status), 1);
    return status;
}

static int ask(const char *method, const char *path, const char *headers, const char *body, rm_buf *out)
{
    rm_buf request;

    rm_buf_init(&request, 4 * RM_MIB);
    rm_buf_appendf(&request, "%s %s HTTP/1.1\r\n%sConnection: close\r\n", method, path,
                   headers ? headers : "Host: localhost\r\n");
    if (body)
        rm_buf_appendf(&request, "Content-Length: %zu\r\n", strlen(body));
    rm_buf_append_cstr(&request, "\r\n");
    rm_buf_append_cstr(&request, body ? body : "");
    int status = ask_raw(rm_buf_slice(&request), out);
    rm_buf_deinit(&request);
    return status;
}

static bool says(const rm_buf *out, const char *text)
{
    return strstr(out->ptr, text) != NULL;
}

static void put(uint64_t key, const char *model)
{
    rm_record record = {.key = {key, key},
                        .tenant = {9, 9},
                        .model = rm_slice_cstr(model),
                        .canonical = RM_SLICE("c"),
                        .content = RM_SLICE("{\"said\":\"it\"}"),
                        .content_type = RM_SLICE("application/json"),
                        .form = RM_RECORD_BODY,
                        .op = RM_OP_CHAT,
                        .usage = RM_USAGE_UNKNOWN,
                        .cost_usd = -1};

    record.created_ms = rm_clock_system()->wall_ms(rm_clock_system());
    record.expires_ms = record.stale_until_ms = record.created_ms + 3600000;
    assert_int_equal(rm_store_put(f.store, &record), RM_OK);
    assert_int_equal(rm_store_flush(f.store), RM_OK);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void test_routes(void **state)
{
    static const struct {
        const char *method, *path, *headers;
        int status;
        const char *says;
    } cases[] = {
        {"GET", "/healthz", NULL, 200, "\"status\":\"ok\""},
        {"GET", "/healthz", "Host: anything.example\r\n", 200, "ok"},
        {"GET", "/metrics", NULL, 200, "Content-Type: text/plain; version=0.0.4"},
        {"GET", "/metrics", NULL, 200, "remora_"},
        {"GET", "/metrics", "Host: evil.example\r\n", 403, "this Host is not answered"},
        {"GET", "/api/report", NULL, 200, "\"requests\":"},
        {"GET", "/api/report?since=7d", NULL, 200, "\"requests\":"},
        {"GET", "/api/report?since=7d&format=table", NULL, 200, "text/plain"},
        {"GET", "/api/report?since=soon", NULL, 400, "since must be"},
        {"GET", "/api/cache/stats", NULL, 200, "\"entries\":"},
        {"GET", "/api/cache/entry", NULL, 400, "key must be"},
        {"GET", "/api/cache/entry?key=12", NULL, 400, "key must be"},
        {"GET", "/api/cache/entry?key=ffffffffffffffffffffffffffffffff", NULL, 404, "no entry has that key"},
        {"GET", "/api/config", NULL, 200, "\"api_key\":\"(set)\""},
        {"GET", "/", NULL, 200, "<!doctype html>"},
        {"GET", "/", "Host: evil.example\r\n", 403, "error"},
        {"HEAD", "/", NULL, 200, "text/html"},
        {"GET", "/nothing", NULL, 404, "no such path"},
        {"POST", "/nothing", NULL, 404, "no such path"},
        {"POST", "/metrics", NULL, 405, "Allow: GET, HEAD"},
        {"DELETE", "/", NULL, 405, "Allow: GET, HEAD"},
        {"GET", "/api/cache/purge", NULL, 405, "Allow: POST"},
        {"GET", "/api/semantic", NULL, 200, "\"mode\":\"shadow\",\"max_error\":0.01,"},
        {"GET", "/api/semantic", NULL, 200, "\"ready\":false,\"entries\":0,"},
        {"GET", "/api/semantic", "Host: evil.example\r\n", 403, "error"},
        {"GET", "/api/semantic/receipt", NULL, 400, "id must be"},
        {"GET", "/api/semantic/receipt?id=%4", NULL, 400, "id must be"},
        {"GET", "/api/semantic/receipt?id=a", NULL, 503, "the semantic cache is off"},
        {"POST", "/api/feedback", NULL, 400, "JSON object"},
        {"GET", "/api/feedback", NULL, 405, "Allow: POST"},
        {"GET", "/healthz/", NULL, 404, "error"},
    };
    rm_buf out;

    (void)state;
    rm_buf_init(&out, 8 * RM_MIB);
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        int status = ask(cases[i].method, cases[i].path, cases[i].headers, NULL, &out);
        if (status != cases[i].status || !says(&out, cases[i].says))
            print_error("%s %s: %s\n", cases[i].method, cases[i].path, out.ptr);
        assert_int_equal(status, cases[i].status);
        assert_true(says(&out, cases[i].says));
        assert_true(says(&out, "X-Content-Type-Options: nosniff"));
        assert_false(says(&out, "hush"));
    }
    assert_int_equal(ask("HEAD", "/", NULL, NULL, &out), 200);
    assert_false(says(&out, "<!doctype html>"));
    rm_buf_deinit(&out);
}

static void test_readiness(void **state)
{
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(ask("GET", "/readyz", NULL, NULL, &out), 503);
    atomic_store(&f.ready, true);
    assert_int_equal(ask("GET", "/readyz", NULL, NULL, &out), 200);
    atomic_store(&f.ready, false);
    assert_int_equal(ask("GET", "/healthz", NULL, NULL, &out), 200);
    rm_buf_deinit(&out);
}

static void test_entry_and_purge(void **state)
{
    static const char entry[] = "/api/cache/entry?key=00000000000000010000000000000001";
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    put(1, "m");
    put(2, "n");
    assert_int_equal(ask("GET", entry, NULL, NULL, &out), 200);
    assert_true(says(&out, "\"content\":\"{\\\"said\\\":\\\"it\\\"}\""));
    assert_int_equal(ask("POST", "/api/cache/purge", NULL, "{}", &out), 400);
    assert_true(says(&out, "name at least one condition"));
    assert_int_equal(ask("POST", "/api/cache/purge", NULL, "nonsense", &out), 400);
    assert_int_equal(ask("POST", "/api/cache/purge", NULL, "{\"model\":\"m\"}", &out), 200);
    assert_true(says(&out, "{\"purged\":1}"));
    assert_int_equal(ask("GET", entry, NULL, NULL, &out), 404);
    assert_int_equal(ask("POST", "/api/cache/purge", NULL, "{\"tenant\":\"00000000000000090000000000000009\"}", &out),
                     200);
    assert_true(says(&out, "{\"purged\":1}"));
    rm_buf_deinit(&out);
}

static void test_pages_of_others_change_nothing(void **state)
{
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    put(3, "m");
    static const char *const headers[] = {
        "Host: localhost\r\nOrigin: http://evil.example\r\n", "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "Host: evil.example\r\nOrigin: http://evil.example\r\n"};
    for (size_t i = 0; i < RM_COUNT(headers); i++)
        assert_int_equal(ask("POST", "/api/cache/purge", headers[i], "{\"all\":true}", &out), 403);
    assert_int_equal(
        ask("POST", "/api/cache/purge", "Host: localhost\r\nOrigin: http://localhost\r\n", "{\"all\":true}", &out),
        200);
    assert_true(says(&out, "{\"purged\":1}"));
    rm_buf_deinit(&out);
}

static void test_feedback(void **state)
{
    static const char body[] = "{\"id\":\"a\",\"verdict\":\"wrong\"}";
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(ask("POST", "/api/feedback", "Host: localhost\r\nOrigin: http://evil.example\r\n", body, &out),
                     403);
    assert_int_equal(ask("POST", "/api/feedback", NULL, body, &out), 503);
    assert_true(says(&out, "the semantic cache is off"));
    assert_int_equal(ask("POST", "/api/feedback", NULL, "{\"id\":\"a\"}", &out), 400);
    assert_true(says(&out, "verdict"));
    rm_buf_deinit(&out);
}

static void test_size_of_a_body(void **state)
{
    char *body = rm_alloc(RM_ADMIN_BODY_BYTES_MAX + 2);
    rm_buf out;

    (void)state;
    memset(body, ' ', RM_ADMIN_BODY_BYTES_MAX + 1);
    memcpy(body, "{\"model\":\"none\"}", 16);
    rm_buf_init(&out, RM_MIB);
    body[RM_ADMIN_BODY_BYTES_MAX] = 0;
    assert_int_equal(ask("POST", "/api/cache/purge", NULL, body, &out), 200);
    body[RM_ADMIN_BODY_BYTES_MAX] = ' ';
    body[RM_ADMIN_BODY_BYTES_MAX + 1] = 0;
    assert_int_equal(ask("POST", "/api/cache/purge", NULL, body, &out), 413);
    rm_buf_deinit(&out);
    rm_free(body);
}

static void test_bad_requests_get_json(void **state)
{
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(ask_raw(RM_SLICE("GET / HTTP/1.1\r\nbad header\r\n\r\n"), &out), 400);
    assert_true(says(&out, "{\"error\":{\"message\":\""));
    rm_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),          cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_entry_and_purge), cmocka_unit_test(test_pages_of_others_change_nothing),
        cmocka_unit_test(test_size_of_a_body),  cmocka_unit_test(test_bad_requests_get_json),
        cmocka_unit_test(test_feedback),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
