/* L2: the encoder's lane: a bounded queue of texts and the threads that turn them into vectors, away from the loops.
 *
 *   rm_lane_submit ─► [soon: ops with a deadline ] ─┬─► worker ─► encoder ─► work(op) ─► exec ─► done(op)
 *                     [bulk: ops without one     ] ─┘   (one turn: up to RM_EMBED_TURN_TOKENS_MAX tokens of what waits)
 *
 * A turn takes what waits and never waits for more. Where both queues hold something they take turns; bulk ops give one
 * text each in rotation. So whoever comes waits for at most one turn on each worker before its own queue is served. */
#ifndef REMORA_LANE_H
#define REMORA_LANE_H

#include "remora/clock.h"
#include "remora/embed.h"
#include "remora/exec.h"

typedef struct rm_lane rm_lane;
typedef struct rm_lane_op rm_lane_op;

/* Caller's memory, zeroed before its first use; from a successful submit until `done` only the lane touches what is
 * marked as its own, and texts and vectors must stay where they are. */
struct rm_lane_op {
    const rm_slice *texts;
    uint32_t count;       /* at least 1 */
    float *vectors;       /* count x hidden; each row of length 1 */
    uint32_t *tokens;     /* count: each text's, after cutting */
    rm_overflow overflow; /* what is kept of a text that is too long */
    uint64_t deadline_ns; /* monotonic; 0: none, and the op is bulk */
    rm_exec *exec;
    void (*work)(rm_lane_op *op);                   /* a worker's thread, once all vectors are there; NULL: none */
    void (*done)(rm_lane_op *op, rm_status status); /* `exec`, exactly once, never inside a function of the lane */
    /* The lane's; the times may be read in `done`. */
    uint64_t submitted_ns, finished_ns;
    rm_link link;
    rm_task task;
    uint32_t next, running; /* text to take next; taken and not finished */
    size_t waiting_tokens;  /* guessed, of those not taken */
    rm_status status;
};

typedef struct rm_lane_options {
    const rm_model *model; /* must outlive the lane */
    unsigned workers;      /* 1 to RM_EMBED_WORKERS_MAX */
    const rm_clock *clock;
} rm_lane_options;

/* Starts the workers, which first encode a text of their own, so that no caller pays for cold memory. RM_ENOMEM;
 * RM_EINTERNAL: a thread could not be started. Any thread. */
rm_status rm_lane_create(const rm_lane_options *options, rm_lane **ret_lane) RM_WARN_UNUSED;
/* Waits for the turns under way. Ops that are left get `done` with RM_ECANCELLED; none may be submitted any more. Any thread
 * but a worker; NULL is fine. */
void rm_lane_destroy(rm_lane *lane);

/* Any thread. RM_OK: `done` follows with RM_OK, RM_ETIMEOUT (its deadline passed before its turn came) or RM_ECANCELLED.
 * Else it does not: RM_EBUSY: more than RM_EMBED_QUEUE_TEXTS_MAX texts would wait, or by the lane's recent pace what waits
 * before it leaves no time. RM_EINVAL: no text. */
rm_status rm_lane_submit(rm_lane *lane, rm_lane_op *op) RM_WARN_UNUSED;
/* The exec's thread, before `done`: texts not taken yet are dropped and `done` follows, at the latest when the turn that
 * holds others of it is over; RM_ECANCELLED unless all was finished already. */
void rm_lane_cancel(rm_lane *lane, rm_lane_op *op);

/* Counted since the lane was made, but for `waiting`. Any thread. */
typedef struct rm_lane_stats {
    uint64_t texts, tokens, turns;
    uint64_t refused; /* ops: RM_EBUSY */
    uint64_t late;    /* ops: RM_ETIMEOUT */
    uint64_t busy_ns; /* of all workers, encoding */
    uint64_t waiting; /* texts */
} rm_lane_stats;
rm_lane_stats rm_lane_get_stats(rm_lane *lane);

#endif
