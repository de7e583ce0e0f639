/* The canonical form: what is equal must be spelt equally, and nothing else may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "remora/json.h"

#define OUT_MAX (16 * RM_MIB)

static rm_status canonical_of(rm_slice text, rm_json_skip_fn skip, rm_buf *out)
{
    rm_arena arena;
    const rm_json *root;
    rm_arena_init(&arena, NULL, 256 * RM_MIB);
    rm_status status = rm_json_parse(&arena, text, &root);
    assert_int_equal(status, RM_OK);
    status = rm_json_canonical(root, skip, NULL, out);
    rm_arena_deinit(&arena);
    return status;
}

static void check(const char *text, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, OUT_MAX);
    assert_int_equal(canonical_of(rm_slice_cstr(text), NULL, &out), RM_OK);
    assert_int_equal(rm_buf_append_char(&out, '\0'), RM_OK);
    assert_string_equal(out.ptr, expected);
    rm_buf_deinit(&out);
}

static void check_fails(const char *text, rm_status expected)
{
    rm_buf out;
    rm_buf_init(&out, OUT_MAX);
    rm_buf_append_cstr(&out, "before");
    assert_int_equal(canonical_of(rm_slice_cstr(text), NULL, &out), expected);
    assert_int_equal(out.len, 6);
    rm_buf_deinit(&out);
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"1", "1"},
        {"1.0", "1"},
        {"10e-1", "1"},
        {"1E0", "1"},
        {"1e+0", "1"},
        {"0.1e1", "1"},
        {"0.00100e3", "1"},
        {"0", "0"},
        {"-0", "0"},
        {"0.0e5", "0"},
        {"-0.000E-7", "0"},
        {"0e99999999999999999999", "0"},
        {"100", "1e2"},
        {"1e2", "1e2"},
        {"1.5", "15e-1"},
        {"-1.50", "-15e-1"},
        {"105.50", "1055e-1"},
        {"0.7", "7e-1"},
        {"0.70", "7e-1"},
        {"1e400", "1e400"},
        {"12345678901234567890.0", "1234567890123456789e1"},
        {"12345678901234567891", "12345678901234567891"},
        {"0.1000000000000000000000000000001", "1000000000000000000000000000001e-31"},
        {"1e000000000000000000000000000005", "1e5"},
        {"1e999999999999999", "1e999999999999999"},
        {"1e-999999999999999", "1e-999999999999999"},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++)
        check(cases[i][0], cases[i][1]);
    check_fails("1e1000000000000000", RM_ETOOBIG);
    check_fails("10e999999999999999", RM_ETOOBIG);
    check_fails("0.1e-999999999999999", RM_ETOOBIG);
    check_fails("[{\"a\":1e99999999999999999999999}]", RM_ETOOBIG);
}

static void test_strings(void **state)
{
    (void)state;
    check("\"\\u0041\\/\\u00e9\\ud83d\\ude00\"", "\"A/\xc3\xa9\xf0\x9f\x98\x80\"");
    check("\"\\u0000\\u001F\\u0008\\u000A\\t\\u0022\\u005c\\u007f\"", "\"\\u0000\\u001f\\b\\n\\t\\\"\\\\\x7f\"");
    check("\"12345678901234567\\n12345678\"", "\"12345678901234567\\n12345678\"");
    check("\"\"", "\"\"");
    /* Composed and decomposed forms are different texts. */
    check("[\"\\u00e9\",\"e\\u0301\"]", "[\"\xc3\xa9\",\"e\xcc\x81\"]");
}

