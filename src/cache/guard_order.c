/* Word order. The words that both texts have give a permutation; what moved is looked at, because much of it is
 * harmless:
 *
 *     A and B      | B and A                     sides of a conjunction, parts of a list
 *     A differs from B | B differs from A        sides of a symmetric relation
 *     where can I park near the hall | near the hall, where can I park      a phrase or a sentence that moved as a whole
 *     guest password | password for guests       a noun before a noun
 *     did A hit B  | was B hit by A              active and passive; "was A hit by B" is not harmless */
#include "guard_match.h"

#define WINDOW_MAX  40  /* words between the first and the last that moved; more is another text */
#define ROTATED_MAX 128 /* words of a text whose halves may have changed places */
#define LOOSE_MAX   4   /* words that the texts do not share; with more it is a paraphrase */
#define STRETCH     3   /* words that both ends of the window may lend to its parts */

/* One text's words in order, articles left out. */
typedef struct line {
    const rm_guard_text *text;
    const rm_guard__side *side;
    const uint16_t *words; /* tokens */
    size_t count;
} line;

static const rm_guard__token *word_at(const line *l, size_t i)
{
    return &l->text->tokens[l->words[i]];
}

static bool same_word(const line *a, size_t i, const line *b, size_t k)
{
    return a->side->partner[a->words[i]] == b->words[k] || word_at(a, i)->stem == word_at(b, k)->stem;
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

/* Whether a symmetric word stands in the three words before the window or between its sides, and nothing parts them. */
static bool is_symmetric(const line *a, const window *w, size_t x, size_t m)
{
    bool symmetric = false, broken = false;
    for (size_t i = w->from_a >= 3 ? w->from_a - 3 : 0; i < w->from_a; i++)
        symmetric |= has_role(a, i, RM_GUARD__SYMMETRIC) != 0;
    for (size_t i = w->from_a + x; i < w->from_a + x + m; i++) {
        /* "is married to", "cats differ from", not "friends hate" */
        bool leads =
            i + 1 >= w->from_a + x + m || has_role(a, i + 1, RM_GUARD__PREP | RM_GUARD__COORD | RM_GUARD__ROLE);
        symmetric |= leads && i < w->from_a + x + 3 && has_role(a, i, RM_GUARD__SYMMETRIC) != 0;
    }
    for (size_t i = w->from_a + x; i <= w->from_a + x + m && i < a->count; i++)
        broken |= (word_at(a, i)->gap & (RM_GUARD__GAP_BREAK | RM_GUARD__GAP_COMMA)) != 0;
    return symmetric && !broken;
}

/* X M Y against Y M X with a symmetric word in a short M, or right before X. */
static bool swaps_symmetric(const line *a, const line *b, const window *w)
{
    size_t n = w->end_a - w->from_a;
    if (n != w->end_b - w->from_b)
        return false;
    for (size_t x = 1; x < n; x++) {
        for (size_t y = 1; x + y <= n; y++) {
            size_t m = n - x - y;
            if (m <= 6 && runs_equal(a, w->from_a, b, w->end_b - x, x) &&
                runs_equal(a, w->end_a - y, b, w->from_b, y) && runs_equal(a, w->from_a + x, b, w->from_b + y, m))
                return is_symmetric(a, w, x, m);
        }
    }
    return false;
}

/* U V against V U over the whole text, where one of the two begins with a preposition or a sentence. */
static bool rotates(const line *a, const line *b)
{
    if (a->count != b->count || a->count < 3 || a->count > ROTATED_MAX)
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

/* Words whose place counts. Where both texts have the very same words, all of them; else content, numbers and the few
 * function words that give roles, unless one text has the word once more than the other. */
static bool counts(const rm_guard__match *m, uint16_t at, bool same_words)
{
    const rm_guard__token *token = &m->a.text->tokens[at], *twin = &m->b.text->tokens[m->a.partner[at]];
    uint32_t roles = rm_guard__roles(token);
    if (same_words) /* "isn't it", "is it not" */
        return !(roles & RM_GUARD__QUESTION ||
                 (roles & RM_GUARD__NEGATION && (token->flags | twin->flags) & RM_GUARD__ATTACHED));
    if (roles & RM_GUARD__LIGHT || !(token->flags & (RM_GUARD__CONTENT | RM_GUARD__NUMBER) || roles & RM_GUARD__ROLE))
        return false;
    for (size_t i = 0; i < m->a.loose_count; i++) {
        if (m->a.text->tokens[m->a.loose[i]].stem == token->stem)
            return false;
    }
    for (size_t i = 0; i < m->b.loose_count; i++) {
        if (m->b.text->tokens[m->b.loose[i]].stem == token->stem)
            return false;
    }
    return true;
}

static size_t inversions_of(const rm_guard__match *m, bool same_words, size_t *ret_pairs)
{
    const rm_guard_text *a = m->a.text;
    size_t inversions = 0, pairs = 0;
    uint16_t last = RM_GUARD__ALONE;
    for (size_t i = 0; i < a->sequence_count; i++) {
        uint16_t partner = m->a.partner[a->sequence[i]];
        if (partner == RM_GUARD__ALONE || !counts(m, a->sequence[i], same_words))
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

static bool is_narrow(const window *w)
{
    size_t max = WINDOW_MAX - 2 * STRETCH;
    return w->end_a > w->from_a && w->end_a - w->from_a <= max && w->end_b - w->from_b <= max;
}

static bool is_harmless(const line *a, const line *b)
{
    if (rotates(a, b))
        return true;
    window w = window_of(a, b), back = {w.from_b, w.end_b, w.from_a, w.end_a};
    if (!is_narrow(&w))
        return false;
    return swaps_parts(a, b, &w) || swaps_symmetric(a, b, &w) || joins_pair(a, b, &w) || joins_pair(b, a, &back) ||
           turns_compound(a, b, &w) || turns_compound(b, a, &back);
}

static line line_of(const rm_guard__side *side)
{
    line l = {.text = side->text, .side = side, .words = side->text->sequence, .count = side->text->sequence_count};
    return l;
}

/* Only what is compared where the function words differ: content and numbers, and conjunctions where asked for. */
static line content_line(const rm_guard__side *side, bool coords, uint16_t words[RM_GUARD_TOKENS_MAX])
{
    line l = {.text = side->text, .side = side, .words = words};
    for (size_t i = 0; i < side->text->sequence_count; i++) {
        const rm_guard__token *token = &side->text->tokens[side->text->sequence[i]];
        uint32_t roles = rm_guard__roles(token);
        bool content = token->flags & (RM_GUARD__CONTENT | RM_GUARD__NUMBER) && !(roles & RM_GUARD__LIGHT);
        if (content || (coords && roles & RM_GUARD__COORD))
            words[l.count++] = side->text->sequence[i];
    }
    return l;
}

/* Whether a preposition stands right before the word, articles apart. */
static bool led(const line *l, size_t i)
{
    size_t at = l->words[i];
    while (at > 0 && (l->text->tokens[at - 1].flags & RM_GUARD__DROPPED ||
                      rm_guard__roles(&l->text->tokens[at - 1]) & (RM_GUARD__ARTICLE | RM_GUARD__DETERMINER)))
        at--;
    return at > 0 && rm_guard__roles(&l->text->tokens[at - 1]) & RM_GUARD__PREP;
}

/* U V against V U where one of the two has a preposition in one text only: "best Abba songs", "best songs by Abba". */
static bool turns_phrase(const line *a, const line *b, const window *w)
{
    size_t n = w->end_a - w->from_a;
    if (n != w->end_b - w->from_b)
        return false;
    for (size_t u = 1; u < n; u++) {
        if (runs_equal(a, w->from_a, b, w->end_b - u, u) && runs_equal(a, w->from_a + u, b, w->from_b, n - u))
            return led(a, w->from_a) != led(b, w->end_b - u) || led(a, w->from_a + u) != led(b, w->from_b);
    }
    return false;
}

static bool is_harmless_content(const rm_guard__match *match)
{
    uint16_t words_a[RM_GUARD_TOKENS_MAX], words_b[RM_GUARD_TOKENS_MAX];
    line a = content_line(&match->a, true, words_a), b = content_line(&match->b, true, words_b);
    window w = window_of(&a, &b);
    if (is_narrow(&w) && swaps_parts(&a, &b, &w))
        return true;
    a = content_line(&match->a, false, words_a);
    b = content_line(&match->b, false, words_b);
    w = window_of(&a, &b);
    return is_narrow(&w) && turns_phrase(&a, &b, &w);
}

/* The content word next to `at` in one direction, within its sentence; RM_GUARD__ALONE: none. */
static size_t content_beside(const rm_guard_text *text, size_t at, bool after)
{
    for (;;) {
        if (after ? at + 1 == text->count || text->tokens[at + 1].gap & RM_GUARD__GAP_BREAK
                  : at == 0 || text->tokens[at].gap & RM_GUARD__GAP_BREAK)
            return RM_GUARD__ALONE;
        at = after ? at + 1 : at - 1;
        if (text->tokens[at].flags & RM_GUARD__CONTENT)
            return at;
        if (!(rm_guard__roles(&text->tokens[at]) & (RM_GUARD__ARTICLE | RM_GUARD__DETERMINER)))
            return RM_GUARD__ALONE;
    }
}

static bool leads_to(const rm_guard__token *token, const rm_guard_text *text)
{
    rm_slice word = rm_guard__word(text, token);
    return rm_slice_eq(word, RM_SLICE("to")) || rm_slice_eq(word, RM_SLICE("into"));
}

static bool comes_from(const rm_guard_text *text, size_t at)
{
    while (at > 0 && rm_guard__roles(&text->tokens[at - 1]) & (RM_GUARD__ARTICLE | RM_GUARD__DETERMINER))
        at--;
    return at > 0 && rm_slice_eq(rm_guard__word(text, &text->tokens[at - 1]), RM_SLICE("from"));
}

/* "a string into bytes", "bytes to a string": the other direction, whatever stands around it. With "from" it is found as
 * the other swaps are. */
static bool turns_back(const rm_guard__match *m)
{
    const rm_guard_text *a = m->a.text, *b = m->b.text;
    for (size_t i = 0; i < a->count; i++) {
        if (!leads_to(&a->tokens[i], a))
            continue;
        size_t from = content_beside(a, i, false), to = content_beside(a, i, true);
        if (from == RM_GUARD__ALONE || to == RM_GUARD__ALONE || m->a.partner[from] == RM_GUARD__ALONE ||
            m->a.partner[to] == RM_GUARD__ALONE || comes_from(a, from))
            continue;
        size_t first = m->a.partner[to], second = m->a.partner[from];
        for (size_t k = first + 1; k < second; k++) {
            if (leads_to(&b->tokens[k], b) && content_beside(b, k, false) == first &&
                content_beside(b, k, true) == second && !comes_from(b, first))
                return true;
        }
    }
    return false;
}

bool rm_guard__reordered(const rm_guard__match *match, float *ret_inversions)
{
    line a = line_of(&match->a), b = line_of(&match->b);
    bool same_words = match->a.loose_count == 0 && match->b.loose_count == 0;
    bool same_content = match->a.content_alone == 0 && match->b.content_alone == 0;
    size_t pairs, inversions = inversions_of(match, same_words, &pairs);
    *ret_inversions = pairs ? (float)inversions / (float)pairs : 0;
    if (turns_back(match))
        return true;
    if (!same_content || match->a.loose_count + match->b.loose_count > LOOSE_MAX ||
        (match->a.content_matched < 2 && !same_words))
        return false;
    if (match->a.content_more && match->b.content_more) /* "long hair than short hair", twice the one or the other */
        return true;
    if (a.text->passive != b.text->passive && !same_words)
        return inversions == 0;
    return inversions > 0 && !is_harmless(&a, &b) && (same_words || !is_harmless_content(match));
}
