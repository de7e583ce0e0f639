/* Reads answers: whole bodies, and the events of streams as they pass.
 *
 * rm_provider_read_event is on the path of every event. Nearly all of them are deltas, known by their event type
 * (Responses, Messages) or by a scan of the top-level members (chat, completions); only what holds usage, an end or an
 * error is parsed, into a scratch arena, so that a long stream does not grow its exchange. */
#include "provider_internal.h"

#define SCRATCH_BYTES_MAX RM_EXCHANGE_ARENA_BYTES_MAX

void rm_answer_init(rm_answer *answer)
{
    *answer = (rm_answer){.usage = RM_USAGE_UNKNOWN, .finish = RM_FINISH_NONE, .usage_cost_usd = -1};
}

/* ---- chat and completions ---------------------------------------------------------------------------------------- */

/* The members of a chunk that matter, as text. */
struct chunk {
    rm_slice id, model, tier, choices, usage, error, padding;
};

static rm_slice *chunk_field(struct chunk *chunk, rm_slice key)
{
    switch (key.len) {
    case 2:
        return rm_slice_eq(key, RM_SLICE("id")) ? &chunk->id : NULL;
    case 5:
        if (rm_slice_eq(key, RM_SLICE("model")))
            return &chunk->model;
        if (rm_slice_eq(key, RM_SLICE("usage")))
            return &chunk->usage;
        return rm_slice_eq(key, RM_SLICE("error")) ? &chunk->error : NULL;
    case 7:
        return rm_slice_eq(key, RM_SLICE("choices")) ? &chunk->choices : NULL;
    case 11:
        return rm_slice_eq(key, RM_SLICE("obfuscation")) ? &chunk->padding : NULL;
    case 12:
        return rm_slice_eq(key, RM_SLICE("service_tier")) ? &chunk->tier : NULL;
    default:
        return NULL;
    }
}

static bool scan_chunk(rm_slice data, struct chunk *ret_chunk, bool *ret_escaped)
{
    rm_provider__scan scan;
    rm_slice key, value;
    struct chunk chunk = {0};
    int more;
    if (!rm_provider__scan_begin(&scan, data))
        return false;
    while ((more = rm_provider__scan_next(&scan, &key, &value)) > 0) {
        rm_slice *field = chunk_field(&chunk, key);
        if (field && !field->ptr)
            *field = value;
    }
    if (more < 0)
        return false;
    *ret_chunk = chunk;
    *ret_escaped = scan.escaped_key;
    return true;
}

static bool opens(rm_slice value, char c)
{
    return value.len > 0 && value.ptr[0] == c;
}

/* "[]" with any white space. */
static bool is_empty_array(rm_slice value)
{
    if (!opens(value, '['))
        return false;
    for (size_t i = 1; i + 1 < value.len; i++)
        if (value.ptr[i] != ' ' && value.ptr[i] != '\n' && value.ptr[i] != '\t' && value.ptr[i] != '\r')
            return false;
    return true;
}

/* Whether a finish_reason other than null may stand in the text; true when unsure. */
static bool may_finish(rm_slice choices)
{
    static const char name[] = "finish_reason";
    const char *p = choices.ptr, *end = p + choices.len;
    while (p && p < end && (p = memmem(p, (size_t)(end - p), name, sizeof(name) - 1))) {
        p += sizeof(name) - 1;
        rm_slice rest = rm_slice_make(p, (size_t)(end - p));
        if (rm_slice_has_prefix(rest, RM_SLICE("\":null")) || rm_slice_has_prefix(rest, RM_SLICE("\": null")))
            continue;
        return true;
    }
    return false;
}

static void take_choices(rm_slice choices, rm_arena *scratch, rm_answer *answer)
{
    const rm_json *list;
    if (rm_json_parse(scratch, choices, &list) != RM_OK)
        return;
    for (rm_json_iter it = rm_json_iterate(list); rm_json_iter_next(&it);) {
        rm_slice reason = rm_json_string(rm_json_get(it.value, "finish_reason"));
        rm_provider__take_finish(rm_provider__finish_of(reason), answer);
    }
}

