/* Ledger rows, and the report that is made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "remora/observe.h"

#define HOUR_MS 3600000ULL

static rm_receipt make_receipt(const char *tenant, const char *model, rm_outcome outcome)
{
    return (rm_receipt){
        .op = RM_OP_CHAT,
        .outcome = outcome,
        .status = 200,
        .tenant = rm_slice_cstr(tenant),
        .model = rm_slice_cstr(model),
        .requested_model = RM_SLICE("asked"),
        .usage = {100, 10, 0, 20, 0},
        .cost_usd = outcome == RM_OUTCOME_MISS ? 0.5 : 0,
        .saved_usd = outcome == RM_OUTCOME_MISS ? 0 : 0.25,
        .total_ns = 1000,
    };
}

static rm_observe *make(unsigned threads)
{
    rm_observe *observe = NULL;
    assert_int_equal(rm_observe_create("off", threads, &observe), RM_OK);
    return observe;
}

static const rm_ledger_row *find(const rm_ledger_row *rows, size_t count, const char *tenant, const char *model)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].tenant, tenant) == 0 && strcmp(rows[i].model, model) == 0)
            return &rows[i];
    }
    return NULL;
}

static void settle(rm_observe *observe, unsigned thread, rm_receipt receipt, uint64_t wall_ms)
{
    rm_observer_settle(rm_observe_thread(observe, thread), &receipt, wall_ms);
}

static void test_rows(void **state)
{
    (void)state;
    rm_observe *observe = make(2);
    rm_receipt failed = make_receipt("t1", "m1", RM_OUTCOME_MISS);
    failed.status = 500;
    failed.cost_usd = failed.saved_usd = -1;
    failed.usage = RM_USAGE_UNKNOWN;
    rm_receipt unpriced = make_receipt("t1", "m1", RM_OUTCOME_MISS);
    unpriced.cost_usd = -1;
    rm_receipt files = make_receipt("t9", "m9", RM_OUTCOME_BYPASS);
    files.op = RM_OP_OTHER;
    settle(observe, 0, make_receipt("t1", "m1", RM_OUTCOME_MISS), 5 * HOUR_MS);
    settle(observe, 0, make_receipt("t1", "m1", RM_OUTCOME_MISS), 6 * HOUR_MS - 1);
    settle(observe, 0, failed, 5 * HOUR_MS);
    settle(observe, 0, unpriced, 5 * HOUR_MS);
    settle(observe, 0, files, 5 * HOUR_MS);
    settle(observe, 0, make_receipt("t1", "m1", RM_OUTCOME_MISS), 6 * HOUR_MS);
    settle(observe, 1, make_receipt("", "", RM_OUTCOME_HIT), 5 * HOUR_MS);
    rm_ledger_row *rows;
    size_t count;
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_OK);
    assert_int_equal(count, 3);
    const rm_ledger_row *row = find(rows, count, "t1", "m1");
    assert_int_equal(row->hour, 5);
    assert_string_equal(row->reason, "miss");
    assert_int_equal(row->requests, 4);
    assert_int_equal(row->errors, 1);
    assert_int_equal(row->unpriced, 1);
    assert_int_equal(row->input_tokens, 300);
    assert_int_equal(row->cached_input_tokens, 30);
    assert_int_equal(row->output_tokens, 60);
    assert_true(row->cost_usd == 1);
    row = find(rows, count, "anonymous", "asked");
    assert_string_equal(row->reason, "hit");
    assert_true(row->saved_usd == 0.25);
    rm_free(rows);
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_OK);
    assert_int_equal(count, 0);
    rm_free(rows);
    rm_observe_destroy(observe);
}

static void test_long_names(void **state)
{
    (void)state;
    rm_observe *observe = make(1);
    char name[400];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    settle(observe, 0, make_receipt(name, name, RM_OUTCOME_MISS), 0);
    settle(observe, 0, make_receipt(name, name, RM_OUTCOME_MISS), 0);
    rm_ledger_row *rows;
    size_t count;
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_OK);
    assert_int_equal(count, 1);
    assert_int_equal(strlen(rows[0].tenant), sizeof(rows[0].tenant) - 1);
    assert_int_equal(strlen(rows[0].model), sizeof(rows[0].model) - 1);
    rm_free(rows);
    rm_observe_destroy(observe);
}

static void test_cap(void **state)
{
    (void)state;
    rm_observe *observe = make(1);
    for (unsigned i = 0; i < RM_LEDGER_ROWS_MAX + 500; i++) {
        char tenant[32];
        snprintf(tenant, sizeof(tenant), "tenant-%u", i);
        settle(observe, 0, make_receipt(tenant, "m", RM_OUTCOME_MISS), 0);
    }
    rm_ledger_row *rows;
    size_t count;
    uint64_t requests = 0;
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_OK);
    assert_true(count < RM_LEDGER_ROWS_MAX);
    assert_true(find(rows, count, "other", "other")->requests >= 500);
    for (size_t i = 0; i < count; i++)
        requests += rows[i].requests;
    assert_int_equal(requests, RM_LEDGER_ROWS_MAX + 500);
    rm_free(rows);

    /* So many hours unflushed that even "other" has no place: counted, nothing else. */
    for (unsigned i = 0; i < RM_LEDGER_ROWS_MAX + 500; i++)
        settle(observe, 0, make_receipt("t", "m", RM_OUTCOME_MISS), i * HOUR_MS);
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_OK);
    assert_int_equal(count, RM_LEDGER_ROWS_MAX);
    rm_free(rows);
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_observe_prometheus(observe, NULL, &out), RM_OK);
    assert_non_null(rm_slice_find(rm_buf_slice(&out), RM_SLICE("\nremora_ledger_rows_dropped_total 500\n")));
    rm_buf_deinit(&out);
    rm_observe_destroy(observe);
}

