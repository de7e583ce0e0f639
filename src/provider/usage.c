/* What answers say of themselves: tokens, why they ended, who they are. Parsed values in; answer.c finds them. */
#include "provider_internal.h"

/* Every way in which the providers and those who copy them say that an answer ended; what is not here is "other". */
static const struct {
    const char *reason;
    rm_finish finish;
} finishes[] = {
    {"stop", RM_FINISH_STOP},
    {"tool_calls", RM_FINISH_STOP},
    {"function_call", RM_FINISH_STOP},
    {"end_turn", RM_FINISH_STOP},
    {"tool_use", RM_FINISH_STOP},
    {"stop_sequence", RM_FINISH_STOP},
    {"completed", RM_FINISH_STOP},
    {"eos", RM_FINISH_STOP},
    {"eos_token", RM_FINISH_STOP},
    {"length", RM_FINISH_LENGTH},
    {"max_tokens", RM_FINISH_LENGTH},
    {"max_output_tokens", RM_FINISH_LENGTH},
    {"model_context_window_exceeded", RM_FINISH_LENGTH},
    {"content_filter", RM_FINISH_FILTER},
    {"refusal", RM_FINISH_FILTER},
};

rm_finish rm_provider__finish_of(rm_slice reason)
{
    for (size_t i = 0; i < RM_COUNT(finishes); i++)
        if (rm_provider__is(reason, finishes[i].reason))
            return finishes[i].finish;
    return reason.len ? RM_FINISH_OTHER : RM_FINISH_NONE;
}

static int badness(rm_finish finish)
{
    static const int order[] = {[RM_FINISH_NONE] = 0,
                                [RM_FINISH_STOP] = 1,
                                [RM_FINISH_OTHER] = 2,
                                [RM_FINISH_LENGTH] = 3,
                                [RM_FINISH_FILTER] = 4};
    return order[finish];
}

void rm_provider__take_finish(rm_finish finish, rm_answer *answer)
{
    if (badness(finish) > badness(answer->finish))
        answer->finish = finish;
}

void rm_provider__take_text(rm_slice text, rm_arena *arena, rm_slice *field)
{
    if (field->len || !text.len)
        return;
    rm_slice copy = rm_arena_dup(arena, text);
    if (copy.ptr)
        *field = copy;
}

/* The count, or -1 if it is missing or makes no sense. */
static int64_t count_of(const rm_json *object, const char *name)
{
    int64_t count = rm_json_i64(rm_json_get(object, name), -1);
    return count >= 0 && count <= INT64_MAX / 8 ? count : -1;
}

static int64_t either(int64_t a, int64_t b)
{
    return a >= 0 ? a : b;
}

static void set_if_known(int64_t *field, int64_t count)
{
    if (count >= 0)
        *field = count;
}

static void take_openai(const rm_json *usage, rm_usage *to)
{
    const rm_json *in = rm_json_get(usage, "prompt_tokens_details");
    const rm_json *out = rm_json_get(usage, "completion_tokens_details");
    in = in ? in : rm_json_get(usage, "input_tokens_details");
    out = out ? out : rm_json_get(usage, "output_tokens_details");
    set_if_known(&to->input_tokens, either(count_of(usage, "prompt_tokens"), count_of(usage, "input_tokens")));
    set_if_known(&to->output_tokens, either(count_of(usage, "completion_tokens"), count_of(usage, "output_tokens")));
    set_if_known(&to->cached_input_tokens,
                 either(count_of(in, "cached_tokens"), count_of(usage, "prompt_cache_hit_tokens")));
    set_if_known(&to->cache_write_tokens, count_of(in, "cache_write_tokens"));
    set_if_known(&to->reasoning_tokens, count_of(out, "reasoning_tokens"));
}

/* input_tokens leaves what was read from and written to the cache out; a later event may repeat any of the counts. */
static void take_anthropic(const rm_json *usage, rm_usage *to)
{
    int64_t fresh = to->input_tokens - to->cached_input_tokens - to->cache_write_tokens;
    if (to->input_tokens < 0)
        fresh = -1;
    set_if_known(&fresh, count_of(usage, "input_tokens"));
    set_if_known(&to->cached_input_tokens, count_of(usage, "cache_read_input_tokens"));
    set_if_known(&to->cache_write_tokens, count_of(usage, "cache_creation_input_tokens"));
    set_if_known(&to->output_tokens, count_of(usage, "output_tokens"));
    set_if_known(&to->reasoning_tokens, count_of(rm_json_get(usage, "output_tokens_details"), "thinking_tokens"));
    to->input_tokens = fresh < 0 ? -1 : fresh + to->cached_input_tokens + to->cache_write_tokens;
}

void rm_provider__take_usage(rm_dialect dialect, const rm_json *usage, rm_answer *answer)
{
    if (rm_json_typeof(usage) != RM_JSON_OBJECT)
        return;
    if (dialect == RM_DIALECT_ANTHROPIC)
        take_anthropic(usage, &answer->usage);
    else
        take_openai(usage, &answer->usage);
    const rm_json *cost = rm_json_get(usage, "cost");
    if (rm_json_typeof(cost) == RM_JSON_OBJECT)
        cost = rm_json_get(cost, "total_cost");
    double usd = rm_json_double(cost, -1);
    if (usd >= 0)
        answer->usage_cost_usd = usd;
}

static rm_finish response_finish(const rm_json *response)
{
    rm_slice status = rm_json_string(rm_json_get(response, "status"));
    if (rm_provider__is(status, "incomplete")) {
        const rm_json *details = rm_json_get(response, "incomplete_details");
        rm_finish finish = rm_provider__finish_of(rm_json_string(rm_json_get(details, "reason")));
        return finish == RM_FINISH_NONE || finish == RM_FINISH_STOP ? RM_FINISH_OTHER : finish;
    }
    if (rm_provider__is(status, "in_progress") || rm_provider__is(status, "queued"))
        return RM_FINISH_NONE;
    return rm_provider__finish_of(status);
}

void rm_provider__take_response(const rm_json *response, rm_arena *arena, rm_answer *answer)
{
    rm_provider__take_usage(RM_DIALECT_OPENAI, rm_json_get(response, "usage"), answer);
    rm_provider__take_text(rm_json_string(rm_json_get(response, "model")), arena, &answer->model);
    rm_provider__take_text(rm_json_string(rm_json_get(response, "id")), arena, &answer->id);
    rm_slice tier = rm_json_string(rm_json_get(response, "service_tier"));
    if (tier.len && !rm_slice_eq(tier, answer->service_tier)) {
        answer->service_tier = RM_SLICE_NONE;
        rm_provider__take_text(tier, arena, &answer->service_tier);
    }
    rm_provider__take_finish(response_finish(response), answer);
    if (rm_provider__given(rm_json_get(response, "error")) ||
        rm_provider__is(rm_json_string(rm_json_get(response, "status")), "failed"))
        answer->error = true;
}
