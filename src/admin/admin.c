/* The admin server: a request is gathered whole (its body is small), answered by its route, and forgotten. */
#include <stdio.h>

#include "admin_internal.h"

#define RM_ADMIN_HEADER_TIMEOUT_MS 10000
#define RM_ADMIN_BODY_TIMEOUT_MS   10000
#define RM_ADMIN_IDLE_TIMEOUT_MS   75000
#define RM_ADMIN_WRITE_TIMEOUT_MS  30000

int rm_admin__error(rm_admin_call *call, int http_status, const char *message)
{
    rm_buf_clear(&call->out);
    rm_buf_append_cstr(&call->out, "{\"error\":{\"message\":\"");
    rm_buf_append_json_escaped(&call->out, rm_slice_cstr(message));
    rm_buf_append_cstr(&call->out, "\"}}");
    call->content_type = "application/json";
    return http_status;
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static rm_status decode(rm_slice value, char *text)
{
    size_t len = 0;

    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '%') {
            int high = i + 2 < value.len ? hex_digit(value.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(value.ptr[i + 2]) : -1;
            if (low < 0 || high * 16 + low == 0)
                return RM_EPARSE;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (len + 1 >= RM_ADMIN_QUERY_BYTES_MAX)
            return RM_ETOOBIG;
        text[len++] = c;
    }
    text[len] = 0;
    return RM_OK;
}

rm_status rm_admin__query(rm_slice query, const char *name, char *text)
{
    rm_slice part, wanted = rm_slice_cstr(name);

    while (rm_slice_split(&query, '&', &part))
        if (part.len > wanted.len && part.ptr[wanted.len] == '=' && rm_slice_has_prefix(part, wanted))
            return decode(rm_slice_make(part.ptr + wanted.len + 1, part.len - wanted.len - 1), text);
    return RM_ENOTFOUND;
}

/* ---- answering --------------------------------------------------------------------------------------------------- */

static void reply(rm_admin_call *call, int http_status, const char *allow)
{
    rm_header headers[] = {
        {RM_SLICE("Content-Type"), rm_slice_cstr(call->content_type)},
        {RM_SLICE("Cache-Control"), RM_SLICE("no-store")},
        {RM_SLICE("X-Content-Type-Options"), RM_SLICE("nosniff")},
        {RM_SLICE("Content-Security-Policy"),
         RM_SLICE("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
                  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")},
        {RM_SLICE("Allow"), rm_slice_cstr(allow)},
    };
    rm_reply head = {.status = http_status,
                     .headers = headers,
                     .header_count = RM_COUNT(headers) - (allow ? 0 : 1),
                     .body_bytes = (int64_t)call->out.len};

    (void)rm_req_reply(call->req, &head, rm_buf_slice(&call->out)); /* on failure on_close follows */
}

/* The route, or NULL with the status that says why not. */
static const rm_admin_route *find_route(const rm_http_head *head, int *ret_status, const char **ret_allow)
{
    rm_method method = head->method == RM_METHOD_HEAD ? RM_METHOD_GET : head->method;

    for (size_t i = 0; i < rm_admin__route_count; i++) {
        const rm_admin_route *route = &rm_admin__routes[i];
        if (!rm_slice_eq(head->path, rm_slice_cstr(route->path)))
            continue;
        if (route->method == method)
            return route;
        *ret_status = 405;
        *ret_allow = route->method == RM_METHOD_GET ? "GET, HEAD" : "POST";
        return NULL;
    }
    *ret_status = 404;
    return NULL;
}

static void on_body_end(void *user)
{
    rm_admin_call *call = user;
    const rm_http_head *head = rm_req_head(call->req);
    const char *allow = NULL;
    int status = 200;
    const rm_admin_route *route = find_route(head, &status, &allow);
    bool unix_peer = rm_slice_eq(rm_req_peer(call->req), RM_SLICE("unix"));

    if (!unix_peer && !(route && route->any_host) && !rm_admin__host_allowed(head->host))
        status = rm_admin__error(call, 403, "this Host is not answered; ask by IP address or localhost");
    else if (!route)
        status = rm_admin__error(call, status, status == 405 ? "that method is not for this path" : "no such path");
    else if (route->method != RM_METHOD_GET && !rm_admin__origin_allowed(head))
        status = rm_admin__error(call, 403, "requests from pages of other origins are refused");
    else if (call->body_too_large)
        status = rm_admin__error(call, 413, "the body is too large");
    else
        status = route->handle(call);
    if (call->out.status != RM_OK) {
        rm_status why = call->out.status;
        status = rm_admin__error(call, rm_status_http(why), rm_status_text(why));
    }
    reply(call, status, allow);
}

static void *on_request(void *server_user, rm_req *req)
{
    rm_admin_call *call = rm_calloc(1, sizeof(*call));

    if (!call)
        return NULL;
    call->admin = server_user;
    call->req = req;
    call->content_type = "application/json";
    rm_buf_init(&call->body, RM_ADMIN_BODY_BYTES_MAX);
    rm_buf_init(&call->out, RM_ADMIN_ANSWER_BYTES_MAX);
    return call;
}

static void on_body(void *user, rm_slice bytes)
{
    rm_admin_call *call = user;

    if (rm_buf_append_slice(&call->body, bytes) != RM_OK)
        call->body_too_large = true;
}

static void on_drain(void *user)
{
    (void)user; /* answers are whole when they are sent */
}

static void on_close(void *user, rm_status why)
{
    rm_admin_call *call = user;

    (void)why;
    rm_buf_deinit(&call->body);
    rm_buf_deinit(&call->out);
    rm_free(call);
}

static rm_slice error_body(void *server_user, rm_slice path, int http_status, const char *text, rm_buf *scratch,
                           const char **ret_type)
{
    (void)server_user;
    (void)path;
    (void)http_status;
    rm_buf_append_cstr(scratch, "{\"error\":{\"message\":\"");
    rm_buf_append_json_escaped(scratch, rm_slice_cstr(text));
    if (rm_buf_append_cstr(scratch, "\"}}") != RM_OK)
        return RM_SLICE_NONE;
    *ret_type = "application/json";
    return rm_buf_slice(scratch);
}

static const rm_server_ops server_ops = {.on_request = on_request,
                                         .on_body = on_body,
                                         .on_body_end = on_body_end,
                                         .on_drain = on_drain,
                                         .on_close = on_close,
                                         .error_body = error_body};

/* ---- life -------------------------------------------------------------------------------------------------------- */

rm_status rm_admin_create(rm_loop *loop, const char *address, const rm_admin_context *context, rm_admin **ret_admin)
{
    rm_admin *admin = rm_calloc(1, sizeof(*admin));
    rm_status status = RM_OK;

    if (!admin)
        return RM_ENOMEM;
    admin->context = *context;
    admin->loop = loop;
    rm_server_options options = {.ops = &server_ops,
                                 .server_user = admin,
                                 .header_timeout_ms = RM_ADMIN_HEADER_TIMEOUT_MS,
                                 .body_timeout_ms = RM_ADMIN_BODY_TIMEOUT_MS,
                                 .idle_timeout_ms = RM_ADMIN_IDLE_TIMEOUT_MS,
                                 .write_timeout_ms = RM_ADMIN_WRITE_TIMEOUT_MS,
                                 .connections_max = RM_ADMIN_CONNECTIONS_MAX,
                                 .connections_per_address_max = RM_ADMIN_CONNECTIONS_MAX};
    if (context->store)
        status = rm_store_reader_create(context->store, &admin->reader);
    if (status == RM_OK)
        status = rm_listener_open(loop, address, &options, &admin->listener);
    if (status != RM_OK) {
        rm_store_reader_destroy(admin->reader);
        rm_free(admin);
        return status;
    }
    *ret_admin = admin;
    return RM_OK;
}

int rm_admin_port(const rm_admin *admin)
{
    return rm_listener_port(admin->listener);
}

static void on_listener_closed(void *user)
{
    rm_admin *admin = user;
    void (*on_closed)(void *) = admin->on_closed;
    void *closed_user = admin->closed_user;

    rm_store_reader_destroy(admin->reader);
    rm_free(admin);
    if (on_closed)
        on_closed(closed_user);
}

void rm_admin_close(rm_admin *admin, void (*on_closed)(void *user), void *user)
{
    admin->on_closed = on_closed;
    admin->closed_user = user;
    rm_listener_close(admin->listener, on_listener_closed, admin);
}
