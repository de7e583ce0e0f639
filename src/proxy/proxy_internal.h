/* What the files of proxy share. Everything here belongs to one worker's loop thread unless it says otherwise.
 *
 *   worker      one a loop: listener, upstream clients, store reader, counters
 *   generation  one configuration in use on a worker; freed when its last exchange and fetch are done
 *   exchange    one caller's request                                             (identify … relay, settle)
 *   inquiry     what the semantic cache is asked for an exchange, and learns from a fetch
 *   fetch       one upstream call and the flight that carries its answer to the exchanges that wait for it
 */
#ifndef REMORA_PROXY_INTERNAL_H
#define REMORA_PROXY_INTERNAL_H

#include "remora/cache.h"
#include "remora/policy.h"
#include "remora/proxy.h"
#include "remora/upstream.h"

typedef struct rm_exchange rm_exchange;
typedef struct rm_fetch rm_fetch;
typedef struct rm_inquiry rm_inquiry;

typedef struct rm_generation {
    rm_worker *worker;
    rm_settings *settings;
    const rm_config *config;
    unsigned refs;
    unsigned clients_open;
    rm_upstream_client *clients[]; /* one for each of config->upstreams */
} rm_generation;

#define RM_PROXY_TENANT_MEMO_SLOTS     64
#define RM_PROXY_CREDENTIAL_MEMO_BYTES 464
#define RM_PROXY_GATHER_MAX            16           /* fetches that gather at a time: then the first is pushed */
#define RM_PROXY_GATHER_BYTES_MAX      (4 * RM_KIB) /* a larger buffer is not kept */

/* A credential met before and whose it is; compared byte by byte. */
typedef struct rm_tenant_memo {
    uint64_t hash;
    const rm_generation *generation;
    uint16_t len;
    char credential[RM_PROXY_CREDENTIAL_MEMO_BYTES];
    rm_tenant tenant;
} rm_tenant_memo;

struct rm_worker {
    rm_proxy *proxy;
    rm_loop *loop;
    rm_exec *exec;
    rm_listener *listener;
    rm_store_reader *reader; /* NULL: no cache */
    rm_observer *observer;
    rm_generation *generation;
    rm_rng rng;
    rm_buf render;     /* scratch of one hit or event */
    rm_link gathering; /* fetches that hold events or pieces of this turn */
    unsigned gathering_count;
    rm_buf gather_spares[RM_PROXY_GATHER_MAX]; /* empty buffers for them */
    unsigned gather_spare_count;
    rm_task flush; /* pushes what a turn has gathered */
    bool flush_posted;
    rm_exchange *spare; /* freed exchanges */
    unsigned spare_count;
    unsigned exchanges, fetches, inquiries, generations;
    rm_link fetch_list, inquiry_list, opinion_list;
    _Atomic unsigned connections_seen, calls_seen; /* for the gauges, written here only */
    rm_tenant_memo *memo;
    bool draining, closing, listener_closed;
    rm_timer drain_timer;
    void (*on_drained)(void *user);
    void *drained_user;
    void (*on_closed)(void *user);
    void *closed_user;
};

rm_generation *rm_proxy__generation_ref(rm_generation *generation);
void rm_proxy__generation_unref(rm_generation *generation);
void rm_proxy__worker_check_idle(rm_worker *worker); /* something ended: drained? closed? */
extern const rm_server_ops rm_proxy__server_ops;     /* server_user: rm_worker */

/* ---- answers on their way ---------------------------------------------------------------------------------------- */

/* Flags of a flight's chunk. */
enum {
    RM_CHUNK_USAGE = 1,      /* holds one event, with the final usage: usage.cost is set for each caller */
    RM_CHUNK_USAGE_ONLY = 2, /* ... and nothing else: dropped for a caller who did not ask */
};

/* A flight's head. What stands under "at the end" is written before the flight ends (the usage chunk is pushed), and
 * read only by those who have seen that; the flight's lock orders the two. */
