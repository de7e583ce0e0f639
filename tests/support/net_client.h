/* A small blocking HTTP client for tests: it sends what it is told, broken or not, and reads answers by their framing.
 * Every wait ends after NET_CLIENT_WAIT_MS, so that a failure is a failure and not a hang. */
#ifndef REMORA_TEST_NET_CLIENT_H
#define REMORA_TEST_NET_CLIENT_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define NET_CLIENT_WAIT_MS 20000

typedef struct net_client {
    int fd;
    char *memory;
    char *in; /* received and not taken yet; lies in memory */
    size_t len, cap;
    bool ended; /* the server closed, or reset */
} net_client;

typedef struct net_answer {
    int status; /* 0: none came */
    char head[4096];
    char *body;
    size_t body_len;
    bool whole; /* ended as its framing says */
} net_answer;

static inline net_client net_client_open_sized(int port, int receive_bytes)
{
    net_client client = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes)
        setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(client.fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(client.fd);
        client.fd = -1;
    }
    return client;
}

static inline net_client net_client_open(int port)
{
    return net_client_open_sized(port, 0);
}

static inline void net_client_close(net_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    free(client->memory);
    *client = (net_client){.fd = -1};
}

/* Goes away with a RST. */
static inline void net_client_reset(net_client *client)
{
    struct linger hard = {1, 0};

    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    net_client_close(client);
}

/* False: the server took no more. */
static inline bool net_client_send_bytes(net_client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static inline bool net_client_send(net_client *client, const char *text)
{
    return net_client_send_bytes(client, text, strlen(text));
}

/* Takes what is there, waiting for it; false: end, reset, or too long a wait. */
static inline bool net_client_fill(net_client *client)
{
    struct pollfd poll_fd = {client->fd, POLLIN, 0};
    ssize_t got;

    if (client->ended || poll(&poll_fd, 1, NET_CLIENT_WAIT_MS) <= 0)
        return false;
    if (client->len)
        memmove(client->memory, client->in, client->len);
    if (client->cap - client->len < 65536) {
        client->cap = client->len * 2 + 262144;
        client->memory = realloc(client->memory, client->cap);
    }
    client->in = client->memory;
    got = recv(client->fd, client->in + client->len, client->cap - client->len, 0);
    if (got <= 0) {
        client->ended = true;
        return false;
    }
    client->len += (size_t)got;
    return true;
}

static inline void net_client_take(net_client *client, size_t len)
{
    client->in += len;
    client->len -= len;
}

/* Waits until `len` bytes are there. */
static inline bool net_client_need(net_client *client, size_t len)
{
    while (client->len < len) {
        if (!net_client_fill(client))
            return false;
    }
    return true;
}

/* The server closed, and everything before that was taken or is dropped. */
static inline bool net_client_at_end(net_client *client)
{
    while (net_client_fill(client))
        client->len = 0;
    return client->ended;
}

/* The value of a header in an answer's head, copied to `out`; false: it has none. */
static inline bool net_answer_header(const net_answer *answer, const char *name, char *out, size_t cap)
{
    size_t len = strlen(name);

    for (const char *line = strstr(answer->head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
        const char *at = line + 2, *end = strstr(at, "\r\n");

        if (end && strncasecmp(at, name, len) == 0 && at[len] == ':') {
            snprintf(out, cap, "%.*s", (int)(end - at - (ptrdiff_t)len - 2), at + len + 2);
            return true;
        }
    }
    return false;
}

static inline bool net_client_line_(net_client *client, size_t *ret_len)
{
    size_t at = 0;

    for (;; at++) {
        while (at + 1 >= client->len) {
            if (!net_client_fill(client))
                return false;
        }
        if (client->in[at] == '\r' && client->in[at + 1] == '\n')
            break;
    }
    *ret_len = at + 2;
    return true;
}

static inline void net_client_chunks_(net_client *client, net_answer *answer)
{
    size_t line, cap = 1;

    while (net_client_line_(client, &line)) {
        size_t size = strtoul(client->in, NULL, 16);

        net_client_take(client, line);
        if (!net_client_need(client, size + 2))
            return;
        if (answer->body_len + size + 1 > cap) {
            cap = (answer->body_len + size + 1) * 2;
            answer->body = realloc(answer->body, cap);
        }
        memcpy(answer->body + answer->body_len, client->in, size);
        answer->body_len += size;
        answer->body[answer->body_len] = '\0';
        net_client_take(client, size + 2);
        if (size == 0) {
            answer->whole = true;
            return;
        }
    }
}

static inline void net_client_body_(net_client *client, net_answer *answer, size_t length)
{
    bool enough = net_client_need(client, length);

    answer->body_len = enough ? length : client->len;
    answer->body = realloc(answer->body, answer->body_len + 1);
    memcpy(answer->body, client->in, answer->body_len);
    answer->body[answer->body_len] = '\0';
    net_client_take(client, answer->body_len);
    answer->whole = enough || length == SIZE_MAX;
}

/* One answer; `bodyless`: to HEAD. Free answer.body. */
static inline net_answer net_client_answer_to(net_client *client, bool bodyless)
{
    net_answer answer = {.status = 0};
    char value[64];
    size_t at = 0, line;

    do {
        if (!net_client_line_(client, &line))
            return answer;
        if (at + line >= sizeof(answer.head))
            abort();
        memcpy(answer.head + at, client->in, line);
        at += line;
        net_client_take(client, line);
    } while (line > 2);
    answer.head[at] = '\0';
    answer.status = atoi(answer.head + 9);
    answer.body = calloc(1, 1);
    if (bodyless || answer.status / 100 == 1 || answer.status == 204 || answer.status == 304)
        answer.whole = true;
    else if (net_answer_header(&answer, "Transfer-Encoding", value, sizeof(value)))
        net_client_chunks_(client, &answer);
    else if (net_answer_header(&answer, "Content-Length", value, sizeof(value)))
        net_client_body_(client, &answer, strtoul(value, NULL, 10));
    else
        net_client_body_(client, &answer, SIZE_MAX);
    return answer;
}

static inline net_answer net_client_answer(net_client *client)
{
    return net_client_answer_to(client, false);
}

#endif
