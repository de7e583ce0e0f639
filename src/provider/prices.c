/* Prices by model name: a sorted table, the built-in one or one read from LiteLLM's cost map.
 *
 * A search costs a dozen comparisons at 5,000 models, which is less than hashing the name twice for the fallbacks
 * would be worth; and a sorted table can be a constant.
 *
 * The map tells a price by <kind>[_above_<length>_tokens][_<tier>]. The plain ones are the rm_price itself, the others its
 * rules, sorted so that to put those that hold one over the other, in order, gives what LiteLLM bills: of one kind, at
 * the greatest length exceeded that has any, the tier's own price, else the standard one there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "provider_internal.h"

/* A prompt's length that no price goes by; keeps the arithmetic in range. */
#define RM_PRICE_LENGTH_MAX 1000000000000ULL

/* ---- the map's fields -------------------------------------------------------------------------------------------- */

/* Leaves *field alone where there is no value or null; false: unreadable. */
static bool read_number(const rm_json *value, double *field)
{
    double number;
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
    if (!read_number(rm_json_get(model, "max_input_tokens"), &tokens) || tokens < 0)
        (void)read_number(rm_json_get(model, "max_tokens"), &tokens);
    return tokens >= 0 && tokens < 1e15 ? (int64_t)tokens : -1;
}

static const char *const kinds[RM_PRICE_KINDS] = {
    [RM_PRICE_INPUT] = "input_cost_per_token",
    [RM_PRICE_CACHED_INPUT] = "cache_read_input_token_cost",
    [RM_PRICE_CACHE_WRITE] = "cache_creation_input_token_cost",
    [RM_PRICE_OUTPUT] = "output_cost_per_token",
};

static bool read_price(const rm_json *model, rm_price *ret_price)
{
    rm_price price = {-1, -1, -1, -1, -1, -1, -1, NULL, 0};
    const struct {
        const char *name;
        double *field;
    } fields[] = {
        {kinds[RM_PRICE_INPUT], &price.input},
        {kinds[RM_PRICE_CACHED_INPUT], &price.cached_input},
        {kinds[RM_PRICE_CACHE_WRITE], &price.cache_write},
        {kinds[RM_PRICE_OUTPUT], &price.output},
        {"input_cost_per_token_batches", &price.batch_input},
        {"output_cost_per_token_batches", &price.batch_output},
    };
    for (size_t i = 0; i < RM_COUNT(fields); i++)
        if (!read_number(rm_json_get(model, fields[i].name), fields[i].field))
            return false;
    price.batch_input = half_unless(price.batch_input, price.input);
    price.batch_output = half_unless(price.batch_output, price.output);
    price.context_tokens = read_context(model);
    *ret_price = price;
    return true;
}

/* ---- rules ------------------------------------------------------------------------------------------------------- */

/* The tiers by the names that answers give them, and the map's fields: LiteLLM has no prices for "fast" and takes those
 * of "priority". Any other tier costs the standard price. */
static const struct {
    const char *name;
    rm_provider__price_tier tier;
    bool in_map;
} tiers[] = {{"flex", RM_TIER_FLEX, true},
             {"balanced", RM_TIER_BALANCED, true},
             {"priority", RM_TIER_PRIORITY, true},
             {"fast", RM_TIER_PRIORITY, false},
             {"ultrafast", RM_TIER_ULTRAFAST, true}};

static rm_provider__price_tier tier_of(rm_slice name)
{
    for (size_t i = 0; i < RM_COUNT(tiers); i++)
        if (rm_slice_eq_nocase(name, rm_slice_cstr(tiers[i].name)))
            return tiers[i].tier;
    return RM_TIER_STANDARD;
}

static bool cut(rm_slice *text, const char *prefix)
{
    rm_slice head = rm_slice_cstr(prefix);
    if (!rm_slice_has_prefix(*text, head))
        return false;
    *text = rm_slice_make(text->ptr + head.len, text->len - head.len);
    return true;
}

