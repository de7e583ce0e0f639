/* remora-bench lane: how the encoder's workers share the work, and what becomes of ten times too much of it. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "bench_internal.h"
#include "remora/lane.h"

static const char usage[] = "usage: remora-bench lane [OPTION]...\n\nThroughput of the encoder's lane with one worker "
                            "and with --workers, in turn; "
                            "then --overload times that rate\nof texts, each with a deadline.\n\n";

#define OUTSTANDING 64U   /* ops in flight while throughput is measured */
#define OPS_MAX     65536 /* in flight at once under overload; no more than that are submitted */

typedef struct lane_arguments {
    const char *model, *precision;
    uint64_t workers, tokens, rounds, round_us, deadline_us;
    double overload;
    bool json;
} lane_arguments;

/* ---- an executor that the main thread drains ----------------------------------------------------------------------- */

typedef struct drained_exec {
    rm_exec exec;
    pthread_mutex_t lock;
    pthread_cond_t posted;
    rm_task *first, **last;
} drained_exec;

static void exec_post(rm_exec *exec, rm_task *task)
{
    drained_exec *self = RM_CONTAINER_OF(exec, drained_exec, exec);
    pthread_mutex_lock(&self->lock);
    task->next = NULL;
    *self->last = task;
    self->last = &task->next;
    pthread_cond_signal(&self->posted);
    pthread_mutex_unlock(&self->lock);
}

/* Runs what was posted; `wait`: for at least one task. */
static void exec_drain(drained_exec *self, bool wait)
{
    pthread_mutex_lock(&self->lock);
    while (wait && !self->first)
        pthread_cond_wait(&self->posted, &self->lock);
    rm_task *task = self->first;
    self->first = NULL;
    self->last = &self->first;
    pthread_mutex_unlock(&self->lock);
    while (task) {
        rm_task *next = task->next;
        task->run(task);
        task = next;
    }
}

/* ---- ops ------------------------------------------------------------------------------------------------------------ */

typedef struct session {
    drained_exec exec;
    rm_lane *lane;
    rm_slice text;
    uint32_t hidden;
    bool refill; /* throughput: an op that is done goes in again */
    uint64_t submitted, refused, late, served, running;
    struct op *spare;
    double *waits_ms; /* of those that were served or late */
    size_t wait_count, wait_max;
} session;

typedef struct op {
    rm_lane_op op;
    session *session;
    struct op *next;
    uint32_t tokens;
    float *vector;
} op;

static void on_done(rm_lane_op *lane_op, rm_status status)
{
    op *o = RM_CONTAINER_OF(lane_op, op, op);
    session *s = o->session;
    s->running--;
    if (status == RM_OK)
        s->served++;
    else
        s->late++;
    if (s->wait_count < s->wait_max)
        s->waits_ms[s->wait_count++] = (double)(lane_op->finished_ns - lane_op->submitted_ns) / 1e6;
    if (s->refill && rm_lane_submit(s->lane, lane_op) == RM_OK) {
        s->running++;
        return;
    }
    o->next = s->spare;
    s->spare = o;
}

static op *op_create(session *s)
{
    op *o = rm_calloc(1, sizeof(*o) + s->hidden * sizeof(float));
    if (!o)
        return NULL;
    o->session = s;
    o->vector = (float *)(o + 1);
    o->op = (rm_lane_op){.texts = &s->text,
                         .count = 1,
                         .vectors = o->vector,
                         .tokens = &o->tokens,
                         .exec = &s->exec.exec,
                         .done = on_done};
    return o;
}

static void submit(session *s, uint64_t deadline_us)
{
    op *o = s->spare;
    if (o)
        s->spare = o->next;
    else
        o = op_create(s);
    RM_CHECK(o);
    uint64_t now = rm_clock_system()->mono_ns(rm_clock_system());
    o->op.deadline_ns = deadline_us ? now + deadline_us * 1000 : 0;
    s->submitted++;
    if (rm_lane_submit(s->lane, &o->op) == RM_OK) {
        s->running++;
        return;
    }
    s->refused++;
    o->next = s->spare;
    s->spare = o;
}

