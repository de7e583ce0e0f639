/* remora cache stats|get|purge: into the cache of a running Remora through its admin address, of a stopped one through
 * its data folder. Both ways give the same JSON, which is printed as it is or as lines for people. */
#include <stdio.h>

#include "app_internal.h"
#include "remora/admin.h"
#include "remora/json.h"

#define ANSWER_BYTES_MAX (256 * RM_MIB) /* one entry's content, escaped */

/* One subcommand's question: the admin target with its body, and the same asked of the folder. */
typedef struct question {
    const rm_config *config;
    const char *target;
    rm_slice body; /* NULL ptr: GET */
    bool writes;
    rm_key128 key;                /* get */
    const rm_store_filter *purge; /* purge */
    rm_status (*ask_store)(const struct question *question, rm_store *store, rm_buf *out);
} question;

static rm_status ask_folder(const question *q, rm_buf *out)
{
    rm_store_options options = {.folder = q->config->data,
                                .bytes_max = q->config->cache.exact.bytes_max,
                                .clock = rm_clock_system(),
                                .read_only = !q->writes,
                                .compress = q->config->cache.exact.compress};
    rm_store *store;

    rm_status status = rm_store_open(&options, &store);
    if (status != RM_OK)
        return status;
    status = q->ask_store(q, store, out);
    rm_store_close(store);
    return status;
}

/* RM_APP_GO: the answer's JSON is in out. */
static int ask(const question *q, rm_buf *out)
{
    int http_status = 0;

    rm_status status = rm_app_http(q->config->admin, q->target, q->body, &http_status, out);
    if (status == RM_OK)
        return http_status == 200 ? RM_APP_GO : rm_app_refused(http_status, rm_buf_slice(out));
    if (status == RM_ECONNECT || status == RM_ENOTFOUND) {
        rm_buf_clear(out);
        status = ask_folder(q, out);
        if (status == RM_OK)
            return RM_APP_GO;
    }
    (void)fprintf(stderr, "remora: nothing from %s or %s: %s\n", q->config->admin, q->config->data,
                  status == RM_ENOTFOUND ? "no entry has that key" : rm_status_text(status));
    return RM_APP_BAD;
}

static rm_status store_stats(const question *q, rm_store *store, rm_buf *out)
{
    rm_store_stats stats;

    (void)q;
    rm_store_get_stats(store, &stats);
    return rm_admin_stats_json(&stats, out);
}

static rm_status store_get(const question *q, rm_store *store, rm_buf *out)
{
    const rm_clock *clock = rm_clock_system();
    rm_store_reader *reader;
    rm_record record;

    rm_status status = rm_store_reader_create(store, &reader);
    if (status != RM_OK)
        return status;
    status = rm_store_get(reader, q->key, &record);
    if (status == RM_OK) {
        status = rm_admin_entry_json(&record, clock->wall_ms(clock), out);
        rm_store_release(reader);
    }
    rm_store_reader_destroy(reader);
    return status;
}

