/* Where work runs: a loop thread seen through a table, so that layers above net never include uv.h.
 *
 * A task or timer is owned by its poster and holds its own links, so posting cannot fail and a mailbox has
 * no capacity to exceed; what bounds it is the owner's own bound. Its memory must stay valid until it has run. */
#ifndef REMORA_EXEC_H
#define REMORA_EXEC_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rm_exec rm_exec;

typedef struct rm_task {
    struct rm_task *next; /* private to the executor while posted */
    void (*run)(struct rm_task *task);
} rm_task;

typedef struct rm_timer {
    struct rm_timer *prev, *next; /* private to the executor while armed */
    uint64_t due_ms;
    void (*fire)(struct rm_timer *timer);
} rm_timer;

struct rm_exec {
    void (*post)(rm_exec *exec, rm_task *task);
    void (*timer_start)(rm_exec *exec, rm_timer *timer, uint64_t delay_ms);
    void (*timer_stop)(rm_exec *exec, rm_timer *timer);
    uint64_t (*now_ms)(rm_exec *exec); /* monotonic, cached once a loop turn */
};

/* Any thread. Runs `task` once on the executor's thread, never inside this call, in posting order per poster. */
static inline void rm_exec_post(rm_exec *exec, rm_task *task)
{
    exec->post(exec, task);
}

/* Executor's thread. Arms (or re-arms) the timer; it fires once, at the delay or up to RM_TIMER_TICK_MS later, never
 * inside this call. The timer must be zeroed but for `fire` before its first use. */
static inline void rm_timer_start(rm_exec *exec, rm_timer *timer, uint64_t delay_ms)
{
    exec->timer_start(exec, timer, delay_ms);
}

/* Executor's thread. After this it does not fire; stopping an idle timer does nothing. */
static inline void rm_timer_stop(rm_exec *exec, rm_timer *timer)
{
    exec->timer_stop(exec, timer);
}

static inline bool rm_timer_armed(const rm_timer *timer)
{
    return timer->prev != 0;
}

#endif
