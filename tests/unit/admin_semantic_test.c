/* What people see of the semantic cache: names, errors, JSON, metrics, table, receipts, and what they say of answers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin_internal.h"

static rm_semantic_space spaces[RM_SEMANTIC_NAMESPACES_MAX];

static rm_semantic_space *name(size_t index, const char *text)
{
    spaces[index] = (rm_semantic_space){.stats = {.requests = 1}};
    (void)snprintf(spaces[index].name, sizeof(spaces[index].name), "%s", text);
    return &spaces[index];
}

static bool says(const rm_buf *out, const char *text)
{
    bool found = rm_slice_find(rm_buf_slice(out), rm_slice_cstr(text)) != NULL;

    if (!found)
        print_error("no %s in %.*s\n", text, (int)out->len, out->ptr);
    return found;
}

/* The text must be one JSON value. */
static void check_json(const rm_buf *out)
{
    const rm_json *root;
    rm_arena arena;

    rm_arena_init(&arena, NULL, RM_MIB * 16);
    assert_int_equal(rm_json_parse(&arena, rm_buf_slice(out), &root), RM_OK);
    rm_arena_deinit(&arena);
}

/* ---- names and errors -------------------------------------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    name(0, "z");
    name(1, "");
    name(2, "a\nb");
    name(3, "default")->stats.guards[2] = 5;
    name(4, "a\x7f"
            "b");
    spaces[1].stats = (rm_semantic_stats){
        .requests = 10, .served = 3, .guards = {[2] = 2}, .saved_usd = 0.5, .shadow_usd = 0.25, .spent = 1.5};
    assert_int_equal(rm_admin__name_spaces(spaces, 5), 3);
    assert_string_equal(spaces[0].name, "a?b");
    assert_int_equal(spaces[0].stats.requests, 2);
    assert_string_equal(spaces[1].name, "default");
    assert_int_equal(spaces[1].stats.requests, 11);
    assert_int_equal(spaces[1].stats.served, 3);
    assert_int_equal(spaces[1].stats.guards[2], 7);
    assert_true(spaces[1].stats.saved_usd == 0.5 && spaces[1].stats.shadow_usd == 0.25 && spaces[1].stats.spent == 1.5);
    assert_string_equal(spaces[2].name, "z");
    assert_int_equal(rm_admin__name_spaces(spaces, 0), 0);
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void test_errors(void **state)
{
    (void)state;
    rm_admin_error e = rm_admin__error_of(0, 0, 0, 0, 0);
    assert_true(e.estimate == 0 && e.upper95 == 0);
    e = rm_admin__error_of(100, 0, 5, 5, 5); /* nothing was served: nothing wrongly */
    assert_true(e.estimate == 0 && e.upper95 == 0);
    e = rm_admin__error_of(100, 40, 0, 0, 0); /* no audit: no more than all hits */
    assert_true(e.estimate < 0 && near(e.upper95, 0.4));
    e = rm_admin__error_of(100, 40, 20, 2, 0);
    assert_true(near(e.estimate, 0.04) && near(e.upper95, 0.4 * rm_semantic_upper95(2, 20)) && e.upper95 > e.estimate);
    e = rm_admin__error_of(100, 40, 20, 0, 0); /* the bound of none in 20 is 1 - 0.05^(1/20) */
    assert_true(e.estimate == 0 && near(e.upper95, 0.4 * (1 - pow(0.05, 1.0 / 20))));
    e = rm_admin__error_of(100, 40, 0, 0, 3); /* what was told is known */
    assert_true(near(e.estimate, 0.03) && near(e.upper95, 0.4));
    e = rm_admin__error_of(100, 40, 1000, 0, 3);
    assert_true(near(e.estimate, 0.03) && near(e.upper95, 0.03));
    e = rm_admin__error_of(100, 40, 20, 20, 90); /* no more than all hits */
    assert_true(near(e.estimate, 0.4) && near(e.upper95, 0.4));
    e = rm_admin__error_of(10, 40, 20, 10, 0); /* counts that are read while they change */
    assert_true(near(e.estimate, 0.5) && near(e.upper95, rm_semantic_upper95(10, 20)));
}

/* ---- state, metrics, table --------------------------------------------------------------------------------------- */

static rm_admin_semantic state_of(size_t count, rm_mode mode)
{
    return (rm_admin_semantic){.known = true,
                               .mode = mode,
                               .max_error = 0.01,
                               .model = "m",
                               .ready = true,
                               .index = {.entries = 7, .partitions = 2, .bytes = 1234},
                               .spaces = spaces,
                               .count = count};
}

