/* What was asked, from any dialect's body: the parts that shape the answer. */
#include "mock_internal.h"
#include "remora/provider.h"

#define TEXT_BYTES_MAX RM_MOCK_BODY_BYTES_MAX

/* A message's words: a string, or the text parts of an array one after another. */
static rm_slice message_text(const rm_json *content, rm_arena *arena)
{
    if (rm_json_typeof(content) == RM_JSON_STRING)
        return rm_json_string(content);
    rm_buf text;
    rm_buf_init(&text, TEXT_BYTES_MAX);
    for (rm_json_iter it = rm_json_iterate(content); rm_json_iter_next(&it);)
        rm_buf_append_slice(&text, rm_json_string(rm_json_get(it.value, "text")));
    rm_slice kept = rm_arena_dup(arena, rm_buf_slice(&text));
    rm_buf_deinit(&text);
    return kept.ptr ? kept : RM_SLICE("");
}

/* About four bytes a token, and a few for each message, as tokenizers come out on English. */
static uint64_t count_tokens(const rm_json *value)
{
    if (rm_json_typeof(value) == RM_JSON_STRING)
        return (rm_json_string(value).len + 3) / 4;
    if (rm_json_typeof(value) != RM_JSON_ARRAY && rm_json_typeof(value) != RM_JSON_OBJECT)
        return 1;
    uint64_t sum = rm_json_typeof(value) == RM_JSON_OBJECT ? 2 : 0;
    for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);)
        sum += count_tokens(it.value);
    return sum;
}

static const rm_json *asked_part(const rm_json *root)
{
    const rm_json *part = rm_json_get(root, "messages");
    if (!part)
        part = rm_json_get(root, "input");
    return part ? part : rm_json_get(root, "prompt");
}

static void read_words(rm_mock_question *question, rm_arena *arena)
{
    const rm_json *asked = asked_part(question->root);
    question->last_user = RM_SLICE("");
    if (rm_json_typeof(asked) == RM_JSON_STRING)
        question->last_user = rm_json_string(asked);
    for (rm_json_iter it = rm_json_iterate(asked); rm_json_typeof(asked) == RM_JSON_ARRAY && rm_json_iter_next(&it);) {
        if (rm_json_typeof(it.value) == RM_JSON_STRING)
            question->last_user = rm_json_string(it.value);
        else if (rm_slice_eq(rm_json_string(rm_json_get(it.value, "role")), RM_SLICE("user")))
            question->last_user = message_text(rm_json_get(it.value, "content"), arena);
    }
    question->ref = rm_bench__ref(question->last_user);
    question->prompt_tokens = count_tokens(asked) + count_tokens(rm_json_get(question->root, "system")) +
                              count_tokens(rm_json_get(question->root, "tools"));
}

static void read_limits(rm_mock_question *question)
{
    static const char *const limits[] = {"max_completion_tokens", "max_tokens", "max_output_tokens"};
    question->max_tokens = -1;
    for (size_t i = 0; i < RM_COUNT(limits) && question->max_tokens < 0; i++)
        question->max_tokens = rm_json_i64(rm_json_get(question->root, limits[i]), -1);
    int64_t n = rm_json_i64(rm_json_get(question->root, "n"), 1);
    question->choices = n < 1 ? 1 : n > RM_MOCK_CHOICES_MAX ? RM_MOCK_CHOICES_MAX : (uint64_t)n;
    const rm_json *logprobs = rm_json_get(question->root, "logprobs");
    question->logprobs = rm_json_bool(logprobs, false) || rm_json_i64(logprobs, -1) >= 0;
    int64_t top = rm_json_i64(rm_json_get(question->root, "top_logprobs"), rm_json_i64(logprobs, 0));
    question->top_logprobs = top < 0 ? 0 : top > 20 ? 20 : (uint64_t)top;
}

/* One tool of any dialect: {type,function:{name,parameters}}, {type,name,parameters}, {name,input_schema}. */
static rm_slice tool_name(const rm_json *tool, const rm_json **ret_schema)
{
    const rm_json *function = rm_json_get(tool, "function");
    const rm_json *holder = function ? function : tool;
    *ret_schema = rm_json_get(holder, "parameters");
    if (!*ret_schema)
        *ret_schema = rm_json_get(holder, "input_schema");
    return rm_json_string(rm_json_get(holder, "name"));
}

