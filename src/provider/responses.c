/* The Responses API: its stream's last event holds the whole body; the other way about, the events that the body's
 * output items would have come in:
 *
 *   response.created, response.in_progress
 *   for each item:  output_item.added
 *                     for each part: content_part.added, its deltas and done, content_part.done
 *                   output_item.done
 *   response.completed | response.incomplete */
#include "provider_internal.h"

/* ---- events to body ---------------------------------------------------------------------------------------------- */

struct state {
    rm_slice response;       /* the body's text, in the arena */
    const rm_json *root;     /* the same, parsed */
    rm_provider__node items; /* output_item.done by output_index */
};

static rm_status take_last(struct state *state, rm_arena *arena, const rm_sse_event *event, const rm_json *root)
{
    rm_json_span span;
    const rm_json *response = rm_json_get(root, "response");
    if (rm_json_typeof(response) != RM_JSON_OBJECT || rm_provider__given(rm_json_get(response, "error")))
        return RM_EPARSE;
    rm_status status = rm_json_find_span(event->data, "response", &span);
    if (status != RM_OK)
        return status == RM_ENOMEM ? RM_ENOMEM : RM_EPARSE;
    rm_slice text = rm_slice_make(event->data.ptr + span.value_begin, span.value_end - span.value_begin);
    state->response = rm_arena_dup(arena, text);
    state->root = response;
    return state->response.ptr ? RM_OK : RM_ENOMEM;
}

static rm_status take_item(struct state *state, rm_arena *arena, const rm_json *root)
{
    rm_provider__node *entry;
    int64_t index = rm_json_i64(rm_json_get(root, "output_index"), -1);
    rm_status status = rm_provider__node_entry(arena, &state->items, index, &entry);
    if (status == RM_OK)
        rm_provider__node_set(entry, rm_json_get(root, "item"));
    return status;
}

static rm_status take(void *user, rm_arena *arena, const rm_sse_event *event)
{
    struct state *state = user;
    const rm_json *root;
    if (!event->has_data || state->root)
        return RM_OK;
    rm_slice type = rm_provider__event_type(event);
    bool last = rm_provider__is(type, "response.completed") || rm_provider__is(type, "response.incomplete");
    bool item = rm_provider__is(type, "response.output_item.done");
    if (rm_provider__is(type, "error") || rm_provider__is(type, "response.failed"))
        return RM_EPARSE;
    if (!last && !item)
        return RM_OK;
    rm_status status = rm_json_parse(arena, event->data, &root);
    if (status != RM_OK)
        return status;
    return last ? take_last(state, arena, event, root) : take_item(state, arena, root);
}

