/* From the text of a complete head to rm_http_head. What llhttp lets pass and a proxy must not is refused here: more
 * than one way to read a message is how requests are smuggled. */
#include "wire_internal.h"

/* Lines that decide framing or routing, found while the list is made. */
typedef struct head_facts {
    rm_slice host, content_length, transfer_encoding, expect;
    unsigned hosts, content_lengths, transfer_encodings, expects;
} head_facts;

static rm_slice span_slice(rm_slice text, rm_http_span span)
{
    return (rm_slice){text.ptr + span.at, span.len};
}

static void fact_note(head_facts *facts, const rm_header *header)
{
    switch (header->name.len) {
    case 4:
        if (rm_slice_eq_nocase(header->name, RM_SLICE("host"))) {
            facts->host = header->value;
            facts->hosts++;
        }
        break;
    case 6:
        if (rm_slice_eq_nocase(header->name, RM_SLICE("expect"))) {
            facts->expect = header->value;
            facts->expects++;
        }
        break;
    case 14:
        if (rm_slice_eq_nocase(header->name, RM_SLICE("content-length"))) {
            facts->content_length = header->value;
            facts->content_lengths++;
        }
        break;
    case 17:
        if (rm_slice_eq_nocase(header->name, RM_SLICE("transfer-encoding"))) {
            facts->transfer_encoding = header->value;
            facts->transfer_encodings++;
        }
        break;
    default:
        break;
    }
}

static rm_http_error read_headers(rm_http_parser *parser, rm_slice text, rm_http_head *head, head_facts *facts)
{
    rm_header *headers = rm_arena_alloc(parser->arena, (parser->line_count + 1U) * sizeof(*headers));

    if (!headers)
        return RM_HTTP_NO_MEMORY;
    for (unsigned i = 0; i < parser->line_count; i++) {
        headers[i].name = span_slice(text, parser->lines[i].name);
        headers[i].value = rm_slice_trim(span_slice(text, parser->lines[i].value));
        fact_note(facts, &headers[i]);
    }
    head->headers = headers;
    head->header_count = parser->line_count;
    return RM_HTTP_OK;
}

static rm_http_error read_framing(const rm_http_parser *parser, const head_facts *facts, rm_http_head *head)
{
    uint64_t length = 0;

    head->content_length = -1;
    if (facts->content_lengths > 1 || (facts->content_lengths && facts->transfer_encodings))
        return RM_HTTP_BAD_LENGTH;
    if (facts->content_lengths) {
        if (rm_parse_u64(facts->content_length, &length) != RM_OK || length > INT64_MAX ||
            length != parser->llhttp.content_length)
            return RM_HTTP_BAD_LENGTH;
        head->content_length = (int64_t)length;
    }
    if (facts->transfer_encodings) {
        /* RFC 9112 6.1: a coding that HTTP/1.0 does not know makes its framing faulty. */
        if (facts->transfer_encodings > 1 || head->http_1_0 ||
            !rm_slice_eq_nocase(facts->transfer_encoding, RM_SLICE("chunked")) || !(parser->llhttp.flags & F_CHUNKED))
            return RM_HTTP_BAD_ENCODING;
        head->chunked = true;
    }
    return RM_HTTP_OK;
}

static rm_http_error read_expect(const head_facts *facts, rm_http_head *head)
{
    if (facts->expects == 0 || head->http_1_0)
        return RM_HTTP_OK;
    if (facts->expects > 1 || !rm_slice_eq_nocase(facts->expect, RM_SLICE("100-continue")))
        return RM_HTTP_EXPECTATION;
    head->expect_continue = true;
    return RM_HTTP_OK;
}

/* host[:port] with the characters of RFC 3986's reg-name and IP literals; user names are not for this place. */
static bool host_valid(rm_slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.ptr[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"#/<>?@\\^`{|},", c))
            return false;
    }
    return true;
}

static rm_http_error read_host(const head_facts *facts, rm_http_head *head)
{
    if (facts->hosts > 1 || (facts->hosts == 0 && !head->http_1_0) || !host_valid(facts->host))
        return RM_HTTP_BAD_HOST;
    head->host = facts->host;
    return RM_HTTP_OK;
}

