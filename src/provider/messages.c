/* Anthropic messages: events of a stream <-> a body, by the rules of the provider's own accumulators.
 *
 *   message_start        the message with no content
 *   content_block_start  a block with no text, then its deltas, then content_block_stop; each block
 *   message_delta        stop_reason and such, usage (totals, not increments)
 *   message_stop */
#include "provider_internal.h"

/* ---- events to body ---------------------------------------------------------------------------------------------- */

struct state {
    bool begun, stopped;
    rm_provider__node message; /* members but for content */
    rm_provider__node blocks;  /* list by index; each an object of its start, with what the deltas added */
};

/* How a delta changes its block: which of its members goes to which of the block's. */
static const struct delta_kind {
    const char *type, *from, *to;
    enum { JOIN, SET, APPEND } how;
} delta_kinds[] = {
    {"text_delta", "text", "text", JOIN},
    {"thinking_delta", "thinking", "thinking", JOIN},
    {"signature_delta", "signature", "signature", SET},
    {"citations_delta", "citation", "citations", APPEND},
    /* joined here as text; the block's `input` is what it says in the end */
    {"input_json_delta", "partial_json", "", JOIN},
    {"compaction_delta", "content", "content", JOIN},
};

/* Sets each member of `object` but for the named ones. */
static rm_status set_members(rm_arena *arena, rm_provider__node *into, const rm_json *object, const char *const *less,
                             size_t less_count)
{
    rm_status status = RM_OK;
    for (rm_json_iter it = rm_json_iterate(object); status == RM_OK && rm_json_iter_next(&it);) {
        rm_provider__node *member;
        bool skip = false;
        for (size_t i = 0; i < less_count; i++)
            skip = skip || rm_provider__is(it.key, less[i]);
        if (skip)
            continue;
        status = rm_provider__node_member(arena, into, it.key, &member);
        if (status == RM_OK)
            rm_provider__node_set(member, it.value);
    }
    return status;
}

static rm_status set_usage(struct state *state, rm_arena *arena, const rm_json *usage)
{
    rm_provider__node *node;
    if (!rm_provider__given(usage))
        return RM_OK;
    rm_status status = rm_provider__node_member(arena, &state->message, RM_SLICE("usage"), &node);
    return status == RM_OK ? set_members(arena, node, usage, NULL, 0) : status;
}

static rm_status on_start(struct state *state, rm_arena *arena, const rm_json *root)
{
    static const char *const less[] = {"content", "usage"};
    const rm_json *message = rm_json_get(root, "message");
    if (state->begun || rm_json_typeof(message) != RM_JSON_OBJECT)
        return RM_EPARSE;
    state->begun = true;
    rm_status status = set_members(arena, &state->message, message, less, RM_COUNT(less));
    return status == RM_OK ? set_usage(state, arena, rm_json_get(message, "usage")) : status;
}

static rm_status on_block_start(struct state *state, rm_arena *arena, const rm_json *root)
{
    rm_provider__node *block;
    const rm_json *start = rm_json_get(root, "content_block");
    int64_t index = rm_json_i64(rm_json_get(root, "index"), -1);
    if (!state->begun || rm_json_typeof(start) != RM_JSON_OBJECT || index != (int64_t)state->blocks.count)
        return RM_EPARSE;
    rm_status status = rm_provider__node_entry(arena, &state->blocks, index, &block);
    return status == RM_OK ? set_members(arena, block, start, NULL, 0) : status;
}

/* What the block began with is the first piece. */
static rm_status join(rm_arena *arena, rm_provider__node *member, const rm_json *value)
{
    if (rm_json_typeof(value) != RM_JSON_STRING)
        return RM_EPARSE;
    if (member->kind == RM_NODE_VALUE && rm_json_typeof(member->value) == RM_JSON_STRING) {
        rm_status status = rm_provider__node_join(arena, member, rm_json_string(member->value));
        if (status != RM_OK)
            return status;
    }
    return rm_provider__node_join(arena, member, rm_json_string(value));
}

static rm_status append(rm_arena *arena, rm_provider__node *member, const rm_json *value)
{
    if (!value)
        return RM_EPARSE;
    if (member->kind == RM_NODE_VALUE && rm_json_typeof(member->value) == RM_JSON_ARRAY) {
        const rm_json *began = member->value;
        for (rm_json_iter it = rm_json_iterate(began); rm_json_iter_next(&it);) {
            rm_status status = rm_provider__node_append(arena, member, it.value);
            if (status != RM_OK)
                return status;
        }
    }
    return rm_provider__node_append(arena, member, value);
}

