/* Answers that no HTTP library would send, on a listener of their own: "/raw/KIND/…", any method, any body.
 *
 * As a base URL, http://host:port/raw/KIND puts a proxy's upstream side before each of them. One request a connection.
 * What is written is prepared whole; a drip sends it a byte a millisecond, a reset closes with RST (SO_LINGER 0). */
#include <stdlib.h>
#include <strings.h>

#include "mock_internal.h"

#define RAW_REQUEST_BYTES_MAX (1 * RM_MIB)
#define RAW_READ_BYTES        4096
#define HUGE_HEADER_BYTES     (128 * RM_KIB)
#define MANY_HEADERS          1000

typedef enum raw_end { RAW_FIN, RAW_RST, RAW_HOLD } raw_end;

typedef struct raw_kind {
    const char *name;
    void (*make)(const rm_mock *mock, rm_buf *out);
    raw_end end;
    bool drip;
} raw_kind;

struct rm_mock_raw {
    uv_tcp_t tcp;
    rm_mock *mock;
    rm_link conns;
};

typedef struct raw_conn {
    rm_link link;
    struct rm_mock_raw *raw;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    uint8_t handles_open;
    bool answered;
    const raw_kind *kind;
    rm_buf in, out;
    size_t dripped;
    char read_bytes[RAW_READ_BYTES];
} raw_conn;

/* ---- what is sent ------------------------------------------------------------------------------------------------ */

#define JSON_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define SSE_HEAD  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

static rm_slice json_body(const rm_mock *mock)
{
    return rm_buf_slice(&mock->canned_body.bytes);
}

static void append_sized(const rm_mock *mock, const char *head, long more, rm_buf *out)
{
    rm_buf_append_cstr(out, head);
    rm_buf_appendf(out, "Content-Length: %ld\r\n\r\n", (long)json_body(mock).len + more);
    rm_buf_append_slice(out, json_body(mock));
}

static void make_plain(const rm_mock *mock, rm_buf *out)
{
    append_sized(mock, JSON_HEAD, 0, out);
}

static void make_close_delimited(const rm_mock *mock, rm_buf *out)
{
    rm_buf_append_cstr(out, JSON_HEAD "Connection: close\r\n\r\n");
    rm_buf_append_slice(out, json_body(mock));
}

static void make_close_delimited_stream(const rm_mock *mock, rm_buf *out)
{
    rm_buf_append_cstr(out, SSE_HEAD "Connection: close\r\n\r\n");
    rm_buf_append_slice(out, rm_buf_slice(&mock->canned_stream.bytes));
}

