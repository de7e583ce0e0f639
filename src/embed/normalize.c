/* What a character becomes: Hugging Face's BertNormalizer and BertPreTokenizer, folded into one step a character.
 *
 *     clean_text -> ideographs apart -> NFD -> nonspacing marks go -> lower case | white space, punctuation
 *
 * Only canonical order looks at more than one character: NFD sorts runs of marks by their combining class. Nearly all
 * marks go right after that, so what must be sorted is rare: it is a MARK with its class, and the caller sorts.
 *
 * The properties are utf8proc's, but ids must be the reference's. That library ("tokenizers", a Rust crate) takes
 * categories from a crate of Unicode 8, decomposition and combining classes from one of Unicode 9, and lower case from
 * Rust itself (Unicode 17 in release 0.23). The tables below hold all that differs from utf8proc 2.8 (Unicode 15) and,
 * so that a newer utf8proc changes nothing, from Unicode 18. They were made by comparing every code point. */
#include <utf8proc.h>

#include "tokenizer.h"

typedef enum exception {
    EXCEPT_PLAIN, /* newer than the crates: no category that matters, no class, no decomposition */
    EXCEPT_KEPT,  /* of Unicode 9: has its class, but is not known as a nonspacing mark */
    EXCEPT_MARK,  /* a nonspacing mark then, later another one */
    EXCEPT_PUNCTUATION
} exception;

/* Sorted. Between the new characters of a range lie only such that are plain anyhow. */
static const struct {
    uint32_t first, last;
    exception what;
} exceptions[] = {
    {0x5c8, 0x5c9, EXCEPT_PLAIN},           {0x61d, 0x61d, EXCEPT_PLAIN},     {0x7fd, 0x7fd, EXCEPT_PLAIN},
    {0x890, 0x8d3, EXCEPT_PLAIN},           {0x8d4, 0x8e1, EXCEPT_KEPT},      {0x8e2, 0x8e2, EXCEPT_PLAIN},
    {0x9fd, 0x9fe, EXCEPT_PLAIN},           {0xa76, 0xa76, EXCEPT_PLAIN},     {0xafa, 0xaff, EXCEPT_PLAIN},
    {0xb53, 0xb55, EXCEPT_PLAIN},           {0xc04, 0xc3c, EXCEPT_PLAIN},     {0xc77, 0xc77, EXCEPT_PLAIN},
    {0xc84, 0xc84, EXCEPT_PLAIN},           {0xd00, 0xd00, EXCEPT_PLAIN},     {0xd3b, 0xd3c, EXCEPT_PLAIN},
    {0xd81, 0xd81, EXCEPT_PLAIN},           {0xeba, 0xeba, EXCEPT_PLAIN},     {0xece, 0xece, EXCEPT_PLAIN},
    {0x166d, 0x166d, EXCEPT_PUNCTUATION},   {0x1715, 0x1715, EXCEPT_PLAIN},   {0x1734, 0x1734, EXCEPT_MARK},
    {0x180f, 0x1886, EXCEPT_PLAIN},         {0x1abf, 0x1af0, EXCEPT_PLAIN},   {0x1b4e, 0x1b4f, EXCEPT_PLAIN},
    {0x1b7d, 0x1b7f, EXCEPT_PLAIN},         {0x1df6, 0x1dfa, EXCEPT_PLAIN},   {0x1dfb, 0x1dfb, EXCEPT_KEPT},
    {0x2e43, 0x2e63, EXCEPT_PLAIN},         {0xa82c, 0xa82c, EXCEPT_PLAIN},   {0xa8c5, 0xa8c5, EXCEPT_PLAIN},
    {0xa8ff, 0xa8ff, EXCEPT_PLAIN},         {0xa9bd, 0xa9bd, EXCEPT_PLAIN},   {0x105c9, 0x105e4, EXCEPT_PLAIN},
    {0x10d24, 0x10f89, EXCEPT_PLAIN},       {0x11070, 0x11074, EXCEPT_PLAIN}, {0x110c2, 0x110cd, EXCEPT_PLAIN},
    {0x111c9, 0x111c9, EXCEPT_PUNCTUATION}, {0x111cf, 0x111cf, EXCEPT_PLAIN}, {0x1123e, 0x11241, EXCEPT_PLAIN},
    {0x1133b, 0x1133b, EXCEPT_PLAIN},       {0x11383, 0x1143f, EXCEPT_PLAIN}, {0x11442, 0x11442, EXCEPT_KEPT},
    {0x11443, 0x11444, EXCEPT_PLAIN},       {0x11446, 0x11446, EXCEPT_KEPT},  {0x1144b, 0x1145e, EXCEPT_PLAIN},
    {0x11660, 0x1166c, EXCEPT_PLAIN},       {0x116b9, 0x116b9, EXCEPT_PLAIN}, {0x1171e, 0x1171e, EXCEPT_MARK},
    {0x1182f, 0x11c3d, EXCEPT_PLAIN},       {0x11c3f, 0x11c3f, EXCEPT_KEPT},  {0x11c41, 0x11fff, EXCEPT_PLAIN},
    {0x12ff1, 0x1612f, EXCEPT_PLAIN},       {0x16d68, 0x16f4f, EXCEPT_PLAIN}, {0x16fe2, 0x16ff1, EXCEPT_PLAIN},
    {0x1cf00, 0x1d128, EXCEPT_PLAIN},       {0x1d250, 0x1d281, EXCEPT_PLAIN}, {0x1e000, 0x1e02a, EXCEPT_KEPT},
    {0x1e08f, 0x1e6f5, EXCEPT_PLAIN},       {0x1e944, 0x1e94a, EXCEPT_KEPT},  {0x1e95e, 0x1e95f, EXCEPT_PLAIN},
};

