/* Anthropic's Messages: content blocks, as JSON and as events. */
#include "mock_internal.h"

static const char *stop_reason(const rm_mock_answer *answer)
{
    if (answer->refusal)
        return "refusal";
    if (answer->tool_calls > 0)
        return "tool_use";
    return answer->choices[0].cut ? "max_tokens" : "end_turn";
}

/* Here input_tokens leaves cached tokens out. */
static void append_input_usage(const rm_mock_answer *answer, rm_buf *out)
{
    unsigned long long prompt = answer->question->prompt_tokens;
    unsigned long long cached = answer->plan->cached < prompt ? answer->plan->cached : prompt;
    rm_buf_appendf(out, "\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%llu",
                   prompt - cached, cached);
}

static void append_open(const rm_mock_answer *answer, rm_buf *out)
{
    rm_buf_appendf(out, "{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", answer->id);
    rm_mock__script_append_string(out, answer->question->model);
}

static void append_tool_open(const rm_mock_answer *answer, size_t call, rm_buf *out)
{
    rm_buf_appendf(out, "{\"type\":\"tool_use\",\"id\":\"toolu_%s%02zu\",\"name\":", answer->id, call);
    rm_mock__script_append_string(out, answer->question->tool);
    rm_buf_append_cstr(out, ",\"input\":");
}

static void append_blocks(const rm_mock_answer *answer, rm_buf *out)
{
    const rm_mock_choice *choice = &answer->choices[0];
    const char *comma = "";
    if (choice->reasoning.count > 0) {
        rm_buf_append_cstr(out, "{\"type\":\"thinking\",\"signature\":\"bW9jaw==\",\"thinking\":");
        rm_mock__script_append_string(out, choice->reasoning.text);
        rm_buf_append_char(out, '}');
        comma = ",";
    }
    for (size_t call = 0; call < answer->tool_calls; call++, comma = ",") {
        rm_buf_append_cstr(out, comma);
        append_tool_open(answer, call, out);
        rm_buf_append_slice(out, choice->arguments.text);
        rm_buf_append_char(out, '}');
    }
    if (answer->tool_calls == 0) {
        rm_buf_appendf(out, "%s{\"type\":\"text\",\"text\":", comma);
        rm_mock__script_append_string(out, choice->content.text);
        rm_buf_append_char(out, '}');
    }
}

static rm_status render_body(const rm_mock_answer *answer, rm_mock_script *script)
{
    rm_buf *out = &script->bytes;
    append_open(answer, out);
    rm_buf_append_cstr(out, ",\"content\":[");
    append_blocks(answer, out);
    rm_buf_appendf(out, "],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":{", stop_reason(answer));
    append_input_usage(answer, out);
    rm_buf_appendf(out, ",\"output_tokens\":%llu,\"service_tier\":\"standard\"}}",
                   (unsigned long long)answer->output_tokens);
    rm_mock__script_cut(script);
    return out->status;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static rm_buf *begin_event(rm_mock_script *script, const char *type)
{
    rm_buf_appendf(&script->bytes, "event: %s\ndata: {\"type\":\"%s\"", type, type);
    return &script->bytes;
}

static void end_event(rm_mock_script *script)
{
    rm_buf_append_cstr(&script->bytes, "}\n\n");
    rm_mock__script_cut(script);
}

static void delta_events(rm_mock_script *script, size_t block, const char *type, const char *member,
                         const rm_mock_text *text)
{
    for (size_t i = 0; i < text->count; i++) {
        rm_buf *out = begin_event(script, "content_block_delta");
        rm_buf_appendf(out, ",\"index\":%zu,\"delta\":{\"type\":\"%s\",\"%s\":", block, type, member);
        rm_mock__script_append_string(out, rm_mock__token(text, i));
        rm_buf_append_char(out, '}');
        end_event(script);
    }
}

static void stop_block(rm_mock_script *script, size_t block)
{
    rm_buf_appendf(begin_event(script, "content_block_stop"), ",\"index\":%zu", block);
    end_event(script);
}

static void open_block(rm_mock_script *script, size_t block, const char *content)
{
    rm_buf_appendf(begin_event(script, "content_block_start"), ",\"index\":%zu,\"content_block\":%s", block, content);
    end_event(script);
}

static size_t thinking_events(const rm_mock_answer *answer, rm_mock_script *script)
{
    if (answer->choices[0].reasoning.count == 0)
        return 0;
    open_block(script, 0, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    delta_events(script, 0, "thinking_delta", "thinking", &answer->choices[0].reasoning);
    rm_buf_append_cstr(begin_event(script, "content_block_delta"),
                       ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"bW9jaw==\"}");
    end_event(script);
    stop_block(script, 0);
    return 1;
}

static rm_status render_events(const rm_mock_answer *answer, rm_mock_script *script)
{
    rm_buf *out = begin_event(script, "message_start");
    rm_buf_append_cstr(out, ",\"message\":");
    append_open(answer, out);
    rm_buf_append_cstr(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{");
    append_input_usage(answer, out);
    rm_buf_append_cstr(out, ",\"output_tokens\":1,\"service_tier\":\"standard\"}}");
    end_event(script);
    begin_event(script, "ping");
    end_event(script);
    size_t block = thinking_events(answer, script);
    for (size_t call = 0; call < answer->tool_calls; call++, block++) {
        rm_buf_appendf(begin_event(script, "content_block_start"), ",\"index\":%zu,\"content_block\":", block);
        append_tool_open(answer, call, out);
        rm_buf_append_cstr(out, "{}}");
        end_event(script);
        delta_events(script, block, "input_json_delta", "partial_json", &answer->choices[0].arguments);
        stop_block(script, block);
    }
    if (answer->tool_calls == 0) {
        open_block(script, block, "{\"type\":\"text\",\"text\":\"\"}");
        delta_events(script, block, "text_delta", "text", &answer->choices[0].content);
        stop_block(script, block);
    }
    begin_event(script, "message_delta");
    rm_buf_appendf(out, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},\"usage\":{", stop_reason(answer));
    append_input_usage(answer, out);
    rm_buf_appendf(out, ",\"output_tokens\":%llu}", (unsigned long long)answer->output_tokens);
    end_event(script);
    begin_event(script, "message_stop");
    end_event(script);
    return out->status;
}

rm_status rm_mock__render_messages(rm_mock_answer *answer, rm_mock_script *script)
{
    return script->stream ? render_events(answer, script) : render_body(answer, script);
}

rm_status rm_mock__render_count_tokens(const rm_mock_question *question, rm_mock_script *script)
{
    rm_buf_appendf(&script->bytes, "{\"input_tokens\":%llu}", (unsigned long long)question->prompt_tokens);
    rm_mock__script_cut(script);
    return script->bytes.status;
}
