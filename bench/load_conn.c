/* One keep-alive connection of the load generator.
 *
 *   CLOSED -> CONNECTING -> IDLE <-> BUSY
 *      ^                      |       |
 *      +---- CLOSING <--------+-------+   (error, cancel, "Connection: close", end of the round)
 *
 * The handles (socket, timer, and a poll of the socket where lag is measured) are opened together and the slot is CLOSED
 * again when each one's close callback ran. */
#include <fcntl.h>
#include <unistd.h>

#include "load_internal.h"

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    rm_load_conn *conn = handle->data;
    *buf = uv_buf_init(conn->run->read_bytes, sizeof(conn->run->read_bytes));
}

static void record_answer(rm_load_conn *conn, uint64_t now_ns)
{
    rm_load_run *run = conn->run;
    rm_load_stats *stats = run->stats;
    const rm_load_answer *answer = &conn->answer;
    rm_load_error verdict = rm_load__answer_verdict(conn);
    run->finished++;
    if (now_ns >= run->begin_ns && now_ns < run->end_ns) {
        stats->done_in_window += verdict == RM_LOAD_ERROR_COUNT;
        stats->events += answer->events;
        stats->bytes_in += answer->body_bytes;
    }
    if (!conn->record)
        return;
    stats->requests++;
    stats->statuses[answer->status < 600 ? answer->status : 0]++;
    stats->outcomes[answer->outcome]++;
    stats->cost_usd += answer->cost_usd;
    stats->saved_usd += answer->saved_usd;
    if (verdict != RM_LOAD_ERROR_COUNT) {
        stats->errors[verdict]++;
        return;
    }
    stats->ok++;
    hdr_record_value(stats->latency, (int64_t)(now_ns - conn->intended_ns));
    if (answer->events > 0) {
        hdr_record_value(stats->ttft, (int64_t)(answer->first_event_ns - conn->intended_ns));
        hdr_record_value(stats->span, (int64_t)(answer->last_event_ns - answer->first_event_ns));
    }
}

static void finish_answer(rm_load_conn *conn)
{
    record_answer(conn, uv_hrtime());
    if (conn->cancel)
        uv_timer_stop(&conn->timer);
    if (!conn->answer.keep_alive) {
        rm_load__conn_close(conn);
        return;
    }
    conn->state = RM_LOAD_CONN_IDLE;
    rm_load__run_idle(conn->run, conn);
}

static void take(rm_load_conn *conn, const char *bytes, ssize_t nread)
{
    if (nread == 0)
        return;
    if (conn->state != RM_LOAD_CONN_BUSY) { /* closed while idle, or bytes that nobody asked for */
        rm_load__conn_close(conn);
        return;
    }
    llhttp_errno_t error;
    if (nread > 0)
        error = llhttp_execute(&conn->parser, bytes, (size_t)nread);
    else
        error = llhttp_finish(&conn->parser); /* an answer without a length ends here */
    if (conn->answer.complete)
        finish_answer(conn);
    else if (error != HPE_OK)
        rm_load__conn_fail(conn, nread > 0 ? RM_LOAD_ERROR_syntax : RM_LOAD_ERROR_reset);
    else if (nread < 0)
        rm_load__conn_fail(conn, RM_LOAD_ERROR_reset);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    take(stream->data, buf->base, nread);
}

static void on_stamped(uv_poll_t *poll, int status, int events)
{
    (void)events;
    rm_load_conn *conn = poll->data;
    rm_load_run *run = conn->run;
    ssize_t nread =
        status != 0 ? status : rm_load__lag_read(&run->lag, conn->stamped_fd, run->read_bytes, sizeof(run->read_bytes));
    take(conn, run->read_bytes, nread);
}

/* libuv takes one handle a descriptor, so the reading has one of its own. */
static int read_stamped(rm_load_conn *conn)
{
    uv_os_fd_t fd;
    int code = uv_fileno((uv_handle_t *)&conn->tcp, &fd);
    if (code != 0)
        return code;
    rm_load__lag_ask_stamps(fd);
    conn->stamped_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (conn->stamped_fd < 0)
        return UV_EMFILE;
    code = uv_poll_init(&conn->run->loop, &conn->stamped, conn->stamped_fd);
    if (code != 0) {
        close(conn->stamped_fd);
        return code;
    }
    conn->stamped.data = conn;
    conn->reads_stamped = true;
    conn->handles_open++;
    return uv_poll_start(&conn->stamped, UV_READABLE, on_stamped);
}

static int read_start(rm_load_conn *conn)
{
    return conn->run->lag.on ? read_stamped(conn) : uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
}

static void on_connected(uv_connect_t *connect, int status)
{
    rm_load_conn *conn = connect->data;
    if (conn->state != RM_LOAD_CONN_CONNECTING)
        return;
    conn->run->connecting--;
    if (status != 0 || read_start(conn) != 0) {
        conn->run->connect_failures++;
        rm_load__conn_close(conn);
        return;
    }
    conn->run->live++;
    conn->state = RM_LOAD_CONN_IDLE;
    rm_load__run_connected(conn->run, conn);
}

