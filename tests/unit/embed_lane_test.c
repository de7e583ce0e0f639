/* The lane: each op is answered once, with the vectors that an encoder alone gives; what cannot be done in time or finds
 * no room is said so; nobody waits behind more than a turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "remora/lane.h"
#include "tiny_model.h"

#define HIDDEN    32U
#define POSITIONS 96U

static char folder[64];
static rm_model *model;

/* ---- an executor: whoever drains it is its thread ------------------------------------------------------------------ */

typedef struct fake_exec {
    rm_exec exec;
    pthread_mutex_t lock;
    pthread_cond_t posted;
    rm_task *first, **last;
} fake_exec;

static void fake_post(rm_exec *exec, rm_task *task)
{
    fake_exec *self = RM_CONTAINER_OF(exec, fake_exec, exec);
    pthread_mutex_lock(&self->lock);
    task->next = NULL;
    *self->last = task;
    self->last = &task->next;
    pthread_cond_signal(&self->posted);
    pthread_mutex_unlock(&self->lock);
}

static void fake_init(fake_exec *self)
{
    *self = (fake_exec){.exec = {.post = fake_post}};
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->posted, NULL);
    self->last = &self->first;
}

static void fake_deinit(fake_exec *self)
{
    assert_null(self->first);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->posted);
}

/* Runs tasks until `count` more have run. */
static void fake_run(fake_exec *self, unsigned count)
{
    while (count--) {
        pthread_mutex_lock(&self->lock);
        while (!self->first)
            pthread_cond_wait(&self->posted, &self->lock);
        rm_task *task = self->first;
        self->first = task->next;
        if (!self->first)
            self->last = &self->first;
        pthread_mutex_unlock(&self->lock);
        task->run(task);
    }
}

/* ---- a clock that tests move ---------------------------------------------------------------------------------------- */

static _Atomic uint64_t fake_ns = 1000, fake_step_ns;

static uint64_t fake_mono(const rm_clock *clock)
{
    (void)clock;
    return fake_ns += fake_step_ns;
}

static const rm_clock fake_clock = {.mono_ns = fake_mono};

/* ---- ops ------------------------------------------------------------------------------------------------------------ */

#define TEXTS_MAX 64U

typedef struct asked {
    rm_lane_op op;
    rm_slice texts[TEXTS_MAX];
    float vectors[TEXTS_MAX * HIDDEN];
    uint32_t tokens[TEXTS_MAX];
    unsigned done, worked;
    rm_status status;
} asked;

static void on_done(rm_lane_op *op, rm_status status)
{
    asked *a = RM_CONTAINER_OF(op, asked, op);
    a->done++;
    a->status = status;
}

static void on_work(rm_lane_op *op)
{
    RM_CONTAINER_OF(op, asked, op)->worked++;
}

static asked *ask(fake_exec *exec, uint32_t count, rm_slice text)
{
    asked *a = calloc(1, sizeof(*a));
    assert_non_null(a);
    for (uint32_t i = 0; i < count; i++)
        a->texts[i] = text;
    a->op = (rm_lane_op){.texts = a->texts,
                         .count = count,
                         .vectors = a->vectors,
                         .tokens = a->tokens,
                         .exec = &exec->exec,
                         .work = on_work,
                         .done = on_done};
    return a;
}

static rm_lane *make_lane(unsigned workers, const rm_clock *clock)
{
    rm_lane *lane = NULL;
    rm_lane_options options = {.model = model, .workers = workers, .clock = clock};
    assert_int_equal(rm_lane_create(&options, &lane), RM_OK);
    return lane;
}

static void alone(rm_slice text, float *vector, uint32_t *ret_tokens)
{
    uint32_t ids[POSITIONS];
    rm_encoder *encoder;
    *ret_tokens = (uint32_t)rm_tokenize(rm_model_tokenizer(model), text, RM_OVERFLOW_HEAD, ids, POSITIONS);
    assert_int_equal(rm_encoder_create(model, &encoder), RM_OK);
    assert_int_equal(rm_encoder_run(encoder, ids, ret_tokens, 1, vector), RM_OK);
    rm_encoder_destroy(encoder);
}