static rm_status store_purge(const question *q, rm_store *store, rm_buf *out)
{
    uint64_t count;

    rm_status status = rm_store_purge(store, q->purge, &count);
    if (status != RM_OK)
        return status;
    return rm_buf_appendf(out, "{\"purged\":%llu}", (unsigned long long)count);
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void print_value(const rm_json *value)
{
    rm_slice text;

    switch (rm_json_typeof(value)) {
    case RM_JSON_STRING:
        text = rm_json_string(value);
        break;
    case RM_JSON_NUMBER:
        text = rm_json_number_text(value);
        break;
    case RM_JSON_BOOL:
        text = rm_slice_cstr(rm_json_bool(value, false) ? "yes" : "no");
        break;
    default:
        text = RM_SLICE("-");
    }
    (void)fwrite(text.ptr, 1, text.len, stdout);
    (void)putchar('\n');
}

/* One line a member; members of an object within as "usage.input_tokens"; `content` last, after a blank line. */
static void print_lines(const rm_json *root)
{
    char name[64];

    for (rm_json_iter it = rm_json_iterate(root); rm_json_iter_next(&it);) {
        if (rm_slice_eq(it.key, RM_SLICE("content")) || rm_slice_eq(it.key, RM_SLICE("request")))
            continue;
        if (rm_json_typeof(it.value) != RM_JSON_OBJECT) {
            (void)printf("%-24.*s ", (int)it.key.len, it.key.ptr);
            print_value(it.value);
            continue;
        }
        for (rm_json_iter in = rm_json_iterate(it.value); rm_json_iter_next(&in);) {
            (void)snprintf(name, sizeof(name), "%.*s.%.*s", (int)it.key.len, it.key.ptr, (int)in.key.len, in.key.ptr);
            (void)printf("%-24s ", name);
            print_value(in.value);
        }
    }
    if (rm_json_get(root, "content")) {
        (void)putchar('\n');
        print_value(rm_json_get(root, "content"));
    }
}

static int print_answer(bool json, rm_slice answer)
{
    const rm_json *root;
    rm_arena arena;
    int code = RM_APP_DONE;

    if (json) {
        (void)fwrite(answer.ptr, 1, answer.len, stdout);
        (void)putchar('\n');
        return RM_APP_DONE;
    }
    rm_arena_init(&arena, NULL, 4 * ANSWER_BYTES_MAX);
    if (rm_json_parse(&arena, answer, &root) == RM_OK)
        print_lines(root);
    else
        code = rm_app_refused(200, answer);
    rm_arena_deinit(&arena);
    return code;
}

static int ask_and_print(const question *q, bool json)
{
    rm_buf out;

    rm_buf_init(&out, ANSWER_BYTES_MAX);
    int code = ask(q, &out);
    if (code == RM_APP_GO)
        code = print_answer(json, rm_buf_slice(&out));
    rm_buf_deinit(&out);
    return code;
}

/* ---- subcommands ------------------------------------------------------------------------------------------------- */

static int cache_stats(int argc, char **argv)
{
    const char *file = NULL;
    bool json = false;
    const rm_app_option options[] = {RM_APP_CONFIG_OPTION(&file), RM_APP_JSON_OPTION(&json)};
    const rm_app_command command = {
        "remora cache stats [-c FILE] [--json]", "How full the cache is.", options, RM_COUNT(options), NULL, 0};
    rm_config *config;

    int code = rm_app_parse(&command, argc, argv);
    if (code != RM_APP_GO)
        return code;
    if (!rm_app_peek_config(file, &config))
        return RM_APP_BAD;
    question q = {.config = config, .target = "/api/cache/stats", .ask_store = store_stats};
    code = ask_and_print(&q, json);
    rm_config_unref(config);
    return code;
}

static int cache_get(int argc, char **argv)
{
    const char *file = NULL, *key = NULL;
    bool json = false;
    const rm_app_option options[] = {RM_APP_CONFIG_OPTION(&file), RM_APP_JSON_OPTION(&json)};
    const rm_app_command command = {"remora cache get [-c FILE] [--json] KEY",
                                    "One entry: what is known of it, and its content.",
                                    options,
                                    RM_COUNT(options),
                                    &key,
                                    1};
    char target[96];
    rm_config *config;
    question q = {.ask_store = store_get, .target = target};

    int code = rm_app_parse(&command, argc, argv);
    if (code != RM_APP_GO)
        return code;
    if (rm_key128_parse(rm_slice_cstr(key), &q.key) != RM_OK)
        return rm_app_usage(&command, "%s is no key; write its 32 hexadecimal digits", key);
    if (!rm_app_peek_config(file, &config))
        return RM_APP_BAD;
    q.config = config;
    (void)snprintf(target, sizeof(target), "/api/cache/entry?key=%s", key);
    code = ask_and_print(&q, json);
    rm_config_unref(config);
    return code;
}

enum { CONDITIONS = 5 };
static const char *const condition_names[CONDITIONS] = {"key", "tenant", "model", "namespace", "older_than"};

/* The conditions given, as the admin API takes them. */
static rm_status purge_body(const char *const *values, bool all, rm_buf *out)
{
    const char *comma = "";

    rm_buf_append_char(out, '{');
    for (size_t i = 0; i < CONDITIONS; i++) {
        if (!values[i])
            continue;
        rm_buf_appendf(out, "%s\"%s\":\"", comma, condition_names[i]);
        rm_buf_append_json_escaped(out, rm_slice_cstr(values[i]));
        rm_buf_append_char(out, '"');
        comma = ",";
    }
    if (all)
        rm_buf_appendf(out, "%s\"all\":true", comma);
    return rm_buf_append_char(out, '}');
}

static int purge(const rm_app_command *command, const rm_config *config, const rm_buf *body, bool json)
{
    const rm_clock *clock = rm_clock_system();
    const char *why = NULL;
    rm_admin_purge what;
    rm_arena arena;
    int code;

    rm_arena_init(&arena, NULL, RM_MIB);
    rm_status status = body->status == RM_OK ? rm_admin_read_purge(rm_buf_slice(body), config->cache.scope,
                                                                   clock->wall_ms(clock), &arena, &what, &why)
                                             : body->status;
    if (status != RM_OK) {
        code = rm_app_usage(command, "%s", why ? why : rm_status_text(status));
    } else {
        question q = {.config = config,
                      .target = "/api/cache/purge",
                      .body = rm_buf_slice(body),
                      .writes = true,
                      .purge = &what.filter,
                      .ask_store = store_purge};
        code = ask_and_print(&q, json);
    }
    rm_arena_deinit(&arena);
    return code;
}

static int cache_purge(int argc, char **argv)
{
    const char *file = NULL, *values[CONDITIONS] = {NULL};
    bool json = false, all = false;
    const rm_app_option options[] = {
        {"--key", "K", "the entry of that key (32 hexadecimal digits)", &values[0], NULL},
        {"--tenant", "T", "entries of that tenant, as logs and reports show it", &values[1], NULL},
        {"--model", "M", "answers of that model", &values[2], NULL},
        {"--namespace", "N", "entries of that namespace (\"\": the default one)", &values[3], NULL},
        {"--older-than", "D", "entries stored longer ago than 10m, 24h, 7d …", &values[4], NULL},
        {"--all", NULL, "every entry", NULL, &all},
        RM_APP_CONFIG_OPTION(&file),
        RM_APP_JSON_OPTION(&json),
    };
    const rm_app_command command = {
        "remora cache purge [-c FILE] [--key K] [--tenant T] [--model M] [--namespace N] [--older-than D] [--all]",
        "Remove the entries that meet every condition given; prints how many.",
        options,
        RM_COUNT(options),
        NULL,
        0};
    rm_config *config;
    rm_buf body;

    int code = rm_app_parse(&command, argc, argv);
    if (code != RM_APP_GO)
        return code;
    if (!rm_app_peek_config(file, &config))
        return RM_APP_BAD;
    rm_buf_init(&body, RM_ADMIN_BODY_BYTES_MAX);
    (void)purge_body(values, all, &body);
    code = purge(&command, config, &body, json);
    rm_buf_deinit(&body);
    rm_config_unref(config);
    return code;
}

int rm_app_cache(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } subcommands[] = {{"stats", cache_stats}, {"get", cache_get}, {"purge", cache_purge}};
    const rm_app_command command = {"remora cache stats|get|purge …",
                                    "Looks into and clears the cache of a running or stopped Remora.\n"
                                    "`remora cache NAME --help` tells more.",
                                    NULL,
                                    0,
                                    NULL,
                                    0};

    for (size_t i = 0; argc > 1 && i < RM_COUNT(subcommands); i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    int code = rm_app_parse(&command, argc, argv);
    return code == RM_APP_GO ? rm_app_usage(&command, "say what to do: stats, get or purge") : code;
}
