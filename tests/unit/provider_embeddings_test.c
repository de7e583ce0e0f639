/* Requests for embeddings that Remora answers itself, and their answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "remora/provider.h"

#define HIDDEN 4U

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

static rm_status read_text(rm_slice body, rm_embeddings *ret, const char **why)
{
    rm_request_info info;
    assert_int_equal(rm_provider_read_request(RM_OP_EMBEDDINGS, body, &arena, &info), RM_OK);
    return rm_provider_read_embeddings(&info, HIDDEN, &arena, ret, why);
}

static void test_read(void **state)
{
    (void)state;
    rm_embeddings e;
    const char *why = NULL;
    assert_int_equal(read_text(RM_SLICE("{\"model\":\"m\",\"input\":\"one\"}"), &e, &why), RM_OK);
    assert_true(e.count == 1 && e.dimensions == HIDDEN && e.hidden == HIDDEN && !e.base64);
    assert_true(rm_slice_eq(e.texts[0], RM_SLICE("one")));
    assert_int_equal(
        read_text(RM_SLICE("{\"input\":[\"a\",\"\\u0000\"],\"encoding_format\":\"base64\",\"dimensions\":1}"), &e,
                  &why),
        RM_OK);
    assert_true(e.count == 2 && e.dimensions == 1 && e.base64 && e.texts[1].len == 1);
    assert_int_equal(read_text(RM_SLICE("{\"input\":\"a\",\"encoding_format\":null,\"dimensions\":null}"), &e, &why),
                     RM_OK);
    assert_int_equal(
        read_text(RM_SLICE("{\"input\":\"a\",\"encoding_format\":\"float\",\"dimensions\":4e0}"), &e, &why), RM_OK);
    assert_null(why);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"{}", "missing"},
        {"{\"input\":null}", "missing"},
        {"{\"input\":[]}", "empty"},
        {"{\"input\":\"\"}", "empty text"},
        {"{\"input\":[\"a\",\"\"]}", "empty text"},
        {"{\"input\":[1]}", "token ids"},
        {"{\"input\":[[1]]}", "token ids"},
        {"{\"input\":7}", "token ids"},
        {"{\"input\":{}}", "text"},
        {"{\"input\":\"a\",\"dimensions\":0}", "1 to 4"},
        {"{\"input\":\"a\",\"dimensions\":5}", "1 to 4"},
        {"{\"input\":\"a\",\"dimensions\":\"4\"}", "1 to 4"},
        {"{\"input\":\"a\",\"dimensions\":1.5}", "1 to 4"},
        {"{\"input\":\"a\",\"encoding_format\":\"\"}", "encoding_format"},
        {"{\"input\":\"a\",\"encoding_format\":1}", "encoding_format"},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_embeddings e = {.count = 77};
        const char *why = NULL;
        assert_int_equal(read_text(rm_slice_cstr(cases[i].body), &e, &why), RM_EINVAL);
        assert_int_equal(e.count, 77);
        assert_non_null(why);
        if (!strstr(why, cases[i].says))
            fail_msg("%s: %s", cases[i].body, why);
    }
}

static void test_most_texts(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        rm_buf body;
        rm_embeddings e;
        const char *why = NULL;
        rm_buf_init(&body, RM_MIB);
        rm_buf_append_cstr(&body, "{\"input\":[\"a\"");
        for (unsigned i = 1; i < RM_EMBED_INPUTS_MAX + more; i++)
            rm_buf_append_cstr(&body, ",\"a\"");
        assert_int_equal(rm_buf_append_cstr(&body, "]}"), RM_OK);
        assert_int_equal(read_text(rm_buf_slice(&body), &e, &why), more ? RM_EINVAL : RM_OK);
        assert_true(more ? strstr(why, "2048") != NULL : e.count == RM_EMBED_INPUTS_MAX);
        rm_buf_deinit(&body);
    }
}

static void check_written(const rm_embeddings *e, float *vectors, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_provider_write_embeddings(e, RM_SLICE("a\"b"), vectors, 9, &out), RM_OK);
    assert_int_equal(rm_buf_append_char(&out, '\0'), RM_OK);
    assert_string_equal(out.ptr, expected);
    rm_buf_deinit(&out);
}

static void test_write(void **state)
{
    (void)state;
    float two[] = {0.5F, -0.5F, 0.5F, 0.5F, 0, 1, 0, 0};
    rm_embeddings e = {.count = 2, .hidden = HIDDEN, .dimensions = HIDDEN};
    check_written(
        &e, two,
        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.5,-0.5,0.5,0.5]},"
        "{\"object\":\"embedding\",\"index\":1,\"embedding\":[0.0,1.0,0.0,0.0]}],\"model\":\"a\\\"b\","
        "\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}");
    e.count = 1;
    e.base64 = true;
    check_written(
        &e, two,
        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
        "\"AAAAPwAAAL8AAAA/AAAAPw==\"}],\"model\":\"a\\\"b\",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}");
}

/* Fewer dimensions are at length 1 again; where nothing is left, as they are. */
static void test_write_shortened(void **state)
{
    (void)state;
    float vectors[] = {3.0F / 13, 4.0F / 13, 12.0F / 13, 0, 0, 0, 0, 1};
    rm_embeddings e = {.count = 2, .hidden = HIDDEN, .dimensions = 2};
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_provider_write_embeddings(&e, RM_SLICE("m"), vectors, 1, &out), RM_OK);
    assert_true(fabsf(vectors[0] - 0.6F) < 1e-6F && fabsf(vectors[1] - 0.8F) < 1e-6F);
    assert_non_null(rm_slice_find(rm_buf_slice(&out), RM_SLICE("\"embedding\":[0.0,0.0]")));
    rm_buf_deinit(&out);
    rm_buf_init(&out, 40);
    assert_int_equal(rm_provider_write_embeddings(&e, RM_SLICE("m"), vectors, 1, &out), RM_ETOOBIG);
    rm_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_most_texts, set_up, tear_down),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
