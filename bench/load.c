/* remora-bench load: options, rounds, A against B in turn. */
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load_internal.h"

#define REPORT_BYTES_MAX (16 * RM_MIB)

static const char usage[] = "remora-bench load --url URL [--vs URL2] [--rate R | --connections N] [OPTION]...";

static int parse(rm_load_options *o, int argc, char **argv)
{
    const rm_bench_option table[] = {
        {"url", "URL", "target; a base URL (…/v1) gets the path of --op", RM_OPTION_TEXT, &o->url},
        {"vs", "URL", "second target B, measured in turn with the first", RM_OPTION_TEXT, &o->vs},
        {"op", "NAME", "chat (default), completions, embeddings, responses, messages", RM_OPTION_TEXT, &o->op},
        {"get", NULL, "plain GET of the URL", RM_OPTION_FLAG, &o->get},
        {"rate", "R", "open loop: requests a second, whatever comes back", RM_OPTION_DOUBLE, &o->rate},
        {"arrival", "NAME", "constant, poisson (default with --rate) or closed", RM_OPTION_TEXT, &o->arrival_name},
        {"connections", "N", "keep-alive connections (64); the most that an open loop uses", RM_OPTION_U64,
         &o->connections},
        {"streams", "N", "short for --connections N --stream-share 1", RM_OPTION_U64, &o->streams},
        {"duration", "D", "measured window of a round (10s)", RM_OPTION_DURATION_US, &o->duration_us},
        {"count", "N", "stop a round after N requests", RM_OPTION_U64, &o->count},
        {"warmup", "D", "before each window (2s)", RM_OPTION_DURATION_US, &o->warmup_us},
        {"grace", "D", "for answers on their way when the window ends (10s)", RM_OPTION_DURATION_US, &o->grace_us},
        {"timeout", "D", "of one answer (60s)", RM_OPTION_DURATION_US, &o->timeout_us},
        {"stagger", "D", "spread the first requests of a closed loop", RM_OPTION_DURATION_US, &o->stagger_us},
        {"rounds", "N", "rounds (5 with --vs, else 1)", RM_OPTION_U64, &o->rounds},
        {"prompts", "FILE", "one prompt a line, tabs between wordings of one; left out: built in", RM_OPTION_TEXT,
         &o->prompts_path},
        {"zipf", "S", "exponent over prompts (1.0; 0: uniform)", RM_OPTION_DOUBLE, &o->zipf},
        {"repeat-share", "P", "share drawn from the prompts as they are (1); the rest is never repeated",
         RM_OPTION_SHARE, &o->repeat_share},
        {"paraphrase-share", "P", "share asked in another wording (0)", RM_OPTION_SHARE, &o->paraphrase_share},
        {"stream-share", "P", "share that streams (0)", RM_OPTION_SHARE, &o->stream_share},
        {"cancel-share", "P", "share of callers who leave early (0)", RM_OPTION_SHARE, &o->cancel_share},
        {"cancel-after", "D", "... at a random time up to this (100ms)", RM_OPTION_DURATION_US, &o->cancel_after_us},
        {"keys", "N", "ask N numbered prompts, drawn by --zipf", RM_OPTION_U64, &o->keys},
        {"sequential", NULL, "... one after another instead", RM_OPTION_FLAG, &o->sequential},
        {"same", NULL, "every request is the same one", RM_OPTION_FLAG, &o->same},
        {"body", "FILE", "send these bytes (with --same)", RM_OPTION_TEXT, &o->body_path},
        {"pad", "BYTES", "make bodies about this long", RM_OPTION_BYTES, &o->pad},
        {"model", "NAME", "(gpt-4.1-mini)", RM_OPTION_TEXT, &o->model},
        {"temperature", "T", "(0; negative: left out)", RM_OPTION_DOUBLE, &o->temperature},
        {"max-tokens", "N", "(left out)", RM_OPTION_U64, &o->max_tokens},
        {"include-usage", NULL, "stream_options.include_usage on streams", RM_OPTION_FLAG, &o->include_usage},
        {"extra", "JSON", "members added to each body, e.g. '\"seed\":1'", RM_OPTION_TEXT, &o->extra},
        {"api-key", "K", "Authorization: Bearer K", RM_OPTION_TEXT, &o->api_key},
        {"header", "'K: V'", "added to each request; may be given again", RM_OPTION_LIST, &o->headers},
        {"check", "WHAT", "equal: all answers the same; mock: each belongs to its question", RM_OPTION_TEXT,
         &o->check_name},
        {"failed-max", "P", "exit 1 where a larger share failed (0.01)", RM_OPTION_SHARE, &o->failed_share_max},
        {"pid", "PID", "read the target's CPU time and memory", RM_OPTION_U64, &o->pid},
        {"vs-pid", "PID", "... of the second target", RM_OPTION_U64, &o->vs_pid},
        {"cpu", "N", "run on this core only", RM_OPTION_U64, &o->cpu},
        {"seed", "N", "of every choice (1)", RM_OPTION_U64, &o->seed},
        {"json", NULL, "one JSON object instead of the table", RM_OPTION_FLAG, &o->json},
        {"quiet", NULL, "no progress line", RM_OPTION_FLAG, &o->quiet},
    };
    return rm_bench__options_parse(usage, table, RM_COUNT(table), argc, argv);
}

