/* Who asks. The tenant is a keyed hash of what the caller presents, so that neither logs nor the store hold a
 * credential, and so that two installs name the same caller differently. */
#include "remora/policy.h"

/* What one header says of the caller; the order is the order in the hash. */
typedef enum identity {
    IDENTITY_AUTHORIZATION = 0,
    IDENTITY_X_API_KEY,
    IDENTITY_API_KEY,
    IDENTITY_LAST_CREDENTIAL = IDENTITY_API_KEY,
    IDENTITY_GATEWAY_KEY,
    IDENTITY_GATEWAY_USER,
    IDENTITY_GATEWAY_END_USER,
    IDENTITY_GATEWAY_TEAM,
    IDENTITY_GATEWAY_ORGANISATION,
    IDENTITY_GATEWAY_PROJECT
} identity;

/* The long names are those that LiteLLM (tried: 1.106.2) sends with add_user_information_to_llm_headers: "x-litellm-"
 * and the field of its key metadata. The short ones are those by which its own clients and hooks name the same things.
 */
static const struct {
    rm_slice name;
    identity what;
    bool by_gateway; /* only LiteLLM itself writes it */
} headers[] = {
    {RM_SLICE("authorization"), IDENTITY_AUTHORIZATION, false},
    {RM_SLICE("x-api-key"), IDENTITY_X_API_KEY, false},
    {RM_SLICE("api-key"), IDENTITY_API_KEY, false},
    {RM_SLICE("x-litellm-user_api_key_hash"), IDENTITY_GATEWAY_KEY, true},
    {RM_SLICE("x-litellm-user_api_key_user_id"), IDENTITY_GATEWAY_USER, true},
    {RM_SLICE("x-litellm-user_api_key_end_user_id"), IDENTITY_GATEWAY_END_USER, true},
    {RM_SLICE("x-litellm-user_api_key_team_id"), IDENTITY_GATEWAY_TEAM, true},
    {RM_SLICE("x-litellm-user_api_key_org_id"), IDENTITY_GATEWAY_ORGANISATION, true},
    {RM_SLICE("x-litellm-user_api_key_project_id"), IDENTITY_GATEWAY_PROJECT, true},
    {RM_SLICE("x-litellm-key-hash"), IDENTITY_GATEWAY_KEY, false},
    {RM_SLICE("x-litellm-user-id"), IDENTITY_GATEWAY_USER, false},
    {RM_SLICE("x-litellm-end-user-id"), IDENTITY_GATEWAY_END_USER, false},
    {RM_SLICE("x-litellm-customer-id"), IDENTITY_GATEWAY_END_USER, false},
    {RM_SLICE("x-litellm-team-id"), IDENTITY_GATEWAY_TEAM, false},
    {RM_SLICE("x-litellm-org-id"), IDENTITY_GATEWAY_ORGANISATION, false},
    {RM_SLICE("x-litellm-organization-id"), IDENTITY_GATEWAY_ORGANISATION, false},
    {RM_SLICE("x-litellm-project-id"), IDENTITY_GATEWAY_PROJECT, false},
};
enum { CREDENTIAL_HEADERS = IDENTITY_LAST_CREDENTIAL + 1 };

/* Never an HMAC's value in practice, and never shown: scopes that are not one caller's. */
static const rm_key128 scope_shared = {0, 1}, scope_anonymous = {0, 2};

typedef struct identity_part {
    unsigned header; /* index in `headers` */
    rm_slice value;
} identity_part;

typedef struct identity_parts {
    identity_part list[RM_HEADER_COUNT_MAX];
    size_t count;
    bool credential; /* one of them is a credential */
    bool by_gateway; /* one of them only LiteLLM writes */
} identity_parts;

/* A scheme without a key ("Bearer") is what SDKs send for an empty key. */
static bool is_blank(identity what, rm_slice value)
{
    return value.len == 0 ||
           (what == IDENTITY_AUTHORIZATION && !memchr(value.ptr, ' ', value.len) &&
            (rm_slice_eq_nocase(value, RM_SLICE("bearer")) || rm_slice_eq_nocase(value, RM_SLICE("basic"))));
}

/* Kept in the order of `headers`, equal ones as they came: an order of lines changed on the way is the same caller. */
static void insert_part(identity_parts *parts, unsigned header, rm_slice value)
{
    size_t at = parts->count++;

    for (; at > 0 && parts->list[at - 1].header > header; at--)
        parts->list[at] = parts->list[at - 1];
    parts->list[at] = (identity_part){header, value};
}

static bool has_prefix_nocase(rm_slice text, rm_slice prefix)
{
    return text.len >= prefix.len && rm_slice_eq_nocase(rm_slice_make(text.ptr, prefix.len), prefix);
}

