/* Numbers by their exact decimal value, without arithmetic on the digits: only where they begin and end, and where
 * the point stands, is worked out. */
#include "json_internal.h"

typedef struct scan {
    const char *at, *end;
} scan;

static rm_slice take_digits(scan *s)
{
    const char *begin = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return rm_slice_make(begin, (size_t)(s->at - begin));
}

static bool take(scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static void strip_leading(rm_slice *digits)
{
    while (digits->len && digits->ptr[0] == '0') {
        digits->ptr++;
        digits->len--;
    }
}

static size_t strip_trailing(rm_slice *digits)
{
    size_t before = digits->len;
    while (digits->len && digits->ptr[digits->len - 1] == '0')
        digits->len--;
    return before - digits->len;
}

/* Sets *ret_large instead where the exponent has too many digits: a zero does not care. */
static rm_status read_exponent(scan *s, int64_t *ret_exponent, bool *ret_large)
{
    int64_t exponent = 0;
    *ret_large = false;
    if (take(s, 'e') || take(s, 'E')) {
        bool negative = take(s, '-');
        if (!negative)
            take(s, '+');
        rm_slice digits = take_digits(s);
        if (digits.len == 0)
            return RM_EPARSE;
        strip_leading(&digits);
        *ret_large = digits.len > RM_JSON_EXPONENT_DIGITS_MAX;
        for (size_t i = 0; i < digits.len && !*ret_large; i++)
            exponent = exponent * 10 + (digits.ptr[i] - '0');
        if (negative)
            exponent = -exponent;
    }
    *ret_exponent = exponent;
    return RM_OK;
}

static bool within_limit(int64_t exponent)
{
    int64_t limit = 1;
    for (int i = 0; i < RM_JSON_EXPONENT_DIGITS_MAX; i++)
        limit *= 10;
    return exponent > -limit && exponent < limit;
}

rm_status rm_json__decimal_read(rm_slice text, rm_json__decimal *ret_decimal)
{
    scan s = {text.ptr, text.ptr + text.len};
    rm_json__decimal d = {.negative = take(&s, '-')};
    d.first = take_digits(&s);
    if (d.first.len == 0)
        return RM_EPARSE;
    bool large;
    if (take(&s, '.')) {
        d.second = take_digits(&s);
        if (d.second.len == 0)
            return RM_EPARSE;
    }
    if (read_exponent(&s, &d.exponent, &large) != RM_OK || s.at != s.end)
        return RM_EPARSE;

    d.exponent -= (int64_t)d.second.len;
    d.exponent += (int64_t)strip_trailing(&d.second);
    if (d.second.len == 0)
        d.exponent += (int64_t)strip_trailing(&d.first);
    strip_leading(&d.first);
    if (d.first.len == 0)
        strip_leading(&d.second);
    if (d.first.len == 0 && d.second.len == 0)
        d = (rm_json__decimal){0};
    else if (large || !within_limit(d.exponent))
        return RM_ETOOBIG;
    *ret_decimal = d;
    return RM_OK;
}
