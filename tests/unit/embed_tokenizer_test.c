/* The tokenizer over a small vocabulary: every rule of the normaliser, the cuts of long texts, each mistake of its
 * files. Equality with the reference on many texts and all characters is tests/golden/tokenizer_parity.py. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tokenizer.h"

#define IDS_MAX 4096

/* The longest word in bytes: 100 characters of four. */
#define GRIN     "\U0001f600"
#define GRIN_10  GRIN GRIN GRIN GRIN GRIN GRIN GRIN GRIN GRIN GRIN
#define GRIN_100 GRIN_10 GRIN_10 GRIN_10 GRIN_10 GRIN_10 GRIN_10 GRIN_10 GRIN_10 GRIN_10 GRIN_10

/* Marks that the reference does not take for nonspacing ones: their combining classes move them, but they stay. */
#define MARK_230 "\u08d4"
#define MARK_224 "\u302e"

/* By id. */
enum { PAD, UNK, CLS, SEP, MASK };
static const char *const tokens[] = {
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "b",
    "##a",
    "##b",
    "un",
    "##aff",
    "##able",
    "hello",
    ",",
    ".",
    "[",
    "]",
    "$",
    "i",
    "g",
    "x",
    "#",
    "^",
    "\u4e2d",
    "stra\u00dfe",
    "\u03c3\u03c3",
    "\u1112\u1161\u11ab",
    "\u0264",
    "\u2c62",
    GRIN,
    "##" GRIN,
    GRIN_100,
    "b" MARK_224 MARK_230 "a",
    "\u0fb2\u0f71",
    "unable",
    "mask",
    "##x",
    "i\u0307",
    "\u00e9",
    "E",
    "\ufffd",
};
#define TOKENS RM_COUNT(tokens)

typedef struct fixture {
    char folder[64];
    rm_tokenizer *tokenizer;
    rm_buf why;
    uint32_t ids[IDS_MAX];
} fixture;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void write_file(fixture *fix, const char *name, const char *bytes, size_t count)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", fix->folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(fixture *fix, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", fix->folder, name);
    assert_int_equal(unlink(path), 0);
}

static void write_lines(fixture *fix)
{
    rm_buf lines;
    rm_buf_init(&lines, RM_MIB);
    for (size_t i = 0; i < TOKENS; i++)
        rm_buf_appendf(&lines, "%s\n", tokens[i]);
    write_file(fix, "vocab.txt", lines.ptr, lines.len);
    rm_buf_deinit(&lines);
}

/* tokenizer.json with the first `from` replaced. */
static void write_json(fixture *fix, const char *from, const char *to)
{
    rm_buf json, edited;
    rm_buf_init(&json, RM_MIB);
    rm_buf_init(&edited, 16 * RM_MIB);
    rm_buf_append_cstr(&json,
                       "{\"version\":\"1.0\",\"truncation\":{\"max_length\":128},\"padding\":null,\"added_tokens\":[");
    for (size_t i = PAD; i <= MASK; i++)
        rm_buf_appendf(&json,
                       "%s{\"id\":%zu,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                       "\"normalized\":false,\"special\":true}",
                       i ? "," : "", i, tokens[i]);
    rm_buf_append_cstr(&json, "],\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
                              "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"
                              "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
                              "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
                              "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\","
                              "\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":[],"
                              "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},"
                              "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}},"
                              "\"decoder\":{\"type\":\"WordPiece\"},\"model\":{\"type\":\"WordPiece\","
                              "\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                              "\"max_input_chars_per_word\":100,\"vocab\":{");
    for (size_t i = 0; i < TOKENS; i++)
        rm_buf_appendf(&json, "%s\"%s\":%zu", i ? "," : "", tokens[i], i);
    rm_buf_append_cstr(&json, "}}}");
    rm_slice text = rm_buf_slice(&json);
    const char *at = rm_slice_find(text, rm_slice_cstr(from));
    assert_non_null(at);
    rm_buf_append(&edited, text.ptr, (size_t)(at - text.ptr));
    rm_buf_append_cstr(&edited, to);
    rm_buf_append(&edited, at + strlen(from), text.len - (size_t)(at - text.ptr) - strlen(from));
    assert_int_equal(edited.status, RM_OK);
    write_file(fix, "tokenizer.json", edited.ptr, edited.len);
    rm_buf_deinit(&json);
    rm_buf_deinit(&edited);
}

static rm_status reopen(fixture *fix)
{
    rm_tokenizer_close(fix->tokenizer);
    fix->tokenizer = NULL;
    rm_buf_clear(&fix->why);
    return rm_tokenizer_open(fix->folder, &fix->tokenizer, &fix->why);
}