/* "128k_tokens" or "128000_tokens". */
static bool cut_length(rm_slice *text, int64_t *ret_tokens)
{
    uint64_t tokens;
    size_t digits = 0;
    while (digits < text->len && text->ptr[digits] >= '0' && text->ptr[digits] <= '9')
        digits++;
    if (rm_parse_u64(rm_slice_make(text->ptr, digits), &tokens) != RM_OK || tokens > RM_PRICE_LENGTH_MAX)
        return false;
    *text = rm_slice_make(text->ptr + digits, text->len - digits);
    if (cut(text, "k"))
        tokens *= 1000;
    *ret_tokens = (int64_t)tokens;
    return cut(text, "_tokens");
}

/* True for what names a price by tier or length; *ret_rule has it then, without any price. */
static bool read_rule_name(rm_slice key, rm_provider__price_rule *ret_rule, size_t *ret_kind)
{
    rm_provider__price_rule rule = {-1, RM_TIER_STANDARD, {-1, -1, -1, -1}};
    size_t kind = 0;
    while (kind < RM_PRICE_KINDS && !cut(&key, kinds[kind]))
        kind++;
    if (kind == RM_PRICE_KINDS || (cut(&key, "_above_") && !cut_length(&key, &rule.above_tokens)))
        return false;
    if (cut(&key, "_")) {
        for (size_t i = 0; i < RM_COUNT(tiers); i++)
            if (tiers[i].in_map && rm_provider__is(key, tiers[i].name))
                rule.tier = tiers[i].tier;
        if (rule.tier == RM_TIER_STANDARD)
            return false;
    } else if (key.len || rule.above_tokens < 0) {
        return false;
    }
    *ret_rule = rule;
    *ret_kind = kind;
    return true;
}

static int compare_rules(const void *a, const void *b)
{
    const rm_provider__price_rule *x = a, *y = b;
    if (x->above_tokens != y->above_tokens)
        return x->above_tokens < y->above_tokens ? -1 : 1;
    return (x->tier > y->tier) - (x->tier < y->tier);
}

/* Rules of one length and tier become one. */
static size_t join_rules(rm_provider__price_rule *rules, size_t count)
{
    size_t joined = 0;
    for (size_t i = 0; i < count; i++) {
        if (!joined || compare_rules(&rules[joined - 1], &rules[i]) != 0) {
            rules[joined++] = rules[i];
            continue;
        }
        for (size_t kind = 0; kind < RM_PRICE_KINDS; kind++)
            if (rules[i].usd[kind] >= 0)
                rules[joined - 1].usd[kind] = rules[i].usd[kind];
    }
    return joined;
}

