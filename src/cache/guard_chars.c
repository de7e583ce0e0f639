/* Characters as the guards see them: class, script, whether they show. Properties are utf8proc's; scripts, which it does
 * not know, are ranges here. */
#include <utf8proc.h>

#include "guard_scan.h"

/* Sorted. What is in no range counts as SCRIPT_NONE: it goes with everything. */
static const struct {
    uint32_t first, last;
    uint8_t script;
} scripts[] = {
    {'A', 'Z', SCRIPT_LATIN},          {'a', 'z', SCRIPT_LATIN},        {0xc0, 0x24f, SCRIPT_LATIN},
    {0x250, 0x2af, SCRIPT_PHONETIC},   {0x370, 0x3ff, SCRIPT_GREEK},    {0x400, 0x52f, SCRIPT_CYRILLIC},
    {0x530, 0x58f, SCRIPT_ARMENIAN},   {0x590, 0x5ff, SCRIPT_HEBREW},   {0x600, 0x6ff, SCRIPT_ARABIC},
    {0x750, 0x77f, SCRIPT_ARABIC},     {0x900, 0xdff, SCRIPT_INDIC},    {0xe00, 0xeff, SCRIPT_THAI},
    {0x10a0, 0x10ff, SCRIPT_OTHER},    {0x1100, 0x11ff, SCRIPT_HANGUL}, {0x13a0, 0x13ff, SCRIPT_OTHER},
    {0x1d00, 0x1dbf, SCRIPT_PHONETIC}, {0x1e00, 0x1eff, SCRIPT_LATIN},  {0x1f00, 0x1fff, SCRIPT_GREEK},
    {0x2c60, 0x2c7f, SCRIPT_LATIN},    {0x3040, 0x30ff, SCRIPT_HAN},    {0x3130, 0x318f, SCRIPT_HANGUL},
    {0x3400, 0x4dbf, SCRIPT_HAN},      {0x4e00, 0x9fff, SCRIPT_HAN},    {0xa4d0, 0xa4ff, SCRIPT_OTHER},
    {0xab30, 0xab6f, SCRIPT_PHONETIC}, {0xab70, 0xabbf, SCRIPT_OTHER},  {0xac00, 0xd7af, SCRIPT_HANGUL},
    {0xf900, 0xfaff, SCRIPT_HAN},      {0xfb50, 0xfdff, SCRIPT_ARABIC}, {0xfe70, 0xfeff, SCRIPT_ARABIC},
    {0x10400, 0x1044f, SCRIPT_OTHER},  {0x20000, 0x3ffff, SCRIPT_HAN},
};

uint8_t rm_guard__script_of(uint32_t code)
{
    size_t low = 0, high = RM_COUNT(scripts);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > scripts[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < RM_COUNT(scripts) && code >= scripts[low].first ? scripts[low].script : SCRIPT_NONE;
}

/* Letters of other scripts that pass for Latin ones, in lower case. Sorted. */
static const uint16_t latin_twins[] = {
    0x3b1, 0x3b9, 0x3ba, 0x3bd, 0x3bf, 0x3c1, 0x3c4, 0x3c5, 0x3c7, 0x430, 0x432, 0x435, 0x43a,
    0x43c, 0x43d, 0x43e, 0x43f, 0x440, 0x441, 0x442, 0x443, 0x445, 0x44c, 0x455, 0x456, 0x458,
    0x475, 0x4bb, 0x4cf, 0x501, 0x51b, 0x51d, 0x561, 0x570, 0x578, 0x57d, 0x581, 0x585,
};

bool rm_guard__passes_for_latin(uint32_t code)
{
    for (size_t i = 0; i < RM_COUNT(latin_twins); i++) {
        if (latin_twins[i] == code)
            return true;
    }
    return false;
}

/* Takes room in the text, but none on the screen; or hides how the text runs. */
static bool is_invisible(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},     {0x115f, 0x1160}, {0x17b4, 0x17b5},
        {0x180b, 0x180e},   {0x200b, 0x200f},   {0x202a, 0x202e},   {0x2060, 0x206f}, {0x2800, 0x2800},
        {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0}, {0xfff9, 0xfffb},
        {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < RM_COUNT(ranges); i++) {
        if (code <= ranges[i].last)
            return code >= ranges[i].first;
    }
    return false;
}

