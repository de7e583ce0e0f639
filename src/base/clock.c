/* The system's clocks, and chance that is not for secrets. */
#include "remora/clock.h"

#include <time.h>

static uint64_t system_mono_ns(const rm_clock *clock)
{
    struct timespec now;
    (void)clock;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static uint64_t system_wall_ms(const rm_clock *clock)
{
    struct timespec now;
    (void)clock;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000ULL + (uint64_t)now.tv_nsec / 1000000ULL;
}

const rm_clock *rm_clock_system(void)
{
    static const rm_clock system_clock = {.mono_ns = system_mono_ns, .wall_ms = system_wall_ms};
    return &system_clock;
}

/* splitmix64 (Steele, Lea and Flood 2014), as the generator's authors advise: any seed, 0 too, gives a good state. */
void rm_rng_seed(rm_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15ULL;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
        rng->state[i] = z ^ z >> 31;
    }
}

static inline uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

uint64_t rm_rng_next(rm_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotl(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

double rm_rng_uniform(rm_rng *rng)
{
    return (double)(rm_rng_next(rng) >> 11) * 0x1.0p-53;
}
