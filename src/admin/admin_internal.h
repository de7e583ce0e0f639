/* What the files of this module share.
 *
 *     admin.c     the server: connections, routes
 *     guard.c     Host and Origin
 *     handlers.c  one function an endpoint
 *     views.c     JSON of the store's things; also for `remora cache` and `remora report`
 *     index.html  the page, embedded at build as rm_admin__index_html
 */
#ifndef REMORA_ADMIN_INTERNAL_H
#define REMORA_ADMIN_INTERNAL_H

#include "remora/admin.h"
#include "remora/json.h"
#include "remora/provider.h"

#define RM_ADMIN_ANSWER_BYTES_MAX (64 * RM_MIB)
#define RM_ADMIN_QUERY_BYTES_MAX  256 /* one decoded value of a query */

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

extern const char rm_admin__index_html[];
extern const size_t rm_admin__index_html_bytes;

#endif
