/* Evidence: what labels teach, what guards' labels teach, what a budget lets through, and the bound of a share. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "evidence.h"
#include "remora/clock.h"
#include "remora/semantic.h"

#define MODEL "all-minilm-l6-v2"

static void features_of(double similarity, double margin, double *features)
{
    for (unsigned i = 0; i < RM_EVIDENCE_FEATURES; i++)
        features[i] = 0;
    features[RM_FEATURE_one] = 1;
    features[RM_FEATURE_similarity] = similarity;
    features[RM_FEATURE_over_70] = fmax(similarity - 0.70, 0);
    features[RM_FEATURE_over_85] = fmax(similarity - 0.85, 0);
    features[RM_FEATURE_over_95] = fmax(similarity - 0.95, 0);
    features[RM_FEATURE_margin] = margin;
    features[RM_FEATURE_vote] = 1;
    features[RM_FEATURE_mean_3] = similarity;
    features[RM_FEATURE_word_jaccard] = similarity;
    features[RM_FEATURE_content_jaccard] = similarity;
    features[RM_FEATURE_length_ratio] = 1;
    features[RM_FEATURE_question_equal] = 1;
}

static double risk_at(const rm_evidence *evidence, double similarity)
{
    double features[RM_EVIDENCE_FEATURES];
    rm_evidence_offset offset;
    rm_evidence_offset_init(&offset);
    features_of(similarity, similarity - 0.4, features);
    return rm_evidence_risk(evidence, &offset, features);
}

static void priors_are_there(void **state)
{
    (void)state;
    rm_evidence evidence;
    const rm_prior *known = rm_prior_of(MODEL), *unknown = rm_prior_of("none of ours");
    assert_string_equal(known->model, MODEL);
    assert_null(unknown->model);
    assert_ptr_equal(rm_prior_of(NULL), unknown);
    rm_evidence_init(&evidence, known);
    assert_true(risk_at(&evidence, 0.97) < risk_at(&evidence, 0.8));
    assert_true(risk_at(&evidence, 0.8) < risk_at(&evidence, 0.5));
    assert_true(risk_at(&evidence, 0.5) > 0.5);
    for (unsigned i = 0; i < RM_EVIDENCE_FEATURES; i++)
        assert_true(known->covariance[i][i] > 0 && rm_evidence_feature_name(i)[0]);
    assert_string_equal(rm_evidence_feature_name(RM_EVIDENCE_FEATURES), "");
}

static void labels_move_the_risk(void **state)
{
    (void)state;
    rm_evidence evidence;
    double features[RM_EVIDENCE_FEATURES];
    rm_evidence_offset offset;
    features_of(0.85, 0.45, features);
    for (int right = 0; right <= 1; right++) {
        rm_evidence_init(&evidence, rm_prior_of(MODEL));
        rm_evidence_offset_init(&offset);
        double before = risk_at(&evidence, 0.85);
        for (unsigned i = 0; i < 200; i++)
            rm_evidence_learn(&evidence, rm_prior_of(MODEL), &offset, features, before, right, 0);
        double after = risk_at(&evidence, 0.85);
        assert_true(right ? after < before && after < 0.05 : after > before && after > 0.9);
        assert_int_equal(evidence.labels, 200);
        assert_int_equal(evidence.labels_right, right ? 200 : 0);
    }
}

/* An answer that goes wrong where others do not is riskier than they are; its neighbours' risk moves less. */
static void an_answer_has_its_own_risk(void **state)
{
    (void)state;
    rm_evidence evidence;
    rm_evidence_offset bad, other;
    double features[RM_EVIDENCE_FEATURES];
    features_of(0.9, 0.5, features);
    rm_evidence_init(&evidence, rm_prior_of(MODEL));
    rm_evidence_offset_init(&bad);
    rm_evidence_offset_init(&other);
    for (unsigned i = 0; i < 100; i++) {
        double risk = rm_evidence_risk(&evidence, &bad, features);
        rm_evidence_learn(&evidence, rm_prior_of(MODEL), i % 10 ? &other : &bad, features, risk, i % 10 != 0, 0);
    }
    assert_true(rm_evidence_risk(&evidence, &bad, features) > 1.5 * rm_evidence_risk(&evidence, &other, features));
    assert_true(bad.variance > 0 && other.variance < bad.variance);
}

