/* The worker lane. All that workers and submitters share is guarded by one lock, held for a few list operations; texts
 * are cut into tokens and encoded outside it.
 *
 * An op is in its queue as long as it has texts that nobody took. It is over when nothing of it is queued or running;
 * whoever brings that about (worker, canceller, destroyer) posts its task. */
#include "remora/lane.h"

#include <pthread.h>

#define TURN_TEXTS_MAX 32
#define WARM_UP_TOKENS 16U
#define PACE_WEIGHT    8 /* the pace is a moving average over about so many turns */

enum { SOON, BULK, QUEUES };

/* A text in a worker's hands. */
typedef struct claim {
    rm_lane_op *op;
    uint32_t text, tokens;
} claim;

typedef struct worker {
    rm_lane *lane;
    pthread_t thread;
    bool started;
    rm_encoder *encoder;
    /* One turn's. */
    claim claims[TURN_TEXTS_MAX];
    unsigned claim_count;
    uint32_t lengths[TURN_TEXTS_MAX];
    uint32_t *ids;
    float *vectors;
    claim carried; /* what did not fit; its ids are the first of the next turn. No op: none */
    int last;      /* queue of the last turn */
} worker;

struct rm_lane {
    const rm_model *model;
    const rm_clock *clock;
    uint32_t hidden, tokens_max;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    rm_link queues[QUEUES];
    size_t soon_tokens; /* guessed, waiting in SOON */
    bool closing;
    uint64_t token_ns; /* what a token takes a worker; 0: not known yet */
    rm_lane_stats stats;
    unsigned worker_count;
    worker workers[];
};

static uint64_t now_ns(const rm_lane *lane)
{
    return lane->clock->mono_ns(lane->clock);
}

/* ---- ops; all with the lock held --------------------------------------------------------------------------------- */

static void run_done(rm_task *task)
{
    rm_lane_op *op = RM_CONTAINER_OF(task, rm_lane_op, task);
    op->done(op, op->status);
}

/* English has a token to four or five bytes; others have more, which the pace then shows. */
static size_t guess_tokens(const rm_lane *lane, rm_slice text)
{
    size_t tokens = text.len / 4 + 2;
    return tokens < lane->tokens_max ? tokens : lane->tokens_max;
}

static void dequeue(rm_lane *lane, rm_lane_op *op)
{
    rm_list_remove(&op->link);
    lane->stats.waiting -= op->count - op->next;
    if (op->deadline_ns)
        lane->soon_tokens -= op->waiting_tokens;
    op->waiting_tokens = 0;
    op->next = op->count;
}

/* True: the op is over, and the caller sends it off. */
static bool give_up(rm_lane *lane, rm_lane_op *op, rm_status status)
{
    bool queued = rm_link_linked(&op->link);
    if (queued)
        dequeue(lane, op);
    if (op->status == RM_OK && (queued || op->running))
        op->status = status;
    return queued && op->running == 0;
}

static void send_off(const rm_lane *lane, rm_lane_op *op)
{
    op->finished_ns = now_ns(lane);
    rm_exec_post(op->exec, &op->task);
}

/* By the recent pace: what waits before it, shared by the workers, and itself. With nothing before it the pace is not
 * asked: only texts that are encoded mend one that was measured in a bad moment. */
static bool can_be_kept(const rm_lane *lane, const rm_lane_op *op, uint64_t now)
{
    if (lane->soon_tokens == 0)
        return now <= op->deadline_ns;
    uint64_t wait_ns = lane->token_ns * (lane->soon_tokens / lane->worker_count + op->waiting_tokens);
    return now + wait_ns <= op->deadline_ns;
}