static int setup(void **state)
{
    fixture *fix = calloc(1, sizeof(*fix));
    assert_non_null(fix);
    snprintf(fix->folder, sizeof(fix->folder), "/tmp/remora-embed-XXXXXX");
    assert_non_null(mkdtemp(fix->folder));
    rm_buf_init(&fix->why, 8192);
    write_lines(fix);
    assert_int_equal(reopen(fix), RM_OK);
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;
    rm_tokenizer_close(fix->tokenizer);
    rm_buf_deinit(&fix->why);
    nftw(fix->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(fix);
    return 0;
}

/* The ids between [CLS] and [SEP]; a copy of its own of the text, so that the sanitizer sees a read past its end. */
static size_t tokenize(fixture *fix, rm_slice text, rm_overflow overflow, size_t ids_max)
{
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    rm_slice_put(copy, text);
    memset(fix->ids, 0xff, sizeof(fix->ids));
    size_t count = rm_tokenize(fix->tokenizer, rm_slice_make(copy, text.len), overflow, fix->ids, ids_max);
    free(copy);
    assert_in_range(count, 2, ids_max);
    assert_int_equal(fix->ids[0], CLS);
    assert_int_equal(fix->ids[count - 1], SEP);
    assert_true(count == IDS_MAX || fix->ids[count] == UINT32_MAX);
    return count - 2;
}

/* The tokens that the text gives, one space between them. */
static void check_slice(fixture *fix, rm_slice text, const char *wanted)
{
    size_t count = tokenize(fix, text, RM_OVERFLOW_HEAD, IDS_MAX);
    rm_buf got;
    rm_buf_init(&got, RM_MIB);
    for (size_t i = 0; i < count; i++) {
        assert_in_range(fix->ids[1 + i], 0, TOKENS - 1);
        rm_buf_appendf(&got, "%s%s", i ? " " : "", tokens[fix->ids[1 + i]]);
    }
    rm_buf_append_char(&got, '\0');
    assert_string_equal(got.ptr, wanted);
    rm_buf_deinit(&got);
}

static void check(fixture *fix, const char *text, const char *wanted)
{
    check_slice(fix, rm_slice_cstr(text), wanted);
}

/* ---- words --------------------------------------------------------------------------------------------------------- */

static void test_word_pieces(void **state)
{
    fixture *fix = *state;
    assert_int_equal(rm_tokenizer_count(fix->tokenizer), TOKENS);
    check(fix, "", "");
    check(fix, " \t\r\n", "");
    check(fix, "hello", "hello");
    check(fix, "unaffable", "un ##aff ##able");
    check(fix, "unable", "unable"); /* the longest, not un ##able */
    check(fix, "unaffa", "un ##aff ##a");
    check(fix, "unaff!", "un ##aff [UNK]");
    check(fix, "unaffe", "[UNK]"); /* one part without an entry is the whole word's end */
    check(fix, "unaffe a", "[UNK] a");
    check(fix, "abab", "a ##b ##a ##b");
    check(fix, "hello,hello.", "hello , hello .");
    check(fix, "a$b^x", "a $ b ^ x"); /* symbols of ASCII are punctuation too */
    check(fix, "##a", "# # a");       /* the prefix is no way into the middle of a word */
    check(fix, "A UNABLE Hello", "a unable hello");
}

static void test_longest_words(void **state)
{
    fixture *fix = *state;
    char word[130];
    memset(word, 'a', sizeof(word));
    for (size_t chars = 1; chars <= 120; chars++) {
        size_t count = tokenize(fix, rm_slice_make(word, chars), RM_OVERFLOW_HEAD, IDS_MAX);
        assert_int_equal(count, chars <= RM_EMBED__WORD_CHARACTERS_MAX ? chars : 1);
        assert_true(chars <= RM_EMBED__WORD_CHARACTERS_MAX || fix->ids[1] == UNK);
    }
    check(fix, GRIN_100, GRIN_100); /* an entry of RM_EMBED_TOKEN_BYTES_MAX bytes */
    check(fix, GRIN_100 GRIN, "[UNK]");
    check(fix, GRIN_100 "\u0301 a", GRIN_100 " a"); /* what goes is not counted */
    check(fix, GRIN GRIN, GRIN " ##" GRIN);
    check(fix, GRIN_100 "," GRIN, GRIN_100 " , " GRIN);
    /* Marks in canonical order are written down up to the longest word, then counted. */
    rm_buf text;
    rm_buf_init(&text, RM_MIB);
    for (size_t i = 0; i < 1000; i++)
        rm_buf_append_cstr(&text, i % 2 ? MARK_230 : MARK_224);
    rm_buf_append_cstr(&text, "a a");
    check_slice(fix, rm_buf_slice(&text), "[UNK] a");
    rm_buf_deinit(&text);
}

static void test_normalizer(void **state)
{
    fixture *fix = *state;
    check(fix, "h\u00e9ll\u00f6", "hello");
    check(fix, "he\u0301l\u0308lo\u0323\u0301", "hello");
    check(fix, "a\u00a0b\u3000a\u2028b\u2003a\u1680b", "a b a b a b"); /* white space of all kinds */
    check(fix, "a\x0b\x0c\xc2\x85\x01\x7f\u200b\u00ad\ue000\U000f0000##b", "a # # b");
    check(fix, "he\x0bl\x0cl\xc2\x85o\x01\x7f\u200b\u00ad\ue000\U000f0000", "hello"); /* control characters go */
    check_slice(fix, RM_SLICE("he\0llo"), "hello");
    check(fix, "a\u4e2db\uf95fx", "a \u4e2d b [UNK] x"); /* ideographs stand alone, compatible ones too */
    check(fix, "STRA\u1e9eE", "stra\u00dfe");
    check(fix, "\u03a3\u03a3", "\u03c3\u03c3"); /* no final sigma: characters are lowered one by one */
    check(fix, "\u0130", "i");
    check(fix, "\ud55c", "\u1112\u1161\u11ab"); /* Hangul falls apart */
    check(fix, "\u212a", "[UNK]");              /* the Kelvin sign is K */
    check(fix, "a\u2014b\u3002x", "a [UNK] b [UNK] x");
    check(fix, "a\u20acb", "[UNK]"); /* a symbol beyond ASCII is none */
    check(fix, "b" MARK_230 MARK_224 "a", "b" MARK_224 MARK_230 "a");
    check(fix, "b" MARK_224 "\u0301" MARK_230 "a", "b" MARK_224 MARK_230 "a");
    check(fix, "b" MARK_230 "\u200d" MARK_224 "a", "b" MARK_224 MARK_230 "a"); /* cleaned before it is ordered */
    check(fix, "b" MARK_230 "\u0345\u0903" MARK_224 "a", "[UNK]");
    check(fix, "b" MARK_230 "\u0e31" MARK_224 "a", "[UNK]"); /* class 0: a mark that goes, and keeps others apart */
    check(fix, MARK_230, "[UNK]");
    check(fix, "a " MARK_230 MARK_224 " a", "a [UNK] a");
    check(fix,
          "\u0344"
          "a",
          "a"); /* decomposes into marks alone */
}

/* Where Unicode has gone on since the reference's tables, and where its lower case is newer than utf8proc's. */
static void test_versions(void **state)
{
    fixture *fix = *state;
    check(fix, "he\u08e2llo", "[UNK]"); /* a format character of Unicode 9 */
    check(fix, "he\U00013430llo", "[UNK]");
    check(fix, "a\u2e43b", "[UNK]"); /* punctuation of Unicode 8 */
    check(fix, "a\u2e42b", "a [UNK] b");
    check(fix, "a\u166db", "a [UNK] b"); /* was punctuation, is a symbol */
    check(fix, "he\u1734llo", "hello");  /* was a nonspacing mark */
    check(fix, "he\u1df6llo", "[UNK]");
    check(fix, "\ua7cb", "\u0264");
    check(fix, "\u2c62", "[UNK]");
}

static void test_added(void **state)
{
    fixture *fix = *state;
    check(fix, "a[MASK]b", "a [MASK] b");
    check(fix, "[MASK][MASK]", "[MASK] [MASK]");
    check(fix, "[CLS][SEP][PAD][UNK]", "[CLS] [SEP] [PAD] [UNK]");
    check(fix, "[mask]", "[ mask ]"); /* as they stand */
    check(fix, "[[MASK]]", "[ [MASK] ]");
    check(fix, "[MASK", "[ mask");
    check(fix, "[MA\xffSK]", "[ mask ]");
    check(fix, "[MA\u200bSK]", "[ mask ]");
    check(fix, "un[SEP]able", "un [SEP] [UNK]");
    check(fix, "b" MARK_230 "[MASK]" MARK_224 "a", "[UNK] [MASK] [UNK]");
    check(fix, "[", "[");
}

static void test_bytes_that_are_no_text(void **state)
{
    fixture *fix = *state;
    static const char *const parts[] = {"\x80",
                                        "\xff",
                                        "\xc0\xaf",
                                        "\xc3",
                                        "\xe0\x80\x80",
                                        "\xe2\x82",
                                        "\xed\xa0\x80",
                                        "\xf0\x9f\x98",
                                        "\xf0\x80\x80\x80",
                                        "\xf4\x90\x80\x80",
                                        "\xf8\x88\x80"};
    char text[64];
    for (size_t i = 0; i < RM_COUNT(parts); i++) {
        snprintf(text, sizeof(text), "he%sllo", parts[i]); /* U+FFFD goes */
        check(fix, text, "hello");
        snprintf(text, sizeof(text), "hello%s", parts[i]);
        check(fix, text, "hello");
        snprintf(text, sizeof(text), "%s,", parts[i]); /* and never takes what follows with it */
        check(fix, text, ",");
    }
    /* Where nothing is cleaned there is one of each maximal part. */
    write_json(fix, "\"clean_text\":true", "\"clean_text\":false");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "\xff", "\ufffd");
    check(fix, "\xff,\xe2\x82,\xf0\x9f\x98", "\ufffd , \ufffd , \ufffd");
    check(fix, "\xe2\x82\xe2", "[UNK]");
    check_slice(fix, RM_SLICE("a\0b"), "[UNK]");
    check(fix,
          "he\x01llo\x0c"
          "a",
          "[UNK] a");
}