void rm_load__conn_open(rm_load_conn *conn)
{
    rm_load_run *run = conn->run;
    RM_CHECK(conn->state == RM_LOAD_CONN_CLOSED && conn->handles_open == 0);
    RM_CHECK(uv_tcp_init(&run->loop, &conn->tcp) == 0 && uv_timer_init(&run->loop, &conn->timer) == 0);
    conn->handles_open = 2;
    conn->tcp.data = conn->timer.data = conn->connect.data = conn;
    llhttp_init(&conn->parser, HTTP_RESPONSE, rm_load__answer_settings());
    conn->parser.data = conn;
    conn->state = RM_LOAD_CONN_CONNECTING;
    run->connecting++;
    uv_tcp_nodelay(&conn->tcp, 1);
    if (uv_tcp_connect(&conn->connect, &conn->tcp, (const struct sockaddr *)&run->target->address, on_connected) == 0)
        return;
    run->connecting--;
    run->connect_failures++;
    rm_load__conn_close(conn);
}

static void on_closed(uv_handle_t *handle)
{
    rm_load_conn *conn = handle->data;
    if (handle == (uv_handle_t *)&conn->stamped)
        close(conn->stamped_fd);
    if (--conn->handles_open > 0)
        return;
    conn->state = RM_LOAD_CONN_CLOSED;
    rm_load__run_lost(conn->run, conn);
}

void rm_load__conn_close(rm_load_conn *conn)
{
    if (conn->state == RM_LOAD_CONN_CLOSING || conn->state == RM_LOAD_CONN_CLOSED)
        return;
    if (conn->state == RM_LOAD_CONN_IDLE || conn->state == RM_LOAD_CONN_BUSY)
        conn->run->live--;
    rm_load__run_closing(conn->run, conn);
    conn->state = RM_LOAD_CONN_CLOSING;
    if (conn->reads_stamped)
        uv_close((uv_handle_t *)&conn->stamped, on_closed);
    conn->reads_stamped = false;
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
    uv_close((uv_handle_t *)&conn->timer, on_closed);
}

void rm_load__conn_fail(rm_load_conn *conn, rm_load_error error)
{
    if (conn->state == RM_LOAD_CONN_BUSY) {
        conn->run->finished++;
        if (conn->record) {
            conn->run->stats->requests++;
            conn->run->stats->errors[error]++;
        }
    }
    rm_load__conn_close(conn);
}

static void on_cancel(uv_timer_t *timer)
{
    rm_load_conn *conn = timer->data;
    if (conn->state != RM_LOAD_CONN_BUSY)
        return;
    conn->run->finished++;
    if (conn->record) {
        conn->run->stats->requests++;
        conn->run->stats->cancelled++;
    }
    rm_load__conn_close(conn);
}

typedef struct load_write {
    uv_write_t write;
    char bytes[];
} load_write;

static void on_written(uv_write_t *write, int status)
{
    (void)status; /* a broken connection is seen by the reader */
    rm_free(RM_CONTAINER_OF(write, load_write, write));
}

/* The kernel took a part only: the rest is copied, for the scratch buffer serves the next request. */
static bool write_rest(rm_load_conn *conn, const char *at, size_t len)
{
    load_write *rest = rm_alloc(sizeof(*rest) + len);
    if (!rest)
        return false;
    memcpy(rest->bytes, at, len);
    uv_buf_t buf = uv_buf_init(rest->bytes, (unsigned)len);
    if (uv_write(&rest->write, (uv_stream_t *)&conn->tcp, &buf, 1, on_written) == 0)
        return true;
    rm_free(rest);
    return false;
}

static bool write_request(rm_load_conn *conn)
{
    rm_buf *request = &conn->run->request;
    uv_buf_t buf = uv_buf_init(request->ptr, (unsigned)request->len);
    int taken = uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1);
    if (taken == UV_EAGAIN)
        taken = 0;
    if (taken < 0)
        return false;
    return (size_t)taken == request->len || write_rest(conn, request->ptr + taken, request->len - (size_t)taken);
}

void rm_load__conn_send(rm_load_conn *conn, uint64_t intended_ns)
{
    rm_load_run *run = conn->run;
    const rm_load_options *options = run->options;
    rm_bench_choice choice = rm_bench__mix_next(&run->mix);
    memset(&conn->answer, 0, sizeof(conn->answer));
    conn->answer.outcome = RM_LOAD_OUTCOME_unmarked;
    rm_buf_clear(&conn->content);
    rm_buf_clear(&run->request);
    conn->intended_ns = intended_ns;
    conn->sent_ns = uv_hrtime();
    conn->record = intended_ns >= run->begin_ns && intended_ns < run->end_ns;
    conn->cancel = choice.cancel;
    conn->state = RM_LOAD_CONN_BUSY;
    run->started++;
    if (rm_load__request_build(options, run->target, &choice, &run->request, &conn->expected_ref) != RM_OK ||
        !write_request(conn)) {
        rm_load__conn_fail(conn, RM_LOAD_ERROR_reset);
        return;
    }
    if (conn->record)
        hdr_record_value(run->stats->send_delay, (int64_t)(conn->sent_ns - intended_ns));
    if (choice.cancel)
        uv_timer_start(&conn->timer, on_cancel,
                       (uint64_t)(rm_rng_uniform(&run->mix.rng) * (double)options->cancel_after_us / 1e3), 0);
}
