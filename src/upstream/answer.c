/* curl's callbacks of one transfer, which a wire calls too: the answer's head and body, and a streamed request body. */
#include "upstream_internal.h"

/* ---- head -----------------------------------------------------------------------------------------------------------
 */

bool rm_upstream__call_fail(rm_upstream_call *call, rm_status status, const char *text)
{
    call->failure = status;
    call->failure_text = text;
    return false;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 " */
static int status_of(rm_slice line)
{
    const char *space = memchr(line.ptr, ' ', line.len);
    int status = 0;

    if (!space)
        return 0;
    for (const char *p = space + 1; p < line.ptr + line.len && *p >= '0' && *p <= '9' && status < 1000; p++)
        status = status * 10 + (*p - '0');
    return status;
}

static bool head_line(rm_upstream_call *call, rm_slice line)
{
    rm_buf *head = &call->head;

    if (head->len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
        head->ptr[head->len - 1] = ' '; /* an obsolete line fold goes on with the last value */
        line = rm_slice_trim(line);
    }
    rm_buf_append_slice(head, line);
    rm_buf_append_char(head, '\n');
    if (head->status == RM_OK)
        return true;
    return head->status == RM_ENOMEM ? rm_upstream__call_fail(call, RM_ENOMEM, "out of memory")
                                     : rm_upstream__call_fail(call, RM_EPROTO, "the answer's head is too large");
}

/* Cuts the lines into client->lines. */
static bool head_split(rm_upstream_call *call, size_t *ret_count)
{
    rm_header *lines = call->client->lines;
    rm_slice rest = rm_buf_slice(&call->head), line;
    size_t count = 0;

    while (rm_slice_split(&rest, '\n', &line)) {
        const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
        if (!colon)
            continue;
        if (count == RM_HEADER_COUNT_MAX)
            return rm_upstream__call_fail(call, RM_EPROTO, "the answer has too many header lines");
        size_t name_bytes = (size_t)(colon - line.ptr);
        lines[count].name = rm_slice_trim(rm_slice_make(line.ptr, name_bytes));
        lines[count++].value = rm_slice_trim(rm_slice_make(colon + 1, line.len - name_bytes - 1));
    }
    *ret_count = count;
    return true;
}

static bool has_body(const rm_upstream_call *call)
{
    return strcmp(call->request.method, "HEAD") != 0 && call->status != 204 && call->status != 304;
}

/* Whether curl undoes the answer's Content-Encoding. Where it cannot, it is told to leave it alone: curl decides for
 * each piece of the body (since 8.0 when it has read the header line: there it fails on a coding it does not know). */
static bool head_decoded(rm_upstream_call *call, size_t count)
{
    const rm_header *lines = call->client->lines;
    bool encoded = false;

    if (call->direct || !call->set_decode || !has_body(call))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!rm_slice_eq_nocase(lines[i].name, RM_SLICE("content-encoding")))
            continue;
        if (!rm_upstream__codings_known(call->client->codings, lines[i].value, &encoded)) {
            curl_easy_setopt(call->easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
            call->set_raw = true;
            return false;
        }
    }
    return encoded;
}

/* Content-Length, -1 where there is none or it does not count; drops the lines that decoding has made untrue. */
static size_t head_tidy(rm_header *lines, size_t count, bool decoded, int64_t *ret_length)
{
    size_t kept = 0;
    uint64_t length;
    bool framed = false;

    *ret_length = -1;
    for (size_t i = 0; i < count; i++) {
        rm_slice name = lines[i].name;
        if (name.len == 14 && rm_slice_eq_nocase(name, RM_SLICE("content-length"))) {
            if (rm_parse_u64(lines[i].value, &length) == RM_OK && length <= INT64_MAX)
                *ret_length = (int64_t)length;
            if (decoded)
                continue;
        } else if (name.len == 17 && rm_slice_eq_nocase(name, RM_SLICE("transfer-encoding"))) {
            framed = true;
        } else if (decoded && rm_slice_eq_nocase(name, RM_SLICE("content-encoding"))) {
            continue;
        }
        lines[kept++] = lines[i];
    }
    if (decoded || framed)
        *ret_length = -1;
    return kept;
}

