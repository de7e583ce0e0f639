/* Words: letters are folded by Unicode's NFKD and case folding (utf8proc), and what folding hides is remembered:
 * characters without width, characters that merely look like others, words of several scripts. Contractions become the
 * words that they stand for, so that "what's" and "what is" are one. */
#include <utf8proc.h>

#include "guard_scan.h"

#define SIGNS_VARIED 5

/* ---- words ------------------------------------------------------------------------------------------------------- */

void rm_guard__put_byte(scanner *s, char c)
{
    if (s->folded_len < s->folded_max)
        s->out->folded[s->folded_len++] = c;
    else
        s->status = RM_ETOOBIG;
}

/* Of characters that folding takes away or makes plain: two texts that differ in them are two texts. */
static void remember(scanner *s, uint32_t code)
{
    s->out->lookalikes = s->out->lookalikes * 0x9e3779b97f4a7c15ULL + code;
}

static void put_code(scanner *s, utf8proc_int32_t code)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t len = utf8proc_encode_char(code, bytes);
    for (utf8proc_ssize_t i = 0; i < len; i++)
        rm_guard__put_byte(s, (char)bytes[i]);
}

static void add_capital(word_shape *shape)
{
    shape->capitals++;
    if (shape->letters >= 1 && shape->letters <= 8)
        shape->cases |= (uint8_t)(1U << (shape->letters - 1));
}

/* Folds a letter beyond ASCII and remembers what folding hides. */
static void put_wide(scanner *s, word_shape *shape, const character *c)
{
    utf8proc_int32_t parts[24];
    int last_class = 0;
    const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)c->code);
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)c->code, parts, RM_COUNT(parts),
                                UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_DECOMPOSE, &last_class);
    shape->ascii = false;
    bool modifier = c->code >= 0x2b0 && c->code <= 0x2ff && c->code != 0x2bb; /* letters that look like quotes */
    if ((property->decomp_type && c->code != 0xb5) || modifier)
        remember(s, c->code);
    if (property->category == UTF8PROC_CATEGORY_LU)
        add_capital(shape);
    for (utf8proc_ssize_t i = 0; i < count && i < (utf8proc_ssize_t)RM_COUNT(parts); i++) {
        uint8_t category = (uint8_t)utf8proc_get_property(parts[i])->category;
        bool mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME;
        shape->marks = mark ? (uint16_t)(shape->marks + 1) : 0;
        shape->marked |= mark;
        if (shape->marks > RM_GUARD_MARKS_MAX)
            s->out->invisible = s->out->noise = true;
        if (!mark && !rm_guard__passes_for_latin((uint32_t)parts[i]))
            shape->untwinned = true;
        put_code(s, parts[i]);
    }
}

static void put_letter(scanner *s, word_shape *shape, const character *c)
{
    uint8_t script = c->code < 0x80 ? SCRIPT_LATIN : rm_guard__script_of(c->code);
    shape->letters++;
    if (c->code < 0x80) {
        bool capital = c->code >= 'A' && c->code <= 'Z';
        if (capital)
            add_capital(shape);
        shape->untwinned = true;
        shape->marks = 0;
        rm_guard__put_byte(s, (char)(capital ? c->code + ('a' - 'A') : c->code));
    } else {
        put_wide(s, shape, c);
    }
    if (shape->letters == 1)
        shape->capital = shape->capitals > 0;
    if (script == SCRIPT_NONE || c->class == CLASS_MARK)
        return;
    s->scripts[script]++;
    shape->scripts |= 1U << script;
    s->last_script = script;
}

static uint64_t bare_hash(const scanner *s, size_t from)
{
    char bare[RM_GUARD_WORD_BYTES_MAX];
    size_t len = 0, at = from;
    while (at < s->folded_len && len + 4 <= sizeof(bare)) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)s->out->folded + at,
                                                 (utf8proc_ssize_t)(s->folded_len - at), &code);
        if (step <= 0)
            break;
        if (utf8proc_get_property(code)->category != UTF8PROC_CATEGORY_MN) {
            memcpy(bare + len, s->out->folded + at, (size_t)step);
            len += (size_t)step;
        }
        at += (size_t)step;
    }
    return rm_hash64(rm_slice_make(bare, len));
}

