/* Sockets and curl's timeout on libuv: one uv_poll for each socket, one uv_timer for all transfers.
 *
 * A poll must be stopped before its descriptor is closed (libuv aborts on a watcher of a closed or reused one), so curl
 * opens and closes sockets through us. But curl 7.88 closes those that never came to carry a request by itself, and
 * says CURL_POLL_REMOVE only thereafter. Hence two kinds of sockets:
 *   new:  CURL_POLL_REMOVE closes the poll;
 *   kept: an answer has come over it. CURL_POLL_REMOVE only clears `wanted`, and the next request on the connection
 *         finds it watched, which saves two system calls a request. Should it become readable in between (the peer has
 *         closed it) the poll is stopped then. */
#include "upstream_internal.h"

#include <sys/socket.h>
#include <unistd.h>

static void on_sock_freed(uv_handle_t *handle)
{
    rm_upstream__sock *sock = handle->data;
    rm_upstream_client *client = sock->client;

    rm_upstream__wire_free(sock->wire);
    rm_free(sock);
    rm_upstream__handle_closed(client);
}

rm_upstream__sock *rm_upstream__sock_of(const rm_upstream_client *client, int fd)
{
    return fd >= 0 && (size_t)fd < client->sock_count ? client->socks[fd] : NULL;
}

void rm_upstream__sock_close(rm_upstream__sock *sock)
{
    sock->client->socks[sock->fd] = NULL;
    sock->wanted = 0;
    if (sock->counted)
        sock->client->stats.connections--;
    uv_close((uv_handle_t *)&sock->poll, on_sock_freed);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    rm_upstream__sock *sock = poll->data;
    int what = 0;

    if (sock->wire) {
        rm_upstream__wire_event(sock->wire, status, events);
        return;
    }
    if (status < 0) {
        /* libuv has stopped the poll. curl must read the error off the socket itself. */
        sock->watched = 0;
        what = CURL_CSELECT_ERR | CURL_CSELECT_IN | (sock->wanted & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    } else {
        what = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    }
    if (sock->wanted == 0) {
        uv_poll_stop(poll);
        sock->watched = 0;
        return;
    }
    rm_upstream__act(sock->client, sock->fd, what);
    if (sock->wanted != 0 && sock->watched == 0 && uv_poll_start(poll, sock->wanted, on_poll) == 0)
        sock->watched = sock->wanted;
}

static bool table_reserve(rm_upstream_client *client, int fd)
{
    if ((size_t)fd < client->sock_count)
        return true;
    size_t count = client->sock_count ? client->sock_count : 64;
    while (count <= (size_t)fd)
        count *= 2;
    rm_upstream__sock **socks = rm_realloc(client->socks, count * sizeof(rm_upstream__sock *));
    if (!socks)
        return false;
    memset(socks + client->sock_count, 0, (count - client->sock_count) * sizeof(rm_upstream__sock *));
    client->socks = socks;
    client->sock_count = count;
    return true;
}

rm_upstream__sock *rm_upstream__sock_make(rm_upstream_client *client, int fd)
{
    rm_upstream__sock *sock = table_reserve(client, fd) ? rm_calloc(1, sizeof(*sock)) : NULL;

    if (!sock)
        return NULL;
    if (uv_poll_init(client->uv, &sock->poll, fd) != 0) {
        rm_free(sock);
        return NULL;
    }
    sock->poll.data = sock;
    sock->client = client;
    sock->fd = fd;
    client->socks[fd] = sock;
    client->handles_open++;
    return sock;
}

void rm_upstream__sock_watch(rm_upstream__sock *sock, int wanted)
{
    sock->wanted = wanted;
    if (sock->watched != wanted)
        sock->watched = uv_poll_start(&sock->poll, wanted, on_poll) == 0 ? wanted : 0;
}

curl_socket_t rm_upstream__socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    rm_upstream_client *client = user;
    int wanted = 0;

    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    rm_upstream__sock *stale = rm_upstream__sock_of(client, fd), *sock;
    if (stale) { /* closed by curl, which takes the new one for the old and does not ask to watch it again */
        wanted = stale->wanted;
        rm_upstream__sock_close(stale);
    }
    if (!(sock = rm_upstream__sock_make(client, fd))) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    if (wanted)
        rm_upstream__sock_watch(sock, wanted);
    sock->counted = true;
    client->stats.connections++;
    client->stats.connections_opened++;
    return fd;
}

