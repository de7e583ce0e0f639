/* What the store's and the cache's tests share: a folder of their own, a clock that stands still, records by number. */
#ifndef REMORA_TESTS_STORE_FIXTURE_H
#define REMORA_TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "remora/store.h"

#define FIXTURE_NOW_MS 1800000000000ULL

typedef struct fixture {
    rm_clock clock;
    _Atomic uint64_t wall_ms;
    char folder[64];
    rm_store_options options;
    rm_store *store;
    rm_store_reader *reader;
} fixture;

static uint64_t fixture_wall_ms(const rm_clock *clock)
{
    return atomic_load(&((const fixture *)(const void *)clock)->wall_ms);
}

static uint64_t fixture_mono_ns(const rm_clock *clock)
{
    return fixture_wall_ms(clock) * 1000000;
}

static inline void fixture_init(fixture *fix)
{
    memset(fix, 0, sizeof(*fix));
    fix->clock = (rm_clock){fixture_mono_ns, fixture_wall_ms};
    atomic_store(&fix->wall_ms, FIXTURE_NOW_MS);
    snprintf(fix->folder, sizeof(fix->folder), "/tmp/remora-store-XXXXXX");
    assert_non_null(mkdtemp(fix->folder));
    fix->options = (rm_store_options){.folder = fix->folder, .bytes_max = 64 * RM_MIB, .clock = &fix->clock};
    rm_log_set_level(RM_LOG_ERROR);
}

static inline void fixture_open(fixture *fix)
{
    assert_int_equal(rm_store_open(&fix->options, &fix->store), RM_OK);
    assert_int_equal(rm_store_reader_create(fix->store, &fix->reader), RM_OK);
}

static inline void fixture_close(fixture *fix)
{
    rm_store_reader_destroy(fix->reader);
    rm_store_close(fix->store);
    fix->reader = NULL;
    fix->store = NULL;
}

static inline void fixture_reopen_with(fixture *fix, uint64_t bytes_max)
{
    fixture_close(fix);
    fix->options.bytes_max = bytes_max;
    fixture_open(fix);
}

static int fixture_remove(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
    (void)stat;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void fixture_deinit(fixture *fix)
{
    fixture_close(fix);
    nftw(fix->folder, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int fixture_setup(void **state)
{
    fixture *fix = malloc(sizeof(*fix));
    assert_non_null(fix);
    fixture_init(fix);
    fixture_open(fix);
    *state = fix;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static inline rm_key128 fixture_key(uint64_t number)
{
    return rm_hash128(rm_slice_make((const char *)&number, sizeof(number)));
}

/* The record of a number: its texts lie in `texts` (static by caller), content is `bytes` long and says the number. */
typedef struct fixture_texts {
    char canonical[64];
    char *content;
} fixture_texts;

static inline rm_record fixture_record(uint64_t number, size_t bytes, fixture_texts *texts)
{
    rm_rng rng;
    snprintf(texts->canonical, sizeof(texts->canonical), "canonical form of request %llu", (unsigned long long)number);
    texts->content = malloc(bytes + sizeof(uint64_t));
    assert_non_null(texts->content);
    rm_rng_seed(&rng, number + 1);
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) { /* does not compress */
        uint64_t noise = rm_rng_next(&rng);
        memcpy(texts->content + i, &noise, sizeof(noise));
    }
    return (rm_record){.key = fixture_key(number),
                       .tenant = {1, 2},
                       .name_space = RM_SLICE("team-a"),
                       .model = RM_SLICE("gpt-4.1-mini"),
                       .id = RM_SLICE("0123456789abcdef"),
                       .canonical = rm_slice_cstr(texts->canonical),
                       .content = rm_slice_make(texts->content, bytes),
                       .content_type = RM_SLICE("application/json"),
                       .form = RM_RECORD_BODY,
                       .op = RM_OP_CHAT,
                       .created_ms = FIXTURE_NOW_MS,
                       .expires_ms = FIXTURE_NOW_MS + 60000,
                       .stale_until_ms = FIXTURE_NOW_MS + 60000,
                       .usage = {10, 2, 0, 20, 5},
                       .cost_usd = 0.00045};
}

static inline rm_status fixture_put(fixture *fix, uint64_t number, size_t bytes)
{
    fixture_texts texts;
    rm_record record = fixture_record(number, bytes, &texts);
    rm_status status = rm_store_put(fix->store, &record);
    free(texts.content);
    return status;
}

/* 1: found and right; 0: not found; anything else fails the test. */
static inline int fixture_find(fixture *fix, uint64_t number, size_t bytes)
{
    fixture_texts texts;
    rm_record wanted = fixture_record(number, bytes, &texts), got;
    rm_status status = rm_store_get(fix->reader, wanted.key, &got);
    if (status == RM_OK) {
        assert_true(rm_key128_eq(got.key, wanted.key));
        assert_true(rm_key128_eq(got.tenant, wanted.tenant));
        assert_true(rm_slice_eq(got.canonical, wanted.canonical));
        assert_true(rm_slice_eq(got.content, wanted.content));
        assert_true(rm_slice_eq(got.model, wanted.model));
        rm_store_release(fix->reader);
    } else {
        assert_int_equal(status, RM_ENOTFOUND);
    }
    free(texts.content);
    return status == RM_OK;
}

static inline rm_store_stats fixture_stats(fixture *fix)
{
    rm_store_stats stats;
    rm_store_get_stats(fix->store, &stats);
    return stats;
}

/* Entries of the folder whose names begin so. */
static inline int fixture_count_files(fixture *fix, const char *prefix)
{
    int count = 0;
    DIR *dir = opendir(fix->folder);
    assert_non_null(dir);
    for (struct dirent *item; (item = readdir(dir));)
        count += strncmp(item->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return count;
}

#endif