/* However many labels: the weights' covariance stays one, and the risk a number. */
static void learning_stays_finite(void **state)
{
    (void)state;
    rm_evidence evidence;
    rm_rng rng;
    rm_evidence_offset offset;
    double features[RM_EVIDENCE_FEATURES];
    rm_evidence_offset_init(&offset);
    rm_rng_seed(&rng, 5);
    rm_evidence_init(&evidence, rm_prior_of(MODEL));
    for (unsigned i = 0; i < 50000; i++) {
        features_of(rm_rng_uniform(&rng), rm_rng_uniform(&rng), features);
        features[RM_FEATURE_NUMBERS] = i % 7 == 0;
        double risk = rm_evidence_risk(&evidence, &offset, features);
        assert_true(risk >= 0 && risk <= 1);
        rm_evidence_learn(&evidence, rm_prior_of(MODEL), &offset, features, risk, rm_rng_uniform(&rng) < 0.5, 1);
    }
    for (unsigned i = 0; i < RM_EVIDENCE_FEATURES; i++)
        assert_true(isfinite(evidence.weights[i]) && evidence.covariance[i][i] > 0);
    assert_true(isfinite(rm_evidence_correction(&evidence)));
}

static void guards_veto_until_labels_say_otherwise(void **state)
{
    (void)state;
    rm_evidence evidence;
    uint32_t numbers = RM_GUARD_BIT(NUMBERS), negation = RM_GUARD_BIT(NEGATION);
    const double risk = 0.02, limit = 0.5;
    rm_evidence_init(&evidence, rm_prior_of(MODEL));
    assert_true(rm_evidence_guard_risk(&evidence, risk, 0) == risk);
    for (double r = 0; r <= 1; r += 0.01)
        assert_true(rm_evidence_guard_risk(&evidence, r, numbers) > limit);
    for (unsigned i = 0; i < 200; i++)
        rm_evidence_learn_guards(&evidence, risk, numbers, true);
    assert_true(rm_evidence_guard_risk(&evidence, risk, numbers) < 2 * risk);
    assert_true(rm_evidence_guard_risk(&evidence, risk, negation) > limit);
    assert_true(rm_evidence_guard_risk(&evidence, risk, numbers | negation) > limit);
    for (unsigned i = 0; i < 40; i++)
        rm_evidence_learn_guards(&evidence, risk, numbers, false);
    assert_true(rm_evidence_guard_risk(&evidence, risk, numbers) > 0.1);
}

/* A guard that is wrong as often as right adds to a risk; it does not make all risks alike. */
static void what_a_guard_adds_depends_on_the_risk(void **state)
{
    (void)state;
    rm_evidence evidence;
    uint32_t numbers = RM_GUARD_BIT(NUMBERS);
    rm_evidence_init(&evidence, rm_prior_of(MODEL));
    for (unsigned i = 0; i < 200; i++)
        rm_evidence_learn_guards(&evidence, 0.05, numbers, i % 2);
    double low = rm_evidence_guard_risk(&evidence, 0.002, numbers);
    double middle = rm_evidence_guard_risk(&evidence, 0.05, numbers);
    double high = rm_evidence_guard_risk(&evidence, 0.3, numbers);
    assert_true(low < 0.1 && fabs(middle - 0.5) < 0.1 && high > 0.8);
}

/* Candidates whose risk is what it says: what is served goes wrong within the budget, and uses most of it. */
static void calibrated_risks_keep_the_budget(void **state)
{
    (void)state;
    static const double errors[] = {0.01, 0.02, 0.05};
    for (unsigned e = 0; e < RM_COUNT(errors); e++) {
        rm_evidence evidence;
        rm_rng rng;
        double spent = 0, wrong = 0;
        unsigned requests = 20000;
        rm_rng_seed(&rng, e + 1);
        rm_evidence_init(&evidence, rm_prior_of(MODEL));
        for (unsigned i = 0; i < requests; i++) {
            double risk = pow(rm_rng_uniform(&rng), 2);
            double limit = rm_evidence_limit(&evidence, errors[e]);
            rm_evidence_count(&evidence, risk);
            if (risk <= limit && rm_evidence_affords(&evidence, risk, errors[e])) {
                rm_evidence_spend(&evidence, risk);
                spent += risk;
                wrong += rm_rng_uniform(&rng) < risk;
            }
        }
        assert_true(spent <= errors[e] * requests);
        /* no label comes here, so the correction that is there at first stays */
        assert_true(spent * rm_evidence_correction(&evidence) >= 0.9 * errors[e] * requests);
        assert_true(wrong <= errors[e] * requests);
    }
}

