/* remora check: every mistake of a configuration, then whether its upstreams can be reached. */
#include <stdio.h>
#include <stdlib.h>

#include "app_internal.h"
#include "remora/provider.h"

#define PROBE_TIMEOUT_MS 2000

typedef struct finding {
    const rm_config_upstream *upstream;
    const char *text; /* what is wrong; NULL: reachable */
    bool tried;
} finding;

/* ---- upstreams --------------------------------------------------------------------------------------------------- */

/* Host and port of "https://host:port", "http://[::1]". */
static void split_origin(const char *origin, char *host, size_t host_bytes, char *port, size_t port_bytes)
{
    const char *authority = strstr(origin, "://") + 3;
    const char *close = authority[0] == '[' ? strchr(authority, ']') : NULL;
    const char *colon = strchr(close ? close : authority, ':');
    size_t len = colon ? (size_t)(colon - authority) : strlen(authority);

    if (close) {
        authority++;
        len = (size_t)(close - authority);
    }
    (void)snprintf(host, host_bytes, "%.*s", (int)len, authority);
    (void)snprintf(port, port_bytes, "%s", colon ? colon + 1 : strncmp(origin, "https:", 6) == 0 ? "443" : "80");
}

static bool goes_through_proxy(const rm_config_upstream *upstream)
{
    static const char *const names[] = {"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"};

    if (upstream->proxy)
        return true;
    if (strncmp(upstream->base_url, "http:", 5) == 0)
        return getenv("http_proxy") != NULL;
    for (size_t i = 0; i < RM_COUNT(names); i++)
        if (getenv(names[i]))
            return true;
    return false;
}

static void probe(finding *f)
{
    const rm_config_upstream *upstream = f->upstream;
    char host[256], port[8];

    if (goes_through_proxy(upstream))
        return;
    f->tried = true;
    split_origin(upstream->origin, host, sizeof(host), port, sizeof(port));
    rm_status status = rm_app_probe(host, port, PROBE_TIMEOUT_MS);
    if (status != RM_OK)
        f->text = status == RM_ENOTFOUND ? "no such host" : rm_status_text(status);
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void append_quoted(rm_buf *out, rm_slice text)
{
    rm_buf_append_char(out, '"');
    rm_buf_append_json_escaped(out, text);
    rm_buf_append_char(out, '"');
}

/* "FILE:LINE: PATH: what" as an object. */
static void append_mistake(rm_buf *out, rm_slice line, size_t file_bytes)
{
    rm_slice rest = {line.ptr + file_bytes + 1, line.len - file_bytes - 1};
    const char *number_end = rm_slice_find(rest, RM_SLICE(": "));
    if (!number_end)
        return;
    rm_slice number = {rest.ptr, (size_t)(number_end - rest.ptr)};
    rest = rm_slice_make(number_end + 2, rest.len - number.len - 2);
    const char *path_end = rm_slice_find(rest, RM_SLICE(": "));
    if (!path_end)
        return;
    rm_slice path = {rest.ptr, (size_t)(path_end - rest.ptr)};
    rm_buf_append_cstr(out, "{\"line\":");
    rm_buf_append_slice(out, number);
    rm_buf_append_cstr(out, ",\"path\":");
    append_quoted(out, path);
    rm_buf_append_cstr(out, ",\"what\":");
    append_quoted(out, rm_slice_make(path_end + 2, rest.len - path.len - 2));
    rm_buf_append_char(out, '}');
}

static void append_findings(rm_buf *out, const finding *findings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const finding *f = &findings[i];
        rm_buf_appendf(out, "%s{\"name\":", i ? "," : "");
        append_quoted(out, rm_slice_cstr(f->upstream->name));
        rm_buf_append_cstr(out, ",\"base_url\":");
        append_quoted(out, rm_slice_cstr(f->upstream->base_url));
        rm_buf_appendf(out, ",\"reachable\":%s}", !f->tried ? "null" : f->text ? "false" : "true");
    }
}

static void append_mistakes(rm_buf *out, rm_slice lines, const char *file)
{
    const char *comma = "";
    rm_slice line;

    while (rm_slice_split(&lines, '\n', &line)) {
        if (line.len <= strlen(file))
            continue;
        rm_buf_append_cstr(out, comma);
        append_mistake(out, line, strlen(file));
        comma = ",";
    }
}

