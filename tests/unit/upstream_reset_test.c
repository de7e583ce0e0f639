/* rm_upstream_parse_reset: each provider's way of saying when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "remora/upstream.h"

#define NOW_MS 1700000000000ULL /* 2023-11-14T22:13:20Z */

static const struct {
    const char *text;
    uint64_t wait_ms;
} good[] = {
    {"0", 0},
    {"1", 1000},
    {"1.5", 1500},
    {" 20 ", 20000},
    {"0.0001", 1},
    {"2ms", 2},
    {"20ms", 20},
    {"6s", 6000},
    {"6m0s", 360000},
    {"1h2m3.5s", 3723500},
    {"1d", 86400000},
    {"500us", 1},
    {"500\xc2\xb5s", 1},
    {"1500000ns", 2},
    {"1.5s", 1500},
    {"0s", 0},
    {"1700000030", 30000},
    {"1700000030.5", 30500},
    {"1700000000250", 250},
    {"1699999999", 0},
    {"2023-11-14T22:13:30Z", 10000},
    {"2023-11-14T22:13:30.250Z", 10250},
    {"2023-11-14t22:13:30z", 10000},
    {"2023-11-15T00:13:20+02:00", 0},
    {"2023-11-14T14:13:21-08:00", 1000},
    {"2024-02-29T00:00:00Z", 9164800000},
    {"2020-01-01T00:00:00Z", 0},
    {"Tue, 14 Nov 2023 22:13:21 GMT", 1000},
    {"Tuesday, 14-Nov-23 22:13:22 GMT", 2000},
    {"Tue Nov 14 22:13:23 2023", 3000},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
    {"99999999d", RM_TTL_MS_MAX},
};

static const char *const bad[] = {
    "",
    " ",
    "x",
    "-1",
    "+1",
    "1x",
    "s",
    "1.2.3",
    ".",
    "1s2",
    "1 s",
    "1e3",
    "2023-11-14",
    "2023-13-14T22:13:30Z",
    "2023-00-14T22:13:30Z",
    "2023-11-14T24:13:30Z",
    "2023-11-14T22:13:30",
    "2023-11-14T22:13:30.Z",
    "2023-11-14T22:13:30Zx",
    "2023-11-14T22:13:30+0200",
    "Mon",
    "Sunny day",
    "Tue, 99 Nov 2023 22:13:21 GMT",
    "00000000000000000000000000000000000000000000000000000000000000001",
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(good); i++) {
        uint64_t wait_ms = 42;
        rm_status status = rm_upstream_parse_reset(rm_slice_cstr(good[i].text), NOW_MS, &wait_ms);
        if (status != RM_OK || wait_ms != good[i].wait_ms)
            fail_msg("%s: %s, %llu", good[i].text, rm_status_name(status), (unsigned long long)wait_ms);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(bad); i++) {
        uint64_t wait_ms = 42;
        rm_status status = rm_upstream_parse_reset(rm_slice_cstr(bad[i]), NOW_MS, &wait_ms);
        if (status != RM_EPARSE || wait_ms != 42)
            fail_msg("%s: %s, %llu", bad[i], rm_status_name(status), (unsigned long long)wait_ms);
    }
    uint64_t wait_ms;
    assert_int_equal(rm_upstream_parse_reset(RM_SLICE_NONE, NOW_MS, &wait_ms), RM_EPARSE);
    assert_int_equal(rm_upstream_parse_reset(RM_SLICE("1\0s"), NOW_MS, &wait_ms), RM_EPARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
