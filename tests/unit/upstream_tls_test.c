/* TLS, HTTP/2 and proxies, against a real nginx with a certificate of our own making. */
#include "upstream_harness.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STEPS(...) (const fake_step[]){__VA_ARGS__}, sizeof((const fake_step[]){__VA_ARGS__}) / sizeof(fake_step)

enum { BIG_BYTES = 10 * 1024 * 1024 };

static struct {
    char dir[64], ca_file[128];
    int port;
    pid_t pid;
    fake_upstream *behind; /* what nginx passes /pass/ to */
} site;

/* ---- the site ------------------------------------------------------------------------------------------------------- */

static void write_file(const char *name, const char *ptr, size_t bytes)
{
    char path[192];

    snprintf(path, sizeof(path), "%s/%s", site.dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(ptr, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Self-signed, for 127.0.0.1 and no name; it is its own authority. */
static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    char path[192];

    assert_non_null(key);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"remora test",
                               -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(cert, NID_subject_alt_name, "IP:127.0.0.1");
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *file = fopen(site.ca_file, "w");
    assert_non_null(file);
    PEM_write_X509(file, cert);
    fclose(file);
    snprintf(path, sizeof(path), "%s/key.pem", site.dir);
    file = fopen(path, "w");
    assert_non_null(file);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static const char configuration[] =
    "daemon off; worker_processes 1; pid %1$s/pid; error_log %1$s/error.log;\n"
    "events { worker_connections 512; }\n"
    "http {\n"
    "  access_log off; client_max_body_size 64m; keepalive_requests 100000; http2_max_concurrent_streams 100;\n"
    "  client_body_temp_path %1$s/t1; proxy_temp_path %1$s/t2; fastcgi_temp_path %1$s/t3; uwsgi_temp_path %1$s/t4;\n"
    "  scgi_temp_path %1$s/t5;\n"
    "  server {\n"
    "    listen 127.0.0.1:%2$d ssl http2; ssl_certificate %1$s/ca.pem; ssl_certificate_key %1$s/key.pem;\n"
    "    add_header X-Proto $server_protocol always; add_header X-Auth $http_authorization always;\n"
    "    location / { return 200 \"hello\"; }\n"
    "    location /big { root %1$s; }\n"
    "    location /pass/ { proxy_pass http://127.0.0.1:%3$d; proxy_http_version 1.1; proxy_buffering off; }\n"
    "  }\n"
    "}\n";

static void start_nginx(void)
{
    char text[4096], conf[128];
    int fd = fake_listen(&site.port);

    close(fd);
    int len = snprintf(text, sizeof(text), configuration, site.dir, site.port, site.behind->port);
    write_file("nginx.conf", text, (size_t)len);
    snprintf(conf, sizeof(conf), "%s/nginx.conf", site.dir);
    site.pid = fork();
    if (site.pid == 0) {
        setenv("PATH", "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin", 1);
        execlp("nginx", "nginx", "-e", "stderr", "-p", site.dir, "-c", conf, (char *)NULL);
        fprintf(stderr, "nginx cannot be started: is it installed?\n");
        _exit(127);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)site.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (;;) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        int code = connect(fd, (struct sockaddr *)&address, sizeof(address));
        close(fd);
        if (code == 0)
            return;
        assert_int_equal(waitpid(site.pid, NULL, WNOHANG), 0);
        usleep(10000);
    }
}

static unsigned long big_sum;
static const fake_step behind_steps[] = {{OK_REPLY, FAKE_CLOSE, NULL}};

static int site_up(void **state)
{
    char *big = malloc(BIG_BYTES);

    (void)state;
    snprintf(site.dir, sizeof(site.dir), "/tmp/remora-tls-XXXXXX");
    assert_non_null(mkdtemp(site.dir));
    chmod(site.dir, 0755); /* nginx's worker is another user where this runs as root */
    snprintf(site.ca_file, sizeof(site.ca_file), "%s/ca.pem", site.dir);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        big[i] = (char)(i * 2654435761u >> 11);
        big_sum = big_sum * 31 + (unsigned char)big[i];
    }
    write_file("big", big, BIG_BYTES);
    free(big);
    make_certificate();
    site.behind = fake_start(behind_steps, RM_COUNT(behind_steps), NULL);
    start_nginx();
    return 0;
}

static int site_down(void **state)
{
    char command[128];

    (void)state;
    kill(site.pid, SIGTERM);
    waitpid(site.pid, NULL, 0);
    fake_stop(site.behind);
    snprintf(command, sizeof(command), "rm -r '%s'", site.dir);
    return system(command);
}

static rm_upstream_client_options site_options(bool http2)
{
    rm_upstream_client_options options = harness_options();

    options.ca_file = site.ca_file;
    options.http2 = http2;
    return options;
}

static rm_upstream_request site_request(char url[128], const char *host, const char *path)
{
    snprintf(url, 128, "https://%s:%d%s", host, site.port, path);
    return (rm_upstream_request){.method = "GET", .url = url};
}

/* ---- TLS --------------------------------------------------------------------------------------------------------------- */

static void test_versions(void **state)
{
    (void)state;
    for (unsigned http2 = 0; http2 < 2; http2++) {
        bench b;
        asked a = {0};
        char url[128];
        rm_upstream_client_options options = site_options(http2);
        rm_upstream_request request = site_request(url, "127.0.0.1", "/");
        bench_open(&b, &options);
        ask(&b, &a, &request);
        if (a.result.status != RM_OK)
            fail_msg("%s", a.result.text);
        assert_string_equal(a.data, "hello");
        assert_int_equal(a.content_length, 5);
        assert_non_null(strstr(a.head, http2 ? "x-proto: HTTP/2.0\n" : "X-Proto: HTTP/1.1\n"));
        bench_close(&b);
    }
}

static const struct {
    const char *host;
    bool with_ca, verify;
    rm_status status;
} trust[] = {
    {"127.0.0.1", true, true, RM_OK},
    {"127.0.0.1", false, true, RM_ETLS}, /* nobody knows the authority */
    {"localhost", true, true, RM_ETLS},  /* another name */
    {"localhost", false, false, RM_OK},
};

static void test_trust(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(trust); i++) {
        bench b;
        asked a = {0};
        char url[128];
        rm_upstream_client_options options = site_options(true);
        rm_upstream_request request = site_request(url, trust[i].host, "/");
        options.tls_verify = trust[i].verify;
        if (!trust[i].with_ca)
            options.ca_file = NULL;
        request.retries_max = 2; /* not tried again */
        bench_open(&b, &options);
        ask(&b, &a, &request);
        assert_int_equal(a.result.status, trust[i].status);
        assert_int_equal(a.result.tries, 1);
        bench_close(&b);
    }
}