rm_status rm_lane_submit(rm_lane *lane, rm_lane_op *op)
{
    if (op->count == 0)
        return RM_EINVAL;
    op->link = (rm_link){0};
    op->task.run = run_done;
    op->next = op->running = 0;
    op->status = RM_OK;
    op->waiting_tokens = 0;
    for (uint32_t i = 0; i < op->count; i++)
        op->waiting_tokens += guess_tokens(lane, op->texts[i]);
    op->submitted_ns = now_ns(lane);
    pthread_mutex_lock(&lane->lock);
    bool fits = !lane->closing && lane->stats.waiting + op->count <= RM_EMBED_QUEUE_TEXTS_MAX &&
                (!op->deadline_ns || can_be_kept(lane, op, op->submitted_ns));
    if (fits) {
        rm_list_append(&lane->queues[op->deadline_ns ? SOON : BULK], &op->link);
        lane->stats.waiting += op->count;
        if (op->deadline_ns)
            lane->soon_tokens += op->waiting_tokens;
        if (op->count > 1)
            pthread_cond_broadcast(&lane->wake);
        else
            pthread_cond_signal(&lane->wake);
    } else {
        lane->stats.refused++;
    }
    pthread_mutex_unlock(&lane->lock);
    return fits ? RM_OK : RM_EBUSY;
}

void rm_lane_cancel(rm_lane *lane, rm_lane_op *op)
{
    pthread_mutex_lock(&lane->lock);
    bool over = give_up(lane, op, RM_ECANCELLED);
    pthread_mutex_unlock(&lane->lock);
    if (over)
        send_off(lane, op);
}

rm_lane_stats rm_lane_get_stats(rm_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    rm_lane_stats stats = lane->stats;
    pthread_mutex_unlock(&lane->lock);
    return stats;
}

/* ---- a worker's turn --------------------------------------------------------------------------------------------- */

/* The next text of a queue; bulk ops go to its end, so that each gets its turn. Lock held. */
static bool take(rm_lane *lane, int queue, claim *ret_claim)
{
    rm_link *head = &lane->queues[queue];
    if (rm_list_empty(head))
        return false;
    rm_lane_op *op = RM_CONTAINER_OF(head->next, rm_lane_op, link);
    size_t tokens = guess_tokens(lane, op->texts[op->next]);
    *ret_claim = (claim){.op = op, .text = op->next++};
    op->running++;
    op->waiting_tokens -= tokens;
    if (queue == SOON)
        lane->soon_tokens -= tokens;
    lane->stats.waiting--;
    if (op->next == op->count || queue == BULK)
        rm_list_remove(&op->link);
    if (op->next < op->count && queue == BULK)
        rm_list_append(head, &op->link);
    return true;
}

/* The worker has done with one text of an op. True: that was the last. Lock held. */
static bool put_back(rm_lane_op *op)
{
    op->running--;
    return op->running == 0 && op->next == op->count;
}

/* Drops a text that nobody wants any more or whose time is over. */
static bool is_wanted(rm_lane *lane, const claim *c)
{
    rm_lane_op *op = c->op;
    uint64_t now = op->deadline_ns ? now_ns(lane) : 0;
    bool over = false;
    pthread_mutex_lock(&lane->lock);
    bool wanted = op->status == RM_OK;
    if (wanted && op->deadline_ns && now > op->deadline_ns) {
        (void)give_up(lane, op, RM_ETIMEOUT);
        lane->stats.late++;
        wanted = false;
    }
    if (!wanted)
        over = put_back(op);
    pthread_mutex_unlock(&lane->lock);
    if (over)
        send_off(lane, op);
    return wanted;
}

/* Whether one more text keeps the turn within its bound and every deadline in it: each waits for the whole turn. */
static bool fits_turn(const worker *w, const claim *c, uint32_t tokens)
{
    rm_lane *lane = w->lane;
    uint64_t first = c->op->deadline_ns ? c->op->deadline_ns : UINT64_MAX;
    if (tokens + c->tokens > RM_EMBED_TURN_TOKENS_MAX)
        return false;
    for (unsigned i = 0; i < w->claim_count; i++)
        if (w->claims[i].op->deadline_ns && w->claims[i].op->deadline_ns < first)
            first = w->claims[i].op->deadline_ns;
    if (first == UINT64_MAX)
        return true;
    pthread_mutex_lock(&lane->lock);
    uint64_t token_ns = lane->token_ns;
    pthread_mutex_unlock(&lane->lock);
    return now_ns(lane) + token_ns * (tokens + c->tokens) <= first;
}