static void print_json(const char *file, const rm_config_errors *errors, rm_slice warnings, const finding *findings,
                       size_t count)
{
    const char *name = file ? file : "(defaults)";
    rm_buf out;

    rm_buf_init(&out, RM_MIB);
    rm_buf_appendf(&out, "{\"ok\":%s,\"file\":", errors->count ? "false" : "true");
    append_quoted(&out, rm_slice_cstr(name));
    rm_buf_appendf(&out, ",\"mistake_count\":%zu,\"mistakes\":[", errors->count);
    append_mistakes(&out, rm_buf_slice(&errors->text), name);
    rm_buf_append_cstr(&out, "],\"warnings\":[");
    append_mistakes(&out, warnings, name);
    rm_buf_append_cstr(&out, "],\"upstreams\":[");
    append_findings(&out, findings, count);
    if (rm_buf_append_cstr(&out, "]}\n") == RM_OK)
        (void)fwrite(out.ptr, 1, out.len, stdout);
    rm_buf_deinit(&out);
}

static void print_mistakes(const rm_config_errors *errors)
{
    if (errors->text.len > 0) /* all in one write, so that a log keeps them together */
        (void)fwrite(errors->text.ptr, 1, errors->text.len, stderr);
    if (errors->count > RM_CONFIG_ERRORS_MAX)
        (void)fprintf(stderr, "... and %zu more\n", errors->count - RM_CONFIG_ERRORS_MAX);
}

static void print_summary(const char *file, const rm_config *config, rm_slice warnings, const finding *findings,
                          size_t count)
{
    if (warnings.len > 0)
        (void)fwrite(warnings.ptr, 1, warnings.len, stdout);
    for (size_t i = 0; i < count; i++)
        if (findings[i].text)
            (void)printf(
                "%s:%u: upstreams[%zu].base_url: warning: upstream %s does not answer at %s (%s); start it, or "
                "mend the address\n",
                file ? file : "(defaults)", findings[i].upstream->url_line, i, findings[i].upstream->name,
                findings[i].upstream->origin, findings[i].text);
        else if (!findings[i].tried)
            (void)printf("note: upstream %s goes through a proxy and was not tried\n", findings[i].upstream->name);
    (void)printf("%s: ok: listen %s, admin %s, data %s, %u loop%s, %zu upstream%s, %zu model%s\n",
                 file ? file : "(defaults)", config->listen, config->admin, config->data, config->loops,
                 config->loops == 1 ? "" : "s", config->upstream_count, config->upstream_count == 1 ? "" : "s",
                 config->model_count, config->model_count == 1 ? "" : "s");
}

/* ---- the cost map --------------------------------------------------------------------------------------------------- */

