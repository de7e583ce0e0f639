/* Making the whole, and the one call that a finished request costs. */
#include "observe_internal.h"

#define US 1000ULL
#define MS 1000000ULL
#define S  1000000000ULL

static const uint64_t added_bounds[] = {5 * US,   10 * US,   25 * US, 50 * US, 100 * US, 200 * US, 400 * US,
                                        800 * US, 1600 * US, 5 * MS,  10 * MS, 50 * MS,  100 * MS, 1 * S};
static const uint64_t request_bounds[] = {50 * US,   100 * US, 250 * US, 500 * US, 1 * MS,   2500 * US, 5 * MS,
                                          10 * MS,   25 * MS,  50 * MS,  100 * MS, 250 * MS, 500 * MS,  1 * S,
                                          2500 * MS, 5 * S,    10 * S,   30 * S,   60 * S,   120 * S,   300 * S};
static const uint64_t duration_bounds[] = {10 * MS,    20 * MS,    40 * MS,    80 * MS,   160 * MS,
                                           320 * MS,   640 * MS,   1280 * MS,  2560 * MS, 5120 * MS,
                                           10240 * MS, 20480 * MS, 40960 * MS, 81920 * MS};
static const uint64_t token_bounds[] = {1,     4,     16,     64,      256,     1024,     4096,
                                        16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};

const rm_observe__bounds rm_observe__added_bounds = {added_bounds, RM_COUNT(added_bounds)};
const rm_observe__bounds rm_observe__request_bounds = {request_bounds, RM_COUNT(request_bounds)};
const rm_observe__bounds rm_observe__duration_bounds = {duration_bounds, RM_COUNT(duration_bounds)};
const rm_observe__bounds rm_observe__token_bounds = {token_bounds, RM_COUNT(token_bounds)};

_Static_assert(RM_COUNT(request_bounds) < RM_OBSERVE__BUCKETS_MAX, "one more bucket is for +Inf");

/* ---- life -------------------------------------------------------------------------------------------------------- */

static rm_observer *create_observer(rm_observe *observe)
{
    rm_observer *observer = rm_calloc(1, sizeof(*observer));
    if (!observer)
        return NULL;
    observer->observe = observe;
    pthread_mutex_init(&observer->lines.lock, NULL);
    pthread_mutex_init(&observer->ledger.lock, NULL);
    rm_buf_init(&observer->lines.text, RM_LOG_BUFFER_BYTES_MAX);
    observer->lines.second = UINT64_MAX;
    return observer;
}

static void destroy_observer(rm_observer *observer)
{
    rm_observe__series_deinit(&observer->series);
    rm_buf_deinit(&observer->lines.text);
    rm_free(observer->ledger.rows);
    rm_free(observer->ledger.slots);
    pthread_mutex_destroy(&observer->lines.lock);
    pthread_mutex_destroy(&observer->ledger.lock);
    rm_free(observer);
}

rm_status rm_observe_create(const char *access, unsigned threads, rm_observe **ret_observe)
{
    if (threads == 0 || threads > RM_LOOPS_MAX)
        return RM_EINVAL;
    rm_observe *observe = rm_calloc(1, sizeof(*observe));
    if (!observe)
        return RM_ENOMEM;
    rm_status status = RM_OK;
    for (; observe->threads < threads; observe->threads++) {
        observe->observers[observe->threads] = create_observer(observe);
        if (!observe->observers[observe->threads]) {
            status = RM_ENOMEM;
            goto out;
        }
    }
    if (access && strcmp(access, "off") != 0)
        status = rm_observe__log_create(access, observe, &observe->log);
out:
    if (status == RM_OK)
        *ret_observe = observe;
    else
        rm_observe_destroy(observe);
    return status;
}

void rm_observe_destroy(rm_observe *observe)
{
    if (!observe || !rm_observe__log_destroy(observe->log))
        return;
    for (unsigned i = 0; i < observe->threads; i++)
        destroy_observer(observe->observers[i]);
    rm_free(observe);
}

rm_observer *rm_observe_thread(rm_observe *observe, unsigned index)
{
    RM_CHECK(index < observe->threads);
    return observe->observers[index];
}

