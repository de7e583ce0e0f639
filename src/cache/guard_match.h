/* Two texts laid side by side: which word of one stands for which of the other. */
#ifndef REMORA_CACHE_GUARD_MATCH_H
#define REMORA_CACHE_GUARD_MATCH_H

#include "guard_text.h"

#define RM_GUARD__ALONE     UINT16_MAX
#define RM_GUARD__LOOSE_MAX 32 /* words without a partner that are looked at one by one */

typedef struct rm_guard__side {
    const rm_guard_text *text;
    uint16_t partner[RM_GUARD_TOKENS_MAX]; /* token of the other text, or RM_GUARD__ALONE */
    uint16_t loose[RM_GUARD__LOOSE_MAX];   /* the first kept words without a partner */
    size_t loose_count;
    size_t content_alone; /* content words that the other text does not have, light ones left out */
    size_t names_alone;
    size_t content_more, names_more; /* ... that it has, but less often */
    size_t content_matched;
} rm_guard__side;

typedef struct rm_guard__match {
    rm_guard__side a, b;
    uint32_t flags;
} rm_guard__match;

/* Finds the partners, and the pairs of words that contradict each other. */
void rm_guard__pair(const rm_guard_text *a, const rm_guard_text *b, rm_guard__match *ret_match);

bool rm_guard__has_stem(const rm_guard_text *text, uint64_t stem);

/* Whether the words that both texts have stand in another order that changes who does what; and how many neighbours
 * stand the other way round. */
bool rm_guard__reordered(const rm_guard__match *match, float *ret_inversions);

#endif
