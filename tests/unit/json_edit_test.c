/* Finding, removing and setting members in raw text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/json.h"

static void check_find(const char *text, const char *path, const char *value)
{
    rm_json_span span;
    assert_int_equal(rm_json_find_span(rm_slice_cstr(text), path, &span), RM_OK);
    assert_true(span.member_begin < span.value_begin && span.value_end == span.member_end);
    assert_int_equal(text[span.member_begin], '"');
    assert_true(
        rm_slice_eq(rm_slice_make(text + span.value_begin, span.value_end - span.value_begin), rm_slice_cstr(value)));
}

static void test_find(void **state)
{
    (void)state;
    check_find("{\"a\":1}", "a", "1");
    check_find(" { \"a\" : 1 , \"b\" : [ 1, {\"c\":2} ] } ", "b", "[ 1, {\"c\":2} ]");
    check_find("{\"response\":{\"id\":1,\"usage\":{\"x\":2}}}", "response/usage", "{\"x\":2}");
    check_find("{\"response\":{\"id\":1,\"usage\":{\"x\":2}}}", "response/usage/x", "2");
    check_find("{\"a\\\"}{b\":\"}\\\\\\\"\",\"c\":null}", "c", "null");
    check_find("{\"\\u0061\\u20ac\\ud83d\\ude00\\n\":7}", "a\xe2\x82\xac\xf0\x9f\x98\x80\n", "7");
    check_find("{\"a\":1,\"a\":2}", "a", "1");
    check_find("{\"\":1}", "", "1");
    check_find("{\"b\":{\"a\":1},\"a\":2}", "a", "2");
}

static void test_find_fails(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path;
        rm_status status;
    } cases[] = {
        {"{}", "a", RM_ENOTFOUND},
        {"{\"b\":1}", "a", RM_ENOTFOUND},
        {"{\"a\":{}}", "a/b", RM_ENOTFOUND},
        {"{\"A\":1}", "a", RM_ENOTFOUND},
        {"{\"ab\":1}", "a", RM_ENOTFOUND},
        {"{\"a\":1}", "ab", RM_ENOTFOUND},
        {"{\"\\ud800\":1}", "a", RM_ENOTFOUND},
        {"[1]", "a", RM_EPARSE},
        {"", "a", RM_EPARSE},
        {"{", "a", RM_EPARSE},
        {"{\"a", "a", RM_EPARSE},
        {"{\"a\"", "a", RM_EPARSE},
        {"{\"a\":", "a", RM_EPARSE},
        {"{\"a\":}", "a", RM_EPARSE},
        {"{\"b\":1", "a", RM_EPARSE},
        {"{\"b\":1,", "a", RM_EPARSE},
        {"{\"b\":1,}", "a", RM_EPARSE},
        {"{\"b\":[1", "a", RM_EPARSE},
        {"{\"a\":1}", "a/b", RM_EPARSE},
        {"{\"a\":\"{\"}", "a/b", RM_EPARSE},
        {"{\"b\":\"\\", "a", RM_EPARSE},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_json_span span = {9, 9, 9, 9};
        assert_int_equal(rm_json_find_span(rm_slice_cstr(cases[i].text), cases[i].path, &span), cases[i].status);
        assert_int_equal(span.member_begin, 9);
    }
}

static void check_remove(const char *text, const char *name, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, 10000);
    assert_int_equal(rm_json_remove_member(rm_slice_cstr(text), name, &out), RM_OK);
    assert_int_equal(rm_buf_append_char(&out, '\0'), RM_OK);
    assert_string_equal(out.ptr, expected);
    rm_buf_deinit(&out);
}

static void test_remove(void **state)
{
    (void)state;
    check_remove("{\"a\":1,\"b\":2,\"c\":3}", "a", "{\"b\":2,\"c\":3}");
    check_remove("{\"a\":1,\"b\":2,\"c\":3}", "b", "{\"a\":1,\"c\":3}");
    check_remove("{\"a\":1,\"b\":2,\"c\":3}", "c", "{\"a\":1,\"b\":2}");
    check_remove("{\"a\":1}", "a", "{}");
    check_remove(" { \"a\" : 1 , \"b\" : 2 } ", "b", " { \"a\" : 1 } ");
    check_remove(" { \"a\" : 1 , \"b\" : 2 } ", "a", " { \"b\" : 2 } ");
    check_remove(" { \"a\" : 1 , \"b\" : { \"c\" : 2 } } ", "c", " { \"a\" : 1 , \"b\" : { \"c\" : 2 } } ");
    check_remove("{\"a\":1,\"b\":2,\"\\u0061\":3}", "a", "{\"b\":2}");
    check_remove("{ }", "a", "{ }");
    rm_buf out;
    rm_buf_init(&out, 10000);
    static const char *const bad[] = {"[]", "{\"b\":1", "{\"a\":1,}", "{\"a\" 1}", "", "{\"b\":1 \"a\":2}"};
    for (size_t i = 0; i < RM_COUNT(bad); i++) {
        assert_int_equal(rm_json_remove_member(rm_slice_cstr(bad[i]), "a", &out), RM_EPARSE);
        assert_int_equal(out.len, 0);
    }
    rm_buf_deinit(&out);
    rm_buf_init(&out, 5);
    assert_int_equal(rm_json_remove_member(RM_SLICE("{\"b\":1}"), "a", &out), RM_ETOOBIG);
    rm_buf_deinit(&out);
}

static void check_set(const char *text, const char *path, const char *value, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, 10000);
    assert_int_equal(rm_json_set_member(rm_slice_cstr(text), path, rm_slice_cstr(value), &out), RM_OK);
    assert_int_equal(rm_buf_append_char(&out, '\0'), RM_OK);
    assert_string_equal(out.ptr, expected);
    rm_buf_deinit(&out);
}

static void test_set(void **state)
{
    (void)state;
    check_set("{\"a\":1 , \"b\":2}", "a", "[7]", "{\"a\":[7] , \"b\":2}");
    check_set("{\"a\":1 }", "b", "2", "{\"a\":1,\"b\":2 }");
    check_set(" { } ", "b", "2", " {\"b\":2 } ");
    check_set("{\"a\":1}", "o/i", "true", "{\"a\":1,\"o\":{\"i\":true}}");
    check_set("{\"a\":1}", "o/i/j", "true", "{\"a\":1,\"o\":{\"i\":{\"j\":true}}}");
    check_set("{\"o\":{\"x\":1}}", "o/i/j", "true", "{\"o\":{\"x\":1,\"i\":{\"j\":true}}}");
    check_set("{\"o\":{}}", "o/i", "true", "{\"o\":{\"i\":true}}");
    check_set("{\"o\":null,\"z\":0}", "o/i", "true", "{\"o\":{\"i\":true},\"z\":0}");
    check_set("{\"o\":null}", "o", "1", "{\"o\":1}");
    check_set("{}", "q\"\n", "1", "{\"q\\\"\\n\":1}");
    rm_buf out;
    rm_buf_init(&out, 10000);
    static const char *const bad[] = {"[]", "", "{\"a\":5}", "{\"a\":[]}", "{\"b\":1,", "{\"a\":{"};
    for (size_t i = 0; i < RM_COUNT(bad); i++) {
        assert_int_equal(rm_json_set_member(rm_slice_cstr(bad[i]), "a/b", RM_SLICE("1"), &out), RM_EPARSE);
        assert_int_equal(out.len, 0);
    }
    rm_buf_deinit(&out);
}

/* Any bytes, each in memory that ends where they do. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]\":,\\u0061a1 \n\0\xff";
    rm_rng rng;
    rm_rng_seed(&rng, 3);
    for (int i = 0; i < 50000; i++) {
        size_t len = rm_rng_next(&rng) % 24;
        char *text = malloc(len ? len : 1);
        for (size_t j = 0; j < len; j++)
            text[j] = alphabet[rm_rng_next(&rng) % (sizeof(alphabet) - 1)];
        if (len)
            text[0] = '{';
        rm_slice slice = rm_slice_make(text, len);
        rm_json_span span;
        rm_buf out;
        rm_buf_init(&out, 10000);
        if (rm_json_find_span(slice, "a", &span) == RM_OK)
            assert_true(span.member_end <= len);
        (void)!rm_json_remove_member(slice, "a", &out);
        (void)!rm_json_set_member(slice, "a/1", RM_SLICE("2"), &out);
        rm_buf_deinit(&out);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find), cmocka_unit_test(test_find_fails), cmocka_unit_test(test_remove),
        cmocka_unit_test(test_set),  cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
