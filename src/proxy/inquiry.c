/* The semantic cache's part in a request.
 *
 *     serve    exact miss ─► lane ─► vector ─► decide (worker's thread) ─┬─ hit ─► [hit_delay ─►] the kept answer
 *              within embed.deadline, else the request goes on alone     └─ else ─► upstream ─► learn
 *     shadow   the request goes on at once; vector, decision and answer meet here, whichever comes last
 *
 * An inquiry is shared by its exchange, the lane's op and the fetch whose answer it learns from, all on one loop; a worker of
 * the lane touches it between submit and done only. */
#include "proxy_internal.h"

#define OWN_BYTES     (256 * RM_KIB) /* text, vector and names of one */
#define OPINION_BYTES (4 * RM_KIB)   /* of an answer's text, more than an opinion is made of */

struct rm_inquiry {
    unsigned refs;
    rm_link link; /* in worker->inquiry_list */
    rm_worker *worker;
    rm_generation *generation;
    rm_arena own;
    rm_lane_op op;
    rm_slice text;
    uint32_t tokens;
    rm_semantic_ask ask;
    char id[33];
    _Atomic bool abandoned; /* nobody waits for a hit any more */
    rm_status decide_status;
    bool embedding; /* the lane has it */
    bool decided, answered, kept;
    bool outlived; /* the entry would have been served, but for its age */
    rm_semantic_decision decision;
    rm_semantic_answer answer;
    rm_slice answer_text; /* its beginning, where it is more than a word */
    double cost_usd;
    /* While an exchange waits. */
    rm_exchange *exchange;
    rm_arena scratch; /* what the rest lies in */
    rm_request_info info;
    rm_controls controls;
    rm_exact_key key;
    const rm_config_upstream *upstream;
    rm_timer limit;
};

static rm_keeper *keeper_of(const rm_inquiry *inquiry)
{
    return inquiry->generation->settings->keeper;
}

rm_inquiry *rm_inquiry__ref(rm_inquiry *inquiry)
{
    if (inquiry)
        inquiry->refs++;
    return inquiry;
}

void rm_inquiry__unref(rm_inquiry *inquiry)
{
    if (!inquiry || --inquiry->refs)
        return;
    rm_worker *worker = inquiry->worker;
    rm_generation *generation = inquiry->generation;
    rm_arena_deinit(&inquiry->scratch);
    rm_arena_deinit(&inquiry->own);
    rm_list_remove(&inquiry->link);
    rm_free(inquiry);
    worker->inquiries--;
    rm_proxy__generation_unref(generation);
    rm_proxy__worker_check_idle(worker);
}

const rm_semantic_decision *rm_inquiry__decision(const rm_inquiry *inquiry)
{
    return inquiry && inquiry->decided ? &inquiry->decision : NULL;
}

bool rm_inquiry__is_shadow(const rm_inquiry *inquiry)
{
    return inquiry->ask.shadow;
}

