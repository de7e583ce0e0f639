/* What is answered: words drawn from the question's hash, so that the same question always gets the same words; tool
 * arguments and structured outputs that satisfy the schema asked for. */
#include <stdlib.h>
#include <time.h>

#include "mock_internal.h"

#define SCHEMA_DEPTH_MAX 32
#define JSON_TOKEN_BYTES 5

static const char *const plain_words[] = {
    "the ",    "answer ",  "of ",    "a ",     "river ",  "is ",    "often ", "found ",  "where ", "stones ", "meet ",
    "water, ", "and ",     "light ", "keeps ", "time ",   "with ",  "small ", "things ", "that ",  "move ",   "slowly ",
    "under ",  "bridges ", ". ",     "Some ",  "people ", "count ", "them, ", "others ", "walk ",  "on ",
};
static const char *const unicode_words[] = {
    "Fluß ",  "naïve ", "café ",   "данные ", "水 ",   "光 ", "🙂 ",  "👩‍🚀 ",
    "ñandú ", "Ωmega ", "السلام ", "क्षण ",    "“so” ", "\\ ", "\"q\" ", "\t",
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth, MMIX */
    return *state >> 33;
}

static rm_status keep_text(rm_arena *arena, const rm_buf *text, const rm_buf *ends, rm_mock_text *ret_text)
{
    if (text->status != RM_OK || ends->status != RM_OK)
        return RM_ENOMEM;
    size_t count = ends->len / sizeof(uint32_t);
    uint32_t *kept_ends = rm_arena_alloc(arena, ends->len + 1);
    rm_slice kept = rm_arena_dup(arena, rm_buf_slice(text));
    if (!kept_ends || !kept.ptr)
        return RM_ENOMEM;
    if (ends->len > 0)
        memcpy(kept_ends, ends->ptr, ends->len);
    *ret_text = (rm_mock_text){kept, kept_ends, count};
    return RM_OK;
}

static void end_token(const rm_buf *text, rm_buf *ends)
{
    uint32_t end = (uint32_t)text->len;
    rm_buf_append(ends, &end, sizeof(end));
}

static void append_mark(uint64_t ref, rm_buf *text)
{
    char digits[RM_BENCH_NUMBER_BYTES];
    rm_bench__hex16(ref, digits);
    rm_buf_append_cstr(text, RM_BENCH_REF_PREFIX);
    rm_buf_append(text, digits, sizeof(digits));
    rm_buf_append_char(text, ' ');
}

/* `count` tokens; the first is the mark of the question. Or as many as fill body_bytes. */
static rm_status make_prose(const rm_mock_question *question, const rm_mock_plan *plan, uint64_t seed, uint64_t count,
                            rm_arena *arena, rm_mock_text *ret_text)
{
    rm_buf text, ends;
    rm_buf_init(&text, RM_MOCK_SCRIPT_BYTES_MAX);
    rm_buf_init(&ends, RM_MOCK_SCRIPT_BYTES_MAX);
    const char *const *words = plan->unicode ? unicode_words : plain_words;
    size_t word_count = plan->unicode ? RM_COUNT(unicode_words) : RM_COUNT(plain_words);
    for (uint64_t i = 0; plan->body_bytes ? text.len < plan->body_bytes : i < count; i++) {
        if (i == 0)
            append_mark(question->ref, &text);
        else
            rm_buf_append_cstr(&text, words[next_random(&seed) % word_count]);
        end_token(&text, &ends);
        if (text.status != RM_OK)
            break;
    }
    rm_status status = keep_text(arena, &text, &ends, ret_text);
    rm_buf_deinit(&text);
    rm_buf_deinit(&ends);
    return status;
}

/* ---- values for a schema ----------------------------------------------------------------------------------------- */

typedef struct schema_walk {
    const rm_json *root;
    const rm_mock_question *question;
    rm_buf *out;
} schema_walk;

static void append_value(schema_walk *walk, const rm_json *schema, int depth);

