/* A vocabulary from its files: tokenizer.json (the whole tokenizer) or vocab.txt (a token a line, the line's number is
 * its id). What these say beyond a BERT WordPiece tokenizer is refused here, so that ids are the reference's or none. */
#include <stdlib.h>

#include "files.h"
#include "remora/json.h"
#include "tokenizer.h"

/* What parsing takes at most for a byte of text: a value is 16 bytes and needs two bytes of text; then the copies. */
#define ARENA_BYTES_PER_BYTE 48
#define ARENA_BYTES_MIN      (64 * RM_KIB)

#define TEXT_OF_(number) #number
#define TEXT_OF(number)  TEXT_OF_(number)

#define UNK "[UNK]"
#define CLS "[CLS]"
#define SEP "[SEP]"

typedef struct reader {
    rm_embed__vocabulary *to;
    const char *file;
    rm_buf *why;
} reader;

static rm_status refuse(const reader *r, rm_status status, const char *what)
{
    const char *mend = status == RM_ECORRUPT       ? "; get the file again"
                       : status == RM_EUNSUPPORTED ? "; choose a model with BERT's tokenizer"
                                                   : "";
    return rm_embed__refuse(r->why, status, r->file, "%s%s", what, mend);
}

static rm_status no_memory(const reader *r)
{
    return refuse(r, RM_ENOMEM, "out of memory");
}

/* ---- entries ------------------------------------------------------------------------------------------------------- */

static int compare_texts(const void *one, const void *other)
{
    const rm_embed__entry *a = one, *b = other;
    size_t shorter = a->text.len < b->text.len ? a->text.len : b->text.len;
    int order = shorter ? memcmp(a->text.ptr, b->text.ptr, shorter) : 0;
    if (order == 0)
        order = (a->text.len > b->text.len) - (a->text.len < b->text.len);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

static int compare_orders(const void *one, const void *other)
{
    const rm_embed__entry *a = one, *b = other;
    return (a->order > b->order) - (a->order < b->order);
}

/* Sorted by text; of equal ones the last stays. */
static size_t sort_entries(rm_embed__entry *entries, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(entries, count, sizeof(*entries), compare_texts);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || !rm_slice_eq(entries[i].text, entries[i + 1].text))
            entries[kept++] = entries[i];
    }
    return kept;
}

