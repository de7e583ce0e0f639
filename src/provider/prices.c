/* Prices by model name: a sorted table, the built-in one or one read from LiteLLM's cost map.
 *
 * A search costs a dozen comparisons at 5,000 models, which is less than hashing the name twice for the fallbacks
 * would be worth; and a sorted table can be a constant. Prices that rise with the length of the prompt
 * (…_above_200k_tokens), of other modalities and of other service tiers are not looked at. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "provider_internal.h"

/* ---- the map's fields -------------------------------------------------------------------------------------------- */

/* Leaves *field alone where the member is missing or null; false: unreadable. */
static bool read_number(const rm_json *model, const char *name, double *field)
{
    double number;
    const rm_json *value = rm_json_get(model, name);
    if (!rm_provider__given(value))
        return true;
    if (rm_json_typeof(value) == RM_JSON_STRING) {
        if (rm_parse_double(rm_slice_trim(rm_json_string(value)), &number) != RM_OK)
            return false;
    } else if (rm_json_typeof(value) == RM_JSON_NUMBER) {
        number = rm_json_double(value, -1);
    } else {
        return false;
    }
    if (!isfinite(number) || number < 0)
        return false;
    *field = number;
    return true;
}

static double half_unless(double batch, double price)
{
    return batch >= 0 || price < 0 ? batch : price / 2;
}

/* What is unreadable in the size of the context is no reason to know no price. */
static int64_t read_context(const rm_json *model)
{
    double tokens = -1;
    if (!read_number(model, "max_input_tokens", &tokens) || tokens < 0)
        (void)read_number(model, "max_tokens", &tokens);
    return tokens >= 0 && tokens < 1e15 ? (int64_t)tokens : -1;
}

