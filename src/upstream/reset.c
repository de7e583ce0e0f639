/* When a limit resets, in each form that providers use: a Go duration (OpenAI), seconds or a Unix time (vendors with
 * OpenAI's interface), RFC 3339 (Anthropic), an HTTP date or seconds (Retry-After, RFC 9110 10.2.3). */
#include "upstream_internal.h"

#define TEXT_BYTES_MAX 64
#define SECONDS_UNIX   1e9  /* from here on a number is a time, not a wait: 2001-09-09 */
#define MILLIS_UNIX    1e12 /* ... in milliseconds */

static uint64_t wait_until(double unix_ms, uint64_t now_unix_ms)
{
    double wait_ms = unix_ms - (double)now_unix_ms;

    if (wait_ms <= 0)
        return 0;
    return wait_ms < (double)RM_TTL_MS_MAX ? (uint64_t)wait_ms : RM_TTL_MS_MAX;
}

static uint64_t round_up(double ms)
{
    if (ms >= (double)RM_TTL_MS_MAX)
        return RM_TTL_MS_MAX;
    uint64_t whole = (uint64_t)ms;
    return (double)whole < ms ? whole + 1 : whole;
}

/* ---- durations ----------------------------------------------------------------------------------------------------
 */

static const struct {
    rm_slice name;
    double ms;
} units[] = {
    {{"ns", 2}, 1e-6}, {{"us", 2}, 1e-3}, {{"\xc2\xb5s", 3}, 1e-3}, {{"\xce\xbcs", 3}, 1e-3}, {{"ms", 2}, 1},
    {{"s", 1}, 1e3},   {{"m", 1}, 6e4},   {{"h", 1}, 3.6e6},        {{"d", 1}, 8.64e7},
};

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_number(rm_slice *rest, double *ret_value)
{
    size_t len = 0;

    while (len < rest->len && (digit(rest->ptr[len]) || rest->ptr[len] == '.'))
        len++;
    if (len == 0 || rm_parse_double(rm_slice_make(rest->ptr, len), ret_value) != RM_OK)
        return false;
    *rest = rm_slice_make(rest->ptr + len, rest->len - len);
    return true;
}

static bool take_unit(rm_slice *rest, double *ret_ms)
{
    size_t len = 0;

    while (len < rest->len && !digit(rest->ptr[len]) && rest->ptr[len] != '.')
        len++;
    for (size_t i = 0; i < RM_COUNT(units); i++) {
        if (rm_slice_eq(units[i].name, rm_slice_make(rest->ptr, len))) {
            *ret_ms = units[i].ms;
            *rest = rm_slice_make(rest->ptr + len, rest->len - len);
            return true;
        }
    }
    return false;
}

static bool parse_duration(rm_slice text, double *ret_ms)
{
    double sum_ms = 0, value, unit_ms;

    while (text.len > 0) {
        if (!take_number(&text, &value) || !take_unit(&text, &unit_ms))
            return false;
        sum_ms += value * unit_ms;
    }
    *ret_ms = sum_ms;
    return true;
}

/* ---- dates ----------------------------------------------------------------------------------------------------------
 */

/* Days since 1970-01-01 in the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool take_digits(rm_slice *rest, size_t count, int64_t most, int64_t *ret_value)
{
    int64_t value = 0;

    if (rest->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!digit(rest->ptr[i]))
            return false;
        value = value * 10 + (rest->ptr[i] - '0');
    }
    *rest = rm_slice_make(rest->ptr + count, rest->len - count);
    *ret_value = value;
    return value <= most;
}

static bool take_char(rm_slice *rest, const char *any)
{
    if (rest->len == 0 || !strchr(any, rest->ptr[0]))
        return false;
    *rest = rm_slice_make(rest->ptr + 1, rest->len - 1);
    return true;
}

/* "Z", "+01:00", "-08:00": minutes to take off. */
static bool take_zone(rm_slice *rest, int64_t *ret_minutes)
{
    int64_t hours, minutes;

    if (take_char(rest, "Zz")) {
        *ret_minutes = 0;
        return true;
    }
    int64_t sign = rest->len > 0 && rest->ptr[0] == '-' ? -1 : 1;
    if (!take_char(rest, "+-") || !take_digits(rest, 2, 23, &hours) || !take_char(rest, ":") ||
        !take_digits(rest, 2, 59, &minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

static bool take_fraction(rm_slice *rest, double *ret_ms)
{
    double scale = 100, ms = 0;

    if (!take_char(rest, "."))
        return true;
    if (rest->len == 0 || !digit(rest->ptr[0]))
        return false;
    while (rest->len > 0 && digit(rest->ptr[0])) {
        ms += (rest->ptr[0] - '0') * scale;
        scale /= 10;
        rest->ptr++;
        rest->len--;
    }
    *ret_ms = ms;
    return true;
}

static bool parse_rfc3339(rm_slice text, double *ret_unix_ms)
{
    int64_t year, month, day, hour, minute, second, zone_minutes;
    double fraction_ms = 0;

    if (!take_digits(&text, 4, 9999, &year) || !take_char(&text, "-") || !take_digits(&text, 2, 12, &month) ||
        !take_char(&text, "-") || !take_digits(&text, 2, 31, &day) || !take_char(&text, "Tt ") ||
        !take_digits(&text, 2, 23, &hour) || !take_char(&text, ":") || !take_digits(&text, 2, 59, &minute) ||
        !take_char(&text, ":") || !take_digits(&text, 2, 60, &second) || !take_fraction(&text, &fraction_ms) ||
        !take_zone(&text, &zone_minutes) || text.len > 0 || month == 0 || day == 0)
        return false;
    int64_t seconds = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute - zone_minutes) * 60 + second;
    *ret_unix_ms = (double)seconds * 1000 + fraction_ms;
    return true;
}

/* The three forms of RFC 9110 5.6.7 begin with a day's name. */
static bool parse_http_date(rm_slice text, double *ret_unix_ms)
{
    char copy[TEXT_BYTES_MAX + 1];

    if (!memchr("MTWFS", text.ptr[0], 5))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    time_t seconds = curl_getdate(copy, NULL);
    if (seconds == (time_t)-1)
        return false;
    *ret_unix_ms = (double)seconds * 1000;
    return true;
}

static bool plain_number(rm_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!digit(text.ptr[i]) && text.ptr[i] != '.')
            return false;
    }
    return true;
}

rm_status rm_upstream_parse_reset(rm_slice value, uint64_t now_unix_ms, uint64_t *ret_wait_ms)
{
    double number;

    value = rm_slice_trim(value);
    if (value.len == 0 || value.len > TEXT_BYTES_MAX || memchr(value.ptr, '\0', value.len))
        return RM_EPARSE;
    if (plain_number(value)) {
        if (rm_parse_double(value, &number) != RM_OK)
            return RM_EPARSE;
        if (number >= SECONDS_UNIX)
            *ret_wait_ms = wait_until(number >= MILLIS_UNIX ? number : number * 1000, now_unix_ms);
        else
            *ret_wait_ms = round_up(number * 1000);
    } else if (parse_duration(value, &number)) {
        *ret_wait_ms = round_up(number);
    } else if (parse_rfc3339(value, &number) || parse_http_date(value, &number)) {
        *ret_wait_ms = wait_until(number, now_unix_ms);
    } else {
        return RM_EPARSE;
    }
    return RM_OK;
}
