/* What the files of the text guards share. */
#ifndef REMORA_CACHE_GUARD_TEXT_H
#define REMORA_CACHE_GUARD_TEXT_H

#include "guard.h"

/* ---- dictionary -------------------------------------------------------------------------------------------------- */

/* What a word can be; several at once. */
enum {
    RM_GUARD__STOP = 1U << 0,      /* a function word: no content */
    RM_GUARD__ARTICLE = 1U << 1,   /* also nothing in word order */
    RM_GUARD__POLITE = 1U << 2,    /* dropped where a sentence begins or stands apart: hi, thanks */
    RM_GUARD__LIGHT = 1U << 3,     /* content that may come and go: way, best, some */
    RM_GUARD__COORD = 1U << 4,     /* and, or, versus */
    RM_GUARD__PREP = 1U << 5,      /* preposition */
    RM_GUARD__NEGATION = 1U << 6,  /* not, never, without */
    RM_GUARD__BE = 1U << 7,        /* is, was, been, got */
    RM_GUARD__SYMMETRIC = 1U << 8, /* married, differ, similar: sides may change places */
    RM_GUARD__ROLE = 1U << 9,      /* a function word whose place matters: from, to, by, than, he, her */
    RM_GUARD__ABROAD = 1U << 10,   /* negation in another language than English */
    RM_GUARD__ASPECT = 1U << 11,   /* becoming, formerly */
    RM_GUARD__INJECT = 1U << 12,   /* ignore, disregard, override */
    RM_GUARD__INJECTED = 1U << 13, /* instructions, prompt, rules */
    RM_GUARD__WEAK_UNIT = 1U << 14,
    RM_GUARD__WEAK_DATE = 1U << 15,
    RM_GUARD__ORDINAL = 1U << 16,
    RM_GUARD__NUMERAL = 1U << 17,
    RM_GUARD__IS_AFTER = 1U << 18, /* 's behind it is "is": what, who, that */
    RM_GUARD__QUESTION = 1U << 19,
    RM_GUARD__PERSON = 1U << 20,     /* he, she, his: may stand for a name */
    RM_GUARD__PARTICIPLE = 1U << 21, /* a verb of irregular forms: before "by" it may be passive */
    RM_GUARD__WH = 1U << 25,         /* what, who, when */
    RM_GUARD__DETERMINER = 1U << 24, /* may stand between a preposition and its noun */
    RM_GUARD__FILLER = 1U << 23,     /* dropped wherever it stands: please, um */
    RM_GUARD__CAPITONYM = 1U << 26,  /* with a capital it means something else: polish, Polish */
    RM_GUARD__ORDER = 1U << 28,      /* begins an order to who answers: write, reply */
    RM_GUARD__LITERAL = 1U << 27,    /* who says it asks about letters: spell, uppercase */
    RM_GUARD__CURRENCY = 1U << 22,   /* a unit that may stand before its number */
};

/* Sides of the row of question words that ask for different things: who, when, where, why. */
#define RM_GUARD__ASKS_FIRST 1
#define RM_GUARD__ASKS_LAST  4

#define RM_GUARD__CONTRASTS_MAX 3
#define RM_GUARD__SIDES_MAX     32

/* Classes are group * RM_GUARD__SIDES_MAX + side, and 0 is none. */
typedef struct rm_guard__entry {
    uint64_t hash;
    uint32_t roles;
    uint16_t contrasts[RM_GUARD__CONTRASTS_MAX];
    uint16_t synonym, unit, date, question;
    uint16_t languages; /* a bit of each language whose function word it is */
    double number;
    rm_slice alias; /* words that stand for this one */
} rm_guard__entry;

/* NULL: an unknown word. */
const rm_guard__entry *rm_guard__find(const rm_guard_words *words, uint64_t hash);

/* ---- analysed text ----------------------------------------------------------------------------------------------- */

/* What stands before a word. */
enum {
    RM_GUARD__GAP_COMMA = 1U << 0, /* comma, slash: a list goes on */
    RM_GUARD__GAP_BREAK = 1U << 1, /* a sentence ends; also ; : ( ) and dashes */
    RM_GUARD__GAP_HYPHEN = 1U << 2,
};

