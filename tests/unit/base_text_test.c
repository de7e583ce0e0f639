/* Slices, numbers and units, money, JSON's escapes, hashes, result codes, clocks and chance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "remora/base.h"

static void test_status(void **state)
{
    (void)state;
    assert_string_equal(rm_status_name(RM_OK), "RM_OK");
    assert_string_equal(rm_status_text(RM_ETOOBIG), "over a size limit");
    assert_int_equal(rm_status_http(RM_ETOOBIG), 413);
    assert_true(rm_status_retryable(RM_ETIMEOUT));
    assert_false(rm_status_retryable(RM_EPARSE));
    assert_string_equal(rm_status_name((rm_status)-99), "RM_UNKNOWN");
    assert_string_equal(rm_status_text((rm_status)-99), "unknown status");
    assert_int_equal(rm_status_http((rm_status)-99), 500);
    assert_false(rm_status_retryable((rm_status)-99));
}

static void test_slices(void **state)
{
    (void)state;
    assert_true(rm_slice_eq(RM_SLICE_NONE, RM_SLICE("")));
    assert_true(rm_slice_eq_nocase(RM_SLICE("Content-LENGTH"), RM_SLICE("content-length")));
    assert_false(rm_slice_eq_nocase(RM_SLICE("@"), RM_SLICE("`")));
    assert_true(rm_slice_has_prefix(RM_SLICE("abc"), RM_SLICE("ab")));
    assert_true(rm_slice_has_prefix(RM_SLICE_NONE, RM_SLICE("")));
    assert_false(rm_slice_has_prefix(RM_SLICE("a"), RM_SLICE("ab")));
    assert_true(rm_slice_eq(rm_slice_trim(RM_SLICE("\t a b \t")), RM_SLICE("a b")));
    assert_int_equal(rm_slice_trim(RM_SLICE("  ")).len, 0);
    rm_slice text = RM_SLICE("one two");
    assert_ptr_equal(rm_slice_find(text, RM_SLICE("two")), text.ptr + 4);
    assert_null(rm_slice_find(text, RM_SLICE("three")));
    assert_null(rm_slice_find(RM_SLICE_NONE, RM_SLICE("x")));
    assert_int_equal(rm_slice_cstr(NULL).len, 0);
}

static void test_split(void **state)
{
    (void)state;
    rm_slice rest = RM_SLICE("a,,b"), part;
    assert_true(rm_slice_split(&rest, ',', &part) && rm_slice_eq(part, RM_SLICE("a")));
    assert_true(rm_slice_split(&rest, ',', &part) && part.len == 0);
    assert_true(rm_slice_split(&rest, ',', &part) && rm_slice_eq(part, RM_SLICE("b")));
    assert_false(rm_slice_split(&rest, ',', &part));
    rest = RM_SLICE("a,");
    assert_true(rm_slice_split(&rest, ',', &part));
    assert_true(rm_slice_split(&rest, ',', &part) && part.len == 0);
    assert_false(rm_slice_split(&rest, ',', &part));
}

static void test_u64(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_int_equal(rm_parse_u64(RM_SLICE("18446744073709551615"), &value), RM_OK);
    assert_true(value == UINT64_MAX);
    static const char *const bad[] = {"", "18446744073709551616", "-1", "+1", " 1", "1 ", "0x1", "1.0"};
    for (size_t i = 0; i < RM_COUNT(bad); i++)
        assert_int_equal(rm_parse_u64(rm_slice_cstr(bad[i]), &value), RM_EPARSE);
    assert_true(value == UINT64_MAX);
}

static void test_double(void **state)
{
    (void)state;
    double value = 0;
    assert_int_equal(rm_parse_double(RM_SLICE("-12.5e-1"), &value), RM_OK);
    assert_true(value == -1.25);
    assert_int_equal(rm_parse_double(RM_SLICE(".5"), &value), RM_OK);
    assert_true(value == 0.5);
    static const char *const bad[] = {"",     ".",     "-",  "1e", "1e+", "nan", "inf",
                                      "0x10", "1e400", " 1", "1 ", "1,5", "1..2"};
    for (size_t i = 0; i < RM_COUNT(bad); i++)
        assert_int_equal(rm_parse_double(rm_slice_cstr(bad[i]), &value), RM_EPARSE);
    assert_true(value == 0.5);
    char digits[1025];
    memset(digits, '0', sizeof(digits));
    assert_int_equal(rm_parse_double(rm_slice_make(digits, 1023), &value), RM_OK);
    assert_int_equal(rm_parse_double(rm_slice_make(digits, 1024), &value), RM_EPARSE);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool bare;
        rm_status status;
        uint64_t us;
    } cases[] = {
        {"250us", false, RM_OK, 250},
        {"10ms", false, RM_OK, 10000},
        {"1.5s", false, RM_OK, 1500000},
        {"10m", false, RM_OK, 600000000},
        {"24h", false, RM_OK, 86400000000ULL},
        {"7d", false, RM_OK, 604800000000ULL},
        {"2w", false, RM_OK, 1209600000000ULL},
        {"0", false, RM_OK, 0},
        {"60", true, RM_OK, 60000000},
        {"60", false, RM_EPARSE, 0},
        {"", true, RM_EPARSE, 0},
        {"s", true, RM_EPARSE, 0},
        {"1.s", true, RM_EPARSE, 0},
        {"-1s", true, RM_EPARSE, 0},
        {"1 s", true, RM_EPARSE, 0},
        {"1S", true, RM_EPARSE, 0},
        {"0.1us", false, RM_OK, 1},
        {"0.0000000001s", false, RM_EPARSE, 0},
        {"30500568904943us", false, RM_OK, 30500568904943},
        {"18446744073709551615us", false, RM_OK, UINT64_MAX},
        {"18446744073709551615ms", false, RM_ETOOBIG, 0},
        {"99999999999999999999s", false, RM_ETOOBIG, 0},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        uint64_t us = 42;
        assert_int_equal(rm_parse_duration_us(rm_slice_cstr(cases[i].text), cases[i].bare, &us), cases[i].status);
        assert_true(us == (cases[i].status == RM_OK ? cases[i].us : 42));
    }
    uint64_t ms;
    assert_int_equal(rm_parse_duration_ms(RM_SLICE("1001us"), false, &ms), RM_OK);
    assert_int_equal(ms, 2);
    assert_int_equal(rm_parse_duration_ms(RM_SLICE("1s"), false, &ms), RM_OK);
    assert_int_equal(ms, 1000);
}

static void test_bytes(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_int_equal(rm_parse_bytes(RM_SLICE("4096"), &bytes), RM_OK);
    assert_int_equal(bytes, 4096);
    assert_int_equal(rm_parse_bytes(RM_SLICE("2GiB"), &bytes), RM_OK);
    assert_true(bytes == 2ULL << 30);
    assert_int_equal(rm_parse_bytes(RM_SLICE("1TiB"), &bytes), RM_OK);
    assert_true(bytes == 1ULL << 40);
    assert_int_equal(rm_parse_bytes(RM_SLICE("64KB"), &bytes), RM_OK);
    assert_int_equal(bytes, 64000);
    assert_int_equal(rm_parse_bytes(RM_SLICE("1.5MiB"), &bytes), RM_OK);
    assert_int_equal(bytes, 1572864);
    assert_int_equal(rm_parse_bytes(RM_SLICE("1.5"), &bytes), RM_EPARSE);
    assert_int_equal(rm_parse_bytes(RM_SLICE("1kib"), &bytes), RM_EPARSE);
    assert_int_equal(rm_parse_bytes(RM_SLICE("16777216TiB"), &bytes), RM_ETOOBIG);
    assert_int_equal(bytes, 1572864);
}

static void check_usd(double usd, const char *expected)
{
    rm_buf buf;
    rm_buf_init(&buf, 1000);
    rm_buf_append_usd(&buf, usd);
    assert_int_equal(rm_buf_append_char(&buf, '\0'), RM_OK);
    assert_string_equal(buf.ptr, expected);
    rm_buf_deinit(&buf);
}

static void test_usd(void **state)
{
    (void)state;
    check_usd(0, "0");
    check_usd(-0.0, "0");
    check_usd(0.00045, "0.00045");
    check_usd(12.5, "12.5");
    check_usd(-12.5, "-12.5");
    check_usd(1e-12, "0.000000000001");
    check_usd(4e-13, "0");
    check_usd(-4e-13, "0");
    check_usd(0.9999999999999, "1");
    check_usd(100, "100");
    check_usd(9007199254740991.0, "9007199254740991");
    check_usd(9007199254740992.0, "9007199254740992");
    check_usd(1e300 * 1e300, "0");
    check_usd(5e-324, "0");
    check_usd(0.1 + 0.2, "0.3");
}

/* The library's own formatter is exact; ours must agree to the last place. */
static void test_usd_against_printf(void **state)
{
    (void)state;
    rm_rng rng;
    rm_rng_seed(&rng, 11);
    for (int i = 0; i < 20000; i++) {
        double usd = rm_rng_uniform(&rng);
        for (uint64_t n = rm_rng_next(&rng) % 16; n > 0; n--)
            usd *= i % 2 ? 0.1 : 10;
        if (usd > 9e15)
            continue;
        char expected[400];
        int len = snprintf(expected, sizeof(expected), "%.12f", usd);
        while (expected[len - 1] == '0')
            expected[--len] = '\0';
        if (expected[len - 1] == '.')
            expected[--len] = '\0';
        check_usd(usd, expected);
    }
}

