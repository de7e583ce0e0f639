/* L2: requests to providers on a loop: pools, deadlines, retries, cancel. libcurl's multi interface carries them, but
 * for those that need neither TLS nor a proxy nor a streamed body: these go over connections of ours ("direct"), which
 * libcurl only makes: fewer instructions a request, and no handle of libcurl's for each that is under way.
 * One client a loop; its thread only. */
#ifndef REMORA_UPSTREAM_H
#define REMORA_UPSTREAM_H

#include "remora/base.h"
#include "remora/net.h"

/* Streamed bodies: what one call holds at most; the feeder pauses at RM_STREAM_UPLOAD_HIGH_BYTES. */
#define RM_UPSTREAM_UPLOAD_BYTES_MAX (4 * RM_STREAM_UPLOAD_HIGH_BYTES)
/* A swallowed answer (its status is tried again) is read to its end to keep the connection, up to this. */
#define RM_UPSTREAM_SWALLOW_BYTES_MAX (64 * RM_KIB)

typedef struct rm_upstream_client rm_upstream_client;

typedef struct rm_upstream_client_options {
    const char *ca_file; /* NULL: the system's */
    const char *proxy;   /* NULL: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY of the environment, as curl reads them */
    bool tls_verify;     /* default true; false only by explicit configuration */
    bool http2;          /* over TLS by ALPN */
    bool curl_only;      /* nothing goes direct */
    double retry_budget; /* retries over recent requests, 0..1 */
    unsigned retry_budget_min; /* retries in 10 s that are always allowed */
    uint64_t rng_seed;
} rm_upstream_client_options;

/* The process ignores SIGPIPE. Options are copied. RM_ENOMEM, RM_EIO. */
rm_status rm_upstream_client_create(rm_loop *loop, const rm_upstream_client_options *options,
                                    rm_upstream_client **ret_client) RM_WARN_UNUSED;
/* Cancels what is left (their on_done runs with RM_ECANCELLED), then on_closed once, later. */
void rm_upstream_client_close(rm_upstream_client *client, void (*on_closed)(void *user), void *user);
unsigned rm_upstream_client_active(const rm_upstream_client *client);

/* Counted since the client was made, but for the last two. */
typedef struct rm_upstream_stats {
    uint64_t requests;         /* calls started */
    uint64_t tries;            /* requests sent, at least attempted */
    uint64_t retries;          /* tries after the first that the budget paid for */
    uint64_t budget_exhausted; /* retries that the budget refused */
    uint64_t failures;         /* calls that ended neither well nor cancelled */
    uint64_t timeouts;         /* of these: deadlines */
    uint64_t cancelled;
    uint64_t connections_opened; /* sockets */
    unsigned active;             /* calls now */
    unsigned connections;        /* sockets now, busy or idle */
} rm_upstream_stats;
rm_upstream_stats rm_upstream_client_stats(const rm_upstream_client *client);

typedef struct rm_upstream_timeouts {
    uint64_t connect_ms;     /* each connect, with TLS; 0: curl's own 300 s */
    uint64_t first_byte_ms;  /* from the start to the head that counts, all tries together; 0: none */
    uint64_t stream_idle_ms; /* longest time without data after that, not while paused; 0: none */
    uint64_t total_ms;       /* 0: none */
} rm_upstream_timeouts;

