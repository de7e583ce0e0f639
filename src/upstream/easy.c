/* curl's easy handles: what is set once, and what is set for each request. */
#include "upstream_internal.h"

/* ---- once ------------------------------------------------------------------------------------------------------- */

#define SET(option, value)                                         \
    do {                                                           \
        if (curl_easy_setopt(easy, (option), (value)) != CURLE_OK) \
            goto failed;                                           \
    } while (0)

static bool set_network(CURL *easy, rm_upstream_client *client)
{
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_HTTP_VERSION, client->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_MAXAGE_CONN, RM_UPSTREAM__IDLE_S);
    SET(CURLOPT_MAXLIFETIME_CONN, RM_UPSTREAM__LIFETIME_S);
    SET(CURLOPT_BUFFERSIZE, RM_UPSTREAM__RECEIVE_BYTES);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, RM_UPSTREAM__SEND_BYTES);
    SET(CURLOPT_SHARE, client->share);
    SET(CURLOPT_OPENSOCKETFUNCTION, rm_upstream__socket_open);
    SET(CURLOPT_OPENSOCKETDATA, client);
    SET(CURLOPT_CLOSESOCKETFUNCTION, rm_upstream__socket_close);
    SET(CURLOPT_CLOSESOCKETDATA, client);
    if (client->proxy)
        SET(CURLOPT_PROXY, client->proxy);
    if (client->proxy && !client->proxy[0])
        SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_SSL_VERIFYPEER, client->tls_verify ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, client->tls_verify ? 2L : 0L);
    if (client->ca_file)
        SET(CURLOPT_CAINFO, client->ca_file);
    return true;

failed:
    return false;
}

static bool set_transfer(CURL *easy, rm_upstream_call *call)
{
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_ERRORBUFFER, call->error);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HEADERFUNCTION, rm_upstream__on_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_WRITEFUNCTION, rm_upstream__on_write);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_READFUNCTION, rm_upstream__on_read);
    SET(CURLOPT_READDATA, call);
    return true;

failed:
    return false;
}

static CURL *easy_create(rm_upstream_call *call)
{
    CURL *easy = curl_easy_init();

    if (easy && set_network(easy, call->client) && set_transfer(easy, call))
        return easy;
    curl_easy_cleanup(easy);
    return NULL;
}

/* ---- header lines -------------------------------------------------------------------------------------------------
 */

/* A line that is a bare "Name:" tells curl not to add its own. */
static char no_accept[] = "Accept:", no_accept_encoding[] = "Accept-Encoding:", no_content_type[] = "Content-Type:",
            no_expect[] = "Expect:";
static const struct {
    unsigned unless;
    char *line;
} suppressed[] = {
    {RM_UPSTREAM__LINE_ACCEPT, no_accept},
    {RM_UPSTREAM__LINE_ACCEPT_ENCODING, no_accept_encoding},
    {RM_UPSTREAM__LINE_CONTENT_TYPE, no_content_type},
    {RM_UPSTREAM__LINE_EXPECT, no_expect},
};

/* Which of these curl would add to this request; it searches the whole list for each name it cares for, so that a line
 * too many has its price. */
static unsigned added_by_curl(const rm_upstream_request *request)
{
    unsigned added = RM_UPSTREAM__LINE_ACCEPT;

    if (request->decode)
        added |= RM_UPSTREAM__LINE_ACCEPT_ENCODING;
    if (request->has_body || request->stream_body || request->method[0] == 'P')
        added |= RM_UPSTREAM__LINE_CONTENT_TYPE;
    if (request->stream_body || request->body.len >= RM_UPSTREAM__EXPECT_BYTES)
        added |= RM_UPSTREAM__LINE_EXPECT;
    return added;
}