static void check_base64(rm_slice plain, const char *expected)
{
    rm_buf buf;
    rm_buf_init(&buf, 1000);
    rm_buf_append_base64(&buf, plain.ptr, plain.len);
    assert_int_equal(rm_buf_append_char(&buf, '\0'), RM_OK);
    assert_string_equal(buf.ptr, expected);
    rm_buf_deinit(&buf);
}

/* RFC 4648 section 10, and a text of several steps. */
static void test_base64(void **state)
{
    (void)state;
    check_base64(RM_SLICE_NONE, "");
    check_base64(RM_SLICE("f"), "Zg==");
    check_base64(RM_SLICE("fo"), "Zm8=");
    check_base64(RM_SLICE("foo"), "Zm9v");
    check_base64(RM_SLICE("foob"), "Zm9vYg==");
    check_base64(RM_SLICE("foobar"), "Zm9vYmFy");
    enum { LONG = 200 * 1024 };
    unsigned char *zeros = calloc(1, LONG);
    assert_non_null(zeros);
    rm_buf buf;
    rm_buf_init(&buf, RM_MIB);
    assert_int_equal(rm_buf_append_base64(&buf, zeros, LONG), RM_OK);
    assert_int_equal(buf.len, (LONG + 2) / 3 * 4);
    for (size_t i = 0; i < buf.len - 1; i++)
        assert_int_equal(buf.ptr[i], 'A');
    assert_int_equal(buf.ptr[buf.len - 1], '=');
    rm_buf_deinit(&buf);
    rm_buf_init(&buf, 100);
    assert_int_equal(rm_buf_append_base64(&buf, zeros, LONG), RM_ETOOBIG);
    rm_buf_deinit(&buf);
    free(zeros);
}

