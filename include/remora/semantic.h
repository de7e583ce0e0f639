/* L3: the semantic cache: whether a neighbour's answer will do for a request that was never seen before.
 *
 *     text, vector ──► neighbours in the partition ──► guards ──► risk by the evidence ──► hit | audit | miss
 *                                                                   ▲                        │
 *                                                                   └── label ◄── fresh answer ◄┘
 *
 * Nothing here is I/O: vectors lie in an rm_index, texts where the owner keeps them. A namespace has one budget of error:
 * wrong hits stay below max_error of its requests, by an upper bound of what its evidence says. What is served without a
 * label is never learnt from. */
#ifndef REMORA_SEMANTIC_H
#define REMORA_SEMANTIC_H

#include "remora/base.h"
#include "remora/index.h"
#include "remora/limits.h"
#include "remora/policy.h"
#include "remora/provider.h"

/* ---- what is asked ----------------------------------------------------------------------------------------------- */

/* Whether a request has a text to compare; all but FIT are for the exact cache only. A turn is what came since the model
 * last answered. The first that holds is told. */
#define RM_SEMANTIC_FITNESSES(X)                                                              \
    X(FIT, "fit", "one text of the user's can be compared")                                   \
    X(OPERATION, "operation", "an operation or a form of it without one text")                \
    X(STATEFUL, "stateful", "the answer depends on what the provider keeps")                  \
    X(CHOICES, "choices", "not just one answer is asked for")                                 \
    X(ECHO, "echo", "the answer repeats the question")                                        \
    X(TOOL_RESULT, "tool_result", "the last turn carries results of tools")                   \
    X(MEDIA, "media", "the last turn carries more than text")                                 \
    X(NO_USER_TEXT, "no_user_text", "the last word is not a text of the user's")              \
    X(TOO_LONG, "too_long", "the text is longer than guards read")                            \
    X(NOT_CANONICAL, "not_canonical", "a doubled key, or over a limit of the canonical form") \
    X(MARKED, "marked", "the text speaks of the moment or of who asks")

typedef enum rm_semantic_fitness {
#define X(code, name, text) RM_SEMANTIC_##code,
    RM_SEMANTIC_FITNESSES(X)
#undef X
        RM_SEMANTIC_FITNESS_COUNT
} rm_semantic_fitness;

const char *rm_semantic_fitness_name(rm_semantic_fitness fitness);
const char *rm_semantic_fitness_text(rm_semantic_fitness fitness); /* a reason for people */

typedef struct rm_semantic_question {
    rm_semantic_fitness fitness;
    rm_key128 partition; /* all but the text; zero unless FIT */
    rm_slice text;       /* the last user's, in the memory of info->root; none unless FIT */
} rm_semantic_question;

/* The parts are those of rm_exact_key_make. The partition is their HMAC-SHA256 (RFC 2104) under the install secret, cut to
 * 16 bytes: who does not know that can neither aim at a partition nor tell what one holds. Time and memory are linear in
 * the body. RM_ENOMEM, RM_EINTERNAL: the request is a miss. Any thread. */
rm_status rm_semantic_question_read(const rm_request_info *info, rm_slice upstream, const rm_tenant *tenant,
                                    rm_slice name_space, rm_slice variant, const uint8_t secret[32],
                                    rm_semantic_question *ret_question) RM_WARN_UNUSED;

/* Which of these kinds (RM_EXACT_ONLY_*) the text has words of: whole words in any case, of English only. A text that is longer
 * than guards read: all. Any thread. */
unsigned rm_semantic_marked(rm_slice text, unsigned kinds);

/* ---- the decision ------------------------------------------------------------------------------------------------ */

typedef struct rm_semantic rm_semantic;

#define RM_SEMANTIC_VERDICTS(X)                                           \
    X(MISS, "miss", "no neighbour, or none whose risk is worth it")       \
    X(HIT, "hit", "the neighbour's answer is served")                     \
    X(AUDIT, "audit", "it would be served, and is asked all the same")    \
    X(VETO, "veto", "a guard says that the two ask for different things") \
    X(QUARANTINE, "quarantine", "the answer was found wrong once")        \
    X(UNCONFIRMED, "unconfirmed", "too few tenants have had this answer") \
    X(BUDGET, "budget", "the error that was accepted is spent")

typedef enum rm_verdict {
#define X(code, name, text) RM_VERDICT_##code,
    RM_SEMANTIC_VERDICTS(X)
#undef X
        RM_VERDICT_COUNT
} rm_verdict;

const char *rm_verdict_name(rm_verdict verdict);