static char *put(char *at, rm_slice text)
{
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

/* "Name: value", or "Name;" for an empty value, which is how curl is told to send "Name:". */
static char *put_line(char *at, const rm_header *header)
{
    at = put(at, header->name);
    if (header->value.len > 0)
        at = put(put(at, RM_SLICE(": ")), header->value);
    else
        *at++ = ';';
    *at++ = '\0';
    return at;
}

static rm_status header_block_reserve(rm_upstream_call *call, size_t bytes)
{
    if (bytes <= call->header_block_bytes)
        return RM_OK;
    char *block = rm_alloc(bytes);
    if (!block)
        return RM_ENOMEM;
    rm_free(call->header_block);
    call->header_block = block;
    call->header_block_bytes = bytes;
    return RM_OK;
}

static rm_status set_headers(rm_upstream_call *call, bool *ret_decodable)
{
    const rm_upstream_request *request = &call->request;
    size_t nodes = request->header_count + RM_COUNT(suppressed), text_bytes = 0;
    unsigned saw = 0;
    bool encoded = false;

    for (size_t i = 0; i < request->header_count; i++)
        text_bytes += request->headers[i].name.len + request->headers[i].value.len + sizeof(": ");
    if (header_block_reserve(call, nodes * sizeof(struct curl_slist) + text_bytes) != RM_OK)
        return RM_ENOMEM;
    struct curl_slist *list = (struct curl_slist *)(void *)call->header_block, *last = list;
    char *text = call->header_block + nodes * sizeof(struct curl_slist);
    *ret_decodable = request->decode;
    for (size_t i = 0; i < request->header_count; i++) {
        const rm_header *header = &request->headers[i];
        unsigned kind = rm_upstream__line_of(header->name);
        saw |= kind;
        if (kind == RM_UPSTREAM__LINE_FRAMING)
            continue;
        if (kind == RM_UPSTREAM__LINE_ACCEPT_ENCODING &&
            !rm_upstream__codings_known(call->client->codings, header->value, &encoded))
            *ret_decodable = false;
        *last = (struct curl_slist){text, last + 1};
        last++;
        text = put_line(text, header);
    }
    for (size_t i = 0; i < RM_COUNT(suppressed); i++) {
        if (added_by_curl(request) & ~saw & suppressed[i].unless) {
            *last = (struct curl_slist){suppressed[i].line, last + 1};
            last++;
        }
    }
    if (last != list)
        last[-1].next = NULL;
    return curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, last != list ? list : NULL) == CURLE_OK ? RM_OK : RM_ENOMEM;
}

/* ---- each request ---------------------------------------------------------------------------------------------------
 */

static const struct {
    CURLoption option; /* besides CURLOPT_HTTPGET, which takes back what another mode has set */
    const char *method;
} modes[] = {
    [RM_UPSTREAM__MODE_NONE] = {CURLOPT_HTTPGET, ""},     [RM_UPSTREAM__MODE_GET] = {CURLOPT_HTTPGET, "GET"},
    [RM_UPSTREAM__MODE_HEAD] = {CURLOPT_NOBODY, "HEAD"},  [RM_UPSTREAM__MODE_POST] = {CURLOPT_POST, "POST"},
    [RM_UPSTREAM__MODE_UPLOAD] = {CURLOPT_UPLOAD, "PUT"},
};

static rm_upstream__mode mode_of(const rm_upstream_request *request)
{
    if (strcmp(request->method, "HEAD") == 0)
        return RM_UPSTREAM__MODE_HEAD;
    if (request->stream_body)
        return RM_UPSTREAM__MODE_UPLOAD;
    return rm_upstream__states_length(request) ? RM_UPSTREAM__MODE_POST : RM_UPSTREAM__MODE_GET;
}

static rm_status set_method(rm_upstream_call *call)
{
    CURL *easy = call->easy;
    rm_upstream__mode mode = mode_of(&call->request);
    const char *custom = strcmp(call->request.method, modes[mode].method) == 0 ? "" : call->request.method;

    if (mode != call->mode) {
        call->mode = RM_UPSTREAM__MODE_NONE;
        SET(CURLOPT_HTTPGET, 1L);
        SET(modes[mode].option, 1L);
        call->mode = mode;
    }
    if (strcmp(custom, call->custom_method) != 0) {
        SET(CURLOPT_CUSTOMREQUEST, custom[0] ? custom : NULL);
        snprintf(call->custom_method, sizeof(call->custom_method), "%s", custom);
    }
    if (mode == RM_UPSTREAM__MODE_POST) {
        rm_slice body = call->request.has_body ? call->request.body : RM_SLICE_NONE;
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        SET(CURLOPT_POSTFIELDS, body.ptr ? body.ptr : "");
    } else if (mode == RM_UPSTREAM__MODE_UPLOAD) {
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->request.stream_body_bytes);
    }
    return RM_OK;

