/* Which category a request falls into, and what holds there. */
#include "remora/policy.h"

static bool is(const char *text, rm_slice other)
{
    return other.len > 0 && text[0] == other.ptr[0] && rm_slice_eq(rm_slice_cstr(text), other);
}

static bool matches(const rm_config_namespace *space, rm_slice path, rm_slice model)
{
    if (!space->match_path && !space->match_model)
        return false;
    return (!space->match_path || is(space->match_path, path)) &&
           (!space->match_model || is(space->match_model, model));
}

/* Who names a namespace is in that one, whatever else would match. */
static const rm_config_namespace *find(const rm_config *config, rm_slice name_space, rm_slice path, rm_slice model)
{
    for (size_t i = 0; i < config->cache.namespace_count; i++) {
        const rm_config_namespace *space = &config->cache.namespaces[i];
        if (name_space.len > 0 ? is(space->name, name_space) : matches(space, path, model))
            return space;
    }
    return NULL;
}

rm_category rm_policy_category(const rm_config *config, rm_slice name_space, rm_slice path, rm_slice model)
{
    const rm_config_namespace *space = find(config, name_space, path, model);

    if (!space)
        return (rm_category){.name_space = name_space,
                             .semantic = config->cache.semantic.mode,
                             .max_error = config->cache.semantic.max_error,
                             .ttl_ms = config->cache.exact.ttl_ms,
                             .semantic_ttl_ms = config->cache.semantic.ttl_ms};
    return (rm_category){.name_space = name_space.len > 0 ? name_space : rm_slice_cstr(space->name),
                         .semantic = space->semantic,
                         .max_error = space->max_error,
                         .ttl_ms = space->ttl_ms,
                         .semantic_ttl_ms = space->semantic_ttl_ms};
}