static void test_not_tls(void **state)
{
    bench b;
    asked a = {0};
    char url[128];
    fake_upstream *server = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = {.method = "GET", .url = url};

    (void)state;
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server->port);
    bench_open(&b, NULL);
    request.timeouts.connect_ms = 200;
    ask(&b, &a, &request);
    assert_true(a.result.status == RM_ETLS || a.result.status == RM_ETIMEOUT);
    bench_close(&b);
    fake_stop(server);
}

/* ---- HTTP/2 ------------------------------------------------------------------------------------------------------------ */

/* Many at once share one connection, from a cold start. */
static void test_multiplex(void **state)
{
    enum { MANY = 80 };
    bench b;
    asked all[MANY] = {{0}};
    char url[128];
    rm_upstream_client_options options = site_options(true);
    rm_upstream_request request = site_request(url, "127.0.0.1", "/");

    (void)state;
    bench_open(&b, &options);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(ask_start(&b, &all[i], &request), RM_OK);
    for (unsigned i = 0; i < MANY; i++) {
        bench_until(&b, &all[i].dones, 1);
        assert_int_equal(all[i].result.status, RM_OK);
    }
    assert_int_equal(rm_upstream_client_stats(b.client).connections_opened, 1);
    bench_close(&b);
}

static void resume_later(uv_timer_t *timer)
{
    asked *a = timer->data;

    if (a->dones == 0)
        rm_upstream_resume(a->call);
}

static void pause_often(asked *a, rm_slice bytes)
{
    (void)bytes;
    if (a->data_bytes / 500000 > a->drains) {
        a->drains++;
        rm_upstream_pause(a->call);
        uv_timer_start(a->user, resume_later, 1, 0);
    }
}

