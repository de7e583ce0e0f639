/* One line of the access log: a JSON object whose members always come in the same order. */
#include "observe_internal.h"

#define URGENT_BYTES (RM_LOG_BUFFER_BYTES_MAX / 4)

/* Civil date from days since 1970 (Hinnant, "chrono-compatible low-level date algorithms"). */
void rm_observe__format_second(uint64_t unix_seconds, char text[20])
{
    uint64_t z = unix_seconds / 86400 + 719468, era = z / 146097, doe = z % 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    uint64_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2), second = unix_seconds % 86400;
    const struct {
        uint64_t value;
        unsigned at, digits;
    } fields[] = {{year, 0, 4},
                  {month, 5, 2},
                  {doy - (153 * mp + 2) / 5 + 1, 8, 2},
                  {second / 3600, 11, 2},
                  {second / 60 % 60, 14, 2},
                  {second % 60, 17, 2}};
    memcpy(text, "0000-00-00T00:00:00", 20);
    for (size_t i = 0; i < RM_COUNT(fields); i++) {
        uint64_t value = fields[i].value;
        for (unsigned d = fields[i].digits; d-- > 0; value /= 10)
            text[fields[i].at + d] = (char)('0' + value % 10);
    }
}

#define PUT(out, literal) rm_buf_append((out), literal, sizeof(literal) - 1)

static void put_stamp(rm_observe__lines *lines, uint64_t wall_ms)
{
    uint64_t ms = wall_ms % 1000;
    if (wall_ms / 1000 != lines->second) {
        lines->second = wall_ms / 1000;
        rm_observe__format_second(lines->second, lines->stamp);
    }
    char tail[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', '"'};
    PUT(&lines->text, "{\"ts\":\"");
    rm_buf_append(&lines->text, lines->stamp, sizeof(lines->stamp) - 1);
    rm_buf_append(&lines->text, tail, sizeof(tail));
}

/* `head` is the comma, the name in quotes, the colon and the opening quote. */
#define PUT_TEXT(out, name, slice) put_text((out), RM_SLICE(",\"" name "\":\""), (slice))
static void put_text(rm_buf *out, rm_slice head, rm_slice value)
{
    rm_buf_append_slice(out, head);
    rm_buf_append_json_escaped(out, value);
    rm_buf_append_char(out, '"');
}

#define PUT_U64(out, name, value) (PUT(out, ",\"" name "\":"), rm_buf_append_u64((out), (value)))

/* Milliseconds with the microseconds as places. */
#define PUT_MS(out, name, ns) (PUT(out, ",\"" name "\":"), put_ms((out), (ns)))
static void put_ms(rm_buf *out, uint64_t ns)
{
    uint64_t us = ns / 1000;
    char places[] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10)};
    rm_buf_append_u64(out, us / 1000);
    rm_buf_append(out, places, sizeof(places));
}

#define PUT_BOOL(out, name, value) ((value) ? PUT(out, ",\"" name "\":true") : PUT(out, ",\"" name "\":false"))

#define PUT_USD(out, name, usd) put_usd((out), RM_SLICE(",\"" name "\":"), (usd))
static void put_usd(rm_buf *out, rm_slice head, double usd)
{
    rm_buf_append_slice(out, head);
    if (usd < 0)
        PUT(out, "null");
    else
        rm_buf_append_usd(out, usd);
}

#define PUT_TOKENS(out, name, count) put_tokens((out), RM_SLICE(",\"" name "\":"), (count))
static void put_tokens(rm_buf *out, rm_slice head, int64_t count)
{
    rm_buf_append_slice(out, head);
    if (count < 0)
        PUT(out, "null");
    else
        rm_buf_append_u64(out, (uint64_t)count);
}

static rm_slice cut_body(rm_slice body)
{
    if (body.len <= RM_LOG_BODY_BYTES_MAX)
        return body;
    body.len = RM_LOG_BODY_BYTES_MAX;
    while (body.len > 0 && ((unsigned char)body.ptr[body.len] & 0xc0) == 0x80)
        body.len--;
    return body;
}

