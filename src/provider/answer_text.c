/* What an answer says to a reader: its text, and the calls of tools that it makes, without what differs each time it is
 * asked (ids, reasoning, usage). It is what answers are compared by.
 *
 *     stream ──► body ──► lists of typed parts (table) ──► text, then [{"name","arguments"}, …]
 *
 * Only kinds of parts that are known are read: an answer that says anything else says more than can be compared. */
#include "provider_internal.h"

/* The lists that answers are made of. */
enum list { CHAT_CONTENT, MESSAGES_CONTENT, RESPONSES_OUTPUT, RESPONSES_CONTENT };

static const struct part {
    enum list list;
    const char *type;
    enum { SILENT, TEXT, CALL, FREE_CALL, INNER_LIST } is;
    const char *member; /* that holds the text, the arguments or the list */
} parts[] = {
    {CHAT_CONTENT, "text", TEXT, "text"},
    {CHAT_CONTENT, "refusal", TEXT, "refusal"},
    {CHAT_CONTENT, "thinking", SILENT, NULL},
    {CHAT_CONTENT, "reasoning", SILENT, NULL},
    {MESSAGES_CONTENT, "text", TEXT, "text"},
    {MESSAGES_CONTENT, "thinking", SILENT, NULL},
    {MESSAGES_CONTENT, "redacted_thinking", SILENT, NULL},
    {MESSAGES_CONTENT, "tool_use", CALL, "input"},
    {RESPONSES_OUTPUT, "message", INNER_LIST, "content"},
    {RESPONSES_OUTPUT, "reasoning", SILENT, NULL},
    {RESPONSES_OUTPUT, "function_call", CALL, "arguments"},
    {RESPONSES_OUTPUT, "custom_tool_call", FREE_CALL, "input"},
    {RESPONSES_CONTENT, "output_text", TEXT, "text"},
    {RESPONSES_CONTENT, "refusal", TEXT, "refusal"},
};

struct saying {
    rm_arena *arena;
    rm_buf *out;
    rm_buf calls; /* the inside of their array: a text that comes after a call stands before it */
};

static rm_status say(struct saying *s, const rm_json *text)
{
    if (!rm_provider__given(text))
        return RM_OK;
    if (rm_json_typeof(text) != RM_JSON_STRING)
        return RM_EPARSE;
    return rm_buf_append_slice(s->out, rm_json_string(text));
}

/* ---- calls of tools ---------------------------------------------------------------------------------------------- */

/* One spelling of equal arguments. What has no canonical form (a doubled key) stays as it was said. */
static rm_status put_arguments(struct saying *s, const rm_json *said, bool free_text)
{
    const rm_json *value = said;
    rm_buf text;
    rm_status status = RM_OK;
    if (rm_json_typeof(said) == RM_JSON_STRING && !free_text)
        status = rm_json_parse(s->arena, rm_json_string(said), &value);
    rm_buf_init(&text, RM_EXCHANGE_ARENA_BYTES_MAX);
    if (status == RM_OK)
        status = rm_json_canonical(value, NULL, NULL, &text);
    if (status == RM_OK)
        status = rm_buf_append_slice(&s->calls, rm_buf_slice(&text));
    else if (status != RM_ENOMEM)
        status = rm_provider__put_value(said, &s->calls);
    rm_buf_deinit(&text);
    return status;
}