/* A tool is called where tool_choice demands one, or where the last user message names it or says "use the tool", and
 * not again when the conversation already ends with a tool's result. */
static void read_tools(rm_mock_question *question)
{
    const rm_json *tools = rm_json_get(question->root, "tools"), *choice = rm_json_get(question->root, "tool_choice");
    rm_slice mode = rm_json_string(choice);
    if (!mode.ptr)
        mode = rm_json_string(rm_json_get(choice, "type"));
    const rm_json *unused;
    rm_slice named = tool_name(choice, &unused);
    bool demanded = rm_slice_eq(mode, RM_SLICE("required")) || rm_slice_eq(mode, RM_SLICE("any"));
    const rm_json *asked = asked_part(question->root);
    rm_slice last_role = rm_json_string(rm_json_get(rm_json_at(asked, rm_json_count(asked) - 1), "role"));
    if (rm_slice_eq(mode, RM_SLICE("none")) || (!demanded && !named.len && rm_slice_eq(last_role, RM_SLICE("tool"))))
        return;
    demanded |= rm_slice_find(question->last_user, RM_SLICE("use the tool")) != NULL;
    for (rm_json_iter it = rm_json_iterate(tools); rm_json_iter_next(&it);) {
        const rm_json *schema;
        rm_slice name = tool_name(it.value, &schema);
        if (name.len == 0 || (named.len > 0 && !rm_slice_eq(name, named)))
            continue;
        if (!demanded && !named.len && !rm_slice_find(question->last_user, name))
            continue;
        question->tool = name;
        question->tool_schema = schema;
        return;
    }
}

static void read_format(rm_mock_question *question)
{
    const rm_json *format = rm_json_get(question->root, "response_format");
    if (!format)
        format = rm_json_get(rm_json_get(question->root, "text"), "format");
    rm_slice type = rm_json_string(rm_json_get(format, "type"));
    question->json_object = rm_slice_eq(type, RM_SLICE("json_object")) || rm_slice_eq(type, RM_SLICE("json_schema"));
    const rm_json *schema = rm_json_get(rm_json_get(format, "json_schema"), "schema");
    question->schema = schema ? schema : rm_json_get(format, "schema");
}

/* The words depend on what the request means, not on how it is spelt or on whether it streams. */
static uint64_t canonical_seed(rm_op op, const rm_json *root, rm_slice body)
{
    rm_buf canonical;
    rm_buf_init(&canonical, RM_MOCK_BODY_BYTES_MAX);
    rm_status status = rm_json_canonical(root, rm_provider_neutral_member, &op, &canonical);
    uint64_t seed = rm_hash64(status == RM_OK ? rm_buf_slice(&canonical) : body);
    rm_buf_deinit(&canonical);
    return seed;
}

rm_status rm_mock__question_read(rm_op op, rm_slice body, rm_arena *arena, rm_mock_question *ret_question)
{
    rm_mock_question question = {.op = op};
    rm_status status = rm_json_parse(arena, body, &question.root);
    if (status != RM_OK)
        return status;
    if (rm_json_typeof(question.root) != RM_JSON_OBJECT)
        return RM_EPARSE;
    const rm_json *stream_options = rm_json_get(question.root, "stream_options");
    question.stream = rm_json_bool(rm_json_get(question.root, "stream"), false);
    question.include_usage = rm_json_bool(rm_json_get(stream_options, "include_usage"), false);
    question.obfuscate = rm_json_bool(rm_json_get(stream_options, "include_obfuscation"), true);
    question.service_tier = rm_json_string(rm_json_get(question.root, "service_tier"));
    question.model = rm_json_string(rm_json_get(question.root, "model"));
    const char *at = question.model.len ? memchr(question.model.ptr, '@', question.model.len) : NULL;
    if (at)
        question.model.len = (size_t)(at - question.model.ptr);
    question.seed = canonical_seed(op, question.root, body);
    read_words(&question, arena);
    read_limits(&question);
    read_tools(&question);
    read_format(&question);
    *ret_question = question;
    return RM_OK;
}