/* Some upstreams end with an empty `output` and mean the items that came before. */
static rm_status finish(void *user, rm_arena *arena, rm_buf *out)
{
    struct state *state = user;
    rm_buf items;
    (void)arena;
    if (!state->root)
        return RM_EPARSE;
    if (state->items.count == 0 || rm_json_count(rm_json_get(state->root, "output")) > 0)
        return rm_buf_append_slice(out, state->response);
    rm_buf_init(&items, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_status status = rm_provider__node_write(&state->items, &items);
    if (status == RM_OK)
        status = rm_json_set_member(state->response, "output", rm_buf_slice(&items), out);
    rm_buf_deinit(&items);
    return status;
}

/* ---- body to events ---------------------------------------------------------------------------------------------- */

struct writer {
    rm_buf *out;
    int64_t sequence, output, part;
    rm_slice item_id;
};

static void begin(struct writer *w, const char *type)
{
    rm_buf_append_cstr(w->out, "event: ");
    rm_buf_append_cstr(w->out, type);
    rm_buf_append_cstr(w->out, "\ndata: {");
    rm_provider__put_member_string(RM_SLICE("type"), rm_slice_cstr(type), w->out);
    rm_provider__put_member_i64(RM_SLICE("sequence_number"), w->sequence++, w->out);
}

static void end(struct writer *w)
{
    rm_buf_append_cstr(w->out, "}\n\n");
}

static void begin_in_item(struct writer *w, const char *type)
{
    begin(w, type);
    rm_provider__put_member_string(RM_SLICE("item_id"), w->item_id, w->out);
    rm_provider__put_member_i64(RM_SLICE("output_index"), w->output, w->out);
}

/* A copy of an object in which some members stand at what they were when it began. */
struct blank {
    const char *name;
    const char *raw;
};

static void put_blanked(rm_slice key, const rm_json *object, const struct blank *blanks, size_t count, rm_buf *out)
{
    rm_provider__put_key(key, out);
    rm_buf_append_char(out, '{');
    for (rm_json_iter it = rm_json_iterate(object); rm_json_iter_next(&it);) {
        const char *raw = NULL;
        for (size_t i = 0; i < count; i++)
            if (rm_provider__is(it.key, blanks[i].name))
                raw = blanks[i].raw;
        rm_provider__put_key(it.key, out);
        if (raw && rm_provider__given(it.value))
            rm_buf_append_cstr(out, raw);
        else
            rm_provider__put_value(it.value, out);
    }
    rm_buf_append_char(out, '}');
}

static void put_begun(struct writer *w, const char *type, const rm_json *body)
{
    static const struct blank blanks[] = {
        {"status", "\"in_progress\""},  {"output", "[]"},         {"usage", "null"},
        {"incomplete_details", "null"}, {"completed_at", "null"}, {"output_text", "\"\""}};
    begin(w, type);
    put_blanked(RM_SLICE("response"), body, blanks, RM_COUNT(blanks), w->out);
    end(w);
}

/* One text that grows within an item: which events say so. `index` names the place in the item, NULL: there is one. */
struct growth {
    const char *delta, *done;
    const char *member;
    const char *index;
};

static void put_growth(struct writer *w, const struct growth *growth, const rm_json *holder, bool logprobs)
{
    const rm_json *text = rm_json_get(holder, growth->member), *probs = rm_json_get(holder, "logprobs");
    for (int done = 0; done < 2; done++) {
        begin_in_item(w, done ? growth->done : growth->delta);
        if (growth->index)
            rm_provider__put_member_i64(rm_slice_cstr(growth->index), w->part, w->out);
        rm_provider__put_key(done ? rm_slice_cstr(growth->member) : RM_SLICE("delta"), w->out);
        rm_provider__put_string(rm_json_string(text), w->out);
        if (logprobs) {
            rm_provider__put_key(RM_SLICE("logprobs"), w->out);
            if (rm_json_typeof(probs) == RM_JSON_ARRAY)
                rm_provider__put_value(probs, w->out);
            else
                rm_buf_append_cstr(w->out, "[]");
        }
        end(w);
    }
}

/* Parts of messages, reasoning and summaries, by type. */
static const struct part_kind {
    const char *type;
    bool logprobs;
    const char *added, *done;
    struct growth growth;
} part_kinds[] = {
    {"output_text",
     true,
     "response.content_part.added",
     "response.content_part.done",
     {"response.output_text.delta", "response.output_text.done", "text", "content_index"}},
    {"refusal",
     false,
     "response.content_part.added",
     "response.content_part.done",
     {"response.refusal.delta", "response.refusal.done", "refusal", "content_index"}},
    {"reasoning_text",
     false,
     "response.content_part.added",
     "response.content_part.done",
     {"response.reasoning_text.delta", "response.reasoning_text.done", "text", "content_index"}},
    {"summary_text",
     false,
     "response.reasoning_summary_part.added",
     "response.reasoning_summary_part.done",
     {"response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "text", "summary_index"}},
};

static void put_part_frame(struct writer *w, const struct part_kind *kind, const rm_json *part, bool done)
{
    static const struct blank blanks[] = {
        {"text", "\"\""}, {"refusal", "\"\""}, {"annotations", "[]"}, {"logprobs", "[]"}};
    begin_in_item(w, done ? kind->done : kind->added);
    rm_provider__put_member_i64(rm_slice_cstr(kind->growth.index), w->part, w->out);
    put_blanked(RM_SLICE("part"), part, blanks, done ? 0 : RM_COUNT(blanks), w->out);
    end(w);
}

static void put_annotations(struct writer *w, const rm_json *annotations)
{
    int64_t index = 0;
    for (rm_json_iter it = rm_json_iterate(annotations); rm_json_iter_next(&it);) {
        begin_in_item(w, "response.output_text.annotation.added");
        rm_provider__put_member_i64(RM_SLICE("content_index"), w->part, w->out);
        rm_provider__put_member_i64(RM_SLICE("annotation_index"), index++, w->out);
        rm_provider__put_member(RM_SLICE("annotation"), it.value, w->out);
        end(w);
    }
}

static void put_parts(struct writer *w, const rm_json *parts)
{
    w->part = 0;
    if (rm_json_typeof(parts) != RM_JSON_ARRAY)
        return;
    for (rm_json_iter it = rm_json_iterate(parts); rm_json_iter_next(&it); w->part++) {
        const struct part_kind *kind = NULL;
        for (size_t i = 0; i < RM_COUNT(part_kinds); i++)
            if (rm_provider__is(rm_json_string(rm_json_get(it.value, "type")), part_kinds[i].type))
                kind = &part_kinds[i];
        if (!kind)
            continue;
        put_part_frame(w, kind, it.value, false);
        put_growth(w, &kind->growth, it.value, kind->logprobs);
        put_annotations(w, rm_json_get(it.value, "annotations"));
        put_part_frame(w, kind, it.value, true);
    }
}

/* Items whose one text grows; what is not here comes whole. */
static const struct {
    const char *type;
    struct growth growth;
} item_growths[] = {
    {"function_call",
     {"response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments", NULL}},
    {"mcp_call", {"response.mcp_call_arguments.delta", "response.mcp_call_arguments.done", "arguments", NULL}},
    {"custom_tool_call",
     {"response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input", NULL}},
};

static void put_item_growth(struct writer *w, const rm_json *item)
{
    rm_slice type = rm_json_string(rm_json_get(item, "type"));
    for (size_t i = 0; i < RM_COUNT(item_growths); i++)
        if (rm_provider__is(type, item_growths[i].type))
            put_growth(w, &item_growths[i].growth, item, false);
}

static void put_item_frame(struct writer *w, const rm_json *item, bool done)
{
    static const struct blank blanks[] = {
        {"status", "\"in_progress\""}, {"content", "[]"}, {"summary", "[]"},
        {"arguments", "\"\""},         {"input", "\"\""}, {"encrypted_content", "\"\""}};
    begin(w, done ? "response.output_item.done" : "response.output_item.added");
    rm_provider__put_member_i64(RM_SLICE("output_index"), w->output, w->out);
    put_blanked(RM_SLICE("item"), item, blanks, done ? 0 : RM_COUNT(blanks), w->out);
    end(w);
}

static rm_status to_events(const rm_json *body, bool include_usage, rm_buf *out)
{
    struct writer w = {.out = out};
    const rm_json *output = rm_json_get(body, "output");
    rm_slice status = rm_json_string(rm_json_get(body, "status"));
    bool whole = rm_provider__is(status, "completed");
    (void)include_usage;
    if (rm_json_typeof(output) != RM_JSON_ARRAY || (!whole && !rm_provider__is(status, "incomplete")))
        return RM_EPARSE;
    put_begun(&w, "response.created", body);
    put_begun(&w, "response.in_progress", body);
    for (rm_json_iter it = rm_json_iterate(output); rm_json_iter_next(&it); w.output++) {
        if (rm_json_typeof(it.value) != RM_JSON_OBJECT)
            return RM_EPARSE;
        w.item_id = rm_json_string(rm_json_get(it.value, "id"));
        put_item_frame(&w, it.value, false);
        put_parts(&w, rm_json_get(it.value, "summary"));
        put_parts(&w, rm_json_get(it.value, "content"));
        put_item_growth(&w, it.value);
        put_item_frame(&w, it.value, true);
    }
    begin(&w, whole ? "response.completed" : "response.incomplete");
    rm_provider__put_member(RM_SLICE("response"), body, out);
    end(&w);
    return out->status;
}

const rm_provider__form rm_provider__form_responses = {sizeof(struct state), take, finish, to_events};