static void test_switches(void **state)
{
    fixture *fix = *state;
    write_json(fix, "\"lowercase\":true", "\"lowercase\":false");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "hello Hello", "hello [UNK]");
    check(fix, "\u00c9 \u00e9", "[UNK] \u00e9"); /* accents follow lower case */
    check(fix, "\u0130", "[UNK]");
    check(fix, "b" MARK_230 MARK_224 "a", "[UNK]"); /* and so does the order of marks */
    write_json(fix, "\"strip_accents\":null,\"lowercase\":true", "\"strip_accents\":true,\"lowercase\":false");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "\u00c9 \u00e9", "E [UNK]");
    write_json(fix, "\"strip_accents\":null", "\"strip_accents\":false");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "\u00c9", "\u00e9");
    check(fix, "\u0130", "i\u0307");
    write_json(fix, "\"handle_chinese_chars\":true", "\"handle_chinese_chars\":false");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "\u4e2d \u4e2d\u4e2d", "\u4e2d [UNK]");
    write_json(fix, "\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":3");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "aba abab", "a ##b ##a [UNK]");
    write_json(fix, "\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":0");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "a, \u4e2d", "[UNK] [UNK] [UNK]");
    write_json(fix, "\"##\"", "\"\"");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "abab", "a b a b");
    write_json(fix, "\"##\"", "\"@@\"");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "abab a", "[UNK] a");
}

