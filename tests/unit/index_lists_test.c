/* Large partitions: built, tended and searched as promised, whatever happens while they are. */
#include "index_fixture.h"

enum { FLAT_MAX = 1500, QUERIES = 300 };

static const rm_key128 HOME = {1, 2};

static void a_partition_that_grows_gets_lists(void **state)
{
    world w;
    bool more = true;
    (void)state;
    world_init(&w, 24, 4000, FLAT_MAX);
    world_fill(&w, HOME, 0, FLAT_MAX);
    assert_int_equal(rm_index_maintain(w.index, &more), RM_OK);
    assert_false(more);
    assert_int_equal(rm_index_get_stats(w.index).large, 0);
    world_add(&w, HOME, FLAT_MAX);
    world_maintain(&w);
    rm_index_stats stats = rm_index_get_stats(w.index);
    assert_int_equal(stats.large, 1);
    assert_int_equal(stats.builds, 1);
    assert_int_equal(stats.fresh, 0);
    assert_int_equal(stats.lists, rm_index__lists_wanted(FLAT_MAX + 1));
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_deinit(&w);
}

static void fresh_entries_are_found_and_absorbed(void **state)
{
    world w;
    (void)state;
    world_init(&w, 24, 4 * RM_INDEX_FRESH_MAX, RM_INDEX_FRESH_MAX + 1000);
    world_fill(&w, HOME, 0, RM_INDEX_FRESH_MAX + 1001);
    world_maintain(&w);
    uint64_t to = 2 * RM_INDEX_FRESH_MAX + 1001;
    world_fill(&w, HOME, RM_INDEX_FRESH_MAX + 1001, to);
    world_maintain(&w);
    assert_int_equal(rm_index_get_stats(w.index).fresh, RM_INDEX_FRESH_MAX);
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_add(&w, HOME, to);
    world_maintain(&w);
    rm_index_stats stats = rm_index_get_stats(w.index);
    assert_int_equal(stats.fresh, 0);
    assert_int_equal(stats.builds, 1);
    assert_int_equal(stats.entries, to + 1);
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_fill(&w, HOME, to + 1, 2 * (RM_INDEX_FRESH_MAX + 1001));
    world_maintain(&w);
    assert_int_equal(rm_index_get_stats(w.index).builds, 2); /* twice as many as it was trained for */
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_deinit(&w);
}

static bool is_present(rm_key128 partition, uint64_t id, void *user)
{
    const world *w = user;
    assert_true(rm_key128_eq(w->homes[id], partition));
    return w->present[id];
}

/* After a snapshot was loaded: rows and lists lose what the owner has no more, in every partition. */
static void only_what_is_kept_stays(void **state)
{
    const rm_key128 other = {3, 4}, gone = {5, 6};
    uint64_t removed = 0;
    world w;
    (void)state;
    world_init(&w, 24, 4000, FLAT_MAX);
    world_fill(&w, HOME, 0, 2000);
    world_maintain(&w);
    world_fill(&w, HOME, 2000, 2100); /* rows beside the lists */
    world_fill(&w, other, 2100, 2200);
    world_fill(&w, gone, 2200, 2210);
    assert_int_equal(rm_index_retain(w.index, is_present, &w, &removed), RM_OK);
    assert_int_equal(removed, 0);
    for (uint64_t id = 0; id < 2210; id++) {
        if (id % 3 && id < 2200)
            continue;
        w.present[id] = false;
        assert_int_equal(rm_index_remove(w.reference, w.homes[id], id), RM_OK);
    }
    assert_int_equal(rm_index_retain(w.index, is_present, &w, &removed), RM_OK);
    assert_int_equal(removed, 734 + 10);
    assert_int_equal(rm_index_get_stats(w.index).partitions, 2);
    assert_int_equal(rm_index_count(w.index, HOME), rm_index_count(w.reference, HOME));
    assert_int_equal(rm_index_count(w.index, other), rm_index_count(w.reference, other));
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_maintain(&w);
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_deinit(&w);
}

