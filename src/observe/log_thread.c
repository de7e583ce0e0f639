/* The thread that writes the access log, so that no loop ever waits for a disk or a pipe.
 *
 * It wakes every tick, or sooner when a buffer fills, exchanges each thread's buffer for an empty one and writes what
 * it got. What cannot be written is dropped and counted. A pipe is written only when it has room and only as much as
 * then fits, so one that nobody reads is waited for in poll, where the end of the wait at a shutdown is seen. A disk
 * that hangs cannot be treated so: then the thread and what it holds are left behind. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "observe_internal.h"

#define TICK_MS          50
#define FLUSH_MS_MAX     2000 /* of the last writing at shutdown */
#define JOIN_MS_MAX      (FLUSH_MS_MAX + 200)
#define PIPE_BYTES       4096          /* fits where poll says there is room: PIPE_BUF */
#define SPARE_BYTES_KEPT (64 * RM_KIB) /* a buffer that grew is kept only while it is needed */

struct rm_observe__log {
    rm_observe *observe; /* fixed */
    char *path;          /* fixed; NULL: standard output */
    pthread_t thread;

    pthread_mutex_t lock; /* guards the condition only */
    pthread_cond_t wake;
    atomic_bool stop, reopen;
    _Atomic uint64_t dropped, give_up_ns; /* give_up_ns: end of the last writing, fixed before stop */

    int fd;      /* the log thread's from here on */
    bool plain;  /* a regular file, which is always ready */
    bool torn;   /* a line was cut by a failed write: begin a new one first */
    rm_buf text; /* being written */
};

/* Not blocking, for the path may be a FIFO: without a reader that is an error, and a slow one is waited for by poll. */
static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
}