static rm_status on_block_delta(struct state *state, rm_arena *arena, const rm_json *root)
{
    rm_provider__node *block, *member;
    const rm_json *delta = rm_json_get(root, "delta");
    rm_slice type = rm_json_string(rm_json_get(delta, "type"));
    const struct delta_kind *kind = NULL;
    int64_t index = rm_json_i64(rm_json_get(root, "index"), -1);
    for (size_t i = 0; i < RM_COUNT(delta_kinds); i++)
        if (rm_provider__is(type, delta_kinds[i].type))
            kind = &delta_kinds[i];
    if (!kind || index < 0 || index >= (int64_t)state->blocks.count)
        return RM_EPARSE;
    rm_status status = rm_provider__node_entry(arena, &state->blocks, index, &block);
    if (status == RM_OK)
        status = rm_provider__node_member(arena, block, rm_slice_cstr(kind->to), &member);
    if (status != RM_OK)
        return status;
    const rm_json *value = rm_json_get(delta, kind->from);
    if (kind->how == APPEND)
        return append(arena, member, value);
    if (kind->how == JOIN)
        return join(arena, member, value);
    rm_provider__node_set(member, value);
    return RM_OK;
}

static rm_status on_delta(struct state *state, rm_arena *arena, const rm_json *root)
{
    static const char *const less[] = {"type", "delta", "usage"};
    if (!state->begun)
        return RM_EPARSE;
    rm_status status = set_members(arena, &state->message, rm_json_get(root, "delta"), less, 1);
    if (status == RM_OK)
        status = set_usage(state, arena, rm_json_get(root, "usage"));
    /* what stands beside the delta (context_management) is the message's own */
    return status == RM_OK ? set_members(arena, &state->message, root, less, RM_COUNT(less)) : status;
}

static rm_status on_stop(struct state *state, rm_arena *arena, const rm_json *root)
{
    (void)arena;
    (void)root;
    state->stopped = true;
    return state->begun ? RM_OK : RM_EPARSE;
}

static rm_status on_error(struct state *state, rm_arena *arena, const rm_json *root)
{
    (void)state;
    (void)arena;
    (void)root;
    return RM_EPARSE;
}

static const struct {
    const char *type;
    rm_status (*take)(struct state *state, rm_arena *arena, const rm_json *root);
} handlers[] = {
    {"message_start", on_start},
    {"content_block_start", on_block_start},
    {"content_block_delta", on_block_delta},
    {"message_delta", on_delta},
    {"message_stop", on_stop},
    {"error", on_error},
};

static rm_status take(void *user, rm_arena *arena, const rm_sse_event *event)
{
    struct state *state = user;
    const rm_json *root;
    if (!event->has_data || state->stopped)
        return RM_OK;
    rm_slice type = rm_provider__event_type(event);
    for (size_t i = 0; i < RM_COUNT(handlers); i++) {
        if (!rm_provider__is(type, handlers[i].type))
            continue;
        rm_status status = rm_json_parse(arena, event->data, &root);
        return status == RM_OK ? handlers[i].take(state, arena, root) : status;
    }
    return RM_OK; /* ping, content_block_stop, and what is new: new kinds are to be skipped */
}

