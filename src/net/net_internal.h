/* Shared by the files of net: the loop, its timers, listeners, connections and the write side of an answer.
 *
 *     loop.c      uv loop, mailbox, deferred work        timer.c   wheel of deadlines
 *     listener.c  sockets, accept, caps, drain, close    address.c addresses as text and back
 *     conn.c      a connection's life and its reading    reply.c   heads, framing, rm_req_*
 *     output.c    what the kernel has not taken yet */
#ifndef REMORA_NET_INTERNAL_H
#define REMORA_NET_INTERNAL_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "remora/net.h"

#define RM_LINGER_MS            1000 /* after an answer that ends the connection: time for the caller to read it */
#define RM_LINGER_BYTES_MAX     (256 * RM_KIB) /* ... and what is read and dropped meanwhile */
#define RM_REFUSED_MAX          128            /* connections over the cap that are told so at a time, per listener */
#define RM_ACCEPT_BURST_MAX     64             /* accepts in one turn of the loop */
#define RM_ACCEPT_BACKOFF_MS    100            /* pause of accepting when descriptors ran out */
#define RM_LISTEN_BACKLOG       4096
#define RM_REPLY_HEAD_BYTES_MAX (512 * RM_KIB)
#define RM_MEMO_BYTES           64
#define RM_PEER_BYTES           64

/* ---- timers --------------------------------------------------------------------------------------------------------
 */

#define RM_WHEEL_SLOTS 1024 /* of RM_TIMER_TICK_MS: one turn is 16 s; later timers wait for their round */

typedef struct rm_wheel {
    rm_timer slots[RM_WHEEL_SLOTS];         /* ring heads */
    uint64_t occupied[RM_WHEEL_SLOTS / 64]; /* a bit a slot that is not empty */
    uint64_t tick;                          /* every tick up to and with this one has been run */
    uint64_t wake_tick;                     /* the uv_timer is set for this; 0: not set */
    size_t armed;
    uv_timer_t uv;
} rm_wheel;

rm_status rm_net__wheel_init(rm_wheel *wheel, uv_loop_t *uv);
void rm_net__wheel_start(rm_wheel *wheel, rm_timer *timer, uint64_t delay_ms);
void rm_net__wheel_stop(rm_wheel *wheel, rm_timer *timer);

/* ---- loop -----------------------------------------------------------------------------------------------------------
 */

struct rm_loop {
    rm_exec exec;
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    unsigned index;
    bool idle_active;
    rm_wheel wheel;
    rm_task *local_first, *local_last; /* posted on the loop's own thread */
    _Atomic(rm_task *) mailbox;        /* posted by others, newest first */
    atomic_bool stopping;
    rm_arena_pool *arenas;
    rm_link listeners;
    rm_buf head;            /* scratch: an answer's head */
    rm_buf scratch;         /* scratch: error bodies */
    struct rm_conn *corked; /* whose writes are being gathered; NULL: nobody's */
    rm_buf gathered;
    uint64_t date_until_ms;
    char date[32]; /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    int spare_fd;  /* given up for a moment when descriptors ran out */
    char read_bytes[RM_READ_BYTES];
};

rm_slice rm_net__date(rm_loop *loop);
/* A descriptor kept for accept_exhausted; -1: none to be had. */
int rm_net__spare_fd(void);
/* libuv's codes in ours; the only place. */
rm_status rm_net__uv_status(int code);

/* ---- addresses --------------------------------------------------------------------------------------------------- */

typedef struct rm_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } sock;
    socklen_t len;
} rm_address;

/* RM_EINVAL. */
rm_status rm_net__address_parse(const char *text, rm_address *ret_address);
/* "1.2.3.4:5" or "[::1]:5" or "unix"; an IPv4 address in IPv6 clothes is shown plainly. */
void rm_net__address_format(const rm_address *address, char *text, size_t size);
/* False: loopback or a Unix socket, which no cap counts. */
bool rm_net__address_key(const rm_address *address, rm_key128 *ret_key);

/* ---- connections ------------------------------------------------------------------------------------------------- */

typedef struct rm_conn rm_conn;

typedef enum rm_conn_state {
    RM_CONN_READING_HEAD = 0, /* also a new connection that has sent nothing */
    RM_CONN_READING_BODY,
    RM_CONN_ANSWERING, /* the request is read to its end */
    RM_CONN_IDLE,
    RM_CONN_LINGERING, /* nothing more is written; what comes is dropped, so that the last answer is not lost to a RST
                        */
    RM_CONN_CLOSING,   /* uv_close was called */
    RM_CONN_STATE_COUNT
} rm_conn_state;

