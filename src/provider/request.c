/* What the steps need to know of a request, read in one walk over its members; which members are neutral; and the
 * body as the upstream shall get it. What is not known here counts as meaning something: an unknown member separates
 * cache entries, an unknown reference keeps an answer out of the cache. */
#include "provider_internal.h"

#define OP(name)   (1U << RM_OP_##name)
#define OPS_CHUNKS (OP(CHAT) | OP(COMPLETIONS))
#define OPS_ALL    (OPS_CHUNKS | OP(EMBEDDINGS) | OP(RESPONSES) | OP(MESSAGES))

#define WALK_DEPTH_MAX RM_JSON_DEPTH_MAX

/* ---- neutral members --------------------------------------------------------------------------------------------- */

static bool only_known_stream_options(const rm_json *value)
{
    for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);)
        if (!rm_slice_eq(it.key, RM_SLICE("include_usage")) && !rm_slice_eq(it.key, RM_SLICE("include_obfuscation")))
            return false;
    return rm_json_typeof(value) == RM_JSON_OBJECT || rm_json_typeof(value) == RM_JSON_NULL;
}

static bool is_object(const rm_json *value)
{
    return rm_json_typeof(value) == RM_JSON_OBJECT;
}

static bool is_object_or_null(const rm_json *value)
{
    return is_object(value) || rm_json_typeof(value) == RM_JSON_NULL;
}

/* Not here, on purpose: service_tier (a patient caller's answer must not be waited for by a hurried one) and the
 * `store` of Responses (only store:false is cacheable at all). */
static const struct neutral {
    rm_slice name;
    unsigned ops;
    bool (*applies)(const rm_json *value); /* NULL: whatever the value */
} neutrals[] = {
    /* how the same answer is carried; one entry serves both forms */
    {RM_SLICE("stream"), OPS_CHUNKS | OP(RESPONSES) | OP(MESSAGES), NULL},
    /* the usage chunk and the padding, which Remora adds and strips itself; other options may change content */
    {RM_SLICE("stream_options"), OPS_CHUNKS | OP(RESPONSES), only_known_stream_options},
    /* names the end user to the provider's abuse watch; who may share an entry is the cache scope's matter */
    {RM_SLICE("user"), OPS_CHUNKS | OP(EMBEDDINGS) | OP(RESPONSES), NULL},
    /* its successor */
    {RM_SLICE("safety_identifier"), OP(CHAT) | OP(RESPONSES), NULL},
    /* labels for the provider's dashboard; Anthropic's holds only user_id */
    {RM_SLICE("metadata"), OP(CHAT) | OP(RESPONSES) | OP(MESSAGES), NULL},
    /* where the provider keeps the prompt's prefix, and for how long: price and speed */
    {RM_SLICE("prompt_cache_key"), OP(CHAT) | OP(RESPONSES), NULL},
    {RM_SLICE("prompt_cache_retention"), OP(CHAT) | OP(RESPONSES), NULL},
    {RM_SLICE("prompt_cache_options"), OP(CHAT) | OP(RESPONSES), NULL},
    /* keeps a copy for the provider's evals; chat completions carry no state from one to the next */
    {RM_SLICE("store"), OP(CHAT), NULL},
    /* LiteLLM's instructions to the cache; never reaches the upstream */
    {RM_SLICE("cache"), OPS_ALL, is_object_or_null},
};

bool rm_provider_neutral_member(rm_slice key, const rm_json *value, void *op)
{
    unsigned bit = 1U << *(const rm_op *)op;
    for (size_t i = 0; i < RM_COUNT(neutrals); i++)
        if ((neutrals[i].ops & bit) && rm_slice_eq(key, neutrals[i].name))
            return !neutrals[i].applies || neutrals[i].applies(value);
    return false;
}

/* ---- references -------------------------------------------------------------------------------------------------- */

/* What lies elsewhere may change there under the same name. */
static const rm_slice reference_keys[] = {
    RM_SLICE("file_id"),    RM_SLICE("file_url"),         RM_SLICE("container_id"), RM_SLICE("vector_store_id"),
    RM_SLICE("image_file"), RM_SLICE("vector_store_ids"), RM_SLICE("file_ids"),     RM_SLICE("input_audio"),
    RM_SLICE("audio"),      RM_SLICE("audio_url"),        RM_SLICE("video_url")};
static const rm_slice reference_types[] = {RM_SLICE("input_audio"),      RM_SLICE("audio"),     RM_SLICE("image_file"),
                                           RM_SLICE("container_upload"), RM_SLICE("video_url"), RM_SLICE("audio_url")};