/* Large answers on one connection, each paused on its own. */
static void test_pause_streams(void **state)
{
    (void)state;
    for (unsigned http2 = 0; http2 < 2; http2++) {
        enum { MANY = 3 };
        bench b;
        uv_timer_t timers[MANY];
        asked all[MANY] = {{0}};
        char url[128];
        rm_upstream_client_options options = site_options(http2);
        rm_upstream_request request = site_request(url, "127.0.0.1", "/big");
        bench_open(&b, &options);
        for (unsigned i = 0; i < MANY; i++) {
            uv_timer_init(b.uv, &timers[i]);
            timers[i].data = &all[i];
            all[i].user = &timers[i];
            all[i].on_data = pause_often;
            assert_int_equal(ask_start(&b, &all[i], &request), RM_OK);
        }
        for (unsigned i = 0; i < MANY; i++) {
            bench_until(&b, &all[i].dones, 1);
            assert_int_equal(all[i].result.status, RM_OK);
            assert_int_equal(all[i].data_bytes, BIG_BYTES);
            assert_int_equal(all[i].data_sum, big_sum);
            assert_true(all[i].drains > 10);
            uv_close((uv_handle_t *)&timers[i], NULL);
        }
        assert_int_equal(rm_upstream_client_stats(b.client).connections_opened, http2 ? 1 : MANY);
        bench_close(&b);
    }
}

static void cancel_at_data(asked *a, rm_slice bytes)
{
    (void)bytes;
    rm_upstream_cancel(a->call);
}

static void pause_once(asked *a, rm_slice bytes)
{
    if (a->data_bytes == bytes.len)
        rm_upstream_pause(a->call);
}

/* Cancel resets the stream; the connection and what else it carries live on. */
static void test_cancel_stream(void **state)
{
    bench b;
    asked left = {.on_data = cancel_at_data}, stays = {.on_data = pause_once}, next = {0};
    char url[128], url2[128];
    rm_upstream_client_options options = site_options(true);
    rm_upstream_request big = site_request(url, "127.0.0.1", "/big"), small = site_request(url2, "127.0.0.1", "/");

    (void)state;
    bench_open(&b, &options);
    /* The one that stays is held open meanwhile: a connection with no stream left may be closed, and rightly. */
    assert_int_equal(ask_start(&b, &stays, &big), RM_OK);
    bench_until(&b, &stays.heads, 1);
    assert_int_equal(ask_start(&b, &left, &big), RM_OK);
    bench_until(&b, &left.dones, 1);
    assert_int_equal(stays.dones, 0);
    rm_upstream_resume(stays.call);
    bench_until(&b, &stays.dones, 1);
    assert_int_equal(rm_upstream_client_stats(b.client).connections_opened, 1);
    ask(&b, &next, &small); /* libcurl may find what the cut stream left on an idle connection and take a new one */
    assert_int_equal(left.result.status, RM_ECANCELLED);
    assert_int_equal(stays.result.status, RM_OK);
    assert_int_equal(stays.data_sum, big_sum);
    assert_int_equal(next.result.status, RM_OK);
    bench_close(&b);
}

static void test_bodies(void **state)
{
    enum { BYTES = 2 * 1024 * 1024 };
    bench b;
    char url[128];
    char *body = calloc(1, BYTES);
    rm_upstream_client_options options = site_options(true);
    rm_upstream_request request = site_request(url, "127.0.0.1", "/pass/x");

    (void)state;
    bench_open(&b, &options);
    request.method = "POST";
    for (unsigned way = 0; way < 3; way++) { /* whole, streamed with its length, streamed without */
        asked a = {0};
        request.body = rm_slice_make(body, BYTES);
        request.has_body = way == 0;
        request.stream_body = way != 0;
        request.stream_body_bytes = way == 1 ? 3 : -1;
        assert_int_equal(ask_start(&b, &a, &request), RM_OK);
        if (way != 0) {
            for (unsigned turn = 0; turn < 5; turn++)
                uv_run(b.uv, UV_RUN_NOWAIT);
            assert_int_equal(rm_upstream_call_feed(a.call, RM_SLICE("abc")), RM_OK);
            rm_upstream_call_feed_end(a.call);
        }
        bench_until(&b, &a.dones, 1);
        if (a.result.status != RM_OK)
            fail_msg("%u: %s", way, a.result.text);
        assert_string_equal(a.data, "ok");
        assert_int_equal(site.behind->last_body_bytes, way == 0 ? BYTES : 3);
    }
    bench_close(&b);
    free(body);
}

/* ---- proxies ----------------------------------------------------------------------------------------------------------- */

/* Answers CONNECT and carries bytes both ways. */
static void serve_tunnel(fake_conn *conn, void *user)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)site.port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char bytes[16384];

    (void)user;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        fake_send_text(conn, "HTTP/1.1 200 Connection established\r\nX-Of-Proxy: 1\r\n\r\n");
    for (;;) {
        struct pollfd fds[2] = {{conn->fd, POLLIN, 0}, {fd, POLLIN, 0}};
        ssize_t got = 0;
        if (poll(fds, 2, -1) <= 0)
            break;
        for (int i = 0; i < 2; i++) {
            if (!fds[i].revents)
                continue;
            got = recv(fds[i].fd, bytes, sizeof(bytes), 0);
            if (got <= 0 || send(fds[1 - i].fd, bytes, (size_t)got, MSG_NOSIGNAL) != got)
                goto out;
        }
    }
