/* remora-bench eviction: the store's own eviction policy (src/store/evict.h) against LRU, on the same made-up trace: Zipf
 * requests with bursts of things asked for once (a crawl, a batch job), entries of equal size.
 *
 * Both start empty; the requests of the first tenth warm them and are not counted. */
#include "bench_eviction.h"

#include "bench_internal.h"
#include "evict.h"

typedef struct trace_options {
    uint64_t objects, requests, scan_every, scan_length, seed;
} trace_options;

typedef struct fifo {
    uint32_t *ring; /* of object numbers */
    uint64_t head, count, size;
} fifo;

/* One simulated cache; `there` by object number. */
typedef struct s3fifo_cache {
    rm_store__policy policy;
    fifo queues[RM_STORE__QUEUE_COUNT];
    bool *there;
    uint64_t capacity;
} s3fifo_cache;

typedef struct lru_cache {
    uint32_t *newer, *older; /* by object number; 0 ends the list, objects count from 1 */
    bool *there;
    uint32_t newest, oldest;
    uint64_t count, capacity;
} lru_cache;

/* ---- S3-FIFO ----------------------------------------------------------------------------------------------------- */

static void fifo_push(fifo *queue, uint32_t object)
{
    queue->ring[(queue->head + queue->count++) % queue->size] = object;
}

static uint32_t fifo_pop(fifo *queue)
{
    uint32_t object = queue->ring[queue->head];
    queue->head = (queue->head + 1) % queue->size;
    queue->count--;
    return object;
}

static rm_key128 key_of(uint32_t object)
{
    return rm_hash128(rm_slice_make((const char *)&object, sizeof(object)));
}

static void s3fifo_deinit(s3fifo_cache *cache)
{
    rm_store__policy_deinit(&cache->policy);
    for (int i = 0; i < RM_STORE__QUEUE_COUNT; i++)
        rm_free(cache->queues[i].ring);
    rm_free(cache->there);
}

static rm_status s3fifo_init(s3fifo_cache *cache, uint64_t capacity, uint64_t objects)
{
    memset(cache, 0, sizeof(*cache));
    cache->capacity = capacity;
    cache->there = rm_calloc(objects, sizeof(*cache->there));
    bool fine = cache->there != NULL;
    for (int i = 0; i < RM_STORE__QUEUE_COUNT; i++) {
        cache->queues[i].size = capacity + 1;
        cache->queues[i].ring = rm_calloc(capacity + 1, sizeof(uint32_t));
        fine &= cache->queues[i].ring != NULL;
    }
    return fine ? rm_store__policy_init(&cache->policy, capacity) : RM_ENOMEM;
}

static bool s3fifo_ask(s3fifo_cache *cache, uint32_t object)
{
    fifo *small = &cache->queues[RM_STORE__SMALL], *main = &cache->queues[RM_STORE__MAIN];
    rm_key128 key = key_of(object);
    if (cache->there[object]) {
        rm_store__policy_use(&cache->policy, key);
        return true;
    }
    while (small->count + main->count >= cache->capacity) {
        rm_store__queue queue = rm_store__policy_choose(small->count, main->count);
        uint32_t head = fifo_pop(&cache->queues[queue]);
        if (rm_store__policy_judge(&cache->policy, queue, key_of(head)) == RM_STORE__KEEP_IN_MAIN)
            fifo_push(main, head);
        else
            cache->there[head] = false;
    }
    fifo_push(&cache->queues[rm_store__policy_admit(&cache->policy, key, main->count + 1)], object);
    cache->there[object] = true;
    return false;
}

/* ---- LRU --------------------------------------------------------------------------------------------------------- */

static void lru_deinit(lru_cache *cache)
{
    rm_free(cache->newer);
    rm_free(cache->older);
    rm_free(cache->there);
}

static rm_status lru_init(lru_cache *cache, uint64_t capacity, uint64_t objects)
{
    memset(cache, 0, sizeof(*cache));
    cache->capacity = capacity;
    cache->newer = rm_calloc(objects, sizeof(*cache->newer));
    cache->older = rm_calloc(objects, sizeof(*cache->older));
    cache->there = rm_calloc(objects, sizeof(*cache->there));
    return cache->newer && cache->older && cache->there ? RM_OK : RM_ENOMEM;
}

static void lru_unlink(lru_cache *cache, uint32_t object)
{
    uint32_t newer = cache->newer[object], older = cache->older[object];
    *(newer ? &cache->older[newer] : &cache->newest) = older;
    *(older ? &cache->newer[older] : &cache->oldest) = newer;
}

static bool lru_ask(lru_cache *cache, uint32_t object)
{
    bool hit = cache->there[object];
    if (hit) {
        lru_unlink(cache, object);
    } else if (cache->count == cache->capacity) {
        uint32_t last = cache->oldest;
        lru_unlink(cache, last);
        cache->there[last] = false;
    } else {
        cache->count++;
    }
    cache->there[object] = true;
    cache->older[object] = cache->newest;
    cache->newer[object] = 0;
    *(cache->newest ? &cache->newer[cache->newest] : &cache->oldest) = object;
    cache->newest = object;
    return hit;
}

