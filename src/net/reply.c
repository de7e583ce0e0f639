/* Answers: heads, framing, and the rm_req functions. None of them calls back; they mark the request, and conn.c takes
 * it up when the running callback has returned, or later in the same turn. */
#include "net_internal.h"

typedef struct status_line {
    int status;
    rm_slice line;
} status_line;

#define LINE(status, reason)                                         \
    {                                                                \
        status, RM_SLICE_INIT("HTTP/1.1 " #status " " reason "\r\n") \
    }
#define RM_SLICE_INIT(literal)         \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }

/* The frequent ones first. */
static const status_line status_lines[] = {
    LINE(200, "OK"),
    LINE(400, "Bad Request"),
    LINE(401, "Unauthorized"),
    LINE(404, "Not Found"),
    LINE(429, "Too Many Requests"),
    LINE(500, "Internal Server Error"),
    LINE(502, "Bad Gateway"),
    LINE(503, "Service Unavailable"),
    LINE(504, "Gateway Timeout"),
    LINE(201, "Created"),
    LINE(202, "Accepted"),
    LINE(203, "Non-Authoritative Information"),
    LINE(204, "No Content"),
    LINE(205, "Reset Content"),
    LINE(206, "Partial Content"),
    LINE(207, "Multi-Status"),
    LINE(300, "Multiple Choices"),
    LINE(301, "Moved Permanently"),
    LINE(302, "Found"),
    LINE(303, "See Other"),
    LINE(304, "Not Modified"),
    LINE(307, "Temporary Redirect"),
    LINE(308, "Permanent Redirect"),
    LINE(402, "Payment Required"),
    LINE(403, "Forbidden"),
    LINE(405, "Method Not Allowed"),
    LINE(406, "Not Acceptable"),
    LINE(407, "Proxy Authentication Required"),
    LINE(408, "Request Timeout"),
    LINE(409, "Conflict"),
    LINE(410, "Gone"),
    LINE(411, "Length Required"),
    LINE(412, "Precondition Failed"),
    LINE(413, "Content Too Large"),
    LINE(414, "URI Too Long"),
    LINE(415, "Unsupported Media Type"),
    LINE(416, "Range Not Satisfiable"),
    LINE(417, "Expectation Failed"),
    LINE(421, "Misdirected Request"),
    LINE(422, "Unprocessable Content"),
    LINE(423, "Locked"),
    LINE(424, "Failed Dependency"),
    LINE(425, "Too Early"),
    LINE(426, "Upgrade Required"),
    LINE(428, "Precondition Required"),
    LINE(431, "Request Header Fields Too Large"),
    LINE(451, "Unavailable For Legal Reasons"),
    LINE(501, "Not Implemented"),
    LINE(505, "HTTP Version Not Supported"),
    LINE(507, "Insufficient Storage"),
    LINE(511, "Network Authentication Required"),
};

#define FIXED_BYTES_MAX 512 /* of a head: what net adds by itself */

static const rm_slice last_chunk = RM_SLICE_INIT("0\r\n\r\n");
static const rm_slice line_end = RM_SLICE_INIT("\r\n");

/* ---- text into reserved memory ----------------------------------------------------------------------------------- */

static char *put(char *at, rm_slice text)
{
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static char *put_u64(char *at, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return put(at, rm_slice_make(digits + n, sizeof(digits) - n));
}

/* "1f4\r\n" */
static rm_slice chunk_size_line(char line[18], size_t bytes)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 16;

    line[16] = '\r';
    line[17] = '\n';
    do {
        line[--n] = hex[bytes & 15];
        bytes >>= 4;
    } while (bytes);
    return rm_slice_make(line + n, 18 - n);
}

/* ---- heads ------------------------------------------------------------------------------------------------------- */

/* A status that has no line of its own goes without a reason, which HTTP allows. */
static char *put_status_line(char *at, int status)
{
    for (size_t i = 0; i < RM_COUNT(status_lines); i++) {
        if (status_lines[i].status == status)
            return put(at, status_lines[i].line);
    }
    at = put(at, RM_SLICE("HTTP/1.1 "));
    at = put_u64(at, (uint64_t)status % 1000);
    return put(at, RM_SLICE(" \r\n"));
}

/* Those that net says itself for a page of another origin. */
static bool is_cors_header(rm_slice name)
{
    static const rm_slice names[] = {RM_SLICE_INIT("access-control-allow-origin"),
                                     RM_SLICE_INIT("access-control-allow-credentials"),
                                     RM_SLICE_INIT("access-control-expose-headers")};

    for (size_t i = 0; i < RM_COUNT(names); i++) {
        if (rm_slice_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

/* The caller's page may read the answer. What the upstream said on the matter is replaced. */
static bool cors_wanted(const rm_req *req)
{
    return req->conn->listener->options.cors && req->head && rm_http_header(req->head, "origin").ptr;
}

static size_t head_bytes_max(const rm_reply *reply)
{
    size_t bytes = FIXED_BYTES_MAX;

    for (size_t i = 0; i < reply->header_count; i++)
        bytes += reply->headers[i].name.len + reply->headers[i].value.len + 4;
    return bytes;
}

static char *put_headers(char *at, const rm_reply *reply, bool cors)
{
    for (size_t i = 0; i < reply->header_count; i++) {
        if (cors && is_cors_header(reply->headers[i].name))
            continue;
        at = put(at, reply->headers[i].name);
        *at++ = ':';
        *at++ = ' ';
        at = put(at, reply->headers[i].value);
        at = put(at, line_end);
    }
    if (cors)
        at = put(at, RM_SLICE("Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *\r\n"));
    return at;
}

static char *put_framing(char *at, const rm_req *req, const rm_reply *reply)
{
    if (reply->status == 204 || reply->status == 304)
        return at; /* RFC 9110 8.6: 204 must not have it, and what 304's would be is not known here */
    if (reply->body_bytes >= 0) {
        at = put(at, RM_SLICE("Content-Length: "));
        at = put_u64(at, (uint64_t)reply->body_bytes);
        return put(at, line_end);
    }
    return req->until_close ? at : put(at, RM_SLICE("Transfer-Encoding: chunked\r\n"));
}

/* The head, in the loop's scratch memory. RM_ENOMEM, RM_ETOOBIG. */
static rm_status head_make(rm_req *req, const rm_reply *reply, rm_slice *ret_head)
{
    rm_loop *loop = req->conn->loop;
    rm_buf *buf = &loop->head;
    rm_status status;
    char *at;

    rm_buf_clear(buf);
    status = rm_buf_reserve(buf, head_bytes_max(reply));
    if (status != RM_OK)
        return status;
    at = put_status_line(buf->ptr, reply->status);
    at = put_headers(at, reply, cors_wanted(req));
    at = put(at, RM_SLICE("Date: "));
    at = put(at, rm_net__date(loop));
    at = put(at, line_end);
    at = put_framing(at, req, reply);
    if (req->conn->close_after)
        at = put(at, RM_SLICE("Connection: close\r\n"));
    else if (req->head->http_1_0)
        at = put(at, RM_SLICE("Connection: keep-alive\r\n"));
    at = put(at, line_end);
    *ret_head = rm_slice_make(buf->ptr, (size_t)(at - buf->ptr));
    return RM_OK;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static rm_status usable(const rm_req *req)
{
    return req->finished || req->conn->cut || req->conn->state == RM_CONN_CLOSING ? RM_ERESET : RM_OK;
}

/* Keeps the water marks. */
static rm_status sent(rm_req *req, rm_status status)
{
    rm_conn *conn = req->conn;

    if (status != RM_OK)
        rm_net__conn_abort(conn, status == RM_ERESET ? RM_ECANCELLED : RM_ERESET);
    else if (rm_net__output_bytes(conn) > RM_WRITE_HIGH_BYTES)
        req->above_high = true;
    return status;
}

/* Hands pieces to the kernel or the queue. */
static rm_status send_pieces(rm_req *req, const rm_slice *pieces, unsigned count, rm_blob *blob)
{
    return sent(req, rm_net__output_write(req->conn, pieces, count, blob));
}

/* Appends a body part, framed, to pieces. `size` holds the chunk's size line. */
static unsigned frame(const rm_req *req, rm_slice bytes, char size[18], rm_slice *pieces)
{
    unsigned count = 0;

    if (req->bodyless || bytes.len == 0)
        return 0;
    if (req->chunked)
        pieces[count++] = chunk_size_line(size, bytes.len);
    pieces[count++] = bytes;
    if (req->chunked)
        pieces[count++] = line_end;
    return count;
}

/* The body has that many bytes more; false: more than was announced. */
static bool body_count(rm_req *req, size_t bytes)
{
    if (req->body_left == RM_BODY_CHUNKED)
        return true;
    if ((uint64_t)bytes > (uint64_t)req->body_left)
        return false;
    req->body_left -= (int64_t)bytes;
    return true;
}

static void reply_decide(rm_req *req, const rm_reply *reply)
{
    rm_conn *conn = req->conn;

    req->replied = true;
    req->body_left = reply->body_bytes;
    req->bodyless = (req->head && req->head->method == RM_METHOD_HEAD) || reply->status == 204 || reply->status == 304;
    if (reply->body_bytes < 0 && !req->bodyless) {
        req->until_close = req->head && req->head->http_1_0;
        req->chunked = !req->until_close;
    }
    /* What is left of the body would be taken for the next request. */
    if (!req->head || !req->head->keep_alive || !req->body_read || req->until_close || conn->listener->draining)
        conn->close_after = true;
}

rm_status rm_req_reply(rm_req *req, const rm_reply *reply, rm_slice body)
{
    rm_slice pieces[4];
    char size[18];
    unsigned count = 1;
    rm_status status = usable(req);

    if (status != RM_OK)
        return status;
    if (req->replied || (reply->body_bytes >= 0 && body.len > (uint64_t)reply->body_bytes))
        return RM_EINVAL;
    reply_decide(req, reply);
    status = head_make(req, reply, &pieces[0]);
    if (status != RM_OK) {
        rm_net__conn_abort(req->conn, RM_ERESET);
        return status;
    }
    body_count(req, body.len);
    count += frame(req, body, size, &pieces[1]);
    status = send_pieces(req, pieces, count, NULL);
    if (status == RM_OK && req->body_left == 0) {
        req->ended = true;
        rm_net__conn_wake(req->conn);
    }
    return status;
}

static rm_status write_body(rm_req *req, rm_slice bytes, rm_blob *blob)
{
    rm_slice pieces[3];
    char size[18];
    unsigned count;
    rm_status status = usable(req);

    if (status != RM_OK)
        return status;
    if (!req->replied || req->ended || !body_count(req, bytes.len))
        return RM_EINVAL;
    count = frame(req, bytes, size, pieces);
    return count ? send_pieces(req, pieces, count, blob) : RM_OK;
}

rm_status rm_req_write(rm_req *req, rm_slice bytes)
{
    return write_body(req, bytes, NULL);
}

rm_status rm_req_write_blob(rm_req *req, rm_blob *blob)
{
    return write_body(req, rm_blob_slice(blob), blob);
}

void rm_req_cork(rm_req *req)
{
    if (usable(req) == RM_OK && !req->conn->loop->corked)
        req->conn->loop->corked = req->conn;
}

void rm_req_uncork(rm_req *req)
{
    rm_conn *conn = req->conn;

    if (conn->loop->corked != conn)
        return;
    rm_status status = rm_net__output_flush(conn);
    conn->loop->corked = NULL;
    sent(req, status);
}

void rm_req_end(rm_req *req)
{
    if (usable(req) != RM_OK || req->ended)
        return;
    if (!req->replied || (req->body_left > 0 && !req->bodyless)) { /* shorter than announced: it must not look whole */
        rm_net__conn_abort(req->conn, RM_ERESET);
        return;
    }
    if (req->chunked && send_pieces(req, &last_chunk, 1, NULL) != RM_OK)
        return;
    req->ended = true;
    rm_net__conn_wake(req->conn);
}

void rm_req_abort(rm_req *req)
{
    rm_req_uncork(req); /* what came before the cut is the caller's */
    if (usable(req) == RM_OK)
        rm_net__conn_abort(req->conn, RM_ERESET);
}

/* ---- answers by net itself --------------------------------------------------------------------------------------- */

void rm_net__reply_error(rm_conn *conn, int http_status, const char *text)
{
    const rm_server_options *options = &conn->listener->options;
    rm_slice path = conn->req.head ? conn->req.head->path : RM_SLICE_NONE, body = RM_SLICE_NONE;
    const char *type = "text/plain";
    rm_header header;
    rm_reply reply = {.status = http_status, .headers = &header};

    conn->close_after = true;
    if (options->ops->error_body) {
        rm_buf_clear(&conn->loop->scratch);
        body = options->ops->error_body(options->server_user, path, http_status, text, &conn->loop->scratch, &type);
    }
    header = (rm_header){RM_SLICE("Content-Type"), rm_slice_cstr(type)};
    reply.header_count = body.len ? 1 : 0;
    reply.body_bytes = (int64_t)body.len;
    (void)rm_req_reply(&conn->req, &reply, body); /* a failure has marked the connection */
}

bool rm_net__reply_preflight(rm_conn *conn)
{
    const rm_http_head *head = conn->req.head;
    rm_slice wanted = rm_http_header(head, "access-control-request-headers");
    rm_header headers[] = {
        {RM_SLICE("Access-Control-Allow-Methods"), RM_SLICE("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH")},
        {RM_SLICE("Access-Control-Max-Age"), RM_SLICE("86400")},
        {RM_SLICE("Vary"), RM_SLICE("Access-Control-Request-Headers")},
        /* Said by name: "*" does not cover Authorization. */
        {RM_SLICE("Access-Control-Allow-Headers"), wanted},
    };
    rm_reply reply = {.status = 204, .headers = headers, .header_count = RM_COUNT(headers)};

    if (head->method != RM_METHOD_OPTIONS || !rm_http_header(head, "origin").ptr ||
        !rm_http_header(head, "access-control-request-method").ptr)
        return false;
    if (!wanted.len)
        reply.header_count--;
    (void)rm_req_reply(&conn->req, &reply, RM_SLICE_NONE); /* a failure has marked the connection */
    return true;
}

void rm_net__reply_continue(rm_conn *conn)
{
    static const rm_slice text = RM_SLICE_INIT("HTTP/1.1 100 Continue\r\n\r\n");
    rm_req *req = &conn->req;

    if (!req->head->expect_continue || req->continued || req->body_started || req->replied || !req->user ||
        usable(req) != RM_OK)
        return;
    req->continued = true;
    (void)send_pieces(req, &text, 1, NULL); /* a failure has marked the connection */
}

/* ---- what a handler may ask and say ------------------------------------------------------------------------------ */

const rm_http_head *rm_req_head(const rm_req *req)
{
    return req->head;
}

rm_arena *rm_req_arena(rm_req *req)
{
    return &req->arena;
}

void rm_req_take_arena(rm_req *req, rm_arena *ret_arena)
{
    RM_CHECK(req->finished);
    *ret_arena = req->arena;
    req->arena = (rm_arena){0};
}

rm_loop *rm_req_loop(const rm_req *req)
{
    return req->conn->loop;
}

rm_slice rm_req_peer(const rm_req *req)
{
    return rm_slice_cstr(req->conn->peer);
}

uint64_t rm_req_begin_ns(const rm_req *req)
{
    return req->begin_ns;
}

void *rm_req_connection_memo(rm_req *req)
{
    return req->conn->memo;
}

void rm_req_pause_body(rm_req *req)
{
    req->body_paused = true;
    rm_net__conn_wake(req->conn);
}

void rm_req_resume_body(rm_req *req)
{
    req->body_paused = false;
    rm_net__conn_wake(req->conn);
}

bool rm_req_replied(const rm_req *req)
{
    return req->replied;
}

size_t rm_req_queued_bytes(const rm_req *req)
{
    return rm_net__output_bytes(req->conn);
}