static bool listed(rm_slice key, const rm_slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rm_slice_eq(key, names[i]))
            return true;
    return false;
}

/* An image's or document's address; one that holds the bytes themselves ("data:") refers to nothing. */
static bool is_remote(const rm_json *address)
{
    if (rm_json_typeof(address) == RM_JSON_OBJECT)
        address = rm_json_get(address, "url");
    rm_slice url = rm_json_string(address);
    return url.len > 0 && !(url.len >= 5 && rm_slice_eq_nocase(rm_slice_make(url.ptr, 5), RM_SLICE("data:")));
}

static bool member_refers(rm_slice key, const rm_json *value)
{
    if (!rm_provider__given(value))
        return false;
    if (rm_slice_eq(key, RM_SLICE("image_url")))
        return is_remote(value);
    if (rm_slice_eq(key, RM_SLICE("source")))
        return rm_provider__is(rm_json_string(rm_json_get(value, "type")), "url") && is_remote(value);
    if (rm_slice_eq(key, RM_SLICE("container")))
        return rm_json_typeof(value) == RM_JSON_STRING;
    if (rm_slice_eq(key, RM_SLICE("type")))
        return listed(rm_json_string(value), reference_types, RM_COUNT(reference_types));
    return listed(key, reference_keys, RM_COUNT(reference_keys));
}

/* Arguments that a model gave to a tool, and schemas: they may name anything. */
static bool is_opaque(rm_slice key, const rm_json *holder)
{
    if (rm_slice_eq(key, RM_SLICE("input")))
        return rm_json_get(holder, "name") != NULL;
    return rm_slice_eq(key, RM_SLICE("parameters")) || rm_slice_eq(key, RM_SLICE("input_schema")) ||
           rm_slice_eq(key, RM_SLICE("schema"));
}

static void walk(const rm_json *value, unsigned depth, rm_request_info *info)
{
    bool object = rm_json_typeof(value) == RM_JSON_OBJECT;
    if (depth > WALK_DEPTH_MAX) {
        info->refers_media = true; /* unsure */
        return;
    }
    for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);) {
        if (object && is_opaque(it.key, value))
            continue;
        if (object && member_refers(it.key, it.value))
            info->refers_media = true;
        if (object && rm_slice_eq(it.key, RM_SLICE("type")) &&
            rm_provider__is(rm_json_string(it.value), "item_reference"))
            info->stateful = true;
        if (rm_json_typeof(it.value) >= RM_JSON_ARRAY)
            walk(it.value, depth + 1, info);
    }
}

/* ---- members that say something ---------------------------------------------------------------------------------- */

typedef void (*member_fn)(const rm_json *value, rm_request_info *info);

static void on_model(const rm_json *value, rm_request_info *info)
{
    info->model = rm_json_string(value);
}

static void on_stream(const rm_json *value, rm_request_info *info)
{
    info->stream = rm_json_bool(value, false);
}

static void on_stream_options(const rm_json *value, rm_request_info *info)
{
    info->has_stream_options = is_object(value);
    info->include_usage = rm_json_bool(rm_json_get(value, "include_usage"), false);
    if (!is_object(value) && rm_provider__given(value))
        info->usage_injectable = false; /* the upstream shall refuse it as it is */
}

static void on_temperature(const rm_json *value, rm_request_info *info)
{
    info->temperature_given = rm_provider__given(value);
    if (info->temperature_given)
        info->sampled = rm_json_double(value, 1) > 0;
}

static void on_seed(const rm_json *value, rm_request_info *info)
{
    info->seeded = rm_json_typeof(value) == RM_JSON_NUMBER;
}

static void on_choices(const rm_json *value, rm_request_info *info)
{
    info->choices = rm_json_i64(value, 1);
}

static void on_max_tokens(const rm_json *value, rm_request_info *info)
{
    int64_t tokens = rm_json_i64(value, -1);
    if (tokens >= 0)
        info->max_tokens = tokens;
}

static void on_store(const rm_json *value, rm_request_info *info)
{
    if (rm_json_bool(value, true))
        info->stateful = true;
}

static void on_state(const rm_json *value, rm_request_info *info)
{
    if (rm_provider__given(value))
        info->stateful = true;
}

static void on_background(const rm_json *value, rm_request_info *info)
{
    if (rm_json_bool(value, rm_provider__given(value)))
        info->stateful = true;
}

/* A prompt template kept at the provider: fixed only where its version is named. */
static void on_prompt_template(const rm_json *value, rm_request_info *info)
{
    if (rm_provider__given(value) && !rm_provider__given(rm_json_get(value, "version")))
        info->stateful = true;
    walk(value, 1, info);
}