static void fill_two(void)
{
    name(0, "default")->stats = (rm_semantic_stats){.requests = 100,
                                                    .served = 40,
                                                    .audited = 20,
                                                    .audited_wrong = 2,
                                                    .vetoed = 3,
                                                    .feedback_wrong = 1,
                                                    .guards = {[1] = 3},
                                                    .saved_usd = 0.5,
                                                    .spent = 0.75};
    name(1, "say \"hé\" \\")->stats = (rm_semantic_stats){.requests = 10,
                                                          .shadow_requests = 10,
                                                          .shadow_hits = 5,
                                                          .shadow_right = 3,
                                                          .shadow_wrong = 1,
                                                          .shadow_usd = 0.125};
}

static void test_state(void **state)
{
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    fill_two();
    rm_admin_semantic semantic = state_of(2, RM_MODE_SERVE);
    assert_int_equal(rm_admin__semantic_json(&semantic, &out), RM_OK);
    check_json(&out);
    assert_true(says(&out, "{\"mode\":\"serve\",\"max_error\":0.01,\"model\":\"m\",\"ready\":true,\"entries\":7,"
                           "\"partitions\":2,\"bytes\":1234,\"namespaces\":[{\"namespace\":\"default\","));
    assert_true(says(&out, "\"served\":40,\"audited\":20,\"audited_wrong\":2,\"vetoed\":3,"));
    assert_true(says(&out, "\"error\":{\"share_of\":\"requests\",\"estimate\":0.04,\"upper95\":0."));
    assert_true(says(&out, "\"expected_wrong\":0.75,\"saved_usd\":0.5,\"feedback\":{\"right\":0,\"wrong\":1}"));
    assert_true(says(&out, "\"namespace\":\"say \\\"hé\\\" \\\\\""));
    assert_true(says(&out, "\"shadow\":{\"requests\":10,\"hits\":5,\"hit_share\":0.5,\"right\":3,\"wrong\":1,"
                           "\"unknown\":1,\"error\":0.125,"));
    rm_buf_clear(&out);
    semantic = (rm_admin_semantic){.model = "m"};
    assert_int_equal(rm_admin__semantic_json(&semantic, &out), RM_OK);
    check_json(&out);
    assert_true(says(&out, "\"mode\":\"off\"") && says(&out, "\"ready\":false") && says(&out, "\"namespaces\":[]"));
    rm_buf_deinit(&out);
}

static void test_numbers_that_are_none(void **state)
{
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    name(0, "default")->stats.spent = (double)NAN;
    spaces[0].stats.saved_usd = (double)INFINITY;
    rm_admin_semantic semantic = state_of(1, RM_MODE_SERVE);
    assert_int_equal(rm_admin__semantic_json(&semantic, &out), RM_OK);
    check_json(&out);
    assert_true(says(&out, "\"expected_wrong\":null"));
    rm_buf_deinit(&out);
}

static void test_metrics(void **state)
{
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    fill_two();
    rm_admin_semantic semantic = state_of(2, RM_MODE_SERVE);
    assert_int_equal(rm_admin__semantic_prometheus(&semantic, &out), RM_OK);
    static const char *const lines[] = {
        "# TYPE remora_semantic_served_total counter\n",
        "\nremora_semantic_served_total{namespace=\"default\"} 40\n",
        "\nremora_semantic_served_total{namespace=\"say \\\"hé\\\" \\\\\"} 0\n",
        "\nremora_semantic_wrong_total{namespace=\"default\"} 3\n",
        "\nremora_semantic_audited_total{namespace=\"default\"} 20\n",
        "\nremora_semantic_vetoed_total{namespace=\"default\"} 3\n",
        "\nremora_semantic_shadow_hits_total{namespace=\"say \\\"hé\\\" \\\\\"} 5\n",
        "\nremora_semantic_feedback_total{namespace=\"default\",verdict=\"wrong\"} 1\n",
        "\nremora_semantic_saved_usd_total{namespace=\"default\"} 0.5\n",
        "\nremora_semantic_shadow_saved_usd_total{namespace=\"say \\\"hé\\\" \\\\\"} 0.125\n",
        "\nremora_semantic_entries 7\n",
        "\nremora_semantic_partitions 2\n",
        "\nremora_semantic_index_bytes 1234\n",
        "# TYPE remora_semantic_error_upper95 gauge\n",
    };
    for (size_t i = 0; i < RM_COUNT(lines); i++)
        assert_true(says(&out, lines[i]));
    char veto[128];
    (void)snprintf(veto, sizeof(veto), "\nremora_semantic_guard_vetoes_total{namespace=\"default\",guard=\"%s\"} 3\n#",
                   rm_semantic_guard_name(1)); /* the only one */
    assert_true(says(&out, veto));
    rm_buf_clear(&out);
    semantic = (rm_admin_semantic){0};
    assert_int_equal(rm_admin__semantic_prometheus(&semantic, &out), RM_OK);
    assert_int_equal(out.len, 0);
    semantic = state_of(0, RM_MODE_SHADOW);
    assert_int_equal(rm_admin__semantic_prometheus(&semantic, &out), RM_OK);
    assert_true(says(&out, "\nremora_semantic_served_total{namespace=\"default\"} 0\n"));
    rm_buf_deinit(&out);
}

