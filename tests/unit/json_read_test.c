/* Parsing and the accessors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "remora/json.h"

static rm_arena arena;

static int set_up(void **state)
{
    (void)state;
    rm_arena_init(&arena, NULL, 64 * RM_MIB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rm_arena_deinit(&arena);
    return 0;
}

static const rm_json *parse(const char *text)
{
    const rm_json *root = NULL;
    assert_int_equal(rm_json_parse(&arena, rm_slice_cstr(text), &root), RM_OK);
    return root;
}

static void test_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{'a':1}",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "NaN",
        "Infinity",
        "nul",
        "true false",
        "// c\n1",
        "\"\t\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\xff\"",
        "\"\xed\xa0\x80\"",
        "\xef\xbb\xbf{}",
        "{\"a\" 1}",
        "{1:2}",
        "[1 2]",
        "\"",
        "-",
        "{}x",
    };
    const rm_json *root = NULL;
    for (size_t i = 0; i < RM_COUNT(bad); i++)
        assert_int_equal(rm_json_parse(&arena, rm_slice_cstr(bad[i]), &root), RM_EPARSE);
    assert_int_equal(rm_json_parse(&arena, RM_SLICE("[1]\0"), &root), RM_EPARSE);
    assert_null(root);
}

static void test_text_is_copied(void **state)
{
    (void)state;
    char text[] = "{\"name\":[\"value\",12]}";
    const rm_json *root = parse(text);
    memset(text, 'x', sizeof(text) - 1);
    assert_true(rm_slice_eq(rm_json_string(rm_json_at(rm_json_get(root, "name"), 0)), RM_SLICE("value")));
}

static void test_absent(void **state)
{
    (void)state;
    assert_int_equal(rm_json_typeof(NULL), RM_JSON_ABSENT);
    assert_null(rm_json_get(NULL, "x"));
    assert_null(rm_json_at(NULL, 0));
    assert_int_equal(rm_json_count(NULL), 0);
    assert_null(rm_json_string(NULL).ptr);
    assert_true(rm_json_bool(NULL, true));
    assert_int_equal(rm_json_i64(NULL, 7), 7);
    assert_true(rm_json_double(NULL, 7) == 7);
    assert_null(rm_json_number_text(NULL).ptr);
    rm_json_iter iter = rm_json_iterate(NULL);
    assert_false(rm_json_iter_next(&iter));
}

static void test_accessors(void **state)
{
    (void)state;
    const rm_json *root =
        parse("{\"a\":1,\"a\":2,\"s\":\"x\\u0000y\",\"t\":true,\"n\":null,\"l\":[1,[2,3],4],\"e\":\"\"}");
    assert_int_equal(rm_json_typeof(root), RM_JSON_OBJECT);
    assert_int_equal(rm_json_count(root), 7);
    assert_int_equal(rm_json_i64(rm_json_get(root, "a"), 0), 1);
    assert_true(rm_slice_eq(rm_json_string(rm_json_get(root, "s")), RM_SLICE("x\0y")));
    assert_true(rm_json_bool(rm_json_get(root, "t"), false));
    assert_int_equal(rm_json_typeof(rm_json_get(root, "t")), RM_JSON_BOOL);
    assert_int_equal(rm_json_typeof(rm_json_get(root, "n")), RM_JSON_NULL);
    assert_int_equal(rm_json_typeof(rm_json_get(root, "a")), RM_JSON_NUMBER);
    assert_int_equal(rm_json_typeof(rm_json_get(root, "s")), RM_JSON_STRING);
    const rm_json *list = rm_json_get(root, "l");
    assert_int_equal(rm_json_typeof(list), RM_JSON_ARRAY);
    assert_int_equal(rm_json_i64(rm_json_at(list, 2), 0), 4);
    assert_null(rm_json_at(list, 3));
    assert_null(rm_json_get(list, "x"));
    assert_non_null(rm_json_string(rm_json_get(root, "e")).ptr);
    assert_int_equal(rm_json_count(rm_json_get(root, "s")), 0);
}

static void test_iterate(void **state)
{
    (void)state;
    const rm_json *root = parse("{\"a\":[1,2],\"b\":{\"c\":{}},\"d\":3}");
    static const char *const keys[] = {"a", "b", "d"};
    size_t count = 0;
    for (rm_json_iter it = rm_json_iterate(root); rm_json_iter_next(&it); count++)
        assert_true(rm_slice_eq(it.key, rm_slice_cstr(keys[count])));
    assert_int_equal(count, 3);
    int64_t sum = 0;
    for (rm_json_iter it = rm_json_iterate(parse("[1,[9,9],2,{\"x\":9},3]")); rm_json_iter_next(&it);)
        sum += rm_json_i64(it.value, 0);
    assert_int_equal(sum, 6);
    rm_json_iter empty = rm_json_iterate(parse("[]"));
    assert_false(rm_json_iter_next(&empty));
    rm_json_iter scalar = rm_json_iterate(parse("1"));
    assert_false(rm_json_iter_next(&scalar));
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"1e2", 100},
        {"1.0", 1},
        {"100e-2", 1},
        {"0.5e1", 5},
        {"0e999999999999999999999999", 0},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"922337203685477580.7e1", INT64_MAX},
        {"9223372036854775808", 42},
        {"-9223372036854775809", 42},
        {"1e19", 42},
        {"1e999999999999999", 42},
        {"1.5", 42},
        {"1e-1", 42},
        {"\"1\"", 42},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++)
        assert_true(rm_json_i64(parse(cases[i].text), 42) == cases[i].value);
    assert_true(rm_json_double(parse("-12.5e-1"), 0) == -1.25);
    assert_true(rm_json_double(parse("[0.1]"), 3) == 3);
    assert_true(rm_json_double(rm_json_at(parse("[0.1,2]"), 0), 3) == 0.1);
    assert_true(rm_json_double(parse("1e400"), 3) == 3);
    assert_true(rm_slice_eq(rm_json_number_text(parse("1.50E+1")), RM_SLICE("1.50E+1")));
}

static void test_memory(void **state)
{
    (void)state;
    const rm_json *root = NULL;
    rm_arena small;
    rm_arena_init(&small, NULL, 100);
    assert_int_equal(rm_json_parse(&small, RM_SLICE("[1,2,3,4,5,6,7,8,9]"), &root), RM_ENOMEM);
    rm_arena_deinit(&small);
#ifdef REMORA_FAULTS
    rm_fault_set(RM_FAULT_ALLOC, 1, true);
    assert_int_equal(rm_json_parse(&arena, RM_SLICE("[1]"), &root), RM_ENOMEM);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
#endif
    assert_null(root);
}

/* Values must move while the document grows: more of them than the library first reckons with. */
static void test_many_values(void **state)
{
    (void)state;
    rm_buf text;
    rm_buf_init(&text, RM_MIB);
    rm_buf_append_char(&text, '[');
    for (int i = 0; i < 100000; i++)
        rm_buf_append_cstr(&text, i ? ",1" : "1");
    rm_buf_append_char(&text, ']');
    const rm_json *root = NULL;
    assert_int_equal(rm_json_parse(&arena, rm_buf_slice(&text), &root), RM_OK);
    assert_int_equal(rm_json_count(root), 100000);
    assert_int_equal(rm_json_i64(rm_json_at(root, 99999), 0), 1);
    rm_buf_deinit(&text);
}