static void make_http_1_0(const rm_mock *mock, rm_buf *out)
{
    rm_buf_append_cstr(out, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n");
    rm_buf_append_slice(out, json_body(mock));
}

static void make_short(const rm_mock *mock, rm_buf *out)
{
    append_sized(mock, JSON_HEAD, 100, out);
}

static void make_half_head(const rm_mock *mock, rm_buf *out)
{
    (void)mock;
    rm_buf_append_cstr(out, "HTTP/1.1 200 OK\r\nContent-Ty");
}

static void make_half_stream(const rm_mock *mock, rm_buf *out)
{
    rm_slice events = rm_buf_slice(&mock->canned_stream.bytes);
    rm_buf_append_cstr(out, SSE_HEAD "Transfer-Encoding: chunked\r\n\r\n");
    rm_buf_appendf(out, "%zx\r\n", events.len);
    rm_buf_append(out, events.ptr, events.len / 2);
}

static void make_bad_chunk(const rm_mock *mock, rm_buf *out)
{
    (void)mock;
    rm_buf_append_cstr(out, JSON_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\nzz\r\n:1}\r\n0\r\n\r\n");
}

static void make_trailers(const rm_mock *mock, rm_buf *out)
{
    rm_slice body = json_body(mock);
    rm_buf_append_cstr(out, JSON_HEAD "Transfer-Encoding: chunked\r\nTrailer: x-checksum\r\n\r\n");
    rm_buf_appendf(out, "%zx;name=value\r\n", body.len);
    rm_buf_append_slice(out, body);
    rm_buf_append_cstr(out, "\r\n0\r\nx-checksum: 1\r\n\r\n");
}

static void make_bad_status(const rm_mock *mock, rm_buf *out)
{
    append_sized(mock, "HTTP/1.1 2x0 OK\r\n", 0, out);
}

static void make_garbage(const rm_mock *mock, rm_buf *out)
{
    (void)mock;
    rm_buf_append_cstr(out, "\x16\x03\x01 this is not HTTP\n\n\n");
}

static void make_two_lengths(const rm_mock *mock, rm_buf *out)
{
    append_sized(mock, JSON_HEAD "Content-Length: 3\r\n", 0, out);
}

static void make_bare_lf(const rm_mock *mock, rm_buf *out)
{
    rm_buf_appendf(out, "HTTP/1.1 200 OK\nContent-Length: %zu\n\n", json_body(mock).len);
    rm_buf_append_slice(out, json_body(mock));
}

static void make_no_reason(const rm_mock *mock, rm_buf *out)
{
    append_sized(mock, "HTTP/1.1 200\r\nContent-Type: application/json\r\n", 0, out);
}

static void make_interim(const rm_mock *mock, rm_buf *out)
{
    rm_buf_append_cstr(out, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n");
    make_plain(mock, out);
}

static void make_huge_header(const rm_mock *mock, rm_buf *out)
{
    rm_buf_append_cstr(out, JSON_HEAD "X-Huge: ");
    for (size_t i = 0; i < HUGE_HEADER_BYTES; i++)
        rm_buf_append_char(out, 'x');
    append_sized(mock, "\r\n", 0, out);
}

static void make_many_headers(const rm_mock *mock, rm_buf *out)
{
    rm_buf_append_cstr(out, JSON_HEAD);
    for (int i = 0; i < MANY_HEADERS; i++)
        rm_buf_appendf(out, "X-Many-%d: %d\r\n", i, i);
    append_sized(mock, "", 0, out);
}

static void make_nothing(const rm_mock *mock, rm_buf *out)
{
    (void)mock;
    (void)out;
}

static void make_wrong_gzip(const rm_mock *mock, rm_buf *out)
{
    append_sized(mock, JSON_HEAD "Content-Encoding: gzip\r\n", 0, out);
}

static const raw_kind kinds[] = {
    {"plain", make_plain, RAW_FIN, false},
    {"close-delimited", make_close_delimited, RAW_FIN, false},
    {"close-delimited-stream", make_close_delimited_stream, RAW_FIN, false},
    {"http-1.0", make_http_1_0, RAW_FIN, false},
    {"drip", make_plain, RAW_FIN, true},
    {"drip-stream", make_close_delimited_stream, RAW_FIN, true},
    {"interim", make_interim, RAW_FIN, false},
    {"trailers", make_trailers, RAW_FIN, false},
    {"no-reason", make_no_reason, RAW_FIN, false},
    {"many-headers", make_many_headers, RAW_FIN, false},
    {"huge-header", make_huge_header, RAW_FIN, false},
    {"bare-lf", make_bare_lf, RAW_FIN, false},
    {"two-lengths", make_two_lengths, RAW_FIN, false},
    {"bad-status", make_bad_status, RAW_FIN, false},
    {"bad-chunk", make_bad_chunk, RAW_FIN, false},
    {"wrong-gzip", make_wrong_gzip, RAW_FIN, false},
    {"garbage", make_garbage, RAW_FIN, false},
    {"empty", make_nothing, RAW_FIN, false},
    {"short", make_short, RAW_FIN, false},
    {"short-stream", make_half_stream, RAW_FIN, false},
    {"reset", make_nothing, RAW_RST, false},
    {"reset-head", make_half_head, RAW_RST, false},
    {"reset-stream", make_half_stream, RAW_RST, false},
    {"stall", make_nothing, RAW_HOLD, false},
    {"stall-head", make_half_head, RAW_HOLD, false},
    {"stall-stream", make_half_stream, RAW_HOLD, false},
};

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void on_conn_closed(uv_handle_t *handle)
{
    raw_conn *conn = handle->data;
    if (--conn->handles_open > 0)
        return;
    rm_list_remove(&conn->link);
    rm_buf_deinit(&conn->in);
    rm_buf_deinit(&conn->out);
    rm_free(conn);
}

static void close_conn(raw_conn *conn, bool reset)
{
    if (uv_is_closing((uv_handle_t *)&conn->tcp))
        return;
    if (!reset || uv_tcp_close_reset(&conn->tcp, on_conn_closed) != 0)
        uv_close((uv_handle_t *)&conn->tcp, on_conn_closed);
    uv_close((uv_handle_t *)&conn->timer, on_conn_closed);
}

static void end_conn(raw_conn *conn)
{
    if (conn->kind->end != RAW_HOLD)
        close_conn(conn, conn->kind->end == RAW_RST);
}

static void on_written(uv_write_t *write, int status)
{
    raw_conn *conn = write->data;
    if (status != 0)
        close_conn(conn, false);
    else if (!conn->kind->drip)
        end_conn(conn);
}

static void on_drip(uv_timer_t *timer)
{
    raw_conn *conn = timer->data;
    uv_buf_t one = uv_buf_init(conn->out.ptr + conn->dripped, 1);
    int taken = uv_try_write((uv_stream_t *)&conn->tcp, &one, 1);
    if (taken == 1 && ++conn->dripped == conn->out.len)
        end_conn(conn);
    else if (taken < 0 && taken != UV_EAGAIN)
        close_conn(conn, false);
}

static void answer(raw_conn *conn, const raw_kind *kind)
{
    conn->answered = true;
    conn->kind = kind;
    kind->make(conn->raw->mock, &conn->out);
    if (conn->out.len == 0) {
        end_conn(conn);
    } else if (kind->drip) {
        uv_timer_start(&conn->timer, on_drip, 1, 1);
    } else {
        uv_buf_t all = uv_buf_init(conn->out.ptr, (unsigned)conn->out.len);
        conn->write.data = conn;
        if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &all, 1, on_written) != 0)
            close_conn(conn, false);
    }
}