static size_t count_of(const rm_buf *out, const char *text)
{
    rm_slice rest = rm_buf_slice(out), wanted = rm_slice_cstr(text);
    const char *at;
    size_t count = 0;

    while ((at = rm_slice_find(rest, wanted))) {
        count++;
        rest = rm_slice_make(at + wanted.len, rest.len - (size_t)(at + wanted.len - rest.ptr));
    }
    return count;
}

/* `named`: one of the namespaces is called other, before (or past) where the limit cuts. */
static void check_series(size_t count, const char *named, size_t series)
{
    char text[32];
    rm_buf out;

    rm_buf_init(&out, 16 * RM_MIB);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(text, sizeof(text), "n%04zu", i);
        name(i, i == 0 && named ? named : text);
        spaces[i].stats.served = 1;
    }
    rm_admin_semantic semantic = state_of(rm_admin__name_spaces(spaces, count), RM_MODE_SERVE);
    assert_int_equal(rm_admin__semantic_prometheus(&semantic, &out), RM_OK);
    assert_int_equal(count_of(&out, "\nremora_semantic_served_total{"), series);
    if (count > RM_METRIC_SERIES_MAX) {
        (void)snprintf(text, sizeof(text), "other\"} %zu\n", count - series + 1);
        assert_true(says(&out, text));
        assert_int_equal(count_of(&out, "\nremora_semantic_served_total{namespace=\"other\"}"), 1);
    }
    rm_buf_deinit(&out);
}

static void test_series_have_a_bound(void **state)
{
    (void)state;
    check_series(RM_METRIC_SERIES_MAX, NULL, RM_METRIC_SERIES_MAX);
    check_series(RM_METRIC_SERIES_MAX + 1, NULL, RM_METRIC_SERIES_MAX);
    check_series(RM_SEMANTIC_NAMESPACES_MAX, NULL, RM_METRIC_SERIES_MAX);
    check_series(RM_SEMANTIC_NAMESPACES_MAX, "other", RM_METRIC_SERIES_MAX); /* sorts last */
    for (size_t i = 0; i < RM_SEMANTIC_NAMESPACES_MAX; i++) {                /* sorts first */
        char text[32];
        (void)snprintf(text, sizeof(text), "z%04zu", i);
        name(i, i == 0 ? "other" : text)->stats.served = 1;
    }
    rm_buf out;
    rm_buf_init(&out, 16 * RM_MIB);
    rm_admin_semantic semantic = state_of(RM_SEMANTIC_NAMESPACES_MAX, RM_MODE_SERVE);
    assert_int_equal(rm_admin__semantic_prometheus(&semantic, &out), RM_OK);
    assert_int_equal(count_of(&out, "\nremora_semantic_served_total{"), RM_METRIC_SERIES_MAX - 1);
    assert_true(says(&out, "\nremora_semantic_served_total{namespace=\"other\"} 514\n"));
    rm_buf_deinit(&out);
}

