/* Unknown paths: whatever is sent is taken as it comes and hashed, and the hash is the answer; with body-bytes set
 * (x-mock-body-bytes, or ?bytes=N) that many bytes come back instead, made as they go out. */
#include "mock_internal.h"

#define DOWNLOAD_PIECE 16384

static uint64_t asked_bytes(const rm_mock_call *call)
{
    rm_slice query = rm_req_head(call->req)->query;
    uint64_t bytes = call->plan.body_bytes;
    if (rm_slice_has_prefix(query, RM_SLICE("bytes=")))
        (void)!rm_parse_u64(rm_slice_make(query.ptr + 6, query.len - 6), &bytes);
    return bytes;
}

void rm_mock__other_begin(rm_mock_call *call)
{
    rm_bench__sha256_init(&call->digest);
}

void rm_mock__other_body(rm_mock_call *call, rm_slice bytes)
{
    call->body_length += bytes.len;
    rm_bench__sha256_update(&call->digest, bytes);
    if (call->plan.echo && call->body.len < RM_MOCK_LAST_BYTES_MAX)
        rm_buf_append_slice(&call->body, bytes);
}

/* Bytes 0..250 over and over: a prime period, so that a piece lost or doubled shows. */
static void download(rm_mock_call *call)
{
    char piece[DOWNLOAD_PIECE];
    while (call->download_left > 0 && rm_req_queued_bytes(call->req) <= RM_WRITE_HIGH_BYTES) {
        uint64_t begin = call->body_length;
        size_t len = call->download_left < sizeof(piece) ? (size_t)call->download_left : sizeof(piece);
        for (size_t i = 0; i < len; i++)
            piece[i] = (char)((begin + i) % 251);
        call->body_length += len;
        call->download_left -= len;
        call->mock->stats.bytes_out += len;
        if (rm_req_write(call->req, rm_slice_make(piece, len)) != RM_OK)
            return;
    }
    call->blocked = call->download_left > 0;
    if (!call->blocked && !call->ended) {
        call->ended = true;
        if (call->plan.chunked)
            rm_req_end(call->req);
    }
}

static void begin_download(rm_mock_call *call, uint64_t bytes)
{
    const rm_header type = {RM_SLICE("Content-Type"), RM_SLICE("application/octet-stream")};
    rm_reply reply = {200, &type, 1, call->plan.chunked ? RM_BODY_CHUNKED : (int64_t)bytes};
    call->mock->stats.statuses[200]++;
    call->download_left = bytes;
    call->body_length = 0;
    if (rm_req_reply(call->req, &reply, RM_SLICE("")) == RM_OK && rm_req_head(call->req)->method != RM_METHOD_HEAD)
        download(call);
}

void rm_mock__other_end(rm_mock_call *call)
{
    const rm_http_head *head = rm_req_head(call->req);
    uint64_t bytes = asked_bytes(call);
    if (bytes > 0) {
        begin_download(call, bytes);
        return;
    }
    rm_buf *out = &call->script.bytes;
    if (call->plan.echo) {
        (void)rm_mock__render_echo(head, rm_buf_slice(&call->body), &call->script);
    } else {
        rm_buf_appendf(out, "{\"method\":\"%s\",\"target\":", rm_method_name(head->method));
        rm_mock__script_append_string(out, head->target);
        rm_buf_append_cstr(out, ",\"content_type\":");
        rm_mock__script_append_string(out, rm_http_header(head, "content-type"));
        char digest[RM_BENCH_SHA256_TEXT];
        rm_bench__sha256_final(&call->digest, digest);
        rm_buf_appendf(out, ",\"length\":%llu,\"sha256\":\"%s\"}", (unsigned long long)call->body_length, digest);
        rm_mock__script_cut(&call->script);
    }
    rm_mock__send_begin(call);
}

void rm_mock__other_drained(rm_mock_call *call)
{
    if (call->download_left > 0)
        download(call);
}
