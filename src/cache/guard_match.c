/* Partners: first equal stems, the k-th of one text with the k-th of the other; then, among the few that are left,
 * synonyms, other spellings and typing errors. What is left after that is compared for opposites. */
#include "guard_match.h"

typedef struct flip {
    uint16_t a, b;
    bool degree; /* more against less */
    uint32_t flag;
} flip;

#define FLIPS_MAX     8
#define NAME_SLIP_MIN 8 /* letters of a name that may be misspelt */

static const rm_guard__token *token_at(const rm_guard__side *side, size_t i)
{
    return &side->text->tokens[i];
}

static void join(rm_guard__match *m, uint16_t a, uint16_t b)
{
    m->a.partner[a] = b;
    m->b.partner[b] = a;
}

/* ---- equal stems ------------------------------------------------------------------------------------------------- */

static void join_stems(rm_guard__match *m)
{
    const rm_guard_text *a = m->a.text, *b = m->b.text;
    for (size_t i = 0, k = 0; i < a->kept && k < b->kept;) {
        if (a->by_stem[i].stem == b->by_stem[k].stem) {
            join(m, a->by_stem[i++].token, b->by_stem[k++].token);
        } else if (a->by_stem[i].stem < b->by_stem[k].stem) {
            i++;
        } else {
            k++;
        }
    }
}

static void collect_loose(rm_guard__side *side)
{
    const rm_guard_text *text = side->text;
    side->loose_count = 0;
    for (size_t i = 0; i < text->count && side->loose_count < RM_GUARD__LOOSE_MAX; i++) {
        if (side->partner[i] == RM_GUARD__ALONE && !(text->tokens[i].flags & RM_GUARD__DROPPED) &&
            !(rm_guard__roles(&text->tokens[i]) & RM_GUARD__ARTICLE))
            side->loose[side->loose_count++] = (uint16_t)i;
    }
}

/* ---- words that may stand for each other ------------------------------------------------------------------------- */

/* One letter twice or once, two letters swapped, or a vowel more or less: a slip, in a word long enough to be sure. */
static bool is_slip(rm_slice a, rm_slice b)
{
    size_t i = 0, k = 0;
    if (a.len > b.len) {
        rm_slice longer = a;
        a = b;
        b = longer;
    }
    if (a.len < 5 || b.len < 6 || b.len - a.len > 1 || a.ptr[0] != b.ptr[0])
        return false;
    while (i < a.len && a.ptr[i] == b.ptr[i])
        i++;
    while (k < a.len - i && a.ptr[a.len - 1 - k] == b.ptr[b.len - 1 - k])
        k++;
    if (b.len > a.len)
        return i + k == a.len && i < b.len && i > 0 && (b.ptr[i] == b.ptr[i - 1] || memchr("aeiou", b.ptr[i], 5));
    return i + k + 2 == a.len && a.ptr[i] == b.ptr[i + 1] && a.ptr[i + 1] == b.ptr[i];
}

/* Letters that a reader takes for each other: l and i (a capital once), rn and m. */
static bool looks_alike(rm_slice a, rm_slice b)
{
    size_t i = 0, k = 0;
    bool other = false;
    while (i < a.len && k < b.len) {
        bool bars = (a.ptr[i] == 'l' || a.ptr[i] == 'i') && (b.ptr[k] == 'l' || b.ptr[k] == 'i');
        if (a.ptr[i] == b.ptr[k] || bars) {
            other |= a.ptr[i] != b.ptr[k];
            i++;
            k++;
        } else if (a.ptr[i] == 'm' && b.len - k >= 2 && b.ptr[k] == 'r' && b.ptr[k + 1] == 'n') {
            other = true;
            i++;
            k += 2;
        } else if (b.ptr[k] == 'm' && a.len - i >= 2 && a.ptr[i] == 'r' && a.ptr[i + 1] == 'n') {
            other = true;
            i += 2;
            k++;
        } else {
            return false;
        }
    }
    return other && i == a.len && k == b.len;
}

/* India and Indian, China and Chinese: a name and what is of it. */
static bool is_derived(rm_slice shorter, rm_slice longer)
{
    static const char *const ends[] = {"n", "an", "ian", "ese", "ish", "i", "s", "er"};
    size_t n = 0;
    while (n < shorter.len && n < longer.len && shorter.ptr[n] == longer.ptr[n])
        n++;
    bool vowel = shorter.len == n + 1 && memchr("aeoy", shorter.ptr[n], 4);
    rm_slice end = rm_slice_make(longer.ptr + n, longer.len - n);
    for (size_t i = 0; n >= 4 && (n == shorter.len || vowel) && i < RM_COUNT(ends); i++) {
        if (rm_slice_eq(end, rm_slice_cstr(ends[i])))
            return true;
    }
    return false;
}

