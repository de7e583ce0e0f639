/* Numbers, units and dates. Numbers compare by value however they are spelled: "1,000", "1000", "one thousand", "1k".
 * Where digits count as text (versions, more digits than a double holds) their spelling counts too: 3.10 is not 3.1. */
#include "guard_scan.h"

/* ---- digits ------------------------------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

bool rm_guard__between_digits(const scanner *s, size_t at)
{
    size_t before = at, after = at + 1;
    while (before > 0 && s->text.ptr[before - 1] == ' ')
        before--;
    while (after < s->text.len && s->text.ptr[after] == ' ')
        after++;
    return before > 0 && is_digit(s->text.ptr[before - 1]) && after < s->text.len && is_digit(s->text.ptr[after]);
}

const char *rm_guard__currency(uint32_t code)
{
    static const struct {
        uint32_t code;
        const char *name;
    } signs[] = {{'$', "dollar"}, {0xa2, "cent"},   {0xa3, "gbp"},     {0xa5, "yen"},
                 {0x20a9, "won"}, {0x20ac, "euro"}, {0x20b9, "rupee"}, {0x20bf, "bitcoin"}};
    for (size_t i = 0; i < RM_COUNT(signs); i++) {
        if (signs[i].code == code)
            return signs[i].name;
    }
    return NULL;
}

/* Whether the comma here parts thousands: three digits behind it, not four. */
static bool parts_thousands(const scanner *s)
{
    const char *at = s->text.ptr + s->at;
    size_t left = s->text.len - s->at;
    return left >= 4 && is_digit(at[1]) && is_digit(at[2]) && is_digit(at[3]) && !(left > 4 && is_digit(at[4]));
}

/* Reads digits, with the commas between thousands left out and at least one digit behind each dot. */
static void fold_digits(scanner *s, word_shape *shape)
{
    size_t commas = 0;
    for (; s->at < s->text.len && !s->status; s->at++) {
        char c = s->text.ptr[s->at];
        bool digit_follows = s->at + 1 < s->text.len && is_digit(s->text.ptr[s->at + 1]);
        if (c == ',' && (shape->digits <= 3 || commas) && parts_thousands(s)) {
            commas++;
            continue;
        }
        if (!is_digit(c) && !(c == '.' && digit_follows))
            break;
        shape->digits++;
        rm_guard__put_byte(s, c);
    }
}

static bool is_rank(rm_slice suffix)
{
    return suffix.len == 2 && (memcmp(suffix.ptr, "st", 2) == 0 || memcmp(suffix.ptr, "nd", 2) == 0 ||
                               memcmp(suffix.ptr, "rd", 2) == 0 || memcmp(suffix.ptr, "th", 2) == 0);
}

/* What stands right behind the digits; none of it is the scanner's any more. */
static size_t fold_suffix(scanner *s)
{
    size_t from = s->folded_len;
    for (; s->at < s->text.len && is_alnum(s->text.ptr[s->at]) && !s->status; s->at++)
        rm_guard__put_byte(s, (char)(s->text.ptr[s->at] | 0x20));
    return s->folded_len - from;
}

static void push_attached(scanner *s, const char *word)
{
    rm_guard__push_text(s, rm_slice_cstr(word));
    if (!s->status)
        s->out->tokens[s->out->count - 1].flags |= RM_GUARD__ATTACHED;
}

