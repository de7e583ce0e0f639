/* Prices: the cost map, names and their fallbacks, costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "provider_internal.h"

static char path[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/remora-prices-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static rm_status load(const char *text, rm_prices **ret_prices, size_t *ret_skipped)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(text, 1, strlen(text), file);
    fclose(file);
    return rm_prices_load(path, ret_prices, ret_skipped);
}

static const rm_price *find(const rm_prices *prices, const char *model)
{
    return rm_prices_find(prices, rm_slice_cstr(model));
}

static void assert_usd(double got, double expected)
{
    if (!(got >= expected - 1e-12 && got <= expected + 1e-12))
        fail_msg("%.15g is not %.15g", got, expected);
}

static void test_map(void **state)
{
    (void)state;
    rm_prices *prices;
    size_t skipped = 99;
    assert_int_equal(
        load("{\"sample_spec\":{\"input_cost_per_token\":\"a price\"},"
             "\"full\":{\"input_cost_per_token\":1e-6,\"output_cost_per_token\":\"2e-06\",\"cache_read_input_token_"
             "cost\":1e-7,"
             "\"cache_creation_input_token_cost\":1.25e-6,\"input_cost_per_token_batches\":4e-7,\"max_input_tokens\":"
             "1000,"
             "\"input_cost_per_token_above_200k_tokens\":9},"
             "\"plain\":{\"input_cost_per_token\":1e-6,\"output_cost_per_token\":null,\"max_tokens\":\"8192\"},"
             "\"free\":{\"input_cost_per_token\":0,\"output_cost_per_token\":0.0,\"max_input_tokens\":\"many\"},"
             "\"image\":{\"output_cost_per_image\":0.04},"
             "\"bad1\":{\"input_cost_per_token\":\"cheap\"},\"bad2\":{\"input_cost_per_token\":-1},\"bad3\":7,"
             "\"bad4\":{\"input_cost_per_token\":{}},\"bad5\":{\"input_cost_per_token\":1,\"output_cost_per_token\":"
             "true}}",
             &prices, &skipped),
        RM_OK);
    assert_int_equal(skipped, 5);
    const rm_price *price = find(prices, "full");
    assert_non_null(price);
    assert_usd(price->input, 1e-6);
    assert_usd(price->output, 2e-6);
    assert_usd(price->cached_input, 1e-7);
    assert_usd(price->cache_write, 1.25e-6);
    assert_usd(price->batch_input, 4e-7);
    assert_usd(price->batch_output, 1e-6);
    assert_int_equal(price->context_tokens, 1000);
    price = find(prices, "plain");
    assert_non_null(price);
    assert_true(price->output < 0 && price->batch_output < 0 && price->cached_input < 0);
    assert_usd(price->batch_input, 5e-7);
    assert_int_equal(price->context_tokens, 8192);
    price = find(prices, "free");
    assert_non_null(price);
    assert_int_equal(price->context_tokens, -1);
    static const char *const absent[] = {"image", "bad1",        "bad2", "bad3", "bad4",
                                         "bad5",  "sample_spec", "",     "ful",  "full2"};
    for (size_t i = 0; i < RM_COUNT(absent); i++)
        assert_null(find(prices, absent[i]));
    rm_prices_destroy(prices);
    rm_prices_destroy(NULL);
}

static void test_bad_files(void **state)
{
    (void)state;
    rm_prices *prices = NULL;
    size_t skipped = 99;
    assert_int_equal(load("", &prices, &skipped), RM_EPARSE);
    assert_int_equal(load("[]", &prices, &skipped), RM_EPARSE);
    assert_int_equal(load("{\"a\":", &prices, &skipped), RM_EPARSE);
    assert_int_equal(rm_prices_load("/nonexistent/prices.json", &prices, &skipped), RM_EIO);
    assert_int_equal(rm_prices_load("/", &prices, &skipped), RM_EIO);
    assert_int_equal(truncate(path, (off_t)RM_PRICE_MAP_BYTES_MAX + 1), 0);
    assert_int_equal(rm_prices_load(path, &prices, &skipped), RM_ETOOBIG);
    assert_int_equal(truncate(path, (off_t)RM_PRICE_MAP_BYTES_MAX), 0);
    assert_int_equal(rm_prices_load(path, &prices, &skipped), RM_EPARSE);
    assert_null(prices);
    assert_int_equal(skipped, 99);
    assert_int_equal(load("{}", &prices, &skipped), RM_OK);
    assert_null(find(prices, "gpt-4o"));
    assert_int_equal(skipped, 0);
    rm_prices_destroy(prices);
}

static void test_names(void **state)
{
    (void)state;
    rm_prices *prices;
    size_t skipped;
    assert_int_equal(load("{\"m\":{\"input_cost_per_token\":1},\"m-2025-01-01\":{\"input_cost_per_token\":2},"
                          "\"azure/m\":{\"input_cost_per_token\":3},\"a/b/m\":{\"input_cost_per_token\":4},"
                          "\"openai/only\":{\"input_cost_per_token\":5}}",
                          &prices, &skipped),
                     RM_OK);
    static const struct {
        const char *name;
        double input; /* 0: unknown */
    } rows[] = {
        {"m", 1},
        {"m-2025-01-01", 2},
        {"m-2025-04-14", 1},
        {"m-20250929", 1},
        {"m-latest", 1},
        {"openai/m", 1},
        {"azure/m", 3},
        {"a/b/m", 4},
        {"x/y/m", 1},
        {"openai/m-2025-04-14", 1},
        {"azure/m-latest", 3},
        {"x/m-2025-01-01", 2},
        {"only", 0},
        {"openai/only", 5},
        {"m-2025-4-14", 0},
        {"m-202509291", 0},
        {"m-2025092x", 0},
        {"-latest", 0},
        {"/", 0},
        {"m/", 0},
        {"M", 0},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        const rm_price *price = find(prices, rows[i].name);
        if ((price ? price->input : 0) != rows[i].input)
            fail_msg("%s", rows[i].name);
    }
    assert_null(rm_prices_find(prices, RM_SLICE_NONE));
    rm_prices_destroy(prices);
}

