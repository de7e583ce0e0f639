/* What the tokenizer's files share: what a character becomes, the trie of a vocabulary's entries, and a vocabulary as
 * its files say it. */
#ifndef REMORA_EMBED_TOKENIZER_H
#define REMORA_EMBED_TOKENIZER_H

#include "remora/embed.h"

/* ---- characters (normalize.c) ------------------------------------------------------------------------------------ */

/* BertNormalizer's switches, and as they stand in the files. */
typedef struct rm_embed__rules {
    bool clean;         /* clean_text: control characters go */
    bool han;           /* handle_chinese_chars: each ideograph is a word */
    bool strip_accents; /* NFD, then nonspacing marks go */
    bool lowercase;
} rm_embed__rules;

/* What normaliser and pre-tokenizer together make of a character. */
typedef enum rm_embed__kind {
    RM_EMBED__WORD = 0, /* a part of a word */
    RM_EMBED__SPACE,    /* ends a word */
    RM_EMBED__ALONE,    /* a word of its own: punctuation, ideographs */
    RM_EMBED__DROP,     /* nothing */
    RM_EMBED__BREAK,    /* nothing, but marks before it and behind it keep their order */
    RM_EMBED__MARK,     /* a part of a word that canonical order may move */
    RM_EMBED__MANY      /* several of these: rm_embed__character_parts */
} rm_embed__kind;

/* kind | combining class (of a MARK) | the character that it becomes (WORD, ALONE, MARK) */
#define RM_EMBED__CHARACTER(kind, class, code) ((uint32_t)(kind) << 29 | (uint32_t)(class) << 21 | (uint32_t)(code))
#define RM_EMBED__CHARACTER_KIND(entry)        ((rm_embed__kind)((entry) >> 29))
#define RM_EMBED__CHARACTER_CLASS(entry)       ((entry) >> 21 & 0xff)
#define RM_EMBED__CHARACTER_CODE(entry)        ((entry)&0x1fffff)

#define RM_EMBED__TABLE_CODES 0x10000 /* below it characters are looked up, above it they are worked out */
#define RM_EMBED__PARTS_MAX   4       /* the longest canonical decomposition */

typedef struct rm_embed__characters {
    rm_embed__rules rules;
    uint32_t entries[RM_EMBED__TABLE_CODES];
} rm_embed__characters;

void rm_embed__characters_init(rm_embed__characters *characters, const rm_embed__rules *rules);
uint32_t rm_embed__character_find(const rm_embed__rules *rules, uint32_t code); /* without a table */
/* The characters that a MANY is made of, none of which is one itself. Returns how many. */
size_t rm_embed__character_parts(const rm_embed__rules *rules, uint32_t code, uint32_t codes[RM_EMBED__PARTS_MAX]);

