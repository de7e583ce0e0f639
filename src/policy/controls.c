/* What the caller asks of the cache, in three languages: x-remora-* headers, Cache-Control, LiteLLM's body field. */
#include "remora/policy.h"

typedef bool (*read_fn)(rm_slice value, rm_controls *controls); /* false: not understood */

/* ---- the strictest of two ---------------------------------------------------------------------------------------- */

static void lower(int64_t *value, int64_t other)
{
    if (other >= 0 && (*value < 0 || other < *value))
        *value = other;
}

static int64_t seconds_to_ms(int64_t seconds)
{
    if (seconds < 0)
        return -1;
    return seconds > (int64_t)(RM_TTL_MS_MAX / 1000) ? (int64_t)RM_TTL_MS_MAX : seconds * 1000;
}

static bool is_printable(rm_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    return text.len > 0;
}

/* ---- x-remora-* -------------------------------------------------------------------------------------------------- */

static bool read_cache(rm_slice value, rm_controls *controls)
{
    static const struct {
        rm_slice word;
        size_t offset;
    } words[] = {
        {RM_SLICE("no-cache"), offsetof(rm_controls, no_cache)},
        {RM_SLICE("no-store"), offsetof(rm_controls, no_store)},
        {RM_SLICE("only-if-cached"), offsetof(rm_controls, only_if_cached)},
        {RM_SLICE("bypass"), offsetof(rm_controls, bypass)},
    };
    rm_slice part;

    if (value.len == 0)
        return false;
    while (rm_slice_split(&value, ',', &part)) {
        size_t i = 0;
        part = rm_slice_trim(part);
        while (i < RM_COUNT(words) && !rm_slice_eq_nocase(part, words[i].word))
            i++;
        if (i == RM_COUNT(words))
            return false;
        *(bool *)(void *)((char *)controls + words[i].offset) = true;
    }
    return true;
}

static bool read_ttl(rm_slice value, rm_controls *controls)
{
    uint64_t ms;
    rm_status status = rm_parse_duration_ms(value, true, &ms);

    if (status == RM_ETOOBIG || (status == RM_OK && ms > RM_TTL_MS_MAX))
        ms = RM_TTL_MS_MAX;
    else if (status != RM_OK)
        return false;
    lower(&controls->ttl_ms, (int64_t)ms);
    return true;
}

static bool read_namespace(rm_slice value, rm_controls *controls)
{
    if (!is_printable(value) || value.len > RM_NAMESPACE_BYTES_MAX)
        return false;
    if (controls->name_space.len > 0 && !rm_slice_eq(controls->name_space, value))
        return false; /* two namespaces: whose? */
    controls->name_space = value;
    return true;
}

static bool read_deadline(rm_slice value, rm_controls *controls)
{
    uint64_t ms;

    (void)controls;
    return rm_parse_duration_ms(value, true, &ms) == RM_OK && ms > 0;
}

static bool read_share(rm_slice value, rm_controls *controls)
{
    double share;

    (void)controls;
    return rm_parse_double(value, &share) == RM_OK && share >= 0 && share <= 1;
}

static bool read_max_error(rm_slice value, rm_controls *controls)
{
    double share;

    if (!read_share(value, controls) || rm_parse_double(value, &share) != RM_OK)
        return false;
    if (controls->max_error < 0 || share < controls->max_error)
        controls->max_error = share;
    return true;
}

static bool read_tier(rm_slice value, rm_controls *controls)
{
    static const rm_slice tiers[] = {RM_SLICE("realtime"), RM_SLICE("flex"), RM_SLICE("batch"), RM_SLICE("auto")};

    (void)controls;
    for (size_t i = 0; i < RM_COUNT(tiers); i++)
        if (rm_slice_eq_nocase(value, tiers[i]))
            return true;
    return false;
}

static bool read_route(rm_slice value, rm_controls *controls)
{
    (void)controls;
    return is_printable(value) && value.len <= RM_MODEL_NAME_BYTES_MAX;
}

/* A header whose feature is not asked for here is still checked: a typing error is told, not ignored. */
static const struct {
    rm_slice name;
    read_fn read;
} headers[] = {
    {RM_SLICE("x-remora-cache"), read_cache},
    {RM_SLICE("x-remora-cache-ttl"), read_ttl},
    {RM_SLICE("x-remora-cache-namespace"), read_namespace},
    {RM_SLICE("x-remora-max-error"), read_max_error},
    {RM_SLICE("x-remora-min-quality"), read_share},
    {RM_SLICE("x-remora-deadline"), read_deadline},
    {RM_SLICE("x-remora-tier"), read_tier},
    {RM_SLICE("x-remora-route"), read_route},
};

static void take_remora_header(const rm_header *header, rm_controls *controls)
{
    for (size_t i = 0; i < RM_COUNT(headers); i++) {
        if (header->name.len != headers[i].name.len || !rm_slice_eq_nocase(header->name, headers[i].name))
            continue;
        if (header->value.len > RM_REMORA_HEADER_BYTES_MAX || !headers[i].read(header->value, controls))
            if (controls->invalid.len == 0)
                controls->invalid = headers[i].name;
        return;
    }
}

/* ---- Cache-Control and the body ---------------------------------------------------------------------------------- */

static void take_cache_control(rm_slice value, rm_controls *controls)
{
    rm_cache_control said = rm_cache_control_parse(value);

    controls->no_cache |= said.no_cache;
    controls->no_store |= said.no_store;
    controls->only_if_cached |= said.only_if_cached;
    lower(&controls->max_age_ms, seconds_to_ms(said.max_age_s));
    lower(&controls->max_age_ms, seconds_to_ms(said.s_maxage_s));
    lower(&controls->stale_if_error_ms, seconds_to_ms(said.stale_if_error_s));
}

static void take_body(const rm_body_cache *said, rm_controls *controls)
{
    if (!said->present)
        return;
    controls->no_cache |= said->no_cache;
    controls->no_store |= said->no_store;
    lower(&controls->ttl_ms, seconds_to_ms(said->ttl_s));
    lower(&controls->max_age_ms, seconds_to_ms(said->s_maxage_s));
    /* A namespace that cannot be had, or two that differ, would let entries meet that were to be kept apart. */
    if (said->bad_name_space || (said->name_space.len > 0 && !read_namespace(said->name_space, controls)))
        controls->bypass = true;
}

rm_controls rm_policy_controls(const rm_http_head *head, const rm_request_info *info)
{
    rm_controls controls = {.ttl_ms = -1, .max_age_ms = -1, .stale_if_error_ms = -1, .max_error = -1};

    for (size_t i = 0; i < head->header_count; i++) {
        const rm_header *header = &head->headers[i];
        if (header->name.len < 13) /* "cache-control" is the shortest of interest */
            continue;
        char first = (char)(header->name.ptr[0] | 0x20);
        if (first == 'x')
            take_remora_header(header, &controls);
        else if (first == 'c' && rm_slice_eq_nocase(header->name, RM_SLICE("cache-control")))
            take_cache_control(header->value, &controls);
    }
    if (info)
        take_body(&info->cache, &controls);
    return controls;
}