static void check_escaped(rm_slice text, const char *expected)
{
    rm_buf buf;
    rm_buf_init(&buf, 1000);
    rm_buf_append_json_escaped(&buf, text);
    assert_int_equal(rm_buf_append_char(&buf, '\0'), RM_OK);
    assert_string_equal(buf.ptr, expected);
    rm_buf_deinit(&buf);
}

static void test_escape(void **state)
{
    (void)state;
    check_escaped(RM_SLICE("plain / text\x7f"), "plain / text\x7f");
    check_escaped(RM_SLICE("\"\\\b\f\n\r\t"), "\\\"\\\\\\b\\f\\n\\r\\t");
    check_escaped(RM_SLICE("\x00\x1f"), "\\u0000\\u001f");
    check_escaped(RM_SLICE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    check_escaped(RM_SLICE("a\xff"), "a\xef\xbf\xbd");
    check_escaped(RM_SLICE("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
    check_escaped(RM_SLICE("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* surrogate */
    check_escaped(RM_SLICE("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    check_escaped(RM_SLICE("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd"); /* cut */
    check_escaped(RM_SLICE("\xe0\x80\x80z"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
}

static void test_hashes(void **state)
{
    (void)state;
    char text[33];
    rm_key128 key = rm_hash128(RM_SLICE(""));
    rm_key128_format(key, text);
    assert_string_equal(text, "99aa06d3014798d86001c324468d497f"); /* XXH3's own test vector */
    assert_true(rm_hash64(RM_SLICE_NONE) == 0x2d06800538d394c2ULL);
    rm_key128 back = {0, 0};
    assert_int_equal(rm_key128_parse(RM_SLICE("99aa06d3014798d86001c324468d497f"), &back), RM_OK);
    assert_true(rm_key128_eq(key, back));
    assert_int_equal(rm_key128_parse(RM_SLICE("99aa06d3014798d86001c324468d497"), &back), RM_EPARSE);
    assert_int_equal(rm_key128_parse(RM_SLICE("99aa06d3014798d86001c324468d497G"), &back), RM_EPARSE);
    assert_int_equal(rm_key128_parse(RM_SLICE("99AA06D3014798D86001C324468D497F"), &back), RM_EPARSE);
    assert_true(rm_key128_eq(key, back));
}

static void check_mac(rm_slice key, rm_slice message, const char *expected)
{
    uint8_t mac[RM_HMAC_BYTES];
    char text[2 * RM_HMAC_BYTES + 1];
    assert_int_equal(rm_hmac_sha256(key, message, mac), RM_OK);
    for (int i = 0; i < RM_HMAC_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", mac[i]);
    assert_string_equal(text, expected);
}

static void test_hmac(void **state)
{
    (void)state;
    /* RFC 4231, cases 2 and 6 */
    check_mac(RM_SLICE("Jefe"), RM_SLICE("what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    char key[131];
    memset(key, 0xaa, sizeof(key));
    check_mac(rm_slice_make(key, sizeof(key)), RM_SLICE("Test Using Larger Than Block-Size Key - Hash Key First"),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    check_mac(RM_SLICE_NONE, RM_SLICE_NONE, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    check_mac(RM_SLICE("Jefe"), RM_SLICE("what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void test_random(void **state)
{
    (void)state;
    uint8_t a[16] = {0}, b[16] = {0};
    assert_int_equal(rm_random_bytes(a, sizeof(a)), RM_OK);
    assert_int_equal(rm_random_bytes(b, sizeof(b)), RM_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_int_equal(rm_random_bytes(NULL, 0), RM_OK);
}

static void test_rng(void **state)
{
    (void)state;
    rm_rng rng = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {41943041, 58720359, 3588806011781223ULL, 3591011842654386ULL};
    for (size_t i = 0; i < RM_COUNT(expected); i++)
        assert_true(rm_rng_next(&rng) == expected[i]);
    rm_rng_seed(&rng, 0);
    assert_true(rng.state[0] == 0xe220a8397b1dcdafULL); /* splitmix64 of seed 0 */
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double u = rm_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(sum > 4800 && sum < 5200);
}

static void test_clock(void **state)
{
    (void)state;
    const rm_clock *clock = rm_clock_system();
    uint64_t before = clock->mono_ns(clock);
    assert_true(clock->mono_ns(clock) >= before);
    assert_true(clock->wall_ms(clock) > 1600000000000ULL);
}

/* Runs `body` with standard error in a pipe and gives what it wrote. */
static void capture_stderr(void (*body)(void), char *text, size_t room)
{
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    body();
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    size_t len = 0;
    for (ssize_t got; len + 1 < room && (got = read(ends[0], text + len, room - 1 - len)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    close(ends[0]);
}

static void log_some(void)
{
    char big[4000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    rm_log(RM_LOG_WARN, "test", "two\nlines %d", 7);
    rm_log(RM_LOG_DEBUG, "test", "not said");
    rm_log(RM_LOG_INFO, "test", "%s", big);
    for (int i = 0; i < 5; i++)
        rm_log_limited(RM_LOG_ERROR, "test", "once");
}

static void test_log(void **state)
{
    (void)state;
    static char text[8192];
    capture_stderr(log_some, text, sizeof(text));
    assert_non_null(strstr(text, "Z warn test: two lines 7\n"));
    assert_null(strstr(text, "not said"));
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 3);
    rm_log_set_level(RM_LOG_ERROR);
    capture_stderr(log_some, text, sizeof(text));
    assert_string_equal(text, "");
    rm_log_set_level(RM_LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status), cmocka_unit_test(test_slices), cmocka_unit_test(test_split),
        cmocka_unit_test(test_u64),    cmocka_unit_test(test_double), cmocka_unit_test(test_durations),
        cmocka_unit_test(test_bytes),  cmocka_unit_test(test_usd),    cmocka_unit_test(test_usd_against_printf),
        cmocka_unit_test(test_base64), cmocka_unit_test(test_escape), cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_hmac),   cmocka_unit_test(test_random), cmocka_unit_test(test_rng),
        cmocka_unit_test(test_clock),  cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