static void test_objects(void **state)
{
    (void)state;
    check(" { \"b\" : 1 , \"a\" : [ true , false , null ] } ", "{\"a\":[true,false,null],\"b\":1}");
    check("{\"ab\":1,\"a\":2,\"\":3,\"abcdefgh2\":4,\"abcdefgh1\":5,\"abcdefgh\":6}",
          "{\"\":3,\"a\":2,\"ab\":1,\"abcdefgh\":6,\"abcdefgh1\":5,\"abcdefgh2\":4}");
    check("{\"a\\u0000\":1,\"a\":2}", "{\"a\":2,\"a\\u0000\":1}");
    check("{\"\\u00e9\":1,\"z\":2}", "{\"z\":2,\"\xc3\xa9\":1}");
    check("{}", "{}");
    check("[[],{},[{}]]", "[[],{},[{}]]");
}

static void test_doubled(void **state)
{
    (void)state;
    check_fails("{\"a\":1,\"a\":1}", RM_EPARSE);
    check_fails("{\"a\":1,\"\\u0061\":2}", RM_EPARSE);
    check_fails("[0,[{\"x\":{\"k\":1,\"b\":2,\"k\":3}}]]", RM_EPARSE);
    check_fails("{\"abcdefghi\":1,\"abcdefghi\":1}", RM_EPARSE);
    check("[{\"a\":1},{\"a\":1}]", "[{\"a\":1},{\"a\":1}]");
}

static bool skip_user(rm_slice key, const rm_json *value, void *user)
{
    (void)value;
    (void)user;
    return rm_slice_eq(key, RM_SLICE("user")) || rm_slice_eq(key, RM_SLICE("aa"));
}

static void check_skip(const char *text, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, OUT_MAX);
    rm_status status = canonical_of(rm_slice_cstr(text), skip_user, &out);
    if (expected) {
        assert_int_equal(status, RM_OK);
        assert_true(rm_slice_eq(rm_buf_slice(&out), rm_slice_cstr(expected)));
    } else {
        assert_int_equal(status, RM_EPARSE);
    }
    rm_buf_deinit(&out);
}

static void test_skip(void **state)
{
    (void)state;
    check_skip("{\"user\":1,\"aa\":2,\"b\":{\"user\":3}}", "{\"b\":{\"user\":3}}");
    check_skip("{\"z\":1,\"user\":2,\"aa\":2}", "{\"z\":1}");
    check_skip("{\"user\":2}", "{}");
    check_skip("[{\"user\":2}]", "[{\"user\":2}]");
    check_skip("{\"user\":1,\"user\":2}", NULL);
    check_skip("{\"user\":{\"x\":1,\"x\":2}}", NULL);
}

static void check_without(const char *text, const char *name, const char *expected)
{
    rm_arena arena;
    rm_buf out;
    const rm_json *root;
    rm_arena_init(&arena, NULL, RM_MIB);
    rm_buf_init(&out, OUT_MAX);
    assert_int_equal(rm_json_parse(&arena, rm_slice_cstr(text), &root), RM_OK);
    const rm_json *string = name ? rm_json_get(rm_json_at(rm_json_get(root, "list"), 0), name) : NULL;
    assert_int_equal(rm_json_canonical_without(root, string, NULL, NULL, &out), RM_OK);
    assert_true(rm_slice_eq(rm_buf_slice(&out), rm_slice_cstr(expected)));
    rm_buf_deinit(&out);
    rm_arena_deinit(&arena);
}

/* The place counts, not the text: an equal one elsewhere stays, and so does a key. */
static void test_hole(void **state)
{
    (void)state;
    static const char text[] = "{\"x\":\"?\",\"list\":[{\"b\":\"?\",\"a\":\"?\",\"?\":1},\"?\"]}";
    check_without(text, "a", "{\"list\":[{\"?\":1,\"a\":?,\"b\":\"?\"},\"?\"],\"x\":\"?\"}");
    check_without(text, "b", "{\"list\":[{\"?\":1,\"a\":\"?\",\"b\":?},\"?\"],\"x\":\"?\"}");
    check_without(text, NULL, "{\"list\":[{\"?\":1,\"a\":\"?\",\"b\":\"?\"},\"?\"],\"x\":\"?\"}");
    check_without("{\"list\":[{\"a\":\"long\\u0000\\n\"}]}", "a", "{\"list\":[{\"a\":?}]}");
    check_without("{\"list\":[{\"a\":\"\"}]}", "a", "{\"list\":[{\"a\":?}]}");
}

