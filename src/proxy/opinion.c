/* A second opinion on what was learnt from an answer: where texts alone cannot tell whether a neighbour's answer is the fresh
 * one, the lane embeds both, and their similarity may. Nobody waits for it. */
#include "proxy_internal.h"

#define ANSWER_BYTES 1024 /* of each answer: about what the encoder reads */

typedef struct opinion {
    rm_lane_op op;
    rm_link link; /* in the worker's opinion_list */
    rm_lane *lane;
    rm_inquiry *inquiry;
    const rm_semantic_ask *ask;
    const rm_semantic_decision *decision;
    rm_keeper *keeper;
    const char *model;
    uint64_t entry;
    uint32_t hidden, tokens[2];
    rm_slice texts[2];
    rm_judgement judged;
    char bytes[2 * ANSWER_BYTES];
    float vectors[]; /* two */
} opinion;

/* A worker's thread. */
static void judge(rm_lane_op *op)
{
    opinion *self = RM_CONTAINER_OF(op, opinion, op);
    float *a = op->vectors, *b = op->vectors + self->hidden;
    rm_semantic_centre(self->model, a, self->hidden);
    rm_semantic_centre(self->model, b, self->hidden);
    self->judged = rm_semantic_judge_near(rm_keeper_semantic(self->keeper), self->texts[0], self->texts[1],
                                          rm_semantic_similarity(a, b, self->hidden));
}

static void on_done(rm_lane_op *op, rm_status status)
{
    opinion *self = RM_CONTAINER_OF(op, opinion, op);
    if (status == RM_OK && self->judged != RM_JUDGED_UNKNOWN)
        rm_semantic_label(rm_keeper_semantic(self->keeper), self->ask, self->decision, self->entry,
                          self->judged == RM_JUDGED_EQUAL);
    rm_list_remove(&self->link);
    rm_inquiry__unref(self->inquiry);
    rm_free(self);
}

void rm_opinion__cancel_all(rm_worker *worker)
{
    for (rm_link *link = worker->opinion_list.next; link != &worker->opinion_list; link = link->next) {
        opinion *self = RM_CONTAINER_OF(link, opinion, link);
        rm_lane_cancel(self->lane, &self->op);
    }
}

/* The beginning of a text, not in the middle of a character. */
static rm_slice keep_beginning(char *to, rm_slice from)
{
    if (from.len > ANSWER_BYTES) {
        from.len = ANSWER_BYTES;
        while (from.len && ((unsigned char)from.ptr[from.len] & 0xc0) == 0x80)
            from.len--;
    }
    memcpy(to, from.ptr, from.len);
    return rm_slice_make(to, from.len);
}

/* What the candidate's record says. */
static bool read_cached(rm_worker *worker, rm_key128 key, char *to, rm_slice *ret_text)
{
    rm_record record;
    rm_buf text;
    if (!worker->reader || rm_store_get(worker->reader, key, &record) != RM_OK)
        return false;
    rm_buf_init(&text, RM_STORE_RECORD_BYTES_MAX);
    rm_status status = rm_provider_answer_text(record.op, record.form == RM_RECORD_EVENTS, record.content, &text);
    if (status == RM_OK)
        *ret_text = keep_beginning(to, rm_buf_slice(&text));
    rm_buf_deinit(&text);
    rm_store_release(worker->reader);
    return status == RM_OK;
}

void rm_opinion__ask(const rm_opinion_plan *plan)
{
    const rm_local_model *model = plan->settings->semantic;
    uint32_t hidden = rm_model_shape_of(model->model)->hidden;
    opinion *self = rm_calloc(1, sizeof *self + 2 * hidden * sizeof(float));
    if (!self)
        return;
    self->keeper = plan->settings->keeper;
    self->model = plan->settings->config->cache.semantic.model;
    self->ask = plan->ask;
    self->decision = plan->decision;
    self->entry = plan->entry;
    self->hidden = hidden;
    self->lane = model->lane;
    self->texts[0] = keep_beginning(self->bytes, plan->answer);
    self->op = (rm_lane_op){.texts = self->texts,
                            .count = 2,
                            .vectors = self->vectors,
                            .tokens = self->tokens,
                            .exec = plan->worker->exec,
                            .work = judge,
                            .done = on_done};
    if (read_cached(plan->worker, plan->decision->record, self->bytes + ANSWER_BYTES, &self->texts[1]) &&
        rm_lane_get_stats(model->lane).waiting < RM_SEMANTIC_WAITING_MAX &&
        rm_lane_submit(model->lane, &self->op) == RM_OK) {
        self->inquiry = rm_inquiry__ref(plan->inquiry);
        rm_list_append(&plan->worker->opinion_list, &self->link);
    } else {
        rm_free(self);
    }
}
