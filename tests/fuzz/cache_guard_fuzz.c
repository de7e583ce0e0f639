/* Any bytes as two texts (apart at the first NUL, else cut in the middle): what is analysed keeps its bounds; comparing
 * is symmetric; a text agrees with itself but for what fires on one text alone; features are shares. */
#include <stdint.h>
#include <stdlib.h>

#include "guard_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const rm_guard_words *dictionary(void)
{
    static rm_guard_words *words;
    if (!words)
        RM_CHECK(rm_guard_words_create(&words) == RM_OK);
    return words;
}

/* From a copy of just that length, so that the sanitizer sees a read past its end. */
static rm_guard_text *analyse(const uint8_t *data, size_t len, rm_arena *arena)
{
    char *copy = malloc(len ? len : 1);
    rm_guard_text *text = NULL;
    RM_CHECK(copy != NULL);
    if (len)
        memcpy(copy, data, len);
    rm_status status = rm_guard_analyse(dictionary(), rm_slice_make(copy, len), arena, &text);
    free(copy);
    RM_CHECK(status == RM_OK || status == RM_ETOOBIG || status == RM_EPARSE);
    if (status)
        return NULL;
    RM_CHECK(text->count <= RM_GUARD_TOKENS_MAX && text->count <= len + 2 && text->kept <= text->count);
    RM_CHECK(text->numbers_count <= RM_GUARD_NUMBERS_MAX && text->verbatim_count <= RM_GUARD_VERBATIM_MAX);
    for (size_t i = 1; i < text->kept; i++)
        RM_CHECK(text->by_stem[i - 1].stem <= text->by_stem[i].stem);
    return text;
}

static void check_features(const rm_guard_result *r)
{
    const float shares[] = {r->content_jaccard, r->word_jaccard,   r->prefix5_jaccard,
                            r->trigram_jaccard, r->length_ratio,   r->prefix_share,
                            r->suffix_share,    r->question_equal, r->inversions};
    for (size_t i = 0; i < RM_COUNT(shares); i++)
        RM_CHECK(shares[i] >= 0 && shares[i] <= 1);
    RM_CHECK(r->flags < 1U << RM_GUARD_COUNT && r->only_cached >= 0 && r->only_asked >= 0);
}

static void check_self(const rm_guard_text *text)
{
    const uint32_t alone = RM_GUARD_BIT(INVISIBLE) | RM_GUARD_BIT(NOISE);
    rm_guard_result self;
    rm_guard_compare(text, text, &self);
    check_features(&self);
    RM_CHECK((self.flags & ~alone) == 0);
    RM_CHECK(self.word_jaccard == 1 && self.content_jaccard == 1 && self.inversions == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size / 2;
    rm_arena arena;
    rm_arena_init(&arena, NULL, RM_MIB);
    rm_guard_text *a = analyse(data, len, &arena);
    rm_guard_text *b = analyse(data + len + (nul != NULL), size - len - (nul != NULL), &arena);
    if (a)
        check_self(a);
    if (a && b) {
        rm_guard_result there, back;
        rm_guard_compare(a, b, &there);
        rm_guard_compare(b, a, &back);
        check_features(&there);
        RM_CHECK(there.flags == back.flags && there.only_cached == back.only_asked);
    }
    rm_arena_deinit(&arena);
    return 0;
}
