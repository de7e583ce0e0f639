/* Allocation and its faults, arenas, buffers, blobs, the map. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "remora/base.h"

#ifdef REMORA_FAULTS
static void fail_nth(uint64_t nth)
{
    rm_fault_set(RM_FAULT_ALLOC, nth, true);
}

static void test_fault_counts(void **state)
{
    (void)state;
    rm_fault_set(RM_FAULT_JSON, 2, false);
    assert_false(rm_fault(RM_FAULT_JSON));
    assert_true(rm_fault(RM_FAULT_JSON));
    assert_true(rm_fault(RM_FAULT_JSON));
    rm_fault_set(RM_FAULT_JSON, 2, true);
    assert_false(rm_fault(RM_FAULT_JSON));
    assert_true(rm_fault(RM_FAULT_JSON));
    assert_false(rm_fault(RM_FAULT_JSON));
    rm_fault_set(RM_FAULT_JSON, 0, false);
    assert_false(rm_fault(RM_FAULT_JSON));
}

static void test_fault_text(void **state)
{
    (void)state;
    assert_int_equal(rm_fault_set_text("json, store_read:2!,ledger:3"), RM_OK);
    assert_true(rm_fault(RM_FAULT_JSON));
    assert_false(rm_fault(RM_FAULT_STORE_READ));
    assert_true(rm_fault(RM_FAULT_STORE_READ));
    assert_false(rm_fault(RM_FAULT_STORE_READ));
    assert_false(rm_fault(RM_FAULT_LEDGER));
    assert_false(rm_fault(RM_FAULT_LEDGER));
    assert_true(rm_fault(RM_FAULT_LEDGER));
    assert_true(rm_fault(RM_FAULT_LEDGER));
    assert_int_equal(rm_fault_set_text("jason"), RM_EINVAL);
    assert_int_equal(rm_fault_set_text("json:x"), RM_EINVAL);
    assert_int_equal(rm_fault_set_text("json:"), RM_EINVAL);
    assert_int_equal(rm_fault_set_text(""), RM_OK);
    for (int i = 0; i < RM_FAULT_COUNT; i++) {
        assert_string_not_equal(rm_fault_name((rm_fault_point)i), "unknown");
        rm_fault_set((rm_fault_point)i, 0, false);
    }
    assert_string_equal(rm_fault_name(RM_FAULT_COUNT), "unknown");
}

static void test_alloc_faults(void **state)
{
    (void)state;
    char *text = rm_alloc(4);
    assert_non_null(text);
    fail_nth(1);
    assert_null(rm_alloc(1));
    fail_nth(1);
    assert_null(rm_calloc(1, 1));
    fail_nth(1);
    assert_null(rm_realloc(text, 100));
    fail_nth(1);
    assert_null(rm_strdup("x"));
    fail_nth(1);
    assert_null(rm_blob_create(1));
    fail_nth(1);
    assert_null(rm_arena_pool_create());
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    rm_free(text);
}

static void test_buf_alloc_fault_sticks(void **state)
{
    (void)state;
    rm_buf buf;
    rm_buf_init(&buf, 100000);
    assert_int_equal(rm_buf_append_cstr(&buf, "abc"), RM_OK);
    char big[1000];
    memset(big, 'x', sizeof(big));
    fail_nth(1);
    assert_int_equal(rm_buf_append(&buf, big, sizeof(big)), RM_ENOMEM);
    assert_int_equal(rm_buf_append_char(&buf, 'd'), RM_ENOMEM);
    assert_int_equal(buf.len, 3);
    rm_buf_clear(&buf);
    assert_int_equal(rm_buf_append_char(&buf, 'd'), RM_OK);
    rm_buf_deinit(&buf);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
}

static void test_map_alloc_fault(void **state)
{
    (void)state;
    rm_map map;
    int value;
    rm_map_init(&map);
    fail_nth(1);
    assert_int_equal(rm_map_put(&map, (rm_key128){1, 1}, &value), RM_ENOMEM);
    assert_null(rm_map_get(&map, (rm_key128){1, 1}));
    uint64_t put = 0;
    rm_fault_set(RM_FAULT_ALLOC, 3, false);
    while (rm_map_put(&map, (rm_key128){0, put}, &value) == RM_OK)
        put++;
    for (uint64_t i = 0; i < put; i++)
        assert_ptr_equal(rm_map_get(&map, (rm_key128){0, i}), &value);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    rm_map_deinit(&map);
}
#endif

static void test_alloc_edges(void **state)
{
    (void)state;
    void *a = rm_alloc(0), *b = rm_alloc(0);
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
    rm_free(a);
    rm_free(b);
    rm_free(NULL);
    assert_null(rm_calloc(SIZE_MAX / 2, 4));
    uint64_t *zeroed = rm_calloc(4, sizeof(*zeroed));
    assert_non_null(zeroed);
    assert_int_equal(zeroed[3], 0);
    rm_free(zeroed);
    char *copy = rm_slice_dup(RM_SLICE("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    rm_free(copy);
    copy = rm_slice_dup(RM_SLICE_NONE);
    assert_string_equal(copy, "");
    rm_free(copy);
}

static void test_arena_cap(void **state)
{
    (void)state;
    rm_arena arena;
    rm_arena_init(&arena, NULL, 64);
    assert_non_null(rm_arena_alloc(&arena, 33)); /* counts as 48 */
    assert_null(rm_arena_alloc(&arena, 17));
    assert_non_null(rm_arena_alloc(&arena, 16));
    assert_null(rm_arena_alloc(&arena, 1));
    assert_null(rm_arena_alloc(&arena, SIZE_MAX));
    assert_null(rm_arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(rm_arena_dup(&arena, RM_SLICE("x")).ptr);
    assert_null(rm_arena_printf(&arena, "%d", 5).ptr);
    rm_arena_deinit(&arena);
    rm_arena_init(&arena, NULL, 64);
    assert_non_null(rm_arena_alloc(&arena, 64));
    rm_arena_deinit(&arena);
}