static const char letters[] =
    "abcdeabcdabcabecabdcedabcdeabcdabcabecabdcedabcdeabcdabcabecabdcedabcdeabcdabcabecabdcedabc"
    "deabcdabcabecabdced";

/* Texts of all lengths, up to more than the model takes. */
static rm_slice text_of(uint32_t i)
{
    return (rm_slice){letters, i * 7 % (sizeof(letters) - 1)};
}

static void check_vectors(const asked *a)
{
    float expected[HIDDEN];
    for (uint32_t i = 0; i < a->op.count; i++) {
        uint32_t tokens;
        alone(a->texts[i], expected, &tokens);
        assert_int_equal(a->tokens[i], tokens);
        for (uint32_t k = 0; k < HIDDEN; k++)
            assert_true(fabsf(a->vectors[i * HIDDEN + k] - expected[k]) < 1e-5F);
    }
}

static void test_vectors(void **state)
{
    (void)state;
    fake_exec exec;
    fake_init(&exec);
    for (unsigned workers = 1; workers <= 3; workers++) {
        rm_lane *lane = make_lane(workers, rm_clock_system());
        asked *many = ask(&exec, TEXTS_MAX, RM_SLICE_NONE), *one = ask(&exec, 1, text_of(5));
        for (uint32_t i = 0; i < TEXTS_MAX; i++)
            many->texts[i] = text_of(i);
        one->op.deadline_ns = UINT64_MAX / 2;
        one->op.work = NULL;
        assert_int_equal(rm_lane_submit(lane, &many->op), RM_OK);
        assert_int_equal(rm_lane_submit(lane, &one->op), RM_OK);
        fake_run(&exec, 2);
        assert_true(many->done == 1 && many->status == RM_OK && many->worked == 1);
        assert_true(one->done == 1 && one->status == RM_OK && one->worked == 0);
        check_vectors(many);
        check_vectors(one);
        assert_true(many->op.finished_ns >= many->op.submitted_ns);
        rm_lane_stats stats = rm_lane_get_stats(lane);
        assert_true(stats.texts == TEXTS_MAX + 1 && stats.waiting == 0 && stats.refused == 0 && stats.late == 0);
        assert_true(stats.tokens > stats.texts && stats.turns <= stats.texts);
        rm_lane_destroy(lane);
        free(many);
        free(one);
    }
    fake_deinit(&exec);
}

/* ---- with a worker that stands still ---------------------------------------------------------------------------------- */

/* A gate in an op's `work`, where it holds its worker. */
typedef struct gate {
    asked *asked;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, open;
} gate;

static gate *the_gate;

