/* Every option once. From these rows come parsing, defaults, messages, --help, the README's table and /api/config.
 * Rows of one section stand together: the printers rely on it. */
#include "config_internal.h"

static const rm_config_word dialects[] = {
    {"openai", RM_DIALECT_OPENAI}, {"anthropic", RM_DIALECT_ANTHROPIC}, {NULL, 0}};
static const rm_config_word batch_modes[] = {{"auto", RM_BATCH_AUTO}, {"off", RM_BATCH_OFF}, {NULL, 0}};
static const rm_config_word scopes[] = {
    {"key", RM_SCOPE_KEY}, {"team", RM_SCOPE_TEAM}, {"shared", RM_SCOPE_SHARED}, {NULL, 0}};
static const rm_config_word anonymous_words[] = {
    {"private", RM_ANONYMOUS_PRIVATE}, {"shared", RM_ANONYMOUS_SHARED}, {"refuse", RM_ANONYMOUS_REFUSE}, {NULL, 0}};
static const rm_config_word modes[] = {
    {"off", RM_MODE_OFF}, {"shadow", RM_MODE_SHADOW}, {"serve", RM_MODE_SERVE}, {NULL, 0}};
static const rm_config_word exact_modes[] = {{"off", RM_MODE_OFF}, {"serve", RM_MODE_SERVE}, {NULL, 0}};
static const rm_config_word merges[] = {
    {"on", RM_MERGE_ON}, {"deterministic", RM_MERGE_DETERMINISTIC}, {"off", RM_MERGE_OFF}, {NULL, 0}};
static const rm_config_word sampled_words[] = {{"serve", true}, {"bypass", false}, {NULL, 0}};
static const rm_config_word ids_words[] = {{"original", false}, {"fresh", true}, {NULL, 0}};
static const rm_config_word on_off[] = {{"on", true}, {"off", false}, {NULL, 0}};
static const rm_config_word precisions[] = {{"auto", 0}, {"fp32", 1}, {"bf16", 2}, {"int8", 3}, {NULL, 0}};
static const rm_config_word overflows[] = {{"head", RM_LONG_TEXT_HEAD},
                                           {"head_tail", RM_LONG_TEXT_HEAD_TAIL},
                                           {"last_turn", RM_LONG_TEXT_LAST_TURN},
                                           {NULL, 0}};
static const rm_config_word levels[] = {
    {"error", RM_LOG_ERROR}, {"warn", RM_LOG_WARN}, {"info", RM_LOG_INFO}, {"debug", RM_LOG_DEBUG}, {NULL, 0}};
static const rm_config_word capabilities[] = {{"tools", RM_CAP_TOOLS},       {"json_schema", RM_CAP_JSON_SCHEMA},
                                              {"vision", RM_CAP_VISION},     {"streaming", RM_CAP_STREAMING},
                                              {"logprobs", RM_CAP_LOGPROBS}, {NULL, 0}};

static const rm_config_word exact_only_words[] = {
    {"time", RM_EXACT_ONLY_TIME}, {"personal", RM_EXACT_ONLY_PERSONAL}, {NULL, 0}};
/* Bits and words of the semantic cache's guards, which this layer cannot see; tests/unit/cache_markers_test.c compares. */
static const rm_config_word guards[] = {{"numbers", 1 << 0},
                                        {"units", 1 << 1},
                                        {"dates", 1 << 2},
                                        {"negation", 1 << 3},
                                        {"antonym", 1 << 4},
                                        {"aspect", 1 << 5},
                                        {"order", 1 << 6},
                                        {"substitution", 1 << 7},
                                        {"addition", 1 << 8},
                                        {"entity", 1 << 9},
                                        {"code", 1 << 10},
                                        {"quoted", 1 << 11},
                                        {"language", 1 << 12},
                                        {"invisible", 1 << 13},
                                        {"contained", 1 << 14},
                                        {"noise", 1 << 15},
                                        {NULL, 0}};

