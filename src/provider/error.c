/* Error bodies in the dialects' own shapes, for answers that Remora gives itself. */
#include "provider_internal.h"

static const struct {
    int status;
    const char *openai, *anthropic;
} types[] = {
    {400, "invalid_request_error", "invalid_request_error"},
    {401, "authentication_error", "authentication_error"},
    {402, "insufficient_quota", "billing_error"},
    {403, "permission_error", "permission_error"},
    {404, "invalid_request_error", "not_found_error"},
    {408, "timeout_error", "timeout_error"},
    {413, "invalid_request_error", "request_too_large"},
    {429, "rate_limit_error", "rate_limit_error"},
    {500, "server_error", "api_error"},
    {503, "server_error", "overloaded_error"},
    {504, "timeout_error", "timeout_error"},
    {529, "server_error", "overloaded_error"},
};

static const char *type_of(rm_dialect dialect, int status)
{
    bool anthropic = dialect == RM_DIALECT_ANTHROPIC;
    for (size_t i = 0; i < RM_COUNT(types); i++)
        if (types[i].status == status)
            return anthropic ? types[i].anthropic : types[i].openai;
    if (status < 500)
        return "invalid_request_error";
    return anthropic ? "api_error" : "server_error";
}

rm_status rm_provider_error_body(rm_dialect dialect, int http_status, const char *type, const char *message,
                                 rm_buf *out)
{
    bool own_type = type && dialect != RM_DIALECT_ANTHROPIC;
    rm_slice name = rm_slice_cstr(own_type ? type : type_of(dialect, http_status));
    rm_slice text = rm_slice_cstr(message ? message : "");
    if (dialect == RM_DIALECT_ANTHROPIC) {
        rm_buf_append_cstr(out, "{\"type\":\"error\",\"error\":{");
        rm_provider__put_member_string(RM_SLICE("type"), name, out);
        rm_provider__put_member_string(RM_SLICE("message"), text, out);
        return rm_buf_append_cstr(out, "}}");
    }
    rm_buf_append_cstr(out, "{\"error\":{");
    rm_provider__put_member_string(RM_SLICE("message"), text, out);
    rm_provider__put_member_string(RM_SLICE("type"), name, out);
    rm_provider__put_member(RM_SLICE("param"), NULL, out);
    return rm_buf_appendf(out, ",\"code\":\"%d\"}}", http_status);
}
