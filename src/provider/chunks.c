/* Chat completions and completions: chunks of a stream <-> a body.
 *
 *   {id, …, choices:[{index, delta:{role, content}}]}    first
 *   {id, …, choices:[{index, delta:{content}}]}          …            message = sum of the deltas of an index
 *   {id, …, choices:[{index, delta:{}, finish_reason}]}  each choice
 *   {id, …, choices:[], usage}                           with include_usage
 *   [DONE]
 *
 * Completions are the same with `text` in the place of `delta`. */
#include "provider_internal.h"

struct state {
    bool done;
    rm_provider__node top;     /* members of the body but for choices and object */
    rm_provider__node choices; /* list by index */
};

/* ---- chunks to body ---------------------------------------------------------------------------------------------- */

static rm_status merge_member(rm_arena *arena, rm_provider__node *object, rm_slice key, const rm_json *value)
{
    rm_provider__node *member;
    rm_status status = rm_provider__node_member(arena, object, key, &member);
    return status == RM_OK ? rm_provider__merge(arena, member, value) : status;
}

static rm_status set_member(rm_arena *arena, rm_provider__node *object, rm_slice key, const rm_json *value)
{
    rm_provider__node *member;
    rm_status status = rm_provider__node_member(arena, object, key, &member);
    if (status == RM_OK)
        rm_provider__node_set(member, value);
    return status;
}

static rm_status take_choice_member(rm_arena *arena, bool chat, rm_provider__node *choice, rm_slice key,
                                    const rm_json *value)
{
    if (rm_provider__is(key, "index"))
        return RM_OK;
    if (chat && rm_provider__is(key, "delta")) {
        if (!rm_provider__given(value))
            return RM_OK;
        /* Audio has no one way back: its pieces are encoded one by one. */
        if (rm_json_typeof(value) != RM_JSON_OBJECT || rm_provider__given(rm_json_get(value, "audio")))
            return RM_EPARSE;
        return merge_member(arena, choice, RM_SLICE("message"), value);
    }
    if (rm_provider__is(key, "logprobs") || (!chat && rm_provider__is(key, "text")))
        return merge_member(arena, choice, key, value);
    return set_member(arena, choice, key, value);
}

static rm_status take_choice(struct state *state, rm_arena *arena, bool chat, const rm_json *value)
{
    rm_provider__node *choice;
    if (rm_json_typeof(value) != RM_JSON_OBJECT)
        return RM_EPARSE;
    rm_status status =
        rm_provider__node_entry(arena, &state->choices, rm_json_i64(rm_json_get(value, "index"), 0), &choice);
    for (rm_json_iter it = rm_json_iterate(value); status == RM_OK && rm_json_iter_next(&it);)
        status = take_choice_member(arena, chat, choice, it.key, it.value);
    return status;
}

static rm_status take_chunk(struct state *state, rm_arena *arena, bool chat, const rm_json *root)
{
    rm_status status = RM_OK;
    if (rm_json_typeof(root) != RM_JSON_OBJECT || rm_provider__given(rm_json_get(root, "error")))
        return RM_EPARSE;
    for (rm_json_iter it = rm_json_iterate(root); status == RM_OK && rm_json_iter_next(&it);) {
        if (rm_provider__is(it.key, "choices")) {
            for (rm_json_iter in = rm_json_iterate(it.value); status == RM_OK && rm_json_iter_next(&in);)
                status = take_choice(state, arena, chat, in.value);
        } else if (!rm_provider__is(it.key, "object") && !rm_provider__is(it.key, "obfuscation")) {
            status = set_member(arena, &state->top, it.key, it.value);
        }
    }
    return status;
}

static rm_status take(struct state *state, rm_arena *arena, bool chat, const rm_sse_event *event)
{
    const rm_json *root;
    if (!event->has_data || state->done)
        return RM_OK;
    if (rm_slice_eq(rm_slice_trim(event->data), RM_SLICE("[DONE]"))) {
        state->done = true;
        return RM_OK;
    }
    if (rm_slice_eq(event->type, RM_SLICE("error")))
        return RM_EPARSE;
    rm_status status = rm_json_parse(arena, event->data, &root);
    return status == RM_OK ? take_chunk(state, arena, chat, root) : status;
}

