/* Whether two answers say the same, as far as that can be told from their texts alone. In this order:
 * equal in normal form; both JSON: equal as JSON or different; one of them a single word: different; other numbers:
 * different; else unknown, which is no label. */
#include <string.h>
#include <utf8proc.h>

#include "remora/json.h"
#include "remora/limits.h"
#include "remora/semantic.h"

#define PARSE_BYTES_MAX (64 * RM_MIB)

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static rm_slice trim(rm_slice text)
{
    while (text.len && is_space(text.ptr[0]))
        text = rm_slice_make(text.ptr + 1, text.len - 1);
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* One run of spaces is one space. In place. */
static size_t join_spaces(char *text, size_t bytes)
{
    size_t kept = 0;

    for (size_t i = 0; i < bytes; i++)
        if (!is_space(text[i]))
            text[kept++] = text[i];
        else if (kept && text[kept - 1] != ' ')
            text[kept++] = ' ';
    return kept;
}

/* The text in composed, perhaps case-folded form; the caller frees it. RM_EPARSE: not UTF-8. */
static rm_status fold(rm_slice text, bool keep_case, char **ret_folded, size_t *ret_bytes)
{
    utf8proc_option_t options = UTF8PROC_COMPOSE | UTF8PROC_STABLE | (keep_case ? 0 : UTF8PROC_CASEFOLD);
    const utf8proc_uint8_t *from = (const utf8proc_uint8_t *)text.ptr;
    utf8proc_ssize_t len = (utf8proc_ssize_t)text.len, count = utf8proc_decompose(from, len, NULL, 0, options);

    if (count < 0)
        return RM_EPARSE;
    utf8proc_int32_t *points = rm_calloc((size_t)count + 1, sizeof(*points)); /* reencode ends it with a NUL */
    if (!points)
        return RM_ENOMEM;
    count = utf8proc_decompose(from, len, points, count, options);
    count = count < 0 ? count : utf8proc_reencode(points, count, options);
    if (count < 0) {
        rm_free(points);
        return RM_EPARSE;
    }
    *ret_folded = (char *)points;
    *ret_bytes = (size_t)count;
    return RM_OK;
}

/* Ids differ by case alone ("aB3" and "ab3"), words do not ("Yes" and "yes"): what has a digit keeps its case. */
static rm_status hash_normal(rm_slice text, bool word, rm_key128 *ret_hash)
{
    bool digits = false;
    char *folded;
    size_t bytes;

    for (size_t i = 0; i < text.len; i++)
        digits |= is_digit(text.ptr[i]);
    while (text.len && (text.ptr[text.len - 1] == '.' || text.ptr[text.len - 1] == '!'))
        text.len--;
    rm_status status = fold(text, word && digits, &folded, &bytes);
    if (status == RM_EPARSE) /* equal only byte by byte */
        *ret_hash = rm_hash128(text);
    if (status)
        return status == RM_EPARSE ? RM_OK : status;
    *ret_hash = rm_hash128(rm_slice_make(folded, join_spaces(folded, bytes)));
    rm_free(folded);
    return RM_OK;
}

static rm_status hash_json(rm_slice text, rm_key128 *ret_hash)
{
    const rm_json *root;
    rm_arena arena;
    rm_buf canonical;
    rm_status status;

    if (!text.len || (text.ptr[0] != '{' && text.ptr[0] != '['))
        return RM_OK;
    rm_arena_init(&arena, NULL, PARSE_BYTES_MAX);
    rm_buf_init(&canonical, PARSE_BYTES_MAX);
    status = rm_json_parse(&arena, text, &root);
    if (!status)
        status = rm_json_canonical(root, NULL, NULL, &canonical);
    if (!status)
        *ret_hash = rm_hash128(rm_buf_slice(&canonical));
    rm_buf_deinit(&canonical);
    rm_arena_deinit(&arena);
    return status == RM_ENOMEM ? status : RM_OK;
}

/* Digits with what joins them ("1,000.5"), one number after the other. */
static rm_status hash_numbers(rm_slice text, rm_key128 *ret_hash)
{
    rm_buf numbers;

    rm_buf_init(&numbers, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        bool between = i && i + 1 < text.len && is_digit(text.ptr[i - 1]) && is_digit(text.ptr[i + 1]);
        if (is_digit(text.ptr[i]) || (text.ptr[i] == '.' && between))
            rm_buf_append(&numbers, text.ptr + i, 1);
        else if (i && is_digit(text.ptr[i - 1]) && !(text.ptr[i] == ',' && between))
            rm_buf_append(&numbers, " ", 1);
    }
    rm_status status = numbers.status;
    rm_slice found = trim(rm_buf_slice(&numbers));
    if (!status && found.len)
        *ret_hash = rm_hash128(found);
    rm_buf_deinit(&numbers);
    return status;
}

rm_status rm_semantic_read_answer(rm_slice text, rm_semantic_answer *ret_answer)
{
    rm_semantic_answer answer = {.word = true};

    text = trim(text);
    for (size_t i = 0; i < text.len; i++)
        answer.word &= !is_space(text.ptr[i]);
    rm_status status = hash_normal(text, answer.word, &answer.normal);
    if (!status)
        status = hash_json(text, &answer.json);
    if (!status)
        status = hash_numbers(text, &answer.numbers);
    if (!status)
        *ret_answer = answer;
    return status;
}

static bool is_none(rm_key128 hash)
{
    return hash.hi == 0 && hash.lo == 0;
}

rm_judgement rm_semantic_judge(const rm_semantic_answer *a, const rm_semantic_answer *b)
{
    if (rm_key128_eq(a->normal, b->normal))
        return RM_JUDGED_EQUAL;
    if (!is_none(a->json) && !is_none(b->json))
        return rm_key128_eq(a->json, b->json) ? RM_JUDGED_EQUAL : RM_JUDGED_DIFFERENT;
    if (a->word || b->word || !rm_key128_eq(a->numbers, b->numbers))
        return RM_JUDGED_DIFFERENT;
    return RM_JUDGED_UNKNOWN;
}
