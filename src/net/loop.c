/* A loop: libuv's, with a mailbox for other threads, work deferred to later in the same turn, and a wheel of deadlines.
 *
 *     other threads --CAS--> mailbox --uv_async--> run, in posting order
 *     own thread   --------> local list ----------> run after the poll (check) and before the next one (prepare)
 *
 * Each drain takes the whole list at once: what a task posts meanwhile runs in the next one, so I/O is never starved,
 * and whoever finds the mailbox empty wakes the loop, so nothing is left lying. */
#include "net_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Thread_local rm_loop *current;

rm_status rm_net__uv_status(int code)
{
    switch (code) {
    case 0:
        return RM_OK;
    case UV_ENOMEM:
        return RM_ENOMEM;
    case UV_ECANCELED:
        return RM_ECANCELLED;
    case UV_EPIPE:
    case UV_ECONNRESET:
    case UV_ECONNABORTED:
    case UV_EOF:
        return RM_ERESET;
    case UV_ETIMEDOUT:
        return RM_ETIMEOUT;
    case UV_EINVAL:
        return RM_EINVAL;
    default:
        return RM_EIO;
    }
}

static void run_all(rm_task *task)
{
    while (task) {
        rm_task *next = task->next; /* the task may be posted again, or be gone, once it runs */

        task->run(task);
        task = next;
    }
}

static void mailbox_drain(rm_loop *loop)
{
    rm_task *newest = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
    rm_task *oldest = NULL;

    while (newest) {
        rm_task *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    run_all(oldest);
}

static void local_drain(rm_loop *loop)
{
    rm_task *first = loop->local_first;

    loop->local_first = loop->local_last = NULL;
    run_all(first);
}

static void on_wake(uv_async_t *wake)
{
    rm_loop *loop = wake->data;

    mailbox_drain(loop);
    if (atomic_load_explicit(&loop->stopping, memory_order_acquire))
        uv_stop(&loop->uv);
}

static void on_check(uv_check_t *check)
{
    local_drain(check->data);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* being active is its work: the poll that follows does not wait */
}

static void on_prepare(uv_prepare_t *prepare)
{
    rm_loop *loop = prepare->data;

    local_drain(loop);
    if (!loop->local_first == !loop->idle_active)
        return;
    loop->idle_active = !loop->idle_active;
    if (loop->idle_active)
        uv_idle_start(&loop->idle, on_idle);
    else
        uv_idle_stop(&loop->idle);
}

static void post_remote(rm_loop *loop, rm_task *task)
{
    rm_task *head = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);

    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &head, task, memory_order_release,
                                                    memory_order_relaxed));
    if (!head)
        uv_async_send(&loop->wake);
}

static void exec_post(rm_exec *exec, rm_task *task)
{
    rm_loop *loop = RM_CONTAINER_OF(exec, rm_loop, exec);

    if (current != loop) {
        post_remote(loop, task);
        return;
    }
    task->next = NULL;
    if (loop->local_last)
        loop->local_last->next = task;
    else
        loop->local_first = task;
    loop->local_last = task;
}

static void exec_timer_start(rm_exec *exec, rm_timer *timer, uint64_t delay_ms)
{
    rm_net__wheel_start(&RM_CONTAINER_OF(exec, rm_loop, exec)->wheel, timer, delay_ms);
}

static void exec_timer_stop(rm_exec *exec, rm_timer *timer)
{
    rm_net__wheel_stop(&RM_CONTAINER_OF(exec, rm_loop, exec)->wheel, timer);
}

static uint64_t exec_now_ms(rm_exec *exec)
{
    return uv_now(&RM_CONTAINER_OF(exec, rm_loop, exec)->uv);
}

