/* The evidence of a namespace; evidence.h says what it is for. */
#include "evidence.h"

#include <math.h>
#include <string.h>

#define RISK_LEAST        1e-5
#define RECENT_REQUESTS   2000.0 /* after which one counts 1/e */
#define RECENT_FIRST      20.0 /* requests without a candidate that a young namespace starts from: its few say little yet */
#define DRIFT             1e-5 /* share of the prior's covariance that comes back a label: old labels fade */
#define OFFSET_VARIANCE   0.2  /* of answers, between each other */
#define VARIANCE_LEAST    1e-3
#define GUARD_CERTAIN     (RM_EVIDENCE_STEPS - 1)
#define GUARD_CERTAIN_AT  0.5    /* at first: a guard is right for certain, or adds something */
#define GUARD_WRONG       0.999  /* of what a guard that is right for certain stops */
#define GUARD_WEIGHT      0.7    /* of a label: those of one entry are alike */
#define GUARD_LEAST       1e-6   /* probability that a step keeps, to come back */
#define CORRECTION_LABELS 3.0    /* wrong audits that the trust in the risks is worth at first */
#define CORRECTION_FIRST  1.1    /* the correction before labels: a prior sees its own data too well */
#define CORRECTION_FADE   0.9995 /* a label: old ones count less */
#define CORRECTION_Z      0.2    /* standard deviations above the estimate */
#define CORRECTION_LEAST  0.6
#define LIMIT_SHARE       10.5  /* times max_error: a good neighbour's risk */
#define EAGER_SHARE       0.35  /* of what may be spent goes to others too, where good ones are few */
#define LIMIT_MOST        0.56  /* a corrected risk: no single hit may be a gamble, however much is left */
#define AHEAD_LEAST       300.0 /* requests over which what is left is spread, at least */
#define AHEAD_SHARE       0.5   /* ... and as a share of those so far */
#define HURRY_MAX         2.5   /* times max_error that may be spent a request, where much is left */
#define SPENT_Z           0.8 /* standard deviations above what was spent: the wrong hits are a matter of chance too */
#define SLACK             1.0 /* of a wrong hit: else a young name space could not serve at all */

static const char *const feature_names[RM_EVIDENCE_FEATURES] = {
#define X(name) #name,
    RM_EVIDENCE_FEATURES_OF_NEIGHBOURS(X) RM_GUARD_FEATURES(X)
#undef X
#define X(code, name, text) name,
        RM_GUARD_TABLE(X)
#undef X
};

const char *rm_evidence_feature_name(unsigned feature)
{
    return feature < RM_EVIDENCE_FEATURES ? feature_names[feature] : "";
}

static void init_guards(rm_evidence *evidence)
{
    for (unsigned i = 0; i < RM_GUARD_COUNT; i++)
        for (unsigned step = 0; step < RM_EVIDENCE_STEPS; step++)
            evidence->guard_adds[i][step] =
                step == GUARD_CERTAIN ? GUARD_CERTAIN_AT : (1 - GUARD_CERTAIN_AT) / GUARD_CERTAIN;
}

