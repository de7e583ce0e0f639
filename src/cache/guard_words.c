/* The guards' dictionary: an open-addressed table from a word's hash to what the word can be, made of the rows in
 * guard_words.inc.h when the program starts. Entries lie apart from the slots, so that a miss, which is the usual case,
 * touches two bytes. */
#include "guard_text.h"
#include "guard_words.inc.h"

#define ENTRIES_MAX 4096
#define SLOTS       8192 /* a power of two, twice the entries */

struct rm_guard_words {
    size_t count;
    uint16_t slots[SLOTS]; /* entry + 1, 0: free */
    rm_guard__entry entries[ENTRIES_MAX];
};

static const char *const names[] = {
#define X(code, name, text) name,
    RM_GUARD_TABLE(X)
#undef X
};
static const char *const texts[] = {
#define X(code, name, text) text,
    RM_GUARD_TABLE(X)
#undef X
};

const char *rm_guard_name(rm_guard guard)
{
    return (unsigned)guard < RM_COUNT(names) ? names[guard] : "";
}

const char *rm_guard_text_of(rm_guard guard)
{
    return (unsigned)guard < RM_COUNT(texts) ? texts[guard] : "";
}

static size_t slot_of(const rm_guard_words *words, uint64_t hash)
{
    size_t slot = hash & (SLOTS - 1);
    while (words->slots[slot] && words->entries[words->slots[slot] - 1].hash != hash)
        slot = (slot + 1) & (SLOTS - 1);
    return slot;
}

const rm_guard__entry *rm_guard__find(const rm_guard_words *words, uint64_t hash)
{
    size_t slot = slot_of(words, hash);
    return words->slots[slot] ? &words->entries[words->slots[slot] - 1] : NULL;
}

static rm_guard__entry *entry_of(rm_guard_words *words, rm_slice word)
{
    uint64_t hash = rm_hash64(word);
    size_t slot = slot_of(words, hash);
    if (!words->slots[slot]) {
        RM_CHECK(words->count < ENTRIES_MAX);
        words->entries[words->count].hash = hash;
        words->slots[slot] = (uint16_t)++words->count;
    }
    return &words->entries[words->slots[slot] - 1];
}

static void add_contrast(rm_guard__entry *entry, uint16_t class)
{
    size_t i = 0;
    while (i < RM_GUARD__CONTRASTS_MAX && entry->contrasts[i])
        i++;
    RM_CHECK(i < RM_GUARD__CONTRASTS_MAX);
    entry->contrasts[i] = class;
}

/* One word of a row; `class` is its group and side. */
static void add_word(rm_guard_words *words, const struct row *row, rm_slice word, size_t side, uint16_t class)
{
    bool weak = word.ptr[0] == '~';
    rm_guard__entry *entry = entry_of(words, weak ? rm_slice_make(word.ptr + 1, word.len - 1) : word);
    entry->roles |= row->roles;
    switch (row->kind) {
    case CONTRAST:
        add_contrast(entry, class);
        break;
    case SYNONYM:
        if (!entry->synonym)
            entry->synonym = class;
        break;
    case UNIT:
        entry->unit = class;
        entry->roles |= weak ? RM_GUARD__WEAK_UNIT : 0;
        break;
    case DATE:
        entry->date = class;
        entry->roles |= weak ? RM_GUARD__WEAK_DATE : 0;
        break;
    case QUESTION:
        entry->question = class;
        entry->roles |= RM_GUARD__QUESTION;
        break;
    case LANGUAGE:
        entry->languages |= (uint16_t)(1U << side);
        break;
    default:
        break;
    }
}

/* A side whose first word is the key and whose rest is its value: numbers and aliases. */
static void add_value(rm_guard_words *words, const struct row *row, rm_slice side)
{
    rm_slice word, rest = rm_slice_trim(side);
    if (!rm_slice_split(&rest, ' ', &word))
        return;
    rm_guard__entry *entry = entry_of(words, word);
    entry->roles |= row->roles;
    if (row->kind == ALIAS) {
        entry->alias = rest;
        return;
    }
    entry->roles |= RM_GUARD__NUMERAL;
    RM_CHECK(rm_parse_double(rest, &entry->number) == RM_OK);
}

static void add_row(rm_guard_words *words, const struct row *row, uint16_t *group)
{
    rm_slice rest = rm_slice_cstr(row->text), side, word;
    uint16_t number = 0;
    for (++*group; rm_slice_split(&rest, '|', &side); number++) {
        if (row->kind == NUMBER || row->kind == ALIAS) {
            add_value(words, row, side);
            continue;
        }
        /* Each side of a row of synonyms is a class of its own; a long row goes on in the next groups. */
        if (number == RM_GUARD__SIDES_MAX) {
            RM_CHECK(row->kind == SYNONYM);
            number = 0;
            ++*group;
        }
        while (rm_slice_split(&side, ' ', &word)) {
            if (word.len)
                add_word(words, row, word, number, (uint16_t)(*group * RM_GUARD__SIDES_MAX + number));
        }
    }
}

rm_status rm_guard_words_create(rm_guard_words **ret_words)
{
    rm_guard_words *words = rm_calloc(1, sizeof(*words));
    uint16_t group = 0;
    if (!words)
        return RM_ENOMEM;
    for (size_t i = 0; i < RM_COUNT(rows); i++)
        add_row(words, &rows[i], &group);
    *ret_words = words;
    return RM_OK;
}

void rm_guard_words_destroy(rm_guard_words *words)
{
    rm_free(words);
}