static rm_status put_input(const rm_provider__node *joined, rm_arena *arena, rm_buf *out)
{
    rm_buf text;
    const rm_json *input;
    rm_buf_init(&text, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_status status = rm_provider__node_text(joined, &text);
    if (status == RM_OK)
        status = rm_json_parse(arena, rm_buf_slice(&text), &input);
    if (status == RM_OK)
        status = rm_provider__put_value(input, out);
    rm_buf_deinit(&text);
    return status;
}

static rm_status put_block(const rm_provider__node *block, rm_arena *arena, rm_buf *out)
{
    const rm_provider__node *joined = rm_provider__node_find(block, "");
    bool has_input = joined && joined->kind == RM_NODE_TEXT && joined->pieces;
    rm_status status = RM_OK;
    rm_buf_append_char(out, '{');
    for (const rm_provider__node *member = block->head; member; member = member->next) {
        if (member == joined || (has_input && rm_provider__is(member->key, "input")))
            continue;
        rm_provider__put_key(member->key, out);
        rm_provider__node_write(member, out);
    }
    if (has_input) {
        rm_provider__put_key(RM_SLICE("input"), out);
        status = put_input(joined, arena, out);
    }
    rm_buf_append_char(out, '}');
    return status;
}

static rm_status finish(void *user, rm_arena *arena, rm_buf *out)
{
    struct state *state = user;
    rm_status status = RM_OK;
    if (!state->stopped)
        return RM_EPARSE;
    rm_buf_append_char(out, '{');
    for (const rm_provider__node *node = state->message.head; node; node = node->next) {
        rm_provider__put_key(node->key, out);
        rm_provider__node_write(node, out);
    }
    rm_provider__put_key(RM_SLICE("content"), out);
    rm_buf_append_char(out, '[');
    for (const rm_provider__node *block = state->blocks.head; status == RM_OK && block; block = block->next) {
        if (block != state->blocks.head)
            rm_buf_append_char(out, ',');
        status = put_block(block, arena, out);
    }
    rm_buf_append_cstr(out, "]}");
    return status;
}

/* ---- body to events ---------------------------------------------------------------------------------------------- */

static void begin(const char *type, rm_buf *out)
{
    rm_buf_append_cstr(out, "event: ");
    rm_buf_append_cstr(out, type);
    rm_buf_append_cstr(out, "\ndata: {");
    rm_provider__put_member_string(RM_SLICE("type"), rm_slice_cstr(type), out);
}

static void end(rm_buf *out)
{
    rm_buf_append_cstr(out, "}\n\n");
}

/* A member as it stands when the stream begins. */
static void put_begun(rm_slice key, const rm_json *value, rm_buf *out)
{
    rm_provider__put_key(key, out);
    if (!rm_provider__is(key, "usage") || rm_json_typeof(value) != RM_JSON_OBJECT) {
        bool later = rm_provider__is(key, "stop_reason") || rm_provider__is(key, "stop_sequence");
        rm_provider__put_value(later ? NULL : value, out);
        return;
    }
    rm_buf_append_char(out, '{');
    for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);)
        if (rm_provider__is(it.key, "output_tokens"))
            rm_provider__put_member_i64(it.key, 0, out);
        else
            rm_provider__put_member(it.key, it.value, out);
    rm_buf_append_char(out, '}');
}

static void put_message_start(const rm_json *body, rm_buf *out)
{
    begin("message_start", out);
    rm_provider__put_key(RM_SLICE("message"), out);
    rm_buf_append_char(out, '{');
    for (rm_json_iter it = rm_json_iterate(body); rm_json_iter_next(&it);) {
        if (!rm_provider__is(it.key, "content")) {
            put_begun(it.key, it.value, out);
            continue;
        }
        rm_provider__put_key(it.key, out);
        rm_buf_append_cstr(out, "[]");
    }
    rm_buf_append_char(out, '}');
    end(out);
}

static void put_message_delta(const rm_json *body, rm_buf *out)
{
    const rm_json *usage = rm_json_get(body, "usage");
    begin("message_delta", out);
    rm_provider__put_key(RM_SLICE("delta"), out);
    rm_buf_append_char(out, '{');
    rm_provider__put_member(RM_SLICE("stop_reason"), rm_json_get(body, "stop_reason"), out);
    if (rm_json_get(body, "stop_sequence"))
        rm_provider__put_member(RM_SLICE("stop_sequence"), rm_json_get(body, "stop_sequence"), out);
    rm_buf_append_char(out, '}');
    if (rm_json_typeof(usage) == RM_JSON_OBJECT)
        rm_provider__put_member(RM_SLICE("usage"), usage, out);
    end(out);
}

static void begin_delta(int64_t index, const char *type, rm_slice member, rm_buf *out)
{
    begin("content_block_delta", out);
    rm_provider__put_member_i64(RM_SLICE("index"), index, out);
    rm_provider__put_key(RM_SLICE("delta"), out);
    rm_buf_append_char(out, '{');
    rm_provider__put_member_string(RM_SLICE("type"), rm_slice_cstr(type), out);
    rm_provider__put_key(member, out);
}

static void end_delta(rm_buf *out)
{
    rm_buf_append_char(out, '}');
    end(out);
}

