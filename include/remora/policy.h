/* L3: who asks, and what may be done with the request: pure decisions over decoded input. No I/O; any thread. */
#ifndef REMORA_POLICY_H
#define REMORA_POLICY_H

#include "remora/base.h"
#include "remora/config.h"
#include "remora/observe.h"
#include "remora/provider.h"
#include "remora/wire.h"

/* ---- who --------------------------------------------------------------------------------------------------------- */

typedef struct rm_tenant {
    rm_key128 scope;  /* whose cache entries: key, team or shared, by configuration */
    rm_key128 id;     /* who, for reports; never the credential itself */
    char id_text[36]; /* hexadecimal id, or "anonymous" */
    bool anonymous;   /* no credential */
    bool refused;     /* anonymous: refuse */
    bool cacheable;   /* may be served from and stored in the cache, and merged */
} rm_tenant;

/* The credential is Authorization, x-api-key and api-key together, HMAC-SHA256 under the install secret (RFC 2104); with
 * trust_gateway_headers the x-litellm-* identity joins it (user, end user, team, organisation, key). RM_EINTERNAL. */
rm_status rm_policy_identify(const rm_config *config, const uint8_t secret[32], const rm_http_head *head,
                             rm_tenant *ret_tenant) RM_WARN_UNUSED;

/* ---- what -------------------------------------------------------------------------------------------------------- */

/* x-remora-* request headers, Cache-Control and the body's `cache` in one: the strictest of each. */
typedef struct rm_controls {
    bool no_cache, no_store, only_if_cached, bypass;
    int64_t ttl_ms;            /* -1: not given */
    int64_t max_age_ms;        /* oldest answer that will do; -1: any (s-maxage, max-age) */
    int64_t stale_if_error_ms; /* -1: configuration's */
    rm_slice name_space;       /* empty: default */
    double max_error;          /* of semantic hits; negative: configuration's */
    rm_slice invalid;          /* name of the first x-remora-* header that cannot be understood: 400 */
} rm_controls;
rm_controls rm_policy_controls(const rm_http_head *head, const rm_request_info *info /* may be NULL */);

/* What holds for a request's namespace. */
typedef struct rm_category {
    rm_slice name_space; /* empty: the default one; in the caller's memory or the configuration's */
    rm_mode semantic;
    double max_error;
    uint64_t ttl_ms;
    uint64_t semantic_ttl_ms; /* 0: the answer's own */
} rm_category;
/* The namespace that the request names, else that of the first row it matches, with the row's values; the global ones where
 * no row is for it. */
rm_category rm_policy_category(const rm_config *config, rm_slice name_space, rm_slice path, rm_slice model);

/* What the exchange does. */
typedef struct rm_decision {
    bool lookup, store, merge;
    rm_outcome outcome; /* what the caller is told unless a hit or merge comes: MISS or BYPASS */
    rm_reason reason;
    uint64_t ttl_ms; /* for what is stored */
} rm_decision;
/* info NULL: not a known path, or a body that is no JSON object. */
rm_decision rm_policy_decide(const rm_config *config, const rm_category *category, const rm_tenant *tenant,
                             const rm_controls *controls, const rm_request_info *info);

/* Which upstream: the model's, else the first of the path's dialect, else the first. */
const rm_config_upstream *rm_policy_upstream(const rm_config *config, rm_slice model, rm_dialect dialect);

#endif