/* serve does without a cost map that cannot be read; whoever asks is told. */
static rm_status check_prices(const char *file, const rm_config *config, rm_config_errors *errors)
{
    rm_prices *prices = NULL;
    size_t skipped;

    if (!config->prices)
        return RM_OK;
    rm_status status = rm_prices_load(config->prices, &prices, &skipped);
    rm_prices_destroy(prices);
    if (status == RM_OK)
        return RM_OK;
    errors->count++;
    rm_buf_appendf(&errors->text,
                   "%s:%u: prices: \"%s\" is no cost map (%s); name a file like LiteLLM's "
                   "model_prices_and_context_window.json\n",
                   file ? file : "(defaults)", config->prices_line, config->prices, rm_status_text(status));
    return status;
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

/* serve does without a model that cannot be opened; whoever asks is told. */
static rm_status check_model(const char *file, unsigned line, const char *path, const char *name,
                             rm_config_errors *errors)
{
    rm_model *model = NULL;
    rm_buf why;

    rm_buf_init(&why, 4 * RM_KIB);
    rm_status status = rm_app_load_model(name, RM_PRECISION_AUTO, &model, &why);
    rm_model_close(model);
    if (status != RM_OK) {
        errors->count++;
        rm_buf_appendf(&errors->text, "%s:%u: %s: %.*s\n", file ? file : "(defaults)", line ? line : 1, path,
                       (int)why.len, why.ptr ? why.ptr : "");
    }
    rm_buf_deinit(&why);
    return status;
}

static rm_status check_models(const char *file, const rm_config *config, rm_config_errors *errors)
{
    char path[64], folder[4096];
    rm_status worst = RM_OK, status;

    for (size_t i = 0; i < config->model_count; i++) {
        const rm_config_model *model = &config->models[i];
        if (model->upstream != &rm_config_local)
            continue;
        (void)snprintf(path, sizeof(path), "models[%u].name", model->index);
        status = check_model(file, model->line, path, model->name + strlen(RM_CONFIG_LOCAL), errors);
        worst = status != RM_OK ? status : worst;
    }
    const char *semantic = config->cache.semantic.model;
    unsigned line = config->cache.semantic.model_line;
    /* Nobody chose the default: without it the semantic cache is off, and nothing else. */
    if (!rm_config_uses_semantic(config) || (!line && !rm_model_find(semantic, folder, sizeof(folder))))
        return worst;
    status = check_model(file, line, "cache.semantic.model", semantic, errors);
    return status != RM_OK ? status : worst;
}

/* Both, so that all mistakes come at once. */
static rm_status check_files(const char *file, const rm_config *config, rm_config_errors *errors)
{
    rm_status prices = check_prices(file, config, errors), models = check_models(file, config, errors);
    return prices != RM_OK ? prices : models;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

/* The option that says serve; false: none does. */
static bool find_server(const rm_config *config, char *path, size_t path_bytes)
{
    if (config->cache.semantic.mode == RM_MODE_SERVE) {
        (void)snprintf(path, path_bytes, "cache.semantic.mode");
        return true;
    }
    for (size_t i = 0; i < config->cache.namespace_count; i++)
        if (config->cache.namespaces[i].semantic == RM_MODE_SERVE) {
            (void)snprintf(path, path_bytes, "cache.namespaces[%zu].semantic", i);
            return true;
        }
    return false;
}

/* What is allowed, and yet cannot be what was meant. */
static void find_warnings(const char *file, const rm_config *config, rm_buf *out)
{
    const char *name = file ? file : "(defaults)";
    char path[64];

    if (config->cache.exact.mode == RM_MODE_OFF && find_server(config, path, sizeof(path)))
        rm_buf_appendf(out,
                       "%s:%u: cache.exact.mode: warning: is off while %s is serve: no answer is kept that could be "
                       "served; write serve here, or off there\n",
                       name, config->cache.exact.mode_line, path);
    for (size_t i = 0; i < config->cache.namespace_count; i++) {
        const rm_config_namespace *space = &config->cache.namespaces[i];
        if (space->match_path && rm_provider_op(RM_METHOD_POST, rm_slice_cstr(space->match_path)) == RM_OP_OTHER)
            rm_buf_appendf(out,
                           "%s:%u: cache.namespaces[%zu].match.path: warning: nothing of \"%.64s\" is cached; write a "
                           "path such as /v1/chat/completions\n",
                           name, space->path_line, i, space->match_path);
    }
}

static void check_upstreams(const char *file, const rm_config *config, const rm_config_errors *errors, bool json,
                            bool offline)
{
    static finding findings[RM_UPSTREAMS_MAX];
    size_t count = offline ? 0 : config->upstream_count;

    for (size_t i = 0; i < count; i++) {
        findings[i] = (finding){.upstream = &config->upstreams[i]};
        probe(&findings[i]);
    }
    rm_buf warnings;
    rm_buf_init(&warnings, RM_MIB);
    find_warnings(file, config, &warnings);
    if (json)
        print_json(file, errors, rm_buf_slice(&warnings), findings, count);
    else
        print_summary(file, config, rm_buf_slice(&warnings), findings, count);
    rm_buf_deinit(&warnings);
}

int rm_app_check(int argc, char **argv)
{
    const char *file = NULL;
    bool json = false, offline = false;
    const rm_app_option options[] = {
        RM_APP_CONFIG_OPTION(&file),
        {"--offline", NULL, "do not try to reach the upstreams", NULL, &offline},
        RM_APP_JSON_OPTION(&json),
    };
    const rm_app_command command = {"remora check [-c FILE] [--offline] [--json]",
                                    "Tells every mistake of a configuration, each with its line and how to mend it,\n"
                                    "and which upstreams cannot be reached.",
                                    options,
                                    RM_COUNT(options),
                                    NULL,
                                    0};
    rm_config *config = NULL;
    rm_config_errors errors;

    int code = rm_app_parse(&command, argc, argv);
    if (code != RM_APP_GO)
        return code;
    (void)setenv("RES_OPTIONS", "timeout:2 attempts:1", 0); /* a dead resolver is a warning, not a long wait */
    rm_config_errors_init(&errors);
    rm_status status = rm_config_load(file, &config, &errors);
    if (status == RM_OK)
        status = check_files(file, config, &errors);
    if (status == RM_OK)
        check_upstreams(file, config, &errors, json, offline);
    else if (json)
        print_json(file, &errors, RM_SLICE_NONE, NULL, 0);
    else
        print_mistakes(&errors);
    rm_config_unref(config);
    rm_config_errors_deinit(&errors);
    return status == RM_OK ? RM_APP_DONE : RM_APP_BAD;
}