static const char *settle_names(rm_load_options *o)
{
    static const char *const arrivals[] = {"closed", "constant", "poisson"};
    if (!o->arrival_name)
        o->arrival_name = o->rate > 0 ? "poisson" : "closed";
    size_t i = 0;
    while (i < RM_COUNT(arrivals) && strcmp(arrivals[i], o->arrival_name) != 0)
        i++;
    if (i == RM_COUNT(arrivals))
        return "--arrival is constant, poisson or closed";
    o->arrival = (rm_bench_arrival)i;
    if ((o->arrival != RM_ARRIVAL_CLOSED) != (o->rate > 0))
        return "an open loop needs --rate, a closed one has none";
    if (o->check_name && strcmp(o->check_name, "equal") != 0 && strcmp(o->check_name, "mock") != 0)
        return "--check is equal or mock";
    if (o->check_name)
        o->check = o->check_name[0] == 'e' ? RM_LOAD_CHECK_EQUAL : RM_LOAD_CHECK_MOCK;
    return NULL;
}

/* What is wrong with the options as a whole, or NULL. */
static const char *settle(rm_load_options *o)
{
    if (!o->url)
        return "--url is missing";
    if (o->streams) {
        o->connections = o->streams;
        o->stream_share = 1;
    }
    if (!o->duration_us)
        o->duration_us = o->count ? 3600000000ULL : 10000000;
    if (!o->rounds)
        o->rounds = o->vs ? 5 : 1;
    if (o->connections == 0 || o->connections > RM_LOAD_CONNECTIONS_MAX)
        return "--connections is 1 to 20000";
    if (o->rounds > RM_LOAD_ROUNDS_MAX)
        return "--rounds is at most 100";
    if (o->keys > 16 * RM_BENCH_PROMPTS_MAX)
        return "--keys is at most 16000000";
    if (o->body_path && !o->same)
        return "--body needs --same";
    if (o->check_name && strcmp(o->check_name, "mock") == 0 && (o->pad || o->body_path))
        return "--check mock knows neither --pad nor --body";
    o->targets[0] = (rm_load_target){.url = o->url, .pid = o->pid};
    o->targets[1] = (rm_load_target){.url = o->vs, .pid = o->vs_pid};
    o->target_count = o->vs ? 2 : 1;
    o->quiet |= !isatty(STDERR_FILENO);
    return settle_names(o);
}

static void settle_process(const rm_load_options *options)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (options->cpu == UINT64_MAX)
        return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((int)options->cpu, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
        fprintf(stderr, "remora-bench: cannot run on core %llu alone\n", (unsigned long long)options->cpu);
}

/* A B, B A, A B …: whoever goes second gains nothing over the rounds. */
static rm_status measure(const rm_load_options *options, rm_load_result *result)
{
    for (size_t round = 0; round < result->round_count; round++) {
        for (size_t turn = 0; turn < result->target_count; turn++) {
            size_t target = result->target_count == 2 ? (turn + round) % 2 : 0;
            rm_load_stats *stats = &result->rounds[round * result->target_count + target];
            rm_status status = rm_load__stats_init(stats);
            if (status == RM_OK)
                status = rm_load__run(options, &options->targets[target], options->seed + round, stats);
            if (status != RM_OK) {
                fprintf(stderr, "remora-bench: %s: %s\n", options->targets[target].url, rm_status_text(status));
                return status;
            }
        }
    }
    return RM_OK;
}

static bool too_many_failed(const rm_load_options *options, const rm_load_result *result)
{
    for (size_t i = 0; i < result->round_count * result->target_count; i++) {
        const rm_load_stats *stats = &result->rounds[i];
        double failed = (double)rm_load__stats_failed(stats);
        if (stats->ok + stats->cancelled == 0 || failed > options->failed_share_max * (double)stats->requests)
            return true;
    }
    return false;
}

static int report(const rm_load_options *options, const rm_load_result *result)
{
    rm_buf out;
    rm_buf_init(&out, REPORT_BYTES_MAX);
    rm_status status =
        options->json ? rm_load__report_json(options, result, &out) : rm_load__report_table(options, result, &out);
    if (status == RM_OK)
        fwrite(out.ptr, 1, out.len, stdout);
    rm_buf_deinit(&out);
    return status == RM_OK && !too_many_failed(options, result) ? 0 : 1;
}

int rm_bench_load(int argc, char **argv)
{
    rm_load_options options = {
        .op = "chat",
        .model = "gpt-4.1-mini",
        .connections = 64,
        .warmup_us = 2000000,
        .grace_us = 10000000,
        .timeout_us = 60000000,
        .cancel_after_us = 100000,
        .zipf = 1,
        .repeat_share = 1,
        .failed_share_max = 0.01,
        .cpu = UINT64_MAX,
        .seed = 1,
        .argc = argc,
        .argv = argv,
    };
    int code = parse(&options, argc, argv);
    if (code >= 0)
        return code;
    const char *wrong = settle(&options);
    if (wrong) {
        fprintf(stderr, "remora-bench: %s\n", wrong);
        return 2;
    }
    settle_process(&options);
    rm_load_result result = {.round_count = (size_t)options.rounds, .target_count = options.target_count};
    code = 1;
    rm_status status = rm_load__request_prepare(&options);
    if (status != RM_OK) {
        fprintf(stderr, "remora-bench: cannot prepare the requests: %s\n", rm_status_text(status));
        code = status == RM_EINVAL ? 2 : 1;
        goto out;
    }
    result.rounds = rm_calloc(result.round_count * result.target_count, sizeof(*result.rounds));
    if (result.rounds && measure(&options, &result) == RM_OK)
        code = report(&options, &result);
    for (size_t i = 0; result.rounds && i < result.round_count * result.target_count; i++)
        rm_load__stats_deinit(&result.rounds[i]);
out:
    rm_free(result.rounds);
    rm_load__request_release(&options);
    return code;
}