static rm_status chat_take(void *state, rm_arena *arena, const rm_sse_event *event)
{
    return take(state, arena, true, event);
}

static rm_status completions_take(void *state, rm_arena *arena, const rm_sse_event *event)
{
    return take(state, arena, false, event);
}

static void put_node(rm_slice key, const rm_provider__node *node, rm_buf *out)
{
    rm_provider__put_key(key, out);
    rm_provider__node_write(node, out);
}

/* The members that every body has, where the deltas left them out. */
static void put_message(const rm_provider__node *message, rm_buf *out)
{
    rm_buf_append_char(out, '{');
    if (!rm_provider__node_given(rm_provider__node_find(message, "role")))
        rm_provider__put_member_string(RM_SLICE("role"), RM_SLICE("assistant"), out);
    for (const rm_provider__node *member = message->head; member; member = member->next)
        if (!rm_provider__is(member->key, "role") || rm_provider__node_given(member))
            put_node(member->key, member, out);
    if (!rm_provider__node_find(message, "content"))
        rm_provider__put_member(RM_SLICE("content"), NULL, out);
    rm_buf_append_char(out, '}');
}

static rm_status put_choice(const rm_provider__node *choice, bool chat, rm_buf *out)
{
    const rm_provider__node *text = rm_provider__node_find(choice, chat ? "message" : "text");
    bool whole = text && text->kind == (chat ? RM_NODE_OBJECT : RM_NODE_TEXT);
    if (!whole || !rm_provider__node_given(rm_provider__node_find(choice, "finish_reason")))
        return RM_EPARSE;
    rm_buf_append_char(out, '{');
    rm_provider__put_member_i64(RM_SLICE("index"), choice->index, out);
    for (const rm_provider__node *member = choice->head; member; member = member->next) {
        if (!chat || member != text) {
            put_node(member->key, member, out);
            continue;
        }
        rm_provider__put_key(member->key, out);
        put_message(member, out);
    }
    return rm_buf_append_char(out, '}');
}

static rm_status finish(struct state *state, bool chat, rm_buf *out)
{
    rm_slice usage = RM_SLICE("usage"), id = RM_SLICE("id");
    if (!state->done || state->choices.count == 0)
        return RM_EPARSE;
    rm_buf_append_char(out, '{');
    const rm_provider__node *node = rm_provider__node_find(&state->top, "id");
    if (node)
        put_node(id, node, out);
    rm_provider__put_member_string(RM_SLICE("object"), rm_slice_cstr(chat ? "chat.completion" : "text_completion"),
                                   out);
    for (node = state->top.head; node; node = node->next)
        if (!rm_slice_eq(node->key, usage) && !rm_slice_eq(node->key, id))
            put_node(node->key, node, out);
    rm_provider__put_key(RM_SLICE("choices"), out);
    rm_buf_append_char(out, '[');
    for (node = state->choices.head; node; node = node->next) {
        if (node != state->choices.head)
            rm_buf_append_char(out, ',');
        rm_status status = put_choice(node, chat, out);
        if (status != RM_OK)
            return status;
    }
    rm_buf_append_char(out, ']');
    node = rm_provider__node_find(&state->top, "usage");
    if (rm_provider__node_given(node))
        put_node(usage, node, out);
    return rm_buf_append_char(out, '}');
}

static rm_status chat_finish(void *state, rm_arena *arena, rm_buf *out)
{
    (void)arena;
    return finish(state, true, out);
}

static rm_status completions_finish(void *state, rm_arena *arena, rm_buf *out)
{
    (void)arena;
    return finish(state, false, out);
}

/* ---- body to chunks ---------------------------------------------------------------------------------------------- */

/* The stream being written: every chunk repeats these members of the body; what else it has goes with the first. */
struct writer {
    const rm_json *body;
    bool chat, begun;
    rm_buf *out;
};

static const char *const repeated[] = {"id", "created", "model", "service_tier", "system_fingerprint"};

static bool in_list(rm_slice key, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rm_provider__is(key, names[i]))
            return true;
    return false;
}