static void test_report(void **state)
{
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    fill_two();
    rm_admin_semantic semantic = state_of(2, RM_MODE_SHADOW);
    assert_int_equal(rm_admin__semantic_report_json(&semantic, &out), RM_OK);
    check_json(&out);
    assert_int_equal(count_of(&out, "\"namespace\":"), 3); /* default: served, and in shadow now */
    assert_true(
        says(&out, "{\"namespace\":\"default\",\"mode\":\"serve\",\"requests\":100,\"hits\":40,\"hit_share\":0.4,"));
    assert_true(says(&out, "{\"namespace\":\"default\",\"mode\":\"shadow\",\"requests\":0,\"hits\":0,"));
    rm_buf_clear(&out);
    assert_int_equal(rm_admin__semantic_report_table(&semantic, &out), RM_OK);
    assert_true(says(&out, "stay below 1 % of requests"));
    assert_true(
        says(&out,
             "\n  NAMESPACE     mode     requests         hits        hit %      wrong %    at most %        saved\n"));
    assert_true(
        says(&out,
             "\n  default      serve          100           40         40.0         4.00        11.30    $0.500000\n"));
    assert_true(says(
        &out,
        "\n  say \"hé\" \\  shadow           10            5         50.0        12.50        37.57    $0.125000\n"));
    assert_true(says(&out, "nothing of it was served"));
    rm_buf_clear(&out);
    semantic.mode = RM_MODE_SERVE;
    spaces[0].stats = (rm_semantic_stats){.requests = 10, .served = 1};
    assert_int_equal(rm_admin__semantic_report_table(&semantic, &out), RM_OK);
    assert_true(says(&out, " ?        10.00 ") && !rm_slice_find(rm_buf_slice(&out), RM_SLICE("nothing of it")));
    rm_buf_clear(&out);
    semantic = (rm_admin_semantic){.known = true, .mode = RM_MODE_OFF};
    assert_int_equal(rm_admin__semantic_report_json(&semantic, &out), RM_OK);
    check_json(&out);
    assert_true(says(&out, "\"by_namespace\":[]"));
    rm_buf_deinit(&out);
}

/* ---- receipts ---------------------------------------------------------------------------------------------------- */

static void test_receipts(void **state)
{
    rm_semantic_receipt receipt = {.id = "ab", .max_error = 0.01, .decided_ms = 1700000000042, .record = {1, 2}};
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_admin__receipt_json(&receipt, &out), RM_OK);
    check_json(&out);
    assert_true(says(&out, "{\"id\":\"ab\",\"namespace\":\"default\",\"time\":1700000000.042,\"shadow\":false,"
                           "\"verdict\":\"miss\",\"why\":\"no neighbour"));
    assert_true(says(&out, "\"similarity\":null") && says(&out, "\"features\":{}") && says(&out, "\"told\":[]"));
    assert_true(says(&out, "\"key\":\"00000000000000010000000000000002\""));
    rm_buf_clear(&out);
    receipt.decision =
        (rm_semantic_decision){.verdict = RM_VERDICT_HIT,
                               .candidate = true,
                               .entry = 9,
                               .similarity = 0.5F,
                               .likely = 0.125,
                               .risk = 0.25,
                               .limit = 0.5,
                               .guards = 5,
                               .record = {3, 4},
                               .count = 2,
                               .neighbours = {{.id = 9, .similarity = 0.5F}, {.id = 10, .similarity = 0}},
                               .features = {[1] = (double)NAN}};
    (void)snprintf(receipt.name_space, sizeof(receipt.name_space), "\"");
    receipt.shadow = true;
    receipt.told = 3;
    assert_int_equal(rm_admin__receipt_json(&receipt, &out), RM_OK);
    check_json(&out);
    assert_true(says(&out, "\"namespace\":\"\\\"\"") && says(&out, "\"shadow\":true,\"verdict\":\"hit\""));
    assert_true(says(&out, "\"limit\":0.5,\"similarity\":0.5,\"likely\":0.125,\"risk\":0.25,\"guards\":[{\"name\":\""));
    assert_true(says(&out, rm_semantic_guard_name(0)) && says(&out, rm_semantic_guard_text(2)));
    assert_true(says(&out, "\"entry\":9,\"entry_key\":\"00000000000000030000000000000004\",\"features\":{\""));
    for (unsigned i = 0; rm_semantic_feature_name(i); i++)
        assert_true(says(&out, rm_semantic_feature_name(i)));
    assert_true(says(&out, "\"neighbours\":[{\"id\":9,\"similarity\":0.5},{\"id\":10,\"similarity\":0}]"));
    assert_true(says(&out, "\"told\":[\"right\",\"wrong\"]}"));
    assert_int_equal(count_of(&out, "\"key\":"), 0);
    for (unsigned told = 1; told < 3; told++) {
        rm_buf_clear(&out);
        receipt.told = told;
        assert_int_equal(rm_admin__receipt_json(&receipt, &out), RM_OK);
        assert_true(says(&out, told == 1 ? "\"told\":[\"wrong\"]" : "\"told\":[\"right\"]"));
    }
    rm_buf_deinit(&out);
}

