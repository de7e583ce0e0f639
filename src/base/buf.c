/* A growing run of bytes with a ceiling. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "remora/base.h"

#define CAP_MIN 256

void rm_buf_init(rm_buf *buf, size_t bytes_max)
{
    *buf = (rm_buf){.max = bytes_max};
}

void rm_buf_deinit(rm_buf *buf)
{
    rm_free(buf->ptr);
    *buf = (rm_buf){0};
}

void rm_buf_clear(rm_buf *buf)
{
    buf->len = 0;
    buf->status = RM_OK;
}

static rm_status grow(rm_buf *buf, size_t more)
{
    if (more > buf->max - buf->len)
        return buf->status = RM_ETOOBIG;
    size_t need = buf->len + more;
    size_t cap = buf->cap < CAP_MIN / 2 ? CAP_MIN : buf->cap <= SIZE_MAX / 2 ? buf->cap * 2 : SIZE_MAX;
    if (cap < need)
        cap = need;
    if (cap > buf->max)
        cap = buf->max;
    char *ptr = rm_realloc(buf->ptr, cap);
    if (!ptr)
        return buf->status = RM_ENOMEM;
    buf->ptr = ptr;
    buf->cap = cap;
    return RM_OK;
}

rm_status rm_buf_reserve(rm_buf *buf, size_t more)
{
    if (buf->status != RM_OK)
        return buf->status;
    if (more <= buf->cap - buf->len)
        return RM_OK;
    return grow(buf, more);
}

rm_status rm_buf_append_slow(rm_buf *buf, const void *ptr, size_t len)
{
    rm_status status = rm_buf_reserve(buf, len);
    if (status != RM_OK || !ptr || len == 0)
        return status;
    memcpy(buf->ptr + buf->len, ptr, len);
    buf->len += len;
    return RM_OK;
}

#define U64_DIGITS_MAX 20

/* Writes the digits backwards, ending before `end`; gives where they begin. */
static char *put_digits(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return end;
}

rm_status rm_buf_append_u64(rm_buf *buf, uint64_t value)
{
    char digits[U64_DIGITS_MAX], *end = digits + sizeof(digits);
    char *begin = put_digits(end, value);
    return rm_buf_append(buf, begin, (size_t)(end - begin));
}

rm_status rm_buf_append_i64(rm_buf *buf, int64_t value)
{
    char digits[U64_DIGITS_MAX + 1], *end = digits + sizeof(digits);
    char *begin = put_digits(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        *--begin = '-';
    return rm_buf_append(buf, begin, (size_t)(end - begin));
}

#define USD_PLACES 12
#define USD_SCALE  1000000000000ULL

/* Splits |usd| < 2^52 exactly: it is mantissa / 2^shift, so the places are integer arithmetic, rounded half to even. */
static void split_usd(double usd, uint64_t *ret_whole, uint64_t *ret_places)
{
    int exponent;
    uint64_t mantissa = (uint64_t)ldexp(frexp(usd, &exponent), 53);
    int shift = 53 - exponent; /* > 0 because usd < 2^52 */
    uint64_t whole = shift < 64 ? mantissa >> shift : 0;
    uint64_t rest = shift < 64 ? mantissa - (whole << shift) : mantissa;
    uint64_t places = 0;
    if (shift < 120) {
        unsigned __int128 scaled = (unsigned __int128)rest * USD_SCALE;
        unsigned __int128 half = (unsigned __int128)1 << (shift - 1);
        unsigned __int128 part = scaled & ((half << 1) - 1);
        places = (uint64_t)(scaled >> shift);
        if (part > half || (part == half && (places & 1)))
            places++;
    }
    if (places == USD_SCALE) {
        places = 0;
        whole++;
    }
    *ret_whole = whole;
    *ret_places = places;
}

rm_status rm_buf_append_usd(rm_buf *buf, double usd)
{
    char text[2 + U64_DIGITS_MAX + USD_PLACES], *end = text + sizeof(text);
    uint64_t whole, places;
    if (!isfinite(usd))
        return rm_buf_append_char(buf, '0'); /* a sum that overflowed must not break the JSON around it */
    if (fabs(usd) >= 0x1.0p52)               /* no places are left */
        return rm_buf_appendf(buf, "%.0f", usd);
    split_usd(fabs(usd), &whole, &places);
    bool negative = usd < 0 && (whole || places);
    int count = USD_PLACES;
    while (count > 0 && places % 10 == 0) {
        places /= 10;
        count--;
        if (places == 0)
            count = 0;
    }
    char *begin = end;
    if (count > 0) {
        for (int i = 0; i < count; i++, places /= 10)
            *--begin = (char)('0' + places % 10);
        *--begin = '.';
    }
    begin = put_digits(begin, whole);
    if (negative)
        *--begin = '-';
    return rm_buf_append(buf, begin, (size_t)(end - begin));
}

/* By way of a copy: the formatter wants room for a NUL that the ceiling may not leave. */
static rm_status RM_PRINTF(3, 0) append_long(rm_buf *buf, size_t len, const char *format, va_list args)
{
    rm_status status = rm_buf_reserve(buf, len);
    if (status != RM_OK)
        return status;
    char *text = rm_alloc(len + 1);
    if (!text)
        return buf->status = RM_ENOMEM;
    vsnprintf(text, len + 1, format, args);
    status = rm_buf_append(buf, text, len);
    rm_free(text);
    return status;
}

rm_status rm_buf_appendf(rm_buf *buf, const char *format, ...)
{
    va_list args;
    if (buf->status != RM_OK)
        return buf->status;
    size_t room = buf->cap - buf->len;
    va_start(args, format);
    int len = vsnprintf(room ? buf->ptr + buf->len : NULL, room, format, args);
    va_end(args);
    if (len < 0)
        return buf->status = RM_EINVAL;
    if ((size_t)len < room) {
        buf->len += (size_t)len;
        return RM_OK;
    }
    va_start(args, format);
    rm_status status = append_long(buf, (size_t)len, format, args);
    va_end(args);
    return status;
}

void rm_buf_consume(rm_buf *buf, size_t len)
{
    RM_CHECK(len <= buf->len);
    if (len == 0)
        return;
    buf->len -= len;
    if (buf->len)
        memmove(buf->ptr, buf->ptr + len, buf->len);
}