static void take_usage_text(rm_dialect dialect, rm_slice text, rm_arena *scratch, rm_answer *answer)
{
    const rm_json *usage;
    if (rm_json_parse(scratch, text, &usage) == RM_OK)
        rm_provider__take_usage(dialect, usage, answer);
}

static void take_names(const struct chunk *chunk, rm_arena *arena, rm_answer *answer)
{
    if (!answer->model.len && chunk->model.len > 2)
        answer->model = rm_provider__scan_string(chunk->model, arena);
    if (!answer->id.len && chunk->id.len > 2)
        answer->id = rm_provider__scan_string(chunk->id, arena);
    if (opens(chunk->tier, '"') && chunk->tier.len > 2 &&
        !rm_slice_eq(answer->service_tier, rm_slice_make(chunk->tier.ptr + 1, chunk->tier.len - 2))) {
        rm_slice tier = rm_provider__scan_string(chunk->tier, arena);
        if (tier.len)
            answer->service_tier = tier;
    }
}

static bool says_error(rm_slice error)
{
    return error.len > 0 && !rm_slice_eq(error, RM_SLICE("null"));
}

static void take_chunk(const struct chunk *chunk, rm_arena *arena, rm_arena *scratch, rm_answer *answer,
                       rm_event_info *info)
{
    take_names(chunk, arena, answer);
    info->padded = chunk->padding.len > 0;
    info->usage_null = rm_slice_eq(chunk->usage, RM_SLICE("null"));
    info->error = says_error(chunk->error);
    answer->error = answer->error || info->error;
    bool empty = is_empty_array(chunk->choices);
    if (chunk->choices.len && !empty && may_finish(chunk->choices))
        take_choices(chunk->choices, scratch, answer);
    if (!opens(chunk->usage, '{'))
        return;
    take_usage_text(RM_DIALECT_OPENAI, chunk->usage, scratch, answer);
    info->usage_only = empty;
    info->has_usage = empty || answer->finish != RM_FINISH_NONE;
}

/* Keys spelt with escapes: the same again over plain text. */
static bool scan_plain(rm_slice data, rm_arena *scratch, struct chunk *ret_chunk)
{
    rm_buf text;
    const rm_json *root;
    bool escaped = false, ok = false;
    rm_buf_init(&text, SCRATCH_BYTES_MAX);
    if (rm_json_parse(scratch, data, &root) == RM_OK && rm_provider__put_value(root, &text) == RM_OK) {
        rm_slice plain = rm_arena_dup(scratch, rm_buf_slice(&text));
        ok = plain.ptr && scan_chunk(plain, ret_chunk, &escaped);
    }
    rm_buf_deinit(&text);
    return ok;
}

static void read_chunk(const rm_sse_event *event, rm_arena *arena, rm_arena *scratch, rm_answer *answer,
                       rm_event_info *info)
{
    struct chunk chunk;
    bool escaped = false;
    if (rm_slice_eq(rm_slice_trim(event->data), RM_SLICE("[DONE]"))) {
        info->terminal = answer->terminal = true;
        return;
    }
    if (!scan_chunk(event->data, &chunk, &escaped))
        return;
    if (escaped && !scan_plain(event->data, scratch, &chunk))
        return;
    take_chunk(&chunk, arena, scratch, answer, info);
    if (rm_slice_eq(event->type, RM_SLICE("error")))
        info->error = answer->error = true;
}

/* ---- Responses and Messages: events by type ---------------------------------------------------------------------- */

static void on_response(const rm_json *root, rm_arena *arena, rm_answer *answer, rm_event_info *info)
{
    const rm_json *response = rm_json_get(root, "response");
    rm_provider__take_response(response, arena, answer);
    info->has_usage = info->terminal && rm_json_typeof(rm_json_get(response, "usage")) == RM_JSON_OBJECT;
}

