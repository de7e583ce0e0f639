/* Listening sockets. The socket is made here rather than by libuv: SO_REUSEPORT gives each loop its own queue of new
 * connections, and accept4 on a polled descriptor gives the peer's address in the same call and lets accepting pause
 * when descriptors run out. */
#include "net_internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- accepting --------------------------------------------------------------------------------------------------- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void accept_start(rm_listener *listener)
{
    if (!listener->draining)
        uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
}

static void on_backoff(rm_timer *timer)
{
    accept_start(RM_CONTAINER_OF(timer, rm_listener, backoff));
}

/* Descriptors or memory ran out: one spare descriptor lets the next caller be hung up on rather than left waiting, then
 * accepting pauses so that the loop does not spin on a socket that stays readable. */
static void accept_exhausted(rm_listener *listener, int error)
{
    rm_loop *loop = listener->loop;

    rm_log_limited(RM_LOG_WARN, "net", "cannot accept: %s; pausing for %d ms", uv_strerror(-error),
                   RM_ACCEPT_BACKOFF_MS);
    if (loop->spare_fd >= 0) {
        int fd;

        close(loop->spare_fd);
        fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            close(fd);
        loop->spare_fd = rm_net__spare_fd();
    }
    uv_poll_stop(&listener->poll);
    rm_timer_start(&loop->exec, &listener->backoff, RM_ACCEPT_BACKOFF_MS);
}

/* Counts the connection on its peer's address; false: that address has its share. */
static bool address_count(rm_listener *listener, rm_conn *conn, const rm_address *peer)
{
    rm_key128 key;
    uintptr_t count;

    if (!rm_net__address_key(peer, &key))
        return true;
    count = (uintptr_t)rm_map_get(&listener->addresses, key);
    if (listener->options.connections_per_address_max && count >= listener->options.connections_per_address_max)
        return false;
    /* Without memory for the count the caller is served uncounted. */
    if (rm_map_put(&listener->addresses, key, (void *)(count + 1)) == RM_OK) {
        conn->counted = true;
        conn->address_key = key;
    }
    return true;
}

static void admit(rm_listener *listener, int fd, const rm_address *peer)
{
    bool full = listener->options.connections_max &&
                listener->conn_count - listener->refused_count >= listener->options.connections_max;
    rm_conn *conn;
    int on = 1;

    if (full && listener->refused_count >= RM_REFUSED_MAX) {
        close(fd);
        return;
    }
    if (!listener->is_unix)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn = rm_net__conn_open(listener, fd, peer);
    if (!conn || (!full && address_count(listener, conn, peer)))
        return;
    if (listener->refused_count < RM_REFUSED_MAX)
        rm_net__conn_refuse(conn);
    else
        rm_net__conn_abort(conn, RM_ERESET);
}

