/* The parts of a request's identity that stand before its body: of its exact key, and of its partition. */
#ifndef REMORA_CACHE_IDENTITY_H
#define REMORA_CACHE_IDENTITY_H

#include "remora/policy.h"

/* Appends version, operation, upstream, scope, name space and variant, each with its length before it, so that no two lists
 * of parts make the same bytes. Failures stay in out->status. */
void rm_cache__append_identity(const char *version, rm_op op, rm_slice upstream, const rm_tenant *tenant,
                               rm_slice name_space, rm_slice variant, rm_buf *out);

#endif