static void check_float(float number, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, 100);
    assert_int_equal(rm_json_append_floats(&number, 1, &out), RM_OK);
    assert_int_equal(rm_buf_append_char(&out, '\0'), RM_OK);
    assert_string_equal(out.ptr, expected);
    rm_buf_deinit(&out);
}

static void test_floats(void **state)
{
    (void)state;
    check_float(0.1F, "[0.1]");
    check_float(-2.5e-9F, "[-2.5e-9]");
    check_float(1.0F, "[1.0]");
    check_float(0.016777217F, "[0.016777217]");
    rm_buf out;
    rm_buf_init(&out, 64);
    assert_int_equal(rm_json_append_floats(NULL, 0, &out), RM_OK);
    assert_true(rm_slice_eq(rm_buf_slice(&out), RM_SLICE("[]")));
    const float numbers[] = {0.5F, (float)NAN};
    assert_int_equal(rm_json_append_floats(numbers, 2, &out), RM_EINVAL);
    rm_buf_deinit(&out);
    rm_buf_init(&out, 3);
    assert_int_equal(rm_json_append_floats(numbers, 1, &out), RM_ETOOBIG);
    rm_buf_deinit(&out);
#ifdef REMORA_FAULTS
    for (uint64_t nth = 1; nth < 4; nth++) {
        rm_buf_init(&out, 64);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        rm_status status = rm_json_append_floats(numbers, 1, &out);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_ENOMEM || status == RM_OK);
        assert_int_equal(out.len, status == RM_OK ? 5 : 0);
        rm_buf_deinit(&out);
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_text_is_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_absent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_accessors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_iterate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_values, set_up, tear_down),
        cmocka_unit_test(test_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
