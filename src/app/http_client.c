/* A request to a Remora on this machine, on a plain socket: HTTP/1.0, so that the answer ends where the connection does. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app_internal.h"

#define CONNECT_TIMEOUT_MS 2000
#define ANSWER_TIMEOUT_MS  300000 /* a purge of a large cache takes its time */

/* "[::1]:8701" -> "::1", "8701". An address that means every interface is asked on loopback. */
static bool split_address(const char *address, char *host, size_t host_bytes, char *port, size_t port_bytes)
{
    const char *colon = strrchr(address, ':');

    if (!colon || strlen(colon + 1) >= port_bytes || (size_t)(colon - address) >= host_bytes)
        return false;
    (void)snprintf(port, port_bytes, "%s", colon + 1);
    (void)snprintf(host, host_bytes, "%.*s", (int)(colon - address), address);
    if (host[0] == '[') {
        size_t len = strlen(host);
        memmove(host, host + 1, len);
        if (len > 2 && host[len - 2] == ']')
            host[len - 2] = 0;
    }
    if (!host[0] || strcmp(host, "0.0.0.0") == 0)
        (void)snprintf(host, host_bytes, "127.0.0.1");
    else if (strcmp(host, "::") == 0)
        (void)snprintf(host, host_bytes, "::1");
    return true;
}

static rm_status wait_for(int fd, short events, unsigned timeout_ms)
{
    struct pollfd poller = {.fd = fd, .events = events};
    int got;

    do
        got = poll(&poller, 1, (int)timeout_ms);
    while (got < 0 && errno == EINTR);
    return got > 0 ? RM_OK : got == 0 ? RM_ETIMEOUT : RM_EIO;
}

static rm_status connect_to(int family, const struct sockaddr *address, socklen_t address_bytes, unsigned timeout_ms,
                            int *ret_fd)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), failure = 0;
    socklen_t len = sizeof(failure);
    rm_status status = RM_OK;

    if (fd < 0)
        return RM_EIO;
    if (connect(fd, address, address_bytes) != 0) {
        status = errno == EINPROGRESS ? wait_for(fd, POLLOUT, timeout_ms) : RM_ECONNECT;
        if (status == RM_OK && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0 || failure != 0))
            status = RM_ECONNECT;
    }
    if (status != RM_OK)
        (void)close(fd);
    else
        *ret_fd = fd;
    return status;
}

static rm_status connect_host(const char *host, const char *port, unsigned timeout_ms, int *ret_fd)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    rm_status status = RM_ECONNECT;

    if (getaddrinfo(host, port, &hints, &list) != 0)
        return RM_ENOTFOUND;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        status = connect_to(a->ai_family, a->ai_addr, a->ai_addrlen, timeout_ms, ret_fd);
        if (status == RM_OK)
            break;
    }
    freeaddrinfo(list);
    return status;
}

static rm_status connect_unix(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        return RM_EINVAL;
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect_to(AF_UNIX, (const struct sockaddr *)(const void *)&address, sizeof(address), CONNECT_TIMEOUT_MS,
                      ret_fd);
}

rm_status rm_app_probe(const char *host, const char *port, unsigned timeout_ms)
{
    int fd;
    rm_status status = connect_host(host, port, timeout_ms, &fd);

    if (status == RM_OK)
        (void)close(fd);
    return status;
}

static rm_status send_all(int fd, rm_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes = rm_slice_make(bytes.ptr + sent, bytes.len - (size_t)sent);
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return RM_EIO;
        rm_status status = wait_for(fd, POLLOUT, ANSWER_TIMEOUT_MS);
        if (status != RM_OK)
            return status;
    }
    return RM_OK;
}

static rm_status receive_all(int fd, rm_buf *out)
{
    for (;;) {
        rm_status status = rm_buf_reserve(out, RM_READ_BYTES);
        if (status != RM_OK)
            return status;
        ssize_t got = recv(fd, out->ptr + out->len, RM_READ_BYTES, 0);
        if (got == 0)
            return RM_OK;
        if (got > 0) {
            out->len += (size_t)got;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return RM_EIO;
        status = wait_for(fd, POLLIN, ANSWER_TIMEOUT_MS);
        if (status != RM_OK)
            return status;
    }
}

/* Value of a header in the head's text; absent: {NULL,0}. */
static rm_slice header_of(rm_slice head, const char *name)
{
    rm_slice line, wanted = rm_slice_cstr(name);

    while (rm_slice_split(&head, '\n', &line))
        if (line.len > wanted.len && line.ptr[wanted.len] == ':' &&
            rm_slice_eq_nocase(rm_slice_make(line.ptr, wanted.len), wanted)) {
            size_t end = line.len - (line.ptr[line.len - 1] == '\r');
            return rm_slice_trim(rm_slice_make(line.ptr + wanted.len + 1, end - wanted.len - 1));
        }
    return RM_SLICE_NONE;
}

/* Cuts an answer: its status, and its body alone in the buffer. */
static rm_status cut_answer(rm_buf *answer, int *ret_http_status)
{
    rm_slice all = rm_buf_slice(answer);
    const char *end = rm_slice_find(all, RM_SLICE("\r\n\r\n"));
    uint64_t code, length;

    if (!end || all.len < 12 || !rm_slice_has_prefix(all, RM_SLICE("HTTP/1.")) ||
        rm_parse_u64(rm_slice_make(all.ptr + 9, 3), &code) != RM_OK)
        return RM_EPROTO;
    rm_slice head = {all.ptr, (size_t)(end - all.ptr) + 2};
    rm_slice said = header_of(head, "content-length");
    if (said.ptr && (rm_parse_u64(said, &length) != RM_OK || length != all.len - head.len - 2))
        return RM_EPROTO; /* cut short */
    rm_buf_consume(answer, head.len + 2);
    *ret_http_status = (int)code;
    return RM_OK;
}

static rm_status exchange(int fd, const char *target, rm_slice body, rm_buf *answer)
{
    rm_status status;
    rm_buf request;

    rm_buf_init(&request, RM_ADMIN_BODY_BYTES_MAX + 4096);
    rm_buf_appendf(&request, "%s %s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n", body.ptr ? "POST" : "GET",
                   target);
    if (body.ptr)
        rm_buf_appendf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.len);
    rm_buf_append_cstr(&request, "\r\n");
    status = rm_buf_append_slice(&request, body);
    if (status == RM_OK)
        status = send_all(fd, rm_buf_slice(&request));
    if (status == RM_OK)
        status = receive_all(fd, answer);
    rm_buf_deinit(&request);
    return status;
}

rm_status rm_app_http(const char *address, const char *target, rm_slice body, int *ret_http_status, rm_buf *ret_body)
{
    char host[256], port[8];
    rm_status status;
    int fd = -1;

    if (strncmp(address, "unix:", 5) == 0)
        status = connect_unix(address + 5, &fd);
    else if (!split_address(address, host, sizeof(host), port, sizeof(port)))
        return RM_EINVAL;
    else
        status = connect_host(host, port, CONNECT_TIMEOUT_MS, &fd);
    if (status != RM_OK)
        return status;
    status = exchange(fd, target, body, ret_body);
    (void)close(fd);
    return status == RM_OK ? cut_answer(ret_body, ret_http_status) : status;
}
