/* What one value cannot know by itself: shapes of URLs and addresses, names that are taken, references, clashes. */
#include <stdio.h>
#include <stdlib.h>

#include "config_internal.h"

/* ---- shapes --------------------------------------------------------------------------------------------------------
 */

static bool is_port(rm_slice text)
{
    uint64_t port;

    return rm_parse_u64(text, &port) == RM_OK && port <= 65535;
}

/* Bytes of "name", "1.2.3.4" or "[::1]" at the start; 0: none. */
static size_t host_bytes(rm_slice text)
{
    size_t n = 0;

    if (text.len > 0 && text.ptr[0] == '[') {
        const char *end = memchr(text.ptr, ']', text.len);
        for (n = 1; end && text.ptr + n < end; n++)
            if (!strchr("0123456789abcdefABCDEF:.", text.ptr[n]))
                return 0;
        return end && n > 2 ? n + 1 : 0;
    }
    while (n < text.len && text.ptr[n] && !strchr(":/[]@?# \"<>\\^`{|}", text.ptr[n]))
        n++;
    return n;
}

const char *rm_config__url_fault(rm_slice url, size_t *ret_origin_bytes)
{
    size_t scheme = rm_slice_has_prefix(url, RM_SLICE("https://"))  ? 8
                    : rm_slice_has_prefix(url, RM_SLICE("http://")) ? 7
                                                                    : 0;
    rm_slice rest = {url.ptr + scheme, url.len - scheme};

    if (scheme == 0)
        return "is no URL of an upstream; begin it with https:// or http://";
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] == ' ' || (unsigned char)rest.ptr[i] >= 0x7f)
            return "holds a space or a byte outside ASCII; write it percent-encoded";
    if (memchr(rest.ptr, '?', rest.len) || memchr(rest.ptr, '#', rest.len))
        return "has a query or fragment; end it with the path";
    const char *slash = memchr(rest.ptr, '/', rest.len);
    size_t authority = slash ? (size_t)(slash - rest.ptr) : rest.len;
    if (memchr(rest.ptr, '@', authority))
        return "holds a user name; put the key in api_key";
    size_t host = host_bytes(rm_slice_make(rest.ptr, authority));
    if (host == 0)
        return "names no host; write it as https://host/v1";
    if (host < authority && (rest.ptr[host] != ':' || authority - host < 2 ||
                             !is_port(rm_slice_make(rest.ptr + host + 1, authority - host - 1))))
        return "has a bad port; write a number up to 65535 after the host";
    *ret_origin_bytes = scheme + authority;
    return NULL;
}

/* Where ":port" begins, or NULL. */
static const char *port_of(rm_slice address)
{
    for (size_t i = address.len; i > 0; i--)
        if (address.ptr[i - 1] == ':')
            return address.ptr + i - 1;
    return NULL;
}

