/* Direct calls: HTTP/1.1 over connections of our own, kept alive, for upstreams that need neither TLS nor a proxy (a
 * gateway beside us, a model server). Looking up a name, racing its addresses and their deadline are curl's work: a
 * handle that only connects, whose socket we keep a copy of.
 *
 *   add --> an idle wire of the origin --> send --> events --> answer complete --> idle again
 *       '-> curl connects --> a new wire --^                '-> anything else ---> closed
 *
 * A wire holds a call from send until the answer is complete or the wire is closed; `call->wire` says the same. What a
 * wire tells its call goes through the callbacks that curl's transfers use (answer.c), inside enter and leave as there. */
#include "upstream_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define READS_A_TURN 4 /* so that one long answer does not keep the others waiting */

struct rm_upstream__wire {
    rm_link link; /* origin->idle */
    rm_upstream__sock *sock;
    rm_upstream__origin *origin;
    rm_upstream_call *call; /* NULL: idle, or closed */
    rm_http_answer *answer;
    uint64_t made_ms, idle_ms;
    rm_buf unsent; /* of the head */
    rm_slice body; /* what is left of it, once unsent is empty */
    rm_buf rest;   /* read, and not yet given to a paused call */
    bool reused, closed;
};

static uint64_t now_of(const rm_upstream_client *client)
{
    return client->exec->now_ms(client->exec);
}

/* ---- which calls, and where to ----------------------------------------------------------------------------------- */

static rm_slice authority_of(const char *url)
{
    const char *at = url + sizeof("http://") - 1;

    return rm_slice_make(at, strcspn(at, "/?#"));
}

bool rm_upstream__direct_fits(const rm_upstream_client *client, const rm_upstream_request *request)
{
    if (client->curl_only || request->stream_body || strncmp(request->url, "http://", 7) != 0)
        return false;
    if (!client->proxy || client->proxy[0])
        return false; /* curl knows which hosts go through it */
    rm_slice authority = authority_of(request->url);
    return authority.len > 0 && !memchr(authority.ptr, '@', authority.len);
}

rm_status rm_upstream__direct_prepare(rm_upstream_call *call)
{
    rm_upstream_client *client = call->client;
    rm_slice name = authority_of(call->request.url);

    for (rm_upstream__origin *origin = client->origins; origin; origin = origin->next) {
        if (rm_slice_eq(rm_slice_cstr(origin->name), name)) {
            call->origin = origin;
            return RM_OK;
        }
    }
    CURLU *parts = curl_url();
    CURLUcode code = parts ? curl_url_set(parts, CURLUPART_URL, call->request.url, CURLU_PATH_AS_IS) : CURLUE_OK;
    curl_url_cleanup(parts);
    if (code != CURLUE_OK && code != CURLUE_OUT_OF_MEMORY)
        return RM_EINVAL;
    rm_upstream__origin *origin = parts ? rm_calloc(1, sizeof(*origin) + name.len + 1) : NULL;
    if (!origin)
        return RM_ENOMEM;
    memcpy(origin->name, name.ptr, name.len);
    rm_list_init(&origin->idle);
    origin->next = client->origins;
    client->origins = call->origin = origin;
    return RM_OK;
}

/* ---- a wire's life ----------------------------------------------------------------------------------------------- */

static bool on_head(void *user, int status)
{
    rm_upstream__wire *wire = user;
    rm_upstream_call *call = wire->call;

    call->status = status;
    bool good = rm_upstream__head_end(call);
    if (call->paused)
        rm_http_answer_pause(wire->answer);
    return good;
}

static bool on_data(void *user, rm_slice bytes)
{
    rm_upstream__wire *wire = user;
    rm_upstream_call *call = wire->call;
    char *data = (char *)(uintptr_t)bytes.ptr; /* curl's signature */

    bool good = rm_upstream__on_write(data, 1, bytes.len, call) == bytes.len;
    if (call->paused)
        rm_http_answer_pause(wire->answer);
    return good;
}

