/* What may be asked, whichever way it goes. */
#include "upstream_internal.h"

static const struct {
    rm_slice name;
    rm_upstream__line line;
} known[] = {
    {{"accept", 6}, RM_UPSTREAM__LINE_ACCEPT},
    {{"accept-encoding", 15}, RM_UPSTREAM__LINE_ACCEPT_ENCODING},
    {{"content-type", 12}, RM_UPSTREAM__LINE_CONTENT_TYPE},
    {{"expect", 6}, RM_UPSTREAM__LINE_EXPECT},
    {{"content-length", 14}, RM_UPSTREAM__LINE_FRAMING},
    {{"transfer-encoding", 17}, RM_UPSTREAM__LINE_FRAMING},
    {{"host", 4}, RM_UPSTREAM__LINE_HOST},
};

rm_upstream__line rm_upstream__line_of(rm_slice name)
{
    for (size_t i = 0; i < RM_COUNT(known); i++) {
        if (known[i].name.len == name.len && rm_slice_eq_nocase(known[i].name, name))
            return known[i].line;
    }
    return RM_UPSTREAM__LINE_OTHER;
}

/* A POST, PUT or PATCH without a body states its length of 0 (RFC 9110 8.6). */
bool rm_upstream__states_length(const rm_upstream_request *request)
{
    return (request->has_body && strcmp(request->method, "HEAD") != 0) || request->method[0] == 'P';
}

static bool header_sound(const rm_header *header)
{
    static const char bad[] = {'\r', '\n', '\0'};

    if (header->name.len == 0)
        return false;
    for (size_t i = 0; i < sizeof(bad); i++) {
        if (memchr(header->name.ptr, bad[i], header->name.len) ||
            (header->value.len && memchr(header->value.ptr, bad[i], header->value.len)))
            return false;
    }
    return true;
}

static bool url_sound(const char *url, bool *ret_tls)
{
    size_t origin;

    if (strncmp(url, "http://", 7) == 0)
        origin = 7;
    else if (strncmp(url, "https://", 8) == 0)
        origin = 8;
    else
        return false;
    *ret_tls = origin == 8;
    if (url[origin] == '/' || url[origin] == '\0')
        return false;
    for (const unsigned char *p = (const unsigned char *)url; *p; p++) {
        if (*p <= ' ' || *p == 0x7f)
            return false;
    }
    return true;
}

static bool method_sound(const char *method)
{
    size_t len = strlen(method);

    return len > 0 && len < RM_UPSTREAM__METHOD_BYTES_MAX && strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == len;
}

rm_status rm_upstream__request_check(const rm_upstream_request *request, bool *ret_tls)
{
    if (!url_sound(request->url, ret_tls) || !method_sound(request->method))
        return RM_EINVAL;
    size_t bytes = strlen(request->url);
    for (size_t i = 0; i < request->header_count; i++) {
        const rm_header *header = &request->headers[i];
        if (!header_sound(header))
            return RM_EINVAL;
        bytes += header->name.len + header->value.len + sizeof(": \r\n") - 1;
    }
    return bytes <= RM_UPSTREAM_REQUEST_HEAD_BYTES_MAX ? RM_OK : RM_ETOOBIG;
}