static void test_arena_sizes(void **state)
{
    (void)state;
    rm_arena_pool *pool = rm_arena_pool_create();
    rm_rng rng;
    rm_rng_seed(&rng, 1);
    for (int round = 0; round < 3; round++) {
        rm_arena arena;
        rm_arena_init(&arena, pool, 64 * RM_MIB);
        unsigned char *ptrs[500];
        size_t sizes[500];
        for (int i = 0; i < 500; i++) {
            sizes[i] = rm_rng_next(&rng) % (i % 50 == 0 ? 40000 : 700);
            ptrs[i] = rm_arena_alloc(&arena, sizes[i]);
            assert_non_null(ptrs[i]);
            assert_int_equal((uintptr_t)ptrs[i] % 16, 0);
            memset(ptrs[i], i & 255, sizes[i]);
        }
        for (int i = 0; i < 500; i++) {
            for (size_t j = 0; j < sizes[i]; j++)
                assert_int_equal(ptrs[i][j], i & 255);
        }
        unsigned char *zeroed = rm_arena_calloc(&arena, 100);
        for (int i = 0; i < 100; i++)
            assert_int_equal(zeroed[i], 0);
        assert_string_equal(rm_arena_dup(&arena, RM_SLICE("name")).ptr, "name");
        rm_slice printed = rm_arena_printf(&arena, "%s-%d", "n", 7);
        assert_true(rm_slice_eq(printed, RM_SLICE("n-7")));
        rm_arena_deinit(&arena);
        rm_arena_deinit(&arena);
    }
    rm_arena_pool_destroy(pool);
    rm_arena_pool_destroy(NULL);
}