/* ---- feedback ---------------------------------------------------------------------------------------------------- */

static rm_status read_body(const char *body, rm_admin_feedback *feedback, const char **ret_why)
{
    static rm_arena arena;

    rm_arena_deinit(&arena);
    rm_arena_init(&arena, NULL, RM_MIB);
    rm_status status = rm_admin__read_feedback(rm_slice_cstr(body), &arena, feedback, ret_why);
    if (status != RM_OK)
        rm_arena_deinit(&arena);
    return status;
}

static void test_bodies_of_feedback(void **state)
{
    static const struct {
        const char *body, *why;
    } bad[] = {
        {"", "JSON object"},
        {"[]", "JSON object"},
        {"{}", "\"id\" is missing"},
        {"{\"note\":\"n\"}", "\"id\" is missing"},
        {"{\"verdict\":\"right\"}", "\"id\" is missing"},
        {"{\"id\":\"a\"}", "\"verdict\" is missing"},
        {"{\"id\":\"\",\"verdict\":\"right\"}", "\"id\" must be"},
        {"{\"id\":7,\"verdict\":\"right\"}", "must be strings"},
        {"{\"id\":\"a\",\"verdict\":\"RIGHT\"}", "\"verdict\" must be"},
        {"{\"id\":\"a\",\"verdict\":null}", "must be strings"},
        {"{\"id\":\"a\",\"verdict\":\"right\",\"verdict\":\"wrong\"}", "twice"},
        {"{\"id\":\"a\",\"verdict\":\"right\",\"comment\":\"\"}", "unknown member"},
    };
    rm_admin_feedback feedback;
    const char *why = NULL;
    char body[RM_ADMIN_NOTE_BYTES_MAX + 64];
    int note = (int)RM_ADMIN_NOTE_BYTES_MAX;

    (void)state;
    for (size_t i = 0; i < RM_COUNT(bad); i++) {
        assert_int_not_equal(read_body(bad[i].body, &feedback, &why), RM_OK);
        assert_non_null(strstr(why, bad[i].why));
    }
    assert_int_equal(read_body("{\"id\":\"a\\u00e9\",\"verdict\":\"wrong\"}", &feedback, &why), RM_OK);
    assert_true(rm_slice_eq(feedback.id, RM_SLICE("aé")) && !feedback.right && feedback.note.len == 0);
    (void)snprintf(body, sizeof(body), "{\"verdict\":\"right\",\"id\":\"a\",\"note\":\"%0*d\"}", note, 0);
    assert_int_equal(read_body(body, &feedback, &why), RM_OK);
    assert_true(feedback.right && feedback.note.len == RM_ADMIN_NOTE_BYTES_MAX);
    (void)snprintf(body, sizeof(body), "{\"verdict\":\"right\",\"id\":\"a\",\"note\":\"%0*d\"}", note + 1, 0);
    assert_int_equal(read_body(body, &feedback, &why), RM_EINVAL);
    assert_non_null(strstr(why, "4 KiB"));
}

typedef struct fixture {
    char folder[64];
    rm_store *store;
    rm_keeper *keeper;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    rm_store_options of_store = {.folder = f.folder, .bytes_max = 16 * RM_MIB, .clock = rm_clock_system()};
    rm_keeper_options of_keeper = {.model = "all-minilm-l6-v2", .fingerprint = "f", .dimensions = 4};
    bool more = true;

    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/remora-semantic-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    assert_int_equal(rm_store_open(&of_store, &f.store), RM_OK);
    of_keeper.store = f.store;
    assert_int_equal(rm_keeper_create(&of_keeper, &f.keeper), RM_OK);
    assert_false(rm_keeper_is_ready(f.keeper));
    while (more)
        assert_int_equal(rm_keeper_tend(f.keeper, &more), RM_OK);
    assert_true(rm_keeper_is_ready(f.keeper));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char command[128];

    rm_keeper_destroy(f->keeper);
    rm_store_close(f->store);
    (void)snprintf(command, sizeof(command), "rm -rf %s", f->folder);
    return system(command);
}

