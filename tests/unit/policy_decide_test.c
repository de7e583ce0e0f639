/* What is done with a request: one row a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/policy.h"

/* Everything allowed; each row below changes one thing. */
static const rm_config open_config = {
    .cache = {.exact = {.mode = RM_MODE_SERVE, .ttl_ms = 7000, .serve_sampled = true}},
    .merge = {.in_flight = RM_MERGE_ON}};
static const rm_category category = {.ttl_ms = 1000};
static const rm_tenant known = {.cacheable = true};
static const rm_controls nothing = {.ttl_ms = -1, .max_age_ms = -1, .stale_if_error_ms = -1};
static const rm_request_info chat = {.op = RM_OP_CHAT, .choices = 1, .max_tokens = -1};

typedef struct situation {
    rm_config config;
    rm_tenant tenant;
    rm_controls controls;
    rm_request_info info;
} situation;

static void make_plain(situation *s)
{
    (void)s;
}
static void ask_bypass(situation *s)
{
    s->controls.bypass = true;
}
static void ask_no_cache(situation *s)
{
    s->controls.no_cache = true;
}
static void ask_no_store(situation *s)
{
    s->controls.no_store = true;
}
static void ask_only_if_cached(situation *s)
{
    s->controls.only_if_cached = true;
}
static void ask_ttl_0(situation *s)
{
    s->controls.ttl_ms = 0;
}
static void make_probe(situation *s)
{
    s->info.health_probe = true;
}
static void make_anonymous(situation *s)
{
    s->tenant.cacheable = false;
}
static void make_stateful(situation *s)
{
    s->info.stateful = true;
}
static void make_media(situation *s)
{
    s->info.refers_media = true;
}
static void make_sampled(situation *s)
{
    s->info.sampled = true;
}
static void make_sampled_bypass(situation *s)
{
    s->info.sampled = true;
    s->config.cache.exact.serve_sampled = false;
}
static void make_sampled_deterministic(situation *s)
{
    s->info.sampled = true;
    s->config.merge.in_flight = RM_MERGE_DETERMINISTIC;
}
static void make_deterministic(situation *s)
{
    s->config.merge.in_flight = RM_MERGE_DETERMINISTIC;
}
static void turn_merge_off(situation *s)
{
    s->config.merge.in_flight = RM_MERGE_OFF;
}
static void make_choices(situation *s)
{
    s->info.choices = 2;
}
static void allow_choices(situation *s)
{
    s->info.choices = 2;
    s->config.merge.choices = true;
}
static void turn_cache_off(situation *s)
{
    s->config.cache.exact.mode = RM_MODE_OFF;
}