static bool stands_for(rm_guard__match *m, const rm_guard__token *a, const rm_guard__token *b)
{
    if (a->entry && b->entry && a->entry->synonym && a->entry->synonym == b->entry->synonym)
        return true;
    if (a->bare == b->bare && a->word != b->word) {
        m->flags |= RM_GUARD_BIT(INVISIBLE);
        return true;
    }
    if (!(a->flags & b->flags & RM_GUARD__ASCII) || (a->flags | b->flags) & (RM_GUARD__NUMBER | RM_GUARD__NUMBERED))
        return false;
    rm_slice first = rm_guard__word(m->a.text, a), second = rm_guard__word(m->b.text, b);
    bool names = a->flags & b->flags & RM_GUARD__NAME; /* Marian, Marina */
    if (!(a->entry && b->entry) && is_slip(first, second) && !(names && first.len < NAME_SLIP_MIN))
        return true;
    if (looks_alike(first, second)) {
        m->flags |= RM_GUARD_BIT(INVISIBLE);
        return true;
    }
    return (a->flags | b->flags) & RM_GUARD__NAME && (is_derived(first, second) || is_derived(second, first));
}

/* A word with an accent, where the other text has it without: an accented a for the article. */
static bool has_bare_twin(const rm_guard__side *side, const rm_guard_text *other)
{
    for (size_t i = 0; i < side->loose_count; i++) {
        const rm_guard__token *token = token_at(side, side->loose[i]);
        if (token->bare != token->word && rm_guard__has_stem(other, token->bare))
            return true;
    }
    return false;
}

/* An accent in English, on a word that the other text has not: not even with other spelling. */
static bool has_lone_accent(const rm_guard__side *side, const rm_guard_text *other)
{
    uint8_t own = side->text->language, others = other->language;
    bool english =
        own <= RM_GUARD__ENGLISH && others <= RM_GUARD__ENGLISH && own + others > 0; /* 0: too short to tell */
    for (size_t i = 0; english && i < side->loose_count; i++) {
        if (token_at(side, side->loose[i])->bare != token_at(side, side->loose[i])->word)
            return true;
    }
    return false;
}

static void join_alike(rm_guard__match *m)
{
    if (has_bare_twin(&m->a, m->b.text) || has_bare_twin(&m->b, m->a.text) || has_lone_accent(&m->a, m->b.text) ||
        has_lone_accent(&m->b, m->a.text))
        m->flags |= RM_GUARD_BIT(INVISIBLE);
    for (size_t i = 0; i < m->a.loose_count; i++) {
        for (size_t k = 0; k < m->b.loose_count; k++) {
            uint16_t a = m->a.loose[i], b = m->b.loose[k];
            if (m->b.partner[b] != RM_GUARD__ALONE || !stands_for(m, token_at(&m->a, a), token_at(&m->b, b)))
                continue;
            join(m, a, b);
            break;
        }
    }
    collect_loose(&m->a);
    collect_loose(&m->b);
}

/* ---- opposites --------------------------------------------------------------------------------------------------- */

static bool has_class(const rm_guard_text *text, uint16_t class)
{
    for (size_t i = 0; i < text->count; i++) {
        const rm_guard__entry *entry = text->tokens[i].entry;
        for (size_t k = 0; entry && k < RM_GUARD__CONTRASTS_MAX && entry->contrasts[k]; k++) {
            if (entry->contrasts[k] == class)
                return true;
        }
    }
    return false;
}

/* Whether the words stand on two sides of a contrast, and neither text has the other's side elsewhere. */
static bool contrasts(const rm_guard__match *m, const rm_guard__token *a, const rm_guard__token *b, unsigned *scans)
{
    if (!a->entry || !b->entry)
        return false;
    for (size_t i = 0; i < RM_GUARD__CONTRASTS_MAX && a->entry->contrasts[i]; i++) {
        for (size_t k = 0; k < RM_GUARD__CONTRASTS_MAX && b->entry->contrasts[k]; k++) {
            uint16_t first = a->entry->contrasts[i], second = b->entry->contrasts[k];
            if (first == second || first / RM_GUARD__SIDES_MAX != second / RM_GUARD__SIDES_MAX)
                continue;
            if (++*scans > 16 || (!has_class(m->b.text, first) && !has_class(m->a.text, second)))
                return true;
        }
    }
    return false;
}

/* Whether the longer word is the shorter one with a prefix that denies it: unsafe, impossible, nonfatal. */
static bool denies(rm_slice word, rm_slice other)
{
    static const char *const prefixes[] = {"un", "in", "im", "il", "ir", "dis", "non", "mis", "de", "anti", "a"};
    if (word.len <= other.len || other.len < 4)
        return false;
    rm_slice rest = rm_slice_make(word.ptr + (word.len - other.len), other.len);
    rm_slice prefix = rm_slice_make(word.ptr, word.len - other.len);
    if (!rm_slice_eq(rest, other))
        return false;
    for (size_t i = 0; i < RM_COUNT(prefixes); i++) {
        if (rm_slice_eq(prefix, rm_slice_cstr(prefixes[i])))
            return true;
    }
    return false;
}

