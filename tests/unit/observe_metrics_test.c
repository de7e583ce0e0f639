/* Counters, histograms and labelled series, seen through the text that a scrape gets. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/observe.h"

#define TEXT_MAX (64 * RM_MIB)
#define NOW_MS   1795403179123ULL

static rm_receipt receipt_of(rm_outcome outcome)
{
    return (rm_receipt){
        .id = RM_SLICE("id-1"),
        .method = RM_SLICE("POST"),
        .path = RM_SLICE("/v1/chat/completions"),
        .op = RM_OP_CHAT,
        .outcome = outcome,
        .reason = outcome == RM_OUTCOME_BYPASS ? RM_REASON_OFF : RM_REASON_MISS,
        .status = 200,
        .tenant = RM_SLICE("anonymous"),
        .model = RM_SLICE("m"),
        .requested_model = RM_SLICE("m"),
        .upstream = RM_SLICE("openai"),
        .usage = {100, 10, 0, 20, 0},
        .cost_usd = 0.25,
        .saved_usd = 0,
        .total_ns = 5000000,
        .first_byte_ns = 4000000,
        .upstream_ns = 4990000,
        .tries = 1,
    };
}

/* The scrape's text, NUL-terminated. */
static char *scrape(rm_observe *observe)
{
    rm_buf out;
    const rm_gauges gauges = {.connections = 3, .version = "1\"2\\3", .store = {.entries = 9, .failed = true}};
    rm_buf_init(&out, TEXT_MAX);
    assert_int_equal(rm_observe_prometheus(observe, &gauges, &out), RM_OK);
    assert_int_equal(rm_buf_append_char(&out, '\0'), RM_OK);
    return out.ptr;
}

static void check_has(const char *text, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at++) {
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return;
    }
    fail_msg("missing: %s", line);
}

static rm_observe *make(unsigned threads)
{
    rm_observe *observe = NULL;
    assert_int_equal(rm_observe_create("off", threads, &observe), RM_OK);
    return observe;
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(rm_reason_name(RM_REASON_DUPLICATE_KEY), "duplicate_key");
    assert_string_equal(rm_reason_name(RM_REASON_COUNT), "unknown");
    assert_string_equal(rm_outcome_name(RM_OUTCOME_MERGED), "MERGED");
    assert_string_equal(rm_outcome_name(RM_OUTCOME_BYPASS), "BYPASS");
    assert_string_equal(rm_outcome_name(RM_OUTCOME_COUNT), "UNKNOWN");
}

static void test_create_fails(void **state)
{
    (void)state;
    rm_observe *observe = NULL;
    assert_int_equal(rm_observe_create("off", 0, &observe), RM_EINVAL);
    assert_int_equal(rm_observe_create("off", RM_LOOPS_MAX + 1, &observe), RM_EINVAL);
    rm_observe_destroy(make(RM_LOOPS_MAX));
    assert_int_equal(rm_observe_create("/nonexistent/folder/log", 1, &observe), RM_EIO);
    assert_null(observe);
    rm_observe_destroy(NULL);
}