void rm_guard__scan_number(scanner *s)
{
    size_t from = s->folded_len;
    word_shape shape = {.ascii = true};
    const char *before = s->text.ptr + s->at;
    if (s->at && before[-1] == '-' && (s->at == 1 || before[-2] == ' ' || before[-2] == '('))
        rm_guard__put_byte(s, '-');
    fold_digits(s, &shape);
    size_t digits = s->folded_len, suffix_len = fold_suffix(s);
    rm_slice suffix = rm_slice_make(s->out->folded + digits, suffix_len);
    const rm_guard__entry *entry = suffix_len ? rm_guard__find(s->words, rm_hash64(suffix)) : NULL;
    bool known =
        suffix_len == 0 || is_rank(suffix) || (entry && entry->unit) || (suffix_len == 1 && *suffix.ptr == 'k');
    s->last_class = CLASS_DIGIT;
    if (!known) { /* 3d, 1080p, 4x4: a word */
        shape.letters = 1;
        rm_guard__push(s, from, &shape);
        return;
    }
    char kept[16] = {0};
    if (suffix_len == 1 && *suffix.ptr == 's' && shape.digits == 4) /* the 1980s */
        suffix_len = 0;
    if (suffix_len < sizeof(kept))
        memcpy(kept, suffix.ptr, suffix_len);
    s->folded_len = digits;
    rm_guard__token *token = rm_guard__push(s, from, &shape);
    if (!token)
        return;
    token->flags |= RM_GUARD__NUMBER;
    if (is_rank(rm_slice_cstr(kept)))
        token->flags |= RM_GUARD__RANK;
    else if (suffix_len)
        push_attached(s, strcmp(kept, "k") == 0 ? "thousand" : kept);
    const char *rest = s->text.ptr + s->at;
    size_t left = s->text.len - s->at;
    if (left >= 2 && rest[0] == '\'' && rest[1] == 's' && !(left > 2 && is_alnum(rest[2]))) /* the 1980's */
        s->at += 2;
    if (s->at < s->text.len && s->text.ptr[s->at] == '%') {
        s->at++;
        push_attached(s, "percent");
    }
    if (s->currency)
        push_attached(s, s->currency);
    s->currency = NULL;
}

/* ---- runs of words that make one number -------------------------------------------------------------------------- */

typedef struct run {
    double total, part; /* thousands and more, and what is below */
    size_t next;        /* the word behind */
    bool begun, rank;
} run;

static bool numeral_at(const rm_guard_text *text, size_t i, double *ret_value)
{
    if (i >= text->count || !(rm_guard__roles(&text->tokens[i]) & RM_GUARD__NUMERAL))
        return false;
    *ret_value = text->tokens[i].entry->number;
    return true;
}

/* Adds a spelled numeral; false: it begins a number of its own. */
static bool add_numeral(run *r, double value, bool rank)
{
    double below = r->part - 100 * (double)(int64_t)(r->part / 100);
    if (value >= 1000) {
        if (r->part > 0 || !r->begun)
            r->total += (r->part > 0 ? r->part : 1) * value;
        else
            r->total *= value;
        r->part = 0;
    } else if (value == 100 || value == 12) {
        if (value == 12 && r->part == 0)
            r->part = 12;
        else
            r->part = (r->part > 0 ? r->part : 1) * value;
    } else if (!r->begun || (below == 0 && value < 100) || (below >= 20 && value < 10)) {
        r->part += value;
    } else {
        return false;
    }
    r->begun = true;
    r->rank = rank;
    return true;
}

/* From the numeral at `first` on; stops at what is no part of the number. */
static void read_run(const rm_guard_text *text, size_t first, run *r)
{
    double value;
    r->next = first;
    while (!r->rank && numeral_at(text, r->next, &value)) {
        const rm_guard__token *token = &text->tokens[r->next];
        if (r->begun && (token->gap & (RM_GUARD__GAP_COMMA | RM_GUARD__GAP_BREAK)))
            break;
        if (!add_numeral(r, value, rm_guard__roles(token) & RM_GUARD__ORDINAL))
            break;
        r->next++;
        /* "a hundred and five" */
        bool hundreds = value >= 100 && r->next < text->count &&
                        rm_guard__word(text, &text->tokens[r->next]).len == 3 &&
                        memcmp(rm_guard__word(text, &text->tokens[r->next]).ptr, "and", 3) == 0;
        if (hundreds && numeral_at(text, r->next + 1, &value) && value < 100)
            r->next++;
    }
}

/* Digits, and the magnitude behind them: "5 million", "$5 million". */
static size_t read_magnitude(const rm_guard_text *text, size_t next, double *value)
{
    double times;
    size_t at = next;
    if (at < text->count && (text->tokens[at].flags & RM_GUARD__ATTACHED) && text->tokens[at].entry &&
        text->tokens[at].entry->unit)
        at++;
    if (!numeral_at(text, at, &times) || times < 100 || text->tokens[at].gap & RM_GUARD__GAP_BREAK)
        return next;
    *value *= times;
    return at + 1;
}

/* ---- units and dates --------------------------------------------------------------------------------------------- */

/* Whether the word at `i` is a unit of the number right before it. */
static bool is_unit_at(const rm_guard_text *text, size_t i)
{
    if (i >= text->count || !text->tokens[i].entry || !text->tokens[i].entry->unit)
        return false;
    const rm_guard__token *token = &text->tokens[i];
    if (token->flags & RM_GUARD__ATTACHED)
        return true;
    bool article = token->len == 1 && text->folded[token->at] == 'a';
    return !article && !(token->gap & (RM_GUARD__GAP_COMMA | RM_GUARD__GAP_BREAK));
}