static bool read_price(const rm_json *model, rm_price *ret_price)
{
    rm_price price = {-1, -1, -1, -1, -1, -1, -1};
    const struct {
        const char *name;
        double *field;
    } fields[] = {
        {"input_cost_per_token", &price.input},
        {"output_cost_per_token", &price.output},
        {"cache_read_input_token_cost", &price.cached_input},
        {"cache_creation_input_token_cost", &price.cache_write},
        {"input_cost_per_token_batches", &price.batch_input},
        {"output_cost_per_token_batches", &price.batch_output},
    };
    for (size_t i = 0; i < RM_COUNT(fields); i++)
        if (!read_number(model, fields[i].name, fields[i].field))
            return false;
    price.batch_input = half_unless(price.batch_input, price.input);
    price.batch_output = half_unless(price.batch_output, price.output);
    price.context_tokens = read_context(model);
    *ret_price = price;
    return true;
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

static int compare_names(rm_slice a, rm_slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_entries(const void *a, const void *b)
{
    return compare_names(((const rm_provider__price_entry *)a)->name, ((const rm_provider__price_entry *)b)->name);
}

static size_t names_bytes(const rm_json *root)
{
    size_t bytes = 0;
    for (rm_json_iter it = rm_json_iterate(root); rm_json_iter_next(&it);)
        bytes += it.key.len;
    return bytes;
}

static void fill(rm_prices *prices, const rm_json *root, size_t *ret_skipped)
{
    char *name = prices->names;
    for (rm_json_iter it = rm_json_iterate(root); rm_json_iter_next(&it);) {
        rm_price price;
        if (rm_provider__is(it.key, "sample_spec"))
            continue;
        if (rm_json_typeof(it.value) != RM_JSON_OBJECT || !read_price(it.value, &price)) {
            ++*ret_skipped;
            continue;
        }
        if (price.input < 0 && price.output < 0)
            continue; /* priced by image, second or page */
        memcpy(name, it.key.ptr, it.key.len);
        prices->own[prices->count++] = (rm_provider__price_entry){rm_slice_make(name, it.key.len), price};
        name += it.key.len;
    }
    qsort(prices->own, prices->count, sizeof(*prices->own), compare_entries);
}

static rm_status build(const rm_json *root, rm_prices **ret_prices, size_t *ret_skipped)
{
    size_t skipped = 0;
    if (rm_json_typeof(root) != RM_JSON_OBJECT)
        return RM_EPARSE;
    rm_prices *prices = rm_calloc(1, sizeof(*prices));
    if (!prices)
        return RM_ENOMEM;
    prices->own = rm_calloc(rm_json_count(root) + 1, sizeof(*prices->own));
    prices->names = rm_alloc(names_bytes(root) + 1);
    if (!prices->own || !prices->names) {
        rm_prices_destroy(prices);
        return RM_ENOMEM;
    }
    fill(prices, root, &skipped);
    prices->entries = prices->own;
    *ret_prices = prices;
    *ret_skipped = skipped;
    return RM_OK;
}

static rm_status read_file(const char *path, rm_buf *out)
{
    FILE *file = fopen(path, "rb");
    rm_status status = RM_OK;
    size_t got = 1;
    if (!file)
        return RM_EIO;
    while (status == RM_OK && got > 0) {
        status = rm_buf_reserve(out, 1);
        if (status != RM_OK)
            break;
        got = fread(out->ptr + out->len, 1, out->cap - out->len, file);
        out->len += got;
    }
    if (status == RM_OK && ferror(file))
        status = RM_EIO;
    fclose(file);
    return status;
}

rm_status rm_prices_load(const char *path, rm_prices **ret_prices, size_t *ret_skipped)
{
    rm_buf text;
    rm_arena arena;
    const rm_json *root;
    rm_buf_init(&text, RM_PRICE_MAP_BYTES_MAX + 1);
    rm_arena_init(&arena, NULL, 16 * RM_PRICE_MAP_BYTES_MAX);
    rm_status status = read_file(path, &text);
    if (status == RM_OK && text.len > RM_PRICE_MAP_BYTES_MAX)
        status = RM_ETOOBIG;
    if (status == RM_OK)
        status = rm_json_parse(&arena, rm_buf_slice(&text), &root);
    if (status == RM_OK)
        status = build(root, ret_prices, ret_skipped);
    rm_arena_deinit(&arena);
    rm_buf_deinit(&text);
    return status;
}

void rm_prices_destroy(rm_prices *prices)
{
    if (!prices)
        return;
    rm_free(prices->own);
    rm_free(prices->names);
    rm_free(prices);
}

const rm_prices *rm_prices_built_in(void)
{
    return &rm_provider__prices_built_in;
}

const char *rm_prices_built_in_date(void)
{
    return rm_provider__prices_built_in_date;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static const rm_price *find_exact(const rm_prices *prices, rm_slice name)
{
    size_t low = 0, high = prices->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare_names(name, prices->entries[mid].name);
        if (order == 0)
            return &prices->entries[mid].price;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static bool matches(rm_slice text, const char *pattern)
{
    for (size_t i = 0; i < text.len; i++) {
        bool digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        if (pattern[i] == '9' ? !digit : text.ptr[i] != pattern[i])
            return false;
    }
    return true;
}

/* The name without its date; empty: it has none. 9 stands for a digit. */
static rm_slice without_date(rm_slice name)
{
    static const char *const suffixes[] = {"-9999-99-99", "-99999999", "-latest"};
    for (size_t i = 0; i < RM_COUNT(suffixes); i++) {
        size_t len = strlen(suffixes[i]);
        if (name.len > len && matches(rm_slice_make(name.ptr + name.len - len, len), suffixes[i]))
            return rm_slice_make(name.ptr, name.len - len);
    }
    return RM_SLICE_NONE;
}

const rm_price *rm_prices_find(const rm_prices *prices, rm_slice model)
{
    rm_slice undated = without_date(model), names[4] = {model};
    size_t count = 1;
    const char *slash = model.len ? memchr(model.ptr, '/', model.len) : NULL;
    const char *last = model.len ? memrchr(model.ptr, '/', model.len) : NULL;
    const char *end = model.ptr + model.len;
    if (slash)
        names[count++] = rm_slice_make(slash + 1, (size_t)(end - slash - 1));
    if (slash != last)
        names[count++] = rm_slice_make(last + 1, (size_t)(end - last - 1));
    for (size_t i = 0; i < count; i++) {
        const rm_price *price = find_exact(prices, names[i]);
        if (price)
            return price;
    }
    for (size_t i = 0; undated.len && i < count; i++) {
        const rm_price *price = find_exact(prices, without_date(names[i]));
        if (price)
            return price;
    }
    return NULL;
}

static double price_or(double price, double otherwise)
{
    return price >= 0 ? price : otherwise;
}

double rm_price_cost(const rm_price *price, const rm_usage *usage)
{
    if (!price || price->input < 0 || usage->input_tokens < 0 || usage->output_tokens < 0)
        return -1;
    if (price->output < 0 && usage->output_tokens > 0)
        return -1;
    int64_t cached = usage->cached_input_tokens > 0 ? usage->cached_input_tokens : 0;
    int64_t written = usage->cache_write_tokens > 0 ? usage->cache_write_tokens : 0;
    cached = cached < usage->input_tokens ? cached : usage->input_tokens;
    written = written < usage->input_tokens - cached ? written : usage->input_tokens - cached;
    int64_t fresh = usage->input_tokens - cached - written;
    return (double)fresh * price->input + (double)cached * price_or(price->cached_input, price->input) +
           (double)written * price_or(price->cache_write, price->input) +
           (double)usage->output_tokens * price_or(price->output, 0);
}