static void put_what(rm_buf *out, const rm_receipt *r)
{
    PUT_TEXT(out, "id", r->id);
    PUT_TEXT(out, "tenant", r->tenant);
    if (r->name_space.len)
        PUT_TEXT(out, "namespace", r->name_space);
    PUT_TEXT(out, "method", r->method);
    PUT_TEXT(out, "path", r->path);
    PUT_TEXT(out, "op", rm_slice_cstr(rm_observe__op_name(r->op)));
    PUT_TEXT(out, "model", r->model);
    if (r->requested_model.len && !rm_slice_eq(r->requested_model, r->model))
        PUT_TEXT(out, "requested_model", r->requested_model);
    if (r->upstream.len)
        PUT_TEXT(out, "upstream", r->upstream);
    if (r->service_tier.len)
        PUT_TEXT(out, "service_tier", r->service_tier);
}

static void put_number(rm_buf *out, rm_slice head, double value)
{
    rm_buf_append_slice(out, head);
    rm_buf_appendf(out, "%.4g", value);
}

static void put_semantic(rm_buf *out, const rm_receipt *r)
{
    PUT_TEXT(out, "semantic", r->semantic);
    PUT_BOOL(out, "semantic_shadow", r->semantic_shadow);
    put_number(out, RM_SLICE(",\"similarity\":"), r->similarity);
    put_number(out, RM_SLICE(",\"risk\":"), r->risk);
    put_number(out, RM_SLICE(",\"risk_limit\":"), r->risk_limit);
}

static void put_how(rm_buf *out, const rm_receipt *r)
{
    PUT_U64(out, "status", (uint64_t)(r->status > 0 ? r->status : 0));
    PUT_TEXT(out, "outcome", rm_slice_cstr(rm_outcome_name(r->outcome)));
    PUT_TEXT(out, "reason", rm_slice_cstr(rm_reason_name(r->reason)));
    PUT_BOOL(out, "stream", r->stream);
    PUT_BOOL(out, "failed", r->failed);
    PUT_TOKENS(out, "input_tokens", r->usage.input_tokens);
    PUT_TOKENS(out, "cached_input_tokens", r->usage.cached_input_tokens);
    PUT_TOKENS(out, "output_tokens", r->usage.output_tokens);
    PUT_USD(out, "cost_usd", r->cost_usd);
    PUT_USD(out, "saved_usd", r->saved_usd);
    PUT_MS(out, "total_ms", r->total_ns);
    PUT_MS(out, "first_byte_ms", r->first_byte_ns);
    PUT_MS(out, "upstream_ms", r->upstream_ns);
    PUT_U64(out, "tries", r->tries);
    PUT_U64(out, "request_bytes", r->request_bytes);
    PUT_U64(out, "response_bytes", r->response_bytes);
    PUT_TEXT(out, "peer", r->peer);
}

bool rm_observe__log_line(rm_observe__lines *lines, const rm_receipt *receipt, uint64_t wall_ms, bool *ret_urgent)
{
    pthread_mutex_lock(&lines->lock);
    rm_buf *out = &lines->text;
    size_t begin = out->len;
    put_stamp(lines, wall_ms);
    put_what(out, receipt);
    put_how(out, receipt);
    if (receipt->semantic.len)
        put_semantic(out, receipt);
    if (receipt->prompt.ptr)
        PUT_TEXT(out, "prompt", cut_body(receipt->prompt));
    if (receipt->answer.ptr)
        PUT_TEXT(out, "answer", cut_body(receipt->answer));
    PUT(out, "}\n");
    bool kept = out->status == RM_OK;
    if (!kept) {
        out->len = begin;
        out->status = RM_OK;
    }
    *ret_urgent = begin < URGENT_BYTES && out->len >= URGENT_BYTES;
    pthread_mutex_unlock(&lines->lock);
    return kept;
}
