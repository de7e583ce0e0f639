/* One HTTP/1.1 connection.
 *
 *                      first byte             head               body's end
 *     IDLE ----------> READING_HEAD --------> READING_BODY -----> ANSWERING
 *       ^                                          |                  |
 *       |  answered, body read, connection kept    |                  |
 *       +------------------------------------------+------------------+
 *                                                  | answered, connection not kept, or body not read
 *                                                  v
 *                        CLOSING <------------ LINGERING
 *
 * Any state goes to CLOSING when the caller leaves or a deadline passes. The answer may begin in any state after the
 * head. Callbacks are made only from conn_drive and what it feeds, never from inside an rm_req function:
 * those leave a mark and, when the connection is not being run, post its task. */
#include "net_internal.h"

#include <sys/socket.h>
#include <unistd.h>

#define NO_TIMEOUT    SIZE_MAX
#define OPTION(field) offsetof(rm_server_options, field)

/* What waits for the caller in each state, and what ends the wait. */
typedef struct state_rule {
    size_t timeout_at;   /* the deadline's field in rm_server_options; NO_TIMEOUT: none */
    uint64_t timeout_ms; /* ... then this; 0: none at all */
    bool parses;         /* bytes go to the parser; else they are read ahead or dropped */
    int late_status;     /* answered when the deadline passes before an answer began; 0: nothing is */
} state_rule;

static const state_rule rules[RM_CONN_STATE_COUNT] = {
    [RM_CONN_READING_HEAD] = {OPTION(header_timeout_ms), 0, true, 408},
    [RM_CONN_READING_BODY] = {OPTION(body_timeout_ms), 0, true, 408},
    [RM_CONN_ANSWERING] = {NO_TIMEOUT, 0, false, 0},
    [RM_CONN_IDLE] = {OPTION(idle_timeout_ms), 0, true, 0},
    [RM_CONN_LINGERING] = {NO_TIMEOUT, RM_LINGER_MS, false, 0},
    [RM_CONN_CLOSING] = {NO_TIMEOUT, 0, false, 0},
};

static void conn_run(rm_conn *conn);

/* ---- deadlines --------------------------------------------------------------------------------------------------- */

static uint64_t now_ms(const rm_conn *conn)
{
    return uv_now(&conn->loop->uv);
}

/* The timer stands at or before the earlier deadline. Deadlines mostly move away, so it is left where it is and looks
 * again when it fires. */
static void timer_update(rm_conn *conn)
{
    uint64_t due = conn->read_due_ms;

    if (conn->write_due_ms && (due == 0 || conn->write_due_ms < due))
        due = conn->write_due_ms;
    if (due == 0 || (rm_timer_armed(&conn->timer) && conn->timer.due_ms <= due))
        return;
    rm_timer_start(&conn->loop->exec, &conn->timer, due > now_ms(conn) ? due - now_ms(conn) : 0);
}

static void read_deadline_set(rm_conn *conn)
{
    const state_rule *rule = &rules[conn->state];
    uint64_t timeout_ms = rule->timeout_ms;

    if (rule->timeout_at != NO_TIMEOUT)
        memcpy(&timeout_ms, (const char *)&conn->listener->options + rule->timeout_at, sizeof(timeout_ms));
    if (conn->state == RM_CONN_READING_BODY && conn->req.body_paused)
        timeout_ms = 0; /* it is the handler that waits */
    conn->read_due_ms = timeout_ms ? now_ms(conn) + timeout_ms : 0;
}

static void write_deadline_set(rm_conn *conn)
{
    uint64_t timeout_ms = conn->listener->options.write_timeout_ms;

    if (timeout_ms == 0 || rm_net__output_bytes(conn) == 0) {
        conn->write_due_ms = 0;
    } else if (conn->write_due_ms == 0) {
        conn->write_due_ms = now_ms(conn) + timeout_ms;
        conn->write_seen_bytes = uv_stream_get_write_queue_size(&conn->uv.stream);
    }
}

static void state_set(rm_conn *conn, rm_conn_state state)
{
    conn->state = state;
    read_deadline_set(conn);
}

/* Whether the kernel took anything since the write deadline was set: a long segment is one write to libuv. */
static bool write_progressed(rm_conn *conn)
{
    size_t bytes = uv_stream_get_write_queue_size(&conn->uv.stream);

    if (bytes >= conn->write_seen_bytes)
        return false;
    conn->write_seen_bytes = bytes;
    conn->write_due_ms = now_ms(conn) + conn->listener->options.write_timeout_ms;
    return true;
}