/* After an error curl sends no more of the body, but while it waits for some it does not see the answer's end. */
static void stop_upload(rm_upstream_call *call)
{
    if (call->status < 400 || !call->upload_starved)
        return;
    call->upload_starved = false;
    rm_upstream__work(call, RM_UPSTREAM__WORK_WAKE);
}

bool rm_upstream__head_end(rm_upstream_call *call)
{
    rm_upstream_client *client = call->client;
    rm_upstream_head head = {.status = call->status, .headers = client->lines};
    size_t count = 0;

    if (call->status >= 100 && call->status <= 199) {
        rm_buf_clear(&call->head);
        call->status = 0;
        return true;
    }
    if (!head_split(call, &count))
        return false;
    call->head_complete = true;
    stop_upload(call);
    if (rm_upstream__retry_answer(call, client->lines, count)) {
        call->swallow = true;
        return true;
    }
    head.decoded = head_decoded(call, count);
    head.header_count = head_tidy(client->lines, count, head.decoded, &head.content_length);
    rm_upstream__call_head_sent(call);
    call->events.on_head(call->user, &head);
    return !call->cancelled;
}

size_t rm_upstream__on_header(char *ptr, size_t size, size_t count, void *user)
{
    rm_upstream_call *call = user;
    rm_slice line = rm_slice_make(ptr, size * count);
    size_t taken = line.len;
    bool good = true;

    if (call->head_complete) /* trailers */
        return taken;
    if (call->cancelled)
        return 0;
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    if (line.len == 0)
        good = rm_upstream__head_end(call);
    else if (call->status == 0 && rm_slice_has_prefix(line, RM_SLICE("HTTP/")))
        call->status = status_of(line);
    else
        good = head_line(call, line);
    return good ? taken : 0;
}

/* ---- body -----------------------------------------------------------------------------------------------------------
 */

size_t rm_upstream__on_write(char *ptr, size_t size, size_t count, void *user)
{
    rm_upstream_call *call = user;
    rm_upstream_client *client = call->client;
    size_t bytes = size * count;

    if (call->cancelled)
        return 0;
    if (call->swallow) {
        call->swallowed_bytes += bytes;
        return call->swallowed_bytes <= RM_UPSTREAM_SWALLOW_BYTES_MAX ? bytes : 0;
    }
    if (!call->head_sent) {
        rm_upstream__call_fail(call, RM_EPROTO, "the answer has no head");
        return 0;
    }
    if (call->paused) {
        call->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    call->last_data_ms = client->exec->now_ms(client->exec);
    call->events.on_data(call->user, rm_slice_make(ptr, bytes));
    return call->cancelled ? 0 : bytes;
}

/* ---- a streamed request body --------------------------------------------------------------------------------------
 */

static size_t upload_empty(rm_upstream_call *call)
{
    if (!call->upload_ended) {
        call->upload_starved = true;
        return CURL_READFUNC_PAUSE;
    }
    if (call->request.stream_body_bytes < 0 || call->upload_sent_bytes == call->request.stream_body_bytes)
        return 0;
    rm_upstream__call_fail(call, RM_EINVAL, "the request's body ended before its length");
    return CURL_READFUNC_ABORT;
}

size_t rm_upstream__on_read(char *ptr, size_t size, size_t count, void *user)
{
    rm_upstream_call *call = user;
    rm_buf *upload = &call->upload;
    size_t room = size * count, before = upload->len - call->upload_taken_bytes;

    if (call->cancelled)
        return CURL_READFUNC_ABORT;
    if (before == 0)
        return upload_empty(call);
    size_t bytes = before < room ? before : room;
    memcpy(ptr, upload->ptr + call->upload_taken_bytes, bytes);
    call->upload_begun = true;
    call->upload_sent_bytes += (int64_t)bytes;
    call->upload_taken_bytes += bytes;
    call->last_upload_ms = call->client->exec->now_ms(call->client->exec);
    if (call->upload_taken_bytes >= upload->len / 2) {
        rm_buf_consume(upload, call->upload_taken_bytes);
        call->upload_taken_bytes = 0;
    }
    if (before >= RM_STREAM_UPLOAD_LOW_BYTES && before - bytes < RM_STREAM_UPLOAD_LOW_BYTES &&
        call->events.on_upload_drain)
        call->events.on_upload_drain(call->user);
    return call->cancelled ? CURL_READFUNC_ABORT : bytes;
}