typedef struct rm_answer_head {
    int status;             /* 0: no answer came; `text` says why */
    bool sse;               /* chunks are whole events */
    bool whole;             /* the body is complete in the log, its cost known */
    int64_t content_length; /* -1: unknown */
    size_t header_count;
    rm_header *headers; /* end-to-end ones that are passed on */
    rm_slice text; /* the model as the answer names it (empty: not known when the head had to go), or the failure */
    /* At the end. */
    _Atomic bool
        cost_claimed; /* somebody bears the cost: its leader, else the first to claim; for others it was saved */
    double cost_usd;  /* negative: unknown */
    rm_usage usage;
    char service_tier[24];
    uint64_t upstream_ns;
    unsigned tries;
    bool stream_error; /* an error came inside the stream */
} rm_answer_head;

static inline rm_answer_head *rm_answer_head_of(rm_blob *blob)
{
    return (rm_answer_head *)(void *)blob->data;
}

/* ---- exchange ---------------------------------------------------------------------------------------------------- */

/* READING -> (UPLOADING | [RECALLING ->] WAITING) -> RELAYING -> DONE; every state may go to DONE. */
typedef enum rm_exchange_state {
    RM_EXCHANGE_READING = 0, /* the request's body is coming */
    RM_EXCHANGE_RECALLING,   /* for the semantic cache */
    RM_EXCHANGE_UPLOADING,   /* an unknown path: body flows to the upstream, the answer may flow already */
    RM_EXCHANGE_WAITING,     /* for the flight's head */
    RM_EXCHANGE_RELAYING,    /* head is sent */
    RM_EXCHANGE_DONE,        /* all was handed to net; on_close follows */
    RM_EXCHANGE_STATE_COUNT
} rm_exchange_state;

/* A stale record's answer, kept in case the upstream fails. */
typedef struct rm_stale {
    rm_blob *content;
    uint64_t age_s;
    double saved_usd;
    rm_usage usage;
    char model[RM_MODEL_NAME_BYTES_MAX];
} rm_stale;

struct rm_exchange {
    rm_worker *worker;
    rm_generation *generation;
    rm_req *req;
    rm_exchange *next_spare;
    rm_exchange_state state;
    rm_op op;
    rm_dialect dialect;
    rm_tenant tenant;
    rm_category category; /* of a request whose body was read */
    rm_decision decision;

    rm_blob *body;       /* the request's, once it is whole */
    size_t body_bytes;   /* filled so far */
    rm_buf body_chunked; /* while it comes without a length */

    bool stream, include_usage, known; /* known: a request that could be decoded */
    rm_fetch *fetch;                   /* whose upload this exchange feeds; NULL once either is done */
    rm_fetch *borrower;                /* what it needs lies in the request's arena; NULL once it is done */
    rm_inquiry *inquiry;               /* NULL: the semantic cache has nothing to do with it */
    rm_subscriber subscriber;
    rm_blob *head; /* the flight's, referenced */
    rm_echo *echo; /* merged: what the answer must repeat of this request; NULL: nothing */
    rm_key128 key; /* the exact one, with has_key */
    bool has_key, retried;
    bool merged, claimed, collecting, closed, relaying_now;
    bool bears;       /* leads the flight, and was still there when its cost was known */
    rm_buf collected; /* the answer in the other form than the caller's */
    rm_timer silence;
    uint64_t last_write_ms;
    rm_stale *stale;

    /* For the receipt. */
    char id[33];
    rm_slice model, requested_model, name_space; /* in the request's arena, the head, or the stale record */
    rm_slice upstream;
    rm_outcome outcome;
    rm_reason reason;
    int status;
    bool failed;
    rm_usage usage;
    char service_tier[24];
    double cost_usd, saved_usd;
    bool semantic; /* served by the semantic cache */
    uint64_t request_bytes, response_bytes, first_byte_ns, upstream_ns;
    unsigned tries;
    rm_blob *log_prompt; /* with log.bodies only */
    rm_buf log_answer;   /* its beginning */
};

