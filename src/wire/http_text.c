/* Names and small readings of HTTP: methods, error texts, hop-by-hop fields, header look-up. */
#include "wire_internal.h"

static const struct {
    const char *name;
    uint8_t llhttp;
} methods[RM_METHOD_COUNT] = {
    [RM_METHOD_GET] = {"GET", HTTP_GET},          [RM_METHOD_HEAD] = {"HEAD", HTTP_HEAD},
    [RM_METHOD_POST] = {"POST", HTTP_POST},       [RM_METHOD_PUT] = {"PUT", HTTP_PUT},
    [RM_METHOD_DELETE] = {"DELETE", HTTP_DELETE}, [RM_METHOD_OPTIONS] = {"OPTIONS", HTTP_OPTIONS},
    [RM_METHOD_PATCH] = {"PATCH", HTTP_PATCH},
};

static const struct {
    int status;
    const char *text;
} errors[] = {
    [RM_HTTP_OK] = {200, "ok"},
    [RM_HTTP_BAD_SYNTAX] = {400, "the request is not valid HTTP/1.1"},
    [RM_HTTP_BAD_LENGTH] = {400, "Content-Length is not one plain number, or stands beside Transfer-Encoding"},
    [RM_HTTP_BAD_ENCODING] = {501, "the only Transfer-Encoding that is understood is chunked, once, in HTTP/1.1"},
    [RM_HTTP_BAD_HOST] = {400, "exactly one valid Host header is needed"},
    [RM_HTTP_HEADERS_TOO_LARGE] = {431, "the request's headers are too large or too many"},
    [RM_HTTP_URI_TOO_LONG] = {414, "the request line is too long"},
    [RM_HTTP_METHOD_UNKNOWN] = {501, "the method is not supported"},
    [RM_HTTP_VERSION_UNSUPPORTED] = {505, "only HTTP/1.1 and HTTP/1.0 are spoken here"},
    [RM_HTTP_EXPECTATION] = {417, "the only expectation that is met is 100-continue"},
    [RM_HTTP_UPGRADE] = {505, "HTTP/2 is not spoken here, use HTTP/1.1"},
    [RM_HTTP_NO_MEMORY] = {503, "out of memory"},
};

const char *rm_method_name(rm_method method)
{
    return (unsigned)method < RM_METHOD_COUNT ? methods[method].name : "?";
}

bool rm_http__method(unsigned llhttp_method, rm_method *ret_method)
{
    for (unsigned i = 0; i < RM_METHOD_COUNT; i++) {
        if (methods[i].llhttp == llhttp_method) {
            *ret_method = (rm_method)i;
            return true;
        }
    }
    return false;
}

int rm_http_error_status(rm_http_error error)
{
    return (unsigned)error < RM_COUNT(errors) ? errors[error].status : 400;
}

const char *rm_http_error_text(rm_http_error error)
{
    return (unsigned)error < RM_COUNT(errors) ? errors[error].text : "unknown error";
}

bool rm_http__is_token_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

rm_slice rm_http_header(const rm_http_head *head, const char *name)
{
    rm_slice wanted = rm_slice_cstr(name);

    for (size_t i = 0; i < head->header_count; i++) {
        if (rm_slice_eq_nocase(head->headers[i].name, wanted))
            return head->headers[i].value;
    }
    return RM_SLICE_NONE;
}

/* RFC 9110 7.6.1, the proxy fields of 11.7, and Trailer, because trailers are dropped. */
static bool hop_by_hop_always(rm_slice name)
{
    switch (name.len) {
    case 2:
        return rm_slice_eq_nocase(name, RM_SLICE("te"));
    case 7:
        return rm_slice_eq_nocase(name, RM_SLICE("upgrade")) || rm_slice_eq_nocase(name, RM_SLICE("trailer"));
    case 10:
        return rm_slice_eq_nocase(name, RM_SLICE("connection")) || rm_slice_eq_nocase(name, RM_SLICE("keep-alive"));
    case 16:
        return rm_slice_eq_nocase(name, RM_SLICE("proxy-connection"));
    case 17:
        return rm_slice_eq_nocase(name, RM_SLICE("transfer-encoding"));
    case 18:
        return rm_slice_eq_nocase(name, RM_SLICE("proxy-authenticate"));
    case 19:
        return rm_slice_eq_nocase(name, RM_SLICE("proxy-authorization"));
    default:
        return false;
    }
}

bool rm_http_is_hop_by_hop(rm_slice name, rm_slice connection)
{
    rm_slice token;

    if (hop_by_hop_always(name))
        return true;
    while (rm_slice_split(&connection, ',', &token)) {
        if (rm_slice_eq_nocase(rm_slice_trim(token), name))
            return true;
    }
    return false;
}