/* Nothing that was removed is found, and what it hid is. */
static void removed_entries_are_gone_at_once(void **state)
{
    world w;
    (void)state;
    world_init(&w, 24, 6000, FLAT_MAX);
    world_fill(&w, HOME, 0, 6000);
    world_maintain(&w);
    for (uint64_t id = 0; id < RM_INDEX_DEAD_MAX; id++)
        world_remove(&w, id * 3);
    world_maintain(&w);
    assert_int_equal(rm_index_get_stats(w.index).dead, RM_INDEX_DEAD_MAX);
    assert_int_equal(rm_index_remove(w.index, HOME, 0), RM_ENOTFOUND);
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_remove(&w, 1);
    world_maintain(&w);
    assert_int_equal(rm_index_get_stats(w.index).dead, 0);
    assert_int_equal(rm_index_get_stats(w.index).builds, 1);
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    for (uint64_t id = 0; id < 6000; id++)
        if (w.present[id])
            world_remove(&w, id);
    assert_int_equal(rm_index_get_stats(w.index).partitions, 0);
    world_deinit(&w);
}

/* The nearest entries of a question all leave: those behind them are found although more left than a search asks
 * for. */
static void the_dead_hide_nobody(void **state)
{
    enum { ROUNDS = 12, HITS = 4 };
    world w;
    rm_index_hit hits[HITS];
    uint32_t count;
    (void)state;
    world_init(&w, 24, 3000, FLAT_MAX);
    world_fill(&w, HOME, 0, 3000);
    world_maintain(&w);
    float *query = world_vector(&w, 7);
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(rm_index_search(w.index, HOME, query, HITS, hits, &count), RM_OK);
        assert_int_equal(count, HITS);
        for (uint32_t i = 0; i < count; i++)
            world_remove(&w, hits[i].id);
    }
    assert_int_equal(rm_index_get_stats(w.index).dead, ROUNDS * HITS);
    world_deinit(&w);
}

static void what_cannot_be_read_is_left_out(void **state)
{
    world w;
    rm_index_hit hit;
    uint32_t count;
    (void)state;
    world_init(&w, 24, 3000, FLAT_MAX);
    world_fill(&w, HOME, 0, 3000);
    world_maintain(&w);
    float *query = world_vector(&w, 7);
    w.unreadable = 7;
    assert_int_equal(rm_index_search(w.index, HOME, query, 1, &hit, &count), RM_OK);
    assert_int_equal(count, 1);
    assert_true(hit.id != 7);
    w.fetch_status = RM_EIO;
    assert_int_equal(rm_index_search(w.index, HOME, query, 1, &hit, &count), RM_OK);
    assert_int_equal(count, 0);
    w.fetch_status = RM_OK;
    w.unreadable = UINT64_MAX;
    assert_int_equal(rm_index_search(w.index, HOME, query, 1, &hit, &count), RM_OK);
    assert_int_equal(hit.id, 7);
    world_deinit(&w);
}

/* Training again forgets what the owner has no more, and gives up where it cannot read. */
static void training_asks_the_owner(void **state)
{
    world w;
    bool more = true;
    rm_status status = RM_OK;
    (void)state;
    world_init(&w, 24, 6000, FLAT_MAX);
    world_fill(&w, HOME, 0, 2000);
    world_maintain(&w);
    for (uint64_t id = 0; id < 500; id++)
        w.present[id] = false;
    world_fill(&w, HOME, 2000, 4000);
    w.fetch_status = RM_EIO;
    while (more && status == RM_OK)
        status = rm_index_maintain(w.index, &more);
    assert_int_equal(status, RM_EIO);
    assert_false(more);
    assert_int_equal(rm_index_get_stats(w.index).failed, 1);
    assert_int_equal(rm_index_get_stats(w.index).entries, 4000);
    w.fetch_status = RM_OK;
    world_add(&w, HOME, 4000);
    world_maintain(&w);
    assert_int_equal(rm_index_get_stats(w.index).builds, 2);
    assert_int_equal(rm_index_get_stats(w.index).lost, 500);
    assert_int_equal(rm_index_get_stats(w.index).entries, 3501);
    world_deinit(&w);
}

