/* What the files of this module share.
 *
 *     admin.c     the server: connections, routes
 *     guard.c     Host and Origin
 *     handlers.c  one function an endpoint
 *     views.c     JSON of the store's things; also for `remora cache` and `remora report`
 *     semantic.c  JSON, metrics and table of the semantic cache
 *     index.html  the page, embedded at build as rm_admin__index_html
 */
#ifndef REMORA_ADMIN_INTERNAL_H
#define REMORA_ADMIN_INTERNAL_H

#include "remora/admin.h"
#include "remora/json.h"
#include "remora/provider.h"

#define RM_ADMIN_ANSWER_BYTES_MAX (64 * RM_MIB)
#define RM_ADMIN_QUERY_BYTES_MAX  256 /* one decoded value of a query */
#define RM_ADMIN_NOTE_BYTES_MAX   (4 * RM_KIB)
#define RM_ADMIN_LOG_BYTES_MAX    256 /* of a caller's text in the log */

struct rm_admin {
    rm_admin_context context;
    rm_loop *loop;
    rm_listener *listener;
    rm_store_reader *reader; /* NULL without a store */
    void (*on_closed)(void *user);
    void *closed_user;
};

/* One request and its answer. */
typedef struct rm_admin_call {
    rm_admin *admin;
    rm_req *req;
    rm_buf body, out;
    const char *content_type; /* of out; JSON unless the handler says otherwise */
    bool body_too_large;
} rm_admin_call;

/* Fills call->out; returns the HTTP status. */
typedef int (*rm_admin_handler)(rm_admin_call *call);

typedef struct rm_admin_route {
    const char *path;
    rm_method method; /* RM_METHOD_GET answers HEAD too */
    bool any_host;    /* tells nothing, so any name may ask */
    rm_admin_handler handle;
} rm_admin_route;
extern const rm_admin_route rm_admin__routes[];
extern const size_t rm_admin__route_count;

/* Replaces call->out by {"error":{"message"}}; returns http_status. */
int rm_admin__error(rm_admin_call *call, int http_status, const char *message);
/* Decodes the first `name` of a query into `text` (at least RM_ADMIN_QUERY_BYTES_MAX). RM_ENOTFOUND, RM_ETOOBIG,
 * RM_EPARSE: a bad escape. */
rm_status rm_admin__query(rm_slice query, const char *name, char *text);
/* Whether this Host can only mean this machine or its private network. */
bool rm_admin__host_allowed(rm_slice host);
/* Whether a request that changes something may come from there: no page's, or this server's own page's. */
bool rm_admin__origin_allowed(const rm_http_head *head);

/* ---- semantic.c -------------------------------------------------------------------------------------------------- */

/* The semantic cache as it stands. */
struct rm_admin_semantic {
    bool known; /* there is one; else the rest but the configuration's is zero */
    rm_config *config;
    rm_mode mode;
    double max_error;
    const char *model; /* of config */
    bool ready;
    rm_index_stats index;
    rm_semantic_space *spaces; /* by name, as rm_admin__name_spaces makes them */
    size_t count;
};

/* RM_ENOMEM. Where there is no keeper it is RM_OK all the same. */
rm_status rm_admin__semantic_open(const rm_admin_context *context, rm_admin_semantic *ret_semantic) RM_WARN_UNUSED;
void rm_admin__semantic_close(rm_admin_semantic *semantic);
/* Gives them the names that people see, no two the same (those are summed up), sorted; returns how many are left. */
size_t rm_admin__name_spaces(rm_semantic_space *spaces, size_t count);

/* Wrong hits as a share of requests. */
typedef struct rm_admin_error {
    double estimate; /* negative: nothing is known */
    double upper95;  /* one-sided */
} rm_admin_error;
/* audited: hits that were judged, drawn by chance, of which some were wrong; told: wrong hits that are known otherwise. */
rm_admin_error rm_admin__error_of(uint64_t requests, uint64_t hits, uint64_t audited, uint64_t wrong, uint64_t told);

/* Append. */
rm_status rm_admin__semantic_json(const rm_admin_semantic *semantic, rm_buf *out);
/* Nothing where there is no semantic cache. Namespaces over RM_METRIC_SERIES_MAX are summed up, in `semantic` too. */
rm_status rm_admin__semantic_prometheus(rm_admin_semantic *semantic, rm_buf *out);
rm_status rm_admin__semantic_report_json(const rm_admin_semantic *semantic, rm_buf *out);
rm_status rm_admin__semantic_report_table(const rm_admin_semantic *semantic, rm_buf *out);
rm_status rm_admin__receipt_json(const rm_semantic_receipt *receipt, rm_buf *out);

/* The body of POST /api/feedback. */
typedef struct rm_admin_feedback {
    rm_slice id, note; /* in the arena; note: {NULL,0} if there is none */
    bool right;
} rm_admin_feedback;
/* RM_EINVAL, RM_EPARSE: *ret_why (static) says what to mend. */
rm_status rm_admin__read_feedback(rm_slice body, rm_arena *arena, rm_admin_feedback *ret_feedback,
                                  const char **ret_why) RM_WARN_UNUSED;
rm_status rm_admin__feedback_json(const rm_admin_feedback *feedback, rm_feedback_effect effect, rm_buf *out);

extern const char rm_admin__index_html[];
extern const size_t rm_admin__index_html_bytes;

#endif