#ifdef REMORA_FAULTS
static void test_fault(void **state)
{
    (void)state;
    rm_observe *observe = make(1);
    rm_fault_set(RM_FAULT_LEDGER, 1, true);
    settle(observe, 0, make_receipt("t", "m", RM_OUTCOME_MISS), 0);
    settle(observe, 0, make_receipt("t", "m", RM_OUTCOME_MISS), 0);
    rm_fault_set(RM_FAULT_LEDGER, 0, false);
    rm_ledger_row *rows;
    size_t count;
    rm_fault_set(RM_FAULT_ALLOC, 1, true);
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_ENOMEM);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_OK); /* nothing was lost by that */
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].requests, 1);
    rm_free(rows);
    rm_observe_destroy(observe);
}
#endif

/* ---- report ------------------------------------------------------------------------------------------------------ */

static rm_report *make_report(void)
{
    static const rm_ledger_row rows[] = {
        {.hour = 490000,
         .tenant = "aaaa",
         .model = "gpt-4.1-mini",
         .reason = "miss",
         .requests = 1200,
         .errors = 3,
         .input_tokens = 1000000,
         .output_tokens = 5000,
         .cost_usd = 1.5},
        {.hour = 490002,
         .tenant = "aaaa",
         .model = "gpt-4.1-mini",
         .reason = "hit",
         .requests = 2000,
         .input_tokens = 2000000,
         .cached_input_tokens = 7,
         .output_tokens = 9000,
         .saved_usd = 3},
        {.hour = 490001,
         .tenant = "bbbb",
         .model = "mod\xc3\xa9le\x1b",
         .reason = "merged",
         .requests = 50,
         .unpriced = 2,
         .saved_usd = 0.00045},
        {.hour = 490001, .tenant = "bbbb", .model = "mod\xc3\xa9le\x1b", .reason = "stale", .requests = 1},
    };
    rm_report *report = rm_report_create();
    for (size_t i = 0; i < RM_COUNT(rows); i++)
        rm_report_add(report, &rows[i]);
    return report;
}

