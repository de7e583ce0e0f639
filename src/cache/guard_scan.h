/* The scanner of the text guards: bytes -> characters -> words. */
#ifndef REMORA_CACHE_GUARD_SCAN_H
#define REMORA_CACHE_GUARD_SCAN_H

#include "guard_text.h"

enum {
    SCRIPT_NONE,
    SCRIPT_LATIN,
    SCRIPT_PHONETIC, /* Latin look-alikes of phonetic alphabets */
    SCRIPT_GREEK,
    SCRIPT_CYRILLIC,
    SCRIPT_ARMENIAN,
    SCRIPT_HEBREW,
    SCRIPT_ARABIC,
    SCRIPT_INDIC,
    SCRIPT_THAI,
    SCRIPT_HANGUL,
    SCRIPT_HAN, /* and kana */
    SCRIPT_OTHER,
    SCRIPT_COUNT
};

typedef enum char_class {
    CLASS_END,
    CLASS_SPACE,
    CLASS_LETTER,
    CLASS_MARK,
    CLASS_DIGIT,
    CLASS_IDEOGRAPH,
    CLASS_PUNCTUATION,
    CLASS_OPERATOR,
    CLASS_CURRENCY,
    CLASS_SIGN, /* emoji and the like: words of their own */
    CLASS_JOINER,
    CLASS_INVISIBLE,
    CLASS_CONTROL
} char_class;

typedef struct character {
    uint32_t code;
    size_t len;
    char_class class;
} character;

/* What is known of a word while it is read. */
typedef struct word_shape {
    uint32_t scripts; /* bits */
    uint16_t letters, digits, capitals, marks;
    uint8_t cases;
    bool ascii, capital, marked, dotted;
    bool untwinned; /* has a letter that does not pass for a Latin one */
} word_shape;

typedef struct scanner {
    const rm_guard_words *words;
    rm_slice text;
    size_t at;
    rm_guard_text *out;
    size_t folded_len, folded_max, tokens_max;
    uint32_t odd_runs[2], ticks;    /* the second: between backticks */
    uint32_t scripts[SCRIPT_COUNT]; /* letters of each */
    uint32_t capitals, letters, twins;
    uint8_t signs, varied; /* signs in a row, and how many are not the one before */
    uint8_t run, run_odd;  /* signs without space so far, and how many of them are rare in prose */
    uint64_t operators;    /* hash of the run of operators that is being read */
    uint64_t wide;         /* hash of signs that are plain beside ideographs, and odd in other texts */
    size_t quote_from;     /* first token of the open quote */
    size_t quote_at;       /* its first byte */
    uint32_t quote_close;
    const char *currency; /* of the sign that stood before this place; NULL: none */
    uint8_t gap, last_script;
    bool unclosed; /* a backtick has no partner */
    char_class last_class;
    uint32_t last_code;
    rm_status status;
} scanner;

uint8_t rm_guard__script_of(uint32_t code);
bool rm_guard__passes_for_latin(uint32_t code); /* a letter of another script that looks like a Latin one */
bool rm_guard__is_apostrophe(uint32_t code);
/* A sign that looks like one of ASCII and that nobody's keyboard or editor puts there: a leader dot, a Greek question mark. */
bool rm_guard__is_odd_sign(uint32_t code);
bool rm_guard__is_full_width(uint32_t code);

/* The next character; its length is 0 at the end of the text. RM_EPARSE. */
rm_status rm_guard__peek(const scanner *s, character *ret_c);

/* Makes a token of what was folded since `from`; NULL: too many, which sets the status. */
rm_guard__token *rm_guard__push(scanner *s, size_t from, const word_shape *shape);
void rm_guard__push_text(scanner *s, rm_slice word);
void rm_guard__put_byte(scanner *s, char c);

/* Whether the byte before this place and the next one, spaces apart, are digits: a minus, a slash of division. */
bool rm_guard__between_digits(const scanner *s, size_t at);
const char *rm_guard__currency(uint32_t code); /* its name in the dictionary; NULL: an unknown sign */
/* Reads a number that begins at the scanner's place, with its suffix. */
void rm_guard__scan_number(scanner *s);
/* Spelled numbers, units and dates: once all words are there. */
void rm_guard__join_numbers(rm_guard_text *text);
/* Whether a word could be one of a language. */
bool rm_guard__is_odd(rm_slice word, const word_shape *shape);
/* Finds code, identifiers and addresses in the raw text. */
void rm_guard__scan_verbatim(scanner *s);

rm_status rm_guard__scan(scanner *s);

#endif