static void session_begin(session *s, const rm_model *model, unsigned workers, rm_slice text)
{
    rm_lane_options options = {.model = model, .workers = workers, .clock = rm_clock_system()};
    *s = (session){.exec = {.exec = {.post = exec_post}}, .text = text, .hidden = rm_model_shape_of(model)->hidden};
    pthread_mutex_init(&s->exec.lock, NULL);
    pthread_cond_init(&s->exec.posted, NULL);
    s->exec.last = &s->exec.first;
    RM_CHECK(rm_lane_create(&options, &s->lane) == RM_OK);
}

static void session_end(session *s)
{
    s->refill = false;
    while (s->running)
        exec_drain(&s->exec, true);
    rm_lane_destroy(s->lane);
    for (op *o = s->spare, *next; o; o = next) {
        next = o->next;
        rm_free(o);
    }
    pthread_mutex_destroy(&s->exec.lock);
    pthread_cond_destroy(&s->exec.posted);
}

/* ---- throughput ------------------------------------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
    return rm_clock_system()->mono_ns(rm_clock_system());
}

static double texts_a_second(const rm_model *model, unsigned workers, rm_slice text, uint64_t duration_us)
{
    session s;
    session_begin(&s, model, workers, text);
    s.refill = true;
    for (unsigned i = 0; i < OUTSTANDING; i++)
        submit(&s, 0);
    while (s.served < OUTSTANDING)
        exec_drain(&s.exec, true);
    uint64_t begun = now_ns(), before = s.served, end = begun + duration_us * 1000;
    while (now_ns() < end)
        exec_drain(&s.exec, true);
    double rate = (double)(s.served - before) * 1e9 / (double)(now_ns() - begun);
    session_end(&s);
    return rate;
}

/* ---- overload -------------------------------------------------------------------------------------------------------- */

typedef struct overload_result {
    uint64_t submitted, refused, late, served, lost;
    double p50_ms, p99_ms, max_ms;
} overload_result;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void percentiles(session *s, overload_result *r)
{
    if (s->wait_count == 0)
        return;
    qsort(s->waits_ms, s->wait_count, sizeof(*s->waits_ms), by_size);
    r->p50_ms = s->waits_ms[s->wait_count / 2];
    r->p99_ms = s->waits_ms[s->wait_count * 99 / 100];
    r->max_ms = s->waits_ms[s->wait_count - 1];
}