/* Members that come by deltas, of which kinds of block; the rest of a block comes with its start. */
static const struct grown {
    const char *block, *member, *delta, *raw;
} grown[] = {
    {"text", "citations", "citations_delta", "[]"},      {"text", "text", "text_delta", "\"\""},
    {"thinking", "thinking", "thinking_delta", "\"\""},  {"thinking", "signature", "signature_delta", "\"\""},
    {"tool_use", "input", "input_json_delta", "{}"},     {"server_tool_use", "input", "input_json_delta", "{}"},
    {"mcp_tool_use", "input", "input_json_delta", "{}"},
};

static const struct grown *grown_member(rm_slice block, rm_slice member)
{
    for (size_t i = 0; i < RM_COUNT(grown); i++)
        if (rm_provider__is(block, grown[i].block) && rm_provider__is(member, grown[i].member))
            return &grown[i];
    return NULL;
}

static rm_status put_deltas(int64_t index, const struct grown *how, const rm_json *value, rm_buf *out)
{
    if (rm_json_typeof(value) == RM_JSON_ARRAY) {
        for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);) {
            begin_delta(index, how->delta, RM_SLICE("citation"), out);
            rm_provider__put_value(it.value, out);
            end_delta(out);
        }
        return out->status;
    }
    if (rm_json_typeof(value) == RM_JSON_STRING) {
        begin_delta(index, how->delta, rm_slice_cstr(how->member), out);
        rm_provider__put_value(value, out);
        end_delta(out);
        return out->status;
    }
    rm_buf text;
    rm_buf_init(&text, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_status status = rm_provider__put_value(value, &text);
    begin_delta(index, how->delta, RM_SLICE("partial_json"), out);
    rm_provider__put_string(rm_buf_slice(&text), out);
    end_delta(out);
    rm_buf_deinit(&text);
    return status;
}

static bool grows(const struct grown *how, const rm_json *value)
{
    static const rm_json_type types[] = {['['] = RM_JSON_ARRAY, ['{'] = RM_JSON_OBJECT, ['"'] = RM_JSON_STRING};
    return how && rm_json_typeof(value) == types[(unsigned char)how->raw[0]];
}

static rm_status put_content_block(int64_t index, const rm_json *block, rm_buf *out)
{
    rm_slice type = rm_json_string(rm_json_get(block, "type"));
    rm_status status = RM_OK;
    begin("content_block_start", out);
    rm_provider__put_member_i64(RM_SLICE("index"), index, out);
    rm_provider__put_key(RM_SLICE("content_block"), out);
    rm_buf_append_char(out, '{');
    for (rm_json_iter it = rm_json_iterate(block); rm_json_iter_next(&it);) {
        const struct grown *how = grown_member(type, it.key);
        rm_provider__put_key(it.key, out);
        if (grows(how, it.value))
            rm_buf_append_cstr(out, how->raw);
        else
            rm_provider__put_value(it.value, out);
    }
    rm_buf_append_char(out, '}');
    end(out);
    for (rm_json_iter it = rm_json_iterate(block); status == RM_OK && rm_json_iter_next(&it);) {
        const struct grown *how = grown_member(type, it.key);
        if (grows(how, it.value))
            status = put_deltas(index, how, it.value, out);
    }
    begin("content_block_stop", out);
    rm_provider__put_member_i64(RM_SLICE("index"), index, out);
    end(out);
    return status;
}

static rm_status to_events(const rm_json *body, bool include_usage, rm_buf *out)
{
    const rm_json *content = rm_json_get(body, "content");
    rm_status status = RM_OK;
    int64_t index = 0;
    (void)include_usage;
    if (rm_json_typeof(content) != RM_JSON_ARRAY || !rm_provider__given(rm_json_get(body, "stop_reason")))
        return RM_EPARSE;
    put_message_start(body, out);
    for (rm_json_iter it = rm_json_iterate(content); status == RM_OK && rm_json_iter_next(&it);) {
        if (rm_json_typeof(it.value) != RM_JSON_OBJECT)
            return RM_EPARSE;
        status = put_content_block(index++, it.value, out);
    }
    if (status != RM_OK)
        return status;
    put_message_delta(body, out);
    begin("message_stop", out);
    end(out);
    return out->status;
}

const rm_provider__form rm_provider__form_messages = {sizeof(struct state), take, finish, to_events};