/* ---- the trace --------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    uint64_t counted, s3fifo, lru;
} outcome;

static void ask_both(s3fifo_cache *s3fifo, lru_cache *lru, uint32_t object, bool count, outcome *sum)
{
    bool a = s3fifo_ask(s3fifo, object), b = lru_ask(lru, object);
    sum->counted += count;
    sum->s3fifo += count && a;
    sum->lru += count && b;
}

static void replay(const trace_options *options, const rm_bench_zipf *zipf, s3fifo_cache *s3fifo, lru_cache *lru,
                   outcome *sum)
{
    rm_rng rng;
    uint32_t once = (uint32_t)options->objects + 1; /* what a scan asks for is never asked for again */
    rm_rng_seed(&rng, options->seed);
    for (uint64_t i = 0; i < options->requests; i++) {
        bool count = i >= options->requests / 10;
        ask_both(s3fifo, lru, (uint32_t)rm_bench__zipf_next(zipf, &rng) + 1, count, sum);
        if (options->scan_every && i % options->scan_every == options->scan_every - 1)
            for (uint64_t n = 0; n < options->scan_length; n++)
                ask_both(s3fifo, lru, once++, count, sum);
    }
}

static rm_status measure(const trace_options *options, double exponent, double share, outcome *ret_sum)
{
    s3fifo_cache s3fifo;
    lru_cache lru;
    rm_bench_zipf zipf;
    uint64_t scans = options->scan_every ? options->requests / options->scan_every * options->scan_length : 0;
    uint64_t capacity = (uint64_t)((double)options->objects * share), names = options->objects + scans + 2;
    *ret_sum = (outcome){0};
    rm_status status = rm_bench__zipf_init(&zipf, options->objects, exponent);
    if (status)
        return status;
    rm_status first = s3fifo_init(&s3fifo, capacity, names), second = lru_init(&lru, capacity, names);
    status = first ? first : second;
    if (!status)
        replay(options, &zipf, &s3fifo, &lru, ret_sum);
    s3fifo_deinit(&s3fifo);
    lru_deinit(&lru);
    rm_bench__zipf_deinit(&zipf);
    return status;
}

static void print_row(double exponent, double share, bool scans, const outcome *sum, bool json, bool first)
{
    double s3fifo = (double)sum->s3fifo / (double)sum->counted, lru = (double)sum->lru / (double)sum->counted;
    if (json)
        printf("%s{\"zipf\":%.2f,\"share\":%.3f,\"scans\":%s,\"s3fifo\":%.4f,\"lru\":%.4f,\"ratio\":%.4f}",
               first ? "" : ",", exponent, share, scans ? "true" : "false", s3fifo, lru, s3fifo / lru);
    else
        printf("  %4.2f  %5.1f %%  %-5s  %8.4f  %8.4f  %6.3f\n", exponent, share * 100, scans ? "yes" : "no", s3fifo,
               lru, s3fifo / lru);
}

static int run_all(const trace_options *given, bool json)
{
    static const double exponents[] = {0.9, 1.0, 1.1}, shares[] = {0.01, 0.1};
    bool first = true;
    if (json)
        printf("{\"rows\":[");
    else
        printf("  zipf  cached   scans   S3-FIFO       LRU   ratio   (hit ratios; %llu objects, %llu requests)\n",
               (unsigned long long)given->objects, (unsigned long long)given->requests);
    for (size_t e = 0; e < RM_COUNT(exponents); e++)
        for (size_t s = 0; s < RM_COUNT(shares); s++)
            for (int scans = 0; scans < 2; scans++) {
                outcome sum;
                trace_options options = *given;
                options.scan_every = scans ? given->scan_every : 0;
                if (measure(&options, exponents[e], shares[s], &sum)) {
                    fprintf(stderr, "remora-bench eviction: out of memory\n");
                    return 1;
                }
                print_row(exponents[e], shares[s], scans, &sum, json, first);
                first = false;
            }
    if (json)
        printf("]}\n");
    return 0;
}

int rm_bench_eviction(int argc, char **argv)
{
    trace_options trace = {.objects = 100000, .requests = 1000000, .scan_every = 20000, .scan_length = 5000, .seed = 1};
    bool json = false;
    const rm_bench_option options[] = {
        {"objects", "N", "different things that are asked for again (default 100000)", RM_OPTION_U64, &trace.objects},
        {"requests", "N", "requests besides scans (default 1000000)", RM_OPTION_U64, &trace.requests},
        {"scan-every", "N", "requests between two scans (default 20000)", RM_OPTION_U64, &trace.scan_every},
        {"scan-length", "N", "things asked for once in each scan (default 5000)", RM_OPTION_U64, &trace.scan_length},
        {"seed", "N", "of the trace (default 1)", RM_OPTION_U64, &trace.seed},
        {"json", NULL, "one JSON object instead of a table", RM_OPTION_FLAG, &json},
    };
    int status = rm_bench__options_parse("remora-bench eviction [OPTION]...", options, RM_COUNT(options), argc, argv);
    if (status >= 0)
        return status;
    if (trace.objects < 1000 || trace.objects > 10000000 || trace.requests < 1000 || trace.requests > 1000000000 ||
        trace.scan_length > 1000000) {
        fprintf(stderr, "remora-bench eviction: objects 1000..10000000, requests 1000..1000000000, scan-length up to "
                        "1000000\n");
        return 2;
    }
    return run_all(&trace, json);
}
