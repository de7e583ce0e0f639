/* What the files of upstream share.
 *
 *   rm_upstream_start ----> work list ----(kick: a posted task)-------> curl multi <---- uv_poll, uv_timer
 *         cancel, resume --^    ^                                             |
 *                               |                                  callbacks: head, data, read body
 *                               +------ retry timer <---- settle <---- a transfer's result
 *                                                            '----> on_done
 *
 * A direct call (direct.c) has a wire in the place of a transfer; curl connects it.
 *
 * Invariants: curl is entered only from the loop (kick, poll, timer) and, to remove a transfer, from cancel and
 * deadlines; `in_curl` counts how deep. While it is not 0 no handle is added, removed or unpaused: that waits on the
 * work list. The caller's events come from these three only, so never inside an rm_upstream function. */
#ifndef REMORA_UPSTREAM_INTERNAL_H
#define REMORA_UPSTREAM_INTERNAL_H

#include <curl/curl.h>
#include <uv.h>

#include "remora/upstream.h"
#include "remora/wire.h"

#define RM_UPSTREAM__RECEIVE_BYTES 6144L /* curl's read buffer, one for each transfer under way */
#define RM_UPSTREAM__EXPECT_BYTES \
    (512 * RM_KIB) /* curl adds "Expect: 100-continue" to larger bodies (1 MiB; to be sure) */
#define RM_UPSTREAM__WIRE_BYTES (32 * RM_KIB) /* read from a direct connection at once */
/* A head as it is sent: with what we and curl add. curl 7.88 forgets what is left of a bodyless request's head that
 * neither the socket's first write nor this buffer of its own takes. */
#define RM_UPSTREAM__REQUEST_HEAD_BYTES_MAX (RM_UPSTREAM_REQUEST_HEAD_BYTES_MAX + RM_KIB)
#define RM_UPSTREAM__SEND_BYTES             ((long)RM_UPSTREAM__REQUEST_HEAD_BYTES_MAX)
#define RM_UPSTREAM__IDLE_S                 60L   /* idle connections are not used again after this */
#define RM_UPSTREAM__LIFETIME_S             1800L /* nor connections older than this: addresses behind a name change */
#define RM_UPSTREAM__KEPT_BYTES_MAX         (8 * RM_KIB) /* scratch memory that a spare call may keep */
#define RM_UPSTREAM__METHOD_BYTES_MAX       16
#define RM_UPSTREAM__BUDGET_WINDOW_S        10
#define RM_UPSTREAM__NEVER                  UINT64_MAX

typedef struct rm_upstream__wire rm_upstream__wire;

/* One socket, curl's or a wire's; sockets.c says how it is watched. */
typedef struct rm_upstream__sock {
    uv_poll_t poll;
    rm_upstream_client *client;
    rm_upstream__wire *wire; /* NULL: curl's */
    int fd;
    int wanted;   /* UV_READABLE, UV_WRITABLE: what curl asks for */
    int watched;  /* what libuv watches; more than wanted only between two requests */
    bool counted; /* opened through us: a connection */
    bool kept;    /* an answer came over it */
} rm_upstream__sock;

/* A host and port to which direct calls go. */
typedef struct rm_upstream__origin {
    struct rm_upstream__origin *next;
    rm_link idle; /* wires; the last one put back is the first taken */
    char name[];  /* as it stands in the address */
} rm_upstream__origin;

/* Retries over requests of the last seconds, in a ring of one-second cells. */
typedef struct rm_upstream__budget {
    double share;
    unsigned always;
    uint64_t second;
    uint32_t requests[RM_UPSTREAM__BUDGET_WINDOW_S];
    uint32_t retries[RM_UPSTREAM__BUDGET_WINDOW_S];
} rm_upstream__budget;

struct rm_upstream_client {
    uv_loop_t *uv;
    rm_exec *exec;
    CURLM *multi;
    CURLSH *share;
    char *ca_file, *proxy;
    bool tls_verify, http2, curl_only;
    unsigned codings; /* content codings that this curl can undo */
    rm_rng rng;
    rm_upstream__budget budget;
    rm_upstream_stats stats;

    rm_task kick;          /* runs the work list, then curl if it asked for that */
    uv_timer_t curl_timer; /* never later than curl_due_ms */
    uint64_t curl_due_ms, curl_armed_ms;
    bool kicked, curl_due_now;
    unsigned in_curl;
    unsigned cuts; /* calls on the work list whose transfer must be removed as soon as curl is left */
    unsigned handles_open;

