/* Inner products of one query with many rows. Four rows go at once, so that a query's part is loaded once for four and
 * the sums do not wait for each other. */
#include "index_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LANES 16U

void rm_index__dot_reference(const float *query, const float *rows, size_t count, uint32_t dimensions, float *ret)
{
    for (size_t i = 0; i < count; i++, rows += dimensions) {
        double sum = 0;
        for (uint32_t d = 0; d < dimensions; d++)
            sum += (double)query[d] * (double)rows[d];
        ret[i] = (float)sum;
    }
}

static float one_row(const float *query, const float *row, uint32_t dimensions)
{
    float sums[LANES] = {0}, sum = 0;
    uint32_t d = 0;
    for (; d + LANES <= dimensions; d += LANES)
        for (uint32_t lane = 0; lane < LANES; lane++)
            sums[lane] += query[d + lane] * row[d + lane];
    for (; d < dimensions; d++)
        sum += query[d] * row[d];
    for (uint32_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}

void rm_index__dot_portable(const float *query, const float *rows, size_t count, uint32_t dimensions, float *ret)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = one_row(query, rows + i * dimensions, dimensions);
}

#if defined(__x86_64__)
#define AVX2  __attribute__((target("avx2,fma")))
#define ROWS  4U
#define STEP  8U
#define AHEAD 8U /* rows fetched ahead, which memory needs to keep up */

AVX2 static float sum_of(__m256 v)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

AVX2 static void four_rows(const float *query, const float *rows, uint32_t dimensions, float *ret)
{
    const float *row[ROWS] = {rows, rows + dimensions, rows + 2 * (size_t)dimensions, rows + 3 * (size_t)dimensions};
    __m256 sums[ROWS] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256 more[ROWS] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    uintptr_t ahead = AHEAD * dimensions * sizeof(float); /* past the end it does nothing */
    uint32_t d = 0;
    for (; d + 2 * STEP <= dimensions; d += 2 * STEP) {
        __m256 q0 = _mm256_loadu_ps(query + d), q1 = _mm256_loadu_ps(query + d + STEP);
        for (uint32_t r = 0; r < ROWS; r++) {
            _mm_prefetch((const char *)((uintptr_t)(row[r] + d) + ahead), _MM_HINT_T0);
            sums[r] = _mm256_fmadd_ps(q0, _mm256_loadu_ps(row[r] + d), sums[r]);
            more[r] = _mm256_fmadd_ps(q1, _mm256_loadu_ps(row[r] + d + STEP), more[r]);
        }
    }
    for (uint32_t r = 0; r < ROWS; r++) {
        float sum = sum_of(_mm256_add_ps(sums[r], more[r]));
        for (uint32_t rest = d; rest < dimensions; rest++)
            sum += query[rest] * row[r][rest];
        ret[r] = sum;
    }
}

AVX2 static void dot_avx2(const float *query, const float *rows, size_t count, uint32_t dimensions, float *ret)
{
    size_t i = 0;
    for (; i + ROWS <= count; i += ROWS)
        four_rows(query, rows + i * dimensions, dimensions, ret + i);
    rm_index__dot_portable(query, rows + i * dimensions, count - i, dimensions, ret + i);
}
#endif

rm_index__dot rm_index__dot_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return dot_avx2;
#endif
    return rm_index__dot_portable;
}