rm_guard__token *rm_guard__push(scanner *s, size_t from, const word_shape *shape)
{
    size_t len = s->folded_len - from;
    if (s->out->count == s->tokens_max) {
        s->status = RM_ETOOBIG;
        return NULL;
    }
    s->out->noise |= shape->ascii && len > RM_GUARD_WORD_BYTES_MAX; /* some scripts have no spaces */
    rm_guard__token *token = &s->out->tokens[s->out->count++];
    rm_slice word = rm_slice_make(s->out->folded + from, len);
    *token = (rm_guard__token){.word = rm_hash64(word), .at = (uint32_t)from, .len = (uint16_t)len, .gap = s->gap};
    token->bare = shape->marked ? bare_hash(s, from) : token->word;
    token->entry = rm_guard__find(s->words, token->word);
    token->flags = (uint16_t)((shape->ascii ? RM_GUARD__ASCII : 0) | (shape->capital ? RM_GUARD__CAPITAL : 0) |
                              (shape->digits && shape->letters ? RM_GUARD__NUMBERED : 0) |
                              (shape->capitals > 1 && shape->capitals == len ? RM_GUARD__CAPITALS : 0));
    token->cases = shape->cases;
    if (s->out->count == 1 || s->gap & RM_GUARD__GAP_BREAK)
        token->flags |= RM_GUARD__FIRST;
    /* In a sentence's first word a first capital says nothing; one further in (iPhone, NASA) does, but not in a shout. */
    bool inner = shape->capitals > 1 || (shape->capitals == 1 && !shape->capital && shape->letters > 1);
    if (inner || (shape->capital && s->out->count > 1 && !(s->gap & RM_GUARD__GAP_BREAK)))
        token->flags |= RM_GUARD__NAME;
    s->capitals += shape->capitals;
    s->letters += shape->letters;
    s->gap = 0;
    return token;
}

void rm_guard__push_text(scanner *s, rm_slice word)
{
    size_t from = s->folded_len;
    for (size_t i = 0; i < word.len; i++)
        rm_guard__put_byte(s, word.ptr[i]);
    rm_guard__push(s, from, &(word_shape){.ascii = true});
}

/* Pushes the words that stand for one that was folded since `from`. */
static void push_alias(scanner *s, size_t from, rm_slice words)
{
    rm_slice word;
    s->folded_len = from;
    while (rm_slice_split(&words, ' ', &word)) {
        if (word.len)
            rm_guard__push_text(s, word);
    }
}

static void check_scripts(scanner *s, const word_shape *shape)
{
    uint32_t scripts_seen = shape->scripts;
    if (scripts_seen & (scripts_seen - 1))
        s->out->invisible = true;
    bool foreign = scripts_seen & (1U << SCRIPT_GREEK | 1U << SCRIPT_CYRILLIC | 1U << SCRIPT_ARMENIAN);
    bool symbol = scripts_seen & 1U << SCRIPT_GREEK && shape->letters == 1 && shape->capitals == 0; /* of a formula */
    if (foreign && !shape->untwinned && !symbol)
        s->twins++;
}

/* Ends a word of letters. */
static void end_word(scanner *s, size_t from, const word_shape *shape)
{
    size_t len = s->folded_len - from;
    rm_slice word = rm_slice_make(s->out->folded + from, len);
    check_scripts(s, shape);
    s->out->oddities += rm_guard__is_odd(word, shape);
    if (shape->dotted && len == 2 && memcmp(word.ptr, "us", 2) == 0) {
        rm_guard__put_byte(s, 'a');
        word.len = s->folded_len - from;
    }
    const rm_guard__entry *entry = rm_guard__find(s->words, rm_hash64(word));
    if (entry && entry->alias.len && (len > 1 || !shape->capital))
        push_alias(s, from, entry->alias);
    else
        rm_guard__push(s, from, shape);
}