static inline uint32_t rm_embed__character(const rm_embed__characters *characters, uint32_t code)
{
    return code < RM_EMBED__TABLE_CODES ? characters->entries[code]
                                        : rm_embed__character_find(&characters->rules, code);
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------- */

#define RM_EMBED__CODE_REPLACEMENT 0xfffd

static inline bool rm_embed__is_inner(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The character at **at (before `end`), which moves behind it; U+FFFD for a maximal part of none (Unicode 15, table 3-8,
 * as Rust's from_utf8_lossy). */
static inline uint32_t rm_embed__decode(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    size_t left = (size_t)(end - p);
    uint8_t lead = p[0], low = 0x80, high = 0xbf;
    unsigned more;
    uint32_t code;
    *at = p + 1;
    if (lead < 0x80)
        return lead;
    if (lead < 0xc2 || lead > 0xf4)
        return RM_EMBED__CODE_REPLACEMENT;
    if (lead < 0xe0) {
        more = 1;
        code = lead & 0x1f;
    } else if (lead < 0xf0) {
        more = 2;
        code = lead & 0xf;
        low = lead == 0xe0 ? 0xa0 : low;
        high = lead == 0xed ? 0x9f : high;
    } else {
        more = 3;
        code = lead & 0x7;
        low = lead == 0xf0 ? 0x90 : low;
        high = lead == 0xf4 ? 0x8f : high;
    }
    for (unsigned i = 1; i <= more; i++) {
        if (i >= left || p[i] < low || p[i] > high) {
            *at = p + i;
            return RM_EMBED__CODE_REPLACEMENT;
        }
        code = code << 6 | (p[i] & 0x3f);
        low = 0x80;
        high = 0xbf;
    }
    *at = p + 1 + more;
    return code;
}

/* ---- vocabulary (vocabulary.c) ----------------------------------------------------------------------------------- */

#define RM_EMBED__WORD_CHARACTERS_MAX 100 /* longer words are [UNK] */
#define RM_EMBED__PREFIX_BYTES_MAX    16

typedef struct rm_embed__entry {
    rm_slice text;
    uint32_t id;
    uint32_t order; /* in which it came */
} rm_embed__entry;

typedef struct rm_embed__vocabulary {
    rm_arena arena;           /* of all that follows, but the strings of lines */
    rm_embed__entry *entries; /* those that a word may have, sorted by text, no two alike */
    size_t entry_count;
    rm_embed__entry *added; /* tokens found in the raw text, sorted by text, no two alike */
    size_t added_count;
    rm_slice prefix; /* of an entry that goes on within a word */
    rm_embed__rules rules;
    uint32_t word_characters_max;
    uint32_t count; /* every id is below it */
    uint32_t unk, cls, sep;
} rm_embed__vocabulary;

/* From the bytes of tokenizer.json, or of vocab.txt and tokenizer_config.json ({NULL, 0}: there is none). Errors and
 * `why` as rm_tokenizer_open; `file` and `config_file` are their names. Lines must outlive the vocabulary. */
rm_status rm_embed__vocabulary_from_json(rm_slice text, const char *file, rm_embed__vocabulary *ret_vocabulary,
                                         rm_buf *why) RM_WARN_UNUSED;
rm_status rm_embed__vocabulary_from_lines(rm_slice lines, const char *file, rm_slice config, const char *config_file,
                                          rm_embed__vocabulary *ret_vocabulary, rm_buf *why) RM_WARN_UNUSED;
void rm_embed__vocabulary_deinit(rm_embed__vocabulary *vocabulary);

/* ---- trie (tokenizer_trie.c) ------------------------------------------------------------------------------------- */

/* A double array. A state is the base of its children: the child by `byte` is nodes[base ^ byte], if that node's label
 * is the byte. No two states share a base, so the label alone tells whose child a node is. State 0 has no children. */
typedef struct rm_embed__node {
    uint32_t base;
    uint32_t token_or_label; /* token << 9 | label */
} rm_embed__node;

#define RM_EMBED__LABEL_BITS 9
#define RM_EMBED__LABEL_MASK 0x1ffU
#define RM_EMBED__LABEL_NONE 0x1ffU    /* no byte: the node is free */
#define RM_EMBED__TOKEN_NONE 0x7fffffU /* no entry ends here */

typedef struct rm_embed__trie {
    rm_embed__node *nodes;
    size_t count;
    uint32_t root;
} rm_embed__trie;

/* Of entries sorted by text, none empty, no two alike. RM_ENOMEM. */
rm_status rm_embed__trie_init(rm_embed__trie *trie, const rm_embed__entry *entries, size_t count) RM_WARN_UNUSED;
void rm_embed__trie_deinit(rm_embed__trie *trie);
/* The state behind `text`; 0 where no entry goes on from there. */
uint32_t rm_embed__trie_state(const rm_embed__trie *trie, rm_slice text);

static inline uint32_t rm_embed__node_token(const rm_embed__node *node)
{
    return node->token_or_label >> RM_EMBED__LABEL_BITS;
}

static inline bool rm_embed__node_is(const rm_embed__node *node, uint8_t byte)
{
    return (node->token_or_label & RM_EMBED__LABEL_MASK) == byte;
}

/* ---- tokenizer (tokenizer.c) ------------------------------------------------------------------------------------- */

/* RM_ENOMEM. The vocabulary may go afterwards. */
rm_status rm_embed__tokenizer_create(const rm_embed__vocabulary *vocabulary,
                                     rm_tokenizer **ret_tokenizer) RM_WARN_UNUSED;

#endif
