/* Small partitions: exact, whatever is added and removed; limits; what many of them cost; no memory. */
#include "index_fixture.h"

static const rm_key128 HOME = {1, 2};

static void kernels_agree(void **state)
{
    static const uint32_t sizes[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 100, 384, 385};
    float query[400], rows[9 * 400], fast[9], plain[9], truth[9];
    rm_rng rng;
    (void)state;
    rm_rng_seed(&rng, 3);
    for (size_t s = 0; s < RM_COUNT(sizes); s++) {
        uint32_t dimensions = sizes[s];
        random_vector(&rng, dimensions, query);
        for (int r = 0; r < 9; r++)
            random_vector(&rng, dimensions, rows + (size_t)r * dimensions);
        for (size_t count = 0; count <= 9; count++) {
            rm_index__dot_best()(query, rows, count, dimensions, fast);
            rm_index__dot_portable(query, rows, count, dimensions, plain);
            rm_index__dot_reference(query, rows, count, dimensions, truth);
            for (size_t i = 0; i < count; i++)
                assert_true(fabsf(fast[i] - truth[i]) < 1e-6F && fabsf(plain[i] - truth[i]) < 1e-6F);
        }
    }
}

static void options_have_bounds(void **state)
{
    char name[RM_INDEX_FINGERPRINT_BYTES_MAX + 2];
    rm_index_options options = {.dimensions = RM_INDEX_DIMENSIONS_MAX};
    rm_index *index = NULL;
    (void)state;
    memset(name, 'x', sizeof(name));
    name[RM_INDEX_FINGERPRINT_BYTES_MAX] = '\0';
    options.fingerprint = name;
    options.flat_max = RM_INDEX_ENTRIES_MAX;
    assert_int_equal(rm_index_create(&options, &index), RM_OK);
    rm_index_destroy(index);
    index = NULL;
    options.flat_max++;
    assert_int_equal(rm_index_create(&options, &index), RM_EINVAL);
    options.flat_max = 0;
    name[RM_INDEX_FINGERPRINT_BYTES_MAX] = 'x';
    name[RM_INDEX_FINGERPRINT_BYTES_MAX + 1] = '\0';
    assert_int_equal(rm_index_create(&options, &index), RM_EINVAL);
    options = (rm_index_options){.dimensions = RM_INDEX_DIMENSIONS_MAX + 1};
    assert_int_equal(rm_index_create(&options, &index), RM_EINVAL);
    options.dimensions = 0;
    assert_int_equal(rm_index_create(&options, &index), RM_EINVAL);
    assert_null(index);
    rm_index_destroy(NULL);
    assert_non_null(strstr(rm_index_version(), "FAISS"));
}

static void bad_arguments_change_nothing(void **state)
{
    world w;
    float vector[8] = {1}, bad[8] = {NAN}, zero[8] = {0}, longer[8] = {1.02F};
    rm_index_hit hits[RM_INDEX_HITS_MAX + 1];
    uint32_t count = 77;
    (void)state;
    world_init(&w, 8, 10, 100);
    assert_int_equal(rm_index_add(w.index, HOME, UINT64_MAX, vector), RM_EINVAL);
    assert_int_equal(rm_index_add(w.index, HOME, 1, bad), RM_EINVAL);
    assert_int_equal(rm_index_add(w.index, HOME, 1, zero), RM_EINVAL);
    assert_int_equal(rm_index_add(w.index, HOME, 1, longer), RM_EINVAL);
    assert_int_equal(rm_index_remove(w.index, HOME, 1), RM_ENOTFOUND);
    assert_int_equal(rm_index_drop(w.index, HOME), RM_ENOTFOUND);
    assert_int_equal(rm_index_search(w.index, HOME, vector, 0, hits, &count), RM_EINVAL);
    assert_int_equal(rm_index_search(w.index, HOME, vector, RM_INDEX_HITS_MAX + 1, hits, &count), RM_EINVAL);
    assert_int_equal(rm_index_search(w.index, HOME, bad, 1, hits, &count), RM_EINVAL);
    assert_int_equal(count, 77);
    assert_int_equal(rm_index_search(w.index, HOME, vector, RM_INDEX_HITS_MAX, hits, &count), RM_OK);
    assert_int_equal(count, 0);
    assert_int_equal(rm_index_get_stats(w.index).partitions, 0);
    assert_int_equal(rm_index_add(w.index, HOME, 1, vector), RM_OK);
    assert_int_equal(rm_index_remove(w.index, HOME, 2), RM_ENOTFOUND);
    assert_int_equal(rm_index_remove(w.index, HOME, UINT64_MAX), RM_ENOTFOUND);
    assert_int_equal(rm_index_remove(w.index, (rm_key128){2, 1}, 1), RM_ENOTFOUND);
    assert_int_equal(rm_index_count(w.index, HOME), 1);
    world_deinit(&w);
}