#define REQUIRED         RM_OPTION_REQUIRED
#define RESTART          RM_OPTION_RESTART
#define TOP(member)      offsetof(rm_config, member)
#define UPSTREAM(member) offsetof(rm_config_upstream, member)
#define MODEL(member)    offsetof(rm_config_model_draft, member)
#define SPACE(member)    offsetof(rm_config_namespace, member)
#define TIMEOUT(name, initial, min, help)                                                          \
    {                                                                                              \
        "timeouts." #name, RM_KIND_MS, 0, TOP(timeouts.name##_ms), initial, min, "24h", NULL, help \
    }

/* clang-format off */
const rm_config_option rm_config__options[] = {
    {"listen", RM_KIND_ADDRESS, RESTART, TOP(listen), "127.0.0.1:8700", NULL, NULL, NULL,
     "where callers connect; :8700 is every address, unix:/path a socket"},
    {"admin", RM_KIND_ADDRESS, RESTART, TOP(admin), "127.0.0.1:8701", NULL, NULL, NULL,
     "metrics, health, API and dashboard; it has no login, so keep it on loopback or behind one"},
    {"data", RM_KIND_PATH, RESTART, TOP(data), "./data", NULL, NULL, NULL,
     "folder for the cache, the ledger and the install secret; made if missing"},
    {"loops", RM_KIND_COUNT, RESTART, TOP(loops), "0", "0", "256", NULL, "event loop threads; 0: one per usable core"},

    {"upstreams[].name", RM_KIND_NAME, REQUIRED, UPSTREAM(name), NULL, NULL, NULL, NULL,
     "what models and reports call it"},
    {"upstreams[].dialect", RM_KIND_CHOICE, 0, UPSTREAM(dialect), "openai", NULL, NULL, dialects,
     "what it speaks"},
    {"upstreams[].base_url", RM_KIND_URL, REQUIRED, UPSTREAM(base_url), NULL, NULL, NULL, NULL,
     "its path stands for the caller's leading /v1; a path outside /v1 goes to its origin unchanged"},
    {"upstreams[].batch", RM_KIND_CHOICE, 0, UPSTREAM(batch), "auto", NULL, NULL, batch_modes,
     "provider batches for work that may wait; realtime where /files or /batches answers 404"},
    {"upstreams[].api_key", RM_KIND_SECRET, 0, UPSTREAM(api_key), NULL, NULL, NULL, NULL,
     "sent in place of the caller's; left out or empty: the caller's own credential goes through"},
    {"upstreams[].ca_file", RM_KIND_FILE, 0, UPSTREAM(ca_file), NULL, NULL, NULL, NULL,
     "PEM file of authorities to trust; left out: the system's"},
    {"upstreams[].proxy", RM_KIND_PROXY, 0, UPSTREAM(proxy), NULL, NULL, NULL, NULL,
     "proxy URL; left out: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment"},
    {"upstreams[].tls_verify", RM_KIND_SWITCH, 0, UPSTREAM(tls_verify), "on", NULL, NULL, NULL,
     "check its certificate and name"},
    {"upstreams[].http2", RM_KIND_SWITCH, 0, UPSTREAM(http2), "on", NULL, NULL, NULL,
     "HTTP/2 where TLS agrees on it"},

    {"models[].name", RM_KIND_NAME, REQUIRED, MODEL(model.name), NULL, NULL, NULL, NULL,
     "as callers ask for it; names outside the catalogue go to the first upstream unchanged"},
    {"models[].upstream", RM_KIND_NAME, 0, MODEL(upstream_name), NULL, NULL, NULL, NULL,
     "name of its upstream; left out: the first"},
    {"models[].price.input", RM_KIND_USD, 0, MODEL(model.price_input), NULL, "0", "1000000", NULL,
     "USD per million tokens"},
    {"models[].price.cached_input", RM_KIND_USD, 0, MODEL(model.price_cached_input), NULL, "0", "1000000", NULL,
     "USD per million tokens read from the provider's cache; left out: as input"},
    {"models[].price.output", RM_KIND_USD, 0, MODEL(model.price_output), NULL, "0", "1000000", NULL,
     "USD per million tokens; left out: 0"},
    {"models[].context", RM_KIND_TOKENS, 0, MODEL(model.context_tokens), NULL, "1", "1000000000", NULL,
     "tokens that fit; left out: from the cost map"},
    {"models[].capabilities", RM_KIND_FLAGS, 0, MODEL(model.capabilities), NULL, NULL, NULL, capabilities,
     "left out: from the cost map, else all; []: plain text only"},

    {"prices", RM_KIND_FILE, 0, TOP(prices), NULL, NULL, NULL, NULL,
     "LiteLLM's cost map (JSON); a model's own price wins; left out: a small built-in table"},

    {"cache.scope", RM_KIND_CHOICE, 0, TOP(cache.scope), "key", NULL, NULL, scopes,
     "who may be served from whose entries; team needs trust_gateway_headers"},
    {"cache.anonymous", RM_KIND_CHOICE, 0, TOP(cache.anonymous), "private", NULL, NULL, anonymous_words,
     "callers without a credential: nothing cached, one common scope, or 401"},
    {"cache.exact.mode", RM_KIND_CHOICE, 0, TOP(cache.exact.mode), "serve", NULL, NULL, exact_modes,
     "the exact cache"},
    {"cache.exact.ttl", RM_KIND_MS, 0, TOP(cache.exact.ttl_ms), "7d", "1s", "3650d", NULL,
     "how long an answer is fresh, unless the request says otherwise"},
    {"cache.exact.bytes_max", RM_KIND_BYTES, RESTART, TOP(cache.exact.bytes_max), "2GiB", "1MiB", "16TiB", NULL,
     "size on disk; the least useful entries leave first"},
    {"cache.exact.sampled", RM_KIND_CHOICE_BOOL, 0, TOP(cache.exact.serve_sampled), "serve", NULL, NULL, sampled_words,
     "answers asked for at temperature > 0"},
    {"cache.exact.ids", RM_KIND_CHOICE_BOOL, 0, TOP(cache.exact.fresh_ids), "original", NULL, NULL, ids_words,
     "id and created of a hit: as stored, or new each time"},
    {"cache.exact.store_truncated", RM_KIND_SWITCH, 0, TOP(cache.exact.store_truncated), "off", NULL, NULL, NULL,
     "store answers that ended by length or content_filter too"},
    {"cache.exact.stale_while_revalidate", RM_KIND_MS, 0, TOP(cache.exact.stale_while_revalidate_ms), "0", "0", "3650d",
     NULL, "serve an expired answer this much longer while a new one is fetched (RFC 5861)"},
    {"cache.exact.stale_if_error", RM_KIND_MS, 0, TOP(cache.exact.stale_if_error_ms), "0", "0", "3650d", NULL,
     "serve an expired answer this much longer where the upstream fails (RFC 5861)"},
    {"cache.exact.compress", RM_KIND_SWITCH, RESTART, TOP(cache.exact.compress), "on", NULL, NULL, NULL,
     "zstd for values where it pays"},
    {"cache.semantic.mode", RM_KIND_CHOICE, 0, TOP(cache.semantic.mode), "shadow", NULL, NULL, modes,
     "answers to the same question in other words; shadow measures without serving"},
    {"cache.semantic.max_error", RM_KIND_SHARE, 0, TOP(cache.semantic.max_error), "0.01", "0", "1", NULL,
     "share of all requests that may be answered wrongly by another question's answer"},
    {"cache.semantic.audit", RM_KIND_SHARE, RESTART, TOP(cache.semantic.audit), "0.02", "0", "1", NULL,
     "share of hits that the upstream is asked for all the same, to measure the error"},
    {"cache.semantic.guards_off", RM_KIND_FLAGS, RESTART, TOP(cache.semantic.guards_off), "[]", NULL, NULL, guards,
     "text guards that no longer forbid a hit; each one left out is a kind of wrong answer let through"},
    {"cache.semantic.exact_only", RM_KIND_FLAGS, 0, TOP(cache.semantic.exact_only), "[]", NULL, NULL, exact_only_words,
     "questions with such English words (today, latest, this week; I, my, us) are for the exact cache only"},
    {"cache.semantic.ttl", RM_KIND_MS, 0, TOP(cache.semantic.ttl_ms), "0", "0", "3650d", NULL,
     "an older answer serves exact repeats only; 0: as long as it is kept"},
    {"cache.semantic.hit_delay", RM_KIND_MS, 0, TOP(cache.semantic.hit_delay_ms), "0", "0", "1s", NULL,
     "where tenants share entries (cache.scope team or shared): hold each hit back, so that its timing tells nobody what others asked"},
    {"cache.semantic.model", RM_KIND_NAME, RESTART, TOP(cache.semantic.model), "all-minilm-l6-v2", NULL, NULL, NULL,
     "embedding model"},
    {"cache.namespaces[].name", RM_KIND_NAME, REQUIRED, SPACE(name), NULL, NULL, NULL, NULL,
     "a category: requests that name this namespace (x-remora-cache-namespace), or name none and match"},
    {"cache.namespaces[].match.path", RM_KIND_TEXT, 0, SPACE(match_path), NULL, NULL, NULL, NULL,
     "requests to this path, such as /v1/messages; the first row that matches counts"},
    {"cache.namespaces[].match.model", RM_KIND_NAME, 0, SPACE(match_model), NULL, NULL, NULL, NULL,
     "requests for this model; with path: both must match"},
    {"cache.namespaces[].semantic", RM_KIND_CHOICE, 0, SPACE(semantic), NULL, NULL, NULL, modes,
     "left out: cache.semantic.mode"},
    {"cache.namespaces[].max_error", RM_KIND_SHARE, 0, SPACE(max_error), NULL, "0", "1", NULL,
     "share of this namespace's requests, which have a budget of their own; left out: cache.semantic.max_error"},
    {"cache.namespaces[].ttl", RM_KIND_MS, 0, SPACE(ttl_ms), NULL, "1s", "3650d", NULL, "left out: cache.exact.ttl"},
    {"cache.namespaces[].semantic_ttl", RM_KIND_MS, 0, SPACE(semantic_ttl_ms), NULL, "0", "3650d", NULL,
     "left out: cache.semantic.ttl"},

    {"embed.precision", RM_KIND_CHOICE_TEXT, RESTART, TOP(embed.precision), "auto", NULL, NULL, precisions,
     "number format of the encoder"},
    {"embed.workers", RM_KIND_COUNT, RESTART, TOP(embed.workers), "0", "0", "256", NULL,
     "encoder threads; 0: by cores"},
    {"embed.deadline", RM_KIND_US, 0, TOP(embed.deadline_us), "15ms", "100us", "10s", NULL,
     "a request whose embedding takes longer goes on without the semantic step"},
    {"embed.overflow", RM_KIND_CHOICE, 0, TOP(embed.overflow), "head", NULL, NULL, overflows,
     "what is kept of a text with too many tokens"},

    {"merge.in_flight", RM_KIND_CHOICE, 0, TOP(merge.in_flight), "on", NULL, NULL, merges,
     "identical requests under way share one answer; deterministic: at temperature 0 or with a seed only"},
    {"merge.bytes_max", RM_KIND_BYTES, 0, TOP(merge.bytes_max), "8MiB", "64KiB", "1GiB", NULL,
     "longest answer that late joiners can still get from its start"},
    {"merge.choices", RM_KIND_SWITCH, 0, TOP(merge.choices), "off", NULL, NULL, NULL,
     "merge requests with n > 1 too"},

    {"trust_gateway_headers", RM_KIND_SWITCH, 0, TOP(trust_gateway_headers), "off", NULL, NULL, NULL,
     "LiteLLM's x-litellm-* user, team and key headers refine the tenant; only where callers cannot reach Remora directly"},

    TIMEOUT(header, "30s", "10ms", "from a request's first byte to the end of its head"),
    TIMEOUT(body, "30s", "10ms", "longest wait for more of a request's body"),
    TIMEOUT(idle, "75s", "10ms", "an open connection between requests"),
    TIMEOUT(connect, "10s", "10ms", "to connect to an upstream, TLS included"),
    TIMEOUT(first_byte, "300s", "10ms", "from the request's last byte to the answer's first"),
    TIMEOUT(stream_idle, "120s", "10ms", "longest silence inside an upstream's answer"),
    TIMEOUT(total, "0", "0", "a whole upstream call; 0: no such limit"),
    TIMEOUT(silence_comment, "15s", "0", "after so long a silence a stream's caller gets a comment line; 0: never"),
    TIMEOUT(drain, "30s", "0", "how long a stop waits for requests under way"),

    {"retries.per_request", RM_KIND_COUNT, 0, TOP(retries.per_request), "2", "0", "10", NULL,
     "tries after the first, before the first byte only"},
    {"retries.budget", RM_KIND_SHARE, 0, TOP(retries.budget), "0.10", "0", "1", NULL,
     "retries as a share of recent requests"},
    {"retries.budget_min", RM_KIND_COUNT, 0, TOP(retries.budget_min), "10", "0", "1000000", NULL,
     "retries allowed whatever the share"},

    {"limits.connections", RM_KIND_COUNT, 0, TOP(limits.connections), "16384", "1", "16384", NULL,
     "callers' connections per loop"},
    {"limits.connections_per_address", RM_KIND_COUNT, 0, TOP(limits.connections_per_address), "4096", "1", "16384", NULL,
     "of one peer address, per loop; loopback is exempt"},

    {"batch.embeddings_window", RM_KIND_US, 0, TOP(batch.embeddings_window_us), "3ms", "0", "1s", NULL,
     "embedding requests that come within it go up as one"},
    {"batch.deferred.mode", RM_KIND_CHOICE_BOOL, 0, TOP(batch.deferred.on), "on", NULL, NULL, on_off,
     "take requests that may wait (x-remora-deadline)"},
    {"batch.deferred.window", RM_KIND_MS, 0, TOP(batch.deferred.window_ms), "10s", "0", "24h", NULL,
     "how long a batch is gathered"},
    {"batch.deferred.requests_max", RM_KIND_COUNT, 0, TOP(batch.deferred.requests_max), "1000", "1", "50000", NULL,
     "requests in one batch"},

    {"route.mode", RM_KIND_CHOICE, 0, TOP(route.mode), "off", NULL, NULL, modes,
     "send a request to the cheapest model that will do"},

    {"log.access", RM_KIND_PATH, RESTART, TOP(log.access), "stdout", NULL, NULL, NULL,
     "a JSON line per request: stdout, off, or a file (reopened on SIGHUP)"},
    {"log.level", RM_KIND_CHOICE, 0, TOP(log.level), "info", NULL, NULL, levels,
     "diagnostics on standard error"},
    {"log.bodies", RM_KIND_SWITCH, 0, TOP(log.bodies), "off", NULL, NULL, NULL,
     "prompts and answers in the access log"},

    {"cors", RM_KIND_SWITCH, 0, TOP(cors), "off", NULL, NULL, NULL,
     "let web pages of any origin call (with an upstream's api_key set, that spends your money)"},
};
/* clang-format on */
const size_t rm_config__option_count = RM_COUNT(rm_config__options);
_Static_assert(RM_COUNT(rm_config__options) <= RM_CONFIG_OPTIONS_MAX, "option_lines has a place for each");
_Static_assert(sizeof(rm_mode) == sizeof(int) && sizeof(rm_log_level) == sizeof(int), "choices are stored as int");

const rm_config_option *rm_config__option_find(const char *path)
{
    for (size_t i = 0; i < rm_config__option_count; i++)
        if (strcmp(rm_config__options[i].path, path) == 0)
            return &rm_config__options[i];
    return NULL;
}

int rm_config__section_find(const char *section)
{
    size_t len = strlen(section);

    for (size_t i = 0; i < rm_config__option_count; i++)
        if (strncmp(rm_config__options[i].path, section, len) == 0)
            return (int)i;
    return -1;
}

bool rm_config__section_next(const char *section, size_t *cursor, rm_slice *ret_name)
{
    size_t len = strlen(section);
    const char *before = *cursor > 0 ? rm_config__options[*cursor - 1].path : NULL;

    for (; *cursor < rm_config__option_count; ++*cursor) {
        const char *path = rm_config__options[*cursor].path;
        if (strncmp(path, section, len) != 0)
            continue;
        size_t name = strcspn(path + len, ".[");
        /* A subsection has many rows; its name comes once. */
        if (before && strncmp(before, path, len + name) == 0 && strchr(".[", before[len + name]))
            continue;
        *ret_name = rm_slice_make(path + len, name);
        ++*cursor;
        return true;
    }
    return false;
}
