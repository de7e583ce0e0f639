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

/* The order that billing counts on. */
static void test_built_in_rules(void **state)
{
    (void)state;
    const rm_prices *prices = rm_prices_built_in();
    size_t ruled = 0;
    for (size_t i = 0; i < prices->count; i++) {
        const rm_price *price = &prices->entries[i].price;
        ruled += price->rule_count > 0;
        for (size_t k = 0; k < price->rule_count; k++) {
            const rm_provider__price_rule *rule = &price->rules[k];
            assert_true(rule->above_tokens >= 0 || rule->tier != RM_TIER_STANDARD);
            assert_true(rule->usd[RM_PRICE_INPUT] > 0 && rule->usd[RM_PRICE_OUTPUT] > 0);
            if (k > 0)
                assert_true(rule[-1].above_tokens < rule->above_tokens ||
                            (rule[-1].above_tokens == rule->above_tokens && rule[-1].tier < rule->tier));
        }
    }
    assert_true(ruled >= 25);
    const rm_price *price = find(prices, "gpt-4.1-mini-2025-04-14");
    rm_usage usage = {.input_tokens = 1000000, .cached_input_tokens = 400000, .output_tokens = 1000000};
    assert_usd(rm_price_cost(price, &usage, RM_SLICE("default")), 0.6 * 0.4 + 0.4 * 0.1 + 1.6);
    assert_usd(rm_price_cost(price, &usage, RM_SLICE("priority")), 0.6 * 0.7 + 0.4 * 0.175 + 2.8);
    assert_usd(rm_price_cost(price, &usage, RM_SLICE("flex")), 0.6 * 0.4 + 0.4 * 0.1 + 1.6);
}

static double cost(const rm_prices *prices, const char *model, const char *tier, rm_usage usage)
{
    return rm_price_cost(find(prices, model), &usage, rm_slice_cstr(tier));
}

/* Prices in whole dollars, so that a sum shows which were taken: of the tier, else the standard one, each by itself. */
static void test_tiers(void **state)
{
    (void)state;
    rm_prices *prices;
    size_t skipped;
    assert_int_equal(
        load(
            "{\"m\":{\"input_cost_per_token\":1000,\"cache_read_input_token_cost\":100,"
            "\"cache_creation_input_token_cost\":2000,\"output_cost_per_token\":5000,"
            "\"input_cost_per_token_flex\":10,\"cache_read_input_token_cost_flex\":\"1\","
            "\"cache_creation_input_token_cost_flex\":20,\"output_cost_per_token_flex\":50,"
            "\"input_cost_per_token_priority\":3000,\"cache_read_input_token_cost_priority\":null,"
            "\"output_cost_per_token_balanced\":7,\"input_cost_per_token_ultrafast\":9000,"
            "\"input_cost_per_token_fast\":4,\"input_cost_per_token_scale\":4,\"input_cost_per_token_\":4,"
            "\"input_cost_per_tokens_flex\":4,\"input_cost_per_token_flex_flex\":4},"
            "\"uncached\":{\"input_cost_per_token\":1000,\"output_cost_per_token\":0,\"input_cost_per_token_flex\":10},"
            "\"plain\":{\"input_cost_per_token\":1000,\"output_cost_per_token\":5000},"
            "\"flexible\":{\"output_cost_per_token\":5000,\"input_cost_per_token_flex\":10},"
            "\"free\":{\"input_cost_per_token\":1000,\"output_cost_per_token\":1,\"input_cost_per_token_flex\":0},"
            "\"bad\":{\"input_cost_per_token\":1,\"output_cost_per_token_flex\":\"half\"},"
            "\"negative\":{\"input_cost_per_token\":1,\"output_cost_per_token_flex\":-1}}",
            &prices, &skipped),
        RM_OK);
    assert_int_equal(skipped, 2);
    static const struct {
        const char *model, *tier;
        double usd; /* of 1 fresh, 2 cached, 3 written, 4 out */
    } rows[] = {
        {"m", NULL, 1000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "", 1000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "default", 1000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "standard", 1000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "auto", 1000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "scale", 1000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "batch", 1000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "flexible", 1000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "flex", 10 + 2 * 1 + 3 * 20 + 4 * 50},
        {"m", "FLEX", 10 + 2 * 1 + 3 * 20 + 4 * 50},
        {"m", "priority", 3000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "fast", 3000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"m", "balanced", 1000 + 2 * 100 + 3 * 2000 + 4 * 7},
        {"m", "ultrafast", 9000 + 2 * 100 + 3 * 2000 + 4 * 5000},
        {"uncached", "flex", 6 * 10},
        {"uncached", NULL, 6 * 1000},
        {"plain", "flex", 6 * 1000 + 4 * 5000},
        {"flexible", "flex", 6 * 10 + 4 * 5000},
        {"flexible", NULL, -1},
        {"free", "flex", 4},
    };
    const rm_usage usage = {.input_tokens = 6, .cached_input_tokens = 2, .cache_write_tokens = 3, .output_tokens = 4};
    for (size_t i = 0; i < RM_COUNT(rows); i++)
        assert_usd(cost(prices, rows[i].model, rows[i].tier, usage), rows[i].usd);
    rm_prices_destroy(prices);
}

