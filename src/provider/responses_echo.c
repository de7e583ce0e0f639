/* The members of a Responses answer that repeat its request, set to another request's: at the top of a body, in the
 * `response` of the events that carry one (created, in_progress, completed, …). */
#include "provider_internal.h"

/* And how the API says that a request had none. */
static const struct member {
    const char *name, *absent;
} members[RM_ECHO_MEMBERS] = {
    {"metadata", "{}"},
    {"user", "null"},
    {"safety_identifier", "null"},
    {"prompt_cache_key", "null"},
};

bool rm_provider_echoes(rm_op op)
{
    return op == RM_OP_RESPONSES;
}

rm_status rm_provider_read_echo(const rm_request_info *info, rm_arena *arena, rm_echo *ret_echo)
{
    rm_echo echo = {0};
    rm_buf text;
    rm_status status = RM_OK;
    rm_buf_init(&text, RM_BODY_BYTES_MAX);
    for (size_t i = 0; i < RM_COUNT(members) && status == RM_OK; i++) {
        const rm_json *value = rm_json_get(info->root, members[i].name);
        if (!rm_provider__given(value))
            continue;
        rm_buf_clear(&text);
        status = rm_provider__put_value(value, &text);
        if (status == RM_OK && !(echo.values[i] = rm_arena_dup(arena, rm_buf_slice(&text))).ptr)
            status = RM_ENOMEM;
    }
    rm_buf_deinit(&text);
    if (status == RM_OK)
        *ret_echo = echo;
    return status;
}

struct edit {
    size_t begin, end;
    rm_slice text;
};

struct change {
    const rm_echo *echo;
    rm_buf *out;
    bool any;
};

/* null, "", {} and []: nobody's. */
static bool is_empty(rm_slice value)
{
    if (rm_provider__is(value, "null") || rm_provider__is(value, "\"\""))
        return true;
    if (value.ptr[0] != '{' && value.ptr[0] != '[')
        return false;
    for (size_t i = 1; i + 1 < value.len; i++)
        if (!strchr(" \t\r\n", value.ptr[i]))
            return false;
    return true;
}

/* What is to stand there instead; {NULL,0}: it may stay. */
static rm_slice replacement(const rm_echo *echo, size_t member, rm_slice value)
{
    rm_slice own = echo->values[member];
    if (own.ptr)
        return rm_slice_eq(own, value) ? RM_SLICE_NONE : own;
    return is_empty(value) ? RM_SLICE_NONE : rm_slice_cstr(members[member].absent);
}

/* In order of place. */
static void insert_edit(struct edit *edits, size_t count, struct edit edit)
{
    for (; count > 0 && edits[count - 1].begin > edit.begin; count--)
        edits[count] = edits[count - 1];
    edits[count] = edit;
}

/* Within `object`, a part of `text`; offsets count from the latter. */
static rm_status find_edits(const rm_echo *echo, rm_slice text, rm_slice object, struct edit edits[RM_ECHO_MEMBERS],
                            size_t *ret_count)
{
    size_t count = 0, base = (size_t)(object.ptr - text.ptr);
    for (size_t i = 0; i < RM_COUNT(members); i++) {
        rm_json_span span;
        rm_status status = rm_json_find_span(object, members[i].name, &span);
        if (status == RM_ENOTFOUND)
            continue;
        if (status != RM_OK)
            return status;
        rm_slice value = rm_slice_make(object.ptr + span.value_begin, span.value_end - span.value_begin);
        rm_slice put = replacement(echo, i, value);
        if (put.ptr)
            insert_edit(edits, count++, (struct edit){base + span.value_begin, base + span.value_end, put});
    }
    *ret_count = count;
    return RM_OK;
}

static rm_status put_edited(struct change *change, rm_slice text, rm_slice object, rm_buf *out)
{
    struct edit edits[RM_ECHO_MEMBERS];
    size_t count, at = 0;
    rm_status status = find_edits(change->echo, text, object, edits, &count);
    if (status != RM_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        rm_buf_append(out, text.ptr + at, edits[i].begin - at);
        rm_buf_append_slice(out, edits[i].text);
        at = edits[i].end;
    }
    change->any |= count > 0;
    return rm_buf_append(out, text.ptr + at, text.len - at);
}

static rm_status change_event(void *user, const rm_sse_event *event)
{
    struct change *change = user;
    rm_json_span span;
    if (!event->has_data || rm_json_find_span(event->data, "response", &span) != RM_OK ||
        event->data.ptr[span.value_begin] != '{')
        return rm_buf_append_slice(change->out, event->raw);
    rm_buf data;
    rm_slice response = rm_slice_make(event->data.ptr + span.value_begin, span.value_end - span.value_begin);
    rm_buf_init(&data, RM_BODY_BYTES_MAX + RM_SSE_EVENT_BYTES_MAX);
    rm_status status = put_edited(change, event->data, response, &data);
    if (status == RM_OK)
        status = rm_provider__put_event(event, rm_buf_slice(&data), change->out);
    rm_buf_deinit(&data);
    return status;
}

rm_status rm_provider_set_echo(const rm_echo *echo, bool events, rm_slice content, rm_buf *out)
{
    struct change change = {.echo = echo, .out = out};
    size_t begin = out->len;
    rm_status status =
        events ? rm_provider__each_event(content, change_event, &change) : put_edited(&change, content, content, out);
    if (status == RM_OK && !change.any)
        status = RM_ENOTFOUND;
    if (status != RM_OK)
        out->len = begin;
    return status;
}