/* ---- long texts ---------------------------------------------------------------------------------------------------- */

static void check_cut(fixture *fix, const uint32_t *full, size_t count, rm_slice text, size_t ids_max)
{
    size_t room = ids_max - 2, head = room - room / 2;
    size_t got = tokenize(fix, text, RM_OVERFLOW_HEAD, ids_max);
    assert_int_equal(got, count < room ? count : room);
    assert_memory_equal(fix->ids + 1, full, got * sizeof(*full));
    got = tokenize(fix, text, RM_OVERFLOW_HEAD_TAIL, ids_max);
    assert_int_equal(got, count < room ? count : room);
    if (count <= room)
        head = count;
    assert_memory_equal(fix->ids + 1, full, head * sizeof(*full));
    assert_memory_equal(fix->ids + 1 + head, full + count - (got - head), (got - head) * sizeof(*full));
}

static void check_cuts(fixture *fix, rm_slice text)
{
    static uint32_t full[IDS_MAX];
    size_t count = tokenize(fix, text, RM_OVERFLOW_HEAD, IDS_MAX);
    memcpy(full, fix->ids + 1, count * sizeof(*full));
    for (size_t ids_max = 2; ids_max < count + 5 && ids_max < 600; ids_max++)
        check_cut(fix, full, count, text, ids_max);
}

static void test_overflow(void **state)
{
    fixture *fix = *state;
    rm_buf text;
    rm_buf_init(&text, RM_MIB);
    check_cuts(fix, RM_SLICE("a"));
    check_cuts(fix, RM_SLICE("unaffable, hello [MASK] abababab. unaffable"));
    for (size_t i = 0; i < 700; i++)
        rm_buf_append_cstr(&text, i % 7 ? "a, un" : i % 3 ? "[MASK] " : "bab ");
    check_cuts(fix, rm_buf_slice(&text));
    rm_buf_clear(&text);
    for (size_t i = 0; i < 3000; i++) /* no white space to begin a tail at */
        rm_buf_append_char(&text, i % 2 ? ',' : 'a');
    check_cuts(fix, rm_buf_slice(&text));
    rm_buf_clear(&text);
    rm_buf_append_cstr(&text, "a , b . "); /* few ids in many bytes */
    for (size_t i = 0; i < 20000; i++)
        rm_buf_append_char(&text, ' ');
    rm_buf_append_cstr(&text, "x");
    check_cuts(fix, rm_buf_slice(&text));
    rm_buf_deinit(&text);
}

/* Of a text over RM_EMBED_TEXT_BYTES_MAX the front is read, or two halves as if there were a space between. */
static void test_longest_text(void **state)
{
    fixture *fix = *state;
    size_t bytes = RM_EMBED_TEXT_BYTES_MAX, half = bytes / 2;
    char *text = malloc(bytes + 2);
    assert_non_null(text);
    memset(text, ' ', bytes + 2);
    text[bytes - 1] = 'a';
    check_slice(fix, rm_slice_make(text, bytes), "a");
    memcpy(text + bytes - 1, "ab", 2);
    check_slice(fix, rm_slice_make(text, bytes + 1), "a");
    memcpy(text + bytes - 1, "\xc3\xa9", 2); /* not cut within a character */
    check_slice(fix, rm_slice_make(text, bytes + 1), "");
    text[0] = 'x';
    text[half - 1] = text[half] = 'a'; /* at the end of the first half; skipped */
    text[half + 2] = 'b';              /* where the second begins */
    assert_int_equal(tokenize(fix, rm_slice_make(text, bytes + 2), RM_OVERFLOW_HEAD_TAIL, 7), 4);
    assert_string_equal(tokens[fix->ids[1]], "x");
    assert_string_equal(tokens[fix->ids[2]], "a");
    assert_string_equal(tokens[fix->ids[3]], "b");
    assert_int_equal(tokenize(fix, rm_slice_make(text, bytes + 2), RM_OVERFLOW_HEAD_TAIL, 4), 2);
    assert_string_equal(tokens[fix->ids[1]], "x");
    free(text);
}