static void test_outcomes(void **state)
{
    (void)state;
    rm_observe *observe = make(2);
    for (int outcome = 0; outcome < RM_OUTCOME_COUNT; outcome++) {
        rm_receipt receipt = receipt_of((rm_outcome)outcome);
        if (outcome >= RM_OUTCOME_HIT) {
            receipt.cost_usd = 0;
            receipt.saved_usd = 0.5;
            receipt.upstream_ns = 0;
        }
        rm_observer_settle(rm_observe_thread(observe, 0), &receipt, NOW_MS);
        rm_observer_settle(rm_observe_thread(observe, 1), &receipt, NOW_MS);
    }
    char *text = scrape(observe);
    check_has(text, "remora_requests_total{op=\"chat\",outcome=\"hit\",status=\"2xx\"} 2");
    check_has(text, "remora_cache_hits_total{kind=\"exact\"} 4");
    check_has(text, "remora_cache_misses_total{kind=\"exact\"} 2");
    check_has(text, "remora_cache_bypasses_total{kind=\"exact\",reason=\"off\"} 2");
    check_has(text, "remora_merged_total 2");
    check_has(text, "remora_saved_usd_total{reason=\"hit\"} 1");
    check_has(text, "remora_saved_usd_total{reason=\"merged\"} 1");
    check_has(text, "remora_saved_usd_total{reason=\"miss\"} 0");
    check_has(text, "remora_cost_usd_total 1");
    check_has(text, "remora_request_seconds_bucket{outcome=\"miss\",le=\"0.005\"} 2");
    check_has(text, "remora_request_seconds_bucket{outcome=\"miss\",le=\"0.0025\"} 0");
    check_has(text, "remora_request_seconds_sum{outcome=\"miss\"} 0.01");
    check_has(text, "remora_added_seconds_bucket{outcome=\"miss\",le=\"0.00001\"} 2");
    check_has(text, "remora_added_seconds_count{outcome=\"merged\"} 0");
    check_has(text, "remora_upstream_seconds_count 4");
    check_has(text, "gen_ai_client_token_usage_sum{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\","
                    "gen_ai_request_model=\"m\",gen_ai_token_type=\"input\"} 400");
    check_has(text, "gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name=\"chat\","
                    "gen_ai_provider_name=\"openai\",gen_ai_request_model=\"m\"} 4");
    check_has(text, "remora_upstream_answers_total{upstream=\"openai\",status=\"2xx\"} 4");
    check_has(text, "remora_upstream_tries_total{upstream=\"openai\"} 4");
    check_has(text, "remora_connections 3");
    check_has(text, "remora_store_entries 9");
    check_has(text, "remora_store_failed 1");
    check_has(text, "remora_build_info{version=\"1\\\"2\\\\3\"} 1");
    rm_free(text);
    rm_observe_destroy(observe);
}

static void test_counters(void **state)
{
    (void)state;
    rm_observe *observe = make(2);
    for (int i = 0; i < RM_COUNTER_COUNT; i++)
        rm_observer_count(rm_observe_thread(observe, 1), (rm_counter)i, 2);
    for (int i = 0; i < RM_STAGE_COUNT; i++)
        rm_observer_fault(rm_observe_thread(observe, 0), (rm_stage)i);
    rm_receipt receipt = receipt_of(RM_OUTCOME_MISS);
    receipt.cost_usd = -1;
    receipt.status = 99;
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, NOW_MS);
    char *text = scrape(observe);
    check_has(text, "remora_connections_total 2");
    check_has(text, "remora_unpriced_total 3");
    check_has(text, "remora_faults_total{stage=\"decode\"} 1");
    check_has(text, "remora_faults_total{stage=\"log\"} 1");
    check_has(text, "remora_requests_total{op=\"chat\",outcome=\"miss\",status=\"other\"} 1");
    check_has(text, "remora_cost_usd_total 0");
    rm_free(text);
    rm_observe_destroy(observe);
}

/* What the flusher could not store is said too, on top of what the threads themselves lost. */
static void test_lost_ledger_rows(void **state)
{
    (void)state;
    rm_observe *observe = make(1);
    rm_observer_count(rm_observe_thread(observe, 0), RM_COUNTER_LEDGER_DROPPED, 1);
    rm_observer_fault(rm_observe_thread(observe, 0), RM_STAGE_LEDGER);
    rm_observe_lose_ledger(observe, 3);
    rm_observe_lose_ledger(observe, 4);
    char *text = scrape(observe);
    check_has(text, "remora_ledger_rows_dropped_total 8");
    check_has(text, "remora_faults_total{stage=\"ledger\"} 3");
    rm_free(text);
    rm_observe_destroy(observe);
}