/* A NUL-terminated copy, cut to `room` bytes. */
static inline void rm_proxy__keep_text(char *to, size_t room, rm_slice from)
{
    if (from.len >= room)
        from.len = room - 1;
    *rm_slice_put(to, from) = '\0';
}

static inline uint64_t rm_proxy__now_ns(void)
{
    const rm_clock *clock = rm_clock_system();
    return clock->mono_ns(clock);
}

static inline uint64_t rm_proxy__wall_ms(void)
{
    const rm_clock *clock = rm_clock_system();
    return clock->wall_ms(clock);
}

void rm_exchange__move(rm_exchange *exchange, rm_exchange_state to);
void rm_exchange__settle(rm_exchange *exchange);

/* recall.c: answers from the cache; true: it was answered. *ret_key is made where the request has one (has_key). */
bool rm_exchange__recall(rm_exchange *exchange, const rm_request_info *info, const rm_controls *controls,
                         rm_slice upstream, rm_arena *scratch, rm_exact_key *ret_key);
/* What the answer depends on beside the body: the query, and headers that choose a version or an account. RM_ENOMEM. */
rm_status rm_exchange__variant(const rm_http_head *head, rm_arena *arena, rm_slice *ret_variant) RM_WARN_UNUSED;
/* The answer kept under this key, for another request. RM_ENOTFOUND: it is not there, or its time is over; RM_ETIMEOUT: it is
 * older than such hits may be; RM_EREFUSED: ... than this caller takes; else it cannot be rendered. */
rm_status rm_exchange__serve_kept(rm_exchange *exchange, const rm_request_info *info, const rm_controls *controls,
                                  rm_key128 key, double *ret_saved_usd) RM_WARN_UNUSED;
bool rm_exchange__serve_stale(rm_exchange *exchange); /* the upstream failed: true if a stale answer went out */

/* dispatch.c: joins a flight or begins a fetch. */
void rm_exchange__dispatch(rm_exchange *exchange, const rm_request_info *info, const rm_config_upstream *upstream,
                           const rm_exact_key *key);
/* Joins the flight of this key, if there is one. */
bool rm_exchange__join(rm_exchange *exchange, const rm_request_info *info, const rm_exact_key *key);
/* exchange.c: the caches have nothing for it. */
void rm_exchange__ask_upstream(rm_exchange *exchange, const rm_request_info *info, const rm_controls *controls,
                               const rm_config_upstream *upstream, const rm_exact_key *key);

/* ---- inquiry.c: the semantic cache's part in a request ----------------------------------------------------------- */

/* Everything of a decoded request that the step after the exact cache needs. */
typedef struct rm_inquiry_plan {
    const rm_request_info *info;
    const rm_controls *controls;
    const rm_config_upstream *upstream;
    const rm_exact_key *key;
    rm_arena *scratch; /* that all this lies in; taken over where the exchange has to wait */
} rm_inquiry_plan;
/* Asks the semantic cache, where configuration and request let it. True: the exchange waits for it (RECALLING) and goes on by
 * itself; false: it goes on now, with or without exchange->inquiry, which then only learns. */
bool rm_inquiry__begin(rm_exchange *exchange, const rm_inquiry_plan *plan);
/* The exchange is over. */
void rm_inquiry__leave(rm_exchange *exchange);
rm_inquiry *rm_inquiry__ref(rm_inquiry *inquiry); /* NULL is fine */
void rm_inquiry__unref(rm_inquiry *inquiry);
/* What the upstream answered, and what that cost; `kept`: it is in the store now. */
void rm_inquiry__answered(rm_inquiry *inquiry, rm_op op, bool events, rm_slice content, double cost_usd, bool kept);
/* ---- opinion.c ---- */