static const rm_http_answer_events answer_events = {on_head, on_data};

void rm_upstream__wire_free(rm_upstream__wire *wire)
{
    if (!wire)
        return;
    rm_http_answer_destroy(wire->answer);
    rm_buf_deinit(&wire->unsent);
    rm_buf_deinit(&wire->rest);
    rm_free(wire);
}

/* The memory goes with the socket's handle, in a later turn. */
static void wire_close(rm_upstream__wire *wire)
{
    int fd = wire->sock->fd;

    if (wire->closed)
        return;
    wire->closed = true;
    if (rm_link_linked(&wire->link)) {
        rm_list_remove(&wire->link);
        wire->sock->client->idle_count--;
    }
    if (wire->call)
        wire->call->wire = NULL;
    wire->call = NULL;
    rm_upstream__sock_close(wire->sock);
    close(fd);
}

static rm_upstream__wire *wire_make(rm_upstream_client *client, rm_upstream__origin *origin, int fd)
{
    rm_upstream__wire *wire = rm_calloc(1, sizeof(*wire));
    rm_upstream__sock *sock;

    if (!wire)
        return NULL;
    wire->answer = rm_http_answer_create(&answer_events);
    sock = wire->answer ? rm_upstream__sock_make(client, fd) : NULL;
    if (!sock) {
        rm_upstream__wire_free(wire);
        return NULL;
    }
    wire->origin = origin;
    wire->made_ms = now_of(client);
    wire->sock = sock;
    sock->wire = wire;
    sock->counted = true;
    client->stats.connections++;
    return wire;
}

static bool wire_old(const rm_upstream__wire *wire, uint64_t now_ms)
{
    return now_ms - wire->idle_ms > RM_UPSTREAM__IDLE_S * 1000 ||
           now_ms - wire->made_ms > RM_UPSTREAM__LIFETIME_S * 1000;
}

/* Puts the wire back, and closes what has waited longest where it is too old or one too many. */
static void wire_release(rm_upstream__wire *wire)
{
    rm_upstream_client *client = wire->sock->client;
    rm_upstream__origin *origin = wire->origin;

    rm_buf_deinit(&wire->unsent);
    rm_buf_deinit(&wire->rest);
    wire->call->wire = NULL;
    wire->call = NULL;
    wire->reused = true;
    wire->idle_ms = now_of(client);
    rm_list_append(&origin->idle, &wire->link);
    client->idle_count++;
    rm_upstream__sock_watch(wire->sock, UV_READABLE);
    rm_upstream__wire *oldest = RM_CONTAINER_OF(origin->idle.next, rm_upstream__wire, link);
    if (client->idle_count > RM_UPSTREAM_CONNECTIONS_MAX || wire_old(oldest, wire->idle_ms))
        wire_close(oldest);
}

static rm_upstream__wire *wire_take(rm_upstream_client *client, rm_upstream__origin *origin)
{
    uint64_t now_ms = now_of(client);

    while (!rm_list_empty(&origin->idle)) {
        rm_upstream__wire *wire = RM_CONTAINER_OF(origin->idle.prev, rm_upstream__wire, link);
        if (!wire_old(wire, now_ms)) {
            rm_list_remove(&wire->link);
            client->idle_count--;
            return wire;
        }
        wire_close(wire);
    }
    return NULL;
}

void rm_upstream__direct_deinit(rm_upstream_client *client)
{
    while (client->origins) {
        rm_upstream__origin *origin = client->origins;
        client->origins = origin->next;
        while (!rm_list_empty(&origin->idle))
            wire_close(RM_CONTAINER_OF(origin->idle.next, rm_upstream__wire, link));
        rm_free(origin);
    }
}

/* ---- send -------------------------------------------------------------------------------------------------------- */

