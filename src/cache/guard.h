/* Text guards of the semantic cache: what two prompts that embed alike may still not share.
 *
 *     text --analyse--> rm_guard_text (words, numbers, quotes, marks) --compare--> flags and features
 *
 * A guard that fires says "these two may ask for different things, and here is which kind"; it never says that two
 * texts mean the same. Everything here is a pure function of its arguments: any thread, no locks. Texts are untrusted. */
#ifndef REMORA_CACHE_GUARD_H
#define REMORA_CACHE_GUARD_H

#include "remora/base.h"

/* code, name in configuration and metrics, text for the receipt. The order is that of the bits. */
#define RM_GUARD_TABLE(X)                                                                         \
    X(NUMBERS, "numbers", "numbers or versions differ")                                           \
    X(UNITS, "units", "units or currencies differ")                                               \
    X(DATES, "dates", "days, months or relative dates differ")                                    \
    X(NEGATION, "negation", "one of the two is negated")                                          \
    X(ANTONYM, "antonym", "a word is replaced by its opposite or by another of its kind")         \
    X(ASPECT, "aspect", "another state in time: used to be, becoming, no longer")                 \
    X(ORDER, "order", "the same words in another order, or who does what to whom is swapped")     \
    X(SUBSTITUTION, "substitution", "content words are replaced, all else is equal")              \
    X(ADDITION, "addition", "one of the two says all that the other says, and a word more")       \
    X(ENTITY, "entity", "names differ")                                                           \
    X(CODE, "code", "code, identifiers, addresses or operators differ")                           \
    X(QUOTED, "quoted", "quoted strings differ")                                                  \
    X(LANGUAGE, "language", "another language or script")                                         \
    X(INVISIBLE, "invisible", "invisible or look-alike characters")                               \
    X(CONTAINED, "contained", "one of the two contains the other and much more, or instructions") \
    X(NOISE, "noise", "strings that are no language")

typedef enum rm_guard {
#define X(code, name, text) RM_GUARD_##code,
    RM_GUARD_TABLE(X)
#undef X
        RM_GUARD_COUNT
} rm_guard;

const char *rm_guard_name(rm_guard guard);
const char *rm_guard_text_of(rm_guard guard); /* for the receipt */

/* Shares are 0 to 1; 1 is "the same". Two texts without any word of a kind have the share 1. */
#define RM_GUARD_FEATURES(X)                                                           \
    X(content_jaccard) /* of content words, by stem */                                 \
    X(word_jaccard)    /* of all words, by stem */                                     \
    X(prefix5_jaccard) /* of content words, by their first five letters and synonym */ \
    X(trigram_jaccard) /* of three letters in a row, estimated from bitmaps */         \
    X(length_ratio)    /* words of the shorter by words of the longer */               \
    X(prefix_share)    /* words alike from the front, by words of the longer */        \
    X(suffix_share)    /* ... from the back */                                         \
    X(only_cached)     /* content words that only the cached text has, a count */      \
    X(only_asked)      /* content words that only the asked text has, a count */       \
    X(question_equal)  /* 1: the same question word (or none in both), 0: another */   \
    X(inversions)      /* neighbouring common words that stand the other way round, a share */

typedef struct rm_guard_result {
    uint32_t flags; /* bit of each guard that fires */
#define X(name) float name;
    RM_GUARD_FEATURES(X)
#undef X
} rm_guard_result;

#define RM_GUARD_BIT(code) (1U << RM_GUARD_##code)

/* The guards' dictionary: immutable, shared by all threads. About 100 KiB. */
typedef struct rm_guard_words rm_guard_words;
rm_status rm_guard_words_create(rm_guard_words **ret_words) RM_WARN_UNUSED; /* RM_ENOMEM */
void rm_guard_words_destroy(rm_guard_words *words);                         /* NULL is fine */

/* The analysed form of one text; it lives in the arena and refers to the dictionary, not to the text. */
typedef struct rm_guard_text rm_guard_text;

/* RM_ETOOBIG: over RM_GUARD_TEXT_BYTES_MAX or RM_GUARD_TOKENS_MAX; RM_EPARSE: not UTF-8; RM_ENOMEM. Such a text is
 * for the exact cache only. */
rm_status rm_guard_analyse(const rm_guard_words *words, rm_slice text, rm_arena *arena,
                           rm_guard_text **ret_text) RM_WARN_UNUSED;

/* Symmetric but for only_cached and only_asked. */
void rm_guard_compare(const rm_guard_text *cached, const rm_guard_text *asked, rm_guard_result *ret_result);

/* False for what is not to become an entry: strings that are no language, control characters, absurd words. */
bool rm_guard_admissible(const rm_guard_text *text);

#endif
