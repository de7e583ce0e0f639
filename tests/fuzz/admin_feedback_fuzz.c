/* Any bytes as the body of POST /api/feedback: refused with a reason, or read, and answered by one JSON value. */
#include <stdint.h>

#include "admin_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(const rm_admin_feedback *feedback, rm_feedback_effect effect, rm_arena *arena)
{
    const rm_json *root;
    rm_buf out;

    rm_buf_init(&out, 64 * RM_MIB);
    RM_CHECK(rm_admin__feedback_json(feedback, effect, &out) == RM_OK);
    RM_CHECK(rm_json_parse(arena, rm_buf_slice(&out), &root) == RM_OK);
    RM_CHECK(rm_slice_eq(rm_json_string(rm_json_get(root, "id")), feedback->id));
    rm_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_admin_feedback feedback = {0};
    const char *why = NULL;
    rm_arena arena;

    rm_arena_init(&arena, NULL, 64 * RM_MIB);
    rm_status status = rm_admin__read_feedback(rm_slice_make((const char *)data, size), &arena, &feedback, &why);
    if (status == RM_OK) {
        RM_CHECK(!why && feedback.id.len > 0 && feedback.note.len <= RM_ADMIN_NOTE_BYTES_MAX);
        check_reply(&feedback, (rm_feedback_effect)(size % RM_FEEDBACK_EFFECT_COUNT), &arena);
    } else {
        RM_CHECK(why && !feedback.id.ptr);
    }
    rm_arena_deinit(&arena);
    return 0;
}