static void collect(const rm_http_head *head, bool trust, identity_parts *parts)
{
    parts->count = 0;
    parts->credential = parts->by_gateway = false;
    for (size_t i = 0; i < head->header_count; i++) {
        const rm_header *header = &head->headers[i];
        bool gateway = trust && has_prefix_nocase(header->name, RM_SLICE("x-litellm-"));
        size_t begin = gateway ? CREDENTIAL_HEADERS : 0, end = gateway ? RM_COUNT(headers) : CREDENTIAL_HEADERS;
        for (size_t h = begin; h < end; h++) {
            if (header->name.len != headers[h].name.len || !rm_slice_eq_nocase(header->name, headers[h].name))
                continue;
            if (is_blank(headers[h].what, header->value) || parts->count == RM_HEADER_COUNT_MAX)
                break;
            insert_part(parts, (unsigned)h, header->value);
            parts->credential |= !gateway;
            parts->by_gateway |= headers[h].by_gateway;
            break;
        }
    }
}

/* HMAC over kind, then each part as what, length, bytes: no two lists of parts give the same message. */
static rm_status hash_parts(const uint8_t secret[32], char kind, const identity_parts *parts, rm_key128 *ret_key)
{
    char message[RM_HEADER_BYTES_MAX + 8 * RM_HEADER_COUNT_MAX];
    uint8_t mac[RM_HMAC_BYTES];
    size_t len = 0;

    message[len++] = kind;
    for (size_t i = 0; i < parts->count; i++) {
        rm_slice value = parts->list[i].value;
        if (value.len + 5 > sizeof(message) - len)
            return RM_EINTERNAL; /* more than a head may hold */
        message[len++] = (char)headers[parts->list[i].header].what;
        for (unsigned shift = 0; shift < 32; shift += 8)
            message[len++] = (char)(value.len >> shift);
        memcpy(message + len, value.ptr, value.len);
        len += value.len;
    }
    rm_status status = rm_hmac_sha256(rm_slice_make((const char *)secret, 32), rm_slice_make(message, len), mac);
    if (status != RM_OK)
        return RM_EINTERNAL;
    rm_key128 key = {0, 0};
    for (size_t i = 0; i < 8; i++) {
        key.hi = key.hi << 8 | mac[i];
        key.lo = key.lo << 8 | mac[8 + i];
    }
    *ret_key = key;
    return RM_OK;
}

/* The one team that is named. Once LiteLLM's own headers are there, its short one may be a caller's that it passed on.
 */
static bool find_team(const identity_parts *all, identity_parts *ret_team)
{
    ret_team->count = 0;
    for (size_t i = 0; i < all->count; i++) {
        const identity_part *p = &all->list[i];
        if (headers[p->header].what != IDENTITY_GATEWAY_TEAM || headers[p->header].by_gateway != all->by_gateway)
            continue;
        if (ret_team->count > 0 && !rm_slice_eq(ret_team->list[0].value, p->value))
            return false;
        ret_team->list[0] = *p;
        ret_team->count = 1;
    }
    return ret_team->count == 1;
}

static void set_anonymous(const rm_config *config, rm_tenant *tenant)
{
    tenant->anonymous = true;
    tenant->refused = config->cache.anonymous == RM_ANONYMOUS_REFUSE;
    tenant->cacheable = config->cache.anonymous == RM_ANONYMOUS_SHARED;
    tenant->scope = tenant->cacheable ? scope_anonymous : (rm_key128){0, 0};
    memcpy(tenant->id_text, "anonymous", sizeof("anonymous"));
}

rm_status rm_policy_identify(const rm_config *config, const uint8_t secret[32], const rm_http_head *head,
                             rm_tenant *ret_tenant)
{
    rm_tenant tenant = {.cacheable = true};
    rm_status status;
    identity_parts all, team;

    collect(head, config->trust_gateway_headers, &all);
    if (!all.credential) { /* a gateway's headers refine a credential; they do not stand for one */
        set_anonymous(config, &tenant);
        *ret_tenant = tenant;
        return RM_OK;
    }
    status = hash_parts(secret, 'k', &all, &tenant.id);
    if (status != RM_OK)
        return status;
    rm_key128_format(tenant.id, tenant.id_text);
    tenant.scope = tenant.id;
    if (config->cache.scope == RM_SCOPE_SHARED) {
        tenant.scope = scope_shared;
    } else if (config->cache.scope == RM_SCOPE_TEAM && find_team(&all, &team)) {
        status = hash_parts(secret, 't', &team, &tenant.scope);
        if (status != RM_OK)
            return status;
    }
    *ret_tenant = tenant;
    return RM_OK;
}
