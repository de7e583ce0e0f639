/* A scripted HTTP/1.1 server on a loopback port: blocking sockets, one thread a connection. The n-th request that it
 * gets, on whichever connection, is answered by the n-th step; the last step serves all that follow. */
#ifndef REMORA_TESTS_FAKE_UPSTREAM_H
#define REMORA_TESTS_FAKE_UPSTREAM_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_CONNS_MAX  512
#define FAKE_HEAD_BYTES 16384
#define FAKE_KEEP_BYTES 4096 /* of a request's body */

typedef struct fake_upstream fake_upstream;

typedef struct fake_conn {
    fake_upstream *server;
    int fd;
    pthread_t thread;
    char in[FAKE_HEAD_BYTES];
    size_t in_bytes;
    char head[FAKE_HEAD_BYTES]; /* the request's head, NUL-terminated */
    char body[FAKE_KEEP_BYTES + 1];
    size_t body_bytes;
    unsigned long body_sum;
    bool chunked;
} fake_conn;

enum {
    FAKE_CLOSE = 1,      /* close after the reply */
    FAKE_RESET = 2,      /* ... with a TCP reset */
    FAKE_HANG = 4,       /* then wait until the peer goes */
    FAKE_NO_READ = 8,    /* reply when the head is in; the body is not read */
    FAKE_CLOSE_IDLE = 16 /* close when the next request's first byte comes */
};

typedef struct fake_step {
    const char *reply; /* may be NULL */
    unsigned flags;
    void (*serve)(fake_conn *conn, void *user); /* instead of reply */
} fake_step;

struct fake_upstream {
    int fd, port;
    pthread_t thread;
    const fake_step *steps;
    size_t step_count;
    void *user;
    atomic_int requests, accepted, gone; /* gone: connections that the peer has closed or reset */
    atomic_bool stopping;
    pthread_mutex_t lock;
    char last_head[FAKE_HEAD_BYTES]; /* of the last request; take the lock */
    char last_body[FAKE_KEEP_BYTES + 1];
    size_t last_body_bytes;
    unsigned long last_body_sum;
    bool last_chunked;
    fake_conn *conns[FAKE_CONNS_MAX];
    size_t conn_count;
};

static inline bool fake_fill(fake_conn *conn)
{
    if (conn->in_bytes == sizeof(conn->in))
        return false;
    ssize_t got = recv(conn->fd, conn->in + conn->in_bytes, sizeof(conn->in) - conn->in_bytes, 0);
    if (got <= 0) {
        atomic_fetch_add(&conn->server->gone, 1);
        return false;
    }
    conn->in_bytes += (size_t)got;
    return true;
}

static inline void fake_drop(fake_conn *conn, size_t bytes)
{
    memmove(conn->in, conn->in + bytes, conn->in_bytes - bytes);
    conn->in_bytes -= bytes;
}

static inline void fake_keep(fake_conn *conn, const char *ptr, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (conn->body_bytes < FAKE_KEEP_BYTES)
            conn->body[conn->body_bytes] = ptr[i];
        conn->body_sum = conn->body_sum * 31 + (unsigned char)ptr[i];
        conn->body_bytes++;
    }
}

static inline bool fake_take(fake_conn *conn, size_t bytes)
{
    while (bytes > 0) {
        if (conn->in_bytes == 0 && !fake_fill(conn))
            return false;
        size_t part = bytes < conn->in_bytes ? bytes : conn->in_bytes;
        fake_keep(conn, conn->in, part);
        fake_drop(conn, part);
        bytes -= part;
    }
    return true;
}

/* A line without its CR LF, taken off the input. */
static inline bool fake_line(fake_conn *conn, char *line, size_t room)
{
    char *end;
    while (!(end = memmem(conn->in, conn->in_bytes, "\r\n", 2))) {
        if (!fake_fill(conn))
            return false;
    }
    size_t bytes = (size_t)(end - conn->in);
    snprintf(line, room, "%.*s", (int)bytes, conn->in);
    fake_drop(conn, bytes + 2);
    return true;
}

/* A header's value in a request's head, NULL if it is not there. */
static inline const char *fake_header(const char *head, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
            return line + 3 + len + strspn(line + 3 + len, " ");
    }
    return NULL;
}

static inline bool fake_read_body(fake_conn *conn)
{
    char line[256];
    const char *length = fake_header(conn->head, "content-length");
    const char *coding = fake_header(conn->head, "transfer-encoding");

    conn->chunked = coding && strncasecmp(coding, "chunked", 7) == 0;
    if (!conn->chunked)
        return length ? fake_take(conn, strtoul(length, NULL, 10)) : true;
    for (;;) {
        if (!fake_line(conn, line, sizeof(line)))
            return false;
        size_t bytes = strtoul(line, NULL, 16);
        if (!fake_take(conn, bytes) || !fake_line(conn, line, sizeof(line)))
            return false;
        if (bytes == 0)
            return true;
    }
}

static inline bool fake_read_head(fake_conn *conn)
{
    char *end;
    while (!(end = memmem(conn->in, conn->in_bytes, "\r\n\r\n", 4))) {
        if (!fake_fill(conn))
            return false;
    }
    size_t bytes = (size_t)(end - conn->in) + 4;
    memcpy(conn->head, conn->in, bytes);
    conn->head[bytes] = '\0';
    fake_drop(conn, bytes);
    conn->body_bytes = conn->body_sum = 0;
    return true;
}

