/* L3: the exact cache: what a request's key is, whether an answer may be kept, and how a kept one is served. */
#ifndef REMORA_CACHE_H
#define REMORA_CACHE_H

#include "remora/base.h"
#include "remora/policy.h"
#include "remora/provider.h"
#include "remora/store.h"

/* A request's exact identity. */
typedef struct rm_exact_key {
    rm_key128 key;
    rm_slice canonical; /* in the arena: version, op, upstream, scope, namespace, variant, canonical body */
} rm_exact_key;

/* `variant` is whatever outside the body changes the answer's meaning (query, version headers), in one fixed order.
 * Statuses of rm_json_canonical: anything but RM_OK makes the request uncacheable, not an error. Any thread. */
rm_status rm_exact_key_make(const rm_request_info *info, rm_slice upstream, const rm_tenant *tenant,
                            rm_slice name_space, rm_slice variant, rm_arena *arena,
                            rm_exact_key *ret_key) RM_WARN_UNUSED;

typedef enum rm_freshness { RM_FRESH = 0, RM_STALE_REVALIDATE, RM_STALE_ERROR } rm_freshness;

/* Loop thread. Finds a record whose canonical bytes are equal and whose age the controls allow. *ret_freshness says
 * whether it may be served as it is, with a revalidation (stale-while-revalidate), or only if the upstream fails.
 * On RM_OK the reader holds the record until rm_store_release. RM_ENOTFOUND, RM_ECORRUPT, RM_EIO. */
rm_status rm_exact_lookup(rm_store_reader *reader, const rm_config *config, const rm_exact_key *key,
                          const rm_controls *controls, uint64_t now_ms, rm_record *ret_record,
                          rm_freshness *ret_freshness) RM_WARN_UNUSED;

/* Whether its age allows the record to be used at all, and for what. */
bool rm_exact_is_fresh(const rm_config *config, const rm_controls *controls, const rm_record *record, uint64_t now_ms,
                       rm_freshness *ret_freshness);

/* The record's content as this caller asked for it. *ret_content is the record's own memory where nothing has to change,
 * else *scratch's. RM_EPARSE, RM_ENOMEM: treat as a miss. */
rm_status rm_exact_render(const rm_record *record, const rm_request_info *info, const rm_config *config,
                          uint64_t now_ms, rm_rng *rng, rm_buf *scratch, rm_slice *ret_content) RM_WARN_UNUSED;

/* Whether a finished answer may be kept: 200, whole, no error, finish not length or content_filter (option). */
bool rm_exact_storable(const rm_config *config, int http_status, const rm_answer *answer, bool stream);

#endif