static void test_lengths(void **state)
{
    (void)state;
    rm_prices *prices;
    size_t skipped;
    assert_int_equal(
        load("{\"m\":{\"output_cost_per_token_above_200k_tokens\":70,\"input_cost_per_token_above_200k_tokens\":2,"
             "\"input_cost_per_token\":1,\"cache_read_input_token_cost\":0.5,\"cache_creation_input_token_cost\":3,"
             "\"output_cost_per_token\":50,\"input_cost_per_token_flex\":0.25,\"output_cost_per_token_flex\":25,"
             "\"input_cost_per_token_above_200k_tokens_flex\":0.75,\"input_cost_per_token_above_400000_tokens\":4,"
             "\"output_cost_per_token_above_400k_tokens_priority\":90,"
             "\"cache_creation_input_token_cost_above_200k_tokens\":6,"
             "\"cache_read_input_token_cost_above_200k_tokens\":null,"
             "\"cache_creation_input_token_cost_above_1hr\":1000,"
             "\"cache_creation_input_token_cost_above_1hr_above_200k_tokens\":1000,"
             "\"input_cost_per_token_above_200k_tokens_batches\":1000,\"input_cost_per_token_above_k_tokens\":1000,"
             "\"input_cost_per_token_above_1_\":1000,\"input_cost_per_token_above_1k\":1000,"
             "\"input_cost_per_token_above_-1_tokens\":1000,"
             "\"input_cost_per_token_above_99999999999999999999_tokens\":1000,"
             "\"input_cost_per_token_above_1k_tokensX\":1000},"
             "\"x\":{\"litellm_provider\":\"xai\",\"input_cost_per_token\":1,\"output_cost_per_token\":50,"
             "\"input_cost_per_token_above_200k_tokens\":2},"
             "\"zero\":{\"input_cost_per_token\":1,\"output_cost_per_token\":50,"
             "\"output_cost_per_token_above_0_tokens\":70}}",
             &prices, &skipped),
        RM_OK);
    assert_int_equal(skipped, 0);
    static const struct {
        const char *model, *tier;
        int64_t input, cached, written;
        double usd; /* with 1 out */
    } rows[] = {
        {"m", NULL, 200000, 0, 0, 200000 * 1 + 50},
        {"m", NULL, 200001, 0, 0, 200001 * 2 + 70},
        {"m", NULL, 400000, 0, 0, 400000 * 2 + 70},
        {"m", NULL, 400001, 0, 0, 400001 * 4.0 + 70},
        /* what was read from the cache counts to the length; it has no price of its own above it */
        {"m", NULL, 200001, 200000, 1, 200000 * 0.5 + 6 + 70},
        {"m", NULL, 200000, 199999, 1, 199999 * 0.5 + 3 + 50},
        {"m", "flex", 200000, 0, 0, 200000 * 0.25 + 25},
        {"m", "flex", 200001, 0, 0, 200001 * 0.75 + 70},
        {"m", "flex", 400001, 0, 0, 400001 * 4.0 + 70},
        {"m", "priority", 400000, 0, 0, 400000 * 2 + 70},
        {"m", "priority", 400001, 0, 0, 400001 * 4.0 + 90},
        {"x", NULL, 199999, 0, 0, 199999 * 1 + 50},
        {"x", NULL, 200000, 0, 0, 200000 * 2 + 50},
        {"zero", NULL, 0, 0, 0, 50},
        {"zero", NULL, 1, 0, 0, 1 + 70},
    };
    for (size_t i = 0; i < RM_COUNT(rows); i++)
        assert_usd(cost(prices, rows[i].model, rows[i].tier,
                        (rm_usage){.input_tokens = rows[i].input,
                                   .cached_input_tokens = rows[i].cached,
                                   .cache_write_tokens = rows[i].written,
                                   .output_tokens = 1}),
                   rows[i].usd);
    rm_prices_destroy(prices);
}

static void test_costs(void **state)
{
    (void)state;
    rm_price price = {.input = 10, .cached_input = 1, .cache_write = 12.5, .output = 50};
    rm_usage usage = {.input_tokens = 100, .cached_input_tokens = 60, .cache_write_tokens = 10, .output_tokens = 2};
    assert_usd(rm_price_cost(&price, &usage, RM_SLICE_NONE), 30 * 10 + 60 * 1 + 10 * 12.5 + 2 * 50);
    price.cached_input = price.cache_write = -1;
    assert_usd(rm_price_cost(&price, &usage, RM_SLICE_NONE), 100 * 10 + 2 * 50);
    /* more cached than there is */
    usage = (rm_usage){.input_tokens = 5, .cached_input_tokens = 60, .cache_write_tokens = 10, .output_tokens = 0};
    price.cached_input = 1;
    assert_usd(rm_price_cost(&price, &usage, RM_SLICE_NONE), 5);
    /* an embedding has no output and needs no price for it */
    price.output = -1;
    usage = (rm_usage){.input_tokens = 5};
    assert_usd(rm_price_cost(&price, &usage, RM_SLICE_NONE), 50);
    usage.output_tokens = 1;
    assert_true(rm_price_cost(&price, &usage, RM_SLICE_NONE) < 0);
    usage = RM_USAGE_UNKNOWN;
    assert_true(rm_price_cost(&price, &usage, RM_SLICE_NONE) < 0);
    assert_true(rm_price_cost(NULL, &usage, RM_SLICE("flex")) < 0);
    price.input = -1;
    usage = (rm_usage){.input_tokens = 5};
    assert_true(rm_price_cost(&price, &usage, RM_SLICE_NONE) < 0);
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
        rm_status status =
            load("{\"a\":{\"input_cost_per_token\":1,\"input_cost_per_token_flex\":1}}", &prices, &skipped);
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
        cmocka_unit_test(test_map),       cmocka_unit_test(test_bad_files),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_built_in),  cmocka_unit_test(test_built_in_rules), cmocka_unit_test(test_costs),
        cmocka_unit_test(test_tiers),     cmocka_unit_test(test_lengths),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