/* Lower case that utf8proc 2.8 does not have. Sorted. */
static const struct {
    uint32_t first, last, lower; /* of the first; the others follow */
} lower_cases[] = {
    {0x1c89, 0x1c89, 0x1c8a},    {0xa7cb, 0xa7cb, 0x264},     {0xa7cc, 0xa7cc, 0xa7cd}, {0xa7ce, 0xa7ce, 0xa7cf},
    {0xa7d2, 0xa7d2, 0xa7d3},    {0xa7d4, 0xa7d4, 0xa7d5},    {0xa7da, 0xa7da, 0xa7db}, {0xa7dc, 0xa7dc, 0x19b},
    {0x10d50, 0x10d65, 0x10d70}, {0x16ea0, 0x16eb8, 0x16ebb},
};

/* The one character whose lower case is two: i with the dot as a mark of its own. */
#define CODE_I_DOTTED 0x130
#define CODE_DOT      0x307

typedef struct properties {
    utf8proc_category_t category;
    uint32_t class; /* canonical combining class */
    bool decomposes;
} properties;

static const exception *find_exception(uint32_t code)
{
    size_t low = 0, high = RM_COUNT(exceptions);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > exceptions[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < RM_COUNT(exceptions) && code >= exceptions[low].first ? &exceptions[low].what : NULL;
}

static properties properties_of(uint32_t code)
{
    const utf8proc_property_t *found = utf8proc_get_property((utf8proc_int32_t)code);
    const exception *except = find_exception(code);
    /* Hangul is composed by rule and has no entry of its own. */
    properties of = {(utf8proc_category_t)found->category, found->combining_class,
                     found->decomp_seqindex != UINT16_MAX || (code >= 0xac00 && code <= 0xd7a3)};
    if (!except)
        return of;
    switch (*except) {
    case EXCEPT_PLAIN:
        return (properties){.category = UTF8PROC_CATEGORY_LO};
    case EXCEPT_KEPT:
        of.category = UTF8PROC_CATEGORY_LO;
        break;
    case EXCEPT_MARK:
        of.category = UTF8PROC_CATEGORY_MN;
        break;
    case EXCEPT_PUNCTUATION:
        of.category = UTF8PROC_CATEGORY_PO;
        break;
    }
    return of;
}

/* char::is_whitespace: U+0009 to U+000D, U+0085 and the separators. */
static bool is_space(uint32_t code, utf8proc_category_t category)
{
    return (code >= 0x9 && code <= 0xd) || code == 0x85 || category == UTF8PROC_CATEGORY_ZS ||
           category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

/* What clean_text takes away. */
static bool is_unclean(uint32_t code, utf8proc_category_t category)
{
    if (code == '\t' || code == '\n' || code == '\r')
        return false;
    return code == RM_EMBED__CODE_REPLACEMENT || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_CO;
}

/* All ASCII that is neither letter, digit nor control counts, also what Unicode calls symbols. */
static bool is_punctuation(uint32_t code, utf8proc_category_t category)
{
    if (code < 0x80)
        return code > ' ' && code < 0x7f && category != UTF8PROC_CATEGORY_LU && category != UTF8PROC_CATEGORY_LL &&
               category != UTF8PROC_CATEGORY_ND;
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/* As the reference has it, gap included (U+2B820 to U+2B91F are ideographs that it forgot). */
static bool is_han(uint32_t code)
{
    return (code >= 0x4e00 && code <= 0x9fff) || (code >= 0x3400 && code <= 0x4dbf) ||
           (code >= 0x20000 && code <= 0x2a6df) || (code >= 0x2a700 && code <= 0x2b73f) ||
           (code >= 0x2b740 && code <= 0x2b81f) || (code >= 0x2b920 && code <= 0x2ceaf) ||
           (code >= 0xf900 && code <= 0xfaff) || (code >= 0x2f800 && code <= 0x2fa1f);
}

static uint32_t lower_of(uint32_t code)
{
    for (size_t i = 0; i < RM_COUNT(lower_cases); i++) {
        if (code >= lower_cases[i].first && code <= lower_cases[i].last)
            return lower_cases[i].lower + (code - lower_cases[i].first);
    }
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
}

/* The steps behind the decomposition, on a character that has none. */
static uint32_t find_part(const rm_embed__rules *rules, uint32_t code)
{
    properties of = properties_of(code);
    if (rules->strip_accents && of.category == UTF8PROC_CATEGORY_MN)
        return RM_EMBED__CHARACTER(of.class ? RM_EMBED__DROP : RM_EMBED__BREAK, 0, 0);
    if (rules->lowercase) {
        code = lower_of(code);
        of.category = properties_of(code).category;
    }
    if (is_space(code, of.category))
        return RM_EMBED__CHARACTER(RM_EMBED__SPACE, 0, 0);
    if (is_punctuation(code, of.category))
        return RM_EMBED__CHARACTER(RM_EMBED__ALONE, 0, code);
    if (rules->strip_accents && of.class)
        return RM_EMBED__CHARACTER(RM_EMBED__MARK, of.class, code);
    return RM_EMBED__CHARACTER(RM_EMBED__WORD, 0, code);
}

size_t rm_embed__character_parts(const rm_embed__rules *rules, uint32_t code, uint32_t codes[RM_EMBED__PARTS_MAX])
{
    utf8proc_int32_t found[RM_EMBED__PARTS_MAX] = {'i', CODE_DOT};
    utf8proc_ssize_t count = 2;
    int boundary = 0;
    if (rules->strip_accents)
        count =
            utf8proc_decompose_char((utf8proc_int32_t)code, found, RM_EMBED__PARTS_MAX, UTF8PROC_DECOMPOSE, &boundary);
    else
        RM_CHECK(code == CODE_I_DOTTED);
    RM_CHECK(count > 0 && count <= RM_EMBED__PARTS_MAX);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        codes[i] = (uint32_t)found[i];
    return (size_t)count;
}

/* One entry for all parts, where one says the same: a mark that goes does nothing behind what is no mark. */
static uint32_t find_decomposed(const rm_embed__rules *rules, uint32_t code)
{
    uint32_t codes[RM_EMBED__PARTS_MAX], only = RM_EMBED__CHARACTER(RM_EMBED__DROP, 0, 0);
    size_t count = rm_embed__character_parts(rules, code, codes), kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t part = find_part(rules, codes[i]);
        rm_embed__kind kind = RM_EMBED__CHARACTER_KIND(part);
        bool idle = kind == RM_EMBED__BREAK && kept && RM_EMBED__CHARACTER_KIND(only) != RM_EMBED__MARK;
        if (kind == RM_EMBED__DROP || idle)
            continue;
        if (kept++ > 0)
            return RM_EMBED__CHARACTER(RM_EMBED__MANY, 0, 0);
        only = part;
    }
    return only;
}

uint32_t rm_embed__character_find(const rm_embed__rules *rules, uint32_t code)
{
    properties of = properties_of(code);
    uint32_t entry;
    if (rules->clean && is_unclean(code, of.category))
        return RM_EMBED__CHARACTER(RM_EMBED__DROP, 0, 0);
    if (is_space(code, of.category))
        return RM_EMBED__CHARACTER(RM_EMBED__SPACE, 0, 0);
    if ((rules->strip_accents && of.decomposes) || (rules->lowercase && code == CODE_I_DOTTED))
        entry = find_decomposed(rules, code);
    else
        entry = find_part(rules, code);
    if (rules->han && is_han(code) && RM_EMBED__CHARACTER_KIND(entry) == RM_EMBED__WORD)
        entry = RM_EMBED__CHARACTER(RM_EMBED__ALONE, 0, RM_EMBED__CHARACTER_CODE(entry));
    return entry;
}

void rm_embed__characters_init(rm_embed__characters *characters, const rm_embed__rules *rules)
{
    characters->rules = *rules;
    for (uint32_t code = 0; code < RM_EMBED__TABLE_CODES; code++)
        characters->entries[code] = rm_embed__character_find(rules, code);
}
