/* What a measurement says: medians over rounds, ratios of two targets, as a table or as JSON. */
#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load_internal.h"

static const struct {
    const char *name, *unit;
} metrics[RM_LOAD_METRIC_COUNT] = {
#define X(name, unit) {#name, unit},
    RM_LOAD_METRIC_MAP(X)
#undef X
};

static const char *const error_names[RM_LOAD_ERROR_COUNT] = {
#define X(name) #name,
    RM_LOAD_ERROR_MAP(X)
#undef X
};

static const char *const outcome_names[RM_LOAD_OUTCOME_COUNT] = {
#define X(name, cache, kind) #name,
    RM_LOAD_OUTCOME_MAP(X)
#undef X
};

/* What a ratio of two targets is worth printing for. */
static const rm_load_metric compared[] = {RM_LOAD_METRIC_rps,         RM_LOAD_METRIC_p50_us,
                                          RM_LOAD_METRIC_p99_us,      RM_LOAD_METRIC_ttft_p50_us,
                                          RM_LOAD_METRIC_ttft_p99_us, RM_LOAD_METRIC_target_cpu_us};

rm_status rm_load__stats_init(rm_load_stats *stats)
{
    struct hdr_histogram **histograms[] = {&stats->latency, &stats->ttft,     &stats->gap,       &stats->span,
                                           &stats->lag,     &stats->lag_read, &stats->send_delay};
    *stats = (rm_load_stats){0};
    for (size_t i = 0; i < RM_COUNT(histograms); i++)
        if (hdr_init(1, RM_LOAD_LATENCY_NS_MAX, 3, histograms[i]) != 0)
            return RM_ENOMEM;
    return RM_OK;
}

void rm_load__stats_deinit(rm_load_stats *stats)
{
    struct hdr_histogram *histograms[] = {stats->latency, stats->ttft,     stats->gap,       stats->span,
                                          stats->lag,     stats->lag_read, stats->send_delay};
    for (size_t i = 0; i < RM_COUNT(histograms); i++)
        if (histograms[i])
            hdr_close(histograms[i]);
    *stats = (rm_load_stats){0};
}

