/* Word order. The words that both texts have give a permutation; what moved is looked at, because much of it is
 * harmless:
 *
 *     A and B      | B and A                     sides of a conjunction, parts of a list
 *     A differs from B | B differs from A        sides of a symmetric relation
 *     where can I park near the hall | near the hall, where can I park      a phrase or a sentence that moved as a whole
 *     guest password | password for guests       a noun before a noun
 *     did A hit B  | was B hit by A              active and passive; "was A hit by B" is not harmless */
#include "guard_match.h"

#define WINDOW_MAX 40 /* words between the first and the last that moved; more is another text */
#define STRETCH    3  /* words that both ends of the window may lend to its parts */

/* One text's words in order, articles left out; `to` is the place of the partner in the other text's. */
typedef struct line {
    const rm_guard_text *text;
    const rm_guard__side *side;
    size_t count;
} line;

static const rm_guard__token *word_at(const line *l, size_t i)
{
    return &l->text->tokens[l->text->sequence[i]];
}

static bool same_word(const line *a, size_t i, const line *b, size_t k)
{
    return a->side->partner[a->text->sequence[i]] == b->text->sequence[k] || word_at(a, i)->stem == word_at(b, k)->stem;
}

static bool runs_equal(const line *a, size_t i, const line *b, size_t k, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        if (!same_word(a, i + n, b, k + n))
            return false;
    }
    return true;
}

static bool has_role(const line *l, size_t i, uint32_t roles)
{
    return rm_guard__roles(word_at(l, i)) & roles;
}

/* ---- what is harmless -------------------------------------------------------------------------------------------- */

typedef struct part {
    size_t from, count;
} part;

/* Splits words at commas and at and, or, versus. */
static size_t split(const line *l, size_t from, size_t end, part parts[WINDOW_MAX])
{
    size_t count = 0;
    parts[0] = (part){from, 0};
    for (size_t i = from; i < end; i++) {
        bool coord = has_role(l, i, RM_GUARD__COORD);
        bool comma = i > from && word_at(l, i)->gap & RM_GUARD__GAP_COMMA;
        if ((coord || comma) && parts[count].count)
            parts[++count] = (part){i, 0};
        if (coord)
            parts[count].from = i + 1;
        else
            parts[count].count++;
    }
    return count + (parts[count].count > 0);
}

/* Whether the parts of one list are those of the other in some order. */
static bool same_parts(const line *a, const line *b, part pa[WINDOW_MAX], size_t na, part pb[WINDOW_MAX], size_t nb)
{
    if (na != nb || na < 2)
        return false;
    for (size_t i = 0; i < na; i++) {
        size_t k = 0;
        while (k < nb && !(pb[k].count == pa[i].count && runs_equal(a, pa[i].from, b, pb[k].from, pa[i].count)))
            k++;
        if (k == nb)
            return false;
        pb[k].count = 0; /* used up: no part is empty */
    }
    return true;
}

typedef struct window {
    size_t from_a, end_a, from_b, end_b;
} window;

static bool swaps_parts(const line *a, const line *b, const window *w)
{
    part pa[WINDOW_MAX + 1], pb[WINDOW_MAX + 1];
    for (size_t left = 0; left <= STRETCH && left <= w->from_a && left <= w->from_b; left++) {
        for (size_t right = 0; right <= STRETCH && w->end_a + right <= a->count && w->end_b + right <= b->count;
             right++) {
            size_t na = split(a, w->from_a - left, w->end_a + right, pa);
            size_t nb = split(b, w->from_b - left, w->end_b + right, pb);
            if (same_parts(a, b, pa, na, pb, nb))
                return true;
        }
    }
    return false;
}

/* "an American attorney", "an attorney and American": one side has the conjunction. */
static bool joins_pair(const line *a, const line *b, const window *w)
{
    size_t na = w->end_a - w->from_a, nb = w->end_b - w->from_b;
    if (na == 2 && nb == 3)
        return has_role(b, w->from_b + 1, RM_GUARD__COORD) && same_word(a, w->from_a, b, w->from_b + 2) &&
               same_word(a, w->from_a + 1, b, w->from_b);
    return false;
}

