/* How the store's files are spoiled, and what a test needs to live through it. */
#ifndef REMORA_TESTS_STORE_DAMAGE_H
#define REMORA_TESTS_STORE_DAMAGE_H

#include <fcntl.h>
#include <signal.h>

#include "store_fixture.h"

static inline int damage_open_data(fixture *fix)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/cache/data.mdb", fix->folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Spoils some pages that are not LMDB's own two: zeroes, one flipped bit, or many. */
static inline void damage_spoil_pages(fixture *fix, rm_rng *rng, int round, uint64_t pages)
{
    char page[4096];
    int fd = damage_open_data(fix);
    for (int i = 0; i < 1 + round % 20; i++) {
        off_t at = (off_t)((2 + rm_rng_next(rng) % (pages - 2)) * sizeof(page));
        assert_int_equal(pread(fd, page, sizeof(page), at), sizeof(page));
        if (round % 3 == 0)
            memset(page, 0, sizeof(page));
        for (int flips = 0; flips < (round % 3 == 1 ? 1 : 200); flips++)
            page[rm_rng_next(rng) % sizeof(page)] ^= (char)(1 << rm_rng_next(rng) % 8);
        assert_int_equal(pwrite(fd, page, sizeof(page), at), sizeof(page));
    }
    close(fd);
}

/* The signals as a program has them: cmocka and the sanitizers catch them, and the store keeps to whoever came first. The
 * thread sanitizer believes that a handler that was left by longjmp never ends. */
static inline void damage_free_signals(void)
{
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
}

static inline void damage_set_mark(fixture *fix)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/cache/damaged", fix->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

typedef struct damage_seen {
    size_t found, failures;
} damage_seen;

/* Fills, spoils and looks, so many times; `look` says how many things are there and right. Spoiled, it is set aside at last. */
static inline damage_seen damage_rounds(fixture *fix, int rounds, uint64_t seed, void (*fill)(fixture *fix),
                                        size_t (*look)(fixture *fix))
{
    damage_seen seen = {0, 0};
    rm_rng rng;
    damage_free_signals();
    rm_rng_seed(&rng, seed);
    for (int round = 0; round < rounds; round++) {
        fill(fix);
        uint64_t pages = fixture_stats(fix).file_bytes / 4096;
        fixture_close(fix);
        damage_spoil_pages(fix, &rng, round, pages);
        fix->options.read_only = true;
        fixture_open(fix);
        seen.found += look(fix);
        seen.failures += fixture_stats(fix).failed;
        fixture_close(fix);
        fix->options.read_only = false;
        damage_set_mark(fix);
        fixture_open(fix);
        assert_false(fixture_stats(fix).failed);
        assert_int_equal(fixture_stats(fix).entries, 0);
    }
    return seen;
}

#endif