static void test_depth(void **state)
{
    (void)state;
    char text[2 * RM_JSON_DEPTH_MAX + 3];
    for (int depth = RM_JSON_DEPTH_MAX; depth <= RM_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        if (depth == RM_JSON_DEPTH_MAX)
            check(text, text);
        else
            check_fails(text, RM_ETOOBIG);
    }
    /* The library's reader must bear far deeper ones. */
    static char deep[200000];
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 99999);
    deep[199999] = '\0';
    const rm_json *root;
    rm_arena arena;
    rm_arena_init(&arena, NULL, 256 * RM_MIB);
    assert_int_equal(rm_json_parse(&arena, rm_slice_cstr(deep), &root), RM_EPARSE);
    rm_arena_deinit(&arena);
}

static void test_buffer_maximum(void **state)
{
    (void)state;
    rm_buf out;
    rm_buf_init(&out, 10);
    assert_int_equal(canonical_of(RM_SLICE("[1234,\"abc\"]"), NULL, &out), RM_ETOOBIG);
    rm_buf_deinit(&out);
    rm_buf_init(&out, 12);
    assert_int_equal(canonical_of(RM_SLICE("[1234,\"abc\"]"), NULL, &out), RM_OK);
    rm_buf_deinit(&out);
    assert_int_equal(rm_json_canonical(NULL, NULL, NULL, &out), RM_EINVAL);
}

/* A hundred thousand keys in the orders that are worst for simple sorts. No time is asserted: a quadratic sort would
 * run into the test's time limit. */
static void test_many_keys(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++) {
        rm_buf text, out;
        rm_buf_init(&text, OUT_MAX);
        rm_buf_init(&out, OUT_MAX);
        for (uint64_t i = 0; i < 100000; i++) {
            uint64_t key = order == 0 ? i : order == 1 ? 99999 - i : i * 7919 % 100000;
            rm_buf_appendf(&text, "%c\"key-with-a-long-prefix-%05llu\":1", i ? ',' : '{', (unsigned long long)key);
        }
        assert_int_equal(rm_buf_append_char(&text, '}'), RM_OK);
        assert_int_equal(canonical_of(rm_buf_slice(&text), NULL, &out), RM_OK);
        for (size_t i = 1; i < 100000; i++)
            assert_true(memcmp(out.ptr + 1 + (i - 1) * 33, out.ptr + 1 + i * 33, 32) < 0);
        rm_buf_deinit(&text);
        rm_buf_deinit(&out);
    }
}

#ifdef REMORA_FAULTS
static void test_memory(void **state)
{
    (void)state;
    rm_buf text;
    rm_buf_init(&text, OUT_MAX);
    for (int i = 0; i < 200; i++)
        rm_buf_appendf(&text, "%c\"k%d\":{\"a\":[1,2]}", i ? ',' : '{', i);
    assert_int_equal(rm_buf_append_char(&text, '}'), RM_OK);
    rm_arena arena;
    const rm_json *root;
    rm_arena_init(&arena, NULL, RM_MIB);
    assert_int_equal(rm_json_parse(&arena, rm_buf_slice(&text), &root), RM_OK);
    rm_status status = RM_ENOMEM;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_buf out;
        rm_buf_init(&out, OUT_MAX);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = rm_json_canonical(root, NULL, NULL, &out);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || (status == RM_ENOMEM && out.len == 0));
        rm_buf_deinit(&out);
        assert_true(nth < 100);
    }
    rm_arena_deinit(&arena);
    rm_buf_deinit(&text);
}
#endif

/* ---- properties -------------------------------------------------------------------------------------------------- */

/* A random value, written by one seed (what it says) and another (how it is spelt). `change` counts down the places
 * where the meaning could be altered; the one that reaches zero is. */