/* ---- contractions ------------------------------------------------------------------------------------------------ */

static bool folded_is(const scanner *s, size_t from, const char *what)
{
    return rm_slice_eq(rm_slice_make(s->out->folded + from, s->folded_len - from), rm_slice_cstr(what));
}

/* "n't": the word before loses its n. */
static void end_negated(scanner *s, size_t from, const word_shape *shape)
{
    check_scripts(s, shape);
    s->folded_len--;
    if (folded_is(s, from, "ca"))
        rm_guard__put_byte(s, 'n');
    if (folded_is(s, from, "wo") || folded_is(s, from, "sha"))
        push_alias(s, from, RM_SLICE("will"));
    else if (s->folded_len > from)
        rm_guard__push(s, from, shape);
    rm_guard__push_text(s, RM_SLICE("not"));
    if (s->out->count)
        s->out->tokens[s->out->count - 1].flags |= RM_GUARD__ATTACHED;
}

/* The letters behind an apostrophe, of which there are one or two; false: no contraction. */
static bool end_contraction(scanner *s, size_t from, const word_shape *shape)
{
    static const struct {
        const char *tail, *word;
    } tails[] = {{"m", "am"}, {"re", "are"}, {"ve", "have"}, {"ll", "will"}, {"d", "would"}, {"t", "not"}, {"s", "is"}};
    char tail[3] = {0};
    size_t len = 0, which = 0;
    for (; s->at + len < s->text.len && len < 3; len++) {
        char c = (char)(s->text.ptr[s->at + len] | 0x20);
        if (c < 'a' || c > 'z' || (unsigned char)s->text.ptr[s->at + len] >= 0x80)
            break;
        tail[len] = c;
    }
    while (which < RM_COUNT(tails) && (len > 2 || strcmp(tails[which].tail, tail) != 0))
        which++;
    bool negated = tail[0] == 't' && s->folded_len > from && s->out->folded[s->folded_len - 1] == 'n';
    if (which == RM_COUNT(tails) || (tail[0] == 't' && !negated))
        return false;
    s->at += len;
    if (negated) {
        end_negated(s, from, shape);
        return true;
    }
    end_word(s, from, shape);
    rm_guard__token *token = s->out->count ? &s->out->tokens[s->out->count - 1] : NULL;
    if (tail[0] == 's' && token && !(rm_guard__roles(token) & RM_GUARD__IS_AFTER))
        token->flags |= RM_GUARD__POSSESSIVE;
    else
        rm_guard__push_text(s, rm_slice_cstr(tails[which].word));
    return true;
}

/* ---- scanning ---------------------------------------------------------------------------------------------------- */

static bool is_ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "U.S.A." is USA: a dot between single letters. */
static bool joins_letters(const scanner *s, const word_shape *shape)
{
    const char *at = s->text.ptr + s->at;
    size_t left = s->text.len - s->at;
    return shape->letters == 1 && left >= 2 && is_ascii_letter(at[1]) &&
           (left == 2 || !(is_ascii_letter(at[2]) || (at[2] >= '0' && at[2] <= '9') || at[2] & 0x80));
}

static void scan_word(scanner *s)
{
    size_t from = s->folded_len;
    word_shape shape = {.ascii = true};
    character c;
    bool dotted = false;
    s->last_class = CLASS_LETTER;
    while (s->status == RM_OK) {
        s->status = rm_guard__peek(s, &c);
        if (s->status)
            return;
        if (c.class == CLASS_LETTER || c.class == CLASS_MARK) {
            put_letter(s, &shape, &c);
        } else if (c.class == CLASS_DIGIT) {
            rm_guard__put_byte(s, (char)c.code);
            shape.digits++;
        } else if (c.class == CLASS_INVISIBLE || c.class == CLASS_JOINER) {
            s->out->invisible |= c.class == CLASS_INVISIBLE;
            remember(s, c.code);
        } else if (c.code == '.' && (joins_letters(s, &shape) || dotted)) {
            /* The letters after the first stand alone too: shape.letters counts them since the last dot. */
            s->at += c.len;
            dotted = s->at + 1 < s->text.len && s->text.ptr[s->at + 1] == '.';
            shape.letters = 0;
            shape.dotted = true;
            continue;
        } else {
            break;
        }
        s->at += c.len;
    }
    if (rm_guard__is_apostrophe(c.code) && c.class == CLASS_PUNCTUATION) {
        s->at += c.len;
        if (end_contraction(s, from, &shape))
            return;
        s->at -= c.len;
    }
    end_word(s, from, &shape);
}

