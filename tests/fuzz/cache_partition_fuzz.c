/* Any bytes as the body of each operation: what is fit has its text inside the document, as one string value of it; any
 * other text in that place leaves the partition as it is and is found again; a change of the rest moves it. */
#include <stdint.h>

#include "remora/semantic.h"

#define OUT_MAX RM_MIB

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[32] = "0123456789abcdef0123456789abcde";

static bool ask(rm_op op, rm_slice body, rm_arena *arena, rm_request_info *ret_info, rm_semantic_question *ret_question)
{
    const rm_tenant tenant = {.scope = {1, 2}};
    if (rm_provider_read_request(op, body, arena, ret_info) != RM_OK)
        return false;
    RM_CHECK(rm_semantic_question_read(ret_info, RM_SLICE("upstream"), &tenant, RM_SLICE("space"), RM_SLICE_NONE,
                                       secret, ret_question) == RM_OK);
    return true;
}

/* The string value whose bytes these are, by their address. NULL: none. */
static const rm_json *find_value(const rm_json *value, const char *bytes)
{
    if (rm_json_string(value).ptr == bytes)
        return value;
    if (rm_json_typeof(value) >= RM_JSON_ARRAY) {
        for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);) {
            const rm_json *found = find_value(it.value, bytes);
            if (found)
                return found;
        }
    }
    return NULL;
}

/* Where in a canonical text the hole is: outside of all strings. */
static size_t find_hole(rm_slice text)
{
    bool string = false;
    for (size_t at = 0; at < text.len; at++) {
        if (string && text.ptr[at] == '\\')
            at++;
        else if (text.ptr[at] == '"')
            string = !string;
        else if (!string && text.ptr[at] == RM_JSON_HOLE)
            return at;
    }
    return text.len;
}

static void check_other_text(rm_op op, const rm_semantic_question *was, rm_slice frame, size_t hole, rm_slice quoted,
                             rm_slice text)
{
    rm_arena arena;
    rm_buf body;
    rm_request_info info;
    rm_semantic_question is;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_buf_init(&body, OUT_MAX);
    rm_buf_append(&body, frame.ptr, hole);
    rm_buf_append_slice(&body, quoted);
    RM_CHECK(rm_buf_append(&body, frame.ptr + hole + 1, frame.len - hole - 1) == RM_OK);
    RM_CHECK(ask(op, rm_buf_slice(&body), &arena, &info, &is));
    RM_CHECK(is.fitness == RM_SEMANTIC_FIT && rm_slice_eq(is.text, text));
    RM_CHECK(rm_key128_eq(is.partition, was->partition));
    /* the same with one member more */
    body.len--;
    RM_CHECK(rm_buf_append_cstr(&body, ",\"no such member\":\"\"}") == RM_OK);
    RM_CHECK(ask(op, rm_buf_slice(&body), &arena, &info, &is));
    RM_CHECK(is.fitness != RM_SEMANTIC_FIT || !rm_key128_eq(is.partition, was->partition));
    rm_buf_deinit(&body);
    rm_arena_deinit(&arena);
}

static void check_fit(const rm_request_info *info, const rm_semantic_question *question)
{
    rm_buf frame;
    const rm_json *value = find_value(info->root, question->text.ptr);
    RM_CHECK(question->text.len > 0 && question->text.len <= RM_GUARD_TEXT_BYTES_MAX);
    RM_CHECK(value && rm_slice_eq(rm_json_string(value), question->text));
    rm_buf_init(&frame, OUT_MAX);
    RM_CHECK(rm_json_canonical_without(info->root, value, NULL, NULL, &frame) == RM_OK);
    size_t hole = find_hole(rm_buf_slice(&frame));
    RM_CHECK(hole < frame.len);
    check_other_text(info->op, question, rm_buf_slice(&frame), hole, RM_SLICE("\"?\""), RM_SLICE("?"));
    check_other_text(info->op, question, rm_buf_slice(&frame), hole, RM_SLICE("\"\\\"},{\\\"\""), RM_SLICE("\"},{\""));
    rm_buf_deinit(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (rm_op op = RM_OP_OTHER; op < RM_OP_COUNT; op++) {
        rm_arena arena;
        rm_request_info info;
        rm_semantic_question question;
        rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
        if (ask(op, rm_slice_make((const char *)data, size), &arena, &info, &question)) {
            if (question.fitness == RM_SEMANTIC_FIT)
                check_fit(&info, &question);
            else
                RM_CHECK(question.text.len == 0 && question.partition.hi == 0 && question.partition.lo == 0);
        }
        rm_arena_deinit(&arena);
    }
    return 0;
}