static void begin_chunk(struct writer *w)
{
    static const char *const written[] = {"choices", "usage", "object"};
    rm_buf_append_cstr(w->out, "data: {");
    for (rm_json_iter it = rm_json_iterate(w->body); rm_json_iter_next(&it);) {
        if (in_list(it.key, written, RM_COUNT(written)))
            continue;
        if (!w->begun || in_list(it.key, repeated, RM_COUNT(repeated)))
            rm_provider__put_member(it.key, it.value, w->out);
    }
    w->begun = true;
    rm_provider__put_member_string(RM_SLICE("object"),
                                   rm_slice_cstr(w->chat ? "chat.completion.chunk" : "text_completion"), w->out);
    rm_provider__put_key(RM_SLICE("choices"), w->out);
    rm_buf_append_char(w->out, '[');
}

static void end_chunk(struct writer *w)
{
    rm_buf_append_cstr(w->out, "]}\n\n");
}

static void begin_choice(struct writer *w, int64_t index, bool delta)
{
    begin_chunk(w);
    rm_buf_append_char(w->out, '{');
    rm_provider__put_member_i64(RM_SLICE("index"), index, w->out);
    if (!delta)
        return;
    rm_provider__put_key(RM_SLICE("delta"), w->out);
    rm_buf_append_char(w->out, '{');
}

static void end_choice(struct writer *w)
{
    rm_provider__put_member(RM_SLICE("finish_reason"), NULL, w->out);
    rm_buf_append_char(w->out, '}');
    end_chunk(w);
}

/* A delta of the members of the message for which `wanted` says true, with the choice's logprobs where asked. */
static void put_delta(struct writer *w, int64_t index, const rm_json *message, bool (*wanted)(rm_slice key),
                      const rm_json *logprobs)
{
    bool any = false;
    for (rm_json_iter it = rm_json_iterate(message); rm_json_iter_next(&it);) {
        if (!wanted(it.key))
            continue;
        if (!any)
            begin_choice(w, index, true);
        any = true;
        rm_provider__put_member(it.key, it.value, w->out);
    }
    if (!any && !logprobs)
        return;
    if (!any)
        begin_choice(w, index, true);
    rm_buf_append_char(w->out, '}');
    if (logprobs)
        rm_provider__put_member(RM_SLICE("logprobs"), logprobs, w->out);
    end_choice(w);
}

/* Reasoning is shown before the answer, so it goes before it. */
static bool is_reasoning(rm_slice key)
{
    return rm_slice_has_prefix(key, RM_SLICE("reasoning"));
}

static bool is_answer(rm_slice key)
{
    return !is_reasoning(key) && !rm_provider__is(key, "role") && !rm_provider__is(key, "tool_calls");
}

static void put_role(struct writer *w, int64_t index, const rm_json *message)
{
    const rm_json *content = rm_json_get(message, "content");
    rm_slice role = rm_json_string(rm_json_get(message, "role"));
    begin_choice(w, index, true);
    rm_provider__put_member_string(RM_SLICE("role"), role.len ? role : RM_SLICE("assistant"), w->out);
    if (rm_json_typeof(content) == RM_JSON_STRING)
        rm_provider__put_member_string(RM_SLICE("content"), RM_SLICE(""), w->out);
    rm_buf_append_char(w->out, '}');
    end_choice(w);
}

static void put_tool_calls(struct writer *w, int64_t index, const rm_json *calls)
{
    int64_t call = 0;
    bool list = rm_json_count(calls) > 0 && rm_json_typeof(calls) == RM_JSON_ARRAY;
    if (!list) {
        begin_choice(w, index, true);
        rm_provider__put_member(RM_SLICE("tool_calls"), calls, w->out);
        rm_buf_append_char(w->out, '}');
        end_choice(w);
        return;
    }
    for (rm_json_iter it = rm_json_iterate(calls); rm_json_iter_next(&it); call++) {
        begin_choice(w, index, true);
        rm_provider__put_key(RM_SLICE("tool_calls"), w->out);
        rm_buf_append_cstr(w->out, "[{");
        rm_provider__put_member_i64(RM_SLICE("index"), call, w->out);
        for (rm_json_iter in = rm_json_iterate(it.value); rm_json_iter_next(&in);)
            if (!rm_provider__is(in.key, "index"))
                rm_provider__put_member(in.key, in.value, w->out);
        rm_buf_append_cstr(w->out, "}]}");
        end_choice(w);
    }
}

