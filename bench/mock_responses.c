/* The Responses API: one JSON object, or typed events with sequence numbers that tell the same. */
#include "mock_internal.h"

static const char *status_of(const rm_mock_answer *answer)
{
    return answer->choices[0].cut ? "incomplete" : "completed";
}

static void append_usage(const rm_mock_answer *answer, rm_buf *out)
{
    unsigned long long prompt = answer->question->prompt_tokens, output = answer->output_tokens;
    unsigned long long cached = answer->plan->cached < prompt ? answer->plan->cached : prompt;
    rm_buf_appendf(out,
                   "{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":%llu},\"output_tokens\":%llu,"
                   "\"output_tokens_details\":{\"reasoning_tokens\":%llu},\"total_tokens\":%llu}",
                   prompt, cached, output, (unsigned long long)answer->reasoning_tokens, prompt + output);
}

static void append_part(const rm_mock_answer *answer, rm_slice text, rm_buf *out)
{
    rm_buf_append_cstr(out, answer->refusal ? "{\"type\":\"refusal\",\"refusal\":"
                                            : "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
    rm_mock__script_append_string(out, text);
    rm_buf_append_char(out, '}');
}

/* The output's one item or, of calls, the `call`-th; begun (no content yet) or whole. */
static void append_item(const rm_mock_answer *answer, size_t call, bool whole, rm_buf *out)
{
    const rm_mock_choice *choice = &answer->choices[0];
    const char *status = whole ? status_of(answer) : "in_progress";
    if (answer->tool_calls > 0) {
        rm_buf_appendf(
            out,
            "{\"id\":\"fc_%s%02zu\",\"type\":\"function_call\",\"status\":\"%s\",\"call_id\":\"call_%s%02zu\","
            "\"name\":",
            answer->id, call, status, answer->id, call);
        rm_mock__script_append_string(out, answer->question->tool);
        rm_buf_append_cstr(out, ",\"arguments\":");
        rm_mock__script_append_string(out, whole ? choice->arguments.text : RM_SLICE(""));
        rm_buf_append_char(out, '}');
        return;
    }
    rm_buf_appendf(out,
                   "{\"id\":\"msg_%s\",\"type\":\"message\",\"status\":\"%s\",\"role\":\"assistant\",\"content\":[",
                   answer->id, status);
    if (whole)
        append_part(answer, choice->content.text, out);
    rm_buf_append_cstr(out, "]}");
}

static size_t item_count(const rm_mock_answer *answer)
{
    return answer->tool_calls > 0 ? answer->tool_calls : 1;
}

static void append_response(const rm_mock_answer *answer, bool whole, rm_buf *out)
{
    const rm_mock_question *question = answer->question;
    rm_buf_appendf(
        out,
        "{\"id\":\"resp_%s\",\"object\":\"response\",\"created_at\":%llu,\"status\":\"%s\",\"background\":false,"
        "\"error\":null,\"incomplete_details\":%s,\"instructions\":null,\"model\":",
        answer->id, (unsigned long long)answer->created_s, whole ? status_of(answer) : "in_progress",
        whole && answer->choices[0].cut ? "{\"reason\":\"max_output_tokens\"}" : "null");
    rm_mock__script_append_string(out, question->model);
    rm_buf_append_cstr(out, ",\"output\":[");
    for (size_t i = 0; whole && i < item_count(answer); i++) {
        if (i > 0)
            rm_buf_append_char(out, ',');
        append_item(answer, i, true, out);
    }
    bool store = rm_json_bool(rm_json_get(question->root, "store"), true);
    rm_buf_appendf(
        out,
        "],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"reasoning\":{\"effort\":null,"
        "\"summary\":null},\"service_tier\":\"default\",\"store\":%s,\"temperature\":1.0,\"text\":{\"format\":"
        "{\"type\":\"text\"}},\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,\"truncation\":\"disabled\","
        "\"metadata\":{},\"usage\":",
        store ? "true" : "false");
    if (whole)
        append_usage(answer, out);
    else
        rm_buf_append_cstr(out, "null");
    rm_buf_append_char(out, '}');
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

typedef struct event_writer {
    const rm_mock_answer *answer;
    rm_mock_script *script;
    unsigned sequence;
} event_writer;

static rm_buf *begin_event(event_writer *writer, const char *type)
{
    rm_buf *out = &writer->script->bytes;
    rm_buf_appendf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", type, type, writer->sequence++);
    return out;
}

static void end_event(event_writer *writer)
{
    rm_buf_append_cstr(&writer->script->bytes, "}\n\n");
    rm_mock__script_cut(writer->script);
}

static void whole_event(event_writer *writer, const char *type, bool whole)
{
    rm_buf *out = begin_event(writer, type);
    rm_buf_append_cstr(out, ",\"response\":");
    append_response(writer->answer, whole, out);
    end_event(writer);
}

static void item_event(event_writer *writer, const char *type, size_t call, bool whole)
{
    rm_buf *out = begin_event(writer, type);
    rm_buf_appendf(out, ",\"output_index\":%zu,\"item\":", call);
    append_item(writer->answer, call, whole, out);
    end_event(writer);
}

static void part_event(event_writer *writer, const char *type, rm_slice text)
{
    rm_buf *out = begin_event(writer, type);
    rm_buf_appendf(out, ",\"item_id\":\"msg_%s\",\"output_index\":0,\"content_index\":0,\"part\":", writer->answer->id);
    append_part(writer->answer, text, out);
    end_event(writer);
}

/* A delta or the whole of a text: `member` is delta, text, refusal or arguments. */
static void text_event(event_writer *writer, const char *type, size_t call, const char *member, rm_slice text)
{
    rm_buf *out = begin_event(writer, type);
    if (writer->answer->tool_calls > 0)
        rm_buf_appendf(out, ",\"item_id\":\"fc_%s%02zu\",\"output_index\":%zu", writer->answer->id, call, call);
    else
        rm_buf_appendf(out, ",\"item_id\":\"msg_%s\",\"output_index\":0,\"content_index\":0,\"logprobs\":[]",
                       writer->answer->id);
    rm_buf_appendf(out, ",\"%s\":", member);
    rm_mock__script_append_string(out, text);
    end_event(writer);
}

static void call_events(event_writer *writer, size_t call)
{
    const rm_mock_text *arguments = &writer->answer->choices[0].arguments;
    item_event(writer, "response.output_item.added", call, false);
    for (size_t i = 0; i < arguments->count; i++)
        text_event(writer, "response.function_call_arguments.delta", call, "delta", rm_mock__token(arguments, i));
    text_event(writer, "response.function_call_arguments.done", call, "arguments", arguments->text);
    item_event(writer, "response.output_item.done", call, true);
}

static void message_events(event_writer *writer)
{
    const rm_mock_text *content = &writer->answer->choices[0].content;
    bool refusal = writer->answer->refusal;
    item_event(writer, "response.output_item.added", 0, false);
    part_event(writer, "response.content_part.added", RM_SLICE(""));
    for (size_t i = 0; i < content->count; i++)
        text_event(writer, refusal ? "response.refusal.delta" : "response.output_text.delta", 0, "delta",
                   rm_mock__token(content, i));
    text_event(writer, refusal ? "response.refusal.done" : "response.output_text.done", 0, refusal ? "refusal" : "text",
               content->text);
    part_event(writer, "response.content_part.done", content->text);
    item_event(writer, "response.output_item.done", 0, true);
}

rm_status rm_mock__render_responses(rm_mock_answer *answer, rm_mock_script *script)
{
    if (!script->stream) {
        append_response(answer, true, &script->bytes);
        rm_mock__script_cut(script);
        return script->bytes.status;
    }
    event_writer writer = {answer, script, 0};
    whole_event(&writer, "response.created", false);
    whole_event(&writer, "response.in_progress", false);
    for (size_t call = 0; call < answer->tool_calls; call++)
        call_events(&writer, call);
    if (answer->tool_calls == 0)
        message_events(&writer);
    whole_event(&writer, answer->choices[0].cut ? "response.incomplete" : "response.completed", true);
    return script->bytes.status;
}