struct rm_req {
    rm_conn *conn;
    void *user; /* NULL: net itself answers, no callback is owed */
    const rm_http_head *head;
    rm_arena arena;
    uint64_t begin_ns;
    rm_status why;     /* what on_close will say */
    int64_t body_left; /* of the answer; RM_BODY_CHUNKED: unknown */
    bool begun;        /* its first byte was seen: the arena is in use */
    bool body_read;    /* the request's body is complete */
    bool body_started; /* some of it came */
    bool body_paused;
    bool continued;      /* 100 Continue was sent */
    bool replied, ended; /* the answer's head was sent; its body is complete */
    bool bodyless;       /* HEAD, 204, 304 */
    bool chunked;        /* the answer is framed in chunks */
    bool until_close;    /* the answer has no framing */
    bool above_high;     /* on_drain is owed */
    bool finished;       /* on_close is running */
};

/* A run of bytes that waits for the kernel. */
typedef struct rm_segment {
    struct rm_segment *next;
    rm_blob *blob; /* bytes lie here, or in data */
    size_t at, len, cap;
    char data[];
} rm_segment;

typedef struct rm_output {
    rm_segment *first, *last; /* not handed to libuv yet */
    rm_segment *flying;       /* handed to libuv: one uv_write at a time */
    size_t waiting_bytes;     /* in first..last */
    uv_write_t write;
} rm_output;

struct rm_conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    rm_loop *loop;
    rm_listener *listener;
    rm_link link; /* in listener->conns */
    rm_http_parser *parser;
    rm_task task;                       /* runs the connection later in this turn */
    rm_timer timer;                     /* the earlier of the two deadlines */
    uint64_t read_due_ms, write_due_ms; /* 0: none */
    size_t write_seen_bytes;            /* queued when write_due_ms was set */
    uint64_t read_ns;                   /* when the bytes now being read came */
    rm_conn_state state;
    bool driving; /* inside conn_drive: what is marked is taken up before it returns */
    bool task_posted, reading;
    bool close_after; /* no further request on this connection */
    bool cut;         /* to be closed at once */
    bool drain_due;   /* on_drain is to be called */
    bool counted;     /* in listener->addresses under address_key */
    bool refused;     /* over a cap */
    size_t linger_bytes;
    rm_key128 address_key;
    rm_buf ahead; /* read ahead of the request that is being answered */
    rm_output out;
    rm_req req;
    char peer[RM_PEER_BYTES];
    _Alignas(16) unsigned char memo[RM_MEMO_BYTES];
};

struct rm_listener {
    rm_loop *loop;
    rm_server_options options;
    rm_link link; /* in loop->listeners */
    rm_link conns;
    uv_poll_t poll;
    rm_timer backoff; /* armed: accepting pauses */
    int fd, port;
    bool is_unix, poll_open, draining, closing;
    unsigned conn_count, refused_count;
    rm_map addresses; /* address -> count */
    char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    rm_task closed_task;
    void (*on_closed)(void *user);
    void *closed_user;
};

/* Takes over the descriptor. NULL: no memory; the descriptor is closed. */
rm_conn *rm_net__conn_open(rm_listener *listener, int fd, const rm_address *peer);
/* Answers 503 and lets go. */
void rm_net__conn_refuse(rm_conn *conn);
/* The request (if any) gets on_close with `why`, later in this turn; the connection is cut. */
void rm_net__conn_abort(rm_conn *conn, rm_status why);
/* Closes if idle; else after the answer. */
void rm_net__conn_drain(rm_conn *conn);
/* Has the connection looked at when the running callback has returned, or later in this turn. */
void rm_net__conn_wake(rm_conn *conn);
/* The output took a step: bytes left, or (failed) never will. */
void rm_net__conn_written(rm_conn *conn, bool failed);
void rm_net__listener_forget(rm_conn *conn);

/* ---- output ------------------------------------------------------------------------------------------------------ */

size_t rm_net__output_bytes(const rm_conn *conn);
/* Hands the pieces to the kernel, copies what it does not take (`blob`, if given, holds the last piece and is
 * referenced instead). RM_ENOMEM, RM_ERESET. */
rm_status rm_net__output_flush(rm_conn *conn); /* what was gathered while corked */
rm_status rm_net__output_write(rm_conn *conn, const rm_slice *pieces, unsigned count, rm_blob *blob);
void rm_net__output_drop(rm_conn *conn);

/* ---- replies ----------------------------------------------------------------------------------------------------- */

/* Answers by net itself, with Connection: close. */
void rm_net__reply_error(rm_conn *conn, int http_status, const char *text);
/* True: the request was a CORS preflight and is answered. */
bool rm_net__reply_preflight(rm_conn *conn);
void rm_net__reply_continue(rm_conn *conn);

#endif