/* An added token with white space forbids to begin a tail there. */
static void test_added_with_space(void **state)
{
    fixture *fix = *state;
    rm_buf text;
    write_json(fix, "\"[PAD]\"", "\"a b\"");
    assert_int_equal(reopen(fix), RM_OK);
    assert_int_equal(rm_tokenizer_count(fix->tokenizer), TOKENS + 1);
    assert_int_equal(tokenize(fix, RM_SLICE("xa ba"), RM_OVERFLOW_HEAD, IDS_MAX), 3);
    assert_int_equal(fix->ids[2], TOKENS); /* the next free id, not the one that the file states */
    rm_buf_init(&text, RM_MIB);
    for (size_t i = 0; i < 1500; i++)
        rm_buf_append_cstr(&text, "a b");
    check_cuts(fix, rm_buf_slice(&text));
    rm_buf_deinit(&text);
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static void check_refused(fixture *fix, rm_status status, const char *why)
{
    rm_tokenizer *const before = (rm_tokenizer *)(void *)fix;
    rm_tokenizer *got = before;
    rm_buf_clear(&fix->why);
    assert_int_equal(rm_tokenizer_open(fix->folder, &got, &fix->why), status);
    assert_ptr_equal(got, before);
    assert_true(rm_slice_has_prefix(rm_buf_slice(&fix->why), rm_slice_cstr(fix->folder)));
    if (!rm_slice_find(rm_buf_slice(&fix->why), rm_slice_cstr(why)))
        fail_msg("\"%.*s\" does not say \"%s\"", (int)fix->why.len, fix->why.ptr, why);
    assert_null(memchr(fix->why.ptr, '\n', fix->why.len));
}

static void test_json_equals_lines(void **state)
{
    fixture *fix = *state;
    write_json(fix, "", "");
    remove_file(fix, "vocab.txt");
    assert_int_equal(reopen(fix), RM_OK);
    test_word_pieces(state);
    test_normalizer(state);
    test_added(state);
    write_json(fix, "\"post_processor\":{\"type\":\"TemplateProcessing\"",
               "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]");
    assert_int_equal(reopen(fix), RM_OK);
    test_word_pieces(state);
    write_json(fix, "\"model\":{\"type\":\"WordPiece\",", "\"model\":{"); /* older files do not say it */
    assert_int_equal(reopen(fix), RM_OK);
    write_json(fix, "\"version\":\"1.0\",", "");
    assert_int_equal(reopen(fix), RM_OK);
    write_json(fix, "\"added_tokens\"", "\"other\"");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "[MASK]", "[ mask ]");
    write_json(fix, "\"[PAD]\":0", "\"[PAD]\":0.0e1,\"hello\":99");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "unaffable hello", "un ##aff ##able hello"); /* the later one of two alike */
    assert_int_equal(rm_tokenizer_count(fix->tokenizer), 100);
}

