/* One form of an answer out of the other: what all operations share; the dialects' own parts stand behind
 * rm_provider__form. */
#include "provider_internal.h"

static const rm_provider__form *form_of(rm_op op)
{
    switch (op) {
    case RM_OP_CHAT:
        return &rm_provider__form_chat;
    case RM_OP_COMPLETIONS:
        return &rm_provider__form_completions;
    case RM_OP_RESPONSES:
        return &rm_provider__form_responses;
    case RM_OP_MESSAGES:
        return &rm_provider__form_messages;
    default:
        return NULL;
    }
}

/* What a failure left half written is taken back. */
static rm_status settle(rm_status status, size_t begin, rm_buf *out)
{
    if (status == RM_OK)
        status = out->status;
    if (status != RM_OK)
        out->len = begin;
    return status;
}

struct taking {
    const rm_provider__form *form;
    rm_arena *arena;
    void *state;
};

static rm_status take(void *user, const rm_sse_event *event)
{
    struct taking *taking = user;
    return taking->form->take(taking->state, taking->arena, event);
}

rm_status rm_provider_events_to_body(rm_op op, rm_slice events, rm_buf *out)
{
    rm_arena arena;
    struct taking taking = {.form = form_of(op), .arena = &arena};
    size_t begin = out->len;
    rm_status status = RM_ENOMEM;
    if (!taking.form)
        return RM_EINVAL;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    taking.state = rm_arena_calloc(&arena, taking.form->state_bytes);
    if (taking.state)
        status = rm_provider__each_event(events, take, &taking);
    if (status == RM_OK)
        status = taking.form->finish(taking.state, &arena, out);
    rm_arena_deinit(&arena);
    return settle(status, begin, out);
}

rm_status rm_provider_body_to_events(rm_op op, rm_slice body, bool include_usage, rm_buf *out)
{
    rm_arena arena;
    const rm_json *root;
    const rm_provider__form *form = form_of(op);
    size_t begin = out->len;
    if (!form)
        return RM_EINVAL;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_status status = rm_json_parse(&arena, body, &root);
    if (status == RM_OK && (rm_json_typeof(root) != RM_JSON_OBJECT || rm_provider__given(rm_json_get(root, "error"))))
        status = RM_EPARSE;
    if (status == RM_OK)
        status = form->to_events(root, include_usage, out);
    rm_arena_deinit(&arena);
    return settle(status, begin, out);
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

bool rm_provider_replay_is_plain(rm_op op, bool include_usage)
{
    return include_usage || (op != RM_OP_CHAT && op != RM_OP_COMPLETIONS);
}

struct replay {
    rm_op op;
    rm_arena *arena;
    rm_answer answer;
    rm_buf *out;
};

static rm_status replay_event(void *user, const rm_sse_event *event)
{
    struct replay *replay = user;
    rm_event_info info;
    rm_provider_read_event(replay->op, event, replay->arena, &replay->answer, &info);
    return info.usage_only ? RM_OK : rm_buf_append_slice(replay->out, event->raw);
}

rm_status rm_provider_replay_events(rm_op op, rm_slice events, bool include_usage, rm_buf *out)
{
    rm_arena arena;
    struct replay replay = {.op = op, .arena = &arena, .out = out};
    size_t begin = out->len;
    if (rm_provider_replay_is_plain(op, include_usage))
        return rm_buf_append_slice(out, events);
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_answer_init(&replay.answer);
    rm_status status = rm_provider__each_event(events, replay_event, &replay);
    rm_arena_deinit(&arena);
    return settle(status, begin, out);
}