/* The last chunk of a choice: why it ended, and what else stands beside its message. */
static void put_end(struct writer *w, int64_t index, const rm_json *choice)
{
    static const char *const chat[] = {"index", "message", "delta", "logprobs"};
    static const char *const completions[] = {"index", "text", "logprobs"};
    const char *const *written = w->chat ? chat : completions;
    size_t count = w->chat ? RM_COUNT(chat) : RM_COUNT(completions);
    const rm_json *logprobs = rm_json_get(choice, "logprobs");
    begin_choice(w, index, false);
    if (w->chat)
        rm_provider__put_key(RM_SLICE("delta"), w->out);
    if (w->chat)
        rm_buf_append_cstr(w->out, "{}");
    else
        rm_provider__put_member_string(RM_SLICE("text"), RM_SLICE(""), w->out);
    if (logprobs)
        rm_provider__put_member(RM_SLICE("logprobs"), NULL, w->out);
    for (rm_json_iter it = rm_json_iterate(choice); rm_json_iter_next(&it);)
        if (!in_list(it.key, written, count))
            rm_provider__put_member(it.key, it.value, w->out);
    rm_buf_append_char(w->out, '}');
    end_chunk(w);
}

static rm_status put_chat(struct writer *w, int64_t index, const rm_json *choice)
{
    const rm_json *message = rm_json_get(choice, "message"), *calls = rm_json_get(message, "tool_calls");
    if (rm_json_typeof(message) != RM_JSON_OBJECT || rm_provider__given(rm_json_get(message, "audio")))
        return RM_EPARSE;
    put_role(w, index, message);
    put_delta(w, index, message, is_reasoning, NULL);
    put_delta(w, index, message, is_answer, rm_json_get(choice, "logprobs"));
    if (calls)
        put_tool_calls(w, index, calls);
    return RM_OK;
}

static rm_status put_text(struct writer *w, int64_t index, const rm_json *choice)
{
    const rm_json *text = rm_json_get(choice, "text"), *logprobs = rm_json_get(choice, "logprobs");
    if (rm_json_typeof(text) != RM_JSON_STRING)
        return RM_EPARSE;
    begin_choice(w, index, false);
    rm_provider__put_member(RM_SLICE("text"), text, w->out);
    if (logprobs)
        rm_provider__put_member(RM_SLICE("logprobs"), logprobs, w->out);
    end_choice(w);
    return RM_OK;
}

static rm_status to_events(const rm_json *body, bool chat, bool include_usage, rm_buf *out)
{
    struct writer w = {.body = body, .chat = chat, .out = out};
    const rm_json *choices = rm_json_get(body, "choices"), *usage = rm_json_get(body, "usage");
    int64_t position = 0;
    if (rm_json_typeof(choices) != RM_JSON_ARRAY || rm_json_count(choices) == 0)
        return RM_EPARSE;
    for (rm_json_iter it = rm_json_iterate(choices); rm_json_iter_next(&it); position++) {
        int64_t index = rm_json_i64(rm_json_get(it.value, "index"), position);
        if (!rm_provider__given(rm_json_get(it.value, "finish_reason")))
            return RM_EPARSE;
        rm_status status = chat ? put_chat(&w, index, it.value) : put_text(&w, index, it.value);
        if (status != RM_OK)
            return status;
        put_end(&w, index, it.value);
    }
    if (include_usage && rm_provider__given(usage)) {
        begin_chunk(&w);
        rm_buf_append_char(out, ']');
        rm_provider__put_member(RM_SLICE("usage"), usage, out);
        rm_buf_append_cstr(out, "}\n\n");
    }
    return rm_buf_append_cstr(out, "data: [DONE]\n\n");
}

static rm_status chat_to_events(const rm_json *body, bool include_usage, rm_buf *out)
{
    return to_events(body, true, include_usage, out);
}

static rm_status completions_to_events(const rm_json *body, bool include_usage, rm_buf *out)
{
    return to_events(body, false, include_usage, out);
}

const rm_provider__form rm_provider__form_chat = {sizeof(struct state), chat_take, chat_finish, chat_to_events};
const rm_provider__form rm_provider__form_completions = {sizeof(struct state), completions_take, completions_finish,
                                                         completions_to_events};