static void test_arena_realloc(void **state)
{
    (void)state;
    rm_arena arena;
    rm_arena_init(&arena, NULL, RM_MIB);
    char *text = rm_arena_realloc(&arena, NULL, 0, 10);
    memcpy(text, "123456789", 10);
    char *same = rm_arena_realloc(&arena, text, 10, 500);
    assert_ptr_equal(same, text);
    assert_ptr_equal(rm_arena_realloc(&arena, text, 500, 20), text);
    assert_int_equal(arena.bytes, 32);
    char *after = rm_arena_alloc(&arena, 8);
    assert_non_null(after);
    text = rm_arena_realloc(&arena, text, 20, 40);
    assert_ptr_not_equal(text, same);
    assert_string_equal(text, "123456789");
    text = rm_arena_realloc(&arena, text, 40, 50000);
    assert_string_equal(text, "123456789");
    memset(text + 10, 'x', 50000 - 10);
    text = rm_arena_realloc(&arena, text, 50000, 200000);
    assert_string_equal(text + 9, "\0");
    assert_int_equal(text[49999], 'x');
    text[199999] = 'y';
    text = rm_arena_realloc(&arena, text, 200000, 100);
    assert_int_equal(text[99], 'x');
    assert_null(rm_arena_realloc(&arena, text, 100, 2 * RM_MIB));
    assert_int_equal(text[99], 'x');
#ifdef REMORA_FAULTS
    text = rm_arena_realloc(&arena, text, 100, 9000);
    fail_nth(1);
    assert_null(rm_arena_realloc(&arena, text, 9000, 100000));
    assert_int_equal(text[99], 'x');
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
#endif
    rm_arena_deinit(&arena);
}

static void test_buf_ceiling(void **state)
{
    (void)state;
    rm_buf buf;
    rm_buf_init(&buf, 10);
    assert_int_equal(rm_buf_append_cstr(&buf, "12345"), RM_OK);
    assert_int_equal(rm_buf_appendf(&buf, "%d", 67890), RM_OK); /* exactly to the ceiling */
    assert_int_equal(buf.len, 10);
    assert_memory_equal(buf.ptr, "1234567890", 10);
    assert_int_equal(rm_buf_reserve(&buf, 0), RM_OK);
    assert_int_equal(rm_buf_append_char(&buf, 'x'), RM_ETOOBIG);
    rm_buf_consume(&buf, 4);
    assert_int_equal(rm_buf_append_char(&buf, 'x'), RM_ETOOBIG);
    rm_buf_clear(&buf);
    assert_int_equal(rm_buf_append_char(&buf, 'x'), RM_OK);
    rm_buf_deinit(&buf);
    rm_buf zeroed = {0};
    rm_buf_deinit(&zeroed);
    assert_int_equal(rm_buf_append_char(&zeroed, 'x'), RM_ETOOBIG);
}

static void test_buf_appends(void **state)
{
    (void)state;
    rm_buf buf;
    rm_buf_init(&buf, 100000);
    rm_buf_append_u64(&buf, 0);
    rm_buf_append_u64(&buf, UINT64_MAX);
    rm_buf_append_char(&buf, ' ');
    rm_buf_append_i64(&buf, INT64_MIN);
    rm_buf_append_i64(&buf, -7);
    rm_buf_append_slice(&buf, RM_SLICE_NONE);
    rm_buf_append(&buf, "xyz", 2);
    assert_int_equal(rm_buf_append_char(&buf, '\0'), RM_OK);
    assert_string_equal(buf.ptr, "018446744073709551615 -9223372036854775808-7xy");
    rm_buf_clear(&buf);
    char long_text[5000];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_int_equal(rm_buf_appendf(&buf, "<%s>", long_text), RM_OK);
    assert_int_equal(buf.len, 5001);
    assert_int_equal(buf.ptr[5000], '>');
    rm_buf_consume(&buf, 5000);
    assert_true(rm_slice_eq(rm_buf_slice(&buf), RM_SLICE(">")));
    rm_buf_consume(&buf, 1);
    assert_int_equal(buf.len, 0);
    rm_buf_deinit(&buf);
}