    rm_upstream__sock **socks; /* by descriptor */
    size_t sock_count;
    rm_upstream__origin *origins;
    unsigned idle_count; /* wires */
    rm_buf out;          /* scratch for the head being sent */
    char *in;            /* scratch for what is being read; RM_UPSTREAM__WIRE_BYTES */

    rm_link calls; /* under way */
    rm_link work;
    rm_link spare;
    unsigned spare_count;

    bool closing, torn_down;
    void (*on_closed)(void *user);
    void *closed_user;

    rm_header lines[RM_HEADER_COUNT_MAX]; /* scratch for the head being delivered */
};

/* What waits for a call on the work list. */
enum {
    RM_UPSTREAM__WORK_ADD = 1,  /* hand the transfer to curl */
    RM_UPSTREAM__WORK_CUT = 2,  /* take it away */
    RM_UPSTREAM__WORK_WAKE = 4, /* tell curl that pauses have changed */
    RM_UPSTREAM__WORK_DONE = 8, /* deliver on_done */
};

typedef enum rm_upstream__mode { /* which curl options are set for the body */
                                 RM_UPSTREAM__MODE_NONE = 0,
                                 RM_UPSTREAM__MODE_GET,
                                 RM_UPSTREAM__MODE_HEAD,
                                 RM_UPSTREAM__MODE_POST,
                                 RM_UPSTREAM__MODE_UPLOAD,
} rm_upstream__mode;

struct rm_upstream_call {
    rm_link link; /* client->calls, or client->spare */
    rm_link work_link;
    unsigned work;
    rm_upstream_client *client;
    rm_upstream_request request;
    rm_upstream_events events;
    void *user;

    /* direct: no TLS, no proxy, no streamed body */
    bool direct, connecting, wire_reused;
    rm_upstream__origin *origin;
    rm_upstream__wire *wire; /* while a request is on it */

    /* what the curl handle was told last; kept between calls so that only differences are set */
    CURL *easy;   /* NULL: not needed yet */
    CURLU *parts; /* of url */
    char *url;
    rm_upstream__mode mode;
    char custom_method[RM_UPSTREAM__METHOD_BYTES_MAX];
    uint64_t set_connect_ms;
    bool set_decode, set_raw, set_pipewait, set_fresh;
    char error[CURL_ERROR_SIZE];
    char *header_block; /* the curl_slist nodes and their text, one allocation */
    size_t header_block_bytes;

    rm_timer deadline, backoff;
    uint64_t started_ms, last_data_ms, last_upload_ms, armed_ms;
    unsigned tries;
    uint64_t retry_wait_ms;
    bool in_multi, paused, held; /* held: receiving stopped because of us */
    bool cancelled, timed_out, free_retry_used;

    /* the answer */
    rm_buf head; /* "Name: value\n" lines so far */
    int status;
    uint64_t first_byte_ms;
    size_t swallowed_bytes;
    bool head_complete, head_sent, swallow;
    rm_status failure; /* why we made curl stop; RM_OK: we did not */
    const char *failure_text;

    /* a streamed body */
    rm_buf upload;
    size_t upload_taken_bytes; /* from the front of `upload` */
    int64_t upload_sent_bytes, upload_fed_bytes;
    bool upload_ended, upload_starved, upload_begun;
};

/* client.c */
void rm_upstream__kick(rm_upstream_client *client);
void rm_upstream__work(rm_upstream_call *call, unsigned what);
void rm_upstream__act(rm_upstream_client *client, curl_socket_t fd, int events);
void rm_upstream__enter(rm_upstream_client *client); /* around each call into curl that may call back */
void rm_upstream__leave(rm_upstream_client *client);
void rm_upstream__handle_closed(rm_upstream_client *client); /* one libuv handle is gone */

/* direct.c */
bool rm_upstream__direct_fits(const rm_upstream_client *client, const rm_upstream_request *request);
rm_status rm_upstream__direct_prepare(rm_upstream_call *call) RM_WARN_UNUSED;
void rm_upstream__direct_add(rm_upstream_call *call);
int rm_upstream__direct_take(const rm_upstream_call *call); /* a copy of the connected socket; -1 */
void rm_upstream__direct_connected(rm_upstream_call *call, int fd, CURLcode code);
void rm_upstream__direct_cut(rm_upstream_call *call);
void rm_upstream__direct_wake(rm_upstream_call *call);
void rm_upstream__wire_event(rm_upstream__wire *wire, int status, int events);
void rm_upstream__wire_free(rm_upstream__wire *wire);
void rm_upstream__direct_deinit(rm_upstream_client *client); /* closes what is idle */

