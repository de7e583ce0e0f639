/* What callers are sent: end-to-end headers of the answer, then what Remora has to say about it. */
#include <stdio.h>

#include "proxy_internal.h"

void rm_reply__init(rm_reply_head *reply)
{
    reply->count = 0;
    reply->text_used = 0;
}

void rm_reply__add(rm_reply_head *reply, rm_slice name, rm_slice value)
{
    if (reply->count < RM_COUNT(reply->headers))
        reply->headers[reply->count++] = (rm_header){name, value};
}

static void add_text(rm_reply_head *reply, rm_slice name, const char *text, size_t len)
{
    if (reply->text_used + len > sizeof reply->text)
        return;
    char *at = reply->text + reply->text_used;
    memcpy(at, text, len);
    reply->text_used += len;
    rm_reply__add(reply, name, (rm_slice){at, len});
}

void rm_reply__add_u64(rm_reply_head *reply, rm_slice name, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    add_text(reply, name, digits + at, sizeof digits - at);
}

void rm_reply__add_usd(rm_reply_head *reply, rm_slice name, double usd)
{
    if (usd < 0)
        return;
    if (usd == 0) {
        rm_reply__add(reply, name, RM_SLICE("0"));
        return;
    }
    char digits[64];
    rm_buf text = rm_buf_over(digits, sizeof(digits));
    if (rm_buf_append_usd(&text, usd) == RM_OK)
        add_text(reply, name, text.ptr, text.len);
}

static void add_similarity(rm_reply_head *reply, double similarity)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%.4f", similarity);
    add_text(reply, RM_SLICE("x-remora-similarity"), text, (size_t)len);
}

void rm_reply__add_remora(rm_reply_head *reply, const rm_exchange *exchange, bool with_cost)
{
    rm_reply__add(reply, RM_SLICE("x-remora-cache"), rm_slice_cstr(rm_outcome_name(exchange->outcome)));
    if (exchange->outcome == RM_OUTCOME_HIT || exchange->outcome == RM_OUTCOME_STALE)
        rm_reply__add(reply, RM_SLICE("x-remora-cache-kind"),
                      exchange->semantic ? RM_SLICE("semantic") : RM_SLICE("exact"));
    if (exchange->semantic)
        add_similarity(reply, (double)rm_inquiry__decision(exchange->inquiry)->similarity);
    if (exchange->model.len)
        rm_reply__add(reply, RM_SLICE("x-remora-model"), exchange->model);
    rm_reply__add(reply, RM_SLICE("x-remora-route"), RM_SLICE("reason=off"));
    if (exchange->has_key) {
        char key[33];
        rm_key128_format(exchange->key, key);
        add_text(reply, RM_SLICE("x-remora-cache-key"), key, sizeof key - 1);
    }
    rm_reply__add(reply, RM_SLICE("x-remora-id"), (rm_slice){exchange->id, sizeof exchange->id - 1});
    if (!with_cost)
        return;
    rm_reply__add_usd(reply, RM_SLICE("x-remora-cost-usd"), exchange->cost_usd);
    rm_reply__add_usd(reply, RM_SLICE("x-remora-saved-usd"), exchange->saved_usd);
    rm_reply__add_usd(reply, RM_SLICE("x-litellm-response-cost"), exchange->cost_usd);
}

void rm_reply__note(rm_exchange *exchange, rm_slice body)
{
    exchange->response_bytes += body.len;
    exchange->last_write_ms = exchange->worker->exec->now_ms(exchange->worker->exec);
    if (!exchange->log_prompt)
        return;
    size_t room = RM_LOG_BODY_BYTES_MAX - exchange->log_answer.len;
    (void)rm_buf_append(&exchange->log_answer, body.ptr, body.len < room ? body.len : room);
}

void rm_reply__send(rm_exchange *exchange, const rm_reply_head *head, int status, rm_slice body, int64_t body_bytes)
{
    rm_reply reply = {
        .status = status, .headers = head->headers, .header_count = head->count, .body_bytes = body_bytes};
    exchange->status = status;
    if (exchange->first_byte_ns == 0)
        exchange->first_byte_ns = rm_proxy__now_ns();
    rm_reply__note(exchange, body);
    bool whole = body_bytes >= 0 && (uint64_t)body_bytes == body.len;
    rm_exchange__move(exchange, whole ? RM_EXCHANGE_DONE : RM_EXCHANGE_RELAYING);
    /* A failure closes the connection; on_close says so in its turn. */
    (void)rm_req_reply(exchange->req, &reply, body);
}

void rm_exchange__fail(rm_exchange *exchange, int status, const char *type, const char *message)
{
    rm_buf body;
    rm_buf_init(&body, 4 * RM_KIB);
    (void)rm_provider_error_body(exchange->dialect, status, type, message, &body);
    rm_reply_head reply;
    rm_reply__init(&reply);
    rm_reply__add(&reply, RM_SLICE("Content-Type"), RM_SLICE("application/json"));
    if (status == 401)
        rm_reply__add(&reply, RM_SLICE("WWW-Authenticate"), RM_SLICE("Bearer"));
    exchange->cost_usd = exchange->saved_usd = 0;
    exchange->failed = true;
    rm_reply__add_remora(&reply, exchange, true);
    rm_reply__send(exchange, &reply, status, rm_buf_slice(&body), (int64_t)body.len);
    rm_buf_deinit(&body);
}
