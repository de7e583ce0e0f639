/* One loop's proxy: its listener, its upstream clients, its generations of configuration, and its end.
 *
 * Shutdown in order: drain (no accepts; requests end by themselves or are cut at the deadline), close (listener, then
 * the clients, then what they still held), on_closed. */
#include "proxy_internal.h"

#define RESERVE 16u

rm_settings *rm_settings_create(rm_config *config, rm_prices *prices)
{
    rm_settings *settings = rm_calloc(1, sizeof *settings);
    if (!settings) {
        rm_config_unref(config);
        rm_prices_destroy(prices);
        return NULL;
    }
    settings->config = config;
    settings->prices = prices;
    atomic_init(&settings->refs, 1);
    return settings;
}

rm_settings *rm_settings_ref(rm_settings *settings)
{
    atomic_fetch_add_explicit(&settings->refs, 1, memory_order_relaxed);
    return settings;
}

void rm_settings_unref(rm_settings *settings)
{
    if (!settings || atomic_fetch_sub_explicit(&settings->refs, 1, memory_order_acq_rel) != 1)
        return;
    rm_config_unref(settings->config);
    rm_prices_destroy(settings->prices);
    while (settings->local_count)
        rm_local_model_unref(settings->locals[--settings->local_count]);
    rm_free(settings->locals);
    rm_local_model_unref(settings->semantic);
    rm_free(settings);
}

rm_status rm_settings_add_local(rm_settings *settings, rm_local_model *local)
{
    rm_local_model **locals = rm_realloc(settings->locals, (settings->local_count + 1) * sizeof *locals);
    if (!locals) {
        rm_local_model_unref(local);
        return RM_ENOMEM;
    }
    locals[settings->local_count++] = local;
    settings->locals = locals;
    return RM_OK;
}

rm_local_model *rm_settings_local(const rm_settings *settings, rm_slice name)
{
    for (size_t i = 0; i < settings->local_count; i++)
        if (rm_slice_eq(rm_slice_cstr(settings->locals[i]->name), name))
            return settings->locals[i];
    return NULL;
}

/* ---- generations ------------------------------------------------------------------------------------------------- */

static void generation_free(rm_generation *generation)
{
    rm_worker *worker = generation->worker;
    rm_settings_unref(generation->settings);
    rm_free(generation);
    worker->generations--;
    rm_proxy__worker_check_idle(worker);
}

static void on_client_closed(void *user)
{
    rm_generation *generation = user;
    if (--generation->clients_open == 0)
        generation_free(generation);
}

rm_generation *rm_proxy__generation_ref(rm_generation *generation)
{
    generation->refs++;
    return generation;
}

void rm_proxy__generation_unref(rm_generation *generation)
{
    if (!generation || --generation->refs)
        return;
    size_t count = generation->config->upstream_count;
    /* One more than there are, so that the last close callback cannot come before the loop is through. */
    generation->clients_open++;
    for (size_t i = 0; i < count; i++)
        rm_upstream_client_close(generation->clients[i], on_client_closed, generation);
    on_client_closed(generation);
}

static rm_status make_client(rm_worker *worker, const rm_config *config, const rm_config_upstream *upstream,
                             rm_upstream_client **ret_client)
{
    rm_upstream_client_options options = {
        .ca_file = upstream->ca_file,
        .proxy = upstream->proxy,
        .tls_verify = upstream->tls_verify,
        .http2 = upstream->http2,
        .retry_budget = config->retries.budget,
        .retry_budget_min = config->retries.budget_min,
        .rng_seed = rm_rng_next(&worker->rng),
    };
    return rm_upstream_client_create(worker->loop, &options, ret_client);
}