failed:
    return RM_ENOMEM;
}

static rm_status set_differences(rm_upstream_call *call, bool decode, bool pipewait)
{
    CURL *easy = call->easy;

    if (call->set_connect_ms != call->request.timeouts.connect_ms) {
        SET(CURLOPT_CONNECTTIMEOUT_MS, (long)call->request.timeouts.connect_ms);
        call->set_connect_ms = call->request.timeouts.connect_ms;
    }
    if (call->set_decode != decode) {
        SET(CURLOPT_ACCEPT_ENCODING, decode ? "" : NULL);
        call->set_decode = decode;
    }
    if (call->set_pipewait != pipewait) {
        SET(CURLOPT_PIPEWAIT, pipewait ? 1L : 0L);
        call->set_pipewait = pipewait;
    }
    return RM_OK;

failed:
    return RM_ENOMEM;
}

/* Given its address in parts as well, curl neither parses it nor puts it together again: a tenth of its instructions
 * for a small request. Most requests of a handle go where its last one went. */
static rm_status set_url(rm_upstream_call *call)
{
    const char *url = call->request.url;

    if (call->url && strcmp(call->url, url) == 0)
        return RM_OK;
    rm_free(call->url);
    call->url = NULL;
    if (!call->parts && !(call->parts = curl_url()))
        return RM_ENOMEM;
    CURLUcode code = curl_url_set(call->parts, CURLUPART_URL, url, CURLU_PATH_AS_IS);
    if (code != CURLUE_OK)
        return code == CURLUE_OUT_OF_MEMORY ? RM_ENOMEM : RM_EINVAL;
    if (curl_easy_setopt(call->easy, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(call->easy, CURLOPT_CURLU, call->parts) != CURLE_OK)
        return RM_ENOMEM;
    call->url = rm_strdup(url);
    return call->url ? RM_OK : RM_ENOMEM;
}

rm_status rm_upstream__easy_prepare(rm_upstream_call *call)
{
    rm_status status;
    bool tls, decodable;

    if ((status = rm_upstream__request_check(&call->request, &tls)) != RM_OK)
        return status;
    call->direct = rm_upstream__direct_fits(call->client, &call->request);
    if (call->direct)
        return rm_upstream__direct_prepare(call);
    if (!call->easy && !(call->easy = easy_create(call)))
        return RM_ENOMEM;
    if ((status = set_headers(call, &decodable)) != RM_OK || (status = set_method(call)) != RM_OK ||
        (status = set_differences(call, decodable, tls && call->client->http2)) != RM_OK)
        return status;
    return set_url(call);
}

/* ---- a handle that only connects -------------------------------------------------------------------------------- */

rm_status rm_upstream__easy_connect(rm_upstream_call *call)
{
    rm_upstream__easy_drop(call);
    CURL *easy = call->easy = easy_create(call);
    if (!easy)
        return RM_ENOMEM;
    SET(CURLOPT_CONNECT_ONLY, 1L);
    SET(CURLOPT_URL, call->request.url);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)call->request.timeouts.connect_ms);
    return RM_OK;

failed:
    return RM_ENOMEM;
}

void rm_upstream__easy_drop(rm_upstream_call *call)
{
    curl_easy_cleanup(call->easy);
    call->easy = NULL;
    rm_free(call->url);
    call->url = NULL;
    call->mode = RM_UPSTREAM__MODE_NONE;
    call->custom_method[0] = '\0';
    call->set_connect_ms = 0;
    call->set_decode = call->set_raw = call->set_pipewait = call->set_fresh = false;
}