/* ---- the format -------------------------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Copies the metric's name that begins here. */
static void name_at(const char *line, char name[128])
{
    size_t len = strcspn(line, "{ ");
    assert_true(len > 0 && len < 128);
    memcpy(name, line, len);
    name[len] = '\0';
    for (size_t i = 0; i < len; i++)
        assert_true(strchr("abcdefghijklmnopqrstuvwxyz_0123456789", name[i]));
}

/* A sample belongs to the family whose HELP and TYPE come right before; a histogram's buckets only grow and its last
 * one is its count. */
static void check_format(char *text)
{
    char family[128] = "", name[128], type[32] = "", previous[512] = "";
    unsigned long long below = 0, last_bucket = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (starts_with(line, "# HELP ")) {
            name_at(line + 7, name);
            assert_true(strlen(line) > 8 + strlen(name));
            assert_string_not_equal(name, family);
            strcpy(family, name);
            continue;
        }
        if (starts_with(line, "# TYPE ")) {
            name_at(line + 7, name);
            assert_string_equal(name, family);
            snprintf(type, sizeof(type), "%s", line + 8 + strlen(name));
            continue;
        }
        name_at(line, name);
        assert_true(starts_with(name, family));
        assert_string_not_equal(line, previous);
        snprintf(previous, sizeof(previous), "%s", line);
        const char *suffix = name + strlen(family), *value = strrchr(line, ' ') + 1;
        char *end;
        (void)strtod(value, &end);
        assert_int_equal(*end, '\0');
        assert_int_equal(strcmp(type, "histogram") == 0, suffix[0] != '\0');
        if (strcmp(suffix, "_bucket") == 0) {
            unsigned long long count = strtoull(value, NULL, 10);
            assert_true(count >= below);
            below = strstr(line, "le=\"+Inf\"") ? 0 : count;
            last_bucket = count;
        } else if (strcmp(suffix, "_count") == 0) {
            assert_true(strtoull(value, NULL, 10) == last_bucket);
        }
        if (strcmp(type, "counter") == 0)
            assert_string_equal(family + strlen(family) - 6, "_total");
    }
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No family twice and no sample twice. */
static void check_unique(char *text)
{
    static char *lines[100000];
    size_t count = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] != '#')
            *strrchr(line, ' ') = '\0';
        assert_true(count < RM_COUNT(lines));
        lines[count++] = line;
    }
    qsort(lines, count, sizeof(lines[0]), compare_text);
    for (size_t i = 1; i < count; i++)
        assert_string_not_equal(lines[i - 1], lines[i]);
}

static void test_format(void **state)
{
    (void)state;
    rm_observe *observe = make(3);
    static const char *const models[] = {"plain", "quote\"back\\slash", "new\nline", "bad\xff", "\xc3\xa9"};
    for (unsigned i = 0; i < 60; i++) {
        rm_receipt receipt = receipt_of((rm_outcome)(i % RM_OUTCOME_COUNT));
        receipt.op = (rm_op)(i % RM_OP_COUNT);
        receipt.requested_model = rm_slice_cstr(models[i % 5]);
        receipt.upstream = i % 2 ? RM_SLICE("one") : RM_SLICE("two");
        receipt.status = 100 + (int)(i % 6) * 100;
        receipt.total_ns = (uint64_t)i * i * i * 1000003;
        rm_observer_settle(rm_observe_thread(observe, i % 3), &receipt, NOW_MS);
    }
    char *text = scrape(observe);
    assert_non_null(strstr(text, "quote\\\"back\\\\slash"));
    assert_non_null(strstr(text, "new?line"));
    assert_non_null(strstr(text, "bad\xef\xbf\xbd"));
    check_format(text);
    rm_free(text);
    text = scrape(observe);
    check_unique(text);
    rm_free(text);
    rm_observe_destroy(observe);
}