/* One ideograph or sign is one word. */
static void scan_single(scanner *s, const character *c)
{
    size_t from = s->folded_len;
    word_shape shape = {0};
    put_wide(s, &shape, c);
    if (c->class == CLASS_IDEOGRAPH)
        s->scripts[SCRIPT_HAN]++;
    s->at += c->len;
    s->last_class = c->class;
    rm_guard__push(s, from, &shape);
}

static uint32_t closing_of(uint32_t code)
{
    switch (code) {
    case '"':
        return '"';
    case 0x201c:
    case 0x201e:
        return 0x201d;
    case 0xab:
        return 0xbb;
    default:
        return 0;
    }
}

static void scan_quote(scanner *s, const character *c)
{
    rm_guard_text *out = s->out;
    uint32_t code = c->code, closing = closing_of(code);
    if (s->quote_close && (code == s->quote_close || closing == s->quote_close)) {
        size_t count = out->count - s->quote_from;
        if (out->quotes_count == RM_GUARD_QUOTES_MAX)
            s->status = RM_ETOOBIG;
        else if (count)
            out->quotes[out->quotes_count++] =
                (rm_guard__quote){rm_hash64(rm_slice_make(s->text.ptr + s->quote_at, s->at - c->len - s->quote_at)),
                                  (uint16_t)s->quote_from, (uint16_t)count};
        s->quote_close = 0;
    } else if (closing && !s->quote_close) {
        s->quote_close = closing;
        s->quote_from = out->count;
        s->quote_at = s->at;
    }
}

static void scan_punctuation(scanner *s, const character *c)
{
    scan_quote(s, c);
    if (rm_guard__is_odd_sign(c->code))
        remember(s, c->code);
    if (rm_guard__is_full_width(c->code))
        s->wide = s->wide * 0x9e3779b97f4a7c15ULL + c->code;
    if ((c->code == '-' || c->code == '/') && rm_guard__between_digits(s, s->at - 1))
        s->operators = s->operators * 0x9e3779b97f4a7c15ULL + c->code;
    switch (c->code) {
    case ',':
    case '/':
    case 0x3001: /* the ideographic comma */
        s->gap |= RM_GUARD__GAP_COMMA;
        break;
    case '-':
    case 0x2010:
    case 0x2011:
        s->gap |= s->last_class == CLASS_LETTER ? RM_GUARD__GAP_HYPHEN : RM_GUARD__GAP_BREAK;
        break;
    case '\'':
    case '`':
    case 0xb0: /* the degree sign */
    case 0x2018:
    case 0x2019:
        break;
    case '&':
        if (s->last_class == CLASS_SPACE)
            rm_guard__push_text(s, RM_SLICE("and"));
        break;
    default:
        s->gap |= c->code < 0x80 || closing_of(c->code) == 0 ? RM_GUARD__GAP_BREAK : 0;
    }
}

/* Operators mean something in their order; a mark that only decorates (#1, snake_case) does not. */
static void scan_operator(scanner *s, const character *c)
{
    if (c->code == '_' || c->code == '@' || (c->code == '#' && s->last_class != CLASS_LETTER))
        return;
    s->operators = s->operators * 0x9e3779b97f4a7c15ULL + c->code;
    s->gap |= RM_GUARD__GAP_BREAK;
}