/* "#", "#/$defs/name" and "#/definitions/name", which is what generators of schemas write. */
static const rm_json *follow_reference(const schema_walk *walk, rm_slice reference)
{
    const rm_json *at = walk->root;
    rm_slice part;
    (void)rm_slice_split(&reference, '/', &part);
    while (at && rm_slice_split(&reference, '/', &part)) {
        const rm_json *found = NULL;
        for (rm_json_iter it = rm_json_iterate(at); rm_json_iter_next(&it);)
            if (rm_slice_eq(it.key, part))
                found = it.value;
        at = found;
    }
    return at;
}

static void append_text_value(schema_walk *walk, const rm_json *schema)
{
    static const char *const formats[][2] = {{"date", "2026-01-02"},
                                             {"date-time", "2026-01-02T03:04:05Z"},
                                             {"time", "03:04:05Z"},
                                             {"email", "someone@example.com"},
                                             {"uuid", "00000000-0000-4000-8000-000000000001"},
                                             {"uri", "https://example.com/"}};
    rm_slice format = rm_json_string(rm_json_get(schema, "format"));
    for (size_t i = 0; i < RM_COUNT(formats); i++) {
        if (rm_slice_eq(format, rm_slice_cstr(formats[i][0]))) {
            rm_buf_appendf(walk->out, "\"%s\"", formats[i][1]);
            return;
        }
    }
    rm_buf_append_char(walk->out, '"');
    append_mark(walk->question->ref, walk->out);
    for (int64_t i = 21; i < rm_json_i64(rm_json_get(schema, "minLength"), 0); i++)
        rm_buf_append_char(walk->out, 'x');
    rm_buf_append_char(walk->out, '"');
}

static void append_object(schema_walk *walk, const rm_json *schema, int depth)
{
    const char *comma = "";
    rm_buf_append_char(walk->out, '{');
    for (rm_json_iter it = rm_json_iterate(rm_json_get(schema, "properties")); rm_json_iter_next(&it);) {
        rm_buf_append_cstr(walk->out, comma);
        rm_mock__script_append_string(walk->out, it.key);
        rm_buf_append_char(walk->out, ':');
        append_value(walk, it.value, depth + 1);
        comma = ",";
    }
    rm_buf_append_char(walk->out, '}');
}

static void append_array(schema_walk *walk, const rm_json *schema, int depth)
{
    int64_t count = rm_json_i64(rm_json_get(schema, "minItems"), 1);
    rm_buf_append_char(walk->out, '[');
    for (int64_t i = 0; i < count && i < 100; i++) {
        if (i > 0)
            rm_buf_append_char(walk->out, ',');
        append_value(walk, rm_json_get(schema, "items"), depth + 1);
    }
    rm_buf_append_char(walk->out, ']');
}

/* The first alternative of a schema that offers several, else the schema itself. */
static const rm_json *first_alternative(const rm_json *schema)
{
    static const char *const names[] = {"anyOf", "oneOf", "allOf"};
    for (size_t i = 0; i < RM_COUNT(names); i++)
        if (rm_json_count(rm_json_get(schema, names[i])) > 0)
            return rm_json_at(rm_json_get(schema, names[i]), 0);
    return schema;
}

static void append_value(schema_walk *walk, const rm_json *schema, int depth)
{
    rm_slice reference = rm_json_string(rm_json_get(schema, "$ref"));
    schema = first_alternative(reference.ptr ? follow_reference(walk, reference) : schema);
    const rm_json *given = rm_json_get(schema, "const");
    if (!given)
        given = rm_json_at(rm_json_get(schema, "enum"), 0);
    rm_slice type = rm_json_string(rm_json_get(schema, "type"));
    if (!type.ptr)
        type = rm_json_string(rm_json_at(rm_json_get(schema, "type"), 0));
    if (given)
        (void)!rm_json_canonical(given, NULL, NULL, walk->out);
    else if (!schema || depth > SCHEMA_DEPTH_MAX || rm_slice_eq(type, RM_SLICE("null")))
        rm_buf_append_cstr(walk->out, "null");
    else if (rm_slice_eq(type, RM_SLICE("object")) || rm_json_get(schema, "properties"))
        append_object(walk, schema, depth);
    else if (rm_slice_eq(type, RM_SLICE("array")))
        append_array(walk, schema, depth);
    else if (rm_slice_eq(type, RM_SLICE("boolean")))
        rm_buf_append_cstr(walk->out, "true");
    else if (rm_slice_eq(type, RM_SLICE("integer")) || rm_slice_eq(type, RM_SLICE("number")))
        rm_buf_append_i64(walk->out, rm_json_i64(rm_json_get(schema, "minimum"), 7));
    else
        append_text_value(walk, schema);
}