static void *unref_many(void *user)
{
    for (int i = 0; i < 1000; i++)
        rm_blob_unref(rm_blob_ref(user));
    rm_blob_unref(user);
    return NULL;
}

static void test_blob_threads(void **state)
{
    (void)state;
    rm_blob *blob = rm_blob_create_copy(RM_SLICE("shared"));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, unref_many, rm_blob_ref(blob)), 0);
    assert_true(rm_slice_eq(rm_blob_slice(blob), RM_SLICE("shared")));
    rm_blob_unref(blob);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    rm_blob_unref(NULL);
    assert_null(rm_blob_slice(NULL).ptr);
    assert_null(rm_blob_create(SIZE_MAX));
}

/* Against a plain array, over many random steps, with removal of what a walk stands on. */
static void test_map_model(void **state)
{
    (void)state;
    enum { KEYS = 300 };
    static char values[KEYS];
    bool there[KEYS] = {false};
    size_t count = 0;
    rm_rng rng;
    rm_map map;
    rm_rng_seed(&rng, 5);
    rm_map_init(&map);
    assert_null(rm_map_get(&map, (rm_key128){1, 2}));
    assert_null(rm_map_remove(&map, (rm_key128){1, 2}));
    for (int step = 0; step < 20000; step++) {
        size_t k = rm_rng_next(&rng) % KEYS;
        rm_key128 key = {k % 7, k};
        if (rm_rng_next(&rng) % 2) {
            assert_int_equal(rm_map_put(&map, key, &values[k]), RM_OK);
            count += !there[k];
            there[k] = true;
        } else {
            assert_ptr_equal(rm_map_remove(&map, key), there[k] ? &values[k] : NULL);
            count -= there[k];
            there[k] = false;
        }
        assert_int_equal(map.count, count);
    }
    for (size_t k = 0; k < KEYS; k++)
        assert_ptr_equal(rm_map_get(&map, (rm_key128){k % 7, k}), there[k] ? &values[k] : NULL);
    size_t cursor = 0, seen = 0;
    rm_key128 key;
    void *value;
    while (rm_map_next(&map, &cursor, &key, &value)) {
        assert_ptr_equal(value, &values[key.lo]);
        assert_ptr_equal(rm_map_remove(&map, key), value);
        seen++;
    }
    assert_int_equal(seen, count);
    assert_int_equal(map.count, 0);
    rm_map_deinit(&map);
}

static void test_list(void **state)
{
    (void)state;
    rm_link head, links[3] = {{NULL, NULL}};
    rm_list_init(&head);
    assert_true(rm_list_empty(&head));
    for (int i = 0; i < 3; i++)
        rm_list_append(&head, &links[i]);
    assert_ptr_equal(head.next, &links[0]);
    rm_list_remove(&links[1]);
    assert_false(rm_link_linked(&links[1]));
    rm_list_remove(&links[1]);
    assert_ptr_equal(links[0].next, &links[2]);
    rm_list_remove(&links[0]);
    rm_list_remove(&links[2]);
    assert_true(rm_list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_fault_counts),
        cmocka_unit_test(test_fault_text),
        cmocka_unit_test(test_alloc_faults),
        cmocka_unit_test(test_buf_alloc_fault_sticks),
        cmocka_unit_test(test_map_alloc_fault),
#endif
        cmocka_unit_test(test_alloc_edges),
        cmocka_unit_test(test_arena_cap),
        cmocka_unit_test(test_arena_sizes),
        cmocka_unit_test(test_arena_realloc),
        cmocka_unit_test(test_buf_ceiling),
        cmocka_unit_test(test_buf_appends),
        cmocka_unit_test(test_blob_threads),
        cmocka_unit_test(test_map_model),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