static void read_timeout(rm_conn *conn)
{
    int late_status = rules[conn->state].late_status;

    conn->read_due_ms = 0;
    if (!conn->req.begun || !late_status || conn->req.replied) {
        rm_net__conn_abort(conn, RM_ETIMEOUT);
        return;
    }
    rm_net__reply_error(conn, late_status, "the request did not come in time");
    conn->req.why = RM_ETIMEOUT;
}

static void on_timer(rm_timer *timer)
{
    rm_conn *conn = RM_CONTAINER_OF(timer, rm_conn, timer);
    uint64_t now = now_ms(conn);

    if (conn->state == RM_CONN_CLOSING)
        return;
    if (conn->write_due_ms && conn->write_due_ms <= now && !write_progressed(conn))
        rm_net__conn_abort(conn, RM_ETIMEOUT);
    else if (conn->read_due_ms && conn->read_due_ms <= now)
        read_timeout(conn);
    conn_run(conn);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void conn_free(rm_conn *conn)
{
    rm_http_parser_destroy(conn->parser);
    rm_buf_deinit(&conn->ahead);
    rm_free(conn);
}

static void on_closed(uv_handle_t *handle)
{
    rm_conn *conn = handle->data;

    rm_net__output_drop(conn);
    rm_net__listener_forget(conn);
    conn->listener = NULL;
    if (!conn->task_posted) /* else its task frees it */
        conn_free(conn);
}

static void req_begin(rm_conn *conn)
{
    rm_arena_init(&conn->req.arena, conn->loop->arenas, RM_EXCHANGE_ARENA_BYTES_MAX);
    conn->req.begun = true;
    conn->req.begin_ns = conn->read_ns;
}

/* The request is over; its owner hears of it last of all. */
static void req_finish(rm_conn *conn, rm_status why)
{
    rm_req *req = &conn->req;

    if (!req->begun)
        return;
    if (conn->loop->corked == conn) { /* ended between cork and uncork */
        conn->loop->corked = NULL;
        rm_buf_clear(&conn->loop->gathered);
    }
    req->finished = true;
    if (req->user)
        conn->listener->options.ops->on_close(req->user, why);
    rm_arena_deinit(&req->arena);
    memset(req, 0, sizeof(*req));
    req->conn = conn;
}

static void conn_close(rm_conn *conn, rm_status why)
{
    if (conn->state == RM_CONN_CLOSING)
        return;
    state_set(conn, RM_CONN_CLOSING);
    rm_timer_stop(&conn->loop->exec, &conn->timer);
    uv_close(&conn->uv.handle, on_closed);
    req_finish(conn, why);
}

/* A broken answer that only the end of the connection delimits must not look whole: it ends with a RST. */
static void conn_cut(rm_conn *conn)
{
    if (conn->req.until_close && !conn->req.ended && !conn->listener->is_unix) {
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        uv_os_fd_t fd;

        if (uv_fileno(&conn->uv.handle, &fd) == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    }
    conn_close(conn, conn->req.why);
}

/* RFC 9112 9.6: close the sending half, then read on for a while, so that the answer is not lost to a RST. */
static void conn_linger(rm_conn *conn)
{
    uv_os_fd_t fd;

    rm_buf_deinit(&conn->ahead);
    state_set(conn, RM_CONN_LINGERING);
    if (uv_fileno(&conn->uv.handle, &fd) != 0 || shutdown(fd, SHUT_WR) != 0)
        conn_close(conn, RM_ERESET);
}

void rm_net__conn_abort(rm_conn *conn, rm_status why)
{
    if (conn->state == RM_CONN_CLOSING || conn->cut)
        return;
    conn->cut = true;
    if (conn->req.why == RM_OK)
        conn->req.why = why;
    rm_net__conn_wake(conn);
}

void rm_net__conn_drain(rm_conn *conn)
{
    conn->close_after = true;
    if (!conn->req.begun && conn->ahead.len == 0 && conn->state != RM_CONN_LINGERING)
        rm_net__conn_abort(conn, RM_ERESET);
}

/* ---- a request's events, from the parser ------------------------------------------------------------------------- */

static rm_arena *on_begin(void *user)
{
    rm_conn *conn = user;

    req_begin(conn);
    if (conn->state == RM_CONN_IDLE) /* a new connection's deadline runs from its accept */
        state_set(conn, RM_CONN_READING_HEAD);
    return &conn->req.arena;
}

static void on_head(void *user, const rm_http_head *head)
{
    rm_conn *conn = user;
    rm_req *req = &conn->req;
    const rm_server_options *options = &conn->listener->options;

    req->head = head;
    req->body_read = !head->chunked && head->content_length <= 0;
    state_set(conn, RM_CONN_READING_BODY);
    if (options->cors && rm_net__reply_preflight(conn))
        return;
    req->user = options->ops->on_request(options->server_user, req);
    if (!req->user)
        rm_net__reply_error(conn, 503, "the server is busy");
}

static void on_body(void *user, rm_slice bytes)
{
    rm_conn *conn = user;

    conn->req.body_started = true;
    read_deadline_set(conn);
    if (conn->req.user && !conn->cut)
        conn->listener->options.ops->on_body(conn->req.user, bytes);
}

static void on_end(void *user)
{
    rm_conn *conn = user;

    conn->req.body_read = true;
    state_set(conn, RM_CONN_ANSWERING);
    if (conn->req.user && !conn->cut)
        conn->listener->options.ops->on_body_end(conn->req.user);
}

static const rm_http_events events = {on_begin, on_head, on_body, on_end};

/* The bytes are not HTTP, or go over a bound: nothing after them can be understood. */
static void on_bad_request(rm_conn *conn, rm_http_error error)
{
    if (!conn->req.begun) /* not even its first byte */
        req_begin(conn);
    conn->close_after = true;
    if (conn->req.ended) /* the answer is on its way, it just goes out */
        return;
    if (conn->req.replied) {
        rm_net__conn_abort(conn, RM_EPROTO);
        return;
    }
    rm_net__reply_error(conn, rm_http_error_status(error), rm_http_error_text(error));
    conn->req.why = RM_EPROTO;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* The answer is with the kernel to its last byte. */
static void answer_done(rm_conn *conn)
{
    bool keep = conn->state == RM_CONN_ANSWERING;

    req_finish(conn, conn->req.why);
    if (conn->cut) {
        conn_close(conn, RM_ERESET);
    } else if (keep && !conn->close_after) {
        rm_http_parser_next(conn->parser);
        state_set(conn, RM_CONN_IDLE);
    } else {
        conn_linger(conn);
    }
}

/* Takes up what rm_req functions and deadlines left behind; true: the parser may have more bytes. */
static bool settle(rm_conn *conn)
{
    if (conn->state == RM_CONN_CLOSING)
        return false;
    if (conn->cut) {
        conn_cut(conn);
        return false;
    }
    if (conn->drain_due) {
        conn->drain_due = false;
        if (conn->req.user && !conn->req.ended)
            conn->listener->options.ops->on_drain(conn->req.user);
        return settle(conn);
    }
    if (conn->req.ended && rm_net__output_bytes(conn) == 0)
        answer_done(conn);
    return rules[conn->state].parses && !conn->req.body_paused && conn->req.why == RM_OK;
}

/* The only place from which a connection moves on. `bytes` are the next ones off the wire; what is left is returned. */
static rm_slice conn_drive(rm_conn *conn, rm_slice bytes)
{
    conn->driving = true;
    while (settle(conn) && bytes.len) {
        size_t used = 0;
        rm_http_error error = rm_http_parser_feed(conn->parser, bytes, &used);

        bytes = rm_slice_make(bytes.ptr + used, bytes.len - used);
        if (error != RM_HTTP_OK)
            on_bad_request(conn, error);
        else if (conn->state == RM_CONN_READING_BODY)
            rm_net__reply_continue(conn);
    }
    conn->driving = false;
    return bytes;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

/* Reads as long as what comes has a place. While an answer is made that place is small, but it is there: the end of
 * the stream is how a caller who leaves is noticed. */
static void reading_update(rm_conn *conn)
{
    bool wanted = conn->ahead.len < RM_PIPELINE_BYTES_MAX && !(rules[conn->state].parses && conn->req.body_paused);

    if (wanted == conn->reading)
        return;
    conn->reading = wanted;
    if (conn->state == RM_CONN_READING_BODY) /* it is not the caller's fault that nothing was read */
        read_deadline_set(conn);
    if (!wanted)
        uv_read_stop(&conn->uv.stream);
    else if (uv_read_start(&conn->uv.stream, on_alloc, on_read) != 0)
        rm_net__conn_abort(conn, RM_ERESET);
}

/* After every step of a connection that is still open. */
static void conn_after(rm_conn *conn)
{
    if (conn->state == RM_CONN_CLOSING)
        return;
    reading_update(conn);
    write_deadline_set(conn);
    timer_update(conn);
}

/* Goes on with what was read ahead. */
static void conn_run(rm_conn *conn)
{
    rm_slice ahead = rm_buf_slice(&conn->ahead);
    rm_slice rest = conn_drive(conn, ahead);

    if (conn->ahead.len) { /* not dropped meanwhile */
        if (rest.len == 0)
            rm_buf_deinit(&conn->ahead); /* an idle connection keeps no buffer */
        else
            rm_buf_consume(&conn->ahead, ahead.len - rest.len);
    }
    conn_after(conn);
}

static void on_task(rm_task *task)
{
    rm_conn *conn = RM_CONTAINER_OF(task, rm_conn, task);

    conn->task_posted = false;
    if (!conn->listener) /* closed meanwhile */
        conn_free(conn);
    else if (conn->state != RM_CONN_CLOSING)
        conn_run(conn);
}

void rm_net__conn_wake(rm_conn *conn)
{
    if (conn->driving || conn->task_posted)
        return;
    conn->task_posted = true;
    rm_exec_post(&conn->loop->exec, &conn->task);
}

void rm_net__conn_written(rm_conn *conn, bool failed)
{
    conn->write_due_ms = 0; /* the kernel took something */
    if (failed)
        rm_net__conn_abort(conn, RM_ECANCELLED);
    if (conn->req.above_high && rm_net__output_bytes(conn) < RM_WRITE_LOW_BYTES) {
        conn->req.above_high = false;
        conn->drain_due = true;
    }
    conn_run(conn);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    rm_conn *conn = handle->data;
    size_t len = RM_READ_BYTES - conn->ahead.len; /* both bounds are the same: what is read ahead fits one read */

    (void)suggested;
    *buf = uv_buf_init(conn->loop->read_bytes, (unsigned)len);
}

static void read_ahead(rm_conn *conn, rm_slice bytes)
{
    if (conn->state == RM_CONN_CLOSING || bytes.len == 0)
        return;
    if (conn->state == RM_CONN_LINGERING) {
        conn->linger_bytes += bytes.len;
        if (conn->linger_bytes > RM_LINGER_BYTES_MAX)
            conn_close(conn, RM_ERESET);
        return;
    }
    if (conn->ahead.max == 0)
        rm_buf_init(&conn->ahead, RM_PIPELINE_BYTES_MAX);
    if (rm_buf_append_slice(&conn->ahead, bytes) != RM_OK)
        rm_net__conn_abort(conn, RM_ERESET);
}

_Static_assert(RM_PIPELINE_BYTES_MAX == RM_READ_BYTES, "on_alloc and read_ahead count on it");

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    rm_conn *conn = stream->data;
    rm_slice bytes;

    if (got == 0 || conn->state == RM_CONN_CLOSING)
        return;
    if (got < 0) { /* the end of the stream, or an error: the caller left */
        rm_net__conn_abort(conn, RM_ECANCELLED);
        conn_drive(conn, RM_SLICE_NONE);
        return;
    }
    bytes = rm_slice_make(buf->base, (size_t)got);
    conn->read_ns = uv_hrtime();
    if (conn->ahead.len == 0)
        bytes = conn_drive(conn, bytes);
    read_ahead(conn, bytes);
    conn_after(conn);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static int stream_open(rm_conn *conn, int fd)
{
    int code;

    if (conn->listener->is_unix) {
        uv_pipe_init(&conn->loop->uv, &conn->uv.pipe, 0);
        code = uv_pipe_open(&conn->uv.pipe, fd);
    } else {
        uv_tcp_init(&conn->loop->uv, &conn->uv.tcp);
        code = uv_tcp_open(&conn->uv.tcp, fd);
    }
    conn->uv.handle.data = conn;
    return code;
}

rm_conn *rm_net__conn_open(rm_listener *listener, int fd, const rm_address *peer)
{
    rm_conn *conn = rm_calloc(1, sizeof(*conn));

    if (!conn || !(conn->parser = rm_http_parser_create(&events, conn))) {
        rm_free(conn);
        close(fd);
        return NULL;
    }
    conn->loop = listener->loop;
    conn->listener = listener;
    conn->req.conn = conn;
    conn->task.run = on_task;
    conn->timer.fire = on_timer;
    conn->read_ns = uv_hrtime();
    rm_net__address_format(peer, conn->peer, sizeof(conn->peer));
    rm_list_append(&listener->conns, &conn->link);
    listener->conn_count++;
    state_set(conn, RM_CONN_READING_HEAD);
    if (stream_open(conn, fd) != 0) {
        close(fd);
        conn_close(conn, RM_EIO);
        return NULL;
    }
    conn_after(conn);
    return conn;
}

void rm_net__conn_refuse(rm_conn *conn)
{
    conn->refused = true;
    conn->listener->refused_count++;
    req_begin(conn);
    rm_net__reply_error(conn, 503, "too many connections");
    rm_net__conn_wake(conn);
}