static void test_series_cap(void **state)
{
    (void)state;
    rm_observe *observe = make(1);
    for (unsigned i = 0; i < RM_METRIC_SERIES_MAX + 100; i++) {
        char name[32];
        rm_receipt receipt = receipt_of(RM_OUTCOME_MISS);
        snprintf(name, sizeof(name), "model-%u", i);
        receipt.requested_model = rm_slice_cstr(name);
        snprintf(name, sizeof(name), "model-%u", i);
        rm_observer_settle(rm_observe_thread(observe, 0), &receipt, NOW_MS);
    }
    char *text = scrape(observe);
    check_has(text, "gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name=\"other\","
                    "gen_ai_provider_name=\"other\",gen_ai_request_model=\"other\"} 101");
    assert_non_null(strstr(text, "\"model-510\""));
    assert_null(strstr(text, "\"model-511\""));
    rm_free(text);
    rm_observe_destroy(observe);
}

/* Refused names make no series. */
static void test_refused_names(void **state)
{
    (void)state;
    rm_observe *observe = make(1);
    rm_receipt receipt = receipt_of(RM_OUTCOME_MISS);
    receipt.requested_model = RM_SLICE("made-up");
    receipt.status = 404;
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, NOW_MS);
    char *text = scrape(observe);
    assert_null(strstr(text, "made-up"));
    check_has(text, "remora_upstream_answers_total{upstream=\"openai\",status=\"4xx\"} 1");
    rm_free(text);
    rm_observe_destroy(observe);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void *settle_many(void *user)
{
    for (unsigned i = 0; i < 2000; i++) {
        char name[32];
        rm_receipt receipt = receipt_of((rm_outcome)(i % RM_OUTCOME_COUNT));
        snprintf(name, sizeof(name), "model-%u", i % 40);
        receipt.requested_model = rm_slice_cstr(name);
        rm_observer_settle(user, &receipt, NOW_MS);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    rm_observe *observe = make(THREADS);
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, settle_many, rm_observe_thread(observe, i)), 0);
    size_t requests = 0, count;
    rm_ledger_row *rows;
    for (int i = 0; i < 20; i++) {
        rm_free(scrape(observe));
        assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_OK);
        for (size_t r = 0; r < count; r++)
            requests += rows[r].requests;
        rm_free(rows);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_OK);
    for (size_t r = 0; r < count; r++)
        requests += rows[r].requests;
    rm_free(rows);
    assert_int_equal(requests, THREADS * 2000);
    char *text = scrape(observe);
    check_has(text, "remora_cache_misses_total{kind=\"exact\"} 1600");
    rm_free(text);
    rm_observe_destroy(observe);
}

#ifdef REMORA_FAULTS
static void test_memory(void **state)
{
    (void)state;
    rm_status status = RM_ENOMEM;
    rm_observe *observe = NULL;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = rm_observe_create("off", 2, &observe);
        assert_true(status == RM_OK || status == RM_ENOMEM);
    }
    rm_fault_set(RM_FAULT_ALLOC, 1, false);
    rm_receipt receipt = receipt_of(RM_OUTCOME_MISS);
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, NOW_MS);
    rm_ledger_row *rows;
    size_t count;
    rm_buf out;
    rm_buf_init(&out, TEXT_MAX);
    assert_int_equal(rm_observe_take_ledger(observe, &rows, &count), RM_ENOMEM);
    assert_int_equal(rm_observe_prometheus(observe, NULL, &out), RM_ENOMEM);
    status = RM_ENOMEM;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_buf_clear(&out);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = rm_observe_prometheus(observe, NULL, &out);
    }
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    rm_buf_deinit(&out);
    char *text = scrape(observe);
    check_has(text, "remora_ledger_rows_dropped_total 1");
    check_has(text, "remora_faults_total{stage=\"ledger\"} 1");
    check_has(text, "remora_faults_total{stage=\"settle\"} 1");
    check_has(text, "remora_cache_misses_total{kind=\"exact\"} 1");
    rm_free(text);
    rm_observe_destroy(observe);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_create_fails),     cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_counters),   cmocka_unit_test(test_lost_ledger_rows), cmocka_unit_test(test_format),
        cmocka_unit_test(test_series_cap), cmocka_unit_test(test_refused_names),    cmocka_unit_test(test_threads),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