static void on_tools(const rm_json *value, rm_request_info *info)
{
    info->has_tools = info->has_tools || rm_json_count(value) > 0;
    walk(value, 1, info);
}

static void on_content(const rm_json *value, rm_request_info *info)
{
    walk(value, 1, info);
}

static void on_modalities(const rm_json *value, rm_request_info *info)
{
    for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);)
        if (rm_provider__is(rm_json_string(it.value), "audio"))
            info->refers_media = true;
}

static void on_reference(const rm_json *value, rm_request_info *info)
{
    if (rm_provider__given(value))
        info->refers_media = true;
}

/* LiteLLM's members are read with leniency towards spelling and with caution towards sense: what was meant as an
 * instruction but cannot be read keeps an answer from being shared, never the reverse. */

/* Seconds as a number or as text, -1: not given. Below zero or unreadable: none at all. */
static int64_t seconds(const rm_json *value)
{
    uint64_t number;
    rm_slice text = rm_json_string(value);
    if (!rm_provider__given(value))
        return -1;
    if (rm_json_typeof(value) == RM_JSON_STRING)
        return rm_parse_u64(text, &number) == RM_OK && number <= INT64_MAX ? (int64_t)number : 0;
    double given = rm_json_double(value, 0);
    int64_t whole = rm_json_i64(value, given > 0 && given < 1e15 ? (int64_t)given : 0);
    return whole > 0 ? whole : 0;
}

static bool flag(const rm_json *value)
{
    if (rm_json_typeof(value) == RM_JSON_STRING)
        return rm_slice_eq_nocase(rm_json_string(value), RM_SLICE("true"));
    return rm_json_bool(value, rm_json_double(value, 0) != 0);
}

static void on_cache(const rm_json *value, rm_request_info *info)
{
    if (!is_object_or_null(value))
        return;
    const rm_json *maxage = rm_json_get(value, "s-maxage"), *name = rm_json_get(value, "namespace");
    info->cache = (rm_body_cache){
        .present = true,
        .no_cache = flag(rm_json_get(value, "no-cache")),
        .no_store = flag(rm_json_get(value, "no-store")),
        .ttl_s = seconds(rm_json_get(value, "ttl")),
        .s_maxage_s = seconds(maxage ? maxage : rm_json_get(value, "s-max-age")),
        .name_space = rm_json_string(name),
        .bad_name_space = rm_provider__given(name) && rm_json_typeof(name) != RM_JSON_STRING,
    };
}

static const struct member {
    rm_slice name;
    unsigned ops;
    member_fn take;
} members[] = {
    {RM_SLICE("model"), OPS_ALL, on_model},
    {RM_SLICE("messages"), OP(CHAT) | OP(MESSAGES), on_content},
    {RM_SLICE("input"), OP(RESPONSES), on_content},
    {RM_SLICE("system"), OP(MESSAGES), on_content},
    {RM_SLICE("stream"), OPS_CHUNKS | OP(RESPONSES) | OP(MESSAGES), on_stream},
    {RM_SLICE("stream_options"), OPS_CHUNKS, on_stream_options},
    {RM_SLICE("temperature"), OPS_CHUNKS | OP(RESPONSES) | OP(MESSAGES), on_temperature},
    {RM_SLICE("seed"), OPS_CHUNKS | OP(RESPONSES), on_seed},
    {RM_SLICE("n"), OPS_CHUNKS, on_choices},
    {RM_SLICE("max_tokens"), OPS_CHUNKS | OP(MESSAGES), on_max_tokens},
    {RM_SLICE("max_completion_tokens"), OP(CHAT), on_max_tokens},
    {RM_SLICE("max_output_tokens"), OP(RESPONSES), on_max_tokens},
    {RM_SLICE("store"), OP(RESPONSES), on_store},
    {RM_SLICE("previous_response_id"), OP(RESPONSES), on_state},
    {RM_SLICE("conversation"), OP(RESPONSES), on_state},
    {RM_SLICE("background"), OP(RESPONSES), on_background},
    {RM_SLICE("prompt"), OP(RESPONSES), on_prompt_template},
    {RM_SLICE("tools"), OP(CHAT) | OP(RESPONSES) | OP(MESSAGES), on_tools},
    {RM_SLICE("functions"), OP(CHAT), on_tools},
    {RM_SLICE("modalities"), OP(CHAT), on_modalities},
    {RM_SLICE("audio"), OP(CHAT), on_reference},
    {RM_SLICE("container"), OP(MESSAGES), on_reference},
    {RM_SLICE("cache"), OPS_ALL, on_cache},
};