static rm_status generation_create(rm_worker *worker, rm_settings *settings, rm_generation **ret_generation)
{
    const rm_config *config = settings->config;
    size_t count = config->upstream_count;
    rm_generation *generation = rm_calloc(1, sizeof *generation + count * sizeof generation->clients[0]);
    if (!generation)
        return RM_ENOMEM;
    generation->worker = worker;
    generation->settings = rm_settings_ref(settings);
    generation->config = config;
    generation->refs = 1;
    worker->generations++;
    for (size_t i = 0; i < count; i++) {
        rm_status status = make_client(worker, config, &config->upstreams[i], &generation->clients[i]);
        if (status != RM_OK) {
            rm_log(RM_LOG_ERROR, "proxy", "no client for the upstream %s on loop %u: %s", config->upstreams[i].name,
                   rm_loop_index(worker->loop), rm_status_text(status));
            generation->clients_open++;
            while (i-- > 0)
                rm_upstream_client_close(generation->clients[i], on_client_closed, generation);
            on_client_closed(generation);
            return status;
        }
        generation->clients_open++;
    }
    *ret_generation = generation;
    return RM_OK;
}

static rm_server_options server_options(rm_worker *worker, const rm_config *config)
{
    return (rm_server_options){
        .ops = &rm_proxy__server_ops,
        .server_user = worker,
        .header_timeout_ms = config->timeouts.header_ms,
        .body_timeout_ms = config->timeouts.body_ms,
        .idle_timeout_ms = config->timeouts.idle_ms,
        .write_timeout_ms = config->timeouts.stream_idle_ms,
        .connections_max = config->limits.connections,
        .connections_per_address_max = config->limits.connections_per_address,
        .reuse_port = true,
        .cors = config->cors,
    };
}

rm_status rm_worker_configure(rm_worker *worker, rm_settings *settings)
{
    rm_generation *generation = NULL;
    rm_status status = generation_create(worker, settings, &generation);
    if (status != RM_OK)
        return status;
    rm_generation *old = worker->generation;
    worker->generation = generation;
    /* Whose a credential is depends on the configuration. */
    memset(worker->memo, 0, RM_PROXY_TENANT_MEMO_SLOTS * sizeof *worker->memo);
    if (worker->listener) {
        rm_server_options options = server_options(worker, settings->config);
        rm_listener_set_options(worker->listener, &options);
    }
    rm_proxy__generation_unref(old);
    return RM_OK;
}

/* ---- life of a worker -------------------------------------------------------------------------------------------- */

/* The first requests of a burst shall need no memory that may not be there. */
static void keep_reserve(rm_worker *worker)
{
    rm_arena arenas[RESERVE];
    for (unsigned i = 0; i < RESERVE; i++) {
        rm_arena_init(&arenas[i], rm_loop_arenas(worker->loop), RM_ARENA_BLOCK_BYTES);
        (void)!rm_arena_alloc(&arenas[i], 1);
    }
    for (unsigned i = 0; i < RESERVE; i++)
        rm_arena_deinit(&arenas[i]);
    rm_exchange__reserve(worker, RESERVE);
}

rm_status rm_worker_create(rm_proxy *proxy, rm_loop *loop, rm_settings *settings, rm_worker **ret_worker)
{
    rm_worker *worker = rm_calloc(1, sizeof *worker);
    if (!worker)
        return RM_ENOMEM;
    rm_status status = RM_ENOMEM;
    uint64_t seed;
    worker->proxy = proxy;
    worker->loop = loop;
    worker->exec = rm_loop_exec(loop);
    worker->observer = rm_observe_thread(proxy->observe, rm_loop_index(loop));
    rm_list_init(&worker->fetch_list);
    rm_list_init(&worker->inquiry_list);
    rm_list_init(&worker->opinion_list);
    rm_list_init(&worker->gathering);
    worker->flush.run = rm_fetch__run_flush;
    rm_buf_init(&worker->render, 2 * RM_STORE_RECORD_BYTES_MAX);
    worker->memo = rm_calloc(RM_PROXY_TENANT_MEMO_SLOTS, sizeof *worker->memo);
    if (!worker->memo)
        goto fail;
    status = rm_random_bytes(&seed, sizeof seed);
    if (status != RM_OK)
        goto fail;
    rm_rng_seed(&worker->rng, seed);
    if (proxy->store) {
        status = rm_store_reader_create(proxy->store, &worker->reader);
        if (status != RM_OK)
            rm_log(RM_LOG_WARN, "proxy", "no cache on loop %u: %s", rm_loop_index(loop), rm_status_text(status));
    }
    status = rm_worker_configure(worker, settings);
    if (status != RM_OK)
        goto fail;
    keep_reserve(worker);
    *ret_worker = worker;
    return RM_OK;
fail:
    rm_store_reader_destroy(worker->reader);
    rm_buf_deinit(&worker->render);
    rm_free(worker->memo);
    rm_free(worker);
    return status;
}