typedef struct writer {
    rm_rng what, how;
    rm_buf *out;
    long change;
    bool changed;
} writer;

static uint64_t what(writer *w, uint64_t below)
{
    return rm_rng_next(&w->what) % below;
}

static uint64_t how(writer *w, uint64_t below)
{
    return rm_rng_next(&w->how) % below;
}

static bool change_here(writer *w)
{
    bool here = w->change-- == 0;
    w->changed = w->changed || here;
    return here;
}

static void space(writer *w)
{
    static const char spaces[] = " \t\r\n";
    for (uint64_t n = how(w, 3); n > 1; n--)
        rm_buf_append_char(w->out, spaces[how(w, 4)]);
}

static void write_char(writer *w, uint32_t c)
{
    if (c > 0xffff) {
        if (how(w, 2)) {
            rm_buf_appendf(w->out, how(w, 2) ? "\\u%04x\\u%04x" : "\\u%04X\\u%04X", 0xd800 + ((c - 0x10000) >> 10),
                           0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            const char utf8[] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)),
                                 (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))};
            rm_buf_append(w->out, utf8, sizeof(utf8));
        }
    } else if (c < 0x20 || c == '"' || c == '\\' || how(w, 4) == 0) {
        rm_buf_appendf(w->out, how(w, 2) ? "\\u%04x" : "\\u%04X", c);
    } else if (c < 0x80) {
        rm_buf_append_char(w->out, (char)c);
    } else {
        const char utf8[] = {(char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))};
        rm_buf_append(w->out, utf8, sizeof(utf8));
    }
}

static void write_string(writer *w, uint64_t unique)
{
    static const uint32_t chars[] = {'a', 'b', '"', '\\', '/', '\n', 1, 0x20ac, 0x1f600, ' ', 0, '{'};
    rm_buf_append_char(w->out, '"');
    if (unique)
        rm_buf_appendf(w->out, "%llu", (unsigned long long)unique); /* keys of one object must differ */
    uint64_t count = what(w, 14);
    for (uint64_t i = 0; i < count; i++)
        write_char(w, chars[what(w, RM_COUNT(chars))]);
    if (change_here(w))
        write_char(w, 'Z');
    rm_buf_append_char(w->out, '"');
}

static void write_number(writer *w)
{
    uint64_t digits = what(w, 3) ? what(w, 1000) : rm_rng_next(&w->what) >> what(w, 50);
    int64_t exponent = (int64_t)what(w, 9) - 4;
    bool negative = what(w, 2);
    if (change_here(w))
        digits++;
    if (digits == 0)
        negative = how(w, 2);
    /* The same value with zeros added, and the point and the exponent moved against each other. */
    uint64_t zeros = how(w, 4), places = how(w, 6);
    rm_buf number;
    rm_buf_init(&number, 100);
    rm_buf_append_slice(&number, RM_SLICE("0000000"));
    rm_buf_append_u64(&number, digits);
    for (uint64_t i = 0; i < zeros; i++)
        rm_buf_append_char(&number, '0');
    size_t whole_end = number.len - places, begin = 0;
    while (begin + 1 < whole_end && number.ptr[begin] == '0')
        begin++;
    rm_buf_appendf(w->out, "%s%.*s", negative ? "-" : "", (int)(whole_end - begin), number.ptr + begin);
    if (places)
        rm_buf_appendf(w->out, ".%.*s", (int)places, number.ptr + whole_end);
    exponent += (int64_t)places - (int64_t)zeros;
    if (exponent || how(w, 3) == 0)
        rm_buf_appendf(w->out, "%c%s%lld", how(w, 2) ? 'e' : 'E', exponent >= 0 && how(w, 2) ? "+" : "",
                       (long long)exponent);
    rm_buf_deinit(&number);
}

static void write_any(writer *w, int depth);

