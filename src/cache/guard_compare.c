/* Comparison of two analysed texts: each guard is one function of the pair; then the features. */
#include "guard_match.h"

#define UNSAYABLE_MIN 4 /* letters */

/* ---- numbers, units, dates --------------------------------------------------------------------------------------- */

static bool same_number(const rm_guard__number *a, const rm_guard__number *b)
{
    bool spelled_alike = a->spelling == b->spelling || a->unit || b->unit;
    return a->kind == b->kind && a->value == b->value && spelled_alike;
}

typedef struct tally {
    uint64_t used; /* bits of b's numbers that have a partner */
    size_t alone[2], weak[2];
    bool units;
} tally;

static void count_alone(const rm_guard__number *number, size_t which, tally *t)
{
    if (number->weak)
        t->weak[which]++;
    else
        t->alone[which]++;
}

static void find_number(const rm_guard__number *number, const rm_guard_text *b, tally *t)
{
    size_t found = b->numbers_count;
    for (size_t k = 0; k < b->numbers_count; k++) {
        if (t->used >> k & 1 || !same_number(number, &b->numbers[k]))
            continue;
        if (found == b->numbers_count || b->numbers[k].unit == number->unit)
            found = k;
        if (b->numbers[k].unit == number->unit)
            break;
    }
    if (found == b->numbers_count) {
        count_alone(number, 0, t);
        return;
    }
    t->used |= 1ULL << found;
    t->units |= b->numbers[found].unit != number->unit;
}

static uint32_t compare_numbers(const rm_guard_text *a, const rm_guard_text *b)
{
    tally t = {0};
    for (size_t i = 0; i < a->numbers_count; i++)
        find_number(&a->numbers[i], b, &t);
    for (size_t k = 0; k < b->numbers_count; k++) {
        if (!(t.used >> k & 1))
            count_alone(&b->numbers[k], 1, &t);
    }
    bool differ = t.alone[0] || t.alone[1] || (t.weak[0] && t.weak[1]);
    return (differ ? RM_GUARD_BIT(NUMBERS) : 0) | (t.units ? RM_GUARD_BIT(UNITS) : 0);
}

/* i3 against i5, one side's mp3. */
static bool numbered_words_differ(const rm_guard__side *side)
{
    for (size_t i = 0; i < side->loose_count; i++) {
        if (side->text->tokens[side->loose[i]].flags & RM_GUARD__NUMBERED)
            return true;
    }
    return false;
}

static uint16_t unit_of(const rm_guard__token *token)
{
    if (!token->entry || !token->entry->unit)
        return 0;
    bool weak = rm_guard__roles(token) & RM_GUARD__WEAK_UNIT;
    return weak && !(token->flags & RM_GUARD__TAKEN) ? 0 : token->entry->unit;
}

static uint16_t date_of(const rm_guard__token *token)
{
    return token->flags & RM_GUARD__DATED ? token->entry->date : 0;
}

static bool has(const rm_guard_text *text, uint16_t (*class_of)(const rm_guard__token *), uint16_t class)
{
    for (size_t i = 0; i < text->count; i++) {
        if (class_of(&text->tokens[i]) == class)
            return true;
    }
    return false;
}

/* The first class among the loose words, where `other` has it nowhere if `absent`; 0: none. */
static uint16_t loose_class(const rm_guard__side *side, const rm_guard_text *other, bool absent,
                            uint16_t (*class_of)(const rm_guard__token *))
{
    for (size_t i = 0; i < side->loose_count; i++) {
        uint16_t class = class_of(&side->text->tokens[side->loose[i]]);
        if (class && !(absent && has(other, class_of, class)))
            return class;
    }
    return 0;
}

/* A unit that only one text has, where the other has another of its dimension too many. */
static bool units_differ(const rm_guard__side *a, const rm_guard__side *b)
{
    uint16_t first = loose_class(a, b->text, true, unit_of), second = loose_class(b, a->text, false, unit_of);
    return first && second && first != second && first / RM_GUARD__SIDES_MAX == second / RM_GUARD__SIDES_MAX;
}

static uint32_t compare_units_and_dates(const rm_guard__match *m)
{
    bool units = units_differ(&m->a, &m->b) || units_differ(&m->b, &m->a);
    bool dates = loose_class(&m->a, m->b.text, true, date_of) || loose_class(&m->b, m->a.text, true, date_of);
    return (units ? RM_GUARD_BIT(UNITS) : 0) | (dates ? RM_GUARD_BIT(DATES) : 0);
}