/* Whether the request has all come: its head and as much body as Content-Length says. */
static bool request_whole(rm_slice in)
{
    const char *end = rm_slice_find(in, RM_SLICE("\r\n\r\n"));
    if (!end)
        return false;
    const char *line = rm_slice_find(rm_slice_make(in.ptr, (size_t)(end - in.ptr)), RM_SLICE("ontent-"));
    uint64_t length = 0;
    while (line) {
        if (strncasecmp(line, "ontent-length:", 14) == 0) {
            length = strtoull(line + 14, NULL, 10);
            break;
        }
        line = rm_slice_find(rm_slice_make(line + 1, (size_t)(end - line - 1)), RM_SLICE("ontent-"));
    }
    return in.len - (size_t)(end + 4 - in.ptr) >= length;
}

/* The kind named by "METHOD /raw/KIND…", NULL if none. */
static const raw_kind *find_kind(rm_slice in)
{
    const rm_slice mark = RM_SLICE(" /raw/");
    const char *at = rm_slice_find(in, mark);
    if (!at)
        return NULL;
    at += mark.len;
    size_t len = strcspn(at, "/? \r\n");
    for (size_t i = 0; i < RM_COUNT(kinds); i++)
        if (rm_slice_eq(rm_slice_make(at, len), rm_slice_cstr(kinds[i].name)))
            return &kinds[i];
    return NULL;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    raw_conn *conn = handle->data;
    *buf = uv_buf_init(conn->read_bytes, sizeof(conn->read_bytes));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    raw_conn *conn = stream->data;
    if (nread < 0) {
        close_conn(conn, false);
        return;
    }
    if (conn->answered || nread == 0)
        return;
    if (rm_buf_append(&conn->in, buf->base, (size_t)nread) != RM_OK || rm_buf_append_char(&conn->in, 0) != RM_OK) {
        close_conn(conn, false);
        return;
    }
    conn->in.len--; /* the NUL stands behind the text for the C library's readers of numbers */
    if (!request_whole(rm_buf_slice(&conn->in)))
        return;
    const raw_kind *kind = find_kind(rm_buf_slice(&conn->in));
    if (kind)
        answer(conn, kind);
    else
        close_conn(conn, false);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct rm_mock_raw *raw = server->data;
    raw_conn *conn = status == 0 ? rm_calloc(1, sizeof(*conn)) : NULL;
    if (!conn)
        return;
    conn->raw = raw;
    rm_buf_init(&conn->in, RAW_REQUEST_BYTES_MAX);
    rm_buf_init(&conn->out, RM_MOCK_SCRIPT_BYTES_MAX);
    rm_list_append(&raw->conns, &conn->link);
    uv_tcp_init(server->loop, &conn->tcp);
    uv_timer_init(server->loop, &conn->timer);
    conn->tcp.data = conn->timer.data = conn;
    conn->handles_open = 2;
    if (uv_accept(server, (uv_stream_t *)&conn->tcp) != 0 ||
        uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0) {
        close_conn(conn, false);
        return;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
}

/* ---- listener ---------------------------------------------------------------------------------------------------- */

static void on_listener_closed(uv_handle_t *handle)
{
    rm_free(handle->data);
}

rm_status rm_mock__raw_open(rm_mock *mock, const char *address, struct rm_mock_raw **ret_raw)
{
    const char *colon = strrchr(address, ':');
    char host[64];
    struct sockaddr_in where;
    uint64_t port;
    if (!colon || (size_t)(colon - address) >= sizeof(host) || rm_parse_u64(rm_slice_cstr(colon + 1), &port) != RM_OK ||
        port > UINT16_MAX)
        return RM_EINVAL;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    if (uv_ip4_addr(host, (int)port, &where) != 0)
        return RM_EINVAL;
    struct rm_mock_raw *raw = rm_calloc(1, sizeof(*raw));
    if (!raw)
        return RM_ENOMEM;
    raw->mock = mock;
    rm_list_init(&raw->conns);
    uv_tcp_init(rm_loop_uv(mock->loop), &raw->tcp);
    raw->tcp.data = raw;
    if (uv_tcp_bind(&raw->tcp, (const struct sockaddr *)&where, 0) != 0 ||
        uv_listen((uv_stream_t *)&raw->tcp, 4096, on_connection) != 0) {
        uv_close((uv_handle_t *)&raw->tcp, on_listener_closed);
        return RM_EIO;
    }
    *ret_raw = raw;
    return RM_OK;
}

void rm_mock__raw_close(struct rm_mock_raw *raw)
{
    if (!raw)
        return;
    for (rm_link *link = raw->conns.next; link != &raw->conns; link = link->next)
        close_conn(RM_CONTAINER_OF(link, raw_conn, link), false);
    uv_close((uv_handle_t *)&raw->tcp, on_listener_closed);
}