/* `rules` has room for all that the model names. */
static bool read_rules(const rm_json *model, rm_provider__price_rule *rules, rm_price *price)
{
    /* LiteLLM lets xAI's longer prompts begin at the length itself */
    bool from = rm_provider__is(rm_json_string(rm_json_get(model, "litellm_provider")), "xai");
    size_t count = 0, kind;
    for (rm_json_iter it = rm_json_iterate(model); rm_json_iter_next(&it);) {
        rm_provider__price_rule *rule = &rules[count];
        if (!rm_provider__given(it.value) || !read_rule_name(it.key, rule, &kind))
            continue;
        if (!read_number(it.value, &rule->usd[kind]))
            return false;
        if (from && rule->above_tokens >= 0)
            rule->above_tokens--;
        count++;
    }
    qsort(rules, count, sizeof(*rules), compare_rules);
    price->rules = rules;
    price->rule_count = join_rules(rules, count);
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

/* What all the models' names and rules take at most. */
static void measure(const rm_json *root, size_t *ret_names_bytes, size_t *ret_rules)
{
    rm_provider__price_rule rule;
    size_t bytes = 0, rules = 0, kind;
    for (rm_json_iter it = rm_json_iterate(root); rm_json_iter_next(&it);) {
        bytes += it.key.len;
        for (rm_json_iter field = rm_json_iterate(it.value); rm_json_iter_next(&field);)
            rules += read_rule_name(field.key, &rule, &kind);
    }
    *ret_names_bytes = bytes;
    *ret_rules = rules;
}

static void fill(rm_prices *prices, const rm_json *root, size_t *ret_skipped)
{
    char *name = prices->names;
    rm_provider__price_rule *rules = prices->rules;
    for (rm_json_iter it = rm_json_iterate(root); rm_json_iter_next(&it);) {
        rm_price price;
        if (rm_provider__is(it.key, "sample_spec"))
            continue;
        if (rm_json_typeof(it.value) != RM_JSON_OBJECT || !read_price(it.value, &price) ||
            !read_rules(it.value, rules, &price)) {
            ++*ret_skipped;
            continue;
        }
        if (price.input < 0 && price.output < 0)
            continue; /* priced by image, second or page */
        memcpy(name, it.key.ptr, it.key.len);
        prices->own[prices->count++] = (rm_provider__price_entry){rm_slice_make(name, it.key.len), price};
        name += it.key.len;
        rules += price.rule_count;
    }
    qsort(prices->own, prices->count, sizeof(*prices->own), compare_entries);
}

static rm_status build(const rm_json *root, rm_prices **ret_prices, size_t *ret_skipped)
{
    size_t skipped = 0, names_bytes, rules;
    if (rm_json_typeof(root) != RM_JSON_OBJECT)
        return RM_EPARSE;
    rm_prices *prices = rm_calloc(1, sizeof(*prices));
    if (!prices)
        return RM_ENOMEM;
    measure(root, &names_bytes, &rules);
    prices->own = rm_calloc(rm_json_count(root) + 1, sizeof(*prices->own));
    prices->rules = rm_calloc(rules + 1, sizeof(*prices->rules));
    prices->names = rm_alloc(names_bytes + 1);
    if (!prices->own || !prices->rules || !prices->names) {
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
    rm_free(prices->rules);
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

/* ---- billing ----------------------------------------------------------------------------------------------------- */

static void apply_rules(const rm_price *price, int64_t prompt_tokens, rm_slice service_tier, double usd[RM_PRICE_KINDS])
{
    rm_provider__price_tier tier = price->rule_count ? tier_of(service_tier) : RM_TIER_STANDARD;
    for (size_t i = 0; i < price->rule_count && prompt_tokens > price->rules[i].above_tokens; i++) {
        const rm_provider__price_rule *rule = &price->rules[i];
        if (rule->tier != RM_TIER_STANDARD && rule->tier != tier)
            continue;
        for (size_t kind = 0; kind < RM_PRICE_KINDS; kind++)
            if (rule->usd[kind] >= 0)
                usd[kind] = rule->usd[kind];
    }
}

static double price_or(double price, double otherwise)
{
    return price >= 0 ? price : otherwise;
}

double rm_price_cost(const rm_price *price, const rm_usage *usage, rm_slice service_tier)
{
    if (!price || usage->input_tokens < 0 || usage->output_tokens < 0)
        return -1;
    double usd[RM_PRICE_KINDS] = {
        [RM_PRICE_INPUT] = price->input,
        [RM_PRICE_CACHED_INPUT] = price->cached_input,
        [RM_PRICE_CACHE_WRITE] = price->cache_write,
        [RM_PRICE_OUTPUT] = price->output,
    };
    apply_rules(price, usage->input_tokens, service_tier, usd);
    if (usd[RM_PRICE_INPUT] < 0 || (usd[RM_PRICE_OUTPUT] < 0 && usage->output_tokens > 0))
        return -1;
    int64_t cached = usage->cached_input_tokens > 0 ? usage->cached_input_tokens : 0;
    int64_t written = usage->cache_write_tokens > 0 ? usage->cache_write_tokens : 0;
    cached = cached < usage->input_tokens ? cached : usage->input_tokens;
    written = written < usage->input_tokens - cached ? written : usage->input_tokens - cached;
    int64_t fresh = usage->input_tokens - cached - written;
    return (double)fresh * usd[RM_PRICE_INPUT] +
           (double)cached * price_or(usd[RM_PRICE_CACHED_INPUT], usd[RM_PRICE_INPUT]) +
           (double)written * price_or(usd[RM_PRICE_CACHE_WRITE], usd[RM_PRICE_INPUT]) +
           (double)usage->output_tokens * price_or(usd[RM_PRICE_OUTPUT], 0);
}
