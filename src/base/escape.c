/* Text as the inside of a JSON string. Runs of plain bytes are copied whole; only quotes, backslashes, controls and
 * what is not UTF-8 are looked at one by one. */
#include "remora/base.h"

/* Bytes from `at` on that one character takes; 0 if it is not UTF-8 (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_len(const unsigned char *at, size_t room)
{
    unsigned char lead = at[0];
    unsigned char low = 0x80, high = 0xbf;
    size_t len;
    if (lead >= 0xc2 && lead <= 0xdf) {
        len = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        len = 3;
        low = lead == 0xe0 ? 0xa0 : low;
        high = lead == 0xed ? 0x9f : high;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        len = 4;
        low = lead == 0xf0 ? 0x90 : low;
        high = lead == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (len > room || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return len;
}

static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static size_t plain_run(const unsigned char *bytes, size_t at, size_t len)
{
    for (; at + 8 <= len; at += 8) {
        uint64_t word = rm_word_load(bytes + at);
        if (rm_word_below(word, 0x20) | rm_word_has(word, '"') | rm_word_has(word, '\\') | (word & RM_WORD_HIGHS))
            break;
    }
    while (at < len && is_plain(bytes[at]))
        at++;
    return at;
}

static void append_control(rm_buf *buf, unsigned char c)
{
    static const char shorts[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    char text[6] = {'\\', c < sizeof(shorts) ? shorts[c] : '\0', '0', '0'};
    if (text[1]) {
        rm_buf_append(buf, text, 2);
        return;
    }
    text[1] = 'u';
    text[2] = text[3] = '0';
    text[4] = "0123456789abcdef"[c >> 4];
    text[5] = "0123456789abcdef"[c & 15];
    rm_buf_append(buf, text, 6);
}

rm_status rm_buf_append_json_escaped(rm_buf *buf, rm_slice text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    for (size_t at = 0; at < text.len && buf->status == RM_OK;) {
        size_t begin = at;
        at = plain_run(bytes, at, text.len);
        rm_buf_append(buf, text.ptr + begin, at - begin);
        if (at == text.len)
            break;
        if (bytes[at] < 0x80) {
            append_control(buf, bytes[at++]);
            continue;
        }
        size_t len = utf8_len(bytes + at, text.len - at);
        if (len)
            rm_buf_append(buf, text.ptr + at, len);
        else
            rm_buf_append(buf, "\xef\xbf\xbd", 3);
        at += len ? len : 1;
    }
    return buf->status;
}
