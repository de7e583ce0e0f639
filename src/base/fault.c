/* Injected faults: one counter a point. Empty unless the build asks for them, so a release cannot be made to fail. */
#include "remora/base.h"

#ifdef REMORA_FAULTS

#include <pthread.h>
#include <stdlib.h>

/* from_nth == 0 is off. `seen` counts the passes since the point was last set. */
typedef struct fault_point {
    _Atomic uint64_t from_nth, seen;
    atomic_bool once;
} fault_point;

static const char *const names[RM_FAULT_COUNT] = {
    [RM_FAULT_ALLOC] = "alloc",
    [RM_FAULT_STORE_READ] = "store_read",
    [RM_FAULT_STORE_FULL] = "store_full",
    [RM_FAULT_STORE_QUEUE_FULL] = "store_queue_full",
    [RM_FAULT_STORE_SLOW] = "store_slow",
    [RM_FAULT_STORE_COMMIT] = "store_commit",
    [RM_FAULT_FLIGHT] = "flight",
    [RM_FAULT_LOG_WRITE] = "log_write",
    [RM_FAULT_JSON] = "json",
    [RM_FAULT_LEDGER] = "ledger",
};

static fault_point points[RM_FAULT_COUNT];
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

static void set_point(rm_fault_point point, uint64_t from_nth, bool once)
{
    atomic_store(&points[point].from_nth, 0);
    atomic_store(&points[point].seen, 0);
    atomic_store(&points[point].once, once);
    atomic_store(&points[point].from_nth, from_nth);
}

/* NAME, NAME:N or NAME:N! */
static rm_status set_item(rm_slice item)
{
    rm_slice name, count = item;
    uint64_t from_nth = 1;
    bool once = false;
    if (!rm_slice_split(&count, ':', &name))
        return RM_EINVAL;
    if (count.ptr) {
        once = count.len > 0 && count.ptr[count.len - 1] == '!';
        if (once)
            count.len--;
        if (rm_parse_u64(count, &from_nth) != RM_OK)
            return RM_EINVAL;
    }
    for (int i = 0; i < RM_FAULT_COUNT; i++) {
        if (rm_slice_eq(name, rm_slice_cstr(names[i]))) {
            set_point((rm_fault_point)i, from_nth, once);
            return RM_OK;
        }
    }
    return RM_EINVAL;
}

static rm_status set_text(const char *text)
{
    rm_slice rest = rm_slice_cstr(text), item;
    rm_status status = RM_OK;
    while (rm_slice_split(&rest, ',', &item)) {
        item = rm_slice_trim(item);
        if (item.len && set_item(item) != RM_OK)
            status = RM_EINVAL;
    }
    return status;
}

static void read_environment(void)
{
    const char *text = getenv("REMORA_FAULTS");
    if (text && set_text(text) != RM_OK)
        rm_log(RM_LOG_WARN, "base", "REMORA_FAULTS names a fault that does not exist");
}

bool rm_fault(rm_fault_point point)
{
    pthread_once(&environment_once, read_environment);
    fault_point *p = &points[point];
    uint64_t from_nth = atomic_load_explicit(&p->from_nth, memory_order_relaxed);
    if (from_nth == 0)
        return false;
    uint64_t nth = atomic_fetch_add_explicit(&p->seen, 1, memory_order_relaxed) + 1;
    return atomic_load_explicit(&p->once, memory_order_relaxed) ? nth == from_nth : nth >= from_nth;
}

void rm_fault_set(rm_fault_point point, uint64_t from_nth, bool once)
{
    pthread_once(&environment_once, read_environment);
    RM_CHECK((unsigned)point < RM_FAULT_COUNT);
    set_point(point, from_nth, once);
}

rm_status rm_fault_set_text(const char *text)
{
    pthread_once(&environment_once, read_environment);
    return set_text(text);
}

const char *rm_fault_name(rm_fault_point point)
{
    return (unsigned)point < RM_FAULT_COUNT ? names[point] : "unknown";
}

#else

/* A translation unit may not be empty. */
typedef int rm_base__faults_are_left_out;

#endif
