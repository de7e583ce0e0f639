/* Texts to token ids: Hugging Face's fast tokenizer for BERT in one pass.
 *
 *     bytes -> added tokens ("[MASK]") as they stand -> characters -> words -> longest entries of the vocabulary -> ids
 *
 * A word gathers in `scan`, normalised, and is cut into entries when it ends; one of more than 100 characters is [UNK]
 * whatever it holds, so it is counted on but no longer written down, and all scratch memory is a fixed struct on the
 * stack. Runs of plain ASCII take one table look-up a byte. */
#include "tokenizer.h"
#include "files.h"

#define CHARACTER_BYTES_MAX 4
#define IDS_MIN             2 /* [CLS] and [SEP] */

/* What a byte begins: an rm_embed__kind for ASCII, else this. */
#define BYTE_WIDE  RM_EMBED__MANY
#define BYTE_ADDED 8 /* besides, it may begin an added token */

/* For the tail of a long text: bytes looked at first, at the least and for a token. */
#define WINDOW_BYTES_MIN       1024
#define WINDOW_BYTES_PER_TOKEN 8

struct rm_tokenizer {
    rm_embed__trie entries, added;
    uint32_t rest; /* the state behind the prefix: of entries that go on within a word */
    uint32_t count, unk, cls, sep;
    uint32_t word_characters_max;
    bool splits_at_space;   /* no added token holds white space of ASCII */
    uint8_t bytes[256];     /* a kind, and BYTE_ADDED */
    uint8_t lower[128];     /* ASCII parts of words as they become */
    uint32_t alone_id[128]; /* ASCII punctuation */
    rm_embed__characters characters;
};

/* Where ids go. A row keeps the first ones, a ring the last. */
typedef struct sink {
    uint32_t *ids;
    size_t room;
    size_t count; /* of all ids so far */
    size_t stop;  /* no more are wanted than this */
    size_t at;    /* of a ring: where the next one goes */
    bool ring;
} sink;

typedef struct scan {
    const rm_tokenizer *t;
    sink *to;
    size_t characters; /* of the word so far, without marks */
    size_t word_bytes; /* valid while characters <= RM_EMBED__WORD_CHARACTERS_MAX */
    size_t marks;      /* at the word's end; those over the most are only counted */
    uint32_t mark[RM_EMBED__WORD_CHARACTERS_MAX];
    uint32_t piece[RM_EMBED__WORD_CHARACTERS_MAX];
    uint8_t word[RM_EMBED__WORD_CHARACTERS_MAX * CHARACTER_BYTES_MAX];
} scan;

/* ---- ids ----------------------------------------------------------------------------------------------------------- */

static inline void put_id(sink *to, uint32_t id)
{
    if (to->ring) {
        to->ids[to->at] = id;
        to->at = to->at + 1 == to->room ? 0 : to->at + 1;
    } else if (to->count < to->room) {
        to->ids[to->count] = id;
    }
    to->count++;
}

static void reverse(uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        uint32_t id = ids[i];
        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = id;
    }
}

/* A full ring, from its oldest id on. */
static void straighten(const sink *ring)
{
    reverse(ring->ids, ring->at);
    reverse(ring->ids + ring->at, ring->room - ring->at);
    reverse(ring->ids, ring->room);
}

/* ---- words --------------------------------------------------------------------------------------------------------- */

/* The longest entry at the front of the bytes: how many it has, 0 if none. */
static inline size_t longest(const rm_embed__trie *trie, uint32_t state, const uint8_t *bytes, size_t count,
                             uint32_t *ret_token)
{
    const rm_embed__node *nodes = trie->nodes;
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const rm_embed__node *node = &nodes[state ^ bytes[i]];
        if (!rm_embed__node_is(node, bytes[i]))
            break;
        if (rm_embed__node_token(node) != RM_EMBED__TOKEN_NONE) {
            *ret_token = rm_embed__node_token(node);
            found = i + 1;
        }
        state = node->base;
    }
    return found;
}

