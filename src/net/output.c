/* What the kernel has not taken yet.
 *
 *     first .. last   wait; small writes are joined in the last segment
 *     flying          handed to libuv as one uv_write; freed in its callback
 *
 * Nothing queued: the pieces go to the kernel at once and no memory is used. One uv_write at a time, so that a caller
 * who reads slowly costs the bytes that wait for it and not an allocation for each event. */
#include "net_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define SEGMENT_BYTES_MIN 4096
#define FLYING_MAX        4 /* libuv keeps that many without an allocation of its own */
#define PIECES_MAX        6
#define JOIN_BYTES_MAX    2048

size_t rm_net__output_bytes(const rm_conn *conn)
{
    return conn->out.waiting_bytes + (conn->out.flying ? uv_stream_get_write_queue_size(&conn->uv.stream) : 0);
}

static void segments_free(rm_segment *segment)
{
    while (segment) {
        rm_segment *next = segment->next;

        rm_blob_unref(segment->blob);
        rm_free(segment);
        segment = next;
    }
}

static void append(rm_output *out, rm_segment *segment)
{
    segment->next = NULL;
    if (out->last)
        out->last->next = segment;
    else
        out->first = segment;
    out->last = segment;
    out->waiting_bytes += segment->len;
}

static rm_status queue_copy(rm_output *out, rm_slice bytes)
{
    rm_segment *last = out->last;
    size_t cap;

    if (last && !last->blob && last->cap - last->len >= bytes.len) {
        memcpy(last->data + last->len, bytes.ptr, bytes.len);
        last->len += bytes.len;
        out->waiting_bytes += bytes.len;
        return RM_OK;
    }
    cap = bytes.len > SEGMENT_BYTES_MIN ? bytes.len : SEGMENT_BYTES_MIN - sizeof(rm_segment);
    last = rm_alloc(sizeof(*last) + cap);
    if (!last)
        return RM_ENOMEM;
    *last = (rm_segment){.len = bytes.len, .cap = cap};
    memcpy(last->data, bytes.ptr, bytes.len);
    append(out, last);
    return RM_OK;
}

static rm_status queue_blob(rm_output *out, rm_blob *blob, size_t at, size_t len)
{
    rm_segment *segment = rm_alloc(sizeof(*segment));

    if (!segment)
        return RM_ENOMEM;
    *segment = (rm_segment){.blob = rm_blob_ref(blob), .at = at, .len = len};
    append(out, segment);
    return RM_OK;
}

static void on_flown(uv_write_t *write, int code);

/* Hands the next segments to libuv. */
static rm_status fly(rm_conn *conn)
{
    rm_output *out = &conn->out;
    uv_buf_t bufs[FLYING_MAX];
    rm_segment *segment, *last = NULL;
    unsigned count = 0;

    for (segment = out->first; segment && count < FLYING_MAX; segment = segment->next) {
        char *bytes = segment->blob ? segment->blob->data + segment->at : segment->data;

        bufs[count++] = uv_buf_init(bytes, (unsigned)segment->len);
        out->waiting_bytes -= segment->len;
        last = segment;
    }
    if (!last)
        return RM_OK;
    out->flying = out->first;
    out->first = last->next;
    if (!out->first)
        out->last = NULL;
    last->next = NULL;
    out->write.data = conn;
    return rm_net__uv_status(uv_write(&out->write, &conn->uv.stream, bufs, count, on_flown));
}

static void on_flown(uv_write_t *write, int code)
{
    rm_conn *conn = write->data;

    segments_free(conn->out.flying);
    conn->out.flying = NULL;
    if (conn->state == RM_CONN_CLOSING)
        return;
    rm_net__conn_written(conn, code != 0 || fly(conn) != RM_OK);
}

/* Tries the kernel first; *ret_taken bytes are gone. Not by uv_try_write: its writev goes by way of the kernel's files,
 * which is a tenth of the price of a small write; and one piece is cheaper than three. */
static rm_status write_now(rm_conn *conn, const rm_slice *pieces, unsigned count, size_t *ret_taken)
{
    struct iovec vector[PIECES_MAX];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
    char joined[JOIN_BYTES_MAX];
    size_t total = 0;
    ssize_t taken;
    uv_os_fd_t fd;

    RM_CHECK(count <= PIECES_MAX);
    if (uv_fileno(&conn->uv.handle, &fd) != 0)
        return RM_ERESET;
    for (unsigned i = 0; i < count; i++)
        total += pieces[i].len;
    bool join = count > 1 && total <= sizeof(joined);
    for (size_t i = 0, at = 0; i < count; at += pieces[i++].len) {
        if (join)
            memcpy(joined + at, pieces[i].ptr, pieces[i].len);
        vector[i] = (struct iovec){(void *)(uintptr_t)pieces[i].ptr, pieces[i].len};
    }
    if (join) {
        vector[0] = (struct iovec){joined, total};
        message.msg_iovlen = 1;
    }
    do
        taken = message.msg_iovlen == 1 ? send(fd, vector[0].iov_base, vector[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                        : sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (taken < 0 && errno == EINTR);
    if (taken < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
        taken = 0;
    if (taken < 0)
        return errno == ENOMEM ? RM_ENOMEM : RM_ERESET;
    *ret_taken = (size_t)taken;
    return RM_OK;
}

static rm_status write_or_queue(rm_conn *conn, const rm_slice *pieces, unsigned count, rm_blob *blob)
{
    rm_output *out = &conn->out;
    rm_status status = RM_OK;
    size_t taken = 0;

    if (!out->flying && !out->first)
        status = write_now(conn, pieces, count, &taken);
    for (unsigned i = 0; i < count && status == RM_OK; i++) {
        size_t skip = taken < pieces[i].len ? taken : pieces[i].len;

        taken -= skip;
        if (skip == pieces[i].len)
            continue;
        if (blob && pieces[i].ptr == blob->data)
            status = queue_blob(out, blob, skip, pieces[i].len - skip);
        else
            status = queue_copy(out, rm_slice_make(pieces[i].ptr + skip, pieces[i].len - skip));
    }
    if (status == RM_OK && out->first && !out->flying)
        status = fly(conn);
    return status;
}

rm_status rm_net__output_flush(rm_conn *conn)
{
    rm_buf *gathered = &conn->loop->gathered;
    rm_slice piece = rm_buf_slice(gathered);
    rm_status status = piece.len ? write_or_queue(conn, &piece, 1, NULL) : RM_OK;

    rm_buf_clear(gathered);
    return status;
}

/* While the connection is corked small writes are only gathered. */
rm_status rm_net__output_write(rm_conn *conn, const rm_slice *pieces, unsigned count, rm_blob *blob)
{
    rm_buf *gathered = &conn->loop->gathered;
    size_t total = 0;

    if (conn->loop->corked != conn)
        return write_or_queue(conn, pieces, count, blob);
    for (unsigned i = 0; i < count; i++)
        total += pieces[i].len;
    if (gathered->len + total > RM_WRITE_GATHER_BYTES_MAX || rm_buf_reserve(gathered, total) != RM_OK) {
        rm_status status = rm_net__output_flush(conn);
        return status == RM_OK ? write_or_queue(conn, pieces, count, blob) : status;
    }
    for (unsigned i = 0; i < count; i++)
        rm_buf_append_slice(gathered, pieces[i]);
    return RM_OK;
}

void rm_net__output_drop(rm_conn *conn)
{
    segments_free(conn->out.first);
    conn->out.first = conn->out.last = NULL;
    conn->out.waiting_bytes = 0;
}