int rm_net__spare_fd(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The handles that a loop has of its own; all are initialised together, so that closing them is one list too. */
static rm_status handles_init(rm_loop *loop)
{
    int code = uv_async_init(&loop->uv, &loop->wake, on_wake);

    if (code != 0) {
        rm_log(RM_LOG_ERROR, "net", "cannot make loop %u: %s", loop->index, uv_strerror(code));
        return rm_net__uv_status(code);
    }
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->wake.data = loop->prepare.data = loop->check.data = loop->idle.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    return rm_net__wheel_init(&loop->wheel, &loop->uv);
}

rm_status rm_loop_create(unsigned index, rm_loop **ret_loop)
{
    rm_loop *loop = rm_calloc(1, sizeof(*loop));
    rm_status status = RM_ENOMEM;
    int code;

    if (!loop)
        return RM_ENOMEM;
    loop->exec = (rm_exec){exec_post, exec_timer_start, exec_timer_stop, exec_now_ms};
    loop->index = index;
    rm_list_init(&loop->listeners);
    rm_buf_init(&loop->head, RM_REPLY_HEAD_BYTES_MAX);
    rm_buf_init(&loop->scratch, RM_REPLY_HEAD_BYTES_MAX);
    rm_buf_init(&loop->gathered, RM_WRITE_GATHER_BYTES_MAX);
    loop->arenas = rm_arena_pool_create();
    if (!loop->arenas)
        goto fail_pool;
    code = uv_loop_init(&loop->uv);
    if (code != 0) {
        rm_log(RM_LOG_ERROR, "net", "cannot make loop %u: %s", index, uv_strerror(code));
        status = rm_net__uv_status(code);
        goto fail_loop;
    }
    status = handles_init(loop);
    if (status != RM_OK)
        goto fail_handles;
    loop->spare_fd = rm_net__spare_fd();
    *ret_loop = loop;
    return RM_OK;

fail_handles:
    uv_loop_close(&loop->uv);
fail_loop:
    rm_arena_pool_destroy(loop->arenas);
fail_pool:
    rm_free(loop);
    return status;
}

static void close_handle(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_own_handles(rm_loop *loop)
{
    close_handle((uv_handle_t *)&loop->wake, NULL);
    close_handle((uv_handle_t *)&loop->prepare, NULL);
    close_handle((uv_handle_t *)&loop->check, NULL);
    close_handle((uv_handle_t *)&loop->idle, NULL);
    close_handle((uv_handle_t *)&loop->wheel.uv, NULL);
}

static void on_listener_gone(void *user)
{
    (void)user;
}

void rm_loop_destroy(rm_loop *loop)
{
    if (!loop)
        return;
    current = loop;
    for (rm_link *link = loop->listeners.next; link != &loop->listeners; link = link->next) {
        rm_listener *listener = RM_CONTAINER_OF(link, rm_listener, link);

        if (!listener->closing)
            rm_listener_close(listener, on_listener_gone, NULL);
    }
    while (!rm_list_empty(&loop->listeners) || loop->local_first || atomic_load(&loop->mailbox)) {
        mailbox_drain(loop);
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    close_own_handles(loop);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    if (uv_loop_close(&loop->uv) != 0) {
        rm_log(RM_LOG_WARN, "net", "loop %u: handles of others were still open", loop->index);
        uv_walk(&loop->uv, close_handle, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        RM_CHECK(uv_loop_close(&loop->uv) == 0);
    }
    current = NULL;
    if (loop->spare_fd >= 0)
        close(loop->spare_fd);
    rm_buf_deinit(&loop->head);
    rm_buf_deinit(&loop->scratch);
    rm_buf_deinit(&loop->gathered);
    rm_arena_pool_destroy(loop->arenas);
    rm_free(loop);
}

/* A write to a caller who has left is an error code, not the end of the process. The mask stays: a signal that came
 * meanwhile must not be delivered afterwards. */
static void block_sigpipe(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void rm_loop_run(rm_loop *loop)
{
    block_sigpipe();
    current = loop;
    mailbox_drain(loop); /* what was posted before there was a thread comes first */
    if (!atomic_load_explicit(&loop->stopping, memory_order_acquire))
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    current = NULL;
}

void rm_loop_stop(rm_loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    uv_async_send(&loop->wake);
}

rm_exec *rm_loop_exec(rm_loop *loop)
{
    return &loop->exec;
}

rm_arena_pool *rm_loop_arenas(rm_loop *loop)
{
    return loop->arenas;
}

unsigned rm_loop_index(const rm_loop *loop)
{
    return loop->index;
}

void *rm_loop_uv(rm_loop *loop)
{
    return &loop->uv;
}

/* RFC 9110 5.6.7, made once a second; strftime would follow the locale. */
static void date_make(char *text, size_t size, time_t seconds)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(text, size, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100,
             months[tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

rm_slice rm_net__date(rm_loop *loop)
{
    uint64_t now = uv_now(&loop->uv);

    if (now >= loop->date_until_ms) {
        const rm_clock *clock = rm_clock_system();
        uint64_t wall = clock->wall_ms(clock);

        date_make(loop->date, sizeof(loop->date), (time_t)(wall / 1000));
        loop->date_until_ms = now + 1000 - wall % 1000;
    }
    return rm_slice_make(loop->date, 29);
}