/* The word's entries; [UNK] alone where a part of it has none. */
static void put_word(scan *s, const uint8_t *word, size_t bytes)
{
    const rm_tokenizer *t = s->t;
    uint32_t state = t->entries.root;
    size_t pieces = 0;
    for (size_t at = 0; at < bytes; pieces++, state = t->rest) {
        RM_CHECK(pieces < RM_COUNT(s->piece)); /* entries are whole characters */
        uint32_t token = t->unk;
        size_t found = longest(&t->entries, state, word + at, bytes - at, &token);
        if (found == 0) {
            put_id(s->to, t->unk);
            return;
        }
        s->piece[pieces] = token;
        at += found;
    }
    for (size_t i = 0; i < pieces; i++)
        put_id(s->to, s->piece[i]);
}

static inline size_t encode(uint32_t code, uint8_t *to)
{
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (uint8_t)(0xc0 | code >> 6);
        to[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (uint8_t)(0xe0 | code >> 12);
        to[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | code >> 18);
    to[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

static inline void append(scan *s, uint32_t code)
{
    if (s->characters++ < s->t->word_characters_max)
        s->word_bytes += encode(code, s->word + s->word_bytes);
}

/* Canonical order: by class, and in the order in which they came within one. */
static void add_mark(scan *s, uint32_t entry)
{
    size_t at = s->marks++;
    if (at >= RM_EMBED__WORD_CHARACTERS_MAX)
        return;
    for (; at > 0 && RM_EMBED__CHARACTER_CLASS(s->mark[at - 1]) > RM_EMBED__CHARACTER_CLASS(entry); at--)
        s->mark[at] = s->mark[at - 1];
    s->mark[at] = entry;
}

/* To the word. With more than were kept it is too long, and what it holds does not matter. */
static void append_marks(scan *s)
{
    size_t kept = s->marks < RM_EMBED__WORD_CHARACTERS_MAX ? s->marks : RM_EMBED__WORD_CHARACTERS_MAX;
    for (size_t i = 0; i < kept; i++)
        append(s, RM_EMBED__CHARACTER_CODE(s->mark[i]));
    s->characters += s->marks - kept;
    s->marks = 0;
}

static inline void end_word(scan *s)
{
    if (s->marks)
        append_marks(s);
    if (s->characters == 0)
        return;
    if (s->characters > s->t->word_characters_max)
        put_id(s->to, s->t->unk);
    else
        put_word(s, s->word, s->word_bytes);
    s->characters = s->word_bytes = 0;
}

static void put_alone(scan *s, uint32_t code)
{
    uint8_t bytes[CHARACTER_BYTES_MAX];
    end_word(s);
    if (s->t->word_characters_max == 0)
        put_id(s->to, s->t->unk);
    else
        put_word(s, bytes, encode(code, bytes));
}

/* ---- characters ---------------------------------------------------------------------------------------------------- */

/* One that has no parts. */
static inline void take_entry(scan *s, uint32_t entry)
{
    rm_embed__kind kind = RM_EMBED__CHARACTER_KIND(entry);
    if (kind == RM_EMBED__DROP)
        return;
    if (kind == RM_EMBED__MARK) {
        add_mark(s, entry);
        return;
    }
    if (s->marks)
        append_marks(s);
    if (kind == RM_EMBED__WORD)
        append(s, RM_EMBED__CHARACTER_CODE(entry));
    else if (kind == RM_EMBED__ALONE)
        put_alone(s, RM_EMBED__CHARACTER_CODE(entry));
    else if (kind == RM_EMBED__SPACE)
        end_word(s);
}

static const uint8_t *take_wide(scan *s, const uint8_t *at, const uint8_t *end)
{
    const rm_embed__characters *characters = &s->t->characters;
    uint32_t code = rm_embed__decode(&at, end), entry = rm_embed__character(characters, code);
    if (RM_EMBED__CHARACTER_KIND(entry) == RM_EMBED__MANY) {
        uint32_t codes[RM_EMBED__PARTS_MAX];
        size_t count = rm_embed__character_parts(&characters->rules, code, codes);
        for (size_t i = 0; i < count; i++)
            take_entry(s, rm_embed__character(characters, codes[i]));
    } else {
        take_entry(s, entry);
    }
    return at;
}

/* ASCII letters and their like: as far as they go, in any case one. */
static const uint8_t *take_run(scan *s, const uint8_t *at, const uint8_t *end)
{
    const rm_tokenizer *t = s->t;
    const uint8_t *from = at;
    if (s->marks)
        append_marks(s);
    do
        at++;
    while (at < end && t->bytes[*at] == RM_EMBED__WORD);
    size_t count = (size_t)(at - from);
    if (s->characters + count <= t->word_characters_max) {
        uint8_t *to = s->word + s->word_bytes;
        for (size_t i = 0; i < count; i++)
            to[i] = t->lower[from[i]];
        s->word_bytes += count;
    }
    s->characters += count;
    return at;
}

/* An added token at this place ends the word. NULL: there is none. */
static const uint8_t *take_added(scan *s, const uint8_t *at, const uint8_t *end)
{
    uint32_t id;
    size_t found = longest(&s->t->added, s->t->added.root, at, (size_t)(end - at), &id);
    if (found == 0)
        return NULL;
    end_word(s);
    put_id(s->to, id);
    return at + found;
}

/* The text as one of its own, until its end or until no more ids are wanted. */
static void scan_text(const rm_tokenizer *t, rm_slice text, sink *to)
{
    scan s;
    const uint8_t *at = (const uint8_t *)text.ptr, *end = at + text.len, *next;
    s.t = t;
    s.to = to;
    s.characters = s.word_bytes = s.marks = 0;
    while (at < end && to->count < to->stop) {
        uint8_t kind = t->bytes[*at];
        if (kind & BYTE_ADDED) {
            next = take_added(&s, at, end);
            if (next) {
                at = next;
                continue;
            }
            kind &= BYTE_ADDED - 1;
        }
        switch (kind) {
        case RM_EMBED__WORD:
            at = take_run(&s, at, end);
            break;
        case RM_EMBED__SPACE:
            end_word(&s);
            at++;
            break;
        case RM_EMBED__ALONE:
            end_word(&s);
            put_id(to, t->alone_id[*at++]);
            break;
        case BYTE_WIDE:
            at = take_wide(&s, at, end);
            break;
        default: /* control characters */
            at++;
            break;
        }
    }
    if (to->count < to->stop)
        end_word(&s);
}

/* ---- texts --------------------------------------------------------------------------------------------------------- */

/* The longest front of at most so many bytes that does not end within a character. */
static rm_slice front_of(rm_slice text, size_t bytes)
{
    if (text.len <= bytes)
        return text;
    for (size_t i = 0; i < CHARACTER_BYTES_MAX - 1 && rm_embed__is_inner((uint8_t)text.ptr[bytes]); i++)
        bytes--;
    return rm_slice_make(text.ptr, bytes);
}

static rm_slice back_of(rm_slice text, size_t bytes)
{
    rm_slice back = rm_slice_make(text.ptr + text.len - bytes, bytes);
    for (size_t i = 0; i < CHARACTER_BYTES_MAX - 1 && back.len && rm_embed__is_inner((uint8_t)back.ptr[0]); i++)
        back = rm_slice_make(back.ptr + 1, back.len - 1);
    return back;
}

static size_t take_head(const rm_tokenizer *t, rm_slice text, uint32_t *ids, size_t room)
{
    sink to = {.room = room, .stop = room};
    to.ids = ids;
    scan_text(t, front_of(text, RM_EMBED_TEXT_BYTES_MAX), &to);
    return to.count < room ? to.count : room;
}

static bool is_ascii_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The last `room` ids of a text known to have more. Words and added tokens end at white space, so ids behind it do not
 * depend on what stands before: it is enough to begin there, far enough from the end. */
static void take_tail(const rm_tokenizer *t, const rm_slice *parts, size_t count, uint32_t *ids, size_t room)
{
    rm_slice last = parts[count - 1];
    size_t window = room * WINDOW_BYTES_PER_TOKEN + WINDOW_BYTES_MIN;
    sink to = {.room = room, .stop = SIZE_MAX, .ring = true};
    if (room == 0)
        return;
    to.ids = ids;
    for (; t->splits_at_space && window < last.len; window *= 2) {
        rm_slice back = rm_slice_make(last.ptr + last.len - window, window);
        while (back.len && !is_ascii_space(back.ptr[0]))
            back = rm_slice_make(back.ptr + 1, back.len - 1);
        to.count = to.at = 0;
        scan_text(t, back, &to);
        if (to.count >= room) {
            straighten(&to);
            return;
        }
    }
    to.count = to.at = 0;
    for (size_t i = 0; i < count; i++)
        scan_text(t, parts[i], &to);
    straighten(&to);
}

static size_t take_head_and_tail(const rm_tokenizer *t, rm_slice text, uint32_t *ids, size_t room)
{
    size_t count = 1, head = room - room / 2;
    sink to = {.room = room, .stop = room + 1};
    rm_slice parts[2] = {text};
    if (text.len > RM_EMBED_TEXT_BYTES_MAX) {
        parts[0] = front_of(text, RM_EMBED_TEXT_BYTES_MAX / 2);
        parts[1] = back_of(text, RM_EMBED_TEXT_BYTES_MAX / 2);
        count = 2;
    }
    to.ids = ids;
    for (size_t i = 0; i < count; i++)
        scan_text(t, parts[i], &to);
    if (to.count <= room)
        return to.count;
    take_tail(t, parts, count, ids + head, room - head);
    return room;
}

size_t rm_tokenize(const rm_tokenizer *tokenizer, rm_slice text, rm_overflow overflow, uint32_t *ids, size_t ids_max)
{
    RM_CHECK(ids_max >= IDS_MIN);
    size_t room = ids_max - IDS_MIN, kept;
    if (!text.ptr)
        text = RM_SLICE("");
    if (overflow == RM_OVERFLOW_HEAD_TAIL)
        kept = take_head_and_tail(tokenizer, text, ids + 1, room);
    else
        kept = take_head(tokenizer, text, ids + 1, room);
    ids[0] = tokenizer->cls;
    ids[1 + kept] = tokenizer->sep;
    return kept + IDS_MIN;
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

/* ASCII never decomposes into more and has no marks, so a kind and a byte say all. */
static void fill_bytes(rm_tokenizer *t)
{
    for (unsigned byte = 0; byte < RM_COUNT(t->bytes); byte++) {
        uint32_t entry = t->characters.entries[byte];
        t->bytes[byte] = byte < RM_COUNT(t->lower) ? (uint8_t)RM_EMBED__CHARACTER_KIND(entry) : BYTE_WIDE;
        if (byte < RM_COUNT(t->lower)) {
            uint8_t code = (uint8_t)RM_EMBED__CHARACTER_CODE(entry);
            t->lower[byte] = code;
            t->alone_id[byte] = t->unk;
            if (t->word_characters_max)
                (void)longest(&t->entries, t->entries.root, &code, 1, &t->alone_id[byte]);
        }
    }
}

static void fill_added(rm_tokenizer *t, const rm_embed__vocabulary *v)
{
    t->splits_at_space = true;
    for (size_t i = 0; i < v->added_count; i++) {
        rm_slice text = v->added[i].text;
        t->bytes[(uint8_t)text.ptr[0]] |= BYTE_ADDED;
        for (size_t j = 0; j < text.len; j++)
            t->splits_at_space = t->splits_at_space && !is_ascii_space(text.ptr[j]);
    }
}

rm_status rm_embed__tokenizer_create(const rm_embed__vocabulary *vocabulary, rm_tokenizer **ret_tokenizer)
{
    const rm_embed__vocabulary *v = vocabulary;
    rm_tokenizer *t = rm_calloc(1, sizeof(*t));
    if (!t || rm_embed__trie_init(&t->entries, v->entries, v->entry_count) != RM_OK ||
        rm_embed__trie_init(&t->added, v->added, v->added_count) != RM_OK) {
        rm_tokenizer_close(t);
        return RM_ENOMEM;
    }
    t->rest = rm_embed__trie_state(&t->entries, v->prefix);
    t->count = v->count;
    t->unk = v->unk;
    t->cls = v->cls;
    t->sep = v->sep;
    t->word_characters_max = v->word_characters_max;
    rm_embed__characters_init(&t->characters, &v->rules);
    fill_bytes(t);
    fill_added(t, v);
    *ret_tokenizer = t;
    return RM_OK;
}

typedef struct files {
    rm_buf vocabulary, config;
    char path[RM_EMBED__PATH_BYTES], config_path[RM_EMBED__PATH_BYTES];
} files;

/* vocab.txt and, where there is one, tokenizer_config.json. */
static rm_status read_lines(const char *folder, files *f, rm_embed__vocabulary *ret_vocabulary, rm_buf *why)
{
    rm_status status = rm_embed__path(folder, "vocab.txt", f->path, why);
    if (status == RM_OK)
        status = rm_embed__read_file(f->path, RM_EMBED_VOCAB_BYTES_MAX, NULL, &f->vocabulary, why);
    if (status == RM_ENOTFOUND) {
        (void)rm_embed__refuse(why, status, folder, "has neither tokenizer.json nor vocab.txt; %s",
                               RM_EMBED__MEND_MISSING);
        return status;
    }
    if (status == RM_OK)
        status = rm_embed__path(folder, "tokenizer_config.json", f->config_path, why);
    if (status == RM_OK)
        status = rm_embed__read_file(f->config_path, RM_EMBED_CONFIG_BYTES_MAX, NULL, &f->config, why);
    if (status != RM_OK && status != RM_ENOTFOUND)
        return status;
    return rm_embed__vocabulary_from_lines(rm_buf_slice(&f->vocabulary), f->path,
                                           status == RM_OK ? rm_buf_slice(&f->config) : RM_SLICE_NONE, f->config_path,
                                           ret_vocabulary, why);
}

rm_status rm_tokenizer_open(const char *folder, rm_tokenizer **ret_tokenizer, rm_buf *why)
{
    rm_embed__vocabulary vocabulary;
    files f;
    rm_buf_init(&f.vocabulary, RM_EMBED_VOCAB_BYTES_MAX + RM_EMBED__READ_SPARE);
    rm_buf_init(&f.config, RM_EMBED_CONFIG_BYTES_MAX + RM_EMBED__READ_SPARE);
    rm_status status = rm_embed__path(folder, "tokenizer.json", f.path, why);
    if (status == RM_OK)
        status = rm_embed__read_file(f.path, RM_EMBED_VOCAB_BYTES_MAX, NULL, &f.vocabulary, why);
    if (status == RM_OK)
        status = rm_embed__vocabulary_from_json(rm_buf_slice(&f.vocabulary), f.path, &vocabulary, why);
    else if (status == RM_ENOTFOUND)
        status = read_lines(folder, &f, &vocabulary, why);
    if (status == RM_OK) {
        status = rm_embed__tokenizer_create(&vocabulary, ret_tokenizer);
        if (status != RM_OK)
            (void)rm_embed__refuse(why, status, f.path, "out of memory");
        rm_embed__vocabulary_deinit(&vocabulary);
    }
    rm_buf_deinit(&f.vocabulary);
    rm_buf_deinit(&f.config);
    return status;
}

void rm_tokenizer_close(rm_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    rm_embed__trie_deinit(&tokenizer->entries);
    rm_embed__trie_deinit(&tokenizer->added);
    rm_free(tokenizer);
}

uint32_t rm_tokenizer_count(const rm_tokenizer *tokenizer)
{
    return tokenizer->count;
}