/* Reads the text that the entry was asked with, into `out`. RM_ENOTFOUND: it is gone, and nothing is served from it. Any
 * thread that decides. */
typedef rm_status (*rm_semantic_text)(uint64_t id, rm_buf *out, void *user);

typedef struct rm_semantic_options {
    rm_index *index;   /* its owner's; outlives this */
    const char *model; /* the embedding model, for the shipped prior */
    rm_semantic_text text;
    void *user;
    double audit_share;      /* of would-be hits; 0 to 1 */
    uint64_t seed;           /* which of them */
    uint32_t guards_ignored; /* bits of guards that do not veto */
} rm_semantic_options;

/* RM_ENOMEM. Any thread. */
rm_status rm_semantic_create(const rm_semantic_options *options, rm_semantic **ret_semantic) RM_WARN_UNUSED;
/* Nobody else may be inside. NULL is fine. */
void rm_semantic_destroy(rm_semantic *semantic);

/* Takes the mean of the model's vectors out of one and scales it to length 1 again, in place: what all texts have in common says
 * nothing of two. To be done to each vector before it is asked with. A model without a known mean, or of other dimensions: as
 * it was. Any thread. Source: Mu and Viswanath 2018, of which only the mean. */
void rm_semantic_centre(const char *model, float *vector, uint32_t dimensions);

/* Inner product. Any thread. */
float rm_semantic_similarity(const float *a, const float *b, uint32_t dimensions);

/* What is asked. Everything but the last user's text is in `partition`. */
typedef struct rm_semantic_ask {
    rm_slice name_space; /* whose evidence and budget; empty: default */
    rm_key128 partition;
    rm_slice text;
    const float *vector; /* of length 1, centred */
    double max_error;    /* 0: no hits */
    bool shadow;         /* decide as if it were served, and audit each hit */
    uint64_t tenant;     /* who asks, where entries are shared over tenants; 0: they are not */
    rm_key128 record;    /* under which the exact cache keeps its answer, for the entry that it becomes */
} rm_semantic_ask;

#define RM_SEMANTIC_NEIGHBOURS   10
#define RM_SEMANTIC_FEATURES_MAX 48

/* Why it was decided so: all that the receipt shows, and what learning needs later. */
typedef struct rm_semantic_decision {
    rm_verdict verdict;
    uint64_t
        entry; /* the candidate: of the answer that the neighbours speak for, the nearest entry that no guard stops */
    float similarity; /* to it */
    double likely;    /* risk of serving it as the evidence sees it, 0 to 1 */
    double risk;      /* ... and as guards that fired see it: the greater one */
    double limit;     /* up to which risk hits are served now */
    uint32_t guards;  /* bits that fired */
    bool candidate;   /* there is one; else only `neighbours` (none) is set */
    rm_key128 record; /* the entry's */
    uint32_t count;
    rm_index_hit neighbours[RM_SEMANTIC_NEIGHBOURS];
    double features[RM_SEMANTIC_FEATURES_MAX];
} rm_semantic_decision;

/* Decides, and takes the risk of a hit from the budget. RM_ETOOBIG, RM_EPARSE: a text that guards cannot read (exact cache
 * only); RM_EFULL: over RM_SEMANTIC_NAMESPACES_MAX; RM_ENOMEM, RM_EINTERNAL: the request is a miss. Any thread. */
rm_status rm_semantic_decide(rm_semantic *semantic, const rm_semantic_ask *ask,
                             rm_semantic_decision *ret_decision) RM_WARN_UNUSED;

/* An answer, as far as it has to be compared with others. */
typedef struct rm_semantic_answer {
    rm_key128 normal;  /* hash of the text in normal form: case, white space, final punctuation */
    rm_key128 json;    /* ... of its canonical JSON; 0: it is none */
    rm_key128 numbers; /* ... of the numbers in it, in order; 0: there are none */
    bool word;         /* one word: a label, code or id: equal or different, never unknown */
} rm_semantic_answer;

typedef enum rm_judgement { RM_JUDGED_UNKNOWN = 0, RM_JUDGED_EQUAL, RM_JUDGED_DIFFERENT } rm_judgement;

/* RM_ENOMEM. Any thread. */
rm_status rm_semantic_read_answer(rm_slice text, rm_semantic_answer *ret_answer) RM_WARN_UNUSED;
rm_judgement rm_semantic_judge(const rm_semantic_answer *a, const rm_semantic_answer *b);