static void equal_ones_come_by_id(void **state)
{
    world w;
    float vector[4] = {0, 1};
    rm_index_hit hits[4];
    uint32_t count;
    (void)state;
    world_init(&w, 4, 1, 100);
    for (uint64_t id = 9; id > 0; id--)
        assert_int_equal(rm_index_add(w.index, HOME, id, vector), RM_OK);
    assert_int_equal(rm_index_search(w.index, HOME, vector, 4, hits, &count), RM_OK);
    assert_int_equal(count, 4);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(hits[i].id, i + 1);
    world_deinit(&w);
}

static void an_id_gets_its_new_vector(void **state)
{
    world w;
    float first[4] = {1}, second[4] = {0, 1};
    rm_index_hit hit;
    uint32_t count;
    (void)state;
    world_init(&w, 4, 1, 100);
    assert_int_equal(rm_index_add(w.index, HOME, 5, first), RM_OK);
    assert_int_equal(rm_index_add(w.index, HOME, 5, second), RM_OK);
    assert_int_equal(rm_index_count(w.index, HOME), 1);
    assert_int_equal(rm_index_search(w.index, HOME, second, 1, &hit, &count), RM_OK);
    assert_true(count == 1 && hit.id == 5 && hit.similarity > 0.999F);
    world_deinit(&w);
}

static rm_key128 some_home(uint64_t number)
{
    return (rm_key128){number % 7, number % 3 * 1000};
}

/* Thousands of changes over several partitions; now and then all answers are compared. */
static void answers_as_the_reference_does(void **state)
{
    world w;
    float query[40];
    (void)state;
    world_init(&w, 40, 900, 20000);
    for (int round = 0; round < 6000; round++) {
        uint64_t id = rm_rng_next(&w.rng) % w.ids_max;
        if (w.present[id] && rm_rng_next(&w.rng) % 3)
            world_remove(&w, id);
        else
            world_add(&w, some_home(id), id);
        if (round % 200 == 0)
            assert_int_equal(rm_index_drop(w.index, some_home(0)), rm_index_drop(w.reference, some_home(0)));
        if (round % 200 == 0)
            for (uint64_t other = 0; other < w.ids_max; other++)
                w.present[other] &= !rm_key128_eq(some_home(other), some_home(0));
        if (round % 5 == 0) {
            random_vector(&w.rng, w.dimensions, query);
            check_same(&w, some_home(rm_rng_next(&w.rng)), query, 1 + (uint32_t)(rm_rng_next(&w.rng) % 64));
        }
    }
    for (uint64_t id = 0; id < w.ids_max; id++)
        assert_int_equal(rm_index_count(w.index, some_home(id)), rm_index_count(w.reference, some_home(id)));
    assert_int_equal(rm_index_get_stats(w.index).entries, rm_index_get_stats(w.reference).entries);
    world_deinit(&w);
}