static bool find_id(const rm_embed__vocabulary *v, rm_slice text, uint32_t *ret_id)
{
    size_t low = 0, high = v->entry_count;
    rm_embed__entry wanted = {.text = text};
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rm_slice_eq(v->entries[middle].text, text)) {
            *ret_id = v->entries[middle].id;
            return true;
        }
        if (compare_texts(&v->entries[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void note_id(rm_embed__vocabulary *v, uint32_t id)
{
    if (id >= v->count)
        v->count = id + 1;
}

/* Entries that no word can have take no place in the trie: none, and those over 100 characters. */
static void drop_unmatched(rm_embed__vocabulary *v)
{
    size_t kept = 0;
    for (size_t i = 0; i < v->entry_count; i++) {
        size_t bytes = v->entries[i].text.len;
        if (bytes > 0 && bytes <= RM_EMBED_TOKEN_BYTES_MAX + v->prefix.len)
            v->entries[kept++] = v->entries[i];
    }
    v->entry_count = kept;
}

/* Their ids: the vocabulary's where it has them, else the next free ones in the order in which they came (the last has
 * order 0), whatever the file states; so the reference, with a warning. `distinct`: entries of the vocabulary. */
static rm_status number_added(const reader *r, size_t distinct)
{
    rm_embed__vocabulary *v = r->to;
    if (v->added_count == 0)
        return RM_OK;
    v->added_count = sort_entries(v->added, v->added_count);
    qsort(v->added, v->added_count, sizeof(*v->added), compare_orders);
    for (size_t i = v->added_count; i-- > 0;) {
        if (find_id(v, v->added[i].text, &v->added[i].id))
            continue;
        if (distinct >= RM_EMBED_VOCAB_TOKENS_MAX)
            return refuse(r, RM_ETOOBIG, "more tokens than " TEXT_OF(RM_EMBED_VOCAB_TOKENS_MAX));
        v->added[i].id = (uint32_t)distinct++;
        note_id(v, v->added[i].id);
    }
    v->added_count = sort_entries(v->added, v->added_count);
    return RM_OK;
}

/* ---- tokenizer.json ------------------------------------------------------------------------------------------------ */

static bool has_type(const rm_json *object, const char *type)
{
    return rm_slice_eq(rm_json_string(rm_json_get(object, "type")), rm_slice_cstr(type));
}

static bool read_bool(const rm_json *object, const char *name, bool *ret_value)
{
    const rm_json *value = rm_json_get(object, name);
    *ret_value = rm_json_bool(value, false);
    return rm_json_typeof(value) == RM_JSON_BOOL;
}

static rm_status read_normalizer(const reader *r, const rm_json *from)
{
    rm_embed__rules *rules = &r->to->rules;
    if (!has_type(from, "BertNormalizer"))
        return refuse(r, RM_EUNSUPPORTED, "the normalizer is not a BertNormalizer");
    if (!read_bool(from, "clean_text", &rules->clean) || !read_bool(from, "handle_chinese_chars", &rules->han) ||
        !read_bool(from, "lowercase", &rules->lowercase))
        return refuse(r, RM_ECORRUPT, "the normalizer lacks clean_text, handle_chinese_chars or lowercase");
    rules->strip_accents = rm_json_bool(rm_json_get(from, "strip_accents"), rules->lowercase);
    return RM_OK;
}

static rm_status read_entries(const reader *r, const rm_json *from)
{
    rm_embed__vocabulary *v = r->to;
    size_t count = rm_json_count(from);
    if (rm_json_typeof(from) != RM_JSON_OBJECT || count == 0)
        return refuse(r, RM_ECORRUPT, "the model has no vocabulary");
    if (count > RM_EMBED_VOCAB_TOKENS_MAX)
        return refuse(r, RM_ETOOBIG, "more tokens than " TEXT_OF(RM_EMBED_VOCAB_TOKENS_MAX));
    v->entries = rm_arena_alloc(&v->arena, count * sizeof(*v->entries));
    if (!v->entries)
        return no_memory(r);
    for (rm_json_iter it = rm_json_iterate(from); rm_json_iter_next(&it);) {
        int64_t id = rm_json_i64(it.value, -1);
        if (id < 0)
            return refuse(r, RM_ECORRUPT, "a token's id is no number from 0 on");
        if (id >= RM_EMBED_VOCAB_TOKENS_MAX)
            return refuse(r, RM_ETOOBIG, "a token's id is not below " TEXT_OF(RM_EMBED_VOCAB_TOKENS_MAX));
        v->entries[v->entry_count] = (rm_embed__entry){it.key, (uint32_t)id, (uint32_t)v->entry_count};
        v->entry_count++;
        note_id(v, (uint32_t)id);
    }
    v->entry_count = sort_entries(v->entries, v->entry_count);
    return RM_OK;
}

static rm_status read_model(const reader *r, const rm_json *from)
{
    rm_embed__vocabulary *v = r->to;
    const rm_json *prefix = rm_json_get(from, "continuing_subword_prefix");
    const rm_json *unk = rm_json_get(from, "unk_token");
    int64_t most = rm_json_i64(rm_json_get(from, "max_input_chars_per_word"), -1);
    if (rm_json_typeof(from) != RM_JSON_OBJECT || (rm_json_get(from, "type") && !has_type(from, "WordPiece")))
        return refuse(r, RM_EUNSUPPORTED, "the model is not WordPiece");
    if (rm_json_typeof(prefix) != RM_JSON_STRING || rm_json_typeof(unk) != RM_JSON_STRING || most < 0)
        return refuse(r, RM_ECORRUPT,
                      "the model lacks continuing_subword_prefix, unk_token or max_input_chars_per_word");
    if (rm_json_string(prefix).len > RM_EMBED__PREFIX_BYTES_MAX)
        return refuse(r, RM_EUNSUPPORTED,
                      "continuing_subword_prefix has over " TEXT_OF(RM_EMBED__PREFIX_BYTES_MAX) " bytes");
    if (most > RM_EMBED__WORD_CHARACTERS_MAX)
        return refuse(r, RM_EUNSUPPORTED, "max_input_chars_per_word is over " TEXT_OF(RM_EMBED__WORD_CHARACTERS_MAX));
    v->prefix = rm_json_string(prefix);
    v->word_characters_max = (uint32_t)most;
    rm_status status = read_entries(r, rm_json_get(from, "vocab"));
    if (status == RM_OK && !find_id(v, rm_json_string(unk), &v->unk))
        status = refuse(r, RM_ECORRUPT, "the vocabulary lacks the model's unk_token");
    return status;
}

static rm_status read_added(const reader *r, const rm_json *from)
{
    rm_embed__vocabulary *v = r->to;
    rm_json_type type = rm_json_typeof(from);
    if (type != RM_JSON_ARRAY)
        return type == RM_JSON_ABSENT ? RM_OK : refuse(r, RM_ECORRUPT, "added_tokens is not a list");
    uint32_t left = (uint32_t)rm_json_count(from);
    v->added = rm_arena_alloc(&v->arena, left * sizeof(*v->added));
    if (!v->added)
        return no_memory(r);
    for (rm_json_iter it = rm_json_iterate(from); rm_json_iter_next(&it);) {
        bool whole, normalized;
        const rm_json *content = rm_json_get(it.value, "content");
        if (rm_json_typeof(content) != RM_JSON_STRING || !read_bool(it.value, "single_word", &whole) ||
            !read_bool(it.value, "normalized", &normalized))
            return refuse(r, RM_ECORRUPT, "an added token lacks content, single_word or normalized");
        /* lstrip and rstrip need no care: white space around a token makes none. */
        if (whole || normalized)
            return refuse(r, RM_EUNSUPPORTED, "an added token is single_word or normalized");
        rm_slice text = rm_json_string(content);
        /* A byte that is not UTF-8 is matched as this character too; no real token has it. */
        if (rm_slice_find(text, RM_SLICE("\xef\xbf\xbd")))
            return refuse(r, RM_EUNSUPPORTED, "an added token has U+FFFD");
        if (text.len == 0)
            continue;
        v->added[v->added_count++] = (rm_embed__entry){.text = text, .order = --left};
    }
    return RM_OK;
}

/* The one id of a TemplateProcessing's step; false: it is none, or not one id. */
static bool read_special(const rm_json *template, const rm_json *step, uint32_t *ret_id)
{
    rm_slice name = rm_json_string(rm_json_get(rm_json_get(step, "SpecialToken"), "id"));
    const rm_json *specials = rm_json_get(template, "special_tokens");
    for (rm_json_iter it = rm_json_iterate(specials); name.ptr && rm_json_iter_next(&it);) {
        const rm_json *ids = rm_json_get(it.value, "ids");
        int64_t id = rm_json_i64(rm_json_at(ids, 0), -1);
        if (!rm_slice_eq(it.key, name) || rm_json_count(ids) != 1 || id < 0 || id > UINT32_MAX)
            continue;
        *ret_id = (uint32_t)id;
        return true;
    }
    return false;
}

static bool read_template(rm_embed__vocabulary *v, const rm_json *from)
{
    const rm_json *single = rm_json_get(from, "single");
    const rm_json *text = rm_json_get(rm_json_at(single, 1), "Sequence");
    return has_type(from, "TemplateProcessing") && rm_json_count(single) == 3 &&
           rm_slice_eq(rm_json_string(rm_json_get(text, "id")), RM_SLICE("A")) &&
           read_special(from, rm_json_at(single, 0), &v->cls) && read_special(from, rm_json_at(single, 2), &v->sep);
}

/* ["[SEP]", 102] */
static bool read_pair(const rm_json *pair, uint32_t *ret_id)
{
    int64_t id = rm_json_i64(rm_json_at(pair, 1), -1);
    if (id < 0 || id > UINT32_MAX)
        return false;
    *ret_id = (uint32_t)id;
    return true;
}

static rm_status read_post_processor(const reader *r, const rm_json *from)
{
    rm_embed__vocabulary *v = r->to;
    if (!read_template(v, from) && !(has_type(from, "BertProcessing") && read_pair(rm_json_get(from, "cls"), &v->cls) &&
                                     read_pair(rm_json_get(from, "sep"), &v->sep)))
        return refuse(r, RM_EUNSUPPORTED, "the post_processor does not make [CLS] text [SEP]");
    if (v->cls >= v->count || v->sep >= v->count)
        return refuse(r, RM_ECORRUPT, "the post_processor's ids are not in the vocabulary");
    return RM_OK;
}

static rm_status read_tokenizer(const reader *r, const rm_json *root)
{
    const rm_json *version = rm_json_get(root, "version");
    if (rm_json_typeof(root) != RM_JSON_OBJECT)
        return refuse(r, RM_ECORRUPT, "not a JSON object");
    if (version && !rm_slice_eq(rm_json_string(version), RM_SLICE("1.0")))
        return refuse(r, RM_EUNSUPPORTED, "its version is not 1.0");
    rm_status status = read_normalizer(r, rm_json_get(root, "normalizer"));
    if (status == RM_OK && !has_type(rm_json_get(root, "pre_tokenizer"), "BertPreTokenizer"))
        status = refuse(r, RM_EUNSUPPORTED, "the pre_tokenizer is not a BertPreTokenizer");
    if (status == RM_OK)
        status = read_model(r, rm_json_get(root, "model"));
    if (status == RM_OK)
        status = read_added(r, rm_json_get(root, "added_tokens"));
    if (status == RM_OK)
        status = number_added(r, r->to->entry_count);
    if (status == RM_OK)
        status = read_post_processor(r, rm_json_get(root, "post_processor"));
    if (status == RM_OK)
        drop_unmatched(r->to);
    return status;
}

static size_t arena_bytes_for(rm_slice text)
{
    return text.len * ARENA_BYTES_PER_BYTE + ARENA_BYTES_MIN;
}

/* As refuse, of a file that must be JSON. */
static rm_status parse(const reader *r, rm_arena *arena, rm_slice text, const rm_json **ret_root)
{
    rm_status status = rm_json_parse(arena, text, ret_root);
    if (status == RM_ENOMEM)
        return no_memory(r);
    return status == RM_OK ? RM_OK : refuse(r, RM_ECORRUPT, "not JSON");
}

rm_status rm_embed__vocabulary_from_json(rm_slice text, const char *file, rm_embed__vocabulary *ret_vocabulary,
                                         rm_buf *why)
{
    rm_embed__vocabulary v = {0};
    reader r = {&v, file, why};
    const rm_json *root = NULL;
    rm_arena_init(&v.arena, NULL, arena_bytes_for(text));
    rm_status status = parse(&r, &v.arena, text, &root);
    if (status == RM_OK)
        status = read_tokenizer(&r, root);
    if (status == RM_OK)
        *ret_vocabulary = v;
    else
        rm_embed__vocabulary_deinit(&v);
    return status;
}

/* ---- vocab.txt ----------------------------------------------------------------------------------------------------- */

static bool is_utf8(rm_slice text)
{
    static const uint8_t replacement[] = {0xef, 0xbf, 0xbd};
    if (text.len == 0)
        return true; /* its ptr may be NULL */
    const uint8_t *at = (const uint8_t *)text.ptr, *end = at + text.len;
    while (at < end) {
        const uint8_t *from = at;
        if (rm_embed__decode(&at, end) == RM_EMBED__CODE_REPLACEMENT &&
            ((size_t)(at - from) != sizeof(replacement) || memcmp(from, replacement, sizeof(replacement)) != 0))
            return false;
    }
    return true;
}

/* Without white space at its end, as Rust's trim_end. `line` is UTF-8. */
static rm_slice trim_end(rm_slice line)
{
    static const rm_embed__rules none = {0};
    while (line.len) {
        const uint8_t *end = (const uint8_t *)line.ptr + line.len, *last = end - 1, *at;
        while (rm_embed__is_inner(*last))
            last--;
        at = last;
        uint32_t code = rm_embed__decode(&at, end);
        if (RM_EMBED__CHARACTER_KIND(rm_embed__character_find(&none, code)) != RM_EMBED__SPACE)
            break;
        line.len -= (size_t)(end - last);
    }
    return line;
}

static rm_status read_lines(const reader *r, rm_slice lines)
{
    rm_embed__vocabulary *v = r->to;
    size_t count = 0;
    rm_slice line, rest = lines;
    for (size_t i = 0; i < lines.len; i++)
        count += lines.ptr[i] == '\n' || i + 1 == lines.len;
    if (count > RM_EMBED_VOCAB_TOKENS_MAX)
        return refuse(r, RM_ETOOBIG, "more tokens than " TEXT_OF(RM_EMBED_VOCAB_TOKENS_MAX));
    if (!is_utf8(lines))
        return refuse(r, RM_ECORRUPT, "not UTF-8");
    v->entries = rm_arena_alloc(&v->arena, (count + 1) * sizeof(*v->entries));
    if (!v->entries)
        return no_memory(r);
    if (rest.len && rest.ptr[rest.len - 1] == '\n')
        rest.len--; /* it ends the last line, and begins none */
    while (rm_slice_split(&rest, '\n', &line)) {
        uint32_t id = (uint32_t)v->entry_count++;
        v->entries[id] = (rm_embed__entry){trim_end(line), id, id};
        note_id(v, id);
    }
    v->entry_count = sort_entries(v->entries, v->entry_count);
    return RM_OK;
}

static rm_status read_specials(const reader *r)
{
    static const char *const names[] = {"[PAD]", UNK, CLS, SEP, "[MASK]"};
    rm_embed__vocabulary *v = r->to;
    if (!find_id(v, RM_SLICE(UNK), &v->unk) || !find_id(v, RM_SLICE(CLS), &v->cls) ||
        !find_id(v, RM_SLICE(SEP), &v->sep))
        return refuse(r, RM_EUNSUPPORTED, UNK ", " CLS " or " SEP " is not in the vocabulary");
    v->added = rm_arena_alloc(&v->arena, sizeof(*v->added) * RM_COUNT(names));
    if (!v->added)
        return no_memory(r);
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        rm_embed__entry entry = {.text = rm_slice_cstr(names[i])};
        if (find_id(v, entry.text, &entry.id))
            v->added[v->added_count++] = entry;
    }
    v->added_count = sort_entries(v->added, v->added_count);
    return RM_OK;
}

/* tokenizer_config.json; what it does not say is as BERT's uncased models have it. */
static rm_status read_config(const reader *r, rm_slice text)
{
    rm_embed__rules *rules = &r->to->rules;
    const rm_json *root = NULL;
    if (text.ptr) {
        rm_status status = parse(r, &r->to->arena, text, &root);
        if (status != RM_OK)
            return status;
        if (rm_json_typeof(root) != RM_JSON_OBJECT)
            return refuse(r, RM_ECORRUPT, "not a JSON object");
    }
    rules->clean = true;
    rules->han = rm_json_bool(rm_json_get(root, "tokenize_chinese_chars"), true);
    rules->lowercase = rm_json_bool(rm_json_get(root, "do_lower_case"), true);
    rules->strip_accents = rm_json_bool(rm_json_get(root, "strip_accents"), rules->lowercase);
    return RM_OK;
}

rm_status rm_embed__vocabulary_from_lines(rm_slice lines, const char *file, rm_slice config, const char *config_file,
                                          rm_embed__vocabulary *ret_vocabulary, rm_buf *why)
{
    rm_embed__vocabulary v = {.prefix = RM_SLICE("##"), .word_characters_max = RM_EMBED__WORD_CHARACTERS_MAX};
    reader r = {&v, file, why}, config_reader = {&v, config_file, why};
    rm_arena_init(&v.arena, NULL, arena_bytes_for(lines) + arena_bytes_for(config));
    rm_status status = read_config(&config_reader, config);
    if (status == RM_OK)
        status = read_lines(&r, lines);
    if (status == RM_OK)
        status = read_specials(&r);
    if (status == RM_OK) {
        drop_unmatched(&v);
        *ret_vocabulary = v;
    } else {
        rm_embed__vocabulary_deinit(&v);
    }
    return status;
}

void rm_embed__vocabulary_deinit(rm_embed__vocabulary *vocabulary)
{
    rm_arena_deinit(&vocabulary->arena);
    *vocabulary = (rm_embed__vocabulary){0};
}
