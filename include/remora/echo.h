/* L1, in provider: what a Responses answer repeats of the request it was made for: `metadata`, `user`,
 * `safety_identifier`, `prompt_cache_key`. They are neutral members, so one answer serves requests that differ in them,
 * even of several tenants: each caller's own are put in their place. */
#ifndef REMORA_ECHO_H
#define REMORA_ECHO_H

#include "remora/provider.h"

#define RM_ECHO_MEMBERS 4

/* One request's, as JSON text in an arena; {NULL,0}: not given. */
typedef struct rm_echo {
    rm_slice values[RM_ECHO_MEMBERS];
} rm_echo;

/* Whether answers of the operation repeat anything at all. */
bool rm_provider_echoes(rm_op op);

/* RM_ENOMEM. */
rm_status rm_provider_read_echo(const rm_request_info *info, rm_arena *arena, rm_echo *ret_echo) RM_WARN_UNUSED;

/* Appends the answer (whole events, or a body) with the members set to this request's wherever they stand; those that
 * the answer leaves out stay out, and an empty one stays as it is where the request gives none. RM_ENOTFOUND: nothing
 * has to change. RM_EPARSE: an unfinished event, one over the limit, or a body that is no JSON. RM_ENOMEM, RM_ETOOBIG. On
 * failure `out` is as before. */
rm_status rm_provider_set_echo(const rm_echo *echo, bool events, rm_slice content, rm_buf *out) RM_WARN_UNUSED;

#endif