static bool accept_one(rm_listener *listener)
{
    rm_address peer = {.len = sizeof(peer.sock)};
    int fd = accept4(listener->fd, &peer.sock.any, &peer.len, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        if (listener->is_unix)
            peer.sock.any.sa_family = AF_UNIX; /* unnamed peers give no address */
        admit(listener, fd, &peer);
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
        return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        accept_exhausted(listener, errno);
    return false;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    rm_listener *listener = poll->data;

    (void)status;
    (void)events;
    for (unsigned i = 0; i < RM_ACCEPT_BURST_MAX && !listener->draining && accept_one(listener); i++)
        ;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void socket_options(int fd, const rm_address *address, const rm_server_options *options)
{
    int on = 1, off = 0;

    if (address->sock.any.sa_family == AF_UNIX)
        return;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (options->reuse_port)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (address->sock.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
}

/* A socket file that nobody listens on is left over from a crash. */
static void unix_remove_stale(const rm_address *address)
{
    struct stat info;
    int fd;

    if (lstat(address->sock.un.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, &address->sock.any, address->len) != 0 && errno == ECONNREFUSED)
        unlink(address->sock.un.sun_path);
    close(fd);
}

static int socket_listen(const rm_address *address, const rm_server_options *options)
{
    int fd = socket(address->sock.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    socket_options(fd, address, options);
    if (address->sock.any.sa_family == AF_UNIX)
        unix_remove_stale(address);
    if (bind(fd, &address->sock.any, address->len) != 0 || listen(fd, RM_LISTEN_BACKLOG) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int socket_port(int fd)
{
    rm_address address = {.len = sizeof(address.sock)};

    if (getsockname(fd, &address.sock.any, &address.len) != 0)
        return 0;
    if (address.sock.any.sa_family == AF_INET)
        return ntohs(address.sock.v4.sin_port);
    return address.sock.any.sa_family == AF_INET6 ? ntohs(address.sock.v6.sin6_port) : 0;
}

/* A machine without IPv6 still has an "every address". Negative: logged. */
static int socket_open(const char *text, rm_address *address, const rm_server_options *options)
{
    int fd = socket_listen(address, options);

    if (fd < 0 && errno == EAFNOSUPPORT && text[0] == ':') {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = address->sock.v6.sin6_port};

        address->sock.v4 = v4;
        address->len = sizeof(v4);
        fd = socket_listen(address, options);
    }
    if (fd < 0)
        rm_log(RM_LOG_ERROR, "net", "cannot listen on %s: %s", text, uv_strerror(-errno));
    return fd;
}

rm_status rm_listener_probe(const char *address)
{
    static const rm_server_options alone = {.reuse_port = false};
    rm_address parsed;
    rm_status status = rm_net__address_parse(address, &parsed);
    int fd;

    if (status != RM_OK || parsed.sock.any.sa_family == AF_UNIX)
        return status;
    fd = socket_open(address, &parsed, &alone);
    if (fd < 0)
        return RM_EIO;
    close(fd);
    return RM_OK;
}

rm_status rm_listener_open(rm_loop *loop, const char *address, const rm_server_options *options,
                           rm_listener **ret_listener)
{
    rm_listener *listener;
    rm_address parsed;
    rm_status status = rm_net__address_parse(address, &parsed);
    int code;

    if (status != RM_OK)
        return status;
    listener = rm_calloc(1, sizeof(*listener));
    if (!listener)
        return RM_ENOMEM;
    listener->fd = socket_open(address, &parsed, options);
    if (listener->fd < 0) {
        rm_free(listener);
        return RM_EIO;
    }
    listener->loop = loop;
    listener->options = *options;
    listener->is_unix = parsed.sock.any.sa_family == AF_UNIX;
    listener->port = socket_port(listener->fd);
    listener->backoff.fire = on_backoff;
    if (listener->is_unix)
        memcpy(listener->unix_path, parsed.sock.un.sun_path, sizeof(listener->unix_path));
    rm_list_init(&listener->conns);
    rm_map_init(&listener->addresses);
    code = uv_poll_init(&loop->uv, &listener->poll, listener->fd);
    if (code != 0) {
        rm_log(RM_LOG_ERROR, "net", "cannot listen on %s: %s", address, uv_strerror(code));
        close(listener->fd);
        rm_free(listener);
        return RM_EIO;
    }
    listener->poll.data = listener;
    listener->poll_open = true;
    rm_list_append(&loop->listeners, &listener->link);
    accept_start(listener);
    *ret_listener = listener;
    return RM_OK;
}

/* ---- while it is open -------------------------------------------------------------------------------------------- */

void rm_listener_set_options(rm_listener *listener, const rm_server_options *options)
{
    listener->options = *options;
}

int rm_listener_port(const rm_listener *listener)
{
    return listener->port;
}

unsigned rm_listener_connections(const rm_listener *listener)
{
    return listener->conn_count;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void on_listener_closed(rm_task *task)
{
    rm_listener *listener = RM_CONTAINER_OF(task, rm_listener, closed_task);
    void (*on_closed)(void *user) = listener->on_closed;
    void *user = listener->closed_user;

    rm_list_remove(&listener->link);
    rm_map_deinit(&listener->addresses);
    rm_free(listener);
    if (on_closed)
        on_closed(user);
}

/* The last handle that is gone makes the listener's end known. */
static void end_if_last(rm_listener *listener)
{
    if (!listener->closing || listener->poll_open || listener->conn_count)
        return;
    listener->closed_task.run = on_listener_closed;
    rm_exec_post(&listener->loop->exec, &listener->closed_task);
}

static void on_poll_closed(uv_handle_t *handle)
{
    rm_listener *listener = handle->data;

    listener->poll_open = false;
    end_if_last(listener);
}

void rm_net__listener_forget(rm_conn *conn)
{
    rm_listener *listener = conn->listener;

    rm_list_remove(&conn->link);
    listener->conn_count--;
    if (conn->refused)
        listener->refused_count--;
    if (conn->counted) {
        uintptr_t count = (uintptr_t)rm_map_get(&listener->addresses, conn->address_key);

        /* Putting what is there already needs no memory. */
        if (count <= 1 || rm_map_put(&listener->addresses, conn->address_key, (void *)(count - 1)) != RM_OK)
            rm_map_remove(&listener->addresses, conn->address_key);
    }
    end_if_last(listener);
}

static void stop_accepting(rm_listener *listener)
{
    if (listener->draining)
        return;
    /* Who waits in the socket's queue has been told "connected": closing the socket would reset them. */
    while (!listener->closing && accept_one(listener) && !rm_timer_armed(&listener->backoff))
        ;
    listener->draining = true;
    rm_timer_stop(&listener->loop->exec, &listener->backoff);
    uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
    close(listener->fd); /* from here on connecting fails */
    listener->fd = -1;
    if (listener->is_unix)
        unlink(listener->unix_path);
}

void rm_listener_drain(rm_listener *listener)
{
    stop_accepting(listener);
    for (rm_link *link = listener->conns.next; link != &listener->conns; link = link->next)
        rm_net__conn_drain(RM_CONTAINER_OF(link, rm_conn, link));
}

void rm_listener_close(rm_listener *listener, void (*on_closed)(void *user), void *user)
{
    RM_CHECK(!listener->closing);
    listener->closing = true;
    listener->on_closed = on_closed;
    listener->closed_user = user;
    stop_accepting(listener);
    for (rm_link *link = listener->conns.next; link != &listener->conns; link = link->next)
        rm_net__conn_abort(RM_CONTAINER_OF(link, rm_conn, link), RM_ERESET);
    end_if_last(listener);
}
