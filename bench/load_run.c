/* One round at one target: connections are opened a few at a time, then a warm-up, then the measured window, then what
 * is still on its way gets a grace time. In an open loop each request has an intended time that does not wait for any
 * answer; a request that finds no idle connection leaves late and its latency still counts from when it was due, so a
 * stalled target cannot hide its stall (Tene, "How NOT to Measure Latency"). */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "load_internal.h"

#define TICK_MS             20
#define PROGRESS_NS         500000000ULL
#define CONNECT_TRIES       64             /* refusals in a row before any success: the round is given up */
#define CONNECT_PATIENCE_NS 10000000000ULL /* then the round begins with the connections that there are */

static bool open_loop(const rm_load_run *run)
{
    return run->options->arrival != RM_ARRIVAL_CLOSED;
}

static bool may_launch(const rm_load_run *run, uint64_t at_ns)
{
    return run->launching && at_ns < run->end_ns && (!run->options->count || run->started < run->options->count);
}

/* ---- arrivals ---------------------------------------------------------------------------------------------------- */

static void arm_due(rm_load_run *run, uint64_t due_ns)
{
    struct itimerspec when = {.it_value = {(time_t)(due_ns / 1000000000ULL), (long)(due_ns % 1000000000ULL)}};
    timerfd_settime(run->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void launch_due(rm_load_run *run)
{
    uint64_t due_ns = rm_bench__schedule_due(&run->schedule);
    while (run->idle_count > 0 && may_launch(run, due_ns)) {
        if (due_ns > uv_hrtime()) {
            arm_due(run, due_ns);
            return;
        }
        rm_bench__schedule_advance(&run->schedule, &run->mix.rng);
        rm_load__conn_send(&run->conns[run->idle[--run->idle_count]], due_ns);
        due_ns = rm_bench__schedule_due(&run->schedule);
    }
}

static void on_due(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    rm_load_run *run = poll->data;
    uint64_t expirations;
    if (read(run->timer_fd, &expirations, sizeof(expirations)) == (ssize_t)sizeof(expirations))
        launch_due(run);
}

static void on_stagger(uv_timer_t *timer)
{
    rm_load_conn *conn = timer->data;
    rm_load_run *run = conn->run;
    if (conn->state != RM_LOAD_CONN_IDLE)
        return;
    uint64_t now_ns = uv_hrtime();
    if (may_launch(run, now_ns))
        rm_load__conn_send(conn, now_ns);
}

static void push_idle(rm_load_run *run, rm_load_conn *conn)
{
    run->idle[run->idle_count++] = conn->index;
}

static void drop_idle(rm_load_run *run, const rm_load_conn *conn)
{
    for (size_t i = 0; i < run->idle_count; i++) {
        if (run->idle[i] == conn->index) {
            run->idle[i] = run->idle[--run->idle_count];
            return;
        }
    }
}

void rm_load__run_idle(rm_load_run *run, rm_load_conn *conn)
{
    if (open_loop(run)) {
        push_idle(run, conn);
        if (run->launching)
            launch_due(run);
        return;
    }
    uint64_t now_ns = uv_hrtime();
    if (may_launch(run, now_ns))
        rm_load__conn_send(conn, now_ns);
}

/* ---- phases ------------------------------------------------------------------------------------------------------ */

static void open_more(rm_load_run *run)
{
    while (run->opened < run->conn_count && run->connecting < RM_LOAD_CONNECTING_MAX)
        rm_load__conn_open(&run->conns[run->opened++]);
}

static void begin(rm_load_run *run)
{
    const rm_load_options *options = run->options;
    uint64_t now_ns = uv_hrtime();
    run->begin_ns = now_ns + options->warmup_us * 1000;
    run->end_ns = run->begin_ns + options->duration_us * 1000;
    run->launching = true;
    rm_bench__schedule_init(&run->schedule, options->arrival, options->rate, now_ns);
    if (open_loop(run)) {
        launch_due(run);
        return;
    }
    for (size_t i = 0; i < run->conn_count; i++) {
        rm_load_conn *conn = &run->conns[i];
        if (conn->state != RM_LOAD_CONN_IDLE)
            continue;
        uint64_t delay_ms = options->stagger_us / 1000 * i / run->conn_count;
        if (delay_ms > 0)
            uv_timer_start(&conn->timer, on_stagger, delay_ms, 0);
        else
            rm_load__run_idle(run, conn);
    }
}

void rm_load__run_connected(rm_load_run *run, rm_load_conn *conn)
{
    run->connect_failures = 0;
    if (run->launching) {
        rm_load__run_idle(run, conn);
        return;
    }
    if (open_loop(run))
        push_idle(run, conn);
    open_more(run);
    if (run->opened == run->conn_count && run->connecting == 0 && run->live == run->conn_count)
        begin(run);
}

static void close_all(rm_load_run *run)
{
    if (run->closing)
        return;
    run->closing = true;
    run->launching = false;
    for (size_t i = 0; i < run->conn_count; i++)
        rm_load__conn_fail(&run->conns[i], RM_LOAD_ERROR_unfinished);
    uv_close((uv_handle_t *)&run->tick, NULL);
    uv_close((uv_handle_t *)&run->due, NULL);
}

void rm_load__run_closing(rm_load_run *run, const rm_load_conn *conn)
{
    if (open_loop(run) && conn->state == RM_LOAD_CONN_IDLE)
        drop_idle(run, conn);
}

/* A connection that could be made before is reopened at once, one that was refused at the next tick. */
void rm_load__run_lost(rm_load_run *run, rm_load_conn *conn)
{
    if (!run->closing && run->connect_failures == 0)
        rm_load__conn_open(conn);
}

static void reopen_refused(rm_load_run *run)
{
    if (run->begin_ns == 0 && run->connect_failures >= CONNECT_TRIES) {
        close_all(run);
        return;
    }
    if (run->begin_ns != 0 && run->connect_failures > 0)
        run->stats->errors[RM_LOAD_ERROR_connect]++;
    for (size_t i = 0; i < run->opened && run->connecting < RM_LOAD_CONNECTING_MAX; i++)
        if (run->conns[i].state == RM_LOAD_CONN_CLOSED)
            rm_load__conn_open(&run->conns[i]);
    open_more(run);
}

static void time_out(rm_load_run *run, uint64_t now_ns)
{
    uint64_t timeout_ns = run->options->timeout_us * 1000;
    for (size_t i = 0; i < run->conn_count; i++) {
        rm_load_conn *conn = &run->conns[i];
        if (conn->state == RM_LOAD_CONN_BUSY && now_ns - conn->sent_ns > timeout_ns)
            rm_load__conn_fail(conn, RM_LOAD_ERROR_timeout);
    }
}

static void print_progress(rm_load_run *run, uint64_t now_ns)
{
    const rm_load_stats *stats = run->stats;
    if (run->options->quiet || now_ns < run->next_progress_ns)
        return;
    run->next_progress_ns = now_ns + PROGRESS_NS;
    double seconds = now_ns > run->begin_ns ? (double)(now_ns - run->begin_ns) / 1e9 : 0;
    fprintf(stderr, "\r\033[K%s: %s %.1f s, %llu done, %.0f/s, p50 %.0f us, p99 %.0f us, %llu failed", run->target->url,
            run->begin_ns == 0 ? "connecting"
            : seconds > 0      ? "measuring"
                               : "warming up",
            seconds, (unsigned long long)stats->requests, seconds > 0 ? (double)stats->done_in_window / seconds : 0,
            (double)hdr_value_at_percentile(stats->latency, 50) / 1e3,
            (double)hdr_value_at_percentile(stats->latency, 99) / 1e3,
            (unsigned long long)rm_load__stats_failed(stats));
}

/* ---- what the round cost ----------------------------------------------------------------------------------------- */

static uint64_t own_cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void read_meter(const rm_load_run *run, rm_load_meter *ret_meter)
{
    ret_meter->at_ns = uv_hrtime();
    ret_meter->own_cpu_us = own_cpu_us();
    ret_meter->done = run->stats->done_in_window;
    rm_load__process_read(run->target->pid, &ret_meter->target_cpu_us, &ret_meter->target_rss_bytes);
}

static bool all_finished(const rm_load_run *run, uint64_t now_ns)
{
    if (run->options->count && run->started >= run->options->count)
        return run->finished >= run->started;
    return now_ns >= run->end_ns && run->finished >= run->started;
}

static void on_tick(uv_timer_t *tick)
{
    rm_load_run *run = tick->data;
    uint64_t now_ns = uv_hrtime();
    print_progress(run, now_ns);
    reopen_refused(run);
    if (run->closing)
        return;
    if (run->begin_ns == 0) {
        if (now_ns - run->opened_ns > CONNECT_PATIENCE_NS && run->live > 0)
            begin(run);
        return;
    }
    if (run->first.at_ns == 0 && now_ns >= run->begin_ns)
        read_meter(run, &run->first);
    bool finished = all_finished(run, now_ns);
    if (run->last.at_ns == 0 && (finished || now_ns >= run->end_ns))
        read_meter(run, &run->last);
    time_out(run, now_ns);
    if (finished || now_ns >= run->end_ns + run->options->grace_us * 1000)
        close_all(run);
    else if (open_loop(run))
        launch_due(run);
}

/* ---- the round --------------------------------------------------------------------------------------------------- */

static rm_status allocate(rm_load_run *run)
{
    const rm_load_options *options = run->options;
    run->conn_count = (size_t)options->connections;
    run->conns = rm_calloc(run->conn_count, sizeof(*run->conns));
    run->idle = rm_calloc(run->conn_count, sizeof(*run->idle));
    rm_buf_init(&run->request, RM_LOAD_REQUEST_BYTES_MAX);
    if (!run->conns || !run->idle)
        return RM_ENOMEM;
    for (size_t i = 0; i < run->conn_count; i++) {
        run->conns[i].run = run;
        run->conns[i].index = (uint32_t)i;
        rm_buf_init(&run->conns[i].content, RM_LOAD_CONTENT_BYTES_MAX);
    }
    if (options->same && (options->stream_share > 0 || options->body_path) && rm_load__lag_init(&run->lag) != RM_OK)
        return RM_ENOMEM;
    run->mix.keys = options->keys;
    run->mix.same = options->same;
    run->mix.sequential = options->sequential;
    run->mix.repeat_share = options->repeat_share;
    run->mix.paraphrase_share = options->paraphrase_share;
    run->mix.stream_share = options->stream_share;
    run->mix.cancel_share = options->cancel_share;
    return RM_OK;
}

static void release(rm_load_run *run)
{
    for (size_t i = 0; run->conns && i < run->conn_count; i++)
        rm_buf_deinit(&run->conns[i].content);
    rm_bench__mix_deinit(&run->mix);
    rm_buf_deinit(&run->request);
    rm_load__lag_deinit(&run->lag);
    rm_free(run->idle);
    rm_free(run->conns);
    rm_free(run);
}

static void run_loop(rm_load_run *run)
{
    RM_CHECK(uv_loop_init(&run->loop) == 0 && uv_timer_init(&run->loop, &run->tick) == 0);
    RM_CHECK(uv_poll_init(&run->loop, &run->due, run->timer_fd) == 0);
    run->tick.data = run->due.data = run;
    uv_timer_start(&run->tick, on_tick, TICK_MS, TICK_MS);
    uv_poll_start(&run->due, UV_READABLE, on_due);
    run->opened_ns = uv_hrtime();
    open_more(run);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    RM_CHECK(uv_loop_close(&run->loop) == 0);
}

static double percentile_us(const struct hdr_histogram *histogram, double percentile)
{
    return histogram->total_count > 0 ? (double)hdr_value_at_percentile(histogram, percentile) / 1e3 : 0;
}

static void fill_values(const rm_load_run *run)
{
    rm_load_stats *stats = run->stats;
    rm_load__lag_settle(&run->lag, stats->lag);
    double seconds = (double)(run->last.at_ns - run->first.at_ns) / 1e9;
    if (!run->options->count) /* else the window ends with the last answer, seen a tick later */
        seconds = (double)run->options->duration_us / 1e6;
    double done = (double)stats->done_in_window, own = (double)(run->last.own_cpu_us - run->first.own_cpu_us);
    double metered = (double)(run->last.done - run->first.done);
    double values[RM_LOAD_METRIC_COUNT] = {
        [RM_LOAD_METRIC_rps] = seconds > 0 ? done / seconds : 0,
        [RM_LOAD_METRIC_p50_us] = percentile_us(stats->latency, 50),
        [RM_LOAD_METRIC_p90_us] = percentile_us(stats->latency, 90),
        [RM_LOAD_METRIC_p99_us] = percentile_us(stats->latency, 99),
        [RM_LOAD_METRIC_p999_us] = percentile_us(stats->latency, 99.9),
        [RM_LOAD_METRIC_max_us] = percentile_us(stats->latency, 100),
        [RM_LOAD_METRIC_mean_us] = stats->latency->total_count > 0 ? hdr_mean(stats->latency) / 1e3 : 0,
        [RM_LOAD_METRIC_ttft_p50_us] = percentile_us(stats->ttft, 50),
        [RM_LOAD_METRIC_ttft_p90_us] = percentile_us(stats->ttft, 90),
        [RM_LOAD_METRIC_ttft_p99_us] = percentile_us(stats->ttft, 99),
        [RM_LOAD_METRIC_ttft_max_us] = percentile_us(stats->ttft, 100),
        [RM_LOAD_METRIC_gap_p50_us] = percentile_us(stats->gap, 50),
        [RM_LOAD_METRIC_gap_p99_us] = percentile_us(stats->gap, 99),
        [RM_LOAD_METRIC_gap_max_us] = percentile_us(stats->gap, 100),
        [RM_LOAD_METRIC_span_p50_us] = percentile_us(stats->span, 50),
        [RM_LOAD_METRIC_span_p99_us] = percentile_us(stats->span, 99),
        [RM_LOAD_METRIC_lag_p50_us] = percentile_us(stats->lag, 50),
        [RM_LOAD_METRIC_lag_p99_us] = percentile_us(stats->lag, 99),
        [RM_LOAD_METRIC_lag_max_us] = percentile_us(stats->lag, 100),
        [RM_LOAD_METRIC_lag_read_p50_us] = percentile_us(stats->lag_read, 50),
        [RM_LOAD_METRIC_lag_read_p99_us] = percentile_us(stats->lag_read, 99),
        [RM_LOAD_METRIC_lag_stamped_share] = rm_load__lag_stamped_share(&run->lag),
        [RM_LOAD_METRIC_lag_shared_share] = rm_load__lag_shared_share(&run->lag),
        [RM_LOAD_METRIC_send_delay_p99_us] = percentile_us(stats->send_delay, 99),
        [RM_LOAD_METRIC_events_per_s] = seconds > 0 ? (double)stats->events / seconds : 0,
        [RM_LOAD_METRIC_mib_per_s] = seconds > 0 ? (double)stats->bytes_in / seconds / (double)RM_MIB : 0,
        [RM_LOAD_METRIC_loader_cpu_share] = own * 1e3 / (double)(run->last.at_ns - run->first.at_ns + 1),
        [RM_LOAD_METRIC_target_cpu_us] =
            metered > 0 ? (double)(run->last.target_cpu_us - run->first.target_cpu_us) / metered : 0,
        [RM_LOAD_METRIC_target_rss_mib] = (double)run->last.target_rss_bytes / (double)RM_MIB,
        [RM_LOAD_METRIC_cost_usd] = stats->cost_usd,
        [RM_LOAD_METRIC_saved_usd] = stats->saved_usd,
    };
    memcpy(stats->values, values, sizeof(values));
}

rm_status rm_load__run(const rm_load_options *options, const rm_load_target *target, uint64_t seed,
                       rm_load_stats *stats)
{
    rm_load_run *run = rm_calloc(1, sizeof(*run));
    if (!run)
        return RM_ENOMEM;
    run->options = options;
    run->target = target;
    run->stats = stats;
    run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    rm_status status = run->timer_fd >= 0 ? allocate(run) : RM_EIO;
    if (status == RM_OK)
        status = rm_bench__mix_init(&run->mix, &options->prompts, options->zipf, seed);
    if (status == RM_OK) {
        prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* the schedule's timer shall not be batched with others */
        run_loop(run);
        if (!options->quiet)
            fprintf(stderr, "\r\033[K");
        if (run->begin_ns == 0)
            status = RM_ECONNECT;
        else
            fill_values(run);
    }
    if (run->timer_fd >= 0)
        close(run->timer_fd);
    release(run);
    return status;
}