/* ---- capitals ---------------------------------------------------------------------------------------------------- */

/* "mark Zuckerberg": part of a name, however it is written. */
static bool beside_name(const rm_guard_text *text, size_t i)
{
    return (i > 0 && text->tokens[i - 1].flags & RM_GUARD__NAME) ||
           (i + 1 < text->count && text->tokens[i + 1].flags & RM_GUARD__NAME);
}

/* Symbols of units of which one letter is otherwise: mW and MW, Mb and MB; kg and Kg are style. */
static bool other_symbol(rm_slice symbol, uint8_t first, uint8_t second)
{
    uint8_t differ = first ^ second;
    return symbol.len == 2 &&
           ((differ == 1 && symbol.ptr[0] == 'm') || (differ == 2 && symbol.ptr[1] == 'b' && first & 1));
}

/* What the same word in other capitals says: where letters are asked about, in symbols of units (mW, MW), in words that are
 * a name with a capital. Elsewhere they are style. */
static uint32_t compare_cases(const rm_guard__match *m)
{
    const rm_guard_text *a = m->a.text, *b = m->b.text;
    uint32_t flags = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (m->a.partner[i] == RM_GUARD__ALONE)
            continue;
        const rm_guard__token *x = &a->tokens[i], *y = &b->tokens[m->a.partner[i]];
        uint8_t told = (x->flags | y->flags) & RM_GUARD__FIRST ? 0xfe : 0xff;
        uint8_t first = x->cases & told, second = y->cases & told;
        if (x->word != y->word || first == second)
            continue;
        if (a->literal || b->literal)
            flags |= RM_GUARD_BIT(CODE);
        if (x->entry && x->entry->unit && other_symbol(rm_guard__word(a, x), first, second))
            flags |= RM_GUARD_BIT(UNITS);
        bool name = beside_name(a, i) || beside_name(b, m->a.partner[i]);
        if (a->careful && b->careful && !name && rm_guard__roles(x) & RM_GUARD__CAPITONYM && (first ^ second) & 1)
            flags |= RM_GUARD_BIT(ANTONYM);
    }
    return flags;
}

/* ---- quotes, code ------------------------------------------------------------------------------------------------ */

static bool contains_run(const rm_guard_text *text, const rm_guard_text *from, rm_guard__quote quote)
{
    for (size_t i = 0; i + quote.count <= text->count; i++) {
        size_t n = 0;
        while (n < quote.count && text->tokens[i + n].word == from->tokens[quote.first + n].word)
            n++;
        if (n == quote.count)
            return true;
    }
    return false;
}

/* Whether the other text quotes the same words, but never to the letter. */
static bool quoted_otherwise(const rm_guard_text *a, const rm_guard_text *b, rm_guard__quote quote)
{
    bool quoted = false;
    for (size_t i = 0; i < b->quotes_count; i++) {
        size_t n = 0;
        while (n < quote.count && n < b->quotes[i].count &&
               a->tokens[quote.first + n].word == b->tokens[b->quotes[i].first + n].word)
            n++;
        if (n != quote.count || n != b->quotes[i].count)
            continue;
        if (b->quotes[i].raw == quote.raw)
            return false;
        quoted = true;
    }
    return quoted;
}

/* A quote that is most of the text is decoration. */
static bool quotes_differ(const rm_guard_text *a, const rm_guard_text *b)
{
    for (size_t i = 0; i < a->quotes_count; i++) {
        if (a->quotes[i].count * 5U < a->count * 3U &&
            (!contains_run(b, a, a->quotes[i]) || quoted_otherwise(a, b, a->quotes[i])))
            return true;
    }
    return false;
}