static void on_message_start(const rm_json *root, rm_arena *arena, rm_answer *answer, rm_event_info *info)
{
    const rm_json *message = rm_json_get(root, "message"), *usage = rm_json_get(message, "usage");
    (void)info;
    rm_provider__take_text(rm_json_string(rm_json_get(message, "model")), arena, &answer->model);
    rm_provider__take_text(rm_json_string(rm_json_get(message, "id")), arena, &answer->id);
    rm_provider__take_text(rm_json_string(rm_json_get(usage, "service_tier")), arena, &answer->service_tier);
    rm_provider__take_usage(RM_DIALECT_ANTHROPIC, usage, answer);
}

static void on_message_delta(const rm_json *root, rm_arena *arena, rm_answer *answer, rm_event_info *info)
{
    (void)arena;
    const rm_json *usage = rm_json_get(root, "usage");
    rm_slice reason = rm_json_string(rm_json_get(rm_json_get(root, "delta"), "stop_reason"));
    rm_provider__take_finish(rm_provider__finish_of(reason), answer);
    rm_provider__take_usage(RM_DIALECT_ANTHROPIC, usage, answer);
    info->has_usage = rm_json_typeof(usage) == RM_JSON_OBJECT;
}

/* What is not here says nothing to the relay. */
static const struct typed {
    rm_slice type;
    rm_op op;
    bool terminal, error;
    void (*take)(const rm_json *root, rm_arena *arena, rm_answer *answer, rm_event_info *info);
} typed_events[] = {
    {RM_SLICE("message_start"), RM_OP_MESSAGES, false, false, on_message_start},
    {RM_SLICE("message_delta"), RM_OP_MESSAGES, false, false, on_message_delta},
    {RM_SLICE("message_stop"), RM_OP_MESSAGES, true, false, NULL},
    {RM_SLICE("error"), RM_OP_MESSAGES, false, true, NULL},
    {RM_SLICE("response.created"), RM_OP_RESPONSES, false, false, on_response},
    {RM_SLICE("response.completed"), RM_OP_RESPONSES, true, false, on_response},
    {RM_SLICE("response.incomplete"), RM_OP_RESPONSES, true, false, on_response},
    {RM_SLICE("response.failed"), RM_OP_RESPONSES, true, true, on_response},
    {RM_SLICE("error"), RM_OP_RESPONSES, false, true, NULL},
};

static const struct typed *typed_event(rm_op op, rm_slice type)
{
    for (size_t i = 0; i < RM_COUNT(typed_events); i++)
        if (typed_events[i].op == op && rm_slice_eq(type, typed_events[i].type))
            return &typed_events[i];
    return NULL;
}

static void read_typed(rm_op op, const rm_sse_event *event, rm_arena *arena, rm_arena *scratch, rm_answer *answer,
                       rm_event_info *info)
{
    const rm_json *root;
    const struct typed *typed = typed_event(op, rm_provider__event_type(event));
    if (op == RM_OP_RESPONSES)
        info->padded = rm_slice_find(event->data, RM_SLICE("\"obfuscation\"")) != NULL;
    if (!typed)
        return;
    info->terminal = typed->terminal;
    info->error = typed->error;
    answer->terminal = answer->terminal || typed->terminal;
    answer->error = answer->error || typed->error;
    if (typed->take && rm_json_parse(scratch, event->data, &root) == RM_OK)
        typed->take(root, arena, answer, info);
}

void rm_provider_read_event(rm_op op, const rm_sse_event *event, rm_arena *arena, rm_answer *answer,
                            rm_event_info *ret_info)
{
    rm_arena scratch;
    *ret_info = (rm_event_info){0};
    if (!event->has_data)
        return;
    rm_arena_init(&scratch, arena->pool, SCRATCH_BYTES_MAX);
    if (op == RM_OP_CHAT || op == RM_OP_COMPLETIONS)
        read_chunk(event, arena, &scratch, answer, ret_info);
    else if (op == RM_OP_RESPONSES || op == RM_OP_MESSAGES)
        read_typed(op, event, arena, &scratch, answer, ret_info);
    rm_arena_deinit(&scratch);
}