/* A partition takes its entries' vectors, their ids, and at most 100 bytes and a quarter. */
static void many_small_partitions_cost_little(void **state)
{
    enum { PARTITIONS = 3000, ENTRIES = 7 };
    world w;
    (void)state;
    world_init(&w, 32, PARTITIONS * ENTRIES, 100);
    for (uint64_t id = 0; id < w.ids_max; id++)
        world_add(&w, (rm_key128){id / ENTRIES, 5}, id);
    rm_index_stats stats = rm_index_get_stats(w.index);
    assert_int_equal(stats.partitions, PARTITIONS);
    assert_int_equal(stats.entries, PARTITIONS * ENTRIES);
    assert_true(sizeof(rm_index__partition) <= 64);
    assert_true(stats.bytes <= PARTITIONS * (100 + ENTRIES * (32 * 4 + 8) * 5 / 4));
    for (uint64_t id = 0; id < w.ids_max; id++)
        world_remove(&w, id);
    assert_int_equal(rm_index_get_stats(w.index).partitions, 0);
    world_deinit(&w);
}

#ifdef REMORA_FAULTS
/* Each allocation of each call fails once; a call that failed changed nothing. */
static void no_memory_changes_nothing(void **state)
{
    world w;
    (void)state;
    rm_index_options options = {.dimensions = 8};
    rm_index *none = NULL;
    rm_fault_set(RM_FAULT_ALLOC, 1, true);
    assert_int_equal(rm_index_create(&options, &none), RM_ENOMEM);
    assert_null(none);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    world_init(&w, 8, 200, 100);
    for (uint64_t id = 0; id < w.ids_max; id++) {
        rm_status status = RM_ENOMEM;
        random_vector(&w.rng, 8, world_vector(&w, id));
        uint64_t before = rm_index_get_stats(w.index).entries;
        for (uint64_t nth = 1; status == RM_ENOMEM; nth++) {
            rm_fault_set(RM_FAULT_ALLOC, nth, true);
            status = rm_index_add(w.index, (rm_key128){id % 9, 0}, id, world_vector(&w, id));
            rm_fault_set(RM_FAULT_ALLOC, 0, false);
            rm_index_stats stats = rm_index_get_stats(w.index);
            assert_int_equal(stats.entries, before + (status == RM_OK));
            assert_true(stats.partitions <= stats.entries);
        }
        assert_int_equal(status, RM_OK);
    }
    rm_fault_set(RM_FAULT_ALLOC, 1, false); /* giving room back may fail */
    for (uint64_t id = 0; id < w.ids_max; id++)
        assert_int_equal(rm_index_remove(w.index, (rm_key128){id % 9, 0}, id), RM_OK);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    world_deinit(&w);
}
#endif

static void sets_of_ids(void **state)
{
    rm_index__ids ids = {0};
    rm_rng rng;
    bool member[512] = {false};
    size_t count = 0;
    (void)state;
    rm_rng_seed(&rng, 5);
    assert_false(rm_index__ids_has(&ids, 1));
    assert_false(rm_index__ids_remove(&ids, 1));
    for (int round = 0; round < 20000; round++) {
        uint64_t id = rm_rng_next(&rng) % RM_COUNT(member);
        if (rm_rng_next(&rng) % 2) {
            assert_int_equal(rm_index__ids_add(&ids, id << 40), RM_OK);
            count += !member[id];
            member[id] = true;
        } else {
            assert_int_equal(rm_index__ids_remove(&ids, id << 40), member[id]);
            count -= member[id];
            member[id] = false;
        }
        assert_int_equal(ids.count, count);
        id = rm_rng_next(&rng) % RM_COUNT(member);
        assert_int_equal(rm_index__ids_has(&ids, id << 40), member[id]);
    }
    rm_index__ids_deinit(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_agree),
        cmocka_unit_test(options_have_bounds),
        cmocka_unit_test(bad_arguments_change_nothing),
        cmocka_unit_test(equal_ones_come_by_id),
        cmocka_unit_test(an_id_gets_its_new_vector),
        cmocka_unit_test(answers_as_the_reference_does),
        cmocka_unit_test(many_small_partitions_cost_little),
#ifdef REMORA_FAULTS
        cmocka_unit_test(no_memory_changes_nothing),
#endif
        cmocka_unit_test(sets_of_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
