/* What the mock was asked so far, for /stats. Counting is bounded: questions and models beyond the limits are summed. */
#include "mock_internal.h"

typedef struct mock_model {
    uint64_t count;
    size_t name_len;
    char name[];
} mock_model;

#define PROMPTS_SHOWN 1000

void rm_mock__stats_init(rm_mock_stats *stats)
{
    *stats = (rm_mock_stats){0};
    rm_map_init(&stats->prompts);
    rm_map_init(&stats->models);
    rm_buf_init(&stats->last_head, RM_MOCK_LAST_BYTES_MAX);
    rm_buf_init(&stats->last_body, RM_MOCK_BODY_BYTES_MAX);
}

void rm_mock__stats_deinit(rm_mock_stats *stats)
{
    size_t cursor = 0;
    rm_key128 key;
    void *value;
    while (rm_map_next(&stats->models, &cursor, &key, &value))
        rm_free(value);
    rm_map_deinit(&stats->models);
    rm_map_deinit(&stats->prompts);
    rm_buf_deinit(&stats->last_head);
    rm_buf_deinit(&stats->last_body);
}

void rm_mock__stats_reset(rm_mock_stats *stats)
{
    uint64_t active = stats->active;
    rm_mock__stats_deinit(stats);
    rm_mock__stats_init(stats);
    stats->active = stats->active_max = active;
}

static void count_prompt(rm_mock_stats *stats, uint64_t ref)
{
    rm_key128 key = {1, ref};
    uint64_t count = (uint64_t)(uintptr_t)rm_map_get(&stats->prompts, key) + 1;
    bool room = count > 1 || stats->prompts.count < RM_MOCK_PROMPTS_MAX;
    if (!room || rm_map_put(&stats->prompts, key, (void *)(uintptr_t)count) != RM_OK)
        stats->prompts_uncounted++;
    else if (count > stats->prompt_max)
        stats->prompt_max = count;
}

static void count_model(rm_mock_stats *stats, rm_slice name)
{
    rm_key128 key = rm_hash128(name);
    mock_model *model = rm_map_get(&stats->models, key);
    if (!model && stats->models.count < RM_MOCK_MODELS_MAX && (model = rm_alloc(sizeof(*model) + name.len))) {
        model->count = 0;
        model->name_len = name.len;
        if (name.len > 0)
            memcpy(model->name, name.ptr, name.len);
        if (rm_map_put(&stats->models, key, model) != RM_OK) {
            rm_free(model);
            return;
        }
    }
    if (model)
        model->count++;
}

void rm_mock__stats_question(rm_mock_stats *stats, const rm_mock_question *question)
{
    stats->streams += question->stream;
    count_prompt(stats, question->ref);
    count_model(stats, question->model);
}

void rm_mock__stats_keep(rm_mock_stats *stats, const rm_http_head *head, rm_slice body)
{
    rm_mock_script echo;
    rm_mock__script_init(&echo);
    rm_slice kept = body.len <= RM_MOCK_LAST_BYTES_MAX ? body : rm_slice_make(body.ptr, RM_MOCK_LAST_BYTES_MAX);
    rm_buf_clear(&stats->last_body);
    if (rm_mock__render_echo(head, kept, &echo) == RM_OK)
        rm_buf_append_slice(&stats->last_body, rm_buf_slice(&echo.bytes));
    rm_mock__script_deinit(&echo);
}

static void append_ops(const rm_mock_stats *stats, rm_buf *out)
{
    static const char *const names[RM_OP_COUNT] = {"other",     "chat",     "completions", "embeddings",
                                                   "responses", "messages", "models"};
    rm_buf_append_cstr(out, ",\"by_path\":{");
    for (int i = 0; i < RM_OP_COUNT; i++)
        rm_buf_appendf(out, "%s\"%s\":%llu", i ? "," : "", names[i], (unsigned long long)stats->ops[i]);
    rm_buf_append_cstr(out, "},\"by_status\":{");
    const char *comma = "";
    for (size_t i = 0; i < RM_COUNT(stats->statuses); i++) {
        if (stats->statuses[i] == 0)
            continue;
        rm_buf_appendf(out, "%s\"%zu\":%llu", comma, i, (unsigned long long)stats->statuses[i]);
        comma = ",";
    }
    rm_buf_append_char(out, '}');
}

static void append_models(const rm_mock_stats *stats, rm_buf *out)
{
    size_t cursor = 0;
    rm_key128 key;
    void *value;
    const char *comma = "";
    rm_buf_append_cstr(out, ",\"by_model\":{");
    while (rm_map_next(&stats->models, &cursor, &key, &value)) {
        const mock_model *model = value;
        rm_buf_append_cstr(out, comma);
        rm_mock__script_append_string(out, rm_slice_make(model->name, model->name_len));
        rm_buf_appendf(out, ":%llu", (unsigned long long)model->count);
        comma = ",";
    }
    rm_buf_append_char(out, '}');
}

static void append_prompts(const rm_mock_stats *stats, bool all, rm_buf *out)
{
    size_t cursor = 0, shown = 0;
    rm_key128 key;
    void *value;
    rm_buf_appendf(out, ",\"prompts_distinct\":%zu,\"prompt_max\":%llu,\"prompts_uncounted\":%llu,\"prompts\":{",
                   stats->prompts.count, (unsigned long long)stats->prompt_max,
                   (unsigned long long)stats->prompts_uncounted);
    while ((all || shown < PROMPTS_SHOWN) && rm_map_next(&stats->prompts, &cursor, &key, &value))
        rm_buf_appendf(out, "%s\"%016llx\":%llu", shown++ ? "," : "", (unsigned long long)key.lo,
                       (unsigned long long)(uintptr_t)value);
    rm_buf_append_char(out, '}');
}

rm_status rm_mock__stats_render(const rm_mock_stats *stats, bool all_prompts, rm_mock_script *script)
{
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"requests", stats->requests}, {"answered", stats->answered},     {"cancelled", stats->cancelled},
        {"faults", stats->faults},     {"streams", stats->streams},       {"events", stats->events},
        {"active", stats->active},     {"active_max", stats->active_max}, {"connections", stats->connections},
        {"bytes_in", stats->bytes_in}, {"bytes_out", stats->bytes_out},
    };
    rm_buf *out = &script->bytes;
    for (size_t i = 0; i < RM_COUNT(counts); i++)
        rm_buf_appendf(out, "%s\"%s\":%llu", i ? "," : "{", counts[i].name, (unsigned long long)counts[i].value);
    append_ops(stats, out);
    append_models(stats, out);
    append_prompts(stats, all_prompts, out);
    rm_buf_append_char(out, '}');
    rm_mock__script_cut(script);
    return out->status;
}