/* ---- edits of passing events ------------------------------------------------------------------------------------- */

rm_status rm_provider_clean_event(rm_op op, const rm_sse_event *event, const rm_event_info *info, rm_buf *out)
{
    rm_buf a, b;
    rm_slice data = event->data;
    rm_status status = RM_OK;
    bool null = info->usage_null && (op == RM_OP_CHAT || op == RM_OP_COMPLETIONS);
    if (!null && !info->padded)
        return rm_buf_append_slice(out, event->raw);
    rm_buf_init(&a, data.len + 1);
    rm_buf_init(&b, data.len + 1);
    if (null && (status = rm_json_remove_member(data, "usage", &a)) == RM_OK)
        data = rm_buf_slice(&a);
    if (status == RM_OK && info->padded && (status = rm_json_remove_member(data, "obfuscation", &b)) == RM_OK)
        data = rm_buf_slice(&b);
    if (status == RM_OK)
        status = rm_provider__put_event(event, data, out);
    else if (status == RM_EPARSE) /* what cannot be read passes on as it is */
        status = rm_buf_append_slice(out, event->raw);
    rm_buf_deinit(&a);
    rm_buf_deinit(&b);
    return status;
}

rm_status rm_provider_set_event_cost(rm_op op, const rm_sse_event *event, double cost_usd, rm_buf *out)
{
    char digits[64];
    rm_buf cost = rm_buf_over(digits, sizeof(digits)), data;
    rm_buf_init(&data, event->data.len + 256);
    rm_status status = rm_buf_append_usd(&cost, cost_usd);
    if (status == RM_OK)
        status = rm_json_set_member(event->data, op == RM_OP_RESPONSES ? "response/usage/cost" : "usage/cost",
                                    rm_buf_slice(&cost), &data);
    if (status == RM_OK)
        status = rm_provider__put_event(event, rm_buf_slice(&data), out);
    else if (status == RM_EPARSE || status == RM_ETOOBIG)
        status = rm_buf_append_slice(out, event->raw);
    rm_buf_deinit(&data);
    return status;
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

/* null is what stands there while an answer is being made; some providers leave the member out of a whole one. */
static bool is_open(const rm_json *holder, const char *name)
{
    return rm_json_typeof(rm_json_get(holder, name)) == RM_JSON_NULL;
}

static rm_status body_of_chunks(const rm_json *root, rm_arena *arena, rm_answer *answer)
{
    const rm_json *choices = rm_json_get(root, "choices");
    if (rm_json_typeof(choices) != RM_JSON_ARRAY)
        return RM_EPARSE;
    for (rm_json_iter it = rm_json_iterate(choices); rm_json_iter_next(&it);) {
        rm_slice reason = rm_json_string(rm_json_get(it.value, "finish_reason"));
        rm_provider__take_finish(rm_provider__finish_of(reason), answer);
        if (is_open(it.value, "finish_reason"))
            answer->terminal = false;
    }
    if (rm_json_count(choices) == 0)
        answer->terminal = false;
    rm_provider__take_text(rm_json_string(rm_json_get(root, "model")), arena, &answer->model);
    rm_provider__take_text(rm_json_string(rm_json_get(root, "id")), arena, &answer->id);
    rm_provider__take_text(rm_json_string(rm_json_get(root, "service_tier")), arena, &answer->service_tier);
    rm_provider__take_usage(RM_DIALECT_OPENAI, rm_json_get(root, "usage"), answer);
    return RM_OK;
}

static rm_status body_of_response(const rm_json *root, rm_arena *arena, rm_answer *answer)
{
    if (rm_json_typeof(rm_json_get(root, "output")) != RM_JSON_ARRAY)
        return RM_EPARSE;
    rm_provider__take_response(root, arena, answer);
    if (answer->finish == RM_FINISH_NONE && rm_json_get(root, "status")) /* queued or in_progress */
        answer->terminal = false;
    return RM_OK;
}

static rm_status body_of_message(const rm_json *root, rm_arena *arena, rm_answer *answer)
{
    const rm_json *usage = rm_json_get(root, "usage");
    if (rm_json_typeof(rm_json_get(root, "content")) != RM_JSON_ARRAY)
        return RM_EPARSE;
    rm_slice reason = rm_json_string(rm_json_get(root, "stop_reason"));
    rm_provider__take_finish(rm_provider__finish_of(reason), answer);
    if (is_open(root, "stop_reason"))
        answer->terminal = false;
    rm_provider__take_text(rm_json_string(rm_json_get(root, "model")), arena, &answer->model);
    rm_provider__take_text(rm_json_string(rm_json_get(root, "id")), arena, &answer->id);
    rm_provider__take_text(rm_json_string(rm_json_get(usage, "service_tier")), arena, &answer->service_tier);
    rm_provider__take_usage(RM_DIALECT_ANTHROPIC, usage, answer);
    return RM_OK;
}

/* Embeddings and lists of models are long and tell little: scanned, not parsed. */
static rm_status body_of_list(rm_slice body, rm_arena *arena, rm_answer *answer)
{
    rm_provider__scan scan;
    rm_slice key, value, model = RM_SLICE_NONE, usage = RM_SLICE_NONE, error = RM_SLICE_NONE;
    bool list = false;
    int more;
    if (!rm_provider__scan_begin(&scan, body))
        return RM_EPARSE;
    while ((more = rm_provider__scan_next(&scan, &key, &value)) > 0) {
        if (rm_slice_eq(key, RM_SLICE("data")))
            list = opens(value, '[');
        else if (rm_slice_eq(key, RM_SLICE("model")))
            model = value;
        else if (rm_slice_eq(key, RM_SLICE("usage")))
            usage = value;
        else if (rm_slice_eq(key, RM_SLICE("error")))
            error = value;
    }
    answer->error = says_error(error);
    if (more < 0 || (!list && !answer->error))
        return RM_EPARSE;
    answer->model = rm_provider__scan_string(model, arena);
    take_usage_text(RM_DIALECT_OPENAI, usage, arena, answer);
    if (answer->usage.input_tokens >= 0 && answer->usage.output_tokens < 0)
        answer->usage.output_tokens = 0;
    return RM_OK;
}

rm_status rm_provider_read_body(rm_op op, rm_slice body, rm_arena *arena, rm_answer *ret_answer)
{
    static rm_status (*const readers[RM_OP_COUNT])(const rm_json *, rm_arena *, rm_answer *) = {
        [RM_OP_CHAT] = body_of_chunks,
        [RM_OP_COMPLETIONS] = body_of_chunks,
        [RM_OP_RESPONSES] = body_of_response,
        [RM_OP_MESSAGES] = body_of_message,
    };
    rm_answer answer;
    const rm_json *root;
    rm_answer_init(&answer);
    answer.terminal = true;
    rm_status status;
    if (op == RM_OP_EMBEDDINGS || op == RM_OP_MODELS) {
        status = body_of_list(body, arena, &answer);
    } else if ((unsigned)op >= RM_OP_COUNT || !readers[op]) {
        status = RM_EPARSE;
    } else if ((status = rm_json_parse(arena, body, &root)) == RM_OK) {
        answer.error = rm_provider__given(rm_json_get(root, "error"));
        status = readers[op](root, arena, &answer);
        if (answer.error && status == RM_EPARSE)
            status = RM_OK;
    }
    if (status == RM_OK)
        *ret_answer = answer;
    return status;
}
