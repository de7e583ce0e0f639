/* What the upstream gets: the caller's target and headers, less what belongs to this hop or to Remora. */
#include "proxy_internal.h"

static const rm_slice version_prefix = {"/v1", 3};

static rm_slice after_version(rm_slice target)
{
    if (!rm_slice_has_prefix(target, version_prefix))
        return RM_SLICE_NONE;
    rm_slice rest = {target.ptr + version_prefix.len, target.len - version_prefix.len};
    if (rest.len && rest.ptr[0] != '/' && rest.ptr[0] != '?')
        return RM_SLICE_NONE;
    return rest;
}

/* base_url's path stands for the caller's leading /v1; any other path goes to the origin as it is. */
rm_status rm_fetch__url(const rm_config_upstream *upstream, rm_slice target, rm_arena *arena, const char **ret_url)
{
    rm_slice rest = after_version(target);
    rm_slice front = rm_slice_cstr(rest.ptr ? upstream->base_url : upstream->origin);
    if (!rest.ptr)
        rest = target;
    char *url = rm_arena_alloc(arena, front.len + rest.len + 1);
    if (!url)
        return RM_ENOMEM;
    *rm_slice_put(rm_slice_put(url, front), rest) = '\0';
    *ret_url = url;
    return RM_OK;
}

/* Not passed on, whatever the Connection header says. The body's framing is made anew. */
static bool is_dropped(rm_slice name, rm_slice connection, bool own_key)
{
    static const rm_slice remora = {"x-remora-", 9};
    switch (name.len) {
    case 4:
        return rm_slice_eq_nocase(name, RM_SLICE("host"));
    case 6:
        return rm_slice_eq_nocase(name, RM_SLICE("expect"));
    case 7:
        if (own_key && rm_slice_eq_nocase(name, RM_SLICE("api-key")))
            return true;
        break;
    case 9:
        if (own_key && rm_slice_eq_nocase(name, RM_SLICE("x-api-key")))
            return true;
        break;
    case 13:
        if (own_key && rm_slice_eq_nocase(name, RM_SLICE("authorization")))
            return true;
        break;
    case 14:
        if (rm_slice_eq_nocase(name, RM_SLICE("content-length")))
            return true;
        break;
    default:
        break;
    }
    if (name.len > remora.len && rm_slice_eq_nocase((rm_slice){name.ptr, remora.len}, remora))
        return true;
    return rm_http_is_hop_by_hop(name, connection);
}

static bool add_key(const rm_config_upstream *upstream, rm_arena *arena, rm_header *ret_header)
{
    if (upstream->dialect == RM_DIALECT_ANTHROPIC) {
        *ret_header = (rm_header){RM_SLICE("x-api-key"), rm_slice_cstr(upstream->api_key)};
        return true;
    }
    rm_slice value = rm_arena_printf(arena, "Bearer %s", upstream->api_key);
    *ret_header = (rm_header){RM_SLICE("Authorization"), value};
    return value.ptr != NULL;
}

rm_status rm_fetch__headers(const rm_config_upstream *upstream, const rm_http_head *head, rm_arena *arena,
                            const rm_header **ret_headers, size_t *ret_count)
{
    bool own_key = upstream->api_key && upstream->api_key[0];
    rm_slice connection = rm_http_header(head, "connection");
    rm_header *headers = rm_arena_alloc(arena, (head->header_count + 1) * sizeof *headers);
    size_t count = 0;
    if (!headers)
        return RM_ENOMEM;
    for (size_t i = 0; i < head->header_count; i++) {
        if (!is_dropped(head->headers[i].name, connection, own_key))
            headers[count++] = head->headers[i];
    }
    if (own_key && !add_key(upstream, arena, &headers[count++]))
        return RM_ENOMEM;
    *ret_headers = headers;
    *ret_count = count;
    return RM_OK;
}
