/* remora report: what was saved. A running Remora is asked; else its ledger is read. */
#include <stdio.h>

#include "app_internal.h"
#include "remora/admin.h"
#include "remora/json.h"

#define ANSWER_BYTES_MAX (64 * RM_MIB)

/* ---- shared with cmd_cache.c ------------------------------------------------------------------------------------- */

bool rm_app_peek_config(const char *path, rm_config **ret_config)
{
    rm_config_errors errors;

    rm_config_errors_init(&errors);
    rm_status status = rm_config_peek(path, ret_config, &errors);
    if (errors.text.len > 0)
        (void)fprintf(stderr, "%.*s", (int)errors.text.len, errors.text.ptr);
    rm_config_errors_deinit(&errors);
    return status == RM_OK;
}

int rm_app_refused(int http_status, rm_slice body)
{
    const rm_json *root = NULL;
    rm_arena arena;

    rm_arena_init(&arena, NULL, RM_MIB);
    rm_slice message = RM_SLICE_NONE;
    if (rm_json_parse(&arena, body, &root) == RM_OK)
        message = rm_json_string(rm_json_get(rm_json_get(root, "error"), "message"));
    if (message.len > 0)
        (void)fprintf(stderr, "remora: %.*s\n", (int)message.len, message.ptr);
    else
        (void)fprintf(stderr, "remora: the admin address answered %d, and not as Remora does\n", http_status);
    rm_arena_deinit(&arena);
    return RM_APP_BAD;
}

void rm_app_append_query(rm_buf *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    for (; *text; text++) {
        if (strchr(plain, *text))
            rm_buf_append_char(out, *text);
        else
            rm_buf_appendf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

/* ---- report ------------------------------------------------------------------------------------------------------ */

/* Nobody serves: the ledger as the last run left it. */
static rm_status read_ledger(const rm_config *config, uint64_t since_ms, bool json, rm_buf *out)
{
    rm_store_options options = {.folder = config->data,
                                .bytes_max = config->cache.exact.bytes_max,
                                .clock = rm_clock_system(),
                                .read_only = true};
    rm_store *store;

    rm_status status = rm_store_open(&options, &store);
    if (status != RM_OK)
        return status;
    status = (json ? rm_admin_report_json : rm_admin_report_table)(store, NULL, since_ms, out);
    rm_store_close(store);
    return status;
}

static int report(const rm_config *config, const char *since, uint64_t since_ms, bool json, rm_buf *out)
{
    rm_buf target;
    int http_status = 0;

    rm_buf_init(&target, 4096);
    rm_buf_append_cstr(&target, json ? "/api/report?format=json&since=" : "/api/report?format=table&since=");
    rm_app_append_query(&target, since);
    rm_status status = rm_buf_append_char(&target, 0);
    if (status == RM_OK)
        status = rm_app_http(config->admin, target.ptr, RM_SLICE_NONE, &http_status, out);
    rm_buf_deinit(&target);
    if (status == RM_ECONNECT || status == RM_ENOTFOUND)
        status = read_ledger(config, since_ms, json, out);
    else if (status == RM_OK && http_status != 200)
        return rm_app_refused(http_status, rm_buf_slice(out));
    if (status != RM_OK) {
        (void)fprintf(stderr, "remora: no report from %s or %s: %s\n", config->admin, config->data,
                      rm_status_text(status));
        return RM_APP_BAD;
    }
    (void)printf("%.*s%s", (int)out->len, out->ptr, out->len && out->ptr[out->len - 1] == '\n' ? "" : "\n");
    return RM_APP_DONE;
}

int rm_app_report(int argc, char **argv)
{
    const char *file = NULL, *since = "0";
    bool json = false;
    const rm_app_option options[] = {
        RM_APP_CONFIG_OPTION(&file),
        {"--since", "T", "24h, 7d, 2026-11-01, RFC 3339 or a Unix time (default: the beginning)", &since, NULL},
        RM_APP_JSON_OPTION(&json),
    };
    const rm_app_command command = {"remora report [-c FILE] [--since T] [--json]",
                                    "Savings by tenant, model and reason, of a running or stopped Remora.",
                                    options,
                                    RM_COUNT(options),
                                    NULL,
                                    0};
    const rm_clock *clock = rm_clock_system();
    uint64_t since_ms;
    rm_config *config;
    rm_buf out;

    int code = rm_app_parse(&command, argc, argv);
    if (code != RM_APP_GO)
        return code;
    if (rm_admin_parse_since(rm_slice_cstr(since), clock->wall_ms(clock), &since_ms) != RM_OK)
        return rm_app_usage(&command, "--since %s is no time; write 24h, 7d, 2026-11-01, RFC 3339 or a Unix time",
                            since);
    if (!rm_app_peek_config(file, &config))
        return RM_APP_BAD;
    rm_buf_init(&out, ANSWER_BYTES_MAX);
    code = report(config, since, since_ms, json, &out);
    rm_buf_deinit(&out);
    rm_config_unref(config);
    return code;
}
