/* Time and chance, handed in so that tests can hold them still. */
#ifndef REMORA_CLOCK_H
#define REMORA_CLOCK_H

#include <stdint.h>

/* Functions may be called on any thread. */
typedef struct rm_clock {
    uint64_t (*mono_ns)(const struct rm_clock *clock); /* never goes back; origin is arbitrary */
    uint64_t (*wall_ms)(const struct rm_clock *clock); /* Unix time */
} rm_clock;

/* The system's clocks; static, any thread. */
const rm_clock *rm_clock_system(void);

/* xoshiro256++ (Blackman and Vigna 2019). Not for secrets. One thread an instance. */
typedef struct rm_rng {
    uint64_t state[4];
} rm_rng;

void rm_rng_seed(rm_rng *rng, uint64_t seed);
uint64_t rm_rng_next(rm_rng *rng);
/* Uniform in [0, 1). */
double rm_rng_uniform(rm_rng *rng);

#endif
