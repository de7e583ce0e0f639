/* Numbers, durations and sizes as people and headers write them. No locale, no white space, no sign but where said. */
#include <math.h>
#include <stdlib.h>

#include "remora/base.h"

#define NUMBER_BYTES_MAX 1023 /* of one decimal; longer ones are no number that anybody wrote */

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool add_digit(uint64_t *value, char c)
{
    return !__builtin_mul_overflow(*value, 10, value) && !__builtin_add_overflow(*value, (uint64_t)(c - '0'), value);
}

rm_status rm_parse_u64(rm_slice text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.len == 0)
        return RM_EPARSE;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]) || !add_digit(&value, text.ptr[i]))
            return RM_EPARSE;
    }
    *ret_value = value;
    return RM_OK;
}

static size_t skip_digits(rm_slice text, size_t at)
{
    while (at < text.len && is_digit(text.ptr[at]))
        at++;
    return at;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit on at least one side of the point. */
static bool looks_decimal(rm_slice text)
{
    size_t at = 0, digits = 0, begin;
    if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
        at++;
    begin = at;
    at = skip_digits(text, at);
    digits = at - begin;
    if (at < text.len && text.ptr[at] == '.') {
        begin = ++at;
        at = skip_digits(text, at);
        digits += at - begin;
    }
    if (digits == 0)
        return false;
    if (at < text.len && (text.ptr[at] | 0x20) == 'e') {
        at++;
        if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
            at++;
        begin = at;
        at = skip_digits(text, at);
        if (at == begin)
            return false;
    }
    return at == text.len;
}

rm_status rm_parse_double(rm_slice text, double *ret_value)
{
    char copy[NUMBER_BYTES_MAX + 1];
    if (text.len > NUMBER_BYTES_MAX || !looks_decimal(text))
        return RM_EPARSE;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    double value = strtod(copy, NULL);
    if (!isfinite(value))
        return RM_EPARSE;
    *ret_value = value;
    return RM_OK;
}

/* ---- numbers with a unit ----------------------------------------------------------------------------------------- */

typedef struct unit {
    const char *name;
    uint64_t scale;
} unit;

static const unit durations_us[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", 1000000},
    {"m", 60000000},
    {"h", 3600000000ULL},
    {"d", 86400000000ULL},
    {"w", 604800000000ULL},
};

static const unit sizes[] = {
    {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30},   {"TiB", 1ULL << 40},
    {"KB", 1000},        {"MB", 1000000},     {"GB", 1000000000ULL}, {"TB", 1000000000000ULL},
};

#define FRACTION_DIGITS_MAX 9

/* Reads "12.5" off the front of the text: whole part, and the fraction as numerator over a power of ten. */
static rm_status take_decimal(rm_slice *text, uint64_t *ret_whole, uint64_t *ret_num, uint64_t *ret_den)
{
    uint64_t whole = 0, num = 0, den = 1;
    size_t at = skip_digits(*text, 0);
    if (at == 0)
        return RM_EPARSE;
    for (size_t i = 0; i < at; i++) {
        if (!add_digit(&whole, text->ptr[i]))
            return RM_ETOOBIG;
    }
    if (at < text->len && text->ptr[at] == '.') {
        size_t begin = ++at;
        at = skip_digits(*text, at);
        if (at == begin || at - begin > FRACTION_DIGITS_MAX)
            return RM_EPARSE;
        for (size_t i = begin; i < at; i++) {
            num = num * 10 + (uint64_t)(text->ptr[i] - '0');
            den *= 10;
        }
    }
    *ret_whole = whole;
    *ret_num = num;
    *ret_den = den;
    *text = rm_slice_make(text->ptr + at, text->len - at);
    return RM_OK;
}

/* The smallest whole number of the unit's base that is not less. */
static rm_status scale_up(uint64_t whole, uint64_t num, uint64_t den, uint64_t scale, uint64_t *ret_value)
{
    /* num < 10^9 and a scale with a fraction is below 2^41, so the product may exceed 64 bits. */
    unsigned __int128 part = ((unsigned __int128)num * scale + den - 1) / den;
    uint64_t value;
    if (__builtin_mul_overflow(whole, scale, &value) || __builtin_add_overflow(value, (uint64_t)part, &value))
        return RM_ETOOBIG;
    *ret_value = value;
    return RM_OK;
}

static uint64_t find_unit(const unit *units, size_t count, rm_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (rm_slice_eq(name, rm_slice_cstr(units[i].name)))
            return units[i].scale;
    }
    return 0;
}

rm_status rm_parse_duration_us(rm_slice text, bool bare_seconds, uint64_t *ret_us)
{
    uint64_t whole, num, den, scale;
    rm_status status = take_decimal(&text, &whole, &num, &den);
    if (status != RM_OK)
        return status;
    if (text.len == 0)
        scale = bare_seconds || (whole == 0 && num == 0) ? 1000000 : 0;
    else
        scale = find_unit(durations_us, RM_COUNT(durations_us), text);
    if (scale == 0)
        return RM_EPARSE;
    return scale_up(whole, num, den, scale, ret_us);
}

rm_status rm_parse_duration_ms(rm_slice text, bool bare_seconds, uint64_t *ret_ms)
{
    uint64_t us;
    rm_status status = rm_parse_duration_us(text, bare_seconds, &us);
    if (status != RM_OK)
        return status;
    *ret_ms = us / 1000 + (us % 1000 != 0);
    return RM_OK;
}

rm_status rm_parse_bytes(rm_slice text, uint64_t *ret_bytes)
{
    uint64_t whole, num, den, scale;
    rm_status status = take_decimal(&text, &whole, &num, &den);
    if (status != RM_OK)
        return status;
    if (text.len == 0)
        scale = den == 1 ? 1 : 0;
    else
        scale = find_unit(sizes, RM_COUNT(sizes), text);
    if (scale == 0)
        return RM_EPARSE;
    return scale_up(whole, num, den, scale, ret_bytes);
}
