/* Scripts: an answer's bytes and where its pieces end; and the small answers that need no question. */
#include <time.h>

#include "mock_internal.h"

void rm_mock__script_init(rm_mock_script *script)
{
    *script = (rm_mock_script){.status = 200, .type = "application/json"};
    rm_buf_init(&script->bytes, RM_MOCK_SCRIPT_BYTES_MAX);
    rm_buf_init(&script->ends, RM_MOCK_SCRIPT_BYTES_MAX);
}

void rm_mock__script_deinit(rm_mock_script *script)
{
    rm_buf_deinit(&script->bytes);
    rm_buf_deinit(&script->ends);
}

void rm_mock__script_cut(rm_mock_script *script)
{
    rm_buf_append(&script->ends, &script->bytes.len, sizeof(script->bytes.len));
}

size_t rm_mock__script_count(const rm_mock_script *script)
{
    return script->ends.len / sizeof(size_t);
}

size_t rm_mock__script_end(const rm_mock_script *script, size_t index)
{
    size_t end;
    memcpy(&end, script->ends.ptr + index * sizeof(end), sizeof(end));
    return end;
}

void rm_mock__script_append_string(rm_buf *out, rm_slice text)
{
    rm_buf_append_char(out, '"');
    rm_buf_append_json_escaped(out, text);
    rm_buf_append_char(out, '"');
}

static const char *const model_names[] = {"gpt-4.1",
                                          "gpt-4.1-mini",
                                          "gpt-4.1-nano",
                                          "gpt-4o",
                                          "gpt-4o-mini",
                                          "gpt-3.5-turbo-instruct",
                                          "claude-sonnet-4-5",
                                          "text-embedding-3-small",
                                          "text-embedding-3-large"};

static void append_model(rm_slice name, rm_buf *out)
{
    rm_buf_append_cstr(out, "{\"id\":");
    rm_mock__script_append_string(out, name);
    rm_buf_append_cstr(out, ",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"mock\"}");
}

rm_status rm_mock__render_models(rm_slice one, rm_mock_script *script)
{
    rm_buf *out = &script->bytes;
    if (one.len > 0) {
        append_model(one, out);
    } else {
        rm_buf_append_cstr(out, "{\"object\":\"list\",\"data\":[");
        for (size_t i = 0; i < RM_COUNT(model_names); i++) {
            if (i > 0)
                rm_buf_append_char(out, ',');
            append_model(rm_slice_cstr(model_names[i]), out);
        }
        rm_buf_append_cstr(out, "]}");
    }
    rm_mock__script_cut(script);
    return out->status;
}

/* The type that each provider gives a status; the last row is for the rest. */
static const struct {
    int status;
    const char *openai, *anthropic;
} error_types[] = {
    {400, "invalid_request_error", "invalid_request_error"},
    {401, "invalid_request_error", "authentication_error"},
    {403, "invalid_request_error", "permission_error"},
    {404, "invalid_request_error", "not_found_error"},
    {413, "invalid_request_error", "request_too_large"},
    {429, "rate_limit_exceeded", "rate_limit_error"},
    {529, "server_error", "overloaded_error"},
    {0, "server_error", "api_error"},
};

rm_status rm_mock__render_error(bool anthropic, int status, const char *message, rm_mock_script *script)
{
    size_t row = 0;
    while (error_types[row].status != 0 && error_types[row].status != status)
        row++;
    rm_buf *out = &script->bytes;
    rm_buf_clear(out);
    rm_buf_clear(&script->ends);
    script->stream = false;
    script->status = status;
    script->type = "application/json";
    if (anthropic)
        rm_buf_appendf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"}}",
                       error_types[row].anthropic, message);
    else
        rm_buf_appendf(out, "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,\"code\":null}}", message,
                       error_types[row].openai);
    rm_mock__script_cut(script);
    return out->status;
}

rm_status rm_mock__render_echo(const rm_http_head *head, rm_slice body, rm_mock_script *script)
{
    rm_buf *out = &script->bytes;
    rm_buf_appendf(out, "{\"method\":\"%s\",\"target\":", rm_method_name(head->method));
    rm_mock__script_append_string(out, head->target);
    rm_buf_append_cstr(out, ",\"headers\":[");
    for (size_t i = 0; i < head->header_count; i++) {
        rm_buf_append_cstr(out, i ? ",[" : "[");
        rm_mock__script_append_string(out, head->headers[i].name);
        rm_buf_append_char(out, ',');
        rm_mock__script_append_string(out, head->headers[i].value);
        rm_buf_append_char(out, ']');
    }
    rm_buf_appendf(out, "],\"body_length\":%zu,\"body_base64\":\"", body.len);
    rm_buf_append_base64(out, body.ptr, body.len);
    rm_buf_append_cstr(out, "\"}");
    rm_mock__script_cut(script);
    return out->status;
}