/* "http://host/path?query" -> host and "/path?query" (RFC 9112 3.2.2: the target's host wins). */
static rm_http_error reduce_absolute(rm_arena *arena, rm_http_head *head)
{
    static const rm_slice schemes[] = {{"http://", 7}, {"https://", 8}};
    rm_slice target = head->target;
    size_t skip = 0, end;

    for (size_t i = 0; i < RM_COUNT(schemes); i++) {
        if (target.len > schemes[i].len && rm_slice_eq_nocase(rm_slice_make(target.ptr, schemes[i].len), schemes[i]))
            skip = schemes[i].len;
    }
    if (skip == 0)
        return RM_HTTP_BAD_SYNTAX;
    for (end = skip; end < target.len && target.ptr[end] != '/' && target.ptr[end] != '?'; end++)
        ;
    head->host = rm_slice_make(target.ptr + skip, end - skip);
    if (head->host.len == 0 || !host_valid(head->host))
        return RM_HTTP_BAD_HOST;
    head->target = rm_slice_make(target.ptr + end, target.len - end);
    if (head->target.len == 0) {
        head->target = RM_SLICE("/");
    } else if (head->target.ptr[0] == '?') {
        head->target = rm_arena_printf(arena, "/%.*s", (int)(target.len - end), target.ptr + end);
        if (!head->target.ptr)
            return RM_HTTP_NO_MEMORY;
    }
    return RM_HTTP_OK;
}

static rm_http_error read_target(rm_http_parser *parser, rm_slice text, rm_http_head *head)
{
    const char *mark;

    head->target = span_slice(text, parser->target);
    for (size_t i = 0; i < head->target.len; i++) {
        unsigned char c = (unsigned char)head->target.ptr[i];

        if (c <= ' ' || c >= 0x7f || c == '#')
            return RM_HTTP_BAD_SYNTAX;
    }
    if (head->target.len == 0)
        return RM_HTTP_BAD_SYNTAX;
    if (head->target.ptr[0] == '*') {
        if (head->target.len != 1 || head->method != RM_METHOD_OPTIONS)
            return RM_HTTP_BAD_SYNTAX;
    } else if (head->target.ptr[0] != '/') {
        rm_http_error error = reduce_absolute(parser->arena, head);

        if (error != RM_HTTP_OK)
            return error;
    }
    mark = memchr(head->target.ptr, '?', head->target.len);
    head->path = head->target;
    if (mark) {
        head->path.len = (size_t)(mark - head->target.ptr);
        head->query = rm_slice_make(mark + 1, head->target.len - head->path.len - 1);
    }
    return RM_HTTP_OK;
}

/* llhttp allows more than one space between the parts, and other protocols' names. */
static bool line_strict(const rm_http_parser *parser, rm_slice text)
{
    size_t target_at = strlen(rm_method_name(parser->method)) + 1;
    size_t target_end = (size_t)parser->target.at + parser->target.len;

    return parser->target.at == target_at && (size_t)parser->version.at == target_end + 6 &&
           memcmp(text.ptr + target_end, " HTTP/", 6) == 0;
}

rm_http_error rm_http__head_build(rm_http_parser *parser, rm_slice text, rm_http_head **ret_head)
{
    rm_http_head *head = rm_arena_calloc(parser->arena, sizeof(*head));
    head_facts facts = {0};
    rm_http_error error;

    if (!head)
        return RM_HTTP_NO_MEMORY;
    if (parser->llhttp.method == HTTP_PRI)
        return RM_HTTP_UPGRADE;
    if (!line_strict(parser, text))
        return RM_HTTP_BAD_SYNTAX;
    head->method = parser->method;
    head->http_1_0 = parser->llhttp.http_minor == 0;
    if ((error = read_headers(parser, text, head, &facts)) != RM_HTTP_OK ||
        (error = read_framing(parser, &facts, head)) != RM_HTTP_OK || (error = read_host(&facts, head)) != RM_HTTP_OK ||
        (error = read_target(parser, text, head)) != RM_HTTP_OK || (error = read_expect(&facts, head)) != RM_HTTP_OK)
        return error;
    head->keep_alive = llhttp_should_keep_alive(&parser->llhttp) != 0;
    *ret_head = head;
    return RM_HTTP_OK;
}
