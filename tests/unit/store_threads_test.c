/* Readers on threads of their own beside the writer, deletes, purges and statistics: for the thread sanitizer above all. */
#include "store_fixture.h"
#include "store_internal.h"

enum { READERS = 3, KEYS = 200, ROUNDS = 3000, RECORD_BYTES = 1200 };

typedef struct looker {
    rm_store *store;
    pthread_t thread;
    uint64_t seed;
    int hits, wrong;
    _Atomic bool *stop;
} looker;

static bool is_right(const rm_record *record, uint64_t number)
{
    rm_rng rng;
    if (record->content.len != RECORD_BYTES)
        return false;
    rm_rng_seed(&rng, number + 1);
    for (size_t i = 0; i < RECORD_BYTES; i += sizeof(uint64_t)) {
        uint64_t noise = rm_rng_next(&rng);
        if (memcmp(record->content.ptr + i, &noise, sizeof(noise)) != 0)
            return false;
    }
    return true;
}

static void *look(void *user)
{
    looker *self = user;
    rm_store_reader *reader;
    rm_rng rng;
    rm_rng_seed(&rng, self->seed);
    if (rm_store_reader_create(self->store, &reader))
        return NULL;
    while (!atomic_load(self->stop)) {
        rm_record record;
        uint64_t number = rm_rng_next(&rng) % KEYS;
        if (rm_store_get(reader, fixture_key(number), &record))
            continue;
        self->hits++;
        self->wrong += !is_right(&record, number);
        rm_store_release(reader);
    }
    rm_store_reader_destroy(reader);
    return NULL;
}

static void readers_beside_the_writer(void **state)
{
    fixture *fix = *state;
    looker lookers[READERS];
    _Atomic bool stop = false;
    rm_key128 tenant = {1, 2};
    rm_store_filter by_tenant = {.tenant = &tenant};
    for (int i = 0; i < READERS; i++) {
        lookers[i] = (looker){.store = fix->store, .seed = (uint64_t)i, .stop = &stop};
        assert_int_equal(pthread_create(&lookers[i].thread, NULL, look, &lookers[i]), 0);
    }
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t count;
        assert_int_equal(fixture_put(fix, i * 7 % KEYS, RECORD_BYTES), RM_OK);
        if (i % 31 == 0)
            assert_int_equal(rm_store_delete(fix->store, fixture_key(i % KEYS)), RM_OK);
        if (i % 100 == 0)
            assert_int_equal(rm_store_flush(fix->store), RM_OK);
        if (i % 1000 == 999)
            assert_int_equal(rm_store_purge(fix->store, &by_tenant, &count), RM_OK);
        fixture_stats(fix);
    }
    atomic_store(&stop, true);
    int hits = 0;
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(lookers[i].thread, NULL), 0);
        assert_int_equal(lookers[i].wrong, 0);
        hits += lookers[i].hits;
    }
    assert_true(hits > 0);
    assert_int_equal(fixture_stats(fix).corrupt, 0);
}

typedef struct putter {
    fixture *fix;
    pthread_t thread;
    uint64_t from;
    int refused;
} putter;

static void *put_some(void *user)
{
    putter *self = user;
    for (uint64_t i = self->from; i < self->from + 500; i++)
        self->refused += fixture_put(self->fix, i, 100) != RM_OK;
    return NULL;
}

static void many_who_put(void **state)
{
    fixture *fix = *state;
    putter putters[4];
    int there = 0;
    for (uint64_t i = 0; i < RM_COUNT(putters); i++) {
        putters[i] = (putter){.fix = fix, .from = i * 500};
        assert_int_equal(pthread_create(&putters[i].thread, NULL, put_some, &putters[i]), 0);
    }
    for (size_t i = 0; i < RM_COUNT(putters); i++) {
        assert_int_equal(pthread_join(putters[i].thread, NULL), 0);
        assert_int_equal(putters[i].refused, 0);
    }
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    for (uint64_t i = 0; i < 2000; i++)
        there += fixture_find(fix, i, 100);
    assert_int_equal(there, 2000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(readers_beside_the_writer), TEST(many_who_put)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