static void on_gate(rm_lane_op *op)
{
    gate *g = the_gate;
    on_work(op);
    pthread_mutex_lock(&g->lock);
    g->entered = true;
    pthread_cond_signal(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_close(gate *g, rm_lane *lane, fake_exec *exec)
{
    *g = (gate){.asked = ask(exec, 1, RM_SLICE("a"))};
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    the_gate = g;
    g->asked->op.work = on_gate;
    assert_int_equal(rm_lane_submit(lane, &g->asked->op), RM_OK);
    pthread_mutex_lock(&g->lock);
    while (!g->entered)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_open(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void gate_free(gate *g)
{
    assert_int_equal(g->asked->done, 1);
    assert_int_equal(g->asked->status, RM_OK);
    free(g->asked);
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
}

/* A lane whose one worker stands at the gate. */
typedef struct held {
    fake_exec exec;
    rm_lane *lane;
    gate gate;
} held;

static rm_lane *hold(held *h, const rm_clock *clock)
{
    fake_init(&h->exec);
    h->lane = make_lane(1, clock);
    gate_close(&h->gate, h->lane, &h->exec);
    return h->lane;
}

/* When all its ops are done. */
static void let_go(held *h)
{
    rm_lane_destroy(h->lane);
    gate_free(&h->gate);
    fake_deinit(&h->exec);
}

static void test_cancel(void **state)
{
    (void)state;
    held h;
    rm_lane *lane = hold(&h, rm_clock_system());
    asked *left = ask(&h.exec, 3, RM_SLICE("abc")), *stays = ask(&h.exec, 2, RM_SLICE("cab"));
    assert_int_equal(rm_lane_submit(lane, &left->op), RM_OK);
    assert_int_equal(rm_lane_submit(lane, &stays->op), RM_OK);
    rm_lane_cancel(lane, &left->op);
    assert_int_equal(left->done, 0);
    fake_run(&h.exec, 1);
    assert_true(left->done == 1 && left->status == RM_ECANCELLED && left->worked == 0);
    assert_int_equal(rm_lane_get_stats(lane).waiting, 2);
    gate_open(&h.gate);
    fake_run(&h.exec, 2);
    assert_true(stays->done == 1 && stays->status == RM_OK);
    check_vectors(stays);
    let_go(&h);
    free(left);
    free(stays);
}

/* While it runs, while it waits, after it ended: `done` comes once whenever the caller gives up. */
static void test_cancel_at_any_time(void **state)
{
    (void)state;
    fake_exec exec;
    fake_init(&exec);
    rm_lane *lane = make_lane(2, rm_clock_system());
    for (unsigned round = 0; round < 200; round++) {
        asked *a = ask(&exec, 1 + round % 9, text_of(round));
        if (round % 2)
            a->op.deadline_ns = UINT64_MAX / 2;
        assert_int_equal(rm_lane_submit(lane, &a->op), RM_OK);
        for (volatile unsigned spin = 0; spin < round * 200; spin++)
            ;
        rm_lane_cancel(lane, &a->op);
        fake_run(&exec, 1);
        assert_true(a->done == 1 && (a->status == RM_OK || a->status == RM_ECANCELLED));
        if (a->status == RM_OK)
            check_vectors(a);
        free(a);
    }
    assert_int_equal(rm_lane_get_stats(lane).waiting, 0);
    rm_lane_destroy(lane);
    fake_deinit(&exec);
}

static void test_destroy_with_work_left(void **state)
{
    (void)state;
    fake_exec exec;
    fake_init(&exec);
    for (unsigned round = 0; round < 20; round++) {
        rm_lane *lane = make_lane(2, rm_clock_system());
        asked *all[8];
        for (unsigned i = 0; i < RM_COUNT(all); i++) {
            all[i] = ask(&exec, 20, text_of(i + round));
            if (i % 2)
                all[i]->op.deadline_ns = UINT64_MAX / 2;
            assert_int_equal(rm_lane_submit(lane, &all[i]->op), RM_OK);
        }
        rm_lane_destroy(lane);
        fake_run(&exec, RM_COUNT(all));
        for (unsigned i = 0; i < RM_COUNT(all); i++) {
            assert_true(all[i]->done == 1 && (all[i]->status == RM_OK || all[i]->status == RM_ECANCELLED));
            free(all[i]);
        }
    }
    fake_deinit(&exec);
}

/* ---- limits ----------------------------------------------------------------------------------------------------------- */

static void test_full_queue(void **state)
{
    (void)state;
    held h;
    rm_lane *lane = hold(&h, rm_clock_system());
    enum { OPS = RM_EMBED_QUEUE_TEXTS_MAX / TEXTS_MAX };
    static asked *all[OPS];
    for (unsigned i = 0; i < OPS; i++) {
        all[i] = ask(&h.exec, TEXTS_MAX, RM_SLICE("a"));
        assert_int_equal(rm_lane_submit(lane, &all[i]->op), RM_OK);
    }
    asked *late = ask(&h.exec, 1, RM_SLICE("a"));
    assert_int_equal(rm_lane_submit(lane, &late->op), RM_EBUSY);
    assert_int_equal(rm_lane_get_stats(lane).waiting, RM_EMBED_QUEUE_TEXTS_MAX);
    rm_lane_cancel(lane, &all[0]->op);
    assert_int_equal(rm_lane_submit(lane, &late->op), RM_OK);
    for (unsigned i = 1; i < OPS; i++)
        rm_lane_cancel(lane, &all[i]->op);
    gate_open(&h.gate);
    fake_run(&h.exec, OPS + 2);
    assert_true(late->done == 1 && late->status == RM_OK);
    assert_int_equal(rm_lane_get_stats(lane).refused, 1);
    let_go(&h);
    for (unsigned i = 0; i < OPS; i++) {
        assert_true(all[i]->done == 1 && all[i]->status == RM_ECANCELLED);
        free(all[i]);
    }
    free(late);
}

static void test_no_text(void **state)
{
    (void)state;
    fake_exec exec;
    fake_init(&exec);
    rm_lane *lane = make_lane(1, rm_clock_system());
    asked *none = ask(&exec, 0, RM_SLICE_NONE);
    assert_int_equal(rm_lane_submit(lane, &none->op), RM_EINVAL);
    rm_lane_destroy(lane);
    free(none);
    fake_deinit(&exec);
}

/* A deadline that passes while the op waits: it is not encoded any more. */
static void test_deadline(void **state)
{
    (void)state;
    held h;
    rm_lane *lane = hold(&h, &fake_clock);
    asked *past = ask(&h.exec, 1, RM_SLICE("a")), *kept = ask(&h.exec, 1, RM_SLICE("b")),
          *gone = ask(&h.exec, 2, text_of(3));
    past->op.deadline_ns = fake_ns - 1;
    assert_int_equal(rm_lane_submit(lane, &past->op), RM_EBUSY);
    gone->op.deadline_ns = fake_ns + 1000;
    kept->op.deadline_ns = fake_ns + 3000;
    assert_int_equal(rm_lane_submit(lane, &gone->op), RM_OK);
    assert_int_equal(rm_lane_submit(lane, &kept->op), RM_OK);
    fake_ns += 2000;
    gate_open(&h.gate);
    fake_run(&h.exec, 3);
    assert_true(gone->done == 1 && gone->status == RM_ETIMEOUT && gone->worked == 0);
    assert_true(kept->done == 1 && kept->status == RM_OK);
    rm_lane_stats stats = rm_lane_get_stats(lane);
    assert_true(stats.late == 1 && stats.refused == 1 && stats.waiting == 0 && stats.texts == 2);
    let_go(&h);
    free(past);
    free(kept);
    free(gone);
}

/* A pace that was measured in a bad moment refuses nobody for ever. */
static void test_slow_moment(void **state)
{
    (void)state;
    held h;
    rm_lane *lane = hold(&h, &fake_clock);
    fake_step_ns = 1000000000; /* each look at the clock takes a second from here on */
    gate_open(&h.gate);
    fake_run(&h.exec, 1);
    asked *slow = ask(&h.exec, 1, text_of(3)), *next = ask(&h.exec, 1, text_of(3)),
          *behind = ask(&h.exec, 1, text_of(3));
    assert_int_equal(rm_lane_submit(lane, &slow->op), RM_OK);
    fake_run(&h.exec, 1);
    fake_step_ns = 0;
    gate again;
    gate_close(&again, lane, &h.exec);
    next->op.deadline_ns = behind->op.deadline_ns = fake_ns + 1000;
    assert_int_equal(rm_lane_submit(lane, &next->op), RM_OK);
    assert_int_equal(rm_lane_submit(lane, &behind->op), RM_EBUSY);
    gate_open(&again);
    fake_run(&h.exec, 2);
    assert_true(next->done == 1 && next->status == RM_OK);
    let_go(&h);
    gate_free(&again);
    free(slow);
    free(next);
    free(behind);
}

/* Who comes behind a long bulk op is served before that is over, by the other queue and by rotation. */
static void test_order(void **state)
{
    (void)state;
    held h;
    rm_lane *lane = hold(&h, rm_clock_system());
    asked *bulk = ask(&h.exec, TEXTS_MAX, text_of(13)), *other = ask(&h.exec, 2, text_of(2)),
          *soon = ask(&h.exec, 1, text_of(4));
    soon->op.deadline_ns = UINT64_MAX / 2;
    assert_int_equal(rm_lane_submit(lane, &bulk->op), RM_OK);
    assert_int_equal(rm_lane_submit(lane, &other->op), RM_OK);
    assert_int_equal(rm_lane_submit(lane, &soon->op), RM_OK);
    gate_open(&h.gate);
    fake_run(&h.exec, 2);
    assert_int_equal(soon->done, 1);
    fake_run(&h.exec, 1);
    assert_int_equal(other->done, 1);
    assert_int_equal(bulk->done, 0);
    fake_run(&h.exec, 1);
    assert_int_equal(bulk->done, 1);
    check_vectors(other);
    check_vectors(bulk);
    let_go(&h);
    free(bulk);
    free(other);
    free(soon);
}

/* A turn holds RM_EMBED_TURN_TOKENS_MAX tokens and not one more; a longer text goes alone. */
static void test_turns(void **state)
{
    (void)state;
    static const struct {
        uint32_t letters, texts; /* each text has two tokens more than letters */
        uint64_t turns;
    } cases[] = {{RM_EMBED_TURN_TOKENS_MAX / 2 - 2, 4, 2},
                 {RM_EMBED_TURN_TOKENS_MAX / 2 - 1, 4, 4},
                 {RM_EMBED_TURN_TOKENS_MAX + 2, 3, 3},
                 {RM_EMBED_TURN_TOKENS_MAX / 4 - 2, 8, 2}};
    fake_exec exec;
    fake_init(&exec);
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        gate g;
        rm_lane *lane = make_lane(1, rm_clock_system());
        gate_close(&g, lane, &exec);
        asked *a = ask(&exec, cases[i].texts, (rm_slice){letters, cases[i].letters});
        assert_int_equal(rm_lane_submit(lane, &a->op), RM_OK);
        gate_open(&g);
        fake_run(&exec, 2);
        assert_int_equal(a->tokens[0], cases[i].letters + 2);
        assert_int_equal(rm_lane_get_stats(lane).turns, cases[i].turns + 1);
        rm_lane_destroy(lane);
        gate_free(&g);
        free(a);
    }
    fake_deinit(&exec);
}

#ifdef REMORA_FAULTS
static void test_no_memory(void **state)
{
    (void)state;
    rm_lane_options options = {.model = model, .workers = 2, .clock = rm_clock_system()};
    rm_status status = RM_ENOMEM;
    for (unsigned n = 1; status != RM_OK; n++) {
        rm_lane *lane = NULL;
        rm_fault_set(RM_FAULT_ALLOC, n, true);
        status = rm_lane_create(&options, &lane);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || status == RM_ENOMEM);
        rm_lane_destroy(lane);
        assert_true(n < 100);
    }
}
#endif

static int set_up(void **state)
{
    (void)state;
    rm_buf why;
    tiny_shape shape = {.layers = 2, .heads = 4, .hidden = HIDDEN, .intermediate = 64, .positions = POSITIONS};
    (void)snprintf(folder, sizeof(folder), "/tmp/remora-lane-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    tiny_model_write(folder, &shape, 7);
    rm_model_options options = {.folder = folder, .precision = RM_PRECISION_FP32};
    rm_buf_init(&why, 4096);
    rm_status status = rm_model_open(&options, &model, &why);
    rm_buf_deinit(&why);
    return status == RM_OK ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    rm_model_close(model);
    tiny_model_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_at_any_time),
        cmocka_unit_test(test_destroy_with_work_left),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_no_text),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_slow_moment),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_turns),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