uint64_t rm_load__stats_failed(const rm_load_stats *stats)
{
    uint64_t sum = 0;
    for (int i = 0; i < RM_LOAD_ERROR_COUNT; i++)
        sum += stats->errors[i];
    return sum;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median_of(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double value_at(const rm_load_result *result, size_t round, size_t target, rm_load_metric metric)
{
    return result->rounds[round * result->target_count + target].values[metric];
}

double rm_load__median(const rm_load_result *result, size_t target, rm_load_metric metric)
{
    double values[RM_LOAD_ROUNDS_MAX];
    for (size_t round = 0; round < result->round_count; round++)
        values[round] = value_at(result, round, target, metric);
    return median_of(values, result->round_count);
}

/* Each round's A over B, then the median: what the machine did to both in a round cancels out. */
static double median_ratio(const rm_load_result *result, rm_load_metric metric)
{
    double values[RM_LOAD_ROUNDS_MAX];
    for (size_t round = 0; round < result->round_count; round++) {
        double below = value_at(result, round, 1, metric);
        values[round] = below > 0 ? value_at(result, round, 0, metric) / below : 0;
    }
    return median_of(values, result->round_count);
}

/* ---- machine and revision ---------------------------------------------------------------------------------------- */

static void append_quoted(rm_buf *out, const char *text)
{
    rm_buf_append_char(out, '"');
    rm_buf_append_json_escaped(out, rm_slice_cstr(text));
    rm_buf_append_char(out, '"');
}

static void cpu_model(char *text, size_t bytes)
{
    snprintf(text, bytes, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof(line), file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(text, bytes, "%s", colon + 2);
        break;
    }
    fclose(file);
}

/* The first line that a program prints, without a shell; "" if it does not run. */
static void first_line(char *const argv[], char *text, size_t bytes)
{
    int ends[2];
    text[0] = 0;
    if (pipe(ends) != 0)
        return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    bool runs = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (runs) {
        size_t len = 0;
        ssize_t got;
        while (len + 1 < bytes && (got = read(ends[0], text + len, bytes - 1 - len)) > 0)
            len += (size_t)got;
        text[len] = 0;
        text[strcspn(text, "\n")] = 0;
        waitpid(pid, NULL, 0);
    }
    close(ends[0]);
}

/* REMORA_REVISION if set (a script that knows better), else what git says of the current folder. */
static void revision(char *text, size_t bytes)
{
    char git[] = "git", describe[] = "describe", always[] = "--always", dirty[] = "--dirty";
    char *const argv[] = {git, describe, always, dirty, NULL};
    const char *given = getenv("REMORA_REVISION");
    if (given)
        snprintf(text, bytes, "%s", given);
    else
        first_line(argv, text, bytes);
    if (!text[0])
        snprintf(text, bytes, "unknown");
}

static void append_origin(const rm_load_options *options, rm_buf *out)
{
    char text[256], when[32];
    time_t now = time(NULL);
    struct tm parts;
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    rm_buf_append_cstr(out, "\"tool\":\"remora-bench load\",\"command\":[");
    for (int i = 0; i < options->argc; i++) {
        if (i > 0)
            rm_buf_append_char(out, ',');
        append_quoted(out, options->argv[i]);
    }
    rm_buf_appendf(out, "],\"time\":\"%s\",\"machine\":{\"cpu\":", when);
    cpu_model(text, sizeof(text));
    append_quoted(out, text);
    struct utsname system;
    uname(&system);
    rm_buf_appendf(out, ",\"cores\":%ld,\"kernel\":", sysconf(_SC_NPROCESSORS_ONLN));
    append_quoted(out, system.release);
    rm_buf_append_cstr(out, "},\"revision\":");
    revision(text, sizeof(text));
    append_quoted(out, text);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void append_counts(rm_buf *out, const char *title, const char *const *names, const uint64_t *counts,
                          size_t count)
{
    rm_buf_appendf(out, ",\"%s\":{", title);
    const char *comma = "";
    for (size_t i = 0; i < count; i++) {
        if (counts[i] == 0)
            continue;
        rm_buf_appendf(out, "%s\"%s\":%llu", comma, names[i], (unsigned long long)counts[i]);
        comma = ",";
    }
    rm_buf_append_char(out, '}');
}

static void append_round(rm_buf *out, const rm_load_stats *stats)
{
    rm_buf_appendf(out, "{\"requests\":%llu,\"ok\":%llu,\"failed\":%llu,\"cancelled\":%llu",
                   (unsigned long long)stats->requests, (unsigned long long)stats->ok,
                   (unsigned long long)rm_load__stats_failed(stats), (unsigned long long)stats->cancelled);
    for (int i = 0; i < RM_LOAD_METRIC_COUNT; i++)
        rm_buf_appendf(out, ",\"%s\":%.10g", metrics[i].name, stats->values[i]);
    append_counts(out, "errors", error_names, stats->errors, RM_LOAD_ERROR_COUNT);
    append_counts(out, "cache", outcome_names, stats->outcomes, RM_LOAD_OUTCOME_COUNT);
    rm_buf_append_cstr(out, ",\"status\":{");
    const char *comma = "";
    for (size_t i = 0; i < RM_COUNT(stats->statuses); i++) {
        if (stats->statuses[i] == 0)
            continue;
        rm_buf_appendf(out, "%s\"%zu\":%llu", comma, i, (unsigned long long)stats->statuses[i]);
        comma = ",";
    }
    rm_buf_append_cstr(out, "}}");
}

static void append_target(const rm_load_options *options, const rm_load_result *result, size_t target, rm_buf *out)
{
    rm_buf_append_cstr(out, "{\"url\":");
    append_quoted(out, options->targets[target].url);
    rm_buf_append_cstr(out, ",\"median\":{");
    for (int i = 0; i < RM_LOAD_METRIC_COUNT; i++)
        rm_buf_appendf(out, "%s\"%s\":%.10g", i ? "," : "", metrics[i].name,
                       rm_load__median(result, target, (rm_load_metric)i));
    rm_buf_append_cstr(out, "},\"rounds\":[");
    for (size_t round = 0; round < result->round_count; round++) {
        if (round > 0)
            rm_buf_append_char(out, ',');
        append_round(out, &result->rounds[round * result->target_count + target]);
    }
    rm_buf_append_cstr(out, "]}");
}

rm_status rm_load__report_json(const rm_load_options *options, const rm_load_result *result, rm_buf *out)
{
    rm_buf_append_char(out, '{');
    append_origin(options, out);
    rm_buf_append_cstr(out, ",\"targets\":[");
    for (size_t target = 0; target < result->target_count; target++) {
        if (target > 0)
            rm_buf_append_char(out, ',');
        append_target(options, result, target, out);
    }
    rm_buf_append_char(out, ']');
    if (result->target_count == 2) {
        rm_buf_append_cstr(out, ",\"ratio\":{");
        for (size_t i = 0; i < RM_COUNT(compared); i++) {
            double below = rm_load__median(result, 1, compared[i]);
            rm_buf_appendf(out, "%s\"%s\":{\"of_medians\":%.6g,\"median_of_rounds\":%.6g}", i ? "," : "",
                           metrics[compared[i]].name, below > 0 ? rm_load__median(result, 0, compared[i]) / below : 0,
                           median_ratio(result, compared[i]));
        }
        rm_buf_append_char(out, '}');
    }
    return rm_buf_append_cstr(out, "}\n");
}

/* ---- table ------------------------------------------------------------------------------------------------------- */

static void append_tally(rm_buf *out, const char *title, const char *const *names, const rm_load_result *result,
                         size_t target, bool errors)
{
    size_t count = errors ? (size_t)RM_LOAD_ERROR_COUNT : (size_t)RM_LOAD_OUTCOME_COUNT;
    rm_buf_appendf(out, "  %-18s", title);
    for (size_t i = 0; i < count; i++) {
        uint64_t sum = 0;
        for (size_t round = 0; round < result->round_count; round++) {
            const rm_load_stats *stats = &result->rounds[round * result->target_count + target];
            sum += errors ? stats->errors[i] : stats->outcomes[i];
        }
        if (sum > 0)
            rm_buf_appendf(out, " %s %llu", names[i], (unsigned long long)sum);
    }
    rm_buf_append_char(out, '\n');
}

rm_status rm_load__report_table(const rm_load_options *options, const rm_load_result *result, rm_buf *out)
{
    bool two = result->target_count == 2;
    rm_buf_appendf(out, "%-22s %16s%s\n", "median of rounds", "A",
                   two ? "                B        A/B    by round" : "");
    for (int i = 0; i < RM_LOAD_METRIC_COUNT; i++) {
        double a = rm_load__median(result, 0, (rm_load_metric)i);
        double b = two ? rm_load__median(result, 1, (rm_load_metric)i) : 0;
        if (a == 0 && b == 0)
            continue;
        rm_buf_appendf(out, "%-22s %16.6g", metrics[i].name, a);
        if (two)
            rm_buf_appendf(out, " %16.6g %10.3f %11.3f", b, b > 0 ? a / b : 0, median_ratio(result, (rm_load_metric)i));
        rm_buf_append_char(out, '\n');
    }
    for (size_t target = 0; target < result->target_count; target++) {
        rm_buf_appendf(out, "%c %s\n", (int)('A' + (int)target), options->targets[target].url);
        uint64_t requests = 0, ok = 0, cancelled = 0;
        for (size_t round = 0; round < result->round_count; round++) {
            const rm_load_stats *stats = &result->rounds[round * result->target_count + target];
            requests += stats->requests;
            ok += stats->ok;
            cancelled += stats->cancelled;
        }
        rm_buf_appendf(out, "  %-18s %llu, answered well %llu, left early %llu\n", "requests",
                       (unsigned long long)requests, (unsigned long long)ok, (unsigned long long)cancelled);
        append_tally(out, "failed", error_names, result, target, true);
        append_tally(out, "by cache outcome", outcome_names, result, target, false);
    }
    return out->status;
}

/* ---- another process --------------------------------------------------------------------------------------------- */

/* Reads the start of a file of /proc: numbers between blanks. Returns how many there were. */
static size_t read_numbers(const char *path, uint64_t *numbers, size_t count)
{
    char text[256] = "";
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (!fgets(text, sizeof(text), file))
        text[0] = 0;
    fclose(file);
    rm_slice rest = rm_slice_cstr(text), part;
    size_t found = 0;
    while (found < count && rm_slice_split(&rest, ' ', &part) && rm_parse_u64(part, &numbers[found]) == RM_OK)
        found++;
    return found;
}

/* The scheduler's nanosecond count of every thread where the kernel gives it, for a tick is 10 ms. */
static uint64_t threads_cpu_ns(uint64_t pid)
{
    char path[512];
    uint64_t sum = 0, cpu_ns;
    snprintf(path, sizeof(path), "/proc/%llu/task", (unsigned long long)pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return 0;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.') /* task/../schedstat is there too: the first thread's, once more */
            continue;
        snprintf(path, sizeof(path), "/proc/%llu/task/%s/schedstat", (unsigned long long)pid, entry->d_name);
        if (read_numbers(path, &cpu_ns, 1) == 1)
            sum += cpu_ns;
    }
    closedir(tasks);
    return sum;
}

void rm_load__process_read(uint64_t pid, uint64_t *ret_cpu_us, uint64_t *ret_rss_bytes)
{
    *ret_cpu_us = *ret_rss_bytes = 0;
    if (pid == 0)
        return;
    *ret_cpu_us = threads_cpu_ns(pid) / 1000;
    char path[64];
    uint64_t pages[2];
    snprintf(path, sizeof(path), "/proc/%llu/statm", (unsigned long long)pid);
    if (read_numbers(path, pages, RM_COUNT(pages)) == RM_COUNT(pages))
        *ret_rss_bytes = pages[1] * (uint64_t)sysconf(_SC_PAGESIZE);
}