static void test_json_mistakes(void **state)
{
    static const struct {
        const char *from, *to;
        rm_status status;
        const char *why;
    } cases[] = {
        {"{\"version\"", "\"version\"", RM_ECORRUPT, "tokenizer.json: not JSON"},
        {"}}}", "}}", RM_ECORRUPT, "not JSON"},
        {"\"hello\"", "\"\xff\"", RM_ECORRUPT, "not JSON"},
        {"\"version\":\"1.0\"", "\"version\":\"2.0\"", RM_EUNSUPPORTED, "version"},
        {"\"version\":\"1.0\"", "\"version\":1", RM_EUNSUPPORTED, "version"},
        {"BertNormalizer", "Lowercase", RM_EUNSUPPORTED, "BertNormalizer"},
        {"\"normalizer\"", "\"other\"", RM_EUNSUPPORTED, "BertNormalizer"},
        {"\"clean_text\":true", "\"clean_text\":1", RM_ECORRUPT, "clean_text"},
        {"\"handle_chinese_chars\":true,", "", RM_ECORRUPT, "handle_chinese_chars"},
        {"\"lowercase\":true", "\"lowercase\":null", RM_ECORRUPT, "lowercase"},
        {"BertPreTokenizer", "Whitespace", RM_EUNSUPPORTED, "BertPreTokenizer"},
        {"\"pre_tokenizer\"", "\"other\"", RM_EUNSUPPORTED, "BertPreTokenizer"},
        {"\"model\":{\"type\":\"WordPiece\"", "\"model\":{\"type\":\"BPE\"", RM_EUNSUPPORTED, "WordPiece"},
        {"\"model\"", "\"other\"", RM_EUNSUPPORTED, "WordPiece"},
        {"\"continuing_subword_prefix\":\"##\"", "\"continuing_subword_prefix\":null", RM_ECORRUPT, "prefix"},
        {"\"##\"", "\"12345678901234567\"", RM_EUNSUPPORTED, "over 16 bytes"},
        {"\"unk_token\":\"[UNK]\"", "\"unk_token\":3", RM_ECORRUPT, "unk_token"},
        {"\"unk_token\":\"[UNK]\"", "\"unk_token\":\"[NONE]\"", RM_ECORRUPT, "unk_token"},
        {"_word\":100", "_word\":101", RM_EUNSUPPORTED, "over 100"},
        {"_word\":100", "_word\":-1", RM_ECORRUPT, "max_input_chars_per_word"},
        {"\"vocab\":{", "\"vocab\":[],\"other\":{", RM_ECORRUPT, "no vocabulary"},
        {"\"vocab\":{", "\"vocab\":{},\"other\":{", RM_ECORRUPT, "no vocabulary"},
        {"\"hello\":12", "\"hello\":\"12\"", RM_ECORRUPT, "id"},
        {"\"hello\":12", "\"hello\":-1", RM_ECORRUPT, "id"},
        {"\"hello\":12", "\"hello\":262144", RM_ETOOBIG, "262144"},
        {"\"added_tokens\":[", "\"added_tokens\":0,\"other\":[", RM_ECORRUPT, "not a list"},
        {"\"added_tokens\":[", "\"added_tokens\":[7,", RM_ECORRUPT, "added token"},
        {"\"content\":\"[PAD]\"", "\"content\":0", RM_ECORRUPT, "added token"},
        {"\"content\":\"[PAD]\"", "\"content\":\"a\ufffd\"", RM_EUNSUPPORTED, "U+FFFD"},
        {"\"single_word\":false", "\"single_word\":true", RM_EUNSUPPORTED, "single_word"},
        {"\"single_word\":false,", "", RM_ECORRUPT, "single_word"},
        {"\"normalized\":false", "\"normalized\":true", RM_EUNSUPPORTED, "normalized"},
        {"\"post_processor\"", "\"other\"", RM_EUNSUPPORTED, "post_processor"},
        {"TemplateProcessing", "RobertaProcessing", RM_EUNSUPPORTED, "post_processor"},
        {"TemplateProcessing", "BertProcessing", RM_EUNSUPPORTED, "post_processor"},
        {"\"TemplateProcessing\"", "\"BertProcessing\",\"cls\":[\"\",-1],\"sep\":[\"\",3]", RM_EUNSUPPORTED, "post_p"},
        {"\"TemplateProcessing\"", "\"BertProcessing\",\"cls\":[\"\",2],\"sep\":[\"\",99]", RM_ECORRUPT, "post_p"},
        {"{\"Sequence\":{\"id\":\"A\"", "{\"Sequence\":{\"id\":\"B\"", RM_EUNSUPPORTED, "post_processor"},
        {"{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},", "", RM_EUNSUPPORTED, "post_processor"},
        {"\"ids\":[2]", "\"ids\":[2,2]", RM_EUNSUPPORTED, "post_processor"},
        {"\"ids\":[2]", "\"ids\":[-2]", RM_EUNSUPPORTED, "post_processor"},
        {"\"ids\":[3]", "\"ids\":[4294967296]", RM_EUNSUPPORTED, "post_processor"},
        {"\"ids\":[3]", "\"ids\":[99]", RM_ECORRUPT, "not in the vocabulary"},
        {"\"special_tokens\":{\"[CLS]\"", "\"special_tokens\":{\"[NONE]\"", RM_EUNSUPPORTED, "post_processor"},
    };
    fixture *fix = *state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        write_json(fix, cases[i].from, cases[i].to);
        check_refused(fix, cases[i].status, cases[i].why);
    }
    write_file(fix, "tokenizer.json", "", 0);
    check_refused(fix, RM_ECORRUPT, "not JSON");
    write_file(fix, "tokenizer.json", "[]", 2);
    check_refused(fix, RM_ECORRUPT, "not a JSON object");
}

static void test_lines(void **state)
{
    static const char lines[] = "[UNK]\r\n[CLS]\n[SEP] \u2003\n\na\nA\nhello\u00a0\na";
    fixture *fix = *state;
    write_file(fix, "vocab.txt", lines, sizeof(lines) - 1);
    assert_int_equal(reopen(fix), RM_OK);
    assert_int_equal(rm_tokenizer_count(fix->tokenizer), 8);
    uint32_t ids[8];
    assert_int_equal(rm_tokenize(fix->tokenizer, RM_SLICE("a hello A [MASK]"), RM_OVERFLOW_HEAD, ids, 8), 8);
    static const uint32_t wanted[] = {1, 7, 6, 7, 0, 0, 0, 2};
    assert_memory_equal(ids, wanted, sizeof(wanted)); /* no [MASK] in this vocabulary */
    write_file(fix, "tokenizer_config.json", "{\"do_lower_case\":false}", 23);
    assert_int_equal(reopen(fix), RM_OK);
    assert_int_equal(rm_tokenize(fix->tokenizer, RM_SLICE("a A HELLO"), RM_OVERFLOW_HEAD, ids, 8), 5);
    static const uint32_t cased[] = {1, 7, 5, 0, 2};
    assert_memory_equal(ids, cased, sizeof(cased));
    assert_int_equal(rm_tokenize(fix->tokenizer, RM_SLICE_NONE, RM_OVERFLOW_HEAD, ids, 8), 2);
}