const char *rm_config__address_fault(rm_slice address)
{
    static const char mend[] = "is no address; write 127.0.0.1:8700, [::1]:8700, :8700 (every address) or unix:/path";
    const char *colon = port_of(address);

    if (rm_slice_has_prefix(address, RM_SLICE("unix:"))) /* sun_path holds 107 bytes */
        return address.len > 5 && address.len <= 5 + 107 ? NULL : mend;
    if (!colon || !is_port(rm_slice_make(colon + 1, (size_t)(address.ptr + address.len - colon) - 1)))
        return mend;
    size_t host = (size_t)(colon - address.ptr);
    if (host == 0)
        return NULL;
    if (address.ptr[0] == '[')
        return host_bytes(rm_slice_make(address.ptr, host)) == host ? NULL : mend;
    for (size_t i = 0; i < host; i++) /* a name could mean several addresses */
        if (!strchr("0123456789.", address.ptr[i]))
            return mend;
    return NULL;
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

/* Reports a mistake in item `index` of a list. */
#define ITEM_MISTAKE(reader, at, line, ...) ((reader)->index = (at), rm_config__mistake((reader), (line), __VA_ARGS__))

void rm_config__finish_upstream(rm_config_reader *reader, size_t index)
{
    rm_config_upstream *upstream = &reader->upstreams[index];
    size_t origin_bytes;

    if (!upstream->base_url || rm_config__url_fault(rm_slice_cstr(upstream->base_url), &origin_bytes))
        return; /* reported where it was read */
    rm_slice origin = rm_arena_dup(&reader->config->arena, rm_slice_make(upstream->base_url, origin_bytes));
    if (!origin.ptr)
        reader->fatal = RM_ENOMEM;
    upstream->origin = origin.ptr;
}

static void check_upstream_names(rm_config_reader *reader)
{
    for (size_t i = 1; i < reader->config->upstream_count; i++)
        for (size_t j = 0; j < i; j++) {
            const char *a = reader->upstreams[i].name, *b = reader->upstreams[j].name;
            if (!a || !b || strcmp(a, b) != 0)
                continue;
            ITEM_MISTAKE(reader, i, reader->upstream_lines[i], "upstreams[].name",
                         "\"%s\" is upstreams[%zu]'s name too; give each its own", a, j);
            break;
        }
}

static const rm_config_upstream *find_upstream(const rm_config_reader *reader, const char *name)
{
    for (size_t i = 0; i < reader->config->upstream_count; i++)
        if (reader->upstreams[i].name && strcmp(reader->upstreams[i].name, name) == 0)
            return &reader->upstreams[i];
    return NULL;
}

const rm_config_upstream rm_config_local = {.name = "local"};

static bool is_local(const rm_config_model *model)
{
    return model->name && rm_slice_has_prefix(rm_slice_cstr(model->name), RM_SLICE(RM_CONFIG_LOCAL));
}

static void check_model_upstream(rm_config_reader *reader, rm_config_model_draft *draft)
{
    char known[256] = "";
    size_t len = 0;

    draft->model.line = draft->name_line;
    draft->model.index = (unsigned)draft->index;
    if (is_local(&draft->model)) {
        draft->model.upstream = &rm_config_local;
        if (draft->upstream_name && strcmp(draft->upstream_name, rm_config_local.name) != 0)
            ITEM_MISTAKE(reader, draft->index, draft->upstream_line, "models[].upstream",
                         "%.64s runs inside Remora and has no upstream; leave it out", draft->model.name);
        return;
    }
    if (!draft->upstream_name) {
        draft->model.upstream = reader->upstreams;
        return;
    }
    draft->model.upstream = find_upstream(reader, draft->upstream_name);
    if (draft->model.upstream)
        return;
    for (size_t i = 0; i < reader->config->upstream_count && len < sizeof(known); i++)
        if (reader->upstreams[i].name)
            len +=
                (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "", reader->upstreams[i].name);
    ITEM_MISTAKE(reader, draft->index, draft->upstream_line, "models[].upstream",
                 "no upstream is called \"%.64s\"; known: %s", draft->upstream_name, known);
}

/* By name, then by place in the file. */
static int compare_drafts(const void *a, const void *b)
{
    const rm_config_model_draft *x = a, *y = b;
    int order = strcmp(x->model.name ? x->model.name : "", y->model.name ? y->model.name : "");

    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

/* The catalogue is sorted, so that it can be searched by halves. */
static void finish_models(rm_config_reader *reader)
{
    size_t count = reader->drafts ? reader->config->model_count : 0;
    rm_config_model *models = rm_arena_calloc(&reader->config->arena, (count ? count : 1) * sizeof(*models));

    if (!models) {
        reader->fatal = RM_ENOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++)
        check_model_upstream(reader, &reader->drafts[i]);
    if (count > 1)
        qsort(reader->drafts, count, sizeof(*reader->drafts), compare_drafts);
    for (size_t i = 0; i < count; i++) {
        const rm_config_model_draft *draft = &reader->drafts[i], *before = i ? draft - 1 : NULL;
        models[i] = draft->model;
        if (before && draft->model.name && before->model.name && strcmp(draft->model.name, before->model.name) == 0)
            ITEM_MISTAKE(reader, draft->index, draft->name_line, "models[].name",
                         "\"%.64s\" is models[%zu]'s name too; keep one", draft->model.name, before->index);
    }
    reader->config->models = models;
}

/* NULL, or why no request could ever be in a namespace of that name. */
static const char *name_fault(const char *name)
{
    if (strlen(name) > RM_NAMESPACE_BYTES_MAX)
        return "is longer than 128 bytes; shorten it";
    for (const char *c = name; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            return "holds a byte outside printable ASCII; no header can say it";
    return NULL;
}
_Static_assert(RM_NAMESPACE_BYTES_MAX == 128, "as the message says");

static void check_namespace(rm_config_reader *reader, size_t index)
{
    const rm_config_namespace *space = &reader->namespaces[index];
    const char *fault = space->name ? name_fault(space->name) : NULL;

    if (fault)
        ITEM_MISTAKE(reader, index, space->line, "cache.namespaces[].name", "\"%.64s\" %s", space->name, fault);
    if (space->match_path && space->match_path[0] != '/')
        ITEM_MISTAKE(reader, index, space->path_line, "cache.namespaces[].match.path",
                     "\"%.64s\" is no path; begin it with /, as in /v1/messages", space->match_path);
    for (size_t i = 0; i < index; i++)
        if (space->name && reader->namespaces[i].name && strcmp(space->name, reader->namespaces[i].name) == 0) {
            ITEM_MISTAKE(reader, index, space->line, "cache.namespaces[].name",
                         "\"%.64s\" is cache.namespaces[%zu]'s name too; give each its own", space->name, i);
            return;
        }
}

/* What a row leaves out is the global value, which may stand further down in the file. */
static void finish_namespaces(rm_config_reader *reader)
{
    rm_config *config = reader->config;

    config->cache.namespaces = reader->namespaces;
    for (size_t i = 0; i < config->cache.namespace_count; i++) {
        rm_config_namespace *space = &reader->namespaces[i];
        check_namespace(reader, i);
        if (space->semantic == RM_CONFIG__OPEN_MODE)
            space->semantic = config->cache.semantic.mode;
        if (space->max_error < 0)
            space->max_error = config->cache.semantic.max_error;
        if (space->ttl_ms == RM_CONFIG__OPEN_MS)
            space->ttl_ms = config->cache.exact.ttl_ms;
        if (space->semantic_ttl_ms == RM_CONFIG__OPEN_MS)
            space->semantic_ttl_ms = config->cache.semantic.ttl_ms;
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static bool is_wildcard(rm_slice host)
{
    return host.len == 0 || rm_slice_eq(host, RM_SLICE("0.0.0.0")) || rm_slice_eq(host, RM_SLICE("[::]"));
}

static bool addresses_clash(const char *a, const char *b)
{
    const char *colon_a = strrchr(a, ':'), *colon_b = strrchr(b, ':');

    if (strncmp(a, "unix:", 5) == 0 || strncmp(b, "unix:", 5) == 0)
        return strcmp(a, b) == 0;
    if (!colon_a || !colon_b || strcmp(colon_a, colon_b) != 0 || strcmp(colon_a, ":0") == 0)
        return false;
    rm_slice host_a = {a, (size_t)(colon_a - a)}, host_b = {b, (size_t)(colon_b - b)};
    return rm_slice_eq(host_a, host_b) || is_wildcard(host_a) || is_wildcard(host_b);
}

static unsigned line_of(const rm_config_reader *reader, const char *path)
{
    return reader->option_lines[rm_config__option_find(path) - rm_config__options];
}

static void check_whole(rm_config_reader *reader)
{
    rm_config *config = reader->config;

    config->prices_line = line_of(reader, "prices");
    config->cache.exact.mode_line = line_of(reader, "cache.exact.mode");
    config->cache.semantic.model_line = line_of(reader, "cache.semantic.model");
    if (config->listen && config->admin && addresses_clash(config->listen, config->admin))
        rm_config__mistake(reader, line_of(reader, "admin") ? line_of(reader, "admin") : line_of(reader, "listen"),
                           "admin", "\"%s\" is taken by listen (%s); give it another port", config->admin,
                           config->listen);
}

/* Without `upstreams`: OpenAI, or what OPENAI_BASE_URL says, with the caller's own key. */
static void add_default_upstream(rm_config_reader *reader)
{
    rm_config_upstream *upstream = rm_arena_calloc(&reader->config->arena, sizeof(*upstream));
    const rm_config_option *url = rm_config__option_find("upstreams[].base_url");

    reader->upstreams = upstream;
    if (!upstream || !rm_config__set_defaults(reader, "upstreams[].", upstream)) {
        reader->fatal = RM_ENOMEM;
        return;
    }
    upstream->name = "openai";
    reader->index = 0;
    reader->config->upstream_count = 1;
    if (rm_config__expand(reader, 1, url->path, RM_SLICE("${OPENAI_BASE_URL:-https://api.openai.com/v1}")) &&
        rm_config__set(reader, url, upstream, rm_buf_slice(&reader->value), 1))
        rm_config__finish_upstream(reader, 0);
}

void rm_config__finish(rm_config_reader *reader)
{
    if (!reader->upstreams)
        add_default_upstream(reader);
    if (reader->fatal != RM_OK)
        return;
    reader->config->upstreams = reader->upstreams;
    check_upstream_names(reader);
    finish_models(reader);
    finish_namespaces(reader);
    check_whole(reader);
}
