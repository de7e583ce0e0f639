/* Result codes of the whole program: negative on failure, one table. */
#ifndef REMORA_STATUS_H
#define REMORA_STATUS_H

#include <stdbool.h>

/* X(code, number, text, HTTP status a caller sees if nothing better is known, may be retried) */
#define RM_STATUS_MAP(X)                                        \
    X(RM_OK, 0, "ok", 200, false)                               \
    X(RM_ENOMEM, -1, "out of memory", 503, true)                \
    X(RM_EINVAL, -2, "invalid argument", 400, false)            \
    X(RM_ETOOBIG, -3, "over a size limit", 413, false)          \
    X(RM_ENOTFOUND, -4, "not found", 404, false)                \
    X(RM_EBUSY, -5, "queue is full", 503, true)                 \
    X(RM_EIO, -6, "input/output error", 500, true)              \
    X(RM_ECORRUPT, -7, "damaged data", 500, false)              \
    X(RM_EFULL, -8, "no space left", 507, true)                 \
    X(RM_ETIMEOUT, -9, "deadline passed", 504, true)            \
    X(RM_ECANCELLED, -10, "cancelled", 499, false)              \
    X(RM_ECONNECT, -11, "cannot connect", 502, true)            \
    X(RM_ERESET, -12, "connection closed early", 502, true)     \
    X(RM_EPROTO, -13, "protocol error", 502, false)             \
    X(RM_ETLS, -14, "TLS failure", 502, false)                  \
    X(RM_EPARSE, -15, "cannot be parsed", 400, false)           \
    X(RM_ELOCKED, -16, "in use by another process", 503, false) \
    X(RM_EUNSUPPORTED, -17, "not supported", 501, false)        \
    X(RM_EREFUSED, -18, "refused", 403, false)                  \
    X(RM_EINTERNAL, -19, "internal error", 500, false)

typedef enum rm_status {
#define X(code, number, text, http, retry) code = number,
    RM_STATUS_MAP(X)
#undef X
} rm_status;

#if defined(__GNUC__)
#define RM_WARN_UNUSED       __attribute__((warn_unused_result))
#define RM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define RM_WARN_UNUSED
#define RM_PRINTF(fmt, args)
#endif

/* Any thread. Static strings; an unknown code gives "RM_UNKNOWN" / "unknown status". */
const char *rm_status_name(rm_status status);
const char *rm_status_text(rm_status status);
/* Any thread. The HTTP status (100..599) for a failure that has no better one; 500 if unknown. */
int rm_status_http(rm_status status);
/* Any thread. Whether trying the same thing again may work. */
bool rm_status_retryable(rm_status status);

#endif