static bool code_differs(const rm_guard_text *a, const rm_guard_text *b)
{
    return a->verbatim_count != b->verbatim_count ||
           (a->verbatim_count && memcmp(a->verbatim, b->verbatim, a->verbatim_count * sizeof(*a->verbatim)) != 0);
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

/* "his family", "Kimberly's family" */
static bool person_for_name(const rm_guard__side *a, const rm_guard__side *b)
{
    for (size_t i = 0; i < a->loose_count && b->names_alone + b->names_more; i++) {
        if (rm_guard__roles(&a->text->tokens[a->loose[i]]) & RM_GUARD__PERSON)
            return true;
    }
    return false;
}

static bool entities_differ(const rm_guard__match *m)
{
    bool swapped = (m->a.names_alone && m->b.content_alone) || (m->b.names_alone && m->a.content_alone);
    return swapped || person_for_name(&m->a, &m->b) || person_for_name(&m->b, &m->a);
}

static size_t only_loose_content(const rm_guard__side *side, const rm_guard_text *other)
{
    for (size_t i = 0; i < side->loose_count; i++) {
        const rm_guard__token *token = &side->text->tokens[side->loose[i]];
        if (token->flags & RM_GUARD__CONTENT && !(rm_guard__roles(token) & RM_GUARD__LIGHT) &&
            !rm_guard__has_stem(other, token->stem))
            return side->loose[i];
    }
    return RM_GUARD__ALONE;
}

/* The kept word next to `at` in one direction; RM_GUARD__ALONE: none. */
static size_t neighbour(const rm_guard_text *text, size_t at, bool after)
{
    while (after ? ++at < text->count : at-- > 0) {
        const rm_guard__token *token = &text->tokens[at];
        if (!(token->flags & RM_GUARD__DROPPED) && !(rm_guard__roles(token) & RM_GUARD__ARTICLE))
            return at;
    }
    return RM_GUARD__ALONE;
}

static bool partners(const rm_guard__match *m, size_t a, size_t b)
{
    if (a == RM_GUARD__ALONE || b == RM_GUARD__ALONE)
        return a == b;
    return m->a.partner[a] == b || m->a.text->tokens[a].stem == m->b.text->tokens[b].stem;
}

/* Whether the texts agree word for word but for content words that stand against each other. */
static bool is_parallel(const rm_guard__match *m)
{
    const rm_guard_text *a = m->a.text, *b = m->b.text;
    if (a->sequence_count != b->sequence_count)
        return false;
    for (size_t i = 0; i < a->sequence_count; i++) {
        size_t x = a->sequence[i], y = b->sequence[i];
        bool replaced = m->a.partner[x] == RM_GUARD__ALONE && m->b.partner[y] == RM_GUARD__ALONE &&
                        a->tokens[x].flags & b->tokens[y].flags & RM_GUARD__CONTENT;
        if (!replaced && !partners(m, x, y))
            return false;
    }
    return true;
}

/* One content word each, in the same place; or several, where all else is equal. */
static bool is_substitution(const rm_guard__match *m)
{
    if (m->a.content_alone == 0 || m->a.content_alone != m->b.content_alone)
        return false;
    if (m->a.content_alone > 1)
        return is_parallel(m);
    size_t a = only_loose_content(&m->a, m->b.text), b = only_loose_content(&m->b, m->a.text);
    if (a == RM_GUARD__ALONE || b == RM_GUARD__ALONE)
        return false;
    return partners(m, neighbour(m->a.text, a, false), neighbour(m->b.text, b, false)) ||
           partners(m, neighbour(m->a.text, a, true), neighbour(m->b.text, b, true));
}

static bool is_addition(const rm_guard__match *m)
{
    return (m->a.content_alone == 0) != (m->b.content_alone == 0) && m->a.content_matched > 0;
}

/* Whether a sentence that begins at `at` is an order: its verb stands first, or behind such words as "do not". */
static bool is_order(const rm_guard_text *text, size_t at)
{
    static const char *const before[] = {"do", "always", "just", "now", "then", "also", "you", "must"};
    const uint32_t orders = RM_GUARD__ORDER | RM_GUARD__INJECT;
    for (; at < text->count; at++) {
        const rm_guard__token *token = &text->tokens[at];
        bool passes = token->flags & RM_GUARD__DROPPED || rm_guard__roles(token) & RM_GUARD__NEGATION;
        if (rm_guard__roles(token) & orders)
            return true;
        for (size_t k = 0; k < RM_COUNT(before) && !passes; k++)
            passes = rm_slice_eq(rm_guard__word(text, token), rm_slice_cstr(before[k]));
        if (!passes)
            return false;
    }
    return false;
}

/* An order that the other text does not have, in a sentence of its own, beside what both texts have. */
static bool orders_more(const rm_guard__side *side)
{
    const rm_guard_text *text = side->text;
    size_t alone = 0, matched = 0, begin = 0;
    for (size_t i = 0; i <= text->count; i++) {
        const rm_guard__token *token = i < text->count ? &text->tokens[i] : NULL;
        if (!token || token->gap & RM_GUARD__GAP_BREAK) {
            if (alone && matched == 0 && side->content_matched && is_order(text, begin))
                return true;
            alone = matched = 0;
            begin = i;
        }
        if (!token || !(token->flags & RM_GUARD__CONTENT) || token->flags & RM_GUARD__DROPPED)
            continue;
        matched += side->partner[i] != RM_GUARD__ALONE;
        alone += side->partner[i] == RM_GUARD__ALONE;
    }
    return false;
}

/* Much more: twice the words, or several content words more than a text that is wholly contained. */
static bool contains(const rm_guard__side *longer, const rm_guard__side *shorter)
{
    size_t content = shorter->content_matched + shorter->content_alone;
    bool most = content && shorter->content_matched * 5 >= content * 4;
    bool twice = longer->text->kept > 2 * shorter->text->kept && longer->text->kept >= shorter->text->kept + 8;
    return (most && twice) || (content && !shorter->content_alone && longer->content_alone >= 4);
}

/* ---- features ---------------------------------------------------------------------------------------------------- */

static float share(size_t part, size_t whole)
{
    return whole ? (float)part / (float)whole : 1.0F;
}

static float jaccard(size_t common, size_t a, size_t b)
{
    return share(common, a + b - common);
}

static float trigram_jaccard(const rm_guard_text *a, const rm_guard_text *b)
{
    size_t common = 0, all = 0;
    for (size_t i = 0; i < RM_GUARD__TRIGRAM_WORDS; i++) {
        common += (size_t)__builtin_popcountll(a->trigrams[i] & b->trigrams[i]);
        all += (size_t)__builtin_popcountll(a->trigrams[i] | b->trigrams[i]);
    }
    return share(common, all);
}

static bool same_prefix5(const rm_guard__match *m, uint16_t a, uint16_t b)
{
    rm_slice first = rm_guard__word(m->a.text, &m->a.text->tokens[a]);
    rm_slice second = rm_guard__word(m->b.text, &m->b.text->tokens[b]);
    return first.len >= 5 && second.len >= 5 && memcmp(first.ptr, second.ptr, 5) == 0;
}

static size_t prefix5_more(const rm_guard__match *m)
{
    uint32_t used = 0;
    size_t more = 0;
    for (size_t i = 0; i < m->a.loose_count; i++) {
        for (size_t k = 0; k < m->b.loose_count; k++) {
            if (used >> k & 1 || !same_prefix5(m, m->a.loose[i], m->b.loose[k]))
                continue;
            used |= 1U << k;
            more++;
            break;
        }
    }
    return more;
}

static size_t common_ends(const rm_guard__match *m, bool back)
{
    const rm_guard_text *a = m->a.text, *b = m->b.text;
    size_t shorter = a->sequence_count < b->sequence_count ? a->sequence_count : b->sequence_count, n = 0;
    while (n < shorter) {
        size_t i = a->sequence[back ? a->sequence_count - 1 - n : n];
        size_t k = b->sequence[back ? b->sequence_count - 1 - n : n];
        if (!partners(m, i, k))
            break;
        n++;
    }
    return n;
}

static void measure(const rm_guard__match *m, rm_guard_result *result)
{
    const rm_guard_text *a = m->a.text, *b = m->b.text;
    size_t matched = 0,
           content = m->a.content_matched < m->b.content_matched ? m->a.content_matched : m->b.content_matched;
    for (size_t i = 0; i < a->count; i++)
        matched += m->a.partner[i] != RM_GUARD__ALONE;
    size_t longer = a->kept > b->kept ? a->kept : b->kept, shorter = a->kept + b->kept - longer;
    size_t line = a->sequence_count > b->sequence_count ? a->sequence_count : b->sequence_count;
    size_t near = content + prefix5_more(m);
    if (near > (a->content < b->content ? a->content : b->content))
        near = a->content < b->content ? a->content : b->content;
    result->content_jaccard = jaccard(content, a->content, b->content);
    result->word_jaccard = jaccard(matched, a->kept, b->kept);
    result->prefix5_jaccard = jaccard(near, a->content, b->content);
    result->trigram_jaccard = trigram_jaccard(a, b);
    result->length_ratio = share(shorter, longer);
    result->prefix_share = share(common_ends(m, false), line);
    result->suffix_share = share(common_ends(m, true), line);
    result->only_cached = (float)m->a.content_alone;
    result->only_asked = (float)m->b.content_alone;
    result->question_equal = a->question == b->question;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* When against where. What, which and how are asked for one thing in turn. */
static bool questions_differ(uint16_t a, uint16_t b)
{
    uint16_t x = a % RM_GUARD__SIDES_MAX, y = b % RM_GUARD__SIDES_MAX;
    return a != b && a / RM_GUARD__SIDES_MAX == b / RM_GUARD__SIDES_MAX && x >= RM_GUARD__ASKS_FIRST &&
           x <= RM_GUARD__ASKS_LAST && y >= RM_GUARD__ASKS_FIRST && y <= RM_GUARD__ASKS_LAST;
}

static uint32_t compare_texts(const rm_guard_text *a, const rm_guard_text *b)
{
    uint32_t flags = 0;
    if (a->aspects != b->aspects && !(a->becomes && b->becomes))
        flags |= RM_GUARD_BIT(ASPECT);
    if (a->asks && b->asks && questions_differ(a->question, b->question))
        flags |= RM_GUARD_BIT(ANTONYM);
    if (code_differs(a, b) || ((a->literal || b->literal) && a->lines != b->lines))
        flags |= RM_GUARD_BIT(CODE);
    if (quotes_differ(a, b) || quotes_differ(b, a))
        flags |= RM_GUARD_BIT(QUOTED);
    if (a->script != b->script || (a->language && b->language && a->language != b->language))
        flags |= RM_GUARD_BIT(LANGUAGE);
    if (a->invisible || b->invisible || a->lookalikes != b->lookalikes)
        flags |= RM_GUARD_BIT(INVISIBLE);
    if (a->injections != b->injections)
        flags |= RM_GUARD_BIT(CONTAINED);
    if (a->noise || b->noise)
        flags |= RM_GUARD_BIT(NOISE);
    return flags;
}

/* Consonants alone, and not "hmmm". */
static bool is_unsayable(rm_slice word)
{
    uint32_t letters = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (memchr("aeiouy", word.ptr[i], 6))
            return false;
        letters |= 1U << (word.ptr[i] & 31);
    }
    return word.len >= UNSAYABLE_MIN && __builtin_popcount(letters) >= 3;
}

/* A word that nobody can say, and that only one of the texts has; acronyms (MNCs, wtf) are said by letters. */
static bool mumbles(const rm_guard__side *side)
{
    for (size_t i = 0; i < side->loose_count; i++) {
        const rm_guard__token *token = &side->text->tokens[side->loose[i]];
        bool plain = token->flags & RM_GUARD__ASCII && !(token->flags & (RM_GUARD__NUMBER | RM_GUARD__NUMBERED));
        if (plain && !token->entry && token->cases < 2 && is_unsayable(rm_guard__word(side->text, token)))
            return true;
    }
    return false;
}

static uint32_t compare_content(const rm_guard__match *m)
{
    uint32_t flags = 0;
    if (mumbles(&m->a) || mumbles(&m->b))
        flags |= RM_GUARD_BIT(NOISE);
    if (numbered_words_differ(&m->a) || numbered_words_differ(&m->b))
        flags |= RM_GUARD_BIT(NUMBERS);
    if (is_substitution(m))
        flags |= RM_GUARD_BIT(SUBSTITUTION);
    if (is_addition(m))
        flags |= RM_GUARD_BIT(ADDITION);
    if (entities_differ(m))
        flags |= RM_GUARD_BIT(ENTITY);
    if (contains(&m->a, &m->b) || contains(&m->b, &m->a) || orders_more(&m->a) || orders_more(&m->b))
        flags |= RM_GUARD_BIT(CONTAINED);
    return flags | compare_units_and_dates(m) | compare_cases(m);
}

/* Partners are found greedily, so that the text that comes first matters: here it is always the same one of the two. */
void rm_guard_compare(const rm_guard_text *cached, const rm_guard_text *asked, rm_guard_result *ret_result)
{
    rm_guard__match match;
    rm_guard_result result = {0};
    bool turned = cached->raw > asked->raw;
    const rm_guard_text *a = turned ? asked : cached, *b = turned ? cached : asked;
    rm_guard__pair(a, b, &match);
    result.flags = match.flags | compare_texts(a, b) | compare_numbers(a, b) | compare_content(&match);
    if (rm_guard__reordered(&match, &result.inversions))
        result.flags |= RM_GUARD_BIT(ORDER);
    measure(&match, &result);
    if (turned) {
        float count = result.only_cached;
        result.only_cached = result.only_asked;
        result.only_asked = count;
    }
    *ret_result = result;
}