static void no_error_no_hits(void **state)
{
    (void)state;
    rm_evidence evidence;
    rm_evidence_init(&evidence, rm_prior_of(MODEL));
    for (unsigned i = 0; i < 100; i++)
        rm_evidence_count(&evidence, 0.001);
    assert_true(rm_evidence_limit(&evidence, 0) == 0);
    assert_true(rm_evidence_limit(&evidence, 0.01) > 0);
    assert_true(rm_evidence_limit(&evidence, 0.02) >= rm_evidence_limit(&evidence, 0.01));
}

/* However much may be spent, and however little there is to spend it on: about as likely right as wrong, at the worst. */
static void no_hit_is_a_gamble(void **state)
{
    (void)state;
    rm_evidence evidence;
    rm_evidence_init(&evidence, rm_prior_of(MODEL));
    for (unsigned i = 0; i < 1000; i++) {
        rm_evidence_count(&evidence, i % 2 ? 0.0001 : 1);
        double correction = rm_evidence_correction(&evidence);
        assert_true(rm_evidence_limit(&evidence, 1) * correction <= 0.56 + 1e-9);
        assert_true(rm_evidence_limit(&evidence, 0.01) * correction <= 0.56 + 1e-9);
    }
}

/* Labels near the limit that contradict the risks raise the correction, and so lower the limit. */
static void wrong_risks_are_corrected(void **state)
{
    (void)state;
    rm_evidence evidence;
    double features[RM_EVIDENCE_FEATURES];
    rm_evidence_offset offset;
    rm_evidence_offset_init(&offset);
    features_of(0.85, 0.45, features);
    rm_evidence_init(&evidence, rm_prior_of(MODEL));
    for (unsigned i = 0; i < 1000; i++)
        rm_evidence_count(&evidence, (i % 100) / 100.0);
    double limit = rm_evidence_limit(&evidence, 0.02), correction = rm_evidence_correction(&evidence);
    for (unsigned i = 0; i < 100; i++)
        rm_evidence_learn(&evidence, rm_prior_of(MODEL), &offset, features, 0.01, false, 1);
    assert_true(rm_evidence_correction(&evidence) > 2 * correction);
    assert_true(rm_evidence_limit(&evidence, 0.02) < limit);
}

/* The mean goes out; length 1 stays; a model that nobody knows keeps its vectors. */
static void vectors_are_centred(void **state)
{
    (void)state;
    enum { WIDE = 384 };
    float vector[WIDE] = {0}, length = 0, moved = 0;
    vector[5] = 1;
    rm_semantic_centre("none of ours", vector, WIDE);
    rm_semantic_centre(NULL, vector, WIDE);
    rm_semantic_centre(MODEL, vector, WIDE - 1);
    assert_true(vector[5] == 1);
    rm_semantic_centre(MODEL, vector, WIDE);
    for (unsigned i = 0; i < WIDE; i++) {
        length += vector[i] * vector[i];
        moved += i == 5 ? 0 : fabsf(vector[i]);
    }
    assert_true(fabsf(length - 1) < 1e-5F && moved > 0.1F && vector[5] > 0.8F);
    /* the mean itself has no direction left, but is still a vector of length 1 */
    const rm_prior *prior = rm_prior_of(MODEL);
    memcpy(vector, prior->centre, sizeof(vector));
    rm_semantic_centre(MODEL, vector, WIDE);
    assert_true(vector[0] == 1);
}

/* Against exact values (R: qbeta(0.95, wrong + 1, total - wrong)). */
static void bound_of_a_share(void **state)
{
    (void)state;
    static const struct {
        double wrong, total, bound;
    } known[] = {{0, 100, 0.0295131}, {1, 100, 0.0465598}, {5, 1000, 0.0104841}, {40, 4000, 0.0129977}, {0, 1, 0.95}};
    for (unsigned i = 0; i < RM_COUNT(known); i++)
        assert_true(fabs(rm_evidence_upper95(known[i].wrong, known[i].total) - known[i].bound) < 2e-5);
    assert_true(rm_evidence_upper95(0, 0) == 1 && rm_evidence_upper95(3, 3) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priors_are_there),
        cmocka_unit_test(labels_move_the_risk),
        cmocka_unit_test(an_answer_has_its_own_risk),
        cmocka_unit_test(learning_stays_finite),
        cmocka_unit_test(guards_veto_until_labels_say_otherwise),
        cmocka_unit_test(what_a_guard_adds_depends_on_the_risk),
        cmocka_unit_test(calibrated_risks_keep_the_budget),
        cmocka_unit_test(no_error_no_hits),
        cmocka_unit_test(no_hit_is_a_gamble),
        cmocka_unit_test(wrong_risks_are_corrected),
        cmocka_unit_test(vectors_are_centred),
        cmocka_unit_test(bound_of_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