static void take_member(rm_slice key, const rm_json *value, rm_request_info *info)
{
    unsigned bit = 1U << info->op;
    for (size_t i = 0; i < RM_COUNT(members); i++) {
        if (!(members[i].ops & bit) || !rm_slice_eq(key, members[i].name))
            continue;
        members[i].take(value, info);
        return;
    }
}

/* ---- LiteLLM's health probes ------------------------------------------------------------------------------------- */

#define PROBE_TOKENS_MAX 16

static const rm_slice probes[] = {RM_SLICE("Hey how's it going?"), RM_SLICE("Hey, how's it going?"),
                                  RM_SLICE("Hey, how's it going"), RM_SLICE("What's 1 + 1?")};

static bool is_probe_text(const rm_json *content)
{
    if (rm_json_typeof(content) == RM_JSON_ARRAY) {
        if (rm_json_count(content) != 1)
            return false;
        content = rm_json_get(rm_json_at(content, 0), "text");
    }
    return rm_json_typeof(content) == RM_JSON_STRING && listed(rm_json_string(content), probes, RM_COUNT(probes));
}

static bool is_probe(const rm_request_info *info)
{
    if (info->max_tokens < 0 || info->max_tokens > PROBE_TOKENS_MAX)
        return false;
    const rm_json *list = rm_json_get(info->root, info->op == RM_OP_RESPONSES ? "input" : "messages");
    if (info->op == RM_OP_COMPLETIONS)
        list = rm_json_get(info->root, "prompt");
    if (rm_json_typeof(list) == RM_JSON_STRING)
        return info->op != RM_OP_CHAT && is_probe_text(list);
    if (rm_json_typeof(list) != RM_JSON_ARRAY || rm_json_count(list) != 1)
        return false;
    const rm_json *message = rm_json_at(list, 0);
    return rm_provider__is(rm_json_string(rm_json_get(message, "role")), "user") &&
           is_probe_text(rm_json_get(message, "content"));
}

rm_status rm_provider_read_request(rm_op op, rm_slice body, rm_arena *arena, rm_request_info *ret_info)
{
    const rm_json *root;
    rm_status status = rm_json_parse(arena, body, &root);
    if (status != RM_OK)
        return status;
    if (!is_object(root))
        return RM_EPARSE;
    bool chunks = op == RM_OP_CHAT || op == RM_OP_COMPLETIONS;
    rm_request_info info = {
        .op = op,
        .root = root,
        .body_bytes = body.len,
        .usage_injectable = chunks,
        .sampled = chunks || op == RM_OP_RESPONSES || op == RM_OP_MESSAGES,
        .choices = 1,
        .max_tokens = -1,
        .cache = {.ttl_s = -1, .s_maxage_s = -1},
        /* left out, `store` is true */
        .stateful = op == RM_OP_RESPONSES && !rm_json_get(root, "store"),
    };
    for (rm_json_iter it = rm_json_iterate(root); rm_json_iter_next(&it);)
        take_member(it.key, it.value, &info);
    info.sampled = info.sampled && !info.seeded;
    info.usage_injectable = info.usage_injectable && info.stream;
    info.health_probe = is_probe(&info);
    *ret_info = info;
    return RM_OK;
}

/* ---- the body for the upstream ----------------------------------------------------------------------------------- */

static rm_status inject(const rm_request_info *info, rm_slice body, rm_buf *out)
{
    if (info->has_stream_options)
        return rm_json_set_member(body, "stream_options/include_usage", RM_SLICE("true"), out);
    return rm_json_set_member(body, "stream_options", RM_SLICE("{\"include_usage\":true}"), out);
}

rm_status rm_provider_upstream_body(const rm_request_info *info, rm_slice body, bool inject_usage, rm_arena *arena,
                                    rm_slice *ret_body)
{
    rm_buf less, more;
    rm_slice text = body;
    rm_status status = RM_OK;
    bool add = inject_usage && info->usage_injectable && !info->include_usage;
    if (!info->cache.present && !add) {
        *ret_body = body;
        return RM_OK;
    }
    rm_buf_init(&less, body.len + 1);
    rm_buf_init(&more, body.len + 64);
    if (info->cache.present && (status = rm_json_remove_member(text, "cache", &less)) == RM_OK)
        text = rm_buf_slice(&less);
    if (status == RM_OK && add && (status = inject(info, text, &more)) == RM_OK)
        text = rm_buf_slice(&more);
    if (status == RM_OK) {
        rm_slice copy = rm_arena_dup(arena, text);
        status = copy.ptr ? RM_OK : RM_ENOMEM;
        if (copy.ptr)
            *ret_body = copy;
    }
    rm_buf_deinit(&less);
    rm_buf_deinit(&more);
    return status;
}
