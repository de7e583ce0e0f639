/* L2: libuv loops, mailboxes, deadlines, and the HTTP/1.1 server side of a connection.
 * A loop and all that hangs on it belong to one thread; only rm_exec_post and rm_loop_stop may come from another. */
#ifndef REMORA_NET_H
#define REMORA_NET_H

#include "remora/base.h"
#include "remora/wire.h"

/* ---- loops ------------------------------------------------------------------------------------------------------- */

typedef struct rm_loop rm_loop;

rm_status rm_loop_create(unsigned index, rm_loop **ret_loop) RM_WARN_UNUSED; /* RM_ENOMEM, RM_EIO (logged) */
void rm_loop_destroy(rm_loop *loop); /* after rm_loop_run has returned; closes what is left; NULL is fine */
/* Until rm_loop_stop; the calling thread becomes the loop's, and SIGPIPE is blocked in it from then on. */
void rm_loop_run(rm_loop *loop);
void rm_loop_stop(rm_loop *loop); /* any thread */
rm_exec *rm_loop_exec(rm_loop *loop);
rm_arena_pool *rm_loop_arenas(rm_loop *loop);
unsigned rm_loop_index(const rm_loop *loop);
void *rm_loop_uv(rm_loop *loop); /* the uv_loop_t, for upstream and nobody else */

/* ---- server ------------------------------------------------------------------------------------------------------ */

typedef struct rm_listener rm_listener; /* one listening socket on one loop, and its connections */
typedef struct rm_req rm_req;           /* one request being answered; lives until on_close has returned */

/* Callbacks of one server; loop thread; on_close exactly once a request and last. Each may call rm_req functions on
 * its request, but none is called from inside an rm_req function. */
typedef struct rm_server_ops {
    /* The head is complete. Returns the request's user pointer (NULL refuses: 503 is answered and on_close not called).
     * The handler may reply at once. */
    void *(*on_request)(void *server_user, rm_req *req);
    void (*on_body)(void *user, rm_slice bytes); /* lives during the call */
    void (*on_body_end)(void *user);             /* also where there is no body */
    void (*on_drain)(void *user); /* what was queued fell below RM_WRITE_LOW_BYTES after having been above high */
    /* RM_OK: answered to the last byte handed to the kernel. RM_ECANCELLED: the caller left. RM_ETIMEOUT: a deadline
     * (body, write stall). RM_EPROTO: the body broke the protocol (net has answered 400 if nothing was sent).
     * RM_ERESET: rm_req_abort, or the server is closing. */
    void (*on_close)(void *user, rm_status why);
    /* A request that never reached on_request (bad syntax, too large, too many connections): error body for the
     * caller, by path as far as known; {NULL,0} sends none. May be NULL. `*ret_type` is a static media type. */
    rm_slice (*error_body)(void *server_user, rm_slice path, int http_status, const char *text, rm_buf *scratch,
                           const char **ret_type);
} rm_server_ops;

typedef struct rm_server_options {
    const rm_server_ops *ops;
    void *server_user;
    uint64_t header_timeout_ms; /* from a request's first byte (or the connection) to the end of its head */
    uint64_t body_timeout_ms;   /* longest wait for more body */
    uint64_t idle_timeout_ms;   /* keep-alive between requests */
    uint64_t write_timeout_ms;  /* longest time that a caller takes nothing of what is queued */
    unsigned connections_max, connections_per_address_max;
    bool reuse_port;
    bool cors; /* answer CORS preflights (OPTIONS with Origin and Access-Control-Request-Method) and add the headers */
} rm_server_options;

/* Binds and listens on "127.0.0.1:8700", "[::1]:8700", ":8700" (every address) or "unix:/path"; port 0 picks one.
 * RM_EINVAL: address; RM_EIO: cannot bind (logged with the system's reason). Loop thread, or before the loop runs. */
rm_status rm_listener_open(rm_loop *loop, const char *address, const rm_server_options *options,
                           rm_listener **ret_listener) RM_WARN_UNUSED;