/* Decides on a text that is, but for its spelling, always the same one. */
static rm_semantic_ask ask_of(rm_slice text, rm_key128 record)
{
    static const float vector[4] = {1, 0, 0, 0};

    return (rm_semantic_ask){.name_space = RM_SLICE("n"),
                             .partition = {1, 1},
                             .text = text,
                             .vector = vector,
                             .max_error = 0.2,
                             .record = record};
}

static void add_receipt(fixture *f, const char *id, const rm_semantic_ask *ask, const rm_semantic_decision *decision)
{
    rm_semantic_receipt receipt = {.name_space = "n", .decision = *decision, .record = ask->record};

    (void)snprintf(receipt.id, sizeof(receipt.id), "%s", id);
    rm_keeper_add_receipt(f->keeper, &receipt);
}

/* Asks for what is not known yet: the answer is stored, and becomes an entry. */
static void ask_fresh(fixture *f, const char *id, const rm_semantic_ask *ask)
{
    rm_record record = {.key = ask->record,
                        .name_space = ask->name_space,
                        .canonical = RM_SLICE("c"),
                        .content = RM_SLICE("{}"),
                        .content_type = RM_SLICE("application/json"),
                        .form = RM_RECORD_BODY,
                        .op = RM_OP_CHAT,
                        .created_ms = 1,
                        .usage = RM_USAGE_UNKNOWN,
                        .cost_usd = -1};
    rm_semantic_decision decision;
    rm_semantic_answer answer;

    assert_int_equal(rm_keeper_decide(f->keeper, ask, &decision), RM_OK);
    assert_int_equal(decision.verdict, RM_VERDICT_MISS);
    assert_int_equal(rm_store_put(f->store, &record), RM_OK);
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("yes"), &answer), RM_OK);
    uint64_t entry;
    assert_int_equal(rm_keeper_learn(f->keeper, ask, &decision, &answer, true, &entry), RM_OK);
    add_receipt(f, id, ask, &decision);
}

static rm_semantic_stats stats_of(fixture *f)
{
    rm_semantic_stats stats;

    assert_int_equal(rm_semantic_get_stats(rm_keeper_semantic(f->keeper), RM_SLICE("n"), &stats), RM_OK);
    return stats;
}

static rm_feedback_effect tell(fixture *f, const char *id, bool right)
{
    rm_feedback_effect effect = RM_FEEDBACK_EFFECT_COUNT;

    assert_int_equal(rm_keeper_feedback(f->keeper, rm_slice_cstr(id), right, &effect), RM_OK);
    return effect;
}

static void test_feedback_on_a_hit(void **state)
{
    fixture *f = *state;
    rm_semantic_ask first = ask_of(RM_SLICE("how do I reset my password"), (rm_key128){1, 2});
    rm_semantic_ask second = ask_of(RM_SLICE("how do I reset my password?"), (rm_key128){3, 4});
    rm_semantic_decision decision;
    rm_feedback_effect effect;

    ask_fresh(f, "fresh", &first);
    assert_int_equal(rm_keeper_decide(f->keeper, &second, &decision), RM_OK);
    assert_int_equal(decision.verdict, RM_VERDICT_HIT);
    add_receipt(f, "hit", &second, &decision);
    double spent = stats_of(f).spent;
    assert_int_equal(rm_keeper_feedback(f->keeper, RM_SLICE("nobody's"), false, &effect), RM_ENOTFOUND);
    assert_int_equal(tell(f, "hit", true), RM_FEEDBACK_LEARNT);
    assert_int_equal(tell(f, "hit", true), RM_FEEDBACK_AGAIN);
    assert_int_equal(tell(f, "hit", false), RM_FEEDBACK_QUARANTINE);
    assert_int_equal(tell(f, "hit", false), RM_FEEDBACK_AGAIN);
    assert_int_equal(tell(f, "hit", true), RM_FEEDBACK_AGAIN);
    assert_int_equal(stats_of(f).feedback_right, 1);
    assert_int_equal(stats_of(f).feedback_wrong, 1);
    assert_true(stats_of(f).spent > spent + 0.5);
    assert_int_equal(rm_keeper_decide(f->keeper, &second, &decision), RM_OK);
    assert_int_not_equal(decision.verdict, RM_VERDICT_HIT);
}