static void test_lines_mistakes(void **state)
{
    fixture *fix = *state;
    write_file(fix, "tokenizer_config.json", "{", 1);
    check_refused(fix, RM_ECORRUPT, "tokenizer_config.json: not JSON");
    write_file(fix, "tokenizer_config.json", "[]", 2);
    check_refused(fix, RM_ECORRUPT, "tokenizer_config.json: not a JSON object");
    write_file(fix, "tokenizer_config.json", "{\"do_lower_case\":\"no\"}", 22);
    assert_int_equal(reopen(fix), RM_OK);
    write_file(fix, "vocab.txt", "[UNK]\n[CLS]\n", 12);
    check_refused(fix, RM_EUNSUPPORTED, "vocab.txt: [UNK], [CLS] or [SEP]");
    write_file(fix, "vocab.txt", "", 0);
    check_refused(fix, RM_EUNSUPPORTED, "vocab.txt");
    write_file(fix, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n\xed\xa0\x80", 21);
    check_refused(fix, RM_ECORRUPT, "not UTF-8");
    write_file(fix, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n\xd0", 19); /* cut within a character */
    check_refused(fix, RM_ECORRUPT, "not UTF-8");
    write_file(fix, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n\xef\xbf\xbd", 21);
    assert_int_equal(reopen(fix), RM_OK);
    remove_file(fix, "vocab.txt");
    check_refused(fix, RM_ENOTFOUND, "neither");
    assert_int_equal(rm_tokenizer_open("/nonexistent/folder", &fix->tokenizer, &fix->why), RM_ENOTFOUND);
}

static void test_unreadable(void **state)
{
    fixture *fix = *state;
    char path[128], long_name[5000];
    snprintf(path, sizeof(path), "%s/tokenizer.json", fix->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    check_refused(fix, RM_EIO, "tokenizer.json: is a folder");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* does not hold us up */
    check_refused(fix, RM_ECORRUPT, "tokenizer.json: not JSON");
    memset(long_name, 'a', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    rm_buf_clear(&fix->why);
    rm_tokenizer_close(fix->tokenizer);
    fix->tokenizer = NULL;
    assert_int_equal(rm_tokenizer_open(long_name, &fix->tokenizer, &fix->why), RM_ETOOBIG);
    assert_true(fix->why.len > 0);
}

static void resize_file(fixture *fix, const char *name, size_t bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", fix->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
}

static void test_file_sizes(void **state)
{
    fixture *fix = *state;
    resize_file(fix, "vocab.txt", RM_EMBED_VOCAB_BYTES_MAX); /* the last line goes on with NULs */
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "unaffable", "un ##aff ##able");
    resize_file(fix, "vocab.txt", RM_EMBED_VOCAB_BYTES_MAX + 1);
    check_refused(fix, RM_ETOOBIG, "vocab.txt: has over 33554432 bytes");
    write_lines(fix);
    resize_file(fix, "tokenizer_config.json", RM_EMBED_CONFIG_BYTES_MAX);
    check_refused(fix, RM_ECORRUPT, "not JSON");
    resize_file(fix, "tokenizer_config.json", RM_EMBED_CONFIG_BYTES_MAX + 1);
    check_refused(fix, RM_ETOOBIG, "tokenizer_config.json: has over 1048576 bytes");
    resize_file(fix, "tokenizer.json", RM_EMBED_VOCAB_BYTES_MAX);
    check_refused(fix, RM_ECORRUPT, "tokenizer.json: not JSON");
    resize_file(fix, "tokenizer.json", RM_EMBED_VOCAB_BYTES_MAX + 1);
    check_refused(fix, RM_ETOOBIG, "tokenizer.json: has over 33554432 bytes");
}

static void test_most_tokens(void **state)
{
    fixture *fix = *state;
    rm_buf lines;
    uint32_t ids[4];
    rm_buf_init(&lines, 16 * RM_MIB);
    rm_buf_append_cstr(&lines, "[UNK]\n[CLS]\n[SEP]\n");
    for (unsigned i = 3; i < RM_EMBED_VOCAB_TOKENS_MAX; i++)
        rm_buf_appendf(&lines, "t%u\n", i);
    write_file(fix, "vocab.txt", lines.ptr, lines.len);
    assert_int_equal(reopen(fix), RM_OK);
    assert_int_equal(rm_tokenizer_count(fix->tokenizer), RM_EMBED_VOCAB_TOKENS_MAX);
    assert_int_equal(rm_tokenize(fix->tokenizer, RM_SLICE("t262143 t77777"), RM_OVERFLOW_HEAD, ids, 4), 4);
    assert_int_equal(ids[1], 262143);
    assert_int_equal(ids[2], 77777);
    rm_buf_append_cstr(&lines, "x");
    write_file(fix, "vocab.txt", lines.ptr, lines.len);
    check_refused(fix, RM_ETOOBIG, "more tokens than 262144");
    rm_buf_deinit(&lines);
    write_json(fix, "\"hello\":12", "\"hello\":262143");
    assert_int_equal(reopen(fix), RM_OK);
    check(fix, "a", "a");
    assert_int_equal(rm_tokenizer_count(fix->tokenizer), RM_EMBED_VOCAB_TOKENS_MAX);
}

/* tokenizer.json with so many entries, [PAD] not among them: as an added token it takes the next id. */
static void write_entries(fixture *fix, size_t count)
{
    rm_buf entries;
    rm_buf_init(&entries, 16 * RM_MIB);
    for (size_t i = TOKENS - 1; i < count; i++)
        rm_buf_appendf(&entries, "%s\"t%zu\":%zu", i >= TOKENS ? "," : "", i, i % TOKENS);
    rm_buf_append_char(&entries, '\0');
    write_json(fix, "\"[PAD]\":0", entries.ptr);
    rm_buf_deinit(&entries);
}

static void test_most_entries(void **state)
{
    fixture *fix = *state;
    write_entries(fix, RM_EMBED_VOCAB_TOKENS_MAX - 1);
    assert_int_equal(reopen(fix), RM_OK);
    assert_int_equal(tokenize(fix, RM_SLICE("[PAD]"), RM_OVERFLOW_HEAD, IDS_MAX), 1);
    assert_int_equal(fix->ids[1], RM_EMBED_VOCAB_TOKENS_MAX - 1);
    assert_int_equal(rm_tokenizer_count(fix->tokenizer), RM_EMBED_VOCAB_TOKENS_MAX);
    write_entries(fix, RM_EMBED_VOCAB_TOKENS_MAX);
    check_refused(fix, RM_ETOOBIG, "more tokens than 262144");
    write_entries(fix, RM_EMBED_VOCAB_TOKENS_MAX + 1);
    check_refused(fix, RM_ETOOBIG, "more tokens than 262144");
}

/* An entry is kept up to the bytes of the longest word, behind the prefix; a longer one keeps its id all the same. */
static void test_longest_entries(void **state)
{
    fixture *fix = *state;
    for (size_t more = 0; more <= 1; more++) {
        size_t bytes = RM_EMBED_TOKEN_BYTES_MAX + 2 + more; /* "##" */
        rm_embed__vocabulary vocabulary;
        rm_buf lines;
        rm_buf_init(&lines, RM_MIB);
        rm_buf_append_cstr(&lines, "[UNK]\n[CLS]\n[SEP]\n");
        for (size_t i = 0; i < bytes; i++)
            rm_buf_append_char(&lines, 'a');
        assert_int_equal(rm_embed__vocabulary_from_lines(rm_buf_slice(&lines), "lines", RM_SLICE_NONE, "config",
                                                         &vocabulary, &fix->why),
                         RM_OK);
        assert_int_equal(vocabulary.entry_count, 4 - more);
        assert_int_equal(vocabulary.count, 4);
        rm_embed__vocabulary_deinit(&vocabulary);
        rm_buf_deinit(&lines);
    }
}

/* The prefix at its longest, and one beyond. */
static void test_longest_prefix(void **state)
{
    fixture *fix = *state;
    write_json(fix, "\"continuing_subword_prefix\":\"##\"", "\"continuing_subword_prefix\":\"0123456789abcdef\"");
    assert_int_equal(reopen(fix), RM_OK);
    write_json(fix, "\"continuing_subword_prefix\":\"##\"", "\"continuing_subword_prefix\":\"0123456789abcdefg\"");
    check_refused(fix, RM_EUNSUPPORTED, "continuing_subword_prefix has over 16 bytes");
    write_json(fix, "\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":101");
    check_refused(fix, RM_EUNSUPPORTED, "max_input_chars_per_word is over 100");
}

#ifdef REMORA_FAULTS
static void check_out_of_memory(fixture *fix)
{
    rm_status status = RM_ENOMEM;
    for (unsigned nth = 1; status != RM_OK; nth++) {
        rm_tokenizer_close(fix->tokenizer);
        fix->tokenizer = NULL;
        rm_buf_clear(&fix->why);
        rm_buf_append_cstr(&fix->why, "has memory");
        rm_buf_clear(&fix->why);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = rm_tokenizer_open(fix->folder, &fix->tokenizer, &fix->why);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || status == RM_ENOMEM);
        assert_int_equal(fix->why.len > 0, status != RM_OK);
    }
    check(fix, "unaffable", "un ##aff ##able");
}
#endif

static void test_out_of_memory(void **state)
{
#ifndef REMORA_FAULTS
    (void)state;
    skip();
#else
    fixture *fix = *state;
    check_out_of_memory(fix);
    write_file(fix, "tokenizer_config.json", "{}", 2);
    check_out_of_memory(fix);
    write_json(fix, "", "");
    check_out_of_memory(fix);
#endif
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_word_pieces),
        TEST(test_longest_words),
        TEST(test_normalizer),
        TEST(test_versions),
        TEST(test_added),
        TEST(test_bytes_that_are_no_text),
        TEST(test_switches),
        TEST(test_overflow),
        TEST(test_longest_text),
        TEST(test_added_with_space),
        TEST(test_json_equals_lines),
        TEST(test_json_mistakes),
        TEST(test_lines),
        TEST(test_lines_mistakes),
        TEST(test_unreadable),
        TEST(test_file_sizes),
        TEST(test_most_tokens),
        TEST(test_most_entries),
        TEST(test_longest_entries),
        TEST(test_longest_prefix),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
