/* Chat completions and legacy completions, as JSON and as a stream of chunks. */
#include "mock_internal.h"

static const rm_mock_question *asked(const rm_mock_answer *answer)
{
    return answer->question;
}

static bool legacy(const rm_mock_answer *answer)
{
    return answer->question->op == RM_OP_COMPLETIONS;
}

static const char *finish_of(const rm_mock_answer *answer, const rm_mock_choice *choice)
{
    if (answer->tool_calls > 0)
        return "tool_calls";
    return choice->cut ? "length" : "stop";
}

static void append_open(const rm_mock_answer *answer, bool chunk, rm_buf *out)
{
    const char *object = legacy(answer) ? "text_completion" : chunk ? "chat.completion.chunk" : "chat.completion";
    rm_buf_appendf(out, "{\"id\":\"%s-%s\",\"object\":\"%s\",\"created\":%llu,\"model\":",
                   legacy(answer) ? "cmpl" : "chatcmpl", answer->id, object, (unsigned long long)answer->created_s);
    rm_mock__script_append_string(out, asked(answer)->model);
    rm_slice tier = asked(answer)->service_tier;
    if (tier.len == 0 || rm_slice_eq(tier, RM_SLICE("auto")))
        tier = RM_SLICE("default");
    rm_buf_append_cstr(out, ",\"service_tier\":");
    rm_mock__script_append_string(out, tier);
    rm_buf_append_cstr(out, ",\"system_fingerprint\":\"fp_mock\",\"choices\":[");
}

static void append_usage(const rm_mock_answer *answer, rm_buf *out)
{
    unsigned long long prompt = asked(answer)->prompt_tokens, output = answer->output_tokens;
    unsigned long long cached = answer->plan->cached < prompt ? answer->plan->cached : prompt;
    rm_buf_appendf(out,
                   "\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":%llu,\"audio_tokens\":0},"
                   "\"completion_tokens_details\":{\"reasoning_tokens\":%llu,\"audio_tokens\":0,"
                   "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
                   prompt, output, prompt + output, cached, (unsigned long long)answer->reasoning_tokens);
}

static void append_bytes(rm_slice token, rm_buf *out)
{
    rm_buf_append_char(out, '[');
    for (size_t i = 0; i < token.len; i++)
        rm_buf_appendf(out, "%s%u", i ? "," : "", (unsigned)(uint8_t)token.ptr[i]);
    rm_buf_append_char(out, ']');
}

static void append_token_logprob(rm_slice token, double logprob, rm_buf *out)
{
    rm_buf_append_cstr(out, "{\"token\":");
    rm_mock__script_append_string(out, token);
    rm_buf_appendf(out, ",\"logprob\":%.4f,\"bytes\":", logprob);
    append_bytes(token, out);
}

/* The log probabilities of tokens [begin, end): a function of the token's bytes only. */
static void append_logprobs(const rm_mock_answer *answer, const rm_mock_text *text, size_t begin, size_t end,
                            rm_buf *out)
{
    if (!asked(answer)->logprobs || legacy(answer)) {
        rm_buf_append_cstr(out, "null");
        return;
    }
    rm_buf_append_cstr(out, "{\"content\":[");
    for (size_t i = begin; i < end; i++) {
        rm_slice token = rm_mock__token(text, i);
        double logprob = -(double)(rm_hash64(token) % 3000) / 1000;
        if (i > begin)
            rm_buf_append_char(out, ',');
        append_token_logprob(token, logprob, out);
        rm_buf_append_cstr(out, ",\"top_logprobs\":[");
        for (uint64_t rank = 0; rank < asked(answer)->top_logprobs; rank++) {
            if (rank > 0)
                rm_buf_append_char(out, ',');
            append_token_logprob(token, logprob - (double)rank, out);
            rm_buf_append_char(out, '}');
        }
        rm_buf_append_cstr(out, "]}");
    }
    rm_buf_append_cstr(out, "],\"refusal\":null}");
}