typedef struct rm_opinion_plan {
    rm_worker *worker;
    rm_inquiry *inquiry; /* keeps all of this */
    const rm_settings *settings;
    const rm_semantic_ask *ask;
    const rm_semantic_decision *decision;
    uint64_t entry;  /* that the answer became; UINT64_MAX: none */
    rm_slice answer; /* its text; not needed afterwards */
} rm_opinion_plan;
/* Where something is in the way, nothing happens: it would only have taught more. */
void rm_opinion__ask(const rm_opinion_plan *plan);
void rm_opinion__cancel_all(rm_worker *worker);

/* NULL: nothing was decided (yet). */
const rm_semantic_decision *rm_inquiry__decision(const rm_inquiry *inquiry);
bool rm_inquiry__is_shadow(const rm_inquiry *inquiry);
void rm_inquiry__cancel_all(rm_worker *worker);               /* what the lane still has to do for them */
bool rm_exchange__again(rm_exchange *exchange);               /* exchange.c; false: it cannot be tried once more */
void rm_exchange__reserve(rm_worker *worker, unsigned count); /* so many spares, as memory allows */

/* relay.c: from the flight to the caller. */
void rm_exchange__on_ready(rm_subscriber *subscriber);
void rm_exchange__relay(rm_exchange *exchange);
void rm_exchange__settle_cost(rm_exchange *exchange); /* once: what it cost, or what was saved */
void rm_exchange__free(rm_exchange *exchange);

/* reply.c: what is sent to the caller. */
#define RM_REPLY_TEXT_BYTES 768
typedef struct rm_reply_head {
    rm_header headers[RM_HEADER_COUNT_MAX + 16];
    size_t count;
    char text[RM_REPLY_TEXT_BYTES];
    size_t text_used;
} rm_reply_head;
void rm_reply__init(rm_reply_head *reply);
void rm_reply__add(rm_reply_head *reply, rm_slice name, rm_slice value); /* value must outlive the reply */
void rm_reply__add_u64(rm_reply_head *reply, rm_slice name, uint64_t value);
void rm_reply__add_usd(rm_reply_head *reply, rm_slice name, double usd); /* left out where negative */
/* x-remora-* and x-litellm-response-cost from what the exchange knows now. */
void rm_reply__add_remora(rm_reply_head *reply, const rm_exchange *exchange, bool with_cost);
/* Counts what the caller is sent. */
void rm_reply__note(rm_exchange *exchange, rm_slice body);
void rm_reply__send(rm_exchange *exchange, const rm_reply_head *head, int status, rm_slice body, int64_t body_bytes);
/* An error of Remora's own, in the dialect's shape; the exchange is done. */
void rm_exchange__fail(rm_exchange *exchange, int status, const char *type, const char *message);

/* usage.c: appends the event's text with usage.cost set. RM_ENOTFOUND: no whole event. */
rm_status rm_proxy__set_cost(rm_op op, rm_slice raw_event, double cost_usd, rm_buf *out) RM_WARN_UNUSED;

/* ---- fetch ------------------------------------------------------------------------------------------------------- */

typedef enum rm_fetch_mode {
    RM_FETCH_HEAD = 0, /* nothing came yet */
    RM_FETCH_PIECES,   /* bytes pass as they come */
    RM_FETCH_BODY,     /* a JSON answer is gathered, to state its cost in the head */
    RM_FETCH_EVENTS    /* a stream: cut into events */
} rm_fetch_mode;