/* Whether nobody listens there, not even one who would share the port: with reuse_port a second process of the same user
 * would be let in without a word and take its share of the connections. To be asked before the first of the listeners
 * that share it; the address is free again on return. RM_EINVAL, RM_EIO as above. A Unix socket is never shared: RM_OK. */
rm_status rm_listener_probe(const char *address) RM_WARN_UNUSED;
/* Changes the deadlines and limits for what comes from now on. */
void rm_listener_set_options(rm_listener *listener, const rm_server_options *options);
int rm_listener_port(const rm_listener *listener);
unsigned rm_listener_connections(const rm_listener *listener);
/* No more accepts; idle connections close; busy ones close after their answer ("Connection: close"). */
void rm_listener_drain(rm_listener *listener);
/* Closes everything now (requests get on_close RM_ERESET); on_closed runs later, once, and then it is freed. */
void rm_listener_close(rm_listener *listener, void (*on_closed)(void *user), void *user);

const rm_http_head *rm_req_head(const rm_req *req);
rm_arena *rm_req_arena(rm_req *req); /* the request's; capped at RM_EXCHANGE_ARENA_BYTES_MAX */
/* In on_close only: hands the arena over with all that lies in it, the head too, for work that goes on without the
 * request. To be given back with rm_arena_deinit on the loop thread. */
void rm_req_take_arena(rm_req *req, rm_arena *ret_arena);
rm_loop *rm_req_loop(const rm_req *req);
rm_slice rm_req_peer(const rm_req *req);     /* "127.0.0.1:4711", or "unix" */
uint64_t rm_req_begin_ns(const rm_req *req); /* when its first byte was read (monotonic) */
/* Memory that stays with the connection for the handler's own memo, zeroed at accept; bytes at most 64. */
void *rm_req_connection_memo(rm_req *req);

/* Stops and restarts the reading of the body (backpressure of uploads). What was read already, RM_READ_BYTES at most,
 * still comes; the body's deadline stands still meanwhile, and a caller who leaves is noticed after the restart. */
void rm_req_pause_body(rm_req *req);
void rm_req_resume_body(rm_req *req);

#define RM_BODY_CHUNKED (-1)
typedef struct rm_reply {
    int status;
    const rm_header *headers; /* sent as they are; must not hold Content-Length, Transfer-Encoding, Connection, Date */
    size_t header_count;
    int64_t body_bytes; /* RM_BODY_CHUNKED: unknown (HTTP/1.0: until close) */
} rm_reply;

/* Sends the head and the first bytes of the body (may be empty) in one write where it can. Once a request.
 * Net adds Date, Content-Length or Transfer-Encoding, Connection; leaves the body out for HEAD, 204 and 304.
 * With body.len == body_bytes the answer is complete and rm_req_end is not needed. Bytes are copied if the kernel does
 * not take them at once. RM_ENOMEM and RM_ERESET: the connection is closed and on_close will follow.
 * RM_EINVAL: replied before, or more body than was announced; nothing was sent (the same for rm_req_write). */
rm_status rm_req_reply(rm_req *req, const rm_reply *reply, rm_slice body);
rm_status rm_req_write(rm_req *req, rm_slice bytes);
rm_status rm_req_write_blob(rm_req *req, rm_blob *blob); /* keeps a reference instead of a copy */
/* Between these two, what one step writes to one request is gathered and leaves in one piece (up to
 * RM_WRITE_GATHER_BYTES_MAX; more goes at once). Uncork in the same turn of the loop. */
void rm_req_cork(rm_req *req);
void rm_req_uncork(rm_req *req);
/* The body is complete. Less than was announced, or no reply at all, is rm_req_abort. */
void rm_req_end(rm_req *req);
void rm_req_abort(rm_req *req); /* cuts the connection, so that the caller sees a broken answer */
bool rm_req_replied(const rm_req *req);
size_t rm_req_queued_bytes(const rm_req *req); /* accepted and not yet taken by the kernel */

#endif