void rm_evidence_init(rm_evidence *evidence, const rm_prior *prior)
{
    memset(evidence, 0, sizeof(*evidence));
    memcpy(evidence->weights, prior->weights, sizeof(evidence->weights));
    memcpy(evidence->covariance, prior->covariance, sizeof(evidence->covariance));
    evidence->recent = RECENT_FIRST;
    evidence->wrong_expected = CORRECTION_LABELS;
    evidence->wrong_seen = CORRECTION_LABELS * CORRECTION_FIRST;
    init_guards(evidence);
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

static double logistic(double z)
{
    return 1 / (1 + exp(-z));
}

/* Mean and variance of the candidate's logit; `ret_spread` is the covariance times the features. */
static double logit(const rm_evidence *evidence, const double *features, double *ret_spread, double *ret_variance)
{
    double mean = 0, variance = 0;

    for (unsigned i = 0; i < RM_EVIDENCE_FEATURES; i++) {
        double sum = 0;
        for (unsigned j = 0; j < RM_EVIDENCE_FEATURES; j++)
            sum += evidence->covariance[i][j] * features[j];
        ret_spread[i] = sum;
        variance += sum * features[i];
        mean += evidence->weights[i] * features[i];
    }
    *ret_variance = variance > 0 ? variance : 0;
    return mean;
}

void rm_evidence_offset_init(rm_evidence_offset *offset)
{
    *offset = (rm_evidence_offset){0, OFFSET_VARIANCE};
}

double rm_evidence_risk(const rm_evidence *evidence, const rm_evidence_offset *offset, const double *features)
{
    double spread[RM_EVIDENCE_FEATURES], variance;
    double mean = logit(evidence, features, spread, &variance) + offset->mean;

    return logistic(-mean / sqrt(1 + M_PI / 8 * (variance + offset->variance)));
}

/* The offset's covariance with the weights is left out: it is small, and nowhere to be kept. */
void rm_evidence_learn(rm_evidence *evidence, const rm_prior *prior, rm_evidence_offset *offset, const double *features,
                       double risk, bool right, double weight)
{
    double spread[RM_EVIDENCE_FEATURES], variance;
    double probability = logistic(logit(evidence, features, spread, &variance) + offset->mean);
    variance += offset->variance;
    double own = fmax(probability * (1 - probability), VARIANCE_LEAST);
    double step = ((right ? 1 : 0) - probability) / (1 + own * variance);
    double gain = own / (1 + own * variance);

    for (unsigned i = 0; i < RM_EVIDENCE_FEATURES; i++) {
        evidence->weights[i] += spread[i] * step;
        for (unsigned j = 0; j < RM_EVIDENCE_FEATURES; j++)
            evidence->covariance[i][j] +=
                DRIFT * (prior->covariance[i][j] - evidence->covariance[i][j]) - gain * spread[i] * spread[j];
    }
    offset->mean += offset->variance * step;
    offset->variance -= gain * offset->variance * offset->variance;
    evidence->labels++;
    evidence->labels_right += right;
    if (weight > 0) {
        evidence->wrong_seen = evidence->wrong_seen * CORRECTION_FADE + (right ? 0 : weight);
        evidence->wrong_expected = evidence->wrong_expected * CORRECTION_FADE + weight * risk;
    }
}

double rm_evidence_correction(const rm_evidence *evidence)
{
    double upper = evidence->wrong_seen + CORRECTION_Z * sqrt(evidence->wrong_seen);
    return fmax(upper / evidence->wrong_expected, CORRECTION_LEAST);
}

/* Of a candidate of this risk, where the guard adds so much. */
static double risk_with(double risk, unsigned step)
{
    double odds = fmin(fmax(risk, RISK_LEAST), 1 - RISK_LEAST);
    return step == GUARD_CERTAIN ? GUARD_WRONG : logistic(log(odds / (1 - odds)) + step);
}

double rm_evidence_guard_risk(const rm_evidence *evidence, double risk, uint32_t guards)
{
    double most = risk;

    for (unsigned i = 0; i < RM_GUARD_COUNT; i++)
        if (guards >> i & 1) {
            double mean = 0;
            for (unsigned step = 0; step < RM_EVIDENCE_STEPS; step++)
                mean += evidence->guard_adds[i][step] * risk_with(risk, step);
            most = fmax(most, mean);
        }
    return most;
}

void rm_evidence_learn_guards(rm_evidence *evidence, double risk, uint32_t guards, bool right)
{
    for (unsigned i = 0; i < RM_GUARD_COUNT; i++)
        if (guards >> i & 1) {
            double *adds = evidence->guard_adds[i], sum = 0;
            for (unsigned step = 0; step < RM_EVIDENCE_STEPS; step++) {
                double wrong = risk_with(risk, step);
                adds[step] = fmax(adds[step] * pow(right ? 1 - wrong : wrong, GUARD_WEIGHT), GUARD_LEAST);
                sum += adds[step];
            }
            for (unsigned step = 0; step < RM_EVIDENCE_STEPS; step++)
                adds[step] /= sum;
        }
}

/* ---- the budget -------------------------------------------------------------------------------------------------- */

static unsigned bin_of(double risk)
{
    double place = (1 - log10(fmax(risk, RISK_LEAST)) / log10(RISK_LEAST)) * RM_EVIDENCE_BINS;
    return place >= RM_EVIDENCE_BINS ? RM_EVIDENCE_BINS - 1 : (unsigned)fmax(place, 0);
}

static double bin_begin(unsigned bin)
{
    return bin == 0 ? 0 : pow(RISK_LEAST, 1 - (double)bin / RM_EVIDENCE_BINS);
}

void rm_evidence_count(rm_evidence *evidence, double risk)
{
    const double fade = 1 - 1 / RECENT_REQUESTS;
    unsigned bin = bin_of(risk);

    for (unsigned i = 0; i < RM_EVIDENCE_BINS; i++)
        evidence->recent_risk[i] *= fade;
    evidence->recent = evidence->recent * fade + 1;
    evidence->recent_risk[bin] += risk;
    evidence->requests++;
}

/* What was served, by what is known now, as an upper bound; but a correction that has grown since does not count for what was
 * served before it. */
static double spent_of(const rm_evidence *evidence)
{
    double spent = fmin(evidence->spent, rm_evidence_correction(evidence) * evidence->risked);
    return spent + SPENT_Z * sqrt(spent);
}

/* The risk up to which recent candidates would have cost so much in all. */
static double limit_at(const rm_evidence *evidence, double cost)
{
    double sum = 0;

    for (unsigned i = 0; i < RM_EVIDENCE_BINS; i++) {
        double risk = evidence->recent_risk[i];
        if (sum + risk > cost) {
            double begin = bin_begin(i);
            return begin + (bin_begin(i + 1) - begin) * (cost - sum) / risk;
        }
        sum += risk;
    }
    return 1;
}

/* What is left is spread over the requests ahead; then the limit is where the recent candidates below it would have cost
 * that much a request. Most of it waits for good neighbours; a part may go to the best there are. */
double rm_evidence_limit(const rm_evidence *evidence, double max_error)
{
    double correction = rm_evidence_correction(evidence), requests = (double)evidence->requests;
    double ahead = fmax(AHEAD_LEAST, requests * AHEAD_SHARE);
    double left = (max_error * (requests + ahead) - spent_of(evidence)) / ahead;
    double cost = fmin(left, HURRY_MAX * max_error) * evidence->recent / correction;

    if (cost <= 0)
        return 0;
    double good = fmin(limit_at(evidence, cost), LIMIT_SHARE * max_error / correction);
    return fmin(LIMIT_MOST / correction, fmax(good, limit_at(evidence, cost * EAGER_SHARE)));
}

bool rm_evidence_affords(const rm_evidence *evidence, double risk, double max_error)
{
    double spent = spent_of(evidence) + rm_evidence_correction(evidence) * risk;
    return spent <= max_error * (double)(evidence->requests) + SLACK;
}

void rm_evidence_spend(rm_evidence *evidence, double risk)
{
    evidence->spent += rm_evidence_correction(evidence) * risk;
    evidence->risked += risk;
}

void rm_evidence_spend_error(rm_evidence *evidence, double risk)
{
    evidence->spent += fmax(1 - risk, 0);
    evidence->risked += fmax(1 - risk, 0);
}

/* ---- what can be said of an error -------------------------------------------------------------------------------- */

/* Logarithm of P(at most `wrong` of `total`) at this share. */
static double log_tail(double share, double wrong, double total)
{
    double sum = 0, most = -INFINITY, logs;

    for (uint64_t i = 0; (double)i <= wrong; i++) {
        double k = (double)i;
        logs = lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1) + k * log(share) + (total - k) * log1p(-share);
        if (logs > most) {
            sum = sum * exp(most - logs) + 1;
            most = logs;
        } else {
            sum += exp(logs - most);
        }
    }
    return most + log(sum);
}

double rm_evidence_upper95(double wrong, double total)
{
    double low, high = 1;

    if (total <= 0 || wrong >= total)
        return 1;
    low = wrong / total;
    for (unsigned i = 0; i < 50; i++) {
        double middle = (low + high) / 2;
        if (log_tail(middle, wrong, total) > log(0.05))
            low = middle;
        else
            high = middle;
    }
    return high;
}
