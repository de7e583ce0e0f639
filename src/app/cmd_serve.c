/* remora serve: wires the modules, then watches over them.
 *
 *   main thread    signals, the ledger's flush once a second, reloads, shutdown
 *   loop threads   data (loops.c)
 *   admin thread   metrics, health, API
 *   writer, log    the store's and the access log's own threads
 *
 * Start: configuration, store, loops, admin, ready. End: not ready, drain, close, last flush, store, log. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "app_internal.h"
#include "serve.h"

typedef struct server {
    const char *config_path;
    rm_proxy proxy;
    rm_settings *settings;
    rm_app_keeping *keeping; /* NULL: no semantic cache so far */
    pthread_mutex_t lock;    /* guards settings and keeping, which the admin thread reads too */
    rm_app_loops *loops;
    rm_loop *admin_loop;
    rm_admin *admin;
    pthread_t admin_thread;
    bool admin_runs;
    rm_task admin_close;
    _Atomic bool ready;
    uint64_t started_ms;
    unsigned calm_turns; /* since a burst of requests */
} server;

static uint64_t wall_ms(void)
{
    return rm_clock_system()->wall_ms(rm_clock_system());
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

/* Loads configuration and prices; says on standard error what is wrong. */
static rm_settings *load_settings(const char *path)
{
    rm_config *config = NULL;
    rm_config_errors errors;
    rm_config_errors_init(&errors);
    rm_status status = rm_config_load(path, &config, &errors);
    if (status != RM_OK)
        fwrite(errors.text.ptr ? errors.text.ptr : "", 1, errors.text.len, stderr);
    rm_config_errors_deinit(&errors);
    if (status != RM_OK)
        return NULL;
    rm_prices *prices = NULL;
    size_t skipped = 0;
    if (config->prices) {
        status = rm_prices_load(config->prices, &prices, &skipped);
        if (status != RM_OK)
            rm_log(RM_LOG_WARN, "app", "prices of %s cannot be used (%s): the built-in table of %s serves",
                   config->prices, rm_status_text(status), rm_prices_built_in_date());
        else if (skipped)
            rm_log(RM_LOG_WARN, "app", "%s: %zu models could not be read and are left out", config->prices, skipped);
    }
    rm_log_set_level(config->log.level);
    return rm_settings_create(config, prices);
}

static rm_config *current_config(void *user)
{
    server *self = user;
    pthread_mutex_lock(&self->lock);
    rm_config *config = rm_config_ref(self->settings->config);
    pthread_mutex_unlock(&self->lock);
    return config;
}

static rm_keeper *current_keeper(void *user)
{
    server *self = user;
    pthread_mutex_lock(&self->lock);
    rm_keeper *keeper = self->keeping ? rm_app_keeping_keeper(self->keeping) : NULL;
    pthread_mutex_unlock(&self->lock);
    return keeper;
}

static bool is_ready(void *user)
{
    server *self = user;
    return atomic_load(&self->ready);
}

/* /proc/self/statm: total and resident pages. */
static uint64_t resident_bytes(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    rm_slice rest = rm_slice_cstr(got), pages;
    uint64_t count = 0;
    for (unsigned column = 0; column < 2; column++)
        if (!rm_slice_split(&rest, ' ', &pages))
            return 0;
    if (rm_parse_u64(pages, &count) != RM_OK)
        return 0;
    return count * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void fill_gauges(void *user, rm_gauges *gauges)
{
    server *self = user;
    rm_app_loops_gauges(self->loops, gauges);
    rm_flights_count(self->proxy.flights, &gauges->flights, &gauges->flight_followers);
    pthread_mutex_lock(&self->lock);
    rm_app_sum_lanes(self->settings, &gauges->embed);
    pthread_mutex_unlock(&self->lock);
    gauges->requests_in_flight = atomic_load(&self->proxy.in_flight);
    gauges->resident_bytes = resident_bytes();
    gauges->uptime_s = (wall_ms() - self->started_ms) / 1000;
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

/* Every caller and every upstream is a descriptor. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Without a store everything goes through uncached: promise 1. Only another Remora on the folder is a refusal. */
static rm_status open_store(server *self, const rm_config *config)
{
    rm_store_options options = {
        .folder = config->data,
        .bytes_max = config->cache.exact.bytes_max,
        .clock = rm_clock_system(),
        .compress = config->cache.exact.compress,
    };
    rm_status status = rm_store_open(&options, &self->proxy.store);
    if (status == RM_ELOCKED) {
        rm_log(RM_LOG_ERROR, "app", "another Remora serves from %s: stop it, or set `data` to another folder",
               config->data);
        return status;
    }
    if (status != RM_OK)
        rm_log(RM_LOG_WARN, "app", "no cache: the folder %s cannot be used (%s)", config->data, rm_status_text(status));
    if (rm_store_secret(config->data, self->proxy.secret) == RM_OK)
        return RM_OK;
    rm_log(RM_LOG_WARN, "app", "the install secret in %s cannot be used: entries of before will not be found",
           config->data);
    return rm_random_bytes(self->proxy.secret, sizeof self->proxy.secret);
}

/* The keeper begins with the first settings that have a model for it, and stays. */
static void keep(server *self, rm_settings *settings)
{
    if (settings->semantic && self->proxy.store && !self->keeping) {
        rm_app_keeping *keeping = NULL;
        rm_status status = rm_app_keeping_start(settings, self->proxy.store, &keeping);
        if (status != RM_OK)
            rm_log(RM_LOG_WARN, "app", "the semantic cache is off: %s", rm_status_text(status));
        pthread_mutex_lock(&self->lock);
        self->keeping = keeping;
        pthread_mutex_unlock(&self->lock);
    }
    if (settings->semantic && self->keeping)
        settings->keeper = rm_app_keeping_keeper(self->keeping);
}

static void *run_admin(void *user)
{
    server *self = user;
    rm_loop_run(self->admin_loop);
    return NULL;
}

static rm_status start_admin(server *self, const rm_config *config)
{
    rm_admin_context context = {
        .observe = self->proxy.observe,
        .store = self->proxy.store,
        .clock = rm_clock_system(),
        .gauges = fill_gauges,
        .ready = is_ready,
        .config = current_config,
        .keeper = current_keeper,
        .user = self,
    };
    rm_status status = rm_loop_create(config->loops, &self->admin_loop);
    if (status == RM_OK)
        status = rm_admin_create(self->admin_loop, config->admin, &context, &self->admin);
    if (status != RM_OK)
        return status;
    if (pthread_create(&self->admin_thread, NULL, run_admin, self) != 0)
        return RM_EINTERNAL;
    self->admin_runs = true;
    return RM_OK;
}

/* What the system refused (an address, a file, a folder in use) was said where it happened, by name and reason. */
static bool is_said(rm_status status)
{
    return status == RM_EIO || status == RM_ELOCKED;
}

static rm_status start(server *self)
{
    const rm_config *config = self->settings->config;
    self->started_ms = wall_ms();
    self->proxy.flights = rm_flights_create();
    if (!self->proxy.flights)
        return RM_ENOMEM;
    rm_status status = open_store(self, config);
    if (status == RM_OK)
        keep(self, self->settings);
    if (status == RM_OK)
        status = rm_observe_create(config->log.access, config->loops, &self->proxy.observe);
    if (status == RM_OK)
        status = rm_app_loops_create(&self->proxy, self->settings, &self->loops);
    if (status == RM_OK)
        status = start_admin(self, config);
    if (status == RM_OK)
        status = rm_app_loops_start(self->loops);
    if (status != RM_OK) {
        if (!is_said(status))
            rm_log(RM_LOG_ERROR, "app", "cannot start: %s", rm_status_text(status));
        return status;
    }
    atomic_store(&self->ready, true);
    rm_log(RM_LOG_INFO, "app", "remora %s serves on %s (admin %s, %u loops, data %s, upstream %s at %s)",
           REMORA_VERSION, config->listen, config->admin, config->loops, config->data, config->upstreams[0].name,
           config->upstreams[0].base_url);
    return RM_OK;
}

/* ---- watch ------------------------------------------------------------------------------------------------------- */

static void flush_ledger(server *self)
{
    rm_ledger_row *rows = NULL;
    size_t count = 0;
    if (rm_observe_take_ledger(self->proxy.observe, &rows, &count) != RM_OK)
        return;
    rm_status status = count == 0          ? RM_OK
                       : self->proxy.store ? rm_store_ledger_add(self->proxy.store, rows, count)
                                           : RM_EIO;
    if (status != RM_OK) {
        rm_observe_lose_ledger(self->proxy.observe, count);
        rm_log_limited(RM_LOG_WARN, "app", "%zu rows of the ledger were lost: %s", count, rm_status_text(status));
    }
    rm_free(rows);
}

/* What a running process cannot change is said, not done. */
static rm_status keep_fixed(const rm_config *now, rm_config *next)
{
    rm_buf paths;
    rm_buf_init(&paths, 4 * RM_KIB);
    rm_status status = rm_app_keep_fixed(now, next, &paths);
    if (status == RM_OK && paths.len)
        rm_log(RM_LOG_WARN, "app", "changed in the file, but need a restart (the old values stay in force): %.*s",
               (int)paths.len, paths.ptr);
    rm_buf_deinit(&paths);
    return status;
}

static void reload(server *self)
{
    rm_observe_reopen(self->proxy.observe);
    rm_settings *next = load_settings(self->config_path);
    if (!next) {
        rm_log(RM_LOG_ERROR, "app", "the configuration was not reloaded: it has mistakes; the old one stays in force");
        return;
    }
    rm_settings *old = self->settings;
    rm_status status = keep_fixed(old->config, next->config);
    if (status == RM_OK)
        status = rm_app_add_locals(next, old);
    if (status == RM_OK)
        status = rm_app_add_semantic(next, old);
    if (status != RM_OK) {
        rm_log(RM_LOG_ERROR, "app", "the configuration was not reloaded: %s", rm_status_text(status));
        rm_settings_unref(next);
        return;
    }
    keep(self, next);
    status = rm_app_loops_configure(self->loops, next);
    if (status != RM_OK)
        rm_log(RM_LOG_ERROR, "app", "some loops keep the old configuration: %s", rm_status_text(status));
    pthread_mutex_lock(&self->lock);
    self->settings = next;
    pthread_mutex_unlock(&self->lock);
    rm_settings_unref(old);
    rm_log(RM_LOG_INFO, "app", "configuration reloaded");
}

#define BURST_MIN  64ULL /* requests at once */
#define CALM_TURNS 5U    /* of the watch, with less than a quarter of them: it is over */

/* What a burst took the heap keeps in pieces between what still lives; once it is over, whole free pages go back. */
static void give_back_memory(server *self)
{
    uint64_t now = atomic_load(&self->proxy.in_flight), peak = atomic_load(&self->proxy.in_flight_peak);
    self->calm_turns = peak >= BURST_MIN && now <= peak / 4 ? self->calm_turns + 1 : 0;
    if (self->calm_turns < CALM_TURNS)
        return;
    rm_alloc_trim();
    atomic_store(&self->proxy.in_flight_peak, now);
    self->calm_turns = 0;
}

static int wait_signal(const sigset_t *set, uint64_t wait_ms)
{
    struct timespec wait = {(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * 1000000L};
    return sigtimedwait(set, NULL, &wait);
}

static void watch(server *self, const sigset_t *set)
{
    for (;;) {
        int signal_number = wait_signal(set, 1000);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            return;
        if (signal_number == SIGHUP)
            reload(self);
        flush_ledger(self);
        give_back_memory(self);
    }
}

/* A second SIGTERM or SIGINT ends the waiting. */
static void drain(server *self, const sigset_t *set)
{
    uint64_t deadline_ms = self->settings->config->timeouts.drain_ms;
    atomic_store(&self->ready, false);
    rm_log(RM_LOG_INFO, "app", "draining for at most %llu ms", (unsigned long long)deadline_ms);
    rm_app_loops_drain(self->loops, deadline_ms);
    while (!rm_app_loops_drained(self->loops)) {
        int signal_number = wait_signal(set, 20);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            return;
    }
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static void on_admin_closed(void *user)
{
    server *self = user;
    rm_loop_stop(self->admin_loop);
}

static void run_admin_close(rm_task *task)
{
    server *self = RM_CONTAINER_OF(task, server, admin_close);
    rm_admin_close(self->admin, on_admin_closed, self);
}

static void stop_admin(server *self)
{
    if (self->admin) {
        self->admin_close.run = run_admin_close;
        rm_exec_post(rm_loop_exec(self->admin_loop), &self->admin_close);
        if (self->admin_runs)
            pthread_join(self->admin_thread, NULL);
        else
            rm_loop_run(self->admin_loop);
    }
    rm_loop_destroy(self->admin_loop);
}

static void stop(server *self)
{
    stop_admin(self);
    rm_app_loops_destroy(self->loops);
    if (self->proxy.observe)
        flush_ledger(self);
    rm_app_keeping_stop(self->keeping);
    rm_store_close(self->proxy.store);
    rm_observe_destroy(self->proxy.observe);
    rm_flights_destroy(self->proxy.flights);
    rm_settings_unref(self->settings);
    pthread_mutex_destroy(&self->lock);
}

static int serve(const char *config_path)
{
    server self = {.config_path = config_path};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    pthread_mutex_init(&self.lock, NULL);
#ifdef REMORA_FAULTS
    const char *faults = getenv("REMORA_FAULTS");
    if (faults && rm_fault_set_text(faults) != RM_OK)
        fprintf(stderr, "remora: REMORA_FAULTS names no fault: %s\n", faults);
#endif
    self.settings = load_settings(config_path);
    if (!self.settings)
        return 1;
    rm_status status = rm_app_add_locals(self.settings, NULL);
    if (status == RM_OK)
        status = rm_app_add_semantic(self.settings, NULL);
    if (status == RM_OK)
        status = start(&self);
    if (status == RM_OK) {
        watch(&self, &set);
        drain(&self, &set);
    }
    stop(&self);
    if (status == RM_OK)
        rm_log(RM_LOG_INFO, "app", "stopped");
    return status == RM_OK ? 0 : 1;
}

int rm_app_serve(int argc, char **argv)
{
    const char *config_path = NULL;
    const rm_app_option options[] = {RM_APP_CONFIG_OPTION(&config_path)};
    const rm_app_command command = {
        .usage = "remora serve [-c FILE]",
        .about = "Runs the sidecar until SIGTERM or SIGINT, which drain it first. SIGHUP reads the configuration\n"
                 "and reopens the access log. Without -c the defaults serve.",
        .options = options,
        .option_count = RM_COUNT(options),
    };
    int go = rm_app_parse(&command, argc, argv);
    return go == RM_APP_GO ? serve(config_path) : go;
}
