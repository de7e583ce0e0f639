/* What must agree to the letter: code between backticks, identifiers, addresses, paths and operators. Each is a hash;
 * the hashes of a text are sorted, so that two texts compare in one pass. And what no language has. */
#include "guard_scan.h"

#define LAYOUT_LINES 3 /* fewer are a text that was pasted */

/* ---- verbatim ---------------------------------------------------------------------------------------------------- */

static void add_hash(scanner *s, uint64_t hash)
{
    rm_guard_text *text = s->out;
    if (text->verbatim_count == RM_GUARD_VERBATIM_MAX) {
        s->status = RM_ETOOBIG;
        return;
    }
    size_t i = text->verbatim_count++;
    for (; i > 0 && text->verbatim[i - 1] > hash; i--)
        text->verbatim[i] = text->verbatim[i - 1];
    text->verbatim[i] = hash;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_inner(char c)
{
    return is_alpha(c) || (c >= '0' && c <= '9');
}

/* Bytes from `i` to the next slash, or to the end. */
static size_t part_len(rm_slice word, size_t i)
{
    const char *slash = memchr(word.ptr + i, '/', word.len - i);
    return slash ? (size_t)(slash - word.ptr) - i : word.len - i;
}

/* Whether the sign at `i` makes its word an identifier or an address. */
static bool marks_code(rm_slice word, size_t i)
{
    char before = i > 0 ? word.ptr[i - 1] : ' ', after = i + 1 < word.len ? word.ptr[i + 1] : ' ';
    switch (word.ptr[i]) {
    case '_':
    case '@':
    case '=':
        return is_inner(before) && is_inner(after);
    case ':':
        return after == ':' || (after == '/' && i + 2 < word.len && word.ptr[i + 2] == '/');
    case '-':
        return after == '>';
    case '(':
        return after == ')' && is_inner(before);
    case '<':
        return is_inner(before) && is_inner(after);
    case '\\':
    case '{':
    case '}':
        return true;
    case '/':
        return (i == 0 && is_alpha(after)) || (i <= 2 && (before == '.' || before == '~'));
    case '.': /* main.c, example.com, example.com/a: a short end in lower case */
        return is_inner(before) && after >= 'a' && after <= 'z' && part_len(word, i + 1) <= 4;
    default:
        return false;
    }
}

static rm_slice trim_word(rm_slice word)
{
    while (word.len && memchr("(\"'[", word.ptr[0], 4))
        word = rm_slice_make(word.ptr + 1, word.len - 1);
    while (word.len && memchr(".,?!;:\"'])", word.ptr[word.len - 1], 10) &&
           !(word.len > 1 && word.ptr[word.len - 1] == ')' && word.ptr[word.len - 2] == '('))
        word.len--;
    return word;
}

/* getName, not iPhone or macOS: who writes those otherwise means the same. */
static bool is_camel_case(rm_slice word)
{
    size_t i = 0;
    while (i < word.len && word.ptr[i] >= 'a' && word.ptr[i] <= 'z')
        i++;
    return i >= 2 && i + 1 < word.len && word.ptr[i] >= 'A' && word.ptr[i] <= 'Z' && word.ptr[i + 1] >= 'a' &&
           word.ptr[i + 1] <= 'z';
}

static void scan_raw_word(scanner *s, rm_slice word)
{
    word = trim_word(word);
    if (is_camel_case(word)) {
        add_hash(s, rm_hash64(word));
        return;
    }
    bool dotted = word.len >= 3 && word.ptr[1] == '.'; /* e.g., U.S. */
    for (size_t i = 0; i < word.len; i++) {
        if (marks_code(word, i) && !(dotted && word.ptr[i] == '.')) {
            add_hash(s, rm_hash64(word));
            return;
        }
    }
}

/* The end of the code that a run of backticks at `at` begins; `at` where it has no end. */
static size_t code_end(rm_slice text, size_t at, size_t ticks)
{
    for (size_t i = at + ticks, run = 0; i < text.len; i++) {
        run = text.ptr[i] == '`' ? run + 1 : 0;
        if (run == ticks && (i + 1 == text.len || text.ptr[i + 1] != '`'))
            return i + 1;
    }
    return at;
}

/* Code compares without its white space at the ends. */
static size_t scan_code(scanner *s, size_t at)
{
    size_t ticks = 0;
    while (at + ticks < s->text.len && s->text.ptr[at + ticks] == '`')
        ticks++;
    size_t end = s->unclosed ? at : code_end(s->text, at, ticks);
    if (end == at) {
        s->unclosed = true; /* so that a text of backticks is not searched again from each */
        return at + ticks;
    }
    rm_slice code = rm_slice_make(s->text.ptr + at + ticks, end - at - 2 * ticks);
    while (code.len && is_space(code.ptr[0]))
        code = rm_slice_make(code.ptr + 1, code.len - 1);
    while (code.len && is_space(code.ptr[code.len - 1]))
        code.len--;
    add_hash(s, rm_hash64(code));
    return end;
}

/* In several lines of which some are indented, how far each is says what belongs to what. */
static void scan_layout(scanner *s)
{
    rm_slice rest = s->text, line;
    uint64_t indents = 0;
    size_t lines = 0;
    bool indented = false;
    while (rm_slice_split(&rest, '\n', &line)) {
        size_t n = 0;
        while (n < line.len && is_space(line.ptr[n]))
            n++;
        if (n == line.len)
            continue;
        indented |= lines > 0 && n > 0;
        indents = indents * 0x9e3779b97f4a7c15ULL + (lines > 0 ? n : 0) + 1;
        lines++;
    }
    s->out->lines = lines;
    if (indented && lines >= LAYOUT_LINES)
        add_hash(s, indents);
}

void rm_guard__scan_verbatim(scanner *s)
{
    rm_slice text = s->text;
    scan_layout(s);
    for (size_t at = 0; at < text.len;) {
        size_t from = at;
        if (text.ptr[at] == '`') {
            at = scan_code(s, at);
            continue;
        }
        while (at < text.len && !is_space(text.ptr[at]) && text.ptr[at] != '`')
            at++;
        if (at > from)
            scan_raw_word(s, rm_slice_make(text.ptr + from, at - from));
        while (at < text.len && is_space(text.ptr[at]))
            at++;
    }
    if (s->operators)
        add_hash(s, s->operators);
}

/* ---- what no language has ---------------------------------------------------------------------------------------- */

/* Letters that do not follow this one in any word of the Latin languages, names and loans mostly apart. */
static const char *const never_follow[26] = {
    ['b' - 'a'] = "qxz",
    ['c' - 'a'] = "jvx",
    ['d' - 'a'] = "qx",
    ['f' - 'a'] = "qxzvj",
    ['g' - 'a'] = "qxj",
    ['h' - 'a'] = "xzj",
    ['j' - 'a'] = "bcdfghklmpqrtvwxz",
    ['k' - 'a'] = "qxz",
    ['m' - 'a'] = "xqj",
    ['p' - 'a'] = "qxzv",
    ['q' - 'a'] = "bcdfghjklmnopvwxyz",
    ['t' - 'a'] = "qx",
    ['v' - 'a'] = "bcfghjkmpqtwxz",
    ['w' - 'a'] = "jqvx",
    ['x' - 'a'] = "jkqrz",
    ['y' - 'a'] = "jq",
    ['z' - 'a'] = "jqrxf",
};

static bool is_vowel(char c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

bool rm_guard__is_odd(rm_slice word, const word_shape *shape)
{
    size_t consonants = 0, longest = 0, vowels = 0;
    if (!shape->ascii || shape->digits || word.len < 4 || shape->capitals == shape->letters)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        if (c < 'a' || c > 'z')
            return false;
        const char *never = never_follow[c - 'a'];
        if (never && i + 1 < word.len && strchr(never, word.ptr[i + 1]))
            return true;
        consonants = is_vowel(c) ? 0 : consonants + 1;
        vowels += is_vowel(c);
        longest = consonants > longest ? consonants : longest;
    }
    return longest >= 7 || (vowels == 0 && word.len >= 5) || word.len > 30;
}