static void check_text(rm_status (*write)(const rm_report *, rm_buf *), rm_report *report, const char *expected)
{
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(write(report, &out), RM_OK);
    assert_int_equal(rm_buf_append_char(&out, '\0'), RM_OK);
    assert_string_equal(out.ptr, expected);
    rm_buf_deinit(&out);
    rm_report_destroy(report);
}

static void test_report_json(void **state)
{
    (void)state;
    check_text(
        rm_report_json, make_report(),
        "{\"since\":\"2025-11-24T16:00:00Z\",\"until\":\"2025-11-24T19:00:00Z\",\"requests\":3251,\"errors\":3,"
        "\"input_tokens\":3000000,\"cached_input_tokens\":7,\"output_tokens\":14000,\"unpriced\":2,\"cost_usd\":1.5,"
        "\"saved_usd\":3.00045,\"by_reason\":["
        "{\"reason\":\"hit\",\"requests\":2000,\"errors\":0,\"input_tokens\":2000000,\"cached_input_tokens\":7,"
        "\"output_tokens\":9000,\"unpriced\":0,\"cost_usd\":0,\"saved_usd\":3},"
        "{\"reason\":\"merged\",\"requests\":50,\"errors\":0,\"input_tokens\":0,\"cached_input_tokens\":0,"
        "\"output_tokens\":0,\"unpriced\":2,\"cost_usd\":0,\"saved_usd\":0.00045},"
        "{\"reason\":\"miss\",\"requests\":1200,\"errors\":3,\"input_tokens\":1000000,\"cached_input_tokens\":0,"
        "\"output_tokens\":5000,\"unpriced\":0,\"cost_usd\":1.5,\"saved_usd\":0},"
        "{\"reason\":\"stale\",\"requests\":1,\"errors\":0,\"input_tokens\":0,\"cached_input_tokens\":0,"
        "\"output_tokens\":0,\"unpriced\":0,\"cost_usd\":0,\"saved_usd\":0}],\"by_model\":["
        "{\"model\":\"gpt-4.1-mini\",\"requests\":3200,\"errors\":3,\"input_tokens\":3000000,"
        "\"cached_input_tokens\":7,\"output_tokens\":14000,\"unpriced\":0,\"cost_usd\":1.5,\"saved_usd\":3},"
        "{\"model\":\"mod\xc3\xa9le\\u001b\",\"requests\":51,\"errors\":0,\"input_tokens\":0,"
        "\"cached_input_tokens\":0,\"output_tokens\":0,\"unpriced\":2,\"cost_usd\":0,\"saved_usd\":0.00045}],"
        "\"by_tenant\":[{\"tenant\":\"aaaa\",\"requests\":3200,\"errors\":3,\"input_tokens\":3000000,"
        "\"cached_input_tokens\":7,\"output_tokens\":14000,\"unpriced\":0,\"cost_usd\":1.5,\"saved_usd\":3},"
        "{\"tenant\":\"bbbb\",\"requests\":51,\"errors\":0,\"input_tokens\":0,\"cached_input_tokens\":0,"
        "\"output_tokens\":0,\"unpriced\":2,\"cost_usd\":0,\"saved_usd\":0.00045}]}");
}

