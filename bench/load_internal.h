/* The load generator: options, one round's run, its connections, its measurements.
 *
 *   load.c          options, rounds, A against B
 *   load_run.c      one round at one target: schedule, idle connections, phases
 *   load_conn.c     one keep-alive connection: request out, answer in
 *   load_answer.c   what an answer's bytes say: headers, events, content
 *   load_lag.c      how far apart one event reaches many callers, by the kernel's stamps
 *   load_report.c   medians, ratios, table and JSON
 *
 * Everything runs on one thread and one loop, which lives for one round. */
#ifndef REMORA_BENCH_LOAD_INTERNAL_H
#define REMORA_BENCH_LOAD_INTERNAL_H

#include <hdr/hdr_histogram.h>
#include <llhttp.h>
#include <uv.h>

#include "bench_internal.h"

#define RM_LOAD_ROUNDS_MAX        100
#define RM_LOAD_CONNECTIONS_MAX   20000
#define RM_LOAD_CONNECTING_MAX    128 /* at once, below any listen backlog */
#define RM_LOAD_REQUEST_BYTES_MAX (64 * RM_MIB)
#define RM_LOAD_CONTENT_BYTES_MAX (4 * RM_MIB) /* of one answer, kept only by --check */
#define RM_LOAD_LAG_EVENTS_MAX    65536        /* events of one stream whose lag is measured */
#define RM_LOAD_SIGHTINGS_MAX     (1u << 20)   /* of those events, by all callers */
#define RM_LOAD_HEADER_BYTES      64
#define RM_LOAD_LINE_BYTES        40
#define RM_LOAD_LATENCY_NS_MAX    3600000000000LL

/* ---- what is measured ----------------------------------------------------------------------------------------------
 */

/* X(name, unit, is it better when larger) of one round. */
#define RM_LOAD_METRIC_MAP(X)      \
    X(rps, "1/s")                  \
    X(p50_us, "us")                \
    X(p90_us, "us")                \
    X(p99_us, "us")                \
    X(p999_us, "us")               \
    X(max_us, "us")                \
    X(mean_us, "us")               \
    X(ttft_p50_us, "us")           \
    X(ttft_p90_us, "us")           \
    X(ttft_p99_us, "us")           \
    X(ttft_max_us, "us")           \
    X(gap_p50_us, "us")            \
    X(gap_p99_us, "us")            \
    X(gap_max_us, "us")            \
    X(span_p50_us, "us")           \
    X(span_p99_us, "us")           \
    X(lag_p50_us, "us")            \
    X(lag_p99_us, "us")            \
    X(lag_max_us, "us")            \
    X(lag_read_p50_us, "us")       \
    X(lag_read_p99_us, "us")       \
    X(lag_stamped_share, "")       \
    X(lag_shared_share, "")        \
    X(send_delay_p99_us, "us")     \
    X(events_per_s, "1/s")         \
    X(mib_per_s, "MiB/s")          \
    X(loader_cpu_share, "")        \
    X(target_cpu_us, "us/request") \
    X(target_rss_mib, "MiB")       \
    X(cost_usd, "USD")             \
    X(saved_usd, "USD")

typedef enum rm_load_metric {
#define X(name, unit) RM_LOAD_METRIC_##name,
    RM_LOAD_METRIC_MAP(X)
#undef X
        RM_LOAD_METRIC_COUNT
} rm_load_metric;

#define RM_LOAD_ERROR_MAP(X)                                               \
    X(connect)    /* no connection */                                      \
    X(reset)      /* connection lost before the answer's end */            \
    X(timeout)    /* no whole answer in --timeout */                       \
    X(syntax)     /* not HTTP */                                           \
    X(status)     /* 4xx or 5xx */                                         \
    X(stream)     /* an error event, or a stream without its last event */ \
    X(wrong)      /* content that --check refuses */                       \
    X(unfinished) /* still on its way when the grace time ended */

typedef enum rm_load_error {
#define X(name) RM_LOAD_ERROR_##name,
    RM_LOAD_ERROR_MAP(X)
#undef X
        RM_LOAD_ERROR_COUNT
} rm_load_error;

#define RM_LOAD_OUTCOME_MAP(X)         \
    X(hit_exact, "HIT", "exact")       \
    X(hit_semantic, "HIT", "semantic") \
    X(hit_other, "HIT", "")            \
    X(miss, "MISS", "")                \
    X(merged, "MERGED", "")            \
    X(stale, "STALE", "")              \
    X(bypass, "BYPASS", "")            \
    X(unmarked, "", "")

typedef enum rm_load_outcome {
#define X(name, cache, kind) RM_LOAD_OUTCOME_##name,
    RM_LOAD_OUTCOME_MAP(X)
#undef X
        RM_LOAD_OUTCOME_COUNT
} rm_load_outcome;

