/* The table of result codes, read three ways. */
#include "remora/status.h"

const char *rm_status_name(rm_status status)
{
    switch (status) {
#define X(code, number, text, http, retry) \
    case code:                             \
        return #code;
        RM_STATUS_MAP(X)
#undef X
    }
    return "RM_UNKNOWN";
}

const char *rm_status_text(rm_status status)
{
    switch (status) {
#define X(code, number, text, http, retry) \
    case code:                             \
        return text;
        RM_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

int rm_status_http(rm_status status)
{
    switch (status) {
#define X(code, number, text, http, retry) \
    case code:                             \
        return http;
        RM_STATUS_MAP(X)
#undef X
    }
    return 500;
}

bool rm_status_retryable(rm_status status)
{
    switch (status) {
#define X(code, number, text, http, retry) \
    case code:                             \
        return retry;
        RM_STATUS_MAP(X)
#undef X
    }
    return false;
}