/* What did not fit the last turn begins this one, unless its time is over by now. */
static uint32_t begin_turn(worker *w)
{
    claim carried = w->carried;
    w->carried.op = NULL;
    if (!carried.op || !is_wanted(w->lane, &carried))
        return 0;
    w->claims[w->claim_count++] = carried;
    return carried.tokens;
}

/* Fills the turn from one queue. The text that does not fit is kept for the next one, its ids behind the turn's. */
static uint32_t gather(worker *w, int queue)
{
    rm_lane *lane = w->lane;
    const rm_tokenizer *tokenizer = rm_model_tokenizer(lane->model);
    uint32_t tokens = begin_turn(w);
    claim c;
    while (tokens < RM_EMBED_TURN_TOKENS_MAX && w->claim_count < TURN_TEXTS_MAX) {
        pthread_mutex_lock(&lane->lock);
        bool any = take(lane, queue, &c);
        pthread_mutex_unlock(&lane->lock);
        if (!any)
            break;
        c.tokens =
            (uint32_t)rm_tokenize(tokenizer, c.op->texts[c.text], c.op->overflow, w->ids + tokens, lane->tokens_max);
        if (!is_wanted(lane, &c))
            continue;
        if (tokens && !fits_turn(w, &c, tokens)) {
            w->carried = c;
            break;
        }
        w->claims[w->claim_count++] = c;
        tokens += c.tokens;
    }
    return tokens;
}

/* Hands the turn's vectors over and sends off the ops that are complete. */
static void deliver(worker *w, uint32_t tokens, uint64_t took_ns)
{
    rm_lane *lane = w->lane;
    rm_lane_op *over[TURN_TEXTS_MAX];
    unsigned over_count = 0;
    for (unsigned i = 0; i < w->claim_count; i++) {
        const claim *c = &w->claims[i];
        memcpy(c->op->vectors + (size_t)c->text * lane->hidden, w->vectors + (size_t)i * lane->hidden,
               lane->hidden * sizeof(float));
        c->op->tokens[c->text] = c->tokens;
    }
    pthread_mutex_lock(&lane->lock);
    uint64_t pace = took_ns / tokens;
    lane->token_ns = lane->token_ns ? (lane->token_ns * (PACE_WEIGHT - 1) + pace) / PACE_WEIGHT : pace;
    lane->stats.turns++;
    lane->stats.texts += w->claim_count;
    lane->stats.tokens += tokens;
    lane->stats.busy_ns += took_ns;
    for (unsigned i = 0; i < w->claim_count; i++)
        if (put_back(w->claims[i].op))
            over[over_count++] = w->claims[i].op;
    pthread_mutex_unlock(&lane->lock);
    for (unsigned i = 0; i < over_count; i++) {
        if (over[i]->status == RM_OK && over[i]->work)
            over[i]->work(over[i]);
        send_off(lane, over[i]);
    }
}

static void encode(worker *w, uint32_t tokens)
{
    for (unsigned i = 0; i < w->claim_count; i++)
        w->lengths[i] = w->claims[i].tokens;
    uint64_t begin_ns = now_ns(w->lane);
    /* Ids and lengths come from the tokenizer of the same model: they are in range. */
    RM_CHECK(rm_encoder_run(w->encoder, w->ids, w->lengths, w->claim_count, w->vectors) == RM_OK);
    deliver(w, tokens, now_ns(w->lane) - begin_ns);
    w->claim_count = 0;
}

static void run_turn(worker *w)
{
    uint32_t tokens = gather(w, w->last);
    if (tokens)
        encode(w, tokens);
    if (w->carried.op)
        memmove(w->ids, w->ids + tokens, w->carried.tokens * sizeof(*w->ids));
}

/* Waits until there is something to do, and picks the queue to fill the turn from: not the last one's where the other
 * waits too. False: the lane closes, and nothing was carried over. */
static bool wait_for_work(worker *w)
{
    rm_lane *lane = w->lane;
    pthread_mutex_lock(&lane->lock);
    while (!lane->closing && !w->carried.op && rm_list_empty(&lane->queues[SOON]) && rm_list_empty(&lane->queues[BULK]))
        pthread_cond_wait(&lane->wake, &lane->lock);
    int other = w->last == SOON ? BULK : SOON;
    if (!rm_list_empty(&lane->queues[other]))
        w->last = other;
    bool go = w->carried.op || !lane->closing;
    pthread_mutex_unlock(&lane->lock);
    return go;
}

