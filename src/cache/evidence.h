/* What a namespace has learnt about when a neighbour's answer is the right one, and what it has spent of its error.
 *
 *     features ──► risk = 1 - P(the neighbour's answer is right)       logistic model, learnt online from labels
 *     risks of recent requests ──► limit: the risk up to which hits cost no more than max_error a request
 *     audits and labels near the limit ──► correction: how many times too small the risks were, by an upper bound
 *
 * Plain numbers without pointers, so that it is stored as it is. No locks: the owner has one. */
#ifndef REMORA_CACHE_EVIDENCE_H
#define REMORA_CACHE_EVIDENCE_H

#include "guard.h"
#include "remora/base.h"

/* Of the candidate: its similarity s, what stands around it, and what its texts have in common. */
#define RM_EVIDENCE_FEATURES_OF_NEIGHBOURS(X)                                             \
    X(one)                                                                                \
    X(similarity)                                                                         \
    X(over_70) /* by how much s exceeds 0.70, and so on: the slope changes there */       \
    X(over_85)                                                                            \
    X(over_95)                                                                            \
    X(margin)         /* to the nearest entry of another answer */                        \
    X(vote)           /* the answer's share of the neighbours, near ones counting more */ \
    X(share)          /* ... of RM_SEMANTIC_NEIGHBOURS, all alike */                      \
    X(mean_3)         /* mean similarity of its three nearest entries */                  \
    X(contradicted)   /* the entry was once near a request with another answer: 0 or 1 */ \
    X(over_wrong)     /* ... by how much s exceeds the similarity it had then */          \
    X(answer_entries) /* logarithms of counts */                                          \
    X(entry_right)                                                                        \
    X(entry_wrong)                                                                        \
    X(alone)      /* no other answer among the neighbours: 0 or 1 */                      \
    X(sparse)     /* fewer neighbours than asked for: 0 or 1 */                           \
    X(unguarded)  /* no guard fired: 0 or 1 */                                            \
    X(same_words) /* ... and both texts have the same words */

enum {
#define X(name) RM_FEATURE_##name,
    RM_EVIDENCE_FEATURES_OF_NEIGHBOURS(X) RM_GUARD_FEATURES(X)
#undef X
#define X(code, name, text) RM_FEATURE_##code,
        RM_GUARD_TABLE(X)
#undef X
            RM_EVIDENCE_FEATURES
};

const char *rm_evidence_feature_name(unsigned feature);

/* A logistic model before the namespace's own labels: mean and covariance of its weights. */
typedef struct rm_prior {
    const char *model;   /* the embedding model that it was fitted with; NULL: any other */
    const float *centre; /* mean of the model's vectors; NULL: none known */
    uint32_t dimensions; /* of it */
    double weights[RM_EVIDENCE_FEATURES];
    double covariance[RM_EVIDENCE_FEATURES][RM_EVIDENCE_FEATURES];
} rm_prior;

/* Of the model with this name, else the careful one for any model. Static. */
const rm_prior *rm_prior_of(const char *model);

#define RM_EVIDENCE_BINS  96 /* of the risk's logarithm, from 1e-5 to 1 */
#define RM_EVIDENCE_STEPS 10

typedef struct rm_evidence {
    double weights[RM_EVIDENCE_FEATURES];
    double covariance[RM_EVIDENCE_FEATURES][RM_EVIDENCE_FEATURES];
    /* recent requests: how many, and the candidates' risks by the risk; all fade alike */
    double recent, recent_risk[RM_EVIDENCE_BINS];
    /* audits and labels near the limit: wrong ones, and how many the risks said there would be */
    double wrong_seen, wrong_expected;
    /* of each guard, what its firing adds to the logit of a risk: a probability for each step, the last: wrong for certain */
    double guard_adds[RM_GUARD_COUNT][RM_EVIDENCE_STEPS];
    /* since the namespace began */
    double risked; /* sum of the risks of what was served */
    double spent;  /* ... each corrected as it was then */
    uint64_t requests, labels, labels_right;
} rm_evidence;

/* By how much the logit of one answer differs from what its features say. */
typedef struct rm_evidence_offset {
    double mean, variance;
} rm_evidence_offset;
void rm_evidence_offset_init(rm_evidence_offset *offset);

void rm_evidence_init(rm_evidence *evidence, const rm_prior *prior);

/* Risk of serving, 0 to 1, with what is uncertain about the model in it. Source: the probit approximation of the logistic
 * function's mean, MacKay 1992. */
double rm_evidence_risk(const rm_evidence *evidence, const rm_evidence_offset *offset, const double *features);

/* Counts a request, with or without a candidate, before it is decided. `risk` of one that may not be served: 1. */
void rm_evidence_count(rm_evidence *evidence, double risk);
/* The risk up to which a hit is worth its risk at this error; 0: none. */
double rm_evidence_limit(const rm_evidence *evidence, double max_error);
/* Whether what has been spent leaves room for a hit of this risk at this error. */
bool rm_evidence_affords(const rm_evidence *evidence, double risk, double max_error);
void rm_evidence_spend(rm_evidence *evidence, double risk);
/* A hit of this risk was wrong for certain: the rest of a whole error is spent too. */
void rm_evidence_spend_error(rm_evidence *evidence, double risk);
/* A label: the candidate with these features, of this risk, was right or not. `weight`: what it says of the risks of hits, in
 * audits: 1 for one, less for a miss whose risk was near the limit, 0 for others. Source: assumed density filtering of a
 * Bayesian logistic regression (Spiegelhalter and Lauritzen 1990). */
void rm_evidence_learn(rm_evidence *evidence, const rm_prior *prior, rm_evidence_offset *offset, const double *features,
                       double risk, bool right, double weight);
/* A risk with what the worst of these guards adds to it: next to certain at first, so that a guard is a veto until labels say
 * otherwise. No guards: the risk itself. */
double rm_evidence_guard_risk(const rm_evidence *evidence, double risk, uint32_t guards);
/* A label of something of this risk (without guards) that they stopped. */
void rm_evidence_learn_guards(rm_evidence *evidence, double risk, uint32_t guards, bool right);
/* How many times too small the risks may be, by an upper bound. */
double rm_evidence_correction(const rm_evidence *evidence);
/* One-sided 95 % upper bound of the share wrong/total. Source: Clopper and Pearson 1934. */
double rm_evidence_upper95(double wrong, double total);

#endif