/* As after a merge that ran out of memory half way: nothing is read from the lists, and they are built again. */
static void broken_lists_are_built_again(void **state)
{
    world w;
    rm_index_hit hit;
    uint32_t count;
    (void)state;
    world_init(&w, 24, 4000, FLAT_MAX);
    world_fill(&w, HOME, 0, 2000);
    world_maintain(&w);
    rm_index__partition *partition = rm_map_get(&rm_index__shard_of(w.index, HOME)->partitions, HOME);
    partition->lists->broken = true;
    assert_int_equal(rm_index_search(w.index, HOME, world_vector(&w, 7), 1, &hit, &count), RM_OK);
    assert_int_equal(count, 0);
    assert_int_equal(rm_index_count(w.index, HOME), 2000);
    world_add(&w, HOME, 2000);
    world_remove(&w, 5);
    world_maintain(&w);
    assert_int_equal(rm_index_get_stats(w.index).builds, 2);
    assert_int_equal(rm_index_count(w.index, HOME), 2000);
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_deinit(&w);
}

static void without_a_way_to_read_vectors_all_stays_exact(void **state)
{
    world w;
    bool more = true;
    (void)state;
    world_init(&w, 8, 10, 100);
    rm_index_options options = {.dimensions = 8, .flat_max = 5};
    rm_index *index;
    assert_int_equal(rm_index_create(&options, &index), RM_OK);
    for (uint64_t id = 0; id < 10; id++) {
        random_vector(&w.rng, 8, world_vector(&w, id));
        assert_int_equal(rm_index_add(index, HOME, id, world_vector(&w, id)), RM_OK);
    }
    assert_int_equal(rm_index_maintain(index, &more), RM_OK);
    assert_false(more);
    assert_int_equal(rm_index_get_stats(index).large, 0);
    rm_index_destroy(index);
    world_deinit(&w);
}

/* Between any two pieces of work entries come, leave and change. */
static void changes_during_a_build_are_kept(void **state)
{
    world w;
    bool more = true;
    (void)state;
    world_init(&w, 24, 9000, FLAT_MAX);
    world_fill(&w, HOME, 0, 3000);
    for (uint64_t fresh = 3000; more; fresh += 40) {
        for (uint64_t id = fresh; id < fresh + 40 && id < w.ids_max; id++)
            world_add(&w, HOME, id);
        for (int i = 0; i < 30; i++) {
            uint64_t id = rm_rng_next(&w.rng) % 3000;
            if (w.present[id] && i % 2)
                world_remove(&w, id);
            else
                world_add(&w, HOME, id); /* again, or with a new vector */
        }
        assert_int_equal(rm_index_maintain(w.index, &more), RM_OK);
        assert_int_equal(rm_index_count(w.index, HOME), rm_index_count(w.reference, HOME));
    }
    assert_int_equal(rm_index_get_stats(w.index).large, 1);
    assert_int_equal(rm_index_get_stats(w.index).lost, 0);
    assert_true(count_found(&w, HOME, QUERIES) >= QUERIES * 98 / 100);
    world_deinit(&w);
}

/* The same over a long life: growth through several trainings, shrinking, changed vectors. */
static void a_long_life(void **state)
{
    world w;
    bool more;
    (void)state;
    world_init(&w, 24, 16000, FLAT_MAX);
    for (int round = 0; round < 60000; round++) {
        uint64_t bound = (uint64_t)(round < 40000 ? 1000 + round * 3 / 8 : 16000 - (round - 40000) / 2);
        uint64_t id = rm_rng_next(&w.rng) % bound;
        if (!w.present[id] || rm_rng_next(&w.rng) % 4 == 0)
            world_add(&w, HOME, id);
        else if (rm_rng_next(&w.rng) % (round < 40000 ? 4 : 2) == 0)
            world_remove(&w, id);
        if (round % 16 == 0)
            assert_int_equal(rm_index_maintain(w.index, &more), RM_OK);
        if (round % 4000 == 3999)
            assert_true(count_found(&w, HOME, 100) >= 97);
    }
    assert_true(rm_index_get_stats(w.index).builds >= 2);
    assert_int_equal(rm_index_count(w.index, HOME), rm_index_count(w.reference, HOME));
    world_deinit(&w);
}