rm_status rm_worker_listen(rm_worker *worker)
{
    const rm_config *config = worker->generation->config;
    rm_server_options options = server_options(worker, config);
    /* A Unix socket has one listener: the kernel spreads only TCP over several. */
    if (rm_slice_has_prefix(rm_slice_cstr(config->listen), RM_SLICE("unix:")) && rm_loop_index(worker->loop) > 0)
        return RM_OK;
    return rm_listener_open(worker->loop, config->listen, &options, &worker->listener);
}

static void worker_free(rm_worker *worker)
{
    void (*on_closed)(void *user) = worker->on_closed;
    void *user = worker->closed_user;
    for (rm_exchange *spare = worker->spare, *next; spare; spare = next) {
        next = spare->next_spare;
        rm_free(spare);
    }
    rm_store_reader_destroy(worker->reader);
    rm_buf_deinit(&worker->render);
    while (worker->gather_spare_count)
        rm_buf_deinit(&worker->gather_spares[--worker->gather_spare_count]);
    rm_free(worker->memo);
    rm_free(worker);
    on_closed(user);
}

static void report_drained(rm_worker *worker)
{
    void (*on_drained)(void *user) = worker->on_drained;
    if (!on_drained)
        return;
    worker->on_drained = NULL;
    rm_timer_stop(worker->exec, &worker->drain_timer);
    on_drained(worker->drained_user);
}

void rm_proxy__worker_check_idle(rm_worker *worker)
{
    if (worker->draining && worker->exchanges == 0 && worker->fetches == 0)
        report_drained(worker);
    if (worker->closing && worker->listener_closed && !worker->flush_posted && worker->exchanges == 0 &&
        worker->fetches == 0 && worker->inquiries == 0 && worker->generations == 0) {
        worker->closing = false;
        worker_free(worker);
    }
}

static void on_drain_deadline(rm_timer *timer)
{
    rm_worker *worker = RM_CONTAINER_OF(timer, rm_worker, drain_timer);
    rm_log(RM_LOG_WARN, "proxy", "drain deadline passed: %u requests are cut off", worker->exchanges);
    report_drained(worker);
}

void rm_worker_drain(rm_worker *worker, uint64_t deadline_ms, void (*on_drained)(void *user), void *user)
{
    worker->draining = true;
    worker->on_drained = on_drained;
    worker->drained_user = user;
    worker->drain_timer.fire = on_drain_deadline;
    if (worker->listener)
        rm_listener_drain(worker->listener);
    rm_timer_start(worker->exec, &worker->drain_timer, deadline_ms);
    rm_proxy__worker_check_idle(worker);
}

static void on_listener_closed(void *user)
{
    rm_worker *worker = user;
    worker->listener_closed = true;
    for (rm_link *link = worker->fetch_list.next, *next; link != &worker->fetch_list; link = next) {
        next = link->next;
        rm_fetch__cancel(RM_CONTAINER_OF(link, rm_fetch, link));
    }
    rm_inquiry__cancel_all(worker);
    rm_opinion__cancel_all(worker);
    rm_generation *generation = worker->generation;
    worker->generation = NULL;
    rm_proxy__generation_unref(generation);
}

void rm_worker_close(rm_worker *worker, void (*on_closed)(void *user), void *user)
{
    worker->closing = true;
    worker->on_closed = on_closed;
    worker->closed_user = user;
    rm_timer_stop(worker->exec, &worker->drain_timer);
    if (worker->listener)
        rm_listener_close(worker->listener, on_listener_closed, worker);
    else
        on_listener_closed(worker);
}

unsigned rm_worker_connections(const rm_worker *worker)
{
    return atomic_load_explicit(&worker->connections_seen, memory_order_relaxed);
}

unsigned rm_worker_upstream_calls(const rm_worker *worker)
{
    return atomic_load_explicit(&worker->calls_seen, memory_order_relaxed);
}
