/* Any bytes as two answers (apart at the first NUL, else cut in the middle): judging is symmetric, and an answer equals
 * itself. */
#include <stdint.h>
#include <string.h>

#include "remora/semantic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *cut = size ? memchr(text, 0, size) : NULL;
    size_t first = cut ? (size_t)(cut - text) : size / 2;
    rm_semantic_answer a, b;

    RM_CHECK(rm_semantic_read_answer(rm_slice_make(text, first), &a) == RM_OK);
    RM_CHECK(rm_semantic_read_answer(rm_slice_make(text + first, size - first), &b) == RM_OK);
    RM_CHECK(rm_semantic_judge(&a, &b) == rm_semantic_judge(&b, &a));
    RM_CHECK(rm_semantic_judge(&a, &a) == RM_JUDGED_EQUAL && rm_semantic_judge(&b, &b) == RM_JUDGED_EQUAL);
    return 0;
}