/* The unit of the number that reaches from `first` to `next`: behind it, after its digits or, as in "USD 100", before. */
static uint16_t take_unit(const rm_guard_text *text, size_t first, size_t next)
{
    size_t at = next;
    if (!is_unit_at(text, at))
        at = first + 1;
    if (at >= next && !is_unit_at(text, next)) {
        at = first - 1;
        if (first == 0 || !is_unit_at(text, at) || text->tokens[at].flags & RM_GUARD__TAKEN ||
            !(rm_guard__roles(&text->tokens[at]) & RM_GUARD__CURRENCY))
            return 0;
    } else if (!is_unit_at(text, at)) {
        return 0;
    }
    text->tokens[at].flags |= RM_GUARD__TAKEN;
    return text->tokens[at].entry->unit;
}

static void mark_dates(rm_guard_text *text)
{
    for (size_t i = 0; i < text->count; i++) {
        rm_guard__token *token = &text->tokens[i];
        if (!token->entry || !token->entry->date)
            continue;
        bool numbers = (i > 0 && text->tokens[i - 1].flags & RM_GUARD__NUMBER) ||
                       (i + 1 < text->count && text->tokens[i + 1].flags & RM_GUARD__NUMBER);
        bool weak = rm_guard__roles(token) & RM_GUARD__WEAK_DATE;
        if (!weak || numbers || token->flags & RM_GUARD__NAME)
            token->flags |= RM_GUARD__DATED;
    }
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

static void add_number(rm_guard_text *text, size_t first, size_t next, rm_guard__number number)
{
    uint64_t bits;
    number.unit = take_unit(text, first, next);
    number.token = (uint16_t)first;
    if (number.unit && number.kind == RM_GUARD__PLAIN)
        number.spelling = 0;
    number.weak &= !number.unit;
    text->numbers[text->numbers_count++] = number;
    memcpy(&bits, &number.value, sizeof(bits));
    text->tokens[first].word = text->tokens[first].bare = bits ^ number.spelling ^ number.kind;
    for (size_t i = first; i < next; i++) {
        if (text->tokens[i].flags & RM_GUARD__TAKEN)
            continue;
        text->tokens[i].flags |= RM_GUARD__NUMBER;
        if (i > first)
            text->tokens[i].flags |= RM_GUARD__DROPPED;
    }
}

static size_t join_digits(rm_guard_text *text, size_t i)
{
    const rm_guard__token *token = &text->tokens[i];
    rm_slice digits = rm_guard__word(text, token);
    rm_guard__number number = {.kind = token->flags & RM_GUARD__RANK ? RM_GUARD__ORDINAL_NUMBER : RM_GUARD__PLAIN};
    bool dotted = memchr(digits.ptr, '.', digits.len) != NULL;
    if (rm_parse_double(digits, &number.value) != RM_OK || digits.len > 15) {
        number.value = 0;
        number.kind = RM_GUARD__TEXTUAL;
    }
    if (dotted || number.kind == RM_GUARD__TEXTUAL)
        number.spelling = rm_hash64(digits);
    size_t next = number.kind == RM_GUARD__PLAIN ? read_magnitude(text, i + 1, &number.value) : i + 1;
    if (next > i + 1)
        number.spelling = 0;
    add_number(text, i, next, number);
    return next;
}

static size_t join_words(rm_guard_text *text, size_t i)
{
    run r = {0};
    read_run(text, i, &r);
    rm_guard__number number = {.value = r.total + r.part, .kind = r.rank ? RM_GUARD__ORDINAL_NUMBER : RM_GUARD__PLAIN};
    /* "one of them", "at first", "a second" */
    number.weak = r.next == i + 1 && (number.value == 1 || r.rank);
    add_number(text, i, r.next, number);
    return r.next;
}

void rm_guard__join_numbers(rm_guard_text *text)
{
    for (size_t i = 0; i < text->count;) {
        const rm_guard__token *token = &text->tokens[i];
        if (token->flags & RM_GUARD__NUMBER)
            i = join_digits(text, i);
        else if (rm_guard__roles(token) & RM_GUARD__NUMERAL && !(token->flags & RM_GUARD__ATTACHED))
            i = join_words(text, i);
        else
            i++;
    }
    mark_dates(text);
}