static void fault(const rm_inquiry *inquiry)
{
    rm_observer_fault(inquiry->worker->observer, RM_STAGE_SEMANTIC);
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

static void ask_opinion(rm_inquiry *inquiry, uint64_t entry)
{
    rm_opinion_plan plan = {.worker = inquiry->worker,
                            .inquiry = inquiry,
                            .settings = inquiry->generation->settings,
                            .ask = &inquiry->ask,
                            .decision = &inquiry->decision,
                            .entry = entry,
                            .answer = inquiry->answer_text};
    rm_opinion__ask(&plan);
}

/* Vector and answer are both there. */
static void learn(rm_inquiry *inquiry)
{
    const rm_semantic_ask *ask = &inquiry->ask;
    uint64_t entry;
    rm_status status =
        rm_keeper_learn(keeper_of(inquiry), ask, &inquiry->decision, &inquiry->answer, inquiry->kept, &entry);
    /* RM_EREFUSED: no text for an entry. RM_EBUSY: loading, or the writer is behind. */
    if (status != RM_OK && status != RM_EREFUSED && status != RM_EBUSY)
        fault(inquiry);
    /* The fresh answer stands in for one that is too old; beside it, that would stay the nearest and be refused again. Not
     * before it was learnt from. */
    if (status == RM_OK && inquiry->kept && inquiry->outlived)
        rm_keeper_forget(keeper_of(inquiry), ask->partition, inquiry->decision.entry);
    if (inquiry->answer_text.len &&
        rm_semantic_is_open(rm_keeper_semantic(keeper_of(inquiry)), &inquiry->decision, &inquiry->answer))
        ask_opinion(inquiry, entry);
    if (ask->shadow && inquiry->decision.verdict == RM_VERDICT_AUDIT)
        rm_semantic_saved(rm_keeper_semantic(keeper_of(inquiry)), ask->name_space, true, inquiry->cost_usd);
}

void rm_inquiry__answered(rm_inquiry *inquiry, rm_op op, bool events, rm_slice content, double cost_usd, bool kept)
{
    rm_buf text;
    if (inquiry->answered)
        return;
    rm_buf_init(&text, RM_STORE_RECORD_BYTES_MAX);
    rm_status status = rm_provider_answer_text(op, events, content, &text);
    if (status == RM_OK)
        status = rm_semantic_read_answer(rm_buf_slice(&text), &inquiry->answer);
    if (status == RM_OK && !inquiry->answer.word)
        inquiry->answer_text =
            rm_arena_dup(&inquiry->own, rm_slice_make(text.ptr, text.len < OPINION_BYTES ? text.len : OPINION_BYTES));
    rm_buf_deinit(&text);
    if (status == RM_ENOMEM)
        fault(inquiry);
    if (status != RM_OK)
        return;
    inquiry->answered = true;
    inquiry->kept = kept;
    inquiry->cost_usd = cost_usd;
    if (inquiry->decided)
        learn(inquiry);
}

/* ---- the decision ------------------------------------------------------------------------------------------------ */

static void add_receipt(const rm_inquiry *inquiry)
{
    rm_semantic_receipt receipt = {.shadow = inquiry->ask.shadow,
                                   .max_error = inquiry->ask.max_error,
                                   .decided_ms = rm_proxy__wall_ms(),
                                   .decision = inquiry->decision,
                                   .record = inquiry->ask.record};
    memcpy(receipt.id, inquiry->id, sizeof receipt.id);
    rm_proxy__keep_text(receipt.name_space, sizeof receipt.name_space, inquiry->ask.name_space);
    rm_keeper_add_receipt(keeper_of(inquiry), &receipt);
}

/* A hit that is not served: its receipt must not say that it was. */
static void withdraw(rm_inquiry *inquiry)
{
    if (inquiry->decision.verdict != RM_VERDICT_HIT)
        return;
    rm_semantic_withdraw(rm_keeper_semantic(keeper_of(inquiry)), inquiry->ask.name_space, &inquiry->decision);
    add_receipt(inquiry);
}

/* A worker's thread. */
static void decide(rm_lane_op *op)
{
    rm_inquiry *inquiry = RM_CONTAINER_OF(op, rm_inquiry, op);
    const rm_local_model *model = inquiry->generation->settings->semantic;
    rm_semantic_centre(inquiry->generation->config->cache.semantic.model, op->vectors,
                       rm_model_shape_of(model->model)->hidden);
    if (atomic_load_explicit(&inquiry->abandoned, memory_order_relaxed))
        inquiry->ask.max_error = 0;
    inquiry->decide_status = rm_keeper_decide(keeper_of(inquiry), &inquiry->ask, &inquiry->decision);
}

/* False: there is nothing to serve after all. */
static bool serve(rm_inquiry *inquiry, rm_exchange *exchange)
{
    rm_keeper *keeper = keeper_of(inquiry);
    double saved_usd;
    rm_status status =
        rm_exchange__serve_kept(exchange, &inquiry->info, &inquiry->controls, inquiry->decision.record, &saved_usd);
    if (status == RM_OK) {
        rm_semantic_saved(rm_keeper_semantic(keeper), inquiry->ask.name_space, false, saved_usd);
        return true;
    }
    inquiry->outlived = status == RM_ETIMEOUT;
    if (status != RM_ETIMEOUT && status != RM_EREFUSED)
        rm_keeper_forget(keeper, inquiry->ask.partition, inquiry->decision.entry);
    withdraw(inquiry);
    return false;
}

/* The exchange goes on, with or without an answer of the cache's. */
static void go_on(rm_inquiry *inquiry)
{
    rm_exchange *exchange = inquiry->exchange;
    inquiry->exchange = NULL;
    bool served = inquiry->decided && inquiry->decision.verdict == RM_VERDICT_HIT && serve(inquiry, exchange);
    if (!served)
        rm_exchange__ask_upstream(exchange, &inquiry->info, &inquiry->controls, inquiry->upstream, &inquiry->key);
    rm_arena_deinit(&inquiry->scratch);
}

/* The lane is done with it: but for this reference the exchange alone holds it. */
static void on_held(rm_timer *timer)
{
    rm_inquiry *inquiry = rm_inquiry__ref(RM_CONTAINER_OF(timer, rm_inquiry, limit));
    go_on(inquiry);
    rm_inquiry__unref(inquiry);
}

/* How long a hit waits, so that who shares entries with others cannot tell by the time which of them are there. */
static uint64_t delay_ms_of(const rm_inquiry *inquiry)
{
    const rm_config *config = inquiry->generation->config;
    bool hit = inquiry->decided && inquiry->decision.verdict == RM_VERDICT_HIT;
    return hit && config->cache.scope != RM_SCOPE_KEY ? config->cache.semantic.hit_delay_ms : 0;
}

/* The exchange has waited for the decision as long as it will. */
static void resume(rm_inquiry *inquiry)
{
    rm_exec *exec = inquiry->worker->exec;
    uint64_t delay_ms = delay_ms_of(inquiry);
    rm_timer_stop(exec, &inquiry->limit);
    if (delay_ms == 0) {
        go_on(inquiry);
        return;
    }
    inquiry->limit.fire = on_held;
    rm_timer_start(exec, &inquiry->limit, delay_ms);
}

static void on_limit(rm_timer *timer)
{
    rm_inquiry *inquiry = RM_CONTAINER_OF(timer, rm_inquiry, limit);
    atomic_store_explicit(&inquiry->abandoned, true, memory_order_relaxed);
    resume(inquiry);
}

static void on_done(rm_lane_op *op, rm_status status);

/* Nobody waits for it. With more of that than the lane can do, memory and measurement are worth more than each single one. */
static bool submit_bulk(rm_inquiry *inquiry)
{
    rm_lane *lane = inquiry->generation->settings->semantic->lane;
    inquiry->op.deadline_ns = 0;
    inquiry->embedding =
        rm_lane_get_stats(lane).waiting < RM_SEMANTIC_WAITING_MAX && rm_lane_submit(lane, &inquiry->op) == RM_OK;
    return inquiry->embedding;
}

static void on_done(rm_lane_op *op, rm_status status)
{
    rm_inquiry *inquiry = RM_CONTAINER_OF(op, rm_inquiry, op);
    bool late = status == RM_ETIMEOUT;
    inquiry->embedding = false;
    if (status == RM_OK)
        status = inquiry->decide_status;
    if (status == RM_OK) {
        inquiry->decided = true;
        rm_observer_embedded(inquiry->worker->observer, op->finished_ns - op->submitted_ns);
        add_receipt(inquiry);
    } else if (!late && status != RM_ECANCELLED && status != RM_EBUSY && status != RM_ETOOBIG && status != RM_EPARSE) {
        fault(inquiry);
    }
    if (inquiry->exchange)
        resume(inquiry);
    else if (inquiry->decided)
        withdraw(inquiry);
    if (inquiry->decided && inquiry->answered)
        learn(inquiry);
    /* So that it becomes an entry all the same. */
    if (late && !inquiry->worker->closing && (inquiry->refs > 1 || inquiry->answered)) {
        inquiry->ask.max_error = 0;
        if (submit_bulk(inquiry))
            return;
    }
    rm_inquiry__unref(inquiry);
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

/* A caller may only tighten. */
static double max_error_of(const rm_category *category, const rm_controls *controls)
{
    double own = category->max_error;
    return controls->max_error >= 0 && controls->max_error < own ? controls->max_error : own;
}

static rm_status read_question(rm_exchange *exchange, const rm_inquiry_plan *plan, rm_semantic_question *ret_question)
{
    rm_slice variant;
    rm_status status = rm_exchange__variant(rm_req_head(exchange->req), plan->scratch, &variant);
    if (status != RM_OK)
        return status;
    status = rm_semantic_question_read(plan->info, exchange->upstream, &exchange->tenant, exchange->name_space, variant,
                                       exchange->worker->proxy->secret, ret_question);
    unsigned kinds = exchange->generation->config->cache.semantic.exact_only;
    if (status == RM_OK && ret_question->fitness == RM_SEMANTIC_FIT && rm_semantic_marked(ret_question->text, kinds))
        ret_question->fitness = RM_SEMANTIC_MARKED;
    return status;
}

/* Copies what outlives the request. */
static rm_status fill(rm_inquiry *inquiry, rm_exchange *exchange, const rm_inquiry_plan *plan,
                      const rm_semantic_question *question)
{
    const rm_config *config = exchange->generation->config;
    const rm_local_model *model = exchange->generation->settings->semantic;
    uint32_t hidden = rm_model_shape_of(model->model)->hidden;
    bool shared = config->cache.scope != RM_SCOPE_KEY;
    inquiry->text = rm_arena_dup(&inquiry->own, question->text);
    rm_slice name_space = rm_arena_dup(&inquiry->own, exchange->name_space);
    float *vector = rm_arena_alloc(&inquiry->own, hidden * sizeof *vector);
    if (!inquiry->text.ptr || !name_space.ptr || !vector)
        return RM_ENOMEM;
    inquiry->ask = (rm_semantic_ask){
        .name_space = name_space,
        .partition = question->partition,
        .text = inquiry->text,
        .vector = vector,
        .max_error = exchange->decision.lookup ? max_error_of(&exchange->category, plan->controls) : 0,
        .shadow = exchange->category.semantic != RM_MODE_SERVE,
        .tenant = shared ? exchange->tenant.id.hi | 1 : 0,
        .record = plan->key->key,
    };
    memcpy(inquiry->id, exchange->id, sizeof inquiry->id);
    inquiry->op = (rm_lane_op){
        .texts = &inquiry->text,
        .count = 1,
        .vectors = vector,
        .tokens = &inquiry->tokens,
        .overflow = config->embed.overflow == RM_LONG_TEXT_HEAD_TAIL ? RM_OVERFLOW_HEAD_TAIL : RM_OVERFLOW_HEAD,
        .exec = exchange->worker->exec,
        .work = decide,
        .done = on_done,
    };
    return RM_OK;
}

static rm_inquiry *create(rm_exchange *exchange)
{
    rm_inquiry *inquiry = rm_calloc(1, sizeof *inquiry);
    if (!inquiry)
        return NULL;
    inquiry->refs = 1;
    inquiry->worker = exchange->worker;
    inquiry->generation = rm_proxy__generation_ref(exchange->generation);
    rm_list_append(&inquiry->worker->inquiry_list, &inquiry->link);
    inquiry->worker->inquiries++;
    rm_arena_init(&inquiry->own, rm_loop_arenas(exchange->worker->loop), OWN_BYTES);
    return inquiry;
}

/* The lane's reference is the second. True: `done` follows. */
static bool submit(rm_inquiry *inquiry, bool soon)
{
    rm_lane *lane = inquiry->generation->settings->semantic->lane;
    inquiry->refs++;
    inquiry->op.deadline_ns = rm_proxy__now_ns() + inquiry->generation->config->embed.deadline_us * 1000;
    inquiry->embedding = soon && rm_lane_submit(lane, &inquiry->op) == RM_OK;
    if (inquiry->embedding || (!soon && submit_bulk(inquiry)))
        return true;
    inquiry->refs--;
    return false;
}

static void wait_for(rm_inquiry *inquiry, rm_exchange *exchange, const rm_inquiry_plan *plan)
{
    inquiry->exchange = exchange;
    inquiry->info = *plan->info;
    inquiry->controls = *plan->controls;
    inquiry->key = *plan->key;
    inquiry->upstream = plan->upstream;
    inquiry->scratch = *plan->scratch;
    rm_arena_init(plan->scratch, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    inquiry->limit.fire = on_limit;
    rm_exchange__move(exchange, RM_EXCHANGE_RECALLING);
    rm_timer_start(inquiry->worker->exec, &inquiry->limit, exchange->generation->config->embed.deadline_us / 1000);
}

static bool is_wanted(const rm_exchange *exchange)
{
    const rm_settings *settings = exchange->generation->settings;
    return exchange->category.semantic != RM_MODE_OFF && settings->semantic && settings->keeper &&
           (exchange->decision.lookup || exchange->decision.store);
}

bool rm_inquiry__begin(rm_exchange *exchange, const rm_inquiry_plan *plan)
{
    rm_semantic_question question;
    if (!is_wanted(exchange))
        return false;
    rm_status status = read_question(exchange, plan, &question);
    if (status == RM_OK && question.fitness != RM_SEMANTIC_FIT)
        return false;
    rm_inquiry *inquiry = status == RM_OK ? create(exchange) : NULL;
    if (!inquiry || fill(inquiry, exchange, plan, &question) != RM_OK) {
        rm_observer_fault(exchange->worker->observer, RM_STAGE_SEMANTIC);
        rm_inquiry__unref(inquiry);
        return false;
    }
    bool waits = !inquiry->ask.shadow && exchange->decision.lookup && inquiry->ask.max_error > 0;
    if (exchange->decision.merge && waits && rm_exchange__join(exchange, plan->info, plan->key)) {
        rm_inquiry__unref(inquiry);
        return true;
    }
    exchange->inquiry = inquiry;
    waits = waits && submit(inquiry, true);
    if (waits)
        wait_for(inquiry, exchange, plan);
    else
        (void)submit(inquiry, false);
    return waits;
}

void rm_inquiry__cancel_all(rm_worker *worker)
{
    for (rm_link *link = worker->inquiry_list.next; link != &worker->inquiry_list; link = link->next) {
        rm_inquiry *inquiry = RM_CONTAINER_OF(link, rm_inquiry, link);
        if (inquiry->embedding)
            rm_lane_cancel(inquiry->generation->settings->semantic->lane, &inquiry->op);
    }
}

void rm_inquiry__leave(rm_exchange *exchange)
{
    rm_inquiry *inquiry = exchange->inquiry;
    if (!inquiry || inquiry->exchange != exchange)
        return;
    inquiry->exchange = NULL;
    rm_timer_stop(inquiry->worker->exec, &inquiry->limit);
    rm_arena_deinit(&inquiry->scratch);
    if (!inquiry->embedding)
        withdraw(inquiry);
    else
        rm_lane_cancel(inquiry->generation->settings->semantic->lane, &inquiry->op);
}
