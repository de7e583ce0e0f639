/* Shared by the files of this module: a rm_json is the library's value seen from outside. */
#ifndef REMORA_JSON_INTERNAL_H
#define REMORA_JSON_INTERNAL_H

#include <yyjson.h>

#include "remora/json.h"

static inline yyjson_val *rm_json__val(const rm_json *value)
{
    /* The library's readers take pointers to non-const and change nothing. */
    return (yyjson_val *)(uintptr_t)value;
}

static inline const rm_json *rm_json__wrap(yyjson_val *val)
{
    return (const rm_json *)val;
}

/* A decimal number taken apart: (-1)^negative * digits * 10^exponent, with neither leading nor trailing zeros among
 * the digits, which may stand on both sides of a point in the text. Zero has none and is not negative. */
typedef struct rm_json__decimal {
    rm_slice first, second; /* the digits, in order */
    int64_t exponent;
    bool negative;
} rm_json__decimal;

/* RM_EPARSE: not a JSON number. RM_ETOOBIG: the exponent is over its limit, either way. */
rm_status rm_json__decimal_read(rm_slice text, rm_json__decimal *ret_decimal) RM_WARN_UNUSED;

#endif