static void test_rules(void **state)
{
    static const struct {
        void (*change)(situation *);
        bool lookup, store, merge;
        rm_outcome outcome;
        rm_reason reason;
    } rules[] = {
        {make_plain, true, true, true, RM_OUTCOME_MISS, RM_REASON_MISS},
        {ask_bypass, false, false, false, RM_OUTCOME_BYPASS, RM_REASON_REQUESTED},
        {ask_no_cache, false, true, false, RM_OUTCOME_MISS, RM_REASON_REQUESTED},
        {ask_no_store, true, false, false, RM_OUTCOME_MISS, RM_REASON_MISS},
        {ask_only_if_cached, true, true, false, RM_OUTCOME_MISS, RM_REASON_MISS},
        {ask_ttl_0, true, false, true, RM_OUTCOME_MISS, RM_REASON_MISS},
        {make_probe, false, false, false, RM_OUTCOME_BYPASS, RM_REASON_PROBE},
        {make_anonymous, false, false, false, RM_OUTCOME_BYPASS, RM_REASON_ANONYMOUS},
        {make_stateful, false, false, false, RM_OUTCOME_BYPASS, RM_REASON_STATEFUL},
        {make_media, false, false, false, RM_OUTCOME_BYPASS, RM_REASON_MEDIA},
        {make_sampled, true, true, true, RM_OUTCOME_MISS, RM_REASON_MISS},
        {make_sampled_bypass, false, false, false, RM_OUTCOME_BYPASS, RM_REASON_SAMPLED},
        {make_sampled_deterministic, true, true, false, RM_OUTCOME_MISS, RM_REASON_MISS},
        {make_deterministic, true, true, true, RM_OUTCOME_MISS, RM_REASON_MISS},
        {turn_merge_off, true, true, false, RM_OUTCOME_MISS, RM_REASON_MISS},
        {make_choices, true, true, false, RM_OUTCOME_MISS, RM_REASON_MISS},
        {allow_choices, true, true, true, RM_OUTCOME_MISS, RM_REASON_MISS},
        {turn_cache_off, false, false, true, RM_OUTCOME_BYPASS, RM_REASON_OFF},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(rules); i++) {
        situation s = {.tenant = known, .controls = nothing, .info = chat};
        memcpy(&s.config, &open_config, sizeof(s.config));
        rules[i].change(&s);
        rm_decision d = rm_policy_decide(&s.config, &category, &s.tenant, &s.controls, &s.info);
        if (d.lookup != rules[i].lookup || d.store != rules[i].store || d.merge != rules[i].merge)
            print_error("rule %zu\n", i);
        assert_int_equal(d.lookup, rules[i].lookup);
        assert_int_equal(d.store, rules[i].store);
        assert_int_equal(d.merge, rules[i].merge);
        assert_int_equal(d.outcome, rules[i].outcome);
        assert_int_equal(d.reason, rules[i].reason);
    }
}

static void test_unknown_paths_pass(void **state)
{
    rm_decision d = rm_policy_decide(&open_config, &category, &known, &nothing, NULL);

    (void)state;
    assert_false(d.lookup || d.store || d.merge);
    assert_int_equal(d.outcome, RM_OUTCOME_BYPASS);
    assert_int_equal(d.reason, RM_REASON_PATH);
}

static void test_ttl_is_the_requests_or_the_categorys(void **state)
{
    rm_controls controls = nothing;

    (void)state;
    assert_int_equal(rm_policy_decide(&open_config, &category, &known, &controls, &chat).ttl_ms, 1000);
    controls.ttl_ms = 5;
    assert_int_equal(rm_policy_decide(&open_config, &category, &known, &controls, &chat).ttl_ms, 5);
    controls.ttl_ms = 5000;
    assert_int_equal(rm_policy_decide(&open_config, &category, &known, &controls, &chat).ttl_ms, 5000);
}

static void test_upstreams(void **state)
{
    static const char text[] = "upstreams:\n  - {name: a, base_url: http://a}\n  - {name: b, base_url: http://b}\n"
                               "  - {name: c, base_url: http://c, dialect: anthropic}\n"
                               "models: [{name: m, upstream: b}]\n";
    rm_config *config = NULL;
    rm_config_errors errors;

    (void)state;
    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_parse("f", rm_slice_cstr(text), &config, &errors), RM_OK);
    assert_ptr_equal(rm_policy_upstream(config, RM_SLICE("m"), RM_DIALECT_ANTHROPIC), &config->upstreams[1]);
    assert_ptr_equal(rm_policy_upstream(config, RM_SLICE("x"), RM_DIALECT_OPENAI), &config->upstreams[0]);
    assert_ptr_equal(rm_policy_upstream(config, RM_SLICE_NONE, RM_DIALECT_ANTHROPIC), &config->upstreams[2]);
    rm_config_unref(config);
    config = NULL;
    assert_int_equal(rm_config_parse("f", RM_SLICE_NONE, &config, &errors), RM_OK);
    assert_ptr_equal(rm_policy_upstream(config, RM_SLICE("x"), RM_DIALECT_ANTHROPIC), &config->upstreams[0]);
    rm_config_unref(config);
    rm_config_errors_deinit(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_unknown_paths_pass),
        cmocka_unit_test(test_ttl_is_the_requests_or_the_categorys),
        cmocka_unit_test(test_upstreams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