/* Joiners spell words in some scripts and join emoji; a variation selector makes an emoji of one sign before it. */
static bool is_expected(const scanner *s, uint32_t code)
{
    char_class last = s->last_class;
    bool script = s->last_script == SCRIPT_INDIC || s->last_script == SCRIPT_ARABIC;
    if (code == 0x200c || code == 0x200d)
        return last == CLASS_SIGN || last == CLASS_JOINER || (last == CLASS_LETTER && script);
    if (code != 0xfe0e && code != 0xfe0f)
        return false;
    if (last == CLASS_SIGN || (s->last_code >= 0x80 && (last == CLASS_PUNCTUATION || last == CLASS_OPERATOR)))
        return true;
    /* a keycap: a digit, the selector, and the cap that is drawn around it */
    static const char cap[] = "\xe2\x83\xa3";
    rm_slice rest = rm_slice_make(s->text.ptr + s->at, s->text.len - s->at);
    return rest.len >= 6 && memcmp(rest.ptr + 3, cap, 3) == 0;
}

static char_class class_ascii(uint32_t code)
{
    if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z'))
        return CLASS_LETTER;
    if (code >= '0' && code <= '9')
        return CLASS_DIGIT;
    if (code == ' ' || (code >= '\t' && code <= '\r'))
        return CLASS_SPACE;
    if (code < ' ' || code == 0x7f)
        return CLASS_CONTROL;
    return memchr("+<>=*^~|\\{}_@#", (int)code, 14) ? CLASS_OPERATOR : code == '$' ? CLASS_CURRENCY : CLASS_PUNCTUATION;
}

static char_class class_wide(const scanner *s, uint32_t code)
{
    if (is_invisible(code))
        return is_expected(s, code) ? CLASS_JOINER : CLASS_INVISIBLE;
    switch (utf8proc_get_property((utf8proc_int32_t)code)->category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
        return CLASS_LETTER;
    case UTF8PROC_CATEGORY_LO:
        return rm_guard__script_of(code) == SCRIPT_HAN ? CLASS_IDEOGRAPH : CLASS_LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return CLASS_MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return CLASS_LETTER; /* spelled by its compatible form, and marked as a look-alike */
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return CLASS_SPACE;
    case UTF8PROC_CATEGORY_SC:
        return CLASS_CURRENCY;
    case UTF8PROC_CATEGORY_SM:
        return CLASS_OPERATOR;
    case UTF8PROC_CATEGORY_SO:
        return code == 0xb0 || code == 0xa9 || code == 0xae || code == 0x2122 ? CLASS_PUNCTUATION : CLASS_SIGN;
    case UTF8PROC_CATEGORY_SK:
        return code >= 0x1f3fb && code <= 0x1f3ff ? CLASS_JOINER : CLASS_PUNCTUATION;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CS:
        return CLASS_CONTROL;
    default:
        return CLASS_PUNCTUATION;
    }
}

rm_status rm_guard__peek(const scanner *s, character *ret_c)
{
    size_t left = s->text.len - s->at;
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)s->text.ptr + s->at;
    utf8proc_int32_t code;
    if (left == 0) {
        *ret_c = (character){.class = CLASS_END};
        return RM_OK;
    }
    if (*at < 0x80) {
        *ret_c = (character){*at, 1, class_ascii(*at)};
        return RM_OK;
    }
    utf8proc_ssize_t len = utf8proc_iterate(at, (utf8proc_ssize_t)left, &code);
    if (len <= 0)
        return RM_EPARSE;
    *ret_c = (character){(uint32_t)code, (size_t)len, class_wide(s, (uint32_t)code)};
    return RM_OK;
}

bool rm_guard__is_full_width(uint32_t code)
{
    return code == 0x3000 || (code >= 0xff01 && code <= 0xff65);
}

bool rm_guard__is_odd_sign(uint32_t code)
{
    static const uint16_t without_decomposition[] = {0x37e,  0x387,  0x589,  0x5be,  0x5c0,  0x5c3,
                                                     0x1803, 0x2043, 0x204e, 0x2052, 0xa789, 0xa78a};
    if (code < 0x80 || code == 0x2026 || rm_guard__is_full_width(code)) /* an ellipsis is what editors make of dots */
        return false;
    for (size_t i = 0; i < RM_COUNT(without_decomposition); i++) {
        if (without_decomposition[i] == code)
            return true;
    }
    /* spacing accents stand for apostrophes, and primes for feet and inches */
    bool usual = code < 0x100 || (code >= 0x2032 && code <= 0x2037) || (code >= 0x3001 && code <= 0x303f);
    return !usual && utf8proc_get_property((utf8proc_int32_t)code)->decomp_type != 0;
}

bool rm_guard__is_apostrophe(uint32_t code)
{
    return code == '\'' || code == 0x2019 || code == 0x2bc || code == 0xff07;
}