/* What a word is in this text. */
enum {
    RM_GUARD__CONTENT = 1U << 0,
    RM_GUARD__NAME = 1U << 1,       /* capitalised where a plain word is not, or in capitals */
    RM_GUARD__NUMBER = 1U << 2,     /* a part of a number */
    RM_GUARD__NUMBERED = 1U << 3,   /* letters and digits: i3, b12 */
    RM_GUARD__CAPITAL = 1U << 4,    /* begins with a capital */
    RM_GUARD__DROPPED = 1U << 5,    /* politeness */
    RM_GUARD__NEGATES = 1U << 6,    /* counts as a negation */
    RM_GUARD__ASCII = 1U << 7,      /* letters a to z only */
    RM_GUARD__POSSESSIVE = 1U << 8, /* 's stood behind it */
    RM_GUARD__TAKEN = 1U << 9,      /* a unit or date that is attached to a number */
    RM_GUARD__ATTACHED = 1U << 10,  /* a number's suffix without space, n't: the w of 200w */
    RM_GUARD__RANK = 1U << 11,      /* a number's digits had th behind them */
    RM_GUARD__DATED = 1U << 12,     /* counts as a date */
    RM_GUARD__CAPITALS = 1U << 13,  /* capitals only, and more than one */
    RM_GUARD__FIRST = 1U << 14,     /* begins a sentence: its first capital says nothing */
};

typedef struct rm_guard__token {
    uint64_t word; /* hash of the folded word */
    uint64_t stem;
    uint64_t bare; /* hash without marks; equals word where there are none */
    const rm_guard__entry *entry;
    uint32_t at; /* in the folded text */
    uint16_t len;
    uint16_t flags;
    uint8_t gap;
    uint8_t cases; /* bits of the first eight letters: capitals */
} rm_guard__token;

enum { RM_GUARD__PLAIN, RM_GUARD__ORDINAL_NUMBER, RM_GUARD__TEXTUAL };

typedef struct rm_guard__number {
    double value;
    uint64_t spelling; /* hash of the digits where they count as text; 0 else */
    uint16_t unit, token;
    uint8_t kind;
    bool weak; /* "one", "first": only against another number */
} rm_guard__number;

typedef struct rm_guard__quote {
    uint64_t raw;          /* hash of its bytes */
    uint16_t first, count; /* tokens */
} rm_guard__quote;

#define RM_GUARD__TRIGRAM_WORDS 64 /* 4096 bits */

typedef struct rm_guard__ranked {
    uint64_t stem;
    uint16_t token;
} rm_guard__ranked;

enum { RM_GUARD__ENGLISH = 1, RM_GUARD__LANGUAGES = 8 };

struct rm_guard_text {
    char *folded;
    rm_guard__token *tokens;
    rm_guard__ranked *by_stem; /* tokens that are not dropped, by stem and then by place */
    uint16_t *sequence;        /* ... in order, without articles */
    rm_guard__number *numbers;
    rm_guard__quote *quotes;
    uint64_t *verbatim; /* sorted hashes of code, identifiers, addresses and runs of operators */
    size_t count, kept, sequence_count, numbers_count, quotes_count, verbatim_count, content, lines;
    uint64_t raw;        /* hash of the text as it came */
    uint64_t lookalikes; /* hash of the characters that have a plain twin, in order */
    uint32_t negations, aspects, injections, oddities;
    uint16_t question;
    uint8_t language, script;
    bool invisible, control, noise, passive, becomes;
    bool asks;    /* its question word is one, no verb */
    bool careful; /* has capitals where they belong: neither all small, nor all capitals, nor a title */
    bool literal; /* asks about its letters */
    uint64_t trigrams[RM_GUARD__TRIGRAM_WORDS];
};

static inline rm_slice rm_guard__word(const rm_guard_text *text, const rm_guard__token *token)
{
    return rm_slice_make(text->folded + token->at, token->len);
}
static inline uint32_t rm_guard__roles(const rm_guard__token *token)
{
    return token->entry ? token->entry->roles : 0;
}

#endif