/* X M Y against Y M X, with a symmetric word in a short M, or right before X. */
static bool swaps_symmetric(const line *a, const line *b, const window *w)
{
    size_t n = w->end_a - w->from_a;
    if (n != w->end_b - w->from_b)
        return false;
    for (size_t x = 1; x < n; x++) {
        for (size_t y = 1; x + y <= n; y++) {
            size_t m = n - x - y;
            if (m > 8 || !runs_equal(a, w->from_a, b, w->end_b - x, x) ||
                !runs_equal(a, w->end_a - y, b, w->from_b, y) || !runs_equal(a, w->from_a + x, b, w->from_b + y, m))
                continue;
            bool symmetric = false, broken = false;
            for (size_t i = w->from_a + x; i < w->end_a - y + 1 && i < a->count; i++)
                broken |= word_at(a, i)->gap & RM_GUARD__GAP_BREAK;
            for (size_t i = w->from_a >= 3 ? w->from_a - 3 : 0; i < w->from_a + x + m; i++)
                symmetric |= has_role(a, i, RM_GUARD__SYMMETRIC) != 0;
            return symmetric && !broken;
        }
    }
    return false;
}

/* U V against V U over the whole text, where one of the two begins with a preposition or a sentence. */
static bool rotates(const line *a, const line *b)
{
    if (a->count != b->count || a->count < 3)
        return false;
    for (size_t cut = 1; cut < a->count; cut++) {
        bool phrase = has_role(a, cut, RM_GUARD__PREP) || has_role(a, 0, RM_GUARD__PREP) ||
                      word_at(a, cut)->gap & RM_GUARD__GAP_BREAK;
        if (phrase && same_word(a, cut, b, 0) && runs_equal(a, cut, b, 0, a->count - cut) &&
            runs_equal(a, 0, b, a->count - cut, cut))
            return true;
    }
    return false;
}

/* X Y against Y for X: a preposition on one side only. */
static bool turns_compound(const line *a, const line *b, const window *w)
{
    size_t na = w->end_a - w->from_a, nb = w->end_b - w->from_b;
    if (nb != na + 1)
        return false;
    for (size_t x = 1; x < na; x++) {
        size_t y = na - x, at = w->from_b + y;
        if (has_role(b, at, RM_GUARD__PREP) && runs_equal(a, w->from_a, b, at + 1, x) &&
            runs_equal(a, w->from_a + x, b, w->from_b, y))
            return true;
    }
    return false;
}

/* ---- permutation ------------------------------------------------------------------------------------------------- */

/* Words whose place counts: content, numbers, and function words that give roles. */
static bool counts(const rm_guard__token *token)
{
    return token->flags & (RM_GUARD__CONTENT | RM_GUARD__NUMBER) || rm_guard__roles(token) & RM_GUARD__ROLE;
}

static size_t inversions_of(const rm_guard__match *m, size_t *ret_pairs)
{
    const rm_guard_text *a = m->a.text;
    size_t inversions = 0, pairs = 0;
    uint16_t last = RM_GUARD__ALONE;
    for (size_t i = 0; i < a->sequence_count; i++) {
        uint16_t partner = m->a.partner[a->sequence[i]];
        if (partner == RM_GUARD__ALONE || !counts(&a->tokens[a->sequence[i]]))
            continue;
        if (last != RM_GUARD__ALONE) {
            pairs++;
            inversions += partner < last;
        }
        last = partner;
    }
    *ret_pairs = pairs;
    return inversions;
}

static window window_of(const line *a, const line *b)
{
    size_t shorter = a->count < b->count ? a->count : b->count, from = 0, tail = 0;
    while (from < shorter && same_word(a, from, b, from))
        from++;
    while (tail < shorter - from && same_word(a, a->count - 1 - tail, b, b->count - 1 - tail))
        tail++;
    return (window){from, a->count - tail, from, b->count - tail};
}

static bool is_harmless(const line *a, const line *b)
{
    if (rotates(a, b))
        return true;
    window w = window_of(a, b), back = {w.from_b, w.end_b, w.from_a, w.end_a};
    if (w.end_a - w.from_a > WINDOW_MAX - 2 * STRETCH || w.end_b - w.from_b > WINDOW_MAX - 2 * STRETCH)
        return false;
    return swaps_parts(a, b, &w) || swaps_symmetric(a, b, &w) || joins_pair(a, b, &w) || joins_pair(b, a, &back) ||
           turns_compound(a, b, &w) || turns_compound(b, a, &back);
}

bool rm_guard__reordered(const rm_guard__match *match, float *ret_inversions)
{
    line a = {match->a.text, &match->a, match->a.text->sequence_count};
    line b = {match->b.text, &match->b, match->b.text->sequence_count};
    size_t pairs, inversions = inversions_of(match, &pairs);
    *ret_inversions = pairs ? (float)inversions / (float)pairs : 0;
    bool same_bag = match->a.content_alone == 0 && match->b.content_alone == 0;
    if (!same_bag || match->a.content_matched < 2)
        return false;
    if (a.text->passive != b.text->passive)
        return inversions == 0;
    return inversions > 0 && !is_harmless(&a, &b);
}