/* Taken before and after writing down what came, and before asking and after the answer: so each sees what the other did,
 * which the sockets between them do not tell the thread sanitizer. */
static pthread_mutex_t fake_published = PTHREAD_MUTEX_INITIALIZER;

static inline void fake_publish(void)
{
    pthread_mutex_lock(&fake_published);
    pthread_mutex_unlock(&fake_published);
}

static inline void fake_record(fake_conn *conn)
{
    fake_upstream *server = conn->server;
    size_t kept = conn->body_bytes < FAKE_KEEP_BYTES ? conn->body_bytes : FAKE_KEEP_BYTES;

    conn->body[kept] = '\0';
    fake_publish();
    pthread_mutex_lock(&server->lock);
    memcpy(server->last_head, conn->head, strlen(conn->head) + 1);
    memcpy(server->last_body, conn->body, kept + 1);
    server->last_body_bytes = conn->body_bytes;
    server->last_body_sum = conn->body_sum;
    server->last_chunked = conn->chunked;
    pthread_mutex_unlock(&server->lock);
    fake_publish();
}

static inline bool fake_send(fake_conn *conn, const void *ptr, size_t bytes)
{
    const char *at = ptr;
    while (bytes > 0) {
        ssize_t sent = send(conn->fd, at, bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

static inline bool fake_send_text(fake_conn *conn, const char *text)
{
    return fake_send(conn, text, strlen(text));
}

/* Until the peer closes, or the server stops. */
static inline void fake_hang(fake_conn *conn)
{
    char scrap[256];
    while (recv(conn->fd, scrap, sizeof(scrap), 0) > 0)
        ;
    atomic_fetch_add(&conn->server->gone, 1);
}

static inline void fake_reset(fake_conn *conn)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static inline bool fake_serve(fake_conn *conn)
{
    fake_upstream *server = conn->server;

    if (!fake_read_head(conn))
        return false;
    int index = atomic_load(&server->requests);
    const fake_step *step = &server->steps[(size_t)index < server->step_count ? (size_t)index : server->step_count - 1];
    if (!(step->flags & FAKE_NO_READ) && !fake_read_body(conn))
        return false;
    index = atomic_fetch_add(&server->requests, 1);
    step = &server->steps[(size_t)index < server->step_count ? (size_t)index : server->step_count - 1];
    fake_record(conn);
    if (step->serve)
        step->serve(conn, server->user);
    else if (step->reply && !fake_send_text(conn, step->reply))
        return false;
    if (step->flags & FAKE_HANG)
        fake_hang(conn);
    if (step->flags & FAKE_RESET)
        fake_reset(conn);
    if ((step->flags & FAKE_CLOSE_IDLE) && recv(conn->fd, conn->in, 1, MSG_PEEK) > 0)
        fake_reset(conn);
    return !(step->flags & (FAKE_CLOSE | FAKE_RESET | FAKE_HANG | FAKE_CLOSE_IDLE));
}

static inline void *fake_conn_main(void *user)
{
    fake_conn *conn = user;
    int fd = conn->fd;

    while (!atomic_load(&conn->server->stopping) && fake_serve(conn))
        ;
    pthread_mutex_lock(&conn->server->lock);
    conn->fd = -1;
    pthread_mutex_unlock(&conn->server->lock);
    close(fd);
    return NULL;
}

static inline void *fake_accept_main(void *user)
{
    fake_upstream *server = user;
    int on = 1;

    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        fake_conn *conn = calloc(1, sizeof(*conn));
        if (!conn || atomic_load(&server->stopping) || server->conn_count == FAKE_CONNS_MAX) {
            free(conn);
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        atomic_fetch_add(&server->accepted, 1);
        *conn = (fake_conn){.server = server, .fd = fd};
        pthread_mutex_lock(&server->lock);
        server->conns[server->conn_count++] = conn;
        pthread_mutex_unlock(&server->lock);
        pthread_create(&conn->thread, NULL, fake_conn_main, conn);
    }
}

/* A listening loopback socket; *port: 0 picks one and is told which. -1: none. */
static inline int fake_listen(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t len = sizeof(address);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 512) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static inline fake_upstream *fake_start(const fake_step *steps, size_t step_count, void *user)
{
    fake_upstream *server = calloc(1, sizeof(*server));

    server->steps = steps;
    server->step_count = step_count;
    server->user = user;
    pthread_mutex_init(&server->lock, NULL);
    server->fd = fake_listen(&server->port);
    if (server->fd < 0)
        abort();
    pthread_create(&server->thread, NULL, fake_accept_main, server);
    return server;
}

static inline void fake_stop(fake_upstream *server)
{
    atomic_store(&server->stopping, true);
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    for (size_t i = 0; i < server->conn_count; i++) {
        pthread_mutex_lock(&server->lock);
        if (server->conns[i]->fd >= 0)
            shutdown(server->conns[i]->fd, SHUT_RDWR);
        pthread_mutex_unlock(&server->lock);
        pthread_join(server->conns[i]->thread, NULL);
        free(server->conns[i]);
    }
    pthread_mutex_destroy(&server->lock);
    free(server);
}

#endif