int rm_upstream__socket_close(void *user, curl_socket_t fd)
{
    rm_upstream__sock *sock = rm_upstream__sock_of(user, fd);

    if (sock)
        rm_upstream__sock_close(sock);
    return close(fd);
}

static bool answered(CURL *easy)
{
    char *user = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user);
    return user && ((const rm_upstream_call *)(const void *)user)->head_complete;
}

static void sock_unwant(rm_upstream__sock *sock, CURL *easy)
{
    sock->wanted = 0;
    if (!sock->kept)
        sock->kept = sock->counted && answered(easy);
    if (!sock->kept) {
        rm_upstream__sock_close(sock);
    } else if (sock->watched & UV_WRITABLE) {
        uv_poll_stop(&sock->poll);
        sock->watched = 0;
    }
}

/* CURLMOPT_SOCKETFUNCTION. Never fails: an answer of -1 would end every transfer of the multi handle. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    rm_upstream_client *client = user;
    rm_upstream__sock *sock = rm_upstream__sock_of(client, fd);
    int wanted = 0;

    (void)socket_user;
    if (what != CURL_POLL_REMOVE)
        wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (wanted == 0) {
        if (sock)
            sock_unwant(sock, easy);
        return 0;
    }
    /* Not opened by us: the resolver's wake-up pair. Without memory for it the resolver is found ready by timeouts. */
    if (!sock && !(sock = rm_upstream__sock_make(client, fd)))
        return 0;
    rm_upstream__sock_watch(sock, wanted);
    return 0;
}

static void on_curl_timer(uv_timer_t *timer)
{
    rm_upstream_client *client = timer->data;
    uint64_t now_ms = uv_now(client->uv);

    client->curl_armed_ms = RM_UPSTREAM__NEVER;
    if (client->curl_due_ms == RM_UPSTREAM__NEVER)
        return;
    if (client->curl_due_ms > now_ms) {
        client->curl_armed_ms = client->curl_due_ms;
        uv_timer_start(timer, on_curl_timer, client->curl_due_ms - now_ms, 0);
        return;
    }
    client->curl_due_ms = RM_UPSTREAM__NEVER;
    rm_upstream__act(client, CURL_SOCKET_TIMEOUT, 0);
}

/* CURLMOPT_TIMERFUNCTION. curl moves its timeout several times a request, nearly always to a later time: the timer is
 * left to fire early then and looks again. */
static int on_curl_timeout(CURLM *multi, long timeout_ms, void *user)
{
    rm_upstream_client *client = user;

    (void)multi;
    client->curl_due_ms = RM_UPSTREAM__NEVER;
    if (timeout_ms == 0) {
        client->curl_due_now = true;
        rm_upstream__kick(client);
    } else if (timeout_ms > 0) {
        client->curl_due_ms = uv_now(client->uv) + (uint64_t)timeout_ms;
        if (client->curl_due_ms < client->curl_armed_ms) {
            client->curl_armed_ms = client->curl_due_ms;
            uv_timer_start(&client->curl_timer, on_curl_timer, (uint64_t)timeout_ms, 0);
        }
    }
    return 0;
}

rm_status rm_upstream__sockets_init(rm_upstream_client *client)
{
    CURLM *multi = client->multi;

    client->curl_due_ms = client->curl_armed_ms = RM_UPSTREAM__NEVER;
    if (curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timeout) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client) != CURLM_OK)
        return RM_EINTERNAL;
    return RM_OK;
}

void rm_upstream__sockets_deinit(rm_upstream_client *client)
{
    for (size_t i = 0; i < client->sock_count; i++) {
        if (client->socks[i])
            rm_upstream__sock_close(client->socks[i]);
    }
}