static overload_result overload(const rm_model *model, const lane_arguments *a, rm_slice text, double rate)
{
    session s;
    overload_result result = {0};
    session_begin(&s, model, (unsigned)a->workers, text);
    s.wait_max = 1000000;
    s.waits_ms = rm_calloc(s.wait_max, sizeof(*s.waits_ms));
    RM_CHECK(s.waits_ms);
    double due = (double)now_ns(), end = due + (double)a->round_us * 1e3;
    while (due < end) {
        while ((double)now_ns() >= due && s.running < OPS_MAX) {
            submit(&s, a->deadline_us);
            due += 1e9 / rate;
        }
        exec_drain(&s.exec, false);
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    session_end(&s);
    result.submitted = s.submitted;
    result.refused = s.refused;
    result.late = s.late;
    result.served = s.served;
    result.lost = s.submitted - s.refused - s.late - s.served;
    percentiles(&s, &result);
    rm_free(s.waits_ms);
    return result;
}

/* ---- the command ------------------------------------------------------------------------------------------------------ */

/* [CLS] and [SEP] are two of a text's tokens. */
static rm_status make_text(uint64_t tokens, rm_buf *out)
{
    for (uint64_t i = 2; i < tokens; i++)
        rm_buf_append_cstr(out, i % 3 ? "time " : "people ");
    return out->status;
}

static void measure(const rm_model *model, const lane_arguments *a, rm_slice text)
{
    double one = 0, all = 0, ratios[64];
    printf("{\"model\": \"%s\", \"precision\": \"%s\", \"kernels\": \"%s\", \"tokens\": %llu, \"workers\": %llu, "
           "\"rounds\": [",
           a->model, rm_precision_name(rm_model_precision(model)), rm_model_kernels(model),
           (unsigned long long)a->tokens, (unsigned long long)a->workers);
    for (uint64_t i = 0; i < a->rounds; i++) {
        double first = texts_a_second(model, i % 2 ? (unsigned)a->workers : 1, text, a->round_us);
        double second = texts_a_second(model, i % 2 ? 1 : (unsigned)a->workers, text, a->round_us);
        one = i % 2 ? second : first;
        all = i % 2 ? first : second;
        ratios[i] = all / one;
        printf("%s{\"one\": %.1f, \"all\": %.1f}", i ? ", " : "", one, all);
        (void)fflush(stdout);
    }
    qsort(ratios, a->rounds, sizeof(ratios[0]), by_size);
    overload_result r = overload(model, a, text, all * a->overload);
    printf(
        "], \"scaling\": %.4f, \"overload\": {\"times\": %.1f, \"deadline_ms\": %.3f, \"submitted\": %llu, "
        "\"refused\": %llu, \"late\": %llu, \"served\": %llu, \"lost\": %llu, \"wait_p50_ms\": %.3f, \"wait_p99_ms\": "
        "%.3f, \"wait_max_ms\": %.3f, \"served_a_second\": %.1f}}\n",
        ratios[a->rounds / 2], a->overload, (double)a->deadline_us / 1e3, (unsigned long long)r.submitted,
        (unsigned long long)r.refused, (unsigned long long)r.late, (unsigned long long)r.served,
        (unsigned long long)r.lost, r.p50_ms, r.p99_ms, r.max_ms, (double)r.served * 1e6 / (double)a->round_us);
}

static int run(const lane_arguments *a, rm_precision precision)
{
    char folder[PATH_MAX];
    rm_model_options options = {.folder = folder, .precision = precision};
    rm_model *model;
    rm_buf why, text;
    if (!rm_model_find(a->model, folder, sizeof(folder))) {
        fprintf(stderr, "remora-bench: lane: no model %s; models/fetch %s gets it\n", a->model, a->model);
        return 1;
    }
    rm_buf_init(&why, 4 * RM_KIB);
    rm_buf_init(&text, RM_MIB);
    rm_status status = make_text(a->tokens, &text);
    if (status == RM_OK)
        status = rm_model_open(&options, &model, &why);
    if (status != RM_OK) {
        fprintf(stderr, "remora-bench: lane: %s: %.*s\n", rm_status_text(status), (int)why.len, why.len ? why.ptr : "");
    } else {
        measure(model, a, rm_buf_slice(&text));
        rm_model_close(model);
    }
    rm_buf_deinit(&text);
    rm_buf_deinit(&why);
    return status == RM_OK ? 0 : 1;
}

int rm_bench_lane(int argc, char **argv)
{
    lane_arguments a = {.model = "all-minilm-l6-v2",
                        .precision = "auto",
                        .workers = 2,
                        .tokens = 16,
                        .rounds = 5,
                        .round_us = 2000000,
                        .deadline_us = 15000,
                        .overload = 10};
    const rm_bench_option table[] = {
        {"model", "NAME", "a fetched model or a folder (all-minilm-l6-v2)", RM_OPTION_TEXT, &a.model},
        {"precision", "P", "auto, fp32, bf16 or int8 (auto)", RM_OPTION_TEXT, &a.precision},
        {"workers", "N", "to compare with one (2)", RM_OPTION_U64, &a.workers},
        {"tokens", "N", "in a text (16)", RM_OPTION_U64, &a.tokens},
        {"rounds", "N", "of each, in turn (5)", RM_OPTION_U64, &a.rounds},
        {"duration", "T", "of a round (2s)", RM_OPTION_DURATION_US, &a.round_us},
        {"deadline", "T", "of a text under overload (15ms)", RM_OPTION_DURATION_US, &a.deadline_us},
        {"overload", "X", "times the throughput (10)", RM_OPTION_DOUBLE, &a.overload},
    };
    rm_precision precision;
    int code = rm_bench__options_parse(usage, table, RM_COUNT(table), argc, argv);
    if (code >= 0)
        return code;
    if (!rm_precision_parse(a.precision, &precision) || a.workers < 1 || a.workers > RM_EMBED_WORKERS_MAX ||
        a.tokens < 2 || a.rounds < 1 || a.rounds > 64 || a.overload <= 0) {
        fprintf(stderr,
                "remora-bench: lane: --precision is auto, fp32, bf16 or int8; --workers 1 to %d, --tokens at least 2, "
                "--rounds 1 to 64\n",
                RM_EMBED_WORKERS_MAX);
        return 2;
    }
    return run(&a, precision);
}
