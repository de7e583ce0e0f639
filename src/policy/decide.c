/* What may be done with a request. */
#include "remora/policy.h"

/* Why neither cache nor merging may touch the request; RM_REASON_NONE: they may. The first that holds is told. */
static rm_reason find_obstacle(const rm_config *config, const rm_tenant *tenant, const rm_controls *controls,
                               const rm_request_info *info)
{
    if (!info)
        return RM_REASON_PATH;
    if (controls->bypass)
        return RM_REASON_REQUESTED;
    if (info->health_probe)
        return RM_REASON_PROBE;
    if (!tenant->cacheable)
        return RM_REASON_ANONYMOUS;
    if (info->stateful)
        return RM_REASON_STATEFUL;
    if (info->refers_media)
        return RM_REASON_MEDIA;
    if (info->sampled && !config->cache.exact.serve_sampled)
        return RM_REASON_SAMPLED;
    return RM_REASON_NONE;
}

/* no-cache wants an answer made for this request; no-store and only-if-cached want none to be shared, or made. */
static bool may_merge(const rm_config *config, const rm_controls *controls, const rm_request_info *info)
{
    if (controls->no_cache || controls->no_store || controls->only_if_cached)
        return false;
    if (info->choices > 1 && !config->merge.choices)
        return false;
    switch (config->merge.in_flight) {
    case RM_MERGE_ON:
        return true;
    case RM_MERGE_DETERMINISTIC:
        return !info->sampled;
    case RM_MERGE_OFF:
        break;
    }
    return false;
}

rm_decision rm_policy_decide(const rm_config *config, const rm_category *category, const rm_tenant *tenant,
                             const rm_controls *controls, const rm_request_info *info)
{
    rm_decision decision = {.outcome = RM_OUTCOME_BYPASS, .ttl_ms = category->ttl_ms};

    if (controls->ttl_ms >= 0)
        decision.ttl_ms = (uint64_t)controls->ttl_ms;
    decision.reason = find_obstacle(config, tenant, controls, info);
    if (decision.reason != RM_REASON_NONE)
        return decision;
    decision.merge = may_merge(config, controls, info);
    if (config->cache.exact.mode == RM_MODE_OFF) {
        decision.reason = RM_REASON_OFF;
        return decision;
    }
    decision.outcome = RM_OUTCOME_MISS;
    decision.lookup = !controls->no_cache;
    decision.store = !controls->no_store && decision.ttl_ms > 0;
    decision.reason = decision.lookup ? RM_REASON_MISS : RM_REASON_REQUESTED;
    return decision;
}

const rm_config_upstream *rm_policy_upstream(const rm_config *config, rm_slice model, rm_dialect dialect)
{
    const rm_config_model *known = model.len > 0 ? rm_config_find_model(config, model) : NULL;

    if (known)
        return known->upstream;
    for (size_t i = 0; i < config->upstream_count; i++)
        if (config->upstreams[i].dialect == dialect)
            return &config->upstreams[i];
    return config->upstreams;
}