static void use_file(rm_observe__log *log, int fd)
{
    struct stat info;
    log->fd = fd;
    log->plain = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    log->torn = false;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void count_dropped(rm_observe__log *log, rm_slice rest)
{
    uint64_t lines = 0;
    for (const char *at; rest.len && (at = memchr(rest.ptr, '\n', rest.len)); lines++)
        rest = rm_slice_make(at + 1, rest.len - (size_t)(at + 1 - rest.ptr));
    atomic_fetch_add_explicit(&log->dropped, lines, memory_order_relaxed);
    rm_log_limited(RM_LOG_WARN, "observe", "access log: %s; lines are dropped", strerror(errno));
}

static bool given_up(rm_observe__log *log)
{
    const rm_clock *clock = rm_clock_system();
    return atomic_load(&log->stop) && clock->mono_ns(clock) >= atomic_load(&log->give_up_ns);
}

/* As much as can be written without waiting for long; EAGAIN where that is nothing. */
static ssize_t write_some(rm_observe__log *log, rm_slice text)
{
    if (rm_fault(RM_FAULT_LOG_WRITE)) {
        errno = EIO;
        return -1;
    }
    if (log->plain)
        return write(log->fd, text.ptr, text.len);
    int ready = poll(&(struct pollfd){.fd = log->fd, .events = POLLOUT}, 1, TICK_MS);
    if (ready > 0)
        return write(log->fd, text.ptr, text.len < PIPE_BYTES ? text.len : PIPE_BYTES);
    if (ready == 0)
        errno = EAGAIN;
    return -1;
}

static void write_all(rm_observe__log *log, rm_slice text)
{
    if (log->torn && write_some(log, RM_SLICE("\n")) == 1)
        log->torn = false;
    while (text.len) {
        ssize_t wrote = write_some(log, text);
        if (wrote >= 0) {
            text = rm_slice_make(text.ptr + wrote, text.len - (size_t)wrote);
            log->torn = text.len && text.ptr[-1] != '\n';
        } else if ((errno != EINTR && errno != EAGAIN) || given_up(log)) {
            count_dropped(log, text);
            return;
        }
    }
}

static void write_thread(rm_observe__log *log, rm_observe__lines *lines)
{
    rm_buf taken;
    pthread_mutex_lock(&lines->lock);
    taken = lines->text;
    if (taken.len)
        lines->text = log->text;
    pthread_mutex_unlock(&lines->lock);
    if (taken.len == 0)
        return;
    log->text = taken;
    write_all(log, rm_buf_slice(&log->text));
    if (log->text.cap > SPARE_BYTES_KEPT && log->text.len <= SPARE_BYTES_KEPT) {
        rm_buf_deinit(&log->text);
        rm_buf_init(&log->text, RM_LOG_BUFFER_BYTES_MAX);
    }
    rm_buf_clear(&log->text);
}

static void reopen_file(rm_observe__log *log)
{
    if (!atomic_exchange(&log->reopen, false) || !log->path)
        return;
    int fd = open_file(log->path);
    if (fd < 0) {
        rm_log(RM_LOG_ERROR, "observe", "access log %s: %s; the old file stays open", log->path, strerror(errno));
        return;
    }
    close(log->fd);
    use_file(log, fd);
}

static void wait_tick(rm_observe__log *log)
{
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    due.tv_nsec += TICK_MS * 1000000L;
    if (due.tv_nsec >= 1000000000L) {
        due.tv_nsec -= 1000000000L;
        due.tv_sec++;
    }
    pthread_mutex_lock(&log->lock);
    if (!atomic_load(&log->stop))
        pthread_cond_timedwait(&log->wake, &log->lock, &due);
    pthread_mutex_unlock(&log->lock);
}

static void *run(void *user)
{
    rm_observe__log *log = user;
    rm_thread_background();
    for (bool last = false; !last;) {
        wait_tick(log);
        last = atomic_load(&log->stop); /* before the buffers are taken: what was there by then is written */
        reopen_file(log);
        for (unsigned i = 0; i < log->observe->threads; i++)
            write_thread(log, &log->observe->observers[i]->lines);
    }
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static rm_status start_thread(rm_observe__log *log)
{
    sigset_t all, before;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->wake, &attr);
    pthread_condattr_destroy(&attr);
    /* Signals belong to the loops; a closed pipe is an error of write, not a signal. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&log->thread, NULL, run, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return RM_OK;
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    return RM_ENOMEM;
}

static void free_log(rm_observe__log *log)
{
    if (log->path && log->fd >= 0)
        close(log->fd);
    rm_buf_deinit(&log->text);
    rm_free(log->path);
    rm_free(log);
}

rm_status rm_observe__log_create(const char *access, rm_observe *observe, rm_observe__log **ret_log)
{
    rm_observe__log *log = rm_calloc(1, sizeof(*log));
    if (!log)
        return RM_ENOMEM;
    rm_status status = RM_OK;
    log->observe = observe;
    use_file(log, STDOUT_FILENO);
    rm_buf_init(&log->text, RM_LOG_BUFFER_BYTES_MAX);
    if (strcmp(access, "stdout") != 0) {
        log->fd = -1;
        log->path = rm_strdup(access);
        if (!log->path) {
            status = RM_ENOMEM;
            goto out;
        }
        int fd = open_file(access);
        if (fd < 0) {
            rm_log(RM_LOG_ERROR, "observe", "access log %s: %s", access, strerror(errno));
            status = RM_EIO;
            goto out;
        }
        use_file(log, fd);
    }
    status = start_thread(log);
out:
    if (status == RM_OK)
        *ret_log = log;
    else
        free_log(log);
    return status;
}

static bool join_within(pthread_t thread, unsigned ms)
{
    struct timespec due;
    clock_gettime(CLOCK_REALTIME, &due);
    due.tv_sec += ms / 1000;
    due.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (due.tv_nsec >= 1000000000L) {
        due.tv_nsec -= 1000000000L;
        due.tv_sec++;
    }
    return pthread_timedjoin_np(thread, NULL, &due) == 0;
}

bool rm_observe__log_destroy(rm_observe__log *log)
{
    if (!log)
        return true;
    const rm_clock *clock = rm_clock_system();
    atomic_store(&log->give_up_ns, clock->mono_ns(clock) + FLUSH_MS_MAX * 1000000ULL);
    pthread_mutex_lock(&log->lock);
    atomic_store(&log->stop, true);
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
    if (!join_within(log->thread, JOIN_MS_MAX)) {
        rm_log(RM_LOG_WARN, "observe", "access log: a write hangs; the last lines are lost");
        pthread_detach(log->thread);
        return false;
    }
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    free_log(log);
    return true;
}

void rm_observe__log_wake(rm_observe__log *log)
{
    pthread_cond_signal(&log->wake); /* without the lock: a lost one costs a tick */
}

void rm_observe__log_reopen(rm_observe__log *log)
{
    atomic_store(&log->reopen, true);
    pthread_cond_signal(&log->wake);
}

uint64_t rm_observe__log_dropped(const rm_observe__log *log)
{
    return log ? atomic_load_explicit(&log->dropped, memory_order_relaxed) : 0;
}
