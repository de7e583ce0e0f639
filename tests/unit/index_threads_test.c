/* Searches on several threads beside additions, removals, drops, maintenance and snapshots: for the thread sanitizer
 * above all. A vector never changes once its id is known, so a searcher can check each similarity. */
#include "index_fixture.h"

#include <pthread.h>
#include <unistd.h>

enum { SEARCHERS = 2, DIMENSIONS = 16, IDS = 9000, IDS_SMALL = 100, ROUNDS = 24000 };

static const rm_key128 LARGE = {1, 2}, SMALL = {3, 4};

typedef struct searcher {
    world *w;
    pthread_t thread;
    uint64_t seed;
    unsigned long hits, wrong;
    _Atomic bool *stop;
} searcher;

static rm_status fetch_all(uint64_t id, float *ret_vector, void *user)
{
    world *w = user;
    memcpy(ret_vector, world_vector(w, id), DIMENSIONS * sizeof(float));
    return RM_OK;
}

static void *search(void *user)
{
    searcher *self = user;
    world *w = self->w;
    rm_rng rng;
    rm_rng_seed(&rng, self->seed);
    while (!atomic_load(self->stop)) {
        float query[DIMENSIONS], truth;
        rm_index_hit hits[5];
        uint32_t count;
        random_vector(&rng, DIMENSIONS, query);
        if (rm_index_search(w->index, rm_rng_next(&rng) % 4 ? LARGE : SMALL, query, 5, hits, &count) != RM_OK) {
            self->wrong++;
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            rm_index__dot_reference(query, world_vector(w, hits[i].id), 1, DIMENSIONS, &truth);
            self->wrong += !(fabsf(truth - hits[i].similarity) < 1e-5F);
        }
        self->hits += count;
    }
    return NULL;
}

typedef struct keeper {
    rm_index *index;
    pthread_t thread;
    const char *path;
    unsigned long wrong;
    _Atomic bool *stop;
} keeper;

static void *maintain(void *user)
{
    keeper *self = user;
    bool more;
    while (!atomic_load(self->stop))
        self->wrong += rm_index_maintain(self->index, &more) != RM_OK;
    return NULL;
}

static void *save(void *user)
{
    keeper *self = user;
    for (uint64_t sequence = 0; !atomic_load(self->stop); sequence++) {
        self->wrong += rm_index_save(self->index, self->path, sequence) != RM_OK;
        (void)rm_index_get_stats(self->index);
    }
    return NULL;
}

/* One thread changes: what is present is known to it alone. */
static void change(world *w)
{
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t id = rm_rng_next(&w->rng) % IDS;
        if (w->present[id] && rm_rng_next(&w->rng) % 2) {
            assert_int_equal(rm_index_remove(w->index, w->homes[id], id), RM_OK);
            w->present[id] = false;
        } else {
            assert_int_equal(rm_index_add(w->index, w->homes[id], id, world_vector(w, id)), RM_OK);
            w->present[id] = true;
        }
        if (i % 5000 == 4999) {
            (void)!rm_index_drop(w->index, SMALL);
            memset(w->present + IDS - IDS_SMALL, 0, IDS_SMALL);
        }
    }
}

static void all_at_once(void **state)
{
    world w;
    _Atomic bool stop = false;
    searcher searchers[SEARCHERS];
    char path[] = "/tmp/remora-index-XXXXXX";
    (void)state;
    int file = mkstemp(path);
    assert_true(file >= 0 && close(file) == 0);
    world_init(&w, DIMENSIONS, IDS, 1500);
    rm_index_destroy(w.index);
    rm_index_options options = {.dimensions = DIMENSIONS, .flat_max = 1500, .fetch = fetch_all, .user = &w};
    assert_int_equal(rm_index_create(&options, &w.index), RM_OK);
    for (uint64_t id = 0; id < IDS; id++) {
        random_vector(&w.rng, DIMENSIONS, world_vector(&w, id));
        w.homes[id] = id < IDS - IDS_SMALL ? LARGE : SMALL;
    }
    keeper keepers[] = {{.index = w.index, .path = path, .stop = &stop},
                        {.index = w.index, .path = path, .stop = &stop}};
    for (int i = 0; i < SEARCHERS; i++) {
        searchers[i] = (searcher){.w = &w, .seed = (uint64_t)i, .stop = &stop};
        assert_int_equal(pthread_create(&searchers[i].thread, NULL, search, &searchers[i]), 0);
    }
    assert_int_equal(pthread_create(&keepers[0].thread, NULL, maintain, &keepers[0]), 0);
    assert_int_equal(pthread_create(&keepers[1].thread, NULL, save, &keepers[1]), 0);
    change(&w);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(keepers[i].thread, NULL), 0);
        assert_int_equal(keepers[i].wrong, 0);
    }
    for (int i = 0; i < SEARCHERS; i++) {
        assert_int_equal(pthread_join(searchers[i].thread, NULL), 0);
        assert_int_equal(searchers[i].wrong, 0);
        assert_true(searchers[i].hits > 0);
    }
    uint64_t entries = 0;
    for (uint64_t id = 0; id < IDS; id++)
        entries += w.present[id];
    assert_int_equal(rm_index_get_stats(w.index).entries, entries);
    world_deinit(&w);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