/* Members are written into a buffer each and put together in an order that belongs to the spelling. */
static void write_object(writer *w, int depth)
{
    rm_buf members[8], *out = w->out;
    uint64_t count = what(w, 7), order[8];
    for (uint64_t i = 0; i < count; i++) {
        rm_buf_init(&members[i], OUT_MAX);
        w->out = &members[i];
        space(w);
        write_string(w, i + 1);
        space(w);
        rm_buf_append_char(w->out, ':');
        write_any(w, depth + 1);
        order[i] = i;
    }
    w->out = out;
    for (uint64_t i = count; i > 1; i--) {
        uint64_t j = how(w, i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
    rm_buf_append_char(out, '{');
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            rm_buf_append_char(out, ',');
        rm_buf_append_slice(out, rm_buf_slice(&members[order[i]]));
        rm_buf_deinit(&members[order[i]]);
    }
    if (change_here(w))
        rm_buf_append_cstr(out, count ? ",\"new\":0" : "\"new\":0");
    rm_buf_append_char(out, '}');
}

static void write_array(writer *w, int depth)
{
    uint64_t count = what(w, 5);
    rm_buf_append_char(w->out, '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            rm_buf_append_char(w->out, ',');
        write_any(w, depth + 1);
    }
    if (change_here(w))
        rm_buf_append_cstr(w->out, count ? ",0" : "0");
    rm_buf_append_char(w->out, ']');
}

static void write_any(writer *w, int depth)
{
    static const char *const words[] = {"null", "true", "false"};
    space(w);
    switch (what(w, depth > 4 ? 3 : 6)) {
    case 0:
        rm_buf_append_cstr(w->out, words[(what(w, 3) + (uint64_t)change_here(w)) % 3]);
        break;
    case 1:
        write_number(w);
        break;
    case 2:
        write_string(w, 0);
        break;
    case 3:
        write_array(w, depth);
        break;
    default:
        write_object(w, depth);
        break;
    }
    space(w);
}

static bool spell(uint64_t what_seed, uint64_t how_seed, long change, rm_buf *ret_canonical)
{
    rm_buf text;
    rm_buf_init(&text, OUT_MAX);
    writer w = {.out = &text, .change = change};
    rm_rng_seed(&w.what, what_seed);
    rm_rng_seed(&w.how, how_seed);
    write_any(&w, 0);
    rm_buf_init(ret_canonical, OUT_MAX);
    assert_int_equal(text.status, RM_OK);
    assert_int_equal(canonical_of(rm_buf_slice(&text), NULL, ret_canonical), RM_OK);
    rm_buf_deinit(&text);
    return w.changed;
}

static void test_properties(void **state)
{
    (void)state;
    unsigned changes = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        rm_buf first, again, other, twice;
        spell(seed, 1, -1, &first);
        for (uint64_t spelling = 2; spelling < 5; spelling++) {
            spell(seed, seed * 10 + spelling, -1, &again);
            assert_true(rm_slice_eq(rm_buf_slice(&first), rm_buf_slice(&again)));
            rm_buf_deinit(&again);
        }
        if (spell(seed, seed + 77, (long)(seed % 9), &other)) {
            assert_false(rm_slice_eq(rm_buf_slice(&first), rm_buf_slice(&other)));
            changes++;
        }
        rm_buf_init(&twice, OUT_MAX);
        assert_int_equal(canonical_of(rm_buf_slice(&first), NULL, &twice), RM_OK);
        assert_true(rm_slice_eq(rm_buf_slice(&first), rm_buf_slice(&twice)));
        rm_buf_deinit(&twice);
        rm_buf_deinit(&other);
        rm_buf_deinit(&first);
    }
    assert_true(changes > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_strings),        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_doubled),    cmocka_unit_test(test_skip),           cmocka_unit_test(test_depth),
        cmocka_unit_test(test_hole),       cmocka_unit_test(test_buffer_maximum), cmocka_unit_test(test_many_keys),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_memory),
#endif
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