static void put_line(rm_buf *out, rm_slice name, rm_slice value)
{
    rm_buf_append_slice(out, name);
    rm_buf_append(out, ": ", value.len ? 2 : 1);
    rm_buf_append_slice(out, value);
    rm_buf_append(out, "\r\n", 2);
}

/* Target and Host as RFC 9112 3.2 has them; a fragment is nobody's but ours. */
static void put_target(rm_buf *out, const rm_upstream_request *request)
{
    const char *at = request->url + sizeof("http://") - 1;

    at += strcspn(at, "/?#");
    rm_buf_append_cstr(out, request->method);
    rm_buf_append_char(out, ' ');
    if (*at != '/')
        rm_buf_append_char(out, '/');
    rm_buf_append(out, at, strcspn(at, "#"));
    rm_buf_append_cstr(out, " HTTP/1.1\r\n");
}

static void put_head(rm_buf *out, const rm_upstream_call *call)
{
    const rm_upstream_request *request = &call->request;
    unsigned saw = 0;

    put_target(out, request);
    for (size_t i = 0; i < request->header_count; i++)
        saw |= rm_upstream__line_of(request->headers[i].name);
    if (!(saw & RM_UPSTREAM__LINE_HOST))
        put_line(out, RM_SLICE("Host"), rm_slice_cstr(call->origin->name));
    for (size_t i = 0; i < request->header_count; i++) {
        const rm_header *header = &request->headers[i];
        rm_upstream__line line = rm_upstream__line_of(header->name);
        if (line == RM_UPSTREAM__LINE_FRAMING)
            continue;
        bool coding = line == RM_UPSTREAM__LINE_ACCEPT_ENCODING && request->decode;
        put_line(out, header->name, coding ? RM_SLICE("identity") : header->value);
    }
    if (rm_upstream__states_length(request)) {
        rm_buf_append_cstr(out, "Content-Length: ");
        rm_buf_append_u64(out, request->has_body ? request->body.len : 0);
        rm_buf_append(out, "\r\n", 2);
    }
    rm_buf_append(out, "\r\n", 2);
}

static bool sent_whole(const rm_upstream__wire *wire)
{
    return wire->unsent.len == 0 && wire->body.len == 0;
}

/* The end of a try, well or not: the wire goes back or away, then the call is told. */
static void wire_settle(rm_upstream__wire *wire, CURLcode code, bool clean)
{
    rm_upstream_call *call = wire->call;

    if (code == CURLE_OK && clean && sent_whole(wire) && rm_http_answer_keep_alive(wire->answer))
        wire_release(wire);
    else
        wire_close(wire);
    rm_upstream__call_settle(call, code);
}

