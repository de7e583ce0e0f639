/* Small encoders that the mock and the load generator share. */
#include "bench_internal.h"

void rm_bench__hex16(uint64_t value, char text[RM_BENCH_NUMBER_BYTES])
{
    for (int i = RM_BENCH_NUMBER_BYTES - 1; i >= 0; i--, value >>= 4)
        text[i] = "0123456789abcdef"[value & 15];
}

/* CRC-32 of RFC 1952 section 8, bit by bit: only short test answers pass through it. */
static uint32_t crc32_of(rm_slice bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (uint8_t)bytes.ptr[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void append_le(rm_buf *out, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        rm_buf_append_char(out, (char)(value >> (8 * i)));
}

void rm_bench__gzip_begin(rm_buf *out)
{
    static const char head[10] = {'\x1f', '\x8b', 8, 0, 0, 0, 0, 0, 0, '\xff'};
    rm_buf_append(out, head, sizeof(head));
}

static void append_stored(rm_buf *out, rm_slice bytes, bool last)
{
    uint32_t len = (uint32_t)bytes.len;
    rm_buf_append_char(out, last);
    append_le(out, len, 2);
    append_le(out, ~len, 2);
    rm_buf_append_slice(out, bytes);
}

void rm_bench__gzip_block(rm_buf *out, rm_slice bytes)
{
    while (bytes.len > 0) {
        size_t part = bytes.len < UINT16_MAX ? bytes.len : UINT16_MAX;
        append_stored(out, rm_slice_make(bytes.ptr, part), false);
        bytes = rm_slice_make(bytes.ptr + part, bytes.len - part);
    }
}

void rm_bench__gzip_end(rm_buf *out, rm_slice all)
{
    append_stored(out, RM_SLICE(""), true);
    append_le(out, crc32_of(all), 4);
    append_le(out, (uint32_t)all.len, 4);
}

uint64_t rm_bench__ref(rm_slice last_user_text)
{
    return rm_hash64(last_user_text);
}