out:
    close(fd);
}

static const rm_header secret = {{"Authorization", 13}, {"Bearer secret", 13}};

static void ask_through(const rm_upstream_client_options *options, fake_upstream *proxy, bool through)
{
    bench b;
    asked a = {0};
    char url[128];
    rm_upstream_request request = site_request(url, "127.0.0.1", "/");

    request.headers = &secret;
    request.header_count = 1;
    bench_open(&b, options);
    ask(&b, &a, &request);
    if (a.result.status != RM_OK)
        fail_msg("%s", a.result.text);
    assert_non_null(strstr(a.head, "Bearer secret"));
    assert_null(strstr(a.head, "X-Of-Proxy"));
    assert_int_equal(proxy->requests, through);
    if (through) {
        assert_int_equal(strncmp(proxy->last_head, "CONNECT 127.0.0.1:", 18), 0);
        assert_null(fake_header(proxy->last_head, "authorization"));
    }
    bench_close(&b);
}

static void test_tunnel(void **state)
{
    char address[64];
    rm_upstream_client_options options = site_options(true);
    fake_upstream *proxy = fake_start(STEPS({NULL, FAKE_CLOSE, serve_tunnel}), NULL);

    (void)state;
    snprintf(address, sizeof(address), "http://127.0.0.1:%d", proxy->port);
    options.proxy = address;
    ask_through(&options, proxy, true);
    fake_stop(proxy);
}

static void test_environment(void **state)
{
    char address[64];
    rm_upstream_client_options options = site_options(true);

    (void)state;
    for (unsigned excepted = 0; excepted < 2; excepted++) {
        fake_upstream *proxy = fake_start(STEPS({NULL, FAKE_CLOSE, serve_tunnel}), NULL);
        snprintf(address, sizeof(address), "http://127.0.0.1:%d", proxy->port);
        setenv("HTTPS_PROXY", address, 1);
        if (excepted)
            setenv("NO_PROXY", "127.0.0.1", 1);
        ask_through(&options, proxy, !excepted);
        unsetenv("HTTPS_PROXY");
        unsetenv("NO_PROXY");
        fake_stop(proxy);
    }
}

static void test_tunnel_refused(void **state)
{
    bench b;
    asked a = {0};
    char url[128], address[64];
    rm_upstream_client_options options = site_options(true);
    fake_upstream *proxy = fake_start(STEPS({"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", FAKE_CLOSE, NULL}), NULL);
    rm_upstream_request request = site_request(url, "127.0.0.1", "/");

    (void)state;
    snprintf(address, sizeof(address), "http://127.0.0.1:%d", proxy->port);
    options.proxy = address;
    bench_open(&b, &options);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_ECONNECT);
    assert_false(a.result.head_sent);
    bench_close(&b);
    fake_stop(proxy);
}

static void test_plain_proxy(void **state)
{
    bench b;
    asked a = {0};
    char address[64];
    rm_upstream_client_options options = harness_options();
    fake_upstream *proxy = fake_start(STEPS({OK_REPLY, 0, NULL}), NULL);
    rm_upstream_request request = {.method = "GET", .url = "http://192.0.2.1/x?y=1"};

    (void)state;
    snprintf(address, sizeof(address), "http://127.0.0.1:%d", proxy->port);
    options.proxy = address;
    bench_open(&b, &options);
    ask(&b, &a, &request);
    assert_int_equal(a.result.status, RM_OK);
    assert_int_equal(strncmp(proxy->last_head, "GET http://192.0.2.1/x?y=1 HTTP/1.1\r\nHost: 192.0.2.1\r\n", 53), 0);
    bench_close(&b);
    fake_stop(proxy);
}

int main(void)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),      cmocka_unit_test(test_trust),
        cmocka_unit_test(test_not_tls),       cmocka_unit_test(test_multiplex),
        cmocka_unit_test(test_pause_streams), cmocka_unit_test(test_cancel_stream),
        cmocka_unit_test(test_bodies),        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_environment),   cmocka_unit_test(test_tunnel_refused),
        cmocka_unit_test(test_plain_proxy),
    };

    for (size_t i = 0; i < RM_COUNT(proxies); i++)
        unsetenv(proxies[i]);
    return cmocka_run_group_tests(tests, site_up, site_down);
}