/* Head and body as far as the socket takes them; what is left of the head is kept. RM_EIO: it broke. */
static rm_status send_pieces(rm_upstream__wire *wire, rm_slice head)
{
    struct iovec pieces[2] = {{(void *)(uintptr_t)head.ptr, head.len},
                              {(void *)(uintptr_t)wire->body.ptr, wire->body.len}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = wire->body.len ? 2 : 1};
    ssize_t sent;

    do
        sent = sendmsg(wire->sock->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return RM_EIO;
    size_t taken = sent > 0 ? (size_t)sent : 0, of_head = taken < head.len ? taken : head.len;
    if (of_head == head.len) {
        rm_buf_clear(&wire->unsent);
    } else if (wire->unsent.len > 0) {
        rm_buf_consume(&wire->unsent, of_head);
    } else if (rm_buf_append(&wire->unsent, head.ptr + of_head, head.len - of_head) != RM_OK) {
        return RM_ENOMEM;
    }
    wire->body.ptr += taken - of_head;
    wire->body.len -= taken - of_head;
    return RM_OK;
}

/* What has broken for writing may still hold an answer, such as why it broke: reading tells. */
static void go_on_sending(rm_upstream__wire *wire, rm_slice head)
{
    rm_status status = send_pieces(wire, head);
    bool reading = !wire->call->held;

    if (status == RM_ENOMEM)
        wire_settle(wire, CURLE_OUT_OF_MEMORY, false);
    else if (status != RM_OK || sent_whole(wire))
        rm_upstream__sock_watch(wire->sock, reading ? UV_READABLE : 0);
    else
        rm_upstream__sock_watch(wire->sock, UV_WRITABLE | (reading ? UV_READABLE : 0));
}

static void wire_begin(rm_upstream__wire *wire, rm_upstream_call *call)
{
    rm_buf *out = &call->client->out;

    wire->call = call;
    call->wire = wire;
    call->wire_reused = wire->reused;
    rm_buf_init(&wire->unsent, RM_UPSTREAM__REQUEST_HEAD_BYTES_MAX);
    rm_buf_init(&wire->rest, RM_UPSTREAM__WIRE_BYTES);
    bool sends = call->request.has_body && rm_upstream__states_length(&call->request);
    wire->body = sends ? call->request.body : RM_SLICE_NONE;
    rm_http_answer_begin(wire->answer, strcmp(call->request.method, "HEAD") == 0, &call->head, wire);
    rm_buf_clear(out);
    put_head(out, call);
    if (out->status != RM_OK) {
        wire_close(wire);
        rm_upstream__call_finish(call, out->status, "out of memory");
        return;
    }
    go_on_sending(wire, rm_buf_slice(out));
}

/* ---- receive ----------------------------------------------------------------------------------------------------- */

static CURLcode code_of(rm_status status)
{
    switch (status) {
    case RM_EPROTO:
        return CURLE_WEIRD_SERVER_REPLY;
    case RM_ENOMEM:
        return CURLE_OUT_OF_MEMORY;
    default:
        return CURLE_WRITE_ERROR; /* an event said stop; call->failure says why */
    }
}

/* What a paused call does not take is kept, and nothing more is read. */
static void wire_hold(rm_upstream__wire *wire, rm_slice left)
{
    rm_buf rest = wire->rest;

    rm_buf_init(&wire->rest, RM_UPSTREAM__WIRE_BYTES);
    bool kept = left.len == 0 || rm_buf_append_slice(&wire->rest, left) == RM_OK;
    rm_buf_deinit(&rest); /* `left` may lie in it */
    wire->call->held = true;
    rm_upstream__sock_watch(wire->sock, sent_whole(wire) ? 0 : UV_WRITABLE);
    if (!kept)
        wire_settle(wire, CURLE_OUT_OF_MEMORY, false);
}

/* Whether reading may go on. */
static bool wire_feed(rm_upstream__wire *wire, rm_slice bytes)
{
    rm_upstream_client *client = wire->sock->client;
    size_t used = 0;

    rm_upstream__enter(client);
    rm_status status = rm_http_answer_feed(wire->answer, bytes, &used);
    rm_upstream__leave(client);
    if (wire->closed) /* cancelled inside */
        return false;
    if (status == RM_ETOOBIG)
        rm_upstream__call_fail(wire->call, RM_EPROTO, "the answer's head is too large");
    else if (status == RM_EPROTO && wire->call->head_complete)
        rm_upstream__call_fail(wire->call, RM_EPROTO, "the answer's framing is broken");
    if (status != RM_OK) {
        wire_settle(wire, code_of(status), false);
        return false;
    }
    if (rm_http_answer_complete(wire->answer)) {
        wire_settle(wire, CURLE_OK, used == bytes.len);
        return false;
    }
    if (wire->call->paused) {
        wire_hold(wire, rm_slice_make(bytes.ptr + used, bytes.len - used));
        return false;
    }
    rm_buf_clear(&wire->rest);
    return true;
}

static void wire_end(rm_upstream__wire *wire, bool broken)
{
    rm_upstream_call *call = wire->call;

    if (!broken && rm_http_answer_end(wire->answer) == RM_OK)
        wire_settle(wire, CURLE_OK, false);
    else if (call->head_complete)
        wire_settle(wire, CURLE_PARTIAL_FILE, false);
    else if (broken)
        wire_settle(wire, sent_whole(wire) ? CURLE_RECV_ERROR : CURLE_SEND_ERROR, false);
    else
        wire_settle(wire, CURLE_GOT_NOTHING, false);
}

static void wire_read(rm_upstream__wire *wire)
{
    char *in = wire->sock->client->in;

    if (wire->call->paused) { /* since the last event */
        wire_hold(wire, RM_SLICE_NONE);
        return;
    }
    for (unsigned i = 0; i < READS_A_TURN; i++) {
        ssize_t got = recv(wire->sock->fd, in, RM_UPSTREAM__WIRE_BYTES, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (got <= 0) {
            wire_end(wire, got < 0);
            return;
        }
        if (!wire_feed(wire, rm_slice_make(in, (size_t)got)) || (size_t)got < RM_UPSTREAM__WIRE_BYTES)
            return;
    }
}

void rm_upstream__wire_event(rm_upstream__wire *wire, int status, int events)
{
    if (wire->closed)
        return;
    if (!wire->call) { /* an idle connection has nothing to say but that it ends */
        wire_close(wire);
        return;
    }
    if (status < 0)
        wire->sock->watched = 0; /* libuv has stopped the poll */
    if (status == 0 && (events & UV_WRITABLE))
        go_on_sending(wire, rm_buf_slice(&wire->unsent));
    if (status < 0 || (events & UV_READABLE))
        wire_read(wire);
    if (!wire->closed && wire->call && wire->sock->watched == 0 && !wire->call->held)
        rm_upstream__sock_watch(wire->sock, UV_READABLE);
}

/* ---- what call.c and client.c call ------------------------------------------------------------------------------- */

void rm_upstream__direct_add(rm_upstream_call *call)
{
    /* Where one kept wire had died its neighbours may have too. */
    rm_upstream__wire *wire = call->free_retry_used ? NULL : wire_take(call->client, call->origin);

    call->error[0] = '\0';
    if (wire) {
        wire_begin(wire, call);
        return;
    }
    if (rm_upstream__easy_connect(call) != RM_OK) {
        rm_upstream__call_finish(call, RM_ENOMEM, "out of memory");
        return;
    }
    call->connecting = true;
    rm_upstream__call_transfer(call);
}

/* libuv must not watch a descriptor that curl closes, and epoll watches what a copy keeps open: hence first this. */
int rm_upstream__direct_take(const rm_upstream_call *call)
{
    curl_socket_t fd = CURL_SOCKET_BAD;

    if (curl_easy_getinfo(call->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
        return -1;
    rm_upstream__sock *sock = rm_upstream__sock_of(call->client, fd);
    if (sock)
        rm_upstream__sock_close(sock);
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void rm_upstream__direct_connected(rm_upstream_call *call, int fd, CURLcode code)
{
    call->connecting = false;
    rm_upstream__easy_drop(call);
    if (code == CURLE_OK && !call->cancelled) {
        rm_upstream__wire *wire = fd >= 0 ? wire_make(call->client, call->origin, fd) : NULL;
        if (wire) {
            wire_begin(wire, call);
            return;
        }
        code = CURLE_OUT_OF_MEMORY;
    }
    if (fd >= 0)
        close(fd);
    rm_upstream__call_settle(call, code);
}

void rm_upstream__direct_cut(rm_upstream_call *call)
{
    RM_CHECK(call->client->in_curl == 0);
    wire_close(call->wire);
}

void rm_upstream__direct_wake(rm_upstream_call *call)
{
    rm_upstream__wire *wire = call->wire;

    if (call->cancelled || call->paused || !call->held)
        return;
    call->held = false;
    rm_upstream__sock_watch(wire->sock, UV_READABLE | (sent_whole(wire) ? 0 : UV_WRITABLE));
    wire_feed(wire, rm_buf_slice(&wire->rest));
}