static void test_built_in(void **state)
{
    (void)state;
    const rm_prices *prices = rm_prices_built_in();
    assert_true(prices->count >= 40);
    for (size_t i = 0; i < prices->count; i++) {
        const rm_price *price = find(prices, prices->entries[i].name.ptr);
        assert_ptr_equal(price, &prices->entries[i].price);
        assert_true(price->input > 0 && price->output >= 0 && price->batch_input > 0 && price->context_tokens > 0);
    }
    const rm_price *price = find(prices, "openai/gpt-4.1-mini-2025-04-14");
    assert_non_null(price);
    assert_usd(price->input, 0.4e-6);
    assert_usd(price->cached_input, 0.1e-6);
    assert_usd(price->output, 1.6e-6);
    assert_int_equal(strlen(rm_prices_built_in_date()), 10);
}

static void test_costs(void **state)
{
    (void)state;
    rm_price price = {.input = 10, .cached_input = 1, .cache_write = 12.5, .output = 50};
    rm_usage usage = {.input_tokens = 100, .cached_input_tokens = 60, .cache_write_tokens = 10, .output_tokens = 2};
    assert_usd(rm_price_cost(&price, &usage), 30 * 10 + 60 * 1 + 10 * 12.5 + 2 * 50);
    price.cached_input = price.cache_write = -1;
    assert_usd(rm_price_cost(&price, &usage), 100 * 10 + 2 * 50);
    /* more cached than there is */
    usage = (rm_usage){.input_tokens = 5, .cached_input_tokens = 60, .cache_write_tokens = 10, .output_tokens = 0};
    price.cached_input = 1;
    assert_usd(rm_price_cost(&price, &usage), 5);
    /* an embedding has no output and needs no price for it */
    price.output = -1;
    usage = (rm_usage){.input_tokens = 5};
    assert_usd(rm_price_cost(&price, &usage), 50);
    usage.output_tokens = 1;
    assert_true(rm_price_cost(&price, &usage) < 0);
    usage = RM_USAGE_UNKNOWN;
    assert_true(rm_price_cost(&price, &usage) < 0);
    assert_true(rm_price_cost(NULL, &usage) < 0);
    price.input = -1;
    usage = (rm_usage){.input_tokens = 5};
    assert_true(rm_price_cost(&price, &usage) < 0);
}

#ifdef REMORA_FAULTS
static void test_no_memory(void **state)
{
    (void)state;
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        rm_prices *prices = NULL;
        size_t skipped;
        assert_true(nth < 100);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        rm_status status = load("{\"a\":{\"input_cost_per_token\":1}}", &prices, &skipped);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || status == RM_ENOMEM);
        assert_int_equal(status == RM_OK, prices != NULL);
        done = status == RM_OK;
        rm_prices_destroy(prices);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),       cmocka_unit_test(test_bad_files), cmocka_unit_test(test_names),
        cmocka_unit_test(test_built_in),  cmocka_unit_test(test_costs),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