typedef struct rm_load_stats {
    struct hdr_histogram *latency;    /* from the intended send time to the last byte */
    struct hdr_histogram *ttft;       /* ... to the first event of a stream */
    struct hdr_histogram *gap;        /* between the events of a stream */
    struct hdr_histogram *span;       /* from a stream's first event to its last */
    struct hdr_histogram *lag;        /* --same: an event's arrival here, after its first on any connection */
    struct hdr_histogram *lag_read;   /* ... by when this program read it */
    struct hdr_histogram *send_delay; /* how late this program itself sent */
    uint64_t requests, ok, done_in_window, cancelled;
    uint64_t errors[RM_LOAD_ERROR_COUNT];
    uint64_t outcomes[RM_LOAD_OUTCOME_COUNT];
    uint64_t statuses[600];
    uint64_t events, bytes_in;
    double cost_usd, saved_usd;
    double values[RM_LOAD_METRIC_COUNT]; /* filled at the round's end */
} rm_load_stats;

rm_status rm_load__stats_init(rm_load_stats *stats) RM_WARN_UNUSED;
void rm_load__stats_deinit(rm_load_stats *stats); /* also fine on zeroed memory */
uint64_t rm_load__stats_failed(const rm_load_stats *stats);

/* ---- options -------------------------------------------------------------------------------------------------------
 */

typedef enum rm_load_check { RM_LOAD_CHECK_NONE = 0, RM_LOAD_CHECK_EQUAL, RM_LOAD_CHECK_MOCK } rm_load_check;

typedef struct rm_load_target {
    const char *url;
    char *host; /* as in the Host header */
    char *path;
    struct sockaddr_storage address;
    uint64_t pid; /* 0: its CPU time and memory are not read */
} rm_load_target;

typedef struct rm_load_options {
    const char *url, *vs, *arrival_name, *prompts_path, *model, *api_key, *op, *body_path, *extra, *check_name;
    rm_bench_list headers;
    double rate, zipf, repeat_share, paraphrase_share, stream_share, cancel_share, temperature, failed_share_max;
    uint64_t connections, streams, duration_us, warmup_us, rounds, cpu, seed, count, keys, pad, max_tokens, timeout_us,
        grace_us, stagger_us, cancel_after_us, pid, vs_pid;
    bool json, same, sequential, include_usage, get, quiet;
    rm_bench_arrival arrival;
    rm_load_check check;
    rm_load_target targets[2];
    size_t target_count;
    rm_bench_prompts prompts;
    rm_slice *escaped; /* prompts as JSON string insides */
    char *escaped_bytes;
    rm_buf body_file;
    int argc;
    char **argv;
} rm_load_options;

/* ---- one round ------------------------------------------------------------------------------------------------------
 */

typedef struct rm_load_run rm_load_run;

typedef enum rm_load_conn_state {
    RM_LOAD_CONN_CLOSED = 0,
    RM_LOAD_CONN_CONNECTING,
    RM_LOAD_CONN_IDLE,
    RM_LOAD_CONN_BUSY,
    RM_LOAD_CONN_CLOSING
} rm_load_conn_state;

/* One answer being read; zeroed for each request. */
typedef struct rm_load_answer {
    uint64_t first_event_ns, last_event_ns;
    uint64_t events;
    uint64_t body_bytes;
    double cost_usd, saved_usd;
    rm_load_outcome outcome;
    uint16_t status;
    bool stream, complete, keep_alive, terminal, error_event;
    uint8_t name_len, value_len, line_len;
    bool line_overflow, event_has_data;
    char cache_kind; /* 'e' exact, 's' semantic, 0 not said */
    char name[RM_LOAD_HEADER_BYTES];
    char value[RM_LOAD_HEADER_BYTES];
    char line[RM_LOAD_LINE_BYTES]; /* how the current line of a stream begins */
} rm_load_answer;

/* An event that reached a caller who was waiting for it. */
typedef struct rm_load_sighting {
    uint64_t sent_ns, arrived_ns;
    uint32_t event;
    bool record;
} rm_load_sighting;

typedef struct rm_load_lag {
    bool on;
    uint64_t *first_read_ns, *first_arrived_ns; /* of each event, on any connection */
    rm_load_sighting *sightings;
    size_t sighting_count;
    uint64_t unstamped; /* sightings whose arrival is the time of reading, as the kernel gave none */
    uint64_t shared;    /* events that came by one read with one before them, so that one is dated too late */
    int64_t realtime_ahead_ns;
    uint64_t arrived_ns; /* of the read being parsed; 0: not known */
    uint32_t events_in_read;
} rm_load_lag;

typedef struct rm_load_conn {
    rm_load_run *run;
    uv_tcp_t tcp;
    uv_poll_t stamped; /* lag: reads through a duplicate of the socket, for libuv's own reading drops the stamps */
    int stamped_fd;
    uv_timer_t timer; /* cancel, stagger and reconnect: one at a time */
    uv_connect_t connect;
    llhttp_t parser;
    rm_load_conn_state state;
    uint32_t index;
    uint8_t handles_open;
    bool record, cancel, reads_stamped;
    uint64_t intended_ns, sent_ns;
    uint64_t expected_ref;
    rm_buf content; /* --check only */
    rm_load_answer answer;
} rm_load_conn;