/* What is asked. Slices must stay valid until on_done. */
typedef struct rm_upstream_request {
    const char *method;
    const char *url;          /* absolute, sent as it is (no dot-segment clean-up) */
    const rm_header *headers; /* the whole list: nothing is added but Host and framing; its own Content-Length and
                               * Transfer-Encoding are left out (the body says). No CR, LF or NUL in it: RM_EINVAL. */
    size_t header_count;
    rm_slice body; /* the whole body, unless stream_body; a HEAD request has none */
    bool has_body;
    bool stream_body;          /* fed by rm_upstream_call_feed; never retried once a byte of it was taken */
    int64_t stream_body_bytes; /* its Content-Length; -1: chunked */
    bool decode;               /* undo Content-Encoding; the head then lacks Content-Encoding and Content-Length. Not
                                * done where Accept-Encoding in `headers` allows one that curl cannot undo. Direct: no
                                * coding is asked for, and one that comes all the same is left alone. */
    unsigned retries_max;      /* tries after the first, before the first byte of an answer only */
    rm_upstream_timeouts timeouts;
    rm_slice name; /* upstream's configured name, for metrics and log */
} rm_upstream_request;

/* An answer's head. Slices live during on_head. */
typedef struct rm_upstream_head {
    int status;
    const rm_header *headers; /* names as received; interim (1xx) heads and trailers left out */
    size_t header_count;
    int64_t content_length; /* -1: unknown, or decoded */
    bool decoded;           /* a Content-Encoding was undone */
} rm_upstream_head;

typedef struct rm_upstream_result {
    rm_status status;       /* RM_OK: a whole answer, of any HTTP status */
    char text[128];         /* a sentence for a failure, e.g. "connection refused" */
    unsigned tries;         /* requests sent, at least attempted */
    uint64_t first_byte_ms; /* from start to the answer's head; 0: none came */
    uint64_t total_ms;
    bool head_sent; /* on_head was called */
} rm_upstream_result;

typedef struct rm_upstream_call rm_upstream_call;

/* Loop thread; none is called inside an rm_upstream function. on_done exactly once and last.
 * on_head comes once, for the try that counts: a status that is to be tried again is swallowed. */
typedef struct rm_upstream_events {
    void (*on_head)(void *user, const rm_upstream_head *head);
    void (*on_data)(void *user, rm_slice bytes);
    /* A streamed body's queue fell below RM_STREAM_UPLOAD_LOW_BYTES. May be NULL. */
    void (*on_upload_drain)(void *user);
    void (*on_done)(void *user, const rm_upstream_result *result);
} rm_upstream_events;

/* RM_ENOMEM, RM_EINVAL (URL, method, headers), RM_ETOOBIG (RM_UPSTREAM_REQUEST_HEAD_BYTES_MAX), RM_ECANCELLED (the
 * client is closing): nothing was started and on_done is not called. */
rm_status rm_upstream_start(rm_upstream_client *client, const rm_upstream_request *request,
                            const rm_upstream_events *events, void *user, rm_upstream_call **ret_call) RM_WARN_UNUSED;
/* on_done follows in a later turn with RM_ECANCELLED; no other event comes. The wire is cut at once. */
void rm_upstream_cancel(rm_upstream_call *call);
/* Stops and restarts on_data (backpressure). Safe at any time before on_done. */
void rm_upstream_pause(rm_upstream_call *call);
void rm_upstream_resume(rm_upstream_call *call);
/* Streamed bodies: bytes are copied. RM_EBUSY: more than RM_UPSTREAM_UPLOAD_BYTES_MAX would wait; RM_ETOOBIG: more than
 * stream_body_bytes; RM_EINVAL: not streamed, or ended; RM_ENOMEM. Nothing was taken then. */
rm_status rm_upstream_call_feed(rm_upstream_call *call, rm_slice bytes);
/* The body is complete; short of stream_body_bytes the call fails with RM_EINVAL. */
void rm_upstream_call_feed_end(rm_upstream_call *call);
size_t rm_upstream_call_queued_bytes(const rm_upstream_call *call);

/* "2ms", "6m0s", "1.5" (seconds), a Unix time (s or ms) or RFC 3339 / HTTP date -> wait from now. RM_EPARSE.
 * Used for retry-after and every provider's rate-limit reset. */
rm_status rm_upstream_parse_reset(rm_slice value, uint64_t now_unix_ms, uint64_t *ret_wait_ms) RM_WARN_UNUSED;

#endif