void rm_observe_reopen(rm_observe *observe)
{
    if (observe->log)
        rm_observe__log_reopen(observe->log);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

void rm_observer_count(rm_observer *observer, rm_counter counter, uint64_t by)
{
    RM_CHECK((unsigned)counter < RM_COUNTER_COUNT);
    rm_observe__add(&observer->counts.counters[counter], by);
}

void rm_observer_fault(rm_observer *observer, rm_stage stage)
{
    RM_CHECK((unsigned)stage < RM_STAGE_COUNT);
    rm_observe__add(&observer->counts.faults[stage], 1);
}

void rm_observer_embedded(rm_observer *observer, uint64_t took_ns)
{
    rm_observe__record(&observer->counts.embed, rm_observe__request_bounds, took_ns);
}

bool rm_observe__is_model_call(const rm_receipt *receipt)
{
    return receipt->op != RM_OP_OTHER && receipt->op != RM_OP_MODELS;
}

bool rm_observe__is_unpriced(const rm_receipt *receipt)
{
    return rm_observe__is_model_call(receipt) && receipt->status < 400 && receipt->model.len > 0 &&
           (receipt->cost_usd < 0 || receipt->saved_usd < 0);
}

static void settle_times(rm_observe__counts *counts, const rm_receipt *receipt)
{
    uint64_t total = receipt->total_ns, upstream = receipt->upstream_ns;
    rm_observe__record(&counts->request[receipt->outcome], rm_observe__request_bounds, total);
    if (receipt->first_byte_ns)
        rm_observe__record(&counts->first_byte, rm_observe__request_bounds, receipt->first_byte_ns);
    if (upstream)
        rm_observe__record(&counts->upstream, rm_observe__request_bounds, upstream);
    /* A follower waits for its leader's upstream, which its own receipt need not know: that is not Remora's time. */
    if (receipt->outcome != RM_OUTCOME_MERGED || upstream)
        rm_observe__record(&counts->added[receipt->outcome], rm_observe__added_bounds,
                           total > upstream ? total - upstream : 0);
}

static void settle_counts(rm_observe__counts *counts, const rm_receipt *receipt)
{
    unsigned reason = (unsigned)receipt->reason < RM_REASON_COUNT ? receipt->reason : RM_REASON_NONE;
    unsigned op = (unsigned)receipt->op < RM_OP_COUNT ? receipt->op : RM_OP_OTHER;
    rm_observe__add(&counts->requests[op][receipt->outcome][rm_observe__class_of(receipt->status)], 1);
    if (receipt->outcome == RM_OUTCOME_BYPASS)
        rm_observe__add(&counts->bypasses[reason], 1);
    if (receipt->cost_usd > 0)
        rm_observe__add_sum(&counts->cost_usd, receipt->cost_usd);
    if (receipt->saved_usd > 0)
        rm_observe__add_sum(&counts->saved_usd[receipt->outcome], receipt->saved_usd);
    if (rm_observe__is_unpriced(receipt))
        rm_observe__add(&counts->counters[RM_COUNTER_UNPRICED], 1);
}

static void settle_line(rm_observer *observer, const rm_receipt *receipt, uint64_t wall_ms)
{
    bool urgent = false;
    if (!rm_observe__log_line(&observer->lines, receipt, wall_ms, &urgent)) {
        rm_observer_count(observer, RM_COUNTER_LOG_DROPPED, 1);
        rm_observer_fault(observer, RM_STAGE_LOG);
    }
    if (urgent)
        rm_observe__log_wake(observer->observe->log);
}

void rm_observer_settle(rm_observer *observer, const rm_receipt *receipt, uint64_t wall_ms)
{
    RM_CHECK((unsigned)receipt->outcome < RM_OUTCOME_COUNT);
    settle_counts(&observer->counts, receipt);
    settle_times(&observer->counts, receipt);
    if (!rm_observe__series_settle(&observer->series, receipt))
        rm_observer_fault(observer, RM_STAGE_SETTLE);
    if (observer->observe->log)
        settle_line(observer, receipt, wall_ms);
    if (rm_observe__is_model_call(receipt) && !rm_observe__ledger_settle(&observer->ledger, receipt, wall_ms)) {
        rm_observer_count(observer, RM_COUNTER_LEDGER_DROPPED, 1);
        rm_observer_fault(observer, RM_STAGE_LEDGER);
    }
}

rm_status rm_observe_take_ledger(rm_observe *observe, rm_ledger_row **ret_rows, size_t *ret_count)
{
    size_t total = 0, count = 0;
    for (unsigned i = 0; i < observe->threads; i++)
        total += rm_observe__ledger_count(&observe->observers[i]->ledger);
    /* The rows are moved only once there is room for them: a thread that gained some since then keeps its own. */
    rm_ledger_row *rows = rm_calloc(total, sizeof(*rows));
    if (!rows)
        return RM_ENOMEM;
    for (unsigned i = 0; i < observe->threads; i++)
        count += rm_observe__ledger_take(&observe->observers[i]->ledger, rows + count, total - count);
    *ret_rows = rows;
    *ret_count = count;
    return RM_OK;
}

void rm_observe_lose_ledger(rm_observe *observe, uint64_t rows)
{
    atomic_fetch_add_explicit(&observe->ledger_lost, rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&observe->ledger_losses, 1, memory_order_relaxed);
}