/* Twice, for the first one finds memory cold: the second is the pace to begin with. */
static void warm_up(worker *w)
{
    rm_lane *lane = w->lane;
    uint32_t tokens = WARM_UP_TOKENS < lane->tokens_max ? WARM_UP_TOKENS : lane->tokens_max;
    uint64_t begin_ns = 0;
    memset(w->ids, 0, tokens * sizeof(*w->ids));
    for (int i = 0; i < 2; i++) {
        begin_ns = now_ns(lane);
        RM_CHECK(rm_encoder_run(w->encoder, w->ids, &tokens, 1, w->vectors) == RM_OK);
    }
    pthread_mutex_lock(&lane->lock);
    if (lane->token_ns == 0)
        lane->token_ns = (now_ns(lane) - begin_ns) / tokens;
    pthread_mutex_unlock(&lane->lock);
}

static void *run_worker(void *user)
{
    worker *w = user;
    warm_up(w);
    while (wait_for_work(w))
        run_turn(w);
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static rm_status start_worker(rm_lane *lane, worker *w)
{
    w->lane = lane;
    w->last = BULK;
    w->ids = rm_alloc((RM_EMBED_TURN_TOKENS_MAX + (size_t)lane->tokens_max) * sizeof(*w->ids));
    w->vectors = rm_alloc((size_t)TURN_TEXTS_MAX * lane->hidden * sizeof(*w->vectors));
    if (!w->ids || !w->vectors)
        return RM_ENOMEM;
    rm_status status = rm_encoder_create(lane->model, &w->encoder);
    if (status != RM_OK)
        return status;
    w->started = pthread_create(&w->thread, NULL, run_worker, w) == 0;
    return w->started ? RM_OK : RM_EINTERNAL;
}

rm_status rm_lane_create(const rm_lane_options *options, rm_lane **ret_lane)
{
    const rm_model_shape *shape = rm_model_shape_of(options->model);
    RM_CHECK(options->workers >= 1 && options->workers <= RM_EMBED_WORKERS_MAX);
    rm_lane *lane = rm_calloc(1, sizeof(*lane) + options->workers * sizeof(lane->workers[0]));
    if (!lane)
        return RM_ENOMEM;
    lane->model = options->model;
    lane->clock = options->clock;
    lane->hidden = shape->hidden;
    lane->tokens_max = shape->tokens_max;
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->wake, NULL);
    for (int q = 0; q < QUEUES; q++)
        rm_list_init(&lane->queues[q]);
    rm_status status = RM_OK;
    /* Counted first: a worker that runs divides by it. */
    lane->worker_count = options->workers;
    for (unsigned i = 0; i < options->workers && status == RM_OK; i++)
        status = start_worker(lane, &lane->workers[i]);
    if (status != RM_OK) {
        rm_lane_destroy(lane);
        return status;
    }
    *ret_lane = lane;
    return RM_OK;
}

static void cancel_queued(rm_lane *lane)
{
    for (int q = 0; q < QUEUES; q++) {
        while (!rm_list_empty(&lane->queues[q])) {
            rm_lane_op *op = RM_CONTAINER_OF(lane->queues[q].next, rm_lane_op, link);
            if (give_up(lane, op, RM_ECANCELLED))
                send_off(lane, op);
        }
    }
}

void rm_lane_destroy(rm_lane *lane)
{
    if (!lane)
        return;
    pthread_mutex_lock(&lane->lock);
    lane->closing = true;
    cancel_queued(lane);
    pthread_cond_broadcast(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
    for (unsigned i = 0; i < lane->worker_count; i++) {
        worker *w = &lane->workers[i];
        if (w->started)
            pthread_join(w->thread, NULL);
        rm_encoder_destroy(w->encoder);
        rm_free(w->ids);
        rm_free(w->vectors);
    }
    pthread_cond_destroy(&lane->wake);
    pthread_mutex_destroy(&lane->lock);
    rm_free(lane);
}