/* The fresh answer to what was decided as anything but a hit: labels its neighbours and, where `id` is not UINT64_MAX, adds
 * the request as an entry with that id (unique; the owner has stored text and vector under it). RM_EREFUSED: such a text
 * becomes no entry (labels are taken all the same). RM_ENOMEM, RM_EFULL. Any thread. */
rm_status rm_semantic_learn(rm_semantic *semantic, const rm_semantic_ask *ask, const rm_semantic_decision *decision,
                            const rm_semantic_answer *answer, uint64_t id) RM_WARN_UNUSED;
/* Where texts alone could not tell whether the candidate's answer is the fresh one: whether it is worth a second opinion, which
 * costs something. Any thread. */
bool rm_semantic_is_open(rm_semantic *semantic, const rm_semantic_decision *decision, const rm_semantic_answer *fresh);
/* The second opinion on two answers' texts by the similarity of their vectors (centred, of length 1): equal where that is high
 * and no guard that stops hits sees a difference, different where it is low. Any thread. */
rm_judgement rm_semantic_judge_near(rm_semantic *semantic, rm_slice a, rm_slice b, float similarity);
/* Teaches it what rm_semantic_learn could not tell: the label of the candidate, and, where it is right, that the entry `id` (not
 * UINT64_MAX) is its alias. Any thread. */
void rm_semantic_label(rm_semantic *semantic, const rm_semantic_ask *ask, const rm_semantic_decision *decision,
                       uint64_t id, bool right);
/* The entry is gone (expired, evicted, purged). Unknown: nothing. Any thread. */
void rm_semantic_forget(rm_semantic *semantic, rm_key128 partition, uint64_t id);

/* A hit that was not served after all: it counts as an audit from here on. Anything but a hit stays. Any thread. */
void rm_semantic_withdraw(rm_semantic *semantic, rm_slice name_space, rm_semantic_decision *decision);
/* Somebody says that an answer served by this decision was right or wrong. Wrong: the answer is in quarantine with all its
 * aliases, the risk that was taken becomes a whole error of the budget, and the evidence learns; right: it learns. Any thread. */
void rm_semantic_feedback(rm_semantic *semantic, rm_slice name_space, const rm_semantic_decision *decision, bool right);
/* What a hit, or in shadow a hit that would have been, saved. Any thread. */
void rm_semantic_saved(rm_semantic *semantic, rm_slice name_space, bool shadow, double usd);

/* Since the namespace began; audits are not served. shadow_*: would-be hits in shadow mode, which are audits too, and what
 * their fresh answers said of them, where they said something. */
/* clang-format off */
#define RM_SEMANTIC_STATS(X)                                                          \
    X(served) X(audited) X(audited_wrong) X(vetoed) X(quarantined) X(unconfirmed)     \
    X(over_budget) X(shadow_requests) X(shadow_hits) X(shadow_right) X(shadow_wrong)  \
    X(feedback_right) X(feedback_wrong)
/* clang-format on */

#define RM_SEMANTIC_GUARDS_MAX 32

typedef struct rm_semantic_stats {
    uint64_t requests, labels, labels_right;
#define X(name) uint64_t name;
    RM_SEMANTIC_STATS(X)
#undef X
    uint64_t guards[RM_SEMANTIC_GUARDS_MAX]; /* hits that each guard stopped */
    double saved_usd, shadow_usd;
    double spent;      /* expected wrong hits */
    double correction; /* factor on it: upper bound */
} rm_semantic_stats;

/* RM_ENOTFOUND: no such namespace yet. Any thread. */
rm_status rm_semantic_get_stats(rm_semantic *semantic, rm_slice name_space,
                                rm_semantic_stats *ret_stats) RM_WARN_UNUSED;
/* Every namespace in no order, `count_max` at most; names are of RM_NAMESPACE_BYTES_MAX + 1 bytes and "" is the default one.
 * Any thread. */
typedef struct rm_semantic_space {
    char name[RM_NAMESPACE_BYTES_MAX + 1];
    rm_semantic_stats stats;
} rm_semantic_space;
size_t rm_semantic_list_spaces(rm_semantic *semantic, rm_semantic_space *ret_spaces, size_t count_max);

/* One-sided 95 % upper bound of a share of which wrong/total was seen. Source: Clopper and Pearson 1934. */
double rm_semantic_upper95(uint64_t wrong, uint64_t total);

const char *rm_semantic_feature_name(unsigned feature); /* NULL past the last */
const char *rm_semantic_guard_name(unsigned guard);     /* by bit; NULL past the last */
const char *rm_semantic_guard_text(unsigned guard);

#endif