static void append_call(const rm_mock_answer *answer, size_t call, rm_slice arguments, bool index, rm_buf *out)
{
    rm_buf_append_char(out, '{');
    if (index)
        rm_buf_appendf(out, "\"index\":%zu,", call);
    rm_buf_appendf(out, "\"id\":\"call_%s%02zu\",\"type\":\"function\",\"function\":{\"name\":", answer->id, call);
    rm_mock__script_append_string(out, asked(answer)->tool);
    rm_buf_append_cstr(out, ",\"arguments\":");
    rm_mock__script_append_string(out, arguments);
    rm_buf_append_cstr(out, "}}");
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void append_message(const rm_mock_answer *answer, const rm_mock_choice *choice, rm_buf *out)
{
    rm_buf_append_cstr(out, "{\"role\":\"assistant\",\"content\":");
    if (answer->tool_calls > 0 || answer->refusal)
        rm_buf_append_cstr(out, "null");
    else
        rm_mock__script_append_string(out, choice->content.text);
    if (choice->reasoning.count > 0) {
        rm_buf_append_cstr(out, ",\"reasoning_content\":");
        rm_mock__script_append_string(out, choice->reasoning.text);
    }
    rm_buf_append_cstr(out, ",\"refusal\":");
    if (answer->refusal)
        rm_mock__script_append_string(out, choice->content.text);
    else
        rm_buf_append_cstr(out, "null");
    for (size_t call = 0; call < answer->tool_calls; call++) {
        rm_buf_append_cstr(out, call ? "," : ",\"tool_calls\":[");
        append_call(answer, call, choice->arguments.text, false, out);
    }
    rm_buf_append_cstr(out, answer->tool_calls ? "],\"annotations\":[]}" : ",\"annotations\":[]}");
}

static rm_status render_body(const rm_mock_answer *answer, rm_mock_script *script)
{
    rm_buf *out = &script->bytes;
    append_open(answer, false, out);
    for (size_t i = 0; i < answer->choice_count; i++) {
        const rm_mock_choice *choice = &answer->choices[i];
        rm_buf_appendf(out, "%s{\"index\":%zu,\"%s\":", i ? "," : "", i, legacy(answer) ? "text" : "message");
        if (legacy(answer))
            rm_mock__script_append_string(out, choice->content.text);
        else
            append_message(answer, choice, out);
        rm_buf_append_cstr(out, ",\"logprobs\":");
        append_logprobs(answer, &choice->content, 0, choice->content.count, out);
        rm_buf_appendf(out, ",\"finish_reason\":\"%s\"}", finish_of(answer, choice));
    }
    rm_buf_append_cstr(out, "],");
    append_usage(answer, out);
    rm_buf_append_char(out, '}');
    rm_mock__script_cut(script);
    return out->status;
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

static void open_chunk(const rm_mock_answer *answer, size_t index, rm_mock_script *script)
{
    rm_buf_append_cstr(&script->bytes, "data: ");
    append_open(answer, true, &script->bytes);
    rm_buf_appendf(&script->bytes, "{\"index\":%zu,\"%s\":", index, legacy(answer) ? "text" : "delta");
}

static void append_padding(rm_mock_answer *answer, rm_buf *out)
{
    if (!answer->plan->obfuscation || !asked(answer)->obfuscate)
        return;
    char digits[RM_BENCH_NUMBER_BYTES];
    rm_bench__hex16(rm_rng_next(&answer->rng), digits);
    rm_buf_append_cstr(out, ",\"obfuscation\":\"");
    rm_buf_append(out, digits, 1 + (size_t)(rm_rng_next(&answer->rng) % RM_BENCH_NUMBER_BYTES));
    rm_buf_append_char(out, '"');
}

static void close_chunk(rm_mock_answer *answer, const rm_mock_text *text, size_t token, const char *finish,
                        rm_mock_script *script)
{
    rm_buf *out = &script->bytes;
    rm_buf_append_cstr(out, ",\"logprobs\":");
    if (text)
        append_logprobs(answer, text, token, token + 1, out);
    else
        rm_buf_append_cstr(out, "null");
    if (finish)
        rm_buf_appendf(out, ",\"finish_reason\":\"%s\"}]", finish);
    else
        rm_buf_append_cstr(out, ",\"finish_reason\":null}]");
    if (asked(answer)->include_usage)
        rm_buf_append_cstr(out, ",\"usage\":null");
    append_padding(answer, out);
    rm_buf_append_cstr(out, "}\n\n");
    rm_mock__script_cut(script);
}

static void chunk_role(rm_mock_answer *answer, size_t index, rm_mock_script *script)
{
    open_chunk(answer, index, script);
    rm_buf_append_cstr(&script->bytes, answer->tool_calls
                                           ? "{\"role\":\"assistant\",\"content\":null}"
                                           : "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}");
    close_chunk(answer, NULL, 0, NULL, script);
}

static void chunk_token(rm_mock_answer *answer, size_t index, const rm_mock_text *text, size_t token,
                        const char *member, rm_mock_script *script)
{
    rm_buf *out = &script->bytes;
    open_chunk(answer, index, script);
    if (!legacy(answer))
        rm_buf_appendf(out, "{\"%s\":", member);
    rm_mock__script_append_string(out, rm_mock__token(text, token));
    if (!legacy(answer))
        rm_buf_append_char(out, '}');
    close_chunk(answer, strcmp(member, "content") == 0 ? text : NULL, token, NULL, script);
}

static void chunk_calls(rm_mock_answer *answer, size_t index, rm_mock_script *script)
{
    rm_buf *out = &script->bytes;
    const rm_mock_text *arguments = &answer->choices[index].arguments;
    for (size_t call = 0; call < answer->tool_calls; call++) {
        open_chunk(answer, index, script);
        rm_buf_append_cstr(out, "{\"tool_calls\":[");
        append_call(answer, call, RM_SLICE(""), true, out);
        rm_buf_append_cstr(out, "]}");
        close_chunk(answer, NULL, 0, NULL, script);
        for (size_t token = 0; token < arguments->count; token++) {
            open_chunk(answer, index, script);
            rm_buf_appendf(out, "{\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":", call);
            rm_mock__script_append_string(out, rm_mock__token(arguments, token));
            rm_buf_append_cstr(out, "}}]}");
            close_chunk(answer, NULL, 0, NULL, script);
        }
    }
}

/* Token by token, the choices taking turns as providers send them. */
static void chunk_texts(rm_mock_answer *answer, bool reasoning, rm_mock_script *script)
{
    const char *member = reasoning ? "reasoning_content" : answer->refusal ? "refusal" : "content";
    bool more = true;
    for (size_t token = 0; more; token++) {
        more = false;
        for (size_t i = 0; i < answer->choice_count; i++) {
            const rm_mock_text *text = reasoning ? &answer->choices[i].reasoning : &answer->choices[i].content;
            if (token >= text->count)
                continue;
            chunk_token(answer, i, text, token, member, script);
            more = true;
        }
    }
}

static rm_status render_chunks(rm_mock_answer *answer, rm_mock_script *script)
{
    rm_buf *out = &script->bytes;
    for (size_t i = 0; i < answer->choice_count && !legacy(answer); i++)
        chunk_role(answer, i, script);
    if (!legacy(answer))
        chunk_texts(answer, true, script);
    chunk_texts(answer, false, script);
    for (size_t i = 0; i < answer->choice_count; i++) {
        chunk_calls(answer, i, script);
        open_chunk(answer, i, script);
        rm_buf_append_cstr(out, legacy(answer) ? "\"\"" : "{}");
        close_chunk(answer, NULL, 0, finish_of(answer, &answer->choices[i]), script);
    }
    if (asked(answer)->include_usage) {
        rm_buf_append_cstr(out, "data: ");
        append_open(answer, true, out);
        rm_buf_append_cstr(out, "],");
        append_usage(answer, out);
        append_padding(answer, out);
        rm_buf_append_cstr(out, "}\n\n");
        rm_mock__script_cut(script);
    }
    rm_buf_append_cstr(out, "data: [DONE]\n\n");
    rm_mock__script_cut(script);
    return out->status;
}

rm_status rm_mock__render_chat(rm_mock_answer *answer, rm_mock_script *script)
{
    return script->stream ? render_chunks(answer, script) : render_body(answer, script);
}

rm_status rm_mock__render_completions(rm_mock_answer *answer, rm_mock_script *script)
{
    return rm_mock__render_chat(answer, script);
}
