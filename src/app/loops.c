/* The loop threads: one worker each, told what to do through its executor. */
#include "serve.h"

typedef struct loop_thread {
    rm_app_loops *all;
    rm_loop *loop;
    rm_worker *worker;
    pthread_t thread;
    bool started;
    rm_task configure, drain, close;
} loop_thread;

struct rm_app_loops {
    unsigned count;
    uint64_t drain_ms;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Guarded by lock. */
    rm_settings *settings;
    unsigned configured, drained;
    rm_status status;
    loop_thread threads[];
};

static void run_configure(rm_task *task)
{
    loop_thread *thread = RM_CONTAINER_OF(task, loop_thread, configure);
    rm_app_loops *all = thread->all;
    pthread_mutex_lock(&all->lock);
    rm_settings *settings = rm_settings_ref(all->settings);
    pthread_mutex_unlock(&all->lock);
    rm_status status = rm_worker_configure(thread->worker, settings);
    rm_settings_unref(settings);
    pthread_mutex_lock(&all->lock);
    all->configured++;
    if (status != RM_OK)
        all->status = status;
    pthread_cond_signal(&all->changed);
    pthread_mutex_unlock(&all->lock);
}

static void on_drained(void *user)
{
    loop_thread *thread = user;
    pthread_mutex_lock(&thread->all->lock);
    thread->all->drained++;
    pthread_mutex_unlock(&thread->all->lock);
}

static void run_drain(rm_task *task)
{
    loop_thread *thread = RM_CONTAINER_OF(task, loop_thread, drain);
    rm_worker_drain(thread->worker, thread->all->drain_ms, on_drained, thread);
}

static void on_closed(void *user)
{
    loop_thread *thread = user;
    thread->worker = NULL;
    rm_loop_stop(thread->loop);
}

static void run_close(rm_task *task)
{
    loop_thread *thread = RM_CONTAINER_OF(task, loop_thread, close);
    rm_worker_close(thread->worker, on_closed, thread);
}

static void *run_thread(void *user)
{
    loop_thread *thread = user;
    rm_loop_run(thread->loop);
    return NULL;
}

rm_status rm_app_loops_create(rm_proxy *proxy, rm_settings *settings, rm_app_loops **ret_loops)
{
    unsigned count = settings->config->loops;
    rm_app_loops *loops = rm_calloc(1, sizeof *loops + count * sizeof loops->threads[0]);
    if (!loops)
        return RM_ENOMEM;
    pthread_mutex_init(&loops->lock, NULL);
    pthread_cond_init(&loops->changed, NULL);
    /* The loops share the address, but with no other process. */
    rm_status status = rm_listener_probe(settings->config->listen);
    for (unsigned i = 0; i < count && status == RM_OK; i++) {
        loop_thread *thread = &loops->threads[i];
        thread->all = loops;
        thread->configure.run = run_configure;
        thread->drain.run = run_drain;
        thread->close.run = run_close;
        loops->count++;
        status = rm_loop_create(i, &thread->loop);
        if (status == RM_OK)
            status = rm_worker_create(proxy, thread->loop, settings, &thread->worker);
        if (status == RM_OK)
            status = rm_worker_listen(thread->worker);
    }
    if (status != RM_OK) {
        rm_app_loops_destroy(loops);
        return status;
    }
    *ret_loops = loops;
    return RM_OK;
}

rm_status rm_app_loops_start(rm_app_loops *loops)
{
    for (unsigned i = 0; i < loops->count; i++) {
        if (pthread_create(&loops->threads[i].thread, NULL, run_thread, &loops->threads[i]) != 0)
            return RM_EINTERNAL;
        loops->threads[i].started = true;
    }
    return RM_OK;
}

rm_status rm_app_loops_configure(rm_app_loops *loops, rm_settings *settings)
{
    pthread_mutex_lock(&loops->lock);
    loops->settings = settings;
    loops->configured = 0;
    loops->status = RM_OK;
    for (unsigned i = 0; i < loops->count; i++)
        rm_exec_post(rm_loop_exec(loops->threads[i].loop), &loops->threads[i].configure);
    while (loops->configured < loops->count)
        pthread_cond_wait(&loops->changed, &loops->lock);
    rm_status status = loops->status;
    pthread_mutex_unlock(&loops->lock);
    return status;
}

void rm_app_loops_drain(rm_app_loops *loops, uint64_t deadline_ms)
{
    loops->drain_ms = deadline_ms;
    for (unsigned i = 0; i < loops->count; i++)
        rm_exec_post(rm_loop_exec(loops->threads[i].loop), &loops->threads[i].drain);
}

bool rm_app_loops_drained(rm_app_loops *loops)
{
    pthread_mutex_lock(&loops->lock);
    bool all = loops->drained == loops->count;
    pthread_mutex_unlock(&loops->lock);
    return all;
}

void rm_app_loops_destroy(rm_app_loops *loops)
{
    if (!loops)
        return;
    for (unsigned i = 0; i < loops->count; i++) {
        loop_thread *thread = &loops->threads[i];
        if (!thread->worker)
            continue;
        rm_exec_post(rm_loop_exec(thread->loop), &thread->close);
        /* A loop that never ran runs here, just to close. */
        if (!thread->started)
            rm_loop_run(thread->loop);
    }
    for (unsigned i = 0; i < loops->count; i++) {
        if (loops->threads[i].started)
            pthread_join(loops->threads[i].thread, NULL);
        rm_loop_destroy(loops->threads[i].loop);
    }
    pthread_cond_destroy(&loops->changed);
    pthread_mutex_destroy(&loops->lock);
    rm_free(loops);
}

void rm_app_loops_gauges(rm_app_loops *loops, rm_gauges *gauges)
{
    for (unsigned i = 0; i < loops->count; i++) {
        gauges->connections += rm_worker_connections(loops->threads[i].worker);
        gauges->upstream_calls += rm_worker_upstream_calls(loops->threads[i].worker);
    }
}