static void test_report_table(void **state)
{
    (void)state;
    check_text(
        rm_report_table, make_report(),
        "Savings from 2025-11-24 16:00 to 2025-11-24 19:00 UTC\n"
        "\n"
        "  requests  3,251\n"
        "  hits      2,001 (61.6 %)\n"
        "  merged    50 (1.5 %)\n"
        "  paid      $1.500000\n"
        "  saved     $3.000450 (66.7 % of what it would have cost)\n"
        "  unpriced  2 requests of models without a price, in neither sum\n"
        "\n"
        "  MODEL         requests  errors  tokens in  tokens out  unpriced       paid      saved  saved %\n"
        "  gpt-4.1-mini     3,200       3  3,000,000      14,000         0  $1.500000  $3.000000   66.7 %\n"
        "  mod\xc3\xa9le?             51       0          0           0         2  $0.000000  $0.000450  100.0 %\n"
        "\n"
        "  TENANT  requests  errors  tokens in  tokens out  unpriced       paid      saved  saved %\n"
        "  aaaa       3,200       3  3,000,000      14,000         0  $1.500000  $3.000000   66.7 %\n"
        "  bbbb          51       0          0           0         2  $0.000000  $0.000450  100.0 %\n"
        "\n"
        "  REASON  requests  errors  tokens in  tokens out  unpriced       paid      saved  saved %\n"
        "  hit        2,000       0  2,000,000       9,000         0  $0.000000  $3.000000  100.0 %\n"
        "  merged        50       0          0           0         2  $0.000000  $0.000450  100.0 %\n"
        "  miss       1,200       3  1,000,000       5,000         0  $1.500000  $0.000000    0.0 %\n"
        "  stale          1       0          0           0         0  $0.000000  $0.000000    0.0 %\n");
}

static void test_report_empty(void **state)
{
    (void)state;
    check_text(rm_report_table, rm_report_create(), "No requests in this time.\n");
    check_text(rm_report_json, rm_report_create(),
               "{\"since\":null,\"until\":null,\"requests\":0,\"errors\":0,\"input_tokens\":0,"
               "\"cached_input_tokens\":0,\"output_tokens\":0,\"unpriced\":0,\"cost_usd\":0,\"saved_usd\":0,"
               "\"by_reason\":[],\"by_model\":[],\"by_tenant\":[]}");
    rm_report_destroy(NULL);
}

/* More names than are kept apart; fields that fill their arrays. */
static void test_report_many(void **state)
{
    (void)state;
    rm_report *report = rm_report_create();
    for (unsigned i = 0; i < RM_LEDGER_ROWS_MAX + 10; i++) {
        rm_ledger_row row = {.hour = UINT64_MAX / 3600000, .reason = "miss", .requests = 1};
        memset(row.tenant, 'x', sizeof(row.tenant));
        snprintf(row.model, sizeof(row.model), "m%u", i);
        rm_report_add(report, &row);
    }
    rm_buf out;
    rm_buf_init(&out, 16 * RM_MIB);
    assert_int_equal(rm_report_json(report, &out), RM_OK);
    assert_non_null(rm_slice_find(rm_buf_slice(&out), RM_SLICE("{\"model\":\"other\",\"requests\":11,")));
    rm_buf_clear(&out);
    assert_int_equal(rm_report_table(report, &out), RM_OK);
    rm_buf_deinit(&out);
    rm_report_destroy(report);
}

#ifdef REMORA_FAULTS
static void test_report_memory(void **state)
{
    (void)state;
    static const rm_ledger_row row = {.tenant = "t", .model = "m", .reason = "miss", .requests = 1};
    rm_status status = RM_ENOMEM;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_buf out;
        rm_buf_init(&out, RM_MIB);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        rm_report *report = rm_report_create();
        if (report) {
            rm_report_add(report, &row);
            status = rm_report_json(report, &out);
            if (status == RM_OK) {
                rm_buf_clear(&out);
                status = rm_report_table(report, &out);
            }
            assert_true(status == RM_OK || status == RM_ENOMEM);
        }
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        rm_report_destroy(report);
        rm_buf_deinit(&out);
        assert_true(nth < 100);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_long_names),    cmocka_unit_test(test_cap),
        cmocka_unit_test(test_report_json), cmocka_unit_test(test_report_table),  cmocka_unit_test(test_report_empty),
        cmocka_unit_test(test_report_many),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_fault),       cmocka_unit_test(test_report_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
