/* Words that tie an answer to the moment or to the person: what the option exact_only keeps to the exact cache.
 *
 *     "What’s the NEWEST one this week?"  ──►  " what s the newest one this week "  ──►  time
 *
 * English only, as the guards' dictionary. Whole words: a letter of any script, an accent or a digit goes on with a word, and
 * what cannot be seen does not end one. A word too many costs a hit and no more, so rows are generous. */
#include <utf8proc.h>

#include "remora/semantic.h"

#define OTHER_LETTER '\x1a' /* stands in no row */

static const struct row {
    unsigned kind;
    bool name; /* in capitals, in a text that is not all capitals, it is another word: the US */
    rm_slice words;
} rows[] = {
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" today ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" todays ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" tonight ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" tomorrow ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" yesterday ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" now ")}, /* right now, just now, by now */
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" nowadays ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" current ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" currently ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" latest ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" newest ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" recent ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" recently ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" upcoming ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" ago ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" at the moment ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" at present ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" presently ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" these days ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" so far ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" as of ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" up to date ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" what time is ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" what day is ")},
    {RM_EXACT_ONLY_TIME, false, RM_SLICE(" what date is ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" i ")}, /* I'm, I've, I'd */
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" im ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" ive ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" me ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" my ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" mine ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" myself ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" we ")},
    {RM_EXACT_ONLY_PERSONAL, true, RM_SLICE(" us ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" our ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" ours ")},
    {RM_EXACT_ONLY_PERSONAL, false, RM_SLICE(" ourselves ")},
};

/* This, last and next of one of these. */
static const rm_slice spans_before[] = {RM_SLICE(" this "), RM_SLICE(" last "), RM_SLICE(" next ")};
static const rm_slice spans[] = {
    RM_SLICE(" hour "), RM_SLICE(" morning "), RM_SLICE(" afternoon "), RM_SLICE(" evening "), RM_SLICE(" night "),
    RM_SLICE(" week "), RM_SLICE(" weekend "), RM_SLICE(" month "),     RM_SLICE(" quarter "), RM_SLICE(" season "),
    RM_SLICE(" year "), RM_SLICE(" decade "),  RM_SLICE(" century "),
};

/* Words in small letters, a space before, between and after them. capitals: bit i % 8 of byte i / 8 says that byte i was one. */
typedef struct plain {
    char text[RM_GUARD_TEXT_BYTES_MAX + 2];
    uint8_t capitals[(RM_GUARD_TEXT_BYTES_MAX + 2) / 8 + 1];
    size_t len;
    bool shouts; /* no small letter in it */
} plain;

static void put(plain *out, char c, bool capital)
{
    if (c == ' ' && out->text[out->len - 1] == ' ')
        return;
    if (capital)
        out->capitals[out->len / 8] |= (uint8_t)(1U << out->len % 8);
    else if (c >= 'a' && c <= 'z')
        out->shouts = false;
    out->text[out->len++] = c;
}

static bool is_seen(utf8proc_category_t category)
{
    return category != UTF8PROC_CATEGORY_CF && category != UTF8PROC_CATEGORY_CC;
}

/* Letters, marks, digits and what joins them in identifiers: the first categories. */
static bool is_of_word(utf8proc_category_t category)
{
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_PC;
}

static void put_character(plain *out, utf8proc_int32_t code)
{
    utf8proc_category_t category = utf8proc_category(code);
    utf8proc_int32_t small = utf8proc_tolower(code);

    if (is_of_word(category))
        put(out, small < 0x80 ? (char)small : OTHER_LETTER, small != code);
    else if (code < 0x80 || is_seen(category))
        put(out, ' ', false);
}

static void make_plain(rm_slice text, plain *out)
{
    memset(out->capitals, 0, sizeof(out->capitals));
    out->text[0] = ' ';
    out->len = 1;
    out->shouts = true;
    while (text.len > 0) {
        utf8proc_int32_t code;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text.ptr, (utf8proc_ssize_t)text.len, &code);
        if (used > 0)
            put_character(out, code);
        else
            put(out, ' ', false);
        used = used > 0 ? used : 1;
        text = rm_slice_make(text.ptr + used, text.len - (size_t)used);
    }
    put(out, ' ', false);
}

static bool is_in_capitals(const plain *in, size_t at, size_t len)
{
    for (size_t i = at; i < at + len; i++)
        if (!(in->capitals[i / 8] >> i % 8 & 1))
            return false;
    return true;
}

static bool begins_with(const plain *in, size_t at, rm_slice words)
{
    return rm_slice_has_prefix(rm_slice_make(in->text + at, in->len - at), words);
}

static bool is_span(const plain *in, size_t at)
{
    for (size_t i = 0; i < RM_COUNT(spans_before); i++) {
        if (!begins_with(in, at, spans_before[i]))
            continue;
        for (size_t j = 0; j < RM_COUNT(spans); j++)
            if (begins_with(in, at + spans_before[i].len - 1, spans[j]))
                return true;
    }
    return false;
}

/* What the words that begin after the space at this place say. */
static unsigned marks_at(const plain *in, size_t at)
{
    unsigned found = is_span(in, at) ? RM_EXACT_ONLY_TIME : 0;

    for (size_t i = 0; i < RM_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        if (row->words.ptr[1] != in->text[at + 1] || !begins_with(in, at, row->words))
            continue;
        if (!row->name || in->shouts || !is_in_capitals(in, at + 1, row->words.len - 2))
            found |= row->kind;
    }
    return found;
}

unsigned rm_semantic_marked(rm_slice text, unsigned kinds)
{
    plain words;
    unsigned found = 0;

    if (kinds == 0 || text.len > RM_GUARD_TEXT_BYTES_MAX)
        return kinds;
    make_plain(text, &words);
    for (size_t at = 0; at + 1 < words.len && (found & kinds) != kinds; at++)
        if (words.text[at] == ' ')
            found |= marks_at(&words, at);
    return found & kinds;
}