static void test_feedback_on_a_fresh_answer(void **state)
{
    fixture *f = *state;
    rm_semantic_ask first = ask_of(RM_SLICE("how do I reset my password"), (rm_key128){1, 2});
    rm_semantic_ask second = ask_of(RM_SLICE("how do I reset my password?"), (rm_key128){3, 4});
    rm_semantic_decision decision;
    rm_store_reader *reader;
    rm_record record;

    ask_fresh(f, "fresh", &first);
    assert_int_equal(tell(f, "fresh", true), RM_FEEDBACK_NOTHING);
    assert_int_equal(tell(f, "fresh", false), RM_FEEDBACK_DELETED);
    assert_int_equal(tell(f, "fresh", false), RM_FEEDBACK_AGAIN);
    assert_int_equal(rm_store_reader_create(f->store, &reader), RM_OK);
    assert_int_equal(rm_store_get(reader, first.record, &record), RM_ENOTFOUND);
    rm_store_reader_destroy(reader);
    assert_int_equal(rm_keeper_decide(f->keeper, &second, &decision), RM_OK);
    assert_int_equal(decision.verdict, RM_VERDICT_MISS);
    assert_false(decision.candidate);
    add_receipt(f, "not kept", &second, &decision);
    assert_int_equal(tell(f, "not kept", false), RM_FEEDBACK_NOTHING);
    assert_int_equal(tell(f, "not kept", false), RM_FEEDBACK_NOTHING); /* it may have been on its way */
    assert_int_equal(stats_of(f).feedback_right + stats_of(f).feedback_wrong, 0);
}

static void test_only_the_latest_receipts_are_kept(void **state)
{
    fixture *f = *state;
    rm_semantic_decision decision = {.verdict = RM_VERDICT_MISS};
    rm_semantic_ask ask = {.record = {1, 1}};
    rm_semantic_receipt receipt;
    char id[33];

    for (unsigned i = 0; i < RM_SEMANTIC_RECEIPTS_MAX + 1; i++) {
        (void)snprintf(id, sizeof(id), "%032u", i);
        add_receipt(f, id, &ask, &decision);
    }
    (void)snprintf(id, sizeof(id), "%032u", 0);
    assert_int_equal(rm_keeper_get_receipt(f->keeper, rm_slice_cstr(id), &receipt), RM_ENOTFOUND);
    (void)snprintf(id, sizeof(id), "%032u", 1);
    assert_int_equal(rm_keeper_get_receipt(f->keeper, rm_slice_cstr(id), &receipt), RM_OK);
    decision.verdict = RM_VERDICT_VETO;
    add_receipt(f, id, &ask, &decision); /* the later one counts */
    assert_int_equal(rm_keeper_get_receipt(f->keeper, rm_slice_cstr(id), &receipt), RM_OK);
    assert_int_equal(receipt.decision.verdict, RM_VERDICT_VETO);
    id[31] = '\0';
    assert_int_equal(rm_keeper_get_receipt(f->keeper, rm_slice_cstr(id), &receipt), RM_ENOTFOUND);
    assert_int_equal(rm_keeper_get_receipt(f->keeper, RM_SLICE_NONE, &receipt), RM_ENOTFOUND);
}

static void test_replies_to_feedback(void **state)
{
    static const struct {
        rm_feedback_effect effect;
        const char *says;
    } cases[] = {
        {RM_FEEDBACK_NOTHING, "\"applied\":false,\"effect\":\"nothing\","},
        {RM_FEEDBACK_AGAIN, "\"applied\":false,\"effect\":\"again\","},
        {RM_FEEDBACK_LEARNT, "\"applied\":true,\"effect\":\"learnt\","},
        {RM_FEEDBACK_QUARANTINE, "\"applied\":true,\"effect\":\"quarantine\","},
        {RM_FEEDBACK_DELETED, "{\"id\":\"\\\"\",\"verdict\":\"wrong\",\"applied\":true,\"effect\":\"deleted\","}};
    rm_admin_feedback feedback = {.id = RM_SLICE("\"")};
    rm_buf out;

    (void)state;
    rm_buf_init(&out, RM_MIB);
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_buf_clear(&out);
        assert_int_equal(rm_admin__feedback_json(&feedback, cases[i].effect, &out), RM_OK);
        check_json(&out);
        assert_true(says(&out, cases[i].says));
    }
    rm_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_series_have_a_bound),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_receipts),
        cmocka_unit_test(test_bodies_of_feedback),
        cmocka_unit_test(test_replies_to_feedback),
        cmocka_unit_test_setup_teardown(test_feedback_on_a_hit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_feedback_on_a_fresh_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_the_latest_receipts_are_kept, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