/* A JSON text in tokens of a few bytes, never cut inside a character. */
static rm_status make_json(const rm_mock_question *question, const rm_json *schema, rm_arena *arena,
                           rm_mock_text *ret_text)
{
    rm_buf text, ends;
    rm_buf_init(&text, RM_MOCK_BODY_BYTES_MAX);
    rm_buf_init(&ends, RM_MOCK_BODY_BYTES_MAX);
    schema_walk walk = {schema, question, &text};
    if (schema) {
        append_value(&walk, schema, 0);
    } else {
        rm_buf_append_cstr(&text, "{\"answer\":\"");
        append_mark(question->ref, &text);
        rm_buf_append_cstr(&text, "\"}");
    }
    for (size_t at = JSON_TOKEN_BYTES; at < text.len; at += JSON_TOKEN_BYTES) {
        while (at < text.len && ((uint8_t)text.ptr[at] & 0xc0) == 0x80)
            at++;
        uint32_t end = (uint32_t)at;
        if (at < text.len)
            rm_buf_append(&ends, &end, sizeof(end));
    }
    end_token(&text, &ends);
    rm_status status = keep_text(arena, &text, &ends, ret_text);
    rm_buf_deinit(&text);
    rm_buf_deinit(&ends);
    return status;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static rm_status make_choice(const rm_mock_question *question, const rm_mock_plan *plan, uint64_t index,
                             rm_arena *arena, rm_mock_choice *choice)
{
    uint64_t seed = question->seed + index * 0x9e3779b97f4a7c15ULL;
    rm_status status = RM_OK;
    if (question->tool.ptr)
        status = make_json(question, question->tool_schema, arena, &choice->arguments);
    else if (question->json_object && !plan->refusal)
        status = make_json(question, question->schema, arena, &choice->content);
    else
        status = make_prose(question, plan, seed, plan->tokens, arena, &choice->content);
    if (status == RM_OK && plan->reasoning > 0)
        status = make_prose(question, plan, ~seed, plan->reasoning, arena, &choice->reasoning);
    if (status != RM_OK)
        return status;
    if (question->max_tokens >= 0 && (uint64_t)question->max_tokens < choice->content.count) {
        choice->content.count = (size_t)question->max_tokens;
        choice->content.text.len = choice->content.count ? choice->content.ends[choice->content.count - 1] : 0;
        choice->cut = true;
    }
    return RM_OK;
}

rm_status rm_mock__answer_make(const rm_mock_question *question, const rm_mock_plan *plan, rm_rng *rng, rm_arena *arena,
                               rm_mock_answer *ret_answer)
{
    rm_mock_answer answer = {.question = question, .plan = plan, .choice_count = (size_t)question->choices};
    answer.created_s = (uint64_t)time(NULL);
    answer.refusal = plan->refusal != 0;
    answer.tool_calls = question->tool.ptr ? (size_t)(plan->tool_calls ? plan->tool_calls : 1) : 0;
    if (answer.tool_calls > RM_MOCK_CHOICES_MAX)
        answer.tool_calls = RM_MOCK_CHOICES_MAX;
    rm_rng_seed(&answer.rng, rm_rng_next(rng));
    rm_bench__hex16(rm_rng_next(rng), answer.id);
    answer.choices = rm_arena_calloc(arena, answer.choice_count * sizeof(*answer.choices));
    if (!answer.choices)
        return RM_ENOMEM;
    for (size_t i = 0; i < answer.choice_count; i++) {
        rm_status status = make_choice(question, plan, i, arena, &answer.choices[i]);
        if (status != RM_OK)
            return status;
        answer.reasoning_tokens += answer.choices[i].reasoning.count;
        answer.output_tokens += answer.choices[i].content.count + answer.choices[i].arguments.count * answer.tool_calls;
    }
    answer.output_tokens += answer.reasoning_tokens;
    *ret_answer = answer;
    return RM_OK;
}