static rm_status say_call(struct saying *s, const rm_json *call, const char *arguments, bool free_text)
{
    const rm_json *name = rm_json_get(call, "name");
    if (rm_json_typeof(name) != RM_JSON_STRING)
        return RM_EPARSE;
    if (s->calls.len)
        rm_buf_append_char(&s->calls, ',');
    rm_buf_append_char(&s->calls, '{');
    rm_provider__put_member(RM_SLICE("name"), name, &s->calls);
    rm_provider__put_key(RM_SLICE("arguments"), &s->calls);
    rm_status status = put_arguments(s, rm_json_get(call, arguments), free_text);
    rm_buf_append_char(&s->calls, '}');
    return status == RM_OK ? s->calls.status : status;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static const struct part *part_of(enum list list, rm_slice type)
{
    for (size_t i = 0; i < RM_COUNT(parts); i++)
        if (parts[i].list == list && rm_provider__is(type, parts[i].type))
            return &parts[i];
    return NULL;
}

static rm_status say_list(struct saying *s, enum list list, const rm_json *values);

static rm_status say_part(struct saying *s, enum list list, const rm_json *value)
{
    const struct part *part = part_of(list, rm_json_string(rm_json_get(value, "type")));
    if (!part)
        return rm_json_typeof(value) == RM_JSON_OBJECT ? RM_ENOTFOUND : RM_EPARSE;
    switch (part->is) {
    case TEXT:
        return say(s, rm_json_get(value, part->member));
    case CALL:
    case FREE_CALL:
        return say_call(s, value, part->member, part->is == FREE_CALL);
    case INNER_LIST:
        return say_list(s, RESPONSES_CONTENT, rm_json_get(value, part->member));
    case SILENT:
        break;
    }
    return RM_OK;
}

static rm_status say_list(struct saying *s, enum list list, const rm_json *values)
{
    rm_status status = rm_json_typeof(values) == RM_JSON_ARRAY ? RM_OK : RM_EPARSE;
    for (rm_json_iter it = rm_json_iterate(values); status == RM_OK && rm_json_iter_next(&it);)
        status = say_part(s, list, it.value);
    return status;
}

/* ---- dialects ---------------------------------------------------------------------------------------------------- */

/* null stands there while an answer is being made; some providers leave the member out of a whole one. */
static bool is_open(const rm_json *holder, const char *name)
{
    return rm_json_typeof(rm_json_get(holder, name)) == RM_JSON_NULL;
}

/* The one with index 0; else the one that stands first. NULL: none that is whole. */
static const rm_json *first_choice(const rm_json *root)
{
    const rm_json *choices = rm_json_get(root, "choices"), *first = rm_json_at(choices, 0);
    for (rm_json_iter it = rm_json_iterate(choices); rm_json_iter_next(&it);)
        if (rm_json_i64(rm_json_get(it.value, "index"), -1) == 0) {
            first = it.value;
            break;
        }
    return is_open(first, "finish_reason") ? NULL : first;
}

/* A list of things that are no text and do not stand among the content. */
static bool shows_more(const rm_json *message)
{
    const rm_json *images = rm_json_get(message, "images");
    return rm_provider__given(rm_json_get(message, "audio")) ||
           (rm_provider__given(images) && rm_json_count(images) != 0);
}

static rm_status say_tool_call(struct saying *s, const rm_json *call)
{
    const rm_json *custom = rm_json_get(call, "custom");
    if (rm_provider__given(custom))
        return say_call(s, custom, "input", true);
    return say_call(s, rm_json_get(call, "function"), "arguments", false);
}

static rm_status say_chat(struct saying *s, const rm_json *root)
{
    const rm_json *message = rm_json_get(first_choice(root), "message"), *content = rm_json_get(message, "content");
    const rm_json *calls = rm_json_get(message, "tool_calls"), *legacy = rm_json_get(message, "function_call");
    size_t begin = s->out->len;
    if (rm_json_typeof(message) != RM_JSON_OBJECT ||
        (rm_provider__given(calls) && rm_json_typeof(calls) != RM_JSON_ARRAY))
        return RM_EPARSE;
    if (shows_more(message))
        return RM_ENOTFOUND;
    rm_status status = rm_json_typeof(content) == RM_JSON_ARRAY ? say_list(s, CHAT_CONTENT, content) : say(s, content);
    if (status == RM_OK && s->out->len == begin)
        status = say(s, rm_json_get(message, "refusal"));
    for (rm_json_iter it = rm_json_iterate(calls); status == RM_OK && rm_json_iter_next(&it);)
        status = say_tool_call(s, it.value);
    if (status == RM_OK && rm_provider__given(legacy))
        status = say_call(s, legacy, "arguments", false);
    return status;
}

static rm_status say_completion(struct saying *s, const rm_json *root)
{
    const rm_json *choice = first_choice(root);
    return choice ? say(s, rm_json_get(choice, "text")) : RM_EPARSE;
}

static rm_status say_message(struct saying *s, const rm_json *root)
{
    if (is_open(root, "stop_reason"))
        return RM_EPARSE;
    return say_list(s, MESSAGES_CONTENT, rm_json_get(root, "content"));
}

/* Failed ones carry their error; the others are still being made, or were given up. */
static rm_status say_response(struct saying *s, const rm_json *root)
{
    rm_slice status = rm_json_string(rm_json_get(root, "status"));
    if (status.ptr && !rm_provider__is(status, "completed") && !rm_provider__is(status, "incomplete"))
        return RM_EPARSE;
    return say_list(s, RESPONSES_OUTPUT, rm_json_get(root, "output"));
}

typedef rm_status (*say_fn)(struct saying *s, const rm_json *root);

static const say_fn sayers[RM_OP_COUNT] = {
    [RM_OP_CHAT] = say_chat,
    [RM_OP_COMPLETIONS] = say_completion,
    [RM_OP_RESPONSES] = say_response,
    [RM_OP_MESSAGES] = say_message,
};

static rm_status say_all(struct saying *s, say_fn sayer, rm_slice body)
{
    const rm_json *root;
    size_t begin = s->out->len;
    rm_status status = rm_json_parse(s->arena, body, &root);
    if (status == RM_OK && (rm_json_typeof(root) != RM_JSON_OBJECT || rm_provider__given(rm_json_get(root, "error"))))
        status = RM_EPARSE;
    if (status == RM_OK)
        status = sayer(s, root);
    if (status != RM_OK)
        return status;
    if (s->out->len == begin && s->calls.len == 0)
        return RM_ENOTFOUND;
    if (s->calls.len == 0)
        return RM_OK;
    rm_buf_append_cstr(s->out, s->out->len > begin ? "\n[" : "[");
    rm_buf_append_slice(s->out, rm_buf_slice(&s->calls));
    return rm_buf_append_char(s->out, ']');
}

rm_status rm_provider_answer_text(rm_op op, bool events, rm_slice content, rm_buf *out)
{
    rm_arena arena;
    rm_buf body;
    struct saying saying = {.arena = &arena, .out = out};
    size_t begin = out->len;
    rm_status status = RM_OK;
    if ((unsigned)op >= RM_OP_COUNT || !sayers[op])
        return RM_EINVAL;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_buf_init(&body, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_buf_init(&saying.calls, RM_EXCHANGE_ARENA_BYTES_MAX);
    if (events && (status = rm_provider_events_to_body(op, content, &body)) == RM_OK)
        content = rm_buf_slice(&body);
    if (status == RM_OK)
        status = say_all(&saying, sayers[op], content);
    if (status == RM_OK)
        status = out->status;
    if (status != RM_OK)
        out->len = begin;
    rm_buf_deinit(&saying.calls);
    rm_buf_deinit(&body);
    rm_arena_deinit(&arena);
    return status;
}