/* hopeful against hopeless */
static bool differs_in_suffix(rm_slice a, rm_slice b)
{
    if (a.len < 6 || b.len < 6)
        return false;
    bool full = memcmp(a.ptr + a.len - 3, "ful", 3) == 0 && memcmp(b.ptr + b.len - 4, "less", 4) == 0;
    return full && a.len - 3 == b.len - 4 && memcmp(a.ptr, b.ptr, a.len - 3) == 0;
}

static bool opposes(const rm_guard__match *m, uint16_t a, uint16_t b, unsigned *scans, flip *ret_flip)
{
    const rm_guard__token *first = token_at(&m->a, a), *second = token_at(&m->b, b);
    *ret_flip = (flip){a, b, false, RM_GUARD_BIT(ANTONYM)};
    if (contrasts(m, first, second, scans)) {
        uint32_t stop = rm_guard__roles(first) & rm_guard__roles(second) & RM_GUARD__STOP;
        ret_flip->degree = stop && !(rm_guard__roles(first) & (RM_GUARD__PREP | RM_GUARD__COORD));
        return true;
    }
    if (!(first->flags & second->flags & RM_GUARD__ASCII))
        return false;
    rm_slice x = rm_guard__word(m->a.text, first), y = rm_guard__word(m->b.text, second);
    if (denies(x, y) || denies(y, x))
        ret_flip->flag = RM_GUARD_BIT(NEGATION);
    else if (!differs_in_suffix(x, y) && !differs_in_suffix(y, x))
        return false;
    return true;
}

static size_t find_flips(const rm_guard__match *m, flip flips[FLIPS_MAX])
{
    size_t count = 0;
    unsigned scans = 0;
    for (size_t i = 0; i < m->a.loose_count; i++) {
        for (size_t k = 0; k < m->b.loose_count && count < FLIPS_MAX; k++) {
            if (opposes(m, m->a.loose[i], m->b.loose[k], &scans, &flips[count])) {
                count++;
                break;
            }
        }
    }
    return count;
}

/* Whether the word before `at`, articles apart, negates. */
static bool negated_at(const rm_guard_text *text, size_t at)
{
    while (at > 0 && rm_guard__roles(&text->tokens[at - 1]) & RM_GUARD__ARTICLE)
        at--;
    return at > 0 && text->tokens[at - 1].flags & RM_GUARD__NEGATES;
}

/* Two reversals of one word undo each other: "more patient" is "less impatient", "not humble" is "proud". */
static void judge_flips(rm_guard__match *m, const flip *flips, size_t count)
{
    const rm_guard_text *a = m->a.text, *b = m->b.text;
    bool negated = a->negations != b->negations;
    if (count == 2 && flips[0].degree != flips[1].degree && !negated) {
        const flip *degree = &flips[!flips[0].degree], *word = &flips[flips[0].degree];
        if (degree->a + 1 == word->a && degree->b + 1 == word->b)
            return;
    }
    if (count == 1 && negated && !flips[0].degree && a->negations + b->negations == 1 &&
        negated_at(a, flips[0].a) != negated_at(b, flips[0].b))
        return;
    if (negated)
        m->flags |= RM_GUARD_BIT(NEGATION);
    for (size_t i = 0; i < count; i++)
        m->flags |= flips[i].flag;
}

bool rm_guard__has_stem(const rm_guard_text *text, uint64_t stem)
{
    size_t low = 0, high = text->kept;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (text->by_stem[middle].stem < stem)
            low = middle + 1;
        else
            high = middle;
    }
    return low < text->kept && text->by_stem[low].stem == stem;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void count_alone(rm_guard__side *side, const rm_guard_text *other)
{
    const rm_guard_text *text = side->text;
    for (size_t i = 0; i < text->count; i++) {
        const rm_guard__token *token = &text->tokens[i];
        if (!(token->flags & RM_GUARD__CONTENT) || token->flags & RM_GUARD__DROPPED)
            continue;
        if (side->partner[i] != RM_GUARD__ALONE) {
            side->content_matched++;
            continue;
        }
        bool name = token->flags & RM_GUARD__NAME;
        if (rm_guard__has_stem(other, token->stem)) {
            side->content_more++;
            side->names_more += name;
            continue;
        }
        side->content_alone += !(rm_guard__roles(token) & RM_GUARD__LIGHT);
        side->names_alone += name;
    }
}

static void begin_side(rm_guard__side *side, const rm_guard_text *text)
{
    side->text = text;
    side->content_alone = side->names_alone = side->content_more = side->names_more = side->content_matched = 0;
    memset(side->partner, 0xff, text->count * sizeof(*side->partner));
}

void rm_guard__pair(const rm_guard_text *a, const rm_guard_text *b, rm_guard__match *ret_match)
{
    flip flips[FLIPS_MAX];
    begin_side(&ret_match->a, a);
    begin_side(&ret_match->b, b);
    ret_match->flags = 0;
    join_stems(ret_match);
    collect_loose(&ret_match->a);
    collect_loose(&ret_match->b);
    judge_flips(ret_match, flips, find_flips(ret_match, flips));
    join_alike(ret_match);
    count_alone(&ret_match->a, b);
    count_alone(&ret_match->b, a);
}
