/* L4: the admin server: metrics, health, reports, the cache's drawer, a page for people.
 *
 * It runs on a loop of its own thread, which may wait for the store; nothing on the data loops waits for it. It has no
 * login: by default it is bound to loopback, it answers only to names that no stranger's DNS can point at it, and what
 * changes something is refused to pages of other origins. */
#ifndef REMORA_ADMIN_H
#define REMORA_ADMIN_H

#include "remora/config.h"
#include "remora/keeper.h"
#include "remora/net.h"
#include "remora/observe.h"
#include "remora/store.h"

typedef struct rm_admin rm_admin;

/* What it shows. Callbacks run on the admin loop's thread. */
typedef struct rm_admin_context {
    rm_observe *observe;
    rm_store *store; /* NULL: serving without one; what needs it answers 503 */
    const rm_clock *clock;
    void (*gauges)(void *user, rm_gauges *gauges); /* fills what it owns; store and version are filled already */
    bool (*ready)(void *user);                     /* false while starting or draining */
    rm_config *(*config)(void *user);              /* the configuration in force, with a reference for the caller */
    rm_keeper *(*keeper)(void *user);              /* outlives the server; NULL, or answers it: no semantic cache */
    void *user;
} rm_admin_context;

/* Listens. The context is copied; observe and store outlive the server. Before the loop runs or on its thread.
 * RM_EINVAL: address; RM_EIO: cannot bind (logged); RM_ENOMEM, RM_EBUSY: no reader left in the store. */
rm_status rm_admin_create(rm_loop *loop, const char *address, const rm_admin_context *context,
                          rm_admin **ret_admin) RM_WARN_UNUSED;
int rm_admin_port(const rm_admin *admin);
/* Loop's thread. Closes every connection; on_closed (may be NULL) runs later, once, and the server is freed then. */
void rm_admin_close(rm_admin *admin, void (*on_closed)(void *user), void *user);

/* ---- the same answers for a Remora that is not running ----------------------------------------------------------- */

/* A point in time: how long ago ("24h", "7d"), a date ("2026-11-01", UTC), RFC 3339, or a Unix time. RM_EPARSE. */
rm_status rm_admin_parse_since(rm_slice text, uint64_t now_ms, uint64_t *ret_since_ms) RM_WARN_UNUSED;

/* The body of POST /api/cache/purge. Filter and slices point into this struct and the arena. */
typedef struct rm_admin_purge {
    rm_key128 key, tenant;
    rm_store_filter filter;
} rm_admin_purge;
/* RM_EINVAL, RM_EPARSE: *ret_why (static) says what to mend. scope: cache.scope, by which entries belong to tenants. */
rm_status rm_admin_read_purge(rm_slice body, rm_scope scope, uint64_t now_ms, rm_arena *arena,
                              rm_admin_purge *ret_purge, const char **ret_why) RM_WARN_UNUSED;

/* Append one JSON object. */
rm_status rm_admin_stats_json(const rm_store_stats *stats, rm_buf *out);
rm_status rm_admin_entry_json(const rm_record *record, uint64_t now_ms, rm_buf *out);
/* What a running Remora's semantic cache has to tell. */
typedef struct rm_admin_semantic rm_admin_semantic;
/* The report over what the store's ledger holds since then, and on the semantic cache (NULL: without). Not on a data loop.
 * RM_EIO, RM_ENOMEM. */
rm_status rm_admin_report_json(rm_store *store, const rm_admin_semantic *semantic, uint64_t since_ms,
                               rm_buf *out) RM_WARN_UNUSED;
rm_status rm_admin_report_table(rm_store *store, const rm_admin_semantic *semantic, uint64_t since_ms,
                                rm_buf *out) RM_WARN_UNUSED;

#endif