static void scan_currency(scanner *s, const character *c)
{
    character next;
    const char *name = rm_guard__currency(c->code);
    bool behind = s->out->count && (s->out->tokens[s->out->count - 1].flags & RM_GUARD__NUMBER) && !s->gap;
    if (name && behind && (rm_guard__peek(s, &next) != RM_OK || next.class != CLASS_DIGIT)) {
        rm_guard__push_text(s, rm_slice_cstr(name));
        s->out->tokens[s->out->count - 1].flags |= RM_GUARD__ATTACHED;
    } else {
        s->currency = name;
    }
}

/* Signs side by side that prose does not have: ".](", "}{". */
static void count_sign(scanner *s, const character *c)
{
    bool rare = c->code < 0x80 && memchr("\\{}[]<>|^~*=@#_", (int)c->code, 15);
    s->run += s->run < UINT8_MAX;
    s->ticks += c->code == '`';
    s->run_odd |= rare;
    if (s->run >= 2 && s->run_odd && c->code != s->last_code) {
        s->odd_runs[s->ticks & 1]++;
        s->run = s->run_odd = 0;
    }
}

/* A tail of many different signs, "()--$$[", is not what prose ends with: it must agree as operators do. */
static void count_run(scanner *s, const character *c)
{
    bool sign = c->class == CLASS_PUNCTUATION || c->class == CLASS_OPERATOR || c->class == CLASS_CURRENCY;
    if (!sign) {
        s->signs = s->varied = 0;
        return;
    }
    s->varied += s->signs == 0 || (c->code != s->last_code && s->varied < UINT8_MAX);
    s->signs += s->signs < UINT8_MAX;
    if (s->varied >= SIGNS_VARIED)
        s->operators = s->operators * 0x9e3779b97f4a7c15ULL + c->code;
}

static void scan_other(scanner *s, const character *c)
{
    count_run(s, c);
    s->at += c->len;
    switch (c->class) {
    case CLASS_INVISIBLE:
        s->out->invisible = true;
        break;
    case CLASS_CONTROL:
        s->out->invisible = s->out->control = true;
        break;
    case CLASS_PUNCTUATION:
        count_sign(s, c);
        scan_punctuation(s, c);
        break;
    case CLASS_OPERATOR:
        count_sign(s, c);
        scan_operator(s, c);
        break;
    case CLASS_CURRENCY:
        scan_currency(s, c);
        break;
    case CLASS_SPACE:
        if (rm_guard__is_full_width(c->code))
            s->wide = s->wide * 0x9e3779b97f4a7c15ULL + c->code;
        else if (c->code >= 0x80 || c->code == '\v' || c->code == '\f')
            remember(s, c->code);
        break;
    default:
        break;
    }
    if (c->class != CLASS_SPACE && c->class != CLASS_CURRENCY)
        s->currency = NULL;
    if (c->class != CLASS_PUNCTUATION && c->class != CLASS_OPERATOR)
        s->run = s->run_odd = 0;
    /* Behind a joiner of emoji no other is expected. */
    s->last_class = c->code == 0x200d ? CLASS_CONTROL : c->class;
}

rm_status rm_guard__scan(scanner *s)
{
    character c;
    while (s->status == RM_OK) {
        s->status = rm_guard__peek(s, &c);
        if (s->status || c.class == CLASS_END)
            break;
        if (c.class == CLASS_LETTER || c.class == CLASS_MARK || c.class == CLASS_DIGIT)
            s->signs = s->varied = 0;
        if (c.class == CLASS_LETTER || c.class == CLASS_MARK)
            scan_word(s);
        else if (c.class == CLASS_DIGIT)
            rm_guard__scan_number(s);
        else if (c.class == CLASS_IDEOGRAPH || c.class == CLASS_SIGN)
            scan_single(s, &c);
        else
            scan_other(s, &c);
        s->last_code = c.code;
    }
    if (s->wide && !s->scripts[SCRIPT_HAN] && !s->scripts[SCRIPT_HANGUL])
        s->out->lookalikes ^= s->wide;
    if (s->twins && s->scripts[SCRIPT_LATIN] > s->scripts[SCRIPT_CYRILLIC] + s->scripts[SCRIPT_GREEK])
        s->out->invisible = true;
    return s->status;
}
