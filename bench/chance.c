/* Samplers of the load generator: Zipf ranks, arrival times, and the mix of requests. */
#include <math.h>

#include "bench_internal.h"

rm_status rm_bench__zipf_init(rm_bench_zipf *zipf, size_t count, double exponent)
{
    *zipf = (rm_bench_zipf){0};
    double *cumulative = rm_calloc(count, sizeof(*cumulative));
    if (!cumulative)
        return RM_ENOMEM;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        cumulative[i] = sum += pow((double)(i + 1), -exponent);
    for (size_t i = 0; i < count; i++)
        cumulative[i] /= sum;
    *zipf = (rm_bench_zipf){cumulative, count};
    return RM_OK;
}

void rm_bench__zipf_deinit(rm_bench_zipf *zipf)
{
    rm_free(zipf->cumulative);
    *zipf = (rm_bench_zipf){0};
}

size_t rm_bench__zipf_next(const rm_bench_zipf *zipf, rm_rng *rng)
{
    double u = rm_rng_uniform(rng);
    size_t low = 0, high = zipf->count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zipf->cumulative[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void rm_bench__schedule_init(rm_bench_schedule *schedule, rm_bench_arrival arrival, double rate, uint64_t begin_ns)
{
    schedule->arrival = arrival;
    schedule->interval_ns = rate > 0 ? 1e9 / rate : 0;
    schedule->next_ns = (double)begin_ns;
}

uint64_t rm_bench__schedule_due(const rm_bench_schedule *schedule)
{
    return (uint64_t)schedule->next_ns;
}

void rm_bench__schedule_advance(rm_bench_schedule *schedule, rm_rng *rng)
{
    double gap = schedule->interval_ns;
    if (schedule->arrival == RM_ARRIVAL_POISSON)
        gap *= -log1p(-rm_rng_uniform(rng));
    schedule->next_ns += gap;
}

rm_status rm_bench__mix_init(rm_bench_mix *mix, const rm_bench_prompts *prompts, double exponent, uint64_t seed)
{
    mix->prompts = prompts;
    rm_rng_seed(&mix->rng, seed);
    mix->salt = rm_rng_next(&mix->rng);
    return rm_bench__zipf_init(&mix->zipf, mix->keys ? (size_t)mix->keys : prompts->group_count, exponent);
}

void rm_bench__mix_deinit(rm_bench_mix *mix)
{
    rm_bench__zipf_deinit(&mix->zipf);
}

/* The wording: the group's first, or by the paraphrase share any of the others. */
static size_t pick_wording(rm_bench_mix *mix, size_t group_index)
{
    const rm_bench_group *group = &mix->prompts->groups[group_index];
    if (group->count < 2 || rm_rng_uniform(&mix->rng) >= mix->paraphrase_share)
        return group->first;
    return group->first + 1 + (size_t)(rm_rng_next(&mix->rng) % (group->count - 1));
}

rm_bench_choice rm_bench__mix_next(rm_bench_mix *mix)
{
    rm_bench_choice choice = {0};
    uint64_t serial = mix->serial++;
    if (mix->keys) {
        choice.number = mix->sequential ? serial % mix->keys : rm_bench__zipf_next(&mix->zipf, &mix->rng);
        choice.text = (size_t)(choice.number % mix->prompts->text_count);
        choice.numbered = true;
    } else if (!mix->same) {
        choice.text = pick_wording(mix, rm_bench__zipf_next(&mix->zipf, &mix->rng));
        choice.numbered = rm_rng_uniform(&mix->rng) >= mix->repeat_share;
        choice.number = mix->salt + serial;
    }
    choice.stream = mix->stream_share > 0 && rm_rng_uniform(&mix->rng) < mix->stream_share;
    choice.cancel = mix->cancel_share > 0 && rm_rng_uniform(&mix->rng) < mix->cancel_share;
    return choice;
}