/* Meters read at both ends of the measured window. */
typedef struct rm_load_meter {
    uint64_t at_ns, own_cpu_us, target_cpu_us, target_rss_bytes, done;
} rm_load_meter;

struct rm_load_run {
    /* fixed for the round */
    const rm_load_options *options;
    const rm_load_target *target;
    rm_load_stats *stats;
    uint64_t begin_ns, end_ns; /* the measured window; 0 until every connection is up */
    /* loop */
    uv_loop_t loop;
    uv_timer_t tick;
    uv_poll_t due;
    int timer_fd;
    /* state */
    rm_load_conn *conns;
    size_t conn_count, opened, connecting, live, connect_failures;
    uint32_t *idle;
    size_t idle_count;
    rm_bench_mix mix;
    rm_bench_schedule schedule;
    uint64_t started, finished;
    bool launching, closing;
    bool have_reference;
    uint64_t reference_hash;
    rm_load_lag lag; /* --same streams */
    rm_buf request;  /* the request being put together */
    char read_bytes[RM_READ_BYTES];
    uint64_t next_progress_ns, opened_ns;
    rm_load_meter first, last; /* of the measured window, to a tick */
};

/* Fills *stats (initialised) with one round at the target. RM_ENOMEM; RM_ECONNECT: not one connection came up. */
rm_status rm_load__run(const rm_load_options *options, const rm_load_target *target, uint64_t seed,
                       rm_load_stats *stats) RM_WARN_UNUSED;
/* The connection has its answer, or will never have it; it is idle or about to be reopened. */
void rm_load__run_idle(rm_load_run *run, rm_load_conn *conn);
void rm_load__run_connected(rm_load_run *run, rm_load_conn *conn);
/* Called before an open connection closes, and when its slot may be used again. */
void rm_load__run_closing(rm_load_run *run, const rm_load_conn *conn);
void rm_load__run_lost(rm_load_run *run, rm_load_conn *conn);

void rm_load__conn_open(rm_load_conn *conn);
/* Sends the next request of the mix as if at `intended_ns`. */
void rm_load__conn_send(rm_load_conn *conn, uint64_t intended_ns);
void rm_load__conn_fail(rm_load_conn *conn, rm_load_error error);
void rm_load__conn_close(rm_load_conn *conn);

/* Appends one whole HTTP request. */
rm_status rm_load__request_build(const rm_load_options *options, const rm_load_target *target,
                                 const rm_bench_choice *choice, rm_buf *out, uint64_t *ret_expected_ref);
rm_status rm_load__request_prepare(rm_load_options *options) RM_WARN_UNUSED;
void rm_load__request_release(rm_load_options *options);

const llhttp_settings_t *rm_load__answer_settings(void);
/* The answer is whole: what is wrong with it, or RM_LOAD_ERROR_COUNT. */
rm_load_error rm_load__answer_verdict(rm_load_conn *conn);

/* ---- lag ------------------------------------------------------------------------------------------------------------
 */

rm_status rm_load__lag_init(rm_load_lag *lag) RM_WARN_UNUSED; /* after RM_ENOMEM deinit is needed too */
void rm_load__lag_deinit(rm_load_lag *lag);                   /* also fine on zeroed memory */
void rm_load__lag_ask_stamps(int fd);
/* Reads once and keeps the stamp. As a uv_read_cb is told: bytes, 0 for nothing now, a UV_E code. */
ssize_t rm_load__lag_read(rm_load_lag *lag, int fd, char *bytes, size_t bytes_max);
/* The connection's event number `index` has ended in the bytes last read. */
void rm_load__lag_event(rm_load_conn *conn, uint64_t index, uint64_t now_ns);
/* The round is over: records every lag by arrival. */
void rm_load__lag_settle(const rm_load_lag *lag, struct hdr_histogram *histogram);
/* Of the events seen by those who waited: arrivals stamped by the kernel; those that shared a read. */
double rm_load__lag_stamped_share(const rm_load_lag *lag);
double rm_load__lag_shared_share(const rm_load_lag *lag);

/* ---- report ---------------------------------------------------------------------------------------------------------
 */

typedef struct rm_load_result {
    rm_load_stats *rounds; /* round-major: [round * targets + target] */
    size_t round_count, target_count;
} rm_load_result;
const char *rm_load__metric_name(rm_load_metric metric);
double rm_load__median(const rm_load_result *result, size_t target, rm_load_metric metric);
rm_status rm_load__report_json(const rm_load_options *options, const rm_load_result *result, rm_buf *out);
rm_status rm_load__report_table(const rm_load_options *options, const rm_load_result *result, rm_buf *out);

/* CPU time of a process in us and its resident memory; 0 where it cannot be read. */
void rm_load__process_read(uint64_t pid, uint64_t *ret_cpu_us, uint64_t *ret_rss_bytes);

#endif