struct rm_fetch {
    rm_worker *worker;
    rm_link link; /* in worker->fetch_list */
    rm_generation *generation;
    rm_arena *arena;     /* the request's while that lasts, then `own` */
    rm_arena own;        /* what was taken over when the request ended first */
    rm_exchange *lender; /* whose request that is; NULL: it is taken over */
    rm_flight *flight;
    rm_upstream_call *call;      /* NULL once it is over; NULL too where a local model answers */
    struct rm_local_call *local; /* the same for such a model */
    rm_exchange *uploader;
    rm_blob *body; /* where the upstream gets the caller's own */
    rm_op op;
    rm_fetch_mode mode;
    bool inject_usage, store;
    bool led; /* the lender waits for the answer */
    bool head_set, stored;
    bool lost;        /* for want of memory: what came cannot go on */
    bool facts_final; /* the head's facts were published with the usage chunk */
    rm_key128 key;
    rm_blob *canonical;  /* with `store` */
    rm_inquiry *inquiry; /* learns from the answer; NULL: nobody does */
    rm_key128 tenant;
    rm_slice requested_model, name_space, content_type;
    uint64_t ttl_ms;
    char id[33];
    int status;
    double stated_cost_usd; /* by the upstream's own header; negative: none */
    rm_answer answer;
    rm_blob *head; /* the flight's */
    rm_sse_parser sse;
    rm_buf gathered;        /* BODY: the answer; EVENTS, PIECES: what is not yet pushed */
    rm_link gathering_link; /* in worker->gathering: is to be pushed at the turn's end */
    rm_timer head_timer;    /* EVENTS: the head goes out without a model's name if no event comes */
};

/* ---- local.c: a model inside Remora, asked like an upstream ------------------------------------------------------ */

typedef struct rm_local_call rm_local_call;
/* Asks the model that the settings have for info->model, for embeddings; nothing of `info` is needed afterwards. Events as an
 * upstream's: never inside a function of this file's, on_done exactly once and last. RM_EINTERNAL: there is no such model.
 * RM_ENOMEM. */
rm_status rm_local__start(rm_worker *worker, const rm_settings *settings, const rm_request_info *info,
                          const rm_upstream_events *events, void *user, rm_local_call **ret_call) RM_WARN_UNUSED;
void rm_local__cancel(rm_local_call *call); /* on_done follows in a later turn with RM_ECANCELLED */

/* Begins the upstream call for an exchange, whose request's memory it shares: it takes that over should the request end
 * first. RM_ENOMEM and the like: nothing was begun. */
typedef struct rm_fetch_plan {
    rm_exchange *exchange;
    const rm_config_upstream *upstream; /* of its generation's configuration */
    const rm_request_info *info;        /* NULL: not decoded */
    const rm_exact_key *key;            /* NULL: neither merged nor stored */
    bool upload;                        /* the exchange feeds the body of an unknown path */
    bool subscribe;                     /* ... waits for the answer; else nobody does (a revalidation) */
    bool merge, store;
} rm_fetch_plan;
rm_status rm_fetch__start(rm_worker *worker, const rm_fetch_plan *plan, rm_fetch **ret_fetch) RM_WARN_UNUSED;
void rm_fetch__cancel(rm_fetch *fetch);
void rm_fetch__run_flush(rm_task *task); /* the worker's */
/* The request that lends its memory ends: in its on_close. */
void rm_fetch__lender_gone(rm_fetch *fetch, rm_req *req);
double rm_fetch__cost(const rm_fetch *fetch);
/* forward.c; the headers' texts stay where they are. */
rm_status rm_fetch__url(const rm_config_upstream *upstream, rm_slice target, rm_arena *arena,
                        const char **ret_url) RM_WARN_UNUSED;
rm_status rm_fetch__headers(const rm_config_upstream *upstream, const rm_http_head *head, rm_arena *arena,
                            const rm_header **ret_headers, size_t *ret_count) RM_WARN_UNUSED;
/* answer.c: the flight's head from the upstream's. NULL: no memory. */
rm_blob *rm_fetch__make_head(const rm_upstream_head *head);
/* Sets its text, before it is shared; the head may move for it. Without memory the text is cut. */
void rm_fetch__set_head_text(rm_blob **head, rm_slice text);
/* record.c: keeps a finished answer if it may be kept. */
void rm_fetch__record_body(rm_fetch *fetch, rm_slice body);
void rm_fetch__record_events(rm_fetch *fetch);

#endif