/* sockets.c */
rm_upstream__sock *rm_upstream__sock_of(const rm_upstream_client *client, int fd);
rm_upstream__sock *rm_upstream__sock_make(rm_upstream_client *client, int fd);
void rm_upstream__sock_watch(rm_upstream__sock *sock, int wanted);
void rm_upstream__sock_close(rm_upstream__sock *sock); /* not the descriptor */
rm_status rm_upstream__sockets_init(rm_upstream_client *client) RM_WARN_UNUSED;
void rm_upstream__sockets_deinit(rm_upstream_client *client); /* closes what curl left */
curl_socket_t rm_upstream__socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *address);
int rm_upstream__socket_close(void *user, curl_socket_t fd);

/* call.c */
void rm_upstream__call_free(rm_upstream_call *call);
void rm_upstream__call_remove(rm_upstream_call *call);
void rm_upstream__call_add(rm_upstream_call *call);
void rm_upstream__call_transfer(rm_upstream_call *call);
void rm_upstream__call_wake(rm_upstream_call *call);
void rm_upstream__call_head_sent(rm_upstream_call *call);
uint64_t rm_upstream__call_due_ms(const rm_upstream_call *call); /* of the next deadline, loop time */
void rm_upstream__call_settle(rm_upstream_call *call, CURLcode code);
void rm_upstream__call_finish(rm_upstream_call *call, rm_status status, const char *text);

/* retry.c */
void rm_upstream__budget_request(rm_upstream__budget *budget, uint64_t now_ms);
bool rm_upstream__budget_take(rm_upstream__budget *budget, uint64_t now_ms);
/* Whether to try again after this answer, or after this failure; true: the budget was charged and retry_wait_ms set. */
bool rm_upstream__retry_answer(rm_upstream_call *call, const rm_header *headers, size_t count);
bool rm_upstream__retry_failure(rm_upstream_call *call);

/* request.c */
/* RM_EINVAL: what no request may hold. */
rm_status rm_upstream__request_check(const rm_upstream_request *request, bool *ret_tls) RM_WARN_UNUSED;
typedef enum rm_upstream__line { /* header lines that matter for framing and coding */
                                 RM_UPSTREAM__LINE_OTHER = 0,
                                 RM_UPSTREAM__LINE_ACCEPT = 1,
                                 RM_UPSTREAM__LINE_ACCEPT_ENCODING = 2,
                                 RM_UPSTREAM__LINE_CONTENT_TYPE = 4,
                                 RM_UPSTREAM__LINE_EXPECT = 8,
                                 RM_UPSTREAM__LINE_FRAMING = 16,
                                 RM_UPSTREAM__LINE_HOST = 32,
} rm_upstream__line;
rm_upstream__line rm_upstream__line_of(rm_slice name);
bool rm_upstream__states_length(const rm_upstream_request *request); /* Content-Length, even of 0 */

/* easy.c */
rm_status rm_upstream__easy_connect(rm_upstream_call *call) RM_WARN_UNUSED; /* a handle that only connects */
void rm_upstream__easy_drop(rm_upstream_call *call);
rm_status rm_upstream__easy_prepare(rm_upstream_call *call) RM_WARN_UNUSED;

/* answer.c */
bool rm_upstream__call_fail(rm_upstream_call *call, rm_status status, const char *text); /* why we stop; false */
bool rm_upstream__head_end(rm_upstream_call *call); /* status and head are there; false: stop */
size_t rm_upstream__on_header(char *ptr, size_t size, size_t count, void *user);
size_t rm_upstream__on_write(char *ptr, size_t size, size_t count, void *user);
size_t rm_upstream__on_read(char *ptr, size_t size, size_t count, void *user);

/* coding.c */
unsigned rm_upstream__codings(void); /* what this curl can undo, for the next */
/* Whether each coding of a Content-Encoding or Accept-Encoding value is one of `codings`; adds to *encoded whether one
 * of them is other than identity. */
bool rm_upstream__codings_known(unsigned codings, rm_slice list, bool *encoded);

/* error.c */
typedef struct rm_upstream__error {
    CURLcode code;
    rm_status status;
    bool retry;  /* before the first byte of an answer, trying again may help */
    bool detail; /* curl's own words tell more */
    const char *text;
} rm_upstream__error;
const rm_upstream__error *rm_upstream__error_of(CURLcode code);

#endif
