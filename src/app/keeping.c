/* The semantic cache's keeper and the thread that does its slow work. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "serve.h"

#define PAUSE_MS 100
#define LOAD_MS  250
#define NS_A_MS  1000000L
#define NS_A_S   1000000000L

struct rm_app_keeping {
    rm_keeper *keeper;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, runs;
};

/* False: to stop. */
static bool pause_a_little(rm_app_keeping *keeping)
{
    struct timespec due;

    clock_gettime(CLOCK_REALTIME, &due);
    due.tv_nsec += PAUSE_MS * NS_A_MS;
    due.tv_sec += due.tv_nsec / NS_A_S;
    due.tv_nsec %= NS_A_S;
    pthread_mutex_lock(&keeping->lock);
    while (!keeping->stop && pthread_cond_timedwait(&keeping->wake, &keeping->lock, &due) != ETIMEDOUT)
        continue;
    bool go = !keeping->stop;
    pthread_mutex_unlock(&keeping->lock);
    return go;
}

static bool stopping(rm_app_keeping *keeping)
{
    pthread_mutex_lock(&keeping->lock);
    bool stop = keeping->stop;
    pthread_mutex_unlock(&keeping->lock);
    return stop;
}

static void *run(void *user)
{
    rm_app_keeping *keeping = user;

    rm_thread_background();
    do {
        bool more = true;
        while (more && !stopping(keeping)) {
            more = false;
            rm_status status = rm_keeper_tend(keeping->keeper, &more);
            if (status)
                rm_log_limited(RM_LOG_WARN, "app", "the semantic cache's slow work: %s", rm_status_text(status));
        }
    } while (pause_a_little(keeping));
    return NULL;
}

static rm_status create_keeper(const rm_settings *settings, rm_store *store, rm_keeper **ret_keeper)
{
    const rm_config *config = settings->config;
    const rm_local_model *model = settings->semantic;
    char fingerprint[RM_INDEX_FINGERPRINT_BYTES_MAX], snapshot[PATH_MAX];
    uint32_t hidden = rm_model_shape_of(model->model)->hidden;

    (void)snprintf(fingerprint, sizeof(fingerprint), "%.200s/%u/centred", config->cache.semantic.model, hidden);
    (void)snprintf(snapshot, sizeof(snapshot), "%s/cache/semantic.index", config->data);
    rm_keeper_options options = {.store = store,
                                 .model = config->cache.semantic.model,
                                 .fingerprint = fingerprint,
                                 .dimensions = hidden,
                                 .snapshot = snapshot,
                                 .audit_share = config->cache.semantic.audit,
                                 .guards_ignored = config->cache.semantic.guards_off};
    return rm_keeper_create(&options, ret_keeper);
}

/* What can be loaded in a moment is there before the first request. */
static rm_status load_first(rm_keeper *keeper)
{
    const rm_clock *clock = rm_clock_system();
    uint64_t until_ns = clock->mono_ns(clock) + LOAD_MS * (uint64_t)NS_A_MS;
    rm_status status = RM_OK;

    for (bool more = true; more && !status && clock->mono_ns(clock) < until_ns;)
        status = rm_keeper_tend(keeper, &more);
    return status == RM_ENOMEM ? status : RM_OK; /* the thread tries the rest again */
}

rm_status rm_app_keeping_start(const rm_settings *settings, rm_store *store, rm_app_keeping **ret_keeping)
{
    rm_app_keeping *keeping = rm_calloc(1, sizeof(*keeping));

    if (!keeping)
        return RM_ENOMEM;
    pthread_mutex_init(&keeping->lock, NULL);
    pthread_cond_init(&keeping->wake, NULL);
    rm_status status = create_keeper(settings, store, &keeping->keeper);
    if (!status)
        status = load_first(keeping->keeper);
    if (!status) {
        keeping->runs = pthread_create(&keeping->thread, NULL, run, keeping) == 0;
        status = keeping->runs ? RM_OK : RM_EINTERNAL;
    }
    if (status) {
        rm_app_keeping_stop(keeping);
        return status;
    }
    *ret_keeping = keeping;
    return RM_OK;
}

rm_keeper *rm_app_keeping_keeper(rm_app_keeping *keeping)
{
    return keeping->keeper;
}

void rm_app_keeping_stop(rm_app_keeping *keeping)
{
    if (!keeping)
        return;
    pthread_mutex_lock(&keeping->lock);
    keeping->stop = true;
    pthread_cond_signal(&keeping->wake);
    pthread_mutex_unlock(&keeping->lock);
    if (keeping->runs)
        pthread_join(keeping->thread, NULL);
    rm_keeper_destroy(keeping->keeper);
    pthread_cond_destroy(&keeping->wake);
    pthread_mutex_destroy(&keeping->lock);
    rm_free(keeping);
}