static void a_partition_may_go_during_a_build(void **state)
{
    world w;
    bool more = true;
    (void)state;
    for (int pieces = 0; pieces < 18; pieces++) {
        world_init(&w, 8, 2000, FLAT_MAX);
        world_fill(&w, HOME, 0, 2000);
        for (int i = 0; i < pieces; i++)
            assert_int_equal(rm_index_maintain(w.index, &more), RM_OK);
        if (pieces % 2)
            assert_int_equal(rm_index_drop(w.index, HOME), RM_OK);
        if (pieces % 4 == 1)
            world_maintain(&w);
        world_deinit(&w); /* with a job in whatever state */
    }
}

#ifdef REMORA_FAULTS
typedef void (*preparation)(world *w);

static void to_build(world *w)
{
    world_fill(w, HOME, 0, FLAT_MAX + 100);
}

static void to_absorb(world *w)
{
    world_fill(w, HOME, 0, 4000);
    world_maintain(w);
    world_fill(w, HOME, 4000, 4001 + RM_INDEX_FRESH_MAX);
}

static void to_purge(world *w)
{
    world_fill(w, HOME, 0, 4000);
    world_maintain(w);
    for (uint64_t id = 0; id <= RM_INDEX_DEAD_MAX; id++)
        world_remove(w, id);
}

/* The work that `prepare` leaves to do, with the nth allocation failing: nothing is lost, and the next try succeeds.
 * Entries also leave between the pieces. False: it needs fewer allocations. */
static bool survives(preparation prepare, uint64_t nth)
{
    world w;
    bool more = true;
    rm_status status = RM_OK;
    world_init(&w, 8, 7000, FLAT_MAX);
    prepare(&w);
    rm_fault_set(RM_FAULT_ALLOC, nth, true);
    for (uint64_t id = 3; more && status == RM_OK; id += 3) {
        status = rm_index_maintain(w.index, &more);
        if (w.present[id] && rm_index_remove(w.index, HOME, id) == RM_OK) {
            assert_int_equal(rm_index_remove(w.reference, HOME, id), RM_OK);
            w.present[id] = false;
        }
    }
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    assert_true(status == RM_OK || status == RM_ENOMEM);
    assert_int_equal(rm_index_count(w.index, HOME), rm_index_count(w.reference, HOME));
    world_add(&w, HOME, 6990);
    world_add(&w, HOME, 6991);
    world_maintain(&w);
    assert_int_equal(rm_index_get_stats(w.index).builds, 1);
    assert_true(count_found(&w, HOME, 50) >= 48);
    world_deinit(&w);
    return status != RM_OK;
}

static void no_memory_loses_nothing(void **state)
{
    static const preparation prepared[] = {to_build, to_absorb, to_purge};
    (void)state;
    for (size_t i = 0; i < RM_COUNT(prepared); i++) {
        unsigned failures = 0;
        for (uint64_t nth = 1; nth <= 16; nth++)
            failures += survives(prepared[i], nth);
        assert_true(failures >= 1);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_that_grows_gets_lists),
        cmocka_unit_test(fresh_entries_are_found_and_absorbed),
        cmocka_unit_test(removed_entries_are_gone_at_once),
        cmocka_unit_test(only_what_is_kept_stays),
        cmocka_unit_test(the_dead_hide_nobody),
        cmocka_unit_test(what_cannot_be_read_is_left_out),
        cmocka_unit_test(training_asks_the_owner),
        cmocka_unit_test(broken_lists_are_built_again),
        cmocka_unit_test(without_a_way_to_read_vectors_all_stays_exact),
        cmocka_unit_test(changes_during_a_build_are_kept),
        cmocka_unit_test(a_long_life),
        cmocka_unit_test(a_partition_may_go_during_a_build),
#ifdef REMORA_FAULTS
        cmocka_unit_test(no_memory_loses_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
