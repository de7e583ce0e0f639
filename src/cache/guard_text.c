/* Analysis of one text: scans it, then says what each word is there, and prepares what comparisons need. */
#include "guard_scan.h"

/* ---- stems ------------------------------------------------------------------------------------------------------- */

static bool is_vowel(char c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

static bool ends_with(rm_slice word, const char *end, size_t len)
{
    return word.len > len && memcmp(word.ptr + word.len - len, end, len) == 0;
}

static size_t vowel_groups(rm_slice word)
{
    size_t groups = 0;
    for (size_t i = 0; i < word.len; i++)
        groups += is_vowel(word.ptr[i]) && (i == 0 || !is_vowel(word.ptr[i - 1]));
    return groups;
}

/* What is left of a verb without -ing or -ed: stopp -> stop, mak -> make, help -> help. `stem` has room for an e. */
static size_t mend_verb(char *stem, size_t len)
{
    char last = stem[len - 1], before = stem[len - 2];
    if (last == before && last != 'l' && last != 's' && last != 'z' && !is_vowel(last))
        return len - 1;
    bool closed = !is_vowel(last) && last != 'w' && last != 'x' && last != 'y' && is_vowel(before);
    if (closed && len <= 4 && !is_vowel(stem[len - 3]) && vowel_groups(rm_slice_make(stem, len)) == 1)
        stem[len++] = 'e';
    return len;
}

/* Nouns' and verbs' endings, lightly: two words of one stem may still be told apart by their own hashes. Letters a to z
 * only. Returns the stem's length. */
static size_t stem_ascii(rm_slice word, char stem[RM_GUARD_WORD_BYTES_MAX + 1])
{
    size_t len = word.len;
    memcpy(stem, word.ptr, len);
    if (ends_with(word, "ies", 3) && len > 4) {
        stem[len - 3] = 'y';
        len -= 2;
    } else if (ends_with(word, "sses", 4) || ends_with(word, "shes", 4) || ends_with(word, "ches", 4) ||
               ends_with(word, "xes", 3)) {
        len -= 2;
    } else if (ends_with(word, "s", 1) && len > 3 && !ends_with(word, "ss", 2) && !ends_with(word, "us", 2) &&
               !ends_with(word, "is", 2)) {
        len--;
    }
    word = rm_slice_make(stem, len);
    if (ends_with(word, "ing", 3) && len >= 6 && vowel_groups(rm_slice_make(stem, len - 3)) > 0)
        len = mend_verb(stem, len - 3);
    else if (ends_with(word, "ed", 2) && len >= 5 && stem[len - 3] != 'e')
        len = vowel_groups(rm_slice_make(stem, len - 2)) > 0 && len >= 5 ? mend_verb(stem, len - 2) : len;
    if (len >= 6 && stem[len - 1] == 'e')
        len--;
    return len;
}

static uint64_t stem_of(rm_slice word, const rm_guard__token *token)
{
    char stem[RM_GUARD_WORD_BYTES_MAX + 1];
    if (!(token->flags & RM_GUARD__ASCII) || token->flags & (RM_GUARD__NUMBER | RM_GUARD__NUMBERED) || word.len < 4 ||
        word.len > RM_GUARD_WORD_BYTES_MAX)
        return token->word;
    return rm_hash64(rm_slice_make(stem, stem_ascii(word, stem)));
}

/* ---- what words are here ----------------------------------------------------------------------------------------- */

static bool word_is(const rm_guard_text *text, size_t i, const char *what)
{
    return i < text->count && rm_slice_eq(rm_guard__word(text, &text->tokens[i]), rm_slice_cstr(what));
}

/* "Hi team," "Sorry, silly question, but", "Thank you!": politeness where it begins a sentence, with what follows up to
 * the next comma or end, if that is short. "How do I say hello" has content. */
static void drop_politeness(rm_guard_text *text, size_t at)
{
    size_t end = at + 1;
    rm_guard__token *token = &text->tokens[at];
    if (at > 0 && !(token->gap & ~RM_GUARD__GAP_HYPHEN) && !(token[-1].flags & RM_GUARD__DROPPED))
        return;
    token->flags |= RM_GUARD__DROPPED;
    while (end < text->count && end <= at + 3 && !(text->tokens[end].gap & ~RM_GUARD__GAP_HYPHEN))
        end++;
    if (end > at + 3 || (at == 0 && end == text->count))
        return;
    for (size_t i = at + 1; i < end; i++)
        text->tokens[i].flags |= RM_GUARD__DROPPED;
}

/* Two words that add nothing: "in fact". */
static void drop_phrases(rm_guard_text *text)
{
    static const struct {
        const char *first, *second;
    } phrases[] = {{"in", "fact"}, {"of", "course"}, {"at", "all"}, {"in", "general"}};
    for (size_t i = 0; i + 1 < text->count; i++) {
        for (size_t k = 0; k < RM_COUNT(phrases); k++) {
            if (!word_is(text, i, phrases[k].first) || !word_is(text, i + 1, phrases[k].second))
                continue;
            text->tokens[i].flags |= RM_GUARD__DROPPED;
            text->tokens[i + 1].flags |= RM_GUARD__DROPPED;
        }
    }
}

static void classify(rm_guard_text *text)
{
    const uint32_t function_words = RM_GUARD__STOP | RM_GUARD__FILLER | RM_GUARD__COORD | RM_GUARD__PREP;
    for (size_t i = 0; i < text->count; i++) {
        rm_guard__token *token = &text->tokens[i];
        uint32_t roles = rm_guard__roles(token);
        token->stem = stem_of(rm_guard__word(text, token), token);
        if (roles & RM_GUARD__FILLER)
            token->flags |= RM_GUARD__DROPPED;
        if (roles & RM_GUARD__POLITE)
            drop_politeness(text, i);
        if (!(roles & function_words) && !(token->flags & (RM_GUARD__NUMBER | RM_GUARD__TAKEN)))
            token->flags |= RM_GUARD__CONTENT;
        if (!(token->flags & RM_GUARD__CONTENT) || token->flags & RM_GUARD__DATED)
            token->flags &= (uint16_t)~RM_GUARD__NAME;
        text->becomes |= token->len >= 6 && memcmp(text->folded + token->at, "becom", 5) == 0;
    }
}

static bool is_shout(const scanner *s)
{
    return s->letters > 8 && s->capitals * 10 > s->letters * 7;
}

/* US, IT and WHO are not us, it and who. */
static void mark_acronyms(rm_guard_text *text, const scanner *s)
{
    static const struct {
        const char *word, *name;
    } acronyms[] = {{"us", "usa"}, {"it", "it."}, {"who", "who."}};
    for (size_t i = 0; i < text->count && !is_shout(s); i++) {
        rm_guard__token *token = &text->tokens[i];
        for (size_t k = 0; k < RM_COUNT(acronyms) && token->flags & RM_GUARD__CAPITALS; k++) {
            if (!word_is(text, i, acronyms[k].word))
                continue;
            token->word = token->bare = rm_hash64(rm_slice_cstr(acronyms[k].name));
            token->entry = rm_guard__find(s->words, token->word);
            token->flags = (uint16_t)((token->flags & ~RM_GUARD__CAPITALS) | RM_GUARD__NAME);
        }
    }
}

/* Whether the text asks about letters themselves: then capitals are not a matter of style. */
static bool is_literal(const rm_guard_text *text)
{
    static const struct {
        const char *first, *second;
    } phrases[] = {{"capital", "letter"}, {"capital", "letters"}, {"upper", "case"}, {"lower", "case"},
                   {"camel", "case"},     {"title", "case"},      {"letter", "by"},  {"first", "letter"},
                   {"many", "letters"},   {"many", "characters"}, {"many", "lines"}};
    for (size_t i = 0; i < text->count; i++) {
        if (rm_guard__roles(&text->tokens[i]) & RM_GUARD__LITERAL)
            return true;
        for (size_t k = 0; k < RM_COUNT(phrases); k++) {
            if (word_is(text, i, phrases[k].first) && word_is(text, i + 1, phrases[k].second))
                return true;
        }
    }
    return false;
}

/* Where everything is capitalised, capitals say nothing. */
static void weigh_capitals(rm_guard_text *text, const scanner *s)
{
    size_t content = 0, capitals = 0;
    for (size_t i = 0; i < text->count; i++) {
        content += (text->tokens[i].flags & RM_GUARD__CONTENT) != 0;
        capitals += (text->tokens[i].flags & RM_GUARD__CONTENT) && text->tokens[i].flags & RM_GUARD__CAPITAL;
    }
    bool title = content >= 4 && capitals * 10 > content * 8;
    text->careful = s->capitals && !is_shout(s) && !title;
    if (!is_shout(s) && !title)
        return;
    for (size_t i = 0; i < text->count; i++)
        text->tokens[i].flags &= (uint16_t)~RM_GUARD__NAME;
}

/* ---- negation and the like --------------------------------------------------------------------------------------- */

static bool is_pronoun(const rm_guard_text *text, size_t i)
{
    static const char *const pronouns[] = {"i", "you", "it", "he", "she", "we", "they", "there", "this", "that"};
    for (size_t k = 0; k < RM_COUNT(pronouns); k++) {
        if (word_is(text, i, pronouns[k]))
            return true;
    }
    return false;
}

/* Whether the negation at `i` negates nothing: "isn't it?", "Isn't he", "why not", "not only", "or not". */
static bool is_idle_negation(const rm_guard_text *text, size_t i)
{
    const rm_guard__token *next = i + 1 < text->count ? &text->tokens[i + 1] : NULL;
    bool tag_end = i + 2 >= text->count || text->tokens[i + 2].gap & RM_GUARD__GAP_BREAK;
    if (!word_is(text, i, "not"))
        return false;
    if (next && text->tokens[i].flags & RM_GUARD__ATTACHED && is_pronoun(text, i + 1) && tag_end)
        return true;
    if (i == 1 && text->tokens[i].flags & RM_GUARD__ATTACHED && !word_is(text, 0, "can") &&
        (!word_is(text, 0, "do") || is_pronoun(text, 2)))
        return true;
    if (i > 0 && (word_is(text, i - 1, "or") || (word_is(text, i - 1, "why") && !is_pronoun(text, i + 1))))
        return true;
    return word_is(text, i + 1, "only") || word_is(text, i + 1, "just");
}

static void count_negations(rm_guard_text *text)
{
    bool abroad = text->language > RM_GUARD__ENGLISH;
    for (size_t i = 0; i < text->count; i++) {
        uint32_t roles = rm_guard__roles(&text->tokens[i]);
        if (!(roles & (RM_GUARD__NEGATION | (abroad ? RM_GUARD__ABROAD : 0))) || is_idle_negation(text, i))
            continue;
        text->tokens[i].flags |= RM_GUARD__NEGATES;
        text->negations++;
    }
}

static bool be_before(const rm_guard_text *text, size_t i)
{
    for (size_t k = i; k-- > 0 && k + 5 > i;) {
        if (rm_guard__roles(&text->tokens[k]) & RM_GUARD__BE)
            return true;
    }
    return false;
}

/* Another state in time: "used to", "did X use to be", "is becoming", "no longer", "formerly". */
static void count_aspects(rm_guard_text *text)
{
    for (size_t i = 0; i < text->count; i++) {
        bool to = word_is(text, i + 1, "to");
        bool used = (word_is(text, i, "used") && to && i > 0 && !be_before(text, i)) ||
                    (word_is(text, i, "use") && to && word_is(text, i + 2, "be"));
        bool longer = word_is(text, i, "no") && word_is(text, i + 1, "longer");
        bool marked = rm_guard__roles(&text->tokens[i]) & RM_GUARD__ASPECT;
        if (marked && word_is(text, i, "becoming"))
            marked = be_before(text, i) && !(rm_guard__roles(&text->tokens[i - 1]) & RM_GUARD__PREP);
        text->aspects += used || longer || marked;
    }
}

/* "ignore the previous instructions": an order to the model, not a question. */
static void count_injections(rm_guard_text *text)
{
    for (size_t i = 0; i < text->count; i++) {
        bool begins = i == 0 || text->tokens[i].gap & RM_GUARD__GAP_BREAK;
        /* "You are now a pirate", "Act as my grandmother", "from now on you" */
        text->injections +=
            begins && word_is(text, i, "you") && word_is(text, i + 1, "are") && word_is(text, i + 2, "now");
        text->injections += begins && word_is(text, i, "act") && word_is(text, i + 1, "as");
        text->injections += word_is(text, i, "now") && word_is(text, i + 1, "on") && word_is(text, i + 2, "you");
        if (!(rm_guard__roles(&text->tokens[i]) & RM_GUARD__INJECT))
            continue;
        for (size_t k = i + 1; k < text->count && k <= i + 4; k++) {
            if (rm_guard__roles(&text->tokens[k]) & RM_GUARD__INJECTED) {
                text->injections++;
                break;
            }
        }
    }
}

static bool is_participle(const rm_guard_text *text, size_t i)
{
    return rm_guard__roles(&text->tokens[i]) & RM_GUARD__PARTICIPLE ||
           ends_with(rm_guard__word(text, &text->tokens[i]), "ed", 2);
}

/* "was hit by": who does it stands behind. */
static void find_passive(rm_guard_text *text)
{
    for (size_t i = 1; i < text->count && !text->passive; i++) {
        if (!word_is(text, i, "by") || !is_participle(text, i - 1))
            continue;
        for (size_t k = 0; k < i && !text->passive; k++)
            text->passive = rm_guard__roles(&text->tokens[k]) & RM_GUARD__BE;
    }
}

/* The first word that asks what or who; else the verb that the question begins with. */
static void find_question(rm_guard_text *text)
{
    uint16_t group = 0;
    for (size_t i = 0; i < text->count; i++) {
        const rm_guard__token *token = &text->tokens[i];
        uint16_t class = token->entry ? token->entry->question : 0;
        if (!class || token->flags & RM_GUARD__DROPPED)
            continue;
        /* The row of question words comes before that of verbs. */
        if (!group || class / RM_GUARD__SIDES_MAX < group) {
            group = class / RM_GUARD__SIDES_MAX;
            text->question = class;
            text->asks = rm_guard__roles(token) & RM_GUARD__WH;
        }
    }
}

/* ---- language ---------------------------------------------------------------------------------------------------- */

static void find_language(rm_guard_text *text, const scanner *s)
{
    uint32_t counts[RM_GUARD__LANGUAGES + 1] = {0}, best = 0, second = 0;
    for (size_t i = 1; i < SCRIPT_COUNT; i++) {
        if (s->scripts[i] > s->scripts[text->script])
            text->script = (uint8_t)i;
    }
    for (size_t i = 0; i < text->count; i++) {
        uint32_t languages = text->tokens[i].entry ? text->tokens[i].entry->languages : 0;
        for (uint32_t k = 0; languages; k++, languages >>= 1)
            counts[k + 1] += languages & 1;
    }
    for (uint32_t k = 1; k <= RM_GUARD__LANGUAGES; k++) {
        if (counts[k] > counts[best]) {
            second = counts[best];
            best = k;
        } else if (counts[k] > second) {
            second = counts[k];
        }
    }
    if (counts[best] >= 2 && counts[best] * 2 >= second * 3)
        text->language = (uint8_t)best;
}

/* ---- what comparisons need --------------------------------------------------------------------------------------- */

static bool ranks_before(const rm_guard__ranked *a, const rm_guard__ranked *b)
{
    return a->stem < b->stem || (a->stem == b->stem && a->token < b->token);
}

/* Shell's sort with Ciura's gaps: in place, no heap, short for a prompt of some words. */
static void sort_ranked(rm_guard__ranked *ranked, size_t count)
{
    static const size_t gaps[] = {701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < RM_COUNT(gaps); g++) {
        for (size_t i = gaps[g]; i < count; i++) {
            rm_guard__ranked one = ranked[i];
            size_t k = i;
            for (; k >= gaps[g] && ranks_before(&one, &ranked[k - gaps[g]]); k -= gaps[g])
                ranked[k] = ranked[k - gaps[g]];
            ranked[k] = one;
        }
    }
}

static void add_trigrams(rm_guard_text *text, const rm_guard__token *token)
{
    uint32_t last = ' ';
    for (size_t i = 0; i <= token->len; i++) {
        uint32_t c = i < token->len ? (unsigned char)text->folded[token->at + i] : ' ';
        last = (last << 8 | c) & 0xffffff;
        if (i == 0)
            continue;
        uint32_t bit = last * 2654435761U >> 20;
        text->trigrams[bit / 64] |= 1ULL << bit % 64;
    }
}

static void arrange(rm_guard_text *text)
{
    for (size_t i = 0; i < text->count; i++) {
        const rm_guard__token *token = &text->tokens[i];
        if (token->flags & RM_GUARD__DROPPED)
            continue;
        add_trigrams(text, token);
        text->content += (token->flags & RM_GUARD__CONTENT) != 0;
        text->by_stem[text->kept++] = (rm_guard__ranked){token->stem, (uint16_t)i};
        if (!(rm_guard__roles(token) & RM_GUARD__ARTICLE))
            text->sequence[text->sequence_count++] = (uint16_t)i;
    }
    sort_ranked(text->by_stem, text->kept);
}

static bool is_noise(const rm_guard_text *text, const scanner *s)
{
    bool words =
        text->oddities >= 3 || (text->oddities == 2 && text->count < 16) || (text->oddities == 1 && text->count < 3);
    bool many_lines = s->text.len && memchr(s->text.ptr, '\n', s->text.len); /* code, tables: they have signs */
    uint32_t odd_runs = s->odd_runs[0] + (s->ticks & 1 ? s->odd_runs[1] : 0);
    return words || (!many_lines && odd_runs >= (text->verbatim_count <= 1 ? 2 : 3));
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* Words cannot be more than bytes and one more where a contraction makes two of one; each array is as long as that. */
static rm_status make_room(rm_slice text, rm_arena *arena, scanner *s)
{
    size_t words = text.len + 2 < RM_GUARD_TOKENS_MAX ? text.len + 2 : RM_GUARD_TOKENS_MAX;
    s->tokens_max = words;
    rm_guard_text *out = rm_arena_calloc(arena, sizeof(*out));
    if (!out)
        return RM_ENOMEM;
    s->out = out;
    s->folded_max = 4 * text.len + 64;
    out->folded = rm_arena_alloc(arena, s->folded_max);
    out->tokens = rm_arena_alloc(arena, words * sizeof(*out->tokens));
    out->by_stem = rm_arena_alloc(arena, words * sizeof(*out->by_stem));
    out->sequence = rm_arena_alloc(arena, words * sizeof(*out->sequence));
    out->numbers = rm_arena_alloc(arena, words * sizeof(*out->numbers));
    out->quotes = rm_arena_alloc(arena, RM_GUARD_QUOTES_MAX * sizeof(*out->quotes));
    out->verbatim = rm_arena_alloc(arena, RM_GUARD_VERBATIM_MAX * sizeof(*out->verbatim));
    if (!out->folded || !out->tokens || !out->by_stem || !out->sequence || !out->numbers || !out->quotes ||
        !out->verbatim)
        return RM_ENOMEM;
    return RM_OK;
}

rm_status rm_guard_analyse(const rm_guard_words *words, rm_slice text, rm_arena *arena, rm_guard_text **ret_text)
{
    scanner s = {.words = words, .text = text};
    if (text.len > RM_GUARD_TEXT_BYTES_MAX)
        return RM_ETOOBIG;
    rm_status status = make_room(text, arena, &s);
    if (!status)
        status = rm_guard__scan(&s);
    if (status)
        return status;
    rm_guard__scan_verbatim(&s);
    rm_guard__join_numbers(s.out);
    if (s.status || s.out->numbers_count > RM_GUARD_NUMBERS_MAX)
        return RM_ETOOBIG;
    mark_acronyms(s.out, &s);
    classify(s.out);
    drop_phrases(s.out);
    weigh_capitals(s.out, &s);
    s.out->literal = is_literal(s.out);
    find_language(s.out, &s);
    count_negations(s.out);
    count_aspects(s.out);
    count_injections(s.out);
    find_passive(s.out);
    find_question(s.out);
    arrange(s.out);
    s.out->noise |= is_noise(s.out, &s);
    s.out->raw = rm_hash64(text);
    *ret_text = s.out;
    return RM_OK;
}

bool rm_guard_admissible(const rm_guard_text *text)
{
    return !text->noise && !text->control;
}
